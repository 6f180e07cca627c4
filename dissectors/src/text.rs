//! Untrusted text: bytes of a capture without anything that a terminal would obey.

use std::fmt::{self, Write};

/// Bytes of a capture as text: what is not UTF-8 becomes U+FFFD, control characters are written out.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match is_dangerous(c) {
                    true => write!(f, "{}", c.escape_default())?,
                    false => f.write_char(c)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// Control characters, and those that turn the direction of text round.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(Escaped(b"a\x1b[31m\xff\n").to_string(), "a\\u{1b}[31m\u{fffd}\\n");
        assert_eq!(Escaped("z\u{202e}ürich".as_bytes()).to_string(), "z\\u{202e}ürich");
    }
}
