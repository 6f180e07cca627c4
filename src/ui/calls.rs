//! The worker that looks at single calls: it reads and decodes their messages.
//!
//! Somebody who moves through a list asks for many previews and wants the last one, so older ones are skipped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use rpcshark_dissectors::view::{Guesser, Redaction};
use rpcshark_tui::backend::{Reply, Request};
use rpcshark_tui::model::{detail, preview};
use rpcshark_tui::theme::Signs;

use super::backend::{Decoding, Shared};
use super::clipboard;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::load::schema;

/// Carries out requests until nobody asks any more.
pub(super) fn work(
    shared: &Shared,
    sources: schema::Sources,
    signs: &Signs,
    requests: &Receiver<Request>,
    to: &Sender<Signal>,
) {
    let bodies = FileBodies(Arc::clone(shared.store.sources()));
    let mut worker = Worker { shared, sources, signs, bodies, to };
    while let Ok(first) = requests.recv() {
        let mut waiting = vec![first];
        waiting.extend(requests.try_iter());
        let is_preview = |request: &Request| matches!(request, Request::Preview(_));
        let last_preview = waiting.iter().rposition(is_preview);
        for (index, request) in waiting.into_iter().enumerate() {
            if is_preview(&request) && Some(index) != last_preview {
                continue;
            }
            worker.carry_out(request);
        }
    }
}

struct Worker<'w> {
    shared: &'w Shared,
    sources: schema::Sources,
    signs: &'w Signs,
    bodies: FileBodies,
    to: &'w Sender<Signal>,
}

impl Worker<'_> {
    fn carry_out(&mut self, request: Request) {
        let reply = match request {
            Request::Preview(no) => self.preview(no),
            Request::Detail(no) => self.detail(no),
            Request::LoadSchema(path) => Some(self.load_schema(path)),
            Request::Reveal(on) => {
                let before = self.shared.decoding();
                let redaction = if on { Redaction::reveal_everything() } else { Redaction::default() };
                self.set_schema(&before.schema, redaction);
                Some(Reply::SchemaChanged)
            }
            Request::Copy { text, to_file } => return self.copy(&text, to_file),
            Request::Quit => return self.send(Signal::Quit),
            Request::Suspend => return self.send(Signal::Suspend),
            Request::Redraw => return self.send(Signal::Redraw),
            Request::StopReading => return self.send(Signal::StopReading),
            Request::List { .. } | Request::CancelList => None,
        };
        if let Some(reply) = reply {
            self.send(Signal::Reply(reply));
        }
    }

    fn send(&self, signal: Signal) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(signal);
    }

    /// How many decimals of a second the capture's times have.
    fn decimals(&self) -> u8 {
        self.shared.store.progress().decimals
    }

    fn preview(&self, no: u32) -> Option<Reply> {
        let decoding = self.shared.decoding();
        let store = self.shared.store.read();
        let call = self.shared.viewer(&store, &decoding, &self.bodies).call_by_no(no)?;
        Some(Reply::Preview(Arc::new(preview::preview(&call, self.decimals(), self.signs))))
    }

    fn detail(&self, no: u32) -> Option<Reply> {
        let decoding = self.shared.decoding();
        let store = self.shared.store.read();
        let call = self.shared.viewer(&store, &decoding, &self.bodies).call_by_no(no)?;
        Some(Reply::Detail(Arc::new(detail::detail(&call, self.decimals(), self.signs))))
    }

    /// Reads all schema sources again, with `path` among them.
    fn load_schema(&mut self, path: std::path::PathBuf) -> Reply {
        let mut sources = self.sources.clone();
        sources.proto.push(path);
        let loaded = sources.load();
        let said: Vec<String> = loaded.said.iter().map(ToString::to_string).collect();
        if loaded.failed() {
            return Reply::Say { text: said.join("; "), error: true };
        }
        self.sources = sources;
        let redaction = self.shared.decoding().redaction.clone();
        self.set_schema(&loaded.schema, redaction);
        self.send(Signal::Reply(Reply::SchemaChanged));
        let methods: usize = loaded.schema.services.iter().map(|service| service.methods.len()).sum();
        let warnings = if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) };
        Reply::Say { text: format!("the schema has {methods} methods now{warnings}"), error: !said.is_empty() }
    }

    fn set_schema(&self, schema: &Arc<rpcshark_dissectors::schema::Schema>, redaction: Redaction) {
        let guesser = Guesser::new(schema);
        self.shared.set_decoding(Decoding { schema: Arc::clone(schema), guesser, redaction });
    }

    fn copy(&self, text: &str, to_file: bool) {
        match clipboard::copy(text, to_file) {
            Ok(clipboard::Copied::Said(said)) => self.send(Signal::Reply(Reply::Say { text: said, error: false })),
            Ok(clipboard::Copied::ByTerminal(sequence)) => {
                self.send(Signal::Write(sequence));
                let said = format!("{} bytes sent to the terminal's clipboard", text.len());
                self.send(Signal::Reply(Reply::Say { text: said, error: false }));
            }
            Err(error) => {
                self.send(Signal::Reply(Reply::Say { text: format!("nothing copied: {error:#}"), error: true }))
            }
        }
    }
}
