//! A frame as a line of JSON or of text.

use std::fmt::Write as _;
use std::io::Write as _;

use rpcshark_captures::{Direction, Timestamp};
use unicode_width::UnicodeWidthStr;

use super::call_json::{optional, rfc3339, write_notes};
use super::fit::{self, MIN_WIDTH};
use super::headers::{field_text, write_name, write_value};
use super::{Escaped, Printer, Times};
use crate::http2::FrameType;
use crate::http2::payload::{self, Payload};
use crate::json::{Writer, write_bytes_lossy};
use crate::store::Framing;
use crate::view::FrameView;

/// How the lines of frames are laid out.
#[derive(Clone, Debug)]
pub struct FrameColumns {
    times: Times,
    decimals: u8,
    time: usize,
    has_packet: bool,
    /// Characters of the names of files; 0 where there is only one file.
    file: usize,
    has_connection: bool,
    has_flags: bool,
    has_call: bool,
    /// Columns of the terminal, if lines have to fit.
    width: Option<usize>,
}

/// Columns of a terminal from which on there is room for the names of files.
const WIDE: usize = 120;

/// Columns of a file's name; of longer ones the end is shown.
const MAX_FILE: usize = 24;

impl FrameColumns {
    /// Columns for times in this form, of which the capture has `decimals` decimals of a second. Lines of at most `width`
    /// columns, of a terminal, leave out what matters least; without a `width` they are whole.
    pub fn new(times: Times, decimals: u8, width: Option<usize>) -> Self {
        let time = times.width(decimals);
        let width = width.map(|width| width.max(MIN_WIDTH));
        // What the columns leave that are always there.
        let mut left = width.map_or(usize::MAX, |width| width.saturating_sub(time + 42));
        let mut fits = |column: usize, rest: usize| {
            let fits = left >= column + rest;
            left -= if fits { column } else { 0 };
            fits
        };
        Self {
            has_connection: fits(7, 16),
            has_call: fits(6, 14),
            has_flags: fits(23, 20),
            has_packet: fits(8, 20),
            file: 0,
            times,
            decimals,
            time,
            width,
        }
    }

    /// The same with the file of each packet, if several files are read together and there is room.
    #[must_use]
    pub fn naming_files(mut self, files: &[String]) -> Self {
        if self.has_packet && files.len() > 1 && self.width.is_none_or(|width| width >= WIDE) {
            let longest = files.iter().map(|file| file.width()).max().unwrap_or(0);
            self.file = longest.clamp("File".len(), MAX_FILE);
        }
        self
    }

    /// The line above the frames.
    pub fn heading(&self) -> String {
        let mut line = format!("{:>7}", "No");
        let mut column = |text: String, shown: bool| line += if shown { &text } else { "" };
        column(format!(" {:>7}", "Packet"), self.has_packet);
        column(format!(" {:<width$}", "File", width = self.file), self.file > 0);
        column(format!(" {:>width$}", self.times.heading(), width = self.time), true);
        column(format!(" {:<6}", "Conn"), self.has_connection);
        column(format!(" {:>6}   {:<14} {:>8}", "Stream", "Type", "Length"), true);
        column(format!(" {:<22}", "Flags"), self.has_flags);
        column(format!(" {:>5}", "Call"), self.has_call);
        column(" Info\n".to_owned(), true);
        line
    }
}

impl Printer<'_> {
    /// Appends a frame as one line of JSON, with its newline.
    pub fn write_frame_json(&self, frame: FrameView<'_>, out: &mut Vec<u8>) {
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("no");
        match frame.no() {
            Some(no) => json.unsigned(no),
            None => json.null(),
        }
        if let Some(file) = self.other_file(frame.packet(), None) {
            json.key("file").string(file);
        }
        json.key("packet").unsigned(frame.packet().number());
        json.key("time");
        optional(&mut json, frame.time().map(rfc3339).as_deref());
        json.key("connection").unsigned(frame.connection().into());
        json.key("direction").string(match frame.direction() {
            Direction::ToServer => "to_server",
            Direction::ToClient => "to_client",
        });
        json.key("protocol").string(frame.framing().name());
        if let Some(trunk) = frame.trunk() {
            json.key("trunk").unsigned(trunk.into());
        }
        json.key("stream").unsigned(frame.stream().into());
        json.key("type").string(&frame.type_name());
        json.key("type_code").unsigned(frame.type_code().into());
        json.key("length").unsigned(frame.length().into());
        json.key("flags").begin_array();
        frame.flag_names().iter().for_each(|flag| json.string(flag));
        json.end_array();
        json.key("flags_code").unsigned(frame.flags_code().into());
        json.key("call");
        match frame.call_no() {
            Some(no) => json.unsigned(no.into()),
            None => json.null(),
        }
        write_headers(&mut json, frame);
        match frame.framing() {
            Framing::Http2 => write_payload(&mut json, frame),
            Framing::Ttrpc if !frame.payload_bytes().is_empty() => {
                json.key("payload").string(&hex(frame.payload_bytes()));
            }
            Framing::Ttrpc => {}
        }
        json.key("notes");
        write_notes(&mut json, frame.notes(), self, Some(frame.packet()));
        json.end_object();
        out.push(b'\n');
    }

    /// Appends a frame as one line; `before` is the time of the line before.
    pub fn write_frame_text(
        &self,
        frame: FrameView<'_>,
        columns: &FrameColumns,
        before: Option<Timestamp>,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let arrow = match frame.direction() {
            Direction::ToServer => '↑',
            Direction::ToClient => '↓',
        };
        // Writing to a vector cannot fail.
        let no = frame.no().map_or_else(String::new, |no| no.to_string());
        let _ = write!(out, "{no:>7}");
        if columns.has_packet {
            let _ = write!(out, " {:>7}", frame.packet().number());
        }
        if columns.file > 0 {
            let file = Escaped(frame.file().unwrap_or_default().as_bytes()).to_string();
            let file = fit::cut_left(&file, columns.file);
            let _ = write!(out, " {file}{:missing$}", "", missing = columns.file.saturating_sub(file.width()));
        }
        out.push(b' ');
        columns.times.push(frame.time(), before, columns.decimals, columns.time, out);
        if columns.has_connection {
            let _ = write!(out, " c{:<5}", frame.connection());
        }
        let _ = write!(out, " {:>6} {arrow} {:<14} {:>8}", frame.stream(), frame.type_name(), frame.length());
        if columns.has_flags {
            let _ = write!(out, " {:<22}", frame.flag_names().join(","));
        }
        if columns.has_call {
            let call = frame.call_no().map(|no| no.to_string()).unwrap_or_default();
            let _ = write!(out, " {call:>5}");
        }
        let _ = write!(out, " {}", info(frame));
        if let Some(width) = columns.width {
            fit::cut_right(out, start, width);
        }
        out.push(b'\n');
    }
}

fn write_headers(json: &mut Writer<'_>, frame: FrameView<'_>) {
    let Some(headers) = frame.headers() else { return };
    json.key("headers").begin_array();
    for field in headers.fields() {
        json.begin_object();
        write_name(json, field);
        write_value(json, field);
        json.key("coded").string(field.coded().name());
        json.key("huffman").bool(field.is_huffman());
        if let Some(index) = field.index() {
            json.key("index").unsigned(index.into());
        }
        json.end_object();
    }
    json.end_array();
}

fn info(frame: FrameView<'_>) -> String {
    let mut info = match frame.headers() {
        Some(headers) => headers.fields().map(field_text).collect::<Vec<_>>().join("  "),
        None => payload_text(frame),
    };
    for note in frame.notes() {
        let _ = write!(info, "  ! {}", Escaped(note.text.as_bytes()));
    }
    info
}

fn write_payload(json: &mut Writer<'_>, frame: FrameView<'_>) {
    if let Some(padding) = frame.padding() {
        json.key("padding").unsigned(padding.into());
    }
    if let Some(priority) = frame.priority() {
        write_priority(json, priority);
    }
    if let Some(promised) = frame.promised() {
        json.key("promised_stream").unsigned(promised.into());
    }
    if FrameType(frame.type_code()) == FrameType::SETTINGS && frame.length() == 0 {
        json.key("settings").begin_array();
        json.end_array();
    }
    let Some(payload) = frame.payload() else { return };
    match payload {
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

fn payload_text(frame: FrameView<'_>) -> String {
    let Some(payload) = frame.payload() else { return String::new() };
    match payload {
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
