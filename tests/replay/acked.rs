//! A capture that was taken at the server, far from its client: acknowledgments say what the client had received.

use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::support::environment::temporary;
use crate::support::run::{Run, run, text};
use crate::support::traffic::{ACK, Client, Traffic, fields, frame};

/// A gRPC message.
fn message(content: &[u8]) -> Vec<u8> {
    [&[0][..], &(content.len() as u32).to_be_bytes(), content].concat()
}

/// A chat in which the client sends its second message 50 ms of a way before the first answer reaches it. At the server the answer
/// leaves first. `acked`: whether the client says that it has received it.
fn capture(acked: bool) -> Vec<u8> {
    let (mut traffic, mut client) = (Traffic::new(), Client::new(0));
    traffic.open(&mut client);
    let request =
        [(":method", "POST"), (":scheme", "http"), (":path", "/t.S/Chat"), ("content-type", "application/grpc")];
    traffic.packet(&mut client, false, ACK, &frame(1, 4, 1, &fields(&request)));
    traffic.packet(&mut client, false, ACK, &frame(0, 0, 1, &message(b"\x0a\x01a")));
    let response = [(":status", "200"), ("content-type", "application/grpc")];
    traffic.packet(&mut client, true, ACK, &frame(1, 4, 1, &fields(&response)));
    let answer = frame(0, 0, 1, &message(b"\x0a\x01a"));
    traffic.packet(&mut client, true, ACK, &answer);
    let unseen = if acked { 0 } else { answer.len() as u32 };
    traffic.packet_behind(&mut client, false, ACK, &frame(0, 0, 1, &message(b"\x0a\x01b")), unseen);
    traffic.packet(&mut client, true, ACK, &frame(0, 0, 1, &message(b"\x0a\x01b")));
    traffic.packet(&mut client, false, ACK, &frame(0, 1, 1, b""));
    traffic.packet(&mut client, true, ACK, &frame(1, 5, 1, &fields(&[("grpc-status", "0")])));
    traffic.close(&mut client);
    traffic.bytes
}

/// A server that answers when both messages have come.
fn server() -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((mut request, mut respond))) = connection.accept().await {
                        tokio::spawn(async move {
                            let mut body = Vec::new();
                            while body.len() < 16 {
                                let Some(Ok(part)) = request.body_mut().data().await else { return };
                                body.extend_from_slice(&part);
                            }
                            let response = Response::builder().header("content-type", "application/grpc");
                            let response = response.body(()).expect("a response");
                            let Ok(mut send) = respond.send_response(response, false) else { return };
                            let _ = send.send_data(Bytes::from(body), false);
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

fn replay(capture: &[u8]) -> Run {
    let directory = temporary();
    let file = directory.path().join("at-the-server.pcap");
    std::fs::write(&file, capture).expect("written");
    let to = server().to_string();
    run(&["replay", &text(&file), "--to", &to, "--allow-all", "--pace", "asap", "--stall-after", "300ms"])
}

#[test]
fn an_acknowledgment_at_the_server_removes_a_dependency_that_was_none() {
    let done = replay(&capture(false));
    assert_eq!(done.status, Some(0), "{done:?}");
    // Where the client had received the answer, its next message may depend on it.
    let done = replay(&capture(true));
    assert_eq!(done.status, Some(1), "{done:?}");
    assert!(done.stdout.contains("stalled at client message 2, waiting for server message 1"), "{}", done.stdout);
}
