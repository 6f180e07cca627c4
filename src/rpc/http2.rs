//! gRPC over HTTP/2 as a client, with the crate `h2`.
//!
//! What `h2` does not tell is left to whoever observes the bytes of the connection: when something was written, the last stream
//! of a GOAWAY, the order of header fields.

use std::future::{Future, poll_fn};
use std::pin::Pin;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that speaks HTTP/2.
#[derive(Clone)]
pub(crate) struct GrpcConnection {
    requests: SendRequest<Bytes>,
}

/// Drives a connection. Ends when the connection has ended, with the reason if that is an error.
pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), h2::Error>>>>;

/// A call: its request, which is sent piece by piece.
pub(crate) struct GrpcStream {
    send: SendStream<Bytes>,
}

/// Window of a stream: what a server may send before we have read it. Large, so that answers do not wait for us.
const STREAM_WINDOW: u32 = 4 << 20;

/// Window of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The largest header list that is accepted of a server.
const MAX_HEADER_LIST: u32 = 1 << 20;

impl GrpcConnection {
    /// Begins HTTP/2 on `io`.
    ///
    /// # Errors
    ///
    /// If the beginning cannot be written.
    pub(crate) async fn new(io: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Result<(Self, Driver), h2::Error> {
        let (requests, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .enable_push(false)
            .handshake(io)
            .await?;
        Ok((Self { requests }, Box::pin(connection)))
    }

    /// How many calls may be open at once, as the server says now.
    pub(crate) fn max_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Begins a call. `end`: nothing follows the headers.
    ///
    /// # Errors
    ///
    /// If the connection takes no more calls.
    pub(crate) async fn call(
        &self,
        request: Request<()>,
        end: bool,
    ) -> Result<(GrpcStream, ResponseFuture), h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (response, send) = requests.send_request(request, end)?;
        Ok((GrpcStream { send }, response))
    }
}

impl GrpcStream {
    /// The number of the HTTP/2 stream.
    pub(crate) fn id(&self) -> u32 {
        self.send.stream_id().as_u32()
    }

    /// Sends bytes as flow control allows. `end`: nothing follows. `h2` writes them later.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub(crate) async fn send(&mut self, bytes: Bytes, end: bool) -> Result<(), h2::Error> {
        send_all(&mut self.send, bytes, end).await
    }

    /// Ends the call with RST_STREAM. What `h2` has not written yet is never written.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.send.send_reset(reason);
    }
}

/// Why an answer was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainError {
    /// The stream was reset, or the connection has ended.
    #[error(transparent)]
    Lost(#[from] h2::Error),
    /// It does not end.
    #[error("the answer has more than {0} bytes, far more than the recorded one")]
    TooLong(u64),
}

/// Sends bytes as flow control allows. `end`: nothing follows.
pub(super) async fn send_all(send: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool) -> Result<(), h2::Error> {
    if bytes.is_empty() {
        return send.send_data(bytes, end);
    }
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
        let part = bytes.split_to(capacity.min(bytes.len()));
        let last = bytes.is_empty();
        send.send_data(part, end && last)?;
    }
    Ok(())
}

/// Reads an answer to its end, and forgets it. Drives flow control.
///
/// # Errors
///
/// If the stream was reset, the connection has ended, or there are more than `limit` bytes.
pub(crate) async fn drain(response: ResponseFuture, limit: u64) -> Result<(), DrainError> {
    let mut body = response.await?.into_body();
    let mut received = 0;
    while let Some(part) = body.data().await {
        let length = part?.len();
        received += length as u64;
        if received > limit {
            return Err(DrainError::TooLong(limit));
        }
        // Fails where the stream has ended.
        let _ = body.flow_control().release_capacity(length);
    }
    body.trailers().await?;
    Ok(())
}
