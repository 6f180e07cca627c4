//! Carrying out one call: its gates, its start, its steps, its end.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use rpcshark_captures::Direction;
use rpcshark_dissectors::grpc::{Encoding, compress};
use rpcshark_dissectors::store::Protocol;
use rpcshark_dissectors::view::{CallView, MessageView, Scratch};
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::active::{Active, Ending};
use super::connections::{Client, Conn};
use super::edit::Found;
use super::engine::Engine;
use super::event::{CutShort, Event, How, PlanIx, Timing};
use super::headers::{deadline_of, is_get};
use super::plan::TTRPC_REMOTE_OPEN;
use super::script::{Finish, Step, StepKind};
use super::settings::Pace;
use crate::address::Address;
use crate::rpc::{DrainError, GrpcStream, Wire, drain};

/// Why a call does not continue as recorded.
enum Interrupt {
    Ended(Ending),
    /// Its connection; why is in [`Active::lost`].
    Lost,
    Stalled(String),
    Deadline,
    Stopped,
    /// Something of it cannot be sent.
    Unsendable(String),
}

/// How one try went.
enum Try {
    Over(How),
    /// The server has provably not processed the call.
    Unprocessed(String),
}

/// How often a call is sent again that a server has not processed.
const MAX_TRIES: u32 = 5;

/// The pause before that.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How many times as long as the recorded answer a live one may be, in bytes, and how long it may be in any case: a server that
/// sends without end would fill the disk.
const ANSWER_FACTOR: u64 = 16;
const MAX_SMALL_ANSWER: u64 = 64 << 20;

/// How long a message may take to be written before a stream is cancelled all the same.
const LONGEST_FLUSH: Duration = Duration::from_secs(5);

/// How long a reset may take to be written.
const LONGEST_RESET: Duration = Duration::from_secs(1);

impl Engine {
    /// Carries out a call.
    pub(crate) async fn carry_out(
        self: &Rc<Self>,
        active: &Rc<Active>,
        timing: &mut Timing,
        mapped: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> How {
        let ix = active.ix;
        let stopped = || How::Skipped("the replay was ended before it".to_owned());
        // What is ready at once comes first: waiting for the end costs more than most calls have to wait.
        let mut stop = std::pin::pin!(self.control.stopped());
        if self.control.is_stopped() {
            self.window.add_permits(1);
            return stopped();
        }
        let waited = tokio::select! {
            biased;
            due = async {
                self.pass_gates(ix, &active.script.start, true).await;
                let due = self.due_start(active);
                let due = self.wait_until(due).await;
                self.wait_for_rate().await;
                let permit = match active.script.finish {
                    // Such calls would take room from all others to the end.
                    Finish::Open => None,
                    _ => self.concurrency.acquire().await.ok(),
                };
                (due, permit)
            } => Some(due),
            () = &mut stop => None,
        };
        self.window.add_permits(1);
        let Some((due, _permit)): Option<(Instant, Option<SemaphorePermit<'_>>)> = waited else { return stopped() };
        timing.due = Some(self.clock.time_of_day(due));
        if self.control.is_stopped() {
            return stopped();
        }
        let edited = tokio::select! {
            biased;
            edited = self.edited(ix, mapped) => edited,
            () = &mut stop => return stopped(),
        };
        let edited = match edited {
            Ok(edited) => edited,
            Err(why) => return How::Skipped(why),
        };
        if let Some(journal) = &self.journal
            && let Err(error) = journal.lock().begun(self.plan.calls[ix as usize].no)
        {
            self.control.stop(CutShort::Aborted(error.to_string()));
            return How::Skipped("it could not be written to the journal".to_owned());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            if self.control.is_stopped() {
                return stopped();
            }
            let conn = tokio::select! {
                biased;
                conn = self.connection(self.conn_key(ix)) => conn,
                () = &mut stop => return stopped(),
            };
            let conn = match conn {
                Ok(conn) => conn,
                Err(why) => return How::ConnectionLost(why),
            };
            match self.attempt(active, &conn, due, timing, edited.as_deref()).await {
                Try::Over(how) => return how,
                Try::Unprocessed(why) if tries >= MAX_TRIES => {
                    return How::ConnectionLost(format!("{why}; it was sent {tries} times"));
                }
                Try::Unprocessed(_) => {
                    self.retried.set(self.retried.get() + 1);
                    if let Some(key) = active.key.take() {
                        self.streams.borrow_mut().remove(&key);
                        self.outbox.forget(key.0, key.1);
                    }
                    active.begin_again();
                    tokio::time::sleep(RETRY_PAUSE * tries).await;
                }
            }
        }
    }

    /// Sends a call once.
    async fn attempt(
        self: &Rc<Self>,
        active: &Rc<Active>,
        conn: &Rc<Conn>,
        due: Instant,
        timing: &mut Timing,
        edited: Option<&[Bytes]>,
    ) -> Try {
        if let Client::Grpc(client) = &conn.client {
            let began = Instant::now();
            while conn.open.get() >= client.max_streams() && conn.down.borrow().is_none() {
                if self.control.is_stopped() {
                    return Try::Over(How::Skipped("the replay was ended before it".to_owned()));
                }
                if timeout(self.settings.stall_after, conn.changed.notified()).await.is_err() {
                    let limit = client.max_streams();
                    let text = format!(
                        "stalled before its start: the server allows {limit} calls at once, and none of them ends"
                    );
                    return Try::Over(How::Stalled(text));
                }
            }
            timing.slot_wait += began.elapsed();
        }
        if let Some(why) = conn.down.borrow().clone() {
            return Try::Unprocessed(why);
        }
        conn.open.set(conn.open.get() + 1);
        let result = self.send(active, conn, due, timing, edited).await;
        conn.open.set(conn.open.get() - 1);
        conn.changed.notify_one();
        result
    }

    async fn send(
        self: &Rc<Self>,
        active: &Rc<Active>,
        conn: &Rc<Conn>,
        due: Instant,
        timing: &mut Timing,
        edited: Option<&[Bytes]>,
    ) -> Try {
        let call = self.recording.viewer_to_send(&self.store).call(self.plan.calls[active.ix as usize].at);
        let messages = Outgoing { messages: call.messages(Direction::ToServer).collect(), edited };
        let mut sending = match self.open(active, conn, &call, &messages, timing).await {
            Ok(sending) => sending,
            Err(result) => return result,
        };
        if let Some(deadline) = deadline_of(&call, self.settings.deadline) {
            active.deadline.set(Some(Instant::now() + deadline));
        }
        let result = self.steps(active, &mut sending, &messages, due).await;
        let how = match result {
            Ok(()) => match self.finish(active).await {
                Ok(()) => {
                    let code = match active.script.steps.last().map(|step| step.kind) {
                        Some(StepKind::Cancel(code)) => code,
                        _ => u32::from(Reason::CANCEL),
                    };
                    self.cancel(active, &mut sending, code).await;
                    How::Cancelled
                }
                Err(interrupt) => match self.interrupted(active, &mut sending, interrupt).await {
                    Ok(how) => how,
                    Err(why) => return Try::Unprocessed(why),
                },
            },
            Err(interrupt) => match self.interrupted(active, &mut sending, interrupt).await {
                Ok(how) => how,
                Err(why) => return Try::Unprocessed(why),
            },
        };
        Try::Over(how)
    }

    /// What becomes of a call that was interrupted. An error: the server has not processed it.
    async fn interrupted(&self, active: &Active, sending: &mut Sending, interrupt: Interrupt) -> Result<How, String> {
        let how = match interrupt {
            Interrupt::Ended(ending) if ending.is_unprocessed() => {
                return Err(match ending {
                    Ending::Goaway => "the server closed the connection without processing the call".to_owned(),
                    _ => "the server refused the stream".to_owned(),
                });
            }
            Interrupt::Ended(_) => return Ok(How::Answered),
            Interrupt::Lost => self.lost_or_unprocessed(active)?,
            Interrupt::Stalled(text) => How::Stalled(text),
            Interrupt::Deadline => How::Deadline,
            Interrupt::Stopped => How::Skipped("the replay was ended while it was in progress".to_owned()),
            Interrupt::Unsendable(why) => How::Skipped(why),
        };
        if !matches!(how, How::ConnectionLost(_)) {
            sending.reset(Reason::CANCEL);
            self.wait_for_reset(active, sending).await;
        }
        Ok(how)
    }

    fn lost_or_unprocessed(&self, active: &Active) -> Result<How, String> {
        let why = active.lost.borrow().clone().unwrap_or_else(|| "the server closed the connection".to_owned());
        // What was not written was not processed.
        if active.is_begun.get() { Ok(How::ConnectionLost(why)) } else { Err(why) }
    }

    /// Begins the call on its connection.
    async fn open(
        self: &Rc<Self>,
        active: &Rc<Active>,
        conn: &Conn,
        call: &CallView<'_>,
        messages: &Outgoing<'_>,
        timing: &mut Timing,
    ) -> Result<Sending, Try> {
        let skipped = |why: String| Try::Over(How::Skipped(why));
        let begun = |stream: u32| {
            let key = (conn.no, stream);
            active.key.set(Some(key));
            self.streams.borrow_mut().insert(key, Rc::clone(active));
            let steps = active.script.steps.get(self.first_step(active, call)..).unwrap_or_default();
            self.gates.borrow_mut().client_did(active.ix, steps.first().map(|step| step.on.order));
        };
        let now = self.now();
        timing.started = Some(now);
        self.tell(Event::Started { call: PlanIx(active.ix), due: timing.due.unwrap_or(now), at: now });
        match &conn.client {
            Client::Grpc(client) => {
                let target = &self.plan.targets[usize::from(self.plan.calls[active.ix as usize].target)].address;
                let (scheme, authority) = authority(target, self.settings.authority.as_deref());
                let request = self.headers.grpc(call, scheme, &authority, self.settings.deadline).map_err(skipped)?;
                let first = self.first_step(active, call);
                let end = first > 0;
                let (send, response) =
                    client.call(request, end).await.map_err(|error| Try::Unprocessed(error.to_string()))?;
                begun(send.id());
                active.at_step.set(first);
                let recorded: u64 = call.messages(Direction::ToClient).map(|message| u64::from(message.length())).sum();
                let limit = recorded.saturating_mul(ANSWER_FACTOR).max(MAX_SMALL_ANSWER);
                let its = Rc::clone(active);
                let answer = tokio::task::spawn_local(async move {
                    let Err(error) = drain(response, limit).await else { return };
                    // What was seen on the connection says more, where it says anything.
                    if its.ended.get().is_some() {
                        return;
                    }
                    match error {
                        DrainError::Lost(error) => drop(its.lost.borrow_mut().get_or_insert(error.to_string())),
                        DrainError::TooLong(_) => drop(its.stalled.replace(Some(error.to_string()))),
                    }
                    its.changed.notify_waiters();
                });
                Ok(Sending::Grpc { send, answer, wire: Wire::of(call) })
            }
            Client::Ttrpc(client) => {
                let request = self.headers.ttrpc(call, self.settings.deadline).map_err(skipped)?;
                let first = self.first_step(active, call);
                let opens = call.ttrpc_flags() & TTRPC_REMOTE_OPEN != 0;
                let payload = match first > 0 && !opens {
                    true => messages.get(0).map_err(skipped)?.1,
                    false => Bytes::new(),
                };
                let mut id = 0;
                let sent = client.request(&request, &payload, call.ttrpc_flags(), |stream| {
                    id = stream;
                    begun(stream);
                });
                if let Err(error) = sent.await {
                    return Err(match error.kind() {
                        std::io::ErrorKind::InvalidInput => skipped(error.to_string()),
                        _ => Try::Unprocessed(error.to_string()),
                    });
                }
                active.at_step.set(first);
                Ok(Sending::Ttrpc { conn: id })
            }
        }
    }

    /// The first step that is not part of the call's beginning: an empty request ends with its headers, and a ttrpc Request holds
    /// the first message and may end the client's side.
    fn first_step(&self, active: &Active, call: &CallView<'_>) -> usize {
        let begin = active.script.start.end;
        let is_part = |step: &Step| step.on.end == begin && !matches!(step.kind, StepKind::Cancel(_));
        match call.protocol() {
            Protocol::Ttrpc => active.script.steps.iter().take_while(|step| is_part(step)).count(),
            // The message is in the path.
            _ if is_get(call) => {
                let is_cancel = |step: &Step| matches!(step.kind, StepKind::Cancel(_));
                active.script.steps.iter().take_while(|step| !is_cancel(step)).count()
            }
            _ => {
                let first = active.script.steps.first();
                usize::from(first.is_some_and(|step| is_part(step) && step.kind == StepKind::HalfClose))
            }
        }
    }

    /// The client's steps after the beginning.
    async fn steps(
        &self,
        active: &Active,
        sending: &mut Sending,
        messages: &Outgoing<'_>,
        due: Instant,
    ) -> Result<(), Interrupt> {
        // What the time of the next step is counted from: the step before it, when it was to be done.
        let mut before = (active.script.start.at, due);
        let steps = &active.script.steps;
        for (at, step) in steps.iter().enumerate().skip(active.at_step.get()) {
            active.at_step.set(at);
            let due = {
                let ready = async {
                    while active.progress() < step.gate {
                        active.changed.notified().await;
                    }
                    self.pass_gates(active.ix, &step.on, false).await;
                    let due = self.due_step(active, step, before);
                    self.wait_until(due).await
                };
                if let Some(interrupt) = self.interrupted_now(active) {
                    return Err(interrupt);
                }
                tokio::select! {
                    biased;
                    due = ready => due,
                    interrupt = self.interrupt(active) => return Err(interrupt),
                }
            };
            before = (step.on.at, due);
            match step.kind {
                StepKind::Message { number, end } => {
                    let (compressed, payload) = messages.get(number as usize).map_err(Interrupt::Unsendable)?;
                    active.blocked_since.set(Some(Instant::now()));
                    let sent = tokio::select! {
                        biased;
                        sent = self.send_message(active, sending, compressed, payload, end) => sent,
                        interrupt = self.interrupt(active) => Err(interrupt),
                    };
                    active.blocked_since.set(None);
                    sent?;
                }
                StepKind::HalfClose => self.half_close(active, sending).await?,
                StepKind::Cancel(_) => {}
            }
            let next = steps.get(at + 1).map(|step| step.on.order);
            self.gates.borrow_mut().client_did(active.ix, next);
        }
        active.at_step.set(steps.len());
        Ok(())
    }

    fn due_step(&self, active: &Active, step: &Step, before: (rpcshark_captures::Timestamp, Instant)) -> Instant {
        let clock = &self.clock;
        match self.settings.pace {
            Pace::Asap | Pace::Rate(_) => Instant::now(),
            Pace::Recorded => self.without_pauses(clock.began(), clock.scheduled(step.on.at)),
            Pace::Think => {
                // The later of the step before it, and what it waited for.
                let gate = step.gate.checked_sub(1).and_then(|last| active.script.server.get(last));
                match (gate, active.last_heard.get()) {
                    (Some(event), Some(live)) if event.at > before.0 => {
                        self.without_pauses(live, clock.after(live, event.at, step.on.at))
                    }
                    _ => self.without_pauses(before.1, clock.after(before.1, before.0, step.on.at)),
                }
            }
        }
    }

    /// Waits for the end of a call whose client has nothing more to do. Without an error the client has to cancel it.
    async fn finish(&self, active: &Active) -> Result<(), Interrupt> {
        let is_over = async {
            match self.plan.calls[active.ix as usize].finish {
                Finish::Cancel => {}
                Finish::Server | Finish::Deadline => std::future::pending().await,
                Finish::Open => {
                    while !active.has_all_messages() {
                        active.changed.notified().await;
                    }
                    while !self.is_quiet() {
                        self.quiet.notified().await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            interrupt = self.interrupt(active) => Err(interrupt),
            () = is_over => Ok(()),
        }
    }

    /// What ends the call, if it is there.
    fn interrupted_now(&self, active: &Active) -> Option<Interrupt> {
        if let Some(ending) = active.ended.get() {
            return Some(Interrupt::Ended(ending));
        }
        if active.lost.borrow().is_some() {
            return Some(Interrupt::Lost);
        }
        if let Some(text) = &*active.stalled.borrow() {
            return Some(Interrupt::Stalled(text.clone()));
        }
        if active.deadline.get().is_some_and(|deadline| deadline <= Instant::now()) {
            return Some(Interrupt::Deadline);
        }
        self.control.is_stopped().then_some(Interrupt::Stopped)
    }

    /// Waits for something that ends the call. The end of the replay wakes all calls.
    async fn interrupt(&self, active: &Active) -> Interrupt {
        loop {
            let changed = active.changed.notified();
            if let Some(interrupt) = self.interrupted_now(active) {
                return interrupt;
            }
            match active.deadline.get() {
                None => changed.await,
                Some(deadline) => drop(timeout_at(deadline, changed).await),
            }
        }
    }

    async fn send_message(
        &self,
        active: &Active,
        sending: &mut Sending,
        compressed: bool,
        payload: Bytes,
        end: bool,
    ) -> Result<(), Interrupt> {
        match sending {
            Sending::Grpc { send, wire, .. } => {
                // Where the stream has ended, its end says why.
                if send.send(wire.frame(compressed, &payload), end).await.is_err() {
                    return Err(self.interrupt(active).await);
                }
            }
            Sending::Ttrpc { conn } => {
                let Some(connection) = active.key.get().and_then(|key| self.ttrpc(key.0)) else {
                    return Err(self.interrupt(active).await);
                };
                let Client::Ttrpc(client) = &connection.client else { return Ok(()) };
                let result = match end && payload.is_empty() {
                    true => client.half_close(*conn).await,
                    false => client.data(*conn, &payload).await,
                };
                let result = match result {
                    Ok(()) if end && !payload.is_empty() => client.half_close(*conn).await,
                    result => result,
                };
                match result {
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                        return Err(Interrupt::Unsendable(error.to_string()));
                    }
                    Err(_) => return Err(self.interrupt(active).await),
                    Ok(()) => {}
                }
            }
        }
        Ok(())
    }

    async fn half_close(&self, active: &Active, sending: &mut Sending) -> Result<(), Interrupt> {
        match sending {
            Sending::Grpc { send, .. } => {
                if send.send(Bytes::new(), true).await.is_err() {
                    return Err(self.interrupt(active).await);
                }
            }
            Sending::Ttrpc { conn } => {
                let Some(connection) = active.key.get().and_then(|key| self.ttrpc(key.0)) else {
                    return Err(self.interrupt(active).await);
                };
                if let Client::Ttrpc(client) = &connection.client
                    && client.half_close(*conn).await.is_err()
                {
                    return Err(self.interrupt(active).await);
                }
            }
        }
        Ok(())
    }

    fn ttrpc(&self, no: u32) -> Option<Rc<Conn>> {
        self.pool.open.borrow().get(&no).cloned()
    }

    /// Cancels a call, after what was sent before is written: `h2` drops what waits when a stream is reset.
    async fn cancel(&self, active: &Active, sending: &mut Sending, code: u32) {
        let steps = &active.script.steps;
        let messages = steps.iter().filter(|step| matches!(step.kind, StepKind::Message { .. })).count();
        let closes = |step: &Step| matches!(step.kind, StepKind::HalfClose | StepKind::Message { end: true, .. });
        let half_closes = steps.iter().any(closes);
        let is_flushed = || {
            active.is_begun.get()
                && active.sent.get() as usize >= messages
                && (active.is_half_closed.get() || !half_closes)
        };
        active.is_flushing.set(true);
        let flushed = async {
            while !is_flushed() && active.ended.get().is_none() && active.lost.borrow().is_none() {
                active.changed.notified().await;
            }
        };
        let _ = timeout(LONGEST_FLUSH, flushed).await;
        sending.reset(Reason::from(code));
        self.wait_for_reset(active, sending).await;
    }

    /// Waits until a reset is written, so that it is in the record of the call.
    async fn wait_for_reset(&self, active: &Active, sending: &Sending) {
        if matches!(sending, Sending::Ttrpc { .. }) {
            return;
        }
        active.is_flushing.set(true);
        let written = async {
            while !active.is_reset.get() && active.ended.get().is_none() && active.lost.borrow().is_none() {
                active.changed.notified().await;
            }
        };
        let _ = timeout(LONGEST_RESET, written).await;
    }

    /// The messages of a call with the changes that the user wants, after waiting for the values that they need; `None` where
    /// nothing is changed.
    async fn edited(&self, ix: u32, mapped: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<Option<Vec<Bytes>>, String> {
        let planned = &self.plan.calls[ix as usize];
        let method = &self.plan.methods[planned.method as usize].name;
        let edits = &self.headers.edits;
        let are_changed = edits.change_messages_of(method);
        if !are_changed && !edits.replace_messages_of(planned.no) {
            return Ok(None);
        }
        let call = self.recording.viewer_to_send(&self.store).call(planned.at);
        let mut scratch = Scratch::default();
        let mut out = Vec::new();
        for (number, message) in (0..).zip(call.messages(Direction::ToServer)) {
            let (schema, kind) = (message.schema(), message.type_ix().value());
            let body = message.body(&mut scratch);
            let replaced = edits.messages.get(&(planned.no, number));
            if !are_changed {
                out.push(match replaced {
                    Some(bytes) => as_recorded(&call, &message, bytes.to_vec())?,
                    None if body.wire().len() == message.length() as usize => Bytes::copy_from_slice(body.wire()),
                    None => return Err("a message of it cannot be read from the recording".to_owned()),
                });
                continue;
            }
            let content = replaced.map(|bytes| &**bytes).or(body.content());
            let (Some(kind), Some(content)) = (kind, content) else {
                return Err("a message of it cannot be decoded, and so not be changed".to_owned());
            };
            for (name, recorded) in edits.uses(method, schema, kind, content) {
                loop {
                    let changed = self.captured.changed.notified();
                    match self.captured.find(name, &recorded, ix) {
                        Found::Nowhere => break,
                        Found::Here(live) => {
                            mapped.push((recorded, live));
                            break;
                        }
                        Found::Missing(from) => {
                            let no = self.plan.calls[from as usize].no;
                            return Err(format!("call {no} did not bring the value of {{{{{name}}}}} that it needs"));
                        }
                        Found::Coming => changed.await,
                    }
                }
            }
            let live = |name: &str, recorded: &[u8]| match self.captured.find(name, recorded, ix) {
                Found::Here(value) => Some(value),
                _ => None,
            };
            let edited = edits.apply(method, schema, kind, content, &live)?;
            out.push(as_recorded(&call, &message, edited)?);
        }
        Ok(Some(out))
    }
}

/// A message that was changed, compressed if the recorded one is.
fn as_recorded(call: &CallView<'_>, message: &MessageView<'_>, edited: Vec<u8>) -> Result<Bytes, String> {
    if !message.is_compressed() {
        return Ok(edited.into());
    }
    let encoding = call.encoding(Direction::ToServer);
    let encoding = encoding.value().and_then(|name| Encoding::from_name(&name));
    let compressed = encoding.and_then(|encoding| compress(encoding, &edited));
    Ok(compressed.ok_or("a message of it cannot be compressed as it was")?.into())
}

/// The messages of a call that are sent.
struct Outgoing<'a> {
    messages: Vec<MessageView<'a>>,
    /// The same with changes.
    edited: Option<&'a [Bytes]>,
}

impl Outgoing<'_> {
    /// Whether a message is compressed, and its bytes on the wire.
    fn get(&self, number: usize) -> Result<(bool, Bytes), String> {
        let message = self.messages.get(number).ok_or("a message of it is missing")?;
        if let Some(edited) = self.edited.and_then(|edited| edited.get(number)) {
            return Ok((message.is_compressed(), edited.clone()));
        }
        let mut scratch = Scratch::default();
        let body = message.body(&mut scratch);
        match body.wire().len() == message.length() as usize {
            true => Ok((message.is_compressed(), Bytes::copy_from_slice(body.wire()))),
            false => Err("a message of it cannot be read from the recording".to_owned()),
        }
    }
}

/// A call that is being sent.
enum Sending {
    Grpc { send: GrpcStream, answer: JoinHandle<()>, wire: Wire },
    Ttrpc { conn: u32 },
}

impl Sending {
    fn reset(&mut self, reason: Reason) {
        // ttrpc has no reset: the client stops caring.
        if let Self::Grpc { send, .. } = self {
            send.reset(reason);
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Self::Grpc { answer, .. } = self {
            answer.abort();
        }
    }
}

/// `:scheme` and `:authority` for a target.
fn authority<'a>(target: &'a Address, given: Option<&str>) -> (&'a str, String) {
    let (scheme, own) = match target {
        Address::Tcp { host, port, tls } => {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            (if *tls { "https" } else { "http" }, format!("{host}:{port}"))
        }
        _ => ("http", "localhost".to_owned()),
    };
    (scheme, given.map_or(own, str::to_owned))
}
