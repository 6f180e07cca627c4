//! One direction of a connection: where in which frame its bytes stand, and what its sender has announced.

use std::collections::VecDeque;
use std::sync::Arc;

use rpcshark_captures::Data;

use super::frame::FrameHeader;
use super::hpack::{self, Field};
use super::resync::Seeker;
use super::settings::{SettingId, Settings};
use crate::Moment;
use crate::store::{Frame, HeaderListId, HeaderLists};

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) reading: Reading,
    pub(super) hpack: hpack::Decoder,
    lists: ListCache,
    /// A header block that is not complete.
    pub(super) block: Option<OpenBlock>,
    /// SETTINGS of this sender that the other side has not acknowledged.
    pub(super) unacknowledged: VecDeque<Announced>,
    /// Acknowledgments of this sender that came before the SETTINGS they are for.
    pub(super) early_acks: u32,
    /// The largest frame that this sender may send, as far as the other side has said so.
    pub(super) max_frame_size: Option<u32>,
    /// Gaps behind which a boundary had to be found; streams that were open then are not aligned any more.
    pub(super) breaks: u32,
    /// The last of them.
    pub(super) broken_at: Moment,
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
    begin: Moment,
}

impl PartialHeader {
    /// Reads on. Once the header is complete: what it says and where it began.
    pub(super) fn read(&mut self, data: &mut Data<'_>) -> Option<(FrameHeader, Moment)> {
        if self.len == 0 {
            self.begin = Moment::from(&*data);
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
    pub(super) begin: Moment,
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
pub(super) struct OpenBlock {
    pub(super) stream: u32,
    pub(super) of: BlockOf,
    /// The stream that it promises.
    pub(super) promised: Option<u32>,
    pub(super) bytes: Vec<u8>,
    /// Bytes of it are missing.
    pub(super) holes: bool,
    pub(super) begin: Moment,
    /// The frames that carry it: they wait until it can be read.
    pub(super) frames: Vec<Frame>,
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
            lists: ListCache::default(),
            block: None,
            unacknowledged: VecDeque::new(),
            early_acks: 0,
            max_frame_size: None,
            breaks: 0,
            broken_at: Moment::default(),
            whole: from_start,
            retries: RETRIES,
            since_found: 0,
            position: 0,
            acked: None,
        }
    }

    /// A half of which the beginning was not seen, or that has lost its place.
    pub(super) fn seeking() -> Self {
        Self::new(Reading::Seeking(Box::default()), false)
    }

    /// Bytes are missing of which it is not known what they held.
    pub(super) fn break_off(&mut self, now: Moment) {
        self.reading = Reading::Seeking(Box::default());
        self.hpack.new_epoch();
        self.block = None;
        self.breaks += 1;
        self.broken_at = now;
        self.whole = false;
        self.early_acks = 0;
        self.unacknowledged.clear();
    }

    /// Enters a header list.
    pub(super) fn enter(&mut self, fields: Arc<[Field]>, lists: &mut HeaderLists) -> HeaderListId {
        self.lists.enter(fields, lists)
    }
}

/// How often a boundary may be given up again: each time costs another look at what is held.
pub(super) const RETRIES: u8 = 4;

/// SETTINGS that may wait for their acknowledgment; more than any real peer has under way.
pub(super) const MAX_UNACKNOWLEDGED: usize = 64;

/// The lists that were entered last: a repeated block comes out of the decoder as the very same `Arc`.
#[derive(Debug, Default)]
struct ListCache {
    recent: [Option<(Arc<[Field]>, HeaderListId)>; 4],
    next: usize,
}

impl ListCache {
    fn enter(&mut self, fields: Arc<[Field]>, lists: &mut HeaderLists) -> HeaderListId {
        for (known, id) in self.recent.iter().flatten() {
            if Arc::ptr_eq(known, &fields) {
                return *id;
            }
        }
        let id = lists.enter(&fields);
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = Some((fields, id));
        }
        self.next = (self.next + 1) % self.recent.len();
        id
    }
}
