//! The 9 bytes before every frame, RFC 9113 §4.1: lengths, types, flags, stream ids.
//!
//! What frames carry is read in [`payload`](super::payload).

use std::borrow::Cow;
use std::fmt;

use rpcshark_captures::Direction;
use smallvec::SmallVec;

/// What every frame begins with.
///
/// ```text
/// +-----------------------------------------------+
/// |                 length (24)                   |
/// +---------------+---------------+---------------+
/// |    type (8)   |   flags (8)   |
/// +-+-------------+---------------+-------------------------------+
/// |R|                       stream id (31)                        |
/// +-+-------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// Bytes of payload that follow.
    pub length: u32,
    /// The type.
    pub kind: FrameType,
    /// Flags; what they mean depends on the type.
    pub flags: Flags,
    /// The stream, or 0 for the connection.
    pub stream: u32,
    /// The bit before the stream id, which senders leave 0 and readers ignore.
    pub reserved: bool,
}

impl FrameHeader {
    /// Bytes of it.
    pub const LEN: usize = 9;

    /// Reads it. Any nine bytes are a header.
    pub const fn parse(bytes: &[u8; Self::LEN]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind: FrameType(kind),
            flags: Flags(flags),
            stream: stream & 0x7fff_ffff,
            reserved: stream >> 31 == 1,
        }
    }

    /// Whether an ordinary peer would send this header in `direction` with at most `max_length` bytes of payload.
    ///
    /// It is for looking for frames in bytes whose beginning is not known, and stricter than a reader of frames may be:
    /// unknown types and flags are allowed by the RFC, but do not indicate a frame. One header that passes proves nothing.
    pub const fn is_plausible(self, direction: Direction, max_length: u32) -> bool {
        let to_client = matches!(direction, Direction::ToClient);
        // RFC 9113 §5.1.1: streams that clients open are odd, those that servers open even.
        let odd = self.stream % 2 == 1;
        let (on_stream, flags, fixed) = match self.kind {
            // A pushed stream carries only what its server sends.
            FrameType::DATA => (odd || (to_client && self.stream != 0), 0x09, self.length <= max_length),
            FrameType::HEADERS => (odd || (to_client && self.stream != 0), 0x2d, self.length <= max_length),
            FrameType::CONTINUATION => (odd || (to_client && self.stream != 0), 0x04, self.length <= max_length),
            FrameType::PRIORITY => (self.stream != 0, 0, self.length == 5),
            FrameType::RST_STREAM => (self.stream != 0, 0, self.length == 4),
            FrameType::SETTINGS => {
                let ack = self.flags.contains(Flags::ACK);
                let whole = self.length.is_multiple_of(6) && self.length <= max_length;
                (self.stream == 0, 0x01, if ack { self.length == 0 } else { whole })
            }
            FrameType::PUSH_PROMISE => (odd && to_client, 0x0c, self.length >= 4 && self.length <= max_length),
            FrameType::PING => (self.stream == 0, 0x01, self.length == 8),
            FrameType::GOAWAY => (self.stream == 0, 0, self.length >= 8 && self.length <= max_length),
            FrameType::WINDOW_UPDATE => (true, 0, self.length == 4),
            // RFC 7838 §4, RFC 8336 §2.1: servers send them. RFC 9218 §7.1: clients do.
            FrameType::ALTSVC => (to_client, 0, self.length >= 2 && self.length <= max_length),
            FrameType::ORIGIN => (self.stream == 0 && to_client, 0, self.length <= max_length),
            FrameType::PRIORITY_UPDATE => {
                (self.stream == 0 && !to_client, 0, self.length >= 4 && self.length <= max_length)
            }
            _ => return false,
        };
        on_stream && fixed && self.flags.0 & !flags == 0 && !self.reserved
    }
}

/// The type of a frame, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameType(pub u8);

#[allow(missing_docs)] // named as the RFCs name them
impl FrameType {
    pub const DATA: Self = Self(0x00);
    pub const HEADERS: Self = Self(0x01);
    pub const PRIORITY: Self = Self(0x02);
    pub const RST_STREAM: Self = Self(0x03);
    pub const SETTINGS: Self = Self(0x04);
    pub const PUSH_PROMISE: Self = Self(0x05);
    pub const PING: Self = Self(0x06);
    pub const GOAWAY: Self = Self(0x07);
    pub const WINDOW_UPDATE: Self = Self(0x08);
    pub const CONTINUATION: Self = Self(0x09);
    /// RFC 7838.
    pub const ALTSVC: Self = Self(0x0a);
    /// RFC 8336.
    pub const ORIGIN: Self = Self(0x0c);
    /// RFC 9218.
    pub const PRIORITY_UPDATE: Self = Self(0x10);
}

impl FrameType {
    /// The RFC's name, if there is one.
    pub const fn known_name(self) -> Option<&'static str> {
        Some(match self {
            Self::DATA => "DATA",
            Self::HEADERS => "HEADERS",
            Self::PRIORITY => "PRIORITY",
            Self::RST_STREAM => "RST_STREAM",
            Self::SETTINGS => "SETTINGS",
            Self::PUSH_PROMISE => "PUSH_PROMISE",
            Self::PING => "PING",
            Self::GOAWAY => "GOAWAY",
            Self::WINDOW_UPDATE => "WINDOW_UPDATE",
            Self::CONTINUATION => "CONTINUATION",
            Self::ALTSVC => "ALTSVC",
            Self::ORIGIN => "ORIGIN",
            Self::PRIORITY_UPDATE => "PRIORITY_UPDATE",
            _ => return None,
        })
    }

    /// The RFC's name, or `TYPE_0x2a`.
    pub fn name(self) -> Cow<'static, str> {
        named(self.known_name(), "TYPE", u32::from(self.0))
    }

    /// The flags that it has, lowest first.
    const fn flags(self) -> &'static [(Flags, &'static str)] {
        match self {
            Self::DATA => &[(Flags::END_STREAM, "END_STREAM"), (Flags::PADDED, "PADDED")],
            Self::HEADERS => &[
                (Flags::END_STREAM, "END_STREAM"),
                (Flags::END_HEADERS, "END_HEADERS"),
                (Flags::PADDED, "PADDED"),
                (Flags::PRIORITY, "PRIORITY"),
            ],
            Self::SETTINGS | Self::PING => &[(Flags::ACK, "ACK")],
            Self::PUSH_PROMISE => &[(Flags::END_HEADERS, "END_HEADERS"), (Flags::PADDED, "PADDED")],
            Self::CONTINUATION => &[(Flags::END_HEADERS, "END_HEADERS")],
            _ => &[],
        }
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
    /// The last frame of this direction of the stream (DATA, HEADERS).
    pub const END_STREAM: Self = Self(0x01);
    /// An acknowledgement (SETTINGS, PING).
    pub const ACK: Self = Self(0x01);
    /// The header block ends here (HEADERS, PUSH_PROMISE, CONTINUATION).
    pub const END_HEADERS: Self = Self(0x04);
    /// The payload is padded (DATA, HEADERS, PUSH_PROMISE).
    pub const PADDED: Self = Self(0x08);
    /// Priority comes before the header block (HEADERS).
    pub const PRIORITY: Self = Self(0x20);

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the set flags on a frame of type `kind`, lowest bit first; `FLAG_0x40` for those it does not have.
    pub fn names(self, kind: FrameType) -> SmallVec<[Cow<'static, str>; 4]> {
        (0..8)
            .map(|bit| Self(1 << bit))
            .filter(|&flag| self.contains(flag))
            .map(|flag| {
                let known = kind.flags().iter().find(|(known, _)| *known == flag).map(|(_, name)| *name);
                named(known, "FLAG", u32::from(flag.0))
            })
            .collect()
    }
}

/// `known`, or the number under `prefix`.
pub(super) fn named(known: Option<&'static str>, prefix: &str, number: u32) -> Cow<'static, str> {
    known.map_or_else(|| Cow::Owned(format!("{prefix}_0x{number:02x}")), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32, kind: FrameType, flags: u8, stream: u32) -> FrameHeader {
        FrameHeader { length, kind, flags: Flags(flags), stream, reserved: false }
    }

    #[test]
    fn nine_bytes() {
        let parsed = FrameHeader::parse(&[
            0x01, 0x02, 0x03, // length
            0x01, // type: HEADERS
            0x25, // flags: END_STREAM, END_HEADERS, PRIORITY
            0x80, 0x00, 0x00, 0x05, // reserved bit, stream 5
        ]);
        assert_eq!(parsed, FrameHeader { reserved: true, ..header(0x01_0203, FrameType::HEADERS, 0x25, 5) });
    }

    #[test]
    fn names() {
        assert_eq!(FrameType::HEADERS.name(), "HEADERS");
        assert_eq!(FrameType(0x2a).to_string(), "TYPE_0x2a");
        assert_eq!(
            Flags(0x6d).names(FrameType::HEADERS)[..],
            ["END_STREAM", "END_HEADERS", "PADDED", "PRIORITY", "FLAG_0x40"]
        );
        assert_eq!(Flags(0x01).names(FrameType::PING)[..], ["ACK"]);
        assert_eq!(Flags(0x05).names(FrameType::DATA)[..], ["END_STREAM", "FLAG_0x04"]);
        assert_eq!(Flags(0x01).names(FrameType(0x2a))[..], ["FLAG_0x01"]);
        assert!(Flags(0).names(FrameType::DATA).is_empty());
    }

    #[test]
    fn plausible() {
        use Direction::{ToClient, ToServer};
        let max = 16_384;
        for (header, to_server, to_client) in [
            (header(0, FrameType::DATA, 0x01, 1), true, true),
            (header(16_384, FrameType::DATA, 0x09, 2), false, true),
            (header(16_385, FrameType::DATA, 0, 1), false, false),
            (header(5, FrameType::DATA, 0, 0), false, false),
            (header(5, FrameType::DATA, 0x04, 1), false, false),
            (header(70, FrameType::HEADERS, 0x2d, 3), true, true),
            (header(70, FrameType::HEADERS, 0x02, 3), false, false),
            (header(5, FrameType::PRIORITY, 0, 2), true, true),
            (header(6, FrameType::PRIORITY, 0, 3), false, false),
            (header(4, FrameType::RST_STREAM, 0, 3), true, true),
            (header(4, FrameType::RST_STREAM, 0, 0), false, false),
            (header(18, FrameType::SETTINGS, 0, 0), true, true),
            (header(17, FrameType::SETTINGS, 0, 0), false, false),
            (header(0, FrameType::SETTINGS, 1, 0), true, true),
            (header(6, FrameType::SETTINGS, 1, 0), false, false),
            (header(0, FrameType::SETTINGS, 0, 1), false, false),
            (header(40, FrameType::PUSH_PROMISE, 0x04, 1), false, true),
            (header(3, FrameType::PUSH_PROMISE, 0x04, 1), false, false),
            (header(8, FrameType::PING, 1, 0), true, true),
            (header(7, FrameType::PING, 0, 0), false, false),
            (header(8, FrameType::GOAWAY, 0, 0), true, true),
            (header(7, FrameType::GOAWAY, 0, 0), false, false),
            (header(4, FrameType::WINDOW_UPDATE, 0, 0), true, true),
            (header(4, FrameType::WINDOW_UPDATE, 1, 0), false, false),
            (header(9, FrameType::CONTINUATION, 4, 1), true, true),
            (header(9, FrameType::CONTINUATION, 1, 1), false, false),
            (header(9, FrameType::ALTSVC, 0, 0), false, true),
            (header(9, FrameType::ORIGIN, 0, 0), false, true),
            (header(9, FrameType::PRIORITY_UPDATE, 0, 0), true, false),
            (header(9, FrameType(0x2a), 0, 0), false, false),
            (FrameHeader { reserved: true, ..header(8, FrameType::PING, 0, 0) }, false, false),
        ] {
            assert_eq!(header.is_plausible(ToServer, max), to_server, "{header:?}");
            assert_eq!(header.is_plausible(ToClient, max), to_client, "{header:?}");
        }
    }
}
