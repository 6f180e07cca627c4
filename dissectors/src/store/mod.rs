//! The store: all calls, connections and header lists of a reading.
//!
//! It is filled lane by lane (see [`Lane`]) while a capture is read, and read by everybody else. Its memory is that of
//! the calls, some 200 bytes each; bodies stay where they lie and are fetched when somebody looks.

mod call;
mod connection;
mod frame;
mod headers;
mod lane;
mod numbers;

pub use call::{Body, Call, End, Guesses, Message, MessageFlags, Piece, Protocol, RareFacts, Reset};
pub use connection::{ClientBy, Connection, ConnectionProtocol, process_text};
pub use frame::{Frame, Framing};
pub use headers::{HeaderList, HeaderListId, HeaderLists};
pub use lane::{CallId, ConnectionId, Keep, Key, Lane};
pub use numbers::{CallRef, Committed, ConnectionRef, FrameRef, LaneNo, Store};
