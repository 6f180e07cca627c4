//! The streams of a connection: those in use, and for a while those that have closed.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rpcshark_captures::Direction;

use super::state::State;
use crate::Moment;
use crate::grpc::GrpcStream;
use crate::store::{CallId, Lane};

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) state: State,
    /// Where the first thing of it was seen.
    pub(super) begin: Moment,
    /// What it carries.
    pub(super) carries: Carries,
    /// Whether its client's header block was there, or had its place.
    pub(super) requested: bool,
    /// Whether nothing more is expected of it.
    pub(super) settled: bool,
    /// Which directions their own sender has ended or reset.
    pub(super) ended: [bool; 2],
    /// Where in its flow the server's end of the stream stands.
    pub(super) answered_at: Option<u64>,
    /// The breaks in each direction that it has passed.
    pub(super) breaks: [u32; 2],
}

/// What a stream carries.
#[derive(Debug)]
pub(super) enum Carries {
    /// A call, or perhaps one.
    Rpc(Box<GrpcStream>),
    /// No call: not known yet, a request that is no RPC, a push.
    Other,
}

impl Stream {
    pub(super) fn new(begin: Moment) -> Self {
        Self {
            state: State::Idle,
            begin,
            carries: Carries::Other,
            requested: false,
            settled: false,
            ended: [false; 2],
            answered_at: None,
            breaks: [0; 2],
        }
    }

    /// Passes the breaks of each direction that came since the stream was last looked at: what was open then is not aligned
    /// any more.
    pub(super) fn pass_breaks(&mut self, breaks: &[u32; 2], broken_at: &[Moment; 2], lane: &mut Lane) {
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
        match &mut self.carries {
            Carries::Rpc(rpc) => Some(rpc),
            Carries::Other => None,
        }
    }

    pub(super) fn call(&self) -> Option<CallId> {
        match &self.carries {
            Carries::Rpc(rpc) => rpc.call(),
            Carries::Other => None,
        }
    }
}

/// All streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_id: HashMap<u32, Stream>,
    /// Closed ones that are still in `by_id`, the oldest first.
    closed: VecDeque<u32>,
    /// The highest id seen, 0 where none was.
    pub(super) highest: u32,
}

/// Closed streams that are remembered, since frames that crossed their end may follow.
const CLOSED_KEPT: usize = 32;

/// Streams that may be in use at once: servers allow some hundreds, and a hostile client opens as many as it likes.
const MAX_STREAMS: usize = 1 << 16;

impl Streams {
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.by_id.get_mut(&id)
    }

    /// The stream `id`, made if it is not there. `None`: there are too many.
    pub(super) fn entry(&mut self, id: u32, begin: Moment) -> Option<&mut Stream> {
        self.highest = self.highest.max(id);
        if self.by_id.len() >= MAX_STREAMS && !self.by_id.contains_key(&id) {
            return None;
        }
        Some(self.by_id.entry(id).or_insert_with(|| Stream::new(begin)))
    }

    /// Says that `id` has closed, so that it is forgotten after a while.
    pub(super) fn close(&mut self, id: u32) {
        self.closed.push_back(id);
        if self.closed.len() > CLOSED_KEPT
            && let Some(oldest) = self.closed.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    /// All streams in the order of their ids.
    pub(super) fn in_order(&mut self) -> Vec<(u32, &mut Stream)> {
        let mut all: Vec<_> = self.by_id.iter_mut().map(|(&id, stream)| (id, stream)).collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }
}
