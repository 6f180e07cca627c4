//! Statistics over many calls: counted by a worker.

use std::sync::Arc;

use crate::model::{Methods, ProblemList};

/// What is asked of statistics. Each request replaces the one before of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatisticsRequest {
    /// The calls that match a filter, by method. Answered by [`StatisticsReply::Methods`].
    Methods(String),
    /// The problems of the calls that match a filter, and of their connections. Answered by [`StatisticsReply::Problems`],
    /// more than once: what takes longer is added.
    Problems(String),
    /// Gives up all that is being counted.
    Cancel,
}

/// Replies about statistics.
#[derive(Clone, Debug)]
pub enum StatisticsReply {
    /// Calls by method.
    Methods(Arc<Methods>),
    /// Problems by kind.
    Problems(Arc<ProblemList>),
    /// How far counting has come.
    Progress {
        /// The filter of the request.
        filter: String,
        /// Calls that were judged.
        judged: u64,
        /// Calls that there are.
        of: u64,
    },
}
