//! Statuses, and what an end without one is worth, by gRPC's own tables.

use std::borrow::Cow;
use std::fmt;

use crate::http2::ErrorCode;

/// A status code, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u32);

#[allow(missing_docs)] // named as gRPC names them
impl Status {
    pub const OK: Self = Self(0);
    pub const CANCELLED: Self = Self(1);
    pub const UNKNOWN: Self = Self(2);
    pub const INVALID_ARGUMENT: Self = Self(3);
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    pub const NOT_FOUND: Self = Self(5);
    pub const ALREADY_EXISTS: Self = Self(6);
    pub const PERMISSION_DENIED: Self = Self(7);
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    pub const FAILED_PRECONDITION: Self = Self(9);
    pub const ABORTED: Self = Self(10);
    pub const OUT_OF_RANGE: Self = Self(11);
    pub const UNIMPLEMENTED: Self = Self(12);
    pub const INTERNAL: Self = Self(13);
    pub const UNAVAILABLE: Self = Self(14);
    pub const DATA_LOSS: Self = Self(15);
    pub const UNAUTHENTICATED: Self = Self(16);
}

/// The names of the codes 0 to 16.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Digits of a `grpc-status` that is read; every 32-bit number has no more.
const MAX_DIGITS: usize = 10;

impl Status {
    /// A `grpc-status` value: decimal digits. None for anything else.
    pub fn parse(value: &[u8]) -> Option<Self> {
        if value.is_empty() || value.len() > MAX_DIGITS || !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(value).ok()?.parse().ok().map(Self)
    }

    /// What gRPC's clients make of an HTTP status without a `grpc-status`; none of 200.
    pub const fn from_http(status: u16) -> Option<Self> {
        Some(match status {
            200 => return None,
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        })
    }

    /// What gRPC's clients make of a RST_STREAM without a `grpc-status`; none of STREAM_CLOSED.
    pub const fn from_reset(code: ErrorCode) -> Option<Self> {
        Some(match code {
            ErrorCode::STREAM_CLOSED => return None,
            ErrorCode::NO_ERROR
            | ErrorCode::PROTOCOL_ERROR
            | ErrorCode::INTERNAL_ERROR
            | ErrorCode::FLOW_CONTROL_ERROR
            | ErrorCode::SETTINGS_TIMEOUT
            | ErrorCode::FRAME_SIZE_ERROR
            | ErrorCode::COMPRESSION_ERROR
            | ErrorCode::CONNECT_ERROR => Self::INTERNAL,
            ErrorCode::REFUSED_STREAM => Self::UNAVAILABLE,
            ErrorCode::CANCEL => Self::CANCELLED,
            ErrorCode::ENHANCE_YOUR_CALM => Self::RESOURCE_EXHAUSTED,
            ErrorCode::INADEQUATE_SECURITY => Self::PERMISSION_DENIED,
            // The table has no other; clients take what they do not know for this.
            _ => Self::UNKNOWN,
        })
    }

    /// gRPC's name, if there is one.
    pub fn known_name(self) -> Option<&'static str> {
        NAMES.get(usize::try_from(self.0).ok()?).copied()
    }

    /// gRPC's name, or `STATUS_17`.
    pub fn name(self) -> Cow<'static, str> {
        self.known_name().map_or_else(|| Cow::Owned(format!("STATUS_{}", self.0)), Cow::Borrowed)
    }

    /// The status that gRPC calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().zip(0..).find(|(known, _)| **known == name).map(|(_, code)| Self(code))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        assert_eq!(Status::parse(b"0"), Some(Status::OK));
        assert_eq!(Status::parse(b"16").map(Status::name).as_deref(), Some("UNAUTHENTICATED"));
        assert_eq!(Status::parse(b"17").map(Status::name).as_deref(), Some("STATUS_17"));
        assert_eq!(Status::parse(b"4294967295"), Some(Status(u32::MAX)));
        for wrong in [&b""[..], b"-1", b"+1", b"1 ", b"4294967296", b"00000000001", b"OK", b"\xff"] {
            assert_eq!(Status::parse(wrong), None);
        }
        assert_eq!(Status::from_name("DATA_LOSS"), Some(Status::DATA_LOSS));
        assert_eq!(Status::from_name("ok"), None);
        assert_eq!(Status::UNAVAILABLE.to_string(), "UNAVAILABLE");
    }

    #[test]
    fn http_statuses() {
        for (http, status) in [
            (200, None),
            (400, Some(Status::INTERNAL)),
            (401, Some(Status::UNAUTHENTICATED)),
            (403, Some(Status::PERMISSION_DENIED)),
            (404, Some(Status::UNIMPLEMENTED)),
            (429, Some(Status::UNAVAILABLE)),
            (500, Some(Status::UNKNOWN)),
            (502, Some(Status::UNAVAILABLE)),
            (503, Some(Status::UNAVAILABLE)),
            (504, Some(Status::UNAVAILABLE)),
            (302, Some(Status::UNKNOWN)),
        ] {
            assert_eq!(Status::from_http(http), status, "{http}");
        }
    }

    #[test]
    fn resets() {
        let mapped: Vec<_> = (0..=0xe).map(|code| Status::from_reset(ErrorCode(code)).map(|status| status.0)).collect();
        assert_eq!(
            mapped,
            [
                Some(13), // NO_ERROR
                Some(13), // PROTOCOL_ERROR
                Some(13), // INTERNAL_ERROR
                Some(13), // FLOW_CONTROL_ERROR
                Some(13), // SETTINGS_TIMEOUT
                None,     // STREAM_CLOSED
                Some(13), // FRAME_SIZE_ERROR
                Some(14), // REFUSED_STREAM
                Some(1),  // CANCEL
                Some(13), // COMPRESSION_ERROR
                Some(13), // CONNECT_ERROR
                Some(8),  // ENHANCE_YOUR_CALM
                Some(7),  // INADEQUATE_SECURITY
                Some(2),  // HTTP_1_1_REQUIRED
                Some(2),  // unknown
            ]
        );
    }
}
