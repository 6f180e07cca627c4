//! Messages in base64, in one run or several, each padded by itself.

use rpcshark_captures::{Data, Place};

use crate::FirstByte;
use crate::grpc::{Framed, MAX_TRAILERS, PREFIX};
use crate::store::{MessageFlags, Piece};

/// Finds the messages of one direction in base64. The pieces of a message are the characters that it is decoded from.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextFramer {
    /// A group of four characters that is not complete: their values, and where they lie.
    group: Group,
    /// What the last group decodes to, and how much of it is used.
    decoded: [u8; 3],
    decoded_len: u8,
    used: u8,
    prefix: [u8; PREFIX],
    prefix_len: u8,
    first: FirstByte,
    open: Option<Box<Open>>,
    /// Something was not base64: nothing after it is read.
    broken: bool,
    /// The flag of the frame that holds trailers, 0 where none does.
    end_flag: u8,
}

#[derive(Clone, Debug, Default)]
struct Group {
    values: [u8; 4],
    len: u8,
    padding: u8,
    first: FirstByte,
    pieces: smallvec::SmallVec<[Piece; 1]>,
}

#[derive(Clone, Debug)]
struct Open {
    framed: Framed,
    got: u32,
    /// The last group is among its pieces.
    has_group: bool,
}

impl TextFramer {
    /// A framer for a body in which a frame with this flag holds the trailers.
    pub(crate) fn new(end_flag: u8) -> Self {
        Self { end_flag, ..Self::default() }
    }

    /// Whether it is at the end of a message.
    pub(crate) fn at_boundary(&self) -> bool {
        self.prefix_len == 0 && self.open.is_none()
    }

    /// Whether something was not base64.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Reads on in `data` until a message is complete. `None`: all of `data` is used.
    pub(crate) fn next(&mut self, data: &mut Data<'_>) -> Option<Framed> {
        loop {
            while self.used < self.decoded_len {
                let byte = self.decoded.get(usize::from(self.used)).copied().unwrap_or_default();
                self.used += 1;
                if let Some(framed) = self.byte(byte, data) {
                    return Some(framed);
                }
            }
            if self.broken || data.bytes.is_empty() {
                return None;
            }
            self.character(data);
        }
    }

    /// What of a message has begun, marked as cut.
    pub(crate) fn cut_short(&mut self) -> Option<Framed> {
        self.prefix_len = 0;
        let open = self.open.take()?;
        let flags = open.framed.flags.with(MessageFlags::CUT);
        Some(Framed { flags, ..open.framed })
    }

    /// Reads one character; the group may be complete with it.
    fn character(&mut self, data: &mut Data<'_>) {
        let (one, rest) = data.split(1);
        let value = match one.bytes.first() {
            Some(byte @ b'A'..=b'Z') => byte - b'A',
            Some(byte @ b'a'..=b'z') => byte - b'a' + 26,
            Some(byte @ b'0'..=b'9') => byte - b'0' + 52,
            Some(b'+' | b'-') => 62,
            Some(b'/' | b'_') => 63,
            Some(b'=') => {
                self.group.padding += 1;
                0
            }
            // Encoders may break lines.
            Some(b'\r' | b'\n' | b' ') => {
                *data = rest;
                return;
            }
            _ => {
                self.broken = true;
                return;
            }
        };
        let group = &mut self.group;
        if group.len == 0 {
            group.first = FirstByte::from(&one);
        }
        match group.pieces.last_mut() {
            Some(last) if last.at != Place::NOWHERE && last.at.plus(u64::from(last.len)) == one.at => last.len += 1,
            _ => group.pieces.push(Piece { at: one.at, len: 1 }),
        }
        if let Some(place) = group.values.get_mut(usize::from(group.len)) {
            *place = value;
        }
        group.len += 1;
        // What is decoded has the time of the group's last character.
        *data = rest;
        if group.len < 4 {
            return;
        }
        let [a, b, c, d] = group.values;
        self.decoded = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
        self.broken = group.padding > 2;
        self.decoded_len = 3_u8.saturating_sub(group.padding);
        self.used = 0;
        group.len = 0;
        group.padding = 0;
        if let Some(open) = &mut self.open {
            open.has_group = false;
        }
    }

    /// Takes one decoded byte; a message may be complete with it.
    fn byte(&mut self, byte: u8, data: &Data<'_>) -> Option<Framed> {
        let Some(open) = &mut self.open else {
            if self.prefix_len == 0 {
                self.first = self.group.first;
            }
            *self.prefix.get_mut(usize::from(self.prefix_len))? = byte;
            self.prefix_len += 1;
            if usize::from(self.prefix_len) < PREFIX {
                self.forget_group();
                return None;
            }
            self.prefix_len = 0;
            let [flag, a, b, c, d] = self.prefix;
            let framed = Framed::new(flag, self.end_flag, u32::from_be_bytes([a, b, c, d]), self.first, data);
            if framed.length == 0 {
                self.forget_group();
                return Some(framed);
            }
            self.open = Some(Box::new(Open { framed, got: 0, has_group: false }));
            self.forget_group();
            return None;
        };
        let framed = &mut open.framed;
        if let Some(trailers) = &mut framed.trailers {
            if trailers.len() < MAX_TRAILERS {
                trailers.push(byte);
            }
        } else if open.got == 0 {
            framed.flags = framed.flags.with_base64(self.used - 1);
        }
        if !open.has_group {
            open.has_group = true;
            for piece in &self.group.pieces {
                match framed.pieces.last_mut() {
                    Some(last) if last.at.plus(u64::from(last.len)) == piece.at => last.len += piece.len,
                    _ => framed.pieces.push(*piece),
                }
            }
        }
        (framed.last, framed.end) = (crate::Arrival::from(data), data.offset);
        open.got += 1;
        let done = open.got == framed.length;
        self.forget_group();
        if done { self.open.take().map(|open| open.framed) } else { None }
    }

    /// Once all that a group decodes to is used, its place is not needed any more.
    fn forget_group(&mut self) {
        if self.used >= self.decoded_len {
            self.group.pieces.clear();
        }
    }
}

/// The bytes of a message of `length` bytes that lies in base64: `encoded` is its body, `skip` as
/// [`MessageFlags::base64_skip`] has it. `None`: it is not base64.
pub fn decode_text(encoded: &[u8], skip: u8, length: usize) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len() / 4 * 3);
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        b'=' => Some(0),
        _ => None,
    };
    let (groups, rest) = encoded.as_chunks::<4>();
    for group in groups {
        let padding = group.iter().filter(|&&byte| byte == b'=').count();
        let [a, b, c, d] = group.map(value);
        let (a, b, c, d) = (a?, b?, c?, d?);
        let bytes = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
        decoded.extend_from_slice(bytes.get(..3_usize.checked_sub(padding)?)?);
    }
    let skip = usize::from(skip);
    let message = decoded.get(skip..skip + length)?;
    rest.is_empty().then(|| message.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{GrpcWeb, TRAILERS};
    use super::*;
    use crate::header::{Octets, Text};
    use crate::rpc::RpcProtocol;
    use rpcshark_captures::{Packet, SourceNo, Timestamp};

    fn data(bytes: &[u8], offset: u64) -> Data<'_> {
        let at = Place::new(SourceNo(0), offset);
        Data { bytes, packet: Packet::default(), time: Timestamp::EPOCH, at, offset, acked: None }
    }

    /// A message "abc", an empty one, trailers `grpc-status:5`, each of which begins anywhere in a group; the third run is
    /// padded by itself.
    const ENCODED: &[u8] = b"AAAAAANhYmMAAAAAAA==gAAAAA9ncnBjLXN0YXR1czo1DQo=";

    #[test]
    fn messages_in_base64_are_found_wherever_the_bytes_are_cut() {
        for cut in 0..=ENCODED.len() {
            let mut framer = TextFramer::new(TRAILERS);
            let (head, tail) = ENCODED.split_at(cut);
            let mut found = Vec::new();
            for (part, offset) in [(head, 0), (tail, cut as u64)] {
                let mut part = data(part, offset);
                found.extend(std::iter::from_fn(|| framer.next(&mut part)));
            }
            let [abc, empty, trailers] = found.as_slice() else { panic!("cut at {cut}: {found:?}") };
            assert_eq!((abc.length, empty.length), (3, 0));
            let skip = abc.flags.base64_skip().expect("in base64");
            let encoded: Vec<u8> = (abc.pieces.iter())
                .flat_map(|piece| &ENCODED[piece.at.offset() as usize..][..piece.len as usize])
                .copied()
                .collect();
            assert_eq!(decode_text(&encoded, skip, 3).as_deref(), Some(&b"abc"[..]), "cut at {cut}");
            let lines = trailers.trailers.as_ref().expect("trailers");
            let fields = GrpcWeb.trailers(lines).expect("readable");
            assert_eq!(fields.len(), 1);
            assert_eq!(
                (&fields[0].name, &fields[0].value),
                (&Text::Known(Octets::copied(b"grpc-status")), &Text::Known(Octets::copied(b"5")))
            );
            assert!(framer.at_boundary() && !framer.is_broken());
        }
    }

    #[test]
    fn what_is_not_base64_ends_the_reading() {
        let mut framer = TextFramer::new(TRAILERS);
        assert!(framer.next(&mut data(b"AAA\x00AAAA", 0)).is_none());
        assert!(framer.is_broken());
        assert_eq!(decode_text(b"AA!A", 0, 1), None);
        assert_eq!(decode_text(b"AAA", 0, 1), None);
    }
}
