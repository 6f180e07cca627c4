//! The TCP payload of a whole capture of one IPv4 connection over Ethernet, in order: which packet holds which bytes.
//!
//! Good only for captures without retransmissions, which it checks.

use super::pcap::Capture;

/// One direction, by who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Client, Side::Server];

    /// The other one.
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// The payload of one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Index of the packet in the capture, from 0.
    pub(crate) packet: usize,
    /// Where its bytes lie in the flow.
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// Everything one side sent.
#[derive(Default, Debug)]
pub(crate) struct Flow {
    pub(crate) bytes: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
}

impl Flow {
    /// Index of the packet that holds this byte.
    pub(crate) fn packet_of(&self, at: usize) -> usize {
        let segment = self.segments.partition_point(|segment| segment.to <= at);
        self.segments[segment].packet
    }
}

/// Both flows: what the client sent, then what the server sent.
pub(crate) fn assemble(capture: &Capture, server_port: u16) -> [Flow; 2] {
    let mut flows = [Flow::default(), Flow::default()];
    let mut next = [None, None];
    for (packet, captured) in capture.packets.iter().enumerate() {
        let bytes = &captured.bytes;
        assert_eq!(bytes[12..14], [8, 0], "packet {packet} is no IPv4 over Ethernet");
        let ip = &bytes[14..];
        let tcp = &ip[usize::from(ip[0] & 15) * 4..usize::from(u16::from_be_bytes([ip[2], ip[3]]))];
        let source = u16::from_be_bytes([tcp[0], tcp[1]]);
        let side = usize::from(source == server_port);
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let payload = &tcp[usize::from(tcp[12] >> 4) * 4..];
        if tcp[13] & 2 != 0 {
            next[side] = Some(sequence.wrapping_add(1));
        }
        if payload.is_empty() {
            continue;
        }
        assert_eq!(next[side], Some(sequence), "packet {packet} is out of order");
        next[side] = Some(sequence.wrapping_add(payload.len() as u32));
        let flow = &mut flows[side];
        let from = flow.bytes.len();
        flow.bytes.extend(payload);
        flow.segments.push(Segment { packet, from, to: flow.bytes.len() });
    }
    flows
}
