//! A call as a line of text.
//!
//! ```text
//!     No    Time (s) Conn  Method                                           Msgs           Bytes     Took  Status
//!      1    0.002500 c0    helloworld.Greeter/SayHello                      ↑1   ↓1        20 B  1.50 ms  OK
//! ```
//!
//! On a terminal a line fits its width: [`CallColumns`].

use rpcshark_captures::{Direction, Timestamp};

use super::fit::{self, MIN_WIDTH};
use super::text::{
    duration_text, push_duration, push_escaped, push_left, push_number_left, push_number_right, push_right, push_size,
};
use super::{Escaped, Printer, Times};
use crate::http2::ErrorCode;
use crate::store::End;
use crate::view::{CallView, MappedFrom, MappedStatus, Outcome};

/// How the lines of calls are laid out.
#[derive(Clone, Debug)]
pub struct CallColumns {
    times: Times,
    decimals: u8,
    time: usize,
    has_connection: bool,
    method: usize,
    has_messages: bool,
    has_bytes: bool,
    /// Columns of the terminal, if lines have to fit.
    width: Option<usize>,
}

/// Columns that `No`, `Took`, and the spaces around the columns take.
const NO: usize = 6;
const TOOK: usize = 8;
const CONNECTION: usize = 5;
const MESSAGES: usize = 10;
const BYTES: usize = 9;

/// Columns of the method where lines do not have to fit, and its most where they have.
const METHOD: usize = 48;
const MAX_METHOD: usize = 60;

/// Columns of the status at least: the longest name of a status and its mark.
const STATUS: usize = "✗ FAILED_PRECONDITION".len() - "✗".len() + 1;

/// What of the status stays in sight beside the longest method.
const MIN_STATUS: usize = 12;

impl CallColumns {
    /// Columns for times in this form, of which the capture has `decimals` decimals of a second. Lines of at most `width`
    /// columns, of a terminal, leave out what matters least: the connection, the bytes, the counts of messages; without a
    /// `width` they are whole.
    pub fn new(times: Times, decimals: u8, width: Option<usize>) -> Self {
        let time = times.width(decimals);
        let mut columns = Self {
            times,
            decimals,
            time,
            has_connection: true,
            method: METHOD,
            has_messages: true,
            has_bytes: true,
            width: width.map(|width| width.max(MIN_WIDTH)),
        };
        let Some(width) = columns.width else { return columns };
        // For the method and the status.
        let mut left = width.saturating_sub(NO + 1 + time + 1 + TOOK + 2 + 1);
        let mut fits = |column: usize, rest: usize| {
            let fits = left >= column + 1 + rest;
            left -= if fits { column + 1 } else { 0 };
            fits
        };
        columns.has_messages = fits(MESSAGES, 38);
        columns.has_bytes = fits(BYTES, 50);
        columns.has_connection = fits(CONNECTION, 60);
        columns.method = left.saturating_sub(STATUS.max(left * 2 / 5)).clamp(MIN_STATUS, MAX_METHOD);
        columns
    }

    /// The line above the calls.
    pub fn heading(&self) -> String {
        let mut line = format!("{:>NO$} {:>time$}", "No", self.times.heading(), time = self.time);
        let mut column = |text: &str, shown: bool| line += if shown { text } else { "" };
        column(&format!(" {:<CONNECTION$}", "Conn"), self.has_connection);
        column(&format!(" {:<method$}", "Method", method = self.method), true);
        column(&format!(" {:<MESSAGES$}", "Msgs"), self.has_messages);
        column(&format!(" {:>BYTES$}", "Bytes"), self.has_bytes);
        column(&format!(" {:>TOOK$}  Status\n", "Took"), true);
        line
    }
}

impl Printer<'_> {
    /// Appends a call as one line; `before` is when the call of the line before began. Returns where in `out` the status
    /// begins, which ends the line.
    pub fn write_call_text(
        &self,
        call: &CallView<'_>,
        columns: &CallColumns,
        before: Option<Timestamp>,
        out: &mut Vec<u8>,
    ) -> usize {
        let line = out.len();
        let totals = call.totals();
        push_number_right(NO, call.no().into(), out);
        out.push(b' ');
        columns.times.push(call.start(), before, columns.decimals, columns.time, out);
        if columns.has_connection {
            out.extend_from_slice(b" c");
            push_number_left(CONNECTION - 1, call.connection().number().into(), out);
        }
        out.push(b' ');
        push_left(columns.method, out, |out| match columns.width {
            None => push_method(call, out),
            Some(width) => {
                // Behind the method come the other columns and the status.
                let behind = TOOK + 3 + MIN_STATUS + if columns.has_messages { MESSAGES + 1 } else { 0 };
                let behind = behind + if columns.has_bytes { BYTES + 1 } else { 0 };
                let most = width.saturating_sub(NO + columns.time + 9 + behind);
                push_short_method(call, columns.method, most, out);
            }
        });
        if columns.has_messages {
            out.extend_from_slice(" ↑".as_bytes());
            push_number_left(3, totals.requests, out);
            out.extend_from_slice(" ↓".as_bytes());
            push_number_left(4, totals.responses, out);
        }
        if columns.has_bytes {
            out.push(b' ');
            push_right(BYTES, out, |out| push_size(totals.bytes, out));
        }
        out.push(b' ');
        push_right(TOOK, out, |out| match call.duration_ns() {
            Some(nanos) => push_duration(nanos, columns.decimals, out),
            None => out.push(b'?'),
        });
        out.extend_from_slice(b"  ");
        let status = out.len();
        match call.outcome() {
            Some(Outcome::Ok) => out.extend_from_slice(OK.as_bytes()),
            _ => out.extend_from_slice(status_text(call).as_bytes()),
        }
        if let Some(width) = columns.width {
            let used = fit::columns(out.get(..status).unwrap_or_default(), line);
            fit::cut_right(out, status, width.saturating_sub(used));
        }
        out.push(b'\n');
        status
    }
}

/// How calls go that go well.
const OK: &str = "OK";

/// The method as people read it; marked where it is a guess.
pub fn method_text(call: &CallView<'_>) -> String {
    let mut text = Vec::new();
    push_method(call, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn push_method(call: &CallView<'_>, out: &mut Vec<u8>) {
    let path = call.path();
    let guessed = path.is_guessed();
    let Some(path) = path.value() else {
        return out.extend_from_slice(b"(method not in the capture)");
    };
    push_escaped(path.strip_prefix('/').unwrap_or(path).as_bytes(), out);
    if guessed {
        out.extend_from_slice(GUESSED.as_bytes());
    }
}

/// What follows a method that is a guess.
const GUESSED: &str = " (guessed)";

/// The method in `width` columns, but whole up to `most`.
fn push_short_method(call: &CallView<'_>, width: usize, most: usize, out: &mut Vec<u8>) {
    let text = method_text(call);
    let (text, mark) = match text.strip_suffix(GUESSED) {
        Some(text) => (text, GUESSED),
        None => (text.as_str(), ""),
    };
    let room = |width: usize| width.saturating_sub(mark.len());
    out.extend_from_slice(fit::method(text, room(width), room(most)).as_bytes());
    out.extend_from_slice(mark.as_bytes());
}

/// How the call went, in a few words.
pub fn status_text(call: &CallView<'_>) -> String {
    let outcome = call.outcome();
    match outcome {
        Some(Outcome::Open) => return "~ open".to_owned(),
        Some(Outcome::Ok) => return OK.to_owned(),
        _ => {}
    }
    if let Some(status) = call.status() {
        let message = match &*status.message {
            "" => String::new(),
            text => format!("  {}", Escaped(text.as_bytes())),
        };
        return format!("✗ {}{message}", status.code.name());
    }
    match (outcome, call.mapped_status()) {
        (Some(Outcome::Reset), mapped) => {
            let code = call.resets().first().map(|reset| ErrorCode(reset.code).name());
            if let Some(deadline) = deadline_passed(call) {
                // A deadline is a number that the client gave: no clock limits its digits.
                return format!("✗ RST {} at its deadline ({})", code.unwrap_or_default(), duration_text(deadline, 9));
            }
            let as_status = mapped.map(|mapped| format!(" ({})", mapped.code.name()));
            format!("✗ RST {}{}", code.unwrap_or_default(), as_status.unwrap_or_default())
        }
        (_, Some(mapped)) => format!("✗ {} ({})", mapped.code.name(), mapped_from(mapped)),
        (None, None) => "? status not in the capture".to_owned(),
        (Some(Outcome::Incomplete), None) => match call.end() {
            Some(End::Connection) => "? the connection ended".to_owned(),
            _ => "? no status".to_owned(),
        },
        (Some(_), None) => "✗".to_owned(),
    }
}

/// The deadline of a call, in nanoseconds, where the client cancelled it since that had passed. A client starts its clock a
/// little before its request is on the wire, so a call may seem to end before its deadline.
fn deadline_passed(call: &CallView<'_>) -> Option<i64> {
    let reset = call.resets().first()?;
    let is_cancel = ErrorCode(reset.code) == ErrorCode::CANCEL && reset.direction == Direction::ToServer;
    let deadline = i64::try_from(call.deadline_ns().value()?).ok()?;
    let early = deadline / 100;
    (is_cancel && call.duration_ns()? >= deadline - early).then_some(deadline)
}

/// What a status is concluded from: `http 503`.
pub(super) fn mapped_from(mapped: MappedStatus) -> String {
    match mapped.from {
        MappedFrom::Http(status) => format!("http {status}"),
        MappedFrom::Reset(code) => format!("RST_STREAM {}", code.name()),
        MappedFrom::Goaway => "GOAWAY".to_owned(),
    }
}
