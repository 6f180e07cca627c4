//! Flow control on whole connections: senders that wait for a known time, windows at the end, and what must stay unknown.

use rpcshark_captures::Direction::{ToClient, ToServer};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Endpoint, Gap, GapCause, Input, Packet, PacketNo, Place, Timestamp};

use super::PREFACE;
use crate::store::{Call, CallId, ClientBy, Connection, ConnectionId, Keep, Lane, Stalls};
use crate::testing::{block, frame};
use crate::{Arrival, Context, Joining, Session};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// Nanoseconds.
const MS: u64 = 1_000_000;

/// A connection whose packets have the times that a test gives them, in milliseconds.
struct Timed {
    lane: Lane,
    session: Session,
    connection: ConnectionId,
    order: u64,
    now: i64,
    offsets: [u64; 2],
}

impl Timed {
    /// A connection with SETTINGS of both sides, acknowledged, at 0 ms: the client's initial window, then the server's.
    fn new(client: Option<u32>, server: Option<u32>) -> Self {
        let mut this = Self::joined(false);
        let settings = |initial: Option<u32>| frame(SETTINGS, 0, 0, &initial.map(initial_window).unwrap_or_default());
        this.up(0, &[PREFACE, &settings(client)].concat());
        this.down(0, &[settings(server), frame(SETTINGS, ACK, 0, &[])].concat());
        this.up(0, &frame(SETTINGS, ACK, 0, &[]));
        this
    }

    fn joined(joined: bool) -> Self {
        let mut lane = Lane::new(Keep::default());
        let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let by = if joined { ClientBy::Port } else { ClientBy::Syn };
        let connection = lane.add_connection(Packet::default(), Connection::new(end(1), end(2), by, Timestamp::EPOCH));
        let session = Session::new(connection, Joining { joined, decode_as: None });
        Self { lane, session, connection, order: 0, now: 0, offsets: [0; 2] }
    }

    fn packet(&mut self, at: i64) -> (Packet, Timestamp) {
        self.order += 1;
        self.now = at;
        self.lane.set_sort_key(self.order, 0);
        let packet = Packet { order: self.order, no: PacketNo::new(0, self.order) };
        (packet, Timestamp::from_nanos(at * MS as i64))
    }

    fn send(&mut self, at: i64, direction: Direction, bytes: &[u8]) {
        let (packet, time) = self.packet(at);
        let offset = self.offsets[direction.index()];
        self.offsets[direction.index()] += bytes.len() as u64;
        let data = Data { bytes, packet, time, at: Place::NOWHERE, offset, acked: None };
        self.session.input(direction, Input::Data(data), &mut Context::new(&mut self.lane));
    }

    fn up(&mut self, at: i64, bytes: &[u8]) {
        self.send(at, ToServer, bytes);
    }

    fn down(&mut self, at: i64, bytes: &[u8]) {
        self.send(at, ToClient, bytes);
    }

    fn lose(&mut self, at: i64, direction: Direction, bytes: &[u8]) {
        let (packet, time) = self.packet(at);
        self.offsets[direction.index()] += bytes.len() as u64;
        let gap = Gap { length: Some(bytes.len() as u64), cause: GapCause::Lost, packet, time };
        self.session.input(direction, Input::Gap(gap), &mut Context::new(&mut self.lane));
    }

    fn finish(mut self) -> Self {
        self.session.finish(&mut Context::new(&mut self.lane));
        self
    }

    /// The call on the stream `id`.
    fn call(&self, id: u32) -> &Call {
        let calls = (0..self.lane.call_count()).map(|nth| self.lane.call(CallId(nth)));
        calls.into_iter().find(|call| call.stream == id).expect("a call on the stream")
    }

    /// Whether nothing is known about the waits of the call on the stream `id`.
    fn is_unknown(&self, id: u32) -> bool {
        let call = self.call(id);
        !call.flow_known && call.rare.as_ref().is_none_or(|rare| rare.flow.is_none())
    }

    fn stalls(&self, id: u32) -> Option<&Stalls> {
        let call = self.call(id);
        assert!(call.flow_known);
        call.rare
            .as_ref()
            .and_then(|rare| rare.flow.as_ref())
            .map(|flow| &flow.stalls)
            .filter(|stalls| !stalls.is_empty())
    }

    /// Milliseconds for which the sender of `direction` waited on the stream `id`: for the stream, for the connection.
    fn waits(&self, id: u32, direction: Direction) -> (u64, u64) {
        self.stalls(id).map_or((0, 0), |stalls| {
            let sender = stalls.of(direction);
            (sender.stream_ns / MS, sender.connection_ns / MS)
        })
    }
}

fn initial_window(size: u32) -> Vec<u8> {
    [&[0, 4][..], &size.to_be_bytes()].concat()
}

fn request(id: u32, end_stream: u8) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("content-type", "application/grpc")];
    frame(HEADERS, END_HEADERS | end_stream, id, &block(&fields))
}

fn response(id: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, id, &block(&[(":status", "200"), ("content-type", "application/grpc")]))
}

fn trailers(id: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&[("grpc-status", "0")]))
}

fn increment(id: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, id, &by.to_be_bytes())
}

/// The prefix of a message of `length` bytes, and `sent` bytes of it.
fn begun(length: u32, sent: usize) -> Vec<u8> {
    [&[0][..], &length.to_be_bytes(), &vec![b'x'; sent]].concat()
}

/// The rest of a message, `left` bytes.
fn rest(left: usize) -> Vec<u8> {
    vec![b'x'; left]
}

/// An answer of 300 bytes over a stream with a window of 100: three waits.
#[test]
fn a_server_waits_for_the_window_of_its_stream() {
    let mut this = Timed::new(Some(100), None);
    this.up(10, &request(1, END_STREAM));
    this.down(20, &[response(1), frame(DATA, 0, 1, &begun(295, 95))].concat());
    this.up(520, &increment(1, 100));
    this.down(521, &frame(DATA, 0, 1, &rest(100)));
    this.up(621, &increment(1, 60));
    this.down(630, &frame(DATA, 0, 1, &rest(60)));
    this.up(640, &increment(1, 1000));
    this.down(641, &[frame(DATA, 0, 1, &rest(40)), trailers(1)].concat());
    assert_eq!(this.waits(1, ToClient), (500 + 100 + 10, 0));
    assert_eq!(this.waits(1, ToServer), (0, 0));
    let stalls = this.stalls(1).expect("stalls");
    assert_eq!((stalls.of(ToClient).count, stalls.total_ns()), (3, 610 * MS));
    assert_eq!(stalls.of(ToClient).first_end, Some(PacketNo::new(0, 7)));
}

/// Two streams share the connection's 65,535 bytes; their own windows are large.
#[test]
fn clients_wait_for_the_window_of_the_connection() {
    let mut this = Timed::new(None, Some(1 << 20));
    this.up(10, &[request(1, 0), frame(DATA, 0, 1, &begun(60_000, 40_000))].concat());
    this.up(20, &[request(3, 0), frame(DATA, 0, 3, &begun(60_000, 25_535 - 10))].concat());
    // A call that begins while the connection's window is at zero waits from its headers on.
    this.up(100, &request(5, 0));
    this.down(320, &increment(0, 1 << 20));
    this.up(321, &frame(DATA, END_STREAM, 1, &rest(20_000)));
    this.up(322, &frame(DATA, END_STREAM, 3, &rest(60_000 - 25_525)));
    this.up(323, &frame(DATA, END_STREAM, 5, &begun(3, 3)));
    assert_eq!(this.waits(1, ToServer), (0, 300));
    assert_eq!(this.waits(3, ToServer), (0, 300));
    assert_eq!(this.waits(5, ToServer), (0, 220));
}

#[test]
fn time_at_zero_of_both_windows_counts_once() {
    let mut this = Timed::new(None, Some(65_535));
    this.up(0, &[request(1, 0), frame(DATA, 0, 1, &begun(70_000, 65_530))].concat());
    this.down(100, &increment(0, 65_535));
    this.down(150, &increment(1, 65_535));
    this.up(151, &frame(DATA, END_STREAM, 1, &rest(4470)));
    assert_eq!(this.waits(1, ToServer), (150, 0));
    let mut this = Timed::new(None, Some(65_535));
    this.up(0, &[request(1, 0), frame(DATA, 0, 1, &begun(70_000, 65_530))].concat());
    this.down(100, &increment(1, 65_535));
    this.down(150, &increment(0, 65_535));
    this.up(151, &frame(DATA, END_STREAM, 1, &rest(4470)));
    assert_eq!(this.waits(1, ToServer), (100, 50));
}

#[test]
fn padding_and_its_length_count() {
    let mut this = Timed::new(None, Some(100));
    let padded = [&[20][..], &begun(200, 74), &[0; 20]].concat();
    assert_eq!(padded.len(), 100);
    this.up(0, &[request(1, 0), frame(DATA, PADDED, 1, &padded)].concat());
    this.down(40, &increment(1, 1000));
    this.up(41, &frame(DATA, END_STREAM, 1, &rest(126)));
    assert_eq!(this.waits(1, ToServer), (40, 0));
}

/// A smaller initial window takes the window of an open stream below zero; increments bring it above zero again.
#[test]
fn settings_take_a_window_below_zero() {
    let mut this = Timed::new(None, Some(1000));
    this.up(0, &[request(1, 0), frame(DATA, 0, 1, &begun(2000, 595))].concat());
    // 1000 − 600 − 900 = −500, from the acknowledgment on.
    this.down(100, &frame(SETTINGS, 0, 0, &initial_window(100)));
    this.up(110, &frame(SETTINGS, ACK, 0, &[]));
    this.down(200, &increment(1, 500)); // 0
    this.down(310, &increment(1, 1)); // 1
    this.up(311, &frame(DATA, 0, 1, &rest(1)));
    this.down(411, &increment(1, 5000));
    this.up(412, &frame(DATA, END_STREAM, 1, &rest(1404)));
    assert_eq!(this.waits(1, ToServer), (200 + 100, 0));
}

/// What was sent between the announcement and its acknowledgment was allowed by the window before.
#[test]
fn a_smaller_window_holds_from_its_acknowledgment_on() {
    let mut this = Timed::new(None, Some(1000));
    this.up(0, &request(1, 0));
    this.down(1, &frame(SETTINGS, 0, 0, &initial_window(10)));
    this.up(2, &[frame(DATA, 0, 1, &begun(595, 595)), frame(SETTINGS, ACK, 0, &[])].concat());
    this.up(3, &frame(DATA, END_STREAM, 1, &[]));
    assert_eq!(this.waits(1, ToServer), (0, 0));
}

#[test]
fn settings_open_the_windows_of_all_streams() {
    let mut this = Timed::new(None, Some(0));
    this.up(0, &[request(1, 0), request(3, 0)].concat());
    this.down(50, &frame(SETTINGS, 0, 0, &initial_window(10)));
    this.up(51, &[frame(SETTINGS, ACK, 0, &[]), frame(DATA, 0, 1, &begun(20, 5))].concat());
    this.up(52, &frame(DATA, END_STREAM, 3, &begun(1, 1)));
    this.down(70, &frame(SETTINGS, 0, 0, &initial_window(1000)));
    this.up(71, &frame(DATA, END_STREAM, 1, &rest(15)));
    assert_eq!(this.waits(1, ToServer), (50 + 19, 0));
    assert_eq!(this.waits(3, ToServer), (50, 0));
}

#[test]
fn a_window_that_is_used_up_by_the_last_byte_is_no_wait() {
    let mut this = Timed::new(Some(100), None);
    this.up(0, &request(1, END_STREAM));
    this.down(10, &[response(1), frame(DATA, 0, 1, &begun(95, 95))].concat());
    this.up(500, &increment(1, 100));
    this.down(900, &trailers(1));
    assert_eq!(this.stalls(1), None);
}

/// Between two messages, data counts as waiting if it follows sooner than the wait was long.
#[test]
fn an_idle_sender_does_not_wait() {
    for (next, expected) in [(205, (100, 0)), (900, (0, 0))] {
        let mut this = Timed::new(Some(100), None);
        this.up(0, &request(1, END_STREAM));
        this.down(100, &[response(1), frame(DATA, 0, 1, &begun(95, 95))].concat());
        this.up(200, &increment(1, 100));
        this.down(next, &[frame(DATA, 0, 1, &begun(3, 3)), trailers(1)].concat());
        assert_eq!(this.waits(1, ToClient), expected, "next at {next} ms");
    }
}

#[test]
fn a_call_that_is_reset_while_it_waits_has_waited_until_then() {
    let mut this = Timed::new(Some(100), None);
    this.up(0, &request(1, END_STREAM));
    this.down(100, &[response(1), frame(DATA, 0, 1, &begun(200, 95))].concat());
    this.up(350, &frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    assert_eq!(this.waits(1, ToClient), (250, 0));
    assert_eq!(this.finish().waits(1, ToClient), (250, 0));
}

#[test]
fn a_call_that_waits_at_the_end_has_waited_until_the_last_bytes_and_shows_its_windows() {
    let mut this = Timed::new(Some(100), Some(1 << 16));
    this.up(0, &request(1, END_STREAM));
    this.down(100, &[response(1), frame(DATA, 0, 1, &begun(200, 95))].concat());
    this.up(400, &increment(0, 7));
    let this = this.finish();
    assert_eq!(this.waits(1, ToClient), (300, 0));
    let windows = this.call(1).rare.as_ref().and_then(|rare| rare.flow.as_ref()?.windows);
    assert_eq!(windows, Some([65_536, 0]));
    assert_eq!(this.lane.connection(this.connection).windows.as_deref(), Some(&[65_535, 65_535 - 100 + 7]));
}

#[test]
fn a_call_that_waits_when_the_connection_ends_has_waited_until_then() {
    let mut this = Timed::new(Some(100), None);
    this.up(0, &request(1, END_STREAM));
    this.down(100, &[response(1), frame(DATA, 0, 1, &begun(200, 95))].concat());
    let now = Arrival { time: Timestamp::from_nanos(180 * MS as i64), packet: PacketNo::new(0, 9) };
    this.session.closed(ToClient, Close::Fin, now, &mut Context::new(&mut this.lane));
    assert_eq!(this.finish().waits(1, ToClient), (80, 0));
}

#[test]
fn nothing_is_known_of_a_connection_that_was_joined_in_the_middle() {
    let mut this = Timed::joined(true);
    this.up(0, &[request(1, 0), frame(DATA, 0, 1, &begun(65_530, 65_530)), request(3, END_STREAM)].concat());
    this.down(500, &[increment(0, 100), increment(1, 100), trailers(1)].concat());
    this.up(501, &frame(DATA, END_STREAM, 1, &begun(1, 1)));
    let this = this.finish();
    assert!(this.is_unknown(1));
    assert_eq!(this.lane.connection(this.connection).windows, None);
}

/// The calls that had ended before bytes were lost keep what is known of them; all others are unknown.
#[test]
fn a_gap_makes_waits_unknown_from_then_on() {
    for direction in Direction::BOTH {
        let mut this = Timed::new(Some(100), None);
        for id in [1, 3] {
            this.up(0, &request(id, END_STREAM));
            this.down(10, &[response(id), frame(DATA, 0, id, &begun(195, 95))].concat());
            this.up(30, &increment(id, 100));
            this.down(31, &frame(DATA, 0, id, &rest(100)));
        }
        this.down(32, &trailers(1));
        this.lose(40, direction, &increment(0, 1));
        for nth in 0..4 {
            this.send(50, direction, &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, nth]));
        }
        this.up(60, &request(5, END_STREAM));
        this.down(61, &[trailers(3), trailers(5)].concat());
        let this = this.finish();
        assert_eq!(this.waits(1, ToClient), (20, 0));
        for id in [3, 5] {
            assert!(this.is_unknown(id), "stream {id}");
        }
    }
}

/// A gap inside one DATA frame whose header was seen costs no window: the header says how much was sent.
#[test]
fn a_gap_inside_data_costs_nothing() {
    let mut this = Timed::new(Some(100), None);
    this.up(0, &request(1, END_STREAM));
    this.down(10, &response(1));
    let data = frame(DATA, 0, 1, &begun(195, 95));
    this.down(20, &data[..40]);
    this.lose(20, ToClient, &data[40..60]);
    this.down(20, &data[60..]);
    this.up(120, &increment(1, 100));
    this.down(121, &[frame(DATA, 0, 1, &rest(100)), trailers(1)].concat());
    assert_eq!(this.finish().waits(1, ToClient), (100, 0));
}

/// More DATA than the window allows: an increment was captured later than what it allowed.
#[test]
fn data_that_no_window_allows_makes_waits_unknown() {
    let mut this = Timed::new(Some(100), None);
    this.up(0, &[request(1, END_STREAM), request(3, END_STREAM)].concat());
    this.down(10, &[response(1), frame(DATA, 0, 1, &begun(195, 95))].concat());
    this.down(20, &frame(DATA, 0, 1, &rest(100)));
    this.up(21, &increment(1, 100));
    this.down(30, &[response(3), frame(DATA, 0, 3, &begun(195, 95))].concat());
    this.up(40, &increment(3, 100));
    this.down(41, &[frame(DATA, 0, 3, &rest(100)), trailers(1), trailers(3)].concat());
    assert!(this.is_unknown(1));
    assert_eq!(this.waits(3, ToClient), (10, 0), "another stream's window is not concerned");
    // The connection's window concerns all streams.
    let mut this = Timed::new(Some(1 << 20), None);
    this.up(50, &request(1, END_STREAM));
    this.down(60, &[response(1), frame(DATA, 0, 1, &begun(65_536, 65_536)), trailers(1)].concat());
    this.up(70, &request(3, END_STREAM));
    assert!(this.is_unknown(1) && this.is_unknown(3));
}

/// RFC 7540 §3.2.1: the settings in the upgraded request are in force for its answer.
#[test]
fn settings_of_an_upgrade_are_in_force_at_once() {
    let mut this = Timed::joined(false);
    let head = "POST /a.B/C HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAQAAf__\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0";
    this.up(0, head.as_bytes());
    this.down(1, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    this.down(2, &[frame(SETTINGS, 0, 0, &[]), response(1)].concat());
    this.up(3, &[PREFACE, &frame(SETTINGS, 0, 0, &[]), &increment(0, 1 << 20)].concat());
    this.down(4, &frame(DATA, 0, 1, &begun(1 << 17, (1 << 17) - 6)));
    this.up(54, &increment(1, 1 << 20));
    this.down(55, &[frame(DATA, 0, 1, &rest(6)), trailers(1)].concat());
    assert_eq!(this.waits(1, ToClient), (50, 0));
}

/// A peer that changes the initial window with each frame, while streams stay open: what is forgotten is unknown, and the rest
/// stays right.
#[test]
fn initial_windows_that_are_forgotten_are_unknown() {
    let mut this = Timed::new(None, Some(100));
    this.up(0, &[request(1, 0), frame(DATA, 0, 1, &begun(1000, 95))].concat());
    for nth in 0..200 {
        this.down(10, &frame(SETTINGS, 0, 0, &initial_window(90 + nth % 2)));
        this.up(10, &frame(SETTINGS, ACK, 0, &[]));
    }
    this.down(20, &increment(1, 1000));
    this.up(21, &frame(DATA, END_STREAM, 1, &rest(905)));
    assert!(this.is_unknown(1));
}
