//! Conversations as peers have them, through a session; cut, thinned and damaged.

use proptest::prelude::*;
use rpcshark_captures::connection::Close;
use rpcshark_captures::{
    Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, SourceNo, Timestamp,
};
use std::fmt::Write as _;

use super::*;
use crate::store::{Body, Call, CallEventKind, CallId, ClientBy, Connection, Keep, Lane, MessageFlags};
use crate::{Arrival, Context, DecodeAs, Joining, Session};
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

/// Longer holes are shown as if they were so long.
const LONG: usize = 4096;

const MILLISECOND: i64 = 1_000_000;

impl Reading {
    fn new(joined: bool, decode_as: Option<DecodeAs>) -> Self {
        let mut lane = Lane::new(Keep { frames: true, bodies: true, events: true });
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
        self.session.input(
            direction,
            Input::Data(Data { bytes, packet, time, at, offset: at.offset(), acked: None }),
            &mut Context::new(&mut self.lane),
        );
        self
    }

    fn gap(&mut self, direction: Direction, length: Option<u64>) -> &mut Self {
        let (packet, time) = self.next_packet();
        let gap = Gap { length, cause: GapCause::Lost, packet, time };
        self.session.input(direction, Input::Gap(gap), &mut Context::new(&mut self.lane));
        self
    }

    fn closed(&mut self, direction: Direction) -> &mut Self {
        let (packet, time) = self.next_packet();
        self.session.closed(
            direction,
            Close::Fin,
            Arrival { time, packet: packet.no },
            &mut Context::new(&mut self.lane),
        );
        self
    }

    fn all(&mut self, conversation: &[(Direction, Vec<u8>)]) -> &mut Self {
        for (direction, bytes) in conversation {
            self.data(*direction, bytes);
        }
        self
    }

    fn finish(&mut self) -> &mut Self {
        self.session.finish(&mut Context::new(&mut self.lane));
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
            for at in 0..(piece.len as usize).min(LONG) {
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
        if let Some(list) = call.request_headers {
            if let Some(timeout) = self.lane.headers[list].facts.timeout_ns {
                write!(line, " t{timeout}").unwrap();
            }
            let fields = self.lane.headers.fields(list);
            for field in fields.clone().skip(own_fields(fields)) {
                write!(line, " {}={}", field.name.as_str().unwrap_or("?"), field.value.as_str().unwrap_or("?"))
                    .unwrap();
            }
        }
        write!(line, " | {} |", self.messages(call).join(" ")).unwrap();
        if call.half_close_at.is_some() {
            line.push_str(" half-closed");
        }
        write!(line, " {}", call.end.map_or("open", |end| end.name())).unwrap();
        if let Some(rare) = &call.rare {
            for (word, status) in [(" ", &rare.ttrpc_status), (" late ", &rare.late_status)] {
                if let Some(status) = status {
                    write!(line, "{word}{}", hex(status)).unwrap();
                }
            }
            if rare.ttrpc_flags != 0 {
                write!(line, " f{}", rare.ttrpc_flags).unwrap();
            }
            if let Some(trunk) = rare.trunk {
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

/// The messages of a conversation that nothing is missing from, for each stream and direction.
fn true_messages() -> Vec<(u32, String)> {
    let mut reading = Reading::new(false, None);
    reading.all(&golden()).finish();
    reading.calls().flat_map(|call| reading.messages(call).into_iter().map(|text| (call.stream, text))).collect()
}

/// Whether a message is one of the true ones, as far as it is there.
fn is_true(truth: &[(u32, String)], stream: u32, message: &str) -> bool {
    let bare = message.replace("(late)", "");
    truth.iter().any(|(of, true_message)| {
        let true_message = true_message.replace("(late)", "");
        *of == stream
            && match bare.strip_suffix("(cut)") {
                None => bare == true_message,
                Some(bare) => {
                    bare.len() == true_message.len()
                        && bare.bytes().zip(true_message.bytes()).all(|(a, b)| a == b'.' || a == b)
                }
            }
    })
}

/// The conversation in one delivery a frame, without the bytes from `begin` to `end` of one direction. `known`: the gap says
/// how long it is.
fn thinned(direction: Direction, begin: usize, end: usize, known: bool) -> Reading {
    let mut reading = Reading::new(false, None);
    let mut at = [0; 2];
    for (way, bytes) in golden() {
        let from = at[way.index()];
        at[way.index()] += bytes.len();
        if way != direction {
            reading.data(way, &bytes);
            continue;
        }
        let within = |point: usize| point.saturating_sub(from).min(bytes.len());
        reading.data(way, &bytes[..within(begin)]);
        if (from..from + bytes.len()).contains(&begin) {
            reading.gap(way, known.then_some((end - begin) as u64));
        }
        reading.data(way, &bytes[within(end)..]);
    }
    reading.finish();
    reading
}

#[test]
fn with_a_piece_left_out_no_message_is_wrong_and_something_says_so() {
    let truth = true_messages();
    let lengths = Direction::BOTH.map(|direction| -> usize {
        golden().iter().filter(|(way, _)| *way == direction).map(|(_, bytes)| bytes.len()).sum()
    });
    for direction in Direction::BOTH {
        let total = lengths[direction.index()];
        for begin in 0..total {
            for len in [1, 5, 10, 11, 40] {
                let end = (begin + len).min(total);
                for known in [true, false] {
                    let reading = thinned(direction, begin, end, known);
                    let mut notes = reading.connection().notes.len();
                    for call in reading.calls() {
                        notes += call.notes().iter().filter(|note| note.kind != "ttrpc-late").count();
                        for message in reading.messages(call) {
                            let text = format!("{direction:?} {begin}..{end} {known}: {message}\n{}", reading.lines());
                            assert!(is_true(&truth, call.stream, &message), "{text}");
                        }
                        let path = reading.path(call);
                        assert!(path == "?" || GOLDEN.contains(&format!("{} {path} ", call.stream)), "{path}");
                    }
                    // Where nothing more comes and every call is over, only the connection's gaps say so.
                    assert!(notes > 0 || end == total, "{direction:?} {begin}..{end} {known}: no note");
                }
            }
        }
    }
}

#[test]
fn a_gap_inside_a_frame_costs_no_other_frame() {
    // Inside of the first Request's payload.
    let begin = 10 + 39 + 6 + 2 + 1;
    let reading = thinned(ToServer, begin, begin + 3, true);
    let lines = reading.lines();
    let (first, rest) = lines.split_once('\n').unwrap();
    assert!(first.contains("t4999889375 containerd-namespace-ttrpc=default k=v1 k=v2"), "{first}");
    assert!(first.contains(">08......6869(cut) <080812026869"), "{first}");
    assert!(first.ends_with("[message-cut]"), "{first}");
    let (_, expected) = GOLDEN.split_once('\n').unwrap();
    same(rest, expected);
}

#[test]
fn frames_are_found_again_behind_a_gap() {
    // The header of the second Request, and nothing else.
    let reading = thinned(ToServer, 126, 136, true);
    let lines = reading.lines();
    assert!(lines.contains("3 ? |  | response 08051"), "{lines}");
    assert!(lines.contains("[ttrpc-orphan]"), "{lines}");
    // The one after it is whole again.
    assert!(lines.contains("7 /ttrpc.integration.streaming.Streaming/Echo | >1205656d707479 < |"), "{lines}");
    assert!(reading.connection().notes.iter().any(|note| note.kind == "resynchronised"));
}

#[test]
fn joined_in_the_middle_of_a_connection() {
    let golden = golden();
    let first_of_17 = golden.iter().position(|(_, bytes)| bytes[7] == 17).unwrap();
    for skipped in 0..=first_of_17 {
        let mut reading = Reading::new(true, None);
        reading.all(&golden[skipped..]).finish();
        assert_eq!(reading.connection().protocol.name(), "ttrpc", "{skipped}");
        let lines = reading.lines();
        assert!(
            lines.contains("17 /ttrpc.integration.streaming.Streaming/DivideStream | >080a1002 <0805 <0805 |"),
            "{lines}"
        );
        assert!(lines.contains("late 0803121c"), "{lines}");
    }
}

#[test]
fn what_shows_the_protocol_in_one_direction_finds_frames_in_the_other() {
    let mut reading = Reading::new(true, None);
    reading.data(ToClient, &frame(1, 2, 0, b"\x12\x02hi"));
    assert_eq!(reading.lines(), "");
    reading.data(ToServer, &frame(3, 1, 0, &[SERVICE, b"\x12\x04Echo"].concat())).finish();
    let lines = reading.lines();
    assert!(lines.contains("1 ? | <6869 | response [ttrpc-orphan]"), "{lines}");
    assert!(lines.contains("3 /ttrpc.integration.streaming.Streaming/Echo | > | half-closed open"), "{lines}");
}

#[test]
fn the_client_is_whoever_asks() {
    for joined in [false, true] {
        let mut reading = Reading::new(joined, None);
        for (direction, bytes) in golden() {
            reading.data(direction.reverse(), &bytes);
        }
        reading.finish();
        same(&reading.lines(), GOLDEN);
        let connection = reading.connection();
        assert_eq!((&connection.client, connection.client_by), (&Endpoint::UnixInode(2), ClientBy::Protocol));
        assert!(reading.frames().iter().all(|line| !line.contains("ToClient REQUEST")));
    }
}

#[test]
fn what_was_told_to_be_ttrpc_needs_less_to_be_found() {
    let response = frame(5, 2, 0, b"\x12\x02hi");
    let mut reading = Reading::new(true, Some(DecodeAs::Ttrpc));
    reading.data(ToClient, &response).finish();
    same(&reading.lines(), "5 ? | <6869 | response [ttrpc-orphan]\n");
    let mut reading = Reading::new(true, None);
    reading.data(ToClient, &response).finish();
    assert_eq!(reading.lines(), "");
}

#[test]
fn a_server_alone_is_recognised_by_its_answers() {
    let mut reading = Reading::new(false, None);
    reading.data(ToClient, &frame(1, 2, 0, b"\x12\x02hi")).data(ToClient, &frame(3, 2, 0, b"")).finish();
    same(&reading.lines(), "1 ? | <6869 | response [ttrpc-orphan]\n3 ? | < | response [ttrpc-orphan]\n");
}

#[test]
fn ends_of_connections() {
    let request = frame(1, 1, 0, &[SERVICE, b"\x12\x04Echo"].concat());
    let response = frame(1, 2, 0, b"");
    // The client says that it sends no more, and is answered.
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, &request).closed(ToServer).data(ToClient, &response).closed(ToClient).finish();
    assert!(reading.lines().ends_with("| > < | half-closed response\n"), "{}", reading.lines());
    // The server ends the connection before it has answered; what the client sends then is not answered either.
    let mut reading = Reading::new(false, None);
    let another = frame(3, 1, 0, &[SERVICE, b"\x12\x04Echo"].concat());
    reading.data(ToServer, &request).closed(ToClient).data(ToServer, &another).finish();
    assert_eq!(reading.lines().matches("| > | half-closed connection\n").count(), 2, "{}", reading.lines());
    // What it speaks is known only when all is over.
    let mut reading = Reading::new(false, None);
    reading.data(ToClient, &frame(1, 3, 0, b"x")).closed(ToClient).finish();
    same(&reading.lines(), "1 ? | <78 | connection [ttrpc-orphan]\n");
    // The capture ends.
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, &request).finish();
    assert!(reading.lines().ends_with("| > | half-closed open\n"), "{}", reading.lines());
}

#[test]
fn deadlines_that_pass_are_noted() {
    // timeout_nano: 1 ms, which is one packet here.
    let with_timeout = |stream| frame(stream, 1, 0, &[SERVICE, b"\x12\x04Echo\x20\xc0\x84\x3d"].concat());
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, &with_timeout(1)).data(ToServer, &with_timeout(3)).data(ToServer, &with_timeout(5));
    reading.data(ToClient, &frame(5, 2, 0, b"")).data(ToClient, &frame(3, 2, 0, b"")).finish();
    let kinds: Vec<Vec<_>> = reading.calls().map(|call| call.notes().iter().map(|note| note.kind).collect()).collect();
    assert_eq!(kinds, [vec!["ttrpc-abandoned"], vec!["ttrpc-deadline"], vec![]]);
}

#[test]
fn an_id_used_again_is_another_call() {
    let request = |method: &[u8]| frame(1, 1, 0, &[SERVICE, b"\x12\x01", method].concat());
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, &request(b"A")).data(ToClient, &frame(1, 2, 0, b"\x12\x01a"));
    reading.data(ToServer, &request(b"B")).data(ToServer, &request(b"C")).data(ToClient, &frame(1, 2, 0, b"\x12\x01c"));
    reading.finish();
    let path = "/ttrpc.integration.streaming.Streaming";
    same(
        &reading.lines(),
        &format!(
            "1 {path}/A | > <61 | half-closed response\n\
             1 {path}/B | > | half-closed open [ttrpc-id-reused ttrpc-dropped]\n\
             1 {path}/C | > <63 | half-closed response [ttrpc-id-reused]\n"
        ),
    );
}

#[test]
fn strange_frames_are_noted_and_read_over() {
    let large = MAX_LENGTH + 1;
    let mut oversize = frame(3, 1, 0, &[SERVICE, b"\x12\x04Echo\x1a\x80\x80\x80\x08"].concat());
    let payload_length = 256 << 16;
    let length = (oversize.len() - 10 + payload_length) as u32;
    oversize[..4].copy_from_slice(&length.to_be_bytes());
    oversize.resize(oversize.len() + payload_length, b'x');
    assert!(length > large);
    let echo = |stream, flags| frame(stream, 1, flags, &[SERVICE, b"\x12\x04Echo"].concat());
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, &echo(1, 0)).data(ToServer, &oversize[..100]).data(ToServer, &oversize[100..]);
    reading.data(ToServer, &frame(1, 9, 0, b"?")).data(ToServer, &echo(6, 0x40)).data(ToServer, &echo(9, 0));
    reading.data(ToServer, &frame(9, 3, 0, b"x")).data(ToClient, &echo(2, 0)).finish();
    let notes: Vec<Vec<_>> = reading.calls().map(|call| call.notes().iter().map(|note| note.kind).collect()).collect();
    assert_eq!(
        notes,
        [vec!["ttrpc-type"], vec!["ttrpc-oversize"], vec!["ttrpc-stream-id", "ttrpc-flag"], vec!["ttrpc-after-close"]]
    );
    assert_eq!(reading.calls().nth(1).unwrap().request.unwrap().length as usize, payload_length);
    assert_eq!(reading.connection().notes[0].kind, "ttrpc-direction");
}

#[test]
fn what_cannot_be_decoded_may_be_encrypted() {
    let noise: Vec<u8> = (0..64_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, &frame(1, 1, 0, &noise)).data(ToClient, &frame(1, 2, 0, &noise[7..])).finish();
    same(&reading.lines(), "1 ? ?=? | | half-closed response [not-decodable not-decodable]\n");
    assert!(reading.calls().next().unwrap().notes()[0].text.contains("may be encrypted"));
    assert!(reading.calls().next().unwrap().rare.as_ref().unwrap().ttrpc_opaque);
}

/// A piece of a trunk.
/// What happened on a call, without packets: `↑ headers`.
fn events(reading: &Reading, id: u32) -> Vec<String> {
    let text = |event: &crate::store::CallEvent| {
        let way = if event.on.direction == ToServer { '↑' } else { '↓' };
        let kind = match event.kind {
            CallEventKind::Headers(Some(_)) => "headers".to_owned(),
            CallEventKind::Message(number) => format!("message {number}"),
            CallEventKind::HalfClose => "half-close".to_owned(),
            CallEventKind::Ended(end) => format!("ended by {}", end.name()),
            other => format!("{other:?}"),
        };
        format!("{way} {kind}")
    };
    reading.lane.call_events(CallId(id)).iter().map(text).collect()
}

#[test]
fn the_events_of_calls_on_a_unix_stream_are_in_order_and_have_no_acknowledgments() {
    let mut reading = Reading::new(false, None);
    reading.all(&[
        (ToServer, frame(1, 1, 0, b"\x0a\x03a.B\x12\x01C\x1a\x02hi")), // Request, unary
        (ToServer, frame(3, 1, 2, b"\x0a\x03a.B\x12\x01S")),           // Request, remote open
        (ToServer, frame(3, 3, 0, b"\x08\x01")),                       // Data
        (ToClient, frame(3, 3, 0, b"\x08\x02")),                       // Data
        (ToClient, frame(1, 2, 0, b"\x12\x02ho")),                     // Response
        (ToServer, frame(3, 3, 5, b"")),                               // Data, remote closed
        (ToClient, frame(3, 3, 5, b"")),                               // Data, remote closed
    ]);
    assert_eq!(events(&reading, 0), ["↑ headers", "↑ message 0", "↑ half-close", "↓ message 0", "↓ ended by response"]);
    assert_eq!(
        events(&reading, 1),
        ["↑ headers", "↑ message 0", "↓ message 0", "↑ half-close", "↓ half-close", "↓ ended by data"]
    );
    let [unary, streaming] = [0, 1].map(|id| reading.lane.call_events(CallId(id)));
    assert_eq!(unary[3].on.may_follow(&unary[0].on), None);
    // Across calls: the answer of the first comes after the second one's first answer.
    assert!(streaming[2].on.order < unary[3].on.order);
    assert_eq!(unary[3].on.packet.number(), 5);
}

#[test]
fn a_request_without_its_end_is_released_and_the_next_call_is_read() {
    let mut reading = Reading::new(false, None);
    let long = [b"\x0a\x03a.B\x12\x01C\x1a\x80\x80\x40".as_slice(), &vec![7; 1 << 20]].concat();
    let bytes = frame(1, 1, 0, &long);
    let (head, tail) = bytes.split_at(500_000);
    reading.data(ToServer, head);
    let held = reading.session.held();
    assert!(held.bytes >= head.len() - 10 && held.since == 1, "{held:?}");
    assert!(reading.session.release(&mut Context::new(&mut reading.lane)).is_some());
    assert_eq!(reading.session.held().bytes, 0);
    reading.data(ToServer, tail);
    assert_eq!(reading.session.held().bytes, 0);
    reading.all(&[
        (ToServer, frame(3, 1, 0, b"\x0a\x03a.B\x12\x01D\x1a\x02hi")),
        (ToClient, frame(3, 2, 0, b"\x12\x02ho")),
    ]);
    let paths: Vec<String> = reading.calls().map(|call| reading.path(call)).collect();
    assert!(paths.iter().any(|path| path.ends_with("/D")), "{paths:?}");
    assert!(reading.connection().notes.iter().any(|note| note.kind == "memory-limit"));
}

fn piece(number: u32, bytes: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A plugin registers, then the runtime asks it something long; pieces of at most 40 bytes.
fn trunk_conversation() -> Vec<(Direction, Vec<u8>)> {
    let register = frame(1, 1, 0, b"\x0a\x1cnri.pkg.api.v1alpha1.Runtime\x12\x0eRegisterPlugin\x1a\x02\x0a\x00");
    let configure = frame(1, 1, 0, b"\x0a\x1bnri.pkg.api.v1alpha1.Plugin\x12\x09Configure\x1a\x03abc");
    let in_pieces = |number, bytes: &[u8]| bytes.chunks(40).flat_map(|part| piece(number, part)).collect::<Vec<_>>();
    vec![
        (ToServer, in_pieces(2, &register)),
        (ToClient, in_pieces(2, &frame(1, 2, 0, b""))),
        (ToClient, in_pieces(1, &configure)),
        (ToServer, in_pieces(1, &frame(1, 2, 0, b"\x12\x01y"))),
    ]
}

const TRUNK: &str = "1 /nri.pkg.api.v1alpha1.Runtime/RegisterPlugin | >0a00 < | half-closed response trunk 2\n\
    1 /nri.pkg.api.v1alpha1.Plugin/Configure | >616263 <79 | half-closed response trunk 1\n";

#[test]
fn a_trunk_carries_two_connections() {
    for (turned, step) in [(false, 1000), (true, 1000), (false, 1), (true, 7), (false, 9)] {
        let mut reading = Reading::new(false, None);
        for (direction, bytes) in trunk_conversation() {
            let direction = if turned { direction.reverse() } else { direction };
            bytes.chunks(step).for_each(|part| {
                reading.data(direction, part);
            });
        }
        reading.finish();
        same(&reading.lines(), TRUNK);
        let connection = reading.connection();
        assert_eq!(connection.protocol.name(), "nri");
        // The plugin is the client.
        assert_eq!(connection.client, Endpoint::UnixInode(if turned { 2 } else { 1 }));
        let frames = reading.frames();
        assert_eq!(
            frames[0],
            "ToServer REQUEST [] 50 of stream 1, packet 1, headers, trunk 2".replace("packet 1", &{
                let at = frames[0].split("packet ").nth(1).unwrap().split(',').next().unwrap();
                format!("packet {at}")
            })
        );
        assert!(frames[2].starts_with("ToClient REQUEST"), "{}", frames[2]);
    }
}

#[test]
fn a_trunk_is_joined_in_the_middle() {
    for turned in [false, true] {
        let mut reading = Reading::new(true, None);
        for (direction, bytes) in &trunk_conversation()[1..] {
            let direction = if turned { direction.reverse() } else { *direction };
            // Headers and what follows them are written one by one.
            let (header, rest) = bytes.split_at(8);
            reading.data(direction, header).data(direction, rest);
        }
        reading.finish();
        same(
            &reading.lines(),
            &format!("1 ? | < | response trunk 2 [ttrpc-orphan]\n{}\n", TRUNK.lines().nth(1).unwrap()),
        );
        let connection = reading.connection();
        assert_eq!(connection.protocol.name(), "nri");
        assert_eq!(connection.client, Endpoint::UnixInode(if turned { 2 } else { 1 }));
    }
}

#[test]
fn a_trunk_with_a_hole_goes_on_behind_it() {
    let conversation = trunk_conversation();
    for lost in [1, 3, 20, 47, 48, 60] {
        let mut reading = Reading::new(false, None);
        reading.all(&conversation);
        let configure = &conversation[2].1;
        reading
            .data(ToClient, &configure[..5])
            .gap(ToClient, Some(lost))
            .data(ToClient, &configure[5 + lost as usize..]);
        reading.data(ToClient, &piece(1, &frame(5, 1, 0, b"\x0a\x1bnri.pkg.api.v1alpha1.Plugin\x12\x01X")));
        reading.data(ToClient, &piece(2, &frame(3, 2, 0, b"")));
        reading.finish();
        let lines = reading.lines();
        assert!(lines.starts_with(TRUNK.split("trunk 1").next().unwrap()), "{lost}: {lines}");
        assert!(lines.contains("5 /nri.pkg.api.v1alpha1.Plugin/X"), "{lost}: {lines}");
    }
}

#[test]
fn a_preamble_is_passed_over() {
    for (connect, step) in [(&b"CONNECT 1024\n"[..], 100), (b"connect 1024\n", 1)] {
        let mut reading = Reading::new(false, None);
        for (direction, line) in [(ToServer, connect), (ToClient, b"OK 1073741824\n")] {
            line.chunks(step).for_each(|part| {
                reading.data(direction, part);
            });
        }
        reading.all(&golden()).finish();
        same(&reading.lines(), GOLDEN);
        let texts: Vec<_> = reading.connection().notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts, ["hybrid vsock: CONNECT 1024", "hybrid vsock: OK 1073741824"]);
    }
    // Retries carry nothing else.
    let mut reading = Reading::new(false, None);
    reading.data(ToServer, b"CONNECT 1024\n").closed(ToServer).finish();
    assert_eq!((reading.lines().as_str(), reading.connection().protocol.name()), ("", "unknown"));
    // The client's next bytes may be delivered before the server's line.
    let mut reading = Reading::new(false, None);
    let golden = golden();
    reading.data(ToServer, &[&b"CONNECT 7\n"[..], &golden[0].1].concat());
    reading.data(ToClient, &[&b"OK 8\n"[..], &golden[1].1].concat()).finish();
    same(&reading.lines(), GOLDEN.split_inclusive('\n').next().unwrap());
}

proptest! {
    #[test]
    fn any_bytes_any_gaps(
        steps in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..40), 0..8_u8), 0..30
        ),
        joined in any::<bool>(),
        told in any::<bool>(),
    ) {
        let mut reading = Reading::new(joined, told.then_some(DecodeAs::Ttrpc));
        for (to_server, bytes, then) in steps {
            let direction = if to_server { ToServer } else { ToClient };
            reading.data(direction, &bytes);
            match then {
                0 => reading.gap(direction, Some(bytes.len() as u64)),
                1 => reading.gap(direction, None),
                2 => reading.closed(direction),
                _ => &mut reading,
            };
        }
        reading.finish();
        let _ = (reading.lines(), reading.frames());
    }

    #[test]
    fn damaged_bytes_never_panic(
        at in 0..1200_usize, byte in any::<u8>(), step in 1..50_usize, joined in any::<bool>(), trunk in any::<bool>()
    ) {
        let mut reading = Reading::new(joined, None);
        let mut from = 0;
        for (direction, mut bytes) in if trunk { trunk_conversation() } else { golden() } {
            if let Some(hit) = at.checked_sub(from).and_then(|at| bytes.get_mut(at)) {
                *hit = byte;
            }
            from += bytes.len();
            bytes.chunks(step).for_each(|part| {
                reading.data(direction, part);
            });
        }
        reading.finish();
        let _ = (reading.lines(), reading.frames());
    }
}
