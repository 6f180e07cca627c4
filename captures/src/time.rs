//! Times of packets, as the capture gives them.

use std::time::Duration;

/// When a packet was captured: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Captures that claim times outside of the years 1678 to 2262 are held at those ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The time `units` units after the epoch, where a second has `units_per_second` of them, moved by
    /// `offset_seconds` (the two numbers that a pcapng interface states).
    pub fn from_units(units: u64, units_per_second: u64, offset_seconds: i64) -> Self {
        let per_second = i128::from(units_per_second.max(1));
        let units = i128::from(units);
        let seconds = units / per_second + i128::from(offset_seconds);
        let nanos = seconds * 1_000_000_000 + units % per_second * 1_000_000_000 / per_second;
        Self(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// Nanoseconds since the epoch; negative before it.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds from `earlier` to this time; negative when this is the earlier one.
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time moved on by `duration`.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
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
        assert_eq!(Timestamp::from_units(0, 0, i64::MIN).as_nanos(), i64::MIN);
    }
}
