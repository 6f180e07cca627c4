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
    assert!(wrong.stderr.contains("p50, p90, p99"), "{}", wrong.stderr);
}

#[test]
fn methods_of_selected_calls_only() {
    let failed = objects(&["methods", "--json", "-Y", "rpc.outcome != ok"], CASES[0]);
    assert!(failed.iter().all(|group| group["outcomes"]["ok"] == 0), "{failed:?}");
    let by_frame = run(&[&["methods", "--by", "http2.type"], CASES[0]].concat());
    assert_eq!(by_frame.status, Some(2), "{}", by_frame.stderr);
}
