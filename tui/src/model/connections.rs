//! A connection as a row of the list, what lies below it when it is unfolded, and its streams.

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::Severity;
use rpcshark_dissectors::http2::ErrorCode;
use rpcshark_dissectors::print::{duration_text, size_text};
use rpcshark_dissectors::store::ConnectionProtocol;
use rpcshark_dissectors::view::{CallView, ConnectionView, Known, Outcome};

use super::calls::quoted;
use super::lines::method_name;
use crate::text::{Keep, counted, safe, thousands};
use crate::theme::{Role, Signs, Theme};
use crate::widget::{Align, Cell, Column, Comparison, Gutter, Part, Parts, Row, Width};

/// A row of the list of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// Its number.
    pub number: u32,
    /// What is sent over it.
    pub protocol: ConnectionProtocol,
    /// Its ends; safe to draw.
    pub client: String,
    /// As `client`.
    pub server: String,
    /// How many calls it has; of those that the filter leaves, where there is one.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Bytes by [`Direction::index`]; none while that is not known.
    pub bytes: [Option<u64>; 2],
    /// When something of it was seen first and last.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Its beginning was not seen.
    pub joined: bool,
    /// How it was closed.
    pub closed: Option<&'static str>,
    /// What lies below it: its processes, what is missing, its notes.
    pub lines: Vec<Parts>,
    /// There are warnings on it.
    pub noted: bool,
}

/// What a connection says of itself, as lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLines {
    /// The number of the connection.
    pub connection: u32,
    /// Its settings and GOAWAY frames.
    pub lines: Vec<Parts>,
}

/// A stream of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRow {
    /// Its number.
    pub stream: u32,
    /// The number of its call.
    pub call: u32,
    /// Its method; safe to draw.
    pub method: Option<String>,
    /// Whether it was still open at the end.
    pub open: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The windows by the [`Direction::index`] of the data, where they are known: of streams that were open at the end.
    pub windows: Option<[i64; 2]>,
    /// How long its senders waited for flow control, in nanoseconds; none where that is not known.
    pub stalled_ns: Option<u64>,
    /// Who reset it, and why.
    pub reset: Option<(Direction, String)>,
}

/// Notes of one connection that are shown below it.
const MAX_NOTES: usize = 50;

/// Makes the row of a connection.
pub fn connection_row(connection: ConnectionView<'_>, calls: u64, errors: u64, signs: &Signs) -> ConnectionRow {
    let end = |end: String, name: Option<&str>| match name {
        Some(name) => safe(format!("{name} ({end})").as_bytes()),
        None => safe(end.as_bytes()),
    };
    let notes = connection.notes();
    let mut lines = Vec::new();
    let processes = [("client", connection.client_process()), ("server", connection.server_process())];
    for (side, process) in processes {
        if let Some(process) = process {
            lines.push(vec![Part::quiet(format!("{side}  ")), Part::text(safe(process.as_bytes()))]);
        }
    }
    for direction in Direction::BOTH {
        let Some(flow) = connection.flow(direction).filter(|flow| flow.gap_count() > 0) else { continue };
        let sign = match direction {
            Direction::ToServer => Part::new(signs.up, Role::ToServer),
            Direction::ToClient => Part::new(signs.down, Role::ToClient),
        };
        let cause = flow.gaps().first().map_or("lost", |gap| gap.cause.name());
        let text = format!(" {} missing in {} ({cause})", size_text(flow.missing()), counted(flow.gap_count(), "gap"));
        lines.push(vec![Part::new("! ", Role::Warning), sign, Part::text(text)]);
    }
    for note in notes.iter().take(MAX_NOTES) {
        let role = if note.severity == Severity::Info { Role::Quiet } else { Role::Warning };
        let sign = if note.severity == Severity::Info { "i " } else { "! " };
        lines.push(vec![Part::new(sign, role), Part::text(safe(note.text.as_bytes()))]);
    }
    if notes.len() > MAX_NOTES {
        lines.push(vec![Part::quiet(format!("{} more", counted((notes.len() - MAX_NOTES) as u64, "note")))]);
    }
    if let Some(windows) = connection.windows() {
        lines.push(vec![
            Part::quiet("windows at the end  "),
            Part::new(signs.up, Role::ToServer),
            Part::text(format!(" {}   ", signed(windows[Direction::ToServer.index()]))),
            Part::new(signs.down, Role::ToClient),
            Part::text(format!(" {}", signed(windows[Direction::ToClient.index()]))),
        ]);
    }
    let missing = Direction::BOTH.iter().any(|&way| connection.flow(way).is_some_and(|flow| flow.gap_count() > 0));
    ConnectionRow {
        number: connection.number(),
        protocol: connection.protocol(),
        client: end(connection.client().to_string(), connection.client_name()),
        server: end(connection.server().to_string(), connection.server_name()),
        calls,
        errors,
        bytes: Direction::BOTH.map(|direction| connection.flow(direction).map(|flow| flow.bytes)),
        span: connection.first().zip(connection.last()),
        joined: connection.is_joined(),
        closed: connection.closed(),
        lines,
        noted: missing || notes.iter().any(|note| note.severity >= Severity::Warning),
    }
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

/// Makes the row of a stream.
pub fn stream_row(call: &CallView<'_>) -> StreamRow {
    let reset = call.resets().first().map(|reset| (reset.direction, safe(ErrorCode(reset.code).name().as_bytes())));
    let outcome = call.outcome();
    StreamRow {
        stream: call.stream(),
        call: call.no(),
        method: method_name(call),
        open: outcome == Some(Outcome::Open),
        outcome,
        windows: call.windows(),
        stalled_ns: match call.stalls() {
            Known::Seen(stalls) => Some(stalls.total_ns()),
            _ => None,
        },
        reset,
    }
}

/// A column of the list of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionColumn {
    /// Its number.
    Number,
    /// What is sent over it.
    Protocol,
    /// The client's end.
    Client,
    /// The server's end.
    Server,
    /// How many calls.
    Calls,
    /// How many of them failed.
    Errors,
    /// Bytes to the server.
    Up,
    /// Bytes to the client.
    Down,
    /// When it lived.
    Life,
}

impl ConnectionColumn {
    /// Every column, in the order in which they stand.
    pub const ALL: [Self; 9] = [
        Self::Number,
        Self::Protocol,
        Self::Client,
        Self::Server,
        Self::Calls,
        Self::Errors,
        Self::Up,
        Self::Down,
        Self::Life,
    ];

    /// The name by which the list is sorted.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Protocol => "protocol",
            Self::Client => "client",
            Self::Server => "server",
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::Up => "up",
            Self::Down => "down",
            Self::Life => "life",
        }
    }

    /// The key that sorts by it.
    pub const fn key(self) -> char {
        match self {
            Self::Number => 'n',
            Self::Protocol => 'p',
            Self::Client => 'c',
            Self::Server => 's',
            Self::Calls => 'a',
            Self::Errors => 'e',
            Self::Up => 'u',
            Self::Down => 'd',
            Self::Life => 'l',
        }
    }

    /// Whether the largest value comes first when the column is chosen.
    pub const fn sorts_down(self) -> bool {
        matches!(self, Self::Calls | Self::Errors | Self::Up | Self::Down)
    }

    /// How it is laid out.
    pub fn column(self) -> Column {
        let share = |least| Width::Share { least, weight: 1 };
        let (title, align, width, keep, leaves) = match self {
            Self::Number => ("Conn", Align::Left, Width::Exact(6), Keep::Start, 0),
            Self::Protocol => ("Protocol", Align::Left, Width::Exact(8), Keep::Start, 1),
            Self::Client => ("Client", Align::Left, share(14), Keep::End, 0),
            Self::Server => ("Server", Align::Left, share(14), Keep::End, 0),
            Self::Calls => ("Calls", Align::Right, Width::Exact(7), Keep::Start, 0),
            Self::Errors => ("Errors", Align::Right, Width::Exact(6), Keep::Start, 0),
            Self::Up => ("Up", Align::Right, Width::Exact(9), Keep::Start, 2),
            Self::Down => ("Down", Align::Right, Width::Exact(9), Keep::Start, 3),
            Self::Life => ("Life", Align::Left, Width::Exact(LIFE as u16), Keep::Start, 4),
        };
        Column { field: self.field().to_owned(), title: title.to_owned(), align, width, keep, leaves }
    }

    /// What it shows. `all`: the first and the newest time of the capture.
    pub fn cell(self, row: &ConnectionRow, all: Option<(Timestamp, Timestamp)>, theme: &Theme) -> Cell {
        let signs = theme.signs;
        let bytes = |direction: Direction| match row.bytes[direction.index()] {
            Some(bytes) => Cell::text(size_text(bytes)),
            None => Cell::new(signs.absent, Role::Quiet),
        };
        match self {
            Self::Number => Cell::text(format!("c{}", row.number)),
            Self::Protocol => match row.protocol.carries_rpc() {
                true => Cell::text(row.protocol.name()),
                false => Cell::new(row.protocol.name(), Role::Quiet),
            },
            Self::Client => Cell::text(row.client.clone()),
            Self::Server => Cell::text(row.server.clone()),
            Self::Calls if !row.protocol.carries_rpc() => Cell::new(signs.absent, Role::Quiet),
            Self::Calls => Cell::text(thousands(row.calls)),
            Self::Errors if !row.protocol.carries_rpc() => Cell::new(signs.absent, Role::Quiet),
            Self::Errors => Cell::new(thousands(row.errors), if row.errors > 0 { Role::Error } else { Role::Text }),
            Self::Up => bytes(Direction::ToServer),
            Self::Down => bytes(Direction::ToClient),
            Self::Life => Cell::new(life(row, all, signs), Role::Quiet),
        }
    }

    /// The comparison that selects the calls of connections with the value that it shows.
    pub fn comparison(self, row: &ConnectionRow) -> Option<Comparison> {
        match self {
            Self::Number => Some(Comparison { field: "connection".to_owned(), value: row.number.to_string() }),
            Self::Client | Self::Server => {
                let (address, port) = if self == Self::Client { ends(&row.client)? } else { ends(&row.server)? };
                let _ = address;
                Some(Comparison { field: "tcp.port".to_owned(), value: port })
            }
            _ => None,
        }
    }
}

/// Columns of a connection's life.
const LIFE: usize = 8;

/// Address and port of a TCP end.
fn ends(text: &str) -> Option<(String, String)> {
    let (address, port) = text.trim_end_matches(')').rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    Some((address.to_owned(), port.to_owned()))
}

/// When a connection lived within the capture: `├──┤` closed, `├──×` reset, `├──…` open at the end, `…──┤` begun before.
fn life(row: &ConnectionRow, all: Option<(Timestamp, Timestamp)>, signs: &Signs) -> String {
    let (Some((first, last)), Some((from, to))) = (row.span, all) else { return String::new() };
    let whole = to.nanos_since(from).max(1);
    let place = |at: Timestamp| {
        let at = at.nanos_since(from).clamp(0, whole);
        (i128::from(at) * (LIFE as i128 - 1) / i128::from(whole)) as usize
    };
    let (start, end) = (place(first), place(last));
    let begins = if row.joined { signs.ellipsis } else { signs.begins };
    let ends = match row.closed {
        Some("rst") => signs.broken,
        Some(_) => signs.ends,
        None => signs.ellipsis,
    };
    let mut text = " ".repeat(start);
    if start == end {
        text.push_str(ends);
    } else {
        text.push_str(begins);
        text.push_str(&signs.rule.repeat(end - start - 1));
        text.push_str(ends);
    }
    text
}

/// A row of the list, as the table draws it. `unfolded`: what lies below it is shown.
pub fn table_row(row: &ConnectionRow, unfolded: bool, all: Option<(Timestamp, Timestamp)>, theme: &Theme) -> Row {
    let signs = theme.signs;
    let mut cells: Vec<Cell> = ConnectionColumn::ALL.iter().map(|column| column.cell(row, all, theme)).collect();
    if let Some(Cell(first)) = cells.first_mut() {
        let sign = if unfolded { signs.unfolded } else { signs.folded };
        first.insert(0, Part::quiet(format!("{sign} ")));
    }
    Row { gutter: Gutter { marked: false, noted: row.noted }, cells, ..Row::default() }
}

/// The columns of the list of streams.
pub fn stream_columns() -> Vec<Column> {
    let column = |title: &str, align, width, keep, leaves| Column {
        field: String::new(),
        title: title.to_owned(),
        align,
        width,
        keep,
        leaves,
    };
    vec![
        column("Stream", Align::Right, Width::Exact(7), Keep::Start, 0),
        column("Call", Align::Right, Width::Exact(7), Keep::Start, 0),
        column("Method", Align::Left, Width::Share { least: 20, weight: 1 }, Keep::End, 0),
        column("State", Align::Left, Width::Exact(10), Keep::Start, 0),
        column("Window up", Align::Right, Width::Exact(10), Keep::Start, 3),
        column("Window down", Align::Right, Width::Exact(11), Keep::Start, 4),
        column("Stalled", Align::Right, Width::Exact(8), Keep::Start, 2),
        column("Reset", Align::Left, Width::Exact(18), Keep::Start, 1),
    ]
}

/// A row of the list of streams, as the table draws it.
pub fn stream_table_row(row: &StreamRow, decimals: u8, theme: &Theme) -> Row {
    let signs = theme.signs;
    let absent = || Cell::new(signs.absent, Role::Quiet);
    let window = |direction: Direction| {
        row.windows.map_or_else(absent, |windows| {
            let window = windows[direction.index()];
            Cell::new(signed(window), if window <= 0 { Role::Warning } else { Role::Text })
        })
    };
    let state = match (row.open, row.outcome) {
        (true, _) => Cell::new("open", Role::Open),
        (false, outcome) => Cell::new(outcome.map_or("unknown", Outcome::name), super::lines::outcome_role(outcome)),
    };
    let stalled = match row.stalled_ns {
        None => absent(),
        Some(0) => Cell::default(),
        Some(nanos) => Cell::new(duration_text(i64::try_from(nanos).unwrap_or(i64::MAX), decimals), Role::Warning),
    };
    let reset = match &row.reset {
        None => Cell::default(),
        Some((Direction::ToServer, code)) => {
            Cell(vec![Part::new(format!("{} ", signs.up), Role::ToServer), Part::new(code.clone(), Role::Error)])
        }
        Some((Direction::ToClient, code)) => {
            Cell(vec![Part::new(format!("{} ", signs.down), Role::ToClient), Part::new(code.clone(), Role::Error)])
        }
    };
    let method = match &row.method {
        Some(method) => Cell::text(method.clone()),
        None => Cell::new("(method not in capture)", Role::Quiet),
    };
    let cells = vec![
        Cell::text(row.stream.to_string()),
        Cell::text(row.call.to_string()),
        method,
        state,
        window(Direction::ToServer),
        window(Direction::ToClient),
        stalled,
        reset,
    ];
    Row { cells, ..Row::default() }
}

/// The comparisons that a stream offers.
pub fn stream_comparisons(connection: u32, protocol: ConnectionProtocol, row: &StreamRow) -> Vec<(String, Comparison)> {
    let comparison = |field: &str, value: String| Comparison { field: field.to_owned(), value };
    let stream = match protocol {
        ConnectionProtocol::Http2 => Some(comparison("http2.streamid", row.stream.to_string())),
        ConnectionProtocol::Ttrpc | ConnectionProtocol::Nri => Some(comparison("ttrpc.stream", row.stream.to_string())),
        _ => None,
    };
    let mut comparisons = vec![("Call".to_owned(), comparison("rpc.no", row.call.to_string()))];
    comparisons.extend(stream.map(|comparison| ("Stream".to_owned(), comparison)));
    comparisons.push(("Connection".to_owned(), comparison("connection", connection.to_string())));
    if let Some(method) = row.method.as_ref().filter(|method| !method.contains(' ')) {
        comparisons.push(("Method".to_owned(), comparison("rpc.path", quoted(&format!("/{method}")))));
    }
    if let Some(outcome) = row.outcome {
        comparisons.push(("State".to_owned(), comparison("rpc.outcome", outcome.name().to_owned())));
    }
    comparisons
}
