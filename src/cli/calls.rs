//! `rpcshark calls`: one line a call.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rayon::prelude::*;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::describe::{CALLS_HEADING, Describer};
use rpcshark_dissectors::store::{CallRef, Keep, Store};

use super::InputArgs;
use super::input::{Describing, tell_files};
use super::output::{Bar, Output, Problem};
use super::why::tell_why_none;
use crate::load::Loader;

/// One line a call.
///
/// Calls are numbered in the order in which their request headers were there. From a file they come in the order of
/// their numbers, from standard input in the order in which they ended, as soon as they have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark calls capture.pcapng --proto protos/
  rpcshark calls --json capture.pcapng --proto protos/ | jq 'select(.outcome != \"ok\")'
  tcpdump -i any -U -w - port 50051 | rpcshark calls - --proto protos/")]
pub(super) struct CallsArgs {
    /// Captures: files, directories, - for standard input; several are read as one, in the order of their times
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    input: InputArgs,
}

/// Calls described by one thread at a time.
const SHARE: usize = 2048;

/// Shares described before their text is written: bounds what is in memory.
const SHARES: usize = 16;

pub(super) fn run(args: CallsArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let schema = input.schema.load(input.talk)?;
    // A text line needs no body, but where methods may be guessed by what their messages hold.
    let keep = Keep { frames: false, bodies: args.json || !schema.services.is_empty() };
    let loader = Loader::open(input.load_options(&args.files, keep))?;
    let describing = Describing::new(input, schema, loader.files(), loader.sources());
    let live = args.files.iter().any(|file| file.as_os_str() == "-");
    let mut lines = Lines { json: args.json, output: Output::new(), headed: false, since: None };
    let mut printed = Printed::default();
    let mut bar = Bar::new(input.talk.quiet || live);
    let mut wrote = Ok(());
    let loaded = loader.run(|store, committed, progress| {
        bar.at(progress);
        if !live {
            return ControlFlow::Continue(());
        }
        // Somebody may be waiting: what has ended is shown.
        let fresh: Vec<CallRef> = committed.settled.into_iter().filter(|&at| printed.add(store, at)).collect();
        wrote = lines.write(&describing.describer(store), &fresh).and_then(|()| lines.output.flush());
        if wrote.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    wrote?;
    bar.done();
    let store = &loaded.store;
    let rest: Vec<CallRef> = store.calls().iter().copied().filter(|&at| !printed.has(store, at)).collect();
    lines.write(&describing.describer(store), &rest)?;
    lines.output.flush()?;
    if store.calls().is_empty() {
        tell_why_none(&loaded, input.talk);
    }
    Ok(tell_files(&loaded, input.talk))
}

/// Calls that are printed already, by their numbers.
#[derive(Default)]
struct Printed(Vec<bool>);

impl Printed {
    /// Whether it is new.
    fn add(&mut self, store: &Store, at: CallRef) -> bool {
        let index = index(store, at);
        if self.0.len() <= index {
            self.0.resize(index + 1, false);
        }
        self.0.get_mut(index).is_some_and(|printed| !std::mem::replace(printed, true))
    }

    fn has(&self, store: &Store, at: CallRef) -> bool {
        self.0.get(index(store, at)).copied().unwrap_or(false)
    }
}

fn index(store: &Store, at: CallRef) -> usize {
    store.call(at).no.map_or(0, |no| no.get() as usize)
}

/// Writes calls as lines.
struct Lines {
    json: bool,
    output: Output,
    headed: bool,
    /// What times count from.
    since: Option<Timestamp>,
}

impl Lines {
    fn write(&mut self, describer: &Describer<'_>, calls: &[CallRef]) -> io::Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        if !self.json && !self.headed {
            self.headed = true;
            self.output.buffer().extend_from_slice(CALLS_HEADING.as_bytes());
        }
        let store = describer.store;
        let first = || store.connections().first().map(|&at| store.connection(at).first);
        let since = *self.since.get_or_insert_with(|| first().unwrap_or_default());
        let json = self.json;
        for shares in calls.chunks(SHARE * SHARES) {
            let texts: Vec<Vec<u8>> = shares
                .par_chunks(SHARE)
                .map(|share| {
                    let mut text = Vec::new();
                    for &at in share {
                        match json {
                            true => describer.write_call_json(at, false, &mut text),
                            false => describer.write_call_text(at, since, &mut text),
                        }
                    }
                    text
                })
                .collect();
            for text in texts {
                self.output.write(&text)?;
            }
        }
        Ok(())
    }
}
