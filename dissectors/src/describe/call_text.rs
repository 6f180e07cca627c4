//! A call as a line of text.
//!
//! ```text
//!     No        Time Conn Method                                    Msgs      Bytes        Took Status
//!      1     0.002 s c0   helloworld.Greeter/SayHello               ↑1 ↓1      20 B    1.500 ms OK
//! ```

use std::io::Write;

use rpcshark_captures::{Direction, Timestamp};

use super::Describer;
use super::Times;
use super::call::{CallView, Outcome};
use super::text::{Escaped, duration_text, size_text};
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
        let (mut up, mut down, mut bytes) = (0_u32, 0_u32, 0_u64);
        for message in call.messages(Direction::ToServer) {
            up += 1;
            bytes += u64::from(message.length);
        }
        for message in call.messages(Direction::ToClient) {
            down += 1;
            bytes += u64::from(message.length);
        }
        let took = match (call.duration_ns(), call.end) {
            (Some(nanos), _) => duration_text(nanos),
            (None, _) => "?".to_owned(),
        };
        // Writing to a vector cannot fail.
        let _ = write!(out, "{:>6} ", call.no.map_or(0, std::num::NonZero::get));
        times.push(call.start, before, out);
        let _ = write!(
            out,
            " c{conn:<4} {method:<48} ↑{up:<4} ↓{down:<4} {bytes:>10} {took:>12}  ",
            conn = connection.number().unwrap_or(0),
            method = view.method_text(),
            bytes = size_text(bytes),
        );
        let status = out.len();
        out.extend_from_slice(view.status_text().as_bytes());
        out.push(b'\n');
        status
    }
}

impl CallView<'_> {
    /// The method as people read it; marked where it is a guess.
    pub fn method_text(&self) -> String {
        match self.path() {
            None => "(method not in the capture)".to_owned(),
            Some(path) => {
                let path = Escaped(path.strip_prefix('/').unwrap_or(path).as_bytes());
                if self.meaning.path_guessed { format!("{path} (guessed)") } else { path.to_string() }
            }
        }
    }

    /// How the call went, in a word or some.
    pub fn status_text(&self) -> String {
        let message =
            |text: &str| if text.is_empty() { String::new() } else { format!("  {}", Escaped(text.as_bytes())) };
        match (self.outcome, &self.status, &self.mapped) {
            (Some(Outcome::Open), _, _) => "~ open".to_owned(),
            (Some(Outcome::Ok), _, _) => "OK".to_owned(),
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
