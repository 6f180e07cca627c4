//! The rules of reading TCP, one test each.

use super::*;
use crate::budget::{Budget, Count, Holder, Kind, MemoryLimit};
use crate::{Address, Data, Direction, Gap, Input, Packet, PacketNo, Place, Segment, SourceNo, TcpFlags, Timestamp};

const CLIENT: Address = Address::v4([10, 0, 0, 1], 40_000);
const SERVER: Address = Address::v4([10, 0, 0, 2], 443);
const SYN: u8 = TcpFlags::SYN.0;
const ACK: u8 = TcpFlags::ACK.0;
const FIN: u8 = TcpFlags::FIN.0;
const RST: u8 = TcpFlags::RST.0;

/// Keeps everything as text: what, in which direction, said of which packet.
struct Log {
    lines: Vec<String>,
    facts: Vec<Facts>,
    opened: u64,
    /// Of what was handed on: where in its flow it stands, and how much of the other flow its sender had acknowledged.
    known: Vec<(char, u64, Option<u64>)>,
    budget: Budget,
    forgotten: u64,
    late: u64,
}

impl Default for Log {
    fn default() -> Self {
        let budget = Budget::new(MemoryLimit::DEFAULT.lane());
        let (lines, facts, known) = Default::default();
        Self { lines, facts, opened: 0, known, budget, forgotten: 0, late: 0 }
    }
}

impl Consumer for Log {
    type Connection = u64;

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn reserve(&mut self, _: Packet) -> bool {
        true
    }

    fn forgotten(&mut self, _: Packet) {
        self.forgotten += 1;
    }

    fn late(&mut self, _: &mut u64, _: Packet, _: Timestamp, _: bool) {
        self.late += 1;
    }

    fn release(&mut self, _: &mut u64, _: &Facts, _: u64) {}

    fn opened(&mut self, _: &Facts, _: Holder) -> u64 {
        self.opened += 1;
        self.opened - 1
    }

    fn input(&mut self, connection: &mut u64, _: &Facts, direction: Direction, input: Input<'_>) {
        let arrow = arrow(direction);
        self.lines.push(match input {
            Input::Data(Data { bytes, packet, time, at, offset, acked }) => {
                self.known.push((arrow, offset, acked));
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

    fn closed(&mut self, connection: &mut u64, _: &Facts, closing: Closing) {
        let Closing { direction, how, packet, .. } = closing;
        self.lines.push(format!("{connection} {} {how:?} {}", arrow(direction), order(packet)));
    }

    fn ended(&mut self, connection: &mut u64, facts: Facts) {
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
        self.send_with(segment, None)
    }

    fn send_with(&mut self, segment: &Segment<'_>, not_recorded: Option<u64>) -> &mut Self {
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        let time = Timestamp::from_nanos(self.order as i64);
        let at = Place::new(SourceNo(0), self.order * 100);
        self.connections.segment(&Received { packet, time, at, segment, not_recorded, remark: None }, &mut self.log);
        while let Some(holder) = self.log.budget.take_oldest() {
            self.connections.release(holder, Trigger::Packet(packet, time), &mut self.log);
        }
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
fn bytes_that_were_not_recorded_are_a_gap_at_once() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a");
    capture.send_with(&segment(CLIENT, SERVER, 1012, 5001, ACK, b""), Some(10));
    capture.up(1012, 5001, ACK, b"b");
    let lines = ["0 > \"a\" 4/4 t4 400", "0 > gap 10 dropped 5/5", "0 > \"b\" 6/6 t6 600"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn bytes_before_those_that_were_not_recorded_are_waited_for() {
    let mut capture = Capture::open();
    capture.send_with(&segment(CLIENT, SERVER, 1012, 5001, ACK, b""), Some(10));
    capture.up(1012, 5001, ACK, b"b").up(1001, 5001, ACK, b"a").down(5001, 1013, ACK, b"").others(64);
    let lines = ["0 > \"a\" 6/6 t6 600", "0 > gap 10 dropped 71/5", "0 > \"b\" 71/5 t5 500"];
    assert_eq!(capture.lines(), lines);
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

#[test]
fn while_the_newest_acknowledgment_stands_at_the_hole_a_retransmission_is_due() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, ACK, b"e").down(5001, 1002, ACK, b"").down(5001, 1002, ACK, b"");
    capture.lines();
    capture.others(1000);
    assert!(capture.lines().is_empty());
    capture.up(1002, 5001, ACK, b"bcd");
    assert_eq!(capture.lines(), ["0 > \"bcd\" 1008/1008 t1008 100800", "0 > \"e\" 1008/1008 t1008 500"]);
}

#[test]
fn only_what_was_acknowledged_is_given_up() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1009, 5001, ACK, b"i").down(5001, 1005, ACK, b"");
    capture.lines();
    capture.others(500);
    assert_eq!(capture.lines(), ["0 > gap 3 lost 70/5"]);
    capture.up(1005, 5001, ACK, b"efgh");
    assert_eq!(capture.lines(), ["0 > \"efgh\" 507/507 t507 50700", "0 > \"i\" 507/507 t507 500"]);
}

#[test]
fn without_acknowledgments_a_hole_is_a_gap_after_256_later_packets_of_the_flow() {
    let mut capture = Capture::new();
    capture.up(1000, 0, SYN, b"");
    for later in 0..=255 {
        capture.up(1004 + later, 0, 0, b"x").others(10);
    }
    assert!(capture.lines().is_empty());
    capture.up(1260, 0, 0, b"x");
    let lines = capture.lines();
    assert_eq!(lines[..2], ["0 > gap 3 lost 2818/2818", "0 > \"x\" 2818/2818 t2 200"]);
    assert_eq!(lines.len(), 258);
}

#[test]
fn without_acknowledgments_a_hole_is_a_gap_1_mib_later() {
    let mut capture = Capture::new();
    capture.up(1000, 0, SYN, b"");
    let block = vec![b'x'; 1 << 16];
    for block_no in 0..15 {
        capture.up(1004 + (block_no << 16), 0, 0, &block);
    }
    assert!(capture.lines().is_empty());
    capture.up(1004 + (15 << 16), 0, 0, &block);
    assert_eq!(capture.lines()[0], "0 > gap 3 lost 17/17");
}

#[test]
fn an_acknowledgment_beyond_all_data_counts_when_it_is_repeated() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").down(5001, 1012, ACK, b"").others(200);
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400"]);
    capture.down(5001, 1012, ACK, b"x").others(64);
    assert_eq!(capture.lines(), ["0 < \"x\" 206/206 t206 20600", "0 > gap 10 lost 270/206"]);
}

#[test]
fn an_acknowledgment_beyond_all_data_counts_when_data_follows_beyond_it() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").down(5001, 1012, ACK, b"").up(1012, 5001, ACK, b"l").others(64);
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400", "0 > gap 10 lost 70/6", "0 > \"l\" 70/6 t6 600"]);
}

#[test]
fn the_acknowledgment_of_a_lost_fin_is_no_missing_byte() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").down(5001, 1003, ACK, b"").down(5001, 1003, FIN | ACK, b"");
    assert_eq!(capture.facts().flows[0].gap_count(), 0);
}

#[test]
fn an_implausible_acknowledgment_is_ignored() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").down(5001, 0x7000_0000, ACK, b"").down(5001, 0x7000_0000, ACK, b"");
    capture.others(500).up(1002, 5001, ACK, b"b");
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400", "0 > \"b\" 507/507 t507 50700"]);
}

#[test]
fn a_keep_alive_is_dropped() {
    let mut capture = Capture::open();
    capture.up(1000, 5001, ACK, b"?").up(1001, 5001, ACK, b"abc").down(5001, 1004, ACK, b"");
    capture.lines();
    capture.up(1003, 5001, ACK, b"?").up(1003, 5001, ACK, b"").down(5001, 1004, ACK, b"").up(1004, 5001, ACK, b"d");
    assert_eq!(capture.lines(), ["0 > \"d\" 10/10 t10 1000"]);
    let facts = capture.facts();
    assert_eq!((facts.flows[0].retransmitted, facts.flows[0].faults().differing), (0, 0));
}

#[test]
fn a_zero_window_probe_is_kept() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"abc").down(5001, 1004, ACK, b"").up(1004, 5001, ACK, b"d").down(5001, 1004, ACK, b"");
    capture.up(1004, 5001, ACK, b"def");
    let lines = ["0 > \"abc\" 4/4 t4 400", "0 > \"d\" 6/6 t6 600", "0 > \"ef\" 8/8 t8 801"];
    assert_eq!(capture.lines(), lines);
    assert_eq!(capture.facts().flows[0].retransmitted, 1);
}

#[test]
fn fin_closes_after_the_same_wait() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, FIN | ACK, b"").down(5001, 1006, ACK, b"").others(63);
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400"]);
    capture.others(1);
    assert_eq!(capture.lines(), ["0 > gap 3 lost 70/5", "0 > Fin 70/5"]);
}

#[test]
fn rst_gives_up_holes_after_the_same_wait() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1005, 5001, ACK, b"e").up(1006, 5001, RST, b"").others(64);
    let lines =
        ["0 > \"a\" 4/4 t4 400", "0 > gap 3 lost 70/5", "0 > \"e\" 70/5 t5 500", "0 > Rst 70/6", "0 < Rst 70/6"];
    assert_eq!(capture.lines(), lines);
    assert_eq!(capture.facts().closed, Some(Close::Rst));
}

#[test]
fn an_rst_or_fin_that_is_far_from_its_place_is_ignored() {
    let mut capture = Capture::open();
    capture.up(0x4000_0000, 0, RST, b"").up(0x4000_0000, 0, FIN | ACK, b"").others(100).up(1001, 5001, ACK, b"a");
    assert_eq!(capture.lines(), ["0 > \"a\" 106/106 t106 10600"]);
    assert_eq!(capture.facts().flows[0].faults().implausible, 2);
}

#[test]
fn a_reset_connection_that_the_capture_outlived_too_shortly_was_reset() {
    let mut capture = Capture::new();
    capture.up(1000, 0, SYN, b"").down(0, 1001, RST | ACK, b"");
    assert_eq!(capture.finish(), ["0 > Rst end/2", "0 < Rst end/2", "0 ended"]);
}

#[test]
fn the_bytes_that_came_first_win_and_differences_are_said() {
    let mut capture = Capture::open();
    capture.up(1004, 5001, ACK, b"def").up(1002, 5001, ACK, b"bcDEFg").up(1001, 5001, ACK, b"a");
    let lines = ["0 > \"a\" 6/6 t6 600", "0 > \"bc\" 6/6 t6 500", "0 > \"def\" 6/6 t6 400", "0 > \"g\" 6/6 t6 505"];
    assert_eq!(capture.lines(), lines);
    let flow = capture.facts().flows[0].clone();
    assert_eq!(flow.faults().first_differing, Some(Differing { at: 3, packet: PacketNo::new(0, 5) }));
    assert_eq!((flow.faults().differing, flow.retransmitted, flow.reordered), (1, 1, 2));
}

#[test]
fn a_flow_without_its_syn_begins_with_the_lowest_byte_after_64_packets() {
    let mut capture = Capture::new();
    capture.up(1004, 5001, ACK, b"d").up(1001, 5001, ACK, b"abc").others(62);
    assert!(capture.lines().is_empty());
    capture.others(1);
    assert_eq!(capture.lines(), ["0 > \"abc\" 65/2 t2 200", "0 > \"d\" 65/1 t2 100"]);
    let facts = capture.facts();
    assert!(facts.joined && facts.flows[0].joined && facts.flows[0].gaps().is_empty());
}

#[test]
fn a_flow_that_was_idle_when_joined_delivers_its_first_bytes_at_once() {
    let mut capture = Capture::new();
    capture.up(1000, 5001, ACK, b"").down(5001, 1001, ACK, b"").others(100).up(1001, 5001, ACK, b"abc");
    assert_eq!(capture.lines(), ["0 > \"abc\" 103/103 t103 10300"]);
}

#[test]
fn a_connection_joined_in_the_middle_is_delivered_as_it_was_sent() {
    let mut capture = Capture::new();
    capture.up(1001, 5001, ACK, b"ask").down(5001, 1004, ACK, b"answer").up(1004, 5007, ACK, b"ask again").others(62);
    let lines = ["0 > \"ask\" 65/1 t1 100", "0 < \"answer\" 65/2 t2 200", "0 > \"ask again\" 65/3 t3 300"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn a_late_syn_says_where_the_flow_begins_and_who_is_the_client() {
    let mut capture = Capture::new();
    // The ports alone would make the sender of the SYN the server.
    capture.down(5001, 0, ACK, b"abc").down(5000, 0, SYN, b"");
    assert_eq!(capture.lines(), ["0 > \"abc\" 2/2 t1 100"]);
    let facts = capture.facts();
    assert_eq!((facts.client, facts.client_by, facts.joined), (SERVER, ClientBy::Syn, false));
    assert_eq!((facts.flows[0].bytes, facts.flows[0].joined), (3, false));
}

#[test]
fn a_late_syn_below_the_lowest_byte_makes_what_is_between_a_hole() {
    let mut capture = Capture::new();
    capture.up(1004, 0, 0, b"d").up(1000, 0, SYN, b"").others(100);
    assert!(capture.lines().is_empty());
    assert_eq!(capture.finish()[0], "0 > gap 3 lost end/1");
}

#[test]
fn a_syn_above_the_lowest_byte_is_another_connection() {
    let mut capture = Capture::new();
    capture.up(1004, 0, 0, b"d").up(1200, 0, SYN, b"");
    let lines = ["0 > \"d\" 2/2 t1 100", "0 > Timeout 2/2", "0 < Timeout 2/2", "0 ended"];
    assert_eq!(capture.lines(), lines);
    assert_eq!(capture.connections.len(), 1);
}

#[test]
fn the_same_syn_again_is_a_duplicate() {
    let mut capture = Capture::open();
    capture.up(1000, 0, SYN, b"").others(1000).up(1000, 0, SYN, b"").up(1001, 5001, ACK, b"a");
    assert_eq!(capture.log.opened, 1);
}

/// A connection with a request and an answer, each with its acknowledgment.
fn exchange(capture: &mut Capture) {
    capture.up(1000, 0, SYN, b"").down(5000, 1001, SYN | ACK, b"").up(1001, 5001, ACK, b"");
    capture.up(1001, 5001, ACK, b"question").down(5001, 1009, ACK, b"").down(5001, 1009, ACK, b"answer");
    capture.up(1009, 5007, ACK, b"").up(1009, 5007, FIN | ACK, b"").down(5007, 1010, FIN | ACK, b"");
}

#[test]
fn copies_of_all_packets_however_late_belong_to_their_connection() {
    for delay in [0, 70, 1000, (1 << 16) + 100, 1 << 20] {
        let mut capture = Capture::new();
        exchange(&mut capture);
        capture.others(delay);
        exchange(&mut capture);
        let facts = capture.facts();
        assert_eq!((capture.log.opened, capture.log.facts.len()), (1, 0), "{delay} packets later");
        assert_eq!((facts.flows[0].bytes, facts.flows[1].bytes), (8, 6));
        match delay {
            ..65_536 => assert!(facts.captured_twice && facts.packets == 18),
            _ => assert_eq!(capture.log.late, 9),
        }
    }
}

#[test]
fn a_copy_that_comes_while_the_connection_lives_changes_nothing_that_is_delivered() {
    let mut capture = Capture::open();
    for no in 0..100 {
        capture.up(1001 + no, 5001 + no, ACK, b"a").down(5001 + no, 1002 + no, ACK, b"b");
        if no >= 50 {
            let no = no - 50;
            capture.up(1001 + no, 5001 + no, ACK, b"a").down(5001 + no, 1002 + no, ACK, b"b");
        }
    }
    assert_eq!(capture.lines().len(), 200);
    let facts = capture.facts();
    assert!(facts.captured_twice);
    assert_eq!(
        facts.flows.each_ref().map(|flow| (flow.bytes, flow.gap_count(), flow.faults().copies)),
        [(100, 0, 50); 2]
    );
}

#[test]
fn a_copy_directly_behind_each_packet_shows_that_the_connection_was_captured_twice() {
    let mut capture = Capture::open();
    for no in 0..5 {
        for _ in 0..2 {
            capture.up(1001 + 2 * no, 5001 + 2 * no, ACK, b"aa");
        }
        for _ in 0..2 {
            capture.down(5001 + 2 * no, 1003 + 2 * no, ACK, b"bb");
        }
    }
    assert!(capture.facts().captured_twice);
}

#[test]
fn retransmissions_do_not_look_like_a_second_capture() {
    let mut capture = Capture::open();
    for no in 0..20 {
        capture.up(1001 + no, 5001 + no, ACK, b"a").down(5001 + no, 1002 + no, ACK, b"b");
    }
    for _ in 0..20 {
        capture.up(1015, 5021, ACK, b"aaaaaa");
    }
    let facts = capture.facts();
    assert_eq!(facts.flows[0].retransmitted, 20);
    assert!(!facts.captured_twice);
}

#[test]
fn copies_far_behind_are_no_other_data() {
    let mut capture = Capture::open();
    let block = vec![b'x'; 1 << 16];
    for no in 0..400 {
        capture.up(1001 + (no << 16), 5001 + no, ACK, &block).down(5001 + no, 1001 + ((no + 1) << 16), ACK, b"b");
    }
    for no in 0..20 {
        capture.up(1001 + (no << 16), 5001 + no, ACK, &block).down(5001 + no, 1001 + ((no + 1) << 16), ACK, b"b");
    }
    capture.up(1001 + (400 << 16), 5401, ACK, b"the end");
    let facts = capture.facts();
    assert!(facts.captured_twice);
    assert_eq!((facts.flows[0].gap_count(), facts.flows[0].faults().implausible), (0, 0));
    assert_eq!(facts.flows[0].bytes, (400 << 16) + 7);
}

#[test]
fn the_same_syn_with_another_answer_is_a_new_connection() {
    let mut capture = Capture::new();
    exchange(&mut capture);
    capture.others(64).up(1000, 0, SYN, b"").down(9000, 1001, SYN | ACK, b"").up(1001, 9001, ACK, b"again");
    capture.lines();
    assert_eq!(capture.finish()[0], "1 > \"again\" end/76 t76 7600");
    assert_eq!(capture.log.opened, 2);
}

#[test]
fn port_reuse_with_another_number_is_a_new_connection() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, FIN | ACK, b"").down(5001, 1002, FIN | ACK, b"").up(9000, 0, SYN, b"");
    capture.down(100, 9001, SYN | ACK, b"").up(9001, 101, ACK, b"new");
    let lines = ["0 > Fin 4/4", "0 < Fin 5/5", "0 ended", "1 > \"new\" 8/8 t8 800"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn the_directions_are_independent() {
    let mut capture = Capture::open();
    capture.up(1004, 5001, ACK, b"d").down(5001, 1001, ACK, b"answer");
    assert_eq!(capture.lines(), ["0 < \"answer\" 5/5 t5 500"]);
}

#[test]
fn a_syn_may_carry_payload() {
    let mut capture = Capture::new();
    capture.up(1000, 0, SYN, b"early").down(5000, 1006, SYN | ACK, b"").up(1006, 5001, ACK, b"late");
    assert_eq!(capture.lines(), ["0 > \"early\" 1/1 t1 100", "0 > \"late\" 3/3 t3 300"]);
}

#[test]
fn what_the_snap_length_cut_off_is_a_gap() {
    let mut capture = Capture::open();
    let cut = |seq, payload| Segment { cut: 3, ..segment(CLIENT, SERVER, seq, 5001, ACK, payload) };
    capture.send(&cut(1001, b"ab")).send(&cut(1006, b"fg"));
    let lines = ["0 > \"ab\" 4/4 t4 400", "0 > gap 3 snapped 4/4", "0 > \"fg\" 5/5 t5 500", "0 > gap 3 snapped 5/5"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn another_copy_fills_what_the_snap_length_cut_off() {
    let mut capture = Capture::open();
    let cut = Segment { cut: 3, ..segment(CLIENT, SERVER, 1002, 5001, ACK, b"b") };
    capture.send(&cut).up(1003, 5001, ACK, b"cd").up(1001, 5001, ACK, b"a");
    let lines = ["0 > \"a\" 6/6 t6 600", "0 > \"b\" 6/6 t6 400", "0 > \"cd\" 6/6 t6 500", "0 > gap 1 snapped 6/6"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn sequence_numbers_wrap() {
    let mut capture = Capture::new();
    capture.up(u32::MAX - 2, 0, SYN, b"").up(1, 0, 0, b"def").up(u32::MAX - 1, 0, 0, b"abc").up(4, 0, 0, b"g");
    let lines = ["0 > \"abc\" 3/3 t3 300", "0 > \"def\" 3/3 t3 200", "0 > \"g\" 4/4 t4 400"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn one_byte_that_follows_its_acknowledgment_is_no_keep_alive() {
    let mut capture = Capture::new();
    capture.down(77, 1002, ACK, b"").up(1001, 78, ACK, b"a").up(1002, 78, ACK, b"b");
    assert_eq!(capture.finish()[..2], ["0 > \"a\" end/2 t2 200", "0 > \"b\" end/3 t3 300"]);
}

#[test]
fn times_never_go_back_before_a_gap_does() {
    let mut capture = Capture::open();
    let mut send = |order, time, seq, payload: &[u8]| {
        let packet = Packet { order, no: PacketNo::new(0, order) };
        let segment = segment(CLIENT, SERVER, seq, 5001, ACK, payload);
        let (time, at) = (Timestamp::from_nanos(time), Place::NOWHERE);
        capture.connections.segment(
            &Received { packet, time, at, segment: &segment, not_recorded: None, remark: None },
            &mut capture.log,
        );
    };
    send(4, 90, 1001, b"a");
    send(5, 50, 1002, b"b");
    send(6, 60, 1005, b"e");
    let lines = capture.finish();
    assert_eq!(lines[1][..16], *"0 > \"b\" 5/5 t90 ");
    assert_eq!(lines[3][..18], *"0 > \"e\" end/6 t60 ");
}

#[test]
fn a_closed_connection_is_forgotten_in_the_end() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, FIN | ACK, b"").down(5001, 1002, FIN | ACK, b"").up(1002, 5002, ACK, b"");
    capture.lines();
    capture.others((1 << 16) - 2);
    assert!(capture.lines().is_empty() && capture.connections.len() == 1);
    capture.others(1);
    assert_eq!(capture.lines(), ["0 ended"]);
    assert!(capture.connections.is_empty());
}

#[test]
fn beyond_the_limit_the_connections_that_were_idle_for_longest_are_forgotten() {
    let mut capture = Capture::new();
    capture.connections.kept = 16;
    for port in 1..=16 {
        capture.send(&segment(Address { port, ..CLIENT }, SERVER, 1000, 0, SYN | ACK, b""));
    }
    capture.send(&segment(Address { port: 1, ..CLIENT }, SERVER, 1001, 0, 0, b"a"));
    capture.lines();
    capture.send(&segment(Address { port: 17, ..CLIENT }, SERVER, 1000, 0, SYN | ACK, b""));
    let lines =
        ["1 > Timeout 18/18", "1 < Timeout 18/18", "1 ended", "2 > Timeout 18/18", "2 < Timeout 18/18", "2 ended"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn beyond_the_limit_of_what_waits_the_oldest_holes_are_given_up() {
    let mut capture = Capture::new();
    capture.log.budget = Budget::new(3000);
    for port in 1..=3 {
        capture.send(&segment(Address { port, ..CLIENT }, SERVER, 1000, 0, SYN, b""));
        capture.send(&segment(Address { port, ..CLIENT }, SERVER, 1002, 0, 0, &[b'x'; 1000]));
    }
    let gaps: Vec<String> = capture.lines().into_iter().filter(|line| line.contains("gap")).collect();
    assert_eq!(gaps, ["0 > gap 1 lost 6/6"]);
    assert_eq!(capture.log.budget.held(), 2 * (1000 + 128));
    let released: Vec<_> = capture.log.budget.released().counts().collect();
    assert_eq!(released, [(Kind::OutOfOrder, Count { times: 1, bytes: 1000 + 128 })]);
}

#[test]
fn a_connection_turned_round_keeps_its_flows_apart() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"abc");
    let mut facts = capture.facts();
    facts.swap_roles();
    assert_eq!((facts.client, facts.server, facts.roles_swapped), (SERVER, CLIENT, true));
    assert_eq!((facts.flows[0].bytes, facts.flows[1].bytes, facts.syn), (0, 3, Some(Direction::ToClient)));
}

#[test]
fn segments_in_a_row_far_from_their_place_show_a_gap_of_unknown_length() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a");
    for stray in 0..7 {
        capture.up(0x6000_0000 + stray, 5001, ACK, b"x");
    }
    assert_eq!(capture.lines(), ["0 > \"a\" 4/4 t4 400"]);
    capture.up(0x6000_0007, 5001, ACK, b"y").down(5001, 0x6000_0008, ACK, b"").up(0x6000_0008, 5001, ACK, b"z");
    let lines = ["0 > gap ? lost 12/12", "0 > \"y\" 12/12 t12 1200", "0 > \"z\" 14/14 t14 1400"];
    assert_eq!(capture.lines(), lines);
}

#[test]
fn single_segments_far_from_their_place_are_ignored() {
    let mut capture = Capture::open();
    for stray in 0..20 {
        capture.up(0x6000_0000 + stray, 5001, ACK, b"x").up(1001 + stray, 5001, ACK, b"a");
    }
    assert_eq!(capture.lines().len(), 20);
    assert_eq!(capture.facts().flows[0].faults().implausible, 20);
}

#[test]
fn an_acknowledgment_up_to_the_hole_lets_more_than_1_mib_wait() {
    let mut capture = Capture::open();
    let block = vec![b'x'; 1 << 16];
    for block_no in 0..40 {
        capture.up(1004 + (block_no << 16), 5001, ACK, &block).down(5001, 1001, ACK, b"");
    }
    assert!(capture.lines().is_empty());
}

#[test]
fn beyond_8_mib_the_hole_is_given_up_and_counted() {
    let mut capture = Capture::open();
    let block = vec![b'x'; 1 << 16];
    for block_no in 0..129 {
        capture.up(1004 + (block_no << 16), 5001, ACK, &block).down(5001, 1001, ACK, b"");
    }
    assert!(capture.lines()[0].starts_with("0 > gap 3 lost 25"));
    assert_eq!(capture.facts().flows[0].faults().overflowed, 1);
}

/// The numbers of Wireshark's `tcp-badsegments` capture, relative to 1001, with acknowledgments where it has them.
#[test]
fn overlaps_and_holes_together_leave_the_gaps_that_they_should() {
    const STEPS: [Result<(u32, usize), u32>; 22] = [
        Ok((0, 16)),
        Ok((16, 16)),
        Ok((48, 16)),
        Ok((32, 16)),
        Err(64),
        Ok((64, 16)),
        Ok((64, 16)),
        Ok((64, 32)),
        Err(96),
        Ok((112, 16)),
        Ok((160, 16)),
        Ok((160, 32)),
        Ok((96, 16)),
        Ok((128, 32)),
        Ok((224, 32)),
        Err(256),
        Ok((286, 1)),
        Ok((272, 1)),
        Ok((288, 32)),
        Err(320),
        Ok((320, 2)),
        Err(322),
    ];
    let mut capture = Capture::open();
    for (number, step) in STEPS.into_iter().enumerate() {
        match step {
            Ok((at, length)) => capture.up(1001 + at, 5001, ACK, &vec![b'a' + number as u8; length]),
            Err(ack) => capture.down(5001, 1001 + ack, ACK, b""),
        };
    }
    let flow = capture.facts().flows[0].clone();
    let gaps: Vec<_> = flow.gaps().iter().map(|gap| (gap.at, gap.length)).collect();
    assert_eq!(gaps, [(192, Some(32)), (256, Some(16)), (273, Some(13)), (287, Some(1))]);
    assert_eq!((flow.bytes, flow.missing(), flow.faults().differing), (260, 62, 1));
}

#[test]
fn what_is_handed_on_says_how_much_of_the_other_flow_its_sender_had_acknowledged() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"question").down(5001, 1009, ACK, b"ans").down(5007, 1009, ACK, b"end");
    // Sent before anything of the answer was there, delivered after all of it.
    capture.down(5004, 1009, ACK, b"wer").up(1009, 5001, ACK, b"more").up(1013, 5010, ACK, b"!");
    let known = &capture.log.known;
    assert_eq!(known[0], ('>', 0, Some(0)));
    assert_eq!(known[1..4], [('<', 0, Some(8)), ('<', 3, Some(8)), ('<', 6, Some(8))]);
    assert_eq!(known[4..], [('>', 8, Some(0)), ('>', 12, Some(9))]);
}

#[test]
fn a_flood_of_syns_takes_little_memory_and_leaves_other_connections_alone() {
    let mut capture = Capture::new();
    capture.log.budget = Budget::new(100 * 512);
    let flood = |no: u32| Address { port: no as u16, ip: CLIENT.ip + 1 + u128::from(no >> 16) };
    for no in 0..1000 {
        capture.send(&segment(flood(no), SERVER, no, 0, SYN, b""));
    }
    capture.up(1000, 0, SYN, b"");
    for no in 1000..1050 {
        capture.send(&segment(flood(no), SERVER, no, 0, SYN, b""));
    }
    capture.down(5000, 1001, SYN | ACK, b"").up(1001, 5001, ACK, b"");
    for no in 1050..3000 {
        capture.send(&segment(flood(no), SERVER, no, 0, SYN, b""));
    }
    capture.up(1001, 5001, ACK, b"question").down(5001, 1009, ACK, b"answer");
    assert_eq!(capture.lines().len(), 2);
    assert_eq!((capture.connections.len(), capture.log.opened, capture.log.forgotten), (101, 1, 2900));
    let released: Vec<_> = capture.log.budget.released().counts().collect();
    assert_eq!(released, [(Kind::HalfOpen, Count { times: 2900, bytes: 2900 * 512 })]);
    capture.finish();
    assert_eq!(capture.log.facts.len(), 101);
}

#[test]
fn a_flood_of_data_without_beginnings_is_released_oldest_first_and_leaves_other_connections_alone() {
    let mut capture = Capture::open();
    capture.log.budget = Budget::new(1 << 20);
    let block = [b'x'; 1000];
    for no in 0..10_000_u32 {
        let source = Address { port: (no % 5000) as u16, ip: CLIENT.ip + 1 };
        capture.send(&segment(source, SERVER, 1000 + (no / 5000) * 2000, 0, 0, &block));
        if no % 100 == 0 {
            // One byte comes early.
            let at = no / 50;
            capture.up(1002 + at, 5001, ACK, b"b").up(1001 + at, 5001, ACK, b"a");
        }
        assert!(capture.log.budget.held() <= 1 << 20);
    }
    let lines = capture.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("0 >")).count(), 200);
    assert!(!lines.iter().any(|line| line.starts_with("0 > gap")));
    assert!(capture.log.budget.released().counts().next().is_some());
}

/// Each segment waits: the work for each must not grow with the number of those that wait.
#[test]
fn many_segments_that_wait_are_read_in_linear_time() {
    let run = |count: u32| {
        let mut capture = Capture::open();
        let start = std::time::Instant::now();
        for no in 0..count {
            // One byte at every second place, and an acknowledgment of the first hole.
            capture.up(1002 + 2 * no, 5001, ACK, b"x").down(5001, 1001, ACK, b"");
        }
        (start.elapsed(), capture.log.lines.len())
    };
    run(10_000);
    let ((small, none), (large, nothing)) = (run(15_000), run(60_000));
    assert_eq!((none, nothing), (0, 0));
    assert!(large < small * 16, "{small:?} for 15,000, {large:?} for 60,000");
}

#[test]
fn the_acknowledgment_of_a_fin_covers_no_byte_more() {
    let mut capture = Capture::open();
    capture.up(1001, 5001, ACK, b"a").up(1002, 5001, FIN | ACK, b"").down(5001, 1003, ACK, b"b");
    assert_eq!(capture.log.known.last(), Some(&('<', 0, Some(1))));
    let mut capture = Capture::open();
    capture.up(1002, 5001, FIN | ACK, b"").down(5001, 1003, ACK, b"b");
    assert_eq!(capture.log.known, [('<', 0, Some(1))], "its last byte is missing");
}
