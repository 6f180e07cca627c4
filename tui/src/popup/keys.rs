//! The list of keys and commands: searched by typing, and run by Enter.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::Handled;
use crate::command::{COMMANDS, Command, Context};
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
}

impl KeyList {
    /// A list that has the commands of `context` first.
    pub(crate) fn new(context: Context) -> Self {
        Self { input: LineInput::default(), list: ListState::default(), context }
    }

    /// The commands that are found: those of this screen, then those that are everywhere, then those of other screens.
    fn found(&self) -> Vec<&'static Command> {
        let words: Vec<String> = self.input.text().split_whitespace().map(str::to_lowercase).collect();
        let matches = |command: &&Command| {
            let text = format!("{} {} {}", command.title, command.name, command.keys.join(" ")).to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let rank = |command: &&Command| match () {
            () if command.contexts.contains(&self.context) => 0,
            () if command.contexts.contains(&Context::Everywhere) => 1,
            () => 2,
        };
        let mut found: Vec<&Command> = COMMANDS.iter().filter(matches).collect();
        found.sort_by_key(rank);
        found
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Handled {
        let found = self.found();
        let len = found.len() as u64;
        match key.code {
            KeyCode::Esc => return Handled::Closes(Effect::Nothing),
            KeyCode::Enter => {
                let chosen = found.get(self.list.cursor as usize);
                return match chosen.filter(|command| command.is_for(self.context)) {
                    Some(command) => Handled::Closes(Effect::Act(command.action)),
                    None => {
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
        let keys_width = COMMANDS.iter().map(|command| keys(command).len()).max().unwrap_or(0);
        for command in &found {
            let keys = keys(command);
            let here = command.is_for(self.context);
            let title = if here { Part::text(command.title) } else { Part::quiet(command.title) };
            let left = vec![Part::new(format!("{keys:<keys_width$}  "), Role::Key), title];
            let places: Vec<&str> = command.contexts.iter().map(|context| context.name()).collect();
            let remark = if here { places.join(", ") } else { format!("not here: {}", places.join(", ")) };
            popup.lines.push((left, vec![Part::text("  "), Part::quiet(remark)]));
        }
        let query = format!("> {}", crate::text::safe(self.input.text().as_bytes()));
        popup.remark = if self.input.text().is_empty() { popup.remark } else { query };
        draw_popup(canvas, &popup, Some(&mut self.list));
    }
}

fn keys(command: &Command) -> String {
    command.keys.join(" ")
}
