//! `rpcshark frames`: one line an HTTP/2 or ttrpc frame.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::describe::FRAMES_HEADING;
use rpcshark_dissectors::store::Keep;

use super::InputArgs;
use super::input::{Describing, tell_files};
use super::output::{Bar, Output, Problem};
use super::why::tell_why_none;
use crate::load::Loader;

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
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: FramesArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let schema = input.schema.load(input.talk)?;
    let loader = Loader::open(input.load_options(&args.files, Keep { frames: true, bodies: false }))?;
    let describing = Describing::new(input, schema, loader.files(), loader.sources());
    let mut bar = Bar::new(input.talk.quiet);
    let mut output = Output::new();
    let mut any = false;
    let mut since: Option<Timestamp> = None;
    let mut wrote = Ok(());
    let loaded = loader.run(|store, committed, progress| {
        bar.at(progress);
        let describer = describing.describer(store);
        for frame in &committed.frames {
            if !any && !args.json {
                output.buffer().extend_from_slice(FRAMES_HEADING.as_bytes());
            }
            any = true;
            let first = store.connections().first().map(|&at| store.connection(at).first);
            let since = *since.get_or_insert_with(|| first.unwrap_or_default());
            match args.json {
                true => describer.write_frame_json(frame, output.buffer()),
                false => describer.write_frame_text(frame, since, output.buffer()),
            }
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
    if !any {
        tell_why_none(&loaded, input.talk);
    }
    Ok(tell_files(&loaded, input.talk))
}
