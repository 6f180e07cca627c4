//! What makes a flow deliver something: a packet, or a rule that counts packets.

use crate::{Packet, PacketNo, Timestamp};

/// The position of what only the end of the capture delivers: after all packets.
pub const END_OF_CAPTURE: u64 = u64::MAX;

/// What makes a flow deliver something.
#[derive(Clone, Copy, Debug)]
pub enum Trigger {
    /// A packet: everything that it releases is attributed to it.
    Packet(Packet, Timestamp),
    /// A rule that counts packets: it applies at this position of the capture, whichever packet is there.
    Count(u64),
}

impl Trigger {
    /// The end of the capture.
    pub const END: Self = Self::Count(END_OF_CAPTURE);

    /// The position in the capture.
    pub const fn order(self) -> u64 {
        match self {
            Self::Packet(packet, _) => packet.order,
            Self::Count(order) => order,
        }
    }

    /// The packet and time that something is attributed to which the packet `no` brought at `time`.
    pub(super) const fn attribute(self, no: PacketNo, time: Timestamp) -> (Packet, Timestamp) {
        match self {
            Self::Packet(packet, time) => (packet, time),
            Self::Count(order) => (Packet { order, no }, time),
        }
    }
}
