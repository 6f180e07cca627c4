//! Header lists, each kept once however many calls carry it, and each field once however many lists it is in.
//!
//! A client sends much the same fields with every call, and mostly one or two that are new (a trace, a request id). So a
//! list is the numbers of its fields. What a list says about a call ([`HeaderFacts`]) is concluded when it is entered.

use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZero;
use std::sync::LazyLock;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::chunks::Chunks;
use crate::header::Field;
use crate::rpc::HeaderFacts;

/// A header list of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderListId(NonZero<u32>);

/// A header list and what is concluded from it.
#[derive(Debug)]
pub struct HeaderList {
    /// Numbers of its fields, in the order in which they were sent.
    fields: Box<[u32]>,
    /// What they say about a call.
    pub facts: HeaderFacts,
}

/// All header lists of a lane.
#[derive(Debug, Default)]
pub struct HeaderLists {
    /// `None` for lists that were forgotten.
    lists: Chunks<Option<HeaderList>>,
    list_table: HashTable<HeaderListId>,
    fields: Chunks<Option<Field>>,
    field_table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The list that is being entered.
    entering: Vec<u32>,
    /// Lists that were given out since the last sweep; `None` where nothing is forgotten.
    recent: Option<HashSet<HeaderListId>>,
    /// How many lists calls referred to at the last sweep.
    referred: usize,
}

/// So many lists are given out between two sweeps, and as many more as calls refer to.
const SWEEP_AFTER: usize = 512;

impl HeaderLists {
    /// Enters a list, or finds it where an equal one is there already. Where in their block the fields lay is not kept.
    pub fn enter(&mut self, fields: &[Field]) -> HeaderListId {
        self.enter_judged(fields, HeaderFacts::of)
    }

    /// The same for a list of another protocol: `judge` draws the conclusions for that protocol.
    pub(crate) fn enter_judged(
        &mut self,
        fields: &[Field],
        judge: impl FnOnce(&[Field]) -> HeaderFacts,
    ) -> HeaderListId {
        let mut entering = std::mem::take(&mut self.entering);
        entering.clear();
        entering.extend(fields.iter().map(|field| self.enter_field(field)));
        let Self { lists, list_table, hasher, .. } = self;
        let hash = hasher.hash_one(&*entering);
        let known = list_table.find(hash, |&id| *list(lists, id).fields == *entering).copied();
        let id = known.unwrap_or_else(|| {
            lists.push(Some(HeaderList { fields: entering.as_slice().into(), facts: judge(fields) }));
            let id = HeaderListId(NonZero::new(lists.len()).expect("one was pushed"));
            list_table.insert_unique(hash, id, |&id| hasher.hash_one(&*list(lists, id).fields));
            id
        });
        if let Some(recent) = &mut self.recent {
            recent.insert(id);
        }
        self.entering = entering;
        id
    }

    fn enter_field(&mut self, field: &Field) -> u32 {
        let Self { fields, field_table, hasher, .. } = self;
        let hash = hash_field(hasher, field);
        let entered = |fields: &Chunks<Option<Field>>, at| {
            fields.at(at).is_some_and(|known: &Option<Field>| known.as_ref().is_some_and(|known| is_same(known, field)))
        };
        if let Some(&known) = field_table.find(hash, |&at| entered(fields, at)) {
            return known;
        }
        let at = fields.len();
        fields.push(Some(Field { span: 0..0, value_span: 0..0, ..field.clone() }));
        field_table.insert_unique(hash, at, |&at| {
            fields.at(at).and_then(Option::as_ref).map_or(0, |field| hash_field(hasher, field))
        });
        at
    }

    /// Whoever has kept the number of a list is about to use it: whether the list is still there. It then stays for a while.
    #[must_use]
    pub(crate) fn renew(&mut self, id: HeaderListId) -> bool {
        let Some(recent) = &mut self.recent else { return true };
        let is_there = self.lists.at(id.index()).is_some_and(Option::is_some);
        if is_there {
            recent.insert(id);
        }
        is_there
    }

    /// From now on lists may be forgotten.
    pub(super) fn begin_forgetting(&mut self) {
        self.recent.get_or_insert_default();
    }

    /// Whether so many lists were given out since the last sweep that another one is worth its time.
    pub(super) fn wants_sweep(&self) -> bool {
        self.recent.as_ref().is_some_and(|recent| recent.len() >= self.referred + SWEEP_AFTER)
    }

    /// Frees the lists that are not among `held` and were not given out since the last sweep, and the fields that are in no
    /// other list.
    pub(super) fn sweep(&mut self, held: &HashSet<HeaderListId>) {
        let Self { lists, list_table, fields, field_table, .. } = self;
        let recent = self.recent.replace(HashSet::new()).unwrap_or_default();
        let mut left = HashSet::new();
        list_table.retain(|&mut id| {
            let Some(slot) = lists.at_mut(id.index()) else { return false };
            let keeps = held.contains(&id) || recent.contains(&id);
            match slot {
                Some(list) if keeps => left.extend(list.fields.iter().copied()),
                _ => {
                    *slot = None;
                    lists.remove(id.index(), Option::is_none);
                }
            }
            keeps
        });
        field_table.retain(|&mut at| {
            let keeps = left.contains(&at);
            if let Some(slot) = fields.at_mut(at).filter(|_| !keeps) {
                *slot = None;
                fields.remove(at, Option::is_none);
            }
            keeps
        });
        self.referred = held.len();
    }

    /// Lists that take memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.lists.held()
    }

    /// The fields of a list, in the order in which they were sent.
    pub fn fields(&self, id: HeaderListId) -> impl Iterator<Item = &Field> + Clone {
        list(&self.lists, id).fields.iter().filter_map(|&at| self.fields.at(at)?.as_ref())
    }
}

impl std::ops::Index<HeaderListId> for HeaderLists {
    type Output = HeaderList;

    fn index(&self, id: HeaderListId) -> &HeaderList {
        list(&self.lists, id)
    }
}

impl HeaderListId {
    const fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// A list. One that was forgotten is an empty list.
fn list(lists: &Chunks<Option<HeaderList>>, id: HeaderListId) -> &HeaderList {
    static FORGOTTEN: LazyLock<HeaderList> =
        LazyLock::new(|| HeaderList { fields: Box::default(), facts: HeaderFacts::of(&[]) });
    lists.at(id.index()).and_then(Option::as_ref).unwrap_or_else(|| &FORGOTTEN)
}

/// Whether two fields are the same but for where they lay.
fn is_same(a: &Field, b: &Field) -> bool {
    a.name == b.name
        && a.value == b.value
        && a.coded == b.coded
        && a.index == b.index
        && a.name_huffman == b.name_huffman
        && a.value_huffman == b.value_huffman
}

fn hash_field(hasher: &DefaultHashBuilder, field: &Field) -> u64 {
    let mut state = hasher.build_hasher();
    field.name.hash(&mut state);
    field.value.hash(&mut state);
    field.index.hash(&mut state);
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::hpack::Decoder;

    #[test]
    fn lists_and_fields_are_kept_once_wherever_they_lay() {
        let mut lists = HeaderLists::default();
        let mut decoder = Decoder::new(true);
        // Indexed :method POST; literal without indexing a: b; literal without indexing a: c.
        let blocks: [&[u8]; 3] =
            [&[0x83, 0, 1, b'a', 1, b'b'], &[0x83, 0, 1, b'a', 1, b'b'], &[0, 1, b'a', 1, b'c', 0x83]];
        let ids = blocks.map(|block| lists.enter(&decoder.decode(block).fields));
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        assert_eq!(lists.fields.len(), 3);
        let names: Vec<_> = lists.fields(ids[2]).filter_map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["a", ":method"]);
    }
}
