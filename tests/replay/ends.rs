//! How a replay ends: its exit status, the first that holds of 130, 2, 5, 3, 4 and 1, and what is reported all the same.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::server::{Manners, PLAIN, Server, capture, replay};
use crate::support::environment::temporary;
use crate::support::run::{rpcshark, run, text};
use crate::support::shop;

/// What the test's server does not send.
const RULES: [&str; 4] = ["--ignore", "metadata.*", "--ignore", "trailers.*"];

#[test]
fn an_interrupted_replay_reports_what_it_has_and_ends_with_130() {
    let server = Server::start(None, Manners { pause: Duration::from_millis(30), ..Manners::default() });
    let directory = temporary();
    let report = text(&directory.path().join("report.json"));
    let schema = shop::schema();
    let mut child = rpcshark()
        .args(["replay", &capture(), &schema[0], &schema[1], "--to", &server.address, "-Y", PLAIN])
        .args(["--report", &format!("json={report}"), "--order", "global"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    while server.calls().len() < 5 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
    let began = Instant::now();
    kill_process(pid, Signal::INT).expect("it runs");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(report["calls"].as_array().map(Vec::len), Some(63), "each call is accounted for");
    assert!(report["totals"]["skipped"].as_u64().is_some_and(|skipped| skipped > 0), "{}", report["totals"]);
}

#[test]
fn a_replay_that_is_cut_short_ends_with_4_whatever_differs() {
    let server = Server::start(None, Manners { extra: b"\x10\x09", deaf_from: Some(20), ..Manners::default() });
    let options = ["--to", &server.address, "-Y", PLAIN, "--max-errors", "1", "--stall-after", "200ms"];
    let done = replay(&options);
    assert_eq!(done.status, Some(4), "{done:?}");
    assert!(done.stderr.contains("cut short"), "{}", done.stderr);
    assert!(done.stdout.contains("stalled"), "{}", done.stdout);
    // A stall that ends nothing is a difference.
    let server = Server::start(None, Manners { deaf_from: Some(63), ..Manners::default() });
    let done = replay(&[&["--to", &server.address, "-Y", PLAIN, "--stall-after", "200ms"], &RULES[..]].concat());
    assert_eq!(done.status, Some(1), "{done:?}");
}

#[test]
fn a_recording_that_is_read_in_part_ends_with_4_but_what_is_refused_with_5() {
    let directory = temporary();
    let cut = directory.path().join("cut.pcap");
    let whole = std::fs::read(capture()).expect("a capture");
    std::fs::write(&cut, &whole[..whole.len() * 2 / 3 + 7]).expect("written");
    let server = Server::start(None, Manners::default());
    let schema = shop::schema();
    let on_cut = |more: &[&str]| {
        let cut = text(&cut);
        run(&[&["replay", &cut, &schema[0], &schema[1], "-Y", PLAIN], more].concat())
    };
    let done = on_cut(&[&["--to", &server.address], &RULES[..]].concat());
    assert_eq!(done.status, Some(4), "{done:?}");
    assert!(!server.calls().is_empty(), "what is there is sent");
    assert_eq!(on_cut(&["--to", "127.0.0.1:50051"]).status, Some(5));
    assert_eq!(on_cut(&["--to", "127.0.0.1:50051", "--pace", "never"]).status, Some(2));
    let nobody = format!("unix:{}", text(&directory.path().join("no.sock")));
    assert_eq!(on_cut(&["--to", &nobody, "--connect-for", "100ms"]).status, Some(3));
}

#[test]
fn a_file_that_is_not_a_capture_ends_with_3() {
    let server = Server::start(None, Manners::default());
    for file in ["/not/there.pcap", "Cargo.toml"] {
        assert_eq!(run(&["replay", file, "--to", &server.address]).status, Some(3), "{file}");
    }
}

#[test]
fn from_and_to_time_choose_calls_by_their_start() {
    let server = Server::start(None, Manners::default());
    let count = |more: &[&str]| {
        let done =
            replay(&[&["--to", &server.address, "-Y", PLAIN, "--report", "json", "--pace", "asap"], more].concat());
        let report: Value = serde_json::from_str(&done.stdout).expect("a report");
        let calls = report["calls"].as_array().expect("calls");
        calls.iter().filter(|call| call["outcome"] != "skipped").count()
    };
    let listed = run(&["calls", "--json", &capture()]).done();
    let starts: Vec<i64> = listed
        .iter()
        .filter(|call| call["path"] == "/acme.shop.v1.Orders/GetOrder" && call["outcome"] == "ok")
        .map(|call| call["request"]["headers_at_ns"].as_i64().expect("a time") + nanos(&call["start"]))
        .collect();
    let first = first_packet();
    // Between the first calls, one after another, and those that were begun together at the end.
    let middle = (starts[20] - first) / 1_000_000;
    let expected = starts.iter().filter(|&&start| start - first < middle * 1_000_000).count();
    assert!((1..63).contains(&expected), "{expected}");
    let at = format!("{middle}ms");
    assert_eq!(count(&["--to-time", &at]), expected);
    assert_eq!(count(&["--from", &at]), 63 - expected);
    assert_eq!(count(&["--from", "0s", "--to-time", "1h"]), 63);
}

/// The time of the first packet, in nanoseconds since 1970: microseconds in the pcap.
fn first_packet() -> i64 {
    let bytes = std::fs::read(capture()).expect("a capture");
    let word = |at: usize| i64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")));
    let fraction = if bytes[..4] == [0x4d, 0x3c, 0xb2, 0xa1] { 1 } else { 1000 };
    word(24) * 1_000_000_000 + word(28) * fraction
}

/// Nanoseconds since 1970 of a time as `calls --json` prints it.
fn nanos(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().and_then(|time| time.parse().ok()).expect("a time");
    i64::try_from(time.as_nanosecond()).expect("this century")
}

#[test]
fn a_vsock_target_that_cannot_be_reached_is_named() {
    let done = replay(&["--to", "vsock:1:59999", "--connect-for", "50ms", "-Y", PLAIN]);
    assert_eq!(done.status, Some(3), "{done:?}");
    assert!(done.stderr.contains("cannot connect to vsock:1:59999"), "{}", done.stderr);
}
