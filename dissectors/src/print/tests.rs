//! JSON members that most calls do not have.

use rpcshark_captures::Direction::{ToClient, ToServer};
use serde_json::{Value, json};

use super::Printer;
use crate::http2::PREFACE;
use crate::json::keep;
use crate::schema::Schema;
use crate::testing::{Step, block, fed, frame, message};
use crate::view::{Guesser, Redaction, Viewer};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The first call of a connection, as `calls --json` prints it.
fn first_call(joined: bool, steps: &[Step]) -> Value {
    let outcome = fed(joined, steps);
    let (schema, redaction) = (Schema::builtin(), Redaction::default());
    let (guesser, files) = (Guesser::new(&schema), ["one.pcap".to_owned()]);
    let viewer = Viewer {
        store: &outcome.store,
        bodies: &outcome,
        schema: &schema,
        guesser: &guesser,
        redaction: &redaction,
        files: &files,
        names: None,
    };
    let mut out = Vec::new();
    Printer::new(viewer).write_call_json(&viewer.call_by_no(1).unwrap(), false, &mut out, &mut keep);
    serde_json::from_slice(&out).unwrap()
}

fn headers(flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 1, &block(fields))
}

fn request_headers() -> Vec<u8> {
    headers(0, &[(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("content-type", "application/grpc")])
}

/// A call with one message each way, and with these bytes of the client after its message and these of the server before its
/// headers and after them.
fn conversation(behind_message: &[u8], before_headers: &[u8], behind_headers: &[u8]) -> Vec<Step> {
    let last = if behind_message.is_empty() { END_STREAM } else { 0 };
    let response = headers(0, &[(":status", "200"), ("content-type", "application/grpc")]);
    let trailers = headers(END_STREAM, &[("grpc-status", "0")]);
    vec![
        Step::Bytes(ToServer, [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), request_headers()].concat()),
        Step::Bytes(ToServer, [&frame(DATA, last, 1, &message("")), behind_message].concat()),
        Step::Bytes(ToClient, [&frame(SETTINGS, 0, 0, &[]), before_headers, &response, behind_headers].concat()),
        Step::Bytes(ToClient, [frame(DATA, 0, 1, &message("")), trailers].concat()),
    ]
}

#[test]
fn header_blocks_that_few_calls_have_are_there_only_where_they_occur() {
    let usual = first_call(false, &conversation(&[], &[], &[]));
    assert_eq!(usual["outcome"], "ok");
    for (part, name) in [("request", "trailers"), ("response", "interim"), ("response", "headers_again")] {
        assert_eq!(usual[part].get(name), None, "{part}.{name}");
    }
    assert_eq!(usual.get("trunk"), None);
}

#[test]
fn request_trailers_are_shown() {
    let call = first_call(false, &conversation(&headers(END_STREAM, &[("checksum", "17")]), &[], &[]));
    assert_eq!(call["request"]["trailers"], json!([{"name": "checksum", "value": "17"}]));
    assert_eq!((&call["outcome"], &call["end"]), (&json!("ok"), &json!("trailers")));
}

#[test]
fn interim_responses_are_shown() {
    let hints = headers(0, &[(":status", "103"), ("link", "</a>")]);
    let call = first_call(false, &conversation(&[], &hints, &[]));
    let expected = json!([[{"name": ":status", "value": "103"}, {"name": "link", "value": "</a>"}]]);
    assert_eq!(call["response"]["interim"], expected);
    assert_eq!((&call["outcome"], call.get("http_status")), (&json!("ok"), None));
}

#[test]
fn further_response_headers_are_shown() {
    let again = headers(0, &[("again", "yes")]);
    let call = first_call(false, &conversation(&[], &[], &again));
    assert_eq!(call["response"]["headers_again"], json!([[{"name": "again", "value": "yes"}]]));
    assert_eq!(call["response"]["trailers"], json!([]), "grpc-status is not metadata");
}

#[test]
fn a_call_inside_a_trunk_says_in_which_connection_of_it() {
    // u32 connection, u32 length, a ttrpc Request: u32 length, u32 stream, type 1, flags; service and method.
    let request = b"\x0a\x03a.B\x12\x01C";
    let frame = [&[0, 0, 0, 8, 0, 0, 0, 1, 1, 0][..], request].concat();
    let trunk = [&[0, 0, 0, 2, 0, 0, 0, frame.len() as u8][..], &frame].concat();
    let call = first_call(false, &[Step::Bytes(ToServer, trunk)]);
    assert_eq!((&call["trunk"], &call["path"], &call["protocol"]), (&json!(2), &json!("/a.B/C"), &json!("ttrpc")));
}

#[test]
fn a_deadline_whose_name_is_not_in_the_capture_is_null_with_a_note() {
    let mut fields = block(&[(":method", "POST"), (":path", "/a.B/C"), ("content-type", "application/grpc")]);
    // A literal without indexing (RFC 7541 §6.2.2) whose name is entry 70: it was inserted before the capture began.
    fields.extend([0x0f, 70 - 15, 4]);
    fields.extend(b"200m");
    let request = [frame(HEADERS, END_HEADERS, 1, &fields), frame(DATA, END_STREAM, 1, &message(""))].concat();
    let answer = headers(END_STREAM, &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")]);
    let call = first_call(true, &[Step::Bytes(ToServer, request), Step::Bytes(ToClient, answer)]);
    assert_eq!(call["deadline_ns"], Value::Null);
    let notes = call["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["kind"] == "deadline-unknown").unwrap_or_else(|| panic!("{notes:?}"));
    assert!(note["text"].as_str().unwrap().ends_with("has the value 200m"), "{note}");
    let known = first_call(false, &conversation(&[], &[], &[]));
    assert_eq!(
        (&known["deadline_ns"], &known["notes"]),
        (&Value::Null, &json!([])),
        "no deadline, and no doubt about it"
    );
}
