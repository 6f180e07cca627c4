//! The exact record: what happened on each call and each connection, in order. Kept with [`Keep::events`](super::Keep).
//!
//! A replay needs to know what a side had received before it sent the next thing. Two facts decide that:
//!
//! - the order of the events in the reading ([`EventOrder`]), which is the same whatever files were read together;
//! - the TCP acknowledgment that the sender had given when it sent an event's first byte ([`Origin::acked`]). Where it is
//!   below the end of an event of the other direction, the sender had not received that event, wherever the capture was
//!   taken.

use rpcshark_captures::connection::Close;
use rpcshark_captures::{Direction, PacketNo, Timestamp};

use super::call::End;
use super::headers::HeaderListId;
use super::ids::{CallId, ConnectionId, SortKey};
use crate::{Arrival, FirstByte, Origin};

/// Where an event is in the reading. Orders compare across calls, connections and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventOrder {
    /// The delivery that completed the event.
    pub key: SortKey,
    /// Its place among the events of that delivery, and of the lane.
    pub sequence: u64,
}

/// When and where something happened on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its place in the reading.
    pub order: EventOrder,
    /// The direction in which it was sent: its sender is the other end.
    pub direction: Direction,
    /// The packet with its last byte: file and number.
    pub packet: PacketNo,
    /// When its last byte was there.
    pub at: Timestamp,
    /// Its first byte.
    pub origin: Origin,
    /// The offset in its flow after its last byte.
    pub end: u64,
}

impl Occurrence {
    /// Whether the sender of this may have received `other`, an event of the same connection, before it sent this.
    ///
    /// `Some(false)` is proof by acknowledgment. `Some(true)` says that the sender had acknowledged all of it. `None`:
    /// there is no acknowledgment to tell (a Unix socket, a capture of one side), or both went in the same direction; the
    /// [order](Self::order) is then all there is.
    pub fn may_follow(&self, other: &Self) -> Option<bool> {
        if self.direction == other.direction {
            return None;
        }
        self.origin.acked.map(|acked| acked >= other.end)
    }
}

/// One thing that happened on a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEvent {
    /// What happened.
    pub kind: CallEventKind,
    /// When and where.
    pub on: Occurrence,
}

/// What can happen on a call. [`Occurrence::direction`] tells which side did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEventKind {
    /// The first header block of a side (ttrpc: what a Request says besides its payload). `None`: bytes of it are missing.
    Headers(Option<HeaderListId>),
    /// A 1xx header block of the server.
    Interim(HeaderListId),
    /// A further header block of the server that does not end the stream.
    HeadersAgain(HeaderListId),
    /// A message: its number among those of its direction, from 0.
    Message(u32),
    /// The last header block of a side: with END_STREAM, or after the request's headers. `None`: bytes of it are missing.
    Trailers(Option<HeaderListId>),
    /// The side sends no more (END_STREAM, or a ttrpc frame with remote-closed). The last thing of a side that was not reset.
    HalfClose,
    /// RST_STREAM with this error code.
    Reset(u32),
    /// The call has ended. For [`End::Goaway`] and [`End::Connection`] this is what ended it; otherwise that comes before it.
    /// There are two where a client's reset overtook the trailers: the last one counts.
    Ended(End),
}

/// One thing that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// What happened.
    pub kind: ConnectionEventKind,
    /// When and where. An opening goes to the server.
    pub on: Occurrence,
}

/// What can happen on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEventKind {
    /// The first bytes of the connection that are dissected. `whole`: with them it began.
    Opened {
        /// Whether the beginning of the connection was seen.
        whole: bool,
    },
    /// SETTINGS: identifiers and values in the order sent (RFC 9113 §6.5).
    Settings(Box<[(u16, u32)]>),
    /// SETTINGS with ACK: the SETTINGS of the other direction are in force.
    SettingsAcknowledged,
    /// GOAWAY (RFC 9113 §6.8).
    Goaway {
        /// The highest stream that its sender processed or may yet process.
        last_stream: u32,
        /// Its error code.
        code: u32,
        /// Its debug data, up to [`MAX_DEBUG_DATA`] bytes.
        debug: Box<[u8]>,
    },
    /// The side has closed its direction.
    Closed(Close),
}

/// Debug data of a GOAWAY that is kept: a frame may hold megabytes.
pub const MAX_DEBUG_DATA: usize = 1024;

/// Events kept for one connection: a hostile peer can cause one a frame.
const MAX_CONNECTION_EVENTS: usize = 4096;

/// Events kept for one call that are not messages: no honest call has more than some ten.
const MAX_OTHER_EVENTS: u32 = 1024;

/// The events of a lane.
#[derive(Debug, Default)]
pub(super) struct Events {
    calls: Vec<OfCall>,
    connections: Vec<Vec<ConnectionEvent>>,
    sequence: u64,
}

#[derive(Debug, Default)]
struct OfCall {
    events: Vec<CallEvent>,
    /// Of these, those that are not messages.
    others: u32,
    /// Messages of each direction so far.
    messages: [u32; 2],
}

impl OfCall {
    /// Enters an event in its place: one that was observed while it was not decided that there is a call comes late.
    fn push(&mut self, event: CallEvent) {
        let behind = self.events.iter().rev().take_while(|known| known.on.order > event.on.order).count();
        self.events.insert(self.events.len() - behind, event);
    }
}

impl Events {
    /// The order of what is observed now.
    pub(super) const fn order(&mut self, key: SortKey) -> EventOrder {
        self.sequence += 1;
        EventOrder { key, sequence: self.sequence }
    }

    pub(super) fn add(&mut self, call: CallId, kind: CallEventKind, span: &EventSpan) {
        let of_call = slot(&mut self.calls, call.0);
        if of_call.others < MAX_OTHER_EVENTS {
            of_call.others += 1;
            of_call.push(CallEvent { kind, on: span.occurrence() });
        }
    }

    pub(super) fn add_message(&mut self, call: CallId, span: &EventSpan) {
        let of_call = slot(&mut self.calls, call.0);
        let [to_server, to_client] = &mut of_call.messages;
        let count = if span.direction == Direction::ToServer { to_server } else { to_client };
        let kind = CallEventKind::Message(*count);
        *count += 1;
        of_call.push(CallEvent { kind, on: span.occurrence() });
    }

    pub(super) fn add_to_connection(&mut self, connection: ConnectionId, kind: ConnectionEventKind, span: &EventSpan) {
        let events = slot(&mut self.connections, connection.0);
        if events.len() < MAX_CONNECTION_EVENTS {
            events.push(ConnectionEvent { kind, on: span.occurrence() });
        }
    }

    pub(super) fn swap_call_roles(&mut self, call: CallId) {
        let Some(of_call) = self.calls.get_mut(call.0 as usize) else { return };
        of_call.messages.swap(0, 1);
        of_call.events.iter_mut().for_each(|event| event.on.direction = event.on.direction.reverse());
    }

    pub(super) fn swap_connection_roles(&mut self, connection: ConnectionId) {
        let events = self.connections.get_mut(connection.0 as usize).into_iter().flatten();
        events.for_each(|event| event.on.direction = event.on.direction.reverse());
    }

    pub(super) fn of_call(&self, call: CallId) -> &[CallEvent] {
        self.calls.get(call.0 as usize).map_or(&[], |of_call| &of_call.events)
    }

    /// Frees the events of a call.
    pub(super) fn forget_call(&mut self, call: CallId) {
        if let Some(of_call) = self.calls.get_mut(call.0 as usize) {
            *of_call = OfCall::default();
        }
    }

    pub(super) fn of_connection(&self, connection: ConnectionId) -> &[ConnectionEvent] {
        self.connections.get(connection.0 as usize).map_or(&[], |events| events)
    }
}

fn slot<T: Default>(list: &mut Vec<T>, index: u32) -> &mut T {
    let index = index as usize;
    if list.len() <= index {
        list.resize_with(index + 1, T::default);
    }
    &mut list[index]
}

/// The bytes of an event in its flow, and when they were complete.
#[derive(Clone, Copy, Debug)]
pub struct EventSpan {
    /// The direction in which it was sent.
    pub direction: Direction,
    /// Its first byte.
    pub first: FirstByte,
    /// The offset in its flow after its last byte.
    pub end: u64,
    /// When its last byte arrived.
    pub last: Arrival,
    /// Its place in the reading.
    pub order: EventOrder,
}

impl EventSpan {
    const fn occurrence(&self) -> Occurrence {
        let Self { order, direction, first, end, last } = *self;
        Occurrence { order, direction, packet: last.packet, at: last.time, origin: first.origin, end }
    }
}
