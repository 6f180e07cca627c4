//! A call as a line of JSON. Its members are a contract; `docs/json.md` has them all.

use rpcshark_captures::{Direction, PacketNo, Timestamp};

use super::call_text::mapped_from;
use super::headers::write_fields;
use super::message::{trees, write_content};
use super::{Printer, tree};
use crate::http2::ErrorCode;
use crate::json::{Drain, Writer, write_base64_draining};
use crate::protobuf::JsonPrinter;
use crate::view::{CallView, HeadersView, Kind, Known, MessageView, Outcome, Scratch, StatusView};
use crate::{Note, Severity};

impl<'a> Printer<'a> {
    /// Appends a call as one line of JSON, with its newline. `with_trees`: beside each body its field tree. `drain` empties `out`
    /// while a call is being written, so that what it holds may be larger than memory.
    pub fn write_call_json(&self, call: &CallView<'a>, with_trees: bool, out: &mut Vec<u8>, drain: Drain<'_>) {
        CallJson { printer: *self, call, with_trees }.write(out, drain);
        out.push(b'\n');
    }
}

struct CallJson<'d, 'a> {
    printer: Printer<'a>,
    call: &'d CallView<'a>,
    with_trees: bool,
}

impl<'a> CallJson<'_, 'a> {
    fn write(&self, out: &mut Vec<u8>, drain: Drain<'_>) {
        let Self { call, printer, .. } = self;
        let connection = call.connection();
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("no").unsigned(call.no().into());
        json.key("file").string(printer.viewer.file_name(call.first_packet().file()).unwrap_or_default());
        json.key("protocol").string(call.protocol().name());
        json.key("transport").string(connection.transport());
        json.key("connection").unsigned(connection.number().into());
        if let Some(stream) = connection.tcp_stream() {
            json.key("tcp_stream").unsigned(stream.into());
        }
        json.key("stream").unsigned(call.stream().into());
        if let Some(trunk) = call.trunk() {
            json.key("trunk").unsigned(trunk.into());
        }
        json.key("client").string(&call.client().to_string());
        json.key("server").string(&call.server().to_string());
        self.write_method(&mut json);
        json.key("start");
        optional(&mut json, call.start().map(rfc3339).as_deref());
        json.key("duration_ns");
        nanos(&mut json, call.duration_ns());
        json.key("deadline_ns");
        nanos(&mut json, call.deadline_ns().value().and_then(|ns| i64::try_from(ns).ok()));
        self.write_stalls(&mut json);
        json.key("outcome");
        optional(&mut json, call.outcome().map(Outcome::name));
        json.key("end");
        optional(&mut json, call.end().map(|end| end.name()));
        if let Some(status) = call.status() {
            json.key("status");
            self.write_status(&mut json, &status);
        }
        if let Some(mapped) = call.mapped_status() {
            json.key("mapped").begin_object();
            json.key("code").unsigned(mapped.code.0.into());
            json.key("name").string(&mapped.code.name());
            json.key("from").string(&mapped_from(mapped));
            json.end_object();
        }
        if let Some(http) = call.http_status().filter(|&http| http != 200) {
            json.key("http_status").unsigned(http.into());
        }
        self.write_request(&mut json, drain);
        self.write_response(&mut json, drain);
        self.write_resets(&mut json);
        self.write_late(&mut json);
        json.key("packets").begin_object();
        json.key("first").unsigned(call.first_packet().number());
        json.key("last").unsigned(call.last_packet().number());
        if let Some(last_file) = printer.other_file(call.last_packet(), Some(call.first_packet())) {
            let file = printer.viewer.file_name(call.first_packet().file());
            json.key("first_file").string(file.unwrap_or_default());
            json.key("last_file").string(last_file);
        }
        json.end_object();
        json.key("notes");
        write_notes(&mut json, &call.notes(), printer, Some(call.first_packet()));
        json.end_object();
    }

    fn write_stalls(&self, json: &mut Writer<'_>) {
        match self.call.stalls() {
            Known::Absent => {}
            stalls => {
                json.key("stalled_ns");
                nanos(json, stalls.value().and_then(|stalls| i64::try_from(stalls.total_ns()).ok()));
            }
        }
    }

    fn write_method(&self, json: &mut Writer<'_>) {
        let call = self.call;
        let path = call.path();
        let parts = call.service_and_method().value();
        json.key("path");
        optional(json, path.value());
        json.key("service");
        optional(json, parts.map(|(service, _)| service));
        json.key("method");
        optional(json, parts.map(|(_, method)| method));
        json.key("guessed").begin_array();
        let guesses = [
            (path.is_guessed(), "path"),
            (call.is_protocol_guessed(), "protocol"),
            (call.message_type(Direction::ToServer).is_guessed(), "type"),
            (call.is_alignment_guessed(), "alignment"),
        ];
        guesses.iter().filter(|(is, _)| *is).for_each(|(_, what)| json.string(what));
        json.end_array();
        json.key("kind");
        optional(json, call.kind().map(Kind::name));
    }

    fn write_status(&self, json: &mut Writer<'_>, status: &StatusView<'_>) {
        json.begin_object();
        json.key("code").unsigned(status.code.0.into());
        json.key("name").string(&status.code.name());
        json.key("message").string(&status.message);
        json.key("details").begin_array();
        let schema = self.printer.viewer.schema;
        let any = schema.message("google.protobuf.Any");
        for detail in &status.details {
            if let Some(any) = any {
                let mut text = Vec::new();
                JsonPrinter::new()
                    .hiding(self.printer.viewer.redaction.hides_marked_fields())
                    .print(schema, any, detail, &mut text);
                json.raw(&text);
            }
        }
        json.end_array();
        json.end_object();
    }

    fn write_request(&self, json: &mut Writer<'_>, drain: Drain<'_>) {
        let call = self.call;
        json.key("request").begin_object();
        json.key("headers_at_ns");
        self.at(json, call.request_headers_at());
        json.key("metadata");
        write_metadata(json, call.request_headers());
        self.write_all_headers(json, "headers", call.request_headers());
        self.write_encoding(json, Direction::ToServer);
        self.write_messages(json, Direction::ToServer, drain);
        json.key("half_close_at_ns");
        self.at(json, call.half_close_at());
        if let Some(trailers) = call.request_trailers() {
            json.key("trailers");
            write_fields(json, trailers.metadata());
            self.write_all_headers(json, "trailer_fields", Some(trailers));
        }
        json.end_object();
    }

    fn write_response(&self, json: &mut Writer<'_>, drain: Drain<'_>) {
        let call = self.call;
        json.key("response").begin_object();
        json.key("headers_at_ns");
        self.at(json, call.response_headers_at());
        json.key("metadata");
        let trailers_only = call.is_trailers_only();
        match trailers_only {
            true => write_fields(json, std::iter::empty()),
            false => write_metadata(json, call.response_headers()),
        }
        self.write_all_headers(json, "headers", call.response_headers());
        self.write_encoding(json, Direction::ToClient);
        self.write_messages(json, Direction::ToClient, drain);
        json.key("trailers");
        write_fields(json, call.trailers().into_iter().flat_map(HeadersView::metadata));
        self.write_all_headers(json, "trailer_fields", call.trailers());
        if trailers_only {
            json.key("trailers_only").bool(true);
        }
        write_blocks(json, "interim", call.interim_responses());
        write_blocks(json, "headers_again", call.further_response_headers());
        json.end_object();
    }

    fn write_all_headers(&self, json: &mut Writer<'_>, key: &str, headers: Option<HeadersView<'_>>) {
        if let (true, Some(headers)) = (self.printer.all_headers, headers) {
            json.key(key);
            write_fields(json, headers.fields());
        }
    }

    fn write_encoding(&self, json: &mut Writer<'_>, direction: Direction) {
        json.key("encoding");
        match self.call.encoding(direction).value() {
            Some(name) => json.string(&String::from_utf8_lossy(&name)),
            None => json.null(),
        }
    }

    fn write_messages(&self, json: &mut Writer<'_>, direction: Direction, drain: Drain<'_>) {
        json.key("messages").begin_array();
        let mut scratch = Scratch::default();
        for message in self.call.messages(direction) {
            self.write_message(json, message, &mut scratch, drain);
            json.checkpoint(drain);
        }
        json.end_array();
    }

    fn write_message(&self, json: &mut Writer<'_>, message: MessageView<'a>, scratch: &mut Scratch, drain: Drain<'_>) {
        let body = message.body(scratch);
        json.begin_object();
        json.key("at_ns");
        self.at(json, message.at());
        if let Some(file) = self.printer.other_file(message.packet(), Some(self.call.first_packet())) {
            json.key("file").string(file);
        }
        json.key("packet").unsigned(message.packet().number());
        json.key("length").unsigned(message.length().into());
        json.key("compressed").bool(message.is_compressed());
        if let Some(inflated) = body.content().filter(|_| body.is_inflated()) {
            json.key("decompressed_length").unsigned(inflated.len() as u64);
        }
        if message.is_late() {
            json.key("late").bool(true);
        }
        json.key("type");
        optional(json, message.type_name().value());
        let mut notes = match body.content() {
            Some(content) => write_content(json, message, &body, content, drain),
            None => {
                write_base64_draining(json.key("bytes").value(), body.wire(), drain);
                body.fault().cloned().into_iter().collect()
            }
        };
        if let Some((view, nodes)) = self.with_trees.then(|| trees(&body)).flatten() {
            json.key("tree").begin_array();
            for node in &nodes {
                tree::write_json(message.schema(), node, view, json, drain);
            }
            json.end_array();
        }
        if message.is_start_guessed() {
            notes.push(Note::new(
                Severity::Info,
                "alignment-guessed",
                "that the message begins here is a guess: bytes before it are missing",
            ));
        }
        if !notes.is_empty() {
            json.key("notes");
            write_notes(json, &notes, &self.printer, Some(self.call.first_packet()));
        }
        json.end_object();
    }

    fn write_resets(&self, json: &mut Writer<'_>) {
        json.key("resets").begin_array();
        for reset in self.call.resets() {
            json.begin_object();
            json.key("code").unsigned(reset.code.into());
            json.key("name").string(&ErrorCode(reset.code).name());
            json.key("by").string(match reset.direction {
                Direction::ToServer => "client",
                Direction::ToClient => "server",
            });
            json.key("at_ns");
            self.at(json, Some(reset.at));
            json.end_object();
        }
        json.end_array();
    }

    fn write_late(&self, json: &mut Writer<'_>) {
        let (status, trailers) = (self.call.late_status(), self.call.late_trailers());
        if status.is_none() && trailers.is_none() {
            return;
        }
        json.key("late").begin_object();
        if let Some(status) = status {
            json.key("status");
            self.write_status(json, &status);
        }
        json.key("trailers");
        write_fields(json, trailers.into_iter().flat_map(HeadersView::metadata));
        json.end_object();
    }

    fn at(&self, json: &mut Writer<'_>, at: Option<Timestamp>) {
        nanos(json, at.and_then(|at| self.call.since_start(at)));
    }
}

fn write_metadata(json: &mut Writer<'_>, headers: Option<HeadersView<'_>>) {
    match headers {
        Some(headers) => write_fields(json, headers.metadata()),
        None => json.null(),
    }
}

/// Header blocks that most calls do not have, every field of each, if there are any.
fn write_blocks<'a>(json: &mut Writer<'_>, key: &str, blocks: impl Iterator<Item = HeadersView<'a>>) {
    let mut blocks = blocks.peekable();
    if blocks.peek().is_none() {
        return;
    }
    json.key(key).begin_array();
    blocks.for_each(|block| write_fields(json, block.fields()));
    json.end_array();
}

/// Appends notes as a JSON array. Packets in another file than that of `than`, or without a `than` all packets, are named with
/// their files if several files are read together.
pub(super) fn write_notes(json: &mut Writer<'_>, notes: &[Note], printer: &Printer<'_>, than: Option<PacketNo>) {
    json.begin_array();
    for note in notes {
        json.begin_object();
        json.key("severity").string(note.severity.name());
        json.key("kind").string(note.kind);
        json.key("text").string(&note.text);
        if let Some(packet) = note.packet {
            if let Some(file) = printer.other_file(packet, than) {
                json.key("file").string(file);
            }
            json.key("packet").unsigned(packet.number());
        }
        json.end_object();
    }
    json.end_array();
}

/// A text, or null where it is not known.
pub(super) fn optional(json: &mut Writer<'_>, text: Option<&str>) {
    match text {
        Some(text) => json.string(text),
        None => json.null(),
    }
}

fn nanos(json: &mut Writer<'_>, nanos: Option<i64>) {
    match nanos {
        Some(nanos) => json.signed(nanos),
        None => json.null(),
    }
}

/// A time as RFC 3339 in UTC with nanoseconds.
pub fn rfc3339(time: Timestamp) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())).unwrap_or_default();
    format!("{stamp:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits() {
        assert_eq!(rfc3339(Timestamp::from_nanos(1_523_080_000_002_500_000)), "2018-04-07T05:46:40.002500000Z");
        assert_eq!(rfc3339(Timestamp::EPOCH), "1970-01-01T00:00:00.000000000Z");
    }
}
