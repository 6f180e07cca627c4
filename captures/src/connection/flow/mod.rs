//! One direction of a connection: puts its segments in order.
//!
//! Here is the way of a segment. What acknowledgments say is in `acknowledgment`, how a flow begins in `beginning`, how holes
//! are given up in `missing`, and which segments do not belong to it in `stray`.

mod acknowledgment;
mod beginning;
mod missing;
mod stray;

use super::consumer::Consumer;
use super::delivery::Delivery;
use super::facts::Close;
use super::hole::{AckMark, CONTROL_REACH, PLAUSIBLE, Waiting};
use super::out_of_order::{Next, Origin};
use super::received::Received;
use super::start::FlowStart;
use super::trigger::Trigger;
use crate::budget::Held;
use crate::{Data, GapCause, Packet, TcpFlags, Timestamp};

/// The position that a flow's first packet gets, so that nothing lies below zero.
const ORIGIN: u64 = 1 << 40;

/// One direction of a connection. A *position* counts bytes as sequence numbers do, but never wraps.
#[derive(Debug)]
pub(super) struct Flow {
    /// The sequence number of `next`.
    seq: u32,
    stage: Stage,
    /// Whether its SYN was seen.
    syn: bool,
    /// Whether a SYN of the other side was seen: then all of it was sent while the capture ran.
    peer_syn_seen: bool,
    /// The position of its first byte.
    base: u64,
    /// The position of the next byte to be handed on.
    next: u64,
    /// The position after everything that was seen.
    high: u64,
    /// The highest position that was acknowledged and believed.
    acked: u64,
    /// An acknowledged position beyond everything that was seen, which does not count yet. 0: none.
    unconfirmed_ack: u64,
    /// Holes before this position were not recorded by the recorder that wrote the capture. 0: nothing is known of any.
    dropped: u64,
    /// The latest time since the last gap.
    time: Timestamp,
    /// How many segments in a row did not fit, and with which sequence number they continue.
    strays: Option<(u8, u32)>,
    repeats: Option<Box<Repeats>>,
    /// What is known of its beginning while it is joining.
    beginning: Option<Box<FlowStart>>,
    wait: Option<Box<Waiting>>,
}

/// What the sender of a segment acknowledges of the other flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderAck {
    /// How many bytes it covers, where that is known.
    pub(super) covered: Option<u64>,
    pub(super) age: AckAge,
}

/// How an acknowledgment compares with earlier ones of the same sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckAge {
    /// There is none, or it cannot be compared.
    Unknown,
    /// It acknowledges less than its sender has acknowledged before. No sender goes back: the packet was late, or is a
    /// copy.
    Outdated,
    /// It acknowledges at least as much.
    Current,
}

/// The part of a flow that was seen, as sequence numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// Of its first byte.
    first: u32,
    /// Behind its last byte.
    end: u32,
    has_syn: bool,
}

impl Range {
    /// Whether a SYN with this number can be the one that began the flow.
    pub(super) const fn begins_after(self, isn: u32) -> bool {
        let before = self.first.wrapping_sub(isn.wrapping_add(1));
        before == 0 || !self.has_syn && before as u64 <= CONTROL_REACH
    }

    /// Whether the flow holds all bytes of a segment. (One byte more on both sides: keep-alives, and the FIN.)
    pub(super) const fn contains(self, seq: u32, sent: u32) -> bool {
        let from = seq.wrapping_sub(self.first).wrapping_add(1);
        from as u64 + sent as u64 <= self.end.wrapping_sub(self.first) as u64 + 2
    }
}

/// Bytes that came more than once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repeats {
    /// The position after the last one that was counted.
    end: u64,
    /// How many different bytes came again.
    pub(super) bytes: u64,
    /// How many segments brought some of them for the first time.
    pub(super) segments: u64,
}

impl Repeats {
    fn add(&mut self, start: u64, end: u64) {
        if end > self.end {
            self.bytes += end - start.max(self.end);
            self.segments += 1;
            self.end = end;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing of it was seen, or not enough to know where it begins.
    Joining,
    Open,
    Closed,
}

impl Flow {
    pub(super) const fn new() -> Self {
        Self {
            seq: 0,
            stage: Stage::Joining,
            syn: false,
            peer_syn_seen: false,
            base: ORIGIN,
            next: ORIGIN,
            high: ORIGIN,
            acked: 0,
            unconfirmed_ack: 0,
            dropped: 0,
            time: Timestamp::from_nanos(i64::MIN),
            strays: None,
            repeats: None,
            beginning: None,
            wait: None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    pub(super) fn is_joining(&self) -> bool {
        self.stage == Stage::Joining
    }

    pub(super) const fn has_syn(&self) -> bool {
        self.syn
    }

    /// The other side's SYN was seen.
    pub(super) const fn set_peer_syn_seen(&mut self) {
        self.peer_syn_seen = true;
    }

    /// Whether any byte of it was acknowledged.
    pub(super) const fn is_acked(&self) -> bool {
        self.acked > self.base
    }

    /// What waits after holes.
    pub(super) fn held(&self) -> Held {
        let Some(wait) = &self.wait else { return Held::NOTHING };
        let since = wait.segments.oldest().map_or(0, |origin| origin.order);
        Held { bytes: wait.segments.cost(), since }
    }

    /// The part of the flow that was seen.
    pub(super) const fn range(&self) -> Range {
        let first = self.seq.wrapping_sub((self.next - self.base) as u32);
        let end = self.seq.wrapping_add((self.high.saturating_sub(self.next)) as u32);
        Range { first, end, has_syn: self.syn }
    }

    /// Bytes that came again though they had been delivered or were waiting.
    pub(super) fn repeats(&self) -> Repeats {
        self.repeats.as_deref().copied().unwrap_or_default()
    }

    /// The position of a sequence number: the one that is nearest to what is expected.
    fn position(&self, seq: u32) -> u64 {
        self.next.wrapping_add_signed(i64::from(seq.wrapping_sub(self.seq) as i32))
    }

    /// Takes a segment that brings exactly what is expected, if nothing waits. False: it is not such a segment.
    #[inline]
    pub(super) fn deliver_in_order<T: Consumer>(
        &mut self,
        received: &Received<'_>,
        acked: Option<u64>,
        delivery: &mut Delivery<'_, T>,
    ) -> bool {
        let Received { packet, time, segment, .. } = *received;
        let is_quiet = self.wait.is_none() && self.strays.is_none();
        let is_expected = segment.seq == self.seq && self.stage == Stage::Open && segment.cut == 0 && is_quiet;
        if !is_expected {
            return false;
        }
        let at = received.payload_at();
        self.deliver(Data { bytes: segment.payload, packet, time, at, offset: 0, acked }, delivery);
        self.high = self.next;
        if self.unconfirmed_ack != 0 && self.unconfirmed_ack <= self.high {
            self.acked = self.acked.max(std::mem::take(&mut self.unconfirmed_ack));
        }
        true
    }

    /// Delivers the bytes that are expected; `time` is their packet's own, and `offset` is computed here.
    fn deliver<T: Consumer>(&mut self, data: Data<'_>, delivery: &mut Delivery<'_, T>) {
        let offset = self.next - self.base;
        self.time = self.time.max(data.time);
        self.seq = self.seq.wrapping_add(data.bytes.len() as u32);
        self.next += data.bytes.len() as u64;
        delivery.data(Data { time: self.time, offset, ..data });
    }

    /// Takes any segment but its SYN, which [`syn`](Self::syn) takes, and its RST.
    pub(super) fn reassemble<T: Consumer>(
        &mut self,
        received: &Received<'_>,
        ack: SenderAck,
        delivery: &mut Delivery<'_, T>,
    ) {
        let Received { packet, time, segment, .. } = *received;
        let has_syn = segment.flags.has(TcpFlags::SYN);
        let seq = segment.seq.wrapping_add(u32::from(has_syn));
        let sent = u64::from(segment.sent_len());
        let mut has_fin = segment.flags.has(TcpFlags::FIN);
        if self.stage == Stage::Joining {
            self.note_sequence_number(seq, packet.order, sent == 0 && !has_fin);
        }
        if sent == 0 && !has_fin {
            return;
        }
        let mut start = self.position(seq);
        let expected = self.high.max(self.next);
        if has_fin && (start + sent).abs_diff(expected) > CONTROL_REACH {
            delivery.faults().implausible += 1;
            has_fin = false;
        }
        let is_behind = start + CONTROL_REACH < self.next;
        if is_behind && self.is_late_copy(start, sent, ack.age) {
            return self.count_copy(start, start + sent, delivery);
        }
        if self.stage != Stage::Joining && (is_behind || start > expected + PLAUSIBLE) {
            if !self.has_moved(seq, sent as u32) {
                delivery.faults().implausible += 1;
                return;
            }
            self.resynchronise(seq, packet, time, delivery);
            start = self.next;
        } else if sent > 0 {
            self.strays = None;
        }
        if sent == 0 && !has_fin {
            return;
        }
        if self.is_keep_alive(start, seq, sent, has_fin, packet.order) {
            return;
        }
        let is_seen = sent > 0 && start >= self.base && start + sent <= self.high;
        if self.stage == Stage::Closed {
            delivery.flow().retransmitted += 1;
            if is_seen && ack.age == AckAge::Outdated {
                delivery.faults().copies += 1;
            }
            if is_seen {
                self.repeats.get_or_insert_default().add(start, start + sent);
            }
            return;
        }
        let wait = self.wait.get_or_insert_default();
        wait.count += 1;
        let origin = Origin { order: packet.order, no: packet.no, time, count: wait.count, acked: ack.covered };
        let trigger = Trigger::Packet(packet, time);
        if self.stage == Stage::Joining
            && let Some(join) = &mut self.beginning
        {
            join.lowest = Some(join.lowest.map_or(start, |lowest| lowest.min(start)));
        }
        self.payload(start, received, origin, delivery);
        if is_seen && ack.age == AckAge::Outdated {
            delivery.faults().copies += 1;
        }
        if has_fin {
            self.fin(start + sent, origin, delivery);
        }
        self.confirm_ack(AckMark { position: 0, order: packet.order, no: packet.no, time });
        self.open_if_overdue(packet.order);
        self.deliver_ready(trigger, delivery);
        self.skip_holes_over_limit(trigger, delivery);
        self.drop_idle_state();
    }

    /// Puts the payload where it belongs; whatever of it was seen before stays as it was.
    fn payload<T: Consumer>(
        &mut self,
        start: u64,
        received: &Received<'_>,
        origin: Origin,
        delivery: &mut Delivery<'_, T>,
    ) {
        let Received { packet, time, segment, .. } = *received;
        let (at, trigger) = (received.payload_at(), Trigger::Packet(packet, time));
        let is_open = self.stage == Stage::Open;
        let Some(wait) = &mut self.wait else { return };
        let floor = if is_open { self.next } else { 0 };
        let limit = wait.fin.map_or(u64::MAX, |(fin, _)| fin);
        let end = (start + segment.payload.len() as u64).min(limit);
        let sent_end = (start + u64::from(segment.sent_len())).min(limit);
        let (overlaps, differs) = wait.segments.compare(start, segment.payload);
        if let Some(differs) = differs {
            delivery.differs(differs.saturating_sub(self.base), origin.no);
        }
        let was_seen = overlaps || start < floor.min(end);
        let (mut from, mut brings) = (start.max(floor), false);
        let high = self.high;
        while let Some((piece, stop)) = self.wait.as_ref().and_then(|wait| wait.segments.uncovered(from, end)) {
            brings = true;
            let skipped = piece - start;
            let bytes = segment.payload.get(skipped as usize..(stop - start) as usize).unwrap_or_default();
            if is_open && piece == self.next {
                let at = at.plus(skipped);
                self.deliver(Data { bytes, packet, time, at, offset: 0, acked: origin.acked }, delivery);
                self.high = self.high.max(self.next);
                self.deliver_ready(trigger, delivery);
                from = stop.max(self.next);
            } else {
                if let Some(wait) = &mut self.wait {
                    wait.segments.insert(piece, bytes, origin, at.plus(skipped));
                }
                from = stop;
            }
        }
        self.high = self.high.max(sent_end);
        if let Some(wait) = &mut self.wait {
            if sent_end > end.max(self.next) || !is_open && sent_end > end {
                wait.segments.insert_cut(if is_open { end.max(self.next) } else { end }, sent_end, origin);
            }
            if brings && is_open && self.next > floor {
                wait.progress = wait.count;
            }
        }
        if was_seen && !brings && is_open {
            self.repeats.get_or_insert_default().add(start, sent_end);
        }
        let facts = delivery.flow();
        facts.retransmitted += u64::from(was_seen);
        facts.reordered += u64::from(brings && start.max(floor) < high);
    }

    fn fin<T: Consumer>(&mut self, at: u64, origin: Origin, delivery: &mut Delivery<'_, T>) {
        let Some(wait) = &mut self.wait else { return };
        let is_new = wait.fin.is_none();
        // Bytes after it that were seen first speak against it.
        if is_new && at >= self.high {
            wait.fin = Some((at, origin));
            self.high = self.high.max(at);
        } else if wait.fin.is_none_or(|(fin, _)| fin != at) {
            delivery.faults().implausible += 1;
        }
    }

    /// Hands on whatever lies at the expected place.
    fn deliver_ready<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) {
        while self.stage == Stage::Open && self.deliver_next(trigger, delivery) {}
    }

    /// Hands on one thing that lies at the expected place.
    fn deliver_next<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) -> bool {
        let Some(wait) = &mut self.wait else { return false };
        match wait.segments.take(self.next) {
            Some(Next::Piece(piece)) => {
                let (packet, _) = trigger.attribute(piece.origin.no, piece.origin.time);
                let Origin { time, acked, .. } = piece.origin;
                self.deliver(Data { bytes: &piece.bytes, packet, time, at: piece.at, offset: 0, acked }, delivery);
            }
            Some(Next::Cut(end, origin)) => {
                self.deliver_gap(end, GapCause::Snapped, trigger.attribute(origin.no, origin.time), delivery);
            }
            None => return false,
        }
        true
    }

    /// When something is to be done though no packet of the connection comes.
    pub(super) fn due(&self) -> Option<u64> {
        match self.stage {
            Stage::Joining => self.beginning.as_ref().and_then(|join| join.due()),
            Stage::Open => self.wait.as_ref().and_then(|wait| wait.due()),
            Stage::Closed => None,
        }
    }

    /// The order of what can be delivered next without giving up anything.
    pub(super) fn ready(&self) -> Option<u64> {
        let wait = self.wait.as_ref().filter(|_| self.stage == Stage::Open)?;
        wait.segments.ready(self.next)
    }

    /// Delivers one thing that is ready.
    pub(super) fn deliver_next_ready<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) {
        self.deliver_next(trigger, delivery);
        self.drop_idle_state();
    }

    /// Its FIN, when everything before it has been handed on.
    pub(super) fn reached_fin(&self) -> Option<Origin> {
        let (fin, origin) = self.wait.as_ref().filter(|_| self.stage == Stage::Open)?.fin?;
        (fin <= self.next).then_some(origin)
    }

    /// The latest time of what was handed on since the last gap.
    pub(super) const fn time(&self) -> Timestamp {
        self.time
    }

    pub(super) fn close<T: Consumer>(&mut self, how: Close, said: (Packet, Timestamp), delivery: &mut Delivery<'_, T>) {
        if self.stage == Stage::Closed {
            return;
        }
        self.stage = Stage::Closed;
        (self.wait, self.beginning) = (None, None);
        delivery.closed(how, said);
    }

    /// Gives back what is no longer needed.
    fn drop_idle_state(&mut self) {
        if self.stage != Stage::Open {
            return;
        }
        if self.unconfirmed_ack != 0 && self.unconfirmed_ack <= self.high {
            self.unconfirmed_ack = 0;
        }
        let Some(wait) = &mut self.wait else { return };
        wait.forget_before(self.next);
        if wait.is_idle() {
            self.wait = None;
        }
    }
}
