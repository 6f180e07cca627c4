//! Pairs the two ends of a connection.

use super::pair::{Flow, Pair, PairNo};
use super::socket::{Role, Socket, SocketNo, Transport, reaches};
use super::table::{Context, Sockets};
use crate::Endpoint;

/// Calls to `connect` that wait for their `accept`: more than any backlog. When there are more, the oldest are given up.
const MAX_CONNECTING: usize = 1 << 12;

impl Sockets {
    /// A call to `connect` has begun: from now on it can be accepted.
    pub(in super::super) fn connecting(&mut self, no: SocketNo, to: Endpoint) {
        let line = self.line;
        let Some(socket) = self.sockets.get_mut(&no) else { return };
        if socket.role.is_some() {
            return;
        }
        socket.role = Some(Role::Connected);
        socket.peer_name = Some(to.clone());
        socket.is_born = true;
        socket.since = line;
        if socket.transport == Transport::Unknown {
            socket.transport = Transport::of(&to);
        }
        if let Some(at) = self.names.accepted_early.iter().position(|(name, _)| reaches(&to, name))
            && let Some((_, accepted)) = self.names.accepted_early.remove(at)
        {
            self.link(no, accepted);
            return;
        }
        if self.names.connecting.len() >= MAX_CONNECTING {
            self.names.connecting.pop_front();
        }
        self.names.connecting.push_back((to, no));
    }

    /// The call to `connect` failed.
    pub(in super::super) fn not_connected(&mut self, no: SocketNo) {
        self.names.connecting.retain(|(_, of)| *of != no);
        if let Some(socket) = self.sockets.get_mut(&no)
            && socket.role == Some(Role::Connected)
        {
            socket.role = None;
            socket.peer_name = None;
        }
    }

    /// `listening` returned `accepted`, whose other end is called `peer`.
    pub(in super::super) fn accepted(
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
        let client = socket.pair.and_then(|(pair, end)| self.pairs.get(&pair)?.ends.get(1 - end).copied()?);
        let waiting = match client {
            Some(client) => self.names.connecting.iter().position(|(_, of)| *of == client),
            None => name.as_ref().and_then(|name| self.waiting_for(name, peer)),
        };
        if let Some((_, client)) = waiting.and_then(|at| self.names.connecting.remove(at)) {
            self.link(client, accepted);
        } else if let Some(name) = name.filter(|_| client.is_none() && !context.source.by_return) {
            if self.names.accepted_early.len() >= MAX_CONNECTING {
                self.names.accepted_early.pop_front();
            }
            self.names.accepted_early.push_back((name, accepted));
        }
        if let Some((pair, _)) = self.sockets.get(&accepted).and_then(|socket| socket.pair) {
            self.refresh(pair, context);
        }
    }

    /// An accepted socket got its name. Where the listener was unknown, only now is it clear who may have connected.
    pub(in super::super) fn named_late(&mut self, no: SocketNo, context: &mut Context<'_, '_>) {
        let Some(socket) = self.sockets.get(&no) else { return };
        if socket.role == Some(Role::Accepted)
            && socket.pair.is_none()
            && let Some(name) = socket.name.clone()
            && let Some((_, client)) =
                self.waiting_for(&name, socket.peer_name.as_ref()).and_then(|at| self.names.connecting.remove(at))
        {
            self.link(client, no);
            if let Some((pair, _)) = self.sockets.get(&no).and_then(|socket| socket.pair) {
                self.refresh(pair, context);
            }
        }
    }

    /// The first `connect` that a listener of this name accepts: backlogs are queues.
    fn waiting_for(&self, name: &Endpoint, peer: Option<&Endpoint>) -> Option<usize> {
        let is_free = |no: &SocketNo| {
            let Some(socket) = self.sockets.get(no) else { return false };
            let other = socket.pair.and_then(|(pair, end)| self.pairs.get(&pair)?.ends.get(1 - end).copied()?);
            // With -yy the log says which ends belong together.
            other.is_none() && (peer.is_none() || socket.name.is_none() || socket.name.as_ref() == peer)
        };
        self.names.connecting.iter().position(|(to, no)| reaches(to, name) && is_free(no))
    }

    /// The two ends that `socketpair` returned.
    pub(in super::super) fn paired(&mut self, first: SocketNo, second: SocketNo) {
        for (no, role) in [(first, Role::First), (second, Role::Second)] {
            if let Some(socket) = self.sockets.get_mut(&no) {
                socket.role = Some(role);
            }
        }
        self.link(first, second);
    }

    /// These two are the ends of one connection.
    pub(super) fn link(&mut self, one: SocketNo, other: SocketNo) {
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
            // Both were alone. One of them was not reported, else both stay as they are.
            (Some((pair, end)), Some((gone, _))) if self.is_free(pair, 1 - end) && self.is_silent(gone) => {
                self.pairs.remove(&gone);
                (pair, 1 - end, other)
            }
            (Some((gone, _)), Some((pair, end))) if self.is_free(pair, 1 - end) && self.is_silent(gone) => {
                self.pairs.remove(&gone);
                (pair, 1 - end, one)
            }
            (None, None) => (self.new_pair(one), 1, other),
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

    /// The connection of a socket, and which end of it the socket is.
    pub(super) fn pair_of(&mut self, no: SocketNo) -> Option<(PairNo, usize)> {
        if let Some(pair) = self.sockets.get(&no)?.pair {
            return Some(pair);
        }
        Some((self.new_pair(no), 0))
    }
}
