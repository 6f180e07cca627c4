//! Two ends and the bytes between them.
//!
//! Each direction counts what its sender wrote and what its receiver read. Both are positions in the same bytes, and what
//! lies beyond both of them has not been handed on yet:
//!
//! ```text
//!              read            written
//!               ▼                 ▼
//!   ────────────┬─────────────────┬──────────────►
//!     both ends │ one end only    │ new
//! ```
//!
//! An end whose beginning is not in its log starts at an unknown position. Within one log that is where the other end
//! stands. Between two logs it is found by comparing bytes: lines of two logs are in the order of the times at which calls
//! began, so that a `read` may come before the `write` whose bytes it returned.

use std::collections::VecDeque;

use super::socket::SocketNo;
use super::transfer::TransferKind;
use crate::connection::Close;
use crate::streams::event::{Opened, StreamNo};

/// Bytes that are kept of one direction to align its ends.
const MAX_RECENT: usize = 1 << 10;

/// The same for all connections together. Those that open when it is used up are aligned by their counts.
pub(super) const MAX_RECENT_BYTES: usize = 16 << 20;

/// Fewer equal bytes prove nothing: the header of an HTTP/2 frame has that many.
const MIN_OVERLAP: usize = 9;

/// A connection, numbered in the order in which connections are first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PairNo(pub(super) u64);

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Pair {
    pub(super) ends: [Option<SocketNo>; 2],
    /// By the end that sends.
    pub(super) flows: [Flow; 2],
    pub(super) open: Option<Open>,
}

/// What was reported of a connection.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) no: StreamNo,
    /// The end that is the client.
    pub(super) client: usize,
    pub(super) description: Opened,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes that the sender wrote.
    pub(super) written: u64,
    /// Bytes that the receiver read.
    pub(super) read: u64,
    pub(super) closed: Option<Close>,
    /// Sockets that were sent in it (`SCM_RIGHTS`) and not received yet.
    pub(super) rights: VecDeque<SocketNo>,
    /// The sender's, and the receiver's count is a position (and not only a count since its log began).
    pub(super) is_aligned: [bool; 2],
    /// The last bytes that were handed on, kept until both ends are aligned.
    recent: VecDeque<u8>,
}

impl Pair {
    /// Bytes kept in [`Flow::recent`].
    pub(super) fn recent_bytes(&self) -> usize {
        self.flows.iter().map(|flow| flow.recent.len()).sum()
    }
}

impl Flow {
    pub(super) const fn is_unused(&self) -> bool {
        self.written == 0 && self.read == 0
    }

    /// How many bytes were handed on.
    pub(super) const fn handed_on(&self) -> u64 {
        if self.written > self.read { self.written } else { self.read }
    }

    /// Sets where an end stands that was not seen from its beginning, by the bytes that it moves now.
    pub(super) fn align(&mut self, kind: TransferKind, bytes: &[u8]) {
        let handed_on = self.handed_on();
        let ([sender, receiver], written, read) = (&mut self.is_aligned, &mut self.written, &mut self.read);
        let (is_aligned, position) = match kind {
            TransferKind::Write => (sender, written),
            TransferKind::Read => (receiver, read),
        };
        if std::mem::replace(is_aligned, true) {
            return;
        }
        *position = handed_on - overlap(self.recent.make_contiguous(), bytes) as u64;
    }

    /// The beginning of this end is in its log: its count is a position.
    pub(super) fn is_counted_from_start(&mut self, kind: TransferKind) {
        let [sender, receiver] = &mut self.is_aligned;
        *(if kind == TransferKind::Write { sender } else { receiver }) = true;
    }

    /// Keeps bytes that were handed on for [`align`](Self::align). Gives by how much what is kept has grown or shrunk.
    pub(super) fn keep(&mut self, bytes: &[u8], may_grow: bool) -> isize {
        let before = self.recent.len();
        if self.is_aligned == [true; 2] || !may_grow && before == 0 {
            self.recent = VecDeque::new();
        } else {
            let bytes = bytes.get(bytes.len().saturating_sub(MAX_RECENT)..).unwrap_or_default();
            let excess = (before + bytes.len()).saturating_sub(MAX_RECENT);
            self.recent.drain(..excess.min(before));
            self.recent.extend(bytes);
        }
        self.recent.len() as isize - before as isize
    }

    /// Bytes are missing: what was kept says nothing of what follows.
    pub(super) fn keep_none(&mut self) -> isize {
        let before = self.recent.len();
        self.recent.clear();
        -(before as isize)
    }
}

/// How many bytes at the end of `recent` are the ones that `bytes` begins with, or lie after those.
fn overlap(recent: &[u8], bytes: &[u8]) -> usize {
    let bytes = bytes.get(..MAX_RECENT).unwrap_or(bytes);
    if bytes.len() < MIN_OVERLAP {
        return 0;
    }
    // All of them were handed on already, …
    if let Some(at) = memchr::memmem::rfind(recent, bytes) {
        return recent.len() - at;
    }
    // … or the first of them.
    let longest = recent.len().min(bytes.len());
    let fits = |len: &usize| recent.get(recent.len() - len..) == bytes.get(..*len);
    (MIN_OVERLAP..=longest).rev().find(fits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_two_logs_are_aligned_by_their_bytes() {
        let check = |recent: &[u8], bytes: &[u8], expected| assert_eq!(overlap(recent, bytes), expected);
        check(b"", b"0123456789", 0);
        check(b"abc0123456789", b"0123456789", 10);
        check(b"abc0123456789xyz", b"0123456789", 13);
        check(b"abc0123456789", b"0123456789xyz", 10);
        check(b"abc012", b"0123456789", 0);
        check(b"abc", b"c", 0);
    }
}
