//! What happens on the connections of a replay, dissected as if it were read from a capture.
//!
//! The plain text of each connection goes through the same dissectors as a recording. So a replayed call is the same kind of value
//! as a recorded one, and everything that the HTTP/2 library does not report is known. With `-w` the bytes are written to a capture,
//! too.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::Arc;

use rpcshark_captures::budget::{Budget, Holder, MemoryLimit};
use rpcshark_captures::connection::{Close, Closing};
use rpcshark_captures::streams::StreamNo;
use rpcshark_captures::write::{About, Ends, Party, StreamWriter, WrittenStream};
use rpcshark_captures::{Data, Direction, Endpoint, Input, Packet, PacketNo, Place, Sources, Spill, Timestamp};
use rpcshark_dissectors::store::{CallRef, ClientBy, Connection, Keep, Store};
use rpcshark_dissectors::tls::Keys;
use rpcshark_dissectors::{DecodeAs, Joining};

use super::outbox::Spare;
use crate::driver::{Output, SessionDriver, SpillTo};

/// All that was sent and received.
pub(crate) struct Live {
    store: Store,
    sources: Arc<Sources>,
    spill: Option<Spill>,
    budget: Budget,
    connections: Vec<LiveConnection>,
    /// The calls that are not forgotten, by connection and stream.
    calls: HashMap<(u32, u32), CallRef>,
    /// What happens is numbered, as packets are.
    order: u64,
    capture: Option<StreamWriter<BufWriter<File>>>,
    /// Calls that are to be freed.
    forgotten: Vec<CallRef>,
    /// Why the capture could not be written to its end.
    fault: Option<io::Error>,
    /// Memory for [`Outbox::absorb`](super::outbox::Outbox::absorb).
    pub(super) spare: Spare,
}

struct LiveConnection {
    driver: SessionDriver,
    /// Bytes so far, by direction.
    sent: [u64; 2],
    stream: Option<WrittenStream>,
    ended: bool,
}

/// Calls that are freed together: each time the lists of the store are looked through.
const MANY_FORGOTTEN: usize = 64;

impl Live {
    /// Nothing has happened. With `capture`, what happens is written there.
    ///
    /// # Errors
    ///
    /// If the capture cannot be written.
    pub(crate) fn new(capture: Option<File>, seed: u64) -> io::Result<Self> {
        let about = About {
            interface: "replay".to_owned(),
            description: "sent and received by rpcshark replay".to_owned(),
            seed,
            ..About::default()
        };
        let capture = capture.map(|file| StreamWriter::new(BufWriter::new(file), &about)).transpose()?;
        let mut store = Store::new(1, Keep { frames: false, bodies: true, events: true });
        // Calls are forgotten when they were compared.
        store.forget(&[]);
        Ok(Self {
            store,
            sources: Arc::default(),
            spill: None,
            budget: Budget::new(MemoryLimit::DEFAULT.0),
            connections: Vec::new(),
            calls: HashMap::new(),
            order: 0,
            capture,
            forgotten: Vec::new(),
            fault: None,
            spare: Spare::default(),
        })
    }

    /// A connection was made. Gives its number.
    pub(crate) fn open(&mut self, client: Endpoint, server: Endpoint, protocol: DecodeAs, now: Timestamp) -> u32 {
        let number = self.connections.len() as u32;
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        let ends = Ends::new(Party::of(client.clone()), Party::of(server.clone()));
        let stream = self.capture.as_mut().and_then(|capture| capture.open(&ends, now).ok());
        let entry = Connection::new(client, server, ClientBy::Syn, now);
        let Some(lane) = self.store.lanes_mut().first_mut() else { return number };
        let id = lane.add_connection(packet, entry);
        let mut driver = SessionDriver::new(id, self.order, Holder::Stream(StreamNo(number)));
        driver.start(Joining { joined: false, decode_as: Some(protocol) });
        self.connections.push(LiveConnection { driver, sent: [0; 2], stream, ended: false });
        number
    }

    /// Bytes were sent or received on a connection.
    pub(crate) fn data(&mut self, connection: u32, direction: Direction, bytes: &[u8], now: Timestamp) {
        if let Some(capture) = &mut self.capture
            && let Some(stream) = self.connections.get_mut(connection as usize).and_then(|live| live.stream.as_mut())
            && let Err(error) = capture.data(stream, direction, bytes, now, None)
        {
            self.failed(error);
        }
        self.step(connection, |live, packet, output| {
            let offset = live.sent[direction.index()];
            live.sent[direction.index()] += bytes.len() as u64;
            // Our side reads everything before it sends: it has acknowledged what has come.
            let acked = Some(live.sent[direction.reverse().index()]);
            let data = Data { bytes, packet, time: now, at: Place::NOWHERE, offset, acked };
            live.driver.input(direction, Input::Data(data), output);
        });
    }

    /// A side of a connection sends no more.
    pub(crate) fn closed(&mut self, connection: u32, direction: Direction, how: Close, now: Timestamp) {
        if let Some(capture) = &mut self.capture
            && let Some(stream) = self.connections.get_mut(connection as usize).and_then(|live| live.stream.as_mut())
        {
            let written = match how {
                Close::Rst => capture.reset(stream, direction, now),
                _ => capture.close(stream, direction, now),
            };
            if let Err(error) = written {
                self.failed(error);
            }
        }
        self.step(connection, |live, packet, output| {
            live.driver.close(Closing { direction, how, packet, time: now }, output);
        });
    }

    /// Nothing more comes of a connection.
    pub(crate) fn end(&mut self, connection: u32, now: Timestamp) {
        for direction in Direction::BOTH {
            self.closed(connection, direction, Close::Fin, now);
        }
        let Some(live) = self.connections.get_mut(connection as usize).filter(|live| !live.ended) else { return };
        live.ended = true;
        let Some(lane) = self.store.lanes_mut().first_mut() else { return };
        live.driver.finish(&mut Output { lane, budget: &mut self.budget, spill: None, keys: Keys::none(), tap: None });
        lane.end_connection(live.driver.id);
        if let (Some(capture), Some(stream)) = (&mut self.capture, live.stream.take())
            && let Err(error) = capture.end(stream)
        {
            self.failed(error);
        }
        self.number(connection);
    }

    fn failed(&mut self, error: io::Error) {
        self.fault.get_or_insert(error);
        self.capture = None;
    }

    fn step(&mut self, connection: u32, work: impl FnOnce(&mut LiveConnection, Packet, &mut Output<'_>)) {
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        let Some(lane) = self.store.lanes_mut().first_mut() else { return };
        let spill = SpillTo { sources: &self.sources, spill: &mut self.spill };
        let mut output = Output { lane, budget: &mut self.budget, spill: Some(spill), keys: Keys::none(), tap: None };
        if let Some(live) = self.connections.get_mut(connection as usize).filter(|live| !live.ended) {
            work(live, packet, &mut output);
        }
        while let Some(holder) = output.budget.take_oldest() {
            let Holder::Stream(StreamNo(number)) = holder else { continue };
            if let Some(live) = self.connections.get_mut(number as usize) {
                live.driver.release(packet.order, &mut output);
            }
        }
        self.number(connection);
    }

    /// Numbers the calls that are new on a connection.
    fn number(&mut self, number: u32) {
        let committed = self.store.commit();
        for no in committed.calls {
            if let Some(at) = self.store.call_by_no(no) {
                self.calls.entry((number, self.store.call(at).stream)).or_insert(at);
            }
        }
    }

    /// The calls and connections.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Where the bytes of messages are read from.
    pub(crate) const fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// The call on a stream of a connection.
    pub(crate) fn call(&self, connection: u32, stream: u32) -> Option<CallRef> {
        self.calls.get(&(connection, stream)).copied()
    }

    /// Frees the memory of a call, soon: nobody looks at it any more.
    pub(crate) fn forget(&mut self, connection: u32, stream: u32) {
        self.forgotten.extend(self.calls.remove(&(connection, stream)));
        if self.forgotten.len() >= MANY_FORGOTTEN {
            self.store.forget(&self.forgotten);
            self.forgotten.clear();
        }
    }

    /// Ends the capture. Gives why it could not be written to its end.
    pub(crate) fn finish_capture(&mut self) -> Option<io::Error> {
        if let Some(capture) = self.capture.take()
            && let Err(error) = capture.finish()
        {
            self.fault.get_or_insert(error);
        }
        self.fault.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_stream_until_it_is_forgotten() {
        let mut live = Live::new(None, 1).expect("no file");
        let now = Timestamp::from_nanos(1);
        let server = Endpoint::UnixPath(b"/x".as_slice().into());
        let connection = live.open(Endpoint::UnixInode(1), server, DecodeAs::Ttrpc, now);
        let request = b"\x0a\x03a.B\x12\x01C\x1a\x02hi"; // service a.B, method C, payload "hi"
        let mut frame = vec![0, 0, 0, request.len() as u8, 0, 0, 0, 1, 1, 0]; // length, stream 1, Request, no flags
        frame.extend_from_slice(request);
        live.data(connection, Direction::ToServer, &frame, now);
        let at = live.call(connection, 1).expect("a call");
        assert!(live.store().call(at).end.is_none());
        live.data(connection, Direction::ToClient, &[0, 0, 0, 0, 0, 0, 0, 1, 2, 0], now);
        assert!(live.store().call(at).end.is_some());
        live.forget(connection, 1);
        assert_eq!(live.call(connection, 1), None);
    }
}
