//! A TLS connection whose secrets are known: hellos, records and gaps both ways. Each step is a byte that says what comes, a
//! byte of length, and the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcshark_captures::{
    Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, SourceNo, Timestamp,
};
use rpcshark_dissectors::store::{ClientBy, Connection, Keep, Store};
use rpcshark_dissectors::tls::Keys;
use rpcshark_dissectors::{Context, Joining, KeepBytes, Session};

/// The random of every hello.
const RANDOM: [u8; 32] = [7; 32];

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let mut keys = Keys::new();
    // With a short secret for suites with SHA-256, or a long one for those with SHA-384.
    let (random, secret) = ("07".repeat(32), "5a".repeat(if first & 2 == 0 { 32 } else { 48 }));
    let sides = ["CLIENT_HANDSHAKE", "SERVER_HANDSHAKE", "CLIENT_EARLY"];
    let mut log: String = sides.iter().map(|side| format!("{side}_TRAFFIC_SECRET {random} {secret}\n")).collect();
    for side in ["CLIENT", "SERVER"] {
        log += &format!("{side}_TRAFFIC_SECRET_0 {random} {secret}\n");
    }
    log += &format!("CLIENT_RANDOM {random} {}\n", "5a".repeat(48));
    assert!(keys.add(log.as_bytes()).is_empty());
    keys.set_growing(first & 4 != 0);

    let mut store = Store::new(1, Keep { frames: true, bodies: true, events: true });
    let [lane] = store.lanes_mut() else { return };
    let connection = Connection::new(Endpoint::UnixInode(1), Endpoint::UnixInode(2), ClientBy::First, Timestamp::EPOCH);
    let id = lane.add_connection(Packet::default(), connection);
    let mut kept = Counted(0);
    let mut session = Session::new(id, Joining { joined: first & 1 == 1, decode_as: None });
    let mut sent = [0_u64; 2];
    let mut order = 0;
    // A connection is TLS by its first bytes: mostly a ClientHello.
    let opening = [2, 0];
    let mut opens = first & 8 == 0;
    while let [what, len, tail @ ..] = if opens { &opening[..] } else { rest } {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        if !std::mem::take(&mut opens) {
            rest = tail;
        }
        order += 1;
        let direction = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let packet = Packet { order, no: PacketNo::new(0, order) };
        let time = Timestamp::from_nanos(order as i64);
        let content = match what >> 1 & 7 {
            0 => bytes.to_vec(),
            1 => record(22, &handshake(1, &hello(bytes, true))),
            2 => record(22, &handshake(2, &hello(bytes, false))),
            3 => record(23, bytes),
            4 => record(20, &[1]),
            5 => record(22, bytes),
            6 => record(bytes.first().copied().unwrap_or(21), bytes),
            _ => Vec::new(),
        };
        let length = if content.is_empty() { bytes.len() } else { content.len() } as u64;
        let offset = sent[direction.index()];
        sent[direction.index()] += length;
        lane.set_sort_key(order, 0);
        let mut context = Context { spill: Some(&mut kept), keys: &keys, ..Context::new(lane) };
        if content.is_empty() {
            let gap = Gap { length: Some(length), cause: GapCause::Lost, packet, time };
            session.input(direction, Input::Gap(gap), &mut context);
        } else {
            let at = Place::new(SourceNo(0), offset);
            let data = Data { bytes: &content, packet, time, at, offset, acked: None };
            session.input(direction, Input::Data(data), &mut context);
        }
    }
    session.finish(&mut Context { spill: Some(&mut kept), keys: &keys, ..Context::new(lane) });
    store.commit();
});

/// Counts the bytes that it should keep.
struct Counted(u64);

impl KeepBytes for Counted {
    fn keep(&mut self, bytes: &[u8]) -> Place {
        self.0 += bytes.len() as u64;
        Place::new(SourceNo(1), self.0 - bytes.len() as u64)
    }
}

/// `type, version (2), length (2), fragment` (RFC 8446 §5.1).
fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend((fragment.len() as u16).to_be_bytes());
    record.extend(fragment);
    record
}

/// `type, length (3), body` (RFC 8446 §4).
fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

/// `version (2), random (32), session id, suites or suite, compression, extensions` (RFC 8446 §4.1.2).
fn hello(bytes: &[u8], is_client: bool) -> Vec<u8> {
    let (&[high, low], extensions) = bytes.split_first_chunk().unwrap_or((&[0x13, 0x01], &[]));
    let mut hello = vec![3, 3];
    hello.extend(RANDOM);
    hello.push(0);
    if is_client {
        hello.extend([0, 2]);
    }
    hello.extend([high, low]);
    hello.extend(if is_client { &[1, 0][..] } else { &[0] });
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    hello
}
