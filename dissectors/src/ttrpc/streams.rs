//! The streams of a connection: those in use, and for a while those that are done.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rpcshark_captures::Direction;

use crate::store::{CallId, Lane};
use crate::{Arrival, Note, Severity};

/// One stream: one call.
///
/// ```text
///             Request                  Response, or Data of the server with "remote closed"
///   (none) ───────────▶ client open ───────────────────────────────────────────────────────▶ done
///                            │                                                                ▲
///                            │ "remote closed" of the client, or a unary Request              │
///                            └──────────────────────▶ client closed ──────────────────────────┘
/// ```
///
/// The server's end is the stream's end: nothing more from the client is read.
#[derive(Debug)]
pub(super) struct TtrpcStream {
    pub(super) call: CallId,
    /// Whether its Request was there.
    pub(super) requested: bool,
    /// Whether the client may send more.
    pub(super) client_open: bool,
    /// Whether the server has ended it.
    pub(super) done: bool,
    /// Whether nothing more is expected of it.
    pub(super) completed: bool,
    /// Whether there were frames in each direction.
    pub(super) seen: [bool; 2],
    /// The breaks in each direction that it has passed.
    pub(super) breaks: [u32; 2],
    /// How many streams were entered before it.
    order: u64,
}

impl TtrpcStream {
    /// Whether a Request may be the one that is missing: the two directions are delivered independently, so an answer may
    /// be there before what it answers.
    pub(super) const fn awaits_request(&self) -> bool {
        !self.requested && !self.seen[Direction::ToServer.index()]
    }

    /// Passes the breaks of each direction that came since the stream was last looked at.
    pub(super) fn pass_breaks(&mut self, breaks: [(u32, Arrival); 2], lane: &mut Lane) {
        for (direction, (passed, (now, at))) in Direction::BOTH.into_iter().zip(self.breaks.iter_mut().zip(breaks)) {
            if *passed == now {
                continue;
            }
            *passed = now;
            let (open, way) = match direction {
                Direction::ToServer => (self.client_open && !self.done, "to the server"),
                Direction::ToClient => (!self.done, "to the client"),
            };
            if open {
                let text = format!("bytes {way} are missing: messages and the end may be among them");
                lane.call_mut(self.call).note(Note::new(Severity::Warning, "gap", text).at(at.packet));
            }
        }
    }

    /// Swaps client and server.
    pub(super) fn swap_roles(&mut self) {
        self.seen.swap(0, 1);
        self.breaks.swap(0, 1);
        (self.client_open, self.done) = (!self.done, !self.client_open);
    }
}

/// All streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_id: HashMap<u32, TtrpcStream>,
    /// Those in `by_id` of which nothing more is expected, the oldest first.
    completed: VecDeque<(u32, CallId)>,
    /// The highest id that a Request had, 0 where there was none.
    pub(super) highest: u32,
    entered: u64,
}

/// Completed streams that are remembered: frames that crossed their end may follow, and an answer may come long after it
/// was given up.
const COMPLETED_KEPT: usize = 1024;

/// Streams that may be in use at once. Clients that give up on a call say nothing, so some stay in use for ever; a hostile
/// one opens as many as it likes.
const MAX_STREAMS: usize = 1 << 16;

impl Streams {
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut TtrpcStream> {
        self.by_id.get_mut(&id)
    }

    /// Enters a stream in place of an older one with the same id, which is given back. `forgotten`: those that had to make
    /// room for it.
    pub(super) fn enter(&mut self, id: u32, call: CallId, breaks: [u32; 2]) -> (Option<TtrpcStream>, Vec<TtrpcStream>) {
        let forgotten = if self.by_id.len() < MAX_STREAMS { Vec::new() } else { self.forget_older_half() };
        self.entered += 1;
        let stream = TtrpcStream {
            call,
            requested: false,
            client_open: true,
            done: false,
            completed: false,
            seen: [false; 2],
            breaks,
            order: self.entered,
        };
        (self.by_id.insert(id, stream), forgotten)
    }

    fn forget_older_half(&mut self) -> Vec<TtrpcStream> {
        let mut orders: Vec<u64> = self.by_id.values().map(|stream| stream.order).collect();
        let middle = orders.len() / 2;
        let (_, &mut middle, _) = orders.select_nth_unstable(middle);
        let mut forgotten: Vec<_> =
            self.by_id.extract_if(|_, stream| stream.order < middle).map(|(_, stream)| stream).collect();
        forgotten.sort_unstable_by_key(|stream| stream.order);
        forgotten
    }

    /// Says that nothing more is expected of `id`, so that it is forgotten after a while.
    pub(super) fn complete(&mut self, id: u32, call: CallId) {
        self.completed.push_back((id, call));
        if self.completed.len() > COMPLETED_KEPT
            && let Some((oldest, call)) = self.completed.pop_front()
            // The id may be another stream's by now.
            && self.by_id.get(&oldest).is_some_and(|stream| stream.call == call)
        {
            self.by_id.remove(&oldest);
        }
    }

    /// All streams in the order in which they were entered.
    pub(super) fn in_order(&mut self) -> Vec<(u32, &mut TtrpcStream)> {
        let mut all: Vec<_> = self.by_id.iter_mut().map(|(&id, stream)| (id, stream)).collect();
        all.sort_unstable_by_key(|(_, stream)| stream.order);
        all
    }
}
