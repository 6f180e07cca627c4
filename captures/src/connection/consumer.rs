//! What receives the deliveries of connections.

use super::facts::{Close, Facts};
use crate::budget::{Budget, Holder};
use crate::{Direction, Input, Packet, Timestamp};

/// Receives the deliveries of connections.
pub trait Consumer {
    /// What the consumer keeps for each connection.
    type Connection: Send;

    /// The lane's memory budget. The consumer reports to it what it holds for each connection.
    fn budget(&mut self) -> &mut Budget;

    /// A connection begins with this packet. `true`: it may be opened later, when more than its SYN has been seen.
    fn reserve(&mut self, first_packet: Packet) -> bool;

    /// A connection is opened. Client and server may still be exchanged until the first input. `holder` is the connection
    /// in the memory budget.
    fn opened(&mut self, facts: &Facts, holder: Holder) -> Self::Connection;

    /// A connection that was reserved is never opened: it was half-open for so long that its memory was needed.
    fn forgotten(&mut self, first_packet: Packet);

    /// The next bytes of a flow, or a gap in it.
    fn input(&mut self, connection: &mut Self::Connection, facts: &Facts, direction: Direction, input: Input<'_>);

    /// The recorder that wrote the capture says something about a packet of the connection.
    fn remark(&mut self, connection: &mut Self::Connection, packet: Packet, text: &str) {
        let _ = (connection, packet, text);
    }

    /// A flow has ended, after all its bytes and gaps. This is called once for each flow of a connection, at the latest
    /// with [`Close::Timeout`] or [`Close::EndOfCapture`] just before [`ended`](Self::ended).
    fn closed(&mut self, connection: &mut Self::Connection, facts: &Facts, closing: Closing);

    /// The connection has ended: long after it was closed, when another one took its ports, when it was forgotten,
    /// or at the end of the capture. Nothing more is delivered for it, and the consumer holds nothing more for it.
    fn ended(&mut self, connection: &mut Self::Connection, facts: Facts);

    /// A packet came for a connection that has ended: a copy of one that was seen before (`is_copy`), or an acknowledgment
    /// that is late.
    fn late(&mut self, connection: &mut Self::Connection, packet: Packet, time: Timestamp, is_copy: bool);

    /// The memory budget is exceeded, and this connection is the one that has held something for longest: the consumer
    /// releases the oldest of what it holds for it. `order` is the position in the capture where that happens.
    fn release(&mut self, connection: &mut Self::Connection, facts: &Facts, order: u64);
}

/// The end of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// Which flow.
    pub direction: Direction,
    /// How it ended.
    pub how: Close,
    /// The packet that ended it.
    pub packet: Packet,
    /// When.
    pub time: Timestamp,
}
