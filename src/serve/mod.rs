//! Answering clients from a recording.
//!
//! [`Catalog`] holds the recorded calls by method and by what they begin with. [`Server`] accepts clients; `exchange` finds the
//! recording for a call and does what the recorded server did, with the gates and roles of a replay swapped: `script` makes the
//! server's steps of the exact record, and says what each waits for. [`BuiltIn`] answers
//! reflection and health. [`Log`] prints what became of each call.
//!
//! Everything runs on one thread, in a `LocalSet`. What clients can make it keep is bounded: connections, calls, bytes.

mod budget;
mod built_in;
mod catalog;
mod exchange;
mod incoming;
mod log;
mod miss;
mod response;
mod script;
mod server;
mod settings;

pub(crate) use built_in::BuiltIn;
pub(crate) use catalog::Catalog;
pub(crate) use log::{Counts, Log};
pub(crate) use server::Server;
pub(crate) use settings::{Delays, Reuse, Settings};
