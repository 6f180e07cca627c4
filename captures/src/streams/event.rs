//! What the readers of streams produce: connections that open, their bytes and gaps, and their ends.

use std::ops::Range;

use crate::connection::Close;
use crate::{Direction, Endpoint, GapCause, Packet, Place, Timestamp};

/// A connection of a recording that holds no packets, from 0 in the order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamNo(pub u32);

/// The next thing that is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which one.
    pub connection: StreamNo,
    /// The packet (line, block) that shows it.
    pub packet: Packet,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happens to a connection. Of each connection there is one `Opened` before all others, and two `Closed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was seen for the first time.
    Opened(Box<Opened>),
    /// More is known of it now. Its two sides stay what they are.
    Updated(Box<Opened>),
    /// Bytes that follow on what came before.
    Data {
        /// Of which flow.
        direction: Direction,
        /// Which bytes of the [`Events::bytes`] they are; never none.
        bytes: Range<usize>,
        /// Where the first of them lies, the others after it.
        at: Place,
    },
    /// Bytes that are missing.
    Gap {
        /// In which flow.
        direction: Direction,
        /// How many, where that is known.
        length: Option<u64>,
        /// Why.
        cause: GapCause,
    },
    /// A flow has ended, after all its bytes and gaps.
    Closed {
        /// Which one.
        direction: Direction,
        /// How.
        how: Close,
    },
}

/// What is known of a connection apart from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// How the client was determined.
    pub client_by: ClientBy,
    /// The program at the client's end, where the recording tells.
    pub client_process: Option<Process>,
    /// The program at the server's end, where the recording tells.
    pub server_process: Option<Process>,
    /// Its beginning is not in the recording.
    pub joined: bool,
}

/// How the client was determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientBy {
    /// It was seen to connect.
    Connect,
    /// The other side was seen to accept it.
    Accept,
    /// The other side's socket has a name, or its own has none although the recording shows names.
    Path,
    /// The other side's port is the one that looks like a server's.
    Port,
    /// The recording, or whoever gave it, says so.
    Stated,
    /// It sent the first bytes that were seen.
    First,
}

impl ClientBy {
    /// The word that output uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Accept => "accept",
            Self::Path => "path",
            Self::Port => "port",
            Self::Stated => "stated",
            Self::First => "first",
        }
    }
}

/// A program that was seen at one end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number; that of one of its threads where no more is known.
    pub pid: u32,
    /// Its name: untrusted text.
    pub name: Option<Box<str>>,
}

/// Events that follow on each other, and the bytes that they speak of. It can be sent to other threads and read by
/// several at once.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// The events, in their order.
    pub events: Vec<Event>,
    /// What [`EventKind::Data`] points to.
    pub bytes: Vec<u8>,
}

impl Events {
    /// Forgets all, but keeps the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.bytes.clear();
    }

    /// The bytes of an event; none for what has none.
    pub fn bytes_of(&self, event: &Event) -> &[u8] {
        match &event.kind {
            EventKind::Data { bytes, .. } => self.bytes.get(bytes.clone()).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// Where events go while one packet is read.
pub(super) struct Sink<'a> {
    pub(super) events: &'a mut Events,
    /// How many connections there are.
    pub(super) connections: &'a mut u32,
    pub(super) packet: Packet,
    pub(super) time: Timestamp,
}

impl Sink<'_> {
    /// A new connection.
    pub(super) fn open(&mut self, opened: Opened) -> StreamNo {
        let no = StreamNo(*self.connections);
        *self.connections = self.connections.saturating_add(1);
        self.push(no, EventKind::Opened(Box::new(opened)));
        no
    }

    pub(super) fn push(&mut self, connection: StreamNo, kind: EventKind) {
        let (packet, time) = (self.packet, self.time);
        self.events.events.push(Event { connection, packet, time, kind });
    }

    /// Bytes that are in the buffer already.
    pub(super) fn data(&mut self, no: StreamNo, direction: Direction, bytes: Range<usize>) {
        if !bytes.is_empty() {
            self.push(no, EventKind::Data { direction, bytes, at: Place::NOWHERE });
        }
    }

    /// Bytes that lie in the capture.
    pub(super) fn data_at(&mut self, no: StreamNo, direction: Direction, data: &[u8], at: Place) {
        if !data.is_empty() {
            let start = self.events.bytes.len();
            self.events.bytes.extend_from_slice(data);
            self.push(no, EventKind::Data { direction, bytes: start..self.events.bytes.len(), at });
        }
    }

    pub(super) fn gap(&mut self, no: StreamNo, direction: Direction, length: Option<u64>, cause: GapCause) {
        if length != Some(0) {
            self.push(no, EventKind::Gap { direction, length, cause });
        }
    }

    pub(super) fn closed(&mut self, no: StreamNo, direction: Direction, how: Close) {
        self.push(no, EventKind::Closed { direction, how });
    }
}
