//! A connection, as far as dissectors know it.

use std::num::NonZero;

use rpcshark_captures::connection::Facts;
use rpcshark_captures::{Endpoint, PacketNo, Timestamp};

use super::flow::Windows;
use crate::tls::TlsFacts;
use crate::{Note, Severity};

/// A connection: its ends, what it speaks, how much went over it.
#[derive(Debug)]
pub struct Connection {
    /// The number that users see plus one; `None` until the batch of packets that brought it is done.
    pub no: Option<NonZero<u32>>,
    /// Whether it is a TCP connection of the capture (and so has a number among those).
    pub over_tcp: bool,
    /// Wireshark's number for it among TCP connections, where it is one.
    pub tcp_stream: Option<u32>,
    /// The client.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// How the client was determined.
    pub client_by: ClientBy,
    /// What it speaks.
    pub protocol: ConnectionProtocol,
    /// What the transport knows of it: brought up to date when the connection is over, or the capture.
    pub facts: Option<Box<Facts>>,
    /// Calls on it.
    pub calls: u32,
    /// Whether what the transport calls client is the server (then its flows are the other way round, too).
    pub roles_swapped: bool,
    /// The first time at which something of it was seen.
    pub first: Timestamp,
    /// Whether the capture has times: all those of its calls and frames mean nothing where it has none.
    pub has_times: bool,
    /// Notes about it.
    pub notes: Vec<Note>,
    /// How many notes there were beyond those kept.
    pub notes_dropped: u32,
    /// The process at the client's end, where the capture tells it.
    pub client_process: Option<Box<str>>,
    /// The process at the server's end.
    pub server_process: Option<Box<str>>,
    /// Whether the flow control of HTTP/2 can be followed: everything since its beginning was seen.
    pub flow_known: bool,
    /// What is known of its encryption, where it is encrypted.
    pub tls: Option<Box<TlsFacts>>,
    /// Its windows as they are at its end or at that of the capture, where they are known.
    pub windows: Option<Box<Windows>>,
    /// The packet in which it was first seen, by its position in the reading.
    pub(super) birth: u64,
    /// The current batch has changed it (see [`Lane::connection_mut`](super::Lane::connection_mut)).
    pub(super) changed: bool,
    /// Calls on it that were forgotten.
    pub(super) forgotten_calls: u32,
    /// Requests of HTTP on it that are not calls.
    pub other_requests: u32,
}

/// One end of a connection, and the process there.
#[derive(Clone, Debug)]
pub struct Party {
    /// The end.
    pub endpoint: Endpoint,
    /// The process, as output shows it.
    pub process: Option<Box<str>>,
}

/// How the client was determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientBy {
    /// It sent the SYN (or connected the socket).
    Syn,
    /// It sent the client preface of HTTP/2.
    Preface,
    /// It sent what only a client sends.
    Protocol,
    /// The other end's port is the well-known or lower one.
    Port,
    /// It was seen first.
    First,
    /// Given by the user with `--decode-as`.
    User,
}

impl ClientBy {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Preface => "preface",
            Self::Protocol => "protocol",
            Self::Port => "port",
            Self::First => "first",
            Self::User => "user",
        }
    }
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConnectionProtocol {
    /// HTTP/2.
    Http2,
    /// HTTP/1.x.
    Http1,
    /// ttrpc.
    Ttrpc,
    /// An NRI trunk with ttrpc connections in it.
    Nri,
    /// TLS whose content could not be read.
    Tls,
    /// Not known (yet).
    #[default]
    Unknown,
}

impl ConnectionProtocol {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::Http1 => "http1",
            Self::Ttrpc => "ttrpc",
            Self::Nri => "nri",
            Self::Tls => "tls",
            Self::Unknown => "unknown",
        }
    }
}

impl ConnectionProtocol {
    /// Whether RPCs may be in it, in the clear.
    pub const fn carries_rpc(self) -> bool {
        matches!(self, Self::Http2 | Self::Ttrpc | Self::Nri)
    }
}

/// A process as output shows it, as far as its name and number are known: `ctr (812)`.
pub fn process_text(name: Option<&str>, pid: Option<u32>) -> Option<Box<str>> {
    match (name, pid) {
        (Some(name), Some(pid)) => Some(format!("{name} ({pid})").into()),
        (Some(name), None) => Some(name.into()),
        (None, Some(pid)) => Some(format!("pid {pid}").into()),
        (None, None) => None,
    }
}

/// Notes kept for one connection: damaged or hostile bytes can cause one a frame.
const MAX_NOTES: usize = 256;

impl Connection {
    /// A connection of which only the ends are known.
    pub fn new(client: Endpoint, server: Endpoint, client_by: ClientBy, first: Timestamp) -> Self {
        Self {
            no: None,
            over_tcp: false,
            tcp_stream: None,
            client,
            server,
            client_by,
            protocol: ConnectionProtocol::Unknown,
            facts: None,
            calls: 0,
            roles_swapped: false,
            first,
            has_times: true,
            notes: Vec::new(),
            notes_dropped: 0,
            client_process: None,
            server_process: None,
            flow_known: false,
            tls: None,
            windows: None,
            birth: 0,
            changed: false,
            forgotten_calls: 0,
            other_requests: 0,
        }
    }

    /// What stands for a connection that was forgotten.
    pub(super) fn forgotten() -> Self {
        Self::new(Endpoint::UnixInode(0), Endpoint::UnixInode(0), ClientBy::First, Timestamp::default())
    }

    /// Enters a note.
    pub fn note(&mut self, note: Note) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        } else {
            self.notes_dropped = self.notes_dropped.saturating_add(1);
        }
    }

    /// Adds what the recorder that wrote the capture says about a packet of the connection.
    pub fn note_remark(&mut self, text: &str, packet: PacketNo) {
        self.note(Note::new(Severity::Info, "recorder", format!("the recorder says: {text}")).at(packet));
    }

    /// Sets both ends to those that a recorder wrote down: the packets are a recording of this connection.
    pub fn set_recorded_ends(&mut self, client: Party, server: Party) {
        self.over_tcp = matches!(server.endpoint, Endpoint::Tcp(_));
        (self.client, self.client_process) = (client.endpoint, client.process);
        (self.server, self.server_process) = (server.endpoint, server.process);
    }

    /// The bytes have shown which end is the client: the other one than was thought, if `swap`. A SYN and a user know
    /// better.
    pub fn client_identified(&mut self, swap: bool, by: ClientBy) {
        if swap {
            std::mem::swap(&mut self.client, &mut self.server);
            std::mem::swap(&mut self.client_process, &mut self.server_process);
            self.roles_swapped = !self.roles_swapped;
        }
        if swap || matches!(self.client_by, ClientBy::Port | ClientBy::First) {
            self.client_by = by;
        }
    }

    /// The packet in which it was first seen, by its position in the reading.
    pub const fn birth(&self) -> u64 {
        self.birth
    }

    /// The number that users see, from 0.
    pub fn number(&self) -> Option<u32> {
        self.no.map(|no| no.get() - 1)
    }
}
