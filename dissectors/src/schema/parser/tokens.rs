//! The token at hand: names, strings and symbols, and what to say where another one is expected.

use super::file::{Parser, Result};
use crate::schema::Diagnostic;
use crate::schema::descriptor::MAX_DEFINITIONS;
use crate::schema::lexer::{Token, unescape};
use std::ops::Range;

impl<'a> Parser<'a> {
    /// A dotted name, as it is written, and where it stands.
    pub(super) fn type_name(&mut self, what: &str) -> Result<(String, Range<usize>)> {
        let start = self.span.start;
        let mut name = String::new();
        if self.eaten('.')? {
            name.push('.');
        }
        loop {
            name.push_str(self.ident_at(what)?);
            let end = self.span.end;
            self.advance()?;
            if !self.eaten('.')? {
                return Ok((name, start..end));
            }
            name.push('.');
        }
    }

    /// Counts one more definition, unless there are too many.
    pub(super) fn define(&mut self) -> Result<()> {
        self.definitions += 1;
        match self.definitions > MAX_DEFINITIONS {
            true => Err(self.wrong(&format!("a file has at most {MAX_DEFINITIONS} messages, fields and the like"))),
            false => Ok(()),
        }
    }

    pub(super) fn ident(&mut self, what: &str) -> Result<&'a str> {
        let word = self.ident_at(what)?;
        self.advance()?;
        Ok(word)
    }

    fn ident_at(&self, what: &str) -> Result<&'a str> {
        match self.token {
            Token::Ident(word) => Ok(word),
            _ => Err(self.expected(what)),
        }
    }

    /// A string, put together from its parts, and where it stands.
    pub(super) fn string(&mut self) -> Result<(String, Range<usize>)> {
        let start = self.span.clone();
        let mut whole = String::new();
        let mut end = start.end;
        if !matches!(self.token, Token::Str(_)) {
            return Err(self.expected("a string"));
        }
        while let Token::Str(raw) = self.token {
            let Some(part) = unescape(raw) else {
                return Err(self.wrong("this string is not UTF-8 text: check its escapes"));
            };
            whole.push_str(&part);
            end = self.span.end;
            self.advance()?;
        }
        Ok((whole, start.start..end))
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.token == Token::Ident(word)
    }

    /// The token after the one at hand, if it can be read.
    pub(super) fn ahead(&self) -> Option<Token<'a>> {
        let mut lexer = self.lexer;
        lexer.next().ok().map(|(token, _)| token)
    }

    pub(super) fn eaten(&mut self, symbol: char) -> Result<bool> {
        let there = self.token == Token::Symbol(symbol);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    pub(super) fn eat(&mut self, symbol: char) -> Result<()> {
        if self.eaten(symbol)? { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        match self.lexer.next() {
            Ok((token, span)) => {
                self.token = token;
                self.span = span;
                Ok(())
            }
            Err(bad) => Err(Box::new(self.wrong_at(bad.at, bad.message))),
        }
    }

    pub(super) fn expected(&self, what: &str) -> Box<Diagnostic> {
        let found = match self.token {
            Token::End => "the end of the file".into(),
            Token::Str(_) => "a string".into(),
            _ => {
                let text: String = self.text.get(self.span.clone()).unwrap_or_default().chars().take(40).collect();
                format!("`{text}`")
            }
        };
        self.wrong(&format!("expected {what}, found {found}"))
    }

    pub(super) fn wrong(&self, message: &str) -> Box<Diagnostic> {
        Box::new(self.wrong_at(self.span.clone(), message.into()))
    }

    pub(super) fn wrong_at(&self, span: Range<usize>, message: String) -> Diagnostic {
        Diagnostic::error(Some(self.name), message).at(Some(self.text), span.start, span.end)
    }
}
