//! What a client has to do in a call, and what the server did, in order: made from the exact record.

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::store::{
    CallEvent, CallEventKind, CallRef, ConnectionEventKind, End, EventOrder, Occurrence, Store,
};

/// A call as a sequence of steps.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// When the client began the call.
    pub(crate) start: Occurrence,
    /// What the client does then.
    pub(crate) steps: Vec<Step>,
    /// What the server does: its messages, then its end, if it ended the call.
    pub(crate) server: Vec<ServerEvent>,
    /// How the call ends.
    pub(crate) finish: Finish,
}

/// Something that the client does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What.
    pub(crate) kind: StepKind,
    /// When it did so in the recording.
    pub(crate) on: Occurrence,
    /// How many of the server's events of this call it had received by then.
    pub(crate) gate: usize,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Sends a message: its number, from 0. `end`: in the same frame it says that no more follow.
    Message {
        /// Its number.
        number: u32,
        /// See above.
        end: bool,
    },
    /// Sends no more.
    HalfClose,
    /// Resets the stream with this code.
    Cancel(u32),
}

/// Something that the server did, which others may have waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerEvent {
    /// Its place in the reading.
    pub(crate) order: EventOrder,
    /// When.
    pub(crate) at: Timestamp,
    /// The offset in its flow after its last byte.
    pub(crate) end: u64,
    /// Whether it ended the call; else it is a message.
    pub(crate) ends: bool,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The server ends it.
    Server,
    /// The client cancels it, or closes the connection: the last step.
    Cancel,
    /// Its deadline passes.
    Deadline,
    /// It was open at the end of the recording.
    Open,
}

/// Why there is no script for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoScript {
    /// The beginning of the request is not in the recording.
    NoStart,
    /// The end of the call is not in the recording.
    NoEnd,
}

impl Script {
    /// The script of a call. `deadline_ns`: the recorded deadline.
    ///
    /// # Errors
    ///
    /// If parts of the call are missing.
    pub(crate) fn of(store: &Store, at: CallRef, deadline_ns: Option<u64>) -> Result<Self, NoScript> {
        let events = store.lane(at.lane).call_events(at.id);
        let is_start = |event: &&CallEvent| {
            matches!(event.kind, CallEventKind::Headers(Some(_))) && event.on.direction == Direction::ToServer
        };
        let start = events.iter().find(is_start).ok_or(NoScript::NoStart)?.on;
        let (mut steps, mut server): (Vec<Step>, Vec<ServerEvent>) = (Vec::new(), Vec::new());
        let mut finish = None;
        for event in events {
            if finish.is_some() {
                break;
            }
            let CallEvent { kind, on } = event;
            let is_client = on.direction == Direction::ToServer;
            match (kind, is_client) {
                (CallEventKind::Message(number), true) => {
                    steps.push(step(StepKind::Message { number: *number, end: false }, on, &server));
                }
                (CallEventKind::HalfClose | CallEventKind::Trailers(_), true) => match steps.last_mut() {
                    Some(Step { kind: StepKind::Message { end, .. }, on: message, .. }) if message.end == on.end => {
                        *end = true;
                    }
                    Some(Step { kind: StepKind::HalfClose, .. }) => {}
                    _ => steps.push(step(StepKind::HalfClose, on, &server)),
                },
                (CallEventKind::Reset(code), true) => {
                    let elapsed = on.at.nanos_since(start.at);
                    finish = Some(match deadline_ns {
                        Some(nanos) if is_deadline(elapsed, nanos) => Finish::Deadline,
                        _ => {
                            steps.push(step(StepKind::Cancel(*code), on, &server));
                            Finish::Cancel
                        }
                    });
                }
                (CallEventKind::Message(_), false) => server.push(server_event(on, false)),
                (CallEventKind::Reset(_), false) => {
                    server.push(server_event(on, true));
                    finish = Some(Finish::Server);
                }
                (CallEventKind::Ended(End::Connection), _) => match client_hung_up(store, at, on) {
                    Some(closed) => {
                        steps.push(step(StepKind::Cancel(CANCEL), &closed, &server));
                        finish = Some(Finish::Cancel);
                    }
                    None => return Err(NoScript::NoEnd),
                },
                (CallEventKind::Ended(End::Gap), _) => return Err(NoScript::NoEnd),
                (CallEventKind::Ended(_), _) => {
                    server.push(server_event(on, true));
                    finish = Some(Finish::Server);
                }
                _ => {}
            }
        }
        let finish = finish.unwrap_or(Finish::Open);
        Ok(Self { start, steps, server, finish })
    }

    /// When the last thing of it happened.
    pub(crate) fn last_at(&self) -> Timestamp {
        let last_step = self.steps.last().map(|step| step.on.at);
        let last_answer = self.server.last().map(|event| event.at);
        last_step.max(last_answer).unwrap_or(self.start.at).max(self.start.at)
    }
}

/// When the client closed the connection, if that is what ended it: it did so before the server. The client then wanted no more of
/// the call.
fn client_hung_up(store: &Store, at: CallRef, end: &Occurrence) -> Option<Occurrence> {
    let lane = store.lane(at.lane);
    let events = lane.connection_events(store.call(at).connection);
    let first = events.iter().find(|event| matches!(event.kind, ConnectionEventKind::Closed(_)))?;
    (first.on.direction == Direction::ToServer && first.on.order <= end.order).then_some(first.on)
}

/// RFC 9113 §7: the stream is not needed any more.
const CANCEL: u32 = 8;

fn step(kind: StepKind, on: &Occurrence, server: &[ServerEvent]) -> Step {
    // Of the events before it, those that the client cannot have received when it sent this are not gates.
    let received = |event: &&ServerEvent| on.origin.acked.is_none_or(|acked| acked >= event.end);
    Step { kind, on: *on, gate: server.iter().take_while(received).count() }
}

const fn server_event(on: &Occurrence, ends: bool) -> ServerEvent {
    ServerEvent { order: on.order, at: on.at, end: on.end, ends }
}

/// Whether a client that resets after `elapsed` nanoseconds does so because its deadline has passed. Clients reset a little before
/// it, too, as they count from before they send.
const fn is_deadline(elapsed: i64, deadline_ns: u64) -> bool {
    elapsed >= 0 && elapsed.cast_unsigned() >= deadline_ns - deadline_ns / 20
}
