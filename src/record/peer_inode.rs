//! The inode of the socket at the other end of a Unix socket, by sock_diag(7).

use std::os::fd::BorrowedFd;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// The inode of the socket that `socket` is connected to; its own inode if the kernel does not give that one (the other
/// socket is closed already, or the kernel was built without sock_diag). Both belong to this connection only.
pub(super) fn peer_inode(socket: BorrowedFd<'_>) -> u64 {
    let Ok(own) = rustix::fs::fstat(socket).map(|stat| stat.st_ino) else { return 0 };
    let peer = u32::try_from(own).ok().and_then(ask).filter(|&peer| peer != 0);
    peer.map_or(own, u64::from)
}

fn ask(inode: u32) -> Option<u32> {
    let flags = SocketFlags::CLOEXEC;
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG)).ok()?;
    sendto(&kernel, &question(inode), SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
    let mut answer = [0; 512];
    let (len, _) = recv(&kernel, &mut answer[..], RecvFlags::empty()).ok()?;
    peer(answer.get(..len)?)
}

/// `struct nlmsghdr` and `struct unix_diag_req`.
fn question(inode: u32) -> Vec<u8> {
    let mut question = Vec::with_capacity(40);
    question.extend_from_slice(&40u32.to_ne_bytes()); // length
    question.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    question.extend_from_slice(&[0; 8]); // sequence number; sender
    question.extend_from_slice(&[AddressFamily::UNIX.as_raw() as u8, 0, 0, 0]); // family; protocol; padding
    question.extend_from_slice(&u32::MAX.to_ne_bytes()); // states: all
    question.extend_from_slice(&inode.to_ne_bytes());
    question.extend_from_slice(&UDIAG_SHOW_PEER.to_ne_bytes());
    question.extend_from_slice(&[0xff; 8]); // cookie: none
    question
}

/// The peer among the attributes after `struct nlmsghdr` and `struct unix_diag_msg`.
fn peer(answer: &[u8]) -> Option<u32> {
    let number = |bytes: &[u8]| Some(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    if number(answer.get(4..)?)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut attributes = answer.get(32..)?;
    loop {
        let (len, kind) = (usize::from(number(attributes)?), number(attributes.get(2..)?)?);
        if kind == UNIX_DIAG_PEER {
            return Some(u32::from_ne_bytes(attributes.get(4..8)?.try_into().ok()?));
        }
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_PEER: u16 = 2;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn the_two_ends_know_each_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("x.sock")).expect("bound");
        let client = UnixStream::connect(directory.path().join("x.sock")).expect("connected");
        let server = listener.accept().expect("accepted").0;
        let inode = |socket: BorrowedFd<'_>| rustix::fs::fstat(socket).expect("a socket").st_ino;
        if ask(inode(server.as_fd()) as u32).is_none() {
            return eprintln!("skipped: this kernel does not tell");
        }
        assert_eq!(peer_inode(server.as_fd()), inode(client.as_fd()));
        assert_eq!(peer_inode(client.as_fd()), inode(server.as_fd()));
        drop(client);
        assert_eq!(peer_inode(server.as_fd()), inode(server.as_fd()));
    }

    #[test]
    fn cut_answers_are_no_answers() {
        for len in 0..64 {
            let mut answer = vec![0; len];
            if let Some(kind) = answer.get_mut(4..6) {
                kind.copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
            }
            assert_eq!(peer(&answer), None);
        }
    }
}
