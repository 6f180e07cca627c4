//! A bounded buffer between the threads that copy and the one that writes. Copying never waits for it.
//!
//! Bytes that do not fit is counted, and the count travels with the next thing of its connection that fits: the file skips
//! those bytes in its sequence numbers and says so. The writer wakes at most every [`PAUSE`] while there is traffic (a
//! wake-up a message would cost the traffic more than all the rest), and hands everything to the file system each time,
//! so that a killed recorder has lost at most that.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stderr::report;
use bytes::Bytes;
use rpcshark_captures::write::{About, Ends, StreamWriter, WrittenStream};
use rpcshark_captures::{Direction, Timestamp};

/// Sees what is recorded while it is recorded, in the order in which it is written. A slow tap slows the writer, never
/// the traffic; bytes that are lost by this are reported to the file and to the tap.
pub trait Tap: Send {
    /// A connection was made.
    fn opened(&mut self, connection: u64, ends: &Ends, time: Timestamp);
    /// Bytes were sent.
    fn data(&mut self, connection: u64, direction: Direction, bytes: &[u8], time: Timestamp);
    /// Bytes were sent that the recorder could not keep.
    fn lost(&mut self, connection: u64, direction: Direction, bytes: u64, time: Timestamp);
    /// The sender of `direction` sends no more.
    fn closed(&mut self, connection: u64, direction: Direction, time: Timestamp);
    /// The sender of `direction` broke the connection off.
    fn reset(&mut self, connection: u64, direction: Direction, time: Timestamp);
    /// Nothing more comes of this connection.
    fn ended(&mut self, connection: u64);
    /// All events so far were handed over: a good moment to print.
    fn caught_up(&mut self) {}
}

/// The bounded buffer, and the thread that writes its events to a file.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<Summary>>,
}

/// What happens to events that arrive when the buffer is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// They are not recorded, which is reported; the traffic continues.
    #[default]
    Lose,
    /// They wait, and the traffic with them.
    Wait,
}

/// The result of a recording.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many connections were recorded.
    pub connections: u64,
    /// How many bytes were, by direction.
    pub bytes: [u64; 2],
    /// How many bytes of those connections were not.
    pub lost_bytes: u64,
    /// How many connections were not recorded at all.
    pub lost_connections: u64,
    /// Why writing ended early, if it did.
    pub failure: Option<io::Error>,
}

impl Journal {
    /// Starts to write events to `out`; at most `limit` bytes of them wait. `failed` is called once, when writing to
    /// `out` fails.
    pub fn start(
        out: Box<dyn Write + Send>,
        about: About,
        limit: usize,
        when_full: WhenFull,
        tap: Option<Box<dyn Tap>>,
        failed: impl FnOnce(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            room: Condvar::new(),
            when_full,
            limit: limit.max(SMALLEST_LIMIT),
        });
        let reader = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || Writer::new(out, &about, tap, Box::new(failed)).run(&reader))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Where a connection's thread puts what it copies.
    pub(super) fn entry(&self) -> Entry {
        Entry { shared: Arc::clone(&self.shared), connection: None, lost: [0; 2] }
    }

    /// Ends the file: everything that waits is written.
    pub fn finish(mut self) -> Summary {
        {
            let mut queue = self.shared.queue();
            queue.ended = true;
        }
        self.shared.wake.notify_one();
        self.shared.room.notify_all();
        let thread = self.writer.take();
        let mut summary = thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
        summary.lost_connections = self.shared.queue().lost_connections;
        summary
    }
}

/// One connection's way into the journal.
#[derive(Debug)]
pub(super) struct Entry {
    shared: Arc<Shared>,
    /// Its number; none before it is opened, and none where there was no room for it.
    connection: Option<u64>,
    /// Bytes that did not fit since the last event that did, by direction.
    lost: [u64; 2],
}

impl Entry {
    pub(super) fn opened(&mut self, ends: Ends, time: Timestamp) {
        self.open(time, EventKind::Opened(Box::new(ends)));
    }

    /// The server could not be connected to.
    pub(super) fn refused(&mut self, ends: Ends, why: String, time: Timestamp) {
        self.open(time, EventKind::Refused(Box::new(ends), why));
    }

    fn open(&mut self, time: Timestamp, kind: EventKind) {
        let mut queue = self.shared.queue();
        if !queue.has_room(self.shared.limit) || queue.ended {
            queue.lost_connections += 1;
            return;
        }
        let connection = queue.connections;
        queue.connections += 1;
        self.connection = Some(connection);
        self.shared.push(queue, connection, time, [0; 2], kind);
    }

    pub(super) fn data(&mut self, direction: Direction, bytes: &[u8], descriptors: usize, time: Timestamp) {
        let Some(connection) = self.connection else { return };
        if !self.shared.wait_for_room() {
            self.lost[direction.index()] += bytes.len() as u64;
            return;
        }
        // Copied outside of the lock: other connections continue meanwhile.
        let bytes = Bytes::copy_from_slice(bytes);
        let lost = mem::take(&mut self.lost);
        self.shared.push(self.shared.queue(), connection, time, lost, EventKind::Data(direction, bytes, descriptors));
    }

    /// Something small that ends (part of) the connection: there is always room for it.
    fn last(&mut self, time: Timestamp, kind: EventKind) {
        let Some(connection) = self.connection else { return };
        let lost = mem::take(&mut self.lost);
        self.shared.push(self.shared.queue(), connection, time, lost, kind);
    }

    pub(super) fn closed(&mut self, direction: Direction, time: Timestamp) {
        self.last(time, EventKind::Closed(direction));
    }

    pub(super) fn reset(&mut self, direction: Direction, time: Timestamp) {
        self.last(time, EventKind::Reset(direction));
    }

    /// An entry for another connection of the same journal.
    pub(super) fn another(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), connection: None, lost: [0; 2] }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.last(super::relay::now(), EventKind::Ended);
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write.
    wake: Condvar,
    /// Something was written, where it is waited for.
    room: Condvar,
    when_full: WhenFull,
    limit: usize,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change under the lock is whole at every point where it could panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room, now or after a wait that was asked for.
    fn wait_for_room(&self) -> bool {
        let mut queue = self.queue();
        while self.when_full == WhenFull::Wait && !queue.has_room(self.limit) && !queue.ended {
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.has_room(self.limit)
    }

    /// Events of this cost were written.
    fn release(&self, cost: usize) {
        self.queue().waiting -= cost;
        if self.when_full == WhenFull::Wait {
            self.room.notify_all();
        }
    }

    fn push(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        connection: u64,
        time: Timestamp,
        lost: [u64; 2],
        kind: EventKind,
    ) {
        if queue.ended {
            return;
        }
        let event = Event { connection, time, lost, kind };
        queue.waiting += event.cost();
        queue.events.push(event);
        let wake =
            mem::take(&mut queue.writer_sleeps) || queue.waiting > WAKE_AT && !mem::replace(&mut queue.woken, true);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    events: Vec<Event>,
    /// What the events cost that wait here or that the writer has taken and not yet written.
    waiting: usize,
    connections: u64,
    lost_connections: u64,
    writer_sleeps: bool,
    /// Whether the writer was woken early from its pause.
    woken: bool,
    ended: bool,
}

impl Queue {
    const fn has_room(&self, limit: usize) -> bool {
        self.waiting < limit
    }
}

#[derive(Debug)]
struct Event {
    connection: u64,
    time: Timestamp,
    /// Bytes of each direction that did not fit before this event.
    lost: [u64; 2],
    kind: EventKind,
}

#[derive(Debug)]
enum EventKind {
    Opened(Box<Ends>),
    Refused(Box<Ends>, String),
    Data(Direction, Bytes, usize),
    Closed(Direction),
    Reset(Direction),
    Ended,
}

impl Event {
    fn cost(&self) -> usize {
        let held = match &self.kind {
            EventKind::Data(_, bytes, _) => bytes.len(),
            EventKind::Opened(_) | EventKind::Refused(..) => size_of::<Ends>() + 256,
            _ => 0,
        };
        size_of::<Self>() + held
    }
}

type Out = BufWriter<Box<dyn Write + Send>>;
type Failed = Box<dyn FnOnce(&io::Error) + Send>;

/// The writing thread's own.
struct Writer {
    /// None once writing has failed.
    file: Option<StreamWriter<Out>>,
    streams: HashMap<u64, WrittenStream>,
    tap: Option<Box<dyn Tap>>,
    failed: Option<Failed>,
    summary: Summary,
    warned: Option<Instant>,
}

impl Writer {
    fn new(out: Box<dyn Write + Send>, about: &About, tap: Option<Box<dyn Tap>>, failed: Failed) -> Self {
        let mut writer = Self {
            file: None,
            streams: HashMap::new(),
            tap,
            failed: Some(failed),
            summary: Summary::default(),
            warned: None,
        };
        let file = StreamWriter::new(BufWriter::with_capacity(OUT_BUFFER, out), about).and_then(|mut file| {
            file.flush()?;
            Ok(file)
        });
        match file {
            Ok(file) => writer.file = Some(file),
            Err(error) => writer.fail(error),
        }
        writer
    }

    fn run(mut self, shared: &Shared) -> Summary {
        loop {
            let (events, ended) = next_events(shared);
            let idle = events.is_empty();
            let mut written = 0;
            for event in events {
                written += event.cost();
                self.feed_tap(&event);
                if let Err(error) = self.write(event) {
                    self.fail(error);
                }
                // A little at a time, so that traffic finds room as soon as there is some.
                if written > RELEASE_AT {
                    shared.release(mem::take(&mut written));
                }
            }
            shared.release(written);
            if let Some(tap) = self.tap.as_mut().filter(|_| !idle) {
                tap.caught_up();
            }
            if let Some(Err(error)) = self.file.as_mut().filter(|_| !idle).map(StreamWriter::flush) {
                self.fail(error);
            }
            if ended {
                break;
            }
        }
        if let Some(mut file) = self.file.take() {
            let mut left = mem::take(&mut self.streams).into_values();
            if let Err(error) = left.try_for_each(|stream| file.end(stream)) {
                self.fail(error);
                return self.summary;
            }
            file.count_lost(shared.queue().lost_connections);
            if let Err(error) = file.finish() {
                self.fail(error);
            }
        }
        self.summary
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        let Event { connection, time, lost, kind } = event;
        self.warn(lost);
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Some(stream) = self.streams.get_mut(&connection) {
            for direction in Direction::BOTH {
                file.lost(stream, direction, lost[direction.index()], time)?;
            }
        }
        match (kind, self.streams.get_mut(&connection)) {
            (EventKind::Opened(ends), _) => {
                self.summary.connections += 1;
                self.streams.insert(connection, file.open(&ends, time)?);
            }
            (EventKind::Refused(ends, why), _) => {
                self.summary.connections += 1;
                file.refused(&ends, time, Some(&format!("rpcshark: the server could not be reached: {why}")))?;
            }
            (EventKind::Data(direction, bytes, descriptors), Some(stream)) => {
                self.summary.bytes[direction.index()] += bytes.len() as u64;
                let comment = match descriptors {
                    0 => None,
                    1 => Some("rpcshark: 1 file descriptor passed".to_owned()),
                    _ => Some(format!("rpcshark: {descriptors} file descriptors passed")),
                };
                file.data(stream, direction, &bytes, time, comment.as_deref())?;
            }
            (EventKind::Closed(direction), Some(stream)) => file.close(stream, direction, time)?,
            (EventKind::Reset(direction), Some(stream)) => file.reset(stream, direction, time)?,
            (EventKind::Ended, _) => {
                if let Some(stream) = self.streams.remove(&connection) {
                    file.end(stream)?;
                }
            }
            (_, None) => {}
        }
        Ok(())
    }

    fn feed_tap(&mut self, event: &Event) {
        let Some(tap) = &mut self.tap else { return };
        let Event { connection, time, lost, kind } = event;
        for direction in Direction::BOTH {
            if lost[direction.index()] > 0 {
                tap.lost(*connection, direction, lost[direction.index()], *time);
            }
        }
        match kind {
            EventKind::Opened(ends) => tap.opened(*connection, ends, *time),
            EventKind::Refused(ends, _) => {
                tap.opened(*connection, ends, *time);
                tap.reset(*connection, Direction::ToClient, *time);
            }
            EventKind::Data(direction, bytes, _) => tap.data(*connection, *direction, bytes, *time),
            EventKind::Closed(direction) => tap.closed(*connection, *direction, *time),
            EventKind::Reset(direction) => tap.reset(*connection, *direction, *time),
            EventKind::Ended => tap.ended(*connection),
        }
    }

    /// Says on standard error that something was lost, at most once a second.
    fn warn(&mut self, lost: [u64; 2]) {
        let lost: u64 = lost.iter().sum();
        self.summary.lost_bytes += lost;
        if lost > 0 && self.warned.is_none_or(|last| last.elapsed() > Duration::from_secs(1)) {
            let total = self.summary.lost_bytes;
            report(format_args!("the recording cannot keep up with the traffic: {total} bytes not recorded so far"));
            self.warned = Some(Instant::now());
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.file = None;
        self.streams.clear();
        if let Some(failed) = self.failed.take() {
            failed(&error);
            self.summary.failure = Some(error);
        }
    }
}

/// Waits for events: for the first one as long as it takes, then a pause for more to come. Says too whether these are
/// the last.
fn next_events(shared: &Shared) -> (Vec<Event>, bool) {
    let mut queue = shared.queue();
    if queue.events.is_empty() && !queue.ended {
        queue.writer_sleeps = true;
        while queue.events.is_empty() && !queue.ended {
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.writer_sleeps = false;
    }
    if queue.waiting <= WAKE_AT && !queue.ended {
        queue.woken = false;
        let (after, _) = shared
            .wake
            .wait_timeout_while(queue, PAUSE, |queue| queue.waiting <= WAKE_AT && !queue.ended)
            .unwrap_or_else(PoisonError::into_inner);
        queue = after;
    }
    queue.woken = true;
    (mem::take(&mut queue.events), queue.ended)
}

/// How long the writer collects events. A killed recorder loses those of the last pause.
const PAUSE: Duration = Duration::from_millis(20);

/// When so many bytes wait, the writer starts before the pause is over.
const WAKE_AT: usize = 1 << 20;

/// Many small packets make one write; a full segment is larger and goes to the file without being copied once more.
const OUT_BUFFER: usize = 32 << 10;

/// After writing so many bytes, their room in the buffer is given back.
const RELEASE_AT: usize = 256 << 10;

/// A limit below this would lose single messages.
const SMALLEST_LIMIT: usize = 256 << 10;
