//! From the text of a filter to tokens with their places.

use super::ast::{Op, Quantifier};
use super::error::{FilterError, Span};

/// A token and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// Whether white space comes before it.
    pub(super) spaced: bool,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A field, a number, an unquoted value: what it is depends on where it stands.
    Word(String),
    /// Text or bytes in quotes, escapes resolved.
    Quoted(Vec<u8>),
    Op(Op),
    Quantifier(Quantifier),
    And,
    Or,
    Not,
    In,
    Ampersand,
    OpenParen,
    CloseParen,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Comma,
    /// `..`
    Range,
    End,
}

/// Words that are not names or values.
const KEYWORDS: &[(&str, Kind)] = &[
    ("and", Kind::And),
    ("or", Kind::Or),
    ("not", Kind::Not),
    ("in", Kind::In),
    ("any", Kind::Quantifier(Quantifier::Any)),
    ("all", Kind::Quantifier(Quantifier::All)),
    ("eq", Kind::Op(Op::Eq)),
    ("any_eq", Kind::Op(Op::Eq)),
    ("ne", Kind::Op(Op::Ne)),
    ("all_ne", Kind::Op(Op::Ne)),
    ("gt", Kind::Op(Op::Gt)),
    ("lt", Kind::Op(Op::Lt)),
    ("ge", Kind::Op(Op::Ge)),
    ("le", Kind::Op(Op::Le)),
    ("all_eq", Kind::Op(Op::AllEq)),
    ("any_ne", Kind::Op(Op::AnyNe)),
    ("contains", Kind::Op(Op::Contains)),
    ("matches", Kind::Op(Op::Matches)),
    ("bitand", Kind::Ampersand),
    ("bitwise_and", Kind::Ampersand),
];

fn keyword(word: &str) -> Option<Kind> {
    KEYWORDS.iter().find(|(keyword, _)| *keyword == word).map(|(_, kind)| kind.clone())
}

/// Whether an operator that is a word begins with `text`.
pub(super) fn is_begin_of_operator(text: &str) -> bool {
    KEYWORDS.iter().any(|(keyword, _)| keyword.starts_with(text))
}

/// Signs, longest first.
const SIGNS: &[(&str, Kind)] = &[
    ("===", Kind::Op(Op::AllEq)),
    ("!==", Kind::Op(Op::AnyNe)),
    ("==", Kind::Op(Op::Eq)),
    ("!=", Kind::Op(Op::Ne)),
    (">=", Kind::Op(Op::Ge)),
    ("<=", Kind::Op(Op::Le)),
    ("&&", Kind::And),
    ("||", Kind::Or),
    ("..", Kind::Range),
    (">", Kind::Op(Op::Gt)),
    ("<", Kind::Op(Op::Lt)),
    ("!", Kind::Not),
    ("~", Kind::Op(Op::Matches)),
    ("&", Kind::Ampersand),
    ("(", Kind::OpenParen),
    (")", Kind::CloseParen),
    ("{", Kind::OpenBrace),
    ("}", Kind::CloseBrace),
    ("[", Kind::OpenBracket),
    ("]", Kind::CloseBracket),
    (",", Kind::Comma),
];

/// Signs that end a word.
const ENDS_WORD: &[char] = &['=', '!', '<', '>', '&', '|', '~', '(', ')', '{', '}', '[', ']', ',', '"'];

/// The tokens of a filter, with an [`Kind::End`] after them.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, FilterError> {
    let mut lexer = Lexer { source, at: 0, pattern: false };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        lexer.pattern = token.kind == Kind::Op(Op::Matches);
        let is_end = token.kind == Kind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// What follows is a regular expression: `\d` and the like are its own.
    pattern: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Token, FilterError> {
        let rest = self.rest();
        let white = rest.len() - rest.trim_start().len();
        let before = self.at;
        self.at += white;
        let start = self.at;
        let kind = self.kind()?;
        Ok(Token { kind, span: start..self.at, spaced: white > 0 || before == 0 })
    }

    fn kind(&mut self) -> Result<Kind, FilterError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Kind::End) };
        if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            self.at += sign.len();
            return Ok(kind.clone());
        }
        match first {
            '"' | '\'' => self.quoted(first, false),
            'r' if rest.starts_with("r\"") => {
                self.at += 1;
                self.quoted('"', true)
            }
            '=' => Err(FilterError::new(self.at..self.at + 1, "= is not an operator")
                .suggest(Some("=="))
                .incomplete(rest.len() == 1)),
            '|' => Err(FilterError::new(self.at..self.at + 1, "| is not an operator")
                .suggest(Some("||"))
                .incomplete(rest.len() == 1)),
            _ => {
                let word = word(rest);
                let kind = keyword(word).unwrap_or_else(|| Kind::Word(word.to_owned()));
                self.at += word.len();
                Ok(kind)
            }
        }
    }

    /// Text in quotes: the escapes are those of `wireshark-filter(4)`.
    fn quoted(&mut self, quote: char, raw: bool) -> Result<Kind, FilterError> {
        let start = self.at;
        let mut text = Vec::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at = start + at + 1;
                return Ok(Kind::Quoted(text));
            }
            if c != '\\' {
                text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let Some((escape_at, escape)) = chars.next() else { break };
            if raw {
                text.push(b'\\');
                text.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let rest = self.source.get(start + escape_at..).unwrap_or_default();
            match unescape(rest) {
                Some((bytes, len)) => {
                    text.extend_from_slice(&bytes);
                    for _ in 1..len {
                        chars.next();
                    }
                }
                None if self.pattern => {
                    text.push(b'\\');
                    text.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
                }
                None => {
                    let span = start + at..start + escape_at + escape.len_utf8();
                    return Err(FilterError::new(span, format!("\\{escape} is not an escape sequence")));
                }
            }
        }
        Err(FilterError::new(start..self.source.len(), "the quoted text does not end").incomplete(true))
    }
}

/// The word at the beginning of `rest`: up to white space, a sign or `..`.
fn word(rest: &str) -> &str {
    let end = rest.find(|c: char| c.is_whitespace() || ENDS_WORD.contains(&c)).unwrap_or(rest.len());
    let word = rest.get(..end).unwrap_or(rest);
    match word.find("..") {
        Some(range) if range > 0 => word.get(..range).unwrap_or(word),
        _ => word,
    }
}

/// What the escape at the beginning of `rest` (after its backslash) stands for, and how many characters it has.
fn unescape(rest: &str) -> Option<(Vec<u8>, usize)> {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = rest.get(from..)?.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let number = u32::from_str_radix(rest.get(from..from + digits)?, radix).ok()?;
        Some((number, digits))
    };
    let utf8 = |code: u32| char::from_u32(code).map(|c| c.encode_utf8(&mut [0; 4]).as_bytes().to_vec());
    let byte = |byte: u8| Some((vec![byte], 1));
    match rest.chars().next()? {
        c @ ('\'' | '"' | '\\') => byte(c as u8),
        'a' => byte(7),
        'b' => byte(8),
        'f' => byte(12),
        'n' => byte(b'\n'),
        'r' => byte(b'\r'),
        't' => byte(b'\t'),
        'v' => byte(11),
        'x' => digits(1, 2, 16).map(|(number, digits)| (vec![number as u8], 1 + digits)),
        'u' => digits(1, 4, 16).and_then(|(number, digits)| Some((utf8(number)?, 1 + digits))),
        'U' => digits(1, 8, 16).and_then(|(number, digits)| Some((utf8(number)?, 1 + digits))),
        '0'..='7' => {
            let (number, digits) = digits(0, 3, 8)?;
            Some((vec![u8::try_from(number).ok()?], digits))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = tokens(source).expect(source).into_iter().map(|token| token.kind).collect();
        assert_eq!(kinds.pop(), Some(Kind::End));
        kinds
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    #[test]
    fn words_end_where_signs_begin() {
        assert_eq!(kinds("a==b"), [word("a"), Kind::Op(Op::Eq), word("b")]);
        assert_eq!(kinds("5..9"), [word("5"), Kind::Range, word("9")]);
        assert_eq!(kinds("1.5 .. 10.0.0.1"), [word("1.5"), Kind::Range, word("10.0.0.1")]);
        assert_eq!(kinds("x-request-id"), [word("x-request-id")]);
        assert_eq!(kinds("10.0.0.0/8"), [word("10.0.0.0/8")]);
        assert_eq!(kinds("0a:0b"), [word("0a:0b")]);
        assert_eq!(kinds("!a"), [Kind::Not, word("a")]);
        assert_eq!(kinds("can't"), [word("can't")]);
        assert_eq!(kinds("a ne b"), [word("a"), Kind::Op(Op::Ne), word("b")]);
        assert_eq!(kinds("notify"), [word("notify")]);
    }

    #[test]
    fn quoted_text_has_its_escapes_resolved() {
        let quoted = |text: &str| vec![Kind::Quoted(text.as_bytes().to_vec())];
        assert_eq!(kinds(r#""a\"b\\""#), quoted("a\"b\\"));
        assert_eq!(kinds(r#""\x48EAD \110""#), quoted("HEAD H"));
        assert_eq!(kinds(r#""\u00fc\t""#), quoted("ü\t"));
        assert_eq!(kinds(r#"r"\d+\"""#), quoted("\\d+\\\""));
        assert_eq!(kinds("'it is'"), quoted("it is"));
        assert_eq!(kinds("\"\""), quoted(""));
        assert_eq!(kinds(r#""\xff\x00""#), [Kind::Quoted(vec![0xff, 0])]);
        assert_eq!(kinds(r#"~ "\d\.""#).last(), quoted(r"\d\.").last());
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let wrong = |source: &str| {
            let error = tokens(source).unwrap_err();
            (error.span.clone(), error.incomplete)
        };
        assert_eq!(wrong("a == \"b"), (5..7, true));
        assert_eq!(wrong("a = b"), (2..3, false));
        assert_eq!(wrong("a | b"), (2..3, false));
        assert_eq!(wrong(r#"a == "\q""#), (6..8, false));
        assert_eq!(wrong(r#""\"#), (0..2, true));
        assert_eq!(wrong(r#""\777""#), (1..3, false));
    }
}
