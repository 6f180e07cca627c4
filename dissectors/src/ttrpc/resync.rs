//! What ttrpc frames look like, to find a boundary between them in bytes that begin anywhere.
//!
//! A Request that names a service and a method says more than an empty header, and is worth more.

use super::frame::{FrameHeader, FrameType};
use super::probe::{Name, request_names};
use crate::seek::{Chain, Frames, Look, Seen, is_near};

/// Points that show a frame boundary in a connection that is known to be ttrpc: two frames, or one that is all of what was
/// delivered.
pub(super) const KNOWN: u32 = 2;

/// Points that show that a connection is ttrpc.
pub(super) const UNKNOWN: u32 = 3;

/// What a Request that names a service and a method is worth.
const REQUEST: u32 = 2;

/// What is known of the connection in which a boundary is sought: the highest stream id seen, 0 where none was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Highest(pub(super) u32);

impl Frames for Highest {
    const SHORTEST: usize = FrameHeader::LEN;

    fn look(&self, bytes: &[u8], at: usize) -> Look {
        let Some(rest) = bytes.get(at..) else { return Look::TooFew };
        let Some(header) = rest.first_chunk().map(FrameHeader::parse) else { return Look::TooFew };
        if !is_near(header.stream, self.0) || !header.is_plausible() {
            return Look::Wrong;
        }
        let data = rest.get(FrameHeader::LEN..).unwrap_or_default();
        let data = data.get(..header.length as usize).unwrap_or(data);
        let fits = |points| {
            Look::Fits(Seen {
                len: FrameHeader::LEN + header.length as usize,
                stream: header.stream,
                points,
                // An empty Data is ten bytes of which few say anything.
                is_empty: header.kind == FrameType::DATA && header.length == 0,
            })
        };
        match header.kind {
            FrameType::REQUEST => match request_names(data, header.length) {
                Name::NeedMore => Look::TooFew,
                Name::Wrong => Look::Wrong,
                Name::Fits => fits(REQUEST),
            },
            FrameType::RESPONSE => match response_fits(data, header.length) {
                None => Look::TooFew,
                Some(false) => Look::Wrong,
                Some(true) => fits(1),
            },
            _ => fits(1),
        }
    }

    /// All of what was delivered, and no more, is a sign that it was written so, and worth a point.
    fn shows_enough(&self, bytes: &[u8], chain: &Chain, needed: u32, _: bool) -> bool {
        chain.at_delivery && chain.next == bytes.len() && chain.points + 1 >= needed
    }
}

/// Whether data that begins with `data` may be a Response: a status or a payload that it has room for.
pub(super) fn response_fits(data: &[u8], length: u32) -> Option<bool> {
    if length == 0 {
        return Some(true);
    }
    let tag = *data.first()?;
    if !matches!(tag, 0x0a | 0x12) {
        return Some(false);
    }
    let mut cursor = crate::Cursor::new(data.get(1..)?);
    match crate::protobuf::wire::varint(&mut cursor) {
        Ok(len) => {
            let end = (1 + cursor.position() as u64).saturating_add(len);
            // A payload is the last field that there is.
            Some(if tag == 0x12 { end == u64::from(length) } else { end <= u64::from(length) })
        }
        Err(_) if cursor.rest().is_empty() && data.len() < length as usize => None,
        Err(_) => Some(false),
    }
}
