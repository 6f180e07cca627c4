//! Times of packets, as the capture gives them.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZero;
use std::time::Duration;

/// When a packet was captured: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Captures that claim times outside of the years 1678 to 2262 are held at those ends. An `Option<Timestamp>` takes no
/// more room than a `Timestamp`: calls hold many times that may be unknown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp(NonZero<i64>);

/// The one count that no timestamp has; it stands for 0 inside.
const NEVER: i64 = i64::MIN;

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self::from_nanos(0);

    /// The time `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        let held = if nanos == NEVER { NEVER + 1 } else { nanos };
        match NonZero::new(held ^ NEVER) {
            Some(held) => Self(held),
            None => unreachable!(),
        }
    }

    /// The time `units` units after the epoch, where a second has `units_per_second` of them, moved by
    /// `offset_seconds` (the two numbers that a pcapng interface states).
    pub fn from_units(units: u64, units_per_second: u64, offset_seconds: i64) -> Self {
        let per_second = i128::from(units_per_second.max(1));
        let units = i128::from(units);
        let seconds = units / per_second + i128::from(offset_seconds);
        let nanos = seconds * 1_000_000_000 + units % per_second * 1_000_000_000 / per_second;
        Self::from_nanos(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// Nanoseconds since the epoch; negative before it.
    pub const fn as_nanos(self) -> i64 {
        self.0.get() ^ NEVER
    }

    /// Nanoseconds from `earlier` to this time; negative when this is the earlier one.
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.as_nanos().saturating_sub(earlier.as_nanos())
    }

    /// This time moved on by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self::from_nanos(self.as_nanos().saturating_add(nanos))
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::EPOCH
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_nanos().cmp(&other.as_nanos())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_any_resolution_become_nanoseconds() {
        assert_eq!(Timestamp::from_units(1_500_000, 1_000_000, 0).as_nanos(), 1_500_000_000);
        assert_eq!(Timestamp::from_units(3 << 9, 1 << 10, 7).as_nanos(), 8_500_000_000);
        assert_eq!(Timestamp::from_units(1, 1_000_000_000_000, 0).as_nanos(), 0);
        assert_eq!(Timestamp::from_units(u64::MAX, 1, i64::MAX).as_nanos(), i64::MAX);
        assert_eq!(Timestamp::from_units(0, 0, i64::MIN).as_nanos(), i64::MIN + 1);
    }

    #[test]
    fn times_are_ordered_by_their_count_and_an_unknown_one_costs_nothing() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX].map(Timestamp::from_nanos);
        assert!(times.is_sorted());
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<i64>());
    }
}
