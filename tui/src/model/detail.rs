//! A call in full: a tree of its headers, messages and notes, and the bytes that its fields came from.
//!
//! Made by a worker, since it reads and decodes bodies.

use std::ops::Range;
use std::sync::Arc;

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::Severity;
use rpcshark_dissectors::http2::ErrorCode;
use rpcshark_dissectors::print::{duration_text, header_text, size_text, status_text, value_text};
use rpcshark_dissectors::protobuf::FieldValue;
use rpcshark_dissectors::protobuf::tree::{Node as Field, NodeName};
use rpcshark_dissectors::view::{CallView, HeadersView, Kind, Known, MessageView, Scratch};

use super::calls::quoted;
use super::lines::{method_name, outcome_role, since_start};
use crate::text::{counted, safe};
use crate::theme::{Role, Signs};
use crate::widget::{ByteView, Comparison, Node, Part, Parts, Tree};

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
    pub tree: Tree,
    /// The bytes that the tree's nodes came from.
    pub views: Vec<ByteView>,
}

/// Messages whose fields are in the tree; of the rest there is a line. A stream may have millions.
const MAX_MESSAGES: usize = 1_000;

/// Nodes of one message.
const MAX_NODES: usize = 20_000;

/// Nodes of the whole tree: beyond, messages have no fields.
const MAX_ALL_NODES: usize = 200_000;

/// Bytes of one view that are kept for the byte pane.
const MAX_VIEW: usize = 1 << 20;

/// Bytes of all views together.
const MAX_VIEWS: usize = 64 << 20;

/// Columns of a value in the tree: the rest is in the byte pane.
const MAX_VALUE: usize = 512;

/// Makes a call's tree and bytes.
pub fn detail(call: &CallView<'_>, decimals: u8, signs: &Signs) -> Detail {
    let mut builder = Builder { call, decimals, signs, detail: Detail::default(), bytes_left: MAX_VIEWS };
    builder.head();
    builder.tree();
    builder.detail
}

/// Makes the tree of one message of a call; its facts are its type and its length. `None` where there is no such message.
pub fn message(call: &CallView<'_>, which: super::follow::MessageNo, decimals: u8, signs: &Signs) -> Option<Detail> {
    let index = usize::try_from(which.no.checked_sub(1)?).ok()?;
    let message = call.messages(which.direction).nth(index)?;
    let mut builder = Builder { call, decimals, signs, detail: Detail::default(), bytes_left: MAX_VIEWS };
    builder.message(message, index + 1, &mut Scratch::default());
    let mut detail = builder.detail;
    detail.no = call.no();
    if let Some(node) = detail.tree.nodes.first_mut() {
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
    bytes_left: usize,
}

impl<'a> Builder<'_, 'a> {
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
        self.headers((self.signs.up, Role::ToServer), "Request headers", call.request_headers());
        let mut response_headers = call.response_headers();
        let mut count = 0;
        let mut left_out = 0u64;
        let mut scratch = Scratch::default();
        for (message, no) in in_order(call) {
            let answered = message.direction() == Direction::ToClient;
            if answered && let Some(headers) = response_headers.take() {
                self.headers((self.signs.down, Role::ToClient), "Response headers", Some(headers));
            }
            count += 1;
            if count > MAX_MESSAGES {
                left_out += 1;
                continue;
            }
            self.message(message, no, &mut scratch);
        }
        if left_out > 0 {
            let name = vec![Part::quiet(format!("{} more", counted(left_out, "message")))];
            self.detail.tree.add(Node { name, ..Node::default() }, 0, |_| ());
        }
        self.headers((self.signs.down, Role::ToClient), "Response headers", response_headers);
        self.headers((self.signs.down, Role::ToClient), "Trailers", call.trailers());
        self.headers((self.signs.down, Role::ToClient), "Late trailers", call.late_trailers());
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
            self.detail.tree.add(node, 0, |_| ());
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
            self.detail.tree.add(node, 0, |_| ());
        }
    }

    fn headers(&mut self, sign: (&'static str, Role), what: &str, headers: Option<HeadersView<'a>>) {
        let Some(headers) = headers else { return };
        let is_trailers = what.contains("railers");
        let count = headers.fields().count() as u64;
        let node = Node {
            name: vec![Part::new(sign.0, sign.1), Part::text(format!(" {what}"))],
            value: vec![Part::quiet(counted(count, "field"))],
            open: is_trailers,
            ..Node::default()
        };
        let fields = headers.fields();
        self.detail.tree.add(node, 0, |tree| {
            for field in fields {
                let (name, value) = header_text(field);
                let hidden = matches!(field.value(), Known::Hidden { .. });
                let scope = if is_trailers { "rpc.trailer" } else { "rpc.metadata" };
                let is_metadata = !name.starts_with(':');
                let filter = match field.value() {
                    Known::Seen(bytes) if is_metadata => std::str::from_utf8(bytes)
                        .ok()
                        .map(|text| Comparison { field: format!("{scope}.{name}"), value: quoted(text) }),
                    _ => None,
                };
                let role = if hidden { Role::Hidden } else { Role::Value };
                let node = Node {
                    name: vec![Part::new(name, Role::Name)],
                    value: vec![Part::new(cut(&value), role)],
                    remark: vec![Part::quiet(coded_text(field))],
                    copy: value,
                    filter,
                    ..Node::default()
                };
                tree.add(node, 1, |_| ());
            }
        });
    }

    fn message(&mut self, message: MessageView<'a>, no: usize, scratch: &mut Scratch) {
        let (sign, role, part) = match message.direction() {
            Direction::ToServer => (self.signs.up, Role::ToServer, "rpc.request"),
            Direction::ToClient => (self.signs.down, Role::ToClient, "rpc.response"),
        };
        let body = message.body(scratch);
        let inflated = body.content().filter(|_| body.is_inflated());
        let title = |what: &str, len: usize| format!("{sign} {what} {no}, {}", size_text(len as u64));
        let wire_view = self.view("message", title("message", body.wire().len()), body.wire());
        let view = match inflated {
            Some(content) => self.view("inflated", title("message", content.len()), content),
            None => wire_view,
        };
        let type_name = message.type_name();
        let guessed = if type_name.is_guessed() { " (guessed)" } else { "" };
        let type_name = type_name.value().map(|name| format!("{name}{guessed}"));
        let mut remark = size_text(u64::from(message.length()));
        if let Some(content) = inflated {
            remark = format!("{remark} {} {}", self.signs.arrow, size_text(content.len() as u64));
        }
        let late = if message.is_late() { "late   " } else { "" };
        let node = Node {
            name: vec![Part::new(sign, role), Part::text(format!(" Message {no}"))],
            value: vec![match &type_name {
                Some(name) => Part::text(safe(name.as_bytes())),
                None => Part::quiet("without a schema"),
            }],
            remark: vec![
                Part::new(late, Role::Warning),
                Part::quiet(format!("{remark}   packet {}", message.packet().number())),
            ],
            bytes: Some((view, 0..inflated.unwrap_or(body.wire()).len())),
            open: no == 1,
            copy: type_name.unwrap_or_default(),
            ..Node::default()
        };
        let schema = message.schema();
        let room = MAX_ALL_NODES.saturating_sub(self.detail.tree.nodes.len());
        let fields = body.tree(MAX_NODES.min(room));
        let fault = body.fault().map(|fault| fault.text.to_string());
        let typed = type_name_known(&message);
        self.detail.tree.add(node, 0, |tree| {
            if let Some(fault) = fault {
                let text = safe(fault.as_bytes());
                let name = vec![Part::new("! ", Role::Warning), Part::text(text.clone())];
                tree.add(Node { name, copy: text, ..Node::default() }, 1, |_| ());
            }
            for field in fields.unwrap_or_default() {
                let path = typed.then(|| part.to_owned());
                add_field(tree, schema, &field, view, 1, path);
            }
        });
    }

    /// Keeps bytes for the byte pane.
    fn view(&mut self, name: &str, title: String, bytes: &[u8]) -> usize {
        let kept = bytes.len().min(MAX_VIEW).min(self.bytes_left);
        self.bytes_left -= kept;
        let (shown, rest) = bytes.split_at(kept);
        self.detail.views.push(ByteView {
            name: name.to_owned(),
            title,
            bytes: Arc::from(shown),
            omitted: rest.len() as u64,
        });
        self.detail.views.len() - 1
    }
}

fn type_name_known(message: &MessageView<'_>) -> bool {
    message.type_name().value().is_some()
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

/// Adds a field and what lies in it. `path`: the field's path in the filter language, where the type is known.
fn add_field(
    tree: &mut Tree,
    schema: &rpcshark_dissectors::schema::Schema,
    field: &Field<'_>,
    view: usize,
    depth: u16,
    path: Option<String>,
) {
    let span: Range<usize> = field.span.start as usize..field.span.end as usize;
    let (name, path) = match field.name {
        NodeName::Field(name) => (safe(name.as_bytes()), path.map(|path| format!("{path}.{name}"))),
        NodeName::Element(index) => (format!("[{index}]"), path),
        NodeName::Unknown => (field.number.map_or_else(String::new, |number| format!("#{number}")), None),
        NodeName::More(count) => {
            let name = vec![Part::quiet(format!("{} more", counted(count as u64, "field")))];
            tree.add(Node { name, bytes: Some((view, span)), ..Node::default() }, depth, |_| ());
            return;
        }
    };
    let value = value_text(schema, field);
    let role = match field.value {
        Known::Hidden { .. } => Role::Hidden,
        Known::Seen(FieldValue::Broken(_)) | Known::Guessed(FieldValue::Broken(_)) => Role::Warning,
        _ => Role::Value,
    };
    let is_message = !field.children.is_empty();
    let shown = match (&value, is_message) {
        (Some(value), _) => vec![Part::new(cut(value), role)],
        (None, true) => vec![Part::quiet(safe(field.type_name.as_bytes()))],
        (None, false) => Vec::new(),
    };
    let number = field.number.map(|number| format!(" {number}")).unwrap_or_default();
    let kind = if is_message { "message" } else { &field.type_name };
    let filter = path.as_ref().and_then(|path| comparison(path, field));
    let node = Node {
        name: vec![Part::new(name, Role::Name)],
        value: shown,
        remark: vec![Part::quiet(format!("{}{number}", safe(kind.as_bytes())))],
        bytes: Some((view, span)),
        filter,
        copy: value.unwrap_or_default(),
        open: depth <= 2,
        ..Node::default()
    };
    tree.add(node, depth, |tree| {
        for child in &field.children {
            add_field(tree, schema, child, view, depth.saturating_add(1), path.clone());
        }
    });
}

/// The comparison that selects messages whose field has this value.
fn comparison(path: &str, field: &Field<'_>) -> Option<Comparison> {
    let value = match field.value.value()? {
        FieldValue::Bool(yes) => yes.to_string(),
        FieldValue::Int32(number) => number.to_string(),
        FieldValue::Int64(number) => number.to_string(),
        FieldValue::Uint32(number) => number.to_string(),
        FieldValue::Uint64(number) => number.to_string(),
        FieldValue::Float(number) => number.to_string(),
        FieldValue::Double(number) => number.to_string(),
        FieldValue::Enum { name: Some(name), .. } => name.to_owned(),
        FieldValue::Enum { number, name: None } => number.to_string(),
        FieldValue::Text(text) => quoted(std::str::from_utf8(text).ok()?),
        FieldValue::Bytes(bytes) if (1..=64).contains(&bytes.len()) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        }
        _ => return None,
    };
    Some(Comparison { field: path.to_owned(), value })
}

/// How a header field was sent, in few words.
fn coded_text(field: rpcshark_dissectors::view::HeaderView<'_>) -> String {
    let coded = field.coded().name();
    let index = field.index().map(|index| format!(" {index}")).unwrap_or_default();
    let huffman = if field.is_huffman() { " huffman" } else { "" };
    format!("{coded}{index}{huffman}")
}

/// The beginning of a long value; the rest is in the byte pane.
fn cut(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
