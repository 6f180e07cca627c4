//! One direction's insertions, as far as they were seen.

use std::collections::VecDeque;

use crate::header::{Text, UnknownEntry};

/// Bytes of insertions that are kept however small the announced table size is. Its true size may not have been seen, and an
/// entry that is forgotten late is only one that nobody refers to.
pub const KEPT_AT_LEAST: u32 = 64 << 10;

/// Bytes of insertions that are kept however large the announced table size is: SETTINGS can name four gigabytes.
pub const KEPT_AT_MOST: u32 = 1 << 20;

/// RFC 7541 §4.1: what an entry counts beside its name and value.
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// RFC 9113 §6.5.2: SETTINGS_HEADER_TABLE_SIZE before anybody says anything.
const INITIAL_SIZE: u32 = 4096;

/// The dynamic table of one epoch.
#[derive(Clone, Debug)]
pub(super) struct Table {
    epoch: u32,
    /// Whether the epoch began with the connection, so that nothing comes before it.
    from_start: bool,
    /// The newest first.
    entries: VecDeque<Entry>,
    /// Of the entries, as RFC 7541 counts.
    bytes: usize,
    /// Insertions of the epoch, also those that are forgotten.
    inserted: u64,
    /// Insertions of all epochs.
    inserted_ever: u64,
    /// The size that the sender has set, where it is known.
    size: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Text,
    pub(super) value: Text,
}

/// What a dynamic index refers to.
pub(super) enum Lookup<'a> {
    Entry(&'a Entry),
    /// One that was not seen, or is forgotten.
    Unknown(UnknownEntry),
    /// The same, and a sender that keeps to the rules does not refer to it.
    Beyond(UnknownEntry),
}

impl Table {
    pub(super) fn new(from_start: bool) -> Self {
        Self {
            epoch: 0,
            from_start,
            entries: VecDeque::new(),
            bytes: 0,
            inserted: 0,
            inserted_ever: 0,
            size: from_start.then_some(INITIAL_SIZE),
        }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Insertions since the decoder was made, in all epochs.
    pub(super) fn inserted_ever(&self) -> u64 {
        self.inserted_ever
    }

    /// Forgets everything: what is referred to from here on is known only if it is inserted from here on.
    pub(super) fn new_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.from_start = false;
        self.size = None;
        self.inserted = 0;
        self.clear();
    }

    /// A size update of the sender. Nothing is evicted before there is need to.
    pub(super) fn set_size(&mut self, size: u32) {
        self.size = Some(size);
    }

    /// The `back`th newest insertion, from 1.
    pub(super) fn find(&self, back: u32) -> Lookup<'_> {
        if let Some(entry) = back.checked_sub(1).and_then(|at| self.entries.get(at as usize)) {
            return Lookup::Entry(entry);
        }
        let number = self.inserted as i64 - i64::from(back);
        let unknown = UnknownEntry { epoch: self.epoch, number };
        // From the beginning of the connection everything was seen. Elsewhere, no table has room for more than this.
        let beyond = match self.from_start {
            true => number < 0 || self.size.is_some_and(|size| size <= KEPT_AT_MOST),
            false => back as usize > KEPT_AT_MOST as usize / ENTRY_OVERHEAD,
        };
        if beyond { Lookup::Beyond(unknown) } else { Lookup::Unknown(unknown) }
    }

    /// The identity of the entry that comes next.
    pub(super) fn next(&self) -> UnknownEntry {
        UnknownEntry { epoch: self.epoch, number: self.inserted as i64 }
    }

    /// Inserts an entry. It is counted even when there is no room for it: then everything is forgotten (RFC 7541 §4.4),
    /// and whatever refers to it or to older ones is unknown.
    pub(super) fn insert(&mut self, name: Text, value: Text) {
        let bytes = name.len() + value.len() + ENTRY_OVERHEAD;
        self.inserted += 1;
        self.inserted_ever += 1;
        let room = self.size.unwrap_or(KEPT_AT_LEAST).clamp(KEPT_AT_LEAST, KEPT_AT_MOST) as usize;
        if bytes > room || self.size.is_some_and(|size| bytes > size as usize) {
            self.clear();
            return;
        }
        while self.bytes + bytes > room
            && let Some(oldest) = self.entries.pop_back()
        {
            self.bytes -= oldest.name.len() + oldest.value.len() + ENTRY_OVERHEAD;
        }
        self.bytes += bytes;
        self.entries.push_front(Entry { name, value });
    }

    fn clear(&mut self) {
        self.entries = VecDeque::new();
        self.bytes = 0;
    }
}
