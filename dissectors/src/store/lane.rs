//! A lane: one share of a reading's connections, and all that is known of them.
//!
//! Connections are spread over a fixed number of lanes, and each lane is worked on by one thread at a time. A lane
//! numbers what it holds by itself ([`CallId`], [`ConnectionId`]); the numbers that users see are given out when a batch
//! of packets is done, in the order of the packets, so that they do not depend on lanes or threads
//! ([`Store::commit`](super::Store::commit)).

use rpcshark_captures::{Packet, Place};

use super::call::{Body, Call, Piece};
use super::connection::Connection;
use super::frame::Frame;
use super::headers::HeaderLists;

/// A call of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

/// A connection of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// What is to be kept besides the calls themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    /// Frames are wanted: they are handed out batch by batch.
    pub frames: bool,
    /// Where the pieces of messages lie is wanted.
    pub bodies: bool,
}

/// Where something stands in a reading: what is brought in by one packet comes before what the next one brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The packet, by its position in the reading.
    pub order: u64,
    /// Within it, the connection by its birth: a packet at which a waiting time ends may set others free, too.
    pub rank: u64,
}

/// One share of the connections.
#[derive(Debug, Default)]
pub struct Lane {
    /// What to keep.
    pub keep: Keep,
    /// All header lists.
    pub headers: HeaderLists,
    calls: Chunks<Call>,
    connections: Vec<Connection>,
    pieces: Vec<Piece>,
    /// Where the delivery stands that is being dissected.
    now: Key,
    fresh: Fresh,
}

/// What the current batch of packets has brought.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    pub(super) calls: Vec<(Key, CallId)>,
    pub(super) connections: Vec<(u64, ConnectionId)>,
    pub(super) settled: Vec<(Key, CallId)>,
    pub(super) frames: Vec<(Key, Frame)>,
}

impl Lane {
    /// A lane without connections.
    pub fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Says where the delivery stands that is dissected from here on.
    pub fn at(&mut self, order: u64, rank: u64) {
        self.now = Key { order, rank };
    }

    /// Enters a connection that was first seen in the packet `birth`.
    pub fn add_connection(&mut self, birth: Packet, connection: Connection) -> ConnectionId {
        let id = ConnectionId(small(self.connections.len()));
        self.connections.push(connection);
        self.fresh.connections.push((birth.order, id));
        id
    }

    /// Enters a call.
    pub fn add_call(&mut self, call: Call) -> CallId {
        let id = CallId(small(self.calls.len()));
        self.connection_mut(call.connection).calls += 1;
        self.calls.push(call);
        self.fresh.calls.push((self.now, id));
        id
    }

    /// Says that nothing more is expected of a call: both sides have ended it. (More may come all the same.)
    pub fn settle_call(&mut self, id: CallId) {
        self.fresh.settled.push((self.now, id));
    }

    /// Enters a frame, if frames are wanted.
    pub fn add_frame(&mut self, frame: Frame) {
        if self.keep.frames {
            self.fresh.frames.push((self.now, frame));
        }
    }

    /// Turns round the frames of a connection that are not handed out yet.
    pub fn swap_frame_roles(&mut self, connection: ConnectionId) {
        for (_, frame) in self.fresh.frames.iter_mut().filter(|(_, frame)| frame.connection == connection) {
            frame.direction = frame.direction.reverse();
        }
    }

    /// Enters the pieces of a message of `length` bytes.
    pub fn add_pieces(&mut self, pieces: &[Piece], length: u32) -> Body {
        match *pieces {
            _ if !self.keep.bodies || length == 0 => Body::Whole(Place::NOWHERE),
            [piece] if piece.len == length => Body::Whole(piece.at),
            _ => {
                let first = small(self.pieces.len());
                self.pieces.extend_from_slice(pieces);
                Body::Pieces { first, count: small(pieces.len()) }
            }
        }
    }

    /// The pieces that a message's bytes lie in; `length` is that of the whole message.
    pub fn pieces(&self, body: Body, length: u32) -> Vec<Piece> {
        match body {
            Body::Whole(at) => vec![Piece { at, len: length }],
            Body::Pieces { first, count } => {
                let first = first as usize;
                self.pieces.get(first..first + count as usize).unwrap_or_default().to_vec()
            }
        }
    }

    /// A call.
    pub fn call(&self, id: CallId) -> &Call {
        self.calls.at(id.0)
    }

    /// A call, to be changed.
    pub fn call_mut(&mut self, id: CallId) -> &mut Call {
        self.calls.at_mut(id.0)
    }

    /// How many calls there are.
    pub fn call_count(&self) -> u32 {
        small(self.calls.len())
    }

    /// A connection.
    pub fn connection(&self, id: ConnectionId) -> &Connection {
        &self.connections[id.0 as usize]
    }

    /// A connection, to be changed.
    pub fn connection_mut(&mut self, id: ConnectionId) -> &mut Connection {
        &mut self.connections[id.0 as usize]
    }

    /// All connections.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// Takes what the current batch has brought.
    pub(super) fn take_fresh(&mut self) -> Fresh {
        std::mem::take(&mut self.fresh)
    }
}

/// A list that grows without ever moving what it holds: growing costs no copy, and no moment at which all is there twice.
#[derive(Debug)]
struct Chunks<T> {
    chunks: Vec<Vec<T>>,
}

/// Items a chunk: a power of two, some hundred KiB of calls.
const CHUNK: usize = 2048;

impl<T> Chunks<T> {
    fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    fn push(&mut self, item: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(item),
            _ => {
                // The first chunk grows as it is filled, so that small captures stay small.
                let room = if self.chunks.is_empty() { 0 } else { CHUNK };
                let mut chunk = Vec::with_capacity(room);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
    }

    fn at(&self, index: u32) -> &T {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    fn at_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

/// A count of things in memory as 32 bits.
pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).expect("memory ends before the numbers do")
}
