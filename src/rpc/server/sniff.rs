//! Finding out which protocol a client speaks, by the first byte that it sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::rpc::transport::Io;

/// What a client speaks.
pub(crate) enum Spoken {
    /// HTTP/2: it begins with `PRI * HTTP/2.0` (RFC 9113 §3.4).
    Http2(Box<dyn Io>),
    /// ttrpc: it begins with a length of four bytes, of which the first is 0, as frames have at most 4 MiB.
    Ttrpc(Box<dyn Io>),
    /// Something else, or nothing.
    Unknown,
}

/// Waits for the first byte.
///
/// # Errors
///
/// If the connection cannot be read.
pub(crate) async fn spoken(mut io: Box<dyn Io>) -> io::Result<Spoken> {
    let mut first = [0];
    if io.read(&mut first).await? == 0 {
        return Ok(Spoken::Unknown);
    }
    let io = Box::new(Unread { first: Some(first[0]), io });
    Ok(match first[0] {
        b'P' => Spoken::Http2(io),
        0 => Spoken::Ttrpc(io),
        _ => Spoken::Unknown,
    })
}

/// A connection whose first byte was read and is read again.
struct Unread {
    first: Option<u8>,
    io: Box<dyn Io>,
}

impl AsyncRead for Unread {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() > 0
            && let Some(first) = this.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Unread {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
