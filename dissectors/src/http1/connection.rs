//! HTTP/1.1 on one connection: exchanges, one after the other.

use std::collections::VecDeque;

use rpcshark_captures::budget::{self, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Gap, Input};

use super::head::{
    Head, body_of, has_field, http2_settings, is_call, offers_h2c, request_fields, response_fields, status_of,
};
use super::pairing::{Hidden, answered};
use super::reader::{Reader, State, Step};
use crate::held::Held;
use crate::http2::{Http2, add_held};
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::rpc::{OtherBlock, RpcStream};
use crate::store::{ClientBy, ConnectionId};
use crate::{Arrival, Context, FirstByte, Note, Origin, Severity};

/// HTTP/1.1 on one connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    connection: ConnectionId,
    requests: Reader,
    responses: Reader,
    /// Requests whose exchange is not over, the oldest first.
    exchanges: VecDeque<Exchange>,
    /// How many requests there were.
    asked: u32,
    /// The number of the request whose response is being read.
    answering: Option<u32>,
    hidden: Hidden,
    /// The offsets of what comes next, by [`Direction::index`].
    ends: [u64; 2],
    /// What the client sent after a request that offers an upgrade, while the answer is awaited.
    behind: Held,
    /// Responses whose requests are yet to be delivered: bytes before them are awaited.
    early: Held,
    /// Whether something shows which side is the client.
    proven: bool,
    /// The client is the other side.
    swapped: bool,
    passed: bool,
}

/// A request, and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Its number among the requests of the connection, from 1.
    pub(super) number: u32,
    /// The first byte of the request.
    pub(super) begin: Origin,
    /// Its response is complete, or nothing more of it is to come.
    pub(super) answered: bool,
    /// The request is complete, or nothing more of it is to come.
    asked: bool,
    /// The method, as far as it changes how the response is read.
    method: Method,
    /// The call, if it is one.
    stream: Option<Box<RpcStream>>,
    /// What is needed to upgrade it, where it offers that.
    offer: Option<Box<Offer>>,
}

/// Methods whose responses are read in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// RFC 9110 §9.3.2: the response has no body.
    Head,
    /// RFC 9110 §9.3.6: after a response with a 2xx status follows something else.
    Connect,
    Other,
}

#[derive(Debug)]
struct Offer {
    head: Vec<u8>,
    first: FirstByte,
    last: Arrival,
    /// The bytes of its body, without those of chunks.
    body: Held,
    body_is_whole: bool,
}

/// Bytes of one connection that are held for others: the body of a request that may be upgraded and an early preface, or early
/// responses.
const MAX_BEHIND: usize = 1 << 20;

/// Exchanges that may be open at once (pipelining).
const MAX_UNANSWERED: usize = 1024;

impl Http1 {
    /// A connection whose bytes begin with the next input, or with something in the middle.
    pub(crate) fn new(connection: ConnectionId, join_point: JoinPoint) -> Self {
        let middle = join_point == JoinPoint::Middle;
        let state = if middle { State::Seeking { in_chunks: false } } else { State::Head };
        // What precedes the capture hides any number of messages.
        let before = middle.then_some(0);
        Self {
            connection,
            requests: Reader::new(Direction::ToServer, state),
            responses: Reader::new(Direction::ToClient, state),
            exchanges: VecDeque::new(),
            asked: 0,
            answering: None,
            hidden: Hidden { requests: before, responses: before },
            ends: [0; 2],
            behind: Held::default(),
            early: Held::default(),
            proven: !middle,
            swapped: false,
            passed: false,
        }
    }

    fn pass(&mut self) {
        self.passed = true;
        self.behind.clear();
        self.early.clear();
        self.exchanges = VecDeque::new();
        for reader in [&mut self.requests, &mut self.responses] {
            reader.head = Head::default();
            reader.sought.clear();
        }
    }

    fn read_requests(&mut self, mut data: Data<'_>, context: &mut Context<'_>) {
        while !data.bytes.is_empty() && !self.passed {
            // What follows a request with an offer may be HTTP/1 or HTTP/2: the answer decides.
            if self.awaits_answer() {
                self.behind.push(&data);
                if self.behind.bytes().len() > MAX_BEHIND {
                    self.pass();
                }
                return;
            }
            let Some(step) = self.requests.next(&mut data) else { break };
            match step {
                Step::Head => self.request(context),
                Step::Body { part, begins, ends } => {
                    let is_whole = self.requests.state == State::Head;
                    let number = self.asked;
                    self.body(number, Direction::ToServer, part, [begins, ends], context);
                    if is_whole {
                        self.request_ends(&data, context);
                    }
                    if let Some(offer) = self.last_offer() {
                        offer.body.push(&part);
                        offer.body_is_whole = is_whole;
                        if offer.body.bytes().len() > MAX_BEHIND {
                            self.pass();
                        }
                    }
                }
                Step::End => {
                    self.request_ends(&data, context);
                    if let Some(offer) = self.last_offer() {
                        offer.body_is_whole = true;
                    }
                }
                Step::Found { new } => {
                    if new {
                        self.leave_request();
                    }
                    let sought = std::mem::take(&mut self.requests.sought);
                    sought.data().for_each(|data| self.read_requests(data, context));
                }
            }
        }
        if self.requests.is_lost() {
            self.lose(Direction::ToServer, Arrival::from(&data), context);
        }
    }

    fn exchange(&mut self, number: u32) -> Option<&mut Exchange> {
        let at = self.exchanges.binary_search_by_key(&number, |exchange| exchange.number).ok()?;
        self.exchanges.get_mut(at)
    }

    /// Bytes of a body. `bounds`: whether what the sender put together begins and ends with them.
    fn body(
        &mut self,
        number: u32,
        direction: Direction,
        part: Data<'_>,
        [begins, ends]: [bool; 2],
        context: &mut Context<'_>,
    ) {
        let Some(stream) = self.exchange(number).and_then(|exchange| exchange.stream.as_mut()) else { return };
        if begins {
            stream.data_begins(direction);
        }
        stream.data(context, direction, part);
        if ends {
            stream.data_ends(context, direction);
        }
    }

    /// A request is complete; `behind` are the bytes after it.
    fn request_ends(&mut self, behind: &Data<'_>, context: &mut Context<'_>) {
        let direction = Direction::ToServer;
        let span = context.event_span(direction, FirstByte::from(behind), behind.offset, Arrival::from(behind));
        let number = self.asked;
        let Some(exchange) = self.exchange(number) else { return };
        exchange.asked = true;
        if let Some(stream) = &mut exchange.stream {
            stream.half_close(context, &span);
        }
        self.retire(number, context);
    }

    /// A response is complete; `behind` are the bytes after it.
    fn response_ends(&mut self, behind: &Data<'_>, context: &mut Context<'_>) {
        let direction = Direction::ToClient;
        let span = context.event_span(direction, FirstByte::from(behind), behind.offset, Arrival::from(behind));
        let Some(number) = self.answering.take() else { return };
        let Some(exchange) = self.exchange(number) else { return };
        exchange.answered = true;
        if let Some(stream) = &mut exchange.stream {
            stream.half_close(context, &span);
        }
        self.retire(number, context);
    }

    /// Gives up an exchange that is over.
    fn retire(&mut self, number: u32, context: &mut Context<'_>) {
        let Some(exchange) = self.exchange(number).filter(|exchange| exchange.asked && exchange.answered) else {
            return;
        };
        if let Some(call) = exchange.stream.as_ref().and_then(|stream| stream.call()) {
            context.complete_call(call);
        }
        self.exchanges.retain(|exchange| exchange.number != number);
    }

    /// Bytes are missing.
    fn gap(&mut self, direction: Direction, gap: &Gap, context: &mut Context<'_>) {
        let now = Arrival::from(gap);
        let from = self.ends[direction.index()];
        let end = from + gap.length.unwrap_or(0);
        let reader = self.reader(direction);
        let (left, is_chunk) = match reader.state {
            State::Body(left) => (left, false),
            State::Chunk { left, .. } => (left, true),
            State::UntilClose => (u64::MAX, false),
            _ => return self.lose(direction, now, context),
        };
        let Some(length) = gap.length else { return self.lose(direction, now, context) };
        let missing = length.min(left);
        let left = left - missing;
        reader.state = match (reader.state, left) {
            (State::UntilClose, _) => State::UntilClose,
            (State::Body(_), 0) => State::Head,
            (State::Body(_), left) => State::Body(left),
            (_, 0) => State::ChunkEnd,
            (_, left) => State::Chunk { left, begins: false },
        };
        // In a body whose length is known, the next message is where it would have been.
        let number = if direction == Direction::ToServer { Some(self.asked) } else { self.answering };
        if let Some(number) = number
            && let Some(stream) = self.exchange(number).and_then(|exchange| exchange.stream.as_mut())
        {
            stream.data_gap(context, direction, missing, now, from + missing);
            if is_chunk && left == 0 {
                stream.data_ends(context, direction);
            }
        }
        if !is_chunk && left == 0 {
            let at = Data {
                bytes: &[],
                packet: gap.packet,
                time: gap.time,
                at: rpcshark_captures::Place::NOWHERE,
                offset: from + missing,
                acked: None,
            };
            match direction {
                Direction::ToServer => {
                    // The answer decides what follows, also if bytes of the body are missing.
                    if let Some(offer) = self.last_offer() {
                        offer.body_is_whole = true;
                    }
                    self.request_ends(&at, context);
                }
                Direction::ToClient => self.response_ends(&at, context),
            }
        }
        if length > missing {
            self.lose(direction, now, context);
        }
        self.ends[direction.index()] = end;
    }

    fn reader(&mut self, direction: Direction) -> &mut Reader {
        match direction {
            Direction::ToServer => &mut self.requests,
            Direction::ToClient => &mut self.responses,
        }
    }

    /// Where the next message of a direction begins is not known any more. What had begun continues only if chunks of it are found.
    fn lose(&mut self, direction: Direction, now: Arrival, context: &mut Context<'_>) {
        let at = self.ends[direction.index()];
        self.reader(direction).lose();
        let goes_on = matches!(self.reader(direction).state, State::Seeking { in_chunks: true });
        let number = match direction {
            Direction::ToServer => {
                self.hidden.requests = Some(at);
                Some(self.asked)
            }
            Direction::ToClient => {
                self.hidden.responses = Some(at);
                self.answering
            }
        };
        if let Some(exchange) = number.and_then(|number| self.exchange(number)) {
            let is_open = match direction {
                Direction::ToServer => !exchange.asked,
                Direction::ToClient => !exchange.answered,
            };
            if let Some(stream) = exchange.stream.as_mut().filter(|_| is_open) {
                stream.unalign(context, direction, Some(now));
            }
        }
        if !goes_on {
            match direction {
                Direction::ToServer => self.leave_request(),
                Direction::ToClient => self.leave_response(context),
            }
        }
        if direction == Direction::ToServer {
            self.read_early(context);
        }
    }

    /// Nothing more of the last request comes.
    fn leave_request(&mut self) {
        let number = self.asked;
        if let Some(exchange) = self.exchange(number) {
            exchange.asked = true;
        }
    }

    /// Nothing more of the response comes that is being read: its end is among missing bytes.
    fn leave_response(&mut self, context: &mut Context<'_>) {
        let Some(number) = self.answering.take() else { return };
        self.end_in_gap(number, context);
    }

    /// The response to a request, or its end, is among missing bytes.
    fn end_in_gap(&mut self, number: u32, context: &mut Context<'_>) {
        let Some(exchange) = self.exchange(number) else { return };
        exchange.answered = true;
        exchange.asked = true;
        if let Some(stream) = &mut exchange.stream {
            stream.ends_in_gap(context);
        }
        self.retire(number, context);
    }

    fn last_offer(&mut self) -> Option<&mut Offer> {
        self.exchanges.back_mut()?.offer.as_deref_mut()
    }

    /// Whether the last request has offered an upgrade and is complete.
    fn awaits_answer(&self) -> bool {
        let last = self.exchanges.back().and_then(|exchange| exchange.offer.as_ref());
        self.requests.state == State::Head && last.is_some_and(|offer| offer.body_is_whole)
    }

    /// The head of a request is complete.
    fn request(&mut self, context: &mut Context<'_>) {
        self.proven = true;
        let Head { bytes: head, first, last } = std::mem::take(&mut self.requests.head);
        let body = body_of(&head);
        self.requests.state = body.unwrap_or(State::Head);
        self.asked += 1;
        let fields = request_fields(&head);
        let is_call = is_call(&fields);
        let stream = is_call.then(|| {
            let list = context.headers.enter(&fields);
            let end = first.origin.offset + head.len() as u64;
            let span = context.event_span(Direction::ToServer, first, end, last);
            let mut stream = RpcStream::begin(context, self.connection, self.asked, first.arrival, true);
            stream.request_headers(context, list, &span);
            if body.is_none() {
                stream.half_close(context, &span);
            }
            Box::new(stream)
        });
        if !is_call {
            context.connection_mut(self.connection).other_requests += 1;
        }
        let offer = offers_h2c(&head).then(|| {
            Box::new(Offer { first, last, body: Held::default(), body_is_whole: body.is_none(), head: head.clone() })
        });
        let method = match () {
            () if head.starts_with(b"HEAD ") => Method::Head,
            () if head.starts_with(b"CONNECT ") => Method::Connect,
            () => Method::Other,
        };
        self.exchanges.push_back(Exchange {
            number: self.asked,
            begin: first.origin,
            answered: false,
            asked: body.is_none(),
            method,
            stream,
            offer,
        });
        if self.exchanges.len() > MAX_UNANSWERED {
            self.pass();
        }
    }

    /// Reads the responses that had to wait for their requests.
    fn read_early(&mut self, context: &mut Context<'_>) -> Option<HandOver> {
        if self.early.bytes().is_empty() {
            return None;
        }
        let early = std::mem::take(&mut self.early);
        for data in early.data() {
            let next = self.read_responses(data, context);
            if next.is_some() {
                return next;
            }
        }
        None
    }

    fn read_responses(&mut self, mut data: Data<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        while !data.bytes.is_empty() && !self.passed {
            if self.is_early(&data) {
                self.early.push(&data);
                if self.early.bytes().len() > MAX_BEHIND {
                    self.pass();
                }
                return None;
            }
            match self.responses.next(&mut data)? {
                Step::Body { part, begins, ends } => {
                    if let Some(number) = self.answering {
                        self.body(number, Direction::ToClient, part, [begins, ends], context);
                    }
                    if self.responses.state == State::Head {
                        self.response_ends(&data, context);
                    }
                }
                Step::End => self.response_ends(&data, context),
                Step::Found { new } => {
                    if new {
                        self.leave_response(context);
                    }
                    let sought = std::mem::take(&mut self.responses.sought);
                    for data in sought.data() {
                        let next = self.read_responses(data, context);
                        if next.is_some() {
                            return next;
                        }
                    }
                }
                Step::Head => {
                    let head = std::mem::take(&mut self.responses.head);
                    let next = self.response_head(&head, &data, context);
                    if next.is_some() {
                        return next;
                    }
                }
            }
        }
        if self.responses.is_lost() {
            self.lose(Direction::ToClient, Arrival::from(&data), context);
        }
        None
    }

    /// Whether a response begins whose request was sent and is yet to be delivered.
    fn is_early(&self, data: &Data<'_>) -> bool {
        let waits = !self.early.bytes().is_empty();
        let begins = self.responses.state == State::Head && self.responses.head.bytes.is_empty();
        let is_unasked = self.exchanges.iter().all(|exchange| exchange.answered);
        let is_underway = data.acked.is_some_and(|acked| acked > self.ends[Direction::ToServer.index()]);
        waits || begins && is_unasked && is_underway && !self.hidden.is_doubtful()
    }

    /// The head of a response is complete; `behind` are the bytes after it.
    fn response_head(&mut self, head: &Head, behind: &Data<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        self.proven = true;
        let Some(status) = status_of(&head.bytes) else {
            self.lose(Direction::ToClient, head.last, context);
            return None;
        };
        let number = answered(&self.exchanges, head.first.origin.acked, &self.hidden);
        if let Some(number) = number {
            self.give_up_before(number, context);
        }
        match status {
            101 => {
                let at = self.exchanges.iter().position(|exchange| Some(exchange.number) == number);
                let offer = at.and_then(|at| self.exchanges.remove(at)).and_then(|exchange| exchange.offer);
                let Some(offer) = offer.filter(|_| offers_h2c(&head.bytes)) else {
                    // Some other protocol.
                    self.pass();
                    return None;
                };
                return Some(self.upgrade(*offer, behind.bytes.len(), context));
            }
            // RFC 9110 §15.2: interim responses, and the final one follows.
            100..200 => {
                let stream = number.and_then(|number| self.exchange(number)?.stream.as_mut())?;
                let list = context.headers.enter(&response_fields(status, &head.bytes));
                let span = response_span(head, context);
                stream.other_block(context, OtherBlock::Interim, list, &span);
            }
            _ => {
                self.response_begins(number, status, head, context);
                if self.responses.state == State::Head {
                    self.response_ends(behind, context);
                }
                self.read_behind(number, context);
            }
        }
        None
    }

    /// Requests before this one that are not answered have their answers among missing bytes.
    fn give_up_before(&mut self, number: u32, context: &mut Context<'_>) {
        let open = self.exchanges.iter().take_while(|exchange| exchange.number < number);
        let open: Vec<u32> = open.filter(|exchange| !exchange.answered).map(|exchange| exchange.number).collect();
        open.into_iter().for_each(|number| self.end_in_gap(number, context));
    }

    /// The head of a final response is complete.
    fn response_begins(&mut self, number: Option<u32>, status: u16, head: &Head, context: &mut Context<'_>) {
        self.answering = number;
        if number.is_some() {
            self.hidden.responses = None;
        }
        let mut method = Method::Other;
        if let Some(exchange) = number.and_then(|number| self.exchange(number)) {
            method = exchange.method;
            if let Some(stream) = &mut exchange.stream {
                let list = context.headers.enter(&response_fields(status, &head.bytes));
                let span = response_span(head, context);
                stream.response_headers(context, list, &span);
            }
        }
        if method == Method::Connect && (200..300).contains(&status) {
            return self.pass();
        }
        // RFC 9112 §6.3: which responses have no body, and which end with the connection.
        let has_none = method == Method::Head || matches!(status, 204 | 304);
        let bytes = &head.bytes;
        let is_delimited = has_field(bytes, b"content-length") || has_field(bytes, b"transfer-encoding");
        self.responses.state = match body_of(bytes) {
            _ if has_none => State::Head,
            None if !is_delimited => State::UntilClose,
            body => body.unwrap_or(State::Head),
        };
    }

    /// The offer of a request was not accepted: what the client sent after it is HTTP/1.
    fn read_behind(&mut self, number: Option<u32>, context: &mut Context<'_>) {
        if let Some(exchange) = number.and_then(|number| self.exchange(number)) {
            exchange.offer = None;
        }
        if !self.behind.bytes().is_empty() && !self.awaits_answer() {
            let behind = std::mem::take(&mut self.behind);
            behind.data().for_each(|data| self.read_requests(data, context));
        }
    }

    fn upgrade(&mut self, offer: Offer, unused: usize, context: &mut Context<'_>) -> HandOver {
        let Offer { head, first, last, body, body_is_whole } = offer;
        let fields = request_fields(&head);
        // HTTP/2 counts the request itself, if it is not a call.
        let count = &mut context.connection_mut(self.connection).other_requests;
        *count = count.saturating_sub(1);
        if !body_is_whole {
            let text = "the server accepted the upgrade before the request was complete";
            context
                .connection_mut(self.connection)
                .note(Note::new(Severity::Warning, "upgrade-early", text).at(last.packet));
        }
        let settings = http2_settings(&head);
        let mut next = Http2::upgraded(self.connection, &fields, body.data(), (first, last), &settings, context);
        for data in self.behind.data() {
            next.input(Direction::ToServer, Input::Data(data), context);
        }
        HandOver { parser: Box::new(next), unused }
    }

    /// Which way bytes go, once something has shown who is the client.
    fn oriented(&mut self, direction: Direction, input: &Input<'_>, context: &mut Context<'_>) -> Direction {
        if let (false, Input::Data(data)) = (self.proven, input) {
            // Before anything was found, a response to the server says that the client is the other side.
            let seen = if self.swapped { direction.reverse() } else { direction };
            if seen == Direction::ToServer
                && memchr::memmem::find(data.bytes, b"HTTP/1.1 ")
                    .is_some_and(|at| at == 0 && status_of(data.bytes).is_some())
            {
                self.swapped = !self.swapped;
                context.connection_mut(self.connection).client_identified(true, ClientBy::Protocol);
            }
        }
        if self.swapped { direction.reverse() } else { direction }
    }
}

fn response_span(head: &Head, context: &mut Context<'_>) -> crate::store::EventSpan {
    let end = head.first.origin.offset + head.bytes.len() as u64;
    context.event_span(Direction::ToClient, head.first, end, head.last)
}

impl Parser for Http1 {
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        if self.passed {
            return None;
        }
        let direction = self.oriented(direction, &input, context);
        match (input, direction) {
            (Input::Data(data), direction) => {
                self.ends[direction.index()] = data.offset + data.bytes.len() as u64;
                match direction {
                    Direction::ToServer => {
                        self.read_requests(data, context);
                        self.read_early(context)
                    }
                    Direction::ToClient => self.read_responses(data, context),
                }
            }
            (Input::Gap(gap), _) => {
                self.gap(direction, &gap, context);
                None
            }
        }
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        let direction = if self.swapped { direction.reverse() } else { direction };
        // A client that has closed its side may still be answered.
        if how == Close::EndOfCapture || how == Close::Fin && direction == Direction::ToServer {
            return;
        }
        let first = FirstByte { arrival: now, ..FirstByte::default() };
        let span = context.event_span(direction, first, 0, now);
        if self.responses.state == State::UntilClose
            && how == Close::Fin
            && let Some(stream) = self.answering.and_then(|number| self.exchange(number)?.stream.as_mut())
        {
            // RFC 9112 §6.3: the end of the connection is that of the body.
            stream.half_close(context, &span);
        }
        for exchange in std::mem::take(&mut self.exchanges) {
            let Some(mut stream) = exchange.stream else { continue };
            stream.abandon(context, Some(&span));
            if let Some(call) = stream.call() {
                context.complete_call(call);
            }
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        for mut stream in std::mem::take(&mut self.exchanges).into_iter().filter_map(|exchange| exchange.stream) {
            stream.abandon(context, None);
        }
    }

    fn is_proven(&self) -> bool {
        self.proven
    }

    fn held(&self) -> budget::Held {
        let mut held = budget::Held::NOTHING;
        for reader in [&self.requests, &self.responses] {
            add_held(&mut held, reader.head.bytes.capacity(), reader.head.first.order);
            add_held(&mut held, reader.sought.memory(), reader.sought.since());
        }
        add_held(&mut held, self.behind.memory(), self.behind.since());
        add_held(&mut held, self.early.memory(), self.early.since());
        for offer in self.exchanges.iter().filter_map(|exchange| exchange.offer.as_deref()) {
            add_held(&mut held, offer.head.capacity() + offer.body.memory(), offer.first.order);
        }
        held
    }

    fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)> {
        let bytes = self.held().bytes;
        if bytes == 0 {
            return None;
        }
        self.pass();
        let text =
            "requests without an answer were released, and the connection is not read on: the memory limit is reached";
        context.connection_mut(self.connection).note(Note::new(Severity::Warning, "memory-limit", text));
        Some((Kind::Unfinished, bytes))
    }
}
