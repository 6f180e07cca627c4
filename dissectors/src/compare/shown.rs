//! Values as they are kept to be shown: JSON text of bounded length.

use super::difference::Shown;
use super::level::{Typed, Value, joined};
use crate::json;
use crate::protobuf::raw::{self, Guess};
use crate::protobuf::{JsonPrinter, typed, wire};
use crate::schema::{Field, Kind, Schema};

/// Bytes of JSON text that are kept of a value: what a person reads of it, and not what makes a report too large.
const MAX_SHOWN: usize = 2048;

impl Shown {
    /// What `write` appends, as far as it is kept.
    pub(super) fn json(write: impl FnOnce(&mut Vec<u8>, json::Drain<'_>)) -> Self {
        let mut kept: Vec<u8> = Vec::new();
        let mut len = 0;
        let mut keep = |text: &[u8]| {
            let room = MAX_SHOWN.saturating_sub(kept.len()).min(text.len());
            kept.extend_from_slice(text.get(..room).unwrap_or_default());
            len += text.len() as u64;
        };
        let mut buffer = Vec::new();
        write(&mut buffer, &mut |buffer| json::drain_to(buffer, &mut keep));
        keep(&buffer);
        let text = String::from_utf8_lossy(&kept);
        if len <= MAX_SHOWN as u64 {
            return Self::Json(text.into());
        }
        // A character may have been cut in two.
        Self::Cut { text: text.trim_end_matches('\u{fffd}').into(), len }
    }

    /// A string.
    pub(super) fn text(text: &str) -> Self {
        Self::bytes_as_text(text.as_bytes())
    }

    /// Bytes that are text.
    pub(super) fn bytes_as_text(text: &[u8]) -> Self {
        Self::json(|out, drain| {
            json::write_bytes_lossy_draining(out, text, drain);
        })
    }

    /// Bytes.
    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::json(|out, drain| json::write_base64_draining(out, bytes, drain))
    }

    /// A message; with `hide` without the values of fields marked `debug_redact`.
    pub(super) fn message(typed: Typed<'_>, parts: &[&[u8]], hide: bool) -> Self {
        let Some(ix) = typed.schema.message(&typed.message.name) else { return Self::raw_message(&joined(parts)) };
        Self::json(|out, drain| {
            JsonPrinter::new().hiding(hide).print_draining(typed.schema, ix, &joined(parts), out, drain);
        })
    }

    /// A message without a type.
    pub(super) fn raw_message(bytes: &[u8]) -> Self {
        Self::json(|out, drain| {
            raw::write_json_draining(bytes, out, drain);
        })
    }

    /// A value of a field.
    pub(super) fn value(schema: &Schema, field: &Field, value: &Value<'_>, hide: bool) -> Self {
        if hide && field.redact {
            return Self::Hidden { len: value.len() };
        }
        match (value, field.kind) {
            (Value::Bits(bits), kind) => Self::json(|out, _| typed::write_number(schema, kind, *bits, out)),
            (Value::Bytes(text), Kind::String) => Self::bytes_as_text(text),
            (Value::Bytes(bytes), _) => Self::bytes(bytes),
            (Value::Message(parts), kind) => match typed::message_of(schema, kind) {
                Some(message) => Self::message(Typed { schema, message }, parts, hide),
                None => Self::raw_message(&joined(parts)),
            },
        }
    }

    /// A value without a type.
    pub(super) fn wire(value: wire::Value<'_>) -> Self {
        match value {
            wire::Value::Varint(bits) => Self::json(|out, _| json::write_exact(out, bits)),
            wire::Value::Fixed64(bits) => Self::json(|out, _| tagged("fixed64", bits, out)),
            wire::Value::Fixed32(bits) => Self::json(|out, _| tagged("fixed32", bits.into(), out)),
            wire::Value::Group(bytes) => Self::raw_message(bytes),
            wire::Value::Bytes(bytes) => match raw::guess(bytes) {
                Guess::Text(text) => Self::text(text),
                Guess::Message if !bytes.is_empty() => Self::raw_message(bytes),
                Guess::Message => Self::text(""),
                Guess::Packed | Guess::Bytes => Self::json(|out, drain| {
                    out.extend_from_slice(b"{\"bytes\":");
                    json::write_base64_draining(out, bytes, drain);
                    out.push(b'}');
                }),
            },
        }
    }

    /// The text of it, for people; none where there is no value.
    pub fn as_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some(match self {
            Self::Absent => return None,
            Self::Json(text) => (&**text).into(),
            Self::Cut { text, len } => format!("{text}… ({len} bytes)").into(),
            Self::Hidden { len } => format!("‹hidden, {len} byte{}›", if *len == 1 { "" } else { "s" }).into(),
        })
    }

    /// The same as a JSON value: `null` for none, `{"hidden": 6}`, and for a long one
    /// `{"cut": "<its beginning>", "length": 123456}`.
    pub fn write_json(&self, json: &mut json::Writer<'_>) {
        match self {
            Self::Absent => json.null(),
            Self::Json(text) => json.raw(text.as_bytes()),
            Self::Cut { text, len } => {
                json.begin_object();
                json.key("cut").string(text);
                json.key("length").unsigned(*len);
                json.end_object();
            }
            Self::Hidden { len } => {
                json.begin_object();
                json.key("hidden").unsigned(*len as u64);
                json.end_object();
            }
        }
    }
}

fn tagged(name: &str, bits: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"{name}\":").as_bytes());
    json::write_exact(out, bits);
    out.push(b'}');
}
