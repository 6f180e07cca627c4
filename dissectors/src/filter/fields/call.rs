//! Fields of calls and of the connections that they are on.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

use rpcshark_captures::{Direction, Endpoint};

use super::{FieldSpec, Flow, Get, Visit};
use crate::filter::value::{Item, Names, Type, Value};
use crate::store::{End, Protocol};
use crate::view::{CallView, ConnectionView, FrameView, Known};

/// Fields of calls, and those that a call and a frame both have.
pub(super) static FIELDS: &[FieldSpec] = &[
    spec("rpc.no", Type::Unsigned, "Number of the call", Get::Call(no)),
    spec("rpc.protocol", Type::Word(PROTOCOLS), "What carries the call", Get::Call(protocol)),
    spec("rpc.path", Type::Text, "/service/method", Get::Call(path)),
    spec("rpc.service", Type::Text, "Service with its package", Get::Call(service)),
    spec("rpc.method", Type::Text, "Method, without the service", Get::Call(method)),
    spec("rpc.kind", Type::Word(KINDS), "Who streams", Get::Call(kind)),
    spec("rpc.client", Type::Text, "Client: address:port, unix:/path, vsock:cid:port", Get::Call(client)),
    spec("rpc.server", Type::Text, "Server: address:port, unix:/path, vsock:cid:port", Get::Call(server)),
    spec("rpc.start", Type::Time, "Time of the first byte of the request", Get::Call(start)),
    spec("rpc.duration", Type::Duration, "Time from the start to the end", Get::Call(duration)),
    spec("rpc.deadline", Type::Duration, "Deadline that the client set", Get::Call(deadline)),
    spec(
        "rpc.first_answer",
        Type::Duration,
        "Time from the start to the first response message",
        Get::Call(first_answer),
    ),
    spec(
        "rpc.stalled",
        Type::Duration,
        "Time for which flow control stopped a sender; absent if it did not",
        Get::Call(stalled),
    ),
    spec("rpc.outcome", Type::Word(OUTCOMES), "How the call went", Get::Call(outcome)),
    spec(
        "rpc.status",
        Type::Enum(Names::Fixed(STATUSES)),
        "Status on the wire, or the one that the end maps to",
        Get::Call(status),
    ),
    spec("rpc.status_message", Type::Text, "Message of the status on the wire", Get::Call(status_message)),
    spec("rpc.end", Type::Word(ENDS), "What ended the call", Get::Call(end)),
    spec("rpc.messages", Type::Unsigned, "Number of messages, both directions", Get::Call(messages)),
    spec("rpc.request.count", Type::Unsigned, "Number of request messages", Get::Call(requests)),
    spec("rpc.response.count", Type::Unsigned, "Number of response messages", Get::Call(responses)),
    spec("rpc.bytes", Type::Unsigned, "Bytes of all messages on the wire, without prefixes", Get::Call(bytes)),
    spec("rpc.note", Type::Text, "Kind of a note on the call: hpack-unknown", Get::Call(note)),
    spec("rpc.note.severity", Type::Word(SEVERITIES), "Severity of a note on the call", Get::Call(note_severity)),
    spec("rpc.note.text", Type::Text, "Text of a note on the call", Get::Call(note_text)),
    spec("rpc.request.<path>", Type::Label, "Field of a request message: rpc.request.items.sku", Get::Request),
    spec(
        "rpc.response.<path>",
        Type::Label,
        "Field of a response message: rpc.response.labels[\"tenant\"]",
        Get::Response,
    ),
    spec("connection", Type::Unsigned, "Number of the connection", Get::Ends(connection)),
    spec("tcp", Type::Label, "Carried by TCP", Get::Ends(tcp)),
    spec("tcp.stream", Type::Unsigned, "Wireshark's number of the TCP connection", Get::Ends(tcp_stream)),
    spec("tcp.port", Type::Unsigned, "TCP port of either end", Get::Ends(tcp_port)),
    spec("tcp.srcport", Type::Unsigned, "TCP port of the sender", Get::Ends(tcp_srcport)),
    spec("tcp.dstport", Type::Unsigned, "TCP port of the receiver", Get::Ends(tcp_dstport)),
    spec("ip.addr", Type::Address, "IPv4 or IPv6 address of either end", Get::Ends(ip_addr)),
    spec("ip.src", Type::Address, "IPv4 or IPv6 address of the sender", Get::Ends(ip_src)),
    spec("ip.dst", Type::Address, "IPv4 or IPv6 address of the receiver", Get::Ends(ip_dst)),
    spec("ipv6.addr", Type::Address, "IPv6 address of either end", Get::Ends(ipv6_addr)),
    spec("ipv6.src", Type::Address, "IPv6 address of the sender", Get::Ends(ipv6_src)),
    spec("ipv6.dst", Type::Address, "IPv6 address of the receiver", Get::Ends(ipv6_dst)),
    spec("unix", Type::Label, "Carried by a Unix socket", Get::Ends(unix)),
    spec("unix.path", Type::Text, "Path of the Unix socket; @name for an abstract one", Get::Ends(unix_path)),
    spec("unix.pid", Type::Unsigned, "Process at either end of the Unix socket", Get::Ends(unix_pid)),
    spec("vsock", Type::Label, "Carried by vsock", Get::Ends(vsock)),
    spec("vsock.cid", Type::Unsigned, "Context of either end of the vsock connection", Get::Ends(vsock_cid)),
    spec("vsock.port", Type::Unsigned, "vsock port of either end", Get::Ends(vsock_port)),
];

const fn spec(name: &'static str, ty: Type, help: &'static str, get: Get) -> FieldSpec {
    FieldSpec { name, ty, help, get }
}

const PROTOCOLS: &[&str] = &["grpc", "grpc-web", "ttrpc", "connect"];
const KINDS: &[&str] = &["unary", "client_streaming", "server_streaming", "bidi_streaming"];
const OUTCOMES: &[&str] = &["ok", "error", "reset", "incomplete", "open"];
const ENDS: &[&str] = &["trailers", "data", "response", "reset", "goaway", "connection", "gap"];
const SEVERITIES: &[&str] = &["info", "warning", "error"];

/// The names of gRPC's statuses.
pub(super) const STATUSES: &[(u32, &str)] = &[
    (0, "OK"),
    (1, "CANCELLED"),
    (2, "UNKNOWN"),
    (3, "INVALID_ARGUMENT"),
    (4, "DEADLINE_EXCEEDED"),
    (5, "NOT_FOUND"),
    (6, "ALREADY_EXISTS"),
    (7, "PERMISSION_DENIED"),
    (8, "RESOURCE_EXHAUSTED"),
    (9, "FAILED_PRECONDITION"),
    (10, "ABORTED"),
    (11, "OUT_OF_RANGE"),
    (12, "UNIMPLEMENTED"),
    (13, "INTERNAL"),
    (14, "UNAVAILABLE"),
    (15, "DATA_LOSS"),
    (16, "UNAUTHENTICATED"),
];

const CONTINUE: Flow = ControlFlow::Continue(());

fn value(value: Value<'_>, visit: &mut Visit<'_>) -> Flow {
    visit(Item::Value(value))
}

/// Visits what is known of a value.
fn known<T>(known: Known<T>, visit: &mut Visit<'_>, make: impl FnOnce(T, &mut Visit<'_>) -> Flow) -> Flow {
    match known {
        Known::Seen(value) | Known::Guessed(value) => make(value, visit),
        Known::Hidden { len } => visit(Item::Hidden(len)),
        Known::Absent => CONTINUE,
        Known::Unknown => visit(Item::Unknown),
    }
}

fn no(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::int(call.no()), visit)
}

fn protocol(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::text(call.protocol().name()), visit)
}

fn path(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    known(call.path(), visit, |path, visit| value(Value::text(path), visit))
}

fn service(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    known(call.service_and_method(), visit, |(service, _), visit| value(Value::text(service), visit))
}

fn method(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    known(call.service_and_method(), visit, |(_, method), visit| value(Value::text(method), visit))
}

fn kind(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    match call.kind() {
        Some(kind) => value(Value::text(kind.name()), visit),
        None => visit(Item::Unknown),
    }
}

fn client(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::owned(call.client().to_string()), visit)
}

fn server(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::owned(call.server().to_string()), visit)
}

fn start(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    match call.start() {
        Some(start) => value(Value::time(start), visit),
        None => visit(Item::Unknown),
    }
}

/// The duration of an open call is absent; that of one whose start or end was not seen is unknown.
fn duration(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    match (call.duration_ns(), call.end()) {
        (Some(nanos), _) => value(Value::Duration(nanos.into()), visit),
        (None, None) => CONTINUE,
        (None, Some(_)) => visit(Item::Unknown),
    }
}

fn deadline(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    known(call.deadline_ns(), visit, |nanos, visit| value(Value::Duration(nanos.into()), visit))
}

fn stalled(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    known(call.stalls(), visit, |stalls, visit| value(Value::Duration(stalls.total_ns().into()), visit))
}

fn first_answer(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    let Some(first) = call.messages(Direction::ToClient).next() else { return CONTINUE };
    let since_start = first.at().and_then(|at| call.since_start(at));
    match since_start.filter(|_| call.request_headers().is_some()) {
        Some(nanos) => value(Value::Duration(nanos.into()), visit),
        None => visit(Item::Unknown),
    }
}

fn outcome(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    match call.outcome() {
        Some(outcome) => value(Value::text(outcome.name()), visit),
        None => visit(Item::Unknown),
    }
}

/// The status of an open call is absent, and so is that of a call whose end says that none was sent; one that was lost is
/// unknown.
fn status(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    let code = call.status_code().or_else(|| call.mapped_status().map(|mapped| mapped.code));
    match code {
        Some(code) => value(Value::int(code.0), visit),
        None if is_status_lost(call) => visit(Item::Unknown),
        None => CONTINUE,
    }
}

/// Whether a call has ended with a status that the capture does not hold.
fn is_status_lost(call: &CallView<'_>) -> bool {
    match call.end() {
        None => false,
        Some(End::Gap) => true,
        // Nothing was sent, unless something is missing of what was.
        Some(End::Connection) => {
            call.connection().flow(Direction::ToClient).is_some_and(|flow| !flow.gaps().is_empty())
        }
        Some(_) => call.outcome().is_none(),
    }
}

fn status_message(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    let Some(status) = call.status() else {
        return if is_status_lost(call) { visit(Item::Unknown) } else { CONTINUE };
    };
    if call.protocol() != Protocol::Ttrpc
        && let Some(trailers) = call.trailers()
    {
        return known(trailers.value(b"grpc-message"), visit, |_, visit| value(Value::text(&status.message), visit));
    }
    value(Value::text(&status.message), visit)
}

fn end(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    match call.end() {
        Some(end) => value(Value::text(end.name()), visit),
        None => CONTINUE,
    }
}

fn messages(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    let totals = call.totals();
    value(Value::int(totals.requests + totals.responses), visit)
}

fn requests(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::int(call.totals().requests), visit)
}

fn responses(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::int(call.totals().responses), visit)
}

fn bytes(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::int(call.totals().bytes), visit)
}

fn note(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    call.notes().iter().try_for_each(|note| value(Value::text(note.kind), visit))
}

fn note_severity(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    call.notes().iter().try_for_each(|note| value(Value::text(note.severity.name()), visit))
}

fn note_text(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    call.notes().iter().try_for_each(|note| value(Value::text(&note.text), visit))
}

fn connection(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    value(Value::int(ends.connection.number()), visit)
}

fn tcp_stream(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    visit_number(ends.connection.tcp_stream(), visit)
}

/// The ends of a call or of a frame, and who sends to whom.
pub(in crate::filter) struct Ends<'a> {
    connection: ConnectionView<'a>,
    /// Client and server.
    both: [&'a Endpoint; 2],
    /// Sender and receiver, once for each direction in which something was sent.
    sent: [Option<(&'a Endpoint, &'a Endpoint)>; 2],
}

impl<'a> Ends<'a> {
    pub(in crate::filter) fn of_call(call: &CallView<'a>) -> Self {
        let (client, server) = (call.client(), call.server());
        let totals = call.totals();
        let reset = |direction| call.resets().iter().any(|reset| reset.direction == direction);
        let asked = totals.requests > 0 || call.request_headers().is_some() || call.half_close_at().is_some();
        let answered = totals.responses > 0
            || call.response_headers().is_some()
            || call.trailers().is_some()
            || matches!(call.end(), Some(End::Data | End::Response | End::Trailers));
        let up = asked || reset(Direction::ToServer);
        let down = answered || reset(Direction::ToClient);
        let sent = [up.then_some((client, server)), down.then_some((server, client))];
        Self { connection: call.connection(), both: [client, server], sent }
    }

    pub(in crate::filter) fn of_frame(frame: FrameView<'a>) -> Self {
        let connection = frame.connection_view();
        let (client, server) = (connection.client(), connection.server());
        let sent = match frame.direction() {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        };
        Self { connection, both: [sent.0, sent.1], sent: [Some(sent), None] }
    }

    fn either(&self, visit: impl FnMut(&Endpoint) -> Flow) -> Flow {
        self.both.into_iter().try_for_each(visit)
    }

    fn senders(&self, mut visit: impl FnMut(&Endpoint) -> Flow) -> Flow {
        self.sent.iter().flatten().try_for_each(|(from, _)| visit(from))
    }

    fn receivers(&self, mut visit: impl FnMut(&Endpoint) -> Flow) -> Flow {
        self.sent.iter().flatten().try_for_each(|(_, to)| visit(to))
    }
}

fn visit_number(number: Option<impl Into<i128>>, visit: &mut Visit<'_>) -> Flow {
    number.map_or(CONTINUE, |number| value(Value::Int(number.into()), visit))
}

fn visit_port(end: &Endpoint, visit: &mut Visit<'_>) -> Flow {
    match end {
        Endpoint::Tcp(addr) => value(Value::int(addr.port()), visit),
        _ => CONTINUE,
    }
}

fn visit_ip(end: &Endpoint, visit: &mut Visit<'_>) -> Flow {
    match end {
        Endpoint::Tcp(addr) => value(Value::Address(addr.ip()), visit),
        _ => CONTINUE,
    }
}

fn visit_ipv6(end: &Endpoint, visit: &mut Visit<'_>) -> Flow {
    match end {
        Endpoint::Tcp(SocketAddr::V6(addr)) => value(Value::Address(IpAddr::V6(*addr.ip())), visit),
        _ => CONTINUE,
    }
}

/// The path that an end is bound to.
fn visit_path(end: &Endpoint, visit: &mut Visit<'_>) -> Flow {
    match end {
        Endpoint::UnixPath(path) => value(Value::Text(Cow::Borrowed(path)), visit),
        Endpoint::UnixAbstract(name) => value(Value::Text(Cow::Owned([b"@", &**name].concat())), visit),
        _ => CONTINUE,
    }
}

fn visit_cid(end: &Endpoint, visit: &mut Visit<'_>) -> Flow {
    match end {
        Endpoint::Vsock { cid, .. } => value(Value::int(*cid), visit),
        _ => CONTINUE,
    }
}

fn visit_vsock_port(end: &Endpoint, visit: &mut Visit<'_>) -> Flow {
    match end {
        Endpoint::Vsock { port, .. } => value(Value::int(*port), visit),
        _ => CONTINUE,
    }
}

fn tcp_port(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.either(|end| visit_port(end, visit))
}

fn tcp_srcport(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.senders(|end| visit_port(end, visit))
}

fn tcp_dstport(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.receivers(|end| visit_port(end, visit))
}

fn ip_addr(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.either(|end| visit_ip(end, visit))
}

fn ip_src(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.senders(|end| visit_ip(end, visit))
}

fn ip_dst(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.receivers(|end| visit_ip(end, visit))
}

fn ipv6_addr(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.either(|end| visit_ipv6(end, visit))
}

fn ipv6_src(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.senders(|end| visit_ipv6(end, visit))
}

fn ipv6_dst(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.receivers(|end| visit_ipv6(end, visit))
}

fn unix_path(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.either(|end| visit_path(end, visit))
}

fn vsock_cid(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.either(|end| visit_cid(end, visit))
}

fn vsock_port(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    ends.either(|end| visit_vsock_port(end, visit))
}

fn visit_transport(ends: &Ends<'_>, name: &str, visit: &mut Visit<'_>) -> Flow {
    if ends.connection.transport() == name { value(Value::Present, visit) } else { CONTINUE }
}

fn tcp(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    visit_transport(ends, "tcp", visit)
}

fn unix(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    visit_transport(ends, "unix", visit)
}

fn vsock(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    visit_transport(ends, "vsock", visit)
}

fn unix_pid(ends: &Ends<'_>, visit: &mut Visit<'_>) -> Flow {
    if ends.connection.transport() != "unix" {
        return CONTINUE;
    }
    let processes = [ends.connection.client_process(), ends.connection.server_process()];
    processes.into_iter().flatten().try_for_each(|process| visit_number(pid_of(process), visit))
}

/// The number in the text of a process: `ctr (812)`, `pid 812`.
fn pid_of(process: &str) -> Option<u32> {
    let in_parentheses = || process.strip_suffix(')')?.rsplit_once('(').map(|(_, pid)| pid);
    process.strip_prefix("pid ").or_else(in_parentheses)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::Status;
    use crate::view::{Kind, Outcome};

    #[test]
    fn words_and_names_are_those_of_the_values() {
        for &(number, name) in STATUSES {
            assert_eq!(Status(number).known_name(), Some(name));
        }
        assert_eq!(Status(STATUSES.len() as u32).known_name(), None);
        let outcomes = [Outcome::Ok, Outcome::Error, Outcome::Reset, Outcome::Incomplete, Outcome::Open];
        assert_eq!(outcomes.map(Outcome::name), OUTCOMES);
        let kinds = [Kind::Unary, Kind::ClientStreaming, Kind::ServerStreaming, Kind::BidiStreaming];
        assert_eq!(kinds.map(Kind::name), KINDS);
        let ends = [End::Trailers, End::Data, End::Response, End::Reset, End::Goaway, End::Connection, End::Gap];
        assert_eq!(ends.map(End::name), ENDS);
    }

    #[test]
    fn the_number_of_a_process_is_found() {
        assert_eq!(pid_of("ctr (812)"), Some(812));
        assert_eq!(pid_of("pid 4121"), Some(4121));
        assert_eq!(pid_of("a (b)"), None);
        assert_eq!(pid_of("containerd"), None);
    }
}
