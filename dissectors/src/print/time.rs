//! Times in text, in the form that a user asks for.

use jiff::tz::TimeZone;
use rpcshark_captures::Timestamp;

use super::text::{duration_text, push_duration, push_right};

/// How text shows when something was. (JSON always has RFC 3339 in UTC.)
#[derive(Clone, Debug)]
pub enum Times {
    /// As what had passed since this time.
    Since(Timestamp),
    /// As what had passed since the line before.
    Delta,
    /// As date and time of day in UTC.
    Utc,
    /// As date and time of day in a zone, with the zone's distance from UTC.
    Zone(TimeZone),
    /// As seconds since the beginning of 1970.
    Epoch,
}

impl Times {
    /// Columns that a time takes.
    pub const fn width(&self) -> usize {
        match self {
            Self::Since(_) | Self::Delta => 12,
            Self::Utc => 30,
            Self::Zone(_) => 35,
            Self::Epoch => 20,
        }
    }

    /// The time as text; `before` is that of the line before.
    pub fn text(&self, time: Timestamp, before: Option<Timestamp>) -> String {
        let stamp = || jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())).unwrap_or_default();
        match self {
            Self::Since(since) => duration_text(time.nanos_since(*since)),
            Self::Delta => duration_text(time.nanos_since(before.unwrap_or(time))),
            Self::Utc => stamp().strftime("%Y-%m-%d %H:%M:%S.%9fZ").to_string(),
            Self::Zone(zone) => stamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%9f%:z").to_string(),
            Self::Epoch => {
                let nanos = time.as_nanos();
                let sign = if nanos < 0 { "-" } else { "" };
                let nanos = nanos.unsigned_abs();
                format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
            }
        }
    }

    /// Appends the time, filled up with spaces before it to its columns.
    pub(super) fn push(&self, time: Timestamp, before: Option<Timestamp>, out: &mut Vec<u8>) {
        push_right(self.width(), out, |out| match self {
            Self::Since(since) => push_duration(time.nanos_since(*since), out),
            _ => out.extend_from_slice(self.text(time, before).as_bytes()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_every_form() {
        let time = Timestamp::from_nanos(1_523_080_000_002_500_007);
        let before = Timestamp::from_nanos(1_523_080_000_001_000_007);
        let text = |times: Times| {
            let mut pushed = Vec::new();
            times.push(time, Some(before), &mut pushed);
            let text = times.text(time, Some(before));
            assert_eq!(String::from_utf8(pushed).unwrap(), format!("{text:>width$}", width = times.width()));
            text
        };
        assert_eq!(text(Times::Since(Timestamp::from_nanos(1_523_080_000_000_000_000))), "2.500 ms");
        assert_eq!(text(Times::Delta), "1.500 ms");
        assert_eq!(text(Times::Utc), "2018-04-07 05:46:40.002500007Z");
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        assert_eq!(text(Times::Zone(zone)), "2018-04-07 02:46:40.002500007-03:00");
        assert_eq!(text(Times::Epoch), "1523080000.002500007");
        assert_eq!(Times::Epoch.text(Timestamp::from_nanos(-1_500_000_000), None), "-1.500000000");
        assert_eq!(Times::Delta.text(time, None), "0.000 µs");
    }
}
