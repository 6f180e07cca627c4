//! What must have happened before a call, or the next step of one, may continue.
//!
//! Each call in progress has a *frontier*: the next thing that the recorded server did and the live one has not done yet. Servers
//! do things in a call in order, so a client event waits for nothing if no frontier of a call that it depends on lies before it
//! in the recording. Every dependency points backwards in recorded time, so nothing can wait in a circle; what never comes is
//! found by the engine, which ends the call that stalls.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::store::{EventOrder, Occurrence};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::script::ServerEvent;
use super::settings::Order;

/// The gates of a run.
#[derive(Debug)]
pub(crate) struct Gates {
    order: Order,
    calls: HashMap<u32, Registered>,
    /// The frontiers, in recorded order.
    frontiers: BTreeSet<(EventOrder, u32)>,
    /// What clients have to do next in each call, in recorded order.
    pending: BTreeSet<(EventOrder, u32)>,
    /// Who waits for which call's frontier to move.
    waiting: HashMap<u32, Vec<Rc<Notify>>>,
    /// Whether anybody asks for references.
    keeps_references: bool,
    /// What servers have done, by connection (0 where connections do not matter): what think times are counted from.
    done: HashMap<u32, BTreeMap<EventOrder, Reference>>,
}

#[derive(Clone, Copy, Debug)]
struct Registered {
    connection: u32,
    frontier: Option<ServerEvent>,
    pending: Option<EventOrder>,
}

/// Something that a server did, then and now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// When in the recording.
    pub(crate) recorded: Timestamp,
    /// When now.
    pub(crate) live: Instant,
}

/// References that are kept for one connection: what clients have still to send lies close to what servers did last.
const MAX_DONE: usize = 4096;

impl Gates {
    /// No calls. `keeps_references`: whether [`reference`](Self::reference) will be asked.
    pub(crate) fn new(order: Order, keeps_references: bool) -> Self {
        Self {
            order,
            keeps_references,
            calls: HashMap::new(),
            frontiers: BTreeSet::new(),
            pending: BTreeSet::new(),
            waiting: HashMap::new(),
            done: HashMap::new(),
        }
    }

    /// Adds a call, before it starts. Calls are added in the order of their starts.
    pub(crate) fn add(&mut self, call: u32, connection: u32, start: EventOrder, first: Option<ServerEvent>) {
        self.calls.insert(call, Registered { connection, frontier: first, pending: Some(start) });
        self.pending.insert((start, call));
        if let Some(event) = first {
            self.frontiers.insert((event.order, call));
        }
    }

    /// The client of a call has done what was pending; `next`: what it has to do then.
    pub(crate) fn client_did(&mut self, call: u32, next: Option<EventOrder>) {
        let Some(registered) = self.calls.get_mut(&call) else { return };
        if let Some(before) = std::mem::replace(&mut registered.pending, next) {
            self.pending.remove(&(before, call));
        }
        if let Some(next) = next {
            self.pending.insert((next, call));
        }
    }

    /// The server of a call has done what was its frontier, at `live`; `next`: the new one.
    pub(crate) fn server_did(&mut self, call: u32, live: Instant, next: Option<ServerEvent>) {
        let Some(registered) = self.calls.get_mut(&call) else { return };
        let connection = registered.connection;
        if let Some(before) = std::mem::replace(&mut registered.frontier, next) {
            self.frontiers.remove(&(before.order, call));
            if self.keeps_references {
                self.remember(connection, before, live);
            }
        }
        if let Some(next) = next {
            self.frontiers.insert((next.order, call));
        }
        self.wake(call);
    }

    /// A call has ended: nobody waits for it any more.
    pub(crate) fn remove(&mut self, call: u32) {
        if let Some(Registered { frontier, pending, .. }) = self.calls.remove(&call) {
            frontier.map(|event| self.frontiers.remove(&(event.order, call)));
            pending.map(|order| self.pending.remove(&(order, call)));
        }
        self.wake(call);
    }

    fn wake(&mut self, call: u32) {
        for waiter in self.waiting.remove(&call).into_iter().flatten() {
            waiter.notify_one();
        }
    }

    fn remember(&mut self, connection: u32, event: ServerEvent, live: Instant) {
        let key = self.reference_key(connection);
        let done = self.done.entry(key).or_default();
        done.insert(event.order, Reference { recorded: event.at, live });
        if done.len() > MAX_DONE {
            // Of what lies before everything that is still to be sent, only the last matters.
            let first_pending = self.pending.first().map(|&(order, _)| order);
            let last = match first_pending {
                Some(order) => done.range(..order).next_back().map(|(&order, _)| order),
                None => done.last_key_value().map(|(&order, _)| order),
            };
            if let Some(last) = last {
                *done = done.split_off(&last);
            }
            while done.len() > MAX_DONE {
                done.pop_last();
            }
        }
    }

    const fn reference_key(&self, connection: u32) -> u32 {
        match self.order {
            Order::Global => 0,
            _ => connection,
        }
    }

    /// What the start of a call, or with [`Order::ConnStrict`] any step of it, has to wait for: a call.
    pub(crate) fn blocker(&self, call: u32, on: &Occurrence, is_start: bool) -> Option<u32> {
        let across = match self.order {
            Order::Stream | Order::Data => return None,
            Order::Conn | Order::Global if !is_start => return None,
            Order::Conn | Order::ConnStrict => false,
            Order::Global => true,
        };
        let own = self.calls.get(&call)?.connection;
        // The nearest one is likely to move last: a call that waited for the first one would be woken by each.
        for &(_, other) in self.frontiers.range(..(on.order, 0)).rev() {
            let Some(registered) = self.calls.get(&other).filter(|_| other != call) else { continue };
            let Some(event) = registered.frontier else { continue };
            let is_same = registered.connection == own;
            // By its acknowledgment the client had not received it.
            let unseen = is_same && on.origin.acked.is_some_and(|acked| acked < event.end);
            if (is_same || across) && !unseen {
                return Some(other);
            }
        }
        None
    }

    /// Learns of the next move of `call`'s frontier through `waiter`.
    pub(crate) fn wait_for(&mut self, call: u32, waiter: &Rc<Notify>) {
        self.waiting.entry(call).or_default().push(Rc::clone(waiter));
    }

    /// The last thing before `on` that a server did and that its client may have waited for.
    pub(crate) fn reference(&self, call: u32, on: &Occurrence) -> Option<Reference> {
        if matches!(self.order, Order::Stream | Order::Data) {
            return None;
        }
        let key = self.reference_key(self.calls.get(&call)?.connection);
        self.done.get(&key)?.range(..on.order).next_back().map(|(_, &reference)| reference)
    }

    /// The first thing in recorded order that a client has still to do.
    pub(crate) fn first_pending(&self) -> Option<EventOrder> {
        self.pending.first().map(|&(order, _)| order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_captures::{Direction, PacketNo};
    use rpcshark_dissectors::Origin;
    use rpcshark_dissectors::store::SortKey;

    fn order(at: u64) -> EventOrder {
        EventOrder { key: SortKey { order: at, rank: 0 }, sequence: at }
    }

    fn client(at: u64, acked: Option<u64>) -> Occurrence {
        Occurrence {
            order: order(at),
            direction: Direction::ToServer,
            packet: PacketNo::new(0, at),
            at: Timestamp::from_nanos(at as i64),
            origin: Origin { offset: 0, acked },
            end: 0,
        }
    }

    fn server(at: u64, end: u64) -> ServerEvent {
        ServerEvent { order: order(at), at: Timestamp::from_nanos(at as i64), end, ends: false }
    }

    /// Call 1 starts at 1, and its server answers at 5; call 2 on connection `other` starts at 9.
    fn gates(mode: Order, other: u32) -> Gates {
        let mut gates = Gates::new(mode, true);
        gates.add(1, 0, order(1), Some(server(5, 100)));
        gates.add(2, other, order(9), Some(server(12, 200)));
        gates
    }

    #[test]
    fn a_call_waits_for_what_its_client_had_received() {
        for (mode, connection, expected) in [
            (Order::Stream, 0, None),
            (Order::Data, 0, None),
            (Order::Conn, 0, Some(1)),
            (Order::Conn, 1, None),
            (Order::ConnStrict, 0, Some(1)),
            (Order::Global, 0, Some(1)),
            (Order::Global, 1, Some(1)),
        ] {
            let mut gates = gates(mode, connection);
            assert_eq!(gates.blocker(2, &client(9, None), true), expected, "{mode:?} {connection}");
            gates.server_did(1, Instant::now(), Some(server(20, 300)));
            // What comes later in the recording is not a gate.
            assert_eq!(gates.blocker(2, &client(9, None), true), None, "{mode:?}");
        }
    }

    #[test]
    fn an_acknowledgment_proves_that_the_client_had_not_received_it() {
        let same = gates(Order::Global, 0);
        assert_eq!(same.blocker(2, &client(9, Some(99)), true), None);
        assert_eq!(same.blocker(2, &client(9, Some(100)), true), Some(1));
        // Acknowledgments of one connection say nothing of another.
        let other = gates(Order::Global, 1);
        assert_eq!(other.blocker(2, &client(9, Some(99)), true), Some(1));
    }

    #[test]
    fn steps_wait_for_other_calls_only_in_strict_order() {
        assert_eq!(gates(Order::Conn, 0).blocker(2, &client(10, None), false), None);
        assert_eq!(gates(Order::ConnStrict, 0).blocker(2, &client(10, None), false), Some(1));
    }

    #[test]
    fn think_time_counts_from_the_last_thing_before() {
        let mut gates = gates(Order::Global, 0);
        assert!(gates.reference(2, &client(9, None)).is_none());
        gates.server_did(1, Instant::now(), Some(server(6, 110)));
        gates.server_did(1, Instant::now(), None);
        let reference = gates.reference(2, &client(9, None)).expect("two answers");
        assert_eq!(reference.recorded, Timestamp::from_nanos(6));
    }

    #[tokio::test]
    async fn the_end_of_a_call_lets_others_go_on() {
        let mut gates = gates(Order::Global, 0);
        let waiter = Rc::new(Notify::new());
        gates.wait_for(1, &waiter);
        gates.remove(1);
        waiter.notified().await;
        assert_eq!(gates.blocker(2, &client(9, None), true), None);
        assert_eq!(gates.first_pending(), Some(order(9)));
    }
}
