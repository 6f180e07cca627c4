//! What came of comparing two calls.

use super::difference::{Difference, MAX_DIFFERENCES, Root};

/// What came of comparing a recorded call with a replayed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// In one word.
    pub verdict: Verdict,
    /// Why, where the word alone does not say it.
    pub why: Option<String>,
    /// What differs, at most [`MAX_DIFFERENCES`].
    pub differences: Vec<Difference>,
    /// How many more differences there are.
    pub more: u64,
    /// How many differences were taken out because they are noise.
    pub noise: u64,
}

/// What came of a call, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No difference.
    Same,
    /// Something other than the status differs.
    Differs,
    /// The status differs, and maybe more.
    StatusChanged,
    /// The replay waited in vain for something that the recorded server had sent.
    Stalled,
    /// No answer in time, and the recorded call was no timeout.
    Timeout,
    /// The connection ended before the call did.
    ConnectionLost,
    /// The call was not sent.
    Skipped,
    /// It was sent, but cannot be compared: one of the calls is incomplete.
    NotComparable,
    /// Only the old one of two recordings has the call.
    Missing,
    /// Only the new one of two recordings has the call.
    Added,
}

impl Verdict {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 10] = [
        Self::Same,
        Self::Differs,
        Self::StatusChanged,
        Self::Stalled,
        Self::Timeout,
        Self::ConnectionLost,
        Self::Skipped,
        Self::NotComparable,
        Self::Missing,
        Self::Added,
    ];

    /// The word that output uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::StatusChanged => "status-changed",
            Self::Stalled => "stalled",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection-lost",
            Self::Skipped => "skipped",
            Self::NotComparable => "not-comparable",
            Self::Missing => "missing",
            Self::Added => "added",
        }
    }

    /// Whether it makes the exit status 1: the replayed call did not do what the recorded one did.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Same | Self::Skipped | Self::NotComparable)
    }
}

impl Comparison {
    /// One without differences.
    pub const fn of(verdict: Verdict, why: Option<String>) -> Self {
        Self { verdict, why, differences: Vec::new(), more: 0, noise: 0 }
    }

    /// A call that was not sent.
    pub const fn skipped(why: String) -> Self {
        Self::of(Verdict::Skipped, Some(why))
    }

    /// The same call where the replay knows better what became of it: it stalled, timed out, or lost its connection. What was
    /// found to differ before that stays.
    #[must_use]
    pub fn ended(mut self, verdict: Verdict, why: String) -> Self {
        self.verdict = verdict;
        self.why = Some(why);
        self
    }

    /// How many differences there are.
    pub fn count(&self) -> u64 {
        self.differences.len() as u64 + self.more
    }

    /// Determines the verdict anew from the differences, where it follows from them.
    pub(super) fn settle(&mut self) {
        if !matches!(self.verdict, Verdict::Same | Verdict::Differs | Verdict::StatusChanged) {
            return;
        }
        let code = format!("{}.code", Root::Status.name());
        self.verdict = match self.differences.iter().any(|difference| *difference.place == *code) {
            true => Verdict::StatusChanged,
            false if self.count() > 0 => Verdict::Differs,
            false => Verdict::Same,
        };
        if self.verdict != Verdict::StatusChanged {
            self.why = None;
        }
    }

    pub(super) fn add(&mut self, difference: Difference) {
        if self.differences.len() < MAX_DIFFERENCES {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }
}
