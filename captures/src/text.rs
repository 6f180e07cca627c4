//! Untrusted text: bytes of a capture without anything that a terminal would obey.

use std::fmt::{self, Write};

/// Bytes of a capture as text: what is not UTF-8 becomes U+FFFD; control, bidirectional and invisible characters are written
/// out. The text is one line.
#[derive(Clone, Copy, Debug)]
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

/// Whether a character does something to a terminal, turns the direction of text, or is invisible, so that it must be written
/// out: then a name looks like what it is.
pub fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Tags and what else the plane of special characters holds.
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(Escaped(b"a\x1b[31m\xff\n").to_string(), "a\\u{1b}[31m\u{fffd}\\n");
        assert_eq!(Escaped("z\u{202e}ürich".as_bytes()).to_string(), "z\\u{202e}ürich");
        for hidden in
            ['\u{61c}', '\u{200b}', '\u{200f}', '\u{2028}', '\u{202e}', '\u{2060}', '\u{2069}', '\u{feff}', '\u{e0041}']
        {
            assert_eq!(Escaped(hidden.to_string().as_bytes()).to_string(), hidden.escape_unicode().to_string());
        }
        assert_eq!(Escaped("größe 漢字 👍🏽 é".as_bytes()).to_string(), "größe 漢字 👍🏽 é");
    }
}
