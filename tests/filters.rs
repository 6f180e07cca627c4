//! Filters of calls and frames, against counts that are got in another way: from what an independent reader says about the shop
//! recording, from our own JSON, and from tshark, where it is installed.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::environment::{captures, tool};
use support::run::{run, run_with_input, text};
use support::traffic::{ACK, Client, Traffic, fields, frame};

fn shop() -> PathBuf {
    captures().join("shop/shop.pcap")
}

fn etcd() -> PathBuf {
    captures().join("etcd/etcd.pcap")
}

/// The numbers of the calls that match, and standard error.
fn matching(path: &Path, filter: &str) -> (Vec<u64>, String) {
    let schema = text(&captures().join("shop/shop.proto"));
    let path = text(path);
    let run = run(&["calls", &path, "--proto", &schema, "-Y", filter, "-T", "fields", "-e", "rpc.no"]);
    assert_eq!(run.status, Some(0), "{filter}: {}", run.stderr);
    (run.stdout.lines().map(|line| line.parse().unwrap()).collect(), run.stderr)
}

/// What the independent reader says about each call of the shop recording, in the order of their streams.
fn truth() -> Vec<Value> {
    let lines = std::fs::read_to_string(captures().join("shop/shop.expected.jsonl")).unwrap();
    let mut calls: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    calls.sort_by_key(|call| call["stream"].as_u64());
    calls
}

/// Whether something holds for any message of a side.
fn any(call: &Value, side: &str, holds: impl Fn(&Value) -> bool) -> bool {
    call[side].as_array().into_iter().flatten().any(|message| !message.is_null() && holds(message))
}

/// The elements of a member that is an array.
fn each<'a>(message: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    message[member].as_array().into_iter().flatten()
}

type Holds = fn(&Value) -> bool;

/// Filters of the shop recording with what they mean in terms of the independent reader.
const SHOP: &[(&str, Holds)] = &[
    ("rpc.status == OK", |call| call["status"] == 0),
    ("rpc.status == 9", |call| call["status"] == 9),
    ("FAILED_PRECONDITION == rpc.status", |call| call["status"] == 9),
    ("rpc.status in {4, UNIMPLEMENTED}", |call| call["status"] == 4 || call["status"] == 12),
    ("rpc.method == \"GetOrder\"", |call| call["method"] == "acme.shop.v1.Orders/GetOrder"),
    ("rpc.path contains \"Order\" and not rpc.method == GetOrder", |call| {
        let method = call["method"].as_str().unwrap();
        method.contains("Order") && !method.ends_with("/GetOrder")
    }),
    ("rpc.path matches \"orders/(chat|echo)$\"", |call| {
        let method = call["method"].as_str().unwrap();
        method.ends_with("/Chat") || method.ends_with("/Echo")
    }),
    ("rpc.service == acme.shop.v1.Orders", |call| call["method"].as_str().unwrap().starts_with("acme.shop.v1.Orders/")),
    ("rpc.request.count > 1", |call| call["requests"].as_array().unwrap().len() > 1),
    ("rpc.response.count == 0", |call| call["responses"].as_array().unwrap().is_empty()),
    ("rpc.messages in {3..100}", |call| {
        let count = call["requests"].as_array().unwrap().len() + call["responses"].as_array().unwrap().len();
        (3..=100).contains(&count)
    }),
    ("http2.streamid <= 21", |call| call["stream"].as_u64() <= Some(21)),
    ("http2.streamid in {1, 3, 5..9, 1000}", |call| matches!(call["stream"].as_u64(), Some(1 | 3 | 5..=9 | 1000))),
    ("http2.type == RST_STREAM", |call| !call["rst"].is_null()),
    ("rpc.request.id == \"order-0\"", |call| any(call, "requests", |message| message["id"] == "order-0")),
    ("rpc.request.id contains \"order-1\"", |call| {
        any(call, "requests", |message| message["id"].as_str().is_some_and(|id| id.contains("order-1")))
    }),
    ("rpc.request.fields == b", |call| any(call, "requests", |message| each(message, "fields").any(|f| f == "b"))),
    ("rpc.response.labels[\"tenant\"] == \"t0\"", |call| {
        any(call, "responses", |message| message["labels"]["tenant"] == "t0")
    }),
    ("rpc.response.labels.value == \"zürich\"", |call| {
        any(call, "responses", |message| {
            message["labels"].as_object().is_some_and(|labels| labels.values().any(|label| label == "zürich"))
        })
    }),
    ("rpc.response.items.sku == \"sku-1\"", |call| {
        any(call, "responses", |message| each(message, "items").any(|item| item["sku"] == "sku-1"))
    }),
    ("rpc.response.items.barcode == 00:01:02:03:04", |call| {
        any(call, "responses", |message| each(message, "items").any(|item| item["barcode"] == "AAECAwQ="))
    }),
    ("rpc.response.items.delta < -60000", |call| {
        any(call, "responses", |message| {
            each(message, "items")
                .any(|item| item["delta"].as_str().is_some_and(|d| d.parse::<i64>().unwrap() < -60000))
        })
    }),
    ("rpc.response.items.price > 9.5", |call| {
        any(call, "responses", |message| each(message, "items").any(|item| item["price"].as_f64() > Some(9.5)))
    }),
    ("rpc.response.by_slot[-3].quantity == 7", |call| {
        any(call, "responses", |message| message["bySlot"]["-3"]["quantity"] == 7)
    }),
    ("rpc.response.status == STATUS_SHIPPED", |call| any(call, "responses", |m| m["status"] == "STATUS_SHIPPED")),
    ("rpc.response.seen == 1", |call| {
        any(call, "responses", |message| each(message, "seen").any(|seen| seen == "STATUS_OPEN"))
    }),
    ("rpc.response.created >= 2023-11-14T22:13:20.150Z", |call| {
        any(call, "responses", |m| m["created"].as_str().is_some_and(|at| at >= "2023-11-14T22:13:20.150"))
    }),
    ("rpc.response.ttl == 1500ms", |call| any(call, "responses", |message| message["ttl"] == "1.500s")),
    ("rpc.response.note", |call| any(call, "responses", |message| message.get("note").is_some())),
    ("rpc.response.card", |call| any(call, "responses", |message| message.get("card").is_some())),
    ("rpc.response.gift == true", |call| any(call, "responses", |message| message["gift"] == true)),
    ("rpc.response.gift == false", |call| any(call, "responses", |message| message.get("gift") == Some(&false.into()))),
    ("rpc.response.history == -1", |call| {
        any(call, "responses", |message| each(message, "history").any(|number| number == "-1"))
    }),
    ("rpc.response.attrs.fields[\"a\"].number_value == 1.5", |call| {
        any(call, "responses", |message| message["attrs"]["a"] == 1.5)
    }),
    ("rpc.response.extra.type_url contains ChatLine", |call| {
        any(call, "responses", |m| m["extra"]["@type"].as_str().is_some_and(|url| url.contains("ChatLine")))
    }),
    ("pbf.acme.shop.v1.Item.sku == \"sku-1\"", |call| {
        let has =
            |message: &Value| message["sku"] == "sku-1" || each(message, "items").any(|item| item["sku"] == "sku-1");
        any(call, "requests", has) || any(call, "responses", has)
    }),
    ("pbf.acme.shop.v1.ChatLine.text == \"inside any\"", |call| {
        any(call, "responses", |message| message["extra"]["text"] == "inside any")
    }),
    ("pbm.acme.shop.v1.Blob", |call| call["method"] == "acme.shop.v1.Orders/Echo"),
    ("rpc.request.text == \"\"", |call| {
        call["method"] == "acme.shop.v1.Orders/Chat" && any(call, "requests", |message| message.get("text").is_none())
    }),
    ("rpc.status == OK && !(rpc.response.items.sku == \"sku-1\") or rpc.method == Fail", |call| {
        let has = any(call, "responses", |message| each(message, "items").any(|item| item["sku"] == "sku-1"));
        call["status"] == 0 && !has || call["method"] == "acme.shop.v1.Orders/Fail"
    }),
];

#[test]
fn filters_of_shop_choose_what_an_independent_reader_says() {
    let truth = truth();
    assert!(SHOP.len() >= 40);
    for (filter, holds) in SHOP {
        let expected: Vec<u64> = truth.iter().zip(1..).filter(|(call, _)| holds(call)).map(|(_, no)| no).collect();
        assert_eq!(matching(&shop(), filter).0, expected, "{filter}");
    }
}

/// Filters of the etcd recording with what they mean in terms of our JSON.
const ETCD: &[(&str, Holds)] = &[
    ("rpc.method == Put", |call| call["method"] == "Put"),
    ("!(rpc.method == Put)", |call| call["method"] != "Put"),
    ("rpc.method != Put and rpc.service contains KV", |call| {
        call["method"] != "Put" && call["service"] == "etcdserverpb.KV"
    }),
    ("rpc.outcome == open", |call| call["outcome"] == "open"),
    ("rpc.duration", |call| !call["duration_ns"].is_null()),
    ("!rpc.duration", |call| call["duration_ns"].is_null()),
    ("rpc.duration > 2ms", |call| call["duration_ns"].as_u64() > Some(2_000_000)),
    ("1ms < rpc.duration <= 0.002", |call| {
        call["duration_ns"].as_u64().is_some_and(|ns| ns > 1_000_000 && ns <= 2_000_000)
    }),
    ("rpc.kind == unary", |call| call["kind"] == "unary"),
    ("rpc.deadline", |call| !call["deadline_ns"].is_null()),
    ("connection == 1", |call| call["connection"] == 1),
    ("tcp.stream > 2", |call| call["tcp_stream"].as_u64() > Some(2)),
    ("rpc.bytes > 1 KiB", |call| {
        let length = |side: &str| each(&call[side], "messages").filter_map(|m| m["length"].as_u64()).sum::<u64>();
        length("request") + length("response") > 1024
    }),
    ("grpc.message_length == 29", |call| {
        let is = |side: &str| each(&call[side], "messages").any(|message| message["length"] == 29);
        is("request") || is("response")
    }),
    ("all grpc.message_length < 100", |call| {
        let of = |side: &'static str| each(&call[side], "messages").map(|message| message["length"].as_u64());
        of("request").chain(of("response")).all(|length| length < Some(100))
            && of("request").chain(of("response")).next().is_some()
    }),
    ("tcp.dstport == 2379", |_| true),
    ("ip.addr == 127.0.0.0/8", |_| true),
    ("ip.addr == 10.0.0.0/8", |_| false),
    ("kv/put", |call| call["method"] == "Put"),
];

#[test]
fn filters_of_etcd_choose_what_the_json_says() {
    let calls = run(&["calls", "--json", &text(&etcd())]).done();
    assert_eq!(calls.len(), 12);
    for (filter, holds) in ETCD {
        let expected: Vec<u64> =
            calls.iter().filter(|call| holds(call)).map(|call| call["no"].as_u64().unwrap()).collect();
        assert_eq!(matching(&etcd(), filter).0, expected, "{filter}");
    }
}

/// Comparisons that tshark understands, too. It matches packets, we match frames: of a single comparison both come to the same
/// packets.
const AS_TSHARK: &[&str] = &[
    "http2.streamid == 5",
    "http2.streamid > 40",
    "http2.streamid in {1, 3, 5..9}",
    "http2.type == HEADERS",
    "http2.type == 8",
    "http2.type in {RST_STREAM, 4}",
    "http2.length > 100",
    "http2.length == 0",
    "http2.flags & 0x1",
    "http2.flags & 0x5 == 0x5",
    "http2.flags == 0x4",
    "http2.flags.end_stream == 1",
    "http2.flags.eh == true",
    "http2.flags.ack.settings == 1",
    "http2.headers.path",
    "http2.headers.path matches \"(get|put)\"",
    "http2.headers.path[0:3] == 2f:61:63",
    "http2.headers.path[1-4] == \"etcd\"",
    "http2.headers.path[-3:] == \"Put\"",
    "http2.headers.method == \"POST\"",
    "http2.headers.status == 200",
    "lower(http2.headers.content_type) contains \"grpc\"",
    "len(http2.headers.path) > 25",
    "http2.window_update.window_size_increment > 10",
    "http2.settings.max_frame_size == 16384",
    "http2.rst_stream.error == CANCEL",
    "grpc.message_length > 100",
    "grpc.compressed_flag == 1",
];

#[test]
fn filters_of_frames_choose_the_packets_that_tshark_chooses() {
    for (path, port) in [(shop(), 50051), (etcd(), 2379)] {
        for filter in AS_TSHARK.iter().chain(&["tcp.srcport == 50051", "frame.number in {10..60}", "frame.len > 300"]) {
            let decode = format!("tcp.port=={port},http2");
            // Packets without a frame are not ours; the preface is not a frame.
            let theirs = format!("http2.type and ({filter})");
            let arguments = ["-r", &text(&path), "-d", &decode, "-Y", &theirs, "-T", "fields", "-e", "frame.number"];
            let Some(theirs) = tool("tshark", &arguments) else { return };
            let numbers = |out: &str| out.lines().map(|line| line.parse().unwrap()).collect::<BTreeSet<u64>>();
            let run = run(&["frames", &text(&path), "-Y", filter, "-T", "fields", "-e", "frame.number"]);
            assert_eq!(run.status, Some(0), "{filter}: {}", run.stderr);
            let missing: BTreeSet<u64> = numbers(&theirs).difference(&numbers(&run.stdout)).copied().collect();
            let more: BTreeSet<u64> = numbers(&run.stdout).difference(&numbers(&theirs)).copied().collect();
            assert!(missing.is_empty() && more.is_empty(), "{filter}: only tshark {missing:?}, only we {more:?}");
        }
    }
}

#[test]
fn frames_are_chosen_by_what_becomes_of_their_calls() {
    let schema = text(&captures().join("shop/shop.proto"));
    let filter = "rpc.status == FAILED_PRECONDITION && http2.type == HEADERS";
    let arguments = ["-Y", filter, "-T", "fields", "-e", "rpc.frame", "-e", "rpc.no", "--proto", &schema];
    let mut from_file = vec!["frames".to_owned(), text(&shop())];
    from_file.extend(arguments.map(ToOwned::to_owned));
    let file = run(&from_file);
    // Two header blocks of each of three calls.
    assert_eq!(file.stdout.lines().count(), 6, "{}", file.stderr);
    let mut from_pipe = vec!["frames", "-"];
    from_pipe.extend(arguments);
    let piped = run_with_input(&from_pipe, &std::fs::read(shop()).unwrap());
    let sorted = |out: &str| out.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&piped.stdout), sorted(&file.stdout));
}

#[test]
fn a_wrong_filter_is_one_error_with_its_place_and_exit_status_2() {
    for (filter, message) in [
        ("rpc.sttus == 14", "error: no field rpc.sttus; did you mean rpc.status?\n  rpc.sttus == 14\n  ^~~~~~~~~\n"),
        ("rpc.no == 1 &&", "error: the filter ends too soon\n  rpc.no == 1 &&\n                ^\n"),
        (
            "rpc.request.id == 1",
            "error: rpc.request.id needs a schema: give one with --proto or --protoset\n  rpc.request.id == 1\n  ^~~~~~~~~~~~~~\n",
        ),
    ] {
        for command in ["calls", "frames", "connections", "show"] {
            let run = run(&[command, &text(&shop()), "-Y", filter]);
            assert_eq!(
                (run.status, run.stderr.as_str(), run.stdout.as_str()),
                (Some(2), message, ""),
                "{command} {filter}"
            );
        }
    }
    // Before the file is looked at.
    assert_eq!(run(&["calls", "not-there.pcap", "-Y", "rpc."]).status, Some(2));
}

#[test]
fn what_is_hidden_and_what_is_unknown_is_counted() {
    let all = run(&["calls", &text(&shop()), "-Y", "rpc.no > 1000"]);
    assert_eq!((all.status, all.stderr.as_str()), (Some(0), "note: the filter hides all 74 calls\n"));
    assert_eq!(run(&["calls", &text(&shop()), "-Y", "rpc.no > 1000", "--exit-code"]).status, Some(1));
    assert_eq!(run(&["calls", &text(&shop()), "-Y", "rpc.no > 10", "--exit-code"]).status, Some(0));
    // The method of one call is in no schema: what its message holds is not known, nor is the opposite.
    for filter in ["rpc.request.id == \"order-0\"", "!(rpc.request.id == \"order-0\")"] {
        let (_, stderr) = matching(&shop(), filter);
        assert!(stderr.starts_with("note: 1 call left out"), "{filter}: {stderr}");
    }
}

#[test]
fn rows_are_sorted_limited_and_written_as_fields() {
    let slowest = ["calls", &text(&etcd()), "--sort", "-rpc.duration", "-T", "fields", "-e", "rpc.duration"];
    let sorted = run(&slowest).stdout;
    let mut expected: Vec<u64> = run(&["calls", "--json", &text(&etcd())])
        .done()
        .iter()
        .filter_map(|call| call["duration_ns"].as_u64())
        .collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let seconds = |ns: &u64| format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    let lines: Vec<String> = expected.iter().map(seconds).collect();
    // The open call has no duration and comes last.
    assert_eq!(sorted.lines().collect::<Vec<_>>(), lines.iter().map(String::as_str).chain([""]).collect::<Vec<_>>());
    let limited = run(&[&slowest[..], &["--limit", "2", "-E", "header=y", "-E", "quote=d"]].concat()).stdout;
    assert_eq!(limited, format!("rpc.duration\n\"{}\"\n\"{}\"\n", lines[0], lines[1]));
    assert_eq!(run(&["calls", &text(&etcd()), "--follow", "--sort", "rpc.no"]).status, Some(2));
    let columns = run(&["calls", &text(&shop()), "--columns", "rpc.no,rpc.method", "--limit", "1"]).stdout;
    let words: Vec<&str> = columns.split_whitespace().collect();
    assert_eq!(words, ["rpc.no", "rpc.method", "1", "GetOrder"]);
    let types = run(&["calls", &text(&shop()), "--limit", "1", "-T", "fields", "-e", "http2.type"]).stdout;
    assert_eq!(types, "HEADERS,WINDOW_UPDATE,DATA,HEADERS,DATA,HEADERS\n");
}

#[test]
fn every_field_is_on_the_page_about_filters() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/filters.md")).unwrap();
    let fields = run(&["fields", "--json"]).done();
    assert!(fields.len() > 80);
    for field in &fields {
        let of = |name: &str| field[name].as_str().unwrap();
        let row = format!("| `{}` | {} | {} | {} |", of("name"), of("type"), of("scope"), of("help"));
        assert!(page.contains(&row), "{row}");
    }
    // And no row for what is not there.
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 3);
    assert_eq!(rows.count(), fields.len());
    // Every filter of the questions compiles.
    let schema = text(&captures().join("shop/shop.proto"));
    let questions = page.split("## The language").next().unwrap().lines().filter(|line| line.ends_with("` |"));
    let mut count = 0;
    for line in questions {
        let filter = line.split('`').nth(1).unwrap();
        let run = run(&["calls", &text(&shop()), "--proto", &schema, "-Y", filter]);
        assert_eq!(run.status, Some(0), "{filter}: {}", run.stderr);
        count += 1;
    }
    assert_eq!(count, 20);
}

/// Filters that mean the same, and one that other precedence would give.
const PRECEDENCE: &[(&str, &str, &str)] = &[
    (
        "rpc.status == OK or rpc.method == Fail and rpc.messages > 2",
        "rpc.status == OK or (rpc.method == Fail and rpc.messages > 2)",
        "(rpc.status == OK or rpc.method == Fail) and rpc.messages > 2",
    ),
    (
        "not rpc.status == OK and rpc.method == Fail",
        "(not (rpc.status == OK)) and rpc.method == Fail",
        "not (rpc.status == OK and rpc.method == Fail)",
    ),
    (
        "rpc.method == Chat and !rpc.status == OK || rpc.messages > 10",
        "(rpc.method == Chat and (!(rpc.status == OK))) || rpc.messages > 10",
        "rpc.method == Chat and !(rpc.status == OK || rpc.messages > 10)",
    ),
    (
        "rpc.method == Chat || rpc.method == Echo && rpc.status == OK || rpc.messages > 10",
        "rpc.method == Chat || (rpc.method == Echo && rpc.status == OK) || rpc.messages > 10",
        "(rpc.method == Chat || rpc.method == Echo) && (rpc.status == OK || rpc.messages > 10)",
    ),
    ("1 < rpc.messages < 3", "1 < rpc.messages && rpc.messages < 3", "1 < rpc.messages"),
    (
        "rpc.status in {1, 4} && rpc.method == Slow",
        "(rpc.status == 1 || rpc.status == 4) && rpc.method == Slow",
        "rpc.status == 1 || rpc.status == 4 && rpc.method == Echo",
    ),
];

#[test]
fn not_binds_tighter_than_and_and_and_than_or() {
    for (filter, meant, other) in PRECEDENCE {
        let [filter_calls, meant, other] = [filter, meant, other].map(|filter| matching(&shop(), filter).0);
        assert_eq!(filter_calls, meant, "{filter}");
        assert_ne!(filter_calls, other, "{filter}: the table shows nothing");
    }
}

/// What a filter is for a call: `T`, `F`, or `?` where neither it nor its negation holds.
fn truth_of(file: &Path, no: u64, filter: &str) -> char {
    let has = |filter: &str| matching(file, filter).0.contains(&no);
    match (has(filter), has(&format!("!({filter})"))) {
        (true, false) => 'T',
        (false, true) => 'F',
        (false, false) => '?',
        (true, true) => panic!("{filter} and its negation hold"),
    }
}

/// The table in docs/filters.md: `f == v`, `f != v`, `!(f == v)`, `f`, `!f`.
#[test]
fn absent_empty_unknown_and_hidden_are_four_things() {
    let directory = support::environment::temporary();
    let joined = directory.path().join("joined.pcap");
    let mut bytes = std::fs::read(shop()).unwrap();
    for _ in 0..30 {
        bytes = support::pcap::without_packet(&bytes, 1);
    }
    std::fs::write(&joined, bytes).unwrap();
    let is_unknown = |call: &&u64| truth_of(&joined, **call, "rpc.metadata.tenant") == '?';
    let calls = matching(&joined, "rpc.note == \"hpack-unknown\"").0;
    let unknown = *calls.iter().find(is_unknown).unwrap();
    let open = matching(&etcd(), "rpc.outcome == open").0[0];
    for (file, no, field, value, expected) in [
        (&shop(), 1, "rpc.status", "OK", "TFFTF"),
        (&shop(), 1, "rpc.status", "NOT_FOUND", "FTTTF"),
        (&shop(), 1, "rpc.status_message", "\"\"", "TFFTF"),
        (&shop(), 1, "rpc.metadata.nope", "\"x\"", "FFTFT"),
        (&etcd(), open, "rpc.status", "OK", "FFTFT"),
        (&etcd(), open, "rpc.duration", "1s", "FFTFT"),
        (&etcd(), open, "rpc.end", "trailers", "FFTFT"),
        (&joined, unknown, "rpc.metadata.tenant", "\"t0\"", "?????"),
        (&shop(), 1, "rpc.metadata.authorization", "\"x\"", "???TF"),
    ] {
        let forms = [
            format!("{field} == {value}"),
            format!("{field} != {value}"),
            format!("!({field} == {value})"),
            field.to_owned(),
            format!("!{field}"),
        ];
        let found: String = forms.iter().map(|form| truth_of(file, no, form)).collect();
        assert_eq!(found, expected, "{field} {value} of call {no}");
    }
    // Kleene: what is known decides if it can.
    for (filter, expected) in [
        ("rpc.metadata.tenant == x && rpc.no == 0", 'F'),
        ("rpc.metadata.tenant == x || rpc.no > 0", 'T'),
        ("rpc.metadata.tenant == x && rpc.no > 0", '?'),
        ("rpc.metadata.tenant == x || rpc.no == 0", '?'),
    ] {
        assert_eq!(truth_of(&joined, unknown, filter), expected, "{filter}");
    }
}

/// A capture of one connection with calls that have JSON bodies; the last one is of a method that no schema has.
fn with_json_bodies(directory: &Path) -> PathBuf {
    let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
    traffic.open(&mut client);
    for (index, (method, request, response)) in [
        (
            "GetOrder",
            r#"{"id": "order-7"}"#,
            r#"{"id":"order-7","items":[{"sku":"a","quantity":2},{"sku":"b\u00fc"}],"labels":{"tenant":"t0"},"status":"STATUS_SHIPPED"}"#,
        ),
        ("GetOrder", r#"{"id": "order-8"}"#, r#"{"id": "order-8", "status": 1, "labels": {}, "items": 5}"#),
        ("Unheard", r#"{"id": ["order-7", "order-9"]}"#, "{}"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/acme.shop.v1.Orders/{method}");
        traffic.call(&mut client, 2 * index as u32 + 1, &path, request.as_bytes(), response.as_bytes());
    }
    traffic.close(&mut client);
    let path = directory.join("json.pcap");
    std::fs::write(&path, traffic.bytes).unwrap();
    path
}

#[test]
fn fields_of_bodies_that_are_json_are_compared_by_the_types_of_the_schema() {
    let directory = support::environment::temporary();
    let file = with_json_bodies(directory.path());
    for (filter, expected, unknown) in [
        ("rpc.request.id == \"order-7\"", &[1, 3][..], 0),
        ("rpc.request.id contains \"order\"", &[1, 2, 3], 0),
        ("rpc.response.items.sku == \"bü\"", &[1], 1),
        ("rpc.response.items.quantity == 2", &[1], 1),
        ("rpc.response.labels[\"tenant\"] == \"t0\"", &[1], 0),
        ("!rpc.response.labels[\"tenant\"]", &[2, 3], 0),
        ("rpc.response.status == STATUS_SHIPPED", &[1], 0),
        ("rpc.response.status == 1", &[2], 0),
        ("pbf.acme.shop.v1.Item.sku == \"a\"", &[1], 2),
    ] {
        let (calls, stderr) = matching(&file, filter);
        assert_eq!(calls, expected, "{filter}: {stderr}");
        let left_out = stderr.lines().find_map(|line| line.strip_prefix("note: ")?.split(" call").next()?.parse().ok());
        assert_eq!(left_out.unwrap_or(0), unknown, "{filter}: {stderr}");
    }
    let without = run(&["calls", &text(&file), "-Y", "rpc.request.id == x"]);
    assert_eq!(without.status, Some(2));
    assert!(without.stderr.contains("needs a schema"), "{}", without.stderr);
}

#[test]
fn frames_out_of_a_pipe_wait_for_their_call_within_a_limit_that_is_reported() {
    let directory = support::environment::temporary();
    let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
    traffic.open(&mut client);
    let headers = [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("content-type", "application/grpc")];
    traffic.packet(&mut client, false, ACK, &frame(1, 4, 1, &fields(&headers)));
    // Empty messages, one per frame: more than may wait. Packets are read in batches, and the call must not end in theirs.
    let message = frame(0, 0, 1, &[0; 5]);
    (0..270).for_each(|_| traffic.packet(&mut client, false, ACK, &message.repeat(1000)));
    (0..20_000).for_each(|_| traffic.packet(&mut client, false, ACK, &message));
    traffic.packet(&mut client, true, ACK, &frame(1, 5, 1, &fields(&[(":status", "200"), ("grpc-status", "0")])));
    let file = directory.path().join("long.pcap");
    std::fs::write(&file, &traffic.bytes).unwrap();
    let listing =
        |path: &str| ["frames", path, "-Y", "rpc.status == OK", "-T", "fields", "-e", "rpc.frame"].map(str::to_owned);
    let arguments = listing(&text(&file));
    let read_twice = run(&arguments.each_ref().map(String::as_str));
    assert_eq!((read_twice.stdout.lines().count(), read_twice.stderr.as_str()), (290_002, ""));
    let arguments = listing("-");
    let piped = run_with_input(&arguments.each_ref().map(String::as_str), &traffic.bytes);
    assert!(piped.stdout.lines().count() < 290_002, "{}", piped.stderr);
    assert!(piped.stderr.contains("frames of 1 call were filtered before the end was known"), "{}", piped.stderr);
}

#[test]
fn a_listing_of_fields_without_rows_has_its_header() {
    for command in ["calls", "frames", "methods", "connections", "problems"] {
        let field = if matches!(command, "calls" | "frames") { "rpc.no" } else { "calls" };
        let none =
            run(&[command, &text(&shop()), "-Y", "rpc.no == 1000", "-T", "fields", "-e", field, "-E", "header=y"]);
        assert_eq!(none.stdout, format!("{field}\n"), "{command}");
    }
}
