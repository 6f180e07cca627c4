//! Tunnels: packets inside UDP and GRE.
//!
//! VXLAN: RFC 7348. Geneve: RFC 8926. GRE: RFC 2784, RFC 2890, with PPP RFC 2637. ERSPAN: draft-foschiano-erspan-03.

use super::link;
use super::next::{Next, Step};
use super::rest::{Rest, be16};
use super::skip::{Layer, Skip};

/// A UDP datagram. Only tunnels matter; they are recognised by the destination port.
pub(super) fn udp(rest: &mut Rest<'_>) -> Step {
    let [_, _, port_high, port_low, len_high, len_low, _, _] = *rest.take(Layer::Udp)?;
    match be16(len_high, len_low) {
        len @ 8.. => rest.trim(usize::from(len) - 8),
        // Segmentation offloading, or a jumbogram: the length is known from the IP layer.
        0 => {}
        _ => return Err(Skip::Malformed(Layer::Udp)),
    }
    let next = match be16(port_high, port_low) {
        VXLAN_PORT | VXLAN_LINUX_PORT => Next::Vxlan,
        GENEVE_PORT => Next::Geneve,
        _ => return Err(Skip::Protocol(UDP)),
    };
    rest.nest()?;
    Ok(next)
}

/// ```text
///  0       1          4         7          8
/// +-------+----------+---------+----------+
/// | flags | reserved | network | reserved |
/// +-------+----------+---------+----------+
/// ```
pub(super) fn vxlan(rest: &mut Rest<'_>) -> Step {
    let [flags, ..]: [u8; 8] = *rest.take(Layer::Vxlan)?;
    // RFC 7348 §5: the flag that says that there is a network id MUST be set.
    match flags & 0x08 {
        0 => Err(Skip::Protocol(UDP)),
        _ => Ok(Next::Ethernet),
    }
}

/// ```text
///  0                    1       2      4         7          8
/// +--------------------+-------+------+---------+----------+-----------+
/// | version, opt. words| flags | type | network | reserved | options   |
/// +--------------------+-------+------+---------+----------+-----------+
/// ```
pub(super) fn geneve(rest: &mut Rest<'_>) -> Step {
    let [version_len, _, high, low, ..]: [u8; 8] = *rest.take(Layer::Geneve)?;
    if version_len >> 6 != 0 {
        return Err(Skip::Protocol(UDP));
    }
    rest.advance(usize::from(version_len & 0x3f) * 4, Layer::Geneve)?;
    link::by_ether_type(rest, be16(high, low))
}

/// ```text
///  0       2      4                      each where its flag is set
/// +-------+------+--------------------+-----+----------+-----+
/// | flags | type | checksum, reserved | key | sequence | ack |
/// +-------+------+--------------------+-----+----------+-----+
/// ```
pub(super) fn gre(rest: &mut Rest<'_>) -> Step {
    let [high, low, type_high, type_low] = *rest.take(Layer::Gre)?;
    let flags = be16(high, low);
    let version = flags & 7;
    if version > 1 || flags & GRE_ROUTING != 0 {
        return Err(Skip::Malformed(Layer::Gre));
    }
    let acknowledged = if version == 1 { GRE_ACK } else { 0 };
    let optional = flags & (GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE | acknowledged);
    rest.advance(optional.count_ones() as usize * 4, Layer::Gre)?;
    match be16(type_high, type_low) {
        PPP => Ok(Next::Hdlc),
        // Type I has no sequence number and no header, type II has both.
        ERSPAN_2 if flags & GRE_SEQUENCE == 0 => erspan(rest, 0),
        ERSPAN_2 => erspan(rest, 8),
        ERSPAN_3 => {
            let [.., last]: [u8; 12] = *rest.take(Layer::Gre)?;
            erspan(rest, usize::from(last & 1) * 8)
        }
        ether_type => link::by_ether_type(rest, ether_type),
    }
}

/// A mirrored Ethernet frame after the last `len` bytes of an ERSPAN header.
fn erspan(rest: &mut Rest<'_>, len: usize) -> Step {
    rest.nest()?;
    rest.advance(len, Layer::Gre)?;
    Ok(Next::Ethernet)
}

const UDP: u8 = 17;

const VXLAN_PORT: u16 = 4789;
/// Linux's default, from before a port was assigned.
const VXLAN_LINUX_PORT: u16 = 8472;
const GENEVE_PORT: u16 = 6081;

const GRE_CHECKSUM: u16 = 0x8000;
const GRE_ROUTING: u16 = 0x4000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_ACK: u16 = 0x0080;

const PPP: u16 = 0x880b;
const ERSPAN_2: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::super::{Layer, Skip};
    use crate::LinkType;

    fn over_udp(port: u16, header: &[u8], payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &ipv4(17, &udp(port, &[header, payload].concat())))
    }

    #[test]
    fn vxlan_on_both_ports() {
        let header = [
            0x08, // flags: there is a network id
            0x00, 0x00, 0x00, // reserved
            0x00, 0x00, 0x2a, // network 42
            0x00, // reserved
        ];
        for port in [4789, 8472] {
            let inner = ethernet(0x0800, &ipv4(6, &TCP));
            assert_peels(LinkType::ETHERNET, &over_udp(port, &header, &inner));
            let inner = ethernet(0x8100, &tag(0x86dd, &ipv6(6, &TCP)));
            assert_peels_v6(LinkType::ETHERNET, &over_udp(port, &header, &inner));
            assert_skips(LinkType::ETHERNET, &over_udp(port, &[0; 8], &inner), Skip::Protocol(17));
        }
    }

    #[test]
    fn geneve_with_and_without_options() {
        let plain = [
            0x00, // version 0, no options
            0x00, // flags
            0x65, 0x58, // type: Ethernet
            0x00, 0x00, 0x2a, // network 42
            0x00, // reserved
        ];
        assert_peels(LinkType::ETHERNET, &over_udp(6081, &plain, &ethernet(0x0800, &ipv4(6, &TCP))));
        let optional = [
            0x02, // version 0, 2 words of options
            0x40, // flags: a critical option
            0x86, 0xdd, // type: IPv6
            0x00, 0x00, 0x2a, // network 42
            0x00, // reserved
            0x01, 0x02, 0x80, 0x01, // option: class, type, length of 1 word
            0xde, 0xad, 0xbe, 0xef, // its data
        ];
        assert_peels_v6(LinkType::ETHERNET, &over_udp(6081, &optional, &ipv6(6, &TCP)));
    }

    #[test]
    fn gre_with_every_optional_field() {
        let checksum = [0x12, 0x34, 0x00, 0x00];
        let key = [0x00, 0x00, 0x00, 0x07];
        let sequence = [0x00, 0x00, 0x00, 0x01];
        for flags in 0..8u8 {
            let mut header = vec![(flags & 4) << 5 | (flags & 3) << 4, 0x00]; // checksum, key and sequence flags
            header.extend([0x08, 0x00]); // type: IPv4
            header.extend(checksum.iter().filter(|_| flags & 4 != 0));
            header.extend(key.iter().filter(|_| flags & 2 != 0));
            header.extend(sequence.iter().filter(|_| flags & 1 != 0));
            let packet = ipv4(47, &[&header[..], &ipv4(6, &TCP)].concat());
            assert_peels(LinkType::ETHERNET, &ethernet(0x0800, &packet));
        }
    }

    #[test]
    fn gre_carries_more_than_ip() {
        let over_gre = |header: &[u8], payload: &[u8]| ethernet(0x86dd, &ipv6(47, &[header, payload].concat()));
        let (v4, v6) = (ipv4(6, &TCP), ipv6(6, &TCP));
        let frame = ethernet(0x0800, &v4);
        assert_peels_v6(LinkType::ETHERNET, &over_gre(&[0x00, 0x00, 0x86, 0xdd], &v6));
        assert_peels(LinkType::ETHERNET, &over_gre(&[0x00, 0x00, 0x65, 0x58], &frame));
        let label = [0x00, 0x01, 0x01, 0x40]; // label 16, the last, 64 hops
        assert_peels(LinkType::ETHERNET, &over_gre(&[0x00, 0x00, 0x88, 0x47], &[&label[..], &v4].concat()));
        let pptp = [
            0x30, 0x81, // key, sequence and acknowledgment, version 1
            0x88, 0x0b, // type: PPP
            0x00, 0x00, 0x00, 0x01, // length, call
            0x00, 0x00, 0x00, 0x02, // sequence number
            0x00, 0x00, 0x00, 0x03, // acknowledgment number
            0xff, 0x03, 0x00, 0x21, // address, control, protocol: IPv4
        ];
        assert_peels(LinkType::ETHERNET, &over_gre(&pptp, &v4));
        let erspan_1 = [0x00, 0x00, 0x88, 0xbe];
        assert_peels(LinkType::ETHERNET, &over_gre(&erspan_1, &frame));
        let erspan_2 = [
            0x10, 0x00, 0x88, 0xbe, // sequence, type: ERSPAN II
            0x00, 0x00, 0x00, 0x01, // sequence number
            0x10, 0x2a, 0x00, 0x07, // version 1, VLAN 42, session 7
            0x00, 0x00, 0x00, 0x05, // reserved, index
        ];
        assert_peels(LinkType::ETHERNET, &over_gre(&erspan_2, &frame));
        let erspan_3 = [
            0x10, 0x00, 0x22, 0xeb, // sequence, type: ERSPAN III
            0x00, 0x00, 0x00, 0x01, // sequence number
            0x20, 0x2a, 0x00, 0x07, // version 2, VLAN 42, session 7
            0x00, 0x00, 0x00, 0x05, // time
            0x00, 0x00, 0x00, 0x01, // tag, Ethernet frame, a platform header follows
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // platform
        ];
        assert_peels(LinkType::ETHERNET, &over_gre(&erspan_3, &frame));
    }

    #[test]
    fn other_datagrams_are_skipped() {
        assert_skips(LinkType::IPV4, &ipv4(17, &udp(53, &[0; 12])), Skip::Protocol(17));
        assert_skips(LinkType::IPV4, &ipv4(47, &[0x40, 0, 8, 0, 0, 0, 0, 0]), Skip::Malformed(Layer::Gre));
    }
}
