//! What frames carry: from a header and its payload to values, RFC 9113 §6, RFC 7838, RFC 8336 and RFC 9218.
//!
//! Everything given out is a part of the payload or a number in it. Faults are returned beside it; whether a frame may
//! stand where it stands is for the connection to know.

use smallvec::SmallVec;

use super::error_code::ErrorCode;
use super::frame::{Flags, FrameHeader, FrameType};
use super::settings::{SettingId, Settings};
use crate::{Cursor, Note, Severity};

/// A frame's payload, by the type of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// DATA.
    Data {
        /// The data without padding.
        data: &'a [u8],
        /// Bytes of padding, without the byte that says how many, where the frame is padded.
        padding: Option<u8>,
    },
    /// HEADERS.
    Headers {
        /// Priority, where the frame has it.
        priority: Option<Priority>,
        /// The beginning of a header block, or all of it.
        fragment: &'a [u8],
        /// As in DATA.
        padding: Option<u8>,
    },
    /// PRIORITY.
    Priority(Priority),
    /// RST_STREAM.
    RstStream(ErrorCode),
    /// SETTINGS, none where it acknowledges.
    Settings(Settings<'a>),
    /// PUSH_PROMISE.
    PushPromise {
        /// The stream that is to come.
        promised: u32,
        /// The beginning of a header block, or all of it.
        fragment: &'a [u8],
        /// As in DATA.
        padding: Option<u8>,
    },
    /// PING.
    Ping([u8; 8]),
    /// GOAWAY.
    GoAway {
        /// The highest stream that may have been worked on.
        last_stream: u32,
        /// Why.
        error: ErrorCode,
        /// Whatever the sender adds.
        debug: &'a [u8],
    },
    /// WINDOW_UPDATE.
    WindowUpdate {
        /// Bytes more that may be sent.
        increment: u32,
    },
    /// CONTINUATION: more of a header block.
    Continuation(&'a [u8]),
    /// ALTSVC (RFC 7838 §4).
    AltSvc {
        /// For which origin; empty on a stream, whose origin it is then.
        origin: &'a [u8],
        /// An `Alt-Svc` field value.
        value: &'a [u8],
    },
    /// ORIGIN (RFC 8336 §2).
    Origin(Origins<'a>),
    /// PRIORITY_UPDATE (RFC 9218 §7.1).
    PriorityUpdate {
        /// The stream that is meant.
        prioritized: u32,
        /// A `Priority` field value.
        value: &'a [u8],
    },
    /// A frame of a type that is not known.
    Unknown(&'a [u8]),
    /// A payload too short to be one of its type.
    Malformed(&'a [u8]),
}

/// Priority as RFC 7540 meant it; senders may still send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The stream that it depends on alone.
    pub exclusive: bool,
    /// The stream that it depends on.
    pub depends_on: u32,
    /// From 1 to 256.
    pub weight: u16,
}

/// The origins of an ORIGIN frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origins<'a>(&'a [u8]);

impl<'a> Origins<'a> {
    /// The origins, each in ASCII. One that is cut short is left out.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut cursor = Cursor::new(self.0);
        std::iter::from_fn(move || {
            let len = cursor.u16()?;
            cursor.take(usize::from(len))
        })
    }
}

/// What is wrong with a frame by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameFault {
    /// The payload has a length that frames of the type do not have.
    Size,
    /// The type belongs to a stream, and the frame is on stream 0.
    OnConnection,
    /// The type belongs to the connection, and the frame is on a stream.
    OnStream,
    /// There is more padding than payload.
    Padding,
    /// A WINDOW_UPDATE by nothing.
    NoIncrement,
    /// A setting that must not have its value.
    Setting(SettingId),
    /// A promised stream that is 0 or odd.
    Promised,
}

impl FrameFault {
    /// The same as a note on a frame of type `kind`.
    pub fn note(self, kind: FrameType) -> Note {
        let (word, text) = match self {
            Self::Size => ("frame-size", format!("{kind} has a length that such frames do not have")),
            Self::OnConnection => ("frame-stream", format!("{kind} on stream 0")),
            Self::OnStream => ("frame-stream", format!("{kind} on a stream, where it belongs to the connection")),
            Self::Padding => ("frame-padding", format!("{kind} with more padding than payload")),
            Self::NoIncrement => ("window-increment", format!("{kind} by 0")),
            Self::Setting(id) => ("settings-value", format!("{kind} sets {id} to a value that it must not have")),
            Self::Promised => ("promised-stream", format!("{kind} of a stream that a server cannot open")),
        };
        Note::new(Severity::Warning, word, text)
    }
}

/// A payload and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The payload.
    pub payload: Payload<'a>,
    /// What is wrong.
    pub faults: SmallVec<[FrameFault; 2]>,
}

/// Reads the payload of the frame that begins with `header`.
pub fn parse(header: FrameHeader, payload: &[u8]) -> Parsed<'_> {
    let mut faults = SmallVec::new();
    match (stream_rule(header.kind), header.stream) {
        (Some(StreamRule::Stream), 0) => faults.push(FrameFault::OnConnection),
        (Some(StreamRule::Connection), 1..) => faults.push(FrameFault::OnStream),
        _ => {}
    }
    let parsed = by_type(header, payload, &mut faults);
    Parsed {
        payload: parsed.unwrap_or_else(|| {
            faults.push(FrameFault::Size);
            Payload::Malformed(payload)
        }),
        faults,
    }
}

/// Where frames of a type belong.
#[derive(Clone, Copy)]
enum StreamRule {
    Stream,
    Connection,
}

const fn stream_rule(kind: FrameType) -> Option<StreamRule> {
    match kind {
        FrameType::DATA
        | FrameType::HEADERS
        | FrameType::PRIORITY
        | FrameType::RST_STREAM
        | FrameType::PUSH_PROMISE
        | FrameType::CONTINUATION => Some(StreamRule::Stream),
        FrameType::SETTINGS | FrameType::PING | FrameType::GOAWAY | FrameType::ORIGIN | FrameType::PRIORITY_UPDATE => {
            Some(StreamRule::Connection)
        }
        _ => None,
    }
}

/// None where the payload is too short.
fn by_type<'a>(header: FrameHeader, payload: &'a [u8], faults: &mut SmallVec<[FrameFault; 2]>) -> Option<Payload<'a>> {
    let mut cursor = Cursor::new(payload);
    let parsed = match header.kind {
        FrameType::DATA => {
            let (data, padding) = unpadded(header.flags, payload, faults)?;
            return Some(Payload::Data { data, padding });
        }
        FrameType::HEADERS => {
            let (content, padding) = unpadded(header.flags, payload, faults)?;
            let mut cursor = Cursor::new(content);
            let priority = match header.flags.contains(Flags::PRIORITY) {
                true => Some(priority(&mut cursor)?),
                false => None,
            };
            return Some(Payload::Headers { priority, fragment: cursor.rest(), padding });
        }
        FrameType::PRIORITY => Payload::Priority(priority(&mut cursor)?),
        FrameType::RST_STREAM => Payload::RstStream(ErrorCode(cursor.u32()?)),
        FrameType::SETTINGS => {
            let settings = Settings(payload);
            // RFC 9113 §6.5: an acknowledgement is empty; otherwise whole pairs.
            let ack = header.flags.contains(Flags::ACK);
            if (ack && !payload.is_empty()) || !payload.len().is_multiple_of(Settings::PAIR) {
                faults.push(FrameFault::Size);
            }
            // Only one is reported: a frame has room for millions.
            if let Some(setting) = settings.iter().find(|setting| !setting.is_valid()) {
                faults.push(FrameFault::Setting(setting.id));
            }
            return Some(Payload::Settings(settings));
        }
        FrameType::PUSH_PROMISE => {
            let (content, padding) = unpadded(header.flags, payload, faults)?;
            let mut cursor = Cursor::new(content);
            let promised = stream_id(&mut cursor)?;
            // RFC 9113 §5.1.1: streams that a server opens are even.
            if promised == 0 || promised % 2 == 1 {
                faults.push(FrameFault::Promised);
            }
            return Some(Payload::PushPromise { promised, fragment: cursor.rest(), padding });
        }
        FrameType::PING => Payload::Ping(cursor.array()?),
        FrameType::GOAWAY => {
            let last_stream = stream_id(&mut cursor)?;
            let error = ErrorCode(cursor.u32()?);
            return Some(Payload::GoAway { last_stream, error, debug: cursor.rest() });
        }
        FrameType::WINDOW_UPDATE => {
            let increment = stream_id(&mut cursor)?; // 31 bits as well
            if increment == 0 {
                faults.push(FrameFault::NoIncrement);
            }
            Payload::WindowUpdate { increment }
        }
        FrameType::CONTINUATION => return Some(Payload::Continuation(payload)),
        FrameType::ALTSVC => {
            let len = cursor.u16()?;
            let origin = cursor.take(usize::from(len))?;
            return Some(Payload::AltSvc { origin, value: cursor.rest() });
        }
        FrameType::ORIGIN => {
            let origins = Origins(payload);
            if origins.iter().map(|origin| origin.len() + 2).sum::<usize>() != payload.len() {
                faults.push(FrameFault::Size);
            }
            return Some(Payload::Origin(origins));
        }
        FrameType::PRIORITY_UPDATE => {
            let prioritized = stream_id(&mut cursor)?;
            return Some(Payload::PriorityUpdate { prioritized, value: cursor.rest() });
        }
        _ => return Some(Payload::Unknown(payload)),
    };
    // The types left have one size.
    if !cursor.is_empty() {
        faults.push(FrameFault::Size);
    }
    Some(parsed)
}

/// What is between the length of the padding and the padding.
///
/// ```text
/// [pad length (8)] content [padding (8 × pad length)]
/// ```
fn unpadded<'a>(
    flags: Flags,
    payload: &'a [u8],
    faults: &mut SmallVec<[FrameFault; 2]>,
) -> Option<(&'a [u8], Option<u8>)> {
    if !flags.contains(Flags::PADDED) {
        return Some((payload, None));
    }
    let (&padding, rest) = payload.split_first()?;
    let content = rest.len().checked_sub(usize::from(padding)).and_then(|len| rest.get(..len));
    if content.is_none() {
        // RFC 9113 §6.1: padding as long as the payload or longer is an error. It cannot be distinguished from data.
        faults.push(FrameFault::Padding);
    }
    Some((content.unwrap_or_default(), Some(padding)))
}

fn priority(cursor: &mut Cursor<'_>) -> Option<Priority> {
    let dependency = cursor.u32()?;
    let weight = cursor.u8()?;
    Some(Priority {
        exclusive: dependency >> 31 == 1,
        depends_on: dependency & 0x7fff_ffff,
        weight: u16::from(weight) + 1,
    })
}

/// 31 bits; the bit before them is reserved.
fn stream_id(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.u32().map(|id| id & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(kind: FrameType, flags: u8, stream: u32, payload: &[u8]) -> Parsed<'_> {
        let length = payload.len() as u32;
        parse(FrameHeader { length, kind, flags: Flags(flags), stream, reserved: false }, payload)
    }

    #[track_caller]
    fn assert_good(kind: FrameType, flags: u8, stream: u32, payload: &[u8], expected: Payload<'_>) {
        let parsed = parsed(kind, flags, stream, payload);
        assert_eq!(parsed.faults[..], []);
        assert_eq!(parsed.payload, expected);
    }

    #[test]
    fn data() {
        assert_good(FrameType::DATA, 0x01, 1, b"abc", Payload::Data { data: b"abc", padding: None });
        assert_good(FrameType::DATA, 0x08, 1, b"\x02abc\0\0", Payload::Data { data: b"abc", padding: Some(2) });
        assert_good(FrameType::DATA, 0x08, 1, b"\x02\0\0", Payload::Data { data: b"", padding: Some(2) });
        assert_good(FrameType::DATA, 0x08, 1, b"\x00", Payload::Data { data: b"", padding: Some(0) });
    }

    #[test]
    fn too_much_padding() {
        let wrong = parsed(FrameType::DATA, 0x08, 1, b"\x03ab");
        assert_eq!(wrong.faults[..], [FrameFault::Padding]);
        assert_eq!(wrong.payload, Payload::Data { data: b"", padding: Some(3) });
        let wrong = parsed(FrameType::DATA, 0x08, 1, b"");
        assert_eq!(wrong.faults[..], [FrameFault::Size]);
        assert_eq!(wrong.payload, Payload::Malformed(b""));
    }

    #[test]
    fn headers() {
        let payload = [
            0x01, // padding: 1
            0x80, 0x00, 0x00, 0x03, // exclusive, depends on 3
            0x0f, // weight 16
            0x82, 0x84, // fragment
            0x00, // padding
        ];
        let priority = Some(Priority { exclusive: true, depends_on: 3, weight: 16 });
        let fragment = &[0x82, 0x84];
        assert_good(FrameType::HEADERS, 0x2d, 1, &payload, Payload::Headers { priority, fragment, padding: Some(1) });
        let wrong = parsed(FrameType::HEADERS, 0x24, 1, &payload[..4]);
        assert_eq!(wrong.faults[..], [FrameFault::Size]);
    }

    #[test]
    fn small_ones() {
        assert_good(
            FrameType::PRIORITY,
            0,
            3,
            &[0, 0, 0, 1, 255],
            Payload::Priority(Priority { exclusive: false, depends_on: 1, weight: 256 }),
        );
        assert_good(FrameType::RST_STREAM, 0, 3, &[0, 0, 0, 8], Payload::RstStream(ErrorCode::CANCEL));
        assert_good(FrameType::PING, 1, 0, b"abcdefgh", Payload::Ping(*b"abcdefgh"));
        let update = Payload::WindowUpdate { increment: 0x7fff_ffff };
        assert_good(FrameType::WINDOW_UPDATE, 0, 0, &[0xff; 4], update);
        assert_eq!(parsed(FrameType::WINDOW_UPDATE, 0, 3, &[0; 4]).faults[..], [FrameFault::NoIncrement]);
        assert_good(FrameType::CONTINUATION, 4, 3, b"\x82", Payload::Continuation(b"\x82"));
        assert_good(FrameType(0x2a), 4, 3, b"\x82", Payload::Unknown(b"\x82"));
    }

    #[test]
    fn goaway() {
        let payload = [
            0x80, 0x00, 0x00, 0x05, // reserved bit, last stream 5
            0x00, 0x00, 0x00, 0x0b, // ENHANCE_YOUR_CALM
            b't', b'o', b'o', // debug
        ];
        let goaway = Payload::GoAway { last_stream: 5, error: ErrorCode::ENHANCE_YOUR_CALM, debug: b"too" };
        assert_good(FrameType::GOAWAY, 0, 0, &payload, goaway);
        assert_eq!(parsed(FrameType::GOAWAY, 0, 0, &payload[..7]).faults[..], [FrameFault::Size]);
    }

    #[test]
    fn settings() {
        let payload = [0x00, 0x02, 0x00, 0x00, 0x00, 0x02]; // ENABLE_PUSH = 2
        let wrong = parsed(FrameType::SETTINGS, 0, 0, &payload);
        assert_eq!(wrong.faults[..], [FrameFault::Setting(SettingId::ENABLE_PUSH)]);
        assert_eq!(wrong.payload, Payload::Settings(Settings(&payload)));
        assert_eq!(parsed(FrameType::SETTINGS, 0, 0, &[0; 5]).faults[..], [FrameFault::Size]);
        assert_eq!(parsed(FrameType::SETTINGS, 1, 0, &[0; 6]).faults[..], [FrameFault::Size]);
        assert_good(FrameType::SETTINGS, 1, 0, &[], Payload::Settings(Settings(&[])));
    }

    #[test]
    fn push_promise() {
        let payload = [
            0x00, // padding: 0
            0x00, 0x00, 0x00, 0x02, // promised stream 2
            0x82, // fragment
        ];
        let push = Payload::PushPromise { promised: 2, fragment: &[0x82], padding: Some(0) };
        assert_good(FrameType::PUSH_PROMISE, 0x0c, 1, &payload, push);
        assert_eq!(parsed(FrameType::PUSH_PROMISE, 0x04, 1, &[0, 0, 0, 3]).faults[..], [FrameFault::Promised]);
    }

    #[test]
    fn extensions() {
        let altsvc = Payload::AltSvc { origin: b"o", value: b"h2=\":8000\"" };
        assert_good(FrameType::ALTSVC, 0, 0, b"\x00\x01oh2=\":8000\"", altsvc);
        assert_eq!(parsed(FrameType::ALTSVC, 0, 0, b"\x00\x02o").faults[..], [FrameFault::Size]);
        let origin = parsed(FrameType::ORIGIN, 0, 0, b"\x00\x01a\x00\x00\x00\x02bc\x00\x09x");
        assert_eq!(origin.faults[..], [FrameFault::Size]);
        let Payload::Origin(origins) = origin.payload else { panic!("{origin:?}") };
        assert_eq!(origins.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"bc"]);
        let update = Payload::PriorityUpdate { prioritized: 5, value: b"u=1" };
        assert_good(FrameType::PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x05u=1", update);
    }

    #[test]
    fn where_frames_belong() {
        assert_eq!(parsed(FrameType::DATA, 0, 0, b"a").faults[..], [FrameFault::OnConnection]);
        assert_eq!(parsed(FrameType::PING, 0, 1, &[0; 8]).faults[..], [FrameFault::OnStream]);
        assert_eq!(parsed(FrameType::PING, 0, 1, &[0; 9]).faults[..], [FrameFault::OnStream, FrameFault::Size]);
    }

    #[test]
    fn faults_are_notes() {
        let note = FrameFault::Setting(SettingId::MAX_FRAME_SIZE).note(FrameType::SETTINGS);
        assert_eq!(note.kind, "settings-value");
        assert_eq!(note.text, "SETTINGS sets MAX_FRAME_SIZE to a value that it must not have");
    }

    proptest! {
        #[test]
        fn any_payload_is_read(kind in 0u8..0x12, flags: u8, stream in 0u32..4, payload: Vec<u8>) {
            let parsed = parsed(FrameType(kind), flags, stream, &payload);
            if matches!(parsed.payload, Payload::Malformed(_)) {
                prop_assert!(parsed.faults.contains(&FrameFault::Size));
            }
            prop_assert!(parsed.faults.len() <= 3);
        }
    }
}
