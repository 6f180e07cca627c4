//! Where in a list of calls problems are: found by a worker, for the scrollbar.

use std::ops::Range;
use std::sync::Arc;

/// Asks which rows of a list are of failed calls. Answered by [`ProblemRows`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemRowsRequest {
    /// Comes back with the answer.
    pub generation: u64,
    /// The rows to look at.
    pub rows: Range<u64>,
    /// The numbers of the calls in these rows; `None` where row 0 is call 1, and so on.
    pub calls: Option<Arc<Vec<u32>>>,
}

/// Which rows of a list are of failed calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemRows {
    /// That of the request.
    pub generation: u64,
    /// The rows that were looked at.
    pub rows: Range<u64>,
    /// Those of failed calls, ascending.
    pub failed: Arc<Vec<u32>>,
    /// How many of the calls have notes.
    pub noted: u64,
}
