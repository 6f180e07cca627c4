//! A stream that carries a call: header blocks, DATA and ends in; the parts of a [`Call`] out.
//!
//! What a stream may do is HTTP/2's business; here only the meaning of what it does is entered. How a call ends: the
//! first terminal event decides and nothing later changes it, but later things are kept and marked as late.

use rpcshark_captures::{Data, Direction};

use super::facts::{Carrier, HeaderFacts, HeaderValue, Role};
use super::framing::{AfterGap, Framed, Framer, MAX_WEB_TRAILERS};
use super::web::{self, TextFramer};
use crate::framed::bytes_text;
use crate::note::way;
use crate::store::{
    Call, CallEventKind, CallId, ConnectionId, End, EventOrder, EventSpan, Guesses, HeaderListId, Lane, Message,
    MessageFlags, Protocol, Reset,
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
    request_headers: Option<(HeaderListId, EventSpan)>,
    response_headers: Option<(HeaderListId, EventSpan)>,
    /// Further header blocks, up to [`MAX_BLOCKS`].
    others: Vec<(OtherBlock, HeaderListId, EventSpan)>,
}

/// A header block that most calls do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherBlock {
    /// Of the client, after its first one.
    RequestTrailers,
    /// Of the server, with a 1xx status.
    Interim,
}

/// Header blocks of one call that are kept of each kind of which most calls have none.
const MAX_BLOCKS: usize = 32;

/// One direction of it.
#[derive(Debug, Default)]
struct Side {
    framer: Framer,
    /// Messages found on trial.
    trial: Option<Box<Trial>>,
    /// Where messages begin is a guess.
    guessed: bool,
    /// Its content is not messages but, for example, an error page.
    opaque: bool,
    /// It carries gRPC-Web.
    web: Option<Box<Web>>,
}

/// What gRPC-Web adds to a direction.
#[derive(Debug, Default)]
struct Web {
    /// The body is base64.
    text: Option<TextFramer>,
    /// The trailers in the body, once they are there.
    trailers: Option<HeaderListId>,
}

/// Messages that are only believed when they end where DATA ends.
#[derive(Debug, Default)]
struct Trial {
    found: Vec<(Framed, EventOrder)>,
    /// Something cannot be a message.
    wrong: bool,
    /// The direction is not aligned: each DATA payload is tried by itself, from its beginning.
    unaligned: bool,
}

/// A message whose prefix says more than this is not believed on trial; implementations allow 4 MiB by default.
const MAX_TRIED_LENGTH: u32 = 1 << 28;

/// This many messages in a row are not a coincidence, even where DATA does not end with one.
const ENOUGH_MESSAGES: usize = 64;

impl GrpcStream {
    /// A stream that is a call, or that may be one.
    pub fn begin(lane: &mut Lane, connection: ConnectionId, stream: u32, begin: Arrival, decided: bool) -> Self {
        if decided {
            let call = Some(enter_call(lane, connection, stream, begin));
            return Self { call, undecided: None, sides: Default::default() };
        }
        let undecided =
            Undecided { connection, stream, begin, request_headers: None, response_headers: None, others: Vec::new() };
        let sides = [(); 2].map(|()| Side { trial: Some(Box::default()), ..Side::default() });
        Self { call: None, undecided: Some(Box::new(undecided)), sides }
    }

    /// A stream that continues after it was [at rest](Self::at_rest).
    pub fn resumed(call: CallId) -> Self {
        Self { call: Some(call), undecided: None, sides: Default::default() }
    }

    /// The call, where that is all there is to remember: no message has begun, and nothing is on trial, guessed or
    /// opaque.
    pub fn at_rest(&self) -> Option<CallId> {
        let quiet = |side: &Side| {
            side.framer.at_boundary() && side.trial.is_none() && !side.guessed && !side.opaque && side.web.is_none()
        };
        self.call.filter(|_| self.sides.iter().all(quiet))
    }

    /// The call in the lane, once it is decided that it is one.
    pub const fn call(&self) -> Option<CallId> {
        self.call
    }

    /// It is a call: enters it, with what has waited for that.
    pub fn decide(&mut self, lane: &mut Lane) {
        let Some(undecided) = self.undecided.take() else { return };
        let Undecided { connection, stream, begin, request_headers, response_headers, others } = *undecided;
        let id = enter_call(lane, connection, stream, begin);
        self.call = Some(id);
        // What has waited for so long that it was forgotten counts as not seen.
        if let Some((list, span)) = request_headers.filter(|&(list, _)| lane.headers.renew(list)) {
            self.request_headers(lane, list, &span);
        }
        if let Some((list, span)) = response_headers.filter(|&(list, _)| lane.headers.renew(list)) {
            self.response_headers(lane, list, &span);
        }
        for (kind, list, span) in others {
            if lane.headers.renew(list) {
                self.other_block(lane, kind, list, &span);
            }
        }
        for direction in Direction::BOTH {
            let side = &mut self.sides[direction.index()];
            let guessed = side.guessed;
            match side.trial.take() {
                // What was skipped on trial hides where the next message begins.
                Some(trial) if trial.unaligned || trial.wrong => {
                    side.trial = Some(Box::new(Trial { unaligned: true, ..*trial }));
                }
                Some(trial) => {
                    trial.found.iter().for_each(|(framed, order)| enter(lane, id, direction, framed, *order, guessed))
                }
                None => {}
            }
        }
    }

    /// The first header block of the client.
    pub fn request_headers(&mut self, lane: &mut Lane, list: HeaderListId, span: &EventSpan) {
        // Nothing of the request was sent before: its messages begin after this.
        self.align(Direction::ToServer);
        let web = web_of(&lane.headers[list].facts);
        if let Some(undecided) = &mut self.undecided {
            undecided.request_headers = Some((list, *span));
        }
        let Some(id) = self.call else { return };
        if let Some(text) = web {
            // The answer is most likely in the same form; its own headers may say otherwise.
            Direction::BOTH.into_iter().for_each(|direction| self.set_web(direction, text));
        }
        let call = lane.call_mut(id);
        if web.is_some() {
            call.protocol = Protocol::GrpcWeb;
        }
        call.request_headers = Some(list);
        call.request_headers_at = Some(span.last.time);
        // The answer may have been delivered first.
        call.start = span.first.arrival.time;
        call.seen(span.first.arrival.packet);
        call.seen(span.last.packet);
        lane.add_event(id, CallEventKind::Headers(Some(list)), span);
    }

    /// A header block that most calls do not have.
    pub fn other_block(&mut self, lane: &mut Lane, kind: OtherBlock, list: HeaderListId, span: &EventSpan) {
        if let Some(undecided) = &mut self.undecided
            && undecided.others.len() < MAX_BLOCKS
        {
            undecided.others.push((kind, list, *span));
        }
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        let rare = call.rare.get_or_insert_default();
        let event = match kind {
            OtherBlock::RequestTrailers => {
                rare.request_trailers = rare.request_trailers.or(Some(list));
                CallEventKind::Trailers(Some(list))
            }
            OtherBlock::Interim => {
                if rare.interim.len() < MAX_BLOCKS {
                    rare.interim.push(list);
                }
                CallEventKind::Interim(list)
            }
        };
        lane.add_event(id, event, span);
    }

    /// A header block of the client or the server of which bytes are missing.
    pub fn headers_missing(&mut self, lane: &mut Lane, span: &EventSpan) {
        if let Some(id) = self.call {
            lane.add_event(id, CallEventKind::Headers(None), span);
        }
    }

    /// A header block of the server that neither ends the stream nor is informational.
    pub fn response_headers(&mut self, lane: &mut Lane, list: HeaderListId, span: &EventSpan) {
        let facts = &lane.headers[list].facts;
        let status_too_soon = matches!(facts.grpc_status, HeaderValue::Known(_));
        let web = web_of(facts);
        let opaque = is_opaque(facts);
        // Nothing of the response was sent before: its messages begin after this.
        self.align(Direction::ToClient);
        self.sides[Direction::ToClient.index()].opaque = opaque;
        if let Some(undecided) = &mut self.undecided {
            undecided.response_headers = Some((list, *span));
        }
        let Some(id) = self.call else { return };
        if let Some(text) = web {
            self.set_web(Direction::ToClient, text);
        }
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        if web.is_some() {
            call.protocol = Protocol::GrpcWeb;
        }
        if status_too_soon {
            let text = "grpc-status is in a header block that does not end the stream";
            call.note(Note::new(Severity::Warning, "grpc-status-early", text).at(span.last.packet));
        }
        let first = call.response_headers.is_none();
        if first {
            call.response_headers = Some(list);
            call.response_headers_at = Some(span.last.time);
        } else {
            let again = &mut call.rare.get_or_insert_default().headers_again;
            if again.len() < MAX_BLOCKS {
                again.push(list);
            }
        }
        let event = if first { CallEventKind::Headers(Some(list)) } else { CallEventKind::HeadersAgain(list) };
        lane.add_event(id, event, span);
    }

    /// The header block of the server that ends the stream. `None`: bytes of it are missing.
    pub fn trailers(&mut self, lane: &mut Lane, list: Option<HeaderListId>, span: &EventSpan) {
        self.cut_short(lane, Direction::ToClient, "the stream ends inside it");
        let facts = list.map(|list| &lane.headers[list].facts);
        let alone = facts.is_some_and(|facts| facts.role == Role::Response);
        let without_status = facts.is_some_and(|facts| facts.grpc_status == HeaderValue::Absent);
        let Some(id) = self.call else { return };
        lane.add_event(id, CallEventKind::Trailers(list), span);
        // Trailers in the body of gRPC-Web say more than an empty block after it.
        let in_body = self.side(Direction::ToClient).web.as_ref().and_then(|web| web.trailers);
        let list = if without_status { in_body.or(list) } else { list };
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        let end = if list.is_some() { End::Trailers } else { End::Gap };
        if call.end(end, span.last.time) {
            call.trailers = list;
            // Trailers-only: its header block is at once the response's beginning and its end.
            if alone {
                call.response_headers_at = call.response_headers_at.or(Some(span.last.time));
            }
            lane.add_event(id, CallEventKind::Ended(end), span);
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
                trial.read(&mut side.framer, data, lane);
            }
            return;
        }
        let Some(id) = self.call else { return };
        lane.call_mut(id).seen(data.packet.no);
        if side.web.is_some() {
            return self.web_data(lane, id, direction, data);
        }
        while let Some(framed) = side.framer.next(&mut data) {
            let order = lane.event_order();
            enter(lane, id, direction, &framed, order, side.guessed);
        }
    }

    /// Bytes of a body of gRPC-Web.
    fn web_data(&mut self, lane: &mut Lane, id: CallId, direction: Direction, mut data: Data<'_>) {
        loop {
            let side = &mut self.sides[direction.index()];
            let Some(web) = &mut side.web else { return };
            let framed = match &mut web.text {
                Some(text) => text.next(&mut data),
                None => side.framer.next(&mut data),
            };
            let Some(framed) = framed else { break };
            let order = lane.event_order();
            let Some(lines) = &framed.trailers else {
                enter(lane, id, direction, &framed, order, side.guessed);
                continue;
            };
            let inflated = framed.flags.has(MessageFlags::COMPRESSED).then(|| {
                let headers = lane.call(id).response_headers;
                web::inflate_trailers(lines, headers.map(|list| &lane.headers[list].facts))
            });
            let lines = match &inflated {
                None => &lines[..],
                Some(Ok(lines)) => lines,
                Some(Err(why)) => {
                    let text = format!("the trailers in the body are compressed and cannot be read: {why}");
                    lane.call_mut(id).note(Note::new(Severity::Error, "web-trailers", text).at(framed.last.packet));
                    &[]
                }
            };
            let list = lane.headers.enter(&web::trailer_fields(lines));
            web.trailers = web.trailers.or(Some(list));
            if inflated.is_none() && framed.length as usize > MAX_WEB_TRAILERS {
                let text = format!("only the first {MAX_WEB_TRAILERS} bytes of the trailers in the body are read");
                lane.call_mut(id).note(Note::new(Severity::Warning, "web-trailers", text).at(framed.last.packet));
            }
            let Framed { first, end, last, .. } = framed;
            let span = EventSpan { direction, first, end, last, order };
            lane.call_mut(id).seen(last.packet);
            lane.add_event(id, CallEventKind::Trailers(Some(list)), &span);
        }
        let side = &mut self.sides[direction.index()];
        if !side.opaque && side.web.as_ref().and_then(|web| web.text.as_ref()).is_some_and(TextFramer::is_broken) {
            side.opaque = true;
            let text = format!("the body {} is not base64, though its content type says so", way(direction));
            self.note(lane, Note::new(Severity::Error, "web-base64", text).at(data.packet.no));
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
            trial.found.iter().for_each(|(framed, order)| enter(lane, id, direction, framed, *order, guessed));
        }
        let call = lane.call_mut(id);
        if undecided {
            call.guessed.add(Guesses::PROTOCOL);
        }
        if unaligned {
            call.guessed.add(Guesses::ALIGNMENT);
        }
    }

    /// Bytes of a DATA payload whose frame is known are missing; `end` is the offset in the flow after them.
    pub fn data_gap(&mut self, lane: &mut Lane, direction: Direction, len: u64, now: Arrival, end: u64) {
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
        if side.web.as_ref().is_some_and(|web| web.text.is_some()) {
            self.unalign(lane, direction, Some(now));
            return;
        }
        let Some(id) = self.call else { return };
        let guessed = side.guessed;
        let order = lane.event_order();
        match side.framer.gap(len, now, end) {
            AfterGap::Kept(None) => {}
            AfterGap::Kept(Some(framed)) => {
                enter(lane, id, direction, &framed, order, guessed);
                let text = format!("{} of a message {} are missing", bytes_text(len), way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-cut", text).at(now.packet));
            }
            AfterGap::Lost(framed) => {
                side.trial = Some(Box::new(Trial { unaligned: true, wrong: true, ..Trial::default() }));
                if let Some(framed) = framed {
                    enter(lane, id, direction, &framed, order, guessed);
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
        side.web = None;
        side.trial = Some(Box::new(Trial { unaligned: true, wrong: true, ..Trial::default() }));
    }

    /// One side has ended the stream.
    pub fn half_close(&mut self, lane: &mut Lane, span: &EventSpan) {
        self.cut_short(lane, span.direction, "the stream ends inside it");
        let in_body = self.side(span.direction).web.as_ref().and_then(|web| web.trailers);
        let Some(id) = self.call else { return };
        lane.add_event(id, CallEventKind::HalfClose, span);
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        match span.direction {
            Direction::ToServer => call.half_close_at = call.half_close_at.or(Some(span.last.time)),
            Direction::ToClient => {
                let end = if in_body.is_some() { End::Trailers } else { End::Data };
                if call.end(end, span.last.time) {
                    call.trailers = in_body;
                    lane.add_event(id, CallEventKind::Ended(end), span);
                } else if in_body.is_some() && call.trailers.is_none() {
                    call.rare.get_or_insert_default().late_trailers = in_body;
                }
            }
        }
    }

    /// RST_STREAM. `crossed`: its sender cannot have seen the end of the answer, though that was delivered before.
    pub fn reset(&mut self, lane: &mut Lane, code: u32, crossed: bool, span: &EventSpan) {
        for direction in Direction::BOTH {
            self.cut_short(lane, direction, "the stream is reset");
        }
        let Some(id) = self.call else { return };
        lane.add_event(id, CallEventKind::Reset(code), span);
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        call.reset(Reset { code, direction: span.direction, at: span.last.time });
        let overtakes = crossed && matches!(call.end, Some(End::Trailers | End::Data));
        let ended = call.end(End::Reset, span.last.time);
        if !ended && overtakes {
            call.overtaken(span.last.time);
        }
        if ended || overtakes {
            lane.add_event(id, CallEventKind::Ended(End::Reset), span);
        }
    }

    /// A GOAWAY says that the stream was not processed. `in_advance`: it came before the stream, so that there is no time
    /// between the call's start and its end.
    pub fn refused(&mut self, lane: &mut Lane, span: &EventSpan, in_advance: bool) {
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        if call.end(End::Goaway, span.last.time) {
            match in_advance {
                true => call.ended_at = None,
                false => call.seen(span.last.packet),
            }
            lane.add_event(id, CallEventKind::Ended(End::Goaway), span);
        }
    }

    /// The connection has ended, or (`None`) the capture.
    pub fn abandon(&mut self, lane: &mut Lane, span: Option<&EventSpan>) {
        let what = if span.is_some() { "the connection ends inside it" } else { "the capture ends inside it" };
        for direction in Direction::BOTH {
            self.cut_short(lane, direction, what);
        }
        if let (Some(id), Some(span)) = (self.call, span)
            && lane.call_mut(id).end(End::Connection, span.last.time)
        {
            lane.add_event(id, CallEventKind::Ended(End::Connection), span);
        }
    }

    /// The client is the other side.
    pub fn swap_roles(&mut self) {
        self.sides.swap(0, 1);
    }

    /// Whether a part of a message was sent and the rest of it is still to come.
    pub fn is_inside_message(&self, direction: Direction) -> bool {
        let side = self.side(direction);
        let text = side.web.as_ref().and_then(|web| web.text.as_ref());
        let at_boundary = text.map_or_else(|| side.framer.at_boundary(), TextFramer::at_boundary);
        self.call.is_some() && side.trial.is_none() && !side.opaque && !at_boundary
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction.index()]
    }

    /// A direction carries gRPC-Web. What of a message has begun continues.
    fn set_web(&mut self, direction: Direction, text: bool) {
        let side = &mut self.sides[direction.index()];
        let framer_is_fresh = side.framer.at_boundary();
        let web = side.web.get_or_insert_default();
        if web.text.is_some() != text && web.text.as_ref().is_none_or(TextFramer::at_boundary) {
            web.text = text.then(TextFramer::default);
        }
        if framer_is_fresh {
            side.framer = Framer::web();
        }
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
        let text = side.web.as_mut().and_then(|web| web.text.as_mut());
        let (in_prefix, framed) = match text {
            Some(text) => (!text.at_boundary(), text.cut_short()),
            None => (!side.framer.at_boundary(), side.framer.cut_short()),
        };
        let Some(framed) = framed else {
            if in_prefix {
                let text = format!("a message {} is cut short in its prefix: {why}", way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-cut", text));
            }
            return;
        };
        let (length, packet) = (framed.length, framed.last.packet);
        if framed.trailers.is_none() {
            let order = lane.event_order();
            enter(lane, id, direction, &framed, order, side.guessed);
        }
        let text = format!("a message of {} {} is cut short: {why}", bytes_text(length.into()), way(direction));
        self.note(lane, Note::new(Severity::Warning, "message-cut", text).at(packet));
    }

    fn note(&self, lane: &mut Lane, note: Note) {
        if let Some(id) = self.call {
            lane.call_mut(id).note(note);
        }
    }
}

impl Trial {
    fn read(&mut self, framer: &mut Framer, mut data: Data<'_>, lane: &mut Lane) {
        while let Some(framed) = framer.next(&mut data) {
            self.wrong |= framed.flags.has(MessageFlags::STRANGE_FLAG);
            self.found.push((framed, lane.event_order()));
            if self.wrong {
                return;
            }
        }
        self.wrong |= framer.open_length() > MAX_TRIED_LENGTH;
    }
}

fn enter_call(lane: &mut Lane, connection: ConnectionId, stream: u32, begin: Arrival) -> CallId {
    let flow_known = lane.connection(connection).flow_known;
    let mut call = Call::new(Protocol::Grpc, connection, stream, begin.time, begin.packet);
    call.flow_known = flow_known;
    lane.add_call(call)
}

fn enter(lane: &mut Lane, id: CallId, direction: Direction, framed: &Framed, order: EventOrder, guessed: bool) {
    let body = lane.add_pieces(&framed.pieces, framed.length);
    let Framed { first, last, end, .. } = *framed;
    let mut message = Message::new(direction, framed.length, body, last.time, last.packet);
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
    call.seen(last.packet);
    call.add_message(message);
    lane.add_message_event(id, &EventSpan { direction, first, end, last, order });
}

/// Whether a response's body is something else than messages: another content type, or an HTTP error without one.
fn is_opaque(facts: &HeaderFacts) -> bool {
    match facts.content_type {
        HeaderValue::Known(carrier) => carrier == Carrier::Other,
        HeaderValue::Absent => facts.http_status.known().is_some_and(|&status| status != 200),
        HeaderValue::Unknown => false,
    }
}

/// Whether a header list announces gRPC-Web, and then whether in base64.
fn web_of(facts: &HeaderFacts) -> Option<bool> {
    match facts.content_type.known() {
        Some(&Carrier::GrpcWeb { text }) => Some(text),
        _ => None,
    }
}
