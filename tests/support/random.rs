//! A small generator of repeatable random numbers (splitmix64), so that a seed names one damage on every machine.

/// The generator; equal seeds give equal numbers.
pub(crate) struct Random(u64);

impl Random {
    /// A generator for this seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Shuffles `items` within windows of `window`: nothing moves further than its window.
    pub(crate) fn shuffle_windows<T>(&mut self, items: &mut [T], window: usize) {
        for part in items.chunks_mut(window) {
            for last in (1..part.len()).rev() {
                part.swap(last, self.below(last + 1));
            }
        }
    }
}
