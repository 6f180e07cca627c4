//! What messages must look like: map entries and well-known types.

use super::linker::Linker;
use crate::schema::table::{Cardinality, Field, Kind, Message, Schema, WellKnown};

impl<'a, 's> Linker<'a, 's> {
    /// Holds what the table promises of map entries. A map whose key or value is of a type that is not there cannot be
    /// shown; an invalid entry (no compiler writes one) is an ordinary message.
    pub(super) fn check_maps(&mut self) {
        let schema = &mut self.schema;
        let incomplete: Vec<bool> = schema.messages.iter().map(|m| m.map_entry && m.fields.len() < 2).collect();
        for message in schema.messages.iter_mut().filter(|m| m.map_entry) {
            message.map_entry = is_entry(&message.fields);
        }
        let entries: Vec<bool> = schema.messages.iter().map(|m| m.map_entry).collect();
        let among = |list: &[bool], field: &Field| match field.kind {
            Kind::Message(ix) => list.get(ix.0 as usize).copied().unwrap_or_default(),
            _ => false,
        };
        for message in &mut schema.messages {
            message.fields.retain(|f| f.cardinality != Cardinality::Map || !among(&incomplete, f));
            for field in message.fields.iter_mut().filter(|f| f.cardinality == Cardinality::Map) {
                if !among(&entries, field) {
                    field.cardinality = Cardinality::Repeated;
                }
            }
        }
    }

    /// Takes the mark of a well-known type from messages that only have its name.
    pub(super) fn check_well_known(&mut self) {
        let wrong: Vec<usize> = (0..self.schema.messages.len())
            .filter(|&at| self.schema.messages.get(at).is_some_and(|m| !has_shape(&self.schema, m)))
            .collect();
        for at in wrong {
            if let Some(message) = self.schema.messages.get_mut(at) {
                message.well_known = None;
            }
        }
    }
}

/// By number; of two with one number the first stays.
pub(super) fn sort_fields(fields: &mut Vec<Field>) {
    fields.sort_by_key(|f| f.number);
    fields.dedup_by_key(|f| f.number);
}

pub(super) fn same_fields(a: &[Field], b: &[Field]) -> bool {
    let shape = |f: &Field| (f.number, f.kind, f.cardinality);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| shape(a) == shape(b) && a.name == b.name)
}

/// Whether `fields` are those of a map entry.
fn is_entry(fields: &[Field]) -> bool {
    let [key, value] = fields else { return false };
    let keyed = !matches!(
        key.kind,
        Kind::Double | Kind::Float | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_)
    );
    let single = |f: &Field| matches!(f.cardinality, Cardinality::Implicit | Cardinality::Explicit);
    keyed && (key.number, value.number) == (1, 2) && single(key) && single(value)
}

/// Whether `message` has the fields that its mark as a well-known type promises.
fn has_shape(schema: &Schema, message: &Message) -> bool {
    let Some(known) = message.well_known else { return true };
    let single = |f: &Field| matches!(f.cardinality, Cardinality::Implicit | Cardinality::Explicit);
    let is = |f: &Field, kind| f.kind == kind && single(f);
    let named = |f: &Field, name: &str| matches!(f.kind, Kind::Message(ix) if &*schema[ix].name == name);
    let in_order = message.fields.iter().zip(1..).all(|(f, number)| f.number == number);
    in_order
        && match (known, &*message.fields) {
            (WellKnown::Any, [url, value]) => is(url, Kind::String) && is(value, Kind::Bytes),
            (WellKnown::Timestamp | WellKnown::Duration, [seconds, nanos]) => {
                is(seconds, Kind::Int64) && is(nanos, Kind::Int32)
            }
            (WellKnown::FieldMask, [paths]) => paths.kind == Kind::String && paths.cardinality == Cardinality::Repeated,
            (WellKnown::Struct, [fields]) => {
                let Kind::Message(entry) = fields.kind else { return false };
                fields.cardinality == Cardinality::Map
                    && matches!(&*schema[entry].fields, [key, value]
                        if key.kind == Kind::String && named(value, "google.protobuf.Value"))
            }
            (WellKnown::Value, [null, number, string, boolean, map, list]) => {
                matches!(null.kind, Kind::Enum(_))
                    && is(number, Kind::Double)
                    && is(string, Kind::String)
                    && is(boolean, Kind::Bool)
                    && named(map, "google.protobuf.Struct")
                    && named(list, "google.protobuf.ListValue")
                    && message.fields.iter().all(|f| f.oneof == Some(0))
            }
            (WellKnown::ListValue, [values]) => {
                values.cardinality == Cardinality::Repeated && named(values, "google.protobuf.Value")
            }
            (WellKnown::Wrapper, [value]) => {
                single(value) && !matches!(value.kind, Kind::Enum(_) | Kind::Message(_) | Kind::Group(_))
            }
            (WellKnown::Empty, []) => true,
            _ => false,
        }
}

pub(super) fn well_known(name: &str) -> Option<WellKnown> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Any" => WellKnown::Any,
        "Timestamp" => WellKnown::Timestamp,
        "Duration" => WellKnown::Duration,
        "FieldMask" => WellKnown::FieldMask,
        "Struct" => WellKnown::Struct,
        "Value" => WellKnown::Value,
        "ListValue" => WellKnown::ListValue,
        "Empty" => WellKnown::Empty,
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue"
        | "StringValue" | "BytesValue" => WellKnown::Wrapper,
        _ => return None,
    })
}
