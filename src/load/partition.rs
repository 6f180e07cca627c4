//! Which lane each packet of a batch belongs to.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use rayon::prelude::*;
use rpcshark_captures::budget::{self, MemoryLimit, Released};
use rpcshark_captures::file::{Batch, FileInfo};
use rpcshark_captures::streams::{Event, EventKind, Events, StreamNo, Streams};
use rpcshark_captures::{
    Address, Defragmenter, Peeled, RawPacket, Segment, Skip, TcpFlags, peel, peel_datagram, prefetch,
};

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

/// How many packets ahead of the one that is looked at the next ones are fetched into the processor's cache.
const PREFETCH: usize = 12;

/// The last byte that matters of the headers of most packets: Ethernet, IPv4, TCP. They mostly lie in two cache lines.
const PLAIN_HEADERS: usize = 14 + 20 + 20 - 1;

/// Groups that the connections of a lane are spread over: some times as many as a lane has connections on a busy server, so
/// that most groups are one connection.
const GROUPS: usize = 256;

/// The lanes of a batch's packets, and what is in none.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// By packet.
    lanes: Vec<u8>,
    /// Likewise their groups. All packets of a connection are in one group.
    groups: Vec<u8>,
    /// What was peeled off each packet that is in a lane.
    headers: Vec<Header>,
    /// The packets that are in lanes, lane by lane, group by group, those of each group in their order.
    by_lane: Vec<u32>,
    /// Used by the sort.
    counts: Vec<u32>,
    /// Where each lane begins in `by_lane`, and after them the end of the last.
    starts: [usize; LANES as usize + 1],
    /// Datagrams put together from fragments, by the packet that completed them, in order.
    datagrams: Vec<(usize, Vec<u8>)>,
    /// What streams that no TCP packets hold have brought.
    events: Events,
}

/// What a lane needs of a packet's headers, so that it need not look at them again: the headers lie in memory, and this in
/// the processor's cache. Half a line of it, so that none takes two.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Header {
    /// IPv4 addresses.
    source: u32,
    destination: u32,
    seq: u32,
    ack: u32,
    cut: u32,
    source_port: u16,
    destination_port: u16,
    window: u16,
    payload_at: u16,
    payload_len: u16,
    flags: TcpFlags,
    /// It is none of those that fit here, the packet has to be peeled again.
    is_rare: bool,
}

const _: () = assert!(size_of::<Header>() == 32);

impl Header {
    const RARE: Self = Self {
        source: 0,
        destination: 0,
        seq: 0,
        ack: 0,
        cut: 0,
        source_port: 0,
        destination_port: 0,
        window: 0,
        payload_at: 0,
        payload_len: 0,
        flags: TcpFlags(0),
        is_rare: true,
    };

    fn new(segment: &Segment<'_>) -> Self {
        let ip_v4 = |address: Address| (address.ip >> 32 == 0xffff).then_some(address.ip as u32);
        let (Some(source), Some(destination)) = (ip_v4(segment.source), ip_v4(segment.destination)) else {
            return Self::RARE;
        };
        let payload = (u16::try_from(segment.payload_at), u16::try_from(segment.payload.len()));
        let (Ok(payload_at), Ok(payload_len)) = payload else { return Self::RARE };
        Self {
            source,
            destination,
            seq: segment.seq,
            ack: segment.ack,
            cut: segment.cut,
            source_port: segment.source.port,
            destination_port: segment.destination.port,
            window: segment.window,
            payload_at,
            payload_len,
            flags: segment.flags,
            is_rare: false,
        }
    }

    /// The segment in the packet with these headers, which are not rare.
    #[inline(always)]
    fn segment<'a>(&self, packet: &RawPacket<'a>) -> Option<Segment<'a>> {
        let at = usize::from(self.payload_at);
        Some(Segment {
            source: Address::v4(self.source.to_be_bytes(), self.source_port),
            destination: Address::v4(self.destination.to_be_bytes(), self.destination_port),
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            payload: packet.data.get(at..at + usize::from(self.payload_len))?,
            cut: self.cut,
            payload_at: u32::from(self.payload_at),
        })
    }
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
        partition.lanes.resize(batch.len(), NONE);
        partition.groups.resize(batch.len(), 0);
        partition.headers.resize(batch.len(), Header::RARE);
        let hasher = &self.hasher;
        let Partition { lanes, groups, headers, .. } = partition;
        let shares = lanes.par_chunks_mut(SHARE).zip(groups.par_chunks_mut(SHARE)).zip(headers.par_chunks_mut(SHARE));
        let counts = shares.enumerate().map(|(no, ((lanes, groups), headers))| {
            partition_share(batch, no * SHARE, Share { lanes, groups, headers }, hasher)
        });
        let counts: Vec<Counts> = counts.collect();
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
        partition.order_by_lane();
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
        partition.lanes.clear();
        partition.order_by_lane();
        self.streams.finish(&mut partition.events);
    }

    /// Fragments go through one place, in the order of the packets.
    fn put_together(&mut self, batch: &Batch, partition: &mut Partition) {
        let places = partition.lanes.iter_mut().zip(&mut partition.groups).enumerate();
        for (index, (lane, group)) in places.filter(|(_, (lane, _))| **lane == FRAGMENT) {
            *lane = NONE;
            let packet = batch.packet(index);
            let Peeled::Fragment(fragment) = peel(packet.link, packet.data, packet.original_len) else { continue };
            let mut datagram = self.defragmenter.push(&packet, &fragment);
            for _ in 0..MAX_REASSEMBLIES {
                let Some(bytes) = datagram.take() else { break };
                match peel_datagram(&bytes) {
                    Peeled::Segment(segment) => {
                        (*lane, *group) = lane_and_group(&segment, &self.hasher);
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

    /// What was released because the memory budget was exceeded.
    pub(super) const fn released(&self) -> &Released {
        self.defragmenter.released()
    }

    /// Packets that held a segment.
    pub(super) const fn segments(&self) -> u64 {
        self.segments
    }
}

impl Partition {
    /// The packets of a lane, group by group. All packets of a connection are in one group, and in their order.
    pub(super) fn of_lane(&self, lane: u8) -> &[u32] {
        match self.starts.get(usize::from(lane)..) {
            Some([start, end, ..]) => self.by_lane.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Puts the packets into the order of their lanes and groups: a counting sort.
    fn order_by_lane(&mut self) {
        let Self { lanes, groups, by_lane, starts, counts, .. } = self;
        // What is in no lane is counted after the last one.
        let bucket = |lane: u8, group: u8| usize::from(lane).min(LANES as usize) * GROUPS + usize::from(group) % GROUPS;
        counts.clear();
        counts.resize((LANES as usize + 1) * GROUPS, 0);
        for (&lane, &group) in lanes.iter().zip(&*groups) {
            counts[bucket(lane, group)] += 1;
        }
        let mut before = 0;
        for (start, of_lane) in starts.iter_mut().zip(counts.chunks_mut(GROUPS)) {
            *start = before as usize;
            for count in of_lane {
                before += std::mem::replace(count, before);
            }
        }
        by_lane.resize(lanes.len(), 0);
        for (index, (&lane, &group)) in lanes.iter().zip(&*groups).enumerate() {
            let next = &mut counts[bucket(lane, group)];
            by_lane[*next as usize] = index as u32;
            *next += 1;
        }
    }

    /// Fetches into the processor's cache what [`segment`](Self::segment) and the lanes need of a packet's headers.
    #[inline]
    pub(super) fn prefetch_header(&self, index: u32) {
        if let Some(header) = self.headers.get(index as usize) {
            prefetch(header);
        }
    }

    /// Likewise its payload.
    #[inline]
    pub(super) fn prefetch_payload(&self, index: u32, batch: &Batch) {
        let Some(header) = self.headers.get(index as usize) else { return };
        if header.payload_len > 0 {
            let data = batch.packet(index as usize).data;
            let at = usize::from(header.payload_at);
            data.get(at).into_iter().chain(data.get(at + CACHE_LINE)).for_each(prefetch);
        }
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
                    if let Some(segment) = self.segment(index, &packet) {
                        selection.found = Found::Tcp(ends(&segment));
                    }
                    true
                }
                Found::Tcp(wanted) => self.segment(index, &packet).is_some_and(|segment| ends(&segment) == wanted),
            };
            if !is_wanted && let Some(lane) = self.lanes.get_mut(index) {
                *lane = NONE;
            }
        }
        if matches!(selection.found, Found::Nothing) {
            let opened =
                |event: &&Event| matches!(event.kind, EventKind::Opened(_)) && event.packet.order == selection.birth;
            let mut opened: Vec<StreamNo> =
                self.events.events.iter().filter(opened).map(|event| event.connection).collect();
            // As connections of one packet are numbered: by lane, and in each lane in the order in which they came.
            opened.sort_by_key(|no| no.0 % u32::from(LANES));
            if let Some(&no) = opened.get(selection.nth) {
                selection.found = Found::Stream(no);
            }
        }
        self.order_by_lane();
        let Found::Stream(wanted) = selection.found else { return self.events.events.clear() };
        self.events.events.retain(|event| event.connection == wanted);
    }

    /// The segment in a packet that is in a lane.
    #[inline]
    pub(super) fn segment<'a>(&'a self, index: usize, packet: &RawPacket<'a>) -> Option<Segment<'a>> {
        match self.headers.get(index) {
            Some(header) if !header.is_rare => header.segment(packet),
            _ => self.rare_segment(index, packet),
        }
    }

    #[cold]
    fn rare_segment<'a>(&'a self, index: usize, packet: &RawPacket<'a>) -> Option<Segment<'a>> {
        let peeled = match self.datagram(index) {
            Some(bytes) => peel_datagram(bytes),
            None => peel(packet.link, packet.data, packet.original_len),
        };
        match peeled {
            Peeled::Segment(segment) => Some(segment),
            _ => None,
        }
    }

    /// Whether the segment in a packet was put together from fragments.
    #[inline]
    pub(super) fn is_put_together(&self, index: usize) -> bool {
        !self.datagrams.is_empty() && self.datagram(index).is_some()
    }

    fn datagram(&self, index: usize) -> Option<&[u8]> {
        let at = self.datagrams.binary_search_by_key(&index, |&(index, _)| index).ok()?;
        self.datagrams.get(at).map(|(_, bytes)| &bytes[..])
    }
}

#[derive(Default)]
struct Counts {
    segments: u64,
    skipped: BTreeMap<Skip, u64>,
}

/// What is found out about some packets.
struct Share<'a> {
    lanes: &'a mut [u8],
    groups: &'a mut [u8],
    headers: &'a mut [Header],
}

fn partition_share(batch: &Batch, first: usize, share: Share<'_>, hasher: &impl BuildHasher) -> Counts {
    let mut counts = Counts::default();
    let end = first + share.lanes.len();
    let places = share.lanes.iter_mut().zip(share.groups).zip(share.headers);
    for (index, ((lane, group), header)) in (first..).zip(places) {
        if index + PREFETCH < end {
            let ahead = batch.packet(index + PREFETCH).data;
            ahead.first().into_iter().chain(ahead.get(PLAIN_HEADERS)).for_each(prefetch);
        }
        let packet = batch.packet(index);
        *header = Header::RARE;
        *group = 0;
        *lane = match &peel(packet.link, packet.data, packet.original_len) {
            Peeled::Segment(segment) => {
                counts.segments += 1;
                *header = Header::new(segment);
                let (lane, of_lane) = lane_and_group(segment, hasher);
                *group = of_lane;
                lane
            }
            Peeled::Fragment(_) => FRAGMENT,
            Peeled::Skipped(Skip::Link(link)) if Streams::takes(*link) => STREAM,
            Peeled::Skipped(why) => {
                *counts.skipped.entry(*why).or_default() += 1;
                NONE
            }
        };
    }
    counts
}

/// Bytes that come into the processor's cache together.
const CACHE_LINE: usize = 64;

/// Both flows of a connection are in one lane, and there in one group.
fn lane_and_group(segment: &Segment<'_>, hasher: &impl BuildHasher) -> (u8, u8) {
    let number = |end: Address| end.ip.rotate_left(16) ^ u128::from(end.port);
    // The sum of both ends is the same whichever way the segment goes.
    let hash = hasher.hash_one(number(segment.source).wrapping_add(number(segment.destination)));
    ((hash % u64::from(LANES)) as u8, (hash / u64::from(LANES) % GROUPS as u64) as u8)
}

/// The ends of a segment, whichever way it goes.
pub(super) fn ends(segment: &Segment<'_>) -> (Address, Address) {
    (segment.source.min(segment.destination), segment.source.max(segment.destination))
}

#[cfg(test)]
mod tests {
    use rpcshark_captures::{LinkType, Packet, Place, Timestamp};

    use super::*;

    /// TCP from port 1 to port 2 with three bytes of payload.
    const TCP: [u8; 23] = [
        0, 1, 0, 2, // ports
        0, 0, 0, 3, // sequence number
        0, 0, 0, 4, // acknowledgment
        0x50, 0x18, // header of 5 words; PSH, ACK
        0, 5, 0, 0, 0, 0, // window, checksum, urgent
        b'a', b'b', b'c',
    ];

    fn ipv4() -> Vec<u8> {
        let header = [0x45, 0, 0, 43, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&header[..], &TCP].concat()
    }

    fn ipv6() -> Vec<u8> {
        let mut header = vec![0x60, 0, 0, 0, 0, 23, 6, 64];
        header.extend([0xfe; 32]);
        [&header[..], &TCP].concat()
    }

    fn packet(data: &[u8], link: LinkType, original_len: u32) -> RawPacket<'_> {
        RawPacket {
            packet: Packet::default(),
            time: Timestamp::from_nanos(0),
            link,
            data,
            at: Place::NOWHERE,
            original_len,
        }
    }

    #[test]
    fn kept_headers_give_the_segment_that_peeling_gives() {
        let data = ipv4();
        // Whole, and cut by the snap length.
        for len in [data.len(), data.len() - 2] {
            let packet = packet(&data[..len], LinkType::IPV4, data.len() as u32);
            let Peeled::Segment(peeled) = peel(packet.link, packet.data, packet.original_len) else { panic!() };
            let kept = Header::new(&peeled).segment(&packet).expect("nothing is rare about it");
            assert_eq!(format!("{kept:?}"), format!("{peeled:?}"));
        }
    }

    #[test]
    fn what_does_not_fit_the_kept_headers_is_peeled_again() {
        let data = ipv6();
        let packet = packet(&data, LinkType::IPV6, data.len() as u32);
        let Peeled::Segment(peeled) = peel(packet.link, packet.data, packet.original_len) else { panic!() };
        assert!(Header::new(&peeled).is_rare);
        let long = vec![0; 1 << 17];
        assert!(Header::new(&Segment { payload: &long, ..peeled }).is_rare);
        let mut partition = Partition::default();
        partition.headers.push(Header::new(&peeled));
        let again = partition.segment(0, &packet).expect("a segment");
        assert_eq!(format!("{again:?}"), format!("{peeled:?}"));
        assert!(!partition.is_put_together(0));
    }

    #[test]
    fn each_lane_has_its_packets_group_by_group() {
        let lanes = vec![3, NONE, 0, 3, 15, FRAGMENT, 0, 3, STREAM];
        let mut partition = Partition { groups: vec![0; lanes.len()], lanes, ..Partition::default() };
        partition.order_by_lane();
        assert_eq!((partition.of_lane(0), partition.of_lane(3)), (&[2, 6][..], &[0, 3, 7][..]));
        assert_eq!((partition.of_lane(15), partition.of_lane(1)), (&[4][..], &[][..]));
        assert_eq!(partition.of_lane(NONE), &[] as &[u32]);
        partition.groups = vec![5, 0, 63, 2, 0, 0, 1, 5, 0];
        partition.order_by_lane();
        assert_eq!((partition.of_lane(0), partition.of_lane(3)), (&[6, 2][..], &[3, 0, 7][..]));
    }
}
