//! Packets for tests, built from the inside out, and what must come out of them however they are cut.

use super::{Peeled, Skip, peel};
use crate::{Address, LinkType, Segment, TcpFlags};

/// A TCP segment with an option.
pub(super) const TCP: [u8; 35] = [
    0xa3, 0x6a, // source port 41834
    0xc3, 0x83, // destination port 50051
    0x01, 0x02, 0x03, 0x04, // sequence number
    0xf1, 0xf2, 0xf3, 0xf4, // acknowledgment number
    0x60, // header of 6 words
    0x18, // ACK, PSH
    0x01, 0xf5, // window 501
    0xba, 0xad, // checksum, wrong
    0x00, 0x00, // urgent pointer
    0x02, 0x04, 0x05, 0xb4, // option: segment size 1460
    b'h', b'e', b'l', b'l', b'o', b' ', b'w', b'o', b'r', b'l', b'd',
];

/// How many bytes of options it has.
const TCP_OPTIONS: usize = 4;

pub(super) const PAYLOAD: &[u8] = b"hello world";

pub(super) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[2, 0, 0, 0, 0, 1][..],   // destination
        &[2, 0, 0, 0, 0, 2],       // source
        &ether_type.to_be_bytes(), // type
        payload,
    ]
    .concat()
}

pub(super) fn tag(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[0x20, 0x2a][..],         // priority 1, VLAN 42
        &ether_type.to_be_bytes(), // type
        payload,
    ]
    .concat()
}

pub(super) fn pppoe_session(payload: &[u8]) -> Vec<u8> {
    [
        &[0x11][..],                           // version 1, type 1
        &[0x00],                               // code: session data
        &[0x00, 0x09],                         // session
        &(payload.len() as u16).to_be_bytes(), // length
        payload,
    ]
    .concat()
}

pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(protocol, 0x0000, payload)
}

pub(super) fn ipv4_fragment(protocol: u8, flags_offset: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[0x45][..],                                // version 4, header of 5 words
        &[0x00],                                    // type of service
        &(20 + payload.len() as u16).to_be_bytes(), // length
        &[0x12, 0x34],                              // id
        &flags_offset.to_be_bytes(),                // flags and offset
        &[0x40],                                    // hops
        &[protocol],                                // protocol
        &[0xba, 0xad],                              // checksum, wrong
        &[10, 0, 0, 1],                             // source
        &[10, 0, 0, 2],                             // destination
        payload,
    ]
    .concat()
}

pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    [
        &[0x60, 0x00, 0x00, 0x00][..],                        // version 6, class, label
        &(payload.len() as u16).to_be_bytes(),                // length
        &[next],                                              // next header
        &[0x40],                                              // hops
        &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], // source
        &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], // destination
        payload,
    ]
    .concat()
}

pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[0xd4, 0x31][..],                         // source port
        &port.to_be_bytes(),                       // destination port
        &(8 + payload.len() as u16).to_be_bytes(), // length
        &[0x00, 0x00],                             // checksum: none
        payload,
    ]
    .concat()
}

/// The addresses of [`ipv4`] with the ports of [`TCP`].
pub(super) const V4: (Address, Address) = (Address::v4([10, 0, 0, 1], 41834), Address::v4([10, 0, 0, 2], 50051));

/// The addresses of [`ipv6`] with the ports of [`TCP`].
pub(super) const V6: (Address, Address) = (
    Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 41834),
    Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], 50051),
);

/// [`TCP`] comes out of a packet with [`ipv4`], also with bytes after it and cut anywhere.
#[track_caller]
pub(super) fn assert_peels(link: LinkType, packet: &[u8]) {
    assert_peels_between(link, packet, V4);
}

/// [`TCP`] comes out of a packet with [`ipv6`], also with bytes after it and cut anywhere.
#[track_caller]
pub(super) fn assert_peels_v6(link: LinkType, packet: &[u8]) {
    assert_peels_between(link, packet, V6);
}

#[track_caller]
fn assert_peels_between(link: LinkType, packet: &[u8], ends: (Address, Address)) {
    assert_segment(segment(peel(link, packet, packet.len() as u32)), packet, ends, PAYLOAD.len());
    let padded = [packet, &[0xee; 9]].concat();
    assert_segment(segment(peel(link, &padded, padded.len() as u32)), packet, ends, PAYLOAD.len());
    assert_cuts(link, packet, ends);
}

/// However `packet` is cut: either nothing, or as much of [`PAYLOAD`] as is there and the number of bytes that are not.
/// What the options say is not needed for that.
#[track_caller]
pub(super) fn assert_cuts(link: LinkType, packet: &[u8], ends: (Address, Address)) {
    for len in 0..packet.len() {
        let captured = (len + PAYLOAD.len()).checked_sub(packet.len());
        let is_in_options = captured.is_none() && len + PAYLOAD.len() + TCP_OPTIONS >= packet.len();
        let captured = captured.or(is_in_options.then_some(0));
        match (peel(link, &packet[..len], packet.len() as u32), captured) {
            (Peeled::Segment(found), Some(captured)) => assert_segment(found, packet, ends, captured),
            (Peeled::Skipped(Skip::Cut(_)), None) => {}
            (found, _) => panic!("cut to {len} bytes: {found:?}"),
        }
        // A tool that says of a cut packet that nothing is missing.
        match peel(link, &packet[..len], len as u32) {
            Peeled::Segment(found) => assert!(PAYLOAD.starts_with(found.payload), "cut to {len} bytes: {found:?}"),
            Peeled::Skipped(_) => {}
            Peeled::Fragment(found) => panic!("cut to {len} bytes: {found:?}"),
        }
    }
}

#[track_caller]
pub(super) fn assert_segment(found: Segment<'_>, packet: &[u8], ends: (Address, Address), captured: usize) {
    assert_eq!((found.source, found.destination), ends);
    assert_eq!((found.seq, found.ack, found.window), (0x0102_0304, 0xf1f2_f3f4, 501));
    assert_eq!(found.flags, TcpFlags(0x18));
    assert_eq!(found.payload, &PAYLOAD[..captured]);
    assert_eq!(found.cut as usize, PAYLOAD.len() - captured);
    // Nothing lies where the packet ends, at the latest.
    let at = packet.len() - PAYLOAD.len();
    assert!(found.payload_at as usize == at || captured == 0 && (found.payload_at as usize) < at);
}

#[track_caller]
pub(super) fn assert_skips(link: LinkType, packet: &[u8], why: Skip) {
    match peel(link, packet, packet.len() as u32) {
        Peeled::Skipped(found) => assert_eq!(found, why),
        found => panic!("{found:?}"),
    }
}

#[track_caller]
pub(super) fn segment(peeled: Peeled<'_>) -> Segment<'_> {
    match peeled {
        Peeled::Segment(segment) => segment,
        found => panic!("{found:?}"),
    }
}
