//! HTTP/2 frames (RFC 9113 §4.1) and gRPC's prefixed messages of a whole flow, with where their bytes lie.
//!
//! Only counts lengths; header blocks are left to [`super::headers`].

use std::collections::BTreeMap;
use std::ops::Range;

use super::tcp::{Flow, Side};

/// What a client sends first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// One frame; positions are in its flow.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) side: Side,
    pub(crate) stream: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// Where its header begins.
    pub(crate) from: usize,
    /// Where its payload begins.
    pub(crate) payload: usize,
    /// Where it ends.
    pub(crate) to: usize,
}

impl Frame {
    /// Whether the frame ends its side of the stream.
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether its payload is part of a header block.
    pub(crate) fn is_header(&self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION | PUSH_PROMISE)
    }

    /// The payload without padding and priority.
    pub(crate) fn content(&self, flow: &Flow) -> Range<usize> {
        let (mut from, mut to) = (self.payload, self.to);
        if matches!(self.kind, DATA | HEADERS) && self.flags & PADDED != 0 {
            to -= usize::from(flow.bytes[from]);
            from += 1;
        }
        if self.kind == HEADERS && self.flags & PRIORITY != 0 {
            from += 5;
        }
        from..to
    }
}

/// Every frame of a flow.
pub(crate) fn frames(flow: &Flow, side: Side) -> Vec<Frame> {
    let mut at = match side {
        Side::Client => {
            assert!(flow.bytes.starts_with(PREFACE), "the client begins with the preface");
            PREFACE.len()
        }
        Side::Server => 0,
    };
    let mut frames = Vec::new();
    while at < flow.bytes.len() {
        let header = &flow.bytes[at..at + 9];
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        frames.push(Frame {
            side,
            stream: u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]),
            kind: header[3],
            flags: header[4],
            from: at,
            payload: at + 9,
            to: at + 9 + length,
        });
        at += 9 + length;
    }
    assert_eq!(at, flow.bytes.len(), "the last frame is whole");
    frames
}

/// One gRPC message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The length that its prefix gives.
    pub(crate) length: u32,
    pub(crate) compressed: bool,
    /// Its bytes with the prefix, in the flow.
    pub(crate) pieces: Vec<Range<usize>>,
}

/// The messages of each stream of a flow, in order.
pub(crate) fn messages(flow: &Flow, frames: &[Frame]) -> BTreeMap<u32, Vec<Message>> {
    let mut contents: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for frame in frames.iter().filter(|frame| frame.kind == DATA) {
        contents.entry(frame.stream).or_default().extend(frame.content(flow));
    }
    contents.into_iter().map(|(stream, places)| (stream, split(flow, &places))).collect()
}

/// Splits a stream's bytes, given by their places, at the prefixes.
fn split(flow: &Flow, places: &[usize]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut at = 0;
    while at + 5 <= places.len() {
        let prefix: Vec<u8> = places[at..at + 5].iter().map(|place| flow.bytes[*place]).collect();
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        let to = at + 5 + length as usize;
        if to > places.len() {
            // The stream was reset inside the message.
            break;
        }
        messages.push(Message { length, compressed: prefix[0] & 1 != 0, pieces: pieces(&places[at..to]) });
        at = to;
    }
    messages
}

/// Places as ranges.
fn pieces(places: &[usize]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for place in places {
        match ranges.last_mut() {
            Some(last) if last.end == *place => last.end += 1,
            _ => ranges.push(*place..*place + 1),
        }
    }
    ranges
}
