//! What `replay` reports: against a server that answers as recorded, and against ones that do not.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use support::environment;
use support::run::{Run, run, text};
use support::traffic::{ACK, Client, Traffic, fields, frame};

const SCHEMA: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/timestamp.proto";
    service Orders { rpc GetOrder(Order) returns (Order); rpc CreateOrder(Order) returns (Order); }
    message Order { string id = 1; string text = 2; uint32 revision = 3; google.protobuf.Timestamp created = 4; }
"#;

/// An `Order`, with fields of fewer than 128 bytes.
fn order(id: &str, text: &str, revision: u8, seconds: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, value) in [(0x0a, id), (0x12, text)] {
        out.push(tag);
        out.push(value.len() as u8);
        out.extend(value.as_bytes());
    }
    out.extend([0x18, revision]);
    let mut time = vec![8];
    let mut seconds = seconds;
    while seconds >= 0x80 {
        time.push(seconds as u8 | 0x80);
        seconds >>= 7;
    }
    time.push(seconds as u8);
    out.push(0x22);
    out.push(time.len() as u8);
    out.extend(time);
    out
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// A recording of four calls of GetOrder and one of CreateOrder, and its schema.
fn recording(directory: &Path) -> (PathBuf, PathBuf) {
    let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
    traffic.open(&mut client);
    for no in 0..5_u8 {
        let path = if no < 4 { "/shop.Orders/GetOrder" } else { "/shop.Orders/CreateOrder" };
        let id = format!("order-{no}");
        // 2023-11-14, when the traffic begins.
        let answer = order(&id, "recorded", no + 1, 1_700_000_000);
        let stream = u32::from(no) * 2 + 1;
        let request = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        traffic.packet(&mut client, false, ACK, &frame(1, 4, stream, &fields(&request)));
        traffic.packet(&mut client, false, ACK, &frame(0, 1, stream, &prefixed(&order(&id, "", 0, 0)[..9])));
        let response = [(":status", "200"), ("content-type", "application/grpc")];
        traffic.packet(&mut client, true, ACK, &frame(1, 4, stream, &fields(&response)));
        traffic.packet(&mut client, true, ACK, &frame(0, 0, stream, &prefixed(&answer)));
        let trailers = [("grpc-status", "0"), ("x-api-key", "recorded-secret")];
        traffic.packet(&mut client, true, ACK, &frame(1, 5, stream, &fields(&trailers)));
    }
    traffic.close(&mut client);
    let (capture, proto) = (directory.join("recorded.pcap"), directory.join("shop.proto"));
    std::fs::write(&capture, traffic.bytes).unwrap();
    std::fs::write(&proto, SCHEMA).unwrap();
    (capture, proto)
}

/// What a server answers: its text, its time, and whether its revisions begin anew or continue.
#[derive(Clone, Copy)]
struct Answers {
    text: &'static str,
    seconds: u64,
    counts_on: bool,
    secret: &'static str,
    status: &'static str,
}

const AS_RECORDED: Answers =
    Answers { text: "recorded", seconds: 1_700_000_000, counts_on: false, secret: "recorded-secret", status: "0" };

/// Starts a server; it lives as long as the test.
fn server(answers: Answers) -> SocketAddr {
    let (send, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            let count = Arc::new(AtomicU32::new(0));
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, answers, Arc::clone(&count)));
            }
        });
    });
    address.recv().unwrap()
}

async fn serve(socket: tokio::net::TcpStream, answers: Answers, count: Arc<AtomicU32>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let count = Arc::clone(&count);
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut asked = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                asked.extend(piece);
            }
            let id = String::from_utf8_lossy(&asked[7..14]).into_owned();
            let no = u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
            let revision = if answers.counts_on { no + 50 } else { id.as_bytes()[6] - b'0' + 1 };
            let response =
                http::Response::builder().status(200).header("content-type", "application/grpc").body(()).unwrap();
            let mut stream = respond.send_response(response, false).unwrap();
            if answers.status == "0" {
                let message = prefixed(&order(&id, answers.text, revision, answers.seconds));
                stream.send_data(message.into(), false).unwrap();
            }
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", answers.status.parse().unwrap());
            trailers.insert("x-api-key", answers.secret.parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        });
    }
}

fn replay(directory: &Path, to: SocketAddr, more: &[&str]) -> Run {
    let (capture, proto) = recording(directory);
    let (capture, proto, to) = (text(&capture), text(&proto), to.to_string());
    run(&[&["replay", &capture, "--proto", &proto, "--to", &to, "--pace", "asap"][..], more].concat())
}

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {}{}", run.line, run.stdout, run.stderr))
}

fn places(report: &Value) -> Vec<String> {
    let groups = report["groups"].as_array().unwrap().iter();
    groups.map(|group| format!("{} {}", group["place"].as_str().unwrap(), group["count"])).collect()
}

#[test]
fn a_server_that_answers_as_recorded_makes_no_difference() {
    let directory = environment::temporary();
    let run = replay(directory.path(), server(AS_RECORDED), &["--report", "json"]);
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let report = report(&run);
    assert_eq!((&report["totals"]["same"], &report["totals"]["skipped"]), (&4.into(), &1.into()));
    assert_eq!((&report["command"], &report["version"]), (&"replay".into(), &1.into()));
    let skipped = report["calls"].as_array().unwrap().iter().find(|call| call["outcome"] == "skipped").unwrap();
    assert_eq!((&skipped["no"], &skipped["path"]), (&5.into(), &"/shop.Orders/CreateOrder".into()));
    assert!(skipped["why"].as_str().unwrap().contains("--allow"));
    assert_eq!(report["skipped"][0]["count"], 1);
    let method = &report["methods"].as_array().unwrap().iter().find(|method| method["path"] == "/shop.Orders/GetOrder");
    assert!(method.unwrap()["duration_ns"]["replayed"]["p50"].is_number());
}

#[test]
fn exactly_what_the_server_changed_is_reported_and_rules_take_it_out() {
    let directory = environment::temporary();
    let changed = server(Answers { text: "changed", secret: "another-secret!", ..AS_RECORDED });
    let run = replay(directory.path(), changed, &["--report", "json"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert_eq!(places(&report(&run)), ["response.text 4", "trailers.x-api-key 4"]);
    let out = directory.path().join("out.html");
    for form in ["json", "text", "junit", "html"] {
        let run = replay(directory.path(), changed, &["--report", form, "-v"]);
        assert!(run.stdout.contains("x-api-key"), "{form}");
        assert!(!run.stdout.contains("-secret") && !run.stderr.contains("-secret"), "{form} shows a secret");
    }
    drop(out);
    let rules = directory.path().join("rules.toml");
    std::fs::write(&rules, "ignore = [\"shop.Order.text\", \"trailers.x-api-key\"]\n").unwrap();
    let run = replay(directory.path(), changed, &["--rules", &text(&rules)]);
    assert_eq!(run.status, Some(0), "{}", run.stdout);
    let failing = server(Answers { status: "5", ..AS_RECORDED });
    let run = replay(directory.path(), failing, &["--report", "json"]);
    let report = report(&run);
    assert_eq!((run.status, &report["totals"]["status-changed"]), (Some(1), &4.into()));
    assert_eq!(report["calls"][1]["why"], "recorded OK, now NOT_FOUND");
}

#[test]
fn noise_is_learned_from_a_second_replay_or_a_baseline_and_likely_noise_is_suggested() {
    let directory = environment::temporary();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let changed = Answers { text: "changed", seconds: now, counts_on: true, ..AS_RECORDED };
    // Without: all of it; what looks like a clock or a counter is suggested, and still counts.
    let run = replay(directory.path(), server(changed), &["--report", "json"]);
    let all = report(&run);
    assert_eq!(places(&all), ["response.created 4", "response.revision 4", "response.text 4"]);
    let suggested: Vec<&str> =
        all["suggestions"].as_array().unwrap().iter().map(|one| one["ignore"].as_str().unwrap()).collect();
    assert_eq!(suggested, ["shop.Order.created", "shop.Order.revision"]);
    // Twice: revisions differ between the replays of one server; its text does not, and its time here neither.
    let run = replay(directory.path(), server(changed), &["--report", "json", "--twice"]);
    let twice = report(&run);
    assert_eq!(
        (run.status, places(&twice)),
        (Some(1), vec!["response.created 4".to_owned(), "response.text 4".to_owned()])
    );
    assert_eq!(twice["totals"]["noise"], 4);
    assert_eq!(twice["noise"][0]["place"], "shop.Orders/GetOrder.response.revision");
    // A baseline that is right but for its time and its revisions.
    let baseline = server(Answers { seconds: now, counts_on: true, ..AS_RECORDED }).to_string();
    let run = replay(directory.path(), server(changed), &["--report", "json", "--baseline", &baseline]);
    assert_eq!((run.status, places(&report(&run))), (Some(1), vec!["response.text 4".to_owned()]));
}

#[test]
fn a_server_that_cannot_be_reached_ends_with_status_3_and_a_report() {
    let directory = environment::temporary();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = replay(directory.path(), nobody, &["--report", "json", "--connect-for", "200ms"]);
    assert_eq!(run.status, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("cannot connect"), "{}", run.stderr);
    let report = report(&run);
    assert_eq!(report["totals"]["same"], 0);
    assert_eq!(report["totals"]["calls"], 5);
}

#[test]
fn wrong_rules_are_refused_before_anything_is_sent() {
    let directory = environment::temporary();
    let address = server(AS_RECORDED);
    for arguments in
        [&["--ignore", "a..b"][..], &["--report", "json", "--report", "html"], &["--key", "a", "--key", "b"]]
    {
        let run = replay(directory.path(), address, arguments);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", run.stderr);
    }
}
