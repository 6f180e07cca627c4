//! The list of calls: filtered and sorted by a worker.

use std::sync::Arc;

/// The order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field that it goes by.
    pub field: String,
    /// Whether the largest comes first.
    pub down: bool,
}

/// What is asked of the list of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallsRequest {
    /// The calls that match `filter` in the order of `sort`; replaces the one before. Answered by
    /// [`Reply::List`](super::Reply::List).
    List {
        /// Comes back with the answers: those to older requests are ignored.
        generation: u64,
        /// A display filter, known to be valid; empty for all calls.
        filter: String,
        /// The order; by number without one.
        sort: Option<Sort>,
    },
    /// Gives up the current list.
    Cancel,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPart {
    /// That of the request.
    pub generation: u64,
    /// Whether these numbers replace what came before (a sorted list that was sorted again).
    pub replace: bool,
    /// Numbers of calls, to be added at the end.
    pub calls: Arc<Vec<u32>>,
    /// How many calls have been judged.
    pub judged: u64,
    /// How many of those could not be judged.
    pub unknown: u64,
    /// Whether all calls that there are have been judged.
    pub done: bool,
}
