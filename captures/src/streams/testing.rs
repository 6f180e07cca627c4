//! Recordings written out in tests, and what comes out of them as text.

use std::fmt::Write as _;
use std::io::Cursor;

use super::{EventKind, Events, Streams};
use crate::file::CaptureReader;

/// What a recording tells, a line an event:
///
/// ```text
/// 0 opened unix:#1 -> unix:/s connect
/// 0 ToServer "bytes"
/// 0 ToServer gap 3 snapped
/// 0 ToServer closed Fin
/// ```
///
/// Bytes of one direction that follow on each other stand together.
pub(super) fn events(recording: impl AsRef<[u8]>) -> String {
    events_of(CaptureReader::from_reader(Box::new(Cursor::new(recording.as_ref().to_vec())), "x").unwrap())
}

pub(super) fn events_of(mut reading: CaptureReader) -> String {
    let mut streams = Streams::new(reading.files());
    let mut events = Events::default();
    let mut order = 0;
    while let Some(batch) = reading.next_batch(3).unwrap() {
        for index in 0..batch.len() {
            let packet = batch.packet(index);
            streams.packet(&packet, &mut events).unwrap();
            let last = events.events.last().map_or(0, |event| event.packet.order);
            assert!(last >= order, "events come in the order of packets");
            order = last;
        }
    }
    streams.finish(&mut events);
    text(&events)
}

/// The lines for events.
pub(super) fn text(events: &Events) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for event in &events.events {
        let no = event.connection.0;
        let line = match &event.kind {
            EventKind::Data { direction, .. } => {
                let flow = format!("{no} {direction:?}");
                let bytes = events.bytes_of(event).escape_ascii().to_string();
                assert!(!bytes.is_empty());
                match &mut open {
                    Some((known, text)) if *known == flow => text.push_str(&bytes),
                    _ => {
                        lines.extend(open.take().map(|(flow, text)| format!("{flow} \"{text}\"")));
                        open = Some((flow, bytes));
                    }
                }
                continue;
            }
            EventKind::Opened(said) | EventKind::Updated(said) => {
                let is_new = matches!(event.kind, EventKind::Opened(_));
                let verb = if is_new { "opened" } else { "updated" };
                let mut line = format!("{no} {verb} {} -> {} {}", said.client, said.server, said.client_by.name());
                for (side, process) in [("client", &said.client_process), ("server", &said.server_process)] {
                    if let Some(process) = process {
                        let _ = write!(line, " {side} {}", process.pid);
                        let _ = process.name.as_ref().map(|name| write!(line, " ({name})"));
                    }
                }
                line + if said.joined { " joined" } else { "" }
            }
            EventKind::Gap { direction, length, cause } => {
                let length = length.map_or("?".to_owned(), |length| length.to_string());
                format!("{no} {direction:?} gap {length} {}", cause.name())
            }
            EventKind::Closed { direction, how } => format!("{no} {direction:?} closed {how:?}"),
        };
        lines.extend(open.take().map(|(flow, text)| format!("{flow} \"{text}\"")));
        lines.push(line);
    }
    lines.extend(open.take().map(|(flow, text)| format!("{flow} \"{text}\"")));
    lines.join("\n")
}

/// Asserts what a recording tells. Spaces in front of lines do not count.
#[track_caller]
pub(super) fn check(recording: impl AsRef<[u8]>, expected: &str) {
    let expected: Vec<_> = expected.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
    let found = events(recording);
    assert_eq!(found, expected.join("\n"), "found:\n{found}");
}
