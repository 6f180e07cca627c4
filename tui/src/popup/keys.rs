//! The list of keys and commands: searched by typing, and run by Enter.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::Handled;
use crate::command::{COMMANDS, Command, Context, Keymap};
use crate::screen::Effect;
use crate::theme::Role;
use crate::widget::{Canvas, LineInput, ListState, Part, Popup, draw_popup};

/// The list of keys and commands.
#[derive(Debug)]
pub(crate) struct KeyList {
    /// What is sought.
    pub(crate) input: LineInput,
    /// Which line has the cursor.
    pub(crate) list: ListState,
    context: Context,
    keymap: Keymap,
    /// Filters with names.
    saved: Vec<(String, String)>,
}

/// A line of the list.
#[derive(Debug)]
enum Line<'k> {
    Command(&'static Command),
    Filter(&'k str, &'k str),
}

impl KeyList {
    /// A list that has the commands of `context` first.
    pub(crate) fn new(context: Context, keymap: Keymap, saved: Vec<(String, String)>) -> Self {
        Self { input: LineInput::default(), list: ListState::default(), context, keymap, saved }
    }

    /// The lines that are found: the commands of this screen, named filters, the commands that are everywhere, those of other
    /// screens.
    fn found(&self) -> Vec<Line<'_>> {
        let words: Vec<String> = self.input.text().split_whitespace().map(str::to_lowercase).collect();
        let is_found = |text: String| {
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let matches = |command: &&Command| {
            is_found(format!("{} {} {}", command.title, command.name, self.keymap.keys_of(command).join(" ")))
        };
        let rank = |command: &Command| match () {
            () if command.contexts.contains(&self.context) => 0,
            () if command.contexts.contains(&Context::Everywhere) => 2,
            () => 3,
        };
        let commands = COMMANDS.iter().filter(matches).map(|command| (rank(command), Line::Command(command)));
        let saved = self.saved.iter().filter(|(name, filter)| is_found(format!("filter {name} {filter}")));
        let saved = saved.map(|(name, filter)| (1, Line::Filter(name, filter)));
        let mut found: Vec<(u8, Line<'_>)> = commands.chain(saved).collect();
        found.sort_by_key(|&(rank, _)| rank);
        found.into_iter().map(|(_, line)| line).collect()
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Handled {
        let found = self.found();
        let len = found.len() as u64;
        match key.code {
            KeyCode::Esc => return Handled::Closes(Effect::Nothing),
            KeyCode::Enter => {
                let chosen = found.get(self.list.cursor as usize);
                return match chosen {
                    Some(Line::Filter(_, filter)) => Handled::Closes(Effect::Filter((*filter).to_owned())),
                    Some(Line::Command(command)) if command.is_for(self.context) => {
                        Handled::Closes(Effect::Act(command.action))
                    }
                    _ => {
                        let text = "that command is not available here".to_owned();
                        Handled::Closes(Effect::Say { text, error: false })
                    }
                };
            }
            KeyCode::Down => self.list.move_by(1, len),
            KeyCode::Up => self.list.move_by(-1, len),
            KeyCode::PageDown => self.list.move_by(10, len),
            KeyCode::PageUp => self.list.move_by(-10, len),
            _ => {
                if self.input.key(key) {
                    self.list = ListState::default();
                }
            }
        }
        Handled::Stays
    }

    /// Draws the list on top of the screen.
    pub(crate) fn draw(&mut self, canvas: &mut Canvas<'_>) {
        let found = self.found();
        let mut popup = Popup {
            title: "Keys and commands".to_owned(),
            remark: "type to search".to_owned(),
            footer: "Enter do it   Esc close".to_owned(),
            lines: Vec::new(),
        };
        let keys = |command: &Command| self.keymap.keys_of(command).join(" ");
        let keys_width = COMMANDS.iter().map(|command| keys(command).len()).max().unwrap_or(0);
        for line in &found {
            let (keys, title, here, remark) = match line {
                Line::Filter(name, filter) => {
                    let safe = |text: &str| crate::text::safe(text.as_bytes());
                    (String::new(), format!("Filter: {}", safe(name)), true, safe(filter))
                }
                Line::Command(command) => {
                    let here = command.is_for(self.context);
                    let own = command.contexts.iter().find(|context| **context == self.context);
                    let place = own.or(command.contexts.first()).map_or("", |context| context.name());
                    let remark = if here { place.to_owned() } else { format!("not here: {place}") };
                    (keys(command), command.title.to_owned(), here, remark)
                }
            };
            let title = if here { Part::text(title) } else { Part::quiet(title) };
            let left = vec![Part::new(format!("{keys:<keys_width$}  "), Role::Key), title];
            popup.lines.push((left, vec![Part::text("  "), Part::quiet(remark)]));
        }
        let query = format!("> {}", crate::text::safe(self.input.text().as_bytes()));
        popup.remark = if self.input.text().is_empty() { popup.remark } else { query };
        drop(found);
        draw_popup(canvas, &popup, Some(&mut self.list));
    }
}
