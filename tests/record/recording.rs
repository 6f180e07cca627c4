//! A recorder with a file, and a plain reader of that file that shares no code with the program.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rpcshark::address::Address;
use rpcshark::record::{Journal, Listener, Recorder, Summary, Target, WhenFull};
use rpcshark_captures::Endpoint;
use rpcshark_captures::write::{Ends, parse_endpoint_comment};

/// A recorder between two addresses that writes to memory.
pub(crate) struct Rig {
    recorder: Recorder,
    memory: Memory,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rig {
    pub(crate) fn new(listen: &str, to: &str) -> Self {
        let memory = Memory::default();
        Self { recorder: recorder(listen, to, Box::new(memory.clone()), 64 << 20), memory }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.recorder.endpoint()
    }

    /// The TCP address at which it listens.
    pub(crate) fn addr(&self) -> std::net::SocketAddr {
        match self.endpoint() {
            Endpoint::Tcp(addr) => *addr,
            other => panic!("{other} is not TCP"),
        }
    }

    /// The calls in the file, as the program itself reads them: objects of `calls --json`.
    pub(crate) fn finish_and_read_calls(self) -> (Recording, Vec<serde_json::Value>) {
        self.finish_and_read("calls")
    }

    /// What a listing of the program (`calls`, `connections`) has of the file: its JSON objects.
    pub(crate) fn finish_and_read(self, listing: &str) -> (Recording, Vec<serde_json::Value>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let memory = self.memory.clone();
        let (recording, _) = self.finish();
        std::fs::write(file.path(), &*memory.0.lock().expect("not poisoned")).expect("written");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_rpcshark"))
            .args([listing, "--json"])
            .arg(file.path())
            .output()
            .expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).expect("text");
        (recording, lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    pub(crate) fn finish(self) -> (Recording, Summary) {
        let summary = self.recorder.stop();
        assert!(summary.failure.is_none());
        let file = self.memory.0.lock().expect("not poisoned");
        (Recording::read(&file), summary)
    }
}

pub(crate) fn recorder(listen: &str, to: &str, out: Box<dyn io::Write + Send>, limit: usize) -> Recorder {
    recorder_that(WhenFull::Lose, listen, to, out, limit)
}

pub(crate) fn recorder_that(
    when_full: WhenFull,
    listen: &str,
    to: &str,
    out: Box<dyn io::Write + Send>,
    limit: usize,
) -> Recorder {
    let listener = Listener::bind(&listen.parse().expect("an address")).expect("listening");
    let target = Target::new(to.parse::<Address>().expect("an address")).expect("a target");
    let journal = Journal::start(out, Default::default(), limit, when_full, None, |_| {}).expect("a journal");
    Recorder::start(listener, target, journal).expect("started")
}

/// A socket path in a directory of its own.
pub(crate) fn socket_path(directory: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = directory.path().join(name);
    let address = format!("unix:{}", path.display());
    (path, address)
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
pub(crate) fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals without indexing, with new names (RFC 7541 §6.2.2).
pub(crate) fn http2_fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|&len| len < 127).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What a client and a server of gRPC say first: settings, and the header fields of a call on stream 1.
pub(crate) fn grpc_opening(path: &str) -> [Vec<u8>; 2] {
    let settings = http2_frame(4, 0, 0, &[]);
    let request = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let response = [(":status", "200"), ("content-type", "application/grpc")];
    [
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice(), &http2_frame(1, 4, 1, &http2_fields(&request))]
            .concat(),
        [settings.as_slice(), &http2_frame(1, 4, 1, &http2_fields(&response))].concat(),
    ]
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) connections: Vec<Connection>,
    pub(crate) comments: Vec<String>,
    pub(crate) statistics: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) ends: Option<Ends>,
    pub(crate) flows: [Flow; 2],
}

#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The bytes, with zeros where they were lost.
    pub(crate) bytes: Vec<u8>,
    pub(crate) lost: u64,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    next: Option<u32>,
}

/// From sender and receiver to the connection's number and the direction.
type Numbers = BTreeMap<(Vec<u8>, Vec<u8>), (usize, usize)>;

impl Recording {
    pub(crate) fn read_file(path: &Path) -> Self {
        Self::read(&std::fs::read(path).expect("readable"))
    }

    /// Reads whole blocks; a last one that is cut is left out.
    pub(crate) fn read(file: &[u8]) -> Self {
        let mut recording = Self::default();
        let mut numbers = Numbers::new();
        let mut rest = file;
        while rest.len() >= 12 {
            let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().expect("four bytes"));
            let (kind, len) = (word(0), word(4) as usize);
            let Some(block) = rest.get(..len) else { break };
            assert_eq!(block[len - 4..], block[4..8], "the length stands at both ends");
            recording.statistics |= kind == 5;
            if kind == 6 {
                let captured = word(20) as usize;
                let comment = comment(&block[28 + captured.next_multiple_of(4)..len - 4]);
                recording.packet(&block[28..28 + captured], comment.clone(), &mut numbers);
                recording.comments.extend(comment);
            }
            rest = &rest[len..];
        }
        recording
    }

    fn packet(&mut self, packet: &[u8], comment: Option<String>, numbers: &mut Numbers) {
        let (from, to, tcp) = match packet[12..14] {
            [0x08, 0x00] => (&packet[26..30], &packet[30..34], &packet[34..]),
            _ => (&packet[22..38], &packet[38..54], &packet[54..]),
        };
        let from = [from, &tcp[..2]].concat();
        let to = [to, &tcp[2..4]].concat();
        let seq = u32::from_be_bytes(tcp[4..8].try_into().expect("four bytes"));
        let flags = tcp[13];
        let payload = &tcp[usize::from(tcp[12] >> 4) * 4..];
        if flags & 0x12 == 0x02 {
            let number = self.connections.len();
            numbers.insert((from.clone(), to.clone()), (number, 0));
            numbers.insert((to.clone(), from.clone()), (number, 1));
            let ends = comment.as_deref().and_then(parse_endpoint_comment);
            self.connections.push(Connection { ends, ..Connection::default() });
        }
        let (number, direction) = numbers[&(from, to)];
        let flow = &mut self.connections[number].flows[direction];
        if flags & 0x02 > 0 {
            flow.next = Some(seq.wrapping_add(1));
            return;
        }
        let skipped = seq.wrapping_sub(flow.next.unwrap_or(seq));
        flow.lost += u64::from(skipped);
        flow.bytes.resize(flow.bytes.len() + skipped as usize, 0);
        flow.bytes.extend_from_slice(payload);
        flow.next = Some(seq.wrapping_add(payload.len() as u32 + u32::from(flags & 0x01)));
        flow.fin |= flags & 0x01 > 0;
        flow.rst |= flags & 0x04 > 0;
    }
}

fn comment(mut options: &[u8]) -> Option<String> {
    while options.len() >= 4 {
        let code = u16::from_ne_bytes([options[0], options[1]]);
        let len = usize::from(u16::from_ne_bytes([options[2], options[3]]));
        if code == 1 {
            return Some(String::from_utf8(options[4..4 + len].to_vec()).expect("text"));
        }
        options = &options[4 + len.next_multiple_of(4)..];
    }
    None
}
