//! One direction of a TLS connection: the bytes that wait to be read, and the keys that are in force.

use std::collections::VecDeque;

use rpcshark_captures::{Data, Gap};

use super::handshake::Messages;
use super::keylog::Secret;
use super::protect::Opener;
use super::record::RecordHeader;
use crate::held::Held;

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    /// Bytes from the beginning of a record on, or in which one is searched.
    pub(super) held: Held,
    /// What came after gaps while records before them waited.
    later: VecDeque<Run>,
    pub(super) position: Position,
    /// Bytes of a record that is lost, which are still to come.
    skip: u64,
    pub(super) stage: Stage,
    /// Opens the records of this stage; `None` until it was asked for, or where its secret is not known.
    pub(super) opener: Option<Opener>,
    /// The traffic secret of the opener (TLS 1.3).
    pub(super) secret: Option<Secret>,
    /// The number of the next record with these keys.
    pub(super) sequence: u64,
    /// As many records may be missing before the next one.
    pub(super) missing: u64,
    /// Content may be missing: it is handed on as a gap, unless the next record proves otherwise.
    pub(super) lost_content: Option<Gap>,
    /// Bytes that may still be tried in vain.
    effort: u64,
    pub(super) messages: Messages,
    /// Bytes of content that were handed on.
    content_len: u64,
    /// The last records that are not known to be acknowledged: where they end in the flow, and the bytes of content up to
    /// there.
    records: VecDeque<(u64, u64)>,
    /// Bytes of content that were acknowledged.
    acked_content: u64,
    /// The content of the record that was opened last.
    pub(super) content: Vec<u8>,
}

/// Bytes after a gap.
#[derive(Debug)]
struct Run {
    gap: Gap,
    held: Held,
}

/// Where the reading of a direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// A record begins here.
    Known,
    /// Bytes are missing: a record begins somewhere.
    Searching,
    /// Too much was tried in vain.
    GivenUp,
}

/// Which keys are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// None.
    Clear,
    /// TLS 1.3: the client's early data.
    Early,
    /// TLS 1.3: the handshake.
    Handshake,
    /// TLS 1.3: application data.
    Application,
    /// TLS 1.2: everything after ChangeCipherSpec.
    Protected,
}

/// As many missing records are reckoned with at a gap.
const MAX_MISSING: u64 = 4096;

/// The shortest record that is likely: a header, a tag, and a byte.
const SHORTEST: u64 = 22;

/// Bytes that may be decrypted in vain between two records that open: about a second's work.
const MAX_EFFORT: u64 = 1 << 30;

/// Records whose ends are remembered for acknowledgments.
const MAX_RECORDS: usize = 1024;

impl Default for Half {
    fn default() -> Self {
        Self {
            held: Held::default(),
            later: VecDeque::new(),
            position: Position::Known,
            skip: 0,
            stage: Stage::Clear,
            opener: None,
            secret: None,
            sequence: 0,
            missing: 0,
            lost_content: None,
            effort: MAX_EFFORT,
            messages: Messages::default(),
            content_len: 0,
            records: VecDeque::new(),
            acked_content: 0,
            content: Vec::new(),
        }
    }
}

impl Half {
    /// Adds bytes.
    pub(super) fn push(&mut self, data: &Data<'_>) {
        match self.later.back_mut() {
            Some(run) => run.held.push(data),
            None => self.held.push(data),
        }
    }

    /// Adds a gap.
    pub(super) fn push_gap(&mut self, gap: Gap) {
        self.later.push_back(Run { gap, held: Held::default() });
    }

    /// Whether a whole record is there that could not be opened yet.
    pub(super) fn is_waiting(&self) -> bool {
        let header = self.held.bytes().first_chunk().map(RecordHeader::parse);
        self.position == Position::Known
            && header.is_some_and(|header| header.is_plausible() && header.record_len() <= self.held.bytes().len())
    }

    pub(super) fn has_header(&self) -> bool {
        self.held.bytes().len() >= RecordHeader::LEN
    }

    /// The bytes after the next gap take the place of what is left before it, which is never completed. Returns the gap.
    pub(super) fn next_run(&mut self) -> Option<Gap> {
        let run = self.later.pop_front()?;
        let partial = self.held.bytes();
        // The length of a record whose header is there says where the next one begins.
        let header = partial.first_chunk().map(RecordHeader::parse).filter(|header| header.is_plausible());
        if self.position == Position::Known
            && let Some(header) = header
        {
            self.skip = (header.record_len() - partial.len().min(header.record_len())) as u64;
        } else if self.position == Position::Known && !partial.is_empty() {
            self.position = Position::Searching;
        }
        self.held = run.held;
        Some(run.gap)
    }

    /// Bytes are missing here.
    pub(super) fn gap(&mut self, gap: &Gap) {
        self.messages.clear();
        self.lost_content.get_or_insert(*gap);
        match gap.length {
            Some(length) if self.position == Position::Known && 0 < self.skip && length <= self.skip => {
                self.skip -= length;
                self.lose_records(1);
            }
            Some(length) => self.lose(Some(length)),
            None => self.lose(None),
        }
    }

    /// It is not known where the next record begins: so many bytes are missing.
    pub(super) fn lose(&mut self, length: Option<u64>) {
        self.skip = 0;
        self.messages.clear();
        if self.position == Position::Known {
            self.position = Position::Searching;
        }
        self.lose_records(length.map_or(MAX_MISSING, |length| length / SHORTEST + 2));
    }

    /// A record could not be opened.
    pub(super) fn lose_record(&mut self, gap: Gap) {
        self.lost_content.get_or_insert(gap);
        self.messages.clear();
        self.lose_records(1);
    }

    fn lose_records(&mut self, count: u64) {
        self.missing = self.missing.saturating_add(count).min(MAX_MISSING);
    }

    /// Skips what is left of a record that is lost.
    pub(super) fn skip_lost(&mut self) {
        let there = self.skip.min(self.held.bytes().len() as u64);
        self.held.skip(there as usize);
        self.skip -= there;
    }

    /// The first `len` bytes have been read.
    pub(super) fn consume(&mut self, len: usize) {
        if let Some(first) = self.held.data().next() {
            if self.records.len() == MAX_RECORDS {
                self.records.pop_front();
            }
            self.records.push_back((first.offset + len as u64, self.content_len));
        }
        self.held.skip(len);
    }

    /// Gives up everything that waits.
    pub(super) fn release(&mut self) {
        self.later.clear();
        self.held.clear();
        self.skip = 0;
        self.lose(None);
    }

    /// Drops what has come.
    pub(super) fn discard(&mut self) {
        self.later.clear();
        self.held.clear();
    }

    /// Other keys are in force.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        (self.opener, self.secret) = (None, None);
        self.sequence = 0;
    }

    /// A record was opened with the number [`Half::sequence`].
    pub(super) fn opened(&mut self) {
        self.sequence += 1;
        self.missing = 0;
        self.effort = MAX_EFFORT;
    }

    /// Finds the number with which a record opens.
    pub(super) fn try_numbers(&mut self, header: RecordHeader, payload: &[u8]) -> bool {
        let Some(opener) = self.opener.take() else { return false };
        let found = self.number(&opener, self.sequence, header, payload);
        self.opener = Some(opener);
        if let Some(number) = found {
            if number == self.sequence {
                // Nothing is missing between this record and the last one.
                self.lost_content = None;
            }
            self.sequence = number;
        }
        found.is_some()
    }

    /// The same with later keys, which are then in force.
    pub(super) fn try_later(
        &mut self,
        stage: Stage,
        opener: Opener,
        secret: Option<Secret>,
        header: RecordHeader,
        payload: &[u8],
    ) -> bool {
        let Some(number) = self.number(&opener, 0, header, payload) else { return false };
        let is_first = number == 0 && self.stage != Stage::Application;
        self.enter(stage);
        (self.opener, self.secret) = (Some(opener), secret);
        self.sequence = number;
        if is_first {
            // Before it there was no content.
            self.lost_content = None;
        }
        true
    }

    fn number(&mut self, opener: &Opener, from: u64, header: RecordHeader, payload: &[u8]) -> Option<u64> {
        for number in from..=from.saturating_add(self.missing) {
            if opener.open(number, header, payload, &mut self.content).is_some() {
                return Some(number);
            }
            let Some(left) = self.effort.checked_sub(payload.len() as u64 + 64) else {
                self.position = Position::GivenUp;
                return None;
            };
            self.effort = left;
        }
        None
    }

    /// So many bytes of content are handed on. Returns where they begin in the content.
    pub(super) fn delivered(&mut self, len: usize) -> u64 {
        let begin = self.content_len;
        self.content_len += len as u64;
        begin
    }

    /// `acked` bytes of the flow were acknowledged: as many bytes of content are in the records before that.
    pub(super) fn content_in(&mut self, acked: u64) -> u64 {
        while let Some((_, content)) = self.records.pop_front_if(|&mut (end, _)| end <= acked) {
            self.acked_content = content;
        }
        self.acked_content
    }

    /// The memory that it takes for things whose end is missing.
    pub(super) fn memory(&self) -> usize {
        let later: usize = self.later.iter().map(|run| run.held.memory()).sum();
        match self.held.bytes() {
            [] => later,
            _ => self.held.memory() + later + self.messages.memory(),
        }
    }

    /// Since when.
    pub(super) fn since(&self) -> u64 {
        self.held.since()
    }
}
