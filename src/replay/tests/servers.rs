//! Servers that a naive replay fails against.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use h2::Reason;
use rpcshark_dissectors::compare::Verdict;
use tokio::time::sleep;

use super::harness::{Manners, Server, id, m, record};
use crate::replay::edit::{Change, Edits};
use crate::replay::{CutShort, How, OnStall, Order, Pace};

const GET: &str = "/t.S/Get";
const CREATE: &str = "/t.S/Create";
const CHAT: &str = "/t.S/Chat";

/// Answers each message at once, and refuses one that comes before the last answer could have been read.
async fn strict_chat(mut peer: super::harness::Peer) {
    let mut last = None;
    while let Some(message) = peer.recv().await {
        let now = std::time::Instant::now();
        if last.is_some_and(|last| now < last) {
            return peer.finish(9);
        }
        sleep(Duration::from_millis(20)).await;
        peer.send(&message);
        last = Some(std::time::Instant::now());
    }
    peer.finish(0);
}

#[test]
fn a_message_waits_for_the_answers_that_its_client_had() {
    // The server fails if a message is there before it has answered the one before.
    let server = Server::start(|mut peer| async move {
        while let Some(message) = peer.recv().await {
            // Whatever is sent without waiting is here within 30 ms.
            let early = tokio::time::timeout(Duration::from_millis(30), peer.recv()).await;
            if let Ok(Some(_)) = early {
                return peer.finish(9);
            }
            peer.send(&message);
            if early.is_ok() {
                break;
            }
        }
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        for text in ["a", "b", "c"] {
            call.send(&m(text)).await;
            assert_eq!(call.recv().await, Some(m(text)));
        }
        call.half_close().await;
        call.end().await;
    });
    recorded.replay(&server, |_| {}).all_same();
    // Without gates the server would have failed: it does when all comes at once.
    let failing = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        for text in ["a", "b", "c"] {
            call.send(&m(text)).await;
        }
        call.end().await;
    });
    let outcome = failing.replay(&server, |_| {});
    outcome.all_same();
}

#[test]
fn answers_may_interleave_otherwise_than_recorded() {
    // Recorded: an answer to each message. Replayed: two answers after every second message.
    let lockstep = Server::start(strict_chat);
    let recorded = record(&lockstep, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        for pair in [["a", "b"], ["c", "d"]] {
            for text in pair {
                call.send(&m(text)).await;
            }
            for text in pair {
                assert_eq!(call.recv().await, Some(m(text)));
            }
        }
        call.half_close().await;
        call.end().await;
    });
    let pairs = Server::start(|mut peer| async move {
        let mut held = Vec::new();
        while let Some(message) = peer.recv().await {
            held.push(message);
            if held.len() == 2 {
                held.drain(..).for_each(|message| peer.send(&message));
            }
        }
        peer.finish(0);
    });
    recorded.replay(&pairs, |_| {}).all_same();
}

#[test]
fn a_server_that_answers_only_after_the_half_close_gets_it() {
    let server = Server::start(|mut peer| async move {
        let mut last = Vec::new();
        while let Some(message) = peer.recv().await {
            last = message;
        }
        peer.send(&last);
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        call.send(&m("a")).await;
        sleep(Duration::from_millis(5)).await;
        call.half_close().await;
        call.end().await;
    });
    recorded.replay(&server, |_| {}).all_same();
}

#[test]
fn an_answer_that_never_comes_is_a_stall_and_not_a_hang() {
    let server = Server::start(strict_chat);
    let recorded = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        for text in ["a", "b", "c"] {
            call.send(&m(text)).await;
            call.recv().await;
        }
        call.half_close().await;
        call.end().await;
        client.unary(CHAT, &m("after")).await;
    });
    let deaf = Server::start(|mut peer| async move {
        let mut count = 0;
        while let Some(message) = peer.recv().await {
            count += 1;
            if count != 2 {
                peer.send(&message);
            }
        }
        peer.finish(0);
    });
    let outcome = recorded.replay(&deaf, |options| options.settings.stall_after = Duration::from_millis(300));
    assert_eq!(outcome.verdicts(), [Verdict::Stalled, Verdict::Same], "{outcome:?}");
    let How::Stalled(text) = &outcome.calls[0].1.how else { panic!("{outcome:?}") };
    assert_eq!(text, "stalled at client message 3, waiting for server message 2");
    let outcome = recorded.replay(&deaf, |options| {
        options.settings.stall_after = Duration::from_millis(300);
        options.settings.on_stall = OnStall::Send;
    });
    assert_eq!(outcome.verdicts(), [Verdict::Differs, Verdict::Same], "{outcome:?}");
    let outcome = recorded.replay(&deaf, |options| {
        options.settings.stall_after = Duration::from_millis(300);
        options.settings.on_stall = OnStall::Abort;
    });
    assert!(matches!(outcome.finished.cut_short, Some(CutShort::Aborted(_))), "{outcome:?}");
}

#[test]
fn an_end_that_never_comes_is_a_stall() {
    let server = Server::start(|mut peer| async move {
        if let Some(message) = peer.recv().await {
            peer.send(&message);
        }
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        client.unary(GET, &m("a")).await;
        client.unary(GET, &m("b")).await;
    });
    let hanging = Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        match id(&message).as_str() {
            "a" => {
                let _ = peer.until_reset().await;
            }
            _ => peer.finish(0),
        }
    });
    let outcome = recorded.replay(&hanging, |options| options.settings.stall_after = Duration::from_millis(300));
    assert_eq!(outcome.verdicts(), [Verdict::Stalled, Verdict::Same], "{outcome:?}");
}

/// `Create` gives random ids, `Get` knows them.
fn ids(seed: u64) -> Server {
    let next = Arc::new(AtomicU64::new(seed));
    let known = Arc::new(parking_lot::Mutex::new(Vec::new()));
    Server::start(move |mut peer| {
        let (next, known) = (Arc::clone(&next), Arc::clone(&known));
        async move {
            let message = peer.recv().await.unwrap_or_default();
            if peer.path == CREATE {
                let made = format!("id-{}", next.fetch_add(7919, Ordering::Relaxed));
                sleep(Duration::from_millis(5)).await;
                known.lock().push(made.clone());
                peer.send(&m(&made));
                return peer.finish(0);
            }
            let found = known.lock().contains(&id(&message));
            if found {
                peer.send(&message);
            }
            peer.finish(if found { 0 } else { 5 });
        }
    })
}

#[test]
fn captured_ids_are_sent_in_place_of_recorded_ones() {
    let server = ids(1);
    let recorded = record(&server, |client| async move {
        let calls = (0..100).map(|n| {
            let client = Rc::clone(&client);
            tokio::task::spawn_local(async move {
                let made = client.unary(CREATE, &m(&format!("name-{n}"))).await.expect("an id");
                client.unary(GET, &made).await.expect("it is known");
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("no panic");
        }
    });
    let edits = || Edits {
        changes: vec![Change::set("t.S/Get.request.id={{id}}").expect("a change")],
        captures: vec!["id=Create.response.id".parse().expect("a capture")],
        ..Edits::default()
    };
    for order in [Order::Global, Order::Data] {
        let outcome = recorded.replay(&ids(1_000_000), |options| {
            options.edits = edits();
            options.settings.order = order;
        });
        assert_eq!(outcome.calls.len(), 200);
        outcome.all_same();
    }
    let without = recorded.replay(&ids(2_000_000), |_| {});
    assert_eq!(without.verdicts().iter().filter(|verdict| **verdict == Verdict::StatusChanged).count(), 100);
}

#[test]
fn calls_that_overlapped_are_not_serialised() {
    // A `Get` of `a` is answered when one of `b` has come.
    let server = || {
        let came = Arc::new(tokio::sync::Notify::new());
        Server::start(move |mut peer| {
            let came = Arc::clone(&came);
            async move {
                let message = peer.recv().await.unwrap_or_default();
                match id(&message).as_str() {
                    "a" => came.notified().await,
                    _ => came.notify_one(),
                }
                peer.send(&message);
                peer.finish(0);
            }
        })
    };
    let recorded = record(&server(), |client| async move {
        let other = Rc::clone(&client);
        let waiting = tokio::task::spawn_local(async move { other.unary(GET, &m("a")).await });
        sleep(Duration::from_millis(10)).await;
        client.unary(GET, &m("b")).await;
        waiting.await.expect("no panic");
    });
    for order in [Order::Global, Order::Conn, Order::ConnStrict, Order::Stream] {
        let outcome = recorded.replay(&server(), |options| options.settings.order = order);
        outcome.all_same();
    }
}

#[test]
fn a_call_starts_when_the_watch_has_begun() {
    // `Chat` says that it watches; a `Create` before that is an error of the client.
    let watching = || {
        let is_watched = Arc::new(AtomicUsize::new(0));
        Server::start(move |mut peer| {
            let is_watched = Arc::clone(&is_watched);
            async move {
                if peer.path == CHAT {
                    sleep(Duration::from_millis(50)).await;
                    is_watched.store(1, Ordering::SeqCst);
                    peer.send(&m("created"));
                    let _ = peer.until_reset().await;
                    return;
                }
                let is_watched = is_watched.load(Ordering::SeqCst) == 1;
                peer.send(&m("done"));
                peer.finish(if is_watched { 0 } else { 9 });
            }
        })
    };
    let recorded = record(&watching(), |client| async move {
        let mut watch = client.begin(CHAT, &[]).await;
        assert_eq!(watch.recv().await, Some(m("created")));
        client.unary(CREATE, &m("x")).await;
    });
    let outcome = recorded.replay(&watching(), |_| {});
    outcome.all_same();
    // The watch was open at the end: it is cancelled.
    assert_eq!(outcome.calls[0].1.how, How::Cancelled);
}

#[test]
fn a_recorded_cancel_comes_after_as_many_messages() {
    let server = Server::start(|mut peer| async move {
        peer.recv().await;
        for n in 0..10 {
            peer.send(&m(&format!("{n}")));
            let slept = tokio::time::timeout(Duration::from_millis(15), peer.until_reset()).await;
            if let Ok(reason) = slept {
                return peer.note(format!("reset {reason:?} after {}", n + 1));
            }
        }
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        call.send(&m("all")).await;
        call.half_close().await;
        for _ in 0..3 {
            call.recv().await;
        }
        call.cancel();
    });
    let outcome = recorded.replay(&server, |_| {});
    outcome.all_same();
    assert_eq!(outcome.calls[0].1.how, How::Cancelled);
    std::thread::sleep(Duration::from_millis(50));
    let resets = server.logged();
    assert_eq!(resets.len(), 2, "{resets:?}");
    assert!(resets.iter().all(|reset| reset == "reset CANCEL after 3"), "{resets:?}");
}

#[test]
fn caps_bound_how_fast_and_how_long_a_replay_fails() {
    let echo = Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        peer.finish(0);
    });
    let recorded = record(&echo, |client| async move {
        for n in 0..10 {
            client.unary(GET, &m(&n.to_string())).await;
        }
    });
    let began = std::time::Instant::now();
    recorded.replay(&echo, |options| options.settings.max_rate = Some(50.0)).all_same();
    assert!(began.elapsed() >= Duration::from_millis(180), "{:?}", began.elapsed());
    let silent = Server::start(|mut peer| async move {
        peer.note("call");
        let _ = peer.until_reset().await;
    });
    let outcome = recorded.replay(&silent, |options| {
        options.settings.stall_after = Duration::from_millis(100);
        options.settings.max_errors = Some(2);
    });
    assert!(matches!(outcome.finished.cut_short, Some(CutShort::Aborted(_))), "{outcome:?}");
    assert_eq!(silent.logged().len(), 2);
}

#[test]
fn the_status_is_part_of_the_verdict() {
    let with = |code: u32| {
        Server::start(move |mut peer| async move {
            peer.recv().await;
            if code == 0 {
                peer.send(&[]);
            }
            peer.finish(code);
        })
    };
    let recorded = record(&with(5), |client| async move { drop(client.unary(GET, &m("a")).await) });
    assert_eq!(recorded.replay(&with(0), |_| {}).verdicts(), [Verdict::StatusChanged]);
    assert_eq!(recorded.replay(&with(5), |_| {}).verdicts(), [Verdict::Same]);
}

#[test]
fn calls_that_a_server_did_not_process_are_sent_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let plain = Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        peer.finish(0);
    });
    let recorded = record(&plain, |client| async move {
        for n in 0..20 {
            client.unary(GET, &m(&n.to_string())).await;
        }
    });
    let manners = Manners { calls_per_connection: Some(3), ..Manners::default() };
    let its_count = Arc::clone(&count);
    let leaving = Server::with(manners, move |mut peer| {
        its_count.fetch_add(1, Ordering::Relaxed);
        async move {
            let message = peer.recv().await.unwrap_or_default();
            peer.send(&message);
            peer.finish(0);
        }
    });
    recorded.replay(&leaving, |_| {}).all_same();
    assert_eq!(count.load(Ordering::Relaxed), 20, "none was processed twice");
    // One that refuses each stream once.
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let refusing = Server::start(move |mut peer| {
        let seen = Arc::clone(&seen);
        async move {
            let message = peer.recv().await.unwrap_or_default();
            if !seen.lock().contains(&message) {
                seen.lock().push(message);
                return peer.reset(Reason::REFUSED_STREAM);
            }
            peer.send(&message);
            peer.finish(0);
        }
    });
    let outcome = recorded.replay(&refusing, |_| {});
    outcome.all_same();
    assert_eq!(outcome.finished.retried, 20);
    // Other resets may come after the call was processed: they are the answer.
    let breaking = Server::start(|mut peer| async move {
        peer.recv().await;
        peer.note("seen");
        peer.reset(Reason::INTERNAL_ERROR);
    });
    let outcome = recorded.replay(&breaking, |_| {});
    assert!(outcome.verdicts().iter().all(|verdict| *verdict == Verdict::StatusChanged), "{outcome:?}");
    assert_eq!(breaking.logged().len(), 20);
}

#[test]
fn the_servers_limit_of_streams_is_respected_and_the_wait_is_known() {
    let open = |limit: Option<u32>| {
        let running = Arc::new(AtomicUsize::new(0));
        Server::with(Manners { max_streams: limit, ..Manners::default() }, move |mut peer| {
            let running = Arc::clone(&running);
            async move {
                peer.recv().await;
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                peer.note(now.to_string());
                sleep(Duration::from_millis(30)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                peer.send(&m("x"));
                peer.finish(0);
            }
        })
    };
    let recorded = record(&open(None), |client| async move {
        let calls = (0..6).map(|_| {
            let client = Rc::clone(&client);
            tokio::task::spawn_local(async move { drop(client.unary(GET, &m("a")).await) })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("no panic");
        }
    });
    let narrow = open(Some(2));
    let outcome = recorded.replay(&narrow, |_| {});
    outcome.all_same();
    let most = narrow.logged().iter().map(|n| n.parse::<u32>().expect("a number")).max();
    assert_eq!(most, Some(2));
    let waited = outcome.calls.iter().map(|(_, ended, _)| ended.timing.slot_wait).max();
    assert!(waited.is_some_and(|waited| waited >= Duration::from_millis(40)), "{waited:?}");
}

#[test]
fn latency_from_the_intended_start_shows_what_a_stop_of_the_server_costs() {
    let with = |stop: Duration| {
        let count = Arc::new(AtomicUsize::new(0));
        Server::start(move |mut peer| {
            let count = Arc::clone(&count);
            async move {
                peer.recv().await;
                if count.fetch_add(1, Ordering::Relaxed) == 10 {
                    sleep(stop).await;
                }
                peer.send(&m("x"));
                peer.finish(0);
            }
        })
    };
    let recorded = record(&with(Duration::ZERO), |client| async move {
        for _ in 0..60 {
            client.unary(GET, &m("a")).await;
            sleep(Duration::from_millis(2)).await;
        }
    });
    let outcome = recorded.replay(&with(Duration::from_millis(300)), |options| options.settings.pace = Pace::Recorded);
    outcome.all_same();
    let latencies = |from: fn(&crate::replay::Timing) -> Option<rpcshark_captures::Timestamp>| {
        let mut latencies: Vec<i64> = outcome
            .calls
            .iter()
            .filter_map(|(_, ended, _)| Some(ended.timing.ended?.nanos_since(from(&ended.timing)?) / 1_000_000))
            .collect();
        latencies.sort_unstable();
        latencies[latencies.len() / 2]
    };
    let (intended, actual) = (latencies(|timing| timing.due), latencies(|timing| timing.started));
    assert!(intended >= 60 && actual <= 30, "half of the calls: {intended} ms from the intended start, {actual} ms");
}

/// How much later, in microseconds, `count` messages come in a replay at its end than at its beginning, if they are `step` apart in
/// the recording. Of the first and the last messages the middle ones count: any single one can be late.
fn drifts(count: u32, step: Duration) -> Vec<(Pace, i64)> {
    let server = Server::start(|mut peer| async move {
        while let Some(message) = peer.recv().await {
            peer.note(format!("{}", std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros()));
            drop(message);
        }
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[]).await;
        let began = tokio::time::Instant::now();
        for n in 0..count {
            tokio::time::sleep_until(began + step * n).await;
            call.send(&m("x")).await;
        }
        call.half_close().await;
        call.end().await;
    });
    let times = || -> Vec<i64> { server.logged().iter().map(|text| text.parse().expect("a number")).collect() };
    let then = times();
    let drift = |pace| {
        server.log.lock().clear();
        recorded.replay(&server, |options| options.settings.pace = pace).all_same();
        let now = times();
        assert_eq!(now.len(), count as usize);
        let later: Vec<i64> = then.iter().zip(&now).map(|(then, now)| now - then).collect();
        let middle = |part: &[i64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part[part.len() / 2]
        };
        (pace, middle(&later[later.len() - 20..]) - middle(&later[..20]))
    };
    [Pace::Think, Pace::Recorded].map(drift).into()
}

#[test]
fn a_schedule_does_not_drift() {
    for (pace, drift) in drifts(100, Duration::from_millis(10)) {
        assert!(drift.abs() < 60_000, "{pace:?}: {drift} us");
    }
}

/// ```sh
/// cargo test --lib -- --ignored --nocapture a_hundred_seconds
/// ```
#[test]
#[ignore = "takes five minutes, alone on a machine"]
fn a_hundred_seconds_drift_by_less_than_20_ms() {
    for (pace, drift) in drifts(1000, Duration::from_millis(100)) {
        println!("{pace:?}: drifts by {drift} us");
        assert!(drift.abs() < 20_000, "{pace:?}: {drift} us");
    }
}

#[test]
fn a_deadline_is_enforced_and_equal_whoever_notices_it() {
    let server = Server::start(|mut peer| async move {
        peer.recv().await;
        peer.send(&m("x"));
        let reason = peer.until_reset().await;
        peer.note(format!("{reason:?}"));
    });
    let recorded = record(&server, |client| async move {
        let mut call = client.begin(CHAT, &[("grpc-timeout", "100m")]).await;
        call.send(&m("a")).await;
        sleep(Duration::from_millis(101)).await;
        call.cancel();
    });
    let outcome = recorded.replay(&server, |options| options.settings.speed = 100.0);
    outcome.all_same();
    let (_, ended, _) = &outcome.calls[0];
    assert_eq!(ended.how, How::Deadline);
    let took = ended.timing.ended.zip(ended.timing.started).map(|(end, start)| end.nanos_since(start));
    assert!(took.is_some_and(|nanos| nanos >= 99_000_000), "{took:?}");
}

#[test]
fn a_server_that_is_down_is_reported_once() {
    let server = Server::start(|mut peer| async move {
        peer.recv().await;
        peer.send(&m("x"));
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        for _ in 0..3 {
            client.unary(GET, &m("a")).await;
        }
    });
    let mut dead = Server::start(|_| async {});
    dead.stop();
    let outcome = recorded.replay(&dead, |options| options.settings.connect_for = Duration::from_millis(200));
    assert!(matches!(outcome.finished.cut_short, Some(CutShort::Unreachable(_))), "{outcome:?}");
    assert_eq!(outcome.calls.len(), 3);
}

#[test]
fn a_call_that_breaks_in_the_middle_is_not_sent_again() {
    let server = Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        for text in ["a", "die", "b"] {
            client.unary(GET, &m(text)).await;
        }
    });
    let dying = Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        if id(&message) == "die" {
            // PROTOCOL_ERROR on the stream after it was read: processed, as far as anybody knows.
            return peer.reset(Reason::PROTOCOL_ERROR);
        }
        peer.send(&message);
        peer.finish(0);
    });
    let outcome = recorded.replay(&dying, |_| {});
    assert_eq!(outcome.verdicts(), [Verdict::Same, Verdict::StatusChanged, Verdict::Same], "{outcome:?}");
}

#[test]
fn what_was_written_is_read_back_as_it_was_sent() {
    let server = Server::start(|mut peer| async move {
        while let Some(message) = peer.recv().await {
            peer.send(&message);
        }
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        client.unary(GET, &m("a")).await;
        let mut call = client.begin(CHAT, &[("tenant", "t1"), ("authorization", "Bearer s3cret")]).await;
        for text in ["b", "c"] {
            call.send(&m(text)).await;
            call.recv().await;
        }
        call.half_close().await;
        call.end().await;
    });
    let first = recorded.replay(&server, |_| {});
    first.all_same();
    // The replay's own recording is replayed in turn.
    let directory = tempfile::tempdir().expect("a directory");
    let second = super::harness::replay(&first.capture, &server.address.to_string(), directory.path(), |_| {});
    assert_eq!(second.calls.len(), 2);
    second.all_same();
    let bytes = std::fs::read(&first.capture).expect("a capture");
    assert!(!bytes.windows(6).any(|part| part == b"s3cret"), "credentials are withheld");
}

#[test]
fn a_call_does_not_wait_for_its_own_answer() {
    let server = Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        peer.finish(0);
    });
    let recorded = record(&server, |client| async move {
        client.unary(GET, &m("a")).await;
        client.unary(GET, &m("b")).await;
    });
    // Each answer has the id of its own request.
    let outcome = recorded.replay(&server, |options| {
        options.edits = Edits {
            changes: vec![Change::set("t.S/Get.request.id={{id}}").expect("a change")],
            captures: vec!["id=Get.response.id".parse().expect("a capture")],
            ..Edits::default()
        };
    });
    assert_eq!(outcome.calls.len(), 2);
    outcome.all_same();
}

#[test]
fn captures_that_fail_fail_the_calls_that_need_them() {
    let server = ids(1);
    let recorded = record(&server, |client| async move {
        let made = client.unary(CREATE, &m("x")).await.expect("an id");
        client.unary(GET, &made).await;
    });
    let refusing = Server::start(|mut peer| async move {
        let path = peer.path.clone();
        peer.note(path);
        peer.recv().await;
        peer.finish(7);
    });
    let outcome = recorded.replay(&refusing, |options| {
        options.edits = Edits {
            changes: vec![Change::set("t.S/Get.request.id={{id}}").expect("a change")],
            captures: vec!["id=Create.response.id".parse().expect("a capture")],
            ..Edits::default()
        };
    });
    assert_eq!(outcome.verdicts(), [Verdict::StatusChanged, Verdict::Skipped], "{outcome:?}");
    assert_eq!(refusing.logged(), [CREATE]);
}
