//! Digests of values: equal values have equal digests. What the rules ignore or tolerate is left out.
//!
//! They only decide which elements are compared with each other; whether those are equal is decided by comparing them.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use hashbrown::DefaultHashBuilder;

use super::difference::{Key, Step};
use super::fields::{Walk, any_parts, float, type_name};
use super::level::{Entry, Level, Parts, Typed, Value, is_default};
use super::rules::Treatment;
use crate::protobuf::typed;
use crate::protobuf::wire::{self, MAX_DEPTH};
use crate::schema::{Cardinality, WellKnown};

/// Seeded at random, so that nobody can make messages whose digests collide.
static SEED: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// The digest of a message without fields.
const EMPTY: u64 = 0;

pub(super) fn hash(value: impl std::hash::Hash) -> u64 {
    SEED.hash_one(value)
}

/// The digest of a value without a type.
pub(super) fn wire_digest(value: &wire::Value<'_>) -> u64 {
    match *value {
        wire::Value::Varint(bits) => hash((0_u8, bits)),
        wire::Value::Fixed64(bits) => hash((1_u8, bits)),
        wire::Value::Bytes(bytes) => hash((2_u8, bytes)),
        wire::Value::Group(bytes) => hash((3_u8, bytes)),
        wire::Value::Fixed32(bits) => hash((5_u8, bits)),
    }
}

impl<'a> Walk<'_, 'a> {
    /// The digest of a message of type `own`, which is compared with messages of type `other`.
    pub(super) fn message_digest(
        &mut self,
        own: Typed<'a>,
        other: Typed<'a>,
        parts: &Parts<'a>,
        within: Option<u64>,
        depth: u32,
    ) -> u64 {
        if depth > MAX_DEPTH || self.budget.is_spent() {
            return hash((4_u8, parts.concat()));
        }
        match own.message.well_known {
            Some(WellKnown::Timestamp | WellKnown::Duration) if within.is_some() => return hash("time"),
            Some(WellKnown::Any) => return self.any_digest(own, other, parts, depth),
            // A set: its elements are not distinguished here.
            Some(WellKnown::FieldMask) => return hash("mask"),
            _ => {}
        }
        let Some(level) = Level::read(own, other, parts, &mut self.budget) else { return hash((4_u8, parts.concat())) };
        let mut digest = EMPTY;
        for entry in &level.entries {
            self.steps.push(Step::of(entry.field));
            let treatment = self.treatment();
            if !treatment.ignore {
                digest = digest.wrapping_add(self.entry_digest(entry, other, treatment, depth));
            }
            self.steps.pop();
        }
        for field in &level.unknown {
            self.steps.push(Step::named(field.number.to_string()));
            if !self.treatment().ignore {
                digest = digest.wrapping_add(hash((field.number, wire_digest(&field.value))));
            }
            self.steps.pop();
        }
        match level.broken {
            Some((_, rest)) => digest.wrapping_add(hash((5_u8, rest))),
            None => digest,
        }
    }

    fn any_digest(&mut self, own: Typed<'a>, other: Typed<'a>, parts: &Parts<'a>, depth: u32) -> u64 {
        let (url, value) = any_parts(parts);
        let name = type_name(url);
        let known = [own, other].into_iter().find_map(|typed| {
            let message = typed.schema.message(name?).map(|ix| &typed.schema[ix])?;
            Some(Typed { schema: typed.schema, message })
        });
        let step = own.message.field(2).map_or_else(|| Step::named("value"), Step::of);
        self.steps.push(step);
        let treatment = self.treatment();
        let inner = match known {
            _ if treatment.ignore => EMPTY,
            Some(typed) => self.message_digest(typed, typed, &Parts::from_slice(&[value]), treatment.within, depth + 1),
            None => hash(value),
        };
        self.steps.pop();
        hash((name, inner))
    }

    fn entry_digest(&mut self, entry: &Entry<'a>, other: Typed<'a>, treatment: Treatment<'_>, depth: u32) -> u64 {
        let number = entry.field.number;
        let twin =
            other.message.field(number).map(|field| Entry { schema: other.schema, field, values: Default::default() });
        let twin = twin.as_ref().unwrap_or(entry);
        let in_order =
            entry.field.cardinality == Cardinality::Repeated && !treatment.unordered && treatment.key.is_none();
        let mut digest = EMPTY;
        for (at, value) in entry.values.iter().enumerate() {
            if entry.field.cardinality == Cardinality::Explicit
                && self.rules.equivalent
                && is_default(entry.field.kind, value)
            {
                continue;
            }
            if self.rules.names_elements
                && let Some(step) = self.steps.last_mut()
            {
                step.key = in_order.then_some(Key::Index(at));
                if self.treatment().ignore {
                    continue;
                }
            }
            let one = self.digest((entry, value), twin, treatment, depth);
            if entry.field.cardinality == Cardinality::Explicit && self.rules.equivalent && one == EMPTY {
                continue;
            }
            digest = digest.wrapping_add(if in_order { hash((number, at, one)) } else { hash((number, one)) });
        }
        digest
    }

    /// The digest of a value of a field, which is compared with values of the field of `twin`.
    pub(super) fn digest(
        &mut self,
        (entry, value): (&Entry<'a>, &Value<'a>),
        twin: &Entry<'a>,
        treatment: Treatment<'_>,
        depth: u32,
    ) -> u64 {
        match value {
            Value::Bits(bits) => match float(entry.field.kind, *bits) {
                Some(_) if treatment.float.is_some() => hash("float"),
                // Both zeros are equal, and so are all that are not a number.
                Some(0.0) => hash(0_u64),
                Some(number) if number.is_nan() => hash("nan"),
                Some(number) => hash(number.to_bits()),
                None => hash(typed::integer(entry.field.kind, *bits)),
            },
            Value::Bytes(bytes) => hash(bytes),
            Value::Message(parts) => {
                let typed = |entry: &Entry<'a>| {
                    let message = typed::message_of(entry.schema, entry.field.kind)?;
                    Some(Typed { schema: entry.schema, message })
                };
                match typed(entry).zip(typed(twin)) {
                    Some((own, other)) => self.message_digest(own, other, parts, treatment.within, depth + 1),
                    None => hash(parts.concat()),
                }
            }
        }
    }
}
