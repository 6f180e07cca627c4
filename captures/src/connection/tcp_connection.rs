//! One connection: its two flows, who is the client, and how it ends.

use super::consumer::Consumer;
use super::delivery::Output;
use super::facts::{ClientBy, Close, Facts, FlowFacts};
use super::flow::Flow;
use super::hole::{Mark, SUSPECT_PACKETS};
use super::trigger::Trigger;
use crate::{Address, Direction, Packet, Place, Segment, TcpFlags, Timestamp};

/// For how many packets of the capture a connection that ended is kept, so that what trails behind does not look like
/// another one.
const LINGER_PACKETS: u64 = 1 << 16;

/// Ports above 1023 on which RPC servers are known to listen. Many lie where clients' ports are chosen from, so that
/// the lower one is often the client's.
const SERVER_PORTS: [u16; 6] = [2379, 2380, 6443, 10250, 50051, 50052];

/// One connection.
pub(super) struct Pair<C> {
    pub(super) facts: Facts,
    flows: [Flow; 2],
    connection: C,
    /// The order of its last packet.
    pub(super) last: u64,
    /// When a timer is set for it. `u64::MAX`: none is.
    pub(super) armed: u64,
    /// What was counted for it of what may wait in all connections.
    pub(super) accounted: usize,
    /// The order of its first SYN.
    syn: Option<u64>,
    /// A reset, which takes effect when what came before it has had time to be seen.
    reset: Option<Mark>,
    /// When both flows had ended.
    over: Option<u64>,
    /// Whether anything was handed on, so that directions cannot change any more.
    is_fixed: bool,
}

impl<C> Pair<C> {
    pub(super) fn new<T: Consumer<Connection = C>>(
        packet: Packet,
        time: Timestamp,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) -> Self {
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
            flows: [(); 2].map(|()| FlowFacts { joined: true, ..FlowFacts::default() }),
            joined: !segment.flags.has(TcpFlags::SYN),
            closed: None,
        };
        Self {
            connection: consumer.opened(&facts),
            facts,
            flows: [Flow::new(), Flow::new()],
            last: packet.order,
            armed: u64::MAX,
            accounted: 0,
            syn: None,
            reset: None,
            over: None,
            is_fixed: false,
        }
    }

    /// The direction of what `source` sends to `destination`; none if they are not the two ends.
    pub(super) fn direction(&self, source: Address, destination: Address) -> Option<Direction> {
        match self.facts.client {
            client if client == source && self.facts.server == destination => Some(Direction::ToServer),
            client if client == destination && self.facts.server == source => Some(Direction::ToClient),
            _ => None,
        }
    }

    /// Whether a segment belongs to this connection, or to a new one between the same ends.
    pub(super) fn owns(&self, direction: Direction, packet: Packet, segment: &Segment<'_>) -> bool {
        let flow = &self.flows[direction.index()];
        if !segment.flags.has(TcpFlags::SYN) {
            return self.over.is_none() || segment.sent_len() == 0 || !flow.is_beyond(segment);
        }
        let is_late = self.syn.is_some_and(|syn| packet.order > syn + SUSPECT_PACKETS);
        let is_another = flow.has_syn() && is_late && self.flows.iter().any(Flow::is_acked);
        flow.owns_syn(segment.seq) && !is_another
    }

    /// Takes a segment without SYN, FIN or RST. True: nothing waits for it, and it waits for nothing.
    pub(super) fn plain<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        packet: Packet,
        time: Timestamp,
        at: Place,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) -> bool {
        self.count(packet, time);
        let is_quiet =
            !segment.flags.has(TcpFlags::ACK) || self.flows[direction.reverse().index()].ack(segment.ack, packet, time);
        let acked = self.acked(direction, segment);
        let (flow, mut output) = self.parts(direction, consumer);
        if segment.payload.is_empty() && segment.cut == 0 && !flow.is_joining() {
            return is_quiet;
        }
        if flow.in_order(packet, time, at, segment, acked, &mut output) {
            return is_quiet;
        }
        self.other(direction, packet, time, at, segment, consumer);
        false
    }

    fn count(&mut self, packet: Packet, time: Timestamp) {
        self.last = packet.order;
        self.facts.packets += 1;
        self.facts.first = self.facts.first.min(time);
        self.facts.last = self.facts.last.max(time);
    }

    /// Takes a segment with SYN, FIN or RST.
    pub(super) fn control<T: Consumer<Connection = C>>(
        &mut self,
        mut direction: Direction,
        packet: Packet,
        time: Timestamp,
        at: Place,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) {
        self.count(packet, time);
        if segment.flags.has(TcpFlags::SYN) {
            direction = self.syn(direction, packet, time, segment, consumer);
        }
        if segment.flags.has(TcpFlags::ACK) {
            self.flows[direction.reverse().index()].ack(segment.ack, packet, time);
        }
        if segment.flags.has(TcpFlags::RST) {
            return self.rst(direction, packet, time, segment);
        }
        self.other(direction, packet, time, at, segment, consumer);
    }

    /// A SYN tells who is the client, and where the flow begins. Gives the direction that the segment has then.
    fn syn<T: Consumer<Connection = C>>(
        &mut self,
        mut direction: Direction,
        packet: Packet,
        time: Timestamp,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) -> Direction {
        let opens = match segment.flags.has(TcpFlags::ACK) {
            true => direction.reverse(),
            false => direction,
        };
        self.facts.joined = false;
        self.syn.get_or_insert(packet.order);
        if self.facts.syn.is_none() {
            self.facts.client_by = ClientBy::Syn;
            self.facts.syn = Some(opens);
            if opens == Direction::ToClient && !self.is_fixed {
                self.exchange();
                direction = direction.reverse();
            }
        }
        self.flows[direction.reverse().index()].peer_has_syn();
        let (flow, mut output) = self.parts(direction, consumer);
        flow.syn(segment.seq, packet, time, &mut output);
        direction
    }

    /// Nothing was handed on yet: client and server can be exchanged unnoticed.
    fn exchange(&mut self) {
        self.facts.swap_roles();
        self.facts.roles_swapped = false;
        self.flows.swap(0, 1);
    }

    fn rst(&mut self, direction: Direction, packet: Packet, time: Timestamp, segment: &Segment<'_>) {
        if !self.flows[direction.index()].is_near(segment.seq) {
            self.facts.flows[direction.index()].implausible += 1;
        } else if self.reset.is_none() && self.over.is_none() {
            self.reset = Some(Mark { position: 0, order: packet.order, no: packet.no, time });
        }
    }

    /// Takes a segment that needs a closer look.
    fn other<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        packet: Packet,
        time: Timestamp,
        at: Place,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) {
        let acked = self.acked(direction, segment);
        let (flow, mut output) = self.parts(direction, consumer);
        flow.segment(packet, time, at, segment, acked, &mut output);
        self.close_at_fin(Trigger::Packet(packet, time), consumer);
    }

    /// What is missing of a flow before `ack` was not recorded.
    pub(super) fn not_recorded(&mut self, direction: Direction, ack: u32) {
        self.flows[direction.index()].not_recorded(ack);
    }

    /// How much of the other flow a segment acknowledges.
    fn acked(&self, direction: Direction, segment: &Segment<'_>) -> Option<u64> {
        let has_ack = segment.flags.has(TcpFlags::ACK);
        has_ack.then(|| self.flows[direction.reverse().index()].covered(segment.ack)).flatten()
    }

    fn parts<'a, T: Consumer<Connection = C>>(
        &'a mut self,
        direction: Direction,
        consumer: &'a mut T,
    ) -> (&'a mut Flow, Output<'a, T>) {
        let Self { flows, facts, connection, is_fixed, .. } = self;
        (&mut flows[direction.index()], Output { consumer, connection, facts, direction, is_fixed })
    }

    /// A flow ends when everything before its FIN has been handed on.
    fn close_at_fin<T: Consumer<Connection = C>>(&mut self, by: Trigger, consumer: &mut T) {
        for direction in Direction::BOTH {
            let flow = &self.flows[direction.index()];
            if let Some(fin) = flow.reached_fin() {
                let (packet, time) = by.attribute(fin.no, fin.time);
                let time = time.max(flow.time());
                self.close(direction, Close::Fin, by.order(), (packet, time), consumer);
            }
        }
    }

    fn close<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        how: Close,
        order: u64,
        said: (Packet, Timestamp),
        consumer: &mut T,
    ) {
        if self.flows[direction.reverse().index()].is_closed() && how != Close::EndOfCapture {
            self.facts.closed.get_or_insert(how);
            self.over.get_or_insert(order);
        }
        let (flow, mut output) = self.parts(direction, consumer);
        flow.close(how, said, &mut output);
    }

    /// When something is to be done though no packet of it comes.
    pub(super) fn due(&self) -> Option<u64> {
        if let Some(over) = self.over {
            return Some(over + LINGER_PACKETS);
        }
        let reset = self.reset.map(|reset| reset.order + SUSPECT_PACKETS);
        self.flows.iter().filter_map(Flow::due).chain(reset).min()
    }

    /// Does what is due at `order`. False: it is to be forgotten.
    pub(super) fn fire<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) -> bool {
        if let Some(over) = self.over {
            return over + LINGER_PACKETS > order;
        }
        let by = Trigger::Count(order);
        if self.flows.iter().any(|flow| flow.must_join(order)) {
            self.flows.iter_mut().filter(|flow| flow.can_join(order)).for_each(|flow| flow.settle(order));
            self.deliver_ready(by, consumer);
        }
        for direction in Direction::BOTH {
            let (flow, mut output) = self.parts(direction, consumer);
            flow.give_up_due(order, &mut output);
        }
        self.close_at_fin(by, consumer);
        if let Some(reset) = self.reset
            && reset.order + SUSPECT_PACKETS <= order
        {
            let said = by.attribute(reset.no, reset.time);
            self.end_flows(Close::Rst, by, said, consumer);
        }
        true
    }

    /// Delivers what both flows have ready, as it was sent.
    fn deliver_ready<T: Consumer<Connection = C>>(&mut self, by: Trigger, consumer: &mut T) {
        while let Some(direction) = self.earlier(Flow::ready) {
            let (flow, mut output) = self.parts(direction, consumer);
            flow.deliver_one(by, &mut output);
        }
    }

    /// The direction for which `order` gives the lower number.
    fn earlier(&self, order: impl Fn(&Flow) -> Option<u64>) -> Option<Direction> {
        let [to_server, to_client] = [order(&self.flows[0]), order(&self.flows[1])];
        match (to_server, to_client) {
            (None, None) => None,
            (Some(_), None) => Some(Direction::ToServer),
            (None, Some(_)) => Some(Direction::ToClient),
            (Some(up), Some(down)) => Some(if up <= down { Direction::ToServer } else { Direction::ToClient }),
        }
    }

    /// Delivers all that remains, as it was sent, and ends both flows.
    pub(super) fn end_flows<T: Consumer<Connection = C>>(
        &mut self,
        how: Close,
        by: Trigger,
        said: (Packet, Timestamp),
        consumer: &mut T,
    ) {
        self.flows.iter_mut().for_each(|flow| flow.settle(by.order()));
        while let Some(direction) = self.earlier(Flow::remains) {
            let (flow, mut output) = self.parts(direction, consumer);
            flow.force_one(by, &mut output);
        }
        self.close_at_fin(by, consumer);
        for direction in Direction::BOTH {
            if !self.flows[direction.index()].is_closed() {
                self.close(direction, how, by.order(), said, consumer);
            }
        }
    }

    /// It is over for good.
    pub(super) fn end<T: Consumer<Connection = C>>(mut self, how: Close, by: Trigger, consumer: &mut T) {
        let (how, no, time) = match self.reset {
            Some(reset) => (Close::Rst, reset.no, reset.time),
            None => (how, self.facts.first_packet.no, self.facts.last),
        };
        self.end_flows(how, by, by.attribute(no, time), consumer);
        consumer.ended(&mut self.connection, self.facts);
    }

    /// What its flows hold, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.flows.iter().map(Flow::cost).sum()
    }

    /// The flows that hold something, with the order since which they do.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (u64, Direction)> {
        let flows = Direction::BOTH.into_iter().zip(&self.flows);
        flows.filter_map(|(direction, flow)| Some((flow.waits_since()?, direction)))
    }

    /// Gives up the first hole of a flow.
    pub(super) fn give_up_first<T: Consumer<Connection = C>>(
        &mut self,
        direction: Direction,
        by: Trigger,
        consumer: &mut T,
    ) {
        let (flow, mut output) = self.parts(direction, consumer);
        flow.give_up_first(by, &mut output);
        self.close_at_fin(by, consumer);
    }
}

/// Whether the sender of this segment, the first of a connection, is the client, and why that is believed.
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
