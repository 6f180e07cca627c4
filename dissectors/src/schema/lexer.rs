//! The tokens of `.proto` text.
//!
//! Follows <https://protobuf.dev/reference/protobuf/edition-2023-spec/>, whose lexical elements are those of proto2 and
//! proto3 too. Strings are left undecoded here: [`unescape`] does that for the few that matter.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name or keyword.
    Ident(&'a str),
    /// A whole number.
    Int(u64),
    /// Another number, or a whole one too large for 64 bits.
    Float,
    /// A string, without its quotes.
    Str(&'a str),
    /// Punctuation.
    Symbol(char),
    /// The end of the text.
    End,
}

/// What the text cannot be split at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bad {
    pub(super) at: Range<usize>,
    pub(super) message: String,
}

/// A place in the text, and how to continue from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `{ … }` of an option's value, which is text format: `#` begins a comment there.
    pub(super) text_format: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Lexer { text, at, text_format: false }
    }

    /// The next token and where it stands.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Range<usize>), Bad> {
        self.skip_blank()?;
        let from = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok((Token::End, from..from)) };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => Token::Ident(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')),
            '0'..='9' => self.number()?,
            '.' if self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => self.number()?,
            '"' | '\'' => self.string(first)?,
            c if c.is_ascii_punctuation() => {
                self.at += c.len_utf8();
                Token::Symbol(c)
            }
            c => {
                let message = format!("`{c}` is not allowed here");
                return Err(Bad { at: from..from + c.len_utf8(), message });
            }
        };
        Ok((token, from..self.at))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(|c| !fits(c)).and_then(|end| rest.get(..end)).unwrap_or(rest);
        self.at += taken.len();
        taken
    }

    fn skip_blank(&mut self) -> Result<(), Bad> {
        loop {
            self.take_while(|c| c.is_ascii_whitespace() || c == '\u{b}');
            let from = self.at;
            let rest = self.rest();
            if rest.starts_with("//") || (self.text_format && rest.starts_with('#')) {
                self.take_while(|c| c != '\n');
            } else if let Some(inside) = rest.strip_prefix("/*") {
                let Some(end) = inside.find("*/") else {
                    return Err(Bad { at: from..from + 2, message: "this comment does not end".into() });
                };
                self.at += 2 + end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn number(&mut self) -> Result<Token<'a>, Bad> {
        let from = self.at;
        let mut word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '.');
        let hex = word.starts_with("0x") || word.starts_with("0X");
        if !hex && word.ends_with(['e', 'E']) && self.rest().starts_with(['+', '-']) {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
            word = self.text.get(from..self.at).unwrap_or_default();
        }
        let bad = |message: &str| Err(Bad { at: from..from + word.len(), message: format!("`{word}` {message}") });
        let plain = word.trim_end_matches(['f', 'F']);
        if hex {
            let digits = word.get(2..).unwrap_or_default();
            return match u64::from_str_radix(digits, 16) {
                Ok(value) => Ok(Token::Int(value)),
                Err(_) => bad("is not a hexadecimal number of 64 bits"),
            };
        }
        if word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit()) {
            return match u64::from_str_radix(word, 8) {
                Ok(value) => Ok(Token::Int(value)),
                Err(_) => bad("begins with 0 but is not an octal number"),
            };
        }
        if let Ok(value) = word.parse() {
            return Ok(Token::Int(value));
        }
        // Rust's grammar of numbers is wider (`inf`, `nan`), but those begin with no digit.
        let float = if self.text_format { plain } else { word };
        match float.parse::<f64>() {
            Ok(_) => Ok(Token::Float),
            Err(_) => bad("is not a number"),
        }
    }

    fn string(&mut self, quote: char) -> Result<Token<'a>, Bad> {
        let from = self.at;
        let inside = self.rest().get(1..).unwrap_or_default();
        let mut escaped = false;
        for (at, c) in inside.char_indices() {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.at += 1 + at + 1;
                    return Ok(Token::Str(inside.get(..at).unwrap_or_default()));
                }
                _ => {}
            }
        }
        Err(Bad { at: from..from + 1, message: "this string does not end on its line".into() })
    }
}

/// What a string means: its escapes replaced. `None` if they are wrong or the result is not UTF-8.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        let kind = escape.chars().next()?;
        let behind = escape.get(kind.len_utf8()..)?;
        rest = match kind {
            'x' | 'X' => {
                let (value, rest) = digits(behind, 16, 2)?;
                out.push(value as u8);
                rest
            }
            '0'..='7' => {
                let (value, rest) = digits(escape, 8, 3)?;
                out.push(u8::try_from(value).ok()?);
                rest
            }
            'u' | 'U' => {
                let count = if kind == 'u' { 4 } else { 8 };
                let (value, rest) = digits(behind, 16, count).filter(|(_, r)| behind.len() - r.len() == count)?;
                out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
                rest
            }
            _ => {
                out.push(match kind {
                    'a' => 0x07,
                    'b' => 0x08,
                    't' => b'\t',
                    'n' => b'\n',
                    'v' => 0x0b,
                    'f' => 0x0c,
                    'r' => b'\r',
                    '\\' | '\'' | '"' | '?' => kind as u8,
                    _ => return None,
                });
                behind
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).ok()
}

/// The number of 1 to `at_most` digits at the start of `text`, and what is after it.
fn digits(text: &str, radix: u32, at_most: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(at_most).take_while(|&b| char::from(b).is_digit(radix)).count();
    let (number, rest) = text.split_at_checked(count)?;
    Some((u32::from_str_radix(number, radix).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<Token<'_>>, Bad> {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            match lexer.next()?.0 {
                Token::End => return Ok(out),
                token => out.push(token),
            }
        }
    }

    #[test]
    fn text_is_split_into_tokens() {
        use Token::*;
        assert_eq!(
            tokens("\u{feff}a.b_1 = 0x1F; // c\n/* d\n */ 'x\\'y' \"\" 017 1.5e-3 .5 18446744073709551616").unwrap(),
            [
                Ident("a"),
                Symbol('.'),
                Ident("b_1"),
                Symbol('='),
                Int(31),
                Symbol(';'),
                Str("x\\'y"),
                Str(""),
                Int(15),
                Float,
                Float,
                Float,
            ]
        );
    }

    #[test]
    fn what_is_no_token_is_said_with_its_place() {
        for (text, at, message) in [
            ("a \"b\nc\"", 2..3, "this string does not end on its line"),
            ("/* a", 0..2, "this comment does not end"),
            ("a ü", 2..4, "`ü` is not allowed here"),
            ("1a", 0..2, "`1a` is not a number"),
            ("0x", 0..2, "`0x` is not a hexadecimal number of 64 bits"),
            ("09", 0..2, "`09` begins with 0 but is not an octal number"),
        ] {
            assert_eq!(tokens(text), Err(Bad { at, message: message.into() }), "{text}");
        }
    }

    #[test]
    fn escapes_are_replaced() {
        assert_eq!(unescape("plain").as_deref(), Some("plain"));
        assert_eq!(unescape(r#"\x41\102\n\u00e9\U0001F600\\\'"#).as_deref(), Some("AB\né😀\\'"));
        for wrong in [r"\q", r"\x", "\\", r"\u12", r"\xff", r"\777", r"\ud800"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }
}
