//! Writing: stream connections of any kind as a pcapng file that packet tools open.
//!
//! [`StreamWriter`] takes connections and their bytes and wraps them in synthetic Ethernet, IP and TCP; [`Pcapng`]
//! writes the blocks; [`parse_endpoint_comment`] gives back from a SYN's comment what the synthetic addresses cannot
//! say: that the connection was one on a Unix socket or vsock, and who was at its ends.
//!
//! Nothing here knows sockets: whoever calls says what happened and when.
//!
//! ```
//! use rpcshark_captures::write::{Ends, Party, StreamWriter};
//! use rpcshark_captures::{Direction, Endpoint, Timestamp};
//!
//! let ends = Ends::new(
//!     Party::of(Endpoint::UnixInode(4711)),
//!     Party::of(Endpoint::UnixPath(b"/run/x.sock".as_slice().into())),
//! );
//! let mut writer = StreamWriter::new(Vec::new(), &Default::default())?;
//! let mut stream = writer.open(&ends, Timestamp::from_nanos(1_000))?;
//! writer.data(&mut stream, Direction::ToServer, b"hello", Timestamp::from_nanos(2_000), None)?;
//! writer.close(&mut stream, Direction::ToServer, Timestamp::from_nanos(3_000))?;
//! let file = writer.finish()?;
//! assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
//! # Ok::<(), std::io::Error>(())
//! ```

mod addresses;
mod comment;
mod frame;
mod pcapng;
mod stream;

pub use comment::{Ends, Party, Process, parse_endpoint_comment, parse_not_recorded_comment, parse_remark};
pub use pcapng::{About, Pcapng};
pub use stream::{StreamWriter, WrittenStream};
