//! A message as a tree: every field with its name, type, value and bytes, in the order in which they lie.
//!
//! Unlike JSON this shows what is on the wire: fields that come twice, defaults, unknown ones, and what is broken. It is
//! made when somebody looks at one message, and no larger than they ask for.

use std::borrow::Cow;
use std::ops::Range;

use super::JsonPrinter;
use super::raw::{self, Guess};
use super::typed::{self, Packed, Shape};
use super::wire::{self, Fields, MAX_DEPTH, Value};
use crate::json::{self, Writer};
use crate::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};

/// A field of a message and what lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'s> {
    /// Name as in the schema, empty where it is not known; a number of a packed field has its index, `[0]`.
    pub name: Cow<'s, str>,
    /// Field number; none for a number of a packed field, for what is broken, and for the last node of a tree that is cut.
    pub number: Option<u32>,
    /// Type as in the schema, or what the wire tells.
    pub type_name: Cow<'s, str>,
    /// The value as JSON text, so that no control character is in it; none where the children are the value.
    pub value: Option<Box<str>>,
    /// Tag and value, in bytes of the message.
    pub span: Range<u32>,
    /// The value alone, without tag and length.
    pub value_span: Range<u32>,
    /// The fields of a message, the numbers of a packed field.
    pub children: Vec<Node<'s>>,
}

impl Node<'_> {
    /// Appends the node and all below it to `out`; `view` names the bytes that the spans count in.
    pub fn write_json(&self, view: &str, out: &mut Vec<u8>) {
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("name").string(&self.name);
        json.key("number");
        match self.number {
            Some(number) => json.unsigned(u64::from(number)),
            None => json.null(),
        }
        json.key("type").string(&self.type_name);
        json.key("value").raw(self.value.as_deref().unwrap_or("null").as_bytes());
        json.key("view").string(view);
        json.key("from").unsigned(u64::from(self.span.start));
        json.key("to").unsigned(u64::from(self.span.end));
        json.key("children").begin_array();
        for child in &self.children {
            child.write_json(view, json.value());
        }
        json.end_array();
        json.end_object();
    }
}

/// The fields of `bytes`, a `message`, as a tree of at most `limit` nodes; the last of a level that is cut says how many
/// fields of it are missing.
pub fn tree<'s>(schema: &'s Schema, message: MessageIx, bytes: &[u8], limit: usize) -> Vec<Node<'s>> {
    let mut builder = Builder { schema: Some(schema), bytes, left: limit };
    builder.fields(schema.messages.get(message.0 as usize), 0..length(bytes), 0)
}

/// The same without a type.
pub fn raw_tree(bytes: &[u8], limit: usize) -> Vec<Node<'static>> {
    Builder { schema: None, bytes, left: limit }.fields(None, 0..length(bytes), 0)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

struct Builder<'s, 'a> {
    schema: Option<&'s Schema>,
    bytes: &'a [u8],
    /// How many nodes may still be made.
    left: usize,
}

/// Where a value lies and what it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    value: Value<'a>,
    at: u32,
}

impl<'s, 'a> Builder<'s, 'a> {
    fn fields(&mut self, message: Option<&'s Message>, range: Range<u32>, depth: u32) -> Vec<Node<'s>> {
        let mut nodes = Vec::new();
        let mut fields = Fields::within(self.bytes, range.clone());
        let any = message.filter(|m| m.well_known == Some(WellKnown::Any)).and_then(|_| self.any_type(range.clone()));
        loop {
            let from = fields.here();
            let Some(item) = fields.next() else { break };
            if self.left == 0 {
                nodes.push(more(1 + fields.count(), from..range.end));
                break;
            }
            self.left -= 1;
            nodes.push(match item {
                Ok(wire) => {
                    let place = Place { value: wire.value, at: wire.value_at };
                    let mut node = empty(Some(wire.number), wire.at..wire.end, place);
                    self.field(message, any, &mut node, place, depth);
                    node
                }
                Err(broken) => self.broken(message, &broken, depth),
            });
        }
        nodes
    }

    fn broken(&mut self, message: Option<&'s Message>, broken: &wire::Broken<'a>, depth: u32) -> Node<'s> {
        let number = Some(broken.number).filter(|&number| number != 0);
        let place = Place { value: Value::Bytes(&[]), at: broken.at };
        let mut node = empty(number, broken.at..broken.end, place);
        node.value_span = broken.at..broken.end;
        if let Some(field) = message.and_then(|message| message.field(broken.number)) {
            node.name = Cow::Borrowed(&field.name);
            let inner = self.schema.and_then(|schema| typed::message_of(schema, field.kind));
            if let (Some(inner), Some((at, value))) = (inner, broken.partial)
                && let Some(range) = content(Place { value, at })
                && typed::shape(field, &value) == Shape::One
                && depth < MAX_DEPTH
            {
                node.children = self.fields(Some(inner), range, depth + 1);
            }
        }
        node.type_name = Cow::Borrowed("broken");
        node.value = Some(text(|out| json::write_string(out, broken.cause.text())));
        node
    }

    fn field(
        &mut self,
        message: Option<&'s Message>,
        any: Option<&'s Message>,
        node: &mut Node<'s>,
        place: Place<'a>,
        depth: u32,
    ) {
        let known = message.zip(self.schema).and_then(|(message, schema)| {
            let field = message.field(node.number?)?;
            let shape = typed::shape(field, &place.value);
            (shape != Shape::Mismatch).then_some((schema, field, shape))
        });
        let Some((schema, field, shape)) = known else { return self.unknown(node, place, depth) };
        node.name = Cow::Borrowed(&field.name);
        node.type_name = type_name(schema, field);
        if shape == Shape::Packed {
            node.children = self.packed(Some(schema), field.kind, &node.type_name, place);
            return;
        }
        if let Some(inner) = typed::message_of(schema, field.kind) {
            return self.message(schema, field.kind, inner, node, place, depth);
        }
        match (field.kind, place.value) {
            (Kind::Bytes, Value::Bytes(bytes)) => {
                // As in the JSON form: what begins with a brace is no message.
                if message.is_some_and(|message| message.well_known == Some(WellKnown::Any))
                    && node.number == Some(2)
                    && bytes.first() == Some(&b'{')
                    && let Some(value) = json_text(bytes)
                {
                    node.type_name = Cow::Borrowed("JSON");
                    node.value = Some(value);
                    return;
                }
                if let Some(any) = any
                    && node.number == Some(2)
                    && depth < MAX_DEPTH
                {
                    node.type_name = Cow::Borrowed(&any.name);
                    node.children = self.fields(Some(any), node.value_span.clone(), depth + 1);
                    return;
                }
                node.value = Some(text(|out| json::write_base64(out, bytes)));
            }
            (_, Value::Bytes(bytes)) => {
                node.value = Some(text(|out| {
                    json::write_bytes_lossy(out, bytes);
                }));
            }
            (kind, value) => {
                node.value = Some(text(|out| typed::write_number(schema, kind, typed::bits(&value), out)));
            }
        }
    }

    fn message(
        &mut self,
        schema: &'s Schema,
        kind: Kind,
        inner: &'s Message,
        node: &mut Node<'s>,
        place: Place<'a>,
        depth: u32,
    ) {
        let Some(range) = content(place) else { return };
        if let (
            Some(WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask | WellKnown::Wrapper),
            Kind::Message(at),
            Value::Bytes(bytes),
        ) = (inner.well_known, kind, place.value)
        {
            node.value = Some(text(|out| {
                JsonPrinter::new().print(schema, at, bytes, out);
            }));
        }
        if depth < MAX_DEPTH {
            node.children = self.fields(Some(inner), range, depth + 1);
        }
    }

    /// A field without a type: what the wire tells, and a guess.
    fn unknown(&mut self, node: &mut Node<'s>, place: Place<'a>, depth: u32) {
        let number = |value: u64| Some(text(|out| json::write_unsigned(out, value)));
        let (type_name, value) = match place.value {
            Value::Varint(value) => ("varint", number(value)),
            Value::Fixed64(value) => ("fixed64", number(value)),
            Value::Fixed32(value) => ("fixed32", number(u64::from(value))),
            Value::Group(_) if depth < MAX_DEPTH => {
                let range = content(place).unwrap_or_default();
                node.children = self.fields(None, range, depth + 1);
                ("group", None)
            }
            Value::Bytes(bytes) | Value::Group(bytes) => match raw::guess(bytes) {
                Guess::Text(value) => ("string", Some(text(|out| json::write_string(out, value)))),
                Guess::Message if depth < MAX_DEPTH => {
                    node.children = self.fields(None, node.value_span.clone(), depth + 1);
                    ("message", None)
                }
                Guess::Packed => {
                    node.children = self.packed(None, Kind::Uint64, "varint", place);
                    ("packed", None)
                }
                Guess::Message | Guess::Bytes => ("bytes", Some(text(|out| json::write_base64(out, bytes)))),
            },
        };
        node.type_name = Cow::Borrowed(type_name);
        node.value = value;
    }

    /// A node a number; without a schema they are shown as they are, not as 64-bit strings.
    fn packed(&mut self, schema: Option<&'s Schema>, kind: Kind, type_name: &str, place: Place<'a>) -> Vec<Node<'s>> {
        let Value::Bytes(bytes) = place.value else { return Vec::new() };
        let mut nodes = Vec::new();
        let mut numbers = Packed::new(kind, bytes, place.at);
        while let Some(number) = numbers.next() {
            let (Ok((_, range)) | Err(range)) = number.clone();
            if self.left == 0 {
                nodes.push(more(1 + numbers.count(), range.start..place.at + bytes.len() as u32));
                break;
            }
            self.left -= 1;
            let mut node = empty(None, range.clone(), place);
            node.name = Cow::Owned(format!("[{}]", nodes.len()));
            node.value_span = range;
            node.type_name = Cow::Owned(type_name.to_owned());
            match number {
                Ok((bits, _)) => {
                    node.value = Some(text(|out| match schema {
                        Some(schema) => typed::write_number(schema, kind, bits, out),
                        None => json::write_unsigned(out, bits),
                    }));
                }
                Err(_) => node.type_name = Cow::Borrowed("broken"),
            }
            nodes.push(node);
        }
        nodes
    }

    /// The type of what an `Any` holds.
    fn any_type(&self, range: Range<u32>) -> Option<&'s Message> {
        let url = Fields::within(self.bytes, range).filter_map(Result::ok).filter(|f| f.number == 1).last()?;
        let Value::Bytes(url) = url.value else { return None };
        let name = std::str::from_utf8(url.rsplit(|&b| b == b'/').next()?).ok()?;
        let schema = self.schema?;
        schema.messages.get(schema.message(name)?.0 as usize)
    }
}

/// The text of a JSON value, without the space between its tokens.
fn json_text(bytes: &[u8]) -> Option<Box<str>> {
    let mut out = Vec::new();
    json::copy_json(&mut out, bytes).then_some(())?;
    String::from_utf8(out).ok().map(String::into_boxed_str)
}

fn empty<'s>(number: Option<u32>, span: Range<u32>, place: Place<'_>) -> Node<'s> {
    let value_span = content(place).unwrap_or(place.at..span.end);
    Node {
        name: Cow::Borrowed(""),
        number,
        type_name: Cow::Borrowed(""),
        value: None,
        span,
        value_span,
        children: Vec::new(),
    }
}

fn more<'s>(count: usize, span: Range<u32>) -> Node<'s> {
    Node {
        name: Cow::Owned(format!("and {count} more")),
        number: None,
        type_name: Cow::Borrowed(""),
        value: None,
        value_span: span.clone(),
        span,
        children: Vec::new(),
    }
}

/// Where the content of a length-delimited value or group lies.
fn content(place: Place<'_>) -> Option<Range<u32>> {
    match place.value {
        Value::Bytes(bytes) | Value::Group(bytes) => Some(place.at..place.at + bytes.len() as u32),
        _ => None,
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> Box<str> {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into()
}

/// The type as the schema writes it: `int32`, `acme.Order`, `map<string, acme.Item>`.
fn type_name<'s>(schema: &'s Schema, field: &'s Field) -> Cow<'s, str> {
    if field.cardinality == Cardinality::Map
        && let Some(entry) = typed::message_of(schema, field.kind)
    {
        let part = |number| entry.field(number).map_or(Cow::Borrowed("?"), |field| kind_name(schema, field.kind));
        return Cow::Owned(format!("map<{}, {}>", part(1), part(2)));
    }
    kind_name(schema, field.kind)
}

fn kind_name(schema: &Schema, kind: Kind) -> Cow<'_, str> {
    Cow::Borrowed(match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Enum(at) => schema.enums.get(at.0 as usize).map_or("enum", |e| &e.name),
        Kind::Message(at) | Kind::Group(at) => schema.messages.get(at.0 as usize).map_or("message", |m| &m.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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

    /// One line a node: name, number, type, value, span.
    fn lines(nodes: &[Node<'_>], indent: usize, out: &mut Vec<String>) {
        for node in nodes {
            let number = node.number.map_or("-".into(), |number| number.to_string());
            let value = node.value.as_deref().unwrap_or("-");
            let Range { start, end } = node.span;
            let pad = " ".repeat(indent);
            out.push(format!("{pad}{} {number} {} {value} {start}..{end}", node.name, node.type_name));
            lines(&node.children, indent + 1, out);
        }
    }

    fn shown(nodes: &[Node<'_>]) -> Vec<String> {
        let mut out = Vec::new();
        lines(nodes, 0, &mut out);
        out
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
        let got = shown(&tree(&schema, schema.message("t.M").unwrap(), &bytes, 100));
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
                r#"raw 8 broken "ends inside of a field" 41..44"#,
            ]
        );
    }

    #[test]
    fn an_any_that_holds_json() {
        let schema = compile(SCHEMA);
        let bytes = |value: &[u8]| {
            let any = [&[0x0a, 3, b't', b'.', b'M', 0x12, value.len() as u8], value].concat(); // 1: "t.M", 2: the value
            [&[0x32, any.len() as u8], any.as_slice()].concat() // 6: the Any
        };
        let got = |value: &[u8]| shown(&tree(&schema, schema.message("t.M").unwrap(), &bytes(value), 100));
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
        let mut out = Vec::new();
        raw_tree(&[0x1a, 4, 0x08, 1, 0x10, 2], 9)[0].write_json("message", &mut out);
        let expected = concat!(
            r#"{"name":"","number":3,"type":"message","value":null,"view":"message","from":0,"to":6,"children":["#,
            r#"{"name":"","number":1,"type":"varint","value":1,"view":"message","from":2,"to":4,"children":[]},"#,
            r#"{"name":"","number":2,"type":"varint","value":2,"view":"message","from":4,"to":6,"children":[]}]}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_tree_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0usize..50) {
            let schema = compile(SCHEMA);
            for nodes in [tree(&schema, schema.message("t.M").unwrap(), &bytes, limit), raw_tree(&bytes, limit)] {
                let all = shown(&nodes);
                prop_assert!(all.iter().filter(|line| !line.trim().starts_with("and ")).count() <= limit);
                let mut out = Vec::new();
                nodes.iter().for_each(|node| { out.clear(); node.write_json("message", &mut out); });
                prop_assert!(out.is_empty() || serde_json::from_slice::<serde_json::Value>(&out).is_ok());
            }
        }
    }
}
