//! Bytes that are held back until it is known what they are.

use std::collections::VecDeque;

use rpcshark_captures::{Data, Packet, Place, Timestamp};

/// A run of bytes of one flow, each of which still knows its packet, time and place.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// Bytes before this one are given up.
    start: usize,
    chunks: VecDeque<Chunk>,
}

/// What was delivered together: `end` is where it ends in `Held::bytes`.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    end: usize,
    len: usize,
    packet: Packet,
    time: Timestamp,
    at: Place,
    offset: u64,
    acked: Option<u64>,
}

impl Held {
    /// Adds bytes after those that are held.
    pub(crate) fn push(&mut self, data: &Data<'_>) {
        if self.start > self.bytes.len() / 2 && self.start > 4096 {
            self.compact();
        }
        self.bytes.extend_from_slice(data.bytes);
        let Data { bytes, packet, time, at, offset, acked } = *data;
        let chunk = Chunk { end: self.bytes.len(), len: bytes.len(), packet, time, at, offset, acked };
        self.chunks.push_back(chunk);
    }

    /// The bytes that are held.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// The packet of the oldest bytes, by its position in the reading.
    pub(crate) fn since(&self) -> u64 {
        self.chunks.front().map_or(0, |chunk| chunk.packet.order)
    }

    /// Gives up the first `len` bytes.
    pub(crate) fn skip(&mut self, len: usize) {
        self.start = (self.start + len).min(self.bytes.len());
        while self.chunks.front().is_some_and(|chunk| chunk.end <= self.start) {
            self.chunks.pop_front();
        }
    }

    /// Gives up everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What is held, as it was delivered.
    pub(crate) fn data(&self) -> impl Iterator<Item = Data<'_>> {
        self.chunks.iter().map(|chunk| {
            let begin = chunk.end - chunk.len;
            let from = begin.max(self.start);
            Data {
                bytes: self.bytes.get(from..chunk.end).unwrap_or_default(),
                packet: chunk.packet,
                time: chunk.time,
                at: chunk.at.plus((from - begin) as u64),
                offset: chunk.offset + (from - begin) as u64,
                acked: chunk.acked,
            }
        })
    }

    /// The delivery of the first byte, and the one that completes the first `len`. `None`: there are fewer.
    pub(crate) fn ends(&self, len: usize) -> Option<(Data<'_>, Data<'_>)> {
        let mut left = len;
        let last = self.data().find(|data| {
            let is_last = left <= data.bytes.len();
            left = left.saturating_sub(data.bytes.len());
            is_last
        });
        Some((self.data().next()?, last?))
    }

    /// Where in [`Held::bytes`] deliveries begin.
    pub(crate) fn begins(&self) -> impl Iterator<Item = usize> {
        self.chunks.iter().map(|chunk| (chunk.end - chunk.len).saturating_sub(self.start))
    }

    fn compact(&mut self) {
        self.bytes.drain(..self.start);
        for chunk in &mut self.chunks {
            // The first chunk may begin in what is given up: it keeps its place by keeping what is left of it.
            let begin = chunk.end - chunk.len;
            let lost = self.start.saturating_sub(begin);
            chunk.len -= lost;
            chunk.at = chunk.at.plus(lost as u64);
            chunk.offset += lost as u64;
            chunk.end -= self.start;
        }
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_captures::{PacketNo, SourceNo};

    #[test]
    fn what_is_left_keeps_its_place_and_time() {
        let mut held = Held::default();
        for number in 0..2000_u64 {
            let packet = Packet { order: number, no: PacketNo::new(0, number) };
            let time = Timestamp::from_nanos(number as i64);
            let at = Place::new(SourceNo(0), number * 1000);
            held.push(&Data { bytes: &[number as u8; 7], packet, time, at, offset: number * 7, acked: None });
            if number > 0 {
                held.skip(7);
            }
        }
        held.skip(3);
        let left: Vec<_> = held.data().collect();
        assert_eq!(held.bytes().len(), 4);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].at, Place::new(SourceNo(0), 1_999_003));
        assert_eq!(left[0].packet.order, 1999);
        assert_eq!(left[0].bytes, [1999_u64 as u8; 4]);
    }
}
