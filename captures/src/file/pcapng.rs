//! pcapng blocks (draft-ietf-opsawg-pcapng).
//!
//! ```text
//!   0       4       8                       length-4  length
//!   +-------+-------+-------------- - - ------+-------+
//!   | type  |length | body, padded to 4 bytes |length |
//!   +-------+-------+-------------- - - ------+-------+
//! ```
//!
//! A block whose body is wrong is passed by. Where the two lengths differ or cannot be, the next block is looked for:
//! first behind the length given, then at every byte; one is believed when its type is known and its two lengths agree.

use std::net::IpAddr;

use super::info::Secret;
use super::record::{ByteOrder, Found, Log, Lost, Progress, Record, Window};
use crate::{LinkType, Timestamp};

/// The least block: its type and its two lengths.
const LEAST_BLOCK: usize = 12;

/// No block is longer (the largest known writers make is a packet of 16 MiB): a pipe is never read further for one.
const MAX_BLOCK: usize = 64 << 20;

/// While looking for blocks behind damage: none is longer.
const SEARCHED_BLOCK: usize = 1 << 20;

/// As many interfaces as a section may have; the obsolete packet block can name no more. Each one takes memory.
const MAX_INTERFACES: usize = 1 << 16;

/// As many names as are kept of all files together.
const MAX_NAMES: usize = 1 << 16;

/// The longest name that is kept: one of the DNS has at most 253 bytes.
const MAX_NAME: usize = 255;

/// As many bytes of secrets as are kept of all files together; a key log line has some 180.
const MAX_SECRETS: usize = 64 << 20;

/// The longest comment of a packet that is kept; the format allows for 64 KiB.
const MAX_COMMENT: usize = 4 << 10;

/// A block's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockType(u32);

impl BlockType {
    const SECTION_HEADER: Self = Self(0x0a0d_0d0a);
    const INTERFACE: Self = Self(1);
    const OBSOLETE_PACKET: Self = Self(2);
    const SIMPLE_PACKET: Self = Self(3);
    const NAMES: Self = Self(4);
    const STATISTICS: Self = Self(5);
    const ENHANCED_PACKET: Self = Self(6);
    const JOURNAL: Self = Self(9);
    const SECRETS: Self = Self(10);
    const CUSTOM: Self = Self(0x0000_0bad);
    const CUSTOM_NOT_COPIED: Self = Self(0x4000_0bad);

    /// Whether the specification knows it.
    const fn is_known(self) -> bool {
        matches!(
            self,
            Self::SECTION_HEADER
                | Self::INTERFACE
                | Self::OBSOLETE_PACKET
                | Self::SIMPLE_PACKET
                | Self::NAMES
                | Self::STATISTICS
                | Self::ENHANCED_PACKET
                | Self::JOURNAL
                | Self::SECRETS
                | Self::CUSTOM
                | Self::CUSTOM_NOT_COPIED
        )
    }
}

/// Finds the packets of one pcapng file.
#[derive(Debug)]
pub(crate) struct PcapNg {
    /// Of the section.
    order: ByteOrder,
    /// Of the section; `None` where one's description cannot be read.
    interfaces: Vec<Option<Interface>>,
    /// The time of the last packet.
    last: Timestamp,
    lost: Option<Lost>,
}

/// What an Interface Description Block says.
#[derive(Debug)]
struct Interface {
    link: u16,
    /// 0: without a limit.
    snaplen: u32,
    clock: Clock,
    /// As packets say it, each for itself.
    dropped_by_packets: u64,
    /// As the newest statistics say it.
    dropped_by_statistics: u64,
}

/// A block's bytes between its lengths.
struct Block<'a> {
    kind: BlockType,
    body: &'a [u8],
    /// Where the block begins in the file.
    at: u64,
    /// Where its body begins in the window.
    start: usize,
}

/// What stands at a place.
enum Framing {
    /// A block of so many bytes (without padding that is not counted in its length).
    Block { kind: BlockType, len: usize },
    /// It takes so many bytes to say.
    Needs(usize),
    /// No block, or a damaged one; `len` is what it claims, where that can be.
    Bad { len: Option<usize>, why: String },
}

impl PcapNg {
    pub(crate) fn new() -> Self {
        Self { order: ByteOrder::Little, interfaces: Vec::new(), last: Timestamp::default(), lost: None }
    }

    /// Finds packets from index `from` of `window` on until there are `most` in `found`.
    pub(crate) fn scan(
        &mut self,
        window: Window<'_>,
        from: usize,
        most: usize,
        found: &mut Found,
        log: &mut Log<'_>,
    ) -> Progress {
        let end = window.base + window.bytes.len() as u64;
        let mut upto = from;
        while found.records.len() < most {
            let rest = window.bytes.get(upto..).unwrap_or_default();
            let at = window.base + upto as u64;
            if self.lost.is_some() {
                match self.search(rest, at, window.ended, log) {
                    Search::Went(bytes) => upto += bytes,
                    Search::Needs(need) if !window.ended => return Progress { upto, need },
                    Search::Needs(_) => {
                        if let Some(lost) = self.lost.take() {
                            lost.ended(end, log);
                        }
                        return Progress { upto: window.bytes.len(), need: 1 };
                    }
                }
                continue;
            }
            match self.framing(rest) {
                Framing::Block { kind, len } => {
                    let body = rest.get(8..len - 4).unwrap_or_default();
                    self.block(&Block { kind, body, at, start: upto + 8 }, found, log);
                    upto += len;
                }
                Framing::Needs(need) if !window.ended => return Progress { upto, need },
                Framing::Needs(_) if self.is_cut(rest) => {
                    if !rest.is_empty() {
                        log.info.partial = true;
                        log.note(
                            at,
                            format!("the file is cut inside this block, {} bytes of it are there", rest.len()),
                        );
                    }
                    return Progress { upto: window.bytes.len(), need: 1 };
                }
                Framing::Needs(need) => {
                    let why = format!("block length {need} reaches beyond the end of the file");
                    self.lost = Some(Lost { at, why });
                }
                Framing::Bad { len, why } => {
                    match len.map(|len| (len, self.candidate(rest.get(len..).unwrap_or_default(), window.ended))) {
                        Some((len, Candidate::Yes)) => {
                            log.skip("bad block");
                            log.note(at, format!("{why}; the block is passed over"));
                            upto += len;
                        }
                        Some((len, Candidate::Needs(need))) => return Progress { upto, need: len + need },
                        _ => self.lost = Some(Lost { at, why }),
                    }
                }
            }
        }
        Progress { upto, need: 0 }
    }

    /// What `rest` begins with.
    fn framing(&self, rest: &[u8]) -> Framing {
        let Some(head) = rest.first_chunk::<LEAST_BLOCK>() else { return Framing::Needs(LEAST_BLOCK) };
        let [t0, t1, t2, t3, l0, l1, l2, l3, bom @ ..] = *head;
        let mut order = self.order;
        let kind = BlockType(order.u32([t0, t1, t2, t3]));
        if kind == BlockType::SECTION_HEADER {
            match byte_order(bom) {
                Some(section) => order = section,
                None => return Framing::Bad { len: None, why: format!("byte-order magic {bom:02x?} is not known") },
            }
        }
        let len = order.u32([l0, l1, l2, l3]);
        if (len as usize) < LEAST_BLOCK {
            return Framing::Bad { len: None, why: format!("block length {len} is shorter than its header") };
        }
        if len as usize > MAX_BLOCK {
            return Framing::Bad { len: None, why: format!("block length {len} cannot be right") };
        }
        let len = len as usize;
        match order.u32_at(rest, len - 4) {
            None => Framing::Needs(len),
            Some(trailer) if trailer as usize == len => Framing::Block { kind, len },
            Some(trailer) => {
                let why = format!("block length {len} is followed by length {trailer}");
                Framing::Bad { len: Some(len), why }
            }
        }
    }

    /// Whether a block that is not all there is cut by the end of the file, not damaged.
    fn is_cut(&self, rest: &[u8]) -> bool {
        match self.order.u32_at(rest, 0) {
            Some(kind) => BlockType(kind).is_known(),
            None => true,
        }
    }

    /// Whether a block begins here, of bytes that need not be one.
    fn candidate(&self, rest: &[u8], ended: bool) -> Candidate {
        let enough = |need| if ended { Candidate::No } else { Candidate::Needs(need) };
        match rest.first_chunk().map(|kind| BlockType(self.order.u32(*kind))) {
            Some(kind) if kind.is_known() => {}
            Some(_) => return Candidate::No,
            None if rest.is_empty() && ended => return Candidate::Yes,
            None => return enough(LEAST_BLOCK),
        }
        match self.framing(rest) {
            Framing::Block { len, .. } if len <= SEARCHED_BLOCK && len % 4 == 0 => Candidate::Yes,
            Framing::Needs(need) if need <= SEARCHED_BLOCK => enough(need),
            _ => Candidate::No,
        }
    }

    /// Looks for the place where reading can go on.
    fn search(&mut self, rest: &[u8], at: u64, ended: bool, log: &mut Log<'_>) -> Search {
        // The place that was wrong is not looked at again.
        let first = usize::from(self.lost.as_ref().is_some_and(|lost| lost.at == at));
        for start in first..rest.len() {
            match self.candidate(rest.get(start..).unwrap_or_default(), ended) {
                Candidate::No => {}
                Candidate::Yes => {
                    if let Some(lost) = self.lost.take() {
                        lost.found(at + start as u64, log);
                    }
                    return Search::Went(start);
                }
                Candidate::Needs(_) if start > first => return Search::Went(start),
                Candidate::Needs(need) => return Search::Needs(first + need),
            }
        }
        Search::Needs(rest.len() + 1)
    }

    #[inline]
    fn block(&mut self, block: &Block<'_>, found: &mut Found, log: &mut Log<'_>) {
        let done = match block.kind {
            BlockType::ENHANCED_PACKET => self.enhanced_packet(block, found, log),
            BlockType::SIMPLE_PACKET => self.simple_packet(block, found, log),
            BlockType::OBSOLETE_PACKET => self.obsolete_packet(block, found, log),
            BlockType::SECTION_HEADER => self.section_header(block, log),
            BlockType::INTERFACE => self.interface(block, log),
            BlockType::NAMES => self.names(block, log),
            BlockType::STATISTICS => self.statistics(block, log),
            BlockType::SECRETS => self.secrets(block, log),
            BlockType::CUSTOM | BlockType::CUSTOM_NOT_COPIED => {
                log.skip("custom block");
                Ok(())
            }
            BlockType::JOURNAL => {
                log.skip("systemd journal entry");
                Ok(())
            }
            _ => {
                log.skip("block of unknown type");
                Ok(())
            }
        };
        if let Err(Bad { skipped, why }) = done {
            log.skip(skipped);
            log.note(block.at, why);
        }
    }

    /// ```text
    ///   0             4      6      8            16
    ///   | byte order  |major |minor | section len | options
    /// ```
    fn section_header(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        if let Some(order) = block.body.first_chunk().and_then(|bom| byte_order(*bom)) {
            self.order = order;
        }
        self.interfaces.clear();
        let major = self.order.u16_at(block.body, 4).ok_or_else(|| Bad::short("section header", block))?;
        let minor = self.order.u16_at(block.body, 6).ok_or_else(|| Bad::short("section header", block))?;
        if major != 1 {
            log.note(block.at, format!("pcapng version {major}.{minor} is not known; read as 1.0"));
        }
        Ok(())
    }

    /// ```text
    ///   0      2      4             8
    ///   | link | res. | snaplen     | options
    /// ```
    fn interface(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;

        if self.interfaces.len() >= MAX_INTERFACES {
            let why = format!("more than {MAX_INTERFACES} interfaces in a section");
            return Err(Bad { skipped: "interface beyond the limit", why });
        }
        let (Some(link), Some(snaplen)) = (self.order.u16_at(block.body, 0), self.order.u32_at(block.body, 4)) else {
            // It keeps its number, so that those behind it have theirs.
            self.interfaces.push(None);
            return Err(Bad::short("interface description", block));
        };
        let mut resolution = 6;
        let mut offset = 0;
        for (code, value) in self.options(block.body.get(8..).unwrap_or_default()) {
            match (code, value) {
                (TIME_RESOLUTION, &[byte, ..]) => resolution = byte,
                (TIME_OFFSET, value) => {
                    if let Some(bytes) = value.first_chunk() {
                        offset = self.order.u64(*bytes) as i64;
                    }
                }
                _ => {}
            }
        }
        log.info.link_types.insert(LinkType(link));
        self.interfaces.push(Some(Interface {
            link,
            snaplen,
            clock: Clock::new(resolution, offset),
            dropped_by_packets: 0,
            dropped_by_statistics: 0,
        }));
        Ok(())
    }

    /// ```text
    ///   0             4             8             12            16            20
    ///   | interface   | time, upper | time, lower | captured    | original    | data, padding, options
    /// ```
    #[inline]
    fn enhanced_packet(&mut self, block: &Block<'_>, found: &mut Found, log: &mut Log<'_>) -> Result<(), Bad> {
        const HEAD: usize = 20;
        const DROPPED: u16 = 4;

        let Some(head) = block.body.first_chunk::<HEAD>() else { return Err(Bad::short("packet", block)) };
        let word = |at| self.order.u32_at(head, at).unwrap_or_default();
        let header = PacketHeader {
            interface: word(0) as usize,
            units: Some(u64::from(word(4)) << 32 | u64::from(word(8))),
            captured: word(12),
            original: word(16),
            head: HEAD,
        };
        let options = self.packet(block, &header, found, log)?;
        if !options.is_empty() {
            let dropped = self.packet_options(options, DROPPED, found);
            self.drop_before_packet(header.interface, dropped, log);
        }
        Ok(())
    }

    /// ```text
    ///   0      2      4             8             12            16            20
    ///   | if.  |drops | time, upper | time, lower | captured    | original    | data, padding, options
    /// ```
    fn obsolete_packet(&mut self, block: &Block<'_>, found: &mut Found, log: &mut Log<'_>) -> Result<(), Bad> {
        const HEAD: usize = 20;
        const NOT_KNOWN: u16 = 0xffff;
        const NONE: u16 = 0;

        let Some(head) = block.body.first_chunk::<HEAD>() else { return Err(Bad::short("packet", block)) };
        let word = |at| self.order.u32_at(head, at).unwrap_or_default();
        let half = |at| self.order.u16_at(head, at).unwrap_or_default();
        let header = PacketHeader {
            interface: usize::from(half(0)),
            units: Some(u64::from(word(4)) << 32 | u64::from(word(8))),
            captured: word(12),
            original: word(16),
            head: HEAD,
        };
        let dropped = half(2);
        let options = self.packet(block, &header, found, log)?;
        self.packet_options(options, NONE, found);
        if dropped != NOT_KNOWN {
            self.drop_before_packet(header.interface, u64::from(dropped), log);
        }
        Ok(())
    }

    /// ```text
    ///   0             4
    ///   | original    | data, padding
    /// ```
    ///
    /// It has no time; the time of the packet before it is taken, so that it stays at its place in time.
    fn simple_packet(&mut self, block: &Block<'_>, found: &mut Found, log: &mut Log<'_>) -> Result<(), Bad> {
        const HEAD: usize = 4;

        let Some(original) = self.order.u32_at(block.body, 0) else { return Err(Bad::short("packet", block)) };
        let snaplen = match self.interfaces.first() {
            Some(Some(Interface { snaplen: snaplen @ 1.., .. })) => *snaplen,
            _ => u32::MAX,
        };
        let captured = original.min(snaplen).min((block.body.len() - HEAD) as u32);
        let header = PacketHeader { interface: 0, units: None, captured, original, head: HEAD };
        self.packet(block, &header, found, log).map(drop)
    }

    /// Enters a packet; gives back its options.
    #[inline]
    fn packet<'a>(
        &mut self,
        block: &Block<'a>,
        header: &PacketHeader,
        found: &mut Found,
        log: &mut Log<'_>,
    ) -> Result<&'a [u8], Bad> {
        let Some(Some(interface)) = self.interfaces.get(header.interface) else {
            let why = format!("interface {} of this packet is not described", header.interface);
            return Err(Bad { skipped: "packet of an unknown interface", why });
        };
        let room = block.body.len() - header.head;
        if header.captured as usize > room {
            let why = format!("packet length {} is more than the {room} bytes of its block", header.captured);
            return Err(Bad { skipped: "bad block", why });
        }
        if let Some(units) = header.units {
            self.last = interface.clock.time(units);
        }
        found.records.push(Record {
            time: self.last,
            start: (block.start + header.head) as u64,
            len: header.captured,
            original_len: header.original.max(header.captured),
            no: log.next_packet(),
            link: interface.link,
            holder: 0,
        });
        let padded = (header.captured as usize).next_multiple_of(4);
        Ok(block.body.get(header.head + padded..).unwrap_or_default())
    }

    /// Takes the first comment of the packet that was found last; gives the value of the option `dropped`.
    fn packet_options(&self, options: &[u8], dropped: u16, found: &mut Found) -> u64 {
        const COMMENT: u16 = 1;

        let mut count = 0;
        let mut comment = None;
        for (code, value) in self.options(options) {
            if code == COMMENT && comment.is_none() {
                comment = Some(value.get(..MAX_COMMENT).unwrap_or(value));
            } else if code == dropped {
                count = value.first_chunk().map_or(count, |bytes| self.order.u64(*bytes));
            }
        }
        if let Some(comment) = comment {
            let index = found.records.len().saturating_sub(1) as u32;
            found.comments.push((index, text(comment)));
        }
        count
    }

    /// Counts packets that were dropped between two others of an interface.
    fn drop_before_packet(&mut self, interface: usize, dropped: u64, log: &mut Log<'_>) {
        if let Some(Some(interface)) = self.interfaces.get_mut(interface) {
            let before = interface.dropped();
            interface.dropped_by_packets = interface.dropped_by_packets.saturating_add(dropped);
            log.info.dropped = log.info.dropped.saturating_add(interface.dropped() - before);
        }
    }

    /// ```text
    ///   0             4             8             12
    ///   | interface   | time, upper | time, lower | options
    /// ```
    fn statistics(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        const DROPPED_BY_INTERFACE: u16 = 5;
        const DROPPED_BY_SYSTEM: u16 = 7;

        let (Some(number), Some(options)) = (self.order.u32_at(block.body, 0), block.body.get(12..)) else {
            return Err(Bad::short("interface statistics", block));
        };
        let mut dropped = 0_u64;
        for (code, value) in self.options(options) {
            if let (DROPPED_BY_INTERFACE | DROPPED_BY_SYSTEM, Some(bytes)) = (code, value.first_chunk()) {
                dropped = dropped.saturating_add(self.order.u64(*bytes));
            }
        }
        match self.interfaces.get_mut(number as usize) {
            Some(Some(interface)) => {
                let before = interface.dropped();
                interface.dropped_by_statistics = interface.dropped_by_statistics.max(dropped);
                log.info.dropped = log.info.dropped.saturating_add(interface.dropped() - before);
                Ok(())
            }
            _ => {
                let why = format!("interface {number} of these statistics is not described");
                Err(Bad { skipped: "statistics of an unknown interface", why })
            }
        }
    }

    /// Records of `type (2), length (2), address, names each with a NUL behind it, padding`, the last of type 0.
    fn names(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        const IPV4: u16 = 1;
        const IPV6: u16 = 2;

        // They are laid out as options are.
        for (kind, value) in self.options(block.body) {
            let (addr, names) = match kind {
                IPV4 => match value.split_first_chunk::<4>() {
                    Some((addr, names)) => (IpAddr::from(*addr), names),
                    None => continue,
                },
                IPV6 => match value.split_first_chunk::<16>() {
                    Some((addr, names)) => (IpAddr::from(*addr), names),
                    None => continue,
                },
                _ => continue,
            };
            let name = names.split(|&byte| byte == 0).next().unwrap_or_default();
            if (1..=MAX_NAME).contains(&name.len()) && log.known.names.len() < MAX_NAMES {
                log.known.names.entry(addr).or_insert_with(|| text(name));
            }
        }
        Ok(())
    }

    /// ```text
    ///   0             4             8
    ///   | what        | length      | secrets, padding, options
    /// ```
    fn secrets(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        let (Some(kind), Some(len)) = (self.order.u32_at(block.body, 0), self.order.u32_at(block.body, 4)) else {
            return Err(Bad::short("decryption secrets", block));
        };
        let Some(bytes) = block.body.get(8..).and_then(|rest| rest.get(..len as usize)) else {
            let why = format!("secrets of length {len} do not fit into their block");
            return Err(Bad { skipped: "bad block", why });
        };
        if log.known.secret_bytes + bytes.len() > MAX_SECRETS {
            let why = format!("more than {MAX_SECRETS} bytes of secrets");
            return Err(Bad { skipped: "secrets beyond the limit", why });
        }
        log.known.secret_bytes += bytes.len();
        log.known.secrets.push(Secret { file: log.file, kind, bytes: bytes.to_vec() });
        Ok(())
    }

    fn options<'a>(&self, bytes: &'a [u8]) -> Options<'a> {
        Options { order: self.order, bytes }
    }
}

impl Interface {
    /// Packets count each drop where it was, statistics all of them; where both speak they speak of the same.
    fn dropped(&self) -> u64 {
        self.dropped_by_packets.max(self.dropped_by_statistics)
    }
}

/// What stands before the data of each kind of packet block.
struct PacketHeader {
    interface: usize,
    /// The time in units of its interface.
    units: Option<u64>,
    captured: u32,
    original: u32,
    /// How long it is.
    head: usize,
}

/// A block that is passed by.
struct Bad {
    /// What it is counted as.
    skipped: &'static str,
    why: String,
}

impl Bad {
    #[cold]
    fn short(what: &str, block: &Block<'_>) -> Self {
        Self { skipped: "bad block", why: format!("{} bytes are too few for a {what} block", block.body.len() + 12) }
    }
}

/// Whether a block begins at some place.
enum Candidate {
    Yes,
    No,
    /// It takes so many bytes to say.
    Needs(usize),
}

/// What came of looking for the next block.
enum Search {
    /// So many bytes are done with.
    Went(usize),
    /// So many bytes from the present place on are needed.
    Needs(usize),
}

/// The options of a block: `code (2), length (2), value, padding to 4 bytes`, up to code 0 or the end.
struct Options<'a> {
    order: ByteOrder,
    bytes: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.order.u16_at(self.bytes, 0).filter(|&code| code != 0)?;
        let len = usize::from(self.order.u16_at(self.bytes, 2)?);
        let value = self.bytes.get(4..4 + len)?;
        self.bytes = self.bytes.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

/// How an interface counts time.
#[derive(Debug)]
struct Clock {
    /// Nanoseconds in a unit, where that is a whole number; 0 where it is not.
    nanos_per_unit: i64,
    /// `offset` in nanoseconds.
    offset_nanos: i64,
    units_per_second: u64,
    /// For units so small that a second has more of them than can be counted: so many are taken as one.
    units_as_one: u64,
    /// In seconds.
    offset: i64,
}

impl Clock {
    /// From the value of `if_tsresol` (the upper bit: a negative power of 2, else of 10) and of `if_tsoffset`.
    fn new(resolution: u8, offset: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
        // What fits in 64 bits.
        let most = if base == 10 { 19 } else { 63 };
        let units_per_second = base.pow(exponent.min(most));
        let units_as_one = base.checked_pow(exponent.saturating_sub(most)).unwrap_or(u64::MAX);
        let offset_nanos = offset.checked_mul(1_000_000_000);
        let nanos_per_unit = match (offset_nanos, 1_000_000_000 % units_per_second) {
            (Some(_), 0) => (1_000_000_000 / units_per_second) as i64,
            _ => 0,
        };
        Self { nanos_per_unit, offset_nanos: offset_nanos.unwrap_or_default(), units_per_second, units_as_one, offset }
    }

    #[inline]
    fn time(&self, units: u64) -> Timestamp {
        if self.nanos_per_unit != 0
            && let Ok(units) = i64::try_from(units)
            && let Some(nanos) = units.checked_mul(self.nanos_per_unit)
            && let Some(nanos) = nanos.checked_add(self.offset_nanos)
        {
            return Timestamp::from_nanos(nanos);
        }
        Timestamp::from_units(units / self.units_as_one, self.units_per_second, self.offset)
    }
}

fn byte_order(magic: [u8; 4]) -> Option<ByteOrder> {
    match magic {
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(ByteOrder::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(ByteOrder::Big),
        _ => None,
    }
}

/// Text of the capture; some writers count the NUL behind it.
fn text(bytes: &[u8]) -> Box<str> {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into()
}
