//! The lives of streams: their states, and what ends them before their time (RST_STREAM, GOAWAY, the connection's end).

use std::num::NonZero;

use rpcshark_captures::Direction;

use super::connection::Http2;
use super::flow::stream_torn;
use super::state::{Event, State};
use super::streams::{Carries, Http2Stream};
use crate::rpc::RpcStream;
use crate::store::{EventSpan, Lane};
use crate::{Arrival, FirstByte, Origin};

/// Resets whose sender had acknowledged more of the other flow than has been delivered. They wait for that.
#[derive(Debug, Default)]
pub(super) struct WaitingResets {
    waiting: Vec<WaitingReset>,
    /// The least acknowledged offset among those of each direction.
    least: [Option<u64>; 2],
}

#[derive(Clone, Copy, Debug)]
struct WaitingReset {
    /// So much of the other flow.
    acked: u64,
    stream: u32,
    code: u32,
    span: EventSpan,
}

/// Resets that may wait at once; more than a real peer has under way.
const MAX_WAITING: usize = 1024;

impl WaitingResets {
    fn least_of(waiting: &[WaitingReset]) -> [Option<u64>; 2] {
        Direction::BOTH.map(|direction| {
            let of_direction = waiting.iter().filter(|reset| reset.span.direction == direction);
            of_direction.map(|reset| reset.acked).min()
        })
    }
}

/// The streams that GOAWAY frames of one direction have refused.
#[derive(Debug, Default)]
pub(super) struct RefusedStreams {
    /// The last GOAWAY with the lowest last stream so far. Streams above that were not processed.
    lowest: Option<(u32, EventSpan)>,
}

impl Http2 {
    /// A side has ended a stream.
    pub(super) fn stream_ends(&mut self, id: u32, span: &EventSpan, lane: &mut Lane) {
        let direction = span.direction;
        self.advance(id, Event::End, direction, span.last, lane);
        let offset = self.half(direction).offset;
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.ended[direction.index()] = true;
        if direction == Direction::ToClient {
            stream.answered_at = stream.answered_at.or(NonZero::new(offset));
        }
        if let Some(rpc) = stream.rpc() {
            rpc.half_close(lane, span);
        }
        if stream.state == State::Closed {
            self.complete(id, lane);
        }
    }

    /// Nothing more is expected of a stream.
    fn complete(&mut self, id: u32, lane: &mut Lane) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.completed {
            return;
        }
        stream.completed = true;
        if let Some(call) = stream.call() {
            lane.complete_call(call);
        }
        self.streams.close(id);
    }

    /// Brings a stream to its next state; what is wrong about that. A stream that is not known is made.
    pub(super) fn advance(
        &mut self,
        id: u32,
        event: Event,
        direction: Direction,
        now: Arrival,
        lane: &mut Lane,
    ) -> Option<&'static str> {
        let breaks = self.framing.halves.each_ref().map(|half| half.breaks);
        let whole = self.framing.halves.iter().all(|half| half.whole);
        // The common case: a stream that is known, and nothing was missing since it was looked at.
        if id != 0
            && let Some(stream) = self.streams.get_mut(id)
            && stream.breaks == breaks
        {
            return stream.advance(event, direction, whole);
        }
        let known = self.streams.get_mut(id).is_some();
        let wholes = self.framing.halves.each_ref().map(|half| half.whole);
        if id == 0 {
            return Some("a frame that needs a stream is on stream 0");
        }
        // Streams are opened in the order of their ids: this one has closed and is forgotten.
        if !known && whole && id <= self.opened[usize::from(id.is_multiple_of(2))] {
            return Some("a frame is on a stream that has closed");
        }
        if !known {
            let mut stream = Http2Stream::new();
            stream.breaks = breaks;
            // A stream that was joined in the middle: perhaps a call; where its messages begin is not known.
            if !whole && event == Event::Data && !id.is_multiple_of(2) {
                let mut rpc = RpcStream::begin(lane, self.framing.connection, id, now, false);
                for direction in Direction::BOTH.into_iter().filter(|direction| !wholes[direction.index()]) {
                    rpc.unalign(lane, direction, None);
                }
                stream.carries = Carries::Rpc(Box::new(rpc));
            }
            if !self.streams.open(id, stream) {
                return Some("more streams are open than are followed at once");
            }
        }
        let stream = self.streams.get_mut(id)?;
        if stream.breaks != breaks {
            let broken_at = self.framing.halves.each_ref().map(|half| half.broken_at);
            stream.pass_breaks(&breaks, &broken_at, lane);
        }
        stream.advance(event, direction, whole)
    }

    /// RST_STREAM. The two directions are delivered independently. What the other side had sent before, as far as the sender
    /// of the reset had acknowledged it, comes first.
    pub(super) fn rst_stream(&mut self, id: u32, code: u32, span: EventSpan, lane: &mut Lane) {
        let direction = span.direction;
        let other = &self.framing.halves[direction.reverse().index()];
        if let Some(acked) = self.framing.halves[direction.index()].acked
            && acked > other.offset
            && self.resets.waiting.len() < MAX_WAITING
        {
            let least = &mut self.resets.least[direction.index()];
            *least = Some(least.map_or(acked, |least| least.min(acked)));
            self.resets.waiting.push(WaitingReset { acked, stream: id, code, span });
            return;
        }
        self.reset(id, code, &span, lane);
    }

    /// Enters the resets whose turn has come, or all of them.
    pub(super) fn release_resets(&mut self, all: bool, lane: &mut Lane) {
        if self.resets.waiting.is_empty() {
            return;
        }
        let offsets = Direction::BOTH.map(|direction| self.framing.halves[direction.reverse().index()].offset);
        let is_due = |direction: Direction, acked: u64| all || acked <= offsets[direction.index()];
        let least = self.resets.least;
        if !Direction::BOTH.into_iter().any(|d| least[d.index()].is_some_and(|acked| is_due(d, acked))) {
            return;
        }
        let waiting = std::mem::take(&mut self.resets.waiting);
        let (due, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|reset| is_due(reset.span.direction, reset.acked));
        self.resets = WaitingResets { least: WaitingResets::least_of(&waiting), waiting };
        for WaitingReset { stream, code, mut span, .. } in due {
            // It follows what its sender had seen.
            span.order = lane.event_order();
            self.reset(stream, code, &span, lane);
        }
    }

    fn reset(&mut self, id: u32, code: u32, span: &EventSpan, lane: &mut Lane) {
        // A reset says nothing about a stream of which nothing else was seen.
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream_torn(&self.flow, stream, span.last, lane);
        let direction = span.direction;
        let wrong = self.advance(id, Event::Reset, direction, span.last, lane);
        if let Some(wrong) = wrong {
            self.violation(id, wrong, span.last, lane);
        }
        let acked = self.framing.halves[direction.index()].acked;
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.ended[direction.index()] = true;
        // The end of the answer was on its way when the client gave up: for the client the reset came first.
        let crossed = direction == Direction::ToServer
            && acked.zip(stream.answered_at).is_some_and(|(acked, end)| acked < end.get());
        if let Some(rpc) = stream.rpc() {
            rpc.reset(lane, code, crossed, span);
        }
        self.complete(id, lane);
    }

    /// RFC 9113 §6.8: streams of the other side above the last stream id were not processed, nor are those that begin later.
    pub(super) fn goaway(&mut self, last: u32, span: &EventSpan, lane: &mut Lane) {
        let refused = &mut self.refused[span.direction.index()];
        // A server may send several, each with a last stream that is not above the one before.
        if refused.lowest.is_some_and(|(lowest, _)| lowest <= last) {
            return;
        }
        refused.lowest = Some((last, *span));
        let odd = span.direction == Direction::ToClient;
        for id in self.streams.take_open_above(last, odd) {
            self.refuse(id, span, false, lane);
        }
    }

    /// A stream that begins when a GOAWAY has already refused it.
    pub(super) fn refuse_late_stream(&mut self, id: u32, lane: &mut Lane) {
        // The client opens odd streams, which the server's GOAWAY refuses.
        let refusing = if id.is_multiple_of(2) { Direction::ToServer } else { Direction::ToClient };
        if let Some((last, goaway)) = self.refused[refusing.index()].lowest
            && id > last
        {
            let order = lane.event_order();
            self.refuse(id, &EventSpan { order, ..goaway }, true, lane);
        }
    }

    /// `in_advance`: the GOAWAY came before the stream.
    fn refuse(&mut self, id: u32, span: &EventSpan, in_advance: bool, lane: &mut Lane) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.state != State::Closed) else { return };
        stream_torn(&self.flow, stream, span.last, lane);
        if let Some(rpc) = stream.rpc() {
            rpc.refused(lane, span, in_advance);
        }
        self.complete(id, lane);
    }

    /// The client is the other side.
    pub(super) fn swap_streams(&mut self, lane: &mut Lane) {
        self.refused.swap(0, 1);
        for (_, stream) in self.streams.in_order() {
            if let State::HalfClosed(ended) = stream.state {
                stream.state = State::HalfClosed(ended.reverse());
            }
            stream.ended.swap(0, 1);
            stream.breaks.swap(0, 1);
            if let Some(rpc) = stream.rpc() {
                rpc.swap_roles();
            }
            if let Some(call) = stream.call() {
                lane.call_mut(call).swap_roles();
                lane.swap_event_roles(call);
            }
        }
    }

    /// The end of the connection as a span: nothing, after all that was read.
    pub(super) fn end_span(&mut self, direction: Direction, now: Arrival, lane: &mut Lane) -> EventSpan {
        let half = self.half(direction);
        let (offset, acked) = (half.offset, half.acked);
        let first = FirstByte { arrival: now, origin: Origin { offset, acked }, order: 0 };
        lane.event_span(direction, first, offset, now)
    }

    /// Ends what is still open: by the connection's end, or (`None`) by that of the capture.
    pub(super) fn abandon(&mut self, end: Option<&EventSpan>, lane: &mut Lane) {
        self.release_resets(true, lane);
        self.keep_windows(self.framing.connection, lane);
        let now = end.map_or(self.last, |span| span.last);
        let breaks = self.framing.halves.each_ref().map(|half| half.breaks);
        let broken_at = self.framing.halves.each_ref().map(|half| half.broken_at);
        let mut open = Vec::new();
        for (id, stream) in self.streams.in_order() {
            stream.pass_breaks(&breaks, &broken_at, lane);
            stream_torn(&self.flow, stream, now, lane);
            match &mut stream.carries {
                Carries::Rpc(rpc) => rpc.abandon(lane, end),
                // Its memory was given back, and it does not need it again.
                Carries::Ended(call) => RpcStream::resumed(*call).abandon(lane, end),
                Carries::Other => {}
            }
            if end.is_some() && !stream.completed {
                open.push(id);
            }
        }
        for id in open {
            self.complete(id, lane);
        }
    }
}
