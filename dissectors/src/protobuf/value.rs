//! A field's value, by its type or by its wire type alone.

use super::typed::{self, Packed, Shape};
use super::wire::{Cause, Value};
use crate::schema::{Field, Kind, MessageIx, Schema};

/// A field's value. Text, bytes and messages are parts of the message's bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// `bool`
    Bool(bool),
    /// `int32`, `sint32`, `sfixed32`
    Int32(i32),
    /// `int64`, `sint64`, `sfixed64`
    Int64(i64),
    /// `uint32`, `fixed32`
    Uint32(u32),
    /// `uint64`, `fixed64`
    Uint64(u64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// An enumeration's number, and its name if the schema has one for it.
    Enum {
        /// The number.
        number: i32,
        /// Its name.
        name: Option<&'a str>,
    },
    /// `google.protobuf.NullValue`
    Null,
    /// A string: UTF-8 unless its sender is at fault.
    Text(&'a [u8]),
    /// `bytes`
    Bytes(&'a [u8]),
    /// A message of this type.
    Message {
        /// Its type.
        ix: MessageIx,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// JSON text, in an `Any`.
    Json(&'a [u8]),
    /// A varint without a type.
    Varint(u64),
    /// Four bytes without a type.
    Fixed32(u32),
    /// Eight bytes without a type.
    Fixed64(u64),
    /// Bytes that are not a field, and why.
    Broken(Cause),
}

impl<'a> FieldValue<'a> {
    /// The value of `field` that `wire` is. `None` if the wire type is another one, and for packed numbers: see
    /// [`FieldValue::all_of`].
    pub fn of(schema: &'a Schema, field: &Field, wire: Value<'a>) -> Option<Self> {
        if typed::shape(field, &wire) != Shape::One {
            return None;
        }
        Some(match (field.kind, wire) {
            (Kind::String, Value::Bytes(bytes)) => Self::Text(bytes),
            (Kind::Bytes, Value::Bytes(bytes)) => Self::Bytes(bytes),
            (Kind::Message(ix), Value::Bytes(bytes)) | (Kind::Group(ix), Value::Group(bytes)) => {
                Self::Message { ix, bytes }
            }
            (kind, value) => Self::number(schema, kind, typed::bits(&value)),
        })
    }

    /// All values that one field on the wire holds: one, or the numbers of a packed field up to the first broken one. None if
    /// the wire type is another one.
    pub fn all_of(schema: &'a Schema, field: &'a Field, wire: Value<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let one = Self::of(schema, field, wire);
        let packed = match (typed::shape(field, &wire), wire) {
            (Shape::Packed, Value::Bytes(bytes)) => Some(Packed::new(field.kind, bytes, 0)),
            _ => None,
        };
        let numbers = packed.into_iter().flatten().map_while(Result::ok);
        one.into_iter().chain(numbers.map(|(bits, _)| Self::number(schema, field.kind, bits)))
    }

    /// The number, boolean or enumeration `bits`.
    pub(crate) fn number(schema: &'a Schema, kind: Kind, bits: u64) -> Self {
        match kind {
            Kind::Bool => Self::Bool(bits != 0),
            Kind::Int32 | Kind::Sfixed32 => Self::Int32(bits as i32),
            Kind::Sint32 => Self::Int32(typed::zigzag32(bits)),
            Kind::Int64 | Kind::Sfixed64 => Self::Int64(bits as i64),
            Kind::Sint64 => Self::Int64(typed::zigzag64(bits)),
            Kind::Uint32 | Kind::Fixed32 => Self::Uint32(bits as u32),
            Kind::Uint64 | Kind::Fixed64 => Self::Uint64(bits),
            Kind::Float => Self::Float(f32::from_bits(bits as u32)),
            Kind::Double => Self::Double(f64::from_bits(bits)),
            Kind::Enum(at) => {
                let number = bits as i32;
                match schema.enums.get(at.0 as usize) {
                    // Its only value stands for null.
                    Some(e) if &*e.name == "google.protobuf.NullValue" => Self::Null,
                    e => Self::Enum { number, name: e.and_then(|e| e.value_name(number)) },
                }
            }
            // A value of these is never a number.
            Kind::String | Kind::Bytes => Self::Bytes(&[]),
            Kind::Message(ix) | Kind::Group(ix) => Self::Message { ix, bytes: &[] },
        }
    }
}
