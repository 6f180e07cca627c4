//! ttrpc on one connection, both directions.
//!
//! Frames are read as their bytes arrive. A Request or a Response is gathered where it comes in parts, a Data frame never
//! is: only where its bytes lie is kept. What is decided here: which frames belong to one call, who has ended what, which
//! side is the client, and what a gap hides. Which kind of call it is, frames do not tell for sure: servers go by the
//! method, not by the flags.

use std::ops::Range;

use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Gap, Input, Place};

use super::frame::{Flags, FrameHeader, FrameType, MAX_LENGTH};
use super::message::{self, Fault, Request, Response};
use super::parts::{Contents, Parts};
use super::resync::{self, Highest};
use super::streams::{Stream, Streams};
use crate::note::way;
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::seek::Seeker;
use crate::store::{
    Call, CallId, ClientBy, ConnectionId, ConnectionProtocol, End, Frame, Framing, HeaderListId, HeaderLists, Lane,
    Message, MessageFlags, Piece, Protocol,
};
use crate::{Arrival, Note, Severity};

/// ttrpc on one connection.
#[derive(Debug)]
pub struct Ttrpc {
    connection: ConnectionId,
    /// By [`Direction::index`], as the directions are taken now.
    halves: [Half; 2],
    streams: Streams,
    lists: ListCache,
    /// Whether the input's directions are the other way round.
    roles_swapped: bool,
    /// Whether they may still swap out to be the other way round.
    roles_may_swap: bool,
    proven: bool,
    /// Where it is carried in a trunk: its number there, and whether its client is what the connection calls the server.
    trunk: Option<(u32, bool)>,
    /// When something was last seen.
    latest: Arrival,
    /// The server has closed its side.
    over: bool,
}

/// One direction of a connection.
#[derive(Debug)]
struct Half {
    reading: Reading,
    /// Gaps behind which a boundary had to be found.
    breaks: u32,
    /// The last of them.
    broken_at: Arrival,
    /// Whether everything from the connection's beginning on was seen.
    whole: bool,
    /// How often a boundary that was found may yet be given up again before the next gap.
    retries: u8,
    /// Frames read since a boundary was found.
    since_found: u32,
}

/// Where in the bytes a direction stands.
#[derive(Debug)]
enum Reading {
    /// In a frame's header.
    Header(PartialHeader),
    /// In a frame's data.
    Data(Box<OpenFrame>),
    /// Somewhere.
    Seeking(Box<Seeker>),
}

/// A frame header, as far as it is there.
#[derive(Clone, Copy, Debug, Default)]
struct PartialHeader {
    bytes: [u8; FrameHeader::LEN],
    len: usize,
    begin: Arrival,
}

/// A frame whose data is not complete.
#[derive(Debug)]
struct OpenFrame {
    header: FrameHeader,
    begin: Arrival,
    /// When the last of what is there was there.
    last: Arrival,
    /// Bytes that are yet to come.
    left: u32,
    parts: Parts,
}

/// A frame, with all of its data that will ever be there.
#[derive(Clone, Copy, Debug)]
struct Arrived<'a, 'b> {
    header: FrameHeader,
    begin: Arrival,
    contents: &'a Contents<'b>,
    /// When its last byte was there.
    now: Arrival,
    ends: Ends,
}

/// How a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// Where its header says.
    Whole,
    /// With the connection or the capture, which end inside of it.
    Short,
}

/// How often a boundary may be given up again: each time costs another look at what is held.
const RETRIES: u8 = 4;

/// So many frames behind a boundary that was found may still show that it was none.
const DOUBTED_FRAMES: u32 = 16;

impl Ttrpc {
    /// A connection whose bytes begin with the next input.
    pub fn new(connection: ConnectionId, join_point: JoinPoint) -> Self {
        let in_the_middle = join_point == JoinPoint::Middle;
        let half = || match in_the_middle {
            true => Half::new(seeking(resync::UNKNOWN), false),
            false => Half::new(Reading::Header(PartialHeader::default()), true),
        };
        Self {
            connection,
            halves: [half(), half()],
            streams: Streams::default(),
            lists: ListCache::default(),
            roles_swapped: false,
            roles_may_swap: true,
            proven: !in_the_middle,
            trunk: None,
            latest: Arrival::default(),
            over: false,
        }
    }

    /// A connection that somebody says is ttrpc, and that was joined in the middle.
    pub(crate) fn decode_as(connection: ConnectionId) -> Self {
        let half = || Half::new(seeking(resync::KNOWN), false);
        Self { halves: [half(), half()], ..Self::new(connection, JoinPoint::Middle) }
    }

    /// The connection with this number in a trunk; `reversed`: its client is what the trunk's connection calls the server.
    pub(super) fn in_trunk(connection: ConnectionId, join_point: JoinPoint, number: u32, reversed: bool) -> Self {
        let this = match join_point {
            JoinPoint::Start => Self::new(connection, join_point),
            JoinPoint::Middle => Self::decode_as(connection),
        };
        Self { roles_may_swap: false, proven: true, trunk: Some((number, reversed)), ..this }
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        &mut self.halves[direction.index()]
    }

    fn oriented(&self, direction: Direction) -> Direction {
        if self.roles_swapped { direction.reverse() } else { direction }
    }

    fn whole(&self) -> bool {
        self.halves.iter().all(|half| half.whole)
    }

    /// Reads on in one direction of the input until `data` is used up.
    fn read(&mut self, from: Direction, data: Data<'_>, lane: &mut Lane) {
        let proven = self.proven;
        self.read_known(from, data, lane);
        self.read_found(from, lane);
        if self.proven != proven {
            // What was too little to show that this is ttrpc may be enough to find a frame in what is.
            self.read_found(from.reverse(), lane);
        }
    }

    /// Reads what lies behind a boundary that was sought and has been found. Each round gives up a boundary that the last one
    /// had found, and retries are few.
    fn read_found(&mut self, from: Direction, lane: &mut Lane) {
        while let Some(held) = self.found(from, lane) {
            for data in held.data() {
                self.read_known(from, data, lane);
            }
        }
    }

    fn read_known(&mut self, from: Direction, mut data: Data<'_>, lane: &mut Lane) {
        while !data.bytes.is_empty() {
            // A frame may show that the directions are the other way round.
            let direction = self.oriented(from);
            let highest = self.streams.highest;
            match &mut self.half(direction).reading {
                Reading::Header(partial) => match partial.read(&mut data) {
                    Some((header, begin)) => self.frame_begins(direction, header, begin, &mut data, lane),
                    None => return,
                },
                Reading::Data(_) => self.frame_goes_on(direction, &mut data, lane),
                Reading::Seeking(seeker) => return seeker.push(&data, &Highest(highest)),
            }
        }
    }

    /// What lies behind a boundary that has been found.
    fn found(&mut self, from: Direction, lane: &mut Lane) -> Option<crate::held::Held> {
        let direction = self.oriented(from);
        let half = self.half(direction);
        if !matches!(&half.reading, Reading::Seeking(seeker) if seeker.is_found()) {
            return None;
        }
        let Reading::Seeking(seeker) = std::mem::replace(&mut half.reading, header()) else { return None };
        half.since_found = 0;
        let (held, lost) = seeker.into_found();
        if lost > 0 {
            let text = format!("{lost} bytes {} were passed over to find where a frame begins", way(direction));
            let packet = held.data().next().map(|data| data.packet.no).unwrap_or_default();
            self.note(lane, Note::new(Severity::Warning, "resynchronised", text).at(packet));
        }
        if !self.proven {
            self.proven = true;
            lane.connection_mut(self.connection).protocol = ConnectionProtocol::Ttrpc;
            // The other direction needs less evidence now.
            let highest = Highest(self.streams.highest);
            let other = self.half(direction.reverse());
            if let Reading::Seeking(seeker) = &mut other.reading {
                seeker.needs(resync::KNOWN, &highest);
            }
        }
        Some(held)
    }

    fn frame_begins(
        &mut self,
        direction: Direction,
        header: FrameHeader,
        begin: Arrival,
        data: &mut Data<'_>,
        lane: &mut Lane,
    ) {
        let half = self.half(direction);
        half.since_found = half.since_found.saturating_add(1);
        let doubted = half.breaks > 0 && half.since_found <= DOUBTED_FRAMES && half.retries > 0;
        if doubted && !header.is_plausible() {
            half.retries -= 1;
            half.break_off(begin);
            return;
        }
        if header.is_absurd() {
            half.break_off(begin);
            let text = format!("no frame {} can begin with what stands where one should", way(direction));
            self.note(lane, Note::new(Severity::Error, "ttrpc-header", text).at(begin.packet));
            return;
        }
        if data.bytes.len() < header.length as usize {
            let parts = Parts::default();
            let last = Arrival::from(&*data);
            half.reading = Reading::Data(Box::new(OpenFrame { header, begin, last, left: header.length, parts }));
            return;
        }
        // The common case: all of it is here.
        half.reading = self::header();
        let (whole, rest) = data.split(header.length as usize);
        *data = rest;
        let at = if whole.bytes.is_empty() { Place::NOWHERE } else { whole.at };
        let piece = Piece { at, len: header.length };
        let contents = Contents::whole(whole.bytes, &piece);
        let now = Arrival::from(&whole);
        self.frame(direction, &Arrived { header, begin, contents: &contents, now, ends: Ends::Whole }, lane);
    }

    /// Reads on in a frame's data.
    fn frame_goes_on(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane) {
        let half = self.half(direction);
        let Reading::Data(open) = &mut half.reading else { return };
        let (head, rest) = data.split(open.left as usize);
        *data = rest;
        open.parts.push(&head, open.header.kind != FrameType::DATA);
        open.left -= head.bytes.len() as u32;
        open.last = Arrival::from(&head);
        if open.left == 0 {
            self.open_frame_ends(direction, Ends::Whole, lane);
        }
    }

    /// Ends the frame that is open, if one is: what has not come of it is missing.
    fn open_frame_ends(&mut self, direction: Direction, ends: Ends, lane: &mut Lane) {
        match std::mem::replace(&mut self.half(direction).reading, header()) {
            Reading::Data(mut open) => {
                open.parts.gap(open.left);
                let OpenFrame { header, begin, last: now, parts, .. } = *open;
                self.frame(direction, &Arrived { header, begin, contents: &parts.contents(), now, ends }, lane);
            }
            other => self.half(direction).reading = other,
        }
    }

    /// A frame is complete.
    fn frame(&mut self, direction: Direction, arrived: &Arrived<'_, '_>, lane: &mut Lane) {
        let Arrived { header, contents, now, .. } = *arrived;
        let direction = self.direction_by(header.kind, direction, lane);
        let mut notes = strange(&header, now);
        let mut headers = None;
        let call = match (header.kind, direction) {
            (FrameType::REQUEST, Direction::ToServer) => {
                let (call, list) = self.request(arrived, lane);
                headers = list;
                Some(call)
            }
            (FrameType::RESPONSE, Direction::ToClient) => self.response(arrived, lane),
            (FrameType::DATA, _) => self.data(direction, arrived, lane),
            (FrameType::REQUEST | FrameType::RESPONSE, _) => {
                let text = format!("a {} of stream {} that goes {}", header.kind, header.stream, way(direction));
                notes.push(Note::new(Severity::Warning, "ttrpc-direction", text).at(now.packet));
                None
            }
            _ => self.streams.get_mut(header.stream).map(|stream| stream.call),
        };
        if let Some(call) = call {
            lane.call_mut(call).seen(now.packet);
        }
        for note in &notes {
            match call {
                Some(call) => lane.call_mut(call).note(note.clone()),
                None => self.note(lane, note.clone()),
            }
        }
        if !lane.keep.frames {
            return;
        }
        if contents.holes {
            notes.push(Note::new(Severity::Warning, "frame-cut", "a part of the frame is missing").at(now.packet));
        }
        let reversed = self.trunk.is_some_and(|(_, reversed)| reversed);
        let payload = match header.kind {
            FrameType::REQUEST | FrameType::RESPONSE | FrameType::DATA => Box::default(),
            _ => contents.beginning().into(),
        };
        lane.add_frame(Frame {
            packet: now.packet,
            time: now.time,
            connection: self.connection,
            direction: if reversed { direction.reverse() } else { direction },
            protocol: Framing::Ttrpc,
            stream: header.stream,
            kind: header.kind.0,
            flags: header.flags.0,
            length: header.length,
            call,
            headers,
            promised: None,
            padding: None,
            priority: None,
            payload,
            trunk: self.trunk.map(|(number, _)| number),
            notes,
        });
    }

    /// The direction in which a frame went: clients ask and servers answer, so where the client was only guessed at, that
    /// decides.
    fn direction_by(&mut self, kind: FrameType, direction: Direction, lane: &mut Lane) -> Direction {
        let says = match kind {
            FrameType::REQUEST => Direction::ToServer,
            FrameType::RESPONSE => Direction::ToClient,
            _ => return direction,
        };
        if !self.roles_may_swap {
            return direction;
        }
        self.roles_may_swap = false;
        let swap = says != direction;
        if swap {
            self.swap_roles(lane);
        }
        lane.connection_mut(self.connection).client_identified(swap, ClientBy::Protocol);
        says
    }

    /// What was taken for the client is the server: everything so far is turned round.
    fn swap_roles(&mut self, lane: &mut Lane) {
        self.roles_swapped = !self.roles_swapped;
        self.halves.swap(0, 1);
        for (_, stream) in self.streams.in_order() {
            stream.swap_roles();
            let call = lane.call_mut(stream.call);
            call.swap_roles();
            // Only Data was there so far: what ended it was the client's half-close, and the other way round.
            let ended = call.ended_at.take();
            call.end = call.half_close_at.map(|_| End::Data);
            call.ended_at = call.half_close_at;
            call.half_close_at = ended;
        }
        lane.swap_frame_roles(self.connection);
    }

    /// A Request: a call begins.
    fn request(&mut self, arrived: &Arrived<'_, '_>, lane: &mut Lane) -> (CallId, Option<HeaderListId>) {
        let Arrived { header, begin, contents, now, ends } = *arrived;
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
                let text = format!("stream {id} is not rare: servers refuse it");
                call.note(Note::new(Severity::Warning, "ttrpc-stream-id", text).at(now.packet));
            }
            if let Some(note) = request.fault.and_then(|fault| fault_note("Request", fault, request.is_opaque())) {
                call.note(note.at(now.packet));
            }
        }
        if let Some(payload) = payload {
            self.message(call, Direction::ToServer, arrived, payload, MessageFlags::default(), lane);
        }
        let Some(stream) = self.streams.get_mut(id) else { return (call, Some(list)) };
        stream.requested = true;
        stream.seen[Direction::ToServer.index()] = true;
        let closes = header.flags.contains(Flags::REMOTE_CLOSED) || !opening;
        if closes && ends == Ends::Whole {
            stream.client_open = false;
            lane.call_mut(call).half_close_at = Some(now.time);
        }
        if stream.done {
            self.settle(id, lane);
        }
        self.streams.highest = self.streams.highest.max(id);
        (call, Some(list))
    }

    /// Enters a call, and its stream in place of whatever had its id before.
    fn begin(&mut self, id: u32, begin: Arrival, lane: &mut Lane) -> CallId {
        let mut call = Call::new(Protocol::Ttrpc, self.connection, id, begin.time, begin.packet);
        if let Some((number, _)) = self.trunk {
            call.rare.get_or_insert_default().trunk = Some(number);
        }
        let call = lane.add_call(call);
        let breaks = self.halves.each_ref().map(|half| half.breaks);
        let (reused, forgotten) = self.streams.enter(id, call, breaks);
        if let Some(before) = reused {
            let text = format!("stream {id} was used before: Go's servers refuse it from 1.2 on");
            lane.call_mut(call).note(Note::new(Severity::Warning, "ttrpc-id-reused", text).at(begin.packet));
            self.drop_stream(&before, "its stream is used anew", begin, lane);
        }
        for stream in forgotten {
            self.drop_stream(&stream, "too many streams are in use", begin, lane);
        }
        call
    }

    /// A stream is not followed any more.
    fn drop_stream(&self, stream: &Stream, why: &str, now: Arrival, lane: &mut Lane) {
        if stream.settled {
            return;
        }
        if !stream.done {
            let text = format!("the call is not followed to its end: {why}");
            lane.call_mut(stream.call).note(Note::new(Severity::Info, "ttrpc-dropped", text).at(now.packet));
        }
        lane.complete_call(stream.call);
    }

    /// The call of a frame that is no Request: known, or met in the middle. `None`: it is over and forgotten.
    fn known_or_joined(&mut self, direction: Direction, id: u32, begin: Arrival, lane: &mut Lane) -> Option<CallId> {
        let whole = self.whole();
        if self.streams.get_mut(id).is_none() {
            if whole && id <= self.streams.highest {
                let text = format!("a frame {} of stream {id}, which is not in use", way(direction));
                self.note(lane, Note::new(Severity::Info, "ttrpc-orphan", text).at(begin.packet));
                return None;
            }
            self.begin(id, begin, lane);
        }
        let breaks = self.breaks();
        let stream = self.streams.get_mut(id)?;
        stream.pass_breaks(breaks, lane);
        stream.seen[direction.index()] = true;
        Some(stream.call)
    }

    fn breaks(&self) -> [(u32, Arrival); 2] {
        self.halves.each_ref().map(|half| (half.breaks, half.broken_at))
    }

    /// A Response: the call ends.
    fn response(&mut self, arrived: &Arrived<'_, '_>, lane: &mut Lane) -> Option<CallId> {
        let Arrived { header, begin, contents, now, ends } = *arrived;
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
            let text = "a Response after the call had ended";
            call.note(Note::new(Severity::Info, "ttrpc-late", text).at(now.packet));
            if let Some(status) = status {
                call.rare.get_or_insert_default().late_status = Some(status.into());
            }
        }
        if let Some(payload) = payload {
            let flags = if late { MessageFlags::LATE } else { MessageFlags::default() };
            self.message(id_of_call, Direction::ToClient, arrived, payload, flags, lane);
        }
        if late || ends == Ends::Short {
            return Some(id_of_call);
        }
        let call = lane.call_mut(id_of_call);
        if let Some(status) = status {
            call.rare.get_or_insert_default().ttrpc_status = Some(status.into());
        }
        // Senders write the status first: behind a payload there is none.
        let status_seen = response.status.is_some() || response.payload.is_some();
        let end = match response.fault {
            Some(Fault::Missing) if !status_seen => End::Gap,
            Some(Fault::Wrong(_)) => {
                call.rare.get_or_insert_default().ttrpc_opaque = true;
                End::Response
            }
            _ => End::Response,
        };
        self.server_ends(id, end, now, lane);
        Some(id_of_call)
    }

    /// A Data frame: a message, or the end of what its sender has to say, or both.
    fn data(&mut self, direction: Direction, arrived: &Arrived<'_, '_>, lane: &mut Lane) -> Option<CallId> {
        let Arrived { header, begin, now, ends, .. } = *arrived;
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
            let text = "Data of the client behind its end: Go's servers up to 1.2.8 do not survive it on a unary call";
            lane.call_mut(call).note(Note::new(Severity::Warning, "ttrpc-after-close", text).at(now.packet));
        }
        if !(header.flags.contains(Flags::NO_DATA) && header.length == 0) {
            let flags = if late { MessageFlags::LATE } else { MessageFlags::default() };
            self.message(call, direction, arrived, 0..header.length, flags, lane);
        }
        if closes && direction == Direction::ToClient && !late {
            self.server_ends(header.stream, End::Data, now, lane);
        }
        Some(call)
    }

    /// Enters a message.
    fn message(
        &self,
        call: CallId,
        direction: Direction,
        arrived: &Arrived<'_, '_>,
        range: Range<u32>,
        flags: MessageFlags,
        lane: &mut Lane,
    ) {
        let Arrived { contents, now, ends, .. } = *arrived;
        let length = range.end - range.start;
        let (pieces, missing) = contents.pieces(range.start, range.end);
        let body = lane.add_pieces(&pieces, length);
        let mut message = Message::new(direction, length, body, now.time, now.packet);
        message.flags = message.flags.with(flags);
        let call = lane.call_mut(call);
        if missing {
            message.flags = message.flags.with(MessageFlags::CUT);
            let way = way(direction);
            let text = match ends {
                Ends::Whole => format!("bytes of a message of {length} bytes {way} are missing"),
                Ends::Short => format!("a message of {length} bytes {way} is cut short: nothing follows"),
            };
            call.note(Note::new(Severity::Warning, "message-cut", text).at(now.packet));
        }
        call.add_message(message);
    }

    /// The server has ended a stream.
    fn server_ends(&mut self, id: u32, end: End, now: Arrival, lane: &mut Lane) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.done = true;
        let requested = stream.requested;
        let call = lane.call_mut(stream.call);
        call.end(end, now.time);
        if let Some(late_ns) = behind_deadline(stream.call, now, lane) {
            let text = format!("answered {:.3} ms after the deadline: the client has given up", late_ns as f64 / 1e6);
            let note = Note::new(Severity::Info, "ttrpc-deadline", text).at(now.packet);
            lane.call_mut(stream.call).note(note);
        }
        if requested {
            self.settle(id, lane);
        }
    }

    /// Nothing more is expected of a stream.
    fn settle(&mut self, id: u32, lane: &mut Lane) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.settled {
            return;
        }
        stream.settled = true;
        let call = stream.call;
        lane.complete_call(call);
        self.streams.settle(id, call);
    }

    fn gap(&mut self, direction: Direction, gap: &Gap, lane: &mut Lane) {
        let now = Arrival::from(gap);
        let half = self.half(direction);
        half.retries = RETRIES;
        match &mut half.reading {
            Reading::Seeking(seeker) => return seeker.gap(),
            Reading::Data(open) if gap.length.is_some_and(|length| length <= u64::from(open.left)) => {
                // It lies inside of the frame: what follows is found by counting.
                let length = gap.length.unwrap_or_default() as u32;
                open.parts.gap(length);
                open.left -= length;
                if open.left == 0 {
                    open.last = now;
                    self.open_frame_ends(direction, Ends::Whole, lane);
                }
                return;
            }
            Reading::Data(open) => open.last = now,
            Reading::Header(_) => {}
        }
        let roles_swapped = self.roles_swapped;
        self.open_frame_ends(direction, Ends::Whole, lane);
        // The frame may have swapped the roles.
        let direction = if self.roles_swapped == roles_swapped { direction } else { direction.reverse() };
        self.half(direction).break_off(now);
    }

    fn note(&self, lane: &mut Lane, note: Note) {
        lane.connection_mut(self.connection).note(note);
    }

    /// Ends what is still open: by the connection's end, or (`None`) by that of the capture.
    fn abandon(&mut self, now: Option<Arrival>, lane: &mut Lane) {
        let at = now.unwrap_or(self.latest);
        for direction in Direction::BOTH {
            self.open_frame_ends(direction, Ends::Short, lane);
            if let Reading::Header(PartialHeader { len: len @ 1.., .. }) = self.half(direction).reading {
                self.half(direction).reading = header();
                let text = format!("the last {len} bytes {} are the beginning of a frame", way(direction));
                self.note(lane, Note::new(Severity::Info, "frame-cut", text).at(at.packet));
            }
        }
        let (breaks, whole) = (self.breaks(), self.whole());
        let mut open = Vec::new();
        for (id, stream) in self.streams.in_order() {
            if stream.settled {
                continue;
            }
            stream.pass_breaks(breaks, lane);
            let abandoned = !stream.done && behind_deadline(stream.call, at, lane).is_some();
            let call = lane.call_mut(stream.call);
            if abandoned {
                let text = "not answered within its deadline: the client has given up, which nothing on the wire says";
                call.note(Note::new(Severity::Info, "ttrpc-abandoned", text).at(at.packet));
            }
            if !stream.requested {
                let severity = if whole { Severity::Warning } else { Severity::Info };
                call.note(Note::new(severity, "ttrpc-orphan", "its Request is not in the capture"));
            }
            if now.is_some() {
                call.end(End::Connection, at.time);
                open.push(id);
            }
        }
        for id in open {
            self.settle(id, lane);
        }
    }
}

impl Parser for Ttrpc {
    fn input(&mut self, direction: Direction, input: Input<'_>, lane: &mut Lane) -> Option<HandOver> {
        match input {
            Input::Data(data) => {
                self.latest = Arrival::from(&data);
                self.read(direction, data, lane);
            }
            Input::Gap(gap) => {
                self.latest = Arrival::from(&gap);
                self.gap(self.oriented(direction), &gap, lane);
            }
        }
        None
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, lane: &mut Lane) {
        // A client that has closed its side may still be answered: Rust's servers do.
        if how == Close::EndOfCapture || how == Close::Fin && self.oriented(direction) == Direction::ToServer {
            return;
        }
        self.latest = now;
        self.over = true;
        self.abandon(Some(now), lane);
    }

    fn finish(&mut self, lane: &mut Lane) {
        // What the client has sent after the server was gone ends with the connection, too.
        let now = self.over.then_some(self.latest);
        self.abandon(now, lane);
        for direction in Direction::BOTH {
            if let Reading::Seeking(seeker) = &self.halves[direction.index()].reading
                && seeker.given_up() > 0
                && self.proven
            {
                let text =
                    format!("in the last {} bytes {} no frame boundary was found", seeker.given_up(), way(direction));
                self.note(lane, Note::new(Severity::Warning, "not-resynchronised", text));
            }
        }
    }

    fn proven(&self) -> bool {
        self.proven
    }
}

impl Half {
    fn new(reading: Reading, whole: bool) -> Self {
        let broken_at = Arrival::default();
        // What has no beginning is doubted from the start.
        Self { reading, breaks: u32::from(!whole), broken_at, whole, retries: RETRIES, since_found: 0 }
    }

    /// Where the next frame begins is not known any more.
    fn break_off(&mut self, now: Arrival) {
        self.reading = seeking(resync::KNOWN);
        self.breaks += 1;
        self.broken_at = now;
        self.whole = false;
    }
}

impl PartialHeader {
    /// Reads on. Once the header is complete: what it says and where it began.
    fn read(&mut self, data: &mut Data<'_>) -> Option<(FrameHeader, Arrival)> {
        if self.len == 0 {
            self.begin = Arrival::from(&*data);
        }
        let (head, rest) = data.split(FrameHeader::LEN - self.len);
        let end = self.len + head.bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(head.bytes);
        self.len = end;
        *data = rest;
        (end == FrameHeader::LEN).then(|| (FrameHeader::parse(&self.bytes), self.begin))
    }
}

/// The lists that were entered last: clients say the same with most of their requests.
#[derive(Debug, Default)]
struct ListCache {
    recent: [Option<(Box<[u8]>, HeaderListId)>; 8],
    next: usize,
}

/// A longer one is not likely to come again.
const MAX_CACHED: usize = 1024;

impl ListCache {
    fn enter<'a>(&mut self, request: &Request<'a>, contents: &Contents<'a>, lists: &mut HeaderLists) -> HeaderListId {
        let key = request.besides(contents).filter(|[before, behind]| before.len() + behind.len() <= MAX_CACHED);
        let same = |known: &[u8]| key.is_some_and(|[before, behind]| known.strip_prefix(before) == Some(behind));
        if let Some((_, id)) = self.recent.iter().flatten().find(|(known, _)| same(known)) {
            return *id;
        }
        let id = lists.enter_judged(&request.fields(), message::facts);
        if let (Some(key), Some(slot)) = (key, self.recent.get_mut(self.next)) {
            *slot = Some((key.concat().into(), id));
            self.next = (self.next + 1) % self.recent.len();
        }
        id
    }
}

/// What is strange about a frame's header; real receivers read on.
fn strange(header: &FrameHeader, now: Arrival) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |kind, text: String| notes.push(Note::new(Severity::Warning, kind, text).at(now.packet));
    let (kind, length) = (header.kind, header.length);
    if length > MAX_LENGTH {
        let text = format!("{kind} of {length} bytes: receivers take no more than {MAX_LENGTH} and pass it over");
        note("ttrpc-oversize", text);
    }
    if kind.known_name().is_none() {
        note("ttrpc-type", format!("frame type {:#04x} is not known: receivers pass it over", kind.0));
    } else if header.flags.unknown() != 0 {
        note("ttrpc-flag", format!("flags {:#04x} of a {kind} are not known", header.flags.unknown()));
    }
    notes
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

/// How long behind its deadline a call is, if it is.
fn behind_deadline(call: CallId, now: Arrival, lane: &Lane) -> Option<i64> {
    let call = lane.call(call);
    let timeout = lane.headers[call.request_headers?].facts.timeout_ns?;
    let late = now.time.nanos_since(call.start).saturating_sub_unsigned(timeout);
    (late > 0).then_some(late)
}

fn header() -> Reading {
    Reading::Header(PartialHeader::default())
}

fn seeking(needed: u32) -> Reading {
    Reading::Seeking(Box::new(Seeker::new(needed)))
}
