//! A choice among few, each with a key.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::Handled;
use crate::backend::{ProgramRequest, Request};
use crate::screen::{Copyable, Effect};
use crate::text::{Keep, fit, safe};
use crate::theme::Role;
use crate::widget::{Canvas, Comparison, ListState, Part, Popup, draw_popup};

/// A choice among few.
#[derive(Clone, Debug)]
pub(crate) struct Menu {
    /// Its title.
    pub(crate) title: String,
    /// Its lines.
    pub(crate) items: Vec<MenuItem>,
    /// Which line has the cursor.
    pub(crate) list: ListState,
}

/// A line of a menu.
#[derive(Clone, Debug)]
pub(crate) struct MenuItem {
    /// The key that chooses it.
    pub(crate) key: char,
    /// What it does.
    pub(crate) title: String,
    /// What it does that to.
    pub(crate) remark: String,
    /// What happens.
    pub(crate) effect: Effect,
}

impl MenuItem {
    /// A line.
    pub(crate) fn new(key: char, title: impl Into<String>, remark: impl Into<String>, effect: Effect) -> Self {
        Self { key, title: title.into(), remark: remark.into(), effect }
    }
}

impl Menu {
    /// A menu with the cursor on its first line.
    pub(crate) fn new(title: impl Into<String>, items: Vec<MenuItem>) -> Self {
        Self { title: title.into(), items, list: ListState::default() }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Handled {
        let len = self.items.len() as u64;
        let chosen = |item: Option<&MenuItem>| item.map(|item| Handled::Closes(item.effect.clone()));
        match key.code {
            KeyCode::Esc => return Handled::Closes(Effect::Nothing),
            KeyCode::Enter => {
                let item = self.items.get(self.list.cursor as usize);
                return chosen(item).unwrap_or(Handled::Closes(Effect::Nothing));
            }
            KeyCode::Down => self.list.move_by(1, len),
            KeyCode::Up => self.list.move_by(-1, len),
            KeyCode::Char(c) => match chosen(self.items.iter().find(|item| item.key == c)) {
                Some(handled) => return handled,
                None if c == 'j' => self.list.move_by(1, len),
                None if c == 'k' => self.list.move_by(-1, len),
                None if c == 'q' => return Handled::Closes(Effect::Nothing),
                None => {}
            },
            _ => {}
        }
        Handled::Stays
    }

    /// ```text
    /// ┌ y  copy… ──────────────────────────────────┐
    /// │ y  value            94043                  │
    /// └────────────────────────────────────────────┘
    /// ```
    pub(super) fn draw(&mut self, canvas: &mut Canvas<'_>) {
        let room = usize::from(canvas.area.width) * 2 / 3;
        let ellipsis = canvas.theme.signs.ellipsis;
        let widest = self.items.iter().map(|item| crate::text::width(&item.title)).max().unwrap_or(0);
        let lines = self.items.iter().map(|item| {
            let padding = " ".repeat(widest - crate::text::width(&item.title));
            let remark = safe(item.remark.as_bytes());
            let remark = fit(&remark, room, Keep::Start, ellipsis).into_owned();
            let left = vec![
                Part::new(item.key.to_string(), Role::Key),
                Part::text(format!("  {}{padding}   ", item.title)),
                Part::quiet(remark),
            ];
            (left, Vec::new())
        });
        let popup = Popup { title: self.title.clone(), lines: lines.collect(), ..Popup::default() };
        draw_popup(canvas, &popup, Some(&mut self.list));
    }
}

/// `=` where several values can be meant: each of them, the first of which `==` takes.
pub(crate) fn filter_menu(comparisons: Vec<(String, Comparison)>) -> Menu {
    let item = |((title, comparison), key): ((String, Comparison), char)| {
        let remark = comparison.equal();
        let effect = match key {
            '=' => Effect::Filter(comparison.equal()),
            _ => Effect::Combine(comparison),
        };
        MenuItem::new(key, title, remark, effect)
    };
    Menu::new("=  filter by…", comparisons.into_iter().zip("=123456789abcdefgh".chars()).map(item).collect())
}

/// What can be done with a comparison: alone, without, and with the filter that is applied.
pub(crate) fn combine_menu(comparison: &Comparison, filter: &str) -> Menu {
    let item = |key, title: &str, text: String| MenuItem::new(key, title, text.clone(), Effect::Filter(text));
    let mut items = vec![item('=', "only these", comparison.equal()), item('-', "without these", comparison.without())];
    if !filter.is_empty() {
        items.push(item('a', "and the filter", format!("({filter}) && {}", comparison.equal())));
        items.push(item('o', "or the filter", format!("({filter}) || {}", comparison.equal())));
    }
    Menu::new("=  filter by this…", items)
}

/// What can be copied.
pub(crate) fn copy_menu(copies: Vec<Copyable>) -> Menu {
    let item = |(key, title, text): Copyable| {
        let request = Request::Program(ProgramRequest::Copy { text: text.clone(), to_file: false });
        MenuItem::new(key, title, text, Effect::Request(request))
    };
    Menu::new("y  copy…", copies.into_iter().map(item).collect())
}

/// The fields by which a list can be sorted: a key, a title, the field.
pub(crate) fn sort_menu(fields: impl IntoIterator<Item = (char, String, String)>) -> Menu {
    let item =
        |(key, title, field): (char, String, String)| MenuItem::new(key, title, field.clone(), Effect::Sort(field));
    Menu::new("s  sort by…", fields.into_iter().map(item).collect())
}

/// Whether secrets are to be shown; not, unless that is chosen.
pub(crate) fn reveal_menu() -> Menu {
    let mut menu = Menu::new(
        "Show hidden values?",
        vec![
            MenuItem::new('y', "show authorization, cookies, tokens and other hidden values", "", Effect::Reveal(true)),
            MenuItem::new('n', "keep them hidden", "", Effect::Nothing),
        ],
    );
    menu.list.cursor = 1;
    menu
}
