//! HTTP/1.1, only as far as it may turn into HTTP/2: a request that offers `Upgrade: h2c`, and its answer.
//!
//! RFC 7540 §3.2: after a `101 Switching Protocols` the request counts as stream 1, half-closed by the client, and the
//! client goes on with the preface. Requests and responses before that are followed to their ends (RFC 9112 §6), so that any
//! request of a connection may be the one that is upgraded. What else HTTP/1 says is not dissected; a connection that
//! carries gRPC-Web or Connect gets a note that says so.

use std::collections::VecDeque;
use std::sync::Arc;

use rpcshark_captures::budget::{self, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Input};

use crate::grpc::{ContentType, binary_values};
use crate::header::{Coded, Field, Octets, Text};
use crate::held::Held;
use crate::http2::{Http2, add_held};
use crate::parser::{HandOver, Parser};
use crate::store::ConnectionId;
use crate::{Arrival, Context, FirstByte, Note, Severity};

/// HTTP/1.1 on one connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    connection: ConnectionId,
    requests: Reader,
    responses: Reader,
    /// Requests that are not answered, the oldest first.
    unanswered: VecDeque<Request>,
    /// What the client sent behind a request that offers an upgrade, while the answer is awaited.
    behind: Held,
    has_web_note: bool,
    passed: bool,
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
    /// In a chunked body: in a chunk's size line (RFC 9112 §7.1); its value so far, whether digits go on.
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
            has_web_note: false,
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
                    if let Some(offer) = self.last_offer() {
                        offer.body.push(&part);
                        offer.body_is_whole = is_whole;
                        if offer.body.bytes().len() > MAX_BEHIND {
                            self.pass();
                        }
                    }
                }
                Step::End => {
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
        self.note_web(&head, last, context);
        let body = body_of(&head);
        self.requests.state = body.unwrap_or(State::Head);
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
                Step::Body(_) | Step::End => {}
                Step::Head => {
                    let Head { bytes: head, .. } = std::mem::take(&mut self.responses.head);
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
                        Some(status) => self.response(status, &head, context),
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
        // The offer was not accepted: what the client sent behind it is HTTP/1.
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

    /// Says once that RPCs over HTTP/1.1 are not dissected.
    fn note_web(&mut self, head: &[u8], now: Arrival, context: &mut Context<'_>) {
        if self.has_web_note || offers_h2c(head) {
            return;
        }
        let content_type = fields(head).find(|(name, _)| name == b"content-type");
        let protocol = match content_type.map(|(_, value)| ContentType::parse(value)) {
            Some(ContentType::GrpcWeb(_) | ContentType::GrpcWebText(_)) => "gRPC-Web",
            Some(ContentType::Connect(_)) => "the Connect protocol",
            _ => return,
        };
        self.has_web_note = true;
        let text = format!("it carries {protocol} over HTTP/1.1, which is not dissected yet");
        context.connection_mut(self.connection).note(Note::new(Severity::Warning, "http1-rpc", text).at(now.packet));
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
            (Input::Gap(_), _) => {
                self.pass();
                None
            }
        }
    }

    fn closed(&mut self, _: Direction, _: Close, _: Arrival, _: &mut Context<'_>) {}

    fn finish(&mut self, _: &mut Context<'_>) {}

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
                State::UntilClose => *data = data.skip(data.bytes.len()),
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

/// The state behind a head whose message has a body; `None` where it has none.
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

/// The payload of the SETTINGS frame that the request carries (RFC 7540 §3.2.1); empty where that is not base64.
fn http2_settings(head: &[u8]) -> Vec<u8> {
    let value = fields(head).find(|(name, _)| name == b"http2-settings").map(|(_, value)| value);
    value.and_then(|value| binary_values(value).next().flatten()).unwrap_or_default()
}

/// Fields that are about the HTTP/1 connection (RFC 9113 §8.2.2), or stand as pseudo-header fields already.
const CONNECTION_FIELDS: &[&[u8]] =
    &[b"connection", b"upgrade", b"http2-settings", b"host", b"keep-alive", b"transfer-encoding"];

fn field(name: &[u8], value: &[u8]) -> Field {
    Field {
        name: Text::Known(Octets::copied(name)),
        value: Text::Known(Octets::copied(value)),
        coded: Coded::Literal,
        name_huffman: false,
        value_huffman: false,
        index: None,
        span: 0..0,
        value_span: 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
