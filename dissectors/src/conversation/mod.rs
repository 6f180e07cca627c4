//! A call as a conversation: what both sides sent, in the order of time, and how each message differs from the one before.
//!
//! Events are made one by one, so that a stream of millions of messages takes no more memory than a short one.

mod difference;
mod events;

pub use difference::{Change, ChangeKind, Snapshot};
pub use events::{Event, EventKind, events};
