//! Standard error, for a program that others depend on: it never fails and never obeys what names of files and
//! processes hold.

use std::fmt::Display;
use std::io::Write;

/// Writes one line.
pub(super) fn say(text: impl Display) {
    let text: String =
        text.to_string().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    // Nothing can be done when not even standard error can be written to; the traffic goes on.
    // In one piece: several recorders may share one log.
    let _ = std::io::stderr().write_all(format!("rpcshark: {text}\n").as_bytes());
}
