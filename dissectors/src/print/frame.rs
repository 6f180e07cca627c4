//! A frame as a line of JSON or of text.

use std::fmt::Write as _;
use std::io::Write as _;

use rpcshark_captures::{Direction, Timestamp};

use super::call_json::{rfc3339, write_notes};
use super::headers::{field_text, write_hidden_or_value, write_name};
use super::text::Escaped;
use super::{Describer, Times};
use crate::http2::payload::{Parsed, Payload};
use crate::http2::{Flags, FrameHeader, FrameType, payload};
use crate::json::{Writer, write_bytes_lossy};
use crate::store::{Frame, FrameRef, Framing, Lane};
use crate::ttrpc;

/// The line above the frames.
pub fn frames_heading(times: &Times) -> String {
    format!(
        "{:>7} {:>7} {:>width$} {:<6} {:>6}   {:<14} {:>8} {:<22} {:>5} Info\n",
        "No",
        "Packet",
        "Time",
        "Conn",
        "Stream",
        "Type",
        "Length",
        "Flags",
        "Call",
        width = times.width()
    )
}

impl Describer<'_> {
    /// Appends a frame as one line of JSON, with its newline.
    pub fn write_frame_json(&self, at: &FrameRef, out: &mut Vec<u8>) {
        let lane = self.store.lane(at.lane);
        let frame = &at.frame;
        let names = Names::of(frame);
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("no").unsigned(at.no);
        json.key("packet").unsigned(frame.packet.number());
        json.key("time").string(&rfc3339(frame.time));
        json.key("connection").unsigned(lane.connection(frame.connection).number().unwrap_or(0).into());
        json.key("direction").string(match frame.direction {
            Direction::ToServer => "to_server",
            Direction::ToClient => "to_client",
        });
        json.key("protocol").string(frame.protocol.name());
        if let Some(trunk) = frame.trunk {
            json.key("trunk").unsigned(trunk.into());
        }
        json.key("stream").unsigned(frame.stream.into());
        json.key("type").string(&names.kind);
        json.key("type_code").unsigned(frame.kind.into());
        json.key("length").unsigned(frame.length.into());
        json.key("flags").begin_array();
        names.flags.iter().for_each(|flag| json.string(flag));
        json.end_array();
        json.key("flags_code").unsigned(frame.flags.into());
        json.key("call");
        match frame.call.and_then(|id| lane.call(id).no) {
            Some(no) => json.unsigned(no.get().into()),
            None => json.null(),
        }
        self.write_headers(&mut json, lane, frame);
        match frame.protocol {
            Framing::Http2 => write_payload(&mut json, frame),
            Framing::Ttrpc if !frame.payload.is_empty() => json.key("payload").string(&hex(&frame.payload)),
            Framing::Ttrpc => {}
        }
        json.key("notes");
        write_notes(&mut json, &frame.notes);
        json.end_object();
        out.push(b'\n');
    }

    fn write_headers(&self, json: &mut Writer<'_>, lane: &Lane, frame: &Frame) {
        let Some(list) = frame.headers else { return };
        json.key("headers").begin_array();
        for field in lane.headers.fields(list) {
            json.begin_object();
            write_name(json, field);
            write_hidden_or_value(json, field, self.secrets);
            json.key("coded").string(field.coded.name());
            json.key("huffman").bool(field.name_huffman || field.value_huffman);
            if let Some(index) = field.index {
                json.key("index").unsigned(index.into());
            }
            json.end_object();
        }
        json.end_array();
    }

    /// Appends a frame as one line; `before` is the time of the line before.
    pub fn write_frame_text(&self, at: &FrameRef, times: &Times, before: Option<Timestamp>, out: &mut Vec<u8>) {
        let lane = self.store.lane(at.lane);
        let frame = &at.frame;
        let names = Names::of(frame);
        let way = match frame.direction {
            Direction::ToServer => '↑',
            Direction::ToClient => '↓',
        };
        let call = frame.call.and_then(|id| lane.call(id).no).map(|no| no.to_string()).unwrap_or_default();
        // Writing to a vector cannot fail.
        let _ = writeln!(
            out,
            "{no:>7} {packet:>7} {time:>width$} c{conn:<5} {stream:>6} {way} {kind:<14} {length:>8} {flags:<22} {call:>5} {info}",
            no = at.no,
            packet = frame.packet.number(),
            time = times.text(frame.time, before),
            width = times.width(),
            conn = lane.connection(frame.connection).number().unwrap_or(0),
            stream = frame.stream,
            kind = names.kind,
            length = frame.length,
            flags = names.flags.join(","),
            info = self.info(lane, frame),
        );
    }

    fn info(&self, lane: &Lane, frame: &Frame) -> String {
        let mut info = match frame.headers {
            Some(list) => {
                let fields = lane.headers.fields(list).map(|field| field_text(field, self.secrets));
                fields.collect::<Vec<_>>().join("  ")
            }
            None if frame.protocol == Framing::Http2 => payload_text(frame),
            None => String::new(),
        };
        for note in &frame.notes {
            let _ = write!(info, "  ! {}", note.text);
        }
        info
    }
}

/// What a frame's type and flags are called.
struct Names {
    kind: String,
    flags: Vec<String>,
}

impl Names {
    fn of(frame: &Frame) -> Self {
        match frame.protocol {
            Framing::Http2 => {
                let kind = FrameType(frame.kind);
                let flags = Flags(frame.flags).names(kind);
                Self { kind: kind.name().into_owned(), flags: flags.iter().map(ToString::to_string).collect() }
            }
            Framing::Ttrpc => {
                let flags = ttrpc::Flags(frame.flags).names();
                Self {
                    kind: ttrpc::FrameType(frame.kind).name().into_owned(),
                    flags: flags.iter().map(ToString::to_string).collect(),
                }
            }
        }
    }
}

fn parsed(frame: &Frame) -> Parsed<'_> {
    let header = FrameHeader {
        length: frame.length,
        kind: FrameType(frame.kind),
        flags: Flags(frame.flags),
        stream: frame.stream,
        reserved: false,
    };
    payload::parse(header, &frame.payload)
}

/// Whether the frame's payload is kept with it.
fn is_kept(frame: &Frame) -> bool {
    !frame.payload.is_empty() && frame.payload.len() == frame.length as usize
}

fn write_payload(json: &mut Writer<'_>, frame: &Frame) {
    if let Some(padding) = frame.padding {
        json.key("padding").unsigned(padding.into());
    }
    if let Some(priority) = frame.priority {
        write_priority(json, priority);
    }
    if let Some(promised) = frame.promised {
        json.key("promised_stream").unsigned(promised.into());
    }
    if FrameType(frame.kind) == FrameType::SETTINGS && frame.length == 0 {
        json.key("settings").begin_array();
        json.end_array();
    }
    if !is_kept(frame) {
        return;
    }
    match parsed(frame).payload {
        Payload::Settings(settings) => {
            json.key("settings").begin_array();
            for setting in settings.iter() {
                json.begin_object();
                json.key("name").string(&setting.id.name());
                json.key("id").unsigned(setting.id.0.into());
                json.key("value").unsigned(setting.value.into());
                json.end_object();
            }
            json.end_array();
        }
        Payload::RstStream(error) => write_error(json, error),
        Payload::GoAway { last_stream, error, debug } => {
            write_error(json, error);
            json.key("last_stream").unsigned(last_stream.into());
            json.key("debug");
            write_bytes_lossy(json.value(), debug);
        }
        Payload::WindowUpdate { increment } => json.key("increment").unsigned(increment.into()),
        Payload::Ping(opaque) => json.key("opaque").string(&hex(&opaque)),
        Payload::Priority(priority) => write_priority(json, priority),
        Payload::AltSvc { origin, value } => {
            json.key("origin");
            write_bytes_lossy(json.value(), origin);
            json.key("alt_svc");
            write_bytes_lossy(json.value(), value);
        }
        Payload::Origin(origins) => {
            json.key("origins").begin_array();
            for origin in origins.iter() {
                write_bytes_lossy(json.value(), origin);
            }
            json.end_array();
        }
        Payload::PriorityUpdate { prioritized, value } => {
            json.key("prioritized_stream").unsigned(prioritized.into());
            json.key("priority_value");
            write_bytes_lossy(json.value(), value);
        }
        Payload::Unknown(bytes) | Payload::Malformed(bytes) => json.key("payload").string(&hex(bytes)),
        _ => {}
    }
}

fn write_error(json: &mut Writer<'_>, error: crate::http2::ErrorCode) {
    json.key("error").begin_object();
    json.key("code").unsigned(error.0.into());
    json.key("name").string(&error.name());
    json.end_object();
}

fn write_priority(json: &mut Writer<'_>, priority: payload::Priority) {
    json.key("priority").begin_object();
    json.key("exclusive").bool(priority.exclusive);
    json.key("depends_on").unsigned(priority.depends_on.into());
    json.key("weight").unsigned(priority.weight.into());
    json.end_object();
}

fn payload_text(frame: &Frame) -> String {
    if !is_kept(frame) {
        return String::new();
    }
    match parsed(frame).payload {
        Payload::Settings(settings) => {
            let settings = settings.iter().map(|setting| format!("{}={}", setting.id.name(), setting.value));
            settings.collect::<Vec<_>>().join(" ")
        }
        Payload::RstStream(error) => error.name().into_owned(),
        Payload::GoAway { last_stream, error, debug } => {
            format!("last stream {last_stream}  {}  {}", error.name(), Escaped(debug))
        }
        Payload::WindowUpdate { increment } => format!("+{increment}"),
        Payload::Ping(opaque) => hex(&opaque),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
