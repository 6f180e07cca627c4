//! What one batch of packets has changed in the store.

use super::frame::Frame;
use super::ids::{CallRef, LaneNo};

/// A frame of a batch, with the number that users see.
#[derive(Debug)]
pub struct FrameRef {
    /// Its number, from 1.
    pub no: u64,
    /// The lane of its connection, call and headers.
    pub lane: LaneNo,
    /// The frame.
    pub frame: Frame,
}

/// What a batch of packets has brought, in the order in which it was there.
#[derive(Debug, Default)]
pub struct Committed {
    /// Calls that nothing more is expected of.
    pub completed: Vec<CallRef>,
    /// Frames, if they are wanted.
    pub frames: Vec<FrameRef>,
}
