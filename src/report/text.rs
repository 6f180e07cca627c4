//! The report as text: a summary, and then the calls that differ.

use std::io::{self, Write};

use rpcshark_dissectors::compare::Verdict;
use rpcshark_dissectors::print::{Escaped, Line, Tone, duration_text};
use rpcshark_dissectors::statistics::Quantiles;

use super::call::{CallReport, message_text, value_text};
use super::summary::{Durations, Summary};
use super::writer::Form;

/// Keeps the first calls that differ until the summary is written.
pub(super) struct TextForm {
    out: Box<dyn Write + Send>,
    /// Writes a line, with or without colours.
    push: fn(&Line, &mut Vec<u8>),
    calls: Vec<Vec<Line>>,
    /// Calls that are not listed because there are too many.
    more: u64,
}

/// Calls that are listed: what a person reads. The other forms have all of them.
const MAX_CALLS: usize = 50;

/// Differences of one call that are listed.
const MAX_DIFFERENCES: usize = 20;

/// Groups, reasons and suggestions that are listed.
const MAX_ROWS: usize = 40;

/// Characters of a value that are shown.
const MAX_VALUE: usize = 200;

/// Characters of a value that are shown in the summary.
const MAX_SAMPLE: usize = 60;

impl TextForm {
    pub(super) const fn begin(out: Box<dyn Write + Send>, push: fn(&Line, &mut Vec<u8>)) -> Self {
        Self { out, push, calls: Vec::new(), more: 0 }
    }
}

impl Form for TextForm {
    fn call(&mut self, call: &CallReport) -> io::Result<()> {
        if !call.comparison.verdict.is_failure() {
            return Ok(());
        }
        if self.calls.len() >= MAX_CALLS {
            self.more += 1;
            return Ok(());
        }
        self.calls.push(call_lines(call));
        Ok(())
    }

    fn finish(mut self: Box<Self>, summary: &mut Summary) -> io::Result<()> {
        let mut lines = summary_lines(summary);
        if !self.calls.is_empty() {
            lines.push(Line::plain(""));
            lines.push(Line::new(Tone::Heading, "Calls that differ"));
            lines.extend(self.calls.drain(..).flatten());
        }
        if self.more > 0 {
            let text = format!("  and {} more calls; --report json=FILE or html=FILE lists more", self.more);
            lines.push(Line::new(Tone::Faint, text));
        }
        let mut text = Vec::new();
        lines.iter().for_each(|line| (self.push)(line, &mut text));
        self.out.write_all(&text)?;
        self.out.flush()
    }
}

fn call_lines(call: &CallReport) -> Vec<Line> {
    let comparison = &call.comparison;
    let mut line = Line::plain(format!("  {}  {}  ", call.name(), Escaped(call.method_text().as_bytes())));
    line.push(tone(comparison.verdict), comparison.verdict.name());
    if let Some(why) = &comparison.why {
        line.push(Tone::Plain, format!(": {}", Escaped(why.as_bytes())));
    }
    let mut lines = vec![line];
    for difference in comparison.differences.iter().take(MAX_DIFFERENCES) {
        let mut line = Line::plain(format!("    {}  ", Escaped(difference.path.as_bytes())));
        line.push(Tone::Faint, difference.kind.name());
        if let Some(message) = message_text(difference) {
            line.push(Tone::Faint, format!("  {message}"));
        }
        lines.push(line);
        for (mark, tone, shown) in [("-", Tone::Bad, &difference.recorded), ("+", Tone::Good, &difference.replayed)] {
            if shown.as_text().is_some() {
                let text = value_text(shown, MAX_VALUE);
                lines.push(Line::new(tone, format!("      {mark} {}", Escaped(text.as_bytes()))));
            }
        }
    }
    let more = comparison.count().saturating_sub(MAX_DIFFERENCES as u64);
    if more > 0 {
        lines.push(Line::new(Tone::Faint, format!("    and {more} more differences")));
    }
    lines
}

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Same => Tone::Good,
        Verdict::Skipped | Verdict::NotComparable => Tone::Doubt,
        _ => Tone::Bad,
    }
}

fn summary_lines(summary: &mut Summary) -> Vec<Line> {
    let mut first = Line::plain("");
    first.push(if summary.has_failures() { Tone::Bad } else { Tone::Good }, summary.line());
    let mut lines = vec![first];
    if summary.noise > 0 {
        let text = format!("{} differences left out as noise, at {} places", summary.noise, summary.noisy.len());
        lines.push(Line::new(Tone::Faint, text));
    }
    groups(summary, &mut lines);
    reasons(summary, &mut lines);
    suggestions(summary, &mut lines);
    durations(summary, &mut lines);
    for remark in &summary.remarks {
        lines.push(Line::plain(Escaped(remark.as_bytes()).to_string()));
    }
    lines
}

fn heading(lines: &mut Vec<Line>, text: &str) {
    lines.push(Line::plain(""));
    lines.push(Line::new(Tone::Heading, text));
}

fn more(lines: &mut Vec<Line>, count: usize) {
    if let Some(more) = count.checked_sub(MAX_ROWS).filter(|&more| more > 0) {
        lines.push(Line::new(Tone::Faint, format!("  and {more} more")));
    }
}

fn groups(summary: &Summary, lines: &mut Vec<Line>) {
    let groups = summary.groups();
    if groups.is_empty() {
        return;
    }
    heading(lines, "Differences");
    for (key, group) in groups.iter().take(MAX_ROWS) {
        let calls = if group.calls == 1 { "1 call".to_owned() } else { format!("{} calls", group.calls) };
        let mut line = Line::plain(format!("  {:>6} in {calls}  {}  ", group.count, Escaped(key.method.as_bytes())));
        line.push(Tone::Doubt, Escaped(key.place.as_bytes()).to_string());
        line.push(Tone::Faint, format!("  {}", key.kind.name()));
        lines.push(line);
        let sample = &group.sample;
        let (old, new) = (value_text(&sample.recorded, MAX_SAMPLE), value_text(&sample.replayed, MAX_SAMPLE));
        let text = format!("           {}: {} → {}", sample.call, Escaped(old.as_bytes()), Escaped(new.as_bytes()));
        lines.push(Line::new(Tone::Faint, text));
    }
    more(lines, groups.len());
    if summary.ungrouped > 0 {
        lines.push(Line::new(Tone::Faint, format!("  and {} differences at other places", summary.ungrouped)));
    }
}

fn reasons(summary: &Summary, lines: &mut Vec<Line>) {
    let reasons = summary.reasons();
    if reasons.is_empty() {
        return;
    }
    heading(lines, "Not compared");
    for ((verdict, method, why), reason) in reasons.iter().take(MAX_ROWS) {
        let mut line = Line::plain(format!("  {:>6}  ", reason.count));
        line.push(tone(*verdict), verdict.name());
        line.push(Tone::Plain, format!("  {}: {}", Escaped(method.as_bytes()), Escaped(why.as_bytes())));
        if let Some(first) = reason.first {
            line.push(Tone::Faint, format!("  (first: call {first})"));
        }
        lines.push(line);
    }
    more(lines, reasons.len());
}

fn suggestions(summary: &Summary, lines: &mut Vec<Line>) {
    let suggestions = summary.suggestions();
    if suggestions.is_empty() {
        return;
    }
    heading(lines, "Likely noise (nothing of it was ignored)");
    for suggestion in suggestions.iter().take(MAX_ROWS) {
        let mut line = Line::plain(format!("  --ignore '{}'", Escaped(suggestion.place.as_bytes())));
        line.push(Tone::Faint, format!("  {}, {} times", suggestion.likely.text(), suggestion.count));
        lines.push(line);
    }
    more(lines, suggestions.len());
}

fn durations(summary: &mut Summary, lines: &mut Vec<Line>) {
    let methods = summary.methods();
    let known: Vec<_> = methods.iter().filter(|(.., durations)| durations.recorded.is_some()).collect();
    if known.is_empty() {
        return;
    }
    let width = known.iter().take(MAX_ROWS).map(|(name, ..)| name.chars().count()).max().unwrap_or(0).max(6);
    heading(
        lines,
        &format!("{:width$}   {:>7}   p50                   p90                   p99", "Durations", "calls"),
    );
    for (name, method, durations) in known.iter().take(MAX_ROWS) {
        let Durations { recorded: Some(old), replayed: Some(new) } = durations else { continue };
        let pair = |of: fn(&Quantiles) -> i64| {
            let text = format!("{} → {}", duration_text(of(old), 9), duration_text(of(new), 9));
            format!("{text:<20}")
        };
        let mut line = Line::plain(format!(
            "{:width$}   {:>7}   {}  {}  {}",
            Escaped(name.as_bytes()).to_string(),
            method.calls,
            pair(|q| q.p50),
            pair(|q| q.p90),
            pair(|q| q.p99)
        ));
        if durations.are_slower() {
            line.push(Tone::Doubt, "  slower");
        }
        lines.push(line);
    }
    more(lines, known.len());
}
