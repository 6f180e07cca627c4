//! Capture files and streams in; connections with their bytes in order, or the gaps in them, out.
//!
//! This crate knows files, link layers, IP, TCP and the other ways in which streams are recorded. What the bytes of a
//! connection mean it leaves to `rpcshark-dissectors`.

pub mod budget;
pub mod connection;
mod endpoint;
pub mod file;
mod input;
mod packet;
mod place;
mod prefetch;
mod raw;
mod segment;
mod source;
pub mod streams;
mod temporary;
pub mod text;
mod time;
pub mod write;

pub use endpoint::Endpoint;
pub use input::{Data, Direction, Gap, GapCause, Input};
pub use packet::{Defragmenter, Fragment, Layer, Peeled, Skip, Unassembled, peel, peel_datagram};
pub use place::{Packet, PacketNo, Place, SourceNo};
pub use prefetch::prefetch;
pub use raw::{LinkType, RawPacket};
pub use segment::{Address, Segment, TcpFlags};
pub use source::{SourceError, SourceFault, Sources, Spill};
pub use temporary::temporary_file;
pub use time::Timestamp;
