//! A capture in a few numbers.

use std::collections::{BTreeMap, BTreeSet};

use rpcshark_captures::Timestamp;

use super::{Group, Problems, ResultKey, TimeSpan};
use crate::store::CallRef;
use crate::view::{CallView, Viewer};

/// A file of the capture.
#[derive(Clone, Debug, Default)]
pub struct SummaryFile {
    /// Its name, as the user gave it.
    pub name: String,
    /// Its format: `pcapng`.
    pub format: String,
    /// How many packets it has.
    pub packets: u64,
    /// How many bytes, where that is known.
    pub size: Option<u64>,
}

/// A capture in a few numbers. Of calls these are the selected ones.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The files.
    pub files: Vec<SummaryFile>,
    /// The time that it covers, where it has times.
    pub span: Option<TimeSpan>,
    /// How many connections there are by what they speak.
    pub connections: BTreeMap<&'static str, u64>,
    /// How many calls there are by protocol.
    pub protocols: BTreeMap<&'static str, u64>,
    /// All ends that are clients, without their ports, and all that are servers.
    pub clients: BTreeSet<String>,
    /// See [`Summary::clients`].
    pub servers: BTreeSet<String>,
    /// All calls together.
    pub all: Option<Group>,
    /// How many methods there are.
    pub method_count: usize,
    /// The methods with the most calls.
    pub methods: Vec<Group>,
    /// The slowest calls, the slowest first.
    pub slowest: Vec<CallRef>,
    /// What failed most often.
    pub failures: Vec<Failure>,
    /// Problems.
    pub problems: Problems,
}

/// Calls of one method that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The path of the method, where it is known.
    pub path: Option<String>,
    /// How they failed.
    pub result: ResultKey,
    /// How many.
    pub calls: u64,
    /// The first of them.
    pub first: u32,
}

/// Rows of each part.
pub const SUMMARY_ROWS: usize = 5;

/// What is gathered call by call.
#[derive(Clone, Debug, Default)]
pub struct SummaryCalls {
    slowest: Vec<(i64, u32, CallRef)>,
    failures: BTreeMap<(Option<String>, ResultKey), (u64, u32)>,
    protocols: BTreeMap<&'static str, u64>,
}

impl SummaryCalls {
    /// Adds a call.
    pub fn add(&mut self, call: &CallView<'_>) {
        *self.protocols.entry(call.protocol().name()).or_default() += 1;
        if let Some(nanos) = call.duration_ns() {
            self.slowest.push((nanos, call.no(), call.at()));
            if self.slowest.len() > SUMMARY_ROWS * 64 {
                self.keep_slowest();
            }
        }
        let result = ResultKey::of(call);
        if result.is_error() {
            let entry = self.failures.entry((call.path().value().map(str::to_owned), result));
            let (count, _) = entry.or_insert((0, call.no()));
            *count += 1;
        }
    }

    /// Adds the calls of `other`, which come after.
    pub fn merge(&mut self, other: Self) {
        self.slowest.extend(other.slowest);
        self.keep_slowest();
        for (key, (calls, first)) in other.failures {
            self.failures.entry(key).or_insert((0, first)).0 += calls;
        }
        for (protocol, calls) in other.protocols {
            *self.protocols.entry(protocol).or_default() += calls;
        }
    }

    fn keep_slowest(&mut self) {
        self.slowest.sort_by_key(|&(nanos, no, _)| (std::cmp::Reverse(nanos), no));
        self.slowest.truncate(SUMMARY_ROWS);
    }
}

impl Summary {
    /// Puts a summary together. `methods`: the selected calls by method; `all`: all of them together.
    pub fn new(
        viewer: Viewer<'_>,
        files: Vec<SummaryFile>,
        span: Option<TimeSpan>,
        mut calls: SummaryCalls,
        (methods, all): (Vec<Group>, Option<Group>),
        problems: Problems,
    ) -> Self {
        calls.keep_slowest();
        let mut connections = BTreeMap::new();
        let (mut clients, mut servers) = (BTreeSet::new(), BTreeSet::new());
        for at in viewer.store.connections() {
            let connection = viewer.connection(at);
            *connections.entry(connection.protocol().name()).or_default() += 1;
            if connection.calls() > 0 {
                let client = connection.client().to_string();
                let host = match connection.client().port() {
                    Some(_) => client.rsplit_once(':').map_or(&*client, |(host, _)| host).to_owned(),
                    None => client,
                };
                clients.insert(host);
                servers.insert(connection.server().to_string());
            }
        }
        let failures = calls.failures.into_iter();
        let mut failures: Vec<Failure> =
            failures.map(|((path, result), (calls, first))| Failure { path, result, calls, first }).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.calls));
        failures.truncate(SUMMARY_ROWS);
        let method_count = methods.len();
        let methods = methods.into_iter().take(SUMMARY_ROWS).collect();
        let slowest = calls.slowest.into_iter().map(|(_, _, at)| at).collect();
        let protocols = calls.protocols;
        Self {
            files,
            span,
            connections,
            protocols,
            clients,
            servers,
            all,
            method_count,
            methods,
            slowest,
            failures,
            problems,
        }
    }

    /// The time that it covers; no time where it has none.
    pub fn span(&self) -> TimeSpan {
        self.span.unwrap_or(TimeSpan { first: Timestamp::EPOCH, last: Timestamp::EPOCH })
    }
}
