//! What the client of a call has sent so far.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::Held;

/// What the client of a call has sent so far. Whoever reads the connection fills it, whoever answers the call empties it.
#[derive(Default)]
pub(super) struct Incoming {
    /// Messages.
    messages: Cell<u32>,
    /// The client sends no more.
    closed: Cell<bool>,
    /// The client has cancelled the call, or its connection has ended.
    gone: Cell<bool>,
    /// What cannot be answered, with the status.
    fault: RefCell<Option<Fault>>,
    /// Contents of messages that somebody wants.
    contents: RefCell<VecDeque<Message>>,
    /// How many of them are still wanted.
    wanted: Cell<u32>,
    /// When messages came, and after them the half-close: those that are not passed.
    arrivals: RefCell<VecDeque<Instant>>,
    passed: Cell<u32>,
    changed: Notify,
}

/// The content of a message, decompressed, and what accounts for its memory.
pub(super) struct Message {
    pub(super) content: Vec<u8>,
    pub(super) _held: Vec<Held>,
}

/// Why a call cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: rpcshark_dissectors::grpc::Status,
    pub(super) why: String,
}

/// Times of arrival that are kept for a call; a client that is further ahead counts as if it had sent the rest later.
const MAX_ARRIVALS: usize = 1024;

/// Contents that wait for whoever answers.
const MAX_CONTENTS: usize = 16;

impl Incoming {
    /// For a call of which so many first messages are wanted.
    pub(super) fn wanting(count: u32) -> Self {
        Self { wanted: Cell::new(count), ..Self::default() }
    }

    /// Whether the content of the next message is wanted.
    pub(super) fn wants(&self) -> bool {
        self.wanted.get() > 0
    }

    /// Whether the next message has to wait until others were used.
    pub(super) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            if self.contents.borrow().len() < MAX_CONTENTS || self.wanted.get() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// A message has come; with its content if that is wanted.
    pub(super) fn message(&self, content: Option<Message>) {
        self.messages.set(self.messages.get().saturating_add(1));
        if let Some(content) = content.filter(|_| self.wants()) {
            self.wanted.set(self.wanted.get() - 1);
            self.contents.borrow_mut().push_back(content);
        }
        self.arrived();
    }

    /// The client sends no more.
    pub(super) fn close(&self) {
        if !self.closed.replace(true) {
            self.arrived();
        }
    }

    /// The client has cancelled the call, or its connection has ended.
    pub(super) fn leave(&self) {
        self.gone.set(true);
        self.changed.notify_waiters();
    }

    /// The call cannot be answered.
    pub(super) fn fail(&self, fault: Fault) {
        self.fault.borrow_mut().get_or_insert(fault);
        self.changed.notify_waiters();
    }

    fn arrived(&self) {
        let mut arrivals = self.arrivals.borrow_mut();
        if arrivals.len() < MAX_ARRIVALS {
            arrivals.push_back(Instant::now());
        }
        drop(arrivals);
        self.changed.notify_waiters();
    }

    /// How many messages have come.
    pub(super) fn count(&self) -> u32 {
        self.messages.get()
    }

    /// Whether the client sends no more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether the client has left.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Why the call cannot be answered.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.borrow().clone()
    }

    /// Whether there is a content to take.
    pub(super) fn has_content(&self) -> bool {
        !self.contents.borrow().is_empty()
    }

    /// The next content, `None` if there is none yet.
    pub(super) fn take(&self) -> Option<Message> {
        let taken = self.contents.borrow_mut().pop_front();
        if taken.is_some() {
            self.changed.notify_waiters();
        }
        taken
    }

    /// No more contents are wanted.
    pub(super) fn want_no_more(&self) {
        self.wanted.set(0);
        self.contents.borrow_mut().clear();
        self.changed.notify_waiters();
    }

    /// Waits until `is_so` is so.
    pub(super) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until `messages` messages have come, and the half-close if `half_close`. A client that sends no more sends none of
    /// what is missing, so nothing waits for that. Gives when the last of it came; `None` where nothing is waited for.
    pub(super) async fn pass(&self, messages: u32, half_close: bool) -> Option<Instant> {
        self.until(|this| this.closed.get() || this.messages.get() >= messages && !half_close).await;
        let target = messages.min(self.messages.get()) + u32::from(half_close && self.closed.get());
        let mut arrivals = self.arrivals.borrow_mut();
        while self.passed.get() + 1 < target && arrivals.len() > 1 {
            arrivals.pop_front();
            self.passed.set(self.passed.get() + 1);
        }
        match half_close && self.closed.get() {
            true => arrivals.back().copied(),
            false if target == 0 => None,
            false => arrivals.front().copied(),
        }
    }
}
