//! Messages on standard error. Printing never fails, and control characters in names of files and processes are escaped.

use std::fmt::Display;
use std::io::Write;

use rpcshark_captures::text::Escaped;

use crate::messages;

/// Prints one line.
pub(super) fn report(text: impl Display) {
    let text = text.to_string();
    // Nothing can be done when not even standard error can be written to; the traffic continues.
    // In one piece: several recorders may share one log.
    let line = format!("rpcshark: {}\n", Escaped(text.as_bytes()));
    messages::print(line.trim_end(), || drop(std::io::stderr().write_all(line.as_bytes())));
}
