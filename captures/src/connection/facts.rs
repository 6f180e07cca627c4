//! What is known of a connection apart from its bytes.

use crate::{Address, Direction, GapCause, Packet, PacketNo, Timestamp};

/// What is known of a connection apart from its bytes.
///
/// Client, server and `flows` stand as the directions are handed to the consumer. They never change once the first
/// input was handed on; whoever learns later that the client is the other side calls [`swap_roles`](Self::swap_roles) on his copy.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The first packet of the connection. No two connections have the same.
    pub first_packet: Packet,
    /// Who is taken for the client.
    pub client: Address,
    /// Who is taken for the server.
    pub server: Address,
    /// Why.
    pub client_by: ClientBy,
    /// Whether the flows were exchanged by [`swap_roles`](Self::swap_roles): `ToServer` as handed out is then `ToClient` here.
    pub roles_swapped: bool,
    /// The direction of the SYN that opened the connection, where one was seen. It is `ToClient` only where that SYN
    /// came so late that bytes had been handed on by a wrong guess.
    pub syn: Option<Direction>,
    /// The earliest time of a packet of it.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
    /// How many packets it has.
    pub packets: u64,
    /// The two flows, by [`Direction::index`].
    pub flows: [FlowFacts; 2],
    /// Whether it was joined in the middle: no SYN of either side was seen.
    pub joined: bool,
    /// How it ended; none while it lives, and when it outlives the capture.
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

    /// Exchanges client and server, and the two flows with them.
    ///
    /// `client_by` stays: whoever turns the connection round knows the new reason.
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
    /// How many bytes were handed on.
    pub bytes: u64,
    /// The first gaps, at most [`FlowFacts::GAPS_KEPT`].
    pub gaps: Vec<KnownGap>,
    /// How many gaps there are.
    pub gap_count: u64,
    /// How many bytes are missing in them, as far as their lengths are known.
    pub missing: u64,
    /// How many of these the snap length, or a tool's limit on what it prints, cut off.
    pub cut: u64,
    /// Segments that brought bytes again which had been seen.
    pub retransmitted: u64,
    /// Segments that brought new bytes after later ones had been seen.
    pub reordered: u64,
    /// Segments that could not belong to the flow and were passed over.
    pub implausible: u64,
    /// Holes that were given up early since too many bytes waited behind them.
    pub overflowed: u64,
    /// Segments that brought other bytes for a place than those that came first. Bytes that had been handed on before
    /// are not kept, and not compared.
    pub differing: u64,
    /// The first of them.
    pub first_differing: Option<Differing>,
    /// Whether its beginning is not known: its own SYN was not seen.
    pub joined: bool,
}

impl FlowFacts {
    /// How many gaps of a flow are remembered. A connection that loses more than this is told well enough by the
    /// count and the sum.
    pub const GAPS_KEPT: usize = 256;

    /// Counts a gap.
    pub fn add_gap(&mut self, gap: KnownGap) {
        let length = gap.length.unwrap_or(0);
        self.gap_count += 1;
        self.missing += length;
        if gap.cause == GapCause::Snapped {
            self.cut += length;
        }
        if self.gaps.len() < Self::GAPS_KEPT {
            self.gaps.push(gap);
        }
    }
}

/// A gap as the facts keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownGap {
    /// Where in the flow it lies: bytes and earlier gaps (of known length) before it.
    pub at: u64,
    /// How long it is, where that is known.
    pub length: Option<u64>,
    /// Why the bytes are missing.
    pub cause: GapCause,
    /// The packet at which they were given up; where counting gave them up, the one behind the gap.
    pub packet: PacketNo,
}

/// A place where two segments do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The first byte that differs, counted from the beginning of the flow.
    pub at: u64,
    /// The packet that brought the other bytes.
    pub packet: PacketNo,
}

/// Why one side is taken for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientBy {
    /// It sent the SYN, or got the answer to one.
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
    /// Its sender said that nothing more would come.
    Fin,
    /// One of the two sides reset the connection.
    Rst,
    /// It fell silent: another connection took its ports, or it was forgotten as the one that was idle for longest.
    Timeout,
    /// The capture ended first.
    EndOfCapture,
}

impl Close {
    /// The word that output uses; none where the capture ended first.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Fin => Some("fin"),
            Self::Rst => Some("rst"),
            Self::Timeout => Some("timeout"),
            Self::EndOfCapture => None,
        }
    }
}
