//! Strings as strace writes them.
//!
//! `-xx`: every byte as `\x2f`. Without it C escapes, and octal numbers in their shortest form. With `-x` one or the
//! other, string by string. A string that the limit of `-s` cut has `...` after its closing quote.

/// What a string ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End<'a> {
    /// What follows the string.
    pub(crate) rest: &'a [u8],
    /// It was cut by a limit.
    pub(crate) is_cut: bool,
}

/// The byte that two hexadecimal digits stand for.
#[inline]
pub(crate) fn hex(high: u8, low: u8) -> Option<u8> {
    let ((high, is_high), (low, is_low)) = (digit(high), digit(low));
    if is_high & is_low { Some(high << 4 | low) } else { None }
}

/// Decodes the string at the beginning of `text` and puts at most `limit` bytes of it after `into`. `None`: there is no
/// string, or it does not end.
pub(crate) fn decode<'a>(text: &'a [u8], limit: usize, into: &mut Vec<u8>) -> Option<End<'a>> {
    let mut rest = text.strip_prefix(b"\"")?;
    let end = into.len().saturating_add(limit);
    loop {
        // Most recordings have nothing but hexadecimal numbers.
        rest = escapes(rest, end.saturating_sub(into.len()), into)?;
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

/// Takes `\x2f` as long as there is nothing else, at most `limit` of them; gives the rest.
fn escapes<'a>(mut text: &'a [u8], mut limit: usize, into: &mut Vec<u8>) -> Option<&'a [u8]> {
    /// So many at a time, without a branch between them.
    const BLOCK: usize = 64;

    let mut block = [0; BLOCK];
    while limit >= BLOCK
        && text.starts_with(b"\\x")
        && let Some(groups) = text.as_chunks::<4>().0.first_chunk::<BLOCK>()
    {
        let mut is_good = true;
        for (byte, group) in block.iter_mut().zip(groups) {
            let group = u32::from_le_bytes(*group);
            let (high, is_high) = digit((group >> 16) as u8);
            let (low, is_low) = digit((group >> 24) as u8);
            is_good &= is_high & is_low & (group as u16 == u16::from_le_bytes(*b"\\x"));
            *byte = high << 4 | low;
        }
        if !is_good {
            break;
        }
        into.extend_from_slice(&block);
        text = text.get(BLOCK * 4..)?;
        limit -= BLOCK;
    }
    while limit > 0
        && let [b'\\', b'x', high, low, rest @ ..] = text
        && let Some(byte) = hex(*high, *low)
    {
        into.push(byte);
        text = rest;
        limit -= 1;
    }
    Some(text)
}

/// The value of a hexadecimal digit, and whether it is one; by arithmetic, of which compilers make vectors.
#[inline]
const fn digit(digit: u8) -> (u8, bool) {
    let is_number = digit.wrapping_sub(b'0') < 10;
    let is_letter = (digit | 0x20).wrapping_sub(b'a') < 6;
    ((digit & 0xf) + 9 * (digit >> 6), is_number | is_letter)
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

/// What follows a backslash.
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
    fn long_runs_are_read_as_short_ones() {
        for len in [0_usize, 1, 63, 64, 65, 128, 200] {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
            let text: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            check(&format!("\"{text}\", 9"), 999, &bytes, ", 9", false);
            check(&format!("\"{text}\"..., 9"), len / 2, &bytes[..len / 2], ", 9", true);
            check(&format!("\"{text}a{text}\""), 999, &[&bytes[..], b"a", &bytes].concat(), "", false);
        }
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16).map(|digit| digit as u8);
            assert_eq!(hex(b'0', byte), expected, "{byte}");
        }
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
