//! Records that formats find, and the bytes that they search.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::info::{DecryptionSecrets, FileInfo, FileNote, Skipped};
use crate::{PacketNo, Timestamp};

/// What is kept of a packet in a batch. Half a line of the processor's cache, so that none takes two.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Record {
    pub(crate) time: Timestamp,
    pub(crate) no: PacketNo,
    /// Where its bytes begin in the bytes that hold it: those of a batch, some megabytes, or of one large packet.
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) original_len: u32,
    pub(crate) link: u16,
    /// Which of its batch's byte holders holds it.
    pub(crate) holder: u16,
}

// A batch of a million packets should not cost much more than what it points to.
const _: () = assert!(size_of::<Record>() == 32);

/// Packets that were found.
#[derive(Debug, Default)]
pub(crate) struct RecordList {
    pub(crate) records: Vec<Record>,
    /// The first comment of those records that have one, by their index.
    pub(crate) comments: Vec<(u32, Box<str>)>,
}

impl RecordList {
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.comments.clear();
    }
}

/// The bytes of a file that are there to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where the first of them lies in the file.
    pub(crate) base: u64,
    /// No further ones will come.
    pub(crate) ended: bool,
}

/// How far a format came in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything before this index is done with.
    pub(crate) upto: usize,
    /// How many bytes from there on it takes to continue; 0 where as many packets were found as were wanted.
    pub(crate) need: usize,
}

/// What the formats say about a file besides its packets.
pub(crate) struct Log<'a> {
    /// The number of the file.
    pub(crate) file: u16,
    pub(crate) info: &'a mut FileInfo,
    pub(crate) known: &'a mut Metadata,
}

/// Names and key material from captures.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) names: BTreeMap<IpAddr, Box<str>>,
    pub(crate) secrets: Vec<DecryptionSecrets>,
    pub(crate) secret_bytes: usize,
}

impl Log<'_> {
    /// The name of the next packet, which is then counted.
    pub(crate) fn next_packet(&mut self) -> PacketNo {
        self.info.packets += 1;
        PacketNo::new(self.file, self.info.packets)
    }

    /// Says something about the byte `at` of the file, in front of the packet that would come next.
    pub(crate) fn note(&mut self, at: u64, text: String) {
        /// Damage comes in thousands; what follows the first notes is counted.
        const MOST_NOTES: usize = 100;
        match self.info.notes.len() < MOST_NOTES {
            true => self.info.notes.push(FileNote { packet: self.info.packets + 1, at, text }),
            false => self.info.more_notes += 1,
        }
    }

    /// Counts something that was skipped.
    pub(crate) fn skip(&mut self, why: &'static str) {
        match self.info.skipped.iter_mut().find(|skipped| skipped.why == why) {
            Some(skipped) => skipped.count += 1,
            None => self.info.skipped.push(Skipped { why, count: 1 }),
        }
    }
}

/// Damage after which the next record is being searched.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Where in the file it began.
    pub(crate) at: u64,
    /// What was wrong there.
    pub(crate) why: String,
}

impl Lost {
    /// Notes that records continue at byte `to`.
    pub(crate) fn found(self, to: u64, log: &mut Log<'_>) {
        let passed = to.saturating_sub(self.at);
        log.skip("damaged bytes");
        log.note(self.at, format!("{}; {passed} bytes are skipped", self.why));
    }

    /// Notes that no record was found before the end of the file, byte `end`.
    pub(crate) fn ended(self, end: u64, log: &mut Log<'_>) {
        log.info.partial = true;
        let passed = end.saturating_sub(self.at);
        log.skip("damaged bytes");
        log.note(self.at, format!("{}; nothing more is found in the {passed} bytes to the end", self.why));
    }
}

/// How numbers of more than one byte are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(crate) const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(crate) const fn u32_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    #[inline]
    pub(crate) const fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// The number at `at`, where all of it is there.
    #[inline]
    pub(crate) fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..)?.first_chunk().map(|chunk| self.u16(*chunk))
    }

    /// The number at `at`, where all of it is there.
    #[inline]
    pub(crate) fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..)?.first_chunk().map(|chunk| self.u32(*chunk))
    }
}
