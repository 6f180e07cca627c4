//! `rpcshark calls`: one line per call.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::filter::{FilterScratch, Target};
use rpcshark_dissectors::json::checkpoint;
use rpcshark_dissectors::print::{CallColumns, Printer};
use rpcshark_dissectors::store::{CallRef, Keep, Store};

use super::InputArgs;
use super::columns::{ColumnArgs, Rows};
use super::filter::{FilterArgs, Sieve};
use super::input::{RawArgs, TimeArgs, Viewing, is_live, tell_files};
use super::order::OrderArgs;
use super::output::{Bar, Output, Problem, terminal_width};
use super::paint;
use super::remarks::Tally;
use super::shares::in_order;
use super::why::tell_why_none;
use crate::signals::{INTERRUPTED, Stop};

/// List calls, one per line
///
/// Calls are numbered in the order in which their request headers were complete. From a file they are listed in the order of
/// their numbers, from standard input in the order in which they end, as soon as they do.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = COLUMNS_AND_EXAMPLES)]
pub(super) struct CallsArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    /// Keep reading as the file grows
    #[arg(long)]
    pub(super) follow: bool,

    #[command(flatten)]
    pub(super) filter: FilterArgs,

    #[command(flatten)]
    columns: ColumnArgs,

    #[command(flatten)]
    order: OrderArgs,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    pub(super) input: InputArgs,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark calls capture.pcapng --proto protos/
  rpcshark calls capture.pcapng -Y 'rpc.outcome != ok && rpc.duration > 100ms'
  rpcshark calls capture.pcapng --sort -rpc.duration --limit 10
  rpcshark calls capture.pcapng -T fields -e rpc.no -e rpc.path -e rpc.status -E header=y
  rpcshark calls --json capture.pcapng --proto protos/ | jq 'select(.outcome != \"ok\")'
  tcpdump -i any -U --immediate-mode -w - port 50051 | rpcshark calls - --proto protos/";

/// Stands below `--help`, and in the manual page.
const COLUMNS_AND_EXAMPLES: &str = "\
Columns:
  No      number of the call, for `show`
  Time    when the call began, in seconds since the first packet (see --time)
  Conn    its connection, as `connections` lists it
  Method  package.Service/Method; (guessed): from the schema, since the capture does not have it
  Msgs    messages to the server (↑) and to the client (↓)
  Bytes   length of these messages on the wire
  Took    from the request to the end of the call; ? if it has no end in the capture
  Status  OK
          ✗  failed: the status and its message, or how the call was ended
          ~  open: the capture ends before the call does
          ?  ended, but its status is not in the capture
On a terminal, rows fit its width: the package is shortened from the left, the status from the right, and
narrow terminals have fewer columns. Otherwise rows are whole.

Examples:
  rpcshark calls capture.pcapng --proto protos/
  rpcshark calls capture.pcapng -Y 'rpc.outcome != ok && rpc.duration > 100ms'
  rpcshark calls capture.pcapng --sort -rpc.duration --limit 10
  rpcshark calls capture.pcapng -T fields -e rpc.no -e rpc.path -e rpc.status -E header=y
  rpcshark calls --json capture.pcapng --proto protos/ | jq 'select(.outcome != \"ok\")'
  tcpdump -i any -U --immediate-mode -w - port 50051 | rpcshark calls - --proto protos/";

/// Calls that one thread prints at a time.
const SHARE: usize = 512;

/// How many calls ahead of the one that is printed the next ones are fetched into the processor's cache.
const PREFETCH: usize = 8;

/// Bytes that a line of text mostly takes.
const LINE: usize = 160;

impl CallsArgs {
    /// What is to be read.
    pub(super) fn inputs(&self) -> crate::load::Inputs {
        self.raw.or(&self.files)
    }

    /// Whether options ask for a listing.
    pub(super) const fn is_listing(&self) -> bool {
        self.json || self.columns.is_given() || self.order.is_given()
    }
}

pub(super) fn run(args: CallsArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    let mut sieve = args.filter.compile(&schema, Target::Calls)?;
    let mut rows = args.columns.rows(args.json, &schema, Target::Calls)?;
    let order = args.order.compile(&schema, Target::Calls, args.follow)?;
    // A text line needs no body, but where methods may be guessed by what their messages hold.
    let bodies = rows.reads_bodies() || sieve.needs().bodies || order.reads_bodies() || !schema.services.is_empty();
    let frames = sieve.needs().frames || rows.needs_frames();
    let keep = Keep { frames, bodies, events: false };
    let lengths = sieve.needs().packet_lengths || rows.needs_packet_lengths();
    let loader = input.open(args.inputs(), args.follow, keep)?.with_packet_lengths(lengths);
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
    let live = !order.is_sorted() && (args.follow || args.files.iter().any(|file| is_live(file)));
    let stop = loader.stop();
    let mut lines =
        Lines { paint, output: Output::new(), columns: None, before: None, stop: None, left: order.limit() };
    let mut bar = Bar::new(input.talk.quiet || live);
    let mut tally = Tally::default();
    let shared = Arc::clone(loader.shared());
    let mut wrote = Ok(());
    // Shows what has ended, since somebody may be waiting. Whether more is wanted.
    let mut show = |store: &Store, completed: Vec<CallRef>, sieve: &mut Sieve, rows: &mut Rows| -> io::Result<bool> {
        let printer = viewing.printer(store);
        let chosen = sieve.choose(printer.viewer, completed.clone());
        let progress = shared.progress();
        lines.begin(|| columns(&args.time, progress.first, progress.decimals));
        lines.write(&printer, rows, &chosen)?;
        lines.output.flush()?;
        rows.forget(&completed);
        tally.add(store, &chosen, &viewing.schema, input);
        shared.forget(completed);
        Ok(lines.left > 0)
    };
    let loaded = match (frames, live) {
        // Frames are there only while their batch is.
        (true, _) => {
            let packet_lengths = loader.packet_lengths();
            loader.run(|store, committed, progress| {
                bar.at(progress);
                let viewer = viewing.viewer(store);
                sieve.observe(viewer, &committed.frames, &packet_lengths);
                rows.observe(viewer, &committed.frames, &packet_lengths);
                if live {
                    match show(store, committed.completed, &mut sieve, &mut rows) {
                        Ok(true) => {}
                        Ok(false) => return ControlFlow::Break(()),
                        Err(error) => {
                            wrote = Err(error);
                            return ControlFlow::Break(());
                        }
                    }
                }
                ControlFlow::Continue(())
            })?
        }
        (false, true) => {
            let follower = shared.follow();
            let loading = loader.start();
            let mut more = true;
            while more {
                more = follower.wait();
                let store = shared.read();
                let completed = follower.take(&store).completed;
                // The reading waits for the output, as it does for the lock: what is read is not further ahead than a
                // batch.
                if !show(&store, completed, &mut sieve, &mut rows)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            drop(follower);
            loading.join(|progress| bar.at(progress))?
        }
        (false, false) => {
            shared.skip_completed();
            loader.start().join(|progress| bar.at(progress))?
        }
    };
    wrote?;
    bar.done();
    let store = &loaded.store;
    let is_left = |at: &CallRef| !live || !store.call(*at).is_complete();
    let rest: Vec<CallRef> = store.calls().iter().copied().filter(is_left).collect();
    lines.begin(|| columns(&args.time, loaded.first, loaded.decimals));
    // What was read before a signal is shown; one that comes now ends the listing after a whole line.
    lines.stop = stop.filter(|_| !loaded.interrupted);
    let printer = viewing.printer(store);
    let rest = order.sort_calls(printer.viewer, sieve.choose(printer.viewer, rest));
    lines.write(&printer, &rows, &rest)?;
    lines.finish(&rows)?;
    if lines.is_stopped() {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if store.call_count() == 0 {
        tell_why_none(&loaded, input);
    }
    sieve.report("calls", input.talk);
    tally.add(store, &rest, &viewing.schema, input);
    if !sieve.hides_all() {
        tally.report(&loaded, input);
    }
    let code = sieve.status(tell_files(&loaded, input.talk));
    // The program ends: the system takes all memory back at once, which going through every call would only delay.
    std::mem::forget(loaded);
    Ok(code)
}

fn columns(times: &TimeArgs, first: Option<Timestamp>, decimals: u8) -> CallColumns {
    CallColumns::new(times.listed(first), decimals, terminal_width())
}

/// Writes calls as lines.
struct Lines {
    paint: bool,
    output: Output,
    columns: Option<CallColumns>,
    /// The call of the last line.
    before: Option<CallRef>,
    /// What ends the writing before the end.
    stop: Option<Arc<Stop>>,
    /// How many more may be written.
    left: usize,
}

impl Lines {
    /// How lines are laid out, if that is not known yet.
    fn begin(&mut self, columns: impl FnOnce() -> CallColumns) {
        self.columns.get_or_insert_with(columns);
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.is_raised())
    }

    /// Writes what a listing without rows consists of: the header that programs expect.
    fn finish(&mut self, rows: &Rows) -> io::Result<()> {
        if self.before.is_none()
            && let Rows::Fields(rows) = rows
            && let Some(heading) = rows.heading().filter(|_| !rows.is_aligned())
        {
            self.output.buffer().extend_from_slice(heading.as_bytes());
        }
        self.output.flush()
    }

    fn write(&mut self, printer: &Printer<'_>, rows: &Rows, calls: &[CallRef]) -> io::Result<()> {
        let Some(columns) = &self.columns else { return Ok(()) };
        let calls = calls.get(..self.left.min(calls.len())).unwrap_or_default();
        self.left -= calls.len();
        let Some(&last) = calls.last() else { return Ok(()) };
        let before = self.before.replace(last);
        if before.is_none() {
            let (heading, styled) = match rows {
                Rows::Text => (Some(columns.heading()), true),
                Rows::Json => (None, false),
                Rows::Fields(rows) => (rows.heading(), rows.is_aligned()),
            };
            if let Some(heading) = heading {
                let heading = if self.paint && styled { paint::heading(&heading) } else { heading };
                self.output.buffer().extend_from_slice(heading.as_bytes());
            }
        }
        let paint = self.paint;
        self.output.flush()?;
        let start = |at: CallRef| printer.viewer.store.call(at).start;
        in_order(calls.len().div_ceil(SHARE), self.stop.as_deref(), |share_no, text, drain| {
            let first = share_no * SHARE;
            let share = calls.get(first..).unwrap_or_default();
            let mut before = first.checked_sub(1).and_then(|at| calls.get(at).copied()).or(before).map(start);
            let mut scratch = FilterScratch::default();
            text.reserve(if matches!(rows, Rows::Text) { LINE * SHARE.min(share.len()) } else { 0 });
            for (index, &at) in share.iter().take(SHARE).enumerate() {
                if let Some(&ahead) = share.get(index + PREFETCH) {
                    printer.viewer.store.prefetch_call(ahead);
                }
                let call = printer.viewer.call(at);
                match rows {
                    Rows::Json => printer.write_call_json(&call, false, text, drain),
                    Rows::Fields(rows) => rows.write_call(&call, &mut scratch, text),
                    Rows::Text => {
                        let status = printer.write_call_text(&call, columns, before, text);
                        before = Some(start(at));
                        if paint {
                            paint::call_line(text, status);
                        }
                    }
                }
                checkpoint(text, drain);
            }
        })
    }
}
