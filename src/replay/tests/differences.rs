//! What is equal though its bytes are not: maps, floats, `Any`, unknown fields, details of a status.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use rpcshark_dissectors::compare::Verdict;

use super::harness::{Outcome, Server, m, record};

const LIST: &str = "/t.S/ListRich";

/// A field that is delimited by its length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, content.len() as u8];
    out.extend_from_slice(content);
    out
}

/// An entry of `map<string, int32> counts = 1`.
fn count(key: &str, value: u8) -> Vec<u8> {
    field(1, &[field(1, key.as_bytes()), vec![0x10, value]].concat())
}

/// `double load = 2`.
fn load(value: f64) -> Vec<u8> {
    [&[0x11][..], &value.to_le_bytes()].concat()
}

/// `google.protobuf.Any detail = 3` of a `t.M { id: "x" n: 7 }` whose fields are in the wanted order.
fn detail(is_swapped: bool) -> Vec<u8> {
    let (id, n) = (m("x"), vec![0x10, 7]);
    let value = if is_swapped { [n, id].concat() } else { [id, n].concat() };
    field(3, &[field(1, b"type.googleapis.com/t.M"), field(2, &value)].concat())
}

/// `google.rpc.Status { code, message, details }` with a `t.M { id }` as its only detail.
fn details(id: &str, is_padded: bool) -> String {
    let any = [field(1, b"type.googleapis.com/t.M"), field(2, &m(id))].concat();
    let status = [vec![0x08, 5], field(2, b"gone"), field(3, &any)].concat();
    match is_padded {
        true => BASE64_STANDARD.encode(status),
        false => BASE64_STANDARD_NO_PAD.encode(status),
    }
}

/// A server that answers with these bytes, then with this status and these details.
fn server(answer: Vec<u8>, code: u32, details: Option<String>) -> Server {
    Server::start(move |mut peer| {
        let (answer, details) = (answer.clone(), details.clone());
        async move {
            peer.recv().await;
            if code == 0 {
                peer.send(&answer);
            }
            let more: Vec<_> = details.into_iter().map(|value| ("grpc-status-details-bin", value)).collect();
            peer.finish_with(code, &more);
        }
    })
}

fn replay(recorded: &Server, now: &Server, rules: impl FnOnce(&mut rpcshark_dissectors::compare::Rules)) -> Outcome {
    let recorded = record(recorded, |client| async move {
        client.unary(LIST, &m("a")).await;
    });
    recorded.replay(now, |options| rules(&mut options.rules))
}

fn places(outcome: &Outcome) -> Vec<String> {
    let differences = outcome.calls.iter().flat_map(|(_, _, comparison)| &comparison.differences);
    differences.map(|difference| difference.path.to_string()).collect()
}

#[test]
fn maps_in_another_order_any_and_unknown_fields_are_compared_by_what_they_mean() {
    let unknown = [0xf8, 0x06, 9]; // Field 111, which the schema does not have.
    let then = [count("a", 1), count("b", 2), load(1.0), detail(false), unknown.to_vec()].concat();
    let now = [unknown.to_vec(), detail(true), count("b", 2), load(1.0), count("a", 1)].concat();
    let outcome = replay(&server(then.clone(), 0, None), &server(now, 0, None), |_| {});
    outcome.all_same();
    // What differs is found all the same, and nothing else.
    let now = [count("b", 3), count("a", 1), load(1.0), detail(false), vec![0xf8, 0x06, 8]].concat();
    let outcome = replay(&server(then, 0, None), &server(now, 0, None), |_| {});
    assert_eq!(outcome.verdicts(), [Verdict::Differs]);
    let places = places(&outcome);
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places[0].contains("counts") && places[0].contains('b'), "{places:?}");
    assert!(places[1].contains("111"), "{places:?}");
}

#[test]
fn floats_differ_by_no_more_than_is_allowed() {
    let (then, now) = (load(1.0), load(1.000_001));
    let outcome = replay(&server(then.clone(), 0, None), &server(now.clone(), 0, None), |_| {});
    assert_eq!(outcome.verdicts(), [Verdict::Differs], "{outcome:?}");
    let outcome = replay(&server(then.clone(), 0, None), &server(now, 0, None), |rules| {
        rules.float("t.Rich.load=0.001").expect("a rule");
    });
    outcome.all_same();
    let outcome = replay(&server(then, 0, None), &server(load(1.1), 0, None), |rules| {
        rules.float("t.Rich.load=0.001").expect("a rule");
    });
    assert_eq!(outcome.verdicts(), [Verdict::Differs]);
}

#[test]
fn details_of_a_status_are_compared_decoded() {
    let then = server(Vec::new(), 5, Some(details("x", true)));
    let outcome = replay(&then, &server(Vec::new(), 5, Some(details("x", false))), |_| {});
    outcome.all_same();
    let outcome = replay(&then, &server(Vec::new(), 5, Some(details("y", false))), |_| {});
    assert_eq!(outcome.verdicts(), [Verdict::Differs], "{outcome:?}");
    let places = places(&outcome);
    assert!(places.iter().all(|place| place.contains("details")), "{places:?}");
}

#[test]
fn an_answer_that_cannot_be_read_or_has_no_status_is_a_difference() {
    let then = server(m("x"), 0, None);
    // A message that is said to be compressed, without an encoding.
    let garbled = Server::start(|mut peer| async move {
        peer.recv().await;
        peer.send_raw(&[1, 0, 0, 0, 2, 7, 7]);
        peer.finish(0);
    });
    let outcome = replay(&then, &garbled, |_| {});
    assert_eq!(outcome.verdicts(), [Verdict::Differs], "{outcome:?}");
    let silent = Server::start(|mut peer| async move {
        peer.recv().await;
        peer.end_without_trailers(&m("x"));
    });
    let outcome = replay(&then, &silent, |_| {});
    assert_eq!(outcome.verdicts(), [Verdict::StatusChanged], "{outcome:?}");
    assert_eq!(outcome.calls[0].2.why.as_deref(), Some("recorded OK, now no status"));
}
