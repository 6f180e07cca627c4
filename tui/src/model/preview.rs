//! A call in a few lines, below the list.
//!
//! Made by a worker, since it decodes messages.

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::http2::ErrorCode;
use rpcshark_dissectors::print::{size_text, value_text};
use rpcshark_dissectors::protobuf::tree::{Node, NodeName};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::view::{CallView, MessageView, Scratch, as_json};

use super::lines::{method_name, since_start};
use crate::text::{counted, safe};
use crate::theme::{Role, Signs};
use crate::widget::{Part, Parts};

/// A call in a few lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Its number.
    pub no: u32,
    /// Its method.
    pub method: String,
    /// What there is to see, line by line.
    pub lines: Vec<Parts>,
}

/// Messages that have a line of their own, each way.
const MESSAGES: usize = 40;

/// Characters of a message's line.
const CHARACTERS: usize = 300;

/// Makes a call's preview.
pub fn preview(call: &CallView<'_>, decimals: u8, signs: &Signs) -> Preview {
    let mut lines = vec![head(call, signs)];
    let mut happened = happened(call, decimals, signs);
    happened.sort_by_key(|&(at, _)| at);
    lines.extend(happened.into_iter().map(|(_, line)| line));
    let totals = call.totals();
    let hidden = totals.requests.saturating_sub(MESSAGES as u64) + totals.responses.saturating_sub(MESSAGES as u64);
    if hidden > 0 {
        lines.push(vec![Part::quiet(format!(" {} more", counted(hidden, "message")))]);
    }
    if totals.responses == 0 && call.response_headers().is_none() && call.trailers().is_none() {
        lines.push(vec![
            Part::new(format!(" {} ", signs.down), Role::ToClient),
            Part::quiet(format!("{:<10} nothing received", "")),
        ]);
    }
    for note in call.notes() {
        lines.push(vec![Part::new(" ! ", Role::Warning), Part::text(safe(note.text.as_bytes()))]);
    }
    let method = method_name(call).unwrap_or_else(|| "(method not in capture)".to_owned());
    Preview { no: call.no(), method, lines }
}

fn head(call: &CallView<'_>, signs: &Signs) -> Parts {
    let (first, last) = (call.first_packet().number(), call.last_packet().number());
    let ends = format!(
        "{} {} {}",
        safe(call.client().to_string().as_bytes()),
        signs.arrow,
        safe(call.server().to_string().as_bytes())
    );
    let dash = if signs.ascii { "-" } else { "–" };
    let (connection, stream) = (call.connection().number(), call.stream());
    let protocol = call.protocol().name();
    vec![Part::text(format!(" c{connection} stream {stream}   {ends}   {protocol}   packets {first}{dash}{last}"))]
}

/// What happened, each with its time.
fn happened(call: &CallView<'_>, decimals: u8, signs: &Signs) -> Vec<(Option<Timestamp>, Parts)> {
    let mut happened = Vec::new();
    let line = |direction: Direction, at: Option<Timestamp>| {
        let (sign, role) = match direction {
            Direction::ToServer => (signs.up, Role::ToServer),
            Direction::ToClient => (signs.down, Role::ToClient),
        };
        let since = at.map_or(String::new(), |at| since_start(call, at, decimals));
        vec![Part::new(format!(" {sign} "), role), Part::quiet(format!("{since:<10} "))]
    };
    let mut scratch = Scratch::default();
    for direction in Direction::BOTH {
        for message in call.messages(direction).take(MESSAGES) {
            let mut parts = line(direction, message.at());
            let name = message.type_name().value().and_then(|name| name.rsplit('.').next()).unwrap_or("message");
            parts.push(Part::text(format!("{}  {}   ", safe(name.as_bytes()), size_text(message.length().into()))));
            parts.push(Part::text(one_line(message, &mut scratch)));
            happened.push((message.at(), parts));
        }
    }
    for reset in call.resets() {
        let at = call.since_start(reset.at).map(|_| reset.at);
        let mut parts = line(reset.direction, at);
        let code = safe(ErrorCode(reset.code).name().as_bytes());
        parts.push(Part::new(format!("RST_STREAM {code}"), Role::Error));
        happened.push((at, parts));
    }
    if let Some(status) = call.status() {
        let at = call.ended_at();
        let mut parts = line(Direction::ToClient, at);
        let role = if status.code.0 == 0 { Role::Ok } else { Role::Error };
        parts.push(Part::new(status.code.name().to_string(), role));
        parts.push(Part::text(format!("  {}", safe(status.message.as_bytes()))));
        happened.push((at, parts));
    }
    happened
}

/// A message in one line, without the braces around it: `id: "5", items: [{sku: "a"}]`. Only so many fields are decoded as a
/// line can show.
pub(super) fn one_line(message: MessageView<'_>, scratch: &mut Scratch) -> String {
    let body = message.body(scratch);
    let Some(content) = body.content() else {
        return body.fault().map(|fault| safe(fault.text.as_bytes())).unwrap_or_default();
    };
    let mut line = String::new();
    match body.tree(FIELDS).filter(|_| as_json(content.get(..JSON).unwrap_or(content)).is_none()) {
        Some(nodes) => push_fields(message.schema(), &nodes, &mut line),
        None => line = safe(content.get(..CHARACTERS).unwrap_or(content)),
    }
    match line.char_indices().nth(CHARACTERS) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    }
}

/// Fields of a message that are looked at.
const FIELDS: usize = 64;

/// Bytes up to which a message is looked at for being JSON.
const JSON: usize = 4096;

fn push_fields(schema: &Schema, nodes: &[Node<'_>], line: &mut String) {
    for (index, node) in nodes.iter().enumerate() {
        if line.len() > 4 * CHARACTERS {
            return;
        }
        if index > 0 {
            line.push_str(", ");
        }
        match node.name {
            NodeName::Field(name) => line.push_str(&format!("{}: ", safe(name.as_bytes()))),
            NodeName::Unknown => line.push_str(&format!("#{}: ", node.number.unwrap_or_default())),
            NodeName::Element(_) => {}
            NodeName::More(_) => {
                line.push('…');
                continue;
            }
        }
        match value_text(schema, node) {
            Some(value) => line.push_str(&value),
            None => {
                line.push('{');
                push_fields(schema, &node.children, line);
                line.push('}');
            }
        }
    }
}
