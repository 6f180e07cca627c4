//! Finds the socket that a name stands for.
//!
//! An inode names a socket for as long as it exists, two addresses from when it is connected, and a descriptor until it is
//! closed. None of them is enough alone: a TCP socket changes its name when it connects, threads share descriptors
//! although the log does not show that they are threads, and inodes and addresses are used again. So a name that was not
//! seen before is matched with the socket that the descriptor was, and else with one that began to connect to that
//! address and has no addresses yet. Which of two sockets with the same addresses is meant is decided by time: one that
//! began to connect after the other was last used is a new connection, otherwise both are the same socket.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hashbrown::HashMap;

use super::close::is_over;
use super::socket::{Socket, SocketNo, Transport};
use super::table::{Context, Sockets};
use crate::Endpoint;
use crate::streams::strace::fd::Annotation;

/// The sockets that have names.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_inode: HashMap<u64, SocketNo>,
    /// By local and remote address.
    by_addresses: HashMap<(SocketAddr, SocketAddr), SocketNo>,
    /// Sockets that called `connect` and were not accepted yet, in the order of the calls.
    pub(super) connecting: VecDeque<(Endpoint, SocketNo)>,
    /// Sockets that were accepted before their `connect` was seen: logs of `-ff` are in the order in which calls begin.
    pub(super) accepted_early: VecDeque<(Endpoint, SocketNo)>,
}

impl Names {
    /// A socket is forgotten, and its names with it.
    pub(super) fn forget(&mut self, no: SocketNo, socket: &Socket) {
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
        if socket.role.is_some() {
            self.connecting.retain(|(_, of)| *of != no);
        }
    }
}

impl Sockets {
    /// The socket of a descriptor: `known` is what the descriptor was so far, `annotation` what the line says. `None`:
    /// it is not a stream socket, or it cannot be identified.
    pub(in super::super) fn find(
        &mut self,
        known: Option<SocketNo>,
        annotation: &Annotation,
        context: &mut Context<'_, '_>,
    ) -> Option<SocketNo> {
        let known = known.filter(|known| self.sockets.contains_key(known));
        let session = context.source.session;
        match annotation {
            Annotation::Nothing => known,
            Annotation::Other => None,
            // `-y` does not say of what kind it is: it may be no stream.
            Annotation::Socket(inode) => Some(self.by_inode(known, *inode, Transport::Unknown, session)),
            Annotation::TcpInode(inode) => Some(self.by_inode(known, *inode, Transport::Tcp, session)),
            Annotation::Unix { inode, peer, name } => {
                let no = self.by_inode(known, *inode, Transport::Unix, session);
                if let Some(name) = name {
                    self.set_name(no, name);
                }
                if let Some(peer) = peer {
                    if let Some(socket) = self.sockets.get_mut(&no) {
                        socket.shows_name = true;
                    }
                    let other = self.peer_by_inode(*peer, session);
                    self.link(no, other);
                }
                Some(no)
            }
            Annotation::TcpListening(address) => {
                let no = known.unwrap_or_else(|| self.new_socket(Transport::Tcp, false, session));
                self.set_name(no, &Endpoint::Tcp(*address));
                Some(no)
            }
            Annotation::Tcp(local, peer) => Some(self.by_addresses(known, *local, *peer, context)),
        }
    }

    /// The socket that an inode stands for. Numbers of TCP sockets are looked up within one session only, since logs
    /// that are read together may come from different machines.
    fn inode(&self, inode: u64, transport: Transport, session: u16) -> Option<SocketNo> {
        let no = *self.names.by_inode.get(&inode)?;
        let socket = self.sockets.get(&no)?;
        let is_meant = transport == Transport::Unix || socket.transport == Transport::Unix || socket.session == session;
        is_meant.then_some(no)
    }

    fn by_inode(&mut self, known: Option<SocketNo>, inode: u64, transport: Transport, session: u16) -> SocketNo {
        let unnamed = known.filter(|known| self.sockets.get(known).is_some_and(|socket| socket.inode.is_none()));
        let no = self.inode(inode, transport, session).or(unnamed);
        let no = no.unwrap_or_else(|| self.new_socket(transport, false, session));
        self.names.by_inode.insert(inode, no);
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.inode = Some(inode);
            if transport != Transport::Unknown {
                socket.transport = transport;
            }
        }
        no
    }

    fn peer_by_inode(&mut self, inode: u64, session: u16) -> SocketNo {
        if let Some(&no) = self.names.by_inode.get(&inode) {
            return no;
        }
        self.by_inode(None, inode, Transport::Unix, session)
    }

    fn by_addresses(
        &mut self,
        known: Option<SocketNo>,
        local: SocketAddr,
        peer: SocketAddr,
        context: &mut Context<'_, '_>,
    ) -> SocketNo {
        let session = context.source.session;
        let found = self.names.by_addresses.get(&(local, peer)).copied();
        if found.is_some() && found == known {
            return found.unwrap_or(SocketNo(0));
        }
        let may_be = |no: &SocketNo| self.sockets.get(no).is_some_and(|socket| socket.may_be(local, peer));
        let unnamed = known.filter(may_be);
        let no = match (found, unnamed) {
            (Some(found), Some(unnamed)) => self.same_addresses(found, unnamed, context),
            (Some(found), None) if self.is_in_use(found) => return found,
            (Some(found), None) => match self.connecting_to(local, peer, session) {
                Some(unnamed) => self.same_addresses(found, unnamed, context),
                None => found,
            },
            (None, Some(unnamed)) => unnamed,
            (None, None) => {
                let connecting = self.connecting_to(local, peer, session);
                connecting.unwrap_or_else(|| self.new_socket(Transport::Tcp, false, session))
            }
        };
        self.set_addresses(no, local, peer);
        let other = self.names.by_addresses.get(&(peer, local)).copied().unwrap_or_else(|| {
            let other = self.new_socket(Transport::Tcp, false, session);
            self.set_addresses(other, peer, local);
            other
        });
        self.link(no, other);
        no
    }

    /// `found` has the addresses that `unnamed` has now. Gives the socket that has them from now on.
    fn same_addresses(&mut self, found: SocketNo, unnamed: SocketNo, context: &mut Context<'_, '_>) -> SocketNo {
        let (Some(old), Some(new)) = (self.sockets.get(&found), self.sockets.get(&unnamed)) else { return found };
        let is_used = old.is_seen || old.is_born;
        if is_used && new.since <= old.last && new.is_whole() && new.pair.is_none() {
            // It began to connect before `found` was last used, so `found` is what it became.
            if let Some(new) = self.sockets.remove(&unnamed) {
                self.names.forget(unnamed, &new);
                let inode = new.inode;
                if let Some(old) = self.sockets.get_mut(&found) {
                    old.absorb(new);
                }
                if let Some(inode) = inode {
                    self.names.by_inode.insert(inode, found);
                }
                if let Some((pair, _)) = self.sockets.get(&found).and_then(|socket| socket.pair) {
                    self.refresh(pair, context);
                }
            }
            return found;
        }
        if is_used && new.is_whole() {
            // The addresses are used again.
            self.retire(found, context);
        } else if is_used {
            return found;
        } else {
            self.replace(found, unnamed, context);
        }
        unnamed
    }

    /// A socket that is used, and whose connection is not known to be over.
    fn is_in_use(&self, no: SocketNo) -> bool {
        let Some(socket) = self.sockets.get(&no) else { return false };
        (socket.is_seen || socket.is_born)
            && socket.released.is_none()
            && !socket.pair.and_then(|(pair, _)| self.pairs.get(&pair)).is_some_and(is_over)
    }

    /// The one socket that connects to `peer` and has no addresses yet, of those that may be called `local`.
    fn connecting_to(&self, local: SocketAddr, peer: SocketAddr, session: u16) -> Option<SocketNo> {
        let mut fitting = self.names.connecting.iter().map(|(_, no)| *no).filter(|no| {
            let socket = self.sockets.get(no);
            socket.is_some_and(|socket| socket.session == session && socket.may_be(local, peer))
        });
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    fn set_addresses(&mut self, no: SocketNo, local: SocketAddr, peer: SocketAddr) {
        self.names.by_addresses.insert((local, peer), no);
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.transport = Transport::Tcp;
            socket.addresses = Some((local, peer));
            socket.name = Some(Endpoint::Tcp(local));
            socket.peer_name = Some(Endpoint::Tcp(peer));
        }
    }

    /// A socket that only its other end mentioned turns out to be `by`.
    fn replace(&mut self, placeholder: SocketNo, by: SocketNo, context: &mut Context<'_, '_>) {
        let Some(gone) = self.sockets.remove(&placeholder) else { return };
        if let Some((pair, end)) = gone.pair
            && let Some(known) = self.pairs.get_mut(&pair)
            && let Some(end_of_pair) = known.ends.get_mut(end)
        {
            *end_of_pair = Some(by);
            if let Some(socket) = self.sockets.get_mut(&by) {
                socket.pair = Some((pair, end));
            }
            self.refresh(pair, context);
        }
    }

    pub(in super::super) fn set_name(&mut self, no: SocketNo, name: &Endpoint) {
        if let Some(socket) = self.sockets.get_mut(&no)
            && socket.name.is_none()
        {
            socket.name = Some(name.clone());
            if socket.transport == Transport::Unknown {
                socket.transport = Transport::of(name);
            }
        }
    }

    pub(in super::super) fn set_peer_name(&mut self, no: SocketNo, name: &Endpoint) {
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.peer_name = Some(name.clone());
        }
    }

    /// A call created this socket: whatever had its name before is over.
    pub(in super::super) fn born(
        &mut self,
        annotation: &Annotation,
        transport: Transport,
        context: &mut Context<'_, '_>,
    ) -> SocketNo {
        let session = context.source.session;
        let old = match annotation {
            Annotation::Unix { inode, .. } => self.inode(*inode, Transport::Unix, session),
            Annotation::Socket(inode) => self.inode(*inode, transport, session),
            Annotation::TcpInode(inode) => self.inode(*inode, Transport::Tcp, session),
            Annotation::Tcp(local, peer) => self.names.by_addresses.get(&(*local, *peer)).copied(),
            _ => None,
        };
        if let Some(old) = old
            && self.sockets.get(&old).is_some_and(|socket| socket.is_seen || socket.is_born)
        {
            self.retire(old, context);
        }
        let no = self.find(None, annotation, context).unwrap_or_else(|| self.new_socket(transport, true, session));
        let line = self.line;
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.is_born = true;
            socket.since = line;
            if socket.transport == Transport::Unknown {
                socket.transport = transport;
            }
        }
        no
    }
}
