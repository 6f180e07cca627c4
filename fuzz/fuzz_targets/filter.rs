//! A display filter, and after a zero byte the body of a message to ask it about.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rpcshark_captures::{Direction, Endpoint, Packet, PacketNo, Place, SourceNo, Timestamp};
use rpcshark_dissectors::filter::{Column, Filter, FilterScratch, Target, complete};
use rpcshark_dissectors::http2::hpack::Decoder;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{Body, Call, ClientBy, Connection, End, Keep, Message, Protocol, Store};
use rpcshark_dissectors::view::{Bodies, Guesser, Redaction, Viewer};

const PROTO: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto";
enum State { NONE = 0; OPEN = 1; }
message M {
  int32 i = 1; string s = 2; bytes b = 3; M m = 4; repeated M ms = 5; map<string, M> by_name = 6; map<int32, string> by_no = 7;
  State e = 8; google.protobuf.Any any = 9; google.protobuf.Timestamp at = 10; double d = 11; repeated sint64 packed = 12;
}
service S { rpc C(M) returns (M); }
"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::from_source(PROTO).0);

/// The bytes of every message.
struct Fuzzed<'b>(&'b [u8]);

impl Bodies for Fuzzed<'_> {
    fn get<'a>(&'a self, _: Place, _: usize, _: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        Some(self.0)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (text, body) = match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let schema = &*SCHEMA;
    let _ = complete(text, text.len(), schema);
    let column = Column::compile(text, schema, Target::Calls);
    let Ok(filter) = Filter::compile(text, schema, Target::Calls) else { return };

    let mut store = Store::new(1, Keep { bodies: true, ..Keep::default() });
    let [lane] = store.lanes_mut() else { return };
    let end = |port| Endpoint::Tcp(([127, 0, 0, 1], port).into());
    let connection = Connection::new(end(4000), end(50051), ClientBy::First, Timestamp::EPOCH);
    let connection = lane.add_connection(Packet::default(), connection);
    let mut call = Call::new(Protocol::Grpc, connection, 1, Timestamp::EPOCH, PacketNo::new(0, 1));
    // Literals without indexing: :path /t.S/C and tenant t1.
    let block = b"\x04\x06/t.S/C\x00\x06tenant\x02t1";
    let fields = Decoder::new(true).decode(block).fields;
    call.request_headers = Some(lane.headers.enter(&fields));
    for direction in Direction::BOTH {
        let whole = Body::Whole(Place::new(SourceNo(0), 0));
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        call.add_message(Message::new(direction, length, whole, Timestamp::EPOCH, PacketNo::new(0, 1)));
    }
    call.end(End::Trailers, Timestamp::from_nanos(5));
    lane.add_call(call);
    store.commit();

    let (bodies, guesser, redaction) = (Fuzzed(body), Guesser::new(schema), Redaction::default());
    let viewer =
        Viewer { store: &store, bodies: &bodies, schema, guesser: &guesser, redaction: &redaction, files: &[], names: None };
    let mut scratch = FilterScratch::default();
    for &at in store.calls() {
        filter.call(&viewer.call(at), None, &mut scratch);
        if let Ok(column) = &column {
            column.call(&viewer.call(at), None, &mut scratch);
        }
    }
});
