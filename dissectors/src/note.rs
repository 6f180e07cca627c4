//! Notes: remarks about bytes that are wrong, missing or unusual (Wireshark: expert info).

use rpcshark_captures::{Direction, PacketNo};

/// Something to say about a call, a frame, a message or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one hyphenated word that filters and counts use: `hpack-unknown`.
    pub kind: &'static str,
    /// The same for people.
    pub text: String,
    /// The packet that it is about.
    pub packet: Option<PacketNo>,
}

/// How bad a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something was not as it should be; what is shown is right as far as it goes.
    Warning,
    /// Something could not be read.
    Error,
}

impl Severity {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A direction in the text of a note.
pub(crate) const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "to the server",
        Direction::ToClient => "to the client",
    }
}

impl Note {
    /// A note of kind `kind`.
    pub fn new(severity: Severity, kind: &'static str, text: impl Into<String>) -> Self {
        Self { severity, kind, text: text.into(), packet: None }
    }

    /// The same note, about `packet`.
    #[must_use]
    pub fn at(self, packet: PacketNo) -> Self {
        Self { packet: Some(packet), ..self }
    }
}
