//! A message that was edited as JSON: only what was changed is written anew.
//!
//! Fields that were not changed keep their bytes, and so do fields that the schema does not have and those whose values are hidden.
//! Written anew as a whole are maps, and types with a JSON form of their own (`Any`, `Struct`), if anything in them was changed.

use prost::encoding::encode_varint;
use rpcshark_dissectors::protobuf::wire::{Field as WireField, Fields, Value as WireValue};
use rpcshark_dissectors::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};
use serde_json::{Map, Value};

use crate::call::encode;

/// Nesting of messages that is followed, as deep as JSON can be encoded.
const MAX_DEPTH: u32 = 100;

/// The bytes of `original` with the changes that lead from `before`, which is its JSON form, to `after`.
///
/// # Errors
///
/// If `after` is not a message of the type `ix`: where, and why.
pub(crate) fn amend(
    schema: &Schema,
    ix: MessageIx,
    original: &[u8],
    before: &Value,
    after: &Value,
) -> Result<Vec<u8>, String> {
    message(schema, ix, original, before, after, 0)
}

/// A field that was changed: what it was, and what it is now.
struct Changed<'s, 'v> {
    field: &'s Field,
    before: Option<&'v Value>,
    after: Option<&'v Value>,
}

fn message(
    schema: &Schema,
    ix: MessageIx,
    original: &[u8],
    before: &Value,
    after: &Value,
    depth: u32,
) -> Result<Vec<u8>, String> {
    if before == after {
        return Ok(original.to_vec());
    }
    let declared = &schema[ix];
    let has_fields = matches!(declared.well_known, None | Some(WellKnown::Empty));
    let (Some(old), Some(new), true) = (before.as_object(), after.as_object(), has_fields && depth < MAX_DEPTH) else {
        return encode(schema, ix, after).map_err(|error| error.to_string());
    };
    let changed = changes(declared, old, new)?;
    let mut out = Vec::with_capacity(original.len() + 16);
    let mut written = vec![false; changed.len()];
    for wire in Fields::new(original) {
        let wire = wire.map_err(|broken| format!("the recorded message {}", broken.cause.text()))?;
        match changed.iter().position(|change| change.field.number == wire.number) {
            None => out.extend_from_slice(original.get(wire.at as usize..wire.end as usize).unwrap_or_default()),
            // All of its values stand where the first one stood.
            Some(at) if !written[at] => {
                written[at] = true;
                out.extend(field(schema, ix, original, &changed[at], depth)?);
            }
            Some(_) => {}
        }
    }
    for (change, _) in changed.iter().zip(written).filter(|(_, written)| !written) {
        out.extend(field(schema, ix, original, change, depth)?);
    }
    Ok(out)
}

/// The fields that were changed.
fn changes<'s, 'v>(
    declared: &'s Message,
    old: &'v Map<String, Value>,
    new: &'v Map<String, Value>,
) -> Result<Vec<Changed<'s, 'v>>, String> {
    let mut seen: Vec<(&Field, &str)> = Vec::new();
    for name in new.keys() {
        let Some(field) = named(declared, name) else {
            let names: Vec<&str> = declared.fields.iter().take(20).map(|field| &*field.name).collect();
            return Err(format!("{} has no field {name}; it has {}", declared.name, names.join(", ")));
        };
        let is_same = |known: &Field| known.number == field.number;
        let is_member = |known: &Field| field.oneof.is_some() && known.oneof == field.oneof;
        if let Some((_, other)) = seen.iter().find(|(known, _)| is_same(known) || is_member(known)) {
            return Err(format!("only one of {other} and {name} can be set"));
        }
        seen.push((field, name));
    }
    let value = |values: &'v Map<String, Value>, field: &Field| {
        let value = values.get(&*field.json_name).or_else(|| values.get(&*field.name));
        value.filter(|value| !value.is_null() || is_null_a_value(field))
    };
    let change = |field: &'s Field| {
        let (before, after) = (value(old, field), value(new, field));
        (before != after).then_some(Changed { field, before, after })
    };
    Ok(declared.fields.iter().filter_map(change).collect())
}

fn named<'s>(declared: &'s Message, name: &str) -> Option<&'s Field> {
    declared.fields.iter().find(|field| *field.json_name == *name || *field.name == *name)
}

/// `google.protobuf.Value` and `NullValue` have null for a value.
fn is_null_a_value(field: &Field) -> bool {
    matches!(field.kind, Kind::Message(_) | Kind::Enum(_)) && field.cardinality != Cardinality::Repeated
}

/// All values of a field that was changed.
fn field(
    schema: &Schema,
    ix: MessageIx,
    original: &[u8],
    change: &Changed<'_, '_>,
    depth: u32,
) -> Result<Vec<u8>, String> {
    let Changed { field, before, after } = change;
    let Some(after) = after else { return Ok(Vec::new()) };
    let inner = match field.kind {
        Kind::Message(inner) | Kind::Group(inner) => Some(inner),
        _ => None,
    };
    let in_field = |why: String| format!("{}: {why}", field.name);
    let payloads = || -> Vec<&[u8]> {
        let of_field = |wire: &WireField<'_>| wire.number == field.number;
        Fields::new(original).flatten().filter(of_field).filter_map(content).collect()
    };
    match (inner, before, field.cardinality) {
        (Some(inner), Some(before), Cardinality::Implicit | Cardinality::Explicit) => {
            // Several occurrences are parts of one message.
            let whole = payloads().concat();
            let bytes = message(schema, inner, &whole, before, after, depth + 1).map_err(in_field)?;
            Ok(delimited(field, &bytes))
        }
        (Some(inner), Some(Value::Array(before)), Cardinality::Repeated) => {
            let after = after.as_array().ok_or_else(|| in_field("an array is expected".to_owned()))?;
            let payloads = payloads();
            let is_parallel = payloads.len() == before.len();
            let mut unused: Vec<bool> = vec![true; before.len()];
            let mut out = Vec::new();
            for (at, element) in after.iter().enumerate() {
                let is_equal = |&old: &usize| unused[old] && before[old] == *element;
                let old = Some(at)
                    .filter(|&at| at < before.len() && is_equal(&at))
                    .or_else(|| (0..before.len()).find(is_equal))
                    .or_else(|| Some(at).filter(|&at| before.len() == after.len() && unused[at]))
                    .filter(|_| is_parallel);
                let bytes = match old {
                    Some(old) => {
                        unused[old] = false;
                        message(schema, inner, payloads[old], &before[old], element, depth + 1)
                    }
                    None => encode(schema, inner, element).map_err(|error| error.to_string()),
                };
                out.extend(delimited(field, &bytes.map_err(|why| format!("{}[{at}]: {why}", field.name))?));
            }
            Ok(out)
        }
        _ => {
            let only = [(field.name.to_string(), (*after).clone())].into_iter().collect();
            encode(schema, ix, &Value::Object(only)).map_err(|error| error.to_string())
        }
    }
}

/// The bytes of a message in a field, without tag and length.
const fn content(wire: WireField<'_>) -> Option<&[u8]> {
    match wire.value {
        WireValue::Bytes(bytes) | WireValue::Group(bytes) => Some(bytes),
        _ => None,
    }
}

/// A message as the value of a field.
fn delimited(field: &Field, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let number = u64::from(field.number);
    match field.kind {
        Kind::Group(_) => {
            encode_varint(number << 3 | 3, &mut out);
            out.extend_from_slice(bytes);
            encode_varint(number << 3 | 4, &mut out);
        }
        _ => {
            encode_varint(number << 3 | 2, &mut out);
            encode_varint(bytes.len() as u64, &mut out);
            out.extend_from_slice(bytes);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn amended(original: &[u8], before: &Value, after: &Value) -> Result<Vec<u8>, String> {
        let schema = Schema::from_source(
            r#"syntax = "proto3"; package t;
            message In { string id = 1; int32 n = 2; }
            message M {
              string id = 1; In in = 2; repeated In many = 3; oneof o { int32 a = 5; string b = 6; }
              repeated int32 numbers = 7; map<string, int32> map = 8;
            }"#,
        )
        .0;
        let ix = schema.message("t.M").ok_or("no type")?;
        amend(&schema, ix, original, before, after)
    }

    #[test]
    fn what_was_not_changed_keeps_its_bytes_and_unknown_fields_stay() {
        // id "x", unknown 99: 7, in { id "y", unknown 98 "?" }
        let original = b"\x0a\x01x\x98\x06\x07\x12\x07\x0a\x01y\x92\x06\x01?";
        let before = json!({"id": "x", "in": {"id": "y"}});
        assert_eq!(amended(original, &before, &before).as_deref(), Ok(&original[..]));
        let edited = amended(original, &before, &json!({"id": "x", "in": {"id": "zz"}}));
        assert_eq!(edited.as_deref(), Ok(&b"\x0a\x01x\x98\x06\x07\x12\x08\x0a\x02zz\x92\x06\x01?"[..]));
        let removed = amended(original, &before, &json!({"in": {"id": "y"}}));
        assert_eq!(removed.as_deref(), Ok(&b"\x98\x06\x07\x12\x07\x0a\x01y\x92\x06\x01?"[..]));
        let added = amended(original, &before, &json!({"id": "x", "in": {"id": "y"}, "numbers": [1, 2]}));
        assert!(added.is_ok_and(|bytes| bytes.starts_with(original) && bytes.len() > original.len()));
    }

    #[test]
    fn a_hidden_value_that_was_not_touched_is_sent_as_it_is() {
        // What is shown of `in` is not what is there.
        let original = b"\x0a\x01x\x12\x03\x0a\x01y";
        let before = json!({"id": "x", "in": {"hidden": 3}});
        let edited = amended(original, &before, &json!({"id": "new", "in": {"hidden": 3}}));
        assert_eq!(edited.as_deref(), Ok(&b"\x0a\x03new\x12\x03\x0a\x01y"[..]));
    }

    #[test]
    fn elements_of_lists_keep_what_is_unknown_in_them_when_others_come_and_go() {
        // many: { id "a", unknown 98 "?" }, { id "b" }
        let original = b"\x1a\x07\x0a\x01a\x92\x06\x01?\x1a\x03\x0a\x01b";
        let before = json!({"many": [{"id": "a"}, {"id": "b"}]});
        let first = b"\x1a\x07\x0a\x01a\x92\x06\x01?";
        let shorter = amended(original, &before, &json!({"many": [{"id": "a"}]}));
        assert_eq!(shorter.as_deref(), Ok(&first[..]));
        let moved = amended(original, &before, &json!({"many": [{"id": "new"}, {"id": "b"}, {"id": "a"}]}));
        assert!(moved.is_ok_and(|bytes| bytes.ends_with(first)));
        let changed = amended(original, &before, &json!({"many": [{"id": "a", "n": 1}, {"id": "b"}]}));
        assert_eq!(changed.as_deref(), Ok(&b"\x1a\x09\x0a\x01a\x92\x06\x01?\x10\x01\x1a\x03\x0a\x01b"[..]));
    }

    #[test]
    fn a_message_that_is_not_one_is_refused_with_the_place() {
        let before = json!({"id": "x", "in": {"id": "y"}});
        let original = b"\x0a\x01x\x12\x03\x0a\x01y";
        for (after, part) in [
            (json!({"nope": 1}), "no field nope"),
            (json!({"in": {"n": "many"}}), "in: "),
            (json!({"a": 1, "b": "x"}), "only one of a and b"),
            (json!({"many": [{"id": 1}]}), "id"),
            (json!([]), "object"),
        ] {
            let error = amended(original, &before, &after).expect_err("it is not a message");
            assert!(error.contains(part), "{error}");
        }
        // Of a oneof the other member is taken away by the user, too.
        assert_eq!(amended(b"\x28\x05", &json!({"a": 5}), &json!({"b": "q"})).as_deref(), Ok(&b"\x32\x01q"[..]));
    }
}
