//! Sockets and the connections between them.
//!
//! A socket is one end; a log may show one end of a connection or both. What one end writes the other one reads: where
//! both are in the log, every byte is there twice. So each flow counts what was written and what was read, and hands on
//! whatever goes beyond both: the same bytes never come twice, and what only one of the two shows is not missed.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use hashbrown::HashMap;

use super::args::Piece;
use super::fd::Note;
use super::processes::Processes;
use crate::connection::Close;
use crate::streams::event::{ClientBy, Opened, Sink, StreamNo, What};
use crate::{Direction, Endpoint, GapCause, Timestamp};

/// Sockets that are remembered. Beyond it the eighth that was idle for longest is forgotten.
const MAX_SOCKETS: usize = 1 << 17;

/// Calls to `connect` that wait for their `accept`. More than any backlog; behind it the oldest are given up.
const MAX_CONNECTING: usize = 1 << 12;

/// Descriptors on their way to another process, of one flow: as many as one message may carry (`SCM_MAX_FD`).
const MAX_RIGHTS: usize = 253;

/// A socket that all known processes have closed counts as closed after so many further lines: another process, of
/// which the log does not show how it was made, may have it too, and will use it soon.
const CLOSING_LINES: u64 = 64;

/// A socket, by when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SocketNo(u64);

/// A pair of sockets, by when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PairNo(u64);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Transport {
    #[default]
    Unknown,
    Unix,
    Tcp,
}

/// How a socket got its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Connected,
    Accepted,
    /// By `socketpair`, as the first of the two or as the second.
    First,
    Second,
}

#[derive(Debug, Default)]
struct Socket {
    transport: Transport,
    inode: Option<u64>,
    /// Own and other address.
    addresses: Option<(SocketAddr, SocketAddr)>,
    name: Option<Endpoint>,
    /// What is said of it would have its name if it had one.
    shows_name: bool,
    /// What this end says that the other one is called.
    peer_name: Option<Endpoint>,
    role: Option<Role>,
    /// The call that made it is in the log.
    is_born: bool,
    /// It was used, and not only spoken of by the other end.
    is_seen: bool,
    /// Who used it last; 0: nobody.
    pid: u32,
    /// How many calls that write have begun and not returned.
    writing: u32,
    pair: Option<(PairNo, usize)>,
    /// The line at which it was last used.
    last: u64,
}

#[derive(Debug, Default)]
struct Pair {
    ends: [Option<SocketNo>; 2],
    /// By the end that sends.
    flows: [Flow; 2],
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    no: StreamNo,
    /// The end that is the client.
    client: usize,
    said: Opened,
}

#[derive(Debug, Default)]
struct Flow {
    written: u64,
    read: u64,
    closed: Option<Close>,
    /// Sockets that were sent in it (SCM_RIGHTS) and not received yet.
    rights: VecDeque<SocketNo>,
}

/// An end that was closed, and may turn out not to be.
#[derive(Debug)]
struct Closing {
    due: u64,
    socket: SocketNo,
    time: Timestamp,
    /// The line at which it was closed.
    line: u64,
}

#[derive(Debug, Default)]
pub(super) struct Sockets {
    sockets: HashMap<SocketNo, Socket>,
    pairs: HashMap<PairNo, Pair>,
    made: u64,
    by_inode: HashMap<u64, SocketNo>,
    by_addresses: HashMap<(SocketAddr, SocketAddr), SocketNo>,
    connecting: VecDeque<(Endpoint, SocketNo)>,
    /// Accepted before its `connect` was seen: logs of `-ff` are in the order in which calls begin.
    accepted_early: VecDeque<(Endpoint, SocketNo)>,
    closing: VecDeque<Closing>,
    line: u64,
}

/// Whether a call took bytes from the socket or gave bytes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Write,
    Read,
}

/// What a line may need besides: who the processes are, and where events go.
pub(super) struct Context<'a, 'b> {
    pub(super) processes: &'a Processes,
    pub(super) sink: &'a mut Sink<'b>,
    /// Lines come in the order in which calls return (and not, as from `-ff`, in the order in which they begin).
    pub(super) by_return: bool,
}

impl Sockets {
    /// The next line is read.
    pub(super) fn next_line(&mut self, context: &mut Context<'_, '_>) {
        self.line += 1;
        while self.closing.front().is_some_and(|closing| closing.due <= self.line) {
            self.close_next(context);
        }
        if self.sockets.len() > MAX_SOCKETS {
            self.forget_idle(context);
        }
    }

    /// A socket that nothing is known of.
    pub(super) fn new_socket(&mut self, transport: Transport, is_born: bool) -> SocketNo {
        self.made += 1;
        let no = SocketNo(self.made);
        self.sockets.insert(no, Socket { transport, is_born, last: self.line, ..Socket::default() });
        no
    }

    /// The socket of a descriptor: what the descriptor was, and what is said of it. `None`: no stream socket that can be
    /// told from others.
    pub(super) fn find(
        &mut self,
        known: Option<SocketNo>,
        note: &Note,
        context: &mut Context<'_, '_>,
    ) -> Option<SocketNo> {
        let known = known.filter(|known| self.sockets.contains_key(known));
        match note {
            Note::Nothing => known,
            Note::Other => None,
            Note::Socket(inode) => {
                // Under -y nobody says of what kind it is: it was seen being made, or it is no stream perhaps.
                Some(self.by_inode(known, *inode, Transport::Unknown, context))
            }
            Note::TcpInode(inode) => Some(self.by_inode(known, *inode, Transport::Tcp, context)),
            Note::Unix { inode, peer, name } => {
                let no = self.by_inode(known, *inode, Transport::Unix, context);
                if let Some(name) = name {
                    self.set_name(no, name);
                }
                if let Some(peer) = peer {
                    if let Some(socket) = self.sockets.get_mut(&no) {
                        socket.shows_name = true;
                    }
                    let other = self.other_by_inode(*peer);
                    self.link(no, other);
                }
                Some(no)
            }
            Note::TcpListening(address) => {
                let no = known.unwrap_or_else(|| self.new_socket(Transport::Tcp, false));
                self.set_name(no, &Endpoint::Tcp(*address));
                Some(no)
            }
            Note::Tcp(local, peer) => Some(self.by_addresses(known, *local, *peer, context)),
        }
    }

    fn by_inode(
        &mut self,
        known: Option<SocketNo>,
        inode: u64,
        transport: Transport,
        context: &mut Context<'_, '_>,
    ) -> SocketNo {
        let _ = context;
        let no = match (self.by_inode.get(&inode), known) {
            (Some(&no), _) => no,
            (None, Some(known)) if self.sockets.get(&known).is_some_and(|socket| socket.inode.is_none()) => known,
            (None, _) => self.new_socket(transport, false),
        };
        self.by_inode.insert(inode, no);
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.inode = Some(inode);
            if transport != Transport::Unknown {
                socket.transport = transport;
            }
        }
        no
    }

    fn other_by_inode(&mut self, inode: u64) -> SocketNo {
        if let Some(&no) = self.by_inode.get(&inode) {
            return no;
        }
        let no = self.new_socket(Transport::Unix, false);
        self.by_inode.insert(inode, no);
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.inode = Some(inode);
        }
        no
    }

    fn by_addresses(
        &mut self,
        known: Option<SocketNo>,
        local: SocketAddr,
        peer: SocketAddr,
        context: &mut Context<'_, '_>,
    ) -> SocketNo {
        let found = self.by_addresses.get(&(local, peer)).copied();
        let fresh = known.filter(|known| self.sockets.get(known).is_some_and(|socket| socket.addresses.is_none()));
        let no = match (found, fresh) {
            (Some(no), None) => return no,
            (Some(no), Some(fresh)) if no != fresh => {
                if self.sockets.get(&no).is_some_and(|socket| socket.is_seen || socket.is_born) {
                    // The ports are used again.
                    self.retire(no, context);
                } else {
                    self.replace(no, fresh);
                }
                fresh
            }
            (Some(no), Some(_)) => no,
            (None, Some(fresh)) => fresh,
            (None, None) => self.new_socket(Transport::Tcp, false),
        };
        self.set_addresses(no, local, peer);
        let other = self.by_addresses.get(&(peer, local)).copied().unwrap_or_else(|| {
            let other = self.new_socket(Transport::Tcp, false);
            self.set_addresses(other, peer, local);
            other
        });
        self.link(no, other);
        no
    }

    fn set_addresses(&mut self, no: SocketNo, local: SocketAddr, peer: SocketAddr) {
        self.by_addresses.insert((local, peer), no);
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.transport = Transport::Tcp;
            socket.addresses = Some((local, peer));
            socket.name = Some(Endpoint::Tcp(local));
            socket.peer_name = Some(Endpoint::Tcp(peer));
        }
    }

    /// A socket that was only spoken of turns out to be `by`.
    fn replace(&mut self, placeholder: SocketNo, by: SocketNo) {
        let Some(gone) = self.sockets.remove(&placeholder) else { return };
        if let Some((pair, end)) = gone.pair
            && let Some(known) = self.pairs.get_mut(&pair)
            && let Some(end_of_pair) = known.ends.get_mut(end)
        {
            *end_of_pair = Some(by);
            if let Some(socket) = self.sockets.get_mut(&by) {
                socket.pair = Some((pair, end));
            }
        }
    }

    pub(super) fn set_name(&mut self, no: SocketNo, name: &Endpoint) {
        if let Some(socket) = self.sockets.get_mut(&no)
            && socket.name.is_none()
        {
            socket.name = Some(name.clone());
            if socket.transport == Transport::Unknown {
                socket.transport = transport_of(name);
            }
        }
    }

    pub(super) fn set_peer_name(&mut self, no: SocketNo, name: &Endpoint) {
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.peer_name = Some(name.clone());
        }
    }

    /// A call made this socket: whatever had its number before is over.
    pub(super) fn born(&mut self, note: &Note, transport: Transport, context: &mut Context<'_, '_>) -> SocketNo {
        let old = match note {
            Note::Unix { inode, .. } | Note::Socket(inode) | Note::TcpInode(inode) => self.by_inode.get(inode).copied(),
            Note::Tcp(local, peer) => self.by_addresses.get(&(*local, *peer)).copied(),
            _ => None,
        };
        if let Some(old) = old
            && self.sockets.get(&old).is_some_and(|socket| socket.is_seen || socket.is_born)
        {
            self.retire(old, context);
        }
        let no = self.find(None, note, context).unwrap_or_else(|| self.new_socket(transport, true));
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.is_born = true;
            if socket.transport == Transport::Unknown {
                socket.transport = transport;
            }
        }
        no
    }

    /// It is used by `pid`.
    pub(super) fn used(&mut self, no: SocketNo, pid: u32, context: &mut Context<'_, '_>) {
        let line = self.line;
        let Some(socket) = self.sockets.get_mut(&no) else { return };
        socket.last = line;
        let is_new = !socket.is_seen || socket.pid == 0;
        socket.is_seen = true;
        if is_new {
            socket.pid = pid;
            if let Some((pair, _)) = socket.pair {
                self.refresh(pair, context);
            }
        }
    }

    /// A call to `connect` has begun: it can be accepted from now on.
    pub(super) fn connecting(&mut self, no: SocketNo, to: Endpoint) {
        let Some(socket) = self.sockets.get_mut(&no) else { return };
        if socket.role.is_some() {
            return;
        }
        socket.role = Some(Role::Connected);
        socket.peer_name = Some(to.clone());
        if socket.transport == Transport::Unknown {
            socket.transport = transport_of(&to);
        }
        if let Some(at) = self.accepted_early.iter().position(|(name, _)| reaches(&to, name))
            && let Some((_, accepted)) = self.accepted_early.remove(at)
        {
            self.link(no, accepted);
            return;
        }
        if self.connecting.len() >= MAX_CONNECTING {
            self.connecting.pop_front();
        }
        self.connecting.push_back((to, no));
    }

    /// It failed.
    pub(super) fn not_connected(&mut self, no: SocketNo) {
        self.connecting.retain(|(_, of)| *of != no);
        if let Some(socket) = self.sockets.get_mut(&no)
            && socket.role == Some(Role::Connected)
        {
            socket.role = None;
        }
    }

    /// `accepted` came out of `listening`; its other end is called `peer`.
    pub(super) fn accepted(
        &mut self,
        accepted: SocketNo,
        listening: Option<SocketNo>,
        peer: Option<&Endpoint>,
        context: &mut Context<'_, '_>,
    ) {
        let listening = listening.and_then(|listening| self.sockets.get(&listening));
        let (name, transport) = listening.map_or((None, Transport::Unknown), |it| (it.name.clone(), it.transport));
        let Some(socket) = self.sockets.get_mut(&accepted) else { return };
        socket.role = Some(Role::Accepted);
        if socket.transport == Transport::Unknown {
            socket.transport = transport;
        }
        if socket.name.is_none() {
            socket.name.clone_from(&name);
        }
        if let Some(peer) = peer {
            socket.peer_name = Some(peer.clone());
        }
        let is_linked = socket.pair.and_then(|(pair, end)| self.pairs.get(&pair)?.ends.get(1 - end).copied()?);
        let waiting = match is_linked {
            Some(client) => self.connecting.iter().position(|(_, of)| *of == client),
            None => name.as_ref().and_then(|name| self.waiting_for(name, peer)),
        };
        if let Some((_, client)) = waiting.and_then(|at| self.connecting.remove(at)) {
            self.link(client, accepted);
        } else if let Some(name) = name.filter(|_| is_linked.is_none() && !context.by_return) {
            if self.accepted_early.len() >= MAX_CONNECTING {
                self.accepted_early.pop_front();
            }
            self.accepted_early.push_back((name, accepted));
        }
        let pair = self.sockets.get(&accepted).and_then(|socket| socket.pair);
        if let Some((pair, _)) = pair {
            self.refresh(pair, context);
        }
    }

    /// An accepted socket got its name: where nothing was known of the listener, only now is known who may have connected
    /// to it.
    pub(super) fn named_late(&mut self, no: SocketNo, context: &mut Context<'_, '_>) {
        let Some(socket) = self.sockets.get(&no) else { return };
        if socket.role == Some(Role::Accepted)
            && socket.pair.is_none()
            && let Some(name) = socket.name.clone()
            && let Some((_, client)) =
                self.waiting_for(&name, socket.peer_name.as_ref()).and_then(|at| self.connecting.remove(at))
        {
            self.link(client, no);
            if let Some((pair, _)) = self.sockets.get(&no).and_then(|socket| socket.pair) {
                self.refresh(pair, context);
            }
        }
    }

    /// The first `connect` that a listener of this name accepts: queues are first in, first out.
    fn waiting_for(&self, name: &Endpoint, peer: Option<&Endpoint>) -> Option<usize> {
        let is_free = |no: &SocketNo| {
            let Some(socket) = self.sockets.get(no) else { return false };
            let other = socket.pair.and_then(|(pair, end)| self.pairs.get(&pair)?.ends.get(1 - end).copied()?);
            // Under -yy who belongs to whom is said.
            other.is_none() && (peer.is_none() || socket.name.is_none() || socket.name.as_ref() == peer)
        };
        self.connecting.iter().position(|(to, no)| reaches(to, name) && is_free(no))
    }

    /// The two ends that `socketpair` made.
    pub(super) fn paired(&mut self, first: SocketNo, second: SocketNo) {
        for (no, role) in [(first, Role::First), (second, Role::Second)] {
            if let Some(socket) = self.sockets.get_mut(&no) {
                socket.role = Some(role);
            }
        }
        self.link(first, second);
    }

    /// These two are the ends of one connection.
    fn link(&mut self, one: SocketNo, other: SocketNo) {
        if one == other {
            return;
        }
        let pair_of = |no| self.sockets.get(&no).and_then(|socket: &Socket| socket.pair);
        let (mine, others) = (pair_of(one), pair_of(other));
        if mine.is_some() && mine.map(|(pair, _)| pair) == others.map(|(pair, _)| pair) {
            return;
        }
        let (pair, end, joining) = match (mine, others) {
            (Some((pair, end)), None) if self.is_free(pair, 1 - end) => (pair, 1 - end, other),
            (None, Some((pair, end))) if self.is_free(pair, 1 - end) => (pair, 1 - end, one),
            // Both were alone. One of them was not handed on, else it stays as it is.
            (Some((pair, end)), Some((gone, _))) if self.is_free(pair, 1 - end) && self.is_silent(gone) => {
                self.pairs.remove(&gone);
                (pair, 1 - end, other)
            }
            (Some((gone, _)), Some((pair, end))) if self.is_free(pair, 1 - end) && self.is_silent(gone) => {
                self.pairs.remove(&gone);
                (pair, 1 - end, one)
            }
            (None, None) => {
                let pair = self.new_pair(one);
                (pair, 1, other)
            }
            _ => return,
        };
        if let Some(known) = self.pairs.get_mut(&pair)
            && let Some(place) = known.ends.get_mut(end)
        {
            *place = Some(joining);
        }
        if let Some(socket) = self.sockets.get_mut(&joining) {
            socket.pair = Some((pair, end));
        }
    }

    fn is_free(&self, pair: PairNo, end: usize) -> bool {
        self.pairs.get(&pair).and_then(|pair| pair.ends.get(end)).is_some_and(Option::is_none)
    }

    fn is_silent(&self, pair: PairNo) -> bool {
        self.pairs.get(&pair).is_none_or(|pair| {
            pair.open.is_none() && pair.ends.iter().flatten().count() < 2 && pair.flows.iter().all(Flow::is_unused)
        })
    }

    fn new_pair(&mut self, first: SocketNo) -> PairNo {
        self.made += 1;
        let no = PairNo(self.made);
        self.pairs.insert(no, Pair { ends: [Some(first), None], ..Pair::default() });
        if let Some(socket) = self.sockets.get_mut(&first) {
            socket.pair = Some((no, 0));
        }
        no
    }

    fn pair_of(&mut self, no: SocketNo) -> Option<(PairNo, usize)> {
        if let Some(pair) = self.sockets.get(&no)?.pair {
            return Some(pair);
        }
        Some((self.new_pair(no), 0))
    }

    /// A call that writes has begun.
    pub(super) fn begins_to_write(&mut self, no: SocketNo) {
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.writing = socket.writing.saturating_add(1);
        }
    }

    /// A call that writes has returned, or never will.
    pub(super) fn ends_to_write(&mut self, no: SocketNo) {
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.writing = socket.writing.saturating_sub(1);
        }
    }

    /// A call moved bytes. `pieces` are in the buffer from `start` on, and nothing is behind them.
    pub(super) fn moved(
        &mut self,
        no: SocketNo,
        way: Move,
        pieces: &[Piece],
        start: usize,
        context: &mut Context<'_, '_>,
    ) {
        let count: u64 = pieces.iter().map(|piece| piece.bytes.len() as u64 + piece.missing).sum();
        let old = self.take_bytes(no, way, count, context);
        let Some((pair, sender, known)) = old.filter(|(_, _, known)| *known < count) else {
            context.sink.events.bytes.truncate(start);
            return;
        };
        let Some((stream, direction)) = self.open(pair, sender, context) else { return };
        let mut skip = known;
        for piece in pieces {
            let bytes = skipped(&piece.bytes, &mut skip);
            let missing = piece.missing - skip.min(piece.missing);
            skip -= skip.min(piece.missing);
            context.sink.data(stream, direction, bytes);
            context.sink.gap(stream, direction, Some(missing), GapCause::Snapped);
        }
    }

    /// A call moved bytes, but not even how many is known.
    pub(super) fn moved_unknown(&mut self, no: SocketNo, way: Move, context: &mut Context<'_, '_>) {
        // What is read may have been handed on when it was written.
        if let Some((pair, sender, _)) = self.take_bytes(no, way, 0, context)
            && self.pairs.get(&pair).and_then(|pair| pair.flows.get(sender)).is_some_and(|flow| match way {
                Move::Write => true,
                Move::Read => flow.read >= flow.written,
            })
            && let Some((stream, direction)) = self.open(pair, sender, context)
        {
            context.sink.gap(stream, direction, None, GapCause::Lost);
        }
    }

    /// Counts bytes: in which flow they are, and how many of them had been handed on before.
    fn take_bytes(
        &mut self,
        no: SocketNo,
        way: Move,
        count: u64,
        context: &mut Context<'_, '_>,
    ) -> Option<(PairNo, usize, u64)> {
        let (mut pair, mut end) = self.pair_of(no)?;
        if self.is_over(pair, end, way, count) {
            // It was taken for closed, but lives.
            self.end_both(pair, Close::Timeout, context);
            self.reopen(pair);
            (pair, end) = self.pair_of(no)?;
        }
        let sender = if way == Move::Write { end } else { 1 - end };
        let ends = self.pairs.get(&pair)?.ends;
        let is_born = ends.iter().flatten().any(|no| self.sockets.get(no).is_some_and(|socket| socket.is_born));
        let is_writing =
            ends.get(sender).copied().flatten().and_then(|no| self.sockets.get(&no)).is_some_and(|it| it.writing > 0);
        let flow = self.pairs.get_mut(&pair)?.flows.get_mut(sender)?;
        let before = flow.written.max(flow.read);
        let counter = if way == Move::Write { &mut flow.written } else { &mut flow.read };
        let known = before - *counter;
        *counter = counter.saturating_add(count);
        // Read, but not written while the log ran, and nobody is just writing it: it was written before. What will be
        // written comes behind it.
        if way == Move::Read && !is_born && !is_writing && context.by_return {
            flow.written = flow.written.max(flow.read);
        }
        Some((pair, sender, known.min(count)))
    }

    fn is_over(&self, pair: PairNo, end: usize, way: Move, count: u64) -> bool {
        let Some(pair) = self.pairs.get(&pair) else { return false };
        let sender = if way == Move::Write { end } else { 1 - end };
        let Some(flow) = pair.flows.get(sender) else { return false };
        // What was written before the end is read behind it.
        flow.closed.is_some() && (way == Move::Write || flow.read.saturating_add(count.max(1)) > flow.written)
    }

    /// The ends of this pair go on as another connection.
    fn reopen(&mut self, pair: PairNo) {
        let Some(old) = self.pairs.remove(&pair) else { return };
        self.made += 1;
        let no = PairNo(self.made);
        for (end, socket) in old.ends.iter().enumerate() {
            if let Some(socket) = socket.and_then(|socket| self.sockets.get_mut(&socket)) {
                socket.pair = Some((no, end));
                socket.is_born = false;
            }
        }
        self.pairs.insert(no, Pair { ends: old.ends, ..Pair::default() });
    }

    /// A socket was sent in a flow.
    pub(super) fn sent_socket(&mut self, by: SocketNo, socket: SocketNo) {
        if let Some((pair, end)) = self.pair_of(by)
            && let Some(flow) = self.pairs.get_mut(&pair).and_then(|pair| pair.flows.get_mut(end))
            && flow.rights.len() < MAX_RIGHTS
        {
            flow.rights.push_back(socket);
        }
    }

    /// The next socket that was sent.
    pub(super) fn received_socket(&mut self, by: SocketNo) -> Option<SocketNo> {
        let (pair, end) = self.pair_of(by)?;
        self.pairs.get_mut(&pair)?.flows.get_mut(1 - end)?.rights.pop_front()
    }

    /// The flow that this end sends is over.
    pub(super) fn ended(&mut self, no: SocketNo, way: Move, how: Close, context: &mut Context<'_, '_>) {
        let Some((pair, end)) = self.sockets.get(&no).and_then(|socket| socket.pair) else { return };
        let sender = if way == Move::Write { end } else { 1 - end };
        self.end_flow(pair, sender, how, context);
    }

    fn end_flow(&mut self, pair: PairNo, sender: usize, how: Close, context: &mut Context<'_, '_>) {
        let Some(known) = self.pairs.get_mut(&pair) else { return };
        let Some(flow @ Flow { closed: None, .. }) = known.flows.get_mut(sender) else { return };
        flow.closed = Some(how);
        if let Some(open) = &known.open {
            context.sink.closed(open.no, direction(open.client, sender), how);
            return;
        }
        // Two ends that never said anything, and of which nobody knows that they ever were connected, are not told of.
        if known.ends.iter().all(Option::is_some) && self.was_connected(pair) {
            self.open(pair, sender, context);
        }
    }

    /// What is left of both flows is over, the client's first.
    fn end_both(&mut self, pair: PairNo, how: Close, context: &mut Context<'_, '_>) {
        let open = self.pairs.get(&pair).and_then(|pair| pair.open.as_ref());
        let client = open.map_or(0, |open| open.client);
        for sender in [client, 1 - client] {
            self.end_flow(pair, sender, how, context);
        }
    }

    fn was_connected(&self, pair: PairNo) -> bool {
        let ends = self.pairs.get(&pair).into_iter().flat_map(|pair| pair.ends.iter().flatten());
        ends.filter_map(|no| self.sockets.get(no)?.role).any(|role| matches!(role, Role::Connected | Role::Accepted))
    }

    /// No descriptor that is known leads to this socket any more.
    pub(super) fn closed(&mut self, no: SocketNo, context: &mut Context<'_, '_>) {
        self.connecting.retain(|(_, of)| *of != no);
        let Some(socket) = self.sockets.get(&no) else { return };
        if socket.pair.is_none() {
            self.forget(no);
            return;
        }
        let closing = Closing { due: self.line + CLOSING_LINES, socket: no, time: context.sink.time, line: self.line };
        self.closing.push_back(closing);
    }

    fn close_next(&mut self, context: &mut Context<'_, '_>) {
        let Some(closing) = self.closing.pop_front() else { return };
        let Some(socket) = self.sockets.get(&closing.socket) else { return };
        // It was used since then.
        if socket.last > closing.line {
            return;
        }
        let Some((pair, end)) = socket.pair else { return };
        let now = std::mem::replace(&mut context.sink.time, closing.time);
        self.end_flow(pair, end, Close::Fin, context);
        let peer = self.pairs.get(&pair).and_then(|pair| pair.ends.get(1 - end).copied().flatten());
        // Of an end that is not in the log nothing more comes.
        if !peer.and_then(|peer| self.sockets.get(&peer)).is_some_and(|peer| peer.is_seen) {
            self.end_flow(pair, 1 - end, Close::Fin, context);
        }
        context.sink.time = now;
        let is_over = self.pairs.get(&pair).is_none_or(|pair| pair.flows.iter().all(|flow| flow.closed.is_some()));
        if is_over {
            self.forget_pair(pair);
        }
    }

    fn forget_pair(&mut self, pair: PairNo) {
        if let Some(pair) = self.pairs.remove(&pair) {
            for no in pair.ends.into_iter().flatten() {
                self.forget(no);
            }
        }
    }

    fn forget(&mut self, no: SocketNo) {
        let Some(socket) = self.sockets.remove(&no) else { return };
        if let Some(inode) = socket.inode
            && self.by_inode.get(&inode) == Some(&no)
        {
            self.by_inode.remove(&inode);
        }
        if let Some(addresses) = socket.addresses
            && self.by_addresses.get(&addresses) == Some(&no)
        {
            self.by_addresses.remove(&addresses);
        }
    }

    /// Its number belongs to another one now.
    fn retire(&mut self, no: SocketNo, context: &mut Context<'_, '_>) {
        let Some(socket) = self.sockets.get(&no) else { return };
        match socket.pair {
            Some((pair, _)) => {
                self.end_both(pair, Close::Timeout, context);
                self.forget_pair(pair);
            }
            None => self.forget(no),
        }
    }

    fn forget_idle(&mut self, context: &mut Context<'_, '_>) {
        let mut idle: Vec<_> = self.sockets.iter().map(|(no, socket)| (socket.last, *no)).collect();
        idle.sort_unstable();
        for (_, no) in idle.into_iter().take(MAX_SOCKETS / 8) {
            self.retire(no, context);
        }
    }

    /// The log has ended.
    pub(super) fn finish(&mut self, context: &mut Context<'_, '_>) {
        while !self.closing.is_empty() {
            self.close_next(context);
        }
        let mut pairs: Vec<_> =
            self.pairs.iter().filter_map(|(no, pair)| Some((pair.open.as_ref()?.no, *no))).collect();
        pairs.sort_unstable();
        for (_, pair) in pairs {
            self.end_both(pair, Close::EndOfCapture, context);
        }
        *self = Self::default();
    }

    /// What a pair is called, and the direction of what `sender` sends. The first time, it is handed on.
    fn open(&mut self, pair: PairNo, sender: usize, context: &mut Context<'_, '_>) -> Option<(StreamNo, Direction)> {
        let known = self.pairs.get(&pair)?;
        if let Some(open) = &known.open {
            return Some((open.no, direction(open.client, sender)));
        }
        let (client, by) = self.client(pair, sender);
        let said = self.say(pair, client, by, context.processes)?;
        let no = context.sink.open(said.clone());
        let known = self.pairs.get_mut(&pair)?;
        known.open = Some(Open { no, client, said });
        for (sender, flow) in known.flows.iter().enumerate() {
            if let Some(how) = flow.closed {
                context.sink.closed(no, direction(client, sender), how);
            }
        }
        Some((no, direction(client, sender)))
    }

    /// Something may be known that was not.
    fn refresh(&mut self, pair: PairNo, context: &mut Context<'_, '_>) {
        let Some(Open { client, said, .. }) = self.pairs.get(&pair).and_then(|pair| pair.open.as_ref()) else { return };
        let Some(now) = self.say(pair, *client, said.client_by, context.processes) else { return };
        let now = Opened { joined: said.joined, ..now };
        if now != *said
            && let Some(open) = self.pairs.get_mut(&pair).and_then(|pair| pair.open.as_mut())
        {
            open.said = now.clone();
            context.sink.push(open.no, What::Updated(Box::new(now)));
        }
    }

    fn end(&self, pair: PairNo, end: usize) -> Option<&Socket> {
        self.sockets.get(&(*self.pairs.get(&pair)?.ends.get(end)?)?)
    }

    /// Which end is the client, and why. `sender` is the first of which bytes are seen.
    fn client(&self, pair: PairNo, sender: usize) -> (usize, ClientBy) {
        let ends = [0, 1].map(|end| self.end(pair, end));
        let find = |wanted: &dyn Fn(&Socket) -> bool| ends.iter().position(|end| end.is_some_and(wanted));
        if let Some(client) = find(&|end| end.role == Some(Role::Connected)) {
            return (client, ClientBy::Connect);
        }
        if let Some(server) = find(&|end| end.role == Some(Role::Accepted)) {
            return (1 - server, ClientBy::Accept);
        }
        if let Some(first) = find(&|end| end.role == Some(Role::First)) {
            return (first, ClientBy::First);
        }
        let ports = ends.iter().flatten().find_map(|end| end.addresses);
        if let Some((local, peer)) = ports {
            let end = find(&|end| end.addresses == Some((local, peer))).unwrap_or_default();
            return match local.port().cmp(&peer.port()) {
                std::cmp::Ordering::Less => (1 - end, ClientBy::Port),
                std::cmp::Ordering::Greater => (end, ClientBy::Port),
                std::cmp::Ordering::Equal => (sender, ClientBy::First),
            };
        }
        let is_path = |name: &Option<Endpoint>| matches!(name, Some(Endpoint::UnixPath(_) | Endpoint::UnixAbstract(_)));
        if let Some(server) = find(&|end| is_path(&end.name)) {
            return (1 - server, ClientBy::Path);
        }
        if let Some(client) = find(&|end| is_path(&end.peer_name)) {
            return (client, ClientBy::Path);
        }
        // Servers have names.
        if let Some(client) = find(&|end| end.shows_name) {
            return (client, ClientBy::Path);
        }
        (sender, ClientBy::First)
    }

    fn say(&self, pair: PairNo, client: usize, client_by: ClientBy, processes: &Processes) -> Option<Opened> {
        let known = self.pairs.get(&pair)?;
        let numbers = [0, 1].map(|end| known.ends.get(end).copied().flatten());
        let ends = [0, 1].map(|end| self.end(pair, end));
        let process = |end: usize| ends.get(end)?.and_then(|end| processes.describe(end.pid));
        let joined = !ends.iter().flatten().any(|end| end.is_born);
        let end = |end: usize| {
            let (this, other) = (ends.get(end).copied().flatten(), ends.get(1 - end).copied().flatten());
            let number = numbers.iter().flatten().next().map_or(0, |no| no.0);
            name_of(this, other, end == client, number)
        };
        Some(Opened {
            client: end(client),
            server: end(1 - client),
            client_by,
            client_process: process(client),
            server_process: process(1 - client),
            joined,
        })
    }
}

impl Flow {
    fn is_unused(&self) -> bool {
        self.written == 0 && self.read == 0
    }
}

/// What an end is called, as far as it or the other one knows.
fn name_of(this: Option<&Socket>, other: Option<&Socket>, is_client: bool, number: u64) -> Endpoint {
    let own = this.and_then(|this| this.name.clone());
    let told = other.and_then(|other| other.peer_name.clone());
    // A listener on all addresses says less than who connected to it.
    let is_any = matches!(own, Some(Endpoint::Tcp(addr)) if addr.ip().is_unspecified());
    let named = if is_any { told.or(own) } else { own.or(told) };
    if let Some(name) = named {
        return name;
    }
    if [this, other].into_iter().flatten().any(|end| end.transport == Transport::Tcp) {
        return Endpoint::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    }
    let inode = this.and_then(|this| this.inode);
    // Where only one end is known, its number tells connections apart.
    let inode = inode.or_else(|| other.and_then(|other| other.inode).filter(|_| is_client));
    Endpoint::UnixInode(inode.unwrap_or(number))
}

/// Whether who connects to `to` may be accepted by a listener called `name`.
fn reaches(to: &Endpoint, name: &Endpoint) -> bool {
    match (to, name) {
        // It may listen on all addresses.
        (Endpoint::Tcp(to), Endpoint::Tcp(name)) => to.port() == name.port(),
        _ => to == name,
    }
}

fn transport_of(name: &Endpoint) -> Transport {
    match name {
        Endpoint::Tcp(_) => Transport::Tcp,
        _ => Transport::Unix,
    }
}

fn direction(client: usize, sender: usize) -> Direction {
    if client == sender { Direction::ToServer } else { Direction::ToClient }
}

/// What is left of `bytes` behind the next `skip` ones.
fn skipped(bytes: &Range<usize>, skip: &mut u64) -> Range<usize> {
    let taken = (*skip).min(bytes.len() as u64);
    *skip -= taken;
    bytes.start + taken as usize..bytes.end
}
