//! Header fields as output shows them: what the application sent, secrets hidden, what is unknown said to be so.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::grpc::{binary_values, is_binary, is_metadata};
use crate::header::{Field, Text};
use crate::json::{Writer, write_bytes_lossy};
use crate::store::{HeaderListId, Lane, Protocol};

/// Header fields whose values are not shown.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Show them all the same.
    pub shown: bool,
    /// Further names, in lower case.
    pub names: Vec<String>,
}

/// Names whose values are hidden unless the user asks for them.
const HIDDEN: &[&[u8]] = &[b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"];

/// Endings of such names.
const HIDDEN_ENDINGS: &[&[u8]] = &[b"-api-key", b"-token", b"-secret"];

impl Secrets {
    /// Whether a field's value is hidden: by its name, or, where that is not in the capture, because it looks like credentials.
    pub(super) fn hides(&self, field: &Field) -> bool {
        match field.name.known() {
            Some(name) => self.hide(name),
            None => !self.shown && field.value.known().is_some_and(is_credentials),
        }
    }

    /// Whether the value of a field of this name is hidden.
    pub fn hide(&self, name: &[u8]) -> bool {
        let name = name.to_ascii_lowercase();
        // A binary field is as secret as one of text.
        let name = name.strip_suffix(b"-bin").unwrap_or(&name);
        !self.shown
            && (HIDDEN.contains(&name)
                || HIDDEN_ENDINGS.iter().any(|ending| name.ends_with(ending))
                || self.names.iter().any(|hidden| hidden.as_bytes() == name))
    }
}

/// The fields that stand under `metadata`: the application's, and those whose names are unknown and that may be.
pub(super) fn shown(lane: &Lane, protocol: Protocol, list: HeaderListId) -> impl Iterator<Item = &Field> {
    let ttrpc = protocol == Protocol::Ttrpc;
    let fields = lane.headers.fields(list);
    // Everything behind what is ttrpc's own is the application's, whatever its name.
    let own = if ttrpc { crate::ttrpc::own_fields(fields.clone()) } else { 0 };
    fields.skip(own).filter(move |field| ttrpc || field.name.known().is_none_or(is_metadata))
}

/// Whether names that end in `-bin` say that values are binary.
pub(super) fn has_binary(protocol: Protocol) -> bool {
    protocol != Protocol::Ttrpc
}

/// Appends fields as the objects of a JSON array; `binary`: names tell which values are.
pub(super) fn write_fields<'f>(
    json: &mut Writer<'_>,
    fields: impl Iterator<Item = &'f Field>,
    binary: bool,
    secrets: &Secrets,
) {
    json.begin_array();
    for field in fields {
        match (field.name.known(), field.value.known()) {
            (Some(name), Some(value)) if binary && is_binary(name) && !secrets.hide(name) => {
                for binary in binary_values(value) {
                    json.begin_object();
                    write_name(json, field);
                    match binary {
                        Some(bytes) => json.key("base64").base64(&bytes),
                        None => write_value(json, &field.value),
                    }
                    json.end_object();
                }
            }
            _ => {
                json.begin_object();
                write_name(json, field);
                write_hidden_or_value(json, field, secrets);
                if let (false, Some(index)) = (field.name.is_known() && field.value.is_known(), field.index) {
                    json.key("index").unsigned(u64::from(index));
                }
                json.end_object();
            }
        }
    }
    json.end_array();
}

/// The member `name`.
pub(super) fn write_name(json: &mut Writer<'_>, field: &Field) {
    json.key("name");
    write_text(json, &field.name);
}

/// The member `value`, or `hidden` with the value's length in its place.
pub(super) fn write_hidden_or_value(json: &mut Writer<'_>, field: &Field, secrets: &Secrets) {
    match (field.name.known(), field.value.known()) {
        (_, Some(value)) if secrets.hides(field) => json.key("hidden").unsigned(value.len() as u64),
        _ => write_value(json, &field.value),
    }
}

/// Whether a value looks like that of `authorization` (RFC 9110 §11.4).
fn is_credentials(value: &[u8]) -> bool {
    let scheme = value.split(|&b| b == b' ').next().unwrap_or_default();
    value.len() > scheme.len() && (scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic"))
}

fn write_value(json: &mut Writer<'_>, value: &Text) {
    json.key("value");
    write_text(json, value);
}

fn write_text(json: &mut Writer<'_>, text: &Text) {
    match text.known() {
        Some(bytes) => {
            write_bytes_lossy(json.value(), bytes);
        }
        None => json.null(),
    }
}

/// A field as people read it: `name: value`.
pub(super) fn field_text(field: &Field, secrets: &Secrets) -> String {
    use super::text::Escaped;
    let name = match (field.name.known(), field.index) {
        (Some(name), _) => Escaped(name).to_string(),
        (None, Some(index)) => format!("(entry {index}, not in the capture)"),
        (None, None) => "(not in the capture)".to_owned(),
    };
    let value = match (field.name.known(), field.value.known()) {
        (_, Some(value)) if secrets.hides(field) => format!("‹hidden, {} bytes›", value.len()),
        // Bytes that were sent as they are, behind a zero byte: as they would have been sent otherwise.
        (Some(name), Some([0, raw @ ..])) if is_binary(name) => BASE64_STANDARD.encode(raw),
        (_, Some(value)) => Escaped(value).to_string(),
        (_, None) => "?".to_owned(),
    };
    format!("{name}: {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_whatever_their_case() {
        let secrets = Secrets { names: vec!["x-internal".to_owned()], ..Secrets::default() };
        for name in [
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "x-api-key",
            "refresh-token",
            "a-token-bin",
            "x-internal",
        ] {
            assert!(secrets.hide(name.as_bytes()), "{name}");
        }
        for name in ["tenant", "tokenish", "x-request-id"] {
            assert!(!secrets.hide(name.as_bytes()), "{name}");
        }
        assert!(is_credentials(b"Bearer abc") && is_credentials(b"basic YTpi"));
        assert!(!is_credentials(b"bearer") && !is_credentials(b"a plain value"));
        assert!(!Secrets { shown: true, ..secrets }.hide(b"authorization"));
    }
}
