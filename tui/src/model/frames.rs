//! A frame as a row of the list, and in full.

use std::borrow::Cow;
use std::ops::Range;

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::http2::payload::Payload;
use rpcshark_dissectors::http2::{ErrorCode, FrameType};
use rpcshark_dissectors::print::{Times, header_text, size_text};
use rpcshark_dissectors::store::Framing;
use rpcshark_dissectors::view::{CallView, FrameView, HeadersView, MessageView, Scratch};
use rpcshark_dissectors::{Note, Severity};

use super::calls::{quoted, rfc3339};
use super::fields::{Fields, FieldsBuilder, Scope};
use crate::text::{Keep, counted, safe, thousands};
use crate::theme::{Role, Signs, Theme};
use crate::widget::{Align, Cell, Column, Comparison, Gutter, Node, Part, Parts, Row, Width};

/// A row of the list of frames: a frame, or bytes that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// The frame's number; none where only one connection was read, and for missing bytes.
    pub no: Option<u64>,
    /// The number of the packet that completed it; 0 for missing bytes.
    pub packet: u64,
    /// When it was complete, or when the bytes were given up.
    pub time: Option<Timestamp>,
    /// The number of its connection.
    pub connection: u32,
    /// Which way it went.
    pub direction: Direction,
    /// Which protocol's frame it is; none for missing bytes.
    pub framing: Option<Framing>,
    /// Its stream.
    pub stream: u32,
    /// Its type.
    pub kind: String,
    /// The length of its payload; how many bytes are missing, where that is known.
    pub length: Option<u64>,
    /// Its flags, in short.
    pub flags: String,
    /// Its flags, as on the wire.
    pub flags_code: u8,
    /// The number of its call.
    pub call: Option<u32>,
    /// What it carries.
    pub info: String,
    /// Something is wrong with it.
    pub problem: bool,
    /// There are notes on it.
    pub noted: bool,
}

/// Bytes that are missing, as a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// The number of the connection.
    pub connection: u32,
    /// Of which direction.
    pub direction: Direction,
    /// When they were given up.
    pub time: Option<Timestamp>,
    /// How many, where that is known.
    pub length: Option<u64>,
}

/// Whether a frame is one that `e` goes to: something is wrong with it, or it says that something is.
pub fn is_problem(frame: FrameView<'_>) -> bool {
    frame.notes().iter().any(|note| note.severity >= Severity::Warning)
        || match frame.payload() {
            Some(Payload::RstStream(_)) => true,
            Some(Payload::GoAway { error, .. }) => error != ErrorCode::NO_ERROR,
            _ => false,
        }
}

/// Makes the row of a frame. `call`: its call, as far as it is known.
pub fn frame_row(frame: FrameView<'_>, call: Option<&CallView<'_>>) -> FrameRow {
    FrameRow {
        no: frame.no(),
        packet: frame.packet().number(),
        time: frame.time(),
        connection: frame.connection(),
        direction: frame.direction(),
        framing: Some(frame.framing()),
        stream: frame.stream(),
        kind: safe(frame.type_name().as_bytes()),
        length: Some(frame.length().into()),
        flags: flags_text(frame),
        flags_code: frame.flags_code(),
        call: frame.call_no(),
        info: info(frame, call),
        problem: is_problem(frame),
        noted: !frame.notes().is_empty(),
    }
}

/// Makes the row of missing bytes.
pub fn gap_row(gap: GapRow) -> FrameRow {
    FrameRow {
        no: None,
        packet: 0,
        time: gap.time,
        connection: gap.connection,
        direction: gap.direction,
        framing: None,
        stream: 0,
        kind: "gap".to_owned(),
        length: gap.length,
        flags: String::new(),
        flags_code: 0,
        call: None,
        info: "bytes that are not in the capture".to_owned(),
        problem: true,
        noted: true,
    }
}

/// The names of flags as columns show them: `ES EH` for END_STREAM and END_HEADERS.
fn flags_text(frame: FrameView<'_>) -> String {
    let short = |name: &str| match name {
        "END_STREAM" => "ES".to_owned(),
        "END_HEADERS" => "EH".to_owned(),
        "PADDED" => "PAD".to_owned(),
        "PRIORITY" => "PRI".to_owned(),
        "REMOTE_CLOSED" => "closed".to_owned(),
        "REMOTE_OPEN" => "open".to_owned(),
        "NO_DATA" => "empty".to_owned(),
        name => safe(name.as_bytes()),
    };
    frame.flag_names().iter().map(|name| short(name)).collect::<Vec<_>>().join(" ")
}

fn info(frame: FrameView<'_>, call: Option<&CallView<'_>>) -> String {
    let mut info = match (frame.headers(), frame.payload()) {
        (Some(headers), _) => headers_info(headers),
        (None, Some(payload)) => payload_info(&payload),
        (None, None) => message_info(frame, call),
    };
    for note in frame.notes() {
        info.push_str(if info.is_empty() { "! " } else { "  ! " });
        info.push_str(&safe(note.text.as_bytes()));
    }
    info
}

/// The field that says most comes first: the path of a request, the status of a response.
fn headers_info(headers: HeadersView<'_>) -> String {
    let value = |name: &[u8]| headers.value(name).value().map(safe);
    if let (Some(method), Some(path)) = (value(b":method"), value(b":path")) {
        return format!("{method} {}", path.strip_prefix('/').unwrap_or(&path));
    }
    let fields = headers.fields().map(|field| {
        let (name, value) = header_text(field);
        format!("{name}: {value}")
    });
    let mut fields: Vec<String> = fields.take(HEADERS_SHOWN).collect();
    fields.sort_by_key(|field| !(field.starts_with(":status") || field.starts_with("grpc-status")));
    fields.join("  ")
}

/// Header fields in the line of a frame.
const HEADERS_SHOWN: usize = 32;

fn payload_info(payload: &Payload<'_>) -> String {
    match payload {
        Payload::Settings(settings) => {
            let settings =
                settings.iter().map(|setting| format!("{} {}", setting.id.name(), thousands(setting.value.into())));
            settings.collect::<Vec<_>>().join("  ")
        }
        Payload::RstStream(error) => error.name().into_owned(),
        Payload::GoAway { last_stream, error, debug } => {
            format!("last stream {last_stream}  {}  {}", error.name(), safe(debug)).trim_end().to_owned()
        }
        Payload::WindowUpdate { increment } => format!("+{}", thousands((*increment).into())),
        Payload::Ping(opaque) => hex(opaque),
        _ => String::new(),
    }
}

/// The messages that a frame completes.
fn message_info(frame: FrameView<'_>, call: Option<&CallView<'_>>) -> String {
    let (Some(completed), Some(call)) = (frame.messages(), call) else {
        return match frame.call_no() {
            Some(_) if frame.length() > 0 => "part of a message".to_owned(),
            _ => String::new(),
        };
    };
    let first = call.messages(completed.direction).nth(completed.range.start as usize);
    let mut info = first.map(message_text).unwrap_or_default();
    let more = completed.range.len().saturating_sub(1) as u64;
    if more > 0 {
        info.push_str(&format!("  and {} more", counted(more, "message")));
    }
    info
}

fn message_text(message: MessageView<'_>) -> String {
    let name = message.type_name().value().and_then(|name| name.rsplit('.').next()).unwrap_or("message");
    format!("{} {}", safe(name.as_bytes()), size_text(message.length().into()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A column of the list of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameColumn {
    /// Its number.
    No,
    /// The packet that completed it.
    Packet,
    /// When.
    Time,
    /// Its connection.
    Connection,
    /// Its stream and direction.
    Stream,
    /// Its type.
    Type,
    /// The length of its payload.
    Length,
    /// Its flags.
    Flags,
    /// Its call.
    Call,
    /// What it carries.
    Info,
}

impl FrameColumn {
    /// Every column, in the order in which they stand.
    pub const ALL: [Self; 10] = [
        Self::No,
        Self::Packet,
        Self::Time,
        Self::Connection,
        Self::Stream,
        Self::Type,
        Self::Length,
        Self::Flags,
        Self::Call,
        Self::Info,
    ];

    /// How it is laid out; a time takes `time` columns.
    pub fn column(self, time: u16) -> Column {
        let (title, align, width, leaves) = match self {
            Self::No => ("No", Align::Right, Width::Exact(6), 5),
            Self::Packet => ("Packet", Align::Right, Width::Exact(6), 0),
            Self::Time => ("Time", Align::Right, Width::Exact(time), 4),
            Self::Connection => ("Conn", Align::Left, Width::Exact(4), 6),
            Self::Stream => ("Stream  ", Align::Right, Width::Exact(8), 0),
            Self::Type => ("Type", Align::Left, Width::Exact(13), 0),
            Self::Length => ("Length", Align::Right, Width::Exact(7), 2),
            Self::Flags => ("Flags", Align::Left, Width::Exact(6), 3),
            Self::Call => ("Call", Align::Right, Width::Exact(5), 1),
            Self::Info => ("Info", Align::Left, Width::Share { least: 10, weight: 1 }, 0),
        };
        Column { field: String::new(), title: title.to_owned(), align, width, keep: Keep::Start, leaves }
    }

    /// What it shows. `before`: the time of the row above.
    pub fn cell(self, row: &FrameRow, times: &Times, before: Option<Timestamp>, decimals: u8, theme: &Theme) -> Cell {
        let signs = theme.signs;
        let none = || Cell::new(signs.absent, Role::Quiet);
        match self {
            Self::No => row.no.map_or_else(none, |no| Cell::text(no.to_string())),
            Self::Packet if row.packet == 0 => none(),
            Self::Packet => Cell::text(row.packet.to_string()),
            Self::Time => Cell::text(row.time.map_or(String::new(), |time| times.text(time, before, decimals))),
            Self::Connection => Cell::text(format!("c{}", row.connection)),
            Self::Stream => {
                let stream = if row.framing.is_some() { row.stream.to_string() } else { signs.absent.to_owned() };
                let (sign, role) = match row.direction {
                    Direction::ToServer => (signs.up, Role::ToServer),
                    Direction::ToClient => (signs.down, Role::ToClient),
                };
                Cell(vec![Part::text(format!("{stream} ")), Part::new(sign, role)])
            }
            Self::Type => Cell::new(row.kind.clone(), if row.problem { Role::Warning } else { Role::Text }),
            Self::Length => match (row.length, row.framing) {
                (Some(length), _) => Cell::text(thousands(length)),
                (None, _) => Cell::new("?", Role::Warning),
            },
            Self::Flags => Cell::new(row.flags.clone(), Role::Quiet),
            Self::Call => Cell::text(row.call.map_or(String::new(), |no| no.to_string())),
            Self::Info => match row.info.split_once("! ") {
                Some((info, note)) => Cell(vec![Part::text(info), Part::new(format!("! {note}"), Role::Warning)]),
                None => Cell::text(row.info.clone()),
            },
        }
    }

    /// The comparison that selects the frames with the value that it shows.
    pub fn comparison(self, row: &FrameRow) -> Option<Comparison> {
        let framing = row.framing?;
        let (name, stream) = match framing {
            Framing::Http2 => ("http2", "http2.streamid"),
            Framing::Ttrpc => ("ttrpc", "ttrpc.stream"),
        };
        let (field, value) = match self {
            Self::No => ("rpc.frame".to_owned(), row.no?.to_string()),
            Self::Packet => ("frame.number".to_owned(), row.packet.to_string()),
            Self::Time => ("frame.time".to_owned(), quoted(&rfc3339(row.time?))),
            Self::Connection => ("connection".to_owned(), row.connection.to_string()),
            Self::Stream => (stream.to_owned(), row.stream.to_string()),
            // A type without a name has its number at the end.
            Self::Type => (format!("{name}.type"), row.kind.rsplit("TYPE_").next()?.to_owned()),
            Self::Length => (format!("{name}.length"), row.length?.to_string()),
            Self::Flags => (format!("{name}.flags"), format!("0x{:x}", row.flags_code)),
            Self::Call => ("rpc.no".to_owned(), row.call?.to_string()),
            Self::Info => return None,
        };
        Some(Comparison { field, value })
    }
}

/// A row of the list, as the table draws it.
pub fn table_row(
    row: &FrameRow,
    columns: &[FrameColumn],
    times: &Times,
    before: Option<Timestamp>,
    decimals: u8,
    theme: &Theme,
) -> Row {
    let cells = columns.iter().map(|column| column.cell(row, times, before, decimals, theme)).collect();
    Row { gutter: Gutter { marked: false, noted: row.noted }, cells, ..Row::default() }
}

/// What a frame is shown with, besides itself.
pub struct FrameContext<'a> {
    /// Its bytes with its header, where they are in the capture.
    pub bytes: Option<&'a [u8]>,
    /// Its call.
    pub call: Option<CallView<'a>>,
    /// Of each header field that refers to the dynamic table: the row and the number of the packet that put the entry there.
    pub origins: Vec<Option<(u64, u64)>>,
    /// Signs.
    pub signs: &'a Signs,
}

/// Makes a frame's tree and bytes.
pub fn frame_fields(frame: FrameView<'_>, context: &FrameContext<'_>) -> Fields {
    let signs = context.signs;
    let mut builder = FieldsBuilder::new(signs);
    let bytes = context.bytes.unwrap_or_default();
    let (sign, role) = match frame.direction() {
        Direction::ToServer => (signs.up, Role::ToServer),
        Direction::ToClient => (signs.down, Role::ToClient),
    };
    let title = format!("{sign} {} frame, {}", frame.type_name(), size_text(bytes.len() as u64));
    let view = builder.view("frame", safe(title.as_bytes()), bytes);
    let name = match frame.framing() {
        Framing::Http2 => "HTTP/2 frame",
        Framing::Ttrpc => "ttrpc frame",
    };
    let node = Node {
        name: vec![Part::new(sign, role), Part::text(format!(" {name}"))],
        value: vec![Part::text(format!(
            "{}   length {}   stream {}",
            safe(frame.type_name().as_bytes()),
            thousands(frame.length().into()),
            frame.stream()
        ))],
        remark: vec![Part::quiet(format!("packet {}", frame.packet().number()))],
        bytes: Some((view, 0..bytes.len())),
        open: true,
        ..Node::default()
    };
    builder.fields.tree.add(node, 0, |tree| {
        for (name, value, range, filter) in header_fields(frame).into_iter().chain(payload_fields(frame)) {
            let node = Node {
                name: vec![Part::new(name, Role::Name)],
                value: vec![Part::text(value.clone())],
                bytes: Some((view, range.start.min(bytes.len())..range.end.min(bytes.len()))),
                filter,
                copy: value,
                ..Node::default()
            };
            tree.add(node, 1, |_| ());
        }
        if context.bytes.is_none() {
            let name = vec![Part::new("! ", Role::Warning), Part::text("its bytes are not in the capture")];
            tree.add(Node { name, ..Node::default() }, 1, |_| ());
        }
    });
    let block = builder.fields.tree.nodes.len() + 1;
    builder.headers((sign, role), "Header block", frame.headers(), Scope::Frames);
    add_places(&mut builder.fields, frame, context, block, view);
    if let (Some(completed), Some(call)) = (frame.messages(), &context.call) {
        let mut scratch = Scratch::default();
        let first = completed.range.start as usize;
        let messages = call.messages(completed.direction).zip(1..).skip(first).take(completed.range.len());
        for (message, no) in messages {
            builder.message(message, no, &mut scratch);
        }
    }
    for note in frame.notes() {
        add_note(&mut builder.fields, note);
    }
    builder.fields
}

/// A row of the tree that missing bytes have.
pub fn gap_fields(gap: GapRow) -> Fields {
    let mut fields = Fields::default();
    let length = gap.length.map_or("an unknown number of bytes".to_owned(), |length| counted(length, "byte"));
    let name = vec![Part::new("! ", Role::Warning), Part::text("gap")];
    let value = vec![Part::text(format!("{length} not in the capture: not recorded, or dropped"))];
    fields.tree.add(Node { name, value, copy: length, ..Node::default() }, 0, |_| ());
    fields
}

type Described = (Cow<'static, str>, String, Range<usize>, Option<Comparison>);

fn header_fields(frame: FrameView<'_>) -> Vec<Described> {
    let compare = |field: &str, value: String| Some(Comparison { field: field.to_owned(), value });
    let (length, kind) = (thousands(frame.length().into()), frame.type_name().into_owned());
    let flags = match flags_text(frame) {
        names if names.is_empty() => format!("0x{:02x}", frame.flags_code()),
        names => format!("0x{:02x} {names}", frame.flags_code()),
    };
    let code = format!("0x{:x}", frame.flags_code());
    let kind = safe(kind.as_bytes());
    let kind_value = kind.rsplit("TYPE_").next().unwrap_or_default().to_owned();
    let stream = frame.stream().to_string();
    match frame.framing() {
        // RFC 9113 §4.1: length (24), type (8), flags (8), R and stream (32).
        Framing::Http2 => vec![
            ("length".into(), length, 0..3, compare("http2.length", frame.length().to_string())),
            ("type".into(), kind, 3..4, compare("http2.type", kind_value)),
            ("flags".into(), flags, 4..5, compare("http2.flags", code)),
            ("stream".into(), stream.clone(), 5..9, compare("http2.streamid", stream)),
        ],
        // ttrpc's protocol: length (32), stream (32), type (8), flags (8).
        Framing::Ttrpc => vec![
            ("length".into(), length, 0..4, compare("ttrpc.length", frame.length().to_string())),
            ("stream".into(), stream.clone(), 4..8, compare("ttrpc.stream", stream)),
            ("type".into(), kind, 8..9, compare("ttrpc.type", kind_value)),
            ("flags".into(), flags, 9..10, compare("ttrpc.flags", code)),
        ],
    }
}

/// Where the payload of an HTTP/2 frame begins.
const PAYLOAD: usize = 9;

fn payload_fields(frame: FrameView<'_>) -> Vec<Described> {
    let compare = |field: &str, value: String| Some(Comparison { field: field.to_owned(), value });
    let mut fields: Vec<Described> = Vec::new();
    if let Some(padding) = frame.padding() {
        fields.push(("padding".into(), counted(padding.into(), "byte"), PAYLOAD..PAYLOAD + 1, None));
    }
    if let Some(promised) = frame.promised() {
        let at = PAYLOAD + usize::from(frame.padding().is_some());
        fields.push(("promised stream".into(), promised.to_string(), at..at + 4, None));
    }
    match frame.payload() {
        Some(Payload::Settings(settings)) => {
            for (index, setting) in settings.iter().enumerate() {
                let at = PAYLOAD + 6 * index;
                let name = Cow::Owned(safe(setting.id.name().as_bytes()));
                fields.push((name, thousands(setting.value.into()), at..at + 6, None));
            }
        }
        Some(Payload::RstStream(error)) => {
            let filter = compare("http2.rst_stream.error", error.0.to_string());
            fields.push(("error".into(), error.name().into_owned(), PAYLOAD..PAYLOAD + 4, filter));
        }
        Some(Payload::GoAway { last_stream, error, debug }) => {
            let filter = compare("http2.goaway.last_stream_id", last_stream.to_string());
            fields.push(("last stream".into(), last_stream.to_string(), PAYLOAD..PAYLOAD + 4, filter));
            let filter = compare("http2.goaway.error", error.0.to_string());
            fields.push(("error".into(), error.name().into_owned(), PAYLOAD + 4..PAYLOAD + 8, filter));
            if !debug.is_empty() {
                fields.push(("debug data".into(), safe(debug), PAYLOAD + 8..PAYLOAD + 8 + debug.len(), None));
            }
        }
        Some(Payload::WindowUpdate { increment }) => {
            let filter = compare("http2.window_update.window_size_increment", increment.to_string());
            fields.push(("increment".into(), thousands(increment.into()), PAYLOAD..PAYLOAD + 4, filter));
        }
        Some(Payload::Ping(opaque)) => fields.push(("opaque".into(), hex(&opaque), PAYLOAD..PAYLOAD + 8, None)),
        _ => {}
    }
    fields
}

/// Says of each header field where it lies in the frame, and which frame put what it refers to into the dynamic table.
fn add_places(fields: &mut Fields, frame: FrameView<'_>, context: &FrameContext<'_>, first: usize, view: usize) {
    let Some(headers) = frame.headers() else { return };
    let http2 = frame.framing() == Framing::Http2;
    let promised = FrameType(frame.type_code()) == FrameType::PUSH_PROMISE;
    // RFC 9113 §6.2 and §6.6: pad length, then priority or the promised stream, then the block.
    let before = usize::from(frame.padding().is_some())
        + if frame.priority().is_some() { 5 } else { 0 }
        + if promised { 4 } else { 0 };
    let at = PAYLOAD + before;
    let block = context.bytes.unwrap_or_default();
    let end = block.len().saturating_sub(usize::from(frame.padding().unwrap_or(0)));
    let places = match http2 {
        true => field_places(block.get(at..end).unwrap_or_default()),
        false => Vec::new(),
    };
    let nodes = fields.tree.nodes.iter_mut().skip(first);
    for (index, (node, _)) in nodes.zip(headers.fields()).enumerate() {
        // What CONTINUATION frames carry lies in other frames.
        if let Some(place) = places.get(index) {
            node.bytes = Some((view, at + place.start..at + place.end));
        }
        if let Some((row, packet)) = context.origins.get(index).copied().flatten() {
            node.frame = Some(row);
            node.remark.push(Part::text(format!("   {} packet {packet}", context.signs.arrow)));
        }
    }
}

/// Where each field lies in a header block (RFC 7541 §6), as far as the block goes. Nothing is decoded for that.
fn field_places(block: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(&first) = block.get(at) {
        let end = match first {
            // §6.1: indexed.
            0x80.. => integer(block, at, 7).map(|(_, end)| end),
            // §6.2.1: literal, put into the table.
            0x40.. => literal(block, at, 6),
            // §6.3: a table's size, which is not a field.
            0x20.. => match integer(block, at, 5) {
                Some((_, end)) => {
                    at = end;
                    continue;
                }
                None => None,
            },
            // §6.2.2 and §6.2.3: literal, not put into it.
            _ => literal(block, at, 4),
        };
        let Some(end) = end.filter(|&end| end <= block.len()) else { break };
        places.push(at..end);
        at = end;
    }
    places
}

/// Where a literal field ends.
fn literal(block: &[u8], at: usize, prefix: u8) -> Option<usize> {
    let (name, mut end) = integer(block, at, prefix)?;
    if name == 0 {
        end = string(block, end)?;
    }
    string(block, end)
}

/// Where a string ends (RFC 7541 §5.2).
fn string(block: &[u8], at: usize) -> Option<usize> {
    let (length, end) = integer(block, at, 7)?;
    end.checked_add(length)
}

/// An integer in the lowest bits of a byte and those after it (RFC 7541 §5.1), and where it ends.
fn integer(block: &[u8], at: usize, prefix: u8) -> Option<(usize, usize)> {
    let most = (1usize << prefix) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    if value < most {
        return Some((value, at + 1));
    }
    // Longer integers than this no frame can hold.
    for (step, shift) in [0u32, 7, 14, 21].into_iter().enumerate() {
        let byte = *block.get(at + 1 + step)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at + 2 + step));
        }
    }
    None
}

fn add_note(fields: &mut Fields, note: &Note) {
    let role = if note.severity == Severity::Info { Role::Quiet } else { Role::Warning };
    let text = safe(note.text.as_bytes());
    let name: Parts = vec![Part::new("! ", role), Part::text(note.kind)];
    fields.tree.add(Node { name, value: vec![Part::text(text.clone())], copy: text, ..Node::default() }, 0, |_| ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_header_block_lie_where_rfc_7541_says() {
        let block = [
            // Table size 0: 001 00000.
            &[0x20u8][..],
            // Indexed 2 (:method GET).
            &[0x82],
            // Literal with indexing, new name "ab", value "c" Huffman-coded in one byte.
            &[0x40, 2, b'a', b'b', 0x81, 0x27],
            // Literal without indexing, name 15 + 2 in two bytes, value of 127 + 3 bytes.
            &[0x0f, 0x02, 0x7f, 0x03],
            &[b'x'; 130],
            // Never indexed, name 1, empty value.
            &[0x11, 0],
        ]
        .concat();
        assert_eq!(field_places(&block), [1..2, 2..8, 8..142, 142..144]);
        // A block that is cut: what is there whole.
        assert_eq!(field_places(&block[..100]), [1..2, 2..8]);
        for end in 0..block.len() {
            field_places(&block[..end]);
        }
    }
}
