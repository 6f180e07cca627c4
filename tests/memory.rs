//! Memory over a stream without end: what has ended and was printed takes none.
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::process::Stdio;

use support::memory::resident;
use support::run::rpcshark;
use support::traffic::{ACK, Client, Traffic, fields, frame};

/// Calls on each connection of the stream.
const CALLS: u32 = 100;

/// Connections one after the other, each with [`CALLS`] calls. No two calls have the same headers, and each message lies in two
/// frames.
struct Stream {
    traffic: Traffic,
    connections: u32,
}

impl Stream {
    /// One more connection.
    fn connection(&mut self) {
        let Self { traffic, connections } = self;
        let client = &mut Client::new(*connections);
        traffic.open(client);
        for call in 0..CALLS {
            let stream = call * 2 + 1;
            let id = format!("{connections}-{call}-of-a-long-running-stream");
            let request = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/a.B/M"),
                ("content-type", "application/grpc"),
                ("x-request-id", &id),
            ];
            let request = [
                frame(1, 4, stream, &fields(&request)),
                frame(0, 0, stream, b"\0\0\0\0\x04ab"),
                frame(0, 1, stream, b"cd"),
            ];
            traffic.packet(client, false, ACK, &request.concat());
            let response = [
                frame(1, 4, stream, &fields(&[(":status", "200"), ("content-type", "application/grpc")])),
                frame(0, 0, stream, b"\0\0\0\0\x04ef"),
                frame(0, 0, stream, b"gh"),
                frame(1, 5, stream, &fields(&[("grpc-status", "0"), ("x-answer", &id)])),
            ];
            traffic.packet(client, true, ACK, &response.concat());
        }
        traffic.close(client);
        *connections += 1;
    }
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
    let mut stream = Stream { traffic: Traffic::new(), connections: 0 };
    let mut resident_after = |connections: u32| {
        while stream.connections < connections {
            stream.connection();
            if stream.traffic.bytes.len() > 1 << 16 || stream.connections == connections {
                input.write_all(&stream.traffic.bytes).expect("it reads");
                stream.traffic.bytes.clear();
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
