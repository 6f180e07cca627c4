//! What millions of calls are sorted by, in as little memory as the values allow.
//!
//! Numbers, times and durations take eight bytes a call; so does text, of which each different one is kept once.

use std::cmp::Ordering;
use std::collections::HashMap;

use rayon::prelude::*;
use rpcshark_dissectors::filter::{SortKey, Value};

/// The keys of calls, by their number less one.
#[derive(Debug, Default)]
pub(super) enum SortKeys {
    /// There are none yet.
    #[default]
    Empty,
    /// Whole numbers; [`NONE`] where a call has no value.
    Numbers(Vec<i64>),
    /// Text: the index of each.
    Texts(Texts),
    /// Anything else.
    Any(Vec<Option<SortKey>>),
}

/// Texts, each kept once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    indexes: HashMap<Box<[u8]>, u32>,
    /// [`NO_TEXT`] where a call has none.
    of_call: Vec<u32>,
}

/// Stands for a value that is not there. No time, size or duration of a call is this small.
const NONE: i64 = i64::MIN;

/// Stands for a text that is not there.
const NO_TEXT: u32 = u32::MAX;

impl SortKeys {
    /// Sets the key of the call with index `index`, which is at most the number of keys.
    pub(super) fn set(&mut self, index: usize, key: Option<SortKey>) {
        let value = key.as_ref().and_then(SortKey::value);
        loop {
            match (&mut *self, value) {
                (Self::Empty, None | Some(Value::Int(_) | Value::Time(_) | Value::Duration(_))) => {
                    *self = Self::Numbers(Vec::new());
                }
                (Self::Empty, Some(Value::Text(_))) => *self = Self::Texts(Texts::default()),
                (Self::Empty, _) => *self = Self::Any(Vec::new()),
                (Self::Numbers(numbers), _) => match number(value) {
                    Some(number) => return put(numbers, index, number),
                    // So far no call had a value.
                    None if numbers.iter().all(|&number| number == NONE) => {
                        let len = numbers.len();
                        *self = match value {
                            Some(Value::Text(_)) => {
                                Self::Texts(Texts { of_call: vec![NO_TEXT; len], ..Texts::default() })
                            }
                            _ => Self::Any(std::iter::repeat_with(|| None).take(len).collect()),
                        };
                    }
                    // A field has values of one type only.
                    None => return put(numbers, index, NONE),
                },
                (Self::Texts(texts), value) => return texts.set(index, value),
                (Self::Any(keys), _) => return put(keys, index, key),
            }
        }
    }

    /// Puts calls in order; those without a value come last, equal ones by their numbers.
    pub(super) fn sort(&self, calls: Vec<u32>, down: bool) -> Vec<u32> {
        match self {
            Self::Empty => calls,
            Self::Numbers(numbers) => {
                let key = |no: u32| numbers.get(no as usize - 1).copied().filter(|&number| number != NONE);
                sort_by_number(&calls, down, key)
            }
            Self::Texts(texts) => {
                let ranks = texts.ranks();
                let key = |no: u32| {
                    let text = texts.of_call.get(no as usize - 1)?;
                    ranks.get(*text as usize).copied().map(i64::from)
                };
                sort_by_number(&calls, down, key)
            }
            Self::Any(keys) => {
                let mut calls = calls;
                let key = |no: &u32| keys.get(*no as usize - 1).and_then(Option::as_ref);
                calls.sort_by(|a, b| match (key(a), key(b)) {
                    (Some(a), Some(b)) => a.compare(b, down),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                });
                calls
            }
        }
    }
}

fn number(value: Option<&Value<'_>>) -> Option<i64> {
    match value {
        None => Some(NONE),
        Some(Value::Int(number) | Value::Time(number) | Value::Duration(number)) => {
            Some((*number).clamp(i128::from(NONE) + 1, i128::from(i64::MAX)) as i64)
        }
        Some(_) => None,
    }
}

fn put<T>(into: &mut Vec<T>, index: usize, value: T) {
    match into.get_mut(index) {
        Some(old) => *old = value,
        None => into.push(value),
    }
}

/// Sorts by a number that keeps the order when it is compared without a sign.
fn sort_by_number(calls: &[u32], down: bool, key: impl Fn(u32) -> Option<i64> + Sync) -> Vec<u32> {
    let ordered = |no: &u32| {
        let number = key(*no).map(|number| number as u64 ^ 1 << 63);
        let number = match (number, down) {
            (Some(number), false) => number.min(u64::MAX - 1),
            (Some(number), true) => u64::MAX - 1 - number.min(u64::MAX - 1),
            (None, _) => u64::MAX,
        };
        (number, *no)
    };
    let mut keyed: Vec<(u64, u32)> = calls.par_iter().map(ordered).collect();
    keyed.par_sort_unstable();
    keyed.into_par_iter().map(|(_, no)| no).collect()
}

impl Texts {
    fn set(&mut self, index: usize, value: Option<&Value<'_>>) {
        let Some(Value::Text(text)) = value else { return put(&mut self.of_call, index, NO_TEXT) };
        let next = self.indexes.len() as u32;
        let at = match self.indexes.get(text.as_ref()) {
            Some(&at) => at,
            None => {
                self.indexes.insert(text.as_ref().into(), next);
                next
            }
        };
        put(&mut self.of_call, index, at);
    }

    /// By the index of each text: its place in their order.
    fn ranks(&self) -> Vec<u32> {
        let mut sorted: Vec<(&[u8], u32)> = self.indexes.iter().map(|(text, &index)| (&**text, index)).collect();
        sorted.sort_unstable();
        let mut ranks = vec![0; sorted.len()];
        for (rank, (_, index)) in (0..).zip(sorted) {
            if let Some(place) = ranks.get_mut(index as usize) {
                *place = rank;
            }
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[Option<i64>]) -> SortKeys {
        SortKeys::Numbers(values.iter().map(|value| value.unwrap_or(NONE)).collect())
    }

    #[test]
    fn calls_without_a_value_come_last_whichever_way_is_sorted() {
        let keys = numbers(&[Some(5), None, Some(-3), Some(5), Some(i64::MAX)]);
        assert_eq!(keys.sort(vec![1, 2, 3, 4, 5], false), [3, 1, 4, 5, 2]);
        assert_eq!(keys.sort(vec![1, 2, 3, 4, 5], true), [5, 1, 4, 3, 2]);
    }

    #[test]
    fn texts_are_sorted_by_their_bytes_and_kept_once() {
        let mut texts = Texts::default();
        for (index, text) in ["/b", "/a", "/b", "/c"].into_iter().enumerate() {
            texts.set(index, Some(&Value::text(text)));
        }
        texts.set(4, None);
        assert_eq!(texts.indexes.len(), 3);
        let keys = SortKeys::Texts(texts);
        assert_eq!(keys.sort(vec![1, 2, 3, 4, 5], false), [2, 1, 3, 4, 5]);
        assert_eq!(keys.sort(vec![1, 2, 3, 4, 5], true), [4, 1, 3, 2, 5]);
    }
}
