//! What is known of a connection apart from its bytes.

use crate::{Address, Direction, GapCause, Packet, PacketNo, Timestamp};

/// What is known of a connection apart from its bytes.
///
/// Client, server and `flows` are as the directions are delivered to the consumer. They do not change after the first
/// input. Whoever learns later that the client is the other side calls [`swap_roles`](Self::swap_roles) on a copy.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The first packet of the connection. No two connections have the same.
    pub first_packet: Packet,
    /// The assumed client.
    pub client: Address,
    /// The assumed server.
    pub server: Address,
    /// Why it is assumed.
    pub client_by: ClientBy,
    /// Whether the flows were exchanged by [`swap_roles`](Self::swap_roles): what was delivered as `ToServer` is
    /// then `ToClient` here.
    pub roles_swapped: bool,
    /// The direction of the SYN that opened the connection, where one was seen. It is `ToClient` only if that SYN came
    /// so late that bytes had been delivered by a wrong guess.
    pub syn: Option<Direction>,
    /// The earliest time of its packets.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
    /// How many packets it has, second copies included.
    pub packets: u64,
    /// The two flows, by [`Direction::index`].
    pub flows: [FlowFacts; 2],
    /// Whether it was joined in the middle: no SYN of either side was seen.
    pub joined: bool,
    /// Whether its packets were captured twice: at both ends, or on two interfaces.
    pub captured_twice: bool,
    /// How it ended; `None` while it lives, and if it outlives the capture.
    pub closed: Option<Close>,
}

impl Facts {
    /// The facts of the flow of this direction.
    pub const fn flow(&self, direction: Direction) -> &FlowFacts {
        match direction {
            Direction::ToServer => &self.flows[0],
            Direction::ToClient => &self.flows[1],
        }
    }

    /// Exchanges client and server, and the two flows with them. `client_by` stays as it is.
    pub fn swap_roles(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.flows.swap(0, 1);
        self.syn = self.syn.map(Direction::reverse);
        self.roles_swapped = !self.roles_swapped;
    }
}

/// What is known of one flow apart from its bytes.
#[derive(Clone, Debug, Default)]
pub struct FlowFacts {
    /// How many bytes were delivered.
    pub bytes: u64,
    /// Segments that brought bytes again which had been seen.
    pub retransmitted: u64,
    /// Segments that brought new bytes after later ones had been seen.
    pub reordered: u64,
    /// Whether its beginning is unknown: its own SYN was not seen.
    pub joined: bool,
    gaps: Option<Box<Gaps>>,
    faults: Option<Box<Faults>>,
}

/// The gaps of a flow that has some.
#[derive(Clone, Debug, Default)]
struct Gaps {
    kept: Vec<KnownGap>,
    count: u64,
    missing: u64,
    cut: u64,
}

/// What is wrong with a flow, apart from gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Segments that could not belong to the flow and were ignored.
    pub implausible: u64,
    /// Holes that were skipped early because too many bytes waited after them.
    pub overflowed: u64,
    /// Segments that are second copies of packets: they repeat bytes with an acknowledgment that was out of date.
    pub copies: u64,
    /// Segments whose bytes differ from those that came first. Bytes that had been delivered before are not kept, and
    /// not compared.
    pub differing: u64,
    /// The first of them.
    pub first_differing: Option<Differing>,
}

impl FlowFacts {
    /// How many gaps of a flow are remembered. Of a connection that loses more, the count and the sum say enough.
    pub const GAPS_KEPT: usize = 256;

    /// A flow of which nothing was seen yet.
    pub(super) fn joined() -> Self {
        Self { joined: true, ..Self::default() }
    }

    /// The first gaps, at most [`GAPS_KEPT`](Self::GAPS_KEPT).
    pub fn gaps(&self) -> &[KnownGap] {
        self.gaps.as_ref().map_or(&[], |gaps| &gaps.kept)
    }

    /// How many gaps there are.
    pub fn gap_count(&self) -> u64 {
        self.gaps.as_ref().map_or(0, |gaps| gaps.count)
    }

    /// How many bytes are missing in the gaps, as far as their lengths are known.
    pub fn missing(&self) -> u64 {
        self.gaps.as_ref().map_or(0, |gaps| gaps.missing)
    }

    /// How many of the missing bytes the snap length, or a tool's limit on what it prints, cut off.
    pub fn cut(&self) -> u64 {
        self.gaps.as_ref().map_or(0, |gaps| gaps.cut)
    }

    /// Adds a gap.
    pub fn add_gap(&mut self, gap: KnownGap) {
        let gaps = self.gaps.get_or_insert_default();
        gaps.count += 1;
        let length = gap.length.unwrap_or(0);
        gaps.missing += length;
        if gap.cause == GapCause::Snapped {
            gaps.cut += length;
        }
        if gaps.kept.len() < Self::GAPS_KEPT {
            gaps.kept.push(gap);
        }
    }

    /// What is wrong with the flow, apart from gaps.
    pub fn faults(&self) -> Faults {
        self.faults.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn faults_mut(&mut self) -> &mut Faults {
        self.faults.get_or_insert_default()
    }
}

/// A gap as the facts keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownGap {
    /// Where in the flow it begins: bytes and earlier gaps (of known length) before it.
    pub at: u64,
    /// How long it is, where that is known.
    pub length: Option<u64>,
    /// Why the bytes are missing.
    pub cause: GapCause,
    /// The packet at which the bytes were given up. Where a count of packets decided that, the packet after the gap.
    pub packet: PacketNo,
}

/// A place where two segments disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The first byte that differs, counted from the beginning of the flow.
    pub at: u64,
    /// The packet that brought the other bytes.
    pub packet: PacketNo,
}

/// Why one side is assumed to be the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientBy {
    /// It sent the SYN, or received the answer to one.
    Syn,
    /// The other side's port is the one that looks like a server's.
    Port,
    /// It sent the first packet that was seen.
    First,
}

impl ClientBy {
    /// The word that output uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Port => "port",
            Self::First => "first",
        }
    }
}

/// How a flow or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Close {
    /// Its sender announced that nothing more would come.
    Fin,
    /// One of the two sides reset the connection.
    Rst,
    /// It fell silent: another connection took its ports, or it was idle for longest and was forgotten.
    Timeout,
    /// The capture ended first.
    EndOfCapture,
}

impl Close {
    /// The word that output uses; `None` where the capture ended first.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Fin => Some("fin"),
            Self::Rst => Some("rst"),
            Self::Timeout => Some("timeout"),
            Self::EndOfCapture => None,
        }
    }
}
