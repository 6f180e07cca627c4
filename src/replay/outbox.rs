//! What the engine hands to the reader of its events: the events, and everything that was sent and received, in one order.
//!
//! The engine only appends; dissecting the bytes takes longer than sending a call, so the reader does it ([`Outbox::absorb`]).
//! The reader is woken seldom: waking a thread for each call would slow the engine down.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Direction, Endpoint, Timestamp};
use rpcshark_dissectors::DecodeAs;
use tokio::sync::Notify;

use super::event::{Ended, Event, LiveRef};
use super::live::Live;

/// Between an engine and the reader of its events.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// What was appended since the reader looked last.
    fresh: Mutex<Batch>,
    /// Wakes the reader.
    filled: Condvar,
    /// Something was appended while the reader waits.
    pub(crate) is_fresh: Notify,
    /// Events that come next: those before them were read, and all bytes up to them are in the record.
    ready: Mutex<VecDeque<Event>>,
    /// Endings that were not read yet.
    unread: AtomicUsize,
    /// The reader has made room for endings, or has gone away.
    room: Notify,
    is_abandoned: AtomicBool,
}

/// Things in the order in which they happened.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    /// What was sent and received, end to end.
    bytes: Vec<u8>,
    /// The reader waits.
    is_awaited: bool,
    /// Nothing more comes.
    is_closed: bool,
}

#[derive(Debug)]
enum Item {
    Open {
        client: Endpoint,
        server: Endpoint,
        protocol: DecodeAs,
        at: Timestamp,
    },
    /// The next `length` bytes of the batch.
    Data {
        connection: u32,
        direction: Direction,
        length: usize,
        at: Timestamp,
    },
    Closed {
        connection: u32,
        direction: Direction,
        how: Close,
        at: Timestamp,
    },
    End {
        connection: u32,
        at: Timestamp,
    },
    /// Nobody looks at the call on a stream of a connection any more.
    Forget {
        connection: u32,
        stream: u32,
    },
    /// A call is over: the event, and its connection and stream.
    Ended(Box<Ended>, Option<(u32, u32)>),
    Event(Event),
}

/// Endings that may wait for the reader. Each holds a dissected call, or its bytes.
const MAX_UNREAD: usize = 8192;

/// Bytes that may wait for the reader. Beyond that the engine dissects them itself.
const MAX_BYTES: usize = 8 << 20;

/// Things that may wait before the reader is woken.
const MANY: usize = 256;

/// How long they may wait.
const LONGEST_WAIT: Duration = Duration::from_millis(5);

impl Outbox {
    /// A connection was made.
    pub(crate) fn open(&self, client: Endpoint, server: Endpoint, protocol: DecodeAs, at: Timestamp) {
        self.push(Item::Open { client, server, protocol, at });
    }

    /// Bytes were sent or received. `live` is where they go to if the reader does not keep up.
    pub(crate) fn data(&self, live: &Mutex<Live>, connection: u32, direction: Direction, bytes: &[u8], at: Timestamp) {
        let mut fresh = self.fresh.lock();
        fresh.bytes.extend_from_slice(bytes);
        let is_full = fresh.bytes.len() > MAX_BYTES;
        self.add(&mut fresh, Item::Data { connection, direction, length: bytes.len(), at });
        drop(fresh);
        if is_full {
            self.absorb(&mut live.lock());
        }
    }

    /// A side of a connection sends no more.
    pub(crate) fn closed(&self, connection: u32, direction: Direction, how: Close, at: Timestamp) {
        self.push(Item::Closed { connection, direction, how, at });
    }

    /// A connection has ended.
    pub(crate) fn end(&self, connection: u32, at: Timestamp) {
        self.push(Item::End { connection, at });
    }

    /// Nobody looks at a call any more.
    pub(crate) fn forget(&self, connection: u32, stream: u32) {
        self.push(Item::Forget { connection, stream });
    }

    /// Something happened.
    pub(crate) fn event(&self, event: Event) {
        self.push(Item::Event(event));
    }

    /// A call is over. Waits while the reader is far behind.
    pub(crate) async fn ended(&self, ended: Box<Ended>, key: Option<(u32, u32)>) {
        self.push(Item::Ended(ended, key));
        if self.unread.fetch_add(1, Ordering::Relaxed) < MAX_UNREAD {
            return;
        }
        loop {
            let room = self.room.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            if self.unread.load(Ordering::Acquire) < MAX_UNREAD || self.is_abandoned.load(Ordering::Acquire) {
                return;
            }
            self.wake_reader();
            room.await;
        }
    }

    /// Whether the reader keeps up, so that events may be appended that can be left out.
    pub(crate) fn has_room(&self) -> bool {
        self.unread.load(Ordering::Relaxed) < MAX_UNREAD / 2 && self.fresh.lock().items.len() < MAX_UNREAD
    }

    fn push(&self, item: Item) {
        let mut fresh = self.fresh.lock();
        self.add(&mut fresh, item);
    }

    fn add(&self, fresh: &mut Batch, item: Item) {
        fresh.items.push(item);
        if !fresh.is_awaited {
            return;
        }
        match fresh.items.len() {
            1 => self.is_fresh.notify_one(),
            MANY => {
                fresh.is_awaited = false;
                self.filled.notify_one();
            }
            _ => {}
        }
    }

    /// Wakes the reader if it waits and there is something for it.
    pub(crate) fn wake_reader(&self) {
        let mut fresh = self.fresh.lock();
        if fresh.is_awaited && !fresh.items.is_empty() {
            fresh.is_awaited = false;
            self.filled.notify_one();
        }
    }

    /// Wakes the reader some time after something was appended, again and again. Never ends.
    pub(crate) async fn wake_reader_in_time(&self) {
        loop {
            self.is_fresh.notified().await;
            tokio::time::sleep(LONGEST_WAIT).await;
            self.wake_reader();
        }
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        let mut fresh = self.fresh.lock();
        fresh.is_closed = true;
        fresh.is_awaited = false;
        self.filled.notify_one();
    }

    /// The reader goes away: nobody waits for it any more.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.room.notify_waiters();
    }

    /// Brings the record up to date with what was appended.
    pub(crate) fn absorb(&self, live: &mut Live) {
        // Whoever holds the record absorbs: batches are absorbed in their order.
        let mut batch = std::mem::take(&mut live.spare);
        {
            let mut fresh = self.fresh.lock();
            std::mem::swap(&mut batch.items, &mut fresh.items);
            std::mem::swap(&mut batch.bytes, &mut fresh.bytes);
        }
        let mut ready = self.ready.lock();
        let mut from = 0;
        for item in batch.items.drain(..) {
            match item {
                Item::Open { client, server, protocol, at } => drop(live.open(client, server, protocol, at)),
                Item::Data { connection, direction, length, at } => {
                    let bytes = batch.bytes.get(from..from + length).unwrap_or_default();
                    from += length;
                    live.data(connection, direction, bytes, at);
                }
                Item::Closed { connection, direction, how, at } => live.closed(connection, direction, how, at),
                Item::End { connection, at } => live.end(connection, at),
                Item::Forget { connection, stream } => live.forget(connection, stream),
                Item::Ended(mut ended, key) => {
                    ended.live = key.and_then(|(connection, stream)| {
                        Some(LiveRef { connection, stream, at: live.call(connection, stream)? })
                    });
                    ready.push_back(Event::Ended(ended));
                }
                Item::Event(event) => ready.push_back(event),
            }
        }
        batch.bytes.clear();
        live.spare = batch;
        let has_events = !ready.is_empty();
        drop(ready);
        if has_events {
            // Where the engine absorbs, the reader may wait.
            let mut fresh = self.fresh.lock();
            if std::mem::take(&mut fresh.is_awaited) {
                self.filled.notify_one();
            }
        }
    }

    /// The next event, if one is there.
    pub(crate) fn try_next(&self, live: &Mutex<Live>) -> Option<Event> {
        let ready = self.ready.lock().pop_front();
        let event = match ready {
            Some(event) => event,
            None => {
                if self.fresh.lock().items.is_empty() {
                    return None;
                }
                self.absorb(&mut live.lock());
                self.ready.lock().pop_front()?
            }
        };
        if matches!(event, Event::Ended(_)) && self.unread.fetch_sub(1, Ordering::AcqRel) == MAX_UNREAD / 2 {
            self.room.notify_waiters();
        }
        Some(event)
    }

    /// The next event; `None` after the last one.
    pub(crate) fn next(&self, live: &Mutex<Live>) -> Option<Event> {
        loop {
            if let Some(event) = self.try_next(live) {
                return Some(event);
            }
            let mut fresh = self.fresh.lock();
            if fresh.items.is_empty() {
                if fresh.is_closed {
                    drop(fresh);
                    // The engine may have absorbed the last of it.
                    return self.try_next(live);
                }
                fresh.is_awaited = true;
                self.filled.wait(&mut fresh);
            }
        }
    }
}

/// Memory of a batch that was absorbed, for the next one.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    items: Vec<Item>,
    bytes: Vec<u8>,
}
