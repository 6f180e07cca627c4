//! The worker that counts which values a field has in the capture, for completion in the filter line.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rpcshark_dissectors::filter::{Column, FilterScratch, Target, Type};
use rpcshark_dissectors::view::NoBodies;
use rpcshark_tui::backend::Reply;

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;

/// The values of a field and how many calls have each, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenValues {
    /// Calls that were looked at.
    pub(super) calls: u64,
    /// The values as text, with their numbers of calls.
    pub(super) values: Vec<(String, u64)>,
    /// Whether filters write them in quotes.
    pub(super) quoted: bool,
}

/// Calls that are looked at under one lock.
const AT_ONCE: u32 = 4096;

/// Different values that are counted; others are left out.
const DIFFERENT: usize = 1000;

/// Bytes of a value that is offered: longer ones are not worth a line.
const VALUE: usize = 100;

/// Counts until nobody asks any more: the values of the field that was named last.
pub(super) fn work(shared: &Shared, requests: &Requests<String>, to: &Sender<Signal>) {
    while let Ok(first) = requests.recv() {
        let mut next = Some(first);
        while let Some(field) = next.take() {
            let field = requests.try_iter().last().unwrap_or(field);
            match count(shared, &field, requests) {
                Ok(seen) => {
                    shared.set_seen(field, Arc::new(seen));
                    let _ = to.send(Signal::Reply(Reply::CompletionsChanged));
                }
                Err(newer) => next = Some(newer),
            }
        }
    }
}

/// The values of a field, or the field that is wanted meanwhile. Messages are not decoded for it.
fn count(shared: &Shared, field: &str, requests: &Requests<String>) -> Result<SeenValues, String> {
    let decoding = shared.decoding();
    let calls = shared.store.counts().0 as u32;
    let column = Column::compile(field, &decoding.schema, Target::Calls).ok();
    let Some(column) = column.filter(|column| !column.reads_bodies() && !column.is_of_frames()) else {
        return Ok(SeenValues { calls: calls.into(), ..SeenValues::default() });
    };
    let quoted = matches!(column.ty(), Some(Type::Text));
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut scratch = FilterScratch::default();
    for from in (1..=calls).step_by(AT_ONCE as usize) {
        if let Ok(newer) = requests.try_recv() {
            return Err(newer);
        }
        let store = shared.store.read();
        let viewer = shared.viewer(&store, &decoding, &NoBodies);
        for call in (from..=calls).take(AT_ONCE as usize).filter_map(|no| viewer.call_by_no(no)) {
            let cell = column.call(&call, None, &mut scratch);
            for value in cell.values.iter().filter(|value| value.len() <= VALUE) {
                let Ok(value) = str::from_utf8(value) else { continue };
                if let Some(count) = counts.get_mut(value) {
                    *count += 1;
                } else if counts.len() < DIFFERENT {
                    counts.insert(value.to_owned(), 1);
                }
            }
        }
    }
    let mut values: Vec<(String, u64)> = counts.into_iter().collect();
    values.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    Ok(SeenValues { calls: calls.into(), values, quoted })
}
