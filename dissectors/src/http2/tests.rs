//! Whole connections: what comes out must not depend on how the bytes come in, and what is missing must never become a
//! wrong message.

use proptest::prelude::*;
use rpcshark_captures::Direction::{ToClient, ToServer};
use rpcshark_captures::connection::Close;

use super::PREFACE;
use crate::Context;
use crate::rpc::HeaderValue;
use crate::store::{ConnectionProtocol, End};
use crate::testing::{Fed, Step, block, fed, frame, message};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn request(path: &str) -> Vec<u8> {
    block(&[(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")])
}

fn response() -> Vec<u8> {
    block(&[(":status", "200"), ("content-type", "application/grpc")])
}

fn trailers(code: &str) -> Vec<u8> {
    block(&[("grpc-status", code)])
}

fn up(bytes: Vec<u8>) -> Step {
    Step::Bytes(ToServer, bytes)
}

fn down(bytes: Vec<u8>) -> Step {
    Step::Bytes(ToClient, bytes)
}

/// Two calls: a unary one, and one that streams both ways, with padding, CONTINUATION and an unknown frame between.
fn session() -> Vec<Step> {
    let mut padded = vec![3]; // pad length
    padded.extend(message("three"));
    padded.extend([0; 3]); // padding
    let two = [message("one"), message("two")].concat();
    let long = request("/a.B/Bidi");
    vec![
        up([PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])].concat()),
        down([frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()),
        up(frame(HEADERS, END_HEADERS, 1, &request("/a.B/Unary"))),
        up(frame(DATA, END_STREAM, 1, &message("question"))),
        up([frame(HEADERS, 0, 3, &long[..9]), frame(CONTINUATION, END_HEADERS, 3, &long[9..])].concat()),
        up(frame(DATA, 0, 3, &two[..6])),
        up([frame(0x2a, 0, 0, b"unknown"), frame(DATA, 0, 3, &two[6..])].concat()),
        down(frame(HEADERS, END_HEADERS, 1, &response())),
        down(frame(DATA, 0, 1, &message("answer"))),
        down(frame(HEADERS, END_HEADERS, 3, &response())),
        down([frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]), frame(DATA, PADDED, 3, &padded)].concat()),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))),
        up(frame(DATA, END_STREAM, 3, &[])),
        down([frame(PING, 0, 0, &[7; 8]), frame(DATA, 0, 3, &message(""))].concat()),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 3, &trailers("5"))),
    ]
}

const CALLS: [&str; 2] =
    [r#"1 /a.B/Unary ↑8"question" ↓6"answer" trailers"#, r#"3 /a.B/Bidi ↑3"one" ↑3"two" ↓5"three" ↓0"" trailers"#];

#[test]
fn a_session_gives_its_frames_and_calls() {
    let outcome = fed(false, &session());
    assert_eq!(outcome.calls, CALLS);
    assert_eq!(outcome.frames.len(), 20);
    assert_eq!(outcome.frames[0], "↑0 type 4 flags 0x0 length 6");
    assert_eq!(outcome.frames[8], "↑0 type 42 flags 0x0 length 7");
    assert_eq!(outcome.lane().connection(outcome.connection).protocol, ConnectionProtocol::Http2);
    assert!(outcome.store.calls().iter().all(|&at| outcome.store.call(at).notes().is_empty()));
}

#[test]
fn each_step_cut_in_two_at_every_point_gives_the_same() {
    let whole = fed(false, &session());
    for at in 0..session().len() {
        let Step::Bytes(direction, bytes) = session()[at].clone() else { continue };
        for cut in 1..bytes.len() {
            let mut steps = session();
            let halves = [Step::Bytes(direction, bytes[..cut].to_vec()), Step::Bytes(direction, bytes[cut..].to_vec())];
            steps.splice(at..=at, halves);
            let outcome = fed(false, &steps);
            assert_eq!(outcome.calls, whole.calls, "step {at} cut at {cut}");
            assert_eq!(outcome.frames, whole.frames, "step {at} cut at {cut}");
        }
    }
}

/// Every message that is shown of a damaged session is one of the whole session's, or marked (`*`).
fn no_wrong_message(calls: &[String]) -> Result<(), String> {
    for call in calls {
        let (stream, rest) = call.split_once(' ').ok_or("no stream")?;
        let whole = CALLS.iter().find(|whole| whole.starts_with(&format!("{stream} "))).ok_or("no such stream")?;
        let path = rest.split(' ').next().ok_or("no path")?;
        if path != "?" && !whole.contains(path) {
            return Err(format!("wrong path: {call}"));
        }
        for part in rest.split(' ').filter(|part| part.starts_with(['↑', '↓'])) {
            if !part.ends_with('*') && !whole.contains(part) {
                return Err(format!("wrong message {part} in {call}"));
            }
        }
    }
    Ok(())
}

#[test]
fn with_any_step_lost_no_message_is_wrong_and_the_other_call_is_whole() {
    for at in 0..session().len() {
        let mut steps = session();
        let Step::Bytes(direction, bytes) = steps[at].clone() else { continue };
        steps[at] = Step::Lost(direction, bytes);
        let outcome = fed(false, &steps);
        no_wrong_message(&outcome.calls).unwrap_or_else(|wrong| panic!("step {at} lost: {wrong}"));
        // Behind the last lost bytes of a direction three more frames prove where frames begin.
        if at == 3 {
            assert!(outcome.calls.iter().any(|call| call.starts_with("3 /a.B/Bidi")), "{:?}", outcome.calls);
        }
    }
}

#[test]
fn a_gap_inside_a_data_payload_costs_that_message_only() {
    let data = frame(DATA, 0, 3, &[message("lost in part"), message("whole")].concat());
    let mut steps = session();
    let (head, tail) = data.split_at(9 + 5 + 4);
    let (gap, rest) = tail.split_at(3);
    steps.splice(12..12, [up(head.to_vec()), Step::Lost(ToServer, gap.to_vec()), up(rest.to_vec())]);
    let outcome = fed(false, &steps);
    assert_eq!(outcome.calls[0], CALLS[0]);
    assert_eq!(outcome.calls[1], r#"3 /a.B/Bidi ↑3"one" ↑3"two" ↑12"lost part"* ↑5"whole" ↓5"three" ↓0"" trailers"#);
}

#[test]
fn joined_in_the_middle_the_client_is_found_by_what_it_says() {
    // What the transport takes for the client is the server here.
    let turned: Vec<Step> = session()[2..]
        .iter()
        .map(|step| match step {
            Step::Bytes(direction, bytes) => Step::Bytes(direction.reverse(), bytes.clone()),
            Step::Lost(direction, bytes) => Step::Lost(direction.reverse(), bytes.clone()),
            Step::Acking(direction, bytes, acked) => Step::Acking(direction.reverse(), bytes.clone(), *acked),
        })
        .collect();
    let outcome = fed(true, &turned);
    assert_eq!(outcome.calls, CALLS);
    let connection = outcome.lane().connection(outcome.connection);
    assert!(connection.roles_swapped);
    assert_eq!(connection.client.to_string(), "127.0.0.1:50051");
}

#[test]
fn the_first_end_decides_and_later_ones_are_kept() {
    let cancel = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    let steps = [
        up([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        up(frame(HEADERS, END_HEADERS, 1, &request("/a.B/C"))),
        up(cancel),
        down(frame(SETTINGS, 0, 0, &[])),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))),
    ];
    let outcome = fed(false, &steps);
    let call = outcome.store.call(outcome.store.calls()[0]);
    assert_eq!(call.end, Some(End::Reset));
    assert!(call.trailers.is_none());
    let late = call.rare.as_ref().and_then(|rare| rare.late_trailers).expect("late trailers");
    assert_eq!(outcome.lane().headers[late].facts.grpc_status, HeaderValue::Known(0));
}

/// A call that its client resets, having acknowledged all of the answer but `unseen` bytes; the answer comes before the
/// reset or after it.
fn crossed(unseen: u64, answer_first: bool) -> String {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let answer = frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("4"));
    let acked = (settings.len() + answer.len()) as u64 - unseen;
    let reset = Step::Acking(ToServer, frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), acked);
    let mut steps = vec![
        up([PREFACE, &settings].concat()),
        up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a.B/C"))),
        down(settings),
    ];
    steps.extend(if answer_first { [down(answer), reset] } else { [reset, down(answer)] });
    fed(false, &steps).calls.concat()
}

#[test]
fn which_end_came_first_for_its_client_is_decided_by_what_it_had_acknowledged() {
    for answer_first in [true, false] {
        assert_eq!(crossed(0, answer_first), "1 /a.B/C trailers", "answer first: {answer_first}");
        assert_eq!(crossed(1, answer_first), "1 /a.B/C reset", "answer first: {answer_first}");
    }
}

#[test]
fn an_answer_that_is_delivered_before_its_request_is_its_answer() {
    let mut steps = session();
    // The server's direction first, then the client's.
    steps[1..].sort_by_key(|step| matches!(step, Step::Bytes(ToServer, _)));
    let outcome = fed(false, &steps);
    let mut calls = outcome.calls.clone();
    calls.sort();
    assert_eq!(calls, CALLS);
    for &at in outcome.store.calls() {
        let call = outcome.store.call(at);
        assert!(call.notes().is_empty(), "{:?}", call.notes());
        assert_eq!(call.guessed, crate::store::Guesses::default());
    }
}

#[test]
fn a_page_that_says_what_went_wrong_is_no_message() {
    let page = block(&[(":status", "503"), ("content-type", "text/html")]);
    let steps = [
        up([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        up(frame(HEADERS, END_HEADERS, 1, &request("/a.B/C"))),
        up(frame(DATA, END_STREAM, 1, &message("hello"))),
        down([frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, &page)].concat()),
        down(frame(DATA, END_STREAM, 1, b"<html>overloaded</html>")),
    ];
    let outcome = fed(false, &steps);
    assert_eq!(outcome.calls, [r#"1 /a.B/C ↑5"hello" data"#]);
    assert!(outcome.store.call(outcome.store.calls()[0]).notes().is_empty());
}

#[test]
fn goaway_refuses_only_what_lies_above_its_last_stream() {
    let steps = [
        up([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a.B/C"))),
        up(frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("/a.B/C"))),
        down(frame(SETTINGS, 0, 0, &[])),
        down(frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])), // last stream 1, NO_ERROR
    ];
    let mut connection = Fed::new(false);
    steps.iter().for_each(|step| connection.step(step));
    connection.close(ToClient, Close::Fin);
    let outcome = connection.finish();
    assert_eq!(outcome.calls, ["1 /a.B/C connection", "3 /a.B/C goaway"]);
}

#[test]
fn a_client_that_closes_may_still_be_answered() {
    let mut connection = Fed::new(false);
    connection.step(&up([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()));
    connection.step(&up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a.B/C"))));
    connection.close(ToServer, Close::Fin);
    connection.step(&down(frame(SETTINGS, 0, 0, &[])));
    connection.step(&down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))));
    assert_eq!(connection.finish().calls, ["1 /a.B/C trailers"]);
}

#[test]
fn a_connection_that_closed_before_its_frames_were_found_ends_its_calls() {
    let mut connection = Fed::new(true);
    connection.step(&down([frame(DATA, 0, 3, &message("one")), frame(DATA, 0, 3, &message("two"))].concat()));
    connection.close(ToServer, Close::Fin);
    connection.close(ToClient, Close::Fin);
    assert_eq!(connection.finish().calls, [r#"3 ? ↓3"one"* ↓3"two"* connection"#]);
}

#[test]
fn a_push_promise_is_decoded_for_its_table_and_is_no_call() {
    // The promise inserts a field that the response refers to.
    let mut promise = 2_u32.to_be_bytes().to_vec();
    promise.extend([0x40, 1, b'x', 1, b'y']); // literal with indexing: x: y
    let mut headers = response();
    headers.push(0xbe); // indexed, entry 62
    let steps = [
        up([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a.B/C"))),
        down(frame(SETTINGS, 0, 0, &[])),
        down(frame(PUSH_PROMISE, END_HEADERS, 1, &promise)),
        down(frame(HEADERS, END_HEADERS, 1, &headers)),
    ];
    let outcome = fed(false, &steps);
    assert_eq!(outcome.calls, ["1 /a.B/C open"]);
    let call = outcome.store.call(outcome.store.calls()[0]);
    let list = call.response_headers.expect("seen");
    let last = outcome.lane().headers.fields(list).last().cloned().expect("fields");
    assert_eq!((last.name.as_str(), last.value.as_str()), (Some("x"), Some("y")));
}

#[test]
fn an_upgraded_request_is_stream_1() {
    let request = b"POST /a.B/C HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABk\r\nContent-Type: application/grpc\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let steps = [
        up(request.to_vec()),
        down([&switch[..], &frame(SETTINGS, 0, 0, &[])].concat()),
        up([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        down(frame(HEADERS, END_HEADERS, 1, &response())),
        down(frame(DATA, 0, 1, &message("hello"))),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))),
    ];
    let outcome = fed(false, &steps);
    assert_eq!(outcome.calls, [r#"1 /a.B/C ↓5"hello" trailers"#]);
    assert_eq!(outcome.lane().connection(outcome.connection).protocol, ConnectionProtocol::Http2);
}

#[test]
fn an_unknown_content_type_is_found_out_by_the_data() {
    // Entry 70 was inserted before the capture began.
    let mut headers = block(&[(":method", "POST"), (":path", "/a.B/C")]);
    headers.push(0x80 | 70);
    let json = block(&[(":method", "POST"), (":path", "/page"), ("content-type", "text/html")]);
    let steps = [
        up([frame(PING, 0, 0, &[1; 8]), frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]), frame(PING, ACK, 0, &[1; 8])]
            .concat()),
        up(frame(HEADERS, END_HEADERS, 9, &headers)),
        up(frame(DATA, 0, 9, &message("in two pieces")[..7])),
        up(frame(DATA, END_STREAM, 9, &message("in two pieces")[7..])),
        up(frame(HEADERS, END_HEADERS, 11, &json)),
        up(frame(DATA, END_STREAM, 11, &message("no RPC"))),
    ];
    let outcome = fed(true, &steps);
    assert_eq!(outcome.calls, [r#"9 /a.B/C ↑13"in two pieces" open"#]);
    let call = outcome.store.call(outcome.store.calls()[0]);
    assert!(call.guessed.has(crate::store::Guesses::PROTOCOL));
}

proptest! {
    #[test]
    fn with_anything_lost_no_message_is_wrong(cuts in prop::collection::vec((0_usize..15, 0.0_f64..1.0, 0.0_f64..1.0), 1..4)) {
        let mut steps = session();
        for (at, from, len) in cuts {
            let Step::Bytes(direction, bytes) = steps[at % steps.len()].clone() else { continue };
            let from = (from * bytes.len() as f64) as usize;
            let to = from + (len * (bytes.len() - from) as f64) as usize;
            let parts = [
                Step::Bytes(direction, bytes[..from].to_vec()),
                Step::Lost(direction, bytes[from..to].to_vec()),
                Step::Bytes(direction, bytes[to..].to_vec()),
            ];
            let at = at % steps.len();
            steps.splice(at..=at, parts.into_iter().filter(|step| {
                let (Step::Bytes(_, bytes) | Step::Lost(_, bytes) | Step::Acking(_, bytes, _)) = step;
                !bytes.is_empty()
            }));
        }
        let outcome = fed(false, &steps);
        prop_assert!(no_wrong_message(&outcome.calls).is_ok(), "{:?} {:?}", no_wrong_message(&outcome.calls), outcome.calls);
    }

    #[test]
    fn any_bytes_are_survived(chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..60), any::<bool>()), 0..20), joined: bool) {
        let mut steps = vec![up(PREFACE.to_vec())];
        for (way, bytes, lost) in chunks {
            let direction = if way { ToServer } else { ToClient };
            steps.push(if lost { Step::Lost(direction, bytes) } else { Step::Bytes(direction, bytes) });
        }
        fed(joined, &steps);
    }

    #[test]
    fn any_frames_are_survived(frames in prop::collection::vec((any::<bool>(), 0_u8..12, any::<u8>(), 0_u32..6, prop::collection::vec(any::<u8>(), 0..30)), 0..40)) {
        let mut steps = vec![up(PREFACE.to_vec()), down(frame(SETTINGS, 0, 0, &[]))];
        for (way, kind, flags, stream, payload) in frames {
            let bytes = frame(kind, flags, stream, &payload);
            steps.push(if way { up(bytes) } else { down(bytes) });
        }
        fed(false, &steps);
    }
}

/// Preface and SETTINGS of both sides.
fn opening() -> Vec<Step> {
    session()[..2].to_vec()
}

fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

#[test]
fn a_stream_that_begins_above_an_earlier_goaway_ends_by_it() {
    let mut steps = opening();
    steps.extend([
        up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a.B/First"))),
        down(goaway(1)),
        up(frame(HEADERS, END_HEADERS, 3, &request("/a.B/Second"))),
        up(frame(DATA, END_STREAM, 3, &message("in vain"))),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 3, &trailers("0"))),
    ]);
    let outcome = fed(false, &steps);
    let [first, second] = outcome.store.calls() else { panic!("{:?}", outcome.calls) };
    assert_eq!(outcome.store.call(*first).end, Some(End::Trailers));
    let second = outcome.store.call(*second);
    assert_eq!((second.end, second.duration_ns()), (Some(End::Goaway), None));
    assert!(second.trailers.is_none());
    assert!(second.rare.as_ref().is_some_and(|rare| rare.late_trailers.is_some()), "what is answered is late");
}

#[test]
fn goaways_over_many_open_streams_take_time_for_what_they_refuse_only() {
    const STREAMS: u32 = 30_000;
    let list = request("/a.B/C");
    let mut requests = Vec::new();
    for nth in 0..STREAMS {
        requests.extend(frame(HEADERS, END_HEADERS, 2 * nth + 1, &list));
    }
    // The client's refuse nothing, each of the server's refuses one stream more.
    let from_client: Vec<u8> = (0..STREAMS).flat_map(|nth| goaway(nth % 2)).collect();
    let from_server: Vec<u8> = (0..STREAMS).rev().flat_map(|nth| goaway(2 * nth)).collect();
    let mut steps = opening();
    steps.extend([up(requests), up(from_client), down(from_server)]);
    let begin = std::time::Instant::now();
    let outcome = fed(false, &steps);
    // Quadratic time is minutes; a loaded machine takes a second.
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
    assert!(outcome.store.calls().iter().all(|&at| outcome.store.call(at).end == Some(End::Goaway)));
}

#[test]
fn request_trailers_interim_responses_and_further_response_headers_are_kept() {
    let mut steps = opening();
    let interim = |status| down(frame(HEADERS, END_HEADERS, 1, &block(&[(":status", status)])));
    steps.extend([
        up(frame(HEADERS, END_HEADERS, 1, &request("/a.B/C"))),
        up(frame(DATA, 0, 1, &message("m"))),
        up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-checksum", "7")]))),
        interim("103"),
        interim("103"),
        down(frame(HEADERS, END_HEADERS, 1, &response())),
        down(frame(HEADERS, END_HEADERS, 1, &response())),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))),
    ]);
    let outcome = fed(false, &steps);
    let call = outcome.store.call(outcome.store.calls()[0]);
    let rare = call.rare.as_ref().expect("what most calls do not have");
    let trailers = rare.request_trailers.expect("request trailers");
    let names: Vec<_> = outcome.lane().headers.fields(trailers).filter_map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["x-checksum"]);
    assert_eq!((rare.interim.len(), rare.headers_again.len()), (2, 1));
    assert_eq!(call.end, Some(End::Trailers));
    assert!(call.half_close_at.is_some());
}

/// A call of gRPC-Web whose answer's body is `body`.
fn web(content_type: &str, body: &[u8]) -> Vec<Step> {
    let mut steps = opening();
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("content-type", content_type)];
    let (head, tail) = body.split_at(body.len() / 2);
    steps.extend([
        up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))),
        down(frame(HEADERS, END_HEADERS, 1, &block(&[(":status", "200"), ("content-type", content_type)]))),
        down(frame(DATA, 0, 1, head)),
        down(frame(DATA, END_STREAM, 1, tail)),
    ]);
    steps
}

const WEB_TRAILERS: &[u8] = b"\x80\0\0\0\x23Grpc-Status: 5\r\ngrpc-message:none\r\n";

#[test]
fn the_trailers_frame_of_grpc_web_is_no_message() {
    let body = [&message("hit")[..], WEB_TRAILERS].concat();
    let outcome = fed(false, &web("application/grpc-web+proto", &body));
    assert_eq!(outcome.calls, [r#"1 /a.B/C ↓3"hit" trailers"#]);
    let call = outcome.store.call(outcome.store.calls()[0]);
    let facts = &outcome.lane().headers[call.trailers.expect("trailers")].facts;
    assert_eq!(facts.grpc_status, HeaderValue::Known(5));
    assert_eq!(call.protocol.name(), "grpc-web");
    assert!(call.notes().is_empty());
}

#[test]
fn compressed_trailers_of_grpc_web_are_read() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(WEB_TRAILERS.get(5..).expect("the lines")).expect("room");
    let compressed = encoder.finish().expect("room");
    let frame = [&[0x81, 0, 0, 0, compressed.len() as u8][..], &compressed].concat();
    let body = [&message("hit")[..], &frame].concat();
    let status = |encoding: &'static str| {
        let mut steps = web("application/grpc-web+proto", &body);
        let fields = [(":status", "200"), ("content-type", "application/grpc-web+proto"), ("grpc-encoding", encoding)];
        let headers = steps.len() - 3;
        steps[headers] = down(self::frame(HEADERS, END_HEADERS, 1, &block(&fields)));
        let outcome = fed(false, &steps);
        let call = outcome.store.call(outcome.store.calls()[0]);
        let facts = &outcome.lane().headers[call.trailers.expect("trailers")].facts;
        (facts.grpc_status.clone(), call.notes().iter().map(|note| note.text.clone()).collect::<Vec<_>>())
    };
    assert_eq!(status("gzip"), (HeaderValue::Known(5), vec![]));
    let (unread, notes) = status("lzma");
    assert_eq!(unread, HeaderValue::Absent);
    assert!(notes.iter().any(|text| text.contains("an encoding that is not known: lzma")), "{notes:?}");
}

#[test]
fn grpc_web_text_is_read_through_its_base64() {
    // The message "hit", then the trailers, each encoded by itself.
    let body = b"AAAAAANoaXQ=gAAAACNHcnBjLVN0YXR1czogNQ0KZ3JwYy1tZXNzYWdlOm5vbmUNCg==";
    let outcome = fed(false, &web("application/grpc-web-text", body));
    let call = outcome.store.call(outcome.store.calls()[0]);
    let lane = outcome.lane();
    let facts = &lane.headers[call.trailers.expect("trailers")].facts;
    assert_eq!(facts.grpc_status, HeaderValue::Known(5));
    let message = call.messages(ToClient).next().expect("a message");
    assert_eq!((message.length, call.messages(ToClient).count()), (3, 1));
    let encoded: usize = lane.pieces(message.body(), message.length).iter().map(|piece| piece.len as usize).sum();
    assert_eq!((message.flags.base64_skip(), encoded), (Some(2), 8), "the groups that hold it");
}

#[test]
fn an_unfinished_header_block_is_released_with_a_note_and_the_rest_is_read() {
    let mut this = Fed::new(false);
    opening().iter().for_each(|step| this.step(step));
    this.step(&up(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a.B/Before"))));
    assert_eq!(this.session().0.held().bytes, 0);
    this.step(&up(frame(HEADERS, 0, 3, &[0; 4096])));
    this.step(&up(frame(CONTINUATION, 0, 3, &[0; 100_000])));
    let held = this.session().0.held();
    assert!(held.bytes >= 104_096 && held.since == 4, "{held:?}");
    let (session, lane) = this.session();
    let released = session.release(&mut Context::new(lane)).expect("something to release");
    assert!(released.1 >= 104_096);
    assert_eq!(session.held().bytes, 0);
    assert!(session.release(&mut Context::new(lane)).is_none());
    this.step(&up(frame(CONTINUATION, END_HEADERS, 3, &[0; 10])));
    this.step(&down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))));
    let outcome = this.finish();
    assert_eq!(outcome.calls, ["1 /a.B/Before trailers"]);
    let notes = &outcome.lane().connection(outcome.connection).notes;
    assert!(notes.iter().any(|note| note.kind == "memory-limit" && note.text.contains("stream 3")), "{notes:?}");
}

/// Two calls over a connection that is upgraded: `first` are the steps up to the server's preface.
fn upgraded(first: Vec<Step>) -> Vec<String> {
    let mut steps = first;
    steps.extend([
        down(frame(SETTINGS, 0, 0, &[])),
        up([PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers("0"))),
        up(frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("/a.B/Second"))),
        down(frame(HEADERS, END_HEADERS | END_STREAM, 3, &trailers("5"))),
    ]);
    fed(false, &steps).calls
}

const UPGRADE: &str = "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\
    Content-Type: application/grpc\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

const UPGRADED: [&str; 2] = [r#"1 /a.B/First ↑2"hi" trailers"#, "3 /a.B/Second trailers"];

#[test]
fn an_upgrade_may_stand_in_a_list_of_protocols() {
    let head = format!("POST /a.B/First HTTP/1.1\r\nUpgrade: websocket, h2c\r\n{UPGRADE}Content-Length: 7\r\n\r\n");
    assert_eq!(upgraded(vec![up([text(&head), message("hi")].concat()), down(text(SWITCHING))]), UPGRADED);
}

#[test]
fn an_upgrade_may_follow_a_100_continue() {
    let head = format!(
        "POST /a.B/First HTTP/1.1\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n{UPGRADE}Content-Length: 7\r\n\r\n"
    );
    let steps =
        vec![up(text(&head)), down(text("HTTP/1.1 100 Continue\r\n\r\n")), up(message("hi")), down(text(SWITCHING))];
    assert_eq!(upgraded(steps), UPGRADED);
}

#[test]
fn an_upgraded_request_may_have_a_chunked_body_cut_anywhere() {
    let head = format!("POST /a.B/First HTTP/1.1\r\nUpgrade: h2c\r\n{UPGRADE}Transfer-Encoding: chunked\r\n\r\n");
    let body = [b"3;x=y\r\n\0\0\0\r\n4\r\n\0\x02hi\r\n".as_slice(), b"0\r\nX-Trailer: 1\r\n\r\n"].concat();
    let bytes = [text(&head), body].concat();
    for cut in 1..bytes.len() {
        let steps = vec![up(bytes[..cut].to_vec()), up(bytes[cut..].to_vec()), down(text(SWITCHING))];
        assert_eq!(upgraded(steps), UPGRADED, "cut at {cut}");
    }
}

#[test]
fn a_later_request_of_a_connection_may_be_upgraded() {
    let head = format!("POST /a.B/First HTTP/1.1\r\nUpgrade: h2c\r\n{UPGRADE}Content-Length: 7\r\n\r\n");
    let steps = vec![
        up(text("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")),
        down(text("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")),
        down(text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nHTTP\r\n0\r\n\r\n")),
        up([text(&head), message("hi")].concat()),
        down(text(SWITCHING)),
    ];
    assert_eq!(upgraded(steps), UPGRADED);
}
