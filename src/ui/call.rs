//! The worker that looks at single calls: it reads and decodes their messages.
//!
//! Somebody who moves through a list asks for many previews and wants the last one, so older ones are skipped.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use rpcshark_dissectors::filter::{Column, FilterScratch, Target};
use rpcshark_dissectors::view::Outcome;
use rpcshark_tui::backend::{CallReply, CallRequest, CallValues, Reply};
use rpcshark_tui::model::{detail, preview};
use rpcshark_tui::text::safe;
use rpcshark_tui::theme::Signs;

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::cli::FileBodies;

/// Carries out requests until nobody asks any more.
pub(super) fn work(shared: &Shared, signs: &Signs, requests: &Requests<CallRequest>, to: &Sender<Signal>) {
    let bodies = FileBodies(Arc::clone(shared.store.sources()));
    while let Ok(first) = requests.recv() {
        let mut waiting = vec![first];
        waiting.extend(requests.try_iter());
        // Details are wanted even if the user has gone on: one can go back to them.
        let of_kind = |request: &CallRequest| match request {
            CallRequest::Preview(_) => Some(0),
            CallRequest::Values { .. } => Some(1),
            CallRequest::Detail(_) => None,
        };
        let last = [0, 1].map(|kind| waiting.iter().rposition(|request| of_kind(request) == Some(kind)));
        for (index, request) in waiting.into_iter().enumerate() {
            if of_kind(&request).is_some_and(|kind: usize| last[kind] != Some(index)) {
                continue;
            }
            let reply = match &request {
                CallRequest::Preview(no) | CallRequest::Detail(no) => answer(shared, signs, &bodies, &request, *no),
                CallRequest::Values { calls, fields } => Some(values(shared, &bodies, calls, fields)),
            };
            if let Some(reply) = reply {
                // A terminal that is gone ended with the program.
                let _ = to.send(Signal::Reply(Reply::Call(reply)));
            }
        }
    }
}

fn answer(shared: &Shared, signs: &Signs, bodies: &FileBodies, request: &CallRequest, no: u32) -> Option<CallReply> {
    let decimals = shared.store.progress().decimals;
    let decoding = shared.decoding();
    let store = shared.store.read();
    let call = shared.viewer(&store, &decoding, bodies).call_by_no(no)?;
    Some(match request {
        CallRequest::Preview(_) => CallReply::Preview(Arc::new(preview::preview(&call, decimals, signs))),
        _ => CallReply::Detail(Arc::new(detail::detail(&call, decimals, signs))),
    })
}

/// Characters of a value in a list.
const VALUE: usize = 200;

/// The values of fields in calls. A field that does not exist any more (another schema) has none.
fn values(shared: &Shared, bodies: &FileBodies, calls: &[u32], fields: &[Arc<str>]) -> CallReply {
    let decoding = shared.decoding();
    let columns = fields.iter().map(|field| Column::compile(field, &decoding.schema, Target::Calls).ok());
    let columns: Vec<Option<Column>> = columns.collect();
    let mut scratch = FilterScratch::default();
    let of_call = |no: u32| {
        // One call at a time, since its messages are decoded while the store is locked.
        let store = shared.store.read();
        let call = shared.viewer(&store, &decoding, bodies).call_by_no(no)?;
        let mut value = |column: &Option<Column>| {
            let cell = column.as_ref().map(|column| column.call(&call, None, &mut scratch)).unwrap_or_default();
            safe(cell.text().as_bytes()).chars().take(VALUE).collect()
        };
        let values = columns.iter().map(&mut value).collect();
        Some(CallValues { no, ended: call.outcome() != Some(Outcome::Open), values })
    };
    CallReply::Values { fields: fields.to_vec(), calls: calls.iter().copied().filter_map(of_call).collect() }
}
