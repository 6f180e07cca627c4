//! Text that is in the filter without any operator looks for itself in what a listing says about a call or a frame.

use std::io::Write as _;

use memchr::memmem::Finder;

use super::program::Subject;
use crate::view::{CallView, FrameView, Known};

/// Whether the summary of a call, or of a frame and its call, contains `part` (in lower case), whatever the case.
pub(super) fn contains(subject: Subject<'_, '_>, part: &Finder<'_>, text: &mut Vec<u8>) -> bool {
    text.clear();
    if let Some(frame) = subject.frame {
        write_frame(frame, text);
    }
    if let Some(call) = subject.call {
        write_call(call, text);
    }
    match text.is_ascii() {
        true => text.make_ascii_lowercase(),
        false => *text = String::from_utf8_lossy(text).to_lowercase().into_bytes(),
    }
    part.find(text).is_some()
}

/// The words of a call: path, outcome, status and its message, what carries it, and the two ends.
fn write_call(call: &CallView<'_>, out: &mut Vec<u8>) {
    if let Known::Seen(path) | Known::Guessed(path) = call.path() {
        out.extend_from_slice(path.as_bytes());
        out.push(b'\n');
    }
    if let Some(outcome) = call.outcome() {
        out.extend_from_slice(outcome.name().as_bytes());
        out.push(b'\n');
    }
    if let Some(status) = call.status() {
        // Writing to a vector cannot fail.
        let _ = writeln!(out, "{}  {}", status.code.name(), status.message);
    }
    if let Some(mapped) = call.mapped_status() {
        let _ = writeln!(out, "{}", mapped.code.name());
    }
    for reset in call.resets() {
        let _ = writeln!(out, "{}", crate::http2::ErrorCode(reset.code).name());
    }
    out.extend_from_slice(call.protocol().name().as_bytes());
    let connection = call.connection();
    let names = [connection.client_name(), connection.server_name()];
    let processes = [connection.client_process(), connection.server_process()];
    let _ = writeln!(out, "\n{}\n{}", call.client(), call.server());
    for text in names.into_iter().chain(processes).flatten() {
        let _ = writeln!(out, "{text}");
    }
}

/// The words of a frame: its type, its flags, its header fields as far as they are not hidden.
fn write_frame(frame: FrameView<'_>, out: &mut Vec<u8>) {
    let _ = writeln!(out, "{}", frame.type_name());
    for flag in frame.flag_names() {
        let _ = writeln!(out, "{flag}");
    }
    for header in frame.headers().into_iter().flat_map(|headers| headers.fields()) {
        if let (Some(name), Some(value)) = (header.name().value(), header.value().value()) {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.push(b'\n');
        }
    }
}
