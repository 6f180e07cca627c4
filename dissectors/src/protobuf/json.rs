//! Canonical proto3 JSON (<https://protobuf.dev/programming-guides/json/>) straight from the bytes of a message.
//!
//! A message is read once to learn where its fields lie; where they lie in the order of their numbers and none comes
//! twice, as encoders write them, they are printed as they are. Otherwise what the wire means is settled first: the last
//! scalar wins, messages merge, a oneof keeps its last member.
//!
//! What the official printers refuse gets a form of its own and, where something is lost, a note: see [`JsonPrinter::print`].

use smallvec::SmallVec;

use super::note::Notes;
use super::typed::{self, Packed, Shape};
use super::wire::{self, Fields, MAX_DEPTH, Value};
use super::{SpanNote, raw};
use crate::Severity;
use crate::json::{self, Drain, comma};
use crate::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};

/// How many unknown fields of a message are kept: a message of the wrong type may be nothing else.
const MAX_UNKNOWN: usize = 4096;

/// Fields that are kept while a message is printed, by all messages that it is nested in together; more are merged.
const MAX_ENTRIES: usize = 1 << 20;

/// Of a message with fewer entries none are merged.
const MIN_MERGED: usize = 1 << 12;

/// Entries of a map whose keys are kept while the map is sorted. A larger map's keys are read again when they are compared.
const MAX_MAP_ITEMS: usize = 1 << 14;

/// Prints messages as JSON. Keeps its memory from one message to the next.
#[derive(Debug, Default)]
pub struct JsonPrinter {
    entries: Vec<Entry>,
    path: Vec<PathStep>,
    hide_redacted: bool,
}

/// What there is to say about a message besides its JSON.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong with it.
    pub notes: Vec<SpanNote>,
    /// Fields that its type does not have.
    pub unknown: Unknown,
}

/// Fields that a message type does not have, in the message itself or nested in it.
#[derive(Debug, Default)]
pub struct Unknown {
    fields: Vec<UnknownField>,
}

#[derive(Debug)]
struct UnknownField {
    /// The messages that it lies in, from the outermost.
    path: SmallVec<[PathStep; 2]>,
    number: u32,
    /// Tag and value, or the value alone where it stands in a packed field.
    at: u32,
    end: u32,
    /// A number of a packed field.
    bits: Option<u64>,
}

/// A field number and where the field begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PathStep {
    number: u32,
    at: u32,
}

/// A field, or several with the same number that follow each other.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Index of the field in its message type.
    field: u32,
    /// The tag of the first.
    at: u32,
    /// Behind the last.
    end: u32,
    /// The value of the first.
    value_at: u32,
    /// A number, or the length of bytes or a group.
    bits: u64,
    form: Form,
    /// Whether there are several, or one that is broken: then they are read again.
    run: bool,
    /// The field's number where fields of other numbers may lie between them; else 0.
    number: u32,
}

/// What [`Entry::bits`] are.
#[derive(Clone, Copy, Debug)]
enum Form {
    Varint,
    Fixed64,
    Bytes,
    Group,
    Fixed32,
}

impl Entry {
    #[inline]
    fn new(field: u32, wire: &wire::Field<'_>) -> Self {
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
    fn again(field: u32, at: u32, end: u32) -> Self {
        Self { field, at, end, value_at: at, bits: 0, form: Form::Varint, run: true, number: 0 }
    }

    /// The first field, if it is the only one.
    #[inline]
    fn single<'a>(&self, message: &'a [u8]) -> Option<wire::Field<'a>> {
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
struct Part {
    from: u32,
    to: u32,
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

impl Unknown {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Appends them to `out` in the form of [`raw`]; `bytes` is the message that they were found in.
    ///
    /// Those of a nested message stand under the number of its field: `{"3": [{"9": [1]}]}`.
    pub fn write_json(&self, bytes: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) {
        let mut all: Vec<&UnknownField> = self.fields.iter().collect();
        write_unknown(&mut all, 0, bytes, out, drain);
    }
}

fn write_unknown(fields: &mut [&UnknownField], depth: usize, bytes: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) {
    let step = |f: &UnknownField| f.path.get(depth).copied().unwrap_or(PathStep { number: f.number, at: f.at });
    fields.sort_by_key(|f| (step(f).number, step(f).at));
    out.push(b'{');
    for same in fields.chunk_by_mut(|a, b| step(a).number == step(b).number) {
        let Some(number) = same.first().map(|f| step(f).number) else { continue };
        comma(out);
        out.push(b'"');
        json::write_unsigned(out, u64::from(number));
        out.extend_from_slice(b"\":[");
        for here in same.chunk_by_mut(|a, b| step(a).at == step(b).at) {
            match here {
                [field] if field.path.len() <= depth => {
                    comma(out);
                    match field.bits {
                        Some(bits) => json::write_exact(out, bits),
                        None => raw::write_field(bytes, field.at..field.end, out, drain),
                    }
                }
                nested => {
                    comma(out);
                    write_unknown(nested, depth + 1, bytes, out, drain);
                }
            }
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// One message on its way into `out`.
struct Job<'s, 'a, 'o> {
    schema: &'s Schema,
    bytes: &'a [u8],
    out: &'o mut Vec<u8>,
    drain: Drain<'o>,
    /// A stack: every message that is being printed has its fields on it.
    entries: &'o mut Vec<Entry>,
    /// The messages that are being printed.
    path: &'o mut Vec<PathStep>,
    notes: Notes,
    unknown: Unknown,
    dropped: usize,
    hide_redacted: bool,
}

/// Where a message's entries are on the stack.
type Entries = std::ops::Range<usize>;

impl<'s, 'a> Job<'s, 'a, '_> {
    /// A whole value of type `message`.
    fn message(&mut self, message: &'s Message, parts: &[Part], depth: u32) {
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
    fn members(&mut self, message: &'s Message, parts: &[Part], depth: u32) {
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

    fn field_of(&self, message: &'s Message, entry: usize) -> Option<&'s Field> {
        message.fields.get(self.entries.get(entry)?.field as usize)
    }

    /// Between values of which at least one is printed: what is not drained yet may still be taken back.
    #[inline]
    fn checkpoint(&mut self) {
        json::checkpoint(self.out, self.drain);
    }

    fn key(&mut self, field: &Field) {
        comma(self.out);
        self.out.extend_from_slice(&field.json_key);
    }

    fn member(&mut self, field: &'s Field, entries: Entries, depth: u32) {
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
    fn hidden(&mut self, entries: Entries) {
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
    fn again(&self, entry: &Entry) -> impl Iterator<Item = Result<wire::Field<'a>, wire::Broken<'a>>> + use<'a> {
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
    fn last(&self, entries: Entries) -> Option<wire::Field<'a>> {
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
    fn nested(&mut self, field: &'s Field, parts: &[Part], at: u32, depth: u32) {
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
    fn too_deep(&mut self, parts: &[Part], name: &str) {
        let span = parts.first().map_or(0..0, |part| part.from..part.to);
        self.notes.add(Severity::Error, "pb-too-deep", span, || {
            format!("{name} is nested more than {MAX_DEPTH} deep and not shown")
        });
    }

    /// A string, bytes or number.
    #[inline]
    fn scalar(&mut self, field: &Field, wire: &wire::Field<'a>) {
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
    fn not_utf8(&mut self, field: &Field, span: std::ops::Range<u32>) {
        self.notes.add(Severity::Warning, "pb-utf8", span, || format!("the string {} is not UTF-8", field.full_name));
    }

    /// `[…]` of all that `entries` hold. False where that is nothing.
    fn list(&mut self, field: &'s Field, entries: Entries, depth: u32) -> bool {
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

    fn packed(&mut self, field: &Field, value: Value<'a>, value_at: u32) {
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

    /// `{…}` of all that `entries` hold, sorted by key. False where that is nothing.
    fn map(&mut self, field: &'s Field, entries: Entries, depth: u32) -> bool {
        self.out.push(b'{');
        if let Some(message) = typed::message_of(self.schema, field.kind) {
            let MapItems { mut few, many } = self.map_items(message, field.number, entries);
            if !few.is_sorted_by(|a, b| a.key < b.key) {
                few.sort_by(|a, b| a.key.cmp(&b.key));
            }
            for (at, item) in few.iter().enumerate() {
                // The sort is stable: of equal keys, the last one lies last.
                if few.get(at + 1).is_none_or(|next| next.key != item.key) {
                    self.map_item(message, field.number, item, depth);
                }
            }
            if !many.is_empty() {
                self.many_map_items(message, field.number, many, depth);
            }
        }
        let some = self.out.last() != Some(&b'{');
        self.out.push(b'}');
        some
    }

    fn map_items(&mut self, message: &'s Message, number: u32, entries: Entries) -> MapItems<'a> {
        let MapItems { mut few, mut many } = MapItems::default();
        for at in entries {
            let Some(&entry) = self.entries.get(at) else { continue };
            for wire in self.again(&entry).filter_map(Result::ok) {
                let Some((item, outside)) = self.read_map_item(message, &wire) else { continue };
                if outside {
                    self.unknown(number, wire.at, wire.end, None);
                } else if !many.is_empty() {
                    many.push(item.at);
                } else if let Some(last) = few.last_mut()
                    && last.key == item.key
                {
                    *last = item;
                } else if few.len() >= MAX_MAP_ITEMS {
                    many.extend(few.drain(..).map(|item| item.at));
                    many.push(item.at);
                } else {
                    few.push(item);
                }
            }
        }
        MapItems { few, many }
    }

    /// A map entry, and whether its value is a number that a closed enum does not have; `None` for what is not one.
    fn read_map_item(&self, message: &Message, wire: &wire::Field<'a>) -> Option<(MapItem<'a>, bool)> {
        let part = part(&Ok(*wire))?;
        let mut key = message.field(1).map_or(Key::Number(0), |f| match f.kind {
            Kind::String => Key::Text(0, b""),
            _ => Key::Number(0),
        });
        let mut outside = false;
        for inner in Fields::within(self.bytes, part.from..part.to).filter_map(Result::ok) {
            let Some((_, inner_field)) = typed::lookup(message, inner.number) else { continue };
            match (typed::shape(inner_field, &inner.value), inner.value) {
                (Shape::One, Value::Bytes(text)) if inner.number == 1 => key = Key::Text(inner.value_at, text),
                (Shape::One, value) if inner.number == 1 => {
                    key = Key::Number(typed::integer(inner_field.kind, typed::bits(&value)));
                }
                (Shape::One, value) => {
                    outside = typed::outside_closed_enum(self.schema, inner_field.kind, typed::bits(&value));
                }
                _ => {}
            }
        }
        Some((MapItem { key, at: wire.at, part }, outside))
    }

    /// The map entry that begins at `at`, where one was read before.
    fn map_item_at(&self, message: &Message, at: u32) -> Option<MapItem<'a>> {
        let wire = Fields::within(self.bytes, at..self.bytes.len() as u32).next()?.ok()?;
        self.read_map_item(message, &wire).map(|(item, _)| item)
    }

    /// Prints a map by where its entries begin: their keys are read again for each comparison, so that a large map takes four
    /// bytes for each of its entries.
    #[cold]
    fn many_map_items(&mut self, message: &'s Message, number: u32, mut items: Vec<u32>, depth: u32) {
        let key = |at: u32| self.map_item_at(message, at).map(|item| item.key);
        // Of equal keys, the last one lies last.
        items.sort_unstable_by(|&a, &b| key(a).cmp(&key(b)).then(a.cmp(&b)));
        for (index, &at) in items.iter().enumerate() {
            let Some(item) = self.map_item_at(message, at) else { continue };
            let next = items.get(index + 1).and_then(|&next| self.map_item_at(message, next));
            if next.is_none_or(|next| next.key != item.key) {
                self.map_item(message, number, &item, depth);
            }
        }
    }

    fn map_item(&mut self, message: &'s Message, number: u32, item: &MapItem<'a>, depth: u32) {
        self.path.push(PathStep { number, at: item.at });
        let entries = self.gather(message, &[item.part]);
        comma(self.out);
        match (item.key, message.field(1)) {
            (Key::Text(at, text), key_field) => {
                if !json::write_bytes_lossy(self.out, text)
                    && let Some(field) = key_field
                {
                    self.not_utf8(field, at..at + text.len() as u32);
                }
            }
            (Key::Number(number), Some(Field { kind: Kind::Bool, .. })) => {
                self.out.extend_from_slice(if number == 0 { b"\"false\"" } else { b"\"true\"" });
            }
            (Key::Number(number), _) => {
                self.out.push(b'"');
                match u64::try_from(number) {
                    Ok(number) => json::write_unsigned(self.out, number),
                    Err(_) => json::write_signed(self.out, number as i64),
                }
                self.out.push(b'"');
            }
        }
        self.out.push(b':');
        match message.field(2) {
            Some(field) => {
                let values = self.entries_of(message, &entries, 2);
                self.value(field, values, depth);
            }
            None => self.out.extend_from_slice(b"null"),
        }
        self.entries.truncate(entries.start);
        self.checkpoint();
        self.path.pop();
    }

    /// The one value that `entries` hold, or the default where there is none.
    fn value(&mut self, field: &'s Field, entries: Entries, depth: u32) {
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
    fn entries_of(&self, message: &'s Message, entries: &Entries, number: u32) -> Entries {
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

    /// Puts on the stack what a message holds, sorted by field and settled: where a field has several entries, a scalar's
    /// last one counts, messages merge, and of a oneof only its last member is left.
    fn gather(&mut self, message: &'s Message, parts: &[Part]) -> Entries {
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
            self.settle(message, base);
        }
        base..self.entries.len()
    }

    /// Enters a field. False where the entries need settling.
    #[inline]
    fn push(&mut self, message: &Message, base: usize, entry: Entry, field: &Field, oneofs: &mut u64) -> bool {
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
            // Beyond 64 they share a bit: settling what is settled does no harm.
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
        self.settle(message, base);
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
    fn settle(&mut self, message: &Message, base: usize) {
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
    fn broken(&mut self, message: &'s Message, broken: &wire::Broken<'a>) -> Option<(u32, &'s Field)> {
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
    fn unknown(&mut self, number: u32, at: u32, end: u32, bits: Option<u64>) {
        if self.unknown.fields.len() < MAX_UNKNOWN {
            let path = SmallVec::from_slice(self.path);
            self.unknown.fields.push(UnknownField { path, number, at, end, bits });
        } else {
            self.dropped += 1;
        }
    }

    /// A type with a JSON form of its own.
    fn special(&mut self, known: WellKnown, message: &'s Message, parts: &[Part], depth: u32) {
        let entries = self.gather(message, parts);
        let field_1 = message.field(1);
        let all_1 = self.entries_of(message, &entries, 1);
        match (known, field_1) {
            (WellKnown::Any, _) => self.any(message, &entries, depth),
            (WellKnown::Timestamp | WellKnown::Duration, _) => {
                let seconds = self.number(all_1) as i64;
                let nanos = self.number(self.entries_of(message, &entries, 2)) as i32;
                let fits = match known {
                    WellKnown::Timestamp => write_timestamp(self.out, seconds, nanos),
                    _ => write_duration(self.out, seconds, nanos),
                };
                if !fits {
                    self.out.extend_from_slice(b"{\"seconds\":\"");
                    json::write_signed(self.out, seconds);
                    self.out.extend_from_slice(b"\",\"nanos\":");
                    json::write_signed(self.out, i64::from(nanos));
                    self.out.push(b'}');
                }
            }
            (WellKnown::FieldMask, Some(field)) => self.field_mask(field, all_1),
            (WellKnown::Struct, Some(field @ Field { cardinality: Cardinality::Map, .. })) => {
                self.map(field, all_1, depth);
            }
            (WellKnown::ListValue, Some(field @ Field { cardinality: Cardinality::Repeated, .. })) => {
                self.list(field, all_1, depth);
            }
            (WellKnown::Value, _) => match entries.end.checked_sub(1).filter(|&last| last >= entries.start) {
                Some(last) => {
                    if let Some(field) = self.field_of(message, last) {
                        let from = self.entries_of(message, &entries, field.number);
                        self.value(field, from, depth);
                    }
                }
                None => self.out.extend_from_slice(b"null"),
            },
            (WellKnown::Wrapper, Some(field)) => self.value(field, all_1, depth),
            // A type of that name that is not what the name says.
            _ => {
                self.entries.truncate(entries.start);
                self.out.push(b'{');
                self.members(message, parts, depth);
                self.out.push(b'}');
            }
        }
        self.entries.truncate(entries.start);
    }

    /// The last number that `entries` hold, or 0.
    fn number(&self, entries: Entries) -> u64 {
        self.last(entries).map_or(0, |wire| typed::bits(&wire.value))
    }

    fn any(&mut self, message: &'s Message, entries: &Entries, depth: u32) {
        let bytes = |wire: Option<wire::Field<'a>>| match wire {
            Some(wire::Field { value: Value::Bytes(bytes), value_at, at, .. }) => Some((bytes, value_at, at)),
            _ => None,
        };
        let url = bytes(self.last(self.entries_of(message, entries, 1)));
        let value = bytes(self.last(self.entries_of(message, entries, 2)));
        self.out.push(b'{');
        if url.is_some_and(|(url, ..)| !url.is_empty()) || value.is_some_and(|(value, ..)| !value.is_empty()) {
            let (url, url_at, _) = url.unwrap_or_default();
            let (value, value_at, at) = value.unwrap_or_default();
            self.out.extend_from_slice(b"\"@type\":");
            if !json::write_bytes_lossy(self.out, url)
                && let Some(field) = message.field(1)
            {
                self.not_utf8(field, url_at..url_at + url.len() as u32);
            }
            self.path.push(PathStep { number: 2, at });
            self.any_value(url, value, Part { from: value_at, to: value_at + value.len() as u32 }, depth);
            self.path.pop();
        }
        self.out.push(b'}');
    }

    fn any_value(&mut self, url: &[u8], value: &'a [u8], part: Part, depth: u32) {
        // containerd sends JSON under type names that may look like those of messages. A message does not begin with a
        // brace: that would be a group of number 15.
        if value.first() == Some(&b'{') && json::is_json(value) {
            self.out.extend_from_slice(b",\"@json\":");
            return json::copy_json_draining(self.out, value, self.drain);
        }
        // Standard names are `type.googleapis.com/<name>`, containerd's have no slash.
        let name = url.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let inner = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.schema.message(name))
            .and_then(|at| self.schema.messages.get(at.0 as usize));
        match inner {
            Some(inner) if depth >= MAX_DEPTH => self.too_deep(&[part], &inner.name),
            Some(inner) if matches!(inner.well_known, None | Some(WellKnown::Empty)) => {
                self.members(inner, &[part], depth + 1);
            }
            Some(inner) => {
                self.out.extend_from_slice(b",\"value\":");
                self.message(inner, &[part], depth + 1);
            }
            None => {
                self.out.extend_from_slice(b",\"@value\":");
                json::write_base64_draining(self.out, value, self.drain);
            }
        }
    }

    /// Paths in camelCase, joined by commas.
    fn field_mask(&mut self, field: &Field, entries: Entries) {
        self.out.push(b'"');
        let mut first = true;
        for at in entries {
            let Some(&entry) = self.entries.get(at) else { continue };
            for wire in self.again(&entry).filter_map(Result::ok) {
                let Value::Bytes(path) = wire.value else { continue };
                if !first {
                    self.out.push(b',');
                }
                first = false;
                let camel = std::str::from_utf8(path).ok().and_then(camel_case);
                if camel.is_none() {
                    self.notes.add(Severity::Warning, "pb-field-mask", wire.value_at..wire.end, || {
                        format!("a path of {} has no form in JSON: it is shown as it is", field.full_name)
                    });
                }
                let text = camel.map_or_else(|| String::from_utf8_lossy(path), Into::into);
                let from = self.out.len();
                json::write_string(self.out, &text);
                // Without its quotes.
                self.out.pop();
                self.out.remove(from);
            }
        }
        self.out.push(b'"');
    }
}

/// The entries of a map before they are printed.
#[derive(Default)]
struct MapItems<'a> {
    /// With their keys, if there are at most [`MAX_MAP_ITEMS`].
    few: SmallVec<[MapItem<'a>; 8]>,
    /// Else, where each begins.
    many: Vec<u32>,
}

/// A map entry before it is printed.
#[derive(Clone, Copy, Debug)]
struct MapItem<'a> {
    key: Key<'a>,
    at: u32,
    part: Part,
}

/// A map key, and where it lies if it is text.
#[derive(Clone, Copy, Debug)]
enum Key<'a> {
    Number(i128),
    Text(u32, &'a [u8]),
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(_, a), Self::Text(_, b)) => a.cmp(b),
            (Self::Number(_), Self::Text(..)) => std::cmp::Ordering::Less,
            (Self::Text(..), Self::Number(_)) => std::cmp::Ordering::Greater,
        }
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key<'_> {}

/// The content of a message or group, also of one that is cut short.
fn part(item: &Result<wire::Field<'_>, wire::Broken<'_>>) -> Option<Part> {
    let (from, value) = match item {
        Ok(wire) => (wire.value_at, wire.value),
        Err(broken) => broken.partial?,
    };
    match value {
        Value::Bytes(bytes) | Value::Group(bytes) => Some(Part { from, to: from + bytes.len() as u32 }),
        _ => None,
    }
}

fn entry_at(item: &Result<wire::Field<'_>, wire::Broken<'_>>) -> u32 {
    item.as_ref().map_or_else(|broken| broken.at, |wire| wire.at)
}

/// Whether a field without presence that has `value` counts as absent.
#[inline]
fn is_default(kind: Kind, value: &Value<'_>) -> bool {
    match value {
        Value::Bytes(bytes) => bytes.is_empty(),
        value => typed::is_default(kind, typed::bits(value)),
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

/// `foo_bar.baz` as `fooBar.baz`, if that can be turned back.
fn camel_case(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut after_underscore = false;
    for c in path.chars() {
        match c {
            'A'..='Z' => return None,
            'a'..='z' if after_underscore => camel.push(c.to_ascii_uppercase()),
            _ if after_underscore => return None,
            '_' => {}
            c => camel.push(c),
        }
        after_underscore = c == '_';
    }
    (!after_underscore).then_some(camel)
}

/// `"2023-11-14T22:13:20.123Z"`; false (and nothing written) outside of the years 1 to 9999.
fn write_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> bool {
    const FIRST: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    if !(FIRST..=LAST).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return false;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    out.push(b'"');
    for (number, digits, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, 0),
    ] {
        write_padded(out, number as u64, digits);
        if after != 0 {
            out.push(after);
        }
    }
    write_fraction(out, nanos.unsigned_abs());
    out.extend_from_slice(b"Z\"");
    true
}

/// `"-1.500s"`; false (and nothing written) beyond 10,000 years or where the signs differ.
fn write_duration(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> bool {
    const LONGEST: u64 = 315_576_000_000;
    let signs_differ = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if seconds.unsigned_abs() > LONGEST || nanos.unsigned_abs() >= 1_000_000_000 || signs_differ {
        return false;
    }
    out.push(b'"');
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    json::write_unsigned(out, seconds.unsigned_abs());
    write_fraction(out, nanos.unsigned_abs());
    out.extend_from_slice(b"s\"");
    true
}

/// Nothing, or a point and 3, 6 or 9 digits.
fn write_fraction(out: &mut Vec<u8>, nanos: u32) {
    let (number, digits) = match nanos {
        0 => return,
        n if n % 1_000_000 == 0 => (n / 1_000_000, 3),
        n if n % 1000 == 0 => (n / 1000, 6),
        n => (n, 9),
    };
    out.push(b'.');
    write_padded(out, u64::from(number), digits);
}

fn write_padded(out: &mut Vec<u8>, number: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years run from March here, so that the leap day is their last day, and an era is 400 of them.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;
    use proptest::prelude::*;

    const SCHEMA: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/duration.proto";
        import "google/protobuf/field_mask.proto";
        import "google/protobuf/struct.proto";
        message M {
          int32 number = 1;
          string text = 2;
          M inner = 3;
          repeated int32 list = 4;
          map<string, M> map = 5;
          google.protobuf.Any any = 6;
          google.protobuf.Timestamp time = 7;
          google.protobuf.Duration span = 8;
          google.protobuf.FieldMask mask = 9;
          google.protobuf.Value value = 10;
          repeated M inners = 11;
          oneof one { string a = 12; M b = 13; }
          repeated string texts = 14;
          map<sint64, double> doubles = 16;
        }
    "#;

    struct Printed {
        json: String,
        unknown: String,
        notes: Vec<(&'static str, std::ops::Range<u32>)>,
    }

    fn print(schema: &Schema, bytes: &[u8]) -> Printed {
        let (mut json, mut unknown) = (Vec::new(), Vec::new());
        let findings = JsonPrinter::new().print(schema, schema.message("t.M").unwrap(), bytes, &mut json);
        findings.unknown.write_json(bytes, &mut unknown, &mut json::keep);
        Printed {
            json: String::from_utf8(json).unwrap(),
            unknown: String::from_utf8(unknown).unwrap(),
            notes: findings.notes.into_iter().map(|note| (note.kind, note.span)).collect(),
        }
    }

    #[test]
    fn fields_in_turns_that_are_more_than_are_kept_print_as_few_do() {
        let schema = compile(SCHEMA);
        // 4: 7 and 1: 3 in turns, and a member of the oneof (12) that another one (13) clears.
        let pairs = MAX_ENTRIES;
        let mut bytes = [0x62, 1, b'x'].to_vec();
        bytes.extend([0x20, 7, 0x08, 3].repeat(pairs));
        bytes.extend([0x6a, 0, 0x08, 4]);
        let (mut out, mut written, mut largest) = (Vec::new(), Vec::new(), 0);
        let mut printer = JsonPrinter::new();
        let findings = printer.print_draining(&schema, schema.message("t.M").unwrap(), &bytes, &mut out, &mut |out| {
            largest = largest.max(out.len());
            json::drain_to(out, |text| written.extend_from_slice(text));
        });
        written.extend(out);
        assert!(findings.notes.is_empty());
        assert!(largest < 2 * json::DRAIN_AT);
        assert!(printer.entries.capacity() <= 4 * MAX_ENTRIES);
        let expected = format!("{{\"number\":4,\"list\":[{}],\"b\":{{}}}}", vec!["7"; pairs].join(","));
        assert!(written == expected.into_bytes());
    }

    #[test]
    fn a_map_with_more_entries_than_are_kept_is_sorted_and_its_last_values_count() {
        let schema = compile(SCHEMA);
        // 16, a map<sint64, double>: keys in no order, each twice, the second time with the value 1.
        let count = 2 * MAX_MAP_ITEMS as u32;
        let mut bytes = Vec::new();
        for double in [[0; 8], 1_f64.to_le_bytes()] {
            for number in 0..count {
                // An odd factor makes a permutation of 2^15 numbers. ZigZag: even numbers are not negative.
                let key = (number.wrapping_mul(2_654_435_761) % count) * 2;
                let mut entry = vec![0x08]; // 1, the key
                prost::encoding::encode_varint(key.into(), &mut entry);
                entry.push(0x11); // 2, the value
                entry.extend(double);
                bytes.extend([0x82, 0x01, entry.len() as u8]); // 16, an entry
                bytes.extend(entry);
            }
        }
        let (mut out, mut written) = (Vec::new(), Vec::new());
        let message = schema.message("t.M").unwrap();
        JsonPrinter::new().print_draining(&schema, message, &bytes, &mut out, &mut |out| {
            json::drain_to(out, |text| written.extend_from_slice(text));
        });
        written.extend(out);
        let items: Vec<String> = (0..count).map(|key| format!("\"{key}\":1.0")).collect();
        let expected = format!("{{\"doubles\":{{{}}}}}", items.join(","));
        assert!(written == expected.as_bytes(), "{}", String::from_utf8_lossy(written.get(..200).unwrap_or(&written)));
    }

    #[test]
    fn fields_marked_debug_redact_are_hidden_with_their_length() {
        let schema = compile(
            r#"
            syntax = "proto3";
            package t;
            import "google/protobuf/any.proto";
            enum State { NONE = 0; OPEN = 1; }
            message M {
              string user = 1;
              string password = 2 [debug_redact = true];
              repeated int32 pins = 3 [debug_redact = true];
              M inner = 4;
              map<string, string> keys = 5 [debug_redact = true];
              google.protobuf.Any any = 6;
            }
            "#,
        );
        let bytes = [
            &b"\x0a\x01u\x12\x06secret"[..],
            &[0x1a, 2, 1, 2, 0x18, 3],                // packed pins, and one that is not
            b"\x22\x04\x12\x02in",                    // inner: password "in"
            b"\x2a\x06\x0a\x01k\x12\x01v",            // keys
            b"\x32\x0b\x0a\x03t.M\x12\x04\x12\x02an", // an Any that holds an M with a password
            &[0x10, 9],                               // password with another wire type
        ]
        .concat();
        let printed = |hide: bool| {
            let (mut json, mut unknown) = (Vec::new(), Vec::new());
            let ix = schema.message("t.M").unwrap();
            let findings = JsonPrinter::new().hiding(hide).print(&schema, ix, &bytes, &mut json);
            findings.unknown.write_json(&bytes, &mut unknown, &mut json::keep);
            (String::from_utf8(json).unwrap(), String::from_utf8(unknown).unwrap())
        };
        assert_eq!(
            printed(true),
            (
                concat!(
                    r#"{"user":"u","password":{"hidden":6},"pins":{"hidden":3},"inner":{"password":{"hidden":2}},"#,
                    r#""keys":{"hidden":6},"any":{"@type":"t.M","password":{"hidden":2}}}"#
                )
                .to_owned(),
                "{}".to_owned()
            )
        );
        let (json, unknown) = printed(false);
        assert!(json.contains("secret") && unknown.contains('9'));
    }

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    #[test]
    fn any_without_a_slash_with_json_and_of_unknown_type() {
        let schema = compile(SCHEMA);
        let any = |url: &str, value: &[u8]| field(6, &[field(1, url.as_bytes()), field(2, value)].concat());
        let cases = [
            (any("t.M", &[0x08, 7]), r#"{"any":{"@type":"t.M","number":7}}"#),
            (any("a/b/t.M", &[]), r#"{"any":{"@type":"a/b/t.M"}}"#),
            (any("no.Such", b"\x01"), r#"{"any":{"@type":"no.Such","@value":"AQ=="}}"#),
            (any("no.Such", b""), r#"{"any":{"@type":"no.Such","@value":""}}"#),
            (any("types/1/Spec", b"{\"a\": 1.50}\n"), r#"{"any":{"@type":"types/1/Spec","@json":{"a":1.50}}}"#),
            (any("types/1/Spec", b"{\"a\": "), r#"{"any":{"@type":"types/1/Spec","@value":"eyJhIjog"}}"#),
            (any("", b"x"), r#"{"any":{"@type":"","@value":"eA=="}}"#),
            (
                any("x/google.protobuf.Timestamp", b""),
                r#"{"any":{"@type":"x/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}}"#,
            ),
        ];
        for (bytes, expected) in cases {
            let printed = print(&schema, &bytes);
            assert_eq!(printed.json, expected);
            assert_eq!(printed.notes, []);
        }
    }

    #[test]
    fn what_has_no_official_form_has_one_of_ours() {
        let schema = compile(SCHEMA);
        let cases = [
            // The second before the year 1, and a billion nanoseconds.
            (
                field(7, b"\x08\xff\x91\xb8\xc3\x98\xfe\xff\xff\xff\x01"),
                r#"{"time":{"seconds":"-62135596801","nanos":0}}"#,
            ),
            (field(7, b"\x08\x01\x10\x80\x94\xeb\xdc\x03"), r#"{"time":{"seconds":"1","nanos":1000000000}}"#),
            // One second and minus one nanosecond.
            (
                field(8, b"\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                r#"{"span":{"seconds":"1","nanos":-1}}"#,
            ),
            // A number that JSON has not.
            (field(10, b"\x11\0\0\0\0\0\0\xf0\x7f"), r#"{"value":"Infinity"}"#),
            (field(10, b""), r#"{"value":null}"#),
        ];
        for (bytes, expected) in cases {
            assert_eq!(print(&schema, &bytes).json, expected);
        }
        let printed = print(&schema, &field(9, &[field(1, b"a_b"), field(1, b"aB"), field(1, b"c__d")].concat()));
        assert_eq!(printed.json, r#"{"mask":"aB,aB,c__d"}"#);
        assert_eq!(printed.notes, [("pb-field-mask", 9..11), ("pb-field-mask", 13..17)]);
        let printed = print(&schema, &field(2, b"a\xffb"));
        assert_eq!(printed.json, "{\"text\":\"a\u{fffd}b\"}");
        assert_eq!(printed.notes, [("pb-utf8", 2..5)]);
    }

    #[test]
    fn what_does_not_fit_is_unknown_and_the_rest_is_shown() {
        let schema = compile(SCHEMA);
        let bytes = [
            &[0x0d, 1, 0, 0, 0][..], // 1 (int32) with 32 bits
            &[0x12, 1, b'x'],        // 2: "x"
            &[0x1a, 4],              // 3: a message of 4 bytes
            &[0x98, 0x06, 5],        //   99: 5
            &[0x07],                 //   a tag with wire type 7
            &[0xa0, 0x06, 9],        // 100: 9
            &[0x9a, 0x06, 1, b'y'],  // 99: "y"
            &[0x08, 3],              // 1: 3
        ]
        .concat();
        let printed = print(&schema, &bytes);
        assert_eq!(printed.json, r#"{"number":3,"text":"x","inner":{}}"#);
        assert_eq!(printed.unknown, r#"{"1":[{"fixed32":1}],"3":[{"99":[5]}],"99":["y"],"100":[9]}"#);
        assert_eq!(printed.notes, [("pb-wire-type", 0..5), ("pb-broken", 13..14)]);
    }

    #[test]
    fn of_a_message_cut_short_everything_before_the_cut_is_shown() {
        let schema = compile(SCHEMA);
        let bytes = [
            &[0x08, 1][..],         // 1: 1
            &[0x1a, 6],             // 3: a message of 6 bytes
            &[0x08, 2],             //   1: 2
            &[0x12, 2, b'h', b'i'], //   2: "hi"
            &[0x22, 3, 1, 2, 3],    // 4: packed 1, 2, 3
        ]
        .concat();
        let expected = [
            (2, r#"{"number":1}"#),
            (3, r#"{"number":1}"#),
            (6, r#"{"number":1,"inner":{"number":2}}"#),
            (9, r#"{"number":1,"inner":{"number":2}}"#),
            (10, r#"{"number":1,"inner":{"number":2,"text":"hi"}}"#),
            (13, r#"{"number":1,"inner":{"number":2,"text":"hi"},"list":[1]}"#),
            (15, r#"{"number":1,"inner":{"number":2,"text":"hi"},"list":[1,2,3]}"#),
        ];
        for (len, json) in expected {
            let printed = print(&schema, &bytes[..len]);
            assert_eq!(printed.json, json, "{len}");
            assert_eq!(printed.notes.is_empty(), matches!(len, 2 | 10 | 15), "{len}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let schema = compile(SCHEMA);
        let nest = |depth| {
            let mut bytes = Vec::new();
            for _ in 0..depth {
                let mut outer = vec![0x1a];
                prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
                outer.extend(&bytes);
                bytes = outer;
            }
            print(&schema, &bytes)
        };
        assert_eq!(nest(100).notes, []);
        let deep = nest(5000);
        assert_eq!(deep.json.matches("inner").count(), 101);
        assert_eq!(deep.notes.len(), 1);
        assert_eq!(deep.notes[0].0, "pb-too-deep");
    }

    #[test]
    fn dates_agree_with_another_calendar() {
        for seconds in (-62_135_596_800..253_402_300_799i64).step_by(86_400 * 97 + 3_607) {
            let mut out = Vec::new();
            assert!(write_timestamp(&mut out, seconds, 0));
            let expected = jiff::Timestamp::from_second(seconds).map(|time| format!("\"{time}\""));
            if let Ok(expected) = expected {
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_json(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let printed = print(&compile(SCHEMA), &bytes);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&printed.json).is_ok(), "{}", printed.json);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&printed.unknown).is_ok(), "{}", printed.unknown);
        }
    }
}
