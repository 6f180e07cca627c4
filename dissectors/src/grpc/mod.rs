//! gRPC over HTTP/2: what headers and messages say, by the gRPC HTTP/2 protocol mapping
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

mod content_type;
mod encoding;
mod facts;
mod framing;
mod metadata;
mod percent;
mod status;
mod stream;
mod timeout;
mod web;

pub use content_type::{Codec, ContentType};
pub use encoding::{DecompressError, Decompressor, Encoding, MAX_DECOMPRESSED, compress, decompress};
pub use facts::{Carrier, HeaderFacts, HeaderValue, Role, Rpc};
pub use framing::{AfterGap, Framed, Framer, MAX_WEB_TRAILERS, Pieces};
pub use metadata::{binary_values, is_binary, is_metadata};
pub use percent::decode as percent_decode;
pub use status::Status;
pub use stream::{GrpcStream, OtherBlock};
pub use timeout::parse as parse_timeout;
pub use web::decode_text;
