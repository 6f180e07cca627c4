//! `serve`: clients answered from a recording.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use support::environment::{captures, temporary};
use support::run::{Run, rpcshark, run, text};

/// A server that runs until it is stopped.
struct Server {
    child: Child,
    address: String,
}

/// What it printed.
struct Printed {
    status: Option<i32>,
    lines: Vec<Value>,
    stderr: String,
}

impl Server {
    /// Serves with these arguments, at a port of its own unless they name an address.
    fn start(arguments: &[&str]) -> Self {
        let mut command = rpcshark();
        command.arg("serve").args(arguments).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
            if let Some((_, rest)) = said[before..].split_once(" at ")
                && let Some((address, _)) = rest.split_once("; Ctrl-C")
            {
                break address.to_owned();
            }
        };
        child.stderr = Some(lines.into_inner());
        Self { child, address }
    }

    /// Ends it with Ctrl-C.
    fn stop(mut self) -> Printed {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap().code();
        let lines = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Printed { status, lines, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Printed {
    fn outcomes(&self, outcome: &str) -> usize {
        self.lines.iter().filter(|line| line["outcome"] == outcome).count()
    }
}

/// The capture of a case, and the arguments that name its schema.
fn case(name: &str, file: &str, schema: Option<&str>) -> Vec<String> {
    let directory = captures().join(name);
    let mut arguments = vec![text(&directory.join(file))];
    if let Some(schema) = schema {
        arguments.extend(["--proto".to_owned(), text(&directory.join(schema))]);
    }
    arguments
}

fn replay(case: &[String], address: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["replay"];
    arguments.extend(case.iter().map(String::as_str));
    arguments.extend(["--to", address, "--allow-all", "--keep-auth", "--report", "json"]);
    arguments.extend(more);
    run(&arguments)
}

/// Nothing differs, but for calls that cannot be compared or sent.
#[track_caller]
fn nothing_differs(done: &Run, same: u64) {
    let report: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    let differing: Vec<&Value> = report["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| !["same", "skipped", "not-comparable"].contains(&call["outcome"].as_str().unwrap()))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(report["totals"]["same"], same, "{}", report["totals"]);
    assert_eq!(done.status, Some(0), "{done:?}");
}

#[test]
fn a_replay_to_a_served_recording_finds_no_difference() {
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    for pace in [&["--pace", "asap"][..], &["--speed", "10"], &[]] {
        let server = Server::start(&shop.iter().map(String::as_str).collect::<Vec<_>>());
        nothing_differs(&replay(&shop, &server.address, pace), 74);
        let printed = server.stop();
        assert_eq!(printed.status, Some(130));
        assert_eq!(printed.lines.len(), 74, "{pace:?}: {}", printed.stderr);
        assert_eq!((printed.outcomes("miss"), printed.outcomes("failed")), (0, 0), "{pace:?}");
    }
}

#[test]
fn the_path_of_a_unix_socket_is_removed_at_the_end() {
    let directory = temporary();
    let path = directory.path().join("mock.sock");
    let listen = format!("unix:{}", text(&path));
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    let server = Server::start(&[&shop[0], &shop[1], &shop[2], "--listen", &listen]);
    assert_eq!(server.address, listen);
    assert!(path.exists());
    nothing_differs(&replay(&shop, &server.address, &["--pace", "asap"]), 74);
    server.stop();
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_served_ends_at_once() {
    let shop = case("shop", "shop.pcap", None);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, status, said) in [
        (vec!["--listen", &taken], 3, "cannot listen at"),
        (vec!["--listen", "https://localhost:0"], 2, "needs a certificate"),
        (vec!["--listen", "127.0.0.1:0", "-Y", "rpc.method == \"None\""], 3, "no calls that can be served"),
        (vec!["--listen", "127.0.0.1:0", "--ignore", "a.B/C.x"], 2, "--ignore"),
    ] {
        let done = run(&[&["serve", &shop[0]], &arguments[..]].concat());
        assert_eq!(done.status, Some(status), "{done:?}");
        assert!(done.stderr.contains(said), "{done:?}");
    }
    let missing = run(&["serve", &text(Path::new("/not/there")), "--listen", "127.0.0.1:0"]);
    assert_eq!(missing.status, Some(3), "{missing:?}");
}

#[test]
fn a_request_that_was_not_recorded_is_told_what_the_nearest_one_has() {
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    let server = Server::start(&shop.iter().map(String::as_str).collect::<Vec<_>>());
    let call =
        |method: &str, data: &str| run(&["call", &server.address, method, "-d", data, "--proto", &shop[2], "--json"]);
    let message = |done: &Run| {
        let call: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
        call["status"]["message"].as_str().unwrap().to_owned()
    };
    let missed = call("acme.shop.v1.Orders/GetOrder", r#"{"id": "order-none"}"#);
    assert_eq!(missed.status, Some(64 + 12), "{missed:?}");
    let said = message(&missed);
    assert!(said.contains("the nearest is call"), "{said}");
    assert!(said.contains("request.id: recorded \"") && said.contains("now \"order-none\""), "{said}");
    let long = call("acme.shop.v1.Orders/GetOrder", &format!(r#"{{"id": "{}"}}"#, "ä".repeat(5000)));
    assert!(message(&long).len() <= 1024, "{long:?}");
    let printed = server.stop();
    assert_eq!(printed.outcomes("miss"), 2, "{:?}", printed.lines);
    assert!(printed.stderr.contains("2 not in the recording"), "{}", printed.stderr);
}

#[test]
fn equal_recordings_answer_in_their_order_and_then_as_the_user_says() {
    // Calls 16 to 18 are of Fail, with requests that differ in the id.
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    let ignore = ["--ignore", "acme.shop.v1.Orders/Fail.request.id"];
    for (reuse, then) in [("cycle", Some(16)), ("last", Some(18)), ("error", None)] {
        let own = ["--reuse", reuse, "--delays", "none"];
        let server = Server::start(&[&[&*shop[0], &*shop[1], &*shop[2]][..], &own, &ignore].concat());
        for _ in 0..4 {
            let method = "acme.shop.v1.Orders/Fail";
            let done = run(&["call", &server.address, method, "-d", r#"{"id": "other"}"#, "--proto", &shop[2]]);
            assert!(done.status.unwrap() > 64, "{}", done.stderr);
        }
        let printed = server.stop();
        let recorded: Vec<Option<u64>> = printed.lines.iter().map(|line| line["recorded"].as_u64()).collect();
        assert_eq!(recorded, [Some(16), Some(17), Some(18), then], "{reuse}");
    }
}

#[test]
fn delays_are_recorded_scaled_or_none() {
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    let filter = "rpc.method == \"GetOrder\" && rpc.outcome == ok";
    let recorded = run(&["calls", &shop[0], "--json", "-Y", filter, "--sort", "-rpc.duration", "--limit", "1"]).done();
    let (no, nanos) = (recorded[0]["no"].to_string(), recorded[0]["duration_ns"].as_u64().unwrap());
    let took = |more: &[&str]| {
        let only = format!("rpc.no == {no}");
        let server = Server::start(&[&[&*shop[0], &*shop[1], &*shop[2], "-Y", &only][..], more].concat());
        let done = run(&["call", &server.address, "--from", &shop[0], &no]);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        let printed = server.stop();
        Duration::from_nanos(printed.lines[0]["duration_ns"].as_u64().unwrap())
    };
    let recorded = Duration::from_nanos(nanos);
    assert!(recorded > Duration::from_millis(5), "{recorded:?}");
    assert!(took(&[]) >= recorded.mul_f64(0.9));
    let slow = ["--speed", "0.02"];
    assert!(took(&slow) >= recorded.mul_f64(45.0));
    assert!(took(&[&slow[..], &["--delays", "none"]].concat()) < recorded.mul_f64(25.0));
    assert!(took(&[&slow[..], &["--max-delay", "1ms"]].concat()) < recorded.mul_f64(25.0));
}
