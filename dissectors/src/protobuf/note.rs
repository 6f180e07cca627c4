//! Notes on a message, before anybody knows in which packet it came.

use std::ops::Range;

use crate::{Note, Severity};

/// How many notes a message gets: one that is broken all over says the same thing again and again.
pub(crate) const MAX_NOTES: usize = 32;

/// Something to say about bytes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanNote {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one hyphenated word: `pb-wire-type`.
    pub kind: &'static str,
    /// The same for people, with the name of the field.
    pub text: String,
    /// The bytes, counted from the beginning of the message.
    pub span: Range<u32>,
}

impl From<SpanNote> for Note {
    fn from(note: SpanNote) -> Self {
        let Range { start, end } = note.span;
        Self::new(note.severity, note.kind, format!("{} (bytes {start} to {end} of the message)", note.text))
    }
}

/// Notes up to [`MAX_NOTES`], and how many there would have been.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    kept: Vec<SpanNote>,
    dropped: usize,
    is_overlong: bool,
}

impl Notes {
    /// The text is only made where there is room for it.
    #[cold]
    pub(crate) fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        span: Range<u32>,
        text: impl FnOnce() -> String,
    ) {
        if self.kept.len() < MAX_NOTES {
            self.kept.push(SpanNote { severity, kind, text: text(), span });
        } else {
            self.dropped += 1;
        }
    }

    /// Says once that a varint, in the field at `span`, is longer than it needs to be.
    #[cold]
    pub(crate) fn overlong(&mut self, span: Range<u32>) {
        if !std::mem::replace(&mut self.is_overlong, true) {
            self.add(Severity::Info, "pb-overlong", span, || {
                "a varint takes more bytes than it needs; encoders do not write it so".to_owned()
            });
        }
    }

    pub(crate) fn finish(mut self) -> Vec<SpanNote> {
        if self.dropped > 0 {
            let text = format!("{} more notes on this message", self.dropped);
            self.kept.push(SpanNote { severity: Severity::Info, kind: "pb-more-notes", text, span: 0..0 });
        }
        self.kept
    }
}
