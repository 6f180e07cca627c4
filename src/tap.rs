//! What some connections deliver, byte for byte: where the bytes lie, where bytes are missing, when a side closes.
//!
//! Dissection keeps what bytes mean. Whoever writes a connection again needs the bytes themselves, with their times.

use std::collections::HashMap;

use rpcshark_captures::connection::{Close, Closing};
use rpcshark_captures::{Data, Direction, Input, Place, Timestamp};
use rpcshark_dissectors::Observer;
use rpcshark_dissectors::store::ConnectionId;

/// Learns what the wanted connections of one lane deliver.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    tapped: HashMap<ConnectionId, Tapped>,
    wanted: Wanted,
}

/// What a tap learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// What the connections deliver that were given to it.
    #[default]
    Given,
    /// What all connections deliver.
    Everything,
    /// Where bytes are missing, of all connections.
    Gaps,
}

#[derive(Debug, Default)]
struct Tapped {
    deliveries: Vec<Delivery>,
    /// By direction: the offset after what was delivered.
    ends: [u64; 2],
    /// It is encrypted: what it delivers is what was decrypted.
    decrypted: bool,
}

/// The next thing that was delivered of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// The position in the reading of the packet that delivered it.
    pub(crate) order: u64,
    /// When.
    pub(crate) time: Timestamp,
    /// The direction, with the roles as they were assumed at the beginning.
    pub(crate) seen: Direction,
    /// Where in the flow.
    pub(crate) offset: u64,
    /// What.
    pub(crate) what: Delivered,
}

/// What a connection delivers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivered {
    /// Bytes.
    Data {
        /// Where the first of them lies.
        at: Place,
        /// How many.
        len: u32,
        /// How much of the other flow their sender had acknowledged.
        acked: Option<u64>,
    },
    /// Bytes are missing: so many, where that is known.
    Gap(Option<u64>),
    /// The side sends no more.
    Closed(Close),
}

impl Tap {
    /// For these connections of a lane.
    pub(crate) fn new(wanted: impl IntoIterator<Item = ConnectionId>) -> Self {
        let tapped = wanted.into_iter().map(|id| (id, Tapped::default())).collect();
        Self { tapped, wanted: Wanted::Given }
    }

    /// For all connections.
    pub(crate) fn everything() -> Self {
        Self { wanted: Wanted::Everything, ..Self::default() }
    }

    /// For all connections, but only for the bytes that are missing.
    pub(crate) fn gaps() -> Self {
        Self { wanted: Wanted::Gaps, ..Self::default() }
    }

    /// What a connection has delivered, in order.
    pub(crate) fn take(&mut self, id: ConnectionId) -> Vec<Delivery> {
        self.tapped.remove(&id).map(|tapped| tapped.deliveries).unwrap_or_default()
    }

    /// What connections have delivered since this was called last.
    pub(crate) fn take_new(&mut self) -> impl Iterator<Item = (ConnectionId, Delivery)> {
        let new = self.tapped.iter_mut().filter(|(_, tapped)| !tapped.deliveries.is_empty());
        new.flat_map(|(&id, tapped)| std::mem::take(&mut tapped.deliveries).into_iter().map(move |new| (id, new)))
    }

    /// What is known of a connection, if it is wanted.
    fn tapped(&mut self, id: ConnectionId) -> Option<&mut Tapped> {
        match self.wanted {
            Wanted::Given => self.tapped.get_mut(&id),
            Wanted::Everything | Wanted::Gaps => Some(self.tapped.entry(id).or_default()),
        }
    }

    pub(crate) fn input(&mut self, id: ConnectionId, seen: Direction, input: &Input<'_>) {
        if self.tapped(id).is_some_and(|tapped| !tapped.decrypted) {
            self.add(id, seen, input);
        }
    }

    fn add(&mut self, id: ConnectionId, seen: Direction, input: &Input<'_>) {
        let gaps_only = self.wanted == Wanted::Gaps;
        let Some(tapped) = self.tapped(id) else { return };
        let end = &mut tapped.ends[seen.index()];
        let delivery = match *input {
            Input::Data(Data { bytes, packet, time, at, offset, acked }) => {
                *end = offset + bytes.len() as u64;
                if gaps_only {
                    return;
                }
                let what = Delivered::Data { at, len: bytes.len() as u32, acked };
                Delivery { order: packet.order, time, seen, offset, what }
            }
            Input::Gap(gap) => {
                let offset = *end;
                *end += gap.length.unwrap_or(0);
                Delivery { order: gap.packet.order, time: gap.time, seen, offset, what: Delivered::Gap(gap.length) }
            }
        };
        tapped.deliveries.push(delivery);
    }

    pub(crate) fn closed(&mut self, id: ConnectionId, closing: &Closing) {
        if self.wanted == Wanted::Gaps {
            return;
        }
        let Some(tapped) = self.tapped(id) else { return };
        let Closing { direction, how, packet, time } = *closing;
        let offset = tapped.ends[direction.index()];
        tapped.deliveries.push(Delivery {
            order: packet.order,
            time,
            seen: direction,
            offset,
            what: Delivered::Closed(how),
        });
    }
}

impl Observer for Tap {
    fn decrypted(&mut self, id: ConnectionId, seen: Direction, input: &Input<'_>) {
        let Some(tapped) = self.tapped(id) else { return };
        if !tapped.decrypted {
            // What was delivered before was the handshake.
            *tapped = Tapped { decrypted: true, ..Tapped::default() };
        }
        self.add(id, seen, input);
    }
}
