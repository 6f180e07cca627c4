//! Fields as a tree, and the bytes that they came from: what all screens with a tree have in common.

use std::ops::Range;
use std::sync::Arc;

use rpcshark_captures::Direction;
use rpcshark_dissectors::print::{header_text, size_text, value_text};
use rpcshark_dissectors::protobuf::FieldValue;
use rpcshark_dissectors::protobuf::tree::{Node as Field, NodeName};
use rpcshark_dissectors::view::{HeadersView, Known, MessageView, Scratch};

use super::calls::quoted;
use crate::text::{counted, safe};
use crate::theme::{Role, Signs};
use crate::widget::{ByteView, Comparison, Node, Part, Parts, Tree};

/// A tree of fields, and the bytes that its nodes came from.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The tree.
    pub tree: Tree,
    /// The bytes.
    pub views: Vec<ByteView>,
}

/// Where header fields are looked for by the filter that one of them offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Among the metadata of calls.
    Metadata,
    /// Among the trailers of calls.
    Trailers,
    /// Among the header fields of frames.
    Frames,
}

impl Scope {
    /// The filter field for the header field `name`.
    fn field(self, name: &str) -> Option<String> {
        match self {
            Self::Metadata => (!name.starts_with(':')).then(|| format!("rpc.metadata.{name}")),
            Self::Trailers => (!name.starts_with(':')).then(|| format!("rpc.trailer.{name}")),
            Self::Frames => {
                let name = name.strip_prefix(':').unwrap_or(name);
                let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                is_plain.then(|| format!("http2.headers.{}", name.replace('-', "_")))
            }
        }
    }
}

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

/// Builds a tree of fields.
pub(crate) struct FieldsBuilder<'s> {
    /// What has been built.
    pub(crate) fields: Fields,
    signs: &'s Signs,
    bytes_left: usize,
    groups: u32,
}

impl<'s> FieldsBuilder<'s> {
    /// Begins with an empty tree.
    pub(crate) fn new(signs: &'s Signs) -> Self {
        Self { fields: Fields::default(), signs, bytes_left: MAX_VIEWS, groups: 0 }
    }

    /// The byte views that are added from here on show the same thing in other forms.
    pub(crate) const fn begin_group(&mut self) {
        self.groups += 1;
    }

    /// Adds a header list.
    pub(crate) fn headers(
        &mut self,
        sign: (&'static str, Role),
        what: &str,
        headers: Option<HeadersView<'_>>,
        scope: Scope,
    ) {
        let Some(headers) = headers else { return };
        let count = headers.fields().count() as u64;
        let node = Node {
            name: vec![Part::new(sign.0, sign.1), Part::text(format!(" {what}"))],
            value: vec![Part::quiet(counted(count, "field"))],
            open: scope != Scope::Metadata,
            ..Node::default()
        };
        let fields = headers.fields();
        self.fields.tree.add(node, 0, |tree| {
            for field in fields {
                let (name, value) = header_text(field);
                let hidden = matches!(field.value(), Known::Hidden { .. });
                let compared = field.value().value().and_then(|value| std::str::from_utf8(value).ok());
                let filter = scope.field(&name).filter(|_| !hidden).zip(compared);
                let filter = filter.map(|(field, text)| Comparison { field, value: quoted(text) });
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

    /// Adds a message, which is the `no`-th of its direction.
    pub(crate) fn message(&mut self, message: MessageView<'_>, no: usize, scratch: &mut Scratch) {
        let (sign, role, part) = match message.direction() {
            Direction::ToServer => (self.signs.up, Role::ToServer, "rpc.request"),
            Direction::ToClient => (self.signs.down, Role::ToClient, "rpc.response"),
        };
        self.begin_group();
        let first = self.fields.tree.nodes.len() + 1;
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
        let room = MAX_ALL_NODES.saturating_sub(self.fields.tree.nodes.len());
        let fields = body.tree(MAX_NODES.min(room));
        let fault = body.fault().map(|fault| fault.text.to_string());
        let typed = type_name_known(&message);
        self.fields.tree.add(node, 0, |tree| {
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
        let content = inflated.unwrap_or(body.wire());
        for node in self.fields.tree.nodes.iter_mut().skip(first) {
            let Some((_, range)) = &node.bytes else { continue };
            node.coding = content.get(range.clone()).map(wire_text).unwrap_or_default();
        }
    }

    /// Keeps bytes for the byte pane.
    pub(crate) fn view(&mut self, name: &str, title: String, bytes: &[u8]) -> usize {
        let kept = bytes.len().min(MAX_VIEW).min(self.bytes_left);
        self.bytes_left -= kept;
        let (shown, rest) = bytes.split_at(kept);
        self.fields.views.push(ByteView {
            name: name.to_owned(),
            title,
            group: self.groups,
            bytes: Arc::from(shown),
            omitted: rest.len() as u64,
        });
        self.fields.views.len() - 1
    }
}

/// How a protobuf field was sent: its wire type, and the bytes that it takes with its tag.
fn wire_text(bytes: &[u8]) -> Parts {
    let Some(first) = bytes.first() else { return Parts::new() };
    let wire = match first & 7 {
        0 => "varint",
        1 => "64-bit",
        2 => "length-delimited",
        3 | 4 => "group",
        5 => "32-bit",
        _ => "no wire type",
    };
    vec![Part::quiet(format!("{wire}, {}", counted(bytes.len() as u64, "byte")))]
}

fn type_name_known(message: &MessageView<'_>) -> bool {
    message.type_name().value().is_some()
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
