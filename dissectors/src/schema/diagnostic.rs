//! Diagnostics about schema files: where, what, and what follows from it.

use std::fmt;

use rpcshark_captures::text::is_dangerous;

/// Something wrong with a schema file, and what is done about it.
///
/// [`Display`](fmt::Display) gives the whole text: place, message, the line with a caret under the column, and the
/// hints, without a line feed at its end. Control characters in what comes from files are shown as `\u{…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// The file, as the user would name it; `None` when it concerns no single one.
    pub file: Option<Box<str>>,
    /// Where in the file, if at one place.
    pub spot: Option<Spot>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Further lines: where it was looked for, what to write instead.
    pub hints: Vec<String>,
}

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The rest works.
    Warning,
    /// The file that it concerns cannot be used.
    Error,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The line itself, without its end; cut to a window around the column where it is very long.
    pub text: Box<str>,
    /// Where in `text` the caret stands, in characters from 0.
    pub caret: u32,
    /// How many characters the caret underlines, at least 1.
    pub width: u32,
}

/// How much of a line is shown on each side of the caret: lines of generated files can be megabytes long.
const WINDOW: usize = 120;

impl Diagnostic {
    pub(crate) fn warning(file: Option<&str>, message: String) -> Diagnostic {
        Diagnostic { level: Level::Warning, file: file.map(Into::into), spot: None, message, hints: Vec::new() }
    }

    pub(crate) fn error(file: Option<&str>, message: String) -> Diagnostic {
        Diagnostic { level: Level::Error, ..Diagnostic::warning(file, message) }
    }

    pub(crate) fn at(mut self, source: Option<&str>, from: usize, to: usize) -> Diagnostic {
        self.spot = source.map(|source| Spot::new(source, from, to));
        self
    }

    pub(crate) fn hint(mut self, hint: String) -> Diagnostic {
        self.hints.push(hint);
        self
    }
}

impl Spot {
    /// The place of the bytes `from..to` of `source`; offsets beyond its end or inside a character are moved back.
    pub(crate) fn new(source: &str, from: usize, to: usize) -> Spot {
        let from = floor(source, from);
        let to = floor(source, to).max(from);
        let head = source.get(..from).unwrap_or_default();
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let line = head.bytes().filter(|&b| b == b'\n').count() + 1;
        let rest = source.get(start..).unwrap_or_default();
        let whole = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = source.get(start..from).unwrap_or_default().chars().count();
        let skipped = column.saturating_sub(WINDOW);
        let text: String = whole.chars().skip(skipped).take(2 * WINDOW).collect();
        let caret = column - skipped;
        let inside = source.get(from..to).unwrap_or_default().split('\n').next().unwrap_or_default();
        let width = inside.chars().count().min(text.chars().count().saturating_sub(caret)).max(1);
        Spot {
            line: line as u32,
            column: column as u32 + 1,
            text: text.into(),
            caret: caret as u32,
            width: width as u32,
        }
    }
}

fn floor(source: &str, mut at: usize) -> usize {
    at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", Shown(file))?;
            if let Some(spot) = &self.spot {
                write!(f, "{}:{}:", spot.line, spot.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(match self.level {
            Level::Warning => "warning: ",
            Level::Error => "error: ",
        })?;
        write!(f, "{}", Shown(&self.message))?;
        if let Some(spot) = &self.spot {
            let number = spot.line.to_string();
            write!(f, "\n {number} | {}", Shown(&spot.text))?;
            write!(f, "\n {:1$} | ", "", number.len())?;
            // A tab stays a tab, so that the caret stands below its column whatever the terminal makes of tabs.
            for c in spot.text.chars().take(spot.caret as usize) {
                let shown = Shown(c.encode_utf8(&mut [0; 4])).to_string();
                f.write_str(&if c == '\t' { shown } else { " ".repeat(shown.chars().count()) })?;
            }
            f.write_str(&"^".repeat(spot.width as usize))?;
        }
        for hint in &self.hints {
            write!(f, "\n  {}", Shown(hint))?;
        }
        Ok(())
    }
}

/// Text from a file, safe for a terminal.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if is_dangerous(c) && c != '\t' {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_column_behind_tabs_and_wide_text() {
        let source = "syntax = \"proto3\";\n\tstring näme 1;\n";
        let at = source.find("1;").unwrap();
        let diagnostics = Diagnostic::error(Some("a.proto"), "expected `=`".into()).at(Some(source), at, at + 1);
        assert_eq!(
            diagnostics.to_string(),
            "a.proto:2:14: error: expected `=`\n 2 | \tstring näme 1;\n   | \t            ^"
        );
    }

    #[test]
    fn what_a_file_says_does_not_reach_the_terminal_raw() {
        let source = "a\u{1b}[31m b";
        let diagnostics = Diagnostic::warning(Some("x\u{7}.proto"), "no".into()).at(Some(source), 6, 99).to_string();
        assert!(!diagnostics.contains('\u{1b}') && !diagnostics.contains('\u{7}'), "{diagnostics:?}");
    }

    #[test]
    fn a_place_beyond_the_end_and_a_very_long_line_are_bounded() {
        assert_eq!(Spot::new("ab", 9, 12), Spot { line: 1, column: 3, text: "ab".into(), caret: 2, width: 1 });
        let long = "x".repeat(100_000);
        let spot = Spot::new(&long, 50_000, 60_000);
        assert_eq!((spot.column, spot.text.len(), spot.caret), (50_001, 240, 120));
        assert_eq!(spot.width, 120);
    }
}
