//! Ethernet, IPv4 (RFC 791) or IPv6 (RFC 8200) and TCP (RFC 9293) headers around bytes that never had any.

use std::net::{IpAddr, SocketAddr};

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

/// The headers of the packet that carries `payload`, in `buffer`. Both ends are of one family; `payload` has at most
/// [`MAX_SEGMENT`] bytes.
pub(super) fn headers(header: &Header, payload: &[u8], buffer: &mut Vec<u8>) {
    buffer.clear();
    let options: &[u8] = match header.flags.has(TcpFlags::SYN) {
        true => &SYN_OPTIONS,
        false => &[],
    };
    let tcp_len = 20 + options.len() + payload.len();

    let (from, to) = match header.by_client {
        true => (CLIENT_MAC, SERVER_MAC),
        false => (SERVER_MAC, CLIENT_MAC),
    };
    buffer.extend_from_slice(&to);
    buffer.extend_from_slice(&from);

    let mut sum = Sum::default();
    match (header.source.ip(), header.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            buffer.extend_from_slice(&0x0800u16.to_be_bytes());
            let at = buffer.len();
            buffer.extend_from_slice(&[0x45, 0]); // version 4, 5 words; no service class
            buffer.extend_from_slice(&(20 + tcp_len as u16).to_be_bytes());
            buffer.extend_from_slice(&header.id.to_be_bytes());
            buffer.extend_from_slice(&0x4000u16.to_be_bytes()); // do not fragment
            buffer.extend_from_slice(&[64, 6]); // hop limit; TCP
            buffer.extend_from_slice(&[0; 2]); // checksum
            buffer.extend_from_slice(&source.octets());
            buffer.extend_from_slice(&destination.octets());
            let mut ip = Sum::default();
            ip.add(&buffer[at..]);
            buffer[at + 10..at + 12].copy_from_slice(&ip.checksum());
            sum.add(&source.octets());
            sum.add(&destination.octets());
        }
        (source, destination) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            buffer.extend_from_slice(&0x86ddu16.to_be_bytes());
            buffer.extend_from_slice(&[0x60, 0, 0, 0]); // version 6; no traffic class, no flow label
            buffer.extend_from_slice(&(tcp_len as u16).to_be_bytes());
            buffer.extend_from_slice(&[6, 64]); // TCP; hop limit
            buffer.extend_from_slice(&octets(source));
            buffer.extend_from_slice(&octets(destination));
            sum.add(&octets(source));
            sum.add(&octets(destination));
        }
    }
    // The rest of the pseudo header: protocol 6 and the TCP length.
    sum.add(&[0, 6]);
    sum.add(&(tcp_len as u16).to_be_bytes());

    let at = buffer.len();
    buffer.extend_from_slice(&header.source.port().to_be_bytes());
    buffer.extend_from_slice(&header.destination.port().to_be_bytes());
    buffer.extend_from_slice(&header.seq.to_be_bytes());
    buffer.extend_from_slice(&header.ack.to_be_bytes());
    buffer.extend_from_slice(&[((5 + options.len() / 4) << 4) as u8, header.flags.0]);
    buffer.extend_from_slice(&WINDOW.to_be_bytes());
    buffer.extend_from_slice(&[0; 4]); // checksum; urgent pointer
    buffer.extend_from_slice(options);
    sum.add(&buffer[at..]);
    sum.add(payload);
    buffer[at + 16..at + 18].copy_from_slice(&sum.checksum());
}

/// Locally administered addresses.
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

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

/// The Internet checksum (RFC 1071): a ones' complement sum of 16-bit words, which may be summed in the machine's own
/// byte order, and in words of 32 bits folded at the end.
#[derive(Default)]
struct Sum(u64);

impl Sum {
    /// Adds bytes; all but the last have an even length.
    fn add(&mut self, bytes: &[u8]) {
        let words = bytes.chunks_exact(4);
        let rest = words.remainder();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let sum: u64 = words.map(|word| u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))).sum();
        self.0 += sum + u64::from(u32::from_ne_bytes(last));
    }

    fn checksum(&self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        (!(sum as u16)).to_ne_bytes()
    }
}

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
            headers(&header("10.0.0.7:41834", "10.0.0.8:50051"), payload, &mut packet);
            packet.extend_from_slice(payload);
            assert_eq!(plain_sum(&packet[14..34]), 0);
            let tcp_len = (packet.len() - 34) as u16;
            let pseudo = [&packet[26..34], &[0, 6], &tcp_len.to_be_bytes(), &packet[34..]].concat();
            assert_eq!(plain_sum(&pseudo), 0);

            headers(&header("[fd72:7063::1]:1", "[::ffff:1.2.3.4]:2"), payload, &mut packet);
            packet.extend_from_slice(payload);
            let tcp_len = (packet.len() - 54) as u16;
            let pseudo = [&packet[22..54], &[0, 6], &tcp_len.to_be_bytes(), &packet[54..]].concat();
            assert_eq!(plain_sum(&pseudo), 0);
        }
    }

    #[test]
    fn the_longest_segment_fits_its_length_fields() {
        assert!(MAX_SEGMENT + 20 + 28 <= usize::from(u16::MAX));
        let mut packet = Vec::new();
        headers(&header("10.0.0.7:1", "10.0.0.8:2"), &[1; MAX_SEGMENT], &mut packet);
        assert_eq!(u16::from_be_bytes([packet[16], packet[17]]) as usize, MAX_SEGMENT + 40);
    }
}
