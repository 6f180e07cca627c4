//! A call as a line of JSON. Its members are a contract; `docs/json.md` has them all.

use rpcshark_captures::{Direction, Timestamp};

use super::body::Shown;
use super::call::{CallView, StatusView, grpc_status, ttrpc_status};
use super::headers::{has_binary, shown, write_fields};
use super::meaning::split_path;
use super::{Describer, body};
use crate::grpc::{HeaderValue, Role, Status};
use crate::header::Field;
use crate::http2::ErrorCode;
use crate::json::Writer;
use crate::protobuf::{Printer, SpanNote};
use crate::store::{Call, CallRef, Guesses, HeaderListId, Message, MessageFlags, Protocol};
use crate::{Note, Severity};

impl Describer<'_> {
    /// Appends a call as one line of JSON, with its newline. `with_trees`: beside each body its field tree.
    pub fn write_call_json(&self, at: CallRef, with_trees: bool, out: &mut Vec<u8>) {
        let view = self.call(at);
        CallJson { describer: self, view: &view, with_trees }.write(out);
        out.push(b'\n');
    }
}

struct CallJson<'d, 'a> {
    describer: &'d Describer<'a>,
    view: &'d CallView<'a>,
    with_trees: bool,
}

impl CallJson<'_, '_> {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { view, describer, .. } = self;
        let call = view.call;
        let connection = view.lane.connection(call.connection);
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("no").unsigned(call.no.map_or(0, |no| no.get().into()));
        let file = describer.files.get(usize::from(call.first_packet.file()));
        json.key("file").string(file.map_or("", |name| name));
        json.key("protocol").string(call.protocol.name());
        json.key("transport").string(connection.server.transport());
        json.key("connection").unsigned(connection.number().unwrap_or(0).into());
        if let Some(stream) = connection.tcp_stream {
            json.key("tcp_stream").unsigned(stream.into());
        }
        json.key("stream").unsigned(call.stream.into());
        let (client, server) = view.ends();
        json.key("client").string(&client.to_string());
        json.key("server").string(&server.to_string());
        self.write_method(&mut json);
        json.key("start").string(&rfc3339(call.start));
        json.key("duration_ns");
        nanos(&mut json, call.duration_ns());
        json.key("deadline_ns");
        nanos(&mut json, view.deadline_ns().and_then(|ns| i64::try_from(ns).ok()));
        json.key("outcome");
        optional(&mut json, view.outcome.map(super::Outcome::name));
        json.key("end");
        optional(&mut json, call.end.map(|end| end.name()));
        if let Some(status) = &view.status {
            json.key("status");
            self.write_status(&mut json, status);
        }
        if let Some((status, from)) = &view.mapped {
            json.key("mapped").begin_object();
            json.key("code").unsigned(status.0.into());
            json.key("name").string(&status.name());
            json.key("from").string(from);
            json.end_object();
        }
        if let Some(http) = view.http_status.filter(|&http| http != 200) {
            json.key("http_status").unsigned(http.into());
        }
        self.write_request(&mut json);
        self.write_response(&mut json);
        self.write_resets(&mut json);
        self.write_late(&mut json);
        json.key("packets").begin_object();
        json.key("first").unsigned(call.first_packet.number());
        json.key("last").unsigned(call.last_packet.number());
        json.end_object();
        json.key("notes");
        write_notes(&mut json, &self.notes());
        json.end_object();
    }

    fn write_method(&self, json: &mut Writer<'_>) {
        let view = self.view;
        let path = view.path();
        let parts = path.and_then(split_path);
        json.key("path");
        optional(json, path);
        json.key("service");
        optional(json, parts.map(|(service, _)| service));
        json.key("method");
        optional(json, parts.map(|(_, method)| method));
        json.key("guessed").begin_array();
        let guessed = view.call.guessed;
        let guesses = [
            (view.meaning.path_guessed, "path"),
            (guessed.has(Guesses::PROTOCOL), "protocol"),
            (view.meaning.types_guessed, "type"),
            (guessed.has(Guesses::ALIGNMENT), "alignment"),
        ];
        guesses.iter().filter(|(is, _)| *is).for_each(|(_, what)| json.string(what));
        json.end_array();
        json.key("kind");
        optional(json, view.kind().map(super::Kind::name));
    }

    fn write_status(&self, json: &mut Writer<'_>, status: &StatusView<'_>) {
        json.begin_object();
        json.key("code").unsigned(status.code.0.into());
        json.key("name").string(&status.code.name());
        json.key("message").string(&status.message);
        json.key("details").begin_array();
        let any = self.describer.schema.message("google.protobuf.Any");
        for detail in &status.details {
            if let Some(any) = any {
                let mut text = Vec::new();
                Printer::new().print(self.describer.schema, any, detail, &mut text);
                json.raw(&text);
            }
        }
        json.end_array();
        json.end_object();
    }

    fn write_request(&self, json: &mut Writer<'_>) {
        let call = self.view.call;
        json.key("request").begin_object();
        json.key("headers_at_ns");
        self.at(json, call.request_headers_at);
        json.key("metadata");
        self.write_metadata(json, call.request_headers);
        self.write_all_headers(json, call.request_headers);
        self.write_encoding(json, Direction::ToServer);
        self.write_messages(json, Direction::ToServer);
        json.key("half_close_at_ns");
        self.at(json, call.half_close_at);
        json.end_object();
    }

    fn write_response(&self, json: &mut Writer<'_>) {
        let call = self.view.call;
        json.key("response").begin_object();
        json.key("headers_at_ns");
        self.at(json, call.response_headers_at);
        json.key("metadata");
        let trailers_only = self.trailers_only();
        match trailers_only {
            true => {
                json.begin_array();
                json.end_array();
            }
            false => self.write_metadata(json, call.response_headers),
        }
        self.write_all_headers(json, call.response_headers);
        self.write_encoding(json, Direction::ToClient);
        self.write_messages(json, Direction::ToClient);
        json.key("trailers");
        match call.trailers {
            Some(_) => self.write_metadata(json, call.trailers),
            None => {
                json.begin_array();
                json.end_array();
            }
        }
        if self.describer.all_headers
            && let Some(list) = call.trailers
        {
            json.key("trailer_fields");
            self.write_fields(json, self.view.lane.headers.fields(list));
        }
        if trailers_only {
            json.key("trailers_only").bool(true);
        }
        json.end_object();
    }

    /// The one header block of the response is its beginning and its end.
    fn trailers_only(&self) -> bool {
        let role = self.view.facts(self.view.call.trailers).map(|facts| facts.role);
        self.view.call.response_headers.is_none() && role == Some(Role::Response)
    }

    fn write_metadata(&self, json: &mut Writer<'_>, list: Option<HeaderListId>) {
        let Some(list) = list else { return json.null() };
        self.write_fields(json, shown(self.view.lane, self.view.call.protocol, list));
    }

    fn write_fields<'f>(&self, json: &mut Writer<'_>, fields: impl Iterator<Item = &'f Field>) {
        write_fields(json, fields, has_binary(self.view.call.protocol), self.describer.secrets);
    }

    fn write_all_headers(&self, json: &mut Writer<'_>, list: Option<HeaderListId>) {
        if let (true, Some(list)) = (self.describer.all_headers, list) {
            json.key("headers");
            self.write_fields(json, self.view.lane.headers.fields(list));
        }
    }

    fn write_encoding(&self, json: &mut Writer<'_>, direction: Direction) {
        json.key("encoding");
        match body::encoding(self.view.lane, self.view.call, direction) {
            HeaderValue::Known(name) => json.string(&String::from_utf8_lossy(&name)),
            HeaderValue::Absent | HeaderValue::Unknown => json.null(),
        }
    }

    fn write_messages(&self, json: &mut Writer<'_>, direction: Direction) {
        json.key("messages").begin_array();
        for message in self.view.call.messages(direction) {
            self.write_message(json, message);
        }
        json.end_array();
    }

    fn write_message(&self, json: &mut Writer<'_>, message: &Message) {
        let Self { view, describer, .. } = self;
        let body = describer.body(view.lane, view.call, message);
        json.begin_object();
        json.key("at_ns");
        self.at(json, Some(message.at));
        json.key("packet").unsigned(message.packet.into());
        json.key("length").unsigned(message.length.into());
        json.key("compressed").bool(message.flags.has(MessageFlags::COMPRESSED));
        if let Some(inflated) = &body.inflated {
            json.key("decompressed_length").unsigned(inflated.len() as u64);
        }
        if message.flags.has(MessageFlags::LATE) {
            json.key("late").bool(true);
        }
        let ty = view.meaning.message(message.direction);
        json.key("type");
        optional(json, ty.map(|ty| &*describer.schema[ty].name));
        let trees = self.with_trees.then(|| describer.trees(&body, ty)).flatten();
        let notes = match describer.shown(body, ty) {
            Shown::Typed { json: text, unknown, notes } => {
                json.key("body").raw(&text);
                if let Some(unknown) = unknown {
                    json.key("unknown").raw(&unknown);
                }
                from_spans(notes)
            }
            Shown::Json(text) => {
                json.key("body").raw(&text);
                Vec::new()
            }
            Shown::Raw { json: text, notes } => {
                json.key("raw").raw(&text);
                from_spans(notes)
            }
            Shown::Bytes { bytes, why } => {
                json.key("bytes").base64(&bytes);
                vec![why]
            }
        };
        if let Some((view, nodes)) = trees {
            json.key("tree").begin_array();
            let mut text = Vec::new();
            for node in nodes {
                text.clear();
                node.write_json(view, &mut text);
                json.raw(&text);
            }
            json.end_array();
        }
        let guessed = message.flags.has(MessageFlags::GUESSED).then(|| {
            Note::new(
                Severity::Info,
                "alignment-guessed",
                "that the message begins here is a guess: bytes before it are missing",
            )
        });
        if !notes.is_empty() || guessed.is_some() {
            json.key("notes");
            let notes: Vec<Note> = notes.into_iter().chain(guessed).collect();
            write_notes(json, &notes);
        }
        json.end_object();
    }

    fn write_resets(&self, json: &mut Writer<'_>) {
        json.key("resets").begin_array();
        for reset in self.view.call.resets() {
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
        let Some(rare) = &self.view.call.rare else { return };
        if rare.late_trailers.is_none() && rare.late_status.is_none() {
            return;
        }
        json.key("late").begin_object();
        if let Some(list) = rare.late_trailers {
            if let HeaderValue::Known(code) = self.view.lane.headers[list].facts.grpc_status {
                json.key("status");
                self.write_status(json, &grpc_status(self.view.lane, list, code));
            }
            json.key("trailers");
            self.write_metadata(json, Some(list));
        } else if let Some(status) = &rare.late_status {
            json.key("status");
            self.write_status(json, &ttrpc_status(status));
            json.key("trailers").begin_array();
            json.end_array();
        }
        json.end_object();
    }

    fn at(&self, json: &mut Writer<'_>, at: Option<Timestamp>) {
        nanos(json, at.map(|at| at.nanos_since(self.view.call.start)));
    }

    fn notes(&self) -> Vec<Note> {
        notes_of(self.view)
    }
}

/// A call's notes, and those that follow from what is kept of it.
pub(super) fn notes_of(view: &CallView<'_>) -> Vec<Note> {
    let call: &Call = view.call;
    let mut notes = call.notes().to_vec();
    for (list, what) in [
        (call.request_headers, "the request"),
        (call.response_headers, "the response"),
        (call.trailers, "the trailers"),
    ] {
        // What is unknown of a ttrpc Request has a note of its own.
        let Some(list) = list.filter(|_| call.protocol != Protocol::Ttrpc) else { continue };
        let fields = view.lane.headers.fields(list);
        let unknown = fields.filter(|field| !field.name.is_known() || !field.value.is_known()).count();
        if unknown > 0 {
            let text = format!("{unknown} header fields of {what} refer to entries that are not in the capture");
            notes.push(Note::new(Severity::Info, "hpack-unknown", text));
        }
    }
    if let Some(status) = view.status.as_ref().filter(|status| Status::known_name(status.code).is_none()) {
        let text = format!("status {} is none that gRPC defines", status.code.0);
        notes.push(Note::new(Severity::Warning, "status-unknown", text));
    }
    if let Some(dropped) = call.rare.as_ref().map(|rare| rare.notes_dropped).filter(|&dropped| dropped > 0) {
        notes.push(Note::new(Severity::Info, "more-notes", format!("{dropped} more notes")));
    }
    notes
}

fn from_spans(notes: Vec<SpanNote>) -> Vec<Note> {
    notes.into_iter().map(Note::from).collect()
}

/// Appends notes as a JSON array.
pub(super) fn write_notes(json: &mut Writer<'_>, notes: &[Note]) {
    json.begin_array();
    for note in notes {
        json.begin_object();
        json.key("severity").string(note.severity.name());
        json.key("kind").string(note.kind);
        json.key("text").string(&note.text);
        if let Some(packet) = note.packet {
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
pub(super) fn rfc3339(time: Timestamp) -> String {
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
