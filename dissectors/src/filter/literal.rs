//! What a literal means, by the type of what it is compared with.

use std::borrow::Cow;
use std::net::IpAddr;

use super::error::{FilterError, Span};
use super::suggest::nearest;
use super::value::{Type, Value};
use crate::schema::Schema;

/// A literal as written in the filter.
#[derive(Clone, Debug)]
pub(super) enum Literal<'a> {
    /// Without quotes.
    Plain(&'a str),
    /// In quotes, escapes resolved.
    Quoted(&'a [u8]),
}

/// What a literal is compared as.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    /// One value.
    Value(Value<'static>),
    /// All addresses that begin with these bits.
    Net(IpAddr, u8),
}

/// Units of time and their nanoseconds.
const TIME_UNITS: &[(&str, i128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("sec", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Units of size and their bytes.
const SIZE_UNITS: &[(&str, i128)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Whether a word is a unit that may follow a number and a space.
pub(super) fn is_unit(word: &str) -> bool {
    TIME_UNITS.iter().chain(SIZE_UNITS).any(|(unit, _)| *unit == word)
}

/// What `literal` means where a `ty` is expected.
pub(super) fn constant(schema: &Schema, ty: Type, literal: &Literal<'_>, span: &Span) -> Result<Constant, FilterError> {
    let wrong = || FilterError::new(span.clone(), format!("{} is not {}", shown(literal), expected(ty)));
    let text: &str = match literal {
        Literal::Plain(text) => text,
        Literal::Quoted(bytes) => match ty {
            Type::Text | Type::Bytes => {
                return Ok(Constant::Value(Value::Bytes(Cow::Owned(bytes.to_vec()))));
            }
            Type::Word(_) | Type::Enum(_) | Type::Time | Type::Address => {
                std::str::from_utf8(bytes).map_err(|_| wrong())?
            }
            _ => {
                let unquoted = std::str::from_utf8(bytes).ok();
                let meant = unquoted.filter(|text| constant(schema, ty, &Literal::Plain(text), span).is_ok());
                return Err(wrong().suggest(meant.map(str::to_owned)));
            }
        },
    };
    let value = match ty {
        Type::Label => None,
        Type::Bool => boolean(text).map(Value::Bool),
        Type::Unsigned | Type::Flags => match number(text) {
            Some(number) if number < 0 => {
                return Err(FilterError::new(span.clone(), format!("{text} is negative; no value of this field is")));
            }
            number => number.map(Value::Int),
        },
        Type::Signed => number(text).map(Value::Int),
        Type::Float => text.parse().ok().map(Value::Float).or_else(|| number(text).map(Value::Int)),
        Type::Text => Some(Value::Text(Cow::Owned(text.as_bytes().to_vec()))),
        Type::Bytes => match hexadecimal(text) {
            Some(bytes) => Some(Value::Bytes(Cow::Owned(bytes))),
            None => {
                let message = format!("{text} is not bytes; write them as 0a:0b, or text in quotes");
                return Err(FilterError::new(span.clone(), message));
            }
        },
        Type::Word(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => Some(Value::text(word)),
            None => return Err(no_name(text, words.iter().copied(), span)),
        },
        Type::Enum(names) => match names.number(schema, text).or_else(|| number(text)) {
            Some(number) => Some(Value::Int(number)),
            None => return Err(no_name(text, names.all(schema).into_iter().map(|(_, name)| name), span)),
        },
        Type::Time => time(text).map(Value::Time),
        Type::Duration => duration(text).map(Value::Duration),
        Type::Address => return address(text).ok_or_else(wrong),
    };
    value.map(Constant::Value).ok_or_else(wrong)
}

fn no_name<'n>(text: &str, names: impl Iterator<Item = &'n str> + Clone, span: &Span) -> FilterError {
    let begins = names.clone().any(|name| starts_with_ignoring_case(name, text));
    let near = nearest(text, names.clone()).map(str::to_owned);
    let all: Vec<&str> = names.take(MAX_LISTED + 1).collect();
    let message = match (near.is_some(), all.len()) {
        (false, 1..=MAX_LISTED) => format!("no value {text}; there are {}", all.join(", ")),
        _ => format!("no value {text}"),
    };
    FilterError::new(span.clone(), message).suggest(near).incomplete(begins)
}

/// Names that a message lists.
const MAX_LISTED: usize = 20;

fn starts_with_ignoring_case(name: &str, begin: &str) -> bool {
    name.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin))
}

fn shown(literal: &Literal<'_>) -> String {
    match literal {
        Literal::Plain(text) => (*text).to_owned(),
        Literal::Quoted(bytes) => format!("\"{}\"", rpcshark_captures::text::Escaped(bytes)),
    }
}

/// What is expected, with an example where the form is not obvious.
fn expected(ty: Type) -> String {
    let example = match ty {
        Type::Time => " (2026-01-31T12:00:00Z)",
        Type::Duration => " (100ms, 1.5s)",
        Type::Address => " (10.0.0.1, 10.0.0.0/8, ::1)",
        _ => "",
    };
    format!("{}{example}", ty.noun())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => number(text).map(|number| number != 0),
    }
}

/// A whole number: decimal, `0x`, `0b` or octal with a leading zero; with a unit of size.
pub(super) fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |prefix: &str, radix: u32| {
        let digits = digits.strip_prefix(prefix)?;
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        valid.then(|| i128::from_str_radix(digits, radix).ok()).flatten()
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = radix("0x", 16).or_else(|| radix("0X", 16)).or_else(|| radix("0b", 2)).or_else(|| {
        match digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
            true => i128::from_str_radix(digits, 8).ok(),
            false => None,
        }
    });
    let number = match number {
        Some(number) => number,
        None if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') => digits.parse().ok()?,
        None if digits == "0" => 0,
        None => scaled(digits, SIZE_UNITS)?,
    };
    number.checked_mul(sign)
}

/// A duration: a number with a unit, several of them (`1m30s`), or seconds.
pub(super) fn duration(text: &str) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return decimal(text, 1_000_000_000)?.checked_mul(sign);
    }
    let mut rest = text;
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let behind = rest.get(unit_at..)?;
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let part = rest.get(..unit_at + end)?;
        total = total.checked_add(scaled(part, TIME_UNITS)?)?;
        rest = rest.get(unit_at + end..)?;
    }
    total.checked_mul(sign)
}

/// A number with one of `units`, in the smallest of them. There may be a space between the two.
fn scaled(text: &str, units: &[(&str, i128)]) -> Option<i128> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, unit) = text.split_at_checked(at)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    decimal(digits, *scale)
}

/// A decimal number times `scale`; what is less than one is dropped.
fn decimal(text: &str, scale: i128) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    // A part of 18 digits times a day in nanoseconds is far from the end of 128 bits.
    if whole.len() + part.len() == 0 || !digits(whole) || !digits(part) || part.len() > 18 || whole.len() > 20 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let number: i128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let part = number.checked_mul(scale)? / 10_i128.checked_pow(part.len() as u32)?;
    whole.checked_mul(scale)?.checked_add(part)
}

/// A time: ISO 8601 with `T` or a space, in UTC unless it says otherwise; a date; Wireshark's older form; seconds since
/// 1970.
pub(super) fn time(text: &str) -> Option<i128> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return decimal(text, 1_000_000_000);
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(stamp.as_nanosecond());
    }
    let text = text.strip_suffix("UTC").map_or(text, str::trim_end);
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| jiff::civil::DateTime::strptime("%b %d, %Y %H:%M:%S%.f", text))
        .ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

fn address(text: &str) -> Option<Constant> {
    let Some((addr, bits)) = text.split_once('/') else {
        return text.parse().ok().map(|addr| Constant::Value(Value::Address(addr)));
    };
    let addr: IpAddr = addr.parse().ok()?;
    let most = if addr.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.parse().ok().filter(|&bits| bits <= most)?;
    Some(Constant::Net(addr, bits))
}

/// Whether `addr` lies in the network of the first `bits` of `net`.
pub(super) fn is_within(addr: IpAddr, net: IpAddr, bits: u8) -> bool {
    match (addr, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32 - u32::from(bits.min(32));
            u64::from(a.to_bits()) >> shift == u64::from(b.to_bits()) >> shift
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128 - u32::from(bits.min(128));
            a.to_bits().checked_shr(shift).unwrap_or(0) == b.to_bits().checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

/// Bytes in hexadecimal, with `:`, `.` or `-` between them or nothing; one byte also as `0xff`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let byte = |digits: &str| match digits.len() {
        1 | 2 => u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
        _ => None,
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return byte(digits).map(|byte| vec![byte]);
    }
    if let Some(separator) = text.chars().find(|c| matches!(c, ':' | '.' | '-')) {
        return text.split(separator).map(byte).collect();
    }
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return byte(text).map(|byte| vec![byte]);
    }
    (0..text.len()).step_by(2).map(|at| text.get(at..at + 2).and_then(byte)).collect()
}

/// The number of a mask after `&`.
pub(super) fn mask(text: &str) -> Option<i128> {
    number(text).filter(|&mask| mask >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_notation() {
        for (text, expected) in [
            ("10", Some(10)),
            ("0", Some(0)),
            ("012", Some(10)),
            ("0xa", Some(10)),
            ("0b1010", Some(10)),
            ("-3", Some(-3)),
            ("4MiB", Some(4 << 20)),
            ("4 MiB", Some(4 << 20)),
            ("1.5 KiB", Some(1536)),
            ("2kB", Some(2000)),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("08", None),
            ("1.5", None),
            ("", None),
            ("-", None),
            ("0x", None),
            ("ten", None),
            ("4 mib", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_and_times() {
        for (text, expected) in [
            ("100ms", Some(100_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("2", Some(2_000_000_000)),
            ("0.001", Some(1_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("5 µs", Some(5_000)),
            ("-1s", Some(-1_000_000_000)),
            ("1h", Some(3_600_000_000_000)),
            ("ms", None),
            ("1x", None),
            ("1..5s", None),
            (".", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
        let expected = Some(1_523_080_000_500_000_000);
        for text in [
            "2018-04-07T05:46:40.5Z",
            "2018-04-07 05:46:40.5",
            "2018-04-07T07:46:40.5+02:00",
            "Apr 7, 2018 05:46:40.5",
            "Apr 7, 2018 05:46:40.5 UTC",
            "1523080000.5",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("2018-04-07"), Some(1_523_059_200_000_000_000));
        assert_eq!(time("yesterday"), None);
    }

    #[test]
    fn networks_and_bytes() {
        let net = |text: &str| address(text).expect(text);
        assert_eq!(net("10.0.0.0/8"), Constant::Net("10.0.0.0".parse().unwrap(), 8));
        assert!(address("10.0.0.0/33").is_none() && address("10.0.0/8").is_none());
        let within = |addr: &str, of: &str, bits| is_within(addr.parse().unwrap(), of.parse().unwrap(), bits);
        assert!(within("10.1.2.3", "10.0.0.0", 8) && !within("11.1.2.3", "10.0.0.0", 8));
        assert!(within("1.2.3.4", "9.9.9.9", 0) && within("::1", "ff::", 0) && !within("::1", "0.0.0.1", 0));
        assert!(within("fe80::1", "fe80::", 10) && !within("fe80::1", "fe80::2", 128));
        assert_eq!(hexadecimal("0a:0b"), Some(vec![0x0a, 0x0b]));
        assert_eq!(hexadecimal("0.1.0.d"), Some(vec![0, 1, 0, 13]));
        assert_eq!(hexadecimal("0a0b"), Some(vec![0x0a, 0x0b]));
        assert_eq!(hexadecimal("0xff"), Some(vec![0xff]));
        assert_eq!(hexadecimal("7"), Some(vec![7]));
        assert!(hexadecimal("0a:").is_none() && hexadecimal("xyz").is_none() && hexadecimal("abc").is_none());
    }
}
