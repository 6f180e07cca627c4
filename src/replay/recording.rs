//! The recording that is replayed: its store, and what is needed to look at its calls.

use std::sync::Arc;

use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::Store;
use rpcshark_dissectors::view::{Bodies, Guesser, Permit, Redaction, Viewer};

use crate::load::SharedStore;

/// A recording that was read with [`Keep::events`](rpcshark_dissectors::store::Keep).
pub(crate) struct Recording {
    /// Its calls.
    pub(crate) shared: Arc<SharedStore>,
    /// Where the bytes of messages are read from.
    pub(crate) bodies: Arc<dyn Bodies + Send>,
    /// The types.
    pub(crate) schema: Arc<Schema>,
    guesser: Guesser,
    /// What is hidden from everybody who shows values.
    pub(crate) redaction: Redaction,
    /// To see every value of what is sent.
    permit: Permit,
    /// The names of its files.
    pub(crate) files: Vec<String>,
}

impl Recording {
    /// Puts a recording together.
    pub(crate) fn new(
        shared: Arc<SharedStore>,
        bodies: Arc<dyn Bodies + Send>,
        schema: Arc<Schema>,
        redaction: Redaction,
        files: Vec<String>,
    ) -> Self {
        let guesser = Guesser::new(&schema);
        Self { shared, bodies, schema, guesser, redaction, permit: Permit::to_send(), files }
    }

    /// Views of calls for everybody who shows them: secrets are hidden.
    pub(crate) fn viewer<'a>(&'a self, store: &'a Store) -> Viewer<'a> {
        self.viewer_of(store, &*self.bodies)
    }

    /// The same for another store, whose messages are read from `bodies`.
    pub(crate) fn viewer_of<'a>(&'a self, store: &'a Store, bodies: &'a dyn Bodies) -> Viewer<'a> {
        Viewer {
            store,
            bodies,
            schema: &self.schema,
            guesser: &self.guesser,
            redaction: &self.redaction,
            files: &self.files,
            names: None,
        }
    }

    /// The same with every value: what was captured from answers is sent.
    pub(super) fn viewer_to_capture<'a>(&'a self, store: &'a Store, bodies: &'a dyn Bodies) -> Viewer<'a> {
        self.viewer_of(store, bodies).permitted(&self.permit)
    }

    /// Views of calls with every value: only for what is sent to servers.
    pub(super) fn viewer_to_send<'a>(&'a self, store: &'a Store) -> Viewer<'a> {
        self.viewer(store).permitted(&self.permit)
    }
}
