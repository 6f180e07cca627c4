//! A call as a line of text.
//!
//! ```text
//!     No        Time Conn Method                                    Msgs      Bytes        Took Status
//!      1     0.002 s c0   helloworld.Greeter/SayHello               ↑1 ↓1      20 B    1.500 ms OK
//! ```

use std::num::NonZero;

use rpcshark_captures::{Direction, Timestamp};

use super::Describer;
use super::Times;
use super::call::{CallView, Outcome};
use super::text::{Escaped, push_duration, push_escaped, push_left, push_number, push_right, push_size};
use crate::store::CallRef;

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

impl Describer<'_> {
    /// Appends a call as one line; `before` is when the call of the line before began. Says where in `out` the status
    /// begins, which ends the line.
    pub fn write_call_text(&self, at: CallRef, times: &Times, before: Option<Timestamp>, out: &mut Vec<u8>) -> usize {
        let view = self.call(at);
        let call = view.call;
        let connection = view.lane.connection(call.connection);
        let (mut up, mut down, mut bytes) = (0_u64, 0_u64, 0_u64);
        for message in call.messages(Direction::ToServer) {
            up += 1;
            bytes += u64::from(message.length);
        }
        for message in call.messages(Direction::ToClient) {
            down += 1;
            bytes += u64::from(message.length);
        }
        push_right(6, out, |out| push_number(call.no.map_or(0, NonZero::get).into(), out));
        out.push(b' ');
        times.push(call.start, before, out);
        out.extend_from_slice(b" c");
        push_left(4, out, |out| push_number(connection.number().unwrap_or(0).into(), out));
        out.push(b' ');
        push_left(48, out, |out| view.push_method(out));
        out.extend_from_slice(" ↑".as_bytes());
        push_left(4, out, |out| push_number(up, out));
        out.extend_from_slice(" ↓".as_bytes());
        push_left(4, out, |out| push_number(down, out));
        out.push(b' ');
        push_right(10, out, |out| push_size(bytes, out));
        out.push(b' ');
        push_right(12, out, |out| match call.duration_ns() {
            Some(nanos) => push_duration(nanos, out),
            None => out.push(b'?'),
        });
        out.extend_from_slice(b"  ");
        let status = out.len();
        match view.outcome {
            Some(Outcome::Ok) => out.extend_from_slice(OK.as_bytes()),
            _ => out.extend_from_slice(view.status_text().as_bytes()),
        }
        out.push(b'\n');
        status
    }
}

/// How calls go that go well.
const OK: &str = "OK";

impl CallView<'_> {
    /// The method as people read it; marked where it is a guess.
    pub fn method_text(&self) -> String {
        let mut text = Vec::new();
        self.push_method(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn push_method(&self, out: &mut Vec<u8>) {
        let Some(path) = self.path() else {
            return out.extend_from_slice(b"(method not in the capture)");
        };
        push_escaped(path.strip_prefix('/').unwrap_or(path).as_bytes(), out);
        if self.meaning.path_guessed {
            out.extend_from_slice(b" (guessed)");
        }
    }

    /// How the call went, in a word or some.
    pub fn status_text(&self) -> String {
        let message =
            |text: &str| if text.is_empty() { String::new() } else { format!("  {}", Escaped(text.as_bytes())) };
        match (self.outcome, &self.status, &self.mapped) {
            (Some(Outcome::Open), _, _) => "~ open".to_owned(),
            (Some(Outcome::Ok), _, _) => OK.to_owned(),
            (_, Some(status), _) => format!("✗ {}{}", status.code.name(), message(&status.message)),
            (Some(Outcome::Reset), _, mapped) => {
                let code = self.call.resets().first().map(|reset| crate::http2::ErrorCode(reset.code).name());
                let as_status = mapped.as_ref().map(|(status, _)| format!(" ({})", status.name()));
                format!("✗ RST {}{}", code.unwrap_or_default(), as_status.unwrap_or_default())
            }
            (_, _, Some((status, from))) => format!("✗ {} ({from})", status.name()),
            (None, _, _) => "? status not in the capture".to_owned(),
            (Some(Outcome::Incomplete), _, _) => match self.call.end {
                Some(crate::store::End::Connection) => "? the connection ended".to_owned(),
                _ => "? no status".to_owned(),
            },
            (Some(Outcome::Error), None, None) => "✗".to_owned(),
        }
    }
}
