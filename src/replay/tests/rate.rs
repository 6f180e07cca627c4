//! How many calls a replay sends per second beside a plain client. Run it alone, in a release build:
//!
//! ```sh
//! cargo test --release --lib -- --ignored --nocapture replay::tests::rate
//! ```

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::harness::{Busy, Client, Server, client_of, m, record};

/// Calls that are sent at each concurrency.
const CALLS: usize = 6_000;

/// Replay and plain client are measured in turn so often; the middle one of the ratios counts.
const ROUNDS: usize = 5;

fn echo() -> Server {
    Server::start(|mut peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        peer.finish(0);
    })
}

async fn load(client: Rc<Client>, concurrency: usize) {
    let tasks = (0..concurrency).map(|_| {
        let client = Rc::clone(&client);
        tokio::task::spawn_local(async move {
            for _ in 0..CALLS / concurrency {
                client.unary("/t.S/Get", &m("a")).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
}

#[test]
#[ignore = "a measurement: run it alone, in a release build"]
fn a_replay_is_about_as_fast_as_a_plain_client() {
    for concurrency in [1, 64] {
        let server = echo();
        let recorded = record(&server, |client| load(client, concurrency));
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let mut plain = Duration::ZERO;
            let before = Busy::now();
            client_of(&server, async |client| {
                let began = Instant::now();
                load(client, concurrency).await;
                plain = began.elapsed();
            });
            let plain_busy = Busy::now().since(before);
            let outcome = recorded.replay(&server, |_| {});
            outcome.all_same();
            let took = outcome.finished.ended.zip(outcome.finished.began).map(|(end, begin)| end.nanos_since(begin));
            let took = took.expect("times") as f64 / 1e9;
            let rate = |seconds: f64| (CALLS / concurrency * concurrency) as f64 / seconds;
            let (plain, replayed) = (rate(plain.as_secs_f64()), rate(took));
            println!("concurrency {concurrency}: plain {plain:.0}, replay {replayed:.0} calls per second");
            // Where the machine has other things to do, this says more: microseconds of a processor for each call.
            let micros = |seconds: f64| (seconds * 1e6 / CALLS as f64).round();
            let Busy { process, own, servers } = outcome.busy;
            println!(
                "  busy: client {}, its server {}; sending {}, comparing {}, its server {} us a call",
                micros(plain_busy.own),
                micros(plain_busy.servers),
                micros(process - own - servers),
                micros(own),
                micros(servers)
            );
            ratios.push(replayed / plain);
        }
        ratios.sort_by(f64::total_cmp);
        println!("concurrency {concurrency}: {:.2}", ratios[ROUNDS / 2]);
        assert!(ratios[ROUNDS / 2] >= 0.7, "{ratios:?}");
    }
}
