//! Detects the protocol of a connection by the first bytes of its two directions.

use crate::http2::{FrameHeader, FrameType, PREFACE};
use crate::ttrpc::probe::{ENOUGH_ANSWERS, First, first};

/// What the first bytes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// HTTP/2; `swap`: client and server have to be swapped.
    Http2 { swap: bool },
    /// HTTP/1.x.
    Http1 { swap: bool },
    /// ttrpc.
    Ttrpc { swap: bool },
    /// An NRI trunk; its client is the plugin.
    Nri { swap: bool },
    /// TLS; `hello`: it begins with a hello.
    Tls { swap: bool, hello: bool },
    /// Too few bytes to tell.
    NeedMore,
    /// No known protocol.
    None,
}

/// Judges the first bytes to the server and to the client. Either may be empty, or begin in the middle of something.
pub(crate) fn first_bytes([to_server, to_client]: [&[u8]; 2]) -> Guess {
    let guesses = [
        of_client(to_server, false),
        of_client(to_client, true),
        of_server(to_client, false),
        of_server(to_server, true),
        of_ttrpc(to_server, false),
        of_ttrpc(to_client, true),
    ];
    let known = guesses.into_iter().find(|guess| !matches!(guess, Guess::NeedMore | Guess::None));
    let need_more = guesses.contains(&Guess::NeedMore);
    known.unwrap_or(if need_more { Guess::NeedMore } else { Guess::None })
}

/// The same when no more will come: a server's SETTINGS, or one whole answer, are enough then.
pub(crate) fn last_bytes([to_server, to_client]: [&[u8]; 2]) -> Guess {
    let settings = |bytes: &[u8]| bytes.first_chunk().map(FrameHeader::parse).is_some_and(is_first_settings);
    match (settings(to_client), settings(to_server)) {
        (true, _) => Guess::Http2 { swap: false },
        (_, true) => Guess::Http2 { swap: true },
        _ => match (first(to_client), first(to_server)) {
            (First::Server(1..), _) => Guess::Ttrpc { swap: false },
            (_, First::Server(1..)) => Guess::Ttrpc { swap: true },
            _ => Guess::None,
        },
    }
}

/// Whether the first bytes can only be ttrpc.
fn of_ttrpc(bytes: &[u8], swap: bool) -> Guess {
    match first(bytes) {
        First::Client => Guess::Ttrpc { swap },
        First::Server(ENOUGH_ANSWERS..) => Guess::Ttrpc { swap: !swap },
        // Its client says the same with more bytes.
        First::Server(_) if bytes.len() <= WAIT_FOR_PREFACE => Guess::NeedMore,
        First::Server(1..) => Guess::Ttrpc { swap: !swap },
        First::Trunk { plugin } => Guess::Nri { swap: swap == plugin },
        First::NeedMore => Guess::NeedMore,
        First::Server(_) | First::None => Guess::None,
    }
}

/// What only a client says first.
fn of_client(bytes: &[u8], swap: bool) -> Guess {
    if bytes.is_empty() {
        return Guess::None;
    }
    if bytes.starts_with(PREFACE) {
        return Guess::Http2 { swap };
    }
    if PREFACE.starts_with(bytes) {
        return Guess::NeedMore;
    }
    if is_tls(bytes) {
        // RFC 8446 §4: a handshake begins with a ClientHello, which the server answers with a ServerHello.
        let is_servers = matches!(bytes, [0x16, _, _, _, _, 2, ..]);
        let hello = matches!(bytes, [0x16, _, _, _, _, 1 | 2, ..]);
        return Guess::Tls { swap: swap != is_servers, hello };
    }
    match METHODS.iter().any(|method| bytes.starts_with(method)) {
        true => Guess::Http1 { swap },
        false if METHODS.iter().any(|method| method.starts_with(bytes)) => Guess::NeedMore,
        false => Guess::None,
    }
}

/// What only a server says first.
fn of_server(bytes: &[u8], swap: bool) -> Guess {
    if bytes.is_empty() {
        return Guess::None;
    }
    if bytes.starts_with(b"HTTP/1.") {
        return Guess::Http1 { swap };
    }
    if b"HTTP/1.".starts_with(bytes) {
        return Guess::NeedMore;
    }
    match bytes.first_chunk().map(FrameHeader::parse) {
        // RFC 9113 §3.4: the server's first frame is SETTINGS. That the client's preface has not come need not
        // mean anything, but it is worth waiting for: it says the same with more bytes.
        Some(header) if is_first_settings(header) => match bytes.len() > WAIT_FOR_PREFACE {
            true => Guess::Http2 { swap },
            false => Guess::NeedMore,
        },
        None if bytes.starts_with(&[0, 0]) => Guess::NeedMore,
        _ => Guess::None,
    }
}

/// A server's bytes that are held until its client's preface is there.
const WAIT_FOR_PREFACE: usize = 1 << 14;

pub(crate) fn is_first_settings(header: FrameHeader) -> bool {
    let small = header.length.is_multiple_of(6) && header.length <= 6 * 32;
    header.kind == FrameType::SETTINGS && header.flags.0 == 0 && header.stream == 0 && small
}

/// A TLS record of a handshake, as every TLS connection begins (RFC 8446 §5.1), or one of application data.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 3, 0..=4, a, b, ..] if u16::from_be_bytes([*a, *b]) <= MAX_TLS_RECORD)
}

/// RFC 5246 §6.2.3: 2^14 bytes and what encryption adds.
const MAX_TLS_RECORD: u16 = (1 << 14) + 2048;

/// Beginnings of HTTP/1 requests.
const METHODS: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    b"PRI * HTTP/2.0\r\n\r\nSM",
];
