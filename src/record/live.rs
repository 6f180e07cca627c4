//! `record --live`: the calls of what is being recorded, printed as they end.
//!
//! The recorder's tap hands over bytes in order; they are dissected as if they were read from a capture.

use std::collections::HashMap;
use std::io::Write;

use rpcshark_captures::budget::{Budget, Holder, MemoryLimit};
use rpcshark_captures::connection::{Close, Closing};
use rpcshark_captures::streams::StreamNo;
use rpcshark_captures::write::Ends;
use rpcshark_captures::{Data, Direction, Gap, GapCause, Input, Packet, PacketNo, Place, Timestamp};
use rpcshark_dissectors::Joining;
use rpcshark_dissectors::print::{CallColumns, Printer, Times};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{ClientBy, Connection, Keep, Store};
use rpcshark_dissectors::tls::Keys;
use rpcshark_dissectors::view::{Guesser, NoBodies, Redaction, Viewer};

use super::journal::Tap;
use crate::driver::{Output, SessionDriver};
use crate::ends::set_recorded_ends;

/// Prints calls as they end.
pub struct Live {
    out: Box<dyn Write + Send>,
    store: Store,
    /// Those on which nothing has happened yet: they get their number with the first thing that does, as in a file.
    silent: HashMap<u64, (Ends, Timestamp)>,
    connections: HashMap<u64, LiveConnection>,
    /// The connections by what the budget calls them.
    holders: HashMap<StreamNo, u64>,
    budget: Budget,
    schema: Schema,
    guesser: Guesser,
    redaction: Redaction,
    /// What happens is numbered, as packets are.
    order: u64,
    /// When the connection was made on which something happened first: the time of a file's first packet.
    since: Option<Timestamp>,
}

struct LiveConnection {
    driver: SessionDriver,
    holder: StreamNo,
    /// Bytes so far, by direction, with those that were lost.
    sent: [u64; 2],
}

impl Live {
    /// Prints to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        let schema = Schema::builtin();
        Self {
            out,
            store: Store::new(1, Keep::default()),
            silent: HashMap::new(),
            connections: HashMap::new(),
            holders: HashMap::new(),
            budget: Budget::new(MemoryLimit::DEFAULT.0),
            guesser: Guesser::new(&schema),
            schema,
            redaction: Redaction::default(),
            order: 0,
            since: None,
        }
    }

    /// Takes up a connection when the first thing happens on it.
    fn begin(&mut self, connection: u64) {
        let Some((ends, time)) = self.silent.remove(&connection) else { return };
        let Some(lane) = self.store.lanes_mut().first_mut() else { return };
        self.order += 1;
        self.since.get_or_insert(time);
        let (client, server) = (ends.client.endpoint.clone(), ends.server.endpoint.clone());
        let mut entry = Connection::new(client, server, ClientBy::Syn, time);
        set_recorded_ends(&mut entry, ends);
        let id = lane.add_connection(Packet { order: self.order, no: PacketNo::new(0, self.order) }, entry);
        let holder = StreamNo(id.0);
        let mut driver = SessionDriver::new(id, self.order, Holder::Stream(holder));
        driver.start(Joining { joined: false, decode_as: None });
        self.holders.insert(holder, connection);
        self.connections.insert(connection, LiveConnection { driver, holder, sent: [0; 2] });
    }

    /// The next thing that happens on `connection`.
    fn step(&mut self, connection: u64, work: impl FnOnce(&mut LiveConnection, Packet, &mut Output<'_>)) {
        self.begin(connection);
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        let Some(lane) = self.store.lanes_mut().first_mut() else { return };
        let mut output = Output { lane, budget: &mut self.budget, spill: None, keys: Keys::none(), tap: None };
        if let Some(live) = self.connections.get_mut(&connection) {
            work(live, packet, &mut output);
        }
        while let Some(holder) = output.budget.take_oldest() {
            let Holder::Stream(no) = holder else { continue };
            if let Some(live) = self.holders.get(&no).and_then(|connection| self.connections.get_mut(connection)) {
                live.driver.release(packet.order, &mut output);
            }
        }
    }

    fn close(&mut self, connection: u64, direction: Direction, how: Close, time: Timestamp) {
        self.step(connection, |live, packet, output| {
            live.driver.close(Closing { direction, how, packet, time }, output);
        });
    }
}

impl Tap for Live {
    fn opened(&mut self, connection: u64, ends: &Ends, time: Timestamp) {
        self.silent.insert(connection, (ends.clone(), time));
    }

    fn data(&mut self, connection: u64, direction: Direction, bytes: &[u8], time: Timestamp) {
        self.step(connection, |live, packet, output| {
            let offset = live.sent[direction.index()];
            live.sent[direction.index()] += bytes.len() as u64;
            let data = Data { bytes, packet, time, at: Place::NOWHERE, offset, acked: None };
            if !bytes.is_empty() {
                live.driver.input(direction, Input::Data(data), output);
            }
        });
    }

    fn lost(&mut self, connection: u64, direction: Direction, bytes: u64, time: Timestamp) {
        self.step(connection, |live, packet, output| {
            live.sent[direction.index()] += bytes;
            let gap = Gap { length: Some(bytes), cause: GapCause::Dropped, packet, time };
            live.driver.input(direction, Input::Gap(gap), output);
        });
    }

    fn closed(&mut self, connection: u64, direction: Direction, time: Timestamp) {
        self.close(connection, direction, Close::Fin, time);
    }

    fn reset(&mut self, connection: u64, direction: Direction, time: Timestamp) {
        self.close(connection, direction, Close::Rst, time);
    }

    fn ended(&mut self, connection: u64) {
        self.begin(connection);
        let Some(mut live) = self.connections.remove(&connection) else { return };
        self.holders.remove(&live.holder);
        if let Some(lane) = self.store.lanes_mut().first_mut() {
            live.driver.finish(&mut Output {
                lane,
                budget: &mut self.budget,
                spill: None,
                keys: Keys::none(),
                tap: None,
            });
            lane.end_connection(live.driver.id);
        }
    }

    fn caught_up(&mut self) {
        let completed = self.store.commit().completed;
        if completed.is_empty() {
            // Connections may have ended since.
            self.store.forget(&[]);
            return;
        }
        // A line shows no body, so none is kept.
        let viewer = Viewer {
            store: &self.store,
            bodies: &NoBodies,
            schema: &self.schema,
            guesser: &self.guesser,
            redaction: &self.redaction,
            files: &[],
            names: None,
        };
        let columns = CallColumns::new(Times::Since(self.since.unwrap_or_default()), RECORDED_DECIMALS, None);
        let mut text = Vec::new();
        if completed.iter().any(|&at| self.store.call(at).no.is_some_and(|no| no.get() == 1)) {
            text.extend_from_slice(columns.heading().as_bytes());
        }
        for &at in &completed {
            Printer::new(viewer).write_call_text(&viewer.call(at), &columns, None, &mut text);
        }
        // Whoever reads the calls may go away; the recording continues.
        let _ = self.out.write_all(&text).and_then(|()| self.out.flush());
        self.store.forget(&completed);
    }
}

/// Decimals of a second that recorded times have.
const RECORDED_DECIMALS: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_captures::Endpoint;
    use rpcshark_captures::write::Party;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_ttrpc_call_is_printed_when_it_ends_and_not_before() {
        let out = Shared::default();
        let mut live = Live::new(Box::new(out.clone()));
        let printed = || String::from_utf8(out.0.lock().expect("nobody panics").clone()).expect("text");
        let now = Timestamp::from_nanos(1_000_000);
        let server = Party::of(Endpoint::UnixPath(b"/run/x.sock".as_slice().into()));
        live.opened(7, &Ends::new(Party::of(Endpoint::UnixInode(1)), server), now);
        let request = b"\x0a\x03a.B\x12\x01C\x1a\x02hi"; // service a.B, method C, payload "hi"
        let mut frame = vec![0, 0, 0, request.len() as u8, 0, 0, 0, 1, 1, 0]; // length, stream 1, Request, no flags
        frame.extend_from_slice(request);
        live.data(7, Direction::ToServer, &frame, now);
        live.caught_up();
        assert_eq!(printed(), "");
        let response = [0, 0, 0, 0, 0, 0, 0, 1, 2, 0]; // stream 1, Response, empty: OK
        live.data(7, Direction::ToClient, &response, Timestamp::from_nanos(3_000_000));
        live.caught_up();
        assert!(printed().contains("a.B/C"), "{}", printed());
        assert!(printed().trim_end().ends_with("OK"), "{}", printed());
        live.ended(7);
    }
}
