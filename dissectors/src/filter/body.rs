//! Fields of message bodies: a path through message types, and the walk along it over the bytes of one message.
//!
//! The walk decodes nothing but the fields on the path. A field that may occur once has the value that comes last, as
//! protobuf says, so its message is scanned to the end; repeated fields end the walk as soon as the visitor breaks.

mod json;

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::fields::{Flow, Visit};
use super::value::{Item, Names, Type, Value};
use crate::protobuf::typed::{self, Packed, Shape};
use crate::protobuf::wire::{self, Fields, MAX_DEPTH};
use crate::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};
use crate::view::Body;

/// A path from a message type to a field somewhere in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BodyPath {
    steps: Vec<PathStep>,
    leaf: Leaf,
    /// What its values are.
    pub(super) ty: Type,
}

/// One step of a path: from a message to one of its fields.
#[derive(Clone, Debug, PartialEq)]
struct PathStep {
    message: MessageIx,
    number: u32,
    kind: Kind,
    cardinality: Cardinality,
    oneof: Option<u32>,
    /// Which entry of a map.
    key: Option<MapKey>,
    /// Whether the message is the entry of a map: its fields always have a value.
    in_entry: bool,
    /// Whether the schema marks the field `debug_redact`.
    redact: bool,
}

/// The key of a map entry.
#[derive(Clone, Debug, PartialEq)]
enum MapKey {
    Text(Box<[u8]>),
    Whole(i128),
}

/// What the last field of a path comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaf {
    Scalar,
    /// A message: it is there or not.
    Message,
    Timestamp,
    Duration,
}

/// A part of a path as written in a filter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'p> {
    Name(&'p str),
    Key(&'p str),
}

/// Why a path does not fit a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    /// Which part does not fit.
    pub(super) part: usize,
    /// The type that it was looked for in.
    pub(super) message: MessageIx,
    pub(super) cause: MissCause,
}

/// Why a part of a path does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissCause {
    /// The message has no such field.
    NoField,
    /// The field before it is not a message.
    NotAMessage,
    /// The field before it is not a map.
    NotAMap,
    /// The key is not of the map's key type.
    WrongKey,
    /// More parts than messages can be nested.
    TooLong,
}

/// Follows `parts` from the message type `root`.
pub(super) fn resolve(schema: &Schema, root: MessageIx, parts: &[Part<'_>]) -> Result<BodyPath, Miss> {
    let mut steps: Vec<PathStep> = Vec::new();
    let mut message = Some(root);
    for (part_no, part) in parts.iter().enumerate() {
        let owner = steps.last().map_or(root, |step| step.message);
        let miss = |message, cause| Miss { part: part_no, message, cause };
        if part_no >= MAX_DEPTH as usize {
            return Err(miss(owner, MissCause::TooLong));
        }
        match part {
            Part::Name(name) => {
                let Some(at) = message else { return Err(miss(owner, MissCause::NotAMessage)) };
                let field = field_named(schema, at, name).ok_or_else(|| miss(at, MissCause::NoField))?;
                steps.push(step(schema, at, field));
            }
            Part::Key(key) => {
                let map = steps.last_mut().filter(|step| step.cardinality == Cardinality::Map && step.key.is_none());
                let Some((map, Kind::Message(entry))) = map.map(|map| (map.kind, map)).map(|(kind, map)| (map, kind))
                else {
                    return Err(miss(owner, MissCause::NotAMap));
                };
                let key_kind = schema.messages.get(entry.0 as usize).and_then(|entry| entry.field(1)).map(|f| f.kind);
                let key =
                    key_kind.and_then(|kind| map_key(kind, key)).ok_or_else(|| miss(owner, MissCause::WrongKey))?;
                map.key = Some(key);
                let value = schema.messages.get(entry.0 as usize).and_then(|entry| entry.field(2));
                let value = value.ok_or_else(|| miss(owner, MissCause::NotAMap))?;
                steps.push(step(schema, entry, value));
            }
        }
        message = steps.last().and_then(|step| message_ix(step.kind));
    }
    Ok(finished(schema, steps))
}

/// The names of the fields of a message, for suggestions and completion.
pub(super) fn field_names(schema: &Schema, message: MessageIx) -> impl Iterator<Item = &str> {
    schema
        .messages
        .get(message.0 as usize)
        .into_iter()
        .flat_map(|message| message.fields.iter().map(|field| &*field.name))
}

/// The field that the schema or JSON calls `name`.
fn field_named<'s>(schema: &'s Schema, message: MessageIx, name: &str) -> Option<&'s Field> {
    let fields = &schema.messages.get(message.0 as usize)?.fields;
    fields.iter().find(|field| &*field.name == name).or_else(|| fields.iter().find(|field| &*field.json_name == name))
}

fn step(schema: &Schema, message: MessageIx, field: &Field) -> PathStep {
    PathStep {
        message,
        number: field.number,
        kind: field.kind,
        cardinality: field.cardinality,
        oneof: field.oneof,
        key: None,
        in_entry: schema.messages.get(message.0 as usize).is_some_and(|message| message.map_entry),
        redact: field.redact,
    }
}

fn message_ix(kind: Kind) -> Option<MessageIx> {
    match kind {
        Kind::Message(at) | Kind::Group(at) => Some(at),
        _ => None,
    }
}

/// Decides what the last field comes to. A wrapper stands for its value.
fn finished(schema: &Schema, mut steps: Vec<PathStep>) -> BodyPath {
    let last = steps.last().filter(|step| step.cardinality != Cardinality::Map || step.key.is_some());
    let of = last.and_then(|step| message_ix(step.kind));
    let message: Option<(MessageIx, &Message)> = of.and_then(|at| Some((at, schema.messages.get(at.0 as usize)?)));
    let (leaf, ty) = match message.map(|(at, message)| (at, message, message.well_known)) {
        Some((_, _, Some(WellKnown::Timestamp))) => (Leaf::Timestamp, Type::Time),
        Some((_, _, Some(WellKnown::Duration))) => (Leaf::Duration, Type::Duration),
        Some((at, message, Some(WellKnown::Wrapper))) => match message.field(1) {
            Some(value) => {
                steps.push(step(schema, at, value));
                (Leaf::Scalar, scalar_type(value.kind))
            }
            None => (Leaf::Message, Type::Label),
        },
        Some(_) => (Leaf::Message, Type::Label),
        None => match last {
            Some(step) => (Leaf::Scalar, scalar_type(step.kind)),
            None => (Leaf::Message, Type::Label),
        },
    };
    BodyPath { steps, leaf, ty }
}

fn scalar_type(kind: Kind) -> Type {
    match kind {
        Kind::Double | Kind::Float => Type::Float,
        Kind::Int32 | Kind::Int64 | Kind::Sint32 | Kind::Sint64 | Kind::Sfixed32 | Kind::Sfixed64 => Type::Signed,
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => Type::Unsigned,
        Kind::Bool => Type::Bool,
        Kind::String => Type::Text,
        Kind::Bytes => Type::Bytes,
        Kind::Enum(at) => Type::Enum(Names::Schema(at)),
        Kind::Message(_) | Kind::Group(_) => Type::Label,
    }
}

fn map_key(kind: Kind, key: &str) -> Option<MapKey> {
    match kind {
        Kind::String => Some(MapKey::Text(key.as_bytes().into())),
        Kind::Bool => match key {
            "true" => Some(MapKey::Whole(1)),
            "false" => Some(MapKey::Whole(0)),
            _ => None,
        },
        _ => key.parse().ok().map(MapKey::Whole),
    }
}

impl BodyPath {
    /// The type of the message that the path ends at, if it ends at one: its fields may follow.
    pub(super) fn message(&self) -> Option<MessageIx> {
        self.steps.last().and_then(|step| message_ix(step.kind))
    }

    /// Visits the values that `body`, a message of the path's type, has at the path.
    pub(super) fn walk_body(&self, schema: &Schema, body: &Body<'_>, visit: &mut Visit<'_>) -> Flow {
        let hide = body.hides_marked_fields();
        match body.content() {
            Some(bytes) => self.walk_hiding(schema, bytes, hide, false, visit),
            // The bytes that are left of a message that is cut short can be looked at.
            None => self.walk_hiding(schema, body.wire(), hide, true, visit),
        }
    }

    /// Visits the values that `bytes`, a message of the path's type, has at the path. `hide`: what lies in a field that is
    /// marked `debug_redact` is hidden. `cut`: bytes at the end are missing.
    pub(super) fn walk_hiding(
        &self,
        schema: &Schema,
        bytes: &[u8],
        hide: bool,
        cut: bool,
        visit: &mut Visit<'_>,
    ) -> Flow {
        match self.steps.iter().position(|step| step.redact).filter(|_| hide) {
            None => self.level(schema, bytes, &self.steps, cut, visit),
            Some(marked) => self.level(schema, bytes, &self.steps[..=marked], cut, &mut |item| {
                visit(match item {
                    Item::Value(value) => Item::Hidden(value.as_bytes().map_or(0, <[u8]>::len)),
                    other => other,
                })
            }),
        }
    }

    fn level(&self, schema: &Schema, bytes: &[u8], steps: &[PathStep], cut: bool, visit: &mut Visit<'_>) -> Flow {
        let Some((step, rest)) = steps.split_first() else { return visit(Item::Value(Value::Present)) };
        // A field that may occur once: all its occurrences, of which the last one counts (messages are merged).
        let single = step.key.is_some() || !matches!(step.cardinality, Cardinality::Repeated | Cardinality::Map);
        let mut last: Option<wire::Value<'_>> = None;
        let mut merged: Vec<u8> = Vec::new();
        let mut lost = cut;
        for item in Fields::new(bytes) {
            let field = match item {
                Ok(field) => field,
                Err(broken) => {
                    lost |= broken.number == step.number || broken.end as usize >= bytes.len();
                    continue;
                }
            };
            if field.number != step.number {
                if last.is_some() && step.oneof.is_some() && self.oneof_of(schema, step, field.number) == step.oneof {
                    last = None;
                    merged.clear();
                }
                continue;
            }
            match shape(schema, step, &field.value) {
                Shape::Mismatch => {}
                // A number that a closed enumeration lacks counts as an unknown field.
                Shape::One if typed::outside_closed_enum(schema, step.kind, typed::bits(&field.value)) => {}
                Shape::Packed => {
                    let wire::Value::Bytes(numbers) = field.value else { continue };
                    for number in Packed::new(step.kind, numbers, 0) {
                        match number {
                            Ok((bits, _)) if typed::outside_closed_enum(schema, step.kind, bits) => {}
                            Ok((bits, _)) => visit(Item::Value(number_value(step.kind, bits)))?,
                            Err(_) => lost = true,
                        }
                    }
                }
                Shape::One if !single => self.found(schema, field.value, step, rest, visit)?,
                Shape::One if step.key.as_ref().is_some_and(|key| !is_entry_of(schema, step, key, &field.value)) => {}
                Shape::One => {
                    if let (Some(before), Some(more)) = (last.as_ref().and_then(content), content(&field.value))
                        && message_ix(step.kind).is_some()
                        && step.key.is_none()
                    {
                        if merged.is_empty() {
                            merged.extend_from_slice(before);
                        }
                        merged.extend_from_slice(more);
                    }
                    last = Some(field.value);
                }
            }
        }
        match last {
            Some(wire::Value::Bytes(_)) if !merged.is_empty() => {
                self.found(schema, wire::Value::Bytes(&merged), step, rest, visit)?;
            }
            Some(value) => self.found(schema, value, step, rest, visit)?,
            None if lost => {}
            None if step.in_entry || step.cardinality == Cardinality::Implicit => match message_ix(step.kind) {
                Some(_) => self.found(schema, wire::Value::Bytes(&[]), step, rest, visit)?,
                None => visit(Item::Value(default_value(step.kind)))?,
            },
            None => {}
        }
        if lost { visit(Item::Unknown) } else { ControlFlow::Continue(()) }
    }

    fn oneof_of(&self, schema: &Schema, step: &PathStep, number: u32) -> Option<u32> {
        let message = schema.messages.get(step.message.0 as usize)?;
        typed::lookup(message, number)?.1.oneof
    }

    /// A value of the field at `step`: the walk continues inside of it, or is at its end.
    fn found(
        &self,
        schema: &Schema,
        value: wire::Value<'_>,
        step: &PathStep,
        rest: &[PathStep],
        visit: &mut Visit<'_>,
    ) -> Flow {
        if !rest.is_empty() {
            return match content(&value) {
                Some(inside) => self.level(schema, inside, rest, false, visit),
                None => ControlFlow::Continue(()),
            };
        }
        match (self.leaf, content(&value)) {
            (Leaf::Scalar, _) => visit(Item::Value(scalar_value(step.kind, value))),
            (Leaf::Message, _) => visit(Item::Value(Value::Present)),
            (Leaf::Timestamp, Some(bytes)) => {
                visit(nanos(bytes).map_or(Item::Unknown, |ns| Item::Value(Value::Time(ns))))
            }
            (Leaf::Duration, Some(bytes)) => {
                visit(nanos(bytes).map_or(Item::Unknown, |ns| Item::Value(Value::Duration(ns))))
            }
            (_, None) => ControlFlow::Continue(()),
        }
    }
}

fn content<'w>(value: &wire::Value<'w>) -> Option<&'w [u8]> {
    match value {
        wire::Value::Bytes(bytes) | wire::Value::Group(bytes) => Some(bytes),
        _ => None,
    }
}

/// How a wire value stands to the type of a step's field.
fn shape(schema: &Schema, step: &PathStep, value: &wire::Value<'_>) -> Shape {
    let message = schema.messages.get(step.message.0 as usize);
    let field = message.and_then(|message| typed::lookup(message, step.number));
    field.map_or(Shape::Mismatch, |(_, field)| typed::shape(field, value))
}

/// Whether a map entry has this key. A key that is not on the wire is its type's default.
fn is_entry_of(schema: &Schema, step: &PathStep, key: &MapKey, entry: &wire::Value<'_>) -> bool {
    let Some(bytes) = content(entry) else { return false };
    let kind = message_ix(step.kind).and_then(|at| schema.messages.get(at.0 as usize)?.field(1)).map(|key| key.kind);
    let Some(kind) = kind else { return false };
    let found = Fields::new(bytes).flatten().filter(|field| field.number == 1).last();
    let value = found.map_or_else(|| default_value(kind), |field| scalar_value(kind, field.value));
    match key {
        MapKey::Text(text) => value.as_bytes() == Some(text),
        MapKey::Whole(number) => value.as_int() == Some(*number),
    }
}

fn scalar_value(kind: Kind, value: wire::Value<'_>) -> Value<'_> {
    match (kind, value) {
        (Kind::String, wire::Value::Bytes(bytes)) => Value::Text(Cow::Borrowed(bytes)),
        (_, wire::Value::Bytes(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
        _ => number_value(kind, typed::bits(&value)),
    }
}

fn number_value(kind: Kind, bits: u64) -> Value<'static> {
    match kind {
        Kind::Double => Value::Float(f64::from_bits(bits)),
        Kind::Float => Value::Float(f64::from(f32::from_bits(bits as u32))),
        Kind::Bool => Value::Bool(bits != 0),
        _ => Value::Int(typed::integer(kind, bits)),
    }
}

fn default_value(kind: Kind) -> Value<'static> {
    match kind {
        Kind::String => Value::Text(Cow::Borrowed(&[])),
        Kind::Bytes => Value::Bytes(Cow::Borrowed(&[])),
        _ => number_value(kind, 0),
    }
}

/// The nanoseconds of a `google.protobuf.Timestamp` or `Duration`: `int64 seconds = 1; int32 nanos = 2`.
fn nanos(bytes: &[u8]) -> Option<i128> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for field in Fields::new(bytes) {
        match field.ok()? {
            wire::Field { number: 1, value: wire::Value::Varint(bits), .. } => seconds = bits as i64,
            wire::Field { number: 2, value: wire::Value::Varint(bits), .. } => nanos = bits as i32,
            _ => {}
        }
    }
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

/// What is called for each message that is found; with `None` where bytes cannot be read.
pub(super) type VisitMessage<'v> = dyn FnMut(Option<&[u8]>) -> Flow + 'v;

/// The message types in which a type may occur, however deep: the others need not be walked.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    target: MessageIx,
    /// By [`MessageIx`].
    reaches: Vec<bool>,
}

impl Reach {
    pub(super) fn of(schema: &Schema, target: MessageIx) -> Self {
        let mut reaches = vec![false; schema.messages.len()];
        let mark = |reaches: &mut Vec<bool>, at: MessageIx| {
            reaches.get_mut(at.0 as usize).map(|slot| std::mem::replace(slot, true)).is_some_and(|was| !was)
        };
        mark(&mut reaches, target);
        // An Any may hold everything.
        for (message, at) in schema.messages.iter().zip(0..) {
            if message.well_known == Some(WellKnown::Any) {
                mark(&mut reaches, MessageIx(at));
            }
        }
        // Types mostly name types that come before or near them, so this ends after a few rounds.
        loop {
            let mut changed = false;
            for (message, at) in schema.messages.iter().zip(0..) {
                let inside = message.fields.iter().filter_map(|field| message_ix(field.kind));
                let found = inside.into_iter().any(|of| reaches.get(of.0 as usize).copied().unwrap_or(false));
                changed |= found && mark(&mut reaches, MessageIx(at));
            }
            if !changed {
                return Self { target, reaches };
            }
        }
    }

    /// Whether a message of type `at` can hold the target, or is one.
    pub(super) fn from(&self, at: MessageIx) -> bool {
        self.reaches.get(at.0 as usize).copied().unwrap_or(false)
    }

    /// Visits the bytes of every message of the target type in `bytes`, a message of type `at`.
    pub(super) fn find(
        &self,
        schema: &Schema,
        at: MessageIx,
        bytes: &[u8],
        depth: u32,
        visit: &mut VisitMessage<'_>,
    ) -> Flow {
        if at == self.target {
            visit(Some(bytes))?;
        }
        let Some(message) = schema.messages.get(at.0 as usize).filter(|_| self.from(at) && depth < MAX_DEPTH) else {
            return ControlFlow::Continue(());
        };
        if message.well_known == Some(WellKnown::Any) {
            return match any_content(schema, bytes) {
                Some((of, inside)) => self.find(schema, of, inside, depth + 1, visit),
                None => ControlFlow::Continue(()),
            };
        }
        for item in Fields::new(bytes) {
            let Ok(field) = item else {
                visit(None)?;
                continue;
            };
            let Some((_, known)) = typed::lookup(message, field.number) else { continue };
            let Some(of) = message_ix(known.kind).filter(|&of| self.from(of)) else { continue };
            if let Some(inside) = content(&field.value)
                && typed::shape(known, &field.value) == Shape::One
            {
                self.find(schema, of, inside, depth + 1, visit)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// The type and bytes of what an Any holds, where the schema has its type.
fn any_content<'b>(schema: &Schema, bytes: &'b [u8]) -> Option<(MessageIx, &'b [u8])> {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1, wire::Value::Bytes(bytes)) => url = bytes,
            (2, wire::Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let name = std::str::from_utf8(url).ok()?.rsplit('/').next()?;
    Some((schema.message(name)?, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    const PROTO: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        enum State { NONE = 0; OPEN = 1; }
        message Item { string sku = 1; repeated int32 sizes = 2; optional int32 rank = 3; }
        message Order {
            int32 id = 1; repeated Item items = 2; map<string, Item> parts = 3; map<int32, string> names = 4;
            State state = 5; oneof by { string name = 6; int32 number = 7; }
            google.protobuf.Timestamp at = 8; google.protobuf.Int32Value limit = 9; Order inner = 10;
            string snake_case = 11;
        }
    "#;

    fn values(path: &[Part<'_>], bytes: &[u8], cut: bool) -> Vec<Item<'static>> {
        let schema = compile(PROTO);
        let path = resolve(&schema, schema.message("t.Order").unwrap(), path).unwrap();
        let mut found = Vec::new();
        let _ = path.walk_hiding(&schema, bytes, false, cut, &mut |item| {
            found.push(match item {
                Item::Value(Value::Text(text)) => Item::Value(Value::Text(Cow::Owned(text.into_owned()))),
                Item::Value(Value::Bytes(text)) => Item::Value(Value::Bytes(Cow::Owned(text.into_owned()))),
                Item::Value(Value::Int(number)) => Item::Value(Value::Int(number)),
                Item::Value(Value::Time(nanos)) => Item::Value(Value::Time(nanos)),
                Item::Value(Value::Present) => Item::Value(Value::Present),
                Item::Unknown => Item::Unknown,
                other => panic!("{other:?}"),
            });
            ControlFlow::Continue(())
        });
        found
    }

    fn int(number: i128) -> Item<'static> {
        Item::Value(Value::Int(number))
    }

    fn text(text: &'static str) -> Item<'static> {
        Item::Value(Value::text(text))
    }

    use Part::{Key, Name};

    #[test]
    fn fields_that_may_occur_once_have_the_last_value_or_a_default() {
        assert_eq!(values(&[Name("id")], &[], false), [int(0)]);
        assert_eq!(values(&[Name("id")], &[0x08, 5, 0x08, 7], false), [int(7)]);
        assert_eq!(values(&[Name("id")], &[0x0a, 1, b'x'], false), [int(0)]); // another wire type is another field
        assert_eq!(values(&[Name("snakeCase")], &[], false), [text("")]);
        // Explicit presence: no default.
        assert_eq!(values(&[Name("name")], &[], false), []);
        assert_eq!(values(&[Name("items"), Name("rank")], &[0x12, 0], false), []);
        // The last member of a oneof is the one that is set.
        assert_eq!(values(&[Name("name")], &[0x32, 1, b'a', 0x38, 1], false), []);
        assert_eq!(values(&[Name("name")], &[0x38, 1, 0x32, 1, b'a'], false), [text("a")]);
    }

    #[test]
    fn repeated_fields_maps_and_nested_messages() {
        let items = [0x12, 3, 0x0a, 1, b'a', 0x12, 4, 0x12, 2, 1, 2, 0x12, 2, 0x10, 9];
        assert_eq!(values(&[Name("items"), Name("sku")], &items, false), [text("a"), text(""), text("")]);
        assert_eq!(values(&[Name("items"), Name("sizes")], &items, false), [int(1), int(2), int(9)]);
        assert_eq!(values(&[Name("items")], &items, false).len(), 3);
        let parts = [0x1a, 8, 0x0a, 1, b'k', 0x12, 3, 0x0a, 1, b'v'];
        assert_eq!(values(&[Name("parts"), Key("k"), Name("sku")], &parts, false), [text("v")]);
        assert_eq!(values(&[Name("parts"), Key("x"), Name("sku")], &parts, false), []);
        assert_eq!(values(&[Name("parts"), Name("key")], &parts, false), [text("k")]);
        // A key and a value that are not on the wire are defaults; the last entry of a key counts.
        assert_eq!(values(&[Name("names"), Key("0")], &[0x22, 0], false), [text("")]);
        let twice = [0x22, 5, 0x08, 1, 0x12, 1, b'a', 0x22, 5, 0x08, 1, 0x12, 1, b'b'];
        assert_eq!(values(&[Name("names"), Key("1")], &twice, false), [text("b")]);
        // Two parts of one message are merged.
        let merged = [0x52, 2, 0x08, 1, 0x52, 3, 0x32, 1, b'x'];
        assert_eq!(values(&[Name("inner"), Name("id")], &merged, false), [int(1)]);
    }

    #[test]
    fn well_known_types_are_values_of_their_own() {
        assert_eq!(
            values(&[Name("at")], &[0x42, 4, 0x08, 2, 0x10, 5], false),
            [Item::Value(Value::Time(2_000_000_005))]
        );
        assert_eq!(values(&[Name("at"), Name("seconds")], &[0x42, 2, 0x08, 2], false), [int(2)]);
        assert_eq!(values(&[Name("limit")], &[0x4a, 0], false), [int(0)]);
        assert_eq!(values(&[Name("limit")], &[], false), []);
    }

    #[test]
    fn what_is_cut_off_is_unknown() {
        assert_eq!(values(&[Name("id")], &[], true), [Item::Unknown]);
        assert_eq!(values(&[Name("id")], &[0x08, 5], true), [int(5), Item::Unknown]);
        assert_eq!(values(&[Name("id")], &[0x12, 9, 1], false), [Item::Unknown]);
        assert_eq!(values(&[Name("items"), Name("sku")], &[0x12, 2, 0x0a, 5], false), [Item::Unknown]);
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let schema = compile(PROTO);
        let root = schema.message("t.Order").unwrap();
        let miss =
            |parts: &[Part<'_>]| resolve(&schema, root, parts).map_err(|miss| (miss.part, miss.cause)).unwrap_err();
        assert_eq!(miss(&[Name("nope")]), (0, MissCause::NoField));
        assert_eq!(miss(&[Name("id"), Name("x")]), (1, MissCause::NotAMessage));
        assert_eq!(miss(&[Name("items"), Key("x")]), (1, MissCause::NotAMap));
        assert_eq!(miss(&[Name("names"), Key("x")]), (1, MissCause::WrongKey));
        assert_eq!(miss(&vec![Name("inner"); 200]), (100, MissCause::TooLong));
    }

    #[test]
    fn messages_are_found_wherever_they_are() {
        let schema = compile(PROTO);
        let order = schema.message("t.Order").unwrap();
        let reach = Reach::of(&schema, schema.message("t.Item").unwrap());
        assert!(reach.from(order) && !reach.from(schema.message("google.protobuf.Timestamp").unwrap()));
        let bytes = [0x52, 5, 0x12, 3, 0x0a, 1, b'a', 0x12, 0];
        let mut found = Vec::new();
        let _ = reach.find(&schema, order, &bytes, 0, &mut |message| {
            found.push(message.unwrap().to_vec());
            ControlFlow::Continue(())
        });
        assert_eq!(found, [vec![0x0a, 1, b'a'], vec![]]);
    }

    #[test]
    fn an_alias_of_an_enum_is_a_name_of_its_number() {
        use crate::filter::{Names, Target};
        let schema = compile(
            r#"
            syntax = "proto3";
            package t;
            enum Level { option allow_alias = true; LOW = 0; SMALL = 0; HIGH = 2; LARGE = 2; }
            message M { Level level = 1; }
            service S { rpc Call(M) returns (M); }
        "#,
        );
        let names = Names::Schema(crate::schema::EnumIx(0));
        assert_eq!((names.number(&schema, "LARGE"), names.number(&schema, "high")), (Some(2), Some(2)));
        assert_eq!(names.name(&schema, 2), Some("HIGH"), "of aliases the first one is shown");
        assert!(crate::filter::Filter::compile("rpc.request.level == SMALL", &schema, Target::Calls).is_ok());
        assert!(crate::filter::Filter::compile("rpc.request.level == HUGE", &schema, Target::Calls).is_err());
    }
}
