//! A connection to a server, and calls on it. Its bytes are dissected as they come.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::DecodeAs;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::CallRef;
use rpcshark_dissectors::view::{CallView, Guesser, Redaction, Viewer};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::address::Address;
use crate::cli::FileBodies;
use crate::replay::Live;
use crate::rpc::{
    GrpcConnection, Io, Observed, Observer, TlsSettings, TtrpcConnection, TtrpcRequest, Wire, connect, drain,
    over_http1,
};
use crate::signals::Stop;

/// A connection to a server. Belongs to one `LocalSet`.
pub(crate) struct Session {
    client: Client,
    record: Rc<Record>,
    scheme: &'static str,
    authority: String,
    stop: Option<Arc<Stop>>,
}

enum Client {
    Grpc(GrpcConnection),
    Ttrpc(TtrpcConnection),
}

/// Drives a connection to its end, and says why it ended.
type Driver = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// What happens on a connection.
struct Record {
    live: RefCell<Live>,
    connection: Cell<u32>,
    /// The stream of the call that is being made.
    stream: Cell<u32>,
    /// Something has happened.
    changed: Notify,
    /// Why the connection has ended.
    down: RefCell<Option<String>>,
}

/// A call that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The full name of the service.
    pub(crate) service: String,
    /// The name of the method.
    pub(crate) method: String,
    /// Metadata, in order.
    pub(crate) metadata: Vec<(String, Vec<u8>)>,
    /// How long it may take.
    pub(crate) max_time: Option<Duration>,
    /// Who streams.
    pub(crate) ways: Ways,
    /// How the request is written; ttrpc has one way.
    pub(crate) wire: Wire,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP/2.
    Http2,
    /// HTTP/1.1, unless TLS agrees on HTTP/2.
    Http1,
    /// ttrpc.
    Ttrpc,
}

/// Who streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    /// The client sends any number of messages.
    pub(crate) client_streams: bool,
    /// The server does.
    pub(crate) server_streams: bool,
}

/// Bytes of an answer: it is kept in a temporary file until it is printed.
const MAX_ANSWER: u64 = 4 << 30;

/// How long a reset may take to be written.
const RESET_TIME: Duration = Duration::from_millis(500);

/// ttrpc: the client sends messages after the Request; it sends none.
const REMOTE_OPEN: u8 = 2;
const REMOTE_CLOSED: u8 = 1;

impl Session {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub(crate) async fn open(
        address: &Address,
        tls: &TlsSettings,
        spoken: Spoken,
        authority: Option<&str>,
        stop: Option<Arc<Stop>>,
    ) -> io::Result<Self> {
        let connected = connect(address, tls).await?;
        let mut live = Live::new(None, 0)?;
        let ttrpc = spoken == Spoken::Ttrpc;
        let protocol = if ttrpc { DecodeAs::Ttrpc } else { DecodeAs::Http2 };
        let connection = live.open(connected.client, connected.server, protocol, now());
        let record = Rc::new(Record {
            live: RefCell::new(live),
            connection: Cell::new(connection),
            stream: Cell::new(0),
            changed: Notify::new(),
            down: RefCell::default(),
        });
        let io: Box<dyn Io> = match spoken {
            Spoken::Http1 if !connected.is_http2 => Box::new(over_http1(connected.io)),
            _ => connected.io,
        };
        let io = Observed::new(io, Watcher(Rc::clone(&record)));
        let (client, driver): (Client, Driver) = match ttrpc {
            true => {
                let (client, reading) = TtrpcConnection::new(Box::new(io));
                (Client::Ttrpc(client), Box::pin(async { reading.await.map_err(|error| error.to_string()) }))
            }
            false => {
                let (client, driver) = GrpcConnection::new(io).await.map_err(io::Error::other)?;
                (Client::Grpc(client), Box::pin(async { driver.await.map_err(|error| error.to_string()) }))
            }
        };
        let ended = Rc::clone(&record);
        tokio::task::spawn_local(async move {
            let why = driver.await.err().unwrap_or_else(|| "the server closed the connection".to_owned());
            ended.live.borrow_mut().end(ended.connection.get(), now());
            ended.down.replace(Some(why));
            ended.changed.notify_waiters();
        });
        let (scheme, own) = match address {
            Address::Tcp { host, port, tls } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                (if *tls { "https" } else { "http" }, format!("{host}:{port}"))
            }
            _ => ("http", "localhost".to_owned()),
        };
        let authority = authority.map_or(own, str::to_owned);
        Ok(Self { client, record, scheme, authority, stop })
    }

    /// Makes a call: sends the messages that come, each without its prefix, until there are no more, and waits for the end. Which
    /// call it is in the record.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    pub(crate) async fn call(&self, ask: &Ask, messages: mpsc::Receiver<Vec<u8>>) -> io::Result<CallRef> {
        let stream = &self.record.stream;
        stream.set(0);
        let deadline = async {
            match ask.max_time {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            while !self.stop.as_ref().is_some_and(|stop| stop.is_raised()) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        match &self.client {
            Client::Grpc(client) => {
                let request = self.request(ask)?;
                let (mut send, response) = client.call(request, false).await.map_err(io::Error::other)?;
                stream.set(send.id());
                let receive = drain(response, MAX_ANSWER);
                let sending = async {
                    let mut messages = messages;
                    while let Some(message) = messages.recv().await {
                        // The stream has ended: the answer says why.
                        if send.send(ask.wire.frame(false, &message.into()), false).await.is_err() {
                            return;
                        }
                    }
                    let _ = send.send(Bytes::new(), true).await;
                };
                let sending = async {
                    sending.await;
                    std::future::pending::<()>().await;
                };
                let is_over = tokio::select! {
                    biased;
                    () = stopped => false,
                    () = deadline => false,
                    // The answer may be complete before everything is sent.
                    result = receive => result.is_ok(),
                    () = sending => true,
                };
                if !is_over {
                    send.reset(Reason::CANCEL);
                }
            }
            Client::Ttrpc(client) => {
                let exchange = self.ttrpc(client, ask, messages, stream);
                tokio::select! {
                    biased;
                    () = stopped => {}
                    () = deadline => {}
                    result = exchange => result?,
                }
            }
        }
        // What was written last is dissected a little later.
        let ended = async {
            while !self.has_ended(stream.get()) {
                self.record.changed.notified().await;
            }
        };
        let _ = timeout(RESET_TIME, ended).await;
        let live = self.record.live.borrow();
        live.call(self.record.connection.get(), stream.get()).ok_or_else(|| {
            let why = self.record.down.borrow().clone();
            io::Error::other(why.unwrap_or_else(|| "nothing was sent".to_owned()))
        })
    }

    /// Lets `look` see the call that is being made whenever something has come; never ends.
    pub(crate) async fn each_change<E>(&self, mut look: impl FnMut(CallRef) -> Result<(), E>) -> E {
        loop {
            let changed = self.record.changed.notified();
            let at = self.record.live.borrow().call(self.record.connection.get(), self.record.stream.get());
            if let Some(error) = at.and_then(|at| look(at).err()) {
                return error;
            }
            changed.await;
        }
    }

    async fn ttrpc(
        &self,
        client: &TtrpcConnection,
        ask: &Ask,
        mut messages: mpsc::Receiver<Vec<u8>>,
        stream: &Cell<u32>,
    ) -> io::Result<()> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let request = TtrpcRequest {
            service: ask.service.clone(),
            method: ask.method.clone(),
            timeout_nano: ask.max_time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)),
            metadata: ask.metadata.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        };
        let (payload, flags) = match ask.ways {
            Ways { client_streams: true, .. } => (Vec::new(), REMOTE_OPEN),
            Ways { server_streams, .. } => {
                let flags = if server_streams { REMOTE_CLOSED } else { 0 };
                (messages.recv().await.unwrap_or_default(), flags)
            }
        };
        client.request(&request, &payload, flags, |number| stream.set(number)).await?;
        let sending = async {
            if !ask.ways.client_streams {
                return Ok(());
            }
            while let Some(message) = messages.recv().await {
                client.data(stream.get(), &message).await?;
            }
            client.half_close(stream.get()).await
        };
        let ended = async {
            while !self.has_ended(stream.get()) && self.record.down.borrow().is_none() {
                self.record.changed.notified().await;
            }
        };
        tokio::select! {
            result = async {
                sending.await?;
                std::future::pending::<io::Result<()>>().await
            } => result,
            () = ended => Ok(()),
        }
    }

    fn has_ended(&self, stream: u32) -> bool {
        let live = self.record.live.borrow();
        live.call(self.record.connection.get(), stream).is_some_and(|at| live.store().call(at).end.is_some())
    }

    fn request(&self, ask: &Ask) -> io::Result<Request<()>> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let uri = Uri::builder()
            .scheme(self.scheme)
            .authority(self.authority.as_str())
            .path_and_query(format!("/{}/{}", ask.service, ask.method))
            .build()
            .map_err(|error| wrong(format!("{}/{}: {error}", ask.service, ask.method)))?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.extend(ask.wire.client_fields());
        headers.insert("user-agent", HeaderValue::from_static(concat!("rpcshark/", env!("CARGO_PKG_VERSION"))));
        if let Some(time) = ask.max_time {
            let (name, value) = ask.wire.timeout(time);
            headers.insert(name, value);
        }
        for (name, value) in &ask.metadata {
            let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
            let (Ok(header), Ok(value)) = parsed else { return Err(wrong(format!("-H {name}: it cannot be sent"))) };
            headers.append(header, value);
        }
        Ok(request)
    }

    /// Looks at a call of the record with a schema; secrets are shown.
    pub(crate) fn look<T>(&self, at: CallRef, schema: &Schema, look: impl FnOnce(CallView<'_>) -> T) -> T {
        self.view(schema, &Redaction::reveal_everything(), |viewer| look(viewer.call(at)))
    }

    /// Looks at the record.
    pub(crate) fn view<T>(&self, schema: &Schema, redaction: &Redaction, look: impl FnOnce(Viewer<'_>) -> T) -> T {
        let live = self.record.live.borrow();
        let bodies = FileBodies(Arc::clone(live.sources()));
        let guesser = Guesser::new(schema);
        look(Viewer {
            store: live.store(),
            bodies: &bodies,
            schema,
            guesser: &guesser,
            redaction,
            files: &[],
            names: None,
        })
    }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}

/// Hands the bytes of a connection to its record.
struct Watcher(Rc<Record>);

impl Observer for Watcher {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        self.0.live.borrow_mut().data(self.0.connection.get(), direction, bytes, now());
        self.0.changed.notify_waiters();
        self.0.changed.notify_one();
    }

    fn closed(&mut self, direction: Direction, how: Close) {
        self.0.live.borrow_mut().closed(self.0.connection.get(), direction, how, now());
        self.0.changed.notify_waiters();
        self.0.changed.notify_one();
    }
}
