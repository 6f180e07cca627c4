//! Flow control, RFC 9113 §5.2 and §6.9: the windows of streams and of the connection, and how long senders waited for them.
//!
//! ```text
//!          SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_UPDATE
//!   sender <------------------------------------------ receiver
//!          ------------------------------------------>
//!                             DATA
//! ```
//!
//! A sender may send DATA while both the stream's window and the connection's are above zero. It *waits* from its last DATA (or
//! its headers) to its next DATA for as long as one of them is at zero or below. A wait counts only where data was certainly
//! or very likely ready: see [`Wait::is_followed_promptly`] and [`RpcStream::is_inside_message`].
//!
//! All times are those at which the capture saw the frames. A receiver's window counts as open when its frame was captured, and not
//! when the sender received it.
//!
//! Nothing is known of windows where the beginning of a connection, or bytes after it, are missing. A sender that sends
//! more than its window allows shows that something was missed, or was captured out of order: then its waits are unknown, too.
//!
//! The connection's window concerns all streams, and so does a change of the initial window. Neither goes through the streams, of
//! which there may be many: a stream catches up when something happens on it. For that, [`Sender`] counts the time at which
//! the connection's window was at zero, and remembers earlier initial windows.
//!
//! [`RpcStream::is_inside_message`]: crate::rpc::RpcStream::is_inside_message

use std::collections::VecDeque;

use rpcshark_captures::{Direction, Timestamp};

use super::connection::Http2;
use super::streams::{Carries, Http2Stream};
use crate::Arrival;
use crate::store::{ConnectionId, Lane, Windows};

/// Every window before it is changed (RFC 9113 §6.9.2).
const DEFAULT_WINDOW: u32 = 65_535;

/// No window can be larger (RFC 9113 §6.9.1).
const MAX_WINDOW: i64 = 0x7fff_ffff;

/// Earlier initial windows that are remembered. gRPC's C core adapts its window to the connection, some ten times; a hostile
/// peer changes it with each frame.
const MAX_CHANGES: usize = 64;

/// Earlier than every packet.
const BEFORE_ALL: Timestamp = Timestamp::from_nanos(i64::MIN);

/// Whether a sender kept to its windows, as far as they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Allowed,
    /// More than the stream's window allows.
    BeyondStream,
    /// More than the connection's window allows.
    BeyondConnection,
}

/// Flow control of a connection.
#[derive(Debug)]
pub(super) struct FlowControl {
    /// Whether everything since the connection's beginning was seen.
    is_known: bool,
    /// By the [`Direction::index`] of their DATA.
    senders: [Sender; 2],
}

/// What limits all DATA of one direction.
#[derive(Debug)]
struct Sender {
    /// The connection's window.
    window: i64,
    /// Since when it is at zero.
    zero_since: Option<Timestamp>,
    /// When it rose above zero the last time.
    opened_at: Timestamp,
    /// Nanoseconds for which it was at zero before that.
    zero_ns: i64,
    /// The initial window of streams.
    initial: i64,
    /// Earlier initial windows, the oldest first.
    changes: VecDeque<Change>,
    /// Changes up to this time are forgotten.
    forgotten: Option<Timestamp>,
    /// Some window of this sender has been at zero. Before that there is nothing to do but to count.
    was_at_zero: bool,
}

/// The end of an initial window.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// It was in force until then.
    until: Timestamp,
    initial: i64,
    /// [`Sender::zero_ns`] at that time.
    zero_ns: i64,
}

/// The window of one stream for one sender.
#[derive(Debug)]
pub(super) struct StreamWindow {
    /// Until then, waits are accounted for.
    since: Timestamp,
    /// The window without the initial window: increments less what was sent.
    delta: i32,
    /// DATA was sent, or headers when there was a reason to wait.
    has_begun: bool,
    /// Waits of this sender are not known.
    is_unknown: bool,
    /// What only those need whose sender had to wait.
    waits: Option<Box<Waits>>,
}

// Each stream has two.
const _: () = assert!(size_of::<StreamWindow>() == 24);

impl Default for StreamWindow {
    fn default() -> Self {
        Self { since: BEFORE_ALL, delta: 0, has_begun: false, is_unknown: false, waits: None }
    }
}

/// What is known of the waits of a sender on one stream.
#[derive(Debug, Default)]
struct Waits {
    /// [`Sender::zero_ns`] at the time [`StreamWindow::since`].
    zero_ns: i64,
    /// The current wait.
    current: Option<Wait>,
}

/// How long a sender had to wait since its last DATA.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Nanoseconds for which the stream's window was at zero or below.
    stream_ns: i64,
    /// Nanoseconds for which only the connection's was.
    connection_ns: i64,
    /// When both were open again.
    opened_at: Timestamp,
}

impl Wait {
    /// Whether DATA that begins `at` that time was most likely waiting: it follows sooner than the wait was long. Between two
    /// messages this is the only sign of it.
    fn is_followed_promptly(&self, at: Timestamp) -> bool {
        at.nanos_since(self.opened_at) <= self.stream_ns.saturating_add(self.connection_ns)
    }
}

impl Sender {
    const fn new() -> Self {
        Self {
            window: DEFAULT_WINDOW as i64,
            zero_since: None,
            opened_at: BEFORE_ALL,
            zero_ns: 0,
            initial: DEFAULT_WINDOW as i64,
            changes: VecDeque::new(),
            forgotten: None,
            was_at_zero: false,
        }
    }

    /// Nanoseconds for which the connection's window was at zero until `now`.
    fn zero_until(&self, now: Timestamp) -> i64 {
        let current = self.zero_since.map_or(0, |since| now.nanos_since(since).max(0));
        self.zero_ns.saturating_add(current)
    }

    fn increase(&mut self, increment: u32, now: Timestamp) {
        self.window = (self.window + i64::from(increment)).min(MAX_WINDOW);
        if self.window > 0 && self.zero_since.is_some() {
            self.zero_ns = self.zero_until(now);
            self.zero_since = None;
            self.opened_at = now;
        }
    }

    fn set_initial(&mut self, initial: u32, now: Timestamp) {
        let initial = i64::from(initial);
        if initial == self.initial {
            return;
        }
        if self.changes.len() >= MAX_CHANGES {
            self.forgotten = self.changes.pop_front().map(|change| change.until);
        }
        self.changes.push_back(Change { until: now, initial: self.initial, zero_ns: self.zero_until(now) });
        // A smaller one may take a stream's window below zero.
        self.was_at_zero |= initial < self.initial || initial == 0;
        self.initial = initial;
    }
}

impl StreamWindow {
    /// The sender's headers were sent: from now on, it may wait.
    fn begin(&mut self, sender: &Sender, now: Timestamp) {
        if !self.has_begun {
            self.has_begun = true;
            self.waits = None;
            self.since = now;
            self.set_zero_ns(sender.zero_until(now));
        }
    }

    /// Accounts for the time until `now`.
    fn catch_up(&mut self, sender: &Sender, now: Timestamp) {
        if sender.forgotten.is_some_and(|forgotten| self.since < forgotten) {
            self.is_unknown = true;
        }
        for change in &sender.changes {
            self.pass(change.initial, change.until, change.zero_ns, change.until);
        }
        let opened_at = if sender.zero_since.is_some() { now } else { sender.opened_at };
        self.pass(sender.initial, now, sender.zero_until(now), opened_at);
    }

    /// Accounts for the time until `until`, for which the initial window was `initial`.
    fn pass(&mut self, initial: i64, until: Timestamp, zero_ns: i64, connection_opened_at: Timestamp) {
        let passed = until.nanos_since(self.since);
        if passed <= 0 {
            return;
        }
        let zero = zero_ns.saturating_sub(self.waits.as_ref().map_or(0, |waits| waits.zero_ns));
        let is_at_zero = initial + i64::from(self.delta) <= 0;
        if is_at_zero || zero > 0 {
            let none = Wait { stream_ns: 0, connection_ns: 0, opened_at: until };
            let wait = self.waits.get_or_insert_default().current.get_or_insert(none);
            if is_at_zero {
                wait.stream_ns = wait.stream_ns.saturating_add(passed);
                wait.opened_at = until;
            } else {
                wait.connection_ns = wait.connection_ns.saturating_add(zero.min(passed));
                wait.opened_at = connection_opened_at;
            }
        }
        self.since = until;
        self.set_zero_ns(zero_ns);
    }

    fn set_zero_ns(&mut self, zero_ns: i64) {
        match &mut self.waits {
            Some(waits) => waits.zero_ns = zero_ns,
            None if zero_ns == 0 => {}
            None => self.waits = Some(Box::new(Waits { zero_ns, current: None })),
        }
    }

    /// The current wait, which ends.
    fn take_wait(&mut self) -> Option<Wait> {
        self.waits.as_mut().and_then(|waits| waits.current.take())
    }
}

impl FlowControl {
    /// `from_start`: everything since the connection's beginning was seen.
    pub(super) fn new(from_start: bool) -> Self {
        Self { is_known: from_start, senders: [Sender::new(), Sender::new()] }
    }

    /// Whether a stream's window has to be looked at when its sender begins to send.
    const fn may_wait(&self, direction: Direction) -> bool {
        self.is_known && self.senders[direction.index()].was_at_zero
    }

    /// DATA with `length` bytes of payload is complete; padding counts (RFC 9113 §6.9.1).
    pub(super) fn data(
        &mut self,
        stream: Option<&mut StreamWindow>,
        direction: Direction,
        length: u32,
        now: Timestamp,
    ) -> Sent {
        if !self.is_known || length == 0 {
            return Sent::Allowed;
        }
        let sender = &mut self.senders[direction.index()];
        sender.window -= i64::from(length);
        if sender.window <= 0 {
            sender.was_at_zero = true;
            sender.zero_since.get_or_insert(now);
        }
        let mut sent = if sender.window < 0 { Sent::BeyondConnection } else { Sent::Allowed };
        if let Some(stream) = stream {
            stream.delta = stream.delta.saturating_sub_unsigned(length);
            let window = sender.initial + i64::from(stream.delta);
            sender.was_at_zero |= window <= 0;
            if window < 0 && sent == Sent::Allowed {
                stream.is_unknown = true;
                sent = Sent::BeyondStream;
            }
            stream.since = now;
            stream.has_begun = true;
            if sender.was_at_zero {
                stream.set_zero_ns(sender.zero_until(now));
            }
        }
        sent
    }

    /// The windows of the connection, as far as they are known.
    fn windows(&self) -> Option<Windows> {
        self.is_known.then(|| self.senders.each_ref().map(|sender| sender.window))
    }
}

impl Http2 {
    /// A header block of `direction` is complete on the stream `id`.
    pub(super) fn flow_headers(&mut self, id: u32, direction: Direction, now: Timestamp) {
        if self.flow.may_wait(direction)
            && let Some(stream) = self.streams.get_mut(id)
        {
            stream.flow[direction.index()].begin(&self.flow.senders[direction.index()], now);
        }
    }

    /// The receiver of DATA in `direction` has increased a window.
    pub(super) fn window_update(&mut self, id: u32, direction: Direction, increment: u32, now: Timestamp) {
        if !self.flow.is_known {
            return;
        }
        let sender = &mut self.flow.senders[direction.index()];
        if id == 0 {
            return sender.increase(increment, now);
        }
        let Some(stream) = self.streams.get_mut(id) else { return };
        let window = &mut stream.flow[direction.index()];
        if sender.was_at_zero {
            window.catch_up(sender, now);
        }
        window.delta = window.delta.saturating_add_unsigned(increment);
    }

    /// The initial window of what goes in `direction` is what SETTINGS of its receiver say. A sender may use a larger one as
    /// soon as it was announced, and must keep to a smaller one when it has acknowledged it (RFC 9113 §6.5.3).
    fn update_initial_window(&mut self, direction: Direction, now: Timestamp) {
        let announced = self.senders[direction.reverse().index()].announced_initial_window();
        let in_force = self.senders[direction.index()].initial_window.unwrap_or(DEFAULT_WINDOW);
        let initial = announced.map_or(in_force, |announced| announced.max(in_force));
        self.flow.senders[direction.index()].set_initial(initial, now);
    }

    /// DATA was sent that no window allows: an increment was missed, or the capture is out of order.
    #[cold]
    pub(super) fn sent_beyond(&mut self, sent: Sent, id: u32, lane: &mut Lane) {
        match sent {
            Sent::Allowed => {}
            Sent::BeyondConnection => self.lose_flow(lane),
            Sent::BeyondStream => {
                if let Some(stream) = self.streams.get_mut(id) {
                    forget_stalls(stream, lane);
                }
            }
        }
    }

    /// SETTINGS were announced or acknowledged.
    pub(super) fn update_initial_windows(&mut self, now: Timestamp) {
        Direction::BOTH.into_iter().for_each(|direction| self.update_initial_window(direction, now));
    }

    /// Bytes are missing, or they say what cannot be: windows are not known any more.
    pub(super) fn lose_flow(&mut self, lane: &mut Lane) {
        if !std::mem::take(&mut self.flow.is_known) {
            return;
        }
        lane.connection_mut(self.framing.connection).flow_known = false;
        for (_, stream) in self.streams.in_order() {
            if !stream.completed {
                forget_stalls(stream, lane);
            }
        }
    }

    /// The connection is over, or the capture: keeps its windows, and those of streams that are open.
    pub(super) fn keep_windows(&mut self, connection: ConnectionId, lane: &mut Lane) {
        let Some(windows) = self.flow.windows() else { return };
        lane.connection_mut(connection).windows = Some(Box::new(windows));
        let initial = self.flow.senders.each_ref().map(|sender| sender.initial);
        for (_, stream) in self.streams.in_order().into_iter().filter(|(_, stream)| !stream.completed) {
            let windows = [0, 1].map(|at| initial[at] + i64::from(stream.flow[at].delta));
            if let Some(call) = stream.call() {
                lane.call_mut(call).rare.get_or_insert_default().flow.get_or_insert_default().windows = Some(windows);
            }
        }
    }
}

/// DATA begins on a stream: enters the wait before it.
pub(super) fn data_begins(
    flow: &FlowControl,
    stream: &mut Http2Stream,
    direction: Direction,
    begin: Arrival,
    lane: &mut Lane,
) {
    if !flow.may_wait(direction) {
        return;
    }
    end_wait(flow, stream, direction, begin, true, lane);
}

/// A stream is torn down: a sender that was inside a message was waiting until now.
pub(super) fn stream_torn(flow: &FlowControl, stream: &mut Http2Stream, now: Arrival, lane: &mut Lane) {
    for direction in Direction::BOTH {
        if flow.may_wait(direction) && stream.state.is_open(direction) {
            end_wait(flow, stream, direction, now, false, lane);
        }
    }
}

fn end_wait(
    flow: &FlowControl,
    stream: &mut Http2Stream,
    direction: Direction,
    now: Arrival,
    is_followed: bool,
    lane: &mut Lane,
) {
    let window = &mut stream.flow[direction.index()];
    window.catch_up(&flow.senders[direction.index()], now.time);
    let is_unknown = window.is_unknown;
    let wait = window.take_wait();
    if is_unknown {
        return forget_stalls(stream, lane);
    }
    let (Some(wait), Carries::Rpc(rpc)) = (wait, &stream.carries) else { return };
    let was_ready = rpc.is_inside_message(direction) || is_followed && wait.is_followed_promptly(now.time);
    if was_ready && let Some(call) = rpc.call() {
        let nanos = |nanos: i64| u64::try_from(nanos).unwrap_or(0);
        lane.call_mut(call).add_stall(direction, nanos(wait.stream_ns), nanos(wait.connection_ns), now.packet);
    }
}

/// What is known of the waits of a stream's call is not all of them.
fn forget_stalls(stream: &Http2Stream, lane: &mut Lane) {
    if let Some(call) = stream.call() {
        let call = lane.call_mut(call);
        call.flow_known = false;
        if let Some(rare) = &mut call.rare {
            rare.flow = None;
        }
    }
}
