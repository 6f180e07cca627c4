//! For tests: connections written frame by frame, and what a session makes of them, as text.

use std::fmt::Write;

use rpcshark_captures::connection::Close;
use rpcshark_captures::{
    Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, SourceNo, Timestamp,
};

use crate::store::{ClientBy, Connection, ConnectionId, Keep, Lane, Store};
use crate::view::Bodies;
use crate::{Arrival, Context, Joining, Session};

/// A step of a connection: bytes one way, or their loss.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Bytes(Direction, Vec<u8>),
    /// Bytes whose sender had acknowledged so much of the other flow.
    Acking(Direction, Vec<u8>, u64),
    Lost(Direction, Vec<u8>),
}

/// A connection that is fed step by step; each step is a packet, a millisecond after the last.
pub(crate) struct Fed {
    pub(crate) store: Store,
    id: ConnectionId,
    session: Session,
    order: u64,
    /// Bytes handed on so far, by direction: what lies where.
    sent: [Vec<u8>; 2],
}

impl Fed {
    pub(crate) fn new(joined: bool) -> Self {
        let mut store = Store::new(1, Keep { frames: true, bodies: true, events: true });
        let lane = &mut store.lanes_mut()[0];
        let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let by = if joined { ClientBy::Port } else { ClientBy::Syn };
        let connection = Connection::new(end(40_000), end(50_051), by, Timestamp::EPOCH);
        let id = lane.add_connection(Packet::default(), connection);
        let session = Session::new(id, Joining { joined, decode_as: None });
        Self { store, id, session, order: 0, sent: Default::default() }
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        let time = Timestamp::from_nanos(self.order as i64 * 1_000_000);
        let (direction, input) = match step {
            Step::Bytes(direction, bytes) | Step::Acking(direction, bytes, _) => {
                let acked = if let Step::Acking(.., acked) = step { Some(*acked) } else { None };
                let at = Place::new(SourceNo(direction.index() as u16), self.sent[direction.index()].len() as u64);
                self.sent[direction.index()].extend_from_slice(bytes);
                (*direction, Input::Data(Data { bytes, packet, time, at, offset: at.offset(), acked }))
            }
            Step::Lost(direction, bytes) => {
                self.sent[direction.index()].extend_from_slice(bytes);
                let length = Some(bytes.len() as u64);
                (*direction, Input::Gap(Gap { length, cause: GapCause::Lost, packet, time }))
            }
        };
        let lane = &mut self.store.lanes_mut()[0];
        lane.set_sort_key(self.order, 0);
        self.session.input(direction, input, &mut Context::new(lane));
    }

    /// What it holds because something is missing, and the release of the oldest of it.
    pub(crate) fn session(&mut self) -> (&mut Session, &mut Lane) {
        (&mut self.session, &mut self.store.lanes_mut()[0])
    }

    pub(crate) fn close(&mut self, direction: Direction, how: Close) {
        self.order += 1;
        let now = Arrival {
            time: Timestamp::from_nanos(self.order as i64 * 1_000_000),
            packet: PacketNo::new(0, self.order),
        };
        self.session.closed(direction, how, now, &mut Context::new(&mut self.store.lanes_mut()[0]));
    }

    /// The end of the capture, and what came of it: frames, calls, messages with their bytes, notes.
    pub(crate) fn finish(mut self) -> Outcome {
        self.session.finish(&mut Context::new(&mut self.store.lanes_mut()[0]));
        let committed = self.store.commit();
        let mut frames = Vec::new();
        for at in &committed.frames {
            let frame = &at.frame;
            let way = if frame.direction == Direction::ToServer { '↑' } else { '↓' };
            frames.push(format!(
                "{way}{} type {} flags {:#x} length {}",
                frame.stream, frame.kind, frame.flags, frame.length
            ));
        }
        let calls = self.store.calls().iter().map(|&at| self.call(at)).collect();
        Outcome { frames, calls, connection: self.id, store: self.store, sent: self.sent }
    }

    fn call(&self, at: crate::store::CallRef) -> String {
        let lane = self.store.lane(at.lane);
        let call = self.store.call(at);
        let path =
            call.request_headers.and_then(|list| lane.headers[list].facts.path.known()?.as_str().map(str::to_owned));
        let mut text = format!("{} {}", call.stream, path.unwrap_or_else(|| "?".to_owned()));
        for (direction, way) in Direction::BOTH.into_iter().zip(['↑', '↓']) {
            for message in call.messages(direction) {
                let bytes = self.bytes(lane, message);
                let _ = write!(text, " {way}{}{:?}", message.length, String::from_utf8_lossy(&bytes));
                let _ = write!(text, "{}", if message.flags.0 & 0x5f == 0 { "" } else { "*" });
            }
        }
        let _ = write!(text, " {}", call.end.map_or("open", |end| end.name()));
        text
    }

    fn bytes(&self, lane: &Lane, message: &crate::store::Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in lane.pieces(message.body(), message.length) {
            if piece.at != Place::NOWHERE {
                let sent = &self.sent[piece.at.source().0 as usize];
                let from = piece.at.offset() as usize;
                bytes.extend_from_slice(&sent[from..from + piece.len as usize]);
            }
        }
        bytes
    }
}

/// What came of a connection.
pub(crate) struct Outcome {
    pub(crate) frames: Vec<String>,
    pub(crate) calls: Vec<String>,
    pub(crate) connection: ConnectionId,
    pub(crate) store: Store,
    /// All bytes of the connection, by direction, lost ones too.
    sent: [Vec<u8>; 2],
}

impl Bodies for Outcome {
    fn get<'a>(&'a self, at: Place, len: usize, _: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let from = usize::try_from(at.offset()).ok()?;
        self.sent.get(usize::from(at.source().0))?.get(from..from + len)
    }
}

impl Outcome {
    pub(crate) fn lane(&self) -> &Lane {
        self.store.lane(crate::store::LaneNo(0))
    }
}

/// What comes of a connection from its beginning to the end of the capture.
pub(crate) fn fed(joined: bool, steps: &[Step]) -> Outcome {
    let mut fed = Fed::new(joined);
    steps.iter().for_each(|step| fed.step(step));
    fed.finish()
}

/// An HTTP/2 frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec(); // length
    bytes.push(kind);
    bytes.push(flags);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals that insert nothing (RFC 7541 §6.2.2), names and values not Huffman-coded.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0); // literal, not indexed, new name
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).expect("short texts"));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// A gRPC message with its prefix.
pub(crate) fn message(body: &str) -> Vec<u8> {
    let mut bytes = vec![0]; // not compressed
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}
