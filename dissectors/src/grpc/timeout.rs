//! `grpc-timeout`: digits and a unit, `999570u`.

use std::time::Duration;

/// The protocol allows eight digits; some more do no harm, and the number stays small enough for every unit.
const MAX_DIGITS: usize = 10;

/// The deadline, from when the call began. `None` for anything that is not a timeout.
pub fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (value, nanos) in [
            ("999570u", 999_570_000),
            ("1n", 1),
            ("20m", 20_000_000),
            ("3S", 3_000_000_000),
            ("2M", 120_000_000_000),
            ("1H", 3_600_000_000_000),
            ("0S", 0),
            ("99999999H", 359_999_996_400_000_000_000),
            ("9999999999H", 35_999_999_996_400_000_000_000),
        ] {
            assert_eq!(parse(value.as_bytes()).map(|timeout| timeout.as_nanos()), Some(nanos), "{value}");
        }
    }

    #[test]
    fn others_are_none() {
        for wrong in ["", "S", "1", "1s", "1h", "-1S", "+1S", "1.5S", " 1S", "1S ", "10000000000S", "1é"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
