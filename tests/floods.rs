//! Connections that were captured twice, and honest traffic beside floods: the recording of the shop is read as before.

mod support;

use support::environment;
use support::pcap::{Capture, Packet};
use support::run::run;
use support::shop::{self, Shop};

/// The packets of the shop's recording.
fn recording() -> Capture {
    Capture::read(&shop::directory().join("shop.pcap"))
}

/// The calls of a capture, and what was reported on standard error.
fn calls(capture: &Capture, more: &[&str]) -> (Vec<serde_json::Value>, String) {
    let directory = environment::temporary();
    let path = directory.path().join("capture.pcap");
    capture.write(&path);
    let mut arguments = vec!["calls".to_owned(), "--json".to_owned(), path.display().to_string()];
    arguments.extend(shop::schema());
    arguments.extend(more.iter().map(|&argument| argument.to_owned()));
    let run = run(&arguments);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let calls = run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (calls, run.stderr)
}

/// An Ethernet packet with a TCP segment over IPv4.
fn tcp(time: u64, source: [u8; 4], port: u16, seq: u32, flags: u8, payload: &[u8]) -> Packet {
    let mut bytes = vec![2; 12]; // two addresses
    bytes.extend([0x08, 0x00]); // IPv4
    let length = (40 + payload.len()) as u16;
    bytes.extend([0x45, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 6, 0, 0]); // identification, fragment, time to live, TCP, checksum
    bytes.extend(source);
    bytes.extend([10, 9, 9, 9]);
    bytes.extend(port.to_be_bytes());
    bytes.extend(50_051_u16.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    Packet { time, length: bytes.len() as u32, bytes }
}

/// Puts packets of a flood between those of the recording.
fn beside(recording: &Capture, each: usize, mut flood: impl FnMut(u64, u32) -> Packet) -> Capture {
    let mut packets = Vec::new();
    let mut no = 0;
    for packet in &recording.packets {
        for _ in 0..each {
            packets.push(flood(packet.time, no));
            no += 1;
        }
        packets.push(packet.clone());
    }
    assert_eq!(recording.link_type, 1, "Ethernet");
    recording.with(packets)
}

fn address(no: u32) -> [u8; 4] {
    let [_, a, b, c] = (no / 60_000 + 1).to_be_bytes();
    [11, a, b, c]
}

#[test]
fn a_flood_of_syns_beside_the_shop_leaves_its_calls_as_they_were() {
    let flood = beside(&recording(), 100, |time, no| tcp(time, address(no), (no % 60_000) as u16, no, 0x02, b""));
    let (calls, report) = calls(&flood, &["--memory", "4M"]);
    Shop::load().check_whole("beside a flood of SYNs", &calls);
    assert!(report.contains("the memory budget of 4.0 MiB (--memory) was exceeded: forgot "), "{report}");
}

#[test]
fn a_flood_of_data_out_of_order_beside_the_shop_leaves_its_calls_as_they_were() {
    let payload = [b'x'; 1200];
    let flood = beside(&recording(), 25, |time, no| {
        tcp(time, address(no), (no % 5000) as u16, 1000 + no / 5000 * 5000, 0x10, &payload)
    });
    let (calls, report) = calls(&flood, &["--memory", "4M"]);
    Shop::load().check_whole("beside a flood of data out of order", &calls);
    assert!(report.contains("of out-of-order data"), "{report}");
}

#[test]
fn the_shop_captured_at_both_ends_is_one_connection_however_the_clocks_differ() {
    let recording = recording();
    for delay in [0, 1_000, 1_000_000, 70_000_000, 1_000_000_000, 3_600_000_000_000] {
        let copies = recording.packets.iter().map(|packet| Packet { time: packet.time + delay, ..packet.clone() });
        let mut packets: Vec<Packet> = recording.packets.iter().cloned().chain(copies).collect();
        packets.sort_by_key(|packet| packet.time);
        let merged = recording.with(packets);
        let (calls, _) = calls(&merged, &[]);
        Shop::load().check_whole(&format!("captured twice, {delay} ns apart"), &calls);
        let directory = environment::temporary();
        let path = directory.path().join("capture.pcap");
        merged.write(&path);
        let connections = run(&["connections", "--json", &path.display().to_string()]).stdout;
        assert_eq!(connections.lines().count(), 1);
        assert_eq!(connections.matches("captured-twice").count(), 1, "{delay} ns: {connections}");
    }
}

/// The packets of the two directions come from two captures, and the clock of the client's is an hour fast.
#[test]
fn a_negative_duration_has_a_note_that_says_why() {
    let mut recording = recording();
    for packet in &mut recording.packets {
        // Behind Ethernet and IPv4 without options comes the destination port.
        if packet.bytes[36..38] == 50_051_u16.to_be_bytes() {
            packet.time += 3_600_000_000_000;
        }
    }
    recording.packets.sort_by_key(|packet| packet.time);
    let (calls, _) = calls(&recording, &[]);
    let negative: Vec<_> = calls.iter().filter(|call| call["duration_ns"].as_i64().is_some_and(|ns| ns < 0)).collect();
    assert!(!negative.is_empty());
    for call in negative {
        let notes = call["notes"].as_array().expect("notes");
        assert!(notes.iter().any(|note| note["kind"] == "negative-duration"), "{call}");
    }
}
