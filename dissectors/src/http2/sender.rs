//! What one side of a connection has announced and sent: its header table, SETTINGS, and a header block without its end.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::hpack;
use super::settings::{SettingId, Settings};
use crate::FirstByte;
use crate::store::{Frame, HeaderListId, HeaderLists};

/// The state of one direction, kept for its sender.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) hpack: hpack::Decoder,
    /// The lists that blocks of this direction came to.
    lists: hpack::Cache<HeaderListId>,
    /// A header block that is not complete.
    pub(super) block: Option<Box<OpenBlock<'static>>>,
    /// SETTINGS of this sender that the other side has not acknowledged.
    unacknowledged: VecDeque<Announced>,
    /// Acknowledgments of this sender that came before the SETTINGS they are for.
    early_acks: u32,
    /// The largest frame that this sender may send, as announced by the other side; `None` if unknown.
    pub(super) max_frame_size: Option<u32>,
    /// The initial window of its streams, as announced by the other side and acknowledged by this one.
    pub(super) initial_window: Option<u32>,
}

/// What of a SETTINGS frame matters for reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    header_table_size: Option<u32>,
    max_frame_size: Option<u32>,
    initial_window: Option<u32>,
}

impl Announced {
    pub(super) fn by(settings: Settings<'_>) -> Self {
        Self {
            header_table_size: settings.last(SettingId::HEADER_TABLE_SIZE),
            max_frame_size: settings.last(SettingId::MAX_FRAME_SIZE),
            initial_window: settings.last(SettingId::INITIAL_WINDOW_SIZE),
        }
    }
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
    pub(super) first: FirstByte,
    /// The frames that carry it: they wait until it can be read.
    pub(super) frames: Vec<Frame>,
}

impl OpenBlock<'_> {
    /// To be kept until the rest of it is there.
    pub(super) fn kept(self) -> OpenBlock<'static> {
        let Self { stream, of, promised, bytes, holes, first, frames } = self;
        OpenBlock { stream, of, promised, bytes: Cow::Owned(bytes.into_owned()), holes, first, frames }
    }

    /// The memory that it takes.
    pub(super) fn held(&self) -> usize {
        let bytes = match &self.bytes {
            Cow::Owned(bytes) => bytes.capacity(),
            Cow::Borrowed(_) => 0,
        };
        bytes + size_of::<Self>() + self.frames.capacity() * size_of::<Frame>()
    }
}

/// What a header block belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum BlockOf {
    Headers { end_stream: bool },
    PushPromise,
}

impl Sender {
    /// `from_start`: everything since the connection's beginning was seen.
    pub(super) fn new(from_start: bool) -> Self {
        Self {
            hpack: hpack::Decoder::new(from_start),
            lists: hpack::Cache::default(),
            block: None,
            unacknowledged: VecDeque::new(),
            early_acks: 0,
            max_frame_size: None,
            initial_window: None,
        }
    }

    /// Bytes are missing, and what they held is not known. Returns the header block that is interrupted.
    pub(super) fn bytes_lost(&mut self) -> Option<Box<OpenBlock<'static>>> {
        self.hpack.new_epoch();
        self.early_acks = 0;
        self.unacknowledged.clear();
        self.block.take()
    }

    /// Decodes a header block, and enters the list.
    pub(super) fn decode(&mut self, block: &[u8], lists: &mut HeaderLists) -> (HeaderListId, Vec<hpack::Fault>) {
        let state = self.hpack.state();
        if let Some(list) = self.lists.find(block, state).filter(|&list| lists.renew(list)) {
            return (list, Vec::new());
        }
        let decoded = self.hpack.decode(block);
        let list = lists.enter(&decoded.fields);
        if decoded.repeatable {
            self.lists.remember(block, state, list);
        }
        (list, decoded.faults)
    }

    /// The other side has acknowledged SETTINGS: which come into force. The two directions are delivered independently, so the
    /// acknowledgment, which `other` has sent, may be there first.
    pub(super) fn acknowledged_by(&mut self, other: &mut Self) {
        match self.unacknowledged.pop_front() {
            Some(settings) => other.obey(settings),
            None => other.early_acks = (other.early_acks + 1).min(MAX_UNACKNOWLEDGED as u32),
        }
    }

    /// Announces `settings` to `other`. They are in force for what `other` sends from its acknowledgment on (RFC 9113
    /// §6.5.3).
    pub(super) fn announces(&mut self, settings: Announced, other: &mut Self) {
        if other.early_acks > 0 {
            other.early_acks -= 1;
            other.obey(settings);
            return;
        }
        // A frame larger than was allowed before may be sent as soon as the sender has read this, before its ACK is seen.
        if let (Some(known), Some(size)) = (&mut other.max_frame_size, settings.max_frame_size) {
            *known = size.max(*known);
        }
        if self.unacknowledged.len() < MAX_UNACKNOWLEDGED {
            self.unacknowledged.push_back(settings);
        }
    }

    /// `settings` of the other side are in force for what this side sends.
    pub(super) fn obey(&mut self, settings: Announced) {
        if let Some(size) = settings.header_table_size {
            self.hpack.set_limit(size);
        }
        self.max_frame_size = settings.max_frame_size.or(self.max_frame_size);
        self.initial_window = settings.initial_window.or(self.initial_window);
    }

    /// The largest initial window among the SETTINGS of this sender that are not acknowledged.
    pub(super) fn announced_initial_window(&self) -> Option<u32> {
        self.unacknowledged.iter().filter_map(|settings| settings.initial_window).max()
    }

    /// Whether more SETTINGS of this sender can wait for their acknowledgment.
    pub(super) fn has_room(&self) -> bool {
        self.unacknowledged.len() < MAX_UNACKNOWLEDGED
    }
}

/// SETTINGS that may wait for their acknowledgment; more than any real peer has under way.
const MAX_UNACKNOWLEDGED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the blocks of a connection come to, one after the other, as text.
    fn decoded(sender: &mut Sender, lists: &mut HeaderLists, block: &[u8]) -> (HeaderListId, String) {
        let (list, faults) = sender.decode(block, lists);
        assert!(faults.is_empty(), "{faults:?}");
        let text = |text: &crate::header::Text| text.as_str().unwrap_or("?").to_owned();
        let fields = lists.fields(list).map(|field| text(&field.name) + "=" + &text(&field.value));
        (list, fields.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_same_block_is_the_same_list_until_something_is_inserted() {
        let (mut sender, mut lists) = (Sender::new(true), HeaderLists::default());
        let insert = |value: u8| [0x40, 3, b'x', b'-', b'a', 1, value]; // x-a, inserted
        let (get, _) = decoded(&mut sender, &mut lists, &[0x82]);
        assert_eq!(decoded(&mut sender, &mut lists, &[0x82]), (get, ":method=GET".to_owned()));
        assert_eq!(decoded(&mut sender, &mut lists, &insert(b'1')).1, "x-a=1");
        let (first, _) = decoded(&mut sender, &mut lists, &[0xbe]);
        assert_eq!(decoded(&mut sender, &mut lists, &[0xbe]), (first, "x-a=1".to_owned()));
        assert_eq!(decoded(&mut sender, &mut lists, &insert(b'2')).1, "x-a=2");
        assert_eq!(decoded(&mut sender, &mut lists, &insert(b'2')).1, "x-a=2");
        assert_eq!(sender.hpack.insertions(), 3);
        assert_eq!(decoded(&mut sender, &mut lists, &[0xbe]).1, "x-a=2");
        assert_eq!(decoded(&mut sender, &mut lists, &[0x82]), (get, ":method=GET".to_owned()));
        sender.hpack.new_epoch();
        assert_eq!(decoded(&mut sender, &mut lists, &[0xbe]).1, "?=?");
    }
}
