//! `rpcshark diff`: two recordings compared call by call.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rayon::prelude::*;
use rpcshark_dissectors::compare::{Comparer, Comparison, Rules, Scope, Verdict};
use rpcshark_dissectors::filter::{Column, Target};
use rpcshark_dissectors::print::Line;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::view::{Permit, Viewer};

use super::InputArgs;
use super::filter::FilterArgs;
use super::output::{DIFFERENT, Problem, remark};
use super::paint;
use super::selected::{Selected, Wanted};
use crate::load::Inputs;
use crate::pairing::{Paired, pair};
use crate::report::{CallFacts, CallReport, CompareArgs, Report, ReportArgs, Subject, sides};
use crate::signals::{INTERRUPTED, Stop};

/// Compare two recordings: which calls differ, and in which fields
///
/// Calls are paired within a method: first those with equal requests, then what is left by order. What is compared are the
/// requests' messages, the status with its message and details, the response's metadata, messages and trailers. Connections,
/// request metadata and times are not; calls that take longer are reported and are not a difference.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUS)]
pub(super) struct DiffArgs {
    /// The old recording: a file or a directory
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The new recording
    #[arg(value_name = "NEW")]
    new: PathBuf,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    compare: CompareArgs,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark diff before.pcapng after.pcapng --proto protos/
  rpcshark diff before.pcapng after.pcapng --proto protos/ --ignore shop.Order.created --report html=diff.html
  rpcshark diff before.pcapng after.pcapng --proto protos/ --key rpc.request.id";

/// Stands below `--help`, and in the manual page.
const EXAMPLES_AND_STATUS: &str = "\
--key takes a field of `rpcshark fields` by which calls are paired (rpc.request.id), or, with =, the fields
by which the elements of a list are matched (shop.Order.items=sku).

Examples:
  rpcshark diff before.pcapng after.pcapng --proto protos/
  rpcshark diff before.pcapng after.pcapng --proto protos/ --ignore shop.Order.created --report html=diff.html
  rpcshark diff before.pcapng after.pcapng --proto protos/ --key rpc.request.id
  rpcshark diff before.pcapng after.pcapng --proto protos/ --report json | jq '.groups[] | [.path, .place, .count]'

Exit status:
  0  no differences
  1  differences, or calls that only one recording has
  2  the command line, a filter, a rule or a named schema file is wrong
  3  a file could not be opened or is not a capture file
  4  a file was read only in part
  130  interrupted";

/// Calls that are compared before they are reported.
const BATCH: usize = 2048;

pub(super) fn run(args: DiffArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let rules = args.compare.rules()?;
    args.report.check()?;
    let schema = input.load_schema()?;
    let keys = keys(&args.compare, &schema)?;
    if args.old == Path::new("-") && args.new == Path::new("-") {
        return Err(Problem::Usage("only one of both recordings can come from standard input".to_owned()));
    }
    let read = |file: &Path| {
        let wanted = Wanted { bodies: true, ..Wanted::default() };
        Selected::read(input, Inputs::Paths(vec![file.to_owned()]), &args.filter, Arc::clone(&schema), wanted)
    };
    let old = read(&args.old)?;
    let new = match old.loaded.interrupted {
        true => return Ok(ExitCode::from(INTERRUPTED)),
        false => read(&args.new)?,
    };
    if new.loaded.interrupted {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let failed = compare(&args, &rules, &keys, &old, &new)?;
    let (old, new) = (old.report(input), new.report(input));
    // What is wrong with a file comes before what differs.
    Ok(match [old, new].into_iter().find(|status| *status != ExitCode::SUCCESS) {
        _ if failed == Done::Interrupted => ExitCode::from(INTERRUPTED),
        Some(status) => status,
        None if failed == Done::Different => ExitCode::from(DIFFERENT),
        None => ExitCode::SUCCESS,
    })
}

/// What came of comparing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Same,
    Different,
    Interrupted,
}

/// The fields by which calls are paired.
fn keys(compare: &CompareArgs, schema: &Schema) -> Result<Vec<Column>, Problem> {
    let column = |name: &str| {
        let column = Column::compile(name, schema, Target::Calls).map_err(Problem::Filter)?;
        match column.is_of_frames() {
            true => Err(Problem::Usage(format!("calls cannot be paired by {name}, which is a field of frames"))),
            false => Ok(column),
        }
    };
    compare.other_keys().map(column).collect()
}

fn compare(args: &DiffArgs, rules: &Rules, keys: &[Column], old: &Selected, new: &Selected) -> Result<Done, Problem> {
    let stop = Stop::watched().ok();
    let (left, right) = (old.viewer(), new.viewer());
    let paired = pair((left, &old.calls), (right, &new.calls), keys, rules);
    let subject =
        Subject { command: "diff", recorded: args.old.display().to_string(), replayed: args.new.display().to_string() };
    let push: fn(&Line, &mut Vec<u8>) = match args.input.talk.color.decide() {
        true => |line, out| paint::push_line(line, true, out),
        false => |line, out| paint::push_line(line, false, out),
    };
    let mut report = Report::begin(&args.report, &subject, paired.len() as u64, args.input.talk.quiet, push)?;
    let shows_sides = report.shows_sides();
    for batch in paired.chunks(BATCH) {
        if stop.as_ref().is_some_and(|stop| stop.is_raised()) {
            report.remark("interrupted: the calls that follow were not compared".to_owned());
            report.finish()?;
            return Ok(Done::Interrupted);
        }
        let calls: Vec<CallReport> = batch
            .par_iter()
            .map_init(
                || Comparer::new(rules, Permit::to_compare()),
                |comparer, &paired| compared(paired, left, right, comparer, shows_sides),
            )
            .collect();
        for call in &calls {
            report.call(call)?;
        }
    }
    let summary = report.finish()?;
    if summary.calls() == 0 && !args.input.talk.quiet {
        remark("there are no calls to compare");
    }
    Ok(if summary.has_failures() { Done::Different } else { Done::Same })
}

fn compared(
    paired: Paired,
    left: Viewer<'_>,
    right: Viewer<'_>,
    comparer: &mut Comparer<'_>,
    shows_sides: bool,
) -> CallReport {
    match paired {
        Paired::Both(old, new) => {
            let (old, new) = (left.call(old), right.call(new));
            let comparison = comparer.compare(&old, &new, &Scope { requests: true, ..Scope::default() });
            CallReport {
                no: Some(old.no()),
                other_no: Some(new.no()),
                method: CallReport::method_of(&old),
                recorded: Some(CallFacts::of(&old)),
                replayed: Some(CallFacts::of(&new)),
                sides: if shows_sides { sides(&old, &new, &comparison) } else { Vec::new() },
                comparison,
            }
        }
        Paired::Missing(old) => {
            let old = left.call(old);
            CallReport {
                no: Some(old.no()),
                other_no: None,
                method: CallReport::method_of(&old),
                recorded: Some(CallFacts::of(&old)),
                replayed: None,
                sides: Vec::new(),
                comparison: Comparison::of(Verdict::Missing, Some("the new recording has no such call".to_owned())),
            }
        }
        Paired::Added(new) => {
            let new = right.call(new);
            CallReport {
                no: None,
                other_no: Some(new.no()),
                method: CallReport::method_of(&new),
                recorded: None,
                replayed: Some(CallFacts::of(&new)),
                sides: Vec::new(),
                comparison: Comparison::of(Verdict::Added, Some("the old recording has no such call".to_owned())),
            }
        }
    }
}
