//! The line that holds the display filter: editing, checking while typing, completing, remembering.
//!
//! While the text is not a valid filter, the list keeps the last one that was.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rpcshark_dissectors::filter::Target;

use crate::backend::{Backend, Checked, Completion};
use crate::theme::Role;
use crate::widget::{Canvas, LineInput, ListState, Part, Popup, draw_input};

/// The filter line.
#[derive(Debug)]
pub struct FilterBar {
    /// The text, applied or being edited.
    pub input: LineInput,
    /// Whether keys go to it.
    pub editing: bool,
    /// The filter that the list shows.
    pub applied: String,
    target: Target,
    before_editing: String,
    checked: Checked,
    completions: Vec<Completion>,
    chosen: Option<ListState>,
    history: Vec<String>,
    recalled: Option<usize>,
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// Nothing that concerns the list.
    Nothing,
    /// The text has changed, and is a filter that can be applied when typing pauses.
    Changed,
    /// This filter is to be applied now.
    Apply(String),
}

/// Filters that are remembered.
const HISTORY: usize = 200;

/// Completions that are offered.
const COMPLETIONS: usize = 8;

/// Earlier filters that an empty line offers.
const EARLIER: usize = 4;

/// The filters that an empty line offers, and what they show.
const BEGINNINGS: [(&str, &str); 4] = [
    ("rpc.outcome in {error, reset}", "failed calls"),
    ("rpc.outcome == open", "calls without an end"),
    ("rpc.duration > 1s", "slow calls"),
    ("rpc.note", "calls with notes"),
];

impl Default for FilterBar {
    fn default() -> Self {
        Self {
            input: LineInput::default(),
            editing: false,
            applied: String::new(),
            target: Target::Calls,
            before_editing: String::new(),
            checked: Checked::Valid { needs_bodies: false },
            completions: Vec::new(),
            chosen: None,
            history: Vec::new(),
            recalled: None,
        }
    }
}

impl FilterBar {
    /// Earlier filters, the newest last.
    pub fn set_history(&mut self, filters: Vec<String>) {
        self.history = filters;
        let over = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..over);
    }

    /// Begins editing, with the cursor at the end.
    pub fn edit(&mut self, target: Target, backend: &dyn Backend) {
        self.editing = true;
        self.target = target;
        self.before_editing.clone_from(&self.applied);
        self.input = LineInput::new(&self.applied);
        self.changed(backend);
    }

    /// Shows `filter`, which the user has applied.
    pub fn set(&mut self, filter: &str) {
        self.show(filter);
        self.remember(filter);
    }

    /// Shows `filter` as the one that is applied to the screen.
    pub fn show(&mut self, filter: &str) {
        self.editing = false;
        self.input = LineInput::new(filter);
        filter.clone_into(&mut self.applied);
        self.checked = Checked::Valid { needs_bodies: false };
        self.completions.clear();
        self.chosen = None;
    }

    fn remember(&mut self, filter: &str) {
        if filter.is_empty() {
            return;
        }
        self.history.retain(|known| known != filter);
        self.history.push(filter.to_owned());
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
    }

    /// The filter that may be applied while the user still types: valid, and judged without decoding messages.
    pub fn quick(&self) -> Option<&str> {
        match self.checked {
            Checked::Valid { needs_bodies: false } if self.input.text() != self.applied => Some(self.input.text()),
            _ => None,
        }
    }

    /// Handles a key while editing.
    pub fn key(&mut self, key: KeyEvent, backend: &dyn Backend) -> Edited {
        match (key.code, key.modifiers) {
            (KeyCode::Esc, _) => {
                let before = std::mem::take(&mut self.before_editing);
                self.editing = false;
                self.input = LineInput::new(&before);
                self.checked = Checked::Valid { needs_bodies: false };
                self.completions.clear();
                if before == self.applied { Edited::Nothing } else { Edited::Apply(before) }
            }
            (KeyCode::Enter, _) => self.enter(),
            (KeyCode::Tab, _) => {
                self.accept(backend);
                Edited::Changed
            }
            (KeyCode::Down | KeyCode::Up, _) => {
                self.choose(if key.code == KeyCode::Down { 1 } else { -1 });
                Edited::Nothing
            }
            (KeyCode::Char('r'), KeyModifiers::CONTROL) => {
                self.recall(backend);
                Edited::Changed
            }
            _ => {
                if !self.input.key(key) {
                    self.complete(backend);
                    return Edited::Nothing;
                }
                self.recalled = None;
                self.changed(backend);
                Edited::Changed
            }
        }
    }

    /// Pasted text.
    pub fn paste(&mut self, text: &str, backend: &dyn Backend) {
        self.input.paste(text.trim_end());
        self.changed(backend);
    }

    /// Enter applies the filter; it never accepts a completion. A filter that is not valid stays in the line.
    fn enter(&mut self) -> Edited {
        match self.checked {
            Checked::Valid { .. } => Edited::Apply(self.input.text().trim().to_owned()),
            _ => Edited::Nothing,
        }
    }

    fn changed(&mut self, backend: &dyn Backend) {
        self.checked = match self.input.text().trim() {
            "" => Checked::Valid { needs_bodies: false },
            text => backend.check(text, self.target),
        };
        self.complete(backend);
    }

    fn complete(&mut self, backend: &dyn Backend) {
        self.chosen = None;
        self.offer(backend);
    }

    /// Offers anew what may follow: values have been counted. What was chosen stays chosen.
    pub(crate) fn offer_again(&mut self, backend: &dyn Backend) {
        let chosen = |bar: &Self| bar.completions.get(bar.chosen?.cursor as usize).map(|chosen| chosen.text.clone());
        let before = chosen(self);
        self.offer(backend);
        if before.is_some() {
            let at = self.completions.iter().position(|completion| Some(&completion.text) == before.as_ref());
            self.chosen = at.map(|at| ListState { cursor: at as u64, ..ListState::default() });
        }
    }

    fn offer(&mut self, backend: &dyn Backend) {
        self.completions = match self.input.text().is_empty() && self.target == Target::Calls {
            true => self.beginnings(),
            false => backend.complete(self.input.text(), self.input.cursor(), self.target),
        };
        self.completions.truncate(COMPLETIONS);
    }

    /// What an empty line offers: what people look for most, and the filters of before.
    fn beginnings(&self) -> Vec<Completion> {
        let completion = |text: &str, help: &str| Completion { replaces: 0..0, text: text.into(), help: help.into() };
        let earlier = self.history.iter().rev().take(EARLIER).map(|filter| completion(filter, "used before"));
        BEGINNINGS.iter().map(|(text, help)| completion(text, help)).chain(earlier).collect()
    }

    fn choose(&mut self, by: i64) {
        let len = self.completions.len() as u64;
        if len == 0 {
            return;
        }
        match &mut self.chosen {
            None => self.chosen = Some(ListState { cursor: if by > 0 { 0 } else { len - 1 }, ..ListState::default() }),
            Some(state) => state.move_by(by, len),
        }
    }

    /// Tab takes the chosen completion, or the first.
    fn accept(&mut self, backend: &dyn Backend) {
        let chosen = self.chosen.map_or(0, |state| state.cursor as usize);
        let Some(completion) = self.completions.get(chosen).cloned() else { return };
        let text = self.input.text();
        let (Some(before), Some(after)) = (text.get(..completion.replaces.start), text.get(completion.replaces.end..))
        else {
            return;
        };
        let cursor = before.len() + completion.text.len();
        let whole = format!("{before}{}{after}", completion.text);
        self.input.set(&whole, cursor);
        self.changed(backend);
    }

    /// Ctrl-R goes back through the filters that were applied.
    fn recall(&mut self, backend: &dyn Backend) {
        let next = match self.recalled {
            None => self.history.len().checked_sub(1),
            Some(at) => at.checked_sub(1).or_else(|| self.history.len().checked_sub(1)),
        };
        let Some(filter) = next.and_then(|at| self.history.get(at)) else { return };
        self.recalled = next;
        self.input = LineInput::new(filter);
        self.changed(backend);
    }

    /// Draws the line; `remark`: what the list behind it says, shown at the right while the filter is valid.
    pub fn draw(&self, canvas: &mut Canvas<'_>, y: u16, remark: &[Part]) -> Option<(u16, u16)> {
        canvas.text(1, y, 1, "/", Role::Key);
        let right = match (&self.checked, self.editing) {
            (Checked::Wrong { message, .. }, true) => vec![Part::new(
                format!("{}  {}", canvas.theme.signs.error, crate::text::safe(message.as_bytes())),
                Role::Error,
            )],
            (Checked::Incomplete, true) => vec![Part::quiet(match self.applied.is_empty() {
                true => format!("{}  showing all calls", canvas.theme.signs.ellipsis),
                false => format!("{}  showing the last valid filter", canvas.theme.signs.ellipsis),
            })],
            _ => remark.to_vec(),
        };
        let width = canvas.area.width;
        let right_at = canvas.parts_right(y, width / 2, &right);
        let room = right_at.saturating_sub(5);
        if !self.editing {
            if self.applied.is_empty() {
                canvas.text(3, y, room, "", Role::Quiet);
            } else {
                canvas.text(3, y, room, &crate::text::safe(self.applied.as_bytes()), Role::Text);
            }
            return None;
        }
        let cursor = draw_input(canvas, 3, y, room, &self.input);
        if let Checked::Wrong { span, .. } = &self.checked {
            let text = self.input.text();
            let column = |at: usize| text.get(..at).map_or(0, crate::text::width) as u16;
            let (from, to) = (column(span.start), column(span.end.min(text.len())).max(column(span.start) + 1));
            let area = ratatui::layout::Rect {
                x: canvas.area.x + 3 + from,
                y: canvas.area.y + y,
                width: (to - from).min(room.saturating_sub(from)),
                height: 1,
            };
            let underlined = canvas.theme.style(Role::Error).add_modifier(ratatui::style::Modifier::UNDERLINED);
            canvas.buffer.set_style(area.intersection(canvas.area), underlined);
        }
        Some((cursor, y))
    }

    /// Draws what may follow, below the line.
    pub fn draw_completions(&self, canvas: &mut Canvas<'_>, y: u16) {
        if !self.editing {
            return;
        }
        let mut popup = Popup { footer: "Tab accept   Ctrl-R history   Enter apply".to_owned(), ..Popup::default() };
        if let Checked::Wrong { suggestion: Some(suggestion), .. } = &self.checked {
            popup.lines.push((vec![Part::text(format!("did you mean {suggestion}?"))], Vec::new()));
        }
        let offset = popup.lines.len() as u64;
        for completion in &self.completions {
            let help = Part::quiet(crate::text::safe(completion.help.as_bytes()));
            let text = Part::text(crate::text::safe(completion.text.as_bytes()));
            popup.lines.push((vec![text], vec![Part::text("   "), help]));
        }
        if popup.lines.is_empty() {
            return;
        }
        let start = self.completions.first().map_or(0, |completion| completion.replaces.start);
        let column = self.input.text().get(..start).map_or(0, crate::text::width) as u16;
        let mut chosen = self.chosen.map(|state| ListState { cursor: state.cursor + offset, ..state });
        crate::widget::draw_popup_at(canvas, &popup, chosen.as_mut(), crate::widget::Place::At(column + 1, y), 0);
    }
}
