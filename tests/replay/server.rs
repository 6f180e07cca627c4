//! A server that answers as the recorded shop did.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::support::run::{Run, run, text};
use crate::support::shop::{self, Shop};
use crate::support::tcp::Side;

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
pub(crate) struct Server {
    pub(crate) address: String,
    /// The paths of the calls, in the order in which they came.
    calls: Arc<Mutex<Vec<String>>>,
    /// Their authorities.
    authorities: Arc<Mutex<Vec<String>>>,
}

/// What a server writes down.
#[derive(Clone)]
struct Log {
    calls: Arc<Mutex<Vec<String>>>,
    authorities: Arc<Mutex<Vec<String>>>,
}

/// How a server differs from the recorded one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// How long each call takes.
    pub(crate) pause: Duration,
    /// Appended to each message of `GetOrder`: a field, encoded.
    pub(crate) extra: &'static [u8],
    /// Calls of `GetOrder` from this one on are not answered.
    pub(crate) deaf_from: Option<usize>,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`.
    pub(crate) max_streams: Option<u32>,
}

impl Server {
    /// Listens at a path, or at a port of its own.
    pub(crate) fn start(path: Option<&Path>, manners: Manners) -> Self {
        Self::listen(path, manners, None)
    }

    /// The same over TLS, at a port of its own.
    pub(crate) fn start_tls(manners: Manners, tls: TlsAcceptor) -> Self {
        Self::listen(None, manners, Some(tls))
    }

    fn listen(path: Option<&Path>, manners: Manners, tls: Option<TlsAcceptor>) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let authorities = Arc::new(Mutex::new(Vec::new()));
        let log = Log { calls: Arc::clone(&calls), authorities: Arc::clone(&authorities) };
        let path = path.map(Path::to_owned);
        let (tell, told) = mpsc::channel();
        let answers = answers();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let answers = Arc::new(answers);
                let serve = |stream: Box<dyn Stream>| {
                    tokio::task::spawn_local(serve(stream, Arc::clone(&answers), log.clone(), manners));
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
                            let stream = listener.accept().await.expect("a client").0;
                            match &tls {
                                None => serve(Box::new(stream)),
                                Some(tls) => {
                                    if let Ok(stream) = tls.accept(stream).await {
                                        serve(Box::new(stream));
                                    }
                                }
                            }
                        }
                    }
                }
            });
        });
        Self { address: told.recv().expect("an address"), calls, authorities }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }

    pub(crate) fn authorities(&self) -> Vec<String> {
        self.authorities.lock().expect("no panic").clone()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

async fn serve(stream: Box<dyn Stream>, answers: Arc<HashMap<(String, Vec<u8>), Answer>>, log: Log, manners: Manners) {
    let mut builder = h2::server::Builder::new();
    if let Some(max) = manners.max_streams {
        builder.max_concurrent_streams(max);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let answers = Arc::clone(&answers);
        let path = request.uri().path().to_owned();
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        log.authorities.lock().expect("no panic").push(authority);
        log.calls.lock().expect("no panic").push(path);
        let number = log.calls.lock().expect("no panic").len();
        let is_deaf = manners.deaf_from.is_some_and(|from| number >= from);
        tokio::task::spawn_local(async move {
            if is_deaf {
                return std::future::pending().await;
            }
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

pub(crate) fn capture() -> String {
    text(&shop::directory().join("shop.pcap"))
}

/// Runs `replay` on the recording of the shop.
pub(crate) fn replay(more: &[&str]) -> Run {
    let schema = shop::schema();
    let capture = capture();
    let mut arguments = vec!["replay", &capture, &schema[0], &schema[1]];
    arguments.extend_from_slice(more);
    run(&arguments)
}

/// Unary calls of the shop that the test's server answers as recorded, but for metadata.
pub(crate) const PLAIN: &str = "rpc.method == \"GetOrder\" && rpc.outcome == ok";
