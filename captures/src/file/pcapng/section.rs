//! A section and its interfaces: what the packets in it need to be understood.

use super::super::record::{ByteOrder, Log, RecordList};
use super::clock::{Clock, decimals};
use super::framing::{BlockType, byte_order};
use super::options::Options;
use crate::{LinkType, Timestamp};

/// As many interfaces as a section may have; the obsolete packet block can name no more. Each one takes memory.
pub(super) const MAX_INTERFACES: usize = 1 << 16;

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) order: ByteOrder,
    /// `None` where one's description cannot be read.
    pub(super) interfaces: Vec<Option<Interface>>,
    /// The time of the last packet.
    pub(super) last: Timestamp,
}

/// What an Interface Description Block says.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) link: u16,
    /// 0: without a limit.
    pub(super) snaplen: u32,
    pub(super) clock: Clock,
    /// As packets say it, each for itself.
    pub(super) dropped_by_packets: u64,
    /// As the newest statistics say it.
    pub(super) dropped_by_statistics: u64,
}

/// A block's bytes between its lengths.
pub(super) struct Block<'a> {
    pub(super) kind: BlockType,
    pub(super) body: &'a [u8],
    /// Where the block begins in the file.
    pub(super) at: u64,
    /// Where its body begins in the window.
    pub(super) start: usize,
}

/// A block that is passed by.
pub(super) struct Bad {
    /// What it is counted as.
    pub(super) skipped: &'static str,
    pub(super) why: String,
}

impl Section {
    pub(super) fn new() -> Self {
        Self { order: ByteOrder::Little, interfaces: Vec::new(), last: Timestamp::default() }
    }

    #[inline]
    pub(super) fn block(&mut self, block: &Block<'_>, found: &mut RecordList, log: &mut Log<'_>) {
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
    pub(super) fn section_header(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
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
    pub(super) fn interface(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
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
        log.info.has_decimals(decimals(resolution));
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
    ///   0             4             8             12
    ///   | interface   | time, upper | time, lower | options
    /// ```
    pub(super) fn statistics(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
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

    pub(super) fn options<'a>(&self, bytes: &'a [u8]) -> Options<'a> {
        Options { order: self.order, bytes }
    }
}

impl Interface {
    /// Packets count each drop where it was, statistics all of them; where both speak they speak of the same.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped_by_packets.max(self.dropped_by_statistics)
    }
}

impl Bad {
    #[cold]
    pub(super) fn short(what: &str, block: &Block<'_>) -> Self {
        Self { skipped: "bad block", why: format!("{} bytes are too few for a {what} block", block.body.len() + 12) }
    }
}
