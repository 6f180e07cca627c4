//! One TCP connection: its two flows, which side is the client, and how it ends.

use super::consumer::Consumer;
use super::delivery::Delivery;
use super::ended::Ended;
use super::facts::{ClientBy, Close, Facts, FlowFacts};
use super::flow::{AckAge, Flow, SenderAck};
use super::hole::SUSPECT_PACKETS;
use super::received::Received;
use super::trigger::Trigger;
use crate::budget::{Budget, Held, Holder, Kind};
use crate::{Address, Direction, Packet, PacketNo, Segment, TcpFlags, Timestamp};

/// For how many packets of the capture the whole state of a connection is kept after it has ended, so that its last
/// packets do not look like another one. After that only what [`Ended`] needs is kept.
const LINGER_PACKETS: u64 = 1 << 16;

/// After how many segments that are certainly copies a connection counts as captured twice. A single one may have been
/// delayed in the network until its retransmission had arrived.
const COPIES_PROVE: u64 = 8;

/// Of how many segments at least the bytes must have come twice for a connection to count as captured twice, where
/// nearly all its bytes have ([`REPEATED_PERCENT`]).
const REPEATS_PROVE: u64 = 3;

/// Which part of the bytes of both flows must have come twice for a connection to count as captured twice.
const REPEATED_PERCENT: u64 = 90;

/// Ports above 1023 on which RPC servers are known to listen. Many are in the range that clients' ports are chosen
/// from, so that the lower one is often the client's.
const SERVER_PORTS: [u16; 6] = [2379, 2380, 6443, 10250, 50051, 50052];

/// One connection.
#[derive(Debug)]
pub(super) struct TcpConnection<C> {
    pub(super) facts: Facts,
    flows: [Flow; 2],
    connection: C,
    /// The order of its last packet.
    pub(super) last: u64,
    /// When its timer fires. `u64::MAX`: none is set.
    pub(super) timer: u64,
    /// What its flows hold, as reported to the memory budget.
    accounts: [Held; 2],
    /// A reset, which takes effect when what came before it has had time to be seen.
    reset: Option<Reset>,
    /// When both flows had ended.
    ended_at: Option<u64>,
    /// Whether anything was delivered, so that directions cannot change any more.
    has_delivered: bool,
}

/// The packet that reset a connection.
#[derive(Clone, Copy, Debug)]
struct Reset {
    order: u64,
    no: PacketNo,
    time: Timestamp,
}

impl<C> TcpConnection<C> {
    pub(super) fn new<T: Consumer<Connection = C>>(received: &Received<'_>, holder: Holder, consumer: &mut T) -> Self {
        let Received { packet, time, segment, .. } = *received;
        let (is_from_client, client_by) = guess_client(segment);
        let (client, server) = match is_from_client {
            true => (segment.source, segment.destination),
            false => (segment.destination, segment.source),
        };
        let facts = Facts {
            first_packet: packet,
            client,
            server,
            client_by,
            roles_swapped: false,
            syn: None,
            first: time,
            last: time,
            packets: 0,
            flows: [FlowFacts::joined(), FlowFacts::joined()],
            joined: !segment.flags.has(TcpFlags::SYN),
            captured_twice: false,
            closed: None,
        };
        Self {
            connection: consumer.opened(&facts, holder),
            facts,
            flows: [Flow::new(), Flow::new()],
            last: packet.order,
            timer: u64::MAX,
            accounts: [Held::NOTHING; 2],
            reset: None,
            ended_at: None,
            has_delivered: false,
        }
    }

    /// The direction of what `source` sends to `destination`; `None` if they are not the two ends.
    #[inline]
    pub(super) fn direction(&self, source: Address, destination: Address) -> Option<Direction> {
        match self.facts.client {
            client if client == source && self.facts.server == destination => Some(Direction::ToServer),
            client if client == destination && self.facts.server == source => Some(Direction::ToClient),
            _ => None,
        }
    }

    /// Whether a segment belongs to this connection, or to a new one between the same ends.
    ///
    /// The same sequence number in a SYN makes it the same connection, however late it comes: it is a copy of the
    /// packet. Two connections between the same ends and ports hardly ever have the same two initial numbers.
    #[inline]
    pub(super) fn owns(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let flow = &self.flows[direction.index()];
        if segment.flags.has(TcpFlags::SYN) {
            return flow.owns_syn(segment.seq);
        }
        self.ended_at.is_none() || segment.sent_len() == 0 || !flow.is_new_data(segment)
    }

    /// Takes a segment without SYN, FIN or RST. True: nothing waits for it, and it waits for nothing.
    #[inline]
    pub(super) fn data_segment<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        received: &Received<'_>,
        consumer: &mut T,
    ) -> bool {
        let Received { packet, time, segment, .. } = *received;
        self.count(packet, time);
        let is_quiet =
            !segment.flags.has(TcpFlags::ACK) || self.flows[direction.reverse().index()].ack(segment.ack, packet, time);
        let covered = self.covered(direction, segment);
        let (flow, mut delivery) = self.parts(direction, consumer);
        if segment.payload.is_empty() && segment.cut == 0 && !flow.is_joining() {
            return is_quiet;
        }
        if flow.deliver_in_order(received, covered, &mut delivery) {
            return is_quiet;
        }
        self.reassemble(direction, received, consumer);
        false
    }

    #[inline]
    fn count(&mut self, packet: Packet, time: Timestamp) {
        self.last = packet.order;
        self.facts.packets += 1;
        self.facts.first = self.facts.first.min(time);
        self.facts.last = self.facts.last.max(time);
    }

    /// Takes a segment with SYN, FIN or RST.
    pub(super) fn control_segment<T: Consumer<Connection = C>>(
        &mut self,
        mut direction: Direction,
        received: &Received<'_>,
        consumer: &mut T,
    ) {
        let Received { packet, time, segment, .. } = *received;
        self.count(packet, time);
        if segment.flags.has(TcpFlags::SYN) {
            direction = self.receive_syn(direction, received, consumer);
        }
        if segment.flags.has(TcpFlags::ACK) {
            self.flows[direction.reverse().index()].ack(segment.ack, packet, time);
        }
        if segment.flags.has(TcpFlags::RST) {
            return self.receive_rst(direction, packet, time, segment);
        }
        self.reassemble(direction, received, consumer);
    }

    /// A SYN tells who is the client, and where the flow begins. Returns the direction that the segment has then.
    fn receive_syn<T: Consumer<Connection = C>>(
        &mut self,
        mut direction: Direction,
        received: &Received<'_>,
        consumer: &mut T,
    ) -> Direction {
        let Received { packet, time, segment, .. } = *received;
        let opens = match segment.flags.has(TcpFlags::ACK) {
            true => direction.reverse(),
            false => direction,
        };
        self.facts.joined = false;
        if self.facts.syn.is_none() {
            self.facts.client_by = ClientBy::Syn;
            self.facts.syn = Some(opens);
            if opens == Direction::ToClient && !self.has_delivered {
                self.swap_roles();
                direction = direction.reverse();
            }
        }
        // No end sends its SYN again after the other side has acknowledged data.
        if self.flows[direction.index()].has_syn() && self.flows.iter().any(Flow::is_acked) {
            self.facts.captured_twice = true;
        }
        self.flows[direction.reverse().index()].set_peer_syn_seen();
        let (flow, mut delivery) = self.parts(direction, consumer);
        flow.syn(segment.seq, packet, time, &mut delivery);
        direction
    }

    /// Nothing was delivered yet: client and server can be exchanged without the consumer noticing.
    fn swap_roles(&mut self) {
        self.facts.swap_roles();
        self.facts.roles_swapped = false;
        self.flows.swap(0, 1);
        self.accounts.swap(0, 1);
    }

    fn receive_rst(&mut self, direction: Direction, packet: Packet, time: Timestamp, segment: &Segment<'_>) {
        if !self.flows[direction.index()].is_near(segment.seq) {
            self.facts.flows[direction.index()].faults_mut().implausible += 1;
        } else if self.reset.is_none() && self.ended_at.is_none() {
            self.reset = Some(Reset { order: packet.order, no: packet.no, time });
        }
    }

    /// Takes a segment that is not simply the next one.
    fn reassemble<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        received: &Received<'_>,
        consumer: &mut T,
    ) {
        let age = match received.segment.flags.has(TcpFlags::ACK) {
            true => self.flows[direction.reverse().index()].ack_age(received.segment.ack),
            false => AckAge::Unknown,
        };
        let ack = SenderAck { covered: self.covered(direction, received.segment), age };
        let (flow, mut delivery) = self.parts(direction, consumer);
        flow.reassemble(received, ack, &mut delivery);
        self.close_at_fin(Trigger::Packet(received.packet, received.time), consumer);
    }

    /// The `bytes` before a segment were not recorded.
    pub(super) fn not_recorded<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        received: &Received<'_>,
        bytes: u64,
        consumer: &mut T,
    ) {
        let (flow, mut delivery) = self.parts(direction, consumer);
        flow.not_recorded(received, bytes, &mut delivery);
    }

    /// The recorder says something about a packet.
    pub(super) fn remark<T: Consumer<Connection = C>>(&mut self, packet: Packet, text: &str, consumer: &mut T) {
        consumer.remark(&mut self.connection, packet, text);
    }

    /// How much of the other flow a segment acknowledges.
    #[inline]
    fn covered(&self, direction: Direction, segment: &Segment<'_>) -> Option<u64> {
        let has_ack = segment.flags.has(TcpFlags::ACK);
        has_ack.then(|| self.flows[direction.reverse().index()].covered(segment.ack)).flatten()
    }

    #[inline]
    fn parts<'a, T: Consumer<Connection = C>>(
        &'a mut self,
        direction: Direction,
        consumer: &'a mut T,
    ) -> (&'a mut Flow, Delivery<'a, T>) {
        let Self { flows, facts, connection, has_delivered, .. } = self;
        (&mut flows[direction.index()], Delivery { consumer, connection, facts, direction, has_delivered })
    }

    /// A flow ends when everything before its FIN has been delivered.
    fn close_at_fin<T: Consumer<Connection = C>>(&mut self, trigger: Trigger, consumer: &mut T) {
        for direction in Direction::BOTH {
            let flow = &self.flows[direction.index()];
            if let Some(fin) = flow.reached_fin() {
                let (packet, time) = trigger.attribute(fin.no, fin.time);
                let time = time.max(flow.time());
                self.close(direction, Close::Fin, trigger.order(), (packet, time), consumer);
            }
        }
    }

    fn close<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        how: Close,
        order: u64,
        by: (Packet, Timestamp),
        consumer: &mut T,
    ) {
        if self.flows[direction.reverse().index()].is_closed() && how != Close::EndOfCapture {
            self.facts.closed.get_or_insert(how);
            self.ended_at.get_or_insert(order);
        }
        let (flow, mut delivery) = self.parts(direction, consumer);
        flow.close(how, by, &mut delivery);
    }

    /// When something is to be done even if no packet of this connection comes.
    pub(super) fn due(&self) -> Option<u64> {
        if let Some(ended_at) = self.ended_at {
            return Some(ended_at + LINGER_PACKETS);
        }
        let reset = self.reset.map(|reset| reset.order + SUSPECT_PACKETS);
        self.flows.iter().filter_map(Flow::due).chain(reset).min()
    }

    /// Does what is due at `order`. False: the connection is over.
    pub(super) fn run_timer<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) -> bool {
        if let Some(ended_at) = self.ended_at {
            return ended_at + LINGER_PACKETS > order;
        }
        let trigger = Trigger::Count(order);
        if self.flows.iter().any(|flow| flow.must_open(order)) {
            self.flows.iter_mut().filter(|flow| flow.can_open(order)).for_each(|flow| flow.open_at_lowest(order));
            self.deliver_ready(trigger, consumer);
        }
        for direction in Direction::BOTH {
            let (flow, mut delivery) = self.parts(direction, consumer);
            flow.skip_suspect_holes(order, &mut delivery);
        }
        self.close_at_fin(trigger, consumer);
        if let Some(reset) = self.reset
            && reset.order + SUSPECT_PACKETS <= order
        {
            let by = trigger.attribute(reset.no, reset.time);
            self.end_flows(Close::Rst, trigger, by, consumer);
        }
        true
    }

    /// Delivers what both flows have ready, in the order in which it was sent.
    fn deliver_ready<T: Consumer<Connection = C>>(&mut self, trigger: Trigger, consumer: &mut T) {
        while let Some(direction) = self.earlier_direction(Flow::ready) {
            let (flow, mut delivery) = self.parts(direction, consumer);
            flow.deliver_next_ready(trigger, &mut delivery);
        }
    }

    /// The direction for which `order` returns the lower number.
    fn earlier_direction(&self, order: impl Fn(&Flow) -> Option<u64>) -> Option<Direction> {
        let [to_server, to_client] = [order(&self.flows[0]), order(&self.flows[1])];
        match (to_server, to_client) {
            (None, None) => None,
            (Some(_), None) => Some(Direction::ToServer),
            (None, Some(_)) => Some(Direction::ToClient),
            (Some(up), Some(down)) => Some(if up <= down { Direction::ToServer } else { Direction::ToClient }),
        }
    }

    /// Delivers all that remains, in the order in which it was sent, and ends both flows.
    fn end_flows<T: Consumer<Connection = C>>(
        &mut self,
        how: Close,
        trigger: Trigger,
        by: (Packet, Timestamp),
        consumer: &mut T,
    ) {
        self.flows.iter_mut().for_each(|flow| flow.open_at_lowest(trigger.order()));
        while let Some(direction) = self.earlier_direction(Flow::first_remaining) {
            let (flow, mut delivery) = self.parts(direction, consumer);
            flow.deliver_remaining(trigger, &mut delivery);
        }
        self.close_at_fin(trigger, consumer);
        for direction in Direction::BOTH {
            if !self.flows[direction.index()].is_closed() {
                self.close(direction, how, trigger.order(), by, consumer);
            }
        }
    }

    /// The connection is over: ends what has not ended, and keeps what recognises its late packets.
    pub(super) fn end<T: Consumer<Connection = C>>(
        mut self,
        slot: u32,
        how: Close,
        trigger: Trigger,
        consumer: &mut T,
    ) -> Ended<C> {
        let (how, no, time) = match self.reset {
            Some(reset) => (Close::Rst, reset.no, reset.time),
            None => (how, self.facts.first_packet.no, self.facts.last),
        };
        self.end_flows(how, trigger, trigger.attribute(no, time), consumer);
        self.report_held(slot, consumer.budget());
        self.facts.captured_twice |= self.looks_captured_twice();
        let (client, server) = (self.facts.client, self.facts.server);
        let ranges = [self.flows[0].range(), self.flows[1].range()];
        consumer.ended(&mut self.connection, self.facts);
        Ended { client, server, ranges, connection: self.connection }
    }

    /// Whether so many segments were copies that all packets must have been captured twice.
    fn looks_captured_twice(&self) -> bool {
        let copies: u64 = self.facts.flows.iter().map(|flow| flow.faults().copies).sum();
        let is_repeated = |(flow, facts): (&Flow, &FlowFacts)| {
            let repeats = flow.repeats();
            facts.bytes > 0
                && repeats.segments >= REPEATS_PROVE
                && repeats.bytes.saturating_mul(100) >= facts.bytes.saturating_mul(REPEATED_PERCENT)
        };
        copies >= COPIES_PROVE || self.flows.iter().zip(&self.facts.flows).all(is_repeated)
    }

    /// Reports to the memory budget what the flows hold.
    pub(super) fn report_held(&mut self, slot: u32, budget: &mut Budget) {
        for direction in Direction::BOTH {
            let held = self.flows[direction.index()].held();
            budget.update(Holder::Flow { slot, direction }, &mut self.accounts[direction.index()], held);
        }
    }

    /// The memory budget is exceeded: the flow skips its first hole.
    pub(super) fn release_flow<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        trigger: Trigger,
        consumer: &mut T,
    ) {
        self.accounts[direction.index()] = Held::NOTHING;
        let before = self.flows[direction.index()].held().bytes;
        let (flow, mut delivery) = self.parts(direction, consumer);
        flow.skip_first_hole(trigger, &mut delivery);
        self.close_at_fin(trigger, consumer);
        let after = self.flows[direction.index()].held().bytes;
        consumer.budget().count(Kind::OutOfOrder, before.saturating_sub(after));
    }

    /// The memory budget is exceeded: the consumer releases something.
    pub(super) fn release_consumer<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) {
        consumer.release(&mut self.connection, &self.facts, order);
    }
}

/// Whether the sender of this segment, the first of a connection, is the client, and why that is assumed.
fn guess_client(segment: &Segment<'_>) -> (bool, ClientBy) {
    if segment.flags.has(TcpFlags::SYN) {
        return (!segment.flags.has(TcpFlags::ACK), ClientBy::Syn);
    }
    let rank = |port: u16| match port {
        0..1024 => (0, port),
        _ if SERVER_PORTS.contains(&port) => (1, port),
        _ => (2, port),
    };
    match rank(segment.source.port).cmp(&rank(segment.destination.port)) {
        std::cmp::Ordering::Less => (false, ClientBy::Port),
        std::cmp::Ordering::Greater => (true, ClientBy::Port),
        std::cmp::Ordering::Equal => (true, ClientBy::First),
    }
}
