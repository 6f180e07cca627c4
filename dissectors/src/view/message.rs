//! A message and its bytes: fetched from where they lie, and decompressed.

use std::borrow::Cow;
use std::ops::ControlFlow;

use rpcshark_captures::{Direction, PacketNo, Place, Timestamp};

use super::call::{encoding, message_in_path};
use super::mask::mask;
use super::{Known, Viewer};
use crate::grpc::{Encoding, MAX_DECOMPRESSED, decompress};
use crate::grpc_web::decode_text;
use crate::json::is_json;
use crate::protobuf::tree::{Node, TreeOptions, raw_tree, tree};
use crate::protobuf::{Next, Step, walk_where};
use crate::schema::{MessageIx, Schema};
use crate::store::{self, Call, Lane, Message, MessageFlags, Protocol};
use crate::{Note, Severity};
use rpcshark_captures::text::Escaped;

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
    masked: Vec<u8>,
}

/// The bytes of a message, as far as they can be had.
#[derive(Debug)]
pub struct Body<'b> {
    schema: &'b Schema,
    kind: Known<MessageIx>,
    hide_marked: bool,
    wire: &'b [u8],
    inflated: Option<&'b [u8]>,
    fault: Option<Note>,
}

impl<'a> MessageView<'a> {
    /// When its last byte was there; `None` where the capture has no times.
    pub fn at(self) -> Option<Timestamp> {
        self.lane.connection(self.call.connection).has_times.then_some(self.message.at)
    }

    /// The packet that completed it: its file, and its number there.
    pub fn packet(self) -> PacketNo {
        self.message.packet()
    }

    /// What carries its call.
    pub const fn protocol(self) -> Protocol {
        self.call.protocol
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

    /// Whether bytes of it are missing.
    pub const fn is_cut(self) -> bool {
        self.message.flags.has(MessageFlags::CUT)
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
        let Scratch { piece, wire, inflated, masked } = scratch;
        let (wire, whole) = self.wire(piece, wire);
        let flags = self.message.flags;
        let inflated = match flags.has(MessageFlags::COMPRESSED) {
            _ if flags.has(MessageFlags::CUT) => {
                let text = format!("{} of its {} bytes are in the capture", wire.len(), self.message.length);
                Err(Note::new(Severity::Warning, "message-cut", text))
            }
            _ if !whole => Err(Note::new(Severity::Error, "message-unreadable", "its bytes could not be read again")),
            _ if flags.has(MessageFlags::STRANGE_FLAG) => {
                let text = "the flag byte of its prefix is neither 0 nor 1";
                Err(Note::new(Severity::Warning, "message-flag", text))
            }
            true => inflate(wire, encoding(self.lane, self.call, self.message.direction), inflated).map(Some),
            false => Ok(None),
        };
        self.masked(wire, inflated, masked)
    }

    /// Whether values of fields marked `debug_redact` are hidden.
    pub const fn hides_marked_fields(self) -> bool {
        self.viewer.redaction.hides_marked_fields()
    }

    /// The body with the values of the fields hidden that its type marks `debug_redact`.
    fn masked<'b>(self, wire: &'b [u8], inflated: Result<Option<&'b [u8]>, Note>, masked: &'b mut Vec<u8>) -> Body<'b>
    where
        'a: 'b,
    {
        let Viewer { schema, redaction, .. } = self.viewer;
        let (inflated, fault) = match inflated {
            Ok(inflated) => (inflated, None),
            Err(fault) => (None, Some(fault)),
        };
        let hide_marked = redaction.hides_marked_fields();
        let mut body = Body { schema, kind: self.kind, hide_marked, wire, inflated, fault };
        let Some(ix) = self.kind.value().filter(|_| hide_marked && schema.marks_fields()) else { return body };
        let compressed = self.is_compressed();
        let readable = inflated.unwrap_or(wire);
        match mask(schema, ix, readable, masked) {
            // Whoever decompresses it would see what is hidden, and what is marked in half of it cannot be found.
            _ if compressed && body.fault.is_some() => body.wire = &[],
            false => {}
            true if compressed => {
                body.wire = &[];
                body.inflated = Some(masked);
            }
            true => body.wire = masked,
        }
        body
    }

    /// The bytes on the wire without those that are missing, and whether all are there.
    fn wire<'b>(self, piece: &'b mut Vec<u8>, wire: &'b mut Vec<u8>) -> (&'b [u8], bool)
    where
        'a: 'b,
    {
        let bodies = self.viewer.bodies;
        // The common case.
        if let (store::Body::Whole(at), None) = (self.message.body(), self.message.flags.base64_skip())
            && at != Place::NOWHERE
        {
            return match bodies.get(at, self.message.length as usize, wire) {
                Some(bytes) => (bytes, true),
                None => (&[], false),
            };
        }
        if self.message.direction == Direction::ToServer
            && let Some(message) = message_in_path(self.lane, self.call)
        {
            *wire = message.bytes;
            return (wire, true);
        }
        let pieces = self.lane.pieces(self.message.body(), self.message.length);
        if let Some(skip) = self.message.flags.base64_skip() {
            let mut encoded = Vec::new();
            for part in pieces.iter().filter(|part| part.at != Place::NOWHERE) {
                encoded.extend_from_slice(bodies.get(part.at, part.len as usize, piece).unwrap_or_default());
            }
            let decoded = decode_text(&encoded, skip, self.message.length as usize);
            let whole = decoded.is_some();
            *wire = decoded.unwrap_or_default();
            return (wire, whole);
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
    /// The bytes on the wire; without those that are missing. Fields that are hidden have their bytes replaced by `*`; of a
    /// compressed message that has such fields there are none.
    pub const fn wire(&self) -> &'b [u8] {
        self.wire
    }

    /// The bytes to be decoded, decompressed where they were compressed, with `*` for each byte of a hidden value; `None` where they cannot be read, see
    /// [`Body::fault`].
    pub fn content(&self) -> Option<&'b [u8]> {
        match self.fault {
            Some(_) => None,
            None => Some(self.inflated.unwrap_or(self.wire)),
        }
    }

    /// Whether values of fields marked `debug_redact` are hidden.
    pub const fn hides_marked_fields(&self) -> bool {
        self.hide_marked
    }

    /// Whether [`Body::content`] is decompressed.
    pub const fn is_inflated(&self) -> bool {
        self.inflated.is_some()
    }

    /// Its fields as a tree of at most `limit` nodes, with their bytes in [`Body::content`]; `None` where that cannot be read.
    pub fn tree(&self, limit: usize) -> Option<Vec<Node<'b>>> {
        let content = self.content()?;
        Some(match self.kind.value() {
            Some(ix) => tree(self.schema, ix, content, TreeOptions { limit, hide_redacted: self.hide_marked }),
            None => raw_tree(content, limit),
        })
    }

    /// Goes through its fields, where its type is known and it can be read; see [`walk_where`].
    pub fn walk(&self, visit: impl FnMut(&Step<'_, 'b, 'b>) -> Next) -> ControlFlow<()> {
        match (self.kind.value(), self.content()) {
            (Some(ix), Some(content)) => walk_where(self.schema, ix, content, visit),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Why the message cannot be read.
    pub const fn fault(&self) -> Option<&Note> {
        self.fault.as_ref()
    }
}

/// The JSON object or array that a message's bytes are, if they are one. No protobuf message is one by accident: `{` and `[` begin
/// a group that nothing ends.
pub fn as_json(content: &[u8]) -> Option<&[u8]> {
    let text = content.trim_ascii();
    (matches!(text, [b'{', .., b'}'] | [b'[', .., b']']) && is_json(text)).then_some(text)
}

fn inflate<'b>(wire: &[u8], encoding: Known<Cow<'_, [u8]>>, inflated: &'b mut Vec<u8>) -> Result<&'b [u8], Note> {
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
    match decompress(named, wire, MAX_DECOMPRESSED, inflated) {
        Ok(()) => Ok(inflated),
        Err(error) => Err(Note::new(Severity::Error, "decompression", error.to_string())),
    }
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
