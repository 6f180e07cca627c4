//! `grpc-message`: UTF-8 with `%` and two hexadecimal digits for everything that is not printable ASCII.

use std::borrow::Cow;

/// The text. A `%` without two digits stands for itself, as the protocol asks; what is not UTF-8 becomes U+FFFD.
pub fn decode(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind.split_first_chunk()) {
            (b'%', Some((&[high, low], behind))) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(digit(high) << 4 | digit(low));
                rest = behind;
            }
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(match String::from_utf8(decoded) {
        Ok(text) => text,
        Err(wrong) => String::from_utf8_lossy(wrong.as_bytes()).into_owned(),
    })
}

/// The text as it is sent.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'$' | b'&'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn digit(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or_default() as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_and_what_is_none() {
        for (value, text) in [
            (&b""[..], ""),
            (b"plain text", "plain text"),
            (b"100%25", "100%"),
            (b"%E2%98%83 and %0a", "☃ and \n"),
            (b"%e2%98%83", "☃"),
            (b"100%", "100%"),
            (b"%2", "%2"),
            (b"%zz%+1%20", "%zz%+1 "),
            (b"%%41", "%A"),
            (b"%ff", "\u{fffd}"),
            (b"a\xffb", "a\u{fffd}b"),
            ("ä".as_bytes(), "ä"),
        ] {
            assert_eq!(decode(value), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(text: String) {
            let encoded = encode(&text);
            prop_assert_eq!(decode(encoded.as_bytes()), text);
        }

        #[test]
        fn anything_is_text(value: Vec<u8>) {
            prop_assert!(decode(&value).len() <= 3 * value.len());
        }
    }
}
