//! The rules of the filter language, each as a table: what binds tighter, any and all, absent against empty against unknown,
//! what is an error and where.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use Truth::{False, True, Unknown};
use proptest::prelude::*;
use rpcshark_captures::{Direction, Endpoint, Packet, PacketNo, Place, SourceNo, Timestamp};
use rpcshark_dissectors::filter::{
    Filter, FilterScratch, MAX_LENGTH, MAX_NESTING, State, Target, Truth, complete, fields,
};
use rpcshark_dissectors::http2::hpack::Decoder;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{Body, Call, ClientBy, Connection, End, Keep, Message, MessageFlags, Protocol, Store};
use rpcshark_dissectors::view::{Bodies, Guesser, Redaction, Viewer};

const PROTO: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto"; import "google/protobuf/duration.proto";
enum State { NONE = 0; OPEN = 1; CLOSED = 2; }
message Item { string sku = 1; int32 size = 2; }
message Ask {
  string id = 1; repeated int32 numbers = 2; optional string nick = 3; Item item = 4; repeated Item items = 5;
  map<string, string> labels = 6; State state = 7; bytes raw = 8; google.protobuf.Duration ttl = 9; bool yes = 10; double ratio = 11;
  int32 count = 12; string password = 13 [debug_redact = true]; Item sealed = 14 [debug_redact = true];
}
message Reply { Ask echo = 1; string only_here = 2; }
message Other { int64 id = 1; }
service S { rpc C(Ask) returns (Reply); rpc D(Other) returns (Other); }
"#;

/// `numbers`: 1 and 5; `items`: skus a and b; `labels`: k=v and an empty one; state OPEN; raw 0a 0b; ttl 1.5 s; yes; ratio 0.5.
const ASK: &[u8] = &[
    0x0a, 2, b'i', b'd', // id
    0x12, 2, 1, 5, // numbers
    0x22, 3, 0x0a, 1, b'x', // item
    0x2a, 3, 0x0a, 1, b'a', 0x2a, 5, 0x0a, 1, b'b', 0x10, 7, // items
    0x32, 6, 0x0a, 1, b'k', 0x12, 1, b'v', 0x32, 3, 0x0a, 1, b'e', // labels
    0x38, 1, // state
    0x42, 2, 0x0a, 0x0b, // raw
    0x4a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01, // ttl: 1 s and 500,000,000 ns
    0x50, 1, // yes
    0x59, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, // ratio
];

struct Fixed<'b>(&'b [u8]);

impl Bodies for Fixed<'_> {
    fn get<'a>(&'a self, at: Place, len: usize, _: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        self.0.get(at.offset() as usize..)?.get(..len)
    }
}

/// What a call is made of.
#[derive(Clone, Copy)]
struct Made<'b> {
    /// A header block in literals.
    request: Option<&'b [u8]>,
    response: Option<&'b [u8]>,
    trailers: Option<&'b [u8]>,
    body: Option<&'b [u8]>,
    cut: bool,
    end: Option<End>,
    reveal: bool,
}

/// `:path /t.S/C`, tenant t1, empty "", authorization xyz.
const REQUEST: &[u8] = b"\x04\x06/t.S/C\0\x06tenant\x02t1\0\x05empty\0\0\x0dauthorization\x03xyz";
const RESPONSE: &[u8] = b"\0\x07:status\x03200\0\x06server\x02s1";
/// `grpc-status 14`, `grpc-message ""`.
const UNAVAILABLE: &[u8] = b"\0\x0bgrpc-status\x0214\0\x0cgrpc-message\0";
/// The indexed field 70, which was inserted before the capture began.
const UNKNOWN_FIELD: &[u8] = b"\x04\x06/t.S/C\xc6";

const CALL: Made<'_> = Made {
    request: Some(REQUEST),
    response: Some(RESPONSE),
    trailers: Some(UNAVAILABLE),
    body: Some(ASK),
    cut: false,
    end: Some(End::Trailers),
    reveal: false,
};
const OPEN: Made<'_> = Made { trailers: None, end: None, ..CALL };

fn schema() -> Schema {
    let (schema, said) = Schema::from_source(PROTO);
    assert!(said.is_empty(), "{said:?}");
    schema
}

fn ask(made: Made<'_>, filter: &str) -> Truth {
    let schema = schema();
    let filter = Filter::compile(filter, &schema, Target::Calls).unwrap_or_else(|error| panic!("{error}"));
    evaluate(made, &schema, &filter)
}

fn evaluate(made: Made<'_>, schema: &Schema, filter: &Filter) -> Truth {
    let mut store = Store::new(1, Keep { bodies: true, ..Keep::default() });
    let [lane] = store.lanes_mut() else { panic!("one lane") };
    let end = |port| Endpoint::Tcp(([10, 0, 0, 7], port).into());
    let connection = Connection::new(end(4000), end(50051), ClientBy::Syn, Timestamp::EPOCH);
    let connection = lane.add_connection(Packet::default(), connection);
    let mut call = Call::new(Protocol::Grpc, connection, 1, Timestamp::from_nanos(1_000_000_000), PacketNo::new(0, 1));
    call.flow_known = true;
    let mut enter = |block: &[u8]| lane.headers.enter(&Decoder::new(true).decode(block).fields);
    call.request_headers = made.request.map(&mut enter);
    call.response_headers = made.response.map(&mut enter);
    call.trailers = made.trailers.map(&mut enter);
    if let Some(body) = made.body {
        for direction in Direction::BOTH {
            // Of the response, the message is empty.
            let length = if direction == Direction::ToServer { body.len() as u32 } else { 0 };
            let whole = Body::Whole(Place::new(SourceNo(0), 0));
            let mut message = Message::new(direction, length, whole, Timestamp::from_nanos(1), PacketNo::new(0, 2));
            if made.cut {
                message.flags = message.flags.with(MessageFlags::CUT);
            }
            call.add_message(message);
        }
    }
    if let Some(end) = made.end {
        call.end(end, Timestamp::from_nanos(3_000_000_000));
    }
    lane.add_call(call);
    store.commit();
    let bodies = Fixed(made.body.unwrap_or_default());
    let redaction = if made.reveal { Redaction::reveal_everything() } else { Redaction::default() };
    let guesser = Guesser::new(schema);
    let viewer = Viewer {
        store: &store,
        bodies: &bodies,
        schema,
        guesser: &guesser,
        redaction: &redaction,
        files: &[],
        names: None,
    };
    let view = viewer.call_by_no(1).unwrap();
    filter.call(&view, None, &mut FilterScratch::default())
}

fn table(made: Made<'_>, rules: &[(&str, Truth)]) {
    for (filter, expected) in rules {
        assert_eq!(ask(made, filter), *expected, "{filter}");
    }
}

#[test]
fn precedence_is_not_and_or() {
    let (t, f) = ("rpc.no == 1", "rpc.no == 2");
    for (pattern, expected) in [
        ("T or T and F", True),
        ("(T or T) and F", False),
        ("F and F or T", True),
        ("F and (F or T)", False),
        ("not F and F", False),
        ("not (F and F)", True),
        ("! T || T", True),
        ("!(T || T)", False),
        ("!!T", True),
        ("not not not T", False),
        ("F or F and T or T", True),
        ("T && T && T && F", False),
        ("not T or T and not F", True),
    ] {
        let filter = pattern.replace('T', t).replace('F', f);
        assert_eq!(ask(CALL, &filter), expected, "{pattern}");
    }
    // A relation binds tighter than `not`, a mask tighter than a relation; relations chain.
    table(
        CALL,
        &[
            ("!rpc.no == 1", False),
            ("rpc.no & 1", True),
            ("rpc.no & 2", False),
            ("rpc.no & 3 == 1", True),
            ("0 < rpc.no < 2", True),
            ("0 < rpc.no < 1", False),
            ("1s < rpc.duration <= 2s", True),
        ],
    );
}

#[test]
fn any_and_all_of_several_values() {
    table(
        CALL,
        &[
            ("rpc.request.numbers == 5", True),
            ("rpc.request.numbers == 3", False),
            ("any rpc.request.numbers == 5", True),
            ("all rpc.request.numbers == 5", False),
            ("all rpc.request.numbers > 0", True),
            ("rpc.request.numbers === 5", False),
            ("rpc.request.numbers != 5", False),
            ("rpc.request.numbers != 3", True),
            ("all rpc.request.numbers != 5", False),
            ("any rpc.request.numbers != 5", True),
            ("rpc.request.numbers !== 5", True),
            ("rpc.request.numbers in {2..4}", False),
            ("rpc.request.numbers in {2..4, 5}", True),
            ("all rpc.request.numbers in {1, 5}", True),
            ("rpc.request.numbers not in {5}", False),
            ("rpc.request.numbers not in {4}", True),
            ("count(rpc.request.numbers) == 2", True),
            // Each comparison may be met by another value.
            ("rpc.request.numbers == 1 && rpc.request.numbers == 5", True),
            ("tcp.port == 4000 and tcp.port == 50051", True),
        ],
    );
}

#[test]
fn values_of_every_type() {
    table(
        CALL,
        &[
            ("rpc.request.id == id", True),
            ("rpc.request.id == \"id\"", True),
            ("rpc.request.id == ID", False),
            ("lower(rpc.request.id) == id && upper(rpc.request.id) == 'ID'", True),
            ("rpc.request.id contains d", True),
            ("rpc.request.id matches \"^I\"", True),
            ("rpc.request.id ~ \"(?-i)^I\"", False),
            ("rpc.request.id[0] == \"i\"", True),
            ("rpc.request.id[0:2] == 69:64", True),
            ("rpc.request.id[-1:] == 64", True),
            ("rpc.request.id[0:3] == 69:64:00", False),
            ("!rpc.request.id[0:3]", True),
            ("len(rpc.request.id) == 2", True),
            ("rpc.request.raw == 0a:0b", True),
            ("rpc.request.raw == \"\\n\\v\"", True),
            ("rpc.request.raw[1] == 0x0b", True),
            ("rpc.request.state == OPEN", True),
            ("rpc.request.state == open", True),
            ("OPEN == rpc.request.state", True),
            ("rpc.request.state == 1", True),
            ("rpc.request.state > NONE", True),
            ("rpc.request.state in {CLOSED, NONE}", False),
            ("rpc.request.ttl == 1500ms", True),
            ("rpc.request.ttl > 1.4", True),
            ("rpc.request.yes == true", True),
            ("rpc.request.yes == 0", False),
            ("rpc.request.ratio == 0.5", True),
            ("rpc.request.ratio < 1", True),
            ("rpc.request.items.sku == b", True),
            ("rpc.request.items.size == 0", True),
            ("rpc.request.labels[\"k\"] == v", True),
            ("rpc.request.labels[\"e\"] == \"\"", True),
            ("rpc.request.labels[\"none\"]", False),
            ("rpc.request.labels.key == e", True),
            ("pbf.t.Item.sku == x", True),
            ("pbf.t.Ask.count == 0", True),
            ("pbm.t.Item && !pbm.t.Other", True),
            ("string(rpc.no) matches \"^[0-9]$\"", True),
            ("ip.addr == 10.0.0.0/8", True),
            ("ip.addr != 10.0.0.0/8", False),
            ("ip.src in {11.0.0.1, 10.0.0.0/24}", True),
            ("rpc.start == 1970-01-01T00:00:01Z", True),
            ("rpc.start >= \"1970-01-01 00:00:01\"", True),
            ("rpc.bytes < 4 KiB", True),
            ("rpc.duration == 2s", True),
            ("rpc.duration == 2", True),
            ("rpc.status == 14 && rpc.status == UNAVAILABLE && rpc.status == unavailable", True),
            ("rpc.request.count == 1 && rpc.response.count == 1 && rpc.messages == 2", True),
            ("UNAVAIL", True),
            ("\"t.s/c\"", True),
            ("nothing like it", False),
            ("", True),
        ],
    );
}

#[test]
fn absent_empty_and_unknown_are_three_things() {
    // Absent: the comparison is false, its negation true.
    for made in [OPEN, Made { end: Some(End::Trailers), ..OPEN }] {
        for field in ["rpc.status", "rpc.status_message", "rpc.metadata.none", "rpc.trailer.x", "rpc.request.nick"] {
            let filters = [("F == 1", False), ("F != 1", False), ("!(F == 1)", True), ("F", False), ("!F", True)];
            for (pattern, expected) in filters {
                let filter = pattern.replace('F', field);
                assert_eq!(ask(made, &filter), expected, "{filter}");
            }
        }
    }
    table(OPEN, &[("rpc.end", False), ("rpc.duration > 1s", False), ("!(rpc.duration > 1s)", True)]);
    table(OPEN, &[("rpc.outcome == open", True), ("count(rpc.note) == 0", False), ("!rpc.note", True)]);
    // Empty is a value.
    table(
        CALL,
        &[
            ("rpc.metadata.empty == \"\"", True),
            ("rpc.metadata.empty", True),
            ("rpc.metadata.empty != \"\"", False),
            ("rpc.status_message == \"\"", True),
            ("len(rpc.metadata.empty) == 0", True),
            // What has no presence has its default.
            ("pbf.t.Item.size == 0", True),
            ("rpc.response.only_here == \"\"", True),
            ("rpc.response.echo.id == \"\"", False),
            ("rpc.response.echo", False),
        ],
    );
    // Unknown: so are the comparison and its negation.
    let lost = Made { end: Some(End::Gap), trailers: None, ..CALL };
    table(
        lost,
        &[
            ("rpc.status == OK", Unknown),
            ("rpc.status != OK", Unknown),
            ("!(rpc.status == OK)", Unknown),
            ("rpc.status", Unknown),
            ("rpc.status == OK && rpc.no == 2", False),
            ("rpc.status == OK && rpc.no == 1", Unknown),
            ("rpc.status == OK || rpc.no == 1", True),
            ("rpc.status == OK || rpc.no == 2", Unknown),
            ("rpc.trailer.x == 1", Unknown),
            ("rpc.outcome == incomplete", True),
        ],
    );
    table(Made { end: Some(End::Connection), trailers: None, ..CALL }, &[("rpc.duration > 1s", Unknown)]);
    table(
        Made { request: None, body: None, ..CALL },
        &[("rpc.path == \"/a/b\"", Unknown), ("rpc.metadata.tenant == t1", Unknown)],
    );
    // A field of unknown name may be any; one that is known decides.
    let hole = Made { request: Some(UNKNOWN_FIELD), ..CALL };
    table(hole, &[("rpc.metadata.tenant == t1", Unknown), ("rpc.path == \"/t.S/C\"", True), ("rpc.deadline", Unknown)]);
    // Of a message that is cut short, what is there counts.
    let cut = Made { cut: true, ..CALL };
    table(
        cut,
        &[
            ("rpc.request.numbers == 5", True),
            ("rpc.request.numbers == 6", Unknown),
            ("rpc.request.numbers != 5", False),
            ("rpc.request.nick", Unknown),
        ],
    );
    // The type of a message whose method is in no schema is not known.
    let strange = Made { request: Some(b"\x04\x06/t.S/X"), ..CALL };
    table(strange, &[("rpc.request.id == id", Unknown), ("pbf.t.Item.sku == x", Unknown), ("rpc.no == 1", True)]);
}

#[test]
fn a_secret_is_there_and_compares_as_unknown() {
    let filters = [
        ("rpc.metadata.authorization", True, True),
        ("rpc.metadata.authorization == \"xyz\"", Unknown, True),
        ("rpc.metadata.authorization != \"xyz\"", Unknown, False),
        ("rpc.metadata.authorization[0] == \"x\"", Unknown, True),
        ("len(rpc.metadata.authorization) == 3", Unknown, True),
        ("http2.headers.authorization matches \"^x\"", Unknown, True),
        ("http2.header.value == \"xyz\"", Unknown, True),
        ("http2.header.value == \"t1\"", True, True),
        ("xyz", False, False),
    ];
    for (filter, hidden, revealed) in filters {
        assert_eq!(ask(CALL, filter), hidden, "{filter}");
        assert_eq!(ask(Made { reveal: true, ..CALL }, filter), revealed, "{filter} with secrets");
    }
}

#[test]
fn a_field_that_is_marked_debug_redact_compares_as_unknown() {
    let body: &[u8] = &[
        0x0a, 2, b'i', b'd', // id
        0x6a, 3, b'p', b'w', b'1', // password
        0x72, 3, 0x0a, 1, b'z', // sealed: sku
    ];
    let marked = Made { body: Some(body), ..CALL };
    let filters = [
        ("rpc.request.id == id", True, True),
        ("rpc.request.password", True, True),
        ("rpc.request.password == pw1", Unknown, True),
        ("rpc.request.password != pw1", Unknown, False),
        ("!(rpc.request.password == \"***\")", Unknown, True),
        ("rpc.request.sealed.sku == z", Unknown, True),
        ("pbf.t.Ask.password matches \"^p\"", Unknown, True),
    ];
    for (filter, hidden, revealed) in filters {
        assert_eq!(ask(marked, filter), hidden, "{filter}");
        assert_eq!(ask(Made { reveal: true, ..marked }, filter), revealed, "{filter} with secrets");
    }
}

#[test]
fn a_path_that_fits_some_methods_is_false_for_the_others() {
    // Only Ask and only Other have these.
    table(CALL, &[("rpc.request.nick == a", False), ("!(rpc.request.nick == a)", True)]);
    let other = Made { request: Some(b"\x04\x06/t.S/D"), body: Some(&[0x08, 5]), ..CALL };
    table(
        other,
        &[
            ("rpc.request.items.sku == a", False),
            ("!(rpc.request.items.sku == a)", True),
            // The same name is text in one type and a number in the other.
            ("rpc.request.id == 5", True),
            ("rpc.request.id > 4", True),
            ("rpc.request.id == id", False),
            ("rpc.request.id contains i", False),
        ],
    );
    table(CALL, &[("rpc.request.id == id", True), ("rpc.request.id == 5", False)]);
}

/// A wrong filter, its error message, and where it is wrong.
const WRONG: &[(&str, &str, &str)] = &[
    ("rpc.sttus == 14", "no field rpc.sttus; did you mean rpc.status?", "rpc.sttus"),
    ("rcp.status == 14", "no field rcp.status; did you mean rpc.status?", "rcp.status"),
    (
        "grpc.health.v1.Health",
        "no field grpc.health.v1.Health; text to look for stands in quotes",
        "grpc.health.v1.Health",
    ),
    ("rpc.status == UNAVAILABEL", "no value UNAVAILABEL; did you mean UNAVAILABLE?", "UNAVAILABEL"),
    ("rpc.outcome == good", "no value good; there are ok, error, reset, incomplete, open", "good"),
    ("rpc.no == abc", "abc is not a whole number", "abc"),
    ("rpc.no == -1", "-1 is negative; no value of this field is", "-1"),
    ("rpc.no == \"1\"", "\"1\" is not a whole number; did you mean 1?", "\"1\""),
    ("rpc.duration > 5 apples", "expected && or || before apples", "apples"),
    ("rpc.duration > 5x", "5x is not a duration (100ms, 1.5s)", "5x"),
    ("rpc.start > yesterday", "yesterday is not a time (2026-01-31T12:00:00Z)", "yesterday"),
    ("ip.addr == 10.0.0.1/33", "10.0.0.1/33 is not an address (10.0.0.1, 10.0.0.0/8, ::1)", "10.0.0.1/33"),
    ("ip.addr > 10.0.0.0/8", "a network can be compared with == and != only", ">"),
    (
        "rpc.no contains 5",
        "rpc.no is a whole number; contains is for text and bytes (string(rpc.no) is text)",
        "contains",
    ),
    ("rpc.outcome > ok", "rpc.outcome is one of its words; its values have no order", ">"),
    ("tcp == 1", "tcp has no value; it is there or not", "=="),
    ("tcp in {1}", "tcp has no value; it is there or not", "in {1}"),
    ("rpc.no == rpc.path", "rpc.no is a whole number, rpc.path is text", "rpc.no == rpc.path"),
    ("rpc.path ~ \"(\"", "not a regular expression: unclosed group", "\"(\""),
    ("rpc.path contains", "the filter ends too soon", ""),
    ("rpc.no == 1 &&", "the filter ends too soon", ""),
    ("(rpc.no == 1", "expected ) before the end", ""),
    ("rpc.no == 1)", "unexpected )", ")"),
    ("rpc.no in {1, 2", "expected , or } before the end", ""),
    ("rpc.no in {}", "expected a field or a value, found }", "}"),
    ("rpc.no in {9..5}", "the range ends before it begins", "9..5"),
    ("rpc.no in 5", "expected {, found 5", "5"),
    ("rpc.no = 5", "= is not an operator; did you mean ==?", "="),
    ("rpc.no == 1 | rpc.no == 2", "| is not an operator; did you mean ||?", "|"),
    ("rpc.no == 1 AND tcp", "unexpected AND; did you mean and?", "AND"),
    ("5 == 6", "5 is a value; one side of a comparison is a field", "5"),
    ("\"a\" contains rpc.path", "the field stands on the left of contains", "contains"),
    ("lenn(rpc.path) > 1", "no function lenn; there are len, count, lower, upper, string; did you mean len?", "lenn"),
    ("len(rpc.no) > 1", "len is for text and bytes; rpc.no is a whole number", "len(rpc.no)"),
    ("len() > 1", "len takes one field", "len()"),
    ("rpc.no[0] == 1", "only text and bytes have slices; rpc.no is a whole number", "[0]"),
    ("rpc.path[a] == 1", "expected a slice: [offset:length], [first-last], [offset], [:length] or [offset:]", "a"),
    ("rpc.path & 1", "a mask is for whole numbers; rpc.path is text", "1"),
    ("rpc.path[\"k\"] == 1", "rpc.path has no keys: only map fields of messages have", "rpc.path[\"k\"]"),
    ("rpc.path == \"a", "the quoted text does not end", "\"a"),
    ("rpc.path == \"\\q\"", "\\q is not an escape sequence", "\\q"),
    ("any rpc.no", "any and all must precede a comparison: all tcp.port > 1024", ""),
    ("rpc.request.", "the name after rpc.request. is missing", "rpc.request."),
    ("rpc.request.idd == 1", "no field rpc.request.idd: no request has a field of this name; did you mean id?", "idd"),
    ("rpc.request.item.skuu == 1", "no field skuu in t.Item; did you mean sku?", "skuu"),
    ("rpc.request.id.x == 1", "x is not a field: what precedes it is not a message", "x"),
    ("rpc.request.items[\"k\"] == 1", "what precedes [ is not a map", "\"k\""),
    ("rpc.request.item == 1", "rpc.request.item has no value; it is there or not", "=="),
    ("pbf.t.Itm.sku == x", "no message type in pbf.t.Itm.sku; did you mean pbf.t.Item?", "pbf.t.Itm.sku"),
    ("pbm.t.Itm", "no message type t.Itm; did you mean pbm.t.Item?", "pbm.t.Itm"),
    (
        "rpc.no == http2.length",
        "http2.length is of frames and rpc.no of calls: only a filter of frames can compare them",
        "rpc.no == http2.length",
    ),
];

#[test]
fn every_wrong_filter_is_one_error_with_its_place() {
    let schema = schema();
    for (filter, message, place) in WRONG {
        let error = Filter::compile(filter, &schema, Target::Calls).map(|_| ()).expect_err(filter);
        assert_eq!((error.text().as_str(), &filter[error.span.clone()]), (*message, *place), "{filter}");
    }
    for filter in ["rpc.request.x == 1", "pbf.t.Item.sku == 1", "pbm.t.Item"] {
        let error = Filter::compile(filter, &Schema::builtin(), Target::Calls).map(|_| ()).expect_err(filter);
        assert!(error.text().contains("needs a schema"), "{error}");
    }
}

#[test]
fn somebody_who_types_is_not_wrong_before_the_end() {
    let schema = schema();
    let full = "rpc.status == UNAVAILABLE && (rpc.request.items.sku in {\"a\"} or pbf.t.Item.sku == r\"x\")";
    for end in 0..full.len() {
        let typed = &full[..end];
        assert!(!matches!(Filter::state(typed, &schema, Target::Calls), State::Wrong(_)), "{typed}");
    }
    assert!(matches!(Filter::state(full, &schema, Target::Calls), State::Valid(_)));
    assert!(matches!(Filter::state("rpc.sttus", &schema, Target::Calls), State::Wrong(_)));
    assert!(matches!(Filter::state("rpc.sta", &schema, Target::Calls), State::Incomplete(_)));
}

#[test]
fn nothing_overflows_the_stack_or_takes_all_memory() {
    let schema = schema();
    let wrong = |filter: &str| Filter::compile(filter, &schema, Target::Calls).map(|_| ()).unwrap_err().text();
    let nested =
        |open: &str, close: &str, levels: usize| format!("{}rpc.no{}", open.repeat(levels), close.repeat(levels));
    assert_eq!(ask(CALL, &nested("(", ")", MAX_NESTING)), True);
    for (open, close) in [("(", ")"), ("!", ""), ("not ", ""), ("!(", ")"), ("len(", ")")] {
        assert!(wrong(&nested(open, close, 10_000)).contains("levels deep"), "{open}");
    }
    assert!(wrong(&"(".repeat(MAX_LENGTH)).contains("levels deep"));
    assert!(wrong(&" ".repeat(MAX_LENGTH + 1)).contains("bytes"));
    // Long chains are not deep.
    let chain = vec!["rpc.no==1"; 5000].join("||");
    assert_eq!(ask(CALL, &chain), True);
    assert_eq!(ask(CALL, &chain.replace("||", "&&")), True);
    let set: Vec<String> = (0..9000).map(|number| number.to_string()).collect();
    assert_eq!(ask(CALL, &format!("rpc.no in {{{}}}", set.join(","))), True);
    assert!(wrong(&format!("rpc.request.echo{}", ".echo".repeat(5000))).contains("no field"));
    assert!(wrong("rpc.path ~ \"((((a{100}){100}){100}){100})\"").contains("regular expression"));
    assert!(wrong(&vec!["rpc.path~a"; 100].join("||")).contains("64 regular expressions"));
    assert!(wrong(&format!("rpc.path ~ \"{}\"", "(".repeat(5000))).contains("regular expression"));
    let _ = wrong(&format!("rpc.no == {}", "9".repeat(5000)));
}

#[test]
fn every_field_can_be_asked_for() {
    let schema = schema();
    for spec in fields() {
        let name = match spec.name {
            "rpc.request.<path>" | "rpc.response.<path>" => continue,
            "pbf.<message>.<field>" => Cow::Borrowed("pbf.t.Item.sku"),
            "pbm.<message>" => Cow::Borrowed("pbm.t.Item"),
            name => Cow::Owned(name.replace("<name>", "x-name")),
        };
        for target in [Target::Calls, Target::Frames] {
            let filter = Filter::compile(&name, &schema, target).unwrap_or_else(|error| panic!("{error}"));
            if target == Target::Calls {
                let truth = evaluate(CALL, &schema, &filter);
                assert_ne!(truth, Unknown, "{name}");
            }
        }
    }
}

/// Pieces that filters are made of.
const PIECES: &[&str] = &[
    "rpc.no",
    "rpc.path",
    "rpc.request.items.sku",
    "rpc.request.labels",
    "pbf.t.Item.sku",
    "http2.type",
    "ip.addr",
    "==",
    "!=",
    "<",
    "contains",
    "~",
    "in",
    "not in",
    "&&",
    "||",
    "!",
    "not",
    "and",
    "any",
    "all",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "[\"k\"]",
    "[0:2]",
    "..",
    ",",
    "&",
    "1",
    "0x1f",
    "\"a\"",
    "'b'",
    "r\"c\"",
    "100ms",
    "10.0.0.0/8",
    "0a:0b",
    "OPEN",
    "len(",
    "count(",
    "text",
    "ü",
    "\\",
    "\"",
];

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}", cursor in 0_usize..60) {
        let schema = schema();
        let _ = complete(&text, cursor, &schema);
        if let Ok(filter) = Filter::compile(&text, &schema, Target::Calls) {
            evaluate(CALL, &schema, &filter);
        }
    }

    #[test]
    fn no_order_of_pieces_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12), spaced: bool) {
        let schema = schema();
        let text = pieces.join(if spaced { " " } else { "" });
        let _ = complete(&text, text.len(), &schema);
        match Filter::compile(&text, &schema, Target::Calls) {
            Ok(filter) => { evaluate(CALL, &schema, &filter); }
            Err(error) => prop_assert!(text.get(error.span.clone()).is_some(), "{text}: {error}"),
        }
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let schema = schema();
        let filter = "rpc.request.items.sku == a || rpc.request.labels[\"k\"] == v || pbf.t.Item.size > 5 || rpc.request.numbers == 5";
        let filter = Filter::compile(filter, &schema, Target::Calls).unwrap();
        evaluate(Made { body: Some(&body), ..CALL }, &schema, &filter);
    }
}
