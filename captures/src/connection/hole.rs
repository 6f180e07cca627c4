//! When a hole becomes a gap: what is counted while a flow waits for missing bytes.
//!
//! In real captures an acknowledgment can come before the data that it acknowledges, by up to 25 packets in those that
//! were measured. So an acknowledgment only makes a hole suspect, and packets are counted from there.

use std::collections::VecDeque;

use super::out_of_order::{Origin, OutOfOrder};
use crate::{PacketNo, Timestamp};

/// How many further packets of the capture a suspect hole waits for: more than twice what was measured.
pub(super) const SUSPECT_PACKETS: u64 = 64;

/// After how many later segments of the flow a hole becomes a gap if nothing is acknowledged (one side was captured).
pub(super) const SILENT_SEGMENTS: u64 = 256;

/// After how many later bytes of the flow a hole becomes a gap if nothing is acknowledged.
pub(super) const SILENT_BYTES: usize = 1 << 20;

/// What may wait after the holes of one flow, in bytes: the largest receive window that common systems use (6 MiB)
/// fits.
pub(super) const FLOW_COST: usize = 8 << 20;

/// How far from the expected position data and acknowledgments are plausible: the largest window that TCP can express.
pub(super) const PLAUSIBLE: u64 = 1 << 30;

/// After how many consecutive segments that follow each other, but do not fit the flow, the flow is resynchronised:
/// more than a window is missing, or it is another connection whose beginning was lost.
pub(super) const STRAYS: u8 = 8;

/// How far from the expected position a SYN, FIN or RST is plausible. What is in flight when a connection ends, or
/// arrives before a late SYN, is less; random numbers pass once in 128 times.
pub(super) const CONTROL_REACH: u64 = 16 << 20;

/// What a flow keeps while something is missing from it. All positions are the flow's own.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// What came before earlier bytes.
    pub(super) segments: OutOfOrder,
    /// The position at which the FIN says that the flow ends, and what brought it.
    pub(super) fin: Option<(u64, Origin)>,
    /// How many segments have come while waiting.
    pub(super) count: u64,
    /// The count when bytes were last delivered in order.
    pub(super) progress: u64,
    /// The count when the other side last acknowledged something new, or exactly up to the hole.
    count_at_ack: u64,
    /// How many bytes waited at that time.
    bytes_at_ack: usize,
    /// Acknowledged positions, each with the packet since which the missing bytes before it are suspect. Both rise.
    marks: VecDeque<AckMark>,
}

/// A position that was acknowledged, and the packet that did.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckMark {
    pub(super) position: u64,
    pub(super) order: u64,
    pub(super) no: PacketNo,
    pub(super) time: Timestamp,
}

impl Waiting {
    /// Whether there is nothing to wait for or to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.segments.is_empty() && self.fin.is_none() && self.marks.is_empty()
    }

    /// Everything before `mark.position` was acknowledged. There are at most 64 marks, since each lives for 64 packets.
    pub(super) fn add_suspect(&mut self, mark: AckMark) {
        if self.marks.back().is_none_or(|last| last.position < mark.position) {
            self.marks.push_back(mark);
        }
    }

    /// Removes what was suspected before `next`.
    pub(super) fn forget_before(&mut self, next: u64) {
        while self.marks.front().is_some_and(|mark| mark.position <= next) {
            self.marks.pop_front();
        }
    }

    /// When the suspect hole becomes a gap.
    pub(super) fn due(&self) -> Option<u64> {
        self.marks.front().map(|mark| mark.order.saturating_add(SUSPECT_PACKETS))
    }

    /// Removes and returns the suspicion that is due at `order`.
    pub(super) fn take_due(&mut self, order: u64) -> Option<AckMark> {
        self.due().filter(|due| *due <= order)?;
        self.marks.pop_front()
    }

    /// The suspicion that reaches farthest.
    pub(super) fn last_mark(&self) -> Option<AckMark> {
        self.marks.back().copied()
    }

    /// The other side acknowledged something new, or exactly up to the hole.
    pub(super) fn note_ack_progress(&mut self) {
        (self.count_at_ack, self.bytes_at_ack) = (self.count, self.segments.bytes());
    }

    /// Whether the first hole has waited for long enough, though nothing is acknowledged.
    pub(super) fn is_unacknowledged_too_long(&self) -> bool {
        if self.segments.bytes().saturating_sub(self.bytes_at_ack) >= SILENT_BYTES {
            return true;
        }
        let since = self.progress.max(self.count_at_ack);
        if self.count - since < SILENT_SEGMENTS {
            return false;
        }
        self.segments.oldest().is_some_and(|origin| self.count - origin.count.max(since) >= SILENT_SEGMENTS)
    }
}
