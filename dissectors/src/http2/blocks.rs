//! Header blocks: HEADERS or PUSH_PROMISE with its CONTINUATIONs (RFC 9113 §4.3), and what they mean for their stream.

use std::borrow::Cow;

use rpcshark_captures::Direction;

use super::connection::{Arrived, Http2};
use super::frame::Flags;
use super::hpack;
use super::payload::{self, Parsed, Payload};
use super::sender::{BlockOf, OpenBlock};
use super::state::Event;
use super::streams::Carries;
use crate::framed::Framed;
use crate::rpc::{OtherBlock, Role, Rpc, RpcStream};
use crate::store::{EventSpan, HeaderListId, Lane};
use crate::{Note, Severity};

impl Http2 {
    /// HEADERS or PUSH_PROMISE.
    pub(super) fn block_begins(&mut self, frame: &Arrived<'_>, of: BlockOf, lane: &mut Lane) {
        let Arrived { header, span, payload, holes, .. } = *frame;
        let Parsed { payload: parsed, faults } = payload::parse(header, payload);
        let (fragment, padding, priority, promised) = match parsed {
            Payload::Headers { priority, fragment, padding } => (Some(fragment), padding, priority, None),
            Payload::PushPromise { promised, fragment, padding } => (Some(fragment), padding, None, Some(promised)),
            _ => (None, None, None, None),
        };
        let mut frames = Vec::new();
        if lane.keep.frames {
            let mut shown = self.frame(&header, &span);
            (shown.padding, shown.priority, shown.promised) = (padding, priority, promised);
            if !holes {
                shown.notes.extend(faults.iter().map(|fault| fault.note(header.kind).at(span.last.packet)));
            }
            frames.push(shown);
        }
        let block = OpenBlock {
            stream: header.stream,
            of,
            promised: promised.filter(|_| !holes),
            bytes: Cow::Borrowed(fragment.unwrap_or_default()),
            holes: holes || fragment.is_none(),
            first: span.first,
            frames,
        };
        match header.flags.contains(Flags::END_HEADERS) {
            true => self.block_ends(block, &span, lane),
            false => self.sender(span.direction).block = Some(Box::new(block.kept())),
        }
    }

    /// CONTINUATION.
    pub(super) fn block_goes_on(&mut self, frame: &Arrived<'_>, lane: &mut Lane) {
        let Arrived { header, span, payload, holes, .. } = *frame;
        let shown = lane.keep.frames.then(|| self.frame(&header, &span));
        let sender = self.sender(span.direction);
        let Some(mut block) = sender.block.take().filter(|block| block.stream == header.stream) else {
            // Its beginning is not there: whatever it inserted is not known.
            sender.hpack.new_epoch();
            if let Some(mut shown) = shown {
                let text = "the header block that this CONTINUATION belongs to does not begin in the capture";
                shown.notes.push(Note::new(Severity::Warning, "header-block-headless", text).at(span.last.packet));
                lane.add_frame(shown);
            }
            return;
        };
        block.holes |= holes;
        // Past the limit the block cannot be decoded any more: as if the rest were missing.
        match block.bytes.len() + payload.len() <= hpack::MAX_BLOCK {
            true => block.bytes.to_mut().extend_from_slice(payload),
            false => block.holes = true,
        }
        if block.frames.len() < MAX_BLOCK_FRAMES {
            block.frames.extend(shown);
        }
        match header.flags.contains(Flags::END_HEADERS) {
            true => self.block_ends(*block, &span, lane),
            false => sender.block = Some(block),
        }
    }

    /// A header block is complete; `last` is its last frame.
    fn block_ends(&mut self, mut block: OpenBlock<'_>, last: &EventSpan, lane: &mut Lane) {
        let mut span = EventSpan { first: block.first, ..*last };
        let now = span.last;
        let sender = self.sender(span.direction);
        let mut notes = Vec::new();
        let mut list = None;
        if block.holes {
            sender.hpack.new_epoch();
            let text = "a part of the header block is missing";
            notes.push(Note::new(Severity::Warning, "header-block-missing", text).at(now.packet));
        } else {
            let (decoded, faults) = sender.decode(&block.bytes, &mut lane.headers);
            let fault = |fault: &hpack::Fault| Note::new(Severity::Error, "hpack", fault.to_string()).at(now.packet);
            notes.extend(faults.iter().map(fault));
            list = Some(decoded);
        }
        if let (Some(list), BlockOf::Headers { .. }) = (list, block.of) {
            let says = match lane.headers[list].facts.role {
                Role::Request => Some(Direction::ToServer),
                Role::Response => Some(Direction::ToClient),
                Role::Neither => None,
            };
            if let Some(says) = says {
                span.direction = self.direction_shown(says, span.direction, lane);
            }
        }
        match block.of {
            BlockOf::Headers { end_stream } => self.header_block(block.stream, list, end_stream, &span, lane),
            BlockOf::PushPromise => {
                let Some(promised) = block.promised else { return };
                self.opened[1] = self.opened[1].max(promised);
                let wrong = self.advance(promised, Event::Promise, span.direction, span.first.arrival, lane);
                if let Some(wrong) = wrong {
                    self.violation(promised, wrong, now, lane);
                }
            }
        }
        if notes.is_empty() && block.frames.is_empty() {
            return;
        }
        let call = self.streams.get_mut(block.stream).and_then(|stream| stream.call());
        if let Some(call) = call {
            notes.iter().for_each(|note| lane.call_mut(call).note(note.clone()));
        }
        if let Some(first) = block.frames.first_mut() {
            first.headers = list;
            first.notes.append(&mut notes);
        }
        for mut frame in block.frames {
            frame.call = call;
            frame.direction = span.direction;
            lane.add_frame(frame);
        }
    }

    /// A header block of the stream `id`; `None`: bytes of it are missing.
    pub(super) fn header_block(
        &mut self,
        id: u32,
        list: Option<HeaderListId>,
        end_stream: bool,
        span: &EventSpan,
        lane: &mut Lane,
    ) {
        let (direction, begin) = (span.direction, span.first.arrival);
        if id == 0 {
            self.violation(0, "HEADERS on stream 0", span.last, lane);
            return;
        }
        let new = self.streams.get_mut(id).is_none();
        let wrong = self.advance(id, Event::Headers, direction, begin, lane);
        if let Some(wrong) = wrong {
            self.violation(id, wrong, span.last, lane);
        }
        self.flow_headers(id, direction, span.last.time);
        match direction {
            Direction::ToServer => {
                let opened = &mut self.opened[usize::from(id.is_multiple_of(2))];
                *opened = id.max(*opened);
                self.client_block(id, list, span, lane);
                if new {
                    self.refuse_late_stream(id, lane);
                }
            }
            Direction::ToClient => self.server_block(id, list, new, end_stream, span, lane),
        }
        if end_stream {
            self.stream_ends(id, span, lane);
        }
    }

    fn client_block(&mut self, id: u32, list: Option<HeaderListId>, span: &EventSpan, lane: &mut Lane) {
        let connection = self.framing.connection;
        let client_whole = self.half(Direction::ToServer).whole;
        let Some(stream) = self.streams.get_mut(id) else { return };
        let facts = list.map(|list| &lane.headers[list].facts);
        let rpc = facts.map_or(Rpc::Unknown, |facts| facts.rpc);
        if stream.requested {
            if let (Some(rpc), Some(list)) = (stream.rpc(), list) {
                rpc.other_block(lane, OtherBlock::RequestTrailers, list, span);
            }
            return;
        }
        if facts.is_some_and(|facts| facts.role == Role::Neither) && !client_whole {
            return;
        }
        stream.requested = true;
        if rpc == Rpc::No {
            lane.connection_mut(connection).other_requests += 1;
        }
        // A stream that was seen before its request keeps what was seen of it.
        if stream.rpc().is_none() && rpc != Rpc::No {
            let rpc = RpcStream::begin(lane, connection, id, span.first.arrival, rpc == Rpc::Yes);
            stream.carries = Carries::Rpc(Box::new(rpc));
        }
        match (stream.rpc(), list) {
            (Some(rpc), Some(list)) => rpc.request_headers(lane, list, span),
            (Some(rpc), None) => rpc.headers_missing(lane, span),
            (None, _) => {}
        }
    }

    fn server_block(
        &mut self,
        id: u32,
        list: Option<HeaderListId>,
        new: bool,
        end_stream: bool,
        span: &EventSpan,
        lane: &mut Lane,
    ) {
        let connection = self.framing.connection;
        let client_whole = self.half(Direction::ToServer).whole;
        let Some(stream) = self.streams.get_mut(id) else { return };
        let facts = list.map(|list| &lane.headers[list].facts);
        let rpc = facts.map_or(Rpc::Unknown, |facts| facts.rpc);
        // RFC 9113 §8.1: interim responses end no stream.
        let is_interim = facts.and_then(|facts| facts.http_status.known()).is_some_and(|s| (100..200).contains(s));
        if is_interim {
            if let (Some(rpc), Some(list)) = (stream.rpc(), list) {
                rpc.other_block(lane, OtherBlock::Interim, list, span);
            }
            return;
        }
        if new && rpc != Rpc::No && !id.is_multiple_of(2) {
            let mut joined = RpcStream::begin(lane, connection, id, span.first.arrival, rpc == Rpc::Yes);
            // The request may only be late: its direction waits for a packet.
            if !client_whole {
                joined.unalign(lane, Direction::ToServer, None);
            }
            stream.carries = Carries::Rpc(Box::new(joined));
        }
        let Some(call) = stream.rpc() else { return };
        if rpc == Rpc::Yes {
            call.decide(lane);
        }
        match list {
            _ if end_stream => call.trailers(lane, list, span),
            Some(list) => call.response_headers(lane, list, span),
            None => call.headers_missing(lane, span),
        }
    }
}

/// Frames of one header block that are shown: as many as fit a block of 16 MiB in frames of the default size.
const MAX_BLOCK_FRAMES: usize = 1024;
