//! Memory of a replay: the calls of the recording, and not what was sent and received.

use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::support::run::rpcshark;

/// How much more memory a replay of many calls may take than one of few, in KiB: what waits for being compared.
const MORE: u64 = 96 << 10;

/// A server that answers every call with OK and an empty message, as soon as its first message has come.
fn sink() -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address").to_string()).expect("somebody waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((mut request, mut respond))) = connection.accept().await {
                        tokio::spawn(async move {
                            while let Some(Ok(part)) = request.body_mut().data().await {
                                let _ = request.body_mut().flow_control().release_capacity(part.len());
                            }
                            let response = Response::builder().header("content-type", "application/grpc");
                            let response = response.body(()).expect("a response");
                            let Ok(mut send) = respond.send_response(response, false) else { return };
                            let _ = send.send_data(Bytes::from_static(&[0; 5]), false);
                            let mut trailers = HeaderMap::new();
                            trailers.insert("grpc-status", 0.into());
                            let _ = send.send_trailers(trailers);
                        });
                    }
                });
            }
        });
    });
    told.recv().expect("an address")
}

/// The most memory that a process had in use, in KiB, until it ended.
fn peak(mut child: Child) -> u64 {
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = now.unwrap_or(peak);
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(matches!(status.code(), Some(0 | 1)), "{status}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// ```sh
/// RPCSHARK_LARGE=etcd.pcap cargo test --test replay -- --ignored --nocapture memory
/// ```
#[test]
#[ignore = "needs a large capture, RPCSHARK_LARGE=FILE"]
fn memory_does_not_grow_with_the_number_of_calls_that_are_sent() {
    let Some(file) = std::env::var_os("RPCSHARK_LARGE") else { panic!("RPCSHARK_LARGE names no capture") };
    let to = sink();
    let replay = |calls: u32| {
        let child = rpcshark()
            .arg("replay")
            .arg(&file)
            .args(["-c", "600000", "--to", &to, "--allow-all", "--pace", "asap", "--max-calls", &calls.to_string()])
            .args(["-Y", "rpc.kind == unary", "--report", "json=/dev/null", "-q"])
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        peak(child)
    };
    let (few, many) = (replay(2_000), replay(60_000));
    println!("2,000 calls: {few} KiB; 60,000 calls: {many} KiB");
    assert!(many < few + MORE, "{few} KiB, {many} KiB");
}
