//! Reading what is still being written, and being interrupted while reading.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::run::{rpcshark, run, text};
use support::{environment, shop};

/// A run that continues.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str], stdin: Stdio) -> Self {
        let mut child =
            rpcshark().args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Sends what Ctrl-C sends; gives the exit status, the rest of standard output, and standard error.
    fn interrupt(mut self) -> (Option<i32>, String, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let (mut rest, mut said) = (String::new(), String::new());
        self.lines.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), rest, said)
    }
}

fn append(path: &Path, bytes: &[u8]) {
    File::options().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn shop_pcap() -> Vec<u8> {
    std::fs::read(shop::directory().join("shop.pcap")).unwrap()
}

fn numbers(text: &str) -> Vec<u64> {
    let number = |line: &str| serde_json::from_str::<Value>(line).expect(line)["no"].as_u64().unwrap();
    text.lines().map(number).collect()
}

#[test]
fn a_file_is_followed_as_it_grows_and_what_was_read_is_shown_at_the_end() {
    let directory = environment::temporary();
    let path = directory.path().join("growing.pcap");
    let bytes = shop_pcap();
    let file = text(&path);
    std::fs::write(&path, &bytes[..10]).unwrap();
    let mut running = Running::start(&["calls", "--json", "--follow", &file], Stdio::null());
    // In pieces that end anywhere.
    let half = bytes.len() / 2 + 13;
    append(&path, &bytes[10..5000]);
    let first = running.line();
    append(&path, &bytes[5000..half]);
    std::thread::sleep(Duration::from_millis(400));
    let (status, rest, said) = running.interrupt();
    assert_eq!((status, said.as_str()), (Some(130), ""));

    // The same calls as in a file that ends there, with the same numbers and the same text, in the order of their ends.
    let cut = directory.path().join("growing.pcap.cut");
    std::fs::write(&cut, &bytes[..half]).unwrap();
    let expected = run(&["calls", "--json", &text(&cut)]);
    let mut followed: Vec<String> =
        format!("{first}{rest}").lines().map(|line| line.replace("growing.pcap", "growing.pcap.cut")).collect();
    let ends = numbers(&followed.join("\n"));
    assert!(ends.len() > 10 && !ends.is_sorted() || expected.stdout.contains("\"open\""), "{ends:?}");
    followed.sort_by_key(|line| numbers(line)[0]);
    assert_eq!(followed, expected.stdout.lines().collect::<Vec<_>>());
}

#[test]
fn frames_are_followed() {
    let directory = environment::temporary();
    let path = directory.path().join("growing.pcap");
    let bytes = shop_pcap();
    std::fs::write(&path, &bytes[..3000]).unwrap();
    let file = text(&path);
    let mut running = Running::start(&["frames", "--follow", &file, "-t", "delta"], Stdio::null());
    assert!(running.line().contains("Packet"));
    let mut seen = 0;
    while !running.line().contains("HEADERS") {
        seen += 1;
        assert!(seen < 20);
    }
    append(&path, &bytes[3000..]);
    let count = run(&["frames", &text(&shop::directory().join("shop.pcap"))]).stdout.lines().count();
    for _ in seen + 2..count {
        assert_ne!(running.line(), "");
    }
    let (status, rest, said) = running.interrupt();
    assert_eq!((status, rest.as_str(), said.as_str()), (Some(130), "", ""));
}

#[test]
fn a_file_that_becomes_shorter_is_said() {
    let directory = environment::temporary();
    let path = directory.path().join("growing.pcap");
    std::fs::write(&path, shop_pcap()).unwrap();
    let mut running = Running::start(&["calls", "--follow", &text(&path)], Stdio::null());
    assert!(running.line().contains("Method"));
    File::create(&path).unwrap();
    let mut said = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("growing.pcap") && said.contains("truncated") && said.contains("shorter"), "{said}");
    assert_eq!(running.child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_file_that_is_replaced_is_said_and_followed_and_so_is_one_that_is_removed() {
    let directory = environment::temporary();
    let path = directory.path().join("growing.pcap");
    let bytes = shop_pcap();
    std::fs::write(&path, &bytes).unwrap();
    let mut running = Running::start(&["calls", "--follow", "--json", &text(&path)], Stdio::null());
    let mut said = BufReader::new(running.child.stderr.take().unwrap());
    let mut next_remark = || {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line
    };
    let bodies = |line: String| serde_json::from_str::<Value>(&line).expect(&line)["request"]["messages"].clone();
    let first: Vec<Value> = (0..74).map(|_| bodies(running.line())).collect();

    // As logrotate does: the old file gets another name.
    std::fs::rename(&path, directory.path().join("growing.pcap.1")).unwrap();
    let removed = next_remark();
    assert!(removed.contains("growing.pcap") && removed.contains("removed"), "{removed}");
    // The same connection with another port, so that it is not the first one again.
    let capture = support::pcap::Capture::read(&directory.path().join("growing.pcap.1"));
    let mut packets = capture.packets.clone();
    for packet in &mut packets {
        for at in [34, 36] {
            if packet.bytes[at..at + 2] == 41542_u16.to_be_bytes() {
                packet.bytes[at..at + 2].copy_from_slice(&20_001_u16.to_be_bytes());
            }
        }
    }
    let other = directory.path().join("other");
    capture.with(packets).write(&other);
    std::fs::rename(&other, &path).unwrap();
    let replaced = next_remark();
    assert!(replaced.contains("growing.pcap") && replaced.contains("replaced"), "{replaced}");
    let second: Vec<Value> = (0..74).map(|_| bodies(running.line())).collect();
    let methods = |messages: &[Value]| messages.iter().map(|list| list.as_array().unwrap().len()).sum::<usize>();
    assert_eq!(methods(&first), methods(&second));
    assert!(second.iter().flat_map(|list| list.as_array().unwrap()).all(|message| message.get("raw").is_some()));
    kill_process(Pid::from_child(&running.child), Signal::INT).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
}

#[test]
fn only_one_file_is_followed() {
    let file = text(&shop::directory().join("shop.pcap"));
    let run = run(&["calls", "--follow", &file, &file]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("--follow takes one file"), "{}", run.stderr);
}

#[test]
fn standard_input_that_is_interrupted_gives_what_was_read() {
    let bytes = shop_pcap();
    let half = bytes.len() / 2 + 13;
    let mut running = Running::start(&["calls", "--json", "-"], Stdio::piped());
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(&bytes[..half]).unwrap();
    stdin.flush().unwrap();
    let first = running.line();
    assert!(first.starts_with('{'), "calls come while the pipe is open");
    let begin = Instant::now();
    kill_process(Pid::from_child(&running.child), Signal::INT).unwrap();
    // What the writer had kept back until the same signal is read, too.
    let writer = std::thread::spawn(move || {
        stdin.write_all(&bytes[half..]).unwrap();
        stdin
    });
    let mut rest = String::new();
    running.lines.read_to_string(&mut rest).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(20), "the pipe is still open");
    drop(writer.join().unwrap());
    assert_eq!(1 + rest.lines().count(), 74);
}

#[test]
fn an_interrupt_before_anything_came_ends_quietly() {
    let mut running = Running::start(&["calls", "-"], Stdio::piped());
    // Until the first bytes have come there is nothing to wait for on its output; it has to have begun to watch.
    let stdin = running.child.stdin.take().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let (status, rest, said) = running.interrupt();
    assert_eq!((status, rest.as_str(), said.as_str()), (Some(130), "", ""));
    drop(stdin);
}

#[test]
fn a_fifo_without_a_writer_ends_at_the_first_signal() {
    let directory = environment::temporary();
    let path = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = Running::start(&["calls", &text(&path)], Stdio::null());
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(running.child.try_wait().unwrap(), None, "it waits for a writer");
        kill_process(Pid::from_child(&running.child), signal).unwrap();
        let begin = Instant::now();
        while running.child.try_wait().unwrap().is_none() && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = running.child.try_wait().unwrap();
        let _ = running.child.kill();
        assert_eq!(status.and_then(|status| status.code()), Some(130));
    }
}

#[test]
fn a_fifo_is_read_when_its_writer_comes() {
    let directory = environment::temporary();
    let path = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let mut running = Running::start(&["calls", "--json", &text(&path)], Stdio::null());
    std::thread::sleep(Duration::from_millis(200));
    let writer = std::thread::spawn(move || File::options().write(true).open(&path)?.write_all(&shop_pcap()));
    let mut lines = String::new();
    running.lines.read_to_string(&mut lines).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!((running.child.wait().unwrap().code(), lines.lines().count()), (Some(0), 74));
}

#[test]
fn a_listing_that_is_interrupted_ends_behind_a_whole_line() {
    let directory = environment::temporary();
    let path = directory.path().join("long.pcap");
    // As many connections as there are copies: each has ports of its own.
    let capture = support::pcap::Capture::read(&shop::directory().join("shop.pcap"));
    let mut packets = Vec::new();
    for copy in 0..40u16 {
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
    capture.with(packets).write(&path);
    let mut running = Running::start(&["calls", "--json", &text(&path)], Stdio::null());
    assert!(running.line().starts_with('{'));
    let (status, rest, said) = running.interrupt();
    assert_eq!((status, said.as_str()), (Some(130), ""));
    assert!(rest.ends_with('\n'));
    let count = 1 + numbers(&rest).len();
    assert!(count < 40 * 74, "it was interrupted: {count}");
}
