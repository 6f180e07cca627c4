//! What one layer hands over to the next.

use super::skip::Skip;

/// The result of reading one layer: which layer follows it.
pub(super) type Step = Result<Next, Skip>;

/// The layer that follows. It is small, so that it is returned in registers; what layers hand on beside it, they put
/// into [`Rest`](super::rest::Rest).
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// An Ethernet frame.
    Ethernet,
    /// What an Ethernet header names by its type, or by a length in its place.
    TypeOrLen(u16),
    /// An 802.2 header.
    Llc,
    /// A VLAN tag.
    Vlan,
    /// A stack of MPLS labels.
    Mpls,
    /// A PPPoE session packet.
    Pppoe,
    /// PPP, with or without the bytes of HDLC before it.
    Hdlc,
    /// PPP.
    Ppp,
    /// IPv4 or IPv6, by the version in the first byte.
    Ip,
    /// An IPv4 packet.
    Ipv4,
    /// An IPv6 packet.
    Ipv6,
    /// What an IP header names by this protocol number.
    IpPayload(u8),
    /// A UDP datagram.
    Udp,
    /// A GRE packet.
    Gre,
    /// A VXLAN packet.
    Vxlan,
    /// A Geneve packet.
    Geneve,
    /// A TCP segment: the end.
    Tcp,
    /// A piece of an IP datagram: the end, until the datagram is complete.
    Fragment(FragmentHeader),
}

/// The two IP addresses of a packet, as in [`Address`](crate::Address).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) source: u128,
    pub(super) destination: u128,
}

/// The fields of an IP header that place a fragment in its datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct FragmentHeader {
    pub(super) protocol: u8,
    pub(super) id: u32,
    /// In bytes.
    pub(super) offset: u32,
    /// Whether more fragments follow.
    pub(super) more: bool,
}

impl Ends {
    /// The addresses of an IPv4 packet.
    #[inline]
    pub(super) fn v4(source: [u8; 4], destination: [u8; 4]) -> Self {
        let mapped = |address| V4_MAPPED | u128::from(u32::from_be_bytes(address));
        Self { source: mapped(source), destination: mapped(destination) }
    }

    /// The addresses of an IPv6 packet.
    #[inline]
    pub(super) fn v6(source: [u8; 16], destination: [u8; 16]) -> Self {
        Self { source: u128::from_be_bytes(source), destination: u128::from_be_bytes(destination) }
    }
}

/// The prefix of IPv4-mapped IPv6 addresses.
pub(super) const V4_MAPPED: u128 = 0xffff_0000_0000;
