//! Frames of one connection or of the whole capture, with the selected one's fields and bytes below.
//!
//! ```text
//!       No   Packet      Time  Conn   Stream  Type          Length  Flags     Call  Info
//! ▌   1183      804  1.004000  c3        9 ↑  DATA             123  ES          42  PlaceOrderRequest 118 B
//!   !    –        –  1.006000  c3        – ↓  gap            1,460                  bytes that are not in the capture
//! ── Tree ────────────────────────────────────────────────────────────────────────────────────────────
//!  ▾ HTTP/2 frame   DATA   length 123   stream 9
//! ── Bytes ───────────────────────────────────────────────────────────────────────────────────────────
//!  0000  00 00 7b 00 01 00 00 00  09 00 00 00 00 76 0a 06  ..{..........v..
//! ```

use std::sync::Arc;

use ratatui::layout::Rect;
use rpcshark_dissectors::filter::Target;

use super::fields::FieldsPanes;
use crate::backend::{FramesProgress, FramesReply, FramesRequest, Reply, Request, Sought};
use crate::command::{Action, Context};
use crate::model::Fields;
use crate::model::frames::{FrameColumn, FrameRow, table_row};
use crate::popup::Question;
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject, next_generation};
use crate::text::{counted, safe, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Column, Comparison, ListState, Part, Parts, Row, draw_table};

/// The list of frames.
#[derive(Clone, Debug)]
pub(crate) struct FramesScreen {
    /// The connection whose frames are shown; all frames of the capture without one.
    connection: Option<u32>,
    filter: String,
    generation: u64,
    progress: FramesProgress,
    list: ListState,
    /// The rows that are known, from this index on, and the list that they are of: that before stays until rows of the new
    /// one are there.
    known: (u64, Arc<Vec<FrameRow>>),
    known_of: u64,
    /// The window of rows that was asked for last.
    asked: Option<(u64, u64)>,
    /// The row whose fields were asked for last.
    asked_detail: Option<u64>,
    fields: Option<(u64, Arc<Fields>)>,
    panes: FieldsPanes,
    /// The list has the focus, not the fields.
    list_focused: bool,
    /// The fields are shown where there is room for them.
    fields_wanted: bool,
    /// The cursor has not been moved yet since the list was opened: it goes to what was sought.
    untouched: bool,
    height: u64,
}

/// The list, as clicks name it.
const LIST: u8 = 0;

/// Rows of the window from which on the fields are shown below the list.
const WITH_FIELDS: u16 = 20;

/// Rows that are asked for beyond those in view, each way.
const AHEAD: u64 = 100;

impl FramesScreen {
    /// The frames of the connection of `subject`, at its call; those of the whole capture where there is none.
    pub(crate) fn open(subject: Subject, hub: &mut Hub<'_>) -> Self {
        let mut screen = Self {
            connection: subject.connection,
            filter: String::new(),
            generation: 0,
            progress: FramesProgress::default(),
            list: ListState::default(),
            known: (0, Arc::default()),
            known_of: 0,
            asked: None,
            asked_detail: None,
            fields: None,
            panes: FieldsPanes::default(),
            list_focused: true,
            fields_wanted: true,
            untouched: true,
            height: 0,
        };
        screen.ask(subject.call, None, hub);
        screen
    }

    /// Opens the list anew: another connection, another filter.
    fn ask(&mut self, call: Option<u32>, row: Option<u64>, hub: &mut Hub<'_>) {
        self.generation = next_generation();
        self.asked = None;
        self.asked_detail = None;
        self.untouched = true;
        hub.request(Request::Frames(FramesRequest::Open {
            generation: self.generation,
            connection: self.connection,
            filter: self.filter.clone(),
            call,
            row,
        }));
    }

    fn row(&self, index: u64) -> Option<&FrameRow> {
        let (from, rows) = &self.known;
        rows.get(usize::try_from(index.checked_sub(*from)?).ok()?)
    }

    fn selected(&self) -> Option<&FrameRow> {
        self.row(self.list.cursor)
    }

    /// Asks for the rows in view, where they are not known.
    fn ask_for_rows(&mut self, hub: &Hub<'_>) {
        let (top, len) = (self.list.top, self.progress.rows);
        let end = (top + self.height).min(len);
        let (from, rows) = (self.known.0, &self.known.1);
        let is_known = self.known_of == self.generation && from <= top && end <= from + rows.len() as u64;
        let is_asked = self.asked.is_some_and(|(from, to)| from <= top && end <= to);
        if is_known || is_asked || end == 0 {
            return;
        }
        let from = top.saturating_sub(AHEAD);
        let to = (end + AHEAD).min(len);
        self.asked = Some((from, to));
        let (generation, count) = (self.generation, to - from);
        hub.request(Request::Frames(FramesRequest::Rows { generation, from, count }));
    }

    fn find(&mut self, sought: Sought, hub: &Hub<'_>) {
        self.untouched = true;
        let (generation, from) = (self.generation, self.list.cursor);
        hub.request(Request::Frames(FramesRequest::Find { generation, from, sought }));
    }

    fn take(&mut self, reply: &FramesReply, hub: &mut Hub<'_>) {
        match reply {
            FramesReply::Progress(progress) if progress.generation == self.generation => {
                if let Some(failed) = progress.failed.as_ref().filter(|_| self.progress.failed.is_none()) {
                    hub.fail(safe(failed.as_bytes()));
                }
                self.progress = progress.clone();
                // The fields of a row that was not there yet are asked for again.
                if self.fields.as_ref().is_none_or(|(row, _)| Some(*row) != self.asked_detail) {
                    self.asked_detail = None;
                }
            }
            FramesReply::Rows { generation, from, rows } if *generation == self.generation => {
                self.known = (*from, Arc::new(rows.clone()));
                self.known_of = *generation;
                if self.asked.is_some_and(|asked| asked.0 == *from) {
                    self.asked = None;
                }
            }
            FramesReply::Detail { generation, row, fields } if *generation == self.generation => {
                self.panes.set(self.fields.as_ref().map(|(_, fields)| &**fields), fields);
                self.fields = Some((*row, Arc::clone(fields)));
            }
            FramesReply::Found { generation, row } if *generation == self.generation => match row {
                Some(row) if self.untouched => {
                    // Rows come while the capture is being read: the cursor may be ahead of them.
                    self.progress.rows = self.progress.rows.max(*row + 1);
                    self.list.cursor = *row;
                    self.list.top = row.saturating_sub(self.height / 2);
                    self.untouched = false;
                }
                Some(_) => {}
                None => hub.say("nothing found"),
            },
            _ => {}
        }
    }

    fn open_selected(&mut self, hub: &mut Hub<'_>) {
        match self.selected().map(|row| row.call) {
            Some(Some(no)) => hub.wants(Effect::Go(Place::Call(no))),
            Some(None) => hub.say("this frame belongs to no call"),
            None => {}
        }
    }

    /// Goes to the frame that the selected node refers to. Whether it refers to one.
    fn follow_reference(&mut self) -> bool {
        let Some((_, fields)) = &self.fields else { return false };
        let Some(row) = self.panes.node(fields).and_then(|node| node.frame) else { return false };
        self.list.move_to(row, self.progress.rows);
        self.list_focused = true;
        true
    }

    fn act_on_list(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.list.act(action, self.height, self.progress.rows) {
            self.untouched = false;
            return true;
        }
        match action {
            Action::Open => self.open_selected(hub),
            Action::Left => self.list.skipped = self.list.skipped.saturating_sub(1),
            Action::Right => self.list.skipped = (self.list.skipped + 1).min(FrameColumn::ALL.len() - 2),
            Action::Preview => self.fields_wanted = !self.fields_wanted,
            _ => return false,
        }
        true
    }

    fn draw_list(&self, canvas: &mut Canvas<'_>, hub: &Hub<'_>) {
        let decimals = hub.progress.decimals;
        let times = hub.times();
        // Frames of one connection have no numbers of their own, and the connection is in the line above.
        let shown = |column: &FrameColumn| match column {
            FrameColumn::No | FrameColumn::Connection => self.connection.is_none(),
            _ => true,
        };
        let shown: Vec<FrameColumn> = FrameColumn::ALL.into_iter().filter(shown).collect();
        let time_width = times.width(decimals) as u16;
        let columns: Vec<Column> = shown.iter().map(|column| column.column(time_width)).collect();
        let end = (self.list.top + self.height).min(self.progress.rows);
        let mut before = self.list.top.checked_sub(1).and_then(|above| self.row(above)).and_then(|row| row.time);
        let rows: Vec<Row> = (self.list.top..end)
            .map(|index| match self.row(index) {
                Some(row) => {
                    let shown = table_row(row, &shown, &times, before, decimals, canvas.theme);
                    before = row.time;
                    shown
                }
                None => Row::waiting(columns.len(), canvas.theme.signs.ellipsis),
            })
            .collect();
        draw_table(canvas, &columns, None, self.list, self.list_focused, &rows);
    }

    fn draw_empty(&self, canvas: &mut Canvas<'_>) {
        let text: Vec<String> = match (self.progress.done, self.filter.is_empty()) {
            (false, _) => vec![format!("Reading the capture: {}%", self.progress.percent)],
            (true, false) => {
                vec![
                    format!("The filter hides all {}.", counted(self.progress.all, "frame")),
                    String::new(),
                    "Esc clears it.".into(),
                ]
            }
            (true, true) => match self.connection {
                Some(no) => vec![
                    format!("Connection c{no} has no HTTP/2 or ttrpc frames."),
                    String::new(),
                    "A shows the frames of the whole capture.".into(),
                ],
                None => vec!["The capture has no HTTP/2 or ttrpc frames.".into()],
            },
        };
        for (y, line) in (2..canvas.area.height).zip(&text) {
            canvas.text(8, y, canvas.area.width, line, Role::Text);
        }
    }
}

impl Screen for FramesScreen {
    fn context(&self) -> Context {
        match self.list_focused {
            true => Context::Frames,
            false => self.panes.context(),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn target(&self) -> Target {
        Target::Frames
    }

    fn set_filter(&mut self, filter: &str, hub: &mut Hub<'_>) {
        filter.clone_into(&mut self.filter);
        let row = self.selected().map(|_| self.list.cursor);
        self.list = ListState::default();
        self.ask(None, row, hub);
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        match action {
            Action::NextError => self.find(Sought::NextProblem, hub),
            Action::PreviousError => self.find(Sought::PreviousProblem, hub),
            Action::GoTo => hub.wants(Effect::Ask(Question::GoTo, String::new())),
            Action::AllFrames if self.connection.is_some() => {
                let call = self.selected().and_then(|row| row.call);
                self.connection = None;
                self.list = ListState::default();
                self.ask(call, None, hub);
            }
            Action::AllFrames => hub.say("these are all frames of the capture"),
            Action::NextPane if self.list_focused && self.fields.is_some() => self.list_focused = false,
            Action::PreviousPane if !self.list_focused && self.panes.context() == Context::Tree => {
                self.list_focused = true
            }
            Action::NextPane if !self.list_focused && self.panes.context() == Context::Bytes => {
                self.panes.act(Action::NextPane, &Fields::default());
                self.list_focused = true;
            }
            Action::Leave if !self.list_focused => self.list_focused = true,
            Action::Leave if !self.progress.done && self.progress.rows > 0 => {
                hub.request(Request::Frames(FramesRequest::Stop));
            }
            Action::Find if !self.list_focused => hub.wants(Effect::Ask(Question::Find, self.panes.sought.clone())),
            Action::FindNext | Action::FindPrevious if !self.list_focused => {
                let fields = self.fields.clone();
                if !fields.is_some_and(|(_, fields)| self.panes.find(&fields, action == Action::FindPrevious)) {
                    hub.say("nothing found: / begins a search");
                }
            }
            Action::Open if !self.list_focused && self.follow_reference() => {}
            _ if self.list_focused => return self.act_on_list(action, hub),
            _ => {
                let fields = self.fields.clone();
                return fields.is_some_and(|(_, fields)| self.panes.act(action, &fields));
            }
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Frames(reply) => self.take(reply, hub),
            Reply::DecodingChanged => {
                self.known = (0, Arc::default());
                self.asked = None;
                self.asked_detail = None;
            }
            _ => {}
        }
    }

    fn answer(&mut self, question: Question, text: &str, hub: &mut Hub<'_>) {
        match (question, text.trim_start_matches('#').parse()) {
            (Question::GoTo, Ok(number)) => self.find(Sought::Number(number), hub),
            (Question::GoTo, Err(_)) => hub.fail(format!("{} is not a number", safe(text.as_bytes()))),
            (Question::Find, _) => {
                text.clone_into(&mut self.panes.sought);
                let fields = self.fields.clone();
                if !fields.is_some_and(|(_, fields)| self.panes.find(&fields, false)) {
                    hub.fail(format!("{} is not in this frame", safe(text.as_bytes())));
                }
            }
            _ => {}
        }
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        if let (false, Some((_, fields))) = (self.list_focused, &self.fields) {
            return self.panes.comparisons(fields);
        }
        let Some(row) = self.selected() else { return Vec::new() };
        let title = |column: FrameColumn| column.column(0).title.trim().to_owned();
        let comparison = |column: FrameColumn| Some((title(column), column.comparison(row)?));
        let mut comparisons: Vec<_> = FrameColumn::ALL.into_iter().filter_map(comparison).collect();
        // The type comes first, so that `==` shows only frames of this type.
        comparisons.sort_by_key(|(title, _)| title != "Type");
        comparisons
    }

    fn copies(&self, hub: &Hub<'_>) -> Vec<Copyable> {
        if let (false, Some((_, fields))) = (self.list_focused, &self.fields) {
            return self.panes.copies(fields);
        }
        let Some(row) = self.selected() else { return Vec::new() };
        let info = (!row.info.is_empty()).then(|| ('y', "Info".to_owned(), row.info.clone()));
        let rest = self.comparisons(hub).into_iter().zip("123456789".chars());
        let rest = rest.map(|((title, comparison), key)| (key, title, comparison.value.trim_matches('"').to_owned()));
        info.into_iter().chain(rest).collect()
    }

    fn subject(&self, _hub: &Hub<'_>) -> Subject {
        let row = self.selected();
        Subject {
            call: row.and_then(|row| row.call),
            connection: row.map(|row| row.connection).or(self.connection),
            at: row.and_then(|row| row.time),
            ..Subject::default()
        }
    }

    fn show(&mut self, subject: Subject, hub: &mut Hub<'_>) {
        let is_here =
            self.connection.is_none() || subject.connection.is_none() || self.connection == subject.connection;
        let same_call = self.selected().is_some_and(|row| row.call == subject.call);
        if is_here && same_call {
            return;
        }
        if !is_here {
            self.connection = subject.connection;
            self.filter.clear();
            self.list = ListState::default();
        }
        self.ask(subject.call, None, hub);
    }

    fn click(&mut self, pane: u8, row: u64, _hub: &mut Hub<'_>) {
        if pane == LIST {
            self.list_focused = true;
            self.untouched = false;
            self.list.move_to(row, self.progress.rows);
        } else if let Some((_, fields)) = self.fields.clone() {
            self.list_focused = !self.panes.click(pane, row, &fields);
        }
    }

    fn remark(&self, _hub: &Hub<'_>, theme: &Theme) -> Parts {
        let of = self.connection.map(|no| format!(" of c{no}")).unwrap_or_default();
        let mut parts = Parts::new();
        if !self.progress.done {
            parts.push(Part::quiet(format!("{}% read   ", self.progress.percent)));
        }
        let all = &self.progress;
        if self.filter.is_empty() {
            parts.push(Part::text(format!("{}{of}", counted(all.all, "frame"))));
        } else {
            parts.push(Part::new(format!("{} ", theme.signs.ok), Role::Ok));
            parts.push(Part::text(format!("{} of {}{of}", thousands(all.rows), counted(all.all, "frame"))));
        }
        if all.unknown > 0 {
            parts.push(Part::new(format!("   ? {} not decidable", thousands(all.unknown)), Role::Warning));
        }
        parts.push(Part::text(" "));
        parts
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        if let (false, Some((_, fields))) = (self.list_focused, &self.fields) {
            return self.panes.position(fields);
        }
        let at = if self.progress.rows == 0 { 0 } else { self.list.cursor + 1 };
        vec![Part::text(format!(" frame {} of {}", thousands(at), thousands(self.progress.rows)))]
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, hub: &mut Hub<'_>) {
        let area = canvas.area;
        let with_fields = self.fields_wanted && hub.window.1 >= WITH_FIELDS && self.progress.rows > 0;
        if !with_fields {
            self.list_focused = true;
        }
        let list_height = match (with_fields, self.panes.maximized && !self.list_focused) {
            (false, _) => area.height,
            (true, true) => 0,
            // The list has a little less than half, its fields and bytes the rest.
            (true, false) => (area.height * 9 / 20).max(6),
        };
        self.height = list_height.saturating_sub(1).into();
        self.list.scroll_into_view(self.height, self.progress.rows);
        self.ask_for_rows(hub);
        let list = Rect { height: list_height, ..area };
        if self.progress.rows == 0 {
            return self.draw_empty(&mut canvas.part(list));
        }
        if list_height > 0 {
            self.draw_list(&mut canvas.pane(LIST, list), hub);
        }
        if !with_fields {
            return;
        }
        let cursor = self.list.cursor;
        if self.asked_detail != Some(cursor) {
            self.asked_detail = Some(cursor);
            let generation = self.generation;
            hub.request(Request::Frames(FramesRequest::Detail { generation, row: cursor }));
        }
        let below = Rect { y: area.y + list_height, height: area.height - list_height, ..area };
        match self.fields.clone() {
            Some((_, fields)) => self.panes.draw(&mut canvas.part(below), &fields, !self.list_focused),
            None => canvas.part(below).rule(0, &[Part::text("Tree")], &[]),
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        let cursor = self.list.cursor;
        self.ask(None, None, hub);
        // The rows come again; until then those that were shown stay.
        self.list.cursor = cursor;
        self.untouched = false;
    }
}
