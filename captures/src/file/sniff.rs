//! Detects the kind of an input by its first bytes.
//!
//! Names of files are never looked at: captures are renamed, and piped.

use std::fmt::Write as _;

use super::record::ByteOrder;
use super::text::TextKind;
use crate::Direction;

/// How many first bytes are enough to tell every format that is known.
pub(crate) const ENOUGH: usize = 12;

/// How many first bytes of a text are looked at.
pub(crate) const ENOUGH_TEXT: usize = 8 << 10;

/// What [`sniff`] knows, for messages.
pub(crate) const KNOWN: &str =
    "pcap, pcapng, strace logs and the dumps of socat and sockdump, plain or in gzip, zstd or lz4";

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// pcap, in one of its variants.
    Pcap(PcapKind),
    /// pcapng.
    PcapNg,
    /// A text.
    Text(TextKind),
    /// The bytes that one side sent, and nothing else. It cannot be detected; users state it.
    Raw(Direction),
    /// Something compressed.
    Packed(Method),
}

/// Which pcap it is; the magic number says all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PcapKind {
    /// How its numbers are stored.
    pub(crate) order: ByteOrder,
    /// Nanoseconds, not microseconds, follow the seconds.
    pub(crate) nanos: bool,
    /// Each record has the eight further bytes of Alexey Kuznetzov's patched libpcap.
    pub(crate) modified: bool,
}

/// A method of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Gzip,
    Zstd,
    Lz4,
}

impl Method {
    /// The name that users know.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

/// What begins with `head`: [`ENOUGH`] bytes of it, or all that there are.
pub(crate) fn sniff(head: &[u8]) -> Option<Kind> {
    let pcap = |order, nanos, modified| Some(Kind::Pcap(PcapKind { order, nanos, modified }));
    match *head {
        [0xd4, 0xc3, 0xb2, 0xa1, ..] => pcap(ByteOrder::Little, false, false),
        [0xa1, 0xb2, 0xc3, 0xd4, ..] => pcap(ByteOrder::Big, false, false),
        [0x4d, 0x3c, 0xb2, 0xa1, ..] => pcap(ByteOrder::Little, true, false),
        [0xa1, 0xb2, 0x3c, 0x4d, ..] => pcap(ByteOrder::Big, true, false),
        [0x34, 0xcd, 0xb2, 0xa1, ..] => pcap(ByteOrder::Little, false, true),
        [0xa1, 0xb2, 0xcd, 0x34, ..] => pcap(ByteOrder::Big, false, true),
        [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a, ..]
        | [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x1a, 0x2b, 0x3c, 0x4d, ..] => Some(Kind::PcapNg),
        [0x1f, 0x8b, ..] => Some(Kind::Packed(Method::Gzip)),
        // RFC 8878 §3.1.2: a skippable frame may come first; pzstd writes one.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Kind::Packed(Method::Zstd)),
        // The frame format, and the legacy one.
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Kind::Packed(Method::Lz4)),
        _ => None,
    }
}

/// Whether what begins so may be a text that is known once more of it is there.
pub(crate) fn may_be_text(head: &[u8]) -> bool {
    head.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

/// The first bytes of something unknown, for messages: `7b 22 61 ("{\"a")`.
pub(crate) fn describe(head: &[u8]) -> String {
    let head = head.get(..ENOUGH).unwrap_or(head);
    let mut text = String::new();
    for byte in head {
        let _ = write!(text, "{byte:02x} ");
    }
    let _ = write!(text, "(\"{}\")", head.escape_ascii());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_capture_is_described() {
        assert_eq!(sniff(b"{\"a\": 1}"), None);
        assert_eq!(sniff(b""), None);
        assert_eq!(sniff(b"\x0a\x0d\x0d\x0a"), None);
        assert_eq!(describe(b"{\"a\x1b"), "7b 22 61 1b (\"{\\\"a\\x1b\")");
    }

    #[test]
    fn magic_numbers_are_known() {
        let modified = Kind::Pcap(PcapKind { order: ByteOrder::Big, nanos: false, modified: true });
        assert_eq!(sniff(&0xa1b2_cd34_u32.to_be_bytes()), Some(modified));
        let nanos = Kind::Pcap(PcapKind { order: ByteOrder::Little, nanos: true, modified: false });
        assert_eq!(sniff(&0xa1b2_3c4d_u32.to_le_bytes()), Some(nanos));
        assert_eq!(sniff(&0xfd2f_b528_u32.to_le_bytes()), Some(Kind::Packed(Method::Zstd)));
        assert_eq!(sniff(b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d"), Some(Kind::PcapNg));
    }
}
