//! The 10 bytes before every frame: length, stream, type, flags.
//!
//! Nothing here fails: an unknown type or flag is a value with a number for a name.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

/// What every frame begins with; numbers are in network byte order.
///
/// ```text
///  0               4               8      9       10
///  ├ length (32) ──┼ stream (32) ──┼ type ┼ flags ┼ data ───
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// Bytes of data that follow.
    pub length: u32,
    /// The stream: clients open odd ones, counting up from 1.
    pub stream: u32,
    /// The type.
    pub kind: FrameType,
    /// Flags; what they mean depends on the type.
    pub flags: Flags,
}

/// The longest data that a frame may have: receivers skip and refuse longer data.
pub const MAX_LENGTH: u32 = 4 << 20;

impl FrameHeader {
    /// Bytes of it.
    pub const LEN: usize = 10;

    /// Reads it. Any ten bytes are a header.
    pub const fn parse(bytes: &[u8; Self::LEN]) -> Self {
        let [l0, l1, l2, l3, s0, s1, s2, s3, kind, flags] = *bytes;
        Self {
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            kind: FrameType(kind),
            flags: Flags(flags),
        }
    }

    /// Whether an ordinary peer would send this header.
    ///
    /// It is for looking for frames in bytes whose beginning is not known, and stricter than readers of frames are. One
    /// header that passes proves nothing.
    pub const fn is_plausible(self) -> bool {
        let flags_fit = match self.kind {
            FrameType::REQUEST => matches!(self.flags.0, 0 | 1 | 2 | 6) && self.length > 0,
            FrameType::RESPONSE => self.flags.0 == 0,
            // An empty one that closes always has the flag NO_DATA, and only an empty one has it.
            FrameType::DATA if self.length == 0 => matches!(self.flags.0, 0 | 4 | 5),
            FrameType::DATA => matches!(self.flags.0, 0 | 1),
            _ => false,
        };
        flags_fit && self.length <= MAX_LENGTH && self.stream % 2 == 1
    }

    /// Whether this cannot be what a frame begins with: real receivers take a length that is too large, or a type that
    /// they do not know, as it comes; but nobody sends both.
    pub(super) const fn is_absurd(self) -> bool {
        let strange = self.kind.known_name().is_none() || self.flags.unknown() != 0 || self.stream.is_multiple_of(2);
        self.length > MAX_LENGTH && strange
    }
}

/// The type of a frame, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameType(pub u8);

impl FrameType {
    /// A client opens a stream: what is called, and the request of a call that has only one.
    pub const REQUEST: Self = Self(1);
    /// A server ends a stream: a status, or the only answer.
    pub const RESPONSE: Self = Self(2);
    /// One message of a stream, bare.
    pub const DATA: Self = Self(3);

    /// The name, if there is one.
    pub const fn known_name(self) -> Option<&'static str> {
        match self {
            Self::REQUEST => Some("REQUEST"),
            Self::RESPONSE => Some("RESPONSE"),
            Self::DATA => Some("DATA"),
            _ => None,
        }
    }

    /// The name, or `TYPE_0x2a`.
    pub fn name(self) -> Cow<'static, str> {
        self.known_name().map_or_else(|| Cow::Owned(format!("TYPE_0x{:02x}", self.0)), Cow::Borrowed)
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// The flags of a frame, as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender will send no more on this stream.
    pub const REMOTE_CLOSED: Self = Self(0x01);
    /// The sender will send more on this stream: its call is not unary.
    pub const REMOTE_OPEN: Self = Self(0x02);
    /// That there is no data means that there is no message; without it, there is an empty one.
    pub const NO_DATA: Self = Self(0x04);

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits that have no meaning.
    pub const fn unknown(self) -> u8 {
        self.0 & !0x07
    }

    /// The names of the set flags, lowest bit first; `FLAG_0x40` for those that have none.
    pub fn names(self) -> SmallVec<[Cow<'static, str>; 4]> {
        (0..8)
            .map(|bit| Self(1 << bit))
            .filter(|&flag| self.contains(flag))
            .map(|flag| match flag {
                Self::REMOTE_CLOSED => Cow::Borrowed("REMOTE_CLOSED"),
                Self::REMOTE_OPEN => Cow::Borrowed("REMOTE_OPEN"),
                Self::NO_DATA => Cow::Borrowed("NO_DATA"),
                Self(bit) => Cow::Owned(format!("FLAG_0x{bit:02x}")),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32, kind: FrameType, flags: u8, stream: u32) -> FrameHeader {
        FrameHeader { length, stream, kind, flags: Flags(flags) }
    }

    #[test]
    fn ten_bytes() {
        let parsed = FrameHeader::parse(&[
            0x00, 0x01, 0x02, 0x03, // length
            0x80, 0x00, 0x00, 0x05, // stream: all 32 bits count
            0x03, // type: Data
            0x05, // flags: remote closed, no data
        ]);
        assert_eq!(parsed, header(0x01_0203, FrameType::DATA, 5, 0x8000_0005));
    }

    #[test]
    fn names() {
        assert_eq!(FrameType::REQUEST.name(), "REQUEST");
        assert_eq!(FrameType(0x2a).to_string(), "TYPE_0x2a");
        assert_eq!(Flags(0x47).names()[..], ["REMOTE_CLOSED", "REMOTE_OPEN", "NO_DATA", "FLAG_0x40"]);
        assert!(Flags(0).names().is_empty());
    }

    #[test]
    fn plausible() {
        for (header, fits) in [
            (header(45, FrameType::REQUEST, 0, 1), true),
            (header(45, FrameType::REQUEST, 6, 3), true),
            (header(45, FrameType::REQUEST, 8, 3), false),
            (header(0, FrameType::REQUEST, 0, 1), false),
            (header(45, FrameType::REQUEST, 0, 2), false),
            (header(MAX_LENGTH, FrameType::RESPONSE, 0, 1), true),
            (header(MAX_LENGTH + 1, FrameType::RESPONSE, 0, 1), false),
            (header(0, FrameType::RESPONSE, 1, 1), false),
            (header(0, FrameType::DATA, 5, 1), true),
            (header(3, FrameType::DATA, 5, 1), false),
            (header(3, FrameType(4), 0, 1), false),
            (header(3, FrameType::DATA, 0, 0), false),
        ] {
            assert_eq!(header.is_plausible(), fits, "{header:?}");
        }
    }

    #[test]
    fn one_oddity_is_a_frame_and_a_length_with_another_is_none() {
        assert!(!header(u32::MAX, FrameType::DATA, 0, 1).is_absurd());
        assert!(!header(8, FrameType(9), 0xff, 2).is_absurd());
        assert!(header(u32::MAX, FrameType(9), 0, 1).is_absurd());
        assert!(header(u32::MAX, FrameType::DATA, 0x40, 1).is_absurd());
    }
}
