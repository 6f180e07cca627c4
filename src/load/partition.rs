//! Which lane each packet of a batch belongs to.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use rayon::prelude::*;
use rpcshark_captures::budget::{self, MemoryLimit};
use rpcshark_captures::file::{Batch, FileInfo};
use rpcshark_captures::streams::{Event, Events, StreamNo, Streams, What};
use rpcshark_captures::{Address, Defragmenter, Peeled, RawPacket, Segment, Skip, peel, peel_datagram};

/// Lanes that connections are spread over. More than threads, so that threads stay busy when one connection is large; a
/// fixed number, so that nothing depends on the machine.
pub(crate) const LANES: u16 = budget::LANES as u16;

/// No lane: the packet holds no TCP segment.
const NONE: u8 = u8::MAX;

/// A fragment: its lane is known once the datagram is whole.
const FRAGMENT: u8 = u8::MAX - 1;

/// A piece of a stream that no TCP packets hold.
const STREAM: u8 = u8::MAX - 2;

/// Packets looked at by one thread at a time.
const SHARE: usize = 512;

/// A datagram put together from fragments is looked into so often: tunnels may hold fragments in fragments.
const MAX_REASSEMBLIES: usize = 4;

/// The lanes of a batch's packets, and what is in none.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// By packet.
    lanes: Vec<u8>,
    /// Datagrams put together from fragments, by the packet that completed them, in order.
    datagrams: Vec<(usize, Vec<u8>)>,
    /// What streams that no TCP packets hold have brought.
    events: Events,
}

/// One connection of a capture, found by the packet that opened it.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// That packet, by its position in the reading.
    birth: u64,
    /// Which of the connections that this packet opened, in the order of their numbers.
    nth: usize,
    found: Found,
}

/// What tells the packets of a selected connection.
#[derive(Clone, Debug)]
enum Found {
    /// The packet that opened it has not come yet.
    Nothing,
    /// The two ends of a TCP connection, the lower one first.
    Tcp((Address, Address)),
    /// Its number among the streams that no TCP packets hold.
    Stream(StreamNo),
}

impl Selection {
    /// The `nth` connection (from 0) of those that were opened by the packet at `birth`.
    pub(super) const fn new(birth: u64, nth: usize) -> Self {
        Self { birth, nth, found: Found::Nothing }
    }

    /// Whether it was found among the streams that no TCP packets hold.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.found, Found::Stream(_))
    }
}

/// What is remembered from batch to batch.
#[derive(Debug)]
pub(super) struct Partitioner {
    hasher: foldhash::fast::FixedState,
    streams: Streams,
    defragmenter: Defragmenter,
    /// Packets that hold no segment, by the reason.
    skipped: BTreeMap<Skip, u64>,
    segments: u64,
}

impl Partitioner {
    /// For the packets of a reading of `files`.
    pub(super) fn new(files: &[FileInfo], memory: MemoryLimit) -> Self {
        Self {
            hasher: foldhash::fast::FixedState::default(),
            streams: Streams::new(files),
            defragmenter: Defragmenter::new(memory.fragments()),
            skipped: BTreeMap::new(),
            segments: 0,
        }
    }

    /// Finds the lane of each packet of a batch, into `partition`.
    pub(super) fn partition(&mut self, batch: &Batch, partition: &mut Partition) {
        partition.datagrams.clear();
        partition.events.clear();
        partition.lanes.clear();
        partition.lanes.resize(batch.len(), NONE);
        let hasher = &self.hasher;
        let shares = partition.lanes.par_chunks_mut(SHARE).enumerate();
        let counts: Vec<Counts> = shares.map(|(no, lanes)| partition_share(batch, no * SHARE, lanes, hasher)).collect();
        for counts in counts {
            self.segments += counts.segments;
            for (why, count) in counts.skipped {
                *self.skipped.entry(why).or_default() += count;
            }
        }
        if partition.lanes.contains(&FRAGMENT) {
            self.put_together(batch, partition);
        }
        if partition.lanes.contains(&STREAM) {
            self.read_streams(batch, partition);
        }
    }

    /// What a line of a log means depends on those before it: they go through one place, in their order.
    fn read_streams(&mut self, batch: &Batch, partition: &mut Partition) {
        for index in memchr::memchr_iter(STREAM, &partition.lanes) {
            if let Err(why) = self.streams.packet(&batch.packet(index), &mut partition.events) {
                *self.skipped.entry(why).or_default() += 1;
            }
        }
    }

    /// What the end of the capture says of streams, into `partition`.
    pub(super) fn finish(&mut self, partition: &mut Partition) {
        partition.events.clear();
        self.streams.finish(&mut partition.events);
    }

    /// Fragments go through one place, in the order of the packets.
    fn put_together(&mut self, batch: &Batch, partition: &mut Partition) {
        for (index, lane) in partition.lanes.iter_mut().enumerate().filter(|(_, lane)| **lane == FRAGMENT) {
            *lane = NONE;
            let packet = batch.packet(index);
            let Peeled::Fragment(fragment) = peel(packet.link, packet.data, packet.original_len) else { continue };
            let mut datagram = self.defragmenter.push(&packet, &fragment);
            for _ in 0..MAX_REASSEMBLIES {
                let Some(bytes) = datagram.take() else { break };
                match peel_datagram(&bytes) {
                    Peeled::Segment(segment) => {
                        *lane = lane_of(&segment, &self.hasher);
                        self.segments += 1;
                        partition.datagrams.push((index, bytes));
                    }
                    Peeled::Fragment(inner) => datagram = self.defragmenter.push(&packet, &inner),
                    Peeled::Skipped(why) => *self.skipped.entry(why).or_default() += 1,
                }
            }
        }
    }

    /// Packets that held no segment, by the reason; to be asked when all is read.
    pub(super) fn skipped(&mut self) -> BTreeMap<Skip, u64> {
        self.defragmenter.finish();
        let mut skipped = self.skipped.clone();
        for (why, count) in self.defragmenter.dropped() {
            *skipped.entry(why).or_default() += count;
        }
        skipped
    }

    /// Packets that held a segment.
    pub(super) const fn segments(&self) -> u64 {
        self.segments
    }
}

impl Partition {
    /// The packets of a lane, in order.
    pub(super) fn of_lane(&self, lane: u8) -> impl Iterator<Item = usize> {
        memchr::memchr_iter(lane, &self.lanes)
    }

    /// What streams that no TCP packets hold have brought, in order.
    pub(super) const fn events(&self) -> &Events {
        &self.events
    }

    /// Those of a lane.
    pub(super) fn events_of_lane(&self, lane: u8) -> impl Iterator<Item = &Event> {
        self.events.events.iter().filter(move |event| event.connection.0 % u32::from(LANES) == u32::from(lane))
    }

    /// Takes everything out of its lane that does not belong to the selected connection, or to an older or younger one
    /// between the same ends that the packets do not tell apart.
    pub(super) fn select(&mut self, batch: &Batch, selection: &mut Selection) {
        for index in 0..batch.len() {
            let lane = self.lanes.get(index).copied().unwrap_or(NONE);
            if u16::from(lane) >= LANES {
                continue;
            }
            let packet = batch.packet(index);
            let is_wanted = match selection.found {
                Found::Stream(_) => false,
                Found::Nothing if packet.packet.order != selection.birth => false,
                Found::Nothing => {
                    if let Some((segment, _)) = self.segment(index, &packet) {
                        selection.found = Found::Tcp(ends(&segment));
                    }
                    true
                }
                Found::Tcp(wanted) => self.segment(index, &packet).is_some_and(|(segment, _)| ends(&segment) == wanted),
            };
            if !is_wanted && let Some(lane) = self.lanes.get_mut(index) {
                *lane = NONE;
            }
        }
        if matches!(selection.found, Found::Nothing) {
            let opened =
                |event: &&Event| matches!(event.what, What::Opened(_)) && event.packet.order == selection.birth;
            let mut opened: Vec<StreamNo> =
                self.events.events.iter().filter(opened).map(|event| event.connection).collect();
            // As connections of one packet are numbered: by lane, and in each lane in the order in which they came.
            opened.sort_by_key(|no| no.0 % u32::from(LANES));
            if let Some(&no) = opened.get(selection.nth) {
                selection.found = Found::Stream(no);
            }
        }
        let Found::Stream(wanted) = selection.found else { return self.events.events.clear() };
        self.events.events.retain(|event| event.connection == wanted);
    }

    /// The segment in a packet that is in a lane. (Peeling twice costs less than keeping what was peeled.)
    pub(super) fn segment<'a>(&'a self, index: usize, packet: &RawPacket<'a>) -> Option<(Segment<'a>, bool)> {
        if !self.datagrams.is_empty()
            && let Ok(at) = self.datagrams.binary_search_by_key(&index, |&(index, _)| index)
            && let Some((_, bytes)) = self.datagrams.get(at)
        {
            let Peeled::Segment(segment) = peel_datagram(bytes) else { return None };
            return Some((segment, true));
        }
        match peel(packet.link, packet.data, packet.original_len) {
            Peeled::Segment(segment) => Some((segment, false)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Counts {
    segments: u64,
    skipped: BTreeMap<Skip, u64>,
}

fn partition_share(batch: &Batch, first: usize, lanes: &mut [u8], hasher: &impl BuildHasher) -> Counts {
    let mut counts = Counts::default();
    for (index, lane) in lanes.iter_mut().enumerate() {
        let packet = batch.packet(first + index);
        *lane = match peel(packet.link, packet.data, packet.original_len) {
            Peeled::Segment(segment) => {
                counts.segments += 1;
                lane_of(&segment, hasher)
            }
            Peeled::Fragment(_) => FRAGMENT,
            Peeled::Skipped(Skip::Link(link)) if Streams::takes(link) => STREAM,
            Peeled::Skipped(why) => {
                *counts.skipped.entry(why).or_default() += 1;
                NONE
            }
        };
    }
    counts
}

/// Both flows of a connection are in one lane.
fn lane_of(segment: &Segment<'_>, hasher: &impl BuildHasher) -> u8 {
    (hasher.hash_one(ends(segment)) % u64::from(LANES)) as u8
}

/// The ends of a segment, whichever way it goes.
fn ends(segment: &Segment<'_>) -> (Address, Address) {
    (segment.source.min(segment.destination), segment.source.max(segment.destination))
}
