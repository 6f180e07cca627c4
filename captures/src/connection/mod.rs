//! TCP connections: pairs flows, says which side it takes for the client, and puts each flow's bytes in order; holes
//! that nothing fills are said as gaps.
//!
//! It follows RFC 9293 as far as somebody who only watches can, and for the rest the rules that captures teach:
//! packets out of order, acknowledgments before the data that they acknowledge, captures that begin in the middle.
//! What the bytes mean, and whether the guess at the client holds, it leaves to its [`Consumer`]; it reads no packets
//! and keeps no clock. Whether something is given up is decided by counting packets of the capture, so the same
//! capture always gives the same deliveries, however it is cut into batches.

mod connections;
mod facts;
mod flow;
mod held;
mod hole;
mod join;
mod output;
mod pair;

pub use connections::{Connections, Consumer, END_OF_CAPTURE};
pub use facts::{ClientBy, Close, Differing, Facts, FlowFacts, KnownGap};

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
