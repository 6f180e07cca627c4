//! `rpcshark frames`: one line per HTTP/2 or ttrpc frame.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::print::{FrameColumns, Printer};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{ConnectionRef, FrameRef, Keep};

use super::InputArgs;
use super::input::{RawArgs, TimeArgs, Viewing, is_live, tell_files};
use super::output::{Bar, Output, Problem, terminal_width};
use super::paint;
use super::remarks::report;
use super::why::tell_why_none;
use crate::load::ConnectionFrames;

/// List HTTP/2 and ttrpc frames, one per line
///
/// The client preface is not a frame. A frame has the number and the time of the packet that completed it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = COLUMNS_AND_EXAMPLES)]
pub(super) struct FramesArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    /// Keep reading as the file grows
    #[arg(long)]
    follow: bool,

    /// Only the frames of call NO, as `calls` numbers them; the capture is read twice
    #[arg(long, value_name = "NO", conflicts_with_all = ["connection", "follow"])]
    call: Option<u32>,

    /// Only the frames of connection NO, as `connections` numbers them; the capture is read twice
    #[arg(long, value_name = "NO", conflicts_with = "follow")]
    connection: Option<u32>,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark frames capture.pcapng
  rpcshark frames capture.pcapng --call 12
  rpcshark frames --json capture.pcapng | jq 'select(.type == \"GOAWAY\")'";

/// Stands below `--help`, and in the manual page.
const COLUMNS_AND_EXAMPLES: &str = "\
Columns:
  No      number of the frame; with --call and --connection only if the whole capture was indexed
  Packet  number of the packet that completed it
  Time    when that packet was captured, in seconds since the first one (see --time)
  Conn    its connection, as `connections` lists it
  Stream  its stream; behind it ↑ for a frame to the server, ↓ for one to the client
  Type, Length, Flags
          as in the frame's header
  Call    the call that it belongs to, as `calls` numbers it
  Info    header fields, settings, error codes; what follows a ! is a note
On a terminal, rows fit its width; narrow terminals have fewer columns. Otherwise rows are whole.

Examples:
  rpcshark frames capture.pcapng
  rpcshark frames capture.pcapng --call 12
  rpcshark frames --json capture.pcapng | jq 'select(.type == \"GOAWAY\")'";

pub(super) fn run(args: FramesArgs) -> Result<ExitCode, Problem> {
    let schema = args.input.schema.load(args.input.talk)?;
    match (args.call, args.connection) {
        (None, None) => list_all(args, schema),
        _ => list_some(args, schema),
    }
}

/// Lists all frames, as they come.
fn list_all(args: FramesArgs, schema: Arc<Schema>) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let loader = input.open(args.raw.or(&args.files), args.follow, Keep { frames: true, ..Keep::default() })?;
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources());
    let mut bar = Bar::new(input.talk.quiet || args.follow || args.files.iter().any(|file| is_live(file)));
    let mut lines = Lines::new(&args);
    let mut wrote = Ok(());
    let loaded = loader.run(|store, committed, progress| {
        bar.at(progress);
        wrote = lines.write(viewing.printer(store), &committed.frames, (progress.first, progress.decimals));
        if wrote.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    wrote?;
    bar.done();
    if lines.columns.is_none() {
        tell_why_none(&loaded, input);
    }
    report(&loaded, &[], &viewing.schema, input);
    Ok(tell_files(&loaded, input.talk))
}

/// Lists the frames of one call or connection: the capture is read once to find it, and once more for its frames.
fn list_some(args: FramesArgs, schema: Arc<Schema>) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let loader = input.open_twice(args.raw.or(&args.files), Keep::default())?;
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources());
    let options = loader.options().clone();
    let mut bar = Bar::new(input.talk.quiet);
    let loaded = loader.start().join(|progress| bar.at(progress))?;
    bar.done();
    let store = &loaded.store;
    let connection = match (args.call, args.connection) {
        (Some(no), _) => match store.call_by_no(no) {
            Some(at) => ConnectionRef { lane: at.lane, id: store.call(at).connection },
            None => return Err(none("call", no, store.call_count() as usize)),
        },
        (None, no) => {
            let no = no.unwrap_or_default();
            let at = store.connection_by_no(no);
            at.ok_or_else(|| none("connection", no, store.connection_numbers()))?
        }
    };
    if let Some(fault) = options.spool.as_ref().and_then(|spool| spool.fault()) {
        return Err(Problem::Usage(format!("standard input could not be kept to be read again: {fault}")));
    }
    let mut frames = ConnectionFrames::open(&options, store, connection)?;
    let mut bar = Bar::new(input.talk.quiet);
    let mut lines = Lines::new(&args);
    while !loaded.interrupted
        && let Some(mut next) = frames.next_frames(store)?
    {
        bar.at(frames.progress());
        let part = frames.store();
        let printer = viewing.printer(&part);
        if args.call.is_some() {
            next.retain(|frame| printer.viewer.frame(frame).call_no() == args.call);
        }
        lines.write(printer, &next, (loaded.first, loaded.decimals))?;
    }
    bar.done();
    Ok(tell_files(&loaded, input.talk))
}

fn none(what: &str, no: u32, count: usize) -> Problem {
    Problem::Usage(format!("there is no {what} {no} in the capture: it has {count}"))
}

/// Writes frames as lines.
struct Lines<'a> {
    args: &'a FramesArgs,
    paint: bool,
    output: Output,
    columns: Option<FrameColumns>,
    /// The time of the last line.
    before: Option<Timestamp>,
}

impl<'a> Lines<'a> {
    fn new(args: &'a FramesArgs) -> Self {
        let paint = args.input.talk.color.decide();
        Self { args, paint, output: Output::new(), columns: None, before: None }
    }

    /// Writes `frames`; `clock`: when the first packet of the capture was captured, and how many decimals of a second its
    /// times have.
    fn write(&mut self, printer: Printer<'_>, frames: &[FrameRef], clock: (Option<Timestamp>, u8)) -> io::Result<()> {
        let Self { args, paint, output, columns, before } = self;
        for frame in frames {
            let columns = columns.get_or_insert_with(|| {
                let (first, decimals) = clock;
                let columns = FrameColumns::new(args.time.listed(first), decimals, terminal_width());
                if !args.json {
                    let heading = columns.heading();
                    let heading = if *paint { paint::heading(&heading) } else { heading };
                    output.buffer().extend_from_slice(heading.as_bytes());
                }
                columns
            });
            let view = printer.viewer.frame(frame);
            match (args.json, *paint) {
                (true, _) => printer.write_frame_json(view, output.buffer()),
                (false, false) => printer.write_frame_text(view, columns, *before, output.buffer()),
                (false, true) => {
                    let mut line = Vec::new();
                    printer.write_frame_text(view, columns, *before, &mut line);
                    let line = paint::frame_line(&String::from_utf8_lossy(&line));
                    output.buffer().extend_from_slice(line.as_bytes());
                }
            }
            *before = Some(frame.frame.time);
            output.checkpoint()?;
        }
        // What has come is shown before more is waited for.
        output.flush()
    }
}
