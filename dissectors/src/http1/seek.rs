//! Seeks where reading can continue after missing bytes: at the head of a message, or at a chunk of the body that had begun.
//!
//! A head is believed when all of it is there: a start line, and lines that are fields, up to the empty line. A chunk is
//! believed where a delivery begins with its size line and a line end follows it where the size says.

use rpcshark_captures::Direction;

use super::head::{END, MAX_HEAD};
use crate::held::Held;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// A head begins here.
    Head(usize),
    /// A chunk's size line begins here.
    Chunk(usize),
    /// Nothing so far. What lies before `keep` is not needed any more.
    Nothing { keep: usize },
}

/// Whether something can be what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    /// With more bytes, perhaps.
    Perhaps,
    No,
}

/// Bytes that are held for a chunk whose end is to come. Larger chunks are not found.
const MAX_CHUNK: usize = 1 << 18;

/// What request lines begin with.
const METHODS: [&[u8]; 9] = [b"POST", b"GET", b"OPTIONS", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"CONNECT", b"TRACE"];

const VERSION: &[u8] = b"HTTP/1.";

/// Seeks in `held`.
pub(super) fn seek(direction: Direction, held: &Held, in_chunks: bool) -> Sought {
    let bytes = held.bytes();
    let mut keep = bytes.len() - tail(direction, bytes);
    let mut head = None;
    for at in memchr::memmem::find_iter(bytes, VERSION) {
        let Some(start) = start_line(direction, bytes, at) else { continue };
        match is_head(direction, bytes.get(start..).unwrap_or_default()) {
            Verdict::Yes => {
                head = Some(start);
                break;
            }
            Verdict::Perhaps => {
                keep = keep.min(start);
                break;
            }
            Verdict::No => {}
        }
    }
    if in_chunks {
        for at in held.begins().filter(|&at| head.is_none_or(|head| at < head)) {
            match is_chunk(bytes.get(at..).unwrap_or_default()) {
                Verdict::Yes => return Sought::Chunk(at),
                Verdict::Perhaps => {
                    keep = keep.min(at);
                    break;
                }
                Verdict::No => {}
            }
        }
    }
    head.map_or(Sought::Nothing { keep }, Sought::Head)
}

/// How many bytes at the end may be the beginning of a start line.
fn tail(direction: Direction, bytes: &[u8]) -> usize {
    match direction {
        Direction::ToClient => VERSION.len().min(bytes.len()),
        // The method and the path come before the version.
        Direction::ToServer => {
            let line = memchr::memrchr(b'\n', bytes).map_or(bytes.len(), |at| bytes.len() - at - 1);
            line.clamp(VERSION.len().min(bytes.len()), MAX_HEAD.min(bytes.len()))
        }
    }
}

/// Where the start line begins that has its version at `at`.
fn start_line(direction: Direction, bytes: &[u8], at: usize) -> Option<usize> {
    if direction == Direction::ToClient {
        return Some(at);
    }
    let before = bytes.get(..at)?.strip_suffix(b" ")?;
    let path = before.iter().rposition(|&byte| byte == b' ')?;
    if before.len() - path > MAX_HEAD || before.get(path + 1..)?.iter().any(u8::is_ascii_control) {
        return None;
    }
    let before = before.get(..path)?;
    let method = METHODS.iter().find(|method| before.ends_with(method))?;
    Some(before.len() - method.len())
}

/// Whether a head begins here, with a start line.
fn is_head(direction: Direction, bytes: &[u8]) -> Verdict {
    let (head, whole) = match memchr::memmem::find(bytes, END) {
        Some(end) => (bytes.get(..end).unwrap_or_default(), true),
        None => (bytes, false),
    };
    if head.len() > MAX_HEAD {
        return Verdict::No;
    }
    let mut lines = head.split(|&byte| byte == b'\n');
    let start = lines.next().unwrap_or_default();
    let has_start = start.ends_with(b"\r") || whole;
    let is_start = match direction {
        Direction::ToServer => {
            start.trim_ascii_end().ends_with(b" HTTP/1.1") || start.trim_ascii_end().ends_with(b" HTTP/1.0")
        }
        // `HTTP/1.1 200 OK`; the reason may be missing.
        Direction::ToClient => {
            matches!(start, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', a, b, c, rest @ ..]
            if (b'1'..=b'5').contains(a) && b.is_ascii_digit() && c.is_ascii_digit() && matches!(rest, [] | [b' ' | b'\r', ..]))
        }
    };
    if has_start && !is_start {
        return Verdict::No;
    }
    let mut lines = lines.peekable();
    let mut fields = 0;
    while let Some(line) = lines.next() {
        let is_complete = whole || lines.peek().is_some();
        if is_complete && !is_field(line) {
            return Verdict::No;
        }
        fields += 1;
    }
    match whole {
        true if fields == 0 => Verdict::No,
        true => Verdict::Yes,
        false => Verdict::Perhaps,
    }
}

/// RFC 9112 §5: `name: value`; names are tokens.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let (name, value) = line.split_at(colon);
    let is_token = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.iter().all(is_token) && !value.trim_ascii_end().contains(&b'\r')
}

/// Whether a chunk begins here: its size, its bytes, and a line end.
fn is_chunk(bytes: &[u8]) -> Verdict {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > 8 {
        return Verdict::No;
    }
    let line = bytes.get(digits..).unwrap_or_default();
    if !line.starts_with(b"\r\n") {
        return if b"\r\n".starts_with(line) { Verdict::Perhaps } else { Verdict::No };
    }
    let size = std::str::from_utf8(bytes.get(..digits).unwrap_or_default()).ok();
    let size = size.and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or(usize::MAX);
    if size > MAX_CHUNK {
        return Verdict::No;
    }
    let end = digits + 2 + size;
    match bytes.get(end..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Verdict::Yes,
        [] | [b'\r'] => Verdict::Perhaps,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use rpcshark_captures::{Data, Packet, Place, Timestamp};

    use super::*;

    fn sought(direction: Direction, parts: &[&[u8]], in_chunks: bool) -> Sought {
        let mut held = Held::default();
        let mut offset = 0;
        for bytes in parts {
            let (packet, time, at) = (Packet::default(), Timestamp::EPOCH, Place::NOWHERE);
            held.push(&Data { bytes, packet, time, at, offset, acked: None });
            offset += bytes.len() as u64;
        }
        seek(direction, &held, in_chunks)
    }

    #[test]
    fn a_head_is_found_behind_a_body_without_a_line_end() {
        let request = b"rest of a bodyPOST /a.B/C HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(sought(Direction::ToServer, &[request], false), Sought::Head(14));
        let response = b"\x00\x01HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(sought(Direction::ToClient, &[response], false), Sought::Head(2));
    }

    #[test]
    fn what_only_looks_like_a_head_is_not_one() {
        for text in [
            &b"see HTTP/1.1 for more\r\n\r\n"[..],
            b"HTTP/1.1 999 OK\r\nA: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(matches!(sought(Direction::ToClient, &[text], false), Sought::Nothing { .. }), "{text:?}");
        }
        let quoted = b"\"POST /a HTTP/1.1\\r\\n\" is a request\r\n\r\n";
        assert!(matches!(sought(Direction::ToServer, &[quoted], false), Sought::Nothing { .. }));
    }

    #[test]
    fn the_beginning_of_a_head_is_kept_until_the_rest_is_there() {
        let whole = b"xxPOST /a.B/C HTTP/1.1\r\nHost: x\r\n\r\n";
        for cut in 3..whole.len() - 1 {
            match sought(Direction::ToServer, &[&whole[..cut]], false) {
                Sought::Nothing { keep } => assert!(keep <= 2, "cut at {cut}"),
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_chunk_is_found_where_a_delivery_begins() {
        assert_eq!(sought(Direction::ToClient, &[b"rest\r\n", b"3\r\nabc\r\n"], true), Sought::Chunk(6));
        assert!(matches!(sought(Direction::ToClient, &[b"rest\r\n", b"3\r\nabcd\r\n"], true), Sought::Nothing { .. }));
        assert!(matches!(
            sought(Direction::ToClient, &[b"rest\r\n", b"3\r\nab"], true),
            Sought::Nothing { keep: 0..=6 }
        ));
        assert!(matches!(sought(Direction::ToClient, &[b"3\r\nabc\r\n"], false), Sought::Nothing { .. }));
    }
}
