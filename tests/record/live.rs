//! `record --live` over a long time.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::killed::signal;

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

#[test]
fn memory_does_not_grow_with_calls_that_have_ended() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("x.sock");
    let server = UnixListener::bind(&socket).expect("bound");
    let mut live = Command::new(env!("CARGO_BIN_EXE_rpcshark"));
    live.args(["record", "--live", "--wait", "--buffer", "1", "--swap"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut live = live.spawn().expect("started");
    let mut said = BufReader::new(live.stderr.take().expect("piped"));
    said.read_line(&mut String::new()).expect("it listens");
    let printed = BufReader::new(live.stdout.take().expect("piped"));
    let counting = std::thread::spawn(move || printed.lines().map_while(Result::ok).count());

    let mut client = UnixStream::connect(&socket).expect("connected");
    let mut server = server.accept().expect("accepted").0;
    let request = b"\x0a\x03a.B\x12\x01M\x1a\x02\x08\x01"; // service a.B, method M, a payload
    let mut stream = 1;
    let mut calls = |count: u32| {
        for _ in 0..count / BATCH {
            let streams: Vec<u32> = (0..BATCH).map(|no| stream + 2 * no).collect();
            stream += 2 * BATCH;
            let requests: Vec<u8> = streams.iter().flat_map(|&stream| frame(stream, 1, request)).collect();
            let answers: Vec<u8> = streams.iter().flat_map(|&stream| frame(stream, 2, b"")).collect();
            client.write_all(&requests).expect("written");
            let mut read = requests;
            server.read_exact(&mut read).expect("read");
            server.write_all(&answers).expect("written");
            let mut read = answers;
            client.read_exact(&mut read).expect("read");
        }
        // The writer may still be at work.
        std::thread::sleep(std::time::Duration::from_millis(300));
    };
    // Until all tables have the size that they keep.
    calls(150_000);
    let before = resident(live.id());
    calls(150_000);
    let after = resident(live.id());
    signal(&live, Signal::INT);
    assert_eq!(live.wait().expect("ended").code(), Some(130));
    // The heading is a line, too. What cannot be printed in time is left out.
    assert!(counting.join().expect("counted") > 1);
    // A call took 82 bytes and more when none was forgotten: 12 MiB.
    assert!(after < before + 4 * 1024, "{before} KiB after 150,000 calls, {after} KiB after 300,000");
}
