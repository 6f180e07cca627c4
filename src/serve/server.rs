//! Clients: their connections, and the calls on them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use h2::RecvStream;
use http::HeaderMap;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::compare::Rules;
use rpcshark_dissectors::grpc::{Encoding, Status, decompress, parse_timeout};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::budget::{Budget, Held, SMALL};
use super::built_in::BuiltIn;
use super::catalog::{Carrier, Catalog};
use super::exchange::{LiveCall, Out, SLOW};
use super::incoming::{Fault, Incoming, Message};
use super::log::Log;
use super::settings::Settings;
use crate::load::StoreGuard;
use crate::replay::Recording;
use crate::rpc::{
    Accepted, Doors, GrpcCall, GrpcDoor, Spoken, TtrpcAnswer, TtrpcFrame, TtrpcReader, serve_ttrpc, spoken,
};
use crate::signals::Stop;

/// Answers clients. Belongs to one `LocalSet`.
pub(crate) struct Server {
    pub(super) recording: Arc<Recording>,
    pub(super) store: StoreGuard,
    pub(super) catalog: Catalog,
    pub(super) rules: Rules,
    pub(super) settings: Settings,
    pub(super) built_in: Option<BuiltIn>,
    pub(super) log: Log,
    pub(super) budget: Budget,
    began: (Instant, Timestamp),
    numbered: Cell<u64>,
    /// Calls in progress.
    calls: Cell<usize>,
    connections: RefCell<BTreeMap<u32, Rc<Connection>>>,
    next_connection: Cell<u32>,
}

/// A client's connection.
struct Connection {
    no: u32,
    client: Rc<str>,
    /// Calls in progress on it.
    calls: Cell<usize>,
    /// When the last one began or ended.
    used: Cell<Instant>,
    /// It has to close.
    close: Notify,
}

/// Connections at once. Beyond that, those that are idle for longest are closed.
const MAX_CONNECTIONS: usize = 4096;

/// Calls in progress of one connection, and of all.
const MAX_STREAMS: u32 = 1024;
const MAX_CALLS: usize = 65_536;

/// How long a client may take for its TLS handshake, and for its first bytes.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);

/// A message of a request: four times what servers accept unless configured otherwise.
const MAX_REQUEST: usize = 16 << 20;

/// How long connections have at the end to write what they have to.
const GOODBYE: Duration = Duration::from_millis(300);

impl Server {
    /// A server that nobody knows yet.
    pub(crate) fn new(
        recording: Arc<Recording>,
        catalog: Catalog,
        rules: Rules,
        settings: Settings,
        built_in: Option<BuiltIn>,
        log: Log,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        Self {
            store: recording.shared.read(),
            recording,
            catalog,
            rules,
            settings,
            built_in,
            log,
            budget: Budget::new(),
            began: (Instant::now(), now),
            numbered: Cell::new(0),
            calls: Cell::new(0),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
        }
    }

    /// The calls that can be answered.
    pub(crate) const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What was printed.
    pub(crate) const fn log(&self) -> &Log {
        &self.log
    }

    /// The number of a new call.
    pub(super) fn number(&self) -> u64 {
        self.numbered.set(self.numbered.get() + 1);
        self.numbered.get()
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.began.1.plus(self.began.0.elapsed())
    }

    /// Serves clients until `stop` is raised.
    pub(crate) async fn run(self: Rc<Self>, doors: Vec<Doors>, stop: Arc<Stop>) {
        let mut tasks = JoinSet::new();
        for doors in doors {
            tasks.spawn_local(Rc::clone(&self).accept(doors));
        }
        let stopped = tokio::task::spawn_blocking(move || while !stop.wait_for(Duration::from_secs(3600)) {});
        let _ = stopped.await;
        let _ = timeout(GOODBYE, async {
            while self.calls.get() > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        tasks.shutdown().await;
    }

    async fn accept(self: Rc<Self>, mut doors: Doors) {
        let mut clients = JoinSet::new();
        while let Some(accepted) = doors.accept().await {
            while clients.try_join_next().is_some() {}
            if self.makes_room() {
                clients.spawn_local(Rc::clone(&self).client(accepted));
            }
        }
        // They have to be served until the end.
        std::future::pending().await
    }

    /// Makes room for another connection, if there has to be some. False: there is none.
    fn makes_room(&self) -> bool {
        let connections = self.connections.borrow();
        if connections.len() < MAX_CONNECTIONS {
            return true;
        }
        let idle = connections.values().filter(|connection| connection.calls.get() == 0);
        match idle.min_by_key(|connection| connection.used.get()) {
            Some(connection) => {
                connection.close.notify_one();
                true
            }
            None => false,
        }
    }

    /// One connection.
    async fn client(self: Rc<Self>, accepted: Accepted) {
        let no = self.next_connection.get();
        self.next_connection.set(no.wrapping_add(1));
        let connection = Rc::new(Connection {
            no,
            client: accepted.client.to_string().into(),
            calls: Cell::default(),
            used: Cell::new(Instant::now()),
            close: Notify::new(),
        });
        self.connections.borrow_mut().insert(no, Rc::clone(&connection));
        self.log.connected();
        let serve = async {
            let begin = async {
                match accepted.open().await {
                    Ok(io) => spoken(io).await.unwrap_or(Spoken::Unknown),
                    Err(_) => Spoken::Unknown,
                }
            };
            match timeout(LONGEST_HANDSHAKE, begin).await {
                Ok(Spoken::Http2(io)) => {
                    let opened = timeout(LONGEST_HANDSHAKE, GrpcDoor::open(io, MAX_STREAMS)).await;
                    if let Ok(Ok(door)) = opened {
                        self.http2(&connection, door).await;
                    }
                }
                Ok(Spoken::Ttrpc(io)) => {
                    let (reader, answer) = serve_ttrpc(io);
                    self.ttrpc(&connection, reader, answer).await;
                }
                Ok(Spoken::Unknown) | Err(_) => {}
            }
        };
        tokio::select! {
            () = serve => {}
            () = connection.close.notified() => {}
        }
        self.connections.borrow_mut().remove(&no);
    }

    async fn http2(self: &Rc<Self>, connection: &Rc<Connection>, mut door: GrpcDoor) {
        let mut calls = JoinSet::new();
        while let Some(Ok(call)) = door.next().await {
            while calls.try_join_next().is_some() {}
            if self.calls.get() >= MAX_CALLS {
                door.close();
                continue;
            }
            calls.spawn_local(Rc::clone(self).grpc_call(Rc::clone(connection), call));
        }
        // Calls that are still there learn that their client has left.
        while calls.join_next().await.is_some() {}
    }

    async fn grpc_call(self: Rc<Self>, connection: Rc<Connection>, call: GrpcCall) {
        let _busy = Busy::new(&self, &connection);
        let GrpcCall { head, body, mut answer } = call;
        let field = |name: &str| head.headers.get(name).map(|value| value.as_bytes()).unwrap_or_default();
        if !is_grpc(field("content-type")) {
            let mut response = http::Response::new(());
            *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let _ = answer.headers(response, true);
            return;
        }
        let path = head.uri.path().to_owned();
        // Of requests that the recording answers, only the first message matters.
        let own = self.built_in.as_ref().is_some_and(|services| services.method(Carrier::Http2, &path).is_some());
        let incoming = Rc::new(Incoming::wanting(if own { u32::MAX } else { 1 }));
        let live = LiveCall {
            connection: connection.no,
            client: Rc::clone(&connection.client),
            carrier: Carrier::Http2,
            path,
            began: Instant::now(),
            incoming: Rc::clone(&incoming),
            deadline: parse_timeout(field("grpc-timeout")),
        };
        let accepted = joined(&head.headers, "grpc-accept-encoding");
        let encoding = Encoding::from_name(match field("grpc-encoding") {
            [] => b"identity",
            name => name,
        });
        tokio::select! {
            biased;
            () = self.answer(live, Out::Grpc { answer, accepted }) => {}
            () = self.read(body, &incoming, encoding) => {}
        }
    }

    /// Reads the messages of a request; never ends.
    async fn read(&self, mut body: RecvStream, incoming: &Incoming, encoding: Option<Encoding>) {
        let mut request = Request::default();
        loop {
            let part = match timeout(SLOW, body.data()).await {
                Ok(Some(Ok(part))) => part,
                Ok(Some(Err(_))) => {
                    incoming.leave();
                    break;
                }
                Ok(None) => break,
                Err(_) if !request.held.is_empty() && self.budget.is_short() => {
                    let why = "the message does not come, and others need the memory".to_owned();
                    incoming.fail(Fault { code: Status::RESOURCE_EXHAUSTED, why });
                    break;
                }
                Err(_) => continue,
            };
            if let Err(fault) = request.take(&part, incoming, encoding, &self.budget).await {
                incoming.fail(fault);
                break;
            }
            // Fails where the stream has ended.
            let _ = body.flow_control().release_capacity(part.len());
        }
        if !incoming.is_gone() && incoming.fault().is_none() {
            incoming.close();
        }
        // The stream is open as long as this is there.
        std::future::pending::<()>().await;
        drop(body);
    }

    fn ttrpc_message(&self, incoming: &Incoming, content: Vec<u8>) {
        if !incoming.wants() {
            return incoming.message(None);
        }
        match self.budget.try_hold(content.len()) {
            Ok(held) => incoming.message(Some(Message { content, _held: held.into_iter().collect() })),
            Err(fault) => incoming.fail(fault),
        }
    }

    async fn ttrpc(self: &Rc<Self>, connection: &Rc<Connection>, mut reader: TtrpcReader, answer: TtrpcAnswer) {
        let mut calls = JoinSet::new();
        let streams = Rc::new(RefCell::new(Streams::default()));
        while let Ok(Some(frame)) = reader.next().await {
            while calls.try_join_next().is_some() {}
            match frame {
                TtrpcFrame::Request { stream, request, open } => {
                    if connection.calls.get() >= MAX_STREAMS as usize || self.calls.get() >= MAX_CALLS {
                        // Clients of ttrpc do not say when they have given a call up.
                        streams.borrow_mut().abort_oldest();
                    }
                    let path = format!("/{}/{}", request.service, request.method);
                    let incoming = Rc::new(Incoming::wanting(1));
                    if !(open && request.payload.is_empty()) {
                        self.ttrpc_message(&incoming, request.payload);
                    }
                    if !open {
                        incoming.close();
                    }
                    let timeout = u64::try_from(request.timeout_nano).ok().filter(|&nanos| nanos > 0);
                    let live = LiveCall {
                        connection: connection.no,
                        client: Rc::clone(&connection.client),
                        carrier: Carrier::Ttrpc,
                        path,
                        began: Instant::now(),
                        incoming: Rc::clone(&incoming),
                        deadline: timeout.map(Duration::from_nanos),
                    };
                    let out = Out::Ttrpc { answer: answer.clone(), stream };
                    let (server, its) = (Rc::clone(self), Rc::clone(&streams));
                    let connection = Rc::clone(connection);
                    let busy = Busy::new(self, &connection);
                    let task = calls.spawn_local(async move {
                        let _busy = busy;
                        server.answer(live, out).await;
                        its.borrow_mut().remove(stream);
                        drop(connection);
                    });
                    streams.borrow_mut().insert(stream, incoming, task);
                }
                TtrpcFrame::Malformed { stream, why } => {
                    let mut out = Out::Ttrpc { answer: answer.clone(), stream };
                    if out.status(Status::INVALID_ARGUMENT, why).await.is_err() {
                        break;
                    }
                }
                TtrpcFrame::Data { stream, message, close } => {
                    let Some(incoming) = streams.borrow().get(stream) else { continue };
                    if let Some(content) = message {
                        self.ttrpc_message(&incoming, content);
                    }
                    if close {
                        incoming.close();
                    }
                }
                TtrpcFrame::Other => {}
            }
        }
        streams.borrow().leave();
        while calls.join_next().await.is_some() {}
    }
}

/// The calls in progress on a ttrpc connection.
#[derive(Default)]
struct Streams {
    calls: HashMap<u32, (Rc<Incoming>, AbortHandle)>,
    /// In the order in which they began; those that are over may still be among them.
    order: VecDeque<u32>,
}

impl Streams {
    fn insert(&mut self, stream: u32, incoming: Rc<Incoming>, task: AbortHandle) {
        if let Some((_, before)) = self.calls.insert(stream, (incoming, task)) {
            before.abort();
        }
        self.order.push_back(stream);
        while self.order.front().is_some_and(|oldest| !self.calls.contains_key(oldest)) {
            self.order.pop_front();
        }
    }

    fn get(&self, stream: u32) -> Option<Rc<Incoming>> {
        self.calls.get(&stream).map(|(incoming, _)| Rc::clone(incoming))
    }

    fn remove(&mut self, stream: u32) {
        self.calls.remove(&stream);
    }

    fn abort_oldest(&mut self) {
        while let Some(oldest) = self.order.pop_front() {
            if let Some((incoming, _)) = self.calls.remove(&oldest) {
                return incoming.leave();
            }
        }
    }

    fn leave(&self) {
        self.calls.values().for_each(|(incoming, _)| incoming.leave());
    }
}

/// Counts a call in progress.
struct Busy {
    server: Rc<Server>,
    connection: Rc<Connection>,
}

impl Busy {
    fn new(server: &Rc<Server>, connection: &Rc<Connection>) -> Self {
        server.calls.set(server.calls.get() + 1);
        connection.calls.set(connection.calls.get() + 1);
        connection.used.set(Instant::now());
        Self { server: Rc::clone(server), connection: Rc::clone(connection) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.server.calls.set(self.server.calls.get() - 1);
        self.connection.calls.set(self.connection.calls.get() - 1);
        self.connection.used.set(Instant::now());
    }
}

/// The messages of a request, as far as they have come.
#[derive(Default)]
struct Request {
    /// The prefix of the message, as far as it has come.
    prefix: Vec<u8>,
    /// What of the message has come, if it is wanted.
    content: Vec<u8>,
    held: Vec<Held>,
    /// What of it has not.
    left: usize,
}

/// Memory for a message is asked for in steps of this size.
const HELD_AT_ONCE: usize = 256 << 10;

/// A message is prefixed by a flag and its length.
const PREFIX: usize = 5;

impl Request {
    /// Takes bytes.
    async fn take(
        &mut self,
        mut bytes: &[u8],
        incoming: &Incoming,
        encoding: Option<Encoding>,
        budget: &Budget,
    ) -> Result<(), Fault> {
        loop {
            if self.prefix.len() < PREFIX {
                let count = bytes.len().min(PREFIX - self.prefix.len());
                let (head, rest) = bytes.split_at(count);
                self.prefix.extend_from_slice(head);
                bytes = rest;
                let &[_, a, b, c, d] = self.prefix.as_slice() else { return Ok(()) };
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                incoming.room().await;
                if incoming.wants() && self.left > MAX_REQUEST {
                    let why = format!("the message has {} bytes, and at most {MAX_REQUEST} are accepted", self.left);
                    return Err(Fault { code: Status::RESOURCE_EXHAUSTED, why });
                }
            }
            let count = bytes.len().min(self.left);
            let (part, rest) = bytes.split_at(count);
            if incoming.wants() {
                self.content.extend_from_slice(part);
                // What a client only announces costs nothing.
                while self.content.len() > self.held.len() * HELD_AT_ONCE + SMALL {
                    self.held.extend(budget.try_hold(HELD_AT_ONCE)?);
                }
            }
            bytes = rest;
            self.left -= count;
            if self.left > 0 {
                return Ok(());
            }
            let message = match incoming.wants() {
                true => Some(self.message(encoding, budget)?),
                false => None,
            };
            self.content = Vec::new();
            self.prefix.clear();
            incoming.message(message);
        }
    }

    /// The message that is complete.
    fn message(&mut self, encoding: Option<Encoding>, budget: &Budget) -> Result<Message, Fault> {
        let content = std::mem::take(&mut self.content);
        let mut _held = std::mem::take(&mut self.held);
        if self.prefix.first() == Some(&0) {
            return Ok(Message { content, _held });
        }
        let Some(encoding) = encoding else {
            let why = "the request is compressed by an encoding that is not known".to_owned();
            return Err(Fault { code: Status::UNIMPLEMENTED, why });
        };
        let mut inflated = Vec::new();
        match decompress(encoding, &content, MAX_REQUEST, &mut inflated) {
            Ok(()) => {
                _held.extend(budget.try_hold(inflated.len())?);
                Ok(Message { content: inflated, _held })
            }
            Err(error) => Err(Fault { code: Status::INTERNAL, why: error.to_string() }),
        }
    }
}

/// Whether a content type is gRPC's, and not gRPC-Web's, whose trailers are messages.
fn is_grpc(kind: &[u8]) -> bool {
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn joined(headers: &HeaderMap, name: &str) -> Vec<u8> {
    headers.get_all(name).iter().map(|value| value.as_bytes()).collect::<Vec<_>>().join(&b","[..])
}
