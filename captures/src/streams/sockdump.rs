//! What sockdump records: its pcap files, which use link type USER0, and its texts.
//!
//! ```text
//!  0            8            16
//! +------------+------------+------      until 2026-02
//! | peer's pid | pid        | bytes
//! +------------+------------+------
//!  0     1                   109          117          125
//! +-----+-------------------+------------+------------+------      since then
//! | len | path, NULs after | peer's pid | pid        | bytes
//! +-----+-------------------+------------+------------+------
//! ```
//!
//! Numbers are big-endian. `pid` sends. Nothing says which connection a message belongs to: those between the same two
//! processes at the same path look like one. What a client has for its peer is the process that called `listen`, which
//! may be another one than that which answers: so the two directions are put together by the client's number alone
//! where it must be. Ends of connections are not recorded. What is recorded is what was asked to be sent; a send that
//! was cut short counts in full.

use hashbrown::HashMap;

use super::event::{ClientBy, Opened, Process, Sink, StreamNo};
use super::strace::string;
use super::text::{self, Tool};
use crate::connection::Close;
use crate::{Direction, Endpoint, GapCause, Layer, LinkType, RawPacket, Skip};

const OLD_HEADER: usize = 16;
const NEW_HEADER: usize = 125;
/// The longest path of a Unix socket, and the byte in front of it.
const PATH_FIELD: usize = 109;

/// The largest number that Linux gives to a process.
const MAX_PID: u64 = 4 << 20;

/// Connections that are remembered. Beyond it all are ended.
const MAX_CONNECTIONS: usize = 1 << 14;

/// The connections of a reading.
#[derive(Debug, Default)]
pub(super) struct Sockdump {
    /// Which connection, and which direction of it, messages are of.
    routes: HashMap<Route, Flow>,
    /// By the process that sent first, or that was named as its peer.
    by_pid: HashMap<(u32, Box<[u8]>), Flow>,
    live: Vec<StreamNo>,
}

type Flow = (StreamNo, Direction);

/// Sender, its peer, path.
type Route = (u32, u32, Box<[u8]>);

struct Message<'a> {
    pid: u32,
    peer: u32,
    path: &'a [u8],
    comm: Option<&'a [u8]>,
}

impl Sockdump {
    /// A packet.
    pub(super) fn packet(&mut self, raw: &RawPacket<'_>, sink: &mut Sink<'_>) -> Result<(), Skip> {
        let (message, header) = parse(raw.data)?;
        let (no, direction) = self.route(&message, sink);
        let bytes = raw.data.get(header..).unwrap_or_default();
        sink.data_at(no, direction, bytes, raw.at.plus(header as u64));
        let cut = u64::from(raw.original_len).saturating_sub(raw.data.len() as u64);
        sink.gap(no, direction, Some(cut), GapCause::Snapped);
        Ok(())
    }

    /// A block of a text.
    pub(super) fn block(&mut self, block: &[u8], sink: &mut Sink<'_>) {
        let mut lines = block.split(|&byte| byte == b'\n');
        let Some(header) = lines.next().and_then(text::sockdump_header) else { return };
        let Tool::Sockdump { comm, pid, peer, path, sent } = header.tool else { return };
        let start = sink.events.bytes.len();
        for line in lines {
            if line.starts_with(b"\\x") {
                let quoted = [b"\"", line.trim_ascii_end(), b"\""].concat();
                string::decode(&quoted, header.len as usize, &mut sink.events.bytes);
            } else if let Some(line) = text::hex_line(line) {
                let left = header.len.saturating_sub((sink.events.bytes.len() - start) as u64);
                sink.events.bytes.extend(hex_columns(line).take(usize::try_from(left).unwrap_or(usize::MAX)));
            }
        }
        let shown = start..sink.events.bytes.len();
        let missing = sent.saturating_sub(shown.len() as u64);
        let message = Message { pid, peer, path: path.unwrap_or_default(), comm: Some(comm) };
        let (no, direction) = self.route(&message, sink);
        sink.data(no, direction, shown);
        sink.gap(no, direction, Some(missing), GapCause::Snapped);
    }

    fn route(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Flow {
        let path: Box<[u8]> = message.path.into();
        let route = (message.pid, message.peer, path.clone());
        if let Some(&known) = self.routes.get(&route) {
            return known;
        }
        if self.routes.len() >= MAX_CONNECTIONS {
            self.end_all(Close::Timeout, sink);
        }
        let back = self.routes.get(&(message.peer, message.pid, path.clone())).map(|(no, way)| (*no, way.reverse()));
        // The other side was named otherwise: by who sends, or by whom it is sent to.
        let by_pid = || {
            let to = self.by_pid.get(&(message.peer, path.clone())).map(|(no, way)| (*no, way.reverse()));
            to.or_else(|| {
                self.by_pid.get(&(message.pid, path.clone())).filter(|(_, way)| *way == Direction::ToClient).copied()
            })
        };
        let found = back.or_else(by_pid).unwrap_or_else(|| {
            let no = sink.open(opened(message));
            self.live.push(no);
            (no, Direction::ToServer)
        });
        self.by_pid.entry((message.pid, path)).or_insert(found);
        self.routes.insert(route, found);
        found
    }

    fn end_all(&mut self, how: Close, sink: &mut Sink<'_>) {
        for no in std::mem::take(&mut self.live) {
            for direction in Direction::BOTH {
                sink.closed(no, direction, how);
            }
        }
        self.routes.clear();
        self.by_pid.clear();
    }

    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        self.end_all(Close::EndOfCapture, sink);
    }
}

fn opened(message: &Message<'_>) -> Opened {
    let process =
        |pid, comm: Option<&[u8]>| Some(Process { pid, name: comm.map(|comm| String::from_utf8_lossy(comm).into()) });
    let server = match message.path {
        [] => Endpoint::UnixInode(u64::from(message.peer)),
        path => Endpoint::UnixPath(path.into()),
    };
    Opened {
        client: Endpoint::UnixInode(u64::from(message.pid)),
        server,
        client_by: ClientBy::First,
        client_process: process(message.pid, message.comm),
        server_process: process(message.peer, None),
        joined: true,
    }
}

/// Who sends to whom, and how long the header is.
fn parse(data: &[u8]) -> Result<(Message<'_>, usize), Skip> {
    let number = |at: usize| {
        let bytes = data.get(at..)?.first_chunk()?;
        Some(u64::from_be_bytes(*bytes))
    };
    let pid = |at: usize| number(at).filter(|pid| *pid <= MAX_PID).map(|pid| pid as u32);
    if let Some((path, rest)) = data
        .split_at_checked(PATH_FIELD)
        .and_then(|(path, _)| path.split_first())
        .and_then(|(len, path)| path.split_at_checked(usize::from(*len)))
        && rest.iter().all(|byte| *byte == 0)
        && !path.contains(&0)
        && let (Some(peer), Some(sender @ 1..)) = (pid(PATH_FIELD), pid(PATH_FIELD + 8))
    {
        return Ok((Message { pid: sender, peer, path, comm: None }, NEW_HEADER));
    }
    match (pid(0), pid(8)) {
        (Some(peer), Some(sender @ 1..)) => Ok((Message { pid: sender, peer, path: &[], comm: None }, OLD_HEADER)),
        _ if data.len() < OLD_HEADER => Err(Skip::Cut(Layer::Link)),
        _ => Err(Skip::Link(LinkType::USER0)),
    }
}

/// The bytes in two columns of eight: `00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  ……`.
fn hex_columns(line: &[u8]) -> impl Iterator<Item = u8> + '_ {
    (0..16).map_while(move |index| {
        let at = index * 3 + usize::from(index >= 8);
        let [high, low] = *line.get(at..)?.first_chunk()?;
        string::hex(high, low)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::streams::testing::{check, text};
    use crate::streams::{Events, Streams};
    use crate::{Packet, PacketNo, Place, Timestamp};

    fn packets(packets: &[(Vec<u8>, u32)]) -> String {
        let mut streams = Streams::new(&[]);
        let mut events = Events::default();
        for ((data, cut), order) in packets.iter().zip(0..) {
            let raw = RawPacket {
                packet: Packet { order, no: PacketNo::new(0, order + 1) },
                time: Timestamp::default(),
                link: LinkType::USER0,
                data,
                at: Place::NOWHERE,
                original_len: data.len() as u32 + cut,
            };
            let _ = streams.packet(&raw, &mut events);
        }
        streams.finish(&mut events);
        text(&events)
    }

    fn old(pid: u64, peer: u64, bytes: &[u8]) -> Vec<u8> {
        [
            &peer.to_be_bytes()[..], // the other process
            &pid.to_be_bytes(),      // this process
            bytes,
        ]
        .concat()
    }

    fn new(path: &str, pid: u64, peer: u64, bytes: &[u8]) -> Vec<u8> {
        let mut packet = vec![path.len() as u8]; // length of the path
        packet.extend_from_slice(path.as_bytes());
        packet.resize(PATH_FIELD, 0);
        packet.extend(old(pid, peer, bytes));
        packet
    }

    const ENDS: &str = "0 ToServer closed EndOfCapture\n0 ToClient closed EndOfCapture";

    #[test]
    fn both_layouts_are_read() {
        let found = packets(&[(old(12, 43, b"request"), 0), (old(43, 12, b"answer"), 5)]);
        let opened = "0 opened unix:#12 -> unix:#43 first client 12 server 43 joined";
        assert_eq!(
            found,
            format!("{opened}\n0 ToServer \"request\"\n0 ToClient \"answer\"\n0 ToClient gap 5 snapped\n{ENDS}")
        );
        // Bytes after the header that look like one, and an abstract name, which is left out.
        for path in ["/run/s", ""] {
            let found = packets(&[(new(path, 12, 43, &[0; 130]), 0), (new(path, 43, 12, b"answer"), 0)]);
            assert!(found.contains(&format!("0 ToServer \"{}\"", "\\x00".repeat(130))), "{found}");
            assert_eq!(found.contains(" -> unix:/run/s "), !path.is_empty(), "{found}");
        }
    }

    #[test]
    fn the_process_that_listened_may_be_another_one() {
        let client = |bytes| (new("/s", 12, 40, bytes), 0);
        let server = |bytes| (new("/s", 43, 12, bytes), 0);
        let found = packets(&[client(b"request"), server(b"answer"), client(b"!"), server(b"?")]);
        assert!(
            found.contains("0 ToServer \"request\"\n0 ToClient \"answer\"\n0 ToServer \"!\"\n0 ToClient \"?\""),
            "{found}"
        );
        // Another client of the same server.
        let other = [client(b"a"), (new("/s", 13, 40, b"b"), 0), (new("/s", 43, 13, b"c"), 0), server(b"d")];
        let found = packets(&other);
        for part in ["0 ToServer \"a\"", "1 ToServer \"b\"", "1 ToClient \"c\"", "0 ToClient \"d\""] {
            assert!(found.contains(part), "{found}");
        }
    }

    #[test]
    fn what_is_not_sockdumps_is_passed_by() {
        assert_eq!(packets(&[(vec![0xff; 64], 0), (vec![0; 200], 0), (vec![0; 3], 0)]), "");
    }

    #[test]
    fn texts_are_read() {
        check(
            "10:20:30.123 >>> process ctr [12 -> 43] path /run/s len 18(18)\n\
             0000  68 65 6c 6c 6f 20 77 6f  72 6c 64 21 20 61 61 20  hello world! aa \n\
             0010  62 62                                             bb\n\
             10:20:30.124 >>> process shim [43 -> 12] path /run/s len 2(5)\n\
             \\x6f\\x6b\n\
             10:20:30.125 >>> process ctr [12 -> 43] path /run/s len 2(2)\n\
             text\n",
            &format!(
                "0 opened unix:#12 -> unix:/run/s first client 12 (ctr) server 43 joined
                0 ToServer \"hello world! aa bb\"
                0 ToClient \"ok\"
                0 ToClient gap 3 snapped
                0 ToServer gap 2 snapped
                {ENDS}"
            ),
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), zeros in 0_usize..130) {
            packets(&[(bytes.clone(), 0), ([vec![0; zeros], bytes].concat(), 1)]);
        }
    }
}
