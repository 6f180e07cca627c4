//! Schemas: what messages, enumerations and services look like, from wherever they came.
//!
//! A [`Schema`] is a flat table, compiled once and then only read: describing, filtering and comparing use it when
//! somebody looks; parsers never do. Files are read by others; this module takes their contents:
//!
//! ```text
//! .proto text ── lexer ── parser ──┐
//!                                  ├─ descriptors ── link ── table
//! descriptor sets ── prost ────────┘    (builder: what imports what; features: what editions and syntax say)
//! ```
//!
//! Follows <https://protobuf.dev/reference/protobuf/edition-2023-spec/> and
//! <https://protobuf.dev/editions/features/>. What is wrong with a file is a [`Diagnostic`], and takes only that with
//! it which needs the file.
//!
//! ```
//! use rpcshark_dissectors::schema::Schema;
//!
//! let (schema, diagnostics) = Schema::from_source("syntax = \"proto3\"; message Order { string order_id = 1; }");
//! assert!(diagnostics.is_empty());
//! let order = &schema[schema.message("Order").expect("it is in the text")];
//! assert_eq!(&*order.field(1).expect("it has one").json_name, "orderId");
//!
//! let (_, diagnostics) = Schema::from_source("syntax = \"proto3\";\nmessage Order { string order_id }");
//! assert_eq!(
//!     diagnostics[0].to_string(),
//!     "schema.proto:2:33: error: expected `=`, found `}`\n 2 | message Order { string order_id }\n   |                                 ^",
//! );
//! ```

mod builder;
mod builtin;
mod descriptor;
mod diagnostic;
mod features;
mod files;
mod guess;
mod lexer;
mod link;
mod parser;
mod table;
#[cfg(test)]
pub(crate) mod testing;

pub use builder::{Builder, ImportSource, Located, NoImports, SourceText};
pub use descriptor::{DescriptorSetError, is_descriptor_set};
pub use diagnostic::{Diagnostic, Level, Spot};
pub use files::SchemaFile;
pub use guess::{MethodIx, Seen, Signature};
pub use table::{
    Cardinality, Enum, EnumIx, Field, FieldIx, Kind, Message, MessageIx, Method, Schema, Service, WellKnown,
};
