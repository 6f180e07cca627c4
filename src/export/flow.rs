//! The bytes of a flow, found again by their offsets.

use std::ops::Range;

use rpcshark_captures::{Direction, Place, Sources};

use crate::tap::{Delivered, Delivery};

/// Where the bytes of a flow lie.
pub(crate) struct FlowBytes<'a> {
    sources: &'a Sources,
    /// By offset: where a run of bytes stands, how long it is, and where it lies.
    runs: Vec<(u64, u32, Place)>,
    /// The offset after all that was delivered.
    end: u64,
}

impl<'a> FlowBytes<'a> {
    /// Those of the flow that was delivered as `seen`.
    pub(crate) fn new(deliveries: &[Delivery], seen: Direction, sources: &'a Sources) -> Self {
        let mut runs = Vec::new();
        let mut end = 0;
        for delivery in deliveries.iter().filter(|delivery| delivery.seen == seen) {
            match delivery.what {
                Delivered::Data { at, len, .. } => {
                    runs.push((delivery.offset, len, at));
                    end = delivery.offset + u64::from(len);
                }
                Delivered::Gap(length) => end = delivery.offset + length.unwrap_or(0),
                Delivered::Closed(_) => {}
            }
        }
        Self { sources, runs, end }
    }

    /// The offset after all that was delivered.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The bytes from `start` on: at most `limit` of them, and none after a gap.
    pub(crate) fn contiguous(&self, start: u64, limit: usize) -> Vec<u8> {
        let first = self.runs.partition_point(|&(offset, len, _)| offset + u64::from(len) <= start);
        let mut end = start;
        for &(offset, len, _) in self.runs.get(first..).unwrap_or_default() {
            if offset > end || end - start >= limit as u64 {
                break;
            }
            end = offset + u64::from(len);
        }
        self.get(start..end.min(start + limit as u64)).unwrap_or_default()
    }

    /// The parts of a range, in order: whether their bytes are there.
    pub(crate) fn parts(&self, range: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut parts = Vec::new();
        let mut at = range.start;
        let first = self.runs.partition_point(|&(offset, len, _)| offset + u64::from(len) <= at);
        let runs = self.runs.get(first..).unwrap_or_default().iter();
        for &(offset, len, _) in runs.take_while(|(offset, ..)| *offset < range.end) {
            parts.push((at..offset.max(at), false));
            let end = (offset + u64::from(len)).min(range.end);
            parts.push((offset.max(at)..end, true));
            at = end;
        }
        parts.push((at..range.end, false));
        parts.retain(|(part, _)| !part.is_empty());
        parts
    }

    /// The bytes of a range; `None` where some of them are missing.
    pub(crate) fn get(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = range.start;
        let mut scratch = Vec::new();
        let mut index = self.runs.partition_point(|&(offset, len, _)| offset + u64::from(len) <= at);
        while at < range.end {
            let &(offset, len, place) = self.runs.get(index)?;
            let skip = at.checked_sub(offset)?;
            let take = (u64::from(len) - skip).min(range.end - at);
            bytes.extend_from_slice(self.sources.get(place.plus(skip), take as usize, &mut scratch).ok()?);
            at += take;
            index += 1;
        }
        Some(bytes)
    }
}
