//! IP addresses for connections that have none.
//!
//! Connections between two TCP ends keep their addresses; where the two are of different families both stand as
//! IPv6, IPv4 as `::ffff:a.b.c.d`. Every other end gets a unique local address (RFC 4193) under `fd72:7063:7368::/48`
//! (0xfd, then "rpcsh"):
//!
//! ```text
//! server  fd72:7063:7368:1:<hash of the path>     Unix path       port 80, 20 or 7063
//!         fd72:7063:7368:2:<hash of the name>     abstract name   port 80, 20 or 7063
//!         fd72:7063:7368:3:<inode>                inode           port 80, 20 or 7063
//!         fd72:7063:7368:4:<cid, 32>:<port, 32>   vsock           port 80, 20 or 7063
//! client  fd72:7063:7368:<8000 | of the seed>:<pid or cid, 32>:<connection / 4096, 32>
//!                                                 port 49152 + connection % 4096
//! ```
//!
//! So one socket has one address in all files, the connections of one process stand together, and no two connections
//! of a file share both ends. The hash is FNV-1a.
//!
//! The server's port goes by the first bytes, since packet tools choose by it what they take the bytes for:
//!
//! - 80 where the client speaks first and begins with a capital letter, as HTTP in all its versions does, or the server
//!   with SETTINGS of HTTP/2 (Wireshark recognises HTTP/2 and gRPC on ports of HTTP only);
//! - 20, the port of bare data, where the client speaks first and begins with a zero, as the length does that ttrpc
//!   begins with (Wireshark guesses wrong: it takes the frames for malformed SMPP);
//! - 7063, which means nothing to packet tools, else. Nor do the client's ports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::comment::{Ends, Party};
use crate::{Direction, Endpoint};

/// What a connection seems to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text,
    Binary,
    Unknown,
}

impl Content {
    /// By the first bytes of a connection and who sent them.
    pub(super) fn of(direction: Direction, bytes: &[u8]) -> Self {
        match (direction, bytes.first()) {
            (Direction::ToServer, Some(b'A'..=b'Z')) => Self::Text,
            (Direction::ToServer, Some(0)) => Self::Binary,
            (Direction::ToClient, _) if is_http2_settings(bytes) => Self::Text,
            _ => Self::Unknown,
        }
    }
}

/// The addresses that stand for the ends of the connection number `connection` of a file: the client's, the server's.
pub(super) fn addresses(ends: &Ends, connection: u64, seed: u64, content: Content) -> (SocketAddr, SocketAddr) {
    let client = match &ends.client.endpoint {
        Endpoint::Tcp(client) => *client,
        _ => client_address(&ends.client, connection, seed),
    };
    let server = server_address(&ends.server, content);
    match client.is_ipv4() == server.is_ipv4() {
        true => (client, server),
        false => (as_ipv6(client), as_ipv6(server)),
    }
}

/// What a synthetic address is to be called; `None` for ends that have an address of their own.
pub(super) fn name(party: &Party) -> Option<String> {
    if let Endpoint::Tcp(_) = party.endpoint {
        return None;
    }
    match (&party.endpoint, &party.process.name, party.process.pid) {
        (Endpoint::UnixInode(_), Some(name), Some(pid)) => {
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            Some(format!("{name}[{pid}]"))
        }
        (Endpoint::UnixInode(_), None, Some(pid)) => Some(format!("pid[{pid}]")),
        (endpoint, ..) => Some(endpoint.to_string()),
    }
}

/// Whether bytes begin with a SETTINGS frame, with which HTTP/2 servers may speak first (RFC 9113 §3.4, §6.5).
fn is_http2_settings(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, _, 4, 0, 0, 0, 0, 0, ..])
}

fn server_address(server: &Party, content: Content) -> SocketAddr {
    let (subnet, interface) = match &server.endpoint {
        Endpoint::UnixPath(path) => (1, fnv1a(path)),
        Endpoint::UnixAbstract(name) => (2, fnv1a(name)),
        Endpoint::UnixInode(inode) => (3, *inode),
        Endpoint::Vsock { cid, port } => (4, *cid << 32 | u64::from(*port)),
        Endpoint::Tcp(address) => return *address,
    };
    let port = match content {
        Content::Text => HTTP_PORT,
        Content::Binary => BARE_DATA_PORT,
        Content::Unknown => NEUTRAL_PORT,
    };
    SocketAddr::new(in_subnet(subnet, interface), port)
}

fn client_address(client: &Party, connection: u64, seed: u64) -> SocketAddr {
    let number = match (client.process.pid, &client.endpoint) {
        (Some(pid), _) => pid,
        (None, Endpoint::Vsock { cid, .. }) => *cid as u32,
        (None, _) => 0,
    };
    let interface = u64::from(number) << 32 | u64::from((connection / CLIENT_PORTS) as u32);
    let port = FIRST_CLIENT_PORT + (connection % CLIENT_PORTS) as u16;
    SocketAddr::new(in_subnet(0x8000 | seed as u16, interface), port)
}

fn in_subnet(subnet: u16, interface: u64) -> IpAddr {
    Ipv6Addr::from(PREFIX | u128::from(subnet) << 64 | u128::from(interface)).into()
}

fn as_ipv6(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const PREFIX: u128 = 0xfd72_7063_7368 << 80;
const HTTP_PORT: u16 = 80;
const NEUTRAL_PORT: u16 = 7063;
const BARE_DATA_PORT: u16 = 20;
const FIRST_CLIENT_PORT: u16 = 49152;
const CLIENT_PORTS: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::Process;

    fn unix(inode: u64, pid: u32) -> Party {
        let process = Process { pid: Some(pid), name: Some("ctr".into()), ..Process::default() };
        Party { endpoint: Endpoint::UnixInode(inode), process }
    }

    fn tcp(address: &str) -> Party {
        Party::of(Endpoint::Tcp(address.parse().expect("an address")))
    }

    fn path(path: &[u8]) -> Party {
        Party::of(Endpoint::UnixPath(path.into()))
    }

    #[test]
    fn a_socket_has_one_address_and_connections_differ() {
        let ends = Ends::new(unix(4711, 0x1f4), path(b"/run/x.sock"));
        let (client, server) = addresses(&ends, 1, 2, Content::Unknown);
        assert_eq!(client.to_string(), "[fd72:7063:7368:8002:0:1f4::]:49153");
        assert_eq!(server, addresses(&ends, 70_000, 9, Content::Unknown).1);
        assert_ne!(server, addresses(&Ends::new(unix(1, 1), path(b"/run/y.sock")), 1, 2, Content::Unknown).1);
        assert_eq!(addresses(&ends, 1, 2, Content::Binary).1, SocketAddr::new(server.ip(), 20));
        let all: std::collections::HashSet<_> =
            (0..10_000).map(|no| addresses(&ends, no, 2, Content::Unknown).0).collect();
        assert_eq!(all.len(), 10_000);
    }

    #[test]
    fn tcp_keeps_its_addresses() {
        let (client, server) =
            addresses(&Ends::new(tcp("10.0.0.7:41834"), tcp("10.0.0.8:50051")), 1, 2, Content::Unknown);
        assert_eq!((client.to_string(), server.to_string()), ("10.0.0.7:41834".into(), "10.0.0.8:50051".into()));
        let (client, server) = addresses(&Ends::new(tcp("10.0.0.7:41834"), tcp("[::1]:50051")), 1, 2, Content::Unknown);
        assert_eq!((client.to_string(), server.to_string()), ("[::ffff:10.0.0.7]:41834".into(), "[::1]:50051".into()));
        let (client, server) = addresses(&Ends::new(tcp("10.0.0.7:41834"), path(b"/x")), 1, 2, Content::Unknown);
        assert!(client.is_ipv6() && server.is_ipv6());
    }

    #[test]
    fn names_say_the_socket_or_the_process() {
        assert_eq!(name(&unix(4711, 500)).as_deref(), Some("ctr[500]"));
        assert_eq!(name(&path(b"/run/x.sock")).as_deref(), Some("unix:/run/x.sock"));
        assert_eq!(name(&Party::of(Endpoint::UnixInode(5))).as_deref(), Some("unix:#5"));
        assert_eq!(name(&tcp("1.2.3.4:5")), None);
    }
}
