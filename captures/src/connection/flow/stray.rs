//! Segments that do not belong where a flow is: late copies, keep-alives, damaged numbers, and a flow that has moved.

use super::{AckAge, Flow, Stage};
use crate::connection::consumer::Consumer;
use crate::connection::delivery::Delivery;
use crate::connection::hole::{CONTROL_REACH, STRAYS};
use crate::connection::trigger::Trigger;
use crate::{GapCause, Packet, Segment, Timestamp};

impl Flow {
    /// Whether a segment far behind the expected place is a copy of one that was seen, and not a stray: its bytes were
    /// seen, and its sender acknowledges what it had received at that time.
    pub(super) fn is_late_copy(&self, start: u64, sent: u64, ack: AckAge) -> bool {
        self.stage != Stage::Joining && ack != AckAge::Unknown && start >= self.base && start + sent <= self.high
    }

    pub(super) fn count_copy<T: Consumer>(&mut self, start: u64, end: u64, delivery: &mut Delivery<'_, T>) {
        delivery.flow().retransmitted += 1;
        delivery.faults().copies += 1;
        self.repeats.get_or_insert_default().add(start, end);
    }

    /// Whether a segment that does not fit is one more of a row that shows that the flow is elsewhere.
    pub(super) fn has_moved(&mut self, seq: u32, sent: u32) -> bool {
        let count = match self.strays {
            Some((count, next)) if next == seq => count + 1,
            _ => 1,
        };
        self.strays = Some((count, seq.wrapping_add(sent)));
        count >= STRAYS && self.stage == Stage::Open
    }

    /// Delivers what waits, and continues at `seq`. How much is missing is unknown.
    pub(super) fn resynchronise<T: Consumer>(
        &mut self,
        seq: u32,
        packet: Packet,
        time: Timestamp,
        delivery: &mut Delivery<'_, T>,
    ) {
        let trigger = Trigger::Packet(packet, time);
        while self.first_remaining().is_some() {
            self.deliver_remaining(trigger, delivery);
        }
        delivery.gap(self.next - self.base, None, GapCause::Lost, (packet, time));
        self.time = Timestamp::from_nanos(i64::MIN);
        (self.seq, self.high, self.acked, self.unconfirmed_ack) = (seq, self.next, self.next, 0);
        (self.strays, self.wait) = (None, None);
    }

    /// A segment of one byte just before the expected place only asks whether the other side is there: its byte was
    /// sent before, and need not even be the same. (Those without a byte are dropped as all empty segments are.)
    pub(super) fn is_keep_alive(&self, start: u64, seq: u32, sent: u64, has_fin: bool, order: u64) -> bool {
        if sent != 1 || has_fin {
            return false;
        }
        match self.stage {
            Stage::Joining => self.beginning.as_ref().is_some_and(|join| join.was_acked(seq.wrapping_add(1), order)),
            _ => {
                let is_held = self.wait.as_ref().is_some_and(|wait| wait.segments.covers(start));
                start + 1 == self.high && (start < self.next || is_held) || start < self.base
            }
        }
    }

    /// Whether an RST or FIN with this number can be meant for this flow.
    pub(in crate::connection) fn is_near(&self, seq: u32) -> bool {
        match self.stage {
            Stage::Joining => true,
            _ => self.position(seq).abs_diff(self.next) <= CONTROL_REACH,
        }
    }

    /// Whether a segment brings bytes that lie beyond everything of this flow, or nowhere near it.
    pub(in crate::connection) fn is_new_data(&self, segment: &Segment<'_>) -> bool {
        self.stage != Stage::Joining && !self.range().contains(segment.seq, segment.sent_len()) && {
            let start = self.position(segment.seq);
            start + u64::from(segment.sent_len()) > self.high || start + CONTROL_REACH < self.next
        }
    }
}
