//! SETTINGS, RFC 9113 §6.5: pairs of a 16-bit id and a 32-bit value.

use std::borrow::Cow;
use std::fmt;

use super::frame::named;

/// The pairs of a SETTINGS frame, in the order sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings<'a>(pub(super) &'a [u8]);

impl Settings<'_> {
    /// Bytes of a pair.
    pub const PAIR: usize = 6;

    /// The pairs. An incomplete pair at the end is left out.
    pub fn iter(&self) -> impl Iterator<Item = Setting> + '_ {
        self.0.as_chunks().0.iter().map(|&[i0, i1, v0, v1, v2, v3]: &[u8; 6]| Setting {
            id: SettingId(u16::from_be_bytes([i0, i1])),
            value: u32::from_be_bytes([v0, v1, v2, v3]),
        })
    }

    /// The value that is in force when all are applied in order: the last one with that id.
    pub fn last(&self, id: SettingId) -> Option<u32> {
        self.iter().filter(|setting| setting.id == id).last().map(|setting| setting.value)
    }
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub id: SettingId,
    /// Its value.
    pub value: u32,
}

impl Setting {
    /// Whether a peer may send this value.
    pub const fn is_valid(self) -> bool {
        match self.id {
            SettingId::ENABLE_PUSH | SettingId::ENABLE_CONNECT_PROTOCOL | SettingId::NO_RFC7540_PRIORITIES => {
                self.value <= 1
            }
            SettingId::INITIAL_WINDOW_SIZE => self.value <= 0x7fff_ffff,
            SettingId::MAX_FRAME_SIZE => self.value >= 1 << 14 && self.value < 1 << 24,
            _ => true,
        }
    }
}

/// The id of a setting, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingId(pub u16);

#[allow(missing_docs)] // named as the RFC names them
impl SettingId {
    pub const HEADER_TABLE_SIZE: Self = Self(0x1);
    pub const ENABLE_PUSH: Self = Self(0x2);
    pub const MAX_CONCURRENT_STREAMS: Self = Self(0x3);
    pub const INITIAL_WINDOW_SIZE: Self = Self(0x4);
    pub const MAX_FRAME_SIZE: Self = Self(0x5);
    pub const MAX_HEADER_LIST_SIZE: Self = Self(0x6);
    /// RFC 8441.
    pub const ENABLE_CONNECT_PROTOCOL: Self = Self(0x8);
    /// RFC 9218.
    pub const NO_RFC7540_PRIORITIES: Self = Self(0x9);
    pub const TLS_RENEG_PERMITTED: Self = Self(0x10);
    /// gRPC's C core: `-bin` metadata may be sent without base64.
    pub const GRPC_ALLOW_TRUE_BINARY_METADATA: Self = Self(0xfe03);
    /// gRPC's C core: the size of frames that it would like to receive.
    pub const GRPC_PREFERRED_RECEIVE_CRYPTO_FRAME_SIZE: Self = Self(0xfe04);
    /// gRPC's C core.
    pub const GRPC_ALLOW_SECURITY_FRAME: Self = Self(0xfe05);
}

impl SettingId {
    /// Its name, if there is one.
    pub const fn known_name(self) -> Option<&'static str> {
        Some(match self {
            Self::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
            Self::ENABLE_PUSH => "ENABLE_PUSH",
            Self::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
            Self::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
            Self::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
            Self::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
            Self::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
            Self::NO_RFC7540_PRIORITIES => "NO_RFC7540_PRIORITIES",
            Self::TLS_RENEG_PERMITTED => "TLS_RENEG_PERMITTED",
            Self::GRPC_ALLOW_TRUE_BINARY_METADATA => "GRPC_ALLOW_TRUE_BINARY_METADATA",
            Self::GRPC_PREFERRED_RECEIVE_CRYPTO_FRAME_SIZE => "GRPC_PREFERRED_RECEIVE_CRYPTO_FRAME_SIZE",
            Self::GRPC_ALLOW_SECURITY_FRAME => "GRPC_ALLOW_SECURITY_FRAME",
            _ => return None,
        })
    }

    /// Its name, or `SETTING_0x2a`.
    pub fn name(self) -> Cow<'static, str> {
        named(self.known_name(), "SETTING", u32::from(self.0))
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_in_order_and_the_last_one_counts() {
        let settings = Settings(&[
            0x00, 0x05, // MAX_FRAME_SIZE
            0x00, 0x00, 0x40, 0x00, // 16384
            0x00, 0x2a, // unknown
            0xff, 0xff, 0xff, 0xff, //
            0x00, 0x05, // MAX_FRAME_SIZE
            0x00, 0x00, 0x80, 0x00, // 32768
            0x00, // no whole pair
        ]);
        let shown: Vec<_> = settings.iter().map(|setting| format!("{}={}", setting.id, setting.value)).collect();
        assert_eq!(shown, ["MAX_FRAME_SIZE=16384", "SETTING_0x2a=4294967295", "MAX_FRAME_SIZE=32768"]);
        assert_eq!(settings.last(SettingId::MAX_FRAME_SIZE), Some(32768));
        assert_eq!(settings.last(SettingId::ENABLE_PUSH), None);
    }

    #[test]
    fn values() {
        for (id, value, valid) in [
            (SettingId::ENABLE_PUSH, 1, true),
            (SettingId::ENABLE_PUSH, 2, false),
            (SettingId::INITIAL_WINDOW_SIZE, 0x7fff_ffff, true),
            (SettingId::INITIAL_WINDOW_SIZE, 0x8000_0000, false),
            (SettingId::MAX_FRAME_SIZE, 16_383, false),
            (SettingId::MAX_FRAME_SIZE, 16_384, true),
            (SettingId::MAX_FRAME_SIZE, 0xff_ffff, true),
            (SettingId::MAX_FRAME_SIZE, 0x100_0000, false),
            (SettingId(0x2a), u32::MAX, true),
        ] {
            assert_eq!(Setting { id, value }.is_valid(), valid, "{id} {value}");
        }
    }
}
