//! Writes large captures to standard output, to see what reading them takes.
//!
//! ```text
//! cargo build --release -p rpcshark-captures --example generate
//! generate copies 4 etcd-xl.pcap > four.pcap                 the same connections four times, one after the other
//! generate connection 20000000000 | rpcshark calls -         one connection with so many bytes of answers
//! generate connections 100000 | rpcshark calls -             as many connections at once, with one call each
//! generate messages 10000000 | rpcshark calls -              one call with as many messages
//! generate message 1073741824 | rpcshark calls -             one call with one message of so many bytes
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, StdoutLock, Write};

use rpcshark_captures::write::{Ends, Party, StreamWriter, WrittenStream};
use rpcshark_captures::{Direction, Endpoint, Timestamp};

type Output = BufWriter<StdoutLock<'static>>;

const USAGE: &str = "copies COUNT FILE, connection BYTES, connections COUNT, messages COUNT or message BYTES";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let written = match arguments[..] {
        ["copies", count, file] => copies(count.parse()?, file, out),
        ["connection", bytes] => connection(bytes.parse()?, out),
        ["connections", count] => connections(count.parse()?, out),
        ["messages", count] => messages(count.parse()?, out),
        ["message", bytes] => message(bytes.parse()?, out),
        _ => return Err(USAGE.into()),
    };
    match written {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// One connection with calls one after the other, until the answers hold so many bytes.
fn connection(bytes: u64, out: Output) -> io::Result<()> {
    const ANSWER: u64 = 64 << 10;
    let mut file = Capture::new(out)?;
    let mut peers = file.connect(1)?;
    let mut stream = 1;
    for _ in 0..bytes.div_ceil(ANSWER) {
        file.request(&mut peers, stream)?;
        file.answer_begins(&mut peers, stream)?;
        file.message(&mut peers, stream, ANSWER)?;
        file.answer_ends(&mut peers, stream)?;
        stream += 2;
    }
    file.finish()
}

/// Connections that are all open at the same time.
fn connections(count: u32, out: Output) -> io::Result<()> {
    let mut file = Capture::new(out)?;
    let mut all = Vec::new();
    for number in 0..count {
        let mut peers = file.connect(number)?;
        file.request(&mut peers, 1)?;
        all.push(peers);
    }
    for peers in &mut all {
        file.answer_begins(peers, 1)?;
        file.message(peers, 1, 100)?;
        file.answer_ends(peers, 1)?;
    }
    file.finish()
}

/// One call whose answer is a stream of messages of 8 bytes.
fn messages(count: u64, out: Output) -> io::Result<()> {
    const MESSAGE: [u8; 13] = [0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut file = Capture::new(out)?;
    let mut peers = file.connect(1)?;
    file.request(&mut peers, 1)?;
    file.answer_begins(&mut peers, 1)?;
    let most = FRAME / MESSAGE.len();
    let full = MESSAGE.repeat(most);
    let mut left = count;
    while left > 0 {
        let now = left.min(most as u64);
        left -= now;
        file.data(&mut peers, 1, full.get(..now as usize * MESSAGE.len()).unwrap_or_default())?;
    }
    file.answer_ends(&mut peers, 1)?;
    file.finish()
}

/// One call whose answer is one message.
fn message(bytes: u64, out: Output) -> io::Result<()> {
    let mut file = Capture::new(out)?;
    let mut peers = file.connect(1)?;
    file.request(&mut peers, 1)?;
    file.answer_begins(&mut peers, 1)?;
    file.message(&mut peers, 1, bytes)?;
    file.answer_ends(&mut peers, 1)?;
    file.finish()
}

/// Bytes of a DATA frame.
const FRAME: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest flow-control window.
const WINDOW: u32 = 0x7fff_ffff;

/// A client and its server.
struct Peers {
    stream: WrittenStream,
    /// Bytes of DATA since the client has last given the server room.
    sent: u32,
}

/// A capture that is being written.
struct Capture {
    writer: StreamWriter<Output>,
    /// Nanoseconds.
    time: i64,
    /// Memory for the next bytes to write.
    bytes: Vec<u8>,
}

impl Capture {
    fn new(out: Output) -> io::Result<Self> {
        let writer = StreamWriter::new(out, &Default::default())?;
        Ok(Self { writer, time: 1_700_000_000_000_000_000, bytes: Vec::new() })
    }

    /// A connection with the beginning of both sides. Each `number` is another client.
    fn connect(&mut self, number: u32) -> io::Result<Peers> {
        let [_, a, b, c] = number.to_be_bytes();
        let client = Endpoint::Tcp(([10, a, b, c], 40_000).into());
        let ends = Ends::new(Party::of(client), Party::of(Endpoint::Tcp(([192, 168, 0, 1], 50_051).into())));
        let mut peers = Peers { stream: self.writer.open(&ends, Timestamp::from_nanos(self.time))?, sent: 0 };
        self.bytes.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let [a, b, c, d] = WINDOW.to_be_bytes();
        self.frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d]); // the initial window of streams
        self.frame(WINDOW_UPDATE, 0, 0, &(WINDOW - 65_535).to_be_bytes());
        self.send(&mut peers, Direction::ToServer)?;
        self.frame(SETTINGS, 0, 0, &[]);
        self.send(&mut peers, Direction::ToClient)?;
        Ok(peers)
    }

    fn request(&mut self, peers: &mut Peers, stream: u32) -> io::Result<()> {
        let mut block = vec![0x83, 0x86]; // :method POST, :scheme http
        literal(&[0x04], "/bench.Bench/Get", &mut block); // :path
        literal(&[0x0f, 0x10], "application/grpc", &mut block); // content-type
        self.frame(HEADERS, END_HEADERS, stream, &block);
        self.frame(DATA, END_STREAM, stream, &[0, 0, 0, 0, 0]);
        self.send(peers, Direction::ToServer)
    }

    fn answer_begins(&mut self, peers: &mut Peers, stream: u32) -> io::Result<()> {
        let mut block = vec![0x88]; // :status 200
        literal(&[0x0f, 0x10], "application/grpc", &mut block); // content-type
        self.frame(HEADERS, END_HEADERS, stream, &block);
        self.send(peers, Direction::ToClient)
    }

    /// A message of `len` bytes, in as many DATA frames as it takes.
    fn message(&mut self, peers: &mut Peers, stream: u32, len: u64) -> io::Result<()> {
        let zeros = [0; FRAME];
        let prefix = [&[0][..], &(len as u32).to_be_bytes()].concat();
        self.data(peers, stream, &prefix)?;
        let mut left = len;
        while left > 0 {
            let now = left.min(FRAME as u64) as usize;
            left -= now as u64;
            self.data(peers, stream, zeros.get(..now).unwrap_or_default())?;
        }
        Ok(())
    }

    fn data(&mut self, peers: &mut Peers, stream: u32, payload: &[u8]) -> io::Result<()> {
        peers.sent += payload.len() as u32;
        if peers.sent > WINDOW / 2 {
            self.frame(WINDOW_UPDATE, 0, 0, &std::mem::take(&mut peers.sent).to_be_bytes());
            self.send(peers, Direction::ToServer)?;
        }
        self.frame(DATA, 0, stream, payload);
        self.send(peers, Direction::ToClient)
    }

    fn answer_ends(&mut self, peers: &mut Peers, stream: u32) -> io::Result<()> {
        let mut block = vec![0x00, 11];
        block.extend_from_slice(b"grpc-status");
        literal(&[], "0", &mut block);
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        self.send(peers, Direction::ToClient)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(&[kind, flags]);
        self.bytes.extend_from_slice(&stream.to_be_bytes());
        self.bytes.extend_from_slice(payload);
    }

    fn send(&mut self, peers: &mut Peers, direction: Direction) -> io::Result<()> {
        self.time += 1_000;
        self.writer.data(&mut peers.stream, direction, &self.bytes, Timestamp::from_nanos(self.time), None)?;
        self.bytes.clear();
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.writer.finish()?.flush()
    }
}

/// A header field that is not indexed: `name` as RFC 7541 §6.2.2 encodes it, and a value shorter than 127 bytes.
fn literal(name: &[u8], value: &str, block: &mut Vec<u8>) {
    block.extend_from_slice(name);
    block.push(value.len() as u8);
    block.extend_from_slice(value.as_bytes());
}

/// A pcap of Ethernet, IPv4 and TCP several times, one copy after the other: each has later times, other client ports and
/// other sequence numbers. A client is whoever has the higher port.
fn copies(count: u32, path: &str, mut out: Output) -> io::Result<()> {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    let mut seconds = 0_u32;
    for copy in 0..count {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut header = [0; FILE_HEADER];
        file.read_exact(&mut header)?;
        if !matches!(header, [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..]) {
            return Err(io::Error::other("it is not a little-endian pcap file"));
        }
        if copy == 0 {
            out.write_all(&header)?;
        }
        let (mut first, mut last) = (None, 0);
        let mut record = Vec::new();
        loop {
            record.resize(RECORD_HEADER, 0);
            match file.read_exact(&mut record) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            let time = number(&record, 0);
            let len = number(&record, 8) as usize;
            record.resize(RECORD_HEADER + len, 0);
            file.read_exact(record.get_mut(RECORD_HEADER..).unwrap_or_default())?;
            let begin = *first.get_or_insert(time);
            last = time - begin;
            put(&mut record, 0, time.wrapping_add(seconds).to_le_bytes());
            shift(record.get_mut(RECORD_HEADER..).unwrap_or_default(), copy);
            out.write_all(&record)?;
        }
        seconds += last + 10;
    }
    out.flush()
}

/// Makes a packet one of another connection.
fn shift(packet: &mut [u8], copy: u32) {
    let is_tcp = packet.get(12..15) == Some(&[0x08, 0x00, 0x45]) && packet.get(23) == Some(&6);
    if !is_tcp || packet.len() < 54 {
        return;
    }
    let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let is_from_client = port(34) > port(36);
    let at = if is_from_client { 34 } else { 36 };
    // Every port above 1023 has another one that stands for it.
    let moved = 1024 + (u32::from(port(at)).saturating_sub(1024) + copy * 9_973) % (65_536 - 1024);
    put(packet, at, (moved as u16).to_be_bytes());
    let (client, server) = (copy.wrapping_mul(0x0123_4567), copy.wrapping_mul(0x089a_bcde));
    let (seq, ack) = if is_from_client { (client, server) } else { (server, client) };
    for (at, more) in [(38, seq), (42, ack)] {
        let number = u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        put(packet, at, number.wrapping_add(more).to_be_bytes());
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |&bytes| u32::from_le_bytes(bytes))
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}
