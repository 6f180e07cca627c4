//! What a call comes to: its kind, its outcome, its status.

use std::borrow::Cow;

use rpcshark_captures::{Direction, Endpoint};

use super::Describer;
use super::meaning::Meaning;
use crate::grpc::{HeaderFacts, HeaderValue, Status, percent_decode};
use crate::http2::ErrorCode;
use crate::protobuf::wire::{Fields, Value};
use crate::store::{Call, CallRef, End, HeaderListId, Lane, MessageFlags, Protocol};
use crate::ttrpc::{self, Flags};

/// A call and what it comes to.
pub struct CallView<'a> {
    /// The call.
    pub call: &'a Call,
    pub(super) lane: &'a Lane,
    pub(super) meaning: Meaning<'a>,
    /// How it went; `None` where it ended with a status that is unknown.
    pub outcome: Option<Outcome>,
    /// The status that was on the wire.
    pub status: Option<StatusView<'a>>,
    /// The status that its end stands for, where none was on the wire.
    pub mapped: Option<(Status, String)>,
    /// The HTTP status, where it is known.
    pub http_status: Option<u16>,
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
    pub details: Vec<Vec<u8>>,
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

impl<'a> Describer<'a> {
    /// Looks at a call.
    pub fn call(&self, at: CallRef) -> CallView<'a> {
        let lane = self.store.lane(at.lane);
        let meaning = self.meaning(lane, lane.call(at.id));
        self.judged(at, meaning)
    }

    /// Looks at how a call went, without asking what it was.
    pub(super) fn call_without_types(&self, at: CallRef) -> CallView<'a> {
        self.judged(at, Meaning::default())
    }

    fn judged(&self, at: CallRef, meaning: Meaning<'a>) -> CallView<'a> {
        let lane = self.store.lane(at.lane);
        let call = lane.call(at.id);
        let mut view = CallView { call, lane, meaning, outcome: None, status: None, mapped: None, http_status: None };
        match call.protocol {
            Protocol::Ttrpc => view.judge_ttrpc(),
            Protocol::Grpc | Protocol::GrpcWeb => view.judge_grpc(),
        }
        view
    }
}

impl<'a> CallView<'a> {
    /// `/service/method`, where it is known or guessed.
    pub fn path(&self) -> Option<&str> {
        self.meaning.path.as_deref()
    }

    /// The kind: as the schema says, else as ttrpc's flags say, else as what was seen allows.
    pub fn kind(&self) -> Option<Kind> {
        if let Some(method) = self.meaning.method {
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

    /// The kind of a ttrpc call whose Request was seen. Servers go by the method and not by flags, so what is sent says more
    /// than they do.
    fn ttrpc_kind(&self) -> Option<Kind> {
        let many = |direction| self.call.messages(direction).nth(1).is_some();
        let flags = Flags(self.call.rare.as_ref().map_or(0, |rare| rare.ttrpc_flags));
        let answered = self.call.end == Some(End::Response) && self.outcome == Some(Outcome::Ok);
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

    /// Client and server. In a trunk, each end is the client of one connection.
    pub fn ends(&self) -> (&'a Endpoint, &'a Endpoint) {
        let connection = self.lane.connection(self.call.connection);
        match self.call.rare.as_ref().and_then(|rare| rare.trunk) {
            Some(ttrpc::PLUGIN_SERVES) => (&connection.server, &connection.client),
            _ => (&connection.client, &connection.server),
        }
    }

    /// When nothing says otherwise: the deadline that the client set, in nanoseconds.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.facts(self.call.request_headers)?.timeout_ns
    }

    pub(super) fn facts(&self, list: Option<HeaderListId>) -> Option<&'a HeaderFacts> {
        list.map(|list| &self.lane.headers[list].facts)
    }

    fn judge_grpc(&mut self) {
        let trailers = self.facts(self.call.trailers);
        let response = self.facts(self.call.response_headers);
        let http = |facts: Option<&HeaderFacts>| facts.and_then(|facts| facts.http_status.known().copied());
        self.http_status = http(response).or_else(|| http(trailers));
        self.outcome = match self.call.end {
            None => Some(Outcome::Open),
            Some(End::Connection | End::Gap) => Some(Outcome::Incomplete),
            Some(End::Reset) => {
                self.map_reset();
                Some(Outcome::Reset)
            }
            Some(End::Goaway) => {
                self.mapped = Some((Status::UNAVAILABLE, "GOAWAY".to_owned()));
                Some(Outcome::Error)
            }
            Some(End::Trailers | End::Data | End::Response) => match trailers.map(|facts| &facts.grpc_status) {
                Some(HeaderValue::Known(code)) => {
                    self.status = self.call.trailers.map(|list| grpc_status(self.lane, list, *code));
                    Some(if *code == 0 { Outcome::Ok } else { Outcome::Error })
                }
                Some(HeaderValue::Unknown) => None,
                Some(HeaderValue::Absent) | None => Some(self.map_http()),
            },
        };
    }

    fn judge_ttrpc(&mut self) {
        let rare = self.call.rare.as_deref();
        self.outcome = match self.call.end {
            None => Some(Outcome::Open),
            Some(End::Response) if rare.is_some_and(|rare| rare.ttrpc_opaque) => None,
            Some(End::Response | End::Data | End::Trailers) => {
                let status = ttrpc_status(rare.and_then(|rare| rare.ttrpc_status.as_deref()).unwrap_or_default());
                let ok = status.code == Status::OK;
                self.status = Some(status);
                Some(if ok { Outcome::Ok } else { Outcome::Error })
            }
            Some(End::Reset) => Some(Outcome::Reset),
            Some(End::Connection | End::Gap | End::Goaway) => Some(Outcome::Incomplete),
        };
    }

    fn map_reset(&mut self) {
        let Some(reset) = self.call.resets().first() else { return };
        let code = ErrorCode(reset.code);
        self.mapped = Status::from_reset(code).map(|status| (status, format!("RST_STREAM {}", code.name())));
    }

    /// A response that has ended without a status: its HTTP status may stand for one.
    fn map_http(&mut self) -> Outcome {
        let mapped = self.http_status.and_then(|http| Some((Status::from_http(http)?, format!("http {http}"))));
        let outcome = if mapped.is_some() { Outcome::Error } else { Outcome::Incomplete };
        self.mapped = mapped;
        outcome
    }
}

/// The status that gRPC trailers state.
pub(super) fn grpc_status(lane: &Lane, list: HeaderListId, code: u32) -> StatusView<'_> {
    let field = |name: &[u8]| lane.headers.fields(list).find(|field| field.name.is(name));
    let message = field(b"grpc-message").and_then(|field| field.value.known()).map(percent_decode);
    let details = field(b"grpc-status-details-bin").and_then(|field| {
        let status = crate::grpc::binary_values(field.value.known()?).next()??;
        Some(status_parts(&status).2)
    });
    StatusView { code: Status(code), message: message.unwrap_or_default(), details: details.unwrap_or_default() }
}

/// The status that a ttrpc Response states: the bytes of a `google.rpc.Status`; none are OK.
pub(super) fn ttrpc_status(bytes: &[u8]) -> StatusView<'static> {
    let (code, message, details) = status_parts(bytes);
    StatusView { code: Status(code), message: Cow::Owned(message), details }
}

/// Code, message and details of a `google.rpc.Status`: `int32 code = 1; string message = 2; repeated Any details = 3`.
fn status_parts(bytes: &[u8]) -> (u32, String, Vec<Vec<u8>>) {
    let (mut code, mut message, mut details) = (0, String::new(), Vec::new());
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1, Value::Varint(value)) => code = value as u32,
            (2, Value::Bytes(text)) => message = String::from_utf8_lossy(text).into_owned(),
            (3, Value::Bytes(any)) => details.push(any.to_vec()),
            _ => {}
        }
    }
    (code, message, details)
}
