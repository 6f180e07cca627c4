//! A connection as a line of JSON or of text.

use std::io::Write as _;

use rpcshark_captures::Direction;
use rpcshark_captures::connection::FlowFacts;

use super::call_json::{optional, rfc3339, write_notes};
use super::fit::{self, MIN_WIDTH};
use super::problems::counted;
use super::text::size_text;
use super::{Escaped, Printer};
use crate::json::Writer;
use crate::tls::{Decryption, TlsFacts};
use crate::view::ConnectionView;

/// How the lines of connections are laid out.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionColumns {
    end: usize,
    has_bytes: bool,
    /// Columns of the terminal, if lines have to fit.
    width: Option<usize>,
}

/// Columns of an end where lines do not have to fit.
const END: usize = 40;

impl ConnectionColumns {
    /// Lines of at most `width` columns, of a terminal, shorten the ends and may leave out the bytes; without a `width` they
    /// are whole.
    pub fn new(width: Option<usize>) -> Self {
        let Some(width) = width.map(|width| width.max(MIN_WIDTH)) else {
            return Self { end: END, has_bytes: true, width: None };
        };
        // For the ends and what is missing.
        let left = width.saturating_sub(34);
        let has_bytes = left >= BYTES + 60;
        let left = if has_bytes { left - BYTES } else { left };
        Self { end: ((left - 10) / 2).min(END), has_bytes, width: Some(width) }
    }

    /// The line above the connections.
    pub fn heading(&self) -> String {
        let Self { end, .. } = *self;
        let bytes = if self.has_bytes { format!(" {:>10} {:>10}", "Up", "Down") } else { String::new() };
        format!(
            "{:<6} {:<8} {:<end$} {:<end$} {:>6} {:>6}{bytes}  Missing\n",
            "Conn", "Protocol", "Client", "Server", "Calls", "Errors"
        )
    }
}

/// Columns of the bytes in both directions.
const BYTES: usize = 22;

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
        if let Some(tls) = connection.tls() {
            json.key("tls");
            write_tls(&mut json, tls);
        }
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
        for (key, time) in [("first", connection.first()), ("last", connection.last())] {
            json.key(key);
            optional(&mut json, time.map(rfc3339).as_deref());
        }
        json.key("packets").unsigned(connection.packets());
        for (key, direction) in [("to_server", Direction::ToServer), ("to_client", Direction::ToClient)] {
            json.key(key);
            self.write_flow(&mut json, connection.flow(direction));
        }
        json.key("joined").bool(connection.is_joined());
        json.key("closed");
        optional(&mut json, connection.closed());
        json.key("calls").unsigned(connection.calls().into());
        json.key("errors").unsigned(errors.into());
        if connection.other_requests() > 0 {
            json.key("other_requests").unsigned(connection.other_requests().into());
        }
        json.key("notes");
        write_notes(&mut json, &connection.notes(), self, None);
        json.end_object();
        out.push(b'\n');
    }

    /// Appends a connection as one line, and below it the processes at its ends and its notes.
    pub fn write_connection_text(
        &self,
        connection: ConnectionView<'_>,
        columns: &ConnectionColumns,
        errors: u32,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
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
                let is_known = flows().flat_map(FlowFacts::gaps).all(|gap| gap.length.is_some());
                let size = match missing {
                    0 if !is_known => "an unknown number of bytes".to_owned(),
                    _ => format!("{}{}", size_text(missing), if is_known { "" } else { " and more" }),
                };
                format!("{size} in {} ({cause}{others})", counted(gaps, "gap"))
            }
        };
        let end = |end| {
            let text = self.end_text(end);
            if columns.width.is_some() { fit::cut_left(&text, columns.end).into_owned() } else { text }
        };
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "c{no:<5} {protocol:<8} {client:<width$} {server:<width$} {calls:>6} {errors:>6}",
            no = connection.number(),
            protocol = connection.protocol().name(),
            client = end(connection.client()),
            server = end(connection.server()),
            width = columns.end,
            calls = connection.calls(),
        );
        if columns.has_bytes {
            let [up, down] = Direction::BOTH.map(|direction| size_text(bytes(direction)));
            let _ = write!(out, " {up:>10} {down:>10}");
        }
        let _ = write!(out, "  {missing}{joined}");
        if let Some(width) = columns.width {
            fit::cut_right(out, start, width);
        }
        out.push(b'\n');
        let processes = [("client", connection.client_process()), ("server", connection.server_process())];
        let known = processes.into_iter().filter_map(|(end, process)| Some((end, Escaped(process?.as_bytes()))));
        let known: Vec<String> = known.map(|(end, process)| format!("{end} {process}")).collect();
        if !known.is_empty() {
            let _ = writeln!(out, "       processes: {}", known.join(", "));
        }
        if let Some(tls) = connection.tls().map(tls_text).filter(|tls| !tls.is_empty()) {
            let _ = writeln!(out, "       TLS: {}", Escaped(tls.as_bytes()));
        }
        for note in connection.notes() {
            let at =
                note.packet.map(|packet| format!("packet {}: ", self.packet_text(packet, None))).unwrap_or_default();
            let _ = writeln!(out, "       ! {at}{}", Escaped(note.text.as_bytes()));
        }
    }

    fn write_flow(&self, json: &mut Writer<'_>, flow: Option<&FlowFacts>) {
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
            if let Some(file) = self.other_file(gap.packet, None) {
                json.key("file").string(file);
            }
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
}

/// What the ends agreed on, and whether it was decrypted.
fn write_tls(json: &mut Writer<'_>, tls: &TlsFacts) {
    json.begin_object();
    json.key("version");
    optional(json, tls.version_name());
    json.key("suite");
    optional(json, tls.suite_name().as_deref());
    json.key("alpn");
    optional(json, tls.alpn.as_deref());
    json.key("offered").begin_array();
    tls.offered.iter().for_each(|protocol| json.string(protocol));
    json.end_array();
    json.key("server_name");
    optional(json, tls.server_name.as_deref());
    json.key("decryption").string(tls.decryption.name());
    json.end_object();
}

/// `TLS 1.3, TLS_AES_128_GCM_SHA256, h2, localhost, decrypted`
fn tls_text(tls: &TlsFacts) -> String {
    let offered = || (!tls.offered.is_empty()).then(|| format!("offers {}", tls.offered.join(", ")));
    let parts = [
        tls.version_name().map(|version| version.trim_start_matches("TLS ").to_owned()),
        tls.suite_name(),
        tls.alpn.as_deref().map(str::to_owned).or_else(offered),
        tls.server_name.as_deref().map(str::to_owned),
        (tls.decryption == Decryption::Decrypted).then(|| "decrypted".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
