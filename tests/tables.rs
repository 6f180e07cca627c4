//! Tables: what `methods` says is what follows from `calls --json` in another way.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use support::run::{Run, run};

const CASES: [&[&str]; 4] = [
    &["tests/captures/shop/shop.pcap", "--proto", "tests/captures/shop/shop.proto"],
    &["tests/captures/etcd/etcd.pcap"],
    &["tests/captures/containerd/containerd.strace"],
    &["tests/captures/goaway/goaway.pcap"],
];

/// What a call is grouped by.
type Key = fn(&Value) -> Value;

/// Runs a command on a case, and reads the objects that it prints.
fn objects(command: &[&str], case: &[&str]) -> Vec<Value> {
    let Run { stdout, stderr, line, .. } = run(&[command, case].concat());
    let objects: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!objects.is_empty(), "{line}: {stderr}");
    objects
}

/// Percentiles by nearest rank: the k-th of n values in order, where k is the smallest whole number that is not below
/// n · percent / 100.
fn percentiles(mut values: Vec<i64>) -> Value {
    values.sort_unstable();
    let nearest = |percent: f64| {
        let rank = (values.len() as f64 * percent / 100.0).ceil() as usize;
        values.get(rank.max(1) - 1).copied()
    };
    json!({"count": values.len(), "p50": nearest(50.0), "p90": nearest(90.0), "p99": nearest(99.0), "max": values.last()})
}

/// What `methods --json` has to say of calls as `calls --json` prints them.
fn expected(calls: &[&Value]) -> Value {
    let durations = calls.iter().filter_map(|call| call["duration_ns"].as_i64()).collect();
    let answered = calls.iter().filter(|call| !call["request"]["headers_at_ns"].is_null());
    let first_answers = answered.filter_map(|call| call["response"]["messages"][0]["at_ns"].as_i64()).collect();
    let count = |wanted: &[&str]| {
        let outcome = |call: &Value| call["outcome"].as_str().unwrap_or("unknown").to_owned();
        calls.iter().filter(|call| wanted.contains(&outcome(call).as_str())).count()
    };
    let mut statuses = BTreeMap::new();
    for call in calls {
        let outcome = call["outcome"].as_str().unwrap_or("unknown");
        let status = if call["status"].is_null() { &call["mapped"] } else { &call["status"] };
        if matches!(outcome, "ok" | "error" | "reset") && !status.is_null() {
            *statuses.entry((status["code"].as_u64(), status["name"].as_str())).or_insert(0) += 1;
        }
    }
    let statuses: Vec<Value> =
        statuses.into_iter().map(|((code, name), calls)| json!({"code": code, "name": name, "calls": calls})).collect();
    let traffic = |side: &str| {
        let messages = calls.iter().flat_map(|call| call[side]["messages"].as_array().unwrap());
        let lengths: Vec<u64> = messages.map(|message| message["length"].as_u64().unwrap()).collect();
        json!({"messages": lengths.len(), "bytes": lengths.iter().sum::<u64>()})
    };
    json!({
        "calls": calls.len(),
        "errors": count(&["error", "reset"]),
        "outcomes": {
            "ok": count(&["ok"]), "error": count(&["error"]), "reset": count(&["reset"]),
            "incomplete": count(&["incomplete"]), "open": count(&["open"]), "unknown": count(&["unknown"]),
        },
        "statuses": statuses,
        "duration_ns": percentiles(durations),
        "first_answer_ns": percentiles(first_answers),
        "request": traffic("request"),
        "response": traffic("response"),
        "first": calls.iter().map(|call| call["start"].as_str().unwrap()).min(),
        "last": calls.iter().map(|call| call["start"].as_str().unwrap()).max(),
    })
}

#[test]
fn methods_are_what_follows_from_their_calls() {
    for case in CASES {
        let calls = objects(&["calls", "--json"], case);
        let bys: [(&str, Key); 5] = [
            ("method", |call| call["path"].clone()),
            ("service", |call| call["service"].clone()),
            ("connection", |call| call["connection"].clone()),
            ("client", |call| call["client"].clone()),
            ("rpc.kind", |call| call["kind"].clone()),
        ];
        for (by, key) in bys {
            let groups = objects(&["methods", "--json", "--by", by], case);
            let mut seen = 0;
            for group in &groups {
                let value = if by == "method" { &group["path"] } else { &group["value"] };
                // Fields say `?` where a value is not known.
                let is_in = |call: &&Value| key(call) == *value || (value == "?" && key(call).is_null());
                let members: Vec<&Value> = calls.iter().filter(is_in).collect();
                seen += members.len();
                for (name, expected) in expected(&members).as_object().unwrap() {
                    assert_eq!(group[name], *expected, "{case:?} by {by}: {value} {name}");
                }
            }
            assert_eq!(seen, calls.len(), "{case:?} by {by}: every call is in one group");
        }
    }
}

#[test]
fn methods_are_sorted_and_limited_by_columns() {
    let shop = CASES[0];
    let by_p99 = objects(&["methods", "--json", "--sort", "-p99", "--limit", "3"], shop);
    let p99: Vec<i64> = by_p99.iter().map(|group| group["duration_ns"]["p99"].as_i64().unwrap()).collect();
    assert_eq!(p99.len(), 3);
    assert!(p99.is_sorted_by(|a, b| a >= b), "{p99:?}");
    let all = objects(&["methods", "--json"], shop);
    assert_eq!(p99.first(), all.iter().filter_map(|group| group["duration_ns"]["p99"].as_i64()).max().as_ref());
    let open_last = objects(&["methods", "--json", "--sort", "p50"], CASES[1]);
    assert!(open_last.last().unwrap()["duration_ns"]["p50"].is_null(), "a method without a duration comes last");
    let wrong = run(&[&["methods", "--sort", "p95"], shop].concat());
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("did you mean p90?"), "{}", wrong.stderr);
    let wrong = run(&[&["methods", "--sort", "rpc.duration"], shop].concat());
    assert!(wrong.stderr.contains("p50, p90, p99"), "{}", wrong.stderr);
}

/// The value of a member of an object by its path.
fn member<'v>(object: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(object, |value, name| &value[name])
}

/// What `-T fields` prints of a member: durations in seconds.
fn as_column(path: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Number(nanos) if path.contains("_ns") && !path.ends_with("count") => {
            let nanos = nanos.as_u64().unwrap();
            format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn the_columns_of_every_table_have_the_values_of_their_json_members() {
    for (table, members) in [
        (
            "methods",
            &[
                "path",
                "service",
                "method",
                "calls",
                "errors",
                "guessed",
                "outcomes.ok",
                "outcomes.open",
                "duration_ns.p50",
                "duration_ns.max",
                "duration_ns.count",
                "first_answer_ns.p99",
                "longest_open_ns",
                "request.messages",
                "response.bytes",
                "first",
                "last",
            ][..],
        ),
        (
            "problems",
            &["kind", "severity", "count", "title", "meaning", "help", "calls", "connections", "bytes", "longest_ns"],
        ),
        (
            "connections",
            &[
                "connection",
                "tcp_stream",
                "transport",
                "protocol",
                "client",
                "server",
                "client_by",
                "first",
                "last",
                "packets",
                "calls",
                "errors",
                "to_server.bytes",
                "to_client.retransmitted",
                "closed",
            ],
        ),
    ] {
        for case in CASES {
            // A capture may have no problems.
            let rows = run(&[&[table, "--json"], case].concat()).done();
            let chosen = members.iter().flat_map(|member| ["-e", member]);
            let arguments: Vec<&str> = [table, "-T", "fields", "-E", "header=y"].into_iter().chain(chosen).collect();
            let Run { stdout, stderr, .. } = run(&[&arguments[..], case].concat());
            let expected = rows.iter().map(|row| {
                let cells: Vec<String> = members.iter().map(|path| as_column(path, member(row, path))).collect();
                cells.join("\t")
            });
            let expected: Vec<String> = std::iter::once(members.join("\t")).chain(expected).collect();
            assert_eq!(stdout.lines().collect::<Vec<_>>(), expected, "{table} of {case:?}: {stderr}");
        }
    }
}

#[test]
fn every_table_is_sorted_and_limited_and_has_chosen_columns() {
    let containerd = CASES[2];
    let bytes = |row: &Value| row["to_server"]["bytes"].as_u64().unwrap() + row["to_client"]["bytes"].as_u64().unwrap();
    let mut expected: Vec<u64> = objects(&["connections", "--json"], containerd).iter().map(bytes).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let sorted = objects(&["connections", "--json", "--sort", "-bytes", "--limit", "3"], containerd);
    assert_eq!(sorted.iter().map(bytes).collect::<Vec<u64>>(), expected[..3]);
    let text = run(&[&["connections", "--sort", "-bytes", "--columns", "bytes,calls"], containerd].concat()).stdout;
    let first: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(first[0], "bytes");
    assert_eq!(first[1..], expected.iter().map(u64::to_string).collect::<Vec<_>>());
    // Severities by weight and not by name; the table as text in the same order.
    let goaway = CASES[3];
    let severities = |sort: &str| -> Vec<String> {
        let rows = objects(&["problems", "--json", "--sort", sort], goaway);
        rows.iter().map(|row| row["severity"].as_str().unwrap().to_owned()).collect()
    };
    let weight = |name: &String| ["info", "warning", "error"].iter().position(|known| known == name).unwrap();
    assert!(severities("severity").is_sorted_by_key(weight), "{:?}", severities("severity"));
    assert!(severities("-severity").iter().rev().is_sorted_by_key(weight));
    let one = run(&[&["problems", "--sort", "kind", "--limit", "1"], goaway].concat()).stdout;
    let kinds: Vec<Value> = objects(&["problems", "--json", "--sort", "kind"], goaway);
    assert!(one.contains(kinds[0]["kind"].as_str().unwrap()) && !one.contains("\n\n"), "{one}");
    // A wrong column is an error in every table, before anything is read.
    for table in ["methods", "problems", "connections"] {
        for option in ["--sort", "--columns", "-e"] {
            let wrong = run(&[table, "nowhere.pcap", option, "cals"]);
            assert_eq!(wrong.status, Some(2), "{table} {option}: {}", wrong.stderr);
            assert!(wrong.stderr.contains("did you mean call"), "{}", wrong.stderr);
        }
    }
}

#[test]
fn groups_by_a_number_are_sorted_as_numbers_and_those_without_a_value_are_last() {
    let names = |by: &str| -> Vec<String> {
        let table = run(&[&["methods", "--by", by, "--sort", "name", "-T", "fields", "-e", "name"], CASES[0]].concat());
        table.stdout.lines().map(str::to_owned).collect()
    };
    let counts: Vec<u64> = names("rpc.messages").iter().map(|name| name.parse().unwrap()).collect();
    assert!(counts.len() > 5 && counts.is_sorted(), "{counts:?}");
    let durations = names("rpc.duration");
    let nanos: Vec<u64> = durations.iter().map(|text| text.replace('.', "").parse().unwrap()).collect();
    assert!(nanos.is_sorted() && durations.iter().all(|text| text.len() == 11), "{durations:?}");
    let tenants = names("rpc.metadata.tenant");
    assert_eq!((tenants.first().map(String::as_str), tenants.last().map(String::as_str)), (Some("t0"), Some("")));
}

#[test]
fn shown_calls_are_sorted_limited_and_printed_as_fields() {
    let shop = CASES[0];
    let of = |command: &str| {
        let options =
            ["-Y", "rpc.method == GetOrder", "--sort", "-rpc.duration", "--limit", "3", "-T", "fields", "-e", "rpc.no"];
        run(&[&[command], &shop[..1], &options[..], &["-e", "http2.type"]].concat()).stdout
    };
    assert_eq!(of("show"), of("calls"));
    assert_eq!(of("show").lines().count(), 3);
    let shown = run(&[&["show"], &shop[..1], &["1-9", "--sort", "-rpc.no", "--limit", "2"]].concat()).stdout;
    let json = run(&[&["show"], &shop[..1], &["1-9", "--sort", "-rpc.no", "--limit", "2", "--json"]].concat()).done();
    assert_eq!(json.iter().map(|call| call["no"].as_u64().unwrap()).collect::<Vec<_>>(), [9, 8]);
    assert!(shown.find("#9 ").unwrap() < shown.find("#8 ").unwrap(), "{shown}");
}

#[test]
fn methods_of_selected_calls_only() {
    let failed = objects(&["methods", "--json", "-Y", "rpc.outcome != ok"], CASES[0]);
    assert!(failed.iter().all(|group| group["outcomes"]["ok"] == 0), "{failed:?}");
    let by_frame = run(&[&["methods", "--by", "http2.type"], CASES[0]].concat());
    assert_eq!(by_frame.status, Some(2), "{}", by_frame.stderr);
}

#[test]
fn problems_are_the_notes_of_calls_by_kind() {
    for case in CASES {
        let calls = objects(&["calls", "--json"], case);
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        for call in &calls {
            let messages =
                ["request", "response"].into_iter().flat_map(|side| call[side]["messages"].as_array().unwrap());
            let noted = std::iter::once(call).chain(messages).filter_map(|noted| noted["notes"].as_array());
            for note in noted.flatten() {
                *kinds.entry(note["kind"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        let problems = run(&[&["problems", "--json"], case].concat());
        let problems: Vec<Value> = problems.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (kind, count) in kinds {
            let problem = problems.iter().find(|problem| problem["kind"] == kind.as_str());
            let found = problem.and_then(|problem| problem["count"].as_u64());
            // Connections and frames may have more of them.
            assert!(found.is_some_and(|found| found >= count), "{case:?}: {kind}: {found:?}, {count} in calls");
        }
        for problem in &problems {
            assert_ne!(problem["meaning"], "", "{case:?}: {problem} is not described");
        }
        let deadlines = calls.iter().filter(|call| {
            let status = if call["status"].is_null() { &call["mapped"] } else { &call["status"] };
            status["code"] == 4
        });
        let problem = problems.iter().find(|problem| problem["kind"] == "deadline-exceeded");
        let found = problem.map_or(0, |problem| problem["count"].as_u64().unwrap());
        assert_eq!(found, deadlines.count() as u64, "{case:?}");
    }
}

/// Every kind of note in the source has a description.
#[test]
fn every_kind_of_note_is_described() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dissectors/src");
    let table = std::fs::read_to_string(source.join("statistics/problem_kinds.rs")).unwrap();
    let mut directories = vec![source];
    let mut missing = Vec::new();
    while let Some(directory) = directories.pop() {
        for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            // Other files are samples.
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
            for after in code.split("Note::new(").skip(1) {
                let quoted = after.split('"').nth(1).unwrap_or_default();
                let before = after.split('"').next().unwrap_or_default();
                let is_kind = before.matches(',').count() == 1
                    && quoted.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit());
                if is_kind && !quoted.is_empty() && !table.contains(&format!("\"{quoted}\"")) {
                    missing.push(quoted.to_owned());
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_conversation_has_all_messages_of_its_call_in_the_order_of_time() {
    let shop = CASES[0];
    for call in objects(&["calls", "--json"], shop) {
        let no = call["no"].to_string();
        let events = objects(&["follow", "--json", shop[0], no.as_str()], &shop[1..]);
        let times: Vec<i64> = events.iter().filter_map(|event| event["at_ns"].as_i64()).collect();
        assert!(times.is_sorted(), "{no}: {times:?}");
        for (side, direction) in [("request", "to_server"), ("response", "to_client")] {
            let bodies = |messages: &[Value]| messages.iter().map(|m| m["body"].clone()).collect::<Vec<_>>();
            let of_side = |event: &&Value| event["event"] == "message" && event["direction"] == direction;
            let followed: Vec<Value> = events.iter().filter(of_side).cloned().collect();
            assert_eq!(bodies(&followed), bodies(call[side]["messages"].as_array().unwrap()), "{no} {side}");
        }
    }
    let wrong = run(&["follow", shop[0], "1000"]);
    assert_eq!(wrong.status, Some(2), "{}", wrong.stderr);
}

#[test]
fn differences_of_a_stream_name_the_fields_that_differ() {
    let shop = CASES[0];
    let calls = objects(&["calls", "--json"], shop);
    let stream = calls.iter().find(|call| call["method"] == "ListOrders" && call["outcome"] == "ok").unwrap();
    let no = stream["no"].to_string();
    let events = objects(&["follow", "--json", "--diff", "--only", "server", shop[0], no.as_str()], &shop[1..]);
    let messages: Vec<&Value> = events.iter().filter(|event| event["event"] == "message").collect();
    assert!(messages.len() > 2, "{}", messages.len());
    assert!(messages[0]["changes"].is_null() && messages[0]["body"].is_object());
    let bodies = stream["response"]["messages"].as_array().unwrap();
    for (index, message) in messages.iter().enumerate().skip(1) {
        let changes = message["changes"].as_array().unwrap();
        assert_eq!(message["compared_with"], index, "{message}");
        assert_eq!(changes.is_empty(), bodies[index]["body"] == bodies[index - 1]["body"], "{message}");
    }
}

#[test]
fn a_summary_counts_what_the_listings_list() {
    for case in CASES {
        let calls = objects(&["calls", "--json"], case);
        let summary = objects(&["summary", "--json"], case).remove(0);
        assert_eq!(summary["all"]["calls"], calls.len(), "{case:?}");
        assert_eq!(summary["methods"], objects(&["methods", "--json"], case).len(), "{case:?}");
        let longest = calls.iter().filter_map(|call| call["duration_ns"].as_i64()).max();
        assert_eq!(summary["slowest"][0]["duration_ns"].as_i64(), longest, "{case:?}");
        let text = run(&[&["summary"], case].concat()).stdout;
        assert!(text.lines().count() <= 45, "{case:?}: a screenful\n{text}");
    }
}

#[test]
fn schemas_are_listed_described_and_compared_with_a_capture() {
    let proto = ["--proto", "tests/captures/shop/shop.proto"];
    let out = |arguments: &[&str]| run(&[arguments, &proto].concat());
    assert_eq!(out(&["schema", "list"]).stdout, "acme.shop.v1.Orders\n");
    let methods = out(&["schema", "list", "acme.shop.v1.Orders"]).stdout;
    assert!(methods.lines().any(|line| line == "acme.shop.v1.Orders/GetOrder"), "{methods}");
    let service = out(&["schema", "describe"]).stdout;
    assert!(service.starts_with("acme.shop.v1.Orders is a service:\nservice Orders {\n  rpc "), "{service}");
    let method = out(&["schema", "describe", "acme.shop.v1.Orders/GetOrder"]).stdout;
    assert!(method.contains("is a method:\nrpc GetOrder ( .acme.shop.v1."), "{method}");
    let wrong = out(&["schema", "describe", "Orders"]);
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("did you mean acme.shop.v1.Orders?"), "{}", wrong.stderr);
    assert_eq!(run(&["schema", "list"]).status, Some(2), "without a schema");
    let missing = objects(&["schema", "missing", "--json", CASES[0][0]], &proto);
    let paths: Vec<&Value> = missing.iter().map(|method| &method["path"]).collect();
    assert_eq!(paths, ["/acme.shop.v1.Orders/Nope"], "the one that the server does not have either");
    assert_eq!(missing[0]["service_known"], true);
    let unused = |filter: &str| {
        let objects = objects(&["schema", "unused", "--json", CASES[0][0], "-Y", filter], &proto);
        objects.iter().map(|method| method["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (all, without_chat) = (unused(""), unused("rpc.method != Chat"));
    assert!(!all.contains(&"/acme.shop.v1.Orders/Chat".to_owned()), "{all:?}");
    assert!(without_chat.contains(&"/acme.shop.v1.Orders/Chat".to_owned()), "{without_chat:?}");
    assert_eq!(unused("rpc.no == 0").len(), methods.lines().count(), "no call uses any");
    let messages = out(&["schema", "unused", "--messages", CASES[0][0], "-Y", "rpc.method == Chat"]);
    assert!(messages.stdout.contains("acme.shop.v1.Blob\n"), "{}", messages.stdout);
    assert!(!messages.stdout.contains("acme.shop.v1.ChatLine"), "{}", messages.stdout);
}

#[test]
fn waits_for_flow_control_are_counted_by_method_and_their_length_is_a_problem() {
    let case = ["tests/captures/flow-control/stalls.pcap.gz"];
    let calls = objects(&["calls", "--json"], &case);
    let stalled: Vec<u64> = calls.iter().filter_map(|call| call["stalled_ns"].as_u64()).collect();
    assert!(!stalled.is_empty(), "{calls:?}");
    let methods = objects(&["methods", "--json"], &case);
    let sum = |name: &str| methods.iter().map(|method| method["stalls"][name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("calls"), stalled.len() as u64);
    assert_eq!(sum("total_ns"), stalled.iter().sum::<u64>());
    let text = run(&["methods", case[0]]).stdout;
    assert!(text.lines().next().unwrap().contains("Stalled"), "{text}");
    let problems = objects(&["problems", "--json"], &case);
    let problem = problems.iter().find(|problem| problem["kind"] == "flow-control-stall").unwrap();
    assert!(problem["longest_ns"].as_u64() <= stalled.iter().max().copied() && !problem["longest_ns"].is_null());
    let shop = run(&["methods", "tests/captures/shop/shop.pcap"]).stdout;
    assert!(!shop.contains("Stalled"), "{shop}");
}

#[test]
fn a_conversation_has_its_times_in_the_form_that_is_asked_for() {
    let follow = ["follow", "tests/captures/hello/hello.pcap", "1"];
    let utc = run(&[&follow[..], &["-t", "utc"]].concat()).stdout;
    assert!(utc.contains("  2018-04-07 05:46:40.002500Z"), "{utc}");
    let epoch = run(&[&follow[..], &["-t", "epoch"]].concat()).stdout;
    assert!(epoch.contains("  1523080000.002500"), "{epoch}");
    let json = run(&[&follow[..], &["--json"]].concat()).stdout;
    assert_eq!(json, run(&[&follow[..], &["--json", "-t", "utc"]].concat()).stdout, "JSON has its own form");
}
