//! The process at the other end of a Unix socket (`SO_PEERCRED`), and its name from `/proc`.

use std::os::fd::BorrowedFd;

use rpcshark_captures::write::Process;
use rustix::net::sockopt::socket_peercred;

/// The process that made the other end: the one that connected, or for a server the one that called `listen`.
/// Nothing where the kernel does not say, as for a peer in a foreign process namespace.
pub(super) fn peer(socket: BorrowedFd<'_>) -> Process {
    let Ok(credentials) = socket_peercred(socket) else { return Process::default() };
    let pid = credentials.pid.as_raw_nonzero().get();
    let Ok(pid) = u32::try_from(pid) else { return Process::default() };
    Process {
        pid: Some(pid),
        uid: Some(credentials.uid.as_raw()),
        gid: Some(credentials.gid.as_raw()),
        name: name(pid),
    }
}

/// A process's name. It may have ended since, and its number may have a new owner: then this is that one's.
pub(super) fn name(pid: u32) -> Option<std::sync::Arc<str>> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    Some(name.strip_suffix('\n').unwrap_or(&name).into())
}
