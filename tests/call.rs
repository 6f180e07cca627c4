//! `call`: all four kinds, over gRPC and ttrpc, with a schema from a file or from the server.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use support::environment;
use support::run::{Run, run, run_with_input, text};

const SCHEMA: &str = r#"
    syntax = "proto3";
    package t;
    message M { string text = 1; int32 number = 2; }
    service S {
      rpc Unary(M) returns (M);
      rpc Up(stream M) returns (M);
      rpc Down(M) returns (stream M);
      rpc Both(stream M) returns (stream M);
      rpc Fail(M) returns (M);
      rpc Hang(M) returns (M);
    }
"#;

fn schema(directory: &Path) -> PathBuf {
    let path = directory.join("t.proto");
    std::fs::write(&path, SCHEMA).unwrap();
    path
}

/// The descriptors of the schema, one for each file.
fn descriptors(directory: &Path) -> Vec<u8> {
    let mut compiler = protox::Compiler::new([directory]).unwrap();
    compiler.open_file(schema(directory)).unwrap();
    compiler.file_descriptor_set().file.iter().map(prost_file).next().unwrap()
}

fn prost_file(file: &impl prost::Message) -> Vec<u8> {
    file.encode_to_vec()
}

/// A length-delimited field of fewer than 16 KiB.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    [&[number << 3 | 2, length as u8 & 0x7f | 0x80, (length >> 7) as u8][..], bytes].concat()
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// Splits what a client has sent into its messages.
fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while bytes.len() >= 5 {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        if bytes.len() < 5 + length {
            break;
        }
        messages.push(bytes[5..5 + length].to_vec());
        bytes = &bytes[5 + length..];
    }
    messages
}

/// A gRPC server: each method answers with what it was sent; Up with the last message, Down with the message twice. With
/// descriptors, it has reflection v1alpha, and not v1.
fn server(descriptors: Option<Vec<u8>>) -> SocketAddr {
    let (send, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, descriptors.clone()));
            }
        });
    });
    address.recv().unwrap()
}

async fn serve(socket: tokio::net::TcpStream, descriptors: Option<Vec<u8>>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let descriptors = descriptors.clone();
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let tenant = request.headers().get("tenant").cloned();
            let mut body = request.into_body();
            if path == "/t.S/Both" {
                return echo(body, respond).await;
            }
            let mut asked = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                asked.extend(piece);
            }
            let asked = messages(&asked);
            let (answers, status) = match (&*path, descriptors) {
                ("/t.S/Unary", _) => (asked, "0"),
                ("/t.S/Up", _) => (asked.last().cloned().into_iter().collect(), "0"),
                ("/t.S/Down", _) => (vec![asked[0].clone(), asked[0].clone()], "0"),
                ("/t.S/Fail", _) => (Vec::new(), "5"),
                ("/t.S/Hang", _) => return std::future::pending().await,
                ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Some(file)) => {
                    (vec![field(4, &field(1, &file))], "0")
                }
                _ => (Vec::new(), "12"),
            };
            let mut response =
                http::Response::builder().status(200).header("content-type", "application/grpc").body(()).unwrap();
            if let Some(tenant) = tenant {
                response.headers_mut().insert("tenant", tenant);
            }
            let mut stream = respond.send_response(response, false).unwrap();
            for answer in answers {
                let _ = stream.send_data(prefixed(&answer).into(), false);
            }
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            let _ = stream.send_trailers(trailers);
        });
    }
}

/// Answers each message as it comes.
async fn echo(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<bytes::Bytes>) {
    let response = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    let mut asked = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        asked.extend(piece);
        for message in messages(&asked) {
            asked.drain(..5 + message.len());
            let _ = stream.send_data(prefixed(&message).into(), false);
        }
    }
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let _ = stream.send_trailers(trailers);
}

/// A ttrpc server on a Unix socket that answers like the one above.
fn ttrpc_server(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            std::thread::spawn(move || answer_ttrpc(socket.unwrap()));
        }
    });
}

fn answer_ttrpc(mut socket: UnixStream) {
    let mut method = String::new();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut head = [0; 10];
        if socket.read_exact(&mut head).is_err() {
            return;
        }
        let mut data = vec![0; u32::from_be_bytes(head[..4].try_into().unwrap()) as usize];
        socket.read_exact(&mut data).unwrap();
        let (kind, flags) = (head[8], head[9]);
        let mut frame = |kind: u8, flags: u8, data: &[u8]| {
            let bytes = [&(data.len() as u32).to_be_bytes()[..], &head[4..8], &[kind, flags], data].concat();
            socket.write_all(&bytes).unwrap();
        };
        if kind == 1 {
            // Request: service 1, method 2, payload 3.
            let mut at = 0;
            let mut payload = Vec::new();
            while at + 1 < data.len() && data[at] & 7 == 2 {
                let length = usize::from(data[at + 1]);
                let value = data[at + 2..at + 2 + length].to_vec();
                match data[at] >> 3 {
                    2 => method = String::from_utf8(value).unwrap(),
                    3 => payload = value,
                    _ => {}
                }
                at += 2 + length;
            }
            sent.clear();
            if flags & 2 == 0 {
                sent.push(payload);
            }
        } else if flags & 4 == 0 {
            sent.push(data);
        }
        // The client sends more unless this is its only message, or the end of its stream.
        let is_complete = if kind == 1 { flags & 2 == 0 } else { flags & 1 != 0 };
        // Response: a Status in 1, the payload in 2.
        let response = |message: &[u8]| [&[0x12, message.len() as u8][..], message].concat();
        match &*method {
            _ if !is_complete => {}
            "Unary" => frame(2, 0, &response(&sent[0])),
            "Up" => frame(2, 0, &response(sent.last().unwrap())),
            "Down" | "Both" => {
                let answers = if method == "Down" { vec![sent[0].clone(); 2] } else { sent.clone() };
                answers.iter().for_each(|answer| frame(3, 0, answer));
                frame(3, 5, &[]);
            }
            _ => frame(2, 0, &[10, 4, 8, 5, 18, 0]), // Status { code: 5, message: "" }
        }
    }
}

fn call(to: &str, more: &[&str]) -> Run {
    run(&[&["call", to], more].concat())
}

fn bodies(run: &Run) -> Vec<Value> {
    let call: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {} {}", run.line, run.stdout, run.stderr));
    call["response"]["messages"].as_array().unwrap().iter().map(|message| message["body"].clone()).collect()
}

/// All four kinds, with `options` that name the protocol and the schema.
fn all_kinds(to: &str, options: &[&str]) {
    let make = |method: &str, data: &str| {
        let method = format!("t.S/{method}");
        call(to, &[&[&*method, "-d", data, "--json"][..], options].concat())
    };
    let (one, two) = (json!({"text": "a", "number": 1}), json!({"text": "b"}));
    let both = format!("{one} {two}");
    for (method, data, expected) in [
        ("Unary", &one.to_string(), vec![&one]),
        ("Up", &both, vec![&two]),
        ("Down", &one.to_string(), vec![&one, &one]),
        ("Both", &both, vec![&one, &two]),
    ] {
        let run = make(method, data);
        assert_eq!(bodies(&run).iter().collect::<Vec<_>>(), expected, "{method}");
        assert_eq!(run.status, Some(0), "{method}: {}", run.stderr);
    }
    let failed = make("Fail", "{}");
    assert_eq!(failed.status, Some(64 + 5), "{}", failed.stderr);
    let value: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(value["status"]["name"], "NOT_FOUND");
    // Values from standard input, each a message.
    let arguments = [&["call", to, "t.S/Both", "-d", "@", "--json"][..], options].concat();
    let piped = run_with_input(&arguments, both.as_bytes());
    assert_eq!(bodies(&piped), [one, two]);
}

#[test]
fn all_kinds_of_grpc_calls_with_a_schema_from_a_file() {
    let directory = environment::temporary();
    let proto = text(&schema(directory.path()));
    all_kinds(&server(None).to_string(), &["--proto", &proto]);
}

#[test]
fn all_kinds_of_grpc_calls_with_the_schema_of_the_servers_reflection() {
    let directory = environment::temporary();
    all_kinds(&server(Some(descriptors(directory.path()))).to_string(), &[]);
    let none = call(&server(None).to_string(), &["t.S/Unary"]);
    assert_eq!((none.status, none.stdout.as_str()), (Some(2), ""));
    assert!(none.stderr.contains("has no reflection; give --proto"), "{}", none.stderr);
}

#[test]
fn all_kinds_of_ttrpc_calls() {
    let directory = environment::temporary();
    let (proto, socket) = (text(&schema(directory.path())), directory.path().join("s"));
    ttrpc_server(&socket);
    let address = format!("unix:{}", text(&socket));
    all_kinds(&address, &["--protocol", "ttrpc", "--proto", &proto]);
    let without = call(&address, &["t.S/Unary", "--protocol", "ttrpc"]);
    assert_eq!(without.status, Some(2));
    assert!(without.stderr.contains("give --proto"), "{}", without.stderr);
}

#[test]
fn calls_of_grpcios_server_by_its_reflection() {
    let Some(python) = environment::python_with_grpcio() else { return };
    let directory = environment::temporary();
    schema(directory.path());
    let script = r#"
import sys, grpc
from concurrent import futures
from grpc_tools import protoc
assert protoc.main(["", "-I.", "--python_out=.", "--grpc_python_out=.", "t.proto"]) == 0
sys.path.insert(0, ".")
import t_pb2, t_pb2_grpc
from grpc_reflection.v1alpha import reflection
class S(t_pb2_grpc.SServicer):
    def Unary(self, m, c): return m
    def Up(self, ms, c): return list(ms)[-1]
    def Down(self, m, c):
        yield m
        yield m
    def Both(self, ms, c): yield from ms
    def Fail(self, m, c): c.abort(grpc.StatusCode.NOT_FOUND, "no")
server = grpc.server(futures.ThreadPoolExecutor(4))
t_pb2_grpc.add_SServicer_to_server(S(), server)
reflection.enable_server_reflection(["t.S", reflection.SERVICE_NAME], server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"#;
    let mut child = std::process::Command::new(python)
        .args(["-c", script])
        .current_dir(directory.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut port).unwrap();
    all_kinds(&format!("127.0.0.1:{}", port.trim()), &[]);
    // Its end of standard input ends it.
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn all_kinds_of_calls_of_grpc_web_and_connect() {
    let directory = environment::temporary();
    let proto = text(&schema(directory.path()));
    for (protocol, content_types) in [
        ("grpc-web", ["application/grpc-web+proto"; 2]),
        ("connect", ["application/proto", "application/connect+proto"]),
    ] {
        let (server, requests) = support::web::server();
        let options = ["--proto", &proto, "--protocol", protocol];
        all_kinds(&server.to_string(), &options);
        let seen = requests.lock().unwrap().clone();
        for ((head, _), content_type) in seen.iter().zip(content_types) {
            assert!(head.contains(&format!("content-type: {content_type}")), "{head}");
            assert!(head.contains(&format!("host: {server}")), "{head}");
        }
        let run = call(&server.to_string(), &[&["t.S/Unary", "-d", "{}", "--json"][..], &options].concat());
        let value: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(value["protocol"], protocol);
    }
}

#[test]
fn a_recorded_call_is_sent_again_without_its_credentials() {
    let directory = environment::temporary();
    let proto = text(&schema(directory.path()));
    let (mut traffic, mut client) = (support::traffic::Traffic::new(), support::traffic::Client::new(0));
    traffic.open(&mut client);
    traffic.call(&mut client, 1, "/t.S/Unary", b"\x0a\x03abc\x10\x07", b"");
    traffic.close(&mut client);
    let capture = directory.path().join("recorded.pcap");
    std::fs::write(&capture, traffic.bytes).unwrap();
    let to = server(None).to_string();
    let again = call(&to, &["--from", &text(&capture), "1", "--proto", &proto, "--json", "-H", "tenant: t1"]);
    assert_eq!(bodies(&again), [json!({"text": "abc", "number": 7})]);
    let value: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(value["response"]["metadata"][0], json!({"name": "tenant", "value": "t1"}));
    // Without a schema, it is sent all the same.
    let raw = call(&to, &["--from", &text(&capture), "1", "--json"]);
    assert_eq!(raw.status, Some(0), "{}", raw.stderr);
    assert_eq!(call(&to, &["--from", &text(&capture), "2"]).status, Some(2));
}

#[test]
fn what_is_wrong_is_reported_before_anything_is_sent() {
    let directory = environment::temporary();
    let proto = text(&schema(directory.path()));
    let to = server(None).to_string();
    for (arguments, status, part) in [
        (&["t.S/Unary", "-d", r#"{"nmber": 1}"#][..], 2, "t.M has no field nmber; it has text, number"),
        (&["t.S/Unary", "-d", "{} {}"], 2, "the method takes one message"),
        (&["t.S/Unary", "-d", "{"], 2, "-d: EOF while parsing"),
        (&["t.S/Unary", "-d", "@/no/such/file"], 2, "-d @/no/such/file"),
        (&["t.S/Nope"], 2, "t.S has no method Nope; it has Unary"),
        (&["t.X/Unary"], 2, "the schema has no service t.X; it has t.S"),
        (&["Unary"], 2, "is not a method: it is package.Service/Method"),
        (&["t.S/Unary", "-H", "tenant"], 2, "it is 'name: value'"),
        (&["t.S/Unary", "--cert", "/no/such/file"], 2, "--cert"),
    ] {
        let run = call(&to, &[arguments, &["--proto", &proto]].concat());
        assert_eq!((run.status, run.stdout.as_str()), (Some(status), ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(call(&nobody, &["t.S/Unary", "--proto", &proto]).status, Some(3));
    let slow = call(&to, &["t.S/Hang", "--max-time", "100ms", "--proto", &proto]);
    assert_eq!(slow.status, Some(64 + 4), "DEADLINE_EXCEEDED: {}", slow.stderr);
}

#[test]
fn fields_and_metadata_of_a_recorded_call_are_changed() {
    let directory = environment::temporary();
    let proto = text(&schema(directory.path()));
    let (mut traffic, mut client) = (support::traffic::Traffic::new(), support::traffic::Client::new(0));
    traffic.open(&mut client);
    // Field 9 is in no schema.
    traffic.call(&mut client, 1, "/t.S/Unary", b"\x0a\x03abc\x10\x07\x4a\x01x", b"");
    traffic.close(&mut client);
    let capture = directory.path().join("recorded.pcap");
    std::fs::write(&capture, traffic.bytes).unwrap();
    let to = server(None).to_string();
    let again = |more: &[&str]| call(&to, &[&["--from", &*text(&capture), "1", "--json"][..], more].concat());
    let changed = again(&["--proto", &proto, "--set", "text=xyz", "--set", "metadata.tenant=t9"]);
    assert_eq!(bodies(&changed), [json!({"text": "xyz", "number": 7})], "{}", changed.stderr);
    let value: Value = serde_json::from_str(&changed.stdout).unwrap();
    assert_eq!(value["response"]["metadata"][0], json!({"name": "tenant", "value": "t9"}));
    assert_eq!(value["response"]["messages"][0]["unknown"], json!({"9": ["x"]}));
    let full = again(&["--proto", &proto, "--set", "t.S/Unary.request.number=8"]);
    assert_eq!(bodies(&full), [json!({"text": "abc", "number": 8})]);
    for (wrong, part) in [
        (&["--proto", &*proto, "--set", "nothing=1"][..], "nothing"),
        (&["--proto", &proto, "--set", "number=many"], "number"),
        (&["--proto", &proto, "--set", "text"], "--set"),
        // It has no reflection.
        (&["--set", "text=x"], "give --proto"),
    ] {
        let run = again(wrong);
        assert_eq!(run.status, Some(2), "{wrong:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{wrong:?}: {}", run.stderr);
    }
    // By reflection.
    let told = server(Some(descriptors(directory.path()))).to_string();
    let changed = call(&told, &["--from", &text(&capture), "1", "--json", "--set", "text=new"]);
    assert_eq!(bodies(&changed), [json!({"text": "new", "number": 7})], "{}", changed.stderr);
}

#[test]
fn messages_of_a_stream_are_printed_as_they_come() {
    let directory = environment::temporary();
    let proto = text(&schema(directory.path()));
    let to = server(None).to_string();
    let mut child = support::run::rpcshark()
        .args(["call", &to, "t.S/Both", "-d", "@", "--proto", &proto])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = |part: &str| {
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains(part));
        assert!(line.is_some(), "{part}");
    };
    for (number, word) in [(1, "one"), (2, "two")] {
        writeln!(stdin, "{{\"text\": \"{word}\"}}").unwrap();
        next(&format!("↓ message {number}"));
        next(&format!("\"{word}\""));
    }
    drop(stdin);
    next("t.S/Both   OK");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.starts_with("↑ message 2")), "{rest:?}");
    assert!(!rest.iter().any(|line| line.starts_with("↓ message")), "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_schema_of_the_configuration_is_used_unless_it_is_not_wanted() {
    let directory = environment::temporary();
    schema(directory.path());
    let config = directory.path().join("config.toml");
    std::fs::write(&config, "[schema]\nproto = [\"t.proto\"]\n").unwrap();
    let to = server(None).to_string();
    let call = |more: &[&str]| {
        let mut command = support::run::rpcshark();
        command.env("RPCSHARK_CONFIG", &config).args(["call", &to, "t.S/Unary", "-d", r#"{"text": "a"}"#]);
        command.args(more).output().unwrap().status.code()
    };
    assert_eq!(call(&[]), Some(0));
    assert_eq!(call(&["--no-config"]), Some(2));
}

/// A part of etcd's schema.
const ETCD: &str = r#"
    syntax = "proto3";
    package etcdserverpb;
    message PutRequest { bytes key = 1; bytes value = 2; }
    message PutResponse {}
    message RangeRequest { bytes key = 1; bytes range_end = 2; }
    message KeyValue { bytes key = 1; bytes value = 5; }
    message RangeResponse { repeated KeyValue kvs = 2; int64 count = 4; }
    message WatchRequest { message Create { bytes key = 1; bytes range_end = 2; } oneof request_union { Create create_request = 1; } }
    message WatchResponse { int64 watch_id = 2; bool created = 3; }
    service KV { rpc Put(PutRequest) returns (PutResponse); rpc Range(RangeRequest) returns (RangeResponse); }
    service Watch { rpc Watch(stream WatchRequest) returns (stream WatchResponse); }
"#;

#[test]
fn etcd_is_called_by_a_schema_of_its_own() {
    if environment::tool("etcd", &["--version"]).is_none() {
        return;
    }
    let directory = environment::temporary();
    let proto = directory.path().join("etcd.proto");
    std::fs::write(&proto, ETCD).unwrap();
    let proto = text(&proto);
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let [clients, peers] = [port(), port()].map(|port| format!("http://127.0.0.1:{port}"));
    let mut etcd = std::process::Command::new("etcd")
        .args(["--data-dir", &text(&directory.path().join("data")), "--listen-client-urls", &clients])
        .args(["--advertise-client-urls", &clients, "--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("default={peers}")])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let to = clients.trim_start_matches("http://");
    let put = || call(to, &["etcdserverpb.KV/Put", "-d", r#"{"key": "YQ==", "value": "Yg=="}"#, "--proto", &proto]);
    let began = std::time::Instant::now();
    while put().status != Some(0) {
        assert!(began.elapsed().as_secs() < 60, "{:?}", put());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let range = call(to, &["etcdserverpb.KV/Range", "-d", r#"{"key": "YQ=="}"#, "--proto", &proto, "--json"]);
    assert_eq!(bodies(&range), [json!({"kvs": [{"key": "YQ==", "value": "Yg=="}], "count": "1"})]);
    // A stream that the server does not end.
    let create = r#"{"createRequest": {"key": "YQ=="}}"#;
    let watch = call(to, &["etcdserverpb.Watch/Watch", "-d", create, "--proto", &proto, "--json", "--max-time", "2s"]);
    assert_eq!(bodies(&watch)[0], json!({"created": true}), "{}", watch.stderr);
    let untold = call(to, &["etcdserverpb.KV/Range"]);
    assert_eq!(untold.status, Some(2));
    assert!(untold.stderr.contains("give --proto"), "{}", untold.stderr);
    etcd.kill().unwrap();
    etcd.wait().unwrap();
}
