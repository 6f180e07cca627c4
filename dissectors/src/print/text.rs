//! Text for people: durations, sizes and names that fit a column.

use std::io;

use super::Escaped;
use crate::json::{DRAIN_AT, Drain, checkpoint};

/// A duration in nanoseconds in three significant digits: `356 µs`, `1.90 s`. `decimals`: how many decimals of a second the
/// times have that it was computed from; no digits are shown beyond.
pub fn duration_text(nanos: i64, decimals: u8) -> String {
    pushed(|out| push_duration(nanos, decimals, out))
}

/// A duration in nanoseconds with all its digits: `999.57 ms`.
pub(super) fn exact_duration_text(nanos: u64) -> String {
    let (unit, name) = match nanos {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let fraction = format!("{:09}", nanos % unit * (1_000_000_000 / unit));
    let text = format!("{}.{fraction}", nanos / unit);
    format!("{} {name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number of bytes with the unit that suits it: `14.2 KiB`.
pub fn size_text(bytes: u64) -> String {
    pushed(|out| push_size(bytes, out))
}

fn pushed(push: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut text = Vec::new();
    push(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

// Listings have a line for each of some hundred thousand calls. Formatting them with `core::fmt` took a third of all the
// time that reading a capture takes, so they are put together by hand.

/// Appends what [`duration_text`] gives.
pub(super) fn push_duration(nanos: i64, decimals: u8, out: &mut Vec<u8>) {
    /// Units, the number of nanoseconds in one, and the decimals of a second that it stands for.
    const UNITS: [(&str, u64, u8); 4] =
        [(" ns", 1, 9), (" µs", 1_000, 6), (" ms", 1_000_000, 3), (" s", 1_000_000_000, 0)];
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    // Nothing is shown in the smallest unit that the times have.
    let smallest = UNITS.iter().position(|&(_, _, exponent)| exponent <= decimals.max(3)).unwrap_or(0);
    let fitting = UNITS.iter().rposition(|&(_, unit, _)| nanos >= unit).unwrap_or(smallest);
    for &(name, unit, exponent) in UNITS.iter().skip(fitting) {
        let whole = nanos / unit;
        let wanted = if whole < 10 { 2 } else { u8::from(whole < 100) };
        let mut digits = wanted.min(decimals.saturating_sub(exponent));
        let mut rounded = rounded(nanos, unit, digits);
        // 9.996 becomes 10.0, and 999.6 µs becomes 1.00 ms.
        if rounded >= 1000 && digits > 0 {
            digits -= 1;
            rounded = self::rounded(nanos, unit, digits);
        }
        if rounded >= 1000 && digits == 0 && unit < 1_000_000_000 {
            continue;
        }
        let divisor = 10_u64.pow(digits.into());
        push_number(rounded / divisor, out);
        if digits > 0 {
            out.push(b'.');
            push_fraction(rounded % divisor, digits, out);
        }
        return out.extend_from_slice(name.as_bytes());
    }
}

/// `nanos` in units of `unit`, times ten to the power of `digits`, rounded.
fn rounded(nanos: u64, unit: u64, digits: u8) -> u64 {
    // A division of 64 bits takes a fraction of the time of one of 128.
    if let Some(scaled) = nanos.checked_mul(10_u64.pow(digits.into())).and_then(|scaled| scaled.checked_add(unit / 2)) {
        return scaled / unit;
    }
    let scaled = u128::from(nanos) * 10_u128.pow(digits.into());
    ((scaled + u128::from(unit / 2)) / u128::from(unit)) as u64
}

/// Appends nanoseconds as seconds with at most six decimals, and no more than `decimals`: `-12.000356`. Digits beyond are cut
/// off, so that times that follow one another never seem to go back.
pub(super) fn push_seconds(nanos: i64, decimals: u8, out: &mut Vec<u8>) {
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    push_number(nanos / 1_000_000_000, out);
    let decimals = decimals.min(MAX_DECIMALS);
    if decimals > 0 {
        out.push(b'.');
        let divisor = 10_u64.pow(9 - u32::from(decimals));
        push_fraction(nanos % 1_000_000_000 / divisor, decimals, out);
    }
}

/// How many decimals a time in seconds has at most.
pub(super) const MAX_DECIMALS: u8 = 6;

/// Appends the last `digits` digits of a number, at most nine of them, with zeros before it if it has fewer.
fn push_fraction(mut number: u64, digits: u8, out: &mut Vec<u8>) {
    let mut text = [b'0'; 9];
    let Some(text) = text.get_mut(..usize::from(digits)) else { return };
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(text);
}

/// Appends what [`size_text`] gives.
pub(super) fn push_size(bytes: u64, out: &mut Vec<u8>) {
    const UNITS: [&str; 6] = [" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"];
    if bytes < 1024 {
        push_number(bytes, out);
        return out.extend_from_slice(b" B");
    }
    let at = (bytes.ilog2() / 10) as usize;
    let tenths = ((u128::from(bytes) * 10) >> (at * 10)) as u64;
    push_number(tenths / 10, out);
    out.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8]);
    out.extend_from_slice(UNITS.get(at - 1).unwrap_or(&" EiB").as_bytes());
}

pub(super) fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `bytes` as [`Escaped`] shows them.
pub(super) fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    // Without an early end, so that many bytes are compared at once.
    match bytes.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        true => out.extend_from_slice(bytes),
        // Writing to a vector cannot fail.
        false => drop(io::Write::write_fmt(out, format_args!("{}", Escaped(bytes)))),
    }
}

/// Appends `bytes` of any number as [`Escaped`] shows them; `drain` empties `out` as it fills.
pub(super) fn write_escaped(bytes: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) {
    for chunk in bytes.utf8_chunks() {
        let mut valid = chunk.valid();
        while !valid.is_empty() {
            let (piece, rest) = valid.split_at(valid.floor_char_boundary(DRAIN_AT));
            push_escaped(piece.as_bytes(), out);
            checkpoint(out, drain);
            valid = rest;
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Appends what `push` appends, filled up with spaces after it to `width` characters.
pub(super) fn push_left(width: usize, out: &mut Vec<u8>, push: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    push(out);
    let missing = width.saturating_sub(characters(out, start));
    push_spaces(missing, out);
}

/// The same with the spaces before it.
pub(super) fn push_right(width: usize, out: &mut Vec<u8>, push: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    push(out);
    let missing = width.saturating_sub(characters(out, start));
    if missing == 0 {
        return;
    }
    let end = out.len();
    out.resize(end + missing, b' ');
    out.copy_within(start..end, start + missing);
    out[start..start + missing].fill(b' ');
}

/// Appends a number in the last of `width` columns.
pub(super) fn push_number_right(width: usize, number: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    push_spaces(width.saturating_sub(digits.len()), out);
    out.extend_from_slice(digits.as_bytes());
}

/// Appends a number in the first of `width` columns.
pub(super) fn push_number_left(width: usize, number: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    out.extend_from_slice(digits.as_bytes());
    push_spaces(width.saturating_sub(digits.len()), out);
}

fn push_spaces(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b' ');
}

/// Characters of the UTF-8 text from `start` on: the bytes that begin one.
fn characters(out: &[u8], start: usize) -> usize {
    out.get(start..).unwrap_or_default().iter().map(|&byte| usize::from(byte & 0xc0 != 0x80)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_significant_digits_and_none_that_the_times_do_not_have() {
        for (nanos, exact, micros, millis) in [
            (0, "0 ns", "0 µs", "0 ms"),
            (356, "356 ns", "356 ns", "356 ns"),
            (5_000, "5.00 µs", "5 µs", "5 µs"),
            (35_640, "35.6 µs", "36 µs", "36 µs"),
            (356_000, "356 µs", "356 µs", "356 µs"),
            (999_600, "1.00 ms", "1.00 ms", "1 ms"),
            (1_500_000, "1.50 ms", "1.50 ms", "2 ms"),
            (9_996_000, "10.0 ms", "10.0 ms", "10 ms"),
            (1_897_000_000, "1.90 s", "1.90 s", "1.90 s"),
            (-61_000_000_000, "-61.0 s", "-61.0 s", "-61.0 s"),
            (3_600_400_000_000, "3600 s", "3600 s", "3600 s"),
        ] {
            let texts = [9, 6, 3].map(|decimals| duration_text(nanos, decimals));
            assert_eq!(texts, [exact, micros, millis], "{nanos}");
        }
        assert_eq!(duration_text(i64::MIN, 9), "-9223372037 s");
    }

    #[test]
    fn an_exact_duration_has_all_its_digits_and_no_others() {
        let text = |nanos| exact_duration_text(nanos);
        assert_eq!([text(0), text(200_000_000), text(999_570_000)], ["0 ns", "200 ms", "999.57 ms"]);
        assert_eq!([text(100_000_000_000), text(1_000_000_001)], ["100 s", "1.000000001 s"]);
    }

    #[test]
    fn seconds_have_the_decimals_of_the_capture_up_to_six() {
        let text = |nanos, decimals| pushed(|out| push_seconds(nanos, decimals, out));
        assert_eq!(text(12_000_356_999, 9), "12.000356");
        assert_eq!(text(-12_000_356_999, 6), "-12.000356");
        assert_eq!((text(1_500_000_000, 3), text(1_500_000_000, 0)), ("1.500".to_owned(), "1".to_owned()));
    }

    #[test]
    fn sizes_fit_a_column() {
        assert_eq!(size_text(1023), "1023 B");
        assert_eq!(size_text(1024), "1.0 KiB");
        assert_eq!(size_text(14_541), "14.2 KiB");
        assert_eq!(size_text(u64::MAX), "15.9 EiB");
    }

    #[test]
    fn columns_are_filled_as_formatting_fills_them() {
        let columns = |push: fn(&mut Vec<u8>)| {
            let mut text = b"|".to_vec();
            push_left(9, &mut text, push);
            text.push(b'|');
            push_right(9, &mut text, push);
            text.push(b'|');
            String::from_utf8(text).expect("UTF-8")
        };
        assert_eq!(columns(|out| push_duration(1_500, 9, out)), format!("|{0:<9}|{0:>9}|", "1.50 µs"));
        assert_eq!(columns(|out| push_duration(-1_500_000_000, 9, out)), format!("|{0:<9}|{0:>9}|", "-1.50 s"));
        assert_eq!(columns(|out| push_size(123 << 20, out)), format!("|{0:<9}|{0:>9}|", "123.0 MiB"));
        assert_eq!(columns(|out| push_escaped("zü\x1b".as_bytes(), out)), format!("|{0:<9}|{0:>9}|", "zü\\u{1b}"));
        assert_eq!(columns(|out| push_number(12_345_678_901, out)), "|12345678901|12345678901|");
    }
}
