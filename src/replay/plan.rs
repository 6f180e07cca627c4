//! What would be sent, where to, and what cannot be: decided before anything is sent.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use rpcshark_captures::{Direction, Endpoint, Timestamp};
use rpcshark_dissectors::schema::Method;
use rpcshark_dissectors::store::{CallRef, ConnectionProtocol, EventOrder, Protocol, Store};
use rpcshark_dissectors::view::{CallView, Kind, Known, Outcome};

use super::headers::{HeaderPolicy, deadline_of};
use super::journal::Journaled;
use super::recording::Recording;
use super::safety::{Allow, Safety, is_recorded, safety};
use super::script::{Finish, NoScript, Script};
use super::settings::{Settings, To};
use crate::address::Address;

/// What will be sent.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The calls, in the order of their starts.
    pub(crate) calls: Vec<PlannedCall>,
    /// Those that are not sent.
    pub(crate) skipped: Vec<SkippedCall>,
    /// The methods of all of them.
    pub(crate) methods: Vec<PlannedMethod>,
    /// The servers.
    pub(crate) targets: Vec<PlannedTarget>,
    /// How many recorded connections have calls that are sent.
    pub(crate) connections: usize,
    /// Recorded credentials that are withheld, by the name of their field: how many calls have them.
    pub(crate) withheld: BTreeMap<String, u32>,
    /// Tokens that would be sent and have run out, by the name of their field: for how long, and in how many calls.
    pub(crate) expired: BTreeMap<String, (Duration, u32)>,
    /// Connections of the recording that hold no calls that can be seen, by why.
    pub(crate) unseen: BTreeMap<&'static str, u32>,
    /// When the first thing was sent in the recording, and when the last thing happened.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
}

/// A call that will be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedCall {
    /// Which call of the recording.
    pub(crate) at: CallRef,
    /// Its number there.
    pub(crate) no: u32,
    /// Its method's index.
    pub(crate) method: u32,
    /// Its target's index.
    pub(crate) target: u16,
    /// Its connection's number in the recording.
    pub(crate) connection: u32,
    /// When its client began it.
    pub(crate) start: Timestamp,
    /// The place of that in the reading.
    order: EventOrder,
    /// How it ends.
    pub(crate) finish: Finish,
}

/// A call that is not sent.
#[derive(Clone, Debug)]
pub(crate) struct SkippedCall {
    /// Which call of the recording.
    pub(crate) at: CallRef,
    /// Its number there.
    pub(crate) no: u32,
    /// Its method's index, where it is known.
    pub(crate) method: Option<u32>,
    /// Why.
    pub(crate) why: SkipReason,
}

/// Why a call is not sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SkipReason {
    /// Its method may change something, and is not allowed.
    Unsafe,
    /// The path is not in the recording.
    NoPath,
    /// It is in an NRI connection.
    Nri,
    /// Parts of the request are not in the recording.
    Request,
    /// Parts of the answer are not in the recording: there is nothing to compare with.
    Answer,
    /// Its Data frames might end a ttrpc server that does not expect them.
    TtrpcData,
    /// It began before `--from` or after `--to-time`.
    Outside,
    /// There are more than `--max-calls`.
    TooMany,
    /// The journal says that it is over.
    Over,
    /// The journal says that it was begun, and its method may change something: it may have been processed.
    InFlight,
    /// Its request cannot be sent.
    Unsendable(String),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsafe => f.write_str("the method may change something; --allow permits it"),
            Self::NoPath => f.write_str("the method is not in the recording"),
            Self::Nri => f.write_str("calls inside an NRI connection are not replayed"),
            Self::Request => f.write_str("parts of the request are not in the recording"),
            Self::Answer => f.write_str("parts of the answer are not in the recording"),
            Self::TtrpcData => f.write_str(
                "whether the method takes a stream is not known, and Data frames can crash ttrpc servers; give --proto",
            ),
            Self::Outside => f.write_str("it began outside --from and --to-time"),
            Self::TooMany => f.write_str("there are more calls than --max-calls"),
            Self::Over => f.write_str("it was sent before the replay was cut short"),
            Self::InFlight => {
                f.write_str("it was in progress when the replay was cut short, and the server may have processed it")
            }
            Self::Unsendable(why) => f.write_str(why),
        }
    }
}

/// A method.
#[derive(Clone, Debug)]
pub(crate) struct PlannedMethod {
    /// `package.Service/Method`.
    pub(crate) name: String,
    /// Whether it may be sent.
    pub(crate) safety: Safety,
    /// Whether the schema has it.
    pub(crate) is_known: bool,
    /// Calls that are sent.
    pub(crate) sent: u32,
    /// Calls that are not.
    pub(crate) skipped: u32,
}

/// A server that calls are sent to.
#[derive(Clone, Debug)]
pub(crate) struct PlannedTarget {
    /// The recorded server.
    pub(crate) recorded: Endpoint,
    /// What it speaks.
    pub(crate) transport: Transport,
    /// Where calls are sent.
    pub(crate) address: Address,
    /// How many are.
    pub(crate) calls: u32,
    /// Whether this may be the recorded server.
    pub(crate) is_recorded: bool,
}

/// What the calls to a server are sent over: as they were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// HTTP/2: gRPC, gRPC-Web and Connect.
    Http2,
    /// HTTP/1.1: gRPC-Web and Connect.
    Http1,
    /// ttrpc.
    Ttrpc,
}

impl Transport {
    fn of(call: &CallView<'_>) -> Self {
        let connection = call.connection();
        // What is in TLS, it says itself.
        let alpn = connection.tls().map(|tls| tls.protocol());
        let is_http1 = match connection.protocol() {
            ConnectionProtocol::Http1 => true,
            ConnectionProtocol::Tls => alpn.flatten() != Some("h2"),
            _ => false,
        };
        match call.protocol() {
            Protocol::Ttrpc => Self::Ttrpc,
            Protocol::GrpcWeb | Protocol::Connect if is_http1 => Self::Http1,
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => Self::Http2,
        }
    }

    /// The word that output uses.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http2 => "grpc",
            Self::Http1 => "HTTP/1.1",
            Self::Ttrpc => "ttrpc",
        }
    }
}

/// What is planned.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The chosen calls.
    pub(crate) calls: &'a [CallRef],
    /// What the user allows.
    pub(crate) allow: &'a Allow,
    /// Only calls that began so long after the beginning of the recording.
    pub(crate) from: Option<Timestamp>,
    /// And before this.
    pub(crate) until: Option<Timestamp>,
    /// Only so many.
    pub(crate) max_calls: Option<usize>,
    /// What was sent before, where a replay is continued.
    pub(crate) journaled: Option<&'a Journaled>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlanError {
    /// Calls went to several servers, or spoke several protocols, and there is one target: these.
    SeveralServers(Vec<String>),
    /// No calls went to the server that `--to` names.
    NoSuchServer(String, Vec<String>),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, servers) = match self {
            Self::SeveralServers(servers) => (
                "the calls went to several servers: give each its target with --to RECORDED=ADDR, or choose calls with -Y"
                    .to_owned(),
                servers,
            ),
            Self::NoSuchServer(name, servers) => (format!("no call went to {name} (--to); the servers are"), servers),
        };
        f.write_str(&text)?;
        servers.iter().try_for_each(|server| write!(f, "\n  {server}"))
    }
}

impl Plan {
    /// Decides what is sent.
    ///
    /// # Errors
    ///
    /// If targets and recorded servers do not match.
    pub(crate) fn new(
        recording: &Recording,
        settings: &Settings,
        headers: &HeaderPolicy,
        wanted: &Wanted<'_>,
    ) -> Result<Self, PlanError> {
        let store = recording.shared.read();
        let mut planner = Planner { plan: Self::default(), methods: HashMap::new(), targets: HashMap::new() };
        let viewer = recording.viewer_to_send(&store);
        planner.match_targets(wanted.calls.iter().map(|&at| viewer.call(at)), &settings.to)?;
        for &at in wanted.calls {
            let call = viewer.call(at);
            planner.add(&store, &call, settings, headers, wanted);
        }
        let mut plan = planner.plan;
        plan.calls.sort_by_key(|call| call.order);
        if let Some(max) = wanted.max_calls {
            for call in plan.calls.split_off(plan.calls.len().min(max)) {
                let why = SkipReason::TooMany;
                plan.count(call.method, false);
                if let Some(target) = plan.targets.get_mut(usize::from(call.target)) {
                    target.calls -= 1;
                }
                plan.skipped.push(SkippedCall { at: call.at, no: call.no, method: Some(call.method), why });
            }
        }
        plan.skipped.sort_by_key(|call| call.no);
        let mut connections: Vec<u32> = plan.calls.iter().map(|call| call.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        plan.connections = connections.len();
        for target in &mut plan.targets {
            target.is_recorded = is_recorded(&target.recorded, &target.address);
        }
        for at in store.connections() {
            let why = match store.connection(at).protocol {
                ConnectionProtocol::Tls => "encrypted connections: their calls cannot be seen",
                ConnectionProtocol::Http1 => "HTTP/1 connections, which carry no gRPC",
                ConnectionProtocol::Nri => "NRI connections, which are not replayed",
                _ => continue,
            };
            *plan.unseen.entry(why).or_default() += 1;
        }
        Ok(plan)
    }

    fn count(&mut self, method: u32, was_sent: bool) {
        if let Some(method) = self.methods.get_mut(method as usize) {
            if !was_sent {
                method.sent -= 1;
            }
            method.skipped += 1;
        }
    }

    /// The targets that may be recorded servers.
    pub(crate) fn recorded_targets(&self) -> impl Iterator<Item = &PlannedTarget> {
        self.targets.iter().filter(|target| target.is_recorded && target.calls > 0)
    }

    /// The methods that may change something and are sent all the same.
    pub(crate) fn changing_methods(&self) -> impl Iterator<Item = &PlannedMethod> {
        self.methods.iter().filter(|method| method.safety == Safety::Allowed && method.sent > 0)
    }

    /// When clients sent anything in the recording, ascending: what long gaps are found in.
    pub(crate) fn sent_times(&self, recording: &Recording) -> Vec<Timestamp> {
        let store = recording.shared.read();
        let viewer = recording.viewer_to_send(&store);
        let mut times = Vec::new();
        for call in &self.calls {
            times.push(call.start);
            let deadline = viewer.call(call.at).deadline_ns().value();
            let steps = Script::of(&store, call.at, deadline).map(|script| script.steps).unwrap_or_default();
            times.extend(steps.iter().map(|step| step.on.at));
        }
        times.sort_unstable();
        times
    }
}

struct Planner {
    plan: Plan,
    methods: HashMap<String, u32>,
    targets: HashMap<(Endpoint, Transport), u16>,
}

impl Planner {
    /// Gives each recorded server its target.
    fn match_targets<'a>(&mut self, calls: impl Iterator<Item = CallView<'a>>, to: &[To]) -> Result<(), PlanError> {
        let mut servers: Vec<(Endpoint, Transport)> = Vec::new();
        for call in calls {
            if is_replayed(&call) {
                let server = (call.server().clone(), Transport::of(&call));
                if !servers.contains(&server) {
                    servers.push(server);
                }
            }
        }
        let shown =
            || servers.iter().map(|(server, transport)| format!("{server} ({})", transport.name())).collect::<Vec<_>>();
        for to in to {
            let Some(recorded) = &to.recorded else { continue };
            if !servers.iter().any(|(server, _)| names(recorded, server)) {
                return Err(PlanError::NoSuchServer(recorded.to_string(), shown()));
            }
        }
        let named = |server: &Endpoint| {
            to.iter().find(|to| to.recorded.as_ref().is_some_and(|recorded| names(recorded, server)))
        };
        let others = to.iter().find(|to| to.recorded.is_none());
        let unnamed = servers.iter().filter(|(server, _)| named(server).is_none()).count();
        if unnamed > 1 || unnamed > 0 && others.is_none() {
            return Err(PlanError::SeveralServers(shown()));
        }
        for (server, transport) in servers.iter().cloned() {
            let Some(to) = named(&server).or(others) else { continue };
            let index = u16::try_from(self.plan.targets.len()).unwrap_or(u16::MAX);
            self.targets.insert((server.clone(), transport), index);
            let address = to.address.clone();
            self.plan.targets.push(PlannedTarget {
                recorded: server,
                transport,
                address,
                calls: 0,
                is_recorded: false,
            });
        }
        Ok(())
    }

    fn add(
        &mut self,
        store: &Store,
        call: &CallView<'_>,
        settings: &Settings,
        headers: &HeaderPolicy,
        wanted: &Wanted<'_>,
    ) {
        let names = call.service_and_method();
        let method = match names {
            Known::Seen((service, name)) => Some(self.method(service, name, call.method(), wanted.allow)),
            _ => None,
        };
        match self.planned(store, call, method, settings, headers, wanted) {
            Ok(planned) => {
                self.plan.methods[planned.method as usize].sent += 1;
                if let Some(target) = self.plan.targets.get_mut(usize::from(planned.target)) {
                    target.calls += 1;
                }
                self.plan.calls.push(planned);
            }
            Err(why) => {
                if let Some(method) = method.and_then(|ix| self.plan.methods.get_mut(ix as usize)) {
                    method.skipped += 1;
                }
                self.plan.skipped.push(SkippedCall { at: call.at(), no: call.no(), method, why });
            }
        }
    }

    fn method(&mut self, service: &str, name: &str, declared: Option<&Method>, allow: &Allow) -> u32 {
        let full = format!("{service}/{name}");
        if let Some(&index) = self.methods.get(&full) {
            return index;
        }
        let index = self.plan.methods.len() as u32;
        let safety = safety(service, name, declared, allow);
        let is_known = declared.is_some();
        self.plan.methods.push(PlannedMethod { name: full.clone(), safety, is_known, sent: 0, skipped: 0 });
        self.methods.insert(full, index);
        index
    }

    fn planned(
        &mut self,
        store: &Store,
        call: &CallView<'_>,
        method: Option<u32>,
        settings: &Settings,
        headers: &HeaderPolicy,
        wanted: &Wanted<'_>,
    ) -> Result<PlannedCall, SkipReason> {
        if call.trunk().is_some() {
            return Err(SkipReason::Nri);
        }
        let Some(method) = method else { return Err(SkipReason::NoPath) };
        let is_cut = call.messages(Direction::ToServer).any(|message| is_incomplete(&message));
        let headers_missing = call.request_headers().is_none_or(|list| list.unknown_count() > 0);
        if is_cut || headers_missing || call.is_alignment_guessed() {
            return Err(SkipReason::Request);
        }
        // Of a call whose end is not there the script says whether its client ended it.
        if call.outcome().is_none() {
            return Err(SkipReason::Answer);
        }
        let script = Script::of(store, call.at(), call.deadline_ns().value()).map_err(|why| match why {
            NoScript::NoStart => SkipReason::Request,
            NoScript::NoEnd => SkipReason::Answer,
        })?;
        let start = script.start.at;
        if wanted.from.is_some_and(|from| start < from) || wanted.until.is_some_and(|until| start >= until) {
            return Err(SkipReason::Outside);
        }
        if self.plan.methods[method as usize].safety == Safety::Unsafe {
            return Err(SkipReason::Unsafe);
        }
        if let Some(journaled) = wanted.journaled {
            let is_safe = matches!(self.plan.methods[method as usize].safety, Safety::Declared | Safety::Name);
            if journaled.over.contains(&call.no()) {
                return Err(SkipReason::Over);
            }
            if journaled.in_flight.contains(&call.no()) && !is_safe {
                return Err(SkipReason::InFlight);
            }
        }
        if call.protocol() == Protocol::Ttrpc && !may_send_data(call) {
            return Err(SkipReason::TtrpcData);
        }
        let sendable = match call.protocol() {
            Protocol::Ttrpc => headers.ttrpc(call, settings.deadline).map(drop),
            _ => headers.grpc(call, "http", "localhost", settings.deadline).map(drop),
        };
        sendable.map_err(SkipReason::Unsendable)?;
        let name = &self.plan.methods[method as usize].name;
        if headers.edits.change_messages_of(name) {
            let Known::Seen((request, response)) = call.message_types() else {
                return Err(SkipReason::Unsendable(
                    "its messages cannot be changed: their types are not known".to_owned(),
                ));
            };
            headers.edits.check(name, call.schema(), request, response).map_err(SkipReason::Unsendable)?;
        }
        for field in call.request_headers().into_iter().flat_map(|list| list.metadata()) {
            if let Some(name) = field.name().value().filter(|name| headers.withholds(name)) {
                *self.plan.withheld.entry(String::from_utf8_lossy(name).into_owned()).or_default() += 1;
            }
        }
        if let Some((name, since)) = headers.expired_token(call) {
            let entry = self.plan.expired.entry(name).or_insert((since, 0));
            *entry = (entry.0.max(since), entry.1 + 1);
        }
        let (first, last) = self.plan.span.unwrap_or((start, start));
        self.plan.span = Some((first.min(start), last.max(script.last_at())));
        let key = (call.server().clone(), Transport::of(call));
        // Without a deadline nothing ends a call that the recorded client's deadline ended.
        let finish = match script.finish {
            Finish::Deadline if deadline_of(call, settings.deadline).is_none() => Finish::Server,
            finish => finish,
        };
        Ok(PlannedCall {
            at: call.at(),
            no: call.no(),
            method,
            target: self.targets.get(&key).copied().unwrap_or_default(),
            connection: call.connection().number(),
            start,
            order: script.start.order,
            finish,
        })
    }
}

/// Whether the protocol of a call is one that is replayed at all.
fn is_replayed(call: &CallView<'_>) -> bool {
    call.trunk().is_none()
}

fn is_incomplete(message: &rpcshark_dissectors::view::MessageView<'_>) -> bool {
    message.is_cut() || message.is_start_guessed()
}

/// Whether Data frames of a ttrpc call can be sent. Go's servers up to 1.2.8 end when one comes for a unary method. So
/// the method must be known to take a stream, or the recorded server must have taken them.
fn may_send_data(call: &CallView<'_>) -> bool {
    let kind = call.kind();
    if let Some(method) = call.method() {
        return method.client_streaming || !sends_data(call);
    }
    if !sends_data(call) {
        return true;
    }
    let client_streams = matches!(kind, Some(Kind::ClientStreaming | Kind::BidiStreaming));
    let answered = call.messages(Direction::ToClient).next().is_some();
    client_streams && (call.outcome() == Some(Outcome::Ok) || answered)
}

/// Whether the client of a ttrpc call sends anything after its Request.
fn sends_data(call: &CallView<'_>) -> bool {
    call.ttrpc_flags() & TTRPC_REMOTE_OPEN != 0 || call.messages(Direction::ToServer).nth(1).is_some()
}

/// The flag of a Request after which Data frames follow.
pub(super) const TTRPC_REMOTE_OPEN: u8 = 2;

/// Whether an address as users give them names a recorded server.
fn names(address: &Address, server: &Endpoint) -> bool {
    match (address, server) {
        (Address::Tcp { host, port, .. }, Endpoint::Tcp(addr)) => {
            // A recording has no names of hosts: what a name stands for now is what it stood for then.
            addr.port() == *port
                && (host.parse().is_ok_and(|ip: std::net::IpAddr| ip.to_canonical() == addr.ip().to_canonical())
                    || is_recorded(server, address))
        }
        (Address::UnixPath(path), Endpoint::UnixPath(recorded)) => **path == **recorded,
        (Address::UnixAbstract(name), Endpoint::UnixAbstract(recorded)) => **name == **recorded,
        (Address::Vsock { cid, port }, Endpoint::Vsock { cid: recorded, port: recorded_port }) => {
            u64::from(*cid) == *recorded && port == recorded_port
        }
        _ => false,
    }
}
