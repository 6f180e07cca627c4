//! The metadata of a replayed request: what is sent as recorded, and what is not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use rpcshark_dissectors::grpc::is_binary;
use rpcshark_dissectors::view::{CallView, Known, Redaction};

use super::edit::{Edits, MetadataChange};
use super::settings::Deadline;
use crate::rpc::{TtrpcRequest, Wire};

/// What becomes of recorded metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderPolicy {
    /// Recorded credentials are sent.
    pub(crate) keep_auth: bool,
    /// Names and values that take the place of recorded ones, or are added.
    pub(crate) replace: Vec<(String, Vec<u8>)>,
    /// Which names hold credentials: those whose values are hidden.
    pub(crate) credentials: Redaction,
    /// Changes of requests.
    pub(crate) edits: Edits,
}

/// Fields that describe one call of the recording to a tracing system, and those that only a recorded client can know.
const DROPPED: &[&str] = &[
    "b3",
    "baggage",
    "cloud-trace-context",
    "grpc-previous-rpc-attempts",
    "grpc-tags-bin",
    "grpc-trace-bin",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-cloud-trace-context",
    "x-datadog-parent-id",
    "x-datadog-trace-id",
    "x-request-id",
];

/// Fields of one hop (RFC 9113 §8.2.2), `host`, which `:authority` stands for, and the length of the body, which may be another one.
const HOP: &[&str] =
    &["connection", "content-length", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

impl HeaderPolicy {
    /// Whether a recorded field is credentials that are withheld.
    pub(crate) fn withholds(&self, name: &[u8]) -> bool {
        !self.keep_auth && !self.is_replaced(name) && self.credentials.hides_name(name)
    }

    fn is_replaced(&self, name: &[u8]) -> bool {
        self.replace.iter().any(|(replaced, _)| replaced.as_bytes().eq_ignore_ascii_case(name))
    }

    fn keeps(&self, name: &[u8]) -> bool {
        let listed = |list: &[&str]| list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
        !listed(DROPPED) && !self.is_replaced(name) && !self.withholds(name)
    }

    /// The request that begins a gRPC call. `call` shows every value.
    ///
    /// # Errors
    ///
    /// Why it cannot be sent over HTTP/2.
    pub(crate) fn grpc(
        &self,
        call: &CallView<'_>,
        scheme: &str,
        authority: &str,
        deadline: Deadline,
    ) -> Result<Request<()>, String> {
        let path = call.path();
        let Known::Seen(path) = path else { return Err("its path is not known".to_owned()) };
        let get = is_get(call);
        let sent = call.request_headers().and_then(|list| list.value(b":path").value()).filter(|_| get);
        let target = sent.unwrap_or(path.as_bytes());
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build();
        let uri = uri.map_err(|error| format!("its path cannot be sent: {error}"))?;
        let mut request = Request::new(());
        *request.method_mut() = if get { Method::GET } else { Method::POST };
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        for field in call.request_headers().into_iter().flat_map(|list| list.fields()) {
            let (Known::Seen(name), Known::Seen(value)) = (field.name(), field.value()) else {
                return Err("a header field of it is not in the recording".to_owned());
            };
            let is_hop = HOP.iter().any(|hop| hop.as_bytes() == name);
            if name.starts_with(b":") || is_hop || !self.keeps(name) {
                continue;
            }
            let parsed = (HeaderName::from_bytes(name), header_value(name, value));
            let (Ok(name), Some(value)) = parsed else {
                return Err(format!("its header field {} cannot be sent", String::from_utf8_lossy(name)));
            };
            headers.append(name, value);
        }
        match deadline_of(call, deadline) {
            _ if deadline == Deadline::Recorded => {}
            timeout => {
                let wire = Wire::of(call);
                headers.remove(wire.timeout_name());
                if let Some(timeout) = timeout {
                    let (name, value) = wire.timeout(timeout);
                    headers.insert(name, value);
                }
            }
        }
        for (name, value) in &self.replace {
            let parsed = (HeaderName::from_bytes(name.as_bytes()), header_value(name.as_bytes(), value));
            let (Ok(name), Some(value)) = parsed else { return Err(format!("the header {name} cannot be sent")) };
            headers.append(name, value);
        }
        for change in self.edits.metadata_of(path.trim_start_matches('/')) {
            match change {
                MetadataChange::Drop(name) => drop(headers.remove(name)),
                MetadataChange::Set(name, value) => {
                    let parsed =
                        (HeaderName::from_bytes(name.as_bytes()), header_value(name.as_bytes(), value.as_bytes()));
                    let (Ok(name), Some(value)) = parsed else {
                        return Err(format!("the metadata {name} cannot be sent"));
                    };
                    headers.insert(name, value);
                }
            }
        }
        Ok(request)
    }

    /// The same for ttrpc.
    ///
    /// # Errors
    ///
    /// Why it cannot be sent.
    pub(crate) fn ttrpc(&self, call: &CallView<'_>, deadline: Deadline) -> Result<TtrpcRequest, String> {
        let names = call.service_and_method();
        let Known::Seen((service, method)) = names else { return Err("its method is not known".to_owned()) };
        let mut metadata = Vec::new();
        for field in call.request_headers().into_iter().flat_map(|list| list.metadata()) {
            let (Known::Seen(name), Known::Seen(value)) = (field.name(), field.value()) else {
                return Err("metadata of it is not in the recording".to_owned());
            };
            if self.keeps(name) {
                metadata.push((text(name)?, text(value)?));
            }
        }
        for (name, value) in &self.replace {
            metadata.push((name.clone(), text(value)?));
        }
        for change in self.edits.metadata_of(&format!("{service}/{method}")) {
            let (MetadataChange::Drop(name) | MetadataChange::Set(name, _)) = change;
            metadata.retain(|(known, _)| known != name);
            if let MetadataChange::Set(name, value) = change {
                metadata.push((name.to_owned(), value.to_owned()));
            }
        }
        let timeout = deadline_of(call, deadline).map_or(0, |timeout| timeout.as_nanos());
        let timeout_nano = i64::try_from(timeout).unwrap_or(i64::MAX);
        Ok(TtrpcRequest { service: service.to_owned(), method: method.to_owned(), timeout_nano, metadata })
    }

    /// The first of the tokens that would be sent which has run out: the name of its field, and since when.
    pub(crate) fn expired_token(&self, call: &CallView<'_>) -> Option<(String, Duration)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let recorded = call.request_headers().into_iter().flat_map(|list| list.metadata());
        let recorded = recorded.filter_map(|field| Some((field.name().value()?, field.value().value()?)));
        let recorded = recorded.filter(|(name, _)| self.keeps(name));
        let given = self.replace.iter().map(|(name, value)| (name.as_bytes(), &**value));
        recorded.chain(given).find_map(|(name, value)| {
            let expiry = token_expiry(value)?;
            let since = now.checked_sub(expiry)?;
            Some((String::from_utf8_lossy(name).into_owned(), since))
        })
    }
}

/// Whether the call's one message is in its path, so that it is sent as it was.
pub(crate) fn is_get(call: &CallView<'_>) -> bool {
    call.request_headers().is_some_and(|list| list.facts().is_in_path())
}

/// How long the call may take.
pub(crate) fn deadline_of(call: &CallView<'_>, deadline: Deadline) -> Option<Duration> {
    let recorded = call.deadline_ns().value().map(Duration::from_nanos);
    match deadline {
        Deadline::Recorded => recorded,
        Deadline::Times(times) => recorded.map(|recorded| recorded.mul_f64(times)),
        Deadline::None => None,
        Deadline::Fixed(duration) => Some(duration),
    }
}

/// A value as it can be sent. A binary one is base64 whatever form it was recorded in: grpcio sends bytes after a NUL to peers
/// that have agreed on it.
fn header_value(name: &[u8], value: &[u8]) -> Option<HeaderValue> {
    if is_binary(name)
        && let Some((0, raw)) = value.split_first()
    {
        return HeaderValue::from_str(&BASE64_STANDARD_NO_PAD.encode(raw)).ok();
    }
    HeaderValue::from_bytes(value).ok()
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "metadata of it is not UTF-8, which ttrpc needs".to_owned())
}

/// When a JSON web token (RFC 7519) after `Bearer` runs out, since 1970.
fn token_expiry(value: &[u8]) -> Option<Duration> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let mut parts = token.trim().split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let expiry = claims.get("exp")?.as_f64().filter(|expiry| (0.0..1e11).contains(expiry))?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Duration::from_secs_f64(expiry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_eight_digits() {
        for (timeout, expected) in [
            (Duration::from_nanos(5), "5n"),
            (Duration::from_millis(500), "500000u"),
            (Duration::from_secs(200), "200000m"),
            (Duration::from_secs(3600 * 24 * 365), "31536000S"),
        ] {
            assert_eq!(Wire::Grpc.timeout(timeout).1, expected);
        }
    }

    #[test]
    fn the_expiry_of_a_token_is_read() {
        let token = |claims: &str| {
            format!("Bearer {}.{}.sig", BASE64_URL_SAFE_NO_PAD.encode("{}"), BASE64_URL_SAFE_NO_PAD.encode(claims))
        };
        assert_eq!(token_expiry(token(r#"{"exp": 1500000000}"#).as_bytes()), Some(Duration::from_secs(1_500_000_000)));
        assert_eq!(token_expiry(token(r#"{"sub": "x"}"#).as_bytes()), None);
        assert_eq!(token_expiry(b"Bearer opaque"), None);
        assert_eq!(token_expiry(b"Basic a.b.c"), None);
    }

    #[test]
    fn binary_values_behind_a_nul_are_sent_as_base64() {
        let value = header_value(b"blob-bin", b"\0\x00\x01\xff").expect("a value");
        assert_eq!(value, "AAH/");
        assert!(header_value(b"tenant", b"a\nb").is_none());
    }

    #[test]
    fn credentials_are_withheld_unless_they_are_kept_or_replaced() {
        let policy = HeaderPolicy::default();
        for name in ["authorization", "cookie", "token", "x-goog-api-key"] {
            assert!(policy.withholds(name.as_bytes()), "{name}");
        }
        for name in ["tenant", "x-goog-request-params", "containerd-namespace-ttrpc"] {
            assert!(!policy.withholds(name.as_bytes()), "{name}");
            assert!(policy.keeps(name.as_bytes()), "{name}");
        }
        assert!(!policy.keeps(b"traceparent"));
        let policy = HeaderPolicy { replace: vec![("authorization".into(), b"x".to_vec())], ..policy };
        assert!(!policy.withholds(b"authorization"));
        assert!(!policy.keeps(b"authorization"));
    }
}
