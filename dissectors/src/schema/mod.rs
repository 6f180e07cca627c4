//! Schemas: what messages, enumerations and services look like, from wherever they came.
//!
//! A [`Schema`] is a flat table, compiled once and then only read: describing, filtering and comparing use it when
//! somebody looks; parsers never do. Files are read by others; this module takes their contents.

mod builder;
mod builtin;
mod descriptor;
mod diagnostic;
mod features;
mod guess;
mod lexer;
mod link;
mod parser;
mod table;
#[cfg(test)]
pub(crate) mod testing;

pub use builder::{Builder, ImportSource, Located, NoImports, SourceText};
pub use descriptor::DescriptorSetError;
pub use diagnostic::{Diagnostic, Level, Spot};
pub use guess::{MethodIx, Seen, Signature};
pub use table::{
    Cardinality, Enum, EnumIx, Field, FieldIx, Kind, Message, MessageIx, Method, Schema, Service, WellKnown,
};
