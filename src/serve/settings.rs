//! What a user can choose about how calls are answered.

use std::time::Duration;

use clap::ValueEnum;

/// How calls are answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What follows when all equal recordings were used.
    pub(crate) reuse: Reuse,
    /// When answers are sent.
    pub(crate) delays: Delays,
    /// What delays are divided by.
    pub(crate) speed: f64,
    /// The longest delay.
    pub(crate) max_delay: Option<Duration>,
}

/// What follows when all recordings that equal a request were used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reuse {
    /// They are used again, from the first one on
    #[default]
    Cycle,
    /// The last one is used again and again
    Last,
    /// The call fails
    Error,
}

/// When answers are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Delays {
    /// As long after the request as in the recording
    #[default]
    Recorded,
    /// At once
    None,
}

impl Settings {
    /// How long to wait for what came `nanos` nanoseconds after something in the recording.
    pub(crate) fn delay(&self, nanos: i64) -> Duration {
        let nanos = u64::try_from(nanos).unwrap_or(0);
        let delay = match (self.delays, self.speed) {
            (Delays::None, _) => Duration::ZERO,
            (Delays::Recorded, 1.0) => Duration::from_nanos(nanos),
            (Delays::Recorded, speed) => {
                Duration::try_from_secs_f64(nanos as f64 / 1e9 / speed).unwrap_or(LONGEST_DELAY)
            }
        };
        delay.min(self.max_delay.unwrap_or(LONGEST_DELAY))
    }
}

/// Clocks of captures can be wrong by any amount.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);
