//! A packet as a capture file holds it, before anything of it is understood.

use crate::{Packet, Place, Timestamp};

/// One captured record, lent from the file or buffer that holds it.
#[derive(Clone, Copy, Debug)]
pub struct RawPacket<'a> {
    /// Where it stands.
    pub packet: Packet,
    /// When it was captured.
    pub time: Timestamp,
    /// What its first bytes are.
    pub link: LinkType,
    /// Its bytes, as far as they were captured.
    pub data: &'a [u8],
    /// Where the first of its bytes lies.
    pub at: Place,
    /// How many bytes it had before the snap length cut it; never less than `data`.
    pub original_len: u32,
}

/// A link-layer header type, by the number that capture files use (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the capturing host's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without the HDLC address and control bytes.
    pub const PPP: Self = Self(9);
    /// Raw IPv4 or IPv6, as some systems number it in files.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IPv4 or IPv6, as OpenBSD numbers it in files.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session packets without an Ethernet header.
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IPv4 or IPv6.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: a 4-byte address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// For private use; sockdump writes Unix-socket messages under it.
    pub const USER0: Self = Self(147);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// vsockmon: AF_VSOCK packets with their header.
    pub const VSOCK: Self = Self(271);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}
