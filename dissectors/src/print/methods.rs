//! Groups of calls, mostly methods, as a table and as JSON.
//!
//! ```text
//! Method                       Calls  Errors  Open  Per s     p50     p90     p99     Max  4–200 ms     Status
//! acme.shop.v1.Orders/GetOrder    30       1     0   10.1  5.6 ms   11 ms  101 ms  101 ms  ▁▅█▂▁▁▂      NOT_FOUND 1
//! ```

use super::call_json::{optional, rfc3339};
use super::line::{Line, Tone};
use super::table::{Table, TableCell, TableColumn};
use super::text::{duration_text, size_text};
use super::{Escaped, Printer, Times};
use crate::json::{Writer, write_f64};
use crate::statistics::{Group, GroupBy, GroupKey, Histogram, Latencies, ResultKey, SpreadAxis, TimeSpan, Traffic};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars for counts: the highest is for the largest count, the lowest for none.
pub fn sparkline(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0);
    let bar = |&count: &u64| match (count, most) {
        (0, _) | (_, 0) => BARS[0],
        (count, most) => {
            let level = (u128::from(count) * 7).div_ceil(u128::from(most)) as usize;
            BARS[level.min(7)]
        }
    };
    counts.iter().map(bar).collect()
}

/// `1–500 ms`: the shortest and the longest duration that bars are for.
fn axis_text(axis: SpreadAxis) -> String {
    let (from, to) = axis.bounds();
    let short = |nanos| duration_text(nanos, 9).replace(".00", "").replace(".0 ", " ");
    format!("{}–{}", short(from), short(to))
}

/// A rate in three significant digits.
fn rate_text(rate: Option<f64>) -> String {
    match rate {
        None => NONE.to_owned(),
        Some(rate) if rate >= 100.0 => format!("{rate:.0}"),
        Some(rate) if rate >= 10.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.2}"),
    }
}

/// Printed for an absent value.
const NONE: &str = "–";

/// `NOT_FOUND 3, open 1`: all results but OK, errors first.
fn results_text(group: &Group) -> String {
    let mut results: Vec<(ResultKey, u64)> = group.results.iter().map(|(&key, &count)| (key, count)).collect();
    results.retain(|(key, _)| *key == ResultKey::Reset || key.is_error() || !matches!(key, ResultKey::Status(_)));
    results.sort_by_key(|&(key, count)| (!key.is_error(), std::cmp::Reverse(count)));
    let texts: Vec<String> = results.iter().map(|(key, count)| format!("{} {count}", key.name())).collect();
    texts.join(", ")
}

/// What a group is called: for people.
fn key_text(key: &GroupKey, by: &GroupBy) -> String {
    match key {
        GroupKey::Number(number) if matches!(by, GroupBy::Connection) => format!("c{number}"),
        GroupKey::Number(number) => number.to_string(),
        GroupKey::Minute(minute) => Times::Utc.text(*minute, None, 0).replace(":00Z", "Z"),
        GroupKey::Text(text) => {
            let text = if matches!(by, GroupBy::Method) { text.strip_prefix('/').unwrap_or(text) } else { text };
            Escaped(text.as_bytes()).to_string()
        }
        GroupKey::Unknown if matches!(by, GroupBy::Method | GroupBy::Service) => {
            "(method not in the capture)".to_owned()
        }
        GroupKey::Unknown => "(none)".to_owned(),
    }
}

/// What is above the first column.
fn key_heading(by: &GroupBy) -> String {
    let name = by.name();
    match by {
        GroupBy::Minute => "Minute (UTC)".to_owned(),
        GroupBy::Field(_) => Escaped(name.as_bytes()).to_string(),
        _ => name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect(),
    }
}

impl Printer<'_> {
    /// Groups of calls as a table. `span`: the time that the capture covers; `width`: columns of the terminal, if rows are to fit
    /// one.
    pub fn group_lines(&self, groups: &[&Group], by: &GroupBy, span: TimeSpan, width: Option<usize>) -> Vec<Line> {
        let spreads: Vec<Histogram> = groups.iter().map(|group| group.spread()).collect();
        let axis = SpreadAxis::of(spreads.iter());
        let has_stalls = groups.iter().any(|group| group.stalls.calls > 0);
        let mut columns = vec![
            TableColumn::method("Method"),
            TableColumn::right("Calls"),
            TableColumn::right("Errors"),
            TableColumn::right("Open").drop(9),
            TableColumn::right("Per s").drop(7),
            TableColumn::right("p50"),
            TableColumn::right("p90").drop(2),
            TableColumn::right("p99"),
            TableColumn::right("Max"),
            TableColumn::left("Spread").drop(3),
            TableColumn::right("First p50").drop(5),
            TableColumn::right("First p90").drop(12),
            TableColumn::right("First p99").drop(6),
            TableColumn::right("First max").drop(11),
            TableColumn::right("↑ Msgs").drop(8),
            TableColumn::right("↓ Msgs").drop(8),
            TableColumn::right("↑ Bytes").drop(10),
            TableColumn::right("↓ Bytes").drop(10),
        ];
        columns.extend(has_stalls.then(|| TableColumn::right("Stalled").drop(1)));
        columns.push(TableColumn::cut("Status").drop(4));
        let mut table = Table::new(&columns);
        table.rename("Method", key_heading(by));
        if let Some(axis) = axis {
            table.rename("Spread", axis_text(axis));
        }
        for (group, spread) in groups.iter().zip(&spreads) {
            let duration = |nanos: i64| TableCell::from(self.duration(nanos));
            let quantiles = |latencies: &Latencies| match latencies.quantiles() {
                Some(quantiles) => [quantiles.p50, quantiles.p90, quantiles.p99, quantiles.max].map(duration),
                None => [(); 4].map(|()| TableCell::from(NONE)),
            };
            let [p50, p90, p99, mut max] = quantiles(&group.durations);
            if let Some(open) = group.longest_open_ns(span.last)
                && group.durations.percentile(100).is_none_or(|longest| open > longest)
            {
                max = TableCell::new(Tone::Doubt, format!("≥ {}", self.duration(open)));
            }
            let [first_p50, first_p90, first_p99, first_max] = quantiles(&group.first_answers);
            let errors = group.outcomes.errors();
            let errors_tone = if errors > 0 { Tone::Bad } else { Tone::Plain };
            let open_tone = if group.outcomes.open > 0 { Tone::Doubt } else { Tone::Plain };
            let guessed = if group.guessed == group.calls { " (guessed)" } else { "" };
            let mut row: Vec<TableCell> = vec![
                format!("{}{guessed}", key_text(&group.key, by)).into(),
                group.calls.to_string().into(),
                TableCell::new(errors_tone, errors.to_string()),
                TableCell::new(open_tone, group.outcomes.open.to_string()),
                rate_text(group.rate(span)).into(),
                p50,
                p90,
                p99,
                max,
                axis.filter(|_| spread.range().is_some())
                    .map(|axis| sparkline(&axis.counts(spread)))
                    .unwrap_or_default()
                    .into(),
                first_p50,
                first_p90,
                first_p99,
                first_max,
                group.requests.messages.to_string().into(),
                group.responses.messages.to_string().into(),
                size_text(group.requests.bytes).into(),
                size_text(group.responses.bytes).into(),
            ];
            row.extend(has_stalls.then(|| match group.stalls.calls {
                0 => NONE.into(),
                _ => duration(i64::try_from(group.stalls.total_ns).unwrap_or(i64::MAX)),
            }));
            row.push(TableCell::new(errors_tone, results_text(group)));
            table.row(row);
        }
        table.lines(width)
    }

    /// Appends a group as one line of JSON, with its newline.
    pub fn write_group_json(&self, group: &Group, by: &GroupBy, span: TimeSpan, out: &mut Vec<u8>) {
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("by").string(by.name());
        write_key(&mut json, &group.key, by);
        json.key("calls").unsigned(group.calls);
        json.key("errors").unsigned(group.outcomes.errors());
        json.key("guessed").unsigned(group.guessed);
        json.key("outcomes").begin_object();
        let outcomes = group.outcomes;
        json.key("ok").unsigned(outcomes.ok);
        json.key("error").unsigned(outcomes.error);
        json.key("reset").unsigned(outcomes.reset);
        json.key("incomplete").unsigned(outcomes.incomplete);
        json.key("open").unsigned(outcomes.open);
        json.key("unknown").unsigned(outcomes.unknown);
        json.end_object();
        json.key("statuses").begin_array();
        for (result, count) in &group.results {
            if let ResultKey::Status(status) = result {
                json.begin_object();
                json.key("code").unsigned(status.0.into());
                json.key("name").string(&status.name());
                json.key("calls").unsigned(*count);
                json.end_object();
            }
        }
        json.end_array();
        json.key("duration_ns");
        write_latencies(&mut json, &group.durations);
        json.key("first_answer_ns");
        write_latencies(&mut json, &group.first_answers);
        json.key("longest_open_ns");
        match group.longest_open_ns(span.last) {
            Some(nanos) => json.signed(nanos),
            None => json.null(),
        }
        for (key, traffic) in [("request", group.requests), ("response", group.responses)] {
            json.key(key);
            write_traffic(&mut json, traffic);
        }
        json.key("stalls").begin_object();
        json.key("calls").unsigned(group.stalls.calls);
        json.key("total_ns").unsigned(group.stalls.total_ns);
        json.key("longest_ns").unsigned(group.stalls.longest_ns);
        json.end_object();
        for (key, time) in [("first", group.first), ("last", group.last)] {
            json.key(key);
            optional(&mut json, time.map(rfc3339).as_deref());
        }
        json.key("calls_per_second");
        match group.rate(span) {
            Some(rate) => write_f64(json.value(), rate),
            None => json.null(),
        }
        json.key("spread").begin_array();
        for bucket in group.spread().buckets() {
            json.begin_object();
            json.key("up_to_ns").signed(bucket.up_to_ns);
            json.key("calls").unsigned(bucket.count);
            json.end_object();
        }
        json.end_array();
        json.end_object();
        out.push(b'\n');
    }
}

/// Appends the members that say what a group is.
fn write_key(json: &mut Writer<'_>, key: &GroupKey, by: &GroupBy) {
    let text = match key {
        GroupKey::Text(text) => Some(&**text),
        _ => None,
    };
    if matches!(by, GroupBy::Method) {
        let parts = text.and_then(|path| path.strip_prefix('/')?.rsplit_once('/'));
        optional(json.key("path"), text);
        optional(json.key("service"), parts.map(|(service, _)| service));
        optional(json.key("method"), parts.map(|(_, method)| method));
        return;
    }
    json.key("value");
    match key {
        GroupKey::Number(number) => json.unsigned(*number),
        GroupKey::Minute(minute) => json.string(&rfc3339(*minute)),
        GroupKey::Text(_) | GroupKey::Unknown => optional(json, text),
    }
}

fn write_latencies(json: &mut Writer<'_>, latencies: &Latencies) {
    json.begin_object();
    json.key("count").unsigned(latencies.count());
    for (key, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        json.key(key);
        match latencies.percentile(percent) {
            Some(nanos) => json.signed(nanos),
            None => json.null(),
        }
    }
    json.end_object();
}

fn write_traffic(json: &mut Writer<'_>, traffic: Traffic) {
    json.begin_object();
    json.key("messages").unsigned(traffic.messages);
    json.key("bytes").unsigned(traffic.bytes);
    json.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_part_of_the_largest() {
        assert_eq!(sparkline(&[0, 1, 50, 100]), "▁▂▅█");
        assert_eq!(sparkline(&[0, 0]), "▁▁");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn spreads_share_an_axis_whose_ends_are_named() {
        let [a, b] = [Histogram::of(&[1_500_000]), Histogram::of(&[40_000, 3_000_000])];
        let axis = SpreadAxis::of([&a, &b].into_iter()).unwrap();
        assert_eq!(axis_text(axis), "20 µs–5 ms");
        let bars = |spread| sparkline(&axis.counts(spread));
        assert_eq!((bars(&a), bars(&b)), ("▁▁▁▁▁█▁".to_owned(), "█▁▁▁▁▁█".to_owned()));
        let wide = Histogram::of(&[1, 1_000_000_000_000]);
        assert!(SpreadAxis::of([&wide].into_iter()).is_some_and(|axis| axis.counts(&wide).len() <= 16));
    }

    #[test]
    fn rates_have_three_digits() {
        assert_eq!(rate_text(Some(10.0 / 3.0)), "3.33");
        assert_eq!(rate_text(Some(1000.0 / 3.0)), "333");
        assert_eq!(rate_text(None), "–");
    }
}
