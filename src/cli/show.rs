//! `rpcshark show`: calls in full.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rpcshark_dissectors::print::status_text;
use rpcshark_dissectors::store::Keep;

use super::InputArgs;
use super::input::{TimeArgs, Viewing, tell_files};
use super::output::{Bar, Output, Problem};
use super::paint;
use super::why::tell_why_none;
use crate::load::Inputs;

/// Calls in full: metadata, messages as trees, with --bytes the bytes beside them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark show capture.pcapng 12 --proto protos/
  rpcshark show capture.pcapng 12 13 --proto protos/ --bytes --all-headers")]
pub(super) struct ShowArgs {
    /// A capture, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Numbers of calls, as `calls` shows them
    #[arg(required = true, value_name = "NO")]
    no: Vec<u32>,

    /// The bytes of each field
    #[arg(long)]
    bytes: bool,

    /// One JSON object a call, as `calls --json` gives it, with field trees
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: ShowArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.schema.load(input.talk)?;
    let loader = input.open(Inputs::Paths(vec![args.file.clone()]), false, Keep { bodies: true, ..Keep::default() })?;
    let mut viewing = Viewing::new(input, schema, loader.files(), loader.sources());
    let mut bar = Bar::new(input.talk.quiet);
    let loaded = loader.run(|_, _, progress| {
        bar.at(progress);
        ControlFlow::Continue(())
    })?;
    bar.done();
    viewing.names = loaded.names.clone();
    let store = &loaded.store;
    let printer = viewing.printer(store);
    let times = args.time.asked(loaded.first);
    let mut output = Output::new();
    let mut missing = None;
    for (no, index) in args.no.iter().zip(0..) {
        let Some(call) = printer.viewer.call_by_no(*no) else {
            missing = missing.or(Some(*no));
            continue;
        };
        match args.json {
            true => printer.write_call_json(&call, true, output.buffer()),
            false => {
                let between = if index > 0 { "\n" } else { "" };
                output.buffer().extend_from_slice(between.as_bytes());
                let text = printer.show(&call, args.bytes, times.as_ref());
                let text = match paint {
                    true => paint::shown_call(&text, &status_text(&call)),
                    false => text,
                };
                output.buffer().extend_from_slice(text.as_bytes());
            }
        }
        output.checkpoint()?;
    }
    output.flush()?;
    let status = tell_files(&loaded, input.talk);
    if store.calls().is_empty() {
        tell_why_none(&loaded, input.talk);
    }
    match missing {
        Some(no) => {
            let file = args.file.display();
            let calls = store.calls().len();
            Err(Problem::Usage(format!("there is no call {no} in {file}: it has {calls}")))
        }
        None => Ok(status),
    }
}
