//! The two ends of a connection, and how they are written.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::text::Escaped;

/// One end of a connection.
///
/// `Display` writes it as every output does: `10.0.0.7:41834`, `[::1]:50051`, `unix:/run/x.sock`,
/// `unix-abstract:name`, `unix:#4711` where only the inode is known, `vsock:3:1024`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket bound to a path.
    UnixPath(Arc<[u8]>),
    /// A Unix socket bound to an abstract name (without its leading NUL).
    UnixAbstract(Arc<[u8]>),
    /// A Unix socket of which only the inode (or another number that identifies it) is known.
    UnixInode(u64),
    /// A vsock address.
    Vsock {
        /// The context: 2 is the host.
        cid: u64,
        /// The port.
        port: u32,
    },
}

impl Endpoint {
    /// The word for the kind of socket: `tcp`, `unix`, `vsock`.
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::UnixPath(_) | Self::UnixAbstract(_) | Self::UnixInode(_) => "unix",
            Self::Vsock { .. } => "vsock",
        }
    }

    /// The port, where it has one.
    pub const fn port(&self) -> Option<u32> {
        match self {
            Self::Tcp(addr) => Some(addr.port() as u32),
            Self::Vsock { port, .. } => Some(*port),
            _ => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "{addr}"),
            Self::UnixPath(path) => write!(f, "unix:{}", Escaped(path)),
            Self::UnixAbstract(name) => write!(f, "unix-abstract:{}", Escaped(name)),
            Self::UnixInode(inode) => write!(f, "unix:#{inode}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_written_as_the_output_contract_says() {
        let v6 = Endpoint::Tcp("[::1]:50051".parse().expect("an address"));
        assert_eq!(v6.to_string(), "[::1]:50051");
        assert_eq!(Endpoint::UnixPath(b"/run/x.sock".as_slice().into()).to_string(), "unix:/run/x.sock");
        assert_eq!(Endpoint::UnixAbstract(b"a\x1b[2J".as_slice().into()).to_string(), "unix-abstract:a\\u{1b}[2J");
        let hidden = Endpoint::UnixPath("/a\n\u{202e}b\u{200b}".as_bytes().into());
        assert_eq!(hidden.to_string(), "unix:/a\\n\\u{202e}b\\u{200b}", "no character turns or hides the name");
        assert_eq!(Endpoint::UnixInode(4711).to_string(), "unix:#4711");
        assert_eq!(Endpoint::Vsock { cid: 3, port: 1024 }.to_string(), "vsock:3:1024");
    }
}
