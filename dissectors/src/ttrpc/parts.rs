//! A frame's data: where its parts lie, and as much of its bytes as is needed to read it.

use rpcshark_captures::{Data, Place};
use smallvec::SmallVec;

use super::frame::MAX_LENGTH;
use crate::grpc::Pieces;
use crate::store::Piece;

/// The data of one frame, wherever deliveries begin and end, and whatever is missing from it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// All of it in order; what is missing lies nowhere.
    pieces: Pieces,
    /// Bytes so far, those that are missing counted.
    len: u32,
    /// Bytes that were kept to be read.
    bytes: Vec<u8>,
    /// The runs of `bytes`: where in the frame's data one begins, and where in `bytes`.
    runs: SmallVec<[(u32, usize); 1]>,
    /// Whether the last run continues with the next bytes.
    runs_on: bool,
    /// No more bytes are kept.
    full: bool,
    /// Bytes are missing.
    pub(super) holes: bool,
}

/// Bytes of one frame that are kept: what a frame may hold. What lies after that in one which is longer is not read.
const MAX_KEPT: usize = MAX_LENGTH as usize;

impl Parts {
    /// Adds bytes that are there; `keep`: they are to be read.
    pub(super) fn push(&mut self, data: &Data<'_>, keep: bool) {
        let len = data.bytes.len() as u32;
        if len == 0 {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if last.at != Place::NOWHERE && last.at.plus(u64::from(last.len)) == data.at => last.len += len,
            _ => self.pieces.push(Piece { at: data.at, len }),
        }
        let kept = if keep && !self.full { data.bytes.len().min(MAX_KEPT - self.bytes.len()) } else { 0 };
        if kept > 0 {
            if !self.runs_on {
                self.runs.push((self.len, self.bytes.len()));
                self.runs_on = true;
            }
            self.bytes.extend_from_slice(data.bytes.get(..kept).unwrap_or_default());
        }
        self.len += len;
    }

    /// Adds `len` bytes that are missing.
    pub(super) fn gap(&mut self, len: u32) {
        if len == 0 {
            return;
        }
        self.pieces.push(Piece { at: Place::NOWHERE, len });
        self.len += len;
        self.runs_on = false;
        self.holes = true;
    }

    /// The memory that its bytes take.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Keeps no bytes any more, neither those that are there nor those that come.
    pub(super) fn forget_bytes(&mut self) {
        self.bytes = Vec::new();
        self.runs.clear();
        self.runs_on = false;
        self.full = true;
        self.holes = true;
    }

    /// The same as the contents of a frame.
    pub(super) fn contents(&self) -> Contents<'_> {
        let ends = self.runs.iter().skip(1).map(|run| run.1).chain([self.bytes.len()]);
        let runs = self.runs.iter().zip(ends);
        let runs = runs.map(|(&(at, from), to)| (at, self.bytes.get(from..to).unwrap_or_default())).collect();
        Contents { length: self.len, runs, pieces: &self.pieces, holes: self.holes }
    }
}

/// What there is of a frame's data.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    /// How long it is.
    pub(super) length: u32,
    /// The bytes that can be read: where they begin in it, in order.
    runs: SmallVec<[(u32, &'a [u8]); 1]>,
    /// Where all of it lies.
    pieces: &'a [Piece],
    /// Bytes are missing.
    pub(super) holes: bool,
}

impl<'a> Contents<'a> {
    /// A frame's data that is all in one delivery; `piece` is where.
    pub(super) fn whole(bytes: &'a [u8], piece: &'a Piece) -> Self {
        let runs = SmallVec::from_elem((0, bytes), 1);
        Self { length: bytes.len() as u32, runs, pieces: std::slice::from_ref(piece), holes: false }
    }

    /// The bytes from `at` on, up to the next that cannot be read.
    pub(super) fn from(&self, at: u32) -> &'a [u8] {
        let run = self.runs.iter().find_map(|&(begin, bytes)| bytes.get(at.checked_sub(begin)? as usize..));
        run.unwrap_or_default()
    }

    /// The beginning, as far as it can be read without a hole.
    pub(super) fn beginning(&self) -> &'a [u8] {
        self.from(0)
    }

    /// Where the bytes from `from` to `to` lie, and whether some of them are missing.
    pub(super) fn pieces(&self, from: u32, to: u32) -> (Pieces, bool) {
        let mut found = Pieces::new();
        let mut at = 0_u32;
        for piece in self.pieces {
            let end = at.saturating_add(piece.len);
            let (begin, until) = (from.max(at), to.min(end));
            if begin < until {
                found.push(Piece { at: piece.at.plus(u64::from(begin - at)), len: until - begin });
            }
            at = end;
        }
        // Bytes that were seen may lie nowhere, too: only a hole makes them missing.
        let missing = self.holes && found.iter().any(|piece| piece.at == Place::NOWHERE);
        (found, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_captures::{Packet, SourceNo, Timestamp};

    fn data(bytes: &[u8], offset: u64) -> Data<'_> {
        let at = Place::new(SourceNo(0), offset);
        Data { bytes, packet: Packet::default(), time: Timestamp::EPOCH, at, offset: 0, acked: None }
    }

    #[test]
    fn what_is_there_can_be_read_and_has_its_place() {
        let mut parts = Parts::default();
        parts.push(&data(b"abc", 100), true);
        parts.push(&data(b"de", 103), true);
        parts.gap(4);
        parts.push(&data(b"xyz", 200), true);
        let contents = parts.contents();
        assert_eq!(contents.length, 12);
        assert_eq!(contents.beginning(), b"abcde");
        assert_eq!(contents.from(4), b"e");
        assert_eq!(contents.from(6), b"");
        assert_eq!(contents.from(10), b"yz");
        let place = |offset| Place::new(SourceNo(0), offset);
        assert_eq!(contents.pieces(1, 4).0[..], [Piece { at: place(101), len: 3 }]);
        let (pieces, missing) = contents.pieces(4, 10);
        assert_eq!(
            pieces[..],
            [Piece { at: place(104), len: 1 }, Piece { at: Place::NOWHERE, len: 4 }, Piece { at: place(200), len: 1 }]
        );
        assert!(missing);
        assert!(!contents.pieces(9, 12).1);
    }
}
