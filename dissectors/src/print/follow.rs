//! A call as a conversation, as text and as JSON.
//!
//! ```text
//! #5  acme.shop.v1.Orders/Chat   OK
//!   127.0.0.1:58292 → 127.0.0.1:50051   c0 stream 7   bidi_streaming   took 83.0 ms   ↑ 8 messages 110 B   ↓ 11 messages 232 B
//!         At       Gap
//!       0 µs            ↑ headers    tenant: t1
//!     402 µs   +402 µs  ↑ message 1  ChatMessage 14 B  {"text":"hello"}
//!    10.7 ms  +10.3 ms        ↓ message 1  ChatMessage 20 B  {"text":"welcome"}
//! ```

use rpcshark_captures::{Direction, Timestamp};

use super::call_json::write_notes;
use super::headers::{field_text, write_fields};
use super::line::{Line, Tone};
use super::message::{trees, write_content};
use super::text::size_text;
use super::{Escaped, Printer, Times, method_text, status_text, tree};
use crate::conversation::{Change, ChangeKind, Event, EventKind, Snapshot, events};
use crate::http2::ErrorCode;
use crate::json::{Drain, Writer};
use crate::protobuf::tree::Node;
use crate::protobuf::{JsonPrinter, raw};
use crate::store::End;
use crate::view::{Body, CallView, Kind, MessageView, Outcome, Scratch, as_json};

/// How a conversation is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct FollowOptions<'t> {
    /// How times are shown: by default as the time since the call began.
    pub times: Option<&'t Times>,
    /// Messages as trees instead of a line of JSON.
    pub trees: bool,
    /// Messages as differences from the one before them in their direction.
    pub diff: bool,
    /// Only what went this way.
    pub only: Option<Direction>,
    /// Columns of the terminal, if lines are to fit one.
    pub width: Option<usize>,
}

/// Bytes of a message's text where nothing limits it.
const MAX_TEXT: usize = 1 << 16;

/// Changes that are shown of one message.
const MAX_CHANGES: usize = 100;

/// Columns of a time.
const TIME: usize = 9;

/// Where what happens begins.
const INDENT: usize = 2 + TIME + 2 + TIME + 2;

impl<'a> Printer<'a> {
    /// Gives the lines of a conversation to `line`, one by one.
    ///
    /// # Errors
    ///
    /// Those of `line`, which end it.
    pub fn follow_lines<E>(
        &self,
        call: &CallView<'a>,
        options: FollowOptions<'_>,
        line: &mut dyn FnMut(Line) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut heading = Line::new(Tone::Heading, format!("#{}  {}   ", call.no(), method_text(call)));
        heading.push(outcome_tone(call), status_text(call));
        line(heading.cut(options.width))?;
        line(self.facts(call).cut(options.width))?;
        let (at, width) = (options.times.map_or("At", Times::heading), self.at_width(options));
        line(Line::new(Tone::Heading, format!("  {at:>width$}  {:>TIME$}", "Gap")))?;
        let mut follow =
            Follow { printer: *self, call, options, before: None, last: [None, None], scratch: Scratch::default() };
        for event in events(call).filter(|event| options.only.is_none_or(|only| only == event.direction)) {
            for text in follow.event(&event) {
                line(text.cut(options.width))?;
            }
        }
        if call.outcome() == Some(Outcome::Open) {
            let indent = INDENT - TIME + self.at_width(options);
            line(Line::new(Tone::Doubt, format!("{:indent$}~ open: the capture ends before the call does", "")))?;
        }
        for note in call.notes() {
            let at = note
                .packet
                .map(|packet| format!("packet {}: ", self.packet_text(packet, Some(call.first_packet()))))
                .unwrap_or_default();
            line(Line::new(Tone::Doubt, format!("! {at}{}", Escaped(note.text.as_bytes()))).cut(options.width))?;
        }
        Ok(())
    }

    /// Columns of the times.
    fn at_width(&self, options: FollowOptions<'_>) -> usize {
        options.times.map_or(TIME, |times| times.width(self.decimals))
    }

    fn facts(&self, call: &CallView<'a>) -> Line {
        let mut line = Line::plain(format!(
            "  {} → {}   c{} stream {}",
            self.end_text(call.client()),
            self.end_text(call.server()),
            call.connection().number(),
            call.stream(),
        ));
        let mut fact = |text: String| line.push(Tone::Plain, format!("   {text}"));
        fact(call.kind().map_or("kind unknown", Kind::name).to_owned());
        if let Some(nanos) = call.duration_ns() {
            fact(format!("took {}", self.duration(nanos)));
        }
        for (arrow, direction) in [('↑', Direction::ToServer), ('↓', Direction::ToClient)] {
            let (count, bytes) = call
                .messages(direction)
                .fold((0_u64, 0_u64), |(count, bytes), message| (count + 1, bytes + u64::from(message.length())));
            fact(format!("{arrow} {} {}", super::problems::counted(count, "message"), size_text(bytes)));
        }
        line
    }

    /// Appends a conversation as lines of JSON, each with its newline. `drain` empties `out` meanwhile.
    pub fn write_follow_json(
        &self,
        call: &CallView<'a>,
        options: FollowOptions<'_>,
        out: &mut Vec<u8>,
        drain: Drain<'_>,
    ) {
        let mut follow =
            Follow { printer: *self, call, options, before: None, last: [None, None], scratch: Scratch::default() };
        for event in events(call).filter(|event| options.only.is_none_or(|only| only == event.direction)) {
            follow.write_json(&event, out, drain);
            out.push(b'\n');
            crate::json::checkpoint(out, drain);
        }
    }
}

fn outcome_tone(call: &CallView<'_>) -> Tone {
    match call.outcome() {
        Some(Outcome::Ok) => Tone::Good,
        Some(Outcome::Error | Outcome::Reset) => Tone::Bad,
        _ => Tone::Doubt,
    }
}

struct Follow<'c, 'a> {
    printer: Printer<'a>,
    call: &'c CallView<'a>,
    options: FollowOptions<'c>,
    /// When the event before was.
    before: Option<Timestamp>,
    /// The message before of each direction: its number and its fields.
    last: [Option<(u64, Snapshot)>; 2],
    scratch: Scratch,
}

impl<'a> Follow<'_, 'a> {
    /// Nanoseconds since the call began and since the event before.
    fn times(&mut self, at: Option<Timestamp>) -> (Option<i64>, Option<i64>) {
        let Some(at) = at else { return (None, None) };
        let gap = self.before.replace(at).map(|before| at.nanos_since(before));
        (self.call.since_start(at), gap)
    }

    fn event(&mut self, event: &Event<'a>) -> Vec<Line> {
        let before = self.before;
        let (since, gap) = self.times(event.at);
        let since = match (self.options.times, event.at) {
            (Some(times), Some(at)) => times.text(at, before, self.printer.decimals),
            (Some(_), None) => String::new(),
            (None, _) => since.map(|nanos| self.printer.duration(nanos)).unwrap_or_default(),
        };
        let width = self.printer.at_width(self.options);
        let gap = gap.map(|nanos| match nanos {
            0 => String::new(),
            _ => format!("{}{}", if nanos > 0 { "+" } else { "" }, self.printer.duration(nanos)),
        });
        let mut line = Line::plain(format!("  {since:>width$}  "));
        line.push(Tone::Faint, format!("{:>TIME$}  ", gap.unwrap_or_default()));
        let (arrow, tone) = match event.direction {
            Direction::ToServer => ("↑ ", Tone::Up),
            // The server's side stands further to the right.
            Direction::ToClient => ("      ↓ ", Tone::Down),
        };
        let mut below = Vec::new();
        match event.kind {
            EventKind::Headers(headers) => {
                line.push(tone, format!("{arrow}headers"));
                push_fields(&mut line, headers.metadata().map(field_text));
            }
            EventKind::Message { no, message } => self.message(&mut line, &mut below, (arrow, tone), no, message),
            EventKind::HalfClose => line.push(tone, format!("{arrow}end")),
            EventKind::Trailers(headers) => {
                line.push(tone, format!("{arrow}trailers"));
                if event.direction == Direction::ToClient {
                    line.push(Tone::Plain, "  ");
                    line.push(outcome_tone(self.call), status_text(self.call));
                }
                push_fields(&mut line, headers.metadata().map(field_text));
            }
            EventKind::Reset(reset) => {
                line.push(tone, format!("{arrow}RST_STREAM"));
                line.push(Tone::Bad, format!(" {}", ErrorCode(reset.code).name()));
            }
            EventKind::End(end) => {
                let what = match end {
                    End::Response => "response",
                    End::Goaway => "GOAWAY",
                    End::Connection => "end of the connection",
                    End::Gap => "end in a gap",
                    End::Trailers | End::Data | End::Reset => "end",
                };
                line.push(tone, format!("{arrow}{what}  "));
                line.push(outcome_tone(self.call), status_text(self.call));
            }
        }
        below.insert(0, line);
        below
    }

    fn message(
        &mut self,
        line: &mut Line,
        below: &mut Vec<Line>,
        (arrow, tone): (&str, Tone),
        no: u64,
        message: MessageView<'a>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let body = message.body(&mut scratch);
        line.push(tone, format!("{arrow}message {no}"));
        let name = message.type_name().value().map(|name| name.rsplit('.').next().unwrap_or(name));
        line.push(
            Tone::Plain,
            format!(
                "  {}{}",
                name.map(|name| format!("{name} ")).unwrap_or_default(),
                size_text(message.length().into())
            ),
        );
        if let Some(inflated) = body.content().filter(|_| body.is_inflated()) {
            line.push(Tone::Plain, format!(" → {}", size_text(inflated.len() as u64)));
        }
        if message.is_late() {
            line.push(Tone::Doubt, "  late");
        }
        let indent = INDENT - TIME + self.printer.at_width(self.options) + arrow.chars().count() + 2;
        let changes = self.changes(no, message, &body);
        match (body.content(), changes) {
            (None, _) => {
                let why = body.fault().map(|note| Escaped(note.text.as_bytes()).to_string()).unwrap_or_default();
                line.push(Tone::Doubt, format!("  ! {why}"));
            }
            (Some(_), Some((before, changes))) if changes.is_empty() => {
                line.push(Tone::Faint, format!("  = same as message {before}"));
            }
            (Some(_), Some((_, changes))) => {
                below.extend(changes.iter().take(MAX_CHANGES).map(|change| change_line(change, indent)));
                if let Some(more) = changes.len().checked_sub(MAX_CHANGES).filter(|&more| more > 0) {
                    below.push(Line::new(Tone::Faint, format!("{:indent$}and {more} more changes", "")));
                }
            }
            (Some(content), None) => match trees(&body).filter(|_| self.options.trees) {
                Some((_, nodes)) => self.nodes(&nodes, indent, below),
                None => {
                    line.push(Tone::Plain, "  ");
                    line.push(Tone::Plain, self.text(message, &body, content));
                }
            },
        }
        self.scratch = scratch;
    }

    /// A message in one line, as JSON.
    fn text(&self, message: MessageView<'a>, body: &Body<'_>, content: &[u8]) -> String {
        let limit = self.options.width.map_or(MAX_TEXT, |width| width * 4);
        let mut text = Vec::new();
        let mut kept = Vec::new();
        let mut keep = |text: &mut Vec<u8>| {
            let room = limit.saturating_sub(kept.len()).min(text.len());
            kept.extend_from_slice(text.get(..room).unwrap_or_default());
            text.clear();
        };
        match (as_json(content), message.type_ix().value()) {
            (Some(json), _) => text.extend_from_slice(json),
            (None, Some(ix)) => {
                let mut printer = JsonPrinter::new().hiding(body.hides_marked_fields());
                printer.print_draining(message.schema(), ix, content, &mut text, &mut keep);
            }
            (None, None) => drop(raw::write_json_draining(content, &mut text, &mut keep)),
        }
        keep(&mut text);
        let cut = if kept.len() >= limit { "…" } else { "" };
        format!("{}{cut}", Escaped(&kept))
    }

    fn nodes(&self, nodes: &[Node<'_>], indent: usize, lines: &mut Vec<Line>) {
        for node in nodes {
            let name = tree::name(node);
            let name = match (&*name, node.number) {
                ("", Some(number)) => format!("#{number}"),
                ("", None) => "?".to_owned(),
                (name, _) => name.to_owned(),
            };
            let mut line = Line::plain(format!("{:indent$}{name}", ""));
            if tree::has_value(node) {
                line.push(Tone::Plain, format!(" = {}", self.value(node)));
            }
            line.push(Tone::Faint, format!("   {}", node.type_name));
            lines.push(line);
            self.nodes(&node.children, indent + 2, lines);
        }
    }

    fn value(&self, node: &Node<'_>) -> String {
        let mut text = Vec::new();
        tree::write_value_text(
            self.printer.viewer.schema,
            node,
            tree::ValueLayout::LINE,
            &mut text,
            &mut crate::json::keep,
        );
        String::from_utf8_lossy(&text).into_owned()
    }

    /// With --diff: the number of the message before in its direction, and what is different in this one.
    fn changes(&mut self, no: u64, message: MessageView<'a>, body: &Body<'_>) -> Option<(u64, Vec<Change>)> {
        if !self.options.diff {
            return None;
        }
        let content = body.content()?;
        let snapshot = match trees(body) {
            Some((_, nodes)) => Snapshot::of(&nodes, &mut |node| self.value(node)),
            None => Snapshot::of_text(Escaped(content).to_string()),
        };
        let slot = self.last.get_mut(message.direction().index())?;
        let changes = slot.as_ref().map(|(before, old)| (*before, snapshot.changes_since(old)));
        *slot = Some((no, snapshot));
        changes
    }

    fn write_json(&mut self, event: &Event<'a>, out: &mut Vec<u8>, drain: Drain<'_>) {
        let (since, gap) = self.times(event.at);
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("call").unsigned(self.call.no().into());
        json.key("event").string(event.kind.name());
        let direction = if event.direction == Direction::ToServer { "to_server" } else { "to_client" };
        json.key("direction").string(direction);
        for (key, nanos) in [("at_ns", since), ("gap_ns", gap)] {
            json.key(key);
            match nanos {
                Some(nanos) => json.signed(nanos),
                None => json.null(),
            }
        }
        match event.kind {
            EventKind::Headers(headers) => write_fields(json.key("metadata"), headers.metadata()),
            EventKind::Trailers(headers) => {
                write_fields(json.key("trailers"), headers.metadata());
                if event.direction == Direction::ToClient {
                    self.write_status(&mut json);
                }
            }
            EventKind::Message { no, message } => self.write_message(&mut json, no, message, drain),
            EventKind::HalfClose => {}
            EventKind::Reset(reset) => {
                json.key("error").begin_object();
                json.key("code").unsigned(reset.code.into());
                json.key("name").string(&ErrorCode(reset.code).name());
                json.end_object();
            }
            EventKind::End(end) => {
                json.key("end").string(end.name());
                self.write_status(&mut json);
            }
        }
        json.end_object();
    }

    fn write_status(&self, json: &mut Writer<'_>) {
        json.key("outcome");
        match self.call.outcome() {
            Some(outcome) => json.string(outcome.name()),
            None => json.null(),
        }
        if let Some(status) = self.call.status() {
            json.key("status").begin_object();
            json.key("code").unsigned(status.code.0.into());
            json.key("name").string(&status.code.name());
            json.key("message").string(&status.message);
            json.end_object();
        }
    }

    fn write_message(&mut self, json: &mut Writer<'_>, no: u64, message: MessageView<'a>, drain: Drain<'_>) {
        json.key("no").unsigned(no);
        if let Some(file) = self.printer.other_file(message.packet(), None) {
            json.key("file").string(file);
        }
        json.key("packet").unsigned(message.packet().number());
        json.key("length").unsigned(message.length().into());
        json.key("compressed").bool(message.is_compressed());
        if message.is_late() {
            json.key("late").bool(true);
        }
        json.key("type");
        match message.type_name().value() {
            Some(name) => json.string(name),
            None => json.null(),
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let body = message.body(&mut scratch);
        let changes = self.changes(no, message, &body);
        let notes = match (body.content(), changes) {
            (None, _) => body.fault().cloned().into_iter().collect(),
            (Some(content), None) => write_content(json, message, &body, content, drain),
            (Some(_), Some((before, changes))) => {
                json.key("compared_with").unsigned(before);
                json.key("changes").begin_array();
                changes.iter().for_each(|change| write_change(change, json));
                json.end_array();
                Vec::new()
            }
        };
        json.key("notes");
        write_notes(json, &notes, &self.printer, None);
        self.scratch = scratch;
    }
}

fn push_fields(line: &mut Line, fields: impl Iterator<Item = String>) {
    for field in fields {
        line.push(Tone::Plain, format!("  {field}"));
    }
}

fn change_line(change: &Change, indent: usize) -> Line {
    let path = Escaped(change.path.as_bytes());
    match &change.kind {
        ChangeKind::Added(value) => Line::new(Tone::Good, format!("{:indent$}+ {path}: {value}", "")),
        ChangeKind::Removed(value) => Line::new(Tone::Bad, format!("{:indent$}- {path}: {value}", "")),
        ChangeKind::Changed { old, new } => Line::new(Tone::Doubt, format!("{:indent$}~ {path}: {old} → {new}", "")),
    }
}

fn write_change(change: &Change, json: &mut Writer<'_>) {
    let (kind, old, new) = match &change.kind {
        ChangeKind::Added(new) => ("added", None, Some(new)),
        ChangeKind::Removed(old) => ("removed", Some(old), None),
        ChangeKind::Changed { old, new } => ("changed", Some(old), Some(new)),
    };
    json.begin_object();
    json.key("path").string(&change.path);
    json.key("change").string(kind);
    for (key, value) in [("old", old), ("new", new)] {
        if let Some(value) = value {
            json.key(key).string(value);
        }
    }
    json.end_object();
}
