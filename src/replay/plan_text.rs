//! The text of a replay's plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rpcshark_dissectors::print::Escaped;

use super::{Connections, Order, Pace, Plan, Settings};

/// Appends the plan.
pub(crate) fn write_plan(plan: &Plan, settings: &Settings, out: &mut Vec<u8>) {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = lines(plan, settings, &mut text);
    for line in text.lines() {
        out.extend_from_slice(Escaped(line.as_bytes()).to_string().as_bytes());
        out.push(b'\n');
    }
}

fn lines(plan: &Plan, settings: &Settings, out: &mut String) -> std::fmt::Result {
    let (sent, skipped) = (plan.calls.len(), plan.skipped.len());
    writeln!(out, "{} to send, {} left out", count(sent, "call"), skipped)?;
    for target in &plan.targets {
        let calls = count(target.calls as usize, "call");
        write!(out, "  {calls} to {} ({}), recorded at {}", target.address, target.transport.name(), target.recorded)?;
        writeln!(out, "{}", if target.is_recorded { ": the same server" } else { "" })?;
    }
    let connections = match settings.connections {
        Connections::Recorded => count(plan.connections, "connection"),
        Connections::PerCall => "a connection per call".to_owned(),
        Connections::Pool(size) => format!("a pool of {}", count(size as usize, "connection")),
    };
    writeln!(out, "  {connections}, {}, order {}", time(plan, settings), order(settings.order))?;
    if !plan.methods.is_empty() {
        writeln!(out, "\nMethods:")?;
        let width = plan.methods.iter().map(|method| method.name.chars().count()).max().unwrap_or(0).min(MAX_NAME);
        for method in &plan.methods {
            let left_out = if method.skipped > 0 { format!(", {} left out", method.skipped) } else { String::new() };
            let schema = if method.is_known { "" } else { ", not in the schema" };
            let safety = method.safety.name();
            writeln!(out, "  {:width$}  {:>6} sent{left_out}  {safety}{schema}", method.name, method.sent)?;
        }
    }
    let reasons = skipped_lines(plan);
    if !reasons.is_empty() {
        writeln!(out, "\nLeft out:")?;
        for (calls, why) in reasons {
            writeln!(out, "  {calls}: {why}")?;
        }
    }
    if !plan.unseen.is_empty() {
        writeln!(out, "\nNot seen:")?;
        for (why, connections) in &plan.unseen {
            writeln!(out, "  {connections} {why}")?;
        }
    }
    if !plan.withheld.is_empty() || !plan.expired.is_empty() {
        writeln!(out, "\nCredentials:")?;
        for (name, calls) in &plan.withheld {
            let calls = count(*calls as usize, "call");
            writeln!(
                out,
                "  {name} of {calls} is withheld: --header {name}=env:NAME sends another one, --keep-auth this one"
            )?;
        }
        for (name, (since, calls)) in &plan.expired {
            let calls = count(*calls as usize, "call");
            writeln!(out, "  the token in {name} of {calls} ran out {} ago: the replay is refused", span_text(*since))?;
        }
    }
    Ok(())
}

/// Names of methods that are longer do not move the other columns.
const MAX_NAME: usize = 60;

/// Why calls are left out, with how many, and the numbers of the first.
pub(crate) fn skipped_lines(plan: &Plan) -> Vec<(String, String)> {
    let mut by_reason: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for call in &plan.skipped {
        by_reason.entry((&call.why, call.method)).or_default().push(call.no);
    }
    let lines = by_reason.into_iter().map(|((why, method), numbers)| {
        let name = method.and_then(|ix| plan.methods.get(ix as usize)).map_or("unknown method", |method| &method.name);
        let first: Vec<String> = numbers.iter().take(5).map(u32::to_string).collect();
        let more = if numbers.len() > 5 { ", ..." } else { "" };
        let calls = count(numbers.len(), "call");
        (calls, format!("{name} ({}{more}): {why}", first.join(", ")))
    });
    lines.collect()
}

fn time(plan: &Plan, settings: &Settings) -> String {
    let Some((first, last)) = plan.span else { return "no time".to_owned() };
    let recorded = Duration::from_nanos(u64::try_from(last.nanos_since(first)).unwrap_or(0));
    match settings.pace {
        Pace::Asap => "as fast as the answers come".to_owned(),
        Pace::Rate(rate) => {
            let needed = Duration::from_secs_f64(plan.calls.len() as f64 / rate);
            format!("{rate} calls per second: about {}", span_text(needed))
        }
        Pace::Think | Pace::Recorded => {
            let needed = recorded.div_f64(settings.speed);
            let at_most = if settings.max_gap.is_some() { "at most" } else { "about" };
            format!("{at_most} {}", span_text(needed))
        }
    }
}

const fn order(order: Order) -> &'static str {
    match order {
        Order::Stream => "stream",
        Order::Conn => "conn",
        Order::ConnStrict => "conn-strict",
        Order::Global => "global",
        Order::Data => "data",
    }
}

/// A duration for people.
pub(crate) fn span_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=119 => format!("{:.1} s", duration.as_secs_f64()),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
