//! The options of a replay, as on the command line.
//!
//! ```text
//!  2 calls, recorded at 127.0.0.1:50051 (grpc)
//! ── ▌Options ───────────────────────────────────────────────────────────────
//!    to                      localhost:50052
//!    Safety
//! ▌    allow                 acme.shop.v1.Orders/*
//! ── --allow METHOD ────────────────────────────────────────────────────────
//!  Send calls of these methods, too: package.Service/Method, with * for any characters
//! ```

use std::sync::Arc;

use ratatui::layout::Rect;

use super::{picks, wrapped};
use crate::command::Action;
use crate::model::replay::{OptionKind, OptionValues, ReplayForm, ReplayOption};
use crate::popup::{Menu, MenuItem, Question};
use crate::screen::{Effect, Hub};
use crate::text::{counted, safe};
use crate::theme::Role;
use crate::widget::{Canvas, Hit, ListState, Part, Parts};

/// The options of a replay, and their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    form: Option<Arc<ReplayForm>>,
    /// The values that were given. They stay for the next replay.
    pub(super) values: OptionValues,
    /// The option that is wrong, and why.
    pub(super) wrong: Option<(Option<String>, String)>,
    list: ListState,
    height: u64,
}

/// A line of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Group(String),
    /// An option's index, and which of its values; with `None` one can be added.
    Option(usize, Option<usize>),
    /// The messages that were edited.
    Edits,
}

/// Rows below the options that say what the one with the cursor does.
const HELP: u16 = 5;

/// The group of the options that change nothing of what is sent.
const COMPARING: &str = "Comparing";

/// Columns of names.
const NAMES: u16 = 26;

impl Form {
    /// Other calls: what is known of the options stays.
    pub(super) fn begin(&mut self) {
        self.wrong = None;
        if let Some(form) = &self.form {
            self.form = Some(Arc::new(ReplayForm { options: form.options.clone(), ..ReplayForm::default() }));
        }
    }

    pub(super) fn take(&mut self, form: &Arc<ReplayForm>) {
        let is_first = self.form.is_none();
        let selected = self.lines().get(self.list.cursor as usize).cloned();
        self.form = Some(Arc::clone(form));
        // A line for edited messages may have come or gone.
        let at = selected.and_then(|selected| self.lines().iter().position(|line| *line == selected));
        if let Some(at) = at {
            self.list.cursor = at as u64;
        }
        if is_first {
            self.list = ListState::default();
            self.skip_groups(1);
        }
    }

    fn options(&self) -> &[ReplayOption] {
        self.form.as_ref().map_or(&[], |form| &form.options)
    }

    /// The call, where it is one.
    pub(super) fn only(&self) -> Option<u32> {
        self.form.as_ref()?.only
    }

    fn values_of(&self, option: &ReplayOption) -> &[String] {
        self.values.get(&option.name).map_or(&[], Vec::as_slice)
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut group = "";
        if self.form.as_ref().is_some_and(|form| !form.edits.is_empty()) {
            lines.push(Line::Edits);
        }
        for (index, option) in self.options().iter().enumerate() {
            if option.group != group {
                group = &option.group;
                lines.push(Line::Group(option.group.clone()));
            }
            match option.kind {
                OptionKind::Many => {
                    let count = self.values_of(option).len();
                    lines.extend((0..count).map(|value| Line::Option(index, Some(value))));
                    lines.push(Line::Option(index, None));
                }
                OptionKind::Flag | OptionKind::One => lines.push(Line::Option(index, Some(0))),
            }
        }
        lines
    }

    /// The option with the cursor, and which of its values.
    fn selected(&self) -> Option<(&ReplayOption, Option<usize>)> {
        match self.lines().get(self.list.cursor as usize)? {
            Line::Option(index, value) => Some((self.options().get(*index)?, *value)),
            _ => None,
        }
    }

    /// The cursor does not stay on the name of a group.
    fn skip_groups(&mut self, by: i64) {
        let lines = self.lines();
        let is_group = |at: u64| matches!(lines.get(at as usize), Some(Line::Group(_)));
        let mut at = self.list.cursor;
        while is_group(at) {
            match at.checked_add_signed(by).filter(|&next| next < lines.len() as u64) {
                Some(next) => at = next,
                // At an end: back to where an option is.
                None => return self.list.move_by(-by, lines.len() as u64),
            }
        }
        self.list.cursor = at;
    }

    pub(super) fn moves(&mut self, action: Action) -> bool {
        let len = self.lines().len() as u64;
        let before = self.list.cursor;
        let moved = self.list.act(action, self.height, len);
        if moved {
            let up = self.list.cursor < before || action == Action::First && self.list.cursor > 0;
            self.skip_groups(if up && self.list.cursor > 0 { -1 } else { 1 });
        }
        moved
    }

    pub(super) fn click(&mut self, row: u64) {
        self.list.move_to(row, self.lines().len() as u64);
        self.skip_groups(1);
    }

    /// Whether options other than those of the comparison have other values than in `values`.
    pub(super) fn has_other_than(&self, values: &OptionValues) -> bool {
        let compares = |name: &str| {
            let option = self.options().iter().find(|option| option.name == name);
            option.is_some_and(|option| option.group == COMPARING)
        };
        let sent = |values: &OptionValues| -> OptionValues {
            values
                .iter()
                .filter(|(name, _)| !compares(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        sent(&self.values) != sent(values)
    }

    /// What must be given and is not.
    pub(super) fn missing(&mut self) -> Option<String> {
        if self.form.is_none() || self.values.get("to").is_some_and(|values| !values.is_empty()) {
            return None;
        }
        self.go_to_option("to");
        Some("where are the calls to be sent? Enter the address of a server under to".to_owned())
    }

    fn go_to_option(&mut self, name: &str) {
        let lines = self.lines();
        let is_it = |line: &Line| match line {
            Line::Option(index, _) => self.options().get(*index).is_some_and(|option| option.name == name),
            _ => false,
        };
        if let Some(at) = lines.iter().position(is_it) {
            self.list.cursor = at as u64;
        }
    }

    pub(super) fn fail(&mut self, option: Option<&str>, text: &str) {
        self.wrong = Some((option.map(str::to_owned), text.to_owned()));
        if let Some(option) = option {
            self.go_to_option(option);
        }
    }

    /// Changes the option with the cursor: a flag is turned, a choice offered, a value asked for.
    pub(super) fn change(&mut self, hub: &mut Hub<'_>) {
        if self.lines().get(self.list.cursor as usize) == Some(&Line::Edits) {
            let item = |key, title: &str, effect| MenuItem::new(key, title, "", effect);
            let items = vec![
                item('n', "keep what was edited", Effect::Nothing),
                item('y', "send the messages as recorded", Effect::Pick(picks::DROP_EDITS)),
            ];
            return hub.wants(Effect::Menu(Menu::new("Edited messages", items)));
        }
        let Some((option, value)) = self.selected() else { return };
        let now = value.and_then(|value| self.values_of(option).get(value)).cloned().unwrap_or_default();
        if option.kind == OptionKind::Flag {
            let name = option.name.clone();
            if self.values.remove(&name).is_none() {
                self.values.insert(name, Vec::new());
            }
            self.wrong = None;
        } else if !option.choices.is_empty() {
            let shown = if now.is_empty() { &option.default } else { &now };
            let item = |(index, choice): (u32, &String)| {
                let key = char::from_digit(index + 1, 10).unwrap_or(' ');
                MenuItem::new(key, choice.clone(), "", Effect::Pick(picks::CHOICES + index))
            };
            let mut menu = Menu::new(format!("--{}", option.name), (0..).zip(&option.choices).map(item).collect());
            menu.list.cursor = option.choices.iter().position(|choice| choice == shown).unwrap_or(0) as u64;
            hub.wants(Effect::Menu(menu));
        } else {
            let prompt = format!("--{} {}: ", option.name, option.value);
            hub.wants(Effect::AskWith(Question::Option, now, prompt));
        }
    }

    /// Chooses one of the values that the option with the cursor can have.
    pub(super) fn choose(&mut self, index: usize) {
        let choice = self.selected().and_then(|(option, _)| option.choices.get(index)).cloned();
        if let Some(choice) = choice {
            self.set(&choice);
        }
    }

    /// Gives the option with the cursor a value; an empty one takes it away.
    pub(super) fn set(&mut self, text: &str) {
        let Some((option, value)) = self.selected() else { return };
        let (name, kind, default) = (option.name.clone(), option.kind, option.default.clone());
        let values = self.values.entry(name.clone()).or_default();
        match (kind, value.filter(|&value| value < values.len()), text) {
            (_, Some(value), "") => drop(values.remove(value)),
            (_, Some(value), text) => text.clone_into(&mut values[value]),
            (_, None, "") => {}
            (_, None, text) => values.push(text.to_owned()),
        }
        if values.is_empty() || kind == OptionKind::One && *values == [default] {
            self.values.remove(&name);
        }
        self.wrong = None;
    }

    pub(super) fn clear(&mut self) {
        match self.selected().map(|(option, _)| (option.name.clone(), option.kind)) {
            Some((name, OptionKind::Flag)) => drop(self.values.remove(&name)),
            Some(_) => self.set(""),
            None => {}
        }
    }

    /// Adds a value to an option that can have several.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let values = self.values.entry(name.to_owned()).or_default();
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
    }

    /// Which calls, and where they were recorded.
    pub(super) fn head(&self) -> Parts {
        let Some(form) = self.form.as_ref().filter(|form| !form.servers.is_empty() || form.calls > 0) else {
            return vec![Part::quiet(" looking at the calls")];
        };
        let calls = match form.only {
            Some(no) => format!(" call #{no}"),
            None => format!(" {}", counted(form.calls, "call")),
        };
        let servers = match form.servers.as_slice() {
            [] => String::new(),
            [one] => format!(", recorded at {one}"),
            [first, rest @ ..] => format!(", recorded at {first} and {}", counted(rest.len() as u64, "other server")),
        };
        vec![Part::text(calls), Part::quiet(servers)]
    }

    pub(super) fn position(&self) -> Parts {
        match &self.wrong {
            Some((_, text)) => vec![Part::new(format!(" {}", safe(text.as_bytes())), Role::Error)],
            None => vec![Part::quiet(" nothing is sent before you have seen the plan: p")],
        }
    }

    pub(super) fn draw(&mut self, canvas: &mut Canvas<'_>) {
        let area = canvas.area;
        let help = if area.height >= 14 { HELP } else { 0 };
        let signs = canvas.theme.signs;
        canvas.rule(0, &[Part::new(format!("{}Options", signs.cursor), Role::Focus)], &[]);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1 + help), ..area };
        let lines = self.lines();
        self.height = body.height.into();
        self.list.scroll_into_view(self.height, lines.len() as u64);
        // The name of a group is in view with its first option.
        if self.list.top > 0 && self.list.cursor == self.list.top {
            self.list.top -= 1;
        }
        let mut inner = canvas.part(body);
        for (y, row) in (0..body.height).zip(self.list.top as usize..) {
            let Some(line) = lines.get(row) else { break };
            let has_cursor = row as u64 == self.list.cursor;
            self.draw_line(&mut inner, y, line, has_cursor);
            inner.zone(0, y, body.width, Hit::Row { pane: super::LIST, row: row as u64 });
        }
        if help > 0 {
            let below = Rect { y: body.y + body.height, height: help, ..area };
            self.draw_help(&mut canvas.part(below));
        }
    }

    fn draw_line(&self, canvas: &mut Canvas<'_>, y: u16, line: &Line, has_cursor: bool) {
        let width = canvas.area.width;
        let absent = canvas.theme.signs.absent;
        match line {
            Line::Group(name) => {
                canvas.text(3, y, width, name, Role::Heading);
            }
            Line::Edits => {
                let edits = self.form.as_ref().map_or(&[][..], |form| &form.edits);
                let shown: Vec<String> =
                    edits.iter().take(5).map(|(no, message)| format!("message {message} of #{no}")).collect();
                let more = if edits.len() > 5 { ", …" } else { "" };
                canvas.text(3, y, NAMES, "edited", Role::Mark);
                canvas.text(5 + NAMES, y, width, &format!("{}{more}", shown.join(", ")), Role::Mark);
            }
            Line::Option(index, value) => {
                let Some(option) = self.options().get(*index) else { return };
                let values = self.values_of(option);
                let is_first = value.is_none_or(|value| value == 0) && (value.is_some() || values.is_empty());
                let is_wrong = self.wrong.as_ref().is_some_and(|(name, _)| name.as_deref() == Some(&option.name));
                let role = if is_wrong { Role::Error } else { Role::Name };
                if is_first {
                    canvas.text(5, y, NAMES - 1, &option.name, role);
                }
                let x = 5 + NAMES;
                let room = width.saturating_sub(x + 1);
                let given = value.and_then(|value| values.get(value));
                let (text, role) = match (option.kind, given) {
                    (OptionKind::Flag, _) if self.values.contains_key(&option.name) => ("yes".to_owned(), Role::Mark),
                    (OptionKind::Flag, _) => ("no".to_owned(), Role::Quiet),
                    (_, Some(text)) => (safe(text.as_bytes()), Role::Value),
                    (OptionKind::Many, None) if !values.is_empty() => ("+".to_owned(), Role::Quiet),
                    (_, None) if option.default.is_empty() => (absent.to_owned(), Role::Quiet),
                    (_, None) => (option.default.clone(), Role::Quiet),
                };
                canvas.text(x, y, room, &text, role);
            }
        }
        if has_cursor {
            canvas.text(0, y, 1, canvas.theme.signs.cursor, Role::Heading);
            canvas.restyle(3, y, width.saturating_sub(3), Role::Selected);
        }
    }

    fn draw_help(&self, canvas: &mut Canvas<'_>) {
        let width = canvas.area.width;
        let Some((option, _)) = self.selected() else {
            canvas.rule(0, &[Part::quiet("Edited messages")], &[]);
            let text = "They are sent in place of the recorded ones; fields that were not changed keep their bytes.";
            canvas.text(2, 1, width.saturating_sub(3), text, Role::Quiet);
            return;
        };
        let value = if option.value.is_empty() { String::new() } else { format!(" {}", option.value) };
        let title = [Part::new(format!("--{}{value}", option.name), Role::Heading)];
        canvas.rule(0, &title, &[]);
        let wrong = self.wrong.as_ref().filter(|(name, _)| name.as_deref().is_none_or(|name| name == option.name));
        let mut lines: Vec<(String, Role)> = Vec::new();
        if let Some((_, text)) = wrong {
            let text = wrapped(&safe(text.as_bytes()), width.saturating_sub(4).into());
            lines.extend(text.into_iter().map(|line| (line, Role::Error)));
        }
        let help = wrapped(&option.help, width.saturating_sub(4).into());
        lines.extend(help.into_iter().map(|line| (line, Role::Quiet)));
        for (y, (line, role)) in (1..canvas.area.height).zip(lines) {
            canvas.text(2, y, width.saturating_sub(2), &line, role);
        }
    }
}
