//! `rpcshark export`: calls as a capture that stands alone, and in forms for other programs.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::store::{CallRef, Keep};

use super::InputArgs;
use super::filter::FilterArgs;
use super::input::{Viewing, tell_files};
use super::output::{Bar, Problem, remark};
use super::show::CallNumbers;
use super::why::tell_why_none;
use crate::export::{Exported, connections_of, export_capture};
use crate::load::{ExactReading, Inputs, Loaded};
use crate::output_file::OutputFile;

/// Write calls to a capture that stands alone, or in a form for other programs
///
/// The capture is rewritten: it holds the chosen calls and nothing of others, in TCP packets of its own with the original ends
/// and times. Reading it gives the same calls. An export holds what the capture holds, secrets too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark export capture.pcapng -w failed.pcapng -Y 'rpc.outcome != ok'
  rpcshark export capture.pcapng 12 -w call.pcapng")]
pub(super) struct ExportArgs {
    /// A capture, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Which calls, by the numbers that `calls` shows: 12, 3-7, or all; without it, all that the filter shows
    #[arg(value_name = "NO")]
    no: Vec<CallNumbers>,

    /// The file to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// What to write
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Pcapng)]
    format: Format,

    /// Write through a symbolic link to a regular file, which is refused otherwise
    #[arg(long)]
    follow_symlink: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// What an export is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A capture that Wireshark and rpcshark open
    #[default]
    Pcapng,
}

pub(super) fn run(args: ExportArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let schema = input.schema.load(input.talk)?;
    let mut sieve = args.filter.compile(&schema, Target::Calls)?;
    let Some(path) = args.write.as_deref() else {
        return Err(Problem::Usage("name the file to write with -w FILE".to_owned()));
    };
    // Nothing in it changes before there is something to write.
    let file = OutputFile::open(path, args.follow_symlink)?;
    let needs = sieve.needs();
    let keep = Keep { bodies: true, frames: needs.frames, events: false };
    let loader = input.open_twice(Inputs::Paths(vec![args.file.clone()]), keep)?;
    let loader = loader.with_packet_lengths(needs.packet_lengths);
    if let Some(same) = loader.files().iter().find(|info| is_same(info.path.as_deref(), path)) {
        return Err(Problem::Refused(format!("{} is the capture that is exported from; name another file", same.name)));
    }
    let options = loader.options().clone();
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
    let mut bar = Bar::new(input.talk.quiet);
    let lengths = loader.packet_lengths();
    let loaded = match needs.frames {
        true => loader.run(|store, committed, progress| {
            bar.at(progress);
            sieve.observe(viewing.viewer(store), &committed.frames, &lengths);
            ControlFlow::Continue(())
        })?,
        false => loader.start().join(|progress| bar.at(progress))?,
    };
    bar.done();
    let chosen = choose(&args, &loaded)?;
    let chosen = sieve.choose(viewing.viewer(&loaded.store), chosen);
    if loaded.store.call_count() == 0 {
        tell_why_none(&loaded, input);
    }
    sieve.report("calls", input.talk);
    if let Some(fault) = options.spool.as_ref().and_then(|spool| spool.fault()) {
        return Err(Problem::Usage(format!("standard input could not be kept to be read again: {fault}")));
    }
    let mut bar = Bar::new(input.talk.quiet);
    let connections = connections_of(&loaded.store, &chosen);
    let reading = ExactReading::read(&options, &connections, |progress| bar.at(progress))?;
    bar.done();
    let failed = |source| Problem::Write { path: path.to_owned(), source };
    let out = BufWriter::new(file.begin()?);
    let (mut out, exported) = export_capture(&reading, &chosen, out).map_err(failed)?;
    out.flush().map_err(failed)?;
    if !input.talk.quiet {
        report(&exported, chosen.len(), path);
    }
    Ok(sieve.status(tell_files(&loaded, input.talk)))
}

/// Whether two paths name one file.
fn is_same(input: Option<&Path>, output: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    input.and_then(id).is_some_and(|input| id(output) == Some(input))
}

/// The calls whose numbers are given, or all.
fn choose(args: &ExportArgs, loaded: &Loaded) -> Result<Vec<CallRef>, Problem> {
    let store = &loaded.store;
    if args.no.is_empty() {
        return Ok(store.calls().to_vec());
    }
    let mut chosen = Vec::new();
    for numbers in &args.no {
        let (range, beyond) = numbers.among(store.call_count());
        if let Some(no) = beyond {
            let text = format!("there is no call {no} in {}, which has {}", args.file.display(), store.call_count());
            return Err(Problem::Usage(text));
        }
        chosen.extend(range.filter_map(|no| store.call_by_no(no)));
    }
    chosen.sort_by_key(|&at| store.call(at).no);
    chosen.dedup();
    Ok(chosen)
}

/// Prints on standard error what was exported.
fn report(exported: &Exported, calls: usize, path: &Path) {
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    remark(&format!(
        "{} on {} written to {}",
        count(calls, "call"),
        count(exported.connections, "connection"),
        path.display()
    ));
    if exported.whole_trunks > 0 {
        let trunks = count(exported.whole_trunks, "NRI connection");
        remark(&format!("{trunks} written with all calls: their frames cannot be separated"));
    }
    if exported.unreadable > 0 {
        let runs = count(exported.unreadable as usize, "run");
        remark(&format!("{runs} of bytes could not be read again; they are missing from the export"));
    }
}
