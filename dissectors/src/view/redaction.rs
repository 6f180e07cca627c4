//! Which values are secrets, and whether they are hidden.

use smallvec::SmallVec;

use crate::grpc::is_metadata;
use crate::header::{Coded, Field};

/// Which values are secrets, and whether they are hidden. The default hides what is known to hold secrets.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    reveal: bool,
    names: Vec<SmallVec<[u8; 64]>>,
}

/// Names whose values are hidden.
const HIDDEN: &[&[u8]] = &[b"cookie", b"set-cookie"];

/// An ending of such names.
const HIDDEN_ENDING: &[u8] = b"authorization";

/// Words that are hidden alone, with an `s`, and with anything before or after that is joined by `-`.
const HIDDEN_WORDS: &[&[u8]] = &[
    b"token",
    b"secret",
    b"password",
    b"passwd",
    b"jwt",
    b"apikey",
    b"api-key",
    b"access-key",
    b"access-token",
    b"credentials",
    b"csrf",
    b"session-id",
];

impl Redaction {
    /// Hides nothing. Only for a user who has asked for secrets to be shown.
    pub const fn reveal_everything() -> Self {
        Self { reveal: true, names: Vec::new() }
    }

    /// Hides fields of these names, too.
    #[must_use]
    pub fn with_names<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.names.extend(names.into_iter().map(|name| normal(name.as_ref().as_bytes())));
        self
    }

    /// Whether the values of message fields marked `debug_redact` are hidden.
    pub const fn hides_marked_fields(&self) -> bool {
        !self.reveal
    }

    /// Whether a header field's value is hidden: by its name, or, where that is not in the capture, because it looks like
    /// credentials.
    pub fn hides(&self, field: &Field) -> bool {
        if self.reveal {
            return false;
        }
        let sensitive = field.coded == Coded::NeverIndexed;
        match field.name.known() {
            // RFC 7541 §7.1.3: a sender marks so what no intermediary may put into a table, since it is sensitive.
            Some(name) => sensitive && is_metadata(name) || self.hides_name(name),
            None => sensitive || field.value.known().is_some_and(is_credentials),
        }
    }

    /// Whether the value of a header field of this name is hidden.
    pub fn hides_name(&self, name: &[u8]) -> bool {
        if self.reveal {
            return false;
        }
        let name = normal(name);
        // A binary field is as secret as one of text.
        let name = name.strip_suffix(b"-bin").unwrap_or(&name);
        HIDDEN.contains(&name)
            || name.ends_with(HIDDEN_ENDING)
            || HIDDEN_WORDS.iter().any(|word| has_word(name, word))
            || self.names.iter().any(|hidden| hidden.as_slice() == name)
    }
}

/// Whether `word`, or `word` with an `s`, is a part of `name` between its ends and `-`.
fn has_word(name: &[u8], word: &[u8]) -> bool {
    let mut parts = Some(name);
    while let Some(rest) = parts {
        if let Some(after) = rest.strip_prefix(word)
            && matches!(after, [] | [b'-', ..] | [b's'] | [b's', b'-', ..])
        {
            return true;
        }
        parts = rest.iter().position(|&byte| byte == b'-').and_then(|at| rest.get(at + 1..));
    }
    false
}

/// A name in the form in which names are compared: lower case, `-` for `_`, without blanks at its end.
fn normal(name: &[u8]) -> SmallVec<[u8; 64]> {
    let name = name.trim_ascii_end();
    name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect()
}

/// Whether a value looks like that of `authorization` (RFC 9110 §11.4).
fn is_credentials(value: &[u8]) -> bool {
    let scheme = value.split(|&b| b == b' ').next().unwrap_or_default();
    value.len() > scheme.len() && (scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_whatever_their_case() {
        let redaction = Redaction::default().with_names(["X-Internal"]);
        for name in [
            "authorization",
            "Proxy-Authorization",
            "x-amz-authorization",
            "cookie",
            "Set_Cookie",
            "cookie-bin",
            "token",
            "tokens",
            "refresh-token",
            "a-token-bin",
            "token-v2",
            "X_Auth_Token",
            "access-token",
            "secret",
            "client-secret",
            "password",
            "db-passwords",
            "passwd",
            "jwt",
            "x-jwt-assertion",
            "apikey",
            "api-key",
            "x-api-keys",
            "x_api_key",
            "access-key-id",
            "credentials",
            "csrf",
            "x-csrf-token",
            "session-id",
            "Session_Id  ",
            "x-internal",
            "X_INTERNAL",
        ] {
            assert!(redaction.hides_name(name.as_bytes()), "{name}");
        }
        for name in [
            "tenant",
            "tokenish",
            "mytoken",
            "tokenss",
            "x-request-id",
            "x-amz-date",
            "x-amz-target",
            "session",
            "secretary",
            "keys",
            "authorization-date",
            "grpc-status",
        ] {
            assert!(!redaction.hides_name(name.as_bytes()), "{name}");
        }
        assert!(is_credentials(b"Bearer abc") && is_credentials(b"basic YTpi"));
        assert!(!is_credentials(b"bearer") && !is_credentials(b"a plain value"));
        assert!(!Redaction::reveal_everything().hides_name(b"authorization"));
    }

    #[test]
    fn what_its_sender_never_lets_be_indexed_is_hidden() {
        let mut decoder = crate::http2::hpack::Decoder::new(true);
        // Literal never indexed (0x10), name and value: once metadata, twice not.
        let block = decoder.decode(b"\x10\x01k\x01v\x10\x05:path\x02/a\x10\x0bgrpc-status\x010");
        let hidden =
            |redaction: &Redaction| block.fields.iter().map(|field| redaction.hides(field)).collect::<Vec<_>>();
        assert_eq!(hidden(&Redaction::default()), [true, false, false]);
        assert_eq!(hidden(&Redaction::reveal_everything()), [false; 3]);
    }
}
