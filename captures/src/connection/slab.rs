//! A list of items with stable numbers, from which any can be removed, and which knows its oldest.

/// No item.
const NONE: u32 = u32::MAX;

/// Items by number. Numbers of removed items are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Node<T> {
    item: Option<T>,
    /// The item that was inserted before this one, and the one after it, of those that are still there.
    older: u32,
    newer: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl<T> Slab<T> {
    pub(super) const fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    #[inline]
    pub(super) fn get(&self, no: u32) -> Option<&T> {
        self.nodes.get(no as usize)?.item.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, no: u32) -> Option<&mut T> {
        self.nodes.get_mut(no as usize)?.item.as_mut()
    }

    /// The number that the next inserted item gets.
    pub(super) fn next_no(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.nodes.len() as u32)
    }

    pub(super) fn insert(&mut self, item: T) -> u32 {
        let no = self.next_no();
        let node = Node { item: Some(item), older: self.newest, newer: NONE };
        match self.free.pop() {
            Some(no) => self.nodes[no as usize] = node,
            None => self.nodes.push(node),
        }
        match self.nodes.get_mut(self.newest as usize) {
            Some(newest) => newest.newer = no,
            None => self.oldest = no,
        }
        self.newest = no;
        no
    }

    pub(super) fn remove(&mut self, no: u32) -> Option<T> {
        let node = self.nodes.get_mut(no as usize)?;
        let item = node.item.take()?;
        let (older, newer) = (node.older, node.newer);
        match self.nodes.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.free.push(no);
        Some(item)
    }

    /// The number of the item that was inserted first, of those that are still there.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// All items with their numbers, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.nodes.iter().enumerate().filter_map(|(no, node)| Some((no as u32, node.item.as_ref()?)))
    }

    /// All items with their numbers, by number.
    pub(super) fn into_numbered(self) -> impl Iterator<Item = (u32, T)> {
        self.nodes.into_iter().enumerate().filter_map(|(no, node)| Some((no as u32, node.item?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_numbers_and_their_age_whichever_are_removed() {
        let mut slab = Slab::default();
        let numbers = ['a', 'b', 'c', 'd'].map(|item| slab.insert(item));
        assert_eq!(slab.remove(numbers[1]), Some('b'));
        assert_eq!((slab.remove(numbers[0]), slab.remove(numbers[0])), (Some('a'), None));
        assert_eq!(slab.oldest(), Some(numbers[2]));
        assert_eq!(slab.next_no(), numbers[0]);
        let reused = slab.insert('e');
        assert_eq!((reused, slab.get(reused), slab.len()), (numbers[0], Some(&'e'), 3));
        let mut by_age = Vec::new();
        while let Some(oldest) = slab.oldest() {
            by_age.extend(slab.remove(oldest));
        }
        assert_eq!((by_age, slab.len()), (vec!['c', 'd', 'e'], 0));
    }
}
