//! Frames: read again from the capture by a worker, kept outside memory, and given out a window at a time.

use std::sync::Arc;

use crate::model::Fields;
use crate::model::frames::FrameRow;

/// What is asked of frames. `generation`: comes back with the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FramesRequest {
    /// Reads frames. Replaces what was opened before; where only the filter is another one, nothing is read again.
    Open {
        /// Comes back with the answers.
        generation: u64,
        /// The number of the connection; all frames of the capture without one.
        connection: Option<u32>,
        /// A display filter for frames, known to be valid.
        filter: String,
        /// The first frame of this call is sought ([`FramesReply::Found`]).
        call: Option<u32>,
        /// This row of the list before is sought, where the same frames are shown with another filter.
        row: Option<u64>,
    },
    /// Rows of the list, by their indexes.
    Rows {
        /// That of the list.
        generation: u64,
        /// The first.
        from: u64,
        /// How many.
        count: u64,
    },
    /// One frame in full.
    Detail {
        /// That of the list.
        generation: u64,
        /// Its row.
        row: u64,
    },
    /// Seeks a row. Answered by [`FramesReply::Found`].
    Find {
        /// That of the list.
        generation: u64,
        /// From this row on, which does not count.
        from: u64,
        /// What is sought.
        sought: Sought,
    },
    /// Stops reading. What has been read stays.
    Stop,
}

/// What is sought in a list of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The next row with a problem.
    NextProblem,
    /// The previous one.
    PreviousProblem,
    /// The frame with this number, or, where frames have none, the first one of the packet with this number.
    Number(u64),
}

/// Replies about frames.
#[derive(Clone, Debug)]
pub enum FramesReply {
    /// How far the reading has come.
    Progress(FramesProgress),
    /// Rows that were asked for.
    Rows {
        /// That of the list.
        generation: u64,
        /// The index of the first.
        from: u64,
        /// The rows, as many as there are.
        rows: Vec<FrameRow>,
    },
    /// One frame in full.
    Detail {
        /// That of the list.
        generation: u64,
        /// Its row.
        row: u64,
        /// Its fields and bytes.
        fields: Arc<Fields>,
    },
    /// What was sought.
    Found {
        /// That of the list.
        generation: u64,
        /// Its row; `None` where there is none.
        row: Option<u64>,
    },
}

/// How far the reading of frames has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FramesProgress {
    /// That of the list.
    pub generation: u64,
    /// Rows that the filter leaves, as far as they were judged.
    pub rows: u64,
    /// Rows without a filter.
    pub all: u64,
    /// Rows about which the filter cannot decide.
    pub unknown: u64,
    /// How much of the capture was read, of a hundred.
    pub percent: u8,
    /// Whether everything was read and judged.
    pub done: bool,
    /// Why the reading ended early.
    pub failed: Option<String>,
}
