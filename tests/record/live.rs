//! `record --live` over a long time.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use crate::killed::signal;
use crate::recording::{http2_fields, http2_frame};

/// Calls in one write.
const BATCH: u32 = 1000;

/// A ttrpc frame.
fn frame(stream: u32, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = (data.len() as u32).to_be_bytes().to_vec(); // length
    frame.extend(stream.to_be_bytes());
    frame.extend([kind, 0]); // type, flags
    frame.extend(data);
    frame
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A recorder that takes a server's socket and prints calls.
struct Live {
    child: Child,
    socket: PathBuf,
    server: UnixListener,
    /// Counts the lines that it prints.
    counting: Option<JoinHandle<usize>>,
}

impl Live {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("x.sock");
        let server = UnixListener::bind(&socket).expect("bound");
        let mut live = Command::new(env!("CARGO_BIN_EXE_rpcshark"));
        live.args(["record", "--live", "--wait", "--buffer", "1", "--swap"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = live.spawn().expect("started");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        said.read_line(&mut String::new()).expect("it listens");
        let printed = BufReader::new(child.stdout.take().expect("piped"));
        let counting = std::thread::spawn(move || printed.lines().map_while(Result::ok).count());
        Self { child, socket, server, counting: Some(counting) }
    }

    fn connect(&self) -> [UnixStream; 2] {
        let client = UnixStream::connect(&self.socket).expect("connected");
        [client, self.server.accept().expect("accepted").0]
    }

    /// Memory in use once the recorder has had time to take up what was sent, in KiB.
    fn resident(&self) -> u64 {
        std::thread::sleep(Duration::from_millis(300));
        resident(self.child.id())
    }

    /// Ends the recorder. What it cannot print in time it leaves out, so that the number of lines is not known.
    fn stop(mut self) {
        signal(&self.child, Signal::INT);
        assert_eq!(self.child.wait().expect("ended").code(), Some(130));
        // The heading is a line, too.
        let counting = self.counting.take().expect("not stopped");
        assert!(counting.join().expect("counted") > 1);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It runs on only where the test has failed.
        let _ = self.child.kill();
    }
}

/// Sends bytes from one end of a connection to the other.
fn pass(from: &mut UnixStream, to: &mut UnixStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    from.write_all(bytes).expect("written");
    to.read_exact(&mut read).expect("read");
}

#[test]
fn memory_does_not_grow_with_calls_that_have_ended() {
    let directory = tempfile::tempdir().expect("a directory");
    let live = Live::start(directory.path());
    let [mut client, mut server] = live.connect();
    let request = b"\x0a\x03a.B\x12\x01M\x1a\x02\x08\x01"; // service a.B, method M, a payload
    let mut stream = 1;
    let mut calls = |count: u32| {
        for _ in 0..count / BATCH {
            let streams: Vec<u32> = (0..BATCH).map(|no| stream + 2 * no).collect();
            stream += 2 * BATCH;
            let requests: Vec<u8> = streams.iter().flat_map(|&stream| frame(stream, 1, request)).collect();
            let answers: Vec<u8> = streams.iter().flat_map(|&stream| frame(stream, 2, b"")).collect();
            pass(&mut client, &mut server, &requests);
            pass(&mut server, &mut client, &answers);
        }
    };
    // Until all tables have the size that they keep.
    calls(150_000);
    let before = live.resident();
    calls(150_000);
    let after = live.resident();
    live.stop();
    // A call took 82 bytes and more when none was forgotten: 12 MiB.
    assert!(after < before + 4 * 1024, "{before} KiB after 150,000 calls, {after} KiB after 300,000");
}

/// HTTP/2, and no two calls with the same headers.
#[test]
fn memory_does_not_grow_with_connections_that_have_ended() {
    /// Calls on each connection.
    const CALLS: u32 = 100;
    /// Connections of each half.
    const CONNECTIONS: u32 = 600;
    let directory = tempfile::tempdir().expect("a directory");
    let live = Live::start(directory.path());
    let mut connections = 0;
    let mut half = || {
        for _ in 0..CONNECTIONS {
            connections += 1;
            let [mut client, mut server] = live.connect();
            let settings = http2_frame(4, 0, 0, &[]);
            let mut requests = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice()].concat();
            let mut answers = settings;
            for call in 0..CALLS {
                let (stream, id) = (2 * call + 1, format!("{connections}-{call}-of-a-recording-over-days"));
                let headers = [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", "/a.B/M"),
                    ("content-type", "application/grpc"),
                    ("x-request-id", &id),
                ];
                requests.extend(http2_frame(1, 4, stream, &http2_fields(&headers)));
                requests.extend(http2_frame(0, 1, stream, b"\0\0\0\0\x02hi"));
                let headers = [(":status", "200"), ("content-type", "application/grpc"), ("x-request-id", &id)];
                answers.extend(http2_frame(1, 4, stream, &http2_fields(&headers)));
                answers.extend(http2_frame(0, 0, stream, b"\0\0\0\0\x03you"));
                answers.extend(http2_frame(1, 5, stream, &http2_fields(&[("grpc-status", "0")])));
            }
            pass(&mut client, &mut server, &requests);
            pass(&mut server, &mut client, &answers);
        }
        live.resident()
    };
    let (before, after) = (half(), half());
    live.stop();
    // 60,000 calls with two header lists of their own are 30 MB, if they are kept.
    assert!(after < before + 6 * 1024, "{before} KiB after {CONNECTIONS} connections, {after} KiB after twice as many");
    println!("{before} KiB after {CONNECTIONS} connections, {after} KiB after twice as many");
}
