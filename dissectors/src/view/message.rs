//! A message's body: fetched from where it lies, decompressed, and made into what is shown.

use std::borrow::Cow;

use rpcshark_captures::{Direction, Place};

use super::Describer;
use crate::grpc::{Encoding, HeaderValue, MAX_DECOMPRESSED, decompress};
use crate::json::copy_json;
use crate::protobuf::{Printer, SpanNote, Unknown, raw};
use crate::schema::MessageIx;
use crate::store::{Call, HeaderListId, Lane, Message, MessageFlags, Protocol};
use crate::{Note, Severity};

/// Where bytes are read from again.
pub trait Bodies: Sync {
    /// Appends `len` bytes from `at` on to `into`; whether they could be read.
    fn read(&self, at: Place, len: usize, into: &mut Vec<u8>) -> bool;
}

/// A message's bytes, as far as they can be had.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The bytes as on the wire; without those that are missing.
    pub(super) wire: Vec<u8>,
    /// The same decompressed, where they were compressed and could be.
    pub(super) inflated: Option<Vec<u8>>,
    /// What stands in the way of reading them.
    pub(super) fault: Option<Note>,
}

impl Body {
    /// The bytes to be decoded, if all is there.
    pub(super) fn content(&self) -> Option<&[u8]> {
        match (&self.fault, &self.inflated) {
            (Some(_), _) => None,
            (None, Some(inflated)) => Some(inflated),
            (None, None) => Some(&self.wire),
        }
    }
}

/// What is shown of a message.
#[derive(Debug)]
pub(super) enum Shown {
    /// JSON by its type, and what the type does not have.
    Typed {
        /// The JSON.
        json: Vec<u8>,
        /// Unknown fields, as JSON in the raw form.
        unknown: Option<Vec<u8>>,
        /// What is wrong with it.
        notes: Vec<SpanNote>,
    },
    /// The message is JSON itself.
    Json(Vec<u8>),
    /// A guess by the wire format alone.
    Raw {
        /// The JSON.
        json: Vec<u8>,
        /// What is wrong with it.
        notes: Vec<SpanNote>,
    },
    /// It cannot be read: its bytes as far as they are there, and why.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Why it cannot be read.
        why: Note,
    },
}

impl Describer<'_> {
    /// Fetches a message's bytes.
    pub(super) fn body(&self, lane: &Lane, call: &Call, message: &Message) -> Body {
        let mut body = Body::default();
        let mut unreadable = false;
        let mut holes = 0_u64;
        for piece in lane.pieces(message.body(), message.length) {
            match piece.at {
                Place::NOWHERE if piece.len > 0 => holes += u64::from(piece.len),
                at => unreadable |= !self.bodies.read(at, piece.len as usize, &mut body.wire),
            }
        }
        if message.flags.has(MessageFlags::CUT) {
            let text = format!("{} of its {} bytes are in the capture", body.wire.len(), message.length);
            body.fault = Some(Note::new(Severity::Warning, "message-cut", text));
        } else if unreadable || holes > 0 {
            body.fault = Some(Note::new(Severity::Error, "message-unreadable", "its bytes could not be read again"));
        } else if message.flags.has(MessageFlags::STRANGE_FLAG) {
            let text = "the flag byte of its prefix is neither 0 nor 1";
            body.fault = Some(Note::new(Severity::Warning, "message-flag", text));
        } else if message.flags.has(MessageFlags::COMPRESSED) {
            inflate(&mut body, encoding(lane, call, message.direction));
        }
        body
    }

    /// What is shown of a body: by its type, where it has one.
    pub(super) fn shown(&self, body: Body, message: Option<MessageIx>) -> Shown {
        if let Some(why) = body.fault {
            return Shown::Bytes { bytes: body.wire, why };
        }
        let content = body.inflated.unwrap_or(body.wire);
        if let Some(json) = as_json(&content) {
            return Shown::Json(json);
        }
        let mut json = Vec::with_capacity(content.len() * 2);
        match message {
            Some(message) => {
                let findings = Printer::new().print(self.schema, message, &content, &mut json);
                Shown::Typed { json, unknown: unknown(&findings.unknown, &content), notes: findings.notes }
            }
            None => {
                let notes = raw::write_json(&content, &mut json);
                Shown::Raw { json, notes }
            }
        }
    }
}

/// A message that is a JSON object or array, word for word. No protobuf message is one by accident: `{` and `[` begin a
/// group that nothing ends.
pub(super) fn as_json(content: &[u8]) -> Option<Vec<u8>> {
    let text = content.trim_ascii();
    if !matches!(text, [b'{', .., b'}'] | [b'[', .., b']']) {
        return None;
    }
    let mut json = Vec::with_capacity(text.len());
    copy_json(&mut json, text).then_some(json)
}

fn unknown(unknown: &Unknown, content: &[u8]) -> Option<Vec<u8>> {
    if unknown.is_empty() {
        return None;
    }
    let mut json = Vec::new();
    unknown.write_json(content, &mut json);
    Some(json)
}

/// The list that states the encoding of a direction's messages.
pub(super) fn stating_list(call: &Call, direction: Direction) -> Option<HeaderListId> {
    match direction {
        Direction::ToServer => call.request_headers,
        Direction::ToClient => call.response_headers.or(call.trailers),
    }
}

/// The encoding of a direction's messages, as its headers name it.
pub(super) fn encoding<'l>(lane: &'l Lane, call: &Call, direction: Direction) -> HeaderValue<Cow<'l, [u8]>> {
    if call.protocol == Protocol::Ttrpc {
        return HeaderValue::Absent;
    }
    let Some(list) = stating_list(call, direction) else { return HeaderValue::Unknown };
    match &lane.headers[list].facts.encoding {
        HeaderValue::Known(name) => HeaderValue::Known(Cow::Borrowed(name.known().unwrap_or_default())),
        HeaderValue::Unknown => HeaderValue::Unknown,
        HeaderValue::Absent => HeaderValue::Absent,
    }
}

fn inflate(body: &mut Body, encoding: HeaderValue<Cow<'_, [u8]>>) {
    let named = match &encoding {
        HeaderValue::Known(name) => Encoding::from_name(name),
        // The header is not in the capture: the bytes themselves tell.
        HeaderValue::Unknown => by_magic(&body.wire),
        HeaderValue::Absent => None,
    };
    let Some(named) = named else {
        let text = match encoding {
            HeaderValue::Known(name) => {
                format!("it is compressed by an encoding that is not known: {}", super::text::Escaped(&name))
            }
            HeaderValue::Unknown => "it is compressed, and the header that says how is not in the capture".to_owned(),
            HeaderValue::Absent => "it is marked as compressed, and no header says how".to_owned(),
        };
        body.fault = Some(Note::new(Severity::Warning, "encoding-unknown", text));
        return;
    };
    let mut inflated = Vec::new();
    match decompress(named, &body.wire, MAX_DECOMPRESSED, &mut inflated) {
        Ok(()) => body.inflated = Some(inflated),
        Err(error) => body.fault = Some(Note::new(Severity::Error, "decompression", error.to_string())),
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
