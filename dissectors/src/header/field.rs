//! Fields as they come out of a header block.

use std::ops::Range;

use super::Octets;

/// One header field, with how it was coded and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name.
    pub name: Text,
    /// The value.
    pub value: Text,
    /// The form in which the field was sent.
    pub coded: Coded,
    /// Whether the name is here as a Huffman-coded string.
    pub name_huffman: bool,
    /// Whether the value is here as a Huffman-coded string.
    pub value_huffman: bool,
    /// The entry that the field, or its name, refers to; from 1 to 61 it is a static one.
    pub index: Option<u32>,
    /// The field's bytes in the block.
    pub span: Range<u32>,
    /// The bytes that hold the value as sent, without its length; of an indexed field all its bytes.
    pub value_span: Range<u32>,
}

/// The form in which a field was sent (RFC 7541 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coded {
    /// A reference to a whole entry.
    Indexed,
    /// Written out, and inserted into the table.
    LiteralIndexed,
    /// Written out.
    Literal,
    /// Written out, and marked as never to be put into a table: the sender holds it for sensitive.
    NeverIndexed,
}

impl Coded {
    /// The word that output uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::LiteralIndexed => "literal-indexed",
            Self::Literal => "literal",
            Self::NeverIndexed => "never-indexed",
        }
    }
}

/// A name or a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    /// These bytes.
    Known(Octets),
    /// What is in an entry that was not seen.
    Unknown(UnknownEntry),
}

/// An entry that was not seen, or that could not be read. Equal ones are the same entry of that direction's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnknownEntry {
    /// The epoch in which it was referred to.
    pub epoch: u32,
    /// The entry's number among the insertions, counted from the beginning of the epoch: 0 is the first one in it,
    /// -1 the last one before it, and so on back.
    pub number: i64,
}

impl Text {
    /// The bytes, if they are known.
    pub fn known(&self) -> Option<&[u8]> {
        match self {
            Self::Known(octets) => Some(octets),
            Self::Unknown(_) => None,
        }
    }

    /// The text, if it is known and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.known()?).ok()
    }

    /// Whether it is known.
    pub const fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Whether it is known and equal to `bytes`.
    pub fn is(&self, bytes: &[u8]) -> bool {
        self.known() == Some(bytes)
    }

    /// Bytes, none where unknown.
    pub(crate) fn len(&self) -> usize {
        self.known().map_or(0, <[u8]>::len)
    }
}

impl PartialEq<[u8]> for Text {
    fn eq(&self, other: &[u8]) -> bool {
        self.is(other)
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Text {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.is(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_small() {
        assert_eq!(size_of::<Text>(), 24);
        assert_eq!(size_of::<Field>(), 80);
    }
}
