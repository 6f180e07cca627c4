//! Header lists, each kept once however many calls carry it, and each field once however many lists it is in.
//!
//! A client sends much the same fields with every call, and mostly one or two that are new (a trace, a request id). So a
//! list is the numbers of its fields. What a list says about a call ([`HeaderFacts`]) is concluded when it is entered.

use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZero;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::ids::count32;
use crate::grpc::HeaderFacts;
use crate::header::Field;

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
    lists: Vec<HeaderList>,
    list_table: HashTable<HeaderListId>,
    fields: Vec<Field>,
    field_table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The list that is being entered.
    entering: Vec<u32>,
}

impl HeaderLists {
    /// Enters a list, or finds it where an equal one is there already. Where in their block the fields lay is not kept.
    pub fn enter(&mut self, fields: &[Field]) -> HeaderListId {
        self.enter_judged(fields, HeaderFacts::of)
    }

    /// The same for a list of another protocol: `judge` concludes what there is to conclude from it.
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
            lists.push(HeaderList { fields: entering.as_slice().into(), facts: judge(fields) });
            let id = HeaderListId(NonZero::new(count32(lists.len())).expect("one was pushed"));
            list_table.insert_unique(hash, id, |&id| hasher.hash_one(&*list(lists, id).fields));
            id
        });
        self.entering = entering;
        id
    }

    fn enter_field(&mut self, field: &Field) -> u32 {
        let Self { fields, field_table, hasher, .. } = self;
        let hash = hash_field(hasher, field);
        if let Some(&known) = field_table.find(hash, |&at| is_same(&fields[at as usize], field)) {
            return known;
        }
        let at = count32(fields.len());
        fields.push(Field { span: 0..0, value_span: 0..0, ..field.clone() });
        field_table.insert_unique(hash, at, |&at| hash_field(hasher, &fields[at as usize]));
        at
    }

    /// The fields of a list, in the order in which they were sent.
    pub fn fields(&self, id: HeaderListId) -> impl Iterator<Item = &Field> + Clone {
        list(&self.lists, id).fields.iter().map(|&at| &self.fields[at as usize])
    }
}

impl std::ops::Index<HeaderListId> for HeaderLists {
    type Output = HeaderList;

    fn index(&self, id: HeaderListId) -> &HeaderList {
        list(&self.lists, id)
    }
}

fn list(lists: &[HeaderList], id: HeaderListId) -> &HeaderList {
    &lists[id.0.get() as usize - 1]
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
