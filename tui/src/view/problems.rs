//! What the capture or the bytes did not allow, counted by kind, with the first places.
//!
//! ```text
//!   ! HPACK state missing          12   c3 c7      began before the capture
//! ▌ ! bytes missing                 3   c3         1,448 bytes to the server
//! ── bytes missing in the middle of a connection (bytes-lost) ──────── 4.28 KiB, 2 calls ──
//!  Packets were sent but not captured: calls around these places may lack messages.
//!  → Capture on the host itself, with a capture filter (port …) and a larger buffer.
//!  c3 packet 31: 1,448 bytes to the server
//! ```

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;
use rpcshark_dissectors::Severity;

use crate::backend::{Reply, Request, StatisticsReply, StatisticsRequest};
use crate::command::{Action, Context};
use crate::model::problems::{ProblemList, ProblemRow};
use crate::screen::{Copyable, Effect, Hub, Place, Screen};
use crate::text::{Keep, counted, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Align, Canvas, Cell, Column, Comparison, ListState, Part, Parts, Row, Width, draw_table};

/// The problems of the calls that a filter leaves.
#[derive(Clone, Debug)]
pub(crate) struct ProblemsScreen {
    filter: String,
    problems: Option<Arc<ProblemList>>,
    list: ListState,
    counting: Option<(u64, u64)>,
    counted_all: bool,
    height: u64,
}

/// Lines of the pane below, with its title.
const PANE: u16 = 10;

/// The least height at which there is such a pane.
const LEAST_WITH_PANE: u16 = PANE + 6;

impl ProblemsScreen {
    /// The problems of the calls that `filter` leaves.
    pub(crate) fn open(filter: &str, hub: &mut Hub<'_>) -> Self {
        let mut screen = Self {
            filter: filter.to_owned(),
            problems: None,
            list: ListState::default(),
            counting: None,
            counted_all: false,
            height: 1,
        };
        screen.ask(hub);
        screen
    }

    fn ask(&mut self, hub: &mut Hub<'_>) {
        self.counting = Some((0, hub.progress.calls));
        self.counted_all = hub.progress.finished;
        hub.request(Request::Statistics(StatisticsRequest::Problems(self.filter.clone())));
    }

    fn rows(&self) -> &[ProblemRow] {
        self.problems.as_ref().map_or(&[], |problems| &problems.rows)
    }

    fn selected(&self) -> Option<&ProblemRow> {
        self.rows().get(self.list.cursor as usize)
    }

    fn take(&mut self, problems: &Arc<ProblemList>) {
        let selected = self.selected().map(|row| row.kind);
        if problems.done {
            self.counting = None;
        }
        self.problems = Some(Arc::clone(problems));
        if let Some(at) = self.rows().iter().position(|row| Some(row.kind) == selected) {
            self.list.keep_line(at as u64);
        }
    }

    fn draw_pane(&self, canvas: &mut Canvas<'_>) {
        let Some(row) = self.selected() else { return };
        let title = [Part::new(row.title, Role::Heading), Part::quiet(format!(" ({})", row.kind))];
        canvas.rule(0, &title, &[Part::text(row.extent.clone())]);
        let (width, height) = (canvas.area.width, canvas.area.height);
        let mut y = 1;
        for (sign, text) in [("", row.meaning), (canvas.theme.signs.arrow, row.help)] {
            for (index, line) in wrapped(text, width.saturating_sub(5).into()).into_iter().enumerate() {
                let sign = if index == 0 { sign } else { "" };
                canvas.text(1, y, 3, sign, Role::Quiet);
                canvas.text(4, y, width.saturating_sub(4), &line, Role::Quiet);
                y += 1;
            }
        }
        for place in &row.first {
            if y < height {
                canvas.text(4, y, width.saturating_sub(4), place, Role::Text);
                y += 1;
            }
        }
        if row.count > row.first.len() as u64 && y < height {
            canvas.text(4, y, 1, canvas.theme.signs.ellipsis, Role::Quiet);
        }
    }
}

/// The sign and the role of a severity.
const fn sign(severity: Severity, theme: &Theme) -> (&'static str, Role) {
    match severity {
        Severity::Error => (theme.signs.error, Role::Error),
        Severity::Warning => ("!", Role::Warning),
        Severity::Info => ("i", Role::Quiet),
    }
}

/// Text in lines of at most `columns`, broken at blanks.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if crate::text::width(line) + 1 + crate::text::width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn columns() -> Vec<Column> {
    let column = |title: &str, align, width, leaves| Column {
        field: String::new(),
        title: title.to_owned(),
        align,
        width,
        keep: Keep::Start,
        leaves,
    };
    vec![
        column("Problem", Align::Left, Width::Share { least: 34, weight: 1 }, 0),
        column("Count", Align::Right, Width::Exact(9), 0),
        column("Where", Align::Left, Width::Exact(14), 2),
        column("First", Align::Left, Width::Share { least: 20, weight: 1 }, 3),
    ]
}

impl Screen for ProblemsScreen {
    fn context(&self) -> Context {
        Context::Problems
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: &str, hub: &mut Hub<'_>) {
        filter.clone_into(&mut self.filter);
        self.ask(hub);
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        let len = self.rows().len() as u64;
        if self.list.act(action, self.height, len) {
            return true;
        }
        match action {
            Action::Open => match self.selected().map(|row| row.filter.clone()) {
                Some(Some(filter)) => {
                    let filter = match self.filter.is_empty() {
                        true => filter,
                        false => format!("({}) && {filter}", self.filter),
                    };
                    hub.wants(Effect::Go(Place::CallsWhere(filter)));
                }
                Some(None) => hub.say("no call has this problem"),
                None => {}
            },
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Statistics(StatisticsReply::Problems(problems)) if problems.filter == self.filter => {
                self.take(problems);
            }
            Reply::Statistics(StatisticsReply::Progress { filter, judged, of })
                if *filter == self.filter && self.counting.is_some() =>
            {
                self.counting = Some((*judged, *of));
            }
            Reply::DecodingChanged => self.ask(hub),
            _ => {}
        }
    }

    fn pass(&mut self, _time: Duration, hub: &mut Hub<'_>) -> bool {
        let is_due = hub.progress.finished && !self.counted_all && self.counting.is_none();
        if is_due {
            self.ask(hub);
        }
        is_due
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        let Some(row) = self.selected() else { return Vec::new() };
        let field = row.filter.as_deref().and_then(|filter| filter.split_once(" == "));
        field
            .map(|(field, value)| Comparison { field: field.to_owned(), value: value.to_owned() })
            .map(|comparison| (row.title.to_owned(), comparison))
            .into_iter()
            .collect()
    }

    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        let Some(row) = self.selected() else { return Vec::new() };
        let mut copies = vec![('y', "kind".to_owned(), row.kind.to_owned())];
        copies.extend(row.filter.clone().map(|filter| ('f', "as a filter".to_owned(), filter)));
        copies
    }

    fn click(&mut self, _pane: u8, row: u64, _hub: &mut Hub<'_>) {
        self.list.move_to(row, self.rows().len() as u64);
    }

    fn remark(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        let mut parts = Vec::new();
        if let Some((judged, of)) = self.counting {
            parts.push(Part::quiet(format!("looking, {}%   ", judged * 100 / of.max(1))));
        }
        if let Some(problems) = &self.problems {
            parts.push(Part::text(format!("problems of {}", counted(problems.calls, "call"))));
        }
        parts
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        let len = self.rows().len() as u64;
        let at = if len == 0 { 0 } else { self.list.cursor + 1 };
        let mut parts = vec![Part::text(format!(" problem {at} of {len}"))];
        if let Some(filter) = self.selected().and_then(|row| row.filter.as_ref()) {
            parts.push(Part::quiet(format!("   {filter}")));
        }
        parts
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, _hub: &mut Hub<'_>) {
        let area = canvas.area;
        if self.rows().is_empty() {
            let text = match &self.problems {
                Some(problems) if problems.done => "No problems found.",
                _ => "Looking for problems.",
            };
            canvas.text(8, 2, area.width, text, Role::Text);
            return;
        }
        let pane = if area.height >= LEAST_WITH_PANE { PANE } else { 0 };
        let upper = Rect { height: area.height - pane, ..area };
        let lower = Rect { y: area.y + upper.height, height: pane, ..area };
        self.height = upper.height.saturating_sub(1).into();
        self.list.scroll_into_view(self.height, self.rows().len() as u64);
        let theme = canvas.theme;
        let row = |row: &ProblemRow| {
            let (sign, role) = sign(row.severity, theme);
            Row {
                cells: vec![
                    Cell(vec![Part::new(sign, role), Part::text(format!(" {}", row.title))]),
                    Cell::text(thousands(row.count)),
                    Cell::text(row.places.clone()),
                    Cell::new(row.says.clone(), Role::Quiet),
                ],
                ..Row::default()
            }
        };
        let rows: Vec<Row> =
            self.rows().iter().skip(self.list.top as usize).take(self.height as usize).map(row).collect();
        draw_table(&mut canvas.part(upper), &columns(), None, self.list, true, &rows);
        if pane > 0 {
            self.draw_pane(&mut canvas.part(lower));
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        if self.problems.as_ref().is_none_or(|problems| !problems.done) {
            self.ask(hub);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_blanks() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("longer than that", 4), ["longer", "than", "that"]);
        assert!(wrapped("", 10).is_empty());
    }
}
