//! A compiled filter: what is asked of a call or a frame, and the answer.

use std::borrow::Cow;
use std::ops::ControlFlow;

use hashbrown::HashMap;
use memchr::memmem::Finder;
use regex::bytes::Regex;
use rpcshark_captures::{Direction, PacketNo};

use super::ast::{Op, Slice, SliceEnd};
use super::body::{BodyPath, Reach};
use super::fields::{Ends, Flow, HeaderName, Visit};
use super::literal::{Constant, is_within};
use super::summary;
use super::truth::Truth;
use super::value::{Item, Type, Value};
use crate::json::Json;
use crate::schema::{MessageIx, Schema};
use crate::view::{CallView, FrameView, MessageView, Scratch, as_json};

/// An expression over tests.
#[derive(Debug)]
pub(super) enum Node {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    /// An index into the program's tests.
    Test(usize),
}

/// One thing that is asked.
#[derive(Debug)]
pub(super) enum Test {
    /// A field against a constant.
    Field { quantifier: All, operand: Operand },
    /// A field against a field.
    Pair { quantifier: All, left: Operand, op: Op, right: Operand },
    /// Text in the summary, in lower case.
    Text(Finder<'static>),
}

/// Whether all values must meet a test, or one is enough.
pub(super) type All = bool;

/// A field with what is done to its values before they are compared.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) source: Source,
    pub(super) transforms: Vec<Transform>,
    /// Not the values but their number is compared.
    pub(super) counted: bool,
    /// What the values are and what they are compared with, unless that depends on the message type.
    pub(super) variant: Variant,
}

/// What the values of a field are, and what they are compared with.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) ty: Type,
    pub(super) predicate: Predicate,
}

/// Where values come from.
#[derive(Debug)]
pub(super) enum Source {
    Call(fn(&CallView<'_>, &mut Visit<'_>) -> Flow),
    Frame(fn(FrameView<'_>, &mut Visit<'_>) -> Flow),
    Ends(fn(&Ends<'_>, &mut Visit<'_>) -> Flow),
    Either(fn(&CallView<'_>, &mut Visit<'_>) -> Flow, fn(FrameView<'_>, &mut Visit<'_>) -> Flow),
    Message(fn(MessageView<'_>, &mut Visit<'_>) -> Flow),
    PacketLength,
    Header(HeaderName),
    /// A path in the bodies of one direction, by the type of the message.
    Body(Direction, HashMap<MessageIx, (BodyPath, Variant)>),
    /// A path in every message of a type.
    AnyField(Reach, BodyPath),
    /// Messages of a type.
    AnyMessage(Reach),
}

impl Source {
    /// Whether values come from frames alone.
    pub(super) const fn is_of_frames(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::PacketLength)
    }

    /// Whether message bodies are read.
    pub(super) const fn reads_bodies(&self) -> bool {
        matches!(self, Self::Body(..) | Self::AnyField(..) | Self::AnyMessage(_))
    }

    /// Whether a frame's call has to be known to have the values on a frame.
    pub(super) const fn needs_call(&self) -> bool {
        match self {
            Self::Frame(_) | Self::PacketLength | Self::Ends(_) | Self::Either(..) => false,
            Self::Header(name) => !name.is_of_frames(),
            Self::Call(_) | Self::Message(_) => true,
            Self::Body(..) | Self::AnyField(..) | Self::AnyMessage(_) => true,
        }
    }
}

/// What is done to a value before it is compared.
#[derive(Clone, Debug)]
pub(super) enum Transform {
    Slices(Vec<Slice>),
    Mask(i128),
    Len,
    Lower,
    Upper,
    /// The value as output writes it; of a value of this type.
    Text,
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub(super) enum Predicate {
    /// That it is there is enough.
    Exists,
    NonZero,
    Compare(Op, Constant),
    Contains(Box<Finder<'static>>),
    Matches(Box<Regex>),
    In(Vec<(Constant, Option<Constant>)>),
}

impl Predicate {
    fn test(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::NonZero => value.as_int().is_some_and(|number| number != 0),
            Self::Compare(op, constant) => compare(*op, value, constant),
            Self::Contains(part) => value.as_bytes().is_some_and(|bytes| part.find(bytes).is_some()),
            Self::Matches(regex) => value.as_bytes().is_some_and(|bytes| regex.is_match(bytes)),
            Self::In(items) => items.iter().any(|(low, high)| match high {
                None => compare(Op::Eq, value, low),
                Some(high) => compare(Op::Ge, value, low) && compare(Op::Le, value, high),
            }),
        }
    }
}

fn compare(op: Op, value: &Value<'_>, constant: &Constant) -> bool {
    match constant {
        Constant::Value(constant) => compare_values(op, value, constant),
        Constant::Net(net, bits) => match value {
            Value::Address(addr) => is_within(*addr, *net, *bits) != matches!(op, Op::Ne | Op::AnyNe),
            _ => false,
        },
    }
}

fn compare_values(op: Op, a: &Value<'_>, b: &Value<'_>) -> bool {
    let Some(order) = a.order(b) else { return matches!(op, Op::Ne | Op::AnyNe) };
    match op {
        Op::Eq | Op::AllEq => order.is_eq(),
        Op::Ne | Op::AnyNe => order.is_ne(),
        Op::Gt => order.is_gt(),
        Op::Lt => order.is_lt(),
        Op::Ge => order.is_ge(),
        Op::Le => order.is_le(),
        Op::Contains | Op::Matches => {
            a.as_bytes().zip(b.as_bytes()).is_some_and(|(all, part)| memchr::memmem::find(all, part).is_some())
        }
    }
}

/// What the values of one field that were looked at came to. Sums of several frames are those of all their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    met: bool,
    failed: bool,
    unknown: bool,
    count: u32,
}

impl Tally {
    fn truth(self, all: All) -> Truth {
        match all {
            false if self.met => Truth::True,
            true if self.failed => Truth::False,
            _ if self.unknown => Truth::Unknown,
            true => Truth::from(self.met),
            false => Truth::False,
        }
    }

    /// Whether more values cannot change the answer.
    const fn is_decided(self, all: All) -> bool {
        if all { self.failed } else { self.met }
    }

    fn add(&mut self, other: Self) {
        self.met |= other.met;
        self.failed |= other.failed;
        self.unknown |= other.unknown;
        self.count = self.count.saturating_add(other.count);
    }
}

/// What a filter's tests of frames came to for one call, as far as its frames have been seen.
#[derive(Clone, Debug, Default)]
pub struct FrameTally(Box<[Tally]>);

/// Memory that evaluating uses, kept from one call to the next. One for each thread.
#[derive(Debug, Default)]
pub struct FilterScratch {
    body: Scratch,
    text: Vec<u8>,
}

/// Tells the length on the wire of a packet.
pub type PacketLengths<'p> = &'p dyn Fn(PacketNo) -> Option<u32>;

/// What is looked at: a call, or a frame with its call.
#[derive(Clone, Copy)]
pub(super) struct Subject<'s, 'a> {
    pub(super) call: Option<&'s CallView<'a>>,
    pub(super) frame: Option<FrameView<'a>>,
    pub(super) frames: Option<&'s FrameTally>,
    pub(super) lengths: Option<PacketLengths<'s>>,
    pub(super) schema: &'s Schema,
}

impl Node {
    pub(super) fn evaluate(&self, tests: &[Test], subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Truth {
        match self {
            Self::Or(nodes) => {
                let mut truth = Truth::False;
                for node in nodes {
                    truth = truth.or(node.evaluate(tests, subject, scratch));
                    if truth == Truth::True {
                        break;
                    }
                }
                truth
            }
            Self::And(nodes) => {
                let mut truth = Truth::True;
                for node in nodes {
                    truth = truth.and(node.evaluate(tests, subject, scratch));
                    if truth == Truth::False {
                        break;
                    }
                }
                truth
            }
            Self::Not(node) => node.evaluate(tests, subject, scratch).not(),
            Self::Test(at) => tests.get(*at).map_or(Truth::Unknown, |test| test.truth(*at, subject, scratch)),
        }
    }

    /// How much work evaluating takes: expressions with the least come first.
    pub(super) fn cost(&self, tests: &[Test]) -> u8 {
        match self {
            Self::Or(nodes) | Self::And(nodes) => nodes.iter().map(|node| node.cost(tests)).max().unwrap_or(0),
            Self::Not(node) => node.cost(tests),
            Self::Test(at) => tests.get(*at).map_or(0, Test::cost),
        }
    }
}

impl Test {
    /// Whether the test is of frames alone.
    pub(super) fn is_of_frames(&self) -> bool {
        match self {
            Self::Field { operand, .. } => operand.source.is_of_frames(),
            Self::Pair { left, right, .. } => left.source.is_of_frames() && right.source.is_of_frames(),
            Self::Text(_) => false,
        }
    }

    pub(super) fn operands(&self) -> impl Iterator<Item = &Operand> {
        let (first, second) = match self {
            Self::Field { operand, .. } => (Some(operand), None),
            Self::Pair { left, right, .. } => (Some(left), Some(right)),
            Self::Text(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    fn cost(&self) -> u8 {
        let of = |source: &Source| match source {
            Source::Body(..) => 4,
            Source::AnyField(..) | Source::AnyMessage(_) => 5,
            Source::Message(_) => 2,
            Source::Header(_) => 1,
            _ => 0,
        };
        match self {
            Self::Text(_) => 3,
            _ => self.operands().map(|operand| of(&operand.source)).max().unwrap_or(0),
        }
    }

    fn truth(&self, at: usize, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Truth {
        match self {
            Self::Text(part) => summary::contains(subject, part, &mut scratch.text).into(),
            Self::Field { quantifier, operand } => {
                let tally = match subject.frame {
                    None if self.is_of_frames() => tallied(subject, at),
                    _ => operand.tally(*quantifier, subject, scratch),
                };
                operand.truth(tally, *quantifier)
            }
            Self::Pair { quantifier, .. } => {
                let tally = match subject.frame {
                    None if self.is_of_frames() => tallied(subject, at),
                    _ => self.tally_pair(subject, scratch),
                };
                tally.truth(*quantifier)
            }
        }
    }

    /// Looks at a frame of a call whose end may not be there yet.
    pub(super) fn observe(&self, frame: FrameView<'_>, lengths: Option<PacketLengths<'_>>, schema: &Schema) -> Tally {
        let subject = Subject { call: None, frame: Some(frame), frames: None, lengths, schema };
        let mut scratch = FilterScratch::default();
        match self {
            // Of other frames there may be more values: nothing is decided by this one alone.
            Self::Field { quantifier, operand } => operand.tally(*quantifier, subject, &mut scratch),
            Self::Pair { .. } => self.tally_pair(subject, &mut scratch),
            Self::Text(_) => Tally::default(),
        }
    }

    fn tally_pair(&self, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Tally {
        let Self::Pair { left, op, right, .. } = self else { return Tally::default() };
        let lefts = left.collect(subject, scratch);
        let rights = right.collect(subject, scratch);
        let mut tally = Tally {
            unknown: lefts.unknown && !rights.is_absent() || rights.unknown && !lefts.is_absent(),
            ..Tally::default()
        };
        for a in &lefts.values {
            for b in &rights.values {
                match compare_values(*op, a, b) {
                    true => tally.met = true,
                    false => tally.failed = true,
                }
            }
        }
        tally
    }
}

fn tallied(subject: Subject<'_, '_>, at: usize) -> Tally {
    subject.frames.and_then(|frames| frames.0.get(at).copied()).unwrap_or_default()
}

/// Adds what `tests` come to for `frame` to `into`.
pub(super) fn observe(
    tests: &[Test],
    frame: FrameView<'_>,
    lengths: Option<PacketLengths<'_>>,
    schema: &Schema,
    into: &mut FrameTally,
) {
    if into.0.is_empty() {
        into.0 = vec![Tally::default(); tests.len()].into();
    }
    for (test, tally) in tests.iter().zip(&mut into.0).filter(|(test, _)| test.is_of_frames()) {
        tally.add(test.observe(frame, lengths, schema));
    }
}

/// The values that one side of a comparison of two fields has.
struct Collected {
    values: Vec<Value<'static>>,
    unknown: bool,
}

impl Collected {
    fn is_absent(&self) -> bool {
        self.values.is_empty() && !self.unknown
    }
}

/// Values of one side of a comparison of two fields that are looked at: the work is their product.
const MAX_PAIRED: usize = 1024;

impl Operand {
    fn truth(&self, tally: Tally, all: All) -> Truth {
        match self.counted {
            true if tally.unknown => Truth::Unknown,
            // As in Wireshark, the field of a function has to be there.
            true => Truth::from(tally.count > 0 && self.variant.predicate.test(&Value::int(tally.count))),
            false => tally.truth(all),
        }
    }

    fn tally(&self, all: All, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Tally {
        let mut tally = Tally::default();
        let counted = self.counted;
        let _ = self.visit(subject, scratch, &mut |item, variant| {
            match item {
                Item::Value(_) if counted => tally.count = tally.count.saturating_add(1),
                Item::Hidden(_) if counted => tally.count = tally.count.saturating_add(1),
                Item::Value(value) => match variant.predicate.test(&value) {
                    true => tally.met = true,
                    false => tally.failed = true,
                },
                // That it is there is known.
                Item::Hidden(_) if matches!(variant.predicate, Predicate::Exists) => tally.met = true,
                Item::Hidden(_) | Item::Unknown => tally.unknown = true,
            }
            match !counted && tally.is_decided(all) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        tally
    }

    fn collect(&self, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Collected {
        let mut collected = Collected { values: Vec::new(), unknown: false };
        let mut count = 0_u32;
        let _ = self.visit(subject, scratch, &mut |item, _| {
            match item {
                Item::Value(value) if !self.counted => collected.values.push(into_owned(value)),
                Item::Value(_) => count += 1,
                Item::Hidden(_) | Item::Unknown => collected.unknown = true,
            }
            match collected.values.len() < MAX_PAIRED {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if self.counted && count > 0 {
            collected.values.push(Value::int(count));
        }
        collected
    }

    /// Visits the values, transformed.
    pub(super) fn visit(
        &self,
        subject: Subject<'_, '_>,
        scratch: &mut FilterScratch,
        visit: &mut dyn FnMut(Item<'_>, &Variant) -> Flow,
    ) -> Flow {
        let transforms = &self.transforms;
        let schema = subject.schema;
        // The variant changes from message to message.
        let mut each = |item: Item<'_>, variant: &Variant| match item {
            Item::Value(value) if !transforms.is_empty() => match transformed(value, transforms, variant.ty, schema) {
                Some(value) => visit(Item::Value(value), variant),
                None => ControlFlow::Continue(()),
            },
            item => visit(item, variant),
        };
        let Subject { call, frame, .. } = subject;
        let mut one = |item: Item<'_>| each(item, &self.variant);
        match &self.source {
            Source::Call(get) => call.map_or(ControlFlow::Continue(()), |call| get(call, &mut one)),
            Source::Frame(get) => frame.map_or(ControlFlow::Continue(()), |frame| get(frame, &mut one)),
            Source::Ends(get) => match (frame, call) {
                (Some(frame), _) => get(&Ends::of_frame(frame), &mut one),
                (None, Some(call)) => get(&Ends::of_call(call), &mut one),
                (None, None) => ControlFlow::Continue(()),
            },
            Source::Either(on_call, on_frame) => match (frame, call) {
                (Some(frame), _) => on_frame(frame, &mut one),
                (None, Some(call)) => on_call(call, &mut one),
                (None, None) => ControlFlow::Continue(()),
            },
            Source::Header(name) => match (frame, call) {
                (Some(frame), _) if name.is_of_frames() => name.on_frame(frame, &mut one),
                (_, Some(call)) => name.on_call(call, &mut one),
                _ => ControlFlow::Continue(()),
            },
            Source::PacketLength => match (frame, subject.lengths) {
                (Some(frame), Some(lengths)) => match lengths(frame.packet()) {
                    Some(length) => one(Item::Value(Value::int(length))),
                    None => one(Item::Unknown),
                },
                (Some(_), None) => one(Item::Unknown),
                (None, _) => ControlFlow::Continue(()),
            },
            Source::Message(get) => messages(subject, |message| get(message, &mut one)),
            Source::Body(direction, roots) => {
                let Some(call) = call else { return ControlFlow::Continue(()) };
                for message in call.messages(*direction) {
                    body(message, roots, schema, &mut scratch.body, &mut each, &self.variant)?;
                }
                if are_messages_lost(call, *direction) {
                    each(Item::Unknown, &self.variant)
                } else {
                    ControlFlow::Continue(())
                }
            }
            Source::AnyField(reach, path) => messages(subject, |message| {
                let hide = message.hides_marked_fields();
                found(message, reach, schema, &mut scratch.body, &mut |inside| match inside {
                    Some(Found::Bytes(bytes)) => {
                        path.walk_hiding(schema, bytes, hide, false, &mut |item| each(item, &self.variant))
                    }
                    Some(Found::Json(json)) => {
                        path.walk_json(schema, json, hide, &mut |item| each(item, &self.variant))
                    }
                    None => each(Item::Unknown, &self.variant),
                })
            }),
            Source::AnyMessage(reach) => messages(subject, |message| {
                found(message, reach, schema, &mut scratch.body, &mut |inside| match inside {
                    Some(_) => each(Item::Value(Value::Present), &self.variant),
                    None => each(Item::Unknown, &self.variant),
                })
            }),
        }
    }
}

/// The messages of a call, or those that a frame completes.
fn messages<'a>(subject: Subject<'_, 'a>, mut visit: impl FnMut(MessageView<'a>) -> Flow) -> Flow {
    let Some(call) = subject.call else { return ControlFlow::Continue(()) };
    match subject.frame {
        None => Direction::BOTH.iter().try_for_each(|&direction| call.messages(direction).try_for_each(&mut visit)),
        Some(frame) => {
            let Some(completed) = frame.messages() else { return ControlFlow::Continue(()) };
            let (skip, take) = (completed.range.start as usize, completed.range.len());
            call.messages(completed.direction).skip(skip).take(take).try_for_each(visit)
        }
    }
}

/// Whether messages of a direction may be missing from the capture.
fn are_messages_lost(call: &CallView<'_>, direction: Direction) -> bool {
    match direction {
        Direction::ToServer => call.request_headers().is_none() || call.is_alignment_guessed(),
        Direction::ToClient => call.end() == Some(crate::store::End::Gap) || call.is_alignment_guessed(),
    }
}

/// Visits the values at the path in a message's body that its type has.
fn body(
    message: MessageView<'_>,
    roots: &HashMap<MessageIx, (BodyPath, Variant)>,
    schema: &Schema,
    scratch: &mut Scratch,
    visit: &mut dyn FnMut(Item<'_>, &Variant) -> Flow,
    fallback: &Variant,
) -> Flow {
    let ty = message.type_ix().value();
    if ty.is_some_and(|ty| !roots.contains_key(&ty)) {
        return ControlFlow::Continue(());
    }
    let body = message.body(scratch);
    let json = body.content().and_then(as_json).and_then(Json::new);
    // A message of unknown type that is JSON names its fields: the path is the one that fits the first type of all.
    let root = match (ty, json) {
        (None, Some(_)) => roots.keys().min().copied(),
        (ty, _) => ty,
    };
    let Some((path, variant)) = root.and_then(|root| roots.get(&root)) else { return visit(Item::Unknown, fallback) };
    match (json, body.content()) {
        (Some(json), _) => {
            path.walk_json(schema, json, message.hides_marked_fields(), &mut |item| visit(item, variant))
        }
        (None, None) if message.is_compressed() => visit(Item::Unknown, variant),
        (None, _) => path.walk_body(schema, &body, &mut |item| visit(item, variant)),
    }
}

/// A message that was found in a body.
#[derive(Clone, Copy)]
enum Found<'b> {
    Bytes(&'b [u8]),
    Json(Json<'b>),
}

/// Visits the messages of a type in a message's body; `None` where something of it cannot be read.
fn found(
    message: MessageView<'_>,
    reach: &Reach,
    schema: &Schema,
    scratch: &mut Scratch,
    visit: &mut dyn FnMut(Option<Found<'_>>) -> Flow,
) -> Flow {
    let Some(ty) = message.type_ix().value() else { return visit(None) };
    if !reach.from(ty) {
        return ControlFlow::Continue(());
    }
    let Some(bytes) = message.body(scratch).content() else { return visit(None) };
    match as_json(bytes).and_then(Json::new) {
        Some(json) => reach.find_json(schema, ty, json, &mut |inside| visit(inside.map(Found::Json))),
        None => reach.find(schema, ty, bytes, 0, &mut |inside| visit(inside.map(Found::Bytes))),
    }
}

/// The value after all transforms; `None` if a slice reaches beyond it.
fn transformed<'v>(value: Value<'v>, transforms: &[Transform], ty: Type, schema: &Schema) -> Option<Value<'v>> {
    let mut value = value;
    for transform in transforms {
        value = match transform {
            Transform::Slices(slices) => Value::Bytes(Cow::Owned(sliced(value.as_bytes()?, slices)?)),
            Transform::Mask(mask) => Value::Int(value.as_int()? & mask),
            Transform::Len => Value::int(value.as_bytes()?.len() as u64),
            Transform::Lower => Value::Text(Cow::Owned(changed_case(value.as_bytes()?, str::to_lowercase))),
            Transform::Upper => Value::Text(Cow::Owned(changed_case(value.as_bytes()?, str::to_uppercase))),
            Transform::Text => {
                let mut text = Vec::new();
                value.write(ty, schema, &mut text);
                Value::Text(Cow::Owned(text))
            }
        };
    }
    Some(value)
}

fn changed_case(bytes: &[u8], change: fn(&str) -> String) -> Vec<u8> {
    bytes.utf8_chunks().fold(Vec::new(), |mut text, chunk| {
        text.extend_from_slice(change(chunk.valid()).as_bytes());
        text.extend_from_slice(chunk.invalid());
        text
    })
}

/// The parts of `bytes`, joined; `None` if one of them is not there in full.
fn sliced(bytes: &[u8], slices: &[Slice]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    let at = |offset: i64| match offset {
        0.. => usize::try_from(offset).ok(),
        _ => bytes.len().checked_sub(usize::try_from(offset.unsigned_abs()).ok()?),
    };
    for slice in slices {
        let start = at(slice.start)?;
        let end = match slice.end {
            SliceEnd::Length(length) => start.checked_add(usize::try_from(length).ok()?)?,
            SliceEnd::Inclusive(last) => at(last)?.checked_add(1)?,
            SliceEnd::Open => bytes.len(),
        };
        let part = bytes.get(start..end).filter(|part| !part.is_empty())?;
        joined.extend_from_slice(part);
    }
    Some(joined)
}

pub(super) fn into_owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Present => Value::Present,
        Value::Bool(truth) => Value::Bool(truth),
        Value::Int(number) => Value::Int(number),
        Value::Float(number) => Value::Float(number),
        Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        Value::Time(nanos) => Value::Time(nanos),
        Value::Duration(nanos) => Value::Duration(nanos),
        Value::Address(addr) => Value::Address(addr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_count_from_both_ends_and_must_be_there() {
        let sliced = |start, end| sliced(b"abcdef", &[Slice { start, end }]);
        assert_eq!(sliced(0, SliceEnd::Length(2)).as_deref(), Some(&b"ab"[..]));
        assert_eq!(sliced(-2, SliceEnd::Open).as_deref(), Some(&b"ef"[..]));
        assert_eq!(sliced(1, SliceEnd::Inclusive(3)).as_deref(), Some(&b"bcd"[..]));
        assert_eq!(sliced(-3, SliceEnd::Inclusive(-2)).as_deref(), Some(&b"de"[..]));
        assert_eq!(sliced(4, SliceEnd::Length(3)), None);
        assert_eq!(sliced(6, SliceEnd::Open), None);
        assert_eq!(sliced(-7, SliceEnd::Length(1)), None);
        assert_eq!(sliced(i64::MAX, SliceEnd::Length(u64::MAX)), None);
        assert_eq!(sliced(i64::MIN, SliceEnd::Inclusive(i64::MAX)), None);
    }

    #[test]
    fn any_and_all_over_known_and_unknown_values() {
        let tally = |met, failed, unknown| Tally { met, failed, unknown, count: 0 };
        let both = |tally: Tally| (tally.truth(false), tally.truth(true));
        use Truth::{False, True, Unknown};
        assert_eq!(both(tally(false, false, false)), (False, False)); // absent
        assert_eq!(both(tally(true, false, false)), (True, True));
        assert_eq!(both(tally(true, true, false)), (True, False));
        assert_eq!(both(tally(false, true, false)), (False, False));
        assert_eq!(both(tally(true, false, true)), (True, Unknown));
        assert_eq!(both(tally(false, true, true)), (Unknown, False));
        assert_eq!(both(tally(false, false, true)), (Unknown, Unknown));
    }
}
