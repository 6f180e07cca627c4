//! A connection over time: read again by a worker of its own.

use std::sync::Arc;

use crate::model::timeline::Timeline;

/// What is asked of the timeline. Each request replaces the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineRequest {
    /// Reads a connection again.
    Read(u32),
    /// Gives up reading.
    Cancel,
}

/// Replies about the timeline.
#[derive(Clone, Debug)]
pub enum TimelineReply {
    /// A connection.
    Read(Arc<Timeline>),
    /// How far reading has come, in percent.
    Progress {
        /// The connection.
        connection: u32,
        /// How much of the capture has been read, in percent.
        percent: u8,
    },
    /// It cannot be read again.
    Failed {
        /// The connection.
        connection: u32,
        /// Why.
        why: String,
    },
}
