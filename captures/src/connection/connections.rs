//! All connections of one lane: finding the one that a segment belongs to, and their lifetimes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashMap;

use super::consumer::Consumer;
use super::facts::Close;
use super::tcp_connection::Pair;
use super::trigger::Trigger;
use crate::{Address, Direction, Packet, Place, Segment, TcpFlags, Timestamp};

/// How many connections of a lane are kept. Beyond it, those that were idle for longest are forgotten; a scan of all
/// ports of many hosts must not take memory without end. (About 500 bytes each, and what the consumer keeps.)
const CONNECTIONS_KEPT: usize = 1 << 17;

/// What may wait behind holes in all flows of a lane, in bytes. Beyond it, the oldest holes are given up until half of
/// it is free.
const TOTAL_COST: usize = 64 << 20;

/// All TCP connections of one lane of a reading: those of which the unordered pair of addresses leads here.
///
/// What is delivered while a packet is taken carries that packet, or an earlier place of the capture where a rule
/// came due; it comes in the order of these places, and at the same place by the connections' births. `C` is what the
/// consumer keeps for each connection.
///
/// Two limits are counted for the whole lane: the connections kept and the bytes that wait. A capture that comes near
/// them gives the same result only with the same lanes.
pub struct Connections<C> {
    /// Where the connection between two addresses (the lower one first) is.
    slots: HashMap<(Address, Address), u32>,
    pairs: Vec<Option<Pair<C>>>,
    free: Vec<u32>,
    /// Where the latest segment went.
    latest: u32,
    /// When, for which first_packet, and where.
    timers: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// When the first timer is due.
    due: u64,
    /// What waits in all flows.
    pub(super) cost: usize,
    pub(super) kept: usize,
    pub(super) total_cost: usize,
}

impl<C> Default for Connections<C> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            pairs: Vec::new(),
            free: Vec::new(),
            latest: u32::MAX,
            timers: BinaryHeap::new(),
            due: u64::MAX,
            cost: 0,
            kept: CONNECTIONS_KEPT,
            total_cost: TOTAL_COST,
        }
    }
}

impl<C: Send> Connections<C> {
    /// No connections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections live.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes the next segment of the lane. `at` is where the data of its packet lies; packets come in their order.
    pub fn segment<T: Consumer<Connection = C>>(
        &mut self,
        packet: Packet,
        time: Timestamp,
        at: Place,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) {
        if self.due <= packet.order {
            self.fire(packet.order, consumer);
        }
        let (slot, direction) = match self.find(packet, segment) {
            Found::Here(slot, direction) => (slot, direction),
            Found::Another(slot) => {
                self.end(slot, Close::Timeout, Trigger::Packet(packet, time), consumer);
                self.open(packet, time, segment, consumer)
            }
            Found::None => self.open(packet, time, segment, consumer),
        };
        let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { return };
        if !segment.flags.has(CONTROL) {
            if pair.plain(direction, packet, time, at, segment, consumer) {
                return;
            }
        } else {
            pair.control(direction, packet, time, at, segment, consumer);
        }
        self.look_after(slot, Trigger::Packet(packet, time), consumer);
    }

    /// The recorder that wrote the capture did not record the bytes that are missing before the acknowledgment in
    /// `segment`. To be called before [`segment`](Self::segment).
    pub fn not_recorded(&mut self, packet: Packet, segment: &Segment<'_>) {
        if let Found::Here(slot, direction) = self.find(packet, segment)
            && let Some(Some(pair)) = self.pairs.get_mut(slot as usize)
        {
            pair.not_recorded(direction.reverse(), segment.ack);
        }
    }

    /// The packets of the capture up to `order` have gone by: what waited for that is delivered.
    pub fn advance<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) {
        if self.due <= order {
            self.fire(order, consumer);
        }
    }

    /// The capture has ended: delivers all that is still held and ends all connections, in the order of their births.
    pub fn finish<T: Consumer<Connection = C>>(&mut self, consumer: &mut T) {
        let mut pairs: Vec<Pair<C>> = std::mem::take(&mut self.pairs).into_iter().flatten().collect();
        let (kept, total_cost) = (self.kept, self.total_cost);
        *self = Self { kept, total_cost, ..Self::default() };
        pairs.sort_unstable_by_key(|pair| pair.facts.first_packet.order);
        for pair in pairs {
            pair.end(Close::EndOfCapture, Trigger::END, consumer);
        }
    }

    fn find(&mut self, packet: Packet, segment: &Segment<'_>) -> Found {
        let mut slot = self.latest;
        let mut direction = self.direction(slot, segment);
        if direction.is_none() {
            let Some(&found) = self.slots.get(&key(segment.source, segment.destination)) else { return Found::None };
            slot = found;
            direction = self.direction(slot, segment);
        }
        let (Some(direction), Some(Some(pair))) = (direction, self.pairs.get(slot as usize)) else {
            return Found::None;
        };
        if !pair.owns(direction, packet, segment) {
            return Found::Another(slot);
        }
        self.latest = slot;
        Found::Here(slot, direction)
    }

    fn direction(&self, slot: u32, segment: &Segment<'_>) -> Option<Direction> {
        self.pairs.get(slot as usize)?.as_ref()?.direction(segment.source, segment.destination)
    }

    fn open<T: Consumer<Connection = C>>(
        &mut self,
        packet: Packet,
        time: Timestamp,
        segment: &Segment<'_>,
        consumer: &mut T,
    ) -> (u32, Direction) {
        if self.slots.len() >= self.kept {
            self.forget_idle(Trigger::Packet(packet, time), consumer);
        }
        let pair = Pair::new(packet, time, segment, consumer);
        let direction = pair.direction(segment.source, segment.destination).unwrap_or(Direction::ToServer);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.pairs.push(None);
                self.pairs.len() as u32 - 1
            }
        };
        self.pairs[slot as usize] = Some(pair);
        self.slots.insert(key(segment.source, segment.destination), slot);
        self.latest = slot;
        (slot, direction)
    }

    fn end<T: Consumer<Connection = C>>(&mut self, slot: u32, how: Close, by: Trigger, consumer: &mut T) {
        let Some(pair) = self.pairs.get_mut(slot as usize).and_then(Option::take) else { return };
        self.slots.remove(&key(pair.facts.client, pair.facts.server));
        self.free.push(slot);
        self.cost -= pair.accounted;
        pair.end(how, by, consumer);
    }

    /// Sets timers, and counts what waits, after something other than the common happened to a connection.
    fn look_after<T: Consumer<Connection = C>>(&mut self, slot: u32, by: Trigger, consumer: &mut T) {
        let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { return };
        let cost = pair.cost();
        self.cost = self.cost - pair.accounted + cost;
        pair.accounted = cost;
        if let Some(due) = pair.due()
            && due < pair.armed
        {
            pair.armed = due;
            self.timers.push(Reverse((due, pair.facts.first_packet.order, slot)));
            self.due = self.due.min(due);
        }
        if self.cost > self.total_cost {
            self.give_up_oldest(by, consumer);
        }
    }

    /// Fires all timers up to `order`.
    fn fire<T: Consumer<Connection = C>>(&mut self, order: u64, consumer: &mut T) {
        while let Some(&Reverse((due, first_packet, slot))) = self.timers.peek() {
            if due > order {
                break;
            }
            self.timers.pop();
            let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { continue };
            if pair.facts.first_packet.order != first_packet || pair.armed != due {
                continue;
            }
            pair.armed = u64::MAX;
            if pair.fire(due, consumer) {
                self.look_after(slot, Trigger::Count(due), consumer);
            } else {
                self.end(slot, Close::Timeout, Trigger::Count(due), consumer);
            }
        }
        self.due = self.timers.peek().map_or(u64::MAX, |Reverse((due, ..))| *due);
    }

    /// Forgets the eighth of all connections that was idle for longest.
    fn forget_idle<T: Consumer<Connection = C>>(&mut self, by: Trigger, consumer: &mut T) {
        let lasts = self.pairs.iter().enumerate();
        let lasts = lasts.filter_map(|(slot, pair)| Some((pair.as_ref()?.last, slot as u32)));
        let mut lasts: Vec<_> = lasts.collect();
        let count = (lasts.len() / 8).max(1).min(lasts.len());
        lasts.sort_unstable();
        for &(_, slot) in lasts.iter().take(count) {
            self.end(slot, Close::Timeout, by, consumer);
        }
    }

    /// Gives up holes, the oldest first, until no more than half of what may wait does.
    fn give_up_oldest<T: Consumer<Connection = C>>(&mut self, by: Trigger, consumer: &mut T) {
        let pairs = self.pairs.iter().enumerate();
        let waiting = pairs.filter_map(|(slot, pair)| Some((slot, pair.as_ref()?)));
        let waiting = waiting.flat_map(|(slot, pair)| {
            pair.waiting().map(move |(since, direction)| Reverse((since, direction, slot as u32)))
        });
        let mut waiting: BinaryHeap<_> = waiting.collect();
        while self.cost > self.total_cost / 2 {
            let Some(Reverse((_, direction, slot))) = waiting.pop() else { return };
            let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { continue };
            pair.give_up_first(direction, by, consumer);
            let cost = pair.cost();
            self.cost = self.cost - pair.accounted + cost;
            pair.accounted = cost;
            waiting.extend(
                pair.waiting().filter(|(_, of)| *of == direction).map(|(since, _)| Reverse((since, direction, slot))),
            );
        }
    }
}

/// What was found for a segment.
enum Found {
    /// Its connection, and its direction there.
    Here(u32, Direction),
    /// A connection between the same ends which is not its own.
    Another(u32),
    None,
}

const CONTROL: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);

fn key(one: Address, other: Address) -> (Address, Address) {
    if one <= other { (one, other) } else { (other, one) }
}
