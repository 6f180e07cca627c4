//! Options, as far as decoding depends on them: features, `map_entry`, `packed` and the like.

use super::file::{Parser, Result};
use crate::schema::descriptor::Features;
use crate::schema::features::Edition;
use crate::schema::lexer::{Token, unescape};
use std::ops::Range;

/// An option as far as it matters: `features.enum_type` is `["features", "enum_type"]`. Custom ones have no path.
pub(super) struct OptionSet<'a> {
    pub(super) path: Vec<&'a str>,
    pub(super) value: Value<'a>,
    pub(super) span: Range<usize>,
}

pub(super) enum Value<'a> {
    Ident(&'a str),
    Str(String),
    /// The `name: value` pairs of the outermost level of a text-format value whose values are names.
    Pairs(Vec<(&'a str, &'a str)>),
    Other,
}

impl<'a> Parser<'a> {
    /// `option name = value;`
    pub(super) fn option_statement(&mut self) -> Result<OptionSet<'a>> {
        self.advance()?;
        let set = self.option()?;
        self.eat(';')?;
        Ok(set)
    }

    /// `[name = value, …]`, or nothing.
    pub(super) fn option_list(&mut self) -> Result<Vec<OptionSet<'a>>> {
        let mut sets = Vec::new();
        if !self.eaten('[')? {
            return Ok(sets);
        }
        loop {
            sets.push(self.option()?);
            if self.eaten(']')? {
                return Ok(sets);
            }
            if self.token != Token::Symbol(',') {
                return Err(self.expected("`,` or `]`"));
            }
            self.advance()?;
        }
    }

    /// `name = value`
    pub(super) fn option(&mut self) -> Result<OptionSet<'a>> {
        let start = self.span.start;
        let mut path = Vec::new();
        let mut custom = false;
        loop {
            if self.eaten('(')? {
                custom = true;
                self.type_name("the name of an option")?;
                self.eat(')')?;
            } else {
                path.push(self.ident("the name of an option")?);
            }
            if !self.eaten('.')? {
                break;
            }
        }
        if custom {
            path.clear();
        }
        let end = self.span.start;
        if self.token != Token::Symbol('=') {
            return Err(self.expected("`=`"));
        }
        self.advance()?;
        let value = match self.token {
            Token::Symbol('{') => Value::Pairs(self.text_format()?),
            Token::Str(_) => {
                // Custom options may hold any bytes; only what matters here must be text.
                let mut whole = Some(String::new());
                while let Token::Str(raw) = self.token {
                    whole = whole.zip(unescape(raw)).map(|(whole, part)| whole + &part);
                    self.advance()?;
                }
                whole.map_or(Value::Other, Value::Str)
            }
            Token::Ident(word) => {
                self.advance()?;
                Value::Ident(word)
            }
            _ => {
                if !self.eaten('-')? {
                    self.eaten('+')?;
                }
                match self.token {
                    Token::Int(_) | Token::Float | Token::Ident(_) => self.advance()?,
                    _ => return Err(self.expected("the option's value")),
                }
                Value::Other
            }
        };
        Ok(OptionSet { path, value, span: start..end })
    }

    /// `{ … }` in text format: what is inside is not looked at but for plain pairs of names.
    fn text_format(&mut self) -> Result<Vec<(&'a str, &'a str)>> {
        let open = self.span.clone();
        let mut pairs = Vec::new();
        // The brackets that are open, as what closes them.
        let mut closers = Vec::new();
        let mut last: [Token<'a>; 2] = [Token::End; 2];
        self.lexer.text_format = true;
        loop {
            match self.token {
                Token::Symbol('{') => closers.push('}'),
                Token::Symbol('[') => closers.push(']'),
                Token::Symbol('<') => closers.push('>'),
                Token::Symbol(c @ ('}' | ']' | '>')) if closers.pop() != Some(c) => {
                    return Err(Box::new(self.wrong_at(open, "the brackets in this value do not match".into())));
                }
                Token::End => return Err(Box::new(self.wrong_at(open, "this `{` is not closed".into()))),
                _ => {}
            }
            if closers.is_empty() {
                self.lexer.text_format = false;
                self.advance()?;
                return Ok(pairs);
            }
            if let ([Token::Ident(name), Token::Symbol(':')], Token::Ident(value), 1) =
                (last, self.token, closers.len())
            {
                pairs.push((name, value));
            }
            last = [last[1], self.token];
            self.advance()?;
        }
    }

    /// Takes over an option if it is one of the features.
    pub(super) fn set_features(&self, set: &OptionSet<'a>, into: &mut Option<Features>) -> Result<()> {
        let pairs: &[(&str, &str)] = match (&*set.path, &set.value) {
            (["features", name], Value::Ident(value)) => &[(*name, *value)],
            (["features"], Value::Pairs(pairs)) => pairs,
            _ => return Ok(()),
        };
        if self.edition.0 < Edition::E2023.0 {
            return Err(Box::new(self.wrong_at(set.span.clone(), "features need `edition = \"2023\";`".into())));
        }
        let features = into.get_or_insert_default();
        for &(name, value) in pairs {
            let (field, values): (_, &[&str]) = match name {
                "field_presence" => (&mut features.field_presence, &["EXPLICIT", "IMPLICIT", "LEGACY_REQUIRED"]),
                "enum_type" => (&mut features.enum_type, &["OPEN", "CLOSED"]),
                "repeated_field_encoding" => (&mut features.repeated_field_encoding, &["PACKED", "EXPANDED"]),
                "utf8_validation" => (&mut features.utf8_validation, &["", "VERIFY", "NONE"]),
                "message_encoding" => (&mut features.message_encoding, &["LENGTH_PREFIXED", "DELIMITED"]),
                _ => continue,
            };
            let Some(at) = values.iter().position(|&v| v == value && !v.is_empty()) else {
                let known: Vec<&str> = values.iter().copied().filter(|v| !v.is_empty()).collect();
                let message = format!("`{value}` is not a value of the feature `{name}`");
                let diagnostics = self.wrong_at(set.span.clone(), message);
                return Err(Box::new(diagnostics.hint(format!("its values are {}", known.join(", ")))));
            };
            *field = i32::try_from(at + 1).ok();
        }
        Ok(())
    }
}

pub(super) fn edition_named(name: &str) -> Option<Edition> {
    match name {
        "2023" => Some(Edition::E2023),
        "2024" => Some(Edition::E2024),
        _ => None,
    }
}
