//! Facts about a file besides its packets.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::LinkType;

/// One input of a reading, as far as it has been read.
#[derive(Clone, Debug, Default)]
pub struct FileInfo {
    /// The input as users know it: its path, or `standard input`.
    pub name: String,
    /// Its path, where it has one.
    pub path: Option<PathBuf>,
    /// What it is: `pcap`, `pcapng`, `pcapng in gzip`.
    pub format: String,
    /// How many bytes it has, where that is known beforehand. (Compressed ones where it is compressed.)
    pub size: Option<u64>,
    /// How many of them have been read.
    pub consumed: u64,
    /// How many packets have been found.
    pub packets: u64,
    /// How many packets the file itself says were dropped when it was captured.
    pub dropped: u64,
    /// The link types that it declares.
    pub link_types: BTreeSet<LinkType>,
    /// How many decimals of a second its times have, at most 9. A pcapng file may have interfaces that differ: the most.
    pub time_decimals: Option<u8>,
    /// What was passed by, by the reason.
    pub skipped: Vec<Skipped>,
    /// What is wrong with it, the first hundred places.
    pub notes: Vec<FileNote>,
    /// How many further notes there would be.
    pub more_notes: u64,
    /// It was read only in part: it is cut, or damaged in such a way that the rest cannot be read.
    pub partial: bool,
}

impl FileInfo {
    /// Notes that some of its times have `decimals` decimals of a second.
    pub(crate) fn has_decimals(&mut self, decimals: u8) {
        self.time_decimals = self.time_decimals.max(Some(decimals.min(9)));
    }
}

/// Blocks or bytes that were passed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What they were: `custom block`, `bad block`.
    pub why: &'static str,
    /// How many.
    pub count: u64,
}

/// What a capture may hold besides packets: who passes it by has still read the file whole.
const NOT_PACKETS: [&str; 3] = ["custom block", "systemd journal entry", "block of unknown type"];

impl Skipped {
    /// Whether something was passed by that would have been read if it were whole.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        !NOT_PACKETS.contains(&self.why)
    }
}

/// Something that is wrong with a file, and where.
///
/// `Display` writes `packet 1042 at byte 0x3f2a0: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNote {
    /// The number (from 1) of the packet that is here or would come next.
    pub packet: u64,
    /// The byte of the file, after decompression where it is compressed.
    pub at: u64,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for FileNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet {} at byte {:#x}: {}", self.packet, self.at, self.text)
    }
}

/// Key material that a capture carries (a Decryption Secrets Block), as written there.
#[derive(Clone, PartialEq, Eq)]
pub struct DecryptionSecrets {
    /// Which file it was in.
    pub file: u16,
    /// What it is, by the number of the pcapng specification: 0x544c534b is a TLS key log.
    pub kind: u32,
    /// The secrets. They are not shown by `Debug`.
    pub bytes: Vec<u8>,
}

impl DecryptionSecrets {
    /// A TLS key log, as `SSLKEYLOGFILE` has it.
    pub const TLS_KEY_LOG: u32 = 0x544c_534b;
}

impl fmt::Debug for DecryptionSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionSecrets")
            .field("file", &self.file)
            .field("kind", &format_args!("{:#x}", self.kind))
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .finish()
    }
}
