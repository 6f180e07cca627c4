//! Addresses of vsock sockets (vsock(7)), which the libraries that we use do not have.
#![allow(unsafe_code)]

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SocketAddrAny};

/// A context and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VsockAddr {
    pub(super) cid: u32,
    pub(super) port: u32,
}

impl VsockAddr {
    /// The port that lets the kernel choose one.
    pub(super) const ANY_PORT: u32 = u32::MAX;

    /// What the kernel gave as an address, where it is one of vsock.
    pub(super) fn from_any(address: &SocketAddrAny) -> Option<Self> {
        if address.address_family() != AddressFamily::VSOCK || address.addr_len() < LEN {
            return None;
        }
        // SAFETY: the pointer is to storage of the size and alignment of `sockaddr_storage`, which are those of
        // `SockaddrVm` or more, and its first `addr_len` bytes, at least as many as `SockaddrVm` has, are initialised.
        let raw = unsafe { address.as_ptr().cast::<SockaddrVm>().read() };
        Some(Self { cid: raw.cid, port: raw.port })
    }
}

/// `struct sockaddr_vm` of `<linux/vm_sockets.h>`.
#[repr(C)]
struct SockaddrVm {
    family: u16,
    reserved: u16,
    port: u32,
    cid: u32,
    flags: u8,
    zero: [u8; 3],
}

const LEN: SocketAddrLen = size_of::<SockaddrVm>() as SocketAddrLen;

// SAFETY: `f` is called with a pointer to a whole `sockaddr_vm` that lives until it returns, and its length.
unsafe impl SocketAddrArg for VsockAddr {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let raw = SockaddrVm {
            family: AddressFamily::VSOCK.as_raw(),
            reserved: 0,
            port: self.port,
            cid: self.cid,
            flags: 0,
            zero: [0; 3],
        };
        f((&raw const raw).cast(), LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_from_the_kernels_form() {
        let address = VsockAddr { cid: 3, port: 1024 };
        assert_eq!(VsockAddr::from_any(&address.as_any()), Some(address));
        let tcp = std::net::SocketAddr::from(([127, 0, 0, 1], 5));
        assert_eq!(VsockAddr::from_any(&tcp.as_any()), None);
    }
}
