//! The shape of messages: a digest of what decides which types they fit.
//!
//! Messages of the same shape fit the same types, as [`fits`](super::fits()) judges. So what has been found out for one holds
//! for all others: calls of one method mostly have few shapes, whatever their values.

use std::hash::Hasher;

use hashbrown::HashSet;

use super::typed::Packed;
use super::wire::{Fields, MAX_DEPTH, Value};
use crate::schema::{Cardinality, Kind, Schema};

/// Makes digests of messages for one schema.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// The numbers of all enumerations: others have no name in any.
    enum_numbers: HashSet<i64>,
    /// Field numbers with which some type has repeated varints, which may be packed.
    packed: HashSet<u32>,
}

/// A 128-bit digest: two differently seeded ones, so that two shapes are practically never mistaken for one.
struct Digest([std::hash::DefaultHasher; 2]);

impl Shapes {
    /// For the types of `schema`.
    pub(crate) fn of(schema: &Schema) -> Self {
        let numbers = schema.enums.iter().flat_map(|e| e.values.iter().map(|&(number, _)| i64::from(number)));
        // Besides, 0 and 1 are booleans.
        let enum_numbers = numbers.chain([0, 1]).collect();
        let fields = schema.messages.iter().flat_map(|message| &message.fields);
        let packed = fields.filter(|field| field.cardinality == Cardinality::Repeated && is_varint(field.kind));
        Self { enum_numbers, packed: packed.map(|field| field.number).collect() }
    }

    /// The shape of a call's messages.
    pub(crate) fn of_messages(&self, requests: &[Vec<u8>], responses: &[Vec<u8>]) -> u128 {
        let mut digest = Digest::new();
        for messages in [requests, responses] {
            digest.add(messages.len() as u64);
            for message in messages {
                self.message(message, 0, &mut digest);
            }
        }
        digest.finish()
    }

    fn message(&self, bytes: &[u8], depth: u32, digest: &mut Digest) {
        for item in Fields::new(bytes) {
            // Behind its end there may be more fields, but a message with a broken field fits nothing.
            let Ok(field) = item else { return digest.add(BROKEN) };
            digest.add(u64::from(field.number) << 8 | wire_type(&field.value));
            match field.value {
                Value::Varint(bits) => digest.add(self.varint(bits)),
                Value::Fixed64(_) | Value::Fixed32(_) => {}
                Value::Bytes(content) | Value::Group(content) => self.content(field.number, content, depth, digest),
            }
        }
        digest.add(END);
    }

    fn content(&self, number: u32, content: &[u8], depth: u32, digest: &mut Digest) {
        // As a string it must be UTF-8; as packed numbers of fixed size, a multiple of that.
        digest.add(u64::from(std::str::from_utf8(content).is_ok()) << 8 | (content.len() % 8) as u64);
        if self.packed.contains(&number) {
            let mut broken = false;
            for item in Packed::new(Kind::Uint64, content, 0) {
                match item {
                    Ok((bits, _)) => digest.add(self.varint(bits)),
                    Err(_) => broken = true,
                }
            }
            digest.add(if broken { BROKEN } else { END });
        }
        if depth < MAX_DEPTH && Fields::new(content).all(|item| item.is_ok()) {
            self.message(content, depth + 1, digest);
        } else {
            digest.add(BROKEN);
        }
    }

    /// A number, as far as it decides which types it fits.
    fn varint(&self, bits: u64) -> u64 {
        let signed = bits as i64;
        if self.enum_numbers.contains(&signed) {
            return bits;
        }
        // Of other numbers only the size counts; classes stand where no enumeration's number is.
        let class = if i32::try_from(signed).is_ok() {
            if signed < 0 { 1 } else { 2 }
        } else if u32::try_from(bits).is_ok() {
            3
        } else {
            4
        };
        CLASS + class
    }
}

/// Marks in digests. None is a field's number and type, nor the number of an enumeration.
const BROKEN: u64 = 1 << 60;
const END: u64 = 1 << 61;
const CLASS: u64 = 1 << 62;

fn wire_type(value: &Value<'_>) -> u64 {
    match value {
        Value::Varint(_) => 0,
        Value::Fixed64(_) => 1,
        Value::Bytes(_) => 2,
        Value::Group(_) => 3,
        Value::Fixed32(_) => 5,
    }
}

const fn is_varint(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Double
            | Kind::Float
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::Sfixed32
            | Kind::Sfixed64
            | Kind::String
            | Kind::Bytes
            | Kind::Message(_)
            | Kind::Group(_)
    )
}

impl Digest {
    fn new() -> Self {
        let mut this = Self(Default::default());
        this.0[1].write_u8(1);
        this
    }

    fn add(&mut self, value: u64) {
        for hasher in &mut self.0 {
            hasher.write_u64(value);
        }
    }

    fn finish(&self) -> u128 {
        let [low, high] = &self.0;
        u128::from(low.finish()) | u128::from(high.finish()) << 64
    }
}

#[cfg(test)]
mod tests {
    use super::super::fits;
    use super::*;
    use crate::schema::MessageIx;
    use crate::schema::testing::compile;
    use proptest::prelude::*;

    const SCHEMA: &str = r#"
        syntax = "proto3";
        package t;
        enum State { NONE = 0; OPEN = 1; LATE = 5; GONE = -3; }
        message M { int32 number = 1; string text = 2; M inner = 3; repeated State states = 4; bool yes = 5; uint32 small = 6; }
        message N { State state = 1; bytes text = 2; repeated fixed32 list = 3; int64 large = 6; repeated double reals = 4; }
        message O { string number = 1; repeated sint32 text = 2; N inner = 3; fixed64 states = 4; uint64 yes = 5; }
    "#;

    #[test]
    fn values_do_not_count_and_what_decides_does() {
        let schema = compile(SCHEMA);
        let shapes = Shapes::of(&schema);
        let shape = |bytes: &[u8]| shapes.of_messages(&[bytes.to_vec()], &[]);
        assert_eq!(shape(&[0x08, 77]), shape(&[0x08, 99]));
        assert_ne!(shape(&[0x08, 1]), shape(&[0x08, 2]), "one is a state and true");
        assert_eq!(shape(b"\x1a\x04abcd"), shape(b"\x1a\x04efgh"));
        assert_ne!(shape(b"\x12\x01a"), shape(b"\x12\x01\xff"), "one is not UTF-8");
        assert_ne!(shape(&[0x1a, 2, 0x08, 77]), shape(&[0x1a, 2, 0x10, 77]), "another field inside");
    }

    proptest! {
        /// Pairs of messages that are alike in bytes are often alike in shape.
        #[test]
        fn messages_of_one_shape_fit_the_same_types(
            bytes in prop::collection::vec(prop::sample::select(vec![8u8, 0x12, 0x1a, 0x22, 0x28, 0x30, 0, 1, 2, 3, 4, 5, 60, 61, 0x80, 0xff]), 0..10),
            at in any::<prop::sample::Index>(), other in prop::sample::select(vec![0u8, 1, 2, 5, 60, 61, 62, 0xff]),
        ) {
            let schema = compile(SCHEMA);
            let shapes = Shapes::of(&schema);
            let mut changed = bytes.clone();
            if !changed.is_empty() {
                let at = at.index(changed.len());
                changed[at] = other;
            }
            let shape = |bytes: &[u8]| shapes.of_messages(&[bytes.to_vec()], &[]);
            if shape(&bytes) == shape(&changed) {
                for ix in 0..schema.messages.len() as u32 {
                    let clean = |bytes: &[u8]| fits(&schema, MessageIx(ix), bytes).is_clean();
                    prop_assert_eq!(clean(&bytes), clean(&changed), "{:?} {:?}", bytes, changed);
                }
            }
        }
    }
}
