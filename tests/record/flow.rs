//! Flow control between a grpcio server and a client that reads slowly, as the recording shows it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::environment::python_with_grpcio;
use super::recording::{Rig, grpc_opening, http2_frame};

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

/// How long the client does not read on.
const PAUSE: Duration = Duration::from_millis(400);

/// The server, which ends with the test.
struct Server(Child);

impl Server {
    /// Starts it; its port.
    fn start(python: &Path) -> (Self, u16) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/record/flow.py");
        let command = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = command.expect("python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its port");
        (Self(child), line.trim().parse().expect("a port"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The call of a client that lets the server use up `full` bytes of windows, pauses, and then continues reading.
fn slow_call(python: &Path, initial_window: u32, full: usize) -> Value {
    let (_server, port) = Server::start(python);
    let rig = Rig::new("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let mut socket = TcpStream::connect(rig.addr()).expect("connected");
    let [opening, _] = grpc_opening("/a.B/C");
    let settings = [&[0, 4][..], &initial_window.to_be_bytes()].concat();
    socket.write_all(&opening).expect("written");
    socket.write_all(&http2_frame(SETTINGS, 0, 0, &settings)).expect("written");
    socket.write_all(&http2_frame(DATA, END_STREAM, 1, &[0; 5])).expect("written");
    let (mut received, mut paused) = (0, false);
    loop {
        let mut header = [0; 9];
        socket.read_exact(&mut header).expect("a frame");
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).expect("its payload");
        match (header[3], header[4] & ACK) {
            (SETTINGS, 0) => socket.write_all(&http2_frame(SETTINGS, ACK, 0, &[])).expect("written"),
            (DATA, _) => received += length,
            _ => {}
        }
        let is_last = header[8] == 1 && header[3] <= 1 && header[4] & END_STREAM != 0;
        if is_last {
            break;
        }
        if received == full && !paused {
            paused = true;
            std::thread::sleep(PAUSE);
            let increment = (1_u32 << 20).to_be_bytes();
            let updates = [0, 1].map(|stream| http2_frame(WINDOW_UPDATE, 0, stream, &increment));
            socket.write_all(&updates.concat()).expect("written");
        }
    }
    assert!(paused, "the server stopped at {full} bytes");
    drop(socket);
    let (_, calls) = rig.finish_and_read_calls();
    assert_eq!(calls.len(), 1);
    calls.into_iter().next().expect("a call")
}

/// The call was stalled for the pause, and not for longer than it took.
fn check(call: &Value, window: &str) {
    let stalled = call["stalled_ns"].as_u64().unwrap_or_else(|| panic!("no stall: {}", call["notes"]));
    let took = call["duration_ns"].as_u64().expect("a duration");
    assert!((PAUSE.as_nanos() as u64..took).contains(&stalled), "{stalled} of {took}");
    let notes = call["notes"].as_array().expect("notes");
    let note = notes.iter().find(|note| note["kind"] == "flow-control-stall").expect("a note");
    let text = note["text"].as_str().expect("text");
    assert!(text.contains("stopped the server") && text.contains(window), "{text}");
}

#[test]
fn a_server_that_waits_for_a_slow_reader_is_stalled_by_the_window_of_the_stream() {
    let Some(python) = python_with_grpcio() else { return };
    check(&slow_call(&python, 20_000, 20_000), "the stream's window");
}

#[test]
fn a_server_that_waits_for_a_slow_reader_is_stalled_by_the_window_of_the_connection() {
    let Some(python) = python_with_grpcio() else { return };
    check(&slow_call(&python, 1 << 20, 65_535), "the connection's window");
}
