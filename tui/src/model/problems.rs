//! The problems of a list of calls and of their connections, by kind, as lines.

use std::collections::{BTreeMap, BTreeSet};

use rpcshark_dissectors::Severity;
use rpcshark_dissectors::print::{duration_text, size_text};
use rpcshark_dissectors::statistics::{Place, Problem, ProblemKind, Problems};
use rpcshark_dissectors::view::CallView;

use super::calls::quoted;
use super::lines::{MAX_NUMBERS, numbers_filter};
use crate::text::{counted, safe};

/// The problems of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProblemList {
    /// The filter that left these calls.
    pub filter: String,
    /// A row for each kind, the worst first.
    pub rows: Vec<ProblemRow>,
    /// How many calls were looked at.
    pub calls: u64,
    /// Of these, how many have had their messages decoded.
    pub decoded: u64,
    /// Whether all have.
    pub done: bool,
}

/// The problems of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct ProblemRow {
    /// The worst of them.
    pub severity: Severity,
    /// The word for the kind that filters use.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// How many there are.
    pub count: u64,
    /// How much it is: calls, bytes, the longest time.
    pub extent: String,
    /// Where they are: `c3, c7` or `#61 #203`.
    pub places: String,
    /// What the first of them says.
    pub says: String,
    /// What it means for what is shown.
    pub meaning: &'static str,
    /// What helps; empty where nothing does.
    pub help: &'static str,
    /// The first places, each with its text.
    pub first: Vec<String>,
    /// The filter that shows the calls that have it, or those of the connections that have it. `None` where no call does.
    pub filter: Option<String>,
}

/// Gathers problems, and which calls have them.
#[derive(Debug, Default)]
pub struct ProblemsBuilder {
    /// What was found.
    pub problems: Problems,
    /// The calls that have problems of a kind, until they are too many.
    calls: BTreeMap<&'static str, BTreeSet<u32>>,
    /// Kinds of the notes of calls: `rpc.note` selects them.
    noted: BTreeSet<&'static str>,
}

impl ProblemsBuilder {
    /// Adds the problems of a call. Each call is added once.
    pub fn add_call(&mut self, call: &CallView<'_>, scratch: Option<&mut rpcshark_dissectors::view::Scratch>) {
        let mut of_call = Problems::default();
        of_call.add_call(call, scratch);
        for problem in of_call.sorted() {
            let calls = self.calls.entry(problem.kind).or_default();
            if calls.len() <= MAX_NUMBERS {
                calls.insert(call.no());
            }
        }
        self.noted.extend(call.notes().into_iter().map(|note| note.kind));
        self.problems.merge(of_call);
    }

    /// The rows. `with_calls`: the numbers of the connections that calls of the list are on; `files`: the names of the files,
    /// which packets are named with where there are several.
    pub fn rows(&self, with_calls: &BTreeSet<u32>, files: &[String]) -> Vec<ProblemRow> {
        self.problems.sorted().into_iter().map(|problem| self.row(problem, with_calls, files)).collect()
    }

    fn row(&self, problem: &Problem, with_calls: &BTreeSet<u32>, files: &[String]) -> ProblemRow {
        let known = ProblemKind::of(problem.kind);
        let mut extent = Vec::new();
        extent.extend(problem.bytes.map(size_text));
        extent.extend(problem.longest_ns.map(|nanos| format!("up to {}", duration_text(nanos, 9))));
        extent.extend(Some(problem.calls).filter(|&calls| calls > 0).map(|calls| counted(calls, "call")));
        ProblemRow {
            severity: problem.severity,
            kind: problem.kind,
            title: known.map_or(problem.kind, |known| known.title),
            count: problem.count,
            extent: extent.join(", "),
            places: places(problem),
            says: problem.places.first().map(|place| safe(place.text.as_bytes())).unwrap_or_default(),
            meaning: known.map_or("", |known| known.meaning),
            help: known.map_or("", |known| known.help),
            first: problem.places.iter().map(|place| place_text(place, files)).collect(),
            filter: self.filter(problem, with_calls),
        }
    }

    /// By the field that says it; where none does, by the numbers of the calls, or of the connections.
    fn filter(&self, problem: &Problem, with_calls: &BTreeSet<u32>) -> Option<String> {
        let kind = problem.kind;
        let of_field = match kind {
            "deadline-exceeded" => Some("rpc.status == DEADLINE_EXCEEDED".to_owned()),
            _ if self.noted.contains(kind) => Some(format!("rpc.note == {}", quoted(kind))),
            _ => None,
        };
        let calls = self.calls.get(kind).filter(|calls| calls.len() <= MAX_NUMBERS);
        let of_calls = || numbers_filter("rpc.no", &calls?.iter().copied().collect::<Vec<_>>());
        let of_connections = || {
            let numbers: BTreeSet<u32> = problem.connections.iter().copied().collect();
            let numbers: Vec<u32> = numbers.intersection(with_calls).copied().take(MAX_NUMBERS).collect();
            numbers_filter("connection", &numbers)
        };
        of_field.or_else(of_calls).or_else(of_connections)
    }
}

/// Places that a row names.
const NAMED: usize = 3;

/// `#61 #203 …`: calls where the problem is one of calls, otherwise connections.
fn places(problem: &Problem) -> String {
    let mut names: Vec<String> = match problem.calls {
        0 => {
            let numbers: BTreeSet<u32> = problem.connections.iter().copied().collect();
            numbers.into_iter().take(NAMED + 1).map(|number| format!("c{number}")).collect()
        }
        _ => {
            let calls: BTreeSet<u32> = problem.places.iter().filter_map(|place| place.call).collect();
            calls.into_iter().take(NAMED + 1).map(|no| format!("#{no}")).collect()
        }
    };
    let more = names.len() > NAMED;
    names.truncate(NAMED);
    format!("{}{}", names.join(" "), if more { " …" } else { "" })
}

fn place_text(place: &Place, files: &[String]) -> String {
    let mut text = String::new();
    let mut add = |part: String| {
        text.push_str(&part);
        text.push(' ');
    };
    place.call.into_iter().for_each(|no| add(format!("#{no}")));
    place.connection.into_iter().for_each(|number| add(format!("c{number}")));
    if let Some(packet) = place.packet {
        let file = files.get(usize::from(packet.file())).filter(|_| files.len() > 1);
        let of = file.map_or(String::new(), |file| format!(" of {}", safe(file.as_bytes())));
        add(format!("packet {}{of}", packet.number()));
    }
    format!("{}: {}", text.trim_end(), safe(place.text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(call: Option<u32>, connection: u32) -> Place {
        Place { call, connection: Some(connection), packet: None, text: "why\x1b[2J".to_owned() }
    }

    #[test]
    fn problems_of_connections_show_the_calls_of_these_connections() {
        let mut builder = ProblemsBuilder::default();
        builder.problems.add("bytes-lost", Severity::Warning, 1, place(None, 7)).bytes = Some(4380);
        builder.problems.add("bytes-lost", Severity::Warning, 1, place(None, 3));
        let rows = builder.rows(&BTreeSet::from([3, 5, 7]), &[]);
        let row = rows.first().expect("a row");
        assert_eq!((row.count, row.places.as_str()), (2, "c3 c7"));
        assert_eq!(row.extent, "4.2 KiB");
        assert_eq!(row.filter.as_deref(), Some("connection in {3, 7}"));
        assert_eq!(row.first.len(), 2);
        assert!(!row.says.contains('\x1b') && !row.first.iter().any(|place| place.contains('\x1b')));
    }

    #[test]
    fn nothing_is_filtered_by_where_no_call_is_concerned() {
        let mut builder = ProblemsBuilder::default();
        builder.problems.add("tls-no-key", Severity::Info, 1, place(None, 7));
        assert_eq!(builder.rows(&BTreeSet::from([3]), &[]).first().and_then(|row| row.filter.clone()), None);
    }
}
