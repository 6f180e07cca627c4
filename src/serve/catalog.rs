//! The recorded calls, by method and by what they begin with, and how often each was used.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use rpcshark_dissectors::compare::{Comparer, Opening, Rules};
use rpcshark_dissectors::store::{CallRef, Protocol, Store};
use rpcshark_dissectors::view::{Known, Permit, Scratch};

use super::script::{First, Script, Unservable};
use super::settings::Reuse;
use crate::replay::Recording;

/// What can be answered.
pub(crate) struct Catalog {
    /// In recorded order.
    recorded: Vec<Recorded>,
    /// By carrier and path.
    methods: HashMap<(Carrier, Box<str>), u32>,
    by_number: Vec<Method>,
    /// The recordings of each group, after each other, each group in recorded order.
    members: Vec<u32>,
    groups: HashMap<(u32, Beginning), Group>,
    /// What cannot be served, and how often.
    pub(crate) left_out: BTreeMap<Unservable, u64>,
}

/// What a call is carried by. Calls are answered by recordings of the same carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Carrier {
    /// HTTP/2.
    Http2,
    /// ttrpc.
    Ttrpc,
}

/// A recorded call.
#[derive(Debug)]
struct Recorded {
    at: CallRef,
    method: u32,
    beginning: Beginning,
    uses: Cell<u32>,
}

/// What a recorded call begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Beginning {
    /// The server speaks first.
    Server,
    /// The client speaks first.
    Client(Opening),
}

/// A method that was called.
#[derive(Debug)]
pub(crate) struct Method {
    path: Box<str>,
    carrier: Carrier,
    /// Its recordings that begin with the client, in recorded order.
    by_client: Vec<u32>,
    /// Whether there are recordings in which the server speaks first.
    pub(crate) server_first: bool,
    /// Whether there are recordings in which the client speaks first.
    pub(crate) client_first: bool,
    /// The first recording in which headers come before any message of the client.
    pub(crate) early_headers: Option<u32>,
}

/// Recordings of a method that begin alike.
#[derive(Debug)]
struct Group {
    from: usize,
    to: usize,
    /// How often each was used at least, and the first that was not used more often.
    round: Cell<u32>,
    cursor: Cell<usize>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This recording answers it.
    Recording(u32),
    /// All recordings that are equal were used (`--reuse error`).
    UsedUp,
    /// None begins like this.
    None,
}

/// Calls that one thread looks at at a time.
const SHARE: usize = 256;

/// Recordings of a group that are compared with a request before the search ends. There is more than one only where rules
/// tolerate differences.
const MAX_CANDIDATES: usize = 4096;

impl Catalog {
    /// The catalog of `calls`, which are in recorded order.
    pub(crate) fn new(recording: &Recording, store: &Store, calls: &[CallRef], rules: &Rules) -> Self {
        let viewer = recording.viewer(store);
        let permit = Permit::to_send();
        let shares = calls.par_chunks(SHARE).map(|share| {
            let mut comparer = Comparer::new(rules, Permit::to_compare());
            let mut scratch = Scratch::default();
            let look = |&at: &CallRef| {
                let call = viewer.call(at).permitted(&permit);
                let (Known::Seen(path) | Known::Guessed(path)) = call.path() else {
                    return Err(Unservable::NoMethod);
                };
                let script = Script::of(store, &call)?;
                let beginning = match script.first {
                    First::Server => Beginning::Server,
                    First::Client => {
                        let opening = comparer.opening(&call, &mut scratch).ok_or(Unservable::Unreadable)?;
                        Beginning::Client(opening)
                    }
                };
                let carrier = match call.protocol() {
                    Protocol::Ttrpc => Carrier::Ttrpc,
                    Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => Carrier::Http2,
                };
                Ok((at, carrier, Box::<str>::from(path), beginning, script.early_headers))
            };
            share.iter().map(look).collect::<Vec<_>>()
        });
        let looked: Vec<Vec<_>> = shares.collect();
        let mut catalog = Self {
            recorded: Vec::new(),
            methods: HashMap::new(),
            by_number: Vec::new(),
            members: Vec::new(),
            groups: HashMap::new(),
            left_out: BTreeMap::new(),
        };
        for one in looked.into_iter().flatten() {
            match one {
                Ok((at, carrier, path, beginning, early)) => catalog.add(at, carrier, path, beginning, early),
                Err(why) => *catalog.left_out.entry(why).or_default() += 1,
            }
        }
        catalog.group();
        catalog
    }

    fn add(&mut self, at: CallRef, carrier: Carrier, path: Box<str>, beginning: Beginning, early_headers: bool) {
        let ix = self.recorded.len() as u32;
        let method = *self.methods.entry((carrier, path)).or_insert_with_key(|(carrier, path)| {
            self.by_number.push(Method {
                path: path.clone(),
                carrier: *carrier,
                by_client: Vec::new(),
                server_first: false,
                client_first: false,
                early_headers: None,
            });
            self.by_number.len() as u32 - 1
        });
        if let Some(known) = self.by_number.get_mut(method as usize) {
            match beginning {
                Beginning::Server => known.server_first = true,
                Beginning::Client(_) => {
                    known.client_first = true;
                    known.by_client.push(ix);
                }
            }
            if early_headers {
                known.early_headers.get_or_insert(ix);
            }
        }
        self.recorded.push(Recorded { at, method, beginning, uses: Cell::new(0) });
    }

    fn group(&mut self) {
        let mut members: Vec<u32> = (0..self.recorded.len() as u32).collect();
        members.sort_by_key(|&ix| {
            let recorded = &self.recorded[ix as usize];
            (recorded.method, recorded.beginning)
        });
        let key = |ix: u32| {
            let recorded = &self.recorded[ix as usize];
            (recorded.method, recorded.beginning)
        };
        let mut from = 0;
        while let Some(&first) = members.get(from) {
            let to = from + members[from..].partition_point(|&ix| key(ix) == key(first));
            self.groups.insert(key(first), Group { from, to, round: Cell::new(0), cursor: Cell::new(from) });
            from = to;
        }
        self.members = members;
    }

    /// How many calls can be answered.
    pub(crate) fn len(&self) -> usize {
        self.recorded.len()
    }

    /// How many methods they are of.
    pub(crate) fn method_count(&self) -> usize {
        self.by_number.len()
    }

    /// How many were never used.
    pub(crate) fn unused(&self) -> usize {
        self.recorded.iter().filter(|recorded| recorded.uses.get() == 0).count()
    }

    /// A method, if it was called in the recording: its number.
    pub(crate) fn method(&self, carrier: Carrier, path: &str) -> Option<(u32, &Method)> {
        let number = *self.methods.get(&(carrier, path.into()))?;
        Some((number, self.by_number.get(number as usize)?))
    }

    /// The paths of all methods of a carrier, as they were first called.
    pub(crate) fn paths(&self, carrier: Carrier) -> impl Iterator<Item = &str> {
        self.by_number.iter().filter(move |method| method.carrier == carrier).map(|method| &*method.path)
    }

    /// The call that a recording is of.
    pub(crate) fn call(&self, recording: u32) -> CallRef {
        self.recorded[recording as usize].at
    }

    /// Recordings of a method that begin with the client, of which one may be close to a request that none equals.
    pub(crate) fn candidates(&self, method: u32) -> &[u32] {
        self.by_number.get(method as usize).map_or(&[], |method| &method.by_client)
    }

    /// The recording that answers a call of a method with this beginning. `equal` says whether a recording of that beginning
    /// really equals the request.
    pub(crate) fn find(
        &self,
        method: u32,
        beginning: Beginning,
        reuse: Reuse,
        mut equal: impl FnMut(CallRef) -> bool,
    ) -> Found {
        let Some(group) = self.groups.get(&(method, beginning)) else { return Found::None };
        let members = &self.members[group.from..group.to];
        let uses = |ix: u32| &self.recorded[ix as usize].uses;
        let mut best: Option<(u32, u32)> = None;
        let skipped = group.cursor.get() - group.from;
        let order = members.iter().skip(skipped).chain(members.iter().take(skipped));
        for &ix in order.take(MAX_CANDIDATES) {
            let count = uses(ix).get();
            if best.is_some_and(|best| (count, ix) >= best) || !equal(self.call(ix)) {
                continue;
            }
            best = Some((count, ix));
            if count == group.round.get() {
                break;
            }
        }
        let Some((count, ix)) = best else { return Found::None };
        let chosen = match reuse {
            _ if count == 0 => ix,
            Reuse::Cycle => ix,
            Reuse::Error => return Found::UsedUp,
            Reuse::Last => {
                let mut equals = members.iter().rev().take(MAX_CANDIDATES);
                return Found::Recording(equals.find(|&&ix| equal(self.call(ix))).copied().unwrap_or(ix));
            }
        };
        uses(chosen).set(count + 1);
        group.advance(|at| uses(self.members[at]).get());
        Found::Recording(chosen)
    }
}

impl Group {
    /// Moves the cursor to the first recording that was used least.
    fn advance(&self, uses: impl Fn(usize) -> u32) {
        loop {
            while self.cursor.get() < self.to && uses(self.cursor.get()) > self.round.get() {
                self.cursor.set(self.cursor.get() + 1);
            }
            if self.cursor.get() < self.to {
                return;
            }
            self.cursor.set(self.from);
            self.round.set(self.round.get() + 1);
        }
    }
}
