//! Connections as packets: what happened on a stream, as synthetic TCP.
//!
//! Every connection begins with its handshake, whose SYN carries the true ends in its comment (see `comment`); it is
//! written with the first thing that happens, since the ports depend on that (see `addresses`). Data follows in segments with the sequence and acknowledgment numbers that a lossless network would have shown. Bytes
//! that were lost to the recording are skipped in the sequence numbers, so that every reader sees a gap and nobody
//! sees invented bytes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::addresses::{Content, addresses, name};
use super::comment::{Ends, Party, not_recorded_comment};
use super::frame::{self, Header, MAX_SEGMENT};
use super::pcapng::{About, Pcapng};
use crate::{Direction, TcpFlags, Timestamp};

/// Writes connections to a pcapng file.
#[derive(Debug)]
pub struct StreamWriter<W> {
    file: Pcapng<W>,
    seed: u64,
    opened: u64,
    packet_id: u16,
    /// The names given so far, so that each address is named once.
    names: HashMap<Ipv6Addr, String>,
    /// Memory for the packet that is written next.
    packet: Vec<u8>,
}

/// A connection that is being written: what it needs to continue.
#[derive(Debug)]
pub struct WrittenStream {
    /// What its handshake will say, while that is not written.
    opening: Option<(Ends, Timestamp)>,
    number: u64,
    client: SocketAddr,
    server: SocketAddr,
    /// By direction.
    flows: [Flow; 2],
    reset: bool,
    /// By direction: how much of the other flow its packets acknowledge.
    acknowledgments: [Option<u64>; 2],
}

#[derive(Debug, Default)]
struct Flow {
    /// The sequence number of the next byte.
    next: u32,
    /// That of the first byte.
    first: u32,
    /// How many bytes were written or skipped.
    sent: u64,
    /// How many of them the other end has acknowledged.
    acknowledged: u64,
    /// How many bytes were written since the other end acknowledged.
    unacknowledged: usize,
    closed: bool,
}

impl<W: Write> StreamWriter<W> {
    /// Begins a file.
    pub fn new(out: W, about: &About) -> io::Result<Self> {
        Ok(Self {
            file: Pcapng::new(out, about)?,
            seed: about.seed,
            opened: 0,
            packet_id: 0,
            names: HashMap::new(),
            packet: Vec::new(),
        })
    }

    /// A connection was made. Its handshake, and names for its synthetic addresses, are written with what follows, or
    /// by [`Self::end`].
    pub fn open(&mut self, ends: &Ends, time: Timestamp) -> io::Result<WrittenStream> {
        let number = self.opened;
        self.opened += 1;
        let unknown = SocketAddr::from(([0; 4], 0));
        let mut flows = <[Flow; 2]>::default();
        for direction in Direction::BOTH {
            let number = number << 1 | direction.index() as u64;
            let flow = &mut flows[direction.index()];
            flow.next = mix(self.seed ^ number) as u32;
            flow.first = flow.next.wrapping_add(1);
        }
        let opening = Some((ends.clone(), time));
        Ok(WrittenStream {
            opening,
            number,
            client: unknown,
            server: unknown,
            flows,
            reset: false,
            acknowledgments: [None; 2],
        })
    }

    /// Nothing more is known of a connection: it stays open in the file, if it was not closed or reset.
    pub fn end(&mut self, mut stream: WrittenStream) -> io::Result<()> {
        self.shake_hands(&mut stream, Content::Unknown)
    }

    /// A connection was tried and refused: a SYN, and the reset that answers it.
    pub fn refused(&mut self, ends: &Ends, time: Timestamp, comment: Option<&str>) -> io::Result<()> {
        let mut stream = self.open(ends, time)?;
        self.begin(&mut stream, Content::Unknown)?;
        stream.flows[Direction::ToClient.index()].next = 0; // RFC 9293 §3.10.7.1: the reset of a SYN has number 0
        self.packet(&mut stream, Direction::ToClient, TcpFlags::RST.with(TcpFlags::ACK), &[], time, comment)
    }

    /// Bytes were sent; `comment` is on the first packet that carries them. Nothing is written for no bytes, nor
    /// after a close of that direction or a reset.
    pub fn data(
        &mut self,
        stream: &mut WrittenStream,
        direction: Direction,
        bytes: &[u8],
        time: Timestamp,
        mut comment: Option<&str>,
    ) -> io::Result<()> {
        if stream.reset || stream.flows[direction.index()].closed {
            return Ok(());
        }
        if !bytes.is_empty() {
            self.shake_hands(stream, Content::of(direction, bytes))?;
        }
        for segment in bytes.chunks(MAX_SEGMENT) {
            self.packet(stream, direction, TcpFlags::PSH.with(TcpFlags::ACK), segment, time, comment.take())?;
            if stream.flows[direction.index()].unacknowledged >= ACKNOWLEDGE_EVERY {
                self.acknowledge(stream, direction, time)?;
            }
        }
        Ok(())
    }

    /// Bytes were sent that were not recorded: the sequence numbers continue without them, and the comment of an empty
    /// packet after them says so.
    pub fn lost(
        &mut self,
        stream: &mut WrittenStream,
        direction: Direction,
        bytes: u64,
        time: Timestamp,
    ) -> io::Result<()> {
        if bytes == 0 || stream.reset || stream.flows[direction.index()].closed {
            return Ok(());
        }
        self.shake_hands(stream, Content::Unknown)?;
        self.file.count_lost(bytes.div_ceil(MAX_SEGMENT as u64));
        self.skip(stream, direction, bytes, time)
    }

    /// Bytes are left out: as [`Self::lost`], but the file's statistics do not count them as lost.
    pub fn skip(
        &mut self,
        stream: &mut WrittenStream,
        direction: Direction,
        bytes: u64,
        time: Timestamp,
    ) -> io::Result<()> {
        if bytes == 0 || stream.reset || stream.flows[direction.index()].closed {
            return Ok(());
        }
        self.shake_hands(stream, Content::Unknown)?;
        let mut left = bytes;
        while left > 0 {
            let step = left.min(LARGEST_SKIP);
            left -= step;
            let flow = &mut stream.flows[direction.index()];
            flow.next = flow.next.wrapping_add(step as u32);
            flow.sent += step;
            // The other end may not have received them yet, so the sender's own packet shows the hole.
            let comment = not_recorded_comment(direction, step);
            self.packet(stream, direction, TcpFlags::ACK, &[], time, Some(&comment))?;
        }
        Ok(())
    }

    /// One end will send no more: a FIN, and its acknowledgment where acknowledgments are not stated.
    pub fn close(&mut self, stream: &mut WrittenStream, direction: Direction, time: Timestamp) -> io::Result<()> {
        if stream.reset || stream.flows[direction.index()].closed {
            return Ok(());
        }
        self.shake_hands(stream, Content::Unknown)?;
        self.packet(stream, direction, TcpFlags::FIN.with(TcpFlags::ACK), &[], time, None)?;
        stream.flows[direction.index()].closed = true;
        // What the other end sends next may have been sent before it received the FIN.
        match stream.acknowledgments[direction.reverse().index()] {
            None => self.acknowledge(stream, direction, time),
            Some(_) => Ok(()),
        }
    }

    /// One end broke the connection off: a RST from the sender of `direction`. Nothing follows it.
    pub fn reset(&mut self, stream: &mut WrittenStream, direction: Direction, time: Timestamp) -> io::Result<()> {
        if stream.reset {
            return Ok(());
        }
        self.shake_hands(stream, Content::Unknown)?;
        self.packet(stream, direction, TcpFlags::RST.with(TcpFlags::ACK), &[], time, None)?;
        stream.reset = true;
        Ok(())
    }

    /// Counts packets in the file's statistics as lost that belong to connections which are not in the file.
    pub const fn count_lost(&mut self, packets: u64) {
        self.file.count_lost(packets);
    }

    /// Hands on what was written so far, so that a reader can have it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// How many packets were written.
    pub const fn packets(&self) -> u64 {
        self.file.packets()
    }

    /// Ends the file. Connections that are still open stay so in it.
    pub fn finish(self) -> io::Result<W> {
        self.file.finish()
    }

    /// The handshake, if it is not written yet.
    fn shake_hands(&mut self, stream: &mut WrittenStream, content: Content) -> io::Result<()> {
        let Some(time) = self.begin(stream, content)? else { return Ok(()) };
        self.packet(stream, Direction::ToClient, TcpFlags::SYN.with(TcpFlags::ACK), &[], time, None)?;
        self.packet(stream, Direction::ToServer, TcpFlags::ACK, &[], time, None)
    }

    /// The names and the SYN, if they are not written yet, and the time at which the connection was made.
    fn begin(&mut self, stream: &mut WrittenStream, content: Content) -> io::Result<Option<Timestamp>> {
        let Some((ends, time)) = stream.opening.take() else { return Ok(None) };
        (stream.client, stream.server) = addresses(&ends, stream.number, self.seed, content);
        self.name(stream.client.ip(), &ends.client)?;
        self.name(stream.server.ip(), &ends.server)?;
        self.packet(stream, Direction::ToServer, TcpFlags::SYN, &[], time, Some(&ends.to_string()))?;
        Ok(Some(time))
    }

    fn name(&mut self, address: IpAddr, party: &Party) -> io::Result<()> {
        let (IpAddr::V6(address), Some(name)) = (address, name(party)) else { return Ok(()) };
        if self.names.get(&address) == Some(&name) {
            return Ok(());
        }
        self.file.name(address, &name)?;
        if self.names.len() < MOST_NAMES {
            self.names.insert(address, name);
        }
        Ok(())
    }

    /// The receiver of `direction` says that it has everything.
    fn acknowledge(&mut self, stream: &mut WrittenStream, direction: Direction, time: Timestamp) -> io::Result<()> {
        self.packet(stream, direction.reverse(), TcpFlags::ACK, &[], time, None)
    }

    fn packet(
        &mut self,
        stream: &mut WrittenStream,
        direction: Direction,
        flags: TcpFlags,
        payload: &[u8],
        time: Timestamp,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let (source, destination) = match direction {
            Direction::ToServer => (stream.client, stream.server),
            Direction::ToClient => (stream.server, stream.client),
        };
        let acknowledgment = stream.acknowledgments[direction.index()];
        let other = &mut stream.flows[direction.reverse().index()];
        let ack = match acknowledgment {
            _ if !flags.has(TcpFlags::ACK) => 0,
            None if other.sent >= other.acknowledged => {
                other.acknowledged = other.sent;
                other.next
            }
            acknowledgment => {
                other.acknowledged = acknowledgment.unwrap_or(0).max(other.acknowledged);
                other.first.wrapping_add(other.acknowledged as u32)
            }
        };
        other.unacknowledged = 0;

        let flow = &mut stream.flows[direction.index()];
        let header = Header {
            source,
            destination,
            by_client: direction == Direction::ToServer,
            seq: flow.next,
            ack,
            flags,
            id: self.packet_id,
        };
        self.packet_id = self.packet_id.wrapping_add(1);
        flow.unacknowledged += payload.len();
        flow.next = flow.next.wrapping_add(payload.len() as u32);
        flow.sent += payload.len() as u64;
        if flags.has(TcpFlags::SYN) || flags.has(TcpFlags::FIN) {
            flow.next = flow.next.wrapping_add(1);
        }

        frame::packet(&header, payload, &mut self.packet)?;
        self.file.packet(time, &self.packet, comment)
    }
}

impl WrittenStream {
    /// How many bytes of a direction were written or skipped.
    pub const fn sent(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.flows[0].sent,
            Direction::ToClient => self.flows[1].sent,
        }
    }

    /// From here on, packets of `direction` acknowledge the first `received` bytes of the other direction, but never less
    /// than before. These may lie beyond what was written: a sender can have received what the capture shows later.
    /// `None`, as at the beginning: all that were written.
    pub const fn set_acknowledgment(&mut self, direction: Direction, received: Option<u64>) {
        match direction {
            Direction::ToServer => self.acknowledgments[0] = received,
            Direction::ToClient => self.acknowledgments[1] = received,
        }
    }
}

/// A number from a number, without a visible pattern (the finaliser of splitmix64).
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Where data flows one way only, the other end acknowledges after so many bytes; where both talk, their data does.
const ACKNOWLEDGE_EVERY: usize = 256 * 1024;

/// Sequence numbers can tell forward from backward over less than 2^31 bytes; larger losses are skipped in steps.
const LARGEST_SKIP: u64 = 1 << 30;

/// A bound on what is kept of names; beyond it they are written again with each connection.
const MOST_NAMES: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    fn ends() -> Ends {
        Ends::new(Party::of(Endpoint::UnixInode(4711)), Party::of(Endpoint::UnixPath(b"/run/x.sock".as_slice().into())))
    }

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    /// The packets of a file: by the client or not, relative sequence and acknowledgment numbers, flags, payload
    /// length.
    fn packets(file: &[u8]) -> Vec<(bool, u32, u32, u8, usize)> {
        let mut packets = Vec::new();
        let mut base = [None; 2];
        let mut rest = file;
        while !rest.is_empty() {
            let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
            let (kind, len) = (word(0), word(4) as usize);
            if kind == 6 {
                let packet = &rest[28..28 + word(20) as usize];
                let tcp = &packet[54..];
                let by_client = packet[11] == 1;
                let number = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
                let header = usize::from(tcp[12] >> 4) * 4;
                let own = *base[usize::from(by_client)].get_or_insert(number(4));
                let ack = base[usize::from(!by_client)].map_or(0, |base| number(8).wrapping_sub(base));
                packets.push((by_client, number(4).wrapping_sub(own), ack, tcp[13], tcp.len() - header));
            }
            rest = &rest[len..];
        }
        packets
    }

    #[test]
    fn a_connection_is_told_in_tcp() {
        let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory");
        let mut stream = writer.open(&ends(), at(1)).expect("memory");
        writer.data(&mut stream, Direction::ToServer, b"hello", at(2), None).expect("memory");
        writer.data(&mut stream, Direction::ToClient, &[7; MAX_SEGMENT + 1], at(3), None).expect("memory");
        writer.close(&mut stream, Direction::ToServer, at(4)).expect("memory");
        writer.data(&mut stream, Direction::ToServer, b"too late", at(5), None).expect("memory");
        writer.reset(&mut stream, Direction::ToClient, at(6)).expect("memory");
        writer.close(&mut stream, Direction::ToClient, at(7)).expect("memory");
        let seen = packets(&writer.finish().expect("memory"));
        assert_eq!(
            seen,
            [
                (true, 0, 0, 0x02, 0),
                (false, 0, 1, 0x12, 0),
                (true, 1, 1, 0x10, 0),
                (true, 1, 1, 0x18, 5),
                (false, 1, 6, 0x18, 61440),
                (false, 61441, 6, 0x18, 1),
                (true, 6, 61442, 0x11, 0),
                (false, 61442, 7, 0x10, 0),
                (false, 61442, 7, 0x14, 0),
            ]
        );
    }

    #[test]
    fn what_was_lost_is_skipped_by_its_sender() {
        let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory");
        let mut stream = writer.open(&ends(), at(1)).expect("memory");
        writer.lost(&mut stream, Direction::ToServer, 1000, at(2)).expect("memory");
        writer.data(&mut stream, Direction::ToServer, b"hello", at(3), None).expect("memory");
        writer.lost(&mut stream, Direction::ToClient, 3 << 30, at(4)).expect("memory");
        assert_eq!(writer.file.dropped(), 1 + (3u64 << 30).div_ceil(61440));
        let file = writer.finish().expect("memory");
        let text = String::from_utf8_lossy(&file);
        assert!(text.contains("rpcshark: 1000 bytes from the client were not recorded here"));
        assert_eq!(
            packets(&file)[3..],
            [
                (true, 1001, 1, 0x10, 0),
                (true, 1001, 1, 0x18, 5),
                (false, 1 + (1 << 30), 1006, 0x10, 0),
                (false, 1 + (2 << 30), 1006, 0x10, 0),
                (false, 1u32.wrapping_add(3 << 30), 1006, 0x10, 0),
            ]
        );
    }

    #[test]
    fn a_connection_on_which_nothing_happened_is_there_too() {
        let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory");
        let stream = writer.open(&ends(), at(1)).expect("memory");
        assert_eq!(writer.packets(), 0);
        writer.end(stream).expect("memory");
        assert_eq!(writer.packets(), 3);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory");
        let mut stream = writer.open(&ends(), at(1)).expect("memory");
        writer.data(&mut stream, Direction::ToServer, b"first", at(2), None).expect("memory");
        stream.flows[0].next = u32::MAX - 1;
        writer.data(&mut stream, Direction::ToServer, b"hello", at(2), None).expect("memory");
        assert_eq!(stream.flows[0].next, 3);
        writer.close(&mut stream, Direction::ToServer, at(2)).expect("memory");
        assert_eq!(stream.flows[0].next, 4);
    }

    #[test]
    fn a_sender_acknowledges_only_what_it_had_received() {
        let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory");
        let mut stream = writer.open(&ends(), at(1)).expect("memory");
        writer.data(&mut stream, Direction::ToClient, b"answer", at(2), None).expect("memory");
        writer.data(&mut stream, Direction::ToClient, b"end", at(3), None).expect("memory");
        for received in [Some(6), Some(2), None, Some(12), None] {
            stream.set_acknowledgment(Direction::ToServer, received);
            writer.data(&mut stream, Direction::ToServer, b"x", at(4), None).expect("memory");
        }
        assert_eq!((stream.sent(Direction::ToServer), stream.sent(Direction::ToClient)), (5, 9));
        let seen = packets(&writer.finish().expect("memory"));
        let acks: Vec<u32> = seen[5..].iter().map(|packet| packet.2).collect();
        assert_eq!(acks, [7, 7, 10, 13, 13], "never less than before");
    }

    #[test]
    fn one_way_traffic_is_acknowledged_now_and_then() {
        let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory");
        let mut stream = writer.open(&ends(), at(1)).expect("memory");
        writer.data(&mut stream, Direction::ToClient, &vec![7; 1 << 20], at(2), None).expect("memory");
        let seen = packets(&writer.finish().expect("memory"));
        let acks = seen.iter().skip(3).filter(|packet| packet.0).count();
        assert_eq!((acks, seen.len()), (3, 3 + 18 + 3));
    }

    #[test]
    fn the_same_seed_gives_the_same_file() {
        let write = |seed| {
            let about = About { seed, ..About::default() };
            let mut writer = StreamWriter::new(Vec::new(), &about).expect("memory");
            let mut stream = writer.open(&ends(), at(1)).expect("memory");
            writer.data(&mut stream, Direction::ToServer, b"hello", at(2), Some("a comment")).expect("memory");
            writer.refused(&ends(), at(3), Some("no such file")).expect("memory");
            writer.finish().expect("memory")
        };
        assert_eq!(write(1), write(1));
        assert_ne!(write(1), write(2));
    }
}
