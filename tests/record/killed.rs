//! A recorder in a process of its own, ended in every way there is.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::recording::{Recording, grpc_opening};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcshark"));
    command.arg("record").args(arguments);
    command
}

/// Starts a recorder and waits until it listens.
pub(crate) fn start(arguments: &[&str]) -> Child {
    let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    while !line.contains("recording at") {
        line.clear();
        assert!(said.read_line(&mut line).expect("read") > 0, "it ended");
    }
    std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok).filter(|line| line.contains("not ")) {
            eprintln!("{line}");
        }
    });
    child
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("a process number")).expect("not 0");
    kill_process(pid, signal).expect("signalled");
}

struct Place {
    directory: tempfile::TempDir,
    server: UnixListener,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let server = UnixListener::bind(directory.path().join("x.sock")).expect("bound");
        Self { directory, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn swap(&self) -> Child {
        let (socket, out) = (self.path("x.sock"), self.path("out.pcapng"));
        start(&["--swap", socket.to_str().expect("text"), "-w", out.to_str().expect("text")])
    }

    /// Waits until a recorder listens where the server did.
    fn wait_until_taken(&self) {
        let inode = |name: &str| self.path(name).symlink_metadata().map(|there| there.ino()).ok();
        while inode("x.sock.rpcshark-original").is_none_or(|aside| inode("x.sock") == Some(aside)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A question and its answer through whatever is at the path.
    fn call(&self) -> (UnixStream, UnixStream) {
        let mut client = UnixStream::connect(self.path("x.sock")).expect("connected");
        client.write_all(b"question").expect("written");
        let mut bytes = [0; 8];
        let mut server = self.server.accept().expect("accepted").0;
        // Whoever looks whether the server is alive connects and says nothing.
        while server.read_exact(&mut bytes).is_err() {
            server = self.server.accept().expect("accepted").0;
        }
        server.write_all(b"answer").expect("written");
        client.read_exact(&mut bytes[..6]).expect("read");
        (client, server)
    }

    fn only(&self, names: &[&str]) {
        let entries = self.directory.path().read_dir().expect("a directory");
        let mut found: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        found.sort();
        assert_eq!(found, names);
    }

    fn recording(&self) -> Recording {
        Recording::read_file(&self.path("out.pcapng"))
    }
}

fn holds_the_call(recording: &Recording, socket: &Path) {
    assert_eq!(recording.connections.len(), 1);
    let connection = &recording.connections[0];
    assert_eq!(connection.flows[0].bytes, b"question");
    assert_eq!(connection.flows[1].bytes, b"answer");
    let ends = connection.ends.as_ref().expect("a comment");
    let socket = socket.canonicalize().expect("there");
    assert_eq!(ends.server.endpoint.to_string(), format!("unix:{}", socket.display()));
    assert_eq!((ends.via.as_ref(), ends.server.process.pid), (None, Some(std::process::id())));
}

#[test]
fn a_signal_ends_the_file_and_puts_the_socket_back() {
    for sent in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = Place::new();
        let mut child = place.swap();
        place.only(&["out.pcapng", "x.sock", "x.sock.rpcshark-original"]);
        let ends = place.call();
        signal(&child, sent);
        assert_eq!(child.wait().expect("ended").code(), Some(130));
        drop(ends);
        place.only(&["out.pcapng", "x.sock"]);
        holds_the_call(&place.recording(), &place.path("x.sock"));
        assert!(place.recording().statistics, "the file was ended properly");
        place.call();
    }
}

#[test]
fn a_killed_recorder_loses_the_last_moment_and_is_restored_after() {
    let place = Place::new();
    let mut child = place.swap();
    let ends = place.call();
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::KILL);
    child.wait().expect("ended");
    drop(ends);
    holds_the_call(&place.recording(), &place.path("x.sock"));
    place.only(&["out.pcapng", "x.sock", "x.sock.rpcshark-original"]);
    assert!(UnixStream::connect(place.path("x.sock")).is_err());

    let socket = place.path("x.sock");
    let restored = command(&["--restore", socket.to_str().expect("text")]).output().expect("run");
    assert_eq!(restored.status.code(), Some(0));
    place.only(&["out.pcapng", "x.sock"]);
    place.call();
}

#[test]
fn a_second_recorder_is_refused() {
    let place = Place::new();
    let mut child = place.swap();
    let socket = place.path("x.sock");
    let second = command(&["--swap", socket.to_str().expect("text"), "-w", "/dev/null"]).output().expect("run");
    assert_eq!(second.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another recorder"));
    let restored = command(&["--restore", socket.to_str().expect("text")]).output().expect("run");
    assert_eq!(restored.status.code(), Some(5));
    place.call();
    signal(&child, Signal::INT);
    child.wait().expect("ended");
    place.only(&["out.pcapng", "x.sock"]);
}

#[test]
fn a_file_that_a_recorder_writes_is_left_alone() {
    let place = Place::new();
    let (listen, out) = (format!("unix:{}", place.path("front.sock").display()), place.path("out.pcapng"));
    let to = format!("unix:{}", place.path("x.sock").display());
    let out = out.to_str().expect("text");
    let mut child = start(&["--listen", &listen, "--to", &to, "-w", out]);
    let mut before = Vec::new();
    while before.is_empty() {
        before = std::fs::read(out).expect("the file");
    }
    for listen in [&listen, "127.0.0.1:0"] {
        let second = command(&["--listen", listen, "--to", &to, "-w", out]).output().expect("run");
        let said = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(5), "{said}");
        assert!(said.contains("another recorder writes this file"), "{said}");
    }
    assert_eq!(std::fs::read(out).expect("the file"), before);
    signal(&child, Signal::INT);
    child.wait().expect("ended");
    assert!(place.recording().statistics);
}

#[test]
fn a_recorder_that_cannot_begin_leaves_the_file_as_it_is() {
    let place = Place::new();
    std::fs::write(place.path("out.pcapng"), "a recording").expect("written");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let busy = busy.local_addr().expect("bound").to_string();
    let missing = place.path("missing.sock");
    for (arguments, said) in [
        (["--listen", &busy, "--to", "localhost:1"].as_slice(), "in use"),
        (&["--listen", "nowhere.invalid:0", "--to", "localhost:1"], "nowhere.invalid"),
        (&["--swap", missing.to_str().expect("text")], "no such socket"),
    ] {
        for name in ["out.pcapng", "new.pcapng"] {
            let out = place.path(name);
            let output = command(arguments).arg("-w").arg(&out).output().expect("run");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{errors}");
            assert_eq!(errors.matches(said).count(), 1, "{errors}");
            assert!(errors.matches("os error").count() <= 1, "{errors}");
        }
    }
    assert_eq!(std::fs::read(place.path("out.pcapng")).expect("there"), b"a recording");
    place.only(&["out.pcapng", "x.sock"]);
    // One that can begin overwrites it.
    let mut child = place.swap();
    drop(place.call());
    signal(&child, Signal::INT);
    child.wait().expect("ended");
    holds_the_call(&place.recording(), &place.path("x.sock"));
}

#[test]
fn a_pipe_that_nobody_reads_ends_the_recorder_quietly() {
    let place = Place::new();
    let socket = place.path("x.sock");
    let mut child = command(&["--swap", socket.to_str().expect("text"), "-w", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut pipe = child.stdout.take().expect("piped");
    let mut begin = [0; 4];
    pipe.read_exact(&mut begin).expect("the file begins at once");
    assert_eq!(begin, [0x0a, 0x0d, 0x0d, 0x0a]);
    place.wait_until_taken();
    drop(pipe);
    let mut ends = Vec::new();
    for _ in 0..200 {
        if child.try_wait().expect("asked").is_some() {
            break;
        }
        if let Ok(mut client) = UnixStream::connect(&socket) {
            let _ = client.write_all(b"x");
            ends.push(client);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    place.only(&["x.sock"]);
}

#[test]
fn calls_are_printed_as_they_end() {
    let place = Place::new();
    let (socket, out) = (place.path("x.sock"), place.path("out.pcapng"));
    let mut child = command(&["--live", "--swap", socket.to_str().expect("text"), "-w", out.to_str().expect("text")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    place.wait_until_taken();
    let mut client = UnixStream::connect(&socket).expect("connected");
    let mut server = place.server.accept().expect("accepted").0;
    client.write_all(&[0, 0, 0, 21, 0, 0, 0, 1, 1, 0]).expect("written");
    client.write_all(b"\x0a\x0bpkg.Service\x12\x06Method").expect("written");
    server.read_exact(&mut [0; 31]).expect("read");
    server.write_all(&[0, 0, 0, 0, 0, 0, 0, 1, 2, 0]).expect("written");
    client.read_exact(&mut [0; 10]).expect("read");

    // The recorder runs on, and so do both ends.
    let printed = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = printed.map_while(Result::ok).find(|line| line.contains("pkg.Service/Method"));
    assert!(line.expect("the call is printed").contains("OK"));
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    place.only(&["out.pcapng", "x.sock"]);
    drop((client, server));
}

#[test]
fn a_call_is_printed_when_its_connection_ends_with_the_time_that_the_file_gives() {
    let place = Place::new();
    let (socket, out) = (place.path("x.sock"), place.path("out.pcapng"));
    let mut child = command(&["--live", "--swap", socket.to_str().expect("text"), "-w", out.to_str().expect("text")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    place.wait_until_taken();
    // Not on a connection on which nothing happens, whose handshake is written last.
    let silent = UnixStream::connect(&socket).expect("connected");
    let silent = (silent, place.server.accept().expect("accepted").0);
    let mut client = UnixStream::connect(&socket).expect("connected");
    let mut server = place.server.accept().expect("accepted").0;
    std::thread::sleep(Duration::from_millis(30));
    let [up, _] = grpc_opening("/a.B/Watch");
    client.write_all(&up).expect("written");
    server.read_exact(&mut vec![0; up.len()]).expect("read");
    drop(client);

    // The server and the recorder continue.
    let printed = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = printed.map_while(Result::ok).find(|line| line.contains("a.B/Watch")).expect("the call is printed");
    signal(&child, Signal::INT);
    child.wait().expect("ended");
    drop((server, silent));
    let read = Command::new(env!("CARGO_BIN_EXE_rpcshark")).arg("calls").arg(&out).output().expect("run").stdout;
    let read = String::from_utf8(read).expect("text");
    assert!(read.lines().any(|read| read == line), "{line}\n{read}");
}

#[test]
fn what_cannot_be_recorded_is_said() {
    for (arguments, code, said) in [
        (["--listen", "127.0.0.1:0", "--to", "https://localhost"].as_slice(), 2, "TLS"),
        (&["--listen", "https://localhost:0", "--to", "localhost:1"], 2, "TLS"),
        (&["--listen", "localhost", "--to", "localhost:1"], 2, "no port"),
        (&["--listen", "localhost:0"], 2, "--to"),
        (&["--swap", "/nowhere/x.sock"], 3, "no such socket"),
        (&["--swap", "/dev/null"], 3, "not a Unix socket"),
        (&["--listen", "unix:/dev/null", "--to", "localhost:1"], 3, "not a socket"),
    ] {
        let output = command(&[arguments, &["-w", "/dev/null"]].concat()).output().expect("run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
}

/// What a recorder says on standard error until it ends.
fn said(mut command: Command, during: impl FnOnce(&Child)) -> (String, Option<i32>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("recording at") {
        assert!(stderr.read_line(&mut said).expect("read") > 0, "it ended: {said}");
    }
    during(&child);
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, Signal::INT);
    stderr.read_to_string(&mut said).expect("read");
    (said, child.wait().expect("ended").code())
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_reported() {
    let place = Place::new();
    let (socket, out) = (place.path("x.sock"), place.path("out.pcapng"));
    let arguments =
        |out: &Path| command(&["--swap", socket.to_str().expect("text"), "-w", out.to_str().expect("text")]);
    let (text, status) = said(arguments(&out), |_| std::fs::remove_file(&out).expect("removed"));
    assert!(text.contains("the file was removed") && status == Some(4), "{status:?} {text}");
    let moved = place.path("moved.pcapng");
    let (text, status) = said(arguments(&out), |_| std::fs::rename(&out, &moved).expect("moved"));
    assert!(text.contains("the file was moved") && status == Some(130), "{status:?} {text}");
    place.only(&["moved.pcapng", "x.sock"]);
}

#[test]
fn a_server_that_restarts_is_reported_and_leaves_nothing_to_remove_by_hand() {
    let place = Place::new();
    let (socket, out) = (place.path("x.sock"), place.path("out.pcapng"));
    let swap = command(&["--swap", socket.to_str().expect("text"), "-w", out.to_str().expect("text")]);
    let mut new_server = None;
    let (text, status) = said(swap, |_| {
        std::fs::remove_file(&socket).expect("removed, as servers do when they start");
        new_server = Some(UnixListener::bind(&socket).expect("bound"));
    });
    assert!(text.contains("clients reach it without the recorder") && status == Some(130), "{status:?} {text}");
    place.only(&["out.pcapng", "x.sock"]);
    UnixStream::connect(&socket).expect("the new server listens");
}

#[test]
fn calls_are_shown_live_without_a_file() {
    let place = Place::new();
    let socket = place.path("x.sock");
    let mut live = command(&["--swap", socket.to_str().expect("text"), "--live"]);
    let mut child = live.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    place.wait_until_taken();
    let mut client = UnixStream::connect(&socket).expect("connected");
    let request = b"\0\0\0\x0c\0\0\0\x01\x01\0\x0a\x03a.B\x12\x01M\x1a\x02\x08\x01"; // ttrpc: a.B/M on stream 1
    client.write_all(request).expect("written");
    let mut server = place.server.accept().expect("accepted").0;
    let mut bytes = [0; 22];
    while server.read_exact(&mut bytes).is_err() {
        server = place.server.accept().expect("accepted").0;
    }
    server.write_all(b"\0\0\0\0\0\0\0\x01\x02\0").expect("written"); // an empty answer: OK
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("read").contains("a.B/M")));
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    place.only(&["x.sock"]);
}
