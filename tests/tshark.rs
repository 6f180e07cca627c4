//! Calls and message lengths beside Wireshark's own reading, where `tshark` is installed; elsewhere says that it was skipped.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use support::environment::{captures, tool};
use support::run::{run, text};
use support::shop::{Shop, messages_of};
use support::tcp::Side;

/// Of each stream of each connection: the path, and the lengths of all messages of both sides.
type Calls = BTreeMap<(u64, u64), (String, Vec<u64>)>;

#[test]
fn hello_as_tshark_reads_it() {
    compare("hello/hello.pcap", 50051);
}

#[test]
fn shop_as_tshark_reads_it() {
    compare("shop/shop.pcap", 50051);
}

#[test]
fn cancels_as_tshark_reads_them() {
    compare("cancels/cancels.pcap", 50072);
}

#[test]
fn goaway_as_tshark_reads_it() {
    compare("goaway/goaway.pcap", 50071);
}

#[test]
fn etcd_as_tshark_reads_it() {
    compare("etcd/etcd.pcap", 2379);
}

/// The tests' own reader against tshark: what the binary is held to elsewhere is not made up.
#[test]
fn the_truth_about_shop_is_what_tshark_reads() {
    let shop = Shop::load();
    let Some(theirs) = tshark(&support::shop::directory().join("shop.pcap"), support::shop::PORT) else { return };
    let truth: Calls = shop
        .calls
        .values()
        .map(|call| {
            let mut lengths: Vec<u64> =
                call.messages.iter().flatten().map(|message| message.wire.length.into()).collect();
            lengths.sort_unstable();
            ((0, call.stream.into()), (format!("/{}", call.method), lengths))
        })
        .collect();
    assert_eq!(truth, theirs);
}

fn compare(file: &str, port: u16) {
    let path = captures().join(file);
    let Some(theirs) = tshark(&path, port) else { return };
    assert!(!theirs.is_empty(), "tshark sees calls in {file}");
    let mut ours = Calls::new();
    for call in run(&["calls", "--json", &text(&path)]).done() {
        let key = (call["tcp_stream"].as_u64().unwrap(), call["stream"].as_u64().unwrap());
        let mut lengths: Vec<u64> = Side::BOTH
            .iter()
            .flat_map(|side| messages_of(&call, *side))
            .map(|message| message["length"].as_u64().unwrap())
            .collect();
        lengths.sort_unstable();
        ours.insert(key, (call["path"].as_str().unwrap_or_default().to_owned(), lengths));
    }
    let streams = |calls: &Calls| calls.keys().copied().collect::<Vec<_>>();
    assert_eq!(streams(&ours), streams(&theirs), "the calls of {file}");
    for (key, theirs) in &theirs {
        assert_eq!(&ours[key], theirs, "{file}: connection and stream {key:?}");
    }
}

/// What tshark shows of the same file: its packet details name the stream before what belongs to it.
fn tshark(path: &Path, port: u16) -> Option<Calls> {
    let port = format!("tcp.port=={port},http2");
    let details = tool("tshark", &["-r", &text(path), "-d", &port, "-Y", "http2", "-T", "pdml"])?;
    let mut calls = Calls::new();
    let mut at = (0, 0);
    for line in details.lines() {
        let show = attribute(line, "show").unwrap_or_default();
        match attribute(line, "name") {
            Some("tcp.stream") => at.0 = show.parse().unwrap(),
            Some("http2.streamid") => at.1 = show.parse().unwrap(),
            Some("http2.headers.path") => calls.entry(at).or_default().0 = show.to_owned(),
            Some("grpc.message_length") => calls.entry(at).or_default().1.push(show.parse().unwrap()),
            _ => {}
        }
    }
    for (_, lengths) in calls.values_mut() {
        lengths.sort_unstable();
    }
    Some(calls)
}

/// The value of an attribute of the element on this line.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}
