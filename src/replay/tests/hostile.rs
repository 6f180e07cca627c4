//! Servers that do harm: a replay ends in time, keeps its memory, accounts for every call, and says what happened.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use h2::Reason;
use rpcshark_dissectors::compare::Verdict;

use super::harness::{Outcome, Peer, Recorded, Server, m, record};
use crate::replay::{CutShort, How};

const GET: &str = "/t.S/Get";

/// A recording of three calls.
fn three_calls() -> Recorded {
    let server = Server::start(|mut peer: Peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        peer.send(&message);
        peer.finish(0);
    });
    record(&server, |client| async move {
        for text in ["a", "b", "c"] {
            client.unary(GET, &m(text)).await;
        }
    })
}

/// A server that does as it wants with each connection.
struct Raw {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Raw {
    fn start(serve: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let (count, over, serve) = (Arc::clone(&connections), Arc::clone(&is_over), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let (over, serve) = (Arc::clone(&over), Arc::clone(&serve));
                std::thread::spawn(move || serve(stream, &over));
            }
        });
        Self { address, connections, is_over }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Replays to a server that does harm. The replay has to end within some seconds, with an end for each call.
fn replay(address: SocketAddr) -> Outcome {
    replay_with(address, Duration::from_millis(300))
}

fn replay_with(address: SocketAddr, stall_after: Duration) -> Outcome {
    let began = Instant::now();
    let outcome = three_calls().replay_to(address, |options| {
        options.settings.stall_after = stall_after;
        options.settings.connect_for = Duration::from_millis(500);
    });
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(outcome.calls.len(), 3, "{outcome:?}");
    outcome
}

fn all(outcome: &Outcome, verdict: Verdict) {
    assert!(outcome.verdicts().iter().all(|each| *each == verdict), "{outcome:?}");
}

#[test]
fn garbage_instead_of_http2_is_a_server_that_cannot_be_used() {
    for garbage in
        [&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], &[0xff; 4096], b"SSH-2.0-OpenSSH_9.6\r\n"]
    {
        let server = Raw::start(move |mut stream, _| {
            let _ = stream.write_all(garbage);
            let _ = stream.read(&mut [0; 4096]);
        });
        let outcome = replay(server.address);
        let Some(CutShort::Unreachable(why)) = &outcome.finished.cut_short else { panic!("{outcome:?}") };
        assert!(why.contains("cannot connect"), "{why}");
        assert!(server.connections.load(Ordering::SeqCst) < 20, "it is tried again with pauses");
    }
}

#[test]
fn a_server_that_closes_each_connection_is_one_that_cannot_be_used() {
    let server = Raw::start(|stream, _| drop(stream));
    let outcome = replay(server.address);
    assert!(outcome.finished.cut_short.is_some(), "{outcome:?}");
    let expected = [Verdict::ConnectionLost, Verdict::Skipped, Verdict::Skipped];
    assert_eq!(outcome.verdicts(), expected, "{outcome:?}");
    assert!(server.connections.load(Ordering::SeqCst) < 20);
}

#[test]
fn a_server_that_never_says_anything_stalls_each_call() {
    let silent = Raw::start(|stream, over| {
        while !over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(stream);
    });
    all(&replay(silent.address), Verdict::Stalled);
    // One byte of SETTINGS at a time.
    let slow = Raw::start(|mut stream, over| {
        let settings = frame(4, 0, 0, &[0; 6].repeat(100));
        for byte in settings {
            if over.load(Ordering::SeqCst) || stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    all(&replay(slow.address), Verdict::Stalled);
}

#[test]
fn an_answer_without_end_is_cut() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.recv().await;
        let message = vec![7; 1 << 20];
        // As fast as flow control allows, until the stream is reset.
        while peer.send_slowly(&message).await {}
        peer.note("reset");
    });
    let outcome = replay_with(server.address, Duration::from_secs(20));
    all(&outcome, Verdict::Stalled);
    for (_, ended, _) in &outcome.calls {
        assert!(matches!(&ended.how, How::Stalled(why) if why.contains("far more than the recorded one")), "{ended:?}");
    }
    let reset_by = Instant::now() + Duration::from_secs(5);
    while server.logged().len() < 3 && Instant::now() < reset_by {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.logged().len(), 3, "each was reset");
}

#[test]
fn messages_without_end_that_come_slowly_are_a_stall() {
    let server = Server::start(|mut peer: Peer| async move {
        let message = peer.recv().await.unwrap_or_default();
        loop {
            peer.send(&message);
            let reset = tokio::time::timeout(Duration::from_millis(20), peer.until_reset()).await;
            if reset.is_ok() {
                return;
            }
        }
    });
    all(&replay(server.address), Verdict::Stalled);
}

#[test]
fn a_message_that_announces_gigabytes_takes_no_memory() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.recv().await;
        peer.send_raw(&[0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
        peer.finish(0);
    });
    let outcome = replay(server.address);
    all(&outcome, Verdict::Differs);
}

#[test]
fn header_bombs_end_their_call_or_connection() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.recv().await;
        peer.send_large_header(3 << 20);
        peer.finish(0);
    });
    let outcome = replay(server.address);
    assert!(outcome.verdicts().iter().all(|verdict| *verdict != Verdict::Same), "{outcome:?}");
}

#[test]
fn resets_and_refusals_without_end_are_given_up() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.note("call");
        peer.recv().await;
        peer.reset(Reason::REFUSED_STREAM);
    });
    let outcome = replay(server.address);
    all(&outcome, Verdict::ConnectionLost);
    for (_, ended, _) in &outcome.calls {
        let How::ConnectionLost(why) = &ended.how else { panic!("{ended:?}") };
        assert_eq!(why, "the server refused the stream; it was sent 5 times");
    }
    assert_eq!(server.logged().len(), 15);
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM, Reason::HTTP_1_1_REQUIRED] {
        let server = Server::start(move |mut peer: Peer| async move {
            peer.recv().await;
            peer.reset(reason);
        });
        let outcome = replay(server.address);
        assert!(outcome.verdicts().iter().all(|verdict| *verdict != Verdict::Same), "{reason:?}: {outcome:?}");
    }
}

#[test]
fn goaway_at_the_beginning_of_each_connection_is_given_up() {
    let server = Raw::start(|mut stream, _| {
        let mut bytes = frame(4, 0, 0, &[]);
        bytes.extend(frame(7, 0, 0, &[0; 8]));
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 4096]);
    });
    let outcome = replay(server.address);
    assert!(outcome.verdicts().iter().all(|verdict| *verdict != Verdict::Same), "{outcome:?}");
    assert!(server.connections.load(Ordering::SeqCst) < 60, "{:?}", server.connections);
}

#[test]
fn floods_of_control_frames_do_not_keep_a_call_alive() {
    for flood in [frame(6, 0, 0, &[7; 8]), frame(4, 0, 0, &[]), frame(8, 0, 0, &[0, 0, 0, 1]), frame(0xbe, 0, 0, &[1])]
    {
        let server = Raw::start(move |mut stream, over| {
            let _ = stream.write_all(&frame(4, 0, 0, &[]));
            let mut reader = stream.try_clone().expect("a socket");
            std::thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {});
            let many = flood.repeat(64);
            while !over.load(Ordering::SeqCst) && stream.write_all(&many).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = replay(server.address);
        assert!(outcome.verdicts().iter().all(|verdict| *verdict != Verdict::Same), "{outcome:?}");
    }
}
