//! The lanes together, and the numbers that users see.

use std::num::NonZero;

use super::call::Call;
use super::commit::{Committed, FrameRef};
use super::connection::Connection;
use super::ids::{CallRef, ConnectionRef, LaneNo};
use super::lane::{Keep, Lane};

/// All that is known of a reading.
#[derive(Debug)]
pub struct Store {
    lanes: Vec<Lane>,
    /// Calls by their number less one.
    calls: Vec<CallRef>,
    /// Connections by their number.
    connections: Vec<ConnectionRef>,
    tcp_streams: u32,
    frames: u64,
}

impl Store {
    /// An empty store of `lanes` lanes.
    pub fn new(lanes: u16, keep: Keep) -> Self {
        let lanes = (0..lanes).map(|_| Lane::new(keep)).collect();
        Self { lanes, calls: Vec::new(), connections: Vec::new(), tcp_streams: 0, frames: 0 }
    }

    /// The lanes, to be worked on: each by one thread at a time.
    pub fn lanes_mut(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// The lane `no`.
    pub fn lane(&self, no: LaneNo) -> &Lane {
        &self.lanes[no.0 as usize]
    }

    /// Ends a batch: numbers what it has brought, in the order of the packets, whichever lane it came through.
    pub fn commit(&mut self) -> Committed {
        let mut calls = Vec::new();
        let mut connections = Vec::new();
        let mut completed = Vec::new();
        let mut frames = Vec::new();
        for (no, lane) in self.lanes.iter_mut().enumerate() {
            let no = LaneNo(no as u16);
            let pending = lane.take_pending();
            calls.extend(pending.calls.into_iter().map(|(key, id)| (key, CallRef { lane: no, id })));
            connections
                .extend(pending.connections.into_iter().map(|(birth, id)| (birth, ConnectionRef { lane: no, id })));
            completed.extend(pending.completed.into_iter().map(|(key, id)| (key, CallRef { lane: no, id })));
            frames.extend(pending.frames.into_iter().map(|(key, frame)| (key, no, frame)));
        }
        // A key names a connection, a connection is in one lane, and each lane's list is in order: a stable sort by
        // key gives one order, whatever the number of lanes.
        connections.sort_by_key(|&(birth, _)| birth);
        calls.sort_by_key(|&(key, _)| key);
        completed.sort_by_key(|&(key, _)| key);
        frames.sort_by_key(|&(key, _, _)| key);

        for (_, at) in connections {
            self.number_connection(at);
        }
        for (_, at) in calls {
            self.calls.push(at);
            let no = NonZero::new(self.calls.len() as u32);
            self.lanes[at.lane.0 as usize].call_mut(at.id).no = no;
        }
        let frames = frames.into_iter().map(|(_, lane, frame)| {
            self.frames += 1;
            FrameRef { no: self.frames, lane, frame }
        });
        Committed { frames: frames.collect(), completed: completed.into_iter().map(|(_, at)| at).collect() }
    }

    fn number_connection(&mut self, at: ConnectionRef) {
        self.connections.push(at);
        let no = NonZero::new(self.connections.len() as u32);
        let connection = self.lanes[at.lane.0 as usize].connection_mut(at.id);
        connection.no = no;
        if connection.over_tcp {
            connection.tcp_stream = Some(self.tcp_streams);
            self.tcp_streams += 1;
        }
    }

    /// All numbered calls in the order of their numbers.
    pub fn calls(&self) -> &[CallRef] {
        &self.calls
    }

    /// The call with the number `no` (from 1).
    pub fn call_by_no(&self, no: u32) -> Option<CallRef> {
        self.calls.get((no as usize).checked_sub(1)?).copied()
    }

    /// All connections in the order of their numbers.
    pub fn connections(&self) -> &[ConnectionRef] {
        &self.connections
    }

    /// A call.
    pub fn call(&self, at: CallRef) -> &Call {
        self.lane(at.lane).call(at.id)
    }

    /// A connection.
    pub fn connection(&self, at: ConnectionRef) -> &Connection {
        self.lane(at.lane).connection(at.id)
    }
}
