//! Where blocks begin and end.

use super::super::record::ByteOrder;

/// The least block: its type and its two lengths.
pub(super) const LEAST_BLOCK: usize = 12;

/// No block is longer (the largest known writers make is a packet of 16 MiB): a pipe is never read further for one.
pub(super) const MAX_BLOCK: usize = 64 << 20;

/// While looking for blocks after damage: none is longer.
pub(super) const SEARCHED_BLOCK: usize = 1 << 20;

/// A block's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockType(pub(super) u32);

impl BlockType {
    pub(super) const SECTION_HEADER: Self = Self(0x0a0d_0d0a);
    pub(super) const INTERFACE: Self = Self(1);
    pub(super) const OBSOLETE_PACKET: Self = Self(2);
    pub(super) const SIMPLE_PACKET: Self = Self(3);
    pub(super) const NAMES: Self = Self(4);
    pub(super) const STATISTICS: Self = Self(5);
    pub(super) const ENHANCED_PACKET: Self = Self(6);
    pub(super) const JOURNAL: Self = Self(9);
    pub(super) const SECRETS: Self = Self(10);
    pub(super) const CUSTOM: Self = Self(0x0000_0bad);
    pub(super) const CUSTOM_NOT_COPIED: Self = Self(0x4000_0bad);

    /// Whether the specification knows it.
    pub(super) const fn is_known(self) -> bool {
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

/// What is at a place.
pub(super) enum Framing {
    /// A block of so many bytes (without padding that is not counted in its length).
    Block { kind: BlockType, len: usize },
    /// It takes so many bytes to say.
    Needs(usize),
    /// No block, or a damaged one; `len` is what it claims, where that can be.
    Bad { len: Option<usize>, why: String },
}

/// Whether a block begins at some place.
pub(super) enum Candidate {
    Yes,
    No,
    /// It takes so many bytes to say.
    Needs(usize),
}

/// What `rest` begins with.
pub(super) fn framing(order: ByteOrder, rest: &[u8]) -> Framing {
    let Some(head) = rest.first_chunk::<LEAST_BLOCK>() else { return Framing::Needs(LEAST_BLOCK) };
    let (kind, order, len) = block_head(order, *head);
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
fn block_head(section: ByteOrder, head: [u8; LEAST_BLOCK]) -> (BlockType, Option<ByteOrder>, u32) {
    let [t0, t1, t2, t3, l0, l1, l2, l3, magic @ ..] = head;
    let kind = BlockType(section.u32([t0, t1, t2, t3]));
    let order = match kind {
        // Its own order comes first in it; the type reads the same either way.
        BlockType::SECTION_HEADER => byte_order(magic),
        _ => Some(section),
    };
    (kind, order, order.unwrap_or(section).u32([l0, l1, l2, l3]))
}

/// Whether a block that is not all there is cut by the end of the file, not damaged.
pub(super) fn is_cut(order: ByteOrder, rest: &[u8]) -> bool {
    match order.u32_at(rest, 0) {
        Some(kind) => BlockType(kind).is_known(),
        None => true,
    }
}

/// Whether a block begins here, of bytes that need not be one.
pub(super) fn candidate(order: ByteOrder, rest: &[u8], ended: bool) -> Candidate {
    let enough = |need| if ended { Candidate::No } else { Candidate::Needs(need) };
    let Some(head) = rest.first_chunk::<LEAST_BLOCK>() else {
        return if rest.is_empty() && ended { Candidate::Yes } else { enough(LEAST_BLOCK) };
    };
    let (kind, order, len) = block_head(order, *head);
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

pub(super) fn byte_order(magic: [u8; 4]) -> Option<ByteOrder> {
    match magic {
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(ByteOrder::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(ByteOrder::Big),
        _ => None,
    }
}
