//! What receives the deliveries of connections.

use super::facts::{Close, Facts};
use crate::{Direction, Input, Packet, Timestamp};

/// Receives the deliveries of connections.
pub trait Consumer {
    /// What the consumer keeps for each connection.
    type Connection: Send;

    /// The first packet of a connection was seen. Client and server may still be exchanged until the first input.
    fn opened(&mut self, facts: &Facts) -> Self::Connection;

    /// The next bytes of a flow, or a gap in it.
    fn input(&mut self, connection: &mut Self::Connection, facts: &Facts, direction: Direction, input: Input<'_>);

    /// A flow has ended, after all its bytes and gaps. This is called once for each flow of a connection, at the latest
    /// with [`Close::Timeout`] or [`Close::EndOfCapture`] just before [`ended`](Self::ended).
    fn closed(&mut self, connection: &mut Self::Connection, facts: &Facts, closing: Closing);

    /// The connection has ended: long after it was closed, when another one took its ports, when it was forgotten,
    /// or at the end of the capture. Nothing more is delivered for it.
    fn ended(&mut self, connection: &mut Self::Connection, facts: Facts);
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
