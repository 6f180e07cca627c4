//! Processes, and which descriptor of which process is which socket.
//!
//! Threads share the descriptors of their process, and a child gets a copy of its parent's. Where the log shows how a thread
//! was made, both are followed exactly. A thread that was there before the log began, or whose making is not traced, has
//! an unknown origin: it may share the descriptors of any other such thread.

use hashbrown::HashMap;

use super::sockets::SocketNo;
use crate::streams::Process;

/// Processes that are remembered. Further ones are not followed.
const MAX_PROCESSES: usize = 1 << 16;

/// Descriptors that are remembered, of all processes together.
const MAX_DESCRIPTORS: usize = 1 << 18;

/// A child gets its parent's descriptors if those are no more than this: usual servers do not fork with more.
const MAX_COPIED: usize = 1 << 12;

/// Tables of unknown origin among which a descriptor is looked for. When there are more, none is searched.
const MAX_UNKNOWN_ORIGIN: usize = 256;

/// The flag of `clone` for threads: they share all descriptors.
const SHARES: &[u8] = b"CLONE_FILES";

/// A process or thread of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ThreadId {
    /// The run of strace that shows it. Another run may have the same number for something else.
    pub(super) session: u16,
    /// 0 where the log does not show numbers.
    pub(super) number: u32,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// `None`: it is not a stream socket.
    pub(super) socket: Option<SocketNo>,
    /// `execve` closes it.
    pub(super) closes_on_exec: bool,
}

#[derive(Debug, Default)]
pub(super) struct Processes {
    threads: HashMap<ThreadId, Thread>,
    tables: HashMap<u32, Table>,
    /// How many tables there were.
    tables_made: u32,
    /// Tables of unknown origin.
    unknown_origin: Vec<u32>,
    descriptors: usize,
    /// How many descriptors each socket has.
    held: HashMap<SocketNo, u32>,
    /// Parents whose call to `clone` has not returned: the child may be seen first.
    cloning: Vec<(ThreadId, Inheritance)>,
}

/// What the child of a call to `clone` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inheritance {
    /// It uses its parent's descriptors.
    Shares,
    /// It has a copy of them.
    Copies,
}

#[derive(Debug)]
struct Thread {
    table: u32,
    /// The process that a thread belongs to.
    leader: ThreadId,
    name: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Table {
    session: u16,
    descriptors: HashMap<u32, Descriptor>,
    /// Threads that share it.
    users: u32,
}

impl Processes {
    /// The process at an end of a connection, as users see it.
    pub(super) fn describe(&self, thread: ThreadId) -> Option<Process> {
        if thread.number == 0 {
            return None;
        }
        let Some(known) = self.threads.get(&thread) else { return Some(Process { pid: thread.number, name: None }) };
        let leader = self.threads.get(&known.leader);
        let name = leader.and_then(|leader| leader.name.clone()).or_else(|| known.name.clone());
        (known.leader.number != 0).then_some(Process { pid: known.leader.number, name })
    }

    /// A line shows a thread: remembers it.
    pub(super) fn seen(&mut self, thread: ThreadId) {
        if self.threads.contains_key(&thread) {
            return;
        }
        // A child may be seen before its parent's call returns.
        if let Some(at) = self.cloning.iter().rposition(|(parent, _)| parent.session == thread.session) {
            let (parent, how) = self.cloning.remove(at);
            self.cloned(parent, thread, how);
            return;
        }
        // Without -o, a process has no number until there is another one.
        let unnumbered = ThreadId { number: 0, ..thread };
        if let Some(known) = self.threads.get_mut(&unnumbered)
            && known.leader == unnumbered
        {
            known.leader = thread;
            let (table, name) = (known.table, known.name.clone());
            self.adopt(thread, Some(table), thread);
            if let Some(known) = self.threads.get_mut(&thread) {
                known.name = name;
            }
            return;
        }
        self.adopt(thread, None, thread);
        if let Some(known) = self.threads.get(&thread)
            && self.unknown_origin.len() <= MAX_UNKNOWN_ORIGIN
        {
            self.unknown_origin.push(known.table);
        }
    }

    /// A call to `clone` has begun.
    pub(super) fn cloning(&mut self, parent: ThreadId, args: &[u8]) {
        if self.cloning.len() < MAX_PROCESSES {
            self.cloning.push((parent, Inheritance::by(args)));
        }
    }

    /// A call to `clone` has returned.
    pub(super) fn cloned_by_call(&mut self, parent: ThreadId, child: Option<u32>, args: &[u8]) {
        if let Some(at) = self.cloning.iter().position(|(of, _)| *of == parent) {
            self.cloning.remove(at);
        }
        if let Some(number) = child {
            let child = ThreadId { number, ..parent };
            if !self.threads.contains_key(&child) {
                self.cloned(parent, child, Inheritance::by(args));
            }
        }
    }

    fn cloned(&mut self, parent: ThreadId, child: ThreadId, how: Inheritance) {
        self.seen(parent);
        let Some(known) = self.threads.get(&parent) else { return };
        let (table, leader, name) = (known.table, known.leader, known.name.clone());
        if how == Inheritance::Shares {
            self.adopt(child, Some(table), leader);
        } else {
            let copied = self.tables.get(&table).map(|table| table.descriptors.clone()).unwrap_or_default();
            self.adopt(child, None, child);
            if copied.len() <= MAX_COPIED
                && self.descriptors + copied.len() <= MAX_DESCRIPTORS
                && let Some(table) = self.threads.get(&child).and_then(|child| self.tables.get_mut(&child.table))
            {
                self.descriptors += copied.len();
                for socket in copied.values().filter_map(|descriptor| descriptor.socket) {
                    *self.held.entry(socket).or_default() += 1;
                }
                table.descriptors = copied;
            }
        }
        if let Some(child) = self.threads.get_mut(&child) {
            child.name = name;
        }
    }

    fn adopt(&mut self, thread: ThreadId, table: Option<u32>, leader: ThreadId) {
        if self.threads.len() >= MAX_PROCESSES {
            return;
        }
        let table = table.unwrap_or_else(|| {
            self.tables_made = self.tables_made.wrapping_add(1);
            self.tables_made
        });
        let known = self.tables.entry(table).or_insert_with(|| Table { session: thread.session, ..Table::default() });
        known.users += 1;
        self.threads.insert(thread, Thread { table, leader, name: None });
    }

    /// A process runs another program. Gives the sockets of which this closed the last descriptor.
    pub(super) fn executed(&mut self, thread: ThreadId, program: &[u8]) -> Vec<SocketNo> {
        self.name(thread, program.rsplit(|&byte| byte == b'/').next().unwrap_or_default());
        let Some(table) = self.table_mut(thread) else { return Vec::new() };
        let mut lost = Vec::new();
        let before = table.descriptors.len();
        table.descriptors.retain(|_, descriptor| {
            if descriptor.closes_on_exec {
                lost.extend(descriptor.socket);
            }
            !descriptor.closes_on_exec
        });
        self.descriptors -= before - self.table_mut(thread).map_or(0, |table| table.descriptors.len());
        self.release(lost)
    }

    /// Sets the name of a process' program.
    pub(super) fn name(&mut self, thread: ThreadId, name: &[u8]) {
        /// Names that the system gives have 15 bytes; paths have no limit.
        const LONGEST: usize = 255;

        let name = name.get(..LONGEST).unwrap_or(name);
        if let Some(known) = self.threads.get_mut(&thread)
            && known.name.as_ref().is_none_or(|known| known.as_bytes() != name)
        {
            known.name = Some(String::from_utf8_lossy(name).into());
        }
    }

    /// A process or thread has ended. Gives the sockets of which this closed the last descriptor.
    pub(super) fn exited(&mut self, thread: ThreadId) -> Vec<SocketNo> {
        let Some(known) = self.threads.remove(&thread) else { return Vec::new() };
        let Some(table) = self.tables.get_mut(&known.table) else { return Vec::new() };
        table.users = table.users.saturating_sub(1);
        if table.users > 0 {
            return Vec::new();
        }
        let sibling = self.sibling_of(known.table);
        let Some(table) = self.tables.remove(&known.table) else { return Vec::new() };
        self.unknown_origin.retain(|table| *table != known.table);
        self.descriptors -= table.descriptors.len();
        let mut closed = Vec::new();
        let mut inherited = 0;
        let mut sibling = sibling.and_then(|number| self.tables.get_mut(&number));
        for (fd, descriptor) in table.descriptors {
            match &mut sibling {
                Some(sibling) if !sibling.descriptors.contains_key(&fd) => {
                    sibling.descriptors.insert(fd, descriptor);
                    inherited += 1;
                }
                _ => closed.extend(descriptor.socket),
            }
        }
        self.descriptors += inherited;
        self.release(closed)
    }

    /// A table of unknown origin that has one of the sockets of `table` under the same number: the two belong to
    /// threads of one process, as far as can be seen, and what one of them had is not closed when it ends.
    fn sibling_of(&self, table: u32) -> Option<u32> {
        if self.unknown_origin.len() > MAX_UNKNOWN_ORIGIN || !self.unknown_origin.contains(&table) {
            return None;
        }
        let own = self.tables.get(&table)?;
        let is_sibling = |other: &Table| {
            own.session == other.session
                && own.descriptors.iter().any(|(fd, descriptor)| {
                    descriptor.socket.is_some()
                        && other.descriptors.get(fd).is_some_and(|other| other.socket == descriptor.socket)
                })
        };
        let mut others = self.unknown_origin.iter().copied().filter(|number| *number != table);
        others.find(|number| self.tables.get(number).is_some_and(is_sibling))
    }

    /// The number of the table that has a thread's descriptors.
    pub(super) fn table(&self, thread: ThreadId) -> Option<u32> {
        self.threads.get(&thread).map(|known| known.table)
    }

    /// What a descriptor is, if that is known.
    pub(super) fn get(&self, thread: ThreadId, fd: u32) -> Option<Descriptor> {
        self.tables.get(&self.threads.get(&thread)?.table)?.descriptors.get(&fd).copied()
    }

    /// Other tables of unknown origin in the session of `thread`, if that has one itself.
    fn possible_siblings(&self, thread: ThreadId) -> impl Iterator<Item = (u32, &Table)> {
        let own = self.threads.get(&thread).map(|known| known.table);
        let is_searched = self.unknown_origin.len() <= MAX_UNKNOWN_ORIGIN
            && own.is_some_and(|own| self.unknown_origin.contains(&own));
        let tables = if is_searched { &self.unknown_origin[..] } else { &[] };
        tables.iter().filter_map(move |number| {
            let table = self.tables.get(number).filter(|table| table.session == thread.session)?;
            (Some(*number) != own).then_some((*number, table))
        })
    }

    /// The one socket that threads which may belong to the same process have under this number.
    pub(super) fn siblings_socket(&self, thread: ThreadId, fd: u32) -> Option<SocketNo> {
        let mut sockets = self.possible_siblings(thread).filter_map(|(_, table)| table.descriptors.get(&fd)?.socket);
        let first = sockets.next()?;
        sockets.all(|other| other == first).then_some(first)
    }

    /// The socket that a descriptor is in the only table of unknown origin that knows it. The thread is assumed to be one of
    /// that process from then on, unless it has sockets of its own.
    pub(super) fn join_sibling(&mut self, thread: ThreadId, fd: u32) -> Option<SocketNo> {
        let own = self.threads.get(&thread)?.table;
        if self.tables.get(&own)?.descriptors.values().any(|known| known.socket.is_some()) {
            return None;
        }
        let mut fitting = self
            .possible_siblings(thread)
            .filter_map(|(number, table)| Some((number, table.descriptors.get(&fd)?.socket?)));
        let (table, socket) = fitting.next()?;
        if fitting.next().is_some() {
            return None;
        }
        drop(fitting);
        let leader = self.threads.values().find(|known| known.table == table).map(|known| known.leader)?;
        let emptied = self.tables.remove(&own)?;
        self.unknown_origin.retain(|table| *table != own);
        self.descriptors -= emptied.descriptors.len();
        self.tables.get_mut(&table)?.users += 1;
        let known = self.threads.get_mut(&thread)?;
        (known.table, known.leader) = (table, leader);
        Some(socket)
    }

    /// Sets what a descriptor is. Gives the socket that it was, if this closed its last descriptor.
    pub(super) fn set(&mut self, thread: ThreadId, fd: u32, descriptor: Descriptor) -> Option<SocketNo> {
        let is_full = self.descriptors >= MAX_DESCRIPTORS;
        let table = self.table_mut(thread)?;
        if is_full && !table.descriptors.contains_key(&fd) {
            return None;
        }
        let before = table.descriptors.insert(fd, descriptor);
        if before.is_none() {
            self.descriptors += 1;
        }
        if let Some(socket) = descriptor.socket {
            *self.held.entry(socket).or_default() += 1;
        }
        self.release(before?.socket.into_iter().collect()).first().copied()
    }

    /// A descriptor was closed. Gives the socket that it was, if it was its last descriptor.
    pub(super) fn close(&mut self, thread: ThreadId, fd: u32) -> Option<SocketNo> {
        let socket = self.table_mut(thread)?.descriptors.remove(&fd)?.socket;
        self.descriptors -= 1;
        let mut closed: Vec<_> = socket.into_iter().collect();
        if socket.is_some() {
            // Those that have the same socket under the same number are assumed to be threads of the same process.
            let is_same = |table: &Table| table.descriptors.get(&fd).is_some_and(|known| known.socket == socket);
            let siblings = self.possible_siblings(thread).filter(|(_, table)| is_same(table));
            for number in siblings.map(|(number, _)| number).collect::<Vec<_>>() {
                if let Some(table) = self.tables.get_mut(&number) {
                    table.descriptors.remove(&fd);
                    self.descriptors -= 1;
                    closed.extend(socket);
                }
            }
        }
        self.release(closed).first().copied()
    }

    /// All descriptors of a thread from `first` to `last`.
    pub(super) fn range(&self, thread: ThreadId, first: u32, last: u32) -> Vec<u32> {
        let table = self.threads.get(&thread).and_then(|known| self.tables.get(&known.table));
        let numbers = table.into_iter().flat_map(|table| table.descriptors.keys().copied());
        numbers.filter(|fd| (first..=last).contains(fd)).collect()
    }

    fn table_mut(&mut self, thread: ThreadId) -> Option<&mut Table> {
        self.tables.get_mut(&self.threads.get(&thread)?.table)
    }

    /// Each of `sockets` has one descriptor less. Gives those that have none any more, the oldest first.
    fn release(&mut self, mut sockets: Vec<SocketNo>) -> Vec<SocketNo> {
        sockets.retain(|socket| match self.held.get_mut(socket) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            Some(_) => self.held.remove(socket).is_some(),
            None => false,
        });
        sockets.sort_unstable();
        sockets
    }
}

impl Inheritance {
    /// By the arguments of the call.
    fn by(args: &[u8]) -> Self {
        if memchr::memmem::find(args, SHARES).is_some() { Self::Shares } else { Self::Copies }
    }
}
