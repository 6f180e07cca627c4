//! What a server has written of a stream: `h2` forgets what waits when a stream is reset, and does not tell when it has written.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Counts what is written on streams that somebody watches. Shared with the connection that it counts.
#[derive(Clone, Default)]
pub(super) struct Written(Rc<Counts>);

#[derive(Default)]
struct Counts {
    streams: RefCell<HashMap<u32, StreamCounts>>,
    changed: Notify,
}

/// What was written on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StreamCounts {
    headers: u64,
    data: u64,
}

impl Written {
    /// Begins to count a stream, before anything is sent on it.
    pub(super) fn watch(&self, stream: u32) {
        self.0.streams.borrow_mut().insert(stream, StreamCounts::default());
    }

    /// Does not count a stream any more.
    pub(super) fn forget(&self, stream: u32) {
        self.0.streams.borrow_mut().remove(&stream);
    }

    /// Waits until so many HEADERS frames, and bytes of DATA, were written on a stream that is watched.
    pub(super) async fn wait_for(&self, stream: u32, headers: u64, data: u64) {
        loop {
            let changed = self.0.changed.notified();
            let counts = self.0.streams.borrow().get(&stream).copied();
            if counts.is_none_or(|counts| counts.headers >= headers && counts.data >= data) {
                return;
            }
            changed.await;
        }
    }

    fn frame(&self, kind: u8, stream: u32, length: u32) {
        let mut streams = self.0.streams.borrow_mut();
        let Some(counts) = streams.get_mut(&stream) else { return };
        match kind {
            DATA => counts.data += u64::from(length),
            HEADERS => counts.headers += 1,
            _ => return,
        }
        self.0.changed.notify_waiters();
    }
}

/// Frame types: RFC 9113 §6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// A connection whose written frames are counted.
pub(super) struct Counted<T> {
    io: T,
    written: Written,
    /// The frame header of which bytes were written, and how many (RFC 9113 §4.1).
    header: [u8; 9],
    filled: Cell<usize>,
    /// Bytes of the payload that are to come.
    left: u32,
}

impl<T> Counted<T> {
    pub(super) fn new(io: T, written: Written) -> Self {
        Self { io, written, header: [0; 9], filled: Cell::new(0), left: 0 }
    }

    /// Takes note of bytes that were written.
    fn note(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() || self.filled.get() == self.header.len() {
            let filled = self.filled.get();
            if filled < self.header.len() {
                let count = bytes.len().min(self.header.len() - filled);
                let (head, rest) = bytes.split_at(count);
                self.header[filled..filled + count].copy_from_slice(head);
                self.filled.set(filled + count);
                bytes = rest;
                if filled + count == self.header.len() {
                    self.left = self.length();
                }
                continue;
            }
            let count = bytes.len().min(self.left as usize);
            bytes = &bytes[count..];
            self.left -= count as u32;
            if self.left > 0 {
                return;
            }
            let [.., a, b, c, d] = self.header;
            self.written.frame(self.header[3], u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff, self.length());
            self.filled.set(0);
        }
    }

    fn length(&self) -> u32 {
        let [a, b, c, ..] = self.header;
        u32::from_be_bytes([0, a, b, c])
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = result {
            this.note(bytes.get(..count).unwrap_or_default());
        }
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, pieces);
        if let Poll::Ready(Ok(mut left)) = result {
            for piece in pieces {
                let count = left.min(piece.len());
                this.note(piece.get(..count).unwrap_or_default());
                left -= count;
            }
        }
        result
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_wherever_writes_are_cut() {
        // HEADERS of stream 1 with 2 bytes, DATA of stream 1 with 3 bytes, an empty DATA of stream 1, SETTINGS.
        let bytes = [
            &[0, 0, 2, 1, 4, 0, 0, 0, 1, 7, 7][..],
            &[0, 0, 3, 0, 0, 0, 0, 0, 1, 9, 9, 9],
            &[0, 0, 0, 0, 1, 0, 0, 0, 1],
            &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        ]
        .concat();
        for size in 1..=bytes.len() {
            let written = Written::default();
            written.watch(1);
            let mut counted = Counted::new((), written.clone());
            bytes.chunks(size).for_each(|chunk| counted.note(chunk));
            let counts = written.0.streams.borrow().get(&1).copied();
            assert_eq!(counts, Some(StreamCounts { headers: 1, data: 3 }), "in pieces of {size}");
        }
    }
}
