//! The worker that makes conversations: it reads and decodes the messages of one call.
//!
//! Somebody who moves through a conversation asks for many messages and wants the last one, so older ones are skipped.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use rpcshark_tui::backend::{ConversationReply, ConversationRequest, Reply};
use rpcshark_tui::model::{detail, follow};
use rpcshark_tui::theme::Signs;

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::cli::FileBodies;

/// Carries out requests until nobody asks any more.
pub(super) fn work(shared: &Shared, signs: &Signs, requests: &Requests<ConversationRequest>, to: &Sender<Signal>) {
    let bodies = FileBodies(Arc::clone(shared.store.sources()));
    while let Ok(first) = requests.recv() {
        let mut waiting = vec![first];
        waiting.extend(requests.try_iter());
        let is_message = |request: &ConversationRequest| matches!(request, ConversationRequest::Message { .. });
        let last_message = waiting.iter().rposition(is_message);
        for (index, request) in waiting.into_iter().enumerate() {
            if is_message(&request) && Some(index) != last_message {
                continue;
            }
            if let Some(reply) = answer(shared, signs, &bodies, request) {
                // A terminal that is gone ended with the program.
                let _ = to.send(Signal::Reply(reply));
            }
        }
    }
}

fn answer(shared: &Shared, signs: &Signs, bodies: &FileBodies, request: ConversationRequest) -> Option<Reply> {
    let (ConversationRequest::Conversation { no, .. }
    | ConversationRequest::Message { no, .. }
    | ConversationRequest::Difference { no, .. }) = request;
    let decimals = shared.store.progress().decimals;
    let decoding = shared.decoding();
    let store = shared.store.read();
    let call = shared.viewer(&store, &decoding, bodies).call_by_no(no)?;
    Some(Reply::Conversation(match request {
        ConversationRequest::Conversation { differences, .. } => {
            ConversationReply::Conversation(Arc::new(follow::conversation(&call, differences, decimals, signs)))
        }
        ConversationRequest::Message { message, .. } => {
            ConversationReply::Message(message, Arc::new(detail::message(&call, message, signs)?))
        }
        ConversationRequest::Difference { old, new, .. } => match follow::difference(&call, old, new, signs) {
            Some(difference) => ConversationReply::Difference(Arc::new(difference)),
            None => {
                let text = "these messages cannot be compared: the bytes of one cannot be read".to_owned();
                return Some(Reply::Say { text, error: true });
            }
        },
    }))
}
