//! Descriptors of which nothing is known: without `-y`, those that were there before the log began.
//!
//! Most of them are files and pipes. What is both read and written is taken for a socket, unless it only ever moves eight
//! bytes, as event counters do; what happened to it until then is kept.

use hashbrown::HashMap;

use super::args::Piece;
use super::sockets::Move;
use crate::{Packet, Timestamp};

/// Strangers at a time. Behind it further ones are not looked at.
const MAX_STRANGERS: usize = 1 << 10;

/// Bytes that are kept of one; a file of which more is read without a write is no socket.
const MAX_KEPT: usize = 64 << 10;

/// Calls that are kept of one.
const MAX_CALLS: usize = 1 << 10;

/// An event counter is read and written in pieces of this size.
const COUNTER: u64 = 8;

/// By the table of descriptors, and the number in it.
type Key = (u32, u32);

#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: HashMap<Key, Stranger>,
}

#[derive(Debug, Default)]
pub(super) struct Stranger {
    pub(super) calls: Vec<Moved>,
    pub(super) bytes: Vec<u8>,
    is_read: bool,
    is_written: bool,
    is_counter: bool,
    /// It was looked at for long enough: it is none.
    is_dismissed: bool,
}

/// A call that moved bytes.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) way: Move,
    pub(super) packet: Packet,
    pub(super) time: Timestamp,
    /// In the bytes of the stranger.
    pub(super) pieces: Vec<Piece>,
}

impl Strangers {
    /// Takes note of a call. `pieces` are in `buffer`. Gives the stranger once it is taken for a socket.
    pub(super) fn moved(
        &mut self,
        key: Key,
        way: Move,
        pieces: &[Piece],
        buffer: &[u8],
        packet: Packet,
        time: Timestamp,
    ) -> Option<Stranger> {
        if self.known.len() >= MAX_STRANGERS && !self.known.contains_key(&key) {
            return None;
        }
        let stranger = self.known.entry(key).or_insert_with(|| Stranger { is_counter: true, ..Stranger::default() });
        if stranger.is_dismissed {
            return None;
        }
        let count: u64 = pieces.iter().map(|piece| piece.bytes.len() as u64 + piece.missing).sum();
        stranger.is_counter &= count == COUNTER;
        match way {
            Move::Read => stranger.is_read = true,
            Move::Write => stranger.is_written = true,
        }
        let mut kept = Vec::new();
        for piece in pieces {
            let start = stranger.bytes.len();
            stranger.bytes.extend_from_slice(buffer.get(piece.bytes.clone()).unwrap_or_default());
            kept.push(Piece { bytes: start..stranger.bytes.len(), missing: piece.missing });
        }
        stranger.calls.push(Moved { way, packet, time, pieces: kept });
        if stranger.is_read && stranger.is_written && !stranger.is_counter {
            return self.known.remove(&key);
        }
        if stranger.bytes.len() > MAX_KEPT || stranger.calls.len() > MAX_CALLS {
            *stranger = Stranger { is_dismissed: true, ..Stranger::default() };
        }
        None
    }

    /// It is closed, or something else.
    pub(super) fn forget(&mut self, key: Key) {
        self.known.remove(&key);
    }
}
