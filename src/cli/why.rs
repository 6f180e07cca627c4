//! Why there are no calls when there are none.

use rpcshark_captures::Skip;
use rpcshark_dissectors::store::ConnectionProtocol;
use rpcshark_dissectors::tls::Decryption;

use super::InputArgs;
use super::output::remark;
use super::remarks::{cut_bytes, how_to_capture_all};
use crate::load::Loaded;

/// Prints on standard error why nothing was found.
pub(super) fn tell_why_none(loaded: &Loaded, input: &InputArgs) {
    if !input.talk.quiet {
        remark(&format!("no calls: {}", why_none(loaded, input)));
    }
}

fn why_none(loaded: &Loaded, input: &InputArgs) -> String {
    let packets: u64 = loaded.files.iter().map(|file| file.packets).sum();
    if packets == 0 {
        return "there are no packets in the capture".to_owned();
    }
    let connections = loaded.store.connections().count();
    if connections == 0 {
        return no_connection(loaded, packets);
    }
    let cut = cut_bytes(&loaded.store);
    if cut > 0 {
        return format!(
            "packets were not captured whole, {cut} bytes of what was sent are missing; {}",
            how_to_capture_all(&loaded.files)
        );
    }
    let count = |protocol: ConnectionProtocol| {
        let connections = loaded.store.connections();
        connections.filter(|&at| loaded.store.connection(at).protocol == protocol).count()
    };
    let http2 = count(ConnectionProtocol::Http2);
    if http2 > 0 {
        let of = of(http2, connections);
        return format!("{of} HTTP/2, but no request in them is an RPC");
    }
    let tls = count(ConnectionProtocol::Tls);
    if tls > 0 {
        let of = of(tls, connections);
        return format!("{of} TLS; {}", what_tls_needs(loaded));
    }
    let http1 = match count(ConnectionProtocol::Http1) {
        0 => String::new(),
        http1 => format!(" ({})", of(http1, connections) + " HTTP/1"),
    };
    let none = match connections {
        1 => format!("the only connection is neither HTTP/2 nor ttrpc{http1}"),
        _ => format!("none of the {connections} connections is HTTP/2 or ttrpc{http1}"),
    };
    match input.decode_as.as_slice() {
        [] => format!("{none}; if one should be, name its protocol with --decode-as tcp.port==PORT,http2"),
        // Rules that match no connection are reported by themselves.
        _ => format!("{none}, not even where --decode-as says so"),
    }
}

/// Why TLS connections could not be read.
fn what_tls_needs(loaded: &Loaded) -> &'static str {
    let connections = loaded.store.connections().map(|at| loaded.store.connection(at));
    let decryptions: Vec<Decryption> =
        connections.filter_map(|connection| Some(connection.tls.as_deref()?.decryption)).collect();
    let all = |wanted: Decryption| decryptions.iter().all(|&decryption| decryption == wanted);
    if all(Decryption::NoHello) {
        return "their beginnings are not in the capture, so that no secrets can be assigned to them: begin to capture \
                before the connections are made";
    }
    if all(Decryption::Decrypted) {
        return "they were decrypted, but do not carry HTTP/2 or ttrpc";
    }
    match loaded.keys.given {
        true => {
            "the key log has no secrets for them, or their encryption is not supported: `rpcshark connections` says which"
        }
        false => {
            "to decrypt them, name the key log with --keylog: the secrets that the client or server wrote to the file \
             SSLKEYLOGFILE names, not the server's private key"
        }
    }
}

/// `2 of 3 connections are`
fn of(count: usize, all: usize) -> String {
    match (count, all) {
        (1, 1) => "the only connection is".to_owned(),
        (1, _) => format!("1 of {all} connections is"),
        _ => format!("{count} of {all} connections are"),
    }
}

fn no_connection(loaded: &Loaded, packets: u64) -> String {
    let skipped = skipped(loaded);
    let reasons = if skipped.is_empty() { skipped } else { format!(" ({skipped})") };
    let only_streams = loaded.files.iter().all(|file| file.link_types.is_empty());
    match (packets, only_streams) {
        _ if loaded.segments > 0 => {
            format!("{} packets are TCP, but none of them begins a connection", loaded.segments)
        }
        (_, true) => format!("there is no connection in the {packets} records of the capture{reasons}"),
        (1, _) => format!("the only packet is not TCP{reasons}"),
        _ => format!("none of the {packets} packets is TCP{reasons}"),
    }
}

/// Why packets were skipped, the most frequent reason first.
fn skipped(loaded: &Loaded) -> String {
    let mut reasons: Vec<(&Skip, &u64)> = loaded.skipped.iter().collect();
    reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let reasons: Vec<String> = reasons.iter().take(4).map(|(why, count)| format!("{count}: {why}")).collect();
    reasons.join(", ")
}
