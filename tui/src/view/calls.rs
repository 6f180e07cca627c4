//! The list of calls, with a preview of the selected one below it.
//!
//! ```text
//!      No ▴      Time  Method                      Msgs      Took  Status
//! ▌●   20    0.310674  …shop.v1.Orders/Slow        ↑1 ↓0   101 ms  ✗ reset  CANCEL by client
//! ── #20 acme.shop.v1.Orders/Slow ──────────────────────────────────────── p hides ──
//!  c0 stream 39   127.0.0.1:58292 → 127.0.0.1:50051   gRPC   packets 208–211
//! ```

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::store::ConnectionProtocol;

use super::call_columns::{CallColumns, Shown};
use crate::backend::{
    Backend, CallReply, CallRequest, CallsRequest, Checked, ListPart, ProblemRows, ProblemRowsRequest, Progress, Reply,
    Request, Sort,
};
use crate::command::{Action, Context};
use crate::model::calls::{CallColumn, RowStyle, call_row, quoted};
use crate::model::{Preview, lines};
use crate::popup::{Menu, MenuItem, Question, sort_menu};
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject, next_generation};
use crate::text::{counted, safe, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Cell, Column, Comparison, ListState, Part, Parts, Row, draw_scrollbar, draw_table};

/// Which calls a list holds, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) enum Order {
    /// All, by number.
    #[default]
    All,
    /// These.
    Chosen(Arc<Vec<u32>>),
}

impl Order {
    fn len(&self, all: u64) -> u64 {
        match self {
            Self::All => all,
            Self::Chosen(calls) => calls.len() as u64,
        }
    }

    /// The number of the call in a row.
    pub(crate) fn call(&self, row: u64, all: u64) -> Option<u32> {
        match self {
            Self::All => (row < all).then_some(row as u32 + 1),
            Self::Chosen(calls) => calls.get(usize::try_from(row).ok()?).copied(),
        }
    }

    /// The row of a call, or, where the list goes by number and lacks it, of the next one.
    fn row(&self, no: u32, by_number: bool) -> Option<u64> {
        match self {
            Self::All => Some(u64::from(no.saturating_sub(1))),
            Self::Chosen(calls) if by_number => Some(calls.partition_point(|&call| call < no) as u64),
            Self::Chosen(calls) => calls.iter().position(|&call| call == no).map(|row| row as u64),
        }
    }
}

/// The list of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallsScreen {
    order: Order,
    list: ListState,
    filter: String,
    sort: Option<Sort>,
    only_marked: bool,
    columns: CallColumns,
    failed_rows: FailedRows,
    /// It stays at the newest row.
    tail: bool,
    preview_wanted: bool,
    generation: u64,
    incoming: Option<Vec<u32>>,
    judged: u64,
    unknown: u64,
    done: bool,
    preview: Option<Arc<Preview>>,
    asked_for: Option<u32>,
    /// The first line of the preview that is shown.
    preview_top: usize,
    /// Rows that the list had when it was drawn last.
    height: u64,
}

/// Which rows are of failed calls, as far as a worker has looked at them.
#[derive(Clone, Debug, Default)]
struct FailedRows {
    generation: u64,
    /// Rows that were looked at.
    seen: u64,
    /// Those of failed calls, ascending.
    rows: Arc<Vec<u32>>,
    /// Calls with notes.
    noted: u64,
    /// An answer is due.
    asked: bool,
    /// They were looked at when everything had been read: calls that were open may have failed since.
    settled: bool,
    /// How long ago the last answer came.
    quiet_for: Duration,
}

/// How long the scrollbar's marks stay as they are while calls are added.
const MARKS_PAUSE: Duration = Duration::from_millis(500);

/// Rows of a growing list that are looked at at once: their calls are copied.
const COPIED: u64 = 100_000;

/// Connections that are looked at to say why there are no calls.
const CONNECTIONS_SEEN: usize = 10_000;

/// Lines of the preview, with its title.
const PREVIEW: u16 = 7;

/// Calls that are looked at under one lock when the next failed one is sought.
const SOUGHT_AT_ONCE: u64 = 20_000;

impl CallsScreen {
    pub(crate) fn new() -> Self {
        Self { preview_wanted: true, done: true, ..Self::default() }
    }

    /// How many rows there are.
    fn len(&self, progress: &Progress) -> u64 {
        self.order.len(progress.calls)
    }

    /// The number of the selected call.
    fn selected(&self, progress: &Progress) -> Option<u32> {
        self.order.call(self.list.cursor, progress.calls)
    }

    /// Asks for the calls that match the filter in the order that is set.
    fn ask(&mut self, backend: &dyn Backend) {
        self.generation = next_generation();
        self.judged = 0;
        self.unknown = 0;
        self.only_marked = false;
        if self.filter.is_empty() && self.sort.is_none() {
            backend.request(Request::Calls(CallsRequest::Cancel));
            self.incoming = None;
            self.done = true;
            return self.show_order(Order::All, backend);
        }
        self.done = false;
        self.incoming = Some(Vec::new());
        backend.request(Request::Calls(CallsRequest::List {
            generation: self.generation,
            filter: self.filter.clone(),
            sort: self.sort.clone(),
        }));
    }

    /// Takes a part of a list. The list before stays until a screenful of the new one is there.
    fn take(&mut self, part: &ListPart, backend: &dyn Backend) {
        if part.generation != self.generation {
            return;
        }
        (self.judged, self.unknown, self.done) = (part.judged, part.unknown, part.done);
        if part.replace {
            self.incoming = None;
            return self.show_order(Order::Chosen(Arc::clone(&part.calls)), backend);
        }
        // A sorted list comes whole: what comes before says only how far it is.
        if self.sort.is_some() {
            return;
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.extend(part.calls.iter());
            if part.done || incoming.len() as u64 >= self.height.max(1) {
                let calls = std::mem::take(incoming);
                self.incoming = None;
                self.show_order(Order::Chosen(Arc::new(calls)), backend);
            }
            return;
        }
        if let Order::Chosen(calls) = &mut self.order {
            Arc::make_mut(calls).extend(part.calls.iter());
        }
    }

    /// Shows other calls; the selected one keeps the cursor, on its line of the screen.
    fn show_order(&mut self, order: Order, backend: &dyn Backend) {
        let progress = backend.progress();
        let selected = self.selected(&progress);
        let by_number = self.sort.is_none();
        self.failed_rows = FailedRows::default();
        self.order = order;
        let row = selected.and_then(|no| self.order.row(no, by_number));
        self.list.keep_line(row.unwrap_or(0).min(self.len(&progress).saturating_sub(1)));
    }

    /// Shows the next lines of the preview; after the last ones the first.
    fn page_preview(&mut self, hub: &mut Hub<'_>) {
        let lines = self.preview.as_ref().map_or(0, |preview| preview.lines.len());
        let page = usize::from(PREVIEW) - 2;
        self.preview_top = if self.preview_top + page < lines { self.preview_top + page } else { 0 };
        if lines <= page {
            hub.say("the preview shows all that there is");
        }
    }

    /// Shows the marked calls only, or all that the filter leaves.
    fn show_marked(&mut self, hub: &mut Hub<'_>) {
        if self.only_marked {
            self.ask(hub.backend);
        } else {
            let marked = hub.session.marks.iter().copied().collect();
            self.show_order(Order::Chosen(Arc::new(marked)), hub.backend);
            self.only_marked = true;
        }
    }

    /// Goes to the call `no`, or the next one that the list has.
    fn go_to(&mut self, no: u32, progress: &Progress) {
        if let Some(row) = self.order.row(no.max(1), self.sort.is_none()) {
            self.list.move_to(row, self.len(progress));
            self.tail = false;
        }
    }

    /// Moves the cursor to the next failed call, or the previous one. Whether there is one.
    fn next_failed(&mut self, backwards: bool, backend: &dyn Backend) -> bool {
        let progress = backend.progress();
        let len = self.len(&progress);
        let from = self.list.cursor;
        let left = if backwards { from } else { len.saturating_sub(from + 1) };
        let mut passed = 0;
        let mut found = None;
        while passed < left && found.is_none() {
            let end = (passed + SOUGHT_AT_ONCE).min(left);
            backend.look(&mut |viewer| {
                let row = |step: u64| if backwards { from - 1 - step } else { from + 1 + step };
                found = (passed..end).map(row).find(|&row| {
                    let call = self.order.call(row, progress.calls).and_then(|no| viewer.call_by_no(no));
                    call.is_some_and(|call| lines::is_failed(call.outcome()))
                });
            });
            passed = end;
        }
        if let Some(row) = found {
            self.list.move_to(row, len);
            self.tail = false;
        }
        found.is_some()
    }

    /// Why there are no rows, and what to do.
    fn why_empty(&self, hub: &Hub<'_>) -> Vec<String> {
        let progress = &hub.progress;
        let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        if self.only_marked {
            return lines(&["No call is marked.", "", "Press M to show all calls, and m to mark one."]);
        }
        if !self.filter.is_empty() && progress.calls > 0 {
            if !self.done {
                return lines(&["No call matches so far."]);
            }
            let all = counted(progress.calls, "call");
            return vec![format!("The filter hides all {all}."), String::new(), "Esc clears it.".to_owned()];
        }
        let packets = counted(progress.packets, "packet");
        if !progress.finished {
            return vec!["No calls so far.".to_owned(), String::new(), format!("{packets} read.")];
        }
        let mut encrypted = 0u64;
        hub.backend.look(&mut |viewer| {
            let connections = viewer.store.connections().take(CONNECTIONS_SEEN).map(|at| viewer.connection(at));
            encrypted =
                connections.filter(|connection| connection.protocol() == ConnectionProtocol::Tls).count() as u64;
        });
        let mut text = vec!["No calls in this file.".to_owned(), String::new()];
        let connections = counted(progress.connections, "connection");
        match (progress.connections, encrypted) {
            (0, _) if progress.packets == 0 => text.push("It has no packets.".to_owned()),
            (0, _) => {
                text.push(format!("{packets}, none of a TCP, Unix or vsock connection."));
                text.push("Was another interface captured? rpcshark summary says what the packets are.".to_owned());
            }
            (all, encrypted) if encrypted > 0 => {
                let which = if all == encrypted { "all".to_owned() } else { thousands(encrypted) };
                text.push(format!("{packets}, {connections}, {which} encrypted with TLS without a key."));
                text.push("Start with  --keylog FILE  (what SSLKEYLOGFILE wrote); 3 shows the connections.".to_owned());
            }
            _ => {
                text.push(format!("{packets}, {connections}, none of gRPC or ttrpc."));
                text.push("3 shows the connections. --decode-as says what a port carries.".to_owned());
            }
        }
        text
    }

    /// Asks which rows are of failed calls, if more are there than were looked at.
    fn ask_for_failed_rows(&mut self, progress: &Progress, backend: &dyn Backend) {
        let len = self.len(progress);
        let settled = progress.finished && self.done;
        let known = &mut self.failed_rows;
        let is_due = known.seen < len || settled && !known.settled;
        if known.asked || !is_due || len == 0 || !settled && known.seen > 0 && known.quiet_for < MARKS_PAUSE {
            return;
        }
        if known.generation == 0 {
            known.generation = next_generation();
        }
        // At the end all are looked at once more.
        let from = if settled { 0 } else { known.seen };
        let rows = from..if settled { len } else { len.min(from + COPIED) };
        let calls = match &self.order {
            Order::All => None,
            Order::Chosen(calls) if settled => Some(Arc::clone(calls)),
            Order::Chosen(calls) => {
                calls.get(rows.start as usize..rows.end as usize).map(|calls| Arc::new(calls.to_vec()))
            }
        };
        (known.asked, known.settled) = (true, settled);
        backend.request(Request::ProblemRows(ProblemRowsRequest { generation: known.generation, rows, calls }));
    }

    fn take_failed_rows(&mut self, found: &ProblemRows) {
        let known = &mut self.failed_rows;
        if found.generation != known.generation {
            return;
        }
        known.asked = false;
        known.quiet_for = Duration::ZERO;
        if found.rows.start == 0 {
            (known.rows, known.noted) = (Arc::clone(&found.failed), found.noted);
        } else {
            Arc::make_mut(&mut known.rows).extend(found.failed.iter());
            known.noted += found.noted;
        }
        known.seen = found.rows.end;
    }

    /// Which columns are shown: choosing one shows or hides it.
    fn columns_menu(&self, cursor: u64) -> Menu {
        let item = |(index, (column, key)): (u32, (Shown, char))| {
            let sign = if self.columns.shown().contains(&column) { "x " } else { "  " };
            MenuItem::new(key, format!("{sign}{}", column.title()), column.field(), Effect::Pick(index))
        };
        let items = (0..).zip(self.columns.choices().into_iter().zip(column_keys())).map(item);
        let mut menu = Menu::new("c  columns, Esc closes", items.collect());
        menu.list.cursor = cursor;
        menu
    }

    fn reverse(&mut self, backend: &dyn Backend) {
        let sort = self.sort.take().unwrap_or(Sort { field: CallColumn::No.field().to_owned(), down: false });
        let down = !sort.down;
        self.sort = (sort.field != CallColumn::No.field() || down).then_some(Sort { down, ..sort });
        self.ask(backend);
    }

    fn draw_list(&mut self, canvas: &mut Canvas<'_>, hub: &Hub<'_>) {
        let (times, progress, marks) = (&hub.times(), &hub.progress, &hub.session.marks);
        let time_width = times.width(progress.decimals) as u16;
        let in_view = self.list.top..self.list.top + self.height;
        let calls = in_view.clone().filter_map(|row| self.order.call(row, progress.calls));
        self.columns.ask(calls, progress.packets, hub.backend);
        let shown = self.columns.shown();
        let columns: Vec<Column> = shown.iter().map(|column| column.column(time_width)).collect();
        let mut rows: Vec<Row> = Vec::new();
        let style = RowStyle { times, now: progress.last, decimals: progress.decimals, theme: canvas.theme };
        hub.backend.look(&mut |viewer| {
            let start =
                |row: u64| -> Option<Timestamp> { viewer.call_by_no(self.order.call(row, progress.calls)?)?.start() };
            let mut before = self.list.top.checked_sub(1).and_then(start);
            rows.clear();
            for row in in_view.clone() {
                let Some(no) = self.order.call(row, progress.calls) else { break };
                let Some(call) = viewer.call_by_no(no) else { break };
                let cell = |column: &Shown| match column {
                    Shown::Known(column) => column.cell(&call, style, before),
                    Shown::Field(field) => match self.columns.value(no, field) {
                        Some(value) => Cell::text(value),
                        None => Cell::new(style.theme.signs.ellipsis, Role::Quiet),
                    },
                };
                let cells = shown.iter().map(cell).collect();
                rows.push(call_row(&call, cells, marks.contains(&no)));
                before = call.start();
            }
        });
        let sorted = match &self.sort {
            None => columns.iter().position(|column| column.field == CallColumn::No.field()).map(|at| (at, false)),
            Some(sort) => columns.iter().position(|column| column.field == sort.field).map(|at| (at, sort.down)),
        };
        draw_table(canvas, &columns, sorted, self.list, true, &rows);
        draw_scrollbar(canvas, self.list, &self.failed_rows.rows);
    }

    fn draw_preview(&self, canvas: &mut Canvas<'_>, selected: Option<u32>) {
        let preview = self.preview.as_ref().filter(|preview| Some(preview.no) == selected);
        let title = match (preview, selected) {
            (Some(preview), _) => format!("#{} {}", preview.no, preview.method),
            (None, Some(no)) => format!("#{no}"),
            (None, None) => String::new(),
        };
        canvas.rule(0, &[Part::new(title, Role::Heading)], &[Part::quiet("p hides")]);
        let Some(preview) = preview else {
            let waiting = canvas.theme.signs.ellipsis;
            if selected.is_some() {
                canvas.text(1, 1, 1, waiting, Role::Quiet);
            }
            return;
        };
        let room = usize::from(canvas.area.height.saturating_sub(1));
        let lines = preview.lines.get(self.preview_top..).unwrap_or_default();
        let cut = lines.len() > room;
        for (y, line) in (1..canvas.area.height).zip(lines) {
            let width = canvas.area.width;
            canvas.parts(0, y, width, line);
            if cut && usize::from(y) == room {
                canvas.text(0, y, width, &" ".repeat(width.into()), Role::Text);
                let more = counted((lines.len() + 1 - room) as u64, "line");
                let text = format!("{} {more} more, Space shows them, Enter shows all", canvas.theme.signs.more);
                canvas.text(1, y, width, &text, Role::Quiet);
            }
        }
    }
}

impl Screen for CallsScreen {
    fn context(&self) -> Context {
        Context::Calls
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: &str, hub: &mut Hub<'_>) {
        filter.clone_into(&mut self.filter);
        self.ask(hub.backend);
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        let progress = hub.progress;
        let len = self.len(&progress);
        if self.list.act(action, self.height, len) {
            self.tail = false;
            return true;
        }
        match action {
            Action::Open => {
                if let Some(no) = self.selected(&progress) {
                    hub.wants(Effect::Go(Place::Call(no)));
                }
            }
            Action::Left => self.list.skipped = self.list.skipped.saturating_sub(1),
            Action::Right => {
                self.list.skipped = (self.list.skipped + 1).min(self.columns.shown().len().saturating_sub(2))
            }
            Action::Mark => {
                if let Some(no) = self.selected(&progress) {
                    hub.session.toggle_mark(no);
                    self.list.move_by(1, len);
                }
            }
            Action::OnlyMarked => self.show_marked(hub),
            Action::NextError | Action::PreviousError => {
                if !self.next_failed(action == Action::PreviousError, hub.backend) {
                    let which = if action == Action::NextError { "below" } else { "above" };
                    hub.say(format!("no failed call {which} this one"));
                }
            }
            Action::GoTo => hub.wants(Effect::Ask(Question::GoTo, String::new())),
            Action::Sort => {
                let column = |(column, key): (Shown, char)| (key, column.title(), column.field().to_owned());
                let columns = self.columns.choices().into_iter().zip(column_keys());
                hub.wants(Effect::Menu(sort_menu(columns.map(column))));
            }
            Action::Columns => hub.wants(Effect::Menu(self.columns_menu(0))),
            Action::Reverse => self.reverse(hub.backend),
            Action::PreviewPage => self.page_preview(hub),
            Action::Preview => self.preview_wanted = !self.preview_wanted,
            Action::Tail => self.tail = !self.tail,
            Action::Leave if self.only_marked => self.ask(hub.backend),
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::List(part) => self.take(part, hub.backend),
            Reply::Call(CallReply::Preview(preview)) => self.preview = Some(Arc::clone(preview)),
            Reply::Call(CallReply::Values { fields, calls }) => self.columns.take(fields, calls),
            Reply::ProblemRows(found) => self.take_failed_rows(found),
            Reply::DecodingChanged => {
                self.asked_for = None;
                self.columns.forget();
            }
            _ => {}
        }
    }

    fn pass(&mut self, time: Duration, _hub: &mut Hub<'_>) -> bool {
        let before = self.failed_rows.quiet_for;
        self.failed_rows.quiet_for = before.saturating_add(time);
        before < MARKS_PAUSE && self.failed_rows.quiet_for >= MARKS_PAUSE
    }

    fn set_columns(&mut self, fields: &[String], _hub: &mut Hub<'_>) {
        self.columns.set(fields);
    }

    fn add_column(&mut self, field: &str, _hub: &mut Hub<'_>) {
        self.columns.add(field);
    }

    fn answer(&mut self, _question: Question, text: &str, hub: &mut Hub<'_>) {
        match text.trim_start_matches('#').parse() {
            Ok(no) if u64::from(no) <= hub.progress.calls && no > 0 => self.go_to(no, &hub.progress),
            _ => hub.fail(format!("there is no call {}", safe(text.as_bytes()))),
        }
    }

    fn picked(&mut self, pick: u32, hub: &mut Hub<'_>) {
        let Some(column) = self.columns.choices().into_iter().nth(pick as usize) else { return };
        if !self.columns.toggle(&column) {
            hub.say("a list has at least one column");
        }
        hub.wants(Effect::Menu(self.columns_menu(pick.into())));
    }

    fn sort(&mut self, field: &str, hub: &mut Hub<'_>) {
        let known = CallColumn::ALL.into_iter().find(|column| column.field() == field);
        let before = self.sort.as_ref().filter(|sort| sort.field == field);
        let down = before.map_or(known.is_some_and(sorts_down), |sort| !sort.down);
        self.sort = (known != Some(CallColumn::No) || down).then(|| Sort { field: field.to_owned(), down });
        self.list = ListState::default();
        self.ask(hub.backend);
    }

    fn comparisons(&self, hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        let mut comparisons = Vec::new();
        let Some(no) = self.selected(&hub.progress) else { return comparisons };
        hub.backend.look(&mut |viewer| {
            let Some(call) = viewer.call_by_no(no) else { return };
            comparisons = CallColumn::ALL
                .iter()
                .filter_map(|column| Some((column.column(0).title, column.comparison(&call)?)))
                .collect();
        });
        for shown in self.columns.shown() {
            let Shown::Field(field) = shown else { continue };
            // A field of several values has no single one to compare with, but each may match.
            let Some(value) = self.columns.value(no, field).filter(|value| !value.is_empty()) else { continue };
            let plain = Comparison { field: field.to_string(), value: value.to_owned() };
            let is_plain = matches!(hub.backend.check(&plain.equal(), Target::Calls), Checked::Valid { .. });
            let value = if is_plain { plain.value } else { quoted(value) };
            comparisons.push((shown.title(), Comparison { value, ..plain }));
        }
        // The method comes first, so that `==` shows only the calls of this method.
        comparisons.sort_by_key(|(title, _)| title != "Method");
        comparisons
    }

    fn copies(&self, hub: &Hub<'_>) -> Vec<Copyable> {
        let text = |value: &str| value.trim_matches('"').to_owned();
        let comparisons = self.comparisons(hub).into_iter().zip("y123456789".chars());
        comparisons.map(|((title, comparison), key)| (key, title, text(&comparison.value))).collect()
    }

    fn subject(&self, hub: &Hub<'_>) -> Subject {
        let mut subject = Subject { call: self.selected(&hub.progress), ..Subject::default() };
        hub.backend.look(&mut |viewer| {
            let Some(call) = subject.call.and_then(|no| viewer.call_by_no(no)) else { return };
            subject.connection = Some(call.connection().number());
            subject.at = call.start();
        });
        subject
    }

    fn show(&mut self, subject: Subject, hub: &mut Hub<'_>) {
        if let Some(no) = subject.call {
            self.go_to(no, &hub.progress);
        }
    }

    fn neighbour(&mut self, by: i64, hub: &mut Hub<'_>) -> Option<u32> {
        self.list.move_by(by, self.len(&hub.progress));
        self.selected(&hub.progress)
    }

    fn place(&self, hub: &Hub<'_>) -> Option<(u64, u64)> {
        Some((self.list.cursor + 1, self.len(&hub.progress)))
    }

    fn click(&mut self, _pane: u8, row: u64, hub: &mut Hub<'_>) {
        self.list.move_to(row, self.len(&hub.progress));
        self.tail = false;
    }

    fn remark(&self, hub: &Hub<'_>, theme: &Theme) -> Parts {
        let progress = &hub.progress;
        let all = thousands(progress.calls);
        let so_far = if progress.finished { "" } else { " so far" };
        let mut parts = match &self.order {
            Order::All => vec![Part::text(format!("{}{so_far}", counted(progress.calls, "call")))],
            Order::Chosen(calls) => {
                let shown = thousands(calls.len() as u64);
                let ok = Part::new(format!("{} ", theme.signs.ok), Role::Ok);
                vec![ok, Part::text(format!("{shown} of {all}{so_far}"))]
            }
        };
        if !self.done && self.judged < progress.calls && progress.calls > 0 {
            let percent = self.judged * 100 / progress.calls;
            parts.push(Part::quiet(format!("   {percent}% judged")));
        }
        if self.failed_rows.noted > 0 {
            parts.push(Part::new(format!("   ! {}", thousands(self.failed_rows.noted)), Role::Warning));
        }
        if self.unknown > 0 {
            parts.push(Part::new(format!("   ? {} not decidable", thousands(self.unknown)), Role::Warning));
        }
        parts.push(Part::text(" "));
        parts
    }

    fn position(&self, hub: &Hub<'_>, theme: &Theme) -> Parts {
        let len = self.len(&hub.progress);
        let at = if len == 0 { 0 } else { self.list.cursor + 1 };
        let marks = hub.session.marks.len();
        let mut parts = vec![Part::text(format!(" call {} of {}", thousands(at), thousands(len)))];
        if marks > 0 {
            parts.push(Part::new(format!("   {} ", theme.signs.mark), Role::Mark));
            parts.push(Part::text(format!("{marks} marked")));
        }
        parts.push(Part::quiet(if self.tail { "   tail on" } else { "   tail off" }));
        parts
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, hub: &mut Hub<'_>) {
        let progress = hub.progress;
        let (width, height) = hub.window;
        let preview = self.preview_wanted && height >= 30 && width >= 100;
        let area = canvas.area;
        let list_height = if preview { area.height.saturating_sub(PREVIEW) } else { area.height };
        let list_area = Rect { height: list_height, ..area };
        self.height = list_height.saturating_sub(1).into();
        let len = self.len(&progress);
        if self.tail {
            self.list.move_to(len, len);
        }
        self.list.scroll_into_view(self.height, len);
        self.ask_for_failed_rows(&progress, hub.backend);
        if len == 0 {
            let text = self.why_empty(hub);
            draw_empty(&mut canvas.part(list_area), &text);
        } else {
            self.draw_list(&mut canvas.part(list_area), hub);
        }
        if !preview {
            return;
        }
        let selected = self.selected(&progress);
        if self.asked_for != selected
            && let Some(no) = selected
        {
            self.asked_for = selected;
            self.preview_top = 0;
            hub.request(Request::Call(CallRequest::Preview(no)));
        }
        let below = Rect { y: area.y + list_height, height: area.height - list_height, ..area };
        self.draw_preview(&mut canvas.part(below), selected);
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        // Only the newest list is kept up to date; another one may have been asked for meanwhile.
        let is_whole = self.filter.is_empty() && self.sort.is_none();
        if !self.only_marked && !is_whole {
            self.ask(hub.backend);
        }
    }
}

/// The keys that choose columns: those of [`CallColumn::ALL`], in its order, then of the user's columns.
fn column_keys() -> impl Iterator<Item = char> {
    "ntcmgbds123456789".chars()
}

/// Whether a column is sorted with the largest first when it is chosen: who sorts by duration wants the slowest.
const fn sorts_down(column: CallColumn) -> bool {
    matches!(column, CallColumn::Took | CallColumn::Bytes | CallColumn::Messages)
}

/// An empty list says why it is empty and what to do.
fn draw_empty(canvas: &mut Canvas<'_>, text: &[String]) {
    for (y, line) in (2..canvas.area.height).zip(text) {
        canvas.text(8, y, canvas.area.width, line, Role::Text);
    }
}
