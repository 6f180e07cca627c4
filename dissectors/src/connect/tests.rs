//! Calls of Connect over HTTP/1.1, from bytes to what is known of a call.

use rpcshark_captures::Direction::{self, ToClient, ToServer};

use crate::schema::Schema;
use crate::store::{End, Protocol};
use crate::testing::{Outcome, Step, fed, message};
use crate::view::{CallView, Guesser, Known, Outcome as Went, Redaction, Scratch, Viewer};

fn request(path: &str, content_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn response(status: u16, content_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn exchange(request: Vec<u8>, response: Vec<u8>) -> Outcome {
    fed(false, &[Step::Bytes(ToServer, request), Step::Bytes(ToClient, response)])
}

/// What is known of the first call.
fn viewed<T>(outcome: &Outcome, look: impl FnOnce(&CallView<'_>) -> T) -> T {
    let (schema, redaction) = (Schema::default(), Redaction::default());
    let guesser = Guesser::new(&schema);
    let viewer = Viewer {
        store: &outcome.store,
        bodies: outcome,
        schema: &schema,
        guesser: &guesser,
        redaction: &redaction,
        files: &[],
        names: None,
    };
    look(&viewer.call(outcome.store.calls()[0]))
}

/// The messages of a direction, decompressed.
fn contents(call: &CallView<'_>, direction: Direction) -> Vec<Vec<u8>> {
    let mut scratch = Scratch::default();
    call.messages(direction).map(|message| message.body(&mut scratch).content().expect("readable").to_vec()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    crate::grpc::compress(crate::grpc::Encoding::Gzip, bytes).expect("an encoding that is written")
}

#[test]
fn a_unary_call_is_one_message_each_way() {
    let request = request("/a.B/C", "application/proto", "Connect-Timeout-Ms: 250\r\nTenant: t1\r\n", b"hello");
    let response = response(200, "application/proto", "X-Lead: l\r\nTrailer-X-Why: because\r\n", b"world");
    let outcome = exchange(request, response);
    assert_eq!(outcome.calls, [r#"1 /a.B/C ↑5"hello" ↓5"world" response"#]);
    viewed(&outcome, |call| {
        assert_eq!(call.protocol(), Protocol::Connect);
        assert_eq!(call.outcome(), Some(Went::Ok));
        assert_eq!(call.deadline_ns(), Known::Seen(250_000_000));
        let names = |list: Option<crate::view::HeadersView<'_>>| {
            let list = list.expect("headers").metadata();
            list.filter_map(|field| Some(String::from_utf8_lossy(field.name().value()?).into_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(call.request_headers()), ["tenant"]);
        assert_eq!(names(call.response_headers()), ["x-lead"]);
        assert_eq!(names(call.trailers()), ["x-why"]);
    });
}

#[test]
fn the_message_of_a_unary_call_precedes_the_end_of_its_stream() {
    use crate::store::CallEventKind::{Ended, HalfClose, Headers, Message};
    let outcome = exchange(
        request("/a.B/C", "application/proto", "", b"hello"),
        response(200, "application/proto", "", b"world"),
    );
    let at = outcome.store.calls()[0];
    let events = outcome.lane().call_events(at.id);
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let expected = |kinds: &[crate::store::CallEventKind]| {
        matches!(kinds, [Headers(_), Message(0), HalfClose, Headers(_), Message(0), HalfClose, Ended(End::Response)])
    };
    assert!(expected(&kinds), "{kinds:?}");
    assert!(events.is_sorted_by_key(|event| event.on.order), "{events:?}");
}

#[test]
fn a_body_of_which_all_is_missing_is_not_an_empty_message() {
    let whole = request("/a.B/C", "application/proto", "", b"hello");
    let (head, body) = whole.split_at(whole.len() - 5);
    let answer = response(200, "application/proto", "", b"world");
    let steps = [
        Step::Bytes(ToServer, head.to_vec()),
        Step::Lost(ToServer, body.to_vec()),
        Step::Bytes(ToServer, request("/a.B/D", "application/proto", "", b"other")),
        Step::Bytes(ToClient, answer),
    ];
    let outcome = fed(false, &steps);
    let call = outcome.store.call(outcome.store.calls()[0]);
    let message = call.request.expect("a message");
    assert!(message.flags.has(crate::store::MessageFlags::CUT));
}

#[test]
fn compressed_bodies_of_unary_calls_are_read() {
    let request = request(
        "/a.B/C",
        "application/json",
        "Connect-Protocol-Version: 1\r\nContent-Encoding: gzip\r\n",
        &gzip(b"{}"),
    );
    let response = response(200, "application/json", "Content-Encoding: gzip\r\n", &gzip(br#"{"a":1}"#));
    let outcome = exchange(request, response);
    viewed(&outcome, |call| {
        assert_eq!(contents(call, ToServer), [b"{}"]);
        assert_eq!(contents(call, ToClient), [br#"{"a":1}"#]);
    });
}

#[test]
fn an_error_has_the_status_the_message_and_the_details_of_its_json() {
    let error = br#"{"code":"failed_precondition","message":"nope \u00fc","details":[{"type":"a.Why","value":"CAE"}]}"#;
    for (headers, body) in [("", error.to_vec()), ("Content-Encoding: gzip\r\n", gzip(error))] {
        let request = request("/a.B/C", "application/proto", "", b"");
        let headers = format!("{headers}Trailer-X-Why: because\r\n");
        let outcome = exchange(request, response(400, "application/json", &headers, &body));
        assert_eq!(outcome.calls, [r#"1 /a.B/C ↑0"" response"#]);
        viewed(&outcome, |call| {
            let status = call.status().expect("a status");
            assert_eq!((status.code.0, &*status.message), (9, "nope ü"));
            assert_eq!(status.details, [b"\x0a\x19type.googleapis.com/a.Why\x12\x02\x08\x01".as_slice().to_vec()]);
            assert_eq!(call.trailers().expect("trailers").value(b"x-why"), Known::Seen(&b"because"[..]));
            assert_eq!(call.http_status(), Some(400));
        });
    }
}

#[test]
fn the_error_of_a_proxy_has_the_status_that_its_http_status_stands_for() {
    for (content_type, body) in [("text/html", "<html>"), ("application/json", r#"{"error":"busy"}"#)] {
        let answer = response(503, content_type, "", body.as_bytes());
        let outcome = exchange(request("/a.B/C", "application/proto", "", b"x"), answer);
        viewed(&outcome, |call| {
            assert_eq!(call.status(), None);
            assert_eq!(call.mapped_status().map(|status| status.code.0), Some(14), "{content_type}");
            assert_eq!(contents(call, ToClient).len(), 0);
        });
    }
}

#[test]
fn a_get_request_has_its_message_in_the_query() {
    let compressed = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, gzip(b"hello"));
    let path = format!("/a.B/C?connect=v1&encoding=proto&base64=1&compression=gzip&message={compressed}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let outcome = exchange(request, response(200, "application/proto", "", b"world"));
    assert!(outcome.calls[0].starts_with("1 /a.B/C ↑"), "{:?}", outcome.calls);
    viewed(&outcome, |call| {
        assert_eq!(call.path(), Known::Seen("/a.B/C"));
        assert_eq!(contents(call, ToServer), [b"hello"]);
        assert_eq!(contents(call, ToClient), [b"world"]);
        assert_eq!(call.outcome(), Some(Went::Ok));
        assert!(call.half_close_at().is_some());
        // Its fields may be hidden: the path must not show them.
        let path = call.request_headers().expect("headers").value(b":path");
        assert_eq!(path, Known::Seen(&b"/a.B/C"[..]));
    });
}

fn end_of_stream(json: &str) -> Vec<u8> {
    [&[2, 0, 0, 0, json.len() as u8], json.as_bytes()].concat()
}

#[test]
fn streams_end_with_an_error_and_trailers() {
    let up = [message("one"), message("two")].concat();
    let down = [message("first"), message("second")].concat();
    let end = end_of_stream(r#"{"error":{"code":"canceled","message":"m"},"metadata":{"X-Why":["because"]}}"#);
    let answer = response(200, "application/connect+proto", "", &[down.clone(), end].concat());
    let outcome = exchange(request("/a.B/C", "application/connect+proto", "", &up), answer);
    assert_eq!(outcome.calls, [r#"1 /a.B/C ↑3"one" ↑3"two" ↓5"first" ↓6"second" trailers"#]);
    viewed(&outcome, |call| {
        assert_eq!(call.status().map(|status| status.code.0), Some(1));
        assert_eq!(call.trailers().expect("trailers").value(b"x-why"), Known::Seen(&b"because"[..]));
    });
    let fine = response(200, "application/connect+proto", "", &[down.clone(), end_of_stream("{}")].concat());
    let outcome = exchange(request("/a.B/C", "application/connect+proto", "", &up), fine);
    assert_eq!(viewed(&outcome, |call| call.outcome()), Some(Went::Ok));
    // Without its last frame a stream has not ended as it should.
    let cut = response(200, "application/connect+proto", "", &down);
    let outcome = exchange(request("/a.B/C", "application/connect+proto", "", &up), cut);
    assert_eq!(viewed(&outcome, |call| (call.end(), call.outcome())), (Some(End::Data), Some(Went::Incomplete)));
}

#[test]
fn compressed_messages_of_streams_are_read() {
    let compressed = gzip(b"first");
    let end = gzip(br#"{"metadata":{"a":["b"]}}"#);
    let body = [&[1, 0, 0, 0, compressed.len() as u8][..], &compressed, &[3, 0, 0, 0, end.len() as u8], &end].concat();
    let answer = response(200, "application/connect+proto", "Connect-Content-Encoding: gzip\r\n", &body);
    let outcome = exchange(request("/a.B/C", "application/connect+proto", "", &message("x")), answer);
    viewed(&outcome, |call| {
        assert_eq!(contents(call, ToClient), [b"first"]);
        assert_eq!(call.outcome(), Some(Went::Ok));
        assert_eq!(call.trailers().expect("trailers").value(b"a"), Known::Seen(&b"b"[..]));
    });
}

#[test]
fn json_that_is_not_connect_is_not_a_call() {
    let outcome =
        exchange(request("/a.B/C", "application/json", "", b"{}"), response(200, "application/json", "", b"{}"));
    assert!(outcome.calls.is_empty());
    let query = b"GET /a.B/C?message=x&encoding=json HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    assert!(exchange(query, response(200, "application/json", "", b"{}")).calls.is_empty());
}
