//! What came back: how far the replay has come, the calls that are over, and one of them beside its recording.

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;
use rpcshark_dissectors::compare::Verdict;
use rpcshark_dissectors::print::duration_text;

use super::{FIELDS, LIST};
use crate::backend::Resend;
use crate::command::Action;
use crate::model::replay::{Beside, BesideRow, Mark, Phase, ReplayRow, ReplayState};
use crate::screen::Hub;
use crate::text::{Keep, counted, fit, safe, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{
    Align, Canvas, Cell, Column, Gutter, Hit, ListState, Part, Parts, Row, Width, bar, draw_table, parts_width, spark,
};

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Results {
    /// How far the replay has come; its rows are in `rows`.
    pub(super) state: ReplayState,
    /// Something was sent, or is about to be.
    begun: bool,
    /// By number.
    rows: Arc<Vec<ReplayRow>>,
    /// The rows that are shown, by their indices.
    shown: Vec<usize>,
    /// Rows of calls that came back the same are shown, too.
    with_same: bool,
    list: ListState,
    /// The cursor stays at the newest call.
    tail: bool,
    height: u64,
    /// The fields have the focus.
    pub(super) in_fields: bool,
    fields: ListState,
    fields_height: u64,
    /// The call that has the cursor again once it is over: the same calls were sent again.
    returns_to: Option<u32>,
    asked: Option<u32>,
    beside: Option<Arc<Beside>>,
    /// The last difference of a call is wanted, not the first: one went back to it.
    from_behind: bool,
    /// The time that has passed since the state came, while the replay runs.
    since: Duration,
}

impl Default for Results {
    fn default() -> Self {
        Self {
            state: ReplayState { phase: Phase::Ended, ..ReplayState::default() },
            begun: false,
            rows: Arc::default(),
            shown: Vec::new(),
            with_same: true,
            list: ListState::default(),
            tail: false,
            height: 1,
            in_fields: false,
            fields: ListState::default(),
            fields_height: 1,
            returns_to: None,
            asked: None,
            beside: None,
            from_behind: false,
            since: Duration::ZERO,
        }
    }
}

/// Lines above the list.
const HEAD: u16 = 2;

/// The least height at which the fields stand below the list.
const LEAST_WITH_FIELDS: u16 = 14;

impl Results {
    /// Calls are about to be sent.
    pub(super) fn begin(&mut self, which: Resend) {
        if which == Resend::All {
            let returns_to = self.selected().map(|row| row.no);
            *self = Self { with_same: self.with_same, tail: self.tail, returns_to, ..Self::default() };
        }
        self.begun = true;
        self.asked = None;
        self.since = Duration::ZERO;
        self.state.phase = Phase::Connecting;
        self.state.cut_short = None;
    }

    /// There is something to show.
    pub(super) const fn is_there(&self) -> bool {
        self.begun
    }

    pub(super) fn is_running(&self) -> bool {
        self.begun && self.state.phase != Phase::Ended
    }

    /// Nothing was sent.
    pub(super) fn fail(&mut self, text: &str) {
        if self.state.phase == Phase::Connecting {
            self.state.phase = Phase::Ended;
            self.state.cut_short = Some(safe(text.as_bytes()));
        }
    }

    /// Calls that did not come back the same.
    pub(super) fn failed(&self) -> u64 {
        self.rows.iter().filter(|row| !row.is_same()).count() as u64
    }

    pub(super) fn take(&mut self, state: &Arc<ReplayState>) {
        let selected = self.selected().map(|row| row.no);
        self.begun = true;
        self.since = Duration::ZERO;
        if state.replace {
            self.rows = Arc::new(Vec::new());
        }
        if !state.rows.is_empty() {
            let rows = Arc::make_mut(&mut self.rows);
            for row in &*state.rows {
                match rows.binary_search_by_key(&row.no, |row| row.no) {
                    Ok(at) => rows[at] = row.clone(),
                    Err(at) => rows.insert(at, row.clone()),
                }
                if self.beside.as_ref().is_some_and(|beside| beside.no == row.no) {
                    self.asked = None;
                }
            }
        }
        if state.replace || !state.rows.is_empty() {
            let is_back = |no: &u32| self.rows.binary_search_by_key(no, |row| row.no).is_ok();
            let returned = self.returns_to.take_if(|no| is_back(no));
            let newest = state.rows.last().map(|row| row.no).filter(|_| self.tail);
            self.show_rows(newest.or(returned).or(selected));
        }
        self.state = ReplayState { rows: Arc::default(), ..(**state).clone() };
    }

    /// Decides which rows are shown. The call `selected` keeps the cursor, and its line of the screen.
    fn show_rows(&mut self, selected: Option<u32>) {
        let is_shown = |(index, row): (usize, &ReplayRow)| (self.with_same || !row.is_same()).then_some(index);
        self.shown = self.rows.iter().enumerate().filter_map(is_shown).collect();
        if let Some(no) = selected {
            let row = self.shown.partition_point(|&index| self.rows.get(index).is_some_and(|row| row.no < no));
            self.list.keep_line((row as u64).min((self.shown.len() as u64).saturating_sub(1)));
        }
    }

    /// Keeps the cursor at the newest call, or no longer does.
    pub(super) const fn toggle_tail(&mut self) {
        self.tail = !self.tail;
    }

    pub(super) fn toggle_same(&mut self) {
        self.with_same = !self.with_same;
        let selected = self.selected().map(|row| row.no);
        self.show_rows(selected);
    }

    pub(super) fn selected(&self) -> Option<&ReplayRow> {
        self.rows.get(*self.shown.get(self.list.cursor as usize)?)
    }

    /// The call that is to be shown beside its recording, where it was not asked for.
    pub(super) fn wanted(&mut self) -> Option<u32> {
        let no = self.selected()?.no;
        (self.asked != Some(no)).then(|| {
            self.asked = Some(no);
            no
        })
    }

    pub(super) const fn forget_beside(&mut self) {
        self.asked = None;
    }

    pub(super) fn take_beside(&mut self, beside: &Arc<Beside>) {
        if self.selected().is_none_or(|row| row.no != beside.no) {
            return;
        }
        let is_same_call = self.beside.as_ref().is_some_and(|before| before.no == beside.no);
        self.beside = Some(Arc::clone(beside));
        if !is_same_call {
            self.fields = ListState::default();
        }
        let differs = |row: &BesideRow| row.mark == Mark::Differs;
        let stays = is_same_call && self.field().is_some_and(differs);
        if !stays {
            let at = match self.from_behind {
                true => beside.rows.iter().rposition(differs),
                false => beside.rows.iter().position(differs),
            };
            self.show_field(at.unwrap_or(0));
        }
        self.from_behind = false;
    }

    /// Puts the cursor on a field; what stands around it is in view, too.
    fn show_field(&mut self, at: usize) {
        let at = at as u64;
        self.fields.cursor = at;
        let is_in_view = (self.fields.top..self.fields.top + self.fields_height * 2 / 3).contains(&at);
        if !is_in_view {
            self.fields.top = at.saturating_sub(self.fields_height / 3);
        }
    }

    /// What is shown of the call with the cursor.
    fn beside(&self) -> Option<&Arc<Beside>> {
        let no = self.selected()?.no;
        self.beside.as_ref().filter(|beside| beside.no == no)
    }

    /// The field with the cursor.
    pub(super) fn field(&self) -> Option<&BesideRow> {
        self.beside()?.rows.get(self.fields.cursor as usize)
    }

    /// The difference with the cursor.
    pub(super) fn difference(&self) -> Option<&BesideRow> {
        self.field().filter(|row| row.mark == Mark::Differs)
    }

    /// Goes to the next difference: of this call, or of the next call that has one. Whether there is one.
    pub(super) fn next_difference(&mut self, backwards: bool) -> bool {
        if let Some(beside) = self.beside().cloned() {
            let cursor = self.fields.cursor as usize;
            let differs = |&at: &usize| beside.rows.get(at).is_some_and(|row| row.mark == Mark::Differs);
            let found = match backwards {
                true => (0..cursor.min(beside.rows.len())).rev().find(differs),
                false => (cursor + 1..beside.rows.len()).find(differs),
            };
            if let Some(at) = found {
                self.show_field(at);
                return true;
            }
        }
        let has_any = |&at: &usize| {
            let row = self.shown.get(at).and_then(|&index| self.rows.get(index));
            row.is_some_and(|row| row.differences > 0)
        };
        let cursor = self.list.cursor as usize;
        let found = match backwards {
            true => (0..cursor.min(self.shown.len())).rev().find(has_any),
            false => (cursor + 1..self.shown.len()).find(has_any),
        };
        if let Some(at) = found {
            self.list.move_to(at as u64, self.shown.len() as u64);
            self.from_behind = backwards;
        }
        found.is_some()
    }

    pub(super) fn moves(&mut self, action: Action) -> bool {
        let moved = self.moves_in_pane(action);
        if moved {
            self.tail = false;
            self.returns_to = None;
        }
        moved
    }

    fn moves_in_pane(&mut self, action: Action) -> bool {
        if matches!(action, Action::NextPane | Action::PreviousPane) {
            self.in_fields = !self.in_fields;
            return true;
        }
        match self.in_fields {
            true => {
                let len = self.beside().map_or(0, |beside| beside.rows.len() as u64);
                self.fields.act(action, self.fields_height, len)
            }
            false => self.list.act(action, self.height, self.shown.len() as u64),
        }
    }

    pub(super) fn click(&mut self, in_fields: bool, row: u64) {
        self.in_fields = in_fields;
        match in_fields {
            true => {
                let len = self.beside().map_or(0, |beside| beside.rows.len() as u64);
                self.fields.move_to(row, len);
            }
            false => self.list.move_to(row, self.shown.len() as u64),
        }
    }

    pub(super) fn go_to(&mut self, text: &str, hub: &mut Hub<'_>) {
        let no = text.trim_start_matches('#').parse::<u32>().ok();
        let find = |no: u32| self.shown.iter().position(|&index| self.rows.get(index).is_some_and(|row| row.no == no));
        match no.and_then(find) {
            Some(at) => self.list.move_to(at as u64, self.shown.len() as u64),
            None => hub.fail(format!("call {} is not among these", safe(text.as_bytes()))),
        }
    }

    pub(super) fn neighbour(&mut self, by: i64) -> Option<u32> {
        self.list.move_by(by, self.shown.len() as u64);
        self.selected().map(|row| row.no)
    }

    pub(super) fn place(&self) -> (u64, u64) {
        (self.list.cursor + 1, self.shown.len() as u64)
    }

    /// The clock of a running replay continues between two states. Whether what it shows has changed.
    pub(super) fn pass(&mut self, time: Duration) -> bool {
        if !matches!(self.state.phase, Phase::Connecting | Phase::Running) || !self.begun {
            return false;
        }
        let before = self.elapsed_ns() / CLOCK_STEP_NS;
        self.since += time;
        self.elapsed_ns() / CLOCK_STEP_NS != before
    }

    fn elapsed_ns(&self) -> u64 {
        self.state.elapsed_ns.saturating_add(self.since.as_nanos().min(u128::from(u64::MAX)) as u64)
    }

    /// `RUNNING  21 s`.
    pub(super) fn phase_text(&self) -> Parts {
        let (word, role) = match self.state.phase {
            Phase::Connecting => ("CONNECTING", Role::Open),
            Phase::Running => ("RUNNING", Role::Open),
            Phase::Paused => ("PAUSED", Role::Warning),
            Phase::Ended if self.state.cut_short.is_some() => ("CUT SHORT", Role::Error),
            Phase::Ended => ("ENDED", Role::Heading),
        };
        let nanos = self.elapsed_ns();
        let time = match self.state.phase {
            _ if nanos == 0 => String::new(),
            Phase::Ended | Phase::Paused => format!("  {}", duration_text(nanos.cast_signed(), 3)),
            _ => format!("  {} s", nanos / CLOCK_STEP_NS),
        };
        vec![Part::new(word, role), Part::quiet(time)]
    }

    pub(super) fn position(&self) -> Parts {
        let len = self.shown.len() as u64;
        let at = if len == 0 { 0 } else { self.list.cursor + 1 };
        let which = if self.with_same { "" } else { ", without the same" };
        let mut parts = vec![Part::text(format!(" call {} of {}{which}", thousands(at), thousands(len)))];
        if self.tail {
            parts.push(Part::quiet("   tail on"));
        }
        if self.state.unlisted > 0 {
            parts.push(Part::quiet(format!("   {} more are not listed", thousands(self.state.unlisted))));
        }
        if self.state.cut_short.is_some() && !self.in_fields && !self.state.help.is_empty() {
            parts.push(Part::text(format!("   {}", self.state.help)));
            return parts;
        }
        let field = self.field().filter(|row| !row.path.is_empty() && (self.in_fields || row.mark == Mark::Differs));
        if let Some(field) = field {
            parts.push(Part::text(format!("   {}", field.path)));
        } else if let Some(remark) = self.state.remarks.last() {
            parts.push(Part::quiet(format!("   {remark}")));
        }
        if self.state.left_out > 0 {
            parts.push(Part::quiet(format!("   {} left out: p says why", thousands(self.state.left_out))));
        }

        parts
    }

    pub(super) fn draw(&mut self, canvas: &mut Canvas<'_>) {
        let area = canvas.area;
        self.draw_bar(canvas);
        self.draw_rates(canvas);
        let body = Rect { y: area.y + HEAD, height: area.height.saturating_sub(HEAD), ..area };
        let (list, fields) = match body.height >= LEAST_WITH_FIELDS {
            true => {
                // A short list leaves its room to the fields.
                let wanted = (self.shown.len() as u64 + 1).min(u64::from(body.height / 2)) as u16;
                let list = wanted.max(3);
                (list, body.height - list)
            }
            false if self.in_fields => (0, body.height),
            false => (body.height, 0),
        };
        if list > 0 {
            self.draw_list(&mut canvas.pane(LIST, Rect { height: list, ..body }));
        }
        if fields > 0 {
            self.draw_fields(&mut canvas.pane(FIELDS, Rect { y: body.y + list, height: fields, ..body }));
        }
    }

    /// How many calls are over, and what came of them.
    fn draw_bar(&self, canvas: &mut Canvas<'_>) {
        let signs = canvas.theme.signs;
        let width = canvas.area.width;
        let over: u64 = self.state.counts.iter().map(|(_, count)| count).sum();
        let columns = if width >= 100 { 25 } else { 12 };
        let done = bar(over, self.state.total, columns, signs);
        let rest = signs.bar_rest.repeat(columns.saturating_sub(crate::text::width(&done)));
        let mut parts = vec![
            Part::text(" "),
            Part::new(done, Role::Open),
            Part::quiet(rest),
            Part::text(format!(" {} of {}", thousands(over), thousands(self.state.total))),
            Part::text("   "),
        ];
        for &(verdict, count) in &self.state.counts {
            parts.push(Part::new(format!("  {} {}", verdict.name(), thousands(count)), verdict_role(verdict)));
        }
        let waiting = self.state.total.saturating_sub(over + self.state.in_flight);
        for (what, count) in [("in flight", self.state.in_flight), ("waiting", waiting)] {
            if count > 0 && self.is_running() {
                parts.push(Part::quiet(format!("  {what} {}", thousands(count))));
            }
        }
        canvas.parts(0, 0, width, &parts);
    }

    /// How fast it goes, or why it was cut short.
    fn draw_rates(&self, canvas: &mut Canvas<'_>) {
        let signs = canvas.theme.signs;
        let width = canvas.area.width;
        if let Some(why) = &self.state.cut_short {
            canvas.text(1, 1, width.saturating_sub(1), &format!("{} {why}", signs.error), Role::Error);
            return;
        }
        let mut parts = Parts::new();
        if self.state.rate.len() > 1 {
            let wanted = if width >= 100 { 24 } else { 8 };
            let skipped = self.state.rate.len().saturating_sub(wanted);
            let rate = self.state.rate.get(skipped..).unwrap_or_default();
            parts.push(Part::quiet(" calls/s "));
            parts.push(Part::text(spark(rate, signs)));
            parts.push(Part::text("  "));
        }
        if let Some([recorded, replayed]) = self.state.took {
            let text = |nanos| duration_text(nanos, 9);
            parts.push(Part::quiet(" took p50 "));
            parts.push(Part::text(text(replayed.0)));
            parts.push(Part::quiet(format!(" (recorded {})   p99 ", text(recorded.0))));
            parts.push(Part::text(text(replayed.1)));
            parts.push(Part::quiet(format!(" (recorded {})", text(recorded.1))));
        }
        if parts.is_empty() {
            let text = match self.state.phase {
                Phase::Connecting => " connecting: a server that cannot be reached is tried for a while (connect-for)",
                Phase::Paused => " paused: Space goes on",
                Phase::Running => " waiting for the first answer",
                Phase::Ended => "",
            };
            parts.push(Part::quiet(text));
        }
        canvas.parts(0, 1, width, &parts);
    }

    fn draw_list(&mut self, canvas: &mut Canvas<'_>) {
        let theme = canvas.theme;
        let len = self.shown.len() as u64;
        self.height = canvas.area.height.saturating_sub(1).into();
        self.list.scroll_into_view(self.height, len);
        if len == 0 {
            let hidden = self.rows.len() as u64;
            let text = match self.state.phase {
                _ if hidden > 0 => format!("All {} came back the same. d shows them.", counted(hidden, "call")),
                Phase::Ended => "No call was sent. r sends them, o changes the options.".to_owned(),
                _ => "No call is over yet.".to_owned(),
            };
            canvas.text(8, 1, canvas.area.width, &text, Role::Text);
            return;
        }
        let row = |&index: &usize| self.rows.get(index).map(|row| table_row(row, theme)).unwrap_or_default();
        let shown = self.shown.iter().skip(self.list.top as usize).take(self.height as usize);
        let rows: Vec<Row> = shown.map(row).collect();
        draw_table(canvas, &columns(), None, self.list, !self.in_fields, &rows);
    }

    fn draw_fields(&mut self, canvas: &mut Canvas<'_>) {
        let area = canvas.area;
        let signs = canvas.theme.signs;
        let Some(no) = self.selected().map(|row| row.no) else {
            canvas.rule(0, &[], &[]);
            return;
        };
        let Some(beside) = self.beside().cloned() else {
            canvas.rule(0, &[Part::quiet(format!("#{no}"))], &[]);
            canvas.text(2, 1, 1, signs.ellipsis, Role::Quiet);
            return;
        };
        let title = format!("#{no} {}", beside.method);
        let title = match self.in_fields {
            true => Part::new(format!("{}{title}", signs.cursor), Role::Focus),
            false => Part::text(title),
        };
        canvas.rule(0, &[title], &self.counts_of(&beside));
        let sides = Sides::of(area.width);
        canvas.text(sides.values[0], 1, sides.room, "recorded", Role::Heading);
        canvas.text(sides.values[1] - 2, 1, 1, signs.vertical, Role::Quiet);
        canvas.text(sides.values[1], 1, sides.room, "replayed", Role::Heading);
        let mut top = 2;
        if let Some(why) = &beside.why {
            canvas.text(2, top, area.width.saturating_sub(2), why, Role::Warning);
            top += 1;
        }
        self.fields_height = area.height.saturating_sub(top).into();
        self.fields.scroll_into_view(self.fields_height, beside.rows.len() as u64);
        for (y, row) in (top..area.height).zip(self.fields.top as usize..) {
            let Some(shown) = beside.rows.get(row) else { break };
            draw_field(canvas, y, shown, &sides);
            canvas.zone(0, y, area.width, Hit::Row { pane: FIELDS, row: row as u64 });
            if row as u64 == self.fields.cursor {
                canvas.text(0, y, 1, signs.cursor, Role::Heading);
                if self.in_fields || shown.mark == Mark::Differs {
                    canvas.restyle(3, y, area.width.saturating_sub(3), Role::Selected);
                }
            }
        }
    }

    /// `difference 1 of 3   1 field ignored`.
    fn counts_of(&self, beside: &Beside) -> Parts {
        let mut text = String::new();
        if beside.differences > 0 {
            let differs = |row: &&BesideRow| row.mark == Mark::Differs;
            let at = beside.rows.iter().take(self.fields.cursor as usize + 1).filter(differs).count();
            text = match self.difference() {
                Some(_) => format!("difference {at} of {}", beside.differences),
                None => counted(beside.differences as u64, "difference"),
            };
            if beside.more > 0 {
                text.push_str(&format!(" and {} more", thousands(beside.more)));
            }
        } else if self.selected().is_some_and(ReplayRow::is_same) {
            text.push_str("the same");
        }
        if beside.ignored > 0 {
            let blanks = if text.is_empty() { "" } else { "   " };
            text.push_str(&format!("{blanks}{} ignored", counted(beside.ignored as u64, "field")));
        }
        if text.is_empty() { Parts::new() } else { vec![Part::quiet(text)] }
    }
}

/// The clock of a running replay shows whole seconds.
const CLOCK_STEP_NS: u64 = 1_000_000_000;

/// Where the values of both sides stand.
struct Sides {
    values: [u16; 2],
    /// Columns of each.
    room: u16,
    /// Columns of names.
    names: u16,
}

impl Sides {
    fn of(width: u16) -> Self {
        let names = (width / 4).clamp(18, 36);
        let room = width.saturating_sub(names + 3 + 1 + 3) / 2;
        let first = 3 + names + 1;
        Self { values: [first, first + room + 3], room, names }
    }
}

fn draw_field(canvas: &mut Canvas<'_>, y: u16, row: &BesideRow, sides: &Sides) {
    let theme = canvas.theme;
    let (sign, role) = match row.mark {
        Mark::Differs => ("~", Role::Error),
        Mark::Ignored => ("i", Role::Quiet),
        Mark::Edited => ("e", Role::Mark),
        Mark::Same | Mark::Part => (" ", Role::Text),
    };
    canvas.text(1, y, 1, sign, role);
    // However deep it lies, something of the name is in view.
    let indent = (2 * row.depth).min(sides.names / 2);
    canvas.parts(3 + indent, y, sides.names.saturating_sub(indent), &row.name);
    canvas.text(sides.values[1] - 2, y, 1, theme.signs.vertical, Role::Quiet);
    let skipped = match (row.mark, &row.values) {
        (Mark::Differs, [Some(old), Some(new)]) => common(old, new, sides.room),
        _ => 0,
    };
    for (value, x) in row.values.iter().zip(sides.values) {
        match value {
            Some(value) => {
                draw_value(canvas, x, y, sides.room, value, skipped);
            }
            None if row.name.is_empty() || row.mark == Mark::Part && row.values.iter().all(Option::is_none) => {}
            None => {
                canvas.text(x, y, sides.room, theme.signs.absent, Role::Quiet);
            }
        }
    }
}

/// Draws a value without its first characters.
fn draw_value(canvas: &mut Canvas<'_>, x: u16, y: u16, room: u16, value: &[Part], skipped: usize) {
    match value {
        [part] if skipped > 0 => {
            let ellipsis = canvas.theme.signs.ellipsis;
            let rest: String = part.text.chars().skip(skipped).collect();
            let shown =
                fit(&rest, usize::from(room).saturating_sub(crate::text::width(ellipsis)), Keep::Start, ellipsis);
            canvas.text(x, y, room, &format!("{ellipsis}{shown}"), part.role);
        }
        parts => {
            canvas.parts(x, y, room, parts);
        }
    }
}

/// How many characters of two long values are left out at their beginnings, so that what differs is in view.
fn common(old: &[Part], new: &[Part], room: u16) -> usize {
    let ([old], [new]) = (old, new) else { return 0 };
    let fits = parts_width(std::slice::from_ref(old)).max(parts_width(std::slice::from_ref(new))) <= room.into();
    let same = old.text.chars().zip(new.text.chars()).take_while(|(a, b)| a == b).count();
    match fits || same < usize::from(room) / 2 {
        true => 0,
        false => same.saturating_sub(usize::from(room) / 4),
    }
}

const fn verdict_role(verdict: Verdict) -> Role {
    match verdict {
        Verdict::Same => Role::Ok,
        Verdict::Skipped | Verdict::NotComparable => Role::Warning,
        _ => Role::Error,
    }
}

fn table_row(row: &ReplayRow, theme: &Theme) -> Row {
    let differs = match (row.differs.is_empty(), row.edited) {
        (true, true) => vec![Part::new("edited", Role::Mark)],
        (false, true) => vec![Part::new("edited  ", Role::Mark), Part::text(row.differs.clone())],
        (_, false) => vec![Part::text(row.differs.clone())],
    };
    let quiet = |text: &str| match text.is_empty() {
        true => Cell::new(theme.signs.absent, Role::Quiet),
        false => Cell::text(text),
    };
    Row {
        gutter: Gutter { marked: false, noted: !row.is_same() },
        cells: vec![
            Cell::text(row.no.to_string()),
            Cell::text(row.method.clone()),
            Cell(row.recorded.clone()),
            Cell(row.replayed.clone()),
            quiet(&row.took),
            quiet(&row.was),
            Cell(differs),
        ],
        line: None,
    }
}

fn columns() -> Vec<Column> {
    let column = |title: &str, align, width, keep, leaves| Column {
        field: String::new(),
        title: title.to_owned(),
        align,
        width,
        keep,
        leaves,
    };
    let share = |least, weight| Width::Share { least, weight };
    vec![
        column("No", Align::Right, Width::Exact(6), Keep::Start, 0),
        column("Method", Align::Left, share(16, 3), Keep::End, 0),
        column("Recorded", Align::Left, share(12, 2), Keep::Start, 0),
        column("Replayed", Align::Left, share(12, 2), Keep::Start, 0),
        column("Took", Align::Right, Width::Exact(8), Keep::Start, 1),
        column("Was", Align::Right, Width::Exact(8), Keep::Start, 2),
        column("Differs in", Align::Left, share(14, 6), Keep::Start, 0),
    ]
}
