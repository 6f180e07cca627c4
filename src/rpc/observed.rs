//! A connection whose bytes somebody else sees, too, in the order in which they were sent and received.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rpcshark_captures::Direction;
use rpcshark_captures::connection::Close;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Sees the bytes of a connection.
pub(crate) trait Observer {
    /// Bytes were sent to the server, or came from it.
    fn data(&mut self, direction: Direction, bytes: &[u8]);
    /// One side sends no more.
    fn closed(&mut self, direction: Direction, how: Close);
}

/// A connection that shows its bytes to an observer.
pub(crate) struct Observed<T, O> {
    io: T,
    observer: O,
    /// By [`Direction::index`]: whether its close was reported.
    closed: [bool; 2],
}

impl<T, O: Observer> Observed<T, O> {
    /// Shows the bytes of `io` to `observer`.
    pub(crate) const fn new(io: T, observer: O) -> Self {
        Self { io, observer, closed: [false; 2] }
    }

    fn close(&mut self, direction: Direction, how: Close) {
        if !std::mem::replace(&mut self.closed[direction.index()], true) {
            self.observer.closed(direction, how);
        }
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>, pieces: &[IoSlice<'_>]) {
        match result {
            Poll::Ready(Ok(count)) => {
                let mut left = *count;
                for piece in pieces {
                    let part = piece.get(..left.min(piece.len())).unwrap_or_default();
                    left -= part.len();
                    if !part.is_empty() {
                        self.observer.data(Direction::ToServer, part);
                    }
                }
            }
            Poll::Ready(Err(_)) => self.close(Direction::ToServer, Close::Rst),
            Poll::Pending => {}
        }
    }
}

impl<T: AsyncRead + Unpin, O: Observer + Unpin> AsyncRead for Observed<T, O> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let room = buf.remaining();
        let result = Pin::new(&mut this.io).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) => {
                let bytes = buf.filled().get(before..).unwrap_or_default();
                match bytes {
                    [] if room > 0 => this.close(Direction::ToClient, Close::Fin),
                    [] => {}
                    bytes => this.observer.data(Direction::ToClient, bytes),
                }
            }
            Poll::Ready(Err(_)) => this.close(Direction::ToClient, Close::Rst),
            Poll::Pending => {}
        }
        result
    }
}

impl<T: AsyncWrite + Unpin, O: Observer + Unpin> AsyncWrite for Observed<T, O> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wrote(&result, &[IoSlice::new(bytes)]);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, pieces);
        this.wrote(&result, pieces);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        if result.is_ready() {
            this.close(Direction::ToServer, Close::Fin);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Clone, Default)]
    struct Seen(Rc<RefCell<Log>>);

    type Log = Vec<(Direction, Vec<u8>)>;

    impl Observer for Seen {
        fn data(&mut self, direction: Direction, bytes: &[u8]) {
            self.0.borrow_mut().push((direction, bytes.to_vec()));
        }

        fn closed(&mut self, direction: Direction, _: Close) {
            self.0.borrow_mut().push((direction, b"closed".to_vec()));
        }
    }

    #[tokio::test]
    async fn every_byte_and_close_is_seen_in_order() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let seen = Seen::default();
        let mut io = Observed::new(ours, seen.clone());
        io.write_all(b"request").await.expect("room");
        theirs.write_all(b"answer").await.expect("room");
        drop(theirs);
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await.expect("an end");
        assert_eq!(answer, b"answer");
        let expected = [
            (Direction::ToServer, b"request".to_vec()),
            (Direction::ToClient, b"answer".to_vec()),
            (Direction::ToClient, b"closed".to_vec()),
        ];
        assert_eq!(*seen.0.borrow(), expected);
    }
}
