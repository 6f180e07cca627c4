//! What the values say of whole connections: every way in which a call ends, what is known, unknown, hidden and guessed.

use rpcshark_captures::Direction::{ToClient, ToServer};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Endpoint, Input, Packet, PacketNo, Place, Timestamp};

use super::{
    CallView, Guesser, HeadersView, Kind, Known, MappedFrom, NoBodies, Outcome, Redaction, Scratch, Totals, Viewer,
};
use crate::grpc::Status;
use crate::http2::{ErrorCode, PREFACE};
use crate::schema::Schema;
use crate::store::{ClientBy, Connection, ConnectionProtocol, End, Framing, Keep, Protocol, Store};
use crate::testing::{self, Fed, Step, block, fed, frame, message};
use crate::{Context, Joining, Session};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn up(bytes: Vec<u8>) -> Step {
    Step::Bytes(ToServer, bytes)
}

fn down(bytes: Vec<u8>) -> Step {
    Step::Bytes(ToClient, bytes)
}

/// Both sides' connection prefaces.
fn opening() -> [Step; 2] {
    [up([PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()), down(frame(SETTINGS, 0, 0, &[]))]
}

/// A request's header block with more fields after it.
fn request(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")];
    block(&[&own, more].concat())
}

fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, block)
}

/// HEADERS of the response, one message, trailers with `status`.
fn answer(stream: u32, status: &str) -> Vec<u8> {
    [
        headers(stream, 0, &block(&[(":status", "200"), ("content-type", "application/grpc")])),
        frame(DATA, 0, stream, &message("answer")),
        headers(stream, END_STREAM, &block(&[("grpc-status", status)])),
    ]
    .concat()
}

/// A request of one message.
fn ask(stream: u32, path: &str) -> Vec<u8> {
    [headers(stream, 0, &request(path, &[])), frame(DATA, END_STREAM, stream, &message("question"))].concat()
}

fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

/// A ttrpc frame.
fn ttrpc(stream: u32, kind: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
    bytes.extend(stream.to_be_bytes());
    bytes.extend([kind, flags]);
    bytes.extend(data);
    bytes
}

/// A length-delimited protobuf field.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

fn ttrpc_request(payload: &[u8]) -> Vec<u8> {
    [field(1, b"a.B"), field(2, b"Get"), field(3, payload)].concat()
}

/// Looks at what came of a connection, with a schema and what is hidden.
fn look(outcome: &testing::Outcome, schema: &Schema, redaction: &Redaction, at: impl FnOnce(Viewer<'_>)) {
    let guesser = Guesser::new(schema);
    let files = ["one.pcap".to_owned()];
    at(Viewer {
        store: &outcome.store,
        bodies: outcome,
        schema,
        guesser: &guesser,
        redaction,
        files: &files,
        names: None,
    });
}

/// The same with built-in types only.
fn seen(outcome: &testing::Outcome, at: impl FnOnce(Viewer<'_>)) {
    look(outcome, &Schema::builtin(), &Redaction::default(), at);
}

fn call(viewer: Viewer<'_>, stream: u32) -> CallView<'_> {
    let mut calls = viewer.store.calls().iter().map(|&at| viewer.call(at));
    calls.find(|call| call.stream() == stream).unwrap_or_else(|| panic!("no call on stream {stream}"))
}

fn texts(headers: Option<HeadersView<'_>>) -> Vec<String> {
    let text = |known: Known<&[u8]>| match known {
        Known::Seen(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Known::Hidden { len } => format!("hidden {len}"),
        other => format!("{other:?}"),
    };
    let fields = headers.into_iter().flat_map(HeadersView::metadata);
    fields.map(|field| format!("{}: {}", text(field.name()), text(field.value()))).collect()
}

#[test]
fn calls_end_in_every_way_and_their_outcomes_and_statuses_follow() {
    let unavailable = block(&[(":status", "503"), ("content-type", "text/html")]);
    let goaway = [11_u32.to_be_bytes(), ErrorCode::NO_ERROR.0.to_be_bytes()].concat();
    let no_status = block(&[("tenant", "t")]);
    let response = block(&[(":status", "200"), ("content-type", "application/grpc")]);
    let mut steps = opening().to_vec();
    for stream in [1, 3, 5, 7, 9, 11] {
        steps.push(up(ask(stream, "/a.B/Get")));
    }
    steps.extend([
        down(answer(1, "0")),
        down(answer(3, "5")),
        down(reset(5, ErrorCode::REFUSED_STREAM)),
        down(headers(7, END_STREAM, &unavailable)),
        down([headers(9, 0, &response), headers(9, END_STREAM, &no_status)].concat()),
        down([headers(11, 0, &response), frame(DATA, 0, 11, &message("answer"))].concat()),
    ]);
    let mut open = Fed::new(false);
    steps.iter().for_each(|step| open.step(step));
    seen(&open.finish(), |viewer| {
        let open = call(viewer, 11);
        assert_eq!((open.end(), open.outcome(), open.duration_ns()), (None, Some(Outcome::Open), None));
        assert_eq!(open.kind(), None, "more messages may come");
    });
    steps.extend([down(frame(GOAWAY, 0, 0, &goaway)), up(ask(13, "/a.B/Get"))]);
    let mut closed = Fed::new(false);
    steps.iter().for_each(|step| closed.step(step));
    closed.close(ToClient, Close::Fin);
    closed.close(ToServer, Close::Fin);
    seen(&closed.finish(), |viewer| {
        let facts = |stream| {
            let call = call(viewer, stream);
            let mapped = call.mapped_status().map(|mapped| (mapped.code, mapped.from));
            (call.end(), call.outcome(), call.status().map(|status| status.code), mapped)
        };
        assert_eq!(facts(1), (Some(End::Trailers), Some(Outcome::Ok), Some(Status::OK), None));
        assert_eq!(facts(3), (Some(End::Trailers), Some(Outcome::Error), Some(Status::NOT_FOUND), None));
        let refused = Some((Status::UNAVAILABLE, MappedFrom::Reset(ErrorCode::REFUSED_STREAM)));
        assert_eq!(facts(5), (Some(End::Reset), Some(Outcome::Reset), None, refused));
        let by_http = Some((Status::UNAVAILABLE, MappedFrom::Http(503)));
        assert_eq!(facts(7), (Some(End::Trailers), Some(Outcome::Error), None, by_http));
        assert_eq!(facts(9), (Some(End::Trailers), Some(Outcome::Incomplete), None, None));
        assert_eq!(facts(11), (Some(End::Connection), Some(Outcome::Incomplete), None, None));
        let refused = Some((Status::UNAVAILABLE, MappedFrom::Goaway));
        assert_eq!(facts(13), (Some(End::Goaway), Some(Outcome::Error), None, refused));
        assert!(call(viewer, 7).is_trailers_only() && !call(viewer, 1).is_trailers_only());
        assert_eq!(call(viewer, 7).http_status(), Some(503));
        assert_eq!(viewer.errors(), [4], "3, 5, 7 and 13");
        let first = call(viewer, 1);
        assert_eq!(first.totals(), Totals { requests: 1, responses: 1, bytes: 14 });
        // The request came in the third packet, the answer in the ninth; they are a millisecond apart.
        assert_eq!(first.duration_ns(), Some(6_000_000));
        assert_eq!((first.first_packet().number(), first.last_packet().number()), (3, 9));
        assert_eq!(first.kind(), Some(Kind::Unary));
    });
}

#[test]
fn what_comes_after_the_end_is_late() {
    let mut steps = opening().to_vec();
    steps.push(up(ask(1, "/a.B/Get")));
    steps.push(up(reset(1, ErrorCode::CANCEL)));
    steps.push(down(answer(1, "0")));
    seen(&fed(false, &steps), |viewer| {
        let call = call(viewer, 1);
        assert_eq!((call.end(), call.outcome()), (Some(End::Reset), Some(Outcome::Reset)));
        assert_eq!(call.mapped_status().map(|mapped| mapped.code), Some(Status::CANCELLED));
        assert!(call.status().is_none() && call.trailers().is_none());
        assert_eq!(call.late_status().map(|status| status.code), Some(Status::OK));
        assert!(call.late_trailers().is_some());
        let late: Vec<_> = call.messages(ToClient).map(super::MessageView::is_late).collect();
        assert_eq!((late, call.messages(ToServer).any(super::MessageView::is_late)), (vec![true], false));
        let [reset] = call.resets() else { panic!("{:?}", call.resets()) };
        assert_eq!((reset.code, reset.direction), (ErrorCode::CANCEL.0, ToServer));
    });
}

#[test]
fn header_fields_are_seen_hidden_absent_or_unknown() {
    let mut fields = request("/a.B/Get", &[("authorization", "Bearer abc"), ("tenant", "t1"), ("trace-bin", "AAH/")]);
    // A literal whose name is entry 70, which was inserted before the capture began, and an indexed field of entry 71.
    fields.extend([0x0f, 70 - 15, 4]);
    fields.extend(b"200m");
    fields.push(0x80 | 71);
    let steps = [up([headers(1, 0, &fields), frame(DATA, END_STREAM, 1, &message("question"))].concat())];
    let steps = [&steps[..], &[down(answer(1, "0")), up(ask(3, "/a.B/Get")), down(answer(3, "0"))]].concat();
    let outcome = fed(true, &steps);
    seen(&outcome, |viewer| {
        let call = call(viewer, 1);
        let expected =
            ["authorization: hidden 10", "tenant: t1", "trace-bin: AAH/", "Unknown: 200m", "Unknown: Unknown"];
        assert_eq!(texts(call.request_headers()), expected);
        let headers = call.request_headers().unwrap();
        assert_eq!(headers.value(b"tenant"), Known::Seen(&b"t1"[..]));
        assert_eq!(headers.value(b"authorization"), Known::Hidden { len: 10 });
        assert_eq!(headers.value(b"grpc-encoding"), Known::Unknown, "it may be one of those whose names are unknown");
        assert_eq!(headers.unknown_count(), 2);
        let binary = headers.fields().filter_map(|field| field.binary_values()).flatten();
        assert_eq!(binary.collect::<Vec<_>>(), [Some(vec![0, 1, 0xff])]);
        assert_eq!(call.deadline_ns(), Known::Unknown);
        let kinds: Vec<_> = call.notes().iter().map(|note| note.kind).collect();
        assert!(kinds.contains(&"deadline-unknown") && kinds.contains(&"hpack-unknown"), "{kinds:?}");
        let other = super::tests::call(viewer, 3);
        assert_eq!(other.request_headers().unwrap().value(b"tenant"), Known::Absent);
        assert_eq!((other.deadline_ns(), other.path()), (Known::Absent, Known::Seen("/a.B/Get")));
        assert_eq!(other.service_and_method(), Known::Seen(("a.B", "Get")));
    });
    look(&outcome, &Schema::builtin(), &Redaction::reveal_everything(), |viewer| {
        let headers = call(viewer, 1).request_headers().unwrap();
        assert_eq!(headers.value(b"authorization"), Known::Seen(&b"Bearer abc"[..]));
    });
    let hides_tenant = Redaction::default().with_names(["Tenant"]);
    look(&outcome, &Schema::builtin(), &hides_tenant, |viewer| {
        assert_eq!(call(viewer, 1).request_headers().unwrap().value(b"tenant"), Known::Hidden { len: 2 });
    });
}

const SCHEMA: &str =
    "syntax = \"proto3\"; package a; message Question { string text = 1; } message Answer { int32 number = 1; }
    service B { rpc Get(Question) returns (Answer); rpc Watch(Question) returns (stream Answer); }";

#[test]
fn types_are_seen_by_the_path_and_guessed_without_one() {
    let (schema, _) = Schema::from_source(SCHEMA);
    let exchange = |stream, path: &[u8]| {
        [
            up([headers(stream, 0, path), frame(DATA, END_STREAM, stream, &message("\x0a\x02hi"))].concat()),
            down(
                [
                    headers(stream, 0, &block(&[(":status", "200"), ("content-type", "application/grpc")])),
                    frame(DATA, 0, stream, &message("\x08\x07")),
                    frame(DATA, 0, stream, &message("\x08\x09")),
                    headers(stream, END_STREAM, &block(&[("grpc-status", "0")])),
                ]
                .concat(),
            ),
        ]
    };
    // :path is entry 70 of a table from before the capture.
    let mut unknown = block(&[(":method", "POST"), (":scheme", "http"), ("content-type", "application/grpc")]);
    unknown.push(0x80 | 70);
    let steps = [exchange(1, &request("/a.B/Watch", &[])), exchange(3, &unknown)].concat();
    look(&fed(true, &steps), &schema, &Redaction::default(), |viewer| {
        let (known, guessed) = (call(viewer, 1), call(viewer, 3));
        assert_eq!((known.path(), guessed.path()), (Known::Seen("/a.B/Watch"), Known::Guessed("/a.B/Watch")));
        assert_eq!(guessed.method().map(|method| &*method.name), Some("Watch"), "Get has one answer");
        let types = |call: &CallView<'_>| [ToServer, ToClient].map(|way| call.message_type(way));
        let [question, answer] = ["a.Question", "a.Answer"].map(|name| schema.message(name).unwrap());
        assert_eq!(types(&known), [Known::Seen(question), Known::Seen(answer)]);
        assert_eq!(types(&guessed), [Known::Guessed(question), Known::Guessed(answer)]);
        assert_eq!((known.kind(), guessed.kind()), (Some(Kind::ServerStreaming), Some(Kind::ServerStreaming)));
        let mut scratch = Scratch::default();
        let first = guessed.messages(ToServer).next().unwrap();
        assert_eq!(first.type_name(), Known::Guessed("a.Question"));
        assert_eq!(first.body(&mut scratch).content(), Some(&b"\x0a\x02hi"[..]));
    });
    // Without a schema neither is known.
    seen(&fed(true, &steps), |viewer| {
        assert_eq!(call(viewer, 3).path(), Known::Unknown);
        assert_eq!(call(viewer, 1).message_type(ToServer), Known::Unknown);
        assert_eq!(call(viewer, 1).kind(), Some(Kind::ServerStreaming), "two answers were seen");
    });
}

#[test]
fn messages_that_cannot_be_decompressed_say_why_and_keep_their_bytes() {
    let compressed = |body: &[u8]| [&[1][..], &(body.len() as u32).to_be_bytes(), body].concat();
    let zipped = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"\x0a\x02hi").unwrap();
        encoder.finish().unwrap()
    };
    let mut cut = zipped.clone();
    cut.truncate(zipped.len() - 9);
    struct Case<'a>(u32, &'a [(&'a str, &'a str)], &'a [u8], Option<&'static str>);
    let cases = [
        Case(1, &[("grpc-encoding", "gzip")], &zipped, None),
        Case(3, &[("grpc-encoding", "gzip")], &cut, Some("decompression")),
        Case(5, &[("grpc-encoding", "lzma")], &zipped, Some("encoding-unknown")),
        Case(7, &[], &zipped, Some("encoding-unknown")),
    ];
    let mut steps = opening().to_vec();
    for Case(stream, more, body, _) in &cases {
        let data = frame(DATA, END_STREAM, *stream, &compressed(body));
        steps.push(up([headers(*stream, 0, &request("/a.B/Get", more)), data].concat()));
    }
    seen(&fed(false, &steps), |viewer| {
        let mut scratch = Scratch::default();
        for &Case(stream, _, wire, fault) in &cases {
            let call = call(viewer, stream);
            let message = call.messages(ToServer).next().unwrap();
            assert!(message.is_compressed());
            assert_eq!(message.length() as usize, wire.len());
            let body = message.body(&mut scratch);
            assert_eq!(body.fault().map(|note| note.kind), fault, "{stream}");
            assert_eq!(body.wire(), wire, "{stream}");
            assert_eq!(body.content(), fault.is_none().then_some(&b"\x0a\x02hi"[..]), "{stream}");
            assert_eq!(body.is_inflated(), fault.is_none());
        }
        assert_eq!(call(viewer, 5).encoding(ToServer), Known::Seen(b"lzma"[..].into()));
        assert_eq!(call(viewer, 7).encoding(ToServer), Known::Absent);
        assert_eq!(call(viewer, 7).encoding(ToClient), Known::Unknown, "no response was seen");
    });
}

#[test]
fn bytes_that_nobody_keeps_cannot_be_read_again() {
    let outcome = fed(false, &[&opening()[..], &[up(ask(1, "/a.B/Get"))]].concat());
    seen(&outcome, |viewer| {
        let viewer = Viewer { bodies: &NoBodies, ..viewer };
        let mut scratch = Scratch::default();
        let call = call(viewer, 1);
        let body = call.messages(ToServer).next().unwrap().body(&mut scratch);
        assert_eq!((body.content(), body.fault().map(|note| note.kind)), (None, Some("message-unreadable")));
    });
}

#[test]
fn ttrpc_calls_have_their_status_in_the_response() {
    let not_found = field(1, &[&[0x08, 5][..], &field(2, b"no such")].concat());
    let steps = [
        up(ttrpc(1, 1, 0, &ttrpc_request(b"one"))),
        down(ttrpc(1, 2, 0, &field(2, b"two"))),
        up(ttrpc(3, 1, 0, &ttrpc_request(b"one"))),
        down(ttrpc(3, 2, 0, &not_found)),
        up(ttrpc(5, 1, 0, &ttrpc_request(b"one"))),
    ];
    seen(&fed(false, &steps), |viewer| {
        let facts = |stream| {
            let call = call(viewer, stream);
            assert_eq!((call.protocol(), call.path()), (Protocol::Ttrpc, Known::Seen("/a.B/Get")));
            let status = call.status().map(|status| (status.code, status.message.into_owned()));
            (call.end(), call.outcome(), status, call.kind())
        };
        let unary = Some(Kind::Unary);
        assert_eq!(facts(1), (Some(End::Response), Some(Outcome::Ok), Some((Status::OK, String::new())), unary));
        let status = Some((Status::NOT_FOUND, "no such".to_owned()));
        assert_eq!(facts(3), (Some(End::Response), Some(Outcome::Error), status, unary));
        assert_eq!(facts(5), (None, Some(Outcome::Open), None, unary));
        assert_eq!(call(viewer, 1).trunk(), None);
        let mut scratch = Scratch::default();
        let answer = call(viewer, 1).messages(ToClient).next().unwrap();
        assert_eq!(answer.body(&mut scratch).wire(), b"two");
    });
}

#[test]
fn in_a_trunk_either_side_may_be_the_server() {
    let piece =
        |number: u32, frame: Vec<u8>| [&number.to_be_bytes()[..], &(frame.len() as u32).to_be_bytes(), &frame].concat();
    // NRI: on connection 1 the plugin, which connects, is the server; on 2 the runtime.
    let steps = [
        up(piece(2, ttrpc(1, 1, 0, &ttrpc_request(b"register")))),
        down(piece(2, ttrpc(1, 2, 0, &field(2, b"ok")))),
        down(piece(1, ttrpc(1, 1, 0, &ttrpc_request(b"configure")))),
        up(piece(1, ttrpc(1, 2, 0, &field(2, b"ok")))),
    ];
    seen(&fed(false, &steps), |viewer| {
        let calls: Vec<_> = viewer.store.calls().iter().map(|&at| viewer.call(at)).collect();
        let trunks: Vec<_> = calls.iter().map(CallView::trunk).collect();
        assert_eq!(trunks, [Some(2), Some(1)]);
        let [by_plugin, by_runtime] = &calls[..] else { panic!("two calls") };
        assert_eq!(by_plugin.connection().protocol(), ConnectionProtocol::Nri);
        assert_eq!((by_plugin.client(), by_plugin.server()), (by_runtime.server(), by_runtime.client()));
        assert!(calls.iter().all(|call| call.outcome() == Some(Outcome::Ok)));
    });
}

#[test]
fn a_connection_says_what_it_is_and_how_often_it_was_used() {
    let steps = [&opening()[..], &[up(ask(1, "/a.B/Get")), up(ask(3, "/a.B/Get"))]].concat();
    let outcome = fed(false, &steps);
    seen(&outcome, |viewer| {
        let connection = call(viewer, 3).connection();
        assert_eq!((connection.number(), connection.calls(), connection.protocol()), (0, 2, ConnectionProtocol::Http2));
        assert_eq!((connection.transport(), connection.client_by()), ("tcp", ClientBy::Syn));
        let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        assert_eq!((connection.client(), connection.server()), (&end(40_000), &end(50_051)));
        assert_eq!(connection.server_name(), None);
        let names = [([127, 0, 0, 1].into(), "shop.local".into())].into();
        let named = Viewer { names: Some(&names), ..viewer };
        assert_eq!(call(named, 3).connection().server_name(), Some("shop.local"));
    });
}

#[test]
fn frames_and_calls_of_files_read_together_name_their_packets_by_file_and_number() {
    let mut store = Store::new(1, Keep { frames: true, bodies: true, events: false });
    let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
    let lane = &mut store.lanes_mut()[0];
    let connection = Connection::new(end(1), end(2), ClientBy::Syn, Timestamp::EPOCH);
    let id = lane.add_connection(Packet::default(), connection);
    let mut session = Session::new(id, Joining { joined: false, decode_as: None });
    let steps = [&opening()[..], &[up(ask(1, "/a.B/Get")), down(answer(1, "0"))]].concat();
    let mut offsets = [0; 2];
    for (step, order) in steps.iter().zip(1..) {
        let Step::Bytes(direction, bytes) = step else { panic!("bytes only") };
        let packet = Packet { order, no: PacketNo::new((order % 2) as u16, 10 + order / 2) };
        let time = Timestamp::from_nanos(order as i64);
        lane.set_sort_key(order, 0);
        let data = Data { bytes, packet, time, at: Place::NOWHERE, offset: offsets[direction.index()], acked: None };
        offsets[direction.index()] += bytes.len() as u64;
        session.input(*direction, Input::Data(data), &mut Context::new(lane));
    }
    session.finish(&mut Context::new(lane));
    let committed = store.commit();
    let (schema, redaction) = (Schema::builtin(), Redaction::default());
    let guesser = Guesser::new(&schema);
    let files = ["even.pcap".to_owned(), "odd.pcap".to_owned()];
    let viewer = Viewer {
        store: &store,
        bodies: &NoBodies,
        schema: &schema,
        guesser: &guesser,
        redaction: &redaction,
        files: &files,
        names: None,
    };
    let call = viewer.call_by_no(1).unwrap();
    // The request is in the third packet, the answer in the fourth.
    assert_eq!((call.first_packet(), call.last_packet()), (PacketNo::new(1, 11), PacketNo::new(0, 12)));
    assert_eq!(viewer.file_name(call.first_packet().file()), Some("odd.pcap"));
    assert_eq!(viewer.file_name(call.last_packet().file()), Some("even.pcap"));
    assert_eq!(viewer.file_name(2), None);
    let answer = call.messages(ToClient).next().unwrap();
    assert_eq!(answer.packet(), PacketNo::new(0, 12));
    let frames: Vec<_> = committed.frames.iter().map(|frame| viewer.frame(frame)).collect();
    let lines: Vec<String> = frames
        .iter()
        .map(|frame| {
            let flags = frame.flag_names().join(" ");
            let packet = (frame.packet().file(), frame.packet().number());
            format!(
                "{packet:?} {:?} {} {} [{flags}] {:?}",
                frame.direction(),
                frame.type_name(),
                frame.stream(),
                frame.call_no()
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "(1, 10) ToServer SETTINGS 0 [] None",
            "(0, 11) ToClient SETTINGS 0 [] None",
            "(1, 11) ToServer HEADERS 1 [END_HEADERS] Some(1)",
            "(1, 11) ToServer DATA 1 [END_STREAM] Some(1)",
            "(0, 12) ToClient HEADERS 1 [END_HEADERS] Some(1)",
            "(0, 12) ToClient DATA 1 [] Some(1)",
            "(0, 12) ToClient HEADERS 1 [END_STREAM END_HEADERS] Some(1)",
        ]
    );
    assert!(frames.iter().all(|frame| frame.framing() == Framing::Http2 && frame.notes().is_empty()));
    let path = frames[2].headers().unwrap().value(b":path");
    assert_eq!(path, Known::Seen(&b"/a.B/Get"[..]));
}
