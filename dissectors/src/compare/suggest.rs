//! Differences that are likely to be noise: suggested as rules, never applied.

use std::collections::BTreeMap;

use rpcshark_captures::Timestamp;

use super::difference::{Difference, DifferenceKind, Shown};

/// Looks for differences that are likely to be noise.
#[derive(Clone, Debug, Default)]
pub struct Suggestions {
    places: BTreeMap<Box<str>, Place>,
}

/// A rule that would take differences out that are likely to be noise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The place to ignore, as a rule names it.
    pub place: String,
    /// Why.
    pub likely: Likely,
    /// How many differences it would take out.
    pub count: u64,
}

/// What values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likely {
    /// Times near those of the calls, on both sides.
    Clock,
    /// Random identifiers, on both sides.
    Identifier,
    /// Numbers that grow from call to call, on both sides.
    Counter,
}

impl Likely {
    /// For people: what the values look like.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Clock => "looks like the time of the call",
            Self::Identifier => "looks like a random identifier",
            Self::Counter => "looks like a counter",
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Place {
    count: u64,
    clocks: u64,
    identifiers: u64,
    /// The last values, and how often both grew.
    last: Option<(i128, i128)>,
    grew: u64,
    numbers: u64,
}

/// Places that are looked at.
const MAX_PLACES: usize = 10_000;

/// A time this near to a call's is assumed to be the time of the call: five minutes.
const NEAR: i128 = 300 * 1_000_000_000;

/// How many values a counter must show: fewer may grow by chance.
const MIN_COUNTED: u64 = 4;

impl Suggestions {
    /// Looks at a difference of a call of `method` (`service/method`); with the times of both calls, where they are known. Calls
    /// come in their order.
    pub fn observe(
        &mut self,
        method: &str,
        difference: &Difference,
        recorded_at: Option<Timestamp>,
        replayed_at: Option<Timestamp>,
    ) {
        if difference.kind != DifferenceKind::Changed {
            return;
        }
        let (Shown::Json(recorded), Shown::Json(replayed)) = (&difference.recorded, &difference.replayed) else {
            return;
        };
        let name = match &difference.field {
            Some(field) => field.clone(),
            None => format!("{method}.{}", difference.place).into_boxed_str(),
        };
        if !self.places.contains_key(&name) && self.places.len() >= MAX_PLACES {
            return;
        }
        let place = self.places.entry(name).or_default();
        place.count += 1;
        let near = |text: &str, at: Option<Timestamp>| {
            let at = i128::from(at?.as_nanos());
            times(text).any(|time| (time - at).abs() <= NEAR).then_some(())
        };
        place.clocks += u64::from(near(recorded, recorded_at).and(near(replayed, replayed_at)).is_some());
        place.identifiers += u64::from(is_identifier(recorded) && is_identifier(replayed));
        if let (Some(recorded), Some(replayed)) = (number(recorded), number(replayed)) {
            place.numbers += 1;
            if let Some(last) = place.last.replace((recorded, replayed)) {
                place.grew += u64::from(last.0 < recorded && last.1 < replayed);
            }
        }
    }

    /// What is suggested, by place.
    pub fn all(&self) -> Vec<Suggestion> {
        let suggested = self.places.iter().filter_map(|(name, place)| {
            let likely = match place {
                // One value that is not a clock makes it unlikely that the others are.
                place if place.clocks == place.count => Likely::Clock,
                place if place.identifiers == place.count => Likely::Identifier,
                place
                    if place.numbers == place.count && place.count >= MIN_COUNTED && place.grew + 1 == place.count =>
                {
                    Likely::Counter
                }
                _ => return None,
            };
            Some(Suggestion { place: name.to_string(), likely, count: place.count })
        });
        suggested.collect()
    }
}

/// What is in the quotes of a JSON string without escapes; other text as it is.
fn plain(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn number(text: &str) -> Option<i128> {
    plain(text).parse().ok()
}

/// The times that a value can mean, in nanoseconds since 1970: RFC 3339, or a number of seconds, milli-, micro- or nanoseconds.
fn times(text: &str) -> impl Iterator<Item = i128> {
    let text = plain(text);
    let date =
        (text.len() >= 20).then(|| text.parse::<jiff::Timestamp>().ok()).flatten().map(|time| time.as_nanosecond());
    let number = number(text);
    let units = [1, 1_000, 1_000_000, 1_000_000_000].into_iter();
    date.into_iter().chain(units.filter_map(move |unit: i128| number?.checked_mul(unit)))
}

/// Whether a value looks like a UUID, or 16 and more hexadecimal digits.
fn is_identifier(text: &str) -> bool {
    let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return false };
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let groups: Vec<&str> = text.split('-').collect();
    match groups[..] {
        [only] => only.len() >= 16 && is_hex(only) && only.bytes().any(|byte| !byte.is_ascii_digit()),
        [a, b, c, d, e] => {
            [a.len(), b.len(), c.len(), d.len(), e.len()] == [8, 4, 4, 4, 12]
                && groups.iter().all(|group| is_hex(group))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(place: &str, recorded: &str, replayed: &str) -> Difference {
        Difference {
            path: place.into(),
            place: place.into(),
            field: None,
            message: None,
            kind: DifferenceKind::Changed,
            recorded: Shown::Json(recorded.into()),
            replayed: Shown::Json(replayed.into()),
        }
    }

    #[test]
    fn clocks_identifiers_and_counters_are_suggested() {
        // 2026-01-01 and 2026-03-01, 12:00.
        let times =
            [1_767_268_800_i64, 1_772_366_400].map(|seconds| Some(Timestamp::from_nanos(seconds * 1_000_000_000)));
        let mut suggestions = Suggestions::default();
        let mut see = |place: &str, recorded: &str, replayed: &str| {
            suggestions.observe("shop.Orders/Get", &difference(place, recorded, replayed), times[0], times[1]);
        };
        see("response.created", "\"2026-01-01T12:00:01Z\"", "\"2026-03-01T11:59:58.5Z\"");
        see("response.millis", "1767268801000", "\"1772366400123\"");
        see("response.stale", "\"2026-01-01T12:00:01Z\"", "\"2026-01-01T12:00:01.5Z\"");
        see("response.id", "\"3f2504e0-4f89-11d3-9a0c-0305e82c3301\"", "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"");
        see("response.trace", "\"4bf92f3577b34da6\"", "\"00f067aa0ba902b7\"");
        see("response.name", "\"a\"", "\"b\"");
        for at in 0..4 {
            see("response.revision", &(10 + at).to_string(), &(70 + 2 * at).to_string());
            see("response.price", &(10 - at).to_string(), &at.to_string());
        }
        see("response.few", "1", "2");
        let found: Vec<_> =
            suggestions.all().into_iter().map(|found| (found.place, found.likely, found.count)).collect();
        let place = |name: &str| format!("shop.Orders/Get.response.{name}");
        assert_eq!(
            found,
            [
                (place("created"), Likely::Clock, 1),
                (place("id"), Likely::Identifier, 1),
                (place("millis"), Likely::Clock, 1),
                (place("revision"), Likely::Counter, 4),
                (place("trace"), Likely::Identifier, 1),
            ]
        );
    }
}
