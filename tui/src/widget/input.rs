//! A line that the user types: its text, its cursor, and the keys that edit it.

use ratatui::crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::canvas::Canvas;
use crate::text::width;
use crate::theme::Role;

/// Characters that a line holds at the most: a pasted file must not become a filter.
const LONGEST: usize = 4096;

/// A line of typed text.
#[derive(Clone, Debug, Default)]
pub struct LineInput(Input);

impl LineInput {
    /// A line that holds `text`, with the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self(Input::new(text.to_owned()))
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.0.value()
    }

    /// Where the cursor is, in bytes of the text.
    pub fn cursor(&self) -> usize {
        let text = self.text();
        text.char_indices().nth(self.0.cursor()).map_or(text.len(), |(at, _)| at)
    }

    /// Replaces the text; the cursor goes to byte `cursor` of it.
    pub fn set(&mut self, text: &str, cursor: usize) {
        let characters = text.get(..cursor).map_or(usize::MAX, |before| before.chars().count());
        self.0 = Input::new(text.to_owned()).with_cursor(characters);
    }

    /// Handles a key that edits. Whether the text has changed.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if self.text().len() >= LONGEST && matches!(key.code, ratatui::crossterm::event::KeyCode::Char(_)) {
            return false;
        }
        self.0.handle_event(&Event::Key(key)).is_some_and(|changed| changed.value)
    }

    /// Inserts pasted text at the cursor; line breaks become blanks.
    pub fn paste(&mut self, text: &str) {
        let at = self.cursor();
        let room = LONGEST.saturating_sub(self.text().len());
        let pasted: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(room).collect();
        let (before, after) = self.text().split_at(at);
        let whole = format!("{before}{pasted}{after}");
        self.set(&whole, at + pasted.len());
    }
}

/// Draws the line in `columns` from `x` on, scrolled so that the cursor is visible. Returns the cursor's column.
pub fn draw_input(canvas: &mut Canvas<'_>, x: u16, y: u16, columns: u16, input: &LineInput) -> u16 {
    let before = &input.text()[..input.cursor()];
    let room = usize::from(columns.saturating_sub(1));
    let mut skipped = 0;
    // Whole characters leave at the left until the cursor fits.
    for c in before.chars() {
        if width(&before[skipped..]) <= room {
            break;
        }
        skipped += c.len_utf8();
    }
    canvas.text(x, y, columns, &crate::text::safe(&input.text().as_bytes()[skipped..]), Role::Text);
    x + width(&before[skipped..]) as u16
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    #[test]
    fn typing_and_pasting_edit_the_line_at_the_cursor() {
        let mut input = LineInput::new("ab");
        assert!(input.key(KeyEvent::new(KeyCode::Char('ü'), KeyModifiers::NONE)));
        assert_eq!((input.text(), input.cursor()), ("abü", 4));
        assert!(!input.key(KeyEvent::new(KeyCode::Left, KeyModifiers::NONE)));
        assert_eq!(input.cursor(), 2);
        input.paste("x\ny");
        assert_eq!((input.text(), input.cursor()), ("abx yü", 5));
        input.set("rpc.status", 3);
        assert_eq!(input.cursor(), 3);
    }

    #[test]
    fn a_line_does_not_grow_without_end() {
        let mut input = LineInput::default();
        input.paste(&"x".repeat(10_000));
        assert_eq!(input.text().len(), LONGEST);
        assert!(!input.key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE)));
    }
}
