//! What `export --redact` writes: the same calls, and no secret in any byte.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use support::{environment, run};

/// Runs a command on the captures, and expects it to succeed.
fn rpcshark(arguments: &[&str]) -> run::Run {
    let run = run::run_in(&environment::captures(), arguments);
    assert_eq!(run.status, Some(0), "{arguments:?}: {}", run.stderr);
    run
}

/// Calls with everything in them: header lists as sent, messages decompressed.
fn calls(file: &str, options: &[&str]) -> Vec<Value> {
    let all = ["calls", file, "--json", "--all-headers", "--show-secrets", "-q"];
    let run = rpcshark(&[&all[..], options].concat());
    run.stdout.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The strings that members called `key` have, anywhere, in order.
fn strings(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| strings(value, key, found)),
        Value::Object(members) => {
            // The details of a status have other members of that name.
            for (name, value) in members.iter().filter(|(name, _)| *name != "details") {
                match value {
                    Value::String(text) if name == key => found.push(text.clone()),
                    _ => strings(value, key, found),
                }
            }
        }
        _ => {}
    }
}

/// The values of the header fields called `name`, in order.
fn header_values(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| header_values(value, name, found)),
        Value::Object(members) => {
            if members.get("name").is_some_and(|found| found == name) {
                found.extend(members.get("value").and_then(Value::as_str).map(str::to_owned));
            }
            members.values().for_each(|value| header_values(value, name, found));
        }
        _ => {}
    }
}

/// Checks that each secret has one pseudonym of its own and of its length, and is not its own.
fn assert_pseudonyms(secrets: &[String], pseudonyms: &[String]) {
    assert_eq!(secrets.len(), pseudonyms.len());
    assert!(secrets.iter().any(|secret| secret.len() > 4), "{secrets:?}");
    let mut of = BTreeMap::new();
    for (secret, pseudonym) in secrets.iter().zip(pseudonyms) {
        assert_eq!(secret.len(), pseudonym.len(), "{secret} {pseudonym}");
        assert_eq!(of.entry(secret).or_insert(pseudonym), &pseudonym, "{secret} has two");
        assert!(secret.len() < 4 || secret != pseudonym, "{secret}");
    }
    let different: BTreeSet<_> = of.values().collect();
    assert!(different.len() * 10 >= of.len() * 9, "many secrets share a pseudonym: {of:?}");
}

/// What of calls does not depend on the values in them.
fn outlines(calls: &[Value]) -> Vec<String> {
    let times = |side: &Value| -> Vec<Value> {
        side["messages"].as_array().into_iter().flatten().map(|message| message["at_ns"].clone()).collect()
    };
    let outline = |call: &Value| {
        let [path, outcome, end, duration] = ["path", "outcome", "end", "duration_ns"].map(|name| &call[name]);
        let code = &call["status"]["code"];
        format!("{path} {outcome} {end} {duration} {code} {:?} {:?}", times(&call["request"]), times(&call["response"]))
    };
    let mut outlines: Vec<String> = calls.iter().map(outline).collect();
    outlines.sort();
    outlines
}

/// Exports a recording without its secrets, and returns the calls of the export, and the messages on standard error.
fn redacted(recording: &str, options: &[&str], redaction: &[&str], to: &Path) -> (Vec<Value>, String) {
    let export = ["export", recording, "-w", to.to_str().unwrap()];
    let run = rpcshark(&[&export[..], options, redaction].concat());
    (calls(to.to_str().unwrap(), options), run.stderr)
}

#[test]
fn a_redacted_export_holds_the_same_calls_without_secrets() {
    let directory = environment::temporary();
    let file = directory.path().join("redacted.pcapng");
    for recording in ["shop/shop.pcap", "unix/unix.strace"] {
        let options = ["--proto", "shop/shop.proto"];
        let original = calls(recording, &options);
        let fields = ["--redact-field", "acme.shop.v1.Item.sku", "--redact-field", "card"];
        let (exported, _) = redacted(recording, &options, &fields, &file);
        assert_eq!(outlines(&original), outlines(&exported), "{recording}");
        for key in ["sku", "card"] {
            let of = |calls: &[Value]| {
                let mut found = Vec::new();
                calls.iter().for_each(|call| strings(call, key, &mut found));
                found
            };
            if !of(&original).is_empty() {
                assert_pseudonyms(&of(&original), &of(&exported));
            }
        }
        let of = |calls: &[Value]| {
            let mut found = Vec::new();
            calls.iter().for_each(|call| header_values(call, "authorization", &mut found));
            found
        };
        assert_pseudonyms(&of(&original), &of(&exported));
        let has_compressed = original.iter().any(|call| call.to_string().contains("\"compressed\":true"));
        assert!(has_compressed || recording != "shop/shop.pcap", "{recording} has compressed messages");
    }
}

/// Secrets are looked for in every byte: of the file, of each message decompressed, of header lists as decoded.
#[test]
fn no_byte_of_a_redacted_export_holds_a_secret() {
    let directory = environment::temporary();
    let [file, schema] = ["redacted.pcapng", "shop.proto"].map(|name| directory.path().join(name));
    let text = std::fs::read_to_string(environment::captures().join("shop/shop.proto")).unwrap();
    let marked = text.replace("string sku = 1;", "string sku = 1 [debug_redact = true];");
    let marked = marked.replace("string text = 2;", "string text = 2 [debug_redact = true];");
    assert_ne!(text, marked);
    std::fs::write(&schema, marked).unwrap();
    let options = ["--proto", schema.to_str().unwrap()];

    let recording = "shop/shop.pcap";
    let mut secrets = BTreeSet::new();
    for call in calls(recording, &options) {
        let mut found = Vec::new();
        strings(&call, "sku", &mut found);
        strings(&call["request"]["messages"], "text", &mut found);
        strings(&call["response"]["messages"], "text", &mut found);
        header_values(&call, "authorization", &mut found);
        // Short ones are anywhere by chance, and these are in status messages, too.
        secrets.extend(found.into_iter().filter(|secret| secret.len() > 5 && !secret.starts_with("order-")));
    }
    assert!(secrets.len() > 5, "{secrets:?}");
    let holds = |bytes: &[u8]| {
        let holds = |secret: &&String| memchr::memmem::find(bytes, secret.as_bytes()).is_some();
        secrets.iter().find(holds).cloned()
    };
    let original = std::fs::read(environment::captures().join(recording)).unwrap();
    assert!(holds(&original).is_some(), "the original holds them");

    redacted(recording, &options, &["--redact"], &file);
    assert_eq!(holds(&std::fs::read(&file).unwrap()), None, "in the bytes of the file");
    let file = file.to_str().unwrap();
    let decoded = rpcshark(&["calls", file, "--json", "--all-headers", "--show-secrets"]);
    assert_eq!(holds(decoded.stdout.as_bytes()), None, "in what is read of it");
    let frames = rpcshark(&["frames", file, "--json", "--show-secrets"]);
    assert_eq!(holds(frames.stdout.as_bytes()), None, "in its frames");
    let messages = directory.path().join("messages");
    rpcshark(&["export", file, "--show-secrets", "--messages", messages.to_str().unwrap()]);
    let mut count = 0;
    for entry in std::fs::read_dir(&messages).unwrap() {
        assert_eq!(holds(&std::fs::read(entry.unwrap().path()).unwrap()), None, "in a message");
        count += 1;
    }
    assert!(count > 100, "{count} messages");

    // The other forms.
    for form in [&["--format", "jsonl"][..], &["--format", "csv", "-e", "rpc.path", "-e", "rpc.response.items.sku"]] {
        let export = rpcshark(&[&["export", recording, "--redact"][..], &options, form].concat());
        assert!(export.stdout.len() > 1000);
        assert_eq!(holds(export.stdout.as_bytes()), None, "{form:?}");
    }
    let line = rpcshark(&[&["export", recording, "1", "--redact", "--format", "grpcurl"][..], &options].concat());
    assert_eq!(holds(line.stdout.as_bytes()), None);
    assert!(line.stdout.contains("-H 'authorization: ") && !line.stdout.contains("HIDDEN"), "{}", line.stdout);
    let messages = directory.path().join("again");
    let form = ["--redact", "--messages", messages.to_str().unwrap()];
    rpcshark(&[&["export", recording][..], &options, &form].concat());
    for entry in std::fs::read_dir(&messages).unwrap() {
        assert_eq!(holds(&std::fs::read(entry.unwrap().path()).unwrap()), None, "in a message");
    }
}

#[test]
fn ttrpc_payloads_are_redacted_too() {
    let directory = environment::temporary();
    let file = directory.path().join("redacted.pcapng");
    let (recording, options) = ("containerd/containerd.strace", ["--proto", "containerd/schema"]);
    let filter = ["-Y", "ttrpc"];
    let original = calls(recording, &[&options[..], &filter].concat());
    let (exported, _) = redacted(recording, &[&options[..], &filter].concat(), &["--redact-field", "bundle"], &file);
    assert_eq!(outlines(&original), outlines(&exported));
    let of = |calls: &[Value]| {
        let mut found = Vec::new();
        calls.iter().for_each(|call| strings(call, "bundle", &mut found));
        found
    };
    assert_pseudonyms(&of(&original), &of(&exported));
    let bytes = std::fs::read(&file).unwrap();
    assert!(of(&original).iter().all(|secret| memchr::memmem::find(&bytes, secret.as_bytes()).is_none()));
}

#[test]
fn a_message_that_cannot_be_redacted_is_left_out_and_counted() {
    let directory = environment::temporary();
    let file = directory.path().join("redacted.pcapng");
    // No schema: nobody knows what is in the messages.
    let (exported, said) = redacted("shop/shop.pcap", &[], &["--redact"], &file);
    assert_eq!(outlines(&calls("shop/shop.pcap", &[])), outlines(&exported));
    assert!(said.contains("messages left out"), "{said}");
    let messages: Vec<&Value> = exported
        .iter()
        .flat_map(|call| [&call["request"], &call["response"]])
        .flat_map(|side| side["messages"].as_array().into_iter().flatten())
        .collect();
    let left_out = messages.iter().filter(|message| message["bytes"] == "").count();
    let empty = messages.iter().filter(|message| message["length"] == 0).count();
    assert!(left_out > 100 && left_out + empty == messages.len(), "{left_out} {empty} {}", messages.len());
    assert!(said.contains(&format!("{left_out} messages left out")), "{said}");
}

#[test]
fn a_connection_with_lost_packets_is_redacted() {
    let directory = environment::temporary();
    let whole = std::fs::read(environment::captures().join("shop/shop.pcap")).unwrap();
    let options = ["--proto", "shop/shop.proto"];
    for lost in [20, 95, 166, 206, 300] {
        let [thinned, file] = ["thinned.pcap", "redacted.pcapng"].map(|name| directory.path().join(name));
        std::fs::write(&thinned, support::pcap::without_packet(&whole, lost)).unwrap();
        let thinned = thinned.to_str().unwrap();
        let (exported, _) = redacted(thinned, &options, &["--redact-field", "sku"], &file);
        assert_eq!(outlines(&calls(thinned, &options)), outlines(&exported), "without packet {lost}");
        let mut secrets = Vec::new();
        calls(thinned, &options).iter().for_each(|call| strings(call, "sku", &mut secrets));
        let bytes = std::fs::read(&file).unwrap();
        for secret in secrets.iter().filter(|secret| secret.len() > 5 && !secret.starts_with("order-")) {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret} without packet {lost}");
        }
    }
}

#[test]
fn redaction_is_refused_where_it_cannot_be_meant() {
    for (arguments, said) in [
        (&["--redact", "--show-secrets"][..], "--show-secrets"),
        (&["--redact", "--original-packets"], "--original-packets"),
        (&["--redact-field", "a.b.c"], "needs a schema"),
        (&["--redact-field", "nope", "--proto", "shop/shop.proto"], "no message in the schemas has a field nope"),
    ] {
        let export = ["export", "shop/shop.pcap", "-w", "/dev/null"];
        let run = run::run_in(&environment::captures(), &[&export[..], arguments].concat());
        assert_eq!(run.status, Some(2), "{arguments:?}");
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn calls_of_every_kind_stay_what_they_are_without_their_secrets() {
    let directory = environment::temporary();
    let file = directory.path().join("redacted.pcapng");
    for recording in [
        // Messages over several DATA frames.
        "both-ends-10ms/both-ends.pcap",
        "etcd/etcd.pcap",
        "cancels/cancels.pcap",
        "endings/endings.pcap",
        "goaway-first/goaway.pcap",
        "secrets/secrets.pcap",
        "esc/esc.pcap",
        "threads/threads.strace",
    ] {
        let (exported, _) = redacted(recording, &[], &["--redact"], &file);
        assert_eq!(outlines(&calls(recording, &[])), outlines(&exported), "{recording}");
    }
}

#[test]
fn calls_over_http1_are_exported_without_their_secrets() {
    let directory = environment::temporary();
    let file = directory.path().join("redacted.pcapng");
    let options = ["--proto", "shop/shop.proto"];
    for recording in ["grpc-web-1/web.pcap", "connect-1/web.pcap", "connect-json-1/web.pcap"] {
        if !environment::captures().join(recording).exists() {
            continue;
        }
        let original = calls(recording, &options);
        for options in [&options[..], &[]] {
            let redaction = if options.is_empty() { "--redact" } else { "--redact-field=sku" };
            let (exported, said) = redacted(recording, options, &[redaction], &file);
            assert_eq!(outlines(&original), outlines(&exported), "{recording}: {said}");
            let skus = |calls: &[Value]| {
                let mut found = Vec::new();
                calls.iter().for_each(|call| strings(call, "sku", &mut found));
                found
            };
            if !skus(&exported).is_empty() {
                assert_pseudonyms(&skus(&original), &skus(&exported));
            }
            let bytes = std::fs::read(&file).unwrap();
            for secret in skus(&original).iter().filter(|secret| secret.len() > 4) {
                assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret} in {recording}");
            }
        }
    }
}
