//! The calls of a list by method: how many, how they ended, how long they took, and when.
//!
//! A worker adds call by call and keeps every duration until the end; what it hands to the screen has the size of the number
//! of methods, not of calls.

use std::cmp::Ordering;
use std::collections::HashMap;

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::statistics::{Histogram, Latencies, Quantiles, ResultKey, Traffic};
use rpcshark_dissectors::view::{CallView, Kind, Outcome};

use super::calls::quoted;
use super::lines::{MAX_NUMBERS, numbers_filter};
use crate::text::safe;
use crate::widget::Comparison;

/// The methods of a list of calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Methods {
    /// The filter that left these calls.
    pub filter: String,
    /// The methods, those with the most calls first.
    pub rows: Vec<MethodRow>,
    /// How many calls were counted.
    pub calls: u64,
    /// How many calls the filter was applied to.
    pub judged: u64,
    /// Nanoseconds that one bar of the charts over time stands for.
    pub step_ns: i64,
    /// Nanoseconds that the calls cover, from the first packet of the capture on.
    pub span_ns: i64,
}

/// A method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MethodRow {
    /// Its path as the capture has it; `None` for the calls whose path is not known.
    pub path: Option<String>,
    /// What people call it; safe to draw.
    pub name: String,
    /// What its row says after the name: that it is a stream, that its name is a guess.
    pub remark: &'static str,
    /// How many calls.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How many have not ended in the capture.
    pub open: u64,
    /// For how long the longest of these has been open, in nanoseconds.
    pub longest_open_ns: Option<i64>,
    /// How long calls took.
    pub took: Option<Quantiles>,
    /// How many calls have a known duration.
    pub took_count: u64,
    /// How these durations spread.
    pub spread: Histogram,
    /// How long it took from the request to the first answer.
    pub first_answer: Option<Quantiles>,
    /// How the calls ended, the most frequent first: the name, whether that is a failure, and how many.
    pub results: Vec<(String, bool, u64)>,
    /// Messages to the server.
    pub up: Traffic,
    /// Messages to the client.
    pub down: Traffic,
    /// Calls that began in each step of time.
    pub over_time: Vec<u32>,
    /// Of these, calls that failed.
    pub errors_over_time: Vec<u32>,
    /// The numbers of its calls, where no path selects them; empty where they are too many.
    pub numbers: Vec<u32>,
}

/// A column of the table of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodColumn {
    /// The method's name.
    Method,
    /// How many calls.
    Calls,
    /// Which part of them failed.
    Errors,
    /// Calls per second.
    Rate,
    /// Percentiles of the durations.
    P50,
    /// See [`Self::P50`].
    P90,
    /// See [`Self::P50`].
    P99,
    /// The longest duration.
    Max,
    /// How the durations spread.
    Spread,
}

/// Steps of the charts over time at the most.
const STEPS: i64 = 60;

impl MethodColumn {
    /// Every column, in the order in which they stand.
    pub const ALL: [Self; 9] =
        [Self::Method, Self::Calls, Self::Errors, Self::Rate, Self::P50, Self::P90, Self::P99, Self::Max, Self::Spread];

    /// Compares two methods by this column. One without a value comes last in either direction.
    pub fn compare(self, a: &MethodRow, b: &MethodRow, down: bool) -> Ordering {
        let directed = |order: Ordering| if down { order.reverse() } else { order };
        let by_value = match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => directed(a.cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) if self == Self::Method => directed(a.name.cmp(&b.name)),
            (None, None) => Ordering::Equal,
        };
        by_value.then_with(|| b.calls.cmp(&a.calls)).then_with(|| a.name.cmp(&b.name))
    }

    fn value(self, row: &MethodRow) -> Option<i128> {
        let took = |of: fn(&Quantiles) -> i64| row.took.as_ref().map(|took| i128::from(of(took)));
        match self {
            Self::Method => None,
            Self::Calls | Self::Rate => Some(row.calls.into()),
            Self::Errors => (i128::from(row.errors) << 32).checked_div(row.calls.into()),
            Self::P50 => took(|took| took.p50),
            Self::P90 => took(|took| took.p90),
            Self::P99 => took(|took| took.p99),
            // An open call has taken at least this long.
            Self::Max => took(|took| took.max).max(row.longest_open_ns.map(i128::from)),
            // The wider the spread, the further its ends lie apart.
            Self::Spread => row.spread.range().map(|(first, last)| (last - first) as i128),
        }
    }
}

impl MethodRow {
    /// The comparison that selects its calls; `None` where the path is not known.
    pub fn comparison(&self) -> Option<Comparison> {
        Some(Comparison { field: "rpc.path".to_owned(), value: quoted(self.path.as_deref()?) })
    }

    /// The filter that selects its calls: by their path or, where that is not known, by their numbers. `None` where these are
    /// too many.
    pub fn filter(&self) -> Option<String> {
        match self.comparison() {
            Some(comparison) => Some(comparison.equal()),
            None => numbers_filter("rpc.no", &self.numbers),
        }
    }

    /// Messages per call of one direction.
    pub fn messages_per_call(&self, direction: Direction) -> f64 {
        let traffic = match direction {
            Direction::ToServer => self.up,
            Direction::ToClient => self.down,
        };
        if self.calls == 0 { 0.0 } else { traffic.messages as f64 / self.calls as f64 }
    }
}

/// Puts [`Methods`] together, call by call.
#[derive(Debug)]
pub struct MethodsBuilder {
    first: Timestamp,
    last: Timestamp,
    step_ns: i64,
    by_path: HashMap<Option<Box<str>>, Building>,
    calls: u64,
}

#[derive(Debug, Default)]
struct Building {
    row: MethodRow,
    took: Latencies,
    first_answers: Latencies,
    results: HashMap<ResultKey, u64>,
    first_open: Option<Timestamp>,
    is_stream: bool,
    is_guessed: bool,
}

impl MethodsBuilder {
    /// No calls yet. `first`, `last`: when the capture begins and ends.
    pub fn new(first: Option<Timestamp>, last: Option<Timestamp>) -> Self {
        let first = first.or(last).unwrap_or_default();
        let last = last.unwrap_or(first).max(first);
        let step_ns = step(last.nanos_since(first));
        Self { first, last, step_ns, by_path: HashMap::new(), calls: 0 }
    }

    /// Counts a call.
    pub fn add(&mut self, call: &CallView<'_>) {
        self.calls += 1;
        let path = call.path();
        let is_guessed = path.is_guessed();
        let steps = steps(self.last.nanos_since(self.first), self.step_ns);
        let of = self.by_path.entry(path.value().map(Into::into)).or_default();
        of.is_guessed |= is_guessed;
        of.is_stream |= matches!(call.kind(), Some(kind) if kind != Kind::Unary);
        of.row.calls += 1;
        if path.value().is_none() {
            of.add_number(call.no());
        }
        let row = &mut of.row;
        let outcome = call.outcome();
        let failed = super::lines::is_failed(outcome);
        row.errors += u64::from(failed);
        let start = call.start();
        if outcome == Some(Outcome::Open) {
            row.open += 1;
            of.first_open = of.first_open.into_iter().chain(start).min();
        }
        *of.results.entry(ResultKey::of(call)).or_default() += 1;
        if let Some(nanos) = call.duration_ns() {
            of.took.add(nanos);
        }
        let mut first_answer = None;
        for (direction, traffic) in [(Direction::ToServer, &mut row.up), (Direction::ToClient, &mut row.down)] {
            for message in call.messages(direction) {
                traffic.messages += 1;
                traffic.bytes += u64::from(message.length());
                if direction == Direction::ToClient && first_answer.is_none() {
                    first_answer = Some(message.at());
                }
            }
        }
        let first_answer = first_answer.flatten().and_then(|at| call.since_start(at));
        if let Some(nanos) = first_answer.filter(|_| call.request_headers().is_some()) {
            of.first_answers.add(nanos);
        }
        if let Some(start) = start {
            let at = start.nanos_since(self.first).max(0) / self.step_ns.max(1);
            let at = (at as usize).min(steps.saturating_sub(1));
            count_at(&mut row.over_time, at, steps);
            if failed {
                count_at(&mut row.errors_over_time, at, steps);
            }
        }
    }

    /// The methods, those with the most calls first.
    pub fn finish(self, filter: String, judged: u64) -> Methods {
        let span_ns = self.last.nanos_since(self.first);
        let mut rows: Vec<MethodRow> = self.by_path.into_iter().map(|(path, of)| of.finish(path, self.last)).collect();
        rows.sort_by(|a, b| MethodColumn::Calls.compare(a, b, true));
        Methods { filter, rows, calls: self.calls, judged, step_ns: self.step_ns, span_ns }
    }
}

impl Building {
    /// Keeps the number of a call, as long as they are few: a filter with thousands of them is of no use.
    fn add_number(&mut self, no: u32) {
        match self.row.numbers.len() {
            MAX_NUMBERS.. => self.row.numbers.clear(),
            known if known as u64 + 1 == self.row.calls => self.row.numbers.push(no),
            _ => {}
        }
    }

    fn finish(mut self, path: Option<Box<str>>, end: Timestamp) -> MethodRow {
        self.took.sort();
        self.first_answers.sort();
        let mut results: Vec<(ResultKey, u64)> = self.results.into_iter().collect();
        results.sort_by_key(|&(key, count)| (std::cmp::Reverse(count), key));
        let results = results.into_iter().map(|(key, count)| (key.name().into_owned(), key.is_error(), count));
        let name = path.as_deref().map_or_else(
            || "(method not in capture)".to_owned(),
            |path| safe(path.strip_prefix('/').unwrap_or(path).as_bytes()),
        );
        let remark = match (self.is_guessed, self.is_stream) {
            (true, _) => "(guessed)",
            (false, true) => "(stream)",
            (false, false) => "",
        };
        MethodRow {
            path: path.map(Into::into),
            name,
            remark,
            longest_open_ns: self.first_open.map(|first| end.nanos_since(first).max(0)),
            took: self.took.quantiles(),
            took_count: self.took.count(),
            spread: Histogram::of(self.took.nanos()),
            first_answer: self.first_answers.quantiles(),
            results: results.collect(),
            ..self.row
        }
    }
}

fn count_at(counts: &mut Vec<u32>, at: usize, steps: usize) {
    if counts.is_empty() {
        counts.resize(steps, 0);
    }
    if let Some(count) = counts.get_mut(at) {
        *count = count.saturating_add(1);
    }
}

/// The steps that a span takes.
const fn steps(span_ns: i64, step_ns: i64) -> usize {
    if step_ns <= 0 { 1 } else { (span_ns / step_ns + 1) as usize }
}

/// The shortest step of 1, 2 or 5 times a power of ten nanoseconds of which [`STEPS`] cover `span_ns`.
fn step(span_ns: i64) -> i64 {
    let mut power: i64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step.saturating_mul(STEPS) >= span_ns {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, calls: u64, errors: u64, p99: Option<i64>) -> MethodRow {
        let took = p99.map(|p99| Quantiles { p50: p99, p90: p99, p99, max: p99 });
        MethodRow { name: name.to_owned(), calls, errors, took, ..MethodRow::default() }
    }

    #[test]
    fn methods_without_a_value_are_last_in_both_directions() {
        let mut rows = [row("a", 1, 0, None), row("b", 2, 1, Some(5)), row("c", 3, 0, Some(9))];
        let names = |rows: &[MethodRow]| rows.iter().map(|row| row.name.clone()).collect::<String>();
        rows.sort_by(|a, b| MethodColumn::P99.compare(a, b, true));
        assert_eq!(names(&rows), "cba");
        rows.sort_by(|a, b| MethodColumn::P99.compare(a, b, false));
        assert_eq!(names(&rows), "bca");
        rows.sort_by(|a, b| MethodColumn::Errors.compare(a, b, true));
        assert_eq!(names(&rows), "bca");
        rows.sort_by(|a, b| MethodColumn::Method.compare(a, b, false));
        assert_eq!(names(&rows), "abc");
    }

    #[test]
    fn an_open_call_counts_as_long_as_it_has_been_open() {
        let open = MethodRow { longest_open_ns: Some(7), ..row("open", 1, 0, None) };
        assert_eq!(MethodColumn::Max.compare(&open, &row("short", 1, 0, Some(5)), true), Ordering::Less);
        assert_eq!(MethodColumn::Max.compare(&open, &row("long", 1, 0, Some(9)), true), Ordering::Greater);
    }

    #[test]
    fn steps_are_round_and_cover_the_span() {
        assert_eq!(step(0), 1);
        assert_eq!(step(60), 1);
        assert_eq!(step(61), 2);
        assert_eq!(step(60_000_000_000), 1_000_000_000);
        assert_eq!(step(100_000_000_000), 2_000_000_000);
        assert!(step(i64::MAX) > 0);
        assert!(steps(i64::MAX, step(i64::MAX)) <= 61);
    }

    #[test]
    fn calls_without_a_path_are_selected_by_their_numbers() {
        let unnamed = MethodRow { numbers: vec![3, 4, 5, 9], ..row("x", 4, 0, None) };
        assert_eq!(unnamed.filter().as_deref(), Some("rpc.no in {3..5, 9}"));
        assert_eq!(row("x", 5_000, 0, None).filter(), None);
        let named = MethodRow { path: Some("/a.B/C".to_owned()), ..row("a.B/C", 1, 0, None) };
        assert_eq!(named.filter().as_deref(), Some("rpc.path == \"/a.B/C\""));
    }
}
