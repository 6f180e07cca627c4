//! Whether bytes that nothing is known of are ttrpc.

use super::frame::{FrameHeader, FrameType, MAX_LENGTH};
use super::resync::response_fits;
use crate::Cursor;
use crate::protobuf::wire::varint;

/// What the first bytes of one direction show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A client's: a Request.
    Client,
    /// A server's: so many whole answers in a row.
    Server(u32),
    /// A trunk's; `plugin`: they come from the plugin.
    Trunk { plugin: bool },
    /// There are too few of them.
    NeedMore,
    /// None of these.
    None,
}

/// Judges the first bytes of one direction.
pub(crate) fn first(bytes: &[u8]) -> First {
    // No legal frame is so long that the first byte of its length is not 0.
    if bytes.first() != Some(&0) {
        return First::None;
    }
    match (trunk(bytes), plain(bytes)) {
        (First::None, alone) => alone,
        (First::NeedMore, First::None) => First::NeedMore,
        (First::NeedMore, alone) => alone,
        (in_trunk, _) => in_trunk,
    }
}

fn plain(bytes: &[u8]) -> First {
    let header = bytes.first_chunk().map(FrameHeader::parse);
    let Some(header) = header else {
        // length, stream, type: the parts that are there must fit.
        let fits = |at: usize, ok: fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| ok(byte));
        let type_fits = fits(8, |kind| matches!(kind, 1..=3));
        let fits = fits(1, |byte| byte <= 0x40) && fits(7, |byte| byte % 2 == 1) && type_fits;
        return if fits { First::NeedMore } else { First::None };
    };
    if !header.is_plausible() {
        return First::None;
    }
    let data = bytes.get(FrameHeader::LEN..).unwrap_or_default();
    match header.kind {
        // The first Request of a connection: even where its data is not in the clear, nothing else begins so.
        FrameType::REQUEST if header.stream == 1 => First::Client,
        FrameType::REQUEST => match request_names(data.get(..header.length as usize).unwrap_or(data), header.length) {
            Name::Fits => First::Client,
            Name::NeedMore => First::NeedMore,
            Name::Wrong => First::None,
        },
        _ => answers(bytes),
    }
}

/// How many frames of a server there are, when there is nothing else.
fn answers(mut bytes: &[u8]) -> First {
    let mut whole = 0;
    while whole < ENOUGH_ANSWERS {
        let Some(header) = bytes.first_chunk().map(FrameHeader::parse) else { break };
        let data = bytes.get(FrameHeader::LEN..).unwrap_or_default();
        let fits = match header.kind {
            FrameType::RESPONSE => response_fits(data, header.length).unwrap_or(true),
            FrameType::DATA => true,
            _ => false,
        };
        if !fits || !header.is_plausible() {
            return First::None;
        }
        let Some(rest) = data.get(header.length as usize..) else { break };
        bytes = rest;
        whole += 1;
    }
    First::Server(whole)
}

/// Answers in a row that show a server without anything of its client.
pub(crate) const ENOUGH_ANSWERS: u32 = 3;

/// The connection's number in the trunk, a length, and the beginning of a ttrpc frame.
///
/// ```text
///  0               4               8
///  ├ number (32) ──┼ length (32) ──┼ bytes of that connection ───
/// ```
fn trunk(bytes: &[u8]) -> First {
    let mut cursor = Cursor::new(bytes);
    let (Some(number), Some(length)) = (cursor.u32(), cursor.u32()) else {
        let possible = [PLUGIN_SERVES, RUNTIME_SERVES].iter().any(|number| {
            let begin = number.to_be_bytes();
            let seen = bytes.len().min(begin.len());
            bytes.get(..seen) == begin.get(..seen)
        });
        return if possible { First::NeedMore } else { First::None };
    };
    if !matches!(number, PLUGIN_SERVES | RUNTIME_SERVES) || length == 0 || length > MAX_TRUNK_LENGTH {
        return First::None;
    }
    let rest = cursor.rest();
    let Some(header) = rest.first_chunk().map(FrameHeader::parse) else {
        // What there is of the inner header: its length begins with 0. A stream's type is never 0.
        return if rest.first().is_none_or(|&byte| byte == 0) { First::NeedMore } else { First::None };
    };
    if !header.is_plausible() {
        return First::None;
    }
    let asks = header.kind == FrameType::REQUEST;
    match header.kind {
        FrameType::REQUEST | FrameType::RESPONSE => First::Trunk { plugin: asks == (number == RUNTIME_SERVES) },
        _ => First::None,
    }
}

/// The connection of a trunk on which the plugin is the server.
pub(crate) const PLUGIN_SERVES: u32 = 1;

/// The one on which the runtime is the server.
pub(super) const RUNTIME_SERVES: u32 = 2;

/// The longest piece in a trunk: the largest ttrpc frame.
pub(super) const MAX_TRUNK_LENGTH: u32 = MAX_LENGTH + FrameHeader::LEN as u32;

/// Whether data is that of a Request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Fits,
    Wrong,
    NeedMore,
}

/// Longer text is not a name: the longest real ones have some 60 bytes.
const MAX_NAME: u64 = 512;

/// Whether data of `length` bytes that begins with `data` begins as Requests do: a service, then a method.
pub(super) fn request_names(data: &[u8], length: u32) -> Name {
    let mut cursor = Cursor::new(data);
    let mut at = 0;
    for (tag, is_part) in [(0x0a, is_service as fn(u8) -> bool), (0x12, is_method)] {
        match cursor.u8() {
            Some(byte) if byte == tag => {}
            Some(_) => return Name::Wrong,
            None => return too_few(data, length),
        }
        let Ok(len) = varint(&mut cursor) else { return too_few(data, length) };
        at = cursor.position() as u64 + len;
        if len == 0 || len > MAX_NAME || at > u64::from(length) {
            return Name::Wrong;
        }
        let there = cursor.rest().get(..len as usize).unwrap_or(cursor.rest());
        if !there.iter().all(|&byte| is_part(byte)) {
            return Name::Wrong;
        }
        if cursor.take(len as usize).is_none() {
            return Name::NeedMore;
        }
    }
    if at == u64::from(length) {
        return Name::Fits;
    }
    // payload, timeout_nano or metadata
    match cursor.u8() {
        Some(0x1a | 0x20 | 0x2a) => Name::Fits,
        Some(_) => Name::Wrong,
        None => Name::NeedMore,
    }
}

fn too_few(data: &[u8], length: u32) -> Name {
    if data.len() < length as usize { Name::NeedMore } else { Name::Wrong }
}

const fn is_service(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')
}

const fn is_method(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = &[
        0, 0, 0, 10, // length
        0, 0, 0, 1, // stream
        1, 0, // Request, no flags
        0x0a, 3, b'a', b'.', b'B', // service
        0x12, 1, b'C', // method
        0x1a, 0, // payload
    ];

    fn on_stream(stream: u8) -> Vec<u8> {
        let mut bytes = REQUEST.to_vec();
        bytes[7] = stream;
        bytes
    }

    #[test]
    fn a_first_request_is_a_clients_from_its_header_on_and_a_later_one_from_its_names_on() {
        for (bytes, enough) in [(REQUEST.to_vec(), 10), (on_stream(5), 19)] {
            for part in 1..bytes.len() {
                let expected = if part < enough { First::NeedMore } else { First::Client };
                assert_eq!(first(&bytes[..part]), expected, "{part} bytes of {bytes:?}");
            }
        }
        assert_eq!(first(&on_stream(4)), First::None);
    }

    #[test]
    fn answers_are_counted() {
        let answer = |stream: u8| [0, 0, 0, 2, 0, 0, 0, stream, 2, 0, 0x12, 0];
        let three = [answer(1), answer(3), answer(5)].concat();
        for (len, whole) in [(10, 0), (11, 0), (12, 1), (23, 1), (24, 2), (36, 3)] {
            assert_eq!(first(&three[..len]), First::Server(whole), "{len}");
        }
        let mut wrong = three;
        wrong[22] = 0x1a;
        assert_eq!(first(&wrong), First::None);
    }

    #[test]
    fn a_trunk_is_known_by_the_frame_in_it() {
        let piece = |number: u8, frame: &[u8]| [&[0, 0, 0, number, 0, 0, 0, frame.len() as u8][..], frame].concat();
        let answer = [0, 0, 0, 2, 0, 0, 0, 1, 2, 0, 0x12, 0];
        for (bytes, plugin) in [
            (piece(2, REQUEST), true),
            (piece(1, REQUEST), false),
            (piece(1, &answer), true),
            (piece(2, &answer), false),
        ] {
            for part in 1..18 {
                assert_eq!(first(&bytes[..part]), First::NeedMore, "{part}");
            }
            assert_eq!(first(&bytes), First::Trunk { plugin });
        }
        assert_eq!(first(&piece(3, REQUEST)), First::None);
    }

    #[test]
    fn other_protocols_are_none_of_these() {
        for other in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", // SETTINGS of HTTP/2
            b"\0\0\0\x08\x04\xd2\x16\x2f\0\0",         // PostgreSQL asking for TLS
            &[0; 64],
        ] {
            assert_eq!(first(other), First::None, "{other:?}");
        }
    }

    #[test]
    fn names_are_dotted_words() {
        let judge = |data: &[u8]| request_names(data, data.len() as u32);
        assert_eq!(judge(b"\x0a\x03a.B\x12\x01C"), Name::Fits);
        assert_eq!(judge(b"\x0a\x03a/B\x12\x01C"), Name::Wrong);
        assert_eq!(judge(b"\x0a\x03a.B\x12\x01.\x1a\x00"), Name::Wrong);
        assert_eq!(judge(b"\x0a\x00\x12\x01C"), Name::Wrong);
        assert_eq!(judge(b"\x0a\x03a.B\x12\x01C\x3a"), Name::Wrong);
        assert_eq!(judge(b"\x0a\x03a.B\x12"), Name::Wrong);
        assert_eq!(request_names(b"\x0a\x03a.B\x12", 20), Name::NeedMore);
    }
}
