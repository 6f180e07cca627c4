//! `diff`: recordings against themselves, against their own packets in another order, and against runs in which something
//! changed.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;

use support::pcap::{Capture, Form, Packet};
use support::random::Random;
use support::run::{Run, run, text};
use support::traffic::{ACK, Client, Traffic, fields, frame};
use support::{environment, shop};

const MICROSECONDS: Form = Form::Pcap { big_endian: false, nanoseconds: false };

fn shop_file() -> PathBuf {
    shop::directory().join("shop.pcap")
}

fn diff(old: &Path, new: &Path, more: &[&str]) -> Run {
    let [proto, file] = shop::schema();
    run(&[&["diff", &text(old), &text(new), &proto, &file][..], more].concat())
}

/// The JSON report of a run.
fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{}: {error}: {}", run.line, run.stdout))
}

/// The groups of a report: method, place, kind, count.
fn groups(report: &Value) -> Vec<String> {
    let groups = report["groups"].as_array().unwrap().iter();
    groups.map(|group| format!("{} {} {} {}", group["path"], group["place"], group["kind"], group["count"])).collect()
}

/// The shop's recording with its packets changed.
fn changed(directory: &Path, name: &str, change: impl FnOnce(&mut Vec<Packet>)) -> PathBuf {
    let mut capture = Capture::read(&shop_file());
    change(&mut capture.packets);
    let path = directory.join(name);
    std::fs::write(&path, capture.to_bytes(MICROSECONDS)).unwrap();
    path
}

/// Replaces bytes by others of the same length in all packets, and counts how often.
fn replace(packets: &mut [Packet], from: &[u8], to: &[u8]) -> u64 {
    assert_eq!(from.len(), to.len());
    let mut count = 0;
    for packet in packets {
        for at in 0..packet.bytes.len() {
            if packet.bytes[at..].starts_with(from) {
                packet.bytes[at..at + to.len()].copy_from_slice(to);
                count += 1;
            }
        }
    }
    count
}

#[test]
fn a_recording_does_not_differ_from_itself() {
    for case in std::fs::read_dir(environment::captures()).unwrap() {
        for file in std::fs::read_dir(case.unwrap().path()).unwrap().map(|file| file.unwrap().path()) {
            let is_capture =
                |ending: &std::ffi::OsStr| ["pcap", "pcapng", "strace"].iter().any(|known| ending == *known);
            if !file.extension().is_some_and(is_capture) {
                continue;
            }
            let (file, proto) = (text(&file), text(&environment::captures().join("shop/shop.proto")));
            for arguments in [
                &["diff", &*file, &*file, "--report", "json", "-q"][..],
                &["diff", &*file, &*file, "--report", "json", "-q", "--proto", &*proto],
            ] {
                let run = run(arguments);
                assert!(matches!(run.status, Some(0 | 4)), "{}: {:?} {}", run.line, run.status, run.stderr);
                let totals = &report(&run)["totals"];
                let compared =
                    ["same", "not-comparable"].map(|name| totals[name].as_u64().unwrap()).iter().sum::<u64>();
                assert_eq!(totals["calls"], compared, "{}: {totals}", run.line);
                assert_eq!(totals["differences"], 0, "{}: {totals}", run.line);
            }
        }
    }
}

#[test]
fn a_recording_does_not_differ_from_its_packets_in_another_order() {
    let directory = environment::temporary();
    for seed in 0..3 {
        let shuffled = changed(directory.path(), "shuffled.pcap", |packets| {
            Random::new(seed).shuffle_windows(packets, 20);
        });
        let run = diff(&shop_file(), &shuffled, &["--report", "json"]);
        assert_eq!((run.status, &report(&run)["totals"]["same"]), (Some(0), &74.into()), "{}", run.stdout);
    }
}

#[test]
fn a_field_that_changed_is_named_by_its_path_with_counts() {
    let directory = environment::temporary();
    let mut count = 0;
    let new = changed(directory.path(), "new.pcap", |packets| count = replace(packets, b"inside any", b"inside Any"));
    assert!(count > 20, "{count}");
    let found = diff(&shop_file(), &new, &["--report", "json"]);
    assert_eq!(found.status, Some(1), "{}", found.stderr);
    let report = report(&found);
    let all = report["groups"].as_array().unwrap();
    for group in all {
        assert_eq!((&group["place"], &group["kind"]), (&"response.extra.value.text".into(), &"changed".into()));
        assert_eq!(group["field"], "acme.shop.v1.ChatLine.text");
        assert_eq!(group["sample"]["recorded"], "inside any");
        assert_eq!(group["sample"]["replayed"], "inside Any");
    }
    assert_eq!(all.iter().map(|group| group["count"].as_u64().unwrap()).sum::<u64>(), count, "{:?}", groups(&report));
    assert_eq!(report["totals"]["differences"], count);
    assert_eq!(report["version"], 1);
    let differing: Vec<&Value> =
        report["calls"].as_array().unwrap().iter().filter(|call| call["outcome"] == "differs").collect();
    assert_eq!(report["totals"]["differs"], differing.len());
    assert_eq!(report["totals"]["calls"], 74);
    let first = &differing[0]["differences"][0];
    assert_eq!(first["path"], "response.extra.value.text");
    assert_eq!(first["message"], serde_json::json!({"recorded": 1, "replayed": 1}));
    // The same as text: the group and the call.
    let text = diff(&shop_file(), &new, &[]);
    assert_eq!(text.status, Some(1));
    assert!(text.stdout.contains("response.extra.value.text  changed"), "{}", text.stdout);
    assert!(text.stdout.contains("\"inside any\" → \"inside Any\""), "{}", text.stdout);
    // Rules take it out: by type, by path, by one below it.
    for rule in ["acme.shop.v1.ChatLine.text", "acme.shop.v1.Orders/*.response.extra.value.text", "**.extra"] {
        let ignored = diff(&shop_file(), &new, &["--ignore", rule]);
        assert_eq!(ignored.status, Some(0), "{rule}: {}", ignored.stdout);
    }
    let rules = directory.path().join("rules.toml");
    std::fs::write(&rules, "ignore = [\"acme.shop.v1.ChatLine.text\"]\n").unwrap();
    assert_eq!(diff(&shop_file(), &new, &["--rules", &support::run::text(&rules)]).status, Some(0));
    // Without a schema: by field numbers.
    let raw = run(&["diff", &support::run::text(&shop_file()), &support::run::text(&new), "--report", "json"]);
    let raw = self::report(&raw);
    assert!(groups(&raw).iter().all(|group| group.contains("response.8.2.2")), "{:?}", groups(&raw));
    assert_eq!(raw["totals"]["differences"], count);
}

#[test]
fn a_request_that_changed_is_paired_by_order_or_by_key() {
    let directory = environment::temporary();
    let new = changed(directory.path(), "new.pcap", |packets| {
        assert!(replace(packets, b"order-3", b"order-X") >= 2);
    });
    let run = diff(&shop_file(), &new, &["--report", "json"]);
    assert_eq!(run.status, Some(1));
    let found = groups(&report(&run));
    assert!(found.iter().any(|group| group.contains("GetOrder\" \"request.id\" \"changed\" 1")), "{found:?}");
    assert!(found.iter().any(|group| group.contains("GetOrder\" \"response.id\" \"changed\" 1")), "{found:?}");
    let by_key = diff(&shop_file(), &new, &["--report", "json", "--key", "rpc.request.id"]);
    let totals = &report(&by_key)["totals"];
    assert!(totals["missing"].as_u64() > Some(0) && totals["missing"] == totals["added"], "{totals}");
    assert_eq!(by_key.status, Some(1));
    let wrong = diff(&shop_file(), &new, &["--key", "rpc.requests.id"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(2), ""), "{}", wrong.stderr);
}

#[test]
fn calls_that_only_one_recording_has_are_missing_or_added() {
    let directory = environment::temporary();
    let half = changed(directory.path(), "half.pcap", |packets| packets.truncate(packets.len() / 2));
    let run = diff(&shop_file(), &half, &["--report", "json"]);
    let totals = report(&run)["totals"].clone();
    assert_eq!(run.status, Some(1));
    let missing = totals["missing"].as_u64().unwrap();
    assert!(missing > 0 && totals["added"] == 0 && totals["calls"] == 74, "{totals}");
    let run = diff(&half, &shop_file(), &["--report", "json"]);
    let totals = &report(&run)["totals"];
    assert_eq!((&totals["added"], &totals["missing"], run.status), (&missing.into(), &0.into(), Some(1)), "{totals}");
}

#[test]
fn slower_calls_are_reported_and_are_no_difference() {
    let directory = environment::temporary();
    let slow = changed(directory.path(), "slow.pcap", |packets| {
        let first = packets[0].time;
        // Everything takes ten times as long.
        packets.iter_mut().for_each(|packet| packet.time = first + 10 * (packet.time - first));
    });
    let run = diff(&shop_file(), &slow, &["--report", "json"]);
    assert_eq!(run.status, Some(0), "{}", run.stdout);
    let report = report(&run);
    let slower = |method: &&Value| method["slower"] == true;
    let methods = report["methods"].as_array().unwrap();
    let method = methods.iter().find(slower).unwrap_or_else(|| panic!("{methods:?}"));
    let p50 = |side: &str| method["duration_ns"][side]["p50"].as_i64().unwrap();
    assert!(p50("replayed") > 9 * p50("recorded"), "{method}");
    assert!(diff(&shop_file(), &slow, &[]).stdout.contains("slower"));
}

#[test]
fn a_wrong_rule_or_report_is_refused_before_anything_is_read() {
    let file = shop_file();
    for (arguments, part) in [
        (&["--ignore", "shop.Orders/Get"][..], "--ignore 'shop.Orders/Get': a path is missing after the method"),
        (&["--float", "a.b=much"], "a tolerance is a number"),
        (&["--report", "xml"], "the formats are text, json, junit and html"),
        (&["--report", "json", "--report", "text"], "only one report can go to standard output"),
    ] {
        let run = diff(&file, &file, arguments);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
    let directory = environment::temporary();
    let rules = directory.path().join("rules.toml");
    std::fs::write(&rules, "ignore = [\n  \"a..b\"\n]\n").unwrap();
    let run = diff(&file, &file, &["--rules", &text(&rules)]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("rules.toml:2:6: a name is missing"), "{}", run.stderr);
    assert_eq!(diff(&file, Path::new("no/such.pcap"), &[]).status, Some(3));
    assert_eq!(diff(&file, &file, &["--report", "json=/no/such/directory/a"]).status, Some(3));
}

/// The shop's recording, and one in which a text became markup.
fn hostile(directory: &Path) -> PathBuf {
    changed(directory, "hostile.pcap", |packets| {
        assert!(replace(packets, b"inside any", b"<b>'&\"</b>") > 20);
    })
}

#[test]
fn junit_has_a_case_for_each_call_and_counts_that_fit() {
    let directory = environment::temporary();
    let new = hostile(directory.path());
    let out = directory.path().join("out.xml");
    let run = diff(&shop_file(), &new, &["--report", &format!("junit={}", text(&out))]);
    assert_eq!(run.status, Some(1));
    assert!(run.stdout.contains("74 calls"), "text goes to standard output: {}", run.stdout);
    let written = std::fs::read_to_string(&out).unwrap();
    assert_eq!(diff(&shop_file(), &new, &["--report", "junit"]).stdout, written, "a file and standard output");
    let check = "import sys, xml.dom.minidom as m\n\
                 s = m.parse(sys.argv[1]).getElementsByTagName('testsuite')[0]\n\
                 count = lambda name: len(s.getElementsByTagName(name))\n\
                 print(count('testcase'), count('failure'), count('skipped'), *[s.getAttribute(a) for a in ('tests', 'failures', 'skipped')])\n\
                 print(s.getElementsByTagName('failure')[0].firstChild.data)";
    let Some(said) = environment::tool("python3", &["-c", check, &text(&out)]) else { return };
    let (counts, details) = said.split_once('\n').unwrap();
    let counts: Vec<&str> = counts.split(' ').collect();
    assert_eq!(counts[..3], counts[3..], "{counts:?}");
    assert_eq!(counts[0], "74");
    assert!(details.contains("response.extra.value.text") && details.contains("<b>'&\\\"</b>"), "{details}");
}

#[test]
fn html_is_one_file_that_needs_no_network_and_shows_hostile_text_as_text() {
    let directory = environment::temporary();
    let new = hostile(directory.path());
    let out = directory.path().join("out.html");
    assert_eq!(diff(&shop_file(), &new, &["--report", &format!("html={}", text(&out))]).status, Some(1));
    let page = std::fs::read_to_string(&out).unwrap();
    assert!(!page.contains("<b>'&"), "markup of a message reaches the page");
    assert!(page.contains("&lt;b&gt;&#39;&amp;"), "the text is shown");
    for reference in [" src=", " href=", "url(", "@import", "http://", "https://", "fetch("] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("default-src 'none'"));
    // The page searches itself when it is opened with words after #.
    let look = |fragment: &str| {
        let page = format!("file://{}{fragment}", text(&out));
        support::browser::dom(directory.path(), &page)
    };
    let Some(dom) = look("") else { return };
    let calls = dom.matches("<details class=\"call\"").count();
    assert!(calls > 20, "{calls}");
    assert!(dom.contains(&format!("{calls} of {calls} shown")), "the script has run");
    assert!(dom.contains("class=\"sides\"") && dom.contains("&lt;b&gt;'&amp;"), "messages stand side by side");
    let found = look("#ListOrders").unwrap();
    let shown = found.matches("<details class=\"call\"").count() - found.matches("hidden=\"\"").count();
    assert!(shown > 0 && shown < calls, "{shown} of {calls}");
    assert!(look("#nothing%20has%20this").unwrap().contains(&format!("0 of {calls} shown")));
}

#[test]
fn secrets_are_compared_and_not_shown() {
    let directory = environment::temporary();
    // A trailer of a name that is hidden, in both recordings, with other values.
    let recording = |name: &str, value: &str| {
        let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
        traffic.open(&mut client);
        let request =
            [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/Get"), ("content-type", "application/grpc")];
        let response = [(":status", "200"), ("content-type", "application/grpc")];
        traffic.packet(&mut client, false, ACK, &frame(1, 5, 1, &fields(&request)));
        traffic.packet(&mut client, true, ACK, &frame(1, 4, 1, &fields(&response)));
        let trailers = [("grpc-status", "0"), ("x-api-key", value)];
        traffic.packet(&mut client, true, ACK, &frame(1, 5, 1, &fields(&trailers)));
        traffic.close(&mut client);
        let path = directory.path().join(name);
        std::fs::write(&path, traffic.bytes).unwrap();
        path
    };
    let (old, new) = (recording("old", "secret-one"), recording("new", "secret-two!"));
    let forms = ["json", "text", "junit", "html"];
    for form in forms {
        let run = run(&["diff", &text(&old), &text(&new), "--report", form]);
        assert_eq!(run.status, Some(1), "{}", run.stdout);
        assert!(run.stdout.contains("trailers.x-api-key") && run.stdout.contains("11"), "{form}: {}", run.stdout);
        assert!(!run.stdout.contains("secret-"), "{form}: {}", run.stdout);
    }
}
