//! Packet blocks: enhanced, simple and obsolete ones.

use super::super::record::{Log, Record, RecordList};
use super::options::text;
use super::section::{Bad, Block, Interface, Section};

/// The longest comment of a packet that is kept; the format allows for 64 KiB.
const MAX_COMMENT: usize = 4 << 10;

impl Section {
    /// ```text
    ///   0             4             8             12            16            20
    ///   | interface   | time, upper | time, lower | captured    | original    | data, padding, options
    /// ```
    #[inline]
    pub(super) fn enhanced_packet(
        &mut self,
        block: &Block<'_>,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Result<(), Bad> {
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
    pub(super) fn obsolete_packet(
        &mut self,
        block: &Block<'_>,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Result<(), Bad> {
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
    /// It has no time, and gets that of the packet before it, so that it keeps its place in the order of times.
    pub(super) fn simple_packet(
        &mut self,
        block: &Block<'_>,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Result<(), Bad> {
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

    /// Enters a packet; returns its options.
    #[inline]
    fn packet<'a>(
        &mut self,
        block: &Block<'a>,
        header: &PacketHeader,
        found: &mut RecordList,
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
            start: (block.start + header.head) as u32,
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
    fn packet_options(&self, options: &[u8], dropped: u16, found: &mut RecordList) -> u64 {
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
}

/// What precedes the data of each kind of packet block.
struct PacketHeader {
    interface: usize,
    /// The time in units of its interface.
    units: Option<u64>,
    captured: u32,
    original: u32,
    /// How long it is.
    head: usize,
}
