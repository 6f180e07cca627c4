//! The Connect protocol: calls as plain HTTP requests, or as streams of enveloped messages.
//!
//! Source: <https://connectrpc.com/docs/protocol>. A unary call is a POST whose body is the message, or a GET with the message in
//! its query; the response's body is the message, or JSON that says what failed. Streams have the prefixed messages of gRPC; the last
//! frame of a response, with the flag 0x02, holds JSON with the error and the trailers.

mod end;
mod protocol;
mod query;
#[cfg(test)]
mod tests;

pub use end::{code_name, status_named};
pub(crate) use protocol::Connect;
pub use query::PathMessage;
