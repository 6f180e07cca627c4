//! Sending recorded calls again.
//!
//! [`Plan`] decides what is sent. [`Running`] carries it out on a thread of its own and reports progress as [`Event`]s; it can be
//! paused and ended ([`Control`]). The parts: `script` makes the steps of a call of the exact record, `gates` says what each waits
//! for, `clock` when it is due, `connections` and `exchange` send it, and [`Live`] dissects all that is sent and received, so that
//! replayed calls are the same kind of value as recorded ones. Comparing them is left to `dissectors::compare`.

mod active;
pub(crate) mod amend;
mod clock;
mod compared;
mod connections;
mod control;
pub(crate) mod edit;
mod engine;
mod event;
mod exchange;
mod gates;
mod headers;
mod journal;
mod live;
mod options;
mod outbox;
mod plan;
mod plan_text;
mod recording;
mod safety;
mod script;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

pub(crate) use compared::compared_call;
#[cfg(test)]
pub(crate) use control::Control;
pub(crate) use engine::{Running, Work};
pub(crate) use event::{CutShort, Ended, Event, Finished, LiveRef};
#[cfg(test)]
pub(crate) use event::{How, Timing};
pub(crate) use headers::HeaderPolicy;
pub(crate) use journal::{Identity, Journal, JournalError, Journaled};
pub(crate) use live::Live;
pub(crate) use options::{CommandErrors, ReplayOptions, header, parse_speed};
pub(crate) use plan::{Plan, PlannedCall, SkipReason, Wanted};
pub(crate) use plan_text::{skipped_lines, write_plan};
pub(crate) use recording::Recording;
pub(crate) use safety::Allow;
pub(crate) use settings::{
    Connections, Deadline, OnConnectionLoss, OnStall, Order, Pace, Settings, To, parse_duration,
};
