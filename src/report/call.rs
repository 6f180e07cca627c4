//! What is reported of one call.

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::compare::{Comparison, Difference, Shown};
use rpcshark_dissectors::print::status_text;
use rpcshark_dissectors::view::CallView;

use super::sides::Sides;

/// One call of a recording, and what became of it.
#[derive(Debug)]
pub(crate) struct CallReport {
    /// The number of the recorded call; none for a call that only the other recording has.
    pub(crate) no: Option<u32>,
    /// The number of the call that it was compared with, where that has one: in another recording.
    pub(crate) other_no: Option<u32>,
    /// `service/method`; empty where the capture does not have it.
    pub(crate) method: String,
    /// What came of comparing them.
    pub(crate) comparison: Comparison,
    /// The recorded call.
    pub(crate) recorded: Option<CallFacts>,
    /// The call that it was compared with.
    pub(crate) replayed: Option<CallFacts>,
    /// Messages that differ, side by side; only where a report shows them.
    pub(crate) sides: Vec<Sides>,
}

/// What is reported of each side of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallFacts {
    /// The status or what is in its place, as text.
    pub(crate) status: String,
    /// When it began.
    pub(crate) start: Option<Timestamp>,
    /// How long it took.
    pub(crate) duration_ns: Option<i64>,
    /// Messages of the request and of the response.
    pub(crate) messages: [u64; 2],
    /// The first and the last packet.
    pub(crate) packets: (u64, u64),
}

impl CallFacts {
    pub(crate) fn of(call: &CallView<'_>) -> Self {
        let totals = call.totals();
        Self {
            status: status_text(call),
            start: call.start(),
            duration_ns: call.duration_ns(),
            messages: [totals.requests, totals.responses],
            packets: (call.first_packet().number(), call.last_packet().number()),
        }
    }
}

impl CallReport {
    /// The path of a call: `service/method`.
    pub(crate) fn method_of(call: &CallView<'_>) -> String {
        call.path().value().map(|path| path.trim_start_matches('/').to_owned()).unwrap_or_default()
    }

    /// What it is called in text: `call 3`, or `new call 4` for one that only the other recording has.
    pub(crate) fn name(&self) -> String {
        match (self.no, self.other_no) {
            (Some(no), Some(other)) if no != other => format!("call {no} (new: {other})"),
            (Some(no), _) => format!("call {no}"),
            (None, Some(other)) => format!("new call {other}"),
            (None, None) => "a call".to_owned(),
        }
    }

    /// The method as text.
    pub(crate) fn method_text(&self) -> &str {
        if self.method.is_empty() { "(unknown method)" } else { &self.method }
    }
}

/// Which message a difference is in, as text.
pub(super) fn message_text(difference: &Difference) -> Option<String> {
    let numbers = difference.message?;
    Some(match (numbers.recorded, numbers.replayed) {
        (Some(old), Some(new)) if old != new => format!("message {old} (now {new})"),
        (Some(number), _) | (None, Some(number)) => format!("message {number}"),
        (None, None) => return None,
    })
}

/// A value as text of at most so many characters.
pub(super) fn value_text(shown: &Shown, limit: usize) -> String {
    let Some(text) = shown.as_text() else { return "(none)".to_owned() };
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

/// The direction of the messages that a difference is in.
pub(super) fn direction_of(difference: &Difference) -> Option<Direction> {
    difference.message?;
    Some(if difference.place.starts_with("request") { Direction::ToServer } else { Direction::ToClient })
}
