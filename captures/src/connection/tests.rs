//! The rules of reading TCP, one test each.

use super::*;
use crate::{Address, Data, Direction, Gap, Input, Packet, PacketNo, Place, Segment, SourceNo, TcpFlags, Timestamp};

const CLIENT: Address = Address::v4([10, 0, 0, 1], 40_000);
const SERVER: Address = Address::v4([10, 0, 0, 2], 443);
const SYN: u8 = TcpFlags::SYN.0;
const ACK: u8 = TcpFlags::ACK.0;
const FIN: u8 = TcpFlags::FIN.0;
const RST: u8 = TcpFlags::RST.0;

/// Keeps everything as text: what, in which direction, said of which packet.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    facts: Vec<Facts>,
    opened: u64,
}

impl Consumer for Log {
    type Connection = u64;

    fn opened(&mut self, _: &Facts) -> u64 {
        self.opened += 1;
        self.opened - 1
    }

    fn input(&mut self, connection: &mut u64, _: &Facts, direction: Direction, input: Input<'_>) {
        let arrow = arrow(direction);
        self.lines.push(match input {
            Input::Data(Data { bytes, packet, time, at }) => {
                let text = String::from_utf8_lossy(bytes);
                let (order, time) = (order(packet), time.as_nanos());
                format!("{connection} {arrow} {text:?} {order} t{time} {:?}", at.offset())
            }
            Input::Gap(Gap { length, cause, packet, .. }) => {
                let length = length.map_or("?".to_owned(), |length| length.to_string());
                format!("{connection} {arrow} gap {length} {} {}", cause.name(), order(packet))
            }
        });
    }

    fn closed(
        &mut self,
        connection: &mut u64,
        _: &Facts,
        direction: Direction,
        how: Close,
        packet: Packet,
        _: Timestamp,
    ) {
        self.lines.push(format!("{connection} {} {how:?} {}", arrow(direction), order(packet)));
    }

    fn ended(&mut self, connection: u64, facts: Facts) {
        self.lines.push(format!("{connection} ended"));
        self.facts.push(facts);
    }
}

fn arrow(direction: Direction) -> char {
    if direction == Direction::ToServer { '>' } else { '<' }
}

/// `order/number`, so that a test sees both; `end` for the end of the capture.
fn order(packet: Packet) -> String {
    match packet.order {
        END_OF_CAPTURE => format!("end/{}", packet.no.number()),
        order => format!("{order}/{}", packet.no.number()),
    }
}

/// A capture made by hand. Packet `order` has number `order` and time `order`; its payload lies at `order * 100`.
struct Capture {
    connections: Connections<u64>,
    log: Log,
    order: u64,
}

impl Capture {
    fn new() -> Self {
        Self { connections: Connections::new(), log: Log::default(), order: 0 }
    }

    /// With the handshake: numbers 1000 and 5000, packets 1 to 3.
    fn open() -> Self {
        let mut capture = Self::new();
        capture.up(1000, 0, SYN, b"").down(5000, 1001, SYN | ACK, b"").up(1001, 5001, ACK, b"");
        capture
    }

    fn send(&mut self, segment: &Segment<'_>) -> &mut Self {
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        let time = Timestamp::from_nanos(self.order as i64);
        let at = Place::new(SourceNo(0), self.order * 100);
        self.connections.segment(packet, time, at, segment, &mut self.log);
        self
    }

    fn up(&mut self, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> &mut Self {
        self.send(&segment(CLIENT, SERVER, seq, ack, flags, payload))
    }

    fn down(&mut self, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> &mut Self {
        self.send(&segment(SERVER, CLIENT, seq, ack, flags, payload))
    }

    /// Packets of others go by.
    fn others(&mut self, count: u64) -> &mut Self {
        self.order += count;
        self.connections.advance(self.order, &mut self.log);
        self
    }

    /// What was delivered since the last look.
    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.lines)
    }

    fn finish(&mut self) -> Vec<String> {
        self.connections.finish(&mut self.log);
        self.lines()
    }

    fn facts(&mut self) -> Facts {
        self.connections.finish(&mut self.log);
        self.log.facts.pop().expect("a connection")
    }
}

fn segment(source: Address, destination: Address, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Segment<'_> {
    let flags = TcpFlags(flags);
    Segment { source, destination, seq, ack, flags, window: 8192, payload, cut: 0, payload_at: 0 }
}

#[test]
fn bytes_in_order_are_handed_on_at_once() {
    let mut capture = Capture::open();
    assert!(capture.lines().is_empty());
    capture.up(1001, 5001, ACK, b"abc").down(5001, 1004, ACK, b"xyz").up(1004, 5004, ACK, b"de");
    assert_eq!(capture.lines(), ["0 > \"abc\" 4/4 t4 400", "0 < \"xyz\" 5/5 t5 500", "0 > \"de\" 6/6 t6 600"]);
    let facts = capture.facts();
    assert_eq!((facts.client, facts.server, facts.client_by), (CLIENT, SERVER, ClientBy::Syn));
    assert_eq!((facts.packets, facts.flows[0].bytes, facts.flows[1].bytes), (6, 5, 3));
    assert!(!facts.joined && facts.closed.is_none());
}

#[test]
fn bytes_that_came_too_early_wait_and_carry_the_packet_that_released_them() {
    let mut capture = Capture::open();
    capture.up(1004, 5001, ACK, b"def").up(1007, 5001, ACK, b"g").up(1001, 5001, ACK, b"abc");
    let lines = ["0 > \"abc\" 6/6 t6 600", "0 > \"def\" 6/6 t6 400", "0 > \"g\" 6/6 t6 500"];
    assert_eq!(capture.lines(), lines);
    assert_eq!(capture.facts().flows[0].reordered, 1);
}

#[test]
fn an_acknowledgment_makes_a_hole_suspect_and_64_packets_later_it_is_a_gap() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, ACK, b"e").down(5001, 1006, ACK, b"");
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400"]);
    capture.others(63);
    assert!(capture.lines().is_empty(), "packet 69 has gone by, the suspicion is from packet 6");
    capture.others(1);
    assert_eq!(capture.lines(), ["0 > gap 3 lost 70/5", "0 > \"e\" 70/5 t5 500"]);
}

#[test]
fn what_a_rule_delivers_stands_before_the_packet_of_that_order() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, ACK, b"e").down(5001, 1006, ACK, b"");
    capture.lines();
    capture.order = 69;
    capture.up(1006, 5001, ACK, b"f");
    assert_eq!(capture.lines(), ["0 > gap 3 lost 70/5", "0 > \"e\" 70/5 t5 500", "0 > \"f\" 70/70 t70 7000"]);
}

#[test]
fn data_that_follows_its_acknowledgment_is_no_gap() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, ACK, b"e").down(5001, 1006, ACK, b"");
    capture.others(25).up(1002, 5001, ACK, b"bcd").others(100);
    let lines = ["0 > \"a\" 4/4 t4 400", "0 > \"bcd\" 32/32 t32 3200", "0 > \"e\" 32/32 t32 500"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn at_the_end_everything_held_is_delivered() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, ACK, b"e");
    capture.lines();
    let lines = [
        "0 > gap 3 lost end/5",
        "0 > \"e\" end/5 t5 500",
        "0 > EndOfCapture end/1",
        "0 < EndOfCapture end/1",
        "0 ended",
    ];
    assert_eq!(capture.finish(), lines);
}

#[test]
fn fin_closes_each_direction_on_its_own() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, FIN | ACK, b"bye").down(5001, 1005, ACK, b"ok").down(5003, 1005, FIN | ACK, b"");
    let lines = ["0 > \"bye\" 4/4 t4 400", "0 > Fin 4/4", "0 < \"ok\" 5/5 t5 500", "0 < Fin 6/6"];
    assert_eq!(capture.lines(), lines);
    assert_eq!(capture.finish(), ["0 ended"]);
}

#[test]
fn rst_closes_both_directions_after_64_packets() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").down(5001, 1002, RST | ACK, b"").up(1002, 5001, ACK, b"b");
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400", "0 > \"b\" 6/6 t6 600"]);
    capture.others(63);
    assert_eq!(capture.lines(), ["0 > Rst 69/5", "0 < Rst 69/5"]);
}
