//! Where a flow begins: by its SYN, or, for one that began before the capture, by the lowest byte that is seen.

use super::{Flow, Stage};
use crate::connection::consumer::Consumer;
use crate::connection::delivery::Delivery;
use crate::connection::hole::{AckMark, CONTROL_REACH};
use crate::connection::start::{JOIN_PACKETS, TOGETHER_PACKETS};
use crate::connection::trigger::Trigger;
use crate::{Packet, Timestamp};

impl Flow {
    /// A flow that is not open learns a sequence number.
    pub(super) fn note_sequence_number(&mut self, seq: u32, order: u64, is_empty: bool) {
        let join = self.beginning.get_or_insert_default();
        if join.since.is_none() {
            join.since = Some(order);
            self.seq = seq;
        }
        if is_empty {
            let at = self.next.wrapping_add_signed(i64::from(seq.wrapping_sub(self.seq) as i32));
            join.empty = Some(join.empty.map_or(at, |empty| empty.min(at)));
        }
    }

    /// Its SYN states where it begins. (Whether the SYN belongs to it, [`owns_syn`](Self::owns_syn) has said.)
    pub(in crate::connection) fn syn<T: Consumer>(
        &mut self,
        isn: u32,
        packet: Packet,
        time: Timestamp,
        delivery: &mut Delivery<'_, T>,
    ) {
        if self.syn {
            return;
        }
        let first = isn.wrapping_add(1);
        match self.stage {
            Stage::Joining => {
                let base = match self.beginning.as_ref().and_then(|join| join.since) {
                    Some(_) => self.position(first),
                    None => {
                        self.seq = first;
                        self.next
                    }
                };
                self.syn = true;
                delivery.flow().joined = false;
                self.open_at(base, packet.order);
                self.deliver_ready(Trigger::Packet(packet, time), delivery);
                self.drop_idle_state();
            }
            Stage::Open | Stage::Closed => {
                self.syn = true;
                delivery.flow().joined = self.position(first) != self.base;
            }
        }
    }

    /// Whether a SYN with this number can be the one that began this flow.
    pub(in crate::connection) fn owns_syn(&self, isn: u32) -> bool {
        let first = isn.wrapping_add(1);
        if self.syn {
            return self.seq.wrapping_sub((self.next - self.base) as u32) == first;
        }
        let lowest = match &self.beginning {
            None if self.stage == Stage::Joining => return true,
            None => self.base,
            Some(join) if join.since.is_some() => {
                // A keep-alive may state the number of the SYN itself.
                let empty = join.empty.map(|empty| empty + u64::from(self.position(isn) == empty));
                match [join.lowest, empty].into_iter().flatten().min() {
                    Some(lowest) => lowest,
                    None => return true,
                }
            }
            Some(join) => {
                return join.acks.is_none_or(|acks| u64::from(acks.low.wrapping_sub(first)) <= CONTROL_REACH);
            }
        };
        let first = self.position(first);
        first <= lowest && lowest - first <= CONTROL_REACH
    }

    /// Whether it waits for its beginning, and has done so for long enough to be opened at `order` with the other flow.
    pub(in crate::connection) fn can_open(&self, order: u64) -> bool {
        let since = self.beginning.as_ref().filter(|join| join.lowest.is_some()).and_then(|join| join.since);
        self.stage == Stage::Joining && since.is_some_and(|since| since + TOGETHER_PACKETS <= order)
    }

    /// Whether its waiting for its beginning is over at `order`.
    pub(in crate::connection) fn must_open(&self, order: u64) -> bool {
        self.stage == Stage::Joining && self.due().is_some_and(|due| due <= order)
    }

    pub(super) fn open_if_overdue(&mut self, order: u64) {
        let since = self.beginning.as_ref().and_then(|join| join.since);
        if self.stage == Stage::Joining && since.is_some_and(|since| since + JOIN_PACKETS <= order) {
            self.open_at_lowest(order);
        }
    }

    /// The flow begins with the lowest byte that was seen. Delivers nothing yet.
    pub(in crate::connection) fn open_at_lowest(&mut self, order: u64) {
        if self.stage != Stage::Joining {
            return;
        }
        let Some(join) = &self.beginning else { return };
        let acked = join.acks.filter(|_| self.peer_syn_seen).map(|acks| self.position(acks.low));
        if let Some(base) = join.base(acked) {
            self.open_at(base, order);
        }
    }

    pub(super) fn open_at(&mut self, base: u64, order: u64) {
        self.seq = self.seq.wrapping_add(base.wrapping_sub(self.next) as u32);
        (self.base, self.next, self.stage) = (base, base, Stage::Open);
        let mut high = base;
        if let Some(wait) = &mut self.wait {
            wait.segments.trim(base);
            high = high.max(wait.segments.end().unwrap_or(0)).max(wait.fin.map_or(0, |(fin, _)| fin));
        }
        self.high = high;
        // Only from here on is it known which holes there are for an acknowledgment to make suspect.
        if let Some(acks) = self.beginning.take().and_then(|join| join.acks) {
            self.apply_ack(AckMark { position: self.position(acks.high), order, no: acks.no, time: acks.time });
        }
    }
}
