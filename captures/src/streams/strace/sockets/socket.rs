//! What is known of one end of a connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::pair::PairNo;
use crate::Endpoint;
use crate::streams::strace::processes::ThreadId;

/// A socket, numbered in the order in which sockets are first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct SocketNo(pub(super) u64);

/// The family of a stream socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Transport {
    #[default]
    Unknown,
    Unix,
    Tcp,
}

impl Transport {
    /// The family that an address belongs to.
    pub(super) const fn of(address: &Endpoint) -> Self {
        match address {
            Endpoint::Tcp(_) => Self::Tcp,
            _ => Self::Unix,
        }
    }
}

/// How a socket got its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// By `connect`.
    Connected,
    /// By `accept`.
    Accepted,
    /// The first socket that `socketpair` returned.
    First,
    /// The second one.
    Second,
}

/// One end of a connection, or a socket that has no other end yet.
#[derive(Debug, Default)]
pub(super) struct Socket {
    pub(super) transport: Transport,
    /// The log in which it is used. Numbers of inodes and processes may mean something else in another log.
    pub(super) session: u16,
    pub(super) inode: Option<u64>,
    /// Local and remote address.
    pub(super) addresses: Option<(SocketAddr, SocketAddr)>,
    /// Its own name.
    pub(super) name: Option<Endpoint>,
    /// The log shows names of sockets, so this one has none if `name` is `None`.
    pub(super) shows_name: bool,
    /// The other end's name, according to this end.
    pub(super) peer_name: Option<Endpoint>,
    pub(super) role: Option<Role>,
    /// The call that created or connected it is in the log.
    pub(super) is_born: bool,
    /// The log shows a use of it; otherwise only its other end mentions it.
    pub(super) is_seen: bool,
    /// The first thread that used it.
    pub(super) thread: ThreadId,
    /// Calls that write to it and have not returned.
    pub(super) writing: u32,
    /// The connection, and which of its ends this is.
    pub(super) pair: Option<(PairNo, usize)>,
    /// The line at which it was last used.
    pub(super) last: u64,
    /// The line at which it was created or began to connect.
    pub(super) since: u64,
    /// The line at which the last known descriptor of it was closed.
    pub(super) released: Option<u64>,
}

impl Socket {
    /// Whether the log has everything that this end wrote and read.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_born
    }

    /// Whether this socket may be the one that is now called `local` → `peer`.
    pub(super) fn may_be(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        let own_port = match &self.name {
            None => true,
            // It may be bound to a port, or to any.
            Some(Endpoint::Tcp(name)) => {
                self.role == Some(Role::Connected) && (name.port() == 0 || name.port() == local.port())
            }
            Some(_) => false,
        };
        let connects_to = match &self.peer_name {
            None => self.role.is_none(),
            Some(Endpoint::Tcp(to)) => to.port() == peer.port() && (to.ip() == peer.ip() || to.ip().is_unspecified()),
            Some(_) => false,
        };
        self.addresses.is_none() && self.transport != Transport::Unix && own_port && connects_to
    }

    /// Adds what `other` knows to this one: both turned out to be the same socket.
    pub(super) fn absorb(&mut self, other: Self) {
        self.inode = self.inode.or(other.inode);
        self.role = self.role.or(other.role);
        self.is_born |= other.is_born;
        self.is_seen |= other.is_seen;
        if self.thread.number == 0 {
            self.thread = other.thread;
        }
        self.since = self.since.min(other.since);
        self.writing = self.writing.saturating_add(other.writing);
    }
}

/// The name of an end, as far as it or the other end knows it. `fallback` tells ends apart that have no name.
pub(super) fn name_of(this: Option<&Socket>, other: Option<&Socket>, is_client: bool, fallback: u64) -> Endpoint {
    let own = this.and_then(|this| this.name.clone());
    let by_other = other.and_then(|other| other.peer_name.clone());
    // A listener on all addresses says less than the address that its client connected to.
    let is_any = matches!(own, Some(Endpoint::Tcp(addr)) if addr.ip().is_unspecified());
    let named = if is_any { by_other.or(own) } else { own.or(by_other) };
    if let Some(name) = named {
        return name;
    }
    if [this, other].into_iter().flatten().any(|end| end.transport == Transport::Tcp) {
        return Endpoint::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    }
    let inode = this.and_then(|this| this.inode);
    // Where only one end is known, its inode tells connections apart.
    let inode = inode.or_else(|| other.and_then(|other| other.inode).filter(|_| is_client));
    Endpoint::UnixInode(inode.unwrap_or(fallback))
}

/// Whether a client that connects to `to` may be accepted by a listener called `name`.
pub(super) fn reaches(to: &Endpoint, name: &Endpoint) -> bool {
    match (to, name) {
        // It may listen on all addresses.
        (Endpoint::Tcp(to), Endpoint::Tcp(name)) => to.port() == name.port(),
        _ => to == name,
    }
}
