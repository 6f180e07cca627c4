//! The recorded shop, replayed to a grpcio server that answers as it did.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::server::replay;
use crate::support::environment::{python_with_grpcio, temporary};
use crate::support::run::{run, text};
use crate::support::shop;

/// The server, which ends with the test.
struct Server(Child);

impl Server {
    /// Starts it. Gives where it listens.
    fn start(python: &Path, address: &str, change: Option<&str>) -> (Self, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/shop.py");
        let mut command = Command::new(python);
        command.arg(script).arg(shop::directory()).arg(address).args(change);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        assert!(!line.is_empty(), "the server has started");
        (Self(child), line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The report of a replay, and its exit status.
fn report(to: &str, more: &[&str]) -> (Option<i32>, Value) {
    let done = replay(&[&["--to", to, "--allow-all", "--report", "json"], more].concat());
    (done.status, serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}")))
}

/// Numbers and places of what differs.
fn differences(report: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for call in report["calls"].as_array().expect("calls") {
        for difference in call["differences"].as_array().expect("a list") {
            found.push(format!("{} {}", call["path"], difference["path"]));
        }
        if call["outcome"] != "same" && call["differences"].as_array().is_some_and(Vec::is_empty) {
            found.push(format!("{} {} {}", call["no"], call["path"], call["why"]));
        }
    }
    found
}

#[test]
fn the_shop_is_replayed_to_a_grpcio_server_without_a_difference() {
    let Some(python) = python_with_grpcio() else { return };
    let directory = temporary();
    let socket = format!("unix:{}", text(&directory.path().join("shop.sock")));
    for address in ["127.0.0.1:0", &socket] {
        let (_server, to) = Server::start(&python, address, None);
        let out = text(&directory.path().join("replayed.pcapng"));
        let (status, first) = report(&to, &["-w", &out]);
        assert_eq!((status, differences(&first)), (Some(0), Vec::new()), "{address}");
        assert_eq!(
            (&first["totals"]["calls"], &first["totals"]["same"]),
            (&74.into(), &74.into()),
            "{}",
            first["totals"]
        );
        // What was written is what was reported: the calls of the recording, with their outcomes.
        let read = run(&["calls", "--json", &out]).done();
        assert_eq!(read.len(), 74);
        // Who notices first that a deadline has passed is a matter of luck: a status, or a reset.
        let count = |calls: &[Value]| calls.iter().filter(|call| call["outcome"] == "ok").count();
        assert_eq!(count(&read), count(&run(&["calls", "--json", &crate::server::capture()]).done()));
        // Read from the capture of the replay, nothing differs either.
        let schema = shop::schema();
        let diff = run(&[
            "diff",
            &crate::server::capture(),
            &out,
            &schema[0],
            &schema[1],
            "--ignore",
            "metadata.authorization",
        ]);
        assert!(matches!(diff.status, Some(0 | 1)), "{diff:?}");
    }
}

#[test]
fn a_changed_grpcio_server_differs_in_exactly_the_changed_field() {
    let Some(python) = python_with_grpcio() else { return };
    let (_server, to) = Server::start(&python, "127.0.0.1:0", Some("card=5500-0000"));
    let (status, report) = report(&to, &["--pace", "asap"]);
    assert_eq!(status, Some(1));
    let differences = differences(&report);
    let is_card = |place: &&String| {
        place.contains("GetOrder")
            && (place.contains("response.card")
                || place.contains("response.iban")
                || place.contains("response.payment"))
    };
    assert!(differences.iter().all(|place| is_card(&place)), "{differences:?}");
    assert_eq!(report["totals"]["differs"], 63, "{}", report["totals"]);
}
