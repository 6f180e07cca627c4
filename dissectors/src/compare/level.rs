//! One level of a message: its fields with what the wire means settled. The last scalar wins, messages merge, a oneof keeps its
//! last member, packed and unpacked numbers are the same list, a default value of a field without presence is none.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::protobuf::typed::{self, Packed, Shape};
use crate::protobuf::wire::{self, Cause, Fields};
use crate::schema::{Cardinality, Field, Kind, Message, Schema};

/// Values that are looked at in one pair of messages, with all repeated looks at nested ones. A pair that takes more is not
/// compared to its end; as its bytes differ, it counts as different.
pub const MAX_VALUES: u64 = 8_000_000;

/// How many values may still be looked at.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { left: MAX_VALUES }
    }

    /// Takes `count` off. False once there are no more.
    pub(super) const fn take(&mut self, count: u64) -> bool {
        self.left = self.left.saturating_sub(count);
        self.left > 0
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.left == 0
    }
}

/// The bytes of a message. One that came in several pieces has several, which together mean the same as one after the other.
pub(super) type Parts<'a> = SmallVec<[&'a [u8]; 1]>;

/// A message with its type.
#[derive(Clone, Copy)]
pub(super) struct TypedMessage<'p, 'a> {
    pub(super) typed: Typed<'a>,
    pub(super) parts: &'p [&'a [u8]],
}

impl<'a> Typed<'a> {
    pub(super) fn with<'p>(self, parts: &'p [&'a [u8]]) -> TypedMessage<'p, 'a> {
        TypedMessage { typed: self, parts }
    }
}

/// All bytes of a message.
pub(super) fn joined<'a>(parts: &[&'a [u8]]) -> Cow<'a, [u8]> {
    match parts {
        [] => Cow::Borrowed(&[]),
        [only] => Cow::Borrowed(only),
        _ => Cow::Owned(parts.concat()),
    }
}

/// A message type and the schema that it is of.
#[derive(Clone, Copy)]
pub(super) struct Typed<'a> {
    pub(super) schema: &'a Schema,
    pub(super) message: &'a Message,
}

/// A value of a field.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// A number, a boolean or an enumeration: its bits on the wire.
    Bits(u64),
    /// A string or bytes.
    Bytes(&'a [u8]),
    /// A message.
    Message(Parts<'a>),
}

impl Value<'_> {
    /// Its length in bytes, about.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => (64 - (bits | 1).leading_zeros()).div_ceil(7) as usize,
            Self::Bytes(bytes) => bytes.len(),
            Self::Message(parts) => parts.iter().map(|part| part.len()).sum(),
        }
    }
}

/// The default of a field without presence.
pub(super) fn default_of<'a>(schema: &Schema, kind: Kind) -> Value<'a> {
    match kind {
        Kind::String | Kind::Bytes => Value::Bytes(&[]),
        Kind::Message(_) | Kind::Group(_) => Value::Message(Parts::new()),
        Kind::Enum(ix) => {
            let default = schema.enums.get(ix.0 as usize).map_or(0, |declared| declared.default);
            Value::Bits(i64::from(default) as u64)
        }
        _ => Value::Bits(0),
    }
}

/// A field and its values: one, or those of a list or map.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) schema: &'a Schema,
    pub(super) field: &'a Field,
    pub(super) values: SmallVec<[Value<'a>; 1]>,
}

/// One level of a message.
pub(super) struct Level<'a> {
    /// By their numbers.
    pub(super) entries: Vec<Entry<'a>>,
    /// Fields that the type does not have, in their order.
    pub(super) unknown: Vec<wire::Field<'a>>,
    /// What cannot be read, and why.
    pub(super) broken: Option<(Cause, &'a [u8])>,
}

impl<'a> Level<'a> {
    /// Reads one level of a message of type `own`. Fields that only `other`, the type of the message that it is compared with,
    /// has are read by that. `None` if the budget is spent.
    pub(super) fn read(own: Typed<'a>, other: Typed<'a>, parts: &[&'a [u8]], budget: &mut Budget) -> Option<Self> {
        let mut level = Self { entries: Vec::new(), unknown: Vec::new(), broken: None };
        for part in parts {
            for item in Fields::new(part) {
                if !budget.take(1) {
                    return None;
                }
                match item {
                    Ok(wire) => level.add(own, other, wire, budget)?,
                    Err(broken) => {
                        let rest = part.get(broken.at as usize..).unwrap_or_default();
                        level.broken.get_or_insert((broken.cause, rest));
                    }
                }
            }
        }
        let has_presence = |entry: &Entry<'_>| entry.field.cardinality != Cardinality::Implicit;
        level.entries.retain(|entry| {
            has_presence(entry) || entry.values.first().is_some_and(|value| !is_default(entry.field.kind, value))
        });
        Some(level)
    }

    fn add(&mut self, own: Typed<'a>, other: Typed<'a>, wire: wire::Field<'a>, budget: &mut Budget) -> Option<()> {
        let known = [own, other].into_iter().find_map(|typed| Some((typed, typed.message.field(wire.number)?)));
        let Some((Typed { schema, .. }, field)) = known else {
            self.unknown.push(wire);
            return Some(());
        };
        let outside = |bits| typed::outside_closed_enum(schema, field.kind, bits);
        match (typed::shape(field, &wire.value), wire.value) {
            (Shape::Packed, wire::Value::Bytes(bytes)) => {
                for bits in Packed::new(field.kind, bytes, 0) {
                    if !budget.take(1) {
                        return None;
                    }
                    match bits {
                        Ok((bits, _)) if outside(bits) => {
                            self.unknown.push(wire::Field { value: wire::Value::Varint(bits), ..wire });
                        }
                        Ok((bits, _)) => self.push(schema, field, Value::Bits(bits)),
                        Err(_) => _ = self.broken.get_or_insert((Cause::CutShort, bytes)),
                    }
                }
            }
            (Shape::One, wire::Value::Bytes(bytes)) => {
                self.push(
                    schema,
                    field,
                    match field.kind {
                        Kind::Message(_) => Value::Message(Parts::from_slice(&[bytes])),
                        _ => Value::Bytes(bytes),
                    },
                );
            }
            (Shape::One, wire::Value::Group(bytes)) => {
                self.push(schema, field, Value::Message(Parts::from_slice(&[bytes])));
            }
            (Shape::One, value) if !outside(typed::bits(&value)) => {
                self.push(schema, field, Value::Bits(typed::bits(&value)));
            }
            _ => self.unknown.push(wire),
        }
        Some(())
    }

    fn push(&mut self, schema: &'a Schema, field: &'a Field, value: Value<'a>) {
        let found = match self.entries.last() {
            // Encoders write fields in the order of their numbers.
            Some(last) if last.field.number < field.number => Err(self.entries.len()),
            _ => self.entries.binary_search_by_key(&field.number, |entry| entry.field.number),
        };
        match found {
            Err(at) => {
                let values = SmallVec::from_iter([value]);
                self.entries.insert(at, Entry { schema, field, values });
                if let Some(oneof) = field.oneof {
                    self.entries.retain(|entry| entry.field.oneof != Some(oneof) || entry.field.number == field.number);
                }
            }
            Ok(at) => {
                let Some(entry) = self.entries.get_mut(at) else { return };
                let several = matches!(field.cardinality, Cardinality::Repeated | Cardinality::Map);
                match (entry.values.first_mut(), value) {
                    (_, value) if several => entry.values.push(value),
                    (Some(Value::Message(before)), Value::Message(parts)) => before.extend(parts),
                    (Some(before), value) => *before = value,
                    (None, value) => entry.values.push(value),
                }
            }
        }
    }
}

/// Whether a value is the one that a field without presence leaves out.
pub(super) fn is_default(kind: Kind, value: &Value<'_>) -> bool {
    match value {
        Value::Bits(bits) => typed::is_default(kind, *bits),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Message(_) => false,
    }
}
