//! Clients that are killed, slow or hostile: the server continues, and its memory is bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;

use crate::peer::{Client, m};
use crate::rig::{Server, case};
use crate::support::run::run;

fn served() -> (Server, Vec<String>) {
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    (Server::start(&[&shop[0], &shop[1], &shop[2], "--delays", "none"]), shop)
}

/// A client that asks what was recorded is still answered.
#[track_caller]
fn lives(server: &Server, shop: &[String]) {
    let method = "acme.shop.v1.Orders/GetOrder";
    let done =
        run(&["call", &server.address, method, "-d", r#"{"id": "order-5"}"#, "--proto", &shop[2], "--max-time", "10s"]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
}

fn block_on(script: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(script);
}

#[test]
fn bytes_of_no_protocol_and_broken_frames_do_no_harm() {
    let (server, shop) = served();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let huge_frame = [&preface[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let bad_headers =
        [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff]].concat();
    // ttrpc: a frame of 4 GiB, a Request that is not a message, Data of a stream that is not there, half a frame.
    let ttrpc_huge = [0, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0];
    let ttrpc_wrong = [0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 0xff, 0xff];
    let ttrpc_orphan = [0, 0, 0, 1, 0, 0, 0, 9, 3, 0, 7];
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"POST / HTTP/1.1\r\n\r\n",
        b"",
        preface,
        &huge_frame,
        &bad_headers,
        &ttrpc_huge,
        &ttrpc_wrong,
        &ttrpc_orphan,
        &[0, 0, 0, 4, 0],
        &[0xff; 4096],
    ] {
        let mut socket = TcpStream::connect(&server.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let _ = socket.write_all(bytes);
        let _ = socket.read(&mut [0; 4096]);
    }
    lives(&server, &shop);
    server.stop();
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let (server, shop) = served();
    block_on(async {
        for round in 0..200 {
            let client = Client::connect(&server.address).await;
            let mut list = client.begin("/acme.shop.v1.Orders/ListOrders", &[]).await;
            list.send(&[8, 208, 15]); // count: 2000
            if round % 3 > 0 {
                list.close();
            }
            // The recorded server answered after the half-close.
            if round % 6 == 1 {
                let _ = list.recv().await;
            }
            // Its connection goes with it, when the call has come.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    lives(&server, &shop);
    let printed = server.stop();
    // Calls whose clients were faster than the server are not seen by it.
    assert!(!printed.lines.is_empty());
    assert_eq!(printed.outcomes("failed") + printed.outcomes("miss"), 0, "{:?}", printed.lines);
}

#[test]
fn a_thousand_silent_clients_and_unfinished_calls_take_little_memory() {
    let (server, shop) = served();
    let before = server.memory();
    let idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    block_on(async {
        let mut open = Vec::new();
        for _ in 0..10 {
            let client = Client::connect(&server.address).await;
            for _ in 0..100 {
                let mut call = client.begin("/acme.shop.v1.Orders/Chat", &[]).await;
                // The beginning of a message of a megabyte.
                call.send.send_data(Bytes::from_static(&[0, 0, 16, 0, 0, 1, 2, 3]), false).unwrap();
                open.push(call);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        lives(&server, &shop);
    });
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown}");
    drop(idle);
    lives(&server, &shop);
    server.stop();
}

#[test]
fn clients_that_take_nothing_cost_no_more_than_their_windows() {
    let (server, shop) = served();
    let before = server.memory();
    block_on(async {
        let mut open = Vec::new();
        for _ in 0..8 {
            let client = Client::connect(&server.address).await;
            for _ in 0..60 {
                let mut list = client.begin("/acme.shop.v1.Orders/ListOrders", &[]).await;
                list.send(&[8, 208, 15]);
                list.close();
                open.push(list);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        lives(&server, &shop);
    });
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 150 << 20, "{grown}");
    server.stop();
}

#[test]
fn calls_that_are_reset_at_once_do_not_stop_the_server() {
    let (server, shop) = served();
    block_on(async {
        for _ in 0..5 {
            let client = Client::connect(&server.address).await;
            for _ in 0..100 {
                // The server may have enough of such a client, and close its connection.
                let Ok(mut call) = client.try_begin("/acme.shop.v1.Orders/GetOrder", &[]).await else { break };
                let _ = call.send.send_data(crate::peer::framed(0, &m("order-5")), false);
                call.send.send_reset(Reason::CANCEL);
            }
        }
    });
    lives(&server, &shop);
    server.stop();
}

#[test]
fn messages_that_decompress_to_a_thousand_times_their_size_take_bounded_memory() {
    let (server, shop) = served();
    let before = server.memory();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 15 << 20]).unwrap();
    let message = crate::peer::framed(1, &encoder.finish().unwrap());
    block_on(async {
        let client = Client::connect(&server.address).await;
        let mut open = Vec::new();
        for _ in 0..6 {
            let mut call = client.begin("/acme.shop.v1.Orders/GetOrder", &[("grpc-encoding", "gzip")]).await;
            call.send.send_data(message.clone(), true).unwrap();
            open.push(call);
        }
        for mut call in open {
            let status = call.end().await.unwrap()["grpc-status"].to_str().unwrap().to_owned();
            assert!(status == "12" || status == "8", "{status}");
        }
    });
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 350 << 20, "{grown}");
    lives(&server, &shop);
    server.stop();
}

#[test]
fn a_message_that_is_too_large_is_refused() {
    let (server, shop) = served();
    block_on(async {
        let client = Client::connect(&server.address).await;
        let mut call = client.begin("/acme.shop.v1.Orders/GetOrder", &[]).await;
        call.send.send_data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1]), false).unwrap();
        assert_eq!(call.end().await.unwrap()["grpc-status"], "8");
    });
    lives(&server, &shop);
    server.stop();
}
