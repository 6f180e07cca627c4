//! A frame, as `frames` shows it. Frames are not kept: they are handed out batch by batch to whoever wants them.

use std::ops::Range;

use rpcshark_captures::{Direction, PacketNo, Timestamp};

use super::completed::CompletedMessages;
use super::headers::HeaderListId;
use super::ids::{CallId, ConnectionId};
use crate::Note;
use crate::http2::Priority;

/// An HTTP/2 or ttrpc frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The packet that completed it.
    pub packet: PacketNo,
    /// When its last byte was there.
    pub time: Timestamp,
    /// Where its bytes are in their flow, with its header. Where it is cut by a gap of unknown length: as far as they came.
    pub extent: Range<u64>,
    /// Its connection.
    pub connection: ConnectionId,
    /// Which way it went.
    pub direction: Direction,
    /// Which protocol's frame it is.
    pub protocol: Framing,
    /// Its stream, 0 for the connection.
    pub stream: u32,
    /// Its type, as on the wire.
    pub kind: u8,
    /// Its flags, as on the wire.
    pub flags: u8,
    /// The length of its payload, as its header says.
    pub length: u32,
    /// The call it belongs to, if it belongs to one.
    pub call: Option<CallId>,
    /// The messages of its call that it completes; set when it is added.
    pub messages: Option<CompletedMessages>,
    /// The header list of the block that it begins, if it begins one.
    pub headers: Option<HeaderListId>,
    /// The stream that it promises (PUSH_PROMISE).
    pub promised: Option<u32>,
    /// Bytes of padding, where it is padded.
    pub padding: Option<u8>,
    /// Priority, where a HEADERS frame has it.
    pub priority: Option<Priority>,
    /// The payload of a frame that carries neither messages nor headers, as far as it is there.
    pub payload: Box<[u8]>,
    /// The number of the connection inside an NRI trunk.
    pub trunk: Option<u32>,
    /// Notes about it.
    pub notes: Vec<Note>,
}

/// Which protocol a frame is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// HTTP/2 (RFC 9113 §4.1).
    Http2,
    /// ttrpc.
    Ttrpc,
}

impl Framing {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::Ttrpc => "ttrpc",
        }
    }
}
