//! Carrying out a plan: calls are started in the recorded order, as their gates and the clock allow.
//!
//! The engine runs on one thread of its own. It sees the frames of its connections ([`Frames`](super::wire::Frames)), so it knows
//! at once what was written and what has come. The bytes go into the live record ([`Live`]) on the thread that reads the events.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::store::{EventOrder, Occurrence};
use rpcshark_dissectors::view::{CallView, Scratch};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::active::{Active, Ending};
use super::clock::Clock;
use super::connections::Pool;
use super::control::Control;
use super::edit::Captured;
use super::event::{CutShort, Ended, Event, Finished, How, PlanIx, Timing};
use super::gates::Gates;
use super::headers::HeaderPolicy;
use super::journal::Journal;
use super::live::Live;
use super::outbox::Outbox;
use super::plan::Plan;
use super::recording::Recording;
use super::script::{Finish, Script};
use super::settings::{OnStall, Pace, Settings};
use super::wire::Seen;
use crate::cli::FileBodies;
use crate::load::StoreGuard;

/// A replay that is running.
pub(crate) struct Running {
    outbox: Arc<Outbox>,
    /// Pauses and ends it.
    pub(crate) control: Arc<Control>,
    /// All that is sent and received, up to the event that was read last, at least.
    pub(crate) live: Arc<Mutex<Live>>,
    thread: Option<JoinHandle<()>>,
}

/// What a replay needs.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) recording: Arc<Recording>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) headers: Arc<HeaderPolicy>,
    /// Where calls are written down before they are sent.
    pub(crate) journal: Option<Arc<Mutex<Journal>>>,
}

/// Calls that are looked at before they can start. Bounds memory, not what runs at once.
const WINDOW: usize = 1024;

/// How often calls are looked at that may have stalled.
const WATCH: Duration = Duration::from_millis(200);

/// How long connections have at the end to close.
const GOODBYE: Duration = Duration::from_secs(1);

impl Running {
    /// Begins to carry out a plan. What is sent and received goes to `live`.
    ///
    /// # Errors
    ///
    /// If no thread can be made.
    pub(crate) fn start(work: Work, live: Live) -> std::io::Result<Self> {
        let outbox = Arc::new(Outbox::default());
        let control = Arc::new(Control::default());
        let live = Arc::new(Mutex::new(live));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (its_outbox, its_control, its_live) = (Arc::clone(&outbox), Arc::clone(&control), Arc::clone(&live));
        let thread = std::thread::Builder::new().name("replay".into()).spawn(move || {
            let _closing = Closing(Arc::clone(&its_outbox));
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, Engine::run(work, its_outbox, its_control, its_live));
        })?;
        Ok(Self { outbox, control, live, thread: Some(thread) })
    }

    /// The next event; `None` after the last one. Dissects what was sent and received until then.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.outbox.next(&self.live)
    }

    /// An event that waits, if there is one.
    pub(crate) fn try_next(&mut self) -> Option<Event> {
        self.outbox.try_next(&self.live)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.stop(CutShort::Stopped);
        self.outbox.abandon();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Tells the reader that nothing more comes, however the thread of the engine ends.
struct Closing(Arc<Outbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The state of a replay.
pub(crate) struct Engine {
    pub(crate) recording: Arc<Recording>,
    /// The recording does not change any more.
    pub(crate) store: StoreGuard,
    pub(crate) plan: Arc<Plan>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) headers: Arc<HeaderPolicy>,
    pub(crate) control: Arc<Control>,
    pub(crate) live: Arc<Mutex<Live>>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) gates: RefCell<Gates>,
    pub(crate) clock: Clock,
    pub(crate) pool: Pool,
    /// Tasks that drive connections.
    pub(crate) drivers: RefCell<JoinSet<()>>,
    /// How many calls are in progress or wait to start.
    running: Cell<usize>,
    /// Those that have a stream, by connection and stream.
    pub(crate) streams: RefCell<HashMap<(u32, u32), Rc<Active>>>,
    /// Connections so far.
    pub(crate) connections: Cell<u32>,
    /// Calls that are not over and have an end in the recording.
    unfinished: Cell<usize>,
    /// All calls were looked at.
    is_dispatched: Cell<bool>,
    /// All calls are over.
    pub(crate) is_over: Cell<bool>,
    /// `unfinished` or `is_dispatched` has changed.
    pub(crate) quiet: Notify,
    pub(crate) window: Semaphore,
    pub(crate) concurrency: Semaphore,
    pub(crate) retried: Cell<u64>,
    /// Calls that stalled or lost their connections.
    errors: Cell<u64>,
    /// When the next call may start, at the earliest.
    next_start: Cell<Option<Instant>>,
    /// Values of answers that are needed in requests.
    pub(crate) captured: Captured,
    pub(crate) journal: Option<Arc<Mutex<Journal>>>,
}

impl Engine {
    async fn run(work: Work, outbox: Arc<Outbox>, control: Arc<Control>, live: Arc<Mutex<Live>>) {
        let Work { recording, plan, settings, headers, journal } = work;
        let sent = match settings.max_gap {
            Some(_) => plan.sent_times(&recording),
            None => plan.calls.iter().take(1).map(|call| call.start).collect(),
        };
        let engine = Rc::new(Self {
            store: recording.shared.read(),
            recording,
            clock: Clock::start(&sent, settings.speed, settings.max_gap),
            gates: RefCell::new(Gates::new(settings.order, settings.pace == Pace::Think)),
            plan,
            headers,
            control,
            live,
            outbox,
            pool: Pool::default(),
            drivers: RefCell::default(),
            running: Cell::default(),
            streams: RefCell::default(),
            connections: Cell::default(),
            unfinished: Cell::new(0),
            is_dispatched: Cell::new(false),
            is_over: Cell::new(false),
            quiet: Notify::new(),
            window: Semaphore::new(WINDOW),
            concurrency: Semaphore::new(settings.concurrency),
            settings,
            retried: Cell::new(0),
            errors: Cell::default(),
            next_start: Cell::default(),
            captured: Captured::default(),
            journal,
        });
        engine.expect_captures();
        drop(sent);
        let began = engine.now();
        let watch = tokio::task::spawn_local(Rc::clone(&engine).watch());
        let outbox = Arc::clone(&engine.outbox);
        let stopping = tokio::task::spawn_local(Rc::clone(&engine).wake_all_at_the_end());
        let waking = tokio::task::spawn_local(async move { outbox.wake_reader_in_time().await });
        engine.dispatch().await;
        engine.is_over.set(true);
        watch.abort();
        stopping.abort();
        // Connections close when their last call is over.
        engine.pool.open.borrow_mut().clear();
        let mut drivers = engine.drivers.take();
        let _ = timeout(GOODBYE, async { while drivers.join_next().await.is_some() {} }).await;
        drivers.shutdown().await;
        waking.abort();
        let capture_fault = {
            let mut live = engine.live.lock();
            engine.outbox.absorb(&mut live);
            live.finish_capture().map(|error| error.to_string())
        };
        let finished = Finished {
            began: Some(began),
            ended: Some(engine.now()),
            retried: engine.retried.get(),
            cut_short: engine.control.why(),
            capture_fault,
        };
        engine.outbox.event(Event::Finished(finished));
    }

    /// Looks at all calls in their order, and lets each begin when it may.
    async fn dispatch(self: &Rc<Self>) {
        for ix in 0..self.plan.calls.len() as u32 {
            self.pool.expect(self.conn_key(ix));
        }
        for ix in 0..self.plan.calls.len() as u32 {
            let Ok(permit) = self.window.acquire().await else { break };
            permit.forget();
            if self.plan.calls[ix as usize].finish != Finish::Open {
                self.unfinished.set(self.unfinished.get() + 1);
            }
            match self.script(ix).filter(|_| !self.control.is_stopped()) {
                Some(script) => {
                    let active = Active::new(ix, script);
                    let call = &self.plan.calls[ix as usize];
                    let start = active.script.start.order;
                    self.gates.borrow_mut().add(ix, call.connection, start, active.frontier());
                    self.running.set(self.running.get() + 1);
                    tokio::task::spawn_local(Rc::clone(self).run_call(active));
                }
                None => {
                    self.window.add_permits(1);
                    let how = How::Skipped("the replay was ended before it".to_owned());
                    self.over(ix, None, how, Timing::default(), Vec::new()).await;
                }
            }
        }
        self.is_dispatched.set(true);
        self.quiet.notify_waiters();
        loop {
            let quiet = self.quiet.notified();
            if self.running.get() == 0 {
                return;
            }
            quiet.await;
        }
    }

    fn script(&self, ix: u32) -> Option<Script> {
        let at = self.plan.calls[ix as usize].at;
        let deadline = self.recording.viewer_to_send(&self.store).call(at).deadline_ns().value();
        Script::of(&self.store, at, deadline).ok()
    }

    async fn run_call(self: Rc<Self>, active: Rc<Active>) {
        let mut timing = Timing::default();
        let mut mapped = Vec::new();
        let how = self.carry_out(&active, &mut timing, &mut mapped).await;
        timing.ended = timing.started.map(|_| self.now());
        let key = active.key.get();
        if let Some(key) = key {
            self.streams.borrow_mut().remove(&key);
        }
        self.gates.borrow_mut().remove(active.ix);
        self.over(active.ix, key, how, timing, mapped).await;
        self.running.set(self.running.get() - 1);
        if self.running.get() == 0 {
            self.quiet.notify_waiters();
        }
    }

    /// A call is over.
    async fn over(&self, ix: u32, key: Option<(u32, u32)>, how: How, timing: Timing, mapped: Vec<(Vec<u8>, Vec<u8>)>) {
        if self.plan.calls[ix as usize].finish != Finish::Open {
            self.unfinished.set(self.unfinished.get() - 1);
            if self.is_quiet() {
                self.quiet.notify_waiters();
            }
        }
        self.pool.done(self.conn_key(ix));
        let mut mapped = mapped;
        mapped.extend(self.bring_captures(ix, key));
        let word = match &how {
            How::Answered => "answered",
            How::Cancelled => "cancelled",
            How::Deadline => "deadline",
            How::Stalled(_) => "stalled",
            How::ConnectionLost(_) => "connection-lost",
            How::Skipped(_) => "skipped",
        };
        if matches!(how, How::Stalled(_) | How::ConnectionLost(_)) {
            self.errors.set(self.errors.get() + 1);
            if let Some(most) = self.settings.max_errors.filter(|&most| self.errors.get() >= most) {
                self.control.stop(CutShort::Aborted(format!("{most} calls stalled or lost their connections")));
            }
        }
        // What was not sent can be sent when the replay is continued.
        if timing.started.is_some()
            && let Some(journal) = &self.journal
            && let Err(error) = journal.lock().over(self.plan.calls[ix as usize].no, word)
        {
            self.control.stop(CutShort::Aborted(error.to_string()));
        }
        let ended = Ended { call: PlanIx(ix), live: None, how, timing, mapped };
        self.outbox.ended(Box::new(ended), key).await;
    }

    /// Learns which answers of the recording hold values that are captured.
    fn expect_captures(&self) {
        if self.headers.edits.captures.is_empty() {
            return;
        }
        for (ix, call) in (0..).zip(&self.plan.calls) {
            let view = self.recording.viewer_to_send(&self.store).call(call.at);
            for (name, values) in self.captures_of(ix, &view) {
                values.into_iter().for_each(|value| self.captured.expect(&name, value, ix));
            }
        }
    }

    /// What the captures find in the answers of a call.
    fn captures_of(&self, ix: u32, call: &CallView<'_>) -> Vec<(String, Vec<Vec<u8>>)> {
        let method = &self.plan.methods[self.plan.calls[ix as usize].method as usize].name;
        let mut scratch = Scratch::default();
        let mut found = Vec::new();
        for capture in self.headers.edits.captures.iter().filter(|capture| capture.is_of(method)) {
            let mut values = Vec::new();
            for message in call.messages(Direction::ToClient) {
                let ix = message.type_ix();
                if let (Some(ix), Some(content)) = (ix.value(), message.body(&mut scratch).content()) {
                    values.extend(capture.values(call.schema(), ix, content));
                }
            }
            found.push((capture.name.clone(), values));
        }
        found
    }

    /// Takes the live values of captures from the answers of a call that is over. Gives recorded values and live ones.
    fn bring_captures(&self, ix: u32, key: Option<(u32, u32)>) -> Vec<(Vec<u8>, Vec<u8>)> {
        if self.headers.edits.captures.is_empty() {
            return Vec::new();
        }
        let view = self.recording.viewer_to_send(&self.store).call(self.plan.calls[ix as usize].at);
        let recorded = self.captures_of(ix, &view);
        if recorded.is_empty() {
            return Vec::new();
        }
        let mut live = self.live.lock();
        self.outbox.absorb(&mut live);
        let bodies = FileBodies(Arc::clone(live.sources()));
        let at = key.and_then(|(connection, stream)| live.call(connection, stream));
        let mut brought = match at {
            Some(at) => {
                let viewer = self.recording.viewer_to_capture(live.store(), &bodies);
                self.captures_of(ix, &viewer.call(at))
            }
            None => Vec::new(),
        };
        brought.resize_with(recorded.len(), Default::default);
        let pairs = recorded.into_iter().zip(brought);
        pairs.flat_map(|((name, recorded), (_, live))| self.captured.bring(&name, ix, recorded, live)).collect()
    }

    /// Whether all calls that have an end are over.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_dispatched.get() && self.unfinished.get() == 0
    }

    /// Tells something.
    pub(crate) fn tell(&self, event: Event) {
        self.outbox.event(event);
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.time_of_day(Instant::now())
    }

    /// Takes in what was seen on a connection.
    pub(crate) fn see(&self, connection: u32, direction: Direction, seen: Seen<'_>) {
        let is_server = direction == Direction::ToClient;
        match seen {
            Seen::Settings if is_server => {
                if let Some(conn) = self.pool.open.borrow().get(&connection) {
                    conn.is_ready.set(true);
                    conn.changed.notify_waiters();
                    conn.changed.notify_one();
                }
            }
            Seen::Goaway { last_stream } if is_server => {
                if let Some(conn) = self.pool.open.borrow().get(&connection) {
                    conn.is_draining.set(true);
                    conn.changed.notify_waiters();
                }
                for (&(on, stream), active) in &*self.streams.borrow() {
                    if on == connection && stream > last_stream {
                        active.end(Ending::Goaway);
                        active.changed.notify_waiters();
                    }
                }
            }
            _ => {
                let Some(stream) = seen.stream() else { return };
                let Some(active) = self.streams.borrow().get(&(connection, stream)).cloned() else { return };
                let messages = active.see(direction, seen);
                self.moved(&active, is_server, messages);
            }
        }
    }

    /// Something of a call was seen: so many messages, or another thing.
    fn moved(&self, active: &Active, is_server: bool, messages: u32) {
        if messages > 0 && active.has_streams() && self.outbox.has_room() {
            let (sent, received) = (active.sent.get(), active.received.get());
            self.tell(Event::Progress { call: PlanIx(active.ix), sent, received });
        }
        if !is_server {
            if active.is_flushing.get() {
                active.changed.notify_waiters();
            }
            return;
        }
        // A call that the server has not processed is sent again: until then nothing continues that waits for it.
        let is_unprocessed = active.ended.get().is_some_and(Ending::is_unprocessed);
        let (told, progress) = (active.told.get(), active.progress());
        if progress > told && !is_unprocessed {
            let now = Instant::now();
            active.last_heard.set(Some(now));
            active.due_since.set(None);
            let mut gates = self.gates.borrow_mut();
            for done in told..progress {
                gates.server_did(active.ix, now, active.script.server.get(done + 1).copied());
            }
            active.told.set(progress);
        }
        active.changed.notify_waiters();
    }

    /// A connection has ended: so have its calls.
    pub(crate) fn lose(&self, connection: u32, why: &str) {
        for (key, active) in &*self.streams.borrow() {
            if key.0 == connection {
                active.lost.borrow_mut().get_or_insert_with(|| why.to_owned());
                active.changed.notify_waiters();
            }
        }
    }

    /// Waits until nothing that `on` depends on in other calls is missing.
    pub(crate) async fn pass_gates(&self, ix: u32, on: &Occurrence, is_start: bool) {
        let waiter = Rc::new(Notify::new());
        loop {
            let blocker = self.gates.borrow().blocker(ix, on, is_start);
            let Some(blocker) = blocker else { return };
            self.gates.borrow_mut().wait_for(blocker, &waiter);
            waiter.notified().await;
        }
    }

    /// Waits until `due`, and as long as the replay is paused: pauses delay what is due. Gives when it was due then.
    pub(crate) async fn wait_until(&self, due: Instant) -> Instant {
        let asked = Instant::now();
        if asked >= due && !self.control.is_paused() {
            return due;
        }
        loop {
            if self.control.is_paused() {
                self.control.while_paused().await;
            }
            let shifted = due + self.control.paused_since(asked);
            if Instant::now() >= shifted {
                return shifted;
            }
            tokio::select! {
                () = sleep_until(shifted) => {}
                () = self.control.paused() => {}
            }
        }
    }

    /// `due`, which was counted from `from`: pauses since then do not count.
    pub(crate) fn without_pauses(&self, from: Instant, due: Instant) -> Instant {
        due + self.control.paused_since(from)
    }

    /// When a call is to begin.
    pub(crate) fn due_start(&self, active: &Active) -> Instant {
        let on = &active.script.start;
        let clock = &self.clock;
        match self.settings.pace {
            Pace::Asap => Instant::now(),
            Pace::Rate(rate) => {
                let due = clock.began() + Duration::from_secs_f64(f64::from(active.ix) / rate);
                self.without_pauses(clock.began(), due)
            }
            Pace::Recorded => self.without_pauses(clock.began(), clock.scheduled(on.at)),
            Pace::Think => match self.gates.borrow().reference(active.ix, on) {
                Some(reference) => {
                    let due = clock.after(reference.live, reference.recorded, on.at);
                    self.without_pauses(reference.live, due)
                }
                None => self.without_pauses(clock.began(), clock.scheduled(on.at)),
            },
        }
    }

    /// Waits until another call may start (`--max-rate`).
    pub(crate) async fn wait_for_rate(&self) {
        let Some(rate) = self.settings.max_rate else { return };
        let start = self.next_start.get().map_or_else(Instant::now, |next| next.max(Instant::now()));
        self.next_start.set(Some(start + Duration::from_secs_f64(1.0 / rate)));
        sleep_until(start).await;
    }

    /// When the replay is ended, lets all calls that are in progress know.
    async fn wake_all_at_the_end(self: Rc<Self>) {
        self.control.stopped().await;
        self.streams.borrow().values().for_each(|active| active.changed.notify_waiters());
        self.pool.open.borrow().values().for_each(|conn| conn.changed.notify_waiters());
    }

    /// Finds calls that wait for what does not come.
    async fn watch(self: Rc<Self>) {
        loop {
            sleep(WATCH).await;
            if self.control.is_paused() {
                continue;
            }
            let first_pending = self.gates.borrow().first_pending();
            let now = Instant::now();
            let active: Vec<Rc<Active>> = self.streams.borrow().values().cloned().collect();
            for active in active {
                if active.stalled.borrow().is_some() || active.ended.get().is_some() || active.is_reset.get() {
                    continue;
                }
                if self.has_stalled(&active, first_pending, now) {
                    self.stall(&active);
                }
            }
        }
    }

    fn has_stalled(&self, active: &Active, first_pending: Option<EventOrder>, now: Instant) -> bool {
        let resumed = self.control.resumed_at();
        if let Some(since) = active.blocked_since.get()
            && now - resumed.map_or(since, |resumed| resumed.max(since)) > self.settings.stall_after
        {
            return true;
        }
        let Some(event) = active.frontier() else { return false };
        // As long as a client has something to do that came before it, the server may wait for that.
        if first_pending.is_some_and(|order| order < event.order) {
            active.due_since.set(None);
            return false;
        }
        let since = active.due_since.get().unwrap_or(now);
        active.due_since.set(Some(since));
        let since = active.last_heard.get().max(resumed).map_or(since, |later| later.max(since));
        now - since > self.stall_limit(active, event.at)
    }

    /// How long what came at `at` is waited for: ten times as long as it took then, and at least some seconds.
    fn stall_limit(&self, active: &Active, at: Timestamp) -> Duration {
        let before = active.progress().checked_sub(1).and_then(|last| active.script.server.get(last));
        let sent = active.script.steps.iter().map(|step| step.on.at).filter(|&sent| sent <= at).max();
        let reference = before.map(|event| event.at).max(sent).unwrap_or(active.script.start.at);
        let gap = u64::try_from(at.nanos_since(reference)).unwrap_or(0);
        Duration::from_nanos(gap.saturating_mul(10)).max(self.settings.stall_after)
    }

    fn stall(&self, active: &Active) {
        match self.settings.on_stall {
            OnStall::Send
                if active.blocked_since.get().is_none() && active.at_step.get() < active.script.steps.len() =>
            {
                active.waived.set(active.waived.get() + 1);
                active.told.set(active.progress());
                active.due_since.set(None);
                self.gates.borrow_mut().server_did(active.ix, Instant::now(), active.frontier());
            }
            OnStall::Abort => {
                let no = self.plan.calls[active.ix as usize].no;
                let text = active.position();
                active.stalled.replace(Some(text.clone()));
                self.control.stop(CutShort::Aborted(format!("call {no} {text}")));
            }
            _ => drop(active.stalled.replace(Some(active.position()))),
        }
        active.changed.notify_waiters();
    }
}
