//! What the recorded server did in a call, in order, and what of the client it had received before: made from the exact record.

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::store::{CallEvent, CallEventKind, ConnectionEventKind, End, Occurrence, Store};
use rpcshark_dissectors::view::CallView;

/// A call as what its server has to do.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// When the client began the call.
    pub(super) start: Timestamp,
    /// What the server does then.
    pub(super) steps: Vec<Step>,
    /// Who speaks first.
    pub(super) first: First,
    /// The server has sent its headers before the client sent a message.
    pub(super) early_headers: bool,
}

/// Something that the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What.
    pub(super) kind: StepKind,
    /// When, in the recording.
    pub(super) at: Timestamp,
    /// The offset in its flow after its last byte.
    pub(super) end: u64,
    /// What it waits for.
    pub(super) gate: Gate,
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    /// Sends the response's headers.
    Headers,
    /// Sends a message: its number, from 0.
    Message(u32),
    /// Ends the call.
    End,
    /// Resets the stream with this code.
    Reset(u32),
    /// Does not process the call at all: it closes the connection before, or refuses the stream.
    Refuse,
}

/// What a server had received before it did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    /// Messages of the client.
    pub(super) messages: u32,
    /// The end of the client's messages.
    pub(super) half_close: bool,
    /// When the last of these had come.
    pub(super) at: Option<Timestamp>,
}

/// Who speaks first in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The client, with a message, or by saying that it sends none.
    Client,
    /// The server: the client sends nothing before it has received a message, or the end.
    Server,
}

/// Why a call cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unservable {
    /// Its method is not in the recording.
    NoMethod,
    /// The beginning of the request is not in the recording.
    NoStart,
    /// Its end is in a gap of the recording, or the connection was lost before it.
    NoEnd,
    /// Parts of its messages are missing.
    Cut,
    /// Its first message cannot be read.
    Unreadable,
}

impl std::fmt::Display for Unservable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoMethod => "the method is not in the recording",
            Self::NoStart => "the beginning of the request is not in the recording",
            Self::NoEnd => "the end of the call is not in the recording",
            Self::Cut => "parts of the messages are not in the recording",
            Self::Unreadable => "the request cannot be decompressed",
        })
    }
}

/// RFC 9113 §7: the stream was refused before anything was processed.
const REFUSED_STREAM: u32 = 7;

impl Script {
    /// The script of a call.
    ///
    /// # Errors
    ///
    /// If parts of the call are missing.
    pub(super) fn of(store: &Store, call: &CallView<'_>) -> Result<Self, Unservable> {
        let events = store.lane(call.at().lane).call_events(call.at().id);
        let is_start = |event: &&CallEvent| {
            matches!(event.kind, CallEventKind::Headers(Some(_))) && event.on.direction == Direction::ToServer
        };
        let start = events.iter().find(is_start).ok_or(Unservable::NoStart)?.on;
        // A reset of the client may have crossed the server's end: that counts then.
        let server_ends = matches!(call.end(), Some(End::Trailers | End::Data | End::Response));
        let mut reading = Reading::new(start.at);
        for CallEvent { kind, on } in events {
            match (kind, on.direction) {
                (CallEventKind::Message(_), Direction::ToServer) => reading.client_message(on),
                (CallEventKind::HalfClose | CallEventKind::Trailers(_), Direction::ToServer) => {
                    reading.client_half_closes(on);
                }
                (CallEventKind::Reset(_), Direction::ToServer) if !server_ends => break,
                (CallEventKind::Headers(_), Direction::ToClient) => reading.step(StepKind::Headers, on),
                (CallEventKind::Message(number), Direction::ToClient) => {
                    reading.step(StepKind::Message(*number), on);
                }
                (CallEventKind::Reset(REFUSED_STREAM), Direction::ToClient)
                | (CallEventKind::Ended(End::Goaway), _) => {
                    reading.step(StepKind::Refuse, on);
                    break;
                }
                (CallEventKind::Reset(code), Direction::ToClient) => {
                    reading.step(StepKind::Reset(*code), on);
                    break;
                }
                (CallEventKind::Trailers(_) | CallEventKind::HalfClose, Direction::ToClient)
                | (CallEventKind::Ended(End::Trailers | End::Data | End::Response), _) => {
                    reading.step(StepKind::End, on);
                    break;
                }
                (CallEventKind::Ended(End::Connection), _) if client_hung_up(store, call, on) => break,
                (CallEventKind::Ended(End::Connection | End::Gap), _) => return Err(Unservable::NoEnd),
                _ => {}
            }
        }
        if reading.is_cut(call, server_ends) {
            return Err(Unservable::Cut);
        }
        // A response whose status is not known cannot be repeated.
        if server_ends && call.outcome().is_none() {
            return Err(Unservable::NoEnd);
        }
        Ok(reading.done())
    }
}

/// A script in the making.
struct Reading {
    start: Timestamp,
    steps: Vec<Step>,
    /// What the client has sent so far, each with the offset after it and when; the last may be the half-close.
    client: Vec<(u64, Timestamp)>,
    half_closed: bool,
    /// The offset after the first thing that the server did besides sending headers.
    spoken: Option<u64>,
    first: Option<First>,
    early_headers: bool,
}

impl Reading {
    const fn new(start: Timestamp) -> Self {
        Self {
            start,
            steps: Vec::new(),
            client: Vec::new(),
            half_closed: false,
            spoken: None,
            first: None,
            early_headers: false,
        }
    }

    fn client_message(&mut self, on: &Occurrence) {
        self.client_speaks(on);
        self.client.push((on.end, on.at));
    }

    fn client_half_closes(&mut self, on: &Occurrence) {
        self.client_speaks(on);
        if !self.half_closed {
            self.half_closed = true;
            self.client.push((on.end, on.at));
        }
    }

    /// The client sends something for the first time.
    fn client_speaks(&mut self, on: &Occurrence) {
        if self.first.is_some() {
            return;
        }
        // What the client has not acknowledged, it had not received.
        let server_spoke = self.spoken.is_some_and(|end| on.origin.acked.is_none_or(|acked| acked >= end));
        self.early_headers = !self.steps.is_empty();
        self.first = Some(if server_spoke { First::Server } else { First::Client });
    }

    fn step(&mut self, kind: StepKind, on: &Occurrence) {
        if kind != StepKind::Headers {
            self.spoken.get_or_insert(on.end);
        }
        // Of what the client had sent before it, the server had not received what it had not acknowledged.
        let received = |sent: &&(u64, Timestamp)| on.origin.acked.is_none_or(|acked| acked >= sent.0);
        let count = self.client.iter().take_while(received).count();
        let half_close = self.half_closed && count == self.client.len();
        let gate = Gate {
            messages: (count - usize::from(half_close)) as u32,
            half_close,
            at: count.checked_sub(1).and_then(|last| self.client.get(last)).map(|sent| sent.1),
        };
        self.steps.push(Step { kind, at: on.at, end: on.end, gate });
    }

    /// Whether bytes are missing of messages that are needed: of those that are sent, and of the first of the request. Of a
    /// message that was still being sent when the stream was reset, nobody has all.
    fn is_cut(&self, call: &CallView<'_>, server_ends: bool) -> bool {
        let is_sent = |number: usize| {
            let kind = StepKind::Message(number as u32);
            server_ends || self.steps.iter().any(|step| step.kind == kind)
        };
        let mut answers = call.messages(Direction::ToClient).enumerate();
        answers.any(|(number, message)| message.is_cut() && !message.is_late() && is_sent(number))
            || call.messages(Direction::ToServer).next().is_some_and(|message| message.is_cut())
    }

    fn done(self) -> Script {
        Script {
            start: self.start,
            first: self.first.unwrap_or(First::Server),
            early_headers: self.early_headers,
            steps: self.steps,
        }
    }
}

/// Whether the client closed the connection, and so ended the call.
fn client_hung_up(store: &Store, call: &CallView<'_>, end: &Occurrence) -> bool {
    let lane = store.lane(call.at().lane);
    let events = lane.connection_events(store.call(call.at()).connection);
    let first = events.iter().find(|event| matches!(event.kind, ConnectionEventKind::Closed(_)));
    first.is_some_and(|first| first.on.direction == Direction::ToServer && first.on.order <= end.order)
}
