//! What one batch of packets has changed in the store.

use std::ops::Range;

use super::frame::Frame;
use super::ids::{CallRef, LaneNo};

/// A frame of a batch, with the number that users see.
#[derive(Clone, Debug)]
pub struct FrameRef {
    /// Its number, from 1; none where only part of the capture was read.
    /// Its number, from 1; none where only a part of the capture was read.
    pub no: Option<u64>,
    /// The lane of its connection, call and headers.
    pub lane: LaneNo,
    /// The frame.
    pub frame: Frame,
}

/// What a batch of packets has added and changed. Numbers are those that users see.
#[derive(Debug, Default)]
pub struct Committed {
    /// The numbers of the calls that are new.
    pub calls: Range<u32>,
    /// The numbers of those that were there before and changed, each once, ascending.
    pub changed: Vec<u32>,
    /// Calls of which nothing more is expected from now on, new or not, in the order in which they ended. A call is
    /// listed in one commit only.
    pub completed: Vec<CallRef>,
    /// The numbers of the connections that are new.
    pub connections: Range<u32>,
    /// The numbers of those that were there before and changed, each once, ascending.
    pub changed_connections: Vec<u32>,
    /// Frames in the order in which they were complete, if they are wanted.
    pub frames: Vec<FrameRef>,
}
