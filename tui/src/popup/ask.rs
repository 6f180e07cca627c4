//! A question that a line of text answers.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::Handled;
use crate::backend::ExportForm;
use crate::screen::Effect;
use crate::theme::Role;
use crate::widget::{Canvas, LineInput, draw_input};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The number of a row.
    GoTo,
    /// Text to find.
    Find,
    /// A capture.
    Capture,
    /// A schema's file or directory.
    Schema,
    /// The file to which calls are exported.
    Export(ExportForm),
    /// The value of an option of a replay; empty for none.
    Option,
    /// The number of a message.
    Message,
    /// A message that was edited.
    Edited,
    /// The file for a report.
    Report,
}

impl Question {
    const fn prompt(self) -> &'static str {
        match self {
            Self::GoTo => "go to number: ",
            Self::Find => "find: ",
            Self::Capture => "capture to open: ",
            Self::Schema => "schema file or directory: ",
            Self::Export(ExportForm::Messages) => "new directory for the messages: ",
            Self::Export(_) => "new file: ",
            Self::Option => "value: ",
            Self::Message => "message: ",
            Self::Edited => "",
            Self::Report => "new file: ",
        }
    }
}

/// A question and what was typed so far.
#[derive(Debug)]
pub(crate) struct Ask {
    question: Question,
    prompt: String,
    pub(crate) input: LineInput,
}

impl Ask {
    /// A question; `text` is the answer unless it is edited.
    pub(crate) fn new(question: Question, text: &str) -> Self {
        Self::with_prompt(question, text, question.prompt().to_owned())
    }

    /// The same with another prompt.
    pub(crate) fn with_prompt(question: Question, text: &str, prompt: String) -> Self {
        Self { question, prompt, input: LineInput::new(text) }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Handled {
        match key.code {
            KeyCode::Esc => Handled::Closes(Effect::Nothing),
            KeyCode::Enter => match self.input.text().trim() {
                "" if self.question != Question::Option => Handled::Closes(Effect::Nothing),
                text => Handled::Answer(self.question, text.to_owned()),
            },
            _ => {
                self.input.key(key);
                Handled::Stays
            }
        }
    }

    /// Draws it in the last line but one. Returns the cursor's place.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>) -> (u16, u16) {
        let (width, y) = (canvas.area.width, canvas.area.height.saturating_sub(2));
        canvas.text(0, y, width, &" ".repeat(width.into()), Role::Text);
        let x = canvas.text(1, y, width, &self.prompt, Role::Key);
        let cursor = draw_input(canvas, x, y, width.saturating_sub(x), &self.input);
        (cursor, y)
    }
}
