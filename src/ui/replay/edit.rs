//! Messages of requests as text, and what was edited as bytes.

use rpcshark_captures::Direction;
use rpcshark_dissectors::json::keep;
use rpcshark_dissectors::print::is_dangerous;
use rpcshark_dissectors::protobuf::JsonPrinter;
use rpcshark_dissectors::view::{CallView, Permit, Scratch, as_json};
use rpcshark_tui::model::replay::Editable;
use rpcshark_tui::text::safe;
use serde_json::Value;

use crate::replay::amend::amend;

/// Bytes of a message that can be edited on a screen.
const MAX_EDITED: usize = 256 << 10;

/// A message of a request as text. `edited`: its bytes, where it was edited before.
///
/// # Errors
///
/// Why it cannot be edited.
pub(super) fn editable(call: &CallView<'_>, number: u32, edited: Option<&[u8]>) -> Result<Editable, String> {
    let of = call.messages(Direction::ToServer).count();
    let of = u32::try_from(of).unwrap_or(u32::MAX);
    let (text, type_name, remark) = with_content(call, number, edited, |content, schema, kind, hide| {
        if let Some(json) = as_json(content) {
            return Ok((escaped(&String::from_utf8_lossy(json)), "JSON".to_owned(), String::new()));
        }
        let ix = kind.ok_or("its type is not known: S loads a schema")?;
        let (printed, has_unknown) = printed(schema, ix, content, hide);
        let value: Value = serde_json::from_slice(&printed).map_err(|_| "it cannot be shown as JSON")?;
        let text = serde_json::to_string_pretty(&value).map_err(|error| error.to_string())?;
        let remark = if has_unknown { "unknown fields are kept" } else { "" };
        Ok((escaped(&text), safe(schema[ix].name.as_bytes()), remark.to_owned()))
    })?;
    Ok(Editable { no: call.no(), message: number, of, type_name, text, remark })
}

/// The bytes of a message that was edited, and whether they are those of the recording.
///
/// # Errors
///
/// What is wrong with the text.
pub(super) fn edited(
    call: &CallView<'_>,
    number: u32,
    before: Option<&[u8]>,
    text: &str,
) -> Result<(Vec<u8>, bool), String> {
    let shown = editable(call, number, before)?;
    let bytes = with_content(call, number, before, |content, schema, kind, _| {
        let after: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if as_json(content).is_some() {
            return Ok(text.as_bytes().to_vec());
        }
        let ix = kind.ok_or("its type is not known: S loads a schema")?;
        // What the user saw, not what is there: hidden values are the same as long as nobody touches them.
        let before: Value = serde_json::from_str(&shown.text).map_err(|error| error.to_string())?;
        amend(schema, ix, content, &before, &after)
    })?;
    let is_recorded = with_content(call, number, None, |content, _, _, _| Ok(*content == *bytes))?;
    Ok((bytes, is_recorded))
}

/// Lets `look` see the bytes of a message, with its schema and type and whether some of its values are hidden.
fn with_content<T>(
    call: &CallView<'_>,
    number: u32,
    edited: Option<&[u8]>,
    look: impl FnOnce(
        &[u8],
        &rpcshark_dissectors::schema::Schema,
        Option<rpcshark_dissectors::schema::MessageIx>,
        bool,
    ) -> Result<T, String>,
) -> Result<T, String> {
    let hide = call.hides_marked_fields();
    // What is sent holds every value. Nothing that is hidden is shown: the printer leaves it out.
    let permit = Permit::to_send();
    let call = call.permitted(&permit);
    let index = number.checked_sub(1).ok_or("messages are counted from 1")?;
    let message = call.messages(Direction::ToServer).nth(index as usize);
    let message = message.ok_or_else(|| format!("the request has no message {number}"))?;
    let mut scratch = Scratch::default();
    let body = message.body(&mut scratch);
    let content = match (edited, body.content()) {
        (Some(edited), _) => edited,
        (None, Some(content)) => content,
        (None, None) => {
            return Err(body
                .fault()
                .map_or("its bytes cannot be read".to_owned(), |fault| safe(fault.text.as_bytes())));
        }
    };
    if content.len() > MAX_EDITED {
        return Err(format!("it has {} bytes: too many to edit them here; --set changes single fields", content.len()));
    }
    look(content, message.schema(), message.type_ix().value(), hide)
}

/// A message as JSON, and whether it has fields that the schema does not have.
fn printed(
    schema: &rpcshark_dissectors::schema::Schema,
    ix: rpcshark_dissectors::schema::MessageIx,
    content: &[u8],
    hide: bool,
) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let mut printer = JsonPrinter::new().hiding(hide);
    let found = printer.print_draining(schema, ix, content, &mut text, &mut keep);
    (text, !found.unknown.is_empty())
}

/// JSON in which no character steers a terminal.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if is_dangerous(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_steer_a_terminal_is_escaped_and_means_the_same() {
        let value = Value::String("a\u{202e}b\u{e0001}\u{9b}".to_owned());
        let text = escaped(&value.to_string());
        assert!(text.chars().all(|c| !is_dangerous(c)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
