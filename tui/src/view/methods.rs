//! The methods of the calls that the filter leaves: how many calls, how they ended, how long they took, and when.
//!
//! ```text
//!   Method                          Calls  Err %  Per s      p50      p90    p99 ▾      Max  1 ms–2 s
//! ▌ …checkout.Checkout/PlaceOrder     212   17.9   3.53    48 ms   1.50 s   1.51 s   2.20 s  ▂▁▁▁▁▁▁▇▁
//! ── Checkout/PlaceOrder ────────────────────────────── 212 calls   38 failed   ↑ 27 K  ↓ 1.1 M ──
//!  took      1 ms ▏   10 ms ██████████▋   100 ms ▍   1 s ████▏   10 s
//!  to first ↓   p50 47 ms   p90 90 ms   p99 130 ms      messages per call   ↑ 1.0   ↓ 0.8
//!  ended     OK 174 ████████████▌   UNAVAILABLE 36 ██▋   CANCELLED 2 ▏
//!  calls     ▂▃▃▂▄▅▃▂▂▃▄▇█▇▅▃▂▂▁▂▃▃▂▃▄▃▂▂▃▃   0 s to 60 s, one bar is 2 s
//!  errors    ▁▁▁▁▁▁▁▁▁▁▁▅█▇▃▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
//! ```

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;
use rpcshark_captures::Direction;
use rpcshark_dissectors::print::{duration_text, size_text};
use rpcshark_dissectors::statistics::{Histogram, Quantiles, SpreadAxis};

use crate::backend::{Reply, Request, StatisticsReply, StatisticsRequest};
use crate::command::{Action, Context};
use crate::model::methods::{MethodColumn, MethodRow, Methods};
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject};
use crate::text::{Keep, counted, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{
    Align, Canvas, Cell, Column, Comparison, ListState, Part, Parts, Row, Width, bar, draw_table, parts_width, spark,
};

/// The table of methods.
#[derive(Clone, Debug)]
pub(crate) struct MethodsScreen {
    filter: String,
    methods: Option<Arc<Methods>>,
    /// The rows in their order, as indexes.
    order: Vec<usize>,
    sort: (MethodColumn, bool),
    list: ListState,
    /// Calls judged, and calls that there are, while they are being counted.
    counting: Option<(u64, u64)>,
    /// The capture had been read when the calls were counted.
    counted_all: bool,
    /// Rows that the list had when it was drawn last.
    height: u64,
}

/// Lines of the pane below the table, with its title.
const PANE: u16 = 6;

/// The least height at which there is such a pane.
const LEAST_WITH_PANE: u16 = PANE + 8;

impl MethodColumn {
    /// How it is laid out.
    fn column(self, axis: Option<SpreadAxis>) -> Column {
        let spread = axis.map_or(6, |axis| {
            let bars = axis.counts(&Histogram::default()).len();
            bars.max(crate::text::width(&axis_text(axis))) as u16
        });
        let (title, align, width, leaves) = match self {
            Self::Method => ("Method", Align::Left, Width::Share { least: 18, weight: 1 }, 0),
            Self::Calls => ("Calls", Align::Right, Width::Exact(7), 0),
            Self::Errors => ("Err %", Align::Right, Width::Exact(5), 0),
            Self::Rate => ("Per s", Align::Right, Width::Exact(6), 5),
            Self::P50 => ("p50", Align::Right, Width::Exact(8), 1),
            Self::P90 => ("p90", Align::Right, Width::Exact(8), 3),
            Self::P99 => ("p99", Align::Right, Width::Exact(8), 0),
            Self::Max => ("Max", Align::Right, Width::Exact(9), 2),
            Self::Spread => ("Spread", Align::Left, Width::Exact(spread), 4),
        };
        let title = match (self, axis) {
            (Self::Spread, Some(axis)) => axis_text(axis),
            _ => title.to_owned(),
        };
        Column { field: self.field().to_owned(), title, align, width, keep: Keep::End, leaves }
    }

    /// The word for it where it is sorted by.
    const fn field(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Spread => "spread",
        }
    }

    /// What it shows of a method.
    fn cell(self, row: &MethodRow, methods: &Methods, axis: Option<SpreadAxis>, decimals: u8, theme: &Theme) -> Cell {
        let took = |of: fn(&Quantiles) -> i64| match &row.took {
            Some(took) => Cell::text(duration_text(of(took), decimals)),
            None => Cell::new(dash(theme), Role::Quiet),
        };
        match self {
            Self::Method => {
                let mut parts = vec![match row.path {
                    Some(_) => Part::text(row.name.clone()),
                    None => Part::quiet(row.name.clone()),
                }];
                if !row.remark.is_empty() {
                    parts.push(Part::quiet(format!("  {}", row.remark)));
                }
                Cell(parts)
            }
            Self::Calls => Cell::text(thousands(row.calls)),
            Self::Errors => {
                let role = if row.errors > 0 { Role::Error } else { Role::Text };
                Cell::new(format!("{:.1}", 100.0 * row.errors as f64 / row.calls.max(1) as f64), role)
            }
            Self::Rate => match rate(row.calls, methods.span_ns) {
                Some(rate) => Cell::text(rate),
                None => Cell::new(dash(theme), Role::Quiet),
            },
            Self::P50 => took(|took| took.p50),
            Self::P90 => took(|took| took.p90),
            Self::P99 => took(|took| took.p99),
            Self::Max => match (row.took.map(|took| took.max), row.longest_open_ns) {
                (max, Some(open)) if max.is_none_or(|max| open > max) => {
                    Cell::text(format!("{} {}", theme.signs.at_least, duration_text(open, decimals)))
                }
                _ => took(|took| took.max),
            },
            Self::Spread => match axis {
                Some(axis) if row.took.is_some() => Cell::text(spark(&axis.counts(&row.spread), theme.signs)),
                _ => Cell::default(),
            },
        }
    }
}

impl MethodsScreen {
    /// The methods of the calls that `filter` leaves.
    pub(crate) fn open(filter: &str, hub: &mut Hub<'_>) -> Self {
        let mut screen = Self {
            filter: filter.to_owned(),
            methods: None,
            order: Vec::new(),
            sort: (MethodColumn::Calls, true),
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
        hub.request(Request::Statistics(StatisticsRequest::Methods(self.filter.clone())));
    }

    fn len(&self) -> u64 {
        self.order.len() as u64
    }

    fn selected(&self) -> Option<&MethodRow> {
        let index = *self.order.get(self.list.cursor as usize)?;
        self.methods.as_ref()?.rows.get(index)
    }

    /// Takes what was counted. The method with the cursor keeps it, on its line of the screen.
    fn take(&mut self, methods: &Arc<Methods>) {
        let selected = self.selected().map(|row| row.path.clone());
        self.counting = None;
        self.methods = Some(Arc::clone(methods));
        self.put_in_order();
        self.keep_selected(selected);
    }

    fn put_in_order(&mut self) {
        let Some(methods) = &self.methods else { return };
        let (column, down) = self.sort;
        let mut rows: Vec<(usize, &MethodRow)> = methods.rows.iter().enumerate().collect();
        rows.sort_by(|(_, a), (_, b)| column.compare(a, b, down));
        self.order = rows.into_iter().map(|(index, _)| index).collect();
    }

    fn keep_selected(&mut self, path: Option<Option<String>>) {
        let (Some(methods), Some(path)) = (&self.methods, path) else { return };
        let is_it = |index: &usize| methods.rows.get(*index).is_some_and(|row| row.path == path);
        if let Some(at) = self.order.iter().position(is_it) {
            self.list.keep_line(at as u64);
        }
    }

    fn sort_by(&mut self, column: MethodColumn, down: bool) {
        let selected = self.selected().map(|row| row.path.clone());
        self.sort = (column, down);
        self.put_in_order();
        self.keep_selected(selected);
    }

    fn axis(&self) -> Option<SpreadAxis> {
        SpreadAxis::of(self.methods.as_ref()?.rows.iter().map(|row| &row.spread))
    }

    fn draw_list(&mut self, canvas: &mut Canvas<'_>, hub: &Hub<'_>) {
        self.height = canvas.area.height.saturating_sub(1).into();
        self.list.scroll_into_view(self.height, self.len());
        let Some(methods) = &self.methods else { return };
        let axis = self.axis();
        let theme = canvas.theme;
        let columns: Vec<Column> = MethodColumn::ALL.iter().map(|column| column.column(axis)).collect();
        let shown = self.order.iter().skip(self.list.top as usize).take(self.height as usize);
        let row = |row: &MethodRow| {
            let cell = |column: &MethodColumn| column.cell(row, methods, axis, hub.progress.decimals, theme);
            Row { cells: MethodColumn::ALL.iter().map(cell).collect(), ..Row::default() }
        };
        let rows: Vec<Row> = shown.filter_map(|&index| methods.rows.get(index)).map(row).collect();
        let sorted = MethodColumn::ALL.iter().position(|&column| column == self.sort.0).map(|at| (at, self.sort.1));
        draw_table(canvas, &columns, sorted, self.list, true, &rows);
    }

    fn draw_pane(&self, canvas: &mut Canvas<'_>, decimals: u8) {
        let (Some(methods), Some(row)) = (&self.methods, self.selected()) else { return };
        let signs = canvas.theme.signs;
        let mut facts = vec![Part::text(counted(row.calls, "call"))];
        if row.errors > 0 {
            facts.push(Part::new(format!("   {} failed", thousands(row.errors)), Role::Error));
        }
        if row.open > 0 {
            facts.push(Part::new(format!("   {} open", thousands(row.open)), Role::Open));
        }
        for (sign, role, traffic) in [(signs.up, Role::ToServer, row.up), (signs.down, Role::ToClient, row.down)] {
            facts.push(Part::new(format!("   {sign} "), role));
            facts.push(Part::text(size_text(traffic.bytes)));
        }
        canvas.rule(0, &[Part::new(row.name.clone(), Role::Heading)], &facts);
        let width = canvas.area.width;
        let mut line = |y: u16, label: &str, parts: Parts| {
            canvas.text(1, y, LABEL, label, Role::Quiet);
            canvas.parts(1 + LABEL, y, width.saturating_sub(1 + LABEL), &parts);
        };
        let room = width.saturating_sub(1 + LABEL);
        line(1, "took", took_bars(&row.spread, room, signs));
        line(2, if signs.ascii { "first v" } else { "first ↓" }, answer_line(row, decimals, signs));
        line(3, "ended", result_bars(row, room, signs));
        let (calls, errors, remark) = over_time(row, methods, room, decimals, signs);
        line(4, "calls", vec![Part::text(calls), Part::quiet(remark)]);
        line(5, "failed", vec![Part::new(errors, if row.errors > 0 { Role::Error } else { Role::Quiet })]);
    }
}

/// Columns of the labels in the pane.
const LABEL: u16 = 9;

/// `1–500 ms`: the shortest and the longest duration that bars are for.
fn axis_text(axis: SpreadAxis) -> String {
    let (from, to) = axis.bounds();
    let (from, to) = (short(from), short(to));
    // The unit stands once where both have it.
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number}–{to}"),
        _ => format!("{from}–{to}"),
    }
}

/// A round duration.
fn short(nanos: i64) -> String {
    duration_text(nanos, 9).replace(".00 ", " ").replace(".0 ", " ")
}

const fn dash(theme: &Theme) -> &'static str {
    if theme.signs.ascii { "-" } else { "–" }
}

/// How often something was, each second, in three significant digits.
fn rate(count: u64, span_ns: i64) -> Option<String> {
    let rate = (span_ns > 0).then(|| count as f64 * 1e9 / span_ns as f64)?;
    Some(match rate {
        100.0.. => thousands(rate.round() as u64),
        10.0.. => format!("{rate:.1}"),
        _ => format!("{rate:.2}"),
    })
}

/// `1 ms ▏   10 ms ██████████▋   100 ms`: a bar for each power of ten.
fn took_bars(spread: &Histogram, room: u16, signs: &crate::theme::Signs) -> Parts {
    let Some((first, last)) = spread.range() else {
        return vec![Part::quiet("no call has both its beginning and its end in the capture")];
    };
    // Bucket 0 ends at 1 ns; from there on, three make a power of ten.
    let power = |bucket: usize| bucket.saturating_sub(1) / 3;
    let (first, last) = (power(first), power(last));
    let count = |power: usize| -> u64 {
        let lowest = if power == 0 { 0 } else { 3 * power + 1 };
        (lowest..=3 * power + 3).map(|bucket| spread.count(bucket)).sum()
    };
    let label = |power: usize| short(Histogram::bounds(3 * power).1);
    let counts: Vec<u64> = (first..=last).map(count).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let labels: usize = (first..=last + 1).map(|power| crate::text::width(&label(power)) + 4).sum();
    let longest = usize::from(room).saturating_sub(labels) / counts.len().max(1);
    let mut parts = Vec::new();
    for (power, &count) in (first..).zip(&counts) {
        parts.push(Part::quiet(format!("{} ", label(power))));
        parts.push(Part::text(bar(count, most, longest.clamp(1, 24), signs)));
        parts.push(Part::text("   "));
    }
    parts.push(Part::quiet(label(last + 1)));
    parts
}

fn answer_line(row: &MethodRow, decimals: u8, signs: &crate::theme::Signs) -> Parts {
    let mut parts = match &row.first_answer {
        Some(first) => {
            let text = |nanos| duration_text(nanos, decimals);
            vec![
                Part::quiet("p50 "),
                Part::text(text(first.p50)),
                Part::quiet("   p90 "),
                Part::text(text(first.p90)),
                Part::quiet("   p99 "),
                Part::text(text(first.p99)),
            ]
        }
        None => vec![Part::quiet("none in the capture")],
    };
    parts.push(Part::quiet("   msgs/call  "));
    for (sign, role, direction) in
        [(signs.up, Role::ToServer, Direction::ToServer), (signs.down, Role::ToClient, Direction::ToClient)]
    {
        parts.push(Part::new(sign, role));
        parts.push(Part::text(format!(" {:.1}  ", row.messages_per_call(direction))));
    }
    parts
}

/// `OK 174 ████████████▌   UNAVAILABLE 36 ██▋`: as many results as there is room for.
fn result_bars(row: &MethodRow, room: u16, signs: &crate::theme::Signs) -> Parts {
    let most = row.results.first().map_or(0, |(_, _, count)| *count);
    let mut parts = Vec::new();
    for (index, (name, is_error, count)) in row.results.iter().enumerate() {
        let role = match (*is_error, name.as_str()) {
            (true, _) => Role::Error,
            (false, "OK") => Role::Ok,
            (false, _) => Role::Open,
        };
        let result = [
            Part::new(format!("{name} "), role),
            Part::text(format!("{} ", thousands(*count))),
            Part::new(bar(*count, most, 14, signs), role),
            Part::text("   "),
        ];
        if parts_width(&parts) + parts_width(&result) + 12 > room.into() {
            let more = row.results.len() - index;
            parts.push(Part::quiet(format!("{more} more")));
            break;
        }
        parts.extend(result);
    }
    parts
}

/// Sparklines of the calls and of the errors, and what their bars stand for.
fn over_time(
    row: &MethodRow,
    methods: &Methods,
    room: u16,
    decimals: u8,
    signs: &crate::theme::Signs,
) -> (String, String, String) {
    // Steps are put together where they do not fit; the remark takes some thirty columns.
    let columns = usize::from(room).saturating_sub(32).max(10);
    let each = row.over_time.len().div_ceil(columns).max(1);
    let sums = |counts: &[u32]| -> Vec<u64> {
        counts.chunks(each).map(|steps| steps.iter().map(|&count| u64::from(count)).sum()).collect()
    };
    let calls = sums(&row.over_time);
    let errors = match row.errors_over_time.is_empty() {
        true => vec![0; calls.len()],
        false => sums(&row.errors_over_time),
    };
    let step = short(methods.step_ns.saturating_mul(each as i64));
    let span = duration_text(methods.span_ns, decimals);
    let remark = if calls.is_empty() { "no times".to_owned() } else { format!("   {span}, a bar is {step}") };
    (spark(&calls, signs), spark(&errors, signs), remark)
}

impl Screen for MethodsScreen {
    fn context(&self) -> Context {
        Context::Methods
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: &str, hub: &mut Hub<'_>) {
        filter.clone_into(&mut self.filter);
        self.ask(hub);
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        let len = self.len();
        if self.list.act(action, self.height, len) {
            return true;
        }
        match action {
            Action::Left => self.list.skipped = self.list.skipped.saturating_sub(1),
            Action::Right => self.list.skipped = (self.list.skipped + 1).min(MethodColumn::ALL.len() - 2),
            Action::Reverse => self.sort_by(self.sort.0, !self.sort.1),
            Action::SortLeft | Action::SortRight => {
                let columns = MethodColumn::ALL;
                let at = columns.iter().position(|&column| column == self.sort.0).unwrap_or(0);
                let step = if action == Action::SortRight { 1 } else { columns.len() - 1 };
                let column = columns[(at + step) % columns.len()];
                self.sort_by(column, column != MethodColumn::Method);
            }
            Action::Open => match self.selected().map(|row| (row.filter(), row.calls)) {
                Some((Some(filter), _)) => {
                    let filter = match self.filter.is_empty() {
                        true => filter,
                        false => format!("({}) && {filter}", self.filter),
                    };
                    hub.wants(Effect::Go(Place::CallsWhere(filter)));
                }
                Some((None, calls)) => {
                    hub.say(format!(
                        "the method of these {} is not in the capture: no filter selects them",
                        counted(calls, "call")
                    ));
                }
                None => {}
            },
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Statistics(StatisticsReply::Methods(methods)) if methods.filter == self.filter => self.take(methods),
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
        // While the capture is being read, counting is repeated when a quarter more has come: all countings together then cost
        // a few times what the last one does.
        let Some(judged) = self.methods.as_ref().filter(|_| self.counting.is_none()).map(|methods| methods.judged)
        else {
            return false;
        };
        let is_due = match hub.progress.finished {
            true => !self.counted_all,
            false => hub.progress.calls > judged + judged / 4 + 20,
        };
        if is_due {
            self.ask(hub);
        }
        is_due
    }

    fn sort(&mut self, field: &str, _hub: &mut Hub<'_>) {
        if let Some(&column) = MethodColumn::ALL.iter().find(|column| column.field() == field) {
            let down = if column == self.sort.0 { !self.sort.1 } else { column != MethodColumn::Method };
            self.sort_by(column, down);
        }
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        self.selected()
            .and_then(MethodRow::comparison)
            .map(|comparison| ("Method".to_owned(), comparison))
            .into_iter()
            .collect()
    }

    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        let Some(row) = self.selected() else { return Vec::new() };
        let mut copies = vec![('y', "method".to_owned(), row.name.clone())];
        copies.extend(row.filter().map(|filter| ('f', "as a filter".to_owned(), filter)));
        copies
    }

    fn subject(&self, _hub: &Hub<'_>) -> Subject {
        Subject::default()
    }

    fn show(&mut self, _subject: Subject, hub: &mut Hub<'_>) {
        if self.filter != hub.session.filter {
            self.filter.clone_from(&hub.session.filter);
            self.ask(hub);
        }
    }

    fn click(&mut self, _pane: u8, row: u64, _hub: &mut Hub<'_>) {
        self.list.move_to(row, self.len());
    }

    fn remark(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        let mut parts = Vec::new();
        if let Some((judged, of)) = self.counting {
            parts.push(Part::quiet(format!("counting, {}%   ", judged * 100 / of.max(1))));
        }
        if let Some(methods) = &self.methods {
            let calls = counted(methods.calls, "call");
            parts.push(Part::text(format!("{}, {calls}", counted(methods.rows.len() as u64, "method"))));
        }
        parts
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        let at = if self.len() == 0 { 0 } else { self.list.cursor + 1 };
        vec![Part::text(format!(" method {} of {}", thousands(at), thousands(self.len())))]
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, hub: &mut Hub<'_>) {
        let area = canvas.area;
        if self.len() == 0 {
            let text = match (&self.methods, self.filter.is_empty()) {
                (None, _) => vec!["Counting calls.".to_owned()],
                (Some(_), true) => vec!["No calls in this file.".to_owned()],
                (Some(_), false) => {
                    let all = counted(hub.progress.calls, "call");
                    vec![format!("The filter hides all {all}."), String::new(), "Esc clears it.".to_owned()]
                }
            };
            for (y, line) in (2..area.height).zip(&text) {
                canvas.text(8, y, area.width, line, Role::Text);
            }
            return;
        }
        let pane = if area.height >= LEAST_WITH_PANE { PANE } else { 0 };
        let upper = Rect { height: area.height - pane, ..area };
        let lower = Rect { y: area.y + upper.height, height: pane, ..area };
        self.draw_list(&mut canvas.part(upper), hub);
        if pane > 0 {
            self.draw_pane(&mut canvas.part(lower), hub.progress.decimals);
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        if self.methods.is_none() || self.counting.is_some() {
            self.ask(hub);
        }
    }
}
