//! A call: one RPC, both directions, as far as the capture shows it.

use std::num::NonZero;

use rpcshark_captures::{Direction, PacketNo, Place, Timestamp};

use super::flow::CallFlow;
use super::headers::HeaderListId;
use super::ids::ConnectionId;
use crate::Note;

/// One RPC. What is not known is `None`; nothing is filled in.
///
/// Captures hold many of them, so a unary call without anything unusual is this struct and nothing else; the rest
/// ([`Call::more`], [`Call::rare`]) is allocated only for those that need it.
#[derive(Debug)]
pub struct Call {
    /// The number that users see, from 1; `None` until the batch of packets that brought it is done.
    pub no: Option<NonZero<u32>>,
    /// Its connection.
    pub connection: ConnectionId,
    /// Its HTTP/2 or ttrpc stream.
    pub stream: u32,
    /// What carries it.
    pub protocol: Protocol,
    /// What is guessed about it.
    pub guessed: Guesses,
    /// How it ended, if it has.
    pub end: Option<End>,
    /// The time of the first byte that was seen of it: of the request's headers, where `request_headers` are there.
    pub start: Timestamp,
    /// When the first terminal event was there.
    pub ended_at: Option<Timestamp>,
    /// The first packet that holds something of it.
    pub first_packet: PacketNo,
    /// The last one so far.
    pub last_packet: PacketNo,
    /// The request's header block (ttrpc: what the Request says besides its payload).
    pub request_headers: Option<HeaderListId>,
    /// When the last byte of it was there.
    pub request_headers_at: Option<Timestamp>,
    /// The response's header block; a trailers-only response has none.
    pub response_headers: Option<HeaderListId>,
    /// The response's trailers, where they came in time.
    pub trailers: Option<HeaderListId>,
    /// When the response's header block was there.
    pub response_headers_at: Option<Timestamp>,
    /// When the client ended its side of the stream.
    pub half_close_at: Option<Timestamp>,
    /// The first message of the request.
    pub request: Option<Message>,
    /// The first message of the response.
    pub response: Option<Message>,
    /// All further messages, both directions, in the order in which they were there.
    pub more: Option<Box<Vec<Message>>>,
    /// What most calls do not have.
    pub rare: Option<Box<RareFacts>>,
    /// Whether [`CallFlow::stalls`] are all of its waits: false after bytes that are missing, and for ttrpc.
    pub flow_known: bool,
    /// The current batch has changed it (see [`Lane::call_mut`](super::Lane::call_mut)).
    pub(super) changed: bool,
    /// Both sides have ended it.
    pub(super) complete: bool,
    /// Its memory was given back.
    pub(super) forgotten: bool,
}

/// What carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web over HTTP/1.1 or HTTP/2.
    GrpcWeb,
    /// Connect over HTTP/1.1 or HTTP/2.
    Connect,
    /// ttrpc.
    Ttrpc,
}

impl Protocol {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Connect => "connect",
            Self::Ttrpc => "ttrpc",
        }
    }
}

/// Which facts about a call are guesses; a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guesses(pub u8);

impl Guesses {
    /// That it is an RPC at all: its content type is unknown, its data looks like prefixed messages.
    pub const PROTOCOL: Self = Self(1);
    /// Where its messages begin.
    pub const ALIGNMENT: Self = Self(2);

    /// Whether all of `other` are in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds `other`.
    pub const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What ended a call: the first of these that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A header block with END_STREAM from the server.
    Trailers,
    /// A DATA frame with END_STREAM from the server, or a ttrpc Data frame with remote-closed.
    Data,
    /// A ttrpc Response, or the response of a unary call of Connect.
    Response,
    /// RST_STREAM.
    Reset,
    /// A GOAWAY whose last stream id is below the call's stream: never processed.
    Goaway,
    /// The connection.
    Connection,
    /// It ended, but with what lies in a gap.
    Gap,
}

impl End {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trailers => "trailers",
            Self::Data => "data",
            Self::Response => "response",
            Self::Reset => "reset",
            Self::Goaway => "goaway",
            Self::Connection => "connection",
            Self::Gap => "gap",
        }
    }
}

/// One message of a call.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// When its last byte was there.
    pub at: Timestamp,
    /// A place, or with [`MessageFlags::IN_PIECES`] the first piece and how many there are: see [`Message::body`].
    body: u64,
    /// Its length as on the wire (compressed, if it is), without the prefix.
    pub length: u32,
    /// The packet that completed it, by its number in its file; held at the largest number that fits.
    packet: u32,
    /// The file of that packet.
    file: u16,
    /// Which way it went.
    pub direction: Direction,
    /// What is special about it.
    pub flags: MessageFlags,
}

impl Message {
    /// A message whose last byte was there `at` that time, in `packet`.
    pub fn new(direction: Direction, length: u32, body: Body, at: Timestamp, packet: PacketNo) -> Self {
        let (body, flags) = match body {
            Body::Whole(place) => (place.to_bits(), MessageFlags::default()),
            Body::Pieces { first, count } => (u64::from(first) << 32 | u64::from(count), MessageFlags::IN_PIECES),
        };
        let file = packet.file();
        let packet = u32::try_from(packet.number()).unwrap_or(u32::MAX);
        Self { at, body, length, packet, file, direction, flags }
    }

    /// The packet that completed it: its file, and its number there.
    pub fn packet(&self) -> PacketNo {
        PacketNo::new(self.file, self.packet.into())
    }

    /// Where its bytes lie.
    pub const fn body(&self) -> Body {
        match self.flags.has(MessageFlags::IN_PIECES) {
            true => Body::Pieces { first: (self.body >> 32) as u32, count: self.body as u32 },
            false => Body::Whole(Place::from_bits(self.body)),
        }
    }
}

/// Where a message's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// In one run, `Message::length` bytes from here.
    Whole(Place),
    /// In several: `count` pieces of the lane's list from `first` on.
    Pieces {
        /// Index of the first piece.
        first: u32,
        /// How many.
        count: u32,
    },
}

/// A run of a message's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins; nowhere for bytes that lie in a gap.
    pub at: Place,
    /// How long it is.
    pub len: u32,
}

/// What is special about a message; a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageFlags(pub u8);

impl MessageFlags {
    /// The compressed flag of its prefix is set.
    pub const COMPRESSED: Self = Self(1);
    /// It came after the call had ended.
    pub const LATE: Self = Self(2);
    /// Some of its bytes are missing: cut off, or in a gap.
    pub const CUT: Self = Self(4);
    /// The position of its beginning is a guess.
    pub const GUESSED: Self = Self(8);
    /// Its prefix has a flag byte that gRPC does not define.
    pub const STRANGE_FLAG: Self = Self(16);
    /// Its bytes lie in several pieces.
    const IN_PIECES: Self = Self(32);
    /// Two bits: its bytes lie in base64, see [`MessageFlags::base64_skip`].
    const BASE64_SHIFT: u8 = 6;

    /// The bytes of the message lie in base64 (gRPC-Web text). Its body is then whole groups of four characters, and the
    /// message begins `skip` bytes (0 to 2) after the beginning of what the first group decodes to.
    #[must_use]
    pub const fn with_base64(self, skip: u8) -> Self {
        Self(self.0 | (skip + 1) << Self::BASE64_SHIFT)
    }

    /// How many decoded bytes come before the message, where its bytes lie in base64.
    pub const fn base64_skip(self) -> Option<u8> {
        (self.0 >> Self::BASE64_SHIFT).checked_sub(1)
    }

    /// Whether all of `other` are in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set and `other` together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What most calls do not have.
#[derive(Debug, Default)]
pub struct RareFacts {
    /// Every RST_STREAM, in order.
    pub resets: Vec<Reset>,
    /// Header blocks of the client after its first one: gRPC has none.
    pub request_trailers: Option<HeaderListId>,
    /// 1xx header blocks of the server, in order.
    pub interim: Vec<HeaderListId>,
    /// Header blocks of the server without END_STREAM after its first one, in order.
    pub headers_again: Vec<HeaderListId>,
    /// Trailers that came after the end.
    pub late_trailers: Option<HeaderListId>,
    /// The status of a ttrpc Response that came after the end: the bytes of its `google.rpc.Status`.
    pub late_status: Option<Box<[u8]>>,
    /// The status of a ttrpc Response: the bytes of its `google.rpc.Status`. None where it is missing or empty, which
    /// means OK.
    pub ttrpc_status: Option<Box<[u8]>>,
    /// A ttrpc Response ended the call that cannot be read: what its status was is not known.
    pub ttrpc_opaque: bool,
    /// The flags of a ttrpc call's opening Request; 0 also where it was not seen.
    pub ttrpc_flags: u8,
    /// What flow control did to it.
    pub flow: Option<Box<CallFlow>>,
    /// The number of its connection inside an NRI trunk.
    pub trunk: Option<u32>,
    /// Notes about it.
    pub notes: Vec<Note>,
    /// How many notes there were beyond those kept.
    pub notes_dropped: u32,
}

/// An RST_STREAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Its error code.
    pub code: u32,
    /// Its direction: to the server means that the client sent it.
    pub direction: Direction,
    /// When it was there.
    pub at: Timestamp,
}

/// Notes kept for one call: a hostile peer can cause one a frame.
const MAX_NOTES: usize = 32;

/// Resets kept for one call: a hostile peer can send any number.
const MAX_RESETS: usize = 32;

impl Call {
    /// A call that begins here and of which nothing more is known.
    pub fn new(
        protocol: Protocol,
        connection: ConnectionId,
        stream: u32,
        start: Timestamp,
        first_packet: PacketNo,
    ) -> Self {
        Self {
            no: None,
            connection,
            stream,
            protocol,
            guessed: Guesses::default(),
            end: None,
            start,
            ended_at: None,
            first_packet,
            last_packet: first_packet,
            request_headers: None,
            request_headers_at: None,
            response_headers: None,
            trailers: None,
            response_headers_at: None,
            half_close_at: None,
            request: None,
            response: None,
            more: None,
            rare: None,
            flow_known: false,
            changed: false,
            complete: false,
            forgotten: false,
        }
    }

    /// What stands for a call that was forgotten.
    pub(super) fn forgotten() -> Self {
        let nothing = Self::new(Protocol::Grpc, ConnectionId(0), 0, Timestamp::default(), PacketNo::default());
        Self { complete: true, forgotten: true, ..nothing }
    }

    /// Whether both sides have ended it, so that nothing more is expected.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Adds a message after those that are there.
    pub fn add_message(&mut self, message: Message) {
        let slot = match message.direction {
            Direction::ToServer => &mut self.request,
            Direction::ToClient => &mut self.response,
        };
        match slot {
            None => *slot = Some(message),
            Some(_) => self.more.get_or_insert_default().push(message),
        }
    }

    /// The messages of one direction, in order.
    pub fn messages(&self, direction: Direction) -> impl Iterator<Item = &Message> {
        let first = match direction {
            Direction::ToServer => &self.request,
            Direction::ToClient => &self.response,
        };
        let more = self.more.iter().flat_map(|more| more.iter());
        first.iter().chain(more.filter(move |m| m.direction == direction))
    }

    /// Ends the call, unless something has ended it already. Whether it did.
    pub fn end(&mut self, end: End, at: Timestamp) -> bool {
        if self.end.is_some() {
            return false;
        }
        self.end = Some(end);
        self.ended_at = Some(at);
        true
    }

    /// The call had ended for its client by a reset before its answer's end was there: that end is late.
    pub fn overtaken(&mut self, at: Timestamp) {
        self.end = Some(End::Reset);
        self.ended_at = Some(at);
        if let Some(trailers) = self.trailers.take() {
            self.rare.get_or_insert_default().late_trailers = Some(trailers);
        }
    }

    /// Extends the call's packets to `packet`.
    pub fn seen(&mut self, packet: PacketNo) {
        // Numbers of different files say nothing about their order: what is seen later is then later.
        let is_later = packet.file() != self.last_packet.file() || packet > self.last_packet;
        if is_later {
            self.last_packet = packet;
        }
        if packet.file() == self.first_packet.file() {
            self.first_packet = self.first_packet.min(packet);
        }
    }

    /// Enters an RST_STREAM.
    pub fn reset(&mut self, reset: Reset) {
        let resets = &mut self.rare.get_or_insert_default().resets;
        if resets.len() < MAX_RESETS {
            resets.push(reset);
        }
    }

    /// Enters that the sender whose data goes in `direction` waited for flow control.
    pub fn add_stall(&mut self, direction: Direction, stream_ns: u64, connection_ns: u64, packet: PacketNo) {
        let rare = self.rare.get_or_insert_default();
        rare.flow.get_or_insert_default().stalls.add(direction, stream_ns, connection_ns, packet);
    }

    /// Enters a note.
    pub fn note(&mut self, note: Note) {
        let rare = self.rare.get_or_insert_default();
        if rare.notes.len() < MAX_NOTES {
            rare.notes.push(note);
        } else {
            rare.notes_dropped += 1;
        }
    }

    /// The header lists that it refers to.
    pub(super) fn header_lists(&self) -> impl Iterator<Item = HeaderListId> {
        let of_most = [self.request_headers, self.response_headers, self.trailers];
        let of_few = self.rare.iter().flat_map(|rare| {
            let RareFacts { request_trailers, interim, headers_again, late_trailers, .. } = &**rare;
            [*request_trailers, *late_trailers]
                .into_iter()
                .flatten()
                .chain(interim.iter().chain(headers_again).copied())
        });
        of_most.into_iter().flatten().chain(of_few)
    }

    /// Its notes.
    pub fn notes(&self) -> &[Note] {
        self.rare.as_ref().map_or(&[], |rare| &rare.notes)
    }

    /// Its resets, in order.
    pub fn resets(&self) -> &[Reset] {
        self.rare.as_ref().map_or(&[], |rare| &rare.resets)
    }

    /// How long it took, where both its start and its end were seen.
    pub fn duration_ns(&self) -> Option<i64> {
        if self.request_headers.is_none() || matches!(self.end, None | Some(End::Connection)) {
            return None;
        }
        self.ended_at.map(|end| end.nanos_since(self.start))
    }

    /// Swaps client and server.
    pub fn swap_roles(&mut self) {
        std::mem::swap(&mut self.request, &mut self.response);
        std::mem::swap(&mut self.request_headers, &mut self.response_headers);
        std::mem::swap(&mut self.request_headers_at, &mut self.response_headers_at);
        let messages = self.request.iter_mut().chain(&mut self.response);
        for message in messages.chain(self.more.iter_mut().flat_map(|more| more.iter_mut())) {
            message.direction = message.direction.reverse();
        }
        if let Some(flow) = self.rare.as_mut().and_then(|rare| rare.flow.as_mut()) {
            flow.swap_roles();
        }
        for reset in self.rare.iter_mut().flat_map(|rare| rare.resets.iter_mut()) {
            reset.direction = reset.direction.reverse();
        }
    }
}
