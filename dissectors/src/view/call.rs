//! A call with all its facts.

use std::borrow::Cow;
use std::cell::OnceCell;

use rpcshark_captures::{Direction, Endpoint, PacketNo, Timestamp};

use super::guess::{MAX_TRIED, method_at};
use super::{ConnectionView, HeadersView, Known, MessageView, Permit, Scratch, Viewer};
use crate::connect::PathMessage;
use crate::grpc::{Status, parse_timeout, percent_decode};
use crate::http2::ErrorCode;
use crate::protobuf::wire::{Fields, Value};
use crate::rpc::{HeaderFacts, HeaderValue, Role, body_encoding};
use crate::schema::{MessageIx, Method, Schema, Seen};
use crate::store::{
    Call, CallRef, Connection, End, Guesses, HeaderListId, Lane, MessageFlags, Protocol, Reset, Stalls, Windows,
};
use crate::ttrpc::{self, Flags};
use crate::{Note, Severity};

/// A call. What has to be worked out is worked out when it is first asked for.
pub struct CallView<'a> {
    viewer: Viewer<'a>,
    at: CallRef,
    lane: &'a Lane,
    call: &'a Call,
    meaning: OnceCell<Meaning<'a>>,
}

/// What method a call is of, and what types its messages have.
#[derive(Debug)]
struct Meaning<'a> {
    /// `/service/method`.
    path: Known<Cow<'a, str>>,
    /// The method in the schema.
    method: Option<&'a Method>,
    /// Request and response type.
    types: Known<(MessageIx, MessageIx)>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Status OK.
    Ok,
    /// Another status, on the wire or mapped.
    Error,
    /// Ended by RST_STREAM before any status.
    Reset,
    /// It ended, but its status was not seen, or the connection ended.
    Incomplete,
    /// No end is in the capture.
    Open,
}

impl Outcome {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Reset => "reset",
            Self::Incomplete => "incomplete",
            Self::Open => "open",
        }
    }
}

/// A status as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView<'a> {
    /// The code.
    pub code: Status,
    /// The message, decoded.
    pub message: Cow<'a, str>,
    /// The details: each the bytes of a `google.protobuf.Any`.
    pub details: Vec<Cow<'a, [u8]>>,
}

/// The status that gRPC's clients conclude from the end of a call without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedStatus {
    /// The code.
    pub code: Status,
    /// What it is concluded from.
    pub from: MappedFrom,
}

/// What a status is concluded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappedFrom {
    /// The HTTP status.
    Http(u16),
    /// An RST_STREAM.
    Reset(ErrorCode),
    /// A GOAWAY that says that the call was not processed.
    Goaway,
}

/// How many messages a call has, and how many bytes are in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages of the request.
    pub requests: u64,
    /// Messages of the response.
    pub responses: u64,
    /// Their lengths on the wire, without prefixes.
    pub bytes: u64,
}

/// Who streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody.
    Unary,
    /// The client.
    ClientStreaming,
    /// The server.
    ServerStreaming,
    /// Both.
    BidiStreaming,
}

impl Kind {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStreaming => "client_streaming",
            Self::ServerStreaming => "server_streaming",
            Self::BidiStreaming => "bidi_streaming",
        }
    }

    const fn of(client_streaming: bool, server_streaming: bool) -> Self {
        match (client_streaming, server_streaming) {
            (false, false) => Self::Unary,
            (true, false) => Self::ClientStreaming,
            (false, true) => Self::ServerStreaming,
            (true, true) => Self::BidiStreaming,
        }
    }
}

impl<'a> CallView<'a> {
    pub(super) fn new(viewer: Viewer<'a>, at: CallRef) -> Self {
        let lane = viewer.store.lane(at.lane);
        Self { viewer, at, lane, call: lane.call(at.id), meaning: OnceCell::new() }
    }

    /// Which call of the store it is.
    pub const fn at(&self) -> CallRef {
        self.at
    }

    /// The same call, of which nothing is hidden.
    pub fn permitted<'b>(&self, permit: &Permit) -> CallView<'b>
    where
        'a: 'b,
    {
        let viewer: Viewer<'b> = self.viewer;
        viewer.permitted(permit).call(self.at)
    }

    /// Whether values of fields marked `debug_redact` are hidden.
    pub const fn hides_marked_fields(&self) -> bool {
        self.viewer.redaction.hides_marked_fields()
    }

    /// The number that users see, from 1; 0 until it has one.
    pub fn no(&self) -> u32 {
        self.call.no.map_or(0, std::num::NonZero::get)
    }

    /// The schema that it is viewed with.
    pub const fn schema(&self) -> &'a Schema {
        self.viewer.schema
    }

    /// What carries it.
    pub const fn protocol(&self) -> Protocol {
        self.call.protocol
    }

    /// Its connection.
    pub fn connection(&self) -> ConnectionView<'a> {
        ConnectionView::new(self.viewer, self.stored_connection())
    }

    fn stored_connection(&self) -> &'a Connection {
        self.lane.connection(self.call.connection)
    }

    /// Its HTTP/2 or ttrpc stream.
    pub const fn stream(&self) -> u32 {
        self.call.stream
    }

    /// The number of its connection inside an NRI trunk.
    pub fn trunk(&self) -> Option<u32> {
        self.call.rare.as_ref().and_then(|rare| rare.trunk)
    }

    /// The client's end. In a trunk, each end is the client of one connection.
    pub fn client(&self) -> &'a Endpoint {
        self.ends().0
    }

    /// The server's end.
    pub fn server(&self) -> &'a Endpoint {
        self.ends().1
    }

    fn ends(&self) -> (&'a Endpoint, &'a Endpoint) {
        let connection = self.stored_connection();
        match self.trunk() {
            Some(ttrpc::PLUGIN_SERVES) => (&connection.server, &connection.client),
            _ => (&connection.client, &connection.server),
        }
    }

    /// `/service/method`.
    pub fn path(&self) -> Known<&str> {
        // Listings need no more than this, and not the method that the schema has for it.
        if let Some(path) = self.sent_path().and_then(|path| str::from_utf8(path).ok()) {
            return Known::Seen(path);
        }
        self.meaning().path.as_ref().map(|path| &**path)
    }

    /// The service and the method that the path names; [`Known::Unknown`] for a path of another form.
    pub fn service_and_method(&self) -> Known<(&str, &str)> {
        self.path().map_or_unknown(split_path)
    }

    /// The method in the schema.
    pub fn method(&self) -> Option<&'a Method> {
        self.meaning().method
    }

    /// The types of the messages of the request and of the response.
    pub fn message_types(&self) -> Known<(MessageIx, MessageIx)> {
        self.meaning().types
    }

    /// The type of the messages of a direction.
    pub fn message_type(&self, direction: Direction) -> Known<MessageIx> {
        self.meaning().types.map(|(request, response)| match direction {
            Direction::ToServer => request,
            Direction::ToClient => response,
        })
    }

    /// Whether it is a guess that this is an RPC at all.
    pub const fn is_protocol_guessed(&self) -> bool {
        self.call.guessed.has(Guesses::PROTOCOL)
    }

    /// Whether it is a guess where its messages begin.
    pub const fn is_alignment_guessed(&self) -> bool {
        self.call.guessed.has(Guesses::ALIGNMENT)
    }

    /// Who streams: as the schema says, else as ttrpc's flags say, else as what was seen allows. `None` while that may change.
    pub fn kind(&self) -> Option<Kind> {
        if let Some(method) = self.method() {
            return Some(Kind::of(method.client_streaming, method.server_streaming));
        }
        if self.call.protocol == Protocol::Ttrpc && self.call.request_headers.is_some() {
            return self.ttrpc_kind();
        }
        let many = |direction| self.call.messages(direction).nth(1).is_some();
        let (requests, responses) = (many(Direction::ToServer), many(Direction::ToClient));
        // One message each way is what a unary call has when it is over; before, more may come.
        match requests || responses || self.call.end.is_some() {
            true => Some(Kind::of(requests, responses)),
            false => None,
        }
    }

    /// The flags of a ttrpc call's opening Request; 0 where it was not seen, and for other protocols.
    pub fn ttrpc_flags(&self) -> u8 {
        self.call.rare.as_ref().map_or(0, |rare| rare.ttrpc_flags)
    }

    /// The kind of a ttrpc call whose Request was seen. Servers go by the method and not by flags, so what is sent says more
    /// than they do.
    fn ttrpc_kind(&self) -> Option<Kind> {
        let many = |direction| self.call.messages(direction).nth(1).is_some();
        let flags = Flags(self.call.rare.as_ref().map_or(0, |rare| rare.ttrpc_flags));
        let answered = self.call.end == Some(End::Response) && self.outcome() == Some(Outcome::Ok);
        // The only answer of a call that does not stream is in the Response that says that all went well. One that is cut
        // may have been in a Response, too.
        let answer = self.call.response.filter(|answer| !answer.flags.has(MessageFlags::CUT));
        let by_data = self.call.end == Some(End::Data) || many(Direction::ToClient) || answer.is_some() && !answered;
        let client_streams = flags.contains(Flags::REMOTE_OPEN) || many(Direction::ToServer);
        let server_streams = by_data || flags.contains(Flags::REMOTE_CLOSED);
        match client_streams && !server_streams && !answered {
            // Whether there would have been answers besides the status is not known.
            true => None,
            false => Some(Kind::of(client_streams, server_streams)),
        }
    }

    /// The time of the first byte that was seen of it; `None` where the capture has no times.
    pub fn start(&self) -> Option<Timestamp> {
        self.time(self.call.start)
    }

    /// How many nanoseconds after its start `at` is; `None` where the capture has no times.
    pub fn since_start(&self, at: Timestamp) -> Option<i64> {
        self.time(at).map(|at| at.nanos_since(self.call.start))
    }

    /// When the first thing that ended it was there.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.time(self.call.ended_at?)
    }

    /// How long it took, in nanoseconds, where both its start and its end were seen.
    pub fn duration_ns(&self) -> Option<i64> {
        self.has_times().then(|| self.call.duration_ns())?
    }

    /// Whether the capture has times. Where it has none, those of the store mean nothing.
    fn has_times(&self) -> bool {
        self.stored_connection().has_times
    }

    fn time(&self, time: Timestamp) -> Option<Timestamp> {
        self.has_times().then_some(time)
    }

    /// The deadline that the client set, in nanoseconds from the start.
    pub fn deadline_ns(&self) -> Known<u64> {
        let Some(headers) = self.request_headers() else { return Known::Unknown };
        match headers.facts().timeout_ns {
            Some(nanos) => Known::Seen(nanos),
            None if headers.unknown_count() > 0 => Known::Unknown,
            None => Known::Absent,
        }
    }

    /// What ended it: the first of these that happened.
    pub const fn end(&self) -> Option<End> {
        self.call.end
    }

    /// How it went; `None` where it ended with a status that is unknown.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.call.protocol {
            Protocol::Ttrpc => self.ttrpc_outcome(),
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => self.grpc_outcome(),
        }
    }

    fn grpc_outcome(&self) -> Option<Outcome> {
        match self.call.end {
            None => Some(Outcome::Open),
            Some(End::Connection | End::Gap) => Some(Outcome::Incomplete),
            Some(End::Reset) => Some(Outcome::Reset),
            Some(End::Goaway) => Some(Outcome::Error),
            Some(End::Trailers | End::Data | End::Response) => match self.trailer_status() {
                HeaderValue::Known(0) => Some(Outcome::Ok),
                HeaderValue::Known(_) => Some(Outcome::Error),
                HeaderValue::Unknown => None,
                HeaderValue::Absent if self.mapped_status().is_some() => Some(Outcome::Error),
                HeaderValue::Absent => Some(Outcome::Incomplete),
            },
        }
    }

    fn ttrpc_outcome(&self) -> Option<Outcome> {
        match self.call.end {
            None => Some(Outcome::Open),
            Some(End::Response) if self.call.rare.as_ref().is_some_and(|rare| rare.ttrpc_opaque) => None,
            Some(End::Response | End::Data | End::Trailers) => {
                Some(if status_code(self.ttrpc_status_bytes()) == 0 { Outcome::Ok } else { Outcome::Error })
            }
            Some(End::Reset) => Some(Outcome::Reset),
            Some(End::Connection | End::Gap | End::Goaway) => Some(Outcome::Incomplete),
        }
    }

    /// The status that was on the wire, in time.
    pub fn status(&self) -> Option<StatusView<'a>> {
        if !matches!(self.call.end, Some(End::Trailers | End::Data | End::Response)) {
            return None;
        }
        match self.call.protocol {
            Protocol::Ttrpc => self.outcome().map(|_| ttrpc_status(self.ttrpc_status_bytes())),
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => {
                let code = *self.trailer_status().known()?;
                self.call.trailers.map(|list| grpc_status(self.lane, list, code))
            }
        }
    }

    /// The status that its end stands for, where none was on the wire.
    pub fn mapped_status(&self) -> Option<MappedStatus> {
        if self.call.protocol == Protocol::Ttrpc {
            return None;
        }
        let (code, from) = match self.call.end? {
            End::Reset => {
                let code = ErrorCode(self.call.resets().first()?.code);
                (Status::from_reset(code)?, MappedFrom::Reset(code))
            }
            End::Goaway => (Status::UNAVAILABLE, MappedFrom::Goaway),
            End::Trailers | End::Data | End::Response if self.trailer_status() == HeaderValue::Absent => {
                let http = self.http_status()?;
                (Status::from_http(http)?, MappedFrom::Http(http))
            }
            _ => return None,
        };
        Some(MappedStatus { code, from })
    }

    fn trailer_status(&self) -> HeaderValue<u32> {
        self.facts(self.call.trailers).map_or(HeaderValue::Absent, |facts| facts.grpc_status.clone())
    }

    fn ttrpc_status_bytes(&self) -> &'a [u8] {
        self.call.rare.as_ref().and_then(|rare| rare.ttrpc_status.as_deref()).unwrap_or_default()
    }

    /// The HTTP status, where it is known.
    pub fn http_status(&self) -> Option<u16> {
        if self.call.protocol == Protocol::Ttrpc {
            return None;
        }
        let of = |list| self.facts(list).and_then(|facts| facts.http_status.known().copied());
        of(self.call.response_headers).or_else(|| of(self.call.trailers))
    }

    /// The request's header block (ttrpc: what the Request says besides its payload).
    pub fn request_headers(&self) -> Option<HeadersView<'a>> {
        self.headers(self.call.request_headers)
    }

    /// When the last byte of it was there.
    pub fn request_headers_at(&self) -> Option<Timestamp> {
        self.time(self.call.request_headers_at?)
    }

    /// The response's header block; a response whose one header block is its end has none.
    pub fn response_headers(&self) -> Option<HeadersView<'a>> {
        self.headers(self.call.response_headers)
    }

    /// When the response's header block was there.
    pub fn response_headers_at(&self) -> Option<Timestamp> {
        self.time(self.call.response_headers_at?)
    }

    /// The response's trailers, where they came in time.
    pub fn trailers(&self) -> Option<HeadersView<'a>> {
        self.headers(self.call.trailers)
    }

    /// Trailers of the request.
    pub fn request_trailers(&self) -> Option<HeadersView<'a>> {
        self.headers(self.call.rare.as_ref()?.request_trailers)
    }

    /// Interim responses (1xx), in order.
    pub fn interim_responses(&self) -> impl Iterator<Item = HeadersView<'a>> {
        let lists = self.call.rare.as_ref().map_or(&[][..], |rare| &rare.interim);
        lists.iter().filter_map(|&list| self.headers(Some(list)))
    }

    /// Header blocks of the response between its first one and its trailers, in order.
    pub fn further_response_headers(&self) -> impl Iterator<Item = HeadersView<'a>> {
        let lists = self.call.rare.as_ref().map_or(&[][..], |rare| &rare.headers_again);
        lists.iter().filter_map(|&list| self.headers(Some(list)))
    }

    /// Whether the one header block of the response is its beginning and its end.
    pub fn is_trailers_only(&self) -> bool {
        let role = self.facts(self.call.trailers).map(|facts| facts.role);
        self.call.response_headers.is_none() && role == Some(Role::Response)
    }

    /// Trailers that came after the end.
    pub fn late_trailers(&self) -> Option<HeadersView<'a>> {
        self.headers(self.call.rare.as_ref()?.late_trailers)
    }

    /// The status that came after the end.
    pub fn late_status(&self) -> Option<StatusView<'a>> {
        let rare = self.call.rare.as_ref()?;
        match rare.late_trailers {
            Some(list) => {
                let code = *self.lane.headers[list].facts.grpc_status.known()?;
                Some(grpc_status(self.lane, list, code))
            }
            None => rare.late_status.as_deref().map(ttrpc_status),
        }
    }

    fn headers(&self, list: Option<HeaderListId>) -> Option<HeadersView<'a>> {
        list.map(|list| HeadersView::new(self.lane, list, self.call.protocol, self.viewer.redaction))
    }

    fn facts(&self, list: Option<HeaderListId>) -> Option<&'a HeaderFacts> {
        list.map(|list| &self.lane.headers[list].facts)
    }

    /// The name of the encoding of a direction's messages, as its headers state it.
    pub fn encoding(&self, direction: Direction) -> Known<Cow<'a, [u8]>> {
        encoding(self.lane, self.call, direction)
    }

    /// The messages of one direction, in order.
    pub fn messages(&self, direction: Direction) -> impl Iterator<Item = MessageView<'a>> {
        let kind = self.message_type(direction);
        let &Self { viewer, lane, call, .. } = self;
        call.messages(direction).map(move |message| MessageView { viewer, lane, call, message, kind })
    }

    /// How many messages there are, and their bytes.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for message in self.call.messages(Direction::ToServer) {
            totals.requests += 1;
            totals.bytes += u64::from(message.length);
        }
        for message in self.call.messages(Direction::ToClient) {
            totals.responses += 1;
            totals.bytes += u64::from(message.length);
        }
        totals
    }

    /// When the client said that it sends no more.
    pub fn half_close_at(&self) -> Option<Timestamp> {
        self.time(self.call.half_close_at?)
    }

    /// Every RST_STREAM, in order.
    pub fn resets(&self) -> &'a [Reset] {
        self.call.resets()
    }

    /// The first packet that holds something of it.
    pub const fn first_packet(&self) -> PacketNo {
        self.call.first_packet
    }

    /// The last packet that holds something of it.
    pub const fn last_packet(&self) -> PacketNo {
        self.call.last_packet
    }

    /// How long its senders waited for flow control. Absent where none did, and for ttrpc, which has no flow control; unknown where
    /// the beginning of the connection, bytes after it, or the times are missing. Of an open call: so far.
    pub fn stalls(&self) -> Known<&'a Stalls> {
        let stalls = self.call.rare.as_ref().and_then(|rare| rare.flow.as_ref()).map(|flow| &flow.stalls);
        match stalls {
            _ if self.call.protocol == Protocol::Ttrpc => Known::Absent,
            _ if !self.call.flow_known || self.start().is_none() => Known::Unknown,
            Some(stalls) if !stalls.is_empty() => Known::Seen(stalls),
            _ => Known::Absent,
        }
    }

    /// The windows of its stream in bytes, by the [`Direction::index`] of the data, where the stream was open at the end of the
    /// capture and they are known.
    pub fn windows(&self) -> Option<Windows> {
        self.call.rare.as_ref()?.flow.as_ref()?.windows
    }

    /// Its notes, and those that follow from what is known of it.
    pub fn notes(&self) -> Vec<Note> {
        let call = self.call;
        let mut notes = call.notes().to_vec();
        for (headers, what) in [
            (self.request_headers(), "the request"),
            (self.response_headers(), "the response"),
            (self.trailers(), "the trailers"),
        ] {
            // What is unknown of a ttrpc Request has a note of its own.
            let Some(headers) = headers.filter(|_| call.protocol != Protocol::Ttrpc) else { continue };
            let unknown = headers.unknown_count();
            if unknown > 0 {
                let text = match unknown {
                    1 => format!("1 header field of {what} refers to an entry that is not in the capture"),
                    _ => format!("{unknown} header fields of {what} refer to entries that are not in the capture"),
                };
                notes.push(Note::new(Severity::Info, "hpack-unknown", text));
            }
        }
        notes.extend(self.deadline_note());
        notes.extend(Direction::BOTH.into_iter().filter_map(|direction| self.stall_note(direction)));
        if self.duration_ns().is_some_and(|duration| duration < 0) {
            let text = "the call ends before it starts: its request was captured later than the answer, because packets are out \
                        of order or clocks differ";
            notes.push(Note::new(Severity::Info, "negative-duration", text));
        }
        if let Some(code) = self.status_code().filter(|code| code.known_name().is_none()) {
            let text = format!("gRPC does not define status {}", code.0);
            notes.push(Note::new(Severity::Warning, "status-unknown", text));
        }
        if let Some(dropped) = call.rare.as_ref().map(|rare| rare.notes_dropped).filter(|&dropped| dropped > 0) {
            notes.push(Note::new(Severity::Info, "more-notes", more_notes(u64::from(dropped))));
        }
        notes
    }

    /// A wait for flow control that is long enough to matter.
    fn stall_note(&self, direction: Direction) -> Option<Note> {
        let stalls = self.stalls().value()?.of(direction);
        if stalls.total_ns() < MIN_NOTED_STALL_NS {
            return None;
        }
        let sender = match direction {
            Direction::ToServer => "client",
            Direction::ToClient => "server",
        };
        let window = match (stalls.stream_ns, stalls.connection_ns) {
            (_, 0) => "the stream's window was used up".to_owned(),
            (0, _) => "the connection's window was used up".to_owned(),
            (stream, connection) => format!(
                "the stream's window was used up for {}, the connection's for {}",
                milliseconds(stream),
                milliseconds(connection)
            ),
        };
        let total = milliseconds(stalls.total_ns());
        let text = format!("flow control stopped the {sender} for {total}: {window}");
        Some(Note { packet: stalls.first_end, ..Note::new(Severity::Info, FLOW_CONTROL_STALL, text) })
    }

    /// The deadline is not known where the name of the field that holds it is not in the capture, but its value is.
    fn deadline_note(&self) -> Option<Note> {
        let headers = self.request_headers().filter(|_| self.call.protocol != Protocol::Ttrpc)?;
        if self.deadline_ns() != Known::Unknown {
            return None;
        }
        let mut values = headers.fields().filter(|field| field.name() == Known::Unknown);
        let value = values.find_map(|field| field.value().value().filter(|value| parse_timeout(value).is_some()))?;
        let text = format!(
            "whether the call has a deadline is not known: a header field whose name is not in the capture has the value {}",
            String::from_utf8_lossy(value)
        );
        Some(Note::new(Severity::Info, "deadline-unknown", text))
    }

    /// The code of [`CallView::status`].
    pub fn status_code(&self) -> Option<Status> {
        if !matches!(self.call.end, Some(End::Trailers | End::Data | End::Response)) {
            return None;
        }
        match self.call.protocol {
            Protocol::Ttrpc => self.outcome().map(|_| Status(status_code(self.ttrpc_status_bytes()))),
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => {
                self.trailer_status().known().copied().map(Status)
            }
        }
    }

    fn meaning(&self) -> &Meaning<'a> {
        self.meaning.get_or_init(|| {
            let Some(path) = self.sent_path() else { return self.guessed_meaning() };
            let path = String::from_utf8_lossy(path);
            let schema = self.viewer.schema;
            let method = split_path(&path).and_then(|(service, method)| schema.method(service, method));
            let types = method.map_or(Known::Unknown, |method| Known::Seen((method.input, method.output)));
            Meaning { path: Known::Seen(path), method, types }
        })
    }

    /// The path in the request headers, if it is known.
    fn sent_path(&self) -> Option<&'a [u8]> {
        self.facts(self.call.request_headers)?.path.known()?.known()
    }

    /// The rule: the pair of types when exactly one pair fits all messages; the method only when one method has that pair.
    fn guessed_meaning(&self) -> Meaning<'a> {
        let unknown = Meaning { path: Known::Unknown, method: None, types: Known::Unknown };
        let Viewer { schema, guesser, .. } = self.viewer;
        if guesser.is_empty() {
            return unknown;
        }
        let mut scratch = Scratch::default();
        let [requests, responses] = Direction::BOTH.map(|direction| {
            let &Self { viewer, lane, call, .. } = self;
            let messages = call.messages(direction).take(MAX_TRIED);
            let views = messages.map(|message| MessageView { viewer, lane, call, message, kind: Known::Unknown });
            views.filter_map(|view| view.body(&mut scratch).content().map(<[u8]>::to_vec)).collect::<Vec<_>>()
        });
        let seen = Seen {
            requests: self.call.messages(Direction::ToServer).count(),
            responses: self.call.messages(Direction::ToClient).count(),
        };
        let Some(guess) = guesser.guess(schema, seen, &requests, &responses) else { return unknown };
        let method = guess.method.and_then(|at| method_at(schema, at));
        Meaning {
            path: method.as_ref().map_or(Known::Unknown, |(path, _)| Known::Guessed(Cow::Owned(path.clone()))),
            method: method.map(|(_, method)| method),
            types: Known::Guessed(guess.types),
        }
    }
}

/// Says how many notes there were beyond those kept.
pub(super) fn more_notes(count: u64) -> String {
    format!("{count} more {}", if count == 1 { "note" } else { "notes" })
}

/// Service and method of a path; a path of another form has none.
fn split_path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}

/// The encoding of a direction's messages, as its headers name it.
pub(super) fn encoding<'a>(lane: &'a Lane, call: &Call, direction: Direction) -> Known<Cow<'a, [u8]>> {
    if call.protocol == Protocol::Ttrpc {
        return Known::Absent;
    }
    let stating = match direction {
        Direction::ToServer => call.request_headers,
        Direction::ToClient => call.response_headers.or(call.trailers),
    };
    let Some(list) = stating else { return Known::Unknown };
    let facts = &lane.headers[list].facts;
    if direction == Direction::ToServer
        && let Some(message) = message_in_path(lane, call)
    {
        return message.encoding.map_or(Known::Absent, |encoding| Known::Seen(Cow::Owned(encoding)));
    }
    // The messages of unary calls are compressed as any other body.
    if call.protocol == Protocol::Connect
        && facts.encoding == HeaderValue::Absent
        && let Some(encoding) = body_encoding(lane.headers.fields(list))
    {
        return encoding.known().map_or(Known::Unknown, |name| Known::Seen(Cow::Borrowed(name)));
    }
    match &facts.encoding {
        HeaderValue::Known(name) => Known::Seen(Cow::Borrowed(name.known().unwrap_or_default())),
        HeaderValue::Unknown => Known::Unknown,
        HeaderValue::Absent => Known::Absent,
    }
}

/// The request's message, where the path holds it.
pub(super) fn message_in_path(lane: &Lane, call: &Call) -> Option<PathMessage> {
    let list = call.request_headers.filter(|&list| lane.headers[list].facts.is_in_path())?;
    let path = lane.headers.fields(list).find(|field| field.name.is(b":path"))?;
    call.protocol.over_http()?.message_in_path(path.value.known()?)
}

/// The status that gRPC trailers state.
fn grpc_status(lane: &Lane, list: HeaderListId, code: u32) -> StatusView<'_> {
    let field = |name: &[u8]| lane.headers.fields(list).find(|field| field.name.is(name));
    let message = field(b"grpc-message").and_then(|field| field.value.known()).map(percent_decode);
    let details = field(b"grpc-status-details-bin").and_then(|field| {
        let status = crate::grpc::binary_values(field.value.known()?).next()??;
        Some(status_parts(&status).2.into_iter().map(|detail| Cow::Owned(detail.to_vec())).collect())
    });
    StatusView { code: Status(code), message: message.unwrap_or_default(), details: details.unwrap_or_default() }
}

/// The status that a ttrpc Response states: the bytes of a `google.rpc.Status`; none are OK.
fn ttrpc_status(bytes: &[u8]) -> StatusView<'_> {
    let (code, message, details) = status_parts(bytes);
    let details = details.into_iter().map(Cow::Borrowed).collect();
    StatusView { code: Status(code), message: String::from_utf8_lossy(message), details }
}

/// Code, message and details of a `google.rpc.Status`: `int32 code = 1; string message = 2; repeated Any details = 3`.
fn status_parts(bytes: &[u8]) -> (u32, &[u8], Vec<&[u8]>) {
    let (mut code, mut message, mut details) = (0, &[][..], Vec::new());
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1, Value::Varint(value)) => code = value as u32,
            (2, Value::Bytes(text)) => message = text,
            (3, Value::Bytes(any)) => details.push(any),
            _ => {}
        }
    }
    (code, message, details)
}

fn status_code(bytes: &[u8]) -> u32 {
    status_parts(bytes).0
}

/// The kind of the note on a call whose sender waited for flow control. [`CallView::stalls`] has the lengths.
pub const FLOW_CONTROL_STALL: &str = "flow-control-stall";

/// Shorter waits for flow control have no note: a fast sender that fills the window again and again causes many.
const MIN_NOTED_STALL_NS: u64 = 1_000_000;

/// A duration in milliseconds, to the microsecond.
fn milliseconds(nanos: u64) -> String {
    format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1000 % 1000)
}
