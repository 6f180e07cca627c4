//! The clocks of a replay: recorded times as times of this run.

use std::time::Duration;

use rpcshark_captures::Timestamp;
use tokio::time::Instant;

/// Turns recorded times into times of this run.
#[derive(Debug)]
pub(crate) struct Clock {
    /// When the run began, by both clocks.
    began: Instant,
    began_at: Timestamp,
    /// The recorded time of the first thing that is sent.
    first: Timestamp,
    speed: f64,
    max_gap: Option<Duration>,
    /// Recorded times after which time was cut out, with all that was cut out so far, in nanoseconds.
    cuts: Vec<(Timestamp, i64)>,
}

impl Clock {
    /// Begins now. `sent`: when clients sent anything, ascending; gaps between these that are longer than `max_gap` are
    /// shortened to it.
    pub(crate) fn start(sent: &[Timestamp], speed: f64, max_gap: Option<Duration>) -> Self {
        let first = sent.first().copied().unwrap_or_default();
        let mut cuts = Vec::new();
        if let Some(max_gap) = max_gap {
            let longest = i64::try_from(max_gap.as_nanos()).unwrap_or(i64::MAX);
            let mut cut = 0;
            for pair in sent.windows(2) {
                let [before, after] = pair else { continue };
                let gap = after.nanos_since(*before);
                if gap > longest {
                    cut += gap - longest;
                    cuts.push((*after, cut));
                }
            }
        }
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let began_at = Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        Self { began: Instant::now(), began_at, first, speed, max_gap, cuts }
    }

    /// How long after the beginning something that was sent at `recorded` is sent.
    pub(crate) fn offset(&self, recorded: Timestamp) -> Duration {
        let before = self.cuts.partition_point(|&(at, _)| at <= recorded);
        let cut = before.checked_sub(1).and_then(|last| self.cuts.get(last)).map_or(0, |&(_, cut)| cut);
        self.scaled(recorded.nanos_since(self.first) - cut)
    }

    /// When something that was sent at `recorded` is to be sent.
    pub(crate) fn scheduled(&self, recorded: Timestamp) -> Instant {
        self.began + self.offset(recorded)
    }

    /// When something is to be sent that was sent at `recorded`, after something that happened then at `reference` and now at
    /// `live`.
    pub(crate) fn after(&self, live: Instant, reference: Timestamp, recorded: Timestamp) -> Instant {
        let gap = self.scaled(recorded.nanos_since(reference));
        live + self.max_gap.map_or(gap, |max_gap| gap.min(max_gap))
    }

    fn scaled(&self, nanos: i64) -> Duration {
        let nanos = u64::try_from(nanos).unwrap_or(0);
        if self.speed == 1.0 {
            return Duration::from_nanos(nanos);
        }
        Duration::try_from_secs_f64(nanos as f64 / 1e9 / self.speed).unwrap_or(Duration::MAX / 4)
    }

    /// When the run began.
    pub(crate) const fn began(&self) -> Instant {
        self.began
    }

    /// The time of day at `instant`.
    pub(crate) fn time_of_day(&self, instant: Instant) -> Timestamp {
        match instant.checked_duration_since(self.began) {
            Some(since) => self.began_at.plus(since),
            None => self.began_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_nanos(1_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn recorded_times_are_scaled_and_long_gaps_cut() {
        let sent = [at(0), at(100), at(10_100), at(10_200)];
        let clock = Clock::start(&sent, 1.0, None);
        assert_eq!(clock.offset(at(10_200)), Duration::from_millis(10_200));
        let clock = Clock::start(&sent, 2.0, Some(Duration::from_secs(1)));
        let offsets: Vec<_> = sent.iter().map(|&at| clock.offset(at).as_millis()).collect();
        assert_eq!(offsets, [0, 50, 550, 600]);
        // A gap after something else is at most as long, too.
        let live = Instant::now();
        assert_eq!(clock.after(live, at(0), at(9_000)), live + Duration::from_secs(1));
    }
}
