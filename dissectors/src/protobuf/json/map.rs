//! Maps: sorted by key, and of equal keys the last entry.

use smallvec::SmallVec;

use super::entry::{Part, PathStep, part};
use super::printer::{Entries, Job};
use crate::json::{self, comma};
use crate::protobuf::typed::{self, Shape};
use crate::protobuf::wire::{self, Fields, Value};
use crate::schema::{Field, Kind, Message};

/// Entries of a map whose keys are kept while the map is sorted. A larger map's keys are read again when they are compared.
pub(super) const MAX_MAP_ITEMS: usize = 1 << 14;

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

impl<'s, 'a> Job<'s, 'a, '_> {
    /// `{…}` of all that `entries` hold, sorted by key. False where that is nothing.
    pub(super) fn map(&mut self, field: &'s Field, entries: Entries, depth: u32) -> bool {
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
