//! A TCP segment, as the packet layer finds it and the connection layer takes it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The TCP payload inside one packet, and what is needed to put it in its place.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Who sent it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// Sequence number of the first payload byte (of the SYN, where there is one).
    pub seq: u32,
    /// Acknowledgment number; meaningful with [`TcpFlags::ACK`].
    pub ack: u32,
    /// The flags.
    pub flags: TcpFlags,
    /// The window field, unscaled.
    pub window: u16,
    /// The payload, as far as it was captured.
    pub payload: &'a [u8],
    /// How many payload bytes were sent but not captured, after `payload`.
    pub cut: u32,
    /// Where `payload` begins: bytes from the beginning of the packet's data. (In a reassembled IP packet, which
    /// lies nowhere, bytes from the beginning of the IP header.)
    pub payload_at: u32,
}

impl Segment<'_> {
    /// The length of the payload that was sent.
    pub const fn sent_len(&self) -> u32 {
        self.payload.len() as u32 + self.cut
    }
}

/// An IP address and a port, small and quick to compare. IPv4 addresses stand as IPv4-mapped IPv6 ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address in network byte order, as a number.
    pub ip: u128,
    /// The port.
    pub port: u16,
}

impl Address {
    /// From an IPv4 address in network byte order.
    pub const fn v4(ip: [u8; 4], port: u16) -> Self {
        Self { ip: 0xffff_0000_0000 | u32::from_be_bytes(ip) as u128, port }
    }

    /// From an IPv6 address in network byte order.
    pub const fn v6(ip: [u8; 16], port: u16) -> Self {
        Self { ip: u128::from_be_bytes(ip), port }
    }

    /// As the standard library writes it, IPv4 as IPv4.
    pub fn to_socket_addr(self) -> SocketAddr {
        let ip = Ipv6Addr::from(self.ip);
        SocketAddr::new(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4), self.port)
    }
}

/// TCP flags (RFC 9293 §3.1), the low eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is meaningful.
    pub const ACK: Self = Self(0x10);

    /// These flags and `flags`.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// Whether any of `flags` is set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }
}
