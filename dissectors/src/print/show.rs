//! One call in full: metadata, messages as trees, and with them the bytes.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;

use rpcshark_captures::{Direction, PacketNo, Timestamp};

use super::call_json::rfc3339;
use super::headers::field_text;
use super::message::trees;
use super::text::{exact_duration_text, size_text};
use super::tree::{MAX_JSON_MESSAGE, ValueLayout, write_json_text};
use super::{Escaped, Printer, Times, method_text, status_text, tree};
use crate::http2::ErrorCode;
use crate::json::{self, Drain, checkpoint};
use crate::protobuf::JsonPrinter;
use crate::protobuf::tree::Node;
use crate::view::{Body, CallView, FLOW_CONTROL_STALL, HeadersView, Kind, Known, MessageView, Scratch};

/// Bytes of a run that are shown beside a field.
const MAX_BYTES_SHOWN: usize = 4096;

impl<'a> Printer<'a> {
    /// Appends a call in full, as text. `with_bytes`: with the bytes of each field. `times`: how times are shown; without it, as
    /// date and time where the call begins, and then as what has passed since. `drain` empties `out` while the call is being
    /// written, so that what it holds may be larger than memory.
    pub fn write_call_in_full(
        &self,
        call: &CallView<'a>,
        with_bytes: bool,
        times: Option<&Times>,
        out: &mut Vec<u8>,
        drain: Drain<'_>,
    ) {
        let before = Cell::new(call.start());
        Show { printer: *self, call, with_bytes, times, before, out, drain }.write(true);
    }

    /// The same without the messages of the answer, for whoever has printed them as they came.
    pub fn write_call_around_answers(&self, call: &CallView<'a>, out: &mut Vec<u8>, drain: Drain<'_>) {
        let before = Cell::new(call.start());
        Show { printer: *self, call, with_bytes: false, times: None, before, out, drain }.write(false);
    }

    /// Appends the messages of an answer after the first `skipped` ones, as [`Self::write_call_in_full`] does. Gives how many
    /// there are.
    pub fn write_answers(&self, call: &CallView<'a>, skipped: usize, out: &mut Vec<u8>, drain: Drain<'_>) -> usize {
        let before = Cell::new(call.start());
        let mut show = Show { printer: *self, call, with_bytes: false, times: None, before, out, drain };
        show.messages(Direction::ToClient, skipped)
    }
}

struct Show<'d, 'a> {
    printer: Printer<'a>,
    call: &'d CallView<'a>,
    with_bytes: bool,
    times: Option<&'d Times>,
    /// The time that was shown last.
    before: Cell<Option<Timestamp>>,
    out: &'d mut Vec<u8>,
    drain: Drain<'d>,
}

/// Writing to a vector cannot fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => { let _ = writeln!($out, $($text)*); };
}

impl<'a> Show<'_, 'a> {
    fn write(&mut self, with_answers: bool) {
        let call = self.call;
        line!(self.out, "#{}  {}   {}", call.no(), method_text(call), status_text(call));
        let took = call
            .duration_ns()
            .map_or("duration unknown".to_owned(), |nanos| format!("took {}", self.printer.duration(nanos)));
        let kind = call.kind().map_or("kind unknown", Kind::name);
        let start = match (call.start(), self.times) {
            (None, _) => "time unknown".to_owned(),
            (Some(start), None | Some(Times::Delta)) => rfc3339(start),
            (Some(start), Some(times)) => self.time(times, start, None),
        };
        line!(self.out, "  {start}  {kind}  {took}  {}", call.protocol().name());
        let [first, last] = [call.first_packet(), call.last_packet()];
        let packets = match self.printer.other_file(first, Some(last)) {
            Some(_) => format!("{} – {}", self.printer.packet_text(first, None), self.printer.packet_text(last, None)),
            None => format!("{}–{}", first.number(), last.number()),
        };
        line!(
            self.out,
            "  c{} stream {}   {} → {}   packets {packets}",
            call.connection().number(),
            call.stream(),
            self.printer.end_text(call.client()),
            self.printer.end_text(call.server())
        );
        if self.printer.viewer.files.len() > 1
            && let Some(file) = self.printer.viewer.file_name(call.first_packet().file())
        {
            line!(self.out, "  of {}", Escaped(file.as_bytes()));
        }
        if let Some(deadline) = call.deadline_ns().value() {
            line!(self.out, "  deadline {}", exact_duration_text(deadline));
        }
        self.stalls();
        self.headers("request headers", call.request_headers(), call.request_headers_at());
        self.messages(Direction::ToServer, 0);
        self.headers("request trailers", call.request_trailers(), None);
        if let Some(at) = call.half_close_at() {
            line!(self.out, "↑ end {}", self.at(Some(at)));
        }
        call.interim_responses().for_each(|block| self.all_fields("interim response", block));
        self.headers("response headers", call.response_headers(), call.response_headers_at());
        if with_answers {
            self.messages(Direction::ToClient, 0);
        }
        call.further_response_headers().for_each(|block| self.all_fields("response headers again", block));
        self.headers("trailers", call.trailers(), call.ended_at());
        self.end();
        // The lines at the top say it in more detail.
        for note in call.notes().into_iter().filter(|note| note.kind != FLOW_CONTROL_STALL) {
            let at = note.packet.map(|packet| format!("packet {}: ", self.packet(packet))).unwrap_or_default();
            line!(self.out, "! {at}{}", Escaped(note.text.as_bytes()));
        }
    }

    /// A packet by its number, and by its file where that is not the call's.
    fn packet(&self, packet: PacketNo) -> String {
        self.printer.packet_text(packet, Some(self.call.first_packet()))
    }

    fn stalls(&mut self) {
        let Known::Seen(stalls) = self.call.stalls() else { return };
        for (direction, sender) in [(Direction::ToServer, "client"), (Direction::ToClient, "server")] {
            let waits = stalls.of(direction);
            if waits.count == 0 {
                continue;
            }
            let by = [(waits.stream_ns, "stream"), (waits.connection_ns, "connection")];
            let by: Vec<_> = by.into_iter().filter(|(nanos, _)| *nanos > 0).collect();
            let by = by.iter().map(|(nanos, window)| format!("{} by the {window}'s window", self.duration(*nanos)));
            let times = if waits.count == 1 { "once".to_owned() } else { format!("{} times", waits.count) };
            line!(self.out, "  flow control stopped the {sender} {times}: {}", by.collect::<Vec<_>>().join(", "));
        }
    }

    fn duration(&self, nanos: u64) -> String {
        self.printer.duration(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// When something happened; nothing where that is not known.
    fn at(&self, at: Option<Timestamp>) -> String {
        let Some((at, since_start)) = at.and_then(|at| Some((at, self.call.since_start(at)?))) else {
            return String::new();
        };
        let before = self.before.replace(Some(at));
        match self.times {
            None => format!("at {}", self.printer.duration(since_start)),
            Some(Times::Delta) => format!("after {}", self.time(&Times::Delta, at, before)),
            Some(times) => format!("at {}", self.time(times, at, None)),
        }
    }

    fn time(&self, times: &Times, time: Timestamp, before: Option<Timestamp>) -> String {
        let unit = if times.is_seconds() { " s" } else { "" };
        format!("{}{unit}", times.text(time, before, self.printer.decimals))
    }

    fn headers(&mut self, what: &str, headers: Option<HeadersView<'a>>, at: Option<Timestamp>) {
        let Some(headers) = headers else { return };
        let arrow = if what.starts_with("request") { '↑' } else { '↓' };
        line!(self.out, "{arrow} {what} {}", self.at(at));
        let fields: Vec<_> = match self.printer.all_headers {
            true => headers.fields().collect(),
            false => headers.metadata().collect(),
        };
        for field in fields {
            line!(self.out, "    {}", field_text(field));
        }
    }

    fn all_fields(&mut self, what: &str, headers: HeadersView<'a>) {
        line!(self.out, "↓ {what}");
        for field in headers.fields() {
            line!(self.out, "    {}", field_text(field));
        }
    }

    /// The messages of a direction after the first `skipped` ones. Gives how many there are.
    fn messages(&mut self, direction: Direction, skipped: usize) -> usize {
        let arrow = if direction == Direction::ToServer { '↑' } else { '↓' };
        let mut scratch = Scratch::default();
        let mut count = skipped;
        for (message, no) in self.call.messages(direction).zip(1_usize..).skip(skipped) {
            count = no;
            let late = if message.is_late() { "  late" } else { "" };
            let guessed = if message.is_start_guessed() { "  its beginning is a guess" } else { "" };
            let name = message.type_name().value().unwrap_or("without a schema");
            let body = message.body(&mut scratch);
            let inflated = body.content().filter(|_| body.is_inflated());
            let inflated =
                inflated.map(|inflated| format!(" → {}", size_text(inflated.len() as u64))).unwrap_or_default();
            line!(
                self.out,
                "{arrow} message {no} {}  {name}  {}{inflated}  packet {}{late}{guessed}",
                self.at(message.at()),
                size_text(message.length().into()),
                self.packet(message.packet())
            );
            self.body(message, &body);
        }
        count
    }

    fn body(&mut self, message: MessageView<'a>, body: &Body<'_>) {
        let Some(content) = body.content() else {
            if let Some(why) = body.fault() {
                line!(self.out, "    ! {}", Escaped(why.text.as_bytes()));
            }
            self.bytes(body.wire(), 0..message.length(), 4);
            return;
        };
        match trees(body) {
            Some((_, nodes)) => nodes.iter().for_each(|node| self.node(node, content, 4)),
            None => {
                // It is JSON.
                self.out.extend_from_slice(b"    ");
                write_json_text(content.trim_ascii(), MAX_JSON_MESSAGE, self.printer.full, 4, self.out, self.drain);
                self.out.push(b'\n');
            }
        }
        if let Some(ix) = message.type_ix().value() {
            let findings = JsonPrinter::new().print(message.schema(), ix, content, &mut Vec::new());
            for note in findings.notes {
                line!(self.out, "    ! {} (bytes {} to {})", note.text, note.span.start, note.span.end);
            }
        }
    }

    fn node(&mut self, node: &Node<'_>, content: &[u8], indent: usize) {
        let number = node.number.map(|number| format!("#{number} ")).unwrap_or_default();
        let name = tree::name(node);
        let name = if name.is_empty() { "?" } else { &*name };
        let _ = write!(self.out, "{:indent$}{name}", "");
        if tree::has_value(node) {
            self.out.extend_from_slice(b" = ");
            let layout = ValueLayout { full: self.printer.full, indent: Some(indent) };
            tree::write_value_text(self.printer.viewer.schema, node, layout, self.out, self.drain);
        }
        line!(self.out, "   {number}{}", node.type_name);
        checkpoint(self.out, self.drain);
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
        let call = self.call;
        for reset in call.resets() {
            let by = if reset.direction == Direction::ToServer { "↑" } else { "↓" };
            line!(self.out, "{by} RST_STREAM {} {}", ErrorCode(reset.code).name(), self.at(Some(reset.at)));
        }
        let Some(status) = call.status() else { return };
        let schema = self.printer.viewer.schema;
        let any = schema.message("google.protobuf.Any");
        for (detail, any) in status.details.iter().zip(std::iter::repeat(any)) {
            let mut text = Vec::new();
            match any {
                Some(any) => {
                    JsonPrinter::new()
                        .hiding(self.printer.viewer.redaction.hides_marked_fields())
                        .print(schema, any, detail, &mut text);
                }
                None => json::write_base64(&mut text, detail),
            }
            line!(self.out, "    detail {}", Escaped(&text));
        }
    }
}
