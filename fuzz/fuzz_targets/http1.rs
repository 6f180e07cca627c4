//! HTTP/1.1 with gRPC-Web and Connect: bytes and gaps both ways, after heads that make the first exchange a call.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcshark_captures::{Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, SourceNo, Timestamp};
use rpcshark_dissectors::store::{ClientBy, Connection, Keep, Store};
use rpcshark_dissectors::{Context, Joining, Session};

const REQUESTS: [&[u8]; 4] = [
    b"",
    b"POST /a.B/C HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /a.B/C HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web-text\r\nContent-Length: 400\r\n\r\n",
    b"POST /a.B/C HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n",
];

const RESPONSES: [&[u8]; 4] = [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 300\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n",
];

// The first byte chooses the heads. Then pieces: a direction and a length, and whether they are a gap.
fuzz_target!(|bytes: &[u8]| {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let mut store = Store::new(1, Keep { frames: true, bodies: true, events: true });
    let lane = &mut store.lanes_mut()[0];
    let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
    let connection = Connection::new(end(40_000), end(80), ClientBy::Syn, Timestamp::EPOCH);
    let id = lane.add_connection(Packet::default(), connection);
    let joined = first & 0x80 != 0;
    let mut session = Session::new(id, Joining { joined, decode_as: None });
    let mut offsets = [0_u64; 2];
    let mut order = 0;
    let mut feed = |direction: Direction, bytes: &[u8], lost: bool, store: &mut Store| {
        if bytes.is_empty() {
            return;
        }
        order += 1;
        let packet = Packet { order, no: PacketNo::new(0, order) };
        let time = Timestamp::from_nanos(order as i64);
        let offset = offsets[direction.index()];
        offsets[direction.index()] += bytes.len() as u64;
        let acked = Some(offsets[direction.reverse().index()]);
        let at = Place::new(SourceNo(0), offset);
        let input = match lost {
            true => Input::Gap(Gap { length: Some(bytes.len() as u64), cause: GapCause::Lost, packet, time }),
            false => Input::Data(Data { bytes, packet, time, at, offset, acked }),
        };
        let lane = &mut store.lanes_mut()[0];
        lane.set_sort_key(order, 0);
        session.input(direction, input, &mut Context::new(lane));
    };
    feed(Direction::ToServer, REQUESTS[usize::from(first & 3)], false, &mut store);
    feed(Direction::ToClient, RESPONSES[usize::from(first >> 2 & 3)], false, &mut store);
    while let Some((&control, after)) = rest.split_first() {
        let (piece, next) = after.split_at(usize::from(control & 0x3f).min(after.len()));
        let direction = if control & 0x40 == 0 { Direction::ToServer } else { Direction::ToClient };
        feed(direction, piece, control & 0x80 != 0, &mut store);
        rest = next;
    }
    session.finish(&mut Context::new(&mut store.lanes_mut()[0]));
    store.commit();
});
