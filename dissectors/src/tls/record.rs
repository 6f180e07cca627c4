//! The header of a TLS record (RFC 8446 §5.1).
//!
//! ```text
//!  0        1               3              5
//!  ├ kind ──┼ version (16) ─┼ length (16) ─┼ length bytes ┤
//! ```

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// What it carries, or [`APPLICATION_DATA`] for everything that TLS 1.3 encrypts.
    pub(super) kind: u8,
    /// 0x0303 nearly always; the version that is used is in the hellos.
    pub(super) version: u16,
    /// Bytes after the header.
    pub(super) length: u16,
}

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// RFC 5246 §6.2.3: 2^14 bytes and what protection adds. TLS 1.3 adds less.
const MAX_LENGTH: u16 = (1 << 14) + 2048;

impl RecordHeader {
    /// The length of a header, in bytes.
    pub(super) const LEN: usize = 5;

    /// Reads a header.
    pub(super) const fn parse(bytes: &[u8; Self::LEN]) -> Self {
        let [kind, v0, v1, l0, l1] = *bytes;
        Self { kind, version: u16::from_be_bytes([v0, v1]), length: u16::from_be_bytes([l0, l1]) }
    }

    /// The header as it was sent.
    pub(super) const fn bytes(self) -> [u8; Self::LEN] {
        let ([v0, v1], [l0, l1]) = (self.version.to_be_bytes(), self.length.to_be_bytes());
        [self.kind, v0, v1, l0, l1]
    }

    /// Whether TLS endpoints send such headers.
    pub(super) const fn is_plausible(self) -> bool {
        matches!(self.kind, CHANGE_CIPHER_SPEC..=APPLICATION_DATA)
            && matches!(self.version, 0x0300..=0x0304)
            && 0 < self.length
            && self.length <= MAX_LENGTH
    }

    /// The length of the record, with its header.
    pub(super) const fn record_len(self) -> usize {
        Self::LEN + self.length as usize
    }
}
