//! Field trees as JSON, and their values as text.

use std::borrow::Cow;

use super::is_dangerous;
use super::json_text::write_indented;
use super::text::write_escaped;
use crate::json::{self, Drain, Writer};
use crate::known::Known;
use crate::protobuf::raw::{likely_double, likely_float};
use crate::protobuf::tree::{Node, NodeName};
use crate::protobuf::{FieldValue, JsonPrinter};
use crate::schema::Schema;
use crate::view::as_json;

/// What a node is called; empty where that is not known.
pub(super) fn name<'a>(node: &Node<'a>) -> Cow<'a, str> {
    match node.name {
        NodeName::Field(name) => Cow::Borrowed(name),
        NodeName::Element(index) => Cow::Owned(format!("[{index}]")),
        NodeName::Unknown => Cow::Borrowed(""),
        NodeName::More(count) => Cow::Owned(format!("and {count} more")),
    }
}

/// Appends a node and all below it; `view` names the bytes that the spans count in.
pub(super) fn write_json(schema: &Schema, node: &Node<'_>, view: &str, json: &mut Writer<'_>, drain: Drain<'_>) {
    json.begin_object();
    json.key("name").string(&name(node));
    json.key("number");
    match node.number {
        Some(number) => json.unsigned(u64::from(number)),
        None => json.null(),
    }
    json.key("type").string(&node.type_name);
    json.key("value");
    match node.value {
        Known::Seen(value) | Known::Guessed(value) => write_value(schema, value, json.value(), drain),
        Known::Hidden { .. } | Known::Absent | Known::Unknown => json.null(),
    }
    if let Known::Hidden { len } = node.value {
        json.key("hidden").unsigned(len as u64);
    }
    json.key("view").string(view);
    json.key("from").unsigned(u64::from(node.span.start));
    json.key("to").unsigned(u64::from(node.span.end));
    json.key("children").begin_array();
    for child in &node.children {
        write_json(schema, child, view, json, drain);
    }
    json.end_array();
    json.end_object();
    json.checkpoint(drain);
}

/// Appends a value in canonical JSON.
fn write_value(schema: &Schema, value: FieldValue<'_>, out: &mut Vec<u8>, drain: Drain<'_>) {
    match value {
        FieldValue::Bool(yes) => out.extend_from_slice(if yes { b"true" } else { b"false" }),
        FieldValue::Int32(number) => json::write_signed(out, number.into()),
        FieldValue::Uint32(number) | FieldValue::Fixed32(number) => json::write_unsigned(out, number.into()),
        FieldValue::Int64(number) => json::write_string(out, &number.to_string()),
        FieldValue::Uint64(number) => json::write_string(out, &number.to_string()),
        FieldValue::Varint(number) | FieldValue::Fixed64(number) => json::write_exact(out, number),
        FieldValue::Float(number) => json::write_f32(out, number),
        FieldValue::Double(number) => json::write_f64(out, number),
        FieldValue::Enum { name: Some(name), .. } => json::write_string(out, name),
        FieldValue::Enum { number, name: None } => json::write_signed(out, number.into()),
        FieldValue::Null => out.extend_from_slice(b"null"),
        FieldValue::Text(text) => {
            json::write_bytes_lossy_draining(out, text, drain);
        }
        FieldValue::Bytes(bytes) => json::write_base64_draining(out, bytes, drain),
        FieldValue::Message { ix, bytes } => {
            JsonPrinter::new().print_draining(schema, ix, bytes, out, drain);
        }
        FieldValue::Json(text) => json::copy_json_draining(out, text, drain),
        FieldValue::Broken(cause) => json::write_string(out, cause.text()),
    }
}

/// Whether a node has a value; else its children are all there is.
pub(super) const fn has_value(node: &Node<'_>) -> bool {
    !matches!(node.value, Known::Absent | Known::Unknown)
}

/// A node's value as people read it, cut after 64 KiB; none where its children are all there is.
pub fn value_text(schema: &Schema, node: &Node<'_>) -> Option<String> {
    if !has_value(node) {
        return None;
    }
    let mut text = Vec::new();
    let mut cut = |out: &mut Vec<u8>| out.truncate(MAX_VALUE_TEXT);
    write_value_text(schema, node, ValueLayout::LINE, &mut text, &mut cut);
    text.truncate(MAX_VALUE_TEXT);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Bytes of text that [`value_text`] gives at the most: what one line can show, and what is copied from it.
const MAX_VALUE_TEXT: usize = 1 << 16;

/// How values are laid out as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueLayout {
    /// Whole values, however long.
    pub(super) full: bool,
    /// Put the members of JSON in a value on lines of their own, indented by so many spaces at least. Without it, a value is
    /// one line.
    pub(super) indent: Option<usize>,
}

impl ValueLayout {
    /// Whole values on one line.
    pub(super) const LINE: Self = Self { full: true, indent: None };
}

/// Appends a node's value as people read it.
pub(super) fn write_value_text(
    schema: &Schema,
    node: &Node<'_>,
    layout: ValueLayout,
    out: &mut Vec<u8>,
    drain: Drain<'_>,
) {
    let ValueLayout { full, indent } = layout;
    let value = match node.value {
        Known::Seen(value) | Known::Guessed(value) => value,
        Known::Hidden { len } => {
            return append(out, format_args!("‹hidden, {len} byte{}›", if len == 1 { "" } else { "s" }));
        }
        Known::Absent | Known::Unknown => return,
    };
    // Most texts are no JSON, and begin accordingly.
    let json = match value {
        FieldValue::Text(bytes) | FieldValue::Bytes(bytes) | FieldValue::Json(bytes) => as_json(bytes),
        _ => None,
    };
    if let (Some(json), Some(indent)) = (json, indent) {
        return write_json_text(json, MAX_TEXT, full, indent, out, drain);
    }
    match value {
        FieldValue::Text(text) => write_shortened(text, full, out, drain),
        FieldValue::Bytes(bytes) if is_text(bytes) => write_shortened(bytes, full, out, drain),
        FieldValue::Bytes(bytes) => out.extend_from_slice(hex_text(bytes, full).as_bytes()),
        FieldValue::Broken(cause) => append(out, format_args!("? the message {}", cause.text())),
        FieldValue::Fixed32(number) => {
            json::write_unsigned(out, number.into());
            if let Some(float) = likely_float(number) {
                out.extend_from_slice(b" (as a float: ");
                json::write_f32(out, float);
                out.push(b')');
            }
        }
        FieldValue::Fixed64(number) => {
            json::write_unsigned(out, number);
            if let Some(double) = likely_double(number) {
                out.extend_from_slice(b" (as a double: ");
                json::write_f64(out, double);
                out.push(b')');
            }
        }
        FieldValue::Varint(number) | FieldValue::Uint64(number) => json::write_unsigned(out, number),
        FieldValue::Int64(number) => json::write_signed(out, number),
        FieldValue::Json(text) => write_escaped(text, out, drain),
        value => {
            let mut text = Vec::new();
            write_value(schema, value, &mut text, &mut json::keep);
            write_escaped(&text, out, drain);
        }
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = std::io::Write::write_fmt(out, text);
}

/// Appends text in quotes, with the escapes of JSON and what else must not reach a terminal written out.
fn write_shortened(text: &[u8], full: bool, out: &mut Vec<u8>, drain: Drain<'_>) {
    let (shown, length) = shortened(text, MAX_TEXT, full);
    write_quoted(shown, out, drain);
    if let Some(length) = length {
        append_length(out, length);
    }
}

/// Appends JSON with its members on lines of their own: all of it if `full`, else at most `limit` bytes of it and its length.
pub(super) fn write_json_text(
    text: &[u8],
    limit: usize,
    full: bool,
    indent: usize,
    out: &mut Vec<u8>,
    drain: Drain<'_>,
) {
    let (shown, length) = shortened(text, limit, full);
    write_indented(shown, indent, out, drain);
    if let Some(length) = length {
        append_length(out, length);
    }
}

/// Says how long a value is of which not all is shown.
fn append_length(out: &mut Vec<u8>, length: usize) {
    append(out, format_args!("… ({length} bytes; --full shows all)"));
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) {
    let mut piece = Vec::new();
    json::write_bytes_lossy_draining(&mut piece, text, &mut |piece| {
        json::drain_to(piece, |text| write_escaped(text, out, drain));
    });
    write_escaped(&piece, out, drain);
}

/// Bytes that are shown in hex.
const MAX_HEX: usize = 64;

/// Bytes of a text that are shown of a longer one, unless all is wanted.
const MAX_TEXT: usize = 1024;

/// Bytes of a JSON message that are shown of a longer one, unless all is wanted. It is not one value but many.
pub(super) const MAX_JSON_MESSAGE: usize = 16 << 10;

/// What is shown of `bytes`: all if `full`, else the first `limit` of them up to a whole character, and then how many there are.
fn shortened(bytes: &[u8], limit: usize, full: bool) -> (&[u8], Option<usize>) {
    if full || bytes.len() <= limit {
        return (bytes, None);
    }
    // The first byte of a character is not 0b10xxxxxx.
    let end = (limit - 3..=limit).rev().find(|&at| bytes.get(at).is_some_and(|byte| byte & 0xc0 != 0x80));
    (bytes.get(..end.unwrap_or(limit)).unwrap_or(bytes), Some(bytes.len()))
}

/// Bytes in hex, with their length where not all are shown.
fn hex_text(bytes: &[u8], full: bool) -> String {
    let shown = if full { bytes } else { bytes.get(..MAX_HEX).unwrap_or(bytes) };
    let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    match bytes.len() - shown.len() {
        0 => hex.join(" "),
        _ => format!("{} … ({} bytes; --full shows all)", hex.join(" "), bytes.len()),
    }
}

/// Whether bytes are UTF-8 without characters that text does not have.
fn is_text(bytes: &[u8]) -> bool {
    let unprintable = |c: char| is_dangerous(c) && !matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(unprintable))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::protobuf::tree::{TreeOptions, raw_tree, tree};
    use crate::schema::testing::compile;
    use proptest::prelude::*;

    const SCHEMA: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        import "google/protobuf/timestamp.proto";
        enum State { NONE = 0; OPEN = 1; }
        message M {
          int32 number = 1; string text_value = 2; M inner = 3; repeated sint32 list = 4; map<string, State> states = 5;
          google.protobuf.Any any = 6; google.protobuf.Timestamp time = 7; bytes raw = 8;
        }
    "#;

    const ALL: TreeOptions = TreeOptions { limit: 100, hide_redacted: true };

    /// One line a node: name, number, type, value, span.
    fn lines(schema: &Schema, nodes: &[Node<'_>], indent: usize, out: &mut Vec<String>) {
        for node in nodes {
            let number = node.number.map_or("-".into(), |number| number.to_string());
            let mut value = Vec::new();
            match node.value {
                Known::Seen(known) | Known::Guessed(known) => write_value(schema, known, &mut value, &mut json::keep),
                Known::Hidden { len } => value = format!("hidden {len}").into_bytes(),
                Known::Absent | Known::Unknown => value.push(b'-'),
            }
            let value = String::from_utf8(value).unwrap();
            let Range { start, end } = node.span;
            let pad = " ".repeat(indent);
            out.push(format!("{pad}{} {number} {} {value} {start}..{end}", name(node), node.type_name));
            lines(schema, &node.children, indent + 1, out);
        }
    }

    fn shown(nodes: &[Node<'_>]) -> Vec<String> {
        let mut out = Vec::new();
        lines(&compile(SCHEMA), nodes, 0, &mut out);
        out
    }

    fn as_text(nodes: &[Node<'_>]) -> String {
        let mut out = Vec::new();
        let mut json = Writer::new(&mut out);
        json.begin_array();
        nodes.iter().for_each(|node| write_json(&compile(SCHEMA), node, "message", &mut json, &mut json::keep));
        json.end_array();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_field_with_its_bytes() {
        let schema = compile(SCHEMA);
        let bytes = [
            &[0x08, 5][..],                                          // 1: 5
            &[0x12, 2, b'a', 0x1b],                                  // 2: "a" and an escape
            &[0x1a, 2, 0x08, 0],                                     // 3: 1: 0
            &[0x22, 2, 1, 4],                                        // 4: packed -1, 2
            &[0x2a, 5, 0x0a, 1, b'k', 0x10, 1],                      // 5: "k": OPEN
            &[0x32, 9, 0x0a, 3, b't', b'.', b'M', 0x12, 2, 0x08, 7], // 6: an M with 1: 7
            &[0x3a, 2, 0x08, 1],                                     // 7: a second after the epoch
            &[0x98, 0x06, 3],                                        // 99: 3
            &[0x08, 6],                                              // 1: 6
            &[0x42, 5, 1],                                           // 8: cut short
        ]
        .concat();
        let got = shown(&tree(&schema, schema.message("t.M").unwrap(), &bytes, ALL));
        assert_eq!(
            got,
            [
                "number 1 int32 5 0..2",
                r#"text_value 2 string "a\u001b" 2..6"#,
                "inner 3 t.M - 6..10",
                " number 1 int32 0 8..10",
                "list 4 sint32 - 10..14",
                " [0] - sint32 -1 12..13",
                " [1] - sint32 2 13..14",
                "states 5 map<string, t.State> - 14..21",
                r#" key 1 string "k" 16..19"#,
                r#" value 2 t.State "OPEN" 19..21"#,
                "any 6 google.protobuf.Any - 21..32",
                r#" type_url 1 string "t.M" 23..28"#,
                " value 2 t.M - 28..32",
                "  number 1 int32 7 30..32",
                r#"time 7 google.protobuf.Timestamp "1970-01-01T00:00:01Z" 32..36"#,
                " seconds 1 int64 \"1\" 34..36",
                " 99 varint 3 36..39",
                "number 1 int32 6 39..41",
                r#"raw 8 broken "ends inside a field" 41..44"#,
            ]
        );
    }

    #[test]
    fn bytes_are_shown_as_text_where_they_are_text_and_in_hex_otherwise() {
        assert!(is_text(b"foo") && is_text("/registry/\u{fc}\n".as_bytes()) && is_text(b""));
        assert!(!is_text(&[0x0a, 0x1b]) && !is_text(b"\xff") && !is_text("a\u{202e}b".as_bytes()));
        assert_eq!(hex_text(&[0x0a, 0x1b], false), "0a 1b");
        assert!(hex_text(&[0xff; 100], false).ends_with("ff ff … (100 bytes; --full shows all)"));
        let schema = compile(SCHEMA);
        // 8: bytes "hi"; 2: a string with a character that turns the direction of text.
        let bytes = b"\x42\x02hi\x12\x04a\xe2\x80\xae";
        let nodes = tree(&schema, schema.message("t.M").unwrap(), bytes, ALL);
        let text = |node: &Node<'_>| {
            let mut out = Vec::new();
            write_value_text(&schema, node, ValueLayout { full: false, indent: None }, &mut out, &mut json::keep);
            String::from_utf8(out).unwrap()
        };
        let texts: Vec<_> = nodes.iter().map(text).collect();
        assert_eq!(texts, ["\"hi\"", "\"a\\u{202e}\""]);
        assert!(as_text(&nodes).contains("\"value\":\"aGk=\""), "JSON stays canonical");
    }

    #[test]
    fn an_any_that_holds_json() {
        let schema = compile(SCHEMA);
        let bytes = |value: &[u8]| {
            let any = [&[0x0a, 3, b't', b'.', b'M', 0x12, value.len() as u8], value].concat(); // 1: "t.M", 2: the value
            [&[0x32, any.len() as u8], any.as_slice()].concat() // 6: the Any
        };
        let got = |value: &[u8]| shown(&tree(&schema, schema.message("t.M").unwrap(), &bytes(value), ALL));
        assert_eq!(got(br#"{"a": [1]}"#)[2], r#" value 2 JSON {"a":[1]} 7..19"#);
        assert!(!got(br#"{"a": [1"#)[2].contains("JSON"));
    }

    #[test]
    fn without_a_type_and_cut() {
        let bytes = [
            &[0x08, 5][..],               // 1: 5
            &[0x12, 2, b'h', b'i'],       // 2: "hi"
            &[0x1a, 4, 0x08, 1, 0x10, 2], // 3: 1: 1, 2: 2
            &[0x08, 6],                   // 1: 6
            &[0x08, 7],                   // 1: 7
        ]
        .concat();
        let got = shown(&raw_tree(&bytes, 4));
        let expected = [" 1 varint 5 0..2", r#" 2 string "hi" 2..6"#, " 3 message - 6..12", "  1 varint 1 8..10"];
        assert_eq!(got[..4], expected);
        assert_eq!(got[4..], [" and 1 more -  - 10..12", "and 2 more -  - 12..16"]);
    }

    #[test]
    fn as_json() {
        let got = as_text(&raw_tree(&[0x1a, 4, 0x08, 1, 0x10, 2], 9));
        let expected = concat!(
            r#"[{"name":"","number":3,"type":"message","value":null,"view":"message","from":0,"to":6,"children":["#,
            r#"{"name":"","number":1,"type":"varint","value":1,"view":"message","from":2,"to":4,"children":[]},"#,
            r#"{"name":"","number":2,"type":"varint","value":2,"view":"message","from":4,"to":6,"children":[]}]}]"#
        );
        assert_eq!(got, expected);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_tree_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0usize..50) {
            let schema = compile(SCHEMA);
            let options = TreeOptions { limit, hide_redacted: true };
            for nodes in [tree(&schema, schema.message("t.M").unwrap(), &bytes, options), raw_tree(&bytes, limit)] {
                let all = shown(&nodes);
                prop_assert!(all.iter().filter(|line| !line.trim().starts_with("and ")).count() <= limit);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&as_text(&nodes)).is_ok());
            }
        }
    }

    #[test]
    fn long_texts_are_shortened_at_a_character_with_their_length() {
        let text = format!("x{}", "ü".repeat(1000));
        let (shown, length) = shortened(text.as_bytes(), MAX_TEXT, false);
        assert!(std::str::from_utf8(shown).is_ok_and(|shown| shown.len() == 1023));
        assert_eq!(length, Some(2001));
        assert_eq!(shortened(text.as_bytes(), MAX_TEXT, true), (text.as_bytes(), None));
        assert_eq!(shortened(b"short", MAX_TEXT, false), (b"short".as_slice(), None));
    }
}
