//! The frames that were read, in a file without a name: a capture has more of them than memory.
//!
//! Entries follow each other, so that they can only be read from the beginning of their block.
//!
//! ```text
//!  entry  = length of what follows (32 bits), tag (8 bits), fields in a fixed order, little-endian
//!  block  = BLOCK entries; memory holds where each block begins
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rpcshark_captures::{Direction, PacketNo, Timestamp};
use rpcshark_dissectors::http2::Priority;
use rpcshark_dissectors::store::{
    CallId, CompletedMessages, ConnectionId, Frame, FrameRef, Framing, HeaderListId, LaneNo,
};
use rpcshark_dissectors::{Note, Severity};
use rpcshark_tui::model::frames::GapRow;

/// An entry.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Frame(Box<FrameRef>),
    Gap(GapRow),
}

/// Entries of a block.
const BLOCK: u64 = 32;

/// Bytes that are gathered before they are written.
const WRITE: usize = 1 << 18;

/// The entries that were read.
#[derive(Debug)]
pub(super) struct FrameLog {
    file: File,
    /// Bytes in the file.
    written: u64,
    /// Bytes that are not in it yet.
    pending: Vec<u8>,
    /// Where each block begins.
    blocks: Vec<u64>,
    len: u64,
    /// What cannot be written as a number that means the same later: header lists, and the kinds of notes.
    lists: Vec<HeaderListId>,
    kinds: Vec<&'static str>,
    /// A bit for each entry: whether something is wrong with it.
    problems: Vec<u64>,
    /// The block that was read last.
    cached: Option<(u64, Vec<Entry>)>,
}

impl FrameLog {
    /// # Errors
    ///
    /// If there can be no temporary file.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            file: rpcshark_captures::temporary_file()?,
            written: 0,
            pending: Vec::new(),
            blocks: Vec::new(),
            len: 0,
            lists: Vec::new(),
            kinds: Vec::new(),
            problems: Vec::new(),
            cached: None,
        })
    }

    /// How many entries there are.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Adds an entry; `problem`: something is wrong with it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(super) fn push(&mut self, entry: &Entry, problem: bool) -> io::Result<()> {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(self.written + self.pending.len() as u64);
        }
        // A block that is still growing is read anew.
        if self.cached.as_ref().is_some_and(|(block, _)| *block == self.len / BLOCK) {
            self.cached = None;
        }
        if self.len.is_multiple_of(64) {
            self.problems.push(0);
        }
        if let Some(bits) = self.problems.last_mut().filter(|_| problem) {
            *bits |= 1 << (self.len % 64);
        }
        let mut fields = Fields(Vec::with_capacity(96));
        self.encode(entry, &mut fields);
        self.pending.extend((fields.0.len() as u32).to_le_bytes());
        self.pending.extend(fields.0);
        self.len += 1;
        if self.pending.len() >= WRITE {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// The entry at `index`.
    pub(super) fn get(&mut self, index: u64) -> Option<Entry> {
        if index >= self.len {
            return None;
        }
        let block = index / BLOCK;
        if self.cached.as_ref().is_none_or(|(cached, _)| *cached != block) {
            self.cached = Some((block, self.read_block(block)?));
        }
        self.cached.as_ref()?.1.get((index % BLOCK) as usize).cloned()
    }

    fn read_block(&mut self, block: u64) -> Option<Vec<Entry>> {
        // What cannot be written cannot be read again; the reading says so.
        self.flush().ok()?;
        let at = usize::try_from(block).ok()?;
        let from = *self.blocks.get(at)?;
        let to = self.blocks.get(at + 1).copied().unwrap_or(self.written);
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        self.file.read_exact_at(&mut bytes, from).ok()?;
        let mut rest = Reader(&bytes);
        let mut entries = Vec::with_capacity(BLOCK as usize);
        while !rest.0.is_empty() {
            let length = rest.u32()? as usize;
            let fields = rest.take(length)?;
            entries.push(self.decode(&mut Reader(fields))?);
        }
        Some(entries)
    }

    /// Whether something is wrong with the entry at `index`.
    pub(super) fn is_problem(&self, index: u64) -> bool {
        let bits = usize::try_from(index / 64).ok().and_then(|at| self.problems.get(at));
        bits.is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    fn encode(&mut self, entry: &Entry, to: &mut Fields) {
        let FrameRef { no, lane, frame } = match entry {
            Entry::Gap(gap) => {
                to.u8(1);
                to.u32(gap.connection);
                to.u8(gap.direction.index() as u8);
                to.option(gap.time.map(|time| time.as_nanos() as u64));
                to.option(gap.length);
                return;
            }
            Entry::Frame(frame) => &**frame,
        };
        to.u8(0);
        to.option(*no);
        to.u32(lane.0.into());
        to.u64(u64::from(frame.packet.file()) << 48 | frame.packet.number());
        to.u64(frame.time.as_nanos() as u64);
        to.u64(frame.extent.start);
        to.u64(frame.extent.end);
        to.u32(frame.connection.0);
        let bits = frame.direction.index() as u8 | u8::from(frame.protocol == Framing::Ttrpc) << 1;
        to.u8(bits);
        to.u32(frame.stream);
        to.u8(frame.kind);
        to.u8(frame.flags);
        to.u32(frame.length);
        to.option(frame.call.map(|id| id.0.into()));
        match &frame.messages {
            None => to.u8(2),
            Some(completed) => {
                to.u8(completed.direction.index() as u8);
                to.u32(completed.range.start);
                to.u32(completed.range.end);
            }
        }
        to.option(frame.headers.map(|list| {
            self.lists.push(list);
            self.lists.len() as u64 - 1
        }));
        to.option(frame.promised.map(u64::from));
        to.option(frame.padding.map(u64::from));
        to.option(frame.priority.map(|priority| {
            u64::from(priority.depends_on) | u64::from(priority.weight) << 32 | u64::from(priority.exclusive) << 48
        }));
        to.bytes(&frame.payload);
        to.option(frame.trunk.map(u64::from));
        to.u32(frame.notes.len() as u32);
        for note in &frame.notes {
            let kind = self.kinds.iter().position(|kind| *kind == note.kind).unwrap_or_else(|| {
                self.kinds.push(note.kind);
                self.kinds.len() - 1
            });
            to.u32(kind as u32);
            to.u8(note.severity as u8);
            to.bytes(note.text.as_bytes());
            to.option(note.packet.map(|packet| u64::from(packet.file()) << 48 | packet.number()));
        }
    }

    fn decode(&self, from: &mut Reader<'_>) -> Option<Entry> {
        let direction = |bit: u8| Direction::BOTH.into_iter().find(|direction| direction.index() as u8 == bit & 1);
        if from.u8()? == 1 {
            return Some(Entry::Gap(GapRow {
                connection: from.u32()?,
                direction: direction(from.u8()?)?,
                time: from.option()?.map(|nanos| Timestamp::from_nanos(nanos as i64)),
                length: from.option()?,
            }));
        }
        let no = from.option()?;
        let lane = LaneNo(from.u32()? as u16);
        let packet = packet_no(from.u64()?);
        let time = Timestamp::from_nanos(from.u64()? as i64);
        let extent = from.u64()?..from.u64()?;
        let connection = ConnectionId(from.u32()?);
        let bits = from.u8()?;
        let frame = Frame {
            packet,
            time,
            extent,
            connection,
            direction: direction(bits)?,
            protocol: if bits & 2 == 0 { Framing::Http2 } else { Framing::Ttrpc },
            stream: from.u32()?,
            kind: from.u8()?,
            flags: from.u8()?,
            length: from.u32()?,
            call: from.option()?.map(|id| CallId(id as u32)),
            messages: match from.u8()? {
                2 => None,
                way => Some(CompletedMessages { direction: direction(way)?, range: from.u32()?..from.u32()? }),
            },
            headers: match from.option()? {
                None => None,
                Some(list) => Some(*self.lists.get(usize::try_from(list).ok()?)?),
            },
            promised: from.option()?.map(|stream| stream as u32),
            padding: from.option()?.map(|bytes| bytes as u8),
            priority: from.option()?.map(|bits| Priority {
                depends_on: bits as u32,
                weight: (bits >> 32) as u16,
                exclusive: bits >> 48 & 1 == 1,
            }),
            payload: from.bytes()?.into(),
            trunk: from.option()?.map(|no| no as u32),
            notes: {
                let count = from.u32()?;
                (0..count).map(|_| self.decode_note(from)).collect::<Option<_>>()?
            },
        };
        Some(Entry::Frame(Box::new(FrameRef { no, lane, frame })))
    }

    fn decode_note(&self, from: &mut Reader<'_>) -> Option<Note> {
        let kind = *self.kinds.get(from.u32()? as usize)?;
        let severity = match from.u8()? {
            0 => Severity::Info,
            1 => Severity::Warning,
            _ => Severity::Error,
        };
        let text = String::from_utf8_lossy(from.bytes()?).into_owned();
        let packet = from.option()?.map(packet_no);
        Some(Note { severity, kind, text, packet })
    }
}

fn packet_no(bits: u64) -> PacketNo {
    PacketNo::new((bits >> 48) as u16, bits & ((1 << 48) - 1))
}

/// Fields that are being written.
struct Fields(Vec<u8>);

impl Fields {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn option(&mut self, value: Option<u64>) {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            self.u64(value);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend(bytes);
    }
}

/// Fields that are being read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn option(&mut self) -> Option<Option<u64>> {
        match self.u8()? {
            0 => Some(None),
            _ => self.u64().map(Some),
        }
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(no: u64) -> Entry {
        let mut note = Note::new(Severity::Warning, "some-kind", format!("note {no}"));
        note.packet = Some(PacketNo::new(1, no));
        let frame = Frame {
            packet: PacketNo::new(3, no * 10),
            time: Timestamp::from_nanos(-5),
            extent: no..no + 20,
            connection: ConnectionId(7),
            direction: Direction::ToClient,
            protocol: Framing::Ttrpc,
            stream: 5,
            kind: 3,
            flags: 0x41,
            length: 11,
            call: Some(CallId(9)),
            messages: Some(CompletedMessages { direction: Direction::ToServer, range: 2..4 }),
            headers: None,
            promised: Some(2),
            padding: Some(0),
            priority: Some(Priority { exclusive: true, depends_on: 77, weight: 256 }),
            payload: b"payload".as_slice().into(),
            trunk: Some(1),
            notes: if no.is_multiple_of(3) { vec![note] } else { Vec::new() },
        };
        Entry::Frame(Box::new(FrameRef { no: Some(no), lane: LaneNo(4), frame }))
    }

    #[test]
    fn entries_come_out_as_they_went_in_while_the_log_grows() {
        let mut log = FrameLog::new().unwrap();
        let gap = GapRow { connection: 2, direction: Direction::ToServer, time: None, length: Some(1460) };
        for no in 0..1000u64 {
            let entry = if no % 100 == 50 { Entry::Gap(gap) } else { frame(no) };
            log.push(&entry, no % 7 == 0).unwrap();
            // Reading in between leaves nothing stale.
            assert!(log.get(no).is_some());
        }
        for no in [0, 31, 32, 49, 50, 51, 500, 999] {
            let expected = if no % 100 == 50 { Entry::Gap(gap) } else { frame(no) };
            assert_eq!(format!("{:?}", log.get(no).unwrap()), format!("{expected:?}"), "{no}");
            assert_eq!(log.is_problem(no), no % 7 == 0);
        }
        assert!(log.get(1000).is_none());
    }
}
