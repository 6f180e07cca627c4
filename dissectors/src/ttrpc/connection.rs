//! ttrpc on one connection, both directions: frames.
//!
//! Frames are read as their bytes arrive. A Request or a Response is gathered where it comes in parts, a Data frame never
//! is: only where its bytes lie is kept. What frames mean for their calls is in `calls`.

use rpcshark_captures::budget::{Held, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Input, Place};

use super::calls::ListCache;
use super::frame::{FrameHeader, FrameType, MAX_LENGTH};
use super::parts::{Contents, Parts};
use super::resync::{self, Highest};
use super::streams::Streams;
use crate::framed::{Framed, Framing, Position};
use crate::http2::add_held;
use crate::note::way;
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::store::{ConnectionId, ConnectionProtocol, EventSpan, Frame, Framing as FrameOf, Lane, Piece};
use crate::{Arrival, Context, FirstByte, Note, Severity};

/// ttrpc on one connection.
#[derive(Debug)]
pub struct Ttrpc {
    pub(super) framing: Framing<OpenFrame, { FrameHeader::LEN }>,
    pub(super) streams: Streams,
    pub(super) lists: ListCache,
    /// Where it is carried in a trunk: its number there, and whether its client is what the connection calls the server.
    pub(super) trunk: Option<(u32, bool)>,
    /// When something was last seen.
    pub(super) latest: Arrival,
    /// The server has closed its side.
    over: bool,
}

/// A frame whose data is not complete.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    header: FrameHeader,
    first: FirstByte,
    /// When the last of what is there arrived.
    last: Arrival,
    /// Bytes that are yet to come.
    left: u32,
    parts: Parts,
}

/// A frame, with all of its data that will ever be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'a, 'b> {
    pub(super) header: FrameHeader,
    /// Its bytes: direction, the first and the last of them.
    pub(super) span: EventSpan,
    pub(super) contents: &'a Contents<'b>,
    pub(super) ends: Ends,
}

/// How a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Where its header says.
    Whole,
    /// With the connection or the capture, which end inside it.
    Short,
}

impl Ttrpc {
    /// A connection whose bytes begin with the next input.
    pub fn new(connection: ConnectionId, join_point: JoinPoint) -> Self {
        let position = || match join_point {
            JoinPoint::Start => Position::boundary(),
            JoinPoint::Middle => Position::seeking(resync::UNKNOWN),
        };
        Self::at(connection, join_point, [position(), position()])
    }

    /// A connection that was joined in the middle, and that the user says is ttrpc.
    pub(crate) fn decode_as(connection: ConnectionId) -> Self {
        let position = || Position::seeking(resync::KNOWN);
        Self::at(connection, JoinPoint::Middle, [position(), position()])
    }

    fn at(
        connection: ConnectionId,
        join_point: JoinPoint,
        positions: [Position<OpenFrame, { FrameHeader::LEN }>; 2],
    ) -> Self {
        let framing = Framing::new(connection, join_point, positions);
        Self {
            // Even at the beginning: nothing that only a client sends came before the first frame.
            framing: Framing { roles_may_swap: true, ..framing },
            streams: Streams::default(),
            lists: ListCache::default(),
            trunk: None,
            latest: Arrival::default(),
            over: false,
        }
    }

    /// The connection with this number in a trunk; `reversed`: its client is what the trunk's connection calls the server.
    pub(super) fn in_trunk(connection: ConnectionId, join_point: JoinPoint, number: u32, reversed: bool) -> Self {
        let mut this = match join_point {
            JoinPoint::Start => Self::new(connection, join_point),
            JoinPoint::Middle => Self::decode_as(connection),
        };
        this.framing.roles_may_swap = false;
        this.framing.proven = true;
        this.trunk = Some((number, reversed));
        this
    }

    /// Ends the frame that is open, if one is: what has not come of it is missing.
    pub(super) fn open_frame_ends(&mut self, direction: Direction, ends: Ends, lane: &mut Lane) {
        let half = self.framing.half(direction);
        match std::mem::replace(&mut half.position, Position::boundary()) {
            Position::Frame(open) => {
                let end = half.offset;
                self.open_frame(direction, *open, end, ends, lane);
            }
            other => half.position = other,
        }
    }

    fn open_frame(&mut self, direction: Direction, mut open: OpenFrame, end: u64, ends: Ends, lane: &mut Lane) {
        open.parts.gap(open.left);
        let OpenFrame { header, first, last, parts, .. } = open;
        let span = lane.event_span(direction, first, end, last);
        self.frame(Arrived { header, span, contents: &parts.contents(), ends }, lane);
    }

    /// A frame is complete.
    fn frame(&mut self, mut frame: Arrived<'_, '_>, lane: &mut Lane) {
        let Arrived { header, contents, .. } = frame;
        let now = frame.span.last;
        // Clients ask and servers answer.
        let says = match header.kind {
            FrameType::REQUEST => Some(Direction::ToServer),
            FrameType::RESPONSE => Some(Direction::ToClient),
            _ => None,
        };
        if let Some(says) = says {
            frame.span.direction = self.direction_shown(says, frame.span.direction, lane);
        }
        let direction = frame.span.direction;
        let mut notes = unusual(&header, now);
        let mut headers = None;
        let call = match (header.kind, direction) {
            (FrameType::REQUEST, Direction::ToServer) => {
                let (call, list) = self.request(&frame, lane);
                headers = list;
                Some(call)
            }
            (FrameType::RESPONSE, Direction::ToClient) => self.response(&frame, lane),
            (FrameType::DATA, _) => self.data(&frame, lane),
            (FrameType::REQUEST | FrameType::RESPONSE, _) => {
                let text = format!("a {} of stream {} goes {}", header.kind, header.stream, way(direction));
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
                None => self.framing.note(lane, note.clone()),
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
        let begin = frame.span.first.origin.offset;
        lane.add_frame(Frame {
            packet: now.packet,
            time: now.time,
            extent: begin..frame.span.end.min(begin + FrameHeader::LEN as u64 + u64::from(header.length)),
            connection: self.framing.connection,
            direction: if reversed { direction.reverse() } else { direction },
            protocol: FrameOf::Ttrpc,
            stream: header.stream,
            kind: header.kind.0,
            flags: header.flags.0,
            length: header.length,
            call,
            headers,
            messages: None,
            promised: None,
            padding: None,
            priority: None,
            payload,
            trunk: self.trunk.map(|(number, _)| number),
            notes,
        });
    }
}

impl Framed<{ FrameHeader::LEN }> for Ttrpc {
    type Open = OpenFrame;
    type Frames = Highest;

    const PROTOCOL: ConnectionProtocol = ConnectionProtocol::Ttrpc;
    const POINTS: u32 = resync::KNOWN;

    fn framing(&self) -> &Framing<OpenFrame, { FrameHeader::LEN }> {
        &self.framing
    }

    fn framing_mut(&mut self) -> &mut Framing<OpenFrame, { FrameHeader::LEN }> {
        &mut self.framing
    }

    fn frames(&self, _: Direction) -> Highest {
        Highest(self.streams.highest)
    }

    fn frame_begins(
        &mut self,
        direction: Direction,
        header: [u8; FrameHeader::LEN],
        first: FirstByte,
        data: &mut Data<'_>,
        lane: &mut Lane,
    ) {
        let header = FrameHeader::parse(&header);
        if self.gives_up_boundary(direction, |_| header.is_plausible(), first, lane) {
            return;
        }
        if header.is_absurd() {
            self.break_off(direction, first.arrival, lane);
            let text = format!("the bytes {} where a frame should begin cannot be one", way(direction));
            self.framing.note(lane, Note::new(Severity::Error, "ttrpc-header", text).at(first.arrival.packet));
            return;
        }
        let half = self.framing.half(direction);
        if data.bytes.len() < header.length as usize {
            let (parts, last) = (Parts::default(), Arrival::from(&*data));
            half.position = Position::Frame(Box::new(OpenFrame { header, first, last, left: header.length, parts }));
            return;
        }
        // The common case: all of it is here.
        half.position = Position::boundary();
        let (whole, rest) = data.split(header.length as usize);
        *data = rest;
        half.offset = data.offset;
        let at = if whole.bytes.is_empty() { Place::NOWHERE } else { whole.at };
        let piece = Piece { at, len: header.length };
        let contents = Contents::whole(whole.bytes, &piece);
        let span = lane.event_span(direction, first, data.offset, Arrival::from(&whole));
        self.frame(Arrived { header, span, contents: &contents, ends: Ends::Whole }, lane);
    }

    fn frame_goes_on(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane) {
        let half = self.framing.half(direction);
        let Position::Frame(open) = &mut half.position else { return };
        let (head, rest) = data.split(open.left as usize);
        *data = rest;
        open.parts.push(&head, open.header.kind != FrameType::DATA);
        open.left -= head.bytes.len() as u32;
        open.last = Arrival::from(&head);
        half.offset = data.offset;
        if open.left == 0 {
            self.open_frame_ends(direction, Ends::Whole, lane);
        }
    }

    fn left(open: &OpenFrame) -> u32 {
        open.left
    }

    fn frame_gap(&mut self, direction: Direction, length: u32, now: Arrival, lane: &mut Lane) {
        let Position::Frame(open) = &mut self.framing.half(direction).position else { return };
        open.parts.gap(length);
        open.left -= length;
        if open.left == 0 {
            open.last = now;
            self.open_frame_ends(direction, Ends::Whole, lane);
        }
    }

    /// What of the frame is there is read; the rest is missing.
    fn frame_cut(&mut self, direction: Direction, mut open: OpenFrame, now: Arrival, lane: &mut Lane) {
        open.last = now;
        let end = self.framing.half(direction).offset;
        self.open_frame(direction, open, end, Ends::Whole, lane);
    }

    fn bytes_lost(&mut self, _: Direction, _: &mut Lane) {}

    fn swap_kept(&mut self, lane: &mut Lane) {
        self.swap_calls(lane);
    }
}

impl Parser for Ttrpc {
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        match input {
            Input::Data(data) => {
                self.latest = Arrival::from(&data);
                self.read(direction, data, context);
            }
            Input::Gap(gap) => {
                self.latest = Arrival::from(&gap);
                self.gap(direction, &gap, context);
            }
        }
        None
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        // A client that has closed its side may still be answered: Rust's servers do.
        if how == Close::EndOfCapture || how == Close::Fin && self.framing.oriented(direction) == Direction::ToServer {
            return;
        }
        self.latest = now;
        self.over = true;
        self.abandon(Some(now), context);
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        self.finish_search(context);
        // What the client has sent after the server was gone ends with the connection, too.
        let now = self.over.then_some(self.latest);
        self.abandon(now, context);
        self.note_failed_search(context);
    }

    fn is_proven(&self) -> bool {
        self.framing.proven
    }

    fn held(&self) -> Held {
        let mut held = Held::NOTHING;
        for half in &self.framing.halves {
            match &half.position {
                Position::Header(_) => {}
                Position::Frame(open) => add_held(&mut held, open.parts.memory(), open.first.order),
                Position::Seeking(seeker) => add_held(&mut held, seeker.memory(), seeker.since()),
            }
        }
        held
    }

    fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)> {
        let age = |half: &crate::framed::Half<OpenFrame, { FrameHeader::LEN }>| match &half.position {
            Position::Frame(open) if open.parts.memory() > 0 => Some(open.first.order),
            Position::Seeking(seeker) if seeker.memory() > 0 => Some(seeker.since()),
            _ => None,
        };
        let ages = Direction::BOTH
            .map(|direction| age(&self.framing.halves[direction.index()]).map(|since| (since, direction.index())));
        let (_, index) = ages.into_iter().flatten().min()?;
        let direction = Direction::BOTH.into_iter().find(|direction| direction.index() == index)?;
        let (kind, bytes, text) = match &mut self.framing.half(direction).position {
            Position::Frame(open) => {
                let bytes = open.parts.memory();
                open.parts.forget_bytes();
                let what = format!("a {} of stream {}", open.header.kind, open.header.stream);
                (Kind::Unfinished, bytes, format!("the beginning of {what} {}", way(direction)))
            }
            Position::Seeking(seeker) => {
                let bytes = seeker.memory();
                seeker.gap();
                (Kind::Search, bytes, format!("bytes {} in which a frame was searched", way(direction)))
            }
            Position::Header(_) => return None,
        };
        let text = format!("{text} ({bytes} bytes) is released: the memory limit is reached");
        self.framing.note(context, Note::new(Severity::Warning, "memory-limit", text));
        Some((kind, bytes))
    }
}

/// What is unusual about a frame's header. Real receivers read on.
fn unusual(header: &FrameHeader, now: Arrival) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |kind, text: String| notes.push(Note::new(Severity::Warning, kind, text).at(now.packet));
    let (kind, length) = (header.kind, header.length);
    if length > MAX_LENGTH {
        let text = format!("this {kind} has {length} bytes: receivers accept no more than {MAX_LENGTH} and skip it");
        note("ttrpc-oversize", text);
    }
    if kind.known_name().is_none() {
        note("ttrpc-type", format!("frame type {:#04x} is unknown: receivers skip it", kind.0));
    } else if header.flags.unknown() != 0 {
        note("ttrpc-flag", format!("the flags {:#04x} of this {kind} are unknown", header.flags.unknown()));
    }
    notes
}
