//! Problems as text and as JSON.
//!
//! ```text
//! ! 3 × bytes cut off by the snap length (bytes-snapped)   12.1 KiB   4 calls   1 connection
//!       Packets were captured only in part: messages and header blocks in the rest are lost.
//!     → Capture without a snap length (tcpdump -s 0).
//!       #12 c0 packet 31: 1448 bytes to the server
//! ```

use super::line::{Line, Tone, wrap};
use super::text::size_text;
use super::{Escaped, Printer};
use crate::Severity;
use crate::json::Writer;
use crate::statistics::{Place, Problem};

/// Columns of explanations where nothing limits them.
const WIDTH: usize = 100;

pub(super) fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The sign of a severity, and how it is shown.
const fn sign(severity: Severity) -> (&'static str, Tone) {
    match severity {
        Severity::Error => ("✗", Tone::Bad),
        Severity::Warning => ("!", Tone::Doubt),
        Severity::Info => ("·", Tone::Plain),
    }
}

impl Printer<'_> {
    /// Problems in full. `width`: columns of the terminal, if lines are to fit one.
    pub fn problem_lines(&self, problems: &[&Problem], width: Option<usize>) -> Vec<Line> {
        let mut lines = Vec::new();
        for problem in problems {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            lines.push(self.problem_heading(problem).cut(width));
            let explained = |sign: &str, text: &str, lines: &mut Vec<Line>| {
                let room = width.unwrap_or(WIDTH).clamp(40, WIDTH) - 6;
                for (index, part) in wrap(text, room).into_iter().enumerate() {
                    let before = if index == 0 { sign } else { "" };
                    let mut line = Line::plain(format!("    {before:<2}"));
                    line.push(Tone::Faint, part);
                    lines.push(line);
                }
            };
            for (sign, text) in [("", problem.meaning()), ("→", problem.help())] {
                if !text.is_empty() {
                    explained(sign, text, &mut lines);
                }
            }
            lines.extend(problem.places.iter().map(|place| self.place_line(place).cut(width)));
            let listed = problem.places.len() as u64;
            if problem.count > listed && listed == crate::statistics::MAX_PLACES as u64 {
                lines.push(Line::plain("      …"));
            }
        }
        lines
    }

    /// A problem in one line.
    pub fn problem_heading(&self, problem: &Problem) -> Line {
        let (sign, tone) = sign(problem.severity);
        let mut line = Line::new(tone, format!("{sign} {} × {}", problem.count, problem.title()));
        line.push(Tone::Faint, format!(" ({})", problem.kind));
        let mut facts = Vec::new();
        facts.extend(problem.bytes.map(size_text));
        facts.extend(problem.longest_ns.map(|nanos| format!("up to {}", self.duration(nanos))));
        facts.extend(Some(problem.calls).filter(|&calls| calls > 0).map(|calls| counted(calls, "call")));
        let connections = problem.connections.len() as u64;
        facts.extend(Some(connections).filter(|&count| count > 0).map(|count| counted(count, "connection")));
        for fact in facts {
            line.push(Tone::Plain, format!("   {fact}"));
        }
        line
    }

    /// Appends a problem as one line of JSON, with its newline.
    pub fn write_problem_json(&self, problem: &Problem, out: &mut Vec<u8>) {
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        self.write_problem(problem, &mut json);
        json.end_object();
        out.push(b'\n');
    }

    /// Appends the members of a problem.
    pub(super) fn write_problem(&self, problem: &Problem, json: &mut Writer<'_>) {
        json.key("kind").string(problem.kind);
        json.key("severity").string(problem.severity.name());
        json.key("count").unsigned(problem.count);
        json.key("title").string(problem.title());
        json.key("meaning").string(problem.meaning());
        json.key("help").string(problem.help());
        json.key("calls").unsigned(problem.calls);
        json.key("connections").unsigned(problem.connections.len() as u64);
        let optional = |json: &mut Writer<'_>, number: Option<i64>| match number {
            Some(number) => json.signed(number),
            None => json.null(),
        };
        optional(json.key("bytes"), problem.bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        optional(json.key("longest_ns"), problem.longest_ns);
        json.key("places").begin_array();
        for place in &problem.places {
            json.begin_object();
            optional(json.key("call"), place.call.map(i64::from));
            optional(json.key("connection"), place.connection.map(i64::from));
            if let Some(file) = place.packet.and_then(|packet| self.other_file(packet, None)) {
                json.key("file").string(file);
            }
            optional(json.key("packet"), place.packet.and_then(|packet| i64::try_from(packet.number()).ok()));
            json.key("text").string(&place.text);
            json.end_object();
        }
        json.end_array();
    }

    fn place_line(&self, place: &Place) -> Line {
        let mut at = Vec::new();
        at.extend(place.call.map(|no| format!("#{no}")));
        at.extend(place.connection.map(|no| format!("c{no}")));
        at.extend(place.packet.map(|packet| format!("packet {}", self.packet_text(packet, None))));
        let mut line = Line::plain(format!("      {}", at.join(" ")));
        if !place.text.is_empty() {
            line.push(
                Tone::Plain,
                format!("{}{}", if at.is_empty() { "" } else { ": " }, Escaped(place.text.as_bytes())),
            );
        }
        line
    }
}
