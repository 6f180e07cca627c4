//! The exact record of a connection: order, packets of several files, acknowledgments.

use rpcshark_captures::Direction::{ToClient, ToServer};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Endpoint, Input, Packet, PacketNo, Place, Timestamp};

use super::PREFACE;
use crate::store::{
    CallEvent, CallEventKind, CallId, ClientBy, Connection, ConnectionEventKind, ConnectionId, End, Keep, Lane,
};
use crate::testing::{block, frame, message};
use crate::{Arrival, Context, Joining, Session};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection whose packets lie in two files in turn, and whose sides acknowledge as given.
struct Recorded {
    lane: Lane,
    session: Session,
    connection: ConnectionId,
    order: u64,
    offsets: [u64; 2],
}

impl Recorded {
    fn new(keep: Keep) -> Self {
        let mut lane = Lane::new(keep);
        let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let connection = Connection::new(end(1), end(2), ClientBy::Syn, Timestamp::EPOCH);
        let connection = lane.add_connection(Packet::default(), connection);
        let session = Session::new(connection, Joining { joined: false, decode_as: None });
        Self { lane, session, connection, order: 10, offsets: [0; 2] }
    }

    /// A packet of file 0 or 1 in turn, each with its own numbers: `None` where nothing acknowledges.
    fn packet(&mut self, direction: Direction, bytes: &[u8], acked: Option<u64>) {
        self.order += 1;
        let packet = Packet { order: self.order, no: PacketNo::new((self.order % 2) as u16, self.order / 2) };
        let time = Timestamp::from_nanos(self.order as i64);
        let offset = self.offsets[direction.index()];
        self.offsets[direction.index()] += bytes.len() as u64;
        let data = Data { bytes, packet, time, at: Place::NOWHERE, offset, acked };
        self.lane.set_sort_key(self.order, 0);
        self.session.input(direction, Input::Data(data), &mut Context::new(&mut self.lane));
    }

    fn opening(&mut self) {
        let acks = Some(0);
        self.packet(ToServer, &[PREFACE, &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])].concat(), acks);
        self.packet(ToClient, &[frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat(), acks);
    }

    fn of_first_call(&self) -> &[CallEvent] {
        self.lane.call_events(CallId(0))
    }
}

const KEEP: Keep = Keep { frames: false, bodies: false, events: true };

fn request() -> Vec<u8> {
    block(&[(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("content-type", "application/grpc")])
}

fn response() -> Vec<u8> {
    block(&[(":status", "200"), ("content-type", "application/grpc")])
}

fn trailers() -> Vec<u8> {
    block(&[("grpc-status", "0")])
}

#[test]
fn the_events_of_a_call_are_in_order_with_their_files_packets_and_places() {
    let mut this = Recorded::new(KEEP);
    this.opening();
    this.packet(ToServer, &frame(HEADERS, END_HEADERS, 1, &request()), Some(18));
    let body = frame(DATA, 0, 1, &message("one"));
    this.packet(ToServer, &body[..11], Some(18));
    this.packet(ToServer, &body[11..], Some(18));
    this.packet(ToClient, &frame(HEADERS, END_HEADERS, 1, &block(&[(":status", "103")])), Some(18));
    this.packet(ToClient, &frame(HEADERS, END_HEADERS, 1, &response()), Some(18));
    this.packet(ToServer, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x", "y")])), Some(18));
    this.packet(ToClient, &frame(DATA, 0, 1, &[message("two"), message("three")].concat()), Some(18));
    this.packet(ToClient, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers()), Some(18));
    let events = this.of_first_call();
    let text: Vec<String> = events.iter().map(|event| format!("{:?} {:?}", event.on.direction, event.kind)).collect();
    let call = this.lane.call(CallId(0));
    let rare = call.rare.as_ref().expect("interim and trailers");
    let list = |list| CallEventKind::Headers(list);
    let expected = [
        (ToServer, list(call.request_headers)),
        (ToServer, CallEventKind::Message(0)),
        (ToClient, CallEventKind::Interim(rare.interim[0])),
        (ToClient, list(call.response_headers)),
        (ToServer, CallEventKind::Trailers(rare.request_trailers)),
        (ToServer, CallEventKind::HalfClose),
        (ToClient, CallEventKind::Message(0)),
        (ToClient, CallEventKind::Message(1)),
        (ToClient, CallEventKind::Trailers(call.trailers)),
        (ToClient, CallEventKind::Ended(End::Trailers)),
        (ToClient, CallEventKind::HalfClose),
    ];
    assert_eq!(text, expected.map(|(direction, kind)| format!("{direction:?} {kind:?}")));
    assert!(events.is_sorted_by_key(|event| event.on.order), "the order is that of the reading");
    // Packet numbers are of two files and go up and down; the order does not.
    let packets: Vec<_> = events.iter().map(|event| (event.on.packet.file(), event.on.packet.number())).collect();
    assert_eq!(packets[..4], [(1, 6), (1, 7), (0, 8), (1, 8)]);
    let message = &events[1].on;
    assert_eq!(message.end - message.origin.offset, 8, "prefix and message");
    assert_eq!(message.at, Timestamp::from_nanos(15), "its last byte");
}

#[test]
fn an_acknowledgment_proves_what_a_sender_had_not_received() {
    let mut this = Recorded::new(KEEP);
    this.opening();
    this.packet(ToServer, &frame(HEADERS, END_HEADERS, 1, &request()), Some(18));
    this.packet(ToClient, &frame(HEADERS, END_HEADERS, 1, &response()), Some(100));
    let answer = frame(DATA, 0, 1, &message("answer"));
    this.packet(ToClient, &answer, Some(100));
    let answer_end = this.offsets[ToClient.index()];
    // Delivered after the answer: one sent before the client had it, one after.
    this.packet(ToServer, &frame(DATA, 0, 1, &message("blind")), Some(answer_end - 1));
    this.packet(ToServer, &frame(DATA, 0, 1, &message("knowing")), Some(answer_end));
    let events = this.of_first_call();
    let message = |direction, number| {
        let is_it =
            |event: &&CallEvent| event.on.direction == direction && event.kind == CallEventKind::Message(number);
        &events.iter().find(is_it).expect("the message").on
    };
    let (answer, blind, knowing) = (message(ToClient, 0), message(ToServer, 0), message(ToServer, 1));
    assert_eq!(blind.may_follow(answer), Some(false));
    assert_eq!(knowing.may_follow(answer), Some(true));
    assert_eq!(blind.may_follow(knowing), None, "both went the same way");
    assert!(answer.order < blind.order && blind.order < knowing.order);
}

#[test]
fn without_acknowledgments_only_the_order_is_known() {
    let mut this = Recorded::new(KEEP);
    this.packet(ToServer, &[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat(), None);
    this.packet(ToServer, &frame(HEADERS, END_HEADERS, 1, &request()), None);
    this.packet(ToClient, &[frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, &response())].concat(), None);
    let [asked, answered] = this.of_first_call() else { panic!("two header blocks") };
    assert_eq!(answered.on.may_follow(&asked.on), None);
    assert!(asked.on.order < answered.on.order);
}

#[test]
fn resets_and_goaway_are_events() {
    let mut this = Recorded::new(KEEP);
    this.opening();
    this.packet(ToServer, &frame(HEADERS, END_HEADERS, 1, &request()), Some(18));
    this.packet(ToServer, &frame(HEADERS, END_HEADERS, 3, &request()), Some(18));
    this.packet(ToClient, &frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11, b'c', b'a', b'l', b'm']), Some(100));
    this.packet(ToServer, &frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), Some(18));
    let now = Arrival { time: Timestamp::from_nanos(99), packet: PacketNo::new(0, 99) };
    this.session.closed(ToClient, Close::Fin, now, &mut Context::new(&mut this.lane));
    let kinds = |id| this.lane.call_events(CallId(id)).iter().map(|event| event.kind).skip(1).collect::<Vec<_>>();
    assert_eq!(kinds(0), [CallEventKind::Reset(8), CallEventKind::Ended(End::Reset)]);
    assert_eq!(kinds(1), [CallEventKind::Ended(End::Goaway)]);
    let of_connection = this.lane.connection_events(this.connection);
    let kinds: Vec<_> = of_connection.iter().map(|event| (event.on.direction, event.kind.clone())).collect();
    let calm = ConnectionEventKind::Goaway { last_stream: 1, code: 11, debug: b"calm".as_slice().into() };
    assert_eq!(
        kinds,
        [
            (ToServer, ConnectionEventKind::Opened { whole: true }),
            (ToServer, ConnectionEventKind::Settings([(3, 100)].into())),
            (ToClient, ConnectionEventKind::Settings([].into())),
            (ToClient, ConnectionEventKind::SettingsAcknowledged),
            (ToClient, calm),
            (ToClient, ConnectionEventKind::Closed(Close::Fin)),
        ]
    );
    assert!(of_connection.is_sorted_by_key(|event| event.on.order));
}

#[test]
fn events_are_kept_only_where_they_are_asked_for() {
    let mut this = Recorded::new(Keep::default());
    this.opening();
    this.packet(ToServer, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &request()), Some(18));
    assert!(this.of_first_call().is_empty());
    assert!(this.lane.connection_events(this.connection).is_empty());
}
