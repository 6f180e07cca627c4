//! Times in text, in the form that a user asks for.

use jiff::tz::TimeZone;
use rpcshark_captures::Timestamp;

use super::text::{MAX_DECIMALS, push_right, push_seconds};

/// How text shows when something was. (JSON always has RFC 3339 in UTC.)
#[derive(Clone, Debug)]
pub enum Times {
    /// As seconds since this time.
    Since(Timestamp),
    /// As seconds since the line before.
    Delta,
    /// As date and time of day in UTC.
    Utc,
    /// As date and time of day in a zone, with the zone's distance from UTC.
    Zone(TimeZone),
    /// As seconds since the beginning of 1970.
    Epoch,
}

impl Times {
    /// Whether a time is a number of seconds with nothing beside it.
    pub(super) const fn is_seconds(&self) -> bool {
        matches!(self, Self::Since(_) | Self::Delta | Self::Epoch)
    }

    /// What the column is called.
    pub(super) const fn heading(&self) -> &'static str {
        if self.is_seconds() { "Time (s)" } else { "Time" }
    }

    /// Columns that a time takes, where the capture's times have `decimals`.
    pub fn width(&self, decimals: u8) -> usize {
        let fraction = |decimals: u8| if decimals > 0 { 1 + usize::from(decimals) } else { 0 };
        match self {
            Self::Since(_) | Self::Delta => (4 + fraction(decimals.min(MAX_DECIMALS))).max("Time (s)".len()),
            Self::Utc => "2018-04-07 05:46:40Z".len() + fraction(decimals),
            Self::Zone(_) => "2018-04-07 05:46:40+05:30".len() + fraction(decimals),
            Self::Epoch => "1523080000".len() + fraction(decimals),
        }
    }

    /// The time as text; `before` is that of the line before.
    pub fn text(&self, time: Timestamp, before: Option<Timestamp>, decimals: u8) -> String {
        let stamp = || jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())).unwrap_or_default();
        let format = |zone: &str| match decimals {
            0 => format!("%Y-%m-%d %H:%M:%S{zone}"),
            _ => format!("%Y-%m-%d %H:%M:%S.%{decimals}f{zone}"),
        };
        match self {
            Self::Since(since) => seconds(time.nanos_since(*since), decimals),
            Self::Delta => seconds(time.nanos_since(before.unwrap_or(time)), decimals),
            Self::Utc => stamp().strftime(&format("Z")).to_string(),
            Self::Zone(zone) => stamp().to_zoned(zone.clone()).strftime(&format("%:z")).to_string(),
            Self::Epoch => {
                let nanos = time.as_nanos();
                let sign = if nanos < 0 { "-" } else { "" };
                let nanos = nanos.unsigned_abs();
                let fraction = format!("{:09}", nanos % 1_000_000_000);
                let point = if decimals > 0 { "." } else { "" };
                let fraction = fraction.get(..usize::from(decimals)).unwrap_or(&fraction);
                format!("{sign}{}{point}{fraction}", nanos / 1_000_000_000)
            }
        }
    }

    /// Appends the time, filled up with spaces before it to `width` columns. One that is not known is left blank.
    pub(super) fn push(
        &self,
        time: Option<Timestamp>,
        before: Option<Timestamp>,
        decimals: u8,
        width: usize,
        out: &mut Vec<u8>,
    ) {
        let Some(time) = time else { return push_right(width, out, |_| {}) };
        push_right(width, out, |out| match self {
            Self::Since(since) => push_seconds(time.nanos_since(*since), decimals, out),
            _ => out.extend_from_slice(self.text(time, before, decimals).as_bytes()),
        });
    }
}

fn seconds(nanos: i64, decimals: u8) -> String {
    let mut text = Vec::new();
    push_seconds(nanos, decimals, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_every_form() {
        let time = Timestamp::from_nanos(1_523_080_000_002_500_007);
        let before = Timestamp::from_nanos(1_523_080_000_001_000_007);
        let text = |times: Times, decimals: u8| {
            let mut pushed = Vec::new();
            let width = times.width(decimals);
            times.push(Some(time), Some(before), decimals, width, &mut pushed);
            let text = times.text(time, Some(before), decimals);
            assert_eq!(String::from_utf8(pushed).unwrap(), format!("{text:>width$}"));
            text
        };
        assert_eq!(text(Times::Since(Timestamp::from_nanos(1_523_080_000_000_000_000)), 9), "0.002500");
        assert_eq!(text(Times::Delta, 6), "0.001500");
        assert_eq!(text(Times::Delta, 0), "0");
        assert_eq!(text(Times::Utc, 9), "2018-04-07 05:46:40.002500007Z");
        assert_eq!(text(Times::Utc, 0), "2018-04-07 05:46:40Z");
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        assert_eq!(text(Times::Zone(zone), 6), "2018-04-07 02:46:40.002500-03:00");
        assert_eq!(text(Times::Epoch, 9), "1523080000.002500007");
        assert_eq!(text(Times::Epoch, 0), "1523080000");
        assert_eq!(Times::Epoch.text(Timestamp::from_nanos(-1_500_000_000), None, 6), "-1.500000");
        assert_eq!(Times::Delta.text(time, None, 6), "0.000000");
    }
}
