//! How a replay is carried out: what the options of the command say, without the command line.

use std::time::Duration;

use crate::address::Address;
use crate::rpc::TlsSettings;

/// What a client event waits for on other calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// Nothing: calls are independent, only the order within each call is kept
    Stream,
    /// A call starts after what its client had received on the same connection
    Conn,
    /// As conn, and messages, half-closes and cancels wait likewise
    ConnStrict,
    /// A call starts after what its client had received on any connection
    #[default]
    Global,
    /// Only what captured values connect (--capture)
    Data,
}

/// When things are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Pace {
    /// As long after what was waited for as the client took then.
    #[default]
    Think,
    /// At the recorded times, or later where something has to be waited for.
    Recorded,
    /// At once.
    Asap,
    /// So many calls start per second, whatever comes back.
    Rate(f64),
}

/// What happens to a call that waits for what does not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnStall {
    /// Go on without it
    Send,
    /// Cancel the call, and continue with the others
    #[default]
    SkipCall,
    /// End the replay
    Abort,
}

/// What happens when a connection is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnConnectionLoss {
    /// Connect again for the calls that follow
    #[default]
    Reconnect,
    /// Skip the other calls of that connection
    Drop,
    /// End the replay
    Abort,
}

/// Which connection a call is sent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Connections {
    /// As in the recording.
    #[default]
    Recorded,
    /// A new one for each call.
    PerCall,
    /// So many, in turn.
    Pool(u32),
}

/// Which deadline calls have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Deadline {
    /// That of the recording.
    #[default]
    Recorded,
    /// That of the recording, so many times as long.
    Times(f64),
    /// None.
    None,
    /// This one, for all calls.
    Fixed(Duration),
}

/// Where recorded calls are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct To {
    /// The recorded server that this is for; `None`: for all.
    pub(crate) recorded: Option<Address>,
    /// The address.
    pub(crate) address: Address,
}

/// How a replay is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) to: Vec<To>,
    pub(crate) order: Order,
    pub(crate) pace: Pace,
    pub(crate) speed: f64,
    pub(crate) max_gap: Option<Duration>,
    pub(crate) connections: Connections,
    pub(crate) on_stall: OnStall,
    pub(crate) on_connection_loss: OnConnectionLoss,
    pub(crate) deadline: Deadline,
    /// Calls in progress at once, at most.
    pub(crate) concurrency: usize,
    /// Calls that start per second, at most.
    pub(crate) max_rate: Option<f64>,
    /// The replay ends when so many calls have stalled or lost their connections.
    pub(crate) max_errors: Option<u64>,
    /// How long a stall lasts at least.
    pub(crate) stall_after: Duration,
    /// How long a server that cannot be reached is tried.
    pub(crate) connect_for: Duration,
    pub(crate) tls: TlsSettings,
    pub(crate) authority: Option<String>,
}

impl std::str::FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "think" => Ok(Self::Think),
            "recorded" => Ok(Self::Recorded),
            "asap" => Ok(Self::Asap),
            _ => match text.strip_prefix("rate=").and_then(|rate| rate.parse().ok()) {
                Some(rate) if rate > 0.0 && rate <= MAX_RATE => Ok(Self::Rate(rate)),
                _ => Err("is not think, recorded, asap or rate=CALLS_PER_SECOND".to_owned()),
            },
        }
    }
}

/// Calls per second that can be asked for.
const MAX_RATE: f64 = 1e6;

impl std::str::FromStr for Connections {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "recorded" => Ok(Self::Recorded),
            "per-call" => Ok(Self::PerCall),
            _ => match text.strip_prefix("pool=").and_then(|count| count.parse().ok()) {
                Some(count @ 1..=MAX_POOL) => Ok(Self::Pool(count)),
                _ => Err(format!("is not recorded, per-call or pool=N (1 to {MAX_POOL})")),
            },
        }
    }
}

/// Connections of a pool.
const MAX_POOL: u32 = 1024;

impl std::str::FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "recorded" => Ok(Self::Recorded),
            "none" => Ok(Self::None),
            _ => match text.strip_prefix('x').map(str::parse::<f64>) {
                Some(Ok(times)) if times > 0.0 && times.is_finite() => Ok(Self::Times(times)),
                _ => parse_duration(text)
                    .map(Self::Fixed)
                    .map_err(|_| "is not recorded, none, xN or a duration such as 500ms".to_owned()),
            },
        }
    }
}

impl std::str::FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A path may hold `=`, too: what precedes it must be an address.
        for (at, _) in text.match_indices('=') {
            let (recorded, address) = (&text[..at], &text[at + 1..]);
            if let (Ok(recorded), Ok(address)) = (recorded.parse(), address.parse()) {
                return Ok(Self { recorded: Some(recorded), address });
            }
        }
        match text.parse() {
            Ok(address) => Ok(Self { recorded: None, address }),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A duration: a number and `ns`, `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
///
/// If it is not one, or is longer than a hundred years.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text} is not a duration such as 500ms, 5s or 2m")),
    };
    let seconds = number.parse::<f64>().map(|number| number * seconds).unwrap_or(f64::NAN);
    match (0.0..=LONGEST).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("{text} is not a duration such as 500ms, 5s or 2m")),
    }
}

/// A hundred years, in seconds.
const LONGEST: f64 = 100.0 * 366.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        assert_eq!("rate=50".parse(), Ok(Pace::Rate(50.0)));
        assert!("rate=0".parse::<Pace>().is_err());
        assert_eq!("pool=4".parse(), Ok(Connections::Pool(4)));
        assert!("pool=0".parse::<Connections>().is_err());
        assert_eq!("x2".parse(), Ok(Deadline::Times(2.0)));
        assert_eq!("500ms".parse(), Ok(Deadline::Fixed(Duration::from_millis(500))));
        assert!("5".parse::<Deadline>().is_err());
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(parse_duration("1e9h").is_err());
    }

    #[test]
    fn a_target_may_name_the_recorded_server() {
        let to: To = "unix:/a=unix:/b".parse().expect("two addresses");
        assert_eq!(to.recorded, Some(Address::UnixPath(b"/a".to_vec())));
        let to: To = "10.0.0.7:1=localhost:2".parse().expect("two addresses");
        assert_eq!(to.address.to_string(), "localhost:2");
        let to: To = "unix:/a=b".parse().expect("one path");
        assert_eq!((to.recorded, to.address), (None, Address::UnixPath(b"/a=b".to_vec())));
        assert!("nowhere".parse::<To>().is_err());
    }
}
