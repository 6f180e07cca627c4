//! Holes that are given up, and what is delivered across them.

use super::{Flow, Stage};
use crate::connection::consumer::Consumer;
use crate::connection::delivery::Delivery;
use crate::connection::hole::{AckMark, FLOW_COST, PLAUSIBLE};
use crate::connection::received::Received;
use crate::connection::trigger::Trigger;
use crate::{GapCause, Packet, Timestamp};

impl Flow {
    /// Everything up to `end` is missing.
    pub(super) fn deliver_gap<T: Consumer>(
        &mut self,
        end: u64,
        cause: GapCause,
        said: (Packet, Timestamp),
        delivery: &mut Delivery<'_, T>,
    ) {
        let length = end - self.next;
        let offset = self.next - self.base;
        let cause = if cause == GapCause::Lost && end <= self.dropped { GapCause::Dropped } else { cause };
        self.seq = self.seq.wrapping_add(length as u32);
        self.next = end;
        self.high = self.high.max(end);
        self.time = Timestamp::from_nanos(i64::MIN);
        delivery.gap(offset, Some(length), cause, said);
    }

    /// Gives up the hole at the expected place, up to the first thing after it, but not beyond `limit`.
    pub(super) fn skip_hole<T: Consumer>(
        &mut self,
        limit: u64,
        mark: Option<AckMark>,
        trigger: Trigger,
        delivery: &mut Delivery<'_, T>,
    ) {
        let Some(wait) = &self.wait else { return };
        let behind = [wait.segments.first(), wait.fin].into_iter().flatten().min_by_key(|(at, _)| *at);
        let end = behind.map_or(limit, |(at, _)| at.min(limit));
        if end <= self.next {
            return;
        }
        let said = match (behind, mark) {
            (Some((_, origin)), _) => trigger.attribute(origin.no, origin.time),
            (None, Some(mark)) => trigger.attribute(mark.no, mark.time),
            (None, None) => return,
        };
        self.deliver_gap(end, GapCause::Lost, said, delivery);
    }

    /// Where nobody acknowledges anything, or too much waits, the first hole is given up.
    pub(super) fn skip_holes_over_limit<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) {
        loop {
            let Some(wait) = &self.wait else { return };
            let is_too_much = wait.segments.cost() > FLOW_COST;
            if self.stage == Stage::Joining {
                if is_too_much {
                    self.open_at_lowest(trigger.order());
                    self.deliver_ready(trigger, delivery);
                    continue;
                }
                return;
            }
            if wait.segments.is_empty() || !is_too_much && !wait.is_unacknowledged_too_long() {
                return;
            }
            delivery.faults().overflowed += u64::from(is_too_much);
            self.skip_hole(u64::MAX, None, trigger, delivery);
            self.deliver_ready(trigger, delivery);
        }
    }

    /// Gives up the first hole, since too much waits in all flows together.
    pub(in crate::connection) fn skip_first_hole<T: Consumer>(
        &mut self,
        trigger: Trigger,
        delivery: &mut Delivery<'_, T>,
    ) {
        delivery.faults().overflowed += 1;
        self.open_at_lowest(trigger.order());
        self.deliver_ready(trigger, delivery);
        self.skip_hole(u64::MAX, None, trigger, delivery);
        self.deliver_ready(trigger, delivery);
        self.drop_idle_state();
    }

    /// The `bytes` before a segment were not recorded, so there is nothing to wait for: if everything before them is
    /// there, they are a gap.
    pub(in crate::connection) fn not_recorded<T: Consumer>(
        &mut self,
        received: &Received<'_>,
        bytes: u64,
        delivery: &mut Delivery<'_, T>,
    ) {
        let end = self.position(received.segment.seq);
        self.dropped = self.dropped.max(end);
        let is_next = self.stage == Stage::Open && end.checked_sub(bytes) == Some(self.next) && bytes > 0;
        let waits = self.wait.as_ref().and_then(|wait| wait.segments.first()).is_some_and(|(at, _)| at < end);
        if !is_next || waits || bytes > PLAUSIBLE {
            return;
        }
        let trigger = Trigger::Packet(received.packet, received.time);
        self.deliver_gap(end, GapCause::Dropped, (received.packet, received.time), delivery);
        self.deliver_ready(trigger, delivery);
        self.drop_idle_state();
    }

    /// Gives up the suspect holes that are due at `order`.
    pub(in crate::connection) fn skip_suspect_holes<T: Consumer>(
        &mut self,
        order: u64,
        delivery: &mut Delivery<'_, T>,
    ) {
        let trigger = Trigger::Count(order);
        while let Some(mark) = self.wait.as_mut().and_then(|wait| wait.take_due(order)) {
            self.deliver_ready(trigger, delivery);
            while self.next < mark.position {
                let before = self.next;
                self.skip_hole(mark.position, Some(mark), trigger, delivery);
                self.deliver_ready(trigger, delivery);
                if self.next == before {
                    break;
                }
            }
        }
        self.drop_idle_state();
    }

    /// The order of what remains, whether ready or after a hole.
    pub(in crate::connection) fn first_remaining(&self) -> Option<u64> {
        let wait = self.wait.as_ref().filter(|_| self.stage == Stage::Open)?;
        let held = wait.segments.first().map(|(_, origin)| origin.order);
        let fin = wait.fin.filter(|(fin, _)| *fin > self.next).map(|(_, origin)| origin.order);
        let mark = wait.last_mark().filter(|mark| wait.fin.is_none() && mark.position > self.next);
        held.or(fin).or(mark.map(|mark| mark.order))
    }

    /// Delivers the next thing that remains, and gives up what is missing before it.
    pub(in crate::connection) fn deliver_remaining<T: Consumer>(
        &mut self,
        trigger: Trigger,
        delivery: &mut Delivery<'_, T>,
    ) {
        if !self.deliver_next(trigger, delivery) {
            let mark = self.wait.as_ref().and_then(|wait| wait.last_mark());
            let limit = match &self.wait {
                Some(wait) if wait.segments.is_empty() && wait.fin.is_none() => {
                    mark.map_or(self.next, |mark| mark.position)
                }
                _ => u64::MAX,
            };
            self.skip_hole(limit, mark, trigger, delivery);
        }
        self.drop_idle_state();
    }
}
