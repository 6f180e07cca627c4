//! `rpcshark problems`: every note by kind, with what it means and what helps.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rayon::prelude::*;
use rpcshark_dissectors::rows::{ProblemRow, ProblemsTable};
use rpcshark_dissectors::statistics::{Problems, Resets};
use rpcshark_dissectors::store::CallRef;
use rpcshark_dissectors::view::{Scratch, Viewer};

use super::InputArgs;
use super::filter::FilterArgs;
use super::input::RawArgs;
use super::output::{Output, Problem, terminal_width};
use super::paint;
use super::selected::{Selected, Wanted};
use super::tables::TableArgs;
use crate::load::{PacketLengths, problems_of_files};

/// List problems by kind: how many, what they mean, what helps, and where the first ones are
///
/// Problems are the notes on calls, messages, frames, connections and files, and what follows from the facts beside them: missing
/// bytes, retransmissions, calls that the server refused, deadlines that passed, resets. Messages are decoded by the given
/// schemas.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = LINES_AND_EXAMPLES)]
pub(super) struct ProblemsArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    table: TableArgs<ProblemsTable>,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark problems capture.pcapng --proto protos/
  rpcshark problems capture.pcapng -Y 'rpc.service contains \"Orders\"'
  rpcshark problems capture.pcapng --sort -count --columns severity,count,kind
  rpcshark problems --json capture.pcapng | jq -r '[.severity, .count, .kind] | @tsv'";

/// Stands below `--help`, and in the manual page.
const LINES_AND_EXAMPLES: &str = "\
Each kind of problem has
  a heading  ✗ error: something could not be read; ! warning: something was not as it should be;
             · information. Then how many there are, what it is, and in parentheses the kind, as rpc.note
             and JSON have it; behind it the bytes, the longest time, and how many calls and connections
             are concerned
  an explanation, and behind → what helps
  the first places: call (#), connection (c) and packet, with its text
The worst kinds are first. With -Y: problems of the calls that match, and of their connections. Names of columns for
--sort, --columns and -e: `rpcshark fields problems`.

Examples:
  rpcshark problems capture.pcapng --proto protos/
  rpcshark problems capture.pcapng -Y 'rpc.service contains \"Orders\"'
  rpcshark problems capture.pcapng --sort -count --columns severity,count,kind
  rpcshark problems --json capture.pcapng | jq -r '[.severity, .count, .kind] | @tsv'";

pub(super) fn run(args: ProblemsArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    let form = args.table.compile(args.json)?;
    // By connection, since which connections are selected is known at the end.
    let mut frames: BTreeMap<u32, Problems> = BTreeMap::new();
    let mut see = |viewer: Viewer<'_>, batch: &[_], _: &PacketLengths| {
        for frame in batch {
            let frame = viewer.frame(frame);
            if !frame.notes().is_empty() {
                frames.entry(frame.connection()).or_default().add_frame(frame);
            }
        }
    };
    let wanted = Wanted { bodies: true, frames: Some(&mut see), ..Wanted::default() };
    let selected = Selected::read(input, args.raw.or(&args.files), &args.filter, schema, wanted)?;
    let printer = selected.printer();
    let mut problems = problems_of_files(&selected.loaded.files);
    problems.merge(of_connections(printer.viewer, &selected.calls, args.filter.is_given(), frames));
    problems.merge(of_calls(printer.viewer, &selected.calls, true));
    let viewer = printer.viewer;
    let rows = form.arrange(problems.sorted().into_iter().map(|problem| ProblemRow { problem, viewer }).collect());
    let mut output = Output::new();
    if form.is_json() {
        rows.iter().for_each(|row| printer.write_problem_json(row.problem, output.buffer()));
    } else if form.is_text() {
        let problems: Vec<_> = rows.iter().map(|row| row.problem).collect();
        let lines = printer.problem_lines(&problems, terminal_width());
        lines.iter().for_each(|line| paint::push_line(line, paint, output.buffer()));
        if lines.is_empty() && !selected.calls.is_empty() {
            output.buffer().extend_from_slice(b"no problems found\n");
        }
    }
    form.write_columns(&rows, selected.schema(), paint, &mut output)?;
    output.flush()?;
    Ok(selected.report(input))
}

/// Problems of connections: of all of them, or of those of `calls` only if these were `filtered`.
pub(super) fn of_connections(
    viewer: Viewer<'_>,
    calls: &[CallRef],
    filtered: bool,
    mut frames: BTreeMap<u32, Problems>,
) -> Problems {
    let chosen: HashSet<u32> = match filtered {
        true => calls.iter().map(|&at| viewer.call(at).connection().number()).collect(),
        false => HashSet::new(),
    };
    let mut problems = Problems::default();
    for connection in viewer.store.connections().map(|at| viewer.connection(at)) {
        let number = connection.number();
        if filtered && !chosen.contains(&number) {
            continue;
        }
        problems.add_connection(connection);
        problems.merge(frames.remove(&number).unwrap_or_default());
    }
    problems
}

/// Calls that one thread looks at at a time.
const SHARE: usize = 1024;

/// Problems of calls; `bodies`: and of what their messages hold.
pub(super) fn of_calls(viewer: Viewer<'_>, calls: &[CallRef], bodies: bool) -> Problems {
    let shares = calls.par_chunks(SHARE).map_init(Scratch::default, |scratch, share| {
        let mut problems = Problems::default();
        for &at in share {
            problems.add_call(&viewer.call(at), bodies.then_some(&mut *scratch));
        }
        problems
    });
    let mut problems = shares.reduce(Problems::default, |mut a, b| {
        a.merge(b);
        a
    });
    let mut resets = Resets::default();
    calls.iter().for_each(|&at| resets.add_call(&viewer.call(at)));
    problems.merge(resets.problems());
    problems
}
