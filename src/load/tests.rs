//! Tests of the shared store: what readers see while a capture loads.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rpcshark_captures::budget::MemoryLimit;
use rpcshark_dissectors::store::Keep;
use tempfile::NamedTempFile;

use super::{Inputs, LoadOptions, Loader};
use crate::decode_as::DecodeAsRules;
use crate::signals::Stop;

/// Calls on each connection of [`capture`].
const CALLS: u32 = 74;

/// A recorded connection again and again, packet by packet, with other ports.
fn capture(connections: u16) -> NamedTempFile {
    let recorded = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/shop/shop.pcap"));
    let recorded = recorded.expect("the capture is there");
    let client = 41542_u16.to_be_bytes();
    let (header, mut rest) = recorded.split_at(24);
    let mut bytes = header.to_vec();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        let (packet, behind) = rest.split_at(16 + length as usize);
        rest = behind;
        // In the record: 16 bytes of its header, 14 of Ethernet, 20 of IPv4, then the ports.
        let at = if packet[50..52] == client { 50 } else { 52 };
        for connection in 0..connections {
            let mut packet = packet.to_vec();
            packet[at..at + 2].copy_from_slice(&(10_000 + connection).to_be_bytes());
            bytes.extend_from_slice(&packet);
        }
    }
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("room for a temporary file");
    file
}

fn open(path: &Path) -> Loader {
    Loader::open(LoadOptions {
        inputs: Inputs::Paths(vec![PathBuf::from(path)]),
        memory: MemoryLimit::default(),
        follow: false,
        stop: Some(Stop::new().expect("an event")),
        count: None,
        keep: Keep::default(),
        decode_as: DecodeAsRules::default(),
        key_logs: Vec::new(),
        spool: None,
        notice: None,
    })
    .expect("a capture")
}

/// Loads a capture, with `readers` that look at every change after each batch. Gives how long it took.
fn load(path: &Path, readers: usize, pause: Duration) -> Duration {
    let loader = open(path);
    let shared = loader.shared().clone();
    let readers: Vec<_> = (0..readers)
        .map(|_| {
            let follower = shared.follow();
            let shared = shared.clone();
            std::thread::spawn(move || {
                let (mut known, mut completed, mut looks) = (0, BTreeSet::new(), 0);
                let mut more = true;
                while more {
                    more = follower.wait();
                    let store = shared.read();
                    let changes = follower.take(&store);
                    assert!(!changes.restarted);
                    assert_eq!(changes.calls.start, known + 1, "no call is missed or reported twice");
                    assert!(changes.changed.iter().all(|&no| no <= known), "what is new is not changed");
                    assert!(changes.changed.is_sorted_by(|a, b| a < b), "each call once");
                    known = changes.calls.end - 1;
                    for at in changes.completed {
                        assert!(store.call(at).no.is_some_and(|no| no.get() <= known));
                        assert!(completed.insert(at), "a call completes once");
                    }
                    assert_eq!(store.call_count(), known);
                    drop(store);
                    looks += 1;
                    std::thread::sleep(pause);
                }
                (known, completed.len(), looks)
            })
        })
        .collect();
    let started = Instant::now();
    let loaded = loader.start().join(|_| {}).expect("a whole capture");
    let took = started.elapsed();
    let complete = loaded.store.calls().iter().filter(|&&at| loaded.store.call(at).is_complete()).count();
    let calls = loaded.store.call_count();
    drop(loaded);
    for reader in readers {
        let (known, completed, looks) = reader.join().expect("its assertions hold");
        assert_eq!((known, completed), (calls, complete));
        assert!(looks > 1, "it looked while the capture was loading");
    }
    took
}

#[test]
fn readers_of_the_change_log_are_told_of_every_call_once_while_a_capture_loads() {
    let file = capture(100);
    load(file.path(), 2, Duration::ZERO);
    // One that is slow.
    load(file.path(), 1, Duration::from_millis(20));
    let loaded = open(file.path()).start().join(|_| {}).expect("a whole capture");
    assert_eq!(loaded.store.call_count(), 100 * CALLS);
}

#[test]
fn a_reader_that_joins_late_or_stops_does_not_hold_up_the_loading() {
    let file = capture(40);
    let mut loader = open(file.path());
    let shared = loader.shared().clone();
    let gone = shared.follow();
    assert!(loader.step().expect("a batch").is_some());
    drop(gone);
    let late = shared.follow();
    let changes = late.take(&shared.read());
    assert!(changes.restarted);
    let known = changes.calls.end - 1;
    assert!(known > 0 && known < 40 * CALLS, "{known}");
    while loader.step().expect("a batch").is_some() {}
    let changes = late.take(&shared.read());
    assert_eq!((changes.restarted, changes.calls), (false, known + 1..40 * CALLS + 1));
}

#[test]
fn loading_stops_when_it_is_told_to() {
    let file = capture(40);
    let loader = open(file.path());
    let (stop, shared) = (loader.stop().expect("given"), loader.shared().clone());
    stop.raise();
    let loaded = loader.start().join(|_| {}).expect("what was read");
    assert!(loaded.interrupted && shared.is_finished());
    assert!(loaded.store.call_count() < 40 * CALLS, "{}", loaded.store.call_count());
}

/// `RPCSHARK_LARGE=FILE cargo test --release -p rpcshark --lib -- --ignored --nocapture a_reader_costs`
#[test]
#[ignore = "a measurement; give it a large capture by RPCSHARK_LARGE, and a release build"]
fn a_reader_costs_the_loading_no_more_than_a_tenth() {
    let generated = capture(150);
    let path = std::env::var_os("RPCSHARK_LARGE").map_or_else(|| generated.path().to_owned(), PathBuf::from);
    let mut ratios: Vec<f64> = (0..9)
        .map(|_| {
            let alone = load(&path, 0, Duration::ZERO).as_secs_f64();
            load(&path, 1, Duration::ZERO).as_secs_f64() / alone
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("with a reader, of the time without: {ratios:.3?}");
    assert!(ratios[4] <= 1.1, "the median is {:.3}", ratios[4]);
}

#[test]
fn the_store_is_the_same_with_any_number_of_threads() {
    let capture = capture(40);
    let load = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let loaded = open(capture.path()).run(|_, _, _| ControlFlow::Continue(())).expect("a capture");
            let store = &loaded.store;
            let calls = store.calls().iter().map(|&at| format!("{:?}", store.call(at)));
            let connections = store.connections().map(|at| format!("{:?}", store.connection(at)));
            calls.chain(connections).collect::<Vec<_>>()
        })
    };
    let one = load(1);
    assert_eq!(one.len(), 40 * (CALLS as usize + 1));
    for threads in [2, 3, 8] {
        assert!(load(threads) == one, "{threads} threads");
    }
}
