//! The list of calls, with a preview of the selected one below it.
//!
//! ```text
//!      No ▴      Time  Method                      Msgs      Took  Status
//! ▌●   20    0.310674  …shop.v1.Orders/Slow        ↑1 ↓0   101 ms  ✗ reset  CANCEL by client
//! ── #20 acme.shop.v1.Orders/Slow ──────────────────────────────────────── p hides ──
//!  c0 stream 39   127.0.0.1:58292 → 127.0.0.1:50051   gRPC   packets 208–211
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use ratatui::layout::Rect;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::print::Times;

use crate::backend::{Backend, ListPart, Progress, Request, Sort};
use crate::model::calls::{CallColumn, RowStyle, call_row};
use crate::model::{Preview, lines};
use crate::text::{counted, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Align, Canvas, Column, Comparison, ListState, Part, Parts, Row, draw_table};

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
#[derive(Debug, Default)]
pub(crate) struct CallsScreen {
    /// Which calls.
    pub(crate) order: Order,
    /// Where it is scrolled to.
    pub(crate) list: ListState,
    /// What it is sorted by.
    pub(crate) sort: Option<Sort>,
    /// Only marked calls are shown.
    pub(crate) only_marked: bool,
    /// It stays at the newest row.
    pub(crate) tail: bool,
    /// The preview is shown where there is room for it.
    pub(crate) preview_wanted: bool,
    generation: u64,
    incoming: Option<Vec<u32>>,
    judged: u64,
    unknown: u64,
    done: bool,
    preview: Option<Arc<Preview>>,
    asked_for: Option<u32>,
    /// Rows that the list had when it was drawn last.
    height: u64,
}

/// Lines of the preview, with its title.
const PREVIEW: u16 = 7;

/// Calls that are looked at under one lock when the next failed one is sought.
const SOUGHT_AT_ONCE: u64 = 20_000;

impl CallsScreen {
    pub(crate) fn new() -> Self {
        Self { preview_wanted: true, done: true, ..Self::default() }
    }

    /// How many rows there are.
    pub(crate) fn len(&self, progress: &Progress) -> u64 {
        self.order.len(progress.calls)
    }

    /// The number of the selected call.
    pub(crate) fn selected(&self, progress: &Progress) -> Option<u32> {
        self.order.call(self.list.cursor, progress.calls)
    }

    /// Asks for the calls that match `filter` in the order that is set.
    pub(crate) fn ask(&mut self, filter: &str, backend: &dyn Backend) {
        self.generation += 1;
        self.judged = 0;
        self.unknown = 0;
        self.only_marked = false;
        if filter.is_empty() && self.sort.is_none() {
            backend.request(Request::CancelList);
            self.incoming = None;
            self.done = true;
            return self.show(Order::All, backend);
        }
        self.done = false;
        self.incoming = Some(Vec::new());
        backend.request(Request::List {
            generation: self.generation,
            filter: filter.to_owned(),
            sort: self.sort.clone(),
        });
    }

    /// Takes a part of a list. The list before stays until a screenful of the new one is there.
    pub(crate) fn take(&mut self, part: ListPart, backend: &dyn Backend) {
        if part.generation != self.generation {
            return;
        }
        (self.judged, self.unknown, self.done) = (part.judged, part.unknown, part.done);
        if part.replace {
            self.incoming = None;
            return self.show(Order::Chosen(Arc::new(part.calls)), backend);
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.extend(part.calls);
            if part.done || incoming.len() as u64 >= self.height.max(1) {
                let calls = std::mem::take(incoming);
                self.incoming = None;
                self.show(Order::Chosen(Arc::new(calls)), backend);
            }
            return;
        }
        if let Order::Chosen(calls) = &mut self.order {
            Arc::make_mut(calls).extend(part.calls);
        }
    }

    /// Shows other calls; the selected one keeps the cursor, on its line of the screen.
    pub(crate) fn show(&mut self, order: Order, backend: &dyn Backend) {
        let progress = backend.progress();
        let selected = self.selected(&progress);
        let by_number = self.sort.is_none();
        self.order = order;
        let row = selected.and_then(|no| self.order.row(no, by_number));
        self.list.keep_line(row.unwrap_or(0).min(self.len(&progress).saturating_sub(1)));
    }

    /// Shows these calls only, or all that the filter leaves.
    pub(crate) fn show_marked(&mut self, marks: &BTreeSet<u32>, filter: &str, backend: &dyn Backend) {
        if self.only_marked {
            self.ask(filter, backend);
        } else {
            self.show(Order::Chosen(Arc::new(marks.iter().copied().collect())), backend);
            self.only_marked = true;
        }
    }

    /// Goes to the call `no`, or the next one that the list has.
    pub(crate) fn go_to(&mut self, no: u32, progress: &Progress) {
        if let Some(row) = self.order.row(no.max(1), self.sort.is_none()) {
            self.list.move_to(row, self.len(progress));
            self.tail = false;
        }
    }

    /// Moves the cursor to the next failed call, or the previous one. Whether there is one.
    pub(crate) fn next_failed(&mut self, backwards: bool, backend: &dyn Backend) -> bool {
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

    /// The comparisons that the columns of the selected call offer, with the columns' titles.
    pub(crate) fn comparisons(&self, backend: &dyn Backend) -> Vec<(String, Comparison)> {
        let progress = backend.progress();
        let mut comparisons = Vec::new();
        let Some(no) = self.selected(&progress) else { return comparisons };
        backend.look(&mut |viewer| {
            let Some(call) = viewer.call_by_no(no) else { return };
            comparisons = CallColumn::ALL
                .iter()
                .filter_map(|column| Some((column.column(0).title, column.comparison(&call)?)))
                .collect();
        });
        comparisons
    }

    /// Takes a preview.
    pub(crate) fn take_preview(&mut self, preview: Arc<Preview>) {
        self.preview = Some(preview);
    }

    /// Forgets what was decoded: it may be decoded otherwise now.
    pub(crate) fn forget_preview(&mut self) {
        self.asked_for = None;
    }

    /// What the filter line says at its right: how many calls are shown.
    pub(crate) fn remark(&self, filter: &str, progress: &Progress, theme: &Theme) -> Parts {
        let all = thousands(progress.calls);
        let so_far = if progress.finished { "" } else { " so far" };
        let mut parts = match (&self.order, filter.is_empty()) {
            (Order::All, _) => vec![Part::text(format!("{}{so_far}", counted(progress.calls, "call")))],
            (Order::Chosen(calls), _) => {
                let shown = thousands(calls.len() as u64);
                let ok = Part::new(format!("{} ", theme.signs.ok), Role::Ok);
                vec![ok, Part::text(format!("{shown} of {all}{so_far}"))]
            }
        };
        if !self.done && self.judged < progress.calls && progress.calls > 0 {
            let percent = self.judged * 100 / progress.calls;
            parts.push(Part::quiet(format!("   {percent}% judged")));
        }
        if self.unknown > 0 {
            parts.push(Part::new(format!("   ? {} not decidable", thousands(self.unknown)), Role::Warning));
        }
        parts
    }

    /// What the line below the list says.
    pub(crate) fn position(&self, marks: usize, progress: &Progress, theme: &Theme) -> Parts {
        let len = self.len(progress);
        let at = if len == 0 { 0 } else { self.list.cursor + 1 };
        let mut parts = vec![Part::text(format!(" call {} of {}", thousands(at), thousands(len)))];
        if marks > 0 {
            parts.push(Part::new(format!("   {} ", theme.signs.mark), Role::Mark));
            parts.push(Part::text(format!("{marks} marked")));
        }
        parts.push(Part::quiet(if self.tail { "   tail on" } else { "   tail off" }));
        parts
    }

    /// Draws the list and the preview, and asks for what it lacks.
    pub(crate) fn draw(
        &mut self,
        canvas: &mut Canvas<'_>,
        times: &Times,
        marks: &BTreeSet<u32>,
        filter: &str,
        whole: Rect,
        backend: &dyn Backend,
    ) {
        let progress = backend.progress();
        let preview = self.preview_wanted && whole.height >= 30 && whole.width >= 100;
        let area = canvas.area;
        let list_height = if preview { area.height.saturating_sub(PREVIEW) } else { area.height };
        let list_area = Rect { height: list_height, ..area };
        self.height = list_height.saturating_sub(1).into();
        let len = self.len(&progress);
        if self.tail {
            self.list.move_to(len, len);
        }
        self.list.scroll_into_view(self.height, len);
        if len == 0 {
            draw_empty(&mut canvas.part(list_area), filter, self.only_marked, &progress);
        } else {
            self.draw_list(&mut canvas.part(list_area), times, marks, &progress, backend);
        }
        if !preview {
            return;
        }
        let selected = self.selected(&progress);
        if self.asked_for != selected
            && let Some(no) = selected
        {
            self.asked_for = selected;
            backend.request(Request::Preview(no));
        }
        let below = Rect { y: area.y + list_height, height: area.height - list_height, ..area };
        self.draw_preview(&mut canvas.part(below), selected);
    }

    fn draw_list(
        &self,
        canvas: &mut Canvas<'_>,
        times: &Times,
        marks: &BTreeSet<u32>,
        progress: &Progress,
        backend: &dyn Backend,
    ) {
        let time_width = times.width(progress.decimals) as u16;
        let columns: Vec<Column> = CallColumn::ALL.iter().map(|column| column.column(time_width)).collect();
        let mut rows: Vec<Row> = Vec::new();
        let style = RowStyle { times, now: progress.last, decimals: progress.decimals, theme: canvas.theme };
        backend.look(&mut |viewer| {
            let start =
                |row: u64| -> Option<Timestamp> { viewer.call_by_no(self.order.call(row, progress.calls)?)?.start() };
            let mut before = self.list.top.checked_sub(1).and_then(start);
            rows.clear();
            for row in self.list.top..self.list.top + self.height {
                let Some(no) = self.order.call(row, progress.calls) else { break };
                let Some(call) = viewer.call_by_no(no) else { break };
                rows.push(call_row(&call, &CallColumn::ALL, style, before, marks.contains(&no)));
                before = call.start();
            }
        });
        let sorted = match &self.sort {
            None => Some((0, false)),
            Some(sort) => columns.iter().position(|column| column.field == sort.field).map(|at| (at, sort.down)),
        };
        debug_assert!(columns.first().is_some_and(|column| column.align == Align::Right));
        draw_table(canvas, &columns, sorted, self.list, true, &rows);
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
        let cut = preview.lines.len() > room;
        for (y, line) in (1..canvas.area.height).zip(&preview.lines) {
            let width = canvas.area.width;
            canvas.parts(0, y, width, line);
            if cut && usize::from(y) == room {
                canvas.text(0, y, width, &" ".repeat(width.into()), Role::Text);
                let more = counted((preview.lines.len() + 1 - room) as u64, "line");
                canvas.text(
                    1,
                    y,
                    width,
                    &format!("{} {more} more, Enter shows all", canvas.theme.signs.more),
                    Role::Quiet,
                );
            }
        }
    }
}

/// An empty list says why it is empty and what to do.
fn draw_empty(canvas: &mut Canvas<'_>, filter: &str, only_marked: bool, progress: &Progress) {
    let all = counted(progress.calls, "call");
    let text: Vec<String> = if only_marked {
        vec!["No call is marked.".into(), String::new(), "Press M to show all calls, and m to mark one.".into()]
    } else if !filter.is_empty() && progress.calls > 0 {
        vec![format!("The filter hides all {all}."), String::new(), "Esc clears it.".into()]
    } else if !progress.finished {
        vec!["No calls so far.".into(), String::new(), format!("{} read.", counted(progress.packets, "packet"))]
    } else {
        vec![
            "No calls in this file.".into(),
            String::new(),
            format!("{}, {}.", counted(progress.packets, "packet"), counted(progress.connections, "connection")),
        ]
    };
    for (y, line) in (2..canvas.area.height).zip(&text) {
        canvas.text(8, y, canvas.area.width, line, Role::Text);
    }
}
