//! Which values are secrets, and whether they are hidden.

use crate::header::Field;

/// Which values are secrets, and whether they are hidden. The default hides what is known to hold secrets.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    reveal: bool,
    names: Vec<Vec<u8>>,
}

/// Names whose values are hidden.
const HIDDEN: &[&[u8]] = &[b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"];

/// Endings of such names.
const HIDDEN_ENDINGS: &[&[u8]] = &[b"-api-key", b"-token", b"-secret"];

impl Redaction {
    /// Hides nothing. Only for a user who has asked for secrets to be shown.
    pub fn reveal_everything() -> Self {
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
        match field.name.known() {
            Some(name) => self.hides_name(name),
            None => field.value.known().is_some_and(is_credentials),
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
            || HIDDEN_ENDINGS.iter().any(|ending| name.ends_with(ending))
            || self.names.iter().any(|hidden| hidden == name)
    }
}

/// A name in the form in which names are compared.
fn normal(name: &[u8]) -> Vec<u8> {
    name.to_ascii_lowercase()
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
            "cookie",
            "x-api-key",
            "refresh-token",
            "a-token-bin",
            "x-internal",
        ] {
            assert!(redaction.hides_name(name.as_bytes()), "{name}");
        }
        for name in ["tenant", "tokenish", "x-request-id"] {
            assert!(!redaction.hides_name(name.as_bytes()), "{name}");
        }
        assert!(is_credentials(b"Bearer abc") && is_credentials(b"basic YTpi"));
        assert!(!is_credentials(b"bearer") && !is_credentials(b"a plain value"));
        assert!(!Redaction::reveal_everything().hides_name(b"authorization"));
    }
}
