//! Hiding the values of fields that the schema marks `debug_redact`, in the bytes of a message.

use super::as_json;
use crate::json::Json;
use crate::protobuf::{Next, walk_where};
use crate::schema::{Cardinality, Field, Kind, MessageIx, Schema, WellKnown};

/// Copies `bytes`, a message, to `masked` with [`MASK`] in place of the values of marked fields. False where there are none.
pub(super) fn mask(schema: &Schema, ix: MessageIx, bytes: &[u8], masked: &mut Vec<u8>) -> bool {
    if let Some(json) = as_json(bytes).and_then(Json::new) {
        return mask_json(schema, ix, bytes, json, masked);
    }
    let mut spans = Vec::new();
    // Nothing ends this walk.
    let _ = walk_where(schema, ix, bytes, |step| {
        let (number, span) = match step.wire {
            Ok(wire) => (wire.number, wire.value_at..wire.end),
            Err(broken) => (broken.number, broken.at..broken.end),
        };
        if step.message.field(number).is_none_or(|field| !field.redact) {
            return Next::Inside;
        }
        spans.push(span);
        Next::Over
    });
    if spans.is_empty() {
        return false;
    }
    masked.clear();
    masked.extend_from_slice(bytes);
    for span in spans {
        if let Some(hidden) = masked.get_mut(span.start as usize..span.end as usize) {
            hidden.fill(MASK);
        }
    }
    true
}

/// Stands in bytes for what is hidden.
const MASK: u8 = b'*';

/// The same for a message that is JSON: each value becomes a string of [`MASK`] that is as long, so that it stays JSON.
fn mask_json(schema: &Schema, ix: MessageIx, bytes: &[u8], json: Json<'_>, masked: &mut Vec<u8>) -> bool {
    let mut spans = Vec::new();
    marked_json(schema, ix, json, &mut |value| {
        let start = value.text().as_ptr() as usize - bytes.as_ptr() as usize;
        spans.push(start..start + value.text().len());
    });
    if spans.is_empty() {
        return false;
    }
    masked.clear();
    masked.extend_from_slice(bytes);
    for span in spans {
        match masked.get_mut(span) {
            Some([first, hidden @ .., last]) => {
                hidden.fill(MASK);
                (*first, *last) = (b'"', b'"');
            }
            // A digit.
            Some(hidden) => hidden.fill(b'0'),
            None => {}
        }
    }
    true
}

/// Calls `found` for the value of each marked field in `json`, a message of type `ix`.
fn marked_json(schema: &Schema, ix: MessageIx, json: Json<'_>, found: &mut dyn FnMut(Json<'_>)) {
    let Some(message) = schema.messages.get(ix.0 as usize) else { return };
    if message.well_known == Some(WellKnown::Any) {
        let url = json.member(["@type", "@type"]).and_then(Json::as_string);
        let of = url.and_then(|url| schema.message(url.rsplit('/').next()?));
        return of.into_iter().for_each(|of| marked_json(schema, of, json, found));
    }
    for (name, value) in json.members() {
        let is_name = |field: &&Field| *field.json_name == *name || *field.name == *name;
        let Some(field) = message.fields.iter().find(is_name) else { continue };
        if field.redact {
            found(value);
            continue;
        }
        let (Kind::Message(of) | Kind::Group(of)) = field.kind else { continue };
        match field.cardinality {
            Cardinality::Repeated => value.elements().for_each(|element| marked_json(schema, of, element, found)),
            Cardinality::Map => {
                let entry = schema.messages.get(of.0 as usize).and_then(|entry| entry.field(2));
                if let Some(Kind::Message(of) | Kind::Group(of)) = entry.map(|value| value.kind) {
                    value.members().for_each(|(_, value)| marked_json(schema, of, value, found));
                }
            }
            Cardinality::Implicit | Cardinality::Explicit => marked_json(schema, of, value, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    #[test]
    fn marked_fields_of_json_are_hidden_wherever_they_are_and_it_stays_json() {
        let schema = compile(
            r#"
            syntax = "proto3";
            package t;
            import "google/protobuf/any.proto";
            message Card { string number = 1 [debug_redact = true]; int32 pin = 2 [debug_redact = true]; string bank_name = 3; }
            message User { repeated Card cards = 1; map<string, Card> by_name = 2; google.protobuf.Any any = 3; }
        "#,
        );
        let json =
            br#"{"cards": [{"number": "4111 11\u0031", "pin":7, "bankName": "B"}], "by_name": {"a": {"pin": 1234}},
            "any": {"@type": "x/t.Card", "number": {"odd": 1}}}"#;
        let mut masked = Vec::new();
        assert!(mask(&schema, schema.message("t.User").unwrap(), json, &mut masked));
        let expected =
            br#"{"cards": [{"number": "*************", "pin":0, "bankName": "B"}], "by_name": {"a": {"pin": "**"}},
            "any": {"@type": "x/t.Card", "number": "********"}}"#;
        assert_eq!(String::from_utf8_lossy(&masked), String::from_utf8_lossy(expected));
        assert!(as_json(&masked).is_some());
        assert!(!mask(&schema, schema.message("t.User").unwrap(), br#"{"cards": [{"bank_name": "B"}]}"#, &mut masked));
    }
}
