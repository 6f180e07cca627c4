//! `rpcshark connections`: one line per connection.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rpcshark_dissectors::json::Writer;
use rpcshark_dissectors::print::{ConnectionColumns, Escaped};
use rpcshark_dissectors::rows::{ConnectionRow, Connections};

use super::InputArgs;
use super::filter::FilterArgs;
use super::input::RawArgs;
use super::output::{Output, Problem, terminal_width};
use super::paint;
use super::selected::{Selected, Wanted};
use super::tables::TableArgs;
use crate::load::Loaded;

/// List connections, one per line, with their notes below
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = COLUMNS_AND_EXAMPLES)]
pub(super) struct ConnectionsArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print one JSON object per line; with -v a last one for each file
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    table: TableArgs<Connections>,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark connections capture.pcapng
  rpcshark connections capture.pcapng -Y 'rpc.outcome != ok'
  rpcshark connections capture.pcapng --sort -bytes --limit 10 --columns connection,client,server,bytes
  rpcshark connections -v capture.pcapng";

/// Stands below `--help`, and in the manual page.
const COLUMNS_AND_EXAMPLES: &str = "\
Columns:
  Conn      number of the connection
  Protocol  http2, http1, ttrpc, nri, tls or unknown
  Client, Server
            the two ends; below them the processes there, where the capture names them
  Calls     how many calls it carried
  Errors    how many of them failed
  Up, Down  bytes to the server and to the client
  Missing   bytes that the capture does not have, and why; – if none
Lines below a connection that begin with ! are notes. With -v, a last line for each file tells how many
packets it has and what was skipped. On a terminal, rows fit its width. Otherwise they are whole.
Names of columns for --sort, --columns and -e: `rpcshark fields connections`.

Examples:
  rpcshark connections capture.pcapng
  rpcshark connections capture.pcapng -Y 'rpc.outcome != ok'
  rpcshark connections capture.pcapng --sort -bytes --limit 10 --columns connection,client,server,bytes
  rpcshark connections -v capture.pcapng";

pub(super) fn run(args: ConnectionsArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    let form = args.table.compile(args.json)?;
    let mut selected = Selected::read(input, args.raw.or(&args.files), &args.filter, schema, Wanted::default())?;
    // Messages are not looked at: nothing is remarked about the calls.
    let calls = std::mem::take(&mut selected.calls);
    let printer = selected.printer();
    let viewer = printer.viewer;
    let chosen = args
        .filter
        .is_given()
        .then(|| calls.into_iter().map(|at| viewer.call(at).connection().number()).collect::<HashSet<u32>>());
    let errors = viewer.errors();
    let rows = viewer.store.connections().map(|at| viewer.connection(at)).filter_map(|connection| {
        let number = connection.number();
        let errors = errors.get(number as usize).copied().unwrap_or_default();
        let is_shown = chosen.as_ref().is_none_or(|chosen| chosen.contains(&number));
        is_shown.then_some(ConnectionRow { connection, errors })
    });
    let rows = form.arrange(rows.collect());
    let mut output = Output::new();
    let columns = ConnectionColumns::new(terminal_width());
    if form.is_text() && viewer.store.connections().next().is_some() {
        let heading = columns.heading();
        let heading = if paint { paint::heading(&heading) } else { heading };
        output.buffer().extend_from_slice(heading.as_bytes());
    }
    for &ConnectionRow { connection, errors } in &rows {
        match (form.is_json(), form.is_text()) {
            (true, _) => printer.write_connection_json(connection, errors, output.buffer()),
            (false, true) => {
                let mut lines = Vec::new();
                printer.write_connection_text(connection, &columns, errors, &mut lines);
                if paint {
                    lines = paint::connection_lines(&String::from_utf8_lossy(&lines)).into_bytes();
                }
                output.buffer().extend_from_slice(&lines);
            }
            (false, false) => {}
        }
        output.checkpoint()?;
    }
    form.write_columns(&rows, selected.schema(), paint, &mut output)?;
    if input.talk.verbose && (form.is_json() || form.is_text()) {
        write_files(&selected.loaded, form.is_json(), output.buffer());
    }
    output.flush()?;
    Ok(selected.report(input))
}

/// What the files hold, and what of it was passed by.
fn write_files(loaded: &Loaded, json: bool, out: &mut Vec<u8>) {
    for (file, index) in loaded.files.iter().zip(0..) {
        // Packets are counted over all files; packets outside all connections are reported with the first.
        let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
        for passed in &file.skipped {
            *skipped.entry(passed.why.to_owned()).or_default() += passed.count;
        }
        if index == 0 {
            for (why, count) in &loaded.skipped {
                *skipped.entry(why.to_string()).or_default() += count;
            }
        }
        let link_types = file.link_types.iter().map(|link| link.name().map_or(link.0.to_string(), str::to_owned));
        let link_types: Vec<String> = link_types.collect();
        if !json {
            let skipped: Vec<String> = skipped.iter().map(|(why, count)| format!("{count} {why}")).collect();
            let line = format!(
                "{}: {}, {} packets, {} dropped, {}{}{}\n",
                Escaped(file.name.as_bytes()),
                file.format,
                file.packets,
                file.dropped,
                link_types.join(", "),
                if skipped.is_empty() { "" } else { "; skipped: " },
                skipped.join(", ")
            );
            out.extend_from_slice(line.as_bytes());
            continue;
        }
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("file").string(&file.name);
        json.key("packets").unsigned(file.packets);
        json.key("dropped").unsigned(file.dropped);
        json.key("link_types").begin_array();
        link_types.iter().for_each(|link| json.string(link));
        json.end_array();
        json.key("skipped").begin_array();
        for (why, count) in skipped {
            json.begin_object();
            json.key("why").string(&why);
            json.key("count").unsigned(count);
            json.end_object();
        }
        json.end_array();
        json.end_object();
        out.push(b'\n');
    }
}
