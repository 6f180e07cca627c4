//! `.proto` text to descriptors.
//!
//! Follows the language specifications of proto2, proto3 and the editions
//! (<https://protobuf.dev/reference/protobuf/edition-2023-spec/>). What decoding does not need is read over: comments,
//! default values, reserved numbers, most options and all custom ones. What is wrong ends the file, with one message
//! that points at it. Names of types are left as they are written; [`link`](super::link) resolves them.

use super::Diagnostic;
use super::descriptor::{
    Enum, EnumOptions, EnumValue, Features, Field, FieldOptions, File, MAX_DEFINITIONS, Message, MessageOptions,
    Method, MethodOptions, Oneof, OneofOptions, Service, field_type, label,
};
use super::features::Edition;
use super::lexer::{Lexer, Token, unescape};
use std::ops::Range;

/// How deep messages and groups may be nested: as protoc has it, and what bounds the recursion here.
const MAX_NESTING: usize = 31;

/// The largest field number that a tag can carry, and the largest of an extension: a message set's need no tag.
const MAX_NUMBER: u64 = (1 << 29) - 1;
const MAX_EXTENSION: u64 = (1 << 31) - 2;

/// A file, parsed.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) file: File,
    /// Where each of the file's dependencies is named.
    pub(super) imports: Vec<Range<usize>>,
    /// How many messages, fields, enum values and the like the file has.
    pub(super) definitions: usize,
}

/// Parses `text`; `name` is how the user knows the file.
pub(super) fn parse(name: &str, text: &str) -> Result<Parsed, Box<Diagnostic>> {
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

type Result<T, E = Box<Diagnostic>> = std::result::Result<T, E>;

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token at hand, and where it stands.
    token: Token<'a>,
    span: Range<usize>,
    edition: Edition,
    depth: usize,
    definitions: usize,
    imports: Vec<Range<usize>>,
}

/// An option as far as it matters: `features.enum_type` is `["features", "enum_type"]`. Custom ones have no path.
struct OptionSet<'a> {
    path: Vec<&'a str>,
    value: Value<'a>,
    span: Range<usize>,
}

enum Value<'a> {
    Ident(&'a str),
    Str(String),
    /// The `name: value` pairs of the outermost level of a text-format value whose values are names.
    Pairs(Vec<(&'a str, &'a str)>),
    Other,
}

/// Where a field stands: what it may look like depends on it.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Message,
    Oneof(i32),
    Extend,
}

impl<'a> Parser<'a> {
    fn file(&mut self) -> Result<File> {
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

    /// The keyword that begins a declaration, behind `export` or `local` of edition 2024 if it is one.
    fn declaration(&mut self) -> Result<&'a str> {
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

    fn syntax(&mut self, file: &mut File) -> Result<()> {
        let edition = self.is("edition");
        self.advance()?;
        self.eat('=')?;
        let span = self.span.clone();
        let (value, _) = self.string()?;
        let known = if edition { edition_named(&value) } else { Edition::of(Some(&value), None) };
        let Some(known) = known.filter(|_| !value.is_empty()) else {
            let what = if edition { "edition" } else { "syntax" };
            let said = self.wrong_at(span, format!("{what} `{value}` is not known here"));
            return Err(Box::new(said.hint("known are syntax proto2 and proto3, and editions 2023 and 2024".into())));
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

    fn import(&mut self, file: &mut File) -> Result<()> {
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

    fn package(&mut self, file: &mut File) -> Result<()> {
        let span = self.span.clone();
        self.advance()?;
        let (name, _) = self.type_name("a package name")?;
        if file.package.replace(name).is_some() {
            return Err(Box::new(self.wrong_at(span, "a file has one `package` only".into())));
        }
        self.eat(';')
    }

    fn message(&mut self) -> Result<Message> {
        self.define()?;
        self.advance()?;
        let mut message = Message { name: Some(self.ident("the message's name")?.into()), ..Message::default() };
        self.body(&mut message)?;
        Ok(message)
    }

    /// `{ … }` of a message or group.
    fn body(&mut self, message: &mut Message) -> Result<()> {
        if self.depth == MAX_NESTING {
            return Err(self.wrong(&format!("messages are nested deeper than {MAX_NESTING} levels")));
        }
        self.depth += 1;
        self.eat('{')?;
        while !self.eaten('}')? {
            match self.token {
                Token::Symbol(';') => self.advance()?,
                Token::Ident("oneof") => self.oneof(message)?,
                Token::Ident("option") => {
                    let set = self.option_statement()?;
                    let options = message.options.get_or_insert_default();
                    if let (["message_set_wire_format"], Value::Ident(value)) = (&*set.path, &set.value) {
                        options.message_set_wire_format = Some(*value == "true");
                    }
                    self.set_features(&set, &mut options.features)?;
                }
                Token::Ident("reserved" | "extensions") => self.ranges()?,
                Token::Ident(_) | Token::Symbol('.') => match self.declaration()? {
                    "message" => {
                        let nested = self.message()?;
                        message.nested_type.push(nested);
                    }
                    "enum" => {
                        let nested = self.enumeration()?;
                        message.enum_type.push(nested);
                    }
                    "extend" => self.extend(&mut message.extension, &mut message.nested_type)?,
                    _ => {
                        let field = self.field(Within::Message, &mut message.nested_type)?;
                        message.field.push(field);
                    }
                },
                _ => return Err(self.expected("a field or `}`")),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn oneof(&mut self, message: &mut Message) -> Result<()> {
        self.define()?;
        self.advance()?;
        let mut oneof = Oneof { name: Some(self.ident("the oneof's name")?.into()), options: None };
        let index = i32::try_from(message.oneof_decl.len()).unwrap_or(i32::MAX);
        self.eat('{')?;
        while !self.eaten('}')? {
            match self.token {
                Token::Symbol(';') => self.advance()?,
                Token::Ident("option") => {
                    let set = self.option_statement()?;
                    self.set_features(&set, &mut oneof.options.get_or_insert_with(OneofOptions::default).features)?;
                }
                _ => {
                    let field = self.field(Within::Oneof(index), &mut message.nested_type)?;
                    message.field.push(field);
                }
            }
        }
        message.oneof_decl.push(oneof);
        Ok(())
    }

    fn extend(&mut self, into: &mut Vec<Field>, groups: &mut Vec<Message>) -> Result<()> {
        self.advance()?;
        let (extendee, _) = self.type_name("the name of the message to extend")?;
        self.eat('{')?;
        while !self.eaten('}')? {
            if self.eaten(';')? {
                continue;
            }
            let mut field = self.field(Within::Extend, groups)?;
            field.extendee = Some(extendee.clone());
            into.push(field);
        }
        Ok(())
    }

    /// A field; the messages that groups and maps bring along go to `nested`.
    fn field(&mut self, within: Within, nested: &mut Vec<Message>) -> Result<Field> {
        self.define()?;
        let start = self.span.clone();
        let given = match self.token {
            Token::Ident("optional") => Some(label::OPTIONAL),
            Token::Ident("required") => Some(label::REQUIRED),
            Token::Ident("repeated") => Some(label::REPEATED),
            _ => None,
        };
        if given.is_some() {
            self.check_label(given, within)?;
            self.advance()?;
        }
        let mut field = Field { label: Some(given.unwrap_or(label::OPTIONAL)), ..Field::default() };
        if self.edition == Edition::PROTO3 && given == Some(label::OPTIONAL) && within == Within::Message {
            field.proto3_optional = Some(true);
        }
        if let Within::Oneof(index) = within {
            field.oneof_index = Some(index);
        }
        if self.is("map") && self.ahead() == Some(Token::Symbol('<')) {
            if given.is_some() || within != Within::Message {
                return Err(Box::new(self.wrong_at(
                    start,
                    "a map field stands alone in a message: no label, not in a oneof, no extension".into(),
                )));
            }
            return self.map(field, within, nested);
        }
        if self.edition == Edition::PROTO2 && given.is_none() && !matches!(within, Within::Oneof(_)) {
            let said = self.wrong_at(self.span.clone(), "expected `optional`, `required` or `repeated`".into());
            let hint = "without `syntax = \"proto3\";` or an edition as its first statement a file is proto2";
            return Err(Box::new(said.hint(hint.into())));
        }
        if self.is("group") && matches!(self.ahead(), Some(Token::Ident(_))) {
            return self.group(field, within, nested);
        }
        let (named, at) = self.type_name("a field's type")?;
        match scalar(&named) {
            Some(number) => field.r#type = Some(number),
            None => {
                field.type_name = Some(named);
                field.at = u32::try_from(at.start).ok();
            }
        }
        field.name = Some(self.ident("the field's name")?.into());
        self.number_and_options(&mut field, within)?;
        self.eat(';')?;
        Ok(field)
    }

    fn check_label(&self, given: Option<i32>, within: Within) -> Result<()> {
        let editions = self.edition.0 >= Edition::E2023.0;
        let message = match given {
            _ if matches!(within, Within::Oneof(_)) => "a field in a oneof has no label",
            Some(label::REQUIRED) if self.edition == Edition::PROTO3 => "proto3 has no `required`",
            Some(label::REQUIRED) if editions => {
                "editions have no `required`: `features.field_presence = LEGACY_REQUIRED`"
            }
            Some(label::OPTIONAL) if editions => {
                "editions have no `optional`: a field has presence unless a feature takes it"
            }
            _ => return Ok(()),
        };
        Err(self.wrong(message))
    }

    fn map(&mut self, mut field: Field, within: Within, nested: &mut Vec<Message>) -> Result<Field> {
        self.advance()?;
        self.eat('<')?;
        let (key, key_at) = self.type_name("the type of the map's keys")?;
        let Some(key) = scalar(&key).filter(|n| !matches!(n, 1 | 2 | 12)) else {
            let said = self.wrong_at(key_at, format!("`{key}` cannot be a key: keys are integers, bool or string"));
            return Err(Box::new(said));
        };
        self.eat(',')?;
        let (value, value_at) = self.type_name("the type of the map's values")?;
        self.eat('>')?;
        let name = self.ident("the field's name")?;
        field.name = Some(name.into());
        self.number_and_options(&mut field, within)?;
        self.eat(';')?;

        let entry = entry_name(name);
        let part = |name: &str, number| Field {
            name: Some(name.into()),
            number: Some(number),
            label: Some(label::OPTIONAL),
            // Features of the field hold for its key and value (utf8_validation).
            options: Some(FieldOptions {
                features: field.options.as_ref().and_then(|o| o.features),
                ..Default::default()
            }),
            ..Field::default()
        };
        let mut value_part = part("value", 2);
        match scalar(&value) {
            Some(number) => value_part.r#type = Some(number),
            None => {
                value_part.type_name = Some(value);
                value_part.at = u32::try_from(value_at.start).ok();
            }
        }
        nested.push(Message {
            name: Some(entry.clone()),
            field: vec![Field { r#type: Some(key), ..part("key", 1) }, value_part],
            options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
            ..Message::default()
        });
        field.label = Some(label::REPEATED);
        field.r#type = Some(field_type::MESSAGE);
        field.type_name = Some(entry);
        Ok(field)
    }

    fn group(&mut self, mut field: Field, within: Within, nested: &mut Vec<Message>) -> Result<Field> {
        if self.edition != Edition::PROTO2 {
            return Err(self.wrong("groups are proto2 only; in editions `features.message_encoding = DELIMITED`"));
        }
        self.advance()?;
        let span = self.span.clone();
        let name = self.ident("the group's name")?;
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Err(Box::new(self.wrong_at(span, "a group's name begins with a capital letter".into())));
        }
        field.name = Some(name.to_ascii_lowercase());
        field.r#type = Some(field_type::GROUP);
        field.type_name = Some(name.into());
        self.number_and_options(&mut field, within)?;
        let mut message = Message { name: Some(name.into()), ..Message::default() };
        self.body(&mut message)?;
        nested.push(message);
        Ok(field)
    }

    /// `= number [options]`
    fn number_and_options(&mut self, field: &mut Field, within: Within) -> Result<()> {
        self.eat('=')?;
        let Token::Int(number) = self.token else { return Err(self.expected("the field's number")) };
        let max = if within == Within::Extend { MAX_EXTENSION } else { MAX_NUMBER };
        if !(1..=max).contains(&number) {
            return Err(self.wrong(&format!("a field's number is between 1 and {max}")));
        }
        field.number = i32::try_from(number).ok();
        self.advance()?;
        for set in self.option_list()? {
            match (&*set.path, &set.value) {
                (["json_name"], Value::Str(name)) => field.json_name = Some(name.clone()),
                (["packed"], Value::Ident(value)) => {
                    field.options.get_or_insert_default().packed = Some(*value == "true");
                }
                (["debug_redact"], Value::Ident(value)) => {
                    field.options.get_or_insert_default().debug_redact = Some(*value == "true");
                }
                _ => self.set_features(&set, &mut field.options.get_or_insert_default().features)?,
            }
        }
        Ok(())
    }

    fn enumeration(&mut self) -> Result<Enum> {
        self.define()?;
        self.advance()?;
        let mut made = Enum { name: Some(self.ident("the enum's name")?.into()), ..Enum::default() };
        self.eat('{')?;
        while !self.eaten('}')? {
            match self.token {
                Token::Symbol(';') => self.advance()?,
                Token::Ident("option") if self.ahead() != Some(Token::Symbol('=')) => {
                    let set = self.option_statement()?;
                    self.set_features(&set, &mut made.options.get_or_insert_with(EnumOptions::default).features)?;
                }
                Token::Ident("reserved") if self.ahead() != Some(Token::Symbol('=')) => self.ranges()?,
                Token::Ident(name) => {
                    self.define()?;
                    self.advance()?;
                    self.eat('=')?;
                    let span = self.span.clone();
                    let negative = self.eaten('-')?;
                    let Token::Int(number) = self.token else { return Err(self.expected("the value's number")) };
                    let signed = i128::from(number) * if negative { -1 } else { 1 };
                    let Ok(number) = i32::try_from(signed) else {
                        let span = span.start..self.span.end;
                        let message = format!("the number of an enum's value is between {} and {}", i32::MIN, i32::MAX);
                        return Err(Box::new(self.wrong_at(span, message)));
                    };
                    self.advance()?;
                    self.option_list()?;
                    self.eat(';')?;
                    made.value.push(EnumValue { name: Some(name.into()), number: Some(number) });
                }
                _ => return Err(self.expected("a value or `}`")),
            }
        }
        Ok(made)
    }

    fn service(&mut self) -> Result<Service> {
        self.define()?;
        self.advance()?;
        let mut service = Service { name: Some(self.ident("the service's name")?.into()), ..Service::default() };
        self.eat('{')?;
        while !self.eaten('}')? {
            match self.token {
                Token::Symbol(';') => self.advance()?,
                Token::Ident("option") => {
                    self.option_statement()?;
                }
                Token::Ident("rpc") => {
                    let method = self.method()?;
                    service.method.push(method);
                }
                _ => return Err(self.expected("`rpc`, `option` or `}`")),
            }
        }
        Ok(service)
    }

    fn method(&mut self) -> Result<Method> {
        self.define()?;
        self.advance()?;
        let mut method = Method { name: Some(self.ident("the method's name")?.into()), ..Method::default() };
        let (streams, input, at) = self.method_type()?;
        (method.client_streaming, method.input_type, method.input_at) = (streams, Some(input), at);
        if !self.is("returns") {
            return Err(self.expected("`returns`"));
        }
        self.advance()?;
        let (streams, output, at) = self.method_type()?;
        (method.server_streaming, method.output_type, method.output_at) = (streams, Some(output), at);
        if self.eaten(';')? {
            return Ok(method);
        }
        if self.token != Token::Symbol('{') {
            return Err(self.expected("`;` or `{`"));
        }
        self.advance()?;
        while !self.eaten('}')? {
            if self.eaten(';')? {
                continue;
            }
            if !self.is("option") {
                return Err(self.expected("`option` or `}`"));
            }
            let set = self.option_statement()?;
            if let (["idempotency_level"], Value::Ident(level)) = (&*set.path, &set.value) {
                let level = ["IDEMPOTENCY_UNKNOWN", "NO_SIDE_EFFECTS", "IDEMPOTENT"].iter().position(|n| n == level);
                method.options = Some(MethodOptions { idempotency_level: level.and_then(|n| i32::try_from(n).ok()) });
            }
        }
        Ok(method)
    }

    /// `(stream? type)`
    fn method_type(&mut self) -> Result<(Option<bool>, String, Option<u32>)> {
        self.eat('(')?;
        let streams = self.is("stream") && matches!(self.ahead(), Some(Token::Ident(_) | Token::Symbol('.')));
        if streams {
            self.advance()?;
        }
        let (name, at) = self.type_name("a message type")?;
        if scalar(&name).is_some() {
            return Err(Box::new(self.wrong_at(at, format!("`{name}` is not a message type"))));
        }
        self.eat(')')?;
        Ok((streams.then_some(true), name, u32::try_from(at.start).ok()))
    }

    /// `reserved …;` or `extensions …;`: read over.
    fn ranges(&mut self) -> Result<()> {
        self.advance()?;
        loop {
            match self.token {
                Token::Symbol(';') => return self.advance(),
                Token::Symbol('[') => {
                    self.option_list()?;
                }
                Token::Int(_) | Token::Str(_) | Token::Ident(_) | Token::Symbol(',' | '-') => self.advance()?,
                _ => return Err(self.expected("a number, a name or `;`")),
            }
        }
    }

    /// `option name = value;`
    fn option_statement(&mut self) -> Result<OptionSet<'a>> {
        self.advance()?;
        let set = self.option()?;
        self.eat(';')?;
        Ok(set)
    }

    /// `[name = value, …]`, or nothing.
    fn option_list(&mut self) -> Result<Vec<OptionSet<'a>>> {
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
    fn option(&mut self) -> Result<OptionSet<'a>> {
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
    fn set_features(&self, set: &OptionSet<'a>, into: &mut Option<Features>) -> Result<()> {
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
                let said = self.wrong_at(set.span.clone(), message);
                return Err(Box::new(said.hint(format!("its values are {}", known.join(", ")))));
            };
            *field = i32::try_from(at + 1).ok();
        }
        Ok(())
    }

    /// A dotted name, as it is written, and where it stands.
    fn type_name(&mut self, what: &str) -> Result<(String, Range<usize>)> {
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
    fn define(&mut self) -> Result<()> {
        self.definitions += 1;
        match self.definitions > MAX_DEFINITIONS {
            true => Err(self.wrong(&format!("a file has at most {MAX_DEFINITIONS} messages, fields and the like"))),
            false => Ok(()),
        }
    }

    fn ident(&mut self, what: &str) -> Result<&'a str> {
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
    fn string(&mut self) -> Result<(String, Range<usize>)> {
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

    fn is(&self, word: &str) -> bool {
        self.token == Token::Ident(word)
    }

    /// The token behind the one at hand, if it can be read.
    fn ahead(&self) -> Option<Token<'a>> {
        let mut lexer = self.lexer;
        lexer.next().ok().map(|(token, _)| token)
    }

    fn eaten(&mut self, symbol: char) -> Result<bool> {
        let there = self.token == Token::Symbol(symbol);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn eat(&mut self, symbol: char) -> Result<()> {
        if self.eaten(symbol)? { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn advance(&mut self) -> Result<()> {
        match self.lexer.next() {
            Ok((token, span)) => {
                self.token = token;
                self.span = span;
                Ok(())
            }
            Err(bad) => Err(Box::new(self.wrong_at(bad.at, bad.message))),
        }
    }

    fn expected(&self, what: &str) -> Box<Diagnostic> {
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

    fn wrong(&self, message: &str) -> Box<Diagnostic> {
        Box::new(self.wrong_at(self.span.clone(), message.into()))
    }

    fn wrong_at(&self, span: Range<usize>, message: String) -> Diagnostic {
        Diagnostic::error(Some(self.name), message).at(Some(self.text), span.start, span.end)
    }
}

fn edition_named(name: &str) -> Option<Edition> {
    match name {
        "2023" => Some(Edition::E2023),
        "2024" => Some(Edition::E2024),
        _ => None,
    }
}

/// The number in `FieldDescriptorProto.Type` of a type that is a keyword.
fn scalar(name: &str) -> Option<i32> {
    Some(match name {
        "double" => 1,
        "float" => 2,
        "int64" => 3,
        "uint64" => 4,
        "int32" => 5,
        "fixed64" => 6,
        "fixed32" => 7,
        "bool" => 8,
        "string" => 9,
        "bytes" => 12,
        "uint32" => 13,
        "sfixed32" => 15,
        "sfixed64" => 16,
        "sint32" => 17,
        "sint64" => 18,
        _ => return None,
    })
}

/// The name of a map field's entry message: `item_count` has `ItemCountEntry`.
fn entry_name(field: &str) -> String {
    let mut out = String::with_capacity(field.len() + 5);
    let mut upper = true;
    for c in field.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out + "Entry"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::{descriptors, same_as_reflected};
    use crate::schema::{Cardinality, Kind, Schema};

    /// The schema of `text`, with nothing to be said about it.
    fn read(text: &str) -> Schema {
        let (schema, said) = Schema::from_source(text);
        assert!(said.is_empty(), "{}", said[0]);
        schema
    }

    /// `text` is read by this parser, and by another compiler whose descriptors are linked here: all three agree.
    fn agrees(text: &str) {
        let set = descriptors(text);
        same_as_reflected(&read(text), &set);
        let (schema, said) = Schema::from_descriptors(&set).unwrap();
        assert!(said.is_empty(), "{}", said[0]);
        same_as_reflected(&schema, &set);
    }

    fn wrong(text: &str) -> String {
        parse("a.proto", text).expect_err("this text is wrong").to_string()
    }

    #[test]
    fn proto3_as_another_compiler_reads_it() {
        agrees(
            r#"
            // A comment; "not a string".
            syntax = 'proto' "3";
            package acme.shop.v1;
            import public "google/protobuf/any.proto";
            import "google/protobuf/wrappers.proto";
            import "google/protobuf/descriptor.proto";
            option go_package = "example.com/x;y";
            option java_multiple_files = true;
            extend google.protobuf.FieldOptions { Note note = 50001; repeated string tag = 50002; }
            message Note { string text = 1; map<string, double> more = 2; }
            message All {
              option deprecated = true;
              reserved 100 to 110, 200, 300 to max; reserved "old", 'older';
              double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4;
              uint32 a_uint32 = 5; uint64 a_uint64 = 6; sint32 a_sint32 = 7; sint64 a_sint64 = 8;
              fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10; sfixed32 an_sfixed32 = 0xB; sfixed64 an_sfixed64 = 014;
              bool a_bool = 13; string a_string = 14; bytes some_bytes = 15;
              repeated int32 packed = 16; repeated int32 plain = 17 [packed = false]; repeated string words = 18;
              optional int32 maybe = 19; optional Inner maybe_inner = 20;
              map<int32, string> by_number = 21; map<bool, Inner> by_flag = 22; map<string, Colour> colour_of_thing = 23;
              oneof choice { string left = 24; Inner right = 25 [deprecated = true]; Colour neither = 26; }
              google.protobuf.Any any = 27; .google.protobuf.StringValue text = 28;
              string renamed = 29 [json_name = "other-Name", (note) = { text: "a # b" more { key: "x" value: 1.5f } # c
                 }, (tag) = "1", (tag) = '2', jstype = JS_NORMAL];
              string _odd__name_ = 30; string Name2x = 31; repeated Colour colours = 32;
              message Inner { All outer = 1; Deep deep = 2; message Deep { Inner inner = 1; Colour colour = 2; } }
              enum Colour { option allow_alias = true; NONE = 0; RED = 1; ROUGE = 1 [deprecated = true]; MINUS = -5; }
              // Fields that are called as keywords are.
              string message = 40; string syntax = 41; string stream = 42; bool optional = 43; int32 map = 44; Inner rpc = 45;
            };
            message Empty {}
            service Shop {
              option deprecated = false;
              rpc Get(All) returns (All.Inner);
              rpc Put(stream All.Inner) returns (.acme.shop.v1.Empty) { option idempotency_level = IDEMPOTENT; };
              rpc Both(stream google.protobuf.Any) returns (stream Empty) {}
            }
            "#,
        );
    }

    #[test]
    fn proto2_as_another_compiler_reads_it() {
        agrees(
            r#"
            package old;
            message Base {
              required string id = 1; optional int32 count = 2 [default = -7]; repeated int32 plain = 3;
              repeated int32 dense = 4 [packed = true, deprecated = true]; optional double limit = 5 [default = inf];
              repeated group Result = 6 { optional string url = 1; repeated group Part = 2 { optional bytes raw = 1; } }
              oneof which { string name = 7; group Thing = 8 { optional bool yes = 1; } }
              optional Kind kind = 9 [default = SECOND];
              map<string, Base> children = 10;
              enum Kind { SECOND = 2; FIRST = 1; }
              extensions 100 to 199, 1000 to max;
              message Nested { extend Base { optional Nested nested = 100; } }
            }
            extend Base { optional string extra = 101; repeated sint64 numbers = 102 [packed = true];
              repeated group More = 103 { optional int32 x = 1; } }
            message Set { option message_set_wire_format = true; extensions 4 to max; }
            "#,
        );
        let schema = read("message S { option message_set_wire_format = true; extensions 4 to max; }");
        assert!(schema[schema.message("S").unwrap()].message_set);
    }

    #[test]
    fn names_are_resolved_from_the_innermost_scope_outwards() {
        agrees(
            r#"
            syntax = "proto3";
            package a.b.a;
            message X { Y y = 1; a.Y z = 2; .a.b.a.Y w = 3; X.Y v = 4; message Y { X x = 1; Y y = 2; b.a.Z z = 3; } }
            message Y {}
            message Z {}
            "#,
        );
    }

    #[test]
    fn editions_set_what_syntax_did() {
        let schema = read(
            r#"
            edition = "2023";
            package e;
            option features.field_presence = IMPLICIT;
            option features = { repeated_field_encoding: EXPANDED, utf8_validation: NONE };
            message M {
              int32 implicit = 1;
              int32 explicit = 2 [features.field_presence = EXPLICIT, default = 5];
              int32 required = 3 [features.field_presence = LEGACY_REQUIRED];
              repeated int32 expanded = 4;
              repeated int32 packed = 5 [features.repeated_field_encoding = PACKED];
              string any_bytes = 6;
              string checked = 7 [features.utf8_validation = VERIFY];
              M plain = 8;
              M delimited = 9 [features.message_encoding = DELIMITED];
              map<string, M> children = 10 [features.utf8_validation = VERIFY];
              reserved gone, also_gone;
            }
            message Inherits {
              option features.message_encoding = DELIMITED;
              M group = 1; map<int32, M> no_group = 2; Open open = 3; Closed closed = 4;
              message In { option features.field_presence = EXPLICIT; bool b = 1; M group = 2; }
            }
            enum Open { ZERO = 0; }
            enum Closed { option features.enum_type = CLOSED; ONE = 1; }
            "#,
        );
        let m = &schema[schema.message("e.M").unwrap()];
        let explicit: Vec<bool> = m.fields.iter().map(|f| f.cardinality == Cardinality::Explicit).collect();
        assert_eq!(explicit, [false, true, true, false, false, false, false, true, true, false]);
        assert_eq!((m.fields[3].packed, m.fields[4].packed), (false, true));
        assert_eq!((m.fields[5].utf8, m.fields[6].utf8), (false, true));
        assert!(matches!(m.fields[7].kind, Kind::Message(_)) && matches!(m.fields[8].kind, Kind::Group(_)));
        let Kind::Message(entry) = m.fields[9].kind else { panic!() };
        assert!(schema[entry].fields[0].utf8, "the feature of a map field holds for its key");
        let inherits = &schema[schema.message("e.Inherits").unwrap()];
        assert!(matches!(inherits.fields[0].kind, Kind::Group(_)));
        let Kind::Message(entry) = inherits.fields[1].kind else { panic!("a map field is no group") };
        assert!(matches!(schema[entry].fields[1].kind, Kind::Message(_)), "nor is its value");
        let inner = &schema[schema.message("e.Inherits.In").unwrap()];
        assert_eq!(inner.fields[0].cardinality, Cardinality::Explicit);
        assert!(matches!(inner.fields[1].kind, Kind::Group(_)));
        let closed = schema.enums.iter().filter(|e| e.name.starts_with("e.")).map(|e| e.closed).collect::<Vec<_>>();
        assert_eq!(closed, [false, true]);
    }

    #[test]
    fn edition_2024_is_read_as_far_as_decoding_needs_it() {
        let schema = read(
            "edition = \"2024\"; import option \"not/there.proto\";
             export message A { local enum E { Z = 0; } E e = 1; A export = 2; message local {} local l = 3; }
             local enum F { Y = 0; }",
        );
        assert_eq!(schema[schema.message("A").unwrap()].fields.len(), 3);
    }

    #[test]
    fn debug_redact_and_idempotency_are_taken_over() {
        let schema = read(
            "syntax = \"proto3\"; message A { string secret = 1 [debug_redact = true]; string open = 2; }
             service S { rpc R(A) returns (A) { option idempotency_level = NO_SIDE_EFFECTS; option (x.y).z = { a: 1 }; } }",
        );
        let fields = &schema[schema.message("A").unwrap()].fields;
        assert_eq!((fields[0].redact, fields[1].redact), (true, false));
        assert_eq!(schema.method("S", "R").unwrap().idempotency, 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_caret() {
        assert_eq!(
            wrong("syntax = \"proto3\";\nmessage A {\n  string name = 1\n}\n"),
            "a.proto:4:1: error: expected `;`, found `}`\n 4 | }\n   | ^"
        );
        assert_eq!(
            wrong("syntax = \"proto4\";"),
            "a.proto:1:10: error: syntax `proto4` is not known here\n 1 | syntax = \"proto4\";\n   |          ^^^^^^^^\n  \
             known are syntax proto2 and proto3, and editions 2023 and 2024"
        );
        assert_eq!(
            wrong("syntax = \"proto3\";\nmessage A { map<Foo, string> m = 1; }"),
            "a.proto:2:17: error: `Foo` cannot be a key: keys are integers, bool or string\n \
             2 | message A { map<Foo, string> m = 1; }\n   |                 ^^^"
        );
    }

    #[test]
    fn every_kind_of_mistake_has_its_message() {
        let p3 = |rest: &str| format!("syntax = \"proto3\"; {rest}");
        let e = |rest: &str| format!("edition = \"2023\"; {rest}");
        for (text, expected) in [
            (
                p3("messag A {}"),
                "expected `message`, `enum`, `service`, `extend`, `import`, `package` or `option`, found `messag`",
            ),
            (p3("message {}"), "expected the message's name, found `{`"),
            (p3("message A {"), "expected a field or `}`, found the end of the file"),
            (p3("message A { string = 1; }"), "expected the field's name, found `=`"),
            (p3("message A { string a = 0; }"), "a field's number is between 1 and 536870911"),
            (p3("message A { string a = 536870912; }"), "a field's number is between 1 and 536870911"),
            (p3("message A { string a = -1; }"), "expected the field's number, found `-`"),
            (p3("message A { string a = 1 [x]; }"), "expected `=`, found `]`"),
            (p3("message A { string a = 1 [x = ]; }"), "expected the option's value, found `]`"),
            (p3("message A { string a = 1 [x = 1; }"), "expected `,` or `]`, found `;`"),
            (p3("message A { string a = 1 [(x) = { y: 1 ]; }"), "the brackets in this value do not match"),
            (p3("option (x) = { y: 1;"), "this `{` is not closed"),
            (p3("message A { required string a = 1; }"), "proto3 has no `required`"),
            (p3("message A { oneof a { repeated string b = 1; } }"), "a field in a oneof has no label"),
            (
                p3("message A { repeated map<string, string> b = 1; }"),
                "a map field stands alone in a message: no label, not in a oneof, no extension",
            ),
            (
                p3("message A { repeated group B = 1 {} }"),
                "groups are proto2 only; in editions `features.message_encoding = DELIMITED`",
            ),
            (p3("option features.enum_type = OPEN;"), "features need `edition = \"2023\";`"),
            (p3("enum A { B = 2147483648; }"), "the number of an enum's value is between -2147483648 and 2147483647"),
            (p3("enum A { B; }"), "expected `=`, found `;`"),
            (p3("service A { rpc B(string) returns (C); }"), "`string` is not a message type"),
            (p3("service A { rpc B(C) return (C); }"), "expected `returns`, found `return`"),
            (p3("service A { int32 b = 1; }"), "expected `rpc`, `option` or `}`, found `int32`"),
            (
                p3("import \"../a.proto\";"),
                "an import is a path below an import root: without `..`, `.`, `\\` and empty parts",
            ),
            (p3("import a.proto;"), "expected a string, found `a`"),
            (p3("package a; package b;"), "a file has one `package` only"),
            (p3("syntax = \"proto3\";"), "this must be the first statement of the file"),
            (p3("message A { string a = 1 [json_name = \"b]; }"), "this string does not end on its line"),
            (p3("/* message"), "this comment does not end"),
            ("message A { string a = 1; }".into(), "expected `optional`, `required` or `repeated`"),
            ("message A { optional group a = 1 {} }".into(), "a group's name begins with a capital letter"),
            ("edition = \"1999\";".into(), "edition `1999` is not known here"),
            ("export message A {}".into(), "`export` and `local` came with edition 2024"),
            (
                e("message A { optional string a = 1; }"),
                "editions have no `optional`: a field has presence unless a feature takes it",
            ),
            (e("option features.enum_type = AJAR;"), "`AJAR` is not a value of the feature `enum_type`"),
        ] {
            let said = parse("a.proto", &text).expect_err(&text);
            assert_eq!(said.message, expected, "{text}");
            assert!(said.spot.is_some(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "message A {".repeat(depth), "}".repeat(depth));
        assert!(parse("a.proto", &nested(MAX_NESTING)).is_ok());
        assert_eq!(
            parse("a.proto", &nested(100_000)).unwrap_err().message,
            "messages are nested deeper than 31 levels"
        );
        let aggregate = format!("option (a) = {}1{};", "{ b ".repeat(100_000), "}".repeat(100_000));
        assert!(parse("a.proto", &aggregate).is_ok());
    }

    #[test]
    fn any_text_gives_a_file_or_a_message() {
        let whole = "edition = \"2023\"; import \"a/b.proto\"; package p; option features.enum_type = CLOSED;\n\
            message M { map<string, M> m = 1; oneof o { M a = 2 [json_name = 'x\\n']; } enum E { A = -1; } extensions 4 to max; }\n\
            extend M { repeated .p.M e = 5 [(o).p = { q: [1, 2] }]; } service S { rpc R(stream M) returns (M) {} } // \u{e9}";
        assert!(parse("a.proto", whole).is_ok());
        for cut in 0..whole.len() {
            for rest in [whole.get(..cut), whole.get(cut..)].into_iter().flatten() {
                if let Err(said) = parse("a.proto", rest) {
                    assert!(said.spot.is_some() && !said.to_string().is_empty());
                }
                Schema::from_source(rest);
            }
            if let (Some(head), Some(tail)) = (whole.get(..cut), whole.get(cut + 1..)) {
                Schema::from_source(&format!("{head}{tail}"));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn random_tokens_never_panic(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)) {
            Schema::from_source(&words.join(" "));
        }

        #[test]
        fn random_text_never_panics(text in "\\PC{0,200}") {
            Schema::from_source(&text);
        }
    }

    const WORDS: &[&str] = &[
        "syntax = \"proto3\";",
        "edition = \"2023\";",
        "message",
        "enum",
        "service",
        "rpc",
        "returns",
        "stream",
        "extend",
        "oneof",
        "map<",
        "int32",
        "string",
        "optional",
        "repeated",
        "group",
        "A",
        "B",
        "a",
        ".",
        ",",
        ";",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        "=",
        "1",
        "2",
        "-",
        "0x",
        "\"x\"",
        "'",
        "option",
        "features",
        "import \"a\";",
        "package",
        "reserved",
        "extensions",
        "to",
        "max",
        "//",
        "/*",
        "*/",
        "\n",
        "#",
    ];
}
