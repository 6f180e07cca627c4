//! What a user says about the comparison: what is ignored, what has no order, what may differ by how much.

use std::fmt;
use std::ops::Range;

use super::difference::{Root, Step};
use super::pattern::{Pattern, PatternError};

/// What a user says about the comparison. The default compares everything exactly.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    equivalent: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pattern: Pattern,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Ignore,
    Unordered,
    /// The fields by which elements are matched, each as a path of names.
    Key(Vec<KeyField>),
    Float(Tolerance),
    TimeWithin(u64),
}

/// A field of a list's elements, as a path of names.
pub(super) type KeyField = Vec<Box<str>>;

/// By how much floating-point numbers may differ: as `MathUtil::WithinFractionOrMargin`, one of the two suffices.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// Of the larger of both absolute values.
    pub fraction: f64,
    /// In absolute terms.
    pub margin: f64,
}

/// What is wrong with a rule, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct RuleError {
    /// What is wrong.
    pub cause: String,
    /// Where, in bytes of the rule.
    pub span: Range<usize>,
}

impl From<PatternError> for RuleError {
    fn from(error: PatternError) -> Self {
        Self { cause: error.cause.into_owned(), span: error.span }
    }
}

fn wrong<T>(cause: impl Into<String>, span: Range<usize>) -> Result<T, RuleError> {
    Err(RuleError { cause: cause.into(), span })
}

impl Rules {
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && !self.equivalent
    }

    /// Ignores what `place` names, and all that is in it.
    ///
    /// # Errors
    ///
    /// If `place` is not a pattern.
    pub fn ignore(&mut self, place: &str) -> Result<(), RuleError> {
        self.add(place, What::Ignore)
    }

    /// The order of the lists that `place` names does not count.
    ///
    /// # Errors
    ///
    /// If `place` is not a pattern.
    pub fn unordered(&mut self, place: &str) -> Result<(), RuleError> {
        self.add(place, What::Unordered)
    }

    /// `PLACE=FIELD[,FIELD]`: the elements of a list are matched by the values of these fields.
    ///
    /// # Errors
    ///
    /// If the rule has another form.
    pub fn key(&mut self, rule: &str) -> Result<(), RuleError> {
        let Some((place, fields)) = split(rule) else {
            return wrong("the fields of the elements are missing, as in shop.Order.items=sku", rule.len()..rule.len());
        };
        self.key_fields(place, fields).map_err(|error| behind(error, place, fields))
    }

    /// The elements of the lists that `place` names are matched by the values of `fields`, which are separated by commas.
    ///
    /// # Errors
    ///
    /// If `place` is not a pattern, or `fields` are not paths of names.
    pub fn key_fields(&mut self, place: &str, fields: &str) -> Result<(), RuleError> {
        let mut paths = Vec::new();
        let mut at = 0;
        for field in fields.split(',') {
            let path: KeyField = field.trim().split('.').map(Into::into).collect();
            if path.iter().any(|name| name.is_empty()) {
                return wrong("the name of a field is missing", at..at + field.len()).map_err(RuleError::in_value);
            }
            paths.push(path);
            at += field.len() + 1;
        }
        self.add(place, What::Key(paths))
    }

    /// `[PLACE=]TOLERANCE`: by how much floating-point numbers may differ, everywhere or at a place: `0.001`, `0.1%`, or both
    /// with a comma between them.
    ///
    /// # Errors
    ///
    /// If the rule has another form.
    pub fn float(&mut self, rule: &str) -> Result<(), RuleError> {
        match split(rule) {
            Some((place, tolerance)) => {
                self.float_at(place, tolerance).map_err(|error| behind(error, place, tolerance))
            }
            None => self.float_at("**", rule).map_err(|error| RuleError { span: 0..rule.len(), ..error }),
        }
    }

    /// By how much floating-point numbers at `place` may differ.
    ///
    /// # Errors
    ///
    /// If `place` is not a pattern, or `tolerance` is not a tolerance.
    pub fn float_at(&mut self, place: &str, tolerance: &str) -> Result<(), RuleError> {
        let Some(parsed) = Tolerance::parse(tolerance) else {
            let cause = "a tolerance is a number (0.001), a percentage (0.1%), or both with a comma between them";
            return wrong(cause, 0..tolerance.len()).map_err(RuleError::in_value);
        };
        self.add(place, What::Float(parsed))
    }

    /// `[PLACE=]DURATION`: by how much timestamps and durations may differ, everywhere or at a place: `5s`, `100ms`.
    ///
    /// # Errors
    ///
    /// If the rule has another form.
    pub fn time_within(&mut self, rule: &str) -> Result<(), RuleError> {
        match split(rule) {
            Some((place, time)) => self.time_within_at(place, time).map_err(|error| behind(error, place, time)),
            None => self.time_within_at("**", rule).map_err(|error| RuleError { span: 0..rule.len(), ..error }),
        }
    }

    /// By how much timestamps and durations at `place` may differ.
    ///
    /// # Errors
    ///
    /// If `place` is not a pattern, or `duration` is not a duration.
    pub fn time_within_at(&mut self, place: &str, duration: &str) -> Result<(), RuleError> {
        let Some(nanos) = parse_duration(duration) else {
            let cause = "a duration is a number with a unit: 100ms, 1.5s, 2m (ns, us, ms, s, m, h)";
            return wrong(cause, 0..duration.len()).map_err(RuleError::in_value);
        };
        self.add(place, What::TimeWithin(nanos))
    }

    /// A field that is not set equals one that is set to its default value, and a message that is not set an empty one, if
    /// `equivalent` (`MessageDifferencer::EQUIVALENT`). Defaults that a proto2 schema sets are not known; they count as values.
    pub const fn set_equivalent(&mut self, equivalent: bool) {
        self.equivalent = equivalent;
    }

    /// Adds all rules of `other`.
    pub fn extend(&mut self, other: Self) {
        self.rules.extend(other.rules);
        self.equivalent |= other.equivalent;
    }

    fn add(&mut self, place: &str, what: What) -> Result<(), RuleError> {
        let pattern = if place == "**" { Pattern::everything() } else { Pattern::parse(place)? };
        self.rules.push(Rule { pattern, what });
        Ok(())
    }

    /// Those that can matter in a call of this method.
    pub(super) fn for_method(&self, service: &str, method: &str) -> Active<'_> {
        let rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.pattern.is_about(service, method)).collect();
        Active {
            names_elements: rules.iter().any(|rule| rule.pattern.names_elements()),
            tolerates: rules.iter().any(|rule| matches!(rule.what, What::Float(_) | What::TimeWithin(_))),
            equivalent: self.equivalent,
            rules,
        }
    }
}

impl RuleError {
    /// Marks an error as one in what follows the `=`.
    fn in_value(mut self) -> Self {
        self.span = self.span.start + IN_VALUE..self.span.end + IN_VALUE;
        self
    }

    /// Whether the error is in a rule's value (and not in its place), and where in that.
    pub fn value_span(&self) -> Option<Range<usize>> {
        let start = self.span.start.checked_sub(IN_VALUE)?;
        Some(start..self.span.end - IN_VALUE)
    }
}

/// Added to spans that count from the beginning of a rule's value.
const IN_VALUE: usize = 1 << 32;

/// Makes the span of an error count from the beginning of `PLACE=VALUE`.
fn behind(error: RuleError, place: &str, value: &str) -> RuleError {
    match error.value_span() {
        Some(span) => {
            let at = place.len() + 1;
            RuleError { span: at + span.start..at + span.end.min(value.len()), ..error }
        }
        None => error,
    }
}

/// Place and value of a rule. Keys of maps may have a `=` in their brackets.
fn split(rule: &str) -> Option<(&str, &str)> {
    let bracket = rule.rfind(']').map_or(0, |at| at + 1);
    let at = bracket + rule.get(bracket..)?.find('=')?;
    Some((rule.get(..at)?, rule.get(at + 1..)?))
}

impl Tolerance {
    fn parse(text: &str) -> Option<Self> {
        let mut tolerance = Self::default();
        for part in text.split(',') {
            let part = part.trim();
            let (number, is_fraction) = part.strip_suffix('%').map_or((part, false), |number| (number, true));
            let number: f64 = number.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
            match is_fraction {
                true => tolerance.fraction = number / 100.0,
                false => tolerance.margin = number,
            }
        }
        Some(tolerance)
    }

    /// Whether two numbers are near enough. As `MathUtil::WithinFractionOrMargin`: infinities are near to nothing else.
    pub fn allows(self, a: f64, b: f64) -> bool {
        if a == b || a.is_nan() && b.is_nan() {
            return true;
        }
        if !a.is_finite() || !b.is_finite() {
            return false;
        }
        let relative = self.fraction * a.abs().max(b.abs());
        (a - b).abs() <= relative.max(self.margin)
    }
}

/// A duration in nanoseconds.
fn parse_duration(text: &str) -> Option<u64> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let nanos = match unit.trim() {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let nanos = number.parse::<f64>().ok()? * nanos;
    (nanos.is_finite() && nanos < u64::MAX as f64).then_some(nanos as u64)
}

/// The rules that can matter in one call.
pub(super) struct Active<'r> {
    rules: Vec<&'r Rule>,
    /// Whether some of them name single elements of lists or maps.
    pub(super) names_elements: bool,
    /// Whether some of them allow values to differ.
    pub(super) tolerates: bool,
    /// Whether presence does not count.
    pub(super) equivalent: bool,
}

/// What the rules say about one place.
#[derive(Clone, Copy, Default)]
pub(super) struct Treatment<'r> {
    pub(super) ignore: bool,
    pub(super) unordered: bool,
    pub(super) key: Option<&'r [KeyField]>,
    pub(super) float: Option<Tolerance>,
    pub(super) within: Option<u64>,
}

impl<'r> Active<'r> {
    /// Whether there are no rules about places.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What they say about a place. Of several rules of one sort, the last counts.
    pub(super) fn at(&self, root: Root, steps: &[Step<'_>]) -> Treatment<'r> {
        let mut treatment = Treatment::default();
        for rule in &self.rules {
            if !rule.pattern.matches(root, steps) {
                continue;
            }
            match &rule.what {
                What::Ignore => treatment.ignore = true,
                What::Unordered => treatment.unordered = true,
                What::Key(fields) => treatment.key = Some(fields),
                What::Float(tolerance) => treatment.float = Some(*tolerance),
                What::TimeWithin(nanos) => treatment.within = Some(*nanos),
            }
        }
        treatment
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%,{}", self.fraction * 100.0, self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_fraction_of_the_larger_number_or_a_margin() {
        let parse = |text: &str| Tolerance::parse(text);
        assert_eq!(parse("0.5"), Some(Tolerance { fraction: 0.0, margin: 0.5 }));
        assert_eq!(parse("10%"), Some(Tolerance { fraction: 0.1, margin: 0.0 }));
        assert_eq!(parse("10%, 0.5"), Some(Tolerance { fraction: 0.1, margin: 0.5 }));
        for text in ["", "x", "-1", "nan", "inf", "1,", "%"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let tenth = Tolerance { fraction: 0.1, margin: 0.0 };
        assert!(tenth.allows(90.0, 100.0) && tenth.allows(100.0, 90.0) && !tenth.allows(89.0, 100.0));
        assert!(!tenth.allows(0.0, 1e-9) && Tolerance { margin: 1e-9, ..tenth }.allows(0.0, 1e-9));
        assert!(tenth.allows(f64::NAN, f64::NAN) && !tenth.allows(f64::NAN, 1.0));
        assert!(tenth.allows(f64::INFINITY, f64::INFINITY) && !tenth.allows(f64::INFINITY, f64::MAX));
    }

    #[test]
    fn durations_have_units() {
        for (text, nanos) in
            [("5s", 5_000_000_000), ("100ms", 100_000_000), ("1.5 s", 1_500_000_000), ("2m", 120_000_000_000)]
        {
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "-1s", "1e30h", "1.2.3s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_reported_with_its_place() {
        let mut rules = Rules::default();
        for (result, cause, span) in [
            (rules.key("shop.Order.items"), "the fields of the elements are missing", 16..16),
            (rules.key("shop.Order.items=sku,"), "the name of a field is missing", 21..21),
            (rules.key("a..b=sku"), "a name is missing", 2..3),
            (rules.float("shop.P.price=much"), "a tolerance is a number", 13..17),
            (rules.float("much"), "a tolerance is a number", 0..4),
            (rules.time_within("a.b=5"), "a duration is a number with a unit", 4..5),
            (rules.ignore("shop.Orders/Get"), "a path is missing after the method", 12..15),
        ] {
            let error = result.unwrap_err();
            assert!(error.cause.starts_with(cause), "{error}");
            assert_eq!(error.span, span, "{error}");
        }
        assert!(rules.is_empty(), "what is wrong is not kept");
        rules.float("a.labels[\"x=y\"].price=1%").unwrap();
        rules.key("a.b=c,d.e").unwrap();
        assert!(!rules.is_empty());
    }
}
