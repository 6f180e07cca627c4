//! What is in an export in place of secrets.
//!
//! Secrets are the values of hidden header fields and of message fields that the schema marks `debug_redact` or that are
//! named. Each becomes a pseudonym: the same secret has the same one everywhere in one export, and another one in the next,
//! since the key is new each time. A message that cannot be read to its end by its type is left out: nobody can say what is
//! in it.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use rpcshark_dissectors::grpc::{binary_values, is_binary};
use rpcshark_dissectors::header;
use rpcshark_dissectors::protobuf::{Rewriter, Rewritten};
use rpcshark_dissectors::schema::{Field, MessageIx, Schema};
use rpcshark_dissectors::view::{Known, MessageView, Redaction, Scratch, as_json};

/// Puts pseudonyms in place of secrets.
pub(crate) struct Redactor<'a> {
    schema: &'a Schema,
    hidden: &'a Redaction,
    fields: &'a [String],
    /// The key of the pseudonyms: from the system's source of random numbers, and never written anywhere.
    key: RandomState,
    /// `google.rpc.Status`, which details of an error are in.
    status: Option<MessageIx>,
}

/// What was done about secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redacted {
    /// Values that were replaced.
    pub(crate) values: u64,
    /// Parts of messages that were left out because the schema does not have their types.
    pub(crate) parts: u64,
    /// Messages that were left out.
    pub(crate) messages: u64,
}

/// What is written for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Its bytes as they are.
    Same(Vec<u8>),
    /// Other bytes, not compressed.
    New(Vec<u8>),
    /// Nothing.
    LeftOut,
}

/// The characters of pseudonyms.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Shorter secrets than this have pseudonyms that can be the secret itself.
const SHORT: usize = 4;

impl<'a> Redactor<'a> {
    /// With a new key. `hidden` says which header fields are secrets; `fields` are the full names of message fields that are,
    /// besides the marked ones; a name without dots is that of a field in every message.
    pub(crate) fn new(schema: &'a Schema, hidden: &'a Redaction, fields: &'a [String]) -> Self {
        Self { schema, hidden, fields, key: RandomState::new(), status: schema.message("google.rpc.Status") }
    }

    /// The pseudonym of a secret: as long as it, and printable.
    fn pseudonym(&self, secret: &[u8]) -> Vec<u8> {
        let mut attempt = 0_u64;
        loop {
            let blocks = (0_u64..).flat_map(|block| self.key.hash_one((secret, attempt, block)).to_le_bytes());
            let letters = blocks.map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'x'));
            let pseudonym: Vec<u8> = letters.take(secret.len()).collect();
            if pseudonym != secret || secret.len() < SHORT {
                return pseudonym;
            }
            attempt += 1;
        }
    }

    fn is_secret(&self, field: &Field) -> bool {
        let is_named = |name: &String| **name == *field.full_name || **name == *field.name;
        field.redact || self.fields.iter().any(is_named)
    }

    /// The value that is written for a header field; `None`: it is unknown.
    pub(super) fn header<'f>(&self, field: &'f header::Field, done: &mut Redacted) -> Option<Cow<'f, [u8]>> {
        let value = field.value.known()?;
        let name = field.name.known();
        if self.hidden.hides(field) {
            done.values += 1;
            return Some(Cow::Owned(self.hidden_value(name, value)));
        }
        Some(match name {
            Some(b"grpc-status-details-bin") => self.status_details(value, done),
            _ => Cow::Borrowed(value),
        })
    }

    /// The value that is written for metadata of this name.
    pub(super) fn metadata<'v>(&self, name: &[u8], value: &'v [u8], done: &mut Redacted) -> Cow<'v, [u8]> {
        if !self.hidden.hides_name(name) {
            return Cow::Borrowed(value);
        }
        done.values += 1;
        Cow::Owned(self.pseudonym(value))
    }

    fn hidden_value(&self, name: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
        if !name.is_some_and(is_binary) {
            return self.pseudonym(value);
        }
        let padded = value.contains(&b'=');
        let values = binary_values(value).map(|secret| {
            let pseudonym = self.pseudonym(&secret.unwrap_or_default());
            if padded { BASE64_STANDARD.encode(pseudonym) } else { BASE64_STANDARD_NO_PAD.encode(pseudonym) }
        });
        values.collect::<Vec<_>>().join(",").into_bytes()
    }

    /// `grpc-status-details-bin`: what its `google.rpc.Status` holds is redacted as a message is.
    pub(super) fn status_details<'v>(&self, value: &'v [u8], done: &mut Redacted) -> Cow<'v, [u8]> {
        let status = binary_values(value).next().flatten();
        match status.and_then(|status| self.status(&status, done)) {
            Some(Content::Same(_)) => Cow::Borrowed(value),
            Some(Content::New(status)) => Cow::Owned(BASE64_STANDARD_NO_PAD.encode(status).into_bytes()),
            Some(Content::LeftOut) | None => {
                done.messages += 1;
                Cow::Borrowed(b"")
            }
        }
    }

    /// A `google.rpc.Status`.
    pub(super) fn status(&self, bytes: &[u8], done: &mut Redacted) -> Option<Content> {
        Some(self.rewrite(self.status?, bytes, done))
    }

    /// A message of a gRPC or ttrpc call, without its prefix.
    pub(super) fn message(&self, message: MessageView<'_>, done: &mut Redacted) -> Content {
        let mut scratch = Scratch::default();
        let body = message.body(&mut scratch);
        let content = match (body.content(), message.type_ix()) {
            (Some([]), _) => Content::Same(body.wire().to_vec()),
            // What a type was guessed by may fit others, too, which have other secrets.
            (Some(content), Known::Seen(ix)) if as_json(content).is_none() => match self.rewrite(ix, content, done) {
                Content::Same(_) => Content::Same(body.wire().to_vec()),
                other => other,
            },
            _ => Content::LeftOut,
        };
        done.messages += u64::from(content == Content::LeftOut);
        content
    }

    fn rewrite(&self, ix: MessageIx, bytes: &[u8], done: &mut Redacted) -> Content {
        let rewriter = Rewriter {
            schema: self.schema,
            chosen: &|field| self.is_secret(field),
            replacement: &|secret| self.pseudonym(secret),
        };
        let mut out = Vec::new();
        let Some(rewritten) = rewriter.rewrite(ix, bytes, &mut out) else { return Content::LeftOut };
        let Rewritten { replaced, left_out } = rewritten;
        done.values += replaced;
        done.parts += left_out;
        if rewritten.is_unchanged() { Content::Same(out) } else { Content::New(out) }
    }
}

/// The names among `fields` that no field of the schema has.
pub(crate) fn unknown_fields<'n>(schema: &Schema, fields: &'n [String]) -> impl Iterator<Item = &'n String> {
    fields.iter().filter(|name| {
        let mut known = schema.messages.iter().flat_map(|message| &message.fields);
        !known.any(|field| ***name == *field.full_name || ***name == *field.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_pseudonym_of_its_length() {
        let (schema, hidden) = (Schema::builtin(), Redaction::default());
        let [one, other] = [(); 2].map(|()| Redactor::new(&schema, &hidden, &[]));
        for secret in [&b""[..], b"a", b"hunter2", &[0xff; 100]] {
            let pseudonym = one.pseudonym(secret);
            assert_eq!(pseudonym, one.pseudonym(secret));
            assert_eq!(pseudonym.len(), secret.len());
            assert!(pseudonym.iter().all(u8::is_ascii_alphanumeric));
        }
        assert_ne!(one.pseudonym(b"hunter2"), one.pseudonym(b"hunter3"));
        assert_ne!(one.pseudonym(b"hunter2"), other.pseudonym(b"hunter2"), "another export has another key");
    }

    #[test]
    fn binary_values_stay_base64_and_have_the_pseudonym_of_their_bytes() {
        let (schema, hidden) = (Schema::builtin(), Redaction::default());
        let redactor = Redactor::new(&schema, &hidden, &[]);
        let text = BASE64_STANDARD.encode(b"hunter2!");
        let value = redactor.hidden_value(Some(b"a-token-bin"), text.as_bytes());
        assert_eq!(value.len(), text.len());
        assert_eq!(BASE64_STANDARD.decode(value).unwrap(), redactor.pseudonym(b"hunter2!"));
        let two = redactor.hidden_value(Some(b"a-token-bin"), b"YWFhYQ,YWFhYQ");
        let parts: Vec<&[u8]> = two.split(|&byte| byte == b',').collect();
        assert_eq!((parts.len(), parts[0]), (2, parts[1]));
    }
}
