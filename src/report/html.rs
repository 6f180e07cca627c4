//! The report as one HTML file, which needs no network: a summary, and the calls that differ, recorded and replayed beside each
//! other, with a field to search in them.
//!
//! All text is written by [`escaped`]; what a capture or a server sent cannot become markup. The page forbids itself to load
//! anything (`Content-Security-Policy`).

use std::fmt::Write as _;
use std::io::{self, Write};

use rpcshark_dissectors::compare::{Shown, Verdict};
use rpcshark_dissectors::print::{duration_text, is_dangerous};
use rpcshark_dissectors::statistics::Quantiles;

use super::call::{CallFacts, CallReport, message_text};
use super::sides::Sides;
use super::summary::Summary;
use super::writer::{Form, Subject};

/// Keeps calls until the summary is written, which comes before them.
pub(super) struct HtmlForm {
    out: Box<dyn Write + Send>,
    subject: Subject,
    calls: String,
    /// Calls that are not shown because there are too many.
    more: u64,
}

/// Bytes of calls that are shown: a larger page is slow in every browser.
const MAX_CALLS: usize = 24 << 20;

/// Groups and other rows of the summary that are shown.
const MAX_ROWS: usize = 1000;

impl HtmlForm {
    pub(super) fn begin(out: Box<dyn Write + Send>, subject: &Subject) -> Self {
        Self { out, subject: subject.clone(), calls: String::new(), more: 0 }
    }
}

impl Form for HtmlForm {
    fn call(&mut self, call: &CallReport) -> io::Result<()> {
        if call.comparison.verdict == Verdict::Same {
            return Ok(());
        }
        let mut text = String::new();
        write_call(call, &mut text);
        match self.calls.len() + text.len() <= MAX_CALLS {
            true => self.calls.push_str(&text),
            false => self.more += 1,
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, summary: &mut Summary) -> io::Result<()> {
        let Subject { command, recorded, replayed } = &self.subject;
        let title = escaped(&format!("rpcshark {command}: {recorded} and {replayed}"));
        let mut head = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>\n{}</style></head>\n<body>\n<h1>{title}</h1>\n",
            include_str!("page.css")
        );
        write_summary(summary, &mut head);
        let _ = write!(
            head,
            "<h2>Calls</h2>\n<p><label>Search <input id=\"search\" type=\"search\" autocomplete=\"off\" \
             placeholder=\"method, field, value, outcome\"></label> <span id=\"count\"></span></p>\n<div id=\"calls\">\n"
        );
        self.out.write_all(head.as_bytes())?;
        self.out.write_all(self.calls.as_bytes())?;
        let mut end = "</div>\n".to_owned();
        if self.more > 0 {
            let _ =
                writeln!(end, "<p>{} more calls are not shown here; the JSON report has all of them.</p>", self.more);
        }
        let _ = write!(end, "<script>\n{}</script>\n</body></html>\n", include_str!("page.js"));
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

/// Text in an element or attribute. Characters that would change how the text around them is read are written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if is_dangerous(c) => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
            c => out.push(c),
        }
    }
    out
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Absent => "<i>none</i>".to_owned(),
        Shown::Hidden { .. } => format!("<i>{}</i>", escaped(&value.as_text().unwrap_or_default())),
        Shown::Json(_) | Shown::Cut { .. } => format!("<code>{}</code>", escaped(&value.as_text().unwrap_or_default())),
    }
}

fn write_call(call: &CallReport, out: &mut String) {
    let verdict = call.comparison.verdict;
    let class = match verdict {
        Verdict::Skipped | Verdict::NotComparable => "doubt",
        _ => "bad",
    };
    let _ = write!(
        out,
        "<details class=\"call\" id=\"call-{}\"><summary>{} <b>{}</b> <span class=\"{class}\">{}</span>",
        call.no.map_or_else(|| format!("new-{}", call.other_no.unwrap_or(0)), |no| no.to_string()),
        escaped(&call.name()),
        escaped(call.method_text()),
        verdict.name()
    );
    if let Some(why) = &call.comparison.why {
        let _ = write!(out, ": {}", escaped(why));
    }
    match call.comparison.count() {
        0 => {}
        1 => out.push_str(" (1 difference)"),
        count => _ = write!(out, " ({count} differences)"),
    }
    out.push_str("</summary>\n<table><tr><th></th><th>recorded</th><th>replayed</th></tr>\n");
    let row = |name: &str, of: &dyn Fn(&CallFacts) -> String| {
        let text = |facts: &Option<CallFacts>| facts.as_ref().map_or(String::new(), |facts| escaped(&of(facts)));
        format!("<tr><th>{name}</th><td>{}</td><td>{}</td></tr>\n", text(&call.recorded), text(&call.replayed))
    };
    out.push_str(&row("status", &|facts| facts.status.clone()));
    out.push_str(&row("duration", &|facts| facts.duration_ns.map(|nanos| duration_text(nanos, 9)).unwrap_or_default()));
    out.push_str(&row("messages", &|facts| format!("{} ↑ {} ↓", facts.messages[0], facts.messages[1])));
    for difference in &call.comparison.differences {
        let message = message_text(difference).map(|text| format!("<br><small>{}</small>", escaped(&text)));
        let _ = writeln!(
            out,
            "<tr><th class=\"path\">{} <small>{}</small>{}</th><td class=\"old\">{}</td><td class=\"new\">{}</td></tr>",
            escaped(&difference.path),
            difference.kind.name(),
            message.unwrap_or_default(),
            shown(&difference.recorded),
            shown(&difference.replayed)
        );
    }
    out.push_str("</table>\n");
    if call.comparison.more > 0 {
        let _ = writeln!(out, "<p>and {} more differences</p>", call.comparison.more);
    }
    call.sides.iter().for_each(|sides| write_sides(sides, out));
    out.push_str("</details>\n");
}

fn write_sides(sides: &Sides, out: &mut String) {
    let _ = writeln!(
        out,
        "<details class=\"sides\" open><summary>{}</summary><table class=\"sides\">",
        escaped(&sides.title)
    );
    for row in &sides.rows {
        let cell = |text: &Option<String>, class: &str| {
            let class = if row.differs { format!(" class=\"{class}\"") } else { String::new() };
            format!("<td{class}>{}</td>", text.as_deref().map(escaped).unwrap_or_default())
        };
        let _ = writeln!(out, "<tr>{}{}</tr>", cell(&row.recorded, "old"), cell(&row.replayed, "new"));
    }
    out.push_str("</table></details>\n");
}

fn write_summary(summary: &mut Summary, out: &mut String) {
    let class = if summary.has_failures() { "bad" } else { "good" };
    let _ = writeln!(out, "<p id=\"totals\" class=\"{class}\">{}</p>", escaped(&summary.line()));
    for remark in &summary.remarks {
        let _ = writeln!(out, "<p>{}</p>", escaped(remark));
    }
    let groups = summary.groups();
    if !groups.is_empty() {
        out.push_str(
            "<h2>Differences</h2>\n<table id=\"groups\"><tr><th>count</th><th>calls</th><th>method</th><th>place</th>\
             <th>kind</th><th>recorded</th><th>replayed</th><th>sample</th></tr>\n",
        );
        for (key, group) in groups.iter().take(MAX_ROWS) {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"old\">{}</td>\
                 <td class=\"new\">{}</td><td>{}</td></tr>",
                group.count,
                group.calls,
                escaped(&key.method),
                escaped(&key.place),
                key.kind.name(),
                shown(&group.sample.recorded),
                shown(&group.sample.replayed),
                escaped(&group.sample.call)
            );
        }
        out.push_str("</table>\n");
    }
    let reasons = summary.reasons();
    if !reasons.is_empty() {
        out.push_str(
            "<h2>Not compared</h2>\n<table><tr><th>count</th><th>outcome</th><th>method</th><th>why</th></tr>\n",
        );
        for ((verdict, method, why), reason) in reasons.iter().take(MAX_ROWS) {
            let (method, why) = (escaped(method), escaped(why));
            let count = reason.count;
            let _ =
                writeln!(out, "<tr><td>{count}</td><td>{}</td><td>{method}</td><td>{why}</td></tr>", verdict.name());
        }
        out.push_str("</table>\n");
    }
    let suggestions = summary.suggestions();
    if !suggestions.is_empty() {
        out.push_str("<h2>Likely noise (nothing of it was ignored)</h2>\n<ul>\n");
        for suggestion in suggestions.iter().take(MAX_ROWS) {
            let place = escaped(&suggestion.place);
            let (why, count) = (suggestion.likely.text(), suggestion.count);
            let _ = writeln!(out, "<li><code>--ignore &#39;{place}&#39;</code> {why}, {count} times</li>");
        }
        out.push_str("</ul>\n");
    }
    let methods = summary.methods();
    if !methods.is_empty() {
        out.push_str(
            "<h2>Durations</h2>\n<table><tr><th>method</th><th>calls</th><th>p50</th><th>p90</th><th>p99</th><th></th></tr>\n",
        );
        for (name, method, durations) in methods.iter().take(MAX_ROWS) {
            let pair = |of: fn(&Quantiles) -> i64| {
                let text = |quantiles: &Option<Quantiles>| {
                    quantiles.as_ref().map_or("?".to_owned(), |quantiles| duration_text(of(quantiles), 9))
                };
                format!("{} → {}", text(&durations.recorded), text(&durations.replayed))
            };
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(name),
                method.calls,
                pair(|q| q.p50),
                pair(|q| q.p90),
                pair(|q| q.p99),
                if durations.are_slower() { "slower" } else { "" }
            );
        }
        out.push_str("</table>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_cannot_become_markup() {
        assert_eq!(escaped("<b a='x'>&\"\u{202e}\u{1b}"), "&lt;b a=&#39;x&#39;&gt;&amp;&quot;\\u{202e}\\u{1b}");
        let hostile = Shown::Json("\"</code><script>alert(1)</script>\"".into());
        assert!(!shown(&hostile).contains("<script"));
    }
}
