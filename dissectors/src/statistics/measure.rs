//! What groups of calls are sorted by.

use std::cmp::Ordering;

use super::Group;

/// A number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// What the group is called.
    Name,
    /// How many calls.
    Calls,
    /// How many failed.
    Errors,
    /// Which part of them failed.
    ErrorRate,
    /// How many are open.
    Open,
    /// Percentiles of the durations.
    P50,
    /// See [`Measure::P50`].
    P90,
    /// See [`Measure::P50`].
    P99,
    /// The longest duration.
    Max,
    /// The median of the time to the first answer.
    FirstP50,
    /// The 99th percentile of the time to the first answer.
    FirstP99,
    /// Messages, both directions.
    Messages,
    /// Bytes, both directions.
    Bytes,
    /// How long senders waited for flow control.
    Stalled,
    /// When the first call began.
    First,
}

impl Measure {
    /// All of them, with the names by which the command line knows them.
    pub const ALL: [(&'static str, Self); 15] = [
        ("name", Self::Name),
        ("calls", Self::Calls),
        ("errors", Self::Errors),
        ("error-rate", Self::ErrorRate),
        ("open", Self::Open),
        ("p50", Self::P50),
        ("p90", Self::P90),
        ("p99", Self::P99),
        ("max", Self::Max),
        ("first-p50", Self::FirstP50),
        ("first-p99", Self::FirstP99),
        ("messages", Self::Messages),
        ("bytes", Self::Bytes),
        ("stalled", Self::Stalled),
        ("first", Self::First),
    ];

    /// The one called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, measure)| measure)
    }

    /// Compares two groups; one that does not have the number comes last, whatever the direction.
    pub fn compare(self, a: &Group, b: &Group, descending: bool) -> Ordering {
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        match (self.of(a), self.of(b)) {
            _ if self == Self::Name => directed(a.key.cmp(&b.key)),
            (Some(a), Some(b)) => directed(a.cmp(&b)),
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (None, None) => Ordering::Equal,
        }
    }

    fn of(self, group: &Group) -> Option<i128> {
        let duration = |percent| group.durations.percentile(percent).map(i128::from);
        let first = |percent| group.first_answers.percentile(percent).map(i128::from);
        match self {
            Self::Name => None,
            Self::Calls => Some(group.calls.into()),
            Self::Errors => Some(group.outcomes.errors().into()),
            Self::ErrorRate => (i128::from(group.outcomes.errors()) << 32).checked_div(group.calls.into()),
            Self::Open => Some(group.outcomes.open.into()),
            Self::P50 => duration(50),
            Self::P90 => duration(90),
            Self::P99 => duration(99),
            Self::Max => duration(100),
            Self::FirstP50 => first(50),
            Self::FirstP99 => first(99),
            Self::Messages => Some((group.requests.messages + group.responses.messages).into()),
            Self::Bytes => Some((group.requests.bytes + group.responses.bytes).into()),
            Self::Stalled => (group.stalls.calls > 0).then(|| group.stalls.total_ns.into()),
            Self::First => group.first.map(|first| first.as_nanos().into()),
        }
    }
}
