//! Bytes and gaps in; frames, messages and calls out.
//!
//! This crate knows protocols: HTTP/2 with HPACK, gRPC, ttrpc, protobuf. It knows no file, socket, thread or clock.

mod cursor;
pub mod grpc;
pub mod http2;
pub mod json;
mod note;
pub mod protobuf;
pub mod schema;

pub use cursor::Cursor;
pub use note::{Note, Severity};
