//! Recordings of streams that hold no packets, and packets that hold pieces of streams: connections with their bytes in
//! order, gaps, times and ends, just as TCP gives them.
//!
//! [`Streams`] takes the packets of a reading whose link types [are for it](Streams::takes) and gives [`Event`]s:
//!
//! ```no_run
//! use rpcshark_captures::file::{OpenOptions, CaptureReader};
//! use rpcshark_captures::streams::{Events, Streams};
//!
//! let mut reading = CaptureReader::open(&["session.strace".into()], &OpenOptions::default())?;
//! let mut streams = Streams::new(reading.files());
//! let mut events = Events::default();
//! while let Some(batch) = reading.next_batch(4096)? {
//!     for index in 0..batch.len() {
//!         let packet = batch.packet(index);
//!         if Streams::takes(packet.link) {
//!             let _ = streams.packet(&packet, &mut events);
//!         }
//!     }
//!     for event in &events.events {
//!         println!("{event:?}: {:?}", events.bytes_of(event));
//!     }
//!     events.clear();
//! }
//! streams.finish(&mut events);
//! # Ok::<(), rpcshark_captures::file::Error>(())
//! ```
//!
//! - `strace` reads what processes write and read by their system calls;
//! - `socat` and `sockdump` read what these tools print, and `sockdump` also the packets that it writes;
//! - `vsock` reads vsockmon's packets, `raw` bytes without anything around them;
//! - `text` knows the lines with which texts begin, for whoever looks for records in them.
//!
//! Where records begin and end in files is [`file`](crate::file)'s.

mod event;
mod raw;
mod socat;
mod sockdump;
mod stage;
mod strace;
pub(crate) mod text;
mod vsock;

pub use event::{ClientBy, Event, EventKind, Events, Opened, Process, StreamNo};
pub use stage::Streams;

#[cfg(test)]
mod testing;
