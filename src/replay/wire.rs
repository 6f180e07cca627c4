//! Frames on a live connection, as far as the engine has to know them at once: what was written, what has come, what has ended.
//!
//! The record of the connection ([`Live`](super::Live)) knows much more, but it is made elsewhere and later. Here only the heads
//! of frames are read (RFC 9113 §4.1, and PROTOCOL.md of containerd/ttrpc), and nothing is kept but where in a frame we are:
//!
//! ```text
//! HTTP/2  length (u24) | type (u8) | flags (u8) | stream (u32)
//! ttrpc   length (u32) | stream (u32) | type (u8) | flags (u8)
//! ```

use rpcshark_captures::Direction;

/// Something on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// A header block is complete, or a ttrpc Request.
    Headers {
        /// Its stream.
        stream: u32,
        /// Nothing follows in this direction.
        end: bool,
    },
    /// Part of the body of a gRPC call: messages with their prefixes.
    Body {
        /// Its stream.
        stream: u32,
        /// The bytes.
        bytes: &'a [u8],
        /// Nothing follows in this direction.
        end: bool,
    },
    /// A message of a ttrpc stream.
    Message {
        /// Its stream.
        stream: u32,
    },
    /// A side of a ttrpc stream sends no more.
    End {
        /// The stream.
        stream: u32,
    },
    /// RST_STREAM.
    Reset {
        /// Its stream.
        stream: u32,
        /// Its code.
        code: u32,
    },
    /// GOAWAY.
    Goaway {
        /// The highest stream that its sender may have processed.
        last_stream: u32,
    },
    /// SETTINGS that is no acknowledgment.
    Settings,
}

impl Seen<'_> {
    /// The stream that it belongs to.
    pub(crate) const fn stream(&self) -> Option<u32> {
        match *self {
            Self::Headers { stream, .. }
            | Self::Body { stream, .. }
            | Self::Message { stream }
            | Self::End { stream }
            | Self::Reset { stream, .. } => Some(stream),
            Self::Goaway { .. } | Self::Settings => None,
        }
    }
}

/// Reads the frames of a connection.
#[derive(Debug)]
pub(crate) struct Frames {
    is_ttrpc: bool,
    halves: [Half; 2],
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// Bytes of the connection preface (RFC 9113 §3.4) that are still to come.
    preface: usize,
    /// The head of the frame, as far as it has come.
    head: [u8; 10],
    head_len: usize,
    /// The frame whose head is complete.
    frame: Option<Frame>,
    /// Whether the header block that is not complete ends its direction.
    block_ends: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// Bytes of it that are still to come.
    left: usize,
    /// Of these, padding at the end.
    padding: usize,
    is_padding_known: bool,
    /// The first four bytes of its payload, as far as they have come.
    first: u32,
    first_len: u8,
}

const PREFACE: usize = 24;

/// Types and flags of HTTP/2 frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// The same of ttrpc.
const TTRPC_REQUEST: u8 = 1;
const TTRPC_RESPONSE: u8 = 2;
const TTRPC_DATA: u8 = 3;
const REMOTE_CLOSED: u8 = 1;
const REMOTE_OPEN: u8 = 2;
const NO_DATA: u8 = 4;

impl Frames {
    /// An HTTP/2 connection that begins.
    pub(crate) fn http2() -> Self {
        let client = Half { preface: PREFACE, ..Half::default() };
        let mut halves = [Half::default(), Half::default()];
        halves[Direction::ToServer.index()] = client;
        Self { is_ttrpc: false, halves }
    }

    /// A ttrpc connection that begins.
    pub(crate) fn ttrpc() -> Self {
        Self { is_ttrpc: true, halves: Default::default() }
    }

    /// Reads the next bytes of a direction.
    pub(crate) fn read(&mut self, direction: Direction, mut bytes: &[u8], see: &mut impl FnMut(Seen<'_>)) {
        let is_ttrpc = self.is_ttrpc;
        let half = &mut self.halves[direction.index()];
        let skipped = half.preface.min(bytes.len());
        half.preface -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        while !bytes.is_empty() {
            match &mut half.frame {
                None => {
                    let wanted = if is_ttrpc { 10 } else { 9 };
                    let count = (wanted - half.head_len).min(bytes.len());
                    let (head, rest) = bytes.split_at(count);
                    half.head[half.head_len..half.head_len + count].copy_from_slice(head);
                    half.head_len += count;
                    bytes = rest;
                    if half.head_len == wanted {
                        half.head_len = 0;
                        half.frame =
                            Some(if is_ttrpc { Frame::of_ttrpc(half.head) } else { Frame::of_http2(half.head) });
                    }
                }
                Some(frame) => {
                    let (part, rest) = bytes.split_at(frame.left.min(bytes.len()));
                    bytes = rest;
                    frame.payload(part, is_ttrpc, see);
                }
            }
            if let Some(frame) = half.frame.take_if(|frame| frame.left == 0) {
                match is_ttrpc {
                    true => frame.end_ttrpc(direction, see),
                    false => frame.end_http2(&mut half.block_ends, see),
                }
            }
        }
    }
}

impl Frame {
    fn of_http2(head: [u8; 10]) -> Self {
        let [a, b, c, kind, flags, s0, s1, s2, s3, _] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        let is_padded = kind == DATA && flags & PADDED != 0;
        Self {
            kind,
            flags,
            stream,
            left: length as usize,
            padding: 0,
            is_padding_known: !is_padded,
            first: 0,
            first_len: 0,
        }
    }

    const fn of_ttrpc(head: [u8; 10]) -> Self {
        let [l0, l1, l2, l3, s0, s1, s2, s3, kind, flags] = head;
        Self {
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            left: u32::from_be_bytes([l0, l1, l2, l3]) as usize,
            padding: 0,
            is_padding_known: true,
            first: 0,
            first_len: 0,
        }
    }

    fn payload(&mut self, part: &[u8], is_ttrpc: bool, see: &mut impl FnMut(Seen<'_>)) {
        self.left -= part.len();
        if is_ttrpc {
            return;
        }
        for &byte in part.iter().take(4 - usize::from(self.first_len)) {
            self.first = self.first << 8 | u32::from(byte);
            self.first_len += 1;
        }
        if self.kind != DATA {
            return;
        }
        let mut body = part;
        if !self.is_padding_known
            && let Some((&length, rest)) = part.split_first()
        {
            self.padding = usize::from(length);
            self.is_padding_known = true;
            body = rest;
        }
        // What of this part is padding already.
        let padding = self.padding.saturating_sub(self.left).min(body.len());
        let bytes = body.get(..body.len() - padding).unwrap_or_default();
        if !bytes.is_empty() {
            see(Seen::Body { stream: self.stream, bytes, end: false });
        }
    }

    fn end_http2(self, block_ends: &mut bool, see: &mut impl FnMut(Seen<'_>)) {
        let Self { kind, flags, stream, .. } = self;
        match kind {
            DATA if flags & END_STREAM != 0 => see(Seen::Body { stream, bytes: &[], end: true }),
            HEADERS => {
                *block_ends = flags & END_STREAM != 0;
                if flags & END_HEADERS != 0 {
                    see(Seen::Headers { stream, end: *block_ends });
                }
            }
            CONTINUATION if flags & END_HEADERS != 0 => see(Seen::Headers { stream, end: *block_ends }),
            RST_STREAM if self.first_len == 4 => see(Seen::Reset { stream, code: self.first }),
            GOAWAY if self.first_len == 4 => see(Seen::Goaway { last_stream: self.first & 0x7fff_ffff }),
            SETTINGS if flags & ACK == 0 => see(Seen::Settings),
            _ => {}
        }
    }

    fn end_ttrpc(self, direction: Direction, see: &mut impl FnMut(Seen<'_>)) {
        let Self { kind, flags, stream, .. } = self;
        match (kind, direction) {
            (TTRPC_REQUEST, Direction::ToServer) => see(Seen::Headers { stream, end: flags & REMOTE_OPEN == 0 }),
            (TTRPC_RESPONSE, Direction::ToClient) => see(Seen::End { stream }),
            (TTRPC_DATA, _) => {
                if flags & NO_DATA == 0 {
                    see(Seen::Message { stream });
                }
                if flags & REMOTE_CLOSED != 0 {
                    see(Seen::End { stream });
                }
            }
            _ => {}
        }
    }
}

/// Counts the messages in a body (gRPC over HTTP2, Length-Prefixed-Message).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prefixes {
    prefix: [u8; 5],
    prefix_len: usize,
    /// Bytes of the message that are still to come.
    left: usize,
}

impl Prefixes {
    /// How many messages end in `bytes`, the next part of the body.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let part = self.left.min(bytes.len());
                self.left -= part;
                bytes = &bytes[part..];
                count += u32::from(self.left == 0);
                continue;
            }
            let part = (5 - self.prefix_len).min(bytes.len());
            self.prefix[self.prefix_len..self.prefix_len + part].copy_from_slice(&bytes[..part]);
            self.prefix_len += part;
            bytes = &bytes[part..];
            if self.prefix_len == 5 {
                let [_, length @ ..] = self.prefix;
                self.prefix_len = 0;
                self.left = u32::from_be_bytes(length) as usize;
                count += u32::from(self.left == 0);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of `bytes`, read in pieces of `size`.
    fn seen(mut frames: Frames, direction: Direction, bytes: &[u8], size: usize) -> (Vec<String>, Vec<u8>) {
        let (mut log, mut body) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(size) {
            frames.read(direction, piece, &mut |seen| match seen {
                Seen::Body { bytes, end: false, .. } => body.extend_from_slice(bytes),
                seen => log.push(format!("{seen:?}")),
            });
        }
        (log, body)
    }

    #[test]
    fn frames_are_seen_however_they_are_cut() {
        let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        http2.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]); // SETTINGS
        http2.extend([0, 0, 0, 4, 1, 0, 0, 0, 0]); // its acknowledgment
        http2.extend([0, 0, 2, 1, 1, 0, 0, 0, 1, 9, 9]); // HEADERS, END_STREAM, stream 1
        http2.extend([0, 0, 1, 9, 4, 0, 0, 0, 1, 9]); // CONTINUATION, END_HEADERS
        http2.extend([0, 0, 7, 0, 8, 0, 0, 0, 3, 2, 7, 8, 9, 6, 0, 0]); // DATA, PADDED by 2
        http2.extend([0, 0, 1, 0, 1, 0, 0, 0, 3, 5]); // DATA, END_STREAM
        http2.extend([0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 8]); // RST_STREAM, CANCEL
        http2.extend([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x80, 0, 0, 7, 0, 0, 0, 0]); // GOAWAY up to 7
        let mut ttrpc = vec![0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 7, 7]; // Request, remote open
        ttrpc.extend([0, 0, 0, 1, 0, 0, 0, 1, 3, 0, 7]); // Data
        ttrpc.extend([0, 0, 0, 0, 0, 0, 0, 1, 3, 5]); // Data, remote closed, no data
        for size in 1..=http2.len() {
            let (log, body) = seen(Frames::http2(), Direction::ToServer, &http2, size);
            let expected = [
                "Settings",
                "Headers { stream: 1, end: true }",
                "Body { stream: 3, bytes: [], end: true }",
                "Reset { stream: 5, code: 8 }",
                "Goaway { last_stream: 7 }",
            ];
            assert_eq!((&log[..], &body[..]), (&expected.map(str::to_owned)[..], &[7, 8, 9, 6, 5][..]), "{size}");
            let (log, _) = seen(Frames::ttrpc(), Direction::ToServer, &ttrpc, size);
            let expected = ["Headers { stream: 1, end: false }", "Message { stream: 1 }", "End { stream: 1 }"];
            assert_eq!(log, expected, "{size}");
        }
    }

    #[test]
    fn messages_are_counted_when_their_last_byte_has_come() {
        let body = [0, 0, 0, 0, 2, 7, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 7, 0, 0];
        for size in 1..=body.len() {
            let mut prefixes = Prefixes::default();
            assert_eq!(body.chunks(size).map(|piece| prefixes.count(piece)).sum::<u32>(), 3, "{size}");
        }
        let mut prefixes = Prefixes::default();
        assert_eq!(prefixes.count(&body[..6]), 0);
        assert_eq!(prefixes.count(&body[6..12]), 2);
    }
}
