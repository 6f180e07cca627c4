//! HTTP/1.1 as a client, for the protocols that it carries: gRPC-Web and Connect.
//!
//! [`over_http1`] makes a connection that speaks HTTP/1.1 look like one that speaks HTTP/2, so that the rest of the program sends calls
//! in one way:
//!
//! ```text
//!  GrpcConnection ── HTTP/2, in memory ──► bridge ── HTTP/1.1 ──► server
//! ```
//!
//! One exchange follows the other; the bridge allows one stream at a time. Bodies of requests are chunked unless the request states a
//! length. A call that is reset closes the connection, as HTTP/1.1 has no other way to end one.

use std::future::poll_fn;
use std::io;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;

use super::http2::send_all;
use super::transport::Io;

/// Bytes between the two sides of the bridge.
const PIPE: usize = 1 << 16;

/// The largest head of a response. Servers send some KiB.
const MAX_RESPONSE_HEAD: usize = 1 << 16;

/// The largest line that frames chunks, with extensions.
const MAX_LINE: usize = 1 << 12;

/// Fields of one hop (RFC 9110 §7.6.1), which are written or read here.
const HOP: &[HeaderName] = &[header::CONNECTION, header::HOST, header::TE, header::TRANSFER_ENCODING, header::UPGRADE];

/// Makes `io`, which speaks HTTP/1.1, look like a connection that speaks HTTP/2. Belongs to a `LocalSet`.
pub(crate) fn over_http1(io: Box<dyn Io>) -> DuplexStream {
    let (near, far) = duplex(PIPE);
    // When it ends, the near side sees that the connection is closed.
    tokio::task::spawn_local(async move {
        let _ = bridge(far, io).await;
    });
    near
}

type Exchange = (Request<RecvStream>, SendResponse<Bytes>);

async fn bridge(far: DuplexStream, io: Box<dyn Io>) -> io::Result<()> {
    let mut calls = h2::server::Builder::new()
        .max_concurrent_streams(1)
        .handshake::<_, Bytes>(far)
        .await
        .map_err(io::Error::other)?;
    let (queue, mut exchanges) = mpsc::channel::<Exchange>(1);
    let accepting = async {
        while let Some(call) = calls.accept().await {
            let Ok(call) = call else { break };
            if queue.send(call).await.is_err() {
                break;
            }
        }
        drop(queue);
        // What was answered last is yet to be written.
        calls.graceful_shutdown();
        let _ = poll_fn(|cx| calls.poll_closed(cx)).await;
    };
    let exchanging = async {
        let (reader, writer) = split(io);
        let mut connection = Connection { reader: Reader { io: reader, buffer: BytesMut::new() }, writer };
        while let Some((request, respond)) = exchanges.recv().await {
            if !connection.exchange(request, respond).await? {
                break;
            }
        }
        io::Result::Ok(())
    };
    let mut exchanging = std::pin::pin!(exchanging);
    let mut accepting = std::pin::pin!(accepting);
    let result = tokio::select! {
        result = &mut exchanging => result,
        () = &mut accepting => return Ok(()),
    };
    // The last answer is in the queue of HTTP/2.
    let _ = tokio::time::timeout(LINGER, accepting).await;
    result
}

/// How long the near side may take to read the last answer.
const LINGER: std::time::Duration = std::time::Duration::from_millis(200);

struct Connection {
    reader: Reader<ReadHalf<Box<dyn Io>>>,
    writer: WriteHalf<Box<dyn Io>>,
}

impl Connection {
    /// Sends a request and passes its response on. Whether another one may follow.
    async fn exchange(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> io::Result<bool> {
        let (head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let is_chunked = has_body && !head.headers.contains_key(header::CONTENT_LENGTH);
        let mut text =
            format!("{} {} HTTP/1.1\r\n", head.method, head.uri.path_and_query().map_or("/", |path| path.as_str()));
        if let Some(authority) = head.uri.authority() {
            text.push_str(&format!("host: {authority}\r\n"));
        }
        let mut bytes = BytesMut::from(text.as_bytes());
        write_fields(&head.headers, &mut bytes);
        if is_chunked {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n");
        } else if head.method == Method::POST && !has_body && !head.headers.contains_key(header::CONTENT_LENGTH) {
            bytes.extend_from_slice(b"content-length: 0\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        let Self { reader, writer } = self;
        writer.write_all(&bytes).await?;
        let sending = async {
            let sent = send_body(writer, body, is_chunked && has_body).await;
            match sent {
                Ok(()) => Ok(true),
                // The server may have answered before it has read everything.
                Err(Unsent::Write) => Ok(false),
                Err(Unsent::Reset) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            }
        };
        let is_head = head.method == Method::HEAD;
        let mut sending = std::pin::pin!(sending);
        let mut receiving = std::pin::pin!(reader.response(&mut respond, is_head));
        tokio::select! {
            received = &mut receiving => {
                let keeps = received?;
                // What of the request is not written yet would be taken for the next one.
                let is_sent = tokio::time::timeout(LINGER, sending).await.is_ok_and(|sent| sent.is_ok_and(|sent| sent));
                Ok(keeps && is_sent)
            }
            sent = &mut sending => {
                let is_sent: bool = sent?;
                Ok(receiving.await? && is_sent)
            }
        }
    }
}

fn write_fields(fields: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in fields.iter().filter(|(name, _)| !HOP.contains(name)) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Why the body of a request was not sent.
enum Unsent {
    /// The server reads no more.
    Write,
    /// The call was reset.
    Reset,
}

impl From<io::Error> for Unsent {
    fn from(_: io::Error) -> Self {
        Self::Write
    }
}

/// Writes a body, in chunks or as it is.
async fn send_body(writer: &mut (impl AsyncWrite + Unpin), mut body: RecvStream, chunked: bool) -> Result<(), Unsent> {
    while let Some(part) = body.data().await {
        let part = part.map_err(|_| Unsent::Reset)?;
        let _ = body.flow_control().release_capacity(part.len());
        if part.is_empty() {
            continue;
        }
        match chunked {
            true => {
                let mut chunk = BytesMut::from(format!("{:x}\r\n", part.len()).as_bytes());
                chunk.extend_from_slice(&part);
                chunk.extend_from_slice(b"\r\n");
                writer.write_all(&chunk).await?;
            }
            false => writer.write_all(&part).await?,
        }
    }
    if chunked {
        writer.write_all(b"0\r\n\r\n").await?;
    }
    writer.flush().await?;
    Ok(())
}

/// Reads responses.
struct Reader<R> {
    io: R,
    buffer: BytesMut,
}

/// How the body of a response ends (RFC 9112 §6.3).
enum Length {
    Known(u64),
    Chunks,
    UntilClose,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads a response and passes it on. Whether the connection can be used again.
    async fn response(&mut self, respond: &mut SendResponse<Bytes>, is_head: bool) -> io::Result<bool> {
        let (head, keeps) = tokio::select! {
            head = self.final_head() => head?,
            _ = poll_fn(|cx| respond.poll_reset(cx)) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let status = head.status();
        let length = match is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            true => Length::Known(0),
            false => length_of(head.headers())?,
        };
        let mut sent = Response::builder().status(status).version(Version::HTTP_2);
        if let Some(fields) = sent.headers_mut() {
            for (name, value) in head.headers().iter().filter(|(name, _)| !HOP.contains(name)) {
                if name.as_str() != "keep-alive" && name.as_str() != "proxy-connection" {
                    fields.append(name, value.clone());
                }
            }
        }
        let sent = sent.body(()).map_err(io::Error::other)?;
        let is_empty = matches!(length, Length::Known(0));
        let mut body = respond.send_response(sent, is_empty).map_err(io::Error::other)?;
        if !is_empty {
            self.body(&length, &mut body).await?;
        }
        Ok(keeps && !matches!(length, Length::UntilClose))
    }

    /// The head of the final response, and whether the connection stays open after it. Interim ones are skipped.
    async fn final_head(&mut self) -> io::Result<(Response<()>, bool)> {
        loop {
            let end = loop {
                match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                    Some(end) => break end + 4,
                    None if self.buffer.len() > MAX_RESPONSE_HEAD => {
                        return Err(wrong("the head of the response is too long"));
                    }
                    None => self.fill().await?,
                }
            };
            let head = self.buffer.split_to(end);
            let head = parse_head(&head).ok_or_else(|| wrong("the response is not HTTP/1.1"))?;
            if !head.0.status().is_informational() {
                return Ok(head);
            }
        }
    }

    async fn body(&mut self, length: &Length, body: &mut SendStream<Bytes>) -> io::Result<()> {
        match *length {
            Length::Known(length) => self.pass(length, body).await?,
            Length::Chunks => loop {
                let line = self.line().await?;
                let digits = line.as_ref().split(|&byte: &u8| byte == b';').next().unwrap_or_default().trim_ascii();
                let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
                let size = size.ok_or_else(|| wrong("a chunk of the response has no size"))?;
                if size == 0 {
                    while !self.line().await?.is_empty() {}
                    break;
                }
                self.pass(size, body).await?;
                self.line().await?;
            },
            Length::UntilClose => loop {
                if self.buffer.is_empty() && self.fill().await.is_err() {
                    break;
                }
                let part = self.buffer.split().freeze();
                send_all(body, part, false).await.map_err(io::Error::other)?;
            },
        }
        body.send_data(Bytes::new(), true).map_err(io::Error::other)
    }

    /// Passes so many bytes on.
    async fn pass(&mut self, mut left: u64, body: &mut SendStream<Bytes>) -> io::Result<()> {
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let part =
                self.buffer.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len())).freeze();
            left -= part.len() as u64;
            send_all(body, part, false).await.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// The next line, without its end.
    async fn line(&mut self) -> io::Result<BytesMut> {
        loop {
            match memchr::memchr(b'\n', &self.buffer) {
                Some(end) => {
                    let mut line = self.buffer.split_to(end + 1);
                    line.truncate(line.trim_ascii_end().len());
                    return Ok(line);
                }
                None if self.buffer.len() > MAX_LINE => return Err(wrong("a chunk of the response has no size")),
                None => self.fill().await?,
            }
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.io.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A response's status and fields, and whether its connection stays open (RFC 9112 §9.3).
fn parse_head(head: &[u8]) -> Option<(Response<()>, bool)> {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    let start = lines.next()?;
    let is_current = start.starts_with(b"HTTP/1.1 ");
    let status = start.strip_prefix(b"HTTP/1.1 ").or_else(|| start.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let mut response = Response::builder().status(StatusCode::from_bytes(status).ok()?).body(()).ok()?;
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
        response.headers_mut().append(HeaderName::from_bytes(name).ok()?, value);
    }
    let mut options = response
        .headers()
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii));
    let keeps = match is_current {
        true => !options.any(|option| option.eq_ignore_ascii_case(b"close")),
        false => options.any(|option| option.eq_ignore_ascii_case(b"keep-alive")),
    };
    Some((response, keeps))
}

fn length_of(fields: &HeaderMap) -> io::Result<Length> {
    if let Some(coding) = fields.get_all(header::TRANSFER_ENCODING).iter().next_back() {
        let is_chunked = coding.as_bytes().to_ascii_lowercase().ends_with(b"chunked");
        return Ok(if is_chunked { Length::Chunks } else { Length::UntilClose });
    }
    let Some(length) = fields.get(header::CONTENT_LENGTH) else { return Ok(Length::UntilClose) };
    let digits = length.to_str().ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok());
    length.map(Length::Known).ok_or_else(|| wrong("the length of the response is not a number"))
}
