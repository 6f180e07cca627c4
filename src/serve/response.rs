//! Recorded responses as they are sent again: header fields, and messages in an encoding that the client understands.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use rpcshark_captures::Direction;
use rpcshark_dissectors::grpc::{Encoding, Status, compress, is_binary, percent_encode};
use rpcshark_dissectors::store::Protocol;
use rpcshark_dissectors::view::{CallView, HeadersView, Known, MessageView, Scratch};

/// How the messages of a response are compressed for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they were recorded.
    Recorded,
    /// Otherwise: the client does not understand the recorded encoding.
    Recoded(Encoding),
}

/// Fields of one hop (RFC 9113 §8.2.2), and those that follow from what is sent.
const LEFT_OUT: &[&[u8]] = &[
    b"connection",
    b"content-length",
    b"grpc-encoding",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
];

/// Encodings that messages are compressed with for clients that do not understand the recorded one, the best known first.
const WRITTEN: [Encoding; 3] = [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate];

impl Form {
    /// The form for a client that accepts `accepted` (`grpc-accept-encoding`).
    pub(super) fn of(call: &CallView<'_>, accepted: &[u8]) -> Self {
        let accepts = |name: &[u8]| accepted.split(|&byte| byte == b',').any(|known| known.trim_ascii() == name);
        let is_compressed = call.messages(Direction::ToClient).any(MessageView::is_compressed);
        match call.encoding(Direction::ToClient) {
            Known::Seen(name) | Known::Guessed(name) if &*name == b"identity" || accepts(&name) => Self::Recorded,
            _ if !is_compressed => Self::Recorded,
            _ => {
                let known = WRITTEN.into_iter().find(|encoding| accepts(encoding.name().as_bytes()));
                Self::Recoded(known.unwrap_or(Encoding::Identity))
            }
        }
    }
}

/// The headers of a response. `whole`: they are all of it.
pub(super) fn headers(call: &CallView<'_>, form: Form, whole: bool) -> Response<()> {
    let mut response = Response::new(());
    let list = if whole { call.trailers().or_else(|| call.response_headers()) } else { call.response_headers() };
    append(list, response.headers_mut());
    // gRPC-Web and Connect are answered as gRPC: errors of theirs have an HTTP status of their own.
    let is_grpc = call.protocol() == Protocol::Grpc;
    let status = call.http_status().filter(|_| is_grpc).and_then(|status| StatusCode::from_u16(status).ok());
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    let kind = response.headers().get("content-type").map(|kind| kind.as_bytes()).unwrap_or_default();
    if !is_grpc || response.status() == StatusCode::OK && !kind.starts_with(b"application/grpc") {
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    }
    let encoding: Option<Cow<'_, [u8]>> = match form {
        Form::Recorded => call.encoding(Direction::ToClient).value(),
        Form::Recoded(Encoding::Identity) => None,
        Form::Recoded(encoding) => Some(encoding.name().as_bytes().into()),
    };
    if let Some(encoding) = encoding.and_then(|name| HeaderValue::from_bytes(&name).ok()) {
        response.headers_mut().insert("grpc-encoding", encoding);
    }
    response
}

/// The trailers of a response.
pub(super) fn trailers(call: &CallView<'_>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    append(call.trailers(), &mut fields);
    fields
}

/// The fields that say how a call ended.
pub(super) fn status(code: Status, message: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from(code.0));
    if let Ok(message) = HeaderValue::from_str(&percent_encode(message))
        && !message.is_empty()
    {
        fields.insert("grpc-message", message);
    }
    fields
}

/// A response that has nothing but a status.
pub(super) fn only_status(code: Status, message: &str) -> Response<()> {
    let mut response = plain();
    response.headers_mut().extend(status(code, message));
    response
}

/// The headers of a response that is not recorded.
pub(super) fn plain() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn append(list: Option<HeadersView<'_>>, fields: &mut HeaderMap) {
    for field in list.into_iter().flat_map(HeadersView::fields) {
        // What is not in the recording cannot be sent.
        let (Known::Seen(name), Known::Seen(value)) = (field.name(), field.value()) else { continue };
        if name.starts_with(b":") || LEFT_OUT.contains(&name.to_ascii_lowercase().as_slice()) {
            continue;
        }
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name), header_value(name, value)) {
            fields.append(name, value);
        }
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

/// The bytes of a message, and whether they are compressed.
///
/// # Errors
///
/// If it cannot be read, or not be recoded.
pub(super) fn message(message: MessageView<'_>, form: Form, scratch: &mut Scratch) -> Result<(bool, Bytes), String> {
    let body = message.body(scratch);
    match form {
        Form::Recoded(encoding) if message.is_compressed() => {
            let content = body.content().ok_or_else(|| {
                let why = body.fault().map(|fault| fault.text.as_str()).unwrap_or_default();
                format!("a message of the recorded call cannot be recoded for this client: {why}")
            })?;
            let compressed = compress(encoding, content).ok_or("a message of the recorded call cannot be recoded")?;
            Ok((encoding != Encoding::Identity, compressed.into()))
        }
        _ if body.wire().len() != message.length() as usize => {
            Err("a message of the recorded call cannot be read from the recording".to_owned())
        }
        _ => Ok((message.is_compressed(), Bytes::copy_from_slice(body.wire()))),
    }
}

/// A message with its prefix.
pub(super) fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(u8::from(compressed));
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(message);
    framed.freeze()
}
