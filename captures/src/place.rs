//! Where things lie: packets in a reading, bytes in files.

use std::fmt;

/// A packet of a reading: where it stands among all packets, and what its own file calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    /// Position among all packets of all files read together, from 0, in the order in which they are read.
    pub order: u64,
    /// The file and the number in it, as users see it.
    pub no: PacketNo,
}

/// A packet's file (counted from 0) and its number in that file (counted from 1, as Wireshark counts).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNo(u64);

impl PacketNo {
    /// The packet `number` (from 1) of file `file` (from 0). Numbers take 48 bits.
    pub const fn new(file: u16, number: u64) -> Self {
        Self((file as u64) << 48 | number & LOW_48)
    }

    /// Which of the files that are read together, from 0.
    pub const fn file(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The number in its file, from 1; 0 where there is none.
    pub const fn number(self) -> u64 {
        self.0 & LOW_48
    }
}

impl fmt::Debug for PacketNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file(), self.number())
    }
}

/// Where bytes lie: in a source and at an offset of it, from where they can be read again.
///
/// A source is a capture file, or a spill file for bytes that no file holds (decompressed, decrypted or piped in).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

impl Place {
    /// Bytes that lie nowhere: they were seen once and cannot be read again.
    pub const NOWHERE: Self = Self(u64::MAX);

    /// The byte `offset` of `source`. Offsets take 48 bits.
    pub const fn new(source: SourceNo, offset: u64) -> Self {
        Self((source.0 as u64) << 48 | offset & LOW_48)
    }

    /// The place as one number, to be kept where room is dear.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The place that [`Place::to_bits`] gave as `bits`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The source that holds the bytes.
    pub const fn source(self) -> SourceNo {
        SourceNo((self.0 >> 48) as u16)
    }

    /// The offset in the source, in bytes.
    pub const fn offset(self) -> u64 {
        self.0 & LOW_48
    }

    /// The place `bytes` further on in the same source; nowhere stays nowhere.
    #[inline]
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        match self {
            Self::NOWHERE => self,
            _ => Self(self.0 & !LOW_48 | self.0.wrapping_add(bytes) & LOW_48),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NOWHERE => f.write_str("nowhere"),
            _ => write!(f, "{}@{:#x}", self.source().0, self.offset()),
        }
    }
}

/// A source of bytes: the files of a reading in their order, then the spill files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceNo(pub u16);

const LOW_48: u64 = (1 << 48) - 1;
