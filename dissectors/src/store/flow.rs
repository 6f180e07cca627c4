//! Flow control of HTTP/2, as far as calls and connections keep it: how long senders waited, and the windows at the end.

use rpcshark_captures::{Direction, PacketNo};

/// What flow control did to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFlow {
    /// How long its senders waited.
    pub stalls: Stalls,
    /// The windows of its stream, where the stream was open at the end of the capture and they are known.
    pub windows: Option<Windows>,
}

impl CallFlow {
    /// Swaps client and server.
    pub(super) fn swap_roles(&mut self) {
        self.stalls.senders.swap(0, 1);
        self.windows.iter_mut().for_each(|windows| windows.swap(0, 1));
    }
}

/// How long the senders of a call waited for flow control: a window was at zero or below, and data was still to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// By the [`Direction::index`] of the data.
    senders: [SenderStalls; 2],
}

/// How long one sender of a call waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStalls {
    /// Nanoseconds for which the stream's window did not allow more.
    pub stream_ns: u64,
    /// Nanoseconds for which only the connection's window did not allow more.
    pub connection_ns: u64,
    /// How often it waited.
    pub count: u32,
    /// The packet that ended the first of these waits: the one with the next data, or the end of the stream.
    pub first_end: Option<PacketNo>,
}

impl Stalls {
    /// Nanoseconds for which the senders of both sides waited, added up.
    pub fn total_ns(&self) -> u64 {
        self.senders.iter().map(|sender| sender.total_ns()).fold(0, u64::saturating_add)
    }

    /// Whether no sender waited.
    pub fn is_empty(&self) -> bool {
        self.senders.iter().all(|sender| sender.count == 0)
    }

    /// The waits of the sender whose data goes in `direction`.
    pub const fn of(&self, direction: Direction) -> &SenderStalls {
        &self.senders[direction.index()]
    }

    /// Adds a wait of the sender whose data goes in `direction`, in nanoseconds; it ended with `packet`.
    pub fn add(&mut self, direction: Direction, stream_ns: u64, connection_ns: u64, packet: PacketNo) {
        let sender = &mut self.senders[direction.index()];
        sender.stream_ns = sender.stream_ns.saturating_add(stream_ns);
        sender.connection_ns = sender.connection_ns.saturating_add(connection_ns);
        sender.count = sender.count.saturating_add(1);
        sender.first_end = sender.first_end.or(Some(packet));
    }
}

impl SenderStalls {
    /// Nanoseconds for which it waited.
    pub const fn total_ns(&self) -> u64 {
        self.stream_ns.saturating_add(self.connection_ns)
    }
}

/// The windows of both senders, in bytes, by the [`Direction::index`] of the data. A SETTINGS frame can take a stream's
/// window below zero (RFC 9113 §6.9.2).
pub type Windows = [i64; 2];
