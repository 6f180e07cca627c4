//! Writing JSON text: strings, bytes, numbers, objects and arrays, straight into a buffer.
//!
//! What comes out is one line of ASCII-safe UTF-8: besides what RFC 8259 asks for, DEL and the C1 controls are escaped,
//! so that what a capture holds can never steer a terminal. Numbers look as Google's Python printer shows them.
//! [`Json`] reads texts.

mod read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use read::Json;

/// Empties a buffer while a value is still being written to it, so that what is printed may be larger than memory. It may take
/// all but the last byte, which tells whether a comma comes next.
pub type Drain<'d> = &'d mut dyn FnMut(&mut Vec<u8>);

/// Drains nothing: all that is written stays in the buffer.
pub const fn keep(_: &mut Vec<u8>) {}

/// Bytes that are gathered before a buffer is drained.
pub const DRAIN_AT: usize = 64 << 10;

/// To be called between values: drains a buffer that holds much.
#[inline]
pub fn checkpoint(out: &mut Vec<u8>, drain: Drain<'_>) {
    if out.len() >= DRAIN_AT {
        drain(out);
    }
}

/// For a [`Drain`]: hands all but the last byte to `write` and takes it out of the buffer.
pub fn drain_to(out: &mut Vec<u8>, write: impl FnOnce(&[u8])) {
    let Some((last, gathered)) = out.split_last() else { return };
    let last = *last;
    write(gathered);
    out.clear();
    out.push(last);
}

/// How deep a JSON text from a capture may be nested: deeper is not treated as JSON.
const MAX_DEPTH: u32 = 128;

/// Puts objects and arrays together; the commas come by themselves.
///
/// ```
/// use rpcshark_dissectors::json::Writer;
///
/// let mut out = Vec::new();
/// let mut json = Writer::new(&mut out);
/// json.begin_object();
/// json.key("no").unsigned(1);
/// json.key("notes").begin_array();
/// json.string("cut short");
/// json.end_array();
/// json.end_object();
/// assert_eq!(out, br#"{"no":1,"notes":["cut short"]}"#);
/// ```
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Writer<'o> {
    /// Appends to `out`, which is empty, or ends with a line, or inside of an object or array.
    pub const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// `{`
    pub fn begin_object(&mut self) {
        self.comma();
        self.out.push(b'{');
    }

    /// `}`
    pub fn end_object(&mut self) {
        self.out.push(b'}');
    }

    /// `[`
    pub fn begin_array(&mut self) {
        self.comma();
        self.out.push(b'[');
    }

    /// `]`
    pub fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// A member's name; its value is what is written next.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.comma();
        write_string(self.out, name);
        self.out.push(b':');
        self
    }

    /// A string.
    pub fn string(&mut self, value: &str) {
        self.comma();
        write_string(self.out, value);
    }

    /// Bytes in base64.
    pub fn base64(&mut self, value: &[u8]) {
        self.comma();
        write_base64(self.out, value);
    }

    /// A whole number.
    pub fn signed(&mut self, value: i64) {
        self.comma();
        write_signed(self.out, value);
    }

    /// A whole number.
    pub fn unsigned(&mut self, value: u64) {
        self.comma();
        write_unsigned(self.out, value);
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    /// `null`
    pub fn null(&mut self) {
        self.raw(b"null");
    }

    /// A value that is JSON text already.
    pub fn raw(&mut self, value: &[u8]) {
        self.comma();
        self.out.extend_from_slice(value);
    }

    /// To be called between values: drains a buffer that holds much.
    pub fn checkpoint(&mut self, drain: Drain<'_>) {
        checkpoint(self.out, drain);
    }

    /// The buffer, with a comma where the next value needs one: for whoever writes a value by other means.
    pub fn value(&mut self) -> &mut Vec<u8> {
        self.comma();
        self.out
    }

    fn comma(&mut self) {
        comma(self.out);
    }
}

/// A comma, unless the next value is the first of its object or array, or belongs to a key.
#[inline]
pub(crate) fn comma(out: &mut Vec<u8>) {
    // No value ends with one of these: strings end with a quote.
    if !matches!(out.last(), None | Some(b'{' | b'[' | b':' | b',' | b'\n')) {
        out.push(b',');
    }
}

/// `value` in quotes, escaped.
#[inline]
pub fn write_string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    if is_plain(value.as_bytes()) {
        out.extend_from_slice(value.as_bytes());
    } else {
        escape(out, value);
    }
    out.push(b'"');
}

/// Whether `text` is ASCII that is in a string as it is. Without a branch a byte: most strings are short and plain.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, &b| plain & (0x20..0x7f).contains(&b) & (b != b'"') & (b != b'\\'))
}

/// `value` in quotes, escaped, with U+FFFD for what is not UTF-8. False where there was such.
pub fn write_bytes_lossy(out: &mut Vec<u8>, value: &[u8]) -> bool {
    out.push(b'"');
    if is_plain(value) {
        out.extend_from_slice(value);
        out.push(b'"');
        return true;
    }
    if let Ok(text) = std::str::from_utf8(value) {
        escape(out, text);
        out.push(b'"');
        return true;
    }
    for chunk in value.utf8_chunks() {
        escape(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
    false
}

/// [`write_bytes_lossy`] for a value of any size.
pub fn write_bytes_lossy_draining(out: &mut Vec<u8>, value: &[u8], drain: Drain<'_>) -> bool {
    if value.len() < DRAIN_AT {
        return write_bytes_lossy(out, value);
    }
    let mut is_utf8 = true;
    out.push(b'"');
    for chunk in value.utf8_chunks() {
        let mut valid = chunk.valid();
        while !valid.is_empty() {
            let (piece, rest) = valid.split_at(valid.floor_char_boundary(DRAIN_AT));
            escape(out, piece);
            checkpoint(out, drain);
            valid = rest;
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
            is_utf8 = false;
            checkpoint(out, drain);
        }
    }
    out.push(b'"');
    is_utf8
}

/// [`write_base64`] for a value of any size.
pub fn write_base64_draining(out: &mut Vec<u8>, value: &[u8], drain: Drain<'_>) {
    out.push(b'"');
    // A multiple of three bytes: only the last piece is padded.
    for piece in value.chunks(48 << 10) {
        append_base64(out, piece);
        checkpoint(out, drain);
    }
    out.push(b'"');
}

fn append_base64(out: &mut Vec<u8>, value: &[u8]) {
    let from = out.len();
    out.resize(from + value.len().div_ceil(3) * 4, 0);
    let room = out.get_mut(from..).unwrap_or_default();
    let written = STANDARD.encode_slice(value, room);
    debug_assert_eq!(written, Ok(value.len().div_ceil(3) * 4));
}

/// `value` in standard base64 with padding, in quotes.
pub fn write_base64(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    append_base64(out, value);
    out.push(b'"');
}

/// A whole number of 64 bits as programs that keep numbers as doubles can read it: in quotes beyond 2^53 (RFC 8259 §6).
#[inline]
pub fn write_exact(out: &mut Vec<u8>, value: u64) {
    let quoted = value > 1 << 53;
    if quoted {
        out.push(b'"');
    }
    write_unsigned(out, value);
    if quoted {
        out.push(b'"');
    }
}

/// Numbers below 128, one in each byte of `values`, with commas between them.
pub(crate) fn write_small_numbers(out: &mut Vec<u8>, values: &[u8]) {
    let from = out.len();
    out.resize(from + 4 * values.len(), 0);
    let mut room = out.get_mut(from..).unwrap_or_default();
    let mut written = 0;
    for &value in values {
        let (text, len) = SMALL_NUMBERS[usize::from(value & 0x7f)];
        let Some((slot, _)) = room.split_first_chunk_mut() else { break };
        *slot = text;
        written += usize::from(len);
        room = room.get_mut(usize::from(len)..).unwrap_or_default();
    }
    // All but the comma after the last one.
    out.truncate(from + written.saturating_sub(1));
}

/// The numbers below 128 in decimal with a comma after each, and how long that is.
const SMALL_NUMBERS: [([u8; 4], u8); 128] = {
    let mut all = [([0; 4], 0); 128];
    let mut value = 0;
    while value < 128 {
        let [hundreds, tens, ones] = [b'0' + value / 100, b'0' + value / 10 % 10, b'0' + value % 10];
        all[value as usize] = match value {
            0..10 => ([ones, b',', 0, 0], 2),
            10..100 => ([tens, ones, b',', 0], 3),
            _ => ([hundreds, tens, ones, b','], 4),
        };
        value += 1;
    }
    all
};

/// `value` in decimal.
pub fn write_signed(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `value` in decimal.
pub fn write_unsigned(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `value` with as many digits as it needs; `"NaN"`, `"Infinity"` and `"-Infinity"` are strings.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if write_special(out, value) {
        write_decimal(out, zmij::Buffer::new().format_finite(value), value.abs());
    }
}

/// `value` with as many digits as a `float` needs; `"NaN"`, `"Infinity"` and `"-Infinity"` are strings.
pub fn write_f32(out: &mut Vec<u8>, value: f32) {
    if !write_special(out, f64::from(value)) {
        return;
    }
    if value.is_subnormal() {
        // Google's printers try 6 digits first. That makes a difference only where a float has fewer.
        let digits = (5..9).map(|digits| format!("{value:.digits$e}")).find(|text| text.parse() == Ok(value));
        return write_decimal(out, &digits.unwrap_or_default(), f64::from(value).abs());
    }
    write_decimal(out, zmij::Buffer::new().format_finite(value), f64::from(value).abs());
}

/// Writes `value` if it is not finite; true if it is.
fn write_special(out: &mut Vec<u8>, value: f64) -> bool {
    if value.is_finite() {
        return true;
    }
    let name = match value {
        v if v.is_nan() => "\"NaN\"",
        v if v > 0.0 => "\"Infinity\"",
        _ => "\"-Infinity\"",
    };
    out.extend_from_slice(name.as_bytes());
    false
}

/// `digits` (any decimal notation) as Python would write the number: plain from 1e-4 to below 1e16, else `d.ddde+XX`.
fn write_decimal(out: &mut Vec<u8>, digits: &str, magnitude: f64) {
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((digits, ""));
    if exponent.is_empty() && (magnitude == 0.0 || (1e-3..1e15).contains(&magnitude)) {
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    // The digits without point and outer zeros, and where the point stands, counted from the first of them.
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let zeros = all.iter().take_while(|&&b| b == b'0').count();
    let kept = all.get(zeros..).unwrap_or_default();
    let trailing = kept.iter().rev().take_while(|&&b| b == b'0').count();
    let kept = kept.get(..kept.len() - trailing).unwrap_or_default();
    let point = whole.len() as i32 - zeros as i32 + exponent.parse::<i32>().unwrap_or(0);

    out.extend_from_slice(sign.as_bytes());
    if (-3..=16).contains(&point) {
        // `at` counts digits from the first kept one; those outside of it are zeros. One comes before the point, one after.
        for at in (point - 1).min(0)..(point + 1).max(kept.len() as i32) {
            out.push(usize::try_from(at).ok().and_then(|at| kept.get(at)).copied().unwrap_or(b'0'));
            if at + 1 == point {
                out.push(b'.');
            }
        }
        return;
    }
    let (first, rest) = kept.split_first().unwrap_or((&b'0', &[]));
    out.push(*first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    let power = point - 1;
    out.extend_from_slice(if power < 0 { b"e-" } else { b"e+" });
    if power.abs() < 10 {
        out.push(b'0');
    }
    write_unsigned(out, u64::from(power.unsigned_abs()));
}

/// Bytes that may not be in a string as they are. 0xc2 begins the C1 controls, and much else.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = true;
        at += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0x7f] = true;
    table[0xc2] = true;
    table
};

fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&b| SPECIAL[b as usize]) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let taken = escape_one(out, special);
        rest = special.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Writes the character that `special` begins with; its length in bytes.
#[cold]
fn escape_one(out: &mut Vec<u8>, special: &[u8]) -> usize {
    let short = match special {
        [b'"', ..] => b'"',
        [b'\\', ..] => b'\\',
        [b'\n', ..] => b'n',
        [b'\r', ..] => b'r',
        [b'\t', ..] => b't',
        [8, ..] => b'b',
        [12, ..] => b'f',
        [0xc2, c1 @ 0x80..=0x9f, ..] => {
            write_code(out, *c1);
            return 2;
        }
        [0xc2, ..] => {
            out.push(0xc2);
            return 1;
        }
        [control, ..] => {
            write_code(out, *control);
            return 1;
        }
        [] => return 0,
    };
    out.extend_from_slice(&[b'\\', short]);
    1
}

fn write_code(out: &mut Vec<u8>, code: u8) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(code >> 4), digit(code & 15)]);
}

/// Copies `text` to `out` without the space between tokens if it is one JSON value; numbers stay word for word.
///
/// Otherwise `out` stays as it was, and the answer is false.
pub fn copy_json(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let before = out.len();
    let mut copy = Copy { rest: text.as_bytes(), out, drain: &mut keep };
    let done = copy.value(0).is_some();
    copy.space();
    let whole = done && copy.rest.is_empty();
    if !whole {
        out.truncate(before);
    }
    whole
}

/// Whether `text` is one JSON value, as [`copy_json`] judges.
pub fn is_json(text: &[u8]) -> bool {
    // What is copied is thrown away piece by piece.
    copy_json_checked(&mut Vec::new(), text, &mut Vec::clear)
}

/// [`copy_json`] for a value of any size, which [`is_json`].
pub fn copy_json_draining(out: &mut Vec<u8>, text: &[u8], drain: Drain<'_>) {
    copy_json_checked(out, text, drain);
}

fn copy_json_checked(out: &mut Vec<u8>, text: &[u8], drain: Drain<'_>) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let mut copy = Copy { rest: text.as_bytes(), out, drain };
    let done = copy.value(0).is_some();
    copy.space();
    done && copy.rest.is_empty()
}

/// A JSON text on its way into `out`.
struct Copy<'t, 'o> {
    rest: &'t [u8],
    out: &'o mut Vec<u8>,
    drain: Drain<'o>,
}

impl Copy<'_, '_> {
    fn value(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.rest.first()? {
            b'{' => self.items(b'}', |copy| {
                copy.string()?;
                copy.space();
                copy.expect(b':')?;
                copy.value(depth + 1)
            }),
            b'[' => self.items(b']', |copy| copy.value(depth + 1)),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn items(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(1)?;
        self.space();
        if self.rest.first() == Some(&end) {
            return self.take(1);
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            if self.rest.first() == Some(&end) {
                return self.take(1);
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let plain = self.rest.iter().position(|&b| SPECIAL[b as usize])?;
            self.take(plain)?;
            match self.rest {
                [b'"', ..] => return self.take(1),
                [b'\\', b'u', hex @ ..] => {
                    let digits = hex.get(..4)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    self.take(6)?;
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.take(2)?,
                [0..=0x1f | b'\\', ..] => return None,
                other => {
                    let taken = escape_one(self.out, other);
                    self.rest = self.rest.get(taken..)?;
                }
            }
        }
    }

    // RFC 8259 §6: number = [ minus ] int [ frac ] [ exp ]
    fn number(&mut self) -> Option<()> {
        if self.rest.first() == Some(&b'-') {
            self.take(1)?;
        }
        match self.rest.first()? {
            b'0' => self.take(1)?,
            _ => self.digits()?,
        }
        if self.rest.first() == Some(&b'.') {
            self.take(1)?;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.take(1)?;
            if let Some(b'+' | b'-') = self.rest.first() {
                self.take(1)?;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        (digits > 0).then_some(())?;
        self.take(digits)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest.starts_with(word).then_some(())?;
        self.take(word.len())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.rest.first() == Some(&byte)).then_some(())?;
        self.take(1)
    }

    fn take(&mut self, len: usize) -> Option<()> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.out.extend_from_slice(taken);
        checkpoint(self.out, self.drain);
        self.rest = rest;
        Some(())
    }

    fn space(&mut self) {
        let space = self.rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest = self.rest.get(space..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped() {
        let cases = [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{8}\u{c}\n\r\t\0\u{1f}", r#""\b\f\n\r\t\u0000\u001f""#),
            ("\u{1b}[31m\u{7f}\u{9b}1m", r#""\u001b[31m\u007f\u009b1m""#),
            ("é\u{a0}ß€😀", "\"é\u{a0}ß€😀\""),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| write_string(out, value)), expected);
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_said() {
        let mut out = Vec::new();
        assert!(!write_bytes_lossy(&mut out, b"a\xff\"\xc2"));
        assert_eq!(out, "\"a\u{fffd}\\\"\u{fffd}\"".as_bytes());
    }

    #[test]
    fn base64_is_padded() {
        for (value, expected) in
            [(&b""[..], r#""""#), (b"\0", r#""AA==""#), (b"\xfb\xff", r#""+/8=""#), (b"abc", r#""YWJj""#)]
        {
            assert_eq!(text(|out| write_base64(out, value)), expected);
        }
    }

    #[test]
    fn floats_look_as_python_shows_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (123456.0, "123456.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (9007199254740993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00012345, "0.00012345"),
            (1e-5, "1e-05"),
            (-1.25e-7, "-1.25e-07"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (12345678901234567890.0, "1.2345678901234567e+19"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| write_f64(out, value)), expected);
        }
        let cases = [
            (9.99f32, "9.99"),
            (0.1, "0.1"),
            (16777216.0, "16777216.0"),
            (f32::MAX, "3.4028235e+38"),
            (1e10, "10000000000.0"),
            (1.0e-4, "0.0001"),
            (1e15, "1000000000000000.0"),
            (1e-45, "1.4013e-45"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| write_f32(out, value)), expected);
        }
    }

    #[test]
    fn json_is_copied_without_space_and_else_left_alone() {
        let good = [
            (" { \"a\" : [ 1 , 2.50 , -0 , 1E+9 ] ,\n \"b\" : { } } ", r#"{"a":[1,2.50,-0,1E+9],"b":{}}"#),
            ("[]", "[]"),
            ("\"\\u00e9 \\\" x\"", r#""\u00e9 \" x""#),
            ("\"\u{7f}\u{9b}\"", r#""\u007f\u009b""#),
            ("null", "null"),
            ("12345678901234567890123", "12345678901234567890123"),
        ];
        for (json, expected) in good {
            let mut out = b"x".to_vec();
            assert!(copy_json(&mut out, json.as_bytes()), "{json}");
            assert_eq!(out[1..], *expected.as_bytes());
        }
        for bad in ["", "{", "{\"a\"}", "[1,]", "01", "1.", "-", "\"\n\"", "\"\\x\"", "{} {}", "tru", "nul l", "[1 2]"]
        {
            let mut out = b"x".to_vec();
            assert!(!copy_json(&mut out, bad.as_bytes()), "{bad}");
            assert_eq!(out, b"x");
        }
        assert!(!copy_json(&mut Vec::new(), &[b'['; 100_000]));
        assert!(!copy_json(&mut Vec::new(), b"\"\xff\""));
    }

    proptest! {
        #[test]
        fn another_reader_gets_the_string_back(value in ".*") {
            prop_assert_eq!(serde_json::from_str::<String>(&text(|out| write_string(out, &value))).unwrap(), value);
        }

        #[test]
        fn floats_come_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(|out| write_f64(out, value)).parse::<f64>().unwrap().to_bits(), bits);
            let value = f32::from_bits(bits as u32);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(|out| write_f32(out, value)).parse::<f32>().unwrap().to_bits(), bits as u32);
        }

        #[test]
        fn copying_agrees_with_another_reader(text in r#"[\[\]{}",:0-9eE.\-+ truefalsn\\u\x00-\x20]{0,24}"#) {
            let mut out = Vec::new();
            let ours = copy_json(&mut out, text.as_bytes());
            // That reader refuses lone surrogates and numbers that a double cannot hold; we hand them on.
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            if let Ok(value) = theirs {
                prop_assert!(ours);
                prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), value);
            } else if ours {
                prop_assert!(text.contains("\\u") || text.contains(['e', 'E']));
            }
        }
    }
}
