//! How a call of Connect ends, as the trailers that gRPC would have sent: `grpc-status`, `grpc-message`, `grpc-status-details-bin` and
//! the application's fields.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::{Map, Value};

use crate::grpc::{Status, binary_values, percent_encode};
use crate::header::Field;
use crate::rpc::field;

/// Connect's names of the codes 1 to 16.
const CODES: [&str; 16] = [
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// What the type of a detail follows in its URL.
const TYPE_URL: &str = "type.googleapis.com/";

/// Fields of the trailers that are kept.
const MAX_FIELDS: usize = 1024;

/// Details of an error that are kept.
const MAX_DETAILS: usize = 256;

/// The status that Connect calls `name`.
pub fn status_named(name: &str) -> Option<Status> {
    CODES.iter().zip(1..).find(|(known, _)| **known == name).map(|(_, code)| Status(code))
}

/// Connect's name of a status; none of OK, and of codes that gRPC does not define.
pub fn code_name(status: Status) -> Option<&'static str> {
    CODES.get(usize::try_from(status.0).ok()?.checked_sub(1)?).copied()
}

/// The trailers that the last frame of a stream stands for: `{"error": {…}, "metadata": {"name": ["value"]}}`, both optional. `None`: it
/// is not a JSON object.
pub(super) fn of_stream(frame: &[u8]) -> Option<Vec<Field>> {
    let end: Map<String, Value> = serde_json::from_slice(frame).ok()?;
    let mut fields = match end.get("error") {
        // Clients take an error without a code that they know for this.
        Some(Value::Object(error)) => error_fields(error, Some(Status::UNKNOWN)),
        _ => vec![field(b"grpc-status", b"0")],
    };
    let metadata = end.get("metadata").and_then(Value::as_object);
    for (name, values) in metadata.into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        let values = values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice);
        for value in values.iter().filter_map(Value::as_str) {
            if fields.len() < MAX_FIELDS {
                fields.push(field(name.as_bytes(), value.as_bytes()));
            }
        }
    }
    Some(fields)
}

/// The trailers that the body of a unary error stands for: `{"code": …, "message": …, "details": […]}`. `None`: it is not a JSON object.
/// There is no `grpc-status` among them if the code is none that is known: then the HTTP status says more.
pub(super) fn of_error(body: &[u8]) -> Option<Vec<Field>> {
    let error: Map<String, Value> = serde_json::from_slice(body).ok()?;
    Some(error_fields(&error, None))
}

/// `unknown`: the status of an error without a code that is known.
fn error_fields(error: &Map<String, Value>, unknown: Option<Status>) -> Vec<Field> {
    let status = error.get("code").and_then(Value::as_str).and_then(status_named).or(unknown);
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let details: &[Value] = error.get("details").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let mut fields = Vec::new();
    if let Some(status) = status {
        fields.push(field(b"grpc-status", status.0.to_string().as_bytes()));
    }
    if !message.is_empty() {
        fields.push(field(b"grpc-message", percent_encode(message).as_bytes()));
    }
    if !details.is_empty() {
        let status = status_bytes(status.unwrap_or(Status::UNKNOWN), message, details);
        fields.push(field(b"grpc-status-details-bin", BASE64_STANDARD_NO_PAD.encode(status).as_bytes()));
    }
    fields
}

/// A `google.rpc.Status`: `int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3`.
fn status_bytes(status: Status, message: &str, details: &[Value]) -> Vec<u8> {
    let mut bytes = vec![0x08];
    prost::encoding::encode_varint(status.0.into(), &mut bytes);
    write_bytes(2, message.as_bytes(), &mut bytes);
    for detail in details.iter().take(MAX_DETAILS) {
        let text = |name| detail.get(name).and_then(Value::as_str).unwrap_or_default();
        let value = binary_values(text("value").as_bytes()).next().flatten().unwrap_or_default();
        // `google.protobuf.Any`: `string type_url = 1; bytes value = 2`.
        let mut any = Vec::new();
        let name = text("type");
        let url = if name.contains('/') { name.to_owned() } else { format!("{TYPE_URL}{name}") };
        write_bytes(1, url.as_bytes(), &mut any);
        write_bytes(2, &value, &mut any);
        write_bytes(3, &any, &mut bytes);
    }
    bytes
}

/// A length-delimited field.
fn write_bytes(number: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    prost::encoding::encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fields: &[Field]) -> Vec<String> {
        let text = |field: &Field| {
            let value = String::from_utf8_lossy(field.value.known().expect("known")).into_owned();
            format!("{}: {value}", String::from_utf8_lossy(field.name.known().expect("known")))
        };
        fields.iter().map(text).collect()
    }

    #[test]
    fn codes_are_those_of_grpc() {
        for (code, name) in CODES.iter().enumerate().map(|(at, name)| (Status(at as u32 + 1), name)) {
            assert_eq!(status_named(name), Some(code));
            assert_eq!(code_name(code), Some(*name));
            let of_grpc = code.name().to_lowercase();
            assert_eq!(of_grpc.replace("cancelled", "canceled"), *name);
        }
        assert_eq!(code_name(Status::OK), None);
        assert_eq!(status_named("cancelled"), None);
    }

    #[test]
    fn errors_become_the_trailers_of_grpc() {
        let error = br#"{"code":"not_found","message":"no \u00fc","details":[{"type":"a.B","value":"CAE"}]}"#;
        let fields = of_error(error).expect("an object");
        assert_eq!(text(&fields)[..2], ["grpc-status: 5", "grpc-message: no %C3%BC"]);
        let details = fields[2].value.known().expect("known");
        let details = binary_values(details).next().flatten().expect("base64");
        assert_eq!(details, b"\x08\x05\x12\x05no \xc3\xbc\x1a\x1d\x0a\x17type.googleapis.com/a.B\x12\x02\x08\x01");
        assert_eq!(text(&of_error(br#"{"code":"nonsense","message":"x"}"#).expect("an object")), ["grpc-message: x"]);
        assert!(of_error(b"<html>").is_none());
        assert!(of_error(b"[]").is_none());
    }

    #[test]
    fn the_end_of_a_stream_has_an_error_and_metadata() {
        let end = br#"{"error":{"code":"canceled"},"metadata":{"X-Why":["a","b"],"acme-bin":["AAE"]}}"#;
        let fields = text(&of_stream(end).expect("an object"));
        assert_eq!(fields, ["grpc-status: 1", "x-why: a", "x-why: b", "acme-bin: AAE"]);
        assert_eq!(text(&of_stream(b"{}").expect("an object")), ["grpc-status: 0"]);
        assert_eq!(text(&of_stream(br#"{"error":{}}"#).expect("an object")), ["grpc-status: 2"]);
        assert!(of_stream(b"").is_none());
    }
}
