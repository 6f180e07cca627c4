//! What an engine reports about a replay while it runs.

use std::time::Duration;

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::store::CallRef;

/// A call of the plan: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlanIx(pub(crate) u32);

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection was made.
    ConnectionUp {
        /// Its target's index.
        target: u16,
        /// Its number in the live record.
        connection: u32,
    },
    /// A connection has ended.
    ConnectionDown {
        /// Its number.
        connection: u32,
        /// Why.
        why: String,
    },
    /// A call began.
    Started {
        /// Which.
        call: PlanIx,
        /// When it was due.
        due: Timestamp,
        /// When it began.
        at: Timestamp,
    },
    /// Messages of a call were sent or received. Such events are left out while nobody keeps up.
    Progress {
        /// Which.
        call: PlanIx,
        /// Messages sent so far.
        sent: u32,
        /// Messages received so far.
        received: u32,
    },
    /// A call is over. There is exactly one such event for each call of the plan.
    Ended(Box<Ended>),
    /// Something worth knowing.
    Note(String),
    /// The replay is over. The last event.
    Finished(Finished),
}

/// How a call went.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Which.
    pub(crate) call: PlanIx,
    /// The call in the live store; `None` where nothing was sent.
    pub(crate) live: Option<LiveRef>,
    /// How it ended.
    pub(crate) how: How,
    /// When.
    pub(crate) timing: Timing,
    /// Recorded values and the live ones in their place, from `--capture`.
    pub(crate) mapped: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A call in the live store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiveRef {
    /// Its connection's number.
    pub(crate) connection: u32,
    /// Its stream.
    pub(crate) stream: u32,
    /// The call.
    pub(crate) at: CallRef,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The server ended it.
    Answered,
    /// We cancelled it, as the recorded client did, or as it was open at the end of the recording.
    Cancelled,
    /// Its deadline has passed.
    Deadline,
    /// What it waited for did not come.
    Stalled(String),
    /// Its connection was lost.
    ConnectionLost(String),
    /// It was not sent, or given up.
    Skipped(String),
}

/// When a call was to begin, began and ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    /// When it was due.
    pub(crate) due: Option<Timestamp>,
    /// When it began.
    pub(crate) started: Option<Timestamp>,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    /// How long it waited because the server allows only so many calls at once.
    pub(crate) slot_wait: Duration,
}

/// How a replay ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    /// When it began and ended.
    pub(crate) began: Option<Timestamp>,
    /// See above.
    pub(crate) ended: Option<Timestamp>,
    /// Calls that were sent again, as servers had not processed them.
    pub(crate) retried: u64,
    /// Why it was cut short, if it was.
    pub(crate) cut_short: Option<CutShort>,
    /// Why the capture (`-w`) is not whole.
    pub(crate) capture_fault: Option<String>,
}

/// Why a replay was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CutShort {
    /// The user ended it.
    Stopped,
    /// A server could not be reached at all.
    Unreachable(String),
    /// A server could not be reached any more.
    Lost(String),
    /// A call stalled, and the user wants to end then; or too many calls failed.
    Aborted(String),
}
