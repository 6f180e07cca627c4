//! One call in full: metadata, messages as trees, and with them the bytes.

use std::cell::Cell;
use std::fmt::Write;

use rpcshark_captures::{Direction, Timestamp};

use super::body::{Body, as_json};
use super::call::CallView;
use super::call_json::{notes_of, rfc3339};
use super::headers::{field_text, shown};
use super::text::{Escaped, duration_text, size_text};
use super::{Describer, Times};
use crate::http2::ErrorCode;
use crate::json;
use crate::protobuf::Printer;
use crate::protobuf::tree::{Node, raw_tree, tree};
use crate::schema::MessageIx;
use crate::store::{CallRef, HeaderListId, Message, MessageFlags};

/// Nodes of one message's tree: what a person can look at.
const MAX_NODES: usize = 10_000;

/// Bytes of a run that are shown beside a field.
const MAX_BYTES_SHOWN: usize = 4096;

impl Describer<'_> {
    /// A message's tree and the name of the bytes that its spans count in; none for a message that cannot be read.
    pub(super) fn trees(&self, body: &Body, message: Option<MessageIx>) -> Option<(&'static str, Vec<Node<'_>>)> {
        let content = body.content()?;
        let view = if body.inflated.is_some() { "inflated" } else { "message" };
        if as_json(content).is_some() {
            return None;
        }
        let nodes = match message {
            Some(message) => tree(self.schema, message, content, MAX_NODES),
            None => raw_tree(content, MAX_NODES),
        };
        Some((view, nodes))
    }

    /// A call in full, as text. `with_bytes`: with the bytes of each field. `times`: how times are shown; if nothing is
    /// said of it, as date and time where the call begins, and then as what has passed since.
    pub fn show(&self, at: CallRef, with_bytes: bool, times: Option<&Times>) -> String {
        let view = self.call(at);
        let mut show = Show {
            describer: self,
            view: &view,
            with_bytes,
            times,
            before: Cell::new(view.call.start),
            out: String::new(),
        };
        show.write();
        show.out
    }
}

struct Show<'d, 'a> {
    describer: &'d Describer<'a>,
    view: &'d CallView<'a>,
    with_bytes: bool,
    times: Option<&'d Times>,
    /// The time that was shown last.
    before: Cell<Timestamp>,
    out: String,
}

/// Writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => { let _ = writeln!($out, $($text)*); };
}

impl Show<'_, '_> {
    fn write(&mut self) {
        let view = self.view;
        let call = view.call;
        let connection = view.lane.connection(call.connection);
        let no = call.no.map_or(0, std::num::NonZero::get);
        line!(self.out, "#{no}  {}   {}", view.method_text(), view.status_text());
        let took =
            call.duration_ns().map_or("duration unknown".to_owned(), |nanos| format!("took {}", duration_text(nanos)));
        let kind = view.kind().map_or("kind unknown", super::Kind::name);
        let (client, server) = view.ends();
        let start = match self.times {
            None | Some(Times::Delta) => rfc3339(call.start),
            Some(times) => times.text(call.start, None),
        };
        line!(self.out, "  {start}  {kind}  {took}  {}", call.protocol.name());
        line!(
            self.out,
            "  c{} stream {}   {} → {}   packets {}–{}",
            connection.number().unwrap_or(0),
            call.stream,
            self.describer.end_text(client),
            self.describer.end_text(server),
            call.first_packet.number(),
            call.last_packet.number()
        );
        if let [_, _, ..] = self.describer.files
            && let Some(file) = self.describer.files.get(usize::from(call.first_packet.file()))
        {
            line!(self.out, "  of {}", Escaped(file.as_bytes()));
        }
        if let Some(deadline) = view.deadline_ns() {
            line!(self.out, "  deadline {}", duration_text(i64::try_from(deadline).unwrap_or(i64::MAX)));
        }
        self.headers("request headers", call.request_headers, call.request_headers_at);
        self.messages(Direction::ToServer);
        if let Some(at) = call.half_close_at {
            line!(self.out, "↑ end {}", self.at(at));
        }
        self.headers("response headers", call.response_headers, call.response_headers_at);
        self.messages(Direction::ToClient);
        self.headers("trailers", call.trailers, call.ended_at);
        self.end();
        for note in notes_of(view) {
            let at = note.packet.map(|packet| format!("packet {}: ", packet.number())).unwrap_or_default();
            line!(self.out, "! {at}{}", note.text);
        }
    }

    fn at(&self, at: Timestamp) -> String {
        let before = self.before.replace(at);
        match self.times {
            None => format!("at {}", duration_text(at.nanos_since(self.view.call.start))),
            Some(Times::Delta) => format!("after {}", Times::Delta.text(at, Some(before))),
            Some(times) => format!("at {}", times.text(at, None)),
        }
    }

    fn headers(&mut self, what: &str, list: Option<HeaderListId>, at: Option<Timestamp>) {
        let Some(list) = list else { return };
        let arrow = if what.starts_with("request") { '↑' } else { '↓' };
        let at = at.map(|at| self.at(at)).unwrap_or_default();
        line!(self.out, "{arrow} {what} {at}");
        let describer = self.describer;
        let fields: Vec<_> = match describer.all_headers {
            true => self.view.lane.headers.fields(list).collect(),
            false => shown(self.view.lane, self.view.call.protocol, list).collect(),
        };
        for field in fields {
            line!(self.out, "    {}", field_text(field, describer.secrets));
        }
    }

    fn messages(&mut self, direction: Direction) {
        let arrow = if direction == Direction::ToServer { '↑' } else { '↓' };
        for (message, no) in self.view.call.messages(direction).zip(1..) {
            let late = if message.flags.has(MessageFlags::LATE) { "  late" } else { "" };
            let guessed = if message.flags.has(MessageFlags::GUESSED) { "  its beginning is a guess" } else { "" };
            let ty = self.view.meaning.message(direction);
            let name = ty.map_or("without a schema", |ty| &*self.describer.schema[ty].name);
            let body = self.describer.body(self.view.lane, self.view.call, message);
            let inflated = body.inflated.as_ref();
            let inflated =
                inflated.map(|inflated| format!(" → {}", size_text(inflated.len() as u64))).unwrap_or_default();
            line!(
                self.out,
                "{arrow} message {no} {}  {name}  {}{inflated}  packet {}{late}{guessed}",
                self.at(message.at),
                size_text(message.length.into()),
                message.packet
            );
            self.body(message, &body, ty);
        }
    }

    fn body(&mut self, message: &Message, body: &Body, ty: Option<MessageIx>) {
        let Some(content) = body.content() else {
            if let Some(why) = &body.fault {
                line!(self.out, "    ! {}", why.text);
            }
            self.bytes(&body.wire, 0..message.length, 4);
            return;
        };
        match self.describer.trees(body, ty) {
            Some((_, nodes)) => nodes.iter().for_each(|node| self.node(node, content, 4)),
            None => {
                line!(self.out, "    {}", Escaped(content));
            }
        }
        if let Some(ty) = ty {
            let findings = Printer::new().print(self.describer.schema, ty, content, &mut Vec::new());
            for note in findings.notes {
                line!(self.out, "    ! {} (bytes {} to {})", note.text, note.span.start, note.span.end);
            }
        }
    }

    fn node(&mut self, node: &Node<'_>, content: &[u8], indent: usize) {
        let number = node.number.map(|number| format!("#{number} ")).unwrap_or_default();
        let name = if node.name.is_empty() { "?" } else { &*node.name };
        let value = node.value.as_deref().map(|value| format!(" = {value}")).unwrap_or_default();
        line!(self.out, "{:indent$}{name}{value}   {number}{}", "", node.type_name);
        if self.with_bytes {
            self.bytes(content, node.span.clone(), indent + 2);
        }
        for child in &node.children {
            self.node(child, content, indent + 2);
        }
    }

    /// Bytes in rows of sixteen, with their places and as text, if they are wanted.
    fn bytes(&mut self, content: &[u8], span: std::ops::Range<u32>, indent: usize) {
        if !self.with_bytes {
            return;
        }
        let all = content.get(span.start as usize..(span.end as usize).min(content.len())).unwrap_or_default();
        let shown = all.get(..MAX_BYTES_SHOWN).unwrap_or(all);
        for (row, at) in shown.chunks(16).zip((span.start as usize..).step_by(16)) {
            let hex: String = row.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x} ");
                hex
            });
            let text: String = row.iter().map(|&b| if matches!(b, 0x20..=0x7e) { b as char } else { '.' }).collect();
            line!(self.out, "{:indent$}{at:06x}  {hex:<48} {text}", "");
        }
        if shown.len() < all.len() {
            line!(self.out, "{:indent$}… {} bytes more", "", all.len() - shown.len());
        }
    }

    fn end(&mut self) {
        let call = self.view.call;
        for reset in call.resets() {
            let by = if reset.direction == Direction::ToServer { "↑" } else { "↓" };
            line!(self.out, "{by} RST_STREAM {} {}", ErrorCode(reset.code).name(), self.at(reset.at));
        }
        let Some(status) = &self.view.status else { return };
        let any = self.describer.schema.message("google.protobuf.Any");
        for (detail, any) in status.details.iter().zip(std::iter::repeat(any)) {
            let mut text = Vec::new();
            match any {
                Some(any) => {
                    Printer::new().print(self.describer.schema, any, detail, &mut text);
                }
                None => json::write_base64(&mut text, detail),
            }
            line!(self.out, "    detail {}", String::from_utf8_lossy(&text));
        }
    }
}
