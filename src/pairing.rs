//! Which calls of two recordings belong together.
//!
//! Calls of a method with equal requests are pairs, in their order. What is left of a method is paired by order: the first call
//! that is left in the old recording with the first one that is left in the new one. With keys, calls of a method with equal
//! keys are pairs, and only calls without a key are paired otherwise. Connections, metadata and times do not count.

use std::cmp::Ordering;
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

/// What a call is paired by: its method, then the digest of its key or of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    method: u64,
    /// Whether the digest is that of a key: then a call without a partner has none.
    keyed: bool,
    /// None where the requests cannot be read.
    digest: Option<u64>,
}

/// Calls that one thread looks at at a time.
const SHARE: usize = 256;

/// Stands for no partner. A store has fewer calls.
const NOBODY: u32 = u32::MAX;

/// Pairs the calls of two recordings. Those of the old one come in their order, then those that only the new one has.
///
/// Memory: some 60 bytes a call. Nothing is kept per method or request.
pub(crate) fn pair(
    old: (Viewer<'_>, &[CallRef]),
    new: (Viewer<'_>, &[CallRef]),
    keys: &[Column],
    rules: &Rules,
) -> Vec<Paired> {
    let hasher = RandomState::new();
    let (olds, news) = (identities(old, keys, rules, &hasher), identities(new, keys, rules, &hasher));
    // The partner of each call of the old recording, and whether each of the new one has any.
    let mut partners = vec![NOBODY; olds.len()];
    let mut taken = vec![false; news.len()];
    let join = |olds: &[(Identity, u32)], news: &[(Identity, u32)], taken: &mut [bool], partners: &mut [u32]| {
        let (mut left, mut right) = (olds.iter().peekable(), news.iter().peekable());
        while let (Some((a, i)), Some((b, j))) = (left.peek(), right.peek()) {
            match a.cmp(b) {
                Ordering::Less => _ = left.next(),
                Ordering::Greater => _ = right.next(),
                Ordering::Equal => {
                    if let (Some(partner), Some(taken)) = (partners.get_mut(*i as usize), taken.get_mut(*j as usize)) {
                        (*partner, *taken) = (*j, true);
                    }
                    left.next();
                    right.next();
                }
            }
        }
    };
    // Equal identities, in their order.
    let known = |identity: &Identity| identity.digest.is_some().then_some(*identity);
    join(&sorted(&olds, |_, one| known(one)), &sorted(&news, |_, one| known(one)), &mut taken, &mut partners);
    // What is left of a method, in its order.
    let method = |identity: &Identity| (!identity.keyed).then_some(Identity { digest: None, ..*identity });
    let left = sorted(&olds, |at, one| method(one).filter(|_| partners.get(at) == Some(&NOBODY)));
    let right = sorted(&news, |at, one| method(one).filter(|_| taken.get(at) == Some(&false)));
    join(&left, &right, &mut taken, &mut partners);

    let both = |(&at, &partner): (&CallRef, &u32)| match new.1.get(partner as usize) {
        Some(&partner) => Paired::Both(at, partner),
        None => Paired::Missing(at),
    };
    let added = new.1.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(&at, _)| Paired::Added(at));
    old.1.iter().zip(&partners).map(both).chain(added).collect()
}

/// The identities that `which` gives, with the places of their calls, in order.
fn sorted(identities: &[Identity], which: impl Fn(usize, &Identity) -> Option<Identity>) -> Vec<(Identity, u32)> {
    let chosen = identities.iter().enumerate().filter_map(|(at, one)| Some((which(at, one)?, u32::try_from(at).ok()?)));
    let mut chosen: Vec<(Identity, u32)> = chosen.collect();
    chosen.sort_unstable();
    chosen
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
