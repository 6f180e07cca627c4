//! What is wrong with a filter, and where.

use std::fmt;
use std::ops::Range;

/// Where something is in the text of a filter: byte offsets.
pub type Span = Range<usize>;

/// Why a text is not a filter.
///
/// [`FilterError::text`] is one line; [`Display`](fmt::Display) adds the text of the filter with a caret line:
///
/// ```text
/// no field rpc.sttus; did you mean rpc.status?
///   rpc.sttus == 14
///   ^~~~~~~~~
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// What is wrong, without a full stop.
    pub message: String,
    /// What may have been meant, to take the place of the text at `span`.
    pub suggestion: Option<String>,
    /// Where it is wrong. May be empty at the end of the text.
    pub span: Span,
    /// Whether more text may make it right: somebody is still typing.
    pub incomplete: bool,
    /// The text of the filter, for the caret line.
    pub filter: Box<str>,
}

/// Characters of the filter that a caret line shows, so that a very long filter does not fill the screen.
const SHOWN: usize = 100;

impl FilterError {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None, span, incomplete: false, filter: Box::default() }
    }

    pub(super) fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    pub(super) fn incomplete(mut self, incomplete: bool) -> Self {
        self.incomplete = incomplete;
        self
    }

    pub(super) fn of(mut self, source: &str) -> Self {
        self.filter = source.into();
        self
    }

    /// The message and the suggestion in one line.
    pub fn text(&self) -> String {
        match &self.suggestion {
            Some(suggestion) => format!("{}; did you mean {suggestion}?", self.message),
            None => self.message.clone(),
        }
    }

    /// The filter, and below it a line that marks what is wrong.
    pub fn place(&self) -> String {
        let source = &self.filter;
        let (before, rest) = source.split_at_checked(self.span.start).unwrap_or((source, ""));
        let wrong = rest.get(..self.span.len()).unwrap_or(rest);
        let behind = rest.get(wrong.len()..).unwrap_or_default();
        let before = last(before, SHOWN / 2);
        let wrong = first(wrong, SHOWN);
        let line = format!("{before}{wrong}{}", first(behind, SHOWN / 2));
        // A line feed in a filter would break the caret line.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let width = wrong.chars().count().max(1);
        format!("  {line}\n  {:indent$}^{:~<more$}", "", "", indent = before.chars().count(), more = width - 1)
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.text(), self.place())
    }
}

fn first(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

fn last(text: &str, count: usize) -> &str {
    let skipped = text.chars().count().saturating_sub(count);
    text.char_indices().nth(skipped).map_or("", |(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_line_stands_below_what_is_wrong() {
        let source = "ü && rpc.sttus == 14";
        let error = FilterError::new(6..15, "no field rpc.sttus").suggest(Some("rpc.status")).of(source);
        let expected = "no field rpc.sttus; did you mean rpc.status?\n  ü && rpc.sttus == 14\n       ^~~~~~~~~";
        assert_eq!(error.to_string(), expected);
        let end = FilterError::new(21..21, "the filter ends too soon").of(source);
        assert!(end.to_string().ends_with('^'), "{end}");
    }

    #[test]
    fn a_long_filter_is_shown_in_part() {
        let source = format!("{}x{}", "a ".repeat(500), " b".repeat(500));
        let error = FilterError::new(1000..1001, "wrong").of(&source);
        assert!(error.to_string().lines().all(|line| line.len() < 2 * SHOWN + 10), "{error}");
    }
}
