//! When and in which packet something was there.

use rpcshark_captures::{Data, Gap, PacketNo, Timestamp};

/// A time and the packet that it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time, as [`Data::time`] has it.
    pub time: Timestamp,
    /// The packet that delivered what was there.
    pub packet: PacketNo,
}

impl From<&Data<'_>> for Moment {
    fn from(data: &Data<'_>) -> Self {
        Self { time: data.time, packet: data.packet.no }
    }
}

impl From<&Gap> for Moment {
    fn from(gap: &Gap) -> Self {
        Self { time: gap.time, packet: gap.packet.no }
    }
}
