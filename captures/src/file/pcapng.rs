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
        let (kind, order, len) = self.head(*head);
        let Some(order) = order else {
            return Framing::Bad { len: None, why: "byte-order magic of this section is not known".to_owned() };
        };
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

    /// The type and the length of a block, and the byte order that the latter is read by, where that is known.
    #[inline]
    fn head(&self, head: [u8; LEAST_BLOCK]) -> (BlockType, Option<ByteOrder>, u32) {
        let [t0, t1, t2, t3, l0, l1, l2, l3, magic @ ..] = head;
        let kind = BlockType(self.order.u32([t0, t1, t2, t3]));
        let order = match kind {
            // Its own order comes first in it; the type reads the same either way.
            BlockType::SECTION_HEADER => byte_order(magic),
            _ => Some(self.order),
        };
        (kind, order, order.unwrap_or(self.order).u32([l0, l1, l2, l3]))
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
        let Some(head) = rest.first_chunk::<LEAST_BLOCK>() else {
            return if rest.is_empty() && ended { Candidate::Yes } else { enough(LEAST_BLOCK) };
        };
        let (kind, order, len) = self.head(*head);
        let (Some(order), 0) = (order, len % 4) else { return Candidate::No };
        if !kind.is_known() || !(LEAST_BLOCK..=SEARCHED_BLOCK).contains(&(len as usize)) {
            return Candidate::No;
        }
        match order.u32_at(rest, len as usize - 4) {
            Some(trailer) if trailer == len => Candidate::Yes,
            Some(_) => Candidate::No,
            None => enough(len as usize),
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
        let link = LinkType::declared(link).0;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Bytes, finish, read, read_by};
    use super::*;
    use crate::file::Reading;

    const BOTH: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    /// A file in the making.
    struct File(Bytes);

    impl File {
        /// With a section header.
        fn new(order: ByteOrder) -> Self {
            let mut file = Self(Bytes::new(order));
            file.section(order);
            file
        }

        fn section(&mut self, order: ByteOrder) {
            self.0.order = order;
            self.block(0x0a0d_0d0a, |body| {
                body.u32(0x1a2b_3c4d) // byte order
                    .u16(1) // major version
                    .u16(0) // minor version
                    .u64(u64::MAX); // length of the section: not known
            });
        }

        fn block(&mut self, kind: u32, write: impl FnOnce(&mut Bytes)) {
            let mut body = Bytes::new(self.0.order);
            write(&mut body);
            body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
            let len = body.bytes.len() as u32 + 12;
            self.0
                .u32(kind) // type
                .u32(len) // length
                .raw(&body.bytes)
                .u32(len); // length again
        }

        /// Microseconds, no snap length.
        fn interface(&mut self, link: u16) {
            self.interface_with(link, 0, |_| {});
        }

        fn interface_with(&mut self, link: u16, snaplen: u32, options: impl FnOnce(&mut Bytes)) {
            self.block(1, |body| {
                body.u16(link) // link type
                    .u16(0) // reserved
                    .u32(snaplen); // snap length
                options(body);
            });
        }

        fn packet(&mut self, interface: u32, units: u64, data: &[u8]) {
            self.packet_with(interface, units, data, |_| {});
        }

        fn packet_with(&mut self, interface: u32, units: u64, data: &[u8], options: impl FnOnce(&mut Bytes)) {
            self.block(6, |body| {
                body.u32(interface) // interface
                    .u32((units >> 32) as u32) // time, upper half
                    .u32(units as u32) // time, lower half
                    .u32(data.len() as u32) // captured length
                    .u32(data.len() as u32 + 2) // original length
                    .raw(data);
                body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
                options(body);
            });
        }

        fn bytes(&self) -> &[u8] {
            &self.0.bytes
        }
    }

    fn option(body: &mut Bytes, code: u16, write: impl FnOnce(&mut Bytes)) {
        let mut value = Bytes::new(body.order);
        write(&mut value);
        body.u16(code) // code
            .u16(value.bytes.len() as u16) // length
            .raw(&value.bytes);
        body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
    }

    #[test]
    fn enhanced_packets_have_interface_time_lengths_and_options() {
        for order in BOTH {
            let mut file = File::new(order);
            file.interface(1);
            file.interface(113);
            file.packet(1, 0x0006_0000_0000_0001, b"abcde");
            file.packet_with(0, 5, b"abcd", |body| {
                option(body, 2, |value| _ = value.u32(1)); // flags
                option(body, 1, |value| _ = value.raw(b"first\0")); // comment
                option(body, 1, |value| _ = value.raw(b"second")); // comment
                option(body, 4, |value| _ = value.u64(3)); // packets dropped before this one
                option(body, 0, |_| {}); // end of options
            });
            let outcome = read(file.bytes());
            assert_eq!(outcome.data(), [&b"abcde"[..], b"abcd"]);
            let [first, second] = &*outcome.packets else { panic!("{outcome:?}") };
            assert_eq!((first.number, first.link, first.nanos), (1, 113, 0x0006_0000_0000_0001 * 1_000));
            assert_eq!((first.original_len, first.comment.as_deref()), (7, None));
            assert_eq!((second.number, second.link, second.nanos), (2, 1, 5_000));
            assert_eq!(second.comment.as_deref(), Some("first"));
            assert_eq!(outcome.info.dropped, 3);
            assert_eq!(outcome.info.link_types, [LinkType::ETHERNET, LinkType::LINUX_SLL].into());
            assert_eq!((outcome.notes(), outcome.info.partial), (vec![], false));
        }
    }

    #[test]
    fn simple_packets_are_cut_by_the_snap_length_and_have_the_time_before() {
        for order in BOTH {
            let mut file = File::new(order);
            file.interface_with(1, 5, |_| {});
            file.packet(0, 77, b"x");
            file.block(3, |body| {
                body.u32(9) // original length
                    .raw(b"abcde");
            });
            file.block(3, |body| {
                body.u32(2) // original length
                    .raw(b"fg");
            });
            let outcome = read(file.bytes());
            assert_eq!(outcome.data(), [&b"x"[..], b"abcde", b"fg"]);
            assert_eq!(outcome.packets[1].original_len, 9);
            assert!(outcome.packets.iter().all(|packet| packet.nanos == 77_000));
        }
    }

    #[test]
    fn obsolete_packets_count_what_was_dropped() {
        for order in BOTH {
            let mut file = File::new(order);
            file.interface(1);
            for (drops, data) in [(2, b"abc"), (0xffff, b"def")] {
                file.block(2, |body| {
                    body.u16(0) // interface
                        .u16(drops) // packets dropped before this one; 0xffff: not known
                        .u32(1) // time, upper half
                        .u32(2) // time, lower half
                        .u32(3) // captured length
                        .u32(1500) // original length
                        .raw(data)
                        .raw(&[0]); // padding
                    option(body, 1, |value| _ = value.raw(b"old"));
                });
            }
            let outcome = read(file.bytes());
            assert_eq!(outcome.data(), [b"abc", b"def"]);
            assert_eq!((outcome.packets[0].nanos, outcome.packets[0].original_len), ((1 << 32 | 2) * 1_000, 1500));
            assert_eq!(outcome.packets[1].comment.as_deref(), Some("old"));
            assert_eq!(outcome.info.dropped, 2);
        }
    }

    #[test]
    fn resolutions_are_powers_of_10_and_of_2() {
        // (if_tsresol, if_tsoffset, units, nanoseconds)
        let cases = [
            (None, 0, 1_700_000_000_000_001, 1_700_000_000_000_001_000),
            (Some(9), 0, 1_700_000_000_000_000_001, 1_700_000_000_000_000_001),
            (Some(3), 0, 1_700_000_000_001, 1_700_000_000_001_000_000),
            (Some(0), 0, 7, 7_000_000_000),
            (Some(6), 1_700_000_000, 3, 1_700_000_000_000_003_000),
            (Some(6), -1, 3, -999_997_000),
            (Some(12), 0, 5_000_000_001_999, 5_000_000_001),
            (Some(0x80 | 10), 2, 1024 + 512, 3_500_000_000),
            (Some(0x80 | 63), 0, 1 << 62, 500_000_000),
            // A second has more units than 64 bits can count.
            (Some(25), 0, 10_000_000_000_000_000_000, 1_000),
            (Some(127), 0, u64::MAX, 0),
            (Some(255), 0, u64::MAX, 0),
            (Some(0), i64::MAX, u64::MAX, i64::MAX),
        ];
        for order in BOTH {
            for (resolution, offset, units, nanos) in cases {
                let mut file = File::new(order);
                file.interface_with(1, 0, |body| {
                    if let Some(resolution) = resolution {
                        option(body, 9, |value| _ = value.raw(&[resolution]));
                    }
                    option(body, 14, |value| _ = value.u64(offset as u64));
                });
                file.packet(0, units, b"x");
                assert_eq!(read(file.bytes()).packets[0].nanos, nanos, "{resolution:?} {offset} {units}");
            }
        }
    }

    #[test]
    fn names_are_kept_the_first_of_each_address() {
        for order in BOTH {
            let mut file = File::new(order);
            file.block(4, |body| {
                option(body, 1, |value| _ = value.raw(&[127, 0, 0, 1]).raw(b"localhost\0alias\0"));
                option(body, 3, |value| _ = value.raw(b"no such kind of record"));
                option(body, 1, |value| _ = value.raw(&[127, 0, 0, 1]).raw(b"later\0"));
                option(body, 1, |value| _ = value.raw(&[127, 0])); // cut short
                option(body, 2, |value| _ = value.raw(&[0; 15]).raw(&[1]).raw(b"ip6-localhost\0"));
                option(body, 0, |_| {}); // end of records
                option(body, 1, |value| _ = value.raw(b"comment, behind the end"));
            });
            let outcome = read(file.bytes());
            let names = [
                (IpAddr::from([127, 0, 0, 1]), "localhost".to_owned()),
                ("::1".parse().unwrap(), "ip6-localhost".to_owned()),
            ];
            assert_eq!(outcome.names, names);
            assert_eq!(outcome.notes(), Vec::<String>::new());
        }
    }

    #[test]
    fn statistics_say_what_was_dropped_in_all() {
        for order in BOTH {
            let mut file = File::new(order);
            file.interface(1);
            for dropped in [4, 9] {
                file.block(5, |body| {
                    body.u32(0) // interface
                        .u32(0) // time, upper half
                        .u32(0); // time, lower half
                    option(body, 4, |value| _ = value.u64(1_000)); // packets received
                    option(body, 5, |value| _ = value.u64(dropped)); // dropped by the interface
                    option(body, 7, |value| _ = value.u64(1)); // dropped by the system
                });
            }
            assert_eq!(read(file.bytes()).info.dropped, 10);
        }
    }

    #[test]
    fn secrets_are_kept() {
        for order in BOTH {
            let mut file = File::new(order);
            file.block(10, |body| {
                body.u32(0x544c_534b) // a TLS key log
                    .u32(13) // its length
                    .raw(b"CLIENT_RANDOM");
            });
            file.block(10, |body| {
                body.u32(0x544c_534b) // a TLS key log
                    .u32(14) // more than there is
                    .raw(b"CLIENT_RANDOM");
            });
            let outcome = read(file.bytes());
            let [secret, padded] = &*outcome.secrets else { panic!("{outcome:?}") };
            assert_eq!((secret.kind, &*secret.bytes), (Secret::TLS_KEY_LOG, &b"CLIENT_RANDOM"[..]));
            assert_eq!(padded.bytes.len(), 14);
            assert!(!format!("{secret:?}").contains("67, 76"), "secrets are not for logs");
        }
    }

    #[test]
    fn blocks_that_carry_no_packets_are_passed_by_and_counted() {
        let mut file = File::new(ByteOrder::Little);
        file.interface(1);
        file.block(0x0bad, |body| _ = body.u32(4711).raw(b"custom"));
        file.block(0x4000_0bad, |body| _ = body.u32(4711).raw(b"custom, not to be copied"));
        file.block(9, |body| _ = body.raw(b"__REALTIME_TIMESTAMP=1\n"));
        file.block(0x8000_0001, |_| {});
        file.block(0x1234, |body| _ = body.raw(b"whatever"));
        file.packet(0, 1, b"x");
        let outcome = read(file.bytes());
        assert_eq!(outcome.data(), [b"x"]);
        assert_eq!(outcome.skipped("custom block"), 2);
        assert_eq!(outcome.skipped("systemd journal entry"), 1);
        assert_eq!(outcome.skipped("block of unknown type"), 2);
        assert_eq!(outcome.notes(), Vec::<String>::new());
    }

    #[test]
    fn each_section_has_its_order_and_its_interfaces() {
        let mut file = File::new(ByteOrder::Big);
        file.interface(1);
        file.packet(0, 1, b"big");
        file.section(ByteOrder::Little);
        file.packet(0, 2, b"of no interface");
        file.interface(113);
        file.packet(0, 3, b"little");
        let outcome = read_by(file.bytes(), 10);
        assert_eq!(outcome.data(), [&b"big"[..], b"little"]);
        assert_eq!((outcome.packets[1].link, outcome.packets[1].number), (113, 2));
        assert_eq!(outcome.skipped("packet of an unknown interface"), 1);
        assert_eq!(outcome.notes(), ["packet 2 at byte 0x70: interface 0 of this packet is not described"]);
        assert!(!outcome.info.partial);
    }

    #[test]
    fn a_bad_packet_is_passed_over() {
        let mut file = File::new(ByteOrder::Little);
        file.interface(1);
        file.packet(0, 1, b"good");
        file.block(6, |body| {
            body.u32(0)
                .u32(0)
                .u32(0)
                .u32(100) // captured length, more than there is
                .u32(100)
                .raw(b"short");
        });
        file.block(6, |body| _ = body.u32(0)); // no lengths at all
        file.packet(0, 1, b"fine");
        let outcome = read(file.bytes());
        assert_eq!(outcome.data(), [b"good", b"fine"]);
        assert_eq!(
            outcome.notes(),
            [
                "packet 2 at byte 0x54: packet length 100 is more than the 8 bytes of its block",
                "packet 2 at byte 0x7c: 16 bytes are too few for a packet block",
            ]
        );
        assert_eq!(outcome.skipped("bad block"), 2);
    }

    #[test]
    fn a_bad_interface_keeps_its_number() {
        let mut file = File::new(ByteOrder::Little);
        file.block(1, |body| _ = body.u16(1));
        file.interface(113);
        file.packet(1, 1, b"x");
        let outcome = read(file.bytes());
        assert_eq!(outcome.packets[0].link, 113);
        assert_eq!(outcome.info.notes.len(), 1);
    }

    #[test]
    fn damaged_lengths_are_got_over() {
        // (what the lengths of the second packet are made to be, what is said)
        let cases = [
            (Some(3), None, "block length 3 is shorter than its header; 40 bytes are passed over"),
            (Some(0xfff0_0000), None, "block length 4293918720 cannot be right; 40 bytes are passed over"),
            (None, Some(0), "block length 40 is followed by length 0; the block is passed over"),
            (Some(44), None, "block length 44 is followed by length 6; 40 bytes are passed over"),
        ];
        for (len, trailer, note) in cases {
            let mut file = File::new(ByteOrder::Little);
            file.interface(1);
            file.packet(0, 1, b"1234");
            let at = file.bytes().len();
            file.packet(0, 2, b"5678567\x06");
            let end = file.bytes().len();
            file.packet(0, 3, b"90ab");
            file.packet(0, 4, b"cdef");
            let mut bytes = file.bytes().to_vec();
            if let Some(len) = len {
                bytes[at + 4..at + 8].copy_from_slice(&u32::to_le_bytes(len));
            }
            if let Some(trailer) = trailer {
                bytes[end - 4..end].copy_from_slice(&u32::to_le_bytes(trailer));
            }
            for step in [1, usize::MAX] {
                let outcome = read_by(&bytes, step);
                assert_eq!(outcome.data(), [b"1234", b"90ab", b"cdef"], "{note}");
                assert_eq!(outcome.notes(), [format!("packet 2 at byte 0x54: {note}")]);
                assert!(!outcome.info.partial);
            }
        }
    }

    #[test]
    fn a_cut_file_gives_everything_before_the_cut() {
        let mut file = File::new(ByteOrder::Big);
        let mut blocks = vec![file.bytes().len()];
        let mut packets = Vec::new();
        file.interface(1);
        blocks.push(file.bytes().len());
        for n in 0..3 {
            file.packet(0, n, b"abcdef");
            blocks.push(file.bytes().len());
            packets.push(file.bytes().len());
        }
        for cut in 1..=file.bytes().len() {
            let input = file.bytes()[..cut].to_vec();
            let outcome = match Reading::from_reader(Box::new(std::io::Cursor::new(input)), "") {
                Ok(reading) => finish(reading),
                Err(error) => {
                    assert!(cut < 12, "{error}");
                    continue;
                }
            };
            assert_eq!(outcome.packets.len(), packets.iter().filter(|&&end| end <= cut).count(), "cut at {cut}");
            assert_eq!(outcome.info.partial, !blocks.contains(&cut), "cut at {cut}");
            assert_eq!(outcome.info.notes.len(), usize::from(outcome.info.partial), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut file = File::new(ByteOrder::Little);
        for n in 0..MAX_INTERFACES + 10 {
            file.interface(n as u16);
        }
        for n in 0..MAX_NAMES as u32 + 10 {
            file.block(4, |body| option(body, 1, |value| _ = value.raw(&n.to_be_bytes()).raw(b"name\0")));
        }
        let outcome = read(file.bytes());
        assert_eq!(outcome.skipped("interface beyond the limit"), 10);
        assert_eq!(outcome.names.len(), MAX_NAMES);
        assert_eq!(outcome.info.notes.len() as u64 + outcome.info.more_notes, 10);
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_read_the_same_however_they_come(
            damage in proptest::collection::vec((12_usize..600, any::<u8>()), 0..6),
            step in 1_usize..60,
            noise in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut file = File::new(ByteOrder::Little);
            file.interface(1);
            for n in 0..6 {
                file.packet(0, n, &vec![n as u8; 9 * n as usize % 31]);
            }
            file.section(ByteOrder::Big);
            file.interface(1);
            for n in 0..6 {
                file.packet(0, n, &vec![n as u8; 9 * n as usize % 31]);
            }
            let mut bytes = file.bytes().to_vec();
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
        fn no_bodies_do_harm(
            blocks in proptest::collection::vec((0_u32..12, proptest::collection::vec(any::<u8>(), 0..60)), 0..40),
        ) {
            let mut file = File::new(ByteOrder::Big);
            for (kind, noise) in &blocks {
                let kind = if *kind == 11 { 0x0a0d_0d0a } else { *kind };
                file.block(kind, |body| _ = body.raw(noise));
            }
            let outcome = read_by(file.bytes(), 64);
            prop_assert!(outcome.packets.len() <= blocks.len());
        }

        #[test]
        fn no_bytes_do_harm(noise in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let mut file = File::new(ByteOrder::Little);
            file.0.raw(&noise);
            let outcome = read_by(file.bytes(), 64);
            prop_assert!(outcome.packets.len() <= noise.len() / 12);
        }
    }
}
