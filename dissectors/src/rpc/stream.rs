//! A stream that carries a call: header blocks, DATA and ends in; the parts of a [`Call`] out.
//!
//! What a stream may do is HTTP/2's business; here only the meaning of what it does is entered. How a call ends: the
//! first terminal event decides and nothing later changes it, but later things are kept and marked as late.

use rpcshark_captures::text::Escaped;
use rpcshark_captures::{Data, Direction};

use super::body::{Body, ErrorBody};
use super::facts::{HeaderValue, Role};
use super::protocol::{Carrier, Ending, Form, RpcProtocol, body_encoding};
use crate::framed::bytes_text;
use crate::grpc::{AfterGap, Encoding, Framed, Framer, Grpc, MAX_TRAILERS, decompress};
use crate::header::{Field, Text};
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
pub struct RpcStream {
    /// The call in the lane, once it is decided that it is one.
    call: Option<CallId>,
    /// What waits for that decision.
    undecided: Option<Box<Undecided>>,
    sides: [Side; 2],
    protocol: &'static dyn RpcProtocol,
    /// How the request says that it carries a call.
    requested: Option<Carrier>,
    /// The response's headers were there.
    answered: bool,
    /// The trailers in the body of the response, once they are there.
    trailers_in_body: Option<HeaderListId>,
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
    body: Body,
    /// Messages found on trial, in a body of prefixed messages.
    trial: Option<Box<Trial>>,
    /// Where messages begin is a guess.
    guessed: bool,
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

impl RpcStream {
    /// A stream that is a call, or that may be one.
    pub fn begin(lane: &mut Lane, connection: ConnectionId, stream: u32, begin: Arrival, decided: bool) -> Self {
        if decided {
            return Self::resumed(enter_call(lane, connection, stream, begin));
        }
        let undecided =
            Undecided { connection, stream, begin, request_headers: None, response_headers: None, others: Vec::new() };
        let sides = [(); 2].map(|()| Side { trial: Some(Box::default()), ..Side::default() });
        Self { undecided: Some(Box::new(undecided)), sides, ..Self::of(None) }
    }

    /// A stream that continues after it was [at rest](Self::at_rest).
    pub fn resumed(call: CallId) -> Self {
        Self::of(Some(call))
    }

    fn of(call: Option<CallId>) -> Self {
        Self {
            call,
            undecided: None,
            sides: Default::default(),
            protocol: &Grpc,
            requested: None,
            answered: false,
            trailers_in_body: None,
        }
    }

    /// The call, where that is all there is to remember: it is one of gRPC, no message has begun, and nothing is on trial,
    /// guessed or opaque.
    pub fn at_rest(&self) -> Option<CallId> {
        let quiet = |side: &Side| {
            let at_boundary = matches!(&side.body, Body::Prefixed(framer) if framer.at_boundary());
            at_boundary && side.trial.is_none() && !side.guessed
        };
        let is_grpc = self.protocol.protocol() == Protocol::Grpc;
        self.call.filter(|_| is_grpc && self.sides.iter().all(quiet))
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
                    trial.found.iter().for_each(|(framed, order)| enter(lane, id, direction, framed, *order, guessed));
                }
                None => {}
            }
        }
    }

    /// The first header block of the client.
    pub fn request_headers(&mut self, lane: &mut Lane, list: HeaderListId, span: &EventSpan) {
        // Nothing of the request was sent before: its messages begin after this.
        self.align(Direction::ToServer);
        let carrier = lane.headers[list].facts.carrier();
        if let Some(undecided) = &mut self.undecided {
            undecided.request_headers = Some((list, *span));
        }
        let Some(id) = self.call else { return };
        if let Some(carrier) = carrier {
            self.requested = Some(carrier);
            self.set_protocol(carrier.protocol);
            self.set_form(Direction::ToServer, carrier.form);
            if !self.answered {
                // The answer is most likely in the same form. Its own headers may say otherwise.
                let form = if carrier.form == Form::InPath { Form::Whole } else { carrier.form };
                self.set_form(Direction::ToClient, form);
            }
        }
        let call = lane.call_mut(id);
        call.protocol = self.protocol.protocol();
        call.request_headers = Some(list);
        call.request_headers_at = Some(span.last.time);
        // The answer may have been delivered first.
        call.start = span.first.arrival.time;
        call.seen(span.first.arrival.packet);
        call.seen(span.last.packet);
        lane.add_event(id, CallEventKind::Headers(Some(list)), span);
        if carrier.is_some_and(|carrier| carrier.form == Form::InPath) {
            self.enter_from_path(lane, id, list, span);
        }
    }

    /// Enters the message that the request's path holds.
    fn enter_from_path(&self, lane: &mut Lane, id: CallId, list: HeaderListId, span: &EventSpan) {
        let path =
            lane.headers.fields(list).find(|field| field.name.is(b":path")).and_then(|field| field.value.known());
        let Some(message) = path.and_then(|path| self.protocol.message_in_path(path)) else { return };
        let flags = if message.encoding.is_some() { MessageFlags::COMPRESSED } else { MessageFlags::default() };
        let length = u32::try_from(message.bytes.len()).unwrap_or(u32::MAX);
        let &EventSpan { direction, first, last, end, .. } = span;
        let framed = Framed { length, flags, pieces: Default::default(), first, last, end, trailers: None };
        let order = lane.event_order();
        enter(lane, id, direction, &framed, order, false);
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
        if let Some(carrier) = facts.carrier() {
            self.set_protocol(carrier.protocol);
        }
        let form = self.protocol.response_form(self.requested, facts);
        // Nothing of the response was sent before: its messages begin after this.
        self.align(Direction::ToClient);
        self.answered = true;
        self.set_form(Direction::ToClient, form);
        if let Some(undecided) = &mut self.undecided {
            undecided.response_headers = Some((list, *span));
        }
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        call.protocol = self.protocol.protocol();
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
        let facts = list.map(|list| &lane.headers[list].facts);
        let is_response = facts.is_some_and(|facts| facts.role == Role::Response);
        match list {
            _ if self.protocol.has_trailer_blocks() => {}
            // The response has no body. The end of the stream ends the call.
            Some(list) if is_response => return self.response_headers(lane, list, span),
            _ => return,
        }
        self.cut_short(lane, Direction::ToClient, "the stream ends inside it");
        let facts = list.map(|list| &lane.headers[list].facts);
        let alone = facts.is_some_and(|facts| facts.role == Role::Response);
        let without_status = facts.is_some_and(|facts| facts.grpc_status == HeaderValue::Absent);
        let Some(id) = self.call else { return };
        lane.add_event(id, CallEventKind::Trailers(list), span);
        // Trailers in the body of gRPC-Web say more than an empty block after it.
        let list = if without_status { self.trailers_in_body.or(list) } else { list };
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
            side.body = side.body.fresh();
        }
    }

    /// Bytes of DATA.
    pub fn data(&mut self, lane: &mut Lane, direction: Direction, mut data: Data<'_>) {
        let side = &mut self.sides[direction.index()];
        if matches!(side.body, Body::Opaque) {
            return;
        }
        if let Some(trial) = &mut side.trial {
            if let (false, Body::Prefixed(framer)) = (trial.wrong, &mut side.body) {
                trial.read(framer, data, lane);
            }
            return;
        }
        let Some(id) = self.call else { return };
        lane.call_mut(id).seen(data.packet.no);
        while let Some(framed) = self.sides[direction.index()].body.next(&mut data) {
            let order = lane.event_order();
            self.found(lane, id, direction, &framed, order);
        }
        let side = &mut self.sides[direction.index()];
        if matches!(&side.body, Body::Text(text) if text.is_broken()) {
            side.body = Body::Opaque;
            let text = format!("the body {} is not base64, though its content type says so", way(direction));
            self.note(lane, Note::new(Severity::Error, "web-base64", text).at(data.packet.no));
        }
    }

    /// Enters a message, or the trailers in the body.
    fn found(&mut self, lane: &mut Lane, id: CallId, direction: Direction, framed: &Framed, order: EventOrder) {
        match &framed.trailers {
            None => enter(lane, id, direction, framed, order, self.side(direction).guessed),
            Some(bytes) => self.enter_trailers(lane, id, direction, framed, bytes, order),
        }
    }

    /// Enters trailers in the body.
    fn enter_trailers(
        &mut self,
        lane: &mut Lane,
        id: CallId,
        direction: Direction,
        framed: &Framed,
        bytes: &[u8],
        order: EventOrder,
    ) {
        let inflated = framed.flags.has(MessageFlags::COMPRESSED).then(|| {
            let headers = lane.call(id).response_headers;
            inflate(bytes, headers.map_or(&HeaderValue::Unknown, |list| &lane.headers[list].facts.encoding))
        });
        let is_inflated = inflated.is_some();
        let read = match &inflated {
            None => self.protocol.trailers(bytes).map_err(str::to_owned),
            Some(Ok(bytes)) => self.protocol.trailers(bytes).map_err(str::to_owned),
            Some(Err(why)) => Err(format!("they are compressed: {why}")),
        };
        let fields = read.unwrap_or_else(|why| {
            let text = format!("the trailers in the body cannot be read: {why}");
            lane.call_mut(id).note(Note::new(Severity::Error, "web-trailers", text).at(framed.last.packet));
            Vec::new()
        });
        let list = lane.headers.enter(&fields);
        if direction == Direction::ToClient {
            self.trailers_in_body = self.trailers_in_body.or(Some(list));
        }
        if !is_inflated && framed.length as usize > MAX_TRAILERS {
            let text = format!("only the first {MAX_TRAILERS} bytes of the trailers in the body are read");
            lane.call_mut(id).note(Note::new(Severity::Warning, "web-trailers", text).at(framed.last.packet));
        }
        let &Framed { first, end, last, .. } = framed;
        let span = EventSpan { direction, first, end, last, order };
        lane.call_mut(id).seen(last.packet);
        lane.add_event(id, CallEventKind::Trailers(Some(list)), &span);
    }

    /// A DATA frame ends: messages on trial that end with it are believed.
    pub fn data_ends(&mut self, lane: &mut Lane, direction: Direction) {
        let side = &mut self.sides[direction.index()];
        let Some(trial) = &mut side.trial else { return };
        let whole = side.body.at_boundary() && !trial.found.is_empty() || trial.found.len() >= ENOUGH_MESSAGES;
        if trial.wrong || !whole {
            return;
        }
        let unaligned = trial.unaligned;
        trial.unaligned = false;
        side.guessed |= unaligned;
        let undecided = self.call.is_none();
        self.decide(lane);
        let Some(id) = self.call else { return };
        if let Some(trial) = self.sides[direction.index()].trial.take() {
            trial.found.iter().for_each(|(framed, order)| self.found(lane, id, direction, framed, *order));
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
        if matches!(side.body, Body::Opaque) {
            return;
        }
        if let Some(trial) = &mut side.trial {
            trial.wrong = true;
            if !trial.unaligned {
                self.unalign(lane, direction, None);
            }
            return;
        }
        let framer = match &mut side.body {
            Body::Prefixed(framer) => framer,
            Body::Whole(body) => {
                body.gap(len, now, end);
                let text = format!("{} of a message {} are missing", bytes_text(len), way(direction));
                return self.note(lane, Note::new(Severity::Warning, "message-cut", text).at(now.packet));
            }
            Body::Error(body) => {
                body.is_cut = true;
                return;
            }
            Body::Text(_) | Body::Opaque => return self.unalign(lane, direction, Some(now)),
        };
        let Some(id) = self.call else { return };
        let guessed = side.guessed;
        let order = lane.event_order();
        match framer.gap(len, now, end) {
            AfterGap::Kept(None) => {}
            // Trailers with holes are not trailers.
            AfterGap::Kept(Some(framed)) if framed.trailers.is_some() => {}
            AfterGap::Kept(Some(framed)) => {
                enter(lane, id, direction, &framed, order, guessed);
                let text = format!("{} of a message {} are missing", bytes_text(len), way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-cut", text).at(now.packet));
            }
            AfterGap::Lost(framed) => {
                side.trial = Some(Box::new(Trial { unaligned: true, wrong: true, ..Trial::default() }));
                if let Some(framed) = framed.filter(|framed| framed.trailers.is_none()) {
                    enter(lane, id, direction, &framed, order, guessed);
                }
                let text = format!("a gap hides where the next message {} begins", way(direction));
                self.note(lane, Note::new(Severity::Warning, "message-alignment-lost", text).at(now.packet));
            }
        }
    }

    /// Bytes of the direction are missing, and what they held is not known: what had begun ends here.
    pub fn unalign(&mut self, lane: &mut Lane, direction: Direction, now: Option<Arrival>) {
        // A body that is one message continues, with a hole.
        if !matches!(self.side(direction).body, Body::Whole(_)) {
            self.cut_short(lane, direction, "a gap follows");
        }
        if let (Some(id), Some(now)) = (self.call, now) {
            let text = format!("bytes {} are missing: messages and the end may be among them", way(direction));
            lane.call_mut(id).note(Note::new(Severity::Warning, "gap", text).at(now.packet));
        }
        let side = &mut self.sides[direction.index()];
        match &mut side.body {
            Body::Prefixed(_) => {
                side.body = side.body.fresh();
                side.trial = Some(Box::new(Trial { unaligned: true, wrong: true, ..Trial::default() }));
            }
            // Where a group of characters begins is not known.
            Body::Text(_) => side.body = Body::Opaque,
            Body::Error(body) => body.is_cut = true,
            Body::Whole(body) => body.cut(),
            Body::Opaque => {}
        }
    }

    /// One side has ended the stream.
    pub fn half_close(&mut self, lane: &mut Lane, span: &EventSpan) {
        let mut span = *span;
        if self.body_ends(lane, &span) {
            // The message precedes the end, though both are there with the same byte.
            span.order = lane.event_order();
        }
        let span = &span;
        let Some(id) = self.call else { return };
        lane.add_event(id, CallEventKind::HalfClose, span);
        let call = lane.call_mut(id);
        call.seen(span.last.packet);
        match span.direction {
            Direction::ToServer => call.half_close_at = call.half_close_at.or(Some(span.last.time)),
            Direction::ToClient => {
                let (end, trailers) = match self.trailers_in_body {
                    Some(list) => (End::Trailers, Some(list)),
                    None => self.ending(lane, id),
                };
                let call = lane.call_mut(id);
                if call.end(end, span.last.time) {
                    call.trailers = trailers;
                    lane.add_event(id, CallEventKind::Ended(end), span);
                } else if trailers.is_some() && call.trailers.is_none() {
                    call.rare.get_or_insert_default().late_trailers = trailers;
                }
            }
        }
    }

    /// The body of a direction has ended: enters the message that it is, if it is one. Whether it was.
    fn body_ends(&mut self, lane: &mut Lane, span: &EventSpan) -> bool {
        let &EventSpan { direction, first, end, last, order } = span;
        let Some(id) = self.call else { return false };
        let Body::Whole(body) = &mut self.sides[direction.index()].body else {
            self.cut_short(lane, direction, "the stream ends inside it");
            return false;
        };
        // A response that was never begun has no message.
        if direction == Direction::ToClient && !self.answered {
            return false;
        }
        let mut framed = body.end(first, last, end);
        let call = lane.call(id);
        let headers = if direction == Direction::ToServer { call.request_headers } else { call.response_headers };
        if framed.length > 0 && headers.is_some_and(|list| body_encoding(lane.headers.fields(list)).is_some()) {
            framed.flags = framed.flags.with(MessageFlags::COMPRESSED);
        }
        enter(lane, id, direction, &framed, order, false);
        true
    }

    /// What a response says about the end of its call that has no trailers.
    fn ending(&mut self, lane: &mut Lane, id: CallId) -> (End, Option<HeaderListId>) {
        let side = &mut self.sides[Direction::ToClient.index()];
        let error = match &mut side.body {
            _ if !self.answered => return (End::Data, None),
            Body::Whole(_) => None,
            Body::Error(error) => Some(std::mem::take(&mut **error)),
            _ => return (End::Data, None),
        };
        let Some(list) = lane.call(id).response_headers else { return (End::Data, None) };
        let head: Vec<Field> = lane.headers.fields(list).cloned().collect();
        let read = match error {
            None => Ok(self.protocol.ending(&head, None)),
            Some(ErrorBody { is_cut: true, .. }) => Err("bytes of it are missing, or it is too long".to_owned()),
            Some(ErrorBody { bytes, .. }) => match body_encoding(head.iter()) {
                Some(encoding) => {
                    let encoding = HeaderValue::Known(encoding.clone());
                    inflate(&bytes, &encoding).map(|bytes| self.protocol.ending(&head, Some(&bytes)))
                }
                None => Ok(self.protocol.ending(&head, Some(&bytes))),
            },
        };
        match read {
            Ok(Some(Ending { trailers, end })) => (end, Some(lane.headers.enter(&trailers))),
            Ok(None) => (End::Data, None),
            Err(why) => {
                let text = format!("the body that says how the call failed cannot be read: {why}");
                self.note(lane, Note::new(Severity::Warning, "web-trailers", text));
                (End::Data, None)
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

    /// The end of the call is among missing bytes; when it was is not known.
    pub fn ends_in_gap(&mut self, lane: &mut Lane) {
        for direction in Direction::BOTH {
            self.cut_short(lane, direction, "a gap follows");
        }
        let Some(id) = self.call else { return };
        let call = lane.call_mut(id);
        let last = call.start;
        if call.end(End::Gap, last) {
            call.ended_at = None;
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
        self.call.is_some() && side.trial.is_none() && !side.body.at_boundary()
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction.index()]
    }

    fn set_protocol(&mut self, protocol: Protocol) {
        if let Some(protocol) = protocol.over_http() {
            self.protocol = protocol;
        }
    }

    /// The body of a direction has this form. What of a message has begun continues.
    fn set_form(&mut self, direction: Direction, form: Form) {
        let end_flag = self.protocol.end_flag();
        let side = &mut self.sides[direction.index()];
        match (&mut side.body, form) {
            (Body::Prefixed(framer), Form::Prefixed) => framer.set_end_flag(end_flag),
            (Body::Text(text), Form::Base64) if !text.at_boundary() => {}
            (Body::Whole(_), Form::Whole) => {}
            (body, form) => {
                *body = Body::new(form, end_flag);
                if form != Form::Prefixed {
                    side.trial = None;
                }
            }
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
        let (in_prefix, framed) = (!side.body.at_boundary(), side.body.cut_short());
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

/// Decompresses what is compressed by an encoding of this name. What is wrong, where that is not possible.
fn inflate(compressed: &[u8], encoding: &HeaderValue<Text>) -> Result<Vec<u8>, String> {
    let name = match encoding {
        HeaderValue::Known(name) => name.known().unwrap_or_default(),
        HeaderValue::Unknown => return Err("the header that says how is not in the capture".to_owned()),
        HeaderValue::Absent => return Err("no header says how".to_owned()),
    };
    let Some(encoding) = Encoding::from_name(name) else {
        return Err(format!("by an encoding that is not known: {}", Escaped(name)));
    };
    let mut bytes = Vec::new();
    decompress(encoding, compressed, MAX_TRAILERS, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
