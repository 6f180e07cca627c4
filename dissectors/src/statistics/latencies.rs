//! Durations and their percentiles.

/// Durations in nanoseconds. Percentiles are exact: every duration is kept.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    nanos: Vec<i64>,
    sorted: bool,
}

/// What is mostly asked of durations, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The median.
    pub p50: i64,
    /// 90 % are not longer.
    pub p90: i64,
    /// 99 % are not longer.
    pub p99: i64,
    /// The longest.
    pub max: i64,
}

impl Latencies {
    /// Adds a duration.
    pub fn add(&mut self, nanos: i64) {
        self.nanos.push(nanos);
        self.sorted = false;
    }

    /// Adds all durations of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.nanos.extend_from_slice(&other.nanos);
        self.sorted = false;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.nanos.len() as u64
    }

    /// Sorts them, as the other functions need it.
    pub fn sort(&mut self) {
        self.nanos.sort_unstable();
        self.sorted = true;
    }

    /// All of them; in ascending order after [`Latencies::sort`].
    pub fn nanos(&self) -> &[i64] {
        &self.nanos
    }

    /// The percentile `percent` (1 to 100) by nearest rank: the smallest duration that at least `percent` of a hundred are not longer
    /// than. `None` if there are none, or if they are not sorted.
    pub fn percentile(&self, percent: u8) -> Option<i64> {
        if !self.sorted {
            return None;
        }
        let rank = (self.nanos.len() * usize::from(percent)).div_ceil(100).max(1);
        self.nanos.get(rank - 1).copied()
    }

    /// The usual percentiles; `None` if there are no durations, or if they are not sorted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        Some(Quantiles {
            p50: self.percentile(50)?,
            p90: self.percentile(90)?,
            p99: self.percentile(99)?,
            max: self.percentile(100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(nanos: &[i64]) -> Latencies {
        let mut latencies = Latencies::default();
        nanos.iter().for_each(|&nanos| latencies.add(nanos));
        latencies.sort();
        latencies
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        // The example of https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method
        let five = latencies(&[50, 15, 35, 20, 40]);
        let percentiles = [5, 30, 40, 50, 100].map(|percent| five.percentile(percent));
        assert_eq!(percentiles, [Some(15), Some(20), Some(20), Some(35), Some(50)]);
        let hundred = latencies(&(1..=100).collect::<Vec<_>>());
        assert_eq!(hundred.quantiles(), Some(Quantiles { p50: 50, p90: 90, p99: 99, max: 100 }));
        let two = latencies(&[7, -3]);
        assert_eq!(two.quantiles(), Some(Quantiles { p50: -3, p90: 7, p99: 7, max: 7 }));
        assert_eq!(latencies(&[]).quantiles(), None);
    }
}
