//! A capture in a screenful, as text and as JSON.

use std::collections::BTreeMap;

use super::call_json::{optional, rfc3339};
use super::fit;
use super::line::{Line, Tone};
use super::problems::counted;
use super::table::{Table, TableCell, TableColumn};
use super::text::size_text;
use super::{Escaped, Printer, Times, method_text, status_text};
use crate::json::Writer;
use crate::statistics::{Failure, GroupBy, ResultKey, SUMMARY_ROWS, Summary};
use crate::view::Outcome;

/// Columns where nothing limits them.
const WIDTH: usize = 120;

impl Printer<'_> {
    /// A summary as text. `next`: commands to type next, each with what it shows. `width`: columns of the terminal, if lines are
    /// to fit one.
    pub fn summary_lines(&self, summary: &Summary, next: &[(String, String)], width: Option<usize>) -> Vec<Line> {
        let room = width.unwrap_or(WIDTH);
        let mut lines = Vec::new();
        for file in summary.files.iter().take(SUMMARY_ROWS) {
            let size = file.size.map(|size| format!(", {}", size_text(size))).unwrap_or_default();
            let mut line = Line::new(Tone::Heading, Escaped(file.name.as_bytes()).to_string());
            line.push(Tone::Plain, format!("   {}{size}, {}", file.format, counted(file.packets, "packet")));
            lines.push(line.cut(width));
        }
        if let Some(more) = summary.files.len().checked_sub(SUMMARY_ROWS).filter(|&more| more > 0) {
            lines.push(Line::plain(format!("and {}", counted(more as u64, "more file"))));
        }
        if let Some(span) = summary.span {
            let begin = Times::Utc.text(span.first, None, 0);
            lines.push(Line::plain(format!("{begin}, {}", self.duration(span.nanos()))));
        }
        let connections: u64 = summary.connections.values().sum();
        let mut line = Line::plain(format!("{}{}", counted(connections, "connection"), by_name(&summary.connections)));
        if !summary.servers.is_empty() {
            line.push(
                Tone::Plain,
                format!("   {} → {}", few(&summary.clients, "client"), few(&summary.servers, "server")),
            );
        }
        lines.push(line.cut(width));
        self.calls_line(summary, &mut lines);
        if !summary.methods.is_empty() {
            lines.push(Line::default());
            let table = self.group_lines(
                &summary.methods.iter().collect::<Vec<_>>(),
                &GroupBy::Method,
                summary.span(),
                Some(room),
            );
            lines.extend(table);
            if summary.method_count > summary.methods.len() {
                let more = summary.method_count - summary.methods.len();
                lines.push(Line::new(Tone::Faint, format!("and {}", counted(more as u64, "more method"))));
            }
        }
        self.slowest(summary, room, &mut lines);
        self.failures(summary, room, &mut lines);
        let problems = summary.problems.sorted();
        if !problems.is_empty() {
            lines.push(Line::default());
            lines.push(Line::new(Tone::Heading, "Problems"));
            lines.extend(problems.iter().take(SUMMARY_ROWS).map(|problem| self.problem_heading(problem).cut(width)));
            if let Some(more) = problems.len().checked_sub(SUMMARY_ROWS).filter(|&more| more > 0) {
                lines.push(Line::new(Tone::Faint, format!("and {} more kinds", more)));
            }
        }
        if !next.is_empty() {
            lines.push(Line::default());
            lines.push(Line::new(Tone::Heading, "Next"));
            let longest = next.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
            for (command, what) in next {
                let mut line = Line::plain(format!("{command:<longest$}  "));
                line.push(Tone::Faint, what.clone());
                // A command that is cut off cannot be typed.
                lines.push(if width.is_some_and(|width| line.width() > width) {
                    Line::plain(command.clone())
                } else {
                    line
                });
            }
        }
        lines
    }

    fn calls_line(&self, summary: &Summary, lines: &mut Vec<Line>) {
        let Some(all) = &summary.all else { return lines.push(Line::plain("no calls")) };
        let mut line = Line::plain(format!("{}{}", counted(all.calls, "call"), by_name(&summary.protocols)));
        line.push(Tone::Plain, ":");
        let outcomes = [
            (all.outcomes.ok, "OK", Tone::Good),
            (all.outcomes.errors(), "failed", Tone::Bad),
            (all.outcomes.open, "open", Tone::Doubt),
            (all.outcomes.incomplete + all.outcomes.unknown, "without a status", Tone::Doubt),
        ];
        let mut between = " ";
        for (count, word, tone) in outcomes.into_iter().filter(|(count, ..)| *count > 0) {
            line.push(Tone::Plain, between);
            line.push(tone, format!("{count} {word}"));
            between = ", ";
        }
        if let Some(quantiles) = all.durations.quantiles() {
            let [p50, p99, max] = [quantiles.p50, quantiles.p99, quantiles.max].map(|nanos| self.duration(nanos));
            line.push(Tone::Plain, format!("   p50 {p50}, p99 {p99}, longest {max}"));
        }
        lines.push(line);
    }

    fn slowest(&self, summary: &Summary, room: usize, lines: &mut Vec<Line>) {
        if summary.slowest.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            TableColumn::right("No"),
            TableColumn::right("Took"),
            TableColumn::method("Slowest calls"),
            TableColumn::cut("Status"),
        ]);
        for &at in &summary.slowest {
            let call = self.viewer.call(at);
            let took = call.duration_ns().map(|nanos| self.duration(nanos)).unwrap_or_default();
            let tone = match call.outcome() {
                Some(Outcome::Ok) => Tone::Good,
                Some(Outcome::Error | Outcome::Reset) => Tone::Bad,
                _ => Tone::Doubt,
            };
            table.row(vec![
                call.no().to_string().into(),
                took.into(),
                method_text(&call).into(),
                TableCell::new(tone, status_text(&call)),
            ]);
        }
        lines.push(Line::default());
        lines.extend(table.lines(Some(room)));
    }

    fn failures(&self, summary: &Summary, room: usize, lines: &mut Vec<Line>) {
        if summary.failures.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            TableColumn::right("Calls"),
            TableColumn::right("First"),
            TableColumn::method("Failed calls"),
            TableColumn::left("Status"),
        ]);
        for Failure { path, result, calls, first } in &summary.failures {
            let path = path.as_deref().map(|path| path.strip_prefix('/').unwrap_or(path));
            table.row(vec![
                calls.to_string().into(),
                first.to_string().into(),
                path.map_or("(method not in the capture)".to_owned(), |path| Escaped(path.as_bytes()).to_string())
                    .into(),
                TableCell::new(Tone::Bad, result.name()),
            ]);
        }
        lines.push(Line::default());
        lines.extend(table.lines(Some(room)));
    }

    /// Appends a summary as one line of JSON, with its newline.
    pub fn write_summary_json(&self, summary: &Summary, out: &mut Vec<u8>) {
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("files").begin_array();
        for file in &summary.files {
            json.begin_object();
            json.key("file").string(&file.name);
            json.key("format").string(&file.format);
            json.key("packets").unsigned(file.packets);
            json.key("size");
            match file.size {
                Some(size) => json.unsigned(size),
                None => json.null(),
            }
            json.end_object();
        }
        json.end_array();
        for (key, time) in
            [("first", summary.span.map(|span| span.first)), ("last", summary.span.map(|span| span.last))]
        {
            json.key(key);
            optional(&mut json, time.map(rfc3339).as_deref());
        }
        for (key, name, counts) in
            [("connections", "connections", &summary.connections), ("protocols", "calls", &summary.protocols)]
        {
            json.key(key).begin_array();
            for (protocol, count) in counts {
                json.begin_object();
                json.key("protocol").string(protocol);
                json.key(name).unsigned(*count);
                json.end_object();
            }
            json.end_array();
        }
        json.key("methods").unsigned(summary.method_count as u64);
        json.key("top_methods").begin_array();
        for group in &summary.methods {
            let value = json.value();
            self.write_group_json(group, &GroupBy::Method, summary.span(), value);
            // Its newline.
            value.pop();
        }
        json.end_array();
        json.key("all");
        match &summary.all {
            Some(all) => {
                let value = json.value();
                self.write_group_json(all, &GroupBy::All, summary.span(), value);
                value.pop();
            }
            None => json.null(),
        }
        json.key("slowest").begin_array();
        for &at in &summary.slowest {
            let call = self.viewer.call(at);
            json.begin_object();
            json.key("no").unsigned(call.no().into());
            write_path(&mut json, call.path().value());
            json.key("duration_ns").signed(call.duration_ns().unwrap_or_default());
            json.end_object();
        }
        json.end_array();
        json.key("failures").begin_array();
        for failure in &summary.failures {
            json.begin_object();
            write_path(&mut json, failure.path.as_deref());
            json.key("status").begin_object();
            json.key("code");
            match failure.result {
                ResultKey::Status(status) => json.unsigned(status.0.into()),
                _ => json.null(),
            }
            json.key("name").string(&failure.result.name());
            json.end_object();
            json.key("calls").unsigned(failure.calls);
            json.key("first_call").unsigned(failure.first.into());
            json.end_object();
        }
        json.end_array();
        json.key("problems").begin_array();
        for problem in summary.problems.sorted() {
            json.begin_object();
            self.write_problem(problem, &mut json);
            json.end_object();
        }
        json.end_array();
        json.end_object();
        out.push(b'\n');
    }
}

fn write_path(json: &mut Writer<'_>, path: Option<&str>) {
    json.key("path");
    match path {
        Some(path) => json.string(path),
        None => json.null(),
    }
}

/// ` (http2 3, tls 1)`
fn by_name(counts: &BTreeMap<&'static str, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) }
}

/// One name, or how many there are.
fn few(names: &std::collections::BTreeSet<String>, one: &str) -> String {
    match names.iter().next().filter(|_| names.len() == 1) {
        Some(name) => fit::cut_left(&Escaped(name.as_bytes()).to_string(), 40).into_owned(),
        None => counted(names.len() as u64, one),
    }
}
