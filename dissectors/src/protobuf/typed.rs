//! Where wire values meet their types: which field a number is, which wire types it takes, what the bits mean.

use std::borrow::Cow;
use std::ops::Range;

use super::wire::{self, Value};
use crate::Cursor;
use crate::json;
use crate::schema::{Cardinality, Field, Kind, Message, Schema};

/// The field `number` of `message` and its index.
#[inline]
pub(crate) fn lookup(message: &Message, number: u32) -> Option<(u32, &Field)> {
    // Numbers mostly run from 1 without holes: look there first.
    let guess = number.wrapping_sub(1);
    match message.fields.get(guess as usize) {
        Some(field) if field.number == number => Some((guess, field)),
        _ => {
            let at = message.fields.binary_search_by_key(&number, |f| f.number).ok()?;
            Some((at as u32, message.fields.get(at)?))
        }
    }
}

/// How a wire value stands to a field's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value of the type.
    One,
    /// Numbers of the type, one after the other.
    Packed,
    /// Another wire type.
    Mismatch,
}

/// How `value` stands to `field`'s type.
#[inline]
pub(crate) fn shape(field: &Field, value: &Value<'_>) -> Shape {
    match (value, wire_form(field.kind)) {
        (Value::Varint(_), WireForm::Varint)
        | (Value::Fixed64(_), WireForm::Fixed64)
        | (Value::Fixed32(_), WireForm::Fixed32)
        | (Value::Bytes(_), WireForm::Bytes)
        | (Value::Group(_), WireForm::Group) => Shape::One,
        (Value::Bytes(_), WireForm::Varint | WireForm::Fixed64 | WireForm::Fixed32)
            if field.cardinality == Cardinality::Repeated =>
        {
            Shape::Packed
        }
        _ => Shape::Mismatch,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WireForm {
    Varint,
    Fixed64,
    Bytes,
    Group,
    Fixed32,
}

#[inline]
fn wire_form(kind: Kind) -> WireForm {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireForm::Fixed64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireForm::Fixed32,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireForm::Bytes,
        Kind::Group(_) => WireForm::Group,
        _ => WireForm::Varint,
    }
}

/// The type that the `Any` with these fields names.
pub(crate) fn any_type<'s>(schema: &'s Schema, fields: wire::Fields<'_>) -> Option<&'s Message> {
    let url = fields.filter_map(Result::ok).filter(|field| field.number == 1).last()?;
    let Value::Bytes(url) = url.value else { return None };
    let name = std::str::from_utf8(url.rsplit(|&b| b == b'/').next()?).ok()?;
    schema.messages.get(schema.message(name)?.0 as usize)
}

/// The type as the schema writes it: `int32`, `acme.Order`, `map<string, acme.Item>`.
pub(crate) fn type_name<'s>(schema: &'s Schema, field: &'s Field) -> Cow<'s, str> {
    if field.cardinality == Cardinality::Map
        && let Some(entry) = message_of(schema, field.kind)
    {
        let part = |number| entry.field(number).map_or(Cow::Borrowed("?"), |field| kind_name(schema, field.kind));
        return Cow::Owned(format!("map<{}, {}>", part(1), part(2)));
    }
    kind_name(schema, field.kind)
}

fn kind_name(schema: &Schema, kind: Kind) -> Cow<'_, str> {
    Cow::Borrowed(match kind {
        Kind::Enum(at) => schema.enums.get(at.0 as usize).map_or("enum", |e| &e.name),
        Kind::Message(at) | Kind::Group(at) => schema.messages.get(at.0 as usize).map_or("message", |m| &m.name),
        scalar => scalar.scalar_name().unwrap_or("?"),
    })
}

/// The bits of a numeric value; 0 for the others.
#[inline]
pub(crate) fn bits(value: &Value<'_>) -> u64 {
    match *value {
        Value::Varint(bits) | Value::Fixed64(bits) => bits,
        Value::Fixed32(bits) => u64::from(bits),
        Value::Bytes(_) | Value::Group(_) => 0,
    }
}

/// The message type of a field that is a message or a group.
#[inline]
pub(crate) fn message_of(schema: &Schema, kind: Kind) -> Option<&Message> {
    match kind {
        Kind::Message(at) | Kind::Group(at) => schema.messages.get(at.0 as usize),
        _ => None,
    }
}

/// Whether `bits` are the value that a field without presence leaves out.
///
/// The type counts, not the bits on the wire: an `int32` of 2^32 is 0. A negative zero is not the default.
#[inline]
pub(crate) fn is_default(kind: Kind, bits: u64) -> bool {
    match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_) => bits as u32 == 0,
        _ => bits == 0,
    }
}

/// Whether the enumeration of `kind` is closed and lacks `bits`: then the field counts as unknown.
#[inline]
pub(crate) fn outside_closed_enum(schema: &Schema, kind: Kind, bits: u64) -> bool {
    let Kind::Enum(at) = kind else { return false };
    schema.enums.get(at.0 as usize).is_some_and(|e| e.closed && e.value_name(bits as i32).is_none())
}

/// The 32 bits of a zigzag number.
#[inline]
pub(crate) const fn zigzag32(bits: u64) -> i32 {
    let bits = bits as u32;
    (bits >> 1) as i32 ^ -((bits & 1) as i32)
}

/// The 64 bits of a zigzag number.
#[inline]
pub(crate) const fn zigzag64(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// A whole number as it is: signed types and booleans and enumerations too.
#[inline]
pub(crate) fn integer(kind: Kind, bits: u64) -> i128 {
    match kind {
        Kind::Int32 | Kind::Sfixed32 | Kind::Enum(_) => i128::from(bits as i32),
        Kind::Int64 | Kind::Sfixed64 => i128::from(bits as i64),
        Kind::Uint32 | Kind::Fixed32 => i128::from(bits as u32),
        Kind::Sint32 => i128::from(zigzag32(bits)),
        Kind::Sint64 => i128::from(zigzag64(bits)),
        Kind::Bool => i128::from(bits != 0),
        _ => i128::from(bits),
    }
}

/// The number, boolean or enumeration `bits` in canonical JSON.
#[inline]
pub(crate) fn write_number(schema: &Schema, kind: Kind, bits: u64, out: &mut Vec<u8>) {
    match kind {
        Kind::Int32 | Kind::Sfixed32 => json::write_signed(out, i64::from(bits as i32)),
        Kind::Uint32 | Kind::Fixed32 => json::write_unsigned(out, u64::from(bits as u32)),
        Kind::Sint32 => json::write_signed(out, i64::from(zigzag32(bits))),
        Kind::Bool => out.extend_from_slice(if bits != 0 { b"true" } else { b"false" }),
        Kind::Int64 | Kind::Sfixed64 => quoted(out, |out| json::write_signed(out, bits as i64)),
        Kind::Uint64 | Kind::Fixed64 => quoted(out, |out| json::write_unsigned(out, bits)),
        Kind::Sint64 => quoted(out, |out| json::write_signed(out, zigzag64(bits))),
        Kind::Double => json::write_f64(out, f64::from_bits(bits)),
        Kind::Float => json::write_f32(out, f32::from_bits(bits as u32)),
        Kind::Enum(at) => {
            let number = bits as i32;
            match schema.enums.get(at.0 as usize) {
                // Its only value stands for null.
                Some(e) if &*e.name == "google.protobuf.NullValue" => out.extend_from_slice(b"null"),
                Some(e) => match e.value_name(number) {
                    Some(name) => json::write_string(out, name),
                    None => json::write_signed(out, i64::from(number)),
                },
                None => json::write_signed(out, i64::from(number)),
            }
        }
        Kind::String | Kind::Bytes => out.extend_from_slice(b"\"\""),
        Kind::Message(_) | Kind::Group(_) => out.extend_from_slice(b"{}"),
    }
}

#[inline]
fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// The numbers of a packed field.
pub(crate) struct Packed<'a> {
    cursor: Cursor<'a>,
    base: u32,
    form: WireForm,
}

impl<'a> Packed<'a> {
    /// Those of type `kind` in `bytes`, which lie at `base` of the message.
    #[inline]
    pub(crate) fn new(kind: Kind, bytes: &'a [u8], base: u32) -> Self {
        Self { cursor: Cursor::new(bytes), base, form: wire_form(kind) }
    }

    fn here(&self) -> u32 {
        self.base + self.cursor.position() as u32
    }
}

/// The bits of a number and where they lie, or the place from which on there is none.
type PackedItem = Result<(u64, Range<u32>), Range<u32>>;

impl Iterator for Packed<'_> {
    type Item = PackedItem;

    #[inline]
    fn next(&mut self) -> Option<PackedItem> {
        if self.cursor.is_empty() {
            return None;
        }
        let from = self.here();
        let bits = match self.form {
            WireForm::Varint => wire::varint(&mut self.cursor).ok(),
            WireForm::Fixed64 => self.cursor.array().map(u64::from_le_bytes),
            _ => self.cursor.array().map(u32::from_le_bytes).map(u64::from),
        };
        if bits.is_none() {
            self.cursor.take(self.cursor.rest().len());
        }
        let range = from..self.here();
        Some(bits.map(|bits| (bits, range.clone())).ok_or(range))
    }
}
