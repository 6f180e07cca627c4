//! `show` and `connections`: how values are laid out.
#![allow(clippy::unwrap_used)]

mod support;

use support::environment;
use support::run::{run, text};
use support::traffic::{ACK, Client, Traffic, frame};

const SCHEMA: &str = "
    syntax = \"proto3\";
    package t;
    message M { string text = 1; bytes data = 2; }
    service S { rpc Get(M) returns (M); }
";

/// What `show` prints of a call with these messages, of `t.M` or JSON.
fn shown(request: &[u8], response: &[u8], more: &[&str]) -> String {
    let directory = environment::temporary();
    let [capture, schema] = ["capture.pcap", "t.proto"].map(|name| directory.path().join(name));
    let mut traffic = Traffic::new();
    let client = &mut Client::new(0);
    traffic.open(client);
    traffic.call(client, 1, "/t.S/Get", request, response);
    std::fs::write(&capture, &traffic.bytes).unwrap();
    std::fs::write(&schema, SCHEMA).unwrap();
    let run = run(&[&["show", &text(&capture), "1", "--proto", &text(&schema)], more].concat());
    assert_eq!(run.status, Some(0), "{}: {}", run.line, run.stderr);
    run.stdout
}

/// A length-delimited field (protobuf's encoding: tag, length as a varint, bytes).
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

#[test]
fn values_of_kilobytes_are_shortened_unless_all_is_asked_for() {
    let long = "word ".repeat(1000);
    let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let message = [field(1, long.as_bytes()), field(2, &bytes)].concat();
    let short = shown(&message, b"", &[]);
    assert!(short.contains("word\"… (5000 bytes; --full shows all)"), "{short}");
    assert!(short.contains(" … (3000 bytes; --full shows all)"), "{short}");
    assert!(short.len() < 3000, "{short}");
    let full = shown(&message, b"", &["--full"]);
    assert!(full.contains(&format!("text = \"{long}\"")), "{full}");
    assert_eq!(full.matches("fe ff 00 01").count(), 11, "{full}");
    assert!(!full.contains('…'), "{full}");
}

#[test]
fn json_in_values_is_indented() {
    let message = [field(1, br#"{"a":[1,{}],"b":"\u001b[31m"}"#), field(2, b" [true] ")].concat();
    let expected = "
    text = {
      \"a\": [
        1,
        {}
      ],
      \"b\": \"\\u001b[31m\"
    }   #1 string
    data = [
      true
    ]   #2 bytes
";
    let shown = shown(&message, b"", &[]);
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn long_json_in_values_is_shortened_unless_all_is_asked_for() {
    let json = format!("{{\"list\":[{}]}}", ["\"x\""; 1000].join(","));
    let message = field(1, json.as_bytes());
    let short = shown(&message, b"", &[]);
    assert!(short.contains("    text = {\n      \"list\": [\n        \"x\",\n"), "{short}");
    assert!(short.contains(&format!("… ({} bytes; --full shows all)   #1 string\n", json.len())), "{short}");
    assert!(short.matches("\"x\"").count() < 300, "{short}");
    let full = shown(&message, b"", &["--full"]);
    assert_eq!(full.matches("        \"x\"").count(), 1000, "{full}");
    assert!(!full.contains('…'), "{full}");
}

#[test]
fn messages_that_are_json_are_indented() {
    let short = shown(br#"{"name":"world"}"#, b"{}", &[]);
    assert!(short.contains("\n    {\n      \"name\": \"world\"\n    }\n"), "{short}");
    let json = format!("[{}]", ["12345"; 10_000].join(","));
    let short = shown(json.as_bytes(), b"{}", &[]);
    assert!(short.contains("\n    [\n      12345,\n"), "{short}");
    assert!(short.contains(&format!("… ({} bytes; --full shows all)\n", json.len())), "{short}");
    let full = shown(json.as_bytes(), b"{}", &["--full"]);
    assert_eq!(full.matches("\n      12345").count(), 10_000);
    assert!(full.contains("\n      12345\n    ]\n"));
}

#[test]
fn gaps_of_a_connection_are_counted_in_words() {
    let directory = environment::temporary();
    let capture = directory.path().join("capture.pcap");
    let mut traffic = Traffic::new();
    let client = &mut Client::new(0);
    traffic.open(client);
    let mut missing = |gaps: usize| {
        for _ in 0..gaps {
            traffic.call(client, 1, "/t.S/Get", b"", b"");
            // A PING of 17 bytes that is not captured.
            let before = traffic.bytes.len();
            traffic.packet(client, false, ACK, &frame(6, 0, 0, &[0; 8]));
            traffic.bytes.truncate(before);
        }
        traffic.call(client, 1, "/t.S/Get", b"", b"");
        std::fs::write(&capture, &traffic.bytes).unwrap();
        run(&["connections", &text(&capture)]).stdout
    };
    let one = missing(1);
    assert!(one.contains("  17 B in 1 gap (lost)\n"), "{one}");
    let three = missing(2);
    assert!(three.contains("  51 B in 3 gaps (lost)\n"), "{three}");
}
