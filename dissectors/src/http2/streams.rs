//! The streams of a connection: those in use, and for a while those that have closed.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZero;

use hashbrown::HashMap;
use rpcshark_captures::{Direction, prefetch};

use super::flow::StreamWindow;
use super::state::{Event, State};
use crate::Arrival;
use crate::rpc::RpcStream;
use crate::store::{CallId, Lane};

/// One stream.
#[derive(Debug)]
pub(super) struct Http2Stream {
    pub(super) state: State,
    /// What it carries.
    pub(super) carries: Carries,
    /// Whether its client's header block was there, or had its place.
    pub(super) requested: bool,
    /// Whether nothing more is expected of it.
    pub(super) completed: bool,
    /// Which directions their own sender has ended or reset.
    pub(super) ended: [bool; 2],
    /// The offset in its flow after the server's end of the stream.
    pub(super) answered_at: Option<NonZero<u64>>,
    /// The breaks in each direction that it has passed.
    pub(super) breaks: [u32; 2],
    /// Its windows, by the [`Direction::index`] of the DATA.
    pub(super) flow: [StreamWindow; 2],
}

/// What a stream carries.
#[derive(Debug)]
pub(super) enum Carries {
    /// A call, or perhaps one.
    Rpc(Box<RpcStream>),
    /// A call that has ended: more of it may come all the same.
    Ended(CallId),
    /// No call: not known yet, a request that is no RPC, a push.
    Other,
}

impl Http2Stream {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            carries: Carries::Other,
            requested: false,
            completed: false,
            ended: [false; 2],
            answered_at: None,
            breaks: [0; 2],
            flow: Default::default(),
        }
    }

    /// Brings it to its next state; what is wrong about that. `whole`: the connection was seen from its beginning on.
    #[inline]
    pub(super) fn advance(&mut self, event: Event, direction: Direction, whole: bool) -> Option<&'static str> {
        let (next, wrong) = self.state.after(event, direction);
        self.state = next;
        // What was on its way when the other side ended the stream is not a violation (RFC 9113 §5.1, "closed").
        let own =
            self.ended[direction.index()] || !matches!(event, Event::Headers | Event::Data) || next == State::Open;
        wrong.filter(|_| whole && own)
    }

    /// Passes the breaks of each direction that came since the stream was last looked at: what was open then is not aligned
    /// any more.
    pub(super) fn pass_breaks(&mut self, breaks: &[u32; 2], broken_at: &[Arrival; 2], lane: &mut Lane) {
        for direction in Direction::BOTH {
            let at = direction.index();
            if self.breaks[at] == breaks[at] {
                continue;
            }
            self.breaks[at] = breaks[at];
            if self.state.is_open(direction)
                && let Some(rpc) = self.rpc()
            {
                rpc.unalign(lane, direction, Some(broken_at[at]));
            }
        }
    }

    pub(super) fn rpc(&mut self) -> Option<&mut RpcStream> {
        if let Carries::Ended(call) = self.carries {
            self.carries = Carries::Rpc(Box::new(RpcStream::resumed(call)));
        }
        match &mut self.carries {
            Carries::Rpc(rpc) => Some(rpc),
            Carries::Ended(_) | Carries::Other => None,
        }
    }

    pub(super) fn call(&self) -> Option<CallId> {
        match &self.carries {
            Carries::Rpc(rpc) => rpc.call(),
            Carries::Ended(call) => Some(*call),
            Carries::Other => None,
        }
    }

    /// Gives back the memory that is only needed while something is open.
    fn rest(&mut self) {
        if let Carries::Rpc(rpc) = &self.carries
            && let Some(call) = rpc.at_rest()
        {
            self.carries = Carries::Ended(call);
        }
    }
}

/// All streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Those in use, those that have closed, and what is left of forgotten ones. A stream never moves.
    slots: Vec<Http2Stream>,
    /// Slots whose streams are forgotten.
    free: Vec<Slot>,
    /// Those in use, by id.
    open: HashMap<u32, Slot>,
    /// Those that have closed, in the order in which they did.
    closed: VecDeque<Closed>,
    /// The stream that was looked up last. The next frame is most often on the same one.
    last: (u32, Slot),
    /// The ids of those in use, even and odd ones, once a GOAWAY has asked for them.
    open_ids: Option<Box<[BTreeSet<u32>; 2]>>,
    /// The highest id seen, 0 where none was.
    pub(super) highest: u32,
}

/// An index in [`Streams::slots`].
type Slot = u32;

/// A stream that has closed.
#[derive(Clone, Copy, Debug)]
struct Closed {
    id: u32,
    slot: Slot,
    /// Both sides had ended it when it closed, so that nothing more is expected.
    is_over: bool,
}

// Each connection keeps some that have closed.
const _: () = assert!(size_of::<Http2Stream>() <= 96);

/// Closed streams that are remembered, since frames that crossed their end may follow.
const CLOSED_KEPT: usize = 32;

/// The same for streams that one side has reset: the other may have sent more before it knew, and where the directions are not
/// delivered side by side (two raw files) all of that comes later.
const RESET_KEPT: usize = 512;

/// Streams that may be in use at once: servers allow some hundreds, and a hostile client opens as many as it likes.
const MAX_STREAMS: usize = 1 << 16;

impl Streams {
    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Http2Stream> {
        if self.last.0 != id {
            self.last = (id, self.find(id)?);
        }
        self.slots.get_mut(self.last.1 as usize).filter(|_| id != 0)
    }

    fn find(&self, id: u32) -> Option<Slot> {
        if id > self.highest {
            return None;
        }
        let open = self.open.get(&id).copied();
        open.or_else(|| self.closed.iter().rev().find(|closed| closed.id == id).map(|closed| closed.slot))
    }

    /// Makes the stream `id`, which is not there. False: there are too many.
    pub(super) fn open(&mut self, id: u32, stream: Http2Stream) -> bool {
        self.highest = self.highest.max(id);
        let room = self.open.len() < MAX_STREAMS;
        if room {
            let slot = self.fill_slot(stream);
            self.open.insert(id, slot);
            self.last = (id, slot);
            if let Some(ids) = &mut self.open_ids {
                ids[id as usize % 2].insert(id);
            }
            // When this one closes, the oldest that has closed is forgotten, which nobody has looked at for long.
            if self.closed.len() >= CLOSED_KEPT
                && let Some(oldest) = self.closed.front().and_then(|oldest| self.slots.get(oldest.slot as usize))
            {
                prefetch(oldest);
                prefetch(&oldest.carries);
            }
        }
        room
    }

    fn fill_slot(&mut self, stream: Http2Stream) -> Slot {
        if let Some(slot) = self.free.pop()
            && let Some(free) = self.slots.get_mut(slot as usize)
        {
            *free = stream;
            return slot;
        }
        // In small steps: there may be many connections.
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(4.max(self.slots.len() / 4));
        }
        self.slots.push(stream);
        self.slots.len() as Slot - 1
    }

    /// Says that `id` has closed, so that it is forgotten after a while.
    pub(super) fn close(&mut self, id: u32) {
        let Some(slot) = self.open.remove(&id) else { return };
        if let Some(ids) = &mut self.open_ids {
            ids[id as usize % 2].remove(&id);
        }
        let Self { slots, free, closed, last, .. } = self;
        let is_ended =
            |slots: &[Http2Stream], slot: Slot| slots.get(slot as usize).is_none_or(|stream| stream.ended == [true; 2]);
        let is_over = is_ended(slots, slot);
        if let Some(stream) = slots.get_mut(slot as usize) {
            stream.rest();
        }
        if closed.len() >= CLOSED_KEPT {
            let over = closed.iter().position(|closed| closed.is_over || is_ended(slots, closed.slot));
            let over = over.or((closed.len() >= RESET_KEPT).then_some(0));
            if let Some(Closed { id, slot, .. }) = over.and_then(|at| closed.remove(at)) {
                if let Some(stream) = slots.get_mut(slot as usize) {
                    stream.carries = Carries::Other;
                }
                free.push(slot);
                if last.0 == id {
                    *last = (0, 0);
                }
            }
        }
        closed.push_back(Closed { id, slot, is_over });
    }

    /// The streams in use with odd (or even) ids above `last`, in order. It takes time for those only, and once for all that are
    /// in use. They must be closed then.
    pub(super) fn take_open_above(&mut self, last: u32, odd: bool) -> BTreeSet<u32> {
        let ids = self.open_ids.get_or_insert_with(|| {
            let mut ids = Box::<[BTreeSet<u32>; 2]>::default();
            for &id in self.open.keys() {
                ids[id as usize % 2].insert(id);
            }
            ids
        });
        ids[usize::from(odd)].split_off(&last.saturating_add(1))
    }

    /// All streams in the order of their ids.
    pub(super) fn in_order(&mut self) -> Vec<(u32, &mut Http2Stream)> {
        let mut ids = vec![0; self.slots.len()];
        let open = self.open.iter().map(|(&id, &slot)| (id, slot));
        for (id, slot) in open.chain(self.closed.iter().map(|closed| (closed.id, closed.slot))) {
            if let Some(of_slot) = ids.get_mut(slot as usize) {
                *of_slot = id;
            }
        }
        let mut all: Vec<_> = ids.into_iter().zip(&mut self.slots).filter(|&(id, _)| id != 0).collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_streams_are_known_for_a_while() {
        let mut streams = Streams::default();
        let ids = || (1..=2 * CLOSED_KEPT as u32).map(|nth| 2 * nth - 1);
        for id in ids() {
            assert!(streams.get_mut(id).is_none());
            assert!(streams.open(id, Http2Stream::new()));
            streams.get_mut(id).expect("just opened").ended = [true; 2];
            streams.close(id);
            assert!(streams.get_mut(id).is_some());
        }
        let known: Vec<u32> = ids().filter(|&id| streams.get_mut(id).is_some()).collect();
        assert_eq!(known, ids().skip(CLOSED_KEPT).collect::<Vec<_>>());
        assert_eq!(streams.in_order().iter().map(|(id, _)| *id).collect::<Vec<_>>(), known);
    }

    #[test]
    fn streams_that_one_side_has_reset_are_known_for_longer_but_not_for_ever() {
        let mut streams = Streams::default();
        for id in (1..4 * RESET_KEPT as u32).step_by(2) {
            assert!(streams.open(id, Http2Stream::new()));
            streams.close(id);
        }
        assert_eq!(streams.in_order().len(), RESET_KEPT);
    }
}
