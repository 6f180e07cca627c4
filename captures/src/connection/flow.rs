//! One direction of a connection: puts its segments in order.

use super::consumer::Consumer;
use super::delivery::Output;
use super::facts::Close;
use super::hole::{CONTROL_REACH, FLOW_COST, Mark, PLAUSIBLE, STRAYS, Wait};
use super::out_of_order::{Next, Origin};
use super::start::{JOIN_PACKETS, Join, TOGETHER_PACKETS};
use super::trigger::Trigger;
use crate::{Data, GapCause, Packet, Place, Segment, TcpFlags, Timestamp};

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
    is_whole: bool,
    /// The position of its first byte.
    base: u64,
    /// The position of the next byte to be handed on.
    next: u64,
    /// The position behind everything that was seen.
    high: u64,
    /// The highest position that was acknowledged and believed.
    acked: u64,
    /// An acknowledged position beyond everything that was seen, which does not count yet. 0: none.
    claim: u64,
    /// Holes before this position were not recorded by the recorder that wrote the capture. 0: nothing is known of any.
    dropped: u64,
    /// The latest time since the last gap.
    time: Timestamp,
    /// How many segments in a row did not fit, and with which sequence number they go on.
    strays: Option<(u8, u32)>,
    join: Option<Box<Join>>,
    wait: Option<Box<Wait>>,
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
            is_whole: false,
            base: ORIGIN,
            next: ORIGIN,
            high: ORIGIN,
            acked: 0,
            claim: 0,
            dropped: 0,
            time: Timestamp::from_nanos(i64::MIN),
            strays: None,
            join: None,
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
    pub(super) const fn peer_has_syn(&mut self) {
        self.is_whole = true;
    }

    /// Whether any byte of it was acknowledged.
    pub(super) const fn is_acked(&self) -> bool {
        self.acked > self.base
    }

    /// What waits, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.wait.as_ref().map_or(0, |wait| wait.held.cost())
    }

    /// The order of the packet since which something waits.
    pub(super) fn waits_since(&self) -> Option<u64> {
        self.wait.as_ref().and_then(|wait| wait.held.oldest()).map(|origin| origin.order)
    }

    /// The position of a sequence number: the one that is nearest to what is expected.
    fn position(&self, seq: u32) -> u64 {
        self.next.wrapping_add_signed(i64::from(seq.wrapping_sub(self.seq) as i32))
    }

    /// Takes a segment that brings exactly what is expected, where nothing waits. False: it is no such segment.
    pub(super) fn in_order<T: Consumer>(
        &mut self,
        packet: Packet,
        time: Timestamp,
        at: Place,
        segment: &Segment<'_>,
        acked: Option<u64>,
        output: &mut Output<'_, T>,
    ) -> bool {
        let is_quiet = self.wait.is_none() && self.strays.is_none();
        let is_plain = segment.seq == self.seq && self.stage == Stage::Open && segment.cut == 0 && is_quiet;
        if !is_plain {
            return false;
        }
        let at = at.plus(u64::from(segment.payload_at));
        self.hand_on(Data { bytes: segment.payload, packet, time, at, offset: 0, acked }, output);
        self.high = self.next;
        if self.claim != 0 && self.claim <= self.high {
            self.acked = self.acked.max(std::mem::take(&mut self.claim));
        }
        true
    }

    /// Hands on the bytes that are expected; `time` is their packet's own, and `offset` is found here.
    fn hand_on<T: Consumer>(&mut self, data: Data<'_>, output: &mut Output<'_, T>) {
        let offset = self.next - self.base;
        self.time = self.time.max(data.time);
        self.seq = self.seq.wrapping_add(data.bytes.len() as u32);
        self.next += data.bytes.len() as u64;
        output.data(Data { time: self.time, offset, ..data });
    }

    /// How much of the flow an acknowledgment number covers; none while it is not known where the flow begins.
    pub(super) fn covered(&self, ack: u32) -> Option<u64> {
        (self.stage != Stage::Joining).then(|| self.position(ack).saturating_sub(self.base))
    }

    /// Takes any segment but its SYN, which [`syn`](Self::syn) takes, and its RST.
    pub(super) fn segment<T: Consumer>(
        &mut self,
        packet: Packet,
        time: Timestamp,
        at: Place,
        segment: &Segment<'_>,
        acked: Option<u64>,
        output: &mut Output<'_, T>,
    ) {
        let has_syn = segment.flags.has(TcpFlags::SYN);
        let seq = segment.seq.wrapping_add(u32::from(has_syn));
        let sent = u64::from(segment.sent_len());
        let mut has_fin = segment.flags.has(TcpFlags::FIN);
        if self.stage == Stage::Joining {
            self.anchor(seq, packet.order, sent == 0 && !has_fin);
        }
        if sent == 0 && !has_fin {
            return;
        }
        let mut start = self.position(seq);
        let expected = self.high.max(self.next);
        if has_fin && (start + sent).abs_diff(expected) > CONTROL_REACH {
            output.flow().implausible += 1;
            has_fin = false;
        }
        let is_far = start > expected + PLAUSIBLE || start + CONTROL_REACH < self.next;
        if is_far && self.stage != Stage::Joining {
            if !self.is_elsewhere(seq, sent as u32) {
                output.flow().implausible += 1;
                return;
            }
            self.go_elsewhere(seq, packet, time, output);
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
        if self.stage == Stage::Closed {
            output.flow().retransmitted += 1;
            return;
        }
        let wait = self.wait.get_or_insert_default();
        wait.count += 1;
        let origin = Origin { order: packet.order, no: packet.no, time, count: wait.count, acked };
        let by = Trigger::Packet(packet, time);
        if self.stage == Stage::Joining
            && let Some(join) = &mut self.join
        {
            join.lowest = Some(join.lowest.map_or(start, |lowest| lowest.min(start)));
        }
        self.payload(start, segment, at.plus(u64::from(segment.payload_at)), origin, by, output);
        if has_fin {
            self.fin(start + sent, origin, output);
        }
        self.believe_claim(Mark { position: 0, order: packet.order, no: packet.no, time });
        self.settle_if_late(packet.order);
        self.drain(by, output);
        self.give_up_what_is_too_much(by, output);
        self.tidy();
    }

    /// Whether a segment that does not fit is one more of a row that shows that the flow is elsewhere.
    fn is_elsewhere(&mut self, seq: u32, sent: u32) -> bool {
        let count = match self.strays {
            Some((count, next)) if next == seq => count + 1,
            _ => 1,
        };
        self.strays = Some((count, seq.wrapping_add(sent)));
        count >= STRAYS && self.stage == Stage::Open
    }

    /// Hands on what waits, and goes on at `seq`: how much is missing nobody knows.
    fn go_elsewhere<T: Consumer>(&mut self, seq: u32, packet: Packet, time: Timestamp, output: &mut Output<'_, T>) {
        let by = Trigger::Packet(packet, time);
        while self.remains().is_some() {
            self.force_one(by, output);
        }
        output.gap(self.next - self.base, None, GapCause::Lost, (packet, time));
        self.time = Timestamp::from_nanos(i64::MIN);
        (self.seq, self.high, self.acked, self.claim) = (seq, self.next, self.next, 0);
        (self.strays, self.wait) = (None, None);
    }

    /// A flow that is not open learns a sequence number.
    fn anchor(&mut self, seq: u32, order: u64, is_empty: bool) {
        let join = self.join.get_or_insert_default();
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
            Stage::Joining => self.join.as_ref().is_some_and(|join| join.was_acked(seq.wrapping_add(1), order)),
            _ => {
                let is_held = self.wait.as_ref().is_some_and(|wait| wait.held.covers(start));
                start + 1 == self.high && (start < self.next || is_held) || start < self.base
            }
        }
    }

    /// Puts the payload where it belongs; whatever of it was seen before stays as it was.
    fn payload<T: Consumer>(
        &mut self,
        start: u64,
        segment: &Segment<'_>,
        at: Place,
        origin: Origin,
        by: Trigger,
        output: &mut Output<'_, T>,
    ) {
        let is_open = self.stage == Stage::Open;
        let Some(wait) = &mut self.wait else { return };
        let floor = if is_open { self.next } else { 0 };
        let limit = wait.fin.map_or(u64::MAX, |(fin, _)| fin);
        let end = (start + segment.payload.len() as u64).min(limit);
        let sent_end = (start + u64::from(segment.sent_len())).min(limit);
        let (overlaps, differs) = wait.held.compare(start, segment.payload);
        if let Some(differs) = differs {
            output.differs(differs.saturating_sub(self.base), origin.no);
        }
        let was_seen = overlaps || start < floor.min(end);
        let (mut from, mut brings) = (start.max(floor), false);
        let high = self.high;
        while let Some((piece, stop)) = self.wait.as_ref().and_then(|wait| wait.held.uncovered(from, end)) {
            brings = true;
            let skipped = piece - start;
            let bytes = segment.payload.get(skipped as usize..(stop - start) as usize).unwrap_or_default();
            if is_open && piece == self.next {
                if let Trigger::Packet(packet, time) = by {
                    let at = at.plus(skipped);
                    self.hand_on(Data { bytes, packet, time, at, offset: 0, acked: origin.acked }, output);
                }
                self.high = self.high.max(self.next);
                self.drain(by, output);
                from = stop.max(self.next);
            } else {
                if let Some(wait) = &mut self.wait {
                    wait.held.insert(piece, bytes, origin, at.plus(skipped));
                }
                from = stop;
            }
        }
        self.high = self.high.max(sent_end);
        if let Some(wait) = &mut self.wait {
            if sent_end > end.max(self.next) || !is_open && sent_end > end {
                wait.held.insert_cut(if is_open { end.max(self.next) } else { end }, sent_end, origin);
            }
            if brings && is_open && self.next > floor {
                wait.progress = wait.count;
            }
        }
        let facts = output.flow();
        facts.retransmitted += u64::from(was_seen);
        facts.reordered += u64::from(brings && start.max(floor) < high);
    }

    fn fin<T: Consumer>(&mut self, at: u64, origin: Origin, output: &mut Output<'_, T>) {
        let Some(wait) = &mut self.wait else { return };
        let is_new = wait.fin.is_none();
        // Bytes behind it that were seen first speak against it.
        if is_new && at >= self.high {
            wait.fin = Some((at, origin));
            self.high = self.high.max(at);
        } else if wait.fin.is_none_or(|(fin, _)| fin != at) {
            output.flow().implausible += 1;
        }
    }

    /// Hands on whatever lies at the expected place.
    fn drain<T: Consumer>(&mut self, by: Trigger, output: &mut Output<'_, T>) {
        while self.stage == Stage::Open && self.deliver_next(by, output) {}
    }

    /// Hands on one thing that lies at the expected place.
    fn deliver_next<T: Consumer>(&mut self, by: Trigger, output: &mut Output<'_, T>) -> bool {
        let Some(wait) = &mut self.wait else { return false };
        match wait.held.take(self.next) {
            Some(Next::Piece(piece)) => {
                let (packet, _) = by.attribute(piece.origin.no, piece.origin.time);
                let Origin { time, acked, .. } = piece.origin;
                self.hand_on(Data { bytes: &piece.bytes, packet, time, at: piece.at, offset: 0, acked }, output);
            }
            Some(Next::Cut(end, origin)) => {
                self.gap(end, GapCause::Snapped, by.attribute(origin.no, origin.time), output);
            }
            None => return false,
        }
        true
    }

    /// Everything up to `end` is missing.
    fn gap<T: Consumer>(&mut self, end: u64, cause: GapCause, said: (Packet, Timestamp), output: &mut Output<'_, T>) {
        let length = end - self.next;
        let offset = self.next - self.base;
        let cause = if cause == GapCause::Lost && end <= self.dropped { GapCause::Dropped } else { cause };
        self.seq = self.seq.wrapping_add(length as u32);
        self.next = end;
        self.high = self.high.max(end);
        self.time = Timestamp::from_nanos(i64::MIN);
        output.gap(offset, Some(length), cause, said);
    }

    /// Gives up the hole at the expected place, up to the first thing behind it, but not beyond `limit`.
    fn give_up<T: Consumer>(&mut self, limit: u64, mark: Option<Mark>, by: Trigger, output: &mut Output<'_, T>) {
        let Some(wait) = &self.wait else { return };
        let behind = [wait.held.first(), wait.fin].into_iter().flatten().min_by_key(|(at, _)| *at);
        let end = behind.map_or(limit, |(at, _)| at.min(limit));
        if end <= self.next {
            return;
        }
        let said = match (behind, mark) {
            (Some((_, origin)), _) => by.attribute(origin.no, origin.time),
            (None, Some(mark)) => by.attribute(mark.no, mark.time),
            (None, None) => return,
        };
        self.gap(end, GapCause::Lost, said, output);
    }

    /// Where nobody acknowledges anything, or too much waits, the first hole is given up.
    fn give_up_what_is_too_much<T: Consumer>(&mut self, by: Trigger, output: &mut Output<'_, T>) {
        loop {
            let Some(wait) = &self.wait else { return };
            let is_too_much = wait.held.cost() > FLOW_COST;
            if self.stage == Stage::Joining {
                if is_too_much {
                    self.settle(by.order());
                    self.drain(by, output);
                    continue;
                }
                return;
            }
            if wait.held.is_empty() || !is_too_much && !wait.is_silent_for_long() {
                return;
            }
            output.flow().overflowed += u64::from(is_too_much);
            self.give_up(u64::MAX, None, by, output);
            self.drain(by, output);
        }
    }

    /// Gives up the first hole, since too much waits in all flows together.
    pub(super) fn give_up_first<T: Consumer>(&mut self, by: Trigger, output: &mut Output<'_, T>) {
        output.flow().overflowed += 1;
        self.settle(by.order());
        self.drain(by, output);
        self.give_up(u64::MAX, None, by, output);
        self.drain(by, output);
        self.tidy();
    }

    /// What is missing before `ack` was not recorded.
    pub(super) fn not_recorded(&mut self, ack: u32) {
        self.dropped = self.position(ack);
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
                self.join.get_or_insert_default().ack(ack, packet, time);
                true
            }
            Stage::Closed => true,
            Stage::Open => {
                let mark = Mark { position: self.position(ack), order: packet.order, no: packet.no, time };
                self.acknowledged(mark);
                false
            }
        }
    }

    fn acknowledged(&mut self, mut mark: Mark) {
        if let Some((fin, _)) = self.wait.as_ref().and_then(|wait| wait.fin)
            && mark.position == fin + 1
        {
            mark.position = fin;
        }
        if mark.position > self.high + PLAUSIBLE {
            return;
        }
        if mark.position <= self.high {
            return self.believe(mark);
        }
        // Beyond all data seen: it counts when it is repeated. One byte more than was seen may be a FIN.
        let claim = self.claim;
        self.claim = claim.max(mark.position);
        mark.position = mark.position.min(claim);
        if mark.position > self.high + 1 {
            self.believe(mark);
        }
    }

    /// A claim that data has followed beyond counts.
    fn believe_claim(&mut self, mark: Mark) {
        if self.claim == 0 || self.high < self.claim || self.stage != Stage::Open {
            return;
        }
        let position = std::mem::take(&mut self.claim);
        self.believe(Mark { position, ..mark });
    }

    fn believe(&mut self, mark: Mark) {
        let is_news = mark.position > self.acked;
        self.acked = self.acked.max(mark.position);
        if mark.position > self.next {
            self.wait.get_or_insert_default().suspect(mark);
        }
        if let Some(wait) = &mut self.wait
            && (is_news || mark.position == self.next)
        {
            wait.hear();
        }
    }

    /// Its SYN states where it begins. (Whether the SYN belongs to it, [`owns_syn`](Self::owns_syn) has said.)
    pub(super) fn syn<T: Consumer>(&mut self, isn: u32, packet: Packet, time: Timestamp, output: &mut Output<'_, T>) {
        if self.syn {
            return;
        }
        let first = isn.wrapping_add(1);
        match self.stage {
            Stage::Joining => {
                let base = match self.join.as_ref().and_then(|join| join.since) {
                    Some(_) => self.position(first),
                    None => {
                        self.seq = first;
                        self.next
                    }
                };
                self.syn = true;
                output.flow().joined = false;
                self.begin(base, packet.order);
                self.drain(Trigger::Packet(packet, time), output);
                self.tidy();
            }
            Stage::Open | Stage::Closed => {
                self.syn = true;
                output.flow().joined = self.position(first) != self.base;
            }
        }
    }

    /// Whether a SYN with this number can be the one that began this flow.
    pub(super) fn owns_syn(&self, isn: u32) -> bool {
        let first = isn.wrapping_add(1);
        if self.syn {
            return self.seq.wrapping_sub((self.next - self.base) as u32) == first;
        }
        let lowest = match &self.join {
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
    pub(super) fn is_beyond(&self, segment: &Segment<'_>) -> bool {
        if self.stage == Stage::Joining {
            return false;
        }
        let start = self.position(segment.seq);
        start + u64::from(segment.sent_len()) > self.high || start + CONTROL_REACH < self.next
    }

    /// When something is to be done though no packet of the connection comes.
    pub(super) fn due(&self) -> Option<u64> {
        match self.stage {
            Stage::Joining => self.join.as_ref().and_then(|join| join.due()),
            Stage::Open => self.wait.as_ref().and_then(|wait| wait.due()),
            Stage::Closed => None,
        }
    }

    /// Whether it waits for its beginning, and has done so for long enough to be opened at `order` with the other flow.
    pub(super) fn can_join(&self, order: u64) -> bool {
        let since = self.join.as_ref().filter(|join| join.lowest.is_some()).and_then(|join| join.since);
        self.stage == Stage::Joining && since.is_some_and(|since| since + TOGETHER_PACKETS <= order)
    }

    /// Whether its waiting for its beginning is over at `order`.
    pub(super) fn must_join(&self, order: u64) -> bool {
        self.stage == Stage::Joining && self.due().is_some_and(|due| due <= order)
    }

    fn settle_if_late(&mut self, order: u64) {
        let since = self.join.as_ref().and_then(|join| join.since);
        if self.stage == Stage::Joining && since.is_some_and(|since| since + JOIN_PACKETS <= order) {
            self.settle(order);
        }
    }

    /// The flow begins with the lowest byte that was seen. Delivers nothing yet.
    pub(super) fn settle(&mut self, order: u64) {
        if self.stage != Stage::Joining {
            return;
        }
        let Some(join) = &self.join else { return };
        let acked = join.acks.filter(|_| self.is_whole).map(|acks| self.position(acks.low));
        if let Some(base) = join.base(acked) {
            self.begin(base, order);
        }
    }

    fn begin(&mut self, base: u64, order: u64) {
        self.seq = self.seq.wrapping_add(base.wrapping_sub(self.next) as u32);
        (self.base, self.next, self.stage) = (base, base, Stage::Open);
        let mut high = base;
        if let Some(wait) = &mut self.wait {
            wait.held.trim(base);
            high = high.max(wait.held.end().unwrap_or(0)).max(wait.fin.map_or(0, |(fin, _)| fin));
        }
        self.high = high;
        // Only from here on is it known which holes there are for an acknowledgment to make suspect.
        if let Some(acks) = self.join.take().and_then(|join| join.acks) {
            self.acknowledged(Mark { position: self.position(acks.high), order, no: acks.no, time: acks.time });
        }
    }

    /// The order of what can be delivered next without giving up anything.
    pub(super) fn ready(&self) -> Option<u64> {
        let wait = self.wait.as_ref().filter(|_| self.stage == Stage::Open)?;
        wait.held.ready(self.next)
    }

    /// Delivers one thing that is ready.
    pub(super) fn deliver_one<T: Consumer>(&mut self, by: Trigger, output: &mut Output<'_, T>) {
        self.deliver_next(by, output);
        self.tidy();
    }

    /// Gives up the suspect holes that are due at `order`.
    pub(super) fn give_up_due<T: Consumer>(&mut self, order: u64, output: &mut Output<'_, T>) {
        let by = Trigger::Count(order);
        while let Some(mark) = self.wait.as_mut().and_then(|wait| wait.take_due(order)) {
            self.drain(by, output);
            while self.next < mark.position {
                let before = self.next;
                self.give_up(mark.position, Some(mark), by, output);
                self.drain(by, output);
                if self.next == before {
                    break;
                }
            }
        }
        self.tidy();
    }

    /// The order of what remains, whether ready or behind a hole.
    pub(super) fn remains(&self) -> Option<u64> {
        let wait = self.wait.as_ref().filter(|_| self.stage == Stage::Open)?;
        let held = wait.held.first().map(|(_, origin)| origin.order);
        let fin = wait.fin.filter(|(fin, _)| *fin > self.next).map(|(_, origin)| origin.order);
        let mark = wait.last_mark().filter(|mark| wait.fin.is_none() && mark.position > self.next);
        held.or(fin).or(mark.map(|mark| mark.order))
    }

    /// Delivers the next thing that remains, and gives up what is missing before it.
    pub(super) fn force_one<T: Consumer>(&mut self, by: Trigger, output: &mut Output<'_, T>) {
        if !self.deliver_next(by, output) {
            let mark = self.wait.as_ref().and_then(|wait| wait.last_mark());
            let limit = match &self.wait {
                Some(wait) if wait.held.is_empty() && wait.fin.is_none() => {
                    mark.map_or(self.next, |mark| mark.position)
                }
                _ => u64::MAX,
            };
            self.give_up(limit, mark, by, output);
        }
        self.tidy();
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

    pub(super) fn close<T: Consumer>(&mut self, how: Close, said: (Packet, Timestamp), output: &mut Output<'_, T>) {
        if self.stage == Stage::Closed {
            return;
        }
        self.stage = Stage::Closed;
        (self.wait, self.join) = (None, None);
        output.closed(how, said);
    }

    /// Gives back what is no longer needed.
    fn tidy(&mut self) {
        if self.stage != Stage::Open {
            return;
        }
        if self.claim != 0 && self.claim <= self.high {
            self.claim = 0;
        }
        let Some(wait) = &mut self.wait else { return };
        wait.reached(self.next);
        if wait.is_idle() {
            self.wait = None;
        }
    }
}
