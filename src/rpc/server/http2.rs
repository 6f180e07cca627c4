//! gRPC over HTTP/2 as a server, with the crate `h2`.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, Response};
use tokio::time::timeout;

use super::written::{Counted, Written};
use crate::rpc::transport::Io;

/// A connection whose client speaks HTTP/2.
pub(crate) struct GrpcDoor {
    connection: Connection<Counted<Box<dyn Io>>, Bytes>,
    written: Written,
}

/// A call that a client has begun.
pub(crate) struct GrpcCall {
    /// The request's headers.
    pub(crate) head: Parts,
    /// The request's messages.
    pub(crate) body: RecvStream,
    /// Its answer.
    pub(crate) answer: GrpcAnswer,
}

/// The answer to a call.
pub(crate) struct GrpcAnswer {
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    written: Written,
    /// HEADERS frames and bytes of DATA that were handed to `h2`.
    headers: u64,
    data: u64,
}

/// Window of a stream: what a client may send before it was read.
const STREAM_WINDOW: u32 = 1 << 20;

/// Window of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The largest header list that is accepted of a client.
const MAX_REQUEST_HEADERS: u32 = 256 << 10;

/// Bytes of a stream's answer that `h2` keeps while the client does not take them.
const MAX_UNSENT: usize = 64 << 10;

/// How long an answer may take to be written before its stream is reset all the same.
const LONGEST_ANSWER_FLUSH: Duration = Duration::from_secs(5);

impl GrpcDoor {
    /// Begins HTTP/2 on `io`. A client may have `max_streams` calls open at once.
    ///
    /// # Errors
    ///
    /// If the client does not speak HTTP/2.
    pub(crate) async fn open(io: Box<dyn Io>, max_streams: u32) -> Result<Self, h2::Error> {
        let written = Written::default();
        let connection = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_REQUEST_HEADERS)
            .max_concurrent_streams(max_streams)
            .max_send_buffer_size(MAX_UNSENT)
            .handshake(Counted::new(io, written.clone()))
            .await?;
        Ok(Self { connection, written })
    }

    /// The next call; `None` when there are no more. Nothing on the connection moves but while this is waited for.
    ///
    /// # Errors
    ///
    /// If the connection has failed.
    pub(crate) async fn next(&mut self) -> Option<Result<GrpcCall, h2::Error>> {
        Some(self.connection.accept().await?.map(|(request, respond)| {
            let (head, body) = request.into_parts();
            let written = self.written.clone();
            GrpcCall { head, body, answer: GrpcAnswer { respond, send: None, written, headers: 0, data: 0 } }
        }))
    }

    /// Ends the connection, for clients that ask for too much.
    pub(crate) fn close(&mut self) {
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    }
}

impl GrpcAnswer {
    /// The number of the HTTP/2 stream.
    pub(crate) fn stream(&self) -> u32 {
        self.respond.stream_id().as_u32()
    }

    /// Says that the answer will end by [`Self::reset`], before anything is sent.
    pub(crate) fn will_be_reset(&self) {
        self.written.watch(self.stream());
    }

    /// Sends the response's headers. `end`: nothing follows.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub(crate) fn headers(&mut self, response: Response<()>, end: bool) -> Result<(), h2::Error> {
        self.send = Some(self.respond.send_response(response, end)?);
        self.headers += 1;
        Ok(())
    }

    /// Whether headers were sent.
    pub(crate) const fn has_headers(&self) -> bool {
        self.send.is_some()
    }

    /// Sends bytes of messages as the client takes them.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub(crate) async fn data(&mut self, mut bytes: Bytes) -> Result<(), h2::Error> {
        let Some(send) = &mut self.send else { return Err(Reason::INTERNAL_ERROR.into()) };
        self.data += bytes.len() as u64;
        while !bytes.is_empty() {
            send.reserve_capacity(bytes.len());
            let mut capacity = send.capacity();
            if capacity == 0 {
                capacity = match poll_fn(|cx| send.poll_capacity(cx)).await {
                    Some(result) => result?,
                    // Nothing can be sent any more.
                    None => return Err(Reason::STREAM_CLOSED.into()),
                };
            }
            send.send_data(bytes.split_to(capacity.min(bytes.len())), false)?;
        }
        Ok(())
    }

    /// Ends the stream with trailers.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub(crate) fn trailers(&mut self, trailers: HeaderMap) -> Result<(), h2::Error> {
        match &mut self.send {
            Some(send) => send.send_trailers(trailers),
            None => Err(Reason::INTERNAL_ERROR.into()),
        }
    }

    /// Ends the stream without trailers.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub(crate) fn end(&mut self) -> Result<(), h2::Error> {
        match &mut self.send {
            Some(send) => send.send_data(Bytes::new(), true),
            None => Err(Reason::INTERNAL_ERROR.into()),
        }
    }

    /// Ends the stream with RST_STREAM, after all that was sent where [`Self::will_be_reset`] was called.
    pub(crate) async fn reset(&mut self, reason: Reason) {
        let stream = self.stream();
        let _ = timeout(LONGEST_ANSWER_FLUSH, self.written.wait_for(stream, self.headers, self.data)).await;
        match &mut self.send {
            Some(send) => send.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Waits until the client has reset the stream, or its connection has ended.
    pub(crate) async fn gone(&mut self) {
        let _ = poll_fn(|cx| match &mut self.send {
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        })
        .await;
    }
}

impl Drop for GrpcAnswer {
    fn drop(&mut self) {
        self.written.forget(self.stream());
    }
}
