//! What acknowledgments of the other side say about a flow: which bytes were received, and so which of them are missing.

use super::{AckAge, Flow, Stage};
use crate::connection::hole::{AckMark, PLAUSIBLE};
use crate::{Packet, Timestamp};

impl Flow {
    /// How many bytes of the flow an acknowledgment number covers; `None` while it is not known where the flow begins.
    pub(in crate::connection) fn covered(&self, ack: u32) -> Option<u64> {
        // The FIN has a sequence number, but is not a byte.
        let end = match self.stage {
            Stage::Joining => return None,
            Stage::Open => self.wait.as_ref().and_then(|wait| wait.fin).map_or(u64::MAX, |(fin, _)| fin),
            Stage::Closed => self.next,
        };
        Some(self.position(ack).min(end).saturating_sub(self.base))
    }

    /// Compares an acknowledgment number of the other side with what it has acknowledged before.
    pub(in crate::connection) fn ack_age(&self, ack: u32) -> AckAge {
        let position = self.position(ack);
        match self.stage {
            Stage::Joining => AckAge::Unknown,
            _ if position < self.base || position > self.high + 1 => AckAge::Unknown,
            _ if position < self.acked => AckAge::Outdated,
            _ => AckAge::Current,
        }
    }

    /// The other side has acknowledged everything before `ack`. True: nothing waits.
    pub(in crate::connection) fn ack(&mut self, ack: u32, packet: Packet, time: Timestamp) -> bool {
        let is_quiet = self.stage != Stage::Joining && self.wait.is_none();
        let ahead = ack.wrapping_sub(self.seq) as i32;
        if is_quiet && ahead <= 0 {
            self.acked = self.acked.max(self.next.wrapping_add_signed(i64::from(ahead)));
            return true;
        }
        match self.stage {
            Stage::Joining => {
                self.beginning.get_or_insert_default().ack(ack, packet, time);
                true
            }
            Stage::Closed => true,
            Stage::Open => {
                let mark = AckMark { position: self.position(ack), order: packet.order, no: packet.no, time };
                self.apply_ack(mark);
                false
            }
        }
    }

    pub(super) fn apply_ack(&mut self, mut mark: AckMark) {
        if let Some((fin, _)) = self.wait.as_ref().and_then(|wait| wait.fin)
            && mark.position == fin + 1
        {
            mark.position = fin;
        }
        if mark.position > self.high + PLAUSIBLE {
            return;
        }
        if mark.position <= self.high {
            return self.accept_ack(mark);
        }
        // Beyond all data seen: it counts when it is repeated. One byte more than was seen may be a FIN.
        let unconfirmed_ack = self.unconfirmed_ack;
        self.unconfirmed_ack = unconfirmed_ack.max(mark.position);
        mark.position = mark.position.min(unconfirmed_ack);
        if mark.position > self.high + 1 {
            self.accept_ack(mark);
        }
    }

    /// A claim that data has followed beyond counts.
    pub(super) fn confirm_ack(&mut self, mark: AckMark) {
        if self.unconfirmed_ack == 0 || self.high < self.unconfirmed_ack || self.stage != Stage::Open {
            return;
        }
        let position = std::mem::take(&mut self.unconfirmed_ack);
        self.accept_ack(AckMark { position, ..mark });
    }

    pub(super) fn accept_ack(&mut self, mark: AckMark) {
        let is_news = mark.position > self.acked;
        self.acked = self.acked.max(mark.position);
        if mark.position > self.next {
            self.wait.get_or_insert_default().add_suspect(mark);
        }
        if let Some(wait) = &mut self.wait
            && (is_news || mark.position == self.next)
        {
            wait.note_ack_progress();
        }
    }
}
