//! Bytes and gaps in; frames, messages and calls out.
//!
//! This crate knows protocols: HTTP/2 with HPACK, HTTP/1.1, gRPC, gRPC-Web, Connect, ttrpc, protobuf. It knows no file, socket, thread or clock.

mod arrival;
pub mod compare;
pub mod connect;
mod context;
pub mod conversation;
mod cursor;
pub mod filter;
mod framed;
pub mod grpc;
pub mod grpc_web;
pub mod header;
mod held;
mod http1;
pub mod http2;
pub mod json;
mod known;
mod note;
mod parser;
pub mod print;
mod probe;
pub mod protobuf;
pub mod rows;
pub mod rpc;
pub mod schema;
mod seek;
mod session;
pub mod statistics;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod ttrpc;
pub mod view;

pub use arrival::{Arrival, FirstByte, Origin};
pub use context::{Context, KeepBytes, Observer};
pub use cursor::Cursor;
pub use known::Known;
pub use note::{Note, Severity};
pub use parser::{HandOver, JoinPoint, Parser};
pub use session::{DecodeAs, Joining, Session};
