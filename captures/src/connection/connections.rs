//! All connections of one lane: which one a segment belongs to, and when connections begin and end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::consumer::Consumer;
use super::ended::{ENDED_KEPT, Ended};
use super::facts::Close;
use super::half_open::{HALF_OPEN_COST, HalfOpen};
use super::received::Received;
use super::slab::Slab;
use super::tcp_connection::TcpConnection;
use super::trigger::Trigger;
use crate::budget::{Budget, Held, Holder, Kind};
use crate::{Address, Direction, Segment, TcpFlags};

/// How many connections of a lane are kept that have not ended. Beyond it, those that were idle for longest are
/// forgotten.
const CONNECTIONS_KEPT: usize = 1 << 17;

/// All TCP connections of one lane of a reading: those whose unordered pair of addresses leads to this lane.
///
/// What is delivered while a packet is received carries that packet, or an earlier position of the capture where a rule
/// came due. Deliveries come in the order of these positions, and at the same position by the connections' first
/// packets; [regrouped](Self::set_regrouped) segments keep this order for each connection only. `C` is what the consumer
/// keeps for each connection.
///
/// The limit on connections and the memory budget count for the whole lane. A capture that comes near them gives the
/// same result only with the same lanes.
#[derive(Debug)]
pub struct Connections<C> {
    /// What there is between two addresses.
    entries: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    items: Items<C>,
    /// The number of the connection that the latest segment belonged to.
    latest: u32,
    /// When, the position of the connection's first packet, and its number.
    timers: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// When the first timer is due.
    due: u64,
    /// What the half-open connections hold, as reported to the memory budget.
    half_open_account: Held,
    /// Whether segments come connection by connection, see [`Connections::set_regrouped`].
    is_regrouped: bool,
    pub(super) kept: usize,
}

/// What an entry of the table refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Open(u32),
    HalfOpen(u32),
    Ended(u32),
}

#[derive(Debug)]
struct Items<C> {
    open: Slab<TcpConnection<C>>,
    half_open: Slab<HalfOpen>,
    ended: Slab<Ended<C>>,
}

impl<C> Items<C> {
    /// The two ends of an entry, the lower address first.
    fn ends(&self, entry: Entry) -> (Address, Address) {
        let ends = match entry {
            Entry::Open(no) => self.open.get(no).map(|item| (item.facts.client, item.facts.server)),
            Entry::HalfOpen(no) => self.half_open.get(no).map(|item| (item.source, item.destination)),
            Entry::Ended(no) => self.ended.get(no).map(|item| (item.client, item.server)),
        };
        ends.map_or((NOBODY, NOBODY), |(one, other)| sorted(one, other))
    }
}

/// Stands for the ends of an entry that does not exist.
const NOBODY: Address = Address { ip: 0, port: 0 };

impl<C> Default for Connections<C> {
    fn default() -> Self {
        Self {
            entries: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            items: Items { open: Slab::default(), half_open: Slab::default(), ended: Slab::default() },
            latest: u32::MAX,
            timers: BinaryHeap::new(),
            due: u64::MAX,
            half_open_account: Held::NOTHING,
            is_regrouped: false,
            kept: CONNECTIONS_KEPT,
        }
    }
}

impl<C: Send> Connections<C> {
    /// No connections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections there are that have not ended.
    pub const fn len(&self) -> usize {
        self.items.open.len() + self.items.half_open.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next segment of the lane. Packets come in their order.
    pub fn segment<T: Consumer<Connection = C>>(&mut self, received: &Received<'_>, consumer: &mut T) {
        let Received { packet, segment, .. } = *received;
        if self.due <= packet.order {
            match self.is_regrouped {
                true => self.run_own_timer(received, consumer),
                false => self.run_timers(packet.order, consumer),
            }
        }
        let Some((slot, direction)) = self.find_or_open(received, consumer) else { return };
        let Some(connection) = self.items.open.get_mut(slot) else { return };
        if let Some(bytes) = received.not_recorded {
            connection.not_recorded(direction, received, bytes, consumer);
        }
        if let Some(remark) = received.remark {
            connection.remark(packet, remark, consumer);
        }
        if !segment.flags.has(CONTROL) {
            if connection.data_segment(direction, received, consumer) {
                return;
            }
        } else {
            connection.control_segment(direction, received, consumer);
        }
        self.update_timer(slot, consumer.budget());
    }

    /// Whether the next `segments` segments, of packets of `bytes` bytes, may be [regrouped](Self::set_regrouped): whether they
    /// cannot reach a limit that all connections of the lane share, at which their order would matter.
    pub fn may_regroup(&self, segments: usize, bytes: usize, budget: &Budget) -> bool {
        // Buffers are up to twice as large as what is in them.
        let held = bytes.saturating_mul(2).saturating_add(segments * HALF_OPEN_COST);
        budget.has_room_for(held)
            && self.items.open.len() + segments < self.kept
            && self.items.ended.len() + self.items.open.len() + segments <= ENDED_KEPT
    }

    /// Whether the segments up to the next [`advance`](Self::advance) come connection by connection, so that what is known of a
    /// connection stays in the processor's cache. Those of each connection come in the order of their packets. Each
    /// connection gets the same deliveries as otherwise.
    pub fn set_regrouped(&mut self, is_regrouped: bool) {
        self.is_regrouped = is_regrouped;
    }

    /// The packets of the capture up to `order` have gone by: what waited for that is delivered.
    pub fn advance<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) {
        if self.due <= order {
            self.run_timers(order, consumer);
        }
    }

    /// The capture has ended: delivers all that is still held and ends all connections, in the order of their first
    /// packets.
    pub fn finish<T: Consumer<Connection = C>>(&mut self, consumer: &mut T) {
        consumer.budget().update(Holder::HalfOpen, &mut self.half_open_account, Held::NOTHING);
        let Self { items: Items { open, half_open, .. }, kept, .. } = std::mem::take(self);
        self.kept = kept;
        let mut open: Vec<_> = open.into_numbered().collect();
        open.sort_unstable_by_key(|(_, connection)| connection.facts.first_packet.order);
        let mut half_open: Vec<_> = half_open.into_numbered().map(|(_, half_open)| half_open).collect();
        half_open.sort_unstable_by_key(|half_open| half_open.first_packet.order);
        let mut half_open = half_open.into_iter().peekable();
        for (slot, connection) in open {
            let first = connection.facts.first_packet;
            while let Some(half_open) = half_open.next_if(|half_open| half_open.first_packet < first) {
                end_half_open(&half_open, consumer);
            }
            connection.end(slot, Close::EndOfCapture, Trigger::END, consumer);
        }
        half_open.for_each(|half_open| end_half_open(&half_open, consumer));
    }

    /// Makes a holder release the oldest of what it holds, at the position `order` of the capture. The holder is one that
    /// [`Budget::take_oldest`] returned.
    pub fn release<T: Consumer<Connection = C>>(&mut self, holder: Holder, trigger: Trigger, consumer: &mut T) {
        match holder {
            Holder::HalfOpen => {
                self.half_open_account = Held::NOTHING;
                if let Some(oldest) = self.items.half_open.oldest() {
                    self.forget_half_open(oldest, consumer);
                }
                self.report_half_open(consumer.budget());
            }
            Holder::Flow { slot, direction } => {
                if let Some(connection) = self.items.open.get_mut(slot) {
                    connection.release_flow(direction, trigger, consumer);
                    self.update_timer(slot, consumer.budget());
                }
            }
            Holder::Connection { slot } => {
                if let Some(connection) = self.items.open.get_mut(slot) {
                    connection.release_consumer(trigger.order(), consumer);
                }
            }
            Holder::Stream(_) => {}
        }
    }

    /// The connection that a segment belongs to and its direction there; opens one if there is none. `None`: nothing is
    /// to be done with the segment.
    #[inline]
    fn find_or_open<T: Consumer<Connection = C>>(
        &mut self,
        received: &Received<'_>,
        consumer: &mut T,
    ) -> Option<(u32, Direction)> {
        let segment = received.segment;
        if let Some(direction) = self.direction(self.latest, segment) {
            return self.check_owner(self.latest, direction, received, consumer);
        }
        let slot = match self.lookup(segment) {
            None => return self.begin(received, consumer),
            Some(Entry::Open(slot)) => slot,
            Some(Entry::HalfOpen(no)) => {
                let half_open = self.items.half_open.get_mut(no)?;
                if half_open.accept(received) {
                    return None;
                }
                if half_open.is_replaced_by(segment) {
                    half_open.is_replaced = true;
                    self.remove_entry(Entry::HalfOpen(no));
                    return self.begin(received, consumer);
                }
                self.open_half_open(no, Trigger::Packet(received.packet, received.time), consumer)?
            }
            Some(Entry::Ended(no)) => {
                let ended = self.items.ended.get_mut(no)?;
                if ended.owns(segment) {
                    let is_copy = segment.sent_len() > 0 || segment.flags.has(CONTROL);
                    consumer.late(&mut ended.connection, received.packet, received.time, is_copy);
                    return None;
                }
                self.remove_entry(Entry::Ended(no));
                self.items.ended.remove(no);
                return self.begin(received, consumer);
            }
        };
        let direction = self.direction(slot, segment)?;
        self.check_owner(slot, direction, received, consumer)
    }

    /// Ends the connection `slot` and begins another one, if the segment does not belong to it.
    #[inline]
    fn check_owner<T: Consumer<Connection = C>>(
        &mut self,
        slot: u32,
        direction: Direction,
        received: &Received<'_>,
        consumer: &mut T,
    ) -> Option<(u32, Direction)> {
        if self.items.open.get(slot)?.owns(direction, received.segment) {
            self.latest = slot;
            return Some((slot, direction));
        }
        let trigger = Trigger::Packet(received.packet, received.time);
        self.end(slot, Close::Timeout, trigger, consumer);
        self.begin(received, consumer)
    }

    #[inline]
    fn direction(&self, slot: u32, segment: &Segment<'_>) -> Option<Direction> {
        self.items.open.get(slot)?.direction(segment.source, segment.destination)
    }

    /// Begins a connection between two ends between which there is none.
    fn begin<T: Consumer<Connection = C>>(
        &mut self,
        received: &Received<'_>,
        consumer: &mut T,
    ) -> Option<(u32, Direction)> {
        let Received { packet, time, segment, .. } = *received;
        let may_wait = consumer.reserve(packet);
        if let Some(half_open) = HalfOpen::new(received).filter(|_| may_wait) {
            let no = self.items.half_open.insert(half_open);
            self.add_entry(Entry::HalfOpen(no));
            self.report_half_open(consumer.budget());
            return None;
        }
        self.make_room(Trigger::Packet(packet, time), consumer);
        let slot = self.items.open.next_no();
        let connection = TcpConnection::new(received, Holder::Connection { slot }, consumer);
        self.items.open.insert(connection);
        self.add_entry(Entry::Open(slot));
        self.latest = slot;
        Some((slot, self.direction(slot, segment)?))
    }

    /// More than the handshake was seen of a half-open connection: from now on it is kept in full.
    fn open_half_open<T: Consumer<Connection = C>>(
        &mut self,
        no: u32,
        trigger: Trigger,
        consumer: &mut T,
    ) -> Option<u32> {
        self.make_room(trigger, consumer);
        self.remove_entry(Entry::HalfOpen(no));
        let half_open = self.items.half_open.remove(no)?;
        self.report_half_open(consumer.budget());
        let slot = self.items.open.next_no();
        self.items.open.insert(half_open.open(Holder::Connection { slot }, consumer));
        self.add_entry(Entry::Open(slot));
        Some(slot)
    }

    fn forget_half_open<T: Consumer<Connection = C>>(&mut self, no: u32, consumer: &mut T) {
        self.remove_entry(Entry::HalfOpen(no));
        if let Some(half_open) = self.items.half_open.remove(no) {
            consumer.forgotten(half_open.first_packet);
            consumer.budget().count(Kind::HalfOpen, HALF_OPEN_COST);
        }
    }

    fn report_half_open(&mut self, budget: &mut Budget) {
        let half_open = &self.items.half_open;
        let oldest = half_open.oldest().and_then(|no| half_open.get(no));
        let since = oldest.map_or(0, |oldest| oldest.first_packet.order);
        let held = Held { bytes: half_open.len() * HALF_OPEN_COST, since };
        budget.update(Holder::HalfOpen, &mut self.half_open_account, held);
    }

    /// Ends a connection for which nothing is remembered.
    fn end<T: Consumer<Connection = C>>(&mut self, slot: u32, how: Close, trigger: Trigger, consumer: &mut T) {
        self.remove_entry(Entry::Open(slot));
        if let Some(connection) = self.items.open.remove(slot) {
            connection.end(slot, how, trigger, consumer);
        }
    }

    /// Ends a connection that was closed long ago, and remembers it.
    fn retire<T: Consumer<Connection = C>>(&mut self, slot: u32, trigger: Trigger, consumer: &mut T) {
        self.remove_entry(Entry::Open(slot));
        let Some(connection) = self.items.open.remove(slot) else { return };
        let no = self.items.ended.insert(connection.end(slot, Close::Timeout, trigger, consumer));
        self.add_entry(Entry::Ended(no));
        if self.items.ended.len() > ENDED_KEPT
            && let Some(oldest) = self.items.ended.oldest()
        {
            self.remove_entry(Entry::Ended(oldest));
            self.items.ended.remove(oldest);
        }
    }

    /// Sets the timer of a connection and reports what it holds, after anything but the common case.
    fn update_timer(&mut self, slot: u32, budget: &mut Budget) {
        let Some(connection) = self.items.open.get_mut(slot) else { return };
        connection.report_held(slot, budget);
        if let Some(due) = connection.due()
            && due < connection.timer
        {
            connection.timer = due;
            self.timers.push(Reverse((due, connection.facts.first_packet.order, slot)));
            self.due = self.due.min(due);
        }
    }

    /// Runs all timers up to `order`.
    fn run_timers<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) {
        while let Some(&Reverse((due, first_packet, slot))) = self.timers.peek() {
            if due > order {
                break;
            }
            self.timers.pop();
            let Some(connection) = self.items.open.get_mut(slot) else { continue };
            if connection.facts.first_packet.order != first_packet || connection.timer != due {
                continue;
            }
            connection.timer = u64::MAX;
            if connection.run_timer(due, consumer) {
                self.update_timer(slot, consumer.budget());
            } else {
                self.retire(slot, Trigger::Count(due), consumer);
            }
        }
        self.due = self.timers.peek().map_or(u64::MAX, |Reverse((due, ..))| *due);
    }

    /// Runs the timer of the connection that a segment belongs to, if it is due. The others have to wait until the segments
    /// before that were received, which may come later.
    #[cold]
    fn run_own_timer<T: Consumer<Connection = C>>(&mut self, received: &Received<'_>, consumer: &mut T) {
        while let Some(Entry::Open(slot)) = self.lookup(received.segment)
            && let Some(connection) = self.items.open.get_mut(slot)
            && connection.timer <= received.packet.order
        {
            let due = std::mem::replace(&mut connection.timer, u64::MAX);
            if connection.run_timer(due, consumer) {
                self.update_timer(slot, consumer.budget());
            } else {
                self.retire(slot, Trigger::Count(due), consumer);
            }
        }
    }

    /// If there are too many connections, forgets the eighth that was idle for longest.
    fn make_room<T: Consumer<Connection = C>>(&mut self, trigger: Trigger, consumer: &mut T) {
        if self.items.open.len() < self.kept {
            return;
        }
        let mut idle: Vec<_> = self.items.open.iter().map(|(slot, connection)| (connection.last, slot)).collect();
        let count = (idle.len() / 8).max(1).min(idle.len());
        idle.sort_unstable();
        for &(_, slot) in idle.iter().take(count) {
            self.end(slot, Close::Timeout, trigger, consumer);
        }
    }

    fn lookup(&self, segment: &Segment<'_>) -> Option<Entry> {
        let ends = sorted(segment.source, segment.destination);
        self.entries.find(self.hasher.hash_one(ends), |entry| self.items.ends(*entry) == ends).copied()
    }

    /// Adds an entry whose item is there.
    fn add_entry(&mut self, entry: Entry) {
        let Self { entries, items, hasher, .. } = self;
        let hash = |entry: &Entry| hasher.hash_one(items.ends(*entry));
        entries.insert_unique(hash(&entry), entry, hash);
    }

    /// Removes an entry whose item is still there.
    fn remove_entry(&mut self, entry: Entry) {
        let hash = self.hasher.hash_one(self.items.ends(entry));
        if let Ok(found) = self.entries.find_entry(hash, |other| *other == entry) {
            found.remove();
        }
    }
}

/// The capture has ended, and only the handshake of this connection was seen.
fn end_half_open<T: Consumer>(half_open: &HalfOpen, consumer: &mut T) {
    // No other connection has this number.
    let slot = u32::MAX;
    let how = if half_open.is_replaced { Close::Timeout } else { Close::EndOfCapture };
    half_open.open(Holder::Connection { slot }, consumer).end(slot, how, Trigger::END, consumer);
}

const CONTROL: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);

fn sorted(one: Address, other: Address) -> (Address, Address) {
    if one <= other { (one, other) } else { (other, one) }
}
