//! Connections that were captured twice, and honest traffic beside floods: the recording of the shop is read as before.

mod support;

use support::environment;
#[cfg(target_os = "linux")]
use support::memory::{self, Feed};
use support::pcap::{Capture, Packet};
use support::run::run;
use support::shop::{self, Shop};
#[cfg(target_os = "linux")]
use support::traffic::{ACK, Client, SYN, ip_header};
use support::traffic::{CLIENT_PREFACE, fields, frame};

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

/// The packets of the recording that are long enough, each in two fragments (RFC 791 §3.2).
fn fragmented(recording: &Capture) -> Capture {
    let mut packets = Vec::new();
    for (no, packet) in recording.packets.iter().enumerate() {
        // Behind Ethernet: IPv4 without options.
        let (header, payload) = packet.bytes.split_at(34);
        if payload.len() < 64 {
            packets.push(packet.clone());
            continue;
        }
        let (first, last) = payload.split_at(payload.len() / 16 * 8);
        for (offset, piece) in [(0x2000, first), (first.len() / 8, last)] {
            let mut bytes = header.to_vec();
            bytes[16..18].copy_from_slice(&(20 + piece.len() as u16).to_be_bytes());
            bytes[18..20].copy_from_slice(&(no as u16).to_be_bytes());
            bytes[20..22].copy_from_slice(&(offset as u16).to_be_bytes());
            bytes.extend(piece);
            packets.push(Packet { time: packet.time, length: bytes.len() as u32, bytes });
        }
    }
    recording.with(packets)
}

#[test]
fn a_flood_of_fragments_beside_the_fragmented_shop_leaves_its_calls_as_they_were() {
    let recording = fragmented(&recording());
    let flood = beside(&recording, 25, |time, no| {
        let mut packet = tcp(time, address(no), 0, 0, 0, &[b'x'; 1180]);
        packet.bytes[18..20].copy_from_slice(&(no as u16).to_be_bytes());
        packet.bytes[20..22].copy_from_slice(&[0x20, 0]); // more fragments
        packet
    });
    let (calls, report) = calls(&flood, &["--memory", "4M"]);
    Shop::load().check_whole("beside a flood of fragments", &calls);
    assert!(report.contains("the memory budget of 4.0 MiB (--memory) was exceeded: dropped "), "{report}");
    assert!(report.contains(" incomplete IP datagrams ("), "{report}");
}

#[test]
fn a_flood_of_unfinished_header_blocks_beside_the_shop_leaves_its_calls_as_they_were() {
    const CONNECTIONS: u32 = 200;
    let mut sent = [0_u32; CONNECTIONS as usize];
    let flood = beside(&recording(), 25, |time, no| {
        let (connection, step) = (no % CONNECTIONS, no / CONNECTIONS);
        let at = &mut sent[connection as usize];
        let (flags, payload) = match step {
            0 => (0x02, Vec::new()),
            1 => (0x10, [CLIENT_PREFACE, &frame(1, 0, 1, &fields(&[(":method", "POST")]))].concat()),
            // CONTINUATION, which is never the last.
            _ => (0x10, frame(9, 0, 1, &fields(&[("x", "y")]).repeat(250))),
        };
        let packet = tcp(time, address(connection * 60_000), 5000, *at, flags, &payload);
        *at += if step == 0 { 1 } else { payload.len() as u32 };
        packet
    });
    let (calls, report) = calls(&flood, &["--memory", "4M"]);
    Shop::load().check_whole("beside a flood of unfinished header blocks", &calls);
    assert!(report.contains(" unfinished header blocks and messages ("), "{report}");
    // The connections whose blocks were dropped say so.
    let directory = environment::temporary();
    let path = directory.path().join("capture.pcap");
    flood.write(&path);
    let run = run(&["connections", "--json", "--memory", "4M", &path.display().to_string()]);
    let noted =
        run.values().iter().filter(|connection| connection["notes"].to_string().contains("memory-limit")).count();
    assert!(noted > 50, "{noted} connections have a note");
}

/// Reads calls while `flood` makes packets between the two halves of an honest one. Returns what was reported on standard error
/// and the most memory that was in use, in MiB.
#[cfg(target_os = "linux")]
fn flooded(flood: impl FnOnce(&mut Feed)) -> (String, u64) {
    let outcome = memory::reading(&["calls", "--json", "-"], |feed| {
        let honest = &mut Client::new(u32::MAX);
        feed.traffic.open(honest);
        flood(feed);
        feed.traffic.call(honest, 1, "/honest.Service/Call", b"request", b"response");
        feed.traffic.close(honest);
    });
    let calls: Vec<serde_json::Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let honest = calls.iter().filter(|call| call["service"] == "honest.Service").collect::<Vec<_>>();
    assert_eq!(honest.len(), 1);
    assert_eq!((&honest[0]["outcome"], &honest[0]["notes"]), (&"ok".into(), &serde_json::json!([])), "{}", honest[0]);
    println!("at most {} MiB", outcome.peak >> 10);
    (outcome.stderr, outcome.peak >> 10)
}

#[cfg(target_os = "linux")]
#[test]
fn a_million_syns_take_no_more_memory_than_the_budget_allows() {
    let (report, peak) = flooded(|feed| {
        for no in 0..1_000_000 {
            feed.traffic.packet(&mut Client::new(no), false, SYN, b"");
            feed.flush(1 << 16);
        }
    });
    assert!(report.contains("connections that had only sent a SYN"), "{report}");
    assert!(peak < 400, "{peak} MiB");
}

/// 600 MB of header blocks without an end, on 50 connections.
#[cfg(target_os = "linux")]
#[test]
fn unfinished_header_blocks_of_fifty_connections_take_no_more_memory_than_the_budget_allows() {
    let block = fields(&[("name", "value")]).repeat(1200);
    let (report, peak) = flooded(|feed| {
        let mut clients: Vec<_> = (0..50).map(Client::new).collect();
        for client in &mut clients {
            feed.traffic.open(client);
            feed.traffic.packet(client, false, ACK, &frame(1, 0, 1, &fields(&[(":method", "POST")])));
        }
        let continuations = frame(9, 0, 1, &block).repeat(4);
        for _ in 0..230 {
            for client in &mut clients {
                feed.traffic.packet(client, false, ACK, &continuations);
                feed.flush(1 << 16);
            }
        }
    });
    assert!(report.contains(" unfinished header blocks and messages ("), "{report}");
    assert!(peak < 400, "{peak} MiB");
}

/// 400,000 datagrams of which only the first fragment came.
#[cfg(target_os = "linux")]
#[test]
fn fragments_take_no_more_memory_than_the_budget_allows() {
    let (report, peak) = flooded(|feed| {
        for no in 0..400_000_u32 {
            let [_, a, b, c] = (no >> 16).to_be_bytes();
            let header = ip_header([[12, a, b, c], [11, 0, 0, 1]], no as u16, 0x2000, 800);
            feed.traffic.datagram(&[&header, &[b'x'; 800]]);
            feed.flush(1 << 16);
        }
    });
    assert!(report.contains(" incomplete IP datagrams ("), "{report}");
    assert!(peak < 100, "{peak} MiB");
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
