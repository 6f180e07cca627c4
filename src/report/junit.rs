//! The report as JUnit XML: one test case a call, its class the method. Continuous integration shows it.

use std::fmt::Write as _;
use std::io::{self, Seek, SeekFrom, Write};

use rpcshark_dissectors::compare::Verdict;

use super::call::{CallReport, message_text, value_text};
use super::summary::Summary;
use super::writer::{Form, Subject};

/// Writes each call as it comes. The counts are at the beginning, where blanks leave room for them.
pub(super) struct JUnitForm {
    out: Target,
    /// Where the room for the counts begins.
    room: u64,
    nanos: u64,
}

/// Where it goes.
pub(super) enum Target {
    /// A file, in which one can go back.
    File(std::fs::File, Vec<u8>),
    /// Something else: all is gathered.
    Other(Box<dyn Write + Send>, Vec<u8>),
}

/// Characters that the counts may take.
const ROOM: usize = 160;

/// Differences of one call that are written.
const MAX_DIFFERENCES: usize = 20;

/// Characters of a value that are written.
const MAX_VALUE: usize = 500;

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 16;

impl JUnitForm {
    pub(super) fn begin(out: Target, subject: &Subject) -> io::Result<Self> {
        let mut form = Self { out, room: 0, nanos: 0 };
        let name = format!("rpcshark {}: {}", subject.command, subject.recorded);
        let head =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\"", escaped(&name));
        form.room = head.len() as u64;
        form.write(&format!("{head}{:ROOM$}>\n", ""))?;
        Ok(form)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.out {
            Target::File(file, buffer) => {
                buffer.extend_from_slice(text.as_bytes());
                if buffer.len() >= GATHERED {
                    file.write_all(buffer)?;
                    buffer.clear();
                }
            }
            Target::Other(_, all) => all.extend_from_slice(text.as_bytes()),
        }
        Ok(())
    }
}

impl Form for JUnitForm {
    fn call(&mut self, call: &CallReport) -> io::Result<()> {
        let nanos = call.replayed.as_ref().and_then(|facts| facts.duration_ns).unwrap_or(0).max(0).unsigned_abs();
        self.nanos += nanos;
        let comparison = &call.comparison;
        let mut text = format!(
            "<testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
            escaped(call.method_text()),
            escaped(&call.name()),
            seconds(nanos)
        );
        text.push('>');
        if let Some(facts) = &call.recorded {
            let (first, last) = facts.packets;
            // Writing to a string cannot fail.
            let _ = write!(text, "<properties><property name=\"packets\" value=\"{first}-{last}\"/></properties>");
        }
        let why = comparison.why.clone().unwrap_or_else(|| match comparison.count() {
            1 => "1 difference".to_owned(),
            count => format!("{count} differences"),
        });
        match comparison.verdict {
            Verdict::Same => {}
            Verdict::Skipped | Verdict::NotComparable => {
                let _ = write!(
                    text,
                    "<skipped message=\"{}\"/>",
                    escaped(&format!("{}: {why}", comparison.verdict.name()))
                );
            }
            verdict => {
                let _ = write!(
                    text,
                    "<failure type=\"{}\" message=\"{}\">{}</failure>",
                    verdict.name(),
                    escaped(&why),
                    escaped(&details(call))
                );
            }
        }
        text.push_str("</testcase>\n");
        self.write(&text)
    }

    fn finish(mut self: Box<Self>, summary: &mut Summary) -> io::Result<()> {
        self.write("</testsuite>\n</testsuites>\n")?;
        let skipped = summary.count(Verdict::Skipped) + summary.count(Verdict::NotComparable);
        let failures = summary.calls() - skipped - summary.count(Verdict::Same);
        let counts = format!(
            " tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{}\"",
            summary.calls(),
            seconds(self.nanos)
        );
        let room = self.room;
        match self.out {
            Target::File(mut file, buffer) => {
                file.write_all(&buffer)?;
                file.seek(SeekFrom::Start(room))?;
                file.write_all(counts.as_bytes())?;
                file.flush()
            }
            Target::Other(mut out, mut all) => {
                let from = usize::try_from(room).unwrap_or(0);
                if let Some(place) = all.get_mut(from..from + counts.len()) {
                    place.copy_from_slice(counts.as_bytes());
                }
                out.write_all(&all)?;
                out.flush()
            }
        }
    }
}

fn details(call: &CallReport) -> String {
    let mut text = String::new();
    for difference in call.comparison.differences.iter().take(MAX_DIFFERENCES) {
        let message = message_text(difference).map(|message| format!(" in {message}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {}{message}\n  recorded {}\n  replayed {}",
            difference.path,
            difference.kind.name(),
            value_text(&difference.recorded, MAX_VALUE),
            value_text(&difference.replayed, MAX_VALUE)
        );
    }
    let more = call.comparison.count().saturating_sub(MAX_DIFFERENCES as u64);
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

fn seconds(nanos: u64) -> String {
    format!("{}.{:06}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 1000)
}

/// Text in an attribute or element. What XML 1.0 does not allow is written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if rpcshark_dissectors::print::is_dangerous(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
