//! Reading frames from the capture again, one batch at a time, with a row where bytes are missing.

use std::collections::{BTreeMap, VecDeque};

use rpcshark_captures::Direction;
use rpcshark_dissectors::store::{ConnectionRef, FrameRef, Store};
use rpcshark_tui::model::frames::GapRow;

use super::log::Entry;
use crate::load::{AllFrames, ConnectionFrames, LoadOptions, Progress, SharedStore, StoreGuard};
use crate::tap::{Delivered, Delivery};

/// A reading of frames.
pub(super) struct Reading {
    source: Source,
    ended: bool,
    /// By connection and direction: where bytes are missing and no frame has come after yet.
    gaps: BTreeMap<(u32, usize), VecDeque<(u64, GapRow)>>,
    /// What the connection delivered, where only one is read.
    data: Data,
}

enum Source {
    Connection(Box<ConnectionFrames>),
    All(Box<AllFrames>),
}

/// Where the bytes of one connection lie: by direction, as the roles were at the beginning.
#[derive(Debug, Default)]
pub(super) struct Data {
    pieces: [Vec<Piece>; 2],
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where in the flow.
    offset: u64,
    place: rpcshark_captures::Place,
    len: u32,
}

impl Data {
    fn add(&mut self, delivery: &Delivery) {
        if let Delivered::Data { at, len, .. } = delivery.what {
            self.pieces[delivery.seen.index()].push(Piece { offset: delivery.offset, place: at, len });
        }
    }

    /// The bytes of a part of a flow; `None` where some are missing.
    pub(super) fn read(
        &self,
        seen: Direction,
        extent: std::ops::Range<u64>,
        sources: &rpcshark_captures::Sources,
    ) -> Option<Vec<u8>> {
        let pieces = &self.pieces[seen.index()];
        let first = pieces.partition_point(|piece| piece.offset + u64::from(piece.len) <= extent.start);
        let mut bytes = Vec::new();
        let mut at = extent.start;
        let mut scratch = Vec::new();
        for piece in pieces.get(first..)? {
            if at >= extent.end {
                break;
            }
            let skipped = at.checked_sub(piece.offset)?;
            let len = (u64::from(piece.len).checked_sub(skipped)?).min(extent.end - at);
            bytes.extend_from_slice(sources.get(piece.place.plus(skipped), len as usize, &mut scratch).ok()?);
            at += len;
        }
        (at >= extent.end).then_some(bytes)
    }
}

impl Reading {
    /// Opens the frames of connection `number`, or all.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read again, or has no such connection.
    pub(super) fn open(options: &LoadOptions, store: &SharedStore, connection: Option<u32>) -> anyhow::Result<Self> {
        let source = match connection {
            None => Source::All(Box::new(AllFrames::open(options)?)),
            Some(number) => {
                let store = store.read();
                let at = connection_numbered(&store, number);
                let at = at.ok_or_else(|| anyhow::anyhow!("there is no connection c{number}"))?;
                let frames = ConnectionFrames::open(options, &store, at)?;
                Source::Connection(Box::new(frames.with_deliveries()))
            }
        };
        Ok(Self { source, ended: false, gaps: BTreeMap::new(), data: Data::default() })
    }

    /// Whether everything was read.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads no further.
    pub(super) const fn stop(&mut self) {
        self.ended = true;
    }

    /// Reads a batch; gives `take` what it has of frames and gaps, in order.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read any further, or `take` fails.
    pub(super) fn step(
        &mut self,
        main: &SharedStore,
        take: &mut dyn FnMut(Entry, &Store) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let (frames, deliveries) = match &mut self.source {
            Source::All(all) => (all.next_frames()?, all.take_gaps()),
            Source::Connection(one) => {
                let frames = one.next_frames(&main.read())?;
                (frames, Vec::new())
            }
        };
        let store = self.store();
        for (at, delivery) in deliveries {
            self.keep_gap(store.connection(at).number().unwrap_or(0), &delivery);
        }
        if let Source::Connection(one) = &mut self.source {
            let swapped = one.is_swapped();
            for delivery in one.take_deliveries() {
                self.data.add(&delivery);
                if let Delivered::Gap(length) = delivery.what {
                    let direction = if swapped { delivery.seen.reverse() } else { delivery.seen };
                    let gap = GapRow { connection: 0, direction, time: Some(delivery.time), length };
                    self.gaps.entry((0, direction.index())).or_default().push_back((delivery.offset, gap));
                }
            }
        }
        let Some(frames) = frames else {
            self.ended = true;
            for (_, gap) in std::mem::take(&mut self.gaps).into_values().flatten() {
                take(Entry::Gap(gap), &store)?;
            }
            return Ok(());
        };
        for frame in frames {
            self.take_gaps_before(&frame, &store, take)?;
            take(Entry::Frame(Box::new(frame)), &store)?;
        }
        Ok(())
    }

    fn keep_gap(&mut self, connection: u32, delivery: &Delivery) {
        if let Delivered::Gap(length) = delivery.what {
            let gap = GapRow { connection, direction: delivery.seen, time: Some(delivery.time), length };
            self.gaps.entry((connection, delivery.seen.index())).or_default().push_back((delivery.offset, gap));
        }
    }

    /// The bytes that are missing before a frame come before it.
    fn take_gaps_before(
        &mut self,
        frame: &FrameRef,
        store: &Store,
        take: &mut dyn FnMut(Entry, &Store) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let at = ConnectionRef { lane: frame.lane, id: frame.frame.connection };
        let number = store.connection(at).number().unwrap_or(0);
        let key = match self.source {
            Source::All(_) => number,
            Source::Connection(_) => 0,
        };
        let Some(gaps) = self.gaps.get_mut(&(key, frame.frame.direction.index())) else { return Ok(()) };
        while let Some((_, gap)) = gaps.pop_front_if(|(offset, _)| *offset <= frame.frame.extent.start) {
            take(Entry::Gap(GapRow { connection: number, ..gap }), store)?;
        }
        Ok(())
    }

    /// The store that the frames refer to.
    pub(super) fn store(&self) -> StoreGuard {
        match &self.source {
            Source::Connection(one) => one.store(),
            Source::All(all) => all.store(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        match &self.source {
            Source::Connection(one) => one.progress(),
            Source::All(all) => all.progress(),
        }
    }

    /// The bytes of a frame; `None` where they are missing, or where more than one connection is read.
    pub(super) fn bytes(&self, frame: &FrameRef, sources: &rpcshark_captures::Sources) -> Option<Vec<u8>> {
        let Source::Connection(one) = &self.source else { return None };
        let direction = frame.frame.direction;
        let seen = if one.is_swapped() { direction.reverse() } else { direction };
        self.data.read(seen, frame.frame.extent.clone(), sources)
    }
}

/// The connection with a number.
pub(super) fn connection_numbered(store: &Store, number: u32) -> Option<ConnectionRef> {
    store.connections().find(|&at| store.connection(at).number() == Some(number))
}
