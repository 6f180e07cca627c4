//! Conversations as peers have them, through a session; cut, thinned and damaged.

use rpcshark_captures::connection::Close;
use rpcshark_captures::{
    Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, SourceNo, Timestamp,
};
use std::fmt::Write as _;

use super::*;
use crate::store::{Body, Call, CallId, ClientBy, Connection, Keep, Lane, MessageFlags};
use crate::{DecodeAs, Joining, Moment, Session};
use Direction::{ToClient, ToServer};

/// A frame as bytes.
fn frame(stream: u32, kind: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    [&length[..], &stream.to_be_bytes(), &[kind, flags], data].concat()
}

const SERVICE: &[u8] = b"\x0a\x25ttrpc.integration.streaming.Streaming";

/// What the Go implementation and its client say, shape by shape.
fn golden() -> Vec<(Direction, Vec<u8>)> {
    let request = |stream, flags, method: &[u8], rest: &[u8]| {
        let method = [b"\x12", &[method.len() as u8][..], method].concat();
        (ToServer, frame(stream, 1, flags, &[SERVICE, &method, rest].concat()))
    };
    let to_server = |stream, kind, flags, data: &[u8]| (ToServer, frame(stream, kind, flags, data));
    let to_client = |stream, kind, flags, data: &[u8]| (ToClient, frame(stream, kind, flags, data));
    vec![
        // unary, with a timeout and metadata of which one key has two values
        request(
            1,
            0,
            b"Echo",
            &[
                &b"\x1a\x06\x08\x07\x12\x02hi"[..],                           // payload
                b"\x20\xdf\x83\x91\xd0\x12",                                  // timeout_nano
                b"\x2a\x25\x0a\x1acontainerd-namespace-ttrpc\x12\x07default", // metadata
                b"\x2a\x07\x0a\x01k\x12\x02v1",
                b"\x2a\x07\x0a\x01k\x12\x02v2",
            ]
            .concat(),
        ),
        to_client(1, 2, 0, b"\x12\x06\x08\x08\x12\x02hi"),
        // an error
        request(3, 0, b"Echo", b"\x1a\x06\x12\x04fail"),
        to_client(3, 2, 0, b"\x0a\x11\x08\x05\x12\x0dno such thing"),
        // an empty answer, from Go and from Rust
        request(7, 0, b"Echo", b"\x1a\x07\x12\x05empty"),
        to_client(7, 2, 0, b""),
        request(9, 0, b"Echo", b""),
        to_client(9, 2, 0, b"\x0a\x00"),
        // both ways, one message each way empty
        request(13, 2, b"EchoStream", b""),
        to_server(13, 3, 0, b"\x08\x01\x12\x01a"),
        to_client(13, 3, 0, b"\x08\x02\x12\x01a"),
        to_server(13, 3, 0, b""),
        to_client(13, 3, 0, b"\x08\x01"),
        to_server(13, 3, 5, b""),
        to_client(13, 3, 5, b""),
        // a stream of the client, as Rust opens it
        request(15, 6, b"SumStream", b""),
        to_server(15, 3, 0, b"\x08\x03"),
        to_server(15, 3, 5, b""),
        to_client(15, 2, 0, b"\x12\x04\x08\x03\x10\x02"),
        // a stream of the server
        request(17, 1, b"DivideStream", b"\x1a\x04\x08\x0a\x10\x02"),
        to_client(17, 3, 0, b"\x08\x05"),
        to_client(17, 3, 0, b"\x08\x05"),
        to_client(17, 3, 5, b""),
        // an error ends a stream, what the client sends is late, and is refused
        request(21, 2, b"EchoStream", b""),
        to_server(21, 3, 0, b"\x12\x04fail"),
        to_client(21, 2, 0, b"\x0a\x10\x08\x0a\x12\x0cstream abort"),
        to_server(21, 3, 0, b"\x12\x04late"),
        to_client(21, 2, 0, b"\x0a\x20\x08\x03\x12\x1cStreamID is no longer active"),
    ]
}

const GOLDEN: &str = "\
1 /ttrpc.integration.streaming.Streaming/Echo t4999889375 containerd-namespace-ttrpc=default k=v1 k=v2 | \
 >0807 1202 6869< 0808 1202 6869 | half-closed response
3 /ttrpc.integration.streaming.Streaming/Echo | >12046661696c | half-closed response 0805120d6e6f2073756368207468696e67
7 /ttrpc.integration.streaming.Streaming/Echo | >1205656d707479 < | half-closed response
9 /ttrpc.integration.streaming.Streaming/Echo | > < | half-closed response
13 /ttrpc.integration.streaming.Streaming/EchoStream | >0801120161 <0802120161 > <0801 | half-closed data f2
15 /ttrpc.integration.streaming.Streaming/SumStream | >0803 <08031002 | half-closed response f6
17 /ttrpc.integration.streaming.Streaming/DivideStream | >080a1002 <0805 <0805 | half-closed data f1
21 /ttrpc.integration.streaming.Streaming/EchoStream | >12046661696c >12046c617465(late) | response \
080a120c73747265616d2061626f7274 late 0803121c53747265616d4944206973206e6f206c6f6e67657220616374697665 f2 [ttrpc-late]
";

/// A reading: a file of bytes, and what comes of them.
struct Reading {
    lane: Lane,
    session: Session,
    file: Vec<u8>,
    packet: u64,
    connection: crate::store::ConnectionId,
}

const MILLISECOND: i64 = 1_000_000;

impl Reading {
    fn new(joined: bool, decode_as: Option<DecodeAs>) -> Self {
        let mut lane = Lane::new(Keep { frames: true, bodies: true });
        let (client, server) = (Endpoint::UnixInode(1), Endpoint::UnixInode(2));
        let connection = Connection::new(client, server, ClientBy::First, Timestamp::EPOCH);
        let connection = lane.add_connection(Packet::default(), connection);
        let session = Session::new(connection, Joining { joined, decode_as });
        Self { lane, session, file: Vec::new(), packet: 0, connection }
    }

    fn next_packet(&mut self) -> (Packet, Timestamp) {
        self.packet += 1;
        let packet = Packet { order: self.packet, no: PacketNo::new(0, self.packet) };
        (packet, Timestamp::from_nanos(self.packet as i64 * MILLISECOND))
    }

    fn data(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        if bytes.is_empty() {
            return self;
        }
        // Something lies between the deliveries of a file.
        self.file.extend(b"####");
        let at = Place::new(SourceNo(0), self.file.len() as u64);
        self.file.extend(bytes);
        let (packet, time) = self.next_packet();
        self.session.input(direction, Input::Data(Data { bytes, packet, time, at }), &mut self.lane);
        self
    }

    #[allow(dead_code)]
    fn gap(&mut self, direction: Direction, length: Option<u64>) -> &mut Self {
        let (packet, time) = self.next_packet();
        let gap = Gap { length, cause: GapCause::Lost, packet, time };
        self.session.input(direction, Input::Gap(gap), &mut self.lane);
        self
    }

    #[allow(dead_code)]
    fn closed(&mut self, direction: Direction) -> &mut Self {
        let (packet, time) = self.next_packet();
        self.session.closed(direction, Close::Fin, Moment { time, packet: packet.no }, &mut self.lane);
        self
    }

    fn all(&mut self, conversation: &[(Direction, Vec<u8>)]) -> &mut Self {
        for (direction, bytes) in conversation {
            self.data(*direction, bytes);
        }
        self
    }

    fn finish(&mut self) -> &mut Self {
        self.session.finish(&mut self.lane);
        self
    }

    /// The frames so far.
    fn frames(&mut self) -> Vec<String> {
        let mut store = crate::store::Store::new(1, self.lane.keep);
        std::mem::swap(&mut store.lanes_mut()[0], &mut self.lane);
        let frames = store.commit().frames;
        std::mem::swap(&mut store.lanes_mut()[0], &mut self.lane);
        let line = |frame: crate::store::Frame| {
            let (kind, flags) = (FrameType(frame.kind), Flags(frame.flags).names());
            let (direction, length, stream) = (frame.direction, frame.length, frame.stream);
            let packet = frame.packet.number();
            let mut line = format!("{direction:?} {kind} {flags:?} {length} of stream {stream}, packet {packet}");
            if frame.headers.is_some() {
                line.push_str(", headers");
            }
            if let Some(trunk) = frame.trunk {
                write!(line, ", trunk {trunk}").unwrap();
            }
            if !frame.payload.is_empty() {
                write!(line, " {}", hex(&frame.payload)).unwrap();
            }
            frame.notes.iter().for_each(|note| write!(line, " {}", note.kind).unwrap());
            line
        };
        frames.into_iter().map(|frame| line(frame.frame)).collect()
    }

    fn calls(&self) -> impl Iterator<Item = &Call> {
        (0..self.lane.call_count()).map(|no| self.lane.call(CallId(no)))
    }

    fn connection(&self) -> &Connection {
        self.lane.connection(self.connection)
    }

    /// The bytes of a message; what is missing as dots.
    fn body(&self, body: Body, length: u32) -> String {
        let mut text = String::new();
        for piece in self.lane.pieces(body, length) {
            for at in 0..piece.len as usize {
                match piece.at {
                    Place::NOWHERE => text.push_str(".."),
                    place => write!(text, "{:02x}", self.file[place.offset() as usize + at]).unwrap(),
                }
            }
        }
        text
    }

    /// The messages of a call in the order in which they were there.
    fn messages(&self, call: &Call) -> Vec<String> {
        let mut all: Vec<_> = Direction::BOTH.into_iter().flat_map(|direction| call.messages(direction)).collect();
        all.sort_by_key(|message| message.at);
        let text = |message: &&crate::store::Message| {
            let arrow = if message.direction == ToServer { ">" } else { "<" };
            let late = if message.flags.has(MessageFlags::LATE) { "(late)" } else { "" };
            let cut = if message.flags.has(MessageFlags::CUT) { "(cut)" } else { "" };
            format!("{arrow}{}{late}{cut}", self.body(message.body(), message.length))
        };
        all.iter().map(text).collect()
    }

    fn path(&self, call: &Call) -> String {
        let list = call.request_headers.map(|list| &self.lane.headers[list]);
        let path = list.and_then(|list| list.facts.path.known()?.as_str());
        path.unwrap_or("?").to_owned()
    }

    fn line(&self, call: &Call) -> String {
        let mut line = format!("{} {}", call.stream, self.path(call));
        if let Some(list) = call.request_headers.map(|list| &self.lane.headers[list]) {
            if let Some(timeout) = list.facts.timeout_ns {
                write!(line, " t{timeout}").unwrap();
            }
            for field in metadata(&list.fields) {
                write!(line, " {}={}", field.name.as_str().unwrap_or("?"), field.value.as_str().unwrap_or("?"))
                    .unwrap();
            }
        }
        write!(line, " | {} |", self.messages(call).join(" ")).unwrap();
        if call.half_close_at.is_some() {
            line.push_str(" half-closed");
        }
        write!(line, " {}", call.end.map_or("open", |end| end.name())).unwrap();
        if let Some(odd) = &call.odd {
            for (word, status) in [(" ", &odd.ttrpc_status), (" late ", &odd.late_status)] {
                if let Some(status) = status {
                    write!(line, "{word}{}", hex(status)).unwrap();
                }
            }
            if odd.ttrpc_flags != 0 {
                write!(line, " f{}", odd.ttrpc_flags).unwrap();
            }
            if let Some(trunk) = odd.trunk {
                write!(line, " trunk {trunk}").unwrap();
            }
        }
        let kinds: Vec<_> = call.notes().iter().map(|note| note.kind).collect();
        if !kinds.is_empty() {
            write!(line, " [{}]", kinds.join(" ")).unwrap();
        }
        line
    }

    fn lines(&self) -> String {
        self.calls().map(|call| self.line(call) + "\n").collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The expected lines without the blanks that make them easier to read.
fn same(got: &str, expected: &str) {
    let bare = |text: &str| text.replace(' ', "");
    assert_eq!(bare(got), bare(expected), "\n{got}");
}

#[test]
fn every_shape_of_call() {
    let mut reading = Reading::new(false, None);
    reading.all(&golden()).finish();
    same(&reading.lines(), GOLDEN);
    assert_eq!(reading.connection().notes, []);
    assert_eq!(reading.connection().protocol.name(), "ttrpc");
    let first = reading.calls().next().unwrap();
    assert_eq!((first.start.as_nanos(), first.duration_ns()), (MILLISECOND, Some(MILLISECOND)));
    assert_eq!((first.first_packet, first.last_packet), (PacketNo::new(0, 1), PacketNo::new(0, 2)));
}

#[test]
fn frames_are_shown_as_they_are() {
    let mut reading = Reading::new(false, None);
    let unknown = frame(3, 0x2a, 0x40, b"what");
    reading.all(&golden()[..2]).data(ToServer, &unknown).finish();
    let lines = reading.frames();
    assert_eq!(
        lines,
        [
            "ToServer REQUEST [] 116 of stream 1, packet 1, headers",
            "ToClient RESPONSE [] 8 of stream 1, packet 2",
            "ToServer TYPE_0x2a [\"FLAG_0x40\"] 4 of stream 3, packet 3 77686174 ttrpc-type",
        ]
    );
}

#[test]
fn deliveries_begin_and_end_anywhere() {
    for step in [1, 2, 3, 7, 10, 11, 64] {
        let mut reading = Reading::new(false, None);
        for (direction, bytes) in golden() {
            bytes.chunks(step).for_each(|part| {
                reading.data(direction, part);
            });
        }
        reading.finish();
        same(&reading.lines(), GOLDEN);
        assert_eq!(reading.connection().notes, []);
    }
}

#[test]
fn cut_in_two_at_every_point_the_calls_are_the_same() {
    let golden = golden();
    let total: usize = golden.iter().map(|(_, bytes)| bytes.len()).sum();
    for cut in 0..total {
        let mut reading = Reading::new(false, None);
        let mut at = 0;
        for (direction, bytes) in &golden {
            let (head, tail) = bytes.split_at(cut.saturating_sub(at).min(bytes.len()));
            reading.data(*direction, head).data(*direction, tail);
            at += bytes.len();
        }
        reading.finish();
        same(&reading.lines(), GOLDEN);
    }
}

#[test]
fn one_direction_after_the_other_gives_the_same_calls() {
    for first in Direction::BOTH {
        let mut reading = Reading::new(false, None);
        let (one, other): (Vec<_>, Vec<_>) = golden().into_iter().partition(|(direction, _)| *direction == first);
        reading.all(&one).all(&other).finish();
        let mut calls: Vec<_> = reading.calls().collect();
        calls.sort_by_key(|call| call.stream);
        let ends: Vec<_> = calls.iter().map(|call| call.end.map(|end| end.name())).collect();
        let response = Some("response");
        let data = Some("data");
        assert_eq!(ends, [response, response, response, response, data, response, data, response], "{first:?}");
        assert!(calls.iter().all(|call| call.request_headers.is_some()));
        assert_eq!(calls[0].start.as_nanos() > MILLISECOND, first == ToClient);
    }
}
