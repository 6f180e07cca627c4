//! The work of one lane on streams that no TCP packets hold: strace logs, sockdump, vsock.
//!
//! Their readers give bytes in order already; what TCP's reassembly counts by the way is counted here.

use std::collections::BTreeMap;

use rpcshark_captures::budget::Holder;
use rpcshark_captures::connection::{ClientBy as TcpClientBy, Close, Closing, Facts, FlowFacts, KnownGap};
use rpcshark_captures::streams::{ClientBy as StreamClientBy, Event, EventKind, Events, Opened, Process, StreamNo};
use rpcshark_captures::{Address, Data, Direction, Gap, Input};
use rpcshark_dissectors::Joining;
use rpcshark_dissectors::store::{ClientBy, Connection, process_text};

use super::lane::LaneSink;
use crate::driver::SessionDriver;

/// The streams of a lane that have not ended, by their numbers: what ends with the capture ends in their order.
#[derive(Default)]
pub(super) struct StreamWorker(BTreeMap<StreamNo, OpenStream>);

struct OpenStream {
    driver: SessionDriver,
    facts: Facts,
    closed: u8,
}

impl StreamWorker {
    /// Works through one event; `events` has its bytes.
    pub(super) fn event(&mut self, event: &Event, events: &Events, sink: &mut LaneSink<'_>) {
        if let EventKind::Opened(opened) = &event.kind {
            self.0.insert(event.connection, open(event, opened, sink));
            return;
        }
        let Some(stream) = self.0.get_mut(&event.connection) else { return };
        let OpenStream { driver, facts, closed } = stream;
        facts.packets += 1;
        facts.last = facts.last.max(event.time);
        match &event.kind {
            EventKind::Opened(_) => {}
            EventKind::Updated(opened) => name_ends(sink.output.lane.connection_mut(driver.id), opened),
            EventKind::Data { direction, at, .. } => {
                let bytes = events.bytes_of(event);
                let flow = flow(facts, *direction);
                let offset = flow.bytes + flow.missing();
                flow.bytes += bytes.len() as u64;
                let data = Data { bytes, packet: event.packet, time: event.time, at: *at, offset, acked: None };
                driver.input(*direction, Input::Data(data), &mut sink.output);
            }
            EventKind::Gap { direction, length, cause } => {
                let flow = flow(facts, *direction);
                let gap = KnownGap {
                    at: flow.bytes + flow.missing(),
                    length: *length,
                    cause: *cause,
                    packet: event.packet.no,
                };
                flow.add_gap(gap);
                let gap = Gap { length: *length, cause: *cause, packet: event.packet, time: event.time };
                driver.input(*direction, Input::Gap(gap), &mut sink.output);
            }
            EventKind::Closed { direction, how } => {
                let closing = Closing { direction: *direction, how: *how, packet: event.packet, time: event.time };
                driver.close(closing, &mut sink.output);
                if *how != Close::EndOfCapture {
                    facts.closed = Some(*how);
                }
                *closed += 1;
                if *closed == 2
                    && let Some(stream) = self.0.remove(&event.connection)
                {
                    end(stream, sink);
                }
            }
        }
    }

    /// The stream has held something for longest, and the budget is exceeded. `order` is the position of the current packet.
    pub(super) fn release(&mut self, no: StreamNo, order: u64, sink: &mut LaneSink<'_>) {
        if let Some(stream) = self.0.get_mut(&no) {
            stream.driver.release(order, &mut sink.output);
        }
    }

    /// The capture has ended.
    pub(super) fn finish(&mut self, sink: &mut LaneSink<'_>) {
        for stream in std::mem::take(&mut self.0).into_values() {
            sink.output.lane.set_sort_key(u64::MAX, stream.facts.first_packet.order);
            end(stream, sink);
        }
    }
}

fn open(event: &Event, opened: &Opened, sink: &mut LaneSink<'_>) -> OpenStream {
    let by = client_by(opened.client_by);
    let mut connection = Connection::new(opened.client.clone(), opened.server.clone(), by, event.time);
    connection.has_times = sink.shared.has_times;
    name_ends(&mut connection, opened);
    let decode_as = sink.shared.decode_as.for_ends(&opened.client, &opened.server);
    let id = sink.output.lane.add_connection(event.packet, connection);
    let mut driver = SessionDriver::new(id, event.packet.order, Holder::Stream(event.connection));
    driver.start(Joining { joined: opened.joined, decode_as });
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
    OpenStream { driver, facts, closed: 0 }
}

fn end(stream: OpenStream, sink: &mut LaneSink<'_>) {
    let OpenStream { mut driver, facts, .. } = stream;
    driver.finish(&mut sink.output);
    sink.output.lane.connection_mut(driver.id).facts = Some(Box::new(facts));
    sink.output.lane.end_connection(driver.id);
}

/// What is known of the ends now. Roles that the bytes have swapped stay so.
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
