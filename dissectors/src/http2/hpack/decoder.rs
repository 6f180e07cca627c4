//! From the bytes of a header block to its fields.

use std::ops::Range;
use std::sync::Arc;

use super::cache::State;
use super::table::{ENTRY_OVERHEAD, Lookup, Table};
use super::{Fault, FaultKind, huffman, integer, static_table};
use crate::Cursor;
use crate::header::{Coded, Field, Octets, Text};

/// Bytes of one header block. HTTP/2 sets no limit to CONTINUATION; gRPC's own defaults end at 16 MiB.
pub const MAX_BLOCK: usize = 16 << 20;

/// Bytes of one name or value, as sent and as decoded. Far above what servers accept; a length beyond it is noise.
pub const MAX_STRING: usize = 4 << 20;

/// Fields of one block. A field may be one byte, and takes some hundred here.
pub const MAX_FIELDS: usize = 8192;

/// Bytes of all names and values of one block, counted as RFC 9113 counts (32 more a field). References to one large
/// entry cost a byte each: what they would unfold to has to end somewhere. gRPC's default for a header list is 16 MiB.
pub const MAX_DECODED: usize = 16 << 20;

/// Faults of one block that are reported individually.
pub const MAX_FAULTS: usize = 64;

/// Scratch that is kept between blocks; after a larger string it is given back.
const SCRATCH_KEPT: usize = 16 << 10;

/// The same for fields.
const FIELDS_KEPT: usize = 128;

/// One direction's dynamic table and its epochs.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: Table,
    /// SETTINGS_HEADER_TABLE_SIZE of the side that decodes, if it was seen.
    limit: Option<u32>,
    /// Strings are decoded here before they find their place.
    scratch: Vec<u8>,
    /// Fields are gathered here before their number is known.
    fields: Vec<Field>,
}

/// What a header block says.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its fields in order, up to the end or to the fault that ended it.
    pub fields: Arc<[Field]>,
    /// What is wrong with it, up to [`MAX_FAULTS`].
    pub faults: Vec<Fault>,
    /// Whether it was read to its end.
    pub complete: bool,
    /// Whether the same bytes mean the same again, as long as nothing is inserted.
    pub repeatable: bool,
}

impl Decoder {
    /// Before the first block. `from_start`: of the connection; otherwise it was joined in the middle, and the table holds
    /// entries that were not seen.
    pub fn new(from_start: bool) -> Self {
        Self { table: Table::new(from_start), limit: None, scratch: Vec::new(), fields: Vec::new() }
    }

    /// Begins a new epoch: blocks may have been lost, and the contents of the table are no longer known.
    pub fn new_epoch(&mut self) {
        self.table.new_epoch();
    }

    /// The other side's SETTINGS_HEADER_TABLE_SIZE comes into force. It bounds size updates and evicts nothing.
    pub fn set_limit(&mut self, settings_header_table_size: u32) {
        self.limit = Some(settings_header_table_size);
    }

    /// Insertions seen since [`Decoder::new`], in all epochs.
    pub fn insertions(&self) -> u64 {
        self.table.inserted_ever()
    }

    /// The number of the epoch, from 0.
    pub fn epoch(&self) -> u32 {
        self.table.epoch()
    }

    /// Decodes one whole header block. It never fails: faults are in [`Block::faults`].
    ///
    /// After a fault that ends the block, or one that leaves an entry unreadable, a new epoch has begun.
    pub fn decode(&mut self, block: &[u8]) -> Block {
        let before = self.state();
        let mut reading = Reading {
            cursor: Cursor::new(block),
            table: &mut self.table,
            limit: self.limit,
            scratch: &mut self.scratch,
            fields: &mut self.fields,
            faults: Vec::new(),
            decoded: 0,
            resized: false,
        };
        let complete = reading.block();
        let faults = std::mem::take(&mut reading.faults);
        let resized = reading.resized;
        let fields: Arc<[Field]> = self.fields.drain(..).collect();
        if !complete {
            self.new_epoch();
        }
        if self.scratch.len() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
        self.fields.shrink_to(FIELDS_KEPT);
        let repeatable = faults.is_empty() && !resized && self.state() == before;
        Block { fields, faults, complete, repeatable }
    }

    /// What tells this state of the table from others.
    pub(in crate::http2) fn state(&self) -> State {
        State { epoch: self.table.epoch(), inserted_ever: self.table.inserted_ever() }
    }
}

/// One block being read.
struct Reading<'a> {
    cursor: Cursor<'a>,
    table: &'a mut Table,
    limit: Option<u32>,
    scratch: &'a mut Vec<u8>,
    fields: &'a mut Vec<Field>,
    faults: Vec<Fault>,
    /// As [`MAX_DECODED`] counts.
    decoded: usize,
    /// Whether a size update was read.
    resized: bool,
}

/// A string and how it was sent.
struct Read {
    text: Text,
    huffman: bool,
    span: Range<u32>,
    /// Whether `text` is the bytes as sent, since their code was wrong.
    raw: bool,
}

impl Reading<'_> {
    /// All of it; false where a fault ended it.
    fn block(&mut self) -> bool {
        if self.cursor.rest().len() > MAX_BLOCK {
            self.fault(FaultKind::BlockTooLong, 0);
            return false;
        }
        while let Some(first) = self.cursor.u8() {
            let from = self.here() - 1;
            if let Err(kind) = self.one(first, from) {
                self.fault(kind, from);
                return false;
            }
        }
        true
    }

    /// One field or size update (RFC 7541 §6), whose `first` byte is read.
    ///
    /// ```text
    /// 1iii iiii                    indexed
    /// 01ii iiii [name] value       literal, inserted
    /// 001s ssss                    table size update
    /// 0001 iiii [name] value       literal, never to be inserted
    /// 0000 iiii [name] value       literal
    /// ```
    fn one(&mut self, first: u8, from: u32) -> Result<(), FaultKind> {
        match first {
            0x80.. => self.indexed(first, from),
            0x40..0x80 => self.literal(first, from, 6, Coded::LiteralIndexed),
            0x20..0x40 => self.size_update(first, from),
            0x10..0x20 => self.literal(first, from, 4, Coded::NeverIndexed),
            0x00..0x10 => self.literal(first, from, 4, Coded::Literal),
        }
    }

    fn indexed(&mut self, first: u8, from: u32) -> Result<(), FaultKind> {
        let index = integer::read(first, 7, &mut self.cursor)?;
        let (name, value) = match static_table::entry(index) {
            Some((name, value)) => (Text::Known(Octets::fixed(name)), Text::Known(Octets::fixed(value))),
            None => self.dynamic(
                index,
                from,
                |entry| (entry.name.clone(), entry.value.clone()),
                |text| (text.clone(), text),
            )?,
        };
        let span = from..self.here();
        self.push(Field {
            name,
            value,
            coded: Coded::Indexed,
            name_huffman: false,
            value_huffman: false,
            index: Some(index),
            span: span.clone(),
            value_span: span,
        })
    }

    fn literal(&mut self, first: u8, from: u32, prefix: u32, coded: Coded) -> Result<(), FaultKind> {
        let index = integer::read(first, prefix, &mut self.cursor)?;
        let (name, name_huffman, name_raw) = match (index, static_table::entry(index)) {
            (0, _) => {
                let read = self.string()?;
                (read.text, read.huffman, read.raw)
            }
            (_, Some((name, _))) => (Text::Known(Octets::fixed(name)), false, false),
            (_, None) => (self.dynamic(index, from, |entry| entry.name.clone(), |text| text)?, false, false),
        };
        let value = self.string()?;
        if coded == Coded::LiteralIndexed {
            if name_raw || value.raw {
                // What the other side inserted, if anything, is not what was read: a hole.
                let hole = Text::Unknown(self.table.next());
                self.table.insert(hole.clone(), hole);
            } else {
                self.table.insert(name.clone(), value.text.clone());
            }
        }
        self.push(Field {
            name,
            value: value.text,
            coded,
            name_huffman,
            value_huffman: value.huffman,
            index: (index > 0).then_some(index),
            span: from..self.here(),
            value_span: value.span,
        })
    }

    fn size_update(&mut self, first: u8, from: u32) -> Result<(), FaultKind> {
        let size = integer::read(first, 5, &mut self.cursor)?;
        self.resized = true;
        // RFC 7541 §4.2: an update is at the beginning of a block, and keeps within what SETTINGS allow.
        if !self.fields.is_empty() {
            self.fault(FaultKind::LateSizeUpdate, from);
        }
        if self.limit.is_some_and(|limit| size > limit) {
            self.fault(FaultKind::SizeUpdateAboveLimit, from);
        }
        self.table.set_size(size);
        Ok(())
    }

    /// What `take` makes of the dynamic entry `index`, or `unknown` of its absence.
    fn dynamic<T>(
        &mut self,
        index: u32,
        from: u32,
        take: impl FnOnce(&super::table::Entry) -> T,
        unknown: impl FnOnce(Text) -> T,
    ) -> Result<T, FaultKind> {
        // RFC 7541 §6.1: index 0 is not used.
        let back = index.checked_sub(static_table::LEN).ok_or(FaultKind::IndexZero)?;
        let entry = match self.table.find(back) {
            Lookup::Entry(entry) => return Ok(take(entry)),
            Lookup::Unknown(entry) => entry,
            Lookup::Beyond(entry) => {
                self.fault(FaultKind::IndexBeyondTable, from);
                entry
            }
        };
        Ok(unknown(Text::Unknown(entry)))
    }

    /// A string (RFC 7541 §5.2): `Hlll llll`, then that many bytes.
    fn string(&mut self) -> Result<Read, FaultKind> {
        let first = self.cursor.u8().ok_or(FaultKind::Truncated)?;
        let huffman = first & 0x80 != 0;
        let len = integer::read(first, 7, &mut self.cursor)? as usize;
        if len > MAX_STRING {
            return Err(FaultKind::StringTooLong);
        }
        let from = self.here();
        let bytes = self.cursor.take(len).ok_or(FaultKind::Truncated)?;
        let span = from..self.here();
        if !huffman {
            return Ok(Read { text: Text::Known(Octets::copied(bytes)), huffman, span, raw: false });
        }
        match huffman::decode(bytes, self.scratch) {
            Ok(len) if len > MAX_STRING => Err(FaultKind::StringTooLong),
            Ok(len) => {
                let decoded = self.scratch.get(..len).unwrap_or_default();
                Ok(Read { text: Text::Known(Octets::copied(decoded)), huffman, span, raw: false })
            }
            Err(kind) => {
                // The length is good, so the block continues. But bytes that no encoder writes put in doubt what came
                // before them, so that nothing from there is believed any more.
                self.fault(kind, from);
                self.table.new_epoch();
                Ok(Read { text: Text::Known(Octets::copied(bytes)), huffman, span, raw: true })
            }
        }
    }

    #[inline(always)] // 80 bytes would be copied once more
    fn push(&mut self, field: Field) -> Result<(), FaultKind> {
        if self.fields.len() >= MAX_FIELDS {
            return Err(FaultKind::TooManyFields);
        }
        self.decoded += field.name.len() + field.value.len() + ENTRY_OVERHEAD;
        if self.decoded > MAX_DECODED {
            return Err(FaultKind::DecodedTooLarge);
        }
        self.fields.push(field);
        Ok(())
    }

    fn fault(&mut self, kind: FaultKind, from: u32) {
        if self.faults.len() < MAX_FAULTS || kind.ends_block() {
            self.faults.push(Fault { kind, span: from..self.here() });
        }
    }

    /// The position of the next byte. A block is no longer than [`MAX_BLOCK`], or nothing of it is read.
    fn here(&self) -> u32 {
        self.cursor.position() as u32
    }
}
