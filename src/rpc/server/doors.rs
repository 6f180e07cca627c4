//! Accepting clients at an address.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rpcshark_captures::Endpoint;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::tls::ServerTls;
use crate::address::Address;
use crate::record::{Listener, SocketError};
use crate::rpc::transport::Io;
use crate::signals::Stop;

/// A socket that clients connect to. A thread accepts them: sockets of all kinds wait alike there.
pub(crate) struct Doors {
    clients: mpsc::Receiver<(OwnedFd, Endpoint)>,
    tls: Option<ServerTls>,
    /// Where it listens, as a client would be told.
    pub(crate) shown: String,
    thread: Option<JoinHandle<()>>,
}

/// A client that has connected.
pub(crate) struct Accepted {
    fd: OwnedFd,
    /// The client's end.
    pub(crate) client: Endpoint,
    tls: Option<ServerTls>,
    is_tcp: bool,
}

/// Clients that were accepted and wait.
const WAITING: usize = 64;

/// How long to wait before accepting again where that has failed: there may be no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Doors {
    /// Listens at an address until `stop` is raised. With `tls`, TCP connections are encrypted.
    ///
    /// # Errors
    ///
    /// If the address is in use, or is not one of this machine.
    pub(crate) fn open(address: &Address, tls: Option<ServerTls>, stop: Arc<Stop>) -> Result<Self, SocketError> {
        let plain = match address.clone() {
            Address::Tcp { host, port, .. } => Address::Tcp { host, port, tls: false },
            other => other,
        };
        let listener = Listener::bind(&plain)?;
        let is_tcp = matches!(listener.endpoint(), Endpoint::Tcp(_));
        let scheme = if tls.is_some() && is_tcp { "https://" } else { "" };
        let shown = format!("{scheme}{}", listener.endpoint());
        let (send, clients) = mpsc::channel(WAITING);
        let failed = |source| SocketError::System { what: "listen at", address: address.to_string(), source };
        let thread = std::thread::Builder::new().name("accept".into());
        let thread = thread.spawn(move || accept(&listener, &send, &stop)).map_err(failed)?;
        Ok(Self { clients, tls: tls.filter(|_| is_tcp), shown, thread: Some(thread) })
    }

    /// The next client; `None` when there are no more.
    pub(crate) async fn accept(&mut self) -> Option<Accepted> {
        let (fd, client) = self.clients.recv().await?;
        let is_tcp = matches!(client, Endpoint::Tcp(_));
        Some(Accepted { fd, client, tls: self.tls.clone(), is_tcp })
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.clients.close();
        // The path of a Unix socket is removed when the thread ends.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn accept(listener: &Listener, clients: &mpsc::Sender<(OwnedFd, Endpoint)>, stop: &Stop) {
    let pause = Timespec { tv_sec: 0, tv_nsec: ACCEPT_PAUSE.as_nanos() as i64 };
    while !stop.is_raised() && !clients.is_closed() {
        match listener.accept_client() {
            Ok(client) => {
                if clients.blocking_send(client).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut waiting = [PollFd::new(listener, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
                let _ = poll(&mut waiting, Some(&pause));
            }
            // The client has gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => _ = stop.wait_for(ACCEPT_PAUSE),
        }
    }
}

impl Accepted {
    /// The connection, after the TLS handshake where there is one.
    ///
    /// # Errors
    ///
    /// If the handshake fails.
    pub(crate) async fn open(self) -> io::Result<Box<dyn Io>> {
        if !self.is_tcp {
            // The kernel serves reads and writes of vsock sockets like those of Unix sockets; nothing else is called here.
            return Ok(Box::new(UnixStream::from_std(self.fd.into())?));
        }
        let tcp = TcpStream::from_std(self.fd.into())?;
        match self.tls {
            None => Ok(Box::new(tcp)),
            Some(tls) => Ok(Box::new(tls.accept(tcp).await?)),
        }
    }
}
