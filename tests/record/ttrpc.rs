//! The crate `ttrpc`, client and server, sync and async, with a recorder between them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use ttrpc::r#async::{self as asynchronous, StreamInner};
use ttrpc::proto::{Code, Request, Response, Status};

use crate::recording::{Connection, Rig, socket_path};

const SERVICE: &str = "rpcshark.test.Service";

fn request(method: &str, payload: &[u8]) -> Request {
    let (service, method) = (SERVICE.into(), method.into());
    Request { service, method, payload: payload.to_vec(), ..Request::default() }
}

fn answer(payload: Vec<u8>) -> Response {
    let mut response = Response { payload, ..Response::default() };
    response.set_status(Status::default());
    response
}

/// Answers with what it was asked.
struct Echo;

#[async_trait]
impl asynchronous::MethodHandler for Echo {
    async fn handler(&self, _: asynchronous::TtrpcContext, request: Request) -> ttrpc::Result<Response> {
        Ok(answer(request.payload))
    }
}

impl ttrpc::MethodHandler for Echo {
    fn handler(&self, context: ttrpc::TtrpcContext, request: Request) -> ttrpc::Result<()> {
        context.respond(context.mh.stream_id, answer(request.payload))
    }
}

/// Says no.
struct Fail;

#[async_trait]
impl asynchronous::MethodHandler for Fail {
    async fn handler(&self, _: asynchronous::TtrpcContext, _: Request) -> ttrpc::Result<Response> {
        let mut response = Response::default();
        response.set_status(ttrpc::get_status(Code::NOT_FOUND, "no such thing"));
        Ok(response)
    }
}

/// Answers each message of a stream, until there are no more.
struct Chat;

#[async_trait]
impl asynchronous::StreamHandler for Chat {
    async fn handler(&self, _: asynchronous::TtrpcContext, mut stream: StreamInner) -> ttrpc::Result<Option<Response>> {
        while let Ok(message) = stream.recv().await {
            stream.send([b"re: ", message.as_slice()].concat()).await?;
        }
        Ok(None)
    }
}

/// Counts the messages of a stream.
struct Count;

#[async_trait]
impl asynchronous::StreamHandler for Count {
    async fn handler(&self, _: asynchronous::TtrpcContext, mut stream: StreamInner) -> ttrpc::Result<Option<Response>> {
        let mut count = 0u8;
        while stream.recv().await.is_ok() {
            count += 1;
        }
        Ok(Some(answer(vec![count])))
    }
}

/// Sends five messages.
struct Five;

#[async_trait]
impl asynchronous::StreamHandler for Five {
    async fn handler(&self, _: asynchronous::TtrpcContext, mut stream: StreamInner) -> ttrpc::Result<Option<Response>> {
        stream.recv().await?;
        for no in 1..=5 {
            stream.send(vec![no]).await?;
        }
        Ok(None)
    }
}

fn async_server(address: &str) -> asynchronous::Server {
    let methods: HashMap<String, Box<dyn asynchronous::MethodHandler + Send + Sync>> =
        HashMap::from([("Echo".to_owned(), Box::new(Echo) as _), ("Fail".to_owned(), Box::new(Fail) as _)]);
    let streams: HashMap<String, Arc<dyn asynchronous::StreamHandler + Send + Sync>> = HashMap::from([
        ("Chat".to_owned(), Arc::new(Chat) as _),
        ("Count".to_owned(), Arc::new(Count) as _),
        ("Five".to_owned(), Arc::new(Five) as _),
    ]);
    let service = asynchronous::Service { methods, streams };
    let server = asynchronous::Server::new().bind(address).expect("bound");
    server.register_service(HashMap::from([(SERVICE.to_owned(), service)]))
}

/// A frame of ttrpc: stream, type, flags, data.
type Frame<'a> = (u32, u8, u8, &'a [u8]);

/// The frames of a flow, which has nothing else.
fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let end = 10 + number(0) as usize;
        frames.push((number(4), bytes[8], bytes[9], &bytes[10..end]));
        bytes = &bytes[end..];
    }
    frames
}

fn contains(frame: &Frame<'_>, text: &[u8]) -> bool {
    frame.3.windows(text.len()).any(|window| window == text)
}

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const DATA: u8 = 3;

/// Calls as method, kind, outcome, and how many messages went up and down.
fn outlines(calls: &[serde_json::Value]) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let count = |part: &serde_json::Value| part["messages"].as_array().map_or(0, Vec::len);
    let outline = |call: &serde_json::Value| {
        let [method, kind, outcome] = ["method", "kind", "outcome"].map(|member| text(&call[member]));
        format!("{method} {kind} {outcome} {}/{}", count(&call["request"]), count(&call["response"]))
    };
    calls.iter().map(outline).collect()
}

#[test]
fn the_blocking_client_and_server_do_not_notice() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, server_address) = socket_path(&directory, "server.sock");
    let (_, address) = socket_path(&directory, "recorder.sock");
    let unix = |address: &str| address.replace("unix:", "unix://");
    let methods: HashMap<String, Box<dyn ttrpc::MethodHandler + Send + Sync>> =
        HashMap::from([(format!("/{SERVICE}/Echo"), Box::new(Echo) as _)]);
    let server = ttrpc::Server::new().bind(&unix(&server_address)).expect("bound");
    let mut server = server.register_service(methods);
    server.start().expect("started");
    let rig = Rig::new(&address, &server_address);

    let client = ttrpc::Client::connect(&unix(&address)).expect("connected");
    let large = vec![7; 3 << 20];
    for payload in [b"hello".as_slice(), b"", &large] {
        let response = client.request(request("Echo", payload)).expect("answered");
        assert!(response.payload == payload);
    }
    assert!(client.request(request("Missing", b"")).is_err());
    drop(client);
    let (recording, calls) = rig.finish_and_read_calls();
    server.shutdown();
    assert_eq!(
        outlines(&calls),
        ["Echo unary ok 1/1", "Echo unary ok 1/1", "Echo unary ok 1/1", "Missing unary error 1/0"]
    );
    for call in &calls {
        assert_eq!((&call["protocol"], &call["transport"]), (&"ttrpc".into(), &"unix".into()));
        assert_eq!(call["server"], *server_address);
    }

    let [up, down] = &recording.connections[0].flows;
    let (asked, answered) = (frames(&up.bytes), frames(&down.bytes));
    assert_eq!(asked.iter().map(|frame| (frame.0, frame.1)).collect::<Vec<_>>(), [1, 3, 5, 7].map(|no| (no, REQUEST)));
    assert_eq!(
        answered.iter().map(|frame| (frame.0, frame.1)).collect::<Vec<_>>(),
        [1, 3, 5, 7].map(|no| (no, RESPONSE))
    );
    assert!(
        contains(&asked[0], b"hello") && contains(&answered[0], b"hello") && contains(&asked[0], SERVICE.as_bytes())
    );
    assert!(answered[2].3.len() > 3 << 20);
}

#[test]
fn the_async_client_and_server_do_not_notice() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let (_, server_address) = socket_path(&directory, "server.sock");
    let (_, address) = socket_path(&directory, "recorder.sock");
    let (recording, calls) = runtime.block_on(async {
        let unix = |address: &str| address.replace("unix:", "unix://");
        let mut server = async_server(&unix(&server_address));
        server.start().await.expect("started");
        let rig = Rig::new(&address, &server_address);
        let client = asynchronous::Client::connect(&unix(&address)).await.expect("connected");

        assert_eq!(client.request(request("Echo", b"hello")).await.expect("answered").payload, b"hello");
        let error = client.request(request("Fail", b"")).await.expect_err("refused");
        assert!(error.to_string().contains("no such thing"), "{error}");

        let mut chat = client.new_stream(request("Chat", b""), true, true).await.expect("opened");
        for text in [b"one".as_slice(), b"two"] {
            chat.send(text.to_vec()).await.expect("sent");
            assert_eq!(chat.recv().await.expect("answered"), [b"re: ", text].concat());
        }
        chat.close_send().await.expect("closed");
        assert!(chat.recv().await.is_err(), "the server's end");

        let mut count = client.new_stream(request("Count", b""), true, false).await.expect("opened");
        for no in 0..3 {
            count.send(vec![no]).await.expect("sent");
        }
        count.close_send().await.expect("closed");
        assert_eq!(count.recv().await.expect("answered"), [3]);

        let mut five = client.new_stream(request("Five", b"please"), false, true).await.expect("opened");
        for no in 1..=5 {
            assert_eq!(five.recv().await.expect("sent"), [no]);
        }
        assert!(five.recv().await.is_err(), "the server's end");
        drop((client, chat, count, five));
        let recorded = rig.finish_and_read_calls();
        let _ = server.shutdown().await;
        recorded
    });
    let expected = [
        "Echo unary ok 1/1",
        "Fail unary error 1/0",
        "Chat bidi_streaming ok 2/2",
        "Count client_streaming ok 3/1",
        "Five server_streaming ok 1/5",
    ];
    assert_eq!(outlines(&calls), expected);
    assert_eq!(calls[1]["status"]["name"], "NOT_FOUND");

    let [up, down] = &recording.connections[0].flows;
    let (asked, answered) = (frames(&up.bytes), frames(&down.bytes));
    let of = |frames: &[Frame<'_>], stream: u32, kind: u8| {
        frames.iter().filter(|frame| (frame.0, frame.1) == (stream, kind)).count()
    };
    // Echo, Fail, Chat, Count, Five have the streams 1, 3, 5, 7, 9.
    for stream in [1, 3, 5, 7, 9] {
        assert_eq!(of(&asked, stream, REQUEST), 1, "stream {stream}");
    }
    assert_eq!((of(&asked, 5, DATA), of(&answered, 5, DATA)), (3, 3));
    assert_eq!((of(&asked, 7, DATA), of(&answered, 7, RESPONSE)), (4, 1));
    assert_eq!((of(&asked, 9, DATA), of(&answered, 9, DATA)), (0, 6));
    assert!(answered.iter().any(|frame| frame.0 == 3 && frame.1 == RESPONSE && contains(frame, b"no such thing")));
}

/// So many calls at once on so many connections, each answered with its own question.
fn many_calls(connections: u64, calls: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let (_, server_address) = socket_path(&directory, "server.sock");
    let (_, address) = socket_path(&directory, "recorder.sock");
    let (recording, summary) = runtime.block_on(async {
        let unix = |address: &str| address.replace("unix:", "unix://");
        let mut server = async_server(&unix(&server_address));
        server.start().await.expect("started");
        let rig = Rig::new(&address, &server_address);
        let mut clients = Vec::new();
        for no in 0..connections {
            let client = asynchronous::Client::connect(&unix(&address)).await.expect("connected");
            clients.push(tokio::spawn(async move {
                for call in 0..calls {
                    let payload = [no.to_be_bytes(), call.to_be_bytes()].concat();
                    let response = client.request(request("Echo", &payload)).await.expect("answered");
                    assert_eq!(response.payload, payload);
                }
            }));
        }
        for client in clients {
            client.await.expect("done");
        }
        let recorded = rig.finish();
        let _ = server.shutdown().await;
        recorded
    });
    assert_eq!((recording.connections.len() as u64, summary.lost_bytes), (connections, 0));
    for Connection { flows: [up, down], .. } in &recording.connections {
        assert_eq!(frames(&up.bytes).len() as u64, calls);
        assert_eq!(frames(&down.bytes).len() as u64, calls);
    }
}

#[test]
fn many_connections_make_many_calls() {
    many_calls(64, 30);
}

#[test]
#[ignore = "takes a minute in a debug build"]
fn a_hundred_thousand_calls() {
    many_calls(64, 100_000 / 64 + 1);
}
