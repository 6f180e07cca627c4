//! The truth about `tests/captures/shop`: what an independent reader with Google's protobuf found in it, joined with the
//! independent walk over its bytes, and how a call that the binary prints is held against it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::http2::{self, Frame, Message};
use super::pcap::Capture;
use super::tcp::{self, Flow, Side};

/// The port that the server listens on in the recording.
pub(crate) const PORT: u16 = 50051;

/// The recording and everything known of it.
pub(crate) struct Shop {
    pub(crate) capture: Capture,
    /// What the client sent and what the server sent.
    pub(crate) flows: [Flow; 2],
    pub(crate) frames: [Vec<Frame>; 2],
    /// By stream number.
    pub(crate) calls: BTreeMap<u32, TrueCall>,
}

/// One call as it was.
#[derive(Debug)]
pub(crate) struct TrueCall {
    pub(crate) stream: u32,
    /// `package.Service/Method`.
    pub(crate) method: String,
    pub(crate) status: Option<i64>,
    /// `ok`, `error` or `reset`.
    pub(crate) outcome: &'static str,
    /// What the client sent and what the server sent.
    pub(crate) messages: [Vec<TrueMessage>; 2],
}

/// One message as it was.
#[derive(Debug)]
pub(crate) struct TrueMessage {
    pub(crate) wire: Message,
    /// Canonical JSON, or null where the schema does not have the method.
    pub(crate) body: Value,
}

/// The directory of the case.
pub(crate) fn directory() -> PathBuf {
    super::environment::captures().join("shop")
}

/// The arguments that give the case's schema.
pub(crate) fn schema() -> [String; 2] {
    ["--proto".to_owned(), super::run::text(&directory().join("shop.proto"))]
}

impl Shop {
    /// Reads the recording and the truth about it.
    pub(crate) fn load() -> Shop {
        let capture = Capture::read(&directory().join("shop.pcap"));
        let flows = tcp::assemble(&capture, PORT);
        let frames = Side::BOTH.map(|side| http2::frames(&flows[side as usize], side));
        let mut messages = Side::BOTH.map(|side| http2::messages(&flows[side as usize], &frames[side as usize]));
        let text = std::fs::read_to_string(directory().join("shop.expected.jsonl")).expect("the truth is there");
        let mut calls = BTreeMap::new();
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).expect("the truth is JSON");
            let stream = row["stream"].as_u64().expect("a stream number") as u32;
            let status = row["status"].as_i64();
            let [client, server] = Side::BOTH.map(|side| {
                let bodies = row[["requests", "responses"][side as usize]].as_array().expect("a list of messages");
                let wire = messages[side as usize].remove(&stream).unwrap_or_default();
                assert_eq!(wire.len(), bodies.len(), "stream {stream}: both readers count the same messages");
                wire.into_iter().zip(bodies).map(|(wire, body)| TrueMessage { wire, body: body.clone() }).collect()
            });
            calls.insert(
                stream,
                TrueCall {
                    stream,
                    method: row["method"].as_str().expect("a method").to_owned(),
                    status,
                    // In this recording every status came before the resets of its stream.
                    outcome: match status {
                        Some(0) => "ok",
                        Some(_) => "error",
                        None => "reset",
                    },
                    messages: [client, server],
                },
            );
        }
        assert!(messages.iter().all(BTreeMap::is_empty), "every message belongs to a call");
        Shop { capture, flows, frames, calls }
    }

    /// The members that are checked of what must be printed, for seeing that the checks find faults.
    pub(crate) fn as_printed(&self) -> Vec<Value> {
        self.calls.values().map(TrueCall::as_printed).collect()
    }

    /// Holds the output of `calls --json` for the whole recording, in any form, against the truth.
    pub(crate) fn check_whole(&self, what: &str, printed: &[Value]) {
        let faults = self.faults(printed);
        assert!(faults.is_empty(), "{what}: {} faults, first:\n{}", faults.len(), first(&faults));
    }

    /// Everything in which printed calls differ from the whole truth.
    pub(crate) fn faults(&self, printed: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut seen = BTreeMap::new();
        for call in printed {
            let Some(truth) = stream_of(call).and_then(|stream| self.calls.get(&stream)) else {
                faults.push(format!("no such call: stream {}", call["stream"]));
                continue;
            };
            *seen.entry(truth.stream).or_insert(0) += 1;
            faults.extend(truth.faults(call).into_iter().map(|fault| format!("stream {}: {fault}", truth.stream)));
        }
        for stream in self.calls.keys() {
            match seen.get(stream) {
                Some(1) => {}
                count => faults.push(format!("stream {stream} is shown {} times", count.unwrap_or(&0))),
            }
        }
        faults
    }
}

/// The first few faults, one a line.
pub(crate) fn first(faults: &[String]) -> String {
    faults.iter().take(8).cloned().collect::<Vec<_>>().join("\n")
}

/// The stream number of a printed call.
pub(crate) fn stream_of(call: &Value) -> Option<u32> {
    call["stream"].as_u64().map(|stream| stream as u32)
}

/// The printed messages of one side of a call.
pub(crate) fn messages_of(call: &Value, side: Side) -> &[Value] {
    call[["request", "response"][side as usize]]["messages"].as_array().map_or(&[], Vec::as_slice)
}

impl TrueCall {
    fn as_printed(&self) -> Value {
        let (service, method) = self.method.split_once('/').expect("a method has a service");
        let [requests, responses] = Side::BOTH.map(|side| {
            let messages = self.messages[side as usize].iter();
            messages
                .map(|message| {
                    let mut printed = json!({"length": message.wire.length, "compressed": message.wire.compressed});
                    match &message.body {
                        Value::Null => printed["raw"] = json!({}),
                        body => printed["body"] = body.clone(),
                    }
                    printed
                })
                .collect::<Vec<_>>()
        });
        json!({
            "stream": self.stream, "path": format!("/{}", self.method), "service": service, "method": method, "guessed": [],
            "client": "127.0.0.1:40000", "server": format!("127.0.0.1:{PORT}"),
            "outcome": self.outcome, "status": self.status.map(|code| json!({"code": code})),
            "request": {"messages": requests, "metadata": []},
            "response": {"messages": responses, "metadata": [], "trailers": []},
        })
    }

    /// Everything in which a printed call differs from the whole truth.
    fn faults(&self, call: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |what: &str, expected: Value, got: &Value| {
            if !same(&expected, got) {
                faults.push(format!("{what}: expected {expected}, got {got}"));
            }
        };
        let (service, method) = self.method.split_once('/').expect("a method has a service");
        check("path", format!("/{}", self.method).into(), &call["path"]);
        check("service", service.into(), &call["service"]);
        check("method", method.into(), &call["method"]);
        check("guessed", Value::Array(Vec::new()), &call["guessed"]);
        check("outcome", self.outcome.into(), &call["outcome"]);
        check("status", self.status.map_or(Value::Null, Value::from), &call["status"]["code"]);
        for side in Side::BOTH {
            let (expected, got) = (&self.messages[side as usize], messages_of(call, side));
            check(&format!("number of {side:?} messages"), expected.len().into(), &got.len().into());
            for (number, (expected, got)) in expected.iter().zip(got).enumerate() {
                check(&format!("{side:?} message {number}: length"), expected.wire.length.into(), &got["length"]);
                check(
                    &format!("{side:?} message {number}: compressed"),
                    expected.wire.compressed.into(),
                    &got["compressed"],
                );
                check(&format!("{side:?} message {number}"), expected.body.clone(), &got["body"]);
                check(&format!("{side:?} message {number}: notes"), Value::Array(Vec::new()), notes(got));
            }
        }
        faults
    }
}

/// A message's notes; the contract lets a message without any leave them out.
pub(crate) fn notes(message: &Value) -> &Value {
    static NONE: Value = Value::Array(Vec::new());
    message.get("notes").unwrap_or(&NONE)
}

/// Equal as JSON values: 1 and 1.0 are the same number, and members have no order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_what_they_mean() {
        assert!(same(&json!({"a": 1, "b": [2.0]}), &json!({"b": [2], "a": 1.0})));
        assert!(!same(&json!({"a": "1"}), &json!({"a": 1})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": null})));
        assert!(!same(&json!([1, 2]), &json!([2, 1])));
    }
}
