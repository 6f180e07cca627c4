//! Which calls of two recordings belong together.
//!
//! Calls of a method with equal requests are pairs, in their order. What is left of a method is paired by order: the first call
//! that is left in the old recording with the first one that is left in the new one. With keys, calls of a method with equal
//! keys are pairs, and only calls without a key are paired otherwise. Connections, metadata and times do not count.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use rayon::prelude::*;
use rpcshark_dissectors::compare::{Comparer, Rules};
use rpcshark_dissectors::filter::{Column, FilterScratch};
use rpcshark_dissectors::store::CallRef;
use rpcshark_dissectors::view::{Permit, Viewer};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paired {
    /// Both recordings have it.
    Both(CallRef, CallRef),
    /// Only the old one has it.
    Missing(CallRef),
    /// Only the new one has it.
    Added(CallRef),
}

/// What a call is paired by.
struct Identity {
    method: u64,
    /// The digest of its key, or of its requests; none where those cannot be read.
    digest: Option<u64>,
    /// Whether the digest is that of a key: then a call without a partner has none.
    keyed: bool,
}

/// The calls of one method that have no partner yet.
#[derive(Default)]
struct Left {
    old: VecDeque<CallRef>,
    new: VecDeque<CallRef>,
}

/// Calls that one thread looks at at a time.
const SHARE: usize = 256;

/// Pairs the calls of two recordings. Those of the old one come in their order, then those that only the new one has.
pub(crate) fn pair(
    old: (Viewer<'_>, &[CallRef]),
    new: (Viewer<'_>, &[CallRef]),
    keys: &[Column],
    rules: &Rules,
) -> Vec<Paired> {
    let hasher = RandomState::new();
    let (olds, news) = (identities(old, keys, rules, &hasher), identities(new, keys, rules, &hasher));
    let mut waiting: HashMap<(u64, u64, bool), VecDeque<CallRef>> = HashMap::new();
    for (identity, &at) in olds.iter().zip(old.1) {
        if let Some(digest) = identity.digest {
            waiting.entry((identity.method, digest, identity.keyed)).or_default().push_back(at);
        }
    }
    let mut partners: HashMap<CallRef, CallRef> = HashMap::with_capacity(old.1.len());
    let mut left: HashMap<u64, Left> = HashMap::new();
    let mut added = Vec::new();
    for (identity, &at) in news.iter().zip(new.1) {
        let same = identity.digest.and_then(|digest| waiting.get_mut(&(identity.method, digest, identity.keyed)));
        match same.and_then(VecDeque::pop_front) {
            Some(partner) => _ = partners.insert(partner, at),
            None if identity.keyed => added.push(at),
            None => left.entry(identity.method).or_default().new.push_back(at),
        }
    }
    for (identity, &at) in olds.iter().zip(old.1) {
        if !identity.keyed && !partners.contains_key(&at) {
            left.entry(identity.method).or_default().old.push_back(at);
        }
    }
    for left in left.values_mut() {
        while let (Some(&old), Some(&new)) = (left.old.front(), left.new.front()) {
            partners.insert(old, new);
            left.old.pop_front();
            left.new.pop_front();
        }
    }
    let mut paired: Vec<Paired> = old
        .1
        .iter()
        .map(|&at| partners.get(&at).map_or(Paired::Missing(at), |&partner| Paired::Both(at, partner)))
        .collect();
    added.extend(left.into_values().flat_map(|left| left.new));
    added.sort_by_key(|&at| new.0.call(at).no());
    paired.extend(added.into_iter().map(Paired::Added));
    paired
}

fn identities(
    (viewer, calls): (Viewer<'_>, &[CallRef]),
    keys: &[Column],
    rules: &Rules,
    hasher: &RandomState,
) -> Vec<Identity> {
    let shares = calls.par_chunks(SHARE).map(|share| {
        let mut comparer = Comparer::new(rules, Permit::to_compare());
        let mut scratch = FilterScratch::default();
        let permit = Permit::to_compare();
        let one = |&at: &CallRef| {
            let call = viewer.call(at);
            let method = hasher.hash_one(call.path().value());
            let seen = call.permitted(&permit);
            let key: Vec<_> = keys.iter().map(|key| key.call(&seen, None, &mut scratch).values).collect();
            match key.iter().any(|values| !values.is_empty()) {
                true => Identity { method, digest: Some(hasher.hash_one(key)), keyed: true },
                false => Identity { method, digest: comparer.request_digest(&call), keyed: false },
            }
        };
        share.iter().map(one).collect::<Vec<Identity>>()
    });
    let shares: Vec<Vec<Identity>> = shares.collect();
    shares.into_iter().flatten().collect()
}
