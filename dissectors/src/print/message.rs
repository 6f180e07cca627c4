//! What is shown of a message's contents.

use crate::protobuf::tree::Node;
use crate::protobuf::{JsonPrinter, SpanNote, Unknown, raw};
use crate::view::{Body, MessageView, as_json};

/// What is shown of a message that can be read.
#[derive(Debug)]
pub(super) enum Shown {
    /// JSON by its type, and what the type does not have.
    Typed {
        /// The JSON.
        json: Vec<u8>,
        /// Unknown fields, as JSON in the raw form.
        unknown: Option<Vec<u8>>,
        /// What is wrong with it.
        notes: Vec<SpanNote>,
    },
    /// The message is JSON itself.
    Json(Vec<u8>),
    /// A guess by the wire format alone.
    Raw {
        /// The JSON.
        json: Vec<u8>,
        /// What is wrong with it.
        notes: Vec<SpanNote>,
    },
}

/// Nodes of one message's tree: what a person can look at.
const MAX_NODES: usize = 10_000;

/// What is shown of `content`: by the message's type, where it has one.
pub(super) fn shown(message: MessageView<'_>, body: &Body<'_>, content: &[u8]) -> Shown {
    if let Some(json) = as_json(content) {
        return Shown::Json(json);
    }
    let mut json = Vec::with_capacity(content.len() * 2);
    match message.type_ix().value() {
        Some(ix) => {
            let findings =
                JsonPrinter::new().hiding(body.hides_marked_fields()).print(message.schema(), ix, content, &mut json);
            Shown::Typed { json, unknown: unknown(&findings.unknown, content), notes: findings.notes }
        }
        None => {
            let notes = raw::write_json(content, &mut json);
            Shown::Raw { json, notes }
        }
    }
}

fn unknown(unknown: &Unknown, content: &[u8]) -> Option<Vec<u8>> {
    if unknown.is_empty() {
        return None;
    }
    let mut json = Vec::new();
    unknown.write_json(content, &mut json);
    Some(json)
}

/// A message's tree and the name of the bytes that its spans count in; none for a message that cannot be read or is JSON.
pub(super) fn trees<'b>(body: &Body<'b>) -> Option<(&'static str, Vec<Node<'b>>)> {
    let view = if body.is_inflated() { "inflated" } else { "message" };
    if as_json(body.content()?).is_some() {
        return None;
    }
    Some((view, body.tree(MAX_NODES)?))
}
