//! Colour: it only repeats what the words say, and is put on lines when they are made.
//!
//! What comes out of a capture has no escape sequence in it any more by then.

use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use rpcshark_dissectors::print::{Line, Tone};

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On terminals, unless the environment says otherwise (NO_COLOR, TERM=dumb)
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Decides for standard error, and says whether standard output is to be coloured.
    pub(super) fn decide(self) -> bool {
        match self {
            Self::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
            Self::Always => {
                ColorChoice::Always.write_global();
                true
            }
            Self::Never => {
                ColorChoice::Never.write_global();
                false
            }
        }
    }
}

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DOUBT: Style = AnsiColor::Yellow.on_default();
const UP: Style = AnsiColor::Cyan.on_default();
const DOWN: Style = AnsiColor::Magenta.on_default();

const FAINT: Style = Style::new().dimmed();

/// Appends a line whose parts have tones, and a newline.
pub(super) fn push_line(line: &Line, paint: bool, out: &mut Vec<u8>) {
    for span in line.spans() {
        let style = match span.tone {
            Tone::Plain => None,
            Tone::Heading => Some(HEADING),
            Tone::Good => Some(GOOD),
            Tone::Bad => Some(BAD),
            Tone::Doubt => Some(DOUBT),
            Tone::Up => Some(UP),
            Tone::Down => Some(DOWN),
            Tone::Faint => Some(FAINT),
        };
        match style.filter(|_| paint) {
            Some(style) => out.extend_from_slice(styled(style, &span.text).as_bytes()),
            None => out.extend_from_slice(span.text.as_bytes()),
        }
    }
    out.push(b'\n');
}

/// A heading: all of it.
pub(super) fn heading(text: &str) -> String {
    styled(HEADING, text.trim_end_matches('\n')) + "\n"
}

/// The line of a call that begins at `line`, whose status begins at `status`.
pub(super) fn call_line(out: &mut Vec<u8>, status: usize) {
    let end = String::from_utf8_lossy(out.get(status..).unwrap_or_default()).into_owned();
    out.truncate(status);
    out.extend_from_slice(with_status(&end).as_bytes());
}

/// The line of a frame: arrows by their direction, what ends something in red.
pub(super) fn frame_line(line: &str) -> String {
    // Before the arrow there are only numbers, and after it the type.
    let Some((before, arrow, after)) = split_arrow(line) else { return line.to_owned() };
    let word = after.trim_start().split(' ').next().unwrap_or_default();
    let painted = match word {
        "RST_STREAM" | "GOAWAY" => after.replacen(word, &styled(BAD, word), 1),
        _ => after.to_owned(),
    };
    format!("{before}{}{painted}", styled(arrow_style(arrow), arrow.encode_utf8(&mut [0; 4])))
}

/// The line of a connection, and those of its notes.
pub(super) fn connection_lines(lines: &str) -> String {
    let note = |line: &str| line.trim_start().starts_with("! ");
    lines.split_inclusive('\n').map(|line| if note(line) { whole(DOUBT, line) } else { line.to_owned() }).collect()
}

/// Paints a call in full, piece by piece.
pub(super) struct ShownCall {
    status: String,
    /// The last piece ended inside a line.
    inside: bool,
}

impl ShownCall {
    /// For a call whose status is `status`.
    pub(super) const fn new(status: String) -> Self {
        Self { status, inside: false }
    }

    /// The next piece. One that ends inside a line ends inside the value of a field, which has no colour.
    pub(super) fn paint(&mut self, text: &str) -> String {
        let mut painted = String::with_capacity(text.len() * 2);
        for line in text.split_inclusive('\n') {
            let whole_line = !std::mem::replace(&mut self.inside, !line.ends_with('\n')) && !self.inside;
            match whole_line {
                true => self.line(line, &mut painted),
                false => painted += line,
            }
        }
        painted
    }

    fn line(&self, line: &str, painted: &mut String) {
        let title = line.strip_prefix('#').and_then(|title| title.trim_end_matches('\n').strip_suffix(&*self.status));
        if let Some(title) = title {
            *painted += &styled(HEADING, &format!("#{title}"));
            *painted += &with_status(&self.status);
            painted.push('\n');
        } else if let Some(("", arrow, after)) = split_arrow(line) {
            *painted += &whole(arrow_style(arrow), &format!("{arrow}{after}"));
        } else if line.trim_start().starts_with("! ") {
            *painted += &whole(DOUBT, line);
        } else {
            *painted += line;
        }
    }
}

fn arrow_style(arrow: char) -> Style {
    if arrow == '↑' { UP } else { DOWN }
}

fn split_arrow(line: &str) -> Option<(&str, char, &str)> {
    let (at, arrow) = line.char_indices().find(|(_, c)| matches!(c, '↑' | '↓'))?;
    Some((line.get(..at)?, arrow, line.get(at + arrow.len_utf8()..)?))
}

/// A status by its first sign, as the text gives them: `OK`, `✗` for errors, `~` for open, `?` for unknown.
fn with_status(text: &str) -> String {
    match text.chars().next() {
        Some('O') => whole(GOOD, text),
        Some('✗') => whole(BAD, text),
        Some('~' | '?') => whole(DOUBT, text),
        _ => text.to_owned(),
    }
}

/// A line in one style; its end stays outside.
fn whole(style: Style, line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(line) => styled(style, line) + "\n",
        None => styled(style, line),
    }
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_repeats_what_words_say() {
        let line = |text: &str| {
            let mut out = format!("1 a/b  {text}\n").into_bytes();
            call_line(&mut out, 7);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(line("OK"), "1 a/b  \x1b[32mOK\x1b[0m\n");
        assert_eq!(line("✗ NOT_FOUND  no"), "1 a/b  \x1b[31m✗ NOT_FOUND  no\x1b[0m\n");
        assert_eq!(line("~ open"), "1 a/b  \x1b[33m~ open\x1b[0m\n");
        assert_eq!(heading("No Time\n"), "\x1b[1mNo Time\x1b[0m\n");
        assert_eq!(frame_line("1 c0 ↓ GOAWAY 8 GOAWAY\n"), "1 c0 \x1b[35m↓\x1b[0m \x1b[31mGOAWAY\x1b[0m 8 GOAWAY\n");
        assert_eq!(
            ShownCall::new("OK".to_owned())
                .paint("#1  a/b   OK\n  2018\n↑ request headers\n    a: ↑\n! packet 1: odd\n"),
            "\x1b[1m#1  a/b   \x1b[0m\x1b[32mOK\x1b[0m\n  2018\n\x1b[36m↑ request headers\x1b[0m\n    a: ↑\n\x1b[33m! packet 1: odd\x1b[0m\n"
        );
        assert_eq!(connection_lines("c0 http2\n       ! odd\n"), "c0 http2\n\x1b[33m       ! odd\x1b[0m\n");
    }
}
