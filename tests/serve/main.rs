//! `serve`: clients answered from a recording.
#![allow(clippy::unwrap_used)]

mod answers;
mod clients;
mod conversation;
mod hostile;
mod peer;
mod rig;
#[path = "../support/mod.rs"]
mod support;
