//! Bytes unchanged both ways, of every size and on every pairing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::recording::{Rig, socket_path};

/// Bytes that depend on where they are, and differ from seed to seed.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

trait Stream: Read + Write + Send + Sized + 'static {
    fn twin(&self) -> Self;
    fn close(&self);
}

impl Stream for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().expect("cloned")
    }

    fn close(&self) {
        self.shutdown(Shutdown::Write).expect("shut down");
    }
}

impl Stream for UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().expect("cloned")
    }

    fn close(&self) {
        self.shutdown(Shutdown::Write).expect("shut down");
    }
}

/// Writes `bytes` in pieces of odd sizes, then half-closes.
fn talk(mut stream: impl Stream, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut rest, mut size) = (bytes.as_slice(), 1);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            stream.write_all(piece).expect("written");
            (rest, size) = (after, size * 3 % 200_003);
        }
        stream.close();
    })
}

/// Both ends talk at once; each hears all that the other said, and its end.
fn converse(client: impl Stream, server: impl Stream, seed: u64, up: usize, down: usize) {
    let (up, down) = (pattern(seed, up), pattern(!seed, down));
    let talking = [talk(client.twin(), up.clone()), talk(server.twin(), down.clone())];
    let hearing = [hear(client), hear(server)];
    let [heard_by_client, heard_by_server] = hearing.map(|thread| thread.join().expect("heard"));
    assert!(heard_by_client == down && heard_by_server == up, "bytes were changed");
    for thread in talking {
        thread.join().expect("said");
    }
}

fn hear(mut stream: impl Stream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("read");
        heard
    })
}

fn check(rig: Rig, conversations: &[(u64, usize, usize)]) {
    let (recording, summary) = rig.finish();
    assert_eq!(recording.connections.len(), conversations.len());
    assert_eq!((summary.lost_bytes, summary.lost_connections), (0, 0));
    assert!(recording.statistics);
    for &(seed, up, down) in conversations {
        let found = recording.connections.iter().any(|connection| {
            let [to_server, to_client] = &connection.flows;
            to_server.bytes == pattern(seed, up) && to_client.bytes == pattern(!seed, down)
        });
        assert!(found, "conversation {seed} is not in the file");
    }
    for connection in &recording.connections {
        assert!(connection.flows.iter().all(|flow| flow.fin && !flow.rst && flow.lost == 0));
    }
}

const SIZES: [(u64, usize, usize); 6] =
    [(1, 0, 0), (2, 1, 0), (3, 0, 1), (4, 61_440, 61_441), (5, 3_000_001, 17), (6, 999_999, 2_000_003)];

#[test]
fn tcp_to_tcp() {
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let rig = Rig::new("127.0.0.1:0", &server.local_addr().expect("bound").to_string());
    for (seed, up, down) in SIZES {
        let client = TcpStream::connect(rig.addr()).expect("connected");
        converse(client, server.accept().expect("accepted").0, seed, up, down);
    }
    check(rig, &SIZES);
}

#[test]
fn unix_to_unix() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let server = UnixListener::bind(server_path).expect("bound");
    let rig = Rig::new(&address, &server_address);
    for (seed, up, down) in SIZES {
        let client = UnixStream::connect(&path).expect("connected");
        converse(client, server.accept().expect("accepted").0, seed, up, down);
    }
    check(rig, &SIZES);
    assert!(!path.exists(), "the recorder's socket is removed at the end");
}

#[test]
fn tcp_to_unix_and_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let server = UnixListener::bind(server_path).expect("bound");
    let rig = Rig::new("[::1]:0", &server_address);
    for (seed, up, down) in SIZES {
        let client = TcpStream::connect(rig.addr()).expect("connected");
        converse(client, server.accept().expect("accepted").0, seed, up, down);
    }
    check(rig, &SIZES);

    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let rig = Rig::new(&address, &format!("http://{}/", server.local_addr().expect("bound")));
    for (seed, up, down) in SIZES {
        let client = UnixStream::connect(&path).expect("connected");
        converse(client, server.accept().expect("accepted").0, seed, up, down);
    }
    check(rig, &SIZES);
}

#[test]
fn sixty_four_connections_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let server = UnixListener::bind(server_path).expect("bound");
    let rig = Rig::new(&address, &server_address);
    let conversations: Vec<_> = (0..64).map(|no| (no, 100_000 + no as usize * 1_001, 70_000)).collect();
    thread::scope(|scope| {
        for &(seed, up, down) in &conversations {
            // One after the other, so that it is known which is which; then all talk at once.
            let client = UnixStream::connect(&path).expect("connected");
            let server = server.accept().expect("accepted").0;
            scope.spawn(move || converse(client, server, seed, up, down));
        }
    });
    check(rig, &conversations);
}

#[test]
fn a_hundred_small_calls_keep_their_order() {
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let rig = Rig::new("127.0.0.1:0", &server.local_addr().expect("bound").to_string());
    let mut client = TcpStream::connect(rig.addr()).expect("connected");
    let mut server = server.accept().expect("accepted").0;
    let (mut question, mut answer) = ([0; 5], [0; 3]);
    for _ in 0..100 {
        client.write_all(b"hello").expect("written");
        server.read_exact(&mut question).expect("read");
        server.write_all(b"you").expect("written");
        client.read_exact(&mut answer).expect("read");
    }
    drop((client, server));
    let (recording, _) = rig.finish();
    assert_eq!(recording.connections[0].flows[0].bytes, b"hello".repeat(100));
    assert_eq!(recording.connections[0].flows[1].bytes, b"you".repeat(100));
}
