//! What is kept of a connection that speaks HTTP/1.1: the requests and responses of exported calls.
//!
//! HTTP/1.1 has no streams: the stream of a call is the number of its request on the connection. So an exchange that is
//! left out and precedes an exported one is written as one that is not a call: `OPTIONS *` without a body, and `200 OK`.

use std::collections::BTreeMap;
use std::ops::Range;

use rpcshark_captures::Direction;
use rpcshark_dissectors::json::{Json, Writer};
use rpcshark_dissectors::store::{CallRef, Protocol};
use rpcshark_dissectors::view::{MessageView, Viewer};

use super::data::Part;
use super::flow::FlowBytes;
use super::piece::{Action, Piece};
use super::redaction::{Content, Redacted, Redactor};

/// Stands for a request that is left out.
const NO_REQUEST: &[u8] = b"OPTIONS * HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

/// Stands for a response that is left out.
const NO_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A head longer than this is not read.
const MAX_HEAD: usize = 1 << 16;

/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// The exported calls of a connection, by their streams: the numbers of their requests.
pub(super) type Shown = BTreeMap<u32, CallRef>;

/// A request, or a final response with the interim ones before it.
struct Message {
    /// All of it.
    range: Range<u64>,
    /// The head, without interim responses.
    head: Range<u64>,
    /// Where the content is in the flow, without the lines of chunks.
    content: Vec<Range<u64>>,
    /// The request has the method HEAD.
    is_head: bool,
}

/// The messages of a flow, in order, and the rest, which cannot be followed.
struct Messages {
    list: Vec<Message>,
    rest: Range<u64>,
}

/// What replaces secrets.
pub(super) struct Redaction<'r, 'a> {
    pub(super) redactor: &'r Redactor<'r>,
    pub(super) viewer: Viewer<'a>,
}

/// The parts of the two flows; `flows`: that of the requests, and that of the responses.
pub(super) fn pieces(
    flows: [&FlowBytes<'_>; 2],
    shown: &Shown,
    redaction: Option<&Redaction<'_, '_>>,
    done: &mut Redacted,
) -> [Vec<Piece>; 2] {
    let [requests, responses] = flows;
    let asked = Messages::read(requests, Direction::ToServer, &[]);
    let heads: Vec<bool> = asked.list.iter().map(|request| request.is_head).collect();
    let answered = Messages::read(responses, Direction::ToClient, &heads);
    [
        kept(requests, &asked, Direction::ToServer, shown, redaction, done),
        kept(responses, &answered, Direction::ToClient, shown, redaction, done),
    ]
}

/// The parts of one flow.
fn kept(
    bytes: &FlowBytes<'_>,
    messages: &Messages,
    direction: Direction,
    shown: &Shown,
    redaction: Option<&Redaction<'_, '_>>,
    done: &mut Redacted,
) -> Vec<Piece> {
    let last = shown.keys().next_back().copied().unwrap_or(0);
    let mut pieces = Vec::new();
    for (number, message) in (1..).zip(&messages.list) {
        let range = message.range.clone();
        pieces.push(match (shown.get(&number), redaction) {
            (Some(_), None) => Piece::copy(range),
            (Some(&at), Some(redaction)) => {
                pieces.extend(rewritten(bytes, message, direction, Some(at), redaction, done));
                continue;
            }
            (None, _) if number < last => {
                let placeholder = if direction == Direction::ToServer { NO_REQUEST } else { NO_RESPONSE };
                let parts = vec![(range.end, Part::Bytes(placeholder.to_vec()))];
                Piece { range, action: Action::Parts(parts) }
            }
            (None, _) => Piece::drop(range, true),
        });
    }
    if !messages.rest.is_empty() {
        let number = messages.list.len() as u32 + 1;
        pieces.push(match (shown.contains_key(&number), redaction) {
            (true, None) => Piece::copy(messages.rest.clone()),
            // What cannot be followed cannot be redacted.
            _ => Piece::drop(messages.rest.clone(), !shown.contains_key(&number)),
        });
    }
    pieces
}

/// What is written for the HTTP/1.1 at `range` that a client sends before HTTP/2. The last request is the upgraded call `at`.
pub(super) fn upgrade(
    bytes: &FlowBytes<'_>,
    range: Range<u64>,
    at: CallRef,
    redaction: &Redaction<'_, '_>,
    done: &mut Redacted,
) -> Vec<Piece> {
    let mut messages = Vec::new();
    let mut start = range.start;
    while start < range.end
        && let Some(message) = Message::read(bytes, start, Direction::ToServer, false)
    {
        start = message.range.end;
        messages.push(message);
    }
    let last = messages.len().saturating_sub(1);
    let mut pieces = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let call = (index == last).then_some(at);
        pieces.extend(rewritten(bytes, message, Direction::ToServer, call, redaction, done));
    }
    pieces.extend(left_out(bytes, start..range.end));
    pieces
}

/// The parts of a range whose bytes are left out. What was not recorded stays that.
fn left_out(bytes: &FlowBytes<'_>, range: Range<u64>) -> impl Iterator<Item = Piece> {
    bytes.parts(range).into_iter().map(|(range, is_there)| match is_there {
        true => {
            let missing = vec![(range.end, Part::Missing(range.end - range.start))];
            Piece { range, action: Action::Parts(missing) }
        }
        false => Piece::copy(range),
    })
}

/// The parts of a message of an exported call.
fn rewritten(
    bytes: &FlowBytes<'_>,
    message: &Message,
    direction: Direction,
    at: Option<CallRef>,
    redaction: &Redaction<'_, '_>,
    done: &mut Redacted,
) -> Vec<Piece> {
    let range = message.range.clone();
    let is_plain = matches!(&message.content[..], [only] if *only == (message.head.end..range.end));
    if !is_plain || message.body(bytes).is_some() {
        let parts = without_secrets(bytes, message, direction, at, redaction, done);
        return vec![Piece { range, action: Action::Parts(parts) }];
    }
    // Bytes of the body were not recorded.
    let messages = at.map_or(0, |at| redaction.viewer.call(at).messages(direction).count());
    done.messages += messages as u64;
    let head = bytes.get(message.head.clone()).unwrap_or_default();
    let head = head_without_secrets(&head, range.end - message.head.end, false, redaction.redactor, done);
    let parts = vec![(message.head.end, Part::Bytes(head))];
    let mut pieces = vec![Piece { range: range.start..message.head.end, action: Action::Parts(parts) }];
    pieces.extend(left_out(bytes, message.head.end..range.end));
    pieces
}

impl Messages {
    /// Follows a flow; `heads`: which of the requests that are answered have the method HEAD.
    fn read(bytes: &FlowBytes<'_>, direction: Direction, heads: &[bool]) -> Self {
        let mut list = Vec::new();
        let mut at = 0;
        while at < bytes.end() {
            let to_head = heads.get(list.len()).copied().unwrap_or(false);
            let Some(message) = Message::read(bytes, at, direction, to_head) else { break };
            at = message.range.end;
            list.push(message);
        }
        Self { list, rest: at..bytes.end() }
    }
}

impl Message {
    /// The message that begins at `start`. `to_head`: it answers HEAD.
    fn read(bytes: &FlowBytes<'_>, start: u64, direction: Direction, to_head: bool) -> Option<Self> {
        let mut at = start;
        loop {
            let head = head_at(bytes, at)?;
            let text = bytes.get(head.clone())?;
            at = head.end;
            let status = (direction == Direction::ToClient).then(|| status_of(&text)).flatten();
            // RFC 9110 §15.2: interim responses, and the final one follows.
            if status.is_some_and(|status| (100..200).contains(&status)) {
                continue;
            }
            let has_none = to_head || matches!(status, Some(204 | 304));
            let (content, end) = match body_of(&text) {
                _ if has_none => (Vec::new(), at),
                Body::Chunked => chunks(bytes, at),
                Body::Length(length) => content_until(at, at.saturating_add(length).min(bytes.end())),
                // RFC 9112 §6.3: such a response ends with the connection, such a request has no body.
                Body::Undelimited if direction == Direction::ToClient => content_until(at, bytes.end()),
                Body::Undelimited => (Vec::new(), at),
            };
            let is_head = text.trim_ascii_start().starts_with(b"HEAD ");
            return Some(Self { range: start..end, head, content, is_head });
        }
    }

    /// The content, if all of it is there.
    fn body(&self, bytes: &FlowBytes<'_>) -> Option<Vec<u8>> {
        let parts = self.content.iter().map(|range| bytes.get(range.clone()));
        Some(parts.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Where the first `length` bytes of the content end in the flow.
    fn end_of(&self, mut length: u64) -> u64 {
        for range in &self.content {
            let here = range.end - range.start;
            if length <= here {
                return range.start + length;
            }
            length -= here;
        }
        self.range.end
    }
}

fn content_until(start: u64, end: u64) -> (Vec<Range<u64>>, u64) {
    (std::iter::once(start..end).filter(|range| !range.is_empty()).collect(), end)
}

/// The head at `start`, with the empty lines before it.
fn head_at(bytes: &FlowBytes<'_>, start: u64) -> Option<Range<u64>> {
    let text = bytes.contiguous(start, MAX_HEAD);
    let blank = text.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let end = memchr::memmem::find(text.get(blank..)?, END)? + blank + END.len();
    Some(start..start + end as u64)
}

/// How the end of a body is known.
enum Body {
    Length(u64),
    Chunked,
    Undelimited,
}

/// RFC 9112 §6.3: Transfer-Encoding overrides Content-Length.
fn body_of(head: &[u8]) -> Body {
    let mut length = None;
    for (name, value) in fields(head) {
        match &*name {
            b"transfer-encoding" if value.to_ascii_lowercase().ends_with(b"chunked") => return Body::Chunked,
            b"content-length" => length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            _ => {}
        }
    }
    length.map_or(Body::Undelimited, Body::Length)
}

/// The contents of the chunks from `at` on (RFC 9112 §7.1), and where the body ends. A body that cannot be followed ends
/// with the flow.
fn chunks(bytes: &FlowBytes<'_>, mut at: u64) -> (Vec<Range<u64>>, u64) {
    let mut content = Vec::new();
    let line = |at: u64| {
        let text = bytes.contiguous(at, MAX_HEAD);
        let end = memchr::memchr(b'\n', &text)? + 1;
        Some((text.get(..end)?.to_vec(), at + end as u64))
    };
    loop {
        let Some((size, start)) = line(at) else { return (content, bytes.end()) };
        let digits: String =
            size.iter().take_while(|byte| byte.is_ascii_hexdigit()).map(|&byte| byte as char).collect();
        let Ok(size) = u64::from_str_radix(&digits, 16) else { return (content, bytes.end()) };
        if size == 0 {
            // Trailer lines until an empty one.
            at = start;
            loop {
                let Some((text, end)) = line(at) else { return (content, bytes.end()) };
                at = end;
                if text.trim_ascii().is_empty() {
                    return (content, at);
                }
            }
        }
        let end = start.saturating_add(size).min(bytes.end());
        content.push(start..end);
        let Some((_, next)) = line(end) else { return (content, bytes.end()) };
        at = next;
    }
}

/// The fields of a head, names in lower case.
fn fields(head: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    head.split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        Some((name.to_ascii_lowercase(), value.get(1..)?.trim_ascii()))
    })
}

fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.trim_ascii_start().split(|&byte| byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.split(' ').nth(1)?.trim().parse().ok()
}

/// How the messages of a call are in the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// gRPC, in a request that is upgraded to HTTP/2: messages with prefixes.
    Prefixed,
    /// gRPC-Web: the same with trailers behind the flag 0x80.
    Web,
    /// A stream of Connect: the same with JSON behind the flag 0x02.
    Stream,
    /// A unary message of Connect.
    Unary,
    /// The error of a unary call of Connect: JSON.
    Error,
    /// Something else, or it cannot be read.
    Opaque,
}

impl Form {
    fn of(head: &[u8], protocol: Protocol, direction: Direction) -> Self {
        let content_type = fields(head).find(|(name, _)| name == b"content-type").map(|(_, value)| value);
        let kind = content_type.unwrap_or_default().split(|&byte| byte == b';').next().unwrap_or_default();
        let kind = kind.trim_ascii().to_ascii_lowercase();
        match protocol {
            Protocol::Grpc => Self::Prefixed,
            // The text form is base64.
            Protocol::GrpcWeb if kind.starts_with(b"application/grpc-web-text") => Self::Opaque,
            Protocol::GrpcWeb => Self::Web,
            Protocol::Connect if kind.starts_with(b"application/connect+") => Self::Stream,
            Protocol::Connect if direction == Direction::ToClient && status_of(head) != Some(200) => Self::Error,
            Protocol::Connect => Self::Unary,
            _ => Self::Opaque,
        }
    }
}

/// What is written for a message of HTTP/1.1 that is of an exported call.
fn without_secrets(
    bytes: &FlowBytes<'_>,
    message: &Message,
    direction: Direction,
    at: Option<CallRef>,
    redaction: &Redaction<'_, '_>,
    done: &mut Redacted,
) -> Vec<(u64, Part)> {
    let redactor = redaction.redactor;
    let head = bytes.get(message.head.clone()).unwrap_or_default();
    let call = at.map(|at| redaction.viewer.call(at));
    let messages: Vec<MessageView<'_>> = call.iter().flat_map(|call| call.messages(direction)).collect();
    let body = message.body(bytes);
    let form = match call.filter(|_| body.is_some()) {
        Some(call) => Form::of(&head, call.protocol(), direction),
        None => Form::Opaque,
    };
    let body = body.unwrap_or_default();
    let mut content = Rewritten { message, parts: Vec::new(), drops_encoding: false };
    match form {
        Form::Web | Form::Stream | Form::Prefixed => content.frames(&body, form, &messages, redactor, done),
        Form::Unary if !body.is_empty() => match messages.first().map(|message| redactor.message(*message, done)) {
            Some(Content::Same(bytes)) => content.push(body.len(), Part::Bytes(bytes)),
            Some(Content::New(bytes)) => {
                content.drops_encoding = true;
                content.push(body.len(), Part::Bytes(bytes));
            }
            Some(Content::LeftOut) | None => content.push(body.len(), Part::Missing(body.len() as u64)),
        },
        Form::Unary => {}
        Form::Error => match Json::new(&body).map(|json| error_without_secrets(json, done)) {
            Some(json) => content.push(body.len(), Part::Bytes(json)),
            None => content.push(body.len(), Part::Missing(body.len() as u64)),
        },
        Form::Opaque => {
            done.messages += messages.len() as u64;
            let length: u64 = message.content.iter().map(|range| range.end - range.start).sum();
            content.push(length as usize, Part::Missing(length));
        }
    }
    let Rewritten { parts, drops_encoding, .. } = content;
    let length: u64 = parts.iter().map(|(_, part)| part.len()).sum();
    let mut written =
        vec![(message.head.end, Part::Bytes(head_without_secrets(&head, length, drops_encoding, redactor, done)))];
    written.extend(parts);
    written
}

/// The content of a message as it is written.
struct Rewritten<'m> {
    message: &'m Message,
    parts: Vec<(u64, Part)>,
    /// A message was compressed as the head says, and is not any more.
    drops_encoding: bool,
}

impl Rewritten<'_> {
    /// Adds a part, which is written when the first `until` bytes of the content were there.
    fn push(&mut self, until: usize, part: Part) {
        if part.len() > 0 {
            self.parts.push((self.message.end_of(until as u64), part));
        }
    }

    /// Adds messages with prefixes and what follows the last one.
    fn frames(
        &mut self,
        body: &[u8],
        form: Form,
        messages: &[MessageView<'_>],
        redactor: &Redactor<'_>,
        done: &mut Redacted,
    ) {
        let mut messages = messages.iter();
        let mut rest = body;
        while let Some((&[flag, a, b, c, d], behind)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some((frame, behind)) = behind.split_at_checked(length) else { break };
            let until = body.len() - behind.len();
            rest = behind;
            let mut framed = |flag: u8, bytes: &[u8]| {
                self.push(until, Part::Bytes([&[flag][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()));
            };
            match (form, flag) {
                (Form::Web, 0x80) => framed(flag, &trailers_without_secrets(frame, redactor, done)),
                (Form::Stream, 0x02) if let Some(json) = Json::new(frame) => {
                    framed(flag, &end_without_secrets(json, redactor, done));
                }
                _ => match messages.next().map(|message| redactor.message(*message, done)) {
                    Some(Content::Same(_)) => framed(flag, frame),
                    Some(Content::New(bytes)) => framed(flag & !1, &bytes),
                    Some(Content::LeftOut) | None => {
                        self.push(until, Part::Bytes(vec![flag, a, b, c, d]));
                        self.push(until, Part::Missing(length as u64));
                    }
                },
            }
        }
        done.messages += u64::from(!rest.is_empty());
        self.push(body.len(), Part::Missing(rest.len() as u64));
    }
}

/// A head with its secrets replaced, for a body of `length` bytes.
fn head_without_secrets(
    head: &[u8],
    length: u64,
    drops_encoding: bool,
    redactor: &Redactor<'_>,
    done: &mut Redacted,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut is_delimited = false;
    let lines = head.trim_ascii().split(|&byte| byte == b'\n');
    for (index, line) in lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).enumerate() {
        let name = memchr::memchr(b':', line).filter(|_| index > 0).and_then(|colon| line.get(..colon));
        let Some(name) = name else {
            out.extend_from_slice(&request_line(line, done));
            out.extend_from_slice(b"\r\n");
            continue;
        };
        let value = line.get(name.len() + 1..).unwrap_or_default().trim_ascii();
        match &*name.to_ascii_lowercase() {
            b"content-length" | b"transfer-encoding" => is_delimited = true,
            b"content-encoding" if drops_encoding => {}
            // Connect's trailers of unary calls.
            lower => {
                let plain = lower.strip_prefix(b"trailer-").unwrap_or(lower);
                out.extend_from_slice(&[name, b": ", &redactor.metadata(plain, value, done), b"\r\n"].concat());
            }
        }
    }
    if is_delimited {
        out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The first line of a head. The message of a GET request of Connect is in it, and is left out.
fn request_line(line: &[u8], done: &mut Redacted) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let Some((path, query)) = text.split_once('?').filter(|_| text.starts_with("GET ")) else { return line.to_vec() };
    let (query, version) = query.rsplit_once(' ').unwrap_or((query, ""));
    let parameters = query.split('&').map(|parameter| match parameter.strip_prefix("message=") {
        Some(message) => {
            done.messages += u64::from(!message.is_empty());
            "message="
        }
        None => parameter,
    });
    format!("{path}?{} {version}", parameters.collect::<Vec<_>>().join("&")).into_bytes()
}

/// The trailers of gRPC-Web: lines of a head.
fn trailers_without_secrets(text: &[u8], redactor: &Redactor<'_>, done: &mut Redacted) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let lower = name.to_ascii_lowercase();
        let value = match &*lower {
            b"grpc-status-details-bin" => redactor.status_details(value, done),
            lower => redactor.metadata(lower, value, done),
        };
        out.extend_from_slice(&[name, b": ", &value, b"\r\n"].concat());
    }
    out
}

/// The error of Connect without its details, which can hold anything.
fn error_without_secrets(error: Json<'_>, done: &mut Redacted) -> Vec<u8> {
    let mut out = Vec::new();
    let mut json = Writer::new(&mut out);
    write_error(error, &mut json, done);
    out
}

fn write_error(error: Json<'_>, json: &mut Writer<'_>, done: &mut Redacted) {
    json.begin_object();
    for (name, value) in error.members() {
        match &*name {
            "details" => done.parts += value.elements().count() as u64,
            _ => json.key(&name).raw(value.text().as_bytes()),
        }
    }
    json.end_object();
}

/// The end of a stream of Connect: an error, and metadata.
fn end_without_secrets(end: Json<'_>, redactor: &Redactor<'_>, done: &mut Redacted) -> Vec<u8> {
    let mut out = Vec::new();
    let mut json = Writer::new(&mut out);
    json.begin_object();
    for (name, value) in end.members() {
        match &*name {
            "error" => write_error(value, json.key("error"), done),
            "metadata" => {
                json.key("metadata").begin_object();
                for (name, values) in value.members() {
                    json.key(&name).begin_array();
                    for value in values.elements().filter_map(Json::as_string) {
                        let lower = name.to_ascii_lowercase();
                        let value = redactor.metadata(lower.as_bytes(), value.as_bytes(), done);
                        json.string(&String::from_utf8_lossy(&value));
                    }
                    json.end_array();
                }
                json.end_object();
            }
            _ => done.parts += 1,
        }
    }
    json.end_object();
    out
}
