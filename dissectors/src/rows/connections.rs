//! The columns of `connections`.

use rpcshark_captures::Direction;
use rpcshark_captures::connection::FlowFacts;

use super::column::{RowField, Table, Values, duration, known, number, one, optional, text};
use crate::filter::{Item, Type, Value};
use crate::tls::TlsFacts;
use crate::view::ConnectionView;

/// The table of connections.
#[derive(Clone, Copy, Debug)]
pub struct Connections;

/// A connection in the table.
#[derive(Clone, Copy)]
pub struct ConnectionRow<'a> {
    /// The connection.
    pub connection: ConnectionView<'a>,
    /// How many of its calls failed.
    pub errors: u32,
}

impl Table for Connections {
    const NAME: &'static str = "connections";
    const FIELDS: &'static [RowField<Get>] = FIELDS;
    type Row<'a> = ConnectionRow<'a>;
    type Get = Get;

    fn values(get: Get, row: &ConnectionRow<'_>) -> Values {
        get(row)
    }
}

/// How values of a row are obtained.
pub(super) type Get = for<'a> fn(&ConnectionRow<'a>) -> Values;

const fn field(name: &'static str, ty: Type, help: &'static str, get: Get) -> RowField<Get> {
    RowField::new(name, ty, help, get)
}

const FIELDS: &[RowField<Get>] = &[
    field("connection", Type::Unsigned, "Number of the connection", |row| number(row.connection.number())),
    field("tcp_stream", Type::Unsigned, "Wireshark's number of the TCP connection", |row| {
        optional(row.connection.tcp_stream().map(|stream| Value::Int(stream.into())))
    }),
    field("transport", Type::Text, "tcp, unix or vsock", |row| text(row.connection.transport())),
    field("protocol", Type::Text, "What is sent over it", |row| text(row.connection.protocol().name())),
    field("client", Type::Text, "Client: address:port, unix:/path, vsock:cid:port", |row| {
        text(row.connection.client().to_string())
    }),
    field("server", Type::Text, "Server: address:port, unix:/path, vsock:cid:port", |row| {
        text(row.connection.server().to_string())
    }),
    field("client_name", Type::Text, "Name of the client's address in the capture", |row| {
        optional_text(row.connection.client_name())
    }),
    field("server_name", Type::Text, "Name of the server's address in the capture", |row| {
        optional_text(row.connection.server_name())
    }),
    field("client_by", Type::Text, "How the client was determined", |row| text(row.connection.client_by().name())),
    field("client_process", Type::Text, "Process at the client's end", |row| {
        optional_text(row.connection.client_process())
    }),
    field("server_process", Type::Text, "Process at the server's end", |row| {
        optional_text(row.connection.server_process())
    }),
    field("first", Type::Time, "Time of its first packet", |row| known(row.connection.first().map(Value::time))),
    field("last", Type::Time, "Time of its last packet", |row| known(row.connection.last().map(Value::time))),
    field("duration", Type::Duration, "Time from its first packet to its last", |row| {
        let span = row.connection.first().zip(row.connection.last());
        known(span.map(|(first, last)| duration(last.nanos_since(first))))
    }),
    field("packets", Type::Unsigned, "Number of its packets", |row| number(row.connection.packets())),
    field("calls", Type::Unsigned, "Number of its calls", |row| number(row.connection.calls())),
    field("errors", Type::Unsigned, "Calls that failed: with an error or a reset", |row| number(row.errors)),
    field("bytes", Type::Unsigned, "Bytes read, both directions", |row| sum(row, |flow| flow.bytes)),
    field("up", Type::Unsigned, "Bytes to the server", |row| of(row, Direction::ToServer, |flow| flow.bytes))
        .json("to_server.bytes"),
    field("down", Type::Unsigned, "Bytes to the client", |row| of(row, Direction::ToClient, |flow| flow.bytes))
        .json("to_client.bytes"),
    field("missing", Type::Unsigned, "Bytes missing in gaps, as far as their lengths are known", |row| {
        sum(row, FlowFacts::missing)
    }),
    field("gaps", Type::Unsigned, "Number of gaps, both directions", |row| sum(row, FlowFacts::gap_count)),
    field("up_gaps", Type::Unsigned, "Gaps of the bytes to the server", |row| {
        of(row, Direction::ToServer, FlowFacts::gap_count)
    })
    .json("to_server.gaps"),
    field("down_gaps", Type::Unsigned, "Gaps of the bytes to the client", |row| {
        of(row, Direction::ToClient, FlowFacts::gap_count)
    })
    .json("to_client.gaps"),
    field("retransmitted", Type::Unsigned, "Retransmitted segments, both directions", |row| {
        sum(row, |flow| flow.retransmitted)
    }),
    field("up_retransmitted", Type::Unsigned, "Retransmitted segments to the server", |row| {
        of(row, Direction::ToServer, |flow| flow.retransmitted)
    })
    .json("to_server.retransmitted"),
    field("down_retransmitted", Type::Unsigned, "Retransmitted segments to the client", |row| {
        of(row, Direction::ToClient, |flow| flow.retransmitted)
    })
    .json("to_client.retransmitted"),
    field("reordered", Type::Unsigned, "Segments that came out of order, both directions", |row| {
        sum(row, |flow| flow.reordered)
    }),
    field("up_reordered", Type::Unsigned, "Segments to the server that came out of order", |row| {
        of(row, Direction::ToServer, |flow| flow.reordered)
    })
    .json("to_server.reordered"),
    field("down_reordered", Type::Unsigned, "Segments to the client that came out of order", |row| {
        of(row, Direction::ToClient, |flow| flow.reordered)
    })
    .json("to_client.reordered"),
    field("joined", Type::Bool, "Whether its beginning is not in the capture", |row| {
        one(Value::Bool(row.connection.is_joined()))
    }),
    field("closed", Type::Text, "How it was closed: fin, rst, timeout", |row| optional_text(row.connection.closed())),
    field("tls.version", Type::Text, "TLS version", |row| of_tls(row, |tls| tls.version_name().map(str::to_owned))),
    field("tls.suite", Type::Text, "TLS cipher suite", |row| of_tls(row, TlsFacts::suite_name)),
    field("tls.alpn", Type::Text, "Application protocol chosen in TLS", |row| {
        of_tls(row, |tls| tls.alpn.as_deref().map(str::to_owned))
    }),
    field("tls.offered", Type::Text, "Application protocols that the client offers in TLS", |row| {
        let offered = row.connection.tls().into_iter().flat_map(|tls| tls.offered.iter());
        offered.map(|protocol| Item::Value(Value::owned(protocol.to_string()))).collect()
    }),
    field("tls.server_name", Type::Text, "Server name that the client asks for in TLS", |row| {
        of_tls(row, |tls| tls.server_name.as_deref().map(str::to_owned))
    }),
    field("tls.decryption", Type::Text, "Whether TLS was decrypted", |row| {
        of_tls(row, |tls| Some(tls.decryption.name().to_owned()))
    }),
    field("notes", Type::Text, "Kinds of its notes", |row| {
        row.connection.notes().into_iter().map(|note| Item::Value(Value::owned(note.kind.to_owned()))).collect()
    }),
];

fn optional_text(text: Option<&str>) -> Values {
    optional(text.map(|text| Value::owned(text.to_owned())))
}

/// A number of one direction.
fn of(row: &ConnectionRow<'_>, direction: Direction, get: fn(&FlowFacts) -> u64) -> Values {
    number(row.connection.flow(direction).map_or(0, get))
}

/// A number of both directions together.
fn sum(row: &ConnectionRow<'_>, get: fn(&FlowFacts) -> u64) -> Values {
    let flows = Direction::BOTH.into_iter().filter_map(|direction| row.connection.flow(direction));
    number(flows.map(get).sum::<u64>())
}

/// What is known of an encrypted connection; absent where it is not encrypted.
fn of_tls(row: &ConnectionRow<'_>, get: fn(&TlsFacts) -> Option<String>) -> Values {
    row.connection.tls().map_or_else(Values::new, |tls| known(get(tls).map(Value::owned)))
}
