//! The worker that looks at single calls: it reads and decodes their messages.
//!
//! Somebody who moves through a list asks for many previews and wants the last one, so older ones are skipped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use rpcshark_tui::backend::{CallReply, CallRequest, Reply};
use rpcshark_tui::model::{detail, preview};
use rpcshark_tui::theme::Signs;

use super::backend::Shared;
use super::terminal::Signal;
use crate::cli::FileBodies;

/// Carries out requests until nobody asks any more.
pub(super) fn work(shared: &Shared, signs: &Signs, requests: &Receiver<CallRequest>, to: &Sender<Signal>) {
    let bodies = FileBodies(Arc::clone(shared.store.sources()));
    while let Ok(first) = requests.recv() {
        let mut waiting = vec![first];
        waiting.extend(requests.try_iter());
        let is_preview = |request: &CallRequest| matches!(request, CallRequest::Preview(_));
        let last_preview = waiting.iter().rposition(is_preview);
        for (index, request) in waiting.into_iter().enumerate() {
            if is_preview(&request) && Some(index) != last_preview {
                continue;
            }
            if let Some(reply) = answer(shared, signs, &bodies, &request) {
                // A terminal that is gone ended with the program.
                let _ = to.send(Signal::Reply(Reply::Call(reply)));
            }
        }
    }
}

fn answer(shared: &Shared, signs: &Signs, bodies: &FileBodies, request: &CallRequest) -> Option<CallReply> {
    let (CallRequest::Preview(no) | CallRequest::Detail(no)) = *request;
    let decimals = shared.store.progress().decimals;
    let decoding = shared.decoding();
    let store = shared.store.read();
    let call = shared.viewer(&store, &decoding, bodies).call_by_no(no)?;
    Some(match request {
        CallRequest::Preview(_) => CallReply::Preview(Arc::new(preview::preview(&call, decimals, signs))),
        CallRequest::Detail(_) => CallReply::Detail(Arc::new(detail::detail(&call, decimals, signs))),
    })
}
