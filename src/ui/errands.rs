//! The worker for what concerns the whole program and takes a while: loading schemas, revealing secrets, copying.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::view::{Guesser, Redaction};
use rpcshark_tui::backend::{DecodingRequest, Reply};

use super::backend::{Decoding, Shared};
use super::clipboard;
use super::requests::Requests;
use super::terminal::Signal;
use crate::load::schema::Sources;
use crate::load::{Inputs, LoadOptions, Loader};

/// Something to be done.
pub(super) enum Errand {
    Decoding(DecodingRequest),
    Copy {
        text: String,
        to_file: bool,
    },
    /// Remember a filter for later runs.
    Remember(String),
    /// See whether another capture can be opened.
    Open(PathBuf),
}

/// Runs errands until there are no more. `history`: where filters are remembered.
pub(super) fn work(
    shared: &Shared,
    load: LoadOptions,
    sources: Sources,
    history: Option<&Path>,
    errands: &Requests<Errand>,
    to: &Sender<Signal>,
) {
    let mut worker = Worker { shared, load, sources, to };
    while let Ok(errand) = errands.recv() {
        match errand {
            Errand::Decoding(DecodingRequest::LoadSchema(path)) => worker.load_schema(path),
            Errand::Decoding(DecodingRequest::Reveal(on)) => worker.reveal(on),
            Errand::Remember(filter) => {
                if let Some(path) = history
                    && let Err(error) = super::history::add(path, &filter)
                {
                    worker.say(format!("{} cannot be written: {error}", path.display()), true);
                }
            }
            Errand::Copy { text, to_file } => copy(&text, to_file, to),
            Errand::Open(path) => worker.open(path),
        }
    }
}

struct Worker<'w> {
    shared: &'w Shared,
    load: LoadOptions,
    sources: Sources,
    to: &'w Sender<Signal>,
}

impl Worker<'_> {
    fn reply(&self, reply: Reply) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(Signal::Reply(reply));
    }

    fn say(&self, text: String, error: bool) {
        self.reply(Reply::Say { text, error });
    }

    /// Sees whether another capture can be opened before this one is given up.
    fn open(&self, path: PathBuf) {
        let options = LoadOptions { inputs: Inputs::Paths(vec![path.clone()]), follow: false, ..self.load.clone() };
        match Loader::open(LoadOptions { spool: None, ..options }) {
            Ok(_) => {
                let _ = self.to.send(Signal::Open(path));
            }
            Err(error) => self.say(error.to_string(), true),
        }
    }

    fn reveal(&self, on: bool) {
        let before = self.shared.decoding();
        let redaction = if on { Redaction::reveal_everything() } else { self.shared.redaction.clone() };
        self.set_decoding(&before.schema, redaction);
    }

    /// Reads all schema sources again, with `path` among them.
    fn load_schema(&mut self, path: PathBuf) {
        let mut sources = self.sources.clone();
        sources.proto.push(path);
        let loaded = sources.load();
        let said: Vec<String> = loaded.said.iter().map(ToString::to_string).collect();
        if loaded.failed() {
            return self.say(said.join("; "), true);
        }
        self.sources = sources;
        let redaction = self.shared.decoding().redaction.clone();
        self.set_decoding(&loaded.schema, redaction);
        let methods: usize = loaded.schema.services.iter().map(|service| service.methods.len()).sum();
        let warnings = if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) };
        self.say(format!("the schema has {methods} methods now{warnings}"), !said.is_empty());
    }

    fn set_decoding(&self, schema: &Arc<Schema>, redaction: Redaction) {
        let guesser = Guesser::new(schema);
        self.shared.set_decoding(Decoding { schema: Arc::clone(schema), guesser, redaction });
        self.reply(Reply::DecodingChanged);
    }
}

/// Copies text, and reports the result.
pub(super) fn copy(text: &str, to_file: bool, to: &Sender<Signal>) {
    let say = |text: String, error: bool| {
        // A terminal that is gone ended with the program.
        let _ = to.send(Signal::Reply(Reply::Say { text, error }));
    };
    match clipboard::copy(text, to_file) {
        Ok(clipboard::Copied::Said(said)) => say(said, false),
        Ok(clipboard::Copied::ByTerminal(sequence)) => {
            let _ = to.send(Signal::Write(sequence));
            say(format!("sent to the terminal: {} bytes", text.len()), false);
        }
        Err(error) => say(format!("nothing copied: {error:#}"), true),
    }
}
