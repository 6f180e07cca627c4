//! Connections that are lost, servers that go away and come back, and users who pause and end a replay.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rpcshark_dissectors::compare::Verdict;
use tokio::time::sleep;

use super::harness::{Client, Manners, Outcome, Peer, Server, id, m, record};
use crate::replay::{Connections, CutShort, How, OnConnectionLoss, Pace};

const GET: &str = "/t.S/Get";

async fn echo(mut peer: Peer) {
    let message = peer.recv().await.unwrap_or_default();
    peer.note(id(&message));
    peer.send(&message);
    peer.finish(0);
}

/// Answers all but `die`, on which it closes the connection.
async fn mortal(mut peer: Peer) {
    let message = peer.recv().await.unwrap_or_default();
    peer.note(id(&message));
    match id(&message).as_str() {
        "die" => peer.hang_up().await,
        _ => {
            peer.send(&message);
            peer.finish(0);
        }
    }
}

async fn get_each(client: Rc<Client>, texts: &[&str]) {
    for text in texts {
        client.unary(GET, &m(text)).await;
    }
}

/// Each call of the plan has ended exactly once.
fn each_ended_once(outcome: &Outcome, calls: usize) {
    let mut numbers: Vec<u32> = outcome.calls.iter().map(|(no, ..)| *no).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), calls, "{outcome:?}");
    assert_eq!(outcome.calls.len(), calls, "{outcome:?}");
}

#[test]
fn a_lost_connection_is_made_again_or_dropped_or_ends_the_replay() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["a", "die", "b", "c"]).await;
    });
    let server = Server::start(mortal);
    let outcome = recorded.replay(&server, |_| {});
    let expected = [Verdict::Same, Verdict::ConnectionLost, Verdict::Same, Verdict::Same];
    assert_eq!(outcome.verdicts(), expected, "{outcome:?}");
    // What was lost in the middle is not sent again: the server may have processed it.
    assert_eq!(server.logged(), ["a", "die", "b", "c"]);
    let server = Server::start(mortal);
    let outcome = recorded.replay(&server, |options| {
        options.settings.on_connection_loss = OnConnectionLoss::Drop;
    });
    let expected = [Verdict::Same, Verdict::ConnectionLost, Verdict::ConnectionLost, Verdict::ConnectionLost];
    assert_eq!(outcome.verdicts(), expected, "{outcome:?}");
    assert_eq!(server.logged(), ["a", "die"]);
    let server = Server::start(mortal);
    let outcome = recorded.replay(&server, |options| {
        options.settings.on_connection_loss = OnConnectionLoss::Abort;
    });
    assert!(
        matches!(&outcome.finished.cut_short, Some(CutShort::Aborted(why)) if why.contains("was lost")),
        "{outcome:?}"
    );
    assert_eq!(server.logged(), ["a", "die"]);
    each_ended_once(&outcome, 4);
}

#[test]
fn a_server_that_says_goodbye_is_not_a_lost_connection() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["a", "b", "c", "d", "e"]).await;
    });
    let server = Server::with(Manners { calls_per_connection: Some(2), ..Manners::default() }, echo);
    let outcome = recorded.replay(&server, |options| {
        options.settings.on_connection_loss = OnConnectionLoss::Abort;
    });
    outcome.all_same();
    assert_eq!(outcome.finished.cut_short, None);
}

#[test]
fn a_server_that_restarts_is_waited_for() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["a", "b", "stop", "c", "d"]).await;
    });
    let mut first = Server::start(mortal);
    let address = first.address;
    // The first server ends before `c` comes, and another one listens at its address after a while.
    let outcome = recorded.replay_to(address, |options| {
        options.settings.pace = Pace::Rate(10.0);
        options.meanwhile = Some(Box::new(move |_| {
            while first.logged().len() < 3 {
                std::thread::sleep(Duration::from_millis(5));
            }
            first.stop();
            std::thread::sleep(Duration::from_millis(300));
            let second = Server::with(Manners { address: Some(address), ..Manners::default() }, echo);
            while second.logged().len() < 2 {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(100));
        }));
    });
    outcome.all_same();
    assert_eq!(outcome.finished.cut_short, None);
}

#[test]
fn a_server_that_does_not_come_back_cuts_the_replay_short() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["a", "b", "c", "d", "e", "f"]).await;
    });
    let mut server = Server::start(echo);
    let address = server.address;
    let outcome = recorded.replay_to(address, |options| {
        options.settings.pace = Pace::Rate(20.0);
        options.settings.connect_for = Duration::from_millis(200);
        options.meanwhile = Some(Box::new(move |_| {
            while server.logged().len() < 2 {
                std::thread::sleep(Duration::from_millis(5));
            }
            server.stop();
        }));
    });
    assert!(matches!(outcome.finished.cut_short, Some(CutShort::Lost(_))), "{outcome:?}");
    each_ended_once(&outcome, 6);
    assert_eq!(outcome.verdicts()[..2], [Verdict::Same, Verdict::Same], "{outcome:?}");
}

#[test]
fn connections_are_as_recorded_or_one_for_each_call_or_a_pool() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["a", "b", "c", "d", "e", "f"]).await;
    });
    for (connections, expected) in
        [(Connections::Recorded, 1), (Connections::PerCall, 6), (Connections::Pool(2), 2), (Connections::Pool(99), 6)]
    {
        let server = Server::start(echo);
        recorded.replay(&server, |options| options.settings.connections = connections).all_same();
        assert_eq!(server.connections.1.load(Ordering::SeqCst), expected, "{connections:?}");
    }
}

#[test]
fn a_connection_is_closed_when_its_last_call_is_over() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["x"; 20]).await;
    });
    let most = Arc::new(AtomicUsize::new(0));
    let server = Server::start(echo);
    let (its_most, open) = (Arc::clone(&most), Arc::clone(&server.connections));
    let outcome = recorded.replay(&server, |options| {
        options.settings.connections = Connections::PerCall;
        options.settings.pace = Pace::Rate(50.0);
        options.meanwhile = Some(Box::new(move |_| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(350) {
                its_most.fetch_max(open.0.load(Ordering::SeqCst), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
            }
        }));
    });
    outcome.all_same();
    assert!((1..=6).contains(&most.load(Ordering::SeqCst)), "{most:?} of 20 connections were open at once");
}

#[test]
fn a_paused_replay_sends_nothing_and_goes_on_where_it_was() {
    let recorded = record(&Server::start(echo), |client| async move {
        for n in 0..30 {
            client.unary(GET, &m(&n.to_string())).await;
            sleep(Duration::from_millis(10)).await;
        }
    });
    for pace in [Pace::Think, Pace::Recorded, Pace::Asap, Pace::Rate(100.0)] {
        let server = Server::start(echo);
        let log = Arc::clone(&server.log);
        let outcome = recorded.replay(&server, |options| {
            options.settings.pace = pace;
            // A call that is asked for while the replay is paused has not stalled.
            options.settings.stall_after = Duration::from_millis(200);
            options.meanwhile = Some(Box::new(move |control| {
                while log.lock().len() < 5 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                control.pause(true);
                std::thread::sleep(Duration::from_millis(50));
                let before = log.lock().len();
                std::thread::sleep(Duration::from_millis(500));
                assert_eq!(log.lock().len(), before, "nothing is sent");
                control.pause(false);
            }));
        });
        outcome.all_same();
        assert_eq!(server.logged().len(), 30);
        // The time of the pause does not count: what is left is not sent all at once, and is not late.
        let late = |timing: &crate::replay::Timing| {
            timing.started.zip(timing.due).map_or(0, |(started, due)| started.nanos_since(due) / 1_000_000)
        };
        let latest = outcome.calls.iter().map(|(_, ended, _)| late(&ended.timing)).max();
        assert!(latest.is_some_and(|millis| millis < 150), "{pace:?}: {latest:?} ms late");
    }
}

#[test]
fn a_replay_that_is_stopped_accounts_for_every_call() {
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["x"; 50]).await;
    });
    // Also when it is paused, and when a call is in progress.
    for is_paused in [false, true] {
        let server = Server::start(|mut peer| async move {
            peer.note("call");
            let message = peer.recv().await.unwrap_or_default();
            sleep(Duration::from_millis(20)).await;
            peer.send(&message);
            peer.finish(0);
        });
        let log = Arc::clone(&server.log);
        let began = Instant::now();
        let outcome = recorded.replay(&server, |options| {
            options.meanwhile = Some(Box::new(move |control| {
                while log.lock().len() < 5 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                control.pause(is_paused);
                control.stop(CutShort::Stopped);
            }));
        });
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(outcome.finished.cut_short, Some(CutShort::Stopped));
        each_ended_once(&outcome, 50);
        let skipped = outcome.calls.iter().filter(|(_, ended, _)| matches!(ended.how, How::Skipped(_))).count();
        assert!(skipped >= 44, "{skipped}");
    }
}

#[test]
fn what_waits_for_a_refused_call_waits_until_it_was_sent_again() {
    // `b` must come after `a` was processed; `a` is refused at first, and sent again after a pause.
    let recorded = record(&Server::start(echo), |client| async move {
        get_each(client, &["a", "b"]).await;
    });
    let refusals = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |mut peer: Peer| {
        let refusals = Arc::clone(&refusals);
        async move {
            let message = peer.recv().await.unwrap_or_default();
            if id(&message) == "a" && refusals.fetch_add(1, Ordering::SeqCst) < 2 {
                return peer.reset(h2::Reason::REFUSED_STREAM);
            }
            peer.note(id(&message));
            peer.send(&message);
            peer.finish(0);
        }
    });
    recorded.replay(&server, |_| {}).all_same();
    assert_eq!(server.logged(), ["a", "b"]);
}
