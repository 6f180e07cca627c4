//! One connection on its way through dissection, wherever its bytes come from: TCP segments, a log of streams, a recorder.
//!
//! The driver hands bytes, gaps and closes to the [`Session`] with their sort key, keeps bytes that could not be read again,
//! and reports what the session holds back to the lane's memory budget.

use rpcshark_captures::budget::{Budget, Held, Holder};
use rpcshark_captures::connection::Closing;
use rpcshark_captures::{Data, Direction, Input, Place, Sources, Spill};
use rpcshark_dissectors::store::{ConnectionId, Lane};
use rpcshark_dissectors::tls::Keys;
use rpcshark_dissectors::{Arrival, Context, Joining, KeepBytes, Observer, Session};

use crate::tap::Tap;

/// A connection that is dissected.
pub(crate) struct SessionDriver {
    pub(crate) id: ConnectionId,
    /// The position of its first packet in the reading: its rank among what one packet brings.
    rank: u64,
    session: Option<Box<Session>>,
    holder: Holder,
    /// What the budget knows that it holds.
    account: Held,
}

/// Where what is dissected goes.
pub(crate) struct Output<'a> {
    pub(crate) lane: &'a mut Lane,
    /// What may be held back for all connections of the lane.
    pub(crate) budget: &'a mut Budget,
    /// Where bytes are kept that lie nowhere; nothing where none are kept.
    pub(crate) spill: Option<SpillTo<'a>>,
    /// The secrets of encrypted connections.
    pub(crate) keys: &'a Keys,
    /// Learns what connections deliver, where somebody wants to know.
    pub(crate) tap: Option<&'a mut Tap>,
}

/// A spill file that is made when it is needed.
pub(crate) struct SpillTo<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) spill: &'a mut Option<Spill>,
}

impl SessionDriver {
    /// A connection of which nothing was read. `first_packet` is the position of its first packet in the reading.
    pub(crate) const fn new(id: ConnectionId, first_packet: u64, holder: Holder) -> Self {
        Self { id, rank: first_packet, session: None, holder, account: Held::NOTHING }
    }

    /// Whether the session is there.
    pub(crate) const fn is_started(&self) -> bool {
        self.session.is_some()
    }

    /// Makes the session.
    pub(crate) fn start(&mut self, joining: Joining) {
        self.session = Some(Box::new(Session::new(self.id, joining)));
    }

    /// Bytes or a gap.
    pub(crate) fn input(&mut self, direction: Direction, mut input: Input<'_>, output: &mut Output<'_>) {
        let Some(session) = &mut self.session else { return };
        let order = match &input {
            Input::Data(data) => data.packet.order,
            Input::Gap(gap) => gap.packet.order,
        };
        output.lane.set_sort_key(order, self.rank);
        if let Input::Data(data) = &mut input
            && data.at == Place::NOWHERE
            && session.needs_places()
        {
            data.at = output.place(data);
        }
        if let Some(tap) = &mut output.tap {
            tap.input(self.id, direction, &input);
        }
        session.input(direction, input, &mut output.context());
        output.budget.update(self.holder, &mut self.account, session.held());
    }

    /// A direction has ended.
    pub(crate) fn close(&mut self, closing: Closing, output: &mut Output<'_>) {
        let Some(session) = &mut self.session else { return };
        let Closing { direction, how, packet, time } = closing;
        if let Some(tap) = &mut output.tap {
            tap.closed(self.id, &closing);
        }
        output.lane.set_sort_key(packet.order, self.rank);
        session.closed(direction, how, Arrival { time, packet: packet.no }, &mut output.context());
        output.budget.update(self.holder, &mut self.account, session.held());
    }

    /// It has held something for longest, and the budget is exceeded: releases the oldest of it. `order` is the position of
    /// the current packet.
    pub(crate) fn release(&mut self, order: u64, output: &mut Output<'_>) {
        self.account = Held::NOTHING;
        let Some(session) = &mut self.session else { return };
        output.lane.set_sort_key(order, self.rank);
        // What cannot be released is not asked for again.
        if let Some((kind, bytes)) = session.release(&mut output.context()) {
            output.budget.count(kind, bytes);
            output.budget.update(self.holder, &mut self.account, session.held());
        }
    }

    /// The connection has ended, or the capture.
    pub(crate) fn finish(&mut self, output: &mut Output<'_>) {
        if let Some(mut session) = self.session.take() {
            session.finish(&mut output.context());
        }
        output.budget.update(self.holder, &mut self.account, Held::NOTHING);
    }
}

impl Output<'_> {
    /// What parsers work with.
    fn context(&mut self) -> Context<'_> {
        let spill = self.spill.as_mut().map(|spill| spill as &mut dyn KeepBytes);
        let observer = self.tap.as_mut().map(|tap| &mut **tap as &mut dyn Observer);
        Context { lane: self.lane, spill, keys: self.keys, observer }
    }

    /// Where bytes can be read again, if bodies are wanted: those that lie nowhere are kept.
    fn place(&mut self, data: &Data<'_>) -> Place {
        match &mut self.spill {
            Some(spill) if data.at == Place::NOWHERE && self.lane.keep.bodies => spill.keep(data.bytes),
            _ => data.at,
        }
    }
}

impl KeepBytes for SpillTo<'_> {
    fn keep(&mut self, bytes: &[u8]) -> Place {
        if self.spill.is_none() {
            *self.spill = self.sources.spill().ok();
        }
        let place = self.spill.as_mut().and_then(|spill| spill.append(bytes).ok());
        place.unwrap_or(Place::NOWHERE)
    }
}
