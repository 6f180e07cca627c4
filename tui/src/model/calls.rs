//! A call as a row of the list.

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::print::{Times, size_text, status_text};
use rpcshark_dissectors::view::{CallView, Outcome};

use super::lines::{method_name, outcome_role, took_text};
use crate::text::Keep;
use crate::theme::{Role, Theme};
use crate::widget::{Align, Cell, Column, Comparison, Gutter, Part, Row, Width};

/// A column of the list of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallColumn {
    /// Its number.
    No,
    /// When it began.
    Time,
    /// Its connection.
    Connection,
    /// Its method.
    Method,
    /// How many messages there are each way.
    Messages,
    /// Their bytes.
    Bytes,
    /// How long it took.
    Took,
    /// How it went.
    Status,
}

/// What rows have in common.
#[derive(Clone, Copy)]
pub struct RowStyle<'a> {
    /// How times are shown.
    pub times: &'a Times,
    /// The time of the newest packet: open calls have been open until then at least.
    pub now: Option<Timestamp>,
    /// How many decimals of a second the capture's times have.
    pub decimals: u8,
    /// Signs and colours.
    pub theme: &'a Theme,
}

impl CallColumn {
    /// Every column, in the order in which they stand.
    pub const ALL: [Self; 8] =
        [Self::No, Self::Time, Self::Connection, Self::Method, Self::Messages, Self::Bytes, Self::Took, Self::Status];

    /// The field that it shows, as filters name it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::No => "rpc.no",
            Self::Time => "rpc.start",
            Self::Connection => "connection",
            Self::Method => "rpc.path",
            Self::Messages => "rpc.messages",
            Self::Bytes => "rpc.bytes",
            Self::Took => "rpc.duration",
            Self::Status => "rpc.outcome",
        }
    }

    /// How it is laid out; a time takes `time` columns.
    pub fn column(self, time: u16) -> Column {
        let share = |least, weight| Width::Share { least, weight };
        let (title, align, width, keep, leaves) = match self {
            Self::No => ("No", Align::Right, Width::Exact(6), Keep::End, 0),
            Self::Time => ("Time", Align::Right, Width::Exact(time), Keep::Start, 2),
            Self::Connection => ("Conn", Align::Left, Width::Exact(5), Keep::Start, 4),
            Self::Method => ("Method", Align::Left, share(17, 3), Keep::End, 0),
            Self::Messages => ("Msgs", Align::Right, Width::Exact(8), Keep::Start, 3),
            Self::Bytes => ("Bytes", Align::Right, Width::Exact(8), Keep::Start, 5),
            Self::Took => ("Took", Align::Right, Width::Exact(9), Keep::Start, 0),
            Self::Status => ("Status", Align::Left, share(17, 4), Keep::Start, 0),
        };
        Column { field: self.field().to_owned(), title: title.to_owned(), align, width, keep, leaves }
    }

    /// What it shows of `call`. `before`: when the call of the row above began.
    pub fn cell(self, call: &CallView<'_>, style: RowStyle<'_>, before: Option<Timestamp>) -> Cell {
        let signs = style.theme.signs;
        match self {
            Self::No => Cell::text(call.no().to_string()),
            Self::Time => {
                Cell::text(call.start().map_or(String::new(), |start| style.times.text(start, before, style.decimals)))
            }
            Self::Connection => Cell::text(format!("c{}", call.connection().number())),
            Self::Method => match method_name(call) {
                Some(name) => Cell::text(name),
                None => Cell::new("(method not in capture)", Role::Quiet),
            },
            Self::Messages => {
                let totals = call.totals();
                Cell(vec![
                    Part::new(signs.up, Role::ToServer),
                    Part::text(format!("{} ", totals.requests)),
                    Part::new(signs.down, Role::ToClient),
                    Part::text(totals.responses.to_string()),
                ])
            }
            Self::Bytes => Cell::text(size_text(call.totals().bytes)),
            Self::Took => Cell::text(took_text(call, style.now, style.decimals, signs)),
            Self::Status => status_cell(call, style.theme),
        }
    }

    /// The comparison that selects the calls with the value that it shows of `call`; `None` where that value is not known.
    pub fn comparison(self, call: &CallView<'_>) -> Option<Comparison> {
        let value = match self {
            Self::No => call.no().to_string(),
            Self::Time => quoted(&rfc3339(call.start()?)),
            Self::Connection => call.connection().number().to_string(),
            Self::Method => quoted(call.path().value()?),
            Self::Messages => {
                let totals = call.totals();
                (totals.requests + totals.responses).to_string()
            }
            Self::Bytes => call.totals().bytes.to_string(),
            Self::Took => format!("{}ns", call.duration_ns()?),
            Self::Status => call.outcome()?.name().to_owned(),
        };
        Some(Comparison { field: self.field().to_owned(), value })
    }
}

/// A time as the filter language takes it.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).unwrap_or_default();
    stamp.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// A string literal of the filter language.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => c.to_string().bytes().for_each(|byte| quoted.push_str(&format!("\\x{byte:02x}"))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn status_cell(call: &CallView<'_>, theme: &Theme) -> Cell {
    let outcome = call.outcome();
    let role = outcome_role(outcome);
    if outcome == Some(Outcome::Ok) {
        // Aligned with the words of those that went otherwise.
        return Cell::new("  OK", role);
    }
    let text = status_text(call).replace('✗', theme.signs.error);
    // The status's name carries the colour; the message after it does not.
    match text.split_once("  ") {
        Some((status, message)) => Cell(vec![Part::new(status, role), Part::text(format!("  {message}"))]),
        None => Cell::new(text, role),
    }
}

/// A row of the list with these cells.
pub fn call_row(call: &CallView<'_>, cells: Vec<Cell>, marked: bool) -> Row {
    Row { gutter: Gutter { marked, noted: !call.notes().is_empty() }, cells, ..Row::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_literal_holds_no_control_character() {
        assert_eq!(quoted("/a.B/\"C\"\\"), "\"/a.B/\\\"C\\\"\\\\\"");
        assert_eq!(quoted("a\x1b[m\n"), "\"a\\x1b[m\\x0a\"");
    }
}
