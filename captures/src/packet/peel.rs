//! The driver: from a link type and a slice to what lies innermost.

use super::fragment::Fragment;
use super::next::{Next, Step};
use super::rest::Rest;
use super::skip::Skip;
use super::{ip, link, plain, tcp, tunnel};
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

/// Finds the TCP segment in a packet's `data`, of which `original_len` bytes were sent.
///
/// If tunnels are nested, the innermost segment counts. VLAN tags, labels and tunnel ids are not part of the flow: one
/// connection can be seen both with and without them.
#[inline]
pub fn peel(link: LinkType, data: &[u8], original_len: u32) -> Peeled<'_> {
    if link == LinkType::ETHERNET
        && let Some(segment) = plain::segment(data)
    {
        return Peeled::Segment(segment);
    }
    layer_by_layer(link, data, original_len)
}

/// The same for any packet.
#[inline(never)]
pub(super) fn layer_by_layer(link: LinkType, data: &[u8], original_len: u32) -> Peeled<'_> {
    let mut rest = Rest::new(data, original_len);
    match link {
        LinkType::ETHERNET => layers(Next::Ethernet, rest),
        _ => match link::first(link, &mut rest) {
            Ok(next) => layers(next, rest),
            Err(skip) => Peeled::Skipped(skip),
        },
    }
}

/// Finds the TCP segment in an IP datagram, as the [`Defragmenter`](super::Defragmenter) returns it.
///
/// A datagram can hold fragments of another one (a tunnel inside it); those have to be pushed again.
pub fn peel_datagram(bytes: &[u8]) -> Peeled<'_> {
    layers(Next::Ip, Rest::new(bytes, 0))
}

/// Reads layer after layer, beginning with `next`. Every layer takes bytes off the rest or counts as nested, so that
/// this ends.
fn layers(mut next: Next, mut rest: Rest<'_>) -> Peeled<'_> {
    loop {
        let step = match next {
            Next::Ethernet => link::ethernet(&mut rest),
            Next::Ipv4 => ip::ipv4(&mut rest),
            Next::Tcp => {
                return match tcp::segment(&mut rest) {
                    Ok(segment) => Peeled::Segment(segment),
                    Err(skip) => Peeled::Skipped(skip),
                };
            }
            Next::Fragment(header) => return Peeled::Fragment(Fragment::new(rest, header)),
            next => {
                let step;
                (step, rest) = uncommon(next, rest);
                step
            }
        };
        next = match step {
            Ok(next) => next,
            Err(skip) => return Peeled::Skipped(skip),
        };
    }
}

/// The layers that few packets have. The rest is passed by value, so that it stays in registers where this is not called.
#[inline(never)]
fn uncommon(next: Next, mut rest: Rest<'_>) -> (Step, Rest<'_>) {
    let step = match next {
        Next::Ethernet => link::ethernet(&mut rest),
        Next::TypeOrLen(number) => link::by_type_or_len(&mut rest, number),
        Next::Vlan => link::vlan(&mut rest),
        Next::Llc => link::llc(&mut rest),
        Next::Mpls => link::mpls(&mut rest),
        Next::Pppoe => link::pppoe(&mut rest),
        Next::Hdlc => link::hdlc(&mut rest),
        Next::Ppp => link::ppp(&mut rest),
        Next::Ip => ip::either(&mut rest),
        Next::Ipv4 => ip::ipv4(&mut rest),
        Next::Ipv6 => ip::ipv6(&mut rest),
        Next::IpPayload(protocol) => ip::payload(&mut rest, protocol),
        Next::Udp => tunnel::udp(&mut rest),
        Next::Gre => tunnel::gre(&mut rest),
        Next::Vxlan => tunnel::vxlan(&mut rest),
        Next::Geneve => tunnel::geneve(&mut rest),
        Next::Tcp | Next::Fragment(_) => Ok(next),
    };
    (step, rest)
}
