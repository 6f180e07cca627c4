//! Printing values: messages and their members, lists, scalars.

use smallvec::SmallVec;

use super::entry::{Entry, Part, PathStep, entry_at, part};
use super::unknown::Unknown;
use crate::Severity;
use crate::json::{self, Drain, comma};
use crate::protobuf::SpanNote;
use crate::protobuf::note::Notes;
use crate::protobuf::typed::{self, Packed, Shape};
use crate::protobuf::wire::{self, Fields, MAX_DEPTH, Value};
use crate::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};

/// Prints messages as JSON. Keeps its memory from one message to the next.
#[derive(Debug, Default)]
pub struct JsonPrinter {
    pub(super) entries: Vec<Entry>,
    path: Vec<PathStep>,
    hide_redacted: bool,
}

/// Notes about a message besides its JSON.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong with it.
    pub notes: Vec<SpanNote>,
    /// Fields that its type does not have.
    pub unknown: Unknown,
}

impl JsonPrinter {
    /// Without any memory yet.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), path: Vec::new(), hide_redacted: false }
    }

    /// Prints `{"hidden": 6}` in place of the values of fields marked `debug_redact`, with their length in bytes, if `hide`.
    #[must_use]
    pub const fn hiding(mut self, hide: bool) -> Self {
        self.hide_redacted = hide;
        self
    }

    /// Appends `bytes`, a `message` of `schema`, to `out` as canonical proto3 JSON in one line.
    ///
    /// Marked forms where official printers fail: an `Any` of unknown type is `{"@type": …, "@value": "<base64>"}`, one
    /// that holds JSON `{"@type": …, "@json": …}`; a `Timestamp` or `Duration` out of range is
    /// `{"seconds": "…", "nanos": …}`; what is not UTF-8 becomes U+FFFD, with a note.
    pub fn print(&mut self, schema: &Schema, message: MessageIx, bytes: &[u8], out: &mut Vec<u8>) -> Findings {
        self.print_draining(schema, message, bytes, out, &mut json::keep)
    }

    /// The same for a message of any size: `drain` empties `out` as it fills.
    pub fn print_draining(
        &mut self,
        schema: &Schema,
        message: MessageIx,
        bytes: &[u8],
        out: &mut Vec<u8>,
        drain: Drain<'_>,
    ) -> Findings {
        self.entries.clear();
        self.path.clear();
        let Some(message) = schema.messages.get(message.0 as usize) else {
            out.extend_from_slice(b"{}");
            return Findings::default();
        };
        // gRPC and ttrpc lengths have 32 bits and less.
        let to = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut job = Job {
            schema,
            bytes,
            out,
            drain,
            entries: &mut self.entries,
            path: &mut self.path,
            notes: Notes::default(),
            unknown: Unknown::default(),
            dropped: 0,
            hide_redacted: self.hide_redacted,
        };
        job.message(message, &[Part { from: 0, to }], 0);
        let Job { mut notes, unknown, dropped, .. } = job;
        if dropped > 0 {
            notes.add(Severity::Info, "pb-more-unknown", 0..to, || {
                let s = if dropped == 1 { "" } else { "s" };
                format!("{dropped} more unknown field{s}")
            });
        }
        Findings { notes: notes.finish(), unknown }
    }
}

/// One message on its way into `out`.
pub(super) struct Job<'s, 'a, 'o> {
    pub(super) schema: &'s Schema,
    pub(super) bytes: &'a [u8],
    pub(super) out: &'o mut Vec<u8>,
    pub(super) drain: Drain<'o>,
    /// A stack: every message that is being printed has its fields on it.
    pub(super) entries: &'o mut Vec<Entry>,
    /// The messages that are being printed.
    pub(super) path: &'o mut Vec<PathStep>,
    pub(super) notes: Notes,
    pub(super) unknown: Unknown,
    pub(super) dropped: usize,
    pub(super) hide_redacted: bool,
}

/// Where a message's entries are on the stack.
pub(super) type Entries = std::ops::Range<usize>;

impl<'s, 'a> Job<'s, 'a, '_> {
    /// A whole value of type `message`.
    pub(super) fn message(&mut self, message: &'s Message, parts: &[Part], depth: u32) {
        match message.well_known {
            None | Some(WellKnown::Empty) => {
                self.out.push(b'{');
                self.members(message, parts, depth);
                self.out.push(b'}');
            }
            Some(known) => self.special(known, message, parts, depth),
        }
    }

    /// Its members, without the braces.
    pub(super) fn members(&mut self, message: &'s Message, parts: &[Part], depth: u32) {
        let entries = self.gather(message, parts);
        let mut at = entries.start;
        while at < entries.end {
            let same = self.same_field(at, entries.end);
            at = same.end;
            let Some(field) = self.field_of(message, same.start) else { continue };
            self.member(field, same, depth);
            self.checkpoint();
        }
        self.entries.truncate(entries.start);
    }

    /// The entries from `at` on that are of one field.
    fn same_field(&self, at: usize, end: usize) -> Entries {
        let entries = self.entries.get(at..end).unwrap_or_default();
        let Some(first) = entries.first() else { return at..end };
        at..at + entries.iter().take_while(|e| e.field == first.field).count()
    }

    pub(super) fn field_of(&self, message: &'s Message, entry: usize) -> Option<&'s Field> {
        message.fields.get(self.entries.get(entry)?.field as usize)
    }

    /// Between values of which at least one is printed: what is not drained yet may still be taken back.
    #[inline]
    pub(super) fn checkpoint(&mut self) {
        json::checkpoint(self.out, self.drain);
    }

    pub(super) fn key(&mut self, field: &Field) {
        comma(self.out);
        self.out.extend_from_slice(&field.json_key);
    }

    pub(super) fn member(&mut self, field: &'s Field, entries: Entries, depth: u32) {
        let before = self.out.len();
        if self.hide_redacted && field.redact {
            self.key(field);
            return self.hidden(entries);
        }
        match field.cardinality {
            Cardinality::Implicit | Cardinality::Explicit => {
                if typed::message_of(self.schema, field.kind).is_none() {
                    let Some(wire) = self.last(entries) else { return };
                    if field.cardinality == Cardinality::Implicit && is_default(field.kind, &wire.value) {
                        return;
                    }
                    self.key(field);
                    self.scalar(field, &wire);
                } else {
                    self.key(field);
                    self.singular_message(field, entries, depth);
                }
            }
            Cardinality::Repeated => {
                self.key(field);
                if !self.list(field, entries, depth) {
                    self.out.truncate(before);
                }
            }
            Cardinality::Map => {
                self.key(field);
                if !self.map(field, entries, depth) {
                    self.out.truncate(before);
                }
            }
        }
    }

    /// Says that values are hidden, and how long they are.
    #[cold]
    pub(super) fn hidden(&mut self, entries: Entries) {
        let mut len = 0;
        for entry in self.entries.get(entries).unwrap_or_default() {
            for item in self.again(entry) {
                len += match item {
                    Ok(wire) => wire.end - wire.value_at,
                    Err(broken) => broken.end - broken.at,
                };
            }
        }
        self.out.extend_from_slice(b"{\"hidden\":");
        json::write_unsigned(self.out, len.into());
        self.out.push(b'}');
    }

    /// What lies in an entry.
    pub(super) fn again(
        &self,
        entry: &Entry,
    ) -> impl Iterator<Item = Result<wire::Field<'a>, wire::Broken<'a>>> + use<'a> {
        let wanted = entry.number;
        Fields::within(self.bytes, entry.at..entry.end).filter(move |item| {
            let number = match item {
                Ok(wire) => wire.number,
                Err(broken) => broken.number,
            };
            wanted == 0 || wanted == number
        })
    }

    /// The last value that `entries` hold.
    pub(super) fn last(&self, entries: Entries) -> Option<wire::Field<'a>> {
        let entry = *self.entries.get(entries)?.last()?;
        if let Some(wire) = entry.single(self.bytes) {
            return Some(wire);
        }
        self.again(&entry).filter_map(Result::ok).last()
    }

    /// A message or group, merged from all that `entries` hold.
    fn singular_message(&mut self, field: &'s Field, entries: Entries, depth: u32) {
        let mut parts: SmallVec<[Part; 2]> = SmallVec::new();
        let mut first = None;
        for &entry in self.entries.get(entries).unwrap_or_default() {
            first.get_or_insert(entry.at);
            if let Some(wire) = entry.single(self.bytes) {
                parts.extend(part(&Ok(wire)));
                continue;
            }
            parts.extend(self.again(&entry).filter_map(|item| part(&item)));
        }
        self.nested(field, &parts, first.unwrap_or(0), depth);
    }

    /// The message `parts` in `field`, which begins at `at`.
    pub(super) fn nested(&mut self, field: &'s Field, parts: &[Part], at: u32, depth: u32) {
        let Some(message) = typed::message_of(self.schema, field.kind) else {
            self.out.extend_from_slice(b"{}");
            return;
        };
        if depth >= MAX_DEPTH {
            self.too_deep(parts, &field.full_name);
            self.out.extend_from_slice(b"{}");
            return;
        }
        self.path.push(PathStep { number: field.number, at });
        self.message(message, parts, depth + 1);
        self.path.pop();
    }

    #[cold]
    pub(super) fn too_deep(&mut self, parts: &[Part], name: &str) {
        let span = parts.first().map_or(0..0, |part| part.from..part.to);
        self.notes.add(Severity::Error, "pb-too-deep", span, || {
            format!("{name} is nested more than {MAX_DEPTH} deep and not shown")
        });
    }

    /// A string, bytes or number.
    #[inline]
    pub(super) fn scalar(&mut self, field: &Field, wire: &wire::Field<'a>) {
        match (field.kind, wire.value) {
            (Kind::String, Value::Bytes(text)) => {
                if !json::write_bytes_lossy_draining(self.out, text, self.drain) {
                    self.not_utf8(field, wire.value_at..wire.end);
                }
            }
            (Kind::Bytes, Value::Bytes(bytes)) => json::write_base64_draining(self.out, bytes, self.drain),
            (kind, value) => typed::write_number(self.schema, kind, typed::bits(&value), self.out),
        }
    }

    #[cold]
    pub(super) fn not_utf8(&mut self, field: &Field, span: std::ops::Range<u32>) {
        self.notes.add(Severity::Warning, "pb-utf8", span, || format!("the string {} is not UTF-8", field.full_name));
    }

    /// `[…]` of all that `entries` hold. False where that is nothing.
    pub(super) fn list(&mut self, field: &'s Field, entries: Entries, depth: u32) -> bool {
        self.out.push(b'[');
        for at in entries {
            let Some(&entry) = self.entries.get(at) else { continue };
            if let Some(wire) = entry.single(self.bytes) {
                self.elements(field, &Ok(wire), depth);
                continue;
            }
            for item in self.again(&entry) {
                self.elements(field, &item, depth);
            }
        }
        let some = self.out.last() != Some(&b'[');
        self.out.push(b']');
        some
    }

    /// What one field on the wire adds to a list.
    #[inline]
    fn elements(&mut self, field: &'s Field, item: &Result<wire::Field<'a>, wire::Broken<'a>>, depth: u32) {
        let (value_at, value) = match item {
            Ok(wire) => (wire.value_at, wire.value),
            Err(wire::Broken { partial: Some(partial), .. }) => *partial,
            Err(_) => return,
        };
        match (typed::shape(field, &value), item) {
            (Shape::Packed, _) => self.packed(field, value, value_at),
            (Shape::One, Ok(wire)) if typed::message_of(self.schema, field.kind).is_none() => {
                if typed::outside_closed_enum(self.schema, field.kind, typed::bits(&value)) {
                    self.unknown(field.number, wire.at, wire.end, None);
                } else {
                    comma(self.out);
                    self.scalar(field, wire);
                    self.checkpoint();
                }
            }
            _ => {
                let Some(part) = part(item) else { return };
                comma(self.out);
                self.nested(field, &[part], entry_at(item), depth);
                self.checkpoint();
            }
        }
    }

    pub(super) fn packed(&mut self, field: &Field, value: Value<'a>, value_at: u32) {
        let Value::Bytes(bytes) = value else { return };
        for number in Packed::new(field.kind, bytes, value_at) {
            match number {
                Ok((bits, range)) if typed::outside_closed_enum(self.schema, field.kind, bits) => {
                    self.unknown(field.number, range.start, range.end, Some(bits));
                }
                Ok((bits, _)) => {
                    comma(self.out);
                    typed::write_number(self.schema, field.kind, bits, self.out);
                    self.checkpoint();
                }
                Err(range) => self.notes.add(Severity::Error, "pb-broken", range, || {
                    format!("the packed numbers of {} end inside of a number", field.full_name)
                }),
            }
        }
    }

    /// The one value that `entries` hold, or the default where there is none.
    pub(super) fn value(&mut self, field: &'s Field, entries: Entries, depth: u32) {
        if typed::message_of(self.schema, field.kind).is_some() {
            return self.singular_message(field, entries, depth);
        }
        match self.last(entries) {
            Some(wire) => self.scalar(field, &wire),
            None => {
                let default = match field.kind {
                    Kind::Enum(at) => self.schema.enums.get(at.0 as usize).map_or(0, |e| e.default),
                    _ => 0,
                };
                typed::write_number(self.schema, field.kind, default as u64, self.out);
            }
        }
    }

    /// Those of `entries` that are of field `number`.
    pub(super) fn entries_of(&self, message: &'s Message, entries: &Entries, number: u32) -> Entries {
        let mut at = entries.start;
        while at < entries.end {
            let same = self.same_field(at, entries.end);
            if self.field_of(message, at).is_some_and(|field| field.number == number) {
                return same;
            }
            at = same.end;
        }
        entries.end..entries.end
    }
}

/// Whether a field without presence that has `value` counts as absent.
#[inline]
fn is_default(kind: Kind, value: &Value<'_>) -> bool {
    match value {
        Value::Bytes(bytes) => bytes.is_empty(),
        value => typed::is_default(kind, typed::bits(value)),
    }
}
