//! Comparing two calls: how they ended, what the server said besides messages, and the messages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rpcshark_captures::Direction;

use super::align::{Aligned, align};
use super::difference::{DifferenceKind, Key, MessageNumbers, Root, Shown, Step};
use super::digest::hash;
use super::fields::{Mapped, Walk, typed};
use super::level::{Parts, Typed};
use super::outcome::{Comparison, Verdict};
use super::rules::{Active, Rules};
use crate::grpc::Status;
use crate::json;
use crate::schema::{MessageIx, Schema};
use crate::store::{End, Protocol};
use crate::view::{Body, CallView, HeadersView, Known, MessageView, Outcome, Permit, Scratch, as_json};

/// Compares calls, one pair after the other. Keeps its memory from one to the next; one a thread.
pub struct Comparer<'r> {
    rules: &'r Rules,
    pub(super) permit: Permit,
    scratch: [Scratch; 2],
    tail: [Scratch; 2],
}

/// What of two calls is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'m> {
    /// The messages of the requests, too.
    pub requests: bool,
    /// One call may have more messages than the other, as where both were cancelled: the beginning that both have is compared.
    /// It always is for calls that were cancelled by their client, had no end, or ended by their deadline.
    pub prefix: bool,
    /// The replayed call is not from a capture: all that its server has sent is there. What cannot be read of it differs.
    pub live: bool,
    /// Values that stand for each other.
    pub mapped: Option<&'m Mapped>,
}

/// How a call ended, as far as that matters for comparing it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    /// With a status, or an end that stands for one.
    Status(Status),
    /// By its deadline, on whichever side it ran out first.
    Deadline,
    /// Its client cancelled it.
    Cancelled,
    /// Not at all.
    Open,
    /// The server reset it in a way that stands for no status.
    Reset(u32),
    /// With its connection, or in a gap.
    Lost,
    /// With a status that is not in the capture.
    Unknown,
}

/// Messages of a stream that are aligned; what is after them is compared by position.
const MAX_ALIGNED: usize = 1 << 20;

/// A deadline is assumed to be the reason of a client's cancel if the cancel came after it, or before it by less than this.
const DEADLINE_SLACK_NS: i64 = 20_000_000;

impl<'r> Comparer<'r> {
    /// One that follows `rules`. It compares secrets, too, and therefore needs a permit; what it reports does not show them.
    pub fn new(rules: &'r Rules, permit: Permit) -> Self {
        Self { rules, permit, scratch: Default::default(), tail: Default::default() }
    }

    /// The rules.
    pub const fn rules(&self) -> &'r Rules {
        self.rules
    }

    /// The rules for the calls of a method: `/service/method`.
    pub(super) fn method_rules(&self, path: &str) -> Active<'r> {
        let (service, method) = path.strip_prefix('/').and_then(|path| path.rsplit_once('/')).unwrap_or_default();
        self.rules.for_method(service, method)
    }

    /// Compares two calls of the same method. What is hidden in their views is compared and not shown.
    pub fn compare(&mut self, recorded: &CallView<'_>, replayed: &CallView<'_>, scope: &Scope<'_>) -> Comparison {
        let hide = recorded.hides_marked_fields() || replayed.hides_marked_fields();
        let seen = (recorded.permitted(&self.permit), replayed.permitted(&self.permit));
        let path = seen.0.path().value().or(seen.1.path().value()).map(str::to_owned).unwrap_or_default();
        let rules = self.method_rules(&path);
        let mut endings = (ending(&seen.0), ending(&seen.1));
        // Whoever says that only the beginning counts knows that the client wanted no more, and closed the connection.
        if scope.prefix && endings.0 == Ending::Lost {
            endings.0 = Ending::Cancelled;
        }
        if let Ending::Lost | Ending::Unknown = endings.0 {
            return Comparison::of(Verdict::NotComparable, Some(incomplete(&seen.0, "recorded")));
        }
        let mut found = Comparison::of(Verdict::Same, None);
        let none = Mapped::default();
        let mapped = scope.mapped.unwrap_or(&none);
        let mut pair = Pair { rules: &rules, mapped, hide, found: &mut found };
        pair.statuses(&seen.0, &seen.1, &endings);
        pair.headers((recorded, &seen.0), (replayed, &seen.1));
        let prefix = scope.prefix || endings.0.is_cut_short() || endings.1.is_cut_short();
        let mut cannot_be_read = None;
        let mut directions = vec![(Direction::ToClient, Root::Response, prefix)];
        if scope.requests {
            directions.insert(0, (Direction::ToServer, Root::Request, prefix));
        }
        for (direction, root, prefix) in directions {
            match self.messages(&seen.0, &seen.1, direction, root, prefix, &mut pair) {
                Ok(()) => {}
                Err(Unreadable { is_replayed: true, why }) if scope.live => cannot_be_read = Some(why),
                Err(Unreadable { why, .. }) => {
                    return Comparison { verdict: Verdict::NotComparable, why: Some(why), ..found };
                }
            }
        }
        // The server ended the call without a status.
        let has_no_status = matches!(endings.1, Ending::Lost | Ending::Unknown)
            && !matches!(seen.1.end(), Some(End::Connection | End::Gap) | None);
        if scope.live && has_no_status {
            let (old, new) = (endings.0.shown(), Shown::text("no status"));
            pair.named(Root::Status, "code", DifferenceKind::Changed, old, new);
            return found.ended(Verdict::StatusChanged, format!("recorded {}, now no status", endings.0.text()));
        }
        found.settle();
        if let (Some(why), Verdict::Same | Verdict::Differs) = (cannot_be_read, found.verdict) {
            return found.ended(Verdict::Differs, why);
        }
        match endings.1 {
            Ending::Lost => {
                let why = incomplete(&seen.1, "replayed");
                found.ended(Verdict::ConnectionLost, why)
            }
            Ending::Unknown => found.ended(Verdict::NotComparable, incomplete(&seen.1, "replayed")),
            Ending::Deadline if endings.0 != Ending::Deadline && found.verdict == Verdict::StatusChanged => {
                let why = format!("recorded {}, no answer before the deadline now", endings.0.text());
                found.ended(Verdict::Timeout, why)
            }
            _ => {
                if found.verdict == Verdict::StatusChanged {
                    found.why = Some(format!("recorded {}, now {}", endings.0.text(), endings.1.text()));
                }
                found
            }
        }
    }

    /// Compares two messages of a type, as those of a response.
    pub fn compare_messages(
        &self,
        schema: &Schema,
        ix: MessageIx,
        recorded: &[u8],
        replayed: &[u8],
        hide: bool,
    ) -> Comparison {
        let rules = self.rules.for_method("", "");
        let (mut found, none) = (Comparison::of(Verdict::Same, None), Mapped::default());
        let kind = typed(schema, ix).map(|typed| (typed, typed));
        contents(&mut Walk::new(&rules, &none, Root::Response, hide, &mut found), kind, recorded, replayed);
        found.settle();
        found
    }

    /// A digest of the messages of a call's request: calls whose requests are equal by the rules have equal ones. `None` where a
    /// message cannot be read.
    pub fn request_digest(&mut self, call: &CallView<'_>) -> Option<u64> {
        let call = call.permitted(&self.permit);
        let rules = self.method_rules(call.path().value().unwrap_or_default());
        let kind = kind_of(&call, &call, Direction::ToServer);
        let mut digest = hash(0_u8);
        let [scratch, _] = &mut self.scratch;
        for message in call.messages(Direction::ToServer).filter(|message| !message.is_late()) {
            let one = message_digest(message, kind.map(|kind| kind.0), &rules, Root::Request, scratch)?;
            digest = hash((digest, one));
        }
        Some(digest)
    }

    fn messages<'a>(
        &mut self,
        recorded: &CallView<'a>,
        replayed: &CallView<'a>,
        direction: Direction,
        root: Root,
        prefix: bool,
        pair: &mut Pair<'_>,
    ) -> Result<(), Unreadable> {
        let kind = kind_of(recorded, replayed, direction);
        let both = |recorded, replayed, numbers| Counterparts { recorded, replayed, types: kind, root, numbers };
        let (mut left, mut right) = (in_time(recorded, direction).peekable(), in_time(replayed, direction).peekable());
        let mut at = 0;
        // The beginning that both have in common needs no aligning.
        while let (Some(&x), Some(&y)) = (left.peek(), right.peek()) {
            let alone = at == 0
                && recorded.messages(direction).nth(1).is_none()
                && replayed.messages(direction).nth(1).is_none();
            let numbers = MessageNumbers { recorded: Some(at + 1), replayed: Some(at + 1) };
            if alone {
                return self.pair(both(x, y, numbers), pair, false).map(|_| ());
            }
            if self.pair(both(x, y, numbers), pair, true)? {
                break;
            }
            left.next();
            right.next();
            at += 1;
        }
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let mut digests = |messages: &mut dyn Iterator<Item = MessageView<'a>>, side: usize| {
            let [scratch, _] = &mut self.tail;
            let typed = kind.map(|(a, b)| if side == 0 { a } else { b });
            let messages = messages.take(MAX_ALIGNED);
            let digest = |message| message_digest(message, typed, pair.rules, root, scratch).unwrap_or(0);
            messages.map(digest).collect::<Vec<u64>>()
        };
        if left.peek().is_none() && right.peek().is_none() {
            return Ok(());
        }
        let (first, second) = (digests(&mut left, 0), digests(&mut right, 1));
        let mut aligned = align(&first, &second);
        if prefix {
            // What only one of them still sent does not count.
            match aligned.last() {
                Some(Aligned::First(_)) => {
                    while matches!(aligned.last(), Some(Aligned::First(_))) {
                        aligned.pop();
                    }
                }
                Some(Aligned::Second(_)) => {
                    while matches!(aligned.last(), Some(Aligned::Second(_))) {
                        aligned.pop();
                    }
                }
                Some(Aligned::Pair(..)) | None => {}
            }
        }
        let (mut left, mut right) =
            (in_time(recorded, direction).skip(start), in_time(replayed, direction).skip(start));
        let number = |index: usize| Some(at + index as u64 + 1);
        for step in aligned {
            match step {
                Aligned::Pair(i, j) => {
                    let (Some(x), Some(y)) = (left.next(), right.next()) else { break };
                    let numbers = MessageNumbers { recorded: number(i), replayed: number(j) };
                    self.pair(both(x, y, numbers), pair, false)?;
                }
                Aligned::First(i) => {
                    let Some(x) = left.next() else { break };
                    let numbers = MessageNumbers { recorded: number(i), replayed: None };
                    self.only(x, kind.map(|kind| kind.0), root, numbers, pair, DifferenceKind::Removed);
                }
                Aligned::Second(j) => {
                    let Some(y) = right.next() else { break };
                    let numbers = MessageNumbers { recorded: None, replayed: number(j) };
                    self.only(y, kind.map(|kind| kind.1), root, numbers, pair, DifferenceKind::Added);
                }
            }
        }
        // Beyond what is aligned: by position.
        let mut next = (first.len(), second.len());
        loop {
            let (x, y) = (left.next(), right.next());
            let numbers = MessageNumbers { recorded: x.and(number(next.0)), replayed: y.and(number(next.1)) };
            match (x, y) {
                (Some(x), Some(y)) => _ = self.pair(both(x, y, numbers), pair, false)?,
                (None, None) => return Ok(()),
                _ if prefix => return Ok(()),
                (Some(x), None) => {
                    self.only(x, kind.map(|kind| kind.0), root, numbers, pair, DifferenceKind::Removed);
                }
                (None, Some(y)) => self.only(y, kind.map(|kind| kind.1), root, numbers, pair, DifferenceKind::Added),
            }
            next = (next.0 + 1, next.1 + 1);
        }
    }

    /// Compares two messages; true if they differ. With `ask` that is all; else the differences are added.
    fn pair<'a>(&mut self, both: Counterparts<'a>, pair: &mut Pair<'_>, ask: bool) -> Result<bool, Unreadable> {
        let Counterparts { recorded, replayed, types, root, numbers } = both;
        let [scratch_x, scratch_y] = &mut self.scratch;
        let (body_x, body_y) = (recorded.body(scratch_x), replayed.body(scratch_y));
        let (Some(a), Some(b)) = (body_x.content(), body_y.content()) else {
            // A message that neither recording has in full is the same in both if the parts that are there are.
            let (which, body, number) = match body_x.content() {
                None => ("recorded", &body_x, numbers.recorded),
                Some(_) => ("replayed", &body_y, numbers.replayed),
            };
            let is_replayed = which == "replayed";
            return Err(Unreadable { is_replayed, why: unreadable(which, root, number, body) });
        };
        if a == b {
            return Ok(false);
        }
        let before = pair.found.count();
        let mut walk = Walk::new(pair.rules, pair.mapped, root, pair.hide, pair.found);
        walk.message = Some(numbers);
        if ask {
            return Ok(walk.probe(|walk| contents(walk, types, a, b)));
        }
        contents(&mut walk, types, a, b);
        Ok(pair.found.count() > before)
    }

    /// A message that only one side has.
    fn only(
        &mut self,
        message: MessageView<'_>,
        typed: Option<Typed<'_>>,
        root: Root,
        numbers: MessageNumbers,
        pair: &mut Pair<'_>,
        kind: DifferenceKind,
    ) {
        let body = message.body(&mut self.scratch[0]);
        let hide = pair.hide;
        let shown = || match (body.content(), typed) {
            (Some(content), _) if as_json(content).is_some() => Shown::bytes_as_text(content),
            (Some(content), Some(typed)) => Shown::message(typed, &[content], hide),
            (Some(content), None) => Shown::raw_message(content),
            (None, _) => Shown::text(&format!("{} bytes that cannot be read", message.length())),
        };
        let mut walk = Walk::new(pair.rules, pair.mapped, root, hide, pair.found);
        walk.message = Some(numbers);
        match kind {
            _ if walk.treatment().ignore => {}
            DifferenceKind::Added => walk.report(kind, || Shown::Absent, shown),
            _ => walk.report(kind, shown, || Shown::Absent),
        }
    }
}

/// Two messages that stand for each other.
struct Counterparts<'a> {
    recorded: MessageView<'a>,
    replayed: MessageView<'a>,
    types: Option<(Typed<'a>, Typed<'a>)>,
    root: Root,
    numbers: MessageNumbers,
}

/// Two calls that are being compared.
struct Pair<'p> {
    rules: &'p Active<'p>,
    mapped: &'p Mapped,
    hide: bool,
    found: &'p mut Comparison,
}

impl Pair<'_> {
    fn walk<'a>(&mut self, root: Root) -> Walk<'_, 'a> {
        Walk::new(self.rules, self.mapped, root, self.hide, self.found)
    }

    /// A difference of something that has one name.
    fn named(&mut self, root: Root, name: &str, kind: DifferenceKind, recorded: Shown, replayed: Shown) {
        let mut walk = self.walk(root);
        walk.steps.push(Step::named(name.to_owned()));
        if !walk.treatment().ignore {
            walk.report(kind, || recorded, || replayed);
        }
    }

    fn statuses(&mut self, recorded: &CallView<'_>, replayed: &CallView<'_>, endings: &(Ending, Ending)) {
        let (old, new) = endings;
        let equal = match (old, new) {
            // The verdict says what a lost connection means.
            (_, Ending::Lost | Ending::Unknown) => return,
            (Ending::Status(a), Ending::Status(b)) => a == b,
            // A call without an end in its recording may end well, or be ended by us; a cancelled one, too.
            (Ending::Open | Ending::Cancelled, Ending::Open | Ending::Cancelled | Ending::Deadline) => return,
            (Ending::Open | Ending::Cancelled, Ending::Status(Status::OK | Status::CANCELLED)) => return,
            (Ending::Status(Status::CANCELLED), Ending::Cancelled) => return,
            (Ending::Deadline, Ending::Deadline) => return,
            (a, b) => a == b,
        };
        if !equal {
            return self.named(Root::Status, "code", DifferenceKind::Changed, old.shown(), new.shown());
        }
        let (Some(a), Some(b)) = (recorded.status(), replayed.status()) else { return };
        if a.message != b.message {
            let (old, new) = (Shown::text(&a.message), Shown::text(&b.message));
            self.named(Root::Status, "message", DifferenceKind::Changed, old, new);
        }
        self.details(recorded, replayed, &a.details, &b.details);
    }

    fn details(
        &mut self,
        recorded: &CallView<'_>,
        replayed: &CallView<'_>,
        old: &[Cow<'_, [u8]>],
        new: &[Cow<'_, [u8]>],
    ) {
        let any = |call: &CallView<'_>| call.schema().message("google.protobuf.Any");
        let ((Some(left), Some(right)), hide) = ((any(recorded), any(replayed)), self.hide) else { return };
        let types = typed(recorded.schema(), left).zip(typed(replayed.schema(), right));
        let Some((left, right)) = types else { return };
        let mut walk = self.walk(Root::Status);
        walk.steps.push(Step::named("details"));
        if walk.treatment().ignore {
            return;
        }
        for at in 0..old.len().max(new.len()) {
            if let Some(step) = walk.steps.last_mut() {
                step.key = Some(Key::Index(at));
            }
            match (old.get(at), new.get(at)) {
                (Some(a), Some(b)) => {
                    walk.message(left.with(&[a]), right.with(&[b]), None, 0);
                }
                (Some(a), None) => {
                    walk.report(DifferenceKind::Removed, || Shown::message(left, &[a], hide), || Shown::Absent);
                }
                (None, Some(b)) => {
                    walk.report(DifferenceKind::Added, || Shown::Absent, || Shown::message(right, &[b], hide));
                }
                (None, None) => {}
            }
        }
    }

    /// Metadata and trailers: by names, each with its values in order. Each call comes as it is shown and as it is.
    fn headers(&mut self, recorded: (&CallView<'_>, &CallView<'_>), replayed: (&CallView<'_>, &CallView<'_>)) {
        if recorded.1.protocol() == Protocol::Ttrpc || replayed.1.protocol() == Protocol::Ttrpc {
            return;
        }
        let has_trailers = |call: &CallView<'_>| matches!(call.end(), Some(End::Trailers));
        let both_ended = has_trailers(recorded.1) && has_trailers(replayed.1);
        // A trailers-only response has its metadata in its trailers. Whether a response is one does not count.
        let merged = recorded.1.is_trailers_only() || replayed.1.is_trailers_only();
        let lists = |(shown, seen): (&CallView<'_>, &CallView<'_>)| {
            let mut fields = [BTreeMap::new(), BTreeMap::new()];
            let [metadata, trailers] = &mut fields;
            gather(shown.response_headers(), seen.response_headers(), metadata);
            let into = if merged { metadata } else { trailers };
            gather(shown.trailers(), seen.trailers(), into);
            fields
        };
        let ([old_metadata, old_trailers], [new_metadata, new_trailers]) = (lists(recorded), lists(replayed));
        let has_headers = |call: &CallView<'_>| call.response_headers().is_some() || call.is_trailers_only();
        if has_headers(recorded.1) && has_headers(replayed.1) {
            let root = if merged && both_ended { Root::Trailers } else { Root::Metadata };
            self.fields(root, &old_metadata, &new_metadata);
        }
        if both_ended {
            self.fields(Root::Trailers, &old_trailers, &new_trailers);
        }
    }

    fn fields(&mut self, root: Root, old: &Gathered, new: &Gathered) {
        let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
        for name in names {
            let (a, b) = (old.get(name), new.get(name));
            let is_unknown = |field: Option<&HeaderValues>| field.is_some_and(|field| field.unknown);
            if a.map(HeaderValues::joined) == b.map(HeaderValues::joined) || is_unknown(a) || is_unknown(b) {
                continue;
            }
            let kind = match (a, b) {
                (Some(_), Some(_)) => DifferenceKind::Changed,
                (Some(_), None) => DifferenceKind::Removed,
                _ => DifferenceKind::Added,
            };
            let shown = |field: Option<&HeaderValues>| field.map_or(Shown::Absent, HeaderValues::shown);
            let name = String::from_utf8_lossy(name);
            self.named(root, &name, kind, shown(a), shown(b));
        }
    }
}

/// Header fields by their names.
type Gathered = BTreeMap<Vec<u8>, HeaderValues>;

/// The values of all header fields of one name.
#[derive(Debug, Default)]
struct HeaderValues {
    /// Decoded, if the name says that they are binary.
    values: Vec<Vec<u8>>,
    binary: bool,
    hidden: bool,
    /// Some are not in the capture.
    unknown: bool,
}

impl HeaderValues {
    /// All values as one. Several fields of one name and one with commas mean the same (RFC 9110 §5.3).
    fn joined(&self) -> Vec<u8> {
        match self.binary {
            true => {
                self.values.iter().flat_map(|value| [&(value.len() as u64).to_be_bytes(), &**value].concat()).collect()
            }
            false => self.values.join(&b","[..]),
        }
    }

    fn shown(&self) -> Shown {
        if self.hidden {
            return Shown::Hidden { len: self.values.iter().map(Vec::len).sum() };
        }
        let write = |out: &mut Vec<u8>, value: &[u8]| match self.binary {
            true => json::write_base64(out, value),
            false => _ = json::write_bytes_lossy(out, value),
        };
        Shown::json(|out, _| match &self.values[..] {
            [only] => write(out, only),
            several => {
                out.push(b'[');
                for (at, value) in several.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write(out, value);
                }
                out.push(b']');
            }
        })
    }
}

/// Fields that servers and proxies set, and not the application: RFC 9110 and compression.
const NOT_COMPARED: &[&[u8]] =
    &[b"server", b"date", b"content-length", b"content-encoding", b"accept-encoding", b"via", b"trailer"];

/// Adds the application's fields of a list; `shown` says which values are hidden, `seen` has them all.
fn gather(shown: Option<HeadersView<'_>>, seen: Option<HeadersView<'_>>, into: &mut Gathered) {
    let fields =
        shown.into_iter().flat_map(HeadersView::metadata).zip(seen.into_iter().flat_map(HeadersView::metadata));
    for (shown, seen) in fields {
        let Some(name) = seen.name().value() else { continue };
        if NOT_COMPARED.contains(&name) {
            continue;
        }
        let field = into.entry(name.to_vec()).or_default();
        field.hidden |= shown.value().is_hidden();
        match (seen.binary_values(), seen.value()) {
            (Some(values), _) => {
                field.binary = true;
                let raw = seen.value().value().unwrap_or_default();
                field.values.extend(values.map(|value| value.unwrap_or_else(|| raw.to_vec())));
            }
            (None, Known::Seen(value) | Known::Guessed(value)) => field.values.push(value.to_vec()),
            (None, _) => field.unknown = true,
        }
    }
}

/// How a call ended.
fn ending(call: &CallView<'_>) -> Ending {
    let ended = match call.outcome() {
        Some(Outcome::Open) => Ending::Open,
        Some(Outcome::Ok | Outcome::Error) => {
            let mapped = call.mapped_status().map(|mapped| mapped.code);
            call.status_code().or(mapped).map_or(Ending::Unknown, Ending::Status)
        }
        Some(Outcome::Reset) => match call.resets().first() {
            Some(reset) if reset.direction == Direction::ToServer => Ending::Cancelled,
            Some(reset) => call.mapped_status().map_or(Ending::Reset(reset.code), |mapped| Ending::Status(mapped.code)),
            None => Ending::Unknown,
        },
        Some(Outcome::Incomplete) => Ending::Lost,
        None => Ending::Unknown,
    };
    match ended {
        Ending::Status(Status::DEADLINE_EXCEEDED) => Ending::Deadline,
        Ending::Cancelled if is_past_deadline(call) => Ending::Deadline,
        other => other,
    }
}

/// Whether a call took as long as its deadline allowed.
fn is_past_deadline(call: &CallView<'_>) -> bool {
    let (Some(deadline), Some(duration)) = (call.deadline_ns().value(), call.duration_ns()) else { return false };
    duration.saturating_add(DEADLINE_SLACK_NS) >= i64::try_from(deadline).unwrap_or(i64::MAX)
}

impl Ending {
    /// Whether the number of messages is a matter of time.
    const fn is_cut_short(&self) -> bool {
        matches!(self, Self::Deadline | Self::Cancelled | Self::Open | Self::Lost | Self::Unknown)
    }

    fn text(&self) -> String {
        match self {
            Self::Status(code) => code.name().into_owned(),
            Self::Deadline => Status::DEADLINE_EXCEEDED.name().into_owned(),
            Self::Cancelled => "cancelled by the client".to_owned(),
            Self::Open => "no end".to_owned(),
            Self::Reset(code) => format!("RST_STREAM {}", crate::http2::ErrorCode(*code).name()),
            Self::Lost => "the connection was lost".to_owned(),
            Self::Unknown => "unknown".to_owned(),
        }
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.text())
    }
}

/// Why a call whose end is not known cannot be compared.
fn incomplete(call: &CallView<'_>, which: &str) -> String {
    match call.end() {
        Some(End::Gap) => format!("the {which} call ends in a gap of the capture"),
        Some(End::Connection) => format!("the connection of the {which} call ended before the call"),
        _ => format!("the status of the {which} call is not in the capture"),
    }
}

/// A message that cannot be read.
struct Unreadable {
    is_replayed: bool,
    why: String,
}

fn unreadable(which: &str, root: Root, number: Option<u64>, body: &Body<'_>) -> String {
    let why = body.fault().map(|fault| fault.text.as_str()).unwrap_or_default();
    format!("message {} of the {which} {} cannot be read: {why}", number.unwrap_or(0), root.name())
}

/// The types of the messages of one direction. A side that does not know takes the other's.
pub(super) fn kind_of<'a>(
    recorded: &CallView<'a>,
    replayed: &CallView<'a>,
    direction: Direction,
) -> Option<(Typed<'a>, Typed<'a>)> {
    let of = |call: &CallView<'a>| typed(call.schema(), call.message_type(direction).value()?);
    match (of(recorded), of(replayed)) {
        (Some(a), Some(b)) => Some((a, b)),
        (Some(only), None) | (None, Some(only)) => Some((only, only)),
        (None, None) => None,
    }
}

fn message_digest<'a>(
    message: MessageView<'a>,
    typed: Option<Typed<'a>>,
    rules: &Active<'_>,
    root: Root,
    scratch: &mut Scratch,
) -> Option<u64> {
    Some(content_digest(message.body(scratch).content()?, typed, rules, root))
}

/// The digest of a message's content. JSON is digested without its blanks.
pub(super) fn content_digest(content: &[u8], typed: Option<Typed<'_>>, rules: &Active<'_>, root: Root) -> u64 {
    let mut found = Comparison::of(Verdict::Same, None);
    let none = Mapped::default();
    let mut walk = Walk::new(rules, &none, root, false, &mut found);
    match (as_json(content), typed) {
        (Some(text), _) => {
            let mut normal = Vec::new();
            json::copy_json(&mut normal, text);
            hash(normal)
        }
        (None, Some(typed)) => walk.message_digest(typed, typed, &Parts::from_slice(&[content]), None, 0),
        (None, None) => walk.raw_digest(content, 0),
    }
}

/// The messages of one direction that came before the end.
fn in_time<'c, 'a>(
    call: &'c CallView<'a>,
    direction: Direction,
) -> impl Iterator<Item = MessageView<'a>> + use<'c, 'a> {
    call.messages(direction).filter(|message| !message.is_late())
}

/// The contents of two messages.
pub(super) fn contents<'a>(walk: &mut Walk<'_, 'a>, kind: Option<(Typed<'a>, Typed<'a>)>, a: &'a [u8], b: &'a [u8]) {
    match (as_json(a).zip(as_json(b)), kind) {
        (Some((a, b)), _) => json_bodies(walk, a, b),
        (None, Some((left, right))) => {
            walk.message(left.with(&[a]), right.with(&[b]), None, 0);
        }
        (None, None) => walk.raw_message(a, b, 0),
    }
}

/// Two bodies that are JSON: equal apart from blanks, or one difference.
fn json_bodies(walk: &mut Walk<'_, '_>, a: &[u8], b: &[u8]) {
    let normal = |text: &[u8]| {
        let mut out = Vec::new();
        json::copy_json(&mut out, text);
        out
    };
    let (a, b) = (normal(a), normal(b));
    if a != b && !walk.treatment().ignore {
        let shown = |text: &[u8]| {
            let text = text.to_vec();
            Shown::json(move |out, _| out.extend_from_slice(&text))
        };
        walk.report(DifferenceKind::Changed, || shown(&a), || shown(&b));
    }
}
