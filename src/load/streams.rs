//! The work of one lane on streams that no TCP packets hold: strace logs, sockdump, vsock.
//!
//! Their readers give bytes in order already; what TCP's reassembly counts by the way is counted here.

use std::collections::BTreeMap;

use rpcshark_captures::budget::{Held, Holder};
use rpcshark_captures::connection::{ClientBy as TcpClientBy, Close, Facts, FlowFacts, KnownGap};
use rpcshark_captures::streams::{ClientBy as StreamClientBy, Event, Events, Opened, Process, StreamNo, What};
use rpcshark_captures::{Address, Data, Direction, Gap, Input};
use rpcshark_dissectors::store::{ClientBy, Connection, process_text};
use rpcshark_dissectors::{Arrival, Joining, Session};

use super::lane::{Follow, Followed};

/// The streams of a lane that have not ended, by their numbers: what ends with the capture ends in their order.
#[derive(Default)]
pub(super) struct StreamWork(BTreeMap<StreamNo, Stream>);

struct Stream {
    followed: Followed,
    facts: Facts,
    closed: u8,
}

impl StreamWork {
    /// Works through one event; `events` has its bytes.
    pub(super) fn event(&mut self, event: &Event, events: &Events, follow: &mut Follow<'_>) {
        if let What::Opened(opened) = &event.what {
            self.0.insert(event.connection, open(event, opened, follow));
            return;
        }
        let Some(stream) = self.0.get_mut(&event.connection) else { return };
        let Stream { followed, facts, closed } = stream;
        follow.lane.set_sort_key(event.packet.order, facts.first_packet.order);
        facts.packets += 1;
        facts.last = facts.last.max(event.time);
        let Some(session) = &mut followed.session else { return };
        match &event.what {
            What::Opened(_) => {}
            What::Updated(opened) => name_ends(follow.lane.connection_mut(followed.id), opened),
            What::Data { direction, at, .. } => {
                let bytes = events.bytes_of(event);
                let flow = flow(facts, *direction);
                let offset = flow.bytes + flow.missing();
                flow.bytes += bytes.len() as u64;
                let data = Data { bytes, packet: event.packet, time: event.time, at: *at, offset, acked: None };
                let at = if session.is_passed() { data.at } else { follow.kept(&data) };
                session.input(*direction, Input::Data(Data { at, ..data }), follow.lane);
                followed.report_held(follow.budget);
            }
            What::Gap { direction, length, cause } => {
                let flow = flow(facts, *direction);
                let gap = KnownGap {
                    at: flow.bytes + flow.missing(),
                    length: *length,
                    cause: *cause,
                    packet: event.packet.no,
                };
                flow.add_gap(gap);
                let gap = Gap { length: *length, cause: *cause, packet: event.packet, time: event.time };
                session.input(*direction, Input::Gap(gap), follow.lane);
                followed.report_held(follow.budget);
            }
            What::Closed { direction, how } => {
                let now = Arrival { time: event.time, packet: event.packet.no };
                session.closed(*direction, *how, now, follow.lane);
                followed.report_held(follow.budget);
                if *how != Close::EndOfCapture {
                    facts.closed = Some(*how);
                }
                *closed += 1;
                if *closed == 2
                    && let Some(stream) = self.0.remove(&event.connection)
                {
                    end(stream, follow);
                }
            }
        }
    }

    /// The memory budget is exceeded: a stream's session releases the oldest of what it holds.
    pub(super) fn release(&mut self, no: StreamNo, order: u64, follow: &mut Follow<'_>) {
        if let Some(stream) = self.0.get_mut(&no) {
            follow.lane.set_sort_key(order, stream.facts.first_packet.order);
            stream.followed.release(follow.lane, follow.budget);
        }
    }

    /// The capture has ended.
    pub(super) fn finish(&mut self, follow: &mut Follow<'_>) {
        for stream in std::mem::take(&mut self.0).into_values() {
            follow.lane.set_sort_key(u64::MAX, stream.facts.first_packet.order);
            end(stream, follow);
        }
    }
}

fn open(event: &Event, opened: &Opened, follow: &mut Follow<'_>) -> Stream {
    let by = client_by(opened.client_by);
    let mut connection = Connection::new(opened.client.clone(), opened.server.clone(), by, event.time);
    name_ends(&mut connection, opened);
    let decode_as = follow.shared.decode_as.for_ends(&opened.client, &opened.server);
    let id = follow.lane.add_connection(event.packet, connection);
    let session = Session::new(id, Joining { joined: opened.joined, decode_as });
    let holder = Holder::Stream(event.connection);
    let nobody = Address { ip: 0, port: 0 };
    let facts = Facts {
        first_packet: event.packet,
        client: nobody,
        server: nobody,
        client_by: TcpClientBy::First,
        roles_swapped: false,
        syn: None,
        first: event.time,
        last: event.time,
        packets: 1,
        flows: Default::default(),
        joined: opened.joined,
        captured_twice: false,
        closed: None,
    };
    Stream {
        followed: Followed { id, session: Some(Box::new(session)), recorded: false, holder, account: Held::NOTHING },
        facts,
        closed: 0,
    }
}

fn end(stream: Stream, follow: &mut Follow<'_>) {
    let Stream { mut followed, facts, .. } = stream;
    if let Some(mut session) = followed.session.take() {
        session.finish(follow.lane);
    }
    followed.report_held(follow.budget);
    follow.lane.connection_mut(followed.id).facts = Some(Box::new(facts));
}

/// What is known of the ends now. A connection that was turned round stays so.
fn name_ends(connection: &mut Connection, opened: &Opened) {
    let text = |process: &Option<Process>| {
        process.as_ref().and_then(|process| process_text(process.name.as_deref(), Some(process.pid)))
    };
    let mut client = (opened.client.clone(), text(&opened.client_process));
    let mut server = (opened.server.clone(), text(&opened.server_process));
    if connection.roles_swapped {
        std::mem::swap(&mut client, &mut server);
    }
    (connection.client, connection.client_process) = client;
    (connection.server, connection.server_process) = server;
}

fn flow(facts: &mut Facts, direction: Direction) -> &mut FlowFacts {
    let [to_server, to_client] = &mut facts.flows;
    match direction {
        Direction::ToServer => to_server,
        Direction::ToClient => to_client,
    }
}

const fn client_by(by: StreamClientBy) -> ClientBy {
    match by {
        // To connect is a socket's SYN.
        StreamClientBy::Connect | StreamClientBy::Accept => ClientBy::Syn,
        StreamClientBy::Stated => ClientBy::User,
        StreamClientBy::Path | StreamClientBy::Port => ClientBy::Port,
        StreamClientBy::First => ClientBy::First,
    }
}
