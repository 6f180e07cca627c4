//! What it costs to peel a packet down to its TCP segment: `cargo bench -p rpcshark-captures --bench packet`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rpcshark_captures::{LinkType, Peeled, peel};

/// Packets a round, so that the figures are those of many calls in a row.
const PACKETS: usize = 10_000;

fn main() {
    divan::main();
}

#[divan::bench]
fn ethernet_ipv4(bencher: Bencher<'_, '_>) {
    run(bencher, LinkType::ETHERNET, &ethernet(&ipv4(6, &tcp())));
}

#[divan::bench]
fn ethernet_ipv6(bencher: Bencher<'_, '_>) {
    let head = [0x60, 0, 0, 0, 0, tcp().len() as u8, 6, 64]; // version, class, label; length, next header, hops
    let ip = [&head[..], &[1; 16], &[2; 16], &tcp()].concat();
    run(bencher, LinkType::ETHERNET, &[&[0; 12][..], &[0x86, 0xdd], &ip].concat());
}

#[divan::bench]
fn sll_ipv4(bencher: Bencher<'_, '_>) {
    let head = [0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x00]; // kind, device, address, protocol
    run(bencher, LinkType::LINUX_SLL, &[&head[..], &ipv4(6, &tcp())].concat());
}

#[divan::bench]
fn vxlan(bencher: Bencher<'_, '_>) {
    let inner = ethernet(&ipv4(6, &tcp()));
    let head = [0xd4, 0x31, 0x12, 0xb5, 0, 16 + inner.len() as u8, 0, 0, 8, 0, 0, 0, 0, 0, 42, 0]; // UDP, VXLAN
    run(bencher, LinkType::ETHERNET, &ethernet(&ipv4(17, &[&head[..], &inner].concat())));
}

fn run(bencher: Bencher<'_, '_>, link: LinkType, packet: &[u8]) {
    assert!(matches!(peel(link, packet, packet.len() as u32), Peeled::Segment(_)));
    bencher.counter(ItemsCount::new(PACKETS)).bench(|| {
        for _ in 0..PACKETS {
            black_box(&peel(black_box(link), black_box(packet), black_box(packet.len() as u32)));
        }
    });
}

fn ethernet(payload: &[u8]) -> Vec<u8> {
    [&[0; 12][..], &[0x08, 0x00], payload].concat() // addresses, type: IPv4
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len() as u16).to_be_bytes();
    let head = [0x45, 0, len[0], len[1], 0, 7, 0x40, 0, 64, protocol, 0, 0]; // .., length, id, flags, hops, ..
    [&head[..], &[10, 0, 0, 1], &[10, 0, 0, 2], payload].concat()
}

/// A header with timestamps, and 64 bytes of payload.
fn tcp() -> Vec<u8> {
    let head = [0xa3, 0x6a, 0xc3, 0x83, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x18, 1, 0xf5, 0, 0, 0, 0];
    [&head[..], &[1, 1, 8, 10, 0, 0, 0, 3, 0, 0, 0, 4], &[0; 64]].concat()
}
