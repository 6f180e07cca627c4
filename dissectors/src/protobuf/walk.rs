//! Going through a message field by field, nested ones too, in the order of the bytes, without making anything.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::typed::{self, Shape};
use super::value::FieldValue;
use super::wire::{self, Broken, Fields, Value};
use crate::schema::{Field, Message, MessageIx, Schema, WellKnown};

/// A field on the wire, as [`walk`] and [`walk_where`] show it.
#[derive(Debug)]
pub struct Step<'w, 's, 'a> {
    /// The schema.
    pub schema: &'s Schema,
    /// The fields that it lies within, from the outermost; empty for a field of the message itself.
    pub path: &'w [&'s Field],
    /// The message type that it is a field of.
    pub message: &'s Message,
    /// Which field it is; none if the type has no such number, or another wire type for it.
    pub field: Option<&'s Field>,
    /// The value and where it lies, or what lies there instead.
    pub wire: &'w Result<wire::Field<'a>, Broken<'a>>,
}

/// Where a walk goes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Into the field, if it is a message, and then on.
    Inside,
    /// To the field that follows, without looking into this one.
    Over,
    /// Nowhere: what was looked for is found.
    Stop,
}

impl<'s, 'a> Step<'_, 's, 'a> {
    /// How many messages it lies within, 0 for a field of the message itself.
    pub fn depth(&self) -> usize {
        self.path.len()
    }

    /// Its values: one, or all numbers of a packed field. None where the field is not known or is broken.
    pub fn values<'v>(&self) -> impl Iterator<Item = FieldValue<'v>>
    where
        's: 'v,
        'a: 'v,
    {
        let known = self.field.zip(self.wire.as_ref().ok());
        let schema: &'v Schema = self.schema;
        known.into_iter().flat_map(move |(field, wire)| {
            let (field, value): (&'v Field, Value<'v>) = (field, wire.value);
            FieldValue::all_of(schema, field, value)
        })
    }
}

/// Calls `visit` for every field of `bytes`, a `message`; a nested message comes before its own fields.
///
/// Packed numbers are one step, and so is what lies deeper than [`wire::MAX_DEPTH`]. The message in an `Any` whose type is
/// known is gone into as one in its field `value`. `Break` ends the walk.
pub fn walk<'s, 'a>(
    schema: &'s Schema,
    message: MessageIx,
    bytes: &'a [u8],
    mut visit: impl FnMut(&Step<'_, 's, 'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    walk_where(schema, message, bytes, |step| match visit(step) {
        ControlFlow::Continue(()) => Next::Inside,
        ControlFlow::Break(()) => Next::Stop,
    })
}

/// The same where `visit` also decides what is gone into: a filter looks into the messages on its field's path only.
pub fn walk_where<'s, 'a>(
    schema: &'s Schema,
    message: MessageIx,
    bytes: &'a [u8],
    visit: impl FnMut(&Step<'_, 's, 'a>) -> Next,
) -> ControlFlow<()> {
    let Some(message) = schema.messages.get(message.0 as usize) else { return ControlFlow::Continue(()) };
    Walk { schema, path: SmallVec::new(), visit }.inside(message, Fields::new(bytes))
}

struct Walk<'s, F> {
    schema: &'s Schema,
    path: SmallVec<[&'s Field; 8]>,
    visit: F,
}

impl<'s, F> Walk<'s, F> {
    fn inside<'a>(&mut self, message: &'s Message, fields: Fields<'a>) -> ControlFlow<()>
    where
        F: FnMut(&Step<'_, 's, 'a>) -> Next,
    {
        let schema = self.schema;
        let is_any = message.well_known == Some(WellKnown::Any);
        let any = if is_any { typed::any_type(schema, fields) } else { None };
        for wire in fields {
            let (number, content) = match &wire {
                Ok(wire) => (wire.number, Some((wire.value_at, wire.value))),
                Err(broken) => (broken.number, broken.partial),
            };
            let field = typed::lookup(message, number).map(|(_, field)| field);
            let field = field
                .filter(|field| wire.as_ref().map_or(true, |wire| typed::shape(field, &wire.value) != Shape::Mismatch));
            match (self.visit)(&Step { schema, path: &self.path, message, field, wire: &wire }) {
                Next::Inside => {}
                Next::Over => continue,
                Next::Stop => return ControlFlow::Break(()),
            }
            let Some((field, (at, Value::Bytes(bytes) | Value::Group(bytes)))) = field.zip(content) else { continue };
            let inner = match any.filter(|_| number == 2) {
                Some(any) => Some(any),
                None => typed::message_of(schema, field.kind),
            };
            let Some(inner) = inner.filter(|_| self.path.len() < wire::MAX_DEPTH as usize) else { continue };
            self.path.push(field);
            let walked = self.inside(inner, Fields::at(bytes, at));
            self.path.pop();
            walked?;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    const SCHEMA: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        message M { int32 number = 1; M inner = 2; repeated sint32 list = 3; google.protobuf.Any any = 4; bytes raw = 5; }
    "#;

    const BYTES: &[u8] = &[
        0x12, 4, 0x08, 7, 0x12, 0, // inner: number 7, inner: empty
        0x1a, 2, 1, 4, // list: packed -1, 2
        0x22, 9, 0x0a, 3, b't', b'.', b'M', 0x12, 2, 0x08, 9, // any: an M with number 9
        0x2a, 2, 0x08, 1, // raw: not a message
        0x08, 5, // number 5
    ];

    fn paths(next: impl Fn(&Step<'_, '_, '_>) -> Next) -> Vec<String> {
        let schema = compile(SCHEMA);
        let mut paths = Vec::new();
        let _ = walk_where(&schema, schema.message("t.M").unwrap(), BYTES, |step| {
            let fields = step.path.iter().copied().chain(step.field).map(|field| &*field.name);
            let values = step.values().filter(|value| !matches!(value, FieldValue::Message { .. }));
            let values: Vec<_> = values.map(|value| format!("{value:?}")).collect();
            paths.push(format!("{} {}", fields.collect::<Vec<_>>().join("."), values.join(" ")).trim().to_owned());
            next(step)
        });
        paths
    }

    #[test]
    fn every_field_with_its_path_and_values() {
        assert_eq!(
            paths(|_| Next::Inside),
            [
                "inner",
                "inner.number Int32(7)",
                "inner.inner",
                "list Int32(-1) Int32(2)",
                "any",
                "any.type_url Text([116, 46, 77])",
                "any.value Bytes([8, 9])",
                "any.value.number Int32(9)",
                "raw Bytes([8, 1])",
                "number Int32(5)",
            ]
        );
    }

    #[test]
    fn a_walk_steps_over_what_is_not_wanted_and_stops_when_it_has_found_it() {
        let named = |step: &Step<'_, '_, '_>| step.field.map_or("", |field| &*field.name).to_owned();
        let got = paths(|step| if named(step) == "any" { Next::Stop } else { Next::Over });
        assert_eq!(got, ["inner", "list Int32(-1) Int32(2)", "any"]);
    }
}
