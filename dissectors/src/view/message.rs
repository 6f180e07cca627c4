//! A message and its bytes: fetched from where they lie, and decompressed.

use std::borrow::Cow;

use rpcshark_captures::{Direction, Place, Timestamp};

use super::call::encoding;
use super::{Known, Viewer};
use crate::grpc::{Encoding, MAX_DECOMPRESSED, decompress};
use crate::json::copy_json;
use crate::schema::{MessageIx, Schema};
use crate::store::{Call, Lane, Message, MessageFlags};
use crate::text::Escaped;
use crate::{Note, Severity};

/// A message of a call.
#[derive(Clone, Copy)]
pub struct MessageView<'a> {
    pub(super) viewer: Viewer<'a>,
    pub(super) lane: &'a Lane,
    pub(super) call: &'a Call,
    pub(super) message: &'a Message,
    pub(super) kind: Known<MessageIx>,
}

/// Memory for the bytes of one message at a time, kept from one to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    piece: Vec<u8>,
    wire: Vec<u8>,
    inflated: Vec<u8>,
}

/// The bytes of a message, as far as they can be had.
#[derive(Debug)]
pub struct Body<'b> {
    wire: &'b [u8],
    inflated: Option<&'b [u8]>,
    fault: Option<Note>,
}

impl<'a> MessageView<'a> {
    /// When its last byte was there.
    pub const fn at(self) -> Timestamp {
        self.message.at
    }

    /// The number of the packet that completed it.
    pub const fn packet(self) -> u32 {
        self.message.packet
    }

    /// Which way it went.
    pub const fn direction(self) -> Direction {
        self.message.direction
    }

    /// Its length on the wire (compressed, if it is), without the prefix.
    pub const fn length(self) -> u32 {
        self.message.length
    }

    /// Whether its prefix says that it is compressed.
    pub const fn is_compressed(self) -> bool {
        self.message.flags.has(MessageFlags::COMPRESSED)
    }

    /// Whether it came after the call had ended.
    pub const fn is_late(self) -> bool {
        self.message.flags.has(MessageFlags::LATE)
    }

    /// Whether bytes before it are missing, so that its beginning is a guess.
    pub const fn is_start_guessed(self) -> bool {
        self.message.flags.has(MessageFlags::GUESSED)
    }

    /// Its type, and how that is known: [`Known::Seen`] by the call's path, [`Known::Guessed`] by what the messages hold.
    pub const fn type_ix(self) -> Known<MessageIx> {
        self.kind
    }

    /// The full name of its type.
    pub fn type_name(self) -> Known<&'a str> {
        self.kind.map(|ix| &*self.viewer.schema[ix].name)
    }

    /// The schema that its type is of.
    pub const fn schema(self) -> &'a Schema {
        self.viewer.schema
    }

    /// Its bytes. Lent where they are in memory, else put into `scratch`.
    pub fn body<'b>(self, scratch: &'b mut Scratch) -> Body<'b>
    where
        'a: 'b,
    {
        let Scratch { piece, wire, inflated } = scratch;
        let (wire, whole) = self.wire(piece, wire);
        let mut body = Body { wire, inflated: None, fault: None };
        let flags = self.message.flags;
        if flags.has(MessageFlags::CUT) {
            let text = format!("{} of its {} bytes are in the capture", wire.len(), self.message.length);
            body.fault = Some(Note::new(Severity::Warning, "message-cut", text));
        } else if !whole {
            body.fault = Some(Note::new(Severity::Error, "message-unreadable", "its bytes could not be read again"));
        } else if flags.has(MessageFlags::STRANGE_FLAG) {
            let text = "the flag byte of its prefix is neither 0 nor 1";
            body.fault = Some(Note::new(Severity::Warning, "message-flag", text));
        } else if flags.has(MessageFlags::COMPRESSED) {
            match inflate(wire, encoding(self.lane, self.call, self.message.direction), inflated) {
                Ok(()) => body.inflated = Some(inflated),
                Err(fault) => body.fault = Some(fault),
            }
        }
        body
    }

    /// The bytes on the wire without those that are missing, and whether all are there.
    fn wire<'b>(self, piece: &'b mut Vec<u8>, wire: &'b mut Vec<u8>) -> (&'b [u8], bool)
    where
        'a: 'b,
    {
        let bodies = self.viewer.bodies;
        let pieces = self.lane.pieces(self.message.body(), self.message.length);
        if let [only] = pieces[..]
            && only.at != Place::NOWHERE
        {
            return match bodies.get(only.at, only.len as usize, wire) {
                Some(bytes) => (bytes, true),
                None => (&[], false),
            };
        }
        wire.clear();
        let mut whole = true;
        for part in pieces.iter().filter(|part| part.len > 0) {
            let bytes = match part.at {
                Place::NOWHERE => None,
                at => bodies.get(at, part.len as usize, piece),
            };
            whole &= bytes.is_some();
            wire.extend_from_slice(bytes.unwrap_or_default());
        }
        (wire, whole)
    }
}

impl<'b> Body<'b> {
    /// The bytes on the wire; without those that are missing.
    pub const fn wire(&self) -> &'b [u8] {
        self.wire
    }

    /// The bytes to be decoded, decompressed where they were compressed; `None` where they cannot be read, see
    /// [`Body::fault`].
    pub fn content(&self) -> Option<&'b [u8]> {
        match self.fault {
            Some(_) => None,
            None => Some(self.inflated.unwrap_or(self.wire)),
        }
    }

    /// Whether [`Body::content`] is decompressed.
    pub const fn is_inflated(&self) -> bool {
        self.inflated.is_some()
    }

    /// Why the message cannot be read.
    pub const fn fault(&self) -> Option<&Note> {
        self.fault.as_ref()
    }
}

/// A message that is a JSON object or array, without the space between its tokens. No protobuf message is one by accident: `{`
/// and `[` begin a group that nothing ends.
pub fn as_json(content: &[u8]) -> Option<Vec<u8>> {
    let text = content.trim_ascii();
    if !matches!(text, [b'{', .., b'}'] | [b'[', .., b']']) {
        return None;
    }
    let mut json = Vec::with_capacity(text.len());
    copy_json(&mut json, text).then_some(json)
}

fn inflate(wire: &[u8], encoding: Known<Cow<'_, [u8]>>, inflated: &mut Vec<u8>) -> Result<(), Note> {
    let named = match &encoding {
        Known::Seen(name) | Known::Guessed(name) => Encoding::from_name(name),
        // The header is not in the capture: the bytes themselves tell.
        Known::Unknown => by_magic(wire),
        Known::Absent | Known::Hidden { .. } => None,
    };
    let Some(named) = named else {
        let text = match encoding {
            Known::Seen(name) | Known::Guessed(name) => {
                format!("it is compressed by an encoding that is not known: {}", Escaped(&name))
            }
            Known::Unknown => "it is compressed, and the header that says how is not in the capture".to_owned(),
            Known::Absent | Known::Hidden { .. } => "it is marked as compressed, and no header says how".to_owned(),
        };
        return Err(Note::new(Severity::Warning, "encoding-unknown", text));
    };
    inflated.clear();
    decompress(named, wire, MAX_DECOMPRESSED, inflated)
        .map_err(|error| Note::new(Severity::Error, "decompression", error.to_string()))
}

/// The encoding that compressed bytes begin like (RFC 1952 §2.3.1, RFC 1950 §2.2, RFC 8878 §3.1.1).
fn by_magic(bytes: &[u8]) -> Option<Encoding> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(Encoding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
        [a, b, ..] if a & 0x0f == 8 && u16::from_be_bytes([*a, *b]).is_multiple_of(31) => Some(Encoding::Deflate),
        _ => None,
    }
}
