//! Connections that have ended and are remembered, so that late copies of their packets are recognised.
//!
//! A capture that was made at both ends of a connection, and merged, holds each packet twice. The second copy comes later
//! by the difference of the two clocks, often when the connection is long over.

use super::flow::Range;
use crate::{Address, Direction, Segment, TcpFlags};

/// How many connections of a lane are remembered after they have ended. The oldest are forgotten first. A server that
/// accepts 10,000 connections a second can so be captured with clocks that differ by 10 seconds; clocks that are
/// set by NTP differ by milliseconds.
pub(super) const ENDED_KEPT: usize = 1 << 13;

/// A connection that has ended.
#[derive(Debug)]
pub(super) struct Ended<C> {
    pub(super) client: Address,
    pub(super) server: Address,
    /// What was seen of its flows, by [`Direction::index`].
    pub(super) ranges: [Range; 2],
    /// What the consumer keeps of it.
    pub(super) connection: C,
}

impl<C> Ended<C> {
    /// Whether a segment between the two ends is a late packet of this connection, and not the first one of another.
    pub(super) fn owns(&self, segment: &Segment<'_>) -> bool {
        let direction = match segment.source == self.client && segment.destination == self.server {
            true => Direction::ToServer,
            false => Direction::ToClient,
        };
        let range = self.ranges[direction.index()];
        match segment.flags.has(TcpFlags::SYN) {
            true => range.begins_after(segment.seq),
            false => segment.sent_len() == 0 || range.contains(segment.seq, segment.sent_len()),
        }
    }
}
