//! A line of text whose parts have a tone: what colours and a terminal UI show is decided elsewhere.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use super::fit;

/// What a part of a line means. Colour repeats what the words say already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// It went well.
    Good,
    /// It failed.
    Bad,
    /// Open, unknown, or worth a look.
    Doubt,
    /// To the server.
    Up,
    /// To the client.
    Down,
    /// Less important than the rest.
    Faint,
}

/// A part of a line. Its text is safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it means.
    pub tone: Tone,
    /// The text.
    pub text: String,
}

/// A line of text, without its newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    spans: Vec<Span>,
}

impl Line {
    /// A line with this text.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        let mut line = Self::default();
        line.push(tone, text);
        line
    }

    /// A line of plain text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Tone::Plain, text)
    }

    /// Appends text.
    pub fn push(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        if text.is_empty() {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.tone == tone => last.text += &text,
            _ => self.spans.push(Span { tone, text }),
        }
    }

    /// The parts.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The text of all parts.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.spans.iter().map(|span| span.text.width()).sum()
    }

    /// Cuts it to `width` columns, if there is one; an ellipsis takes the place of what is cut off.
    #[must_use]
    pub fn cut(mut self, width: Option<usize>) -> Self {
        let Some(width) = width else { return self };
        let mut left = width;
        for index in 0..self.spans.len() {
            let rest: usize = self.spans.iter().skip(index + 1).map(|span| span.text.width()).sum();
            let Some(span) = self.spans.get_mut(index) else { break };
            let own = span.text.width();
            if own + rest.min(1) <= left {
                left -= own;
                continue;
            }
            let mut text = std::mem::take(&mut span.text).into_bytes();
            if rest > 0 {
                text.push(b' ');
            }
            fit::cut_right(&mut text, 0, left);
            span.text = String::from_utf8_lossy(&text).into_owned();
            self.spans.truncate(index + 1);
            break;
        }
        self
    }
}

/// Breaks text between words into lines of at most `width` columns; words that are longer have a line of their own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<Cow<'_, str>> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(Cow::Owned(std::mem::take(&mut line)));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(Cow::Owned(line));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_in_the_part_where_it_gets_too_long() {
        let line = || {
            let mut line = Line::new(Tone::Good, "OK");
            line.push(Tone::Plain, " and more");
            line
        };
        let cut = |width| line().cut(Some(width)).text();
        assert_eq!([cut(11), cut(10), cut(3), cut(2), cut(1)], ["OK and more", "OK and mo…", "OK…", "O…", "…"]);
        assert_eq!(line().cut(Some(3)).spans().len(), 2);
        assert_eq!(line().cut(None), line());
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrap("a bb ccc dddddd e", 5), ["a bb", "ccc", "dddddd", "e"]);
    }
}
