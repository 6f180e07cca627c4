//! What HTTP/2 frames look like, to find a boundary between them in bytes that begin anywhere.
//!
//! A header fits at every sixtieth place in runs of small numbers; three frames in a chain are evidence.

use rpcshark_captures::Direction;

use super::frame::{Flags, FrameHeader, FrameType};
use super::hpack;
use super::payload::Payload;
use crate::seek::{Chain, Frames, Look, Seen, is_near};

/// Frames in a chain that are evidence enough.
pub(super) const CHAIN: u32 = 3;

/// Header blocks up to this length are decoded to see whether they are ones: a longer one would have to be decoded at
/// every place at which it might begin.
const MAX_TRIED_BLOCK: usize = 4096;

/// What is known of the connection in which a boundary is sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest frame that the receiver allows.
    pub(super) max_frame_size: u32,
    /// The highest stream id seen, 0 where none was.
    pub(super) highest_stream: u32,
}

impl Frames for Limits {
    const SHORTEST: usize = FrameHeader::LEN;

    fn look(&self, bytes: &[u8], at: usize) -> Look {
        let Some(rest) = bytes.get(at..) else { return Look::TooFew };
        let Some(header) = rest.first_chunk().map(FrameHeader::parse) else { return Look::TooFew };
        if !is_near(header.stream, self.highest_stream) || !is_plausible(header, self) {
            return Look::Wrong;
        }
        let payload = rest.get(FrameHeader::LEN..).unwrap_or_default();
        match payload.get(..header.length as usize) {
            Some(payload) if !payload_fits(&header, payload) => Look::Wrong,
            _ => Look::Fits(Seen {
                len: FrameHeader::LEN + header.length as usize,
                stream: header.stream,
                points: 1,
                // An empty DATA is nine bytes of which few say anything.
                is_empty: header.kind == FrameType::DATA && header.length == 0,
            }),
        }
    }

    /// A chain that begins with a delivery, ends with the last byte there will be, and in which each DATA frame is whole
    /// messages, at least one: that says as much as a longer chain of headers.
    fn shows_enough(&self, bytes: &[u8], chain: &Chain, _: u32, ended: bool) -> bool {
        if !ended || !chain.at_delivery || chain.next != bytes.len() {
            return false;
        }
        let mut at = chain.begin;
        let mut messages = false;
        while let Some(header) = bytes.get(at..).and_then(<[u8]>::first_chunk).map(FrameHeader::parse) {
            let end = at + FrameHeader::LEN + header.length as usize;
            let payload = bytes.get(at + FrameHeader::LEN..end).unwrap_or_default();
            if header.kind == FrameType::DATA {
                if header.flags.contains(Flags::PADDED) || !is_whole_messages(payload) {
                    return false;
                }
                messages = true;
            }
            at = end;
        }
        messages
    }
}

/// Whether a payload is gRPC messages from its beginning to its end, and at least one.
fn is_whole_messages(mut payload: &[u8]) -> bool {
    if payload.is_empty() {
        return false;
    }
    while let [flag, a, b, c, d, rest @ ..] = payload {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        match rest.get(len..) {
            Some(rest) if *flag <= 1 => payload = rest,
            _ => return false,
        }
    }
    payload.is_empty()
}

/// Whether an ordinary peer would send such a header. Which side is the client may be a guess, so both will do.
pub(super) fn is_plausible(header: FrameHeader, limits: &Limits) -> bool {
    Direction::BOTH.into_iter().any(|direction| header.is_plausible(direction, limits.max_frame_size))
}

/// Whether the payload is one that the header's type can have.
fn payload_fits(header: &FrameHeader, payload: &[u8]) -> bool {
    let parsed = super::payload::parse(*header, payload);
    if !parsed.faults.is_empty() {
        return false;
    }
    match parsed.payload {
        Payload::Headers { fragment, .. }
            if header.flags.contains(Flags::END_HEADERS) && fragment.len() <= MAX_TRIED_BLOCK =>
        {
            let block = hpack::Decoder::new(false).decode(fragment);
            block.complete && block.faults.is_empty() && !block.fields.is_empty()
        }
        // RFC 9113 §6.9: the first bit of the increment is reserved.
        Payload::WindowUpdate { .. } => payload.first().is_some_and(|&b| b < 0x80),
        // RFC 9113 §6.5: identifiers begin at 1; those that are registered are small, gRPC's own are at 0xfe00.
        Payload::Settings(settings) => settings.iter().all(|s| matches!(s.id.0, 1..=0xff | 0xfe00..=0xfeff)),
        Payload::Malformed(_) => false,
        _ => true,
    }
}
