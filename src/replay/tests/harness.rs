//! A server and a recording client in this process, and a replay of what was recorded.

use std::cell::RefCell;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use rpcshark_captures::budget::MemoryLimit;
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Direction, Endpoint, Timestamp};
use rpcshark_dissectors::DecodeAs;
use rpcshark_dissectors::compare::{Comparer, Comparison, Rules, Verdict};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::Keep;
use rpcshark_dissectors::view::{Permit, Redaction};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

use crate::cli::FileBodies;
use crate::decode_as::DecodeAsRules;
use crate::load::{Inputs, LoadOptions, Loader};
use crate::replay::edit::Edits;
use crate::replay::{
    Allow, Connections, Control, Deadline, Ended, Event, Finished, HeaderPolicy, Live, OnConnectionLoss, OnStall,
    Order, Pace, Plan, Recording, Running, Settings, To, Wanted, Work, compared_call,
};
use crate::rpc::{GrpcConnection, GrpcStream, Observed, Observer, TlsArgs, TlsSettings};

/// The types of all tests.
pub(crate) const PROTO: &str = r#"
    syntax = "proto3"; package t;
    import "google/protobuf/any.proto";
    message M { string id = 1; int32 n = 2; }
    service S {
      rpc Get(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
      rpc Create(M) returns (M);
      rpc Chat(stream M) returns (stream M);
      rpc ListRich(M) returns (Rich);
    }
    message Rich { map<string, int32> counts = 1; double load = 2; google.protobuf.Any detail = 3; string name = 4; }
"#;

/// `M { id }`.
pub(crate) fn m(id: &str) -> Vec<u8> {
    let mut message = vec![0x0a, id.len() as u8];
    message.extend_from_slice(id.as_bytes());
    message
}

/// The id of an `M`.
pub(crate) fn id(message: &[u8]) -> String {
    String::from_utf8(message.get(2..).unwrap_or_default().to_vec()).expect("text")
}

/// What a server does with a call.
type Handler = Arc<dyn Fn(Peer) -> Pin<Box<dyn Future<Output = ()>>> + Send + Sync>;

/// A server that runs on a thread of its own until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// What handlers wrote down.
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    /// Connections that are open, and those that were opened.
    pub(crate) connections: Arc<(AtomicUsize, AtomicUsize)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a server behaves besides its calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`.
    pub(crate) max_streams: Option<u32>,
    /// Closes each connection, with a GOAWAY, after so many calls.
    pub(crate) calls_per_connection: Option<usize>,
    /// Where to listen; at a port of its own if not given.
    pub(crate) address: Option<SocketAddr>,
}

/// A call, as its server sees it.
pub(crate) struct Peer {
    pub(crate) path: String,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    /// Closes the connection.
    hang_up: Rc<Notify>,
    body: RecvStream,
    buffer: BytesMut,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
}

impl Server {
    pub(crate) fn start<F: Future<Output = ()> + 'static>(handler: impl Fn(Peer) -> F + Send + Sync + 'static) -> Self {
        Self::with(Manners::default(), handler)
    }

    pub(crate) fn with<F: Future<Output = ()> + 'static>(
        manners: Manners,
        handler: impl Fn(Peer) -> F + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Arc::new(move |peer| Box::pin(handler(peer)));
        let log = Arc::new(Mutex::new(Vec::new()));
        let its_log = Arc::clone(&log);
        let connections = Arc::<(AtomicUsize, AtomicUsize)>::default();
        let its_connections = Arc::clone(&connections);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let at = manners.address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
                let listener = TcpListener::bind(at).await.expect("a port");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
                tokio::select! {
                    () = accept(listener, manners, handler, its_log, its_connections) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: told.recv().expect("an address"), log, connections, stop: Some(stop), thread: thread.ok() }
    }

    /// Ends the server; its address stays.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        self.log.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(
    listener: TcpListener,
    manners: Manners,
    handler: Handler,
    log: Arc<Mutex<Vec<String>>>,
    connections: Arc<(AtomicUsize, AtomicUsize)>,
) {
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("an option");
        let (handler, log, connections) = (Arc::clone(&handler), Arc::clone(&log), Arc::clone(&connections));
        tokio::task::spawn_local(async move {
            connections.0.fetch_add(1, Ordering::SeqCst);
            connections.1.fetch_add(1, Ordering::SeqCst);
            let hang_up = Rc::new(Notify::new());
            tokio::select! {
                () = serve(stream, manners, handler, log, Rc::clone(&hang_up)) => {}
                () = hang_up.notified() => {}
            }
            connections.0.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(
    stream: TcpStream,
    manners: Manners,
    handler: Handler,
    log: Arc<Mutex<Vec<String>>>,
    hang_up: Rc<Notify>,
) {
    let mut builder = h2::server::Builder::new();
    if let Some(max) = manners.max_streams {
        builder.max_concurrent_streams(max);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    let mut calls = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (parts, body) = request.into_parts();
        let peer = Peer {
            path: parts.uri.path().to_owned(),
            log: Arc::clone(&log),
            hang_up: Rc::clone(&hang_up),
            body,
            buffer: BytesMut::new(),
            respond,
            send: None,
        };
        tokio::task::spawn_local(handler(peer));
        calls += 1;
        if manners.calls_per_connection == Some(calls) {
            connection.graceful_shutdown();
        }
    }
}

impl Peer {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.log.lock().push(text.into());
    }

    /// The next message, or none when the client sends no more.
    pub(crate) async fn recv(&mut self) -> Option<Vec<u8>> {
        receive(&mut self.body, &mut self.buffer).await
    }

    fn stream(&mut self) -> &mut SendStream<Bytes> {
        let respond = &mut self.respond;
        self.send.get_or_insert_with(|| {
            let response = Response::builder().header("content-type", "application/grpc").body(()).expect("a response");
            respond.send_response(response, false).expect("the stream is open")
        })
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        let _ = self.stream().send_data(framed(message), false);
    }

    /// Sends bytes as they are, without a prefix.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream().send_data(Bytes::copy_from_slice(bytes), false);
    }

    /// Sends a message, and ends the call without a status.
    pub(crate) fn end_without_trailers(mut self, message: &[u8]) {
        let _ = self.stream().send_data(framed(message), true);
    }

    /// Sends a message as flow control allows. Whether the stream is still open.
    pub(crate) async fn send_slowly(&mut self, message: &[u8]) -> bool {
        let mut bytes = framed(message);
        while !bytes.is_empty() {
            let stream = self.stream();
            stream.reserve_capacity(bytes.len());
            let Some(Ok(capacity)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return false };
            if stream.send_data(bytes.split_to(capacity.min(bytes.len())), false).is_err() {
                return false;
            }
        }
        true
    }

    pub(crate) fn finish(self, code: u32) {
        self.finish_with(code, &[]);
    }

    /// Ends the call with more trailers.
    pub(crate) fn finish_with(mut self, code: u32, more: &[(&'static str, String)]) {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.into());
        for (name, value) in more {
            trailers.insert(*name, value.parse().expect("a value"));
        }
        let _ = self.stream().send_trailers(trailers);
    }

    /// Answers with a header field that is as large as wanted.
    pub(crate) fn send_large_header(&mut self, size: usize) {
        let response = Response::builder().header("content-type", "application/grpc").header("x", "y".repeat(size));
        let response = response.body(()).expect("a response");
        self.send = self.respond.send_response(response, false).ok();
    }

    /// Closes the connection at once. Never returns: a stream that is dropped is reset first.
    pub(crate) async fn hang_up(self) {
        self.hang_up.notify_one();
        std::future::pending().await
    }

    pub(crate) fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until the client resets the stream.
    pub(crate) async fn until_reset(&mut self) -> Reason {
        self.stream();
        let send = self.send.as_mut().expect("it was made");
        poll_fn(|cx| send.poll_reset(cx)).await.expect("a reset")
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.extend_from_slice(message);
    bytes.freeze()
}

async fn receive(body: &mut RecvStream, buffer: &mut BytesMut) -> Option<Vec<u8>> {
    loop {
        if let Some(length) = buffer.get(1..5).map(|length| u32::from_be_bytes(length.try_into().expect("four bytes")))
        {
            let length = length as usize;
            if buffer.len() >= 5 + length {
                buffer.advance(5);
                return Some(buffer.split_to(length).to_vec());
            }
        }
        let part = body.data().await?.ok()?;
        let _ = body.flow_control().release_capacity(part.len());
        buffer.extend_from_slice(&part);
    }
}

/// A client whose connection is recorded.
pub(crate) struct Client {
    connection: GrpcConnection,
}

/// A call of it.
pub(crate) struct ClientCall {
    send: GrpcStream,
    response: Option<h2::client::ResponseFuture>,
    body: Option<RecvStream>,
    buffer: BytesMut,
}

impl Client {
    pub(crate) async fn begin(&self, path: &str, headers: &[(&str, &str)]) -> ClientCall {
        let mut request = Request::post(format!("http://localhost{path}")).header("te", "trailers");
        request = request.header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (send, response) =
            self.connection.call(request.body(()).expect("a request"), false).await.expect("a stream");
        ClientCall { send, response: Some(response), body: None, buffer: BytesMut::new() }
    }

    /// A unary call. Gives the answer.
    pub(crate) async fn unary(&self, path: &str, message: &[u8]) -> Option<Vec<u8>> {
        self.unary_with(path, message, &[]).await
    }

    pub(crate) async fn unary_with(&self, path: &str, message: &[u8], headers: &[(&str, &str)]) -> Option<Vec<u8>> {
        let mut call = self.begin(path, headers).await;
        call.send(message).await;
        call.half_close().await;
        let answer = call.recv().await;
        call.end().await;
        answer
    }
}

impl ClientCall {
    pub(crate) async fn send(&mut self, message: &[u8]) {
        self.send.send(framed(message), false).await.expect("the stream is open");
    }

    pub(crate) async fn half_close(&mut self) {
        self.send.send(Bytes::new(), true).await.expect("the stream is open");
    }

    pub(crate) async fn recv(&mut self) -> Option<Vec<u8>> {
        if let Some(response) = self.response.take() {
            self.body = response.await.ok().map(Response::into_body);
        }
        receive(self.body.as_mut()?, &mut self.buffer).await
    }

    /// Reads to the end.
    pub(crate) async fn end(&mut self) {
        while self.recv().await.is_some() {}
        if let Some(body) = &mut self.body {
            let _ = body.trailers().await;
        }
    }

    pub(crate) fn cancel(&mut self) {
        self.send.reset(Reason::CANCEL);
    }
}

/// Records a connection.
pub(crate) struct Recorder {
    pub(crate) live: Rc<RefCell<Live>>,
    pub(crate) no: u32,
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    Timestamp::from_nanos(since.as_nanos() as i64)
}

impl Observer for Recorder {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        self.live.borrow_mut().data(self.no, direction, bytes, now());
    }

    fn closed(&mut self, direction: Direction, how: Close) {
        self.live.borrow_mut().closed(self.no, direction, how, now());
    }
}

/// Runs `script` with a client that is not recorded.
pub(crate) fn client_of(server: &Server, script: impl AsyncFnOnce(Rc<Client>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let stream = TcpStream::connect(server.address).await.expect("the server");
        stream.set_nodelay(true).expect("an option");
        let (connection, driver) = GrpcConnection::new(stream).await.expect("HTTP/2");
        let driving = tokio::task::spawn_local(driver);
        script(Rc::new(Client { connection })).await;
        driving.abort();
    });
}

/// A recording in a directory that goes away with it.
pub(crate) struct Recorded {
    directory: tempfile::TempDir,
}

/// Records what `script` does with a server.
pub(crate) fn record<F: Future<Output = ()>>(server: &Server, script: impl FnOnce(Rc<Client>) -> F) -> Recorded {
    let directory = tempfile::tempdir().expect("a directory");
    let file = File::create(directory.path().join("recorded.pcapng")).expect("a file");
    let live = Rc::new(RefCell::new(Live::new(Some(file), 1).expect("a capture")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let stream = TcpStream::connect(server.address).await.expect("the server");
        stream.set_nodelay(true).expect("an option");
        let ends = (Endpoint::Tcp(stream.local_addr().expect("ours")), Endpoint::Tcp(server.address));
        let no = live.borrow_mut().open(ends.0, ends.1, DecodeAs::Http2, now());
        let recorder = Recorder { live: Rc::clone(&live), no };
        let (connection, driver) = GrpcConnection::new(Observed::new(stream, recorder)).await.expect("HTTP/2");
        let driving = tokio::task::spawn_local(driver);
        script(Rc::new(Client { connection })).await;
        // What was reset is written.
        tokio::time::sleep(Duration::from_millis(20)).await;
        driving.abort();
    });
    assert!(live.borrow_mut().finish_capture().is_none());
    Recorded { directory }
}

/// What came of a replay.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// By number.
    pub(crate) calls: Vec<(u32, Ended, Comparison)>,
    pub(crate) finished: Finished,
    pub(crate) capture: PathBuf,
    /// What it took of the processors.
    pub(crate) busy: Busy,
}

/// How long processors were busy, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Busy {
    /// With everything that this process does.
    pub(crate) process: f64,
    /// With the current thread.
    pub(crate) own: f64,
    /// With servers.
    pub(crate) servers: f64,
}

impl Busy {
    /// Until now, as the kernel counts it (proc(5)); nothing where it does not.
    pub(crate) fn now() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let nanos = |path: String| {
            let text = read(&path);
            text.split(' ').next().and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(0.0) / 1e9
        };
        let stat = read("/proc/self/stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        // utime and stime, in hundredths of a second.
        let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok());
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let servers = tasks.map(|task| task.path().display().to_string());
        let servers = servers.filter(|task| read(&format!("{task}/comm")).trim() == "server");
        Self {
            process: ticks.sum::<f64>() / 100.0,
            own: nanos("/proc/thread-self/schedstat".to_owned()),
            servers: servers.map(|task| nanos(format!("{task}/schedstat"))).sum(),
        }
    }

    /// From `earlier` to this.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            process: self.process - earlier.process,
            own: self.own - earlier.own,
            servers: self.servers - earlier.servers,
        }
    }
}

/// What can be changed of a replay.
pub(crate) struct Options {
    pub(crate) settings: Settings,
    pub(crate) edits: Edits,
    pub(crate) allow: Allow,
    pub(crate) rules: Rules,
    /// Runs on a thread of its own while the replay does.
    pub(crate) meanwhile: Option<Meanwhile>,
}

/// What somebody does who controls a replay.
pub(crate) type Meanwhile = Box<dyn FnOnce(&Control) + Send>;

impl Outcome {
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.calls.iter().map(|(_, _, comparison)| comparison.verdict).collect()
    }

    pub(crate) fn all_same(&self) {
        for (no, ended, comparison) in &self.calls {
            assert_eq!(comparison.verdict, Verdict::Same, "call {no}: {ended:?} {comparison:?}");
        }
    }
}

impl Recorded {
    /// The capture.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("recorded.pcapng")
    }

    /// Replays it to a server, as fast as the gates allow.
    pub(crate) fn replay(&self, server: &Server, change: impl FnOnce(&mut Options)) -> Outcome {
        self.replay_to(server.address, change)
    }

    /// The same, to whoever listens there.
    pub(crate) fn replay_to(&self, address: SocketAddr, change: impl FnOnce(&mut Options)) -> Outcome {
        let file = self.directory.path().join("recorded.pcapng");
        replay(&file, &address.to_string(), self.directory.path(), change)
    }
}

/// Replays a capture.
pub(crate) fn replay(file: &Path, to: &str, directory: &Path, change: impl FnOnce(&mut Options)) -> Outcome {
    let mut options = Options {
        settings: Settings {
            to: vec![To { recorded: None, address: to.parse().expect("an address") }],
            order: Order::Global,
            pace: Pace::Asap,
            speed: 1.0,
            max_gap: None,
            connections: Connections::Recorded,
            on_stall: OnStall::SkipCall,
            on_connection_loss: OnConnectionLoss::Reconnect,
            deadline: Deadline::Recorded,
            concurrency: 1024,
            max_rate: None,
            max_errors: None,
            stall_after: Duration::from_secs(5),
            connect_for: Duration::from_secs(3),
            tls: TlsSettings::new(&TlsArgs { insecure: true, ..TlsArgs::default() }, None, &[b"h2"]).expect("TLS"),
            authority: None,
        },
        edits: Edits::default(),
        allow: Allow { all: true, patterns: Vec::new() },
        rules: Rules::default(),
        meanwhile: None,
    };
    change(&mut options);
    let loader = Loader::open(LoadOptions {
        inputs: Inputs::Paths(vec![file.into()]),
        follow: false,
        stop: None,
        count: None,
        memory: MemoryLimit::DEFAULT,
        keep: Keep { frames: false, bodies: true, events: true },
        decode_as: DecodeAsRules(Vec::new()),
        spool: None,
        notice: None,
        key_logs: Vec::new(),
    });
    let loader = loader.expect("a capture");
    let shared = Arc::clone(loader.shared());
    let loaded = loader.start().join(|_| {}).expect("a capture");
    let schema = Arc::new(Schema::from_source(PROTO).0);
    let bodies = Arc::new(FileBodies(Arc::clone(&loaded.sources)));
    let recording = Arc::new(Recording::new(shared, bodies, schema, Redaction::default(), Vec::new()));
    let headers = HeaderPolicy { edits: options.edits, ..HeaderPolicy::default() };
    let calls = loaded.store.calls().to_vec();
    let wanted =
        Wanted { calls: &calls, allow: &options.allow, from: None, until: None, max_calls: None, journaled: None };
    let plan = Arc::new(Plan::new(&recording, &options.settings, &headers, &wanted).expect("one server"));
    let capture = directory.join("replayed.pcapng");
    let live = Live::new(Some(File::create(&capture).expect("a file")), 2).expect("a capture");
    let work = Work {
        recording: Arc::clone(&recording),
        plan: Arc::clone(&plan),
        settings: Arc::new(options.settings),
        headers: Arc::new(headers),
        journal: None,
    };
    let before = Busy::now();
    let mut running = Running::start(work, live).expect("a thread");
    let meanwhile = options.meanwhile.map(|work| {
        let control = Arc::clone(&running.control);
        std::thread::spawn(move || work(&control))
    });
    let mut comparer = Comparer::new(&options.rules, Permit::to_compare());
    let (mut ended_calls, mut finished) = (Vec::new(), Finished::default());
    while let Some(event) = running.next() {
        match event {
            Event::Ended(ended) => {
                let call = &plan.calls[ended.call.0 as usize];
                let live = running.live.lock();
                let live_bodies = FileBodies(Arc::clone(live.sources()));
                let viewer = recording.viewer_of(live.store(), &live_bodies);
                let replayed = ended.live.map(|at| viewer.call(at.at));
                let recorded = recording.viewer(&loaded.store).call(call.at);
                let comparison = compared_call(&recorded, replayed.as_ref(), &ended, &mut comparer);
                ended_calls.push((call.no, *ended, comparison));
            }
            Event::Finished(end) => finished = end,
            _ => {}
        }
    }
    let busy = Busy::now().since(before);
    if let Some(meanwhile) = meanwhile {
        meanwhile.join().expect("no panic");
    }
    ended_calls.sort_by_key(|(no, ..)| *no);
    Outcome { calls: ended_calls, finished, capture, busy }
}
