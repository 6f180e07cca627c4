//! A list that grows without moving its items, and from which items can be removed.

use hashbrown::HashMap;

/// Items by index. Growing copies nothing, so the items are never in memory twice.
///
/// Indices are never used again. When most items of a chunk have been removed, those that are left move to a map and the
/// chunk's memory is freed.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
    /// Items removed from each chunk; empty as long as nothing was removed.
    removed: Vec<u16>,
    /// What is left of freed chunks.
    left: HashMap<u32, T>,
}

/// Items per chunk: a power of two, some hundred KiB of calls.
const CHUNK: usize = 2048;

/// A full chunk of which so many items are removed is freed.
const MOSTLY_REMOVED: u16 = (CHUNK - CHUNK / 8) as u16;

impl<T> Chunks<T> {
    /// How many items were added, those that are removed included.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn push(&mut self, item: T) {
        let index = self.len as usize;
        self.len = self.len.checked_add(1).expect("memory is exhausted before 32-bit numbers are");
        match self.chunks.last_mut() {
            Some(last) if !index.is_multiple_of(CHUNK) => last.push(item),
            _ => {
                // The first chunk grows as it is filled, so that small captures stay small.
                let room = if self.chunks.is_empty() { 0 } else { CHUNK };
                let mut chunk = Vec::with_capacity(room);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
    }

    /// The item at `index`, unless its chunk was freed after it was removed.
    pub(super) fn at(&self, index: u32) -> Option<&T> {
        let chunk = self.chunks.get(index as usize / CHUNK)?;
        chunk.get(index as usize % CHUNK).or_else(|| self.left.get(&index))
    }

    /// As [`Chunks::at`].
    pub(super) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(index as usize / CHUNK)?;
        chunk.get_mut(index as usize % CHUNK).or_else(|| self.left.get_mut(&index))
    }

    /// Removes the item at `index`, of which `is_removed` says so from now on. To be called once for each index.
    pub(super) fn remove(&mut self, index: u32, is_removed: impl Fn(&T) -> bool) {
        if self.left.remove(&index).is_some() {
            return;
        }
        let no = index as usize / CHUNK;
        self.removed.resize(self.chunks.len(), 0);
        let (Some(removed), Some(chunk)) = (self.removed.get_mut(no), self.chunks.get_mut(no)) else { return };
        *removed += 1;
        if *removed >= MOSTLY_REMOVED && chunk.len() == CHUNK {
            let items = std::mem::take(chunk).into_iter().zip((no * CHUNK) as u32..);
            self.left.extend(items.filter(|(item, _)| !is_removed(item)).map(|(item, index)| (index, item)));
        }
    }

    /// The items that are there, those that were removed from chunks that are not freed included; in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().chain(self.left.values())
    }

    /// Items that take memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum::<usize>() + self.left.len()
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, removed: Vec::new(), left: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_items_free_their_memory_and_the_others_stay_where_they_are() {
        let mut chunks = Chunks::default();
        let mut kept = Vec::new();
        for index in 0..20 * CHUNK as u32 {
            chunks.push((index, false));
            if index % 100 == 7 {
                kept.push(index);
            } else {
                chunks.at_mut(index).unwrap().1 = true;
                chunks.remove(index, |&(_, removed)| removed);
            }
        }
        assert!(chunks.held() < 2 * CHUNK + kept.len(), "{}", chunks.held());
        for &index in &kept {
            assert_eq!(chunks.at(index), Some(&(index, false)));
        }
        assert_eq!(chunks.at(8), None);
        for &index in &kept {
            chunks.at_mut(index).unwrap().1 = true;
            chunks.remove(index, |&(_, removed)| removed);
        }
        assert!(chunks.held() < 2 * CHUNK);
        assert_eq!(chunks.len(), 20 * CHUNK as u32);
    }
}
