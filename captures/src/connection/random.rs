//! Random streams, cut, repeated, shuffled and thinned at random: what is delivered must be the truth.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::budget::{Budget, Holder};
use crate::{Address, Direction, Input, Packet, PacketNo, Place, Segment, SourceNo, TcpFlags, Timestamp};

const CLIENT: Address = Address::v4([10, 0, 0, 1], 40_000);
const SERVER: Address = Address::v4([10, 0, 0, 2], 443);

/// How far packets are moved: within windows of 20, as in captures that were measured.
const SHUFFLE: u64 = 20;

/// What happens to one segment of a stream.
#[derive(Clone, Debug)]
struct Cut {
    length: usize,
    /// Not captured, nor any copy of it alone.
    lost: bool,
    /// Captured again, this many packets later.
    again: Option<u64>,
    /// Captured again together with the bytes around it: this many before, and after.
    around: Option<(usize, usize)>,
    /// How many bytes of it the snap length cut off.
    snapped: usize,
    /// Whether the other side acknowledges it at once.
    acked: bool,
    /// Where it comes within its window.
    moved: u64,
    /// Packets of others before it.
    others: u64,
}

#[derive(Clone, Debug)]
struct Stream {
    cuts: Vec<Cut>,
    isn: u32,
    syn: bool,
    fin: bool,
    acks: bool,
}

/// Of 100 segments, `loss` are lost and `snap` are cut.
fn cut(loss: u32, snap: u32) -> impl Strategy<Value = Cut> {
    let again = prop::option::weighted(0.15, 1..10_u64);
    let around = prop::option::weighted(0.1, (0..150_usize, 0..150_usize));
    let snapped = (0..100_u32, 1..60_usize).prop_map(move |(dice, length)| if dice < snap { length } else { 0 });
    let lost = (0..100_u32).prop_map(move |dice| dice < loss);
    let moved = 0..SHUFFLE;
    let others = prop_oneof![8 => Just(0), 1 => 1..6_u64];
    (1..100_usize, lost, again, around, snapped, any::<bool>(), moved, others).prop_map(
        |(length, lost, again, around, snapped, acked, moved, others)| Cut {
            length,
            lost,
            again,
            around,
            snapped,
            acked,
            moved,
            others,
        },
    )
}

fn stream(loss: u32, snap: u32) -> impl Strategy<Value = Stream> {
    let isn = prop_oneof![any::<u32>(), (0..5000_u32).prop_map(|back| u32::MAX - back)];
    (prop::collection::vec(cut(loss, snap), 1..120), isn, any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(cuts, isn, syn, fin, acks)| Stream { cuts, isn, syn, fin, acks })
}

/// One packet of the capture: bytes of the stream, or an acknowledgment.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Syn,
    /// From, to, how many of them were captured, whether with FIN.
    Bytes(usize, usize, usize, bool),
    Ack(usize),
}

/// The capture of a stream: what is sent, at which order.
fn capture(stream: &Stream) -> (Vec<(u64, Sent)>, usize) {
    let total: usize = stream.cuts.iter().map(|cut| cut.length).sum();
    let mut sent: Vec<(u64, Sent)> = Vec::new();
    let (mut from, mut slot) = (0, 1);
    if stream.syn {
        sent.push((slot * SHUFFLE, Sent::Syn));
        slot += 1;
    }
    for (number, cut) in stream.cuts.iter().enumerate() {
        slot += 1 + cut.others;
        let to = from + cut.length;
        let has_fin = stream.fin && number + 1 == stream.cuts.len();
        if !cut.lost {
            let captured = cut.length.saturating_sub(cut.snapped);
            sent.push((slot * SHUFFLE + cut.moved * SHUFFLE, Sent::Bytes(from, to, captured, has_fin)));
            if let Some(later) = cut.again {
                sent.push(((slot + later) * SHUFFLE + cut.moved, Sent::Bytes(from, to, captured, has_fin)));
            }
        }
        if let Some((before, behind)) = cut.around {
            let (from, to) = (from.saturating_sub(before), (to + behind).min(total));
            sent.push(((slot + 3) * SHUFFLE, Sent::Bytes(from, to, to - from, false)));
        }
        if stream.acks && cut.acked {
            // Moved on its own: often before what it acknowledges.
            sent.push((slot * SHUFFLE + (SHUFFLE - cut.moved) * SHUFFLE, Sent::Ack(to)));
        }
        from = to;
    }
    sent.sort_by_key(|(at, _)| *at);
    // No two packets have the same order; those of others leave some free.
    let mut order = 0;
    let sent = sent.into_iter().map(|(at, sent)| {
        order = (order + 1).max(at / SHUFFLE);
        (order, sent)
    });
    (sent.collect(), total)
}

/// What one connection delivered.
struct Deliveries {
    budget: Budget,
    /// Everything, to compare.
    log: Vec<String>,
    /// The bytes from..to with what they are (nothing: a gap).
    pieces: Vec<(Option<Vec<u8>>, u64)>,
    facts: Vec<Facts>,
}

impl Default for Deliveries {
    fn default() -> Self {
        let (log, pieces, facts) = Default::default();
        Self { budget: Budget::new(usize::MAX), log, pieces, facts }
    }
}

impl Consumer for Deliveries {
    type Connection = ();

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn reserve(&mut self, _: Packet) -> bool {
        true
    }

    fn forgotten(&mut self, _: Packet) {}

    fn late(&mut self, _: &mut Self::Connection, _: Packet, _: Timestamp, _: bool) {}

    fn release(&mut self, _: &mut Self::Connection, _: &Facts, _: u64) {}

    fn opened(&mut self, facts: &Facts, _: Holder) {
        self.log.push(format!("opened {:?}", facts.first_packet));
    }

    fn input(&mut self, (): &mut (), _: &Facts, direction: Direction, input: Input<'_>) {
        self.log.push(format!("{direction:?} {input:?}"));
        match input {
            Input::Data(data) => self.pieces.push((Some(data.bytes.to_vec()), data.at.offset())),
            Input::Gap(gap) => self.pieces.push((None, gap.length.expect("a length"))),
        }
    }

    fn closed(&mut self, (): &mut (), _: &Facts, closing: Closing) {
        let Closing { direction, how, packet, time } = closing;
        self.log.push(format!("{direction:?} {how:?} {packet:?} {time:?}"));
    }

    fn ended(&mut self, (): &mut (), facts: Facts) {
        self.log.push(format!("{facts:?}"));
        self.facts.push(facts);
    }
}

/// Reads the capture; `advance`: how often the reader says how far it is.
fn read(stream: &Stream, capture: &[(u64, Sent)], truth: &[u8], advance: u64) -> Deliveries {
    let mut connections = Connections::new();
    let mut deliveries = Deliveries::default();
    let first = stream.isn.wrapping_add(1);
    let mut last = 0;
    for &(order, sent) in capture {
        for gone in (last + 1..order).filter(|gone| gone % advance == 0) {
            connections.advance(gone, &mut deliveries);
        }
        last = order;
        let (from, seq, ack, flags, payload, cut) = match sent {
            Sent::Syn => (0, stream.isn, 0, TcpFlags::SYN, &[][..], 0),
            Sent::Bytes(from, to, captured, fin) => {
                let flags = if fin { TcpFlags::FIN } else { TcpFlags::PSH };
                let seq = first.wrapping_add(from as u32);
                (from, seq, 0, flags, &truth[from..from + captured], (to - from - captured) as u32)
            }
            Sent::Ack(to) => (0, 77, first.wrapping_add(to as u32), TcpFlags::ACK, &[][..], 0),
        };
        let (source, destination) = match sent {
            Sent::Ack(_) => (SERVER, CLIENT),
            _ => (CLIENT, SERVER),
        };
        let segment = Segment { source, destination, seq, ack, flags, window: 0, payload, cut, payload_at: 0 };
        let packet = Packet { order, no: PacketNo::new(0, order) };
        // Bytes lie in the file where they lie in the stream, so that places can be checked too.
        let at = Place::new(SourceNo(0), from as u64);
        let time = Timestamp::from_nanos(order as i64);
        connections.segment(
            &Received { packet, time, at, segment: &segment, not_recorded: None, remark: None },
            &mut deliveries,
        );
        if order % advance == 0 {
            connections.advance(order, &mut deliveries);
        }
    }
    connections.finish(&mut deliveries);
    deliveries
}

/// Checks that what was delivered is the truth, and that gaps are what was never seen.
fn check(stream: &Stream) -> Result<(), TestCaseError> {
    let (capture, total) = capture(stream);
    let truth: Vec<u8> = (0..total).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let deliveries = read(stream, &capture, &truth, 1);
    prop_assert_eq!(&deliveries.log, &read(stream, &capture, &truth, 7).log, "batches of 7");
    prop_assert_eq!(&deliveries.log, &read(stream, &capture, &truth, u64::MAX).log, "one batch");

    let mut seen = vec![false; total];
    let mut lowest = None;
    let mut known = 0;
    let mut acks = BTreeMap::<usize, usize>::new();
    for &(_, sent) in &capture {
        match sent {
            Sent::Bytes(from, to, captured, _) => {
                seen[from..from + captured].fill(true);
                lowest = Some(lowest.map_or(from, |lowest: usize| lowest.min(from)));
                known = known.max(to);
            }
            Sent::Ack(to) => *acks.entry(to).or_default() += 1,
            Sent::Syn => lowest = Some(0),
        }
    }
    let Some(lowest) = lowest else { return Ok(()) };
    let mut at = lowest;
    for (bytes, number) in &deliveries.pieces {
        match bytes {
            Some(bytes) => {
                prop_assert_eq!(*number, at as u64, "the place of the byte {}", at);
                prop_assert!(truth[at..].starts_with(bytes), "the bytes at {}", at);
                prop_assert!(seen[at..at + bytes.len()].iter().all(|seen| *seen));
                at += bytes.len();
            }
            None => {
                let gap = at..at + *number as usize;
                prop_assert!(gap.end <= total && !seen[gap].iter().any(|seen| *seen), "the gap at {}", at);
                at += *number as usize;
            }
        }
    }
    prop_assert!(at >= known.max(lowest), "everything is delivered: {} of {}", at, known);
    prop_assert_eq!(deliveries.facts.len(), 1);
    let flow = &deliveries.facts[0].flows[0];
    prop_assert_eq!(flow.bytes + flow.missing(), (at - lowest) as u64);
    prop_assert_eq!(flow.faults().differing + flow.faults().implausible + flow.faults().overflowed, 0);
    Ok(())
}

proptest! {
    #[test]
    fn without_loss_everything_is_delivered_and_there_is_no_gap(stream in stream(0, 0)) {
        check(&stream)?;
        let (capture, total) = capture(&stream);
        let deliveries = read(&stream, &capture, &vec![0; total], 1);
        prop_assert!(deliveries.facts[0].flows[0].gaps().is_empty());
        prop_assert_eq!(deliveries.facts[0].flows[0].bytes, total as u64);
    }

    #[test]
    fn gaps_are_exactly_what_was_never_seen(stream in stream(10, 0)) {
        check(&stream)?;
    }

    #[test]
    fn what_the_snap_length_cut_off_is_a_gap_or_comes_from_a_copy_that_was_there(stream in stream(3, 20)) {
        check_snapped(&stream)?;
    }
}

/// As [`check`], but a copy that comes after the cut one was handed on is too late.
fn check_snapped(stream: &Stream) -> Result<(), TestCaseError> {
    let (capture, total) = capture(stream);
    let truth: Vec<u8> = (0..total).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let deliveries = read(stream, &capture, &truth, 1);
    prop_assert_eq!(&deliveries.log, &read(stream, &capture, &truth, u64::MAX).log, "one batch");
    let lowest = match stream.syn {
        true => Some(0),
        false => capture
            .iter()
            .filter_map(|(_, sent)| if let Sent::Bytes(from, ..) = sent { Some(*from) } else { None })
            .min(),
    };
    let mut at = lowest.unwrap_or(0);
    for (bytes, number) in &deliveries.pieces {
        match bytes {
            Some(bytes) => {
                prop_assert_eq!(*number, at as u64, "the place of the byte {}", at);
                prop_assert!(truth[at..].starts_with(bytes), "the bytes at {}", at);
                at += bytes.len();
            }
            None => at += *number as usize,
        }
    }
    prop_assert!(at <= total);
    Ok(())
}

/// Any segment at all.
fn anything() -> impl Strategy<Value = (bool, u32, u32, u8, usize, u32, u64)> {
    let near = prop_oneof![0..2000_u32, any::<u32>(), (0..2000_u32).prop_map(|back| back.wrapping_neg())];
    let flags = prop_oneof![4 => Just(TcpFlags::ACK.0), 1 => any::<u8>()];
    let cut = prop_oneof![6 => Just(0_u32), 1 => 0..200_u32, 1 => any::<u16>().prop_map(u32::from)];
    (any::<bool>(), near.clone(), near, flags, 0..60_usize, cut, prop_oneof![6 => 1..4_u64, 1 => 1..100_000_u64])
}

proptest! {
    #[test]
    fn no_segments_make_it_panic_or_depend_on_batches(segments in prop::collection::vec(anything(), 0..300)) {
        let run = |advance: bool| {
            let mut connections = Connections::new();
            let mut deliveries = Hostile::default();
            let mut order = 0;
            for &(up, seq, ack, flags, length, cut, step) in &segments {
                if advance {
                    for order in order + 1..order + step.min(100) {
                        connections.advance(order, &mut deliveries);
                    }
                }
                order += step;
                let (source, destination) = if up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
                let payload = &[b'x'; 60][..length];
                let flags = TcpFlags(flags);
                let segment = Segment { source, destination, seq, ack, flags, window: 0, payload, cut, payload_at: 0 };
                let packet = Packet { order, no: PacketNo::new(0, order) };
                let (time, at) = (Timestamp::from_nanos(order as i64), Place::NOWHERE);
                connections.segment(&Received { packet, time, at, segment: &segment, not_recorded: None, remark: None }, &mut deliveries);
            }
            connections.finish(&mut deliveries);
            deliveries
        };
        let (one, other) = (run(true), run(false));
        prop_assert_eq!(&one.log, &other.log);
        prop_assert_eq!(one.open, 0);
        // Orders never go back.
        prop_assert!(one.orders.is_sorted());
    }
}

proptest! {
    #[test]
    fn connections_one_after_the_other_get_what_they_get_in_the_order_of_the_packets(
        segments in prop::collection::vec((0..3_u16, anything()), 0..300),
        batch in 1..100_usize,
    ) {
        let mut order = 0;
        let segments: Vec<_> = segments
            .into_iter()
            .map(|(port, segment)| {
                order += segment.6;
                (order, port, segment)
            })
            .collect();
        let run = |is_regrouped: bool| {
            let mut connections = Connections::new();
            let mut deliveries = Hostile::default();
            for batch in segments.chunks(batch) {
                let mut batch = batch.to_vec();
                let last = batch.last().map_or(0, |&(order, ..)| order);
                if is_regrouped {
                    assert!(connections.may_regroup(batch.len(), batch.len() * 100, &deliveries.budget));
                    batch.sort_by_key(|&(_, port, _)| port);
                }
                connections.set_regrouped(is_regrouped);
                for (order, port, (up, seq, ack, flags, length, cut, _)) in batch {
                    let client = Address::v4([10, 0, 0, 1], 40_000 + port);
                    let (source, destination) = if up { (client, SERVER) } else { (SERVER, client) };
                    let payload = &[b'x'; 60][..length];
                    let flags = TcpFlags(flags);
                    let segment =
                        Segment { source, destination, seq, ack, flags, window: 0, payload, cut, payload_at: 0 };
                    let packet = Packet { order, no: PacketNo::new(0, order) };
                    let (time, at) = (Timestamp::from_nanos(order as i64), Place::NOWHERE);
                    let received = Received { packet, time, at, segment: &segment, not_recorded: None, remark: None };
                    connections.segment(&received, &mut deliveries);
                }
                connections.advance(last, &mut deliveries);
            }
            connections.finish(&mut deliveries);
            // By connection.
            deliveries.log.sort_by_key(|line| line.split_once('}').map(|(first_packet, _)| first_packet.to_owned()));
            deliveries.log
        };
        prop_assert_eq!(run(true), run(false));
    }
}

/// Takes whatever comes, and checks that each connection closes twice and ends once.
struct Hostile {
    budget: Budget,
    log: Vec<String>,
    orders: Vec<u64>,
    open: i64,
}

impl Default for Hostile {
    fn default() -> Self {
        Self { budget: Budget::new(usize::MAX), log: Vec::new(), orders: Vec::new(), open: 0 }
    }
}

impl Consumer for Hostile {
    type Connection = Vec<Direction>;

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn reserve(&mut self, _: Packet) -> bool {
        true
    }

    fn forgotten(&mut self, _: Packet) {}

    fn late(&mut self, _: &mut Self::Connection, _: Packet, _: Timestamp, _: bool) {}

    fn release(&mut self, _: &mut Self::Connection, _: &Facts, _: u64) {}

    fn opened(&mut self, _: &Facts, _: Holder) -> Vec<Direction> {
        self.open += 1;
        Vec::new()
    }

    fn input(&mut self, closed: &mut Vec<Direction>, facts: &Facts, direction: Direction, input: Input<'_>) {
        assert!(!closed.contains(&direction), "nothing comes after the end of a flow");
        self.log.push(format!("{:?} {direction:?} {input:?}", facts.first_packet));
        self.orders.push(match input {
            Input::Data(data) => data.packet.order,
            Input::Gap(gap) => gap.packet.order,
        });
    }

    fn closed(&mut self, closed: &mut Vec<Direction>, facts: &Facts, closing: Closing) {
        let Closing { direction, how, packet, time } = closing;
        assert!(!closed.contains(&direction), "a flow ends once");
        closed.push(direction);
        self.orders.push(packet.order);
        self.log.push(format!("{:?} {direction:?} {how:?} {packet:?} {time:?}", facts.first_packet));
    }

    fn ended(&mut self, closed: &mut Vec<Direction>, facts: Facts) {
        assert_eq!(closed.len(), 2, "both flows end");
        self.log.push(format!("{:?} ended {facts:?}", facts.first_packet));
        self.open -= 1;
    }
}
