//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200), and what IP carries.

use etherparse::err::{ipv4, ipv6};
use etherparse::{Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use super::next::{Ends, FragmentHeader, Next, Step};
use super::rest::Rest;
use super::skip::{Layer, Skip};
use super::tcp;

/// How many extension headers one IPv6 packet may have: RFC 8200 §4.1 names seven places for them.
const MAX_EXTENSIONS: usize = 12;

/// The most that a packet without a length may hold. Linux hands packets of up to 8 × 65,535 bytes to its devices
/// (`GSO_MAX_SIZE`); more than this is not a packet.
const MAX_OFFLOADED: usize = 1 << 20;

/// Ethernet pads its payload to this many bytes, so that the end of anything shorter may be padding.
const MIN_ETHERNET_PAYLOAD: usize = 46;

/// IPv4 or IPv6, by the version in the first byte.
pub(super) fn either(rest: &mut Rest<'_>) -> Step {
    let [first] = rest.peek(Layer::Link)?;
    match first >> 4 {
        4 => Ok(Next::Ipv4),
        6 => Ok(Next::Ipv6),
        _ => Err(Skip::EtherType(0)),
    }
}

/// An IPv4 packet.
#[inline]
pub(super) fn ipv4(rest: &mut Rest<'_>) -> Step {
    let header = match Ipv4HeaderSlice::from_slice(rest.data) {
        Ok(header) => header,
        Err(ipv4::HeaderSliceError::Len(error)) => return Err(rest.too_short(error.required_len, Layer::Ipv4)),
        Err(ipv4::HeaderSliceError::Content(_)) => return Err(Skip::Malformed(Layer::Ipv4)),
    };
    let header_len = header.slice().len();
    let protocol = header.protocol().0;
    let len = match header.total_len() {
        0 => offloaded_len(*rest, header_len, protocol)?,
        len => usize::from(len),
    };
    rest.set_len(len);
    rest.advance(header_len, Layer::Ipv4)?;
    rest.ends = Ends::v4(header.source(), header.destination());
    if header.is_fragmenting_payload() {
        let header = FragmentHeader {
            protocol,
            id: u32::from(header.identification()),
            offset: u32::from(header.fragments_offset().byte_offset()),
            more: header.more_fragments(),
        };
        return fragment(header);
    }
    match protocol {
        TCP => Ok(Next::Tcp),
        _ => Ok(Next::IpPayload(protocol)),
    }
}

/// The length of a packet whose length field is 0 because the sender left segmentation to its network card, and was
/// captured before that: the length of the frame.
#[cold]
fn offloaded_len(packet: Rest<'_>, header_len: usize, protocol: u8) -> Result<usize, Skip> {
    let sent = packet.sent();
    match sent {
        MAX_OFFLOADED.. => Err(Skip::Malformed(Layer::Ipv4)),
        // So short a packet has nothing to segment, and what follows its TCP header may be Ethernet's padding: it has
        // no payload.
        ..=MIN_ETHERNET_PAYLOAD if protocol == TCP => {
            let offset = packet.data.get(header_len + 12).ok_or(Skip::Cut(Layer::Tcp))?;
            Ok(sent.min(header_len + tcp::header_len(*offset)))
        }
        _ => Ok(sent),
    }
}

/// An IPv6 packet, with the extension headers.
#[inline]
pub(super) fn ipv6(rest: &mut Rest<'_>) -> Step {
    let header = match Ipv6HeaderSlice::from_slice(rest.data) {
        Ok(header) => header,
        Err(ipv6::HeaderSliceError::Len(error)) => return Err(rest.too_short(error.required_len, Layer::Ipv6)),
        Err(ipv6::HeaderSliceError::Content(_)) => return Err(Skip::Malformed(Layer::Ipv6)),
    };
    rest.advance(header.slice().len(), Layer::Ipv6)?;
    match header.payload_length() {
        // A jumbogram (RFC 2675), or segmentation offloading. No padding: with a TCP header the frame is longer than
        // Ethernet's minimum.
        0 if rest.sent() < MAX_OFFLOADED => {}
        0 => return Err(Skip::Malformed(Layer::Ipv6)),
        len => rest.set_len(usize::from(len)),
    }
    rest.ends = Ends::v6(header.source(), header.destination());
    match header.next_header().0 {
        TCP => Ok(Next::Tcp),
        next => extensions(rest, next),
    }
}

/// The headers between IPv6's own and what it carries: each names the next one in its first byte.
fn extensions(rest: &mut Rest<'_>, mut next: u8) -> Step {
    for _ in 0..MAX_EXTENSIONS {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest.data);
                let header = header.map_err(|error| rest.too_short(error.required_len, Layer::Ipv6))?;
                next = header.next_header().0;
                rest.advance(header.slice().len(), Layer::Ipv6)?;
            }
            FRAGMENT => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest.data);
                let header = header.map_err(|error| rest.too_short(error.required_len, Layer::Ipv6))?;
                next = header.next_header().0;
                rest.advance(header.slice().len(), Layer::Ipv6)?;
                // RFC 6946: a fragment that is the whole datagram is handled alone.
                if header.is_fragmenting_payload() {
                    let header = FragmentHeader {
                        protocol: next,
                        id: header.identification(),
                        offset: u32::from(header.fragment_offset().byte_offset()),
                        more: header.more_fragments(),
                    };
                    return fragment(header);
                }
            }
            AUTHENTICATION => next = authentication(rest)?,
            TCP => return Ok(Next::Tcp),
            _ => return Ok(Next::IpPayload(next)),
        }
    }
    Err(Skip::TooDeep)
}

/// An authentication header. RFC 4302 §2.2: the length counts 4-byte words, without the first two.
///
/// RFC 1826 §3.1 allowed the length 0, without authentication data; `etherparse` refuses that.
fn authentication(rest: &mut Rest<'_>) -> Result<u8, Skip> {
    let [next, len] = *rest.peek(Layer::Ipv4)?;
    rest.advance((usize::from(len) + 2) * 4, Layer::Ipv4)?;
    Ok(next)
}

/// What IP carries, by its protocol number.
pub(super) fn payload(rest: &mut Rest<'_>, protocol: u8) -> Step {
    let next = match protocol {
        TCP => return Ok(Next::Tcp),
        UDP => return Ok(Next::Udp),
        GRE => Next::Gre,
        IPV4 => Next::Ipv4,
        IPV6 => Next::Ipv6,
        MPLS => Next::Mpls,
        AUTHENTICATION => Next::IpPayload(authentication(rest)?),
        _ => return Err(Skip::Protocol(protocol)),
    };
    rest.nest()?;
    Ok(next)
}

/// A fragment, unless no fragment of its datagram can lead to TCP.
#[cold]
fn fragment(header: FragmentHeader) -> Step {
    match header.protocol {
        TCP | UDP | GRE | IPV4 | IPV6 | MPLS | AUTHENTICATION | ROUTING | DESTINATION_OPTIONS => {
            Ok(Next::Fragment(header))
        }
        protocol => Err(Skip::Protocol(protocol)),
    }
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
    fn ipv4_options_are_skipped() {
        let mut packet = ipv4(6, &[&[0x94, 0x04, 0x00, 0x00][..], &TCP].concat()); // router alert
        packet[0] = 0x46; // header of 6 words
        assert_peels(LinkType::IPV4, &packet);
    }

    #[test]
    fn extension_headers_are_skipped() {
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
    fn icmp_errors_that_quote_tcp_are_not_segments() {
        let quote = [&[3, 4, 0, 0, 0, 0, 5, 0xdc][..], &ipv4(6, &TCP)].concat();
        assert_skips(LinkType::IPV4, &ipv4(1, &quote), Skip::Protocol(1));
        assert_skips(LinkType::IPV6, &ipv6(58, &quote), Skip::Protocol(58));
    }

    #[test]
    fn contradicting_lengths_are_malformed() {
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
    fn length_0_means_the_length_of_the_frame() {
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
    fn length_0_in_a_short_frame_does_not_turn_padding_into_payload() {
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
        fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), sent: u32) {
            for link in LINKS {
                check(LinkType(link), &bytes, sent);
            }
        }

        /// Real packets with a few bytes changed come further in than random bytes do.
        #[test]
        fn changed_bytes_do_not_panic(
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

    /// The payload lies where `payload_at` says.
    fn check(link: LinkType, bytes: &[u8], sent: u32) {
        if let Peeled::Segment(found) = peel(link, bytes, sent) {
            let at = found.payload_at as usize;
            assert_eq!(&bytes[at..at + found.payload.len()], found.payload);
            assert!(found.sent_len() < MAX_OFFLOADED as u32);
        }
        let _ = peel_datagram(bytes);
    }
}
