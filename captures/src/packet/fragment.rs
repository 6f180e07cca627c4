//! Reassembly of IP fragments (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! If two fragments hold the same bytes, those that came first count. The length of a fragment that the snap length cut
//! is still known: the datagram is then returned up to its first hole, and its length field shows that more was sent.

use std::collections::{BTreeMap, HashMap};

use super::next::{FragmentHeader, V4_MAPPED};
use super::rest::Rest;
use super::skip::{Skip, Unassembled};
use crate::RawPacket;
use crate::budget::{Kind, MemoryLimit, Released};

/// What an incomplete datagram costs besides its pieces, in bytes of the memory budget.
const DATAGRAM_COST: usize = 256;

/// How many pieces a datagram may have: 65,535 bytes in the smallest packets that IPv4 hosts must take (576 bytes) are 119.
const MAX_PIECES: usize = 128;

/// After how many packets of the capture a datagram is given up. IPv4 numbers datagrams with 16 bits, so that a host
/// that sends nothing else uses a number again after 65,536 packets; this stays well below, and is far more than
/// packets are ever reordered.
const MAX_AGE: u64 = 8192;

/// The longest datagram, without its header.
const MAX_PAYLOAD: u32 = 65_535 - 20;

/// A piece of an IP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// The source address, as in [`Address`](crate::Address).
    pub source: u128,
    /// The destination address.
    pub destination: u128,
    /// The protocol of what the datagram carries; in IPv6 only the first fragment's counts.
    pub protocol: u8,
    /// The datagram's number.
    pub id: u32,
    /// Where the piece begins in what the datagram carries, in bytes.
    pub offset: u32,
    /// Whether more follows after this piece.
    pub more: bool,
    /// The piece, as far as it was captured.
    pub payload: &'a [u8],
    /// How many bytes were sent but not captured, after `payload`.
    pub cut: u32,
}

impl<'a> Fragment<'a> {
    /// The fragment that `rest` is.
    #[cold]
    pub(super) fn new(rest: Rest<'a>, header: FragmentHeader) -> Self {
        Self {
            source: rest.ends.source,
            destination: rest.ends.destination,
            protocol: header.protocol,
            id: header.id,
            offset: header.offset,
            more: header.more,
            payload: rest.data,
            cut: rest.cut,
        }
    }
}

/// Puts IP datagrams together from their fragments, within limits.
#[derive(Debug)]
pub struct Defragmenter {
    /// How many bytes may be held.
    limit: usize,
    /// Incomplete, in the order in which their first fragments came.
    datagrams: BTreeMap<u64, Datagram>,
    /// Where they are there.
    numbers: HashMap<Key, u64>,
    /// The number of the newest.
    next: u64,
    /// What all of them hold.
    bytes: usize,
    released: Released,
    /// How many fragments were dropped, by why.
    dropped: [u64; 3],
}

impl Default for Defragmenter {
    fn default() -> Self {
        Self::new(MemoryLimit::DEFAULT.fragments())
    }
}

impl Defragmenter {
    /// Holds at most `limit` bytes for incomplete datagrams: their share of the memory budget.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            datagrams: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
            bytes: 0,
            released: Released::default(),
            dropped: [0; 3],
        }
    }

    /// Takes a fragment of `packet`; returns the whole datagram, for [`peel_datagram`](super::peel_datagram), when it was
    /// the last one missing.
    ///
    /// The datagram has a new IP header without options or extension headers.
    pub fn push(&mut self, packet: &RawPacket<'_>, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        let order = packet.packet.order;
        while let Some((&oldest, datagram)) = self.datagrams.first_key_value()
            && order.saturating_sub(datagram.since) > MAX_AGE
        {
            self.drop_one(oldest, Unassembled::Incomplete);
        }
        let key = Key::of(fragment);
        let Self { datagrams, numbers, next, bytes, .. } = self;
        let no = *numbers.entry(key).or_insert_with(|| {
            *next += 1;
            *bytes += DATAGRAM_COST;
            datagrams.insert(*next, Datagram::new(key, order));
            *next
        });
        let datagram = datagrams.get_mut(&no).expect("found or just put there");
        let before = datagram.bytes;
        let insertion = datagram.insert(fragment);
        *bytes += datagram.bytes - before;
        match insertion {
            Insertion::Waiting => {}
            Insertion::Complete => return self.remove(no).map(Datagram::whole),
            Insertion::Refused => self.drop_one(no, Unassembled::Malformed),
        }
        while self.bytes > self.limit
            && let Some((&oldest, datagram)) = self.datagrams.first_key_value()
        {
            self.released.add(Kind::Fragments, datagram.bytes);
            self.drop_one(oldest, Unassembled::Crowded);
        }
        None
    }

    /// What was released because the datagrams' share of the memory budget was exceeded.
    pub const fn released(&self) -> &Released {
        &self.released
    }

    /// What was dropped until now, and how many fragments of each kind; nothing for kinds that did not occur.
    pub fn dropped(&self) -> impl Iterator<Item = (Skip, u64)> {
        [Unassembled::Incomplete, Unassembled::Crowded, Unassembled::Malformed]
            .into_iter()
            .map(|why| (Skip::Unassembled(why), self.dropped[why as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// Gives up what is still incomplete, at the end of the capture.
    pub fn finish(&mut self) {
        while let Some(&oldest) = self.datagrams.keys().next() {
            self.drop_one(oldest, Unassembled::Incomplete);
        }
    }

    fn drop_one(&mut self, no: u64, why: Unassembled) {
        if let Some(datagram) = self.remove(no) {
            self.dropped[why as usize] += datagram.fragments;
        }
    }

    fn remove(&mut self, no: u64) -> Option<Datagram> {
        let datagram = self.datagrams.remove(&no)?;
        self.numbers.remove(&datagram.key);
        self.bytes -= datagram.bytes;
        Some(datagram)
    }
}

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: u128,
    destination: u128,
    /// RFC 8200 §4.5: in IPv6 it may differ between fragments, and is not part of the key.
    protocol: Option<u8>,
    id: u32,
}

impl Key {
    fn of(fragment: &Fragment<'_>) -> Self {
        let v4 = fragment.source >> 32 == V4_MAPPED >> 32 && fragment.destination >> 32 == V4_MAPPED >> 32;
        let protocol = v4.then_some(fragment.protocol);
        Self { source: fragment.source, destination: fragment.destination, protocol, id: fragment.id }
    }
}

/// A datagram that is not complete yet.
#[derive(Debug)]
struct Datagram {
    key: Key,
    /// The packet that began it.
    since: u64,
    /// How many fragments came.
    fragments: u64,
    /// The first fragment's.
    protocol: u8,
    /// Sorted, without overlaps.
    pieces: Vec<Piece>,
    /// Where it ends, once the last fragment has come.
    end: Option<u32>,
    /// What it holds.
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    start: u32,
    end: u32,
    /// Fewer bytes than from `start` to `end` where the snap length cut it.
    data: Vec<u8>,
}

enum Insertion {
    Waiting,
    Complete,
    Refused,
}

impl Datagram {
    fn new(key: Key, since: u64) -> Self {
        Self { key, since, fragments: 0, protocol: 0, pieces: Vec::new(), end: None, bytes: DATAGRAM_COST }
    }

    fn insert(&mut self, fragment: &Fragment<'_>) -> Insertion {
        self.fragments += 1;
        let len = fragment.payload.len() as u64 + u64::from(fragment.cut);
        let end = u64::from(fragment.offset) + len;
        // RFC 8200 §4.5: all but the last are a multiple of 8 bytes long.
        if end > u64::from(MAX_PAYLOAD) || len == 0 || fragment.more && !len.is_multiple_of(8) {
            return Insertion::Refused;
        }
        let end = end as u32;
        if !fragment.more && *self.end.get_or_insert(end) != end {
            return Insertion::Refused;
        }
        if fragment.offset == 0 {
            self.protocol = fragment.protocol;
        }
        self.fill(fragment, end);
        match self.pieces.len() {
            ..=MAX_PIECES if self.is_complete() => Insertion::Complete,
            ..=MAX_PIECES => Insertion::Waiting,
            _ => Insertion::Refused,
        }
    }

    /// Puts the fragment, which ends at `end`, where there is nothing yet.
    fn fill(&mut self, fragment: &Fragment<'_>, end: u32) {
        let mut from = fragment.offset;
        let mut at = self.pieces.partition_point(|piece| piece.end <= from);
        while from < end {
            let next = self.pieces.get(at).map_or((end, end), |piece| (piece.start.min(end), piece.end));
            if from < next.0 {
                let range = (from - fragment.offset) as usize..(next.0 - fragment.offset) as usize;
                let captured = range.start.min(fragment.payload.len())..range.end.min(fragment.payload.len());
                let data = fragment.payload.get(captured).unwrap_or_default().to_vec();
                self.bytes += data.len() + size_of::<Piece>();
                self.pieces.insert(at, Piece { start: from, end: next.0, data });
                at += 1;
            }
            from = next.1;
            at += 1;
        }
    }

    fn is_complete(&self) -> bool {
        let covered = self.pieces.iter().try_fold(0, |end, piece| (piece.start == end).then_some(piece.end));
        self.end.is_some_and(|end| covered == Some(end))
    }

    /// The datagram with a header, up to the first byte that was not captured.
    fn whole(self) -> Vec<u8> {
        let len = self.end.unwrap_or_default() as u16;
        let mut bytes = match self.key.protocol {
            Some(_) => v4_header(self.key, self.protocol, len),
            None => v6_header(self.key, self.protocol, len),
        };
        for piece in self.pieces {
            bytes.extend_from_slice(&piece.data);
            if piece.data.len() < (piece.end - piece.start) as usize {
                break;
            }
        }
        bytes
    }
}

fn v4_header(key: Key, protocol: u8, len: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0]; // version, header length in words, type of service
    header.extend((len + 20).to_be_bytes());
    header.extend((key.id as u16).to_be_bytes());
    header.extend([0, 0]); // flags and offset: whole
    header.extend([64, protocol, 0, 0]); // hops, protocol, checksum
    header.extend((key.source as u32).to_be_bytes());
    header.extend((key.destination as u32).to_be_bytes());
    header
}

fn v6_header(key: Key, next: u8, len: u16) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0]; // version, class, label
    header.extend(len.to_be_bytes());
    header.extend([next, 64]); // next header, hops
    header.extend(key.source.to_be_bytes());
    header.extend(key.destination.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{PAYLOAD, TCP, V4, V6, assert_segment, ethernet, ipv4, segment, udp};
    use super::super::{Peeled, peel_datagram};
    use super::{Defragmenter, Fragment, MAX_AGE, MAX_PAYLOAD, MAX_PIECES, Skip, Unassembled};
    use crate::budget::{Kind, MemoryLimit};
    use crate::{LinkType, Packet, PacketNo, Place, RawPacket, Timestamp};

    #[test]
    fn pieces_in_any_order_give_the_datagram() {
        for (ends, template) in [(V4, v4()), (V6, Fragment { source: V6.0.ip, destination: V6.1.ip, ..v4() })] {
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let pieces = [piece(template, 0, &TCP[..8]), piece(template, 8, &TCP[8..24]), last(template, 24)];
                let mut defragmenter = Defragmenter::default();
                assert_eq!(defragmenter.push(&packet(0), &pieces[order[0]]), None);
                assert_eq!(defragmenter.push(&packet(1), &pieces[order[1]]), None);
                let whole = defragmenter.push(&packet(2), &pieces[order[2]]).expect("the last one");
                assert_segment(segment(peel_datagram(&whole)), &whole, ends, PAYLOAD.len());
                assert_eq!((defragmenter.datagrams.len(), defragmenter.bytes), (0, 0));
            }
        }
    }

    #[test]
    fn bytes_that_came_first_win() {
        let mut defragmenter = Defragmenter::default();
        assert_eq!(defragmenter.push(&packet(0), &piece(v4(), 8, &TCP[8..16])), None);
        let forged = [&TCP[..8], &[0xee; 16]].concat(); // from 0, over the piece at 8
        assert_eq!(defragmenter.push(&packet(1), &piece(v4(), 0, &forged)), None);
        let whole = defragmenter.push(&packet(2), &last(v4(), 16)).expect("the last one");
        assert_eq!(whole[20..], [&TCP[..16], &[0xee; 8], &TCP[24..]].concat());
    }

    #[test]
    fn cut_pieces_give_what_lies_before_the_cut() {
        let mut defragmenter = Defragmenter::default();
        let cut = Fragment { payload: &TCP[24..28], cut: 7, ..last(v4(), 24) };
        assert_eq!(defragmenter.push(&packet(0), &cut), None);
        let whole = defragmenter.push(&packet(1), &piece(v4(), 0, &TCP[..24])).expect("the last one");
        let found = segment(peel_datagram(&whole));
        assert_eq!((found.payload, found.cut), (&PAYLOAD[..4], 7));

        let cut = Fragment { payload: &TCP[..9], cut: 15, ..piece(v4(), 0, &[]) };
        assert_eq!(defragmenter.push(&packet(2), &cut), None);
        let whole = defragmenter.push(&packet(3), &last(v4(), 24)).expect("the last one");
        assert_eq!(whole[20..], TCP[..9], "what lies behind the hole is not there");
        assert!(matches!(peel_datagram(&whole), Peeled::Skipped(Skip::Cut(_))));
    }

    #[test]
    fn a_tunnel_whose_packets_are_fragmented_is_followed() {
        let inner = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &ethernet(0x0800, &ipv4(6, &TCP))].concat();
        let datagram = udp(4789, &inner);
        let template = Fragment { protocol: 17, ..v4() };
        let mut defragmenter = Defragmenter::default();
        assert_eq!(defragmenter.push(&packet(0), &piece(template, 0, &datagram[..48])), None);
        let rest = Fragment { offset: 48, more: false, payload: &datagram[48..], ..template };
        let whole = defragmenter.push(&packet(1), &rest).expect("the last one");
        assert_segment(segment(peel_datagram(&whole)), &whole, V4, PAYLOAD.len());
    }

    #[test]
    fn fragments_of_other_datagrams_are_kept_apart() {
        let mut defragmenter = Defragmenter::default();
        assert_eq!(defragmenter.push(&packet(0), &piece(v4(), 0, &TCP[..24])), None);
        for other in [
            Fragment { id: 8, ..v4() },
            Fragment { protocol: 17, ..v4() },
            Fragment { source: V4.1.ip, ..v4() },
            Fragment { destination: V4.0.ip, ..v4() },
        ] {
            assert_eq!(defragmenter.push(&packet(1), &last(other, 24)), None);
        }
        assert!(defragmenter.push(&packet(2), &last(v4(), 24)).is_some());
        defragmenter.finish();
        assert_eq!(dropped(&defragmenter), [(Unassembled::Incomplete, 4)]);
    }

    #[test]
    fn old_pieces_are_given_up() {
        let mut defragmenter = Defragmenter::default();
        assert_eq!(defragmenter.push(&packet(5), &piece(v4(), 0, &TCP[..24])), None);
        assert_eq!(defragmenter.push(&packet(5 + MAX_AGE + 1), &last(v4(), 24)), None);
        assert_eq!(dropped(&defragmenter), [(Unassembled::Incomplete, 1)]);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_are_released() {
        const LIMIT: usize = MemoryLimit::SMALLEST.fragments();
        for size in [8, 65_000] {
            let mut defragmenter = Defragmenter::new(LIMIT);
            let payload = vec![0; size];
            for id in 0..5000 {
                assert_eq!(defragmenter.push(&packet(0), &piece(Fragment { id, ..v4() }, 0, &payload)), None);
                assert!(defragmenter.bytes <= LIMIT);
            }
            let kept = defragmenter.datagrams.len() as u64;
            assert!(kept > 1 && kept < 5000, "{kept} of {size} bytes");
            assert_eq!(dropped(&defragmenter), [(Unassembled::Crowded, 5000 - kept)]);
            let released: Vec<_> = defragmenter.released().counts().collect();
            assert_eq!((released[0].0, released[0].1.times), (Kind::Fragments, 5000 - kept));
            let mut last = |id| {
                let rest = Fragment { id, more: false, ..piece(v4(), size as u32, &TCP[..8]) };
                defragmenter.push(&packet(1), &rest)
            };
            assert!(last(4999).is_some(), "the newest is there");
            assert_eq!(last(0), None, "the oldest is not");
        }
    }

    #[test]
    fn fragments_between_those_of_many_other_datagrams_find_each_other() {
        let mut defragmenter = Defragmenter::default();
        assert_eq!(defragmenter.push(&packet(0), &piece(v4(), 0, &TCP[..24])), None);
        for no in 1..MAX_AGE {
            let other = Fragment { id: 100 + no as u32, ..v4() };
            assert_eq!(defragmenter.push(&packet(no), &piece(other, 0, &TCP[..24])), None);
        }
        assert!(defragmenter.push(&packet(MAX_AGE), &last(v4(), 24)).is_some());
        assert!(dropped(&defragmenter).is_empty());
    }

    #[test]
    fn impossible_fragments_are_refused() {
        for bad in [
            piece(v4(), 0, &[]),
            piece(v4(), 0, &TCP[..9]),
            piece(v4(), MAX_PAYLOAD / 8 * 8, &TCP[..24]),
            Fragment { cut: u32::MAX, ..piece(v4(), 0, &TCP[..8]) },
        ] {
            let mut defragmenter = Defragmenter::default();
            assert_eq!(defragmenter.push(&packet(0), &bad), None);
            assert_eq!(dropped(&defragmenter), [(Unassembled::Malformed, 1)], "{bad:?}");
        }
        let mut two_ends = Defragmenter::default();
        assert_eq!(two_ends.push(&packet(0), &last(v4(), 24)), None);
        assert_eq!(two_ends.push(&packet(1), &Fragment { more: false, ..piece(v4(), 8, &TCP[8..16]) }), None);
        assert_eq!(dropped(&two_ends), [(Unassembled::Malformed, 2)]);
        let mut crumbs = Defragmenter::default();
        for offset in 0..=MAX_PIECES as u32 {
            assert_eq!(crumbs.push(&packet(0), &piece(v4(), offset * 8, &TCP[..8])), None);
        }
        assert_eq!(dropped(&crumbs), [(Unassembled::Malformed, MAX_PIECES as u64 + 1)]);
    }

    proptest! {
        /// Pieces of one datagram in any number, order and overlap give that datagram or none.
        #[test]
        fn fragments_in_any_order_give_the_right_bytes(cuts in proptest::collection::vec((0u32..32, 1u32..32, any::<bool>()), 1..40)) {
            let truth: Vec<u8> = (0..=255).collect();
            let mut defragmenter = Defragmenter::default();
            for (start, len, snapped) in cuts {
                let end = (start + len).min(32) * 8;
                let sent = &truth[start as usize * 8..end as usize];
                let cut = if snapped { sent.len() / 3 } else { 0 };
                let payload = &sent[..sent.len() - cut];
                let fragment = Fragment { offset: start * 8, more: end < 256, payload, cut: cut as u32, ..v4() };
                if let Some(whole) = defragmenter.push(&packet(0), &fragment) {
                    prop_assert_eq!(&whole[2..4], &276u16.to_be_bytes()[..]);
                    prop_assert!(truth.starts_with(&whole[20..]));
                }
            }
        }
    }

    /// A fragment with the addresses of the samples.
    fn v4() -> Fragment<'static> {
        let (source, destination) = (V4.0.ip, V4.1.ip);
        Fragment { source, destination, protocol: 6, id: 7, offset: 0, more: true, payload: &[], cut: 0 }
    }

    fn piece<'a>(template: Fragment<'a>, offset: u32, payload: &'a [u8]) -> Fragment<'a> {
        Fragment { offset, payload, ..template }
    }

    /// The last piece of [`TCP`], from `offset` on.
    fn last(template: Fragment<'static>, offset: u32) -> Fragment<'static> {
        Fragment { offset, more: false, payload: TCP[offset as usize..].to_vec().leak(), ..template }
    }

    fn packet(order: u64) -> RawPacket<'static> {
        RawPacket {
            packet: Packet { order, no: PacketNo::new(0, order + 1) },
            time: Timestamp::default(),
            link: LinkType::ETHERNET,
            data: &[],
            at: Place::NOWHERE,
            original_len: 0,
        }
    }

    fn dropped(defragmenter: &Defragmenter) -> Vec<(Unassembled, u64)> {
        let why = |skip| if let Skip::Unassembled(why) = skip { why } else { panic!("{skip:?}") };
        defragmenter.dropped().map(|(skip, count)| (why(skip), count)).collect()
    }
}
