//! Several files becoming one sequence of packets, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::batch::{Batch, Holder};
use super::record::{Record, RecordList};
use crate::Timestamp;

/// Several files becoming one sequence.
#[derive(Default)]
pub(crate) struct Merge {
    /// What was read of each file and not handed out yet.
    pub(crate) ahead: Vec<Ahead>,
    /// The time of the next packet of each file that has one at hand.
    pub(crate) heads: BinaryHeap<Reverse<(Timestamp, u16)>>,
    /// Files that have none at hand and may have more.
    pub(crate) wanting: Vec<u16>,
}

#[derive(Default)]
pub(crate) struct Ahead {
    pub(crate) found: RecordList,
    /// The index of the next record.
    pub(crate) next: usize,
    /// The index of the next comment.
    pub(crate) next_comment: usize,
    pub(crate) holder: Option<Holder>,
    /// The batch in which `holder` was entered last, by its first packet, and at which index.
    pub(crate) entered: Option<(u64, u16)>,
}

impl Merge {
    pub(crate) fn new(files: usize) -> Self {
        let ahead = std::iter::repeat_with(Ahead::default).take(files).collect();
        Self { ahead, heads: BinaryHeap::new(), wanting: (0..).take(files).collect() }
    }

    /// Hands out packets of `file` as long as they come before `until`, the first one of another file. Says whether
    /// there are further ones at hand.
    pub(crate) fn hand_out(
        &mut self,
        file: u16,
        until: Option<(Timestamp, u16)>,
        most: usize,
        batch: &mut Batch,
    ) -> bool {
        let Some(ahead) = self.ahead.get_mut(usize::from(file)) else { return true };
        // A file that takes turns with others has many runs in one batch; what holds them is entered once.
        let holder = match (ahead.entered, &ahead.holder) {
            (Some((first, index)), _) if first == batch.first => index,
            (_, None) => return false,
            (_, Some(holder)) => {
                let index = batch.holders.len() as u16;
                ahead.entered = Some((batch.first, index));
                batch.holders.push(holder.clone());
                index
            }
        };
        while let Some(record) = ahead.found.records.get(ahead.next) {
            if until.is_some_and(|until| (record.time, file) > until) || batch.records.len() >= most {
                self.heads.push(Reverse((record.time, file)));
                return true;
            }
            if let Some((index, comment)) = ahead.found.comments.get_mut(ahead.next_comment)
                && *index as usize == ahead.next
            {
                batch.comments.push((batch.records.len() as u32, std::mem::take(comment)));
                ahead.next_comment += 1;
            }
            batch.records.push(Record { holder, ..*record });
            ahead.next += 1;
        }
        false
    }
}
