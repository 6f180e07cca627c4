//! A message as a tree: every field with its name, type, value and bytes, in the order in which they lie.
//!
//! Unlike JSON this shows what is on the wire: fields that come twice, defaults, unknown ones, and what is broken. It is
//! made when somebody looks at one message, and no larger than they ask for. Nothing in it is formatted or copied.

use std::borrow::Cow;
use std::ops::Range;

use super::raw::{self, Guess};
use super::typed::{self, Packed, Shape};
use super::value::FieldValue;
use super::wire::{self, Fields, MAX_DEPTH, Value};
use crate::known::Known;
use crate::schema::{Field, Kind, Message, MessageIx, Schema, WellKnown};

/// A field of a message and what lies in it.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// What it is called.
    pub name: NodeName<'a>,
    /// Field number; none for a number of a packed field, for what is broken, and for the last node of a tree that is cut.
    pub number: Option<u32>,
    /// The field in the schema.
    pub field: Option<&'a Field>,
    /// Type as in the schema, or the wire type.
    pub type_name: Cow<'a, str>,
    /// The value: seen where the type is known, guessed where only the wire type is, hidden where the schema says
    /// `debug_redact`; absent where the children are all there is.
    pub value: Known<FieldValue<'a>>,
    /// Tag and value, in bytes of the message.
    pub span: Range<u32>,
    /// The value alone, without tag and length.
    pub value_span: Range<u32>,
    /// The fields of a message, the numbers of a packed field.
    pub children: Vec<Node<'a>>,
}

/// What a node of a tree is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeName<'a> {
    /// A field's name in the schema.
    Field(&'a str),
    /// An element of a packed field, by its index.
    Element(usize),
    /// A field that the schema does not have, or without a schema.
    Unknown,
    /// Not a node: so many more would be here, were the tree not cut.
    More(usize),
}

/// How a tree is made.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// At most so many nodes; the last of a level that is cut says how many fields of it are missing.
    pub limit: usize,
    /// Hide the values of fields marked `debug_redact`.
    pub hide_redacted: bool,
}

/// The fields of `bytes`, a `message`, as a tree.
pub fn tree<'a>(schema: &'a Schema, message: MessageIx, bytes: &'a [u8], options: TreeOptions) -> Vec<Node<'a>> {
    let mut builder =
        Builder { schema: Some(schema), bytes, left: options.limit, hide_redacted: options.hide_redacted };
    builder.fields(schema.messages.get(message.0 as usize), 0..length(bytes), 0)
}

/// The same without a type.
pub fn raw_tree(bytes: &[u8], limit: usize) -> Vec<Node<'_>> {
    Builder { schema: None, bytes, left: limit, hide_redacted: false }.fields(None, 0..length(bytes), 0)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

struct Builder<'a> {
    schema: Option<&'a Schema>,
    bytes: &'a [u8],
    /// How many nodes may still be made.
    left: usize,
    hide_redacted: bool,
}

/// Where a value lies and what it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    value: Value<'a>,
    at: u32,
}

impl<'a> Builder<'a> {
    fn fields(&mut self, message: Option<&'a Message>, range: Range<u32>, depth: u32) -> Vec<Node<'a>> {
        let mut nodes = Vec::new();
        let mut fields = Fields::within(self.bytes, range.clone());
        let any = message.zip(self.schema).filter(|(message, _)| message.well_known == Some(WellKnown::Any));
        let any = any.and_then(|(_, schema)| typed::any_type(schema, Fields::within(self.bytes, range.clone())));
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

    fn broken(&mut self, message: Option<&'a Message>, broken: &wire::Broken<'a>, depth: u32) -> Node<'a> {
        let number = Some(broken.number).filter(|&number| number != 0);
        let place = Place { value: Value::Bytes(&[]), at: broken.at };
        let mut node = empty(number, broken.at..broken.end, place);
        node.value_span = broken.at..broken.end;
        if let Some(field) = message.and_then(|message| message.field(broken.number)) {
            node.name = NodeName::Field(&field.name);
            node.field = Some(field);
            if self.hides(field) {
                node.type_name = Cow::Borrowed("broken");
                node.value = Known::Hidden { len: node.value_span.len() };
                return node;
            }
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
        node.value = Known::Seen(FieldValue::Broken(broken.cause));
        node
    }

    const fn hides(&self, field: &Field) -> bool {
        self.hide_redacted && field.redact
    }

    fn field(
        &mut self,
        message: Option<&'a Message>,
        any: Option<&'a Message>,
        node: &mut Node<'a>,
        place: Place<'a>,
        depth: u32,
    ) {
        let declared =
            message.zip(self.schema).and_then(|(message, schema)| Some((schema, message.field(node.number?)?)));
        if let Some((schema, field)) = declared
            && self.hides(field)
        {
            node.name = NodeName::Field(&field.name);
            node.field = Some(field);
            node.type_name = typed::type_name(schema, field);
            node.value = Known::Hidden { len: node.value_span.len() };
            return;
        }
        let known = declared.and_then(|(schema, field)| {
            let shape = typed::shape(field, &place.value);
            (shape != Shape::Mismatch).then_some((schema, field, shape))
        });
        let Some((schema, field, shape)) = known else { return self.unknown(node, place, depth) };
        node.name = NodeName::Field(&field.name);
        node.field = Some(field);
        node.type_name = typed::type_name(schema, field);
        if shape == Shape::Packed {
            node.children = self.packed(Some(schema), field.kind, &node.type_name, place);
            return;
        }
        if let Some(inner) = typed::message_of(schema, field.kind) {
            let Some(range) = content(place) else { return };
            if let Some(WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask | WellKnown::Wrapper) =
                inner.well_known
                && matches!((field.kind, place.value), (Kind::Message(_), Value::Bytes(_)))
            {
                node.value = FieldValue::of(schema, field, place.value).map_or(Known::Absent, Known::Seen);
            }
            if depth < MAX_DEPTH {
                node.children = self.fields(Some(inner), range, depth + 1);
            }
            return;
        }
        if let (Kind::Bytes, Value::Bytes(bytes)) = (field.kind, place.value) {
            // As in the JSON form: what begins with a brace is not a message.
            if message.is_some_and(|message| message.well_known == Some(WellKnown::Any))
                && node.number == Some(2)
                && bytes.first() == Some(&b'{')
                && crate::json::is_json(bytes)
            {
                node.type_name = Cow::Borrowed("JSON");
                node.value = Known::Seen(FieldValue::Json(bytes));
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
        }
        node.value = FieldValue::of(schema, field, place.value).map_or(Known::Absent, Known::Seen);
    }

    /// A field without a type: its wire type, and a guess.
    fn unknown(&mut self, node: &mut Node<'a>, place: Place<'a>, depth: u32) {
        let (type_name, value) = match place.value {
            Value::Varint(value) => ("varint", Some(FieldValue::Varint(value))),
            Value::Fixed64(value) => ("fixed64", Some(FieldValue::Fixed64(value))),
            Value::Fixed32(value) => ("fixed32", Some(FieldValue::Fixed32(value))),
            Value::Group(_) if depth < MAX_DEPTH => {
                let range = content(place).unwrap_or_default();
                node.children = self.fields(None, range, depth + 1);
                ("group", None)
            }
            Value::Bytes(bytes) | Value::Group(bytes) => match raw::guess(bytes) {
                Guess::Text(text) => ("string", Some(FieldValue::Text(text.as_bytes()))),
                Guess::Message if depth < MAX_DEPTH => {
                    node.children = self.fields(None, node.value_span.clone(), depth + 1);
                    ("message", None)
                }
                Guess::Packed => {
                    node.children = self.packed(None, Kind::Uint64, "varint", place);
                    ("packed", None)
                }
                Guess::Message | Guess::Bytes => ("bytes", Some(FieldValue::Bytes(bytes))),
            },
        };
        node.type_name = Cow::Borrowed(type_name);
        node.value = value.map_or(Known::Absent, Known::Guessed);
    }

    /// A node for each number.
    fn packed(&mut self, schema: Option<&'a Schema>, kind: Kind, type_name: &str, place: Place<'a>) -> Vec<Node<'a>> {
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
            node.name = NodeName::Element(nodes.len());
            node.value_span = range;
            node.type_name = Cow::Owned(type_name.to_owned());
            match number {
                Ok((bits, _)) => {
                    node.value = match schema {
                        Some(schema) => Known::Seen(FieldValue::number(schema, kind, bits)),
                        None => Known::Guessed(FieldValue::Varint(bits)),
                    };
                }
                Err(_) => node.type_name = Cow::Borrowed("broken"),
            }
            nodes.push(node);
        }
        nodes
    }
}

fn empty<'a>(number: Option<u32>, span: Range<u32>, place: Place<'_>) -> Node<'a> {
    let value_span = content(place).unwrap_or(place.at..span.end);
    Node {
        name: NodeName::Unknown,
        number,
        field: None,
        type_name: Cow::Borrowed(""),
        value: Known::Absent,
        span,
        value_span,
        children: Vec::new(),
    }
}

fn more<'a>(count: usize, span: Range<u32>) -> Node<'a> {
    Node {
        name: NodeName::More(count),
        number: None,
        field: None,
        type_name: Cow::Borrowed(""),
        value: Known::Absent,
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
