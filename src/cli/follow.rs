//! `rpcshark follow`: a call as a conversation.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rpcshark_captures::Direction;
use rpcshark_dissectors::print::{FollowOptions, Printer};
use rpcshark_dissectors::store::Keep;

use super::InputArgs;
use super::input::{TimeArgs, Viewing, tell_files};
use super::output::{Bar, Output, Problem, terminal_width};
use super::paint;
use super::why::tell_why_none;
use crate::load::Inputs;

/// Show a call as a conversation: what both sides sent, one line per message, with times
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = LINES_AND_EXAMPLES)]
pub(super) struct FollowArgs {
    /// A capture, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The number of the call, as `calls` shows it
    #[arg(value_name = "NO", value_parser = clap::value_parser!(u32).range(1..))]
    no: u32,

    /// Show messages as trees of fields instead of a line of JSON
    #[arg(long, conflicts_with = "json")]
    trees: bool,

    /// Show messages as differences from the one before in the same direction
    #[arg(long)]
    diff: bool,

    /// Only what one side sent
    #[arg(long, value_name = "SIDE", value_enum)]
    only: Option<Side>,

    /// Print one JSON object per line: for headers, messages, and the end
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    input: InputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    /// What the client sent
    Client,
    /// What the server sent
    Server,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark follow capture.pcapng 12 --proto protos/
  rpcshark follow capture.pcapng 12 --proto protos/ --diff --only server
  rpcshark follow capture.pcapng 12 --proto protos/ --json | jq 'select(.event == \"message\") | .body'";

/// Stands below `--help`, and in the manual page.
const LINES_AND_EXAMPLES: &str = "\
Columns:
  At   time since the call began; with -t in another form
  Gap  time since the line before; nothing if there was none
  then ↑ for what the client sent, ↓ (further to the right) for what the server sent: headers with the
       metadata, messages with number, type, length (→ length when decompressed) and contents, trailers
       with the status
With --diff, lines below a message: ~ a field has another value, + it is new, - it is not there any more.
Messages are shown as field numbers with guesses of their values if no schema has their type. On a terminal,
lines are cut to its width.

Examples:
  rpcshark follow capture.pcapng 12 --proto protos/
  rpcshark follow capture.pcapng 12 --proto protos/ --diff --only server
  rpcshark follow capture.pcapng 12 --proto protos/ --json | jq 'select(.event == \"message\") | .body'";

pub(super) fn run(args: FollowArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    let loader = input.open(Inputs::Paths(vec![args.file.clone()]), false, Keep { bodies: true, ..Keep::default() })?;
    let mut viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
    let mut bar = Bar::new(input.talk.quiet);
    let loaded = loader.start().join(|progress| bar.at(progress))?;
    bar.done();
    viewing.names = loaded.names.clone();
    let printer = Printer { decimals: loaded.decimals, ..viewing.printer(&loaded.store) };
    let Some(call) = printer.viewer.call_by_no(args.no) else {
        let status = tell_files(&loaded, input.talk);
        if loaded.store.calls().is_empty() {
            tell_why_none(&loaded, input);
            return Ok(status);
        }
        let count = loaded.store.call_count();
        let calls = if count == 1 { "1 call".to_owned() } else { format!("{count} calls") };
        let text = format!("there is no call {} in {}, which has {calls}", args.no, args.file.display());
        return Err(Problem::Usage(text));
    };
    let only = args.only.map(|side| match side {
        Side::Client => Direction::ToServer,
        Side::Server => Direction::ToClient,
    });
    let times = args.time.asked(loaded.first);
    let (trees, diff) = (args.trees, args.diff);
    let options = FollowOptions { times: times.as_ref(), trees, diff, only, width: terminal_width() };
    let mut output = Output::new();
    if args.json {
        output.draining(|buffer, drain| printer.write_follow_json(&call, options, buffer, drain))?;
    } else {
        printer.follow_lines(&call, options, &mut |line| {
            paint::push_line(&line, paint, output.buffer());
            output.checkpoint()
        })?;
    }
    output.flush()?;
    Ok(tell_files(&loaded, input.talk))
}
