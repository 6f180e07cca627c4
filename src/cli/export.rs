//! `rpcshark export`: calls as a capture that stands alone, and in forms for other programs.

use std::fs::DirBuilder;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use rpcshark_dissectors::filter::{Column, FilterScratch, Target};
use rpcshark_dissectors::json::keep;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{CallRef, Keep};
use rpcshark_dissectors::view::Viewer;
use tempfile::NamedTempFile;

use super::InputArgs;
use super::columns::{FieldName, FilterFields};
use super::filter::FilterArgs;
use super::input::{Viewing, tell_files};
use super::output::{Bar, Problem, remark};
use super::show::CallNumbers;
use super::why::tell_why_none;
use crate::export::{
    CSV_COLUMNS, Exported, MessageFile, Redacted, Redacting, Redactor, connections_of, export_capture, grpcurl,
    message_files, unknown_fields, write_csv_call, write_csv_header,
};
use crate::load::{CopyError, ExactReading, Inputs, LoadOptions, Loaded, Loader, copy_packets};
use crate::output_file::OutputFile;

/// Write calls to a capture that stands alone, or in a form for other programs
///
/// The capture is rewritten: it holds the chosen calls and nothing of others, in TCP packets of its own with the original ends
/// and times. Reading it gives the same calls. Without --redact, an export holds what the capture holds, secrets too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark export capture.pcapng -w failed.pcapng -Y 'rpc.outcome != ok'
  rpcshark export capture.pcapng 12 -w call.pcapng
  rpcshark export capture.pcapng --redact --redact-field acme.User.email --proto api.proto -w shared.pcapng
  rpcshark export capture.pcapng --format csv -e rpc.path -e rpc.duration -w calls.csv
  rpcshark export capture.pcapng 12 --messages messages/
  rpcshark export capture.pcapng 12 --format grpcurl --proto api.proto")]
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

    /// With --format csv: a field to write; may be given several times
    #[arg(short = 'e', value_name = "FIELD", value_parser = FieldName::<FilterFields>::new(), hide_possible_values = true)]
    field: Vec<String>,

    /// Instead of one file: write each message, decompressed, to a file of its own in this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["write", "format", "field"])]
    messages: Option<PathBuf>,

    /// Replace secrets by pseudonyms, so that the export can be passed on: the values of hidden header fields, and of message
    /// fields that the schema marks debug_redact
    #[arg(long, conflicts_with_all = ["show_secrets", "original_packets"])]
    redact: bool,

    /// Likewise the values of this message field: package.Message.field, or the name of a field in all messages (may be
    /// repeated; implies --redact)
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["show_secrets", "original_packets"])]
    redact_field: Vec<String>,

    /// Instead of writing the calls anew: copy the packets of their connections as they are, with all that other calls have in
    /// them
    #[arg(long, conflicts_with_all = ["messages", "field"])]
    original_packets: bool,

    /// With --original-packets: leave out the secrets of the TLS connections, without which nobody can read their calls
    #[arg(long, requires = "original_packets")]
    no_secrets: bool,

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
    /// One JSON object per line, as `calls --json` prints them
    Jsonl,
    /// A line per call with the fields chosen with -e
    Csv,
    /// One call as a command line for grpcurl
    Grpcurl,
}

pub(super) fn run(args: ExportArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let schema = input.load_schema()?;
    let mut sieve = args.filter.compile(&schema, Target::Calls)?;
    let columns = args.check(&schema)?;
    // Nothing in it changes before there is something to write.
    let file = args.write.as_deref().map(|path| OutputFile::open(path, args.follow_symlink)).transpose()?;
    let needs = sieve.needs();
    let kept = Keep { bodies: true, frames: needs.frames, events: false };
    let loader = input.open_twice(Inputs::Paths(vec![args.file.clone()]), kept)?;
    let loader = loader.with_packet_lengths(needs.packet_lengths);
    let path = args.write.as_deref().unwrap_or(Path::new("-"));
    if let Some(same) = loader.files().iter().find(|info| is_same(info.path.as_deref(), path)) {
        return Err(Problem::Refused(format!("{} is the capture that is exported from; name another file", same.name)));
    }
    let options = loader.options().clone();
    let viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
    let loaded = sieve.read(loader, &viewing, input.talk.quiet)?;
    let chosen = choose(&args, &loaded)?;
    let chosen = sieve.choose(viewing.viewer(&loaded.store), chosen);
    if loaded.store.call_count() == 0 {
        tell_why_none(&loaded, input);
    }
    sieve.report("calls", input.talk);
    let failed = |source| Problem::Write { path: path.to_owned(), source };
    let out: Box<dyn Write> = match file {
        Some(file) => Box::new(file.begin()?),
        None => Box::new(io::stdout()),
    };
    let mut out = BufWriter::new(out);
    let export = Export { args: &args, options: &options, viewing: &viewing, path };
    if args.original_packets {
        export.write_original_packets(&loaded, &chosen, &mut out)?;
    } else if args.format == Format::Pcapng && args.messages.is_none() {
        let exported = export.write_capture(&loaded, &chosen, &mut out)?;
        export.report(&exported, chosen.len());
    } else if args.redacts() {
        let copy = export.redacted_copy(&loaded, &chosen)?;
        let revealed = viewing.revealed(Arc::clone(&copy.sources));
        let export = Export { viewing: &revealed, ..export };
        export.write_form(&copy, copy.store.calls(), &columns, &mut out)?;
    } else {
        export.write_form(&loaded, &chosen, &columns, &mut out)?;
    }
    out.flush().map_err(failed)?;
    Ok(sieve.status(tell_files(&loaded, input.talk)))
}

impl ExportArgs {
    const fn redacts(&self) -> bool {
        self.redact || !self.redact_field.is_empty()
    }

    /// Checks what options ask for together; the columns of CSV.
    fn check(&self, schema: &Schema) -> Result<Vec<Column>, Problem> {
        if self.format == Format::Pcapng && self.write.is_none() && self.messages.is_none() {
            return Err(Problem::Usage("name the file to write with -w FILE".to_owned()));
        }
        if !self.field.is_empty() && self.format != Format::Csv {
            return Err(Problem::Usage("-e chooses the fields of --format csv".to_owned()));
        }
        if self.original_packets && self.format != Format::Pcapng {
            return Err(Problem::Usage(
                "--original-packets writes a capture, and --format asks for another form".to_owned(),
            ));
        }
        if let Some(name) = unknown_fields(schema, &self.redact_field).next() {
            let text = match self.input.schema.is_given() {
                true => format!("no message in the schemas has a field {name}"),
                false => format!("--redact-field {name} needs a schema; name one with --proto or --protoset"),
            };
            return Err(Problem::Usage(text));
        }
        let names = self.field.iter().map(String::as_str);
        let names: Vec<&str> = if self.field.is_empty() { CSV_COLUMNS.to_vec() } else { names.collect() };
        let columns = names.into_iter().map(|name| Column::compile(name, schema, Target::Calls));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(Problem::Filter)?;
        if let Some(column) = columns.iter().find(|column| column.is_of_frames()) {
            return Err(Problem::Usage(format!("{} is a field of frames, and export writes calls", column.name())));
        }
        Ok(columns)
    }
}

/// An export that is being made.
#[derive(Clone, Copy)]
struct Export<'a> {
    args: &'a ExportArgs,
    options: &'a LoadOptions,
    viewing: &'a Viewing,
    /// Where it goes.
    path: &'a Path,
}

impl Export<'_> {
    fn failed(&self, source: io::Error) -> Problem {
        Problem::Write { path: self.path.to_owned(), source }
    }

    /// Standard input is read again from a file in which it was kept.
    fn check_spool(&self) -> Result<(), Problem> {
        match self.options.spool.as_ref().and_then(|spool| spool.fault()) {
            Some(fault) => Err(Problem::Usage(format!("standard input could not be kept to be read again: {fault}"))),
            None => Ok(()),
        }
    }

    /// Writes calls as a capture that stands alone.
    fn write_capture(&self, loaded: &Loaded, calls: &[CallRef], out: &mut dyn Write) -> Result<Exported, Problem> {
        self.check_spool()?;
        let mut bar = Bar::new(self.args.input.talk.quiet);
        let connections = connections_of(&loaded.store, calls);
        let reading = ExactReading::read(self.options, &connections, |progress| bar.at(progress))?;
        bar.done();
        let revealed = self.viewing.revealed(Arc::clone(&reading.sources));
        let redactor = Redactor::new(&self.viewing.schema, &self.viewing.redaction, &self.args.redact_field);
        let redacting = Redacting { redactor: &redactor, viewer: revealed.viewer(&reading.store) };
        let redacting = self.args.redacts().then_some(redacting);
        let exported = export_capture(&reading, calls, redacting, out).map_err(|source| self.failed(source))?.1;
        Ok(exported)
    }

    /// Calls without their secrets, as another reading.
    fn redacted_copy(&self, loaded: &Loaded, calls: &[CallRef]) -> Result<Loaded, Problem> {
        let mut file = NamedTempFile::new().map_err(|source| self.failed(source))?;
        let exported = self.write_capture(loaded, calls, &mut BufWriter::new(&mut file))?;
        self.report_redacted(&exported.redacted);
        let inputs = Inputs::Paths(vec![file.path().to_owned()]);
        let keep = Keep { bodies: true, ..Keep::default() };
        let options = LoadOptions { inputs, keep, count: None, spool: None, ..self.options.clone() };
        Ok(Loader::open(options)?.start().join(|_| {})?)
    }

    /// Copies the packets of the calls' connections.
    fn write_original_packets(&self, loaded: &Loaded, calls: &[CallRef], out: &mut dyn Write) -> Result<(), Problem> {
        self.check_spool()?;
        let connections = connections_of(&loaded.store, calls);
        let tls = connections.iter().filter_map(|&at| loaded.store.connection(at).tls.as_deref());
        let randoms: Vec<_> = tls.flat_map(|tls| &tls.randoms).collect();
        let key_log = if self.args.no_secrets { String::new() } else { loaded.secrets.key_log(randoms) };
        let copied = copy_packets(self.options, &loaded.store, &connections, &key_log, out);
        let packets = copied.map_err(|error| match error {
            CopyError::Capture(error) => error.into(),
            CopyError::NoPackets(_) => Problem::Usage(error.to_string()),
            CopyError::Write(source) => self.failed(source),
        })?;
        if !self.args.input.talk.quiet {
            let packets = count(packets as usize, "packet");
            let connections = count(connections.len(), "connection");
            remark(&format!("{packets} of {connections} copied to {}", self.path.display()));
            if !key_log.is_empty() {
                remark("the secrets of its TLS connections are in it; --no-secrets leaves them out");
            }
        }
        Ok(())
    }

    /// Writes calls in a form for other programs.
    fn write_form(
        &self,
        loaded: &Loaded,
        calls: &[CallRef],
        columns: &[Column],
        out: &mut dyn Write,
    ) -> Result<(), Problem> {
        let Self { args, viewing, .. } = *self;
        let failed = |source| self.failed(source);
        let mut printer = viewing.printer(&loaded.store);
        printer.decimals = loaded.decimals;
        if let Some(directory) = &args.messages {
            return write_messages(args, printer.viewer, calls, directory);
        }
        let mut text = Vec::new();
        match args.format {
            Format::Pcapng => {}
            Format::Jsonl => {
                for &at in calls {
                    printer.write_call_json(&printer.viewer.call(at), false, &mut text, &mut keep);
                    out.write_all(&text).map_err(failed)?;
                    text.clear();
                }
            }
            Format::Csv => {
                let mut scratch = FilterScratch::default();
                write_csv_header(columns, &mut text);
                for &at in calls {
                    write_csv_call(&printer.viewer.call(at), columns, &mut scratch, &mut text);
                    out.write_all(&text).map_err(failed)?;
                    text.clear();
                }
                out.write_all(&text).map_err(failed)?;
            }
            Format::Grpcurl => {
                let [only] = calls[..] else {
                    let text = format!("--format grpcurl writes one call, and {} are chosen", calls.len());
                    return Err(Problem::Usage(text));
                };
                let call = printer.viewer.call(only);
                let (line, hides) = grpcurl(&call, &args.input.schema_sources()?).map_err(Problem::Usage)?;
                writeln!(out, "{line}").map_err(failed)?;
                if hides && !args.input.talk.quiet {
                    remark("secrets are hidden in the command line; --show-secrets writes them");
                }
            }
        }
        Ok(())
    }

    /// Prints on standard error what was exported.
    fn report(&self, exported: &Exported, calls: usize) {
        if self.args.input.talk.quiet {
            return;
        }
        let connections = count(exported.connections, "connection");
        remark(&format!("{} on {connections} written to {}", count(calls, "call"), self.path.display()));
        if exported.whole_trunks > 0 {
            let trunks = count(exported.whole_trunks, "NRI connection");
            remark(&match self.args.redacts() {
                true => format!("{trunks} left out: their frames cannot be separated"),
                false => format!("{trunks} written with all calls: their frames cannot be separated"),
            });
        }
        if exported.unreadable > 0 {
            let runs = count(exported.unreadable as usize, "run");
            remark(&format!("{runs} of bytes could not be read again; they are missing from the export"));
        }
        self.report_redacted(&exported.redacted);
    }

    /// Prints on standard error what was done about secrets.
    fn report_redacted(&self, redacted: &Redacted) {
        if self.args.input.talk.quiet || !self.args.redacts() {
            return;
        }
        let Redacted { values, parts, messages } = *redacted;
        remark(&format!("{} replaced by pseudonyms or defaults", count(values as usize, "secret value")));
        if parts > 0 {
            let parts = count(parts as usize, "field");
            remark(&format!("{parts} of unknown numbers or types left out of messages"));
        }
        if messages > 0 {
            let messages = count(messages as usize, "message");
            remark(&format!("{messages} left out: of unknown type, incomplete, or impossible to decompress"));
        }
    }
}

/// `1 call`, `2 calls`.
fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Whether two paths name one file.
fn is_same(input: Option<&Path>, output: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    input.and_then(id).is_some_and(|input| id(output) == Some(input))
}

/// Writes each message of `calls` to a file of its own.
fn write_messages(args: &ExportArgs, viewer: Viewer<'_>, calls: &[CallRef], directory: &Path) -> Result<(), Problem> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Problem::Write { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    let mut count = 0;
    for &at in calls {
        let call = viewer.call(at);
        for MessageFile { name, bytes } in message_files(&call) {
            let path = directory.join(name);
            let mut file = OutputFile::open(&path, args.follow_symlink)?.begin()?;
            file.write_all(&bytes).map_err(failed(&path))?;
            count += 1;
        }
    }
    if !args.input.talk.quiet {
        let messages = if count == 1 { "message" } else { "messages" };
        remark(&format!("{count} {messages} written to {}", directory.display()));
    }
    Ok(())
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
