//! Where fields of a message lie, and their values as far as they are small.

use crate::protobuf::wire::{self, Value};

/// A field number and where the field begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathStep {
    pub(super) number: u32,
    pub(super) at: u32,
}

/// A field, or several with the same number that follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Index of the field in its message type.
    pub(super) field: u32,
    /// The tag of the first.
    pub(super) at: u32,
    /// Behind the last.
    pub(super) end: u32,
    /// The value of the first.
    pub(super) value_at: u32,
    /// A number, or the length of bytes or a group.
    pub(super) bits: u64,
    pub(super) form: Form,
    /// Whether there are several, or one that is broken: then they are read again.
    pub(super) run: bool,
    /// The field's number where fields of other numbers may lie between them; else 0.
    pub(super) number: u32,
}

/// What [`Entry::bits`] are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Varint,
    Fixed64,
    Bytes,
    Group,
    Fixed32,
}

impl Entry {
    #[inline]
    pub(super) fn new(field: u32, wire: &wire::Field<'_>) -> Self {
        let (form, bits) = match wire.value {
            Value::Varint(bits) => (Form::Varint, bits),
            Value::Fixed64(bits) => (Form::Fixed64, bits),
            Value::Bytes(bytes) => (Form::Bytes, bytes.len() as u64),
            Value::Group(bytes) => (Form::Group, bytes.len() as u64),
            Value::Fixed32(bits) => (Form::Fixed32, u64::from(bits)),
        };
        Self { field, at: wire.at, end: wire.end, value_at: wire.value_at, bits, form, run: false, number: 0 }
    }

    /// Something to be read again.
    pub(super) fn again(field: u32, at: u32, end: u32) -> Self {
        Self { field, at, end, value_at: at, bits: 0, form: Form::Varint, run: true, number: 0 }
    }

    /// The first field, if it is the only one.
    #[inline]
    pub(super) fn single<'a>(&self, message: &'a [u8]) -> Option<wire::Field<'a>> {
        if self.run {
            return None;
        }
        let from = self.value_at as usize;
        let value = match self.form {
            Form::Varint => Value::Varint(self.bits),
            Form::Fixed64 => Value::Fixed64(self.bits),
            Form::Bytes => Value::Bytes(message.get(from..from + self.bits as usize)?),
            Form::Group => Value::Group(message.get(from..from + self.bits as usize)?),
            Form::Fixed32 => Value::Fixed32(self.bits as u32),
        };
        // The number is the type's: nobody asks for it here.
        Some(wire::Field { number: 0, value, at: self.at, value_at: self.value_at, end: self.end })
    }
}

/// Bytes of the message. A nested message that came in several pieces has several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// The content of a message or group, also of one that is cut short.
pub(super) fn part(item: &Result<wire::Field<'_>, wire::Broken<'_>>) -> Option<Part> {
    let (from, value) = match item {
        Ok(wire) => (wire.value_at, wire.value),
        Err(broken) => broken.partial?,
    };
    match value {
        Value::Bytes(bytes) | Value::Group(bytes) => Some(Part { from, to: from + bytes.len() as u32 }),
        _ => None,
    }
}

pub(super) fn entry_at(item: &Result<wire::Field<'_>, wire::Broken<'_>>) -> u32 {
    item.as_ref().map_or_else(|broken| broken.at, |wire| wire.at)
}
