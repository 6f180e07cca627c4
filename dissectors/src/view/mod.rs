//! What is known of calls, messages, header lists, connections and frames, as values.
//!
//! A [`Viewer`] puts a store, the bytes of its messages and a schema together and gives out views. Making a view costs next to
//! nothing; what has to be worked out (an outcome, a guessed type, a body) is worked out when it is asked for. Nothing here is
//! formatted: [`print`](crate::print) makes text and JSON of these values, and filters, statistics, comparison and the terminal
//! UI read the same ones.
//!
//! A value says how it is known ([`Known`]): seen, guessed, hidden, absent or unknown. Secrets are hidden here, so that nothing
//! that reads the values can show them by mistake. A [`Redaction`] that reveals shows them to a user who asked for that; a
//! [`Permit`] lets code see them that sends or compares them.

mod bodies;
mod call;
mod connection;
mod frame;
mod guess;
mod headers;
mod mask;
mod message;
mod permit;
mod redaction;
#[cfg(test)]
mod tests;
mod viewer;

pub use crate::known::Known;
pub use bodies::{Bodies, NoBodies};
pub use call::{CallView, FLOW_CONTROL_STALL, Kind, MappedFrom, MappedStatus, Outcome, StatusView, Totals};
pub use connection::ConnectionView;
pub use frame::FrameView;
pub use guess::Guesser;
pub use headers::{HeaderView, HeadersView};
pub use message::{Body, MessageView, Scratch, as_json};
pub use permit::Permit;
pub use redaction::Redaction;
pub use viewer::Viewer;
