//! HTTP/2 on one connection, both directions (RFC 9113): frames.
//!
//! Frames are read as their bytes arrive; DATA is handed on piece by piece and never gathered. Whatever depends on the
//! state of the connection is decided here, in this one pass. Header blocks are in `blocks`, the lives of streams in
//! `lifecycle`. What a stream's contents mean is [`RpcStream`](crate::rpc::RpcStream)'s.

use std::sync::Arc;

use rpcshark_captures::budget::{Held, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Input};

use super::flow::{self, FlowControl, Sent};
use super::frame::{Flags, FrameHeader, FrameType};
use super::lifecycle::{RefusedStreams, WaitingResets};
use super::payload::{self, Parsed, Payload};
use super::resync::{self, CHAIN, Limits};
use super::sender::{Announced, BlockOf, Sender};
use super::settings::{Setting, SettingId, Settings};
use super::state::Event;
use super::streams::{Http2Stream, Streams};
use crate::framed::{Framed, Framing, Half, Position};
use crate::header::Field;
use crate::note::way;
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::probe::is_first_settings;
use crate::store::{
    ConnectionEventKind, ConnectionId, ConnectionProtocol, EventSpan, Frame, Framing as FrameOf, Lane, MAX_DEBUG_DATA,
};
use crate::{Arrival, Context, FirstByte, Note, Severity};

/// HTTP/2 on one connection.
#[derive(Debug)]
pub struct Http2 {
    pub(super) framing: Framing<Open, { FrameHeader::LEN }>,
    /// By [`Direction::index`], with the roles as they are known now.
    pub(super) senders: [Sender; 2],
    pub(super) streams: Streams,
    /// The highest stream that was opened by its own side, where bytes are in order: odd ones by the client, even ones by
    /// the server.
    pub(super) opened: [u32; 2],
    pub(super) resets: WaitingResets,
    /// What GOAWAY has refused, by its direction.
    pub(super) refused: [RefusedStreams; 2],
    pub(super) flow: FlowControl,
    /// The last bytes of either direction.
    pub(super) last: Arrival,
    /// What each direction holds because its end is missing, as of the last input.
    held: [Held; 2],
}

/// What is read after a frame header, or instead of one.
#[derive(Debug)]
pub(crate) enum Open {
    /// The client's preface, so many bytes of it are there.
    Preface(usize),
    /// A frame whose payload is not complete.
    Frame(OpenFrame),
}

/// A frame whose payload is not complete.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    pub(super) header: FrameHeader,
    pub(super) first: FirstByte,
    /// Payload bytes that are yet to come.
    pub(super) left: u32,
    /// The payload so far (not of DATA).
    pub(super) payload: Vec<u8>,
    /// Bytes of it are missing.
    pub(super) holes: bool,
    /// Of a padded DATA frame: the pad length, once it is there.
    pub(super) pad: Option<u8>,
}

/// A frame, with all of it that will ever be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'a> {
    pub(super) header: FrameHeader,
    /// Its bytes: direction, the first and the last of them.
    pub(super) span: EventSpan,
    /// Its payload; of DATA nothing that is needed.
    pub(super) payload: &'a [u8],
    /// Bytes of it are missing.
    pub(super) holes: bool,
    pub(super) pad: Option<u8>,
}

impl Http2 {
    /// A connection whose bytes begin with the next input.
    pub fn new(connection: ConnectionId, join_point: JoinPoint) -> Self {
        let whole = join_point == JoinPoint::Start;
        let positions = match join_point {
            JoinPoint::Start => [Position::Frame(Box::new(Open::Preface(0))), Position::boundary()],
            JoinPoint::Middle => [(); 2].map(|()| Position::seeking(CHAIN)),
        };
        let mut framing = Framing::new(connection, join_point, positions);
        // Three frames in a chain are enough: the first ones are doubted only after a gap.
        framing.halves.iter_mut().for_each(|half| half.breaks = 0);
        Self {
            framing,
            senders: [(); 2].map(|()| Sender::new(whole)),
            streams: Streams::default(),
            opened: [0; 2],
            resets: WaitingResets::default(),
            refused: Default::default(),
            flow: FlowControl::new(whole),
            last: Arrival::default(),
            held: [Held::NOTHING; 2],
        }
    }

    /// A connection that was HTTP/1.1 until both sides agreed to continue with HTTP/2 (RFC 7540 §3.2): its request, as `fields`
    /// and `body`, is stream 1, half-closed towards the server. `first` and `last` are the bounds of the request's head. `settings`:
    /// those in its HTTP2-Settings field.
    pub fn upgraded<'b>(
        connection: ConnectionId,
        fields: &Arc<[Field]>,
        body: impl Iterator<Item = Data<'b>>,
        (first, last): (FirstByte, Arrival),
        settings: &[u8],
        lane: &mut Lane,
    ) -> Self {
        let mut this = Self::new(connection, JoinPoint::Start);
        let entry = lane.connection_mut(connection);
        entry.protocol = ConnectionProtocol::Http2;
        entry.flow_known = true;
        // RFC 7540 §3.2.1: they are in force without an acknowledgment.
        this.senders[Direction::ToClient.index()].obey(Announced::by(Settings(settings)));
        this.update_initial_windows(last.time);
        let list = lane.headers.enter(fields);
        let span = lane.event_span(Direction::ToServer, first, first.origin.offset, last);
        this.header_block(1, Some(list), false, &span, lane);
        let mut last = last;
        let mut end = first.origin.offset;
        if let Some(rpc) = this.streams.get_mut(1).and_then(Http2Stream::rpc) {
            rpc.data_begins(Direction::ToServer);
            for data in body {
                last = Arrival::from(&data);
                end = data.offset + data.bytes.len() as u64;
                rpc.data(lane, Direction::ToServer, data);
            }
            rpc.data_ends(lane, Direction::ToServer);
        }
        let span = lane.event_span(Direction::ToServer, first, end, last);
        this.stream_ends(1, &span, lane);
        this
    }

    pub(super) fn half(&mut self, direction: Direction) -> &mut Half<Open, { FrameHeader::LEN }> {
        self.framing.half(direction)
    }

    pub(super) fn sender(&mut self, direction: Direction) -> &mut Sender {
        &mut self.senders[direction.index()]
    }

    /// The sender of a direction, and the other one.
    fn senders_from(&mut self, direction: Direction) -> (&mut Sender, &mut Sender) {
        let [client, server] = &mut self.senders;
        if direction == Direction::ToServer { (client, server) } else { (server, client) }
    }

    fn limits(&self, direction: Direction) -> Limits {
        let max_frame_size = self.senders[direction.index()].max_frame_size;
        Limits {
            max_frame_size: max_frame_size.unwrap_or(UNKNOWN_MAX_FRAME_SIZE),
            highest_stream: self.streams.highest,
        }
    }

    fn preface(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane) {
        let half = self.half(direction);
        let Position::Frame(open) = &mut half.position else { return };
        let Open::Preface(have) = &mut **open else { return };
        let expected = PREFACE.get(*have..).unwrap_or_default();
        let (head, rest) = data.split(expected.len());
        if !expected.starts_with(head.bytes) {
            let now = Arrival::from(&*data);
            self.break_off(direction, now, lane);
            let text = "the client's first bytes are not the HTTP/2 preface";
            self.framing.note(lane, Note::new(Severity::Error, "preface", text).at(now.packet));
            return;
        }
        *have += head.bytes.len();
        if *have == PREFACE.len() {
            half.position = Position::boundary();
            lane.connection_mut(self.framing.connection).flow_known = true;
        }
        let half = self.half(direction);
        half.offset = rest.offset;
        *data = rest;
    }

    fn data_begins(&mut self, direction: Direction, header: &FrameHeader, begin: Arrival, lane: &mut Lane) {
        let wrong = self.advance(header.stream, Event::Data, direction, begin, lane);
        if let Some(wrong) = wrong {
            self.violation(header.stream, wrong, begin, lane);
        }
        let Some(stream) = self.streams.get_mut(header.stream) else { return };
        if header.length > 0 {
            flow::data_begins(&self.flow, stream, direction, begin, lane);
        }
        if let Some(rpc) = stream.rpc() {
            rpc.data_begins(direction);
        }
    }

    /// A part of a DATA frame's payload: the pad length, data, padding (RFC 9113 §6.1).
    fn data_part(
        streams: &mut Streams,
        open: &mut OpenFrame,
        direction: Direction,
        mut part: Data<'_>,
        lane: &mut Lane,
    ) {
        let mut left = open.left;
        if open.header.flags.contains(Flags::PADDED) && open.pad.is_none() {
            open.pad = part.take_first(1).bytes.first().copied();
            left -= 1;
        }
        let data_left = left.saturating_sub(u32::from(open.pad.unwrap_or(0)));
        let data = part.take_first(data_left as usize);
        if !data.bytes.is_empty()
            && let Some(rpc) = streams.get_mut(open.header.stream).and_then(Http2Stream::rpc)
        {
            rpc.data(lane, direction, data);
        }
    }

    /// A frame is complete, or all of it has come that will.
    fn frame_ends(&mut self, frame: &Arrived<'_>, lane: &mut Lane) {
        let Arrived { header, span, holes, pad, .. } = *frame;
        let end_stream = header.flags.contains(Flags::END_STREAM);
        match header.kind {
            FrameType::DATA => {
                let mut stream = self.streams.get_mut(header.stream);
                let window = stream.as_deref_mut().map(|stream| &mut stream.flow[span.direction.index()]);
                let sent = self.flow.data(window, span.direction, header.length, span.last.time);
                if let Some(rpc) = stream.and_then(Http2Stream::rpc) {
                    rpc.data_ends(lane, span.direction);
                }
                if sent != Sent::Allowed {
                    self.sent_beyond(sent, header.stream, lane);
                }
                if lane.keep.frames {
                    let mut shown = self.frame(&header, &span);
                    shown.padding = pad;
                    if holes {
                        shown.notes.push(holes_note(span.last));
                    }
                    lane.add_frame(shown);
                }
                if end_stream {
                    self.stream_ends(header.stream, &span, lane);
                }
            }
            FrameType::HEADERS => self.block_begins(frame, BlockOf::Headers { end_stream }, lane),
            FrameType::PUSH_PROMISE => self.block_begins(frame, BlockOf::PushPromise, lane),
            FrameType::CONTINUATION => self.block_goes_on(frame, lane),
            _ => self.control(frame, lane),
        }
    }

    /// A frame that is neither DATA nor part of a header block.
    fn control(&mut self, frame: &Arrived<'_>, lane: &mut Lane) {
        let Arrived { header, span, payload, holes, .. } = *frame;
        let now = span.last;
        // The stream's call is looked up before a reset closes it.
        let shown = lane.keep.frames.then(|| self.frame(&header, &span));
        let Parsed { payload: parsed, faults } = payload::parse(header, payload);
        let connection = self.framing.connection;
        match parsed {
            // What is missing might be what matters.
            _ if holes || matches!(parsed, Payload::Malformed(_)) => {
                if matches!(header.kind, FrameType::SETTINGS | FrameType::WINDOW_UPDATE) {
                    self.lose_flow(lane);
                }
            }
            Payload::Settings(_) if header.flags.contains(Flags::ACK) => {
                let (sender, other) = self.senders_from(span.direction);
                other.acknowledged_by(sender);
                self.update_initial_windows(now.time);
                lane.add_connection_event(connection, &span, || ConnectionEventKind::SettingsAcknowledged);
            }
            Payload::Settings(settings) => {
                let (sender, other) = self.senders_from(span.direction);
                let is_followed = sender.has_room();
                sender.announces(Announced::by(settings), other);
                let initial = settings.last(SettingId::INITIAL_WINDOW_SIZE);
                match is_followed
                    && initial.is_none_or(|size| Setting { id: SettingId::INITIAL_WINDOW_SIZE, value: size }.is_valid())
                {
                    true => self.update_initial_windows(now.time),
                    false => self.lose_flow(lane),
                }
                lane.add_connection_event(connection, &span, || {
                    let pairs = settings.iter().take(MAX_SETTINGS_KEPT).map(|setting| (setting.id.0, setting.value));
                    ConnectionEventKind::Settings(pairs.collect())
                });
            }
            Payload::WindowUpdate { increment } => {
                self.window_update(header.stream, span.direction.reverse(), increment, now.time);
            }
            Payload::RstStream(code) => self.rst_stream(header.stream, code.0, span, lane),
            Payload::GoAway { last_stream, error, debug } => {
                lane.add_connection_event(connection, &span, || ConnectionEventKind::Goaway {
                    last_stream,
                    code: error.0,
                    debug: debug.get(..MAX_DEBUG_DATA).unwrap_or(debug).into(),
                });
                self.goaway(last_stream, &span, lane);
            }
            _ => {}
        }
        if let Some(mut shown) = shown {
            match holes {
                true => shown.notes.push(holes_note(now)),
                false => shown.notes.extend(faults.iter().map(|fault| fault.note(header.kind).at(now.packet))),
            }
            shown.payload = payload.into();
            lane.add_frame(shown);
        }
    }

    /// A frame as `frames` shows it, without what only some types have.
    pub(super) fn frame(&mut self, header: &FrameHeader, span: &EventSpan) -> Frame {
        Frame {
            packet: span.last.packet,
            time: span.last.time,
            extent: span.first.origin.offset..span.end,
            connection: self.framing.connection,
            direction: span.direction,
            protocol: FrameOf::Http2,
            stream: header.stream,
            kind: header.kind.0,
            flags: header.flags.0,
            length: header.length,
            call: self.streams.get_mut(header.stream).and_then(|stream| stream.call()),
            messages: None,
            headers: None,
            promised: None,
            padding: None,
            priority: None,
            payload: Box::default(),
            trunk: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn violation(&mut self, stream: u32, text: &str, now: Arrival, lane: &mut Lane) {
        let note = Note::new(Severity::Warning, "stream-state", format!("stream {stream}: {text}")).at(now.packet);
        match self.streams.get_mut(stream).and_then(|stream| stream.call()) {
            Some(call) => lane.call_mut(call).note(note),
            None => self.framing.note(lane, note),
        }
    }
}

impl Framed<{ FrameHeader::LEN }> for Http2 {
    type Open = Open;
    type Frames = Limits;

    const PROTOCOL: ConnectionProtocol = ConnectionProtocol::Http2;
    const POINTS: u32 = CHAIN;

    fn framing(&self) -> &Framing<Open, { FrameHeader::LEN }> {
        &self.framing
    }

    fn framing_mut(&mut self) -> &mut Framing<Open, { FrameHeader::LEN }> {
        &mut self.framing
    }

    fn frames(&self, direction: Direction) -> Limits {
        self.limits(direction)
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
        let half = self.half(direction);
        // RFC 9113 §3.4: a server begins with SETTINGS. What begins otherwise does not begin here.
        if half.since_found == 0 && half.whole && direction == Direction::ToClient && !is_first_settings(header) {
            self.break_off(direction, first.arrival, lane);
            return;
        }
        let is_plausible = |this: &Self| resync::is_plausible(header, &this.limits(direction));
        if self.gives_up_boundary(direction, is_plausible, first, lane) {
            return;
        }
        let sender = self.sender(direction);
        if sender.block.is_some() && header.kind != FrameType::CONTINUATION {
            sender.block = None;
            // RFC 9113 §6.10: CONTINUATION must follow; without the end of the block the table is not known any more.
            sender.hpack.new_epoch();
            let text = format!("a header block of stream {} is interrupted by a {} frame", header.stream, header.kind);
            let note = Note::new(Severity::Error, "header-block-interrupted", text).at(first.arrival.packet);
            self.framing.note(lane, note);
        }
        let is_whole = data.bytes.len() >= header.length as usize;
        if is_whole && !lane.keep.frames && self.step_over(direction, header, data) {
            return;
        }
        let payload = Vec::new();
        let mut open = OpenFrame { header, first, left: header.length, payload, holes: false, pad: None };
        if header.kind == FrameType::DATA {
            self.data_begins(direction, &header, first.arrival, lane);
        }
        if !is_whole {
            self.half(direction).position = Position::Frame(Box::new(Open::Frame(open)));
            return;
        }
        // The common case: all of it is here.
        let whole = data.take_first(header.length as usize);
        self.half(direction).offset = data.offset;
        if header.kind == FrameType::DATA && header.length > 0 {
            Self::data_part(&mut self.streams, &mut open, direction, whole, lane);
        }
        let span = lane.event_span(direction, first, data.offset, Arrival::from(&whole));
        let frame = Arrived { header, span, payload: whole.bytes, holes: false, pad: open.pad };
        self.frame_ends(&frame, lane);
    }

    fn frame_goes_on(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane) {
        let half = &mut self.framing.halves[direction.index()];
        let Position::Frame(open) = &mut half.position else { return };
        let Open::Frame(open) = &mut **open else { return self.preface(direction, data, lane) };
        let head = data.take_first(open.left as usize);
        if open.header.kind == FrameType::DATA {
            Self::data_part(&mut self.streams, open, direction, head, lane);
        } else if !open.holes {
            open.payload.extend_from_slice(head.bytes);
        }
        open.left -= head.bytes.len() as u32;
        half.offset = data.offset;
        if open.left == 0 {
            self.open_frame_ends(direction, Arrival::from(&head), lane);
        }
    }

    fn left(open: &Open) -> u32 {
        match open {
            // A gap in the preface hides more than the preface.
            Open::Preface(_) => 0,
            Open::Frame(open) => open.left,
        }
    }

    fn frame_gap(&mut self, direction: Direction, length: u32, now: Arrival, lane: &mut Lane) {
        let half = &mut self.framing.halves[direction.index()];
        let end = half.offset;
        let Position::Frame(open) = &mut half.position else { return };
        let Open::Frame(open) = &mut **open else { return };
        open.left -= length;
        open.holes = true;
        let kind = open.header.kind;
        let data_left = open.left.saturating_sub(u32::from(open.pad.unwrap_or(0)));
        let data_missing = u64::from(data_left.saturating_add(length).min(length));
        let stream = open.header.stream;
        let is_pad_known = !open.header.flags.contains(Flags::PADDED) || open.pad.is_some();
        let is_done = open.left == 0;
        if matches!(kind, FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION) {
            self.senders[direction.index()].hpack.new_epoch();
        }
        if kind == FrameType::DATA
            && let Some(rpc) = self.streams.get_mut(stream).and_then(Http2Stream::rpc)
        {
            match is_pad_known {
                true => rpc.data_gap(lane, direction, data_missing, now, end),
                false => rpc.unalign(lane, direction, Some(now)),
            }
        }
        if is_done {
            self.open_frame_ends(direction, now, lane);
        }
    }

    /// The frame is shown, and nothing is concluded from it.
    fn frame_cut(&mut self, direction: Direction, open: Open, now: Arrival, lane: &mut Lane) {
        if let Open::Frame(open) = open
            && lane.keep.frames
        {
            let there = FrameHeader::LEN as u64 + u64::from(open.header.length - open.left);
            let span = lane.event_span(direction, open.first, open.first.origin.offset + there, now);
            let mut frame = self.frame(&open.header, &span);
            frame.notes.push(holes_note(now));
            lane.add_frame(frame);
        }
    }

    fn bytes_lost(&mut self, direction: Direction, lane: &mut Lane) {
        if let Some(block) = self.sender(direction).bytes_lost() {
            block.frames.into_iter().for_each(|frame| lane.add_frame(frame));
        }
        self.lose_flow(lane);
    }

    fn swap_kept(&mut self, lane: &mut Lane) {
        self.senders.swap(0, 1);
        self.swap_streams(lane);
    }
}

impl Http2 {
    /// Reads a frame of which little or nothing depends, where frames are not shown: most frames of a busy connection are
    /// WINDOW_UPDATE and PING. `data` begins with all of its payload. False: it has to be read as others are.
    fn step_over(&mut self, direction: Direction, header: FrameHeader, data: &mut Data<'_>) -> bool {
        match header.kind {
            FrameType::WINDOW_UPDATE => {
                let Some(&increment) = data.bytes.first_chunk().filter(|_| header.length == 4) else { return false };
                // RFC 9113 §6.9: the first bit is reserved.
                let increment = u32::from_be_bytes(increment) & 0x7fff_ffff;
                self.window_update(header.stream, direction.reverse(), increment, data.time);
            }
            FrameType::DATA
            | FrameType::HEADERS
            | FrameType::PUSH_PROMISE
            | FrameType::CONTINUATION
            | FrameType::SETTINGS
            | FrameType::RST_STREAM
            | FrameType::GOAWAY => return false,
            _ => {}
        }
        data.advance(header.length as usize);
        self.half(direction).offset = data.offset;
        true
    }

    /// Ends the frame that is open.
    fn open_frame_ends(&mut self, direction: Direction, now: Arrival, lane: &mut Lane) {
        let half = self.half(direction);
        let end = half.offset;
        let Position::Frame(open) = std::mem::replace(&mut half.position, Position::boundary()) else { return };
        if let Open::Frame(open) = *open {
            let OpenFrame { header, first, payload, holes, pad, .. } = open;
            let span = lane.event_span(direction, first, end, now);
            self.frame_ends(&Arrived { header, span, payload: &payload, holes, pad }, lane);
        }
    }
}

impl Parser for Http2 {
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        let before = (self.framing.roles_swapped, self.framing.proven);
        match input {
            Input::Data(data) => {
                self.last = Arrival::from(&data);
                self.read(direction, data, context);
            }
            Input::Gap(gap) => self.gap(direction, &gap, context),
        }
        self.release_resets(false, context);
        match before == (self.framing.roles_swapped, self.framing.proven) {
            true => self.update_held(self.framing.oriented(direction)),
            false => Direction::BOTH.into_iter().for_each(|direction| self.update_held(direction)),
        }
        None
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        let direction = self.framing.oriented(direction);
        // A client that has closed its side may still be answered.
        if how == Close::EndOfCapture || how == Close::Fin && direction == Direction::ToServer {
            return;
        }
        let span = self.end_span(direction, now, context);
        self.abandon(Some(&span), context);
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        self.finish_search(context);
        self.abandon(None, context);
        self.note_failed_search(context);
        Direction::BOTH.into_iter().for_each(|direction| self.update_held(direction));
    }

    fn is_proven(&self) -> bool {
        self.framing.proven
    }

    fn held(&self) -> Held {
        let [mut held, other] = self.held;
        add(&mut held, other.bytes, other.since);
        held
    }

    fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)> {
        let mut oldest = None;
        for direction in Direction::BOTH {
            let half = &self.framing.halves[direction.index()];
            let in_position = match &half.position {
                Position::Header(_) => None,
                Position::Frame(open) => match &**open {
                    Open::Frame(open) if open.payload.capacity() > 0 => Some((open.first.order, Part::Frame)),
                    _ => None,
                },
                Position::Seeking(seeker) => (seeker.memory() > 0).then(|| (seeker.since(), Part::Search)),
            };
            let in_block = self.senders[direction.index()].block.as_ref().map(|block| (block.first.order, Part::Block));
            for (since, part) in in_position.into_iter().chain(in_block) {
                if oldest.is_none_or(|(known, _, _)| since < known) {
                    oldest = Some((since, direction, part));
                }
            }
        }
        let (_, direction, part) = oldest?;
        let released = self.release_part(direction, part, context);
        self.update_held(direction);
        released
    }
}

/// Something that is held in one direction.
#[derive(Clone, Copy, Debug)]
enum Part {
    Frame,
    Block,
    Search,
}

impl Http2 {
    /// Works out what is held in one direction. Only what comes in that direction changes it, unless the roles are swapped or
    /// the protocol is proven: so the other direction's state, which is seldom in the processor's cache, is not looked at.
    fn update_held(&mut self, direction: Direction) {
        let mut held = Held::NOTHING;
        match &self.framing.halves[direction.index()].position {
            Position::Header(_) => {}
            Position::Frame(open) => {
                if let Open::Frame(open) = &**open
                    && open.payload.capacity() > 0
                {
                    add(&mut held, open.payload.capacity() + size_of::<Open>(), open.first.order);
                }
            }
            Position::Seeking(seeker) => add(&mut held, seeker.memory(), seeker.since()),
        }
        if let Some(block) = &self.senders[direction.index()].block {
            add(&mut held, block.held(), block.first.order);
        }
        self.held[direction.index()] = held;
    }

    fn release_part(&mut self, direction: Direction, part: Part, lane: &mut Lane) -> Option<(Kind, usize)> {
        let half = &mut self.framing.halves[direction.index()];
        let sender = &mut self.senders[direction.index()];
        let (kind, bytes, stream, what) = match (part, &mut half.position) {
            (Part::Frame, Position::Frame(open)) => {
                let Open::Frame(open) = &mut **open else { return None };
                let payload = std::mem::take(&mut open.payload);
                // As if the bytes were missing: what follows of the frame is not kept either.
                open.holes = true;
                if matches!(open.header.kind, FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION) {
                    sender.hpack.new_epoch();
                }
                (Kind::Unfinished, payload.capacity(), open.header.stream, "a frame")
            }
            (Part::Block, _) => {
                let block = sender.block.take()?;
                sender.hpack.new_epoch();
                (Kind::Unfinished, block.held(), block.stream, "a header block")
            }
            (Part::Search, Position::Seeking(seeker)) => {
                let bytes = seeker.memory();
                seeker.gap();
                let text = format!(
                    "{bytes} bytes {}, in which a frame was searched, were released: the memory limit is reached",
                    way(direction)
                );
                self.framing.note(lane, Note::new(Severity::Warning, "memory-limit", text));
                return Some((Kind::Search, bytes));
            }
            _ => return None,
        };
        let text = format!(
            "{what} of stream {stream} {} without its end ({bytes} bytes) was released: the memory limit is reached",
            way(direction)
        );
        let note = Note::new(Severity::Warning, "memory-limit", text);
        match self.streams.get_mut(stream).and_then(|stream| stream.call()) {
            Some(call) => lane.call_mut(call).note(note),
            None => self.framing.note(lane, note),
        }
        Some((kind, bytes))
    }
}

/// Adds what is held since `since`.
pub(crate) const fn add(held: &mut Held, bytes: usize, since: u64) {
    if bytes == 0 {
        return;
    }
    if held.bytes == 0 || since < held.since {
        held.since = since;
    }
    held.bytes += bytes;
}

/// Frames up to this size are expected where the receiver's SETTINGS were not seen: what gRPC's C core allows.
const UNKNOWN_MAX_FRAME_SIZE: u32 = 1 << 22;

/// Settings of one frame that are kept as an event: more than have been registered.
const MAX_SETTINGS_KEPT: usize = 64;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn holes_note(now: Arrival) -> Note {
    Note::new(Severity::Warning, "frame-cut", "a part of the frame is missing").at(now.packet)
}
