//! HTTP/1.1, as far as it carries gRPC-Web or may turn into HTTP/2.
//!
//! Requests and responses are followed to their ends (RFC 9112 §6). A request of gRPC-Web is a call: its header section
//! becomes the header list that HTTP/2 would have sent, and both bodies go to the same [`RpcStream`] that HTTP/2 uses.
//!
//! RFC 7540 §3.2: after a `101 Switching Protocols` the request that offered `Upgrade: h2c` counts as stream 1, half-closed by
//! the client, and the client continues with the preface. Any request of a connection may be the one that is upgraded.
//!
//! Other requests are not dissected; a connection that carries the Connect protocol has a note.

use std::collections::VecDeque;
use std::sync::Arc;

use rpcshark_captures::budget::{self, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Gap, Input};

use crate::grpc::binary_values;
use crate::header::Field;
use crate::held::Held;
use crate::http2::{Http2, add_held};
use crate::parser::{HandOver, Parser};
use crate::rpc::{HeaderFacts, RpcStream, field};
use crate::store::{ConnectionId, Protocol};
use crate::{Arrival, Context, FirstByte, Note, Severity};

/// HTTP/1.1 on one connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    connection: ConnectionId,
    requests: Reader,
    responses: Reader,
    /// Requests that are not answered, the oldest first.
    unanswered: VecDeque<Request>,
    /// What the client sent after a request that offers an upgrade, while the answer is awaited.
    behind: Held,
    /// How many requests there were, and how many final responses.
    asked: u32,
    answered: u32,
    /// Requests of gRPC-Web whose exchange is not over, the oldest first.
    exchanges: VecDeque<Exchange>,
    passed: bool,
}

/// A request that is a call, and its response.
#[derive(Debug)]
struct Exchange {
    /// Its number among the requests of the connection, from 1.
    number: u32,
    stream: RpcStream,
}

/// A request that is not answered.
#[derive(Debug)]
struct Request {
    /// RFC 9110 §9.3.2: the response to HEAD has no body.
    is_head: bool,
    /// What is needed to upgrade it, where it offers that.
    offer: Option<Box<Offer>>,
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

/// Where one direction stands.
#[derive(Debug)]
struct Reader {
    state: State,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// In a body: so many bytes are left.
    Body(u64),
    /// In a chunked body: in a chunk's size line (RFC 9112 §7.1); its value so far, whether digits continue.
    ChunkSize {
        size: u64,
        in_digits: bool,
    },
    /// In a chunk: so many bytes are left.
    Chunk(u64),
    /// Behind a chunk: its line end.
    ChunkEnd,
    /// Behind the last chunk: trailer lines; whether the current one is empty so far.
    ChunkTrailers {
        is_empty: bool,
    },
    /// A body that ends with the connection.
    UntilClose,
}

/// The head of a request or a response: everything up to the empty line.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    first: FirstByte,
    last: Arrival,
}

/// What a reader has found in its direction.
enum Step<'a> {
    /// A head is complete: it is in [`Reader::head`].
    Head,
    /// Bytes of a body.
    Body(Data<'a>),
    /// A body is complete.
    End,
}

/// A head longer than this offers nothing that is looked for: servers refuse heads of more than some KiB.
const MAX_HEAD: usize = 1 << 16;

/// What a client may have sent before it is upgraded: the body of its request, and an early preface.
const MAX_BEHIND: usize = 1 << 20;

/// Requests that may be unanswered at once (pipelining).
const MAX_UNANSWERED: usize = 1024;

impl Http1 {
    /// A connection whose bytes begin with the next input.
    pub(crate) fn new(connection: ConnectionId) -> Self {
        Self {
            connection,
            requests: Reader::new(),
            responses: Reader::new(),
            unanswered: VecDeque::new(),
            behind: Held::default(),
            asked: 0,
            answered: 0,
            exchanges: VecDeque::new(),
            passed: false,
        }
    }

    fn pass(&mut self) {
        self.passed = true;
        self.behind.clear();
        self.unanswered = VecDeque::new();
        self.requests.head = Head::default();
        self.responses.head = Head::default();
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
                Step::Body(part) => {
                    let is_whole = self.requests.state == State::Head;
                    self.body(Direction::ToServer, part, context);
                    if is_whole {
                        self.body_ends(Direction::ToServer, &data, context);
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
                    self.body_ends(Direction::ToServer, &data, context);
                    if let Some(offer) = self.last_offer() {
                        offer.body_is_whole = true;
                    }
                }
            }
        }
        if self.requests.is_lost() {
            self.pass();
        }
    }

    /// The exchange whose request or response is being read.
    fn exchange(&mut self, direction: Direction) -> Option<&mut Exchange> {
        let number = if direction == Direction::ToServer { self.asked } else { self.answered };
        let at = self.exchanges.binary_search_by_key(&number, |exchange| exchange.number).ok()?;
        self.exchanges.get_mut(at)
    }

    /// Bytes of a body.
    fn body(&mut self, direction: Direction, part: Data<'_>, context: &mut Context<'_>) {
        if let Some(exchange) = self.exchange(direction) {
            exchange.stream.data_begins(direction);
            exchange.stream.data(context, direction, part);
            exchange.stream.data_ends(context, direction);
        }
    }

    /// A body is complete; `behind` are the bytes behind it.
    fn body_ends(&mut self, direction: Direction, behind: &Data<'_>, context: &mut Context<'_>) {
        let span = context.event_span(direction, FirstByte::from(behind), behind.offset, Arrival::from(behind));
        if let Some(exchange) = self.exchange(direction) {
            exchange.stream.half_close(context, &span);
            if direction == Direction::ToClient {
                let number = exchange.number;
                self.exchanges.retain(|exchange| exchange.number != number);
            }
        }
    }

    /// Bytes are missing. In a body whose length is known, the next message is where it would have been.
    fn gap(&mut self, direction: Direction, gap: &Gap, context: &mut Context<'_>) {
        let reader = if direction == Direction::ToServer { &mut self.requests } else { &mut self.responses };
        let now = Arrival::from(gap);
        let left = match &mut reader.state {
            State::Body(left) | State::Chunk(left) => left,
            _ => return self.lose(now, context),
        };
        let Some(length) = gap.length.filter(|length| *length < *left) else { return self.lose(now, context) };
        *left -= length;
        if let Some(exchange) = self.exchange(direction) {
            exchange.stream.unalign(context, direction, Some(now));
        }
    }

    /// Nothing more of the connection is read: its calls have no end.
    fn lose(&mut self, now: Arrival, context: &mut Context<'_>) {
        for mut exchange in std::mem::take(&mut self.exchanges) {
            Direction::BOTH.into_iter().for_each(|direction| exchange.stream.unalign(context, direction, Some(now)));
        }
        self.pass();
    }

    fn last_offer(&mut self) -> Option<&mut Offer> {
        self.unanswered.back_mut()?.offer.as_deref_mut()
    }

    /// Whether the last request has offered an upgrade and is complete.
    fn awaits_answer(&self) -> bool {
        let last = self.unanswered.back().and_then(|request| request.offer.as_ref());
        self.requests.state == State::Head && last.is_some_and(|offer| offer.body_is_whole)
    }

    /// The head of a request is complete.
    fn request(&mut self, context: &mut Context<'_>) {
        let Head { bytes: head, first, last } = std::mem::take(&mut self.requests.head);
        let body = body_of(&head);
        self.requests.state = body.unwrap_or(State::Head);
        self.asked += 1;
        let fields = request_fields(&head);
        if is_call(&fields) {
            let list = context.headers.enter(&fields);
            let end = first.origin.offset + head.len() as u64;
            let span = context.event_span(Direction::ToServer, first, end, last);
            let mut stream = RpcStream::begin(context, self.connection, self.asked, first.arrival, true);
            stream.request_headers(context, list, &span);
            if body.is_none() {
                stream.half_close(context, &span);
            }
            self.exchanges.push_back(Exchange { number: self.asked, stream });
        }
        let offer = offers_h2c(&head).then(|| {
            Box::new(Offer { first, last, body: Held::default(), body_is_whole: body.is_none(), head: head.clone() })
        });
        self.unanswered.push_back(Request { is_head: head.starts_with(b"HEAD "), offer });
        if self.unanswered.len() > MAX_UNANSWERED {
            self.pass();
        }
    }

    fn read_responses(&mut self, mut data: Data<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        while !data.bytes.is_empty() && !self.passed {
            match self.responses.next(&mut data)? {
                Step::Body(part) => {
                    self.body(Direction::ToClient, part, context);
                    if self.responses.state == State::Head {
                        self.body_ends(Direction::ToClient, &data, context);
                    }
                }
                Step::End => self.body_ends(Direction::ToClient, &data, context),
                Step::Head => {
                    let head = std::mem::take(&mut self.responses.head);
                    let (first, last) = (head.first, head.last);
                    let head = head.bytes;
                    match status_of(&head) {
                        Some(101) => {
                            let offer = self.unanswered.pop_front().and_then(|request| request.offer);
                            let Some(offer) = offer.filter(|_| offers_h2c(&head)) else {
                                // Some other protocol.
                                self.pass();
                                return None;
                            };
                            return Some(self.upgrade(*offer, data.bytes.len(), context));
                        }
                        // RFC 9110 §15.2: interim responses, and the final one follows.
                        Some(100..200) => {}
                        Some(status) => {
                            self.response_begins(status, &head, (first, last), context);
                            self.response(status, &head, context);
                            if self.responses.state == State::Head {
                                self.body_ends(Direction::ToClient, &data, context);
                            }
                        }
                        None => self.pass(),
                    }
                }
            }
        }
        if self.responses.is_lost() {
            self.pass();
        }
        None
    }

    /// The call of a final response learns its header list. `place`: the first byte of the head, and when it was complete.
    fn response_begins(
        &mut self,
        status: u16,
        head: &[u8],
        (first, last): (FirstByte, Arrival),
        context: &mut Context<'_>,
    ) {
        self.answered += 1;
        if let Some(exchange) = self.exchange(Direction::ToClient) {
            let list = context.headers.enter(&response_fields(status, head));
            let end = first.origin.offset + head.len() as u64;
            let span = context.event_span(Direction::ToClient, first, end, last);
            exchange.stream.response_headers(context, list, &span);
        }
    }

    /// The head of a final response is complete.
    fn response(&mut self, status: u16, head: &[u8], context: &mut Context<'_>) {
        let request = self.unanswered.pop_front();
        let is_head = request.as_ref().is_some_and(|request| request.is_head);
        // RFC 9112 §6.3: which responses have no body, and which end with the connection.
        let has_none = is_head || matches!(status, 204 | 304);
        let is_delimited = fields(head).any(|(name, _)| matches!(&*name, b"content-length" | b"transfer-encoding"));
        self.responses.state = match body_of(head) {
            _ if has_none => State::Head,
            None if !is_delimited => State::UntilClose,
            body => body.unwrap_or(State::Head),
        };
        // The offer was not accepted: what the client sent after it is HTTP/1.
        if request.is_some_and(|request| request.offer.is_some()) && !self.behind.bytes().is_empty() {
            let behind = std::mem::take(&mut self.behind);
            behind.data().for_each(|data| self.read_requests(data, context));
        }
    }

    fn upgrade(&mut self, offer: Offer, unused: usize, context: &mut Context<'_>) -> HandOver {
        let Offer { head, first, last, body, body_is_whole } = offer;
        let fields = request_fields(&head);
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
}

impl Parser for Http1 {
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        match (input, direction) {
            _ if self.passed => None,
            (Input::Data(data), Direction::ToServer) => {
                self.read_requests(data, context);
                None
            }
            (Input::Data(data), Direction::ToClient) => self.read_responses(data, context),
            (Input::Gap(gap), _) => {
                self.gap(direction, &gap, context);
                None
            }
        }
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        // A client that has closed its side may still be answered.
        if how == Close::EndOfCapture || how == Close::Fin && direction == Direction::ToServer {
            return;
        }
        let first = FirstByte { arrival: now, ..FirstByte::default() };
        let span = context.event_span(direction, first, 0, now);
        if self.responses.state == State::UntilClose
            && how == Close::Fin
            && let Some(exchange) = self.exchange(Direction::ToClient)
        {
            // RFC 9112 §6.3: the end of the connection is that of the body.
            exchange.stream.half_close(context, &span);
        }
        for mut exchange in std::mem::take(&mut self.exchanges) {
            exchange.stream.abandon(context, Some(&span));
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        for mut exchange in std::mem::take(&mut self.exchanges) {
            exchange.stream.abandon(context, None);
        }
    }

    fn is_proven(&self) -> bool {
        true
    }

    fn held(&self) -> budget::Held {
        let mut held = budget::Held::NOTHING;
        for reader in [&self.requests, &self.responses] {
            add_held(&mut held, reader.head.bytes.capacity(), reader.head.first.order);
        }
        add_held(&mut held, self.behind.memory(), self.behind.since());
        for offer in self.unanswered.iter().filter_map(|request| request.offer.as_deref()) {
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

impl Reader {
    fn new() -> Self {
        Self { state: State::Head, head: Head::default() }
    }

    /// Whether its place is lost: a head without an end.
    fn is_lost(&self) -> bool {
        self.head.bytes.len() > MAX_HEAD
    }

    /// Reads on in `data` until something is found. `None`: all of `data` is used.
    fn next<'a>(&mut self, data: &mut Data<'a>) -> Option<Step<'a>> {
        while !data.bytes.is_empty() {
            match self.state {
                State::Head => {
                    if self.is_lost() {
                        return None;
                    }
                    if self.head.read(data) {
                        return Some(Step::Head);
                    }
                }
                State::UntilClose => {
                    let (part, rest) = data.split(data.bytes.len());
                    *data = rest;
                    return Some(Step::Body(part));
                }
                State::Body(left) | State::Chunk(left) => {
                    let (part, rest) = data.split(usize::try_from(left).unwrap_or(usize::MAX));
                    let is_chunk = matches!(self.state, State::Chunk(_));
                    let left = left - part.bytes.len() as u64;
                    *data = rest;
                    self.state = match (is_chunk, left) {
                        (true, 0) => State::ChunkEnd,
                        (true, left) => State::Chunk(left),
                        (false, left) => State::Body(left),
                    };
                    if !part.bytes.is_empty() {
                        if self.state == State::Body(0) {
                            self.state = State::Head;
                        }
                        return Some(Step::Body(part));
                    }
                }
                _ => {
                    let (one, rest) = data.split(1);
                    *data = rest;
                    if self.chunk_byte(one.bytes.first().copied().unwrap_or_default()) {
                        return Some(Step::End);
                    }
                }
            }
        }
        None
    }

    /// Reads a byte that frames chunks. True: the body has ended.
    fn chunk_byte(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            (State::ChunkSize { size: 0, .. }, b'\n') => State::ChunkTrailers { is_empty: true },
            (State::ChunkSize { size, .. }, b'\n') => State::Chunk(size),
            (State::ChunkSize { size, in_digits: true }, digit) if digit.is_ascii_hexdigit() => {
                let value = (digit as char).to_digit(16).unwrap_or(0);
                State::ChunkSize { size: size.saturating_mul(16).saturating_add(value.into()), in_digits: true }
            }
            // Extensions follow the digits.
            (State::ChunkSize { size, .. }, _) => State::ChunkSize { size, in_digits: false },
            (State::ChunkEnd, b'\n') => State::ChunkSize { size: 0, in_digits: true },
            (State::ChunkTrailers { is_empty: true }, b'\n') => {
                self.state = State::Head;
                return true;
            }
            (State::ChunkTrailers { .. }, b'\n') => State::ChunkTrailers { is_empty: true },
            (State::ChunkTrailers { is_empty }, b'\r') => State::ChunkTrailers { is_empty },
            (State::ChunkTrailers { .. }, _) => State::ChunkTrailers { is_empty: false },
            (state, _) => state,
        };
        false
    }
}

impl Head {
    /// Reads on. True: the head is complete, and `data` is what follows it.
    fn read(&mut self, data: &mut Data<'_>) -> bool {
        // RFC 9112 §2.2: empty lines before a request are skipped.
        if self.bytes.is_empty() {
            let blank = data.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            *data = data.skip(blank);
            if data.bytes.is_empty() {
                return false;
            }
            self.first = FirstByte::from(&*data);
        }
        self.last = Arrival::from(&*data);
        let before = self.bytes.len();
        self.bytes.extend_from_slice(data.bytes);
        let from = before.saturating_sub(END.len());
        let rest = self.bytes.get(from..).unwrap_or_default();
        match memchr::memmem::find(rest, END).map(|at| from + at + END.len()) {
            Some(end) => {
                self.bytes.truncate(end);
                *data = data.skip(end - before);
                true
            }
            None => {
                *data = data.skip(data.bytes.len());
                false
            }
        }
    }
}

const END: &[u8] = b"\r\n\r\n";

/// The fields of a head, names in lower case.
fn fields(head: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    let lines = head.split(|&b| b == b'\n').skip(1);
    lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        Some((name.to_ascii_lowercase(), value.get(1..)?.trim_ascii()))
    })
}

/// Whether a head names `h2c` among what it upgrades to (RFC 9110 §7.8: a list, in one field or several).
fn offers_h2c(head: &[u8]) -> bool {
    let lists = fields(head).filter(|(name, _)| name == b"upgrade").map(|(_, value)| value);
    lists.flat_map(|list| list.split(|&byte| byte == b',')).any(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// The state after a head whose message has a body; `None` where it has none.
fn body_of(head: &[u8]) -> Option<State> {
    let mut length = None;
    for (name, value) in fields(head) {
        match &*name {
            // RFC 9112 §6.3: Transfer-Encoding overrides Content-Length.
            b"transfer-encoding" if value.to_ascii_lowercase().ends_with(b"chunked") => {
                return Some(State::ChunkSize { size: 0, in_digits: true });
            }
            b"content-length" => length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()),
            _ => {}
        }
    }
    length.filter(|&length| length > 0).map(State::Body)
}

/// The status of a response.
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|&byte| byte == b'\r').next()?.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(line.split(|&byte| byte == b' ').nth(1)?).ok()?.parse().ok()
}

/// The request as the header list that HTTP/2 would have sent (RFC 7540 §8.1.2.3), without what only HTTP/1 has.
fn request_fields(head: &[u8]) -> Arc<[Field]> {
    let mut line = head.split(|&b| b == b'\r').next().unwrap_or_default().split(|&b| b == b' ');
    let method = line.next().unwrap_or_default();
    let path = line.next().unwrap_or_default();
    let host = fields(head).find(|(name, _)| name == b"host").map_or(&b""[..], |(_, value)| value);
    let pseudo: [(&[u8], &[u8]); 4] =
        [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", host)];
    let pseudo = pseudo.into_iter().map(|(name, value)| field(name, value));
    let others = fields(head).filter(|(name, _)| !CONNECTION_FIELDS.contains(&name.as_slice()));
    pseudo.chain(others.map(|(name, value)| field(&name, value))).collect()
}

/// The response as the header list that HTTP/2 would have sent, without what only HTTP/1 has.
fn response_fields(status: u16, head: &[u8]) -> Arc<[Field]> {
    let status = std::iter::once(field(b":status", status.to_string().as_bytes()));
    let others = fields(head).filter(|(name, _)| !CONNECTION_FIELDS.contains(&name.as_slice()));
    status.chain(others.map(|(name, value)| field(&name, value))).collect()
}

/// Whether a request is a call. Those of gRPC itself need HTTP/2.
fn is_call(fields: &[Field]) -> bool {
    HeaderFacts::of(fields).carrier().is_some_and(|carrier| carrier.protocol != Protocol::Grpc)
}

/// The payload of the SETTINGS frame that the request carries (RFC 7540 §3.2.1); empty where that is not base64.
fn http2_settings(head: &[u8]) -> Vec<u8> {
    let value = fields(head).find(|(name, _)| name == b"http2-settings").map(|(_, value)| value);
    value.and_then(|value| binary_values(value).next().flatten()).unwrap_or_default()
}

/// Fields that are about the HTTP/1 connection (RFC 9113 §8.2.2), or stand as pseudo-header fields already.
const CONNECTION_FIELDS: &[&[u8]] =
    &[b"connection", b"upgrade", b"http2-settings", b"host", b"keep-alive", b"transfer-encoding"];

#[cfg(test)]
mod tests {
    use Direction::{ToClient, ToServer};

    use super::*;
    use crate::testing::{Step, fed, message};

    fn request(path: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// The trailers in the body of gRPC-Web.
    fn trailers(status: u8) -> Vec<u8> {
        let lines = format!("grpc-status: {status}\r\n");
        [&[0x80, 0, 0, 0, lines.len() as u8], lines.as_bytes()].concat()
    }

    /// A response whose body is in chunks of `size` bytes.
    fn chunked(body: &[u8], size: usize) -> Vec<u8> {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks =
            body.chunks(size).map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        let chunks: Vec<u8> = chunks.flatten().collect();
        [&head[..], &chunks, b"0\r\n\r\n"].concat()
    }

    fn answer(text: &str) -> Vec<u8> {
        [message(text), trailers(0)].concat()
    }

    const CALLS: [&str; 2] =
        ["1 /a.B/One ↑3\"one\" ↓5\"first\" trailers", "2 /a.B/Two ↑3\"two\" ↓6\"second\" trailers"];

    /// Two calls, one after the other.
    fn two_calls() -> [Vec<u8>; 2] {
        let requests = [request("/a.B/One", &message("one")), request("/a.B/Two", &message("two"))].concat();
        let responses = [chunked(&answer("first"), 7), chunked(&answer("second"), 100)].concat();
        [requests, responses]
    }

    #[test]
    fn calls_of_grpc_web_are_found_wherever_their_bytes_are_cut() {
        let [requests, responses] = two_calls();
        for cut in 0..requests.len().max(responses.len()) {
            let parts = |direction, bytes: &[u8]| {
                let (head, rest) = bytes.split_at(cut.min(bytes.len()));
                [head, rest].map(<[u8]>::to_vec).map(|part| Step::Bytes(direction, part))
            };
            let steps: Vec<Step> = parts(ToServer, &requests).into_iter().chain(parts(ToClient, &responses)).collect();
            let steps: Vec<Step> =
                steps.into_iter().filter(|step| !matches!(step, Step::Bytes(_, bytes) if bytes.is_empty())).collect();
            assert_eq!(fed(false, &steps).calls, CALLS, "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_that_comes_before_the_request_is_complete_belongs_to_it() {
        let [requests, responses] = two_calls();
        let first = requests.len() / 2 - 1;
        let half = responses.len() / 2 - 4;
        let steps = [
            Step::Bytes(ToServer, requests[..first].to_vec()),
            Step::Bytes(ToClient, responses[..half].to_vec()),
            Step::Bytes(ToServer, requests[first..].to_vec()),
            Step::Bytes(ToClient, responses[half..].to_vec()),
        ];
        assert_eq!(fed(false, &steps).calls, CALLS);
    }

    #[test]
    fn preflights_and_pages_are_not_calls() {
        let preflight = b"OPTIONS /a.B/One HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\n\r\n";
        let page = b"GET /index.html HTTP/1.1\r\n\r\n";
        let answers = [
            &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
            &chunked(&answer("first"), 3),
        ];
        let requests = [&preflight[..], page, &request("/a.B/One", &message("one"))].concat();
        let outcome = fed(false, &[Step::Bytes(ToServer, requests), Step::Bytes(ToClient, answers.concat())]);
        assert_eq!(outcome.calls, ["3 /a.B/One ↑3\"one\" ↓5\"first\" trailers"]);
    }

    #[test]
    fn an_error_of_a_proxy_and_a_body_that_ends_with_the_connection() {
        let refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy".to_vec();
        let open =
            [&b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\n\r\n"[..], &answer("first")].concat();
        let requests = [request("/a.B/One", &message("one")), request("/a.B/Two", &message("two"))].concat();
        let mut this = crate::testing::Fed::new(false);
        this.step(&Step::Bytes(ToServer, requests));
        this.step(&Step::Bytes(ToClient, [refused, open].concat()));
        this.close(ToClient, Close::Fin);
        let calls = this.finish().calls;
        assert_eq!(calls, ["1 /a.B/One ↑3\"one\" data", "2 /a.B/Two ↑3\"two\" ↓5\"first\" trailers"]);
    }

    #[test]
    fn what_is_lost_of_a_body_does_not_cost_the_next_call() {
        let [requests, responses] = two_calls();
        let long = request("/a.B/One", &message(&"x".repeat(200)));
        let (begin, end) = (long.len() - 150, long.len() - 50);
        let second = requests[requests.len() / 2..].to_vec();
        assert!(second.starts_with(b"POST /a.B/Two"));
        let steps = [
            Step::Bytes(ToServer, long[..begin].to_vec()),
            Step::Lost(ToServer, long[begin..end].to_vec()),
            Step::Bytes(ToServer, [&long[end..], &second].concat()),
            Step::Bytes(ToClient, responses),
        ];
        let calls = fed(false, &steps).calls;
        assert!(calls[0].starts_with("1 /a.B/One"), "{calls:?}");
        assert_eq!(calls[1], CALLS[1]);
    }

    #[test]
    fn a_request_becomes_the_header_list_of_stream_1() {
        let head = b"POST /a.B/C HTTP/1.1\r\nHost: x:80\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
            HTTP2-Settings: AAMAAABk\r\nContent-Type: application/grpc\r\nContent-Length: 7\r\n\r\n";
        assert!(offers_h2c(head));
        assert_eq!(body_of(head), Some(State::Body(7)));
        let fields = request_fields(head);
        let names: Vec<_> = fields.iter().filter_map(|field| field.name.as_str()).collect();
        assert_eq!(names, [":method", ":scheme", ":path", ":authority", "content-type", "content-length"]);
        assert_eq!(fields[2].value, *b"/a.B/C");
        assert_eq!(fields[3].value, *b"x:80");
    }

    #[test]
    fn h2c_is_found_in_a_list_of_protocols() {
        let head = |value: &str| format!("GET / HTTP/1.1\r\nUpgrade: {value}\r\n\r\n").into_bytes();
        assert!(offers_h2c(&head("websocket, h2c")));
        assert!(offers_h2c(&head("H2C")));
        assert!(!offers_h2c(&head("websocket")));
        assert!(!offers_h2c(&head("h2c-14, h2")));
    }
}
