//! A choice among few, each with a key.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{Handled, Question};
use crate::backend::{CopyForm, ExportForm, ExportRequest, ProgramRequest, Request};
use crate::screen::{Copyable, Effect, Subject};
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

/// What can be copied: what the screen offers, then the message and the call with the cursor.
pub(crate) fn copy_menu(copies: Vec<Copyable>, subject: Subject) -> Menu {
    let copy = |text: &str, to_file| {
        Effect::Request(Request::Program(ProgramRequest::Copy { text: text.to_owned(), to_file }))
    };
    let first = copies.first().map(|(_, _, text)| text.clone());
    let item = |(key, title, text): Copyable| {
        let effect = copy(&text, false);
        MenuItem::new(key, title, text, effect)
    };
    let mut items: Vec<MenuItem> = copies.into_iter().map(item).collect();
    let of_call = |no, what| Effect::Request(Request::Export(ExportRequest::Copy { no, what }));
    if let (Some(no), Some(message)) = (subject.call, subject.message) {
        items.push(MenuItem::new('j', "message as JSON", "", of_call(no, CopyForm::Message(message))));
    }
    if let Some(no) = subject.call {
        let key = if subject.message.is_some() { 'J' } else { 'j' };
        items.push(MenuItem::new(key, "call as JSON", format!("#{no}"), of_call(no, CopyForm::Call)));
        items.push(MenuItem::new('g', "call as a grpcurl command", "", of_call(no, CopyForm::Grpcurl)));
    }
    if let Some(text) = first {
        items.push(MenuItem::new('w', "the first of these, into a file", "", copy(&text, true)));
    }
    Menu::new("y  copy…", items)
}

/// The forms in which calls can be exported. `what`: which calls.
pub(crate) fn export_menu(what: &str) -> Menu {
    let item = |(key, form, title, name): (char, ExportForm, &str, &str)| {
        MenuItem::new(key, title, "", Effect::Ask(Question::Export(form), name.to_owned()))
    };
    Menu::new(format!("x  export {what}…"), ExportForm::ALL.into_iter().map(item).collect())
}

/// Whether an export is to be given up; not, unless that is chosen.
pub(crate) fn stop_export_menu() -> Menu {
    let stop = Effect::Request(Request::Export(ExportRequest::Cancel));
    let mut menu = Menu::new(
        "Stop the export?",
        vec![
            MenuItem::new('y', "stop, and remove what was written", "", stop),
            MenuItem::new('n', "go on", "", Effect::Nothing),
        ],
    );
    menu.list.cursor = 1;
    menu
}

/// Whether the program is to end while it replays; not, unless that is chosen.
pub(crate) fn quit_menu() -> Menu {
    let quit = Effect::Request(Request::Program(ProgramRequest::Quit));
    let mut menu = Menu::new(
        "Calls are being replayed. Quit?",
        vec![
            MenuItem::new('y', "stop the replay, and quit", "", quit),
            MenuItem::new('n', "go on", "", Effect::Nothing),
        ],
    );
    menu.list.cursor = 1;
    menu
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
