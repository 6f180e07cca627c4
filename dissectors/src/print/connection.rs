//! A connection as a line of JSON or of text.

use std::io::Write as _;

use rpcshark_captures::connection::{Facts, FlowFacts};

use super::Describer;
use super::call::Outcome;
use super::call_json::{optional, rfc3339, write_notes};
use super::text::size_text;
use crate::json::Writer;
use crate::store::{Connection, ConnectionRef};
use crate::{Note, Severity};

/// The line above the connections.
pub const CONNECTIONS_HEADING: &str = "Conn   Protocol Client                                   Server                                    Calls Errors         Up       Down  Missing\n";

impl Describer<'_> {
    /// Calls of each connection that ended with an error or a reset, by the connections' numbers.
    pub fn errors(&self) -> Vec<u32> {
        let mut errors = vec![0; self.store.connections().len()];
        for &at in self.store.calls() {
            let view = self.call_without_types(at);
            if matches!(view.outcome, Some(Outcome::Error | Outcome::Reset)) {
                let connection = view.lane.connection(view.call.connection).number().unwrap_or(0);
                if let Some(count) = errors.get_mut(connection as usize) {
                    *count += 1;
                }
            }
        }
        errors
    }

    /// Appends a connection as one line of JSON, with its newline; `errors` of its calls went wrong.
    pub fn write_connection_json(&self, at: ConnectionRef, errors: u32, out: &mut Vec<u8>) {
        let connection = self.store.connection(at);
        let facts = facts(connection);
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("connection").unsigned(connection.number().unwrap_or(0).into());
        if let Some(stream) = connection.tcp_stream {
            json.key("tcp_stream").unsigned(stream.into());
        }
        json.key("transport").string(connection.server.transport());
        json.key("protocol").string(connection.protocol.name());
        json.key("client").string(&connection.client.to_string());
        json.key("server").string(&connection.server.to_string());
        for (key, end) in [("client_name", &connection.client), ("server_name", &connection.server)] {
            if let Some(name) = self.name(end) {
                json.key(key).string(&name);
            }
        }
        json.key("client_by").string(connection.client_by.name());
        for (key, process) in
            [("client_process", &connection.client_process), ("server_process", &connection.server_process)]
        {
            if let Some(process) = process {
                json.key(key).string(process);
            }
        }
        json.key("first").string(&rfc3339(facts.as_ref().map_or(connection.first, |facts| facts.first)));
        json.key("last").string(&rfc3339(facts.as_ref().map_or(connection.first, |facts| facts.last)));
        json.key("packets").unsigned(facts.as_ref().map_or(0, |facts| facts.packets));
        for (key, index) in [("to_server", 0), ("to_client", 1)] {
            json.key(key);
            write_flow(&mut json, facts.as_ref().and_then(|facts| facts.flows.get(index)));
        }
        json.key("joined").bool(facts.as_ref().is_some_and(|facts| facts.joined));
        json.key("closed");
        optional(&mut json, facts.as_ref().and_then(|facts| facts.closed?.name()));
        json.key("calls").unsigned(connection.calls.into());
        json.key("errors").unsigned(errors.into());
        json.key("notes");
        write_notes(&mut json, &connection_notes(connection));
        json.end_object();
        out.push(b'\n');
    }

    /// Appends a connection as one line.
    pub fn write_connection_text(&self, at: ConnectionRef, errors: u32, out: &mut Vec<u8>) {
        let connection = self.store.connection(at);
        let facts = facts(connection);
        let bytes = |index: usize| facts.as_ref().and_then(|facts| facts.flows.get(index)).map_or(0, |flow| flow.bytes);
        let missing: u64 = facts.iter().flat_map(|facts| &facts.flows).map(|flow| flow.missing).sum();
        let gaps: u64 = facts.iter().flat_map(|facts| &facts.flows).map(|flow| flow.gap_count).sum();
        let joined = if facts.as_ref().is_some_and(|facts| facts.joined) { "  joined in the middle" } else { "" };
        let missing = match gaps {
            0 => "–".to_owned(),
            _ => {
                let mut causes = facts.iter().flat_map(|facts| &facts.flows).flat_map(|flow| &flow.gaps);
                let cause = causes.next().map_or("lost", |gap| gap.cause.name());
                let others = if causes.any(|gap| gap.cause.name() != cause) { " and others" } else { "" };
                format!("{} in {gaps} gaps ({cause}{others})", size_text(missing))
            }
        };
        // Writing to a vector cannot fail.
        let _ = writeln!(
            out,
            "c{no:<5} {protocol:<8} {client:<40} {server:<40} {calls:>6} {errors:>6} {up:>10} {down:>10}  {missing}{joined}",
            no = connection.number().unwrap_or(0),
            protocol = connection.protocol.name(),
            client = self.end_text(&connection.client),
            server = self.end_text(&connection.server),
            calls = connection.calls,
            up = size_text(bytes(0)),
            down = size_text(bytes(1)),
        );
        for note in connection_notes(connection) {
            let at = note.packet.map(|packet| format!("packet {}: ", packet.number())).unwrap_or_default();
            let _ = writeln!(out, "       ! {at}{}", note.text);
        }
    }
}

/// What the transport knows, with client and server as they turned out to be.
fn facts(connection: &Connection) -> Option<Facts> {
    let mut facts = connection.facts.as_deref().cloned()?;
    if connection.roles_swapped {
        facts.swap_roles();
    }
    Some(facts)
}

/// A connection's notes, and those that follow from what its transport knows.
fn connection_notes(connection: &Connection) -> Vec<Note> {
    let mut notes = connection.notes.clone();
    if connection.protocol == crate::store::ConnectionProtocol::Tls {
        notes.push(Note::new(Severity::Info, "tls-no-key", "encrypted with TLS, and there is no key for it"));
    }
    for (flow, way) in
        connection.facts.iter().flat_map(|facts| facts.flows.iter().zip(["to the server", "to the client"]))
    {
        if let Some(first) = flow.first_differing {
            let text = format!(
                "{} segments {way} bring other bytes for a place than those that came first, the first at byte {}",
                flow.differing, first.at
            );
            notes.push(Note::new(Severity::Warning, "overlap-differs", text).at(first.packet));
        }
    }
    if connection.notes_dropped > 0 {
        notes.push(Note::new(Severity::Info, "more-notes", format!("{} more notes", connection.notes_dropped)));
    }
    notes
}

fn write_flow(json: &mut Writer<'_>, flow: Option<&FlowFacts>) {
    let none = FlowFacts::default();
    let flow = flow.unwrap_or(&none);
    json.begin_object();
    json.key("bytes").unsigned(flow.bytes);
    json.key("gaps").begin_array();
    for gap in &flow.gaps {
        json.begin_object();
        json.key("at").unsigned(gap.at);
        json.key("length");
        match gap.length {
            Some(length) => json.unsigned(length),
            None => json.null(),
        }
        json.key("cause").string(gap.cause.name());
        json.key("packet").unsigned(gap.packet.number());
        json.end_object();
    }
    json.end_array();
    if flow.gap_count > flow.gaps.len() as u64 {
        json.key("gap_count").unsigned(flow.gap_count);
    }
    json.key("retransmitted").unsigned(flow.retransmitted);
    json.key("reordered").unsigned(flow.reordered);
    json.end_object();
}
