//! Connections of which only the opening handshake was seen, or a part of it. They are kept small: a scan of ports
//! or a flood of SYNs makes millions of them, and most never carry a byte.

use super::consumer::Consumer;
use super::received::Received;
use super::tcp_connection::TcpConnection;
use crate::budget::Holder;
use crate::{Address, Direction, Packet, Place, Segment, TcpFlags, Timestamp};

/// What a half-open connection counts for in the memory budget, in bytes: its entry, and what the consumer needs
/// to list it at the end of the capture.
pub(super) const HALF_OPEN_COST: usize = 512;

/// A connection of which only a SYN was seen, and perhaps its answer.
#[derive(Debug)]
pub(super) struct HalfOpen {
    /// The sender of the SYN.
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) first_packet: Packet,
    first: Timestamp,
    last: Timestamp,
    packets: u32,
    /// The sequence number of the SYN.
    isn: u32,
    /// The sequence number of the answer, a segment with SYN and ACK.
    answer: Option<u32>,
    /// Whether another connection between the same ends has begun.
    pub(super) is_replaced: bool,
}

/// The flags that open or close a connection, and ACK.
const HANDSHAKE: u8 = TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;

impl HalfOpen {
    /// The half-open connection that a segment begins; `None` for anything but a SYN without data.
    pub(super) fn new(received: &Received<'_>) -> Option<Self> {
        let Received { packet, time, segment, .. } = *received;
        let is_syn = segment.flags.0 & HANDSHAKE == TcpFlags::SYN.0;
        (is_syn && segment.sent_len() == 0).then_some(Self {
            source: segment.source,
            destination: segment.destination,
            first_packet: packet,
            first: time,
            last: time,
            packets: 1,
            isn: segment.seq,
            answer: None,
            is_replaced: false,
        })
    }

    /// Takes a segment between the two ends, if it is the same SYN again, its answer, or the answer again. False: the
    /// connection has to be opened for it.
    pub(super) fn accept(&mut self, received: &Received<'_>) -> bool {
        let Received { time, segment, .. } = *received;
        if segment.sent_len() > 0 {
            return false;
        }
        let is_from_client = segment.source == self.source && segment.destination == self.destination;
        let flags = segment.flags.0 & HANDSHAKE;
        let is_accepted = if is_from_client {
            flags == TcpFlags::SYN.0 && segment.seq == self.isn
        } else {
            flags == TcpFlags::SYN.0 | TcpFlags::ACK.0
                && segment.ack == self.isn.wrapping_add(1)
                && *self.answer.get_or_insert(segment.seq) == segment.seq
        };
        if is_accepted {
            self.packets += 1;
            self.first = self.first.min(time);
            self.last = self.last.max(time);
        }
        is_accepted
    }

    /// The connection in full, as if each of its segments had been received by it.
    pub(super) fn open<T: Consumer>(&self, holder: Holder, consumer: &mut T) -> TcpConnection<T::Connection> {
        let syn = self.segment(Direction::ToServer, self.isn, 0, TcpFlags::SYN);
        let received = |segment| Received {
            packet: self.first_packet,
            time: self.first,
            at: Place::NOWHERE,
            segment,
            not_recorded: None,
            remark: None,
        };
        let mut connection = TcpConnection::new(&received(&syn), holder, consumer);
        connection.control_segment(Direction::ToServer, &received(&syn), consumer);
        if let Some(seq) = self.answer {
            let flags = TcpFlags::SYN.with(TcpFlags::ACK);
            let answer = self.segment(Direction::ToClient, seq, self.isn.wrapping_add(1), flags);
            connection.control_segment(Direction::ToClient, &received(&answer), consumer);
        }
        connection.facts.last = self.last;
        connection.facts.packets = u64::from(self.packets);
        connection
    }

    /// Whether a segment that this connection does not accept begins another one.
    pub(super) fn is_replaced_by(&self, segment: &Segment<'_>) -> bool {
        segment.flags.0 & HANDSHAKE == TcpFlags::SYN.0 && segment.source == self.source
    }

    fn segment(&self, direction: Direction, seq: u32, ack: u32, flags: TcpFlags) -> Segment<'static> {
        let (source, destination) = match direction {
            Direction::ToServer => (self.source, self.destination),
            Direction::ToClient => (self.destination, self.source),
        };
        Segment { source, destination, seq, ack, flags, window: 0, payload: &[], cut: 0, payload_at: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_open_connection_takes_little_memory() {
        assert!(size_of::<HalfOpen>() <= 128, "{}", size_of::<HalfOpen>());
    }
}
