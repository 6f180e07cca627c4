//! Messages and whole calls, compared in every way that the rules know.

use proptest::prelude::*;
use std::sync::LazyLock;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rpcshark_captures::Direction::{ToClient, ToServer};
use rpcshark_captures::connection::Close;

use super::*;
use crate::http2::PREFACE;
use crate::schema::Schema;
use crate::schema::testing::{compile, descriptors};
use crate::testing::{Fed, Outcome, Step, block, frame};
use crate::view::{CallView, Guesser, Permit, Redaction, Viewer};

const SCHEMA: &str = r#"
    syntax = "proto3";
    package t;
    import "google/protobuf/any.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/wrappers.proto";
    enum State { NONE = 0; OPEN = 1; }
    message Item { string sku = 1; int32 count = 2; double price = 3; repeated string tags = 4; Sub sub = 5; }
    message Sub { int32 id = 1; string region = 2; }
    message M {
      int32 number = 1; string text = 2; bytes data = 3; double ratio = 4; float small = 5; State state = 6; bool yes = 7;
      optional int32 maybe = 8; Item item = 9; repeated Item items = 10; repeated int32 numbers = 11;
      map<string, Item> by_name = 12; map<int32, string> names = 13;
      oneof choice { string card = 14; int64 iban = 15; Item other = 16; }
      google.protobuf.Any any = 17; google.protobuf.Timestamp at = 18; google.protobuf.Duration ttl = 19;
      google.protobuf.FieldMask mask = 20; google.protobuf.Struct attrs = 21; google.protobuf.StringValue note = 22;
      repeated double ratios = 23; repeated google.protobuf.Timestamp times = 24;
      string secret = 25 [debug_redact = true]; repeated Secret secrets = 26;
    }
    message Secret { string key = 1 [debug_redact = true]; int32 value = 2; }
    service S { rpc Get(M) returns (M); rpc Watch(M) returns (stream M); }
"#;

/// A message of a type from protobuf's text format.
fn encode(name: &str, text: &str) -> Vec<u8> {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(descriptors(SCHEMA).as_slice()).unwrap());
    let message = DynamicMessage::parse_text_format(POOL.get_message_by_name(name).unwrap(), text);
    message.unwrap_or_else(|error| panic!("{text}: {error}")).encode_to_vec()
}

fn line(difference: &Difference) -> String {
    let text = |shown: &Shown| shown.as_text().unwrap_or("-".into()).into_owned();
    format!(
        "{} {} {} {}",
        difference.path,
        difference.kind.name(),
        text(&difference.recorded),
        text(&difference.replayed)
    )
}

fn compared(rules: &Rules, a: &[u8], b: &[u8]) -> Vec<String> {
    static COMPILED: LazyLock<Schema> = LazyLock::new(|| compile(SCHEMA));
    let schema = &*COMPILED;
    let comparer = Comparer::new(rules, Permit::to_compare());
    let found = comparer.compare_messages(schema, schema.message("t.M").unwrap(), a, b, true);
    found.differences.iter().map(line).collect()
}

fn rules(each: &[(&str, &str)]) -> Rules {
    let mut rules = Rules::default();
    for (what, rule) in each {
        match *what {
            "ignore" => rules.ignore(rule),
            "unordered" => rules.unordered(rule),
            "key" => rules.key(rule),
            "float" => rules.float(rule),
            "within" => rules.time_within(rule),
            _ => {
                rules.set_equivalent(true);
                Ok(())
            }
        }
        .unwrap();
    }
    rules
}

#[test]
fn messages_are_compared_field_by_field() {
    let any = |name: &str, fields: &str| format!("any {{ [x/{name}] {{ {fields} }} }}");
    for (a, b, expected) in [
        ("", "", &[][..]),
        ("number: 1", "number: 1", &[]),
        (
            "number: 1 text: 'a'",
            "number: 2 text: 'b'",
            &["response.number changed 1 2", "response.text changed \"a\" \"b\""],
        ),
        ("number: 1", "", &["response.number changed 1 0"]),
        ("maybe: 0", "", &["response.maybe removed 0 -"]),
        ("", "maybe: 0", &["response.maybe added - 0"]),
        ("item {}", "", &["response.item removed {} -"]),
        ("state: OPEN", "", &["response.state changed \"OPEN\" \"NONE\""]),
        ("item { sub { id: 1 } }", "item { sub { id: 2 } }", &["response.item.sub.id changed 1 2"]),
        ("ratio: nan", "ratio: nan", &[]),
        ("ratio: 0.5", "ratio: 0.25", &["response.ratio changed 0.5 0.25"]),
        ("numbers: [1, 2, 3]", "numbers: [1, 3]", &["response.numbers[1] removed 2 -"]),
        ("numbers: [1, 2, 3]", "numbers: [1, 4, 3]", &["response.numbers[1] changed 2 4"]),
        ("numbers: [2, 1]", "numbers: [1, 2]", &["response.numbers[0] removed 2 -", "response.numbers[1] added - 2"]),
        (
            "items { sku: 'a' } items { sku: 'b' count: 1 }",
            "items { sku: 'a' } items { sku: 'b' count: 2 }",
            &["response.items[1].count changed 1 2"],
        ),
        (
            "names { key: 1 value: 'a' } names { key: 2 value: 'b' }",
            "names { key: 2 value: 'b' } names { key: 1 value: 'c' }",
            &["response.names[1] changed \"a\" \"c\""],
        ),
        (
            "names { key: 1 value: 'a' }",
            "names { key: 2 value: 'a' }",
            &["response.names[1] removed \"a\" -", "response.names[2] added - \"a\""],
        ),
        (
            "by_name { key: 'x' value { count: 1 } }",
            "by_name { key: 'x' value { count: 2 } }",
            &["response.by_name[\"x\"].count changed 1 2"],
        ),
        ("card: '1'", "card: '2'", &["response.card changed \"1\" \"2\""]),
        ("card: '1'", "iban: 7", &["response.choice switched {\"card\":\"1\"} {\"iban\":\"7\"}"]),
        ("card: '1'", "", &["response.card removed \"1\" -"]),
        (&any("t.Sub", "id: 1"), &any("t.Sub", "id: 2"), &["response.any.value.id changed 1 2"]),
        (
            &any("t.Sub", "id: 1"),
            &any("t.Item", "count: 1"),
            &["response.any type {\"@type\":\"x/t.Sub\",\"id\":1} {\"@type\":\"x/t.Item\",\"count\":1}"],
        ),
        (
            "any { type_url: 'x/t.Q' value: '\\x08\\x01' }",
            "any { type_url: 'x/t.Q' value: '\\x08\\x02' }",
            &["response.any.value.1 changed 1 2"],
        ),
        (
            "at { seconds: 1 }",
            "at { seconds: 2 }",
            &["response.at changed \"1970-01-01T00:00:01Z\" \"1970-01-01T00:00:02Z\""],
        ),
        ("ttl { seconds: 1 }", "ttl { seconds: 1 nanos: 500000000 }", &["response.ttl changed \"1s\" \"1.500s\""]),
        ("mask { paths: 'a' paths: 'b' }", "mask { paths: 'b' paths: 'a' paths: 'b' }", &[]),
        ("mask { paths: 'a' }", "mask { paths: 'b' }", &["response.mask changed \"a\" \"b\""]),
        (
            "attrs { fields { key: 'k' value { number_value: 1 } } }",
            "attrs { fields { key: 'k' value { number_value: 2 } } }",
            &["response.attrs.fields[\"k\"].number_value changed 1.0 2.0"],
        ),
        (
            "attrs { fields { key: 'k' value { number_value: 1 } } }",
            "attrs { fields { key: 'k' value { bool_value: true } } }",
            &["response.attrs.fields[\"k\"].kind switched {\"number_value\":1.0} {\"bool_value\":true}"],
        ),
        ("note { value: 'a' }", "note { value: 'b' }", &["response.note.value changed \"a\" \"b\""]),
        ("data: '\\x08\\x01'", "data: '\\x08\\x02'", &["response.data.1 changed 1 2"]),
        ("data: '\\xff'", "data: '\\xfe'", &["response.data changed \"/w==\" \"/g==\""]),
        ("secret: 'abc'", "secret: 'abcd'", &["response.secret changed ‹hidden, 3 bytes› ‹hidden, 4 bytes›"]),
        ("secret: 'abc'", "secret: 'abc'", &[]),
        (
            "secrets { key: 'abc' value: 1 }",
            "",
            &["response.secrets[0] removed {\"key\":{\"hidden\":3},\"value\":1} -"],
        ),
    ] {
        assert_eq!(compared(&Rules::default(), &encode("t.M", a), &encode("t.M", b)), expected, "{a} and {b}");
    }
}

#[test]
fn the_wire_is_read_by_what_it_means() {
    let same = |a: &[u8], b: &[u8]| assert_eq!(compared(&Rules::default(), a, b), [""; 0], "{a:02x?} {b:02x?}");
    same(&[8, 1, 18, 1, b'a'], &[18, 1, b'a', 8, 1]); // the order of fields
    same(&[8, 7, 8, 1], &[8, 1]); // the last scalar
    same(&[8, 0], &[]); // a default without presence
    same(&[90, 2, 1, 2], &[88, 1, 88, 2]); // 11: packed and not
    same(&[74, 2, 16, 1, 74, 3, 10, 1, b'a'], &[74, 5, 10, 1, b'a', 16, 1]); // 9: a message in two pieces
    same(&[114, 1, b'x', 120, 1], &[120, 1]); // 14, then 15: the oneof's last member
    same(&[8, 0x81, 0x00], &[8, 1]); // a varint that is longer than needed
    let differ = |a: &[u8], b: &[u8], expected: &str| assert_eq!(compared(&Rules::default(), a, b), [expected]);
    differ(&[0xf8, 0x07, 1], &[0xf8, 0x07, 2], "response.127 changed 1 2"); // unknown fields
    differ(&[0xf8, 0x07, 1], &[0xfd, 0x07, 1, 0, 0, 0], "response.127 type 1 {\"fixed32\":1}");
    differ(&[0xf8, 0x07, 1, 0xf8, 0x07, 2], &[0xf8, 0x07, 2], "response.127[0] removed 1 -");
    // 1 as a string is unknown.
    let expected = ["response.number changed 0 1", "response.1 removed \"a\" -"];
    assert_eq!(compared(&Rules::default(), &[10, 1, b'a'], &[8, 1]), expected);
}

#[test]
fn rules_say_what_counts() {
    let items = |all: &[(&str, i32)]| {
        all.iter().map(|(sku, count)| format!("items {{ sku: '{sku}' count: {count} }}")).collect::<Vec<_>>().join(" ")
    };
    let (ab, ba) = (items(&[("a", 1), ("b", 2)]), items(&[("b", 2), ("a", 1)]));
    let (ab3, ba3) = (items(&[("a", 1), ("b", 3)]), items(&[("b", 3), ("a", 1)]));
    for (what, a, b, expected) in [
        (
            &[("ignore", "t.M.number")][..],
            "number: 1 text: 'a'",
            "number: 2 text: 'b'",
            &["response.text changed \"a\" \"b\""][..],
        ),
        (&[("ignore", "t.Sub.id")], "item { sub { id: 1 } }", "item { sub { id: 2 } }", &[]),
        (&[("ignore", "t.M.item")], "item { sub { id: 1 } }", "", &[]),
        (&[("ignore", "t.Item.count")], &ab, &ab3, &[]),
        (&[("ignore", "response.items[1].count")], &ab, &ab3, &[]),
        (&[("ignore", "response.items[0].count")], &ab, &ab3, &["response.items[1].count changed 2 3"]),
        (&[("ignore", "response.by_name[x]")], "by_name { key: 'x' value { count: 1 } }", "", &[]),
        (&[("ignore", "response.choice")], "card: '1'", "iban: 7", &[]),
        (&[("ignore", "t.M.card"), ("ignore", "t.M.iban")], "card: '1'", "iban: 7", &[]),
        (&[("ignore", "google.protobuf.Timestamp.nanos")], "at { seconds: 1 nanos: 5 }", "at { seconds: 1 }", &[]),
        (&[("ignore", "response.any.value")], "any { [x/t.Sub] { id: 1 } }", "any { [x/t.Sub] { id: 2 } }", &[]),
        (&[("ignore", "**.id")], "any { [x/t.Sub] { id: 1 } }", "any { [x/t.Sub] { id: 2 } }", &[]),
        (&[("unordered", "t.M.items")], &ab, &ba, &[]),
        (
            &[("unordered", "t.M.items")],
            &ab,
            &ba3,
            &[
                "response.items[1] removed {\"sku\":\"b\",\"count\":2} -",
                "response.items[0] added - {\"sku\":\"b\",\"count\":3}",
            ],
        ),
        (
            &[("unordered", "t.M.numbers")],
            "numbers: [1, 1, 2]",
            "numbers: [1, 2, 2]",
            &["response.numbers[1] removed 1 -", "response.numbers[2] added - 2"],
        ),
        (&[("key", "t.M.items=sku")], &ab, &ba3, &["response.items[sku=\"b\"].count changed 2 3"]),
        (
            &[("key", "t.M.items=sub.id")],
            "items { sub { id: 1 } count: 1 } items { sub { id: 2 } }",
            "items { sub { id: 2 } } items { sub { id: 3 } }",
            &[
                "response.items[sub.id=1] removed {\"count\":1,\"sub\":{\"id\":1}} -",
                "response.items[sub.id=3] added - {\"sub\":{\"id\":3}}",
            ],
        ),
        (
            &[("key", "t.M.secrets=key")],
            "secrets { key: 'abc' value: 1 }",
            "secrets { key: 'abc' value: 2 }",
            &["response.secrets[0].value changed 1 2"],
        ),
        (&[("float", "0.001")], "ratio: 1 small: 1", "ratio: 1.0005 small: 1.0005", &[]),
        (
            &[("float", "t.M.ratio=1%")],
            "ratio: 100 small: 100",
            "ratio: 101 small: 101",
            &["response.small changed 100.0 101.0"],
        ),
        (&[("float", "0.1"), ("unordered", "t.M.ratios")], "ratios: [1, 1.1]", "ratios: [1.05, 0.95]", &[]),
        (
            &[("float", "0.1"), ("unordered", "t.M.ratios")],
            "ratios: [1, 1.1]",
            "ratios: [1.15, 1.15]",
            &["response.ratios[0] removed 1.0 -", "response.ratios[1] added - 1.15"],
        ),
        (
            &[("within", "5s")],
            "at { seconds: 1 } ttl { seconds: 9 }",
            "at { seconds: 6 } ttl { seconds: 3 }",
            &["response.ttl changed \"9s\" \"3s\""],
        ),
        (
            &[("within", "t.M.times=1s")],
            "times { seconds: 1 } times { seconds: 9 }",
            "times { seconds: 2 } times { seconds: 9 }",
            &[],
        ),
        (&[("equivalent", "")], "maybe: 0 item { sub {} }", "", &[]),
        (
            &[("equivalent", "")],
            "maybe: 1 item { count: 1 }",
            "",
            &["response.maybe changed 1 0", "response.item.count changed 1 0"],
        ),
    ] {
        assert_eq!(compared(&rules(what), &encode("t.M", a), &encode("t.M", b)), expected, "{what:?}: {a} and {b}");
    }
}

#[test]
fn without_a_type_the_fields_on_the_wire_are_compared() {
    let compared = |a: &str, b: &str| {
        let (a, b) = (encode("t.M", a), encode("t.M", b));
        let (rules, mut found) = (Rules::default(), Comparison::of(Verdict::Same, None));
        let (active, mapped) = (rules.for_method("", ""), Mapped::default());
        let mut walk = fields::Walk::new(&active, &mapped, Root::Response, true, &mut found);
        walk.raw_message(&a, &b, 0);
        found.differences.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        compared("number: 1 text: 'abc'", "number: 2 text: 'abd'"),
        ["response.1 changed 1 2", "response.2 changed \"abc\" \"abd\"",]
    );
    assert_eq!(
        compared("item { count: 7 sub { id: 1 } }", "item { count: 7 sub { id: 2 } }"),
        ["response.9.5.1 changed 1 2",]
    );
    assert_eq!(
        compared("items { count: 7 } items { count: 8 }", "items { count: 8 }"),
        ["response.10[0] removed {\"2\":[7]} -",]
    );
    assert_eq!(compared("ratio: 1", ""), ["response.4 removed {\"fixed64\":\"4607182418800017408\"} -"]);
}

#[test]
fn hostile_messages_are_compared_in_bounded_time_and_memory() {
    // Lists of millions of elements without anything in common, as lists and as sets.
    let numbers = |from: u32| {
        let packed: Vec<u8> = (from..from + 400_000)
            .flat_map(|number| {
                let mut out = Vec::new();
                prost::encoding::encode_varint(u64::from(number), &mut out);
                out
            })
            .collect();
        let mut out = Vec::new();
        prost::encoding::encode_varint(11 << 3 | 2, &mut out);
        prost::encoding::encode_varint(packed.len() as u64, &mut out);
        [out, packed].concat()
    };
    let (a, b) = (numbers(1), numbers(1_000_000));
    let schema = compile(SCHEMA);
    for rules in [Rules::default(), rules(&[("unordered", "**")])] {
        let comparer = Comparer::new(&rules, Permit::to_compare());
        let found = comparer.compare_messages(&schema, schema.message("t.M").unwrap(), &a, &b, true);
        assert_eq!(found.differences.len(), MAX_DIFFERENCES);
        assert!(found.count() >= 400_000, "{}", found.count());
    }
    // Messages in messages, deeper than anything is read, with a difference at the bottom.
    let nested = |number: u8| {
        let mut bytes = vec![16, number];
        for _ in 0..3000 {
            let mut out = vec![];
            prost::encoding::encode_varint(21 << 3 | 2, &mut out);
            prost::encoding::encode_varint(bytes.len() as u64, &mut out);
            bytes = [out, bytes].concat();
        }
        bytes
    };
    assert!(!compared(&Rules::default(), &nested(1), &nested(2)).is_empty());
    // More fields than are looked at.
    let many = |last: u8| [[8, 1].repeat(5_000_000), vec![8, last]].concat();
    let found = compared(&Rules::default(), &many(1), &many(2));
    assert!(matches!(&found[..], [only] if only.contains("too many fields")), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_equal_themselves_and_comparing_never_fails(
        a in prop::collection::vec(any::<u8>(), 0..60), b in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        prop_assert_eq!(compared(&Rules::default(), &a, &a), [""; 0]);
        for rules in [Rules::default(), rules(&[("unordered", "**"), ("float", "1%"), ("equivalent", "")])] {
            // Whichever comes first, they are equal or not.
            prop_assert_eq!(compared(&rules, &a, &b).is_empty(), compared(&rules, &b, &a).is_empty());
        }
    }
}

// Whole calls.

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a call looks like: what its server answers, and how it ends.
struct Answer<'t> {
    request: &'t str,
    metadata: &'t [(&'t str, &'t str)],
    messages: &'t [&'t str],
    trailers: &'t [(&'t str, &'t str)],
    end: Ends,
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Trailers,
    TrailersOnly,
    Cancel,
    Open,
    Lost,
}

const OK: Answer<'_> = Answer {
    request: "number: 1",
    metadata: &[],
    messages: &["number: 1"],
    trailers: &[("grpc-status", "0")],
    end: Ends::Trailers,
};

fn message(text: &str) -> Vec<u8> {
    let body = encode("t.M", text);
    [&[0][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

fn recorded(answer: &Answer<'_>) -> Outcome {
    let request = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/t.S/Watch"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "1S"),
    ];
    let response =
        [&[(":status", "200"), ("content-type", "application/grpc"), ("date", "now")], answer.metadata].concat();
    let mut steps = vec![
        Step::Bytes(ToServer, [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()),
        Step::Bytes(ToClient, frame(SETTINGS, 0, 0, &[])),
        Step::Bytes(
            ToServer,
            [frame(HEADERS, END_HEADERS, 1, &block(&request)), frame(DATA, END_STREAM, 1, &message(answer.request))]
                .concat(),
        ),
    ];
    if answer.end == Ends::TrailersOnly {
        let all = [&response, answer.trailers].concat();
        steps.push(Step::Bytes(ToClient, frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&all))));
    } else {
        steps.push(Step::Bytes(ToClient, frame(HEADERS, END_HEADERS, 1, &block(&response))));
    }
    for text in answer.messages {
        steps.push(Step::Bytes(ToClient, frame(DATA, 0, 1, &message(text))));
    }
    match answer.end {
        Ends::Trailers => {
            steps.push(Step::Bytes(ToClient, frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(answer.trailers))));
        }
        Ends::Cancel => steps.push(Step::Bytes(ToServer, frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]))),
        Ends::TrailersOnly | Ends::Open | Ends::Lost => {}
    }
    let mut fed = Fed::new(false);
    steps.iter().for_each(|step| fed.step(step));
    if answer.end == Ends::Lost {
        fed.close(ToClient, Close::Fin);
        fed.close(ToServer, Close::Fin);
    }
    fed.finish()
}

fn viewing<T>(outcome: &Outcome, schema: &Schema, look: impl FnOnce(CallView<'_>) -> T) -> T {
    let (guesser, redaction, files) = (Guesser::new(schema), Redaction::default(), ["f".to_owned()]);
    let viewer = Viewer {
        store: &outcome.store,
        bodies: outcome,
        schema,
        guesser: &guesser,
        redaction: &redaction,
        files: &files,
        names: None,
    };
    look(viewer.call(viewer.store.calls()[0]))
}

fn calls(rules: &Rules, schema: &Schema, old: &Answer<'_>, new: &Answer<'_>) -> (Verdict, Vec<String>) {
    let (old, new) = (recorded(old), recorded(new));
    let found = viewing(&old, schema, |old| {
        viewing(&new, schema, |new| {
            let scope = Scope { requests: true, ..Scope::default() };
            Comparer::new(rules, Permit::to_compare()).compare(&old, &new, &scope)
        })
    });
    (found.verdict, found.differences.iter().map(line).chain(found.why).collect())
}

fn check(old: &Answer<'_>, new: &Answer<'_>, verdict: Verdict, expected: &[&str]) {
    let (got, lines) = calls(&Rules::default(), &compile(SCHEMA), old, new);
    assert_eq!((got, lines), (verdict, expected.iter().map(|line| (*line).to_owned()).collect()));
}

#[test]
fn statuses_with_their_messages_and_details_are_compared() {
    let status = |trailers| Answer { messages: &[], trailers, ..OK };
    let not_found = &[("grpc-status", "5"), ("grpc-message", "no%20a")][..];
    check(&status(not_found), &status(not_found), Verdict::Same, &[]);
    check(
        &status(not_found),
        &status(&[("grpc-status", "5"), ("grpc-message", "no b")]),
        Verdict::Differs,
        &["status.message changed \"no a\" \"no b\""],
    );
    check(
        &status(not_found),
        &OK,
        Verdict::StatusChanged,
        &["status.code changed \"NOT_FOUND\" \"OK\"", "response added - {\"number\":1}", "recorded NOT_FOUND, now OK"],
    );
    // A google.rpc.Status with one detail: an Any that holds a t.Sub.
    let details = |id: u8| {
        use base64::Engine;
        let any = [&[10, 7][..], b"x/t.Sub", &[18, 2, 8, id]].concat();
        let status = [&[8, 5, 26, any.len() as u8][..], &any].concat();
        base64::prelude::BASE64_STANDARD_NO_PAD.encode(status)
    };
    let (one, two) = (details(1), details(2));
    check(
        &status(&[("grpc-status", "5"), ("grpc-status-details-bin", &one)]),
        &status(&[("grpc-status", "5"), ("grpc-status-details-bin", &two)]),
        Verdict::Differs,
        &["status.details[0].value.id changed 1 2"],
    );
}

#[test]
fn metadata_and_trailers_of_the_application_are_compared() {
    let old = Answer {
        metadata: &[("tenant", "a"), ("server", "x"), ("grpc-encoding", "gzip"), ("k-bin", "AA==")],
        trailers: &[("grpc-status", "0"), ("cost", "1"), ("authorization", "abc")],
        ..OK
    };
    let new = Answer {
        metadata: &[("k-bin", "AA"), ("tenant", "b"), ("server", "y")],
        trailers: &[("authorization", "abcd"), ("grpc-status", "0"), ("extra", "2")],
        ..OK
    };
    check(
        &old,
        &new,
        Verdict::Differs,
        &[
            "metadata.tenant changed \"a\" \"b\"",
            "trailers.authorization changed ‹hidden, 3 bytes› ‹hidden, 4 bytes›",
            "trailers.cost removed \"1\" -",
            "trailers.extra added - \"2\"",
        ],
    );
    // Whether it is trailers-only does not count.
    let failed = Answer { messages: &[], metadata: &[("a", "1")], trailers: &[("grpc-status", "5"), ("b", "2")], ..OK };
    check(&failed, &Answer { end: Ends::TrailersOnly, ..failed }, Verdict::Same, &[]);
    let other = Answer { trailers: &[("grpc-status", "5"), ("b", "3")], end: Ends::TrailersOnly, ..failed };
    check(&failed, &other, Verdict::Differs, &["trailers.b changed \"2\" \"3\""]);
    // Several fields of a name are one with commas.
    check(
        &Answer { metadata: &[("a", "1"), ("a", "2")], ..OK },
        &Answer { metadata: &[("a", "1,2")], ..OK },
        Verdict::Same,
        &[],
    );
}

#[test]
fn streams_are_aligned_and_then_compared_message_by_message() {
    let stream = |messages| Answer { messages, ..OK };
    check(
        &stream(&["number: 1", "number: 2", "number: 3 text: 'a'", "number: 4"]),
        &stream(&["number: 1", "number: 3 text: 'b'", "number: 4", "number: 5"]),
        Verdict::Differs,
        &[
            "response.number changed 2 3",
            "response.text changed \"\" \"b\"",
            "response removed {\"number\":3,\"text\":\"a\"} -",
            "response added - {\"number\":5}",
        ],
    );
    check(
        &stream(&["number: 1", "number: 2"]),
        &stream(&["number: 2"]),
        Verdict::Differs,
        &["response removed {\"number\":1} -"],
    );
    check(&Answer { request: "number: 2", ..OK }, &OK, Verdict::Differs, &["request.number changed 2 1"]);
}

#[test]
fn calls_that_were_cut_short_are_compared_as_far_as_they_go() {
    let four = &["number: 1", "number: 2", "number: 3", "number: 4"][..];
    let ended = |messages, end| Answer { messages, end, ..OK };
    for end in [Ends::Cancel, Ends::Open] {
        check(&ended(&four[..2], end), &ended(four, Ends::Cancel), Verdict::Same, &[]);
        check(&ended(&four[..2], end), &ended(four, Ends::Trailers), Verdict::Same, &[]);
        check(&ended(four, end), &ended(&four[..3], Ends::Open), Verdict::Same, &[]);
        check(
            &ended(&["number: 9"], end),
            &ended(four, Ends::Cancel),
            Verdict::Differs,
            &["response.number changed 9 1"],
        );
    }
    let failed = Answer { messages: four, trailers: &[("grpc-status", "14")], ..OK };
    check(
        &ended(four, Ends::Open),
        &failed,
        Verdict::StatusChanged,
        &["status.code changed \"no end\" \"UNAVAILABLE\"", "recorded no end, now UNAVAILABLE"],
    );
    // A deadline, with whatever text and however many messages.
    let deadline = |messages| Answer { messages, trailers: &[("grpc-status", "4"), ("grpc-message", "late")], ..OK };
    check(&deadline(four), &deadline(&four[..1]), Verdict::Same, &[]);
    check(
        &ended(four, Ends::Trailers),
        &deadline(four),
        Verdict::Timeout,
        &["status.code changed \"OK\" \"DEADLINE_EXCEEDED\"", "recorded OK, no answer before the deadline now"],
    );
    check(
        &ended(four, Ends::Lost),
        &OK,
        Verdict::NotComparable,
        &["the connection of the recorded call ended before the call"],
    );
    check(
        &OK,
        &ended(&four[..1], Ends::Lost),
        Verdict::ConnectionLost,
        &["the connection of the replayed call ended before the call"],
    );
}

#[test]
fn noise_is_what_differs_between_runs_that_should_be_the_same() {
    let schema = compile(SCHEMA);
    let run = |text: &'static str| {
        let (old, new) = (
            recorded(&Answer { messages: &["number: 1 text: 'a'"], ..OK }),
            recorded(&Answer { messages: &[text], ..OK }),
        );
        viewing(&old, &schema, |old| {
            viewing(&new, &schema, |new| {
                Comparer::new(&Rules::default(), Permit::to_compare()).compare(&old, &new, &Scope::default())
            })
        })
    };
    // The number is another one in each run; the text is another one than recorded, but stays.
    let (first, second) = (run("number: 5 text: 'b'"), run("number: 6 text: 'b'"));
    let mut noise = Noise::default();
    noise.learn_between("t.S/Watch", &first, &second);
    let mut left = second.clone();
    noise.subtract("t.S/Watch", &mut left);
    assert_eq!(left.differences.iter().map(line).collect::<Vec<_>>(), ["response.text changed \"a\" \"b\""]);
    assert_eq!((left.verdict, left.noise), (Verdict::Differs, 1));
    assert_eq!(noise.places(), [("t.S/Watch.response.number".to_owned(), 2)]);
    // A baseline: everything in which it differs from the recording.
    let mut noise = Noise::default();
    noise.learn("t.S/Watch", &first);
    let mut left = second;
    noise.subtract("t.S/Watch", &mut left);
    assert_eq!((left.verdict, left.noise, left.count()), (Verdict::Same, 2, 0));
    let mut other = run("number: 6");
    noise.subtract("t.S/Get", &mut other);
    assert_eq!(other.noise, 0, "another method");
}

#[test]
fn a_schema_on_one_side_serves_for_both() {
    let (old, new) =
        (recorded(&Answer { messages: &["number: 1"], ..OK }), recorded(&Answer { messages: &["number: 2"], ..OK }));
    let (typed, untyped) = (compile(SCHEMA), Schema::builtin());
    for (left, right) in [(&typed, &untyped), (&untyped, &typed)] {
        let found = viewing(&old, left, |old| {
            viewing(&new, right, |new| {
                Comparer::new(&Rules::default(), Permit::to_compare()).compare(&old, &new, &Scope::default())
            })
        });
        assert_eq!(found.differences.iter().map(line).collect::<Vec<_>>(), ["response.number changed 1 2"]);
    }
}

#[test]
fn values_that_stand_for_each_other_are_equal() {
    let mapped: Mapped = [("1", "7"), ("a", "b")].into_iter().collect();
    let schema = compile(SCHEMA);
    let (old, new) = (
        recorded(&Answer { messages: &["number: 1 text: 'a' item { count: 1 }"], ..OK }),
        recorded(&Answer { messages: &["number: 7 text: 'b' item { count: 2 }"], ..OK }),
    );
    let found = viewing(&old, &schema, |old| {
        viewing(&new, &schema, |new| {
            let scope = Scope { mapped: Some(&mapped), ..Scope::default() };
            Comparer::new(&Rules::default(), Permit::to_compare()).compare(&old, &new, &scope)
        })
    });
    assert_eq!(found.differences.iter().map(line).collect::<Vec<_>>(), ["response.item.count changed 1 2"]);
}
