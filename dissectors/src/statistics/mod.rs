//! Statistics over the calls of a capture, as values: tables of methods, problems by kind, and a summary.
//!
//! Everything here is computed from [`view`](crate::view) and knows nothing of how it is shown; `print` turns it into text and
//! JSON, and the terminal UI into screens.

mod group;
mod grouping;
mod histogram;
mod latencies;
mod problem_kinds;
mod problems;
mod span;
mod summary;

pub use group::{Group, Outcomes, ResultKey, Traffic, Waits};
pub use grouping::{GroupBy, GroupKey, Groups};
pub use histogram::{Bucket, Histogram, SpreadAxis};
pub use latencies::{Latencies, Quantiles};
pub use problem_kinds::{KINDS, ProblemKind};
pub use problems::{MAX_PLACES, Place, Problem, Problems, Resets};
pub use span::TimeSpan;
pub use summary::{Failure, SUMMARY_ROWS, Summary, SummaryCalls, SummaryFile};
