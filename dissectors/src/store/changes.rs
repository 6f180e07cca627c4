//! What has changed in a store since a reader last looked.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::commit::Committed;
use super::ids::CallRef;

/// The commits that some reader has not taken yet.
///
/// Any number of readers follow a store through its log, each at its own pace. The log holds what the slowest of them
/// has not taken, up to a limit.
#[derive(Debug, Default)]
pub struct ChangeLog {
    entries: VecDeque<Entry>,
    /// The number of the first of `entries`, counted from the first commit.
    first: u64,
    /// What `entries` hold, in items.
    held: usize,
    readers: Vec<Reader>,
    next_reader: u64,
    /// The number of the next call, and of the next connection.
    next_call: u32,
    next_connection: u32,
}

/// Numbers that the log holds at most. A reader that is further behind gets the present state instead, like one that
/// joins late is: that costs it one look at everything, and the reading no memory.
pub(super) const MAX_HELD: usize = 1 << 20;

/// A reader of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReaderId(u64);

/// What has changed since a reader last took changes. Numbers are those that users see.
#[derive(Debug, Default)]
pub struct Changes {
    /// What the reader knew is out of date: `calls` and `connections` are all there are, and the lists are empty. The
    /// first changes of a reader that joins late, and of one that was too slow.
    pub restarted: bool,
    /// The numbers of the calls that are new to the reader. Some that were complete may be forgotten.
    pub calls: Range<u32>,
    /// The numbers of the calls that it knew and that changed, each once, ascending.
    pub changed: Vec<u32>,
    /// Calls of which nothing more is expected, new or not, in the order in which they ended. A call is listed once.
    pub completed: Vec<CallRef>,
    /// The numbers of the connections that are new to the reader.
    pub connections: Range<u32>,
    /// The numbers of the connections that it knew and that changed, each once, ascending.
    pub changed_connections: Vec<u32>,
}

impl Changes {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        !self.restarted
            && self.calls.is_empty()
            && self.changed.is_empty()
            && self.completed.is_empty()
            && self.connections.is_empty()
            && self.changed_connections.is_empty()
    }
}

#[derive(Debug)]
struct Reader {
    id: ReaderId,
    /// The commit that it has to take next; none where it needs the present state.
    next: Option<u64>,
    /// The first call, and the first connection, that it has not seen.
    next_call: u32,
    next_connection: u32,
}

/// What is kept of a commit.
#[derive(Debug)]
struct Entry {
    changed: Vec<u32>,
    completed: Vec<CallRef>,
    changed_connections: Vec<u32>,
}

impl Entry {
    fn len(&self) -> usize {
        self.changed.len() + self.completed.len() + self.changed_connections.len()
    }
}

impl ChangeLog {
    /// Adds what a commit has changed.
    pub fn add(&mut self, committed: &Committed) {
        self.next_call = committed.calls.end;
        self.next_connection = committed.connections.end;
        if self.readers.iter().all(|reader| reader.next.is_none()) {
            self.first += self.entries.len() as u64 + 1;
            self.entries.clear();
            self.held = 0;
            return;
        }
        let entry = Entry {
            changed: committed.changed.clone(),
            completed: committed.completed.clone(),
            changed_connections: committed.changed_connections.clone(),
        };
        self.held += entry.len();
        self.entries.push_back(entry);
        if self.held > MAX_HELD {
            // Nobody is so slow for long without being paused; the others have taken most of this.
            let half = self.first + self.entries.len() as u64 / 2;
            for reader in self.readers.iter_mut().filter(|reader| reader.next.is_some_and(|next| next <= half)) {
                reader.next = None;
            }
        }
        self.trim();
    }

    /// Adds a reader. Where there were commits already its first changes are the present state.
    pub fn join(&mut self) -> ReaderId {
        let id = ReaderId(self.next_reader);
        self.next_reader += 1;
        let end = self.first + self.entries.len() as u64;
        let next = (end == 0).then_some(0);
        self.readers.push(Reader { id, next, next_call: 1, next_connection: 0 });
        id
    }

    /// Removes a reader.
    pub fn leave(&mut self, id: ReaderId) {
        self.readers.retain(|reader| reader.id != id);
        self.trim();
    }

    /// Whether there is something that a reader has not taken.
    pub fn is_behind(&self, id: ReaderId) -> bool {
        let end = self.first + self.entries.len() as u64;
        self.readers.iter().any(|reader| reader.id == id && reader.next != Some(end))
    }

    /// Takes all that has changed since the reader took changes before. To be called while the store shows the state of
    /// the last commit in the log. Nothing for a reader that has left.
    pub fn take(&mut self, id: ReaderId) -> Changes {
        let end = self.first + self.entries.len() as u64;
        let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) else { return Changes::default() };
        let before = reader.next.replace(end);
        let first_call = std::mem::replace(&mut reader.next_call, self.next_call.max(1));
        let first_connection = std::mem::replace(&mut reader.next_connection, self.next_connection);
        let Some(before) = before else {
            let (calls, connections) = (1..reader.next_call, 0..reader.next_connection);
            self.trim();
            return Changes { restarted: true, calls, connections, ..Changes::default() };
        };
        let mut changes = Changes {
            calls: first_call..reader.next_call,
            connections: first_connection..reader.next_connection,
            ..Changes::default()
        };
        let mut changed = BTreeSet::new();
        let mut changed_connections = BTreeSet::new();
        for entry in self.entries.iter().skip((before - self.first) as usize) {
            changed.extend(entry.changed.iter().copied().filter(|&no| no < first_call));
            changes.completed.extend_from_slice(&entry.completed);
            changed_connections.extend(entry.changed_connections.iter().copied().filter(|&no| no < first_connection));
        }
        changes.changed = changed.into_iter().collect();
        changes.changed_connections = changed_connections.into_iter().collect();
        self.trim();
        changes
    }

    /// What it holds, in items.
    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Drops what every reader has taken.
    fn trim(&mut self) {
        let end = self.first + self.entries.len() as u64;
        let needed = self.readers.iter().filter_map(|reader| reader.next).min().unwrap_or(end);
        while self.first < needed
            && let Some(entry) = self.entries.pop_front()
        {
            self.held -= entry.len();
            self.first += 1;
        }
    }
}
