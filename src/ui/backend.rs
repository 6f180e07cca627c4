//! What the screens see of the program: the shared store, and channels to the workers.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use rpcshark_dissectors::filter::{Filter, State, Target, complete};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::Store;
use rpcshark_dissectors::view::{Bodies, Guesser, NoBodies, Redaction, Viewer};
use rpcshark_tui::backend::{Backend, Checked, Completion, Progress, Request};

use super::workers::Workers;
use crate::load::SharedStore;

/// What decoding takes: it changes when a schema is loaded or secrets are revealed.
pub(super) struct Decoding {
    pub(super) schema: Arc<Schema>,
    pub(super) guesser: Guesser,
    pub(super) redaction: Redaction,
}

/// What all threads of the terminal UI share.
pub(super) struct Shared {
    pub(super) store: Arc<SharedStore>,
    decoding: RwLock<Arc<Decoding>>,
    /// Guesses nothing: types are not guessed while the store is locked for the screen.
    no_guesser: Guesser,
    pub(super) files: Vec<String>,
    /// What is hidden unless the user reveals everything.
    pub(super) redaction: Redaction,
    /// Which names hold credentials, whatever is shown.
    pub(super) credentials: Redaction,
    /// The generation of the list that is wanted: the worker gives up an older one.
    pub(super) newest_list: AtomicU64,
}

impl Shared {
    pub(super) fn new(store: Arc<SharedStore>, decoding: Decoding, credentials: Redaction, files: Vec<String>) -> Self {
        let redaction = decoding.redaction.clone();
        Self {
            store,
            redaction,
            credentials,
            decoding: RwLock::new(Arc::new(decoding)),
            no_guesser: Guesser::new(&Schema::builtin()),
            files,
            newest_list: AtomicU64::new(0),
        }
    }

    /// How messages are decoded now.
    pub(super) fn decoding(&self) -> Arc<Decoding> {
        Arc::clone(&self.decoding.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decodes messages otherwise from now on.
    pub(super) fn set_decoding(&self, decoding: Decoding) {
        *self.decoding.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(decoding);
    }

    /// A viewer that reads bodies from `bodies` and guesses types.
    pub(super) fn viewer<'a>(&'a self, store: &'a Store, decoding: &'a Decoding, bodies: &'a dyn Bodies) -> Viewer<'a> {
        Viewer {
            store,
            bodies,
            schema: &decoding.schema,
            guesser: &decoding.guesser,
            redaction: &decoding.redaction,
            files: &self.files,
            names: None,
        }
    }
}

/// What the screens are given.
pub(super) struct ScreenBackend {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Workers,
}

impl Backend for ScreenBackend {
    fn look(&self, see: &mut dyn FnMut(Viewer<'_>)) {
        let decoding = self.shared.decoding();
        let store = self.shared.store.read();
        see(Viewer { guesser: &self.shared.no_guesser, ..self.shared.viewer(&store, &decoding, &NoBodies) });
    }

    fn progress(&self) -> Progress {
        let loading = self.shared.store.progress();
        let finished = self.shared.store.is_finished();
        let (calls, connections) = self.shared.store.counts();
        Progress {
            read: loading.read,
            size: loading.size,
            finished,
            first: loading.first,
            decimals: loading.decimals,
            last: loading.last,
            calls,
            connections,
            packets: loading.packets,
        }
    }

    fn request(&self, request: Request) {
        self.workers.send(request);
    }

    fn check(&self, filter: &str, target: Target) -> Checked {
        let decoding = self.shared.decoding();
        match Filter::state(filter, &decoding.schema, target) {
            State::Valid(filter) if target == Target::Calls && filter.needs().frames => Checked::Wrong {
                span: 0..filter.source().len(),
                message: "fields of frames are for the list of frames".to_owned(),
                suggestion: None,
            },
            State::Valid(filter) => Checked::Valid { needs_bodies: filter.needs().bodies },
            State::Incomplete(_) => Checked::Incomplete,
            State::Wrong(error) => {
                Checked::Wrong { span: error.span, message: error.message, suggestion: error.suggestion }
            }
        }
    }

    fn complete(&self, filter: &str, cursor: usize, _target: Target) -> Vec<Completion> {
        let decoding = self.shared.decoding();
        let completion = complete(filter, cursor, &decoding.schema);
        let range = completion.range;
        let offered = |candidate: rpcshark_dissectors::filter::Candidate| Completion {
            replaces: range.clone(),
            text: candidate.text,
            help: candidate.help,
        };
        completion.candidates.into_iter().take(OFFERED).map(offered).collect()
    }
}

/// Completions that are offered at once.
const OFFERED: usize = 32;
