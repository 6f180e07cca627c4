//! Text in terminal columns: widths, cutting with a sign, numbers with separators.
//!
//! Widths are those of grapheme clusters as a terminal shows them: a wide character takes two columns, a combining one none.

use std::borrow::Cow;

use rpcshark_dissectors::print::Escaped;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Which end of a text is kept when it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The beginning; the ellipsis is at the end.
    Start,
    /// The end; the ellipsis is at the beginning.
    End,
}

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns` columns. What is cut is replaced by `ellipsis`, so that nothing is cut without a sign.
pub fn fit<'a>(text: &'a str, columns: usize, keep: Keep, ellipsis: &str) -> Cow<'a, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(width(ellipsis)) else {
        return Cow::Owned(ellipsis.chars().take(columns).collect());
    };
    match keep {
        Keep::Start => {
            let mut kept = take(text.graphemes(true), room);
            kept.push_str(ellipsis);
            Cow::Owned(kept)
        }
        Keep::End => {
            let mut end: Vec<&str> = Vec::new();
            let mut left = room;
            for grapheme in text.graphemes(true).rev() {
                let Some(rest) = left.checked_sub(width(grapheme)) else { break };
                left = rest;
                end.push(grapheme);
            }
            let mut kept = String::from(ellipsis);
            kept.extend(end.into_iter().rev());
            Cow::Owned(kept)
        }
    }
}

fn take<'a>(graphemes: impl Iterator<Item = &'a str>, mut room: usize) -> String {
    let mut kept = String::new();
    for grapheme in graphemes {
        let Some(rest) = room.checked_sub(width(grapheme)) else { break };
        room = rest;
        kept.push_str(grapheme);
    }
    kept
}

/// Bytes of a capture as text that is safe to draw: control, bidirectional and invisible characters are written out.
pub fn safe(bytes: &[u8]) -> String {
    Escaped(bytes).to_string()
}

/// `text` in ASCII, for terminals that show nothing else. It takes as many columns as before.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        mapped.push_str(match c {
            'µ' => "u",
            '…' => "~",
            '–' | '—' | '─' => "-",
            '·' | '░' => ".",
            '×' | '✗' => "x",
            '→' | '≥' | '›' | '►' => ">",
            '←' | '‹' | '◄' => "<",
            '↑' => "^",
            '↓' => "v",
            '✓' => "k",
            '●' => "*",
            '│' => "|",
            'Δ' => "d",
            c if c.is_ascii() => {
                mapped.push(c);
                continue;
            }
            c => ["", "?", "??"][width(c.encode_utf8(&mut [0; 4])).min(2)],
        });
    }
    Cow::Owned(mapped)
}

/// A number with its thousands separated: `1,214`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `count` with the noun in the number that it takes: `1 call`, `2 calls`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_with_a_sign_at_either_end() {
        assert_eq!(fit("abcdef", 6, Keep::Start, "…"), "abcdef");
        assert_eq!(fit("abcdef", 4, Keep::Start, "…"), "abc…");
        assert_eq!(fit("abcdef", 4, Keep::End, "…"), "…def");
        assert_eq!(fit("abcdef", 1, Keep::End, "…"), "…");
        assert_eq!(fit("abcdef", 0, Keep::End, "…"), "");
    }

    #[test]
    fn wide_and_combining_characters_count_as_columns() {
        assert_eq!(width("日本"), 4);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(fit("日本語", 5, Keep::Start, "…"), "日本…");
        assert_eq!(fit("日本語", 4, Keep::Start, "…"), "日…");
        assert_eq!(fit("xe\u{301}yz", 3, Keep::Start, "…"), "xe\u{301}…");
    }

    #[test]
    fn ascii_text_takes_as_many_columns() {
        for text in ["356 µs → 1.5 ms ≥ ‹hidden› …", "日本 e\u{301} ü", "plain"] {
            let mapped = ascii(text);
            assert!(mapped.is_ascii(), "{mapped}");
            assert_eq!(width(&mapped), width(text), "{mapped}");
        }
        assert_eq!(ascii("↑ 3 µs"), "^ 3 us");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_214), "1,214");
        assert_eq!(thousands(12_345_678), "12,345,678");
        assert_eq!(counted(1, "call"), "1 call");
        assert_eq!(counted(1_000, "call"), "1,000 calls");
    }

    #[test]
    fn escape_sequences_and_bidirectional_characters_are_written_out() {
        let text = safe("a\x1b[2J\u{202e}b\n".as_bytes());
        assert!(!text.contains(['\x1b', '\u{202e}', '\n']), "{text}");
    }
}
