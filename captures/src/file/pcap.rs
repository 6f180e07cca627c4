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
//! Records have nothing by which they could be told from other bytes. A length that cannot be right is damage: the
//! next place is looked for where several records in a row look right.

use super::record::{Found, Log, Lost, Progress, Record, Window};
use super::sniff::PcapKind;
use crate::{LinkType, Timestamp};

/// The length of the header of a file.
const FILE_HEADER: usize = 24;

/// A packet up to this length is taken as its header says. (`tcpdump` captures at most 256 KiB of one; files of other
/// tools hold larger ones.)
const TRUSTED_PACKET: usize = 1 << 20;

/// No packet is longer: a pipe is never read further than this for one.
const MAX_PACKET: usize = 64 << 20;

/// While looking for records behind damage: no packet is longer. The less is possible, the less chance is mistaken.
const SEARCHED_PACKET: u32 = 256 << 10;

/// While looking for records behind damage: how far their times may lie from the last one before it, in seconds.
const SEARCHED_SECONDS: u32 = 7 * 24 * 60 * 60;

/// While looking for records behind damage: so many in a row must look right.
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
        found: &mut Found,
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
        self.link = self.kind.order.u32_at(header, 20).unwrap_or_default() as u16;
        log.info.link_types.insert(LinkType(self.link));
        self.begun = true;
        Step::Went(FILE_HEADER)
    }

    /// The records that follow on each other from `upto` on.
    fn records(
        &mut self,
        window: Window<'_>,
        upto: &mut usize,
        most: usize,
        found: &mut Found,
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
                start: (*upto + header_len) as u64,
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

    /// Whether a record or the end of the file stands at index `at` of `rest`; `None` before that can be seen.
    fn follows(&self, rest: &[u8], at: usize, ended: bool) -> Option<bool> {
        match rest.get(at..) {
            Some([]) if ended => Some(true),
            Some(next) => match self.header(next) {
                Some(header) => Some(self.looks_right(&header)),
                None => ended.then_some(false),
            },
            None => ended.then_some(false),
        }
    }

    fn lose(&mut self, at: u64, captured: usize) -> Step {
        self.lost = Some(Lost { at, why: format!("packet length {captured} cannot be right") });
        Step::Went(0)
    }

    /// Whether bytes that need not be a header are one.
    fn looks_right(&self, header: &Header) -> bool {
        let second = if self.kind.nanos { 1_000_000_000 } else { 1_000_000 };
        header.fraction < second
            && (1..=SEARCHED_PACKET).contains(&header.captured)
            && header.captured <= header.original
            && header.original <= SEARCHED_PACKET
            && self.last.is_none_or(|last| header.seconds.abs_diff(last) <= SEARCHED_SECONDS)
    }

    /// Looks for the place where reading can go on.
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
            if !self.looks_right(&header) {
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
