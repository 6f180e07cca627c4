//! How long the program takes, from a capture to calls: a recorded connection again and again, with other ports.

use std::io::Write;
use std::process::{Command, Stdio};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tempfile::NamedTempFile;

fn main() {
    divan::main();
}

/// One connection with 74 calls.
const RECORDED: &[u8] = include_bytes!("../tests/captures/shop/shop.pcap");

/// The port of its client.
const CLIENT: [u8; 2] = 41542_u16.to_be_bytes();

/// Calls of each connection.
const CALLS: u32 = 74;

/// Connections, about 32 MB.
const CONNECTIONS: u16 = 150;

/// A capture of [`CONNECTIONS`], all at once: packet by packet.
fn capture() -> NamedTempFile {
    let (header, mut rest) = RECORDED.split_at(24);
    let mut packets = Vec::new();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        let (packet, behind) = rest.split_at(16 + length as usize);
        packets.push(packet.to_vec());
        rest = behind;
    }
    let mut file = NamedTempFile::new().expect("a temporary file");
    let mut bytes = header.to_vec();
    for packet in &mut packets {
        // In the record: 16 bytes of its header, 14 of Ethernet, 20 of IPv4, then the ports.
        let at = if packet[50..52] == CLIENT { 50 } else { 52 };
        for connection in 0..CONNECTIONS {
            packet[at..at + 2].copy_from_slice(&(10_000 + connection).to_be_bytes());
            bytes.extend_from_slice(packet);
        }
    }
    file.write_all(&bytes).expect("room for a temporary file");
    file
}

#[divan::bench(args = ["text", "json", "json with its schema"], sample_count = 20)]
fn calls(bencher: Bencher, output: &str) {
    let capture = capture();
    let size = capture.as_file().metadata().expect("a file").len();
    let options: &[&str] = match output {
        "text" => &[],
        "json" => &["--json"],
        _ => &["--json", "--proto", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/shop/shop.proto")],
    };
    let bencher = bencher.counter(BytesCount::new(size)).counter(ItemsCount::new(CALLS * u32::from(CONNECTIONS)));
    bencher.bench_local(|| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_rpcshark"));
        let program = program.arg("calls").args(options).arg(capture.path()).stdout(Stdio::null());
        assert!(program.status().expect("the program").success());
    });
}
