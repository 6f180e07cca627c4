//! What it refuses, what it sends, and what it reports.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use crate::server::{Manners, PLAIN, Server, capture, replay};
use crate::support::environment::temporary;
use crate::support::run::{rpcshark, run, text};
use crate::support::shop;
use crate::support::traffic::{Client, Traffic};

#[test]
fn the_plan_is_printed_and_nothing_is_sent() {
    let server = Server::start(None, Manners::default());
    let done = replay(&["--to", &server.address, "--plan"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    for part in [
        "65 calls to send, 9 left out",
        "recorded at 127.0.0.1:50051",
        "acme.shop.v1.Orders/GetOrder         63 sent  safe by name",
        "2 calls: acme.shop.v1.Orders/UploadItems (14, 23): the method may change something; --allow permits it",
        "authorization of 12 calls is withheld",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(!done.stdout.contains("s3cr3t"));
    assert!(server.calls().is_empty());
    // Whatever the plan finds, it ends with 0.
    let done = replay(&["--to", "127.0.0.1:50051", "--plan"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(done.stdout.contains("recorded at 127.0.0.1:50051: the same server"), "{}", done.stdout);
}

#[test]
fn what_is_not_safe_is_refused() {
    let server = Server::start(None, Manners::default());
    for (arguments, expected) in [
        (vec!["--to", "127.0.0.1:50051"], "is the server of the recording"),
        (vec!["--to", "localhost:50051"], "is the server of the recording"),
        (vec!["--to", &server.address, "-Y", "rpc.method == \"Fail\""], "--allow permits them"),
        (
            // {"exp":1500000000}
            vec!["--to", &server.address, "--header", "authorization=Bearer e30.eyJleHAiOjE1MDAwMDAwMDB9.x"],
            "the token in authorization",
        ),
    ] {
        let done = replay(&arguments);
        assert_eq!(done.status, Some(5), "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(expected), "{arguments:?}: {}", done.stderr);
    }
    assert!(server.calls().is_empty(), "nothing was sent");
}

#[test]
fn wrong_options_end_with_2() {
    for arguments in [
        vec!["--to", "nowhere"],
        vec!["--to", "10.9.9.9:1=localhost:2"],
        vec!["--to", "localhost:2", "--set", "x"],
        vec!["--to", "localhost:2", "--pace", "fast"],
        vec!["--to", "localhost:2", "--header", "a"],
        vec!["--to", "localhost:2", "--resume"],
        vec!["--to", "localhost:2", "--cert", "only.pem"],
    ] {
        assert_eq!(replay(&arguments).status, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_server_that_is_not_there_ends_with_3() {
    let directory = temporary();
    let to = format!("unix:{}", text(&directory.path().join("no.sock")));
    let done = replay(&["--to", &to, "--connect-for", "100ms", "-Y", PLAIN]);
    assert_eq!(done.status, Some(3), "{done:?}");
    assert!(done.stderr.contains("cannot connect to"), "{}", done.stderr);
}

#[test]
fn a_killed_replay_is_continued_and_sends_nothing_unsafe_twice() {
    let server = Server::start(None, Manners { pause: Duration::from_millis(40), ..Manners::default() });
    let directory = temporary();
    let journal = text(&directory.path().join("journal"));
    let schema = shop::schema();
    let arguments =
        ["replay", &capture(), &schema[0], &schema[1], "--to", &server.address, "--allow-all", "--journal", &journal];
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let mut child = rpcshark().args(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    // In the middle of the uploads, chats and failures.
    while server.calls().len() < 14 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    std::thread::sleep(Duration::from_millis(100));
    let before = server.calls();
    assert!(before.len() < 40, "it was killed in the middle: {}", before.len());
    // Without --resume the journal is not overwritten.
    assert_eq!(run(&arguments).status, Some(2));
    let resumed = run(&[&arguments[..], &["--resume".to_owned()]].concat());
    assert!(matches!(resumed.status, Some(0 | 1)), "{resumed:?}");
    let after = server.calls();
    let count = |method: &str| after.iter().filter(|path| path.ends_with(method)).count();
    assert!(count("/UploadItems") <= 2, "{after:?}");
    assert!(count("/Fail") <= 3, "{after:?}");
    // Safe ones that were in progress are sent again.
    assert!((63..=64).contains(&count("/GetOrder")), "{}", count("/GetOrder"));
    assert!(std::fs::read_to_string(&journal).is_ok_and(|text| !text.contains("s3cr3t")));
    // A third run finds nothing left to do.
    let done = run(&[&arguments[..], &["--resume".to_owned()]].concat());
    assert_eq!(server.calls().len(), after.len(), "{done:?}");
}
#[test]
fn the_shop_is_replayed_over_tcp_and_a_unix_socket() {
    let directory = temporary();
    let socket = directory.path().join("shop.sock");
    for server in [Server::start(None, Manners::default()), Server::start(Some(&socket), Manners::default())] {
        let out = text(&directory.path().join("replayed.pcapng"));
        let to = &server.address;
        // What this server does not send: metadata and trailers, and the messages of failures.
        let done = replay(&["--to", to, "-Y", PLAIN, "-w", &out, "--ignore", "metadata.*", "--ignore", "trailers.*"]);
        assert_eq!(done.status, Some(0), "{done:?}");
        assert_eq!(server.calls().len(), 63);
        let mode = std::fs::metadata(&out).expect("a capture").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = run(&["calls", "--json", &out]).done();
        assert_eq!(read.len(), 63);
        assert!(read.iter().all(|call| call["outcome"] == "ok" && call["path"] == "/acme.shop.v1.Orders/GetOrder"));
        let tenants = read.iter().filter(|call| call["request"]["metadata"][0]["name"] == "tenant").count();
        assert_eq!(tenants, 12, "metadata is sent, and credentials are not");
        // All kinds of calls, with a deadline that passes and a call that is cancelled.
        let done = replay(&["--to", to, "--allow-all", "--pace", "asap"]);
        assert_eq!(done.status, Some(1), "{done:?}");
    }
}

#[test]
fn a_changed_server_differs_in_exactly_the_changed_field() {
    // Field 2, status: an enumeration; the last value counts.
    let server = Server::start(None, Manners { extra: b"\x10\x09", ..Manners::default() });
    let ignore = ["--ignore", "metadata.*", "--ignore", "trailers.*"];
    let first = ["--to", &server.address, "-Y", PLAIN, "--report", "json"];
    let done = replay(&[&first[..], &ignore[..]].concat());
    assert_eq!(done.status, Some(1), "{done:?}");
    let report: serde_json::Value = serde_json::from_str(&done.stdout).expect("a report");
    let calls = report["calls"].as_array().expect("calls");
    assert_eq!(calls.len(), 63);
    for call in calls {
        let paths: Vec<_> =
            call["differences"].as_array().expect("a list").iter().map(|difference| &difference["path"]).collect();
        assert_eq!(paths.len(), 1, "{call}");
        assert!(paths[0].as_str().is_some_and(|path| path.ends_with("response.status")), "{call}");
    }
}

#[test]
fn what_a_servers_limit_of_calls_costs_is_reported() {
    let manners = Manners { max_streams: Some(2), pause: Duration::from_millis(10), ..Manners::default() };
    let server = Server::start(None, manners);
    let done = replay(&["--to", &server.address, "-Y", PLAIN, "--report", "json", "--pace", "asap"]);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).expect("a report");
    let remarks = report["remarks"].as_array().expect("a list");
    let is_limit = |remark: &serde_json::Value| remark.as_str().is_some_and(|text| text.contains("limits how many"));
    assert!(remarks.iter().any(is_limit), "{remarks:?}");
    let server = Server::start(None, Manners::default());
    let done = replay(&["--to", &server.address, "-Y", PLAIN, "--pace", "asap"]);
    assert!(!done.stdout.contains("limits how many"), "{}", done.stdout);
}

#[test]
fn several_recorded_servers_need_a_target_each() {
    let directory = temporary();
    let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
    traffic.open(&mut client);
    traffic.call(&mut client, 1, "/a.B/Get", b"", b"");
    traffic.close(&mut client);
    let other = directory.path().join("other.pcap");
    std::fs::write(&other, &traffic.bytes).expect("written");
    let other = text(&other);
    let server = Server::start(None, Manners::default());
    let both = |more: &[&str]| run(&[&["replay", &capture(), &other], more].concat());
    let done = both(&["--to", &server.address, "--plan"]);
    assert_eq!(done.status, Some(2), "{done:?}");
    assert!(done.stderr.contains("give each its target"), "{}", done.stderr);
    for listed in ["127.0.0.1:50051 (grpc)", "11.0.0.1:50051 (grpc)"] {
        assert!(done.stderr.contains(listed), "{listed}: {}", done.stderr);
    }
    let (one, two) = (format!("127.0.0.1:50051={}", server.address), format!("11.0.0.1:50051={}", server.address));
    let done = both(&["--to", &one, "--to", &two, "--plan"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(done.stdout.contains("1 call to") && done.stdout.contains("recorded at 11.0.0.1:50051"), "{}", done.stdout);
}

#[test]
fn the_html_report_of_a_replay_shows_both_sides() {
    let server = Server::start(None, Manners { extra: b"\x10\x09", ..Manners::default() });
    let directory = temporary();
    let page = text(&directory.path().join("report.html"));
    let report = format!("html={page}");
    let rules = ["--ignore", "metadata.*", "--ignore", "trailers.*", "--report", &report];
    let done = replay(&[&["--to", &server.address, "-Y", PLAIN, "--pace", "asap"], &rules[..]].concat());
    assert_eq!(done.status, Some(1), "{done:?}");
    let Some(dom) = crate::support::browser::dom(directory.path(), &format!("file://{page}")) else { return };
    assert_eq!(dom.matches("<details class=\"call\"").count(), 63);
    assert!(dom.contains("63 of 63 shown"), "the script has run");
    assert!(dom.contains("class=\"sides\"") && dom.contains("response.status"));
    let found = crate::support::browser::dom(directory.path(), &format!("file://{page}#order-49")).expect("a browser");
    assert!(!found.contains("63 of 63 shown"), "a search hides what it does not find");
}
