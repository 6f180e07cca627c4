//! What a flow delivers: counted in the facts and passed to the consumer.

use super::consumer::{Closing, Consumer};
use super::facts::{Close, Differing, Facts, Faults, FlowFacts, KnownGap};
use crate::{Data, Direction, Gap, GapCause, Input, Packet, PacketNo, Timestamp};

/// The recipient of one flow's deliveries.
pub(super) struct Delivery<'a, T: Consumer> {
    pub(super) consumer: &'a mut T,
    pub(super) connection: &'a mut T::Connection,
    pub(super) facts: &'a mut Facts,
    pub(super) direction: Direction,
    /// Set when anything is delivered: from then on client and server keep their roles.
    pub(super) has_delivered: &'a mut bool,
}

impl<T: Consumer> Delivery<'_, T> {
    /// The facts of this flow.
    pub(super) fn flow(&mut self) -> &mut FlowFacts {
        &mut self.facts.flows[self.direction.index()]
    }

    /// What is wrong with this flow.
    pub(super) fn faults(&mut self) -> &mut Faults {
        self.flow().faults_mut()
    }

    pub(super) fn data(&mut self, data: Data<'_>) {
        *self.has_delivered = true;
        self.flow().bytes += data.bytes.len() as u64;
        self.consumer.input(self.connection, self.facts, self.direction, Input::Data(data));
    }

    /// A gap that begins `offset` bytes into the flow.
    pub(super) fn gap(
        &mut self,
        offset: u64,
        length: Option<u64>,
        cause: GapCause,
        (packet, time): (Packet, Timestamp),
    ) {
        *self.has_delivered = true;
        self.flow().add_gap(KnownGap { at: offset, length, cause, packet: packet.no });
        let gap = Gap { length, cause, packet, time };
        self.consumer.input(self.connection, self.facts, self.direction, Input::Gap(gap));
    }

    pub(super) fn differs(&mut self, at: u64, packet: PacketNo) {
        let faults = self.faults();
        faults.differing += 1;
        faults.first_differing.get_or_insert(Differing { at, packet });
    }

    pub(super) fn closed(&mut self, how: Close, (packet, time): (Packet, Timestamp)) {
        *self.has_delivered = true;
        let closing = Closing { direction: self.direction, how, packet, time };
        self.consumer.closed(self.connection, self.facts, closing);
    }
}
