//! Header fields as text and JSON.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::Escaped;
use crate::grpc::is_binary;
use crate::json::{Writer, write_bytes_lossy};
use crate::view::{HeaderView, Known};

/// Appends fields as the objects of a JSON array.
pub(super) fn write_fields<'a>(json: &mut Writer<'_>, fields: impl Iterator<Item = HeaderView<'a>>) {
    json.begin_array();
    for field in fields {
        let Some(values) = field.binary_values() else {
            json.begin_object();
            write_name(json, field);
            write_value(json, field);
            let is_known = !matches!((field.name(), field.value()), (Known::Unknown, _) | (_, Known::Unknown));
            if let (false, Some(index)) = (is_known, field.index()) {
                json.key("index").unsigned(u64::from(index));
            }
            json.end_object();
            continue;
        };
        for value in values {
            json.begin_object();
            write_name(json, field);
            match value {
                Some(bytes) => json.key("base64").base64(&bytes),
                None => write_value(json, field),
            }
            json.end_object();
        }
    }
    json.end_array();
}

/// The member `name`.
pub(super) fn write_name(json: &mut Writer<'_>, field: HeaderView<'_>) {
    json.key("name");
    write_text(json, field.name().value());
}

/// The member `value`, or `hidden` with the value's length in its place.
pub(super) fn write_value(json: &mut Writer<'_>, field: HeaderView<'_>) {
    match field.value() {
        Known::Hidden { len } => json.key("hidden").unsigned(len as u64),
        value => {
            json.key("value");
            write_text(json, value.value());
        }
    }
}

fn write_text(json: &mut Writer<'_>, text: Option<&[u8]>) {
    match text {
        Some(bytes) => {
            write_bytes_lossy(json.value(), bytes);
        }
        None => json.null(),
    }
}

/// A field as people read it: `name: value`.
pub(super) fn field_text(field: HeaderView<'_>) -> String {
    let (name, value) = header_text(field);
    format!("{name}: {value}")
}

/// The name and the value of a field as people read them.
pub fn header_text(field: HeaderView<'_>) -> (String, String) {
    let name = match (field.name().value(), field.index()) {
        (Some(name), _) => Escaped(name).to_string(),
        (None, Some(index)) => format!("(entry {index}, not in the capture)"),
        (None, None) => "(not in the capture)".to_owned(),
    };
    let value = match (field.name().value(), field.value()) {
        (_, Known::Hidden { len }) => format!("‹hidden, {len} {}›", if len == 1 { "byte" } else { "bytes" }),
        // Bytes that were sent as they are, after a zero byte: as they would have been sent otherwise.
        (Some(name), Known::Seen([0, raw @ ..])) if is_binary(name) => BASE64_STANDARD.encode(raw),
        (_, Known::Seen(value) | Known::Guessed(value)) => Escaped(value).to_string(),
        (_, Known::Absent | Known::Unknown) => "?".to_owned(),
    };
    (name, value)
}
