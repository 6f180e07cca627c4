//! gRPC-Web: gRPC for browsers, over HTTP/1.1 or HTTP/2, with the trailers in the body.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>. Messages are framed as in gRPC. Behind them a frame with
//! the flag 0x80 (0x81 if it is compressed) holds the trailers as lines of HTTP/1. With `application/grpc-web-text` the whole
//! body is base64.

mod protocol;
mod text;

pub(crate) use protocol::GrpcWeb;
pub(crate) use text::TextFramer;
pub use text::decode_text;
