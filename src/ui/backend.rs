//! What the screens see of the program: the shared store, and channels to the workers.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rpcshark_dissectors::filter::{Candidate, Filter, State, Target, complete};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::Store;
use rpcshark_dissectors::view::{Bodies, Guesser, NoBodies, Redaction, Viewer};
use rpcshark_tui::backend::{Backend, Checked, Completion, Progress, Request};
use rpcshark_tui::model::calls::quoted;
use rpcshark_tui::text::counted;

use super::seen_values::SeenValues;
use super::workers::Workers;
use crate::load::SharedStore;

/// Fields whose values are remembered.
const FIELDS_SEEN: usize = 50;

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
    /// Values of fields that have been counted.
    seen: Mutex<HashMap<String, Arc<SeenValues>>>,
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
            seen: Mutex::default(),
        }
    }

    /// The values of a field, if they have been counted.
    pub(super) fn seen(&self, field: &str) -> Option<Arc<SeenValues>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(field).cloned()
    }

    /// Remembers the values of a field.
    pub(super) fn set_seen(&self, field: String, values: Arc<SeenValues>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= FIELDS_SEEN {
            seen.clear();
        }
        seen.insert(field, values);
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

    fn complete(&self, filter: &str, cursor: usize, target: Target) -> Vec<Completion> {
        let decoding = self.shared.decoding();
        let completion = complete(filter, cursor, &decoding.schema);
        let range = completion.range;
        let mut offered: Vec<Completion> = completion
            .candidates
            .into_iter()
            .take(OFFERED)
            .map(|Candidate { text, help, .. }| Completion { replaces: range.clone(), text, help })
            .collect();
        if let Some((field, typed)) = completion.value_of.filter(|_| target == Target::Calls)
            && let Some(seen) = self.seen_values(field)
        {
            add_seen(&mut offered, &seen, &typed, &range);
        }
        offered.truncate(OFFERED);
        offered
    }
}

impl ScreenBackend {
    /// The values of a field, as far as they have been counted; otherwise they are counted now.
    fn seen_values(&self, field: String) -> Option<Arc<SeenValues>> {
        let calls = self.shared.store.counts().0;
        let seen = self.shared.seen(&field);
        // While more is read, they are counted again when there are twice as many calls, and at the end.
        let finished = self.shared.store.is_finished();
        let is_current = |seen: &Arc<SeenValues>| seen.calls == calls || !finished && seen.calls * 2 >= calls;
        if !seen.as_ref().is_some_and(is_current) {
            self.workers.count_values(field);
        }
        seen
    }
}

/// Says of each value that is offered how many calls have it, and adds those that have no name. The most frequent come first.
fn add_seen(offered: &mut Vec<Completion>, seen: &SeenValues, typed: &str, range: &std::ops::Range<usize>) {
    let calls_here = |count: u64| format!("{} here", counted(count, "call"));
    for completion in offered.iter_mut() {
        let count = seen.values.iter().find(|(value, _)| *value == completion.text).map_or(0, |(_, count)| *count);
        let help = std::mem::take(&mut completion.help);
        let blank = if help.is_empty() { "" } else { "   " };
        completion.help = format!("{help}{blank}{}", calls_here(count));
    }
    let named = offered.len();
    let typed = typed.to_lowercase();
    for (value, count) in seen.values.iter().filter(|(value, _)| value.to_lowercase().contains(&typed)) {
        let text = if seen.quoted { quoted(value) } else { value.clone() };
        if offered.iter().take(named).all(|known| known.text != *value) {
            offered.push(Completion { replaces: range.clone(), text, help: calls_here(*count) });
        }
    }
    let rank = |completion: &Completion| {
        let value = completion.text.trim_matches('"');
        seen.values.iter().position(|(known, _)| known == value).unwrap_or(usize::MAX)
    };
    offered.sort_by_key(rank);
}

/// Completions that are offered at once.
const OFFERED: usize = 32;
