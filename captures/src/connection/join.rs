//! Flows whose SYN was not seen: where do they begin?

use super::hole::{CONTROL_REACH, SUSPECT_PACKETS};

/// How many packets of the capture a flow waits for its SYN, or for lower sequence numbers.
pub(super) const JOIN_PACKETS: u64 = SUSPECT_PACKETS;

/// When the other flow's waiting is over, how long this one must have waited to be opened with it, so that both are
/// delivered as they were sent: more than what was measured of packets out of order.
pub(super) const TOGETHER_PACKETS: u64 = 32;

/// What is known of a flow that has not begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Join {
    /// The first packet of the flow.
    pub(super) since: Option<u64>,
    /// The lowest position of a byte (or FIN).
    pub(super) lowest: Option<u64>,
    /// The lowest position that a segment without payload stated.
    pub(super) empty: Option<u64>,
    /// The lowest and the highest acknowledgment number that the other side has sent.
    pub(super) acks: Option<(u32, u32)>,
}

impl Join {
    pub(super) fn ack(&mut self, ack: u32) {
        let (low, high) = self.acks.unwrap_or((ack, ack));
        let below = (ack.wrapping_sub(low) as i32) < 0;
        let above = (ack.wrapping_sub(high) as i32) > 0;
        self.acks = Some((if below { ack } else { low }, if above { ack } else { high }));
    }

    /// When the waiting is over: only a flow with something to deliver waits.
    pub(super) fn due(&self) -> Option<u64> {
        self.lowest.and(self.since).map(|since| since + JOIN_PACKETS)
    }

    /// Where the flow begins, as far as can be known. `acked`: the lowest position that was acknowledged, where all
    /// the flow's bytes are known to have been sent while the capture ran.
    pub(super) fn base(&self, acked: Option<u64>) -> Option<u64> {
        let lowest = self.lowest?;
        // A segment without payload one below is a keep-alive, which states the number of a byte sent long ago.
        let empty = self.empty.filter(|&empty| empty + 1 != lowest);
        let candidates = [Some(lowest), empty, acked];
        candidates.into_iter().flatten().filter(|&at| lowest.saturating_sub(at) <= CONTROL_REACH).min()
    }
}
