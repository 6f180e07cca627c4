//! Memory over a stream without end: what has ended and was printed takes none.
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use support::run::rpcshark;

/// Calls on each connection of the stream.
const CALLS: u32 = 100;

/// A pcap stream of connections one after the other, each with [`CALLS`] calls. No two calls have the same headers, and each
/// message lies in two frames.
struct Stream {
    bytes: Vec<u8>,
    connection: u32,
    time: u64,
}

/// Raw IP packets.
const LINK_RAW: u32 = 101;

const SYN: u8 = 2;
const ACK: u8 = 0x10;
const FIN: u8 = 1;

impl Stream {
    fn new() -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0]); // version 2.4
        for field in [0, 0, 1 << 18, LINK_RAW] {
            bytes.extend(u32::to_le_bytes(field)); // zone, accuracy, snap length, link type
        }
        Self { bytes, connection: 0, time: 1_700_000_000_000_000 }
    }

    fn packet(&mut self, seq: &mut [u32; 2], to_client: bool, flags: u8, payload: &[u8]) {
        self.time += 10;
        let length = 40 + payload.len() as u32;
        let seconds = (self.time / 1_000_000) as u32;
        for field in [seconds, (self.time % 1_000_000) as u32, length, length] {
            self.bytes.extend(field.to_le_bytes());
        }
        self.bytes.extend([0x45, 0]);
        self.bytes.extend((length as u16).to_be_bytes());
        self.bytes.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        let [_, a, b, c] = (self.connection / 50_000).to_be_bytes();
        let client = ([10, a, b, c], 1024 + (self.connection % 50_000) as u16);
        let ends = [client, ([11, 0, 0, 1], 50_051)];
        let [from, to] = if to_client { [ends[1], ends[0]] } else { ends };
        self.bytes.extend(from.0);
        self.bytes.extend(to.0);
        self.bytes.extend(from.1.to_be_bytes());
        self.bytes.extend(to.1.to_be_bytes());
        let own = usize::from(to_client);
        self.bytes.extend(seq[own].to_be_bytes());
        self.bytes.extend(seq[1 - own].to_be_bytes());
        self.bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        self.bytes.extend(payload);
        seq[own] += payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
    }

    /// A whole connection.
    fn connection(&mut self) {
        let mut seq = [100 + self.connection, 900 + self.connection];
        self.packet(&mut seq, false, SYN, b"");
        self.packet(&mut seq, true, SYN | ACK, b"");
        self.packet(&mut seq, false, ACK, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        self.packet(&mut seq, true, ACK, b"\0\0\0\x04\0\0\0\0\0");
        for call in 0..CALLS {
            let stream = call * 2 + 1;
            let id = format!("{}-{call}-of-a-long-running-stream", self.connection);
            let request = [
                frame(
                    1,
                    4,
                    stream,
                    &fields(&[
                        (":method", "POST"),
                        (":scheme", "http"),
                        (":path", "/a.B/M"),
                        ("content-type", "application/grpc"),
                        ("x-request-id", &id),
                    ]),
                ),
                frame(0, 0, stream, b"\0\0\0\0\x04ab"),
                frame(0, 1, stream, b"cd"),
            ];
            self.packet(&mut seq, false, ACK, &request.concat());
            let response = [
                frame(1, 4, stream, &fields(&[(":status", "200"), ("content-type", "application/grpc")])),
                frame(0, 0, stream, b"\0\0\0\0\x04ef"),
                frame(0, 0, stream, b"gh"),
                frame(1, 5, stream, &fields(&[("grpc-status", "0"), ("x-answer", &id)])),
            ];
            self.packet(&mut seq, true, ACK, &response.concat());
        }
        self.packet(&mut seq, false, FIN | ACK, b"");
        self.packet(&mut seq, true, FIN | ACK, b"");
        self.packet(&mut seq, false, ACK, b"");
        self.connection += 1;
    }
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals that are not indexed.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for text in fields {
        block.push(0);
        for text in [text.0, text.1] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Memory that a process has in use, in KiB.
fn resident(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Reads `calls` calls from standard input; how much memory was in use after half of them, and after all.
fn memory_over(arguments: &[&str], calls: u32) -> [u64; 2] {
    let mut child =
        rpcshark().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    let printed = std::thread::spawn(move || {
        let mut lines = 0;
        let mut buffer = [0; 1 << 16];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            lines += buffer[..length].iter().filter(|&&byte| byte == b'\n').count();
        }
        lines
    });
    let mut stream = Stream::new();
    let mut resident_after = |connections: u32| {
        while stream.connection < connections {
            stream.connection();
            if stream.bytes.len() > 1 << 16 || stream.connection == connections {
                input.write_all(&stream.bytes).expect("it reads");
                stream.bytes.clear();
            }
        }
        resident(&child)
    };
    let connections = calls / CALLS;
    let used = [resident_after(connections / 2), resident_after(connections)];
    drop(input);
    assert!(child.wait().expect("it ends").success());
    assert!(printed.join().expect("no panic") >= calls as usize);
    used
}

/// How many calls are read: more of them where somebody wants to measure.
fn calls(default: u32) -> u32 {
    std::env::var("RPCSHARK_MEMORY_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(default)
}

#[test]
fn memory_does_not_grow_with_calls_that_have_ended() {
    for arguments in [&["calls", "-"][..], &["calls", "--json", "-"], &["frames", "--json", "-"]] {
        let calls = calls(80_000);
        let [early, late] = memory_over(arguments, calls);
        println!("{arguments:?}: {early} KiB after {} calls, {late} KiB after {calls}", calls / 2);
        // What is kept of the connections that ended last, and of header lists between two sweeps, does not grow any more.
        assert!(late < early + 16 * 1024, "{arguments:?}: {early} KiB, then {late} KiB");
    }
}
