//! Descriptors of which nothing is known: without `-y`, those that were there before the log began.
//!
//! Most of them are files and pipes. A descriptor that is both read and written is assumed to be a socket, unless it only ever
//! moves eight bytes, as event counters do. What happened to it until then is kept.

use hashbrown::HashMap;

use super::args::Piece;
use super::sockets::TransferKind;
use crate::{Packet, Timestamp};

/// Unidentified descriptors at a time. Further ones are ignored.
const MAX_UNIDENTIFIED: usize = 1 << 10;

/// Bytes that are kept of one. What is read for longer without being written is assumed to be a file.
const MAX_KEPT: usize = 64 << 10;

/// Calls that are kept of one.
const MAX_CALLS: usize = 1 << 10;

/// An event counter is read and written in pieces of this size.
const COUNTER: u64 = 8;

/// By the table of descriptors, and the number in it.
type Key = (u32, u32);

/// Descriptors that may be sockets.
#[derive(Debug, Default)]
pub(super) struct Unidentified {
    known: HashMap<Key, Observed>,
}

/// What was observed of one descriptor.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) calls: Vec<Moved>,
    pub(super) bytes: Vec<u8>,
    is_read: bool,
    is_written: bool,
    is_counter: bool,
    /// It was observed for long enough: it is not a socket.
    is_dismissed: bool,
}

/// A call that moved bytes.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) kind: TransferKind,
    pub(super) packet: Packet,
    pub(super) time: Timestamp,
    /// In [`Observed::bytes`].
    pub(super) pieces: Vec<Piece>,
}

impl Unidentified {
    /// Takes note of a call whose pieces are in `buffer`. Gives all that was observed once the descriptor is assumed to be a
    /// socket.
    pub(super) fn moved(&mut self, key: Key, call: Moved, buffer: &[u8]) -> Option<Observed> {
        if self.known.len() >= MAX_UNIDENTIFIED && !self.known.contains_key(&key) {
            return None;
        }
        let observed = self.known.entry(key).or_insert_with(|| Observed { is_counter: true, ..Observed::default() });
        if observed.is_dismissed {
            return None;
        }
        let count: u64 = call.pieces.iter().map(|piece| piece.bytes.len() as u64 + piece.missing).sum();
        observed.is_counter &= count == COUNTER;
        match call.kind {
            TransferKind::Read => observed.is_read = true,
            TransferKind::Write => observed.is_written = true,
        }
        let mut kept = Vec::new();
        for piece in call.pieces {
            let start = observed.bytes.len();
            observed.bytes.extend_from_slice(buffer.get(piece.bytes.clone()).unwrap_or_default());
            kept.push(Piece { bytes: start..observed.bytes.len(), missing: piece.missing });
        }
        observed.calls.push(Moved { pieces: kept, ..call });
        if observed.is_read && observed.is_written && !observed.is_counter {
            return self.known.remove(&key);
        }
        if observed.bytes.len() > MAX_KEPT || observed.calls.len() > MAX_CALLS {
            *observed = Observed { is_dismissed: true, ..Observed::default() };
        }
        None
    }

    /// The descriptor is closed, or known to be something else.
    pub(super) fn forget(&mut self, key: Key) {
        self.known.remove(&key);
    }
}
