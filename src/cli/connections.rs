//! `rpcshark connections`: one line a connection.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rpcshark_dissectors::json::Writer;
use rpcshark_dissectors::print::{CONNECTIONS_HEADING, Escaped};
use rpcshark_dissectors::store::Keep;

use super::InputArgs;
use super::input::{RawArgs, Viewing, tell_files};
use super::output::{Bar, Output, Problem};
use super::paint;
use super::remarks::report;
use super::why::tell_why_none;
use crate::load::Loaded;

/// One line a connection: protocol, ends, calls, errors, bytes, what is missing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark connections capture.pcapng
  rpcshark connections -v capture.pcapng     with a last line for each file: packets, and what was passed by")]
pub(super) struct ConnectionsArgs {
    /// Captures: files, directories, - for standard input
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One JSON object a line; with -v a last line about the files
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: ConnectionsArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.schema.load(input.talk)?;
    let loader = input.open(args.raw.or(&args.files), false, Keep::default())?;
    let mut viewing = Viewing::new(input, schema, loader.files(), loader.sources());
    let mut bar = Bar::new(input.talk.quiet);
    let loaded = loader.start().join(|progress| bar.at(progress))?;
    bar.done();
    viewing.names = loaded.names.clone();
    let store = &loaded.store;
    let printer = viewing.printer(store);
    let errors = printer.viewer.errors();
    let mut output = Output::new();
    if !args.json && store.connections().next().is_some() {
        let heading = CONNECTIONS_HEADING.to_owned();
        let heading = if paint { paint::heading(&heading) } else { heading };
        output.buffer().extend_from_slice(heading.as_bytes());
    }
    for at in store.connections() {
        let connection = printer.viewer.connection(at);
        let errors = errors.get(connection.number() as usize).copied().unwrap_or_default();
        match (args.json, paint) {
            (true, _) => printer.write_connection_json(connection, errors, output.buffer()),
            (false, false) => printer.write_connection_text(connection, errors, output.buffer()),
            (false, true) => {
                let mut lines = Vec::new();
                printer.write_connection_text(connection, errors, &mut lines);
                let lines = paint::connection_lines(&String::from_utf8_lossy(&lines));
                output.buffer().extend_from_slice(lines.as_bytes());
            }
        }
        output.checkpoint()?;
    }
    if input.talk.verbose {
        write_files(&loaded, args.json, output.buffer());
    }
    output.flush()?;
    if store.connections().next().is_none() {
        tell_why_none(&loaded, input);
    }
    report(&loaded, &[], &viewing.schema, input);
    Ok(tell_files(&loaded, input.talk))
}

/// What the files hold, and what of it was passed by.
fn write_files(loaded: &Loaded, json: bool, out: &mut Vec<u8>) {
    for (file, index) in loaded.files.iter().zip(0..) {
        // Packets are counted over all files; what is in none of the connections is said with the first.
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
