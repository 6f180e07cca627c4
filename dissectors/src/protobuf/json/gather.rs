//! Reading a message once to learn where its fields lie, and what they mean where they are out of order or come twice: the last
//! scalar wins, messages merge, and a oneof keeps its last member.

use smallvec::SmallVec;

use super::entry::{Entry, Part};
use super::printer::{Entries, Job};
use super::unknown::{MAX_UNKNOWN, UnknownField};
use crate::Severity;
use crate::protobuf::typed::{self, Shape};
use crate::protobuf::wire::{self, Fields, Value};
use crate::schema::{Cardinality, Field, Kind, Message};

/// Fields that are kept while a message is printed, by all messages that it is nested in together; more are merged.
pub(super) const MAX_ENTRIES: usize = 1 << 20;

/// Of a message with fewer entries none are merged.
const MIN_MERGED: usize = 1 << 12;

impl<'s, 'a> Job<'s, 'a, '_> {
    /// Puts on the stack what a message holds, sorted by field and resolved: where a field has several entries, a scalar's
    /// last one counts, messages merge, and of a oneof only its last member is left.
    pub(super) fn gather(&mut self, message: &'s Message, parts: &[Part]) -> Entries {
        let base = self.entries.len();
        let mut sorted = true;
        let mut oneofs = 0u64;
        for part in parts {
            let mut fields = Fields::within(self.bytes, part.from..part.to);
            for item in fields.by_ref() {
                let wire = match &item {
                    Ok(wire) => wire,
                    Err(broken) => {
                        let kept = self.broken(message, broken);
                        if let Some((index, field)) = kept {
                            let entry = Entry::again(index, broken.at, broken.end);
                            sorted &= self.push(message, base, entry, field, &mut oneofs);
                        }
                        continue;
                    }
                };
                let Some((index, field)) = typed::lookup(message, wire.number) else {
                    self.not_in_type(message, wire, base, &mut sorted);
                    continue;
                };
                if typed::shape(field, &wire.value) == Shape::Mismatch {
                    self.mismatch(field, wire);
                    continue;
                }
                if let (Kind::Enum(_), Value::Varint(bits)) = (field.kind, wire.value)
                    && field.cardinality != Cardinality::Repeated
                    && !(self.hide_redacted && field.redact)
                    && typed::outside_closed_enum(self.schema, field.kind, bits)
                {
                    self.unknown(wire.number, wire.at, wire.end, None);
                    continue;
                }
                sorted &= self.push(message, base, Entry::new(index, wire), field, &mut oneofs);
            }
            if let Some(span) = fields.overlong() {
                self.notes.overlong(span);
            }
        }
        if !sorted {
            self.resolve(message, base);
        }
        base..self.entries.len()
    }

    /// Enters a field. False where the entries have to be resolved.
    #[inline]
    pub(super) fn push(
        &mut self,
        message: &Message,
        base: usize,
        entry: Entry,
        field: &Field,
        oneofs: &mut u64,
    ) -> bool {
        let mut sorted = true;
        if self.entries.len() > base
            && let Some(last) = self.entries.last_mut()
        {
            if last.field == entry.field && last.end == entry.at {
                let list = matches!(field.cardinality, Cardinality::Repeated | Cardinality::Map);
                if list || matches!(field.kind, Kind::Message(_) | Kind::Group(_)) {
                    last.end = entry.end;
                    last.run = true;
                } else {
                    *last = entry;
                }
                return true;
            }
            sorted = last.field <= entry.field;
        }
        if self.entries.len() >= MAX_ENTRIES && self.entries.len() - base >= MIN_MERGED && !message.message_set {
            return self.push_merged(message, base, entry);
        }
        if let Some(oneof) = field.oneof {
            // Beyond 64 they share a bit: resolving twice does no harm.
            let bit = 1 << (oneof % 64);
            sorted &= *oneofs & bit == 0;
            *oneofs |= bit;
        }
        self.entries.push(entry);
        sorted
    }

    /// Makes room by keeping one entry for each field, from where it is first to where it is last, and enters a field.
    #[cold]
    fn push_merged(&mut self, message: &Message, base: usize, entry: Entry) -> bool {
        self.resolve(message, base);
        let entries = self.entries.get_mut(base..).unwrap_or_default();
        let mut kept = 0_usize;
        for at in 0..entries.len() {
            let Some(&next) = entries.get(at) else { break };
            match kept.checked_sub(1).and_then(|last| entries.get_mut(last)) {
                Some(last) if last.field == next.field => {
                    *last = Entry::again(next.field, last.at.min(next.at), last.end.max(next.end));
                    last.number = message.fields.get(next.field as usize).map_or(0, |field| field.number);
                }
                _ => {
                    if let Some(slot) = entries.get_mut(kept) {
                        *slot = next;
                    }
                    kept += 1;
                }
            }
        }
        self.entries.truncate(base + kept);
        self.entries.push(entry);
        false
    }

    #[cold]
    fn resolve(&mut self, message: &Message, base: usize) {
        // Of each oneof: the member that was seen last, and from which entry on it was the only one.
        let mut members: SmallVec<[Option<(u32, usize)>; 8]> = SmallVec::new();
        members.resize(message.oneofs.len(), None);
        let oneof =
            |entry: &Entry| message.fields.get(entry.field as usize).and_then(|f| f.oneof).map(|oneof| oneof as usize);
        let entries = self.entries.get_mut(base..).unwrap_or_default();
        for (at, entry) in entries.iter().enumerate() {
            if let Some(member) = oneof(entry).and_then(|oneof| members.get_mut(oneof))
                && member.is_none_or(|(field, _)| field != entry.field)
            {
                *member = Some((entry.field, at));
            }
        }
        let mut kept = 0;
        for at in 0..entries.len() {
            let Some(&entry) = entries.get(at) else { break };
            let cleared = oneof(&entry)
                .and_then(|oneof| members.get(oneof).copied().flatten())
                .is_some_and(|(field, from)| field != entry.field || at < from);
            if !cleared && let Some(slot) = entries.get_mut(kept) {
                *slot = entry;
                kept += 1;
            }
        }
        self.entries.truncate(base + kept);
        if let Some(entries) = self.entries.get_mut(base..) {
            entries.sort_by_key(|entry| entry.field);
        }
    }

    #[cold]
    fn not_in_type(&mut self, message: &'s Message, wire: &wire::Field<'a>, base: usize, sorted: &mut bool) {
        if message.message_set
            && wire.number == 1
            && let Value::Group(item) = wire.value
            && let Some((index, at, end)) = set_item(message, item, wire.value_at)
        {
            // Never extended by what follows: the next item has its group's tags before it.
            *sorted &= self.entries.get(base..).unwrap_or_default().last().is_none_or(|last| last.field <= index);
            self.entries.push(Entry::again(index, at, end));
            return;
        }
        self.unknown(wire.number, wire.at, wire.end, None);
    }

    #[cold]
    fn mismatch(&mut self, field: &Field, wire: &wire::Field<'a>) {
        self.notes.add(Severity::Warning, "pb-wire-type", wire.at..wire.end, || {
            let is = match wire.value {
                Value::Varint(_) => "a varint",
                Value::Fixed64(_) => "8 bytes",
                Value::Bytes(_) => "length-delimited",
                Value::Group(_) => "a group",
                Value::Fixed32(_) => "4 bytes",
            };
            let type_name = typed::type_name(self.schema, field);
            format!("{} is {is} on the wire, but the schema says {type_name}", field.full_name)
        });
        if !(self.hide_redacted && field.redact) {
            self.unknown(wire.number, wire.at, wire.end, None);
        }
    }

    /// Says what is wrong; the field that part of it can still be shown as.
    #[cold]
    pub(super) fn broken(&mut self, message: &'s Message, broken: &wire::Broken<'a>) -> Option<(u32, &'s Field)> {
        let field = typed::lookup(message, broken.number);
        self.notes.add(Severity::Error, "pb-broken", broken.at..broken.end, || {
            let name = field.map_or(&message.name, |(_, field)| &field.full_name);
            format!("{name} {}", broken.cause.text())
        });
        let (index, field) = field?;
        let (_, value) = broken.partial?;
        let shown = match typed::shape(field, &value) {
            // Half a map entry could pass for a whole one, and half a string too.
            Shape::One => field.cardinality != Cardinality::Map && typed::message_of(self.schema, field.kind).is_some(),
            Shape::Packed => true,
            Shape::Mismatch => false,
        };
        shown.then_some((index, field))
    }

    #[cold]
    pub(super) fn unknown(&mut self, number: u32, at: u32, end: u32, bits: Option<u64>) {
        if self.unknown.fields.len() < MAX_UNKNOWN {
            let path = SmallVec::from_slice(self.path);
            self.unknown.fields.push(UnknownField { path, number, at, end, bits });
        } else {
            self.dropped += 1;
        }
    }
}

/// The item of a message set: the extension that it is, and where the field that holds the message lies.
///
/// `repeated group Item = 1 { required int32 type_id = 2; required bytes message = 3; }`
fn set_item(message: &Message, item: &[u8], base: u32) -> Option<(u32, u32, u32)> {
    let (mut number, mut place) = (None, None);
    for wire in Fields::at(item, base).filter_map(Result::ok) {
        match (wire.number, wire.value) {
            (2, Value::Varint(type_id)) => number = u32::try_from(type_id).ok(),
            (3, Value::Bytes(_)) => place = Some((wire.at, wire.end)),
            _ => {}
        }
    }
    let (index, field) = typed::lookup(message, number?)?;
    let (at, end) = place?;
    matches!(field.kind, Kind::Message(_)).then_some((index, at, end))
}
