//! Comparing fields without a type: by number and wire type, those of the same number in their order.

use std::collections::BTreeMap;

use super::align::{Aligned, align};
use super::difference::{DifferenceKind, Key, Shown, Step};
use super::digest::{hash, wire_digest};
use super::fields::Walk;
use crate::protobuf::raw::{Guess, guess};
use crate::protobuf::wire::{self, Fields, MAX_DEPTH};

/// The values of one field number on both sides.
type Both<'a> = (Vec<wire::Value<'a>>, Vec<wire::Value<'a>>);

impl<'a> Walk<'_, 'a> {
    /// Two messages without a type.
    pub(super) fn raw_message(&mut self, a: &'a [u8], b: &'a [u8], depth: u32) {
        if a == b || self.is_done() {
            return;
        }
        let (mut broken_a, mut broken_b) = (None, None);
        let mut read = |bytes: &'a [u8], broken: &mut Option<&'a [u8]>| {
            let mut fields = Vec::new();
            for item in Fields::new(bytes) {
                if !self.budget.take(1) {
                    break;
                }
                match item {
                    Ok(field) => fields.push(field),
                    Err(at) => *broken = broken.or(bytes.get(at.at as usize..)),
                }
            }
            fields
        };
        let fields = (read(a, &mut broken_a), read(b, &mut broken_b));
        if self.budget.is_spent() {
            let text = |bytes: &[u8]| Shown::text(&format!("{} bytes, too many fields to be compared", bytes.len()));
            return self.report(DifferenceKind::Changed, || text(a), || text(b));
        }
        self.raw_fields(&fields.0, &fields.1, depth);
        if broken_a != broken_b {
            let text = |broken: Option<&[u8]>| match broken {
                Some(bytes) => Shown::text(&format!("{} bytes that are not a field", bytes.len())),
                None => Shown::Absent,
            };
            self.report(DifferenceKind::Changed, || text(broken_a), || text(broken_b));
        }
    }

    /// The fields of two messages.
    pub(super) fn raw_fields(&mut self, a: &[wire::Field<'a>], b: &[wire::Field<'a>], depth: u32) {
        if a.is_empty() && b.is_empty() {
            return;
        }
        let mut numbers: BTreeMap<u32, Both<'a>> = BTreeMap::new();
        for field in a {
            numbers.entry(field.number).or_default().0.push(field.value);
        }
        for field in b {
            numbers.entry(field.number).or_default().1.push(field.value);
        }
        for (number, (xs, ys)) in numbers {
            if self.is_done() {
                return;
            }
            self.steps.push(Step::named(number.to_string()));
            if !self.treatment().ignore {
                self.raw_values(&xs, &ys, depth);
            }
            self.steps.pop();
        }
    }

    /// The values of one field number.
    fn raw_values(&mut self, xs: &[wire::Value<'a>], ys: &[wire::Value<'a>], depth: u32) {
        if let ([x], [y]) = (xs, ys) {
            return self.raw_value(*x, *y, depth);
        }
        let digests = |values: &[wire::Value<'_>]| values.iter().map(wire_digest).collect::<Vec<_>>();
        let several = xs.len() > 1 || ys.len() > 1;
        for aligned in align(&digests(xs), &digests(ys)) {
            if self.is_done() {
                return;
            }
            let (i, x, y) = match aligned {
                Aligned::Pair(i, j) => (i, xs.get(i), ys.get(j)),
                Aligned::First(i) => (i, xs.get(i), None),
                Aligned::Second(j) => (j, None, ys.get(j)),
            };
            if let Some(step) = self.steps.last_mut() {
                step.key = several.then_some(Key::Index(i));
            }
            match (x, y) {
                (Some(x), Some(y)) => self.raw_value(*x, *y, depth),
                (Some(x), None) => self.report(DifferenceKind::Removed, || Shown::wire(*x), || Shown::Absent),
                (None, Some(y)) => self.report(DifferenceKind::Added, || Shown::Absent, || Shown::wire(*y)),
                (None, None) => {}
            }
        }
    }

    /// The digest of a message without a type: what means the same has the same one.
    pub(super) fn raw_digest(&mut self, bytes: &'a [u8], depth: u32) -> u64 {
        let mut digest = 0_u64;
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for item in Fields::new(bytes) {
            if !self.budget.take(1) {
                return hash(bytes);
            }
            let field = match item {
                Ok(field) => field,
                Err(broken) => return digest.wrapping_add(hash(bytes.get(broken.at as usize..))),
            };
            self.steps.push(Step::named(field.number.to_string()));
            if !self.treatment().ignore {
                let one = match field.value {
                    wire::Value::Group(inner) if depth < MAX_DEPTH => self.raw_digest(inner, depth + 1),
                    wire::Value::Bytes(inner) if depth < MAX_DEPTH && is_message(inner) => {
                        self.raw_digest(inner, depth + 1)
                    }
                    value => wire_digest(&value),
                };
                let count = counts.entry(field.number).or_default();
                digest = digest.wrapping_add(hash((field.number, *count, one)));
                *count += 1;
            }
            self.steps.pop();
        }
        digest
    }

    fn raw_value(&mut self, x: wire::Value<'a>, y: wire::Value<'a>, depth: u32) {
        if x == y || !self.budget.take(1) {
            return;
        }
        match (x, y) {
            (wire::Value::Group(a), wire::Value::Group(b)) if depth < MAX_DEPTH => self.raw_message(a, b, depth + 1),
            (wire::Value::Bytes(a), wire::Value::Bytes(b)) => self.opaque(a, b, depth, true),
            _ => {
                let kind = match std::mem::discriminant(&x) == std::mem::discriminant(&y) {
                    true => DifferenceKind::Changed,
                    false => DifferenceKind::Type,
                };
                self.report(kind, || Shown::wire(x), || Shown::wire(y));
            }
        }
    }

    /// Bytes of which it is not known what they are: compared as messages where both look like one. `lenient`: messages that mean
    /// the same are equal, whatever the order of their fields; else only bytes are.
    pub(super) fn opaque(&mut self, a: &'a [u8], b: &'a [u8], depth: u32, lenient: bool) {
        if a == b {
            return;
        }
        if is_message(a) && is_message(b) && depth < MAX_DEPTH {
            let differs = self.probe(|walk| walk.raw_message(a, b, depth + 1));
            if differs {
                return self.raw_message(a, b, depth + 1);
            }
            if lenient {
                return;
            }
        }
        // Bytes by their type are shown as such; without a type it is guessed what they are.
        let shown = |bytes: &[u8]| if lenient { Shown::wire(wire::Value::Bytes(bytes)) } else { Shown::bytes(bytes) };
        self.report(DifferenceKind::Changed, || shown(a), || shown(b));
    }
}

fn is_message(bytes: &[u8]) -> bool {
    !bytes.is_empty() && guess(bytes) == Guess::Message
}
