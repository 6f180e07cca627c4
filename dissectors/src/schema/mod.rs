//! Schemas: what messages, enumerations and services look like, from wherever they came.
//!
//! A [`Schema`] is a flat table, compiled once and then only read: describing, filtering and comparing use it when
//! somebody looks; parsers never do. Files are read by others; this module takes their contents.

#[allow(dead_code)] // until the parser of `.proto` text is there
mod descriptor;
#[allow(dead_code)]
mod diagnostic;
#[allow(dead_code)]
mod features;
mod link;
mod set;
mod table;
#[cfg(test)]
pub(crate) mod testing;

pub use diagnostic::{Diagnostic, Level, Spot};
pub use set::DescriptorSetError;
pub use table::{
    Cardinality, Enum, EnumIx, Field, FieldIx, Kind, Message, MessageIx, Method, Schema, Service, WellKnown,
};
