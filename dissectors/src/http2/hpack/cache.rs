//! The header blocks that came lately and what they came to, so that the same one again need not be decoded.
//!
//! Clients send the same few blocks all the time: everything in them is indexed. A block that inserts nothing means the
//! same as long as nothing else inserts anything.

/// Places for blocks. Each block has one place to be, so that a look-up is one or two comparisons.
const PLACES: usize = 8;

/// Longer blocks are not remembered: they carry literals, and those seldom repeat. The bytes are in the slot itself, since
/// with many connections at once it is reaching for memory that takes the time.
const MAX_LEN: usize = 31;

/// What the blocks of one direction came to.
#[derive(Clone, Debug)]
pub(in crate::http2) struct Cache<T> {
    /// None before the first block, then all: the two blocks that each place had last, the latest first.
    slots: Vec<[Slot<T>; 2]>,
}

/// As long as a line of the processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Slot<T> {
    /// What the table was when the block was decoded.
    state: State,
    block: [u8; MAX_LEN],
    len: u8,
    means: Option<T>,
}

/// What tells one state of a decoder's table from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http2) struct State {
    pub(super) epoch: u32,
    pub(super) inserted_ever: u64,
}

impl<T: Copy> Cache<T> {
    /// What `block` means in `state`.
    pub(in crate::http2) fn find(&self, block: &[u8], state: State) -> Option<T> {
        let slots = self.slots.get(place(block))?;
        let is_it = |slot: &&Slot<T>| slot.state == state && slot.block.get(..slot.len.into()) == Some(block);
        slots.iter().find(is_it)?.means
    }

    /// Says what `block` means. It must leave the table as it is.
    pub(in crate::http2) fn remember(&mut self, block: &[u8], state: State, means: T) {
        if block.len() > MAX_LEN {
            return;
        }
        if self.slots.is_empty() {
            let none = Slot { state: State::default(), block: [0; MAX_LEN], len: 0, means: None };
            self.slots.resize(PLACES, [none; 2]);
        }
        if let Some([latest, other]) = self.slots.get_mut(place(block)) {
            *other = *latest;
            (latest.state, latest.len, latest.means) = (state, block.len() as u8, Some(means));
            latest.block.iter_mut().zip(block).for_each(|(to, from)| *to = *from);
        }
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

/// Where `block` is remembered, by its length and both its ends.
fn place(block: &[u8]) -> usize {
    let (head, tail) = match (block.first_chunk(), block.last_chunk()) {
        (Some(&head), Some(&tail)) => (u64::from_le_bytes(head), u64::from_le_bytes(tail)),
        _ => (block.iter().fold(0, |ends, &byte| ends << 8 | u64::from(byte)), 0),
    };
    let mixed = (head ^ tail.rotate_left(29) ^ block.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_means_the_same_in_the_same_state_only() {
        let (now, later) = (State { epoch: 0, inserted_ever: 1 }, State { epoch: 0, inserted_ever: 2 });
        let mut cache = Cache::default();
        assert_eq!(cache.find(b"\x82", now), None);
        cache.remember(b"\x82", now, 'a');
        cache.remember(b"", now, 'b');
        assert_eq!(cache.find(b"\x82", now), Some('a'));
        assert_eq!(cache.find(b"", now), Some('b'));
        assert_eq!(cache.find(b"\x82", later), None);
        assert_eq!(cache.find(b"\x82\x82", now), None);
        let long = [0x82; MAX_LEN + 1];
        cache.remember(&long, now, 'c');
        assert_eq!(cache.find(&long, now), None);
        cache.remember(&long[1..], now, 'd');
        assert_eq!(cache.find(&long[1..], now), Some('d'));
    }

    #[test]
    fn two_blocks_may_meet_in_one_place() {
        // What Go's servers send with every answer: these do.
        let (headers, trailers) = (b"\x88\xc0", b"\xbf\xbe");
        assert_eq!(place(headers), place(trailers));
        let mut cache = Cache::default();
        cache.remember(headers, State::default(), 'h');
        cache.remember(trailers, State::default(), 't');
        assert_eq!(cache.find(headers, State::default()), Some('h'));
        assert_eq!(cache.find(trailers, State::default()), Some('t'));
    }
}
