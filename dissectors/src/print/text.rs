//! Text for people: durations, sizes and names that fit a column.

use std::io;

use super::Escaped;

/// A duration in nanoseconds with three digits behind the point and the unit that suits it: `1.500 ms`.
pub fn duration_text(nanos: i64) -> String {
    pushed(|out| push_duration(nanos, out))
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
pub(super) fn push_duration(nanos: i64, out: &mut Vec<u8>) {
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    let (whole, part, unit) = match nanos {
        0..1_000_000 => (nanos / 1_000, nanos % 1_000, " µs"),
        1_000_000..1_000_000_000 => (nanos / 1_000_000, nanos / 1_000 % 1_000, " ms"),
        _ => (nanos / 1_000_000_000, nanos / 1_000_000 % 1_000, " s"),
    };
    push_number(whole, out);
    let digit = |value: u64| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[b'.', digit(part / 100), digit(part / 10), digit(part)]);
    out.extend_from_slice(unit.as_bytes());
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
    match bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        true => out.extend_from_slice(bytes),
        // Writing to a vector cannot fail.
        false => drop(io::Write::write_fmt(out, format_args!("{}", Escaped(bytes)))),
    }
}

/// Appends what `push` appends, filled up with spaces behind it to `width` characters.
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
    let (end, missing) = (out.len(), width.saturating_sub(characters(out, start)));
    push_spaces(missing, out);
    if let Some(text) = out.get_mut(start..) {
        text.copy_within(..end - start, missing);
        text.iter_mut().take(missing).for_each(|byte| *byte = b' ');
    }
}

fn push_spaces(mut count: usize, out: &mut Vec<u8>) {
    const SPACES: &[u8; 64] = &[b' '; 64];
    while let Some(spaces) = SPACES.get(..count.min(SPACES.len())).filter(|spaces| !spaces.is_empty()) {
        out.extend_from_slice(spaces);
        count -= spaces.len();
    }
}

/// Characters of the UTF-8 text from `start` on: the bytes that begin one.
fn characters(out: &[u8], start: usize) -> usize {
    out.get(start..).unwrap_or_default().iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(columns(|out| push_duration(1_500, out)), format!("|{0:<9}|{0:>9}|", "1.500 µs"));
        assert_eq!(columns(|out| push_duration(-1_500_000_000, out)), format!("|{0:<9}|{0:>9}|", "-1.500 s"));
        assert_eq!(columns(|out| push_size(123 << 20, out)), format!("|{0:<9}|{0:>9}|", "123.0 MiB"));
        assert_eq!(columns(|out| push_escaped("zü\x1b".as_bytes(), out)), format!("|{0:<9}|{0:>9}|", "zü\\u{1b}"));
        assert_eq!(columns(|out| push_number(12_345_678_901, out)), "|12345678901|12345678901|");
    }
}
