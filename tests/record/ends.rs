//! Half-closes, closes and resets as the other end sees them, and who the ends are.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rpcshark_captures::Endpoint;
use rustix::net::sockopt::set_socket_linger;

use crate::recording::{Rig, grpc_opening, socket_path};
use crate::skip::skip;

struct Tcp {
    rig: Rig,
    client: TcpStream,
    server: TcpStream,
}

fn tcp() -> Tcp {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let rig = Rig::new("127.0.0.1:0", &listener.local_addr().expect("bound").to_string());
    let client = TcpStream::connect(rig.addr()).expect("connected");
    let server = listener.accept().expect("accepted").0;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    }
    Tcp { rig, client, server }
}

struct Unix {
    rig: Rig,
    client: UnixStream,
    server: UnixStream,
    _directory: tempfile::TempDir,
}

fn unix() -> Unix {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let rig = Rig::new(&address, &server_address);
    let client = UnixStream::connect(&path).expect("connected");
    let server = listener.accept().expect("accepted").0;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    }
    Unix { rig, client, server, _directory: directory }
}

#[test]
fn after_a_half_close_the_other_direction_goes_on() {
    let Tcp { rig, mut client, mut server } = tcp();
    client.write_all(b"question").expect("written");
    client.shutdown(Shutdown::Write).expect("shut down");
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).expect("read");
    assert_eq!(heard, b"question");
    std::thread::sleep(Duration::from_millis(50));
    server.write_all(b"answer").expect("written");
    drop(server);
    heard.clear();
    client.read_to_end(&mut heard).expect("read");
    assert_eq!(heard, b"answer");
    let (recording, _) = rig.finish();
    let [up, down] = &recording.connections[0].flows;
    assert!(up.fin && down.fin && !up.rst && !down.rst);
}

#[test]
fn a_tcp_reset_arrives_as_one_in_both_directions() {
    for by_client in [true, false] {
        let Tcp { rig, mut client, mut server } = tcp();
        client.write_all(b"question").expect("written");
        let mut question = [0; 8];
        server.read_exact(&mut question).expect("read");
        let (breaks, mut sees) = if by_client { (client, server) } else { (server, client) };
        set_socket_linger(&breaks, Some(Duration::ZERO)).expect("set");
        drop(breaks);
        let error = sees.read(&mut question).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let (recording, _) = rig.finish();
        let [up, down] = &recording.connections[0].flows;
        assert_eq!((up.rst, down.rst), (by_client, !by_client));
        assert!(!up.fin && !down.fin);
    }
}

#[test]
fn last_words_before_a_reset_are_passed_on() {
    let Tcp { rig, mut client, mut server } = tcp();
    // The server answers and closes with the client's bytes unread: its kernel sends a reset.
    client.write_all(b"question").expect("written");
    std::thread::sleep(Duration::from_millis(50));
    server.write_all(b"go away").expect("written");
    drop(server);
    let mut heard = [0; 7];
    client.read_exact(&mut heard).expect("the last words");
    assert_eq!(&heard, b"go away");
    assert_eq!(client.read(&mut heard).expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    let (recording, _) = rig.finish();
    assert_eq!(recording.connections[0].flows[1].bytes, b"go away");
    assert!(recording.connections[0].flows[1].rst);
}

#[test]
fn a_unix_end_that_closes_is_gone_for_the_other_one_too() {
    let Unix { rig, mut client, mut server, _directory } = unix();
    client.write_all(b"fire and forget").expect("written");
    drop(client);
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).expect("read");
    assert_eq!(heard, b"fire and forget");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.write(b"too late").expect_err("nobody is there").kind(), ErrorKind::BrokenPipe);
    let (recording, _) = rig.finish();
    assert!(recording.connections[0].flows[0].fin && !recording.connections[0].flows[0].rst);
}

#[test]
fn a_unix_connection_has_an_end_in_the_file_whoever_closes() {
    for by_client in [true, false] {
        for read_before in [true, false] {
            let Unix { rig, mut client, mut server, _directory } = unix();
            client.write_all(b"question").expect("written");
            server.read_exact(&mut [0; 8]).expect("read");
            server.write_all(b"answer").expect("written");
            if read_before {
                client.read_exact(&mut [0; 6]).expect("read");
            } else {
                std::thread::sleep(Duration::from_millis(50));
            }
            let (closes, mut stays) = if by_client { (client, server) } else { (server, client) };
            drop(closes);
            let _ = stays.read_to_end(&mut Vec::new());
            // The other end never closes by itself.
            std::thread::sleep(Duration::from_millis(50));
            let (recording, connections) = rig.finish_and_read("connections");
            let [up, down] = &recording.connections[0].flows;
            assert_eq!((up.bytes.as_slice(), down.bytes.as_slice()), (b"question".as_slice(), b"answer".as_slice()));
            assert!(up.fin && down.fin, "by the client: {by_client}, read before: {read_before}");
            assert_eq!(connections[0]["closed"], "fin");
        }
    }
}

#[test]
fn a_stream_on_a_unix_connection_that_closes_ends_with_it() {
    let Unix { rig, mut client, mut server, _directory } = unix();
    let [up, down] = grpc_opening("/a.B/Watch");
    client.write_all(&up).expect("written");
    server.read_exact(&mut vec![0; up.len()]).expect("read");
    server.write_all(&down).expect("written");
    client.read_exact(&mut vec![0; down.len()]).expect("read");
    drop(client);
    server.read_to_end(&mut Vec::new()).expect("read");
    std::thread::sleep(Duration::from_millis(50));
    let (_, calls) = rig.finish_and_read_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0]["path"], &calls[0]["end"]), (&"/a.B/Watch".into(), &"connection".into()), "{}", calls[0]);
}

#[test]
fn a_connection_that_the_recorder_cuts_stays_open_in_the_file() {
    let Unix { rig, mut client, mut server, _directory } = unix();
    client.write_all(b"question").expect("written");
    server.read_exact(&mut [0; 8]).expect("read");
    let (recording, _) = rig.finish();
    assert!(recording.connections[0].flows.iter().all(|flow| !flow.fin && !flow.rst));
}

#[test]
fn a_unix_half_close_is_no_close() {
    let Unix { rig, mut client, mut server, _directory } = unix();
    client.shutdown(Shutdown::Write).expect("shut down");
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).expect("read");
    std::thread::sleep(Duration::from_millis(50));
    server.write_all(b"still here").expect("written");
    drop(server);
    client.read_to_end(&mut heard).expect("read");
    assert_eq!(heard, b"still here");
    drop(rig);
}

#[test]
fn a_unix_end_that_shuts_reading_is_not_written_to() {
    let Unix { rig, client, mut server, _directory } = unix();
    client.shutdown(Shutdown::Read).expect("shut down");
    let mut failed = None;
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(2));
        failed = server.write(b"hello").err().map(|error| error.kind());
        if failed.is_some() {
            break;
        }
    }
    assert_eq!(failed, Some(ErrorKind::BrokenPipe));
    drop(client);
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).expect("it sees that nobody is there any more");
    drop(rig);
}

#[test]
fn a_slow_reader_slows_its_writer() {
    let Unix { rig, client, mut server, _directory } = unix();
    server.set_nonblocking(true).expect("set");
    let mut written = 0;
    let mut waits = 0;
    while waits < 50 {
        match server.write(&[7; 65_536]) {
            Ok(len) => written += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                waits += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(written < 4 << 20, "{written} bytes went somewhere");
    drop((client, rig));
}

#[test]
fn the_file_says_who_was_there() {
    let Unix { rig, mut client, server, _directory } = unix();
    client.write_all(b"x").expect("written");
    let inode = rustix::fs::fstat(&client).expect("a socket").st_ino;
    let via = rig.endpoint().clone();
    drop((client, server));
    let (recording, _) = rig.finish();
    let ends = recording.connections[0].ends.clone().expect("a comment");
    assert!(matches!(ends.client.endpoint, Endpoint::UnixInode(found) if found > 0), "{ends}");
    if ends.client.endpoint != Endpoint::UnixInode(inode) {
        eprintln!("the kernel does not tell which socket the client's is");
    }
    assert!(ends.server.endpoint.to_string().ends_with("/server.sock"));
    assert_eq!(ends.via, Some(via));
    for party in [&ends.client, &ends.server] {
        assert_eq!(party.process.pid, Some(std::process::id()));
        assert_eq!(party.process.uid, Some(rustix::process::getuid().as_raw()));
        assert!(party.process.name.is_some());
    }
}

#[test]
fn a_server_that_is_not_there_is_a_refused_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let rig = Rig::new("127.0.0.1:0", &nobody.to_string());
    let mut client = TcpStream::connect(rig.addr()).expect("connected");
    let error = client.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (recording, connections) = rig.finish_and_read("connections");
    assert!(recording.connections[0].flows[1].rst);
    assert!(recording.comments.iter().any(|comment| comment.contains("could not be reached")));
    let note = &connections[0]["notes"][0];
    assert_eq!((&note["kind"], &note["severity"]), (&"recorder".into(), &"info".into()), "{note}");
    let text = note["text"].as_str().expect("text");
    assert!(text.starts_with("the recorder says: the server could not be reached: "), "{text}");
}

#[test]
fn abstract_names_and_long_paths_work() {
    let directory = tempfile::tempdir().expect("a directory");
    let long = directory.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&long).expect("made");
    let listen = format!("unix:{}", long.join("recorder.sock").display());
    let name = format!("rpcshark-test-{}", std::process::id());
    // Client -> long path -> abstract name -> TCP echo.
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let inner = Rig::new(&format!("unix-abstract:{name}"), &server.local_addr().expect("bound").to_string());
    let outer = Rig::new(&listen, &format!("unix-abstract:{name}"));
    let again = Rig::new("127.0.0.1:0", &listen);
    let mut client = TcpStream::connect(again.addr()).expect("connected");
    let mut server = server.accept().expect("accepted").0;
    client.write_all(b"hello").expect("written");
    let mut heard = [0; 5];
    server.read_exact(&mut heard).expect("read");
    assert_eq!(&heard, b"hello");
    drop((client, server, again));
    let (recording, _) = outer.finish();
    let ends = recording.connections[0].ends.clone().expect("a comment");
    assert_eq!(ends.server.endpoint.to_string(), format!("unix-abstract:{name}"));
    drop(inner);
}

#[test]
fn vsock_carries_calls_where_the_kernel_has_it() {
    let Ok(listen) = "vsock:any:0".parse() else { panic!("an address") };
    let Ok(listener) = rpcshark::record::Listener::bind(&listen) else {
        return skip("vsock is not available");
    };
    let Endpoint::Vsock { port, .. } = *listener.endpoint() else { panic!("a vsock address") };
    drop(listener);
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let rig = Rig::new(&format!("vsock:any:{port}"), &server.local_addr().expect("bound").to_string());
    let outer = Rig::new("127.0.0.1:0", &format!("vsock:local:{port}"));
    let mut client = TcpStream::connect(outer.addr()).expect("connected");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    server.set_nonblocking(true).expect("set");
    for _ in 0..100 {
        if let Ok((mut server, _)) = server.accept() {
            server.write_all(b"hello").expect("written");
            let mut heard = [0; 5];
            client.read_exact(&mut heard).expect("read");
            assert_eq!(&heard, b"hello");
            drop(rig);
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    skip("vsock does not reach this machine itself");
}
