//! The message of a GET request, in the query of its path.

use std::borrow::Cow;

use crate::grpc::binary_values;

/// The message of a GET request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMessage {
    /// Its bytes, compressed if they are.
    pub bytes: Vec<u8>,
    /// How it is compressed.
    pub encoding: Option<Vec<u8>>,
    /// It is JSON.
    pub is_json: bool,
}

impl PathMessage {
    /// Reads a path with `?message=…&encoding=…&connect=v1`, in any order. `None`: this is no call of Connect.
    pub fn parse(path: &[u8]) -> Option<Self> {
        let question = memchr::memchr(b'?', path)?;
        let (mut message, mut codec, mut encoding) = (None, None, None);
        let (mut base64, mut is_connect) = (false, false);
        for pair in path.get(question + 1..)?.split(|&byte| byte == b'&') {
            let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            let (name, value) = (pair.get(..equals)?, pair.get(equals + 1..).unwrap_or_default());
            match name {
                b"message" => message = Some(unescape(value)),
                b"encoding" => codec = Some(unescape(value)),
                b"compression" => encoding = Some(unescape(value)).filter(|name| **name != *b"identity"),
                b"base64" => base64 = value == b"1",
                b"connect" => is_connect = value == b"v1",
                _ => {}
            }
        }
        let (message, codec) = message.zip(codec).filter(|_| is_connect)?;
        let bytes = match base64 {
            true => binary_values(&message).next().flatten()?,
            false => message.into_owned(),
        };
        Some(Self { bytes, encoding: encoding.map(Cow::into_owned), is_json: *codec == *b"json" })
    }
}

/// Decodes `%` with two digits, and `+` for a space.
fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.first_chunk::<2>().map(|digits| digits.map(|digit| char::from(digit).to_digit(16)));
        match (byte, digits) {
            (b'%', Some([Some(high), Some(low)])) => {
                decoded.push((high << 4 | low) as u8);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                decoded.push(b' ');
                rest = behind;
            }
            _ => {
                decoded.push(byte);
                rest = behind;
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<(Vec<u8>, Option<Vec<u8>>, bool)> {
        PathMessage::parse(path.as_bytes()).map(|message| (message.bytes, message.encoding, message.is_json))
    }

    #[test]
    fn messages_are_text_or_base64_and_may_be_compressed() {
        let json = parse("/a.B/C?connect=v1&encoding=json&message=%7B%22a%22%3A%22b+c%22%7D");
        assert_eq!(json, Some((br#"{"a":"b c"}"#.to_vec(), None, true)));
        let proto = parse("/a.B/C?encoding=proto&base64=1&message=CAH_&compression=gzip&connect=v1");
        assert_eq!(proto, Some((vec![8, 1, 255], Some(b"gzip".to_vec()), false)));
        assert_eq!(parse("/a.B/C?message=&encoding=proto&base64=1&connect=v1"), Some((vec![], None, false)));
    }

    #[test]
    fn other_queries_are_not_calls() {
        for path in [
            "/a.B/C",
            "/a.B/C?",
            "/a.B/C?message=x&encoding=proto",
            "/a.B/C?message=x&connect=v1",
            "/a.B/C?encoding=proto&connect=v1",
            "/a.B/C?message=*&encoding=proto&connect=v1&base64=1",
            "/a.B/C?message=x&encoding=proto&connect=v2",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
        assert_eq!(unescape(b"%4").as_ref(), b"%4");
        assert_eq!(unescape(b"%zz%41").as_ref(), b"%zzA");
    }
}
