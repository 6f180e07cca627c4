//! One direction of a connection: puts its segments in order.

use super::consumer::Consumer;
use super::delivery::Delivery;
use super::facts::Close;
use super::hole::{AckMark, CONTROL_REACH, FLOW_COST, PLAUSIBLE, STRAYS, Waiting};
use super::out_of_order::{Next, Origin};
use super::received::Received;
use super::start::{FlowStart, JOIN_PACKETS, TOGETHER_PACKETS};
use super::trigger::Trigger;
use crate::budget::Held;
use crate::{Data, GapCause, Packet, Segment, TcpFlags, Timestamp};

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

    /// How many bytes of the flow an acknowledgment number covers; `None` while it is not known where the flow begins.
    pub(super) fn covered(&self, ack: u32) -> Option<u64> {
        // The FIN has a sequence number, but is not a byte.
        let end = match self.stage {
            Stage::Joining => return None,
            Stage::Open => self.wait.as_ref().and_then(|wait| wait.fin).map_or(u64::MAX, |(fin, _)| fin),
            Stage::Closed => self.next,
        };
        Some(self.position(ack).min(end).saturating_sub(self.base))
    }

    /// Compares an acknowledgment number of the other side with what it has acknowledged before.
    pub(super) fn ack_age(&self, ack: u32) -> AckAge {
        let position = self.position(ack);
        match self.stage {
            Stage::Joining => AckAge::Unknown,
            _ if position < self.base || position > self.high + 1 => AckAge::Unknown,
            _ if position < self.acked => AckAge::Outdated,
            _ => AckAge::Current,
        }
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

    /// Whether a segment far behind the expected place is a copy of one that was seen, and not a stray: its bytes were
    /// seen, and its sender acknowledges what it had received at that time.
    fn is_late_copy(&self, start: u64, sent: u64, ack: AckAge) -> bool {
        self.stage != Stage::Joining && ack != AckAge::Unknown && start >= self.base && start + sent <= self.high
    }

    fn count_copy<T: Consumer>(&mut self, start: u64, end: u64, delivery: &mut Delivery<'_, T>) {
        delivery.flow().retransmitted += 1;
        delivery.faults().copies += 1;
        self.repeats.get_or_insert_default().add(start, end);
    }

    /// Whether a segment that does not fit is one more of a row that shows that the flow is elsewhere.
    fn has_moved(&mut self, seq: u32, sent: u32) -> bool {
        let count = match self.strays {
            Some((count, next)) if next == seq => count + 1,
            _ => 1,
        };
        self.strays = Some((count, seq.wrapping_add(sent)));
        count >= STRAYS && self.stage == Stage::Open
    }

    /// Delivers what waits, and continues at `seq`. How much is missing is unknown.
    fn resynchronise<T: Consumer>(
        &mut self,
        seq: u32,
        packet: Packet,
        time: Timestamp,
        delivery: &mut Delivery<'_, T>,
    ) {
        let trigger = Trigger::Packet(packet, time);
        while self.first_remaining().is_some() {
            self.deliver_remaining(trigger, delivery);
        }
        delivery.gap(self.next - self.base, None, GapCause::Lost, (packet, time));
        self.time = Timestamp::from_nanos(i64::MIN);
        (self.seq, self.high, self.acked, self.unconfirmed_ack) = (seq, self.next, self.next, 0);
        (self.strays, self.wait) = (None, None);
    }

    /// A flow that is not open learns a sequence number.
    fn note_sequence_number(&mut self, seq: u32, order: u64, is_empty: bool) {
        let join = self.beginning.get_or_insert_default();
        if join.since.is_none() {
            join.since = Some(order);
            self.seq = seq;
        }
        if is_empty {
            let at = self.next.wrapping_add_signed(i64::from(seq.wrapping_sub(self.seq) as i32));
            join.empty = Some(join.empty.map_or(at, |empty| empty.min(at)));
        }
    }

    /// A segment of one byte just before the expected place only asks whether the other side is there: its byte was
    /// sent before, and need not even be the same. (Those without a byte are dropped as all empty segments are.)
    fn is_keep_alive(&self, start: u64, seq: u32, sent: u64, has_fin: bool, order: u64) -> bool {
        if sent != 1 || has_fin {
            return false;
        }
        match self.stage {
            Stage::Joining => self.beginning.as_ref().is_some_and(|join| join.was_acked(seq.wrapping_add(1), order)),
            _ => {
                let is_held = self.wait.as_ref().is_some_and(|wait| wait.segments.covers(start));
                start + 1 == self.high && (start < self.next || is_held) || start < self.base
            }
        }
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

    /// Everything up to `end` is missing.
    fn deliver_gap<T: Consumer>(
        &mut self,
        end: u64,
        cause: GapCause,
        said: (Packet, Timestamp),
        delivery: &mut Delivery<'_, T>,
    ) {
        let length = end - self.next;
        let offset = self.next - self.base;
        let cause = if cause == GapCause::Lost && end <= self.dropped { GapCause::Dropped } else { cause };
        self.seq = self.seq.wrapping_add(length as u32);
        self.next = end;
        self.high = self.high.max(end);
        self.time = Timestamp::from_nanos(i64::MIN);
        delivery.gap(offset, Some(length), cause, said);
    }

    /// Gives up the hole at the expected place, up to the first thing after it, but not beyond `limit`.
    fn skip_hole<T: Consumer>(
        &mut self,
        limit: u64,
        mark: Option<AckMark>,
        trigger: Trigger,
        delivery: &mut Delivery<'_, T>,
    ) {
        let Some(wait) = &self.wait else { return };
        let behind = [wait.segments.first(), wait.fin].into_iter().flatten().min_by_key(|(at, _)| *at);
        let end = behind.map_or(limit, |(at, _)| at.min(limit));
        if end <= self.next {
            return;
        }
        let said = match (behind, mark) {
            (Some((_, origin)), _) => trigger.attribute(origin.no, origin.time),
            (None, Some(mark)) => trigger.attribute(mark.no, mark.time),
            (None, None) => return,
        };
        self.deliver_gap(end, GapCause::Lost, said, delivery);
    }

    /// Where nobody acknowledges anything, or too much waits, the first hole is given up.
    fn skip_holes_over_limit<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) {
        loop {
            let Some(wait) = &self.wait else { return };
            let is_too_much = wait.segments.cost() > FLOW_COST;
            if self.stage == Stage::Joining {
                if is_too_much {
                    self.open_at_lowest(trigger.order());
                    self.deliver_ready(trigger, delivery);
                    continue;
                }
                return;
            }
            if wait.segments.is_empty() || !is_too_much && !wait.is_unacknowledged_too_long() {
                return;
            }
            delivery.faults().overflowed += u64::from(is_too_much);
            self.skip_hole(u64::MAX, None, trigger, delivery);
            self.deliver_ready(trigger, delivery);
        }
    }

    /// Gives up the first hole, since too much waits in all flows together.
    pub(super) fn skip_first_hole<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) {
        delivery.faults().overflowed += 1;
        self.open_at_lowest(trigger.order());
        self.deliver_ready(trigger, delivery);
        self.skip_hole(u64::MAX, None, trigger, delivery);
        self.deliver_ready(trigger, delivery);
        self.drop_idle_state();
    }

    /// The `bytes` before a segment were not recorded, so there is nothing to wait for: if everything before them is
    /// there, they are a gap.
    pub(super) fn not_recorded<T: Consumer>(
        &mut self,
        received: &Received<'_>,
        bytes: u64,
        delivery: &mut Delivery<'_, T>,
    ) {
        let end = self.position(received.segment.seq);
        self.dropped = self.dropped.max(end);
        let is_next = self.stage == Stage::Open && end.checked_sub(bytes) == Some(self.next) && bytes > 0;
        let waits = self.wait.as_ref().and_then(|wait| wait.segments.first()).is_some_and(|(at, _)| at < end);
        if !is_next || waits || bytes > PLAUSIBLE {
            return;
        }
        let trigger = Trigger::Packet(received.packet, received.time);
        self.deliver_gap(end, GapCause::Dropped, (received.packet, received.time), delivery);
        self.deliver_ready(trigger, delivery);
        self.drop_idle_state();
    }

    /// The other side has acknowledged everything before `ack`. True: nothing waits.
    pub(super) fn ack(&mut self, ack: u32, packet: Packet, time: Timestamp) -> bool {
        let is_quiet = self.stage != Stage::Joining && self.wait.is_none();
        let ahead = ack.wrapping_sub(self.seq) as i32;
        if is_quiet && ahead <= 0 {
            self.acked = self.acked.max(self.next.wrapping_add_signed(i64::from(ahead)));
            return true;
        }
        match self.stage {
            Stage::Joining => {
                self.beginning.get_or_insert_default().ack(ack, packet, time);
                true
            }
            Stage::Closed => true,
            Stage::Open => {
                let mark = AckMark { position: self.position(ack), order: packet.order, no: packet.no, time };
                self.apply_ack(mark);
                false
            }
        }
    }

    fn apply_ack(&mut self, mut mark: AckMark) {
        if let Some((fin, _)) = self.wait.as_ref().and_then(|wait| wait.fin)
            && mark.position == fin + 1
        {
            mark.position = fin;
        }
        if mark.position > self.high + PLAUSIBLE {
            return;
        }
        if mark.position <= self.high {
            return self.accept_ack(mark);
        }
        // Beyond all data seen: it counts when it is repeated. One byte more than was seen may be a FIN.
        let unconfirmed_ack = self.unconfirmed_ack;
        self.unconfirmed_ack = unconfirmed_ack.max(mark.position);
        mark.position = mark.position.min(unconfirmed_ack);
        if mark.position > self.high + 1 {
            self.accept_ack(mark);
        }
    }

    /// A claim that data has followed beyond counts.
    fn confirm_ack(&mut self, mark: AckMark) {
        if self.unconfirmed_ack == 0 || self.high < self.unconfirmed_ack || self.stage != Stage::Open {
            return;
        }
        let position = std::mem::take(&mut self.unconfirmed_ack);
        self.accept_ack(AckMark { position, ..mark });
    }

    fn accept_ack(&mut self, mark: AckMark) {
        let is_news = mark.position > self.acked;
        self.acked = self.acked.max(mark.position);
        if mark.position > self.next {
            self.wait.get_or_insert_default().add_suspect(mark);
        }
        if let Some(wait) = &mut self.wait
            && (is_news || mark.position == self.next)
        {
            wait.note_ack_progress();
        }
    }

    /// Its SYN states where it begins. (Whether the SYN belongs to it, [`owns_syn`](Self::owns_syn) has said.)
    pub(super) fn syn<T: Consumer>(
        &mut self,
        isn: u32,
        packet: Packet,
        time: Timestamp,
        delivery: &mut Delivery<'_, T>,
    ) {
        if self.syn {
            return;
        }
        let first = isn.wrapping_add(1);
        match self.stage {
            Stage::Joining => {
                let base = match self.beginning.as_ref().and_then(|join| join.since) {
                    Some(_) => self.position(first),
                    None => {
                        self.seq = first;
                        self.next
                    }
                };
                self.syn = true;
                delivery.flow().joined = false;
                self.open_at(base, packet.order);
                self.deliver_ready(Trigger::Packet(packet, time), delivery);
                self.drop_idle_state();
            }
            Stage::Open | Stage::Closed => {
                self.syn = true;
                delivery.flow().joined = self.position(first) != self.base;
            }
        }
    }

    /// Whether a SYN with this number can be the one that began this flow.
    pub(super) fn owns_syn(&self, isn: u32) -> bool {
        let first = isn.wrapping_add(1);
        if self.syn {
            return self.seq.wrapping_sub((self.next - self.base) as u32) == first;
        }
        let lowest = match &self.beginning {
            None if self.stage == Stage::Joining => return true,
            None => self.base,
            Some(join) if join.since.is_some() => {
                // A keep-alive may state the number of the SYN itself.
                let empty = join.empty.map(|empty| empty + u64::from(self.position(isn) == empty));
                match [join.lowest, empty].into_iter().flatten().min() {
                    Some(lowest) => lowest,
                    None => return true,
                }
            }
            Some(join) => {
                return join.acks.is_none_or(|acks| u64::from(acks.low.wrapping_sub(first)) <= CONTROL_REACH);
            }
        };
        let first = self.position(first);
        first <= lowest && lowest - first <= CONTROL_REACH
    }

    /// Whether an RST or FIN with this number can be meant for this flow.
    pub(super) fn is_near(&self, seq: u32) -> bool {
        match self.stage {
            Stage::Joining => true,
            _ => self.position(seq).abs_diff(self.next) <= CONTROL_REACH,
        }
    }

    /// Whether a segment brings bytes that lie beyond everything of this flow, or nowhere near it.
    pub(super) fn is_new_data(&self, segment: &Segment<'_>) -> bool {
        self.stage != Stage::Joining && !self.range().contains(segment.seq, segment.sent_len()) && {
            let start = self.position(segment.seq);
            start + u64::from(segment.sent_len()) > self.high || start + CONTROL_REACH < self.next
        }
    }

    /// When something is to be done though no packet of the connection comes.
    pub(super) fn due(&self) -> Option<u64> {
        match self.stage {
            Stage::Joining => self.beginning.as_ref().and_then(|join| join.due()),
            Stage::Open => self.wait.as_ref().and_then(|wait| wait.due()),
            Stage::Closed => None,
        }
    }

    /// Whether it waits for its beginning, and has done so for long enough to be opened at `order` with the other flow.
    pub(super) fn can_open(&self, order: u64) -> bool {
        let since = self.beginning.as_ref().filter(|join| join.lowest.is_some()).and_then(|join| join.since);
        self.stage == Stage::Joining && since.is_some_and(|since| since + TOGETHER_PACKETS <= order)
    }

    /// Whether its waiting for its beginning is over at `order`.
    pub(super) fn must_open(&self, order: u64) -> bool {
        self.stage == Stage::Joining && self.due().is_some_and(|due| due <= order)
    }

    fn open_if_overdue(&mut self, order: u64) {
        let since = self.beginning.as_ref().and_then(|join| join.since);
        if self.stage == Stage::Joining && since.is_some_and(|since| since + JOIN_PACKETS <= order) {
            self.open_at_lowest(order);
        }
    }

    /// The flow begins with the lowest byte that was seen. Delivers nothing yet.
    pub(super) fn open_at_lowest(&mut self, order: u64) {
        if self.stage != Stage::Joining {
            return;
        }
        let Some(join) = &self.beginning else { return };
        let acked = join.acks.filter(|_| self.peer_syn_seen).map(|acks| self.position(acks.low));
        if let Some(base) = join.base(acked) {
            self.open_at(base, order);
        }
    }

    fn open_at(&mut self, base: u64, order: u64) {
        self.seq = self.seq.wrapping_add(base.wrapping_sub(self.next) as u32);
        (self.base, self.next, self.stage) = (base, base, Stage::Open);
        let mut high = base;
        if let Some(wait) = &mut self.wait {
            wait.segments.trim(base);
            high = high.max(wait.segments.end().unwrap_or(0)).max(wait.fin.map_or(0, |(fin, _)| fin));
        }
        self.high = high;
        // Only from here on is it known which holes there are for an acknowledgment to make suspect.
        if let Some(acks) = self.beginning.take().and_then(|join| join.acks) {
            self.apply_ack(AckMark { position: self.position(acks.high), order, no: acks.no, time: acks.time });
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

    /// Gives up the suspect holes that are due at `order`.
    pub(super) fn skip_suspect_holes<T: Consumer>(&mut self, order: u64, delivery: &mut Delivery<'_, T>) {
        let trigger = Trigger::Count(order);
        while let Some(mark) = self.wait.as_mut().and_then(|wait| wait.take_due(order)) {
            self.deliver_ready(trigger, delivery);
            while self.next < mark.position {
                let before = self.next;
                self.skip_hole(mark.position, Some(mark), trigger, delivery);
                self.deliver_ready(trigger, delivery);
                if self.next == before {
                    break;
                }
            }
        }
        self.drop_idle_state();
    }

    /// The order of what remains, whether ready or after a hole.
    pub(super) fn first_remaining(&self) -> Option<u64> {
        let wait = self.wait.as_ref().filter(|_| self.stage == Stage::Open)?;
        let held = wait.segments.first().map(|(_, origin)| origin.order);
        let fin = wait.fin.filter(|(fin, _)| *fin > self.next).map(|(_, origin)| origin.order);
        let mark = wait.last_mark().filter(|mark| wait.fin.is_none() && mark.position > self.next);
        held.or(fin).or(mark.map(|mark| mark.order))
    }

    /// Delivers the next thing that remains, and gives up what is missing before it.
    pub(super) fn deliver_remaining<T: Consumer>(&mut self, trigger: Trigger, delivery: &mut Delivery<'_, T>) {
        if !self.deliver_next(trigger, delivery) {
            let mark = self.wait.as_ref().and_then(|wait| wait.last_mark());
            let limit = match &self.wait {
                Some(wait) if wait.segments.is_empty() && wait.fin.is_none() => {
                    mark.map_or(self.next, |mark| mark.position)
                }
                _ => u64::MAX,
            };
            self.skip_hole(limit, mark, trigger, delivery);
        }
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
