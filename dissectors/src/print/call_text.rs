//! A call as a line of text.
//!
//! ```text
//!     No        Time Conn Method                                    Msgs      Bytes        Took Status
//!      1     0.002 s c0   helloworld.Greeter/SayHello               ↑1 ↓1      20 B    1.500 ms OK
//! ```

use rpcshark_captures::Timestamp;

use super::text::{push_duration, push_escaped, push_left, push_number, push_right, push_size};
use super::{Escaped, Printer, Times};
use crate::store::End;
use crate::view::{CallView, MappedFrom, MappedStatus, Outcome};

/// The line above the calls.
pub fn calls_heading(times: &Times) -> String {
    format!(
        "{:>6} {:>width$} {:<5} {:<48} {:<11} {:>10} {:>12}  Status\n",
        "No",
        "Time",
        "Conn",
        "Method",
        "Msgs",
        "Bytes",
        "Took",
        width = times.width()
    )
}

impl Printer<'_> {
    /// Appends a call as one line; `before` is when the call of the line before began. Returns where in `out` the status
    /// begins, which ends the line.
    pub fn write_call_text(
        &self,
        call: &CallView<'_>,
        times: &Times,
        before: Option<Timestamp>,
        out: &mut Vec<u8>,
    ) -> usize {
        let totals = call.totals();
        push_right(6, out, |out| push_number(call.no().into(), out));
        out.push(b' ');
        times.push(call.start(), before, out);
        out.extend_from_slice(b" c");
        push_left(4, out, |out| push_number(call.connection().number().into(), out));
        out.push(b' ');
        push_left(48, out, |out| push_method(call, out));
        out.extend_from_slice(" ↑".as_bytes());
        push_left(4, out, |out| push_number(totals.requests, out));
        out.extend_from_slice(" ↓".as_bytes());
        push_left(4, out, |out| push_number(totals.responses, out));
        out.push(b' ');
        push_right(10, out, |out| push_size(totals.bytes, out));
        out.push(b' ');
        push_right(12, out, |out| match call.duration_ns() {
            Some(nanos) => push_duration(nanos, out),
            None => out.push(b'?'),
        });
        out.extend_from_slice(b"  ");
        let status = out.len();
        match call.outcome() {
            Some(Outcome::Ok) => out.extend_from_slice(OK.as_bytes()),
            _ => out.extend_from_slice(status_text(call).as_bytes()),
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
        out.extend_from_slice(b" (guessed)");
    }
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
            let code = call.resets().first().map(|reset| crate::http2::ErrorCode(reset.code).name());
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

/// What a status is concluded from: `http 503`.
pub(super) fn mapped_from(mapped: MappedStatus) -> String {
    match mapped.from {
        MappedFrom::Http(status) => format!("http {status}"),
        MappedFrom::Reset(code) => format!("RST_STREAM {}", code.name()),
        MappedFrom::Goaway => "GOAWAY".to_owned(),
    }
}
