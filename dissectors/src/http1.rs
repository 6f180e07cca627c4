//! HTTP/1.1, only as far as it may turn into HTTP/2: a first request that offers `Upgrade: h2c`, and its answer.
//!
//! RFC 7540 §3.2: after a `101 Switching Protocols` the request counts as stream 1, half-closed by the client, and the
//! client goes on with the preface. What else HTTP/1 says is not dissected.

use std::sync::Arc;

use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Input};

use crate::Arrival;
use crate::header::{Coded, Field, Octets, Text};
use crate::held::Held;
use crate::http2::Http2;
use crate::parser::{HandOver, Parser};
use crate::store::{ConnectionId, Lane};

/// HTTP/1.1 on one connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    connection: ConnectionId,
    request: Head,
    response: Head,
    /// What the client sent behind its request, while the answer is awaited.
    behind: Held,
    passed: bool,
}

/// The head of a request or a response: everything up to the empty line.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    begin: Arrival,
    end: Option<Arrival>,
}

/// A head longer than this offers nothing that is looked for: servers refuse heads of more than some KiB.
const MAX_HEAD: usize = 1 << 16;

/// What a client may have sent before it is upgraded: the body of its request, and an early preface.
const MAX_BEHIND: usize = 1 << 20;

impl Http1 {
    /// A connection whose bytes begin with the next input.
    pub(crate) fn new(connection: ConnectionId) -> Self {
        Self { connection, request: Head::default(), response: Head::default(), behind: Held::default(), passed: false }
    }

    fn data(&mut self, direction: Direction, data: Data<'_>, lane: &mut Lane) -> Option<HandOver> {
        match direction {
            Direction::ToServer => {
                if let Some(rest) = self.request.read(data) {
                    self.behind.push(&rest);
                }
                let offers = self.request.end.is_none() || upgrades(&self.request.bytes);
                self.passed |= !offers || self.request.too_long() || self.behind.bytes().len() > MAX_BEHIND;
                None
            }
            Direction::ToClient => {
                let rest = self.response.read(data);
                self.response.end?;
                if !self.response.bytes.starts_with(b"HTTP/1.1 101") || !upgrades(&self.response.bytes) {
                    self.passed = true;
                    return None;
                }
                let unused = rest.map_or(0, |rest| rest.bytes.len());
                Some(self.upgrade(unused, lane))
            }
        }
    }

    fn upgrade(&mut self, unused: usize, lane: &mut Lane) -> HandOver {
        let fields = request_fields(&self.request.bytes);
        let end = self.request.end.unwrap_or(self.request.begin);
        let mut left = body_len(&self.request.bytes);
        let body = self.behind.data().map_while(|data| {
            let (body, _) = data.split(left);
            left -= body.bytes.len();
            (!body.bytes.is_empty()).then_some(body)
        });
        let mut next = Http2::upgraded(self.connection, fields, body, (self.request.begin, end), lane);
        self.behind.skip(body_len(&self.request.bytes));
        for data in self.behind.data() {
            next.input(Direction::ToServer, Input::Data(data), lane);
        }
        HandOver { parser: Box::new(next), unused }
    }
}

impl Parser for Http1 {
    fn input(&mut self, direction: Direction, input: Input<'_>, lane: &mut Lane) -> Option<HandOver> {
        match input {
            _ if self.passed => None,
            Input::Data(data) => self.data(direction, data, lane),
            Input::Gap(_) => {
                self.passed = true;
                None
            }
        }
    }

    fn closed(&mut self, _: Direction, _: Close, _: Arrival, _: &mut Lane) {}

    fn finish(&mut self, _: &mut Lane) {}

    fn proven(&self) -> bool {
        true
    }
}

impl Head {
    /// Reads on. What lies behind the head's end is given back, if there is something.
    fn read<'a>(&mut self, data: Data<'a>) -> Option<Data<'a>> {
        if self.end.is_some() {
            return Some(data);
        }
        if self.bytes.is_empty() {
            self.begin = Arrival::from(&data);
        }
        let before = self.bytes.len();
        self.bytes.extend_from_slice(data.bytes);
        let from = before.saturating_sub(END.len());
        let Some(end) = memchr::memmem::find(self.bytes.get(from..)?, END).map(|at| from + at + END.len()) else {
            if self.too_long() {
                self.end = Some(Arrival::from(&data));
            }
            return None;
        };
        self.bytes.truncate(end);
        self.end = Some(Arrival::from(&data));
        let rest = data.skip(end - before);
        (!rest.bytes.is_empty()).then_some(rest)
    }

    fn too_long(&self) -> bool {
        self.bytes.len() > MAX_HEAD
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

/// Whether a head names `h2c` as what it upgrades to.
fn upgrades(head: &[u8]) -> bool {
    fields(head).any(|(name, value)| name == b"upgrade" && value.eq_ignore_ascii_case(b"h2c"))
}

fn body_len(head: &[u8]) -> usize {
    let length = fields(head).find(|(name, _)| name == b"content-length");
    length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0)
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
        assert!(upgrades(head));
        assert_eq!(body_len(head), 7);
        let fields = request_fields(head);
        let names: Vec<_> = fields.iter().filter_map(|field| field.name.as_str()).collect();
        assert_eq!(names, [":method", ":scheme", ":path", ":authority", "content-type", "content-length"]);
        assert_eq!(fields[2].value, *b"/a.B/C");
        assert_eq!(fields[3].value, *b"x:80");
    }
}
