//! What ttrpc frames mean for their calls: which frames belong to one call, who has ended what.
//!
//! Which kind of call it is, frames do not tell for sure: servers go by the method, not by the flags.

use std::ops::Range;

use rpcshark_captures::Direction;

use super::connection::{Arrived, Ends, Ttrpc};
use super::frame::Flags;
use super::message::{self, Fault, Request, Response};
use super::parts::Contents;
use super::streams::TtrpcStream;
use crate::framed::{Position, bytes_text};
use crate::note::way;
use crate::store::{
    Call, CallEventKind, CallId, End, EventSpan, HeaderListId, HeaderLists, Lane, Message, MessageFlags, Protocol,
};
use crate::{Arrival, FirstByte, Note, Origin, Severity};

impl Ttrpc {
    /// A Request: a call begins.
    pub(super) fn request(&mut self, frame: &Arrived<'_, '_>, lane: &mut Lane) -> (CallId, Option<HeaderListId>) {
        let Arrived { header, span, contents, ends } = *frame;
        let (begin, now) = (span.first.arrival, span.last);
        let id = header.stream;
        let request = Request::read(contents);
        let call = match self.streams.get_mut(id).filter(|stream| stream.awaits_request()) {
            Some(stream) => {
                let call = lane.call_mut(stream.call);
                call.start = begin.time;
                call.seen(begin.packet);
                stream.call
            }
            None => self.begin(id, begin, lane),
        };
        let list = self.lists.enter(&request, contents, &mut lane.headers);
        let opening = header.flags.contains(Flags::REMOTE_OPEN);
        let payload = match request.payload.clone() {
            Some(payload) if opening && payload.is_empty() => None,
            // An empty message is not written; a call with more requests to come may have none here.
            None if !opening && request.fault.is_none() => Some(0..0),
            payload => payload,
        };
        {
            let call = lane.call_mut(call);
            call.request_headers = Some(list);
            call.request_headers_at = Some(now.time);
            if header.flags.0 != 0 {
                call.rare.get_or_insert_default().ttrpc_flags = header.flags.0;
            }
            if id.is_multiple_of(2) {
                let text = format!("stream {id} is even: servers refuse it");
                call.note(Note::new(Severity::Warning, "ttrpc-stream-id", text).at(now.packet));
            }
            if let Some(note) = request.fault.and_then(|fault| fault_note("Request", fault, request.is_opaque())) {
                call.note(note.at(now.packet));
            }
        }
        lane.add_event(call, CallEventKind::Headers(Some(list)), &span);
        if let Some(payload) = payload {
            self.message(call, frame, payload, MessageFlags::default(), lane);
        }
        let Some(stream) = self.streams.get_mut(id) else { return (call, Some(list)) };
        stream.requested = true;
        stream.seen[Direction::ToServer.index()] = true;
        let closes = header.flags.contains(Flags::REMOTE_CLOSED) || !opening;
        if closes && ends == Ends::Whole {
            stream.client_open = false;
            lane.call_mut(call).half_close_at = Some(now.time);
            lane.add_event(call, CallEventKind::HalfClose, &span);
        }
        if stream.done {
            self.complete(id, lane);
        }
        self.streams.highest = self.streams.highest.max(id);
        (call, Some(list))
    }

    /// Enters a call, and its stream in place of whatever had its id before.
    fn begin(&mut self, id: u32, begin: Arrival, lane: &mut Lane) -> CallId {
        let mut call = Call::new(Protocol::Ttrpc, self.framing.connection, id, begin.time, begin.packet);
        if let Some((number, _)) = self.trunk {
            call.rare.get_or_insert_default().trunk = Some(number);
        }
        let call = lane.add_call(call);
        let breaks = self.framing.halves.each_ref().map(|half| half.breaks);
        let (reused, forgotten) = self.streams.enter(id, call, breaks);
        if let Some(before) = reused {
            let text = format!("stream {id} was used before: Go servers refuse that from 1.2 on");
            lane.call_mut(call).note(Note::new(Severity::Warning, "ttrpc-id-reused", text).at(begin.packet));
            self.drop_stream(&before, "its stream is used again", begin, lane);
        }
        for stream in forgotten {
            self.drop_stream(&stream, "too many streams are in use", begin, lane);
        }
        call
    }

    /// A stream is not followed any more.
    fn drop_stream(&self, stream: &TtrpcStream, why: &str, now: Arrival, lane: &mut Lane) {
        if stream.completed {
            return;
        }
        if !stream.done {
            let text = format!("the call is not followed to its end: {why}");
            lane.call_mut(stream.call).note(Note::new(Severity::Info, "ttrpc-dropped", text).at(now.packet));
        }
        lane.complete_call(stream.call);
    }

    /// The call of a frame that is not a Request: a known one, or one that began before the capture. `None`: it has ended and was forgotten.
    fn known_or_joined(&mut self, direction: Direction, id: u32, begin: Arrival, lane: &mut Lane) -> Option<CallId> {
        let whole = self.framing.is_whole();
        if self.streams.get_mut(id).is_none() {
            if whole && id <= self.streams.highest {
                let text = format!("there is a frame {} on stream {id}, which is not in use", way(direction));
                self.framing.note(lane, Note::new(Severity::Info, "ttrpc-orphan", text).at(begin.packet));
                return None;
            }
            self.begin(id, begin, lane);
        }
        let breaks = self.framing.breaks();
        let stream = self.streams.get_mut(id)?;
        stream.pass_breaks(breaks, lane);
        stream.seen[direction.index()] = true;
        Some(stream.call)
    }

    /// A Response: the call ends.
    pub(super) fn response(&mut self, frame: &Arrived<'_, '_>, lane: &mut Lane) -> Option<CallId> {
        let Arrived { header, span, contents, ends } = *frame;
        let (begin, now) = (span.first.arrival, span.last);
        let id = header.stream;
        let response = Response::read(contents);
        let id_of_call = self.known_or_joined(Direction::ToClient, id, begin, lane)?;
        let late = self.streams.get_mut(id).is_some_and(|stream| stream.done);
        let call = lane.call_mut(id_of_call);
        if let Some(note) = response.fault.and_then(|fault| fault_note("Response", fault, response.payload.is_none())) {
            call.note(note.at(now.packet));
        }
        let status = response.status.filter(|status| !status.is_empty());
        let answered = call.response.is_some();
        let payload = response.payload.clone().or_else(|| {
            // An empty message is not written. A call that has answered by Data, or that failed, has none here.
            let empty = response.fault.is_none() && response.code() == 0 && !answered && !late;
            empty.then_some(0..0)
        });
        if late {
            let text = "a Response came after the call had ended";
            call.note(Note::new(Severity::Info, "ttrpc-late", text).at(now.packet));
            if let Some(status) = status {
                call.rare.get_or_insert_default().late_status = Some(status.into());
            }
        }
        if let Some(payload) = payload {
            let flags = if late { MessageFlags::LATE } else { MessageFlags::default() };
            self.message(id_of_call, frame, payload, flags, lane);
        }
        if late || ends == Ends::Short {
            return Some(id_of_call);
        }
        let call = lane.call_mut(id_of_call);
        if let Some(status) = status {
            call.rare.get_or_insert_default().ttrpc_status = Some(status.into());
        }
        // Senders write the status first: after a payload there is none.
        let status_seen = response.status.is_some() || response.payload.is_some();
        let end = match response.fault {
            Some(Fault::Missing) if !status_seen => End::Gap,
            Some(Fault::Wrong(_)) => {
                call.rare.get_or_insert_default().ttrpc_opaque = true;
                End::Response
            }
            _ => End::Response,
        };
        self.server_ends(id, end, &span, lane);
        Some(id_of_call)
    }

    /// A Data frame: a message, or the end of what its sender has to say, or both.
    pub(super) fn data(&mut self, frame: &Arrived<'_, '_>, lane: &mut Lane) -> Option<CallId> {
        let Arrived { header, span, ends, .. } = *frame;
        let (direction, begin, now) = (span.direction, span.first.arrival, span.last);
        let call = self.known_or_joined(direction, header.stream, begin, lane)?;
        let stream = self.streams.get_mut(header.stream)?;
        let late = stream.done;
        let after_close = direction == Direction::ToServer && !stream.client_open && !late;
        let closes = header.flags.contains(Flags::REMOTE_CLOSED) && ends == Ends::Whole;
        if closes && direction == Direction::ToServer {
            stream.client_open = false;
            let call = lane.call_mut(call);
            call.half_close_at = call.half_close_at.or(Some(now.time));
        }
        if after_close {
            let text = "the client sends Data behind its end: Go servers up to 1.2.8 crash on it in a unary call";
            lane.call_mut(call).note(Note::new(Severity::Warning, "ttrpc-after-close", text).at(now.packet));
        }
        if !(header.flags.contains(Flags::NO_DATA) && header.length == 0) {
            let flags = if late { MessageFlags::LATE } else { MessageFlags::default() };
            self.message(call, frame, 0..header.length, flags, lane);
        }
        if closes {
            lane.add_event(call, CallEventKind::HalfClose, &span);
        }
        if closes && direction == Direction::ToClient && !late {
            self.server_ends(header.stream, End::Data, &span, lane);
        }
        Some(call)
    }

    /// Enters a message.
    fn message(&self, id: CallId, frame: &Arrived<'_, '_>, range: Range<u32>, flags: MessageFlags, lane: &mut Lane) {
        let Arrived { contents, span, ends, .. } = *frame;
        let (direction, now) = (span.direction, span.last);
        let length = range.end - range.start;
        let (pieces, missing) = contents.pieces(range.start, range.end);
        let body = lane.add_pieces(&pieces, length);
        let mut message = Message::new(direction, length, body, now.time, now.packet);
        message.flags = message.flags.with(flags);
        let call = lane.call_mut(id);
        if missing {
            message.flags = message.flags.with(MessageFlags::CUT);
            let (way, bytes) = (way(direction), bytes_text(length.into()));
            let text = match ends {
                Ends::Whole => format!("a part of a message of {bytes} {way} is missing"),
                Ends::Short => format!("a message of {bytes} {way} is cut short: nothing follows"),
            };
            call.note(Note::new(Severity::Warning, "message-cut", text).at(now.packet));
        }
        call.add_message(message);
        lane.add_message_event(id, &span);
    }

    /// The server has ended a stream.
    fn server_ends(&mut self, id: u32, end: End, span: &EventSpan, lane: &mut Lane) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let now = span.last;
        stream.done = true;
        let requested = stream.requested;
        let call = lane.call_mut(stream.call);
        if call.end(end, now.time) {
            lane.add_event(stream.call, CallEventKind::Ended(end), span);
        }
        if let Some(late_ns) = behind_deadline(stream.call, now, lane) {
            let text = format!("answered {:.3} ms after the deadline: the client has given up", late_ns as f64 / 1e6);
            let note = Note::new(Severity::Info, "ttrpc-deadline", text).at(now.packet);
            lane.call_mut(stream.call).note(note);
        }
        if requested {
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
        let call = stream.call;
        lane.complete_call(call);
        self.streams.complete(id, call);
    }

    /// The client is the other side.
    pub(super) fn swap_calls(&mut self, lane: &mut Lane) {
        for (_, stream) in self.streams.in_order() {
            stream.swap_roles();
            lane.swap_event_roles(stream.call);
            let call = lane.call_mut(stream.call);
            call.swap_roles();
            // Only Data was there so far: what ended it was the client's half-close, and the other way round.
            let ended = call.ended_at.take();
            call.end = call.half_close_at.map(|_| End::Data);
            call.ended_at = call.half_close_at;
            call.half_close_at = ended;
        }
    }

    /// Ends what is still open: by the connection's end, or (`None`) by that of the capture.
    pub(super) fn abandon(&mut self, now: Option<Arrival>, lane: &mut Lane) {
        let at = now.unwrap_or(self.latest);
        for direction in Direction::BOTH {
            self.open_frame_ends(direction, Ends::Short, lane);
            let half = self.framing.half(direction);
            if let Position::Header(partial) = &half.position
                && partial.len() > 0
            {
                let bytes = bytes_text(partial.len() as u64);
                half.position = Position::boundary();
                let text = format!("the last {bytes} {} are the beginning of a frame", way(direction));
                self.framing.note(lane, Note::new(Severity::Info, "frame-cut", text).at(at.packet));
            }
        }
        let (breaks, whole) = (self.framing.breaks(), self.framing.is_whole());
        let half = self.framing.half(Direction::ToClient);
        let (offset, acked) = (half.offset, half.acked);
        let first = FirstByte { arrival: at, origin: Origin { offset, acked }, order: 0 };
        let end = lane.event_span(Direction::ToClient, first, offset, at);
        let mut open = Vec::new();
        for (id, stream) in self.streams.in_order() {
            if stream.completed {
                continue;
            }
            stream.pass_breaks(breaks, lane);
            let abandoned = !stream.done && behind_deadline(stream.call, at, lane).is_some();
            let call = lane.call_mut(stream.call);
            if abandoned {
                let text =
                    "it was not answered within its deadline: the client has given up, which ttrpc does not send";
                call.note(Note::new(Severity::Info, "ttrpc-abandoned", text).at(at.packet));
            }
            if !stream.requested {
                let severity = if whole { Severity::Warning } else { Severity::Info };
                call.note(Note::new(severity, "ttrpc-orphan", "its Request is not in the capture"));
            }
            if now.is_some() {
                if call.end(End::Connection, at.time) {
                    lane.add_event(stream.call, CallEventKind::Ended(End::Connection), &end);
                }
                open.push(id);
            }
        }
        for id in open {
            self.complete(id, lane);
        }
    }
}

/// The lists that were entered last: clients say the same with most of their requests.
#[derive(Debug, Default)]
pub(super) struct ListCache {
    recent: [Option<(Box<[u8]>, HeaderListId)>; 8],
    next: usize,
}

/// A longer one is not likely to come again.
const MAX_CACHED: usize = 1024;

impl ListCache {
    fn enter<'a>(&mut self, request: &Request<'a>, contents: &Contents<'a>, lists: &mut HeaderLists) -> HeaderListId {
        let key = request.besides(contents).filter(|[before, behind]| before.len() + behind.len() <= MAX_CACHED);
        let same = |known: &[u8]| key.is_some_and(|[before, behind]| known.strip_prefix(before) == Some(behind));
        let known = self.recent.iter().flatten().find(|(known, _)| same(known)).map(|&(_, id)| id);
        if let Some(id) = known.filter(|&id| lists.renew(id)) {
            return id;
        }
        let id = lists.enter_judged(&request.fields(), message::facts);
        if let (Some(key), Some(slot)) = (key, self.recent.get_mut(self.next)) {
            *slot = Some((key.concat().into(), id));
            self.next = (self.next + 1) % self.recent.len();
        }
        id
    }
}

/// What to say about a message that cannot be read, or not to its end.
fn fault_note(what: &str, fault: Fault, opaque: bool) -> Option<Note> {
    Some(match fault {
        Fault::Missing => Note::new(Severity::Warning, "frame-cut", format!("a part of the {what} is missing")),
        Fault::Wrong(why) if opaque => {
            let text = format!("the {what} cannot be decoded ({why}): it may be encrypted");
            Note::new(Severity::Error, "not-decodable", text)
        }
        Fault::Wrong(why) => Note::new(Severity::Error, "not-decodable", format!("the {what} is not whole: {why}")),
    })
}

/// How long after its deadline a call is, if it is.
fn behind_deadline(call: CallId, now: Arrival, lane: &Lane) -> Option<i64> {
    let call = lane.call(call);
    let timeout = lane.headers[call.request_headers?].facts.timeout_ns?;
    let late = now.time.nanos_since(call.start).saturating_sub_unsigned(timeout);
    (late > 0).then_some(late)
}
