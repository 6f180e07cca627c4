//! What can be wrong with a header block.

use std::fmt;
use std::ops::Range;

/// Something wrong in a header block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// The bytes of the block that it is about.
    pub span: Range<u32>,
}

/// The kinds of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The block ends inside a field.
    Truncated,
    /// An integer is longer or larger than any that means something.
    Integer,
    /// Index 0, which names no entry.
    IndexZero,
    /// An index after everything that can be in the table.
    IndexBeyondTable,
    /// A Huffman-coded string contains the end-of-string symbol. Its raw bytes are given out.
    HuffmanEos,
    /// A Huffman-coded string ends in padding that is too long or not all ones. Its raw bytes are given out.
    HuffmanPadding,
    /// A table size update that is not at the beginning of the block.
    LateSizeUpdate,
    /// A table size update above what the other side's SETTINGS allow.
    SizeUpdateAboveLimit,
    /// A string longer than [`MAX_STRING`](super::MAX_STRING).
    StringTooLong,
    /// More than [`MAX_FIELDS`](super::MAX_FIELDS) fields.
    TooManyFields,
    /// Fields of more than [`MAX_DECODED`](super::MAX_DECODED) bytes.
    DecodedTooLarge,
    /// A block longer than [`MAX_BLOCK`](super::MAX_BLOCK).
    BlockTooLong,
}

impl FaultKind {
    /// Whether the rest of the block cannot be read: a new epoch has begun, and the block is not complete.
    pub const fn ends_block(self) -> bool {
        match self {
            Self::IndexBeyondTable
            | Self::HuffmanEos
            | Self::HuffmanPadding
            | Self::LateSizeUpdate
            | Self::SizeUpdateAboveLimit => false,
            Self::Truncated
            | Self::Integer
            | Self::IndexZero
            | Self::StringTooLong
            | Self::TooManyFields
            | Self::DecodedTooLarge
            | Self::BlockTooLong => true,
        }
    }

    /// A line about it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Truncated => "the header block ends inside a field",
            Self::Integer => "an integer in the header block is too large",
            Self::IndexZero => "a field refers to index 0",
            Self::IndexBeyondTable => "a field refers to an entry past the end of the table",
            Self::HuffmanEos => "a Huffman-coded string contains the end-of-string symbol",
            Self::HuffmanPadding => "a Huffman-coded string is wrongly padded",
            Self::LateSizeUpdate => "a table size update is not at the beginning of the header block",
            Self::SizeUpdateAboveLimit => "a table size update is above the limit in SETTINGS",
            Self::StringTooLong => "a string in the header block is longer than is read",
            Self::TooManyFields => "the header block has more fields than are read",
            Self::DecodedTooLarge => "the header block decodes to more bytes than are read",
            Self::BlockTooLong => "the header block is longer than is read",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.span.start)
    }
}
