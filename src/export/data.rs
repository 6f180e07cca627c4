//! The DATA frames of a flow when secrets are replaced: cut anew out of messages that were written again.
//!
//! A message that is as long as before is in the frames in which it stood. One of another length is in the frame in
//! which it ended. Of one that is left out the prefix is there, and its bytes are missing. Bytes of DATA frames that belong
//! to no message are missing, too.

use std::collections::HashMap;
use std::ops::Range;

use rpcshark_captures::Direction;
use rpcshark_dissectors::http2::{Flags, FrameType};
use rpcshark_dissectors::store::{CallEventKind, CallRef, Protocol};
use rpcshark_dissectors::view::{MessageView, Viewer};

use super::http2::{HEADER, MAX_PAYLOAD, frame_header};
use super::redaction::{Content, Redacted, Redactor};

/// The messages of one flow, by stream.
#[derive(Default)]
pub(super) struct Bodies<'a>(HashMap<u32, Messages<'a>>);

#[derive(Default)]
struct Messages<'a> {
    /// In the order in which they are in the flow.
    list: Vec<Extent<'a>>,
    /// The one that is open, or the next one.
    next: usize,
}

/// A message, and where it is in the flow: frames of other streams may be between its parts.
struct Extent<'a> {
    range: Range<u64>,
    message: MessageView<'a>,
    /// What is written for it, while it is open.
    open: Option<Open>,
}

struct Open {
    bytes: Written,
    /// How many bytes of the original have gone by.
    passed: usize,
}

enum Written {
    /// As many bytes as before, prefix and all.
    Same(Vec<u8>),
    /// Another number of bytes, prefix and all.
    New(Vec<u8>),
    /// The prefix.
    LeftOut([u8; PREFIX]),
}

/// Bytes of the prefix of a gRPC message: a flag and the length.
const PREFIX: usize = 5;

/// A DATA frame of an exported call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataFrame {
    /// Its stream.
    pub(super) stream: u32,
    /// Its flags.
    pub(super) flags: u8,
    /// Where its header begins in the flow.
    pub(super) start: u64,
    /// Where its data is, without padding.
    pub(super) payload: Range<u64>,
}

/// A part of what is written. It is written when the original was delivered up to the offset beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many bytes are missing.
    Missing(u64),
}

impl Part {
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Missing(len) => *len,
        }
    }

    /// Keeps the first `at` bytes, and returns the others.
    fn split_off(&mut self, at: u64) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.split_off(at as usize)),
            Self::Missing(len) => {
                let rest = *len - at;
                *len = at;
                Self::Missing(rest)
            }
        }
    }
}

impl<'a> Bodies<'a> {
    /// Those of `calls` that went in `direction`. Messages of other protocols than gRPC are left out.
    pub(super) fn new(
        viewer: Viewer<'a>,
        calls: impl Iterator<Item = CallRef>,
        direction: Direction,
        done: &mut Redacted,
    ) -> Self {
        let mut bodies = HashMap::new();
        for at in calls {
            let call = viewer.call(at);
            let messages: Vec<MessageView<'a>> = call.messages(direction).collect();
            if call.protocol() != Protocol::Grpc {
                done.messages += messages.len() as u64;
                continue;
            }
            let events = viewer.store.lane(at.lane).call_events(at.id).iter();
            let extents = events.filter(|event| event.on.direction == direction).filter_map(|event| {
                let CallEventKind::Message(number) = event.kind else { return None };
                let range = event.on.origin.offset..event.on.end;
                Some(Extent { range, message: *messages.get(number as usize)?, open: None })
            });
            let of_stream: &mut Messages<'_> = bodies.entry(viewer.store.call(at).stream).or_default();
            of_stream.list.extend(extents);
            of_stream.list.sort_by_key(|extent| extent.range.start);
        }
        Self(bodies)
    }

    /// The flow is written once more from its beginning.
    pub(super) fn restart(&mut self) {
        for messages in self.0.values_mut() {
            messages.next = 0;
            messages.list.iter_mut().for_each(|extent| extent.open = None);
        }
    }

    /// What is written in place of a frame. Frames come in their order.
    pub(super) fn frame(
        &mut self,
        frame: &DataFrame,
        redactor: &Redactor<'_>,
        done: &mut Redacted,
    ) -> Vec<(u64, Part)> {
        let mut parts = Vec::new();
        let mut at = frame.payload.start;
        let end = frame.payload.end;
        while at < end
            && let Some(messages) = self.0.get_mut(&frame.stream)
            && let Some(extent) = messages.list.get_mut(messages.next)
            && extent.range.start < end
        {
            if extent.range.end <= at {
                // Its last frames were not recorded.
                messages.next += 1;
                continue;
            }
            if extent.range.start > at {
                parts.push((extent.range.start, Part::Missing(extent.range.start - at)));
            }
            at = at.max(extent.range.start);
            let to = extent.range.end.min(end);
            extent.write(at..to, redactor, done, &mut parts);
            at = to;
            if to == extent.range.end {
                extent.open = None;
                messages.next += 1;
            }
        }
        if at < end {
            parts.push((end, Part::Missing(end - at)));
        }
        frames(frame, parts)
    }
}

impl Extent<'_> {
    /// Adds what is written for the bytes that are at `range` in the flow.
    fn write(&mut self, range: Range<u64>, redactor: &Redactor<'_>, done: &mut Redacted, parts: &mut Vec<(u64, Part)>) {
        let open = self.open.get_or_insert_with(|| Open { bytes: written(self.message, redactor, done), passed: 0 });
        let len = (range.end - range.start) as usize;
        let here = open.passed..open.passed + len;
        open.passed = here.end;
        match &mut open.bytes {
            Written::Same(bytes) => parts.push((
                range.end,
                bytes.get(here).map_or(Part::Missing(len as u64), |bytes| Part::Bytes(bytes.to_vec())),
            )),
            Written::New(bytes) if range.end == self.range.end => {
                parts.push((range.end, Part::Bytes(std::mem::take(bytes))));
            }
            Written::New(_) => {}
            Written::LeftOut(prefix) => {
                let prefix = prefix.get(here.start.min(PREFIX)..here.end.min(PREFIX)).unwrap_or_default();
                let behind = prefix.len() as u64;
                parts.push((range.start + behind, Part::Bytes(prefix.to_vec())));
                parts.push((range.end, Part::Missing(len as u64 - behind)));
            }
        }
    }
}

fn written(message: MessageView<'_>, redactor: &Redactor<'_>, done: &mut Redacted) -> Written {
    let prefix = |flag: bool, length: u32| {
        let [a, b, c, d] = length.to_be_bytes();
        [u8::from(flag), a, b, c, d]
    };
    match redactor.message(message, done) {
        Content::Same(bytes) => {
            Written::Same([&prefix(message.is_compressed(), message.length())[..], &bytes].concat())
        }
        Content::New(bytes) => Written::New([&prefix(false, bytes.len() as u32)[..], &bytes].concat()),
        Content::LeftOut => Written::LeftOut(prefix(message.is_compressed(), message.length())),
    }
}

/// Puts parts into frames: one, or several where there is more than the receiver may allow in one.
fn frames(frame: &DataFrame, parts: Vec<(u64, Part)>) -> Vec<(u64, Part)> {
    let original = frame.payload.end - frame.payload.start;
    let limit = original.max(MAX_PAYLOAD as u64);
    let mut payloads: Vec<Vec<(u64, Part)>> = vec![Vec::new()];
    let mut room = limit;
    for (until, mut part) in parts {
        while part.len() > room {
            let rest = part.split_off(room);
            let full = std::mem::replace(&mut part, rest);
            if let Some(last) = payloads.last_mut() {
                last.push((until, full));
            }
            payloads.push(Vec::new());
            room = limit;
        }
        room -= part.len();
        if part.len() > 0
            && let Some(last) = payloads.last_mut()
        {
            last.push((until, part));
        }
    }
    let ends_stream = frame.flags & Flags::END_STREAM.0;
    let is_empty = payloads.iter().all(Vec::is_empty);
    if is_empty && ends_stream == 0 && original > 0 {
        return Vec::new();
    }
    let mut written = Vec::new();
    let mut payloads = payloads.into_iter().peekable();
    let mut until = frame.start + HEADER as u64;
    while let Some(payload) = payloads.next() {
        let len: u64 = payload.iter().map(|(_, part)| part.len()).sum();
        let flags = if payloads.peek().is_none() { ends_stream } else { 0 };
        let mut header = Vec::new();
        frame_header(FrameType::DATA.0, flags, frame.stream, len as usize, &mut header);
        written.push((until, Part::Bytes(header)));
        until = payload.last().map_or(until, |(until, _)| *until);
        written.extend(payload);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(flags: u8, payload: Range<u64>) -> DataFrame {
        DataFrame { stream: 1, flags, start: payload.start - 9, payload }
    }

    fn header(len: u8, flags: u8) -> Part {
        Part::Bytes(vec![0, 0, len, 0, flags, 0, 0, 0, 1])
    }

    #[test]
    fn parts_are_written_when_the_original_was_there() {
        let parts = vec![(30, Part::Bytes(b"abc".to_vec())), (40, Part::Missing(10))];
        let written = frames(&frame(1, 20..40), parts.clone());
        assert_eq!(written, [(20, header(13, 1)), parts[0].clone(), parts[1].clone()]);
    }

    #[test]
    fn a_frame_of_which_nothing_is_left_is_written_only_if_it_ends_the_stream() {
        assert_eq!(frames(&frame(0, 20..40), Vec::new()), []);
        assert_eq!(frames(&frame(1, 20..40), Vec::new()), [(20, header(0, 1))]);
        assert_eq!(frames(&frame(0, 20..20), Vec::new()), [(20, header(0, 0))], "it was empty before");
    }

    #[test]
    fn what_has_grown_beyond_a_frame_goes_on_in_the_next() {
        let written = frames(&frame(1, 20..40), vec![(40, Part::Bytes(vec![7; MAX_PAYLOAD + 3]))]);
        assert_eq!(written.len(), 4);
        assert_eq!(written[0].1, Part::Bytes(vec![0, 0x40, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(written[1].1.len(), MAX_PAYLOAD as u64);
        assert_eq!(written[2], (40, header(3, 1)));
        assert_eq!(written[3], (40, Part::Bytes(vec![7; 3])));
    }
}
