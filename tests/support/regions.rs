//! What is lost of a flow when packets are missing, computed from the whole flow: the bytes in gaps, the bytes up to the
//! next place at which a reader can prove a frame boundary, and where knowledge of header tables begins anew.

use std::ops::Range;

use super::http2::{DATA, Frame};
use super::tcp::Flow;

/// A frame boundary is proven by this many frames in a row.
const CHAIN: usize = 3;

/// The damage to one flow.
#[derive(Default, Debug)]
pub(crate) struct Damage {
    /// Bytes in missing packets.
    pub(crate) lost: Vec<Range<usize>>,
    /// Bytes that are lost, or lie between a gap and the next proven boundary.
    pub(crate) unread: Vec<Range<usize>>,
    /// Places from which on header tables begin empty.
    pub(crate) restarts: Vec<usize>,
}

impl Damage {
    /// The damage when the packets for which `kept` is false are missing.
    pub(crate) fn of(flow: &Flow, frames: &[Frame], kept: &[bool]) -> Damage {
        let mut damage = Damage { lost: lost(flow, kept), ..Damage::default() };
        for (number, gap) in damage.lost.iter().enumerate() {
            let framing_known = damage.unread.last().is_none_or(|last| last.end <= gap.start);
            let within =
                frames.iter().find(|frame| frame.payload <= gap.start && gap.start < frame.to && gap.end <= frame.to);
            match within {
                Some(frame) if framing_known => {
                    damage.unread.push(gap.clone());
                    if frame.is_header() {
                        damage.restarts.push(gap.end);
                    }
                }
                _ => {
                    let limit = damage.lost.get(number + 1).map_or(flow.bytes.len(), |next| next.start);
                    damage.unread.push(gap.start..boundary(flow, frames, gap.end, limit));
                    damage.restarts.push(gap.end);
                }
            }
        }
        damage
    }

    /// Whether any of these bytes is lost or unread.
    pub(crate) fn hits(&self, bytes: &Range<usize>) -> bool {
        overlaps(&self.unread, bytes)
    }

    /// Whether any of these bytes is lost.
    pub(crate) fn loses(&self, bytes: &Range<usize>) -> bool {
        overlaps(&self.lost, bytes)
    }
}

fn overlaps(ranges: &[Range<usize>], bytes: &Range<usize>) -> bool {
    ranges.iter().any(|range| range.start < bytes.end && bytes.start < range.end)
}

/// The bytes of missing packets, neighbours joined.
fn lost(flow: &Flow, kept: &[bool]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for segment in flow.segments.iter().filter(|segment| !kept[segment.packet]) {
        match ranges.last_mut() {
            Some(last) if last.end == segment.from => last.end = segment.to,
            _ => ranges.push(segment.from..segment.to),
        }
    }
    ranges
}

/// The first frame from `from` on that begins a chain of whole frames before `limit`; where there is none, everything that
/// could have begun one is unread.
fn boundary(flow: &Flow, frames: &[Frame], from: usize, limit: usize) -> usize {
    let first = frames.partition_point(|frame| frame.from < from);
    for (number, frame) in frames.iter().enumerate().skip(first) {
        let Some(last) = frames.get(number + CHAIN - 1).filter(|last| last.to <= limit) else { break };
        // An empty DATA frame proves nothing: a WINDOW_UPDATE read four bytes late looks like one.
        if frame.kind == DATA && frame.payload == frame.to {
            continue;
        }
        debug_assert!(last.to <= limit);
        return frame.from;
    }
    // The next gap, if there is one, continues from here with framing unknown.
    if limit < flow.bytes.len() { limit + 1 } else { limit }
}
