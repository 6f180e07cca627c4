//! How durations spread: counts in buckets whose bounds are 1, 2 and 5 times a power of ten.

/// Counts of durations by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
}

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The longest duration that it holds, in nanoseconds; the shortest is above the bound of the bucket before.
    pub up_to_ns: i64,
    /// How many it holds.
    pub count: u64,
}

/// Buckets a power of ten.
const STEPS: [i64; 3] = [1, 2, 5];

/// The bound of a bucket in nanoseconds. The last bucket holds everything else.
fn bound(index: usize) -> i64 {
    let power = 10_i64.checked_pow(u32::try_from(index / STEPS.len()).unwrap_or(u32::MAX));
    power.and_then(|power| power.checked_mul(STEPS[index % STEPS.len()])).unwrap_or(i64::MAX)
}

impl Histogram {
    /// The spread of durations that are in ascending order.
    pub fn of(sorted: &[i64]) -> Self {
        let mut counts = Vec::new();
        let mut rest = sorted;
        for index in 0.. {
            if rest.is_empty() {
                break;
            }
            let count = rest.partition_point(|&nanos| nanos <= bound(index));
            counts.push(count as u64);
            rest = rest.get(count..).unwrap_or_default();
        }
        Self { counts }
    }

    /// The indexes of the first and the last bucket that hold something.
    pub fn range(&self) -> Option<(usize, usize)> {
        let first = self.counts.iter().position(|&count| count > 0)?;
        Some((first, self.counts.len() - 1))
    }

    /// How many durations are in the bucket with this index.
    pub fn count(&self, index: usize) -> u64 {
        self.counts.get(index).copied().unwrap_or(0)
    }

    /// The buckets that hold something.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let buckets = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        buckets.map(|(index, &count)| Bucket { up_to_ns: bound(index), count })
    }

    /// The bounds of the bucket with this index, in nanoseconds: above the first, up to the second.
    pub fn bounds(index: usize) -> (i64, i64) {
        (index.checked_sub(1).map_or(0, bound), bound(index))
    }
}

/// The buckets that several spreads have in common, so that they can be shown below each other: some buckets for each bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpreadAxis {
    first: usize,
    bars: usize,
    each: usize,
}

/// Bars of a spread at most.
const MAX_BARS: usize = 16;

impl SpreadAxis {
    /// The axis that all spreads fit; `None` if they are all empty.
    pub fn of<'a>(spreads: impl Iterator<Item = &'a Histogram>) -> Option<Self> {
        let ranges = spreads.filter_map(Histogram::range);
        let (first, last) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let count = last + 1 - first;
        let each = count.div_ceil(MAX_BARS);
        Some(Self { first, bars: count.div_ceil(each), each })
    }

    /// The shortest and the longest duration that bars are for, in nanoseconds.
    pub fn bounds(self) -> (i64, i64) {
        let (from, _) = Histogram::bounds(self.first);
        let (_, to) = Histogram::bounds(self.first + self.bars * self.each - 1);
        (from, to)
    }

    /// How many durations each bar stands for.
    pub fn counts(self, spread: &Histogram) -> Vec<u64> {
        let count = |bar: usize| {
            let from = self.first + bar * self.each;
            (from..from + self.each).map(|index| spread.count(index)).sum()
        };
        (0..self.bars).map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_up_to_one_two_and_five() {
        let histogram = Histogram::of(&[-5, 0, 1, 2, 3, 5, 6, 10, 1_000_001]);
        let buckets: Vec<_> = histogram.buckets().map(|bucket| (bucket.up_to_ns, bucket.count)).collect();
        assert_eq!(buckets, [(1, 3), (2, 1), (5, 2), (10, 2), (2_000_000, 1)]);
        assert_eq!(histogram.range(), Some((0, 19)));
        assert_eq!(Histogram::bounds(19), (1_000_000, 2_000_000));
        assert_eq!(Histogram::of(&[]).range(), None);
        assert_eq!(Histogram::of(&[i64::MAX]).buckets().count(), 1);
    }
}
