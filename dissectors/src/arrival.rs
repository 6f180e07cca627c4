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

/// The first byte of something in its flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Where it stands in its flow, as [`Data::offset`] counts.
    pub offset: u64,
    /// How much of the other flow its sender had acknowledged when it sent it, as [`Data::acked`] has it.
    pub acked: Option<u64>,
}

impl From<&Data<'_>> for Origin {
    fn from(data: &Data<'_>) -> Self {
        Self { offset: data.offset, acked: data.acked }
    }
}
