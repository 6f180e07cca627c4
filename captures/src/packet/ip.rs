//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200), and what IP carries.

use super::peel::PeelResult;
use super::rest::{Rest, be16};
use super::{Fragment, Layer, Peeled, Skip, link, tcp, tunnel};

/// How many extension headers one IPv6 packet may have: RFC 8200 §4.1 names seven places for them.
const MAX_EXTENSIONS: usize = 12;

/// The most that a packet without a length may hold. Linux hands packets of up to 8 × 65,535 bytes to its devices
/// (`GSO_MAX_SIZE`); more than this is not a packet.
const MAX_OFFLOADED: usize = 1 << 20;

/// Ethernet pads what it carries to this many bytes, so that the end of anything shorter may be padding.
const MIN_ETHERNET_PAYLOAD: usize = 46;

/// IPv4 or IPv6, by the version in the first byte.
pub(super) fn either(rest: Rest<'_>) -> PeelResult<'_> {
    let [first] = rest.peek(Layer::Link)?;
    match first >> 4 {
        4 => ipv4(rest),
        6 => ipv6(rest),
        _ => Err(Skip::EtherType(0)),
    }
}

/// ```text
///  0     1    2        4    6             8    9       10         12       16       20
/// +-----+----+--------+----+-------------+----+-------+----------+--------+--------+---------+
/// |4,ihl|tos | length | id |flags, offset|ttl |protoc.| checksum | source | dest.  | options |
/// +-----+----+--------+----+-------------+----+-------+----------+--------+--------+---------+
/// ```
#[inline]
pub(super) fn ipv4(packet: Rest<'_>) -> PeelResult<'_> {
    let header: &[u8; 20] = packet.peek(Layer::Ipv4)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < header.len() {
        return Err(Skip::Malformed(Layer::Ipv4));
    }
    let protocol = header[9];
    let len = match be16(header[2], header[3]) {
        0 => offloaded_len(packet, header_len, protocol)?,
        len => usize::from(len),
    };
    let rest = packet.sized(len).after(header_len, Layer::Ipv4)?;
    let source = mapped([header[12], header[13], header[14], header[15]]);
    let destination = mapped([header[16], header[17], header[18], header[19]]);
    let (more, offset) = more_and_offset(header[6], header[7]);
    if more || offset != 0 {
        let id = u32::from(be16(header[4], header[5]));
        return fragment(rest, Fragment { source, destination, protocol, id, offset, more, payload: &[], cut: 0 });
    }
    match protocol {
        TCP => tcp::segment(rest, source, destination),
        _ => carried(rest, protocol, source, destination),
    }
}

/// The length of a packet that says 0 because the sender left segmentation to its network card, and was captured
/// before that: what the frame holds.
#[cold]
fn offloaded_len(packet: Rest<'_>, header_len: usize, protocol: u8) -> Result<usize, Skip> {
    let sent = packet.sent();
    match sent {
        MAX_OFFLOADED.. => Err(Skip::Malformed(Layer::Ipv4)),
        // So short a packet has nothing to segment, and what follows its TCP header may be Ethernet's padding: none
        // of it is taken for payload.
        ..=MIN_ETHERNET_PAYLOAD if protocol == TCP => {
            let offset = packet.data.get(header_len + 12).ok_or(Skip::Cut(Layer::Tcp))?;
            Ok(sent.min(header_len + tcp::header_len(*offset)))
        }
        _ => Ok(sent),
    }
}

/// ```text
///  0                  4        6      7      8        24       40
/// +------------------+--------+------+------+--------+--------+
/// | 6, class, label  | length | next | hops | source | dest.  |
/// +------------------+--------+------+------+--------+--------+
/// ```
#[inline]
pub(super) fn ipv6(mut rest: Rest<'_>) -> PeelResult<'_> {
    let header: &[u8; 40] = rest.take(Layer::Ipv6)?;
    let [first, _, _, _, len_high, len_low, next, _, addresses @ ..] = header;
    if first >> 4 != 6 {
        return Err(Skip::Malformed(Layer::Ipv6));
    }
    let rest = match be16(*len_high, *len_low) {
        // A jumbogram (RFC 2675), or segmentation left to the network card. No padding: with a TCP header the frame is
        // longer than Ethernet's minimum.
        0 if rest.sent() < MAX_OFFLOADED => rest,
        0 => return Err(Skip::Malformed(Layer::Ipv6)),
        len => rest.sized(usize::from(len)),
    };
    let (source, destination) = addresses.split_at(16);
    let (source, destination) = (number(source), number(destination));
    match *next {
        TCP => tcp::segment(rest, source, destination),
        next => extensions(rest, next, source, destination),
    }
}

/// The headers between IPv6's own and what it carries: each names the next one in its first byte.
fn extensions<'a>(mut rest: Rest<'a>, mut next: u8, source: u128, destination: u128) -> PeelResult<'a> {
    for _ in 0..MAX_EXTENSIONS {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                let [following, len] = *rest.peek(Layer::Ipv6)?;
                rest = rest.after(8 + usize::from(len) * 8, Layer::Ipv6)?;
                next = following;
            }
            FRAGMENT => {
                let [following, _, high, low, id @ ..]: [u8; 8] = *rest.take(Layer::Ipv6)?;
                let (more, offset) = more_and_offset_v6(high, low);
                // RFC 6946: a fragment that is the whole datagram is handled alone.
                if more || offset != 0 {
                    let id = u32::from_be_bytes(id);
                    let protocol = following;
                    let (payload, cut) = (&[][..], 0);
                    let found = Fragment { source, destination, protocol, id, offset, more, payload, cut };
                    return fragment(rest, found);
                }
                next = following;
            }
            _ => return carried(rest, next, source, destination),
        }
    }
    Err(Skip::TooDeep)
}

/// What IP carries, by its protocol number.
fn carried<'a>(mut rest: Rest<'a>, protocol: u8, source: u128, destination: u128) -> PeelResult<'a> {
    match protocol {
        TCP => tcp::segment(rest, source, destination),
        UDP => tunnel::udp(rest),
        GRE => tunnel::gre(rest.deeper()?),
        IPV4 => ipv4(rest.deeper()?),
        IPV6 => ipv6(rest.deeper()?),
        MPLS => link::mpls(rest.deeper()?),
        // RFC 4302 §2.2: the length counts 4-byte words, without the first two.
        AUTHENTICATION => {
            let [following, len] = *rest.peek(Layer::Ipv4)?;
            rest = rest.deeper()?.after((usize::from(len) + 2) * 4, Layer::Ipv4)?;
            carried_or_extended(rest, following, source, destination)
        }
        _ => Err(Skip::Protocol(protocol)),
    }
}

/// What follows an authentication header: in IPv6, further extension headers may.
fn carried_or_extended<'a>(rest: Rest<'a>, next: u8, source: u128, destination: u128) -> PeelResult<'a> {
    match source >> 32 == V4_MAPPED >> 32 {
        true => carried(rest, next, source, destination),
        false => extensions(rest, next, source, destination),
    }
}

/// A fragment, unless no fragment of its datagram can lead to TCP.
#[cold]
fn fragment<'a>(rest: Rest<'a>, fragment: Fragment<'a>) -> PeelResult<'a> {
    match fragment.protocol {
        TCP | UDP | GRE | IPV4 | IPV6 | MPLS | AUTHENTICATION | ROUTING | DESTINATION_OPTIONS => {
            Ok(Peeled::Fragment(Fragment { payload: rest.data, cut: rest.cut, ..fragment }))
        }
        protocol => Err(Skip::Protocol(protocol)),
    }
}

/// IPv4's "more fragments" flag and the offset in bytes.
#[inline]
fn more_and_offset(high: u8, low: u8) -> (bool, u32) {
    (high & 0x20 != 0, u32::from(be16(high & 0x1f, low)) * 8)
}

/// IPv6's, which has the flag at the other end.
fn more_and_offset_v6(high: u8, low: u8) -> (bool, u32) {
    (low & 1 != 0, u32::from(be16(high, low & !7)))
}

/// What IPv4-mapped IPv6 addresses begin with.
pub(super) const V4_MAPPED: u128 = 0xffff_0000_0000;

#[inline]
fn mapped(address: [u8; 4]) -> u128 {
    V4_MAPPED | u128::from(u32::from_be_bytes(address))
}

#[inline]
fn number(address: &[u8]) -> u128 {
    u128::from_be_bytes(address.try_into().expect("half of 32 bytes"))
}

const HOP_BY_HOP: u8 = 0;
const IPV4: u8 = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const MPLS: u8 = 137;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::*;
    use super::super::{Layer, Peeled, Skip, peel, peel_datagram};
    use super::MAX_OFFLOADED;
    use crate::LinkType;

    #[test]
    fn ip_lies_in_ip() {
        let link = LinkType::ETHERNET;
        assert_peels(link, &ethernet(0x0800, &ipv4(4, &ipv4(6, &TCP))));
        assert_peels_v6(link, &ethernet(0x0800, &ipv4(41, &ipv6(6, &TCP))));
        assert_peels(link, &ethernet(0x86dd, &ipv6(4, &ipv4(6, &TCP))));
        assert_peels_v6(link, &ethernet(0x86dd, &ipv6(41, &ipv6(6, &TCP))));
        let labelled = [&[0x00, 0x01, 0x01, 0x40][..], &ipv4(6, &TCP)].concat();
        assert_peels(link, &ethernet(0x0800, &ipv4(137, &labelled)));
        let deep = (0..20).fold(ipv4(6, &TCP), |inner, _| ipv4(4, &inner));
        assert_skips(LinkType::IPV4, &deep, Skip::TooDeep);
    }

    #[test]
    fn ipv4_options_are_passed_by() {
        let mut packet = ipv4(6, &[&[0x94, 0x04, 0x00, 0x00][..], &TCP].concat()); // router alert
        packet[0] = 0x46; // header of 6 words
        assert_peels(LinkType::IPV4, &packet);
    }

    #[test]
    fn extension_headers_are_passed_by() {
        let headers = [
            &[43, 0, 1, 4, 0, 0, 0, 0][..],                     // hop-by-hop: next routing, padding
            &[60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // routing: next destination options, 16 bytes
            &[135, 0, 1, 4, 0, 0, 0, 0],                        // destination options: next mobility
            &[44, 0, 0, 0, 0, 0, 0, 0],                         // mobility: next fragment
            &[51, 0, 0, 0, 0, 0, 0, 9],                         // fragment, whole: next authentication
            &[6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2],              // authentication of 3 words: next TCP
        ];
        assert_peels_v6(LinkType::IPV6, &ipv6(0, &[&headers.concat()[..], &TCP].concat()));
        let endless = [60, 0, 1, 4, 0, 0, 0, 0].repeat(30);
        assert_skips(LinkType::IPV6, &ipv6(60, &endless), Skip::TooDeep);
        let authenticated = [&[6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &TCP].concat();
        assert_peels(LinkType::IPV4, &ipv4(51, &authenticated));
    }

    #[test]
    fn errors_that_quote_tcp_are_no_segments() {
        let quote = [&[3, 4, 0, 0, 0, 0, 5, 0xdc][..], &ipv4(6, &TCP)].concat();
        assert_skips(LinkType::IPV4, &ipv4(1, &quote), Skip::Protocol(1));
        assert_skips(LinkType::IPV6, &ipv6(58, &quote), Skip::Protocol(58));
    }

    #[test]
    fn lengths_that_contradict_themselves_are_said() {
        let mut short = ipv4(6, &TCP);
        short[2..4].copy_from_slice(&[0, 19]);
        assert_skips(LinkType::IPV4, &short, Skip::Malformed(Layer::Ipv4));
        short[2..4].copy_from_slice(&[0, 20 + 23]);
        assert_skips(LinkType::IPV4, &short, Skip::Malformed(Layer::Tcp));
        let mut shifted = TCP;
        shifted[12] = 0x40;
        assert_skips(LinkType::IPV4, &ipv4(6, &shifted), Skip::Malformed(Layer::Tcp));
        let mut header = ipv4(6, &TCP);
        header[0] = 0x44;
        assert_skips(LinkType::IPV4, &header, Skip::Malformed(Layer::Ipv4));
    }

    #[test]
    fn length_0_means_the_frame_s() {
        let mut v4 = ethernet(0x0800, &ipv4(6, &TCP));
        v4[16..18].fill(0);
        assert_segment(segment(peel(LinkType::ETHERNET, &v4, v4.len() as u32)), &v4, V4, PAYLOAD.len());
        assert_cuts(LinkType::ETHERNET, &v4, V4);
        let mut v6 = ethernet(0x86dd, &ipv6(6, &TCP));
        v6[18..20].fill(0);
        assert_segment(segment(peel(LinkType::ETHERNET, &v6, v6.len() as u32)), &v6, V6, PAYLOAD.len());
        assert_cuts(LinkType::ETHERNET, &v6, V6);
    }

    #[test]
    fn length_0_in_a_short_frame_does_not_make_payload_of_padding() {
        let mut packet = ethernet(0x0800, &ipv4(6, &TCP[..24]));
        packet[16..18].fill(0);
        packet.resize(60, 0);
        let found = segment(peel(LinkType::ETHERNET, &packet, 60));
        assert_eq!((found.payload, found.cut), (&[][..], 0));
        let found = segment(peel(LinkType::ETHERNET, &packet[..58], 60));
        assert_eq!((found.payload, found.cut), (&[][..], 0));
    }

    #[test]
    fn length_0_in_an_endless_frame_is_refused() {
        let mut packet = ipv4(6, &TCP);
        packet[2..4].fill(0);
        let found = peel(LinkType::IPV4, &packet, u32::MAX);
        assert!(matches!(found, Peeled::Skipped(Skip::Malformed(Layer::Ipv4))), "{found:?}");
    }

    #[test]
    fn fragments_say_where_they_belong() {
        let packet = ipv4_fragment(6, 0x2001, &TCP[..16]); // more follow, offset 8
        let Peeled::Fragment(found) = peel(LinkType::IPV4, &packet[..30], 36) else { panic!("no fragment") };
        assert_eq!((found.source, found.destination), (V4.0.ip, V4.1.ip));
        assert_eq!((found.protocol, found.id, found.offset, found.more), (6, 0x1234, 8, true));
        assert_eq!((found.payload, found.cut), (&TCP[..10], 6));
        let header = [
            0x06, 0x00, // next: TCP, reserved
            0x00, 0x10, // offset 16, the last
            0x00, 0x00, 0x00, 0x09, // id
        ];
        let packet = ipv6(44, &[&header[..], &TCP[16..]].concat());
        let Peeled::Fragment(found) = peel_datagram(&packet) else { panic!("no fragment") };
        assert_eq!((found.source, found.destination), (V6.0.ip, V6.1.ip));
        assert_eq!((found.protocol, found.id, found.offset, found.more), (6, 9, 16, false));
        assert_eq!((found.payload, found.cut), (&TCP[16..], 0));
        assert_skips(LinkType::IPV4, &ipv4_fragment(1, 0x2000, &[0; 8]), Skip::Protocol(1));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), sent: u32) {
            for link in LINKS {
                check(LinkType(link), &bytes, sent);
            }
        }

        /// Real packets with a few bytes changed come further in than random bytes do.
        #[test]
        fn no_changed_bytes_do_harm(
            which in 0usize..6,
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            sent in 0u32..400,
        ) {
            let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet(0x8100, &tag(0x0800, &ipv4(6, &TCP)))].concat();
            let mut packet = match which {
                0 => ethernet(0x0800, &ipv4(6, &TCP)),
                1 => ethernet(0x0800, &ipv4(17, &udp(4789, &vxlan))),
                2 => ethernet(0x8864, &pppoe_session(&[&[0x00, 0x57][..], &ipv6(6, &TCP)].concat())),
                3 => ethernet(0x0800, &ipv4(47, &[&[0, 0, 0x88, 0x47, 0, 1, 1, 64][..], &ipv6(6, &TCP)].concat())),
                4 => ethernet(0x86dd, &ipv6(0, &[&[44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 9][..], &TCP].concat())),
                _ => ethernet(0x0800, &ipv4_fragment(6, 0x2000, &TCP)),
            };
            for (index, value) in changes {
                *index.get_mut(&mut packet) = value;
            }
            check(LinkType::ETHERNET, &packet, sent);
        }
    }

    /// Every link type that is taken apart, and one that is not.
    const LINKS: [u16; 16] = [0, 1, 9, 12, 14, 50, 51, 101, 108, 113, 228, 229, 276, 147, 271, 195];

    /// What is found lies where it says.
    fn check(link: LinkType, bytes: &[u8], sent: u32) {
        if let Peeled::Segment(found) = peel(link, bytes, sent) {
            let at = found.payload_at as usize;
            assert_eq!(&bytes[at..at + found.payload.len()], found.payload);
            assert!(found.sent_len() < MAX_OFFLOADED as u32);
        }
        let _ = peel_datagram(bytes);
    }
}
