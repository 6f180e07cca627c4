//! HTTP/2 on one connection, both directions (RFC 9113).
//!
//! Frames are read as their bytes arrive; DATA is handed on piece by piece and never gathered. Whatever depends on the
//! state of the connection is decided here, in this one pass: header blocks, SETTINGS and when they are in force, who has
//! ended which stream, what a gap hides. What a stream's contents mean is [`GrpcStream`]'s.

use std::borrow::Cow;
use std::sync::Arc;

use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Gap, Input};

use super::frame::{Flags, FrameHeader, FrameType};
use super::half::{
    Announced, BlockOf, Half, MAX_UNACKNOWLEDGED, OpenBlock, OpenFrame, PartialHeader, RETRIES, Reading,
};
use super::hpack;
use super::payload::{self, Parsed, Payload};
use super::resync::{self, CHAIN, Limits};
use super::state::{Event, State};
use super::streams::{Carries, Stream, Streams};
use crate::grpc::{GrpcStream, Role, Rpc};
use crate::header::Field;
use crate::note::way;
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::probe::is_first_settings;
use crate::seek::Seeker;
use crate::store::{ClientBy, ConnectionId, ConnectionProtocol, Frame, Framing, HeaderListId, Lane, Reset};
use crate::{Arrival, Note, Severity};

/// HTTP/2 on one connection.
#[derive(Debug)]
pub struct Http2 {
    connection: ConnectionId,
    /// By [`Direction::index`], as the directions are taken now.
    halves: [Half; 2],
    streams: Streams,
    /// The highest stream that was opened by its own side, where bytes are in order: odd ones by the client, even ones by
    /// the server.
    opened: [u32; 2],
    /// Resets that wait for what their sender had seen before them.
    waiting: Vec<WaitingReset>,
    /// Whether the input's directions are the other way round.
    roles_swapped: bool,
    /// Whether they may still swap out to be the other way round.
    roles_may_swap: bool,
    proven: bool,
}

/// An RST_STREAM whose sender had acknowledged more of the other flow than has been delivered.
#[derive(Clone, Copy, Debug)]
struct WaitingReset {
    /// So much of the other flow.
    acked: u64,
    direction: Direction,
    stream: u32,
    code: u32,
    now: Arrival,
}

impl Http2 {
    /// A connection whose bytes begin with the next input.
    pub fn new(connection: ConnectionId, join_point: JoinPoint) -> Self {
        let halves = match join_point {
            JoinPoint::Start => [Half::new(Reading::Preface(0), true), Half::new(header(), true)],
            JoinPoint::Middle => [Half::seeking(), Half::seeking()],
        };
        let in_the_middle = join_point == JoinPoint::Middle;
        Self {
            connection,
            halves,
            streams: Streams::default(),
            opened: [0; 2],
            waiting: Vec::new(),
            roles_swapped: false,
            roles_may_swap: in_the_middle,
            proven: !in_the_middle,
        }
    }

    /// A connection that was HTTP/1.1 until both sides agreed to go on with HTTP/2 (RFC 7540 §3.2): its first request,
    /// as `fields` and `body`, is stream 1, half-closed towards the server.
    pub fn upgraded<'b>(
        connection: ConnectionId,
        fields: Arc<[Field]>,
        body: impl Iterator<Item = Data<'b>>,
        (begin, end): (Arrival, Arrival),
        lane: &mut Lane,
    ) -> Self {
        let mut this = Self::new(connection, JoinPoint::Start);
        lane.connection_mut(connection).protocol = ConnectionProtocol::Http2;
        let list = lane.headers.enter(&fields);
        this.header_block(Direction::ToServer, 1, Some(list), false, begin, end, lane);
        let mut end = end;
        if let Some(rpc) = this.streams.get_mut(1).and_then(Stream::rpc) {
            rpc.data_begins(Direction::ToServer);
            for data in body {
                end = Arrival::from(&data);
                rpc.data(lane, Direction::ToServer, data);
            }
            rpc.data_ends(lane, Direction::ToServer);
        }
        this.stream_ends(1, Direction::ToServer, end, lane);
        this
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        &mut self.halves[direction.index()]
    }

    /// Reads on in one direction, as the transport sees it, until `data` is used up.
    fn read(&mut self, seen: Direction, data: Data<'_>, lane: &mut Lane) {
        self.read_known(seen, data, lane);
        self.read_found(seen, lane);
        if !self.waiting.is_empty() {
            self.release_resets(false, lane);
        }
    }

    /// A boundary that was sought may have been found; what is behind it is read now. Each round gives up a boundary that
    /// the last one had found, and retries are few.
    fn read_found(&mut self, seen: Direction, lane: &mut Lane) {
        while let Some(held) = self.found(self.oriented(seen), lane) {
            held.data().for_each(|data| self.read_known(seen, data, lane));
        }
    }

    fn read_known(&mut self, seen: Direction, mut data: Data<'_>, lane: &mut Lane) {
        while !data.bytes.is_empty() {
            // Any header block may swap the connection round.
            let direction = self.oriented(seen);
            let half = &mut self.halves[direction.index()];
            half.acked = data.acked;
            match &mut half.reading {
                Reading::Header(partial) => match partial.read(&mut data) {
                    Some((header, begin)) => {
                        half.position = data.offset;
                        self.frame_begins(direction, header, begin, &mut data, lane);
                    }
                    None => return,
                },
                Reading::Payload(_) => self.payload(direction, &mut data, lane),
                Reading::Preface(_) => self.preface(direction, &mut data, lane),
                Reading::Seeking(_) => return self.seek(direction, &data),
            }
        }
    }

    /// The direction that the transport sees, as it is taken now.
    const fn oriented(&self, seen: Direction) -> Direction {
        if self.roles_swapped { seen.reverse() } else { seen }
    }

    fn preface(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane) {
        let half = &mut self.halves[direction.index()];
        let Reading::Preface(have) = &mut half.reading else { return };
        let expected = PREFACE.get(*have..).unwrap_or_default();
        let (head, rest) = data.split(expected.len());
        if !expected.starts_with(head.bytes) {
            let now = Arrival::from(&*data);
            half.break_off(now);
            self.note(
                lane,
                Note::new(Severity::Error, "preface", "the client's first bytes are no HTTP/2 preface").at(now.packet),
            );
            return;
        }
        *have += head.bytes.len();
        if *have == PREFACE.len() {
            half.reading = header();
        }
        *data = rest;
    }

    fn limits(&self, direction: Direction) -> Limits {
        let max_frame_size = self.halves[direction.index()].max_frame_size;
        Limits {
            max_frame_size: max_frame_size.unwrap_or(UNKNOWN_MAX_FRAME_SIZE),
            highest_stream: self.streams.highest,
        }
    }

    fn seek(&mut self, direction: Direction, data: &Data<'_>) {
        let limits = self.limits(direction);
        if let Reading::Seeking(seeker) = &mut self.half(direction).reading {
            seeker.push(data, &limits);
        }
    }

    /// What lies behind a boundary that has been found.
    fn found(&mut self, direction: Direction, lane: &mut Lane) -> Option<crate::held::Held> {
        let half = self.half(direction);
        let Reading::Seeking(seeker) = &mut half.reading else { return None };
        if !seeker.is_found() {
            return None;
        }
        let (held, lost) = std::mem::replace(&mut **seeker, Seeker::new(CHAIN)).into_found();
        half.reading = header();
        half.since_found = 0;
        if lost > 0 {
            let text = format!("{lost} bytes {} were passed over to find where a frame begins", way(direction));
            let packet = held.data().next().map(|data| data.packet.no).unwrap_or_default();
            self.note(lane, Note::new(Severity::Warning, "resynchronised", text).at(packet));
        }
        if !self.proven {
            self.proven = true;
            lane.connection_mut(self.connection).protocol = ConnectionProtocol::Http2;
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
        let limits = self.limits(direction);
        let half = self.half(direction);
        half.since_found = half.since_found.saturating_add(1);
        // RFC 9113 §3.4: a server begins with SETTINGS. What begins otherwise does not begin here.
        if half.since_found == 1 && half.whole && direction == Direction::ToClient && !is_first_settings(header) {
            half.break_off(begin);
            return;
        }
        let found_lately = half.breaks > 0 && half.since_found <= DOUBTED_FRAMES;
        if found_lately && half.retries > 0 && !resync::is_plausible(header, &limits) {
            half.retries -= 1;
            half.break_off(begin);
            return;
        }
        if header.kind != FrameType::CONTINUATION && half.block.take().is_some() {
            // RFC 9113 §6.10: CONTINUATION must follow; without the end of the block the table is not known any more.
            half.hpack.new_epoch();
            let text = format!("a header block of stream {} is interrupted by a {} frame", header.stream, header.kind);
            self.note(lane, Note::new(Severity::Error, "header-block-interrupted", text).at(begin.packet));
        }
        let payload = Vec::new();
        let mut open = OpenFrame { header, begin, left: header.length, payload, holes: false, pad: None };
        if header.kind == FrameType::DATA {
            self.data_begins(direction, &header, begin, lane);
        }
        if data.bytes.len() < header.length as usize {
            self.half(direction).reading = Reading::Payload(Box::new(open));
            return;
        }
        // The common case: all of it is here.
        let (whole, rest) = data.split(header.length as usize);
        *data = rest;
        let half = self.half(direction);
        half.reading = self::header();
        half.position = data.offset;
        if header.kind == FrameType::DATA && header.length > 0 {
            Self::data_part(&mut self.streams, &mut open, direction, whole, lane);
        }
        self.frame_ends(direction, &open, whole.bytes, Arrival::from(&whole), lane);
    }

    /// Reads on in a frame's payload.
    fn payload(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane) {
        let half = &mut self.halves[direction.index()];
        let Reading::Payload(open) = &mut half.reading else { return };
        let (head, rest) = data.split(open.left as usize);
        *data = rest;
        if open.header.kind == FrameType::DATA {
            Self::data_part(&mut self.streams, open, direction, head, lane);
        } else {
            open.payload.extend_from_slice(head.bytes);
        }
        open.left -= head.bytes.len() as u32;
        half.position = data.offset;
        if open.left > 0 {
            return;
        }
        if let Reading::Payload(open) = std::mem::replace(&mut half.reading, header()) {
            self.frame_ends(direction, &open, &open.payload, Arrival::from(&head), lane);
        }
    }

    fn data_begins(&mut self, direction: Direction, header: &FrameHeader, begin: Arrival, lane: &mut Lane) {
        let wrong = self.advance(header.stream, Event::Data, direction, begin, lane);
        if let Some(wrong) = wrong {
            self.violation(header.stream, wrong, begin, lane);
        }
        if let Some(rpc) = self.streams.get_mut(header.stream).and_then(Stream::rpc) {
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
            let (pad, rest) = part.split(1);
            open.pad = pad.bytes.first().copied();
            left -= 1;
            part = rest;
        }
        let data_left = left.saturating_sub(u32::from(open.pad.unwrap_or(0)));
        let (data, _padding) = part.split(data_left as usize);
        if !data.bytes.is_empty()
            && let Some(rpc) = streams.get_mut(open.header.stream).and_then(Stream::rpc)
        {
            rpc.data(lane, direction, data);
        }
    }

    /// A frame is complete; `payload` is nothing that is needed where it is DATA.
    fn frame_ends(&mut self, direction: Direction, open: &OpenFrame, payload: &[u8], now: Arrival, lane: &mut Lane) {
        let OpenFrame { header, begin, holes, pad, .. } = *open;
        let stream = header.stream;
        match header.kind {
            FrameType::DATA => {
                if let Some(rpc) = self.streams.get_mut(stream).and_then(Stream::rpc) {
                    rpc.data_ends(lane, direction);
                }
                if lane.keep.frames {
                    let mut frame = self.frame(direction, &header, now);
                    frame.padding = pad;
                    if holes {
                        frame.notes.push(holes_note(now));
                    }
                    lane.add_frame(frame);
                }
                if header.flags.contains(Flags::END_STREAM) {
                    self.stream_ends(stream, direction, now, lane);
                }
            }
            FrameType::HEADERS => {
                let of = BlockOf::Headers { end_stream: header.flags.contains(Flags::END_STREAM) };
                self.block_begins(direction, &header, of, payload, holes, begin, now, lane);
            }
            FrameType::PUSH_PROMISE => {
                self.block_begins(direction, &header, BlockOf::PushPromise, payload, holes, begin, now, lane);
            }
            FrameType::CONTINUATION => self.block_goes_on(direction, &header, payload, holes, now, lane),
            _ => self.control(direction, &header, payload, holes, now, lane),
        }
    }

    /// A frame that is neither DATA nor part of a header block.
    fn control(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        payload: &[u8],
        holes: bool,
        now: Arrival,
        lane: &mut Lane,
    ) {
        // The stream's call is looked up before a reset closes it.
        let frame = lane.keep.frames.then(|| self.frame(direction, header, now));
        let Parsed { payload: parsed, faults } = payload::parse(*header, payload);
        match parsed {
            // What is missing might be what matters.
            _ if holes => {}
            Payload::Settings(_) if header.flags.contains(Flags::ACK) => self.settings_acknowledged(direction),
            Payload::Settings(settings) => self.settings(direction, Announced::by(settings)),
            Payload::RstStream(code) => self.rst_stream(direction, header.stream, code.0, now, lane),
            Payload::GoAway { last_stream, .. } => self.goaway(direction, last_stream, now, lane),
            _ => {}
        }
        if let Some(mut frame) = frame {
            match holes {
                true => frame.notes.push(holes_note(now)),
                false => frame.notes.extend(faults.iter().map(|fault| fault.note(header.kind).at(now.packet))),
            }
            frame.payload = payload.into();
            lane.add_frame(frame);
        }
    }

    /// SETTINGS are in force for what the other side sends from its acknowledgment on (RFC 9113 §6.5.3). The two directions
    /// are delivered independently, so the acknowledgment may be there first.
    fn settings_acknowledged(&mut self, direction: Direction) {
        match self.half(direction.reverse()).unacknowledged.pop_front() {
            Some(settings) => self.enforce(direction, settings),
            None => {
                let half = self.half(direction);
                half.early_acks = (half.early_acks + 1).min(MAX_UNACKNOWLEDGED as u32);
            }
        }
    }

    fn settings(&mut self, direction: Direction, settings: Announced) {
        let other = self.half(direction.reverse());
        if other.early_acks > 0 {
            other.early_acks -= 1;
            self.enforce(direction.reverse(), settings);
            return;
        }
        // A frame larger than was allowed before may be sent as soon as the sender has read this, before its ACK is seen.
        if let (Some(known), Some(size)) = (&mut other.max_frame_size, settings.max_frame_size) {
            *known = size.max(*known);
        }
        let half = self.half(direction);
        if half.unacknowledged.len() < MAX_UNACKNOWLEDGED {
            half.unacknowledged.push_back(settings);
        }
    }

    /// `settings` are in force for what is sent in `direction`.
    fn enforce(&mut self, direction: Direction, settings: Announced) {
        let half = self.half(direction);
        if let Some(size) = settings.header_table_size {
            half.hpack.set_limit(size);
        }
        half.max_frame_size = settings.max_frame_size.or(half.max_frame_size);
    }

    /// The two directions are delivered independently. What the other side had sent before, as far as the sender of the
    /// reset had acknowledged it, comes first.
    fn rst_stream(&mut self, direction: Direction, id: u32, code: u32, now: Arrival, lane: &mut Lane) {
        let other = &self.halves[direction.reverse().index()];
        if let Some(acked) = self.halves[direction.index()].acked
            && acked > other.position
            && self.waiting.len() < MAX_WAITING
        {
            self.waiting.push(WaitingReset { acked, direction, stream: id, code, now });
            return;
        }
        self.reset(direction, id, code, now, lane);
    }

    /// Enters the resets whose swap has come, or all of them.
    fn release_resets(&mut self, all: bool, lane: &mut Lane) {
        let halves = &self.halves;
        let come = |reset: &WaitingReset| all || reset.acked <= halves[reset.direction.reverse().index()].position;
        let (come, waiting) = std::mem::take(&mut self.waiting).into_iter().partition::<Vec<_>, _>(come);
        self.waiting = waiting;
        for WaitingReset { direction, stream, code, now, .. } in come {
            self.reset(direction, stream, code, now, lane);
        }
    }

    fn reset(&mut self, direction: Direction, id: u32, code: u32, now: Arrival, lane: &mut Lane) {
        // A reset says nothing about a stream of which nothing else was seen.
        if self.streams.get_mut(id).is_none() {
            return;
        }
        let wrong = self.advance(id, Event::Reset, direction, now, lane);
        if let Some(wrong) = wrong {
            self.violation(id, wrong, now, lane);
        }
        let acked = self.halves[direction.index()].acked;
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.ended[direction.index()] = true;
        // The end of the answer was on its way when the client gave up: for the client the reset came first.
        let crossed =
            direction == Direction::ToServer && acked.zip(stream.answered_at).is_some_and(|(acked, end)| acked < end);
        if let Some(rpc) = stream.rpc() {
            rpc.reset(lane, Reset { code, direction, at: now.time }, crossed, now);
        }
        self.settle(id, lane);
    }

    /// RFC 9113 §6.8: streams of the other side above the last stream id were not processed.
    fn goaway(&mut self, direction: Direction, last: u32, now: Arrival, lane: &mut Lane) {
        let odd = direction == Direction::ToClient;
        let refused: Vec<u32> = (self.streams.in_order().into_iter())
            .filter(|(id, stream)| *id > last && (id % 2 == 1) == odd && stream.state != State::Closed)
            .map(|(id, _)| id)
            .collect();
        for id in refused {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            if let Some(rpc) = stream.rpc() {
                rpc.refused(lane, now);
            }
            self.settle(id, lane);
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of one frame
    fn block_begins(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        of: BlockOf,
        payload: &[u8],
        holes: bool,
        begin: Arrival,
        now: Arrival,
        lane: &mut Lane,
    ) {
        let Parsed { payload: parsed, faults } = payload::parse(*header, payload);
        let (fragment, padding, priority, promised) = match parsed {
            Payload::Headers { priority, fragment, padding } => (Some(fragment), padding, priority, None),
            Payload::PushPromise { promised, fragment, padding } => (Some(fragment), padding, None, Some(promised)),
            _ => (None, None, None, None),
        };
        let mut frames = Vec::new();
        if lane.keep.frames {
            let mut frame = self.frame(direction, header, now);
            (frame.padding, frame.priority, frame.promised) = (padding, priority, promised);
            if !holes {
                frame.notes.extend(faults.iter().map(|fault| fault.note(header.kind).at(now.packet)));
            }
            frames.push(frame);
        }
        let block = OpenBlock {
            stream: header.stream,
            of,
            promised: promised.filter(|_| !holes),
            bytes: Cow::Borrowed(fragment.unwrap_or_default()),
            holes: holes || fragment.is_none(),
            begin,
            frames,
        };
        match header.flags.contains(Flags::END_HEADERS) {
            true => self.block_ends(direction, block, now, lane),
            false => self.half(direction).block = Some(block.kept()),
        }
    }

    fn block_goes_on(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        payload: &[u8],
        holes: bool,
        now: Arrival,
        lane: &mut Lane,
    ) {
        let frame = lane.keep.frames.then(|| self.frame(direction, header, now));
        let half = self.half(direction);
        let Some(mut block) = half.block.take().filter(|block| block.stream == header.stream) else {
            // Its beginning is not there: whatever it inserted is not known.
            half.hpack.new_epoch();
            if let Some(mut frame) = frame {
                let text = "CONTINUATION of a header block whose beginning is not in the capture";
                frame.notes.push(Note::new(Severity::Warning, "header-block-headless", text).at(now.packet));
                lane.add_frame(frame);
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
            block.frames.extend(frame);
        }
        match header.flags.contains(Flags::END_HEADERS) {
            true => self.block_ends(direction, block, now, lane),
            false => half.block = Some(block),
        }
    }

    fn block_ends(&mut self, direction: Direction, mut block: OpenBlock<'_>, now: Arrival, lane: &mut Lane) {
        let half = self.half(direction);
        let mut notes = Vec::new();
        let mut list = None;
        if block.holes {
            half.hpack.new_epoch();
            let text = "a part of the header block is missing";
            notes.push(Note::new(Severity::Warning, "header-block-missing", text).at(now.packet));
        } else {
            let (decoded, faults) = half.decode(&block.bytes, &mut lane.headers);
            let fault = |fault: &hpack::Fault| Note::new(Severity::Error, "hpack", fault.to_string()).at(now.packet);
            notes.extend(faults.iter().map(fault));
            list = Some(decoded);
        }
        let mut direction = direction;
        if let (Some(list), BlockOf::Headers { .. }) = (list, block.of) {
            direction = self.direction_by(list, direction, lane);
        }
        match block.of {
            BlockOf::Headers { end_stream } => {
                self.header_block(direction, block.stream, list, end_stream, block.begin, now, lane);
            }
            BlockOf::PushPromise => {
                let Some(promised) = block.promised else { return };
                self.opened[1] = self.opened[1].max(promised);
                let wrong = self.advance(promised, Event::Promise, direction, block.begin, lane);
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
            frame.direction = direction;
            lane.add_frame(frame);
        }
    }

    /// The direction in which a header list went: where it says who sends it and the client was only guessed at, that
    /// decides.
    fn direction_by(&mut self, list: HeaderListId, direction: Direction, lane: &mut Lane) -> Direction {
        let says = match lane.headers[list].facts.role {
            Role::Request => Direction::ToServer,
            Role::Response => Direction::ToClient,
            Role::Neither => return direction,
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
            if let State::HalfClosed(ended) = stream.state {
                stream.state = State::HalfClosed(ended.reverse());
            }
            if let Some(rpc) = stream.rpc() {
                rpc.swap_roles();
            }
            if let Some(call) = stream.call() {
                lane.call_mut(call).swap_roles();
            }
        }
        lane.swap_frame_roles(self.connection);
    }

    /// A header block of a stream; `None`: it is missing.
    #[allow(clippy::too_many_arguments)] // the parts of one block
    fn header_block(
        &mut self,
        direction: Direction,
        id: u32,
        list: Option<HeaderListId>,
        end_stream: bool,
        begin: Arrival,
        now: Arrival,
        lane: &mut Lane,
    ) {
        if id == 0 {
            self.violation(0, "HEADERS on stream 0", now, lane);
            return;
        }
        let connection = self.connection;
        let new = self.streams.get_mut(id).is_none();
        let client_whole = self.half(Direction::ToServer).whole;
        let wrong = self.advance(id, Event::Headers, direction, begin, lane);
        if let Some(wrong) = wrong {
            self.violation(id, wrong, now, lane);
        }
        if direction == Direction::ToServer {
            let opened = &mut self.opened[usize::from(id.is_multiple_of(2))];
            *opened = id.max(*opened);
        }
        let Some(stream) = self.streams.get_mut(id) else { return };
        let facts = list.map(|list| &lane.headers[list].facts);
        let rpc = facts.map_or(Rpc::Unknown, |facts| facts.rpc);
        let informational = facts.and_then(|facts| facts.http_status.known()).is_some_and(|s| (100..200).contains(s));
        let role = facts.map(|facts| facts.role);
        match direction {
            // Trailers of a request: nothing in gRPC has them.
            Direction::ToServer if stream.requested || role == Some(Role::Neither) && !client_whole => {}
            Direction::ToServer => {
                stream.requested = true;
                // A stream that was met before its request keeps what was seen of it.
                if stream.rpc().is_none() && rpc != Rpc::No {
                    stream.begin = begin;
                    let rpc = GrpcStream::begin(lane, connection, id, begin, rpc == Rpc::Yes);
                    stream.carries = Carries::Rpc(Box::new(rpc));
                }
                if let (Some(rpc), Some(list)) = (stream.rpc(), list) {
                    rpc.request_headers(lane, list, begin, now);
                }
            }
            Direction::ToClient if informational => {}
            Direction::ToClient => {
                if new && rpc != Rpc::No && !id.is_multiple_of(2) {
                    let mut met = GrpcStream::begin(lane, connection, id, begin, rpc == Rpc::Yes);
                    // The request may only be late: its direction waits for a packet.
                    if !client_whole {
                        met.unalign(lane, Direction::ToServer, None);
                    }
                    stream.carries = Carries::Rpc(Box::new(met));
                }
                if let Some(call) = stream.rpc() {
                    if rpc == Rpc::Yes {
                        call.decide(lane);
                    }
                    match list {
                        _ if end_stream => call.trailers(lane, list, now),
                        Some(list) => call.response_headers(lane, list, now),
                        None => {}
                    }
                }
            }
        }
        if end_stream {
            self.stream_ends(id, direction, now, lane);
        }
    }

    /// A side has ended a stream.
    fn stream_ends(&mut self, id: u32, direction: Direction, now: Arrival, lane: &mut Lane) {
        self.advance(id, Event::End, direction, now, lane);
        let position = self.half(direction).position;
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.ended[direction.index()] = true;
        if direction == Direction::ToClient {
            stream.answered_at = stream.answered_at.or(Some(position));
        }
        if let Some(rpc) = stream.rpc() {
            rpc.half_close(lane, direction, now);
        }
        if stream.state == State::Closed {
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
        if let Some(call) = stream.call() {
            lane.complete_call(call);
        }
        self.streams.close(id);
    }

    /// Brings a stream to its next state; what is wrong about that. A stream that is not known is made.
    fn advance(
        &mut self,
        id: u32,
        event: Event,
        direction: Direction,
        now: Arrival,
        lane: &mut Lane,
    ) -> Option<&'static str> {
        let known = self.streams.get_mut(id).is_some();
        let wholes = self.halves.each_ref().map(|half| half.whole);
        let whole = wholes.iter().all(|&whole| whole);
        if id == 0 {
            return Some("a frame that needs a stream, on stream 0");
        }
        // Streams are opened in the order of their ids: this one has closed and is forgotten.
        if !known && whole && id <= self.opened[usize::from(id.is_multiple_of(2))] {
            return Some("a frame on a stream that has closed");
        }
        let breaks = self.halves.each_ref().map(|half| half.breaks);
        if !known {
            let mut stream = Stream::new(now);
            stream.breaks = breaks;
            // A stream that is met in the middle: perhaps a call; where its messages begin is not known.
            if !whole && event == Event::Data && !id.is_multiple_of(2) {
                let mut rpc = GrpcStream::begin(lane, self.connection, id, now, false);
                for direction in Direction::BOTH.into_iter().filter(|direction| !wholes[direction.index()]) {
                    rpc.unalign(lane, direction, None);
                }
                stream.carries = Carries::Rpc(Box::new(rpc));
            }
            if !self.streams.open(id, stream) {
                return Some("a stream more than are followed at once");
            }
        }
        let stream = self.streams.get_mut(id)?;
        if stream.breaks != breaks {
            let broken_at = self.halves.each_ref().map(|half| half.broken_at);
            stream.pass_breaks(&breaks, &broken_at, lane);
        }
        let (next, wrong) = stream.state.after(event, direction);
        stream.state = next;
        // What was on its way when the other side ended the stream is no violation (RFC 9113 §5.1, "closed").
        let own =
            stream.ended[direction.index()] || !matches!(event, Event::Headers | Event::Data) || next == State::Open;
        wrong.filter(|_| whole && own)
    }

    /// A frame as `frames` shows it, without what only some types have.
    fn frame(&mut self, direction: Direction, header: &FrameHeader, now: Arrival) -> Frame {
        Frame {
            packet: now.packet,
            time: now.time,
            connection: self.connection,
            direction,
            protocol: Framing::Http2,
            stream: header.stream,
            kind: header.kind.0,
            flags: header.flags.0,
            length: header.length,
            call: self.streams.get_mut(header.stream).and_then(|stream| stream.call()),
            headers: None,
            promised: None,
            padding: None,
            priority: None,
            payload: Box::default(),
            trunk: None,
            notes: Vec::new(),
        }
    }

    fn gap(&mut self, direction: Direction, gap: &Gap, lane: &mut Lane) {
        let now = Arrival::from(gap);
        let half = &mut self.halves[direction.index()];
        half.retries = RETRIES;
        half.position += gap.length.unwrap_or(0);
        if let (Reading::Payload(open), Some(length)) = (&mut half.reading, gap.length)
            && length <= u64::from(open.left)
        {
            open.left -= length as u32;
            open.holes = true;
            let kind = open.header.kind;
            let padded = open.header.flags.contains(Flags::PADDED);
            let data_left = u64::from(open.left).saturating_sub(u64::from(open.pad.unwrap_or(0)));
            let data_missing = (data_left + length).min(length);
            let stream = open.header.stream;
            let pad_known = !padded || open.pad.is_some();
            let done = open.left == 0;
            if matches!(kind, FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION) {
                half.hpack.new_epoch();
            }
            if kind == FrameType::DATA
                && let Some(rpc) = self.streams.get_mut(stream).and_then(Stream::rpc)
            {
                match pad_known {
                    true => rpc.data_gap(lane, direction, data_missing, now),
                    false => rpc.unalign(lane, direction, Some(now)),
                }
            }
            if done && let Reading::Payload(open) = std::mem::replace(&mut self.half(direction).reading, header()) {
                self.frame_ends(direction, &open, &open.payload, now, lane);
            }
            return;
        }
        if let Reading::Seeking(seeker) = &mut half.reading {
            seeker.gap();
            return;
        }
        let cut = match std::mem::replace(&mut half.reading, header()) {
            Reading::Payload(open) => Some(open),
            _ => None,
        };
        let waiting = half.block.take();
        half.break_off(now);
        if let Some(open) = cut {
            self.frame_cut(direction, &open, now, lane);
        }
        if let Some(block) = waiting {
            block.frames.into_iter().for_each(|frame| lane.add_frame(frame));
        }
    }

    /// A frame that a gap has cut short: it is shown, and nothing is concluded from it.
    fn frame_cut(&mut self, direction: Direction, open: &OpenFrame, now: Arrival, lane: &mut Lane) {
        if lane.keep.frames {
            let mut frame = self.frame(direction, &open.header, now);
            frame.notes.push(holes_note(now));
            lane.add_frame(frame);
        }
    }

    fn violation(&mut self, stream: u32, text: &str, now: Arrival, lane: &mut Lane) {
        let note = Note::new(Severity::Warning, "stream-state", format!("stream {stream}: {text}")).at(now.packet);
        match self.streams.get_mut(stream).and_then(|stream| stream.call()) {
            Some(call) => lane.call_mut(call).note(note),
            None => self.note(lane, note),
        }
    }

    fn note(&self, lane: &mut Lane, note: Note) {
        lane.connection_mut(self.connection).note(note);
    }

    /// Ends what is still open: by the connection's end, or (`None`) by that of the capture.
    fn abandon(&mut self, now: Option<Arrival>, lane: &mut Lane) {
        self.release_resets(true, lane);
        let breaks = self.halves.each_ref().map(|half| half.breaks);
        let broken_at = self.halves.each_ref().map(|half| half.broken_at);
        let mut open = Vec::new();
        for (id, stream) in self.streams.in_order() {
            stream.pass_breaks(&breaks, &broken_at, lane);
            if let Some(rpc) = stream.rpc() {
                rpc.abandon(lane, now);
            }
            if now.is_some() && !stream.settled {
                open.push(id);
            }
        }
        for id in open {
            self.settle(id, lane);
        }
    }
}

impl Parser for Http2 {
    fn input(&mut self, direction: Direction, input: Input<'_>, lane: &mut Lane) -> Option<HandOver> {
        match input {
            Input::Data(data) => self.read(direction, data, lane),
            Input::Gap(gap) => {
                self.gap(self.oriented(direction), &gap, lane);
                self.release_resets(false, lane);
            }
        }
        None
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, lane: &mut Lane) {
        let direction = self.oriented(direction);
        // A client that has closed its side may still be answered.
        if how == Close::EndOfCapture || how == Close::Fin && direction == Direction::ToServer {
            return;
        }
        self.abandon(Some(now), lane);
    }

    fn finish(&mut self, lane: &mut Lane) {
        for seen in Direction::BOTH {
            let limits = self.limits(self.oriented(seen));
            if let Reading::Seeking(seeker) = &mut self.half(self.oriented(seen)).reading {
                seeker.end(&limits);
            }
            self.read_found(seen, lane);
        }
        self.abandon(None, lane);
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

/// Frames up to this size are expected where the receiver's SETTINGS were not seen: what gRPC's C core allows.
const UNKNOWN_MAX_FRAME_SIZE: u32 = 1 << 22;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// So many frames behind a boundary that was found may still show that it was none.
const DOUBTED_FRAMES: u32 = 16;

/// Resets that may wait at once; more than a real peer has under way.
const MAX_WAITING: usize = 1024;

/// Frames of one header block that are shown: as many as fit a block of 16 MiB in frames of the default size.
const MAX_BLOCK_FRAMES: usize = 1024;

fn header() -> Reading {
    Reading::Header(PartialHeader::default())
}

fn holes_note(now: Arrival) -> Note {
    Note::new(Severity::Warning, "frame-cut", "a part of the frame is missing").at(now.packet)
}
