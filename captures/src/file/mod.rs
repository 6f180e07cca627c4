//! Opening and reading capture files: bytes in, packets out.
//!
//! [`CaptureReader`] opens one or several inputs and lends their packets in batches, merged by time. What is inside of a
//! packet it leaves to others; it only knows the link type of its first byte.
//!
//! - `sniff` tells from the first bytes what an input is, `bytes` takes compression off;
//! - `pcap` and `pcapng` find the records in bytes and know nothing of files; so does `text` with the lines and blocks of
//!   recordings that hold no packets, which [`streams`](crate::streams) understands;
//! - `reader` drives one file, `capture_reader` all of them, which `open` opens and `merge` puts in order.
//!
//! Documents: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng, RFC 1952 (gzip), RFC 8878 (zstd), the LZ4 frame
//! format 1.6.
//!
//! A file that is not a capture is an [`Error`]. Bytes of a capture that are wrong are a [`FileNote`] on its
//! [`FileInfo`], and reading continues after them where it can.

mod batch;
mod bytes;
mod capture_reader;
mod error;
mod info;
mod merge;
mod open;
mod pcap;
mod pcapng;
mod reader;
mod record;
mod sniff;
mod spool;
#[cfg(test)]
mod testing;
mod text;

pub use batch::Batch;
pub use bytes::Notice;
pub use capture_reader::CaptureReader;
pub use error::Error;
pub use info::{DecryptionSecrets, FileInfo, FileNote, Skipped};
pub use open::OpenOptions;
pub use spool::Spool;
