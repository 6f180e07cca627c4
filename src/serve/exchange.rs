//! Answering one call: finding its recording, and doing what the recorded server did.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::compare::{Comparer, Opening, Verdict};
use rpcshark_dissectors::grpc::Status;
use rpcshark_dissectors::store::End;
use rpcshark_dissectors::view::{CallView, MessageView, Permit, Scratch};
use tokio::time::{Instant, sleep, sleep_until};

use super::built_in::{BuiltIn, BuiltInMethod};
use super::catalog::{Beginning, Carrier, Found, Method};
use super::incoming::{Fault, Incoming};
use super::log::{Line, Outcome};
use super::miss;
use super::response::{self, Form};
use super::script::{Script, Step, StepKind};
use super::server::Server;
use crate::rpc::{GrpcAnswer, TtrpcAnswer, encode_status};

/// A call of a client.
pub(super) struct LiveCall {
    /// The number of its connection.
    pub(super) connection: u32,
    /// The client's end.
    pub(super) client: Rc<str>,
    /// What carries it.
    pub(super) carrier: Carrier,
    /// `/service/method`.
    pub(super) path: String,
    /// When it began.
    pub(super) began: Instant,
    /// What its client has sent.
    pub(super) incoming: Rc<Incoming>,
    /// How long its client waits.
    pub(super) deadline: Option<Duration>,
}

/// Where the answer goes.
pub(super) enum Out {
    Grpc {
        answer: GrpcAnswer,
        /// `grpc-accept-encoding` of the request.
        accepted: Vec<u8>,
    },
    Ttrpc {
        answer: TtrpcAnswer,
        stream: u32,
    },
}

/// What became of a call.
struct Done {
    outcome: Outcome,
    recorded: Option<u32>,
    status: Option<Status>,
    sent: u64,
    why: Option<String>,
}

/// Why an answer ends early.
enum Stop {
    /// The client has left.
    Left,
    /// The call cannot be answered.
    Fault(Fault),
    /// The client does not take what is sent to it, and others need the memory.
    Slow,
}

/// How long the first message of a client is waited for where the recorded server may have spoken first.
const FIRST_MESSAGE: Duration = Duration::from_millis(200);

/// How long a call is kept after its deadline: the client ends it.
const PAST_DEADLINE: Duration = Duration::from_secs(1);

/// How long a client may take nothing while others wait for memory.
pub(super) const SLOW: Duration = Duration::from_secs(30);

impl Server {
    /// Answers a call.
    pub(super) async fn answer(self: &Rc<Self>, live: LiveCall, mut out: Out) {
        let no = self.number();
        let at = self.now();
        let exchange = async {
            match live.deadline {
                Some(deadline) => tokio::select! {
                    biased;
                    done = self.exchange(&live, &mut out) => Some(done),
                    () = sleep(deadline.saturating_add(PAST_DEADLINE)) => None,
                },
                None => Some(self.exchange(&live, &mut out).await),
            }
        };
        let done = exchange.await.unwrap_or_else(|| Done {
            why: Some("its deadline has passed".to_owned()),
            ..Done::of(Outcome::Left, None)
        });
        self.log.call(&Line {
            no,
            connection: live.connection,
            at,
            client: live.client.to_string(),
            protocol: match live.carrier {
                Carrier::Http2 => "grpc",
                Carrier::Ttrpc => "ttrpc",
            },
            path: live.path.clone(),
            outcome: done.outcome,
            recorded: done.recorded,
            status: done.status,
            messages: [live.incoming.count().into(), done.sent],
            nanos: i64::try_from(live.began.elapsed().as_nanos()).unwrap_or(i64::MAX),
            why: done.why,
        });
    }

    async fn exchange(self: &Rc<Self>, live: &LiveCall, out: &mut Out) -> Done {
        let found = match self.catalog.method(live.carrier, &live.path) {
            Some((number, method)) => self.choose(live, out, number, method).await,
            None => Err(Miss::Method),
        };
        match found {
            Ok(recording) => {
                live.incoming.want_no_more();
                self.play(live, out, recording).await
            }
            Err(Miss::Stop(stop)) => self.stopped(out, stop, Done::of(Outcome::Left, None)).await,
            Err(miss) => {
                if let Some(services) = &self.built_in
                    && let Some(method) = services.method(live.carrier, &live.path)
                {
                    let mut done = Done::of(Outcome::BuiltIn, None);
                    let first = match miss {
                        Miss::Request(_, content) => content,
                        _ => None,
                    };
                    return match self.answer_built_in(live, out, services, method, first, &mut done).await {
                        Ok(()) => done,
                        Err(stop) => self.stopped(out, stop, done).await,
                    };
                }
                let why = match miss {
                    Miss::Method | Miss::Stop(_) => miss::no_method(&self.catalog, live.carrier, &live.path),
                    Miss::UsedUp => format!("all recorded calls of {} with this request were used", live.path),
                    Miss::Request(number, content) => miss::no_request(self, number, &live.path, content.as_deref()),
                };
                self.refuse(out, Outcome::Miss, Status::UNIMPLEMENTED, why).await
            }
        }
    }

    /// Finds the recording that answers a call.
    async fn choose(&self, live: &LiveCall, out: &mut Out, number: u32, method: &Method) -> Result<u32, Miss> {
        let incoming = &*live.incoming;
        if !method.client_first {
            return self.server_first(number);
        }
        let spoke =
            incoming.until(|incoming| incoming.count() > 0 || incoming.is_closed() || incoming.fault().is_some());
        let early = method.early_headers.filter(|_| matches!(out, Out::Grpc { .. }));
        let waited = tokio::select! {
            biased;
            () = spoke => Waited::Spoke,
            () = out.gone(incoming) => return Err(Miss::Stop(Stop::Left)),
            () = sleep(FIRST_MESSAGE), if method.server_first || early.is_some() => Waited::Silent,
        };
        if let (Waited::Silent, true) = (waited, method.server_first) {
            return self.server_first(number);
        }
        if let (Waited::Silent, Some(early)) = (waited, early) {
            // The client may wait for the headers.
            let call = self.recording.viewer(&self.store).call(self.catalog.call(early)).permitted(&Permit::to_send());
            out.headers(&call).map_err(|()| Miss::Stop(Stop::Left))?;
            let spoke = incoming.until(|i| i.count() > 0 || i.is_closed() || i.fault().is_some());
            tokio::select! {
                biased;
                () = spoke => {}
                () = out.gone(incoming) => return Err(Miss::Stop(Stop::Left)),
            }
        }
        if let Some(fault) = incoming.fault() {
            return Err(Miss::Stop(Stop::Fault(fault)));
        }
        let content = incoming.take().map(|message| message.content);
        let viewer = self.recording.viewer(&self.store);
        let mut comparer = Comparer::new(&self.rules, Permit::to_compare());
        let opening = match &content {
            None => Opening::Empty,
            Some(content) => {
                let schema = &self.recording.schema;
                let names = live.path.strip_prefix('/').and_then(|path| path.rsplit_once('/'));
                let method = names.and_then(|(service, method)| schema.method(service, method));
                comparer.opening_of(&live.path, schema, method.map(|method| method.input), content)
            }
        };
        let mut scratch = Scratch::default();
        let equal = |at| match &content {
            None => true,
            Some(content) => {
                let call = viewer.call(at);
                comparer.compare_opening(&call, content, &mut scratch).verdict == Verdict::Same
            }
        };
        match self.catalog.find(number, Beginning::Client(opening), self.settings.reuse, equal) {
            Found::Recording(recording) => Ok(recording),
            Found::UsedUp => Err(Miss::UsedUp),
            Found::None if method.server_first => self.server_first(number),
            Found::None => Err(Miss::Request(number, content)),
        }
    }

    fn server_first(&self, number: u32) -> Result<u32, Miss> {
        match self.catalog.find(number, Beginning::Server, self.settings.reuse, |_| true) {
            Found::Recording(recording) => Ok(recording),
            Found::UsedUp | Found::None => Err(Miss::UsedUp),
        }
    }

    /// Does what the recorded server did.
    async fn play(&self, live: &LiveCall, out: &mut Out, recording: u32) -> Done {
        let at = self.catalog.call(recording);
        let call = self.recording.viewer(&self.store).call(at).permitted(&Permit::to_send());
        let mut done = Done::of(Outcome::Answered, Some(call.no()));
        let script = match Script::of(&self.store, &call) {
            Ok(script) => script,
            Err(why) => return self.refuse(out, Outcome::Failed, Status::INTERNAL, why.to_string()).await,
        };
        if let (Out::Grpc { answer, .. }, Some(StepKind::Reset(_))) = (&*out, script.steps.last().map(|step| step.kind))
        {
            answer.will_be_reset();
        }
        match self.steps(live, out, &call, &script, &mut done).await {
            Ok(()) => {
                done.status = call.status_code().or(call.mapped_status().map(|mapped| mapped.code));
                done
            }
            Err(stop) => self.stopped(out, stop, done).await,
        }
    }

    async fn steps(
        &self,
        live: &LiveCall,
        out: &mut Out,
        call: &CallView<'_>,
        script: &Script,
        done: &mut Done,
    ) -> Result<(), Stop> {
        let incoming = &*live.incoming;
        let messages: Vec<MessageView<'_>> = call.messages(Direction::ToClient).collect();
        // What the time of the next step is counted from: the step before it, when it was to be done.
        let mut before = (script.start, live.began);
        let mut steps = script.steps.iter().peekable();
        while let Some(step) = steps.next() {
            self.wait(live, out, step, &mut before).await?;
            match step.kind {
                StepKind::Headers => out.headers(call).map_err(|()| Stop::Left)?,
                StepKind::Message(number) => {
                    let Some(&message) = messages.get(number as usize) else { continue };
                    let is_last = steps.next_if(|next| next.kind == StepKind::End && out.joins(step, next)).is_some();
                    self.message(out, call, message, is_last).await?;
                    done.sent += 1;
                    if is_last {
                        return Ok(());
                    }
                }
                StepKind::End => {
                    let ended = self.unless_slow(out.end(call)).await?;
                    return ended.map_err(|_| Stop::Left);
                }
                StepKind::Reset(code) => {
                    out.reset(code).await;
                    return Ok(());
                }
                StepKind::Refuse => {
                    let text = "the recorded server did not process this call";
                    out.status(Status::UNAVAILABLE, text).await.map_err(|_| Stop::Left)?;
                    return Ok(());
                }
            }
        }
        // There is no end in the recording: the client ends the call.
        out.gone(incoming).await;
        Ok(())
    }

    /// Waits until a step may be done, and is due.
    async fn wait(
        &self,
        live: &LiveCall,
        out: &mut Out,
        step: &Step,
        before: &mut (Timestamp, Instant),
    ) -> Result<(), Stop> {
        let incoming = &*live.incoming;
        let ready = async {
            let arrived = incoming.pass(step.gate.messages, step.gate.half_close).await;
            let (recorded, now) = match (step.gate.at, arrived) {
                // The later of the step before it, and what it waited for.
                (Some(at), Some(arrived)) if at > before.0 => (at, arrived),
                _ => *before,
            };
            let due = now + self.settings.delay(step.at.nanos_since(recorded));
            sleep_until(due).await;
            due
        };
        let due = tokio::select! {
            biased;
            () = out.gone(incoming) => return Err(Stop::Left),
            () = incoming.until(|incoming| incoming.fault().is_some()) => {
                return Err(incoming.fault().map_or(Stop::Left, Stop::Fault));
            }
            due = ready => due,
        };
        *before = (step.at, due);
        Ok(())
    }

    async fn message(
        &self,
        out: &mut Out,
        call: &CallView<'_>,
        message: MessageView<'_>,
        is_last: bool,
    ) -> Result<(), Stop> {
        let failed = |why: String| Stop::Fault(Fault { code: Status::INTERNAL, why });
        let size = message.length() as usize;
        let _held = self.budget.hold(size).await;
        let mut scratch = Scratch::default();
        let (compressed, bytes) = response::message(message, out.form(call), &mut scratch).map_err(failed)?;
        drop(scratch);
        let sent = self.unless_slow(out.message(call, compressed, bytes, is_last)).await?;
        match sent {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(failed(error.to_string())),
            Err(_) => Err(Stop::Left),
            Ok(()) => Ok(()),
        }
    }

    /// Waits for `sending`, unless that takes too long while others need the memory.
    async fn unless_slow<T>(&self, sending: impl Future<Output = T>) -> Result<T, Stop> {
        let mut sending = std::pin::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return Ok(sent),
                () = sleep(SLOW) => if self.budget.is_short() {
                    return Err(Stop::Slow);
                }
            }
        }
    }

    /// Answers reflection or health. `first`: the first message of the request, where it was looked at.
    async fn answer_built_in(
        &self,
        live: &LiveCall,
        out: &mut Out,
        services: &BuiltIn,
        method: BuiltInMethod,
        mut first: Option<Vec<u8>>,
        done: &mut Done,
    ) -> Result<(), Stop> {
        let incoming = &*live.incoming;
        let status = loop {
            let request = match first.take() {
                Some(request) => Some(request),
                None => {
                    let ready = incoming
                        .until(|incoming| incoming.has_content() || incoming.is_closed() || incoming.fault().is_some());
                    tokio::select! {
                        biased;
                        () = out.gone(incoming) => return Err(Stop::Left),
                        () = ready => {}
                    }
                    if let Some(fault) = incoming.fault() {
                        return Err(Stop::Fault(fault));
                    }
                    incoming.take().map(|message| message.content)
                }
            };
            let Some(request) = request else { break (Status::OK, String::new()) };
            let answer = match method {
                BuiltInMethod::Reflection => Ok(services.reflect(&request)),
                BuiltInMethod::Health => services.check(&request),
                BuiltInMethod::WatchHealth => Ok(services.watch(&request)),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(refused) => break refused,
            };
            let _held = self.budget.hold(answer.len()).await;
            let sent = self.unless_slow(out.plain_message(&answer)).await?;
            sent.map_err(|_| Stop::Left)?;
            done.sent += 1;
            match method {
                BuiltInMethod::Reflection => {}
                BuiltInMethod::Health => break (Status::OK, String::new()),
                BuiltInMethod::WatchHealth => {
                    // Nothing changes.
                    out.gone(incoming).await;
                    return Ok(());
                }
            }
        };
        let (code, message) = status;
        done.status = Some(code);
        self.unless_slow(out.status(code, &message)).await?.map_err(|_| Stop::Left)
    }

    /// What follows where an answer ends early.
    async fn stopped(&self, out: &mut Out, stop: Stop, done: Done) -> Done {
        match stop {
            Stop::Left => Done { outcome: Outcome::Left, ..done },
            Stop::Fault(Fault { code, why }) => {
                let refused = self.refuse(out, Outcome::Failed, code, why).await;
                Done { recorded: done.recorded, sent: done.sent, ..refused }
            }
            Stop::Slow => {
                out.reset(Reason::ENHANCE_YOUR_CALM.into()).await;
                let why = "the client does not take the answer, and others need the memory".to_owned();
                Done { outcome: Outcome::Failed, why: Some(why), ..done }
            }
        }
    }

    /// Answers with a status that is not recorded.
    async fn refuse(&self, out: &mut Out, outcome: Outcome, code: Status, why: String) -> Done {
        let done = Done { status: Some(code), why: Some(why.clone()), ..Done::of(outcome, None) };
        match self.unless_slow(out.status(code, &why)).await {
            Ok(Ok(())) => done,
            _ => Done { outcome: Outcome::Left, status: None, ..done },
        }
    }
}

/// Whether a client has sent something in time.
#[derive(Clone, Copy)]
enum Waited {
    Spoke,
    Silent,
}

/// Why there is no recording for a call.
enum Miss {
    /// Nobody called its method.
    Method,
    /// Nobody sent its request to this method: its first message.
    Request(u32, Option<Vec<u8>>),
    /// All equal ones were used.
    UsedUp,
    Stop(Stop),
}

impl Done {
    const fn of(outcome: Outcome, recorded: Option<u32>) -> Self {
        Self { outcome, recorded, status: None, sent: 0, why: None }
    }
}

impl Out {
    /// How messages of `call` are sent.
    fn form(&self, call: &CallView<'_>) -> Form {
        match self {
            Self::Grpc { accepted, .. } => Form::of(call, accepted),
            Self::Ttrpc { .. } => Form::Recorded,
        }
    }

    /// Waits until the client has left.
    async fn gone(&mut self, incoming: &Incoming) {
        let left = incoming.until(Incoming::is_gone);
        match self {
            Self::Grpc { answer, .. } => tokio::select! {
                () = left => {}
                () = answer.gone() => {}
            },
            Self::Ttrpc { .. } => left.await,
        }
    }

    /// Sends the response's headers, if they are not sent. An error: the client has left.
    fn headers(&mut self, call: &CallView<'_>) -> Result<(), ()> {
        let form = self.form(call);
        match self {
            Self::Grpc { answer, .. } if !answer.has_headers() => {
                answer.headers(response::headers(call, form, false), false).map_err(drop)
            }
            _ => Ok(()),
        }
    }

    /// Whether a message and the end after it are sent together: they were in one frame.
    fn joins(&self, message: &Step, end: &Step) -> bool {
        matches!(self, Self::Ttrpc { .. }) && message.end == end.end
    }

    async fn message(&mut self, call: &CallView<'_>, compressed: bool, bytes: Bytes, is_last: bool) -> io::Result<()> {
        self.headers(call).map_err(|()| io::ErrorKind::BrokenPipe)?;
        match self {
            Self::Grpc { answer, .. } => {
                answer.data(response::framed(compressed, &bytes)).await.map_err(io::Error::other)
            }
            Self::Ttrpc { answer, stream } => match (is_last, call.end()) {
                (true, Some(End::Response)) => answer.response(*stream, &status_of(call), &bytes).await,
                (is_last, _) => answer.data(*stream, &bytes, is_last).await,
            },
        }
    }

    /// Sends a message that is not recorded.
    async fn plain_message(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Grpc { answer, .. } => {
                if !answer.has_headers() {
                    answer.headers(response::plain(), false).map_err(io::Error::other)?;
                }
                answer.data(response::framed(false, message)).await.map_err(io::Error::other)
            }
            Self::Ttrpc { answer, stream } => answer.data(*stream, message, false).await,
        }
    }

    /// Ends the call as the recorded server did.
    async fn end(&mut self, call: &CallView<'_>) -> io::Result<()> {
        let form = self.form(call);
        match self {
            Self::Grpc { answer, .. } => {
                let ended = match (answer.has_headers(), call.trailers().is_some()) {
                    (false, _) if call.is_trailers_only() || call.trailers().is_none() => {
                        answer.headers(response::headers(call, form, true), true)
                    }
                    (false, _) => answer
                        .headers(response::headers(call, form, false), false)
                        .and_then(|()| answer.trailers(response::trailers(call))),
                    (true, true) => answer.trailers(response::trailers(call)),
                    (true, false) => answer.end(),
                };
                ended.map_err(io::Error::other)
            }
            Self::Ttrpc { answer, stream } => match call.end() {
                Some(End::Response) => answer.response(*stream, &status_of(call), &[]).await,
                _ => answer.close(*stream).await,
            },
        }
    }

    /// Ends the call with a status.
    pub(super) async fn status(&mut self, code: Status, message: &str) -> io::Result<()> {
        match self {
            Self::Grpc { answer, .. } => {
                let message = miss::fitting(message, miss::encoded_size);
                let ended = match answer.has_headers() {
                    true => answer.trailers(response::status(code, &message)),
                    false => answer.headers(response::only_status(code, &message), true),
                };
                ended.map_err(io::Error::other)
            }
            Self::Ttrpc { answer, stream } => {
                let message = miss::fitting(message, char::len_utf8);
                let details: [&[u8]; 0] = [];
                answer.response(*stream, &encode_status(code.0, &message, &details), &[]).await
            }
        }
    }

    async fn reset(&mut self, code: u32) {
        if let Self::Grpc { answer, .. } = self {
            answer.reset(code.into()).await;
        }
    }
}

/// The status of a recorded ttrpc call; empty for OK.
fn status_of(call: &CallView<'_>) -> Vec<u8> {
    call.status().map_or_else(Vec::new, |status| encode_status(status.code.0, &status.message, &status.details))
}
