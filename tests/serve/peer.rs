//! A gRPC client and a gRPC server by hand, and recordings of what they do.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::support::run::{rpcshark, text};

/// `M { string text = 1; }`
pub(crate) fn m(text: &str) -> Vec<u8> {
    [&[0x0a, text.len() as u8][..], text.as_bytes()].concat()
}

pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat().into()
}

/// A connection of a client.
pub(crate) struct Client(SendRequest<Bytes>);

/// A call of it.
pub(crate) struct Call {
    pub(crate) send: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    pub(crate) headers: HeaderMap,
    body: Option<RecvStream>,
    buffer: BytesMut,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (requests, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    pub(crate) async fn begin(&self, path: &str, headers: &[(&str, &str)]) -> Call {
        self.try_begin(path, headers).await.unwrap()
    }

    /// The same; an error where the server takes no more calls of this client.
    pub(crate) async fn try_begin(&self, path: &str, headers: &[(&str, &str)]) -> Result<Call, h2::Error> {
        let mut request = Request::post(format!("http://localhost{path}"));
        request = request.header("content-type", "application/grpc").header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.0.clone().ready().await?;
        let (response, send) = requests.send_request(request.body(()).unwrap(), false)?;
        Ok(Call { send, response: Some(response), headers: HeaderMap::new(), body: None, buffer: BytesMut::new() })
    }
}

impl Call {
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.send.send_data(framed(0, message), false).unwrap();
    }

    /// Sends no more. A server that has ended the stream may have reset it meanwhile.
    pub(crate) fn close(&mut self) {
        let _ = self.send.send_data(Bytes::new(), true);
    }

    /// Waits for the response's headers.
    pub(crate) async fn begun(&mut self) -> Result<(), h2::Error> {
        // Whoever waits may give up, and wait again.
        if let Some(response) = &mut self.response {
            let response = response.await;
            self.response = None;
            let response = response?;
            self.headers = response.headers().clone();
            self.body = Some(response.into_body());
        }
        Ok(())
    }

    /// The next message with its flag; `None` when there are no more.
    pub(crate) async fn recv(&mut self) -> Option<(u8, Vec<u8>)> {
        self.begun().await.ok()?;
        receive(self.body.as_mut()?, &mut self.buffer).await
    }

    /// The trailers, or the headers of a response that has nothing else; the code of a reset.
    pub(crate) async fn end(&mut self) -> Result<HeaderMap, Option<Reason>> {
        while self.recv().await.is_some() {}
        self.begun().await.map_err(|error| error.reason())?;
        match self.body.as_mut().unwrap().trailers().await {
            Ok(Some(trailers)) => Ok(trailers),
            Ok(None) => Ok(self.headers.clone()),
            Err(error) => Err(error.reason()),
        }
    }
}

async fn receive(body: &mut RecvStream, buffer: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    loop {
        if let Some(length) = buffer.get(1..5) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if buffer.len() >= 5 + length {
                let message = buffer.split_to(5 + length);
                return Some((message[0], message[5..].to_vec()));
            }
        }
        let part = body.data().await?.ok()?;
        let _ = body.flow_control().release_capacity(part.len());
        buffer.extend_from_slice(&part);
    }
}

/// A call, as the server sees it.
pub(crate) struct Peer {
    pub(crate) path: String,
    body: RecvStream,
    buffer: BytesMut,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
}

impl Peer {
    pub(crate) async fn recv(&mut self) -> Option<Vec<u8>> {
        receive(&mut self.body, &mut self.buffer).await.map(|(_, message)| message)
    }

    pub(crate) fn headers(&mut self, encoding: Option<&str>) {
        let mut response = Response::builder().header("content-type", "application/grpc").header("x-from", "recorded");
        if let Some(encoding) = encoding {
            response = response.header("grpc-encoding", encoding);
        }
        self.send = Some(self.respond.send_response(response.body(()).unwrap(), false).unwrap());
    }

    pub(crate) fn send(&mut self, flag: u8, message: &[u8]) {
        if self.send.is_none() {
            self.headers(None);
        }
        self.send.as_mut().unwrap().send_data(framed(flag, message), false).unwrap();
    }

    pub(crate) fn finish(&mut self, code: &str) {
        if self.send.is_none() {
            self.headers(None);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        let _ = self.send.as_mut().unwrap().send_trailers(trailers);
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.send.as_mut().unwrap().send_reset(reason);
    }
}

/// Records what `script`, a client, does with a server that answers calls by `handler`, into the file `capture`.
pub(crate) async fn record<H, F>(capture: &Path, handler: H, script: impl AsyncFnOnce(Client))
where
    H: Fn(Peer) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let handler = handler.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let path = request.uri().path().to_owned();
                    let (body, buffer) = (request.into_body(), BytesMut::new());
                    tokio::spawn(handler(Peer { path, body, buffer, respond, send: None }));
                }
            });
        }
    });
    let mut recorder = rpcshark()
        .args(["record", "--listen", "127.0.0.1:0", "--to", &target, "-w", &text(capture)])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(recorder.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    let address = said.split_once(" at ").unwrap().1.split_once(';').unwrap().0.to_owned();
    script(Client::connect(&address).await).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&recorder), rustix::process::Signal::INT).unwrap();
    tokio::task::spawn_blocking(move || recorder.wait()).await.unwrap().unwrap();
}
