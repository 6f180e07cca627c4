//! Why a packet has no TCP segment.

use std::fmt;

use crate::LinkType;

/// Why a packet has no TCP segment. Equal values are equal reasons, so that they can be counted.
///
/// `Display` writes the reason as `connections -v` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// A link type that this crate does not read.
    Link(LinkType),
    /// Not IP, by its Ethernet type (0 where the layer has none).
    EtherType(u16),
    /// Not IP, by its 802.2 destination service access point.
    Llc(u8),
    /// Not IP, by its PPP protocol number.
    Ppp(u16),
    /// Not IP, by the address family of a BSD loopback packet.
    Family(u32),
    /// Not TCP nor a tunnel that is known, by its IP protocol number.
    Protocol(u8),
    /// The snap length cut this layer's header.
    Cut(Layer),
    /// This layer's header contradicts itself, or is longer than what holds it.
    Malformed(Layer),
    /// More layers inside each other than the limit.
    TooDeep,
    /// A fragment of an IP datagram that was not put together.
    Unassembled(Unassembled),
}

/// Why a fragment did not become part of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unassembled {
    /// Other fragments of its datagram did not come (in time).
    Incomplete,
    /// Too many datagrams were incomplete at once.
    Crowded,
    /// It contradicts others, or its datagram would be too long or be cut too small.
    Malformed,
}

impl fmt::Display for Unassembled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "IP fragment whose others are missing",
            Self::Crowded => "IP fragment, too many datagrams incomplete at once",
            Self::Malformed => "malformed IP fragment",
        })
    }
}

/// A layer, to name the one in which a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The header that the link type stands for: Ethernet, Linux cooked, BSD loopback, raw.
    Link,
    /// An 802.1Q or 802.1ad tag.
    Vlan,
    /// An 802.2 header.
    Llc,
    /// An MPLS label or pseudowire control word.
    Mpls,
    /// A PPPoE session header.
    Pppoe,
    /// A PPP header.
    Ppp,
    /// An IPv4 header, or the IP authentication header.
    Ipv4,
    /// An IPv6 header or one of its extension headers.
    Ipv6,
    /// A GRE or ERSPAN header.
    Gre,
    /// A UDP header.
    Udp,
    /// A VXLAN header.
    Vxlan,
    /// A Geneve header.
    Geneve,
    /// A TCP header.
    Tcp,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Link(link) => write!(f, "link type {link} is not known"),
            Self::EtherType(0) => f.write_str("not IP"),
            Self::EtherType(number) => named(f, ether_type_name(number), format_args!("ethertype {number:#06x}")),
            Self::Llc(sap) => write!(f, "not IP (802.2 access point {sap:#04x})"),
            Self::Ppp(number) => write!(f, "not IP (PPP protocol {number:#06x})"),
            Self::Family(family) => write!(f, "not IP (address family {family})"),
            Self::Protocol(number) => named(f, protocol_name(number), format_args!("IP protocol {number}")),
            Self::Cut(layer) => write!(f, "cut inside the {} header", layer.name()),
            Self::Malformed(layer) => write!(f, "malformed {} header", layer.name()),
            Self::TooDeep => f.write_str("too many layers inside each other"),
            Self::Unassembled(why) => why.fmt(f),
        }
    }
}

fn named(f: &mut fmt::Formatter<'_>, name: Option<&str>, number: fmt::Arguments<'_>) -> fmt::Result {
    match name {
        Some(name) => write!(f, "{name} ({number})"),
        None => f.write_fmt(number),
    }
}

impl Layer {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Vlan => "VLAN",
            Self::Llc => "802.2",
            Self::Mpls => "MPLS",
            Self::Pppoe => "PPPoE",
            Self::Ppp => "PPP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Gre => "GRE",
            Self::Udp => "UDP",
            Self::Vxlan => "VXLAN",
            Self::Geneve => "Geneve",
            Self::Tcp => "TCP",
        }
    }
}

/// Names of the types that captures commonly hold beside IP.
const fn ether_type_name(number: u16) -> Option<&'static str> {
    Some(match number {
        0x0806 => "ARP",
        0x8035 => "RARP",
        0x8808 => "Ethernet flow control",
        0x8809 => "slow protocols",
        0x8863 => "PPPoE discovery",
        0x888e => "EAPOL",
        0x88cc => "LLDP",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        _ => return None,
    })
}

/// Names of the protocols that captures commonly hold beside TCP.
const fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "ICMP",
        2 => "IGMP",
        17 => "UDP",
        50 => "ESP",
        58 => "ICMPv6",
        59 => "no next header",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short_and_say_the_number() {
        assert_eq!(Skip::Link(LinkType(195)).to_string(), "link type IEEE802_15_4 (195) is not known");
        assert_eq!(Skip::EtherType(0x0806).to_string(), "ARP (ethertype 0x0806)");
        assert_eq!(Skip::EtherType(0x88b5).to_string(), "ethertype 0x88b5");
        assert_eq!(Skip::Protocol(17).to_string(), "UDP (IP protocol 17)");
        assert_eq!(Skip::Cut(Layer::Tcp).to_string(), "cut inside the TCP header");
        assert_eq!(Skip::Malformed(Layer::Ipv4).to_string(), "malformed IPv4 header");
    }
}
