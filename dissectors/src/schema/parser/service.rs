//! Services and their methods.

use super::file::{Parser, Result};
use super::options::Value;
use super::scalar::scalar;
use crate::schema::descriptor::{Method, MethodOptions, Service};
use crate::schema::lexer::Token;

impl<'a> Parser<'a> {
    pub(super) fn service(&mut self) -> Result<Service> {
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

    pub(super) fn method(&mut self) -> Result<Method> {
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
}
