//! An editor for a message: JSON in lines.
//!
//! ```text
//! ┌ #118 message 1   shop.AdRequest ───────────────── unknown fields are kept ┐
//! │ {                                                                         │
//! │   "context_keys": ["camera"]                                              │
//! │ }                                                                         │
//! └ Esc cancels ──────────────────────────────────────────────────────────────┘
//! ```

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use rpcshark_dissectors::print::is_dangerous;

use super::{Handled, Question};
use crate::model::replay::Editable;
use crate::screen::Effect;
use crate::text::width;
use crate::theme::Role;
use crate::widget::{Canvas, Popup, draw_popup_at};

/// An editor.
#[derive(Debug)]
pub(crate) struct Editor {
    title: String,
    remark: String,
    lines: Vec<String>,
    /// The line with the cursor.
    line: usize,
    /// The character of the line before which the cursor stands.
    at: usize,
    /// The first line that is shown, and the first column.
    top: usize,
    left: usize,
    /// What is wrong with what was written.
    wrong: Option<String>,
    changed: bool,
    /// Esc was pressed, and what was written would be lost.
    leaving: bool,
    height: usize,
}

/// Bytes that can be typed into it.
const MAX_TEXT: usize = 1 << 20;

impl Editor {
    /// An editor for a message; `wrong`: what is wrong with the text that it begins with.
    pub(crate) fn new(editable: &Arc<Editable>, wrong: Option<String>) -> Self {
        let of = if editable.of > 1 { format!(" of {}", editable.of) } else { String::new() };
        Self {
            title: format!("#{} message {}{of}   {}", editable.no, editable.message, editable.type_name),
            remark: editable.remark.clone(),
            lines: editable.text.lines().map(str::to_owned).collect(),
            line: 0,
            at: 0,
            top: 0,
            left: 0,
            changed: wrong.is_some(),
            wrong,
            leaving: false,
            height: 1,
        }
        .with_a_line()
    }

    fn with_a_line(mut self) -> Self {
        if self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self
    }

    /// Where the cursor stands: the line, and the character of it.
    pub(crate) const fn cursor(&self) -> (usize, usize) {
        (self.line, self.at)
    }

    /// The same with the cursor elsewhere.
    pub(crate) fn at(mut self, (line, at): (usize, usize)) -> Self {
        self.line = line.min(self.lines.len().saturating_sub(1));
        self.at = at.min(self.length());
        self
    }

    /// Takes what was written.
    pub(crate) fn accept(&self) -> Handled {
        Handled::Answer(Question::Edited, self.lines.join("\n"))
    }

    /// Inserts pasted text at the cursor.
    pub(crate) fn paste(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => self.break_line(false),
                '\t' => self.insert("  "),
                c if c.is_control() || is_dangerous(c) => {}
                c => self.insert(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    fn size(&self) -> usize {
        self.lines.iter().map(|line| line.len() + 1).sum()
    }

    /// The line with the cursor, and where in it the cursor stands, in bytes.
    fn here(&mut self) -> (&mut String, usize) {
        self.line = self.line.min(self.lines.len().saturating_sub(1));
        let at = self.at;
        // There is always a line.
        let line = &mut self.lines[self.line];
        let byte = line.char_indices().nth(at).map_or(line.len(), |(byte, _)| byte);
        (line, byte)
    }

    fn length(&self) -> usize {
        self.lines.get(self.line).map_or(0, |line| line.chars().count())
    }

    fn insert(&mut self, text: &str) {
        if self.size() + text.len() > MAX_TEXT {
            return;
        }
        let (line, byte) = self.here();
        line.insert_str(byte, text);
        self.at = self.at.min(self.length()) + text.chars().count();
        self.changed = true;
    }

    /// Breaks the line; with `indent` the new one is as far indented.
    fn break_line(&mut self, indent: bool) {
        if self.size() >= MAX_TEXT {
            return;
        }
        let (line, byte) = self.here();
        let rest = line.split_off(byte);
        let new = match indent {
            true => format!("{}{}", " ".repeat(line.chars().take_while(|c| *c == ' ').count()), rest.trim_start()),
            false => rest,
        };
        self.at = if indent { new.chars().take_while(|c| *c == ' ').count() } else { 0 };
        self.line += 1;
        self.lines.insert(self.line, new);
        self.changed = true;
    }

    fn delete_before(&mut self) {
        if self.at > 0 {
            self.at = self.at.min(self.length()).saturating_sub(1);
            self.delete();
        } else if self.line > 0 {
            let rest = self.lines.remove(self.line);
            self.line -= 1;
            self.at = self.length();
            self.here().0.push_str(&rest);
            self.changed = true;
        }
    }

    fn delete(&mut self) {
        let (line, byte) = self.here();
        if byte < line.len() {
            line.remove(byte);
            self.changed = true;
        } else if self.line + 1 < self.lines.len() {
            let rest = self.lines.remove(self.line + 1);
            self.here().0.push_str(&rest);
            self.changed = true;
        }
    }

    fn go(&mut self, lines: isize) {
        let last = self.lines.len().saturating_sub(1);
        self.line = self.line.saturating_add_signed(lines).min(last);
        self.at = self.at.min(self.length());
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Handled {
        let leaving = std::mem::take(&mut self.leaving);
        let page = self.height.saturating_sub(1).max(1) as isize;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc if !self.changed || leaving => return Handled::Closes(Effect::Nothing),
            KeyCode::Esc => self.leaving = true,
            KeyCode::Up => self.go(-1),
            KeyCode::Down => self.go(1),
            KeyCode::PageUp => self.go(-page),
            KeyCode::PageDown => self.go(page),
            KeyCode::Home if control => {
                self.go(isize::MIN);
                self.at = 0;
            }
            KeyCode::End if control => {
                self.go(isize::MAX);
                self.at = self.length();
            }
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.length(),
            KeyCode::Left if self.at > 0 => self.at = self.at.min(self.length()) - 1,
            KeyCode::Left if self.line > 0 => {
                self.line -= 1;
                self.at = self.length();
            }
            KeyCode::Right if self.at < self.length() => self.at += 1,
            KeyCode::Right if self.line + 1 < self.lines.len() => {
                self.line += 1;
                self.at = 0;
            }
            KeyCode::Backspace => self.delete_before(),
            KeyCode::Delete => self.delete(),
            KeyCode::Enter => self.break_line(true),
            KeyCode::Tab => self.insert("  "),
            // As in a shell: the line up to here, and after here.
            KeyCode::Char('u') if control => {
                let (line, byte) = self.here();
                line.drain(..byte);
                (self.at, self.changed) = (0, true);
            }
            KeyCode::Char('k') if control => {
                let (line, byte) = self.here();
                line.truncate(byte);
                self.changed = true;
            }
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.length(),
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => {}
            KeyCode::Char(c) if !is_dangerous(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
        Handled::Stays
    }

    /// Draws it over most of the screen. Gives back where the cursor stands.
    pub(super) fn draw(&mut self, canvas: &mut Canvas<'_>) -> (u16, u16) {
        let all = canvas.area;
        let (columns, rows) = (all.width.saturating_sub(8), all.height.saturating_sub(6));
        let footer = match (&self.wrong, self.leaving) {
            (_, true) => "Esc again discards what was written".to_owned(),
            (Some(wrong), _) => format!("{} {wrong}", canvas.theme.signs.error),
            (None, _) => "Esc cancels".to_owned(),
        };
        let footer = crate::text::fit(&footer, columns.into(), crate::text::Keep::Start, canvas.theme.signs.ellipsis);
        let popup = Popup {
            title: self.title.clone(),
            remark: self.remark.clone(),
            footer: footer.into_owned(),
            lines: vec![(Vec::new(), Vec::new()); rows.into()],
        };
        // The last two lines stay: they say which keys there are.
        let above = Rect { height: all.height.saturating_sub(2), ..all };
        let inside = draw_popup_at(&mut canvas.part(above), &popup, None, crate::widget::Place::Middle, columns);
        self.height = inside.height.into();
        let line = self.lines.get(self.line).map_or("", String::as_str);
        let before: String = line.chars().take(self.at).collect();
        let (column, room) = (width(&before), usize::from(inside.width.saturating_sub(1)));
        self.left = self.left.clamp(column.saturating_sub(room), column);
        self.top = self.top.clamp(self.line.saturating_sub(self.height.saturating_sub(1)), self.line);
        let mut text = canvas.part(inside);
        for (y, line) in (0..inside.height).zip(self.lines.iter().skip(self.top)) {
            text.text(0, y, inside.width, &skipped(line, self.left), Role::Text);
        }
        let x = inside.x + (column - self.left) as u16;
        let y = inside.y + (self.line - self.top) as u16;
        (x.min(all.right().saturating_sub(1)), y.min(all.bottom().saturating_sub(1)))
    }
}

/// A line without its first columns.
fn skipped(line: &str, columns: usize) -> String {
    let mut passed = 0;
    let rest = line.char_indices().find(|(_, c)| {
        let is_here = passed >= columns;
        passed += width(c.encode_utf8(&mut [0; 4]));
        is_here
    });
    rest.map(|(at, _)| line[at..].to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor(text: &str) -> Editor {
        Editor::new(&Arc::new(Editable { text: text.to_owned(), ..Editable::default() }), None)
    }

    fn typed(editor: &mut Editor, keys: &[KeyCode]) -> String {
        for &key in keys {
            let _ = editor.key(KeyEvent::new(key, KeyModifiers::NONE));
        }
        editor.lines.join("\n")
    }

    #[test]
    fn text_is_edited_at_the_cursor() {
        use KeyCode::{Backspace, Char, Delete, Down, End, Enter, Home, Left};
        let mut editor = editor("{\n  \"a\": 1\n}");
        assert_eq!(typed(&mut editor, &[Down, End, Backspace, Char('2')]), "{\n  \"a\": 2\n}");
        assert_eq!(typed(&mut editor, &[Char(','), Enter, Char('ü')]), "{\n  \"a\": 2,\n  ü\n}");
        assert_eq!(typed(&mut editor, &[Backspace, Backspace, Backspace, Backspace]), "{\n  \"a\": 2,\n}");
        assert_eq!(typed(&mut editor, &[Left, Delete]), "{\n  \"a\": 2\n}");
        assert_eq!(typed(&mut editor, &[Home, Backspace]), "{  \"a\": 2\n}");
    }

    #[test]
    fn what_was_written_is_discarded_only_by_a_second_escape() {
        let mut editor = editor("{}");
        let escape = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
        assert!(matches!(editor.key(escape), Handled::Closes(_)));
        typed(&mut editor, &[KeyCode::Char('x')]);
        assert!(matches!(editor.key(escape), Handled::Stays));
        assert!(matches!(editor.key(escape), Handled::Closes(_)));
        typed(&mut editor, &[KeyCode::Char('y')]);
        assert!(matches!(editor.key(escape), Handled::Stays), "a key between them begins anew");
    }

    #[test]
    fn pasted_text_keeps_its_lines_and_loses_what_steers_a_terminal() {
        let mut editor = editor("");
        editor.paste("{\n\t\"a\":\u{202e} 1\u{1b}\n}");
        assert_eq!(editor.lines, ["{", "  \"a\": 1", "}"]);
    }
}
