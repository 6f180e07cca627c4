//! A message's contents as JSON and as a tree.

use crate::Note;
use crate::json::{Drain, Writer, copy_json_draining};
use crate::protobuf::tree::Node;
use crate::protobuf::{JsonPrinter, SpanNote, raw};
use crate::view::{Body, MessageView, as_json};

/// Nodes of one message's tree: what a person can look at.
const MAX_NODES: usize = 10_000;

/// Appends the members that hold `content`, which is `body`'s: `body` and `unknown` by the message's type, else `raw`. Returns what
/// is wrong with it.
pub(super) fn write_content(
    json: &mut Writer<'_>,
    message: MessageView<'_>,
    body: &Body<'_>,
    content: &[u8],
    drain: Drain<'_>,
) -> Vec<Note> {
    if let Some(text) = as_json(content) {
        copy_json_draining(json.key("body").value(), text, drain);
        return Vec::new();
    }
    let Some(ix) = message.type_ix().value() else {
        return from_spans(raw::write_json_draining(content, json.key("raw").value(), drain));
    };
    let mut printer = JsonPrinter::new().hiding(body.hides_marked_fields());
    let findings = printer.print_draining(message.schema(), ix, content, json.key("body").value(), drain);
    if !findings.unknown.is_empty() {
        findings.unknown.write_json(content, json.key("unknown").value(), drain);
    }
    from_spans(findings.notes)
}

fn from_spans(notes: Vec<SpanNote>) -> Vec<Note> {
    notes.into_iter().map(Note::from).collect()
}

/// A message's tree and the name of the bytes that its spans count in; none for a message that cannot be read or is JSON.
pub(super) fn trees<'b>(body: &Body<'b>) -> Option<(&'static str, Vec<Node<'b>>)> {
    let view = if body.is_inflated() { "inflated" } else { "message" };
    if as_json(body.content()?).is_some() {
        return None;
    }
    Some((view, body.tree(MAX_NODES)?))
}
