//! Bytes of a flow that came before earlier ones and wait for them.

use std::collections::{BTreeMap, VecDeque};

use crate::{PacketNo, Place, Timestamp};

/// What a piece costs beside its bytes: its entries and what the allocator adds, roughly.
const PIECE_COST: usize = 128;

/// Bytes that wait, and ranges that are known to have been cut off by the snap length. Positions are a flow's own.
#[derive(Debug, Default)]
pub(super) struct OutOfOrder {
    /// By position; no two overlap.
    pieces: BTreeMap<u64, Piece>,
    /// By position; where a piece lies in one, the piece counts.
    cuts: BTreeMap<u64, Cut>,
    /// Of what waits, by position: everything that came before all that lies after it. So the first one is the
    /// oldest of all, and stays so until it is taken.
    oldest: VecDeque<(u64, Origin)>,
    /// How much memory all this takes, in bytes.
    cost: usize,
    /// How many bytes the pieces have.
    bytes: usize,
}

/// Bytes that came in one packet.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Box<[u8]>,
    pub(super) origin: Origin,
    pub(super) at: Place,
}

/// What brought something, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) order: u64,
    pub(super) no: PacketNo,
    pub(super) time: Timestamp,
    /// How many segments the flow had had then, as far as its holes are concerned.
    pub(super) count: u64,
    /// What its sender had acknowledged of the other flow, as [`Data::acked`](crate::Data::acked) says it.
    pub(super) acked: Option<u64>,
}

/// A range that was sent in a packet that was cut before it.
#[derive(Clone, Copy, Debug)]
struct Cut {
    end: u64,
    origin: Origin,
}

/// What comes next at a position.
pub(super) enum Next {
    Piece(Piece),
    /// Bytes that were cut off, up to this position.
    Cut(u64, Origin),
}

impl OutOfOrder {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.cuts.is_empty()
    }

    /// How much memory all this takes, in bytes.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// How many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the first thing lies, and what brought it.
    pub(super) fn first(&self) -> Option<(u64, Origin)> {
        let piece = self.pieces.first_key_value().map(|(&at, piece)| (at, piece.origin));
        let cut = self.cuts.first_key_value().map(|(&at, cut)| (at, cut.origin));
        match (piece, cut) {
            (Some(piece), Some(cut)) => Some(if piece.0 <= cut.0 { piece } else { cut }),
            (piece, cut) => piece.or(cut),
        }
    }

    /// The first position after everything.
    pub(super) fn end(&self) -> Option<u64> {
        let pieces = self.pieces.last_key_value().map(|(at, piece)| at + piece.bytes.len() as u64);
        self.cuts.values().map(|cut| cut.end).chain(pieces).max()
    }

    /// What brought the oldest of all that waits: with it the first hole was seen.
    pub(super) fn oldest(&self) -> Option<Origin> {
        self.oldest.front().map(|(_, origin)| *origin).or_else(|| self.first().map(|(_, origin)| origin))
    }

    /// Something came that lies at a position: it can only become the oldest if it lies after everything.
    fn note_age(&mut self, position: u64, origin: Origin) {
        if self.oldest.back().is_none_or(|(last, _)| *last < position) {
            self.oldest.push_back((position, origin));
        }
    }

    /// What lay up to a position was taken.
    fn forget_age(&mut self, position: u64) {
        while self.oldest.front().is_some_and(|(at, _)| *at <= position) {
            self.oldest.pop_front();
        }
    }

    /// Whether something lies at `next`, and the order of what brought it.
    pub(super) fn ready(&self, next: u64) -> Option<u64> {
        if let Some((&at, piece)) = self.pieces.first_key_value()
            && at == next
        {
            return Some(piece.origin.order);
        }
        let cut = self.cuts.range(..=next).find(|(_, cut)| cut.end > next);
        cut.map(|(_, cut)| cut.origin.order)
    }

    /// Takes what lies at `next`.
    pub(super) fn take(&mut self, next: u64) -> Option<Next> {
        if let Some(entry) = self.pieces.first_entry()
            && *entry.key() == next
        {
            let piece = entry.remove();
            self.bytes -= piece.bytes.len();
            self.cost -= piece.bytes.len() + PIECE_COST;
            self.forget_age(next);
            return Some(Next::Piece(piece));
        }
        while let Some(entry) = self.cuts.first_entry() {
            if *entry.key() > next {
                break;
            }
            let cut = entry.remove();
            self.cost -= PIECE_COST;
            self.forget_age(next);
            if cut.end <= next {
                continue;
            }
            let piece = self.pieces.first_key_value().map_or(u64::MAX, |(&at, _)| at);
            if cut.end > piece {
                // It continues after bytes that another packet brought.
                self.insert_cut(piece, cut.end, cut.origin);
                if self.oldest.front().is_none_or(|(_, oldest)| cut.origin.order < oldest.order) {
                    self.oldest.push_front((piece, cut.origin));
                }
            }
            return Some(Next::Cut(cut.end.min(piece), cut.origin));
        }
        None
    }

    /// Drops everything before `base`.
    pub(super) fn trim(&mut self, base: u64) {
        while let Some(entry) = self.pieces.first_entry() {
            let at = *entry.key();
            if at >= base {
                break;
            }
            let piece = entry.remove();
            self.bytes -= piece.bytes.len();
            self.cost -= piece.bytes.len() + PIECE_COST;
            let past = (base - at) as usize;
            if let Some(rest) = piece.bytes.get(past..).filter(|rest| !rest.is_empty()) {
                self.insert(base, rest, piece.origin, piece.at.plus(past as u64));
            }
        }
        // Everything may have moved.
        let pieces = self.pieces.iter().map(|(&at, piece)| (at, piece.origin));
        let mut ages: Vec<_> = pieces.chain(self.cuts.iter().map(|(&at, cut)| (at, cut.origin))).collect();
        ages.sort_unstable_by_key(|(at, origin)| (*at, origin.order));
        self.oldest.clear();
        for (at, origin) in ages.into_iter().rev() {
            if self.oldest.front().is_none_or(|(_, behind)| origin.order < behind.order) {
                self.oldest.push_front((at, origin));
            }
        }
    }

    /// Whether the byte at a position is held, or known to have been cut off.
    pub(super) fn covers(&self, position: u64) -> bool {
        self.uncovered(position, position + 1).is_none()
            || self.cuts.range(..=position).next_back().is_some_and(|(_, cut)| cut.end > position)
    }

    /// The first position of `from..end` that no piece covers, and how far from there no piece lies.
    pub(super) fn uncovered(&self, from: u64, end: u64) -> Option<(u64, u64)> {
        let mut from = from;
        if let Some((at, piece)) = self.pieces.range(..=from).next_back() {
            from = from.max(at + piece.bytes.len() as u64);
        }
        while from < end {
            match self.pieces.range(from..end).next() {
                Some((&at, piece)) if at == from => from += piece.bytes.len() as u64,
                Some((&at, _)) => return Some((from, at)),
                None => return Some((from, end)),
            }
        }
        None
    }

    /// Compares `bytes` at `start` with what is held there: whether there is anything, and where they first differ.
    pub(super) fn compare(&self, start: u64, bytes: &[u8]) -> (bool, Option<u64>) {
        let end = start + bytes.len() as u64;
        let before = self.pieces.range(..start).next_back();
        let (mut overlap, mut differs) = (false, None);
        for (&at, piece) in before.into_iter().chain(self.pieces.range(start..end)) {
            let from = at.max(start);
            let ours = bytes.get((from - start) as usize..).unwrap_or_default();
            let theirs = piece.bytes.get((from - at) as usize..).unwrap_or_default();
            overlap |= !ours.is_empty() && !theirs.is_empty();
            let first = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
            differs = differs.or(first.map(|first| from + first as u64));
        }
        (overlap, differs)
    }

    /// Keeps a copy of `bytes` at a place that no piece covers.
    pub(super) fn insert(&mut self, start: u64, bytes: &[u8], origin: Origin, at: Place) {
        self.bytes += bytes.len();
        self.cost += bytes.len() + PIECE_COST;
        self.note_age(start, origin);
        self.pieces.insert(start, Piece { bytes: bytes.into(), origin, at });
    }

    /// Remembers that `start..end` was cut off.
    pub(super) fn insert_cut(&mut self, start: u64, end: u64, origin: Origin) {
        match self.cuts.get_mut(&start) {
            Some(cut) => cut.end = cut.end.max(end),
            None => {
                self.cost += PIECE_COST;
                self.note_age(start, origin);
                self.cuts.insert(start, Cut { end, origin });
            }
        }
    }
}
