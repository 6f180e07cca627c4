//! Header compression for HTTP/2, RFC 7541, read by somebody who only listens, and written without a table.
//!
//! A [`Decoder`] holds what one direction has inserted and turns header blocks into [`Field`](crate::header::Field)s. An endpoint may give up on
//! the first error; a listener may have joined late or lost bytes, so here nothing fails: what cannot be known is
//! [`Text::Unknown`](crate::header::Text::Unknown), what is wrong is a [`Fault`], and the rest is read. What was seen without interruption is an *epoch*;
//! references after its beginning are unknown, and the same unknown entry can be recognised when it is referred to again.
//!
//! Left to others: putting HEADERS and CONTINUATION together, and saying when a new epoch begins because bytes were lost.
//!
//! ```
//! use rpcshark_dissectors::header::Text;
//! use rpcshark_dissectors::http2::hpack::Decoder;
//!
//! let mut decoder = Decoder::new(false); // joined in the middle
//! let block = decoder.decode(&[
//!     0x83, // indexed, static entry 3
//!     0xbe, // indexed, the newest dynamic entry: inserted before we listened
//! ]);
//! assert!(block.complete && block.faults.is_empty());
//! assert_eq!(block.fields[0].name, *b":method");
//! assert_eq!(block.fields[0].value, *b"POST");
//! assert!(matches!(block.fields[1].name, Text::Unknown(_)));
//! ```

mod cache;
mod decoder;
mod encoder;
mod fault;
mod huffman;
mod integer;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

pub(super) use cache::Cache;
pub use decoder::{Block, Decoder, MAX_BLOCK, MAX_DECODED, MAX_FAULTS, MAX_FIELDS, MAX_STRING};
pub use encoder::{FieldToWrite, encode};
pub use fault::{Fault, FaultKind};
pub use table::{KEPT_AT_LEAST, KEPT_AT_MOST};
