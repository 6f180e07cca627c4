//! A call in progress: how far it is.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rpcshark_captures::Direction;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::script::{Script, ServerEvent};
use super::wire::{Prefixes, Seen};

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Active {
    /// Its index in the plan.
    pub(crate) ix: u32,
    pub(crate) script: Script,
    /// Messages of the recorded server.
    messages: usize,
    /// Wakes the call's task when anything below changes.
    pub(crate) changed: Notify,
    /// Its connection's number and its stream, once it has one.
    pub(crate) key: Cell<Option<(u32, u32)>>,
    /// Whether its request was written.
    pub(crate) is_begun: Cell<bool>,
    /// Where in a message each direction is, by [`Direction::index`].
    prefixes: [Cell<Prefixes>; 2],
    /// How much of [`progress`](Self::progress) the gates know.
    pub(crate) told: Cell<usize>,
    /// Whether the call's task waits until something is written.
    pub(crate) is_flushing: Cell<bool>,
    /// Messages that were written.
    pub(crate) sent: Cell<u32>,
    /// Whether its half-close was written.
    pub(crate) is_half_closed: Cell<bool>,
    /// Whether our reset was written.
    pub(crate) is_reset: Cell<bool>,
    /// Messages that have come.
    pub(crate) received: Cell<u32>,
    /// How it ended.
    pub(crate) ended: Cell<Option<Ending>>,
    /// Why its connection was lost.
    pub(crate) lost: RefCell<Option<String>>,
    /// What it waits for in vain.
    pub(crate) stalled: RefCell<Option<String>>,
    /// When its deadline passes.
    pub(crate) deadline: Cell<Option<Instant>>,
    /// Events of the server that are not waited for any more (`--on-stall send`).
    pub(crate) waived: Cell<usize>,
    /// Since when the server's next event is due.
    pub(crate) due_since: Cell<Option<Instant>>,
    /// When the server did something last.
    pub(crate) last_heard: Cell<Option<Instant>>,
    /// The step that the client is at.
    pub(crate) at_step: Cell<usize>,
    /// Since when it waits for flow control.
    pub(crate) blocked_since: Cell<Option<Instant>>,
}

/// How a call ended on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By the server.
    Server,
    /// By a reset of the server with this code.
    Reset(u32),
    /// By a GOAWAY: the server has not processed it.
    Goaway,
}

/// RFC 9113 §7: the stream was refused before anything was processed.
const REFUSED_STREAM: u32 = 7;

impl Ending {
    /// Whether the server says that it has not processed the call.
    pub(crate) const fn is_unprocessed(self) -> bool {
        matches!(self, Self::Goaway | Self::Reset(REFUSED_STREAM))
    }
}

impl Active {
    pub(crate) fn new(ix: u32, script: Script) -> Rc<Self> {
        let messages = script.server.iter().filter(|event| !event.ends).count();
        Rc::new(Self {
            ix,
            script,
            messages,
            changed: Notify::new(),
            key: Cell::default(),
            is_begun: Cell::default(),
            prefixes: Default::default(),
            told: Cell::default(),
            is_flushing: Cell::default(),
            sent: Cell::default(),
            is_half_closed: Cell::default(),
            is_reset: Cell::default(),
            received: Cell::default(),
            ended: Cell::default(),
            lost: RefCell::default(),
            stalled: RefCell::default(),
            deadline: Cell::default(),
            waived: Cell::default(),
            due_since: Cell::default(),
            last_heard: Cell::default(),
            at_step: Cell::default(),
            blocked_since: Cell::default(),
        })
    }

    /// Forgets what happened on a connection: the call is sent again.
    pub(crate) fn begin_again(&self) {
        self.key.set(None);
        self.is_begun.set(false);
        self.prefixes.iter().for_each(|prefixes| prefixes.set(Prefixes::default()));
        self.sent.set(0);
        self.is_half_closed.set(false);
        self.is_reset.set(false);
        self.received.set(0);
        self.ended.set(None);
        self.lost.replace(None);
        self.deadline.set(None);
        self.at_step.set(0);
        self.blocked_since.set(None);
    }

    /// Takes note of something that was seen on the wire. Gives how many messages that was.
    pub(crate) fn see(&self, direction: Direction, seen: Seen<'_>) -> u32 {
        let is_client = direction == Direction::ToServer;
        let count = match seen {
            Seen::Body { bytes, .. } => {
                let prefixes = &self.prefixes[direction.index()];
                let mut at = prefixes.get();
                let count = at.count(bytes);
                prefixes.set(at);
                count
            }
            Seen::Message { .. } => 1,
            _ => 0,
        };
        let ends = matches!(seen, Seen::Headers { end: true, .. } | Seen::Body { end: true, .. } | Seen::End { .. });
        if is_client {
            self.is_begun.set(self.is_begun.get() || matches!(seen, Seen::Headers { .. }));
            self.sent.set(self.sent.get() + count);
            self.is_half_closed.set(self.is_half_closed.get() || ends);
            self.is_reset.set(self.is_reset.get() || matches!(seen, Seen::Reset { .. }));
            return count;
        }
        if self.ended.get().is_none() {
            self.received.set(self.received.get() + count);
        }
        match seen {
            Seen::Reset { code, .. } => self.end(Ending::Reset(code)),
            _ if ends => self.end(Ending::Server),
            _ => {}
        }
        count
    }

    pub(crate) fn end(&self, ending: Ending) {
        if self.ended.get().is_none() && !self.is_reset.get() {
            self.ended.set(Some(ending));
        }
    }

    /// Whether it has more than one message in a direction.
    pub(crate) fn has_streams(&self) -> bool {
        self.messages > 1 || self.script.steps.len() > 2
    }

    /// How many of the recorded server's events have come, or are not waited for.
    pub(crate) fn progress(&self) -> usize {
        let all = self.script.server.len();
        if self.ended.get().is_some() {
            return all;
        }
        let messages = (self.received.get() as usize).min(self.messages);
        (messages + self.waived.get()).min(all)
    }

    /// The next thing that the recorded server did.
    pub(crate) fn frontier(&self) -> Option<ServerEvent> {
        self.script.server.get(self.progress()).copied()
    }

    /// Whether all messages of the recorded server have come.
    pub(crate) fn has_all_messages(&self) -> bool {
        self.progress() >= self.messages
    }

    /// Where it is, for somebody who wants to know what it waits for.
    pub(crate) fn position(&self) -> String {
        let at = self.script.steps.get(self.at_step.get()).map_or_else(
            || "after its last message".to_owned(),
            |step| match step.kind {
                super::script::StepKind::Message { number, .. } => format!("at client message {}", number + 1),
                super::script::StepKind::HalfClose => "at the half-close".to_owned(),
                super::script::StepKind::Cancel(_) => "at the cancel".to_owned(),
            },
        );
        let waiting = match self.progress() {
            at if at < self.messages => format!("waiting for server message {}", at + 1),
            _ => "waiting for the end".to_owned(),
        };
        format!("stalled {at}, {waiting}")
    }
}
