//! `rpcshark frames`: one line an HTTP/2 or ttrpc frame.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::print::{Times, frames_heading};
use rpcshark_dissectors::store::Keep;

use super::InputArgs;
use super::input::{RawArgs, TimeArgs, Viewing, is_live, tell_files};
use super::output::{Bar, Output, Problem};
use super::paint;
use super::remarks::report;
use super::why::tell_why_none;

/// One line an HTTP/2 or ttrpc frame.
///
/// The client preface is no frame. A frame stands under the packet that completed it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark frames capture.pcapng
  rpcshark frames --json capture.pcapng | jq 'select(.type == \"GOAWAY\")'")]
pub(super) struct FramesArgs {
    /// Captures: files, directories, - for standard input
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// Go on reading as the file grows
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: FramesArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.schema.load(input.talk)?;
    let loader = input.open(args.raw.or(&args.files), args.follow, Keep { frames: true, ..Keep::default() })?;
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources());
    let mut bar = Bar::new(input.talk.quiet || args.follow || args.files.iter().any(|file| is_live(file)));
    let mut output = Output::new();
    let mut times: Option<Times> = None;
    let mut before: Option<Timestamp> = None;
    let mut wrote = Ok(());
    let loaded = loader.run(|store, committed, progress| {
        bar.at(progress);
        let printer = viewing.printer(store);
        for frame in &committed.frames {
            let times = times.get_or_insert_with(|| {
                let times = args.time.listed(progress.first);
                if !args.json {
                    let heading = frames_heading(&times);
                    let heading = if paint { paint::heading(&heading) } else { heading };
                    output.buffer().extend_from_slice(heading.as_bytes());
                }
                times
            });
            match (args.json, paint) {
                (true, _) => printer.write_frame_json(printer.viewer.frame(frame), output.buffer()),
                (false, false) => printer.write_frame_text(printer.viewer.frame(frame), times, before, output.buffer()),
                (false, true) => {
                    let mut line = Vec::new();
                    printer.write_frame_text(printer.viewer.frame(frame), times, before, &mut line);
                    let line = paint::frame_line(&String::from_utf8_lossy(&line));
                    output.buffer().extend_from_slice(line.as_bytes());
                }
            }
            before = Some(frame.frame.time);
            wrote = output.checkpoint();
            if wrote.is_err() {
                return ControlFlow::Break(());
            }
        }
        // What has come is shown before more is waited for.
        wrote = output.flush();
        if wrote.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    wrote?;
    bar.done();
    if times.is_none() {
        tell_why_none(&loaded, input);
    }
    report(&loaded, &[], &viewing.schema, input);
    Ok(tell_files(&loaded, input.talk))
}
