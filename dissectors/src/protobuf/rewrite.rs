//! Writing a message again with the values of some fields replaced.
//!
//! For redaction: what cannot be judged by the schema is not written. Fields that the type does not have are left out, and so
//! is what an `Any` of an unknown type holds; a message that is not protobuf to its end is not written at all.

use super::typed::{self, Shape};
use super::wire::{Fields, MAX_DEPTH, Value};
use crate::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};

/// Writes messages again with the values of some fields replaced.
#[derive(Clone, Copy)]
pub struct Rewriter<'a> {
    /// The types.
    pub schema: &'a Schema,
    /// Whether a field's values are replaced.
    pub chosen: &'a dyn Fn(&Field) -> bool,
    /// What is in place of the bytes of a string or of bytes. Values of other types become the default of their type.
    pub replacement: &'a dyn Fn(&[u8]) -> Vec<u8>,
}

/// What was done to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Values that were replaced.
    pub replaced: u64,
    /// Fields that were left out because the schema does not say what they are.
    pub left_out: u64,
}

impl Rewritten {
    /// Whether what was written is what was read.
    pub const fn is_unchanged(self) -> bool {
        self.replaced == 0 && self.left_out == 0
    }
}

impl Rewriter<'_> {
    /// Appends `bytes`, a message of type `ix`, to `out`. `None`: they are not one to their end, and what was appended is not to
    /// be used.
    pub fn rewrite(&self, ix: MessageIx, bytes: &[u8], out: &mut Vec<u8>) -> Option<Rewritten> {
        let message = self.schema.messages.get(ix.0 as usize)?;
        let mut done = Rewritten::default();
        self.message(message, bytes, 0, out, &mut done)?;
        Some(done)
    }

    fn message(
        &self,
        message: &Message,
        bytes: &[u8],
        depth: u32,
        out: &mut Vec<u8>,
        done: &mut Rewritten,
    ) -> Option<()> {
        if depth > MAX_DEPTH || message.message_set {
            return None;
        }
        let is_any = message.well_known == Some(WellKnown::Any);
        let any = if is_any { typed::any_type(self.schema, Fields::new(bytes)) } else { None };
        for wire in Fields::new(bytes) {
            let wire = wire.ok()?;
            let field = typed::lookup(message, wire.number).map(|(_, field)| field);
            let Some(field) = field.filter(|field| typed::shape(field, &wire.value) != Shape::Mismatch) else {
                done.left_out += 1;
                continue;
            };
            if (self.chosen)(field) {
                replace(field, wire.value, self.replacement, out);
                done.replaced += 1;
                continue;
            }
            let is_any_value = is_any && wire.number == 2;
            let inner = if is_any_value { any } else { typed::message_of(self.schema, field.kind) };
            let content = match wire.value {
                Value::Bytes(content) | Value::Group(content) if inner.is_some() || is_any_value => content,
                _ => {
                    out.extend_from_slice(bytes.get(wire.at as usize..wire.end as usize)?);
                    continue;
                }
            };
            let Some(inner) = inner else {
                done.left_out += u64::from(!content.is_empty());
                continue;
            };
            let before = *done;
            let mut rewritten = Vec::new();
            self.message(inner, content, depth + 1, &mut rewritten, done)?;
            match *done == before {
                true => out.extend_from_slice(bytes.get(wire.at as usize..wire.end as usize)?),
                false => write(field, &rewritten, out),
            }
        }
        Some(())
    }
}

/// Writes in place of `value` what hides it: other bytes, or the default of its type.
fn replace(field: &Field, value: Value<'_>, replacement: &dyn Fn(&[u8]) -> Vec<u8>, out: &mut Vec<u8>) {
    match (field.kind, value) {
        (Kind::String | Kind::Bytes, Value::Bytes(secret)) => write(field, &replacement(secret), out),
        // An empty map is the default; elements of a list are still counted.
        (Kind::Message(_) | Kind::Group(_), _) if field.cardinality != Cardinality::Map => write(field, &[], out),
        // A default that is written is there; one without presence is not written.
        (_, Value::Varint(_)) if field.cardinality == Cardinality::Explicit => {
            tag(field, 0, out);
            out.push(0);
        }
        (_, Value::Fixed64(_)) if field.cardinality == Cardinality::Explicit => {
            tag(field, 1, out);
            out.extend_from_slice(&[0; 8]);
        }
        (_, Value::Fixed32(_)) if field.cardinality == Cardinality::Explicit => {
            tag(field, 5, out);
            out.extend_from_slice(&[0; 4]);
        }
        _ => {}
    }
}

/// Writes a field whose value is bytes: length-delimited, or between the tags of a group.
fn write(field: &Field, content: &[u8], out: &mut Vec<u8>) {
    match field.kind {
        Kind::Group(_) => {
            tag(field, 3, out);
            out.extend_from_slice(content);
            tag(field, 4, out);
        }
        _ => {
            tag(field, 2, out);
            varint(content.len() as u64, out);
            out.extend_from_slice(content);
        }
    }
}

fn tag(field: &Field, wire_type: u64, out: &mut Vec<u8>) {
    varint(u64::from(field.number) << 3 | wire_type, out);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    const SCHEMA: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        message M {
            string name = 1; string key = 2 [debug_redact = true]; M inner = 3; repeated M list = 4;
            int32 pin = 5 [debug_redact = true]; optional fixed32 code = 6 [debug_redact = true];
            map<string, string> labels = 7; M whole = 8 [debug_redact = true]; google.protobuf.Any any = 9;
            repeated int32 pins = 10 [debug_redact = true]; bytes blob = 11 [debug_redact = true];
            map<string, string> secrets = 12 [debug_redact = true];
        }
    "#;

    fn rewrite(bytes: &[u8]) -> Option<(Vec<u8>, Rewritten)> {
        let schema = compile(SCHEMA);
        let rewriter = Rewriter {
            schema: &schema,
            chosen: &|field| field.redact,
            replacement: &|secret| vec![b'x'; secret.len()],
        };
        let mut out = Vec::new();
        let done = rewriter.rewrite(schema.message("t.M").unwrap(), bytes, &mut out)?;
        Some((out, done))
    }

    #[test]
    fn values_of_chosen_fields_are_replaced_wherever_they_are() {
        for (bytes, expected, replaced) in [
            (&b"\x0a\x01n\x12\x03abc"[..], &b"\x0a\x01n\x12\x03xxx"[..], 1),
            (b"\x1a\x04\x12\x02ab\x0a\x01n", b"\x1a\x04\x12\x02xx\x0a\x01n", 1),
            // A list: each element.
            (b"\x22\x03\x12\x01a\x22\x00\x22\x03\x12\x01b", b"\x22\x03\x12\x01x\x22\x00\x22\x03\x12\x01x", 2),
            // Numbers: without presence nothing, with presence the default.
            (b"\x28\x89\x01\x35\x01\x02\x03\x04", b"\x35\x00\x00\x00\x00", 2),
            (b"\x52\x02\x01\x02\x50\x03", b"", 2),
            // A message is empty, a map is not there.
            (b"\x42\x03\x0a\x01n", b"\x42\x00", 1),
            (b"\x62\x06\x0a\x01k\x12\x01v", b"", 1),
            (b"\x5a\x02\xff\x00", b"\x5a\x02xx", 1),
            // A length that changes changes those around it.
            (b"\x1a\x06\x1a\x02\x28\x07\x28\x01", b"\x1a\x02\x1a\x00", 2),
        ] {
            let (out, done) = rewrite(bytes).unwrap();
            assert_eq!((&out[..], done), (expected, Rewritten { replaced, left_out: 0 }), "{bytes:02x?}");
        }
    }

    #[test]
    fn an_any_is_gone_into_if_its_type_is_known() {
        let any = |url: &[u8], value: &[u8]| {
            let inner = [&[0x0a, url.len() as u8], url, &[0x12, value.len() as u8], value].concat();
            [&[0x4a, inner.len() as u8], &inner[..]].concat()
        };
        let (out, done) = rewrite(&any(b"x/t.M", b"\x12\x01a")).unwrap();
        assert_eq!((out, done.replaced), (any(b"x/t.M", b"\x12\x01x"), 1));
        let (out, done) = rewrite(&any(b"x/u.M", b"\x12\x01a")).unwrap();
        assert_eq!((out, done.left_out), (b"\x4a\x07\x0a\x05x/u.M".to_vec(), 1));
    }

    #[test]
    fn what_the_schema_does_not_know_is_left_out() {
        let (out, done) = rewrite(b"\x0a\x01n\xa2\x06\x01s\x0d\x01\x02\x03\x04").unwrap();
        assert_eq!((&out[..], done), (&b"\x0a\x01n"[..], Rewritten { replaced: 0, left_out: 2 }));
        for broken in [&b"\x0a"[..], b"\x0a\x05ab", b"\x1a\x02\x0a\x09", b"\x0c"] {
            assert_eq!(rewrite(broken), None, "{broken:02x?}");
        }
        let deep = (0..200).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut outer = vec![0x1a];
            varint(inner.len() as u64, &mut outer);
            outer.extend_from_slice(&inner);
            outer
        });
        assert_eq!(rewrite(&deep), None, "deeper than messages may be nested");
    }

    #[test]
    fn a_message_without_chosen_fields_stays_as_it_is() {
        // Also a varint that is longer than it needs to be.
        let bytes = b"\x0a\x81\x00n\x1a\x03\x0a\x01m\x3a\x06\x0a\x01k\x12\x01v";
        let (out, done) = rewrite(bytes).unwrap();
        assert!(done.is_unchanged());
        assert_eq!(out, bytes);
    }
}
