//! The work of one lane: segments in, and through reassembly and dissection into the store's lane.

use rpcshark_captures::budget::{Budget, Holder, MemoryLimit, Released};
use rpcshark_captures::connection::{Closing, Connections, Consumer, Facts, Received, Trigger};
use rpcshark_captures::file::Batch;
use rpcshark_captures::write::{Ends, parse_endpoint_comment, parse_not_recorded_comment, parse_remark};
use rpcshark_captures::{Direction, Endpoint, Input, Packet, Place, Sources, Spill, Timestamp};
use rpcshark_dissectors::Joining;
use rpcshark_dissectors::store::{ClientBy, Connection, Lane};
use rpcshark_dissectors::tls::Keys;

use super::partition::Partition;
use super::streams::StreamWorker;
use crate::decode_as::DecodeAsRules;
use crate::driver::{Output, SessionDriver, SpillTo};
use crate::ends::set_recorded_ends;
use crate::tap::Tap;

/// What a lane works with, besides the store's lane.
pub(super) struct LaneWorker {
    connections: Connections<TcpConnection>,
    streams: StreamWorker,
    spill: Option<Spill>,
    /// What may be held back for all connections of the lane.
    budget: Budget,
    /// Learns what connections deliver, where that is wanted.
    pub(super) tap: Option<Tap>,
}

/// A TCP connection.
pub(super) struct TcpConnection {
    driver: SessionDriver,
    /// Its ends are those that a recorder wrote down, not the packets'.
    recorded: bool,
}

impl LaneWorker {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let budget = Budget::new(memory.lane());
        Self { connections: Connections::new(), streams: StreamWorker::default(), spill: None, budget, tap: None }
    }

    /// What was released because the memory budget was exceeded.
    pub(super) const fn released(&self) -> &Released {
        self.budget.released()
    }

    /// Works through the lane's packets of a batch.
    pub(super) fn batch(&mut self, no: u8, batch: &Batch, partition: &Partition, lane: &mut Lane, shared: &Shared<'_>) {
        let spill = Some(SpillTo { sources: shared.sources, spill: &mut self.spill });
        let output = Output { lane, budget: &mut self.budget, spill, keys: shared.keys, tap: self.tap.as_mut() };
        let mut sink = LaneSink { output, shared, ends: None };
        let regrouped = partition.of_lane(no);
        let may_regroup = self.connections.may_regroup(regrouped.len(), batch.memory(), sink.output.budget);
        self.connections.set_regrouped(may_regroup);
        let mut in_order = Vec::new();
        if !may_regroup {
            in_order.extend_from_slice(regrouped);
            in_order.sort_unstable();
        }
        let indices = if may_regroup { regrouped } else { &in_order[..] };
        for (at, &index) in indices.iter().enumerate() {
            if let Some(&ahead) = indices.get(at + 2 * PREFETCH) {
                partition.prefetch_header(ahead);
                batch.prefetch(ahead as usize);
            }
            if let Some(&ahead) = indices.get(at + PREFETCH) {
                partition.prefetch_payload(ahead, batch);
            }
            let index = index as usize;
            let raw = batch.packet(index);
            // Looked at where it is: it is large, and moving it takes time.
            let segment = partition.segment(index, &raw);
            let Some(segment) = &segment else { continue };
            let at = if partition.is_put_together(index) { Place::NOWHERE } else { raw.at };
            let comment = batch.comment(index);
            sink.ends = comment.and_then(parse_endpoint_comment);
            let not_recorded = comment.and_then(parse_not_recorded_comment);
            let remark = comment.and_then(parse_remark);
            let received = Received { packet: raw.packet, time: raw.time, at, segment, not_recorded, remark };
            self.connections.segment(&received, &mut sink);
            while let Some(holder) = sink.output.budget.take_oldest() {
                match holder {
                    Holder::Stream(no) => self.streams.release(no, raw.packet.order, &mut sink),
                    _ => self.connections.release(holder, Trigger::Packet(raw.packet, raw.time), &mut sink),
                }
            }
        }
        for event in partition.events_of_lane(no) {
            self.streams.event(event, partition.events(), &mut sink);
            while let Some(holder) = sink.output.budget.take_oldest() {
                match holder {
                    Holder::Stream(no) => self.streams.release(no, event.packet.order, &mut sink),
                    _ => self.connections.release(holder, Trigger::Packet(event.packet, event.time), &mut sink),
                }
            }
        }
        if let Some(last) = batch.len().checked_sub(1) {
            self.connections.advance(batch.packet(last).packet.order, &mut sink);
        }
    }

    /// The capture has ended.
    pub(super) fn finish(&mut self, lane: &mut Lane, shared: &Shared<'_>) {
        let spill = Some(SpillTo { sources: shared.sources, spill: &mut self.spill });
        let output = Output { lane, budget: &mut self.budget, spill, keys: shared.keys, tap: self.tap.as_mut() };
        let mut sink = LaneSink { output, shared, ends: None };
        self.connections.finish(&mut sink);
        self.streams.finish(&mut sink);
    }

    /// What the end of the capture says of streams that no TCP packets hold.
    pub(super) fn last_events(&mut self, no: u8, partition: &Partition, lane: &mut Lane, shared: &Shared<'_>) {
        let spill = Some(SpillTo { sources: shared.sources, spill: &mut self.spill });
        let output = Output { lane, budget: &mut self.budget, spill, keys: shared.keys, tap: self.tap.as_mut() };
        let mut sink = LaneSink { output, shared, ends: None };
        for event in partition.events_of_lane(no) {
            self.streams.event(event, partition.events(), &mut sink);
        }
    }
}

/// How many packets ahead payloads are fetched into the processor's cache; headers are twice as far ahead. A lane's packets
/// lie far from one another.
const PREFETCH: usize = 6;

/// What all lanes share.
pub(super) struct Shared<'a> {
    pub(super) sources: &'a Sources,
    pub(super) decode_as: &'a DecodeAsRules,
    pub(super) keys: &'a Keys,
    /// Whether the input has times.
    pub(super) has_times: bool,
}

/// Takes what the connections of a lane deliver.
pub(super) struct LaneSink<'a> {
    pub(super) output: Output<'a>,
    pub(super) shared: &'a Shared<'a>,
    /// The ends that the packet's comment names: a recording of something else than TCP.
    ends: Option<Ends>,
}

impl LaneSink<'_> {
    /// Makes the session of a connection when its first bytes are there: until then the client may change.
    fn start(&mut self, tcp: &mut TcpConnection, facts: &Facts) {
        if tcp.driver.is_started() {
            return;
        }
        let connection = self.output.lane.connection_mut(tcp.driver.id);
        if !tcp.recorded {
            connection.client = Endpoint::Tcp(facts.client.to_socket_addr());
            connection.server = Endpoint::Tcp(facts.server.to_socket_addr());
            connection.client_by = client_by(facts);
        }
        let decode_as = self.shared.decode_as.for_ends(&connection.client, &connection.server);
        if decode_as.is_some() && facts.joined {
            connection.client_by = ClientBy::User;
        }
        tcp.driver.start(Joining { joined: facts.joined, decode_as });
    }
}

impl Consumer for LaneSink<'_> {
    type Connection = TcpConnection;

    fn budget(&mut self) -> &mut Budget {
        self.output.budget
    }

    fn reserve(&mut self, first_packet: Packet) -> bool {
        // The ends that a comment names are known only now.
        let may_wait = self.ends.is_none();
        if may_wait {
            self.output.lane.reserve_connection(first_packet);
        }
        may_wait
    }

    fn forgotten(&mut self, first_packet: Packet) {
        self.output.lane.forget_reserved(first_packet);
    }

    fn late(&mut self, tcp: &mut TcpConnection, _: Packet, time: Timestamp, is_copy: bool) {
        if let Some(facts) = &mut self.output.lane.connection_mut(tcp.driver.id).facts {
            facts.packets += 1;
            facts.last = facts.last.max(time);
            facts.captured_twice |= is_copy;
        }
    }

    fn release(&mut self, tcp: &mut TcpConnection, _: &Facts, order: u64) {
        tcp.driver.release(order, &mut self.output);
    }

    fn opened(&mut self, facts: &Facts, holder: Holder) -> TcpConnection {
        let client = Endpoint::Tcp(facts.client.to_socket_addr());
        let server = Endpoint::Tcp(facts.server.to_socket_addr());
        let mut connection = Connection::new(client, server, client_by(facts), facts.first);
        connection.over_tcp = true;
        let ends = self.ends.take();
        let recorded = ends.is_some();
        if let Some(ends) = ends {
            set_recorded_ends(&mut connection, ends);
        }
        let id = self.output.lane.add_connection(facts.first_packet, connection);
        TcpConnection { driver: SessionDriver::new(id, facts.first_packet.order, holder), recorded }
    }

    fn input(&mut self, tcp: &mut TcpConnection, facts: &Facts, direction: Direction, input: Input<'_>) {
        self.start(tcp, facts);
        tcp.driver.input(direction, input, &mut self.output);
    }

    fn remark(&mut self, tcp: &mut TcpConnection, packet: Packet, text: &str) {
        self.output.lane.connection_mut(tcp.driver.id).note_remark(text, packet.no);
    }

    fn closed(&mut self, tcp: &mut TcpConnection, _: &Facts, closing: Closing) {
        tcp.driver.close(closing, &mut self.output);
    }

    fn ended(&mut self, tcp: &mut TcpConnection, facts: Facts) {
        tcp.driver.finish(&mut self.output);
        self.output.lane.connection_mut(tcp.driver.id).facts = Some(Box::new(facts));
        self.output.lane.end_connection(tcp.driver.id);
    }
}

fn client_by(facts: &Facts) -> ClientBy {
    match facts.client_by {
        rpcshark_captures::connection::ClientBy::Syn => ClientBy::Syn,
        rpcshark_captures::connection::ClientBy::Port => ClientBy::Port,
        rpcshark_captures::connection::ClientBy::First => ClientBy::First,
    }
}
