//! A lane: one share of a reading's connections, and all that is known of them.
//!
//! Connections are spread over a fixed number of lanes, and each lane is worked on by one thread at a time. A lane
//! numbers what it holds by itself ([`CallId`], [`ConnectionId`]); the numbers that users see are given out when a batch
//! of packets is done, in the order of the packets, so that they do not depend on lanes or threads
//! ([`Store::commit`](super::Store::commit)).

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::LazyLock;

use rpcshark_captures::{Direction, Packet, Place};

use super::call::{Body, Call, Piece};
use super::chunks::Chunks;
use super::completed::Counted;
use super::connection::Connection;
use super::events::{CallEvent, CallEventKind, ConnectionEvent, ConnectionEventKind, EventOrder, EventSpan, Events};
use super::frame::Frame;
use super::headers::HeaderLists;
use super::ids::{CallId, ConnectionId, SortKey, count32};
use crate::{Arrival, FirstByte};

/// What is to be kept besides the calls themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    /// Frames are wanted: they are handed out batch by batch.
    pub frames: bool,
    /// Where the pieces of messages lie is wanted.
    pub bodies: bool,
    /// What happened on each call and connection is wanted, in order.
    pub events: bool,
}

/// One share of the connections.
#[derive(Debug, Default)]
pub struct Lane {
    /// What to keep.
    pub keep: Keep,
    /// All header lists.
    pub headers: HeaderLists,
    calls: Chunks<Call>,
    /// `None` for those that were forgotten.
    connections: Chunks<Option<Connection>>,
    /// Those that have ended and were not forgotten.
    ended: Vec<ConnectionId>,
    /// Of length 0 where they were forgotten.
    pieces: Chunks<Piece>,
    /// The sort key of what is added.
    now: SortKey,
    pending: Pending,
    /// Empty where frames are not wanted.
    counted: Counted,
    /// The numbers of connections that were reserved in earlier batches and are not there yet, by the position of their
    /// first packets.
    reserved: HashMap<u64, Numbers>,
    /// Empty where events are not wanted.
    events: Events,
    /// Stands for calls that were forgotten: what still comes for them goes nowhere.
    forgotten: Option<Box<Call>>,
    /// Likewise for connections.
    forgotten_connection: Option<Box<Connection>>,
}

/// The numbers of a reserved connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// Its number among all connections, from 0.
    pub(super) no: u32,
    /// Its number among TCP connections.
    pub(super) tcp_stream: u32,
}

/// What the current batch of packets has added.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) calls: Vec<(SortKey, CallId)>,
    /// By the position of their first packets; without an id those that are only reserved.
    pub(super) connections: Vec<(u64, Option<ConnectionId>)>,
    /// Connections that were reserved in an earlier batch, by their number.
    pub(super) opened: Vec<(u32, ConnectionId)>,
    /// Connections that were reserved in this batch and forgotten in it.
    pub(super) forgotten: Vec<u64>,
    /// Calls that had their number before this batch and were changed by it, each once.
    pub(super) changed: Vec<CallId>,
    pub(super) completed: Vec<(SortKey, CallId)>,
    /// Connections, likewise.
    pub(super) changed_connections: Vec<ConnectionId>,
    pub(super) frames: Vec<(SortKey, Frame)>,
}

impl Lane {
    /// A lane without connections.
    pub fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Sets the sort key for entries added from now on.
    pub fn set_sort_key(&mut self, order: u64, rank: u64) {
        self.now = SortKey { order, rank };
    }

    /// Reserves the numbers of a TCP connection of which no more is known than its first packet. It may be added later
    /// by [`add_connection`](Self::add_connection), or never.
    pub fn reserve_connection(&mut self, first_packet: Packet) {
        self.pending.connections.push((first_packet.order, None));
    }

    /// A reserved connection is never added. Its numbers stay unused.
    pub fn forget_reserved(&mut self, first_packet: Packet) {
        let order = first_packet.order;
        if self.reserved.remove(&order).is_none() {
            // Still in this batch: it gets its numbers with the others.
            self.pending.forgotten.push(order);
        }
    }

    /// Adds a connection that was first seen in the packet `first_packet`.
    pub fn add_connection(&mut self, first_packet: Packet, mut connection: Connection) -> ConnectionId {
        let id = ConnectionId(self.connections.len());
        let order = first_packet.order;
        if let Some(numbers) = self.reserved.remove(&order) {
            connection.no = NonZero::new(numbers.no + 1);
            connection.tcp_stream = Some(numbers.tcp_stream);
            self.pending.opened.push((numbers.no, id));
        } else {
            // What was reserved last is the most likely.
            let mut pending = self.pending.connections.iter_mut().rev();
            match pending.find(|(other, id)| *other == order && id.is_none()) {
                Some((_, reserved)) => *reserved = Some(id),
                None => self.pending.connections.push((order, Some(id))),
            }
        }
        self.connections.push(Some(Connection { birth: order, ..connection }));
        id
    }

    /// A connection has ended. Where calls are forgotten, it is too, when all of its calls are.
    pub fn end_connection(&mut self, id: ConnectionId) {
        self.ended.push(id);
    }

    /// Forgets the numbers of a reserved connection.
    pub(super) fn unreserve(&mut self, order: u64) {
        self.reserved.remove(&order);
    }

    /// The numbers of a connection that is reserved.
    pub(super) fn set_reserved(&mut self, order: u64, numbers: Numbers) {
        self.reserved.insert(order, numbers);
    }

    /// Enters a call.
    pub fn add_call(&mut self, call: Call) -> CallId {
        let id = CallId(self.calls.len());
        self.connection_mut(call.connection).calls += 1;
        self.calls.push(call);
        self.pending.calls.push((self.now, id));
        id
    }

    /// Marks a call as complete: both sides have ended it, and nothing more is expected. (More may come nevertheless.)
    pub fn complete_call(&mut self, id: CallId) {
        let call = self.call_mut(id);
        if !call.complete {
            call.complete = true;
            self.pending.completed.push((self.now, id));
        }
    }

    /// Enters a frame, if frames are wanted.
    pub fn add_frame(&mut self, mut frame: Frame) {
        if !self.keep.frames {
            return;
        }
        if let Some(id) = frame.call {
            let own = [frame.direction, frame.direction.reverse()];
            // In an NRI trunk, client and server of one of the two connections are swapped.
            let directions = if frame.trunk.is_some() { &own[..] } else { &own[..1] };
            let call = self.calls.at(id.0);
            frame.messages = call.and_then(|call| self.counted.advance(id, call, directions));
        }
        self.pending.frames.push((self.now, frame));
    }

    /// The place in the reading of what is observed now.
    pub fn event_order(&mut self) -> EventOrder {
        self.events.order(self.now)
    }

    /// The bytes of something that is complete now, at [`Arrival`] `last`; `end` is the offset after them.
    pub fn event_span(&mut self, direction: Direction, first: FirstByte, end: u64, last: Arrival) -> EventSpan {
        EventSpan { direction, first, end, last, order: self.event_order() }
    }

    /// Enters an event of a call, if events are wanted.
    pub fn add_event(&mut self, call: CallId, kind: CallEventKind, span: &EventSpan) {
        if self.keep.events {
            self.events.add(call, kind, span);
        }
    }

    /// Enters that a message of a call is complete, if events are wanted.
    pub fn add_message_event(&mut self, call: CallId, span: &EventSpan) {
        if self.keep.events {
            self.events.add_message(call, span);
        }
    }

    /// Enters an event of a connection, if events are wanted.
    pub fn add_connection_event(
        &mut self,
        connection: ConnectionId,
        span: &EventSpan,
        kind: impl FnOnce() -> ConnectionEventKind,
    ) {
        if self.keep.events {
            self.events.add_to_connection(connection, kind(), span);
        }
    }

    /// What happened on a call, in order; nothing where [`Keep::events`] is not set.
    pub fn call_events(&self, call: CallId) -> &[CallEvent] {
        self.events.of_call(call)
    }

    /// What happened on a connection, in order; nothing where [`Keep::events`] is not set.
    pub fn connection_events(&self, connection: ConnectionId) -> &[ConnectionEvent] {
        self.events.of_connection(connection)
    }

    /// Swaps client and server in the events of a call.
    pub fn swap_event_roles(&mut self, call: CallId) {
        self.events.swap_call_roles(call);
    }

    /// Reverses the direction of a connection's frames that are not handed out yet, and of its events: its client is the
    /// other end.
    pub fn swap_frame_roles(&mut self, connection: ConnectionId) {
        for (_, frame) in self.pending.frames.iter_mut().filter(|(_, frame)| frame.connection == connection) {
            frame.direction = frame.direction.reverse();
            if let Some(messages) = &mut frame.messages {
                messages.direction = messages.direction.reverse();
            }
        }
        let calls = self.pending.frames.iter().filter(|(_, frame)| frame.connection == connection);
        let mut calls: Vec<CallId> = calls.filter_map(|(_, frame)| frame.call).collect();
        calls.sort_unstable();
        calls.dedup();
        calls.into_iter().for_each(|call| self.counted.swap_roles(call));
        self.events.swap_connection_roles(connection);
    }

    /// Enters the pieces of a message of `length` bytes.
    pub fn add_pieces(&mut self, pieces: &[Piece], length: u32) -> Body {
        match *pieces {
            _ if !self.keep.bodies || length == 0 => Body::Whole(Place::NOWHERE),
            [piece] if piece.len == length => Body::Whole(piece.at),
            _ => {
                let first = self.pieces.len();
                pieces.iter().for_each(|&piece| self.pieces.push(piece));
                Body::Pieces { first, count: count32(pieces.len()) }
            }
        }
    }

    /// The pieces that a message's bytes lie in; `length` is that of the whole message.
    pub fn pieces(&self, body: Body, length: u32) -> Vec<Piece> {
        match body {
            Body::Whole(at) => vec![Piece { at, len: length }],
            Body::Pieces { first, count } => {
                (first..first.saturating_add(count)).filter_map(|at| self.pieces.at(at)).copied().collect()
            }
        }
    }

    /// A call. One that was forgotten is an empty call.
    pub fn call(&self, id: CallId) -> &Call {
        static FORGOTTEN: LazyLock<Call> = LazyLock::new(Call::forgotten);
        self.calls.at(id.0).unwrap_or_else(|| &FORGOTTEN)
    }

    /// A call, to be changed. The commit of the batch lists it as changed.
    pub fn call_mut(&mut self, id: CallId) -> &mut Call {
        match self.calls.at_mut(id.0) {
            Some(call) if !call.forgotten => {
                if call.no.is_some() && !call.changed {
                    call.changed = true;
                    self.pending.changed.push(id);
                }
                call
            }
            _ => self.forgotten.insert(Box::new(Call::forgotten())),
        }
    }

    /// Gives a call its number.
    pub(super) fn number_call(&mut self, id: CallId, no: Option<NonZero<u32>>) {
        if let Some(call) = self.calls.at_mut(id.0) {
            call.no = no;
        }
    }

    /// Ends a batch for a call that it changed. Gives its number.
    pub(super) fn take_changed(&mut self, id: CallId) -> Option<NonZero<u32>> {
        let call = self.calls.at_mut(id.0)?;
        call.changed = false;
        call.no
    }

    /// Frees a call's memory. What still comes for it goes nowhere.
    pub(super) fn forget_call(&mut self, id: CallId) {
        let Some(call) = self.calls.at_mut(id.0) else { return };
        if call.forgotten {
            return;
        }
        let left = Call { no: call.no, ..Call::forgotten() };
        let call = std::mem::replace(call, left);
        self.calls.remove(id.0, |call| call.forgotten);
        let messages = Direction::BOTH.into_iter().flat_map(|direction| call.messages(direction));
        for message in messages {
            let Body::Pieces { first, count } = message.body() else { continue };
            for at in first..first.saturating_add(count) {
                if let Some(piece) = self.pieces.at_mut(at) {
                    piece.len = 0;
                    self.pieces.remove(at, |piece| piece.len == 0);
                }
            }
        }
        if let Some(Some(connection)) = self.connections.at_mut(call.connection.0) {
            connection.forgotten_calls += 1;
        }
        self.events.forget_call(id);
        self.counted.forget(id);
    }

    /// From now on calls are forgotten.
    pub(super) fn begin_forgetting(&mut self) {
        self.headers.begin_forgetting();
    }

    /// Frees connections that have ended and whose calls were forgotten: hands each to `forgotten`.
    pub(super) fn forget_connections(&mut self, mut forgotten: impl FnMut(&Connection)) {
        let Self { ended, connections, .. } = self;
        ended.retain(|id| {
            let Some(slot) = connections.at_mut(id.0) else { return false };
            let is_over =
                |connection: &Connection| connection.no.is_some() && connection.forgotten_calls == connection.calls;
            let Some(connection) = slot.take_if(|connection| is_over(connection)) else { return slot.is_some() };
            connections.remove(id.0, Option::is_none);
            forgotten(&connection);
            false
        });
    }

    /// Frees the header lists that nobody refers to, if there may be many.
    pub(super) fn forget_headers(&mut self) {
        if self.headers.wants_sweep() {
            let held = self.calls.iter().flat_map(Call::header_lists).collect();
            self.headers.sweep(&held);
        }
    }

    /// How many calls, connections, header lists and pieces of messages take memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> [usize; 4] {
        [self.calls.held(), self.connections.held(), self.headers.held(), self.pieces.held()]
    }

    /// How many calls were added.
    pub fn call_count(&self) -> u32 {
        self.calls.len()
    }

    /// A connection. One that was forgotten has no number and unknown ends.
    pub fn connection(&self, id: ConnectionId) -> &Connection {
        static FORGOTTEN: LazyLock<Connection> = LazyLock::new(Connection::forgotten);
        self.connections.at(id.0).and_then(Option::as_ref).unwrap_or_else(|| &FORGOTTEN)
    }

    /// A connection, to be changed. The commit of the batch lists it as changed.
    pub fn connection_mut(&mut self, id: ConnectionId) -> &mut Connection {
        match self.connections.at_mut(id.0) {
            Some(Some(connection)) => {
                if connection.no.is_some() && !connection.changed {
                    connection.changed = true;
                    self.pending.changed_connections.push(id);
                }
                connection
            }
            _ => self.forgotten_connection.insert(Box::new(Connection::forgotten())),
        }
    }

    /// Ends a batch for a connection that it changed. Gives its number.
    pub(super) fn take_changed_connection(&mut self, id: ConnectionId) -> Option<u32> {
        let connection = self.connections.at_mut(id.0)?.as_mut()?;
        connection.changed = false;
        connection.number()
    }

    /// All connections that were not forgotten.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter().flatten()
    }

    /// Takes what the current batch has added.
    pub(super) fn take_pending(&mut self) -> Pending {
        std::mem::take(&mut self.pending)
    }

    /// Gives the lists back, emptied, so that the next batch uses their memory again.
    pub(super) fn reuse_pending(&mut self, pending: Pending) {
        self.pending = pending;
    }
}
