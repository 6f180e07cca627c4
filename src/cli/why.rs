//! Why there are no calls when there are none.

use rpcshark_captures::{GapCause, Skip};
use rpcshark_dissectors::store::ConnectionProtocol;

use super::Talk;
use super::output::remark;
use crate::load::Loaded;

/// Says on standard error why nothing was found.
pub(super) fn tell_why_none(loaded: &Loaded, talk: Talk) {
    if !talk.quiet {
        remark(&why_none(loaded));
    }
}

fn why_none(loaded: &Loaded) -> String {
    let packets: u64 = loaded.files.iter().map(|file| file.packets).sum();
    if packets == 0 {
        return "no calls: there are no packets in the capture".to_owned();
    }
    if loaded.segments == 0 {
        return format!("no calls: none of the {packets} packets is TCP ({})", skipped(loaded));
    }
    let count = |protocol: ConnectionProtocol| {
        let connections = loaded.store.connections().iter();
        connections.filter(|&&at| loaded.store.connection(at).protocol == protocol).count()
    };
    let connections = loaded.store.connections().len();
    if let Some(cut) = cut_by_snap_length(loaded) {
        return format!(
            "no calls: packets are cut short by the snap length, {cut} times in the middle of what was sent: \
             record anew with a larger one (tcpdump -s 0)"
        );
    }
    let (http2, tls, http1) =
        (count(ConnectionProtocol::Http2), count(ConnectionProtocol::Tls), count(ConnectionProtocol::Http1));
    if http2 > 0 {
        return format!("no calls: {http2} of {connections} connections are HTTP/2, but no request in them is an RPC");
    }
    if tls > 0 {
        return format!("no calls: {tls} of {connections} TCP connections are TLS, and there is no key for them");
    }
    let http1 = if http1 > 0 { format!(" ({http1} are HTTP/1)") } else { String::new() };
    format!(
        "no calls: none of the {connections} TCP connections is HTTP/2 or ttrpc{http1}; \
         if one should be, say so with --decode-as tcp.port==PORT,http2"
    )
}

/// How many gaps there are since packets were not captured whole.
fn cut_by_snap_length(loaded: &Loaded) -> Option<usize> {
    let connections = loaded.store.connections().iter().map(|&at| loaded.store.connection(at));
    let gaps = connections.flat_map(|connection| connection.facts.iter().flat_map(|facts| &facts.flows));
    let cut = gaps.flat_map(|flow| &flow.gaps).filter(|gap| gap.cause == GapCause::Snapped).count();
    (cut > 0).then_some(cut)
}

/// What the packets were instead, the most frequent first.
fn skipped(loaded: &Loaded) -> String {
    let mut reasons: Vec<(&Skip, &u64)> = loaded.skipped.iter().collect();
    reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let reasons: Vec<String> = reasons.iter().take(4).map(|(why, count)| format!("{count}: {why}")).collect();
    reasons.join(", ")
}
