//! Packets that were read, and the bytes that they lie in.

use std::sync::Arc;

use super::record::Record;
use crate::{LinkType, Packet, Place, RawPacket, prefetch};

/// Some packets of a reading that follow on each other, and the bytes that they lie in.
///
/// A batch can be sent to other threads and read by several at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// The `order` of the first packet.
    pub(crate) first: u64,
    pub(crate) records: Vec<Record>,
    /// What the records lie in.
    pub(crate) holders: Vec<Holder>,
    /// The first comment of those packets that have one, by index, in the order of indices.
    pub(crate) comments: Vec<(u32, Box<str>)>,
}

impl Batch {
    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The memory that the packets lie in, in bytes. It may hold more than they do.
    pub fn memory(&self) -> usize {
        self.holders.iter().map(|holder| holder.bytes.len()).sum()
    }

    /// Packet `index`.
    ///
    /// # Panics
    ///
    /// If there are not so many, as slices do.
    #[inline]
    pub fn packet(&self, index: usize) -> RawPacket<'_> {
        let record = &self.records[index];
        let holder = &self.holders[usize::from(record.holder)];
        let start = record.start as usize;
        let data = holder.bytes.get(start..start + record.len as usize).unwrap_or_default();
        RawPacket {
            packet: Packet { order: self.first + index as u64, no: record.no },
            time: record.time,
            link: LinkType(record.link),
            data,
            at: holder.at.plus(record.start.into()),
            original_len: record.original_len,
        }
    }

    /// Fetches into the processor's cache what [`packet`](Self::packet) needs to find packet `index`, but not its bytes.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        if let Some(record) = self.records.get(index) {
            prefetch(record);
        }
    }

    /// The first comment that the capture has on packet `index`. It is untrusted text of any content.
    pub fn comment(&self, index: usize) -> Option<&str> {
        let at = self.comments.binary_search_by_key(&index, |(index, _)| *index as usize).ok()?;
        self.comments.get(at).map(|(_, comment)| &**comment)
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.holders.clear();
        self.comments.clear();
    }
}

/// Bytes that records lie in: a part of a file or stream.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// Where the first byte lies.
    pub(crate) at: Place,
}
