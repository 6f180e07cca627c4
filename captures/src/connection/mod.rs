//! TCP connections: pairs flows, says which side it takes for the client, and puts each flow's bytes in order; holes
//! that nothing fills are reported as gaps.
//!
//! It follows RFC 9293 as far as somebody who only watches can, and for the rest the rules that captures teach:
//! packets out of order, acknowledgments before the data that they acknowledge, captures that begin in the middle.
//! What the bytes mean, and whether the guess at the client holds, it leaves to its [`Consumer`]; it reads no packets
//! and keeps no clock. Whether something is given up is decided by counting packets of the capture, so the same
//! capture always gives the same deliveries, however it is cut into batches.

mod connections;
mod consumer;
mod delivery;
mod ended;
mod facts;
mod flow;
mod half_open;
mod hole;
mod out_of_order;
mod received;
mod slab;
mod start;
mod tcp_connection;
mod trigger;

pub use connections::Connections;
pub use consumer::{Closing, Consumer};
pub use facts::{ClientBy, Close, Differing, Facts, Faults, FlowFacts, KnownGap};
pub use received::Received;
pub use trigger::{END_OF_CAPTURE, Trigger};

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
