//! What is answered: recordings replayed, misses, reuse, delays.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::rig::{Server, case, nothing_differs, replay};
use crate::support::environment::{captures, temporary};
use crate::support::run::{Run, run, text};

#[test]
fn a_replay_to_a_served_recording_finds_no_difference() {
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    for pace in [&["--pace", "asap"][..], &["--speed", "10"], &[]] {
        let server = Server::start(&shop.iter().map(String::as_str).collect::<Vec<_>>());
        let directory = temporary();
        let written = text(&directory.path().join("replayed.pcapng"));
        nothing_differs(&replay(&shop, &server.address, &[pace, &["-w", &written]].concat()), 74);
        let diff = run(&["diff", &shop[0], &written, &shop[1], &shop[2]]);
        assert_eq!(diff.status, Some(0), "{diff:?}");
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

#[test]
fn a_replay_of_containerd_and_its_shim_finds_no_difference() {
    let directory = temporary();
    let path = |name: &str| format!("unix:{}", text(&directory.path().join(name)));
    let (grpc, ttrpc) = (path("grpc.sock"), path("ttrpc.sock"));
    let containerd = case("containerd", "containerd.strace", Some("schema"));
    let shim = "unix:/run/containerd/s/c2d1bbbb3efaa5e118bcdf16698b73367f9c779d6c544b8def0c91e6e9a5c7df";
    for pace in [&["--pace", "asap"][..], &["--speed", "10"], &[]] {
        let own = ["--listen", &*grpc, "--listen", &*ttrpc];
        let server = Server::start(&[&[&*containerd[0], &*containerd[1], &*containerd[2]][..], &own].concat());
        let shim = format!("{shim}={ttrpc}");
        let events = format!("unix:/run/containerd/containerd.sock.ttrpc={ttrpc}");
        let main = format!("unix:/run/containerd/containerd.sock={grpc}");
        nothing_differs(&replay(&containerd, &main, &[&["--to", &*shim, "--to", &*events][..], pace].concat()), 28);
        let printed = server.stop();
        assert_eq!((printed.lines.len(), printed.outcomes("answered")), (28, 28), "{:?}", printed.lines);
        assert_eq!(printed.lines.iter().filter(|line| line["protocol"] == "ttrpc").count(), 13);
    }
}

#[test]
fn other_recordings_are_served_and_replayed_without_a_difference() {
    let file = |case: &str, file: &str| vec![text(&captures().join(case).join(file))];
    for (recording, same) in [
        (file("etcd", "etcd.pcap"), 12),
        (file("cancels", "cancels.pcap"), 5),
        (file("goaway", "goaway.pcap"), 2),
        (file("hello", "hello.pcap"), 1),
        (file("flow-control", "stalls.pcap.gz"), 4),
    ] {
        let server = Server::start(&[&recording[0]]);
        nothing_differs(&replay(&recording, &server.address, &["--pace", "asap"]), same);
        assert_eq!(server.stop().outcomes("miss"), 0, "{recording:?}");
    }
}
