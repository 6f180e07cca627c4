//! Connections, with the streams of the selected one below.
//!
//! ```text
//!    Conn   Protocol  Client            Server             Calls  Errors        Up      Down  Life
//!    ▸ c1   http2     10.0.0.7:41830    10.0.1.4:7070        811       0  92.0 KiB  1.40 MiB  ├──────┤
//! ▌  ▾ c3   http2     10.0.0.7:41834    10.0.1.9:50051       640      38   110 KiB  2.00 MiB  …──────┤
//!        ! began before the capture
//!        settings ↑ MAX_CONCURRENT_STREAMS 100  INITIAL_WINDOW_SIZE 65,535
//! ── Streams of c3 ─────────────────────────────────────────────────────────────────────── 640 ──
//!    Stream     Call  Method                  State        Window up  Window down   Stalled  Reset
//!        15       90  Payment/Charge          reset           65,321    1,048,576           ↑ CANCEL
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ratatui::layout::Rect;

use super::fields::pane_title;
use crate::backend::{ConnectionsReply, ConnectionsRequest, Reply, Request};
use crate::command::{Action, Context};
use crate::model::connections::{
    ConnectionColumn, ConnectionLines, ConnectionRow, StreamRow, stream_columns, stream_comparisons, stream_table_row,
    table_row,
};
use crate::popup::{Question, sort_menu};
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject, next_generation};
use crate::text::{counted, safe, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Column, Comparison, ListState, Part, Parts, Row, draw_table};

/// The list of connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionsScreen {
    filter: String,
    generation: u64,
    rows: Arc<Vec<ConnectionRow>>,
    all: u64,
    done: bool,
    sort: (ConnectionColumn, bool),
    /// What is shown, line by line: the index of a row, and which of the lines below it; 0 for the row itself.
    lines: Vec<(u32, u16)>,
    list: ListState,
    unfolded: BTreeSet<u32>,
    /// What connections say of themselves, as far as it was asked for.
    details: BTreeMap<u32, Option<Arc<ConnectionLines>>>,
    streams: Option<(u32, Arc<Vec<StreamRow>>, u64)>,
    streams_asked: Option<u32>,
    stream_list: ListState,
    /// The streams have the focus.
    in_streams: bool,
    streams_wanted: bool,
    height: u64,
    streams_height: u64,
    /// The connection that is to have the cursor when it comes.
    wanted: Option<u32>,
}

const LIST: u8 = 0;
const STREAMS: u8 = 1;

/// Rows of the window from which on streams are shown.
const WITH_STREAMS: u16 = 20;

impl ConnectionsScreen {
    /// The connections, with the cursor on that of `subject`.
    pub(crate) fn open(subject: Subject, hub: &mut Hub<'_>) -> Self {
        let mut screen = Self {
            filter: String::new(),
            generation: 0,
            rows: Arc::default(),
            all: 0,
            done: false,
            sort: (ConnectionColumn::Number, false),
            lines: Vec::new(),
            list: ListState::default(),
            unfolded: BTreeSet::new(),
            details: BTreeMap::new(),
            streams: None,
            streams_asked: None,
            stream_list: ListState::default(),
            in_streams: false,
            streams_wanted: true,
            height: 0,
            streams_height: 0,
            wanted: subject.connection,
        };
        screen.ask(hub);
        screen
    }

    fn ask(&mut self, hub: &Hub<'_>) {
        self.generation = next_generation();
        self.done = false;
        let (generation, filter) = (self.generation, self.filter.clone());
        hub.request(Request::Connections(ConnectionsRequest::List { generation, filter }));
    }

    fn row_of_line(&self, line: u64) -> Option<&ConnectionRow> {
        let &(index, _) = self.lines.get(usize::try_from(line).ok()?)?;
        self.rows.get(index as usize)
    }

    fn selected(&self) -> Option<&ConnectionRow> {
        self.row_of_line(self.list.cursor)
    }

    fn selected_stream(&self) -> Option<&StreamRow> {
        let (_, rows, _) = self.streams.as_ref()?;
        rows.get(usize::try_from(self.stream_list.cursor).ok()?)
    }

    /// Lays the lines out anew; the selected one stays selected, on its line of the screen.
    fn lay_out(&mut self) {
        let before = self.selected().map(|row| row.number);
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        let (column, down) = self.sort;
        let row = |index: u32| self.rows.get(index as usize);
        order.sort_by(|&a, &b| {
            let (Some(a), Some(b)) = (row(a), row(b)) else { return std::cmp::Ordering::Equal };
            let compared = compare(column, a, b);
            if down { compared.reverse() } else { compared }
        });
        let mut lines = Vec::with_capacity(order.len());
        for index in order {
            lines.push((index, 0));
            let Some(row) = row(index).filter(|row| self.unfolded.contains(&row.number)) else { continue };
            let below = self.below(row).len().min(usize::from(u16::MAX));
            lines.extend((1..=below as u16).map(|line| (index, line)));
        }
        self.lines = lines;
        let wanted = self.wanted.take_if(|wanted| self.rows.iter().any(|row| row.number == *wanted)).or(before);
        let at = wanted.and_then(|number| self.line_of(number));
        self.list.keep_line(at.unwrap_or(0));
    }

    fn line_of(&self, number: u32) -> Option<u64> {
        let is_it = |&(index, line): &(u32, u16)| {
            line == 0 && self.rows.get(index as usize).is_some_and(|row| row.number == number)
        };
        self.lines.iter().position(is_it).map(|line| line as u64)
    }

    /// What lies below a connection.
    fn below(&self, row: &ConnectionRow) -> Vec<Parts> {
        let mut lines = row.lines.clone();
        match self.details.get(&row.number) {
            Some(Some(details)) => lines.extend(details.lines.iter().cloned()),
            Some(None) => lines.push(vec![Part::quiet("reading the connection")]),
            None => {}
        }
        if lines.is_empty() {
            lines.push(vec![Part::quiet("nothing more is known of it")]);
        }
        lines
    }

    fn unfold(&mut self, hub: &Hub<'_>) {
        let Some(row) = self.selected() else { return };
        let (number, carries) = (row.number, row.protocol.carries_rpc());
        if !self.unfolded.insert(number) {
            return;
        }
        if carries && !self.details.contains_key(&number) {
            self.details.insert(number, None);
            hub.request(Request::Connections(ConnectionsRequest::Lines(number)));
        }
        self.lay_out();
    }

    fn fold(&mut self) {
        let Some(number) = self.selected().map(|row| row.number) else { return };
        self.unfolded.remove(&number);
        self.list.cursor = self.line_of(number).unwrap_or(self.list.cursor);
        self.lay_out();
    }

    fn act_on_list(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.list.act(action, self.height, self.lines.len() as u64) {
            self.wanted = None;
            return true;
        }
        match action {
            Action::Open => {
                if let Some(row) = self.selected() {
                    hub.wants(Effect::Go(Place::CallsWhere(format!("connection == {}", row.number))));
                }
            }
            Action::Right => self.unfold(hub),
            Action::Left => self.fold(),
            Action::Sort => {
                let column =
                    |column: ConnectionColumn| (column.key(), column.column().title, column.field().to_owned());
                hub.wants(Effect::Menu(sort_menu(ConnectionColumn::ALL.into_iter().map(column))));
            }
            Action::Reverse => {
                self.sort.1 = !self.sort.1;
                self.lay_out();
            }
            Action::NextPane | Action::PreviousPane if self.streams_height > 0 => self.in_streams = true,
            _ => return false,
        }
        true
    }

    fn act_on_streams(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        let len = self.streams.as_ref().map_or(0, |(_, rows, _)| rows.len() as u64);
        if self.stream_list.act(action, self.streams_height, len) {
            return true;
        }
        match action {
            Action::Open => {
                if let Some(stream) = self.selected_stream() {
                    hub.wants(Effect::Go(Place::Call(stream.call)));
                }
            }
            Action::Left => self.stream_list.skipped = self.stream_list.skipped.saturating_sub(1),
            Action::Right => self.stream_list.skipped = (self.stream_list.skipped + 1).min(6),
            Action::NextPane | Action::PreviousPane | Action::Leave => self.in_streams = false,
            _ => return false,
        }
        true
    }

    /// The next connection with failed calls or warnings.
    fn next_problem(&mut self, backwards: bool, hub: &mut Hub<'_>) {
        let wrong = |&line: &u64| {
            self.lines.get(line as usize).is_some_and(|&(_, below)| below == 0)
                && self.row_of_line(line).is_some_and(|row| row.errors > 0 || row.noted)
        };
        let found = match backwards {
            true => (0..self.list.cursor).rev().find(wrong),
            false => (self.list.cursor + 1..self.lines.len() as u64).find(wrong),
        };
        match found {
            Some(line) => self.list.move_to(line, self.lines.len() as u64),
            None => hub.say("no further connection has failed calls or warnings"),
        }
    }

    fn draw_list(&self, canvas: &mut Canvas<'_>, hub: &Hub<'_>) {
        let columns: Vec<Column> = ConnectionColumn::ALL.iter().map(|column| column.column()).collect();
        let all = hub.progress.first.zip(hub.progress.last);
        let shown = (self.list.top..self.list.top + self.height).filter_map(|line| self.lines.get(line as usize));
        let rows: Vec<Row> = shown
            .filter_map(|&(index, below)| {
                let row = self.rows.get(index as usize)?;
                Some(match below.checked_sub(1) {
                    None => table_row(row, self.unfolded.contains(&row.number), all, canvas.theme),
                    Some(below) => {
                        let mut line = vec![Part::text("      ")];
                        line.extend(self.below(row).get(usize::from(below)).cloned().unwrap_or_default());
                        Row { line: Some(line), ..Row::default() }
                    }
                })
            })
            .collect();
        let sorted = ConnectionColumn::ALL.iter().position(|column| *column == self.sort.0).map(|at| (at, self.sort.1));
        draw_table(canvas, &columns, sorted, self.list, !self.in_streams, &rows);
    }

    fn draw_streams(&mut self, canvas: &mut Canvas<'_>, hub: &Hub<'_>) {
        let number = self.selected().map(|row| row.number);
        let known = self.streams.as_ref().filter(|(of, _, _)| Some(*of) == number);
        let title = number.map_or(String::from("Streams"), |number| format!("Streams of c{number}"));
        let count = known.map(|(_, rows, more)| thousands(rows.len() as u64 + more)).unwrap_or_default();
        canvas.rule(0, &[pane_title(&title, self.in_streams, canvas.theme.signs.cursor)], &[Part::text(count)]);
        let area = canvas.area;
        let mut inner = canvas.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        let Some((_, rows, more)) = known else { return };
        if rows.is_empty() {
            inner.text(8, 1, area.width, "It has no calls.", Role::Quiet);
            return;
        }
        let len = rows.len() as u64;
        self.stream_list.scroll_into_view(self.streams_height, len);
        let (top, height) = (self.stream_list.top as usize, self.streams_height as usize);
        let shown = rows.iter().skip(top).take(height);
        let mut table: Vec<Row> = shown.map(|row| stream_table_row(row, hub.progress.decimals, inner.theme)).collect();
        if *more > 0 && table.len() < height {
            let text = format!("{} more are not listed", counted(*more, "stream"));
            table.push(Row { line: Some(vec![Part::quiet(text)]), ..Row::default() });
        }
        draw_table(&mut inner, &stream_columns(), None, self.stream_list, self.in_streams, &table);
    }

    fn draw_empty(&self, canvas: &mut Canvas<'_>, hub: &Hub<'_>) {
        let text: Vec<String> = match (self.done, self.filter.is_empty()) {
            (false, _) => vec!["No connections so far.".into()],
            (true, false) => vec![
                format!("No call on any of {} matches the filter.", counted(self.all, "connection")),
                String::new(),
                "Esc clears it.".into(),
            ],
            (true, true) => vec![
                "No connections in this file.".into(),
                String::new(),
                format!("{} read, none of a TCP connection or a socket.", counted(hub.progress.packets, "packet")),
            ],
        };
        for (y, line) in (2..canvas.area.height).zip(&text) {
            canvas.text(8, y, canvas.area.width, line, Role::Text);
        }
    }
}

fn compare(column: ConnectionColumn, a: &ConnectionRow, b: &ConnectionRow) -> std::cmp::Ordering {
    match column {
        ConnectionColumn::Number => a.number.cmp(&b.number),
        ConnectionColumn::Protocol => a.protocol.name().cmp(b.protocol.name()),
        ConnectionColumn::Client => a.client.cmp(&b.client),
        ConnectionColumn::Server => a.server.cmp(&b.server),
        ConnectionColumn::Calls => a.calls.cmp(&b.calls),
        ConnectionColumn::Errors => a.errors.cmp(&b.errors),
        ConnectionColumn::Up => a.bytes[0].cmp(&b.bytes[0]),
        ConnectionColumn::Down => a.bytes[1].cmp(&b.bytes[1]),
        ConnectionColumn::Life => a.span.cmp(&b.span),
    }
}

impl Screen for ConnectionsScreen {
    fn context(&self) -> Context {
        if self.in_streams { Context::Streams } else { Context::Connections }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: &str, hub: &mut Hub<'_>) {
        filter.clone_into(&mut self.filter);
        self.ask(hub);
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        match action {
            Action::NextError => self.next_problem(false, hub),
            Action::PreviousError => self.next_problem(true, hub),
            Action::GoTo => hub.wants(Effect::Ask(Question::GoTo, String::new())),
            Action::Preview => self.streams_wanted = !self.streams_wanted,
            _ if self.in_streams => return self.act_on_streams(action, hub),
            _ => return self.act_on_list(action, hub),
        }
        true
    }

    fn reply(&mut self, reply: &Reply, _hub: &mut Hub<'_>) {
        match reply {
            Reply::Connections(ConnectionsReply::List { generation, rows, all, done })
                if *generation == self.generation =>
            {
                (self.all, self.done) = (*all, *done);
                self.rows = Arc::clone(rows);
                self.lay_out();
                if !done {
                    self.streams_asked = None;
                }
            }
            Reply::Connections(ConnectionsReply::Streams { connection, rows, more }) => {
                let same = self.streams.as_ref().is_some_and(|(of, _, _)| of == connection);
                if !same {
                    self.stream_list = ListState::default();
                }
                self.streams = Some((*connection, Arc::clone(rows), *more));
            }
            Reply::Connections(ConnectionsReply::Lines(lines)) => {
                self.details.insert(lines.connection, Some(Arc::clone(lines)));
                self.lay_out();
            }
            _ => {}
        }
    }

    fn answer(&mut self, _question: Question, text: &str, hub: &mut Hub<'_>) {
        let number = text.trim_start_matches(['c', '#']).parse().ok();
        match number.and_then(|number| self.line_of(number)) {
            Some(line) => self.list.move_to(line, self.lines.len() as u64),
            None => hub.fail(format!("there is no connection {} in this list", safe(text.as_bytes()))),
        }
    }

    fn sort(&mut self, field: &str, _hub: &mut Hub<'_>) {
        let Some(column) = ConnectionColumn::ALL.into_iter().find(|column| column.field() == field) else { return };
        let down = if self.sort.0 == column { !self.sort.1 } else { column.sorts_down() };
        self.sort = (column, down);
        self.lay_out();
        self.list.move_to(0, self.lines.len() as u64);
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        let Some(row) = self.selected() else { return Vec::new() };
        if let (true, Some(stream)) = (self.in_streams, self.selected_stream()) {
            return stream_comparisons(row.number, row.protocol, stream);
        }
        let comparison = |column: ConnectionColumn| Some((column.column().title, column.comparison(row)?));
        ConnectionColumn::ALL.into_iter().filter_map(comparison).collect()
    }

    fn copies(&self, hub: &Hub<'_>) -> Vec<Copyable> {
        let Some(row) = self.selected() else { return Vec::new() };
        if self.in_streams {
            let comparisons = self.comparisons(hub).into_iter().zip("y123456789".chars());
            return comparisons
                .map(|((title, comparison), key)| (key, title, comparison.value.trim_matches('"').to_owned()))
                .collect();
        }
        let ends = format!("{} {}", row.client, row.server);
        let mut copies = vec![
            ('y', "both ends".to_owned(), ends),
            ('c', "client".to_owned(), row.client.clone()),
            ('s', "server".to_owned(), row.server.clone()),
            ('f', "as a filter".to_owned(), format!("connection == {}", row.number)),
        ];
        let below = self.lines.get(self.list.cursor as usize).and_then(|&(_, line)| line.checked_sub(1));
        if let Some(line) = below.and_then(|line| self.below(row).get(usize::from(line)).cloned()) {
            let text: String = line.iter().map(|part| part.text.as_str()).collect();
            copies.insert(0, ('l', "this line".to_owned(), text));
        }
        copies
    }

    fn subject(&self, hub: &Hub<'_>) -> Subject {
        let call = self.selected_stream().filter(|_| self.in_streams).map(|stream| stream.call);
        let mut subject = Subject { call, connection: self.selected().map(|row| row.number), ..Subject::default() };
        if let Some(no) = call {
            hub.backend.look(&mut |viewer| subject.at = viewer.call_by_no(no).and_then(|call| call.start()));
        }
        subject
    }

    fn show(&mut self, subject: Subject, hub: &mut Hub<'_>) {
        self.wanted = subject.connection;
        self.in_streams = false;
        self.ask(hub);
        self.lay_out();
    }

    fn click(&mut self, pane: u8, row: u64, _hub: &mut Hub<'_>) {
        self.in_streams = pane == STREAMS;
        match pane {
            STREAMS => {
                let len = self.streams.as_ref().map_or(0, |(_, rows, _)| rows.len() as u64);
                self.stream_list.move_to(row, len);
            }
            _ => self.list.move_to(row, self.lines.len() as u64),
        }
    }

    fn remark(&self, _hub: &Hub<'_>, theme: &Theme) -> Parts {
        let mut parts = match self.filter.is_empty() {
            true => vec![Part::text(counted(self.all, "connection"))],
            false => vec![
                Part::new(format!("{} ", theme.signs.ok), Role::Ok),
                Part::text(format!("{} of {}", thousands(self.rows.len() as u64), counted(self.all, "connection"))),
            ],
        };
        if !self.done {
            parts.push(Part::quiet(" so far"));
        }
        parts.push(Part::text(" "));
        parts
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        if self.in_streams {
            let len = self.streams.as_ref().map_or(0, |(_, rows, _)| rows.len() as u64);
            let at = if len == 0 { 0 } else { self.stream_list.cursor + 1 };
            return vec![Part::text(format!(" stream {} of {}", thousands(at), thousands(len)))];
        }
        let Some(row) = self.selected() else { return Parts::new() };
        let ends = format!("   {} {} {}", row.client, _theme.signs.arrow, row.server);
        let closed = row.closed.map_or("open at the end of the capture", |how| match how {
            "fin" => "closed",
            "rst" => "reset",
            how => how,
        });
        vec![Part::text(format!(" connection c{}", row.number)), Part::quiet(format!("{ends}   {closed}"))]
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, hub: &mut Hub<'_>) {
        let area = canvas.area;
        if self.lines.is_empty() {
            return self.draw_empty(canvas, hub);
        }
        let with_streams = self.streams_wanted && hub.window.1 >= WITH_STREAMS;
        let lower = if with_streams { (area.height * 2 / 5).max(5) } else { 0 };
        self.height = u64::from(area.height - lower).saturating_sub(1);
        self.streams_height = u64::from(lower).saturating_sub(2);
        self.in_streams &= with_streams;
        self.list.scroll_into_view(self.height, self.lines.len() as u64);
        self.draw_list(&mut canvas.pane(LIST, Rect { height: area.height - lower, ..area }), hub);
        if !with_streams {
            return;
        }
        let number = self.selected().map(|row| row.number);
        if let Some(number) = number.filter(|_| self.streams_asked != number) {
            self.streams_asked = Some(number);
            hub.request(Request::Connections(ConnectionsRequest::Streams(number)));
        }
        let below = Rect { y: area.y + area.height - lower, height: lower, ..area };
        self.draw_streams(&mut canvas.pane(STREAMS, below), hub);
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        self.ask(hub);
    }
}
