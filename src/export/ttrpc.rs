//! What is kept of a flow of ttrpc: the frames of exported calls.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

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
/// In an NRI trunk each frame is written in one or two pieces of the trunk. Where the pieces of a trunk cannot
/// be followed, nothing can be taken out of it: `None`.
pub(super) fn pieces(
    frames: &[ExactFrame],
    shown: &HashSet<CallId>,
    bytes: &FlowBytes<'_>,
    redaction: Option<&Redaction<'_, '_>>,
    done: &mut Redacted,
) -> Option<Vec<Piece>> {
    if frames.iter().any(|frame| frame.trunk.is_some()) {
        return trunk_pieces(frames, shown, bytes, redaction, done);
    }
    let mut pieces = Vec::new();
    let first = frames.first().map_or(bytes.end(), |frame| frame.extent.start);
    let preamble = bytes.get(0..first).filter(|_| first > 0);
    if preamble.is_some_and(|lines| redaction.is_none() || is_hybrid_vsock(&lines)) {
        // The lines that a hybrid vsock socket begins with.
        pieces.push(Piece::copy(0..first));
    }
    for frame in frames {
        let range = frame.extent.clone();
        let is_shown = frame.call.is_some_and(|call| shown.contains(&call));
        pieces.push(match (is_shown, redaction) {
            (false, _) => Piece::drop(range, true),
            (true, None) => Piece::copy(range),
            (true, Some(redaction)) => {
                let data_at = (range.start + FrameHeader::LEN as u64).min(range.end);
                let header = bytes.get(range.start..data_at);
                let data = bytes.get(data_at..range.end);
                let parts = header.map(|header| without_secrets(frame, &header, data.as_deref(), redaction, done));
                Piece { range, action: Action::Parts(parts.unwrap_or_default()) }
            }
        });
    }
    Some(pieces)
}

/// The same in an NRI trunk.
fn trunk_pieces(
    frames: &[ExactFrame],
    shown: &HashSet<CallId>,
    bytes: &FlowBytes<'_>,
    redaction: Option<&Redaction<'_, '_>>,
    done: &mut Redacted,
) -> Option<Vec<Piece>> {
    let trunk = TrunkPieces::read(bytes)?;
    // Where a frame is cut into several pieces of the trunk, pieces of other connections can be between them.
    let mut cuts: Vec<Cut> = Vec::new();
    for frame in frames {
        let number = frame.trunk?;
        let (content, ranges) = trunk.gather(number, frame.extent.start, bytes)?;
        if !frame.call.is_some_and(|call| shown.contains(&call)) {
            continue;
        }
        let end = ranges.last()?.end;
        let mut content = match redaction {
            Some(redaction) => {
                let (header, data) = content.split_at_checked(FrameHeader::LEN)?;
                let extent = frame.extent.start..end;
                let frame = ExactFrame { extent, ..frame.clone() };
                without_secrets(&frame, header, Some(data), redaction, done)
            }
            None => vec![(end, Part::Bytes(content))],
        };
        // The call begins with the first byte of its frame, and readers know a trunk by what its first piece begins with.
        let begin = ranges.first()?.clone();
        let is_cut = ranges.len() > 1;
        let early = if is_cut { (begin.end - begin.start) as usize } else { 1 };
        let first = match content.first_mut() {
            Some((_, Part::Bytes(bytes))) if bytes.len() > 1 => bytes.drain(..early.min(bytes.len() - 1)).collect(),
            _ => return None,
        };
        match is_cut {
            true => {
                let parts = vec![(begin.end, Part::Bytes(first))];
                cuts.push(Cut { range: begin, number, parts });
            }
            false => content.insert(0, (begin.start + 1, Part::Bytes(first))),
        }
        cuts.push(Cut { range: ranges.last()?.clone(), number, parts: content });
    }
    cuts.sort_by_key(|cut| cut.range.start);
    let mut pieces = Vec::new();
    let mut behind = 0;
    for Cut { range, number, mut parts } in cuts {
        let length: u64 = parts.iter().map(|(_, part)| part.len()).sum();
        let header = [number.to_be_bytes(), u32::try_from(length).ok()?.to_be_bytes()].concat();
        parts.insert(0, (0, Part::Bytes(header)));
        pieces.push(Piece::drop(behind..range.start, true));
        behind = range.end;
        pieces.push(Piece { range, action: Action::Parts(parts) });
    }
    pieces.push(Piece::drop(behind..bytes.end(), true));
    pieces.retain(|piece| !piece.range.is_empty());
    Some(pieces)
}

/// A piece of a trunk that is written: where the original of it is, its connection, and what is in it.
struct Cut {
    range: Range<u64>,
    number: u32,
    parts: Vec<(u64, Part)>,
}

/// The pieces of a trunk: the number of a connection, and where its bytes are.
struct TrunkPieces(Vec<(u32, Range<u64>)>);

impl TrunkPieces {
    /// Those of a flow from its beginning; `None` where bytes are missing.
    fn read(bytes: &FlowBytes<'_>) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at + TRUNK_HEADER <= bytes.end() {
            let header = bytes.get(at..at + TRUNK_HEADER)?;
            let (number, length) = header.split_at_checked(4)?;
            let number = u32::from_be_bytes(number.try_into().ok()?);
            let length = u32::from_be_bytes(length.try_into().ok()?);
            let end = at + TRUNK_HEADER + u64::from(length);
            pieces.push((number, at + TRUNK_HEADER..end.min(bytes.end())));
            at = end;
        }
        Some(Self(pieces))
    }

    /// The frame of connection `number` that begins at `start`, and where its parts are in the flow.
    fn gather(&self, number: u32, start: u64, bytes: &FlowBytes<'_>) -> Option<(Vec<u8>, Vec<Range<u64>>)> {
        let (mut gathered, mut ranges) = (Vec::new(), Vec::new());
        let mut wanted = FrameHeader::LEN;
        let first = self.0.partition_point(|(_, piece)| piece.end <= start);
        for (_, piece) in self.0.get(first..)?.iter().filter(|(of, _)| *of == number) {
            let begin = piece.start.max(start);
            let mut at = begin;
            while at < piece.end && gathered.len() < wanted {
                let end = piece.end.min(at + (wanted - gathered.len()) as u64);
                gathered.extend(bytes.get(at..end)?);
                at = end;
                if gathered.len() == FrameHeader::LEN {
                    wanted += FrameHeader::parse(gathered.first_chunk()?).length as usize;
                }
            }
            ranges.extend((begin < at).then_some(begin..at));
            if gathered.len() >= wanted {
                return Some((gathered, ranges));
            }
        }
        None
    }
}

/// Whether bytes are the lines of a hybrid vsock socket: `CONNECT 1024`, `OK 1073741824`.
fn is_hybrid_vsock(lines: &[u8]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let line = lines.strip_suffix(b"\n").unwrap_or(lines).to_ascii_lowercase();
    [&b"connect "[..], b"ok "].into_iter().any(|word| line.strip_prefix(word).is_some_and(is_number))
}

/// What is written for a frame; `data` is `None` where bytes of it are missing.
fn without_secrets(
    frame: &ExactFrame,
    header: &[u8],
    data: Option<&[u8]>,
    redaction: &Redaction<'_, '_>,
    done: &mut Redacted,
) -> Vec<(u64, Part)> {
    let (start, end) = (frame.extent.start, frame.extent.end);
    let message = redaction.messages.0.range(start + 1..=end).next_back().map(|(_, &message)| message);
    let redactor = redaction.redactor;
    let length = data.map_or(end.saturating_sub(start + header.len() as u64), |data| data.len() as u64);
    let written = match (FrameType(frame.kind), data) {
        (FrameType::REQUEST, Some(data)) => request(data, message, redactor, done),
        (FrameType::RESPONSE, Some(data)) => response(data, message, redactor, done),
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
    match written {
        Some(data) => {
            // The length comes first.
            let length = (data.len() as u32).to_be_bytes();
            let bytes = [&length[..], header.get(length.len()..).unwrap_or_default(), &data].concat();
            vec![(end, Part::Bytes(bytes))]
        }
        None => vec![(end, Part::Bytes(header.to_vec())), (end, Part::Missing(length))],
    }
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
