//! A connection.

use rpcshark_captures::connection::{Facts, FlowFacts};
use rpcshark_captures::{Direction, Endpoint, Timestamp};

use super::Viewer;
use super::call::more_notes;
use crate::note::way;
use crate::store::{ClientBy, Connection, ConnectionProtocol, Windows};
use crate::tls::{Decryption, TlsFacts};
use crate::{Note, Severity};

/// A connection.
#[derive(Clone, Copy)]
pub struct ConnectionView<'a> {
    viewer: Viewer<'a>,
    connection: &'a Connection,
}

impl<'a> ConnectionView<'a> {
    pub(super) const fn new(viewer: Viewer<'a>, connection: &'a Connection) -> Self {
        Self { viewer, connection }
    }

    /// The number that users see, from 0.
    pub fn number(self) -> u32 {
        self.connection.number().unwrap_or(0)
    }

    /// Wireshark's number for it among TCP connections, where it is one.
    pub const fn tcp_stream(self) -> Option<u32> {
        self.connection.tcp_stream
    }

    /// `tcp`, `unix` or `vsock`.
    pub fn transport(self) -> &'static str {
        self.connection.server.transport()
    }

    /// What is sent over it.
    pub const fn protocol(self) -> ConnectionProtocol {
        self.connection.protocol
    }

    /// The client's end.
    pub const fn client(self) -> &'a Endpoint {
        &self.connection.client
    }

    /// The server's end.
    pub const fn server(self) -> &'a Endpoint {
        &self.connection.server
    }

    /// Why this side is considered the client.
    pub const fn client_by(self) -> ClientBy {
        self.connection.client_by
    }

    /// The name that the capture gives to the client's address.
    pub fn client_name(self) -> Option<&'a str> {
        self.viewer.name_of(self.client())
    }

    /// The name that the capture gives to the server's address.
    pub fn server_name(self) -> Option<&'a str> {
        self.viewer.name_of(self.server())
    }

    /// The process at the client's end.
    pub fn client_process(self) -> Option<&'a str> {
        self.connection.client_process.as_deref()
    }

    /// The process at the server's end.
    pub fn server_process(self) -> Option<&'a str> {
        self.connection.server_process.as_deref()
    }

    /// When something of it was seen first; `None` where the capture has no times.
    pub fn first(self) -> Option<Timestamp> {
        self.time(self.facts().map_or(self.connection.first, |facts| facts.first))
    }

    /// When something of it was seen last, as far as that is known; `None` where the capture has no times.
    pub fn last(self) -> Option<Timestamp> {
        self.time(self.facts().map_or(self.connection.first, |facts| facts.last))
    }

    fn time(self, time: Timestamp) -> Option<Timestamp> {
        self.connection.has_times.then_some(time)
    }

    /// How many packets were of it.
    pub fn packets(self) -> u64 {
        self.facts().map_or(0, |facts| facts.packets)
    }

    /// What the transport knows of one direction.
    pub fn flow(self, direction: Direction) -> Option<&'a FlowFacts> {
        // The transport may take the server for the client.
        let direction = if self.connection.roles_swapped { direction.reverse() } else { direction };
        self.facts()?.flows.get(direction.index())
    }

    /// Whether its beginning was not seen.
    pub fn is_joined(self) -> bool {
        self.facts().is_some_and(|facts| facts.joined)
    }

    /// How it was closed: `fin`, `rst`, `timeout`.
    pub fn closed(self) -> Option<&'static str> {
        self.facts()?.closed?.name()
    }

    /// How many calls are on it.
    pub const fn calls(self) -> u32 {
        self.connection.calls
    }

    /// How many requests of HTTP on it are not calls.
    pub const fn other_requests(self) -> u32 {
        self.connection.other_requests
    }

    /// Its windows of HTTP/2 flow control in bytes, by the [`Direction::index`] of the data, as they are at its end or at that
    /// of the capture. None where they are not known.
    pub fn windows(self) -> Option<Windows> {
        self.connection.windows.as_deref().copied()
    }

    /// What is known of its encryption, if it is encrypted.
    pub fn tls(self) -> Option<&'a TlsFacts> {
        self.connection.tls.as_deref()
    }

    /// Its notes, and those that follow from what its transport knows.
    pub fn notes(self) -> Vec<Note> {
        let mut notes = self.connection.notes.clone();
        notes.extend(self.tls().and_then(tls_note));
        for direction in Direction::BOTH {
            let Some(flow) = self.flow(direction) else { continue };
            let way = way(direction);
            let faults = flow.faults();
            if let Some(first) = faults.first_differing {
                let text = format!(
                    "{} segments {way} bring other bytes for a place than those that came first, the first at byte {}",
                    faults.differing, first.at
                );
                notes.push(Note::new(Severity::Warning, "overlap-differs", text).at(first.packet));
            }
        }
        if self.facts().is_some_and(|facts| facts.captured_twice) {
            let text = "its packets were captured twice, at both ends or on two interfaces; times are those of the first copies";
            notes.push(Note::new(Severity::Info, "captured-twice", text));
        }
        if self.connection.notes_dropped > 0 {
            notes.push(Note::new(Severity::Info, "more-notes", more_notes(self.connection.notes_dropped.into())));
        }
        notes
    }

    fn facts(self) -> Option<&'a Facts> {
        self.connection.facts.as_deref()
    }
}

/// Why an encrypted connection could not be read, and what that takes.
fn tls_note(tls: &TlsFacts) -> Option<Note> {
    let version = tls.version_name().unwrap_or("TLS");
    let carries = match tls.protocol() {
        Some("h2") => "; it carries HTTP/2".to_owned(),
        Some("http/1.1") => "; it carries HTTP/1.1".to_owned(),
        Some(other) => format!("; it carries {other}"),
        None => String::new(),
    };
    let (kind, why) = match tls.decryption {
        Decryption::Decrypted | Decryption::Pending | Decryption::Unsupported => return None,
        Decryption::NoKeys => (
            "tls-no-key",
            "and there are no secrets for it: --keylog reads those that the client or server writes where \
             SSLKEYLOGFILE says",
        ),
        Decryption::NoHello => (
            "tls-no-hello",
            "and its ClientHello is not in the capture, without which its secrets cannot be found in a key log",
        ),
        Decryption::WrongKeys => {
            ("tls-wrong-key", "and the secrets that the key log has for it open none of its records")
        }
    };
    Some(Note::new(Severity::Info, kind, format!("encrypted with {version}, {why}{carries}")))
}
