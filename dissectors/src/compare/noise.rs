//! Places that differ without any change of the program: learned from comparing two runs that should be the same.

use std::collections::{BTreeMap, HashMap};

use super::difference::{Difference, Shown};
use super::outcome::Comparison;

/// Places that differ between runs that should be the same, by method.
#[derive(Clone, Debug, Default)]
pub struct Noise {
    places: HashMap<Box<str>, BTreeMap<Box<str>, u64>>,
    count: usize,
}

/// How many places are learned. A recording with more has no stable fields at all.
const MAX_PLACES: usize = 100_000;

impl Noise {
    /// Learns from the comparison of two calls of `method` (`service/method`) that should be the same: whatever differs is noise.
    pub fn learn(&mut self, method: &str, comparison: &Comparison) {
        for difference in &comparison.differences {
            self.add(method, difference);
        }
    }

    /// Learns from two comparisons of the same recorded call, each with another run of the same program: what the runs answered
    /// differently is noise. What both answered alike, but differently than recorded, is not. A secret is not noise: whether the
    /// runs agree on it is not known here.
    pub fn learn_between(&mut self, method: &str, first: &Comparison, second: &Comparison) {
        for (one, other) in [(first, second), (second, first)] {
            for difference in &one.differences {
                let same = other
                    .differences
                    .iter()
                    .find(|same| same.path == difference.path && same.message == difference.message);
                let is_noise = match same {
                    Some(same) => same.replayed != difference.replayed,
                    // The other run answered as recorded, unless its differences were too many to be kept.
                    None => other.more == 0 && !matches!(difference.replayed, Shown::Hidden { .. }),
                };
                if is_noise {
                    self.add(method, difference);
                }
            }
        }
    }

    fn add(&mut self, method: &str, difference: &Difference) {
        if !self.places.contains_key(method) {
            self.places.insert(method.into(), BTreeMap::new());
        }
        let Some(places) = self.places.get_mut(method) else { return };
        match places.get_mut(&difference.place) {
            Some(count) => *count += 1,
            None if self.count < MAX_PLACES => {
                self.count += 1;
                places.insert(difference.place.clone(), 1);
            }
            None => {}
        }
    }

    /// Takes the differences out of a comparison that are noise, and counts them in it.
    pub fn subtract(&self, method: &str, comparison: &mut Comparison) {
        let Some(places) = self.places.get(method) else { return };
        let before = comparison.differences.len();
        comparison.differences.retain(|difference| !places.contains_key(&difference.place));
        let removed = before - comparison.differences.len();
        comparison.noise += removed as u64;
        // Differences that were only counted may be noise or not: if all that are known are, the others are treated as noise too.
        if removed > 0 && comparison.differences.is_empty() {
            comparison.noise += std::mem::take(&mut comparison.more);
        }
        comparison.settle();
    }

    /// The places that were learned, with how often each differed: `shop.Orders/Get.response.created`.
    pub fn places(&self) -> Vec<(String, u64)> {
        let mut places: Vec<(String, u64)> = self
            .places
            .iter()
            .flat_map(|(method, places)| places.iter().map(move |(place, &count)| (format!("{method}.{place}"), count)))
            .collect();
        places.sort();
        places
    }
}
