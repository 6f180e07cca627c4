//! What happens to the files that bodies are read back from: they are cut while they are read, or cannot be written.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use support::pcap::Capture;
use support::run::{rpcshark, run, text};
use support::{environment, shop};

/// Copies of the shop capture, one connection each: more calls than a pipe holds.
fn write_long_capture(path: &Path, copies: u16) {
    let capture = Capture::read(&shop::directory().join("shop.pcap"));
    let mut packets = Vec::new();
    for copy in 0..copies {
        packets.extend(capture.packets.iter().cloned().map(|mut packet| {
            // Behind the Ethernet header and the IPv4 header without options: the ports; the client's is 41542.
            for at in [34, 36] {
                let port = u16::from_be_bytes([packet.bytes[at], packet.bytes[at + 1]]);
                if port == 41542 {
                    packet.bytes[at..at + 2].copy_from_slice(&(20_000 + copy).to_be_bytes());
                }
            }
            packet
        }));
    }
    capture.with(packets).write(path);
}

/// Calls by their number, without the name of their file.
fn by_number(lines: &str) -> BTreeMap<u64, Value> {
    let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    values
        .map(|mut call| {
            call.as_object_mut().unwrap().remove("file");
            (call["no"].as_u64().unwrap(), call)
        })
        .collect()
}

/// What is shown of each message is what the whole file has, or nothing.
fn assert_shown_as_in_the_whole_file(call: &Value, whole: &Value) {
    for side in ["request", "response"] {
        let (messages, expected) = (&call[side]["messages"], &whole[side]["messages"]);
        // Of a call that was cut the later messages may be missing.
        for (message, expected) in messages.as_array().unwrap().iter().zip(expected.as_array().unwrap()) {
            let cut = message.get("bytes").is_some();
            let same = ["body", "raw"].iter().all(|form| message.get(*form) == expected.get(*form));
            assert!(cut || same, "{message} instead of {expected}");
        }
    }
}

#[test]
fn a_file_cut_short_under_calls_json_30_times_shows_what_was_read_and_never_zeros() {
    let directory = environment::temporary();
    let original = directory.path().join("original.pcap");
    write_long_capture(&original, 8);
    let size = original.metadata().unwrap().len();
    let begin = Instant::now();
    let whole = by_number(&run(&["calls", "--json", &text(&original)]).stdout);
    let duration = begin.elapsed();
    assert_eq!(whole.len(), 8 * 74);
    let mut reported = 0;
    for round in 0..30_u32 {
        let path = directory.path().join("cut.pcap");
        std::fs::copy(&original, &path).unwrap();
        let mut child = rpcshark()
            .args(["calls", "--json", &text(&path)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Before it is opened, while it is loaded, while bodies are read, and when all is over.
        std::thread::sleep(duration * round / 30);
        File::options().write(true).open(&path).unwrap().set_len(size * u64::from(round % 10) / 20 + 100).unwrap();
        let mut lines = String::new();
        child.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let calls = by_number(&lines);
        for (no, call) in &calls {
            assert_shown_as_in_the_whole_file(call, &whole[no]);
        }
        match child.wait().unwrap().code() {
            Some(0) => assert!(calls == whole, "round {round}: something is missing: {said}"),
            Some(4) => {
                // Cut before it was opened, it is a capture that ends inside a packet.
                assert!(said.contains("cut.pcap"), "round {round}: {said}");
                reported += u32::from(said.contains("became shorter"));
            }
            status => panic!("round {round}: {status:?}: {said}"),
        }
    }
    assert!(reported > 0, "no round cut the file while it was read");
}

/// Runs the binary on standard input in a shell that first sets a limit.
fn run_limited(limit: &str, environment: &[(&str, &str)], input: &Path) -> (Option<i32>, String, String) {
    let binary = env!("CARGO_BIN_EXE_rpcshark");
    let output = Command::new("sh")
        .args(["-c", &format!("{limit}; exec {binary} calls --json -")])
        .envs(environment.iter().copied())
        .stdin(File::open(input).unwrap())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_spill_file_that_cannot_be_written_is_an_error_with_its_reason() {
    let directory = environment::temporary();
    let path = directory.path().join("long.pcap");
    write_long_capture(&path, 20);
    let (status, lines, said) = run_limited("true", &[], &path);
    assert_eq!((status, lines.lines().count(), said.as_str()), (Some(0), 20 * 74, ""));
    let full = run_limited("ulimit -f 64", &[], &path);
    let nowhere = run_limited("true", &[("TMPDIR", "/no/such/directory")], &path);
    for ((status, lines, said), reason) in [(full, "File too large"), (nowhere, "No such file or directory")] {
        assert_eq!(status, Some(4), "{said}");
        assert_eq!(lines.lines().count(), 20 * 74, "every call is listed all the same");
        let errors: Vec<&str> = said.lines().filter(|line| line.contains("temporary file")).collect();
        assert!(matches!(&*errors, [error] if error.contains(reason)), "{said}");
    }
}
