//! From a captured slice down to the TCP segment inside it.
//!
//! [`peel()`] takes link, network and transport layers and tunnels off a packet. It keeps no state and does not allocate,
//! so it can run on several threads; the one thing that needs state, IP fragments, is left to [`Defragmenter`]. A packet
//! that holds no segment is a [`Skip`] with the reason. Checksums are not checked: offloading makes bad ones normal.
//! What the segments of a flow mean together is left to the connection layer.
//!
//! Every layer is a function that takes its header off [`rest::Rest`] and returns which layer follows
//! ([`next::Next`]); the loop in `peel` calls one after the other. Packets that have nothing unusual take a shorter way
//! ([`plain`]). IP headers, IPv6 extension headers and VLAN tags are
//! read by `etherparse`, one header at a time. Its layered slices are not used: they stop at packets that the snap length
//! cut, do not know most tunnels, and give no lengths for what was not captured.

mod fragment;
mod ip;
mod link;
mod next;
#[cfg(test)]
mod oracle;
mod peel;
mod plain;
mod rest;
#[cfg(test)]
mod samples;
mod skip;
mod tcp;
mod tunnel;

pub use fragment::{Defragmenter, Fragment};
pub use peel::{Peeled, peel, peel_datagram};
pub use skip::{Layer, Skip, Unassembled};
