//! What is kept of a flow of ttrpc: the frames of exported calls.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use rpcshark_captures::Direction;
use rpcshark_dissectors::protobuf::wire::{Fields, Value};
use rpcshark_dissectors::store::{CallEventKind, CallId, CallRef};
use rpcshark_dissectors::ttrpc::{FrameHeader, FrameType};
use rpcshark_dissectors::view::{MessageView, Viewer};

use super::data::Part;
use super::flow::FlowBytes;
use super::piece::{Action, Piece};
use super::redaction::{Content, Redacted, Redactor};
use crate::load::ExactFrame;

/// Bytes of a piece's header in an NRI trunk: the number of a connection, a length.
const TRUNK_HEADER: u64 = 8;

/// The messages of a flow, by where they end.
pub(super) struct Messages<'a>(BTreeMap<u64, MessageView<'a>>);

impl<'a> Messages<'a> {
    /// Those of `calls` that went in `direction`.
    pub(super) fn new(viewer: Viewer<'a>, calls: impl Iterator<Item = CallRef>, direction: Direction) -> Self {
        let mut by_end = BTreeMap::new();
        for at in calls {
            let messages: Vec<MessageView<'a>> = viewer.call(at).messages(direction).collect();
            let events = viewer.store.lane(at.lane).call_events(at.id).iter();
            by_end.extend(events.filter(|event| event.on.direction == direction).filter_map(|event| {
                let CallEventKind::Message(number) = event.kind else { return None };
                Some((event.on.end, *messages.get(number as usize)?))
            }));
        }
        Self(by_end)
    }
}

/// What replaces the secrets of a flow.
pub(super) struct Redaction<'r, 'a> {
    pub(super) redactor: &'r Redactor<'r>,
    pub(super) messages: Messages<'a>,
}

/// The parts of a flow. `frames` are those of the flow, in order. With a redaction, secrets are replaced.
///
/// In an NRI trunk a frame is kept with the header of its piece. Where frames and pieces of a trunk do not go together,
/// nothing can be taken out of it, and all of it is kept: `None`.
pub(super) fn pieces(
    frames: &[ExactFrame],
    shown: &HashSet<CallId>,
    bytes: &FlowBytes<'_>,
    redaction: Option<&Redaction<'_, '_>>,
    done: &mut Redacted,
) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let first = frames.first().map_or(bytes.end(), |frame| frame.extent.start);
    let in_trunk = frames.iter().any(|frame| frame.trunk.is_some());
    let preamble = bytes.get(0..first).filter(|_| first > 0 && !in_trunk);
    if preamble.is_some_and(|lines| redaction.is_none() || is_hybrid_vsock(&lines)) {
        // The lines that a hybrid vsock socket begins with.
        pieces.push(Piece::copy(0..first));
    }
    for frame in frames {
        let mut range = frame.extent.clone();
        if let Some(number) = frame.trunk {
            let start = range.start.checked_sub(TRUNK_HEADER)?;
            let header = bytes.get(start..range.start)?;
            let length = u32::try_from(range.end - range.start).ok()?;
            if header != [number.to_be_bytes(), length.to_be_bytes()].concat() {
                return None;
            }
            range.start = start;
        }
        let is_shown = frame.call.is_some_and(|call| shown.contains(&call));
        pieces.push(match (is_shown, redaction) {
            (false, _) => Piece::drop(range, true),
            (true, None) => Piece::copy(range),
            (true, Some(redaction)) => {
                let parts = without_secrets(frame, bytes, redaction, done);
                let mut parts = parts.unwrap_or_default();
                let length: u64 = parts.iter().map(|(_, part)| part.len()).sum();
                if let Some(number) = frame.trunk {
                    let header = [number.to_be_bytes(), (length as u32).to_be_bytes()].concat();
                    parts.insert(0, (frame.extent.start, Part::Bytes(header)));
                }
                Piece { range, action: Action::Parts(parts) }
            }
        });
    }
    Some(pieces)
}

/// Whether bytes are the lines of a hybrid vsock socket: `CONNECT 1024`, `OK 1073741824`.
fn is_hybrid_vsock(lines: &[u8]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let line = lines.strip_suffix(b"\n").unwrap_or(lines).to_ascii_lowercase();
    [&b"connect "[..], b"ok "].into_iter().any(|word| line.strip_prefix(word).is_some_and(is_number))
}

/// What is written for a frame. `None`: nothing, since its header is not there.
fn without_secrets(
    frame: &ExactFrame,
    bytes: &FlowBytes<'_>,
    redaction: &Redaction<'_, '_>,
    done: &mut Redacted,
) -> Option<Vec<(u64, Part)>> {
    let (start, end) = (frame.extent.start, frame.extent.end);
    let data_at = (start + FrameHeader::LEN as u64).min(end);
    let header = bytes.get(start..data_at)?;
    let message = redaction.messages.0.range(start + 1..=end).next_back().map(|(_, &message)| message);
    let redactor = redaction.redactor;
    let data = match (FrameType(frame.kind), bytes.get(data_at..end)) {
        (FrameType::REQUEST, Some(data)) => request(&data, message, redactor, done),
        (FrameType::RESPONSE, Some(data)) => response(&data, message, redactor, done),
        (FrameType::DATA, Some(data)) => match message.map(|message| redactor.message(message, done)) {
            Some(Content::Same(data) | Content::New(data)) => Some(data),
            Some(Content::LeftOut) => None,
            None => data.is_empty().then(Vec::new),
        },
        (_, None) => {
            done.messages += u64::from(message.is_some());
            None
        }
        _ => None,
    };
    // The length comes first.
    let with_length = |length: u64| [&(length as u32).to_be_bytes()[..], header.get(4..).unwrap_or_default()].concat();
    Some(match data {
        Some(data) => {
            let bytes = [with_length(data.len() as u64), data].concat();
            vec![(end, Part::Bytes(bytes))]
        }
        None => vec![(data_at, Part::Bytes(header)), (end, Part::Missing(end - data_at))],
    })
}

/// A Request: service, method, payload, timeout, metadata. `None`: it cannot be read to its end.
fn request(
    data: &[u8],
    message: Option<MessageView<'_>>,
    redactor: &Redactor<'_>,
    done: &mut Redacted,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for field in Fields::new(data) {
        let field = field.ok()?;
        match (field.number, field.value) {
            (1 | 2, Value::Bytes(_)) | (4, Value::Varint(_)) => {
                out.extend_from_slice(data.get(field.at as usize..field.end as usize)?);
            }
            (3, Value::Bytes(_)) => {
                write(3, &payload(message, redactor, done), &mut out);
            }
            (5, Value::Bytes(pair)) => {
                let (mut key, mut value) = (&b""[..], &b""[..]);
                for part in Fields::new(pair) {
                    match part.ok()? {
                        part if part.number == 1 => key = bytes_of(part.value)?,
                        part if part.number == 2 => value = bytes_of(part.value)?,
                        _ => {}
                    }
                }
                let mut pair = Vec::new();
                write(1, key, &mut pair);
                write(2, &redactor.metadata(key, value, done), &mut pair);
                write(5, &pair, &mut out);
            }
            _ => done.parts += 1,
        }
    }
    Some(out)
}

/// A Response: status, payload. `None`: it cannot be read to its end.
fn response(
    data: &[u8],
    message: Option<MessageView<'_>>,
    redactor: &Redactor<'_>,
    done: &mut Redacted,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for field in Fields::new(data) {
        let field = field.ok()?;
        match (field.number, field.value) {
            (1, Value::Bytes(status)) => match redactor.status(status, done) {
                Some(Content::Same(status) | Content::New(status)) => write(1, &status, &mut out),
                _ => return None,
            },
            (2, Value::Bytes(_)) => {
                write(2, &payload(message, redactor, done), &mut out);
            }
            _ => done.parts += 1,
        }
    }
    Some(out)
}

/// The payload of a Request or Response; one that is left out is empty.
fn payload(message: Option<MessageView<'_>>, redactor: &Redactor<'_>, done: &mut Redacted) -> Cow<'static, [u8]> {
    match message.map(|message| redactor.message(message, done)) {
        Some(Content::Same(payload) | Content::New(payload)) => Cow::Owned(payload),
        Some(Content::LeftOut) | None => Cow::Borrowed(b""),
    }
}

const fn bytes_of(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// Appends a length-delimited field with a number below 16.
fn write(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}
