//! pcap records (draft-ietf-opsawg-pcap).
//!
//! ```text
//!   0       4       8      12      16      20      24
//!   +-------+---+---+-------+-------+-------+-------+      +-------+-------+-------+-------+--------- - -
//!   | magic |maj|min|     reserved  |snaplen| link  |  ... |seconds|  frac |caplen |  len  | data
//!   +-------+---+---+-------+-------+-------+-------+      +-------+-------+-------+-------+--------- - -
//!   the file's header, once                                a record, as often as there are packets
//! ```
//!
//! Nothing distinguishes records from other bytes. An impossible length is damage: the
//! next place is looked for where several records in a row look right.

use super::record::{Log, Lost, Progress, Record, RecordList, Window};
use super::sniff::PcapKind;
use crate::{LinkType, Timestamp};

/// The length of the header of a file.
const FILE_HEADER: usize = 24;

/// The length in a header is trusted up to this. (`tcpdump` captures at most 256 KiB of one; files of other
/// tools hold larger ones.)
const TRUSTED_PACKET: usize = 1 << 20;

/// No packet is longer: a pipe is never read further than this for one.
const MAX_PACKET: usize = 64 << 20;

/// While looking for records after damage: no packet is longer. The less is possible, the less chance is mistaken.
const SEARCHED_PACKET: u32 = 256 << 10;

/// While looking for records after damage: how far their times may lie from the last one before it, in seconds.
const SEARCHED_SECONDS: u32 = 7 * 24 * 60 * 60;

/// While looking for records after damage: so many in a row must look right.
const SEARCHED_CHAIN: usize = 3;

/// Finds the records of one pcap file.
#[derive(Debug)]
pub(crate) struct Pcap {
    kind: PcapKind,
    /// The header was read.
    begun: bool,
    link: u16,
    /// The seconds of the last packet.
    last: Option<u32>,
    lost: Option<Lost>,
}

/// The numbers before a packet.
struct Header {
    seconds: u32,
    fraction: u32,
    captured: u32,
    original: u32,
}

impl Pcap {
    pub(crate) fn new(kind: PcapKind) -> Self {
        Self { kind, begun: false, link: 0, last: None, lost: None }
    }

    /// Finds records from index `from` of `window` on until there are `most` in `found`.
    pub(crate) fn scan(
        &mut self,
        window: Window<'_>,
        from: usize,
        most: usize,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Progress {
        let mut upto = from;
        loop {
            let rest = window.bytes.get(upto..).unwrap_or_default();
            let at = window.base + upto as u64;
            let step = if !self.begun {
                self.file_header(rest, at, log)
            } else if self.lost.is_some() {
                self.search(rest, at, window.ended, log)
            } else {
                self.records(window, &mut upto, most, found, log)
            };
            match step {
                Step::Went(bytes) => upto += bytes,
                Step::Full => return Progress { upto, need: 0 },
                Step::Needs(need) if !window.ended => return Progress { upto, need },
                Step::Needs(_) => {
                    let end = window.base + window.bytes.len() as u64;
                    self.ended(window.base + upto as u64, end, log);
                    return Progress { upto: window.bytes.len(), need: 1 };
                }
            }
        }
    }

    fn file_header(&mut self, rest: &[u8], at: u64, log: &mut Log<'_>) -> Step {
        let Some(header) = rest.first_chunk::<FILE_HEADER>() else { return Step::Needs(FILE_HEADER) };
        let major = self.kind.order.u16_at(header, 4).unwrap_or_default();
        if major != 2 {
            let minor = self.kind.order.u16_at(header, 6).unwrap_or_default();
            log.note(at, format!("pcap version {major}.{minor} is not known; read as 2.4"));
        }
        // The upper half of the word has the length of a frame check sequence and reserved bits.
        let link = LinkType::declared(self.kind.order.u32_at(header, 20).unwrap_or_default() as u16);
        self.link = link.0;
        log.info.link_types.insert(link);
        log.info.has_decimals(if self.kind.nanos { 9 } else { 6 });
        self.begun = true;
        Step::Went(FILE_HEADER)
    }

    /// The records that follow on each other from `upto` on.
    fn records(
        &mut self,
        window: Window<'_>,
        upto: &mut usize,
        most: usize,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Step {
        let header_len = self.header_len();
        let nanos_per_unit = if self.kind.nanos { 1 } else { 1_000 };
        while found.records.len() < most {
            let rest = window.bytes.get(*upto..).unwrap_or_default();
            let Some(header) = self.header(rest) else { return Step::Needs(header_len) };
            let captured = header.captured as usize;
            if captured > MAX_PACKET {
                return self.lose(window.base + *upto as u64, captured);
            }
            if captured > TRUSTED_PACKET {
                match self.follows(rest, header_len + captured, window.ended) {
                    Some(true) => {}
                    Some(false) => return self.lose(window.base + *upto as u64, captured),
                    None => return Step::Needs(header_len + captured + header_len),
                }
            }
            if rest.len() < header_len + captured {
                return Step::Needs(header_len + captured);
            }
            self.last = Some(header.seconds);
            let nanos = i64::from(header.seconds) * 1_000_000_000 + i64::from(header.fraction) * nanos_per_unit;
            found.records.push(Record {
                time: Timestamp::from_nanos(nanos),
                start: (*upto + header_len) as u32,
                len: header.captured,
                original_len: header.original.max(header.captured),
                no: log.next_packet(),
                link: self.link,
                holder: 0,
            });
            *upto += header_len + captured;
        }
        Step::Full
    }

    fn header_len(&self) -> usize {
        if self.kind.modified { 24 } else { 16 }
    }

    /// The header that `bytes` begins with, as it is.
    #[inline]
    fn header(&self, bytes: &[u8]) -> Option<Header> {
        if self.kind.modified && bytes.len() < 24 {
            return None;
        }
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, o0, o1, o2, o3] = *bytes.first_chunk::<16>()?;
        let order = self.kind.order;
        Some(Header {
            seconds: order.u32([s0, s1, s2, s3]),
            fraction: order.u32([f0, f1, f2, f3]),
            captured: order.u32([c0, c1, c2, c3]),
            original: order.u32([o0, o1, o2, o3]),
        })
    }

    /// Whether a record or the end of the file is at index `at` of `rest`; `None` before that can be seen.
    fn follows(&self, rest: &[u8], at: usize, ended: bool) -> Option<bool> {
        match rest.get(at..) {
            Some([]) if ended => Some(true),
            Some(next) => match self.header(next) {
                Some(header) => Some(self.looks_right(&header, MAX_PACKET as u32)),
                None => ended.then_some(false),
            },
            None => ended.then_some(false),
        }
    }

    fn lose(&mut self, at: u64, captured: usize) -> Step {
        self.lost = Some(Lost { at, why: format!("packet length {captured} cannot be right") });
        Step::Went(0)
    }

    /// Whether bytes that need not be a header are one, of a packet not longer than `most`.
    fn looks_right(&self, header: &Header, most: u32) -> bool {
        let second = if self.kind.nanos { 1_000_000_000 } else { 1_000_000 };
        header.fraction < second
            && (1..=most).contains(&header.captured)
            && (header.captured..=most).contains(&header.original)
            && self.last.is_none_or(|last| header.seconds.abs_diff(last) <= SEARCHED_SECONDS)
    }

    /// Looks for the place where reading can continue.
    fn search(&mut self, rest: &[u8], at: u64, ended: bool, log: &mut Log<'_>) -> Step {
        // The place that was wrong is not looked at again.
        let first = usize::from(self.lost.as_ref().is_some_and(|lost| lost.at == at));
        for start in first..rest.len() {
            match self.chain(rest.get(start..).unwrap_or_default(), ended) {
                Chain::No => {}
                Chain::Yes => {
                    if let Some(lost) = self.lost.take() {
                        lost.found(at + start as u64, log);
                    }
                    return Step::Went(start);
                }
                Chain::Needs(_) if start > first => return Step::Went(start),
                Chain::Needs(need) => return Step::Needs(first + need),
            }
        }
        Step::Needs(rest.len() + 1)
    }

    /// Whether so many records in a row as are enough begin here.
    fn chain(&self, bytes: &[u8], ended: bool) -> Chain {
        let header_len = self.header_len();
        let mut at = 0;
        for seen in 0..SEARCHED_CHAIN {
            if at == bytes.len() && ended && seen > 0 {
                return Chain::Yes;
            }
            let Some(header) = bytes.get(at..).and_then(|rest| self.header(rest)) else {
                return if ended { Chain::No } else { Chain::Needs(at + header_len) };
            };
            if !self.looks_right(&header, SEARCHED_PACKET) {
                return Chain::No;
            }
            at += header_len + header.captured as usize;
        }
        match at <= bytes.len() || ended {
            true => Chain::Yes,
            false => Chain::Needs(at),
        }
    }

    /// Says what the file ends in the middle of, if in anything.
    fn ended(&mut self, at: u64, end: u64, log: &mut Log<'_>) {
        if let Some(lost) = self.lost.take() {
            lost.ended(end, log);
        } else if !self.begun {
            log.info.partial = true;
            log.note(at, format!("the file is cut inside its header, {} bytes of it are there", end - at));
        } else if at < end {
            log.info.partial = true;
            log.note(at, format!("the file is cut inside this packet, {} bytes of it are there", end - at));
        }
    }
}

/// What came of looking at bytes once.
enum Step {
    /// So many bytes are done with.
    Went(usize),
    /// Enough packets were found.
    Full,
    /// So many bytes from the present place on are needed.
    Needs(usize),
}

/// Whether records begin at some place.
enum Chain {
    Yes,
    No,
    /// It takes so many bytes to say.
    Needs(usize),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::ByteOrder;
    use super::super::testing::{Bytes, Outcome, read, read_by};
    use super::*;

    const BOTH: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    fn header(order: ByteOrder, magic: u32) -> Bytes {
        let mut bytes = Bytes::new(order);
        bytes
            .u32(magic) // magic
            .u16(2) // major version
            .u16(4) // minor version
            .u32(0) // reserved
            .u32(0) // reserved
            .u32(262_144) // snap length
            .u32(0x1400_0071); // 4 bytes of frame check sequence, Linux cooked
        bytes
    }

    fn record(bytes: &mut Bytes, seconds: u32, fraction: u32, data: &[u8], original: u32) {
        bytes
            .u32(seconds) // seconds
            .u32(fraction) // fraction of a second
            .u32(data.len() as u32) // captured length
            .u32(original) // original length
            .raw(data);
    }

    /// Three packets; the lengths of the file up to after each of them.
    fn three(order: ByteOrder, magic: u32) -> (Vec<u8>, [usize; 3]) {
        let mut bytes = header(order, magic);
        record(&mut bytes, 1_700_000_000, 5, b"one", 3);
        let first = bytes.bytes.len();
        record(&mut bytes, 1_700_000_001, 6, b"two, cut", 1500);
        let second = bytes.bytes.len();
        record(&mut bytes, 1_700_000_000, 7, b"", 0);
        let third = bytes.bytes.len();
        (bytes.bytes, [first, second, third])
    }

    fn times(outcome: &Outcome) -> Vec<i64> {
        outcome.packets.iter().map(|packet| packet.nanos - 1_700_000_000_000_000_000).collect()
    }

    #[test]
    fn both_orders_and_both_resolutions() {
        for order in BOTH {
            for (magic, unit) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
                let outcome = read(&three(order, magic).0);
                assert_eq!(outcome.data(), [&b"one"[..], b"two, cut", b""]);
                assert_eq!(times(&outcome), [5 * unit, 1_000_000_000 + 6 * unit, 7 * unit]);
                assert_eq!(outcome.packets[1].original_len, 1500);
                assert_eq!(outcome.packets.iter().map(|packet| packet.number).collect::<Vec<_>>(), [1, 2, 3]);
                assert!(outcome.packets.iter().all(|packet| packet.link == 113));
                assert_eq!(outcome.info.link_types, [LinkType::LINUX_SLL].into());
                assert_eq!((outcome.notes(), outcome.info.partial), (vec![], false));
            }
        }
    }

    #[test]
    fn modified_records_have_eight_bytes_more() {
        for order in BOTH {
            let mut bytes = header(order, 0xa1b2_cd34);
            for data in [b"one", b"two"] {
                bytes
                    .u32(1_700_000_000) // seconds
                    .u32(9) // microseconds
                    .u32(3) // captured length
                    .u32(3) // original length
                    .u32(2) // interface
                    .u16(0x0800) // protocol
                    .raw(&[4, 0]) // kind of packet, padding
                    .raw(data);
            }
            let outcome = read_by(&bytes.bytes, 1);
            assert_eq!(outcome.data(), [b"one", b"two"]);
            assert_eq!(times(&outcome), [9_000, 9_000]);
        }
    }

    #[test]
    fn a_header_alone_is_a_capture() {
        let outcome = read(&header(ByteOrder::Big, 0xa1b2_c3d4).bytes);
        assert_eq!((outcome.packets.len(), outcome.notes(), outcome.info.partial), (0, vec![], false));
    }

    #[test]
    fn a_cut_file_gives_everything_before_the_cut() {
        let (bytes, ends) = three(ByteOrder::Little, 0xa1b2_c3d4);
        for cut in 1..=bytes.len() {
            let outcome = match crate::file::CaptureReader::from_reader(
                Box::new(std::io::Cursor::new(bytes[..cut].to_vec())),
                "",
            ) {
                Ok(reading) => super::super::testing::finish(reading),
                Err(error) => {
                    assert!(cut < 4, "{error}");
                    continue;
                }
            };
            assert_eq!(outcome.packets.len(), ends.iter().filter(|&&end| end <= cut).count(), "cut at {cut}");
            let between = cut == FILE_HEADER || ends.contains(&cut);
            assert_eq!(outcome.info.partial, !between, "cut at {cut}");
            assert_eq!(outcome.info.notes.len(), usize::from(!between), "cut at {cut}");
        }
        let outcome = read(&bytes[..ends[0] + 20]);
        assert_eq!(
            outcome.notes(),
            ["packet 2 at byte 0x2b: the file is cut inside this packet, 20 bytes of it are there"]
        );
    }

    #[test]
    fn reading_goes_on_behind_damage() {
        let mut bytes = header(ByteOrder::Little, 0xa1b2_c3d4);
        for n in 0..10_u32 {
            if n == 4 {
                bytes.u32(1_700_000_000).u32(1).u32(0xffff_fff0).u32(60).raw(&[0x55; 60]);
            }
            record(&mut bytes, 1_700_000_000 + n, 1, &[n as u8; 100], 100);
        }
        for step in [1, 7, usize::MAX] {
            let outcome = read_by(&bytes.bytes, step);
            assert_eq!(outcome.packets.len(), 10, "{outcome:?}");
            let note = "packet 5 at byte 0x1e8: packet length 4294967280 cannot be right; 76 bytes are skipped";
            assert_eq!(outcome.notes(), [note]);
            assert_eq!(outcome.skipped("damaged bytes"), 1);
            assert!(!outcome.info.partial);
        }
    }

    #[test]
    fn damage_up_to_the_end_is_said() {
        let mut bytes = header(ByteOrder::Little, 0xa1b2_c3d4);
        record(&mut bytes, 1_700_000_000, 1, b"good", 4);
        bytes.raw(&[0xff; 100]);
        let outcome = read(&bytes.bytes);
        assert_eq!(outcome.packets.len(), 1);
        assert!(outcome.info.partial);
        let note = "packet 2 at byte 0x2c: packet length 4294967295 cannot be right; nothing more is found in the 100 bytes to the end";
        assert_eq!(outcome.notes(), [note]);
    }

    #[test]
    fn a_large_packet_is_believed_when_another_follows() {
        let large = vec![7; TRUSTED_PACKET + 1];
        let mut bytes = header(ByteOrder::Little, 0xa1b2_c3d4);
        record(&mut bytes, 1_700_000_000, 1, &large, large.len() as u32);
        record(&mut bytes, 1_700_000_000, 1, &large, large.len() as u32);
        record(&mut bytes, 1_700_000_000, 1, b"next", 4);
        record(&mut bytes, 1_700_000_000, 1, &large, large.len() as u32);
        let outcome = read_by(&bytes.bytes, 100_000);
        assert!(outcome.data() == [&large[..], &large, b"next", &large]);
        assert_eq!(outcome.notes(), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_read_the_same_however_they_come(
            damage in proptest::collection::vec((24_usize..400, any::<u8>()), 0..6),
            step in 1_usize..60,
            noise in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut bytes = header(ByteOrder::Big, 0xa1b2_3c4d);
            for n in 0..12_u32 {
                record(&mut bytes, 1_700_000_000 + n, 1, &vec![n as u8; 9 * n as usize % 31], 40);
            }
            let mut bytes = bytes.bytes;
            for (at, value) in damage {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.extend(noise);
            let (whole, parts) = (read(&bytes), read_by(&bytes, step));
            prop_assert_eq!(whole.notes(), parts.notes());
            prop_assert_eq!(whole.packets, parts.packets);
            prop_assert_eq!(whole.info.partial, parts.info.partial);
        }

        #[test]
        fn no_bytes_do_harm(noise in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let mut bytes = header(ByteOrder::Little, 0xa1b2_cd34);
            bytes.raw(&noise);
            let outcome = read_by(&bytes.bytes, 64);
            prop_assert!(outcome.packets.iter().map(|packet| packet.data.len()).sum::<usize>() <= noise.len());
        }
    }
}
