//! Packets around bytes that were never sent in any: Ethernet, IPv4 (RFC 791) or IPv6 (RFC 8200) and TCP (RFC 9293),
//! built by `etherparse`.

use std::io;
use std::net::{IpAddr, SocketAddr};

use etherparse::{IpHeaders, Ipv4Header, Ipv6Header, PacketBuilder, TcpHeader, TcpOptions, ip_number};

use crate::TcpFlags;

/// What differs from segment to segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// Whether the client sends, for the Ethernet addresses.
    pub(super) by_client: bool,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: TcpFlags,
    /// The identification field, for IPv4.
    pub(super) id: u16,
}

/// The longest payload of one segment: it leaves room for the headers in the 16-bit lengths of IPv4 and IPv6.
pub(super) const MAX_SEGMENT: usize = 60 * 1024;

/// Writes the packet that carries `payload` into `buffer`, in place of what is there.
///
/// # Errors
///
/// If `payload` has more than [`MAX_SEGMENT`] bytes and does not fit into a packet.
pub(super) fn packet(header: &Header, payload: &[u8], buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    let (from, to) = match header.by_client {
        true => (CLIENT_MAC, SERVER_MAC),
        false => (SERVER_MAC, CLIENT_MAC),
    };
    let builder = PacketBuilder::ethernet2(from, to).ip(ip_headers(header)).tcp_header(tcp_header(header));
    builder.write(buffer, payload).map_err(io::Error::other)
}

/// If one end has an IPv6 address, the packet is an IPv6 packet, and the other end's IPv4 address is mapped.
fn ip_headers(header: &Header) -> IpHeaders {
    match (header.source.ip(), header.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = Ipv4Header {
                identification: header.id,
                dont_fragment: true,
                time_to_live: HOP_LIMIT,
                protocol: ip_number::TCP,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv4Header::default()
            };
            IpHeaders::Ipv4(header, Default::default())
        }
        (source, destination) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let header = Ipv6Header {
                next_header: ip_number::TCP,
                hop_limit: HOP_LIMIT,
                source: octets(source),
                destination: octets(destination),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, Default::default())
        }
    }
}

fn tcp_header(header: &Header) -> TcpHeader {
    let options = match header.flags.has(TcpFlags::SYN) {
        true => TcpOptions::from(SYN_OPTIONS),
        false => TcpOptions::default(),
    };
    TcpHeader {
        acknowledgment_number: header.ack,
        fin: header.flags.has(TcpFlags::FIN),
        syn: header.flags.has(TcpFlags::SYN),
        rst: header.flags.has(TcpFlags::RST),
        psh: header.flags.has(TcpFlags::PSH),
        ack: header.flags.has(TcpFlags::ACK),
        options,
        ..TcpHeader::new(header.source.port(), header.destination.port(), header.seq, WINDOW)
    }
}

/// Locally administered addresses.
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

const HOP_LIMIT: u8 = 64;

/// With the scale below a window of a gigabyte, so that it never looks full.
const WINDOW: u16 = 0xffff;

const SYN_OPTIONS: [u8; 8] = [
    2,
    4, // maximum segment size, 4 bytes
    (MAX_SEGMENT >> 8) as u8,
    MAX_SEGMENT as u8,
    1, // no operation
    3,
    3,
    14, // window scale, 3 bytes, 2^14: the largest
];

#[cfg(test)]
mod tests {
    use super::*;

    fn header(source: &str, destination: &str) -> Header {
        Header {
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
            by_client: true,
            seq: 1,
            ack: 2,
            flags: TcpFlags::ACK,
            id: 3,
        }
    }

    /// RFC 1071 §4.1, word by word: what a receiver computes over a right packet is zero.
    fn plain_sum(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn checksums_are_what_a_receiver_expects() {
        for payload in [b"".as_slice(), b"a", b"abc", &[0xff; 1001], &[0; 61440]] {
            let mut packet = Vec::new();
            super::packet(&header("10.0.0.7:41834", "10.0.0.8:50051"), payload, &mut packet).expect("it fits");
            assert!(packet.ends_with(payload));
            assert_eq!(plain_sum(&packet[14..34]), 0);
            let tcp_len = (packet.len() - 34) as u16;
            let pseudo = [&packet[26..34], &[0, 6], &tcp_len.to_be_bytes(), &packet[34..]].concat();
            assert_eq!(plain_sum(&pseudo), 0);

            super::packet(&header("[fd72:7063::1]:1", "1.2.3.4:2"), payload, &mut packet).expect("it fits");
            assert!(packet.ends_with(payload));
            let tcp_len = (packet.len() - 54) as u16;
            let pseudo = [&packet[22..54], &[0, 6], &tcp_len.to_be_bytes(), &packet[54..]].concat();
            assert_eq!(plain_sum(&pseudo), 0);
        }
    }

    #[test]
    fn a_packet_is_laid_out_as_the_rfcs_say() {
        let syn = Header { flags: TcpFlags::SYN, ack: 0, ..header("10.0.0.7:41834", "10.0.0.8:50051") };
        let mut packet = Vec::new();
        super::packet(&syn, b"", &mut packet).expect("it fits");
        let expected = [
            &[2, 0, 0, 0, 0, 2][..], // destination
            &[2, 0, 0, 0, 0, 1],     // source
            &[0x08, 0x00],           // type: IPv4
            &[0x45, 0],              // version 4, 5 words; no service class
            &[0, 48],                // length
            &[0, 3],                 // identification
            &[0x40, 0],              // do not fragment
            &[64, 6],                // hop limit; TCP
            &[0x26, 0xb7],           // checksum
            &[10, 0, 0, 7],          // source
            &[10, 0, 0, 8],          // destination
            &[0xa3, 0x6a],           // source port
            &[0xc3, 0x83],           // destination port
            &[0, 0, 0, 1],           // sequence number
            &[0, 0, 0, 0],           // acknowledgment number
            &[0x70, 0x02],           // 7 words; SYN
            &[0xff, 0xff],           // window
            &[0x1e, 0xc7],           // checksum
            &[0, 0],                 // urgent pointer
            &[2, 4, 0xf0, 0x00],     // maximum segment size: 61440
            &[1, 3, 3, 14],          // no operation; window scale
        ];
        assert_eq!(packet, expected.concat());
    }

    #[test]
    fn the_longest_segment_fits_its_length_fields() {
        assert!(MAX_SEGMENT + 20 + 28 <= usize::from(u16::MAX));
        let mut packet = Vec::new();
        super::packet(&header("10.0.0.7:1", "10.0.0.8:2"), &[1; MAX_SEGMENT], &mut packet).expect("it fits");
        assert_eq!(u16::from_be_bytes([packet[16], packet[17]]) as usize, MAX_SEGMENT + 40);
    }
}
