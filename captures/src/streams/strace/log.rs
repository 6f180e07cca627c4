//! A log: lines in, events out.

use hashbrown::HashMap;

use super::call::{self, Call, Line};
use super::calls::Step;
use super::prefix;
use super::processes::{Processes, ThreadId};
use super::sockets::{Context, SocketNo, Sockets, Source};
use super::unidentified::Unidentified;
use crate::streams::event::Sink;

/// What the first halves of calls may take together, in bytes. When it is used up, further ones are not kept, and the
/// bytes that their calls move are missing.
const MAX_PENDING: usize = 256 << 20;

/// Calls that have begun and not returned, at a time. Further ones are not kept either.
const MAX_CALLS: usize = 1 << 16;

/// The file that a line is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// The run of strace that wrote it. The files of one run with `-ff` have the same number.
    pub(crate) session: u16,
    /// The process whose lines it has, if `-ff` wrote it.
    pub(crate) pid: Option<u32>,
}

/// The logs of all sessions of a reading.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(super) processes: Processes,
    pub(super) sockets: Sockets,
    pub(super) unidentified: Unidentified,
    /// Calls that have begun, by thread.
    pending: HashMap<ThreadId, Pending>,
    pending_bytes: usize,
    /// The whole of a call that is on two lines.
    joined: Vec<u8>,
}

/// The first half of a call.
#[derive(Debug)]
struct Pending {
    name: Box<[u8]>,
    args: Box<[u8]>,
    /// The socket that it writes to.
    writes: Option<SocketNo>,
}

impl Log {
    /// For the logs of one session, or of several.
    pub(crate) fn new(has_several_logs: bool) -> Self {
        Self { sockets: Sockets::new(has_several_logs), ..Self::default() }
    }

    /// Reads a line, and the lines of a dump after it.
    pub(crate) fn line(&mut self, text: &[u8], file: LogFile, sink: &mut Sink<'_>) {
        let (line, dump) = match memchr::memchr(b'\n', text) {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
            None => (text, &[][..]),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let columns = prefix::prefix(line);
        let number = if columns.pid == 0 { file.pid.unwrap_or_default() } else { columns.pid };
        let thread = ThreadId { session: file.session, number };
        let source = Source { session: file.session, by_return: file.pid.is_none() };
        self.sockets.next_line(&mut Context { processes: &self.processes, sink, source });
        match call::line(columns.body) {
            Line::Call { name, rest } => {
                let Some(call) = Call::named(name) else { return };
                self.enter(thread, columns.comm);
                Step { log: self, thread, source, sink }.call(call, rest, dump);
            }
            Line::Unfinished { name, args } => {
                let Some(call) = Call::named(name) else { return };
                self.enter(thread, columns.comm);
                self.drop_pending(thread);
                if self.pending.len() < MAX_CALLS {
                    let writes = Step { log: self, thread, source, sink }.begins(call, args);
                    self.keep_pending(thread, Pending { name: name.into(), args: args.into(), writes });
                }
            }
            Line::Resumed { name, rest } => {
                let Some(pending) = self.take_pending(thread) else { return };
                let Some(call) = Call::named(name).filter(|_| *pending.name == *name) else { return };
                let mut joined = std::mem::take(&mut self.joined);
                joined.clear();
                joined.extend_from_slice(&pending.args);
                joined.extend_from_slice(rest);
                Step { log: self, thread, source, sink }.call(call, &joined, dump);
                self.joined = joined;
            }
            Line::Exited => {
                self.drop_pending(thread);
                let lost = self.processes.exited(thread);
                Step { log: self, thread, source, sink }.closed(lost);
            }
            Line::Other => {}
        }
    }

    /// The logs have ended.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) {
        let source = Source { session: 0, by_return: true };
        self.sockets.finish(&mut Context { processes: &self.processes, sink, source });
        *self = Self::default();
    }

    fn enter(&mut self, thread: ThreadId, comm: Option<&[u8]>) {
        self.processes.seen(thread);
        if let Some(comm) = comm {
            self.processes.name(thread, comm);
        }
    }

    fn keep_pending(&mut self, thread: ThreadId, mut pending: Pending) {
        if let Some(socket) = pending.writes {
            self.sockets.begins_to_write(socket);
        }
        if self.pending_bytes + pending.args.len() > MAX_PENDING {
            pending.args = Box::default();
        }
        self.pending_bytes += pending.args.len();
        self.pending.insert(thread, pending);
    }

    fn take_pending(&mut self, thread: ThreadId) -> Option<Pending> {
        let pending = self.pending.remove(&thread)?;
        self.pending_bytes -= pending.args.len();
        if let Some(socket) = pending.writes {
            self.sockets.ends_to_write(socket);
        }
        Some(pending)
    }

    /// A call that never returned.
    fn drop_pending(&mut self, thread: ThreadId) {
        drop(self.take_pending(thread));
    }
}
