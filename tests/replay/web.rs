//! Calls of gRPC-Web and Connect are sent as they were recorded.

use crate::support::environment::captures;
use crate::support::run::{run, text};
use crate::support::web;

/// Replays a case of the corpus, and returns the requests that the server got.
fn replayed(case: &str, more: &[&str]) -> Vec<(String, Vec<u8>)> {
    let capture = text(&captures().join(case).join("web.pcap"));
    let (server, requests) = web::server();
    let server = server.to_string();
    let done = run(&[&["replay", &*capture, "--to", &*server, "--allow-all", "--yes"][..], more].concat());
    // The server has other answers than the recorded one.
    assert_eq!(done.status, Some(1), "{} {}", done.stdout, done.stderr);
    let requests = requests.lock().expect("no panic").clone();
    for (head, _) in &requests {
        assert!(head.contains(&format!("host: {server}\r\n")), "{head}");
    }
    requests
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::trim))
}

#[test]
fn unary_calls_of_connect_are_sent_by_get_and_post_and_streams_in_envelopes() {
    let requests = replayed("connect-get", &["-Y", "rpc.method != \"Slow\""]);
    let lines: Vec<&str> = requests.iter().filter_map(|(head, _)| head.lines().next()).collect();
    assert_eq!(lines.len(), 8, "{lines:#?}");
    for line in &lines[..4] {
        assert!(line.starts_with("GET /acme.shop.v1.Orders/GetOrder?connect=v1&"), "{line}");
    }
    assert!(lines[3].contains("compression=gzip"), "{}", lines[3]);
    assert_eq!(lines[5], "POST /acme.shop.v1.Orders/Fail HTTP/1.1");
    let (head, body) = &requests[5];
    assert_eq!(body, b"\n\x01x");
    assert_eq!(field(head, "content-type"), Some("application/proto"));
    assert_eq!(field(head, "connect-protocol-version"), Some("1"));
    assert_eq!(field(head, "tenant"), Some("t1"));
    assert_eq!(field(head, "authorization"), None, "credentials are withheld");
    let (head, body) = &requests[7];
    assert_eq!(field(head, "content-type"), Some("application/connect+proto"));
    assert_eq!(body.len(), 4 * 5 + 4 + 3 * 6, "four messages with their prefixes");
    // Compressed as it was.
    let (head, body) = &requests[6];
    assert_eq!((field(head, "content-encoding"), body.len()), (Some("gzip"), 81));
}

#[test]
fn calls_of_grpc_web_are_sent_over_http1() {
    let requests = replayed("grpc-web-1", &["-Y", "rpc.method != \"Echo\""]);
    assert_eq!(requests.len(), 6);
    let (head, body) = &requests[0];
    assert!(head.starts_with("POST /acme.shop.v1.Orders/GetOrder HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(head, "content-type"), Some("application/grpc-web+proto"));
    assert_eq!(body, b"\0\0\0\0\x09\n\x07order-0");
}
