//! The file: a disk that is slow or full, a pipe, and what packet tools think of it.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rpcshark::record::WhenFull;

use crate::recording::{Recording, grpc_opening, http2_frame, recorder, recorder_that, socket_path};
use crate::skip::skip;

/// A disk that writes nothing until it is allowed to.
struct Stuck {
    allowed: Receiver<()>,
    free: bool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.free {
            let _ = self.allowed.recv();
            self.free = true;
        }
        self.written.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stuck() -> (Stuck, Sender<()>, Arc<Mutex<Vec<u8>>>) {
    let (allow, allowed) = channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    (Stuck { allowed, free: false, written: Arc::clone(&written) }, allow, written)
}

#[test]
fn a_slow_disk_costs_the_recording_and_not_the_traffic() {
    const SENT: usize = 20 << 20;
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let (disk, allow, written) = stuck();
    let recorder = recorder(&address, &server_address, Box::new(disk), 1 << 20);
    let mut client = UnixStream::connect(&path).expect("connected");
    let mut server = listener.accept().expect("accepted").0;

    let started = Instant::now();
    let reading = thread::spawn(move || {
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).expect("read");
        heard
    });
    for no in 0..20u8 {
        client.write_all(&vec![no; 1 << 20]).expect("written");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "the traffic waited for the disk");
    allow.send(()).expect("it waits");
    thread::sleep(Duration::from_millis(500));
    client.write_all(b"The End").expect("written");
    client.shutdown(std::net::Shutdown::Write).expect("shut down");
    let heard = reading.join().expect("heard");
    let is_right =
        |at: usize, byte: u8| if at < SENT { byte as usize == at >> 20 } else { b"The End"[at - SENT] == byte };
    assert!(heard.len() == SENT + 7 && heard.iter().enumerate().all(|(at, &byte)| is_right(at, byte)));
    drop(client);

    let summary = recorder.stop();
    let recording = Recording::read(&written.lock().expect("not poisoned"));
    let flow = &recording.connections[0].flows[0];
    assert!(summary.lost_bytes > 15 << 20, "{summary:?}");
    assert_eq!(summary.lost_bytes + summary.bytes[0], SENT as u64 + 7);
    // Told once or, where the disk came to write before all was sent, in several places.
    let told = recording.comments.iter().filter_map(|comment| {
        let bytes =
            comment.strip_prefix("rpcshark: ")?.strip_suffix(" bytes from the client were not recorded here")?;
        bytes.parse::<u64>().ok()
    });
    assert_eq!(told.sum::<u64>(), summary.lost_bytes, "{:?}", recording.comments);
    // What is there is right, and the end stands where it belongs.
    assert!(flow.fin && flow.bytes.len() == SENT + 7 && flow.lost == summary.lost_bytes);
    assert!(flow.bytes.iter().enumerate().all(|(at, &byte)| byte == 0 || is_right(at, byte)));
    assert!(flow.bytes.ends_with(b"The End"));

    // The program itself reads the same.
    let out = directory.path().join("out.pcapng");
    std::fs::write(&out, &*written.lock().expect("not poisoned")).expect("written");
    let read = Command::new(env!("CARGO_BIN_EXE_rpcshark")).args(["connections", "--json"]).arg(&out).output();
    let read = read.expect("run").stdout;
    let connection: serde_json::Value = serde_json::from_slice(&read).expect("one object");
    let gaps = connection["to_server"]["gaps"].as_array().expect("a list");
    let length: u64 = gaps.iter().map(|gap| gap["length"].as_u64().expect("a known length")).sum();
    assert_eq!(length, summary.lost_bytes, "{connection}");
    assert!(gaps.iter().all(|gap| gap["cause"] == "dropped"), "the recorder says that it dropped them: {connection}");
    let mut said = connection["notes"].as_array().expect("notes").iter().filter(|note| note["kind"] == "recorder");
    let is_told =
        |note: &serde_json::Value| note["text"].as_str().is_some_and(|text| text.ends_with("not recorded here"));
    assert!(said.next().is_some_and(is_told) && said.all(is_told), "{connection}");
    assert_eq!((&connection["server"], &connection["closed"]), (&server_address.as_str().into(), &"fin".into()));
}

#[test]
fn traffic_waits_for_a_slow_disk_where_that_is_asked_for() {
    const SENT: usize = 8 << 20;
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let (disk, allow, written) = stuck();
    let recorder = recorder_that(WhenFull::Wait, &address, &server_address, Box::new(disk), 1 << 20);
    let mut client = UnixStream::connect(&path).expect("connected");
    let mut server = listener.accept().expect("accepted").0;
    let writing = thread::spawn(move || client.write_all(&vec![7; SENT]).expect("written"));
    thread::sleep(Duration::from_millis(300));
    assert!(!writing.is_finished(), "it did not wait");
    allow.send(()).expect("it waits");
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).expect("read");
    writing.join().expect("written");
    assert_eq!(heard.len(), SENT);
    let summary = recorder.stop();
    assert_eq!((summary.lost_bytes, summary.bytes[0]), (0, SENT as u64));
    assert_eq!(Recording::read(&written.lock().expect("not poisoned")).connections[0].flows[0].lost, 0);
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_traffic() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let recorder = recorder(&address, &server_address, Box::new(Full(100_000)), 1 << 20);
    let mut client = UnixStream::connect(&path).expect("connected");
    let mut server = listener.accept().expect("accepted").0;
    let mut heard = vec![0; 10_000];
    for _ in 0..200 {
        client.write_all(&[7; 10_000]).expect("written");
        server.read_exact(&mut heard).expect("read");
    }
    let summary = recorder.stop();
    assert_eq!(summary.failure.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
}

#[test]
fn packet_tools_find_nothing_to_complain_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let out = directory.path().join("out.pcapng");
    let file = std::fs::File::create(&out).expect("created");
    let recorder = recorder(&address, &server_address, Box::new(file), 64 << 20);
    thread::scope(|scope| {
        for no in 0..8 {
            let mut client = UnixStream::connect(&path).expect("connected");
            let mut server = listener.accept().expect("accepted").0;
            scope.spawn(move || {
                for round in 1..100 {
                    let mut bytes = vec![no; round * 37];
                    client.write_all(&bytes).expect("written");
                    server.read_exact(&mut bytes).expect("read");
                    server.write_all(&vec![no; 70_000]).expect("written");
                    client.read_exact(&mut vec![0; 70_000]).expect("read");
                }
            });
        }
    });
    recorder.stop();
    let checks = ["-o", "tcp.check_checksum:TRUE", "-q", "-z", "expert,warn"];
    let Ok(output) = Command::new("tshark").arg("-r").arg(&out).args(checks).output() else {
        return skip("tshark is not installed");
    };
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "");
}

/// A message of gRPC in frames of 16 KiB: protobuf, field 1 of so many bytes.
fn message_in_frames(bytes: usize) -> Vec<u8> {
    let length = [bytes as u8 | 0x80, (bytes >> 7) as u8 | 0x80, (bytes >> 14) as u8]; // a varint of 3 bytes
    let body = [&[0x0a], length.as_slice(), &vec![b'x'; bytes]].concat();
    let message = [&[0], (body.len() as u32).to_be_bytes().as_slice(), &body].concat(); // not compressed
    message.chunks(16_384).flat_map(|piece| http2_frame(0, 0, 1, piece)).collect()
}

#[test]
fn packet_tools_find_every_message_of_several_busy_clients() {
    // Every read of the recorder that is full makes a segment of the largest size.
    const CLIENTS: usize = 4;
    const SIZES: [usize; 8] = [20_000, 61_407, 100_000, 17_000, 200_000, 61_440, 16_384, 500_000];
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let out = directory.path().join("out.pcapng");
    let file = std::fs::File::create(&out).expect("created");
    let recorder = recorder(&address, &server_address, Box::new(file), 64 << 20);
    let [up, down] = &grpc_opening("/a.B/Chat");
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut client = UnixStream::connect(&path).expect("connected");
            let mut server = listener.accept().expect("accepted").0;
            let sent: Vec<u8> = SIZES.iter().flat_map(|&size| message_in_frames(size)).collect();
            let back = sent.clone();
            // As clients do: first the preface, then the rest. (Wireshark does not continue with a frame that is cut in the
            // packet in which it came upon HTTP/2.)
            client.write_all(up).expect("written");
            server.read_exact(&mut vec![0; up.len()]).expect("read");
            server.write_all(down).expect("written");
            client.read_exact(&mut vec![0; down.len()]).expect("read");
            let (mut reads, mut heard) = (client.try_clone().expect("a socket"), vec![0; back.len()]);
            scope.spawn(move || reads.read_exact(&mut heard).expect("read"));
            scope.spawn(move || {
                // In a read of the recorder is what was written in one go.
                for piece in sent.chunks(150_000) {
                    client.write_all(piece).expect("written");
                }
            });
            scope.spawn(move || {
                for piece in back.chunks(90_000) {
                    let _ = server.read(&mut vec![0; 70_000]).expect("read");
                    server.write_all(piece).expect("written");
                }
                server.read_to_end(&mut Vec::new()).expect("read");
            });
        }
    });
    recorder.stop();
    let fields = ["-Y", "grpc", "-T", "fields", "-E", "aggregator=,", "-e", "grpc.message_length"];
    let Ok(output) = Command::new("tshark").arg("-r").arg(&out).args(fields).output() else {
        return skip("tshark is not installed");
    };
    let seen = String::from_utf8(output.stdout).expect("text");
    let mut seen: Vec<usize> =
        seen.lines().flat_map(|line| line.split(',')).map(|length| length.parse().expect("a length")).collect();
    seen.sort_unstable();
    let mut expected = Vec::from(SIZES.map(|size| size + 4)).repeat(2 * CLIENTS);
    expected.sort_unstable();
    assert_eq!(seen, expected);
}
