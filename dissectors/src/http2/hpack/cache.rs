//! The header blocks that came lately, so that the same one again need not be decoded.
//!
//! Clients send the same few blocks all the time: everything in them is indexed. A block that inserts nothing means the
//! same as long as nothing else inserts anything.

use std::sync::Arc;

use super::Field;

/// Blocks remembered. Each has one place to be, so that a look-up is one comparison.
const SLOTS: usize = 16;

/// Longer blocks are not remembered: they carry literals, and those seldom repeat.
const MAX_LEN: usize = 256;

#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    /// None before the first block, then all.
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// What the table was when the block was decoded.
    state: State,
    block: Vec<u8>,
    fields: Option<Arc<[Field]>>,
}

/// What tells one state of the table from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) epoch: u32,
    pub(super) inserted_ever: u64,
}

impl Cache {
    pub(super) fn find(&self, block: &[u8], state: State) -> Option<&Arc<[Field]>> {
        let slot = self.slots.get(place(block))?;
        if slot.state != state || slot.block != block {
            return None;
        }
        slot.fields.as_ref()
    }

    pub(super) fn remember(&mut self, block: &[u8], state: State, fields: &Arc<[Field]>) {
        if block.len() > MAX_LEN {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        if let Some(slot) = self.slots.get_mut(place(block)) {
            slot.state = state;
            slot.block.clear();
            slot.block.extend_from_slice(block);
            slot.fields = Some(Arc::clone(fields));
        }
    }
}

/// Where `block` is remembered, by its length and both its ends.
fn place(block: &[u8]) -> usize {
    let (head, tail) = match (block.first_chunk(), block.last_chunk()) {
        (Some(&head), Some(&tail)) => (u64::from_le_bytes(head), u64::from_le_bytes(tail)),
        _ => (block.iter().fold(0, |ends, &byte| ends << 8 | u64::from(byte)), 0),
    };
    let mixed = (head ^ tail.rotate_left(29) ^ block.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % SLOTS
}
