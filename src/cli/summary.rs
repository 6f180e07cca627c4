//! `rpcshark summary`: a capture in a screenful.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rayon::prelude::*;
use rpcshark_dissectors::print::Escaped;
use rpcshark_dissectors::statistics::{GroupBy, Summary, SummaryCalls, SummaryFile};
use rpcshark_dissectors::store::CallRef;
use rpcshark_dissectors::view::Viewer;

use super::InputArgs;
use super::filter::FilterArgs;
use super::input::RawArgs;
use super::methods::group;
use super::output::{Output, Problem, terminal_width};
use super::paint;
use super::problems::{of_calls, of_connections};
use super::selected::{Selected, Wanted};
use crate::load::problems_of_files;

/// Show a capture in a screenful: what, when, how much, methods, slowest and failed calls, problems
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = PARTS_AND_EXAMPLES)]
pub(super) struct SummaryArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

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
  rpcshark summary capture.pcapng
  rpcshark summary capture.pcapng -Y 'rpc.service contains \"Orders\"'
  rpcshark summary --json capture.pcapng | jq .all.duration_ns";

/// Stands below `--help`, and in the manual page.
const PARTS_AND_EXAMPLES: &str = "\
Parts:
  the files, when the capture began (UTC) and how long it is, connections by protocol, calls by how they went
  Method        the methods with the most calls; see `rpcshark methods --help` for the columns
  Slowest calls number, duration, method and status of the calls that took longest
  Failed calls  what failed most often: how many calls, the number of the first, method, status
  Problems      the worst ones by kind; `rpcshark problems` explains them. Problems inside of messages and
                frames are not looked for here
  Next          commands that show more
Each part has at most five rows. With -Y, calls are those that match.

Examples:
  rpcshark summary capture.pcapng
  rpcshark summary capture.pcapng -Y 'rpc.service contains \"Orders\"'
  rpcshark summary --json capture.pcapng | jq .all.duration_ns";

pub(super) fn run(args: SummaryArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    // Methods may be guessed by what their messages hold.
    let wanted = Wanted { bodies: !schema.services.is_empty(), ..Wanted::default() };
    let selected = Selected::read(input, args.raw.or(&args.files), &args.filter, schema, wanted)?;
    let printer = selected.printer();
    let viewer = printer.viewer;
    let files = selected.loaded.files.iter().map(|file| SummaryFile {
        name: file.name.clone(),
        format: file.format.clone(),
        packets: file.packets,
        size: file.size,
    });
    let mut problems = problems_of_files(&selected.loaded.files);
    problems.merge(of_connections(viewer, &selected.calls, args.filter.is_given(), BTreeMap::new()));
    problems.merge(of_calls(viewer, &selected.calls, false));
    let methods = group(viewer, &selected.calls, &GroupBy::Method).finish();
    let all = group(viewer, &selected.calls, &GroupBy::All).finish().into_iter().next();
    let calls = gather(viewer, &selected.calls);
    let summary = Summary::new(viewer, files.collect(), selected.known_span(), calls, (methods, all), problems);
    let mut output = Output::new();
    if args.json {
        printer.write_summary_json(&summary, output.buffer());
    } else {
        let next = next(&args, &summary, viewer);
        for line in printer.summary_lines(&summary, &next, terminal_width()) {
            paint::push_line(&line, paint, output.buffer());
        }
    }
    output.flush()?;
    Ok(selected.report(input))
}

/// Calls that one thread looks at at a time.
const SHARE: usize = 8192;

fn gather(viewer: Viewer<'_>, calls: &[CallRef]) -> SummaryCalls {
    let shares = calls.par_chunks(SHARE).map(|share| {
        let mut gathered = SummaryCalls::default();
        share.iter().for_each(|&at| gathered.add(&viewer.call(at)));
        gathered
    });
    shares.reduce(SummaryCalls::default, |mut a, b| {
        a.merge(b);
        a
    })
}

/// What to type next, and what it shows.
fn next(args: &SummaryArgs, summary: &Summary, viewer: Viewer<'_>) -> Vec<(String, String)> {
    let [file] = args.files.as_slice() else { return Vec::new() };
    let file = quoted(&file.to_string_lossy());
    let mut next = Vec::new();
    let mut add = |command: String, what: &str| next.push((format!("rpcshark {command}"), what.to_owned()));
    if summary.all.is_none() {
        add(format!("connections -v {file}"), "what the capture holds instead of calls");
        return next;
    }
    if !summary.failures.is_empty() {
        add(format!("calls {file} -Y 'rpc.outcome in {{error, reset}}'"), "the calls that failed");
    }
    if let Some(&slowest) = summary.slowest.first() {
        let no = viewer.call(slowest).no();
        add(format!("show {file} {no}"), "the slowest call in full");
    }
    add(format!("methods {file} --sort -p99"), "all methods, the slowest first");
    if !summary.problems.sorted().is_empty() {
        add(format!("problems {file}"), "what the problems mean and what helps");
    }
    if viewer.schema.services.is_empty() {
        add(format!("calls {file} --json --proto DIR"), "messages decoded by the .proto files below DIR");
    }
    next
}

/// A file's name as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ',' | ':' | '@' | '%');
    let name = Escaped(name.as_bytes()).to_string();
    match name.chars().all(is_plain) {
        true => name,
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_whatever_the_file_is_called() {
        assert_eq!(quoted("a/b-1.pcap"), "a/b-1.pcap");
        assert_eq!(quoted("it's here.pcap"), r"'it'\''s here.pcap'");
    }
}
