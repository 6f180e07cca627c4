//! Handing on: what a flow delivers, counted in the facts and given to the consumer.

use super::consumer::{Closing, Consumer};
use super::facts::{Close, Differing, Facts, FlowFacts, KnownGap};
use crate::{Data, Direction, Gap, GapCause, Input, Packet, PacketNo, Timestamp};

/// Where one flow's deliveries go.
pub(super) struct Output<'a, T: Consumer> {
    pub(super) consumer: &'a mut T,
    pub(super) connection: &'a mut T::Connection,
    pub(super) facts: &'a mut Facts,
    pub(super) direction: Direction,
    /// Set when anything is handed on.
    pub(super) is_fixed: &'a mut bool,
}

impl<T: Consumer> Output<'_, T> {
    /// The facts of this flow.
    pub(super) fn flow(&mut self) -> &mut FlowFacts {
        &mut self.facts.flows[self.direction.index()]
    }

    pub(super) fn data(&mut self, data: Data<'_>) {
        *self.is_fixed = true;
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
        *self.is_fixed = true;
        self.flow().add_gap(KnownGap { at: offset, length, cause, packet: packet.no });
        let gap = Gap { length, cause, packet, time };
        self.consumer.input(self.connection, self.facts, self.direction, Input::Gap(gap));
    }

    pub(super) fn differs(&mut self, at: u64, packet: PacketNo) {
        let flow = self.flow();
        flow.differing += 1;
        flow.first_differing.get_or_insert(Differing { at, packet });
    }

    pub(super) fn closed(&mut self, how: Close, (packet, time): (Packet, Timestamp)) {
        *self.is_fixed = true;
        let closing = Closing { direction: self.direction, how, packet, time };
        self.consumer.closed(self.connection, self.facts, closing);
    }
}
