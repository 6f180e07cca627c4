//! What official printers print, and what they refuse.

use super::gather::MAX_ENTRIES;
use super::map::MAX_MAP_ITEMS;
use super::well_known::write_timestamp;
use super::*;
use crate::json;
use crate::schema::Schema;
use crate::schema::testing::compile;
use proptest::prelude::*;

const SCHEMA: &str = r#"
    syntax = "proto3";
    package t;
    import "google/protobuf/any.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    message M {
      int32 number = 1;
      string text = 2;
      M inner = 3;
      repeated int32 list = 4;
      map<string, M> map = 5;
      google.protobuf.Any any = 6;
      google.protobuf.Timestamp time = 7;
      google.protobuf.Duration span = 8;
      google.protobuf.FieldMask mask = 9;
      google.protobuf.Value value = 10;
      repeated M inners = 11;
      oneof one { string a = 12; M b = 13; }
      repeated string texts = 14;
      map<sint64, double> doubles = 16;
    }
"#;

struct Printed {
    json: String,
    unknown: String,
    notes: Vec<(&'static str, std::ops::Range<u32>)>,
}

fn print(schema: &Schema, bytes: &[u8]) -> Printed {
    let (mut json, mut unknown) = (Vec::new(), Vec::new());
    let findings = JsonPrinter::new().print(schema, schema.message("t.M").unwrap(), bytes, &mut json);
    findings.unknown.write_json(bytes, &mut unknown, &mut json::keep);
    Printed {
        json: String::from_utf8(json).unwrap(),
        unknown: String::from_utf8(unknown).unwrap(),
        notes: findings.notes.into_iter().map(|note| (note.kind, note.span)).collect(),
    }
}

#[test]
fn fields_in_turns_that_are_more_than_are_kept_print_as_few_do() {
    let schema = compile(SCHEMA);
    // 4: 7 and 1: 3 in turns, and a member of the oneof (12) that another one (13) clears.
    let pairs = MAX_ENTRIES;
    let mut bytes = [0x62, 1, b'x'].to_vec();
    bytes.extend([0x20, 7, 0x08, 3].repeat(pairs));
    bytes.extend([0x6a, 0, 0x08, 4]);
    let (mut out, mut written, mut largest) = (Vec::new(), Vec::new(), 0);
    let mut printer = JsonPrinter::new();
    let findings = printer.print_draining(&schema, schema.message("t.M").unwrap(), &bytes, &mut out, &mut |out| {
        largest = largest.max(out.len());
        json::drain_to(out, |text| written.extend_from_slice(text));
    });
    written.extend(out);
    assert!(findings.notes.is_empty());
    assert!(largest < 2 * json::DRAIN_AT);
    assert!(printer.entries.capacity() <= 4 * MAX_ENTRIES);
    let expected = format!("{{\"number\":4,\"list\":[{}],\"b\":{{}}}}", vec!["7"; pairs].join(","));
    assert!(written == expected.into_bytes());
}

#[test]
fn a_map_with_more_entries_than_are_kept_is_sorted_and_its_last_values_count() {
    let schema = compile(SCHEMA);
    // 16, a map<sint64, double>: keys in no order, each twice, the second time with the value 1.
    let count = 2 * MAX_MAP_ITEMS as u32;
    let mut bytes = Vec::new();
    for double in [[0; 8], 1_f64.to_le_bytes()] {
        for number in 0..count {
            // An odd factor makes a permutation of 2^15 numbers. ZigZag: even numbers are not negative.
            let key = (number.wrapping_mul(2_654_435_761) % count) * 2;
            let mut entry = vec![0x08]; // 1, the key
            prost::encoding::encode_varint(key.into(), &mut entry);
            entry.push(0x11); // 2, the value
            entry.extend(double);
            bytes.extend([0x82, 0x01, entry.len() as u8]); // 16, an entry
            bytes.extend(entry);
        }
    }
    let (mut out, mut written) = (Vec::new(), Vec::new());
    let message = schema.message("t.M").unwrap();
    JsonPrinter::new().print_draining(&schema, message, &bytes, &mut out, &mut |out| {
        json::drain_to(out, |text| written.extend_from_slice(text));
    });
    written.extend(out);
    let items: Vec<String> = (0..count).map(|key| format!("\"{key}\":1.0")).collect();
    let expected = format!("{{\"doubles\":{{{}}}}}", items.join(","));
    assert!(written == expected.as_bytes(), "{}", String::from_utf8_lossy(written.get(..200).unwrap_or(&written)));
}

#[test]
fn fields_marked_debug_redact_are_hidden_with_their_length() {
    let schema = compile(
        r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        enum State { NONE = 0; OPEN = 1; }
        message M {
          string user = 1;
          string password = 2 [debug_redact = true];
          repeated int32 pins = 3 [debug_redact = true];
          M inner = 4;
          map<string, string> keys = 5 [debug_redact = true];
          google.protobuf.Any any = 6;
        }
        "#,
    );
    let bytes = [
        &b"\x0a\x01u\x12\x06secret"[..],
        &[0x1a, 2, 1, 2, 0x18, 3],                // packed pins, and one that is not
        b"\x22\x04\x12\x02in",                    // inner: password "in"
        b"\x2a\x06\x0a\x01k\x12\x01v",            // keys
        b"\x32\x0b\x0a\x03t.M\x12\x04\x12\x02an", // an Any that holds an M with a password
        &[0x10, 9],                               // password with another wire type
    ]
    .concat();
    let printed = |hide: bool| {
        let (mut json, mut unknown) = (Vec::new(), Vec::new());
        let ix = schema.message("t.M").unwrap();
        let findings = JsonPrinter::new().hiding(hide).print(&schema, ix, &bytes, &mut json);
        findings.unknown.write_json(&bytes, &mut unknown, &mut json::keep);
        (String::from_utf8(json).unwrap(), String::from_utf8(unknown).unwrap())
    };
    assert_eq!(
        printed(true),
        (
            concat!(
                r#"{"user":"u","password":{"hidden":6},"pins":{"hidden":3},"inner":{"password":{"hidden":2}},"#,
                r#""keys":{"hidden":6},"any":{"@type":"t.M","password":{"hidden":2}}}"#
            )
            .to_owned(),
            "{}".to_owned()
        )
    );
    let (json, unknown) = printed(false);
    assert!(json.contains("secret") && unknown.contains('9'));
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

#[test]
fn any_without_a_slash_with_json_and_of_unknown_type() {
    let schema = compile(SCHEMA);
    let any = |url: &str, value: &[u8]| field(6, &[field(1, url.as_bytes()), field(2, value)].concat());
    let cases = [
        (any("t.M", &[0x08, 7]), r#"{"any":{"@type":"t.M","number":7}}"#),
        (any("a/b/t.M", &[]), r#"{"any":{"@type":"a/b/t.M"}}"#),
        (any("no.Such", b"\x01"), r#"{"any":{"@type":"no.Such","@value":"AQ=="}}"#),
        (any("no.Such", b""), r#"{"any":{"@type":"no.Such","@value":""}}"#),
        (any("types/1/Spec", b"{\"a\": 1.50}\n"), r#"{"any":{"@type":"types/1/Spec","@json":{"a":1.50}}}"#),
        (any("types/1/Spec", b"{\"a\": "), r#"{"any":{"@type":"types/1/Spec","@value":"eyJhIjog"}}"#),
        (any("", b"x"), r#"{"any":{"@type":"","@value":"eA=="}}"#),
        (
            any("x/google.protobuf.Timestamp", b""),
            r#"{"any":{"@type":"x/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}}"#,
        ),
    ];
    for (bytes, expected) in cases {
        let printed = print(&schema, &bytes);
        assert_eq!(printed.json, expected);
        assert_eq!(printed.notes, []);
    }
}

#[test]
fn what_has_no_official_form_has_one_of_ours() {
    let schema = compile(SCHEMA);
    let cases = [
        // The second before the year 1, and a billion nanoseconds.
        (field(7, b"\x08\xff\x91\xb8\xc3\x98\xfe\xff\xff\xff\x01"), r#"{"time":{"seconds":"-62135596801","nanos":0}}"#),
        (field(7, b"\x08\x01\x10\x80\x94\xeb\xdc\x03"), r#"{"time":{"seconds":"1","nanos":1000000000}}"#),
        // One second and minus one nanosecond.
        (field(8, b"\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), r#"{"span":{"seconds":"1","nanos":-1}}"#),
        // A number that JSON has not.
        (field(10, b"\x11\0\0\0\0\0\0\xf0\x7f"), r#"{"value":"Infinity"}"#),
        (field(10, b""), r#"{"value":null}"#),
    ];
    for (bytes, expected) in cases {
        assert_eq!(print(&schema, &bytes).json, expected);
    }
    let printed = print(&schema, &field(9, &[field(1, b"a_b"), field(1, b"aB"), field(1, b"c__d")].concat()));
    assert_eq!(printed.json, r#"{"mask":"aB,aB,c__d"}"#);
    assert_eq!(printed.notes, [("pb-field-mask", 9..11), ("pb-field-mask", 13..17)]);
    let printed = print(&schema, &field(2, b"a\xffb"));
    assert_eq!(printed.json, "{\"text\":\"a\u{fffd}b\"}");
    assert_eq!(printed.notes, [("pb-utf8", 2..5)]);
}

#[test]
fn what_does_not_fit_is_unknown_and_the_rest_is_shown() {
    let schema = compile(SCHEMA);
    let bytes = [
        &[0x0d, 1, 0, 0, 0][..], // 1 (int32) with 32 bits
        &[0x12, 1, b'x'],        // 2: "x"
        &[0x1a, 4],              // 3: a message of 4 bytes
        &[0x98, 0x06, 5],        //   99: 5
        &[0x07],                 //   a tag with wire type 7
        &[0xa0, 0x06, 9],        // 100: 9
        &[0x9a, 0x06, 1, b'y'],  // 99: "y"
        &[0x08, 3],              // 1: 3
    ]
    .concat();
    let printed = print(&schema, &bytes);
    assert_eq!(printed.json, r#"{"number":3,"text":"x","inner":{}}"#);
    assert_eq!(printed.unknown, r#"{"1":[{"fixed32":1}],"3":[{"99":[5]}],"99":["y"],"100":[9]}"#);
    assert_eq!(printed.notes, [("pb-wire-type", 0..5), ("pb-broken", 13..14)]);
}

#[test]
fn of_a_message_cut_short_everything_before_the_cut_is_shown() {
    let schema = compile(SCHEMA);
    let bytes = [
        &[0x08, 1][..],         // 1: 1
        &[0x1a, 6],             // 3: a message of 6 bytes
        &[0x08, 2],             //   1: 2
        &[0x12, 2, b'h', b'i'], //   2: "hi"
        &[0x22, 3, 1, 2, 3],    // 4: packed 1, 2, 3
    ]
    .concat();
    let expected = [
        (2, r#"{"number":1}"#),
        (3, r#"{"number":1}"#),
        (6, r#"{"number":1,"inner":{"number":2}}"#),
        (9, r#"{"number":1,"inner":{"number":2}}"#),
        (10, r#"{"number":1,"inner":{"number":2,"text":"hi"}}"#),
        (13, r#"{"number":1,"inner":{"number":2,"text":"hi"},"list":[1]}"#),
        (15, r#"{"number":1,"inner":{"number":2,"text":"hi"},"list":[1,2,3]}"#),
    ];
    for (len, json) in expected {
        let printed = print(&schema, &bytes[..len]);
        assert_eq!(printed.json, json, "{len}");
        assert_eq!(printed.notes.is_empty(), matches!(len, 2 | 10 | 15), "{len}");
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let schema = compile(SCHEMA);
    let nest = |depth| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let mut outer = vec![0x1a];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.extend(&bytes);
            bytes = outer;
        }
        print(&schema, &bytes)
    };
    assert_eq!(nest(100).notes, []);
    let deep = nest(5000);
    assert_eq!(deep.json.matches("inner").count(), 101);
    assert_eq!(deep.notes.len(), 1);
    assert_eq!(deep.notes[0].0, "pb-too-deep");
}

#[test]
fn dates_agree_with_another_calendar() {
    for seconds in (-62_135_596_800..253_402_300_799i64).step_by(86_400 * 97 + 3_607) {
        let mut out = Vec::new();
        assert!(write_timestamp(&mut out, seconds, 0));
        let expected = jiff::Timestamp::from_second(seconds).map(|time| format!("\"{time}\""));
        if let Ok(expected) = expected {
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_json(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let printed = print(&compile(SCHEMA), &bytes);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&printed.json).is_ok(), "{}", printed.json);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&printed.unknown).is_ok(), "{}", printed.unknown);
    }
}
