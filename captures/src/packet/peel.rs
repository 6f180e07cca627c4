//! The way in: from a link type and a slice to what lies innermost.

use super::rest::Rest;
use super::{Fragment, Skip, ip, link};
use crate::{LinkType, Segment};

/// What was found in a packet.
#[derive(Clone, Copy, Debug)]
pub enum Peeled<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A piece of an IP datagram, for the [`Defragmenter`](super::Defragmenter).
    Fragment(Fragment<'a>),
    /// Neither.
    Skipped(Skip),
}

/// What a layer returns: never `Ok(Peeled::Skipped(_))`, so that `?` ends the peeling.
pub(super) type PeelResult<'a> = Result<Peeled<'a>, Skip>;

/// Finds the TCP segment in a packet's `data`, of which `original_len` bytes were sent.
///
/// Where tunnels lie in each other, the innermost segment counts. VLAN tags, labels and tunnel ids are no part of the
/// flow: one connection can be seen both with and without them.
#[inline]
pub fn peel<'a>(link: LinkType, data: &'a [u8], original_len: u32) -> Peeled<'a> {
    let rest = Rest::new(data, original_len);
    match link {
        LinkType::ETHERNET => link::ethernet(rest),
        _ => link::other(link, rest),
    }
    .unwrap_or_else(Peeled::Skipped)
}

/// Finds the TCP segment in an IP datagram, as the [`Defragmenter`](super::Defragmenter) returns it.
///
/// A datagram can hold fragments of another one (a tunnel inside of it); those are to be pushed again.
pub fn peel_datagram(bytes: &[u8]) -> Peeled<'_> {
    ip::either(Rest::new(bytes, 0)).unwrap_or_else(Peeled::Skipped)
}
