//! A call over HTTP, whatever its protocol: header lists and bodies in, the parts of a [`Call`](crate::store::Call) out.
//!
//! ```text
//!  HTTP/2 streams      ─┐                                              ┌─ gRPC
//!                       ├─►  RpcStream: headers, data, end, reset  ◄───┼─ gRPC-Web
//!  HTTP/1.1 exchanges  ─┘    of both directions                        └─ Connect
//! ```
//!
//! [`RpcStream`] is driven by `http2` and by `http1` alike. What differs between the protocols is small, and is in one
//! implementation of `RpcProtocol` for each: which header lists announce it, how a body holds messages, and what says how a
//! call ended.
//!
//! To add a protocol: write its module with an implementation of `RpcProtocol`, and add it to `PROTOCOLS`.

mod body;
mod facts;
mod media_type;
mod protocol;
mod stream;

pub use facts::{Content, HeaderFacts, HeaderValue, Role, Rpc};
pub use media_type::{Codec, MediaType};
pub use protocol::{Carrier, Form};
pub(crate) use protocol::{Ending, Headers, RpcProtocol, body_encoding, field};
pub use stream::{OtherBlock, RpcStream};
