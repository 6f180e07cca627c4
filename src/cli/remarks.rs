//! What standard error says after a capture was read: bytes that were not captured, services that no schema has, and
//! `--decode-as` rules that match nothing.

use std::collections::{BTreeMap, HashMap};

use rpcshark_captures::Direction;
use rpcshark_captures::file::FileInfo;
use rpcshark_dissectors::print::size_text;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{CallRef, MessageFlags, Store};

use super::InputArgs;
use super::output::remark;
use crate::load::{KeySummary, Loaded};

/// How many services are listed that no schema has.
const MAX_SERVICES: usize = 10;

/// Prints what is worth knowing about `calls` of a capture, which are the ones shown.
pub(super) fn report(loaded: &Loaded, calls: &[CallRef], schema: &Schema, input: &InputArgs) {
    let mut tally = Tally::default();
    tally.add(&loaded.store, calls, schema, input);
    tally.report(loaded, input);
}

/// What is worth knowing about the calls that were shown; they may be forgotten meanwhile.
#[derive(Default)]
pub(super) struct Tally {
    calls: usize,
    /// Calls that lack bytes.
    cut: usize,
    /// Calls by services that no schema has.
    services: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts calls that were shown.
    pub(super) fn add(&mut self, store: &Store, calls: &[CallRef], schema: &Schema, input: &InputArgs) {
        if input.talk.quiet {
            return;
        }
        self.calls += calls.len();
        let is_cut = |&&at: &&CallRef| {
            let call = store.call(at);
            Direction::BOTH.into_iter().any(|way| call.messages(way).any(|m| m.flags.has(MessageFlags::CUT)))
        };
        self.cut += calls.iter().filter(is_cut).count();
        if input.schema.is_given() {
            count_unknown_services(store, calls, schema, &mut self.services);
        }
    }

    /// Prints it.
    pub(super) fn report(self, loaded: &Loaded, input: &InputArgs) {
        if input.talk.quiet {
            return;
        }
        // Which rules matched a connection that was forgotten is not known.
        let forgets = loaded.store.forgotten_connections().count > 0;
        for rule in input.decode_as.iter().filter(|_| !forgets) {
            let mut connections = loaded.store.connections().map(|at| loaded.store.connection(at));
            if !connections.any(|connection| rule.matches(&connection.client, &connection.server)) {
                remark(&format!("no connection matches --decode-as {rule}"));
            }
        }
        key_remarks(&loaded.keys).iter().for_each(|text| remark(text));
        if self.calls == 0 {
            return;
        }
        if let Some(text) = cut(loaded, self.cut) {
            remark(&text);
        }
        unknown_services(self.services).iter().for_each(|text| remark(text));
    }
}

/// What is worth knowing about the secrets of TLS connections.
fn key_remarks(keys: &KeySummary) -> Vec<String> {
    let mut texts = keys.faults.clone();
    if keys.given && keys.unused > 0 {
        let connections = |count| if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") };
        texts.push(match keys.known - keys.unused {
            0 => format!("the key log fits none of the connections: it has secrets of {}", connections(keys.unused)),
            _ => format!("the key log also has secrets of {} that are not in the capture", connections(keys.unused)),
        });
    }
    texts
}

/// Bytes of HTTP/2 and ttrpc connections that the capture lacks because packets or strings were cut off.
pub(super) fn cut_bytes(store: &Store) -> u64 {
    let connections = store.connections().map(|at| store.connection(at));
    let facts = connections.filter_map(|connection| connection.facts.as_deref());
    facts.flat_map(|facts| &facts.flows).map(|flow| flow.cut()).sum()
}

/// What to do so that the next capture has all bytes.
pub(super) fn how_to_capture_all(files: &[FileInfo]) -> &'static str {
    match files.iter().all(|file| file.format.starts_with("strace")) {
        true => "to record all, run strace with -s 8388608",
        false => "to record all, capture without a snap length (tcpdump -s 0)",
    }
}

fn cut(loaded: &Loaded, cut_calls: usize) -> Option<String> {
    let store = &loaded.store;
    let is_rpc = |&at: &_| store.connection(at).protocol.carries_rpc();
    let facts = store.connections().filter(is_rpc).filter_map(|at| store.connection(at).facts.as_deref());
    let bytes = facts.flat_map(|facts| &facts.flows).map(|flow| flow.cut()).sum::<u64>();
    let bytes = bytes + store.forgotten_connections().cut_bytes;
    if bytes == 0 {
        return None;
    }
    let what = match cut_calls {
        0 => "the capture lacks bytes".to_owned(),
        1 => "1 call lacks bytes".to_owned(),
        count => format!("{count} calls lack bytes"),
    };
    let limit = match loaded.files.iter().all(|file| file.format.starts_with("strace")) {
        true => "strace's limit on strings",
        false => "the snap length",
    };
    Some(format!("{what}: {limit} cut off {} in all; {}", size_text(bytes), how_to_capture_all(&loaded.files)))
}

/// Counts the calls of each service that `schema` does not have.
fn count_unknown_services(store: &Store, calls: &[CallRef], schema: &Schema, services: &mut BTreeMap<String, u64>) {
    // Header lists are shared, so there are few of them.
    let mut lists = HashMap::new();
    for &at in calls {
        if let Some(list) = store.call(at).request_headers {
            *lists.entry((at.lane, list)).or_insert(0_u64) += 1;
        }
    }
    for ((lane, list), count) in lists {
        let Some(path) = store.lane(lane).headers[list].facts.path.known().and_then(|path| path.known()) else {
            continue;
        };
        let path = String::from_utf8_lossy(path);
        let Some((service, _)) = path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) else { continue };
        if schema.service(service).is_none() {
            *services.entry(service.to_owned()).or_default() += count;
        }
    }
}

/// A line for each service that no schema has, the one with the most calls first.
fn unknown_services(services: BTreeMap<String, u64>) -> Vec<String> {
    let mut services: Vec<(String, u64)> = services.into_iter().collect();
    // A stable sort: by name where the counts are the same.
    services.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let counted = |count: u64| if count == 1 { "1 call".to_owned() } else { format!("{count} calls") };
    let mut lines: Vec<String> = services
        .iter()
        .take(MAX_SERVICES)
        .map(|(service, count)| format!("no given schema has the service {service} ({})", counted(*count)))
        .collect();
    if let Some(rest @ [_, ..]) = services.get(MAX_SERVICES..) {
        let calls = rest.iter().map(|(_, count)| count).sum();
        lines.push(format!("nor do they have {} more services ({})", rest.len(), counted(calls)));
    }
    lines
}
