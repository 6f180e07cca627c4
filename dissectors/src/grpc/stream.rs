//! A stream that carries a call: header blocks, DATA and ends in; the parts of a [`Call`] out.
//!
//! What a stream may do is HTTP/2's business; here only the meaning of what it does is entered. How a call ends: the
//! first terminal event decides and nothing later changes it, but later things are kept and marked as late.

use rpcshark_captures::{Data, Direction};

use super::facts::{Carrier, HeaderFacts, HeaderValue, Role};
use super::framing::{AfterGap, Framed, Framer};
use crate::note::way;
use crate::store::{
    Call, CallId, ConnectionId, End, Guesses, HeaderListId, Lane, Message, MessageFlags, Protocol, Reset,
};
use crate::{Arrival, Note, Severity};

/// One stream's call, while more of it may come.
///
/// Where the content type is unknown (its header entry was sent before the capture began), the stream is *undecided*: the
/// call is only entered when its DATA turns out to be prefixed messages, or a field that only gRPC has is seen.
#[derive(Debug)]
pub struct GrpcStream {
    /// The call in the lane, once it is decided that it is one.
    call: Option<CallId>,
    /// What waits for that decision.
    undecided: Option<Box<Undecided>>,
    sides: [Side; 2],
}

/// What will be a call, perhaps.
#[derive(Debug)]
struct Undecided {
    connection: ConnectionId,
    stream: u32,
    begin: Arrival,
    request_headers: Option<(HeaderListId, Arrival, Arrival)>,
    response_headers: Option<(HeaderListId, Arrival)>,
}

/// One direction of it.
#[derive(Debug, Default)]
struct Side {
    framer: Framer,
    /// Messages found on trial.
    trial: Option<Box<Trial>>,
    /// Where messages begin is a guess.
    guessed: bool,
    /// What it carries is no messages: a page that says what went wrong.
    opaque: bool,
}

/// Messages that are only believed when they end where DATA ends.
#[derive(Debug, Default)]
struct Trial {
    found: Vec<Framed>,
    /// Something cannot be a message.
    wrong: bool,
    /// The direction is not aligned: each DATA payload is tried by itself, from its beginning.
    unaligned: bool,
}

/// A message whose prefix says more than this is not believed on trial; implementations allow 4 MiB by default.
const MAX_TRIED_LENGTH: u32 = 1 << 28;

/// So many messages in a row are no accident, even where DATA does not end with one.
const ENOUGH_MESSAGES: usize = 64;

impl GrpcStream {
    /// A stream that is a call, or that may be one.
    pub fn begin(lane: &mut Lane, connection: ConnectionId, stream: u32, begin: Arrival, decided: bool) -> Self {
        if decided {
            let call = Some(enter_call(lane, connection, stream, begin));
            return Self { call, undecided: None, sides: Default::default() };
        }
        let undecided = Undecided { connection, stream, begin, request_headers: None, response_headers: None };
        let sides = [(); 2].map(|()| Side { trial: Some(Box::default()), ..Side::default() });
        Self { call: None, undecided: Some(Box::new(undecided)), sides }
    }

    /// A stream that goes on after it was [at rest](Self::at_rest).
    pub fn resumed(call: CallId) -> Self {
        Self { call: Some(call), undecided: None, sides: Default::default() }
    }

    /// The call, where that is all there is to remember: no message has begun, and nothing is on trial, guessed or
    /// opaque.
    pub fn at_rest(&self) -> Option<CallId> {
        let quiet = |side: &Side| side.framer.at_boundary() && side.trial.is_none() && !side.guessed && !side.opaque;
        self.call.filter(|_| self.sides.iter().all(quiet))
    }

    /// The call in the lane, once it is decided that it is one.
    pub const fn call(&self) -> Option<CallId> {
        self.call
    }

    /// It is a call: enters it, with what has waited for that.
    pub fn decide(&mut self, lane: &mut Lane) {
        let Some(undecided) = self.undecided.take() else { return };
        let Undecided { connection, stream, begin, request_headers, response_headers } = *undecided;
        let id = enter_call(lane, connection, stream, begin);
        self.call = Some(id);
        if let Some((list, begin, now)) = request_headers {
            self.request_headers(lane, list, begin, now);
        }
        if let Some((list, now)) = response_headers {
            self.response_headers(lane, list, now);
        }
        for direction in Direction::BOTH {
            let side = &mut self.sides[direction.index()];
            let guessed = side.guessed;
            match side.trial.take() {
                // What was skipped on trial hides where the next message begins.
                Some(trial) if trial.unaligned || trial.wrong => {
                    side.trial = Some(Box::new(Trial { unaligned: true, ..*trial }));
                }
                Some(trial) => trial.found.iter().for_each(|framed| enter(lane, id, direction, framed, guessed)),
                None => {}
            }
        }
    }

    /// The first header block of the client.
    pub fn request_headers(&mut self, lane: &mut Lane, list: HeaderListId, begin: Arrival, now: Arrival) {
        // Nothing of the request was sent before: its messages begin behind this.
        self.align(Direction::ToServer);
        let web = is_web(&lane.headers[list].facts);
        if let Some(undecided) = &mut self.undecided {
            undecided.request_headers = Some((list, begin, now));
        }
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        if web {
            call.protocol = Protocol::GrpcWeb;
        }
        call.request_headers = Some(list);
        call.request_headers_at = Some(now.time);
        // The answer may have been delivered first.
        call.start = begin.time;
        call.seen(begin.packet);
        call.seen(now.packet);
    }

    /// A header block of the server without END_STREAM that is no informational one.
    pub fn response_headers(&mut self, lane: &mut Lane, list: HeaderListId, now: Arrival) {
        let facts = &lane.headers[list].facts;
        let status_too_soon = matches!(facts.grpc_status, HeaderValue::Known(_));
        let web = is_web(facts);
        let opaque = is_opaque(facts);
        // Nothing of the response was sent before: its messages begin behind this.
        self.align(Direction::ToClient);
        self.sides[Direction::ToClient.index()].opaque = opaque;
        if let Some(undecided) = &mut self.undecided {
            undecided.response_headers = Some((list, now));
        }
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        call.seen(now.packet);
        if web {
            call.protocol = Protocol::GrpcWeb;
        }
        if status_too_soon {
            let text = "grpc-status in a header block that does not end the stream";
            call.note(Note::new(Severity::Warning, "grpc-status-early", text).at(now.packet));
        }
        if call.response_headers.is_none() {
            call.response_headers = Some(list);
            call.response_headers_at = Some(now.time);
        }
    }

    /// The header block of the server that ends the stream. `None`: it lies in a gap.
    pub fn trailers(&mut self, lane: &mut Lane, list: Option<HeaderListId>, now: Arrival) {
        self.cut_short(lane, Direction::ToClient, "the stream ends inside of it");
        let facts = list.map(|list| &lane.headers[list].facts);
        let alone = facts.is_some_and(|facts| facts.role == Role::Response);
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        call.seen(now.packet);
        let end = if list.is_some() { End::Trailers } else { End::Gap };
        if call.end(end, now.time) {
            call.trailers = list;
            // Trailers-only: its header block is at once the response's beginning and its end.
            if alone {
                call.response_headers_at = call.response_headers_at.or(Some(now.time));
            }
        } else if list.is_some() {
            call.rare.get_or_insert_default().late_trailers = list;
        }
    }

    /// A DATA frame begins.
    pub fn data_begins(&mut self, direction: Direction) {
        let side = &mut self.sides[direction.index()];
        if let Some(trial) = side.trial.as_deref_mut()
            && trial.unaligned
        {
            *trial = Trial { unaligned: true, ..Trial::default() };
            side.framer = Framer::default();
        }
    }

    /// Bytes of DATA.
    pub fn data(&mut self, lane: &mut Lane, direction: Direction, mut data: Data<'_>) {
        let side = &mut self.sides[direction.index()];
        if side.opaque {
            return;
        }
        if let Some(trial) = &mut side.trial {
            if !trial.wrong {
                trial.read(&mut side.framer, data);
            }
            return;
        }
        let Some(id) = self.call else { return };
        lane.call_mut(id).seen(data.packet.no);
        while let Some(framed) = side.framer.next(&mut data) {
            enter(lane, id, direction, &framed, side.guessed);
        }
    }

    /// A DATA frame ends: messages on trial that end with it are believed.
    pub fn data_ends(&mut self, lane: &mut Lane, direction: Direction) {
        let side = &mut self.sides[direction.index()];
        let Some(trial) = &mut side.trial else { return };
        let whole = side.framer.at_boundary() && !trial.found.is_empty() || trial.found.len() >= ENOUGH_MESSAGES;
        if trial.wrong || !whole {
            return;
        }
        let unaligned = trial.unaligned;
        trial.unaligned = false;
        side.guessed |= unaligned;
        let undecided = self.call.is_none();
        self.decide(lane);
        let Some(id) = self.call else { return };
        let side = &mut self.sides[direction.index()];
        let guessed = side.guessed;
        if let Some(trial) = side.trial.take() {
            trial.found.iter().for_each(|framed| enter(lane, id, direction, framed, guessed));
        }
        let call = lane.call_mut(id);
        if undecided {
            call.guessed.add(Guesses::PROTOCOL);
        }
        if unaligned {
            call.guessed.add(Guesses::ALIGNMENT);
        }
    }

    /// Bytes of a DATA payload whose frame is known are missing.
    pub fn data_gap(&mut self, lane: &mut Lane, direction: Direction, len: u64, now: Arrival) {
        let side = &mut self.sides[direction.index()];
        if side.opaque {
            return;
        }
        if let Some(trial) = &mut side.trial {
            trial.wrong = true;
            if !trial.unaligned {
                self.unalign(lane, direction, None);
            }
            return;
        }
        let Some(id) = self.call else { return };
        let guessed = side.guessed;
        match side.framer.gap(len, now.time, now.packet) {
            AfterGap::Kept(None) => {}
            AfterGap::Kept(Some(framed)) => {
                enter(lane, id, direction, &framed, guessed);
                let text = format!("{len} bytes of a message {} are missing", way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-cut", text).at(now.packet));
            }
            AfterGap::Lost(framed) => {
                side.trial = Some(Box::new(Trial { unaligned: true, wrong: true, ..Trial::default() }));
                if let Some(framed) = framed {
                    enter(lane, id, direction, &framed, guessed);
                }
                let text = format!("a gap hides where the next message {} begins", way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-alignment-lost", text).at(now.packet));
            }
        }
    }

    /// Bytes of the direction are missing, and what they held is not known: what had begun ends here.
    pub fn unalign(&mut self, lane: &mut Lane, direction: Direction, now: Option<Arrival>) {
        self.cut_short(lane, direction, "a gap follows");
        if let (Some(id), Some(now)) = (self.call, now) {
            let text = format!("bytes {} are missing: messages and the end may be among them", way(direction));
            lane.call_mut(id).note(Note::new(Severity::Warning, "gap", text).at(now.packet));
        }
        let side = &mut self.sides[direction.index()];
        side.framer = Framer::default();
        side.trial = Some(Box::new(Trial { unaligned: true, wrong: true, ..Trial::default() }));
    }

    /// One side has ended the stream.
    pub fn half_close(&mut self, lane: &mut Lane, direction: Direction, now: Arrival) {
        self.cut_short(lane, direction, "the stream ends inside of it");
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        call.seen(now.packet);
        match direction {
            Direction::ToServer => call.half_close_at = call.half_close_at.or(Some(now.time)),
            Direction::ToClient => {
                call.end(End::Data, now.time);
            }
        }
    }

    /// RST_STREAM. `crossed`: its sender cannot have seen the end of the answer, though that was delivered before.
    pub fn reset(&mut self, lane: &mut Lane, reset: Reset, crossed: bool, now: Arrival) {
        for direction in Direction::BOTH {
            self.cut_short(lane, direction, "the stream is reset");
        }
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        call.seen(now.packet);
        call.reset(reset);
        if !call.end(End::Reset, now.time) && crossed && matches!(call.end, Some(End::Trailers | End::Data)) {
            call.overtaken(now.time);
        }
    }

    /// A GOAWAY says that the stream was not processed.
    pub fn refused(&mut self, lane: &mut Lane, now: Arrival) {
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        if call.end(End::Goaway, now.time) {
            call.seen(now.packet);
        }
    }

    /// The connection has ended, or (`None`) the capture.
    pub fn abandon(&mut self, lane: &mut Lane, now: Option<Arrival>) {
        let what = if now.is_some() { "the connection ends inside of it" } else { "the capture ends inside of it" };
        for direction in Direction::BOTH {
            self.cut_short(lane, direction, what);
        }
        if let (Some(id), Some(now)) = (self.call, now) {
            lane.call_mut(id).end(End::Connection, now.time);
        }
    }

    /// What was taken for the client is the server.
    pub fn swap_roles(&mut self) {
        self.sides.swap(0, 1);
    }

    fn align(&mut self, direction: Direction) {
        let decided = self.call.is_some();
        let side = &mut self.sides[direction.index()];
        if side.trial.as_ref().is_some_and(|trial| trial.unaligned) {
            let trial = if decided { None } else { Some(Box::default()) };
            *side = Side { trial, ..Side::default() };
        }
    }

    /// Enters what of a message had begun, with a note.
    fn cut_short(&mut self, lane: &mut Lane, direction: Direction, why: &str) {
        let side = &mut self.sides[direction.index()];
        let (Some(id), None) = (self.call, &side.trial) else { return };
        let in_prefix = !side.framer.at_boundary();
        let Some(framed) = side.framer.cut_short() else {
            if in_prefix {
                let text = format!("a message {} is cut short in its prefix: {why}", way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-cut", text));
            }
            return;
        };
        let (length, packet) = (framed.length, framed.packet);
        enter(lane, id, direction, &framed, side.guessed);
        let text = format!("a message of {length} bytes {} is cut short: {why}", way(direction));
        self.note(lane, Note::new(Severity::Warning, "message-cut", text).at(packet));
    }

    fn note(&self, lane: &mut Lane, note: Note) {
        if let Some(id) = self.call {
            lane.call_mut(id).note(note);
        }
    }
}

impl Trial {
    fn read(&mut self, framer: &mut Framer, mut data: Data<'_>) {
        while let Some(framed) = framer.next(&mut data) {
            self.wrong |= framed.flags.has(MessageFlags::STRANGE_FLAG);
            self.found.push(framed);
            if self.wrong {
                return;
            }
        }
        self.wrong |= framer.open_length() > MAX_TRIED_LENGTH;
    }
}

fn enter_call(lane: &mut Lane, connection: ConnectionId, stream: u32, begin: Arrival) -> CallId {
    lane.add_call(Call::new(Protocol::Grpc, connection, stream, begin.time, begin.packet))
}

fn enter(lane: &mut Lane, id: CallId, direction: Direction, framed: &Framed, guessed: bool) {
    let body = lane.add_pieces(&framed.pieces, framed.length);
    let mut message = Message::new(direction, framed.length, body, framed.at, framed.packet);
    message.flags = message.flags.with(framed.flags);
    if guessed {
        message.flags = message.flags.with(MessageFlags::GUESSED);
    }
    let call = lane.call_mut(id);
    // What the client sends after the answer is only late when the call was torn down.
    let torn = matches!(call.end, Some(End::Reset | End::Goaway | End::Connection));
    if torn || call.end.is_some() && direction == Direction::ToClient {
        message.flags = message.flags.with(MessageFlags::LATE);
    }
    call.seen(framed.packet);
    call.add_message(message);
}

/// Whether a response's body is no messages: another content type, or an HTTP error without one.
fn is_opaque(facts: &HeaderFacts) -> bool {
    match facts.content_type {
        HeaderValue::Known(carrier) => carrier == Carrier::Other,
        HeaderValue::Absent => facts.http_status.known().is_some_and(|&status| status != 200),
        HeaderValue::Unknown => false,
    }
}

fn is_web(facts: &HeaderFacts) -> bool {
    facts.content_type.known() == Some(&Carrier::GrpcWeb)
}
