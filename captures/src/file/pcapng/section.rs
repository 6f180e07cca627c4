//! A section and its interfaces: what is needed to read the packets in it.
//!
//! `pcap-parser` reads the bodies of the blocks, from the exact bytes that `framing` has found. The clock is our own:
//! `pcap-parser` knows no resolutions that are powers of 2 and truncates times to 32 bits.

use std::borrow::Cow;

use pcap_parser::{
    InterfaceDescriptionBlock, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_interfacestatisticsblock_be, parse_interfacestatisticsblock_le, parse_sectionheaderblock,
};

use super::super::record::{ByteOrder, Log, RecordList};
use super::clock::{Clock, decimals};
use super::framing::{BlockType, byte_order};
use super::options::{Options, parsed_options};
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

/// A block that the framing has found.
pub(super) struct Block<'a> {
    pub(super) kind: BlockType,
    /// All of it, with its type and its two lengths.
    pub(super) bytes: &'a [u8],
    /// What lies between the lengths.
    pub(super) body: &'a [u8],
    /// Where the block begins in the file.
    pub(super) at: u64,
    /// Where its body begins in the window.
    pub(super) start: usize,
}

/// Why a block is skipped.
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

    /// A section header. The byte order holds for all blocks of the section, even if the rest of the header is wrong.
    pub(super) fn section_header(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        if let Some(order) = block.body.first_chunk().and_then(|magic| byte_order(*magic)) {
            self.order = order;
        }
        self.interfaces.clear();
        let bytes = block.padded(self.order);
        let Ok((_, header)) = parse_sectionheaderblock(&bytes) else { return Err(Bad::block("section header", block)) };
        let (major, minor) = (header.major_version, header.minor_version);
        if major != 1 {
            log.note(block.at, format!("pcapng version {major}.{minor} is not known; read as 1.0"));
        }
        Ok(())
    }

    /// An interface description.
    pub(super) fn interface(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        if self.interfaces.len() >= MAX_INTERFACES {
            let why = format!("more than {MAX_INTERFACES} interfaces in a section");
            return Err(Bad { skipped: "interface beyond the limit", why });
        }
        let bytes = block.padded(self.order);
        let parsed = match self.order {
            ByteOrder::Little => parse_interfacedescriptionblock_le(&bytes),
            ByteOrder::Big => parse_interfacedescriptionblock_be(&bytes),
        };
        let Ok((_, description)) = parsed else {
            // It keeps its number, so that those after it have theirs.
            self.interfaces.push(None);
            return Err(Bad::block("interface description", block));
        };
        let (resolution, offset) = self.time_options(&description);
        let link = description.linktype.0 as u16;
        let link = LinkType::declared(link).0;
        log.info.link_types.insert(LinkType(link));
        log.info.has_decimals(decimals(resolution));
        self.interfaces.push(Some(Interface {
            link,
            snaplen: description.snaplen,
            clock: Clock::new(resolution, offset),
            dropped_by_packets: 0,
            dropped_by_statistics: 0,
        }));
        Ok(())
    }

    /// The options `if_tsresol` and `if_tsoffset` of an interface, or their defaults.
    ///
    /// The block's own `if_tsoffset` is not used: `pcap-parser` reads it as little-endian in every section.
    fn time_options(&self, description: &InterfaceDescriptionBlock<'_>) -> (u8, i64) {
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;

        let (mut resolution, mut offset) = (6, 0);
        for (code, value) in parsed_options(&description.options) {
            match (code, value) {
                (TIME_RESOLUTION, &[byte, ..]) => resolution = byte,
                (TIME_OFFSET, value) => {
                    offset = value.first_chunk().map_or(offset, |bytes| self.order.u64(*bytes) as i64);
                }
                _ => {}
            }
        }
        (resolution, offset)
    }

    /// Interface statistics.
    pub(super) fn statistics(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        const DROPPED_BY_INTERFACE: u16 = 5;
        const DROPPED_BY_SYSTEM: u16 = 7;

        let bytes = block.padded(self.order);
        let parsed = match self.order {
            ByteOrder::Little => parse_interfacestatisticsblock_le(&bytes),
            ByteOrder::Big => parse_interfacestatisticsblock_be(&bytes),
        };
        let Ok((_, statistics)) = parsed else { return Err(Bad::block("interface statistics", block)) };
        let number = statistics.if_id;
        let mut dropped = 0_u64;
        for (code, value) in parsed_options(&statistics.options) {
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

impl<'a> Block<'a> {
    /// The block as `pcap-parser` needs it. Some writers leave out the padding of what comes last in a block, and its
    /// length is then not a multiple of 4; `pcap-parser` would ignore the last option or refuse the block.
    pub(super) fn padded(&self, order: ByteOrder) -> Cow<'a, [u8]> {
        let Some((content, _)) = self.bytes.split_last_chunk::<4>().filter(|_| !self.bytes.len().is_multiple_of(4))
        else {
            return Cow::Borrowed(self.bytes);
        };
        let mut bytes = content.to_vec();
        bytes.resize(content.len().next_multiple_of(4), 0);
        let len = order.u32_bytes(bytes.len() as u32 + 4);
        if let Some(first_len) = bytes.get_mut(4..8) {
            first_len.copy_from_slice(&len);
        }
        bytes.extend(len);
        Cow::Owned(bytes)
    }
}

impl Interface {
    /// How many packets were dropped. Packets count the drops before them, statistics all of them; if both are there,
    /// they count the same drops.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped_by_packets.max(self.dropped_by_statistics)
    }
}

impl Bad {
    /// A block that is too short for its fixed fields.
    #[cold]
    pub(super) fn short(what: &str, block: &Block<'_>) -> Self {
        Self { skipped: "bad block", why: format!("{} bytes are too few for a {what} block", block.bytes.len()) }
    }

    /// A block that `pcap-parser` refuses. Whatever its error is called, the block is complete: its content is wrong.
    #[cold]
    pub(super) fn block(what: &str, block: &Block<'_>) -> Self {
        let len = block.bytes.len();
        let why = format!("malformed {what} block: it is too short, or a length in its {len} bytes is wrong");
        Self { skipped: "bad block", why }
    }
}
