//! The memory budget: how much may be held back for all connections together, and who lets go first.
//!
//! A reader of captures holds bytes back in many places: segments after a hole, IP fragments, connections that have
//! sent nothing but a SYN, header blocks without their end, bytes in which a frame boundary is searched. Each has its own
//! limit for one connection. This budget bounds all of them together, however many connections there are.
//!
//! The result of a reading must not depend on the number of threads. So the total is divided in advance: each lane has a
//! fixed share, and so has the reassembly of IP datagrams. A lane's [`Budget`] is used by that lane only.
//!
//! A holder reports what it holds with [`Budget::update`] whenever that changes. When the budget is exceeded,
//! [`Budget::take_oldest`] names the holder that has held something for longest. The owner of the lane makes it release
//! something and reports the new state. Age is counted in packets of the capture, not in time.

use std::collections::BTreeMap;
use std::fmt;

use crate::Direction;
use crate::streams::StreamNo;

/// How many lanes share the budget. It is fixed so that the result does not depend on the machine.
pub const LANES: usize = 16;

/// The total amount of memory, in bytes, that may be held back for all connections together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit(pub usize);

impl MemoryLimit {
    /// The default: 256 MiB. A lane's share then holds a flow's largest receive window twice.
    pub const DEFAULT: Self = Self(256 << 20);

    /// The smallest limit that makes sense: below it, single packets would not fit into a share.
    pub const SMALLEST: Self = Self(4 << 20);

    /// The share of one lane, in bytes.
    pub const fn lane(self) -> usize {
        (self.0 - self.fragments()) / LANES
    }

    /// The share of IP fragments, in bytes.
    pub const fn fragments(self) -> usize {
        let share = self.0 / 64;
        if share < SMALLEST_FRAGMENTS { SMALLEST_FRAGMENTS } else { share }
    }
}

/// The smallest share of IP fragments: some of the longest datagrams fit into it.
const SMALLEST_FRAGMENTS: usize = 256 << 10;

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a holder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How much memory, in bytes. 0: nothing is held.
    pub bytes: usize,
    /// The position ([`Packet::order`](crate::Packet)) of the packet since which the oldest part of it is held. It
    /// has no meaning while nothing is held.
    pub since: u64,
}

impl Held {
    /// Nothing is held.
    pub const NOTHING: Self = Self { bytes: 0, since: 0 };
}

/// Who holds something. The numbers are those of the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// All half-open TCP connections of the lane. They release among themselves by age.
    HalfOpen,
    /// A flow of a TCP connection: bytes after a hole.
    Flow {
        /// The number of the connection in [`Connections`](crate::connection::Connections).
        slot: u32,
        /// Which of its flows.
        direction: Direction,
    },
    /// What the consumer of a TCP connection holds: its session.
    Connection {
        /// The number of the connection in [`Connections`](crate::connection::Connections).
        slot: u32,
    },
    /// What the consumer of a stream without TCP holds: its session.
    Stream(StreamNo),
}

/// Kinds of things that are released when the budget is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Bytes after a hole of a TCP flow. The hole becomes a gap.
    OutOfOrder,
    /// Connections of which only the first SYN was seen.
    HalfOpen,
    /// Incomplete IP datagrams.
    Fragments,
    /// Header blocks, messages and requests of which the end is missing.
    Unfinished,
    /// Bytes in which a protocol or a frame boundary was searched.
    Search,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::OutOfOrder, Self::HalfOpen, Self::Fragments, Self::Unfinished, Self::Search];
}

impl fmt::Display for Kind {
    /// The plural that diagnostics use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "out-of-order segments",
            Self::HalfOpen => "half-open connections",
            Self::Fragments => "incomplete IP datagrams",
            Self::Unfinished => "unfinished header blocks and messages",
            Self::Search => "searches for a frame boundary",
        })
    }
}

/// How often something was released since the budget was exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released([Count; Kind::ALL.len()]);

/// How often, and how many bytes of memory together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub times: u64,
    /// How many bytes of memory together.
    pub bytes: u64,
}

impl Released {
    /// Counts one release of `bytes`.
    pub const fn add(&mut self, kind: Kind, bytes: usize) {
        let count = &mut self.0[kind as usize];
        count.times += 1;
        count.bytes += bytes as u64;
    }

    /// Adds what another lane has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(&other.0) {
            count.times += other.times;
            count.bytes += other.bytes;
        }
    }

    /// The kinds of which something was released, each with its count.
    pub fn counts(&self) -> impl Iterator<Item = (Kind, Count)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, count)| count.times > 0)
    }
}

/// What one lane may hold back, and who holds how much since when.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: usize,
    /// Everybody who holds something, the oldest first.
    holders: BTreeMap<(u64, Holder), usize>,
    released: Released,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, held: 0, holders: BTreeMap::new(), released: Released([Count { times: 0, bytes: 0 }; 5]) }
    }

    /// `holder` held `account` when it reported last, and holds `now`. Sets `account` to `now`.
    ///
    /// The account is kept by the holder and changed by nobody else. It begins as [`Held::NOTHING`].
    #[inline]
    pub fn update(&mut self, holder: Holder, account: &mut Held, now: Held) {
        if account.bytes != now.bytes || now.bytes > 0 && account.since != now.since {
            self.replace(holder, *account, now);
            *account = now;
        }
    }

    fn replace(&mut self, holder: Holder, before: Held, now: Held) {
        // `take_oldest` may have removed it, then its bytes are no longer counted.
        if before.bytes > 0 {
            self.held -= self.holders.remove(&(before.since, holder)).unwrap_or(0);
        }
        if now.bytes > 0 {
            self.held += now.bytes - self.holders.insert((now.since, holder), now.bytes).unwrap_or(0);
        }
    }

    /// How many bytes are held.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Whether `bytes` more may be held.
    pub const fn has_room_for(&self, bytes: usize) -> bool {
        self.held.saturating_add(bytes) <= self.limit
    }

    /// Whether more is held than may be: [`take_oldest`](Self::take_oldest) then names who has to release something.
    pub const fn is_exceeded(&self) -> bool {
        self.held > self.limit
    }

    /// The holder that has held something for longest, if more is held than may be. Of several since the same packet it is
    /// the lowest one.
    ///
    /// The holder is removed from the budget with all that it holds, and its owner must set its account to
    /// [`Held::NOTHING`]. The owner makes it release something, counts that with [`count`](Self::count), and reports
    /// with [`update`](Self::update) what it still holds.
    pub fn take_oldest(&mut self) -> Option<Holder> {
        if !self.is_exceeded() {
            return None;
        }
        let ((_, holder), bytes) = self.holders.pop_first()?;
        self.held -= bytes;
        Some(holder)
    }

    /// Counts that `bytes` of a kind were released since the budget was exceeded.
    pub const fn count(&mut self, kind: Kind, bytes: usize) {
        self.released.add(kind, bytes);
    }

    /// What was released until now.
    pub const fn released(&self) -> &Released {
        &self.released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn flow(slot: u32) -> Holder {
        Holder::Flow { slot, direction: Direction::ToServer }
    }

    #[test]
    fn the_holder_that_has_waited_longest_releases_first_and_only_while_the_budget_is_exceeded() {
        let mut budget = Budget::new(100);
        let mut accounts = [Held::NOTHING; 3];
        for (slot, since) in [(0, 7), (1, 3), (2, 5)] {
            budget.update(flow(slot), &mut accounts[slot as usize], Held { bytes: 40, since });
        }
        assert_eq!(budget.held(), 120);
        assert_eq!(budget.take_oldest(), Some(flow(1)));
        accounts[1] = Held::NOTHING;
        assert_eq!(budget.take_oldest(), None);
        budget.update(flow(1), &mut accounts[1], Held { bytes: 30, since: 9 });
        assert_eq!(budget.take_oldest(), Some(flow(2)));
    }

    #[test]
    fn a_holder_that_grows_shrinks_and_ends_is_counted_once() {
        let mut budget = Budget::new(100);
        let mut account = Held::NOTHING;
        for (bytes, since) in [(10, 1), (90, 1), (50, 4), (50, 6), (0, 0), (20, 8), (0, 0)] {
            budget.update(Holder::HalfOpen, &mut account, Held { bytes, since });
            assert_eq!(budget.held(), bytes);
        }
        assert!(budget.holders.is_empty());
    }

    #[test]
    fn the_shares_never_exceed_the_total() {
        for total in [MemoryLimit::SMALLEST, MemoryLimit::DEFAULT, MemoryLimit((1 << 30) + 17)] {
            assert!(total.lane() * LANES + total.fragments() <= total.0);
        }
    }

    #[test]
    fn counts_of_several_lanes_are_added() {
        let mut one = Released::default();
        one.add(Kind::Fragments, 5);
        let mut other = one;
        other.add(Kind::OutOfOrder, 7);
        one.merge(&other);
        let counts: Vec<_> = one.counts().map(|(kind, count)| (kind, count.times, count.bytes)).collect();
        assert_eq!(counts, [(Kind::OutOfOrder, 1, 7), (Kind::Fragments, 2, 10)]);
    }
}
