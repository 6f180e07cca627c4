//! Processes, and which descriptor of which process is which socket.

use hashbrown::HashMap;

use super::sockets::SocketNo;
use crate::streams::Process;

/// Processes that are remembered. Beyond it new ones are not told apart from strangers.
const MAX_PROCESSES: usize = 1 << 16;

/// Descriptors that are remembered, of all processes together.
const MAX_DESCRIPTORS: usize = 1 << 18;

/// A child gets its parent's descriptors if those are no more than this. Who forks with more is no usual server.
const MAX_COPIED: usize = 1 << 12;

/// Among so many processes a stranger's descriptors are looked for, where it is not seen who made whom.
const MAX_STRANGERS: usize = 256;

/// The flag of `clone` for threads: they share all descriptors.
const SHARES: &[u8] = b"CLONE_FILES";

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// `None`: no stream socket.
    pub(super) socket: Option<SocketNo>,
    /// It does not outlive `execve`.
    pub(super) closes_on_exec: bool,
}

#[derive(Debug, Default)]
pub(super) struct Processes {
    processes: HashMap<u32, Known>,
    tables: HashMap<u32, Table>,
    /// How many tables there were.
    tables_made: u32,
    descriptors: usize,
    /// How many descriptors each socket has.
    held: HashMap<SocketNo, u32>,
    /// Parents of which a call to `clone` has not returned: its child may be seen first.
    cloning: Vec<(u32, bool)>,
    /// Whether it was seen that processes are made.
    sees_clones: bool,
}

#[derive(Debug)]
struct Known {
    table: u32,
    /// The process that a thread belongs to.
    leader: u32,
    name: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Table {
    descriptors: HashMap<u32, Descriptor>,
    users: u32,
}

impl Processes {
    /// The process at an end of a connection, as users see it.
    pub(super) fn describe(&self, pid: u32) -> Option<Process> {
        if pid == 0 {
            return None;
        }
        let Some(known) = self.processes.get(&pid) else { return Some(Process { pid, name: None }) };
        let leader = self.processes.get(&known.leader);
        let name = leader.and_then(|leader| leader.name.clone()).or_else(|| known.name.clone());
        (known.leader != 0).then_some(Process { pid: known.leader, name })
    }

    /// A process is seen: makes it known.
    pub(super) fn seen(&mut self, pid: u32) {
        if self.processes.contains_key(&pid) {
            return;
        }
        // A child may speak before its parent's call returns.
        if let Some((parent, shares)) = self.cloning.pop() {
            self.cloned(parent, pid, shares);
            return;
        }
        // Without -o, a process has no number until there is another one.
        if let Some(nameless) = self.processes.get_mut(&0)
            && nameless.leader == 0
        {
            nameless.leader = pid;
            let (table, name) = (nameless.table, nameless.name.clone());
            self.adopt(pid, Some(table), pid);
            if let Some(known) = self.processes.get_mut(&pid) {
                known.name = name;
            }
            return;
        }
        self.adopt(pid, None, pid);
    }

    /// A call that makes a process has begun.
    pub(super) fn cloning(&mut self, parent: u32, args: &[u8]) {
        self.sees_clones = true;
        if self.cloning.len() < MAX_PROCESSES {
            self.cloning.push((parent, shares(args)));
        }
    }

    /// A call that makes a process has returned.
    pub(super) fn cloned_by_call(&mut self, parent: u32, child: Option<u32>, args: &[u8]) {
        self.sees_clones = true;
        if let Some(at) = self.cloning.iter().position(|(of, _)| *of == parent) {
            self.cloning.remove(at);
        }
        if let Some(child) = child
            && !self.processes.contains_key(&child)
        {
            self.cloned(parent, child, shares(args));
        }
    }

    fn cloned(&mut self, parent: u32, child: u32, shares: bool) {
        self.seen(parent);
        let Some(known) = self.processes.get(&parent) else { return };
        let (table, leader, name) = (known.table, known.leader, known.name.clone());
        if shares {
            self.adopt(child, Some(table), leader);
        } else {
            let copied = self.tables.get(&table).map(|table| table.descriptors.clone()).unwrap_or_default();
            self.adopt(child, None, child);
            if copied.len() <= MAX_COPIED
                && self.descriptors + copied.len() <= MAX_DESCRIPTORS
                && let Some(table) = self.processes.get(&child).and_then(|child| self.tables.get_mut(&child.table))
            {
                self.descriptors += copied.len();
                for socket in copied.values().filter_map(|descriptor| descriptor.socket) {
                    *self.held.entry(socket).or_default() += 1;
                }
                table.descriptors = copied;
            }
        }
        if let Some(child) = self.processes.get_mut(&child) {
            child.name = name;
        }
    }

    fn adopt(&mut self, pid: u32, table: Option<u32>, leader: u32) {
        if self.processes.len() >= MAX_PROCESSES {
            return;
        }
        let table = table.unwrap_or_else(|| {
            self.tables_made = self.tables_made.wrapping_add(1);
            self.tables_made
        });
        self.tables.entry(table).or_default().users += 1;
        self.processes.insert(pid, Known { table, leader, name: None });
    }

    /// A process runs another program: its descriptors that are lost by that.
    pub(super) fn executed(&mut self, pid: u32, program: &[u8]) -> Vec<SocketNo> {
        self.name(pid, program.rsplit(|&byte| byte == b'/').next().unwrap_or_default());
        let Some(table) = self.table_mut(pid) else { return Vec::new() };
        let mut lost = Vec::new();
        let before = table.descriptors.len();
        table.descriptors.retain(|_, descriptor| {
            if descriptor.closes_on_exec {
                lost.extend(descriptor.socket);
            }
            !descriptor.closes_on_exec
        });
        self.descriptors -= before - self.table_mut(pid).map_or(0, |table| table.descriptors.len());
        self.let_go(lost)
    }

    /// The name of a process' program.
    pub(super) fn name(&mut self, pid: u32, name: &[u8]) {
        /// Names that the system gives have 15 bytes; paths have no limit.
        const LONGEST: usize = 255;

        let name = name.get(..LONGEST).unwrap_or(name);
        if let Some(known) = self.processes.get_mut(&pid)
            && known.name.as_ref().is_none_or(|known| known.as_bytes() != name)
        {
            known.name = Some(String::from_utf8_lossy(name).into());
        }
    }

    /// A process or thread has ended: the sockets that nobody has any more.
    pub(super) fn exited(&mut self, pid: u32) -> Vec<SocketNo> {
        let Some(known) = self.processes.remove(&pid) else { return Vec::new() };
        let Some(table) = self.tables.get_mut(&known.table) else { return Vec::new() };
        table.users = table.users.saturating_sub(1);
        if table.users > 0 {
            return Vec::new();
        }
        let Some(table) = self.tables.remove(&known.table) else { return Vec::new() };
        self.descriptors -= table.descriptors.len();
        let sockets = table.descriptors.values().filter_map(|descriptor| descriptor.socket).collect();
        self.let_go(sockets)
    }

    /// The table in which a process' descriptors are.
    pub(super) fn table(&self, pid: u32) -> Option<u32> {
        self.processes.get(&pid).map(|known| known.table)
    }

    /// What is known of a descriptor.
    pub(super) fn get(&self, pid: u32, fd: u32) -> Option<Descriptor> {
        self.tables.get(&self.processes.get(&pid)?.table)?.descriptors.get(&fd).copied()
    }

    /// The socket that a descriptor is in the only process that knows it: where it is not seen how processes are made,
    /// a stranger may be a thread of another one. It is taken for that from then on.
    pub(super) fn borrow(&mut self, pid: u32, fd: u32) -> Option<SocketNo> {
        let own = self.processes.get(&pid)?.table;
        if self.sees_clones
            || self.tables.len() > MAX_STRANGERS
            || self.tables.get(&own)?.descriptors.values().any(|known| known.socket.is_some())
        {
            return None;
        }
        let mut others = self.tables.iter().filter_map(|(number, table)| {
            Some((*number, table.descriptors.get(&fd)?.socket?)).filter(|(number, _)| *number != own)
        });
        let (table, socket) = others.next()?;
        if others.next().is_some() {
            return None;
        }
        let leader = self.processes.iter().find(|(_, known)| known.table == table).map(|(_, known)| known.leader)?;
        let emptied = self.tables.remove(&own)?;
        self.descriptors -= emptied.descriptors.len();
        self.tables.get_mut(&table)?.users += 1;
        let known = self.processes.get_mut(&pid)?;
        (known.table, known.leader) = (table, leader);
        Some(socket)
    }

    /// Sets what a descriptor is; gives the socket that it was, if nobody has that any more.
    pub(super) fn set(&mut self, pid: u32, fd: u32, descriptor: Descriptor) -> Option<SocketNo> {
        let is_full = self.descriptors >= MAX_DESCRIPTORS;
        let table = self.table_mut(pid)?;
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
        self.let_go(before?.socket.into_iter().collect()).first().copied()
    }

    /// A descriptor was closed; gives the socket that it was, if nobody has that any more.
    pub(super) fn close(&mut self, pid: u32, fd: u32) -> Option<SocketNo> {
        let socket = self.table_mut(pid)?.descriptors.remove(&fd)?.socket;
        self.descriptors -= 1;
        let mut closed: Vec<_> = socket.into_iter().collect();
        // Strangers that have the same under the same number are threads of one process, as far as can be seen.
        if !self.sees_clones && self.tables.len() <= MAX_STRANGERS {
            for table in self.tables.values_mut() {
                if socket.is_some() && table.descriptors.get(&fd).is_some_and(|known| known.socket == socket) {
                    table.descriptors.remove(&fd);
                    self.descriptors -= 1;
                    closed.extend(socket);
                }
            }
        }
        self.let_go(closed).first().copied()
    }

    /// All descriptors of a process from `first` to `last`.
    pub(super) fn range(&self, pid: u32, first: u32, last: u32) -> Vec<u32> {
        let table = self.processes.get(&pid).and_then(|known| self.tables.get(&known.table));
        let numbers = table.into_iter().flat_map(|table| table.descriptors.keys().copied());
        numbers.filter(|fd| (first..=last).contains(fd)).collect()
    }

    fn table_mut(&mut self, pid: u32) -> Option<&mut Table> {
        self.tables.get_mut(&self.processes.get(&pid)?.table)
    }

    /// Each of `sockets` has a descriptor less: those that have none any more, the oldest first.
    fn let_go(&mut self, mut sockets: Vec<SocketNo>) -> Vec<SocketNo> {
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

fn shares(args: &[u8]) -> bool {
    memchr::memmem::find(args, SHARES).is_some()
}
