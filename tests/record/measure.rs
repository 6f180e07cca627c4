//! The recorder beside `socat`, in one run: `docs/recording.md` says how and shows what came out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::killed::{signal, start};

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// Where clients go, and how to get the server's end of it.
struct Path {
    connect: Box<dyn Fn() -> Box<dyn Stream>>,
    accept: Box<dyn Fn() -> Box<dyn Stream>>,
    relay: Option<Child>,
}

impl Drop for Path {
    fn drop(&mut self) {
        if let Some(mut relay) = self.relay.take() {
            signal(&relay, Signal::INT);
            let _ = relay.wait();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    Socat,
    SocatLarge,
    Recorder,
    RecorderToNowhere,
}

const ALL: [Between; 5] =
    [Between::Nothing, Between::Socat, Between::SocatLarge, Between::Recorder, Between::RecorderToNowhere];

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound").port()
}

fn path(directory: &tempfile::TempDir, between: Between, unix: bool) -> Option<Path> {
    let text = |name: &str| directory.path().join(name).display().to_string();
    let (server_path, front_path) = (text("server.sock"), text("front.sock"));
    let _ = std::fs::remove_file(&server_path);
    let _ = std::fs::remove_file(&front_path);
    let (server_port, front_port) = (free_port(), free_port());
    let accept: Box<dyn Fn() -> Box<dyn Stream>> = if unix {
        let listener = UnixListener::bind(&server_path).expect("bound");
        Box::new(move || Box::new(listener.accept().expect("accepted").0))
    } else {
        let listener = TcpListener::bind(("127.0.0.1", server_port)).expect("bound");
        Box::new(move || {
            let stream = listener.accept().expect("accepted").0;
            stream.set_nodelay(true).expect("set");
            Box::new(stream)
        })
    };
    let relay = match between {
        Between::Nothing => None,
        Between::Socat | Between::SocatLarge => {
            let (listen, to) = match unix {
                true => (format!("UNIX-LISTEN:{front_path}"), format!("UNIX-CONNECT:{server_path}")),
                false => (
                    format!("TCP-LISTEN:{front_port},bind=127.0.0.1,nodelay"),
                    format!("TCP:127.0.0.1:{server_port},nodelay"),
                ),
            };
            let size = if between == Between::Socat { "8192" } else { "61440" };
            let child = Command::new("socat").args(["-b", size, &listen, &to]).stderr(Stdio::null()).spawn().ok()?;
            std::thread::sleep(Duration::from_millis(200));
            Some(child)
        }
        Between::Recorder | Between::RecorderToNowhere => {
            let (listen, to) = match unix {
                true => (format!("unix:{front_path}"), format!("unix:{server_path}")),
                false => (format!("127.0.0.1:{front_port}"), format!("127.0.0.1:{server_port}")),
            };
            let out = if between == Between::Recorder { text("out.pcapng") } else { "/dev/null".into() };
            Some(start(&["--listen", &listen, "--to", &to, "-w", &out]))
        }
    };
    let (path, port) = match between {
        Between::Nothing => (server_path, server_port),
        _ => (front_path, front_port),
    };
    let connect: Box<dyn Fn() -> Box<dyn Stream>> = match unix {
        true => Box::new(move || Box::new(UnixStream::connect(&path).expect("connected"))),
        false => Box::new(move || {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
            stream.set_nodelay(true).expect("set");
            Box::new(stream)
        }),
    };
    Some(Path { connect, accept, relay })
}

/// A gigabyte through one connection: MB/s.
fn throughput(path: &Path) -> f64 {
    const BYTES: usize = 1 << 30;
    let mut client = (path.connect)();
    let mut server = (path.accept)();
    let started = Instant::now();
    let writing = std::thread::spawn(move || {
        let block = vec![7; 256 << 10];
        for _ in 0..BYTES / block.len() {
            client.write_all(&block).expect("written");
        }
    });
    let (mut block, mut left) = (vec![0; 256 << 10], BYTES);
    while left > 0 {
        left -= server.read(&mut block).expect("read");
    }
    writing.join().expect("written");
    BYTES as f64 / 1e6 / started.elapsed().as_secs_f64()
}

/// Small calls one after the other: the median and the 99th percentile of a round trip, in µs.
fn latency(path: &Path) -> (f64, f64) {
    let mut client = (path.connect)();
    let mut server = (path.accept)();
    let serving = std::thread::spawn(move || {
        let mut bytes = [0; 100];
        while server.read_exact(&mut bytes).is_ok() {
            server.write_all(&bytes).expect("written");
        }
    });
    let mut bytes = [7; 100];
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..20_000 {
        let started = Instant::now();
        client.write_all(&bytes).expect("written");
        client.read_exact(&mut bytes).expect("read");
        times.push(started.elapsed());
    }
    drop(client);
    serving.join().expect("ended");
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100].as_nanos() as f64 / 1e3;
    (at(50), at(99))
}

/// Five times in turn, so that what else the machine does falls on all alike; the best of each is shown.
#[test]
#[ignore = "measures for a minute; run it in a release build, on an idle machine"]
fn beside_socat() {
    let directory = tempfile::tempdir().expect("a directory");
    for unix in [true, false] {
        println!("{}", if unix { "Unix sockets" } else { "TCP on 127.0.0.1" });
        let mut best = [(0f64, f64::MAX, f64::MAX); ALL.len()];
        for _ in 0..5 {
            for (between, best) in ALL.into_iter().zip(&mut best) {
                let Some(one) = path(&directory, between, unix) else { continue };
                best.0 = best.0.max(throughput(&one));
                drop(one);
                let Some(one) = path(&directory, between, unix) else { continue };
                let (median, high) = latency(&one);
                best.1 = best.1.min(median);
                best.2 = best.2.min(high);
            }
        }
        for (between, (throughput, median, high)) in ALL.into_iter().zip(best) {
            println!("  {between:?}: {throughput:.0} MB/s; a small call {median:.1} us (p50), {high:.1} us (p99)");
        }
    }
}
