//! What a connection hands on to whoever dissects it: bytes in order, or the fact that bytes are missing.

use crate::{Packet, Place, Timestamp};

/// One of a connection's two flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From client to server, shown as ↑.
    ToServer,
    /// From server to client, shown as ↓.
    ToClient,
}

impl Direction {
    /// Both, in the order in which they are shown.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    /// The other one.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// 0 to the server, 1 to the client: for tables with a row a direction.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The next thing that is known of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes that follow on what came before.
    Data(Data<'a>),
    /// Bytes that are missing here.
    Gap(Gap),
}

/// Bytes in order.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// The bytes, never none.
    pub bytes: &'a [u8],
    /// The packet that delivered them: the later one where they had to wait for another packet.
    pub packet: Packet,
    /// When they could have been read: the latest time among their packet and all earlier ones of the flow since
    /// the last gap.
    pub time: Timestamp,
    /// Where the first of them lies; the others follow it there.
    pub at: Place,
    /// Where in the flow the first of them stands: bytes and gaps (of known length) before it.
    pub offset: u64,
    /// How much of the other flow their sender had acknowledged when it sent them, counted as `offset` counts: what lies
    /// before this it may have known, what lies after it cannot have known. `None` where nothing tells.
    pub acked: Option<u64>,
}

impl<'a> Data<'a> {
    /// Goes on after the first `len` of these bytes; `len` is held at the end.
    #[inline]
    pub fn advance(&mut self, len: usize) {
        let len = len.min(self.bytes.len());
        self.bytes = self.bytes.get(len..).unwrap_or_default();
        self.at = self.at.plus(len as u64);
        self.offset += len as u64;
    }

    /// Takes off the first `len` of these bytes; `len` is held at the end.
    #[inline]
    #[must_use]
    pub fn take_first(&mut self, len: usize) -> Self {
        let (head, _) = self.bytes.split_at(len.min(self.bytes.len()));
        let first = Self { bytes: head, ..*self };
        self.advance(len);
        first
    }

    /// The part of these bytes from `from` on; `from` is held at the end.
    #[must_use]
    pub fn skip(mut self, from: usize) -> Self {
        self.advance(from);
        self
    }

    /// The first `len` of these bytes, and the rest; `len` is held at the end.
    #[must_use]
    pub fn split(self, len: usize) -> (Self, Self) {
        let (head, _) = self.bytes.split_at(len.min(self.bytes.len()));
        (Self { bytes: head, ..self }, self.skip(len))
    }
}

/// Bytes that are known to be missing from a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many, where that is known.
    pub length: Option<u64>,
    /// Why.
    pub cause: GapCause,
    /// The packet at which they were given up.
    pub packet: Packet,
    /// The time of that packet.
    pub time: Timestamp,
}

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapCause {
    /// Never seen, though the capture was running and later bytes were seen.
    Lost,
    /// The packet was there, but the snap length (or a string limit) cut it.
    Snapped,
    /// Sent before the capture began.
    BeforeCapture,
    /// The capturing kernel or tool says that it dropped them.
    Dropped,
}

impl GapCause {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Snapped => "snapped",
            Self::BeforeCapture => "before-capture",
            Self::Dropped => "dropped",
        }
    }
}
