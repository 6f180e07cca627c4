//! Problems: the notes on calls, messages, frames and connections by kind, and what follows from the facts beside them.

use std::collections::BTreeMap;

use hashbrown::HashSet;
use rpcshark_captures::{Direction, GapCause, PacketNo, Timestamp};

use super::{ProblemKind, ResultKey};
use crate::grpc::Status;
use crate::protobuf::{JsonPrinter, raw};
use crate::store::{ConnectionProtocol, End, Protocol};
use crate::view::{CallView, ConnectionView, FLOW_CONTROL_STALL, FrameView, MessageView, Outcome, Scratch, as_json};
use crate::{Note, Severity};

/// Places that are remembered of each kind.
pub const MAX_PLACES: usize = 5;

/// Problems by kind.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    by_kind: BTreeMap<&'static str, Problem>,
}

/// Everything of one kind.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The kind of the notes; [`ProblemKind::of`](super::ProblemKind::of) describes it.
    pub kind: &'static str,
    /// The worst of them.
    pub severity: Severity,
    /// How many there are.
    pub count: u64,
    /// How many calls have them.
    pub calls: u64,
    /// The connections that have them.
    pub connections: HashSet<u32>,
    /// How many bytes it is about, where that is known.
    pub bytes: Option<u64>,
    /// How long the longest took in nanoseconds, for what takes time.
    pub longest_ns: Option<i64>,
    /// The first places.
    pub places: Vec<Place>,
}

impl Problem {
    fn described(&self) -> Option<&'static ProblemKind> {
        ProblemKind::of(self.kind)
    }

    /// What it is, in a few words; the kind if that is not described.
    pub fn title(&self) -> &'static str {
        self.described().map_or(self.kind, |known| known.title)
    }

    /// What it means for what is shown; may be empty.
    pub fn meaning(&self) -> &'static str {
        self.described().map_or("", |known| known.meaning)
    }

    /// What helps; empty where nothing does or nothing is needed.
    pub fn help(&self) -> &'static str {
        self.described().map_or("", |known| known.help)
    }
}

/// Where a problem is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The call.
    pub call: Option<u32>,
    /// The connection.
    pub connection: Option<u32>,
    /// The packet.
    pub packet: Option<PacketNo>,
    /// The note's text there.
    pub text: String,
}

/// A message of ttrpc from which on it counts as near the limit of 4 MiB: seven eighths of it.
const NEAR_LIMIT: u32 = (4 << 20) / 8 * 7;

/// The largest message that gRPC implementations receive by default.
const GRPC_DEFAULT: u32 = 4 << 20;

/// Resets within a second from which on they are a storm.
const STORM: usize = 50;

const SECOND: i64 = 1_000_000_000;

impl Problems {
    /// All of them, the worst first, and of those the most frequent.
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut problems: Vec<&Problem> = self.by_kind.values().collect();
        problems.sort_by_key(|problem| (std::cmp::Reverse(problem.severity), std::cmp::Reverse(problem.count)));
        problems
    }

    /// Adds all of `other`, which comes after.
    pub fn merge(&mut self, other: Self) {
        for (kind, problem) in other.by_kind {
            match self.by_kind.get_mut(kind) {
                None => drop(self.by_kind.insert(kind, problem)),
                Some(own) => {
                    own.severity = own.severity.max(problem.severity);
                    own.count += problem.count;
                    own.calls += problem.calls;
                    own.connections.extend(problem.connections);
                    own.bytes = sum(own.bytes, problem.bytes);
                    own.longest_ns = own.longest_ns.max(problem.longest_ns);
                    let left = MAX_PLACES.saturating_sub(own.places.len());
                    own.places.extend(problem.places.into_iter().take(left));
                }
            }
        }
    }

    /// Adds `count` problems of a kind, the first of them at `place`.
    pub fn add(&mut self, kind: &'static str, severity: Severity, count: u64, place: Place) -> &mut Problem {
        let problem = self.by_kind.entry(kind).or_insert_with(|| Problem {
            kind,
            severity,
            count: 0,
            calls: 0,
            connections: HashSet::new(),
            bytes: None,
            longest_ns: None,
            places: Vec::new(),
        });
        problem.severity = problem.severity.max(severity);
        problem.count += count;
        problem.connections.extend(place.connection);
        if problem.places.len() < MAX_PLACES {
            problem.places.push(place);
        }
        problem
    }

    fn add_note(&mut self, note: Note, place: &Place) {
        let packet = note.packet.or(place.packet);
        self.add(note.kind, note.severity, 1, Place { packet, text: note.text, ..place.clone() });
    }

    /// Adds the problems of a frame.
    pub fn add_frame(&mut self, frame: FrameView<'_>) {
        for note in frame.notes() {
            let place = Place {
                call: frame.call_no(),
                connection: Some(frame.connection()),
                packet: Some(frame.packet()),
                text: String::new(),
            };
            self.add_note(note.clone(), &place);
        }
    }

    /// Adds the problems of a connection.
    pub fn add_connection(&mut self, connection: ConnectionView<'_>) {
        let number = connection.number();
        let place = Place { connection: Some(number), ..Place::default() };
        connection.notes().into_iter().for_each(|note| self.add_note(note, &place));
        let is_rpc = matches!(
            connection.protocol(),
            ConnectionProtocol::Http2 | ConnectionProtocol::Ttrpc | ConnectionProtocol::Nri
        );
        if connection.is_joined() && is_rpc {
            let text = format!("{} → {}", connection.client(), connection.server());
            self.add("joined", Severity::Info, 1, Place { text, ..place.clone() });
        }
        for direction in Direction::BOTH {
            let Some(flow) = connection.flow(direction).filter(|_| is_rpc) else { continue };
            let way = crate::note::way(direction);
            for gap in flow.gaps() {
                let (kind, severity) = match gap.cause {
                    GapCause::Lost => ("bytes-lost", Severity::Warning),
                    GapCause::Snapped => ("bytes-snapped", Severity::Warning),
                    GapCause::BeforeCapture => ("bytes-before-capture", Severity::Info),
                    GapCause::Dropped => ("bytes-dropped", Severity::Warning),
                };
                let text = match gap.length {
                    Some(length) => format!("{length} bytes {way}"),
                    None => format!("an unknown number of bytes {way}"),
                };
                let packet = Some(gap.packet);
                let problem = self.add(kind, severity, 1, Place { packet, text, ..place.clone() });
                problem.bytes = sum(problem.bytes, gap.length);
            }
            for (kind, count) in [("retransmitted", flow.retransmitted), ("reordered", flow.reordered)] {
                if count > 0 {
                    let text = format!("{count} segments {way}");
                    self.add(kind, Severity::Info, count, Place { text, ..place.clone() });
                }
            }
        }
    }

    /// Adds the problems of a call and its messages; with `scratch` also about what its messages hold.
    pub fn add_call(&mut self, call: &CallView<'_>, mut scratch: Option<&mut Scratch>) {
        let mut own = Self::default();
        let place = Place {
            call: Some(call.no()),
            connection: Some(call.connection().number()),
            packet: Some(call.first_packet()),
            text: String::new(),
        };
        call.notes().into_iter().for_each(|note| own.add_note(note, &place));
        own.add_end(call, &place);
        if let (Some(stalls), Some(problem)) = (call.stalls().value(), own.by_kind.get_mut(FLOW_CONTROL_STALL)) {
            let longest = Direction::BOTH.map(|direction| stalls.of(direction).total_ns()).into_iter().max();
            problem.longest_ns = longest.and_then(|nanos| i64::try_from(nanos).ok());
        }
        for direction in Direction::BOTH {
            for message in call.messages(direction) {
                own.add_message(message, &place, scratch.as_deref_mut());
            }
        }
        own.by_kind.values_mut().for_each(|problem| problem.calls = 1);
        self.merge(own);
    }

    fn add_end(&mut self, call: &CallView<'_>, place: &Place) {
        let packet = Some(call.last_packet());
        let at = |text: String| Place { packet, text, ..place.clone() };
        if call.end() == Some(End::Goaway) {
            self.add("goaway-refused", Severity::Warning, 1, at("not processed, as GOAWAY reports".to_owned()));
        }
        if ResultKey::of(call) == ResultKey::Status(Status::DEADLINE_EXCEEDED) {
            let deadline = call.deadline_ns().value();
            let text = deadline.map_or("no deadline in the capture".to_owned(), |nanos| {
                format!("deadline {}", crate::print::duration_text(i64::try_from(nanos).unwrap_or(i64::MAX), 9))
            });
            let problem = self.add("deadline-exceeded", Severity::Warning, 1, at(text));
            problem.longest_ns = problem.longest_ns.max(call.duration_ns());
        }
        match call.outcome() {
            Some(Outcome::Incomplete) => {
                let text = match call.end() {
                    Some(End::Connection) => "the connection ended",
                    Some(End::Gap) => "its end lies in a gap",
                    _ => "it ended without a status",
                };
                self.add("status-missing", Severity::Info, 1, at(text.to_owned()));
            }
            None => drop(self.add("status-missing", Severity::Info, 1, at("its status is unknown".to_owned()))),
            Some(_) => {}
        }
    }

    fn add_message(&mut self, message: MessageView<'_>, place: &Place, scratch: Option<&mut Scratch>) {
        let place = Place { packet: Some(message.packet()), ..place.clone() };
        let length = message.length();
        let large = match message.protocol() {
            Protocol::Ttrpc if length >= NEAR_LIMIT => Some(("message-near-limit", Severity::Warning)),
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect if length > GRPC_DEFAULT => {
                Some(("message-above-default", Severity::Info))
            }
            _ => None,
        };
        if let Some((kind, severity)) = large {
            let way = crate::note::way(message.direction());
            let text = format!("{} {way}", crate::print::size_text(length.into()));
            let problem = self.add(kind, severity, 1, Place { text, ..place.clone() });
            problem.bytes = sum(problem.bytes, Some(length.into()));
        }
        if message.is_start_guessed() {
            let text = "that a message begins here is a guess".to_owned();
            self.add("alignment-guessed", Severity::Info, 1, Place { text, ..place.clone() });
        }
        let Some(scratch) = scratch else { return };
        let ix = message.type_ix().value();
        let body = message.body(scratch);
        let Some(content) = body.content() else {
            body.fault().into_iter().for_each(|fault| self.add_note(fault.clone(), &place));
            return;
        };
        if as_json(content).is_some() {
            return;
        }
        let mut text = Vec::new();
        let mut discard = |text: &mut Vec<u8>| text.clear();
        let notes = match ix {
            Some(ix) => JsonPrinter::new().print_draining(message.schema(), ix, content, &mut text, &mut discard).notes,
            None => raw::write_json_draining(content, &mut text, &mut discard),
        };
        notes.into_iter().for_each(|note| self.add_note(note.into(), &place));
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
    }
}

/// Resets by connection, to find storms of them.
#[derive(Clone, Debug, Default)]
pub struct Resets {
    by_connection: BTreeMap<u32, Vec<(Timestamp, u32)>>,
}

impl Resets {
    /// Takes note of how a call was reset.
    pub fn add_call(&mut self, call: &CallView<'_>) {
        if let Some(reset) = call.resets().first() {
            let resets = self.by_connection.entry(call.connection().number()).or_default();
            resets.push((reset.at, call.no()));
        }
    }

    /// The storms.
    pub fn problems(mut self) -> Problems {
        let mut problems = Problems::default();
        for (&connection, resets) in &mut self.by_connection {
            resets.sort_unstable();
            let (mut from, mut most, mut first) = (0, 0, 0);
            for (at, (time, _)) in resets.iter().enumerate() {
                while resets.get(from).is_some_and(|(early, _)| time.nanos_since(*early) > SECOND) {
                    from += 1;
                }
                if at + 1 - from > most {
                    (most, first) = (at + 1 - from, from);
                }
            }
            if most >= STORM {
                let text = format!("{most} resets within a second");
                let call = resets.get(first).map(|&(_, no)| no);
                let place = Place { call, connection: Some(connection), packet: None, text };
                problems.add("reset-storm", Severity::Warning, 1, place).calls += resets.len() as u64;
            }
        }
        problems
    }
}
