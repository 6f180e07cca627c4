//! gRPC over HTTP/2: what headers and messages say, by the gRPC HTTP/2 protocol mapping
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

mod encoding;
mod framing;
mod metadata;
mod percent;
mod protocol;
mod status;
mod timeout;

pub use encoding::{DecompressError, Decompressor, Encoding, MAX_DECOMPRESSED, compress, decompress};
pub(crate) use framing::PREFIX;
pub use framing::{AfterGap, Framed, Framer, MAX_TRAILERS, Pieces};
pub use metadata::{binary_values, is_binary, is_metadata};
pub use percent::{decode as percent_decode, encode as percent_encode};
pub(crate) use protocol::Grpc;
pub use status::Status;
pub use timeout::parse as parse_timeout;
