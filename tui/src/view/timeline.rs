//! One connection over time: a row for each stream, and below them bytes and windows on the same axis.
//!
//! ```text
//! ── ▌Timeline c3 ─────────────── 1.000 s to 2.600 s, 1.6 s of 60 s   a column is 25 ms ──
//!                                1.0 s           1.4 s           1.8 s           2.2 s
//!    stream  call                ┬               ┬               ┬               ┬
//!         7  #17 ListProducts    …=─=─=──↓───────────────────────────────────────────────…
//! ▌       9  #42 PlaceOrder      ↑───────────────────────────────────────────────────────✗
//!             bytes ↑            ▂▁          ▂▁▁                           ▅▂▁
//!             window ↓           ▅▃▂▁▁▂▆██████████████████████████████████████████████████
//! ── #42 Checkout/PlaceOrder ─────────────────────────────────────────────────────────────
//! ```

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;
use rpcshark_captures::Direction;
use rpcshark_dissectors::print::duration_text;
use rpcshark_dissectors::store::ConnectionProtocol;

use crate::backend::{Reply, Request, TimelineReply, TimelineRequest};
use crate::command::{Action, Context};
use crate::model::timeline::{Happened, StreamLine, Timeline};
use crate::popup::{Menu, MenuItem};
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject};
use crate::text::{counted, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Comparison, Hit, ListState, Part, Parts, TimeScale, draw_timeline_row, least, sums};

/// One connection over time.
#[derive(Clone, Debug)]
pub(crate) struct TimelineScreen {
    connection: Option<u32>,
    timeline: Option<Arc<Timeline>>,
    state: State,
    list: ListState,
    /// The time at the left border; `None` until something was drawn.
    from_ns: i64,
    /// Nanoseconds in a column; 0 for all there is.
    step_ns: i64,
    /// Where the cursor is in time.
    at_ns: i64,
    /// What to show when the connection has been read: a call, a moment.
    wanted: Subject,
    measured_from: Option<i64>,
    /// All of it is in view, whatever the width.
    fits: bool,
    playing: bool,
    columns: u16,
    height: u64,
}

/// What the screen waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Reading(u8),
    Read,
    Failed(String),
    Given,
}

/// Columns before the time axis: gutter, stream, call.
const LABEL: u16 = 31;

/// Steps between two ticks of the axis: a round time, as steps are 1, 2, 5 and so on.
const TICK: i64 = 20;

/// Lines of the charts, and of the pane below them.
const CHARTS: u16 = 5;
const PANE: u16 = 4;

/// Columns that the cursor moves in a second while the timeline plays.
const PLAYED: i64 = 12;

impl TimelineScreen {
    /// The connection of what has the cursor, or the first one with calls.
    pub(crate) fn open(subject: Subject, hub: &mut Hub<'_>) -> Self {
        let mut screen = Self {
            connection: None,
            timeline: None,
            state: State::Read,
            list: ListState::default(),
            from_ns: 0,
            step_ns: 0,
            at_ns: 0,
            wanted: Subject::default(),
            measured_from: None,
            fits: true,
            playing: false,
            columns: 1,
            height: 1,
        };
        screen.show(subject, hub);
        screen
    }

    fn read(&mut self, connection: u32, hub: &Hub<'_>) {
        self.connection = Some(connection);
        self.timeline = None;
        self.state = State::Reading(0);
        (self.from_ns, self.step_ns, self.measured_from, self.playing, self.fits) = (0, 0, None, false, true);
        self.list = ListState::default();
        hub.request(Request::Timeline(TimelineRequest::Read(connection)));
    }

    fn take(&mut self, timeline: &Arc<Timeline>) {
        self.timeline = Some(Arc::clone(timeline));
        self.state = State::Read;
        self.at_ns = timeline.span.0;
        self.go_to_wanted();
    }

    /// Moves the cursor to the call and the moment that are wanted.
    fn go_to_wanted(&mut self) {
        let Some(timeline) = &self.timeline else { return };
        let wanted = std::mem::take(&mut self.wanted);
        let Some(call) = wanted.call else { return };
        if let Some(row) = timeline.streams.iter().position(|stream| stream.call == call) {
            self.list.move_to(row as u64, timeline.streams.len() as u64);
            if let Some((first, _)) = timeline.streams.get(row).and_then(StreamLine::span) {
                self.at_ns = first;
                self.keep_in_view();
            }
        }
    }

    fn len(&self) -> u64 {
        self.timeline.as_ref().map_or(0, |timeline| timeline.streams.len() as u64)
    }

    fn selected(&self) -> Option<&StreamLine> {
        self.timeline.as_ref()?.streams.get(self.list.cursor as usize)
    }

    fn scale(&self) -> TimeScale {
        TimeScale { from_ns: self.from_ns, step_ns: self.step_ns.max(1), columns: self.columns }
    }

    /// The step at which all of it is in view.
    fn fitting(&self) -> i64 {
        let Some(timeline) = &self.timeline else { return 1 };
        let (first, last) = timeline.span;
        // The first column begins at a round time before that.
        fitting_step((last - first) / i64::from(self.columns.saturating_sub(1).max(1)) + 1)
    }

    fn fit(&mut self) {
        let Some(first) = self.timeline.as_ref().map(|timeline| timeline.span.0) else { return };
        self.fits = true;
        self.step_ns = self.fitting();
        self.from_ns = first;
        self.at_ns = self.at_ns.clamp(first, self.scale().end().saturating_sub(1));
    }

    /// Changes the step; the cursor stays in its column.
    fn zoom(&mut self, finer: bool) {
        let column = self.scale().column(self.at_ns).unwrap_or(0);
        let step = match finer {
            true => finer_step(self.step_ns.max(1)),
            false => round_up(self.step_ns.saturating_add(1)).min(self.fitting().max(self.step_ns)),
        };
        self.fits = false;
        self.step_ns = step;
        self.from_ns = self.at_ns - step.saturating_mul(i64::from(column)) - step / 2;
        self.keep_in_view();
    }

    fn move_to(&mut self, at_ns: i64) {
        let Some(timeline) = &self.timeline else { return };
        self.at_ns = at_ns.clamp(timeline.span.0, timeline.span.1);
        self.keep_in_view();
    }

    /// Scrolls so that the cursor's column is in view, and the view does not leave the connection.
    fn keep_in_view(&mut self) {
        if self.step_ns == 0 {
            return;
        }
        let Some(timeline) = &self.timeline else { return };
        let width = self.step_ns.saturating_mul(i64::from(self.columns));
        let margin = width / 8;
        if self.at_ns < self.from_ns {
            self.from_ns = self.at_ns - margin;
        } else if self.at_ns >= self.from_ns.saturating_add(width) {
            self.from_ns = self.at_ns - width + margin;
        }
        let latest = (timeline.span.1 + self.step_ns).saturating_sub(width).max(timeline.span.0);
        // Columns stand for round times.
        self.from_ns =
            self.from_ns.clamp(timeline.span.0, latest).div_euclid(self.step_ns).saturating_mul(self.step_ns);
    }

    fn go_to_event(&mut self, backwards: bool, hub: &mut Hub<'_>) {
        let next = self.selected().and_then(|stream| stream.neighbour(self.at_ns, backwards)).map(|event| event.at_ns);
        match next {
            Some(at) => self.move_to(at),
            None => {
                hub.say(if backwards { "no earlier event on this stream" } else { "no later event on this stream" })
            }
        }
    }

    fn connection_menu(&self, hub: &mut Hub<'_>) {
        let mut items = Vec::new();
        hub.backend.look(&mut |viewer| {
            items.clear();
            let connections = viewer.store.connections().map(|at| viewer.connection(at));
            let rpc = connections.filter(|connection| connection.calls() > 0);
            for (connection, key) in rpc.zip("123456789abdefghilmnoprstuvwxyz".chars()) {
                let ends = format!("{} → {}", connection.client(), connection.server());
                let title = format!("c{}", connection.number());
                let remark = format!("{}   {ends}", counted(connection.calls().into(), "call"));
                items.push(MenuItem::new(key, title, remark, Effect::Pick(connection.number())));
            }
        });
        match items.is_empty() {
            true => hub.say("no connection has calls"),
            false => hub.wants(Effect::Menu(Menu::new("c  another connection…", items))),
        }
    }

    fn draw_axis(&self, canvas: &mut Canvas<'_>) {
        let scale = self.scale();
        let ascii = canvas.theme.signs.ascii;
        canvas.text(3, 2, LABEL, "stream  call", Role::Heading);
        let tick = scale.step_ns.saturating_mul(TICK);
        let first = scale.from_ns.div_euclid(tick).saturating_mul(tick);
        let ticks = (0..=i64::from(scale.columns) / TICK + 1).map(|no| first.saturating_add(no.saturating_mul(tick)));
        for at in ticks {
            let Some(column) = scale.column(at) else { continue };
            let text = clock(at, tick);
            let room = (scale.columns - column).min(TICK as u16 - 1);
            if crate::text::width(&text) <= usize::from(room) {
                canvas.text(LABEL + column, 1, room, &text, Role::Quiet);
            }
            canvas.text(LABEL + column, 2, 1, if ascii { "|" } else { "┬" }, Role::Quiet);
        }
        if let Some(column) = scale.column(self.at_ns) {
            canvas.text(LABEL + column, 2, 1, if ascii { "V" } else { "▼" }, Role::Focus);
        }
        if let Some(column) = self.measured_from.and_then(|at| scale.column(at)) {
            canvas.text(LABEL + column, 2, 1, if ascii { "Z" } else { "◆" }, Role::Mark);
        }
    }

    /// A time, as exact as the columns are.
    fn clock(&self, at_ns: i64) -> String {
        clock(at_ns, self.step_ns)
    }

    fn draw_streams(&mut self, canvas: &mut Canvas<'_>) {
        self.height = canvas.area.height.into();
        self.list.scroll_into_view(self.height, self.len());
        let Some(timeline) = self.timeline.clone() else { return };
        let scale = self.scale();
        let rows = timeline.streams.iter().skip(self.list.top as usize);
        for (y, (row, stream)) in (0..canvas.area.height).zip((self.list.top..).zip(rows)) {
            let selected = row == self.list.cursor;
            let number = format!("{:>8}", stream.stream);
            canvas.text(1, y, 8, &number, Role::Text);
            let method = stream.method.rsplit('/').next().unwrap_or_default();
            let name = format!("#{} {method}", stream.call);
            canvas.text(11, y, LABEL - 12, &name, Role::Text);
            canvas.zone(0, y, canvas.area.width, Hit::Row { pane: 0, row });
            draw_timeline_row(canvas, LABEL, y, scale, stream, timeline.span.1);
            if selected {
                canvas.text(0, y, 1, canvas.theme.signs.cursor, Role::Heading);
                canvas.restyle(3, y, LABEL - 4, Role::Selected);
                if let Some(column) = scale.column(self.at_ns) {
                    canvas.restyle(LABEL + column, y, 1, Role::Selected);
                }
            }
        }
    }

    fn draw_charts(&self, canvas: &mut Canvas<'_>) {
        let Some(timeline) = &self.timeline else { return };
        let signs = canvas.theme.signs;
        let scale = self.scale();
        let sides = [(signs.up, Role::ToServer), (signs.down, Role::ToClient)];
        for (index, (sign, role)) in sides.into_iter().enumerate() {
            let y = 1 + index as u16;
            let sums = sums(scale, &timeline.bytes[index]);
            let most = sums.iter().copied().max().unwrap_or(0);
            canvas.text(11, y, LABEL, &format!("bytes {sign}"), Role::Quiet);
            for (column, &sum) in (0..).zip(&sums) {
                if sum > 0 {
                    canvas.text(LABEL + column, y, 1, height(sum, most, &signs.spark), role);
                }
            }
            let y = 3 + index as u16;
            let windows = &timeline.windows[index];
            canvas.text(11, y, LABEL, &format!("window {sign}"), Role::Quiet);
            if windows.is_empty() {
                canvas.text(LABEL, y, scale.columns, "not known", Role::Quiet);
                continue;
            }
            let least = least(scale, windows);
            let most = windows.iter().map(|&(_, window)| window).max().unwrap_or(0).max(1);
            for (column, window) in (0..).zip(&least) {
                let Some(window) = window.filter(|_| scale.at(column) <= timeline.span.1) else { continue };
                let (sign, role) = match window {
                    ..=0 => (signs.spark[0], Role::Error),
                    _ => (height(window.unsigned_abs(), most.unsigned_abs(), &signs.spark), role),
                };
                canvas.text(LABEL + column, y, 1, sign, role);
            }
        }
    }

    fn draw_pane(&self, canvas: &mut Canvas<'_>) {
        let (Some(timeline), Some(stream)) = (&self.timeline, self.selected()) else { return };
        let signs = canvas.theme.signs;
        let width = canvas.area.width;
        let title = Part::new(format!("#{} {}", stream.call, stream.method), Role::Heading);
        canvas.rule(0, &[title], &[Part::text(stream.status.clone())]);
        let duration = |nanos| duration_text(nanos, timeline.decimals);
        // What is in the cursor's column, or next to it.
        let scale = self.scale();
        let column = scale.column(self.at_ns).unwrap_or(0);
        let here = stream.between(scale.at(column), scale.at(column + 1));
        let mut parts = vec![Part::quiet(format!(" at {}   ", self.clock(self.at_ns)))];
        let event = |event: &Happened| {
            let (sign, role) = match event.direction {
                Direction::ToServer => (signs.up, Role::ToServer),
                Direction::ToClient => (signs.down, Role::ToClient),
            };
            [
                Part::new(sign, role),
                Part::text(format!(" {} ", event.what.text())),
                Part::quiet(format!("{}   ", self.clock(event.at_ns))),
            ]
        };
        match here {
            [] => {
                for (word, backwards) in [("before: ", true), ("next: ", false)] {
                    if let Some(neighbour) = stream.neighbour(self.at_ns, backwards) {
                        parts.push(Part::quiet(word));
                        parts.extend(event(neighbour));
                    }
                }
            }
            events => {
                events.iter().take(6).for_each(|here| parts.extend(event(here)));
                if let Some(more) = events.len().checked_sub(6).filter(|&more| more > 0) {
                    parts.push(Part::quiet(format!("and {more} more")));
                }
            }
        }
        canvas.parts(0, 1, width, &parts);
        let mut facts = Vec::new();
        if let Some((first, last)) = stream.span() {
            facts.push(Part::quiet(format!(" began {}   ", self.clock(first))));
            let open = if stream.open { "open for " } else { "took " };
            facts.push(Part::text(format!("{open}{}   ", duration(last - first))));
        }
        if let Some((silence, from)) = stream.longest_silence() {
            let text = format!("nothing {} for {} from {}   ", signs.down, duration(silence), self.clock(from));
            facts.push(Part::quiet(text));
        }
        canvas.parts(0, 2, width, &facts);
        if let Some(from) = self.measured_from {
            let nanos = self.at_ns - from;
            let sign = if nanos < 0 { "" } else { "+" };
            let text =
                format!(" measured: {sign}{} from {} to {}", duration(nanos), self.clock(from), self.clock(self.at_ns));
            canvas.text(0, 3, width, &text, Role::Mark);
        }
    }

    fn draw_waiting(&self, canvas: &mut Canvas<'_>) {
        let connection = self.connection.map_or(String::new(), |connection| format!("c{connection}"));
        let lines = match &self.state {
            State::Reading(percent) => vec![
                format!("Reading {connection} again with all its frames: {percent}% of the capture."),
                String::new(),
                "Esc stops.".to_owned(),
            ],
            State::Failed(why) => vec![format!("{connection} cannot be read again: {why}")],
            State::Given => {
                vec!["Reading was stopped.".to_owned(), String::new(), "c chooses a connection.".to_owned()]
            }
            State::Read => match self.connection {
                None => vec!["No connection has calls.".to_owned()],
                Some(_) => vec![format!("No stream of {connection} has calls.")],
            },
        };
        for (y, line) in (2..canvas.area.height).zip(&lines) {
            canvas.text(8, y, canvas.area.width, line, Role::Text);
        }
    }
}

/// A time in seconds, as exact as is needed for multiples of `step_ns`.
fn clock(at_ns: i64, step_ns: i64) -> String {
    let mut decimals = 0;
    let mut step = step_ns.max(1);
    while step % 1_000_000_000 != 0 && decimals < 9 {
        step = step.saturating_mul(10);
        decimals += 1;
    }
    format!("{:.decimals$} s", at_ns as f64 / 1e9)
}

/// The sign whose height is `value` of `most`.
fn height(value: u64, most: u64, spark: &[&'static str; 8]) -> &'static str {
    let level = (u128::from(value) * 7).div_ceil(u128::from(most.max(1))) as usize;
    spark[level.min(7)]
}

/// The least of 1, 2, 5, 10, … nanoseconds that is not below `nanos`.
fn round_up(nanos: i64) -> i64 {
    let mut power: i64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step >= nanos {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A step of two digits that is not below `nanos`, and hardly above it.
fn fitting_step(nanos: i64) -> i64 {
    let mut power: i64 = 1;
    while nanos > power.saturating_mul(100) {
        power = power.saturating_mul(10);
    }
    let factors = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100];
    factors.into_iter().map(|factor| power.saturating_mul(factor)).find(|&step| step >= nanos).unwrap_or(nanos)
}

/// The next finer step.
fn finer_step(step: i64) -> i64 {
    let mut finer = 1;
    loop {
        let next = round_up(finer + 1);
        if next >= step {
            return finer;
        }
        finer = next;
    }
}

/// The connection of a call, and the first one that has calls.
fn connection_of(call: Option<u32>, hub: &Hub<'_>) -> Option<u32> {
    let mut connection = None;
    hub.backend.look(&mut |viewer| {
        let of_call = call.and_then(|no| viewer.call_by_no(no)).map(|call| call.connection().number());
        let first = || {
            let connections = viewer.store.connections().map(|at| viewer.connection(at));
            connections
                .filter(|connection| connection.calls() > 0 && connection.protocol() != ConnectionProtocol::Tls)
                .map(|connection| connection.number())
                .next()
        };
        connection = of_call.or_else(first);
    });
    connection
}

impl Screen for TimelineScreen {
    fn context(&self) -> Context {
        Context::Timeline
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if let State::Reading(_) = self.state {
            if action == Action::Leave {
                hub.request(Request::Timeline(TimelineRequest::Cancel));
                self.state = State::Given;
                return true;
            }
            return false;
        }
        let len = self.len();
        let playing = std::mem::take(&mut self.playing);
        if self.list.act(action, self.height, len) {
            return true;
        }
        match action {
            Action::Left => self.move_to(self.at_ns.saturating_sub(self.step_ns)),
            Action::Right => self.move_to(self.at_ns.saturating_add(self.step_ns)),
            Action::ZoomIn => self.zoom(true),
            Action::ZoomOut => self.zoom(false),
            Action::ZoomFit => self.fit(),
            Action::NextEvent => self.go_to_event(false, hub),
            Action::PreviousEvent => self.go_to_event(true, hub),
            Action::Measure => self.measured_from = if self.measured_from.is_some() { None } else { Some(self.at_ns) },
            Action::Play => self.playing = !playing && self.timeline.is_some(),
            Action::OtherConnection => self.connection_menu(hub),
            Action::Leave if self.measured_from.is_some() => self.measured_from = None,
            Action::Leave if playing => {}
            Action::Open => {
                if let Some(call) = self.selected().map(|stream| stream.call) {
                    hub.wants(Effect::Go(Place::Call(call)));
                }
            }
            Action::Mark => {
                if let Some(call) = self.selected().map(|stream| stream.call)
                    && !hub.session.marks.remove(&call)
                {
                    hub.session.marks.insert(call);
                }
            }
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, _hub: &mut Hub<'_>) {
        let Reply::Timeline(reply) = reply else { return };
        match reply {
            TimelineReply::Read(timeline) if Some(timeline.connection) == self.connection => self.take(timeline),
            TimelineReply::Progress { connection, percent } if Some(*connection) == self.connection => {
                if let State::Reading(known) = &mut self.state {
                    *known = *percent;
                }
            }
            TimelineReply::Failed { connection, why } if Some(*connection) == self.connection => {
                self.state = State::Failed(crate::text::safe(why.as_bytes()));
            }
            _ => {}
        }
    }

    fn pass(&mut self, time: Duration, _hub: &mut Hub<'_>) -> bool {
        if !self.playing {
            return false;
        }
        let Some((_, last)) = self.timeline.as_ref().map(|timeline| timeline.span) else { return false };
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(1000);
        let by = self.step_ns.saturating_mul(PLAYED).saturating_mul(millis) / 1000;
        self.move_to(self.at_ns.saturating_add(by.max(1)));
        self.playing = self.at_ns < last;
        true
    }

    fn picked(&mut self, pick: u32, hub: &mut Hub<'_>) {
        self.wanted = Subject::default();
        self.read(pick, hub);
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        let comparison = |title: &str, field: &str, value: u32| {
            (title.to_owned(), Comparison { field: field.to_owned(), value: value.to_string() })
        };
        let mut comparisons: Vec<_> =
            self.connection.map(|number| comparison("Connection", "connection", number)).into_iter().collect();
        comparisons.extend(self.selected().map(|stream| comparison("Call", "rpc.no", stream.call)));
        comparisons
    }

    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        let Some(stream) = self.selected() else { return Vec::new() };
        vec![
            ('y', "method".to_owned(), stream.method.clone()),
            ('t', "time".to_owned(), self.clock(self.at_ns)),
            ('f', "as a filter".to_owned(), format!("rpc.no == {}", stream.call)),
        ]
    }

    fn subject(&self, _hub: &Hub<'_>) -> Subject {
        Subject { call: self.selected().map(|stream| stream.call), connection: self.connection, ..Subject::default() }
    }

    fn show(&mut self, subject: Subject, hub: &mut Hub<'_>) {
        let connection = match (subject.call, subject.connection) {
            (None, Some(connection)) => Some(connection),
            (call, _) => connection_of(call, hub),
        };
        self.wanted = subject;
        match connection {
            Some(connection) if Some(connection) != self.connection || self.timeline.is_none() => {
                self.read(connection, hub);
            }
            _ => self.go_to_wanted(),
        }
    }

    fn click(&mut self, _pane: u8, row: u64, _hub: &mut Hub<'_>) {
        self.list.move_to(row, self.len());
    }

    fn remark(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        let (Some(timeline), Some(connection)) = (&self.timeline, self.connection) else { return Vec::new() };
        vec![
            Part::text(format!("{} on c{connection}", counted(self.len(), "call"))),
            Part::quiet(format!("   {} ", timeline.ends)),
        ]
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        let Some(timeline) = &self.timeline else { return Vec::new() };
        let at = if self.len() == 0 { 0 } else { self.list.cursor + 1 };
        let mut parts = vec![Part::text(format!(" stream {} of {}", thousands(at), thousands(self.len())))];
        if timeline.left_out > 0 {
            let text = format!("   {} more are not shown", counted(timeline.left_out, "event"));
            parts.push(Part::new(text, Role::Warning));
        }
        if self.playing {
            parts.push(Part::quiet("   playing"));
        }
        parts
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, _hub: &mut Hub<'_>) {
        let area = canvas.area;
        self.columns = area.width.saturating_sub(LABEL + 1).max(1);
        if self.len() == 0 {
            return self.draw_waiting(canvas);
        }
        if self.step_ns == 0 || self.fits {
            let at = self.at_ns;
            self.fit();
            self.at_ns = at;
        }
        self.keep_in_view();
        let scale = self.scale();
        let (first, last) = self.timeline.as_ref().map_or((0, 0), |timeline| timeline.span);
        let decimals = self.timeline.as_ref().map_or(9, |timeline| timeline.decimals);
        let title = format!("{}Timeline c{}", canvas.theme.signs.cursor, self.connection.unwrap_or_default());
        // What is in view of the connection: columns may begin before it and end after it.
        let (from, to) = (scale.from_ns.max(first), scale.end().min(last));
        let whole = if from > first || to < last {
            format!(" of {}", duration_text(last - first, decimals))
        } else {
            String::new()
        };
        let remark = format!(
            "{} to {}, {}{whole}   a column is {}",
            self.clock(from),
            self.clock(to),
            duration_text(to - from, decimals),
            duration_text(scale.step_ns, 9).replace(".00 ", " ").replace(".0 ", " "),
        );
        canvas.rule(0, &[Part::new(title, Role::Focus)], &[Part::quiet(remark)]);
        self.draw_axis(canvas);
        let mut rows = area.height.saturating_sub(3);
        let pane = if rows >= PANE + 4 { PANE } else { 0 };
        rows -= pane;
        let charts = if rows >= CHARTS + 3 { CHARTS } else { 0 };
        rows -= charts;
        // The charts follow the streams directly where these are few.
        let streams = u64::from(rows).min(self.len()) as u16;
        self.draw_streams(&mut canvas.part(Rect { y: area.y + 3, height: streams, ..area }));
        if charts > 0 {
            self.draw_charts(&mut canvas.part(Rect { y: area.y + 3 + streams, height: charts, ..area }));
        }
        if pane > 0 {
            self.draw_pane(&mut canvas.part(Rect { y: area.y + area.height - pane, height: pane, ..area }));
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        if let (State::Reading(_), Some(connection)) = (&self.state, self.connection) {
            self.read(connection, hub);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_the_columns() {
        assert_eq!(clock(1_400_000_000, 20_000_000), "1.40 s");
        assert_eq!(clock(12_000_000, 1_000_000), "0.012 s");
        assert_eq!(clock(3_000_000_000, 2_000_000_000), "3 s");
        assert_eq!(clock(1, 1), "0.000000001 s");
    }

    #[test]
    fn steps_are_1_2_5_and_so_on() {
        let steps: Vec<i64> = [1, 2, 3, 5, 6, 10, 11, 999].map(round_up).to_vec();
        assert_eq!(steps, [1, 2, 5, 5, 10, 10, 20, 1000]);
        let finer: Vec<i64> = [1, 2, 5, 10, 20, 50, 100].map(finer_step).to_vec();
        assert_eq!(finer, [1, 1, 2, 5, 10, 20, 50]);
        assert_eq!(round_up(i64::MAX), i64::MAX);
        let fitting: Vec<i64> = [1, 7, 11, 21_900_000, 100, i64::MAX].map(fitting_step).to_vec();
        assert_eq!(fitting, [1, 8, 12, 25_000_000, 100, i64::MAX]);
    }
}
