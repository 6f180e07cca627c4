//! What lies on top of a screen and takes the keys: menus, questions, the list of keys and commands.

mod ask;
mod editor;
mod keys;
mod menu;

pub(crate) use ask::{Ask, Question};
pub(crate) use editor::Editor;
pub(crate) use keys::KeyList;
pub(crate) use menu::{
    Menu, MenuItem, combine_menu, copy_menu, export_menu, filter_menu, quit_menu, reveal_menu, sort_menu,
    stop_export_menu,
};

use ratatui::crossterm::event::KeyEvent;

use crate::screen::Effect;
use crate::widget::Canvas;

/// What lies on top of a screen.
#[derive(Debug)]
pub(crate) enum Overlay {
    Keys(KeyList),
    Menu(Menu),
    Ask(Ask),
    Editor(Editor),
}

/// What became of a key.
#[derive(Debug)]
pub(crate) enum Handled {
    /// The popup stays.
    Stays,
    /// It closes, and this is to be done.
    Closes(Effect),
    /// It closes: the screen is given this answer.
    Answer(Question, String),
}

impl Overlay {
    /// Handles a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Handled {
        match self {
            Self::Keys(keys) => keys.key(key),
            Self::Menu(menu) => menu.key(key),
            Self::Ask(ask) => ask.key(key),
            Self::Editor(editor) => editor.key(key),
        }
    }

    /// Draws it; returns where the terminal's cursor is, if it is shown.
    pub(crate) fn draw(&mut self, canvas: &mut Canvas<'_>) -> Option<(u16, u16)> {
        match self {
            Self::Keys(keys) => {
                keys.draw(canvas);
                None
            }
            Self::Menu(menu) => {
                menu.draw(canvas);
                None
            }
            Self::Ask(ask) => Some(ask.draw(canvas)),
            Self::Editor(editor) => Some(editor.draw(canvas)),
        }
    }
}
