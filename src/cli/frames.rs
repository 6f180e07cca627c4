//! `rpcshark frames`: one line per HTTP/2 or ttrpc frame.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::print::FrameColumns;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{CallRef, ConnectionRef, FrameRef, Keep};
use rpcshark_dissectors::view::Viewer;

use super::InputArgs;
use super::columns::ColumnArgs;
use super::filter::FilterArgs;
use super::frame_rows::{Held, Listing};
use super::input::{RawArgs, TimeArgs, Viewing, is_live, tell_files};
use super::order::OrderArgs;
use super::output::{Bar, Problem, terminal_width};
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
    filter: FilterArgs,

    #[command(flatten)]
    columns: ColumnArgs,

    #[command(flatten)]
    order: OrderArgs,

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
  rpcshark frames capture.pcapng -Y 'http2.type == RST_STREAM || rpc.status == UNAVAILABLE'
  rpcshark frames capture.pcapng -T fields -e frame.number -e http2.type -e http2.streamid
  rpcshark frames --json capture.pcapng | jq 'select(.type == \"GOAWAY\")'";

/// Stands below `--help`, and in the manual page.
const COLUMNS_AND_EXAMPLES: &str = "\
Columns:
  No      number of the frame; with --call and --connection only if the whole capture was indexed
  Packet  number of the packet that completed it
  File    the file that has it, where several files are read together (on terminals of 120 columns or more)
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
  rpcshark frames capture.pcapng -Y 'http2.type == RST_STREAM || rpc.status == UNAVAILABLE'
  rpcshark frames capture.pcapng -T fields -e frame.number -e http2.type -e http2.streamid
  rpcshark frames --json capture.pcapng | jq 'select(.type == \"GOAWAY\")'";

pub(super) fn run(args: FramesArgs) -> Result<ExitCode, Problem> {
    let schema = args.input.load_schema()?;
    let sieve = args.filter.compile(&schema, Target::Frames)?;
    let rows = args.columns.rows(args.json, &schema, Target::Frames)?;
    let order = args.order.compile(&schema, Target::Frames, args.follow)?;
    let listing = Listing::new(sieve, rows, order, args.input.talk.color.decide());
    match (args.call, args.connection) {
        (None, None) => list_all(args, schema, listing),
        _ => list_some(args, schema, listing),
    }
}

/// Complete calls that are remembered while a capture is followed: frames may still come for them.
const REMEMBERED: usize = 8192;

/// Lists all frames, as they come.
fn list_all(args: FramesArgs, schema: Arc<Schema>, mut listing: Listing) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let live = args.follow || args.files.iter().any(|file| is_live(file));
    let needs_calls = listing.needs_calls();
    let bodies = listing.reads_bodies() || needs_calls && !schema.services.is_empty();
    let mut bar = Bar::new(input.talk.quiet || live);
    // What is asked of calls is known when they have ended: files are read once for the calls and once for the frames.
    let ended = match needs_calls && !live {
        true => {
            let loader = input.open(args.raw.or(&args.files), false, Keep { bodies, ..Keep::default() })?;
            let viewing = Viewing::new(input, Arc::clone(&schema), loader.files(), loader.sources())?;
            Some((loader.start().join(|progress| bar.at(progress))?, viewing))
        }
        false => None,
    };
    let keep = Keep { frames: true, bodies: bodies && live, events: false };
    let loader = input.open(args.raw.or(&args.files), args.follow, keep)?;
    let loader = loader.with_packet_lengths(listing.needs_packet_lengths());
    listing.lengths = loader.packet_lengths();
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
    let mut held = Held::default();
    let shared = Arc::clone(loader.shared());
    let mut complete = VecDeque::new();
    let mut wrote = Ok(());
    let loaded = loader.run(|store, committed, progress| {
        bar.at(progress);
        complete.extend(committed.completed.iter().filter(|_| live));
        listing.begin(|| columns(&args.time, progress.first, progress.decimals, &viewing.files));
        let printer = viewing.printer(store);
        let viewer = printer.viewer;
        wrote = match &ended {
            Some((loaded, viewing)) => {
                let calls = viewing.viewer(&loaded.store);
                committed
                    .frames
                    .iter()
                    .try_for_each(|frame| listing.write(&printer, frame, same_call(viewer, frame, calls)))
            }
            None if needs_calls => {
                held.add(viewer, committed, |frame, at| listing.write(&printer, frame, at.map(|at| (viewer, at))))
            }
            None => committed.frames.iter().try_for_each(|frame| listing.write(&printer, frame, None)),
        };
        if live {
            shared.forget(complete.drain(..complete.len().saturating_sub(REMEMBERED)).collect());
        }
        // What has come is shown before more is waited for.
        wrote = std::mem::replace(&mut wrote, Ok(())).and_then(|()| listing.flush());
        if wrote.is_ok() && !listing.is_full() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    wrote?;
    let printer = viewing.printer(&loaded.store);
    held.rest(|frame, at| listing.write(&printer, frame, at.map(|at| (printer.viewer, at))))?;
    listing.finish()?;
    bar.done();
    if !listing.has_seen_any() {
        tell_why_none(&loaded, input);
    }
    listing.sieve.report("frames", input.talk);
    held.report(input.talk.quiet);
    report(&loaded, &[], &viewing.schema, input);
    Ok(listing.sieve.status(tell_files(&loaded, input.talk)))
}

/// The call of a frame in another reading of the same capture: both number their calls alike.
fn same_call<'a>(viewer: Viewer<'_>, frame: &FrameRef, calls: Viewer<'a>) -> Option<(Viewer<'a>, CallRef)> {
    let no = viewer.frame(frame).call_no()?;
    calls.store.call_by_no(no).map(|at| (calls, at))
}

/// Lists the frames of one call or connection: the capture is read once to find it, and once more for its frames.
fn list_some(args: FramesArgs, schema: Arc<Schema>, mut listing: Listing) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let keep = Keep { bodies: listing.reads_bodies(), ..Keep::default() };
    let loader = input.open_twice(args.raw.or(&args.files), keep)?;
    let loader = loader.with_packet_lengths(listing.needs_packet_lengths());
    listing.lengths = loader.packet_lengths();
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
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
    listing.begin(|| columns(&args.time, loaded.first, loaded.decimals, &viewing.files));
    while !loaded.interrupted
        && let Some(mut next) = frames.next_frames(store)?
    {
        bar.at(frames.progress());
        let part = frames.store();
        let printer = viewing.printer(&part);
        if args.call.is_some() {
            next.retain(|frame| printer.viewer.frame(frame).call_no() == args.call);
        }
        let calls = viewing.viewer(store);
        next.iter().try_for_each(|frame| listing.write(&printer, frame, same_call(printer.viewer, frame, calls)))?;
        if listing.is_full() {
            break;
        }
    }
    listing.finish()?;
    bar.done();
    listing.sieve.report("frames", input.talk);
    Ok(listing.sieve.status(tell_files(&loaded, input.talk)))
}

fn none(what: &str, no: u32, count: usize) -> Problem {
    Problem::Usage(format!("there is no {what} {no} in the capture: it has {count}"))
}

fn columns(times: &TimeArgs, first: Option<Timestamp>, decimals: u8, files: &[String]) -> FrameColumns {
    FrameColumns::new(times.listed(first), decimals, terminal_width()).naming_files(files)
}
