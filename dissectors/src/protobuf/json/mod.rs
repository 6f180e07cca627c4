//! Canonical proto3 JSON (<https://protobuf.dev/programming-guides/json/>) straight from the bytes of a message.
//!
//! A message is read once to learn where its fields lie; where they lie in the order of their numbers and none comes
//! twice, as encoders write them, they are printed as they are. Otherwise what the wire means is resolved first: the last
//! scalar wins, messages merge, a oneof keeps its last member.
//!
//! What the official printers refuse gets a form of its own and, where something is lost, a note: see [`JsonPrinter::print`].

mod entry;
mod gather;
mod map;
mod printer;
mod unknown;
mod well_known;

#[cfg(test)]
mod tests;

pub use printer::{Findings, JsonPrinter};
pub use unknown::Unknown;
