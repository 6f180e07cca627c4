//! How the requests of gRPC, gRPC-Web and Connect are written: their content type, and the bytes of a message in the body.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rpcshark_dissectors::rpc::Form;
use rpcshark_dissectors::store::Protocol;
use rpcshark_dissectors::view::CallView;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// gRPC-Web in base64.
    GrpcWebText,
    /// A stream of Connect.
    ConnectStream,
    /// A unary call of Connect.
    ConnectUnary,
}

impl Wire {
    /// The bytes of a message in the body.
    pub(crate) fn frame(self, compressed: bool, payload: &Bytes) -> Bytes {
        if self == Self::ConnectUnary {
            return payload.clone();
        }
        let mut framed = BytesMut::with_capacity(5 + payload.len());
        framed.put_u8(u8::from(compressed));
        framed.put_u32(payload.len() as u32);
        framed.extend_from_slice(payload);
        match self {
            Self::GrpcWebText => BASE64_STANDARD.encode(framed).into(),
            _ => framed.freeze(),
        }
    }

    /// How a recorded call was written.
    pub(crate) fn of(call: &CallView<'_>) -> Self {
        let carrier = call.request_headers().and_then(|list| list.facts().carrier());
        match carrier.map(|carrier| (carrier.protocol, carrier.form)) {
            Some((Protocol::GrpcWeb, Form::Base64)) => Self::GrpcWebText,
            Some((Protocol::GrpcWeb, _)) => Self::GrpcWeb,
            Some((Protocol::Connect, Form::Prefixed)) => Self::ConnectStream,
            Some((Protocol::Connect, _)) => Self::ConnectUnary,
            _ => Self::Grpc,
        }
    }

    /// The fields that a client sends with binary messages.
    pub(crate) fn client_fields(self) -> HeaderMap {
        let fields: &[(HeaderName, &'static str)] = match self {
            Self::Grpc => &[(header::CONTENT_TYPE, "application/grpc"), (header::TE, "trailers")],
            Self::GrpcWeb => &[(header::CONTENT_TYPE, "application/grpc-web+proto"), (X_GRPC_WEB, "1")],
            Self::GrpcWebText => &[
                (header::CONTENT_TYPE, "application/grpc-web-text+proto"),
                (header::ACCEPT, "application/grpc-web-text+proto"),
                (X_GRPC_WEB, "1"),
            ],
            Self::ConnectStream => &[(header::CONTENT_TYPE, "application/connect+proto"), (CONNECT_VERSION, "1")],
            Self::ConnectUnary => &[(header::CONTENT_TYPE, "application/proto"), (CONNECT_VERSION, "1")],
        };
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    /// The name of the field that states how long the call may take.
    pub(crate) const fn timeout_name(self) -> HeaderName {
        match self {
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => GRPC_TIMEOUT,
            Self::ConnectStream | Self::ConnectUnary => CONNECT_TIMEOUT,
        }
    }

    /// The field that states how long the call may take.
    pub(crate) fn timeout(self, time: Duration) -> (HeaderName, HeaderValue) {
        let value = match self {
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => {
                HeaderValue::from_str(&timeout_text(time)).unwrap_or(HeaderValue::from_static("1S"))
            }
            // At most ten digits.
            Self::ConnectStream | Self::ConnectUnary => {
                HeaderValue::from(time.as_nanos().div_ceil(1_000_000).min(9_999_999_999) as u64)
            }
        };
        (self.timeout_name(), value)
    }
}

const X_GRPC_WEB: HeaderName = HeaderName::from_static("x-grpc-web");
const CONNECT_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");

/// `grpc-timeout` has at most eight digits.
fn timeout_text(time: Duration) -> String {
    let nanos = time.as_nanos();
    let units = [
        (1, "n"),
        (1_000, "u"),
        (1_000_000, "m"),
        (1_000_000_000, "S"),
        (60_000_000_000, "M"),
        (3_600_000_000_000, "H"),
    ];
    let fits = units.iter().find(|(unit, _)| nanos.div_ceil(*unit) < 100_000_000);
    let (unit, letter) = fits.copied().unwrap_or((3_600_000_000_000, "H"));
    format!("{}{letter}", nanos.div_ceil(unit).min(99_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_at_most_eight_digits() {
        for (time, text) in [
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_nanos(7), "7n"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(1 << 40), "99999999H"),
        ] {
            assert_eq!(timeout_text(time), text);
        }
        assert_eq!(Wire::ConnectUnary.timeout(Duration::from_micros(1500)).1, "2");
    }

    #[test]
    fn messages_are_framed_as_each_protocol_wants_it() {
        let payload = Bytes::from_static(b"abc");
        assert_eq!(Wire::GrpcWeb.frame(true, &payload), b"\x01\0\0\0\x03abc"[..]);
        assert_eq!(Wire::ConnectUnary.frame(true, &payload), payload);
    }
}
