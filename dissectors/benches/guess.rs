//! How long it takes to guess the methods of calls whose paths are not in the capture.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rpcshark_captures::{Data, Direction, Endpoint, Input, Packet, PacketNo, Place, SourceNo, Timestamp};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{ClientBy, Connection, Keep, Store};
use rpcshark_dissectors::view::{Bodies, Guesser, Redaction, Viewer};
use rpcshark_dissectors::{Context, Joining, Session};

fn main() {
    divan::main();
}

const CALLS: u32 = 20_000;

const METHODS: usize = 400;

/// A recorded connection that was joined in the middle, so that the paths of its calls are entries that were sent before.
struct Recorded {
    store: Store,
    flows: [Vec<u8>; 2],
}

impl Bodies for Recorded {
    fn get<'a>(&'a self, at: Place, len: usize, _: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let from = usize::try_from(at.offset()).ok()?;
        self.flows.get(usize::from(at.source().0))?.get(from..from + len)
    }
}

impl Recorded {
    fn new() -> Self {
        let mut store = Store::new(1, Keep { bodies: true, ..Keep::default() });
        let [lane] = store.lanes_mut() else { unreachable!("one lane") };
        let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let connection = Connection::new(end(40_000), end(50_051), ClientBy::Port, Timestamp::EPOCH);
        let id = lane.add_connection(Packet::default(), connection);
        let mut session = Session::new(id, Joining { joined: true, decode_as: None });
        let mut flows = [Vec::new(), Vec::new()];
        let mut order = 0;
        for call in 0..CALLS {
            for (direction, bytes) in Direction::BOTH.into_iter().zip(exchange(call)) {
                let flow = &mut flows[direction.index()];
                let offset = flow.len() as u64;
                flow.extend_from_slice(&bytes);
                order += 1;
                let data = Data {
                    bytes: &bytes,
                    packet: Packet { order, no: PacketNo::new(0, order) },
                    time: Timestamp::from_nanos(order as i64),
                    at: Place::new(SourceNo(direction.index() as u16), offset),
                    offset,
                    acked: None,
                };
                lane.set_sort_key(order, 0);
                session.input(direction, Input::Data(data), &mut Context::new(lane));
            }
        }
        session.finish(&mut Context::new(lane));
        store.commit();
        assert_eq!(store.calls().len(), CALLS as usize);
        Self { store, flows }
    }

    /// How many methods are guessed.
    fn guess(&self, schema: &Schema) -> usize {
        let (guesser, redaction) = (Guesser::new(schema), Redaction::default());
        let viewer = Viewer {
            store: &self.store,
            bodies: self,
            schema,
            guesser: &guesser,
            redaction: &redaction,
            files: &[],
            names: None,
        };
        self.store.calls().iter().filter(|&&at| viewer.call(at).path().is_guessed()).count()
    }
}

/// What both sides send in a unary call: a request `{1: number, 2: "key-…"}` and an answer `{3: number}`.
fn exchange(call: u32) -> [Vec<u8>; 2] {
    let stream = 2 * call + 1;
    let key = format!("key-{call:05}");
    let request = [&[0x08, 1 + call as u8 % 100, 0x12, key.len() as u8][..], key.as_bytes()].concat();
    let answer = [0x18, 1 + call as u8 % 100];
    // POST, http; :path is entry 70, which was sent before; content-type as a literal that is not inserted.
    let mut headers = vec![0x83, 0x86, 0x80 | 70, 0x00, 12];
    headers.extend(b"content-type\x10application/grpc");
    let mut response = vec![0x88, 0x00, 12];
    response.extend(b"content-type\x10application/grpc");
    let trailers = b"\x00\x0bgrpc-status\x010";
    [
        [frame(1, 4, stream, &headers), frame(0, 1, stream, &message(&request))].concat(),
        [frame(1, 4, stream, &response), frame(0, 0, stream, &message(&answer)), frame(1, 5, stream, trailers)]
            .concat(),
    ]
}

/// RFC 9113 §4.1: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A gRPC message with its prefix.
fn message(body: &[u8]) -> Vec<u8> {
    [&[0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

/// A service with [`METHODS`] methods, whose types have from one to six fields; one of them has the types of the calls.
fn schema() -> Schema {
    let mut source = "syntax = \"proto3\"; package bench; ".to_owned();
    let mut methods = String::new();
    let fields = ["int64 a = 1;", "string b = 2;", "int64 c = 3;", "bytes d = 4;", "double e = 5;", "bool f = 6;"];
    for method in 0..METHODS {
        // No type but the first request has 1 and 2 alone, and none but the first answer 3 alone.
        let (request, answer) = match method {
            0 => (fields[..2].concat(), fields[2].to_owned()),
            _ => (fields[3..4 + method % 3].concat(), fields[3..4 + method / 3 % 3].concat()),
        };
        source += &format!("message Request{method} {{ {request} }} message Answer{method} {{ {answer} }} ");
        methods += &format!("rpc Do{method}(Request{method}) returns (Answer{method}); ");
    }
    let (schema, diagnostics) = Schema::from_source(&format!("{source} service All {{ {methods} }}"));
    assert!(diagnostics.is_empty(), "the schema is valid");
    schema
}

/// 20,000 calls against a schema of 400 methods.
#[divan::bench]
fn against_400_methods(bencher: Bencher) {
    let (recorded, schema) = (Recorded::new(), schema());
    assert_eq!(recorded.guess(&schema), CALLS as usize, "one method fits");
    bencher.counter(ItemsCount::new(CALLS)).bench_local(|| black_box(&recorded).guess(&schema));
}

/// The same calls with built-in types only: there is nothing to guess from.
#[divan::bench]
fn without_a_schema(bencher: Bencher) {
    let (recorded, schema) = (Recorded::new(), Schema::builtin());
    bencher.counter(ItemsCount::new(CALLS)).bench_local(|| black_box(&recorded).guess(&schema));
}
