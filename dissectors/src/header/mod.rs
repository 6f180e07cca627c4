//! Header fields, whatever protocol carries them: HTTP/2 header blocks, HTTP/1.1 heads, ttrpc metadata.
//!
//! A field knows how it was sent and where its bytes are in the block. A name or a value that refers to a table entry from
//! before the capture is [`Text::Unknown`].

mod field;
mod octets;

pub use field::{Coded, Field, Text, UnknownEntry};
pub use octets::Octets;
