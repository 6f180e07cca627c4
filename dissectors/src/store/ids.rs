//! The ids of what a store holds, and the key by which a batch is put in order.

/// Identifies a lane of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneNo(pub u16);

/// Identifies a call within its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

/// Identifies a connection within its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// Identifies a call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallRef {
    /// Its lane.
    pub lane: LaneNo,
    /// Its id in the lane.
    pub id: CallId,
}

/// Identifies a connection of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionRef {
    /// Its lane.
    pub lane: LaneNo,
    /// Its id in the lane.
    pub id: ConnectionId,
}

/// The position of an entry in the reading: entries added by one packet come before those added by the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    /// The packet, by its position in the reading.
    pub order: u64,
    /// Within the packet, the connection by the packet that opened it: one packet can deliver data of several
    /// connections, because waiting times are counted in packets.
    pub rank: u64,
}

/// A number of things in memory as 32 bits.
pub(super) fn count32(count: usize) -> u32 {
    u32::try_from(count).expect("memory is exhausted before 32-bit numbers are")
}
