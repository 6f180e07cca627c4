//! Header lists, each kept once however many calls carry it.
//!
//! A client sends much the same fields with every call. A list is decoded, judged ([`HeaderFacts`]) and stored the
//! first time; after that it is a number.

use std::hash::BuildHasher;
use std::num::NonZero;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::grpc::HeaderFacts;
use crate::http2::hpack::Field;

/// A header list of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderListId(NonZero<u32>);

/// A header list and what is concluded from it.
#[derive(Debug)]
pub struct HeaderList {
    /// The fields in the order in which they were sent.
    pub fields: Arc<[Field]>,
    /// What they say about a call.
    pub facts: HeaderFacts,
}

/// All header lists of a lane.
#[derive(Debug, Default)]
pub struct HeaderLists {
    lists: Vec<HeaderList>,
    by_content: HashTable<HeaderListId>,
    hasher: DefaultHashBuilder,
}

impl HeaderLists {
    /// Enters a list, or finds it where an equal one is there already.
    pub fn enter(&mut self, fields: Arc<[Field]>) -> HeaderListId {
        self.enter_judged(fields, HeaderFacts::of)
    }

    /// The same for a list of another protocol: `judge` concludes what there is to conclude from it.
    pub(crate) fn enter_judged(
        &mut self,
        fields: Arc<[Field]>,
        judge: impl FnOnce(&[Field]) -> HeaderFacts,
    ) -> HeaderListId {
        let hash = self.hasher.hash_one(&fields);
        let lists = &self.lists;
        let known = self.by_content.find(hash, |&id| list(lists, id).fields == fields).copied();
        known.unwrap_or_else(|| {
            let facts = judge(&fields);
            self.add(hash, fields, facts)
        })
    }

    fn add(&mut self, hash: u64, fields: Arc<[Field]>, facts: HeaderFacts) -> HeaderListId {
        self.lists.push(HeaderList { fields, facts });
        let count = u32::try_from(self.lists.len()).expect("memory ends before the numbers do");
        let id = HeaderListId(NonZero::new(count).expect("one was pushed"));
        let (lists, hasher) = (&self.lists, &self.hasher);
        self.by_content.insert_unique(hash, id, |&id| hasher.hash_one(&list(lists, id).fields));
        id
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
