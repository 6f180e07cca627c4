//! Messages that differ, recorded and replayed beside each other.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rpcshark_captures::Direction;
use rpcshark_dissectors::compare::{Aligned, Comparison, align};
use rpcshark_dissectors::json;
use rpcshark_dissectors::protobuf::{JsonPrinter, raw};
use rpcshark_dissectors::view::{CallView, Scratch, as_json};

use super::call::direction_of;

/// A message of each call, line by line.
#[derive(Debug)]
pub(crate) struct Sides {
    /// What it is: `response message 3`.
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// A line of each message; of lines that do not differ both are there and equal.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) recorded: Option<String>,
    pub(super) replayed: Option<String>,
    pub(super) differs: bool,
}

/// Pairs of messages of one call that are shown in full.
const MAX_PAIRS: usize = 8;

/// Bytes of JSON of one message that are shown.
const MAX_MESSAGE: usize = 64 << 10;

/// The messages of two calls that differ. Hidden values are not in them.
pub(crate) fn sides(recorded: &CallView<'_>, replayed: &CallView<'_>, comparison: &Comparison) -> Vec<Sides> {
    let pairs = comparison.differences.iter().filter_map(|difference| {
        let direction = direction_of(difference)?;
        let numbers = difference.message?;
        Some((direction.index(), numbers.recorded, numbers.replayed))
    });
    let pairs: BTreeSet<(usize, Option<u64>, Option<u64>)> = pairs.take(MAX_PAIRS * 64).collect();
    pairs.into_iter().take(MAX_PAIRS).map(|(index, old, new)| pair(recorded, replayed, index, old, new)).collect()
}

fn pair(recorded: &CallView<'_>, replayed: &CallView<'_>, index: usize, old: Option<u64>, new: Option<u64>) -> Sides {
    let direction = if Direction::ToServer.index() == index { Direction::ToServer } else { Direction::ToClient };
    let what = if direction == Direction::ToServer { "request" } else { "response" };
    let title = match (old, new) {
        (Some(old), Some(new)) if old != new => format!("{what} message {old}, now {new}"),
        (Some(number), None) => format!("{what} message {number}, not replayed"),
        (None, Some(number)) => format!("{what} message {number}, not recorded"),
        (Some(number), _) => format!("{what} message {number}"),
        (None, None) => what.to_owned(),
    };
    let left = old.map(|no| lines(recorded, direction, no)).unwrap_or_default();
    let right = new.map(|no| lines(replayed, direction, no)).unwrap_or_default();
    Sides { title, rows: rows(&left, &right) }
}

fn rows(left: &[String], right: &[String]) -> Vec<Row> {
    let digests = |lines: &[String]| {
        let digest = |line: &String| {
            let mut hasher = DefaultHasher::new();
            // A comma at the end does not make lines different.
            line.trim_end_matches(',').hash(&mut hasher);
            hasher.finish()
        };
        lines.iter().map(digest).collect::<Vec<u64>>()
    };
    let (a, b) = (digests(left), digests(right));
    let row = |aligned| match aligned {
        Aligned::Pair(i, j) => {
            Row { recorded: left.get(i).cloned(), replayed: right.get(j).cloned(), differs: a.get(i) != b.get(j) }
        }
        Aligned::First(i) => Row { recorded: left.get(i).cloned(), replayed: None, differs: true },
        Aligned::Second(j) => Row { recorded: None, replayed: right.get(j).cloned(), differs: true },
    };
    align(&a, &b).into_iter().map(row).collect()
}

/// A message as lines of JSON.
fn lines(call: &CallView<'_>, direction: Direction, no: u64) -> Vec<String> {
    let index = usize::try_from(no - 1).unwrap_or(usize::MAX);
    let Some(message) = call.messages(direction).filter(|message| !message.is_late()).nth(index) else {
        return Vec::new();
    };
    let mut scratch = Scratch::default();
    let body = message.body(&mut scratch);
    let Some(content) = body.content() else {
        return vec![body.fault().map(|fault| fault.text.clone()).unwrap_or_default()];
    };
    let mut kept = Vec::new();
    let length = std::cell::Cell::new(0);
    let mut drain = |text: &mut Vec<u8>| {
        json::drain_to(text, |text| {
            length.set(length.get() + text.len());
            let room = (MAX_MESSAGE + 1).saturating_sub(kept.len()).min(text.len());
            kept.extend_from_slice(text.get(..room).unwrap_or_default());
        });
    };
    let mut text = Vec::new();
    match (as_json(content), message.type_ix().value()) {
        (Some(json), _) => json::copy_json_draining(&mut text, json, &mut drain),
        (None, Some(ix)) => {
            let mut printer = JsonPrinter::new().hiding(message.hides_marked_fields());
            let found = printer.print_draining(message.schema(), ix, content, &mut text, &mut drain);
            if !found.unknown.is_empty() && length.get() == 0 {
                // Beside the body, as elsewhere.
                text.splice(0..0, *b"{\"body\":");
                text.extend_from_slice(b",\"unknown\":");
                found.unknown.write_json(content, &mut text, &mut drain);
                text.push(b'}');
            }
        }
        (None, None) => drop(raw::write_json_draining(content, &mut text, &mut drain)),
    }
    kept.extend_from_slice(&text);
    if kept.len() > MAX_MESSAGE {
        let text = String::from_utf8_lossy(kept.get(..MAX_MESSAGE).unwrap_or_default()).into_owned();
        return vec![text, format!("… ({} bytes in all)", content.len())];
    }
    match serde_json::from_slice::<serde_json::Value>(&kept).and_then(|value| serde_json::to_string_pretty(&value)) {
        Ok(pretty) => pretty.lines().map(str::to_owned).collect(),
        Err(_) => vec![String::from_utf8_lossy(&kept).into_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_beside_the_lines_that_they_belong_to() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let shown: Vec<String> = rows(&lines("{ a, b c }"), &lines("{ a x c d }"))
            .iter()
            .map(|row| {
                let text = |side: &Option<String>| side.clone().unwrap_or("-".to_owned());
                format!("{}{}|{}", if row.differs { "!" } else { "" }, text(&row.recorded), text(&row.replayed))
            })
            .collect();
        assert_eq!(shown, ["{|{", "a,|a", "!b|x", "c|c", "!-|d", "}|}"]);
    }
}
