//! How long a segment takes from the packet layer to the consumer.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rpcshark_captures::budget::{Budget, Holder, MemoryLimit};
use rpcshark_captures::connection::{Closing, Connections, Consumer, Facts, Received};
use rpcshark_captures::{Address, Direction, Input, Packet, PacketNo, Place, Segment, SourceNo, TcpFlags, Timestamp};

fn main() {
    divan::main();
}

/// How many segments each connection has after its handshake.
const SEGMENTS: u32 = 100;

/// The bytes of a segment with payload.
const PAYLOAD: &[u8] = &[b'x'; 200];

/// Counts bytes, as the cheapest consumer.
struct Count(u64, Budget);

impl Consumer for Count {
    type Connection = u64;

    fn budget(&mut self) -> &mut Budget {
        &mut self.1
    }

    fn reserve(&mut self, _: Packet) -> bool {
        true
    }

    fn forgotten(&mut self, _: Packet) {}

    fn late(&mut self, _: &mut u64, _: Packet, _: Timestamp, _: bool) {}

    fn release(&mut self, _: &mut u64, _: &Facts, _: u64) {}

    fn opened(&mut self, _: &Facts, _: Holder) -> u64 {
        0
    }

    fn input(&mut self, connection: &mut u64, _: &Facts, _: Direction, input: Input<'_>) {
        if let Input::Data(data) = input {
            *connection += data.bytes.len() as u64;
        }
    }

    fn closed(&mut self, _: &mut u64, _: &Facts, _: Closing) {}

    fn ended(&mut self, connection: &mut u64, _: Facts) {
        self.0 += *connection;
    }
}

/// What each connection sends after its handshake: sequence number, acknowledgment number, from the client, payload.
type Step = (u32, u32, bool, &'static [u8]);

/// Feeds `connections` connections that take turns, segment by segment.
fn run(connections: u16, steps: &[Step]) -> u64 {
    let server = Address::v4([10, 0, 0, 2], 2379);
    let mut lane = Connections::new();
    let mut count = Count(0, Budget::new(MemoryLimit::DEFAULT.lane()));
    let mut order = 0;
    let handshake = [(99, 0, true, TcpFlags::SYN.0), (199, 100, false, TcpFlags::SYN.0 | TcpFlags::ACK.0)];
    let handshake = handshake.into_iter().map(|(seq, ack, up, flags)| (seq, ack, up, flags, &[][..]));
    let steps = steps.iter().map(|&(seq, ack, up, payload)| (seq, ack, up, TcpFlags::ACK.0, payload));
    for (seq, ack, up, flags, payload) in handshake.chain(steps) {
        for port in 0..connections {
            let client = Address::v4([10, 0, 0, 1], 30_000 + port);
            let (source, destination) = if up { (client, server) } else { (server, client) };
            let flags = TcpFlags(flags);
            let segment = Segment { source, destination, seq, ack, flags, window: 1, payload, cut: 0, payload_at: 54 };
            order += 1;
            let packet = Packet { order, no: PacketNo::new(0, order) };
            let at = Place::new(SourceNo(0), order * 300);
            let time = Timestamp::from_nanos(order as i64);
            lane.segment(
                &Received { packet, time, at, segment: black_box(&segment), not_recorded: None, remark: None },
                &mut count,
            );
        }
    }
    lane.finish(&mut count);
    count.0
}

const CONNECTIONS: [u16; 3] = [1, 64, 4096];

fn bench(bencher: Bencher<'_, '_>, connections: u16, steps: &[Step]) {
    let items = u64::from(connections) * (steps.len() as u64 + 2);
    bencher.counter(ItemsCount::new(items)).bench(|| run(connections, steps));
}

#[divan::bench(args = CONNECTIONS)]
fn in_order(bencher: Bencher<'_, '_>, connections: u16) {
    let steps: Vec<Step> = (0..SEGMENTS).map(|no| (100 + no * 200, 200, true, PAYLOAD)).collect();
    bench(bencher, connections, &steps);
}

#[divan::bench(args = CONNECTIONS)]
fn acknowledgments_only(bencher: Bencher<'_, '_>, connections: u16) {
    let steps: Vec<Step> = (0..SEGMENTS).map(|_| (200, 100, false, &[][..])).collect();
    bench(bencher, connections, &steps);
}

#[divan::bench(args = CONNECTIONS)]
fn asked_and_answered(bencher: Bencher<'_, '_>, connections: u16) {
    let steps: Vec<Step> = (0..SEGMENTS / 2)
        .flat_map(|no| {
            [(100 + no * 200, 200 + no * 200, true, PAYLOAD), (200 + no * 200, 300 + no * 200, false, PAYLOAD)]
        })
        .collect();
    bench(bencher, connections, &steps);
}

/// Each four segments in reverse.
#[divan::bench(args = CONNECTIONS)]
fn shuffled(bencher: Bencher<'_, '_>, connections: u16) {
    let steps: Vec<Step> = (0..SEGMENTS).map(|no| (100 + (no ^ 3) * 200, 200, true, PAYLOAD)).collect();
    bench(bencher, connections, &steps);
}
