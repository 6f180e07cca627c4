//! A file, and what is at its top level.

use super::options::edition_named;
use crate::schema::Diagnostic;
use crate::schema::descriptor::File;
use crate::schema::features::Edition;
use crate::schema::lexer::{Lexer, Token};
use std::ops::Range;

/// A file, parsed.
#[derive(Debug)]
pub(in crate::schema) struct Parsed {
    pub(in crate::schema) file: File,
    /// Where each of the file's dependencies is named.
    pub(in crate::schema) imports: Vec<Range<usize>>,
    /// How many messages, fields, enum values and the like the file has.
    pub(in crate::schema) definitions: usize,
}

/// Parses `text`; `name` is how the user knows the file.
pub(in crate::schema) fn parse(name: &str, text: &str) -> Result<Parsed, Box<Diagnostic>> {
    let mut parser = Parser {
        name,
        text,
        lexer: Lexer::new(text),
        token: Token::End,
        span: 0..0,
        edition: Edition::PROTO2,
        depth: 0,
        definitions: 0,
        imports: Vec::new(),
    };
    parser.advance()?;
    let file = parser.file()?;
    Ok(Parsed { file, imports: parser.imports, definitions: parser.definitions })
}

pub(super) type Result<T, E = Box<Diagnostic>> = std::result::Result<T, E>;

pub(super) struct Parser<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) lexer: Lexer<'a>,
    /// The token at hand, and where it stands.
    pub(super) token: Token<'a>,
    pub(super) span: Range<usize>,
    pub(super) edition: Edition,
    pub(super) depth: usize,
    pub(super) definitions: usize,
    pub(super) imports: Vec<Range<usize>>,
}

impl<'a> Parser<'a> {
    pub(super) fn file(&mut self) -> Result<File> {
        let mut file = File { name: Some(self.name.into()), ..File::default() };
        if self.is("syntax") || self.is("edition") {
            self.syntax(&mut file)?;
        }
        loop {
            match self.token {
                Token::End => return Ok(file),
                Token::Symbol(';') => self.advance()?,
                Token::Ident("import") => self.import(&mut file)?,
                Token::Ident("package") => self.package(&mut file)?,
                Token::Ident("option") => {
                    let set = self.option_statement()?;
                    let features = &mut file.options.get_or_insert_default().features;
                    self.set_features(&set, features)?;
                }
                Token::Ident("syntax" | "edition") => {
                    return Err(self.wrong("this must be the first statement of the file"));
                }
                _ => match self.declaration()? {
                    "message" => {
                        let message = self.message()?;
                        file.message_type.push(message);
                    }
                    "enum" => {
                        let enumeration = self.enumeration()?;
                        file.enum_type.push(enumeration);
                    }
                    "service" => {
                        let service = self.service()?;
                        file.service.push(service);
                    }
                    "extend" => self.extend(&mut file.extension, &mut file.message_type)?,
                    _ => {
                        return Err(
                            self.expected("`message`, `enum`, `service`, `extend`, `import`, `package` or `option`")
                        );
                    }
                },
            }
        }
    }

    /// The keyword that begins a declaration, after `export` or `local` of edition 2024 if it is one.
    pub(super) fn declaration(&mut self) -> Result<&'a str> {
        if matches!(self.token, Token::Ident("export" | "local"))
            && matches!(self.ahead(), Some(Token::Ident("message" | "enum")))
        {
            if self.edition != Edition::E2024 {
                return Err(self.wrong("`export` and `local` came with edition 2024"));
            }
            self.advance()?;
        }
        match self.token {
            Token::Ident(word) => Ok(word),
            _ => Ok(""),
        }
    }

    pub(super) fn syntax(&mut self, file: &mut File) -> Result<()> {
        let edition = self.is("edition");
        self.advance()?;
        self.eat('=')?;
        let span = self.span.clone();
        let (value, _) = self.string()?;
        let known = if edition { edition_named(&value) } else { Edition::of(Some(&value), None) };
        let Some(known) = known.filter(|_| !value.is_empty()) else {
            let what = if edition { "edition" } else { "syntax" };
            let diagnostics = self.wrong_at(span, format!("{what} `{value}` is not known here"));
            return Err(Box::new(
                diagnostics.hint("known are syntax proto2 and proto3, and editions 2023 and 2024".into()),
            ));
        };
        self.edition = known;
        if edition {
            file.edition = Some(known.0);
            file.syntax = Some("editions".into());
        } else {
            file.syntax = Some(value);
        }
        self.eat(';')
    }

    pub(super) fn import(&mut self, file: &mut File) -> Result<()> {
        self.define()?;
        self.advance()?;
        let kind = match self.token {
            Token::Ident(word @ ("public" | "weak" | "option")) => {
                self.advance()?;
                word
            }
            _ => "",
        };
        let (name, span) = self.string()?;
        let climbs = name.split('/').any(|part| matches!(part, "" | "." | "..")) || name.contains('\\');
        if climbs {
            return Err(Box::new(self.wrong_at(
                span,
                "an import is a path below an import root: without `..`, `.`, `\\` and empty parts".into(),
            )));
        }
        // `import option` (edition 2024) brings in custom options only, which decoding does not need.
        if kind != "option" {
            if kind == "public" {
                file.public_dependency.push(i32::try_from(file.dependency.len()).unwrap_or(i32::MAX));
            }
            file.dependency.push(name);
            self.imports.push(span);
        }
        self.eat(';')
    }

    pub(super) fn package(&mut self, file: &mut File) -> Result<()> {
        let span = self.span.clone();
        self.advance()?;
        let (name, _) = self.type_name("a package name")?;
        if file.package.replace(name).is_some() {
            return Err(Box::new(self.wrong_at(span, "a file has one `package` only".into())));
        }
        self.eat(';')
    }
}
