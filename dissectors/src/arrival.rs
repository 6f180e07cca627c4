//! When something arrived, in which packet, and where it is in its flow.

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

/// The place of a byte in its flow, and what its sender had acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Where it is in its flow, as [`Data::offset`] counts.
    pub offset: u64,
    /// How much of the other flow its sender had acknowledged when it sent it, as [`Data::acked`] has it.
    pub acked: Option<u64>,
}

impl From<&Data<'_>> for Origin {
    fn from(data: &Data<'_>) -> Self {
        Self { offset: data.offset, acked: data.acked }
    }
}

/// The first byte of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstByte {
    /// When it arrived.
    pub arrival: Arrival,
    /// Where it is in its flow.
    pub origin: Origin,
    /// The position of its packet in the reading, as [`Packet::order`](rpcshark_captures::Packet::order).
    pub order: u64,
}

impl From<&Data<'_>> for FirstByte {
    fn from(data: &Data<'_>) -> Self {
        Self { arrival: data.into(), origin: data.into(), order: data.packet.order }
    }
}
