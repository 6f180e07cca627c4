//! The lanes together, and the numbers that users see.

use std::num::NonZero;

use rpcshark_captures::prefetch;

use super::call::Call;
use super::chunks::Chunks;
use super::commit::{Committed, FrameRef};
use super::connection::Connection;
use super::ids::{CallRef, ConnectionId, ConnectionRef, LaneNo};
use super::lane::{Keep, Lane, Numbers};

/// Calls that were forgotten stay in the list of calls until so many of them are in it, and half of the list.
const FORGOTTEN_LISTED: usize = 4096;

/// What the connections held that were forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgottenConnections {
    /// How many there were.
    pub count: u64,
    /// Bytes of HTTP/2 and ttrpc that were cut off the packets.
    pub cut_bytes: u64,
}

impl ForgottenConnections {
    fn add(&mut self, connection: &Connection) {
        self.count += 1;
        if connection.protocol.carries_rpc() {
            let flows = connection.facts.iter().flat_map(|facts| &facts.flows);
            self.cut_bytes += flows.map(|flow| flow.cut()).sum::<u64>();
        }
    }
}

/// All that is known of a reading.
#[derive(Debug)]
pub struct Store {
    lanes: Vec<Lane>,
    /// Calls in the order of their numbers, without those that were forgotten.
    calls: Vec<CallRef>,
    /// The numbers of `calls`, once calls are forgotten.
    numbers: Vec<u32>,
    /// How many calls were numbered.
    numbered: u32,
    /// Calls that were forgotten and are still listed in `calls`.
    forgotten: usize,
    /// Connections by their number; `None` for numbers that are only reserved.
    connections: Chunks<Option<ConnectionRef>>,
    /// What the connections held that were forgotten.
    forgotten_connections: ForgottenConnections,
    /// Whether calls are forgotten.
    is_forgetting: bool,
    tcp_streams: u32,
    frames: u64,
    /// Whether commits list the calls that were completed.
    lists_completed: bool,
}

impl Store {
    /// An empty store of `lanes` lanes.
    pub fn new(lanes: u16, keep: Keep) -> Self {
        let lanes = (0..lanes).map(|_| Lane::new(keep)).collect();
        Self {
            lanes,
            calls: Vec::new(),
            numbers: Vec::new(),
            numbered: 0,
            forgotten: 0,
            connections: Chunks::default(),
            forgotten_connections: ForgottenConnections::default(),
            is_forgetting: false,
            tcp_streams: 0,
            frames: 0,
            lists_completed: true,
        }
    }

    /// From now on commits do not list which calls were completed: for those who look at calls only at the end.
    pub fn skip_completed(&mut self) {
        self.lists_completed = false;
    }

    /// The lanes, to be worked on: each by one thread at a time.
    pub fn lanes_mut(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// The lane `no`.
    pub fn lane(&self, no: LaneNo) -> &Lane {
        &self.lanes[no.0 as usize]
    }

    /// Ends a batch: numbers what it has added, in the order of the packets, whichever lane it came through.
    pub fn commit(&mut self) -> Committed {
        let mut calls = Vec::new();
        let mut connections = Vec::new();
        let mut completed = Vec::new();
        let mut frames = Vec::new();
        let mut changed = Vec::new();
        let mut changed_connections = Vec::new();
        let (mut opened, mut forgotten) = (Vec::new(), Vec::new());
        for (no, lane) in self.lanes.iter_mut().enumerate() {
            let no = LaneNo(no as u16);
            let mut pending = lane.take_pending();
            calls.extend(pending.calls.drain(..).map(|(key, id)| (key, CallRef { lane: no, id })));
            connections.extend(pending.connections.drain(..).map(|(first, id)| (first, no, id)));
            opened.extend(pending.opened.drain(..).map(|(number, id)| (number, ConnectionRef { lane: no, id })));
            forgotten.extend(pending.forgotten.drain(..).map(|first| (usize::from(no.0), first)));
            let ended = pending.completed.drain(..).filter(|_| self.lists_completed);
            completed.extend(ended.map(|(key, id)| (key, CallRef { lane: no, id })));
            frames.extend(pending.frames.drain(..).map(|(key, frame)| (key, no, frame)));
            let numbers = pending.changed.drain(..).filter_map(|id| lane.take_changed(id));
            changed.extend(numbers.map(NonZero::get));
            let numbers = pending.changed_connections.drain(..);
            changed_connections.extend(numbers.filter_map(|id| lane.take_changed_connection(id)));
            lane.reuse_pending(pending);
        }
        // A key names a connection, a connection is in one lane, and the entries of a connection are in order: a stable
        // sort by key gives one order, whatever the number of lanes.
        connections.sort_by_key(|&(first, ..)| first);
        calls.sort_by_key(|&(key, _)| key);
        completed.sort_by_key(|&(key, _)| key);
        frames.sort_by_key(|&(key, _, _)| key);
        changed.sort_unstable();

        let first_connection = self.connections.len();
        for (first, lane, id) in connections {
            self.number_connection(first, lane, id);
        }
        for (lane, first) in forgotten {
            self.lanes[lane].unreserve(first);
        }
        for (number, at) in opened {
            if let Some(reserved) = self.connections.at_mut(number) {
                *reserved = Some(at);
                changed_connections.push(number);
            }
        }
        changed_connections.sort_unstable();
        changed_connections.dedup();
        let first_call = self.numbered + 1;
        for (_, at) in calls {
            self.calls.push(at);
            self.numbered += 1;
            if self.forgets() {
                self.numbers.push(self.numbered);
            }
            self.lanes[at.lane.0 as usize].number_call(at.id, NonZero::new(self.numbered));
        }
        let frames = frames.into_iter().map(|(_, lane, frame)| {
            self.frames += 1;
            FrameRef { no: Some(self.frames), lane, frame }
        });
        Committed {
            calls: first_call..self.numbered + 1,
            changed,
            completed: completed.into_iter().map(|(_, at)| at).collect(),
            connections: first_connection..self.connections.len(),
            changed_connections,
            frames: frames.collect(),
        }
    }

    /// Frees the memory of calls that nobody looks at any more. Whoever reads without end forgets each call that is
    /// complete and was printed.
    pub fn forget(&mut self, calls: &[CallRef]) {
        if !self.is_forgetting {
            self.is_forgetting = true;
            self.lanes.iter_mut().for_each(Lane::begin_forgetting);
        }
        if !self.forgets() && !calls.is_empty() {
            self.numbers = (1..=self.numbered).collect();
        }
        for &at in calls {
            let lane = &mut self.lanes[at.lane.0 as usize];
            if !lane.call(at.id).forgotten {
                lane.forget_call(at.id);
                self.forgotten += 1;
            }
        }
        if self.forgotten > FORGOTTEN_LISTED && self.forgotten * 2 > self.calls.len() {
            let Self { lanes, calls, numbers, .. } = self;
            let keep = |at: &CallRef| lanes.get(at.lane.0 as usize).is_some_and(|lane| !lane.call(at.id).forgotten);
            let mut kept = calls.iter().map(keep);
            numbers.retain(|_| kept.next().unwrap_or(true));
            calls.retain(keep);
            self.forgotten = 0;
        }
        // While there are no calls, the connections explain why.
        if self.forgets() {
            let Self { lanes, connections, forgotten_connections, .. } = self;
            for lane in lanes {
                lane.forget_connections(|connection| {
                    forgotten_connections.add(connection);
                    let Some(no) = connection.number() else { return };
                    if let Some(listed) = connections.at_mut(no) {
                        *listed = None;
                        connections.remove(no, Option::is_none);
                    }
                });
                lane.forget_headers();
            }
        }
    }

    /// What the connections held that were forgotten.
    pub const fn forgotten_connections(&self) -> ForgottenConnections {
        self.forgotten_connections
    }

    /// Whether calls are forgotten.
    const fn forgets(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// Gives a call of a store that holds part of a capture the number that it has in the whole one. Such a store cannot be
    /// asked for calls by number.
    pub fn set_call_number(&mut self, at: CallRef, no: Option<NonZero<u32>>) {
        self.lanes[at.lane.0 as usize].number_call(at.id, no);
    }

    /// Likewise for a connection: gives it the numbers of `whole`.
    pub fn set_connection_number(&mut self, at: ConnectionRef, whole: &Connection) {
        let connection = self.lanes[at.lane.0 as usize].connection_mut(at.id);
        (connection.no, connection.tcp_stream) = (whole.no, whole.tcp_stream);
    }

    fn number_connection(&mut self, first_packet: u64, lane: LaneNo, id: Option<ConnectionId>) {
        self.connections.push(id.map(|id| ConnectionRef { lane, id }));
        let lane = &mut self.lanes[lane.0 as usize];
        let is_tcp = match id {
            Some(id) => {
                let connection = lane.connection_mut(id);
                connection.no = NonZero::new(self.connections.len());
                connection.tcp_stream = connection.over_tcp.then_some(self.tcp_streams);
                connection.over_tcp
            }
            None => {
                let no = self.connections.len() - 1;
                lane.set_reserved(first_packet, Numbers { no, tcp_stream: self.tcp_streams });
                true
            }
        };
        self.tcp_streams += u32::from(is_tcp);
    }

    /// All numbered calls in the order of their numbers. Where calls are forgotten, some of these may be.
    pub fn calls(&self) -> &[CallRef] {
        &self.calls
    }

    /// How many calls were numbered, those that were forgotten included.
    pub const fn call_count(&self) -> u32 {
        self.numbered
    }

    /// The call with the number `no` (from 1), unless it was forgotten.
    pub fn call_by_no(&self, no: u32) -> Option<CallRef> {
        let index = match self.forgets() {
            true => self.numbers.binary_search(&no).ok()?,
            false => (no as usize).checked_sub(1)?,
        };
        self.calls.get(index).copied().filter(|at| !self.call(*at).forgotten)
    }

    /// All connections in the order of their numbers. Some numbers are not used: those of connections that were half-open
    /// for so long that they were forgotten, and where calls are forgotten those of connections that have ended.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionRef> + Clone + '_ {
        (0..self.connections.len()).filter_map(|no| *self.connections.at(no)?)
    }

    /// The connection with the number `no` (from 0), unless it was forgotten while half-open.
    pub fn connection_by_no(&self, no: u32) -> Option<ConnectionRef> {
        *self.connections.at(no)?
    }

    /// How many numbers were given to connections: one more than the highest.
    pub fn connection_numbers(&self) -> usize {
        self.connections.len() as usize
    }

    /// A call.
    pub fn call(&self, at: CallRef) -> &Call {
        self.lane(at.lane).call(at.id)
    }

    /// Fetches a call into the processor's cache. Whoever looks at calls in their order asks for them some calls ahead.
    #[inline]
    pub fn prefetch_call(&self, at: CallRef) {
        let call = self.call(at);
        // A call takes three cache lines; these are spread over them.
        prefetch(call);
        prefetch(&call.request);
        prefetch(&call.response);
        prefetch(&call.rare);
    }

    /// A connection.
    pub fn connection(&self, at: ConnectionRef) -> &Connection {
        self.lane(at.lane).connection(at.id)
    }
}
