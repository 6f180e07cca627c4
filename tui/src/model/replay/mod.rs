//! A replay as screens show it: its options, its plan, how far it has come, and calls beside their recordings.

mod beside;

use std::collections::BTreeMap;
use std::sync::Arc;

use rpcshark_dissectors::compare::Verdict;

use crate::widget::Parts;

pub use beside::{Beside, BesideRow, Mark, beside};

/// The values of options by their names; those that are not given are not there. A flag that is set has no values.
pub type OptionValues = BTreeMap<String, Vec<String>>;

/// What a replay can be told before it is planned.
#[derive(Clone, Debug, Default)]
pub struct ReplayForm {
    /// How many calls were chosen.
    pub calls: u64,
    /// The number of the call, where it is one.
    pub only: Option<u32>,
    /// The servers that they went to; safe to draw.
    pub servers: Vec<String>,
    /// Every option, in the order in which they are shown.
    pub options: Vec<ReplayOption>,
    /// Messages that were edited: their calls, and their numbers in the requests.
    pub edits: Vec<(u32, u32)>,
}

/// An option of a replay, as on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayOption {
    /// Its name, without dashes.
    pub name: String,
    /// What its value is called; empty for a flag.
    pub value: String,
    /// What it does.
    pub help: String,
    /// The group that it belongs to.
    pub group: String,
    /// How often it can be given.
    pub kind: OptionKind,
    /// What holds without it; empty where nothing does.
    pub default: String,
    /// All values that it can have, where they are few.
    pub choices: Vec<String>,
}

/// How often an option can be given, and whether it has a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptionKind {
    /// Given or not.
    Flag,
    /// It has one value.
    #[default]
    One,
    /// It can have several values.
    Many,
}

/// What would be sent.
#[derive(Clone, Debug, Default)]
pub struct ReplayPlan {
    /// The plan in lines; safe to draw.
    pub lines: Vec<String>,
    /// Calls that would be sent.
    pub calls: u64,
    /// Where to, for the line of the replay; safe to draw.
    pub target: String,
    /// Its pace and order, likewise.
    pub manner: String,
    /// Why nothing may be sent, if that is so.
    pub refused: Option<String>,
    /// Methods that may change something and would be called; safe to draw.
    pub changing: Vec<String>,
    /// The command that does the same.
    pub command: String,
}

/// How far a replay has come.
#[derive(Clone, Debug, Default)]
pub struct ReplayState {
    /// What it is doing.
    pub phase: Phase,
    /// Calls to be sent.
    pub total: u64,
    /// Calls that are over, by what came of them.
    pub counts: Vec<(Verdict, u64)>,
    /// Calls that were begun and are not over.
    pub in_flight: u64,
    /// For how long it has run, in nanoseconds.
    pub elapsed_ns: u64,
    /// Calls that ended in each of equally long parts of the time so far.
    pub rate: Vec<u64>,
    /// Median and 99th percentile of how long calls took, in nanoseconds: recorded, and replayed.
    pub took: Option<[(i64, i64); 2]>,
    /// What is worth knowing about it, the newest last; safe to draw.
    pub remarks: Vec<String>,
    /// Why it was cut short, if it was; safe to draw.
    pub cut_short: Option<String>,
    /// What helps then; safe to draw.
    pub help: String,
    /// What was left out of the plan.
    pub left_out: u64,
    /// Calls that are over but not in the list.
    pub unlisted: u64,
    /// Whether `rows` replace all rows so far.
    pub replace: bool,
    /// Rows that are new or have changed.
    pub rows: Arc<Vec<ReplayRow>>,
}

/// What a replay is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It tries to connect: nothing was sent.
    #[default]
    Connecting,
    /// Calls are sent.
    Running,
    /// It waits until the user lets it continue.
    Paused,
    /// It is over.
    Ended,
}

/// A call that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayRow {
    /// The number of the recorded call.
    pub no: u32,
    /// Its method; safe to draw.
    pub method: String,
    /// How the recorded call went.
    pub recorded: Parts,
    /// How the replayed call went.
    pub replayed: Parts,
    /// How long it took; empty where that is not known.
    pub took: String,
    /// How long the recorded call took.
    pub was: String,
    /// What came of it.
    pub verdict: Option<Verdict>,
    /// Where they differ, or why it was not compared; safe to draw.
    pub differs: String,
    /// How many differences there are.
    pub differences: u64,
    /// Its request was edited.
    pub edited: bool,
    /// The replayed call can be looked at.
    pub is_there: bool,
}

impl ReplayRow {
    /// Whether it came back as it was recorded.
    pub fn is_same(&self) -> bool {
        self.verdict == Some(Verdict::Same)
    }
}

/// A message of a request, to be edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Editable {
    /// The call.
    pub no: u32,
    /// The number of the message in the request, from 1.
    pub message: u32,
    /// How many messages the request has.
    pub of: u32,
    /// Its type; safe to draw.
    pub type_name: String,
    /// The message as JSON.
    pub text: String,
    /// What is worth knowing before it is edited; safe to draw.
    pub remark: String,
}
