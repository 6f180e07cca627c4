//! Ends of connections.

use super::pair::{Pair, PairNo};
use super::socket::{Role, SocketNo};
use super::table::{Context, Sockets};
use super::transfer::direction;
use crate::Timestamp;
use crate::connection::Close;

/// A socket of which no known process has a descriptor any more counts as closed after so many lines: a process that
/// the log does not show being made may have it too, and will use it soon.
const CLOSING_LINES: u64 = 64;

/// A socket whose last known descriptor was closed.
#[derive(Debug)]
pub(super) struct Closing {
    /// The line at which it counts as closed.
    pub(super) due: u64,
    socket: SocketNo,
    time: Timestamp,
    /// The line at which the descriptor was closed.
    line: u64,
}

/// A direction that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) pair: PairNo,
    /// The end that sent.
    pub(super) sender: usize,
    pub(super) how: Close,
}

/// Whether both directions have ended.
pub(super) fn is_over(pair: &Pair) -> bool {
    pair.flows.iter().all(|flow| flow.closed.is_some())
}

impl Sockets {
    pub(super) fn end_flow(&mut self, closed: Closed, context: &mut Context<'_, '_>) {
        let Closed { pair, sender, how } = closed;
        let Some(known) = self.pairs.get_mut(&pair) else { return };
        let Some(flow) = known.flows.get_mut(sender).filter(|flow| flow.closed.is_none()) else { return };
        flow.closed = Some(how);
        if let Some(open) = &known.open {
            context.sink.closed(open.no, direction(open.client, sender), how);
            return;
        }
        // Two ends that moved no bytes, and that nobody is known to have connected, are not reported.
        if known.ends.iter().all(Option::is_some) && self.was_connected(pair) {
            self.open(pair, sender, context);
        }
    }

    /// Ends the directions that have not ended yet, the client's first.
    pub(super) fn end_both(&mut self, pair: PairNo, how: Close, context: &mut Context<'_, '_>) {
        let open = self.pairs.get(&pair).and_then(|pair| pair.open.as_ref());
        let client = open.map_or(0, |open| open.client);
        for sender in [client, 1 - client] {
            self.end_flow(Closed { pair, sender, how }, context);
        }
    }

    fn was_connected(&self, pair: PairNo) -> bool {
        let ends = self.pairs.get(&pair).into_iter().flat_map(|pair| pair.ends.iter().flatten());
        ends.filter_map(|no| self.sockets.get(no)?.role).any(|role| matches!(role, Role::Connected | Role::Accepted))
    }

    /// No known descriptor leads to this socket any more.
    pub(in super::super) fn closed(&mut self, no: SocketNo, context: &mut Context<'_, '_>) {
        self.names.connecting.retain(|(_, of)| *of != no);
        let line = self.line;
        let Some(socket) = self.sockets.get_mut(&no) else { return };
        socket.released = Some(line);
        if socket.pair.is_none() {
            self.forget(no);
            return;
        }
        let time = context.sink.time;
        self.closing.push_back(Closing { due: line + CLOSING_LINES, socket: no, time, line });
    }

    pub(super) fn close_next(&mut self, context: &mut Context<'_, '_>) {
        let Some(closing) = self.closing.pop_front() else { return };
        let Some(socket) = self.sockets.get(&closing.socket) else { return };
        // It was used since then.
        if socket.last > closing.line {
            return;
        }
        let Some((pair, end)) = socket.pair else { return };
        let now = std::mem::replace(&mut context.sink.time, closing.time);
        self.end_flow(Closed { pair, sender: end, how: Close::Fin }, context);
        let peer = self.pairs.get(&pair).and_then(|pair| pair.ends.get(1 - end).copied().flatten());
        // Nothing more comes from an end that is not in the log.
        if !peer.and_then(|peer| self.sockets.get(&peer)).is_some_and(|peer| peer.is_seen) {
            self.end_flow(Closed { pair, sender: 1 - end, how: Close::Fin }, context);
        }
        context.sink.time = now;
        if self.pairs.get(&pair).is_none_or(is_over) {
            self.forget_pair(pair);
        }
    }

    /// The name of this socket belongs to another one from now on.
    pub(super) fn retire(&mut self, no: SocketNo, context: &mut Context<'_, '_>) {
        let Some(socket) = self.sockets.get(&no) else { return };
        match socket.pair {
            Some((pair, _)) => {
                self.end_both(pair, Close::Timeout, context);
                self.forget_pair(pair);
            }
            None => self.forget(no),
        }
    }

    /// The logs have ended.
    pub(in super::super) fn finish(&mut self, context: &mut Context<'_, '_>) {
        while !self.closing.is_empty() {
            self.close_next(context);
        }
        let mut pairs: Vec<_> =
            self.pairs.iter().filter_map(|(no, pair)| Some((pair.open.as_ref()?.no, *no))).collect();
        pairs.sort_unstable();
        for (_, pair) in pairs {
            self.end_both(pair, Close::EndOfCapture, context);
        }
        *self = Self::default();
    }
}
