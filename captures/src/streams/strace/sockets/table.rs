//! All sockets of the logs that are read together.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::close::Closing;
use super::names::Names;
use super::pair::{Pair, PairNo};
use super::socket::{Socket, SocketNo, Transport};
use crate::streams::event::Sink;
use crate::streams::strace::processes::{Processes, ThreadId};

/// Sockets that are remembered. When there are more, the eighth that was idle for longest is forgotten.
const MAX_SOCKETS: usize = 1 << 17;

/// Sockets and the connections between them.
#[derive(Debug, Default)]
pub(in super::super) struct Sockets {
    pub(super) sockets: HashMap<SocketNo, Socket>,
    pub(super) pairs: HashMap<PairNo, Pair>,
    /// How many sockets and pairs were created.
    pub(super) made: u64,
    pub(super) names: Names,
    pub(super) closing: VecDeque<Closing>,
    /// Lines read so far.
    pub(super) line: u64,
    /// The logs of several sessions are read together.
    pub(super) has_several_logs: bool,
    /// Bytes that are kept to align the ends of connections, of all connections together.
    pub(super) recent_bytes: usize,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Source {
    /// The run of strace that wrote it.
    pub(in super::super) session: u16,
    /// Lines come in the order in which calls return (and not, as from `-ff`, in the order in which they begin).
    pub(in super::super) by_return: bool,
}

/// What a line needs besides its own text: who the processes are, and where events go.
pub(in super::super) struct Context<'a, 'b> {
    pub(in super::super) processes: &'a Processes,
    pub(in super::super) sink: &'a mut Sink<'b>,
    pub(in super::super) source: Source,
}

impl Sockets {
    /// For the logs of one session, or of several.
    pub(in super::super) fn new(has_several_logs: bool) -> Self {
        Self { has_several_logs, ..Self::default() }
    }

    /// The next line is read.
    pub(in super::super) fn next_line(&mut self, context: &mut Context<'_, '_>) {
        self.line += 1;
        while self.closing.front().is_some_and(|closing| closing.due <= self.line) {
            self.close_next(context);
        }
        if self.sockets.len() > MAX_SOCKETS {
            self.forget_idle(context);
        }
    }

    /// A socket of which nothing is known.
    pub(in super::super) fn new_socket(&mut self, transport: Transport, is_born: bool, session: u16) -> SocketNo {
        self.made += 1;
        let no = SocketNo(self.made);
        let line = self.line;
        let socket = Socket { transport, session, is_born, last: line, since: line, ..Socket::default() };
        self.sockets.insert(no, socket);
        no
    }

    /// A thread uses a socket.
    pub(in super::super) fn used(&mut self, no: SocketNo, thread: ThreadId, context: &mut Context<'_, '_>) {
        let line = self.line;
        let Some(socket) = self.sockets.get_mut(&no) else { return };
        socket.last = line;
        socket.released = None;
        let is_new = !socket.is_seen || socket.thread.number == 0;
        socket.is_seen = true;
        socket.session = thread.session;
        if is_new {
            socket.thread = thread;
            if let Some((pair, _)) = socket.pair {
                self.refresh(pair, context);
            }
        }
    }

    /// Forgets a socket that belongs to no connection any more.
    pub(super) fn forget(&mut self, no: SocketNo) {
        if let Some(socket) = self.sockets.remove(&no) {
            self.names.forget(no, &socket);
        }
    }

    pub(super) fn forget_pair(&mut self, no: PairNo) {
        if let Some(pair) = self.pairs.remove(&no) {
            self.recent_bytes -= pair.recent_bytes();
            for no in pair.ends.into_iter().flatten() {
                self.forget(no);
            }
        }
    }

    fn forget_idle(&mut self, context: &mut Context<'_, '_>) {
        let mut idle: Vec<_> = self.sockets.iter().map(|(no, socket)| (socket.last, *no)).collect();
        idle.sort_unstable();
        for (_, no) in idle.into_iter().take(MAX_SOCKETS / 8) {
            self.retire(no, context);
        }
    }

    /// The socket at one end of a connection.
    pub(super) fn end(&self, pair: PairNo, end: usize) -> Option<&Socket> {
        self.sockets.get(&(*self.pairs.get(&pair)?.ends.get(end)?)?)
    }
}
