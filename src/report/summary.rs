//! All calls together: counts, groups of differences, durations, and what is likely to be noise.

use std::collections::{BTreeMap, HashMap};

use rpcshark_dissectors::compare::{Difference, DifferenceKind, Noise, Shown, Suggestion, Suggestions, Verdict};
use rpcshark_dissectors::statistics::{Latencies, Quantiles};

use super::call::CallReport;

/// All calls together.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    verdicts: BTreeMap<Verdict, u64>,
    /// Differences in all.
    pub(super) differences: u64,
    /// Differences that were taken out because they are noise.
    pub(super) noise: u64,
    groups: HashMap<GroupKey, Group>,
    /// Differences in groups beyond those that are kept.
    pub(super) ungrouped: u64,
    /// Calls without a comparison, by method and reason.
    reasons: BTreeMap<(Verdict, String, String), Reason>,
    methods: BTreeMap<String, Method>,
    suggestions: Suggestions,
    /// Places that were learned to be noise.
    pub(super) noisy: Vec<(String, u64)>,
    /// Remarks for whoever reads the report.
    pub(super) remarks: Vec<String>,
}

/// What differences are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey {
    pub(super) method: String,
    pub(super) place: Box<str>,
    pub(super) kind: DifferenceKind,
}

/// Differences of one kind at one place of the calls of one method.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// How many there are.
    pub(super) count: u64,
    /// In how many calls.
    pub(super) calls: u64,
    /// The last call that was counted.
    last: (Option<u32>, Option<u32>),
    /// The full name of the field.
    pub(super) field: Option<Box<str>>,
    /// The first of them.
    pub(super) sample: Sample,
}

/// The first difference of a group.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) no: Option<u32>,
    pub(super) other_no: Option<u32>,
    pub(super) call: String,
    pub(super) recorded: Shown,
    pub(super) replayed: Shown,
}

/// Calls that ended without a comparison for the same reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Reason {
    pub(super) count: u64,
    /// The first of them.
    pub(super) first: Option<u32>,
}

/// The calls of a method.
#[derive(Debug, Default)]
pub(super) struct Method {
    pub(super) calls: u64,
    pub(super) verdicts: BTreeMap<Verdict, u64>,
    recorded: Latencies,
    replayed: Latencies,
}

/// The durations of a method, recorded and replayed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Durations {
    pub(super) recorded: Option<Quantiles>,
    pub(super) replayed: Option<Quantiles>,
}

impl Durations {
    /// Whether the calls now take clearly longer: half the calls by half as much again, and by a millisecond.
    pub(super) fn are_slower(&self) -> bool {
        match (self.recorded, self.replayed) {
            (Some(old), Some(new)) => new.p50 - old.p50 >= 1_000_000 && new.p50 >= old.p50 + old.p50 / 2,
            _ => false,
        }
    }
}

/// Groups that are kept. A recording in which more differs is summed up by its first ones.
const MAX_GROUPS: usize = 10_000;

/// Reasons that are kept.
const MAX_REASONS: usize = 10_000;

/// Methods that are kept.
const MAX_METHODS: usize = 100_000;

impl Summary {
    /// Adds a call.
    pub(super) fn add(&mut self, call: &CallReport) {
        let verdict = call.comparison.verdict;
        *self.verdicts.entry(verdict).or_default() += 1;
        self.differences += call.comparison.count();
        self.noise += call.comparison.noise;
        for difference in &call.comparison.differences {
            self.add_difference(call, difference);
        }
        if let Some(why) = call.comparison.why.as_ref().filter(|_| has_reason(verdict)) {
            let key = (verdict, call.method_text().to_owned(), why.clone());
            if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&key) {
                let reason = self.reasons.entry(key).or_default();
                reason.count += 1;
                reason.first = reason.first.or(call.no).or(call.other_no);
            }
        }
        if self.methods.len() >= MAX_METHODS && !self.methods.contains_key(call.method_text()) {
            return;
        }
        let method = self.methods.entry(call.method_text().to_owned()).or_default();
        method.calls += 1;
        *method.verdicts.entry(verdict).or_default() += 1;
        let sides = [(&call.recorded, &mut method.recorded), (&call.replayed, &mut method.replayed)];
        // Only where both are known can they be set against each other.
        let duration = |facts: &Option<super::CallFacts>| facts.as_ref().and_then(|facts| facts.duration_ns);
        if duration(&call.recorded).is_some() && duration(&call.replayed).is_some() {
            for (facts, latencies) in sides {
                duration(facts).into_iter().for_each(|nanos| latencies.add(nanos));
            }
        }
    }

    fn add_difference(&mut self, call: &CallReport, difference: &Difference) {
        let start = |facts: &Option<super::CallFacts>| facts.as_ref().and_then(|facts| facts.start);
        self.suggestions.observe(&call.method, difference, start(&call.recorded), start(&call.replayed));
        let key =
            GroupKey { method: call.method_text().to_owned(), place: difference.place.clone(), kind: difference.kind };
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) {
            self.ungrouped += 1;
            return;
        }
        let this = (call.no, call.other_no);
        let group = self.groups.entry(key).or_insert_with(|| Group {
            count: 0,
            calls: 0,
            last: (None, None),
            field: difference.field.clone(),
            sample: Sample {
                no: call.no,
                other_no: call.other_no,
                call: call.name(),
                recorded: difference.recorded.clone(),
                replayed: difference.replayed.clone(),
            },
        });
        group.count += 1;
        if group.calls == 0 || group.last != this {
            group.calls += 1;
            group.last = this;
        }
    }

    /// Takes over what was learned to be noise.
    pub(super) fn learned(&mut self, noise: &Noise) {
        self.noisy = noise.places();
    }

    /// How many calls there are.
    pub(crate) fn calls(&self) -> u64 {
        self.verdicts.values().sum()
    }

    /// How many calls ended so.
    pub(crate) fn count(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    /// Whether the replay did something else than the recording.
    pub(crate) fn has_failures(&self) -> bool {
        self.verdicts.iter().any(|(verdict, count)| verdict.is_failure() && *count > 0)
    }

    /// The groups of differences, the most frequent ones first.
    pub(super) fn groups(&self) -> Vec<(&GroupKey, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(b.0)));
        groups
    }

    /// Why calls have no comparison: verdict, method, reason, the most frequent ones first.
    pub(super) fn reasons(&self) -> Vec<(&(Verdict, String, String), &Reason)> {
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by(|a, b| a.0.0.cmp(&b.0.0).then(b.1.count.cmp(&a.1.count)).then_with(|| a.0.cmp(b.0)));
        reasons
    }

    /// The methods with their durations.
    pub(super) fn methods(&mut self) -> Vec<(&str, &Method, Durations)> {
        let of = |method: &mut Method| {
            method.recorded.sort();
            method.replayed.sort();
            Durations { recorded: method.recorded.quantiles(), replayed: method.replayed.quantiles() }
        };
        self.methods
            .iter_mut()
            .map(|(name, method)| {
                let durations = of(method);
                (name.as_str(), &*method, durations)
            })
            .collect()
    }

    /// What is likely to be noise.
    pub(super) fn suggestions(&self) -> Vec<Suggestion> {
        self.suggestions.all()
    }

    /// One line: `12 calls: 10 same, 1 differs, 1 skipped`.
    pub(crate) fn line(&self) -> String {
        let calls = self.calls();
        let counts: Vec<String> = Verdict::ALL
            .iter()
            .filter(|verdict| self.count(**verdict) > 0)
            .map(|verdict| format!("{} {}", self.count(*verdict), verdict.name()))
            .collect();
        let s = if calls == 1 { "" } else { "s" };
        match counts.is_empty() {
            true => format!("{calls} call{s}"),
            false => format!("{calls} call{s}: {}", counts.join(", ")),
        }
    }
}

/// Whether the reason of a verdict is worth a list of its own.
const fn has_reason(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Skipped
            | Verdict::NotComparable
            | Verdict::Stalled
            | Verdict::Timeout
            | Verdict::ConnectionLost
            | Verdict::Missing
            | Verdict::Added
    )
}
