//! Pieces of text that several screens show alike.

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::print::duration_text;
use rpcshark_dissectors::view::{CallView, Outcome};

use crate::text::safe;
use crate::theme::{Role, Signs};

/// The role of how a call went.
pub(crate) const fn outcome_role(outcome: Option<Outcome>) -> Role {
    match outcome {
        Some(Outcome::Ok) => Role::Ok,
        Some(Outcome::Error | Outcome::Reset) => Role::Error,
        Some(Outcome::Incomplete) | None => Role::Warning,
        Some(Outcome::Open) => Role::Open,
    }
}

/// Whether a call counts as failed: an error or a reset.
pub(crate) const fn is_failed(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Error | Outcome::Reset))
}

/// How long a call took, `≥` how long it has been open, or `?`.
pub(crate) fn took_text(call: &CallView<'_>, now: Option<Timestamp>, decimals: u8, signs: &Signs) -> String {
    match (call.duration_ns(), call.outcome(), now) {
        (Some(nanos), _, _) => duration_text(nanos, decimals),
        (None, Some(Outcome::Open), Some(now)) => match call.since_start(now).filter(|&nanos| nanos > 0) {
            Some(nanos) => format!("{} {}", signs.at_least, duration_text(nanos, decimals)),
            None => "?".to_owned(),
        },
        _ => "?".to_owned(),
    }
}

/// A time since the start of `call`, as the lines of the call show it: `+101 ms`. Empty where it is not known.
pub(crate) fn since_start(call: &CallView<'_>, at: Timestamp, decimals: u8) -> String {
    let Some(nanos) = call.since_start(at) else { return String::new() };
    let sign = if nanos < 0 { "" } else { "+" };
    format!("{sign}{}", duration_text(nanos, decimals))
}

/// The method of a call as people read it, safe to draw; `None` where it is not known.
pub(crate) fn method_name(call: &CallView<'_>) -> Option<String> {
    let path = call.path();
    let guessed = path.is_guessed();
    let path = path.value()?;
    let name = safe(path.strip_prefix('/').unwrap_or(path).as_bytes());
    Some(if guessed { format!("{name} (guessed)") } else { name })
}

/// Numbers that a filter names at the most: a longer one is of no use.
pub(crate) const MAX_NUMBERS: usize = 200;

/// The filter that selects these numbers, which ascend: `rpc.no in {1, 5..9}`. `None` without any.
pub(crate) fn numbers_filter(field: &str, numbers: &[u32]) -> Option<String> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |&(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}..{last}"),
    };
    match ranges.as_slice() {
        [] => None,
        [(first, last)] if first == last => Some(format!("{field} == {first}")),
        _ => Some(format!("{field} in {{{}}}", ranges.iter().map(text).collect::<Vec<_>>().join(", "))),
    }
}
