//! The store: all calls, connections and header lists of a reading.
//!
//! It is filled lane by lane (see [`Lane`]) while a capture is read, and read by everybody else. Its memory is that of
//! the calls, some 200 bytes each; bodies stay where they lie and are fetched when somebody looks.

mod call;
mod changes;
mod chunks;
mod commit;
mod completed;
mod connection;
mod events;
mod flow;
mod frame;
mod headers;
mod ids;
mod lane;
#[expect(clippy::module_inception, reason = "the type that the module is for has a file named for it")]
mod store;
#[cfg(test)]
mod tests;

#[cfg(test)]
use changes::MAX_HELD;

pub use call::{Body, Call, End, Guesses, Message, MessageFlags, Piece, Protocol, RareFacts, Reset};
pub use changes::{ChangeLog, Changes, ReaderId};
pub use commit::{Committed, FrameRef};
pub use completed::CompletedMessages;
pub use connection::{ClientBy, Connection, ConnectionProtocol, Party, process_text};
pub use events::{
    CallEvent, CallEventKind, ConnectionEvent, ConnectionEventKind, EventOrder, EventSpan, MAX_DEBUG_DATA, Occurrence,
};
pub use flow::{CallFlow, SenderStalls, Stalls, Windows};
pub use frame::{Frame, Framing};
pub use headers::{HeaderList, HeaderListId, HeaderLists};
pub use ids::{CallId, CallRef, ConnectionId, ConnectionRef, LaneNo, SortKey};
pub use lane::{Keep, Lane};
pub use store::{ForgottenConnections, Store};
