//! `rpcshark replay` as users run it: what it refuses, what it sends, and how it ends.

mod support;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use support::environment::temporary;
use support::run::{Run, rpcshark, run, text};
use support::shop::{self, Shop};
use support::tcp::Side;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::LocalSet;

/// What a server answers to a request: messages with their prefixes, and a status.
#[derive(Clone, Debug, Default)]
struct Answer {
    messages: Vec<u8>,
    status: i64,
}

/// The recorded answers of the shop, by method and request.
fn answers() -> HashMap<(String, Vec<u8>), Answer> {
    let shop = Shop::load();
    let bytes = |side: Side, call: &shop::TrueCall| {
        let mut bytes = Vec::new();
        for message in &call.messages[side as usize] {
            for piece in &message.wire.pieces {
                bytes.extend_from_slice(&shop.flows[side as usize].bytes[piece.clone()]);
            }
        }
        bytes
    };
    let mut answers = HashMap::new();
    for call in shop.calls.values() {
        let answer = Answer { messages: bytes(Side::Server, call), status: call.status.unwrap_or(0) };
        answers.insert((format!("/{}", call.method), bytes(Side::Client, call)), answer);
    }
    answers
}

/// A server in a thread that ends with the program.
struct Server {
    address: String,
    /// The paths of the calls, in the order in which they came.
    calls: Arc<Mutex<Vec<String>>>,
}

/// How a server differs from the recorded one.
#[derive(Clone, Copy, Debug, Default)]
struct Manners {
    /// How long each call takes.
    pause: Duration,
    /// Appended to each message of `GetOrder`: a field, encoded.
    extra: &'static [u8],
}

impl Server {
    /// Listens at a path, or at a port of its own.
    fn start(path: Option<&Path>, manners: Manners) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let its_calls = Arc::clone(&calls);
        let path = path.map(Path::to_owned);
        let (tell, told) = mpsc::channel();
        let answers = answers();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let answers = Arc::new(answers);
                let serve = |stream: Box<dyn Stream>| {
                    tokio::task::spawn_local(serve(stream, Arc::clone(&answers), Arc::clone(&its_calls), manners));
                };
                match path {
                    Some(path) => {
                        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
                        tell.send(format!("unix:{}", path.display())).expect("somebody waits");
                        loop {
                            serve(Box::new(listener.accept().await.expect("a client").0));
                        }
                    }
                    None => {
                        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                        let address = listener.local_addr().expect("an address");
                        tell.send(address.to_string()).expect("somebody waits");
                        loop {
                            serve(Box::new(listener.accept().await.expect("a client").0));
                        }
                    }
                }
            });
        });
        Self { address: told.recv().expect("an address"), calls }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

async fn serve(
    stream: Box<dyn Stream>,
    answers: Arc<HashMap<(String, Vec<u8>), Answer>>,
    calls: Arc<Mutex<Vec<String>>>,
    manners: Manners,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (answers, calls) = (Arc::clone(&answers), Arc::clone(&calls));
        tokio::task::spawn_local(async move {
            calls.lock().expect("no panic").push(request.uri().path().to_owned());
            answer(request, respond, &answers, manners).await;
        });
    }
}

async fn answer(
    mut request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    answers: &HashMap<(String, Vec<u8>), Answer>,
    manners: Manners,
) {
    let path = request.uri().path().to_owned();
    let mut body = Vec::new();
    while let Some(Ok(part)) = request.body_mut().data().await {
        let _ = request.body_mut().flow_control().release_capacity(part.len());
        body.extend_from_slice(&part);
    }
    tokio::time::sleep(manners.pause).await;
    let mut answer = answers.get(&(path.clone(), body)).cloned().unwrap_or(Answer { messages: Vec::new(), status: 12 });
    if path.ends_with("/GetOrder") && !answer.messages.is_empty() && !manners.extra.is_empty() {
        answer.messages.extend_from_slice(manners.extra);
        let length = (answer.messages.len() - 5) as u32;
        answer.messages[1..5].copy_from_slice(&length.to_be_bytes());
    }
    let response = Response::builder().header("content-type", "application/grpc").body(()).expect("a response");
    let Ok(mut send) = respond.send_response(response, false) else { return };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", answer.status.into());
    if send.send_data(answer.messages.into(), false).is_ok() {
        let _ = send.send_trailers(trailers);
    }
}

fn capture() -> String {
    text(&shop::directory().join("shop.pcap"))
}

fn replay(more: &[&str]) -> Run {
    let schema = shop::schema();
    let capture = capture();
    let mut arguments = vec!["replay", &capture, &schema[0], &schema[1]];
    arguments.extend_from_slice(more);
    run(&arguments)
}

/// Unary calls of the shop that the test's server answers as recorded, but for metadata.
const PLAIN: &str = "rpc.method == \"GetOrder\" && rpc.outcome == ok";

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
