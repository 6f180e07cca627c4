//! Link layers, and the tags and labels between them and IP.
//!
//! Link types: <https://www.tcpdump.org/linktypes.html>. Tags: IEEE 802.1Q. Labels: RFC 3032, RFC 4385. PPPoE: RFC 2516.
//! PPP: RFC 1661, RFC 1662. 802.2 with SNAP: RFC 1042.

use etherparse::SingleVlanHeaderSlice;

use super::next::{Next, Step};
use super::rest::{Rest, be16};
use super::skip::{Layer, Skip};
use crate::LinkType;

/// An Ethernet frame.
///
/// ```text
///  0             6        12              14
/// +-------------+--------+---------------+
/// | destination | source | type, length  |
/// +-------------+--------+---------------+
/// ```
#[inline]
pub(super) fn ethernet(rest: &mut Rest<'_>) -> Step {
    let header: &[u8; 14] = rest.take(Layer::Link)?;
    match be16(header[12], header[13]) {
        IPV4 => Ok(Next::Ipv4),
        type_or_len => Ok(Next::TypeOrLen(type_or_len)),
    }
}

/// A packet of any link type: its own header, up to the first layer that other link types have too.
#[inline]
pub(super) fn first(link: LinkType, rest: &mut Rest<'_>) -> Step {
    match link {
        LinkType::ETHERNET => Ok(Next::Ethernet),
        LinkType::LINUX_SLL => {
            let header: &[u8; 16] = rest.take(Layer::Link)?;
            cooked(rest, be16(header[2], header[3]), be16(header[14], header[15]))
        }
        LinkType::LINUX_SLL2 => {
            let header: &[u8; 20] = rest.take(Layer::Link)?;
            cooked(rest, be16(header[8], header[9]), be16(header[0], header[1]))
        }
        LinkType::NULL | LinkType::LOOP => loopback(rest),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => Ok(Next::Ip),
        LinkType::IPV4 => Ok(Next::Ipv4),
        LinkType::IPV6 => Ok(Next::Ipv6),
        LinkType::PPP | LinkType::PPP_HDLC => Ok(Next::Hdlc),
        LinkType::PPP_ETHER => Ok(Next::Pppoe),
        _ => Err(Skip::Link(link)),
    }
}

/// What follows a Linux cooked header: with most devices its protocol field is an Ethernet type.
#[inline]
fn cooked(rest: &mut Rest<'_>, device: u16, protocol: u16) -> Step {
    match (device, protocol) {
        (ARPHRD_NETLINK, _) => Err(Skip::EtherType(0)),
        (_, IPV4) => Ok(Next::Ipv4),
        (_, SLL_802_2) => Ok(Next::Llc),
        _ => by_ether_type(rest, protocol),
    }
}

/// What an Ethernet type names, or, below the smallest one, an 802.2 packet of that length.
pub(super) fn by_type_or_len(rest: &mut Rest<'_>, type_or_len: u16) -> Step {
    match type_or_len {
        0..MIN_ETHER_TYPE => {
            rest.trim(usize::from(type_or_len));
            Ok(Next::Llc)
        }
        ether_type => by_ether_type(rest, ether_type),
    }
}

/// What an Ethernet type names.
pub(super) fn by_ether_type(rest: &mut Rest<'_>, ether_type: u16) -> Step {
    match ether_type {
        IPV4 => Ok(Next::Ipv4),
        IPV6 => Ok(Next::Ipv6),
        VLAN | VLAN_SERVICE | VLAN_OLD_1 | VLAN_OLD_2 | VLAN_OLD_3 => nested(rest, Next::Vlan),
        MPLS | MPLS_MULTICAST => nested(rest, Next::Mpls),
        PPPOE_SESSION => nested(rest, Next::Pppoe),
        BRIDGED => nested(rest, Next::Ethernet),
        _ => Err(Skip::EtherType(ether_type)),
    }
}

/// A layer inside another one, beyond the plain link, IP, TCP.
fn nested(rest: &mut Rest<'_>, next: Next) -> Step {
    rest.nest()?;
    Ok(next)
}

/// A tag: priority and VLAN id, then the Ethernet type of what is tagged.
pub(super) fn vlan(rest: &mut Rest<'_>) -> Step {
    let tag = SingleVlanHeaderSlice::from_slice(rest.data);
    let tag = tag.map_err(|error| rest.too_short(error.required_len, Layer::Vlan))?;
    rest.advance(tag.slice().len(), Layer::Vlan)?;
    by_type_or_len(rest, tag.ether_type().0)
}

/// 802.2: access points and a control byte; with SNAP, an organisation and its protocol number.
pub(super) fn llc(rest: &mut Rest<'_>) -> Step {
    let [sap, _, _] = *rest.take(Layer::Llc)?;
    match sap {
        LLC_IP => Ok(Next::Ipv4),
        LLC_SNAP => match *rest.take(Layer::Llc)? {
            // RFC 1042 uses organisation 0, 802.1H bridges 0x0000f8; others number their own protocols.
            [0, 0, 0 | 0xf8, high, low] => {
                rest.nest()?;
                by_ether_type(rest, be16(high, low))
            }
            _ => Err(Skip::Llc(sap)),
        },
        _ => Err(Skip::Llc(sap)),
    }
}

/// A stack of labels: 20 bits of label, 3 of class, 1 that marks the last, 8 of hops.
pub(super) fn mpls(rest: &mut Rest<'_>) -> Step {
    loop {
        let [_, _, last, _] = *rest.take(Layer::Mpls)?;
        if last & 1 != 0 {
            return labelled(rest);
        }
        rest.nest()?;
    }
}

/// Nothing says what labels carry. IP shows by its version; Ethernet comes with a control word, which begins with a zero
/// (RFC 4385), or without one, and then shows by its type.
fn labelled(rest: &mut Rest<'_>) -> Step {
    let [first] = rest.peek(Layer::Mpls)?;
    let version = first >> 4;
    match version {
        4 => return Ok(Next::Ipv4),
        6 => return Ok(Next::Ipv6),
        _ => {}
    }
    let [.., high, low]: [u8; 14] = *rest.peek(Layer::Mpls)?;
    match (be16(high, low), version) {
        (IPV4 | IPV6 | VLAN, _) => nested(rest, Next::Ethernet),
        (_, 0) => {
            rest.advance(4, Layer::Mpls)?;
            nested(rest, Next::Ethernet)
        }
        _ => Err(Skip::EtherType(MPLS)),
    }
}

/// A PPPoE session packet.
///
/// ```text
///  0      1      2         4        6
/// +------+------+---------+--------+
/// | 0x11 | code | session | length |
/// +------+------+---------+--------+
/// ```
pub(super) fn pppoe(rest: &mut Rest<'_>) -> Step {
    let [version, code, _, _, high, low] = *rest.take(Layer::Pppoe)?;
    match (version, code) {
        (0x11, 0) => {
            rest.trim(usize::from(be16(high, low)));
            Ok(Next::Ppp)
        }
        (0x11, _) => Err(Skip::EtherType(0x8863)),
        _ => Err(Skip::Malformed(Layer::Pppoe)),
    }
}

/// PPP, perhaps after HDLC's address and control bytes. Cisco's HDLC has an Ethernet type instead of PPP's protocol.
pub(super) fn hdlc(rest: &mut Rest<'_>) -> Step {
    match *rest.peek(Layer::Ppp)? {
        [0xff, 0x03] => {
            rest.advance(2, Layer::Ppp)?;
            Ok(Next::Ppp)
        }
        [0x0f | 0x8f, 0] => {
            let [_, _, high, low] = *rest.take(Layer::Ppp)?;
            by_ether_type(rest, be16(high, low))
        }
        _ => Ok(Next::Ppp),
    }
}

/// A protocol number, which may have been compressed: its first byte is even where a second one follows.
pub(super) fn ppp(rest: &mut Rest<'_>) -> Step {
    let [first] = *rest.take(Layer::Ppp)?;
    let protocol = match first & 1 {
        0 => {
            let [second] = *rest.take(Layer::Ppp)?;
            be16(first, second)
        }
        _ => u16::from(first),
    };
    match protocol {
        PPP_IPV4 => Ok(Next::Ipv4),
        PPP_IPV6 => Ok(Next::Ipv6),
        PPP_MPLS | PPP_MPLS_MULTICAST => nested(rest, Next::Mpls),
        _ => Err(Skip::Ppp(protocol)),
    }
}

/// BSD loopback: an address family in the byte order of the capturing host, or of the network.
fn loopback(rest: &mut Rest<'_>) -> Step {
    let family = u32::from_le_bytes(*rest.take(Layer::Link)?);
    // Families are small numbers: a large one was read in the wrong order.
    match if family > 0xffff { family.swap_bytes() } else { family } {
        AF_INET => Ok(Next::Ipv4),
        // What IPv6 is called by Linux; NetBSD, OpenBSD and Windows' Npcap; FreeBSD; macOS.
        10 | 24 | 28 | 30 => Ok(Next::Ipv6),
        family => Err(Skip::Family(family)),
    }
}

const AF_INET: u32 = 2;

const IPV4: u16 = 0x0800;
const BRIDGED: u16 = 0x6558;
const VLAN: u16 = 0x8100;
const IPV6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
const VLAN_SERVICE: u16 = 0x88a8;
const VLAN_OLD_1: u16 = 0x9100;
const VLAN_OLD_2: u16 = 0x9200;
const VLAN_OLD_3: u16 = 0x9300;

/// The smallest number that is a type, not a length (IEEE 802.3 §3.2.6).
const MIN_ETHER_TYPE: u16 = 0x0600;

const LLC_IP: u8 = 0x06;
const LLC_SNAP: u8 = 0xaa;

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PPP_MPLS: u16 = 0x0281;
const PPP_MPLS_MULTICAST: u16 = 0x0283;

/// Linux's number for netlink devices, whose "protocol" is a netlink family.
const ARPHRD_NETLINK: u16 = 824;
/// Linux's number for 802.2 packets in a cooked header.
const SLL_802_2: u16 = 4;

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::super::{Layer, Skip};
    use crate::LinkType;

    #[test]
    fn ethernet_carries_ipv4_and_ipv6() {
        assert_peels(LinkType::ETHERNET, &ethernet(0x0800, &ipv4(6, &TCP)));
        assert_peels_v6(LinkType::ETHERNET, &ethernet(0x86dd, &ipv6(6, &TCP)));
    }

    #[test]
    fn ethernet_with_802_2_carries_ipv4() {
        let ip = ipv4(6, &TCP);
        let snap = [
            &[0xaa, 0xaa][..],   // access points: SNAP
            &[0x03],             // control: unnumbered information
            &[0x00, 0x00, 0x00], // organisation: Ethernet types
            &[0x08, 0x00],       // type: IPv4
            &ip,
        ]
        .concat();
        assert_peels(LinkType::ETHERNET, &ethernet(snap.len() as u16, &snap));
        let plain = [
            &[0x06, 0x06][..], // access points: IP
            &[0x03],           // control
            &ip,
        ]
        .concat();
        assert_peels(LinkType::ETHERNET, &ethernet(plain.len() as u16, &plain));
        let spanning_tree = [0x42, 0x42, 0x03, 0, 0, 0, 0];
        assert_skips(LinkType::ETHERNET, &ethernet(7, &spanning_tree), Skip::Llc(0x42));
    }

    #[test]
    fn tags_of_every_kind_are_removed() {
        for outer in [0x8100, 0x88a8, 0x9100, 0x9200] {
            let one = tag(0x0800, &ipv4(6, &TCP));
            assert_peels(LinkType::ETHERNET, &ethernet(outer, &one));
            assert_peels(LinkType::ETHERNET, &ethernet(outer, &tag(0x8100, &one)));
        }
        assert_peels_v6(LinkType::ETHERNET, &ethernet(0x8100, &tag(0x86dd, &ipv6(6, &TCP))));
    }

    #[test]
    fn labels_are_removed_down_to_the_last() {
        let labels = [
            0x00, 0x01, 0x00, 0x40, // label 16, more follow, 64 hops
            0x00, 0x02, 0x01, 0x40, // label 32, the last, 64 hops
        ];
        for multicast in [0x8847, 0x8848] {
            assert_peels(LinkType::ETHERNET, &ethernet(multicast, &[&labels[..], &ipv4(6, &TCP)].concat()));
            assert_peels_v6(LinkType::ETHERNET, &ethernet(multicast, &[&labels[..], &ipv6(6, &TCP)].concat()));
        }
        let wire = [&labels[..], &[0, 0, 0, 7], &ethernet(0x0800, &ipv4(6, &TCP))].concat();
        assert_peels(LinkType::ETHERNET, &ethernet(0x8847, &wire));
        let wire = [&labels[..], &ethernet(0x0800, &ipv4(6, &TCP))].concat();
        assert_peels(LinkType::ETHERNET, &ethernet(0x8847, &wire));
    }

    #[test]
    fn pppoe_carries_ipv4_and_ipv6() {
        let v4 = pppoe_session(&[&[0x00, 0x21][..], &ipv4(6, &TCP)].concat());
        assert_peels(LinkType::ETHERNET, &ethernet(0x8864, &v4));
        assert_peels(LinkType::PPP_ETHER, &v4);
        let v6 = pppoe_session(&[&[0x00, 0x57][..], &ipv6(6, &TCP)].concat());
        assert_peels_v6(LinkType::ETHERNET, &ethernet(0x8864, &v6));
        let echo = pppoe_session(&[0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4]);
        assert_skips(LinkType::ETHERNET, &ethernet(0x8864, &echo), Skip::Ppp(0xc021));
    }

    #[test]
    fn ppp_comes_with_and_without_its_optional_bytes() {
        for link in [LinkType::PPP, LinkType::PPP_HDLC] {
            for head in [
                &[0x00, 0x21][..],         // protocol
                &[0x21],                   // protocol, compressed
                &[0xff, 0x03, 0x00, 0x21], // address, control, protocol
                &[0xff, 0x03, 0x21],       // address, control, protocol, compressed
                &[0x0f, 0x00, 0x08, 0x00], // Cisco: unicast, control, Ethernet type
            ] {
                assert_peels(link, &[head, &ipv4(6, &TCP)].concat());
            }
            assert_peels_v6(link, &[&[0xff, 0x03, 0x00, 0x57][..], &ipv6(6, &TCP)].concat());
        }
    }

    #[test]
    fn linux_cooked_headers_of_both_versions() {
        let v1 = |protocol: u16, payload: &[u8]| {
            [
                &[0x00, 0x04][..],         // sent by us
                &[0x00, 0x01],             // device: Ethernet
                &[0x00, 0x06],             // address length
                &[2, 0, 0, 0, 0, 1, 0, 0], // address
                &protocol.to_be_bytes(),   // protocol
                payload,
            ]
            .concat()
        };
        let v2 = |protocol: u16, payload: &[u8]| {
            [
                &protocol.to_be_bytes()[..], // protocol
                &[0x00, 0x00],               // reserved
                &[0x00, 0x00, 0x00, 0x02],   // interface
                &[0x00, 0x01],               // device: Ethernet
                &[0x04],                     // sent by us
                &[0x06],                     // address length
                &[2, 0, 0, 0, 0, 1, 0, 0],   // address
                payload,
            ]
            .concat()
        };
        assert_peels(LinkType::LINUX_SLL, &v1(0x0800, &ipv4(6, &TCP)));
        assert_peels(LinkType::LINUX_SLL2, &v2(0x0800, &ipv4(6, &TCP)));
        assert_peels_v6(LinkType::LINUX_SLL, &v1(0x86dd, &ipv6(6, &TCP)));
        assert_peels_v6(LinkType::LINUX_SLL2, &v2(0x86dd, &ipv6(6, &TCP)));
        assert_peels(LinkType::LINUX_SLL, &v1(0x8100, &tag(0x0800, &ipv4(6, &TCP))));
        assert_peels(LinkType::LINUX_SLL2, &v2(0x8100, &tag(0x0800, &ipv4(6, &TCP))));
        assert_skips(LinkType::LINUX_SLL, &v1(0x0806, &[0; 28]), Skip::EtherType(0x0806));
    }

    #[test]
    fn loopback_families_in_either_byte_order() {
        for link in [LinkType::NULL, LinkType::LOOP] {
            for order in [u32::to_be_bytes, u32::to_le_bytes] {
                assert_peels(link, &[&order(2)[..], &ipv4(6, &TCP)].concat());
                for family in [10, 24, 28, 30] {
                    assert_peels_v6(link, &[&order(family)[..], &ipv6(6, &TCP)].concat());
                }
                assert_skips(link, &[&order(7)[..], &[0; 40]].concat(), Skip::Family(7));
            }
        }
    }

    #[test]
    fn raw_ip_shows_its_version() {
        for link in [LinkType::RAW, LinkType::RAW_BSD, LinkType::RAW_OPENBSD] {
            assert_peels(link, &ipv4(6, &TCP));
            assert_peels_v6(link, &ipv6(6, &TCP));
        }
        assert_peels(LinkType::IPV4, &ipv4(6, &TCP));
        assert_peels_v6(LinkType::IPV6, &ipv6(6, &TCP));
        assert_skips(LinkType::IPV4, &ipv6(6, &TCP), Skip::Malformed(Layer::Ipv4));
        assert_skips(LinkType(195), &ipv4(6, &TCP), Skip::Link(LinkType(195)));
    }

    #[test]
    fn endless_tags_are_given_up() {
        let deep = (0..100).fold(tag(0x0800, &ipv4(6, &TCP)), |inner, _| tag(0x8100, &inner));
        assert_skips(LinkType::ETHERNET, &ethernet(0x8100, &deep), Skip::TooDeep);
    }
}
