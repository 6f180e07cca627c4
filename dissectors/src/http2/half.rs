//! One direction of a connection: where in which frame its bytes stand, and what its sender has announced.

use std::borrow::Cow;
use std::collections::VecDeque;

use rpcshark_captures::Data;

use super::frame::FrameHeader;
use super::hpack;
use super::resync::CHAIN;
use super::settings::{SettingId, Settings};
use crate::Arrival;
use crate::seek::Seeker;
use crate::store::{Frame, HeaderListId, HeaderLists};

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) reading: Reading,
    pub(super) hpack: hpack::Decoder,
    /// The lists that blocks of this direction came to.
    lists: hpack::Cache<HeaderListId>,
    /// A header block that is not complete.
    pub(super) block: Option<OpenBlock<'static>>,
    /// SETTINGS of this sender that the other side has not acknowledged.
    pub(super) unacknowledged: VecDeque<Announced>,
    /// Acknowledgments of this sender that came before the SETTINGS they are for.
    pub(super) early_acks: u32,
    /// The largest frame that this sender may send, as far as the other side has said so.
    pub(super) max_frame_size: Option<u32>,
    /// Gaps behind which a boundary had to be found; streams that were open then are not aligned any more.
    pub(super) breaks: u32,
    /// The last of them.
    pub(super) broken_at: Arrival,
    /// Whether everything from the connection's beginning on was seen.
    pub(super) whole: bool,
    /// How often a boundary that was found may yet be given up again before the next gap.
    pub(super) retries: u8,
    /// Frames read since a boundary was found.
    pub(super) since_found: u32,
    /// Where in the flow the first byte stands that is not read yet.
    pub(super) position: u64,
    /// How much of the other flow the sender of what is being read had acknowledged then.
    pub(super) acked: Option<u64>,
}

/// What of a SETTINGS frame matters for reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) header_table_size: Option<u32>,
    pub(super) max_frame_size: Option<u32>,
}

impl Announced {
    pub(super) fn by(settings: Settings<'_>) -> Self {
        Self {
            header_table_size: settings.last(SettingId::HEADER_TABLE_SIZE),
            max_frame_size: settings.last(SettingId::MAX_FRAME_SIZE),
        }
    }
}

/// Where in the bytes a direction stands.
#[derive(Debug)]
pub(super) enum Reading {
    /// In the client's preface, so many bytes of it are there.
    Preface(usize),
    /// In a frame's header.
    Header(PartialHeader),
    /// In a frame's payload.
    Payload(Box<OpenFrame>),
    /// Somewhere.
    Seeking(Box<Seeker>),
}

/// A frame header, as far as it is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartialHeader {
    bytes: [u8; FrameHeader::LEN],
    len: usize,
    begin: Arrival,
}

impl PartialHeader {
    /// Reads on. Once the header is complete: what it says and where it began.
    pub(super) fn read(&mut self, data: &mut Data<'_>) -> Option<(FrameHeader, Arrival)> {
        if self.len == 0 {
            self.begin = Arrival::from(&*data);
        }
        let (head, rest) = data.split(FrameHeader::LEN - self.len);
        let end = self.len + head.bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(head.bytes);
        self.len = end;
        *data = rest;
        match end == FrameHeader::LEN {
            true => Some((FrameHeader::parse(&self.bytes), self.begin)),
            false => None,
        }
    }
}

/// A frame whose payload is not complete.
#[derive(Debug)]
pub(super) struct OpenFrame {
    pub(super) header: FrameHeader,
    pub(super) begin: Arrival,
    /// Payload bytes that are yet to come.
    pub(super) left: u32,
    /// The payload so far (not of DATA).
    pub(super) payload: Vec<u8>,
    /// Bytes of it are missing.
    pub(super) holes: bool,
    /// Of a padded DATA frame: the pad length, once it is there.
    pub(super) pad: Option<u8>,
}

/// A header block that is not complete.
#[derive(Debug)]
pub(super) struct OpenBlock<'a> {
    pub(super) stream: u32,
    pub(super) of: BlockOf,
    /// The stream that it promises.
    pub(super) promised: Option<u32>,
    pub(super) bytes: Cow<'a, [u8]>,
    /// Bytes of it are missing.
    pub(super) holes: bool,
    pub(super) begin: Arrival,
    /// The frames that carry it: they wait until it can be read.
    pub(super) frames: Vec<Frame>,
}

impl OpenBlock<'_> {
    /// To be kept until the rest of it is there.
    pub(super) fn kept(self) -> OpenBlock<'static> {
        let Self { stream, of, promised, bytes, holes, begin, frames } = self;
        OpenBlock { stream, of, promised, bytes: Cow::Owned(bytes.into_owned()), holes, begin, frames }
    }
}

/// What a header block belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum BlockOf {
    Headers { end_stream: bool },
    PushPromise,
}

impl Half {
    pub(super) fn new(reading: Reading, from_start: bool) -> Self {
        Self {
            reading,
            hpack: hpack::Decoder::new(from_start),
            lists: hpack::Cache::default(),
            block: None,
            unacknowledged: VecDeque::new(),
            early_acks: 0,
            max_frame_size: None,
            breaks: 0,
            broken_at: Arrival::default(),
            whole: from_start,
            retries: RETRIES,
            since_found: 0,
            position: 0,
            acked: None,
        }
    }

    /// A half of which the beginning was not seen, or that has lost its place.
    pub(super) fn seeking() -> Self {
        Self::new(Reading::Seeking(Box::new(Seeker::new(CHAIN))), false)
    }

    /// Bytes are missing of which it is not known what they held.
    pub(super) fn break_off(&mut self, now: Arrival) {
        self.reading = Reading::Seeking(Box::new(Seeker::new(CHAIN)));
        self.hpack.new_epoch();
        self.block = None;
        self.breaks += 1;
        self.broken_at = now;
        self.whole = false;
        self.early_acks = 0;
        self.unacknowledged.clear();
    }

    /// Decodes a header block, and enters the list.
    pub(super) fn decode(&mut self, block: &[u8], lists: &mut HeaderLists) -> (HeaderListId, Vec<hpack::Fault>) {
        let state = self.hpack.state();
        if let Some(list) = self.lists.find(block, state) {
            return (list, Vec::new());
        }
        let decoded = self.hpack.decode(block);
        let list = lists.enter(&decoded.fields);
        if decoded.repeatable {
            self.lists.remember(block, state, list);
        }
        (list, decoded.faults)
    }
}

/// How often a boundary may be given up again: each time costs another look at what is held.
pub(super) const RETRIES: u8 = 4;

/// SETTINGS that may wait for their acknowledgment; more than any real peer has under way.
pub(super) const MAX_UNACKNOWLEDGED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the blocks of a connection come to, one after the other, as text.
    fn decoded(half: &mut Half, lists: &mut HeaderLists, block: &[u8]) -> (HeaderListId, String) {
        let (list, faults) = half.decode(block, lists);
        assert!(faults.is_empty(), "{faults:?}");
        let text = |text: &crate::header::Text| text.as_str().unwrap_or("?").to_owned();
        let fields = lists.fields(list).map(|field| text(&field.name) + "=" + &text(&field.value));
        (list, fields.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_same_block_is_the_same_list_until_something_is_inserted() {
        let (mut half, mut lists) =
            (Half::new(Reading::Header(PartialHeader::default()), true), HeaderLists::default());
        let insert = |value: u8| [0x40, 3, b'x', b'-', b'a', 1, value]; // x-a, inserted
        let (get, _) = decoded(&mut half, &mut lists, &[0x82]);
        assert_eq!(decoded(&mut half, &mut lists, &[0x82]), (get, ":method=GET".to_owned()));
        assert_eq!(decoded(&mut half, &mut lists, &insert(b'1')).1, "x-a=1");
        let (first, _) = decoded(&mut half, &mut lists, &[0xbe]);
        assert_eq!(decoded(&mut half, &mut lists, &[0xbe]), (first, "x-a=1".to_owned()));
        assert_eq!(decoded(&mut half, &mut lists, &insert(b'2')).1, "x-a=2");
        assert_eq!(decoded(&mut half, &mut lists, &insert(b'2')).1, "x-a=2");
        assert_eq!(half.hpack.insertions(), 3);
        assert_eq!(decoded(&mut half, &mut lists, &[0xbe]).1, "x-a=2");
        assert_eq!(decoded(&mut half, &mut lists, &[0x82]), (get, ":method=GET".to_owned()));
        half.hpack.new_epoch();
        assert_eq!(decoded(&mut half, &mut lists, &[0xbe]).1, "?=?");
    }
}
