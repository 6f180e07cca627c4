//! Text for people: bytes without anything that a terminal would obey, durations and sizes that fit a column.

use std::fmt::{self, Write};

/// Bytes of a capture as text: what is not UTF-8 becomes U+FFFD, control characters are written out.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match is_dangerous(c) {
                    true => write!(f, "{}", c.escape_default())?,
                    false => f.write_char(c)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// Control characters, and those that turn the direction of text round.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A duration in nanoseconds with three digits behind the point and the unit that suits it: `1.500 ms`.
pub fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let (whole, part, unit) = match nanos {
        0..1_000_000 => (nanos / 1_000, nanos % 1_000, "µs"),
        1_000_000..1_000_000_000 => (nanos / 1_000_000, nanos / 1_000 % 1_000, "ms"),
        _ => (nanos / 1_000_000_000, nanos / 1_000_000 % 1_000, "s"),
    };
    format!("{sign}{whole}.{part:03} {unit}")
}

/// A number of bytes with the unit that suits it: `14.2 KiB`.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let at = (bytes.ilog2() / 10) as usize;
    let tenths = (u128::from(bytes) * 10) >> (at * 10);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(at - 1).unwrap_or(&"EiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(Escaped(b"a\x1b[31m\xff\n").to_string(), "a\\u{1b}[31m\u{fffd}\\n");
        assert_eq!(Escaped("z\u{202e}ürich".as_bytes()).to_string(), "z\\u{202e}ürich");
    }

    #[test]
    fn durations_and_sizes_fit_a_column() {
        assert_eq!(duration_text(999), "0.999 µs");
        assert_eq!(duration_text(1_500_000), "1.500 ms");
        assert_eq!(duration_text(-61_000_000_000), "-61.000 s");
        assert_eq!(size_text(1023), "1023 B");
        assert_eq!(size_text(1024), "1.0 KiB");
        assert_eq!(size_text(14_541), "14.2 KiB");
        assert_eq!(size_text(u64::MAX), "15.9 EiB");
    }
}
