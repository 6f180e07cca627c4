//! Hands on the bytes that calls moved.

use std::ops::Range;

use super::close::Closed;
use super::pair::{MAX_RECENT_BYTES, Pair, PairNo};
use super::socket::SocketNo;
use super::table::{Context, Sockets};
use crate::connection::Close;
use crate::streams::strace::args::Piece;
use crate::{Direction, GapCause};

/// Descriptors of one direction that were sent and not received: as many as one message may carry (`SCM_MAX_FD`).
const MAX_RIGHTS: usize = 253;

/// Whether a call took bytes from a socket or gave bytes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum TransferKind {
    Write,
    Read,
}

impl TransferKind {
    /// The end that sends the bytes which a call at `end` moves.
    pub(super) const fn sender(self, end: usize) -> usize {
        match self {
            Self::Write => end,
            Self::Read => 1 - end,
        }
    }
}

/// What a call moved.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Transfer<'a> {
    pub(in super::super) kind: TransferKind,
    /// In the buffer of the events, from `start` on; nothing is after them.
    pub(in super::super) pieces: &'a [Piece],
    pub(in super::super) start: usize,
}

/// Bytes that were counted.
struct Counted {
    pair: PairNo,
    sender: usize,
    /// How many of them had been handed on before.
    known: u64,
}

impl Sockets {
    /// A call that writes has begun.
    pub(in super::super) fn begins_to_write(&mut self, no: SocketNo) {
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.writing = socket.writing.saturating_add(1);
        }
    }

    /// A call that writes has returned, or never will.
    pub(in super::super) fn ends_to_write(&mut self, no: SocketNo) {
        if let Some(socket) = self.sockets.get_mut(&no) {
            socket.writing = socket.writing.saturating_sub(1);
        }
    }

    /// A call moved bytes.
    pub(in super::super) fn moved(&mut self, no: SocketNo, transfer: &Transfer<'_>, context: &mut Context<'_, '_>) {
        let Transfer { kind, pieces, start } = *transfer;
        let count: u64 = pieces.iter().map(|piece| piece.bytes.len() as u64 + piece.missing).sum();
        self.align(no, transfer, context);
        let counted = self.count(no, kind, count, context).filter(|counted| counted.known < count);
        let Some(Counted { pair, sender, known }) = counted else {
            context.sink.events.bytes.truncate(start);
            return;
        };
        let Some((stream, direction)) = self.open(pair, sender, context) else { return };
        let mut skip = known;
        for piece in pieces {
            let bytes = without_first(&piece.bytes, &mut skip);
            let missing = piece.missing - skip.min(piece.missing);
            skip -= skip.min(piece.missing);
            self.keep(pair, sender, context.sink.events.bytes.get(bytes.clone()).unwrap_or_default(), missing);
            context.sink.data(stream, direction, bytes);
            context.sink.gap(stream, direction, Some(missing), GapCause::Snapped);
        }
    }

    /// A call moved bytes, but it is not even known how many.
    pub(in super::super) fn moved_unknown(&mut self, no: SocketNo, kind: TransferKind, context: &mut Context<'_, '_>) {
        // They may have been handed on when the other end moved them.
        if let Some(Counted { pair, sender, .. }) = self.count(no, kind, 0, context)
            && self.pairs.get(&pair).and_then(|pair| pair.flows.get(sender)).is_some_and(|flow| match kind {
                TransferKind::Write => flow.written >= flow.read,
                TransferKind::Read => flow.read >= flow.written,
            })
            && let Some((stream, direction)) = self.open(pair, sender, context)
        {
            context.sink.gap(stream, direction, None, GapCause::Lost);
        }
    }

    /// Whether the log of this line also shows the other end of a connection.
    fn is_in_this_log(&self, other: Option<SocketNo>, context: &Context<'_, '_>) -> bool {
        let other = other.and_then(|other| self.sockets.get(&other)).filter(|other| other.is_seen);
        other.map_or(!self.has_several_logs, |other| other.session == context.source.session)
    }

    /// Finds the position of an end whose beginning is not in its log, where several logs are read.
    fn align(&mut self, no: SocketNo, transfer: &Transfer<'_>, context: &Context<'_, '_>) {
        if !self.has_several_logs {
            return;
        }
        let Some((pair, end)) = self.pair_of(no) else { return };
        let is_whole = self.sockets.get(&no).is_some_and(|socket| socket.is_whole());
        let other = self.pairs.get(&pair).and_then(|pair| pair.ends.get(1 - end).copied().flatten());
        let is_in_order = self.is_in_this_log(other, context);
        let sender = transfer.kind.sender(end);
        let Some(flow) = self.pairs.get_mut(&pair).and_then(|pair| pair.flows.get_mut(sender)) else { return };
        let first = transfer.pieces.first().map(|piece| piece.bytes.clone()).unwrap_or_default();
        let bytes = context.sink.events.bytes.get(first).unwrap_or_default();
        match (is_whole, is_in_order) {
            (true, _) => flow.is_counted_from_start(transfer.kind),
            (false, true) => flow.align(transfer.kind, &[]),
            (false, false) => flow.align(transfer.kind, bytes),
        }
    }

    /// Keeps bytes to align the other end by.
    fn keep(&mut self, pair: PairNo, sender: usize, bytes: &[u8], missing: u64) {
        if !self.has_several_logs {
            return;
        }
        let may_grow = self.recent_bytes < MAX_RECENT_BYTES;
        let Some(flow) = self.pairs.get_mut(&pair).and_then(|pair| pair.flows.get_mut(sender)) else { return };
        let mut grown = flow.keep(bytes, may_grow);
        if missing > 0 {
            grown += flow.keep_none();
        }
        self.recent_bytes = self.recent_bytes.saturating_add_signed(grown);
    }

    /// Counts bytes.
    fn count(
        &mut self,
        no: SocketNo,
        kind: TransferKind,
        count: u64,
        context: &mut Context<'_, '_>,
    ) -> Option<Counted> {
        let (mut pair, mut end) = self.pair_of(no)?;
        if self.is_beyond_end(pair, kind.sender(end), kind, count) {
            // It seemed to be closed, but continues.
            self.end_both(pair, Close::Timeout, context);
            self.reopen(pair);
            (pair, end) = self.pair_of(no)?;
        }
        let sender = kind.sender(end);
        let ends = self.pairs.get(&pair)?.ends;
        let is_whole = ends.iter().flatten().any(|no| self.sockets.get(no).is_some_and(|socket| socket.is_whole()));
        let writer = ends.get(sender).copied().flatten();
        let is_writing = writer.and_then(|no| self.sockets.get(&no)).is_some_and(|writer| writer.writing > 0);
        let is_in_this_log = self.is_in_this_log(writer, context);
        let flow = self.pairs.get_mut(&pair)?.flows.get_mut(sender)?;
        let before = flow.handed_on();
        let counter = if kind == TransferKind::Write { &mut flow.written } else { &mut flow.read };
        let known = before - *counter;
        *counter = counter.saturating_add(count);
        // These bytes were read, but not written since the log began, and nobody is writing now: they were written
        // before. What will be written comes after them.
        let is_in_order = context.source.by_return && is_in_this_log;
        if kind == TransferKind::Read && !is_whole && !is_writing && is_in_order {
            flow.written = flow.written.max(flow.read);
        }
        Some(Counted { pair, sender, known: known.min(count) })
    }

    /// Whether these bytes cannot belong to a direction since that has ended before them. What was handed on before its
    /// end may still be seen at the other end.
    fn is_beyond_end(&self, pair: PairNo, sender: usize, kind: TransferKind, count: u64) -> bool {
        let flow = self.pairs.get(&pair).and_then(|pair| pair.flows.get(sender));
        let Some(flow) = flow.filter(|flow| flow.closed.is_some()) else { return false };
        match kind {
            TransferKind::Write => flow.written.saturating_add(count.max(1)) > flow.read,
            TransferKind::Read => flow.read.saturating_add(count.max(1)) > flow.written,
        }
    }

    /// The ends of this pair continue as another connection.
    fn reopen(&mut self, pair: PairNo) {
        let Some(old) = self.pairs.remove(&pair) else { return };
        self.recent_bytes -= old.recent_bytes();
        self.made += 1;
        let no = PairNo(self.made);
        for (end, socket) in old.ends.iter().enumerate() {
            if let Some(socket) = socket.and_then(|socket| self.sockets.get_mut(&socket)) {
                socket.pair = Some((no, end));
                socket.is_born = false;
            }
        }
        self.pairs.insert(no, Pair { ends: old.ends, ..Pair::default() });
    }

    /// A socket was sent over another one.
    pub(in super::super) fn sent_socket(&mut self, by: SocketNo, socket: SocketNo) {
        if let Some((pair, end)) = self.pair_of(by)
            && let Some(flow) = self.pairs.get_mut(&pair).and_then(|pair| pair.flows.get_mut(end))
            && flow.rights.len() < MAX_RIGHTS
        {
            flow.rights.push_back(socket);
        }
    }

    /// The next socket that was sent over this one.
    pub(in super::super) fn received_socket(&mut self, by: SocketNo) -> Option<SocketNo> {
        let (pair, end) = self.pair_of(by)?;
        self.pairs.get_mut(&pair)?.flows.get_mut(1 - end)?.rights.pop_front()
    }

    /// A direction has ended, as a call at this end shows.
    pub(in super::super) fn ended(
        &mut self,
        no: SocketNo,
        kind: TransferKind,
        how: Close,
        context: &mut Context<'_, '_>,
    ) {
        let Some((pair, end)) = self.sockets.get(&no).and_then(|socket| socket.pair) else { return };
        self.end_flow(Closed { pair, sender: kind.sender(end), how }, context);
    }
}

/// The direction of what `sender` sends.
pub(super) fn direction(client: usize, sender: usize) -> Direction {
    if client == sender { Direction::ToServer } else { Direction::ToClient }
}

/// What is left of `bytes` after the first `skip` ones.
fn without_first(bytes: &Range<usize>, skip: &mut u64) -> Range<usize> {
    let skipped = (*skip).min(bytes.len() as u64);
    *skip -= skipped;
    bytes.start + skipped as usize..bytes.end
}
