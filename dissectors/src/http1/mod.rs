//! HTTP/1.1, as far as it carries calls or may turn into HTTP/2.
//!
//! Requests and responses are followed to their ends (RFC 9112 §6). A request that is a call of gRPC-Web or Connect becomes one in
//! the store: its header section becomes the header list that HTTP/2 would have sent, and both bodies go to the same
//! [`RpcStream`](crate::rpc::RpcStream) that HTTP/2 uses. Other requests are only counted.
//!
//! RFC 7540 §3.2: after a `101 Switching Protocols` the request that offered `Upgrade: h2c` counts as stream 1, half-closed by
//! the client, and the client continues with the preface. Any request of a connection may be the one that is upgraded.
//!
//! After missing bytes, `reader` seeks the head of the next message, and `pairing` decides to which request a response belongs.

mod connection;
mod head;
mod pairing;
mod reader;
mod seek;
#[cfg(test)]
mod tests;

pub(crate) use connection::Http1;
