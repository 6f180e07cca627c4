//! How well bytes fit a message type: for guessing the type of messages whose method is not known.

use super::typed::{self, Packed, Shape};
use super::wire::{Fields, MAX_DEPTH, Value};
use crate::schema::{Field, Kind, Message, MessageIx, Schema};

/// How bytes stand to a message type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Fields that are right: known, of the right wire type, strings in UTF-8, enumerations with a name.
    pub fields: u32,
    /// Fields that the type does not have.
    pub unknown: u32,
    /// Fields that cannot be what the type says, and bytes that are not fields.
    pub wrong: u32,
}

impl Fit {
    /// Whether nothing speaks against the type. Of an empty message, nothing does.
    pub const fn is_clean(self) -> bool {
        self.unknown == 0 && self.wrong == 0
    }
}

/// How `bytes` stand to `message`, nested messages included.
pub fn fits(schema: &Schema, message: MessageIx, bytes: &[u8]) -> Fit {
    let mut fit = Fit::default();
    if let Some(message) = schema.messages.get(message.0 as usize) {
        inside(schema, message, bytes, 0, &mut fit);
    }
    fit
}

fn inside(schema: &Schema, message: &Message, bytes: &[u8], depth: u32, fit: &mut Fit) {
    for item in Fields::new(bytes) {
        let Ok(wire) = item else {
            fit.wrong += 1;
            continue;
        };
        let Some((_, field)) = typed::lookup(message, wire.number) else {
            fit.unknown += 1;
            continue;
        };
        let right = match (typed::shape(field, &wire.value), wire.value) {
            (Shape::Mismatch, _) => false,
            (Shape::Packed, Value::Bytes(numbers)) => Packed::new(field.kind, numbers, 0)
                .all(|number| number.is_ok_and(|(bits, _)| plausible(schema, field, bits))),
            (_, Value::Bytes(content) | Value::Group(content)) => match typed::message_of(schema, field.kind) {
                Some(inner) if depth < MAX_DEPTH => {
                    inside(schema, inner, content, depth + 1, fit);
                    true
                }
                Some(_) => false,
                None => field.kind != Kind::String || std::str::from_utf8(content).is_ok(),
            },
            (_, value) => plausible(schema, field, typed::bits(&value)),
        };
        if right {
            fit.fields += 1;
        } else {
            fit.wrong += 1;
        }
    }
}

/// Whether an encoder of this type would have written `bits`.
fn plausible(schema: &Schema, field: &Field, bits: u64) -> bool {
    match field.kind {
        Kind::Bool => bits <= 1,
        Kind::Uint32 | Kind::Sint32 => bits <= u64::from(u32::MAX),
        // Negative ones are sign-extended to 64 bits.
        Kind::Int32 => i32::try_from(bits as i64).is_ok(),
        Kind::Enum(at) => {
            i32::try_from(bits as i64).is_ok()
                && schema.enums.get(at.0 as usize).is_some_and(|e| e.value_name(bits as i32).is_some())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    #[test]
    fn what_speaks_against_a_type_is_counted() {
        let schema = compile(
            r#"
            syntax = "proto3";
            package t;
            enum State { NONE = 0; OPEN = 1; }
            message M { int32 number = 1; string text = 2; M inner = 3; repeated State states = 4; bool yes = 5; }
            "#,
        );
        let fit = |bytes: &[u8]| {
            let Fit { fields, unknown, wrong } = fits(&schema, schema.message("t.M").unwrap(), bytes);
            (fields, unknown, wrong)
        };
        assert_eq!(fit(&[]), (0, 0, 0));
        assert_eq!(fit(&[0x08, 1, 0x12, 1, b'x', 0x1a, 2, 0x08, 1, 0x22, 2, 0, 1, 0x28, 1]), (6, 0, 0));
        assert_eq!(fit(&[0x08, 1, 0x30, 1]), (1, 1, 0)); // 6 is not known
        assert_eq!(fit(&[0x0a, 1, b'x']), (0, 0, 1)); // another wire type
        assert_eq!(fit(&[0x12, 1, 0xff]), (0, 0, 1)); // not UTF-8
        assert_eq!(fit(&[0x22, 2, 0, 9]), (0, 0, 1)); // no such state
        assert_eq!(fit(&[0x28, 2]), (0, 0, 1)); // neither true nor false
        assert_eq!(fit(&[0x08, 0xff, 0xff, 0xff, 0xff, 0x7f]), (0, 0, 1)); // more than 32 bits
        assert_eq!(fit(&[0x1a, 5, 0x08]), (0, 0, 1)); // cut short
        assert_eq!(fit(&[0x1a, 2, 0x30, 1]), (1, 1, 0)); // unknown in the nested one
    }
}
