//! Writing calls as a capture that stands alone.
//!
//! What the connections had delivered is gone through in the order of the reading, so that a reader of the export meets
//! everything in the same order: requests and answers, acknowledgments, gaps, closes.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Write};

use rpcshark_captures::connection::Close;
use rpcshark_captures::write::{About, Ends, Party, Process, StreamWriter, WrittenStream};
use rpcshark_captures::{Direction, Endpoint, Sources, Timestamp};
use rpcshark_dissectors::store::{CallId, CallRef, Connection, ConnectionProtocol, ConnectionRef, Framing, Store};
use rpcshark_dissectors::view::Viewer;

use super::data::{Bodies, Part};
use super::flow::FlowBytes;
use super::piece::{Action, Piece};
use super::redaction::{Redacted, Redactor};
use super::{http1, http2, ttrpc};
use crate::load::{ExactConnection, ExactFrame, ExactReading};
use crate::tap::{Delivered, Delivery};

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Connections that were written.
    pub(crate) connections: usize,
    /// NRI trunks that were written whole, since their calls cannot be separated.
    pub(crate) whole_trunks: usize,
    /// Runs of bytes that could not be read again; they are gaps in the export.
    pub(crate) unreadable: u64,
    /// What was done about secrets.
    pub(crate) redacted: Redacted,
}

/// Replaces the secrets of an export.
#[derive(Clone, Copy)]
pub(crate) struct Redacting<'a> {
    /// What puts other values in their place.
    pub(crate) redactor: &'a Redactor<'a>,
    /// The calls of the reading that is exported, with nothing hidden.
    pub(crate) viewer: Viewer<'a>,
}

/// The connections of `calls`, each once, in the order of their first calls.
pub(crate) fn connections_of(store: &Store, calls: &[CallRef]) -> Vec<ConnectionRef> {
    let mut known = HashSet::new();
    let connections = calls.iter().map(|&at| ConnectionRef { lane: at.lane, id: store.call(at).connection });
    connections.filter(|&at| known.insert(at)).collect()
}

/// Writes `calls` of a reading to `out`; with `redacting`, without their secrets.
///
/// # Errors
///
/// If `out` cannot be written.
pub(crate) fn export_capture<W: Write>(
    reading: &ExactReading,
    calls: &[CallRef],
    redacting: Option<Redacting<'_>>,
    out: W,
) -> io::Result<(W, Exported)> {
    let shown: HashSet<CallRef> = calls.iter().copied().collect();
    let about = About { description: "exported calls in synthetic TCP".into(), ..About::default() };
    let mut writer = StreamWriter::new(out, &about)?;
    let mut exported = Exported { connections: reading.connections.len(), ..Exported::default() };
    let mut all: Vec<Rewriting<'_>> = Vec::new();
    let mut order = Vec::new();
    for (number, connection) in reading.connections.iter().enumerate() {
        let rewriting = Rewriting::new(reading, connection, &shown, redacting, &mut exported);
        all.push(rewriting);
        let deliveries = connection.deliveries.iter().enumerate();
        order.extend(deliveries.map(|(index, delivery)| (delivery.order, number, index)));
    }
    // One packet can deliver several things of one connection: their order is kept.
    order.sort_by_key(|&(order, number, _)| (order, number));
    if reading.connections.iter().any(acknowledges_ahead) {
        // Where in the export the acknowledged bytes will stand is known when everything was written once.
        write(&mut all, &order, &mut StreamWriter::new(io::sink(), &about)?, &mut Exported::default())?;
        all.iter_mut().flat_map(|rewriting| &mut rewriting.flows).for_each(Flow::restart);
    }
    write(&mut all, &order, &mut writer, &mut exported)?;
    Ok((writer.finish()?, exported))
}

/// Writes connections; `order` names their deliveries: the position in the reading, which connection, which delivery of it.
fn write<W: Write>(
    all: &mut [Rewriting<'_>],
    order: &[(u64, usize, usize)],
    writer: &mut StreamWriter<W>,
    exported: &mut Exported,
) -> io::Result<()> {
    for &(_, number, index) in order {
        if let Some(rewriting) = all.get_mut(number)
            && let Some(delivery) = rewriting.connection.deliveries.get(index)
        {
            rewriting.deliver(delivery, writer, exported)?;
        }
    }
    for rewriting in all {
        if let Some(stream) = rewriting.stream.take() {
            writer.end(stream)?;
        }
    }
    Ok(())
}

/// Whether a packet acknowledges bytes that are delivered later: while a flow waits for missing bytes, those after them
/// are held back.
fn acknowledges_ahead(connection: &ExactConnection) -> bool {
    let mut ends = [0; 2];
    connection.deliveries.iter().any(|delivery| {
        let (len, acked) = match delivery.what {
            Delivered::Data { len, acked, .. } => (u64::from(len), acked),
            Delivered::Gap(length) => (length.unwrap_or(0), None),
            Delivered::Closed(_) => (0, None),
        };
        ends[delivery.seen.index()] = delivery.offset + len;
        acked.is_some_and(|acked| acked > ends[delivery.seen.reverse().index()])
    })
}

/// A connection that is being written again.
struct Rewriting<'a> {
    connection: &'a ExactConnection,
    sources: &'a Sources,
    ends: Ends,
    first: Timestamp,
    /// Its beginning was not seen.
    joined: bool,
    /// The roles are not those that were assumed at the beginning.
    swapped: bool,
    protocol: Framing,
    /// By the direction as seen.
    flows: [Flow<'a>; 2],
    redactor: Option<&'a Redactor<'a>>,
    stream: Option<WrittenStream>,
    /// What is gathered for one packet.
    packet: Vec<u8>,
    scratch: Vec<u8>,
}

/// One flow of it.
#[derive(Default)]
struct Flow<'a> {
    pieces: Vec<Piece>,
    /// The messages in its DATA frames, if secrets are replaced.
    bodies: Bodies<'a>,
    /// What is still to be written of the piece that is being written.
    parts: VecDeque<(u64, Part)>,
    /// The piece that comes next, or that is being written.
    next: usize,
    /// Behind a gap: a reader has to find where frames begin.
    broken: bool,
    /// Bytes in which no frames were found, since the last frame.
    passed: u64,
    /// What was written, in order.
    written: Vec<Written>,
    /// What will be written, where that is known.
    planned: Vec<Written>,
}

/// How far a flow was written.
#[derive(Clone, Copy)]
struct Written {
    /// The offset in the original flow,
    original: u64,
    /// the one in the export,
    exported: u64,
    /// and how many packets the export had.
    packets: u64,
}

/// How many packets ahead of bytes they may be acknowledged: fewer than those after which a reader takes acknowledged bytes
/// that it has not seen for lost.
const PACKETS_AHEAD: u64 = 60;

/// Stands for a gap of unknown length: no frame reaches beyond it.
const UNKNOWN_GAP: u64 = 1 << 25;

impl<'a> Rewriting<'a> {
    fn new(
        reading: &'a ExactReading,
        connection: &'a ExactConnection,
        shown: &HashSet<CallRef>,
        redacting: Option<Redacting<'a>>,
        exported: &mut Exported,
    ) -> Self {
        let store: &Store = &reading.store;
        let stored = store.connection(connection.at);
        let protocol = connection.frames.first().map_or(Framing::Http2, |frame| frame.protocol);
        let joined = stored.facts.as_ref().is_some_and(|facts| facts.joined);
        let sources = &*reading.sources;
        let all_bytes = Direction::BOTH.map(|seen| FlowBytes::new(&connection.deliveries, seen, sources));
        let mut http1 = (stored.protocol == ConnectionProtocol::Http1).then(|| {
            let done = &mut exported.redacted;
            http1_pieces(reading, connection, &all_bytes, shown, redacting, done)
        });
        let flows = Direction::BOTH.map(|seen| {
            let bytes = &all_bytes[seen.index()];
            if let Some(pieces) = &mut http1 {
                return Flow { pieces: std::mem::take(&mut pieces[seen.index()]), ..Flow::default() };
            }
            let mut frames: Vec<ExactFrame> =
                connection.frames.iter().filter(|frame| frame.seen == seen).cloned().collect();
            frames.sort_by_key(|frame| (frame.extent.start, frame.extent.end));
            let lane = store.lane(connection.at.lane);
            let mut of_connection: Vec<CallRef> = shown
                .iter()
                .filter(|at| at.lane == connection.at.lane && store.call(**at).connection == connection.at.id)
                .copied()
                .collect();
            of_connection.sort_by_key(|&at| store.call(at).no);
            let calls = of_connection.iter().copied();
            let oriented = if stored.roles_swapped { seen.reverse() } else { seen };
            let redactor = redacting.map(|redacting| redacting.redactor);
            let done = &mut exported.redacted;
            let mut bodies = Bodies::default();
            let pieces = match protocol {
                Framing::Http2 => {
                    if let Some(Redacting { viewer, .. }) = redacting {
                        bodies = Bodies::new(viewer, calls.clone(), oriented, done);
                    }
                    let streams = calls.clone().map(|at| store.call(at).stream).collect();
                    let redaction =
                        redacting.map(|Redacting { redactor, viewer }| http1::Redaction { redactor, viewer });
                    // RFC 7540 §3.2: an upgraded request is stream 1.
                    let mut upgraded = calls.filter(|at| store.call(*at).stream == 1);
                    let upgraded = upgraded.next().filter(|_| oriented == Direction::ToServer);
                    let redaction = redaction.as_ref().map(|redaction| (redaction, upgraded));
                    Some(http2::pieces(&frames, &streams, bytes, lane, redaction, done))
                }
                Framing::Ttrpc => {
                    let redaction = redacting.map(|Redacting { redactor, viewer }| ttrpc::Redaction {
                        redactor,
                        messages: ttrpc::Messages::new(viewer, calls.clone(), oriented),
                    });
                    let calls: HashSet<CallId> = calls.map(|at| at.id).collect();
                    ttrpc::pieces(&frames, &calls, bytes, redaction.as_ref(), done)
                }
            };
            let pieces = pieces.unwrap_or_else(|| {
                exported.whole_trunks += 1;
                // What cannot be separated cannot be redacted.
                if redactor.is_some() { Vec::new() } else { vec![Piece::copy(0..bytes.end())] }
            });
            Flow { pieces, bodies, ..Flow::default() }
        });
        if stored.protocol == ConnectionProtocol::Nri && exported.whole_trunks > 0 {
            exported.whole_trunks = exported.whole_trunks.div_ceil(2);
        }
        Self {
            connection,
            sources,
            ends: ends_of(stored),
            first: stored.first,
            joined,
            swapped: stored.roles_swapped,
            protocol,
            flows,
            redactor: redacting.map(|redacting| redacting.redactor),
            stream: None,
            packet: Vec::new(),
            scratch: Vec::new(),
        }
    }

    fn oriented(&self, seen: Direction) -> Direction {
        if self.swapped { seen.reverse() } else { seen }
    }

    fn deliver<W: Write>(
        &mut self,
        delivery: &Delivery,
        writer: &mut StreamWriter<W>,
        exported: &mut Exported,
    ) -> io::Result<()> {
        if self.stream.is_none() {
            let mut stream = writer.open(&self.ends, self.first)?;
            if self.joined {
                for direction in Direction::BOTH {
                    writer.skip(&mut stream, direction, 1, delivery.time)?;
                }
                self.flows.iter_mut().for_each(|flow| flow.broken = true);
            }
            self.stream = Some(stream);
        }
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        let direction = self.oriented(delivery.seen);
        let result = match delivery.what {
            Delivered::Data { at, len, acked } => {
                let other = &self.flows[delivery.seen.reverse().index()];
                let received = acked.map(|acked| other.offset_in_export(acked, writer.packets()));
                stream.set_acknowledgment(direction, received);
                let mut scratch = std::mem::take(&mut self.scratch);
                let bytes = self.sources.get(at, len as usize, &mut scratch).unwrap_or_else(|_| {
                    exported.unreadable += 1;
                    &[]
                });
                let result = match bytes.is_empty() {
                    true => self.gap(delivery, Some(len.into()), &mut stream, writer),
                    false => self.data(delivery, bytes, &mut stream, writer, exported),
                };
                self.scratch = scratch;
                result
            }
            Delivered::Gap(length) => self.gap(delivery, length, &mut stream, writer),
            Delivered::Closed(Close::Fin) => writer.close(&mut stream, direction, delivery.time),
            Delivered::Closed(Close::Rst | Close::Timeout) => writer.reset(&mut stream, direction, delivery.time),
            Delivered::Closed(Close::EndOfCapture) => Ok(()),
        };
        self.stream = Some(stream);
        result
    }

    /// Bytes of a flow.
    fn data<W: Write>(
        &mut self,
        delivery: &Delivery,
        bytes: &[u8],
        stream: &mut WrittenStream,
        writer: &mut StreamWriter<W>,
        exported: &mut Exported,
    ) -> io::Result<()> {
        let direction = self.oriented(delivery.seen);
        let time = delivery.time;
        let begin = delivery.offset;
        let end = begin + bytes.len() as u64;
        let (protocol, redactor) = (self.protocol, self.redactor);
        let flow = &mut self.flows[delivery.seen.index()];
        let packet = &mut self.packet;
        packet.clear();
        let mut at = begin;
        while at < end {
            let Some(piece) = flow.pieces.get(flow.next) else {
                flow.passed += end - at;
                break;
            };
            if piece.range.end <= at {
                flow.next += 1;
                continue;
            }
            if piece.range.start > at {
                let to = piece.range.start.min(end);
                flow.passed += to - at;
                at = to;
                continue;
            }
            let begins = at == piece.range.start;
            let to = piece.range.end.min(end);
            let ends = to == piece.range.end;
            if begins && !matches!(piece.action, Action::Drop { .. }) {
                if flow.passed > 0 && !flow.broken {
                    writer.data(stream, direction, packet, time, None)?;
                    packet.clear();
                    writer.skip(stream, direction, flow.passed, time)?;
                    flow.broken = true;
                }
                if std::mem::take(&mut flow.broken) && protocol == Framing::Http2 {
                    packet.extend_from_slice(&http2::boundary_marks());
                }
            }
            flow.passed = 0;
            if begins {
                flow.parts = match (&piece.action, redactor) {
                    (Action::Parts(parts), _) => parts.clone().into(),
                    (Action::Data(frame), Some(redactor)) => {
                        flow.bodies.frame(frame, redactor, &mut exported.redacted).into()
                    }
                    _ => VecDeque::new(),
                };
            }
            match &piece.action {
                Action::Copy => {
                    let part = (at - begin) as usize..(to - begin) as usize;
                    packet.extend_from_slice(bytes.get(part).unwrap_or_default());
                }
                Action::Replace { bytes, head } => {
                    let (first, rest) = bytes.split_at((*head).min(bytes.len()));
                    packet.extend_from_slice(if begins { first } else { &[] });
                    packet.extend_from_slice(if ends { rest } else { &[] });
                }
                Action::Parts(_) | Action::Data(_) => {
                    let until = if ends { u64::MAX } else { to };
                    write_parts(&mut flow.parts, until, packet, |packet, missing| {
                        writer.data(stream, direction, packet, time, None)?;
                        packet.clear();
                        writer.skip(stream, direction, missing, time)
                    })?;
                }
                Action::Drop { .. } => {}
            }
            at = to;
            if ends {
                flow.next += 1;
                // A frame of ttrpc that comes alone shows a reader where frames begin.
                if protocol == Framing::Ttrpc {
                    writer.data(stream, direction, packet, time, None)?;
                    packet.clear();
                }
            }
        }
        writer.data(stream, direction, packet, time, None)?;
        flow.wrote(end, stream.sent(direction), writer.packets());
        Ok(())
    }

    /// Bytes are missing from a flow.
    fn gap<W: Write>(
        &mut self,
        delivery: &Delivery,
        length: Option<u64>,
        stream: &mut WrittenStream,
        writer: &mut StreamWriter<W>,
    ) -> io::Result<()> {
        let direction = self.oriented(delivery.seen);
        let flow = &mut self.flows[delivery.seen.index()];
        let begin = delivery.offset;
        let end = begin + length.unwrap_or(0);
        while flow.pieces.get(flow.next).is_some_and(|piece| piece.range.end <= begin) {
            flow.next += 1;
        }
        let piece = flow.pieces.get(flow.next).filter(|piece| piece.range.start < begin);
        let rewrites = piece.is_some_and(|piece| matches!(piece.action, Action::Parts(_) | Action::Data(_)));
        // Inside a frame whose length is known its reader continues after it.
        let inside = piece.filter(|piece| length.is_some() && end <= piece.range.end);
        let is_inside = inside.is_some();
        if rewrites {
            // What is written for the frame is as long as its header says, whatever is missing.
            let until = if is_inside { end } else { u64::MAX };
            let (packet, time) = (&mut self.packet, delivery.time);
            packet.clear();
            write_parts(&mut flow.parts, until, packet, |packet, missing| {
                writer.data(stream, direction, packet, time, None)?;
                packet.clear();
                writer.skip(stream, direction, missing, time)
            })?;
            writer.data(stream, direction, packet, time, None)?;
        }
        match inside.map(|piece| &piece.action) {
            Some(Action::Drop { counted: true } | Action::Parts(_) | Action::Data(_)) => {}
            Some(Action::Copy | Action::Replace { .. }) => {
                writer.lost(stream, direction, length.unwrap_or(UNKNOWN_GAP), delivery.time)?;
            }
            Some(Action::Drop { counted: false }) | None => {
                writer.lost(stream, direction, length.unwrap_or(UNKNOWN_GAP), delivery.time)?;
                flow.broken = true;
            }
        }
        flow.wrote(end, stream.sent(direction), writer.packets());
        Ok(())
    }
}

/// Writes what is due of a piece when the flow was delivered up to `until`: bytes to `packet`; `missing` is called for bytes
/// that are missing.
fn write_parts(
    parts: &mut VecDeque<(u64, Part)>,
    until: u64,
    packet: &mut Vec<u8>,
    mut missing: impl FnMut(&mut Vec<u8>, u64) -> io::Result<()>,
) -> io::Result<()> {
    while let Some((_, part)) = parts.pop_front_if(|(at, _)| *at <= until) {
        match part {
            Part::Bytes(bytes) => packet.extend_from_slice(&bytes),
            Part::Missing(bytes) => missing(packet, bytes)?,
        }
    }
    Ok(())
}

impl Flow<'_> {
    fn wrote(&mut self, original: u64, exported: u64, packets: u64) {
        self.written.push(Written { original, exported, packets });
    }

    /// It is written once more from its beginning, and where everything will stand is known.
    fn restart(&mut self) {
        let Self { pieces, mut bodies, written, .. } = std::mem::take(self);
        bodies.restart();
        *self = Self { pieces, bodies, planned: written, ..Self::default() };
    }

    /// Where in the export that stands which is written for the first `offset` bytes, as seen from packet `packets`.
    fn offset_in_export(&self, offset: u64, packets: u64) -> u64 {
        let known = if self.planned.is_empty() { &self.written } else { &self.planned };
        let behind = known.partition_point(|at| at.original <= offset && at.packets <= packets + PACKETS_AHEAD);
        behind.checked_sub(1).and_then(|last| known.get(last)).map_or(0, |at| at.exported)
    }
}

/// The parts of the flows of a connection that speaks HTTP/1.1, by the direction as seen.
fn http1_pieces(
    reading: &ExactReading,
    connection: &ExactConnection,
    bytes: &[FlowBytes<'_>; 2],
    shown: &HashSet<CallRef>,
    redacting: Option<Redacting<'_>>,
    done: &mut Redacted,
) -> [Vec<Piece>; 2] {
    let store: &Store = &reading.store;
    let swapped = store.connection(connection.at).roles_swapped;
    let of_connection =
        shown.iter().filter(|at| at.lane == connection.at.lane && store.call(**at).connection == connection.at.id);
    let calls = of_connection.map(|&at| (store.call(at).stream, at)).collect();
    let redaction = redacting.map(|Redacting { redactor, viewer }| http1::Redaction { redactor, viewer });
    let [first, second] = bytes;
    let flows = if swapped { [second, first] } else { [first, second] };
    let mut pieces = http1::pieces(flows, &calls, redaction.as_ref(), done);
    if swapped {
        pieces.reverse();
    }
    pieces
}

/// The ends of a connection, for the comment that states them.
fn ends_of(connection: &Connection) -> Ends {
    Ends::new(
        party(&connection.client, connection.client_process.as_deref()),
        party(&connection.server, connection.server_process.as_deref()),
    )
}

fn party(endpoint: &Endpoint, process: Option<&str>) -> Party {
    // As a process is shown: `name (pid)`, or `pid N` where the name is not known.
    let parts = process.and_then(|text| text.strip_suffix(')')?.rsplit_once(" ("));
    let nameless = process.and_then(|text| text.strip_prefix("pid ")?.parse().ok());
    let process = match parts {
        Some((name, pid)) => Process { pid: pid.parse().ok(), name: Some(name.into()), ..Process::default() },
        None if nameless.is_some() => Process { pid: nameless, ..Process::default() },
        None => Process { name: process.map(Into::into), ..Process::default() },
    };
    Party { endpoint: endpoint.clone(), process }
}
