//! TLS: the shop recording in TLS of every kind, read with the key log of its connections. The ends are rustls, and OpenSSL for
//! the suites that rustls does not have.
#![allow(clippy::unwrap_used)]

mod ends;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustls::CipherSuite;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use ends::{Ends, Recording, Setup};
use support::environment;
use support::pcap::Capture;
use support::random::Random;
use support::run::{rpcshark, run, text};
use support::shop::{self, Shop, same};
use support::skip::skip;

/// Random losses that are checked.
const SEEDS: u64 = 30;

struct Files {
    _directory: tempfile::TempDir,
    capture: PathBuf,
    keys: PathBuf,
}

impl Files {
    fn of(recording: &Recording) -> Self {
        let directory = environment::temporary();
        let files = Self {
            capture: directory.path().join("tls.pcap"),
            keys: directory.path().join("keys.log"),
            _directory: directory,
        };
        fs::write(&files.capture, &recording.traffic.bytes).unwrap();
        fs::write(&files.keys, &recording.keys).unwrap();
        files
    }

    fn calls(&self) -> Vec<Value> {
        calls(&self.capture, Some(&self.keys))
    }

    fn connections(&self) -> Vec<Value> {
        run(&["connections", "--json", &text(&self.capture), "--keylog", &text(&self.keys)]).done()
    }
}

fn calls(capture: &Path, keys: Option<&Path>) -> Vec<Value> {
    let [proto, schema] = shop::schema();
    let mut arguments = vec!["calls".to_owned(), "--json".to_owned(), text(capture), proto, schema];
    if let Some(keys) = keys {
        arguments.extend(["--keylog".to_owned(), text(keys)]);
    }
    run(&arguments).done()
}

fn one_session(shop: &Shop, setup: &Setup) -> Files {
    let mut recording = Recording::new();
    recording.session(shop, &Ends::new(setup));
    Files::of(&recording)
}

#[test]
fn every_suite_of_tls_1_3_and_the_aead_suites_of_tls_1_2_are_decrypted() {
    let shop = Shop::load();
    let suites = [
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (&TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384),
        (&TLS13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ];
    for (version, suite) in suites {
        let files = one_session(&shop, &Setup::new(version, suite));
        shop.check_whole(&format!("{suite:?}"), &files.calls());
        let [connection] = &*files.connections() else { panic!("one connection") };
        let tls = &connection["tls"];
        let name = suite.as_str().unwrap().replace("TLS13_", "TLS_");
        assert_eq!(
            (&tls["suite"], &tls["alpn"], &tls["server_name"]),
            (&name.into(), &"h2".into(), &"localhost".into())
        );
        assert_eq!((&tls["decryption"], &connection["protocol"]), (&"decrypted".into(), &"http2".into()));
        assert_eq!(tls["version"], if version == &TLS13 { "TLS 1.3" } else { "TLS 1.2" });
        assert_eq!(connection["notes"], Value::Array(Vec::new()), "{suite:?}");
    }
}

#[test]
fn a_hello_retry_request_is_followed() {
    let shop = Shop::load();
    let setup = Setup { retry: true, ..Setup::new(&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256) };
    let files = one_session(&shop, &setup);
    shop.check_whole("after a HelloRetryRequest", &files.calls());
}

#[test]
fn key_updates_are_followed() {
    let shop = Shop::load();
    let setup = Setup { update_after: 20, ..Setup::new(&TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384) };
    shop.check_whole("key updates", &one_session(&shop, &setup).calls());
}

#[test]
fn resumed_connections_and_early_data_are_decrypted() {
    let shop = Shop::load();
    for (version, suite, early_data) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256, false),
        (&TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384, true),
    ] {
        let ends = Ends::new(&Setup { early_data, ..Setup::new(version, suite) });
        let mut recording = Recording::new();
        recording.session(&shop, &ends);
        recording.session(&shop, &ends);
        assert_eq!(recording.keys.contains("CLIENT_EARLY_TRAFFIC_SECRET"), early_data);
        let files = Files::of(&recording);
        let calls = files.calls();
        for connection in [0, 1] {
            let own: Vec<Value> = calls.iter().filter(|call| call["connection"] == connection).cloned().collect();
            shop.check_whole(&format!("connection {connection}, early data: {early_data}"), &own);
        }
    }
}

#[test]
fn without_the_beginning_or_the_right_keys_it_says_why() {
    let shop = Shop::load();
    let setup = Setup::new(&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256);
    let files = one_session(&shop, &setup);
    let why = |capture: &Path, keys: Option<&Path>, expected: &str, remark: &str| {
        let mut arguments = vec!["connections".to_owned(), "--json".to_owned(), text(capture)];
        arguments.extend(keys.iter().flat_map(|keys| ["--keylog".to_owned(), text(keys)]));
        let run = run(&arguments);
        assert_eq!(run.done()[0]["tls"]["decryption"], expected, "{}", run.line);
        assert!(run.stderr.contains(remark), "{}", run.stderr);
    };
    why(&files.capture, None, "no-keys", "");
    why(&files.capture, Some(&one_session(&shop, &setup).keys), "no-keys", "the key log fits none of the connections");
    // Without the packet of the ClientHello.
    let capture = Capture::read(&files.capture);
    let hello = capture.packets.iter().position(|packet| packet.bytes.len() > 41).unwrap();
    let mut packets = capture.packets.clone();
    packets.remove(hello);
    let cut = files.capture.with_file_name("cut.pcap");
    capture.with(packets).write(&cut);
    why(&cut, Some(&files.keys), "no-hello", "");
    // Secrets of another connection under this one's random.
    let random = |log: &str| log.split(' ').nth(1).unwrap().to_owned();
    let (own, other) =
        (fs::read_to_string(&files.keys).unwrap(), fs::read_to_string(&one_session(&shop, &setup).keys).unwrap());
    let wrong = files.keys.with_file_name("wrong.log");
    fs::write(&wrong, other.replace(&random(&other), &random(&own))).unwrap();
    why(&files.capture, Some(&wrong), "wrong-keys", "");
}

#[test]
fn an_export_of_encrypted_calls_holds_them_in_the_clear() {
    let shop = Shop::load();
    let setup = Setup { update_after: 50, ..Setup::new(&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256) };
    let files = one_session(&shop, &setup);
    let export = files.capture.with_file_name("export.pcapng");
    let run = run(&["export", &text(&files.capture), "--keylog", &text(&files.keys), "-w", &text(&export)]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let (original, exported) = (files.calls(), calls(&export, None));
    shop.check_whole("the export", &exported);
    for (original, exported) in original.iter().zip(&exported) {
        for member in ["start", "duration_ns", "end", "outcome", "client", "server"] {
            assert_eq!(original[member], exported[member], "{member} of call {}", original["no"]);
        }
    }
}

#[test]
fn original_packets_are_exported_with_the_secrets_of_their_connections_and_no_others() {
    let shop = Shop::load();
    let mut recording = Recording::new();
    let ends = Ends::new(&Setup::new(&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256));
    recording.session(&shop, &ends);
    recording.session(&shop, &ends);
    let files = Files::of(&recording);
    let export = files.capture.with_file_name("original.pcapng");
    let arguments = |more: &'static str| {
        let (capture, keys, out) = (text(&files.capture), text(&files.keys), text(&export));
        let words = ["export", &capture, "--keylog", &keys, "-w", &out, "--original-packets", "-Y", "connection == 0"];
        words.into_iter().chain(more.split_whitespace()).map(str::to_owned).collect::<Vec<_>>()
    };
    let done = run(&arguments(""));
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("--no-secrets leaves them out"), "{}", done.stderr);
    shop.check_whole("the copy", &calls(&export, None));
    let written = fs::read(&export).unwrap();
    let has = |needle: &str| written.windows(needle.len()).any(|window| window == needle.as_bytes());
    let log = fs::read_to_string(&files.keys).unwrap();
    let secret = |line: &str| has(line.split(' ').next_back().unwrap());
    let needed = log.lines().filter(|line| !line.starts_with("EXPORTER")).map(secret).collect::<Vec<_>>();
    assert_eq!(needed.len(), 8, "two connections with four secrets each: {log}");
    assert_eq!(needed.iter().filter(|is_there| **is_there).count(), 4, "those of the connection, and only those");

    let done = run(&arguments("--no-secrets"));
    assert!(!done.stderr.contains("secrets of its TLS"), "{}", done.stderr);
    assert!(calls(&export, None).is_empty());
}

#[test]
fn a_wrong_line_of_a_key_log_is_an_error_with_its_place() {
    let directory = environment::temporary();
    let keys = directory.path().join("keys.log");
    fs::write(&keys, "# comment\nCLIENT_RANDOM 00 11\n").unwrap();
    let capture = shop::directory().join("shop.pcap");
    let run = run(&["calls", &text(&capture), "--keylog", &text(&keys)]);
    assert_eq!(run.status, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("keys.log: line 2: the client random does not have 32 bytes"), "{}", run.stderr);
    assert!(!run.stderr.contains(" 11"), "a secret is never printed: {}", run.stderr);
}

/// Each message that is shown without a note is one that was sent, and of those that the same loss leaves in the clear at
/// least 9 in 10 are shown.
#[test]
fn with_lost_packets_nothing_wrong_is_shown_and_nearly_as_much_as_in_the_clear() {
    let shop = Shop::load();
    let mut clear = Recording::new();
    clear.clear_session(&shop);
    let clear = Files::of(&clear);
    for (version, suite) in [
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ] {
        let files = one_session(&shop, &Setup::new(version, suite));
        let mut shown = [0, 0];
        for seed in 0..SEEDS {
            for (at, files) in [&clear, &files].into_iter().enumerate() {
                let keys = (at == 1).then_some(files.keys.as_path());
                shown[at] += shown_after_loss(&shop, &files.capture, keys, seed);
            }
        }
        println!("{suite:?}: {} messages are shown, in the clear {}", shown[1], shown[0]);
        assert!(shown[1] * 10 >= shown[0] * 9, "{suite:?}: {shown:?}");
    }
}

/// Loses one packet in a hundred. How many messages are shown; panics if one is wrong.
fn shown_after_loss(shop: &Shop, capture: &Path, keys: Option<&Path>, seed: u64) -> usize {
    let capture_read = Capture::read(capture);
    let mut random = Random::new(seed);
    // The hellos are there: without them nothing can be read.
    let kept = capture_read.packets.iter().enumerate().filter(|(no, _)| *no < 12 || random.below(100) != 0);
    let kept = kept.map(|(_, packet)| packet.clone()).collect();
    let path = capture.with_file_name("lossy.pcap");
    capture_read.with(kept).write(&path);
    let mut shown = 0;
    for call in calls(&path, keys) {
        let stream = call["stream"].as_u64().unwrap() as u32;
        let truth = shop.calls.get(&stream).unwrap_or_else(|| panic!("seed {seed}: there is no stream {stream}"));
        for (side, name) in ["request", "response"].into_iter().enumerate() {
            for message in call[name]["messages"].as_array().unwrap() {
                if message.get("body").is_none() || message.get("notes").is_some() {
                    continue;
                }
                let is_true = truth.messages[side].iter().any(|known| same(&known.body, &message["body"]));
                assert!(is_true, "seed {seed}: stream {stream}: {message}");
                shown += 1;
            }
        }
    }
    shown
}

#[test]
fn any_cut_or_changed_capture_is_read_without_a_panic() {
    let shop = Shop::load();
    let files = one_session(&shop, &Setup::new(&TLS13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256));
    let capture = Capture::read(&files.capture);
    let path = files.capture.with_file_name("changed.pcap");
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let mut packets = capture.packets.clone();
        for _ in 0..=random.below(30) {
            let packet = random.below(packets.len());
            let bytes = &mut packets[packet].bytes;
            match random.below(3) {
                0 => bytes.truncate(40 + random.below(bytes.len().max(41) - 40)),
                1 => drop(packets.remove(packet)),
                _ => {
                    let at = 40 + random.below(bytes.len().max(41) - 40);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
        }
        capture.with(packets).write(&path);
        let run = run(&["calls", "--json", &text(&path), "--keylog", &text(&files.keys)]);
        assert!(matches!(run.status, Some(0 | 4)), "seed {seed}: {:?} {}", run.status, run.stderr);
    }
}

/// Suites by OpenSSL's names, and whether encrypt-then-MAC is refused.
const OPENSSL_SUITES: &[(&str, bool)] = &[
    ("AES128-SHA", false),
    ("AES256-SHA", false),
    ("AES128-SHA256", false),
    ("AES256-SHA256", false),
    ("AES128-GCM-SHA256", false),
    ("AES256-GCM-SHA384", false),
    ("DHE-RSA-AES128-SHA", false),
    ("DHE-RSA-AES256-GCM-SHA384", false),
    ("DHE-RSA-CHACHA20-POLY1305", false),
    ("ECDHE-RSA-AES128-SHA", false),
    ("ECDHE-RSA-AES128-SHA256", false),
    ("ECDHE-RSA-AES256-SHA384", false),
    ("ECDHE-RSA-AES128-SHA", true),
    ("ECDHE-RSA-AES256-SHA384", true),
    ("AES128-SHA256", true),
];

#[test]
fn the_suites_of_openssl_are_decrypted() {
    if environment::tool("openssl", &["version"]).is_none() {
        return skip("openssl is not installed");
    }
    let shop = Shop::load();
    let directory = environment::temporary();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-out"])
        .args([&certificate, Path::new("-keyout"), &key])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (no, &(suite, no_etm)) in OPENSSL_SUITES.iter().enumerate() {
        let capture = directory.path().join(format!("{no}.pcapng"));
        let keys = directory.path().join(format!("{no}.log"));
        let [server_port, port] = [free_port(), free_port()];
        let mut server = Command::new("openssl");
        server.args(["s_server", "-quiet", "-no_tls1_3", "-naccept", "1", "-cipher"]);
        server.arg(format!("{suite}:@SECLEVEL=0")).args(["-accept", &format!("127.0.0.1:{server_port}")]);
        server.arg("-cert").arg(&certificate).arg("-key").arg(&key);
        if no_etm {
            server.arg("-no_etm");
        }
        let mut server = Session::start(server, &shop.flows[1].bytes);
        wait_for_listener(server_port);
        let recorder = rpcshark()
            .args(["record", "--listen", &format!("127.0.0.1:{port}"), "--to", &format!("127.0.0.1:{server_port}")])
            .args(["-w", &text(&capture)])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut recorder = Killed(recorder);
        wait_for_listener(port);
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-no_tls1_3", "-cipher", &format!("{suite}:@SECLEVEL=0")]);
        client.args(["-connect", &format!("127.0.0.1:{port}")]).arg("-keylogfile").arg(&keys);
        let mut client = Session::start(client, &shop.flows[0].bytes);
        client.expect(shop.flows[1].bytes.len());
        server.expect(shop.flows[0].bytes.len());
        drop((client, server));
        let _ = Command::new("kill").args(["-INT", &recorder.0.id().to_string()]).status();
        let _ = recorder.0.wait();
        let printed = calls(&capture, Some(&keys));
        let mut faults = shop.faults(&printed);
        // Both ends sent all at once, so that resets may come before the answers.
        for call in printed.iter().filter(|call| call["resets"] != Value::Array(Vec::new())) {
            let stream = format!("stream {}:", call["stream"]);
            faults.retain(|fault| !fault.starts_with(&stream));
        }
        assert!(faults.is_empty(), "{suite}, without encrypt-then-MAC: {no_etm}: {}", shop::first(&faults));
    }
}

/// A program that is ended when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An end that sends bytes and receives those of the other one.
struct Session {
    child: Killed,
    received: std::sync::mpsc::Receiver<usize>,
    count: usize,
}

impl Session {
    fn start(mut command: Command, send: &[u8]) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl starts");
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let send = send.to_vec();
        let (count, received) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 1 << 14];
            while let Ok(length @ 1..) = stdout.read(&mut bytes) {
                let _ = count.send(length);
            }
        });
        // Standard input stays open: its end would end the connection.
        std::thread::spawn(move || {
            let _ = stdin.write_all(&send).and_then(|()| stdin.flush());
            std::thread::sleep(Duration::from_secs(60));
        });
        Self { child: Killed(child), received, count: 0 }
    }

    /// Waits until so many bytes have come.
    fn expect(&mut self, bytes: usize) {
        while self.count < bytes {
            let more = self.received.recv_timeout(Duration::from_secs(60));
            self.count +=
                more.unwrap_or_else(|_| panic!("{} of {bytes} bytes came (pid {})", self.count, self.child.0.id()));
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens, without connecting: a server that takes one connection would be used up.
fn wait_for_listener(port: u16) {
    let begin = Instant::now();
    let wanted = format!("0100007F:{port:04X}");
    while begin.elapsed() < Duration::from_secs(60) {
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        // State 0A: the socket listens.
        if table.lines().any(|line| line.contains(&wanted) && line.contains(" 0A ")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody listens on port {port}");
}
