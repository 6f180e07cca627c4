//! What a parser works with besides the bytes of its connection.

use std::ops::{Deref, DerefMut};

use rpcshark_captures::{Direction, Input, Place};

use crate::store::{ConnectionId, Lane};
use crate::tls::Keys;

/// What a parser works with: where it enters calls and notes, where it keeps bytes that no file holds, and the keys of
/// encrypted connections.
pub struct Context<'a> {
    /// The lane of the connection.
    pub lane: &'a mut Lane,
    /// Keeps bytes that no file holds as they are (decrypted ones).
    pub spill: Option<&'a mut dyn KeepBytes>,
    /// The TLS secrets that are known so far.
    pub keys: &'a Keys,
    /// Learns what encrypted connections deliver, decrypted.
    pub observer: Option<&'a mut dyn Observer>,
}

/// Learns what encrypted connections deliver, decrypted.
pub trait Observer {
    /// The next thing that is known of a flow of `connection`. `seen`: the direction, with the roles as they were assumed at the
    /// beginning.
    fn decrypted(&mut self, connection: ConnectionId, seen: Direction, input: &Input<'_>);
}

/// A place for bytes that no file holds.
pub trait KeepBytes {
    /// Keeps `bytes`. [`Place::NOWHERE`] if they cannot be kept.
    fn keep(&mut self, bytes: &[u8]) -> Place;
}

impl<'a> Context<'a> {
    /// Keeps no bytes and has no keys: enough for protocols that are not encrypted.
    pub fn new(lane: &'a mut Lane) -> Self {
        Self { lane, spill: None, keys: Keys::none(), observer: None }
    }

    /// Keeps `bytes` if bodies are wanted, and returns where.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Place {
        match &mut self.spill {
            Some(spill) if self.lane.keep.bodies => spill.keep(bytes),
            _ => Place::NOWHERE,
        }
    }
}

impl Deref for Context<'_> {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        self.lane
    }
}

impl DerefMut for Context<'_> {
    fn deref_mut(&mut self) -> &mut Lane {
        self.lane
    }
}
