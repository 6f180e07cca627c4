//! The time that a capture covers.

use rpcshark_captures::{Direction, Timestamp};

use crate::view::Viewer;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// When it begins.
    pub first: Timestamp,
    /// When it ends.
    pub last: Timestamp,
}

impl TimeSpan {
    /// The time that a capture covers: from its first packet on (`first`), until the last thing that was seen on a connection
    /// or of a call.
    pub fn of(viewer: Viewer<'_>, first: Option<Timestamp>) -> Option<Self> {
        let store = viewer.store;
        let connections = store.connections().map(|at| viewer.connection(at));
        let connections = connections.flat_map(|connection| [connection.first(), connection.last()]);
        let calls = store.calls().iter().flat_map(|&at| {
            let call = viewer.call(at);
            let last = |direction| call.messages(direction).last().and_then(|message| message.at());
            [call.start(), call.ended_at(), last(Direction::ToServer), last(Direction::ToClient)]
        });
        let seen = connections.chain(calls).flatten().map(|at| (at, at));
        let all = first.map(|first| (first, first)).into_iter().chain(seen);
        let (first, last) = all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some(Self { first, last })
    }

    /// Its length in nanoseconds.
    pub fn nanos(self) -> i64 {
        self.last.nanos_since(self.first).max(0)
    }

    /// The part of it in the minute that begins at `minute`.
    pub(crate) fn within_minute(self, minute: Timestamp) -> Self {
        let end = Timestamp::from_nanos(minute.as_nanos().saturating_add(60_000_000_000));
        Self { first: self.first.max(minute), last: self.last.min(end) }
    }
}
