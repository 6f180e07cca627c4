//! What vsockmon records: packets of link type VSOCK. All numbers are little-endian.
//!
//! ```text
//!  0        8        16       20       24   26      28       30   32       32 + t
//! +--------+--------+--------+--------+----+-------+--------+----+--------+---------
//! | source | dest.  | source | dest.  | op | trans | t      | res| transp.| payload
//! | CID    | CID    | port   | port   |    | port  |        |    | header |
//! +--------+--------+--------+--------+----+-------+--------+----+--------+---------
//! ```
//!
//! The header of virtio (t is 44) has, besides the addresses again: length 24, type 28, operation 30, flags 32. The
//! transport is reliable and ordered, and has no sequence numbers.
//!
//! Documents: `linux/vsockmon.h`, virtio 1.2 §5.10.

use std::cmp::Ordering;

use hashbrown::HashMap;

use super::event::{ClientBy, Opened, Sink, StreamNo};
use crate::connection::Close;
use crate::{Direction, Endpoint, GapCause, Layer, RawPacket, Skip};

const HEADER: usize = 32;

/// Connections that are remembered. Beyond it, all that have ended are forgotten, or else all.
const MAX_CONNECTIONS: usize = 1 << 16;

type Address = (u64, u32);

/// The connections of a reading.
#[derive(Debug, Default)]
pub(super) struct Vsock {
    connections: HashMap<(Address, Address), Connection>,
}

#[derive(Debug)]
struct Connection {
    no: StreamNo,
    client: Address,
    /// By direction.
    closed: [bool; 2],
    has_data: bool,
}

/// What a packet says.
struct VsockPacket<'a> {
    source: Address,
    destination: Address,
    what: Operation,
    payload: &'a [u8],
    /// How many bytes of the payload were not captured.
    cut: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Request,
    Response,
    /// Neither end sends any more; or only the sender of it does not.
    Shutdown {
        sends: bool,
        both: bool,
    },
    Reset,
    Payload,
    Other,
}

impl Vsock {
    pub(super) fn packet(&mut self, raw: &RawPacket<'_>, sink: &mut Sink<'_>) -> Result<(), Skip> {
        let packet = parse(raw)?;
        let key = key(packet.source, packet.destination);
        if packet.what == Operation::Request
            && self.connections.get(&key).is_some_and(|known| known.has_data || known.closed != [false; 2])
            && let Some(old) = self.connections.remove(&key)
        {
            old.close(Direction::BOTH, Close::Timeout, sink);
        }
        if packet.what == Operation::Other && !self.connections.contains_key(&key) {
            return Ok(());
        }
        if self.connections.len() >= MAX_CONNECTIONS && !self.connections.contains_key(&key) {
            self.forget(sink);
        }
        let connection = self.connections.entry(key).or_insert_with(|| Connection::open(&packet, sink));
        let direction = if packet.source == connection.client { Direction::ToServer } else { Direction::ToClient };
        match packet.what {
            Operation::Payload => {
                connection.has_data = true;
                let at = raw.at.plus((raw.data.len() - packet.payload.len()) as u64);
                sink.data_at(connection.no, direction, packet.payload, at);
                sink.gap(connection.no, direction, Some(packet.cut), GapCause::Snapped);
            }
            Operation::Shutdown { sends, both } => {
                if sends {
                    connection.end(direction, Close::Fin, sink);
                }
                if both {
                    connection.end(direction.reverse(), Close::Fin, sink);
                }
            }
            Operation::Reset => {
                // It also answers a shutdown.
                let how = if connection.closed == [false; 2] { Close::Rst } else { Close::Fin };
                for direction in Direction::BOTH {
                    connection.end(direction, how, sink);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, sink: &mut Sink<'_>) {
        self.connections.retain(|_, known| known.closed != [true; 2]);
        if self.connections.len() >= MAX_CONNECTIONS {
            self.end_all(Close::Timeout, sink);
        }
    }

    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        self.end_all(Close::EndOfCapture, sink);
    }

    fn end_all(&mut self, how: Close, sink: &mut Sink<'_>) {
        let mut all: Vec<_> = self.connections.drain().map(|(_, connection)| connection).collect();
        all.sort_unstable_by_key(|connection| connection.no);
        for connection in all {
            connection.close(Direction::BOTH, how, sink);
        }
    }
}

impl Connection {
    fn open(packet: &VsockPacket<'_>, sink: &mut Sink<'_>) -> Self {
        let (client, client_by) = match packet.what {
            Operation::Request => (packet.source, ClientBy::Connect),
            Operation::Response => (packet.destination, ClientBy::Connect),
            // Servers have the lower port, as with TCP.
            _ => match packet.source.1.cmp(&packet.destination.1) {
                Ordering::Less => (packet.destination, ClientBy::Port),
                Ordering::Greater => (packet.source, ClientBy::Port),
                Ordering::Equal => (packet.source, ClientBy::First),
            },
        };
        let server = if client == packet.source { packet.destination } else { packet.source };
        let no = sink.open(Opened {
            client: Endpoint::Vsock { cid: client.0, port: client.1 },
            server: Endpoint::Vsock { cid: server.0, port: server.1 },
            client_by,
            client_process: None,
            server_process: None,
            joined: packet.what != Operation::Request,
        });
        Self { no, client, closed: [false; 2], has_data: false }
    }

    fn end(&mut self, direction: Direction, how: Close, sink: &mut Sink<'_>) {
        if let Some(closed) = self.closed.get_mut(direction.index())
            && !std::mem::replace(closed, true)
        {
            sink.closed(self.no, direction, how);
        }
    }

    fn close(mut self, directions: [Direction; 2], how: Close, sink: &mut Sink<'_>) {
        for direction in directions {
            self.end(direction, how, sink);
        }
    }
}

fn parse<'a>(raw: &RawPacket<'a>) -> Result<VsockPacket<'a>, Skip> {
    let cut = Skip::Cut(Layer::Link);
    let data = raw.data;
    let header: &[u8; HEADER] = data.first_chunk().ok_or(cut)?;
    let number = |at: usize, len: usize| {
        header
            .get(at..at + len)
            .unwrap_or_default()
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let source = (number(0, 8), number(16, 4) as u32);
    let destination = (number(8, 8), number(20, 4) as u32);
    let transport_len = number(28, 2) as usize;
    let transport = data.get(HEADER..HEADER + transport_len).ok_or(cut)?;
    let payload = data.get(HEADER + transport_len..).unwrap_or_default();
    let virtio = |at: usize, len: usize| {
        // Transport 2 is virtio.
        let bytes = transport.get(at..at + len).filter(|_| number(26, 2) == 2)?;
        Some(bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    let flags = virtio(32, 4).unwrap_or_default();
    let what = match (number(24, 2), virtio(30, 2)) {
        (_, Some(1)) => Operation::Request,
        (_, Some(2)) => Operation::Response,
        (_, Some(3)) => Operation::Reset,
        // Bit 0: it receives no more; bit 1: it sends no more.
        (_, Some(4)) => Operation::Shutdown { sends: flags & 2 != 0, both: flags & 3 == 3 },
        (_, Some(5)) | (4, None) => Operation::Payload,
        (1, None) => Operation::Request,
        (2, None) => Operation::Shutdown { sends: true, both: true },
        _ => Operation::Other,
    };
    let sent = u64::from(raw.original_len).saturating_sub((HEADER + transport_len) as u64);
    let sent = virtio(24, 4).filter(|len| *len >= payload.len() as u64).unwrap_or(sent);
    Ok(VsockPacket { source, destination, what, payload, cut: sent.saturating_sub(payload.len() as u64) })
}

fn key(one: Address, other: Address) -> (Address, Address) {
    if one <= other { (one, other) } else { (other, one) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::testing::text;
    use crate::streams::{Events, Streams};
    use crate::{LinkType, Packet, PacketNo, Place, Timestamp};

    const CLIENT: Address = (3, 5000);
    const SERVER: Address = (2, 1024);

    fn packet(source: Address, destination: Address, operation: u16, flags: u32, payload: &[u8]) -> Vec<u8> {
        let monitored: u16 = match operation {
            1 | 2 => 1,
            3 | 4 => 2,
            5 => 4,
            _ => 3,
        };
        [
            &source.0.to_le_bytes()[..],           // source CID
            &destination.0.to_le_bytes(),          // destination CID
            &source.1.to_le_bytes(),               // source port
            &destination.1.to_le_bytes(),          // destination port
            &monitored.to_le_bytes(),              // operation
            &[2, 0],                               // transport: virtio
            &[44, 0],                              // length of its header
            &[0, 0],                               // reserved
            &source.0.to_le_bytes(),               // virtio: source CID
            &destination.0.to_le_bytes(),          // destination CID
            &source.1.to_le_bytes(),               // source port
            &destination.1.to_le_bytes(),          // destination port
            &(payload.len() as u32).to_le_bytes(), // length
            &[1, 0],                               // type: stream
            &operation.to_le_bytes(),              // operation
            &flags.to_le_bytes(),                  // flags
            &[0, 0, 4, 0],                         // room
            &[0, 0, 0, 0],                         // taken
            payload,
        ]
        .concat()
    }

    fn packets(packets: &[Vec<u8>]) -> String {
        let mut streams = Streams::new(&[]);
        let mut events = Events::default();
        for (data, order) in packets.iter().zip(0..) {
            let raw = RawPacket {
                packet: Packet { order, no: PacketNo::new(0, order + 1) },
                time: Timestamp::default(),
                link: LinkType::VSOCK,
                data,
                at: Place::NOWHERE,
                original_len: data.len() as u32,
            };
            let _ = streams.packet(&raw, &mut events);
        }
        streams.finish(&mut events);
        text(&events)
    }

    #[test]
    fn a_connection_from_request_to_shutdown() {
        let whole = [
            packet(CLIENT, SERVER, 1, 0, b""),
            packet(SERVER, CLIENT, 2, 0, b""),
            packet(CLIENT, SERVER, 5, 0, b"request"),
            packet(SERVER, CLIENT, 6, 0, b""),
            packet(SERVER, CLIENT, 5, 0, b"answer"),
            packet(CLIENT, SERVER, 4, 2, b""),
            packet(SERVER, CLIENT, 5, 0, b"!"),
            packet(SERVER, CLIENT, 4, 3, b""),
            packet(CLIENT, SERVER, 3, 0, b""),
        ];
        let rest = r#"0 ToServer "request"
0 ToClient "answer"
0 ToServer closed Fin
0 ToClient "!"
0 ToClient closed Fin"#;
        let opened = "0 opened vsock:3:5000 -> vsock:2:1024 connect";
        assert_eq!(packets(&whole), format!("{opened}\n{rest}"));
        assert_eq!(packets(&whole[1..]), format!("{opened} joined\n{rest}"));
        let opened = "0 opened vsock:3:5000 -> vsock:2:1024 port joined";
        assert_eq!(packets(&whole[2..]), format!("{opened}\n{rest}"));
        // The ports again.
        let found = packets(&[&whole[..5], &whole[..1]].concat());
        assert!(found.contains("0 ToClient closed Timeout\n1 opened vsock:3:5000"), "{found}");
    }

    #[test]
    fn a_reset_ends_both_flows() {
        let found = packets(&[packet(CLIENT, SERVER, 1, 0, b""), packet(SERVER, CLIENT, 3, 0, b"")]);
        assert!(found.ends_with("0 ToServer closed Rst\n0 ToClient closed Rst"), "{found}");
    }

    #[test]
    fn cut_packets_leave_gaps_or_are_passed_by() {
        let whole = packet(CLIENT, SERVER, 5, 0, b"request");
        for len in 0..whole.len() {
            let found = packets(&[whole[..len].to_vec()]);
            match len.checked_sub(76) {
                None => assert_eq!(found, "", "{len}"),
                Some(kept) => assert!(found.contains(&format!("0 ToServer gap {} snapped", 7 - kept)), "{found}"),
            }
        }
    }
}
