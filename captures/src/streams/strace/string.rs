//! Strings as strace writes them.
//!
//! `-xx`: every byte as `\x2f`. Without it C escapes, and octal numbers in their shortest form. With `-x` one or the
//! other, string by string. A string that the limit of `-s` cut has `...` behind its closing quote.

/// What a string ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End<'a> {
    /// What follows the string.
    pub(crate) rest: &'a [u8],
    /// It was cut by a limit.
    pub(crate) is_cut: bool,
}

const NONE: u8 = 0xff;

/// The values of hexadecimal digits.
static DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// The byte that two hexadecimal digits stand for.
#[inline]
pub(crate) fn hex(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (DIGITS[usize::from(high)], DIGITS[usize::from(low)]);
    if (high | low) == NONE { None } else { Some(high << 4 | low) }
}

/// Decodes the string at the beginning of `text` and puts at most `limit` bytes of it behind `into`. `None`: there is no
/// string, or it does not end.
pub(crate) fn decode<'a>(text: &'a [u8], limit: usize, into: &mut Vec<u8>) -> Option<End<'a>> {
    let mut rest = text.strip_prefix(b"\"")?;
    let end = into.len().saturating_add(limit);
    loop {
        // Most recordings have nothing but hexadecimal numbers.
        let room = end.saturating_sub(into.len());
        let mut count = 0;
        let groups = rest.as_chunks::<4>().0;
        into.extend(groups.iter().take(room).map_while(|&[a, b, high, low]| {
            if (a, b) != (b'\\', b'x') {
                return None;
            }
            let byte = hex(high, low)?;
            count += 1;
            Some(byte)
        }));
        rest = rest.get(count * 4..)?;
        if into.len() >= end {
            return skip(rest);
        }
        let (byte, after) = match *rest {
            [b'"', ..] => return Some(ended(rest)),
            [b'\\', ref after @ ..] => escape(after)?,
            [_, ..] => {
                let len = rest.iter().take(end - into.len()).take_while(|byte| !matches!(byte, b'"' | b'\\')).count();
                let (plain, after) = rest.split_at_checked(len)?;
                into.extend_from_slice(plain);
                rest = after;
                continue;
            }
            [] => return None,
        };
        into.push(byte);
        rest = after;
    }
}

/// To the end of a string of which no more is wanted.
fn skip(mut rest: &[u8]) -> Option<End<'_>> {
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        rest = rest.get(at..)?;
        match rest.first() {
            Some(b'"') => return Some(ended(rest)),
            _ => rest = rest.get(2..)?,
        }
    }
}

fn ended(rest: &[u8]) -> End<'_> {
    let rest = rest.get(1..).unwrap_or_default();
    match rest.strip_prefix(b"...") {
        Some(rest) => End { rest, is_cut: true },
        None => End { rest, is_cut: false },
    }
}

/// What stands behind a backslash.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    let byte = match first {
        b'n' => b'\n',
        b't' => b'\t',
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'r' => b'\r',
        b'x' => {
            let [high, low, rest @ ..] = rest else { return None };
            return Some((hex(*high, *low)?, rest));
        }
        b'0'..=b'7' => {
            let len = text.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            let (digits, rest) = text.split_at_checked(len)?;
            let value = digits.iter().fold(0_u16, |value, digit| value << 3 | u16::from(digit - b'0'));
            return Some((value as u8, rest));
        }
        other => other,
    };
    Some((byte, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, limit: usize, bytes: &[u8], rest: &str, is_cut: bool) {
        let mut into = b"x".to_vec();
        let end = decode(text.as_bytes(), limit, &mut into).unwrap();
        assert_eq!(into, [b"x", bytes].concat(), "{text}");
        assert_eq!(end, End { rest: rest.as_bytes(), is_cut }, "{text}");
    }

    #[test]
    fn all_three_ways_of_writing_are_read() {
        check(r#""\x00\x2F\xff", 3"#, 99, b"\0/\xff", ", 3", false);
        check(r#""a\n\t\v\f\r\"\\b"..., 99"#, 99, b"a\n\t\x0b\x0c\r\"\\b", ", 99", true);
        check(r#""\0\1\377\0012\12""#, 99, b"\0\x01\xff\x012\n", "", false);
        check(r#""\x01ab""#, 99, b"\x01ab", "", false);
        check(r#""""#, 99, b"", "", false);
    }

    #[test]
    fn no_more_is_taken_than_the_limit() {
        check(r#""\x00\x01\x02\x03"..., 9"#, 2, b"\0\x01", ", 9", true);
        check(r#""ab\"c\\", 9"#, 2, b"ab", ", 9", false);
        check(r#""abc\"""#, 0, b"", "", false);
        check(r#""a\0b""#, 2, b"a\0", "", false);
    }

    #[test]
    fn what_does_not_end_is_no_string() {
        for text in ["", "x", "\"", "\"abc", "\"\\", "\"\\x", "\"\\x4", "\"\\x4g\"", "\"ab\\\""] {
            assert_eq!(decode(text.as_bytes(), 9, &mut Vec::new()), None, "{text}");
        }
        assert_eq!(decode(b"\"abc\\", 2, &mut Vec::new()), None);
    }
}
