//! A connection as a line of JSON or of text.

use std::io::Write as _;

use rpcshark_captures::Direction;
use rpcshark_captures::connection::FlowFacts;

use super::call_json::{optional, rfc3339, write_notes};
use super::text::size_text;
use super::{Escaped, Printer};
use crate::json::Writer;
use crate::view::ConnectionView;

/// The line above the connections.
pub const CONNECTIONS_HEADING: &str = "Conn   Protocol Client                                   Server                                    Calls Errors         Up       Down  Missing\n";

impl Printer<'_> {
    /// Appends a connection as one line of JSON, with its newline; `errors` of its calls went wrong.
    pub fn write_connection_json(&self, connection: ConnectionView<'_>, errors: u32, out: &mut Vec<u8>) {
        let mut json = Writer::new(out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("connection").unsigned(connection.number().into());
        if let Some(stream) = connection.tcp_stream() {
            json.key("tcp_stream").unsigned(stream.into());
        }
        json.key("transport").string(connection.transport());
        json.key("protocol").string(connection.protocol().name());
        json.key("client").string(&connection.client().to_string());
        json.key("server").string(&connection.server().to_string());
        for (key, end) in [("client_name", connection.client()), ("server_name", connection.server())] {
            if let Some(name) = self.name(end) {
                json.key(key).string(&name);
            }
        }
        json.key("client_by").string(connection.client_by().name());
        for (key, process) in
            [("client_process", connection.client_process()), ("server_process", connection.server_process())]
        {
            if let Some(process) = process {
                json.key(key).string(process);
            }
        }
        json.key("first").string(&rfc3339(connection.first()));
        json.key("last").string(&rfc3339(connection.last()));
        json.key("packets").unsigned(connection.packets());
        for (key, direction) in [("to_server", Direction::ToServer), ("to_client", Direction::ToClient)] {
            json.key(key);
            write_flow(&mut json, connection.flow(direction));
        }
        json.key("joined").bool(connection.is_joined());
        json.key("closed");
        optional(&mut json, connection.closed());
        json.key("calls").unsigned(connection.calls().into());
        json.key("errors").unsigned(errors.into());
        json.key("notes");
        write_notes(&mut json, &connection.notes());
        json.end_object();
        out.push(b'\n');
    }

    /// Appends a connection as one line.
    pub fn write_connection_text(&self, connection: ConnectionView<'_>, errors: u32, out: &mut Vec<u8>) {
        let flows = || Direction::BOTH.into_iter().filter_map(|direction| connection.flow(direction));
        let bytes = |direction| connection.flow(direction).map_or(0, |flow| flow.bytes);
        let missing: u64 = flows().map(|flow| flow.missing()).sum();
        let gaps: u64 = flows().map(|flow| flow.gap_count()).sum();
        let joined = if connection.is_joined() { "  joined in the middle" } else { "" };
        let missing = match gaps {
            0 => "–".to_owned(),
            _ => {
                let mut causes = flows().flat_map(FlowFacts::gaps);
                let cause = causes.next().map_or("lost", |gap| gap.cause.name());
                let others = if causes.any(|gap| gap.cause.name() != cause) { " and others" } else { "" };
                format!("{} in {gaps} gaps ({cause}{others})", size_text(missing))
            }
        };
        // Writing to a vector cannot fail.
        let _ = writeln!(
            out,
            "c{no:<5} {protocol:<8} {client:<40} {server:<40} {calls:>6} {errors:>6} {up:>10} {down:>10}  {missing}{joined}",
            no = connection.number(),
            protocol = connection.protocol().name(),
            client = self.end_text(connection.client()),
            server = self.end_text(connection.server()),
            calls = connection.calls(),
            up = size_text(bytes(Direction::ToServer)),
            down = size_text(bytes(Direction::ToClient)),
        );
        for note in connection.notes() {
            let at = note.packet.map(|packet| format!("packet {}: ", packet.number())).unwrap_or_default();
            let _ = writeln!(out, "       ! {at}{}", Escaped(note.text.as_bytes()));
        }
    }
}

fn write_flow(json: &mut Writer<'_>, flow: Option<&FlowFacts>) {
    let none = FlowFacts::default();
    let flow = flow.unwrap_or(&none);
    json.begin_object();
    json.key("bytes").unsigned(flow.bytes);
    json.key("gaps").begin_array();
    for gap in flow.gaps() {
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
    if flow.gap_count() > flow.gaps().len() as u64 {
        json.key("gap_count").unsigned(flow.gap_count());
    }
    json.key("retransmitted").unsigned(flow.retransmitted);
    json.key("reordered").unsigned(flow.reordered);
    json.end_object();
}
