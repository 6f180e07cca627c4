//! `rpcshark methods`: one line per method, or per whatever else calls are grouped by.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rayon::prelude::*;
use rpcshark_dissectors::filter::{Column, FilterScratch, Target};
use rpcshark_dissectors::rows::{MethodRow, Methods};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::statistics::{GroupBy, Groups};
use rpcshark_dissectors::store::CallRef;
use rpcshark_dissectors::view::Viewer;

use super::InputArgs;
use super::columns::{FieldName, FilterFields};
use super::filter::FilterArgs;
use super::input::RawArgs;
use super::output::{Output, Problem, terminal_width};
use super::paint;
use super::selected::{Selected, Wanted};
use super::tables::TableArgs;

/// List methods: calls, errors, percentiles of their durations, messages, bytes
///
/// Percentiles are exact, by nearest rank: p90 is the smallest duration such that at least 90 % of the calls whose duration is
/// known did not take longer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = COLUMNS_AND_EXAMPLES)]
pub(super) struct MethodsArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Group calls by method, service, status, client, server, connection, minute, or any field of `rpcshark fields`
    #[arg(long, value_name = "WHAT", default_value = "method", value_parser = FieldName::<FilterFields>::new(), hide_possible_values = true)]
    by: String,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    table: TableArgs<Methods>,

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
  rpcshark methods capture.pcapng
  rpcshark methods capture.pcapng --sort -p99 --limit 10
  rpcshark methods capture.pcapng --by minute -Y 'rpc.service contains \"Orders\"'
  rpcshark methods --json capture.pcapng | jq -r '[.path, .calls, .duration_ns.p99] | @tsv'";

/// Stands below `--help`, and in the manual page.
const COLUMNS_AND_EXAMPLES: &str = "\
Columns:
  Method   package.Service/Method, or what --by groups by; (guessed): from the schema, since the capture
           does not have it
  Calls    how many calls
  Errors   how many of them ended with a status other than OK or with RST_STREAM
  Open     how many had not ended when the capture did
  Per s    calls per second, over the time that the capture covers
  p50, p90, p99, Max
           percentiles of how long calls took, from the request to the end; ≥ for a call that was still open
           after a longer time
  20 µs–1 s (or other durations)
           how these durations spread: a bar for each range from 1 to 2, 2 to 5 and 5 to 10, all rows on the
           same axis, whose ends the heading names
  First p50, First p90, First p99, First max
           the same percentiles of the time from the request to the first response message
  ↑ Msgs, ↓ Msgs, ↑ Bytes, ↓ Bytes
           messages to the server and to the client, and their length on the wire
  Stalled  how long senders waited for flow control, all calls together; shown if any did
  Status   results other than OK, with their counts: the status, or `reset`, `incomplete` (no status in the
           capture), `open`, `unknown`
On a terminal, rows fit its width, and narrow terminals have fewer columns. Otherwise rows are whole.
Names of columns for --sort, --columns and -e: `rpcshark fields methods`. Without --sort, rows with the most calls
are first; minutes are in their order.

Examples:
  rpcshark methods capture.pcapng
  rpcshark methods capture.pcapng --sort -p99 --limit 10
  rpcshark methods capture.pcapng --by minute -Y 'rpc.service contains \"Orders\"'
  rpcshark methods capture.pcapng --proto protos/ --by rpc.request.tenant
  rpcshark methods --json capture.pcapng | jq -r '[.path, .calls, .duration_ns.p99] | @tsv'";

/// What calls are grouped by, as the command line says.
fn parse_by(name: &str, schema: &Schema) -> Result<GroupBy, Problem> {
    if let Some(by) = GroupBy::from_name(name) {
        return Ok(by);
    }
    let column = Column::compile(name, schema, Target::Calls).map_err(Problem::Filter)?;
    if column.is_of_frames() {
        return Err(Problem::Usage(format!("calls cannot be grouped by {name}, which is a field of frames")));
    }
    Ok(GroupBy::Field(Box::new(column)))
}

pub(super) fn run(args: MethodsArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    let by = parse_by(&args.by, &schema)?;
    let form = args.table.compile(args.json)?;
    let reads_bodies = matches!(&by, GroupBy::Field(column) if column.reads_bodies());
    // Methods may be guessed by what their messages hold.
    let wanted = Wanted { bodies: reads_bodies || !schema.services.is_empty(), ..Wanted::default() };
    let selected = Selected::read(input, args.raw.or(&args.files), &args.filter, schema, wanted)?;
    let printer = selected.printer();
    let groups = group(printer.viewer, &selected.calls, &by).finish();
    let span = selected.span();
    let rows = form.arrange(groups.iter().map(|group| MethodRow { group, by: &by, span }).collect());
    let mut output = Output::new();
    if form.is_json() {
        for row in &rows {
            printer.write_group_json(row.group, &by, span, output.buffer());
            output.checkpoint()?;
        }
    } else if form.is_text() && !rows.is_empty() {
        let groups: Vec<_> = rows.iter().map(|row| row.group).collect();
        for line in printer.group_lines(&groups, &by, span, terminal_width()) {
            paint::push_line(&line, paint, output.buffer());
            output.checkpoint()?;
        }
    }
    form.write_columns(&rows, selected.schema(), paint, &mut output)?;
    output.flush()?;
    Ok(selected.report(input))
}

/// Calls that one thread groups at a time.
const SHARE: usize = 8192;

/// Groups calls on all processors.
pub(super) fn group<'b>(viewer: Viewer<'_>, calls: &[CallRef], by: &'b GroupBy) -> Groups<'b> {
    let shares = calls.par_chunks(SHARE).map(|share| {
        let mut groups = Groups::new(by);
        let mut scratch = FilterScratch::default();
        for &at in share {
            groups.add(&viewer.call(at), &mut scratch);
        }
        groups
    });
    shares.reduce(
        || Groups::new(by),
        |mut a, b| {
            a.merge(&b);
            a
        },
    )
}
