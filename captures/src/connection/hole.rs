//! When a hole is a gap: what is counted while a flow waits for missing bytes.
//!
//! In real captures an acknowledgment can stand before the data that it acknowledges, by up to 25 packets in those that
//! were measured. So an acknowledgment only makes a hole suspect, and packets are counted from there.

use std::collections::VecDeque;

use super::out_of_order::{Held, Origin};
use crate::{PacketNo, Timestamp};

/// How many further packets of the capture a suspect hole waits for: more than twice what was measured.
pub(super) const SUSPECT_PACKETS: u64 = 64;

/// How many later segments of the flow a hole waits for where nothing is acknowledged (one side was captured).
pub(super) const SILENT_SEGMENTS: u64 = 256;

/// How many later bytes of the flow a hole waits for where nothing is acknowledged.
pub(super) const SILENT_BYTES: usize = 1 << 20;

/// What may wait behind the holes of one flow, in bytes: the largest receive window that common systems use (6 MiB)
/// fits.
pub(super) const FLOW_COST: usize = 8 << 20;

/// How far from the expected place data and acknowledgments are believed: the largest window that TCP can express.
pub(super) const PLAUSIBLE: u64 = 1 << 30;

/// How many segments in a row that follow each other, but do not fit the flow, show that the flow is not where it was:
/// more than a window is missing, or it is another connection whose beginning was lost.
pub(super) const STRAYS: u8 = 8;

/// How far from the expected place a SYN, FIN or RST is believed. What is in flight when a connection ends, or arrives
/// before a late SYN, is less; random numbers pass once in 128 times.
pub(super) const CONTROL_REACH: u64 = 16 << 20;

/// What a flow keeps while something is missing from it. All positions are the flow's own.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// What came too early.
    pub(super) held: Held,
    /// Where the flow ends, by its FIN, and what brought that.
    pub(super) fin: Option<(u64, Origin)>,
    /// How many segments have come while waiting.
    pub(super) count: u64,
    /// The count when the newest byte came in its turn.
    pub(super) progress: u64,
    /// The count when the other side was last heard to acknowledge something new, or up to the hole.
    heard: u64,
    /// How many bytes waited then.
    heard_bytes: usize,
    /// Acknowledged positions, each with the packet since which it is suspect that they were not seen. Both rise.
    marks: VecDeque<Mark>,
}

/// Up to where bytes are known to have arrived, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) position: u64,
    pub(super) order: u64,
    pub(super) no: PacketNo,
    pub(super) time: Timestamp,
}

impl Wait {
    /// Whether there is nothing to wait for or to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.fin.is_none() && self.marks.is_empty()
    }

    /// Everything before `mark.position` was acknowledged. At most 64 marks live, since each lives for 64 packets.
    pub(super) fn suspect(&mut self, mark: Mark) {
        if self.marks.back().is_none_or(|last| last.position < mark.position) {
            self.marks.push_back(mark);
        }
    }

    /// Forgets what is suspected before `next`.
    pub(super) fn reached(&mut self, next: u64) {
        while self.marks.front().is_some_and(|mark| mark.position <= next) {
            self.marks.pop_front();
        }
    }

    /// When the hole is to be given up as it is suspect.
    pub(super) fn due(&self) -> Option<u64> {
        self.marks.front().map(|mark| mark.order.saturating_add(SUSPECT_PACKETS))
    }

    /// Takes a suspicion that is due at `order`.
    pub(super) fn take_due(&mut self, order: u64) -> Option<Mark> {
        self.due().filter(|due| *due <= order)?;
        self.marks.pop_front()
    }

    /// The farthest suspicion.
    pub(super) fn last_mark(&self) -> Option<Mark> {
        self.marks.back().copied()
    }

    /// The other side acknowledges something new, or up to the hole.
    pub(super) fn hear(&mut self) {
        (self.heard, self.heard_bytes) = (self.count, self.held.bytes());
    }

    /// Whether the first hole has waited for long enough though nobody acknowledges anything.
    pub(super) fn is_silent_for_long(&self) -> bool {
        if self.held.bytes().saturating_sub(self.heard_bytes) >= SILENT_BYTES {
            return true;
        }
        let since = self.progress.max(self.heard);
        if self.count - since < SILENT_SEGMENTS {
            return false;
        }
        self.held.oldest().is_some_and(|origin| self.count - origin.count.max(since) >= SILENT_SEGMENTS)
    }
}
