//! The work of one lane: segments in, and through reassembly and dissection into the store's lane.

use rpcshark_captures::budget::{Budget, Held, Holder, MemoryLimit, Released};
use rpcshark_captures::connection::{Closing, Connections, Consumer, Facts, Received, Trigger};
use rpcshark_captures::file::Batch;
use rpcshark_captures::write::{Ends, parse_endpoint_comment, says_not_recorded};
use rpcshark_captures::{Data, Direction, Endpoint, Input, Packet, Place, RawPacket, Sources, Spill, Timestamp};
use rpcshark_dissectors::store::{ClientBy, Connection, ConnectionId, Lane};
use rpcshark_dissectors::{Arrival, Joining, Session};

use super::partition::Partition;
use super::streams::StreamWork;
use crate::decode_as::DecodeAsRules;
use crate::ends::set_recorded_ends;

/// What a lane works with, besides the store's lane.
pub(super) struct Work {
    connections: Connections<Followed>,
    streams: StreamWork,
    spill: Option<Spill>,
    /// What may be held back for all connections of the lane.
    budget: Budget,
}

/// A connection that is followed.
pub(super) struct Followed {
    pub(super) id: ConnectionId,
    pub(super) session: Option<Box<Session>>,
    /// Its ends are those that a recorder wrote down, not the packets'.
    pub(super) recorded: bool,
    /// The connection in the memory budget, and what was reported for it.
    pub(super) holder: Holder,
    pub(super) account: Held,
}

impl Followed {
    /// Reports to the memory budget what the session holds.
    pub(super) fn report_held(&mut self, budget: &mut Budget) {
        let held = self.session.as_ref().map_or(Held::NOTHING, |session| session.held());
        budget.update(self.holder, &mut self.account, held);
    }

    /// The memory budget is exceeded: the session releases the oldest of what it holds.
    pub(super) fn release(&mut self, lane: &mut Lane, budget: &mut Budget) {
        self.account = Held::NOTHING;
        if let Some((kind, bytes)) = self.session.as_mut().and_then(|session| session.release(lane)) {
            budget.count(kind, bytes);
            self.report_held(budget);
        }
    }
}

impl Work {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let budget = Budget::new(memory.lane());
        Self { connections: Connections::new(), streams: StreamWork::default(), spill: None, budget }
    }

    /// What was released because the memory budget was exceeded.
    pub(super) const fn released(&self) -> &Released {
        self.budget.released()
    }

    /// Works through the lane's packets of a batch.
    pub(super) fn batch(&mut self, no: u8, batch: &Batch, partition: &Partition, lane: &mut Lane, shared: &Shared<'_>) {
        let mut follow = Follow { lane, shared, spill: &mut self.spill, budget: &mut self.budget, ends: None };
        let mut indices = partition.of_lane(no).peekable();
        while let Some(index) = indices.next() {
            if let Some(&next) = indices.peek() {
                fetch_ahead(&batch.packet(next));
            }
            let raw = batch.packet(index);
            let Some((segment, put_together)) = partition.segment(index, &raw) else { continue };
            let at = if put_together { Place::NOWHERE } else { raw.at };
            let comment = batch.comment(index);
            follow.ends = comment.and_then(parse_endpoint_comment);
            let not_recorded = comment.is_some_and(says_not_recorded);
            let received = Received { packet: raw.packet, time: raw.time, at, segment: &segment, not_recorded };
            self.connections.segment(&received, &mut follow);
            while let Some(holder) = follow.budget.take_oldest() {
                match holder {
                    Holder::Stream(no) => self.streams.release(no, raw.packet.order, &mut follow),
                    _ => self.connections.release(holder, Trigger::Packet(raw.packet, raw.time), &mut follow),
                }
            }
        }
        for event in partition.events_of_lane(no) {
            self.streams.event(event, partition.events(), &mut follow);
            while let Some(holder) = follow.budget.take_oldest() {
                match holder {
                    Holder::Stream(no) => self.streams.release(no, event.packet.order, &mut follow),
                    _ => self.connections.release(holder, Trigger::Packet(event.packet, event.time), &mut follow),
                }
            }
        }
        if let Some(last) = batch.len().checked_sub(1) {
            self.connections.advance(batch.packet(last).packet.order, &mut follow);
        }
    }

    /// The capture has ended.
    pub(super) fn finish(&mut self, lane: &mut Lane, shared: &Shared<'_>) {
        let mut follow = Follow { lane, shared, spill: &mut self.spill, budget: &mut self.budget, ends: None };
        self.connections.finish(&mut follow);
        self.streams.finish(&mut follow);
    }

    /// What the end of the capture says of streams that no TCP packets hold.
    pub(super) fn last_events(&mut self, no: u8, partition: &Partition, lane: &mut Lane, shared: &Shared<'_>) {
        let mut follow = Follow { lane, shared, spill: &mut self.spill, budget: &mut self.budget, ends: None };
        for event in partition.events_of_lane(no) {
            self.streams.event(event, partition.events(), &mut follow);
        }
    }
}

/// Looks at the beginning of a packet and where its payload mostly begins. A lane's packets lie far from one another, and
/// while one is worked through the next one comes into the processor's cache.
fn fetch_ahead(packet: &RawPacket<'_>) {
    std::hint::black_box((packet.data.first().copied(), packet.data.get(PAYLOAD).copied()));
}

/// Ethernet, IPv4 and TCP with a timestamp.
const PAYLOAD: usize = 66;

/// What all lanes share.
pub(super) struct Shared<'a> {
    pub(super) sources: &'a Sources,
    pub(super) decode_as: &'a DecodeAsRules,
}

/// Takes what the connections deliver.
pub(super) struct Follow<'a> {
    pub(super) lane: &'a mut Lane,
    pub(super) shared: &'a Shared<'a>,
    spill: &'a mut Option<Spill>,
    pub(super) budget: &'a mut Budget,
    /// The ends that the packet's comment names: a recording of something else than TCP.
    ends: Option<Ends>,
}

impl Follow<'_> {
    /// The session of a connection: made when its first bytes are there, since until then the client may change.
    fn session<'f>(&mut self, followed: &'f mut Followed, facts: &Facts) -> &'f mut Session {
        let (lane, shared) = (&mut *self.lane, self.shared);
        followed.session.get_or_insert_with(|| {
            let connection = lane.connection_mut(followed.id);
            if !followed.recorded {
                connection.client = Endpoint::Tcp(facts.client.to_socket_addr());
                connection.server = Endpoint::Tcp(facts.server.to_socket_addr());
                connection.client_by = client_by(facts);
            }
            let decode_as = shared.decode_as.for_ends(&connection.client, &connection.server);
            if decode_as.is_some() && facts.joined {
                connection.client_by = ClientBy::User;
            }
            Box::new(Session::new(followed.id, Joining { joined: facts.joined, decode_as }))
        })
    }

    /// Bytes that cannot be read again where they lie are kept, if bodies are wanted.
    pub(super) fn kept(&mut self, data: &Data<'_>) -> Place {
        if data.at != Place::NOWHERE || !self.lane.keep.bodies {
            return data.at;
        }
        if self.spill.is_none() {
            *self.spill = self.shared.sources.spill().ok();
        }
        let place = self.spill.as_mut().and_then(|spill| spill.append(data.bytes).ok());
        place.unwrap_or(Place::NOWHERE)
    }
}

impl Consumer for Follow<'_> {
    type Connection = Followed;

    fn budget(&mut self) -> &mut Budget {
        self.budget
    }

    fn reserve(&mut self, first_packet: Packet) -> bool {
        // The ends that a comment names are known only now.
        let may_wait = self.ends.is_none();
        if may_wait {
            self.lane.reserve_connection(first_packet);
        }
        may_wait
    }

    fn forgotten(&mut self, first_packet: Packet) {
        self.lane.forget_reserved(first_packet);
    }

    fn late(&mut self, followed: &mut Followed, _: Packet, time: Timestamp, is_copy: bool) {
        if let Some(facts) = &mut self.lane.connection_mut(followed.id).facts {
            facts.packets += 1;
            facts.last = facts.last.max(time);
            facts.captured_twice |= is_copy;
        }
    }

    fn release(&mut self, followed: &mut Followed, facts: &Facts, order: u64) {
        self.lane.set_sort_key(order, facts.first_packet.order);
        followed.release(self.lane, self.budget);
    }

    fn opened(&mut self, facts: &Facts, holder: Holder) -> Followed {
        let client = Endpoint::Tcp(facts.client.to_socket_addr());
        let server = Endpoint::Tcp(facts.server.to_socket_addr());
        let mut connection = Connection::new(client, server, client_by(facts), facts.first);
        connection.over_tcp = true;
        let ends = self.ends.take();
        let recorded = ends.is_some();
        if let Some(ends) = ends {
            set_recorded_ends(&mut connection, ends);
        }
        Followed {
            id: self.lane.add_connection(facts.first_packet, connection),
            session: None,
            recorded,
            holder,
            account: Held::NOTHING,
        }
    }

    fn input(&mut self, followed: &mut Followed, facts: &Facts, direction: Direction, input: Input<'_>) {
        let order = match &input {
            Input::Data(data) => data.packet.order,
            Input::Gap(gap) => gap.packet.order,
        };
        self.lane.set_sort_key(order, facts.first_packet.order);
        let session = self.session(followed, facts);
        let input = match input {
            Input::Data(data) if !session.is_passed() => Input::Data(Data { at: self.kept(&data), ..data }),
            other => other,
        };
        session.input(direction, input, self.lane);
        followed.report_held(self.budget);
    }

    fn closed(&mut self, followed: &mut Followed, facts: &Facts, closing: Closing) {
        let Closing { direction, how, packet, time } = closing;
        self.lane.set_sort_key(packet.order, facts.first_packet.order);
        if let Some(session) = &mut followed.session {
            session.closed(direction, how, Arrival { time, packet: packet.no }, self.lane);
        }
        followed.report_held(self.budget);
    }

    fn ended(&mut self, followed: &mut Followed, facts: Facts) {
        if let Some(session) = &mut followed.session {
            session.finish(self.lane);
        }
        followed.session = None;
        followed.report_held(self.budget);
        self.lane.connection_mut(followed.id).facts = Some(Box::new(facts));
    }
}

fn client_by(facts: &Facts) -> ClientBy {
    match facts.client_by {
        rpcshark_captures::connection::ClientBy::Syn => ClientBy::Syn,
        rpcshark_captures::connection::ClientBy::Port => ClientBy::Port,
        rpcshark_captures::connection::ClientBy::First => ClientBy::First,
    }
}
