//! Schemas: what messages, enumerations and services look like, from wherever they came.
//!
//! A [`Schema`] is a flat table, compiled once and then only read: describing, filtering and comparing use it when
//! somebody looks; parsers never do. Files are read by others; this module takes their contents.

mod table;

pub use table::{
    Cardinality, Enum, EnumIx, Field, FieldIx, Kind, Message, MessageIx, Method, Schema, Service, WellKnown,
};
