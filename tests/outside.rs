//! Recordings that are not part of the project (other people's files, large ones): the directory that `RPCSHARK_CAPTURES`
//! names is read in place. Without it each of these tests says that it was skipped.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use support::run::{Run, run, text};
use support::shop::{messages_of, notes, same};
use support::tcp::Side;

/// A file of the outside directory; `None`, which is reported, where there is no such directory.
fn outside(file: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("RPCSHARK_CAPTURES") else {
        support::skip::skip("RPCSHARK_CAPTURES is not set");
        return None;
    };
    let path = Path::new(&directory).join(file);
    assert!(path.exists(), "{} is not there", path.display());
    Some(path)
}

/// Runs `calls --json` on a file, with schemas named relative to the same directory.
fn calls(file: &str, schemas: &[&str]) -> Option<Run> {
    let path = text(&outside(file)?);
    let mut arguments = vec!["calls".to_owned(), "--json".to_owned(), path];
    for schema in schemas {
        arguments.extend(["--proto".to_owned(), text(&outside(schema)?)]);
    }
    Some(run(&arguments))
}

fn lengths(call: &Value, side: Side) -> Vec<u64> {
    messages_of(call, side).iter().map(|message| message["length"].as_u64().unwrap()).collect()
}

#[test]
fn hello() {
    let Some(run) = calls("hello/hello.pcap", &["hello/hello.proto"]) else { return };
    let calls = run.done();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(call["path"], "/helloworld.Greeter/SayHello");
    assert_eq!(call["deadline_ns"], 999_570_000);
    assert_eq!(call["request"]["messages"][0]["body"], json!({"name": "world"}));
    assert_eq!(call["response"]["messages"][0]["body"], json!({"message": "Hello world"}));
    let all = support::run::run(&["calls", "--json", "--all-headers", &text(&outside("hello/hello.pcap").unwrap())]);
    assert!(all.stdout.contains("grpc-go/1.3.0"), "{}", all.stdout);
}

#[test]
fn etcd_calls_by_method_and_outcome() {
    let Some(run) = calls("etcd/etcd.pcap", &[]) else { return };
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let calls = run.done();
    for call in &calls {
        let key = (
            call["path"].as_str().unwrap_or("unknown").to_owned(),
            call["outcome"].as_str().unwrap_or("unknown").to_owned(),
        );
        *counts.entry(key).or_default() += 1;
    }
    let expected: BTreeMap<(String, String), usize> = [
        ("Cluster/MemberList", "ok", 1),
        ("KV/DeleteRange", "ok", 1),
        ("KV/Put", "ok", 709),
        ("KV/Range", "ok", 2),
        ("KV/Txn", "ok", 1),
        ("Lease/LeaseGrant", "ok", 1),
        ("Maintenance/Status", "ok", 1),
        ("Watch/Watch", "open", 1),
    ]
    .into_iter()
    .map(|(method, outcome, count)| ((format!("/etcdserverpb.{method}"), outcome.to_owned()), count))
    .collect();
    // Calls that began before the capture have no method in it.
    counts.retain(|(path, _), _| path != "unknown");
    assert_eq!(counts, expected);
    assert_eq!(expected.values().sum::<usize>(), 717);
}

#[test]
fn shop() {
    let Some(run) = calls("shop/shop.pcap", &["shop/proto"]) else { return };
    let calls = run.done();
    let truth = std::fs::read_to_string(outside("shop/shop.expected.jsonl").unwrap()).unwrap();
    assert_eq!(calls.len(), 74);
    for line in truth.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let call = calls.iter().find(|call| call["stream"] == row["stream"]).unwrap();
        assert_eq!(call["path"].as_str().unwrap()[1..], *row["method"].as_str().unwrap());
        assert_eq!(call["status"]["code"], row["status"], "stream {}", row["stream"]);
        for (side, bodies) in [(Side::Client, &row["requests"]), (Side::Server, &row["responses"])] {
            let shown: Value = messages_of(call, side).iter().map(|message| message["body"].clone()).collect();
            assert!(same(&shown, bodies), "stream {}: {shown} is not {bodies}", row["stream"]);
        }
    }
}

#[test]
fn wireshark_person_search_with_protobuf() {
    let file = "wireshark/grpc_person_search_protobuf_with_image.pcapng.gz";
    let Some(run) = calls(file, &["wireshark/protos"]) else { return };
    let calls = run.done();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(call["path"], "/tutorial.PersonSearchService/Search");
    assert_eq!((call["outcome"].as_str(), &call["status"]["code"]), (Some("ok"), &json!(0)));
    assert_eq!((lengths(call, Side::Client), lengths(call, Side::Server)), (vec![13], vec![66, 179]));
    let first = &messages_of(call, Side::Server)[0]["body"];
    assert_eq!(first["name"], "Jason");
    assert_eq!(first["lastUpdated"].as_str().map(|time| &time[..19]), Some("2020-10-13T15:11:26"), "{first}");
    assert_eq!(call["packets"]["last"], 20);
    // The packets in which the messages end.
    let path = text(&outside(file).unwrap());
    let data: Vec<(Value, u64)> = run_json(&["frames", "--json", &path])
        .into_iter()
        .filter(|frame| frame["type"] == "DATA" && frame["length"].as_u64() > Some(0))
        .map(|frame| (frame["packet"].clone(), frame["length"].as_u64().unwrap()))
        .collect();
    assert_eq!(data, [(json!(12), 18), (json!(16), 71), (json!(18), 184)]);
    assert!(run_json(&["connections", "--json", "-v", &path]).iter().any(|line| line["link_types"] == json!(["NULL"])));
}

fn run_json(arguments: &[&str]) -> Vec<Value> {
    run(arguments).values()
}

#[test]
fn wireshark_person_search_with_json_bodies() {
    let Some(run) = calls("wireshark/grpc_person_search_json_with_image.pcapng.gz", &[]) else { return };
    let calls = run.done();
    assert_eq!(calls.len(), 1);
    assert_eq!((lengths(&calls[0], Side::Client), lengths(&calls[0], Side::Server)), (vec![31], vec![208, 368]));
    for side in Side::BOTH {
        for message in messages_of(&calls[0], side) {
            assert!(message["body"].is_object(), "the JSON is shown as it is: {message}");
        }
    }
}

#[test]
fn wireshark_person_search_joined_in_the_middle() {
    let file = "wireshark/grpc_person_search_protobuf_with_image-missing_headers.pcapng.gz";
    let Some(run) = calls(file, &[]) else { return };
    let bare = run.done();
    assert_eq!(bare.len(), 1);
    assert_eq!(lengths(&bare[0], Side::Server), [66, 179]);
    assert_eq!(bare[0]["path"], Value::Null);
    let guessed = calls(file, &["wireshark/protos"]).unwrap().done();
    assert_eq!(guessed.len(), 1);
    assert_eq!(lengths(&guessed[0], Side::Server), [66, 179]);
    assert_eq!(guessed[0]["path"], "/tutorial.PersonSearchService/Search");
    let marked: Vec<&str> = guessed[0]["guessed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(marked.contains(&"path") && marked.contains(&"type"), "{marked:?}");
    assert_eq!(messages_of(&guessed[0], Side::Server)[0]["body"]["name"], "Jason");
}

#[test]
fn wireshark_messages_that_begin_and_end_anywhere() {
    let Some(run) = calls("wireshark/grpc_stream_reassembly_sample.pcapng.gz", &[]) else { return };
    let calls = run.done();
    let shown: Vec<(&str, Vec<u64>, Vec<u64>)> = calls
        .iter()
        .map(|call| (call["path"].as_str().unwrap(), lengths(call, Side::Client), lengths(call, Side::Server)))
        .collect();
    // Packet 28 holds four whole messages and 4 bytes of the fifth; the one of 40,057 lies across packets 100 to 139.
    // The last one has begun where the capture ends.
    let streamed = vec![4090, 4090, 4090, 4090, 4090, 20_057, 20_057, 20_057, 40_057, 40_058];
    assert_eq!(
        shown,
        [("/streamtest.StreamTest/StreamCall", streamed, vec![]), ("/TestService/Unary", vec![200_004], vec![7])]
    );
    // From the headers in packet 145 to packet 164, in which the message ends.
    assert_eq!(messages_of(&calls[1], Side::Client)[0]["at_ns"], 2_942_000);
    let noted: Vec<&Value> = calls
        .iter()
        .flat_map(|call| Side::BOTH.map(|side| messages_of(call, side)))
        .flatten()
        .filter(|message| notes(message) != &json!([]))
        .map(|message| &message["length"])
        .collect();
    assert_eq!(noted, [40_058]);
}

#[test]
fn wireshark_tls_without_a_key() {
    let file = "wireshark/http2-data-reassembly.pcap";
    let Some(run) = calls(file, &[]) else { return };
    assert_eq!(run.done(), Vec::<Value>::new());
    assert!(run.stderr.contains("TLS") && run.stderr.contains("key"), "{}", run.stderr);
    let connections = run_json(&["connections", "--json", &text(&outside(file).unwrap())]);
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0]["protocol"], "tls");
}

#[test]
fn wireshark_overlaps_and_holes() {
    let Some(path) = outside("wireshark/tcp-badsegments.pcap") else { return };
    let connections = run_json(&["connections", "--json", &text(&path)]);
    let gaps: Vec<u64> = connections
        .iter()
        .flat_map(|connection| {
            ["to_server", "to_client"].map(|side| connection[side]["gaps"].as_array().unwrap().clone())
        })
        .flatten()
        .map(|gap| gap["length"].as_u64().unwrap())
        .collect();
    let mut sorted = gaps.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(sorted, [32, 16, 13, 1]);
}

#[test]
fn every_file_of_the_pcapng_suite() {
    let Some(suite) = outside("pcapng-suite") else { return };
    let mut checked = 0;
    for order in ["output_be", "output_le"] {
        for (file, packets) in PACKETS {
            let path = text(&suite.join(order).join(file));
            let run = run(&["connections", "--json", "-v", &path]);
            assert_eq!(run.status, Some(0), "{path}: {}", run.stderr);
            let last = run.values().pop().unwrap_or_else(|| panic!("{path}: no last line"));
            assert_eq!(last["packets"], *packets, "{path}");
            checked += 1;
        }
    }
    assert_eq!(checked, 48);
}

/// Packets in each file of the suite, the same in both byte orders, as `capinfos -c` counts them.
const PACKETS: &[(&str, u64)] = &[
    ("advanced/test100.pcapng", 5),
    ("advanced/test101.pcapng", 4),
    ("advanced/test102.pcapng", 5),
    ("basic/test001.pcapng", 4),
    ("basic/test002.pcapng", 0),
    ("basic/test003.pcapng", 0),
    ("basic/test004.pcapng", 4),
    ("basic/test005.pcapng", 4),
    ("basic/test006.pcapng", 5),
    ("basic/test007.pcapng", 1),
    ("basic/test008.pcapng", 4),
    ("basic/test009.pcapng", 2),
    ("basic/test010.pcapng", 4),
    ("basic/test011.pcapng", 4),
    ("basic/test012.pcapng", 4),
    ("basic/test013.pcapng", 0),
    ("basic/test014.pcapng", 0),
    ("basic/test015.pcapng", 0),
    ("basic/test016.pcapng", 4),
    ("basic/test017.pcapng", 0),
    ("basic/test018.pcapng", 4),
    ("difficult/test200.pcapng", 0),
    ("difficult/test201.pcapng", 4),
    ("difficult/test202.pcapng", 8),
];

#[test]
fn the_table_is_what_capinfos_counts() {
    let Some(suite) = outside("pcapng-suite") else { return };
    for order in ["output_be", "output_le"] {
        for (file, packets) in PACKETS {
            let path = text(&suite.join(order).join(file));
            let Some(said) = support::environment::tool("capinfos", &["-T", "-m", "-r", "-c", &path]) else { return };
            let count = said.trim().rsplit(',').next().unwrap().to_owned();
            assert_eq!(count, packets.to_string(), "{path}");
        }
    }
}
