//! What a client is told whose request is not in the recording: how it differs from the nearest one.

use std::fmt::Write;

use rpcshark_captures::Direction;
use rpcshark_dissectors::compare::{Comparer, Comparison, Shown, Verdict};
use rpcshark_dissectors::view::Scratch;

use super::catalog::{Carrier, Catalog};
use super::server::Server;

/// Bytes that a message may have in a header: longer ones make some clients refuse the whole answer.
pub(super) const MAX_MISS: usize = 1024;

/// Recordings that are compared to find the nearest one, and bytes of their requests.
const MAX_COMPARED: usize = 256;
const MAX_COMPARED_BYTES: usize = 4 << 20;

/// Methods that are named.
const MAX_NAMED: usize = 20;

/// What to say about a method that nobody called in the recording.
pub(super) fn no_method(catalog: &Catalog, carrier: Carrier, path: &str) -> String {
    let mut text = format!("the recording has no call of {path}");
    let (here, other, name) = match carrier {
        Carrier::Http2 => (Carrier::Http2, Carrier::Ttrpc, "ttrpc"),
        Carrier::Ttrpc => (Carrier::Ttrpc, Carrier::Http2, "gRPC"),
    };
    if catalog.method(other, path).is_some() {
        _ = write!(text, " over this protocol; it has some over {name}");
        return text;
    }
    let mut paths = catalog.paths(here);
    let named: Vec<&str> = paths.by_ref().take(MAX_NAMED).map(|path| path.trim_start_matches('/')).collect();
    match named.is_empty() {
        true => _ = write!(text, "; it has calls over {name} only"),
        false => {
            let more = if paths.next().is_some() { ", …" } else { "" };
            _ = write!(text, "; it has {}{more}", named.join(", "));
        }
    }
    text
}

/// What to say about a request that none of the recorded ones of its method equals.
pub(super) fn no_request(server: &Server, method: u32, path: &str, content: Option<&[u8]>) -> String {
    let viewer = server.recording.viewer(&server.store);
    let candidates = server.catalog.candidates(method);
    let Some(content) = content else {
        return format!("no recorded call of {path} has a request without messages");
    };
    if content.len() > MAX_COMPARED_BYTES {
        return format!("no recorded call of {path} has this request of {} bytes", content.len());
    }
    let mut comparer = Comparer::new(&server.rules, rpcshark_dissectors::view::Permit::to_compare());
    let mut scratch = Scratch::default();
    let mut nearest: Option<(u64, u32, Comparison)> = None;
    let mut bytes = 0;
    for &candidate in candidates.iter().take(MAX_COMPARED) {
        let call = viewer.call(server.catalog.call(candidate));
        bytes += content.len();
        bytes += call.messages(Direction::ToServer).next().map_or(0, |message| message.length() as usize);
        if bytes > MAX_COMPARED_BYTES && nearest.is_some() {
            break;
        }
        let comparison = comparer.compare_opening(&call, content, &mut scratch);
        let distance = match comparison.verdict {
            Verdict::NotComparable => u64::MAX,
            _ => comparison.count().max(1),
        };
        if nearest.as_ref().is_none_or(|(least, ..)| distance < *least) {
            nearest = Some((distance, call.no(), comparison));
        }
    }
    let mut text = format!("no recorded call of {path} has this request");
    let Some((_, no, comparison)) = nearest else { return text };
    _ = write!(text, "; the nearest is call {no}");
    let mut before = ": ";
    for difference in &comparison.differences {
        let side = |shown: &Shown| shown.as_text().map_or_else(|| "nothing".to_owned(), |text| shorten(&text));
        _ = write!(
            text,
            "{before}{}: recorded {}, now {}",
            difference.path,
            side(&difference.recorded),
            side(&difference.replayed)
        );
        before = "; ";
        if text.len() > MAX_MISS {
            break;
        }
    }
    if let Some(why) = &comparison.why {
        _ = write!(text, "{before}{why}");
    }
    text
}

/// Characters of a value in the text.
const MAX_VALUE: usize = 100;

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The beginning of `text` that takes at most [`MAX_MISS`] bytes when each character takes `size` of it.
pub(super) fn fitting(text: &str, size: impl Fn(char) -> usize) -> String {
    let mut room = MAX_MISS;
    let mut fits = String::new();
    for character in text.chars() {
        let Some(rest) = room.checked_sub(size(character)) else { break };
        room = rest;
        fits.push(character);
    }
    if fits.len() == text.len() {
        return fits;
    }
    let mark = "…";
    while room < mark.chars().map(&size).sum::<usize>() {
        let Some(last) = fits.pop() else { break };
        room += size(last);
    }
    fits + mark
}

/// The bytes that a character takes in a `grpc-message`.
pub(super) fn encoded_size(character: char) -> usize {
    match character {
        ' '..='~' if character != '%' => 1,
        _ => 3 * character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_dissectors::grpc::percent_encode;

    #[test]
    fn a_long_text_is_cut_to_a_kibibyte_as_it_is_sent() {
        for text in ["x".repeat(5000), "%".repeat(5000), "ä€".repeat(900), "x".repeat(MAX_MISS + 1)] {
            let cut = fitting(&text, encoded_size);
            assert!(cut.ends_with('…'));
            let length = percent_encode(&cut).len();
            assert!((MAX_MISS - 12..=MAX_MISS).contains(&length), "{length}");
            assert!(fitting(&text, char::len_utf8).len() <= MAX_MISS);
        }
        assert_eq!(fitting("short", encoded_size), "short");
    }
}
