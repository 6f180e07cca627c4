//! What `export` writes: read again, the same calls and the same values.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{environment, run};

/// Recordings, each with the options that are needed to read it.
const RECORDINGS: &[(&str, &[&str])] = &[
    ("shop/shop.pcap", &["--proto", "shop/shop.proto"]),
    ("etcd/etcd.pcap", &[]),
    ("hello/hello.pcap", &["--proto", "hello/hello.proto"]),
    ("containerd/containerd.strace", &["--proto", "containerd/schema"]),
    ("unix/unix.strace", &["--proto", "shop/shop.proto"]),
    ("cancels/cancels.pcap", &["--proto", "cancels/greeter.proto"]),
    ("endings/endings.pcap", &["--proto", "endings/greeter.proto"]),
    ("goaway/goaway.pcap", &["--proto", "goaway/greeter.proto"]),
    ("goaway-first/goaway.pcap", &[]),
    ("upgrade/upgrade.pcap", &["--proto", "upgrade/greeter.proto"]),
    ("upgrade-forms/100c.pcap", &[]),
    ("upgrade-forms/list.pcap", &[]),
    ("upgrade-forms/chunked.pcap", &[]),
    ("grpc-web/web.pcap", &[]),
    ("secrets/secrets.pcap", &[]),
    ("both-ends-10ms/both-ends.pcap", &[]),
    ("both-ends-70ms/both-ends.pcap", &[]),
    ("esc/esc.pcap", &[]),
    ("threads/threads.strace", &[]),
    ("threads/grpcio.strace", &["--proto", "shop/shop.proto"]),
    ("hidden-characters/bidi-path.strace", &[]),
];

/// What is chosen from each recording.
const FILTERS: &[&str] = &[
    "",
    "rpc.outcome == ok",
    "rpc.outcome != ok",
    "rpc.duration > 1ms",
    "rpc.messages > 2",
    "rpc.no in {1, 3, 5..9}",
    "rpc.kind == unary",
    "http2.streamid > 1",
    "rpc.bytes > 100",
    "rpc.status != 0 || rpc.end == reset",
    "rpc.note",
];

#[test]
fn an_export_holds_the_same_calls() {
    let mut faults = Vec::new();
    let mut exports = 0;
    for (recording, options) in RECORDINGS {
        let directory = tempfile::tempdir().unwrap();
        for filter in FILTERS {
            let file = directory.path().join("export.pcapng");
            let expected = calls(Path::new(recording), options, filter);
            if expected.is_empty() {
                continue;
            }
            let export = ["export", recording, "-q", "-w", file.to_str().unwrap(), "-Y", filter];
            let export = run::run_in(&environment::captures(), &[&export[..], options].concat());
            assert_eq!((export.status, &*export.stderr), (Some(0), ""), "{recording} {filter}");
            exports += 1;
            let found = differences(&expected, &calls(&file, options, ""));
            faults.extend(found.map(|fault| format!("{recording} -Y {filter:?}: {fault}")));
        }
    }
    assert!(exports > 100, "only {exports} exports were compared");
    assert!(
        faults.is_empty(),
        "{} of {exports} exports differ:\n{}",
        faults.len(),
        faults[..faults.len().min(20)].join("\n")
    );
}

/// Recordings, each with the packets that are removed from it, one at a time.
const THINNED: &[(&str, &[&str], std::ops::Range<usize>, usize)] = &[
    ("shop/shop.pcap", &["--proto", "shop/shop.proto"], 4..340, 12),
    // A reset that crosses the end of its call.
    ("shop/shop.pcap", &["--proto", "shop/shop.proto"], 206..207, 1),
    ("cancels/cancels.pcap", &["--proto", "cancels/greeter.proto"], 4..56, 2),
    ("endings/endings.pcap", &["--proto", "endings/greeter.proto"], 4..30, 3),
];

#[test]
fn an_export_of_a_capture_with_a_lost_packet_holds_the_same_calls() {
    let directory = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for (recording, options, packets, step) in THINNED {
        let whole = std::fs::read(environment::captures().join(recording)).unwrap();
        for lost in packets.clone().step_by(*step) {
            let [thinned, file] = ["thinned.pcap", "export.pcapng"].map(|name| directory.path().join(name));
            std::fs::write(&thinned, support::pcap::without_packet(&whole, lost)).unwrap();
            let export = ["export", thinned.to_str().unwrap(), "-q", "-w", file.to_str().unwrap()];
            let export = run::run_in(&environment::captures(), &[&export[..], options].concat());
            assert_eq!((export.status, &*export.stderr), (Some(0), ""), "{recording} without packet {lost}");
            let found = differences(&calls(&thinned, options, ""), &calls(&file, options, ""));
            faults.extend(found.map(|fault| format!("{recording} without packet {lost}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} exports differ:\n{}", faults.len(), faults[..faults.len().min(5)].join("\n"));
}

/// The calls of a file, without what may differ in an export.
fn calls(file: &Path, options: &[&str], filter: &str) -> Vec<Value> {
    let arguments = ["calls", file.to_str().unwrap(), "--json", "--all-headers", "-q", "-Y", filter];
    let run = run::run_in(&environment::captures(), &[&arguments[..], options].concat());
    run.stdout.lines().map(|line| comparable(serde_json::from_str(line).unwrap())).collect()
}

fn comparable(mut call: Value) -> Value {
    for name in ["no", "file", "packets", "connection", "tcp_stream"] {
        call.as_object_mut().unwrap().shift_remove(name);
    }
    without_packets(&mut call);
    call
}

/// Notes and messages name packets, and an export has its own.
fn without_packets(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(without_packets),
        Value::Object(members) => {
            let has_packet = ["severity", "at_ns"].into_iter().any(|name| members.contains_key(name));
            if has_packet {
                members.shift_remove("packet");
                members.shift_remove("file");
            }
            members.iter_mut().filter(|(name, _)| *name != "body").for_each(|(_, value)| without_packets(value));
        }
        _ => {}
    }
}

/// How two lists of calls differ. Calls that begin at one time may be in another order.
fn differences(expected: &[Value], found: &[Value]) -> Option<String> {
    let key = |call: &Value| call.to_string();
    let sorted = |calls: &[Value]| {
        let mut calls: Vec<String> = calls.iter().map(key).collect();
        calls.sort();
        calls
    };
    let (expected, found) = (sorted(expected), sorted(found));
    if expected == found {
        return None;
    }
    let lost = expected.iter().find(|call| !found.contains(call));
    let new = found.iter().find(|call| !expected.contains(call));
    let begin = lost.zip(new).map_or(0, |(a, b)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count());
    let part = |text: Option<&String>| -> String {
        let text = text.map_or("", |text| text);
        String::from_utf8_lossy(text.as_bytes().get(begin.saturating_sub(40)..).unwrap_or_default())
            .chars()
            .take(400)
            .collect()
    };
    let (count, wanted) = (found.len(), expected.len());
    Some(format!("{count} calls instead of {wanted}\n  expected {}\n  found    {}", part(lost), part(new)))
}

/// How many packets of a file tshark calls malformed; `None` where it is not installed or does not read such files.
fn malformed(file: &Path) -> Option<usize> {
    let packets = environment::tool("tshark", &["-r", file.to_str().unwrap(), "-Y", "_ws.malformed"])?;
    Some(packets.lines().count())
}

#[test]
fn tshark_opens_each_export_without_malformed_packets() {
    for (recording, _) in RECORDINGS {
        let directory = tempfile::tempdir().unwrap();
        let original = environment::captures().join(recording);
        for filter in ["", "rpc.no > 2"] {
            let file = directory.path().join("export.pcapng");
            let export = ["export", original.to_str().unwrap(), "-q", "-w", file.to_str().unwrap(), "-Y", filter];
            assert_eq!(run::run(&export).status, Some(0));
            let Some(found) = malformed(&file) else { return };
            // tshark has a fault of its own where HTTP/1.1 is upgraded.
            let own = if recording.starts_with("upgrade") { malformed(&original).unwrap_or(0) } else { 0 };
            assert!(found <= own, "{found} malformed packets: {recording} -Y {filter:?}");
        }
    }
}

#[test]
fn json_lines_are_those_of_calls() {
    let all = ["shop/shop.pcap", "--proto", "shop/shop.proto", "-Y", "rpc.status != OK"];
    let calls = run::run_in(&environment::captures(), &[&["calls", "--json"], &all[..]].concat());
    let export = run::run_in(&environment::captures(), &[&["export", "--format", "jsonl"], &all[..]].concat());
    assert!(!calls.stdout.is_empty());
    assert_eq!(export.stdout, calls.stdout);
}

#[test]
fn csv_has_a_line_for_each_call_and_the_chosen_fields() {
    let export = ["export", "shop/shop.pcap", "1-3", "--format", "csv", "-e", "rpc.no", "-e", "rpc.method"];
    let export = run::run_in(&environment::captures(), &export);
    assert_eq!(export.stdout, "rpc.no,rpc.method\r\n1,GetOrder\r\n2,GetOrder\r\n3,GetOrder\r\n");
    let wrong = ["export", "shop/shop.pcap", "--format", "csv", "-e", "rpc.sttus"];
    let wrong = run::run_in(&environment::captures(), &wrong);
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("did you mean"), "{}", wrong.stderr);
}

#[test]
fn messages_are_files_of_their_bytes() {
    let directory = environment::temporary();
    let messages = directory.path().join("messages");
    let export = ["export", "hello/hello.pcap", "1", "--messages", messages.to_str().unwrap()];
    assert_eq!(run::run_in(&environment::captures(), &export).status, Some(0));
    let bytes = |name: &str| std::fs::read(messages.join(name)).unwrap();
    assert_eq!(bytes("1-request-1.bin"), b"\x0a\x05world");
    assert_eq!(bytes("1-response-1.bin"), b"\x0a\x0bHello world");
    assert_eq!(std::fs::read_dir(&messages).unwrap().count(), 2);
}

#[test]
fn a_call_is_a_grpcurl_command_line_without_secrets() {
    let call = ["export", "shop/shop.pcap", "1", "--format", "grpcurl", "--proto", "shop/shop.proto"];
    let export = run::run_in(&environment::captures(), &call);
    assert!(export.stdout.starts_with("grpcurl -plaintext -import-path shop -proto shop.proto "), "{}", export.stdout);
    assert!(export.stdout.ends_with("acme.shop.v1.Orders/GetOrder\n"), "{}", export.stdout);
    assert!(export.stdout.contains("-H 'authorization: HIDDEN'"), "{}", export.stdout);
    assert!(export.stdout.contains("-H 'blob-bin: AP8A'"), "{}", export.stdout);
    assert!(export.stderr.contains("--show-secrets"), "{}", export.stderr);
    let shown = run::run_in(&environment::captures(), &[&call[..], &["--show-secrets"]].concat());
    assert!(!shown.stdout.contains("HIDDEN") && shown.stderr.is_empty(), "{} {}", shown.stdout, shown.stderr);
    let two = run::run_in(&environment::captures(), &["export", "shop/shop.pcap", "1-2", "--format", "grpcurl"]);
    assert_eq!(two.status, Some(2));
}

#[test]
fn the_capture_that_is_read_is_never_overwritten() {
    let directory = environment::temporary();
    let file = directory.path().join("a.pcap");
    std::fs::copy(environment::captures().join("hello/hello.pcap"), &file).unwrap();
    let before = std::fs::read(&file).unwrap();
    let export = run::run(&["export", file.to_str().unwrap(), "-w", file.to_str().unwrap()]);
    assert_eq!(export.status, Some(5), "{}", export.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn standard_input_is_exported_as_a_file_is() {
    let directory = environment::temporary();
    let input = std::fs::read(environment::captures().join("hello/hello.pcap")).unwrap();
    let [piped, named] = ["piped", "named"].map(|name| directory.path().join(name));
    let run = run::run_with_input(&["export", "-", "-w", piped.to_str().unwrap()], &input);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let original = environment::captures().join("hello/hello.pcap");
    run::run(&["export", original.to_str().unwrap(), "-w", named.to_str().unwrap()]);
    assert_eq!(std::fs::read(piped).unwrap(), std::fs::read(named).unwrap());
}

#[test]
fn the_original_packets_of_the_chosen_connections_are_copied_as_they_are() {
    let directory = environment::temporary();
    let copy = directory.path().join("copy.pcapng");
    for (recording, filter, has_others) in [
        ("shop/shop.pcap", "rpc.no == 1", false),
        ("etcd/etcd.pcap", "rpc.no in {1, 5}", true),
        ("both-ends-10ms/both-ends.pcap", "rpc.no == 2", false),
    ] {
        let export = ["export", recording, "--original-packets", "-w", copy.to_str().unwrap(), "-Y", filter];
        let export = run::run_in(&environment::captures(), &export);
        assert_eq!(export.status, Some(0), "{}", export.stderr);
        let original = std::fs::read(environment::captures().join(recording)).unwrap();
        let original = support::pcap::packets(&original);
        let mut copied = support::pcap::pcapng_packets(&std::fs::read(&copy).unwrap());
        assert_eq!(copied.len() < original.len(), has_others, "{recording}");
        assert!(export.stderr.contains(&format!("{} packets", copied.len())), "{}", export.stderr);
        // The same bytes in the same order.
        let mut rest = original.iter();
        copied.retain(|packet| !rest.any(|original| original == packet));
        assert!(copied.is_empty(), "{recording}: {} packets are not those of the original", copied.len());
        let expected = calls(Path::new(recording), &[], filter);
        let found = calls(&copy, &[], "");
        assert!(!expected.is_empty() && expected.iter().all(|call| found.contains(call)), "{recording}");
    }
}

#[test]
fn a_log_has_no_packets_to_copy() {
    let export = ["export", "unix/unix.strace", "--original-packets", "-w", "/dev/null"];
    let export = run::run_in(&environment::captures(), &export);
    assert_eq!(export.status, Some(2));
    assert!(export.stderr.contains("holds no packets"), "{}", export.stderr);
}

/// A piece of an NRI trunk: the number of a connection, a length, bytes.
fn trunk_piece(number: u32, bytes: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A frame of ttrpc.
fn ttrpc_frame(stream: u32, kind: u8, data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32).to_be_bytes()[..], &stream.to_be_bytes(), &[kind, 0], data].concat()
}

#[test]
fn calls_of_a_trunk_are_exported_one_by_one_though_their_frames_are_cut() {
    let request = |payload: &[u8]| {
        let head = b"\x0a\x1bnri.pkg.api.v1alpha1.Plugin\x12\x09Configure\x1a";
        [&head[..], &[payload.len() as u8], payload].concat()
    };
    let mut traffic = support::traffic::Traffic::new();
    let client = &mut support::traffic::Client::new(1);
    traffic.packet(client, false, support::traffic::SYN, b"");
    traffic.packet(client, true, support::traffic::SYN | support::traffic::ACK, b"");
    let register = b"\x0a\x1cnri.pkg.api.v1alpha1.Runtime\x12\x0eRegisterPlugin\x1a\x02\x0a\x00";
    let mut send = |to_client, pieces: &[Vec<u8>]| {
        for piece in pieces {
            traffic.packet(client, to_client, support::traffic::ACK, piece);
        }
    };
    send(false, &[trunk_piece(2, &ttrpc_frame(1, 1, register))]);
    send(true, &[trunk_piece(2, &ttrpc_frame(1, 2, b""))]);
    // A request and an answer, on two connections, each in two pieces that are between each other.
    let one = ttrpc_frame(1, 1, &request(&b"first".repeat(9)));
    let two = ttrpc_frame(3, 2, &[&b"\x12\x5a"[..], &b"answer".repeat(15)].concat());
    let cut = |number, frame: &[u8]| frame.chunks(60).map(|part| trunk_piece(number, part)).collect::<Vec<_>>();
    let [one, two] = [cut(1, &one), cut(2, &two)];
    send(false, &[trunk_piece(2, &ttrpc_frame(3, 1, register))]);
    send(true, &[one[0].clone(), two[0].clone(), one[1].clone(), two[1].clone()]);
    send(false, &[trunk_piece(1, &ttrpc_frame(1, 2, b"\x12\x01y"))]);

    let directory = environment::temporary();
    let [capture, export] = ["trunk.pcap", "export.pcapng"].map(|name| directory.path().join(name));
    std::fs::write(&capture, &traffic.bytes).unwrap();
    let all = calls(&capture, &[], "");
    assert_eq!(all.len(), 3, "{all:?}");
    for chosen in ["rpc.no == 2", "rpc.no == 3", "rpc.no in {1, 3}", "rpc.no > 1"] {
        let arguments = ["export", capture.to_str().unwrap(), "-w", export.to_str().unwrap(), "-Y", chosen];
        let run = run::run(&arguments);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(!run.stderr.contains("cannot be separated"), "{}", run.stderr);
        assert_eq!(differences(&calls(&capture, &[], chosen), &calls(&export, &[], "")), None, "{chosen}");
    }
}

/// Recordings of gRPC-Web and Connect over HTTP/1.1.
const HTTP1: [&str; 3] = ["grpc-web-1/web.pcap", "connect-1/web.pcap", "connect-json-1/web.pcap"];

#[test]
fn single_calls_of_http1_connections_are_exported() {
    let directory = environment::temporary();
    let file = directory.path().join("export.pcapng");
    for recording in HTTP1.into_iter().filter(|recording| environment::captures().join(recording).exists()) {
        for filter in
            ["", "rpc.no == 1", "rpc.no == 3", "rpc.no in {2, 5}", "rpc.method == ListOrders", "rpc.status != OK"]
        {
            let export = ["export", recording, "-w", file.to_str().unwrap(), "-Y", filter];
            let export = run::run_in(&environment::captures(), &export);
            assert_eq!(export.status, Some(0), "{}", export.stderr);
            let expected = calls(Path::new(recording), &[], filter);
            assert!(!expected.is_empty(), "{recording} {filter}");
            assert_eq!(differences(&expected, &calls(&file, &[], "")), None, "{recording} {filter}");
        }
    }
}

#[test]
fn upgraded_calls_stay_what_they_are_when_packets_are_lost_and_when_secrets_are_replaced() {
    let directory = environment::temporary();
    let [cut, file] = ["cut.pcap", "export.pcapng"].map(|name| directory.path().join(name));
    let forms = ["upgrade-forms/100c.pcap", "upgrade-forms/list.pcap", "upgrade-forms/chunked.pcap"];
    let outline = |calls: &[Value]| -> Vec<String> {
        let count = |call: &Value, side: &str| call[side]["messages"].as_array().map_or(0, Vec::len);
        let line = |call: &Value| {
            let (requests, responses) = (count(call, "request"), count(call, "response"));
            let [path, outcome, end, duration] = ["path", "outcome", "end", "duration_ns"].map(|name| &call[name]);
            format!("{path} {outcome} {end} {duration} {requests} {responses}")
        };
        calls.iter().map(line).collect()
    };
    for form in forms {
        let whole = std::fs::read(environment::captures().join(form)).unwrap();
        for lost in 2..13 {
            std::fs::write(&cut, support::pcap::without_packet(&whole, lost)).unwrap();
            let original = calls(&cut, &[], "");
            for redact in [&[][..], &["--redact"]] {
                let export = ["export", cut.to_str().unwrap(), "-w", file.to_str().unwrap()];
                let export = run::run(&[&export[..], redact].concat());
                assert!(matches!(export.status, Some(0 | 1)), "{}", export.stderr);
                let exported = calls(&file, &[], "");
                assert_eq!(outline(&original), outline(&exported), "{form} without packet {lost} {redact:?}");
            }
        }
    }
}

#[test]
fn all_fragments_of_a_connection_are_copied_and_none_of_another() {
    use support::traffic::{Client, SERVER, Traffic, ip_header};
    let mut whole = Traffic::new();
    let mut clients = [Client::new(0), Client::new(50_000)];
    clients.iter_mut().for_each(|client| whole.open(client));
    for stream in [1, 3] {
        for client in &mut clients {
            whole.call(client, stream, "/a.B/C", &[b'a'; 300], &[b'b'; 500]);
        }
    }
    // Each segment that is long enough in two fragments, those of the first connection before those of the second.
    let mut fragmented = Traffic::new();
    let mut late = Vec::new();
    for (id, packet) in (1..).zip(support::pcap::packets(&whole.bytes)) {
        let payload = &packet[20..];
        if payload.len() <= 80 {
            fragmented.datagram(&[&packet]);
            continue;
        }
        let [from, to] = [12, 16].map(|at| <[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
        assert!(from == SERVER.0 || to == SERVER.0);
        let (first, second) = payload.split_at(80);
        fragmented.datagram(&[&ip_header([from, to], id, 0x2000, first.len()), first]);
        late.push([&ip_header([from, to], id, 10, second.len())[..], second].concat());
        if late.len() == 2 {
            late.drain(..).for_each(|fragment| fragmented.datagram(&[&fragment]));
        }
    }
    late.drain(..).for_each(|fragment| fragmented.datagram(&[&fragment]));
    let directory = environment::temporary();
    let [capture, copy] = ["fragments.pcap", "copy.pcapng"].map(|name| directory.path().join(name));
    std::fs::write(&capture, &fragmented.bytes).unwrap();
    let expected = calls(&capture, &[], "connection == 1");
    assert_eq!(expected.len(), 2, "{expected:?}");
    let export = ["export", capture.to_str().unwrap(), "--original-packets", "-w", copy.to_str().unwrap()];
    let export = run::run(&[&export[..], &["-Y", "connection == 1"]].concat());
    assert_eq!(export.status, Some(0), "{}", export.stderr);
    let copied = support::pcap::pcapng_packets(&std::fs::read(&copy).unwrap());
    let original = support::pcap::packets(&fragmented.bytes);
    let of = |packets: &[Vec<u8>], address: [u8; 4]| {
        packets.iter().filter(|packet| packet[12..16] == address || packet[16..20] == address).count()
    };
    let [first, second] = [[10, 0, 0, 0], [10, 0, 0, 1]];
    assert_eq!((of(&copied, first), of(&copied, second)), (0, of(&original, second)));
    assert_eq!(differences(&expected, &calls(&copy, &[], "")), None);
}

#[test]
fn calls_of_a_hybrid_vsock_socket_are_exported_behind_its_first_lines() {
    use support::traffic::{ACK, Client, SYN, Traffic};
    let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
    traffic.packet(&mut client, false, SYN, b"");
    traffic.packet(&mut client, true, SYN | ACK, b"");
    traffic.packet(&mut client, false, ACK, b"CONNECT 1024\n");
    traffic.packet(&mut client, true, ACK, b"OK 1073741824\n");
    for stream in [1, 3, 5] {
        traffic.packet(&mut client, false, ACK, &ttrpc_frame(stream, 1, b"\x0a\x06a.Task\x12\x02Do\x1a\x03\x0a\x01x"));
        traffic.packet(&mut client, true, ACK, &ttrpc_frame(stream, 2, b"\x12\x04\x0a\x02yz"));
    }
    let directory = environment::temporary();
    let [capture, export] = ["vsock.pcap", "export.pcapng"].map(|name| directory.path().join(name));
    std::fs::write(&capture, &traffic.bytes).unwrap();
    for chosen in ["", "rpc.no == 2", "rpc.no in {1, 3}"] {
        let arguments = ["export", capture.to_str().unwrap(), "-w", export.to_str().unwrap(), "-Y", chosen];
        assert_eq!(run::run(&arguments).status, Some(0));
        let found = calls(&export, &[], "");
        assert!(!found.is_empty());
        assert_eq!(differences(&calls(&capture, &[], chosen), &found), None, "{chosen}");
        let notes = run::run(&["connections", export.to_str().unwrap()]).stdout;
        assert!(
            notes.contains("hybrid vsock: CONNECT 1024") && notes.contains("hybrid vsock: OK 1073741824"),
            "{notes}"
        );
    }
    let redacted = ["export", capture.to_str().unwrap(), "-w", export.to_str().unwrap(), "--redact"];
    assert_eq!(run::run(&redacted).status, Some(0));
    assert_eq!(calls(&export, &[], "").len(), 3);
}
