//! A session of etcd, recorded afresh and replayed to a fresh etcd.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::environment::{temporary, tool};
use crate::support::run::{rpcshark, run, text};
use crate::support::skip::skip;

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn wait_for_port(port: u16) {
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody listens at {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An etcd without any keys.
fn etcd(directory: &Path) -> (Program, u16) {
    let (port, peers) = (free_port(), free_port());
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
    let child = Command::new("etcd")
        .arg("--data-dir")
        .arg(directory)
        .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients, "--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("default={peers}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd starts");
    wait_for_port(port);
    (Program(child), port)
}

fn etcdctl(port: u16) -> Command {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", &format!("http://127.0.0.1:{port}")]);
    command
}

/// The options that name etcd's schema, where Debian's sources of Go programs are installed.
fn schema() -> Option<Vec<String>> {
    let root = PathBuf::from("/usr/share/gocode/src");
    let proto = root.join("go.etcd.io/etcd/etcdserver/etcdserverpb/rpc.proto");
    if !proto.exists() {
        skip(format_args!("{} is not installed (golang-etcd-server-dev)", proto.display()));
        return None;
    }
    let mut options = vec!["--proto".to_owned(), text(&proto)];
    for path in
        ["", "go.etcd.io", "github.com/gogo/protobuf", "github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis"]
    {
        options.extend(["--import-path".to_owned(), text(&root.join(path))]);
    }
    Some(options)
}

#[test]
fn a_watch_and_what_it_saw_are_replayed_to_a_fresh_etcd() {
    let Some(schema) = schema() else { return };
    if tool("etcd", &["--version"]).is_none() || tool("etcdctl", &["version"]).is_none() {
        return;
    }
    let directory = temporary();
    let recording = text(&directory.path().join("session.pcapng"));
    let (server, port) = etcd(&directory.path().join("recorded"));
    let listen = free_port();
    let recorder = rpcshark()
        .args(["record", "--listen", &format!("127.0.0.1:{listen}"), "--to", &format!("127.0.0.1:{port}")])
        .args(["-w", &recording])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut recorder = Program(recorder);
    wait_for_port(listen);
    let watch =
        etcdctl(listen).args(["watch", "--prefix", "k"]).stdout(Stdio::piped()).spawn().expect("etcdctl starts");
    let watch = Program(watch);
    std::thread::sleep(Duration::from_millis(700));
    let done = |command: &mut Command| {
        let output = command.output().expect("etcdctl starts");
        assert!(output.status.success(), "{output:?}");
    };
    done(etcdctl(listen).args(["put", "k1", "one"]));
    done(etcdctl(listen).args(["put", "k2", "two"]));
    done(etcdctl(listen).args(["get", "--prefix", "k"]));
    let mut txn = etcdctl(listen);
    let mut txn = txn.arg("txn").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("etcdctl starts");
    let comparison = b"value(\"k1\") = \"one\"\n\nput k1 three\nget k2\n\nget k1\n\n";
    txn.stdin.take().expect("a pipe").write_all(comparison).expect("written");
    assert!(txn.wait().expect("it ends").success());
    done(etcdctl(listen).args(["get", "k1"]));
    std::thread::sleep(Duration::from_millis(300));
    drop(watch);
    let pid = Pid::from_raw(recorder.0.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    recorder.0.wait().expect("it ends");
    drop(server);
    // The session is there: a watch with its events, three changes, two ranges.
    let (_fresh, port) = etcd(&directory.path().join("fresh"));
    let to = format!("127.0.0.1:{port}");
    let mut arguments: Vec<String> =
        ["replay", &recording, "--to", &to, "--allow-all", "--report", "json"].map(str::to_owned).into();
    arguments.extend(schema.iter().cloned());
    for place in ["etcdserverpb.*.header", "mvccpb.KeyValue.create_revision", "mvccpb.KeyValue.mod_revision"] {
        arguments.extend(["--ignore".to_owned(), place.to_owned()]);
    }
    let replayed = text(&directory.path().join("replayed.pcapng"));
    arguments.extend(["-w".to_owned(), replayed.clone()]);
    let run_one = run(&arguments);
    let report: Value = serde_json::from_str(&run_one.stdout).unwrap_or_else(|error| panic!("{error}: {run_one:?}"));
    assert_eq!(run_one.status, Some(0), "{report:#}");
    assert!(report["totals"]["same"].as_u64().is_some_and(|same| same >= 6), "{}", report["totals"]);
    // The events of the watch have come from the fresh server. On a slow machine the watch may have begun after the first put.
    let seen = |capture: &str| {
        let mut show: Vec<String> = ["calls", "--json", capture].map(str::to_owned).into();
        show.extend(schema.iter().cloned());
        let calls = run(&show).done();
        let watch = calls.iter().find(|call| call["path"] == "/etcdserverpb.Watch/Watch").expect("a watch");
        let messages = watch["response"]["messages"].as_array().expect("messages").iter();
        messages.filter_map(|message| message["body"]["events"].as_array().map(Vec::len)).sum::<usize>()
    };
    let recorded = seen(&recording);
    assert!(recorded > 0, "the watch has seen changes");
    assert_eq!(seen(&replayed), recorded, "as many changes as were recorded");
}
