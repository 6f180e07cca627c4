//! What is kept of a flow of HTTP/2: the frames of exported streams and of the connection, header blocks encoded anew.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use rpcshark_dissectors::header::Field;
use rpcshark_dissectors::http2::hpack::{FieldToWrite, encode};
use rpcshark_dissectors::http2::{Flags, FrameType};
use rpcshark_dissectors::store::{CallRef, Lane};

use super::data::{DataFrame, Part};
use super::flow::FlowBytes;
use super::http1;
use super::piece::{Action, Piece};
use super::redaction::{Redacted, Redactor};
use crate::load::ExactFrame;

/// The client's connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Entries of the static table (RFC 7541, appendix A): they mean the same in every block.
const STATIC_ENTRIES: u32 = 61;

/// Bytes of a frame header (RFC 9113 §4.1).
pub(super) const HEADER: usize = 9;

/// The largest payload that every receiver allows (RFC 9113 §4.2).
pub(super) const MAX_PAYLOAD: usize = 16_384;

/// Frames that mean nothing and show a reader where frames begin: three acknowledgments of PING (RFC 9113 §6.7).
pub(super) fn boundary_marks() -> Vec<u8> {
    let mut ping = Vec::new();
    frame(FrameType::PING.0, Flags::ACK.0, 0, b"rpcshark", &mut ping);
    ping.repeat(3)
}

/// The parts of a flow. `frames` are those of the flow, in order. With a redaction, secrets are replaced; beside it is the call
/// that this flow of the client began as a request of HTTP/1.1.
pub(super) fn pieces(
    frames: &[ExactFrame],
    shown: &HashSet<u32>,
    bytes: &FlowBytes<'_>,
    lane: &Lane,
    redaction: Option<(&http1::Redaction<'_, '_>, Option<CallRef>)>,
    done: &mut Redacted,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let redactor = redaction.map(|(redaction, _)| redaction.redactor);
    let first = frames.first().map_or(bytes.end(), |frame| frame.extent.start);
    beginning(0..first, shown, bytes, redaction, done, &mut pieces);
    let mut rest = frames.iter().peekable();
    while let Some(frame) = rest.next() {
        let range = frame.extent.clone();
        let is_block = frame.kind == FrameType::HEADERS.0 || frame.kind == FrameType::PUSH_PROMISE.0;
        if frame.stream != 0 && !shown.contains(&frame.stream) {
            let counted = !is_block && frame.kind != FrameType::CONTINUATION.0;
            pieces.push(Piece::drop(range, counted));
            continue;
        }
        let Some(list) = frame.headers.filter(|_| is_block) else {
            pieces.extend(match redactor {
                None => Some(Piece::copy(range)),
                Some(_) => without_secrets(frame, bytes),
            });
            continue;
        };
        // The block ends with the CONTINUATION that says so.
        let mut end = range.end;
        let mut ended = Flags(frame.flags).contains(Flags::END_HEADERS);
        while !ended && let Some(next) = rest.next_if(|next| next.kind == FrameType::CONTINUATION.0) {
            end = next.extent.end;
            ended = Flags(next.flags).contains(Flags::END_HEADERS);
        }
        let fields: Vec<&Field> = lane.headers.fields(list).collect();
        let is_alone = fields.iter().all(|field| field.index.is_none_or(|index| index <= STATIC_ENTRIES));
        if frame.faulty && is_alone && redactor.is_none() {
            // What is wrong with it stays as it is.
            pieces.push(Piece::copy(range.start..end));
            continue;
        }
        let values: Vec<Option<Cow<'_, [u8]>>> = match redactor {
            None => fields.iter().map(|field| field.value.known().map(Cow::Borrowed)).collect(),
            Some(redactor) => fields.iter().map(|field| redactor.header(field, done)).collect(),
        };
        let fields = fields.into_iter().zip(&values);
        let fields = fields.map(|(field, value)| FieldToWrite { value: value.as_deref(), ..FieldToWrite::of(field) });
        let bytes = header_block(frame, fields, frame.faulty);
        pieces.push(Piece { range: range.start..end, action: Action::Replace { bytes, head: HEADER } });
    }
    let last = frames.last().map_or(first, |frame| frame.extent.end);
    if redactor.is_none()
        && let Some(header) = bytes.get(last..last + HEADER as u64)
        && let [_, _, _, kind, _, a, b, c, d] = header[..]
    {
        // The capture ends inside this frame.
        let stream = u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff;
        if kind == FrameType::DATA.0 && shown.contains(&stream) {
            pieces.push(Piece::copy(last..bytes.end()));
        }
    }
    pieces
}

/// What is written for a frame that begins no header block that was read, if secrets are replaced.
fn without_secrets(frame: &ExactFrame, bytes: &FlowBytes<'_>) -> Option<Piece> {
    let range = frame.extent.clone();
    let header_end = (range.start + HEADER as u64).min(range.end);
    Some(match FrameType(frame.kind) {
        FrameType::DATA => {
            let mut payload = header_end..range.end;
            if Flags(frame.flags).contains(Flags::PADDED) {
                // RFC 9113 §6.1: the length of the padding comes first.
                let length = bytes.get(payload.start..payload.start + 1).and_then(|byte| byte.first().copied());
                payload.start = (payload.start + 1).min(payload.end);
                payload.end = payload.end.saturating_sub(u64::from(length.unwrap_or(0))).max(payload.start);
            }
            let frame = DataFrame { stream: frame.stream, flags: frame.flags, start: range.start, payload };
            Piece { range, action: Action::Data(frame) }
        }
        // A block that was not read can hold anything. Its frames stay, so that it is known to be one.
        FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION => {
            let header = bytes.get(range.start..header_end)?;
            let missing = Part::Missing(range.end - header_end);
            let parts = vec![(header_end, Part::Bytes(header)), (range.end, missing)];
            Piece { range, action: Action::Parts(parts) }
        }
        FrameType::PRIORITY
        | FrameType::RST_STREAM
        | FrameType::SETTINGS
        | FrameType::PING
        | FrameType::GOAWAY
        | FrameType::WINDOW_UPDATE => Piece::copy(range),
        _ => Piece::drop(range, true),
    })
}

/// What precedes the first frame: of a client the preface, and before it HTTP/1.1 that was upgraded. That request is
/// stream 1.
fn beginning(
    range: Range<u64>,
    shown: &HashSet<u32>,
    bytes: &FlowBytes<'_>,
    redaction: Option<(&http1::Redaction<'_, '_>, Option<CallRef>)>,
    done: &mut Redacted,
    pieces: &mut Vec<Piece>,
) {
    let before_preface = range.end.saturating_sub(PREFACE.len() as u64).max(range.start);
    let has_preface = bytes.get(before_preface..range.end).is_some_and(|end| end == PREFACE);
    let upgrade = range.start..if has_preface { before_preface } else { range.end };
    // Bytes of it may be missing.
    let text = bytes.contiguous(upgrade.start, upgrade.end.saturating_sub(upgrade.start) as usize);
    if !upgrade.is_empty() && (text.is_empty() || text.starts_with_http1()) {
        pieces.extend(match (shown.contains(&1), redaction) {
            (false, _) => vec![Piece::drop(upgrade, true)],
            (true, None) => vec![Piece::copy(upgrade)],
            (true, Some((redaction, Some(call)))) => http1::upgrade(bytes, upgrade, call, redaction, done),
            (true, Some((redaction, None))) => {
                let parts = bytes.parts(upgrade).into_iter();
                parts
                    .map(|(range, is_there)| answer_without_secrets(range, is_there, bytes, redaction.redactor, done))
                    .collect()
            }
        });
    }
    if has_preface {
        pieces.push(Piece::copy(before_preface..range.end));
    }
}

/// What is written for a part of what a server sends before HTTP/2. What was not recorded stays that.
fn answer_without_secrets(
    range: Range<u64>,
    is_there: bool,
    bytes: &FlowBytes<'_>,
    redactor: &Redactor<'_>,
    done: &mut Redacted,
) -> Piece {
    let Some(text) = bytes.get(range.clone()).filter(|_| is_there) else { return Piece::copy(range) };
    let (heads, rest) = http1_without_secrets(&text, redactor, done);
    let behind = range.end - rest.len() as u64;
    let parts = vec![(behind, Part::Bytes(heads)), (range.end, Part::Missing(rest.len() as u64))];
    Piece { range, action: Action::Parts(parts) }
}

/// The heads of HTTP/1.1 messages with their secrets replaced, and what follows the last one: a body.
fn http1_without_secrets<'a>(mut text: &'a [u8], redactor: &Redactor<'_>, done: &mut Redacted) -> (Vec<u8>, &'a [u8]) {
    const END: &[u8] = b"\r\n\r\n";
    let mut out = Vec::new();
    while text.starts_with_http1()
        && let Some(end) = memchr::memmem::find(text, END)
    {
        let (head, rest) = text.split_at(end);
        for line in head.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let name = line.iter().position(|&byte| byte == b':').and_then(|colon| line.get(..colon));
            match name.filter(|name| !name.contains(&b' ')) {
                Some(name) => {
                    let value = line.get(name.len() + 1..).unwrap_or_default().trim_ascii();
                    out.extend_from_slice(&[name, b": ", &redactor.metadata(name, value, done)].concat());
                }
                None => out.extend_from_slice(line),
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        text = rest.get(END.len()..).unwrap_or_default();
    }
    (out, text)
}

trait StartsWithHttp1 {
    fn starts_with_http1(&self) -> bool;
}

impl StartsWithHttp1 for [u8] {
    /// Whether bytes begin like a request or an answer of HTTP/1.1: with a line of text that names the version.
    fn starts_with_http1(&self) -> bool {
        let line = self.split(|&byte| byte == b'\n').next().unwrap_or_default();
        line.windows(7).any(|part| part == b"HTTP/1.")
    }
}

/// The frames of a header block that begins with `frame`. `faulty`: it cannot be decoded to its end.
pub(super) fn header_block<'a>(
    frame: &ExactFrame,
    fields: impl Iterator<Item = FieldToWrite<'a>>,
    faulty: bool,
) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut flags = Flags(frame.flags & Flags::END_STREAM.0);
    if let Some(promised) = frame.promised {
        payload.extend_from_slice(&promised.to_be_bytes());
    }
    if let Some(priority) = frame.priority {
        flags.0 |= Flags::PRIORITY.0;
        let exclusive = u32::from(priority.exclusive) << 31;
        payload.extend_from_slice(&(priority.depends_on | exclusive).to_be_bytes());
        payload.push((priority.weight.max(1) - 1) as u8);
    }
    for field in fields {
        encode(field, &mut payload);
    }
    if faulty {
        // RFC 7541 §6.1: index 0 is an error.
        payload.push(0x80);
    }
    let mut frames = Vec::new();
    let mut kind = frame.kind;
    let mut parts = payload.chunks(MAX_PAYLOAD).peekable();
    if parts.peek().is_none() {
        self::frame(kind, flags.0 | Flags::END_HEADERS.0, frame.stream, &[], &mut frames);
    }
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { Flags::END_HEADERS.0 } else { 0 };
        self::frame(kind, flags.0 | last, frame.stream, part, &mut frames);
        (kind, flags) = (FrameType::CONTINUATION.0, Flags(0));
    }
    frames
}

/// Appends a frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], to: &mut Vec<u8>) {
    frame_header(kind, flags, stream, payload.len(), to);
    to.extend_from_slice(payload);
}

/// Appends a frame header.
pub(super) fn frame_header(kind: u8, flags: u8, stream: u32, len: usize, to: &mut Vec<u8>) {
    let [_, len @ ..] = (len as u32).to_be_bytes();
    to.extend_from_slice(&len);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
}
