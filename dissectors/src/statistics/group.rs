//! Calls that belong together: of one method, one client, one minute.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rpcshark_captures::{Direction, Timestamp};

use super::grouping::GroupKey;
use super::{Histogram, Latencies, TimeSpan};
use crate::grpc::Status;
use crate::view::{CallView, Outcome};

/// What is known of the calls of a group together.
#[derive(Clone, Debug)]
pub struct Group {
    /// What its calls have in common.
    pub key: GroupKey,
    /// How many calls there are.
    pub calls: u64,
    /// Of how many of them the method is a guess.
    pub guessed: u64,
    /// How they went.
    pub outcomes: Outcomes,
    /// How they went, by status.
    pub results: BTreeMap<ResultKey, u64>,
    /// How long they took, where that is known.
    pub durations: Latencies,
    /// How long it took from the start to the first response message, where there is one and the start is known.
    pub first_answers: Latencies,
    /// What was sent to the server.
    pub requests: Traffic,
    /// What was sent to the client.
    pub responses: Traffic,
    /// How long senders waited for flow control.
    pub stalls: Waits,
    /// When the first call began, where the capture has times.
    pub first: Option<Timestamp>,
    /// When the last one began.
    pub last: Option<Timestamp>,
    /// When the first of the calls began that are open.
    pub first_open: Option<Timestamp>,
}

/// Counts of calls by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Status OK.
    pub ok: u64,
    /// Another status, on the wire or mapped.
    pub error: u64,
    /// Ended by RST_STREAM before any status.
    pub reset: u64,
    /// Ended without a status that was seen, or with the connection.
    pub incomplete: u64,
    /// No end is in the capture.
    pub open: u64,
    /// Ended with a status that is unknown.
    pub unknown: u64,
}

/// How a call went, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultKey {
    /// The status on the wire, or the one that the end maps to.
    Status(Status),
    /// Ended by RST_STREAM that maps to no status.
    Reset,
    /// Ended without a status that was seen.
    Incomplete,
    /// Not ended in the capture.
    Open,
    /// Ended with a status that is unknown.
    Unknown,
}

/// Waits for flow control, both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many calls had one.
    pub calls: u64,
    /// How long they were together, in nanoseconds.
    pub total_ns: u64,
    /// The longest of one call.
    pub longest_ns: u64,
}

/// Messages of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many messages.
    pub messages: u64,
    /// Their lengths on the wire, without prefixes.
    pub bytes: u64,
}

impl Outcomes {
    /// Calls that failed: with an error or a reset.
    pub const fn errors(&self) -> u64 {
        self.error + self.reset
    }

    fn add(&mut self, outcome: Option<Outcome>) {
        *match outcome {
            Some(Outcome::Ok) => &mut self.ok,
            Some(Outcome::Error) => &mut self.error,
            Some(Outcome::Reset) => &mut self.reset,
            Some(Outcome::Incomplete) => &mut self.incomplete,
            Some(Outcome::Open) => &mut self.open,
            None => &mut self.unknown,
        } += 1;
    }

    fn merge(&mut self, other: Self) {
        let Self { ok, error, reset, incomplete, open, unknown } = other;
        self.ok += ok;
        self.error += error;
        self.reset += reset;
        self.incomplete += incomplete;
        self.open += open;
        self.unknown += unknown;
    }
}

impl ResultKey {
    /// How `call` went.
    pub fn of(call: &CallView<'_>) -> Self {
        let outcome = call.outcome();
        let status = match outcome {
            Some(Outcome::Ok) => Some(Status::OK),
            Some(Outcome::Error | Outcome::Reset) => {
                call.status_code().or_else(|| call.mapped_status().map(|mapped| mapped.code))
            }
            _ => None,
        };
        match (status, outcome) {
            (Some(status), _) => Self::Status(status),
            (None, Some(Outcome::Reset)) => Self::Reset,
            (None, Some(Outcome::Incomplete)) => Self::Incomplete,
            (None, Some(Outcome::Open)) => Self::Open,
            (None, Some(Outcome::Ok | Outcome::Error) | None) => Self::Unknown,
        }
    }

    /// The name of the status, or the word for the outcome.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Status(status) => return status.name(),
            Self::Reset => "reset",
            Self::Incomplete => "incomplete",
            Self::Open => "open",
            Self::Unknown => "unknown",
        })
    }

    /// Whether calls that went so failed.
    pub fn is_error(self) -> bool {
        match self {
            Self::Status(status) => status != Status::OK,
            Self::Reset => true,
            Self::Incomplete | Self::Open | Self::Unknown => false,
        }
    }
}

impl Group {
    /// A group without calls.
    pub(super) fn new(key: GroupKey) -> Self {
        Self {
            key,
            calls: 0,
            guessed: 0,
            outcomes: Outcomes::default(),
            results: BTreeMap::new(),
            durations: Latencies::default(),
            first_answers: Latencies::default(),
            requests: Traffic::default(),
            responses: Traffic::default(),
            stalls: Waits::default(),
            first: None,
            last: None,
            first_open: None,
        }
    }

    /// Adds a call.
    pub(super) fn add(&mut self, call: &CallView<'_>) {
        let outcome = call.outcome();
        let start = call.start();
        self.calls += 1;
        self.guessed += u64::from(call.path().is_guessed());
        self.outcomes.add(outcome);
        *self.results.entry(ResultKey::of(call)).or_default() += 1;
        if let Some(nanos) = call.duration_ns() {
            self.durations.add(nanos);
        }
        let has_start = call.request_headers().is_some();
        let mut first_answer = None;
        for message in call.messages(Direction::ToClient) {
            first_answer = first_answer.or(Some(message.at()));
            self.responses.add(message.length());
        }
        call.messages(Direction::ToServer).for_each(|message| self.requests.add(message.length()));
        let first_answer = first_answer.flatten().and_then(|at| call.since_start(at));
        if let Some(nanos) = first_answer.filter(|_| has_start) {
            self.first_answers.add(nanos);
        }
        if let Some(stalls) = call.stalls().value() {
            let nanos = Direction::BOTH.map(|direction| stalls.of(direction).total_ns()).into_iter().sum();
            self.stalls.merge(Waits { calls: 1, total_ns: nanos, longest_ns: nanos });
        }
        self.first = earlier(self.first, start);
        self.last = self.last.max(start);
        if outcome == Some(Outcome::Open) {
            self.first_open = earlier(self.first_open, start);
        }
    }

    /// Adds the calls of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.guessed += other.guessed;
        self.outcomes.merge(other.outcomes);
        for (&result, count) in &other.results {
            *self.results.entry(result).or_default() += count;
        }
        self.durations.merge(&other.durations);
        self.first_answers.merge(&other.first_answers);
        self.requests.merge(other.requests);
        self.responses.merge(other.responses);
        self.stalls.merge(other.stalls);
        self.first = earlier(self.first, other.first);
        self.last = self.last.max(other.last);
        self.first_open = earlier(self.first_open, other.first_open);
    }

    /// How the durations spread.
    pub fn spread(&self) -> Histogram {
        Histogram::of(self.durations.nanos())
    }

    /// Calls per second in a capture that covers `span`; of the calls of one minute, in the part of the span that is in it.
    /// None if that takes no time.
    pub fn rate(&self, span: TimeSpan) -> Option<f64> {
        let span = match self.key {
            GroupKey::Minute(minute) => span.within_minute(minute),
            _ => span,
        };
        let nanos = span.nanos();
        (nanos > 0).then(|| self.calls as f64 * 1e9 / nanos as f64)
    }

    /// For how long the longest of the open calls has been open when the capture ends at `end`, in nanoseconds.
    pub fn longest_open_ns(&self, end: Timestamp) -> Option<i64> {
        self.first_open.map(|first| end.nanos_since(first))
    }
}

impl Waits {
    fn merge(&mut self, other: Self) {
        self.calls += other.calls;
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }
}

impl Traffic {
    fn add(&mut self, length: u32) {
        self.messages += 1;
        self.bytes += u64::from(length);
    }

    fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// The earlier of two times; an unknown one does not count.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
