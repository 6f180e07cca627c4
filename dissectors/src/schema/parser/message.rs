//! Messages, their fields, and enumerations.

use super::file::{Parser, Result};
use super::options::Value;
use super::scalar::scalar;
use crate::schema::descriptor::{
    Enum, EnumOptions, EnumValue, Field, FieldOptions, Message, MessageOptions, Oneof, OneofOptions, field_type, label,
};
use crate::schema::features::Edition;
use crate::schema::lexer::Token;

/// How deep messages and groups may be nested: as protoc has it, and what bounds the recursion here.
pub(super) const MAX_NESTING: usize = 31;

/// The largest field number that a tag can carry.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// The largest number of an extension: that of a message set needs no tag.
const MAX_EXTENSION: u64 = (1 << 31) - 2;

/// Where a field stands: what it may look like depends on it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Within {
    Message,
    Oneof(i32),
    Extend,
}

impl<'a> Parser<'a> {
    pub(super) fn message(&mut self) -> Result<Message> {
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

    pub(super) fn oneof(&mut self, message: &mut Message) -> Result<()> {
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

    pub(super) fn extend(&mut self, into: &mut Vec<Field>, groups: &mut Vec<Message>) -> Result<()> {
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
    pub(super) fn field(&mut self, within: Within, nested: &mut Vec<Message>) -> Result<Field> {
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
            let diagnostics = self.wrong_at(self.span.clone(), "expected `optional`, `required` or `repeated`".into());
            let hint = "without `syntax = \"proto3\";` or an edition as its first statement a file is proto2";
            return Err(Box::new(diagnostics.hint(hint.into())));
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

    pub(super) fn map(&mut self, mut field: Field, within: Within, nested: &mut Vec<Message>) -> Result<Field> {
        self.advance()?;
        self.eat('<')?;
        let (key, key_at) = self.type_name("the type of the map's keys")?;
        let Some(key) = scalar(&key).filter(|n| !matches!(n, 1 | 2 | 12)) else {
            let diagnostics =
                self.wrong_at(key_at, format!("`{key}` cannot be a key: keys are integers, bool or string"));
            return Err(Box::new(diagnostics));
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

    pub(super) fn group(&mut self, mut field: Field, within: Within, nested: &mut Vec<Message>) -> Result<Field> {
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

    pub(super) fn enumeration(&mut self) -> Result<Enum> {
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
