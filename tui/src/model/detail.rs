//! A call in full: a tree of its headers, messages and notes, and the bytes that its fields came from.
//!
//! Made by a worker, since it reads and decodes bodies.

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::Severity;
use rpcshark_dissectors::http2::ErrorCode;
use rpcshark_dissectors::print::{duration_text, status_text};
use rpcshark_dissectors::view::{CallView, Kind, MessageView, Scratch};

use super::calls::quoted;
use super::fields::{Fields, FieldsBuilder, Scope};
use super::follow::MessageNo;
use super::lines::{method_name, outcome_role, since_start};
use crate::text::{counted, safe};
use crate::theme::{Role, Signs};
use crate::widget::{Comparison, Node, NodeIx, Part, Parts};

/// A call in full.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Its number.
    pub no: u32,
    /// Its method; safe to draw.
    pub method: String,
    /// How it went.
    pub status: Parts,
    /// How long it took, its kind, its connection and stream, its protocol.
    pub facts: String,
    /// What happened when, in one line.
    pub moments: Parts,
    /// Its headers, messages and notes.
    pub fields: Fields,
    /// The nodes that messages begin with, and which messages they are.
    pub messages: Vec<(NodeIx, MessageNo)>,
}

/// Messages whose fields are in the tree; of the rest there is a line. A stream may have millions.
const MAX_MESSAGES: usize = 1_000;

/// Makes a call's tree and bytes.
pub fn detail(call: &CallView<'_>, decimals: u8, signs: &Signs) -> Detail {
    let mut builder = Builder { call, decimals, signs, detail: Detail::default(), fields: FieldsBuilder::new(signs) };
    builder.head();
    builder.tree();
    Detail { fields: builder.fields.fields, ..builder.detail }
}

/// Makes the tree of one message of a call; its facts are its type and its length. `None` where there is no such message.
pub fn message(call: &CallView<'_>, which: MessageNo, signs: &Signs) -> Option<Detail> {
    let index = usize::try_from(which.no.checked_sub(1)?).ok()?;
    let message = call.messages(which.direction).nth(index)?;
    let mut builder = FieldsBuilder::new(signs);
    builder.message(message, index + 1, &mut Scratch::default());
    let mut detail = Detail { no: call.no(), fields: builder.fields, ..Detail::default() };
    if let Some(node) = detail.fields.tree.nodes.first_mut() {
        node.open = true;
        let text = |parts: &Parts| parts.iter().map(|part| part.text.as_str()).collect::<String>();
        detail.facts = format!("{}   {}", text(&node.value), text(&node.remark));
    }
    Some(detail)
}

struct Builder<'d, 'a> {
    call: &'d CallView<'a>,
    decimals: u8,
    signs: &'d Signs,
    detail: Detail,
    fields: FieldsBuilder<'d>,
}

impl Builder<'_, '_> {
    fn head(&mut self) {
        let call = self.call;
        let role = outcome_role(call.outcome());
        self.detail.no = call.no();
        self.detail.method = method_name(call).unwrap_or_else(|| "(method not in capture)".to_owned());
        let status = status_text(call).replace('✗', self.signs.error);
        self.detail.status = vec![Part::new(status, role)];
        let took =
            call.duration_ns().map_or("duration unknown".to_owned(), |nanos| duration_text(nanos, self.decimals));
        let kind = call.kind().map_or("kind unknown", Kind::name);
        let (connection, stream) = (call.connection().number(), call.stream());
        let protocol = call.protocol().name();
        self.detail.facts = format!("{took}   {kind}   c{connection} stream {stream}   {protocol}");
        self.detail.moments = self.moments();
    }

    /// The first and last things that happened, with the time between.
    fn moments(&self) -> Parts {
        let call = self.call;
        let mut parts = Vec::new();
        let mut moment = |sign: (&'static str, Role), what: &str, at: Option<Timestamp>| {
            let Some(at) = at else { return };
            if !parts.is_empty() {
                parts.push(Part::quiet("   "));
            }
            parts.push(Part::new(sign.0, sign.1));
            parts.push(Part::text(format!(" {what} {}", since_start(call, at, self.decimals))));
        };
        let up = (self.signs.up, Role::ToServer);
        let down = (self.signs.down, Role::ToClient);
        moment(up, "headers", call.request_headers_at());
        let first = |direction| call.messages(direction).next()?.at();
        moment(up, "message", first(Direction::ToServer));
        moment(up, "end", call.half_close_at());
        moment(down, "headers", call.response_headers_at());
        moment(down, "message", first(Direction::ToClient));
        let end = if call.trailers().is_some() { "trailers" } else { "end" };
        moment(down, end, call.ended_at());
        parts
    }

    fn tree(&mut self) {
        let call = self.call;
        self.fields.headers(
            (self.signs.up, Role::ToServer),
            "Request headers",
            call.request_headers(),
            Scope::Metadata,
        );
        let mut response_headers = call.response_headers();
        let mut count = 0;
        let mut left_out = 0u64;
        let mut scratch = Scratch::default();
        for (message, no) in in_order(call) {
            let answered = message.direction() == Direction::ToClient;
            if answered && let Some(headers) = response_headers.take() {
                self.fields.headers(
                    (self.signs.down, Role::ToClient),
                    "Response headers",
                    Some(headers),
                    Scope::Metadata,
                );
            }
            count += 1;
            if count > MAX_MESSAGES {
                left_out += 1;
                continue;
            }
            let which = MessageNo { direction: message.direction(), no: no as u64 };
            self.detail.messages.push((self.fields.fields.tree.nodes.len(), which));
            self.fields.message(message, no, &mut scratch);
        }
        if left_out > 0 {
            let name = vec![Part::quiet(format!("{} more", counted(left_out, "message")))];
            self.fields.fields.tree.add(Node { name, ..Node::default() }, 0, |_| ());
        }
        self.fields.headers((self.signs.down, Role::ToClient), "Response headers", response_headers, Scope::Metadata);
        self.fields.headers((self.signs.down, Role::ToClient), "Trailers", call.trailers(), Scope::Trailers);
        self.fields.headers((self.signs.down, Role::ToClient), "Late trailers", call.late_trailers(), Scope::Trailers);
        for reset in call.resets() {
            let sign = match reset.direction {
                Direction::ToServer => (self.signs.up, Role::ToServer),
                Direction::ToClient => (self.signs.down, Role::ToClient),
            };
            let name = vec![Part::new(sign.0, sign.1), Part::text(" RST_STREAM")];
            let code = safe(ErrorCode(reset.code).name().as_bytes());
            let node = Node {
                name,
                value: vec![Part::new(code.clone(), Role::Error)],
                remark: vec![Part::quiet(since_start(call, reset.at, self.decimals))],
                copy: code,
                ..Node::default()
            };
            self.fields.fields.tree.add(node, 0, |_| ());
        }
        for note in call.notes() {
            let role = if note.severity == Severity::Info { Role::Quiet } else { Role::Warning };
            let packet = note.packet.map(|packet| format!("packet {}", packet.number())).unwrap_or_default();
            let text = safe(note.text.as_bytes());
            let node = Node {
                name: vec![Part::new("! ", role), Part::text(note.kind)],
                value: vec![Part::text(text.clone())],
                remark: vec![Part::quiet(packet)],
                copy: text,
                filter: Some(Comparison { field: "rpc.note".to_owned(), value: quoted(note.kind) }),
                ..Node::default()
            };
            self.fields.fields.tree.add(node, 0, |_| ());
        }
    }
}

/// The messages of both directions in the order of their times, each with its number in its direction.
fn in_order<'a>(call: &CallView<'a>) -> impl Iterator<Item = (MessageView<'a>, usize)> {
    let mut up = call.messages(Direction::ToServer).zip(1..).peekable();
    let mut down = call.messages(Direction::ToClient).zip(1..).peekable();
    std::iter::from_fn(move || {
        let up_first = match (up.peek(), down.peek()) {
            (Some((up, _)), Some((down, _))) => up.at() <= down.at(),
            (up, _) => up.is_some(),
        };
        if up_first { up.next() } else { down.next() }
    })
}
