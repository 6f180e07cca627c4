//! Streams: who speaks first, what waits for what, how they end; encodings.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::GzEncoder;
use h2::Reason;
use tokio::time::timeout;

use crate::peer::{Client, Peer, m, record};
use crate::rig::Server;
use crate::support::environment::temporary;
use crate::support::run::text;

/// Longer than anything takes that comes at all.
const LONG: Duration = Duration::from_secs(60);

/// Shorter than what never comes.
const SHORT: Duration = Duration::from_millis(300);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn answer(mut call: Peer) {
    match call.path.as_str() {
        "/t.S/Greet" => {
            call.send(0, &m("welcome"));
            let name = call.recv().await.unwrap();
            call.send(0, &[m("hello").as_slice(), &name].concat());
            assert!(call.recv().await.is_none());
            call.finish("0");
        }
        "/t.S/Chat" => {
            while let Some(message) = call.recv().await {
                call.send(0, &message);
            }
            call.finish("0");
        }
        "/t.S/Early" => {
            call.headers(None);
            let message = call.recv().await.unwrap();
            call.send(0, &message);
            call.finish("0");
        }
        "/t.S/Zip" => {
            let message = call.recv().await.unwrap();
            call.headers(Some("gzip"));
            call.send(1, &gzip(&message));
            call.finish("0");
        }
        "/t.S/Watch" => {
            call.recv().await.unwrap();
            call.send(0, &m("one"));
            call.send(0, &m("two"));
            std::future::pending().await
        }
        "/t.S/Break" => {
            call.recv().await.unwrap();
            call.send(0, &m("one"));
            // So that the message is written.
            tokio::time::sleep(Duration::from_millis(50)).await;
            call.reset(Reason::INTERNAL_ERROR);
        }
        other => panic!("{other}"),
    }
}

/// A client of each method, as it was recorded.
async fn talk(client: Client) {
    let mut greet = client.begin("/t.S/Greet", &[]).await;
    assert_eq!(greet.recv().await, Some((0, m("welcome"))));
    greet.send(&m("me"));
    greet.recv().await.unwrap();
    greet.close();
    greet.end().await.unwrap();

    let mut chat = client.begin("/t.S/Chat", &[]).await;
    for text in ["a", "b", "c"] {
        chat.send(&m(text));
        chat.recv().await.unwrap();
    }
    chat.close();
    chat.end().await.unwrap();

    let mut early = client.begin("/t.S/Early", &[]).await;
    early.begun().await.unwrap();
    early.send(&m("late"));
    early.close();
    early.end().await.unwrap();

    let mut zip = client.begin("/t.S/Zip", &[("grpc-accept-encoding", "gzip")]).await;
    zip.send(&m("compressed"));
    zip.close();
    zip.end().await.unwrap();

    let mut watch = client.begin("/t.S/Watch", &[]).await;
    watch.send(&m("all"));
    watch.recv().await.unwrap();
    watch.recv().await.unwrap();
    watch.send.send_reset(Reason::CANCEL);

    let mut broken = client.begin("/t.S/Break", &[]).await;
    broken.send(&m("all"));
    broken.close();
    assert_eq!(broken.end().await, Err(Some(Reason::INTERNAL_ERROR)));
}

/// Records the conversations above and serves them to `script`.
fn served(more: &[&str], script: impl AsyncFnOnce(Client)) {
    let directory = temporary();
    let capture = directory.path().join("talk.pcapng");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        timeout(LONG, record(&capture, answer, talk)).await.unwrap();
        let server = Server::start(&[&[&*text(&capture)], more].concat());
        timeout(LONG, async { script(Client::connect(&server.address).await).await }).await.unwrap();
        let printed = server.stop();
        assert_eq!(printed.outcomes("miss") + printed.outcomes("failed"), 0, "{:?}", printed.lines);
    });
}

#[test]
fn every_conversation_is_held_again() {
    served(&[], talk);
    served(&["--delays", "none"], talk);
}

#[test]
fn a_server_that_spoke_first_does_so_and_then_waits_for_the_client() {
    served(&["--delays", "none"], async |client| {
        let mut greet = client.begin("/t.S/Greet", &[]).await;
        assert_eq!(greet.recv().await, Some((0, m("welcome"))));
        assert_eq!(greet.headers["x-from"], "recorded");
        assert!(timeout(SHORT, greet.recv()).await.is_err(), "the recorded server had a message of the client by then");
        greet.send(&m("somebody else"));
        assert_eq!(greet.recv().await, Some((0, [m("hello"), m("me")].concat())));
        assert!(timeout(SHORT, greet.recv()).await.is_err(), "it ended behind the half-close");
        greet.close();
        assert_eq!(greet.end().await.unwrap()["grpc-status"], "0");
    });
}

#[test]
fn each_answer_waits_for_the_message_before_it() {
    served(&["--delays", "none"], async |client| {
        let mut chat = client.begin("/t.S/Chat", &[]).await;
        for text in ["a", "b", "c"] {
            assert!(timeout(SHORT / 3, chat.recv()).await.is_err(), "{text}");
            chat.send(&m(text));
            assert_eq!(chat.recv().await, Some((0, m(text))));
        }
        chat.close();
        chat.end().await.unwrap();
        // A client that sends less waits for nothing that only more would bring.
        let mut short = client.begin("/t.S/Chat", &[]).await;
        short.send(&m("a"));
        short.close();
        assert_eq!(short.end().await.unwrap()["grpc-status"], "0");
    });
}

#[test]
fn a_client_that_waits_for_headers_gets_them_before_it_sends() {
    served(&[], async |client| {
        let mut early = client.begin("/t.S/Early", &[]).await;
        early.begun().await.unwrap();
        assert_eq!(early.headers["x-from"], "recorded");
        early.send(&m("late"));
        early.close();
        assert_eq!(early.recv().await, Some((0, m("late"))));
        assert_eq!(early.end().await.unwrap()["grpc-status"], "0");
    });
}

#[test]
fn a_recording_without_an_end_answers_what_it_has_and_waits() {
    served(&["--delays", "none"], async |client| {
        let mut watch = client.begin("/t.S/Watch", &[]).await;
        watch.send(&m("all"));
        assert_eq!(watch.recv().await, Some((0, m("one"))));
        assert_eq!(watch.recv().await, Some((0, m("two"))));
        assert!(timeout(SHORT, watch.recv()).await.is_err());
        watch.send.send_reset(Reason::CANCEL);
    });
}

#[test]
fn messages_are_compressed_as_the_client_understands() {
    served(&["--delays", "none"], async |client| {
        for (accepted, encoding, flag) in [
            (&[("grpc-accept-encoding", "deflate, gzip")][..], Some("gzip"), 1),
            (&[("grpc-accept-encoding", "identity,deflate")], Some("deflate"), 1),
            (&[("grpc-accept-encoding", "identity")], None, 0),
            (&[], None, 0),
        ] {
            let mut zip = client.begin("/t.S/Zip", accepted).await;
            zip.send(&m("compressed"));
            zip.close();
            let (got, message) = zip.recv().await.unwrap();
            assert_eq!(got, flag, "{accepted:?}");
            assert_eq!(zip.headers.get("grpc-encoding").map(|name| name.to_str().unwrap()), encoding, "{accepted:?}");
            let mut content = Vec::new();
            match encoding {
                Some("gzip") => _ = GzDecoder::new(&*message).read_to_end(&mut content).unwrap(),
                Some(_) => _ = ZlibDecoder::new(&*message).read_to_end(&mut content).unwrap(),
                None => content = message,
            }
            assert_eq!(content, m("compressed"), "{accepted:?}");
            zip.end().await.unwrap();
        }
    });
}

#[test]
fn a_compressed_request_equals_the_recorded_one() {
    served(&["--delays", "none"], async |client| {
        let mut chat = client.begin("/t.S/Chat", &[("grpc-encoding", "gzip")]).await;
        chat.send.send_data(crate::peer::framed(1, &gzip(&m("a"))), false).unwrap();
        assert_eq!(chat.recv().await, Some((0, m("a"))));
        chat.close();
        chat.end().await.unwrap();
    });
}
