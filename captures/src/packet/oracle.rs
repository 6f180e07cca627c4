//! Generated packets as `etherparse` reads them as a whole, beside what is read here.

use std::net::IpAddr;

use etherparse::defrag::IpDefragBuf;
use etherparse::{
    IpAuthHeader, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6FragmentHeader,
    Ipv6Header, Ipv6RawExtHeader, Ipv6RoutingExtensions, LaxNetSlice, LaxSlicedPacket, PacketBuilder, TcpHeader,
    TransportSlice, VlanId, ip_number,
};
use proptest::prelude::*;

use super::samples::{TCP, V4, V6, assert_peels, ipv4, ipv6};
use super::{Defragmenter, Fragment, Peeled, peel, peel_datagram};
use crate::{Address, LinkType, Packet, PacketNo, Place, RawPacket, Timestamp};

/// A packet to generate.
#[derive(Clone, Debug)]
struct Plan {
    /// VLAN tags: none, one or two.
    tags: usize,
    v6: bool,
    source: [u8; 16],
    destination: [u8; 16],
    /// IPv4: words of options.
    options: usize,
    /// IPv6: lengths of hop-by-hop options, destination options and a routing header, in 8 bytes.
    extensions: [Option<u8>; 3],
    authenticated: bool,
    /// Offset in 8 bytes, and whether more fragments follow.
    fragment: Option<(u16, bool)>,
    id: u32,
    ports: (u16, u16),
    seq: u32,
    /// Words of TCP options: end-of-options bytes.
    tcp_options: usize,
    payload: Vec<u8>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let extension = || proptest::option::weighted(0.3, 0_u8..4);
    let ip = (
        0_usize..3,
        any::<bool>(),
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        0_usize..11,
        [extension(), extension(), extension()],
        proptest::bool::weighted(0.2),
        proptest::option::weighted(0.3, (0_u16..8000, any::<bool>())),
        any::<u32>(),
    );
    let tcp = (any::<(u16, u16)>(), any::<u32>(), 0_usize..11, proptest::collection::vec(any::<u8>(), 0..200));
    (ip, tcp).prop_map(|(ip, (ports, seq, tcp_options, payload))| {
        let (tags, v6, source, destination, options, extensions, authenticated, fragment, id) = ip;
        Plan {
            tags,
            v6,
            source,
            destination,
            options,
            extensions,
            authenticated,
            fragment,
            id,
            ports,
            seq,
            tcp_options,
            payload,
        }
    })
}

impl Plan {
    fn build(&self) -> Vec<u8> {
        let auth = self.authenticated.then(|| IpAuthHeader::new(ip_number::TCP, 1, 2, &[7; 12]).expect("words"));
        let raw =
            |len: u8| Ipv6RawExtHeader::new_raw(ip_number::TCP, &vec![0; 6 + usize::from(len) * 8]).expect("words");
        let ip = match self.v6 {
            false => {
                let (offset, more) = self.fragment.unwrap_or_default();
                let header = Ipv4Header {
                    identification: self.id as u16,
                    fragment_offset: IpFragOffset::try_new(offset).expect("13 bits"),
                    more_fragments: more,
                    options: vec![0; self.options * 4].as_slice().try_into().expect("words"),
                    source: [self.source[0], self.source[1], self.source[2], self.source[3]],
                    destination: [self.destination[0], 1, 2, self.destination[3]],
                    time_to_live: 64,
                    ..Ipv4Header::default()
                };
                IpHeaders::Ipv4(header, Ipv4Extensions { auth })
            }
            true => {
                let header = Ipv6Header { source: self.source, destination: self.destination, ..Ipv6Header::default() };
                let [hop_by_hop, destination, routing] = self.extensions;
                let fragment = self.fragment.map(|(offset, more)| {
                    let offset = IpFragOffset::try_new(offset).expect("13 bits");
                    Ipv6FragmentHeader::new(ip_number::TCP, offset, more, self.id)
                });
                let extensions = Ipv6Extensions {
                    hop_by_hop_options: hop_by_hop.map(raw),
                    destination_options: destination.map(raw),
                    routing: routing
                        .map(|len| Ipv6RoutingExtensions { routing: raw(len), final_destination_options: None }),
                    fragment,
                    auth,
                };
                IpHeaders::Ipv6(header, extensions)
            }
        };
        let mut tcp = TcpHeader::new(self.ports.0, self.ports.1, self.seq, 501);
        tcp.set_options_raw(&vec![1; self.tcp_options * 4]).expect("words");
        let mut bytes = Vec::new();
        let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let id = |id: u16| VlanId::try_new(id).expect("12 bits");
        let built = match self.tags {
            0 => ethernet.ip(ip).tcp_header(tcp).write(&mut bytes, &self.payload),
            1 => ethernet.single_vlan(id(7)).ip(ip).tcp_header(tcp).write(&mut bytes, &self.payload),
            _ => ethernet.double_vlan(id(7), id(8)).ip(ip).tcp_header(tcp).write(&mut bytes, &self.payload),
        };
        built.expect("it fits");
        bytes
    }
}

/// The addresses of a packet, and what its IP packet carries: the payload, as far as it was captured.
fn ends(net: &LaxNetSlice<'_>) -> (IpAddr, IpAddr) {
    match net {
        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Arp(_) => panic!("not IP"),
    }
}

fn address(address: IpAddr, port: u16) -> Address {
    match address {
        IpAddr::V4(ip) => Address::v4(ip.octets(), port),
        IpAddr::V6(ip) => Address::v6(ip.octets(), port),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whole or cut: `etherparse` and this module find the same segment, or the same fragment.
    #[test]
    fn generated_packets_are_read_as_etherparse_reads_them(
        plan in plan(),
        captured in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let packet = plan.build();
        let captured = captured.map_or(packet.len(), |index| index.index(packet.len() + 1));
        let bytes = &packet[..captured];
        let expected = LaxSlicedPacket::from_ethernet(bytes).ok();
        let net = expected.as_ref().and_then(|packet| packet.net.as_ref());
        let transport = expected.as_ref().and_then(|packet| packet.transport.as_ref());
        match (peel(LinkType::ETHERNET, bytes, packet.len() as u32), net, transport) {
            (Peeled::Segment(found), Some(net), Some(TransportSlice::Tcp(tcp))) => {
                let (source, destination) = ends(net);
                prop_assert_eq!(found.source, address(source, tcp.source_port()));
                prop_assert_eq!(found.destination, address(destination, tcp.destination_port()));
                prop_assert_eq!((found.seq, found.ack), (tcp.sequence_number(), tcp.acknowledgment_number()));
                prop_assert_eq!(found.window, tcp.window_size());
                prop_assert_eq!(found.payload, tcp.payload());
                prop_assert_eq!(found.payload.len() + found.cut as usize, plan.payload.len());
                prop_assert_eq!(found.payload_at as usize, bytes.len() - tcp.payload().len());
            }
            (Peeled::Fragment(found), Some(net), None) => {
                let (source, destination) = ends(net);
                prop_assert_eq!(found.source, address(source, 0).ip);
                prop_assert_eq!(found.destination, address(destination, 0).ip);
                let (offset, more) = plan.fragment.expect("a fragment");
                prop_assert_eq!((found.offset, found.more), (u32::from(offset) * 8, more));
                prop_assert_eq!(found.id, if plan.v6 { plan.id } else { plan.id & 0xffff });
                prop_assert_eq!(found.payload.len() + found.cut as usize, payload_of_ip(&plan));
            }
            // The segment is found if its options are cut; `etherparse` needs all of its header.
            (Peeled::Segment(found), Some(_), None) => {
                let options = plan.tcp_options * 4;
                prop_assert!(options > 0 && captured < packet.len() - plan.payload.len());
                prop_assert_eq!((found.payload, found.cut as usize), (&[][..], plan.payload.len()));
            }
            (Peeled::Skipped(_), _, None) => {}
            (found, _, transport) => prop_assert!(false, "{found:?} where etherparse finds {transport:?}"),
        }
        // Nothing is lost that is there: all headers are captured, or the packet is skipped as cut.
        if captured == packet.len() {
            prop_assert!(!matches!(peel(LinkType::ETHERNET, bytes, packet.len() as u32), Peeled::Skipped(_)));
        }
    }

    /// `etherparse` puts the same datagram together from the same fragments in the same order, if they do not overlap.
    #[test]
    fn fragments_are_put_together_as_etherparse_does(
        payload in proptest::collection::vec(any::<u8>(), 1..600),
        cuts in proptest::collection::btree_set(1_u16..70, 0..6),
        order in any::<u64>(),
    ) {
        let mut starts: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) * 8).collect();
        starts.retain(|start| *start < payload.len());
        starts.insert(0, 0);
        let ends = starts.iter().skip(1).copied().chain([payload.len()]);
        let mut pieces: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
        // Any order that the seed gives.
        let len = pieces.len();
        for index in 1..len {
            pieces.swap(index, (order.rotate_left(index as u32 * 7) % (index as u64 + 1)) as usize);
        }
        let mut expected = IpDefragBuf::new(IpNumber(6), Vec::new(), Vec::new());
        let mut defragmenter = Defragmenter::default();
        let mut whole = None;
        for (start, end) in pieces {
            let more = end < payload.len();
            let offset = IpFragOffset::try_new(start as u16 / 8).expect("13 bits");
            expected.add(offset, more, &payload[start..end]).expect("no overlaps");
            let fragment = Fragment {
                source: V4.0.ip,
                destination: V4.1.ip,
                protocol: 6,
                id: 7,
                offset: start as u32,
                more,
                payload: &payload[start..end],
                cut: 0,
            };
            whole = defragmenter.push(&raw_packet(), &fragment);
            prop_assert_eq!(whole.is_some(), expected.is_complete());
        }
        prop_assert_eq!(&whole.expect("complete")[20..], &**expected.data());
    }
}

/// How many bytes the IP packet of a plan carries after its extension headers; after a fragment header, further ones
/// belong to the fragment.
fn payload_of_ip(plan: &Plan) -> usize {
    let authentication = if plan.authenticated { 24 } else { 0 };
    20 + plan.tcp_options * 4 + plan.payload.len() + authentication
}

fn raw_packet() -> RawPacket<'static> {
    RawPacket {
        packet: Packet { order: 0, no: PacketNo::new(0, 1) },
        time: Timestamp::default(),
        link: LinkType::ETHERNET,
        data: &[],
        at: Place::NOWHERE,
        original_len: 0,
    }
}

/// What the layered slices of `etherparse` would lose: they are why only its single headers are used.
mod losses {
    use super::*;

    fn finds_tcp(packet: &[u8]) -> bool {
        let sliced = LaxSlicedPacket::from_ip(packet).expect("an IP packet");
        matches!(sliced.transport, Some(TransportSlice::Tcp(_)))
    }

    #[test]
    fn extension_headers_that_etherparse_does_not_follow() {
        for (name, headers) in [
            ("mobility", &[135, 6, 0, 0, 0, 0, 0, 0, 0][..]),
            ("host identity", &[139, 6, 0, 0, 0, 0, 0, 0, 0]),
            ("shim6", &[140, 6, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let (first, headers) = headers.split_first().expect("a number");
            let packet = ipv6(*first, &[headers, &TCP].concat());
            assert!(!finds_tcp(&packet), "etherparse follows {name}");
            super::super::samples::assert_peels_v6(LinkType::IPV6, &packet);
        }
    }

    #[test]
    fn authentication_headers_without_data() {
        // RFC 1826 §3.1: a length of 0, for the null algorithm.
        let packet = ipv4(51, &[&[6, 0, 0, 0, 0, 0, 0, 1][..], &TCP].concat());
        assert!(!finds_tcp(&packet), "etherparse refuses the length 0");
        assert_peels(LinkType::IPV4, &packet);
    }

    #[test]
    fn segments_whose_options_are_cut() {
        let packet = ipv4(6, &TCP);
        let cut = &packet[..20 + 22]; // in the middle of the TCP options
        assert!(!finds_tcp(cut), "etherparse needs the whole TCP header");
        let Peeled::Segment(found) = peel(LinkType::IPV4, cut, packet.len() as u32) else { panic!("no segment") };
        assert_eq!((found.source, found.payload, found.cut), (V4.0, &[][..], 11));
    }

    #[test]
    fn ip_in_ip() {
        let packet = ipv4(4, &ipv4(6, &TCP));
        assert!(!finds_tcp(&packet), "etherparse reads no tunnels");
        assert_peels(LinkType::IPV4, &packet);
        let packet = ipv4(41, &ipv6(6, &TCP));
        let Peeled::Segment(found) = peel_datagram(&packet) else { panic!("no segment") };
        assert_eq!(found.source, V6.0);
    }
}
