//! Where a flow begins whose SYN was not seen.

use super::hole::{CONTROL_REACH, SUSPECT_PACKETS};
use crate::{Packet, PacketNo, Timestamp};

/// How many packets of the capture a flow waits for its SYN, or for lower sequence numbers.
pub(super) const JOIN_PACKETS: u64 = SUSPECT_PACKETS;

/// How long a flow must have waited to be opened together with the other one, so that both are delivered in the order in
/// which they were sent: more than what was measured of packets out of order.
pub(super) const TOGETHER_PACKETS: u64 = 32;

/// What is known of a flow while its beginning is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlowStart {
    /// The first packet of the flow.
    pub(super) since: Option<u64>,
    /// The lowest position of a byte (or FIN).
    pub(super) lowest: Option<u64>,
    /// The lowest position that a segment without payload stated.
    pub(super) empty: Option<u64>,
    /// What the other side has acknowledged.
    pub(super) acks: Option<Acks>,
}

/// The range of acknowledgment numbers that came, and what brought the highest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acks {
    pub(super) low: u32,
    pub(super) high: u32,
    pub(super) order: u64,
    pub(super) no: PacketNo,
    pub(super) time: Timestamp,
}

impl FlowStart {
    pub(super) fn ack(&mut self, ack: u32, packet: Packet, time: Timestamp) {
        let acks = self.acks.get_or_insert(Acks { low: ack, high: ack, order: packet.order, no: packet.no, time });
        if (ack.wrapping_sub(acks.low) as i32) < 0 {
            acks.low = ack;
        }
        if (ack.wrapping_sub(acks.high) as i32) > 0 {
            *acks = Acks { low: acks.low, high: ack, order: packet.order, no: packet.no, time };
        }
    }

    /// Whether the byte before `number` was acknowledged so long before `order` that the acknowledgment cannot just have
    /// overtaken it.
    pub(super) fn was_acked(&self, number: u32, order: u64) -> bool {
        self.acks.is_some_and(|acks| acks.high == number && acks.order + TOGETHER_PACKETS <= order)
    }

    /// When the flow is opened at the latest. Only a flow with something to deliver is waited for.
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
