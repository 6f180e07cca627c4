//! The worker that exports: it writes calls to new files in forms for other programs, and copies single ones.
//!
//! Files are new and readable by their owner only: an export holds what was sent. One that is given up is removed.

use std::fs::{self, DirBuilder};
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use anyhow::{Context, bail};
use rpcshark_captures::Direction;
use rpcshark_dissectors::filter::{Column, Filter, FilterScratch, Target, Truth};
use rpcshark_dissectors::json::keep;
use rpcshark_dissectors::print::Printer;
use rpcshark_dissectors::protobuf::{JsonPrinter, raw};
use rpcshark_dissectors::store::{CallRef, Store};
use rpcshark_dissectors::view::{CallView, Redaction, Scratch, Viewer, as_json};
use rpcshark_tui::backend::{CopyForm, ExportForm, ExportReply, ExportRequest, Reply, WhichCalls};
use rpcshark_tui::model::follow::MessageNo;
use rpcshark_tui::text::counted;

use super::backend::Shared;
use super::errands;
use super::requests::Requests;
use super::terminal::Signal;
use super::timeline::is_live;
use crate::cli::FileBodies;
use crate::export::{
    CSV_COLUMNS, Exported, MessageFile, Redacted, Redacting, Redactor, connections_of, export_capture, grpcurl,
    message_files, write_csv_call, write_csv_header,
};
use crate::load::schema::Sources;
use crate::load::{ExactReading, LoadOptions};
use crate::output_file::OutputFile;
use crate::signals::Stop;

/// Calls that are looked at under one lock.
const AT_ONCE: usize = 256;

/// Carries out requests until nobody asks any more.
pub(super) fn work(
    shared: &Arc<Shared>,
    load: &LoadOptions,
    sources: &Sources,
    requests: &Requests<ExportRequest>,
    to: &Sender<Signal>,
) {
    let worker = Worker { shared, load, sources, to, bodies: FileBodies(Arc::clone(shared.store.sources())), requests };
    while let Ok(request) = requests.recv() {
        match request {
            ExportRequest::Write { calls, form, path } => {
                let (text, error) = match worker.write(&calls, form, &path) {
                    Ok(text) => (text, false),
                    Err(error) => (format!("not exported: {error:#}"), true),
                };
                worker.reply(Reply::Export(ExportReply::Ended { text, error }));
            }
            ExportRequest::Copy { no, what } => match worker.text(no, what) {
                Ok(text) => errands::copy(&text, false, to),
                Err(error) => worker.reply(Reply::Say { text: format!("nothing copied: {error:#}"), error: true }),
            },
            ExportRequest::Cancel => {}
        }
    }
}

struct Worker<'w> {
    shared: &'w Arc<Shared>,
    load: &'w LoadOptions,
    sources: &'w Sources,
    to: &'w Sender<Signal>,
    bodies: FileBodies,
    requests: &'w Requests<ExportRequest>,
}

impl Worker<'_> {
    fn reply(&self, reply: Reply) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(Signal::Reply(reply));
    }

    fn progress(&self, percent: u64) {
        self.reply(Reply::Export(ExportReply::Progress(percent.min(100) as u8)));
    }

    /// Whether the user has given up. While something is written, other requests have no effect.
    fn is_cancelled(&self) -> bool {
        self.requests.try_iter().any(|request| request == ExportRequest::Cancel)
    }

    /// Writes calls to a new file. What to say about it.
    fn write(&self, calls: &WhichCalls, form: ExportForm, path: &Path) -> anyhow::Result<String> {
        if path.exists() {
            bail!("{} exists; choose another name", path.display());
        }
        self.progress(0);
        let calls = self.choose(calls)?;
        if calls.is_empty() {
            bail!("there is no call to export");
        }
        if form == ExportForm::Messages {
            return self.write_messages(&calls, path);
        }
        let file = OutputFile::open(path, false)?.begin()?;
        let mut out = BufWriter::new(file);
        let written = match form {
            ExportForm::Capture => self.write_capture(&calls, false, &mut out),
            ExportForm::RedactedCapture => self.write_capture(&calls, true, &mut out),
            _ => self.write_text(&calls, form, &mut out),
        };
        let remark = written.and_then(|remark| {
            out.flush()?;
            Ok(remark)
        });
        match remark {
            Ok(remark) => {
                let size = path.metadata().map_or(0, |metadata| metadata.len());
                let size = rpcshark_dissectors::print::size_text(size);
                Ok(format!("{} written to {}, {size}{remark}", counted(calls.len() as u64, "call"), path.display()))
            }
            Err(error) => {
                // A file that ends in the middle looks like a whole one.
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    fn choose(&self, calls: &WhichCalls) -> anyhow::Result<Vec<CallRef>> {
        match calls {
            WhichCalls::Numbers(numbers) => {
                let store = self.shared.store.read();
                Ok(numbers.iter().filter_map(|&no| store.call_by_no(no)).collect())
            }
            WhichCalls::Matching(filter) => {
                let decoding = self.shared.decoding();
                let compiled = Filter::compile(filter, &decoding.schema, Target::Calls)?;
                let mut scratch = FilterScratch::default();
                let mut chosen = Vec::new();
                let count = self.shared.store.read().call_count();
                for from in (1..=count).step_by(AT_ONCE) {
                    if self.is_cancelled() {
                        bail!("given up");
                    }
                    let store = self.shared.store.read();
                    let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
                    for at in (from..=count).take(AT_ONCE).filter_map(|no| store.call_by_no(no)) {
                        let is_wanted =
                            filter.is_empty() || compiled.call(&viewer.call(at), None, &mut scratch) == Truth::True;
                        chosen.extend(is_wanted.then_some(at));
                    }
                }
                Ok(chosen)
            }
        }
    }

    fn write_capture(&self, calls: &[CallRef], redacts: bool, out: &mut impl Write) -> anyhow::Result<String> {
        if !self.shared.store.is_finished() && is_live(self.load) {
            bail!("the input is still being read");
        }
        let connections = connections_of(&self.shared.store.read(), calls);
        let stop = Stop::new()?;
        let options = LoadOptions { stop: Some(Arc::clone(&stop)), ..self.load.clone() };
        let mut shown = 0;
        let mut cancelled = false;
        let reading = ExactReading::read(&options, &connections, |progress| {
            if !cancelled && self.is_cancelled() {
                cancelled = true;
                stop.raise();
            }
            let percent = progress.size.filter(|&size| size > 0).map_or(0, |size| progress.read * 100 / size);
            if percent != shown {
                shown = percent;
                self.progress(percent);
            }
        })?;
        if cancelled {
            bail!("given up");
        }
        let decoding = self.shared.decoding();
        let redactor = Redactor::new(&decoding.schema, &self.shared.redaction, &[]);
        let (bodies, revealed) = (FileBodies(Arc::clone(&reading.sources)), Redaction::reveal_everything());
        let store: &Store = &reading.store;
        let viewer = Viewer { redaction: &revealed, ..self.shared.viewer(store, &decoding, &bodies) };
        let redacting = redacts.then_some(Redacting { redactor: &redactor, viewer });
        let (_, exported) = export_capture(&reading, calls, redacting, out)?;
        let mut remark = match redacts {
            true => redacted_text(&exported),
            false => "; it holds secrets as they were sent".to_owned(),
        };
        if exported.unreadable > 0 {
            let runs = counted(exported.unreadable, "run");
            remark.push_str(&format!("; {runs} of bytes could not be read again"));
        }
        Ok(remark)
    }

    fn write_text(&self, calls: &[CallRef], form: ExportForm, out: &mut impl Write) -> anyhow::Result<String> {
        let decoding = self.shared.decoding();
        let columns = CSV_COLUMNS.iter().map(|name| Column::compile(name, &decoding.schema, Target::Calls));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut scratch = FilterScratch::default();
        let mut text = Vec::new();
        if form == ExportForm::Csv {
            write_csv_header(&columns, &mut text);
        }
        let mut left_out = 0;
        for (share, some) in calls.chunks(AT_ONCE).enumerate() {
            if self.is_cancelled() {
                bail!("given up");
            }
            let store = self.shared.store.read();
            let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
            let decimals = self.shared.store.progress().decimals;
            let printer = Printer { decimals, ..Printer::new(viewer) };
            for &at in some {
                let call = viewer.call(at);
                match form {
                    ExportForm::Csv => write_csv_call(&call, &columns, &mut scratch, &mut text),
                    ExportForm::Grpcurl => match grpcurl(&call, self.sources) {
                        Ok((line, _)) => text.extend_from_slice(format!("{line}\n").as_bytes()),
                        Err(_) => left_out += 1,
                    },
                    _ => printer.write_call_json(&call, false, &mut text, &mut keep),
                }
                out.write_all(&text)?;
                text.clear();
            }
            self.progress((share * AT_ONCE * 100 / calls.len().max(1)) as u64);
        }
        Ok(match left_out {
            0 => String::new(),
            count => format!("; {} cannot be made again by grpcurl", counted(count, "call")),
        })
    }

    fn write_messages(&self, calls: &[CallRef], directory: &Path) -> anyhow::Result<String> {
        DirBuilder::new().mode(0o700).create(directory).with_context(|| directory.display().to_string())?;
        let decoding = self.shared.decoding();
        let mut count = 0;
        for (share, some) in calls.chunks(AT_ONCE).enumerate() {
            if self.is_cancelled() {
                bail!("given up; {} stay in {}", counted(count, "message"), directory.display());
            }
            let store = self.shared.store.read();
            let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
            for &at in some {
                for MessageFile { name, bytes } in message_files(&viewer.call(at)) {
                    let mut file = OutputFile::open(&directory.join(name), false)?.begin()?;
                    file.write_all(&bytes)?;
                    count += 1;
                }
            }
            self.progress((share * AT_ONCE * 100 / calls.len().max(1)) as u64);
        }
        Ok(format!("{} written to {}", counted(count, "message"), directory.display()))
    }

    /// A call, or one of its messages, as text.
    fn text(&self, no: u32, what: CopyForm) -> anyhow::Result<String> {
        let decoding = self.shared.decoding();
        let store = self.shared.store.read();
        let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
        let call = viewer.call_by_no(no).with_context(|| format!("there is no call {no}"))?;
        match what {
            CopyForm::Grpcurl => Ok(grpcurl(&call, self.sources).map_err(anyhow::Error::msg)?.0),
            CopyForm::Message(which) => message_json(&call, which),
            CopyForm::Call => {
                let printer = Printer { decimals: self.shared.store.progress().decimals, ..Printer::new(viewer) };
                let mut text = Vec::new();
                printer.write_call_json(&call, false, &mut text, &mut keep);
                Ok(String::from_utf8_lossy(text.trim_ascii_end()).into_owned())
            }
        }
    }
}

/// What was done about secrets, and what is missing for it.
fn redacted_text(exported: &Exported) -> String {
    let Redacted { values, parts, messages } = exported.redacted;
    let mut text = format!("; {} replaced", counted(values, "secret value"));
    for (count, what) in
        [(parts, "field of unknown type"), (messages, "message"), (exported.whole_trunks as u64, "NRI connection")]
    {
        if count > 0 {
            text.push_str(&format!("; {} left out", counted(count, what)));
        }
    }
    text
}

/// A message as JSON: by its type, or by field numbers where that is not known.
fn message_json(call: &CallView<'_>, which: MessageNo) -> anyhow::Result<String> {
    let index = usize::try_from(which.no.saturating_sub(1)).unwrap_or(usize::MAX);
    let message = call.messages(which.direction).nth(index);
    let side = if which.direction == Direction::ToServer { "to the server" } else { "to the client" };
    let message = message.with_context(|| format!("there is no message {} {side}", which.no))?;
    let mut scratch = Scratch::default();
    let body = message.body(&mut scratch);
    let Some(content) = body.content() else {
        bail!("{}", body.fault().map_or("its bytes cannot be read".to_owned(), |fault| fault.text.to_string()));
    };
    let mut text = Vec::new();
    match (as_json(content), message.type_ix().value()) {
        (Some(json), _) => text.extend_from_slice(json),
        (None, Some(ix)) => {
            let mut printer = JsonPrinter::new().hiding(body.hides_marked_fields());
            printer.print_draining(message.schema(), ix, content, &mut text, &mut keep);
        }
        (None, None) => drop(raw::write_json_draining(content, &mut text, &mut keep)),
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
