//! A store put together with what is needed to look at it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rpcshark_captures::Endpoint;

use super::{Bodies, CallView, ConnectionView, FrameView, Guesser, Outcome, Permit, Redaction};
use crate::schema::Schema;
use crate::store::{CallRef, ConnectionRef, FrameRef, Store};

/// A store together with the bytes of its messages, a schema, and what is to be hidden. Gives out views.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    /// The calls and connections.
    pub store: &'a Store,
    /// Where the bytes of messages are read from.
    pub bodies: &'a dyn Bodies,
    /// The types.
    pub schema: &'a Schema,
    /// Guesses the types of calls whose method is not in the capture.
    pub guesser: &'a Guesser,
    /// What is hidden.
    pub redaction: &'a Redaction,
    /// The names of the files, as the user gave them.
    pub files: &'a [String],
    /// Names that the capture gives to addresses.
    pub names: Option<&'a BTreeMap<IpAddr, Box<str>>>,
}

/// Hides nothing.
static REVEALED: Redaction = Redaction::reveal_everything();

impl<'a> Viewer<'a> {
    /// The same viewer, to which nothing is hidden.
    #[must_use]
    pub fn permitted(self, _: &Permit) -> Self {
        Self { redaction: &REVEALED, ..self }
    }

    /// A call.
    pub fn call(self, at: CallRef) -> CallView<'a> {
        CallView::new(self, at)
    }

    /// The call with the number `no` (from 1).
    pub fn call_by_no(self, no: u32) -> Option<CallView<'a>> {
        self.store.call_by_no(no).map(|at| self.call(at))
    }

    /// A connection.
    pub fn connection(self, at: ConnectionRef) -> ConnectionView<'a> {
        ConnectionView::new(self, self.store.connection(at))
    }

    /// A frame of a batch.
    pub fn frame(self, at: &'a FrameRef) -> FrameView<'a> {
        FrameView::new(self, at)
    }

    /// How many calls of each connection ended with an error or a reset, by the connections' numbers.
    pub fn errors(self) -> Vec<u32> {
        let mut errors = vec![0; self.store.connection_numbers()];
        for &at in self.store.calls() {
            let call = self.call(at);
            if matches!(call.outcome(), Some(Outcome::Error | Outcome::Reset))
                && let Some(count) = errors.get_mut(call.connection().number() as usize)
            {
                *count += 1;
            }
        }
        errors
    }

    /// The name of a file by its index, as the user gave it.
    pub fn file_name(self, file: u16) -> Option<&'a str> {
        self.files.get(usize::from(file)).map(String::as_str)
    }

    /// The name that the capture gives to the address of `end`.
    pub fn name_of(self, end: &Endpoint) -> Option<&'a str> {
        let Endpoint::Tcp(addr) = end else { return None };
        self.names?.get(&addr.ip()).map(|name| &**name)
    }
}
