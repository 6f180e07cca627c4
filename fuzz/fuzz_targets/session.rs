//! A connection: steps of a byte that says what comes, a byte of length, and the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcshark_captures::{
    Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, SourceNo, Timestamp,
};
use rpcshark_dissectors::store::{ClientBy, Connection, Keep, Store};
use rpcshark_dissectors::{Context, Joining, Session};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let joined = first & 1 == 1;
    let mut store = Store::new(1, Keep { frames: true, bodies: true, events: true });
    let [lane] = store.lanes_mut() else { return };
    let connection = Connection::new(Endpoint::UnixInode(1), Endpoint::UnixInode(2), ClientBy::First, Timestamp::EPOCH);
    let id = lane.add_connection(Packet::default(), connection);
    let mut session = Session::new(id, Joining { joined, decode_as: None });
    let mut sent = [0_u64; 2];
    let mut order = 0;
    while let [what, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        order += 1;
        let direction = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let packet = Packet { order, no: PacketNo::new(0, order) };
        let time = Timestamp::from_nanos(order as i64);
        let offset = sent[direction.index()];
        sent[direction.index()] += bytes.len() as u64;
        lane.set_sort_key(order, 0);
        let gap = Gap { length: Some(bytes.len() as u64), cause: GapCause::Lost, packet, time };
        let acked = (what & 4 != 0).then_some(sent[direction.reverse().index()]);
        let data = Data { bytes, packet, time, at: Place::new(SourceNo(0), offset), offset, acked };
        match what & 2 != 0 {
            true => session.input(direction, Input::Gap(gap), &mut Context::new(lane)),
            false if !bytes.is_empty() => session.input(direction, Input::Data(data), &mut Context::new(lane)),
            false => {}
        }
    }
    session.finish(&mut Context::new(lane));
    store.commit();
});
