//! Opening a connection to an address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rpcshark_captures::Endpoint;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::tls::TlsSettings;
use crate::address::Address;
use crate::record::Target;

/// A stream of bytes in both directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// An open connection. What is read and written is plain text, also with TLS.
pub(crate) struct Connected {
    /// The connection.
    pub(crate) io: Box<dyn Io>,
    /// Our end.
    pub(crate) client: Endpoint,
    /// The server's end.
    pub(crate) server: Endpoint,
}

/// How long connecting, with the TLS handshake, may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Connects to `address`. `tls` is used where the address begins with `https://`.
///
/// # Errors
///
/// If there is no server, it does not answer in time, or the TLS handshake fails.
pub(crate) async fn connect(address: &Address, tls: &TlsSettings) -> io::Result<Connected> {
    match tokio::time::timeout(LONGEST, open(address, tls)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", LONGEST.as_secs()))),
    }
}

async fn open(address: &Address, tls: &TlsSettings) -> io::Result<Connected> {
    match address {
        Address::Tcp { host, port, tls: with_tls } => {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            tcp.set_nodelay(true)?;
            let (client, server) = (Endpoint::Tcp(tcp.local_addr()?), Endpoint::Tcp(tcp.peer_addr()?));
            let io: Box<dyn Io> = match with_tls {
                false => Box::new(tcp),
                true => {
                    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
                    let name = ServerName::try_from(name).map_err(io::Error::other)?;
                    let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
                    Box::new(connector.connect(name, tcp).await?)
                }
            };
            Ok(Connected { io, client, server })
        }
        local => {
            let target = Target::new(local.clone()).map_err(io::Error::other)?;
            // Connecting to a Unix socket waits where the server's queue is full.
            let (fd, server) = tokio::task::spawn_blocking(move || target.socket()).await??;
            rustix::io::ioctl_fionbio(&fd, true)?;
            // The kernel serves reads and writes of vsock sockets like those of Unix sockets; nothing else is called here.
            let io = UnixStream::from_std(fd.into())?;
            let client = match &server {
                Endpoint::Vsock { .. } => Endpoint::Vsock { cid: u64::from(LOCAL_CID), port: 0 },
                Endpoint::Tcp(_) => Endpoint::Tcp(SocketAddr::from(([0; 4], 0))),
                _ => Endpoint::UnixInode(std::process::id().into()),
            };
            Ok(Connected { io: Box::new(io), client, server })
        }
    }
}

/// This machine, as vsock names it (vsock(7)).
const LOCAL_CID: u32 = 1;
