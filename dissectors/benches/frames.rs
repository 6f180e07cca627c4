//! How long the bytes of an HTTP/2 connection take, from what its segments carry to calls in the store.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rpcshark_captures::{Data, Direction, Endpoint, Input, Packet, PacketNo, Place, SourceNo, Timestamp};
use rpcshark_dissectors::store::{ClientBy, Connection, Keep, Lane};
use rpcshark_dissectors::{Context, Joining, Session};

fn main() {
    divan::main();
}

/// Calls of one connection.
const CALLS: u32 = 1000;

/// What each call of one connection sends: the request, the answer.
struct Traffic {
    opening: [Vec<u8>; 2],
    calls: Vec<[Vec<u8>; 2]>,
}

impl Traffic {
    /// Unary calls whose requests are of `length` bytes; the header blocks are all indexed, but for the first ones.
    fn new(length: usize) -> Self {
        let settings = frame(4, 0, 0, &[]);
        let calls = (0..CALLS).map(|nth| {
            let stream = 2 * nth + 1;
            let (headers, answer, trailers) = match nth {
                0 => (first_request(), literal(0x88, b"content-type", b"application/grpc"), grpc_status()),
                _ => (vec![0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe], vec![0x88, 0xbf], vec![0xbe]),
            };
            let message = |length: usize| {
                let mut message = vec![0];
                message.extend((length as u32).to_be_bytes());
                message.resize(5 + length, b'm');
                message
            };
            let request = [frame(1, 4, stream, &headers), frame(0, 1, stream, &message(length))].concat();
            let answer =
                [frame(1, 4, stream, &answer), frame(0, 0, stream, &message(20)), frame(1, 5, stream, &trailers)];
            [request, answer.concat()]
        });
        Self { opening: [[PREFACE, &settings].concat(), settings.clone()], calls: calls.collect() }
    }

    fn bytes(&self) -> usize {
        self.calls.iter().chain([&self.opening]).flatten().map(Vec::len).sum()
    }

    /// Reads all of it, with segments of at most `segment` bytes.
    fn read(&self, segment: usize) -> u32 {
        let mut lane = Lane::new(Keep::default());
        let (client, server) =
            (Endpoint::Tcp(([10, 0, 0, 1], 40000).into()), Endpoint::Tcp(([10, 0, 0, 2], 50051).into()));
        let connection = Connection::new(client, server, ClientBy::Syn, Timestamp::from_nanos(0));
        let id = lane.add_connection(Packet { order: 0, no: PacketNo::new(0, 1) }, connection);
        let mut session = Session::new(id, Joining { joined: false, decode_as: None });
        let (mut order, mut offsets) = (0, [0; 2]);
        for sent in [&self.opening].into_iter().chain(&self.calls) {
            for (direction, bytes) in Direction::BOTH.into_iter().zip(sent) {
                for bytes in bytes.chunks(segment) {
                    let offset = &mut offsets[direction.index()];
                    let data = Data {
                        bytes,
                        packet: Packet { order, no: PacketNo::new(0, order + 1) },
                        time: Timestamp::from_nanos(order as i64),
                        at: Place::new(SourceNo(0), order * 2000),
                        offset: *offset,
                        acked: None,
                    };
                    session.input(direction, Input::Data(data), &mut Context::new(&mut lane));
                    *offset += bytes.len() as u64;
                    order += 1;
                }
            }
        }
        session.finish(&mut Context::new(&mut lane));
        assert_eq!(lane.call_count(), CALLS);
        lane.call_count()
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// RFC 9113 §4.1: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An indexed field, then a literal one that is inserted.
fn literal(indexed: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut block = vec![indexed, 0x40, name.len() as u8];
    block.extend(name);
    block.push(value.len() as u8);
    block.extend(value);
    block
}

fn grpc_status() -> Vec<u8> {
    literal(0, b"grpc-status", b"0").split_off(1)
}

fn first_request() -> Vec<u8> {
    let fields: [(&[u8], &[u8]); 5] = [
        (b":path", b"/acme.shop.v1.Orders/PlaceOrder"),
        (b":authority", b"orders.example.com:443"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"user-agent", b"grpc-go/1.76.0"),
    ];
    let literals = fields.into_iter().flat_map(|(name, value)| literal(0, name, value).split_off(1));
    [0x83, 0x86].into_iter().chain(literals).collect()
}

/// Unary calls with requests of so many bytes.
#[divan::bench(args = [0, 100, 1_300, 100_000])]
fn unary_calls(bencher: Bencher, length: usize) {
    let traffic = Traffic::new(length);
    let bencher = bencher.counter(BytesCount::new(traffic.bytes())).counter(ItemsCount::new(CALLS));
    bencher.bench(|| black_box(&traffic).read(1448));
}

/// The same with frames that no segment holds whole.
#[divan::bench]
fn small_segments(bencher: Bencher) {
    let traffic = Traffic::new(100);
    let bencher = bencher.counter(BytesCount::new(traffic.bytes())).counter(ItemsCount::new(CALLS));
    bencher.bench(|| black_box(&traffic).read(50));
}
