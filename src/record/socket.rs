//! Sockets of every kind that has streams: listening, connecting, and saying who is at the ends.

use std::ffi::OsStr;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rpcshark_captures::Endpoint;
use rpcshark_captures::write::Party;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, connect, getsockname,
    listen, socket_with,
};

use super::vsock::VsockAddr;
use super::{credentials, peer_inode};
use crate::address::Address;

/// Why an address cannot be listened at or connected to.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// An address with TLS.
    #[error(
        "{0}: a recorder passes bytes on as they are and cannot speak TLS; name the port without https:// to record the encrypted bytes"
    )]
    Tls(Address),
    /// The system has no sockets of that kind.
    #[error("{0}: this system has no vsock sockets")]
    NoVsock(Address),
    /// Something is at the path already.
    #[error("{}: there is a file already, and it is not a socket", .0.display())]
    NoSocket(PathBuf),
    /// A server listens at the path.
    #[error("{}: a server listens there; to stand in its place use --swap", .0.display())]
    InUse(PathBuf),
    /// A system call failed.
    #[error("cannot {what} {address}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Where.
        address: String,
        /// Its error.
        source: io::Error,
    },
}

/// A socket that clients connect to. A Unix socket's path is removed when it is dropped, if it is still this socket's.
#[derive(Debug)]
pub struct Listener {
    pub(super) fd: OwnedFd,
    /// Where it listens: with the port that the kernel chose, where it was left to it.
    endpoint: Endpoint,
    path: Option<OwnPath>,
}

impl Listener {
    /// Listens at an address.
    pub fn bind(address: &Address) -> Result<Self, SocketError> {
        let failed =
            |source: io::Error| SocketError::System { what: "listen at", address: address.to_string(), source };
        match address {
            Address::Tcp { tls: true, .. } => Err(SocketError::Tls(address.clone())),
            Address::Tcp { host, port, .. } => {
                let listener = TcpListener::bind((host.as_str(), *port)).map_err(failed)?;
                let endpoint = Endpoint::Tcp(listener.local_addr().map_err(failed)?);
                listener.set_nonblocking(true).map_err(failed)?;
                Ok(Self { fd: listener.into(), endpoint, path: None })
            }
            Address::UnixPath(path) => {
                let path = Path::new(OsStr::from_bytes(path));
                remove_if_dead(path)?;
                Self::at_path(path, |_| Ok(())).map_err(failed)
            }
            Address::UnixAbstract(name) => {
                let fd = stream_socket(AddressFamily::UNIX, true).map_err(failed)?;
                let bound = SocketAddrUnix::new_abstract_name(name).and_then(|address| bind(&fd, &address));
                bound.and_then(|()| listen(&fd, BACKLOG)).map_err(|error| failed(error.into()))?;
                Ok(Self { fd, endpoint: Endpoint::UnixAbstract(name.as_slice().into()), path: None })
            }
            Address::Vsock { cid, port } => {
                let fd = stream_socket(AddressFamily::VSOCK, true).map_err(|error| no_vsock(address, error))?;
                let wanted = match port {
                    0 => VsockAddr::ANY_PORT,
                    port => *port,
                };
                let bound = bind(&fd, &VsockAddr { cid: *cid, port: wanted }).and_then(|()| listen(&fd, BACKLOG));
                bound.map_err(|error| failed(error.into()))?;
                let name = getsockname(&fd).map_err(|error| failed(error.into()))?;
                Ok(Self { endpoint: endpoint_of(&name).unwrap_or(given(address)), fd, path: None })
            }
        }
    }

    /// Listens at a path where nothing is. `prepare` may change what is made there before anybody can connect to it.
    pub(super) fn at_path(path: &Path, prepare: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Self> {
        let fd = stream_socket(AddressFamily::UNIX, true)?;
        with_unix_address(path, |address| bind(&fd, address))?;
        let own = OwnPath::of(path)?;
        prepare(path)?;
        listen(&fd, BACKLOG)?;
        Ok(Self { fd, endpoint: Endpoint::UnixPath(path.as_os_str().as_bytes().into()), path: Some(own) })
    }

    /// Where it listens.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Tells it that its socket was renamed.
    pub(super) fn renamed(&mut self, to: &Path) {
        if let Some(own) = &mut self.path {
            own.path = to.into();
        }
        self.endpoint = Endpoint::UnixPath(to.as_os_str().as_bytes().into());
    }

    /// The next client's socket, which never blocks, and the client's end; `WouldBlock` if nobody waits.
    pub(crate) fn accept_client(&self) -> io::Result<(OwnedFd, Endpoint)> {
        let (Socket { fd, .. }, party) = self.accept()?;
        Ok((fd, party.endpoint))
    }

    /// The next client and its identity; `WouldBlock` if nobody waits.
    pub(super) fn accept(&self) -> io::Result<(Socket, Party)> {
        let (fd, from) = acceptfrom_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let socket = Socket { fd, transport: Transport::of(&self.endpoint) };
        socket.without_delay();
        let party = socket.party(from.as_ref());
        Ok((socket, party))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Where the recorder connects clients to.
#[derive(Clone, Debug)]
pub struct Target {
    address: Address,
    /// What the server is called in the recording, where that is not its address.
    shown: Option<Endpoint>,
}

impl Target {
    /// A server at an address.
    pub fn new(address: Address) -> Result<Self, SocketError> {
        match address {
            Address::Tcp { tls: true, .. } => Err(SocketError::Tls(address)),
            _ => Ok(Self { address, shown: None }),
        }
    }

    /// The same, shown as another end: the one that the server had before its socket was moved aside.
    #[must_use]
    pub fn shown_as(self, shown: Endpoint) -> Self {
        Self { shown: Some(shown), ..self }
    }

    /// Whether the server seems to be where the recorder is.
    pub(super) const fn stands_in(&self) -> bool {
        self.shown.is_some()
    }

    /// Connects. An error comes with the end that would have been recorded.
    pub(super) fn connect(&self) -> Result<(Socket, Party), (io::Error, Party)> {
        let failed = |error: io::Error| (error, Party::of(self.shown.clone().unwrap_or_else(|| given(&self.address))));
        let (fd, endpoint) = self.socket().map_err(failed)?;
        let socket = Socket { fd, transport: Transport::of(&endpoint) };
        rustix::io::ioctl_fionbio(&socket.fd, true).map_err(|error| failed(error.into()))?;
        socket.without_delay();
        let process = match socket.transport {
            Transport::Unix => credentials::peer(socket.fd.as_fd()),
            _ => Default::default(),
        };
        let endpoint = self.shown.clone().unwrap_or(endpoint);
        Ok((socket, Party { endpoint, process }))
    }

    /// Connects, and gives the socket, which blocks, and the server's end.
    pub(crate) fn socket(&self) -> io::Result<(OwnedFd, Endpoint)> {
        match &self.address {
            Address::Tcp { host, port, .. } => {
                let stream = TcpStream::connect((host.as_str(), *port))?;
                let endpoint = Endpoint::Tcp(stream.peer_addr()?);
                Ok((stream.into(), endpoint))
            }
            Address::UnixPath(path) => Ok((connect_path(Path::new(OsStr::from_bytes(path)))?, given(&self.address))),
            Address::UnixAbstract(name) => {
                let fd = stream_socket(AddressFamily::UNIX, false)?;
                connect(&fd, &SocketAddrUnix::new_abstract_name(name)?)?;
                Ok((fd, given(&self.address)))
            }
            Address::Vsock { cid, port } => {
                let fd = stream_socket(AddressFamily::VSOCK, false)?;
                connect(&fd, &VsockAddr { cid: *cid, port: *port })?;
                Ok((fd, given(&self.address)))
            }
        }
    }
}

/// A connected socket; it never blocks.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Unix,
    Vsock,
}

impl Transport {
    const fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Tcp(_) => Self::Tcp,
            Endpoint::Vsock { .. } => Self::Vsock,
            _ => Self::Unix,
        }
    }
}

impl Socket {
    /// Sends pieces at once, as they were sent to the recorder.
    fn without_delay(&self) {
        if self.transport == Transport::Tcp {
            let _ = rustix::net::sockopt::set_tcp_nodelay(&self.fd, true);
        }
    }

    /// Who is at the other end of an accepted socket.
    fn party(&self, from: Option<&SocketAddrAny>) -> Party {
        let endpoint = from.and_then(endpoint_of);
        match self.transport {
            Transport::Unix => Party {
                endpoint: endpoint.unwrap_or_else(|| Endpoint::UnixInode(peer_inode::peer_inode(self.fd.as_fd()))),
                process: credentials::peer(self.fd.as_fd()),
            },
            _ => Party::of(endpoint.unwrap_or(Endpoint::Tcp(SocketAddr::from(([0; 4], 0))))),
        }
    }
}

/// A path that is this program's own, as long as the same file is there.
#[derive(Debug)]
pub(super) struct OwnPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OwnPath {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.symlink_metadata()?;
        Ok(Self { path: path.into(), device: metadata.dev(), inode: metadata.ino() })
    }

    pub(super) fn is_still_there(&self) -> bool {
        let there = self.path.symlink_metadata();
        there.is_ok_and(|there| (there.dev(), there.ino()) == (self.device, self.inode))
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if self.is_still_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Connects to a Unix socket by its path.
pub(super) fn connect_path(path: &Path) -> io::Result<OwnedFd> {
    let fd = stream_socket(AddressFamily::UNIX, false)?;
    with_unix_address(path, |address| connect(&fd, address))?;
    Ok(fd)
}

/// Removes what a server that ended left behind, so that its path can be used again.
fn remove_if_dead(path: &Path) -> Result<(), SocketError> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.into()));
    }
    match connect_path(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let address = path.display().to_string();
            std::fs::remove_file(path).map_err(|source| SocketError::System { what: "remove", address, source })
        }
        _ => Err(SocketError::InUse(path.into())),
    }
}

/// Calls with a path's socket address. Paths longer than an address can hold go by way of their directory's descriptor.
fn with_unix_address(path: &Path, call: impl FnOnce(&SocketAddrUnix) -> Result<(), Errno>) -> io::Result<()> {
    match SocketAddrUnix::new(path) {
        Ok(address) => Ok(call(&address)?),
        Err(Errno::NAMETOOLONG) => {
            let name = path.file_name().ok_or(Errno::NAMETOOLONG)?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let number = directory.as_raw_fd();
            let address = SocketAddrUnix::new(Path::new(&format!("/proc/self/fd/{number}")).join(name))?;
            Ok(call(&address)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn stream_socket(family: AddressFamily, nonblocking: bool) -> io::Result<OwnedFd> {
    let flags = match nonblocking {
        true => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        false => SocketFlags::CLOEXEC,
    };
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

fn no_vsock(address: &Address, error: io::Error) -> SocketError {
    match error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) {
        true => SocketError::NoVsock(address.clone()),
        false => SocketError::System { what: "make a socket for", address: address.to_string(), source: error },
    }
}

/// What the kernel calls an end; nothing for a Unix socket without a name.
fn endpoint_of(address: &SocketAddrAny) -> Option<Endpoint> {
    if let Some(VsockAddr { cid, port }) = VsockAddr::from_any(address) {
        return Some(Endpoint::Vsock { cid: cid.into(), port });
    }
    if let Ok(tcp) = SocketAddr::try_from(address.clone()) {
        // A listener for both families sees IPv4 clients as mapped addresses.
        return Some(Endpoint::Tcp(SocketAddr::new(tcp.ip().to_canonical(), tcp.port())));
    }
    let unix = SocketAddrUnix::try_from(address.clone()).ok()?;
    if let Some(name) = unix.abstract_name().filter(|name| !name.is_empty()) {
        return Some(Endpoint::UnixAbstract(name.into()));
    }
    let path = unix.path_bytes()?.split(|&byte| byte == 0).next()?;
    (!path.is_empty()).then(|| Endpoint::UnixPath(path.into()))
}

/// An address as the end that it names, as far as it does without asking anybody.
fn given(address: &Address) -> Endpoint {
    match address {
        Address::Tcp { host, port, .. } => {
            let ip = host.parse().unwrap_or(std::net::IpAddr::from([0; 4]));
            Endpoint::Tcp(SocketAddr::new(ip, *port))
        }
        Address::UnixPath(path) => Endpoint::UnixPath(path.as_slice().into()),
        Address::UnixAbstract(name) => Endpoint::UnixAbstract(name.as_slice().into()),
        Address::Vsock { cid, port } => Endpoint::Vsock { cid: (*cid).into(), port: *port },
    }
}

/// The system cuts it to its own limit (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
