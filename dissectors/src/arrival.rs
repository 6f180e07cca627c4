//! When something arrived, and in which packet.

use rpcshark_captures::{Data, Gap, PacketNo, Timestamp};

/// When something arrived, and the packet that delivered it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The time, as [`Data::time`] has it.
    pub time: Timestamp,
    /// The packet that delivered it.
    pub packet: PacketNo,
}

impl From<&Data<'_>> for Arrival {
    fn from(data: &Data<'_>) -> Self {
        Self { time: data.time, packet: data.packet.no }
    }
}

impl From<&Gap> for Arrival {
    fn from(gap: &Gap) -> Self {
        Self { time: gap.time, packet: gap.packet.no }
    }
}
