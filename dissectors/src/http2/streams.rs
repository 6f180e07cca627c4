//! The streams of a connection: those in use, and for a while those that have closed.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;
use rpcshark_captures::Direction;

use super::flow::StreamWindow;
use super::state::{Event, State};
use crate::Arrival;
use crate::grpc::GrpcStream;
use crate::store::{CallId, Lane};

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) state: State,
    /// Where the first thing of it was seen.
    pub(super) begin: Arrival,
    /// What it carries.
    pub(super) carries: Carries,
    /// Whether its client's header block was there, or had its place.
    pub(super) requested: bool,
    /// Whether nothing more is expected of it.
    pub(super) completed: bool,
    /// Which directions their own sender has ended or reset.
    pub(super) ended: [bool; 2],
    /// Where in its flow the server's end of the stream stands.
    pub(super) answered_at: Option<u64>,
    /// The breaks in each direction that it has passed.
    pub(super) breaks: [u32; 2],
    /// Its windows, by the [`Direction::index`] of the DATA.
    pub(super) flow: [StreamWindow; 2],
}

/// What a stream carries.
#[derive(Debug)]
pub(super) enum Carries {
    /// A call, or perhaps one.
    Rpc(Box<GrpcStream>),
    /// A call that has ended: more of it may come all the same.
    Ended(CallId),
    /// No call: not known yet, a request that is no RPC, a push.
    Other,
}

impl Stream {
    pub(super) fn new(begin: Arrival) -> Self {
        Self {
            state: State::Idle,
            begin,
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
        // What was on its way when the other side ended the stream is no violation (RFC 9113 §5.1, "closed").
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

    pub(super) fn rpc(&mut self) -> Option<&mut GrpcStream> {
        if let Carries::Ended(call) = self.carries {
            self.carries = Carries::Rpc(Box::new(GrpcStream::resumed(call)));
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
    open: HashMap<u32, Stream>,
    /// Those that have closed, the oldest first. Calls come and go, so these are kept small and apart from what is in use.
    closed: VecDeque<Stream>,
    /// Their ids, in the same order: a look-up goes through all of them.
    closed_ids: VecDeque<u32>,
    /// The ids of those in use, even and odd ones, once a GOAWAY has asked for them.
    open_ids: Option<Box<[BTreeSet<u32>; 2]>>,
    /// The highest id seen, 0 where none was.
    pub(super) highest: u32,
}

/// Closed streams that are remembered, since frames that crossed their end may follow.
const CLOSED_KEPT: usize = 32;

/// The same for streams that one side has reset: the other may have sent more before it knew, and where the directions are not
/// delivered side by side (two raw files) all of that comes later.
const RESET_KEPT: usize = 512;

/// Streams that may be in use at once: servers allow some hundreds, and a hostile client opens as many as it likes.
const MAX_STREAMS: usize = 1 << 16;

impl Streams {
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        if id > self.highest {
            return None;
        }
        match self.open.get_mut(&id) {
            Some(stream) => Some(stream),
            None => {
                let at = self.closed_ids.iter().rposition(|&closed| closed == id)?;
                self.closed.get_mut(at)
            }
        }
    }

    /// Makes the stream `id`, which is not there. False: there are too many.
    pub(super) fn open(&mut self, id: u32, stream: Stream) -> bool {
        self.highest = self.highest.max(id);
        let room = self.open.len() < MAX_STREAMS;
        if room {
            self.open.insert(id, stream);
            if let Some(ids) = &mut self.open_ids {
                ids[id as usize % 2].insert(id);
            }
        }
        room
    }

    /// Says that `id` has closed, so that it is forgotten after a while.
    pub(super) fn close(&mut self, id: u32) {
        let Some(mut stream) = self.open.remove(&id) else { return };
        if let Some(ids) = &mut self.open_ids {
            ids[id as usize % 2].remove(&id);
        }
        stream.rest();
        if self.closed.len() >= CLOSED_KEPT {
            let over = self.closed.iter().position(|stream| stream.ended == [true; 2]);
            let over = over.or((self.closed.len() >= RESET_KEPT).then_some(0));
            if let Some(at) = over {
                self.closed.remove(at);
                self.closed_ids.remove(at);
            }
        }
        self.closed.push_back(stream);
        self.closed_ids.push_back(id);
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
    pub(super) fn in_order(&mut self) -> Vec<(u32, &mut Stream)> {
        let closed = self.closed_ids.iter().copied().zip(&mut self.closed);
        let mut all: Vec<_> = self.open.iter_mut().map(|(&id, stream)| (id, stream)).chain(closed).collect();
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
            assert!(streams.open(id, Stream::new(Arrival::default())));
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
            assert!(streams.open(id, Stream::new(Arrival::default())));
            streams.close(id);
        }
        assert_eq!(streams.in_order().len(), RESET_KEPT);
    }
}
