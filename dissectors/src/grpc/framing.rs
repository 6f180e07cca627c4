//! Messages in DATA: a 5-byte prefix, then the message, wherever DATA frames and packets begin and end.
//!
//! ```text
//!  0              1                                   5            5 + length
//!  ├ compressed ──┼ length, network byte order ───────┼ message ───┤
//! ```
//!
//! Source: gRPC over HTTP/2, "Length-Prefixed-Message".

use rpcshark_captures::{Data, Place};

use crate::store::{MessageFlags, Piece};
use crate::{Arrival, FirstByte};

/// Finds the messages of one direction of one stream.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    /// The bytes of a prefix that is not complete.
    prefix: [u8; PREFIX],
    prefix_len: u8,
    /// The flag of the frame that holds trailers, 0 where none does.
    end_flag: u8,
    /// The first byte of the message that has begun.
    first: FirstByte,
    /// The message that is not complete.
    open: Option<Box<OpenMessage>>,
}

/// The length of a message's prefix.
pub(crate) const PREFIX: usize = 5;

/// A message that is complete, or that has ended without being so.
#[derive(Clone, Debug)]
pub struct Framed {
    /// Its length, as its prefix says.
    pub length: u32,
    /// How it is marked.
    pub flags: MessageFlags,
    /// The runs of its bytes, in order.
    pub pieces: Pieces,
    /// The first byte of its prefix.
    pub first: FirstByte,
    /// When its last byte arrived.
    pub last: Arrival,
    /// The offset in its flow after its last byte.
    pub end: u64,
    /// It is not a message but the trailers: these bytes as sent, up to [`MAX_TRAILERS`].
    pub trailers: Option<Box<Vec<u8>>>,
}

/// Bytes of trailers in a body that are read. HTTP servers refuse heads of more than some KiB.
pub const MAX_TRAILERS: usize = 1 << 16;

/// The runs of a message's bytes: mostly one.
pub type Pieces = smallvec::SmallVec<[Piece; 1]>;

#[derive(Clone, Debug)]
struct OpenMessage {
    framed: Framed,
    /// Bytes of it that are there, or known to be in a gap.
    got: u32,
}

impl Framer {
    /// A framer for a body in which a frame with this flag holds the trailers. 0: none does, as in gRPC.
    pub fn new(end_flag: u8) -> Self {
        Self { end_flag, ..Self::default() }
    }

    /// The flag of the frame that holds trailers.
    pub const fn end_flag(&self) -> u8 {
        self.end_flag
    }

    /// Sets the flag of the frame that holds trailers, for what follows.
    pub const fn set_end_flag(&mut self, end_flag: u8) {
        self.end_flag = end_flag;
    }

    /// Reads on in `data` until a message is complete. `None`: all of `data` is used up.
    pub fn next(&mut self, data: &mut Data<'_>) -> Option<Framed> {
        if self.open.is_none() {
            let (flag, length) = self.prefix(data)?;
            let mut framed = Framed::new(flag, self.end_flag, length, self.first, data);
            // The common case: all of it is here.
            if data.bytes.len() >= length as usize {
                take(&mut framed, data, length);
                return Some(framed);
            }
            self.open = Some(Box::new(OpenMessage { framed, got: 0 }));
        }
        let open = self.open.as_deref_mut()?;
        let len = open.framed.length.saturating_sub(open.got).min(data.bytes.len() as u32);
        take(&mut open.framed, data, len);
        open.got += len;
        match open.got == open.framed.length {
            true => self.open.take().map(|open| open.framed),
            false => None,
        }
    }

    /// The prefix's flag and length, once all of it is there.
    fn prefix(&mut self, data: &mut Data<'_>) -> Option<(u8, u32)> {
        let have = self.prefix_len as usize;
        if have == 0 {
            self.first = FirstByte::from(&*data);
        }
        let (head, rest) = data.split(PREFIX - have);
        let end = have + head.bytes.len();
        self.prefix.get_mut(have..end)?.copy_from_slice(head.bytes);
        // The time of an empty message is that of its prefix: an empty rest keeps it.
        *data = rest;
        if end < PREFIX {
            self.prefix_len = end as u8;
            return None;
        }
        self.prefix_len = 0;
        let [flag, a, b, c, d] = self.prefix;
        Some((flag, u32::from_be_bytes([a, b, c, d])))
    }

    /// Reads on over `len` missing bytes. Either the message that is open continues after them or ends with them
    /// (`Kept`), or they hide where the next message begins (`Lost`, with what had begun).
    /// `end` is the offset after them.
    pub fn gap(&mut self, len: u64, now: Arrival, end: u64) -> AfterGap {
        let Some(open) = self.open.as_deref_mut() else {
            self.prefix_len = 0;
            return AfterGap::Lost(None);
        };
        let missing = u64::from(open.framed.length - open.got);
        if len > missing {
            return AfterGap::Lost(self.cut_short());
        }
        open.framed.pieces.push(Piece { at: Place::NOWHERE, len: len as u32 });
        open.framed.flags = open.framed.flags.with(MessageFlags::CUT);
        (open.framed.last, open.framed.end) = (now, end);
        open.got += len as u32;
        match len == missing {
            true => AfterGap::Kept(self.open.take().map(|open| open.framed)),
            false => AfterGap::Kept(None),
        }
    }

    /// Ends here: what of a message had begun, marked as cut. A prefix that is not complete is forgotten.
    pub fn cut_short(&mut self) -> Option<Framed> {
        self.prefix_len = 0;
        let open = self.open.take()?;
        let flags = open.framed.flags.with(MessageFlags::CUT);
        Some(Framed { flags, ..open.framed })
    }

    /// The length of the message that is not complete, 0 where there is none.
    pub fn open_length(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.framed.length)
    }

    /// Whether the bytes so far end where a message ends.
    pub fn at_boundary(&self) -> bool {
        self.prefix_len == 0 && self.open.is_none()
    }
}

/// What a gap does to the framing of messages.
#[derive(Debug)]
pub enum AfterGap {
    /// It lies inside of a message (which is given if it ends with the gap); framing continues.
    Kept(Option<Framed>),
    /// Where the next message begins is lost; what had begun before is given, marked as cut.
    Lost(Option<Framed>),
}

impl Framed {
    /// A message, or the trailers, whose prefix is complete; `data` is what follows it.
    pub(crate) fn new(flag: u8, end_flag: u8, length: u32, first: FirstByte, data: &Data<'_>) -> Self {
        let (last, end) = (Arrival::from(data), data.offset);
        // The other bits are those of a message: trailers can be compressed, too.
        let (flag, trailers) = match flag & end_flag {
            0 => (flag, None),
            _ => (flag & !end_flag, Some(Box::default())),
        };
        Self { length, flags: flags_of(flag), pieces: Pieces::new(), first, last, end, trailers }
    }
}

fn flags_of(flag: u8) -> MessageFlags {
    match flag {
        0 => MessageFlags::default(),
        1 => MessageFlags::COMPRESSED,
        _ => MessageFlags::STRANGE_FLAG,
    }
}

fn take(framed: &mut Framed, data: &mut Data<'_>, len: u32) {
    let (taken, rest) = data.split(len as usize);
    (framed.last, framed.end) = (Arrival::from(&*data), rest.offset);
    *data = rest;
    if let Some(trailers) = &mut framed.trailers {
        let room = MAX_TRAILERS.saturating_sub(trailers.len()).min(taken.bytes.len());
        trailers.extend_from_slice(taken.bytes.get(..room).unwrap_or_default());
    }
    if taken.bytes.is_empty() {
        return;
    }
    match framed.pieces.last_mut() {
        Some(last) if last.at != Place::NOWHERE && last.at.plus(u64::from(last.len)) == taken.at => last.len += len,
        _ => framed.pieces.push(Piece { at: taken.at, len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_captures::{Packet, PacketNo, SourceNo, Timestamp};

    /// Bytes that lie at `offset` of file 0 and came in packet `number` at `number` ns.
    fn data(bytes: &[u8], offset: u64, number: u64) -> Data<'_> {
        Data {
            bytes,
            packet: Packet { order: number, no: PacketNo::new(0, number) },
            time: Timestamp::from_nanos(number as i64),
            at: Place::new(SourceNo(0), offset),
            offset,
            acked: None,
        }
    }

    fn place(offset: u64) -> Place {
        Place::new(SourceNo(0), offset)
    }

    const TWO: &[u8] = &[
        0, 0, 0, 0, 3, b'a', b'b', b'c', // not compressed, 3 bytes
        1, 0, 0, 0, 0, // compressed, empty
        0, 0, 0, 0, 1, b'd', // not compressed, 1 byte
    ];

    fn lengths_and_times(framer: &mut Framer, mut input: Data<'_>) -> Vec<(u32, i64)> {
        std::iter::from_fn(|| framer.next(&mut input)).map(|m| (m.length, m.last.time.as_nanos())).collect()
    }

    #[test]
    fn cut_in_two_at_every_point_the_messages_are_the_same() {
        for cut in 0..=TWO.len() {
            let mut framer = Framer::default();
            let (head, tail) = TWO.split_at(cut);
            let mut found = lengths_and_times(&mut framer, data(head, 100, 1));
            found.extend(lengths_and_times(&mut framer, data(tail, 100 + cut as u64, 2)));
            let lengths: Vec<u32> = found.iter().map(|&(length, _)| length).collect();
            assert_eq!(lengths, [3, 0, 1], "cut at {cut}");
            assert!(framer.at_boundary());
            let times: Vec<i64> = found.iter().map(|&(_, time)| time).collect();
            let ends = [8, 13, 19].map(|end| if end <= cut { 1 } else { 2 });
            assert_eq!(times, ends, "cut at {cut}");
        }
    }

    #[test]
    fn runs_that_touch_are_one_piece_and_others_are_not() {
        let mut framer = Framer::default();
        assert!(framer.next(&mut data(&TWO[..6], 100, 1)).is_none());
        let whole = framer.next(&mut data(&TWO[6..8], 106, 2)).expect("complete");
        assert_eq!(whole.pieces.as_slice(), [Piece { at: place(105), len: 3 }]);
        assert!(framer.next(&mut data(&TWO[..6], 100, 1)).is_none());
        let whole = framer.next(&mut data(&TWO[6..8], 500, 2)).expect("complete");
        assert_eq!(whole.pieces.as_slice(), [Piece { at: place(105), len: 1 }, Piece { at: place(500), len: 2 }]);
    }

    #[test]
    fn a_gap_inside_a_message_keeps_the_framing_and_one_over_a_prefix_loses_it() {
        let now = Arrival { time: Timestamp::from_nanos(9), packet: PacketNo::new(0, 9) };
        let mut framer = Framer::default();
        assert!(framer.next(&mut data(&TWO[..6], 0, 1)).is_none());
        let AfterGap::Kept(Some(cut)) = framer.gap(2, now, 8) else { panic!("it ends with the message") };
        assert!(cut.flags.has(MessageFlags::CUT));
        assert_eq!(lengths_and_times(&mut framer, data(&TWO[8..], 8, 2)), [(0, 2), (1, 2)]);

        assert!(framer.next(&mut data(&TWO[..6], 0, 1)).is_none());
        assert!(matches!(framer.gap(3, now, 9), AfterGap::Lost(Some(_))));
        assert!(matches!(framer.gap(1, now, 9), AfterGap::Lost(None)));
    }
}
