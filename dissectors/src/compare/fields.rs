//! Comparing two messages field by field.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::align::{Aligned, align};
use super::difference::{Difference, DifferenceKind, Key, MessageNumbers, Root, Shown, Step, path_and_place};
use super::level::{Budget, Entry, Level, Typed, TypedMessage, Value, default_of, joined};
use super::outcome::Comparison;
use super::rules::{Active, KeyField, Treatment};
use crate::protobuf::typed;
use crate::protobuf::wire::{Fields, MAX_DEPTH};
use crate::schema::{Cardinality, Kind, Schema, WellKnown};

/// Recorded values that stand for other ones in the replay: those that the live server gave instead of them.
#[derive(Clone, Debug, Default)]
pub struct Mapped {
    values: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl Mapped {
    /// `replayed` stands for `recorded`: text and bytes as they are, numbers in decimal.
    pub fn add(&mut self, recorded: &[u8], replayed: &[u8]) {
        self.values.insert(recorded.into(), replayed.into());
    }

    fn allows(&self, recorded: &[u8], replayed: &[u8]) -> bool {
        self.values.get(recorded).is_some_and(|stands| **stands == *replayed)
    }
}

impl<R: AsRef<[u8]>, L: AsRef<[u8]>> FromIterator<(R, L)> for Mapped {
    fn from_iter<I: IntoIterator<Item = (R, L)>>(pairs: I) -> Self {
        let mut mapped = Self::default();
        pairs.into_iter().for_each(|(recorded, replayed)| mapped.add(recorded.as_ref(), replayed.as_ref()));
        mapped
    }
}

/// A walk through two messages at once.
pub(super) struct Walk<'w, 'a> {
    pub(super) rules: &'w Active<'w>,
    pub(super) mapped: &'w Mapped,
    pub(super) root: Root,
    pub(super) steps: Vec<Step<'a>>,
    /// Whether values of fields marked `debug_redact` are hidden.
    pub(super) hide: bool,
    pub(super) message: Option<MessageNumbers>,
    pub(super) budget: Budget,
    pub(super) found: &'w mut Comparison,
    /// How many looks are in progress that only ask whether there is a difference.
    probing: u32,
    /// What the innermost of them has found.
    differs: bool,
}

/// A value of each side, with the field that it is of.
type Side<'e, 'a> = (&'e Entry<'a>, &'e Value<'a>);

/// Pairs of elements that are compared to match the elements of two lists without order, in one list.
const MAX_SET_PAIRS: usize = 1_000_000;

impl<'w, 'a> Walk<'w, 'a> {
    pub(super) fn new(
        rules: &'w Active<'w>,
        mapped: &'w Mapped,
        root: Root,
        hide: bool,
        found: &'w mut Comparison,
    ) -> Self {
        Self {
            rules,
            mapped,
            root,
            steps: Vec::new(),
            hide,
            message: None,
            budget: Budget::new(),
            found,
            probing: 0,
            differs: false,
        }
    }

    /// Adds a difference at the present place; while probing only takes note that there is one.
    pub(super) fn report(
        &mut self,
        kind: DifferenceKind,
        recorded: impl FnOnce() -> Shown,
        replayed: impl FnOnce() -> Shown,
    ) {
        self.differs = true;
        if self.probing > 0 {
            return;
        }
        let (path, place) = path_and_place(self.root, &self.steps);
        let field = self.steps.last().and_then(|step| step.field).map(|field| field.full_name.clone());
        self.found.add(Difference {
            path,
            place,
            field,
            message: self.message,
            kind,
            recorded: recorded(),
            replayed: replayed(),
        });
    }

    /// Whether `look` finds a difference. Nothing is reported.
    pub(super) fn probe(&mut self, look: impl FnOnce(&mut Self)) -> bool {
        let before = std::mem::take(&mut self.differs);
        self.probing += 1;
        look(self);
        self.probing -= 1;
        std::mem::replace(&mut self.differs, before)
    }

    /// Whether there is nothing left to do: what was asked for is known, or the budget is spent.
    pub(super) fn is_done(&self) -> bool {
        self.probing > 0 && self.differs || self.budget.is_spent()
    }

    /// What the rules say about the present place.
    pub(super) fn treatment(&self) -> Treatment<'w> {
        match self.rules.is_empty() {
            true => Treatment::default(),
            false => self.rules.at(self.root, &self.steps),
        }
    }

    /// Compares within one element of the field of the last step.
    fn at_element(&mut self, key: Key, compare: impl FnOnce(&mut Self)) {
        let before = self.steps.last_mut().and_then(|step| step.key.replace(key));
        let ignored = self.rules.names_elements && self.treatment().ignore;
        if !ignored {
            compare(self);
        }
        if let Some(step) = self.steps.last_mut() {
            step.key = before;
        }
    }

    /// Compares two messages of types that stand for each other.
    pub(super) fn message(
        &mut self,
        a: TypedMessage<'_, 'a>,
        b: TypedMessage<'_, 'a>,
        within: Option<u64>,
        depth: u32,
    ) {
        // Equal bytes mean the same; a message that is not there and an empty one, too, since presence is compared elsewhere.
        let (pa, pb) = (a.parts, b.parts);
        if pa == pb || pa.iter().chain(pb).all(|part| part.is_empty()) || self.is_done() {
            return;
        }
        if depth > MAX_DEPTH {
            let (bytes_a, bytes_b) = (joined(pa), joined(pb));
            if bytes_a != bytes_b {
                self.report(DifferenceKind::Changed, || too_deep(bytes_a.len()), || too_deep(bytes_b.len()));
            }
            return;
        }
        let known = |message: TypedMessage<'_, 'a>| message.typed.message.well_known;
        match known(a).filter(|_| known(a) == known(b)) {
            Some(kind @ (WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask)) => {
                self.whole(a, b, kind, within, depth);
            }
            Some(WellKnown::Any) => self.any(a, b, depth),
            _ => self.members(a, b, depth),
        }
    }

    /// A message that is one value to people.
    fn whole(
        &mut self,
        a: TypedMessage<'_, 'a>,
        b: TypedMessage<'_, 'a>,
        kind: WellKnown,
        within: Option<u64>,
        depth: u32,
    ) {
        let same = match kind {
            WellKnown::FieldMask => paths(a.parts) == paths(b.parts),
            _ => within.is_some_and(|within| nanos(a.parts).abs_diff(nanos(b.parts)) <= u128::from(within)),
        };
        if !same && self.probe(|walk| walk.members(a, b, depth)) {
            self.changed(a, b, DifferenceKind::Changed);
        }
    }

    /// Reports two messages as a whole.
    fn changed(&mut self, a: TypedMessage<'_, 'a>, b: TypedMessage<'_, 'a>, kind: DifferenceKind) {
        let hide = self.hide;
        let shown = |message: TypedMessage<'_, 'a>| Shown::message(message.typed, message.parts, hide);
        self.report(kind, || shown(a), || shown(b));
    }

    /// Two `Any`: by what is in them, where the types are known.
    fn any(&mut self, a: TypedMessage<'_, 'a>, b: TypedMessage<'_, 'a>, depth: u32) {
        let ((url_a, bytes_a), (url_b, bytes_b)) = (any_parts(a.parts), any_parts(b.parts));
        let (name_a, name_b) = (type_name(url_a), type_name(url_b));
        if name_a != name_b {
            return self.changed(a, b, DifferenceKind::Type);
        }
        let (a, b) = (a.typed, b.typed);
        if let Some(field) = a.message.field(2) {
            self.steps.push(Step::of(field));
        } else {
            self.steps.push(Step::named("value"));
        }
        let known = |own: Typed<'a>, other: Typed<'a>| {
            [own, other].into_iter().find_map(|typed| {
                let message = typed.schema.message(name_a?).map(|ix| &typed.schema[ix])?;
                Some(Typed { schema: typed.schema, message })
            })
        };
        let treatment = self.treatment();
        match known(a, b).zip(known(b, a)) {
            _ if treatment.ignore => {}
            Some((a, b)) => {
                let (pa, pb) = ([bytes_a], [bytes_b]);
                self.message(a.with(&pa), b.with(&pb), treatment.within, depth + 1);
            }
            None => self.opaque(bytes_a, bytes_b, depth, true),
        }
        self.steps.pop();
    }

    /// The fields of two messages.
    pub(super) fn members(&mut self, a: TypedMessage<'_, 'a>, b: TypedMessage<'_, 'a>, depth: u32) {
        let (TypedMessage { typed: a, parts: pa }, TypedMessage { typed: b, parts: pb }) = (a, b);
        let levels = (Level::read(a, b, pa, &mut self.budget), Level::read(b, a, pb, &mut self.budget));
        let (Some(level_a), Some(level_b)) = levels else { return self.gave_up(pa, pb) };
        let switched = self.switched(a, &level_a, &level_b);
        let (mut left, mut right) = (level_a.entries.iter().peekable(), level_b.entries.iter().peekable());
        loop {
            if self.is_done() {
                return self.gave_up(pa, pb);
            }
            let (x, y) = match (left.peek(), right.peek()) {
                (Some(x), Some(y)) if x.field.number == y.field.number => (left.next(), right.next()),
                (Some(x), Some(y)) if x.field.number > y.field.number => (None, right.next()),
                (Some(_), _) => (left.next(), None),
                (None, Some(_)) => (None, right.next()),
                (None, None) => break,
            };
            let Some(either) = x.or(y) else { break };
            if !switched.contains(&either.field.number) {
                self.field(x, y, depth);
            }
        }
        self.raw_fields(&level_a.unknown, &level_b.unknown, depth);
        if level_a.broken.map(|(_, rest)| rest) != level_b.broken.map(|(_, rest)| rest) {
            let text = |level: &Level<'_>| match level.broken {
                Some((cause, rest)) => Shown::text(&format!("the message {} ({} bytes)", cause.text(), rest.len())),
                None => Shown::Absent,
            };
            self.report(DifferenceKind::Changed, || text(&level_a), || text(&level_b));
        }
    }

    /// What differs but takes too long to be compared to its end.
    fn gave_up(&mut self, pa: &[&'a [u8]], pb: &[&'a [u8]]) {
        if self.budget.is_spent() && !self.differs {
            let text = |parts: &[&[u8]]| {
                let len: usize = parts.iter().map(|part| part.len()).sum();
                Shown::text(&format!("{len} bytes, too many fields to be compared one by one"))
            };
            self.report(DifferenceKind::Changed, || text(pa), || text(pb));
        }
    }

    /// Reports oneofs of which each side has another member, and returns those members.
    fn switched(&mut self, a: Typed<'a>, level_a: &Level<'a>, level_b: &Level<'a>) -> SmallVec<[u32; 4]> {
        let mut switched = SmallVec::new();
        for x in &level_a.entries {
            let Some(oneof) = x.field.oneof else { continue };
            let other =
                level_b.entries.iter().find(|y| y.field.oneof == Some(oneof) && y.field.number != x.field.number);
            let Some(y) = other else { continue };
            switched.extend([x.field.number, y.field.number]);
            let is_ignored = |walk: &mut Self, step: Step<'a>| {
                walk.steps.push(step);
                let ignored = walk.treatment().ignore;
                walk.steps.pop();
                ignored
            };
            if is_ignored(self, Step::of(x.field)) && is_ignored(self, Step::of(y.field)) {
                continue;
            }
            let is_set = |walk: &mut Self| {
                walk.probe(|walk| {
                    walk.single(Some(x), None, Treatment::default(), 0);
                    walk.single(None, Some(y), Treatment::default(), 0);
                })
            };
            // Both are as good as not set.
            if self.rules.equivalent && !is_set(self) {
                continue;
            }
            let full_name = a.message.oneofs.get(oneof as usize).map_or("oneof", |name| name);
            let name = full_name.rsplit('.').next().unwrap_or(full_name);
            self.steps.push(Step::named(name));
            if !self.treatment().ignore {
                let hide = self.hide;
                self.report(DifferenceKind::Switched, || member(x, hide), || member(y, hide));
            }
            self.steps.pop();
        }
        switched
    }

    /// One field, which at least one side has.
    fn field(&mut self, a: Option<&Entry<'a>>, b: Option<&Entry<'a>>, depth: u32) {
        let Some(field) = a.or(b).map(|entry| entry.field) else { return };
        self.steps.push(Step::of(field));
        let treatment = self.treatment();
        if !treatment.ignore {
            let hidden = self.hide && (field.redact || b.is_some_and(|entry| entry.field.redact));
            match hidden {
                true => {
                    if self.probe(|walk| walk.values(a, b, treatment, depth)) {
                        self.report(DifferenceKind::Changed, || hidden_text(a), || hidden_text(b));
                    }
                }
                false => self.values(a, b, treatment, depth),
            }
        }
        self.steps.pop();
    }

    fn values(&mut self, a: Option<&Entry<'a>>, b: Option<&Entry<'a>>, treatment: Treatment<'w>, depth: u32) {
        let Some(entry) = a.or(b) else { return };
        match entry.field.cardinality {
            Cardinality::Map => self.map(a, b, treatment, depth),
            Cardinality::Repeated if treatment.unordered => self.set(a, b, treatment, depth),
            Cardinality::Repeated => match treatment.key {
                Some(key) => self.keyed(a, b, key, treatment, depth),
                None => self.list(a, b, treatment, depth),
            },
            Cardinality::Implicit | Cardinality::Explicit => self.single(a, b, treatment, depth),
        }
    }

    /// A field with at most one value.
    fn single(&mut self, a: Option<&Entry<'a>>, b: Option<&Entry<'a>>, treatment: Treatment<'w>, depth: u32) {
        let value = |entry: Option<&'_ Entry<'a>>| entry.and_then(|entry| entry.values.last().cloned());
        match (a, b, value(a), value(b)) {
            (Some(a), Some(b), Some(x), Some(y)) => self.value((a, &x), (b, &y), treatment, depth),
            (Some(a), _, Some(x), None) if self.has_default(a) => {
                let default = default_of(a.schema, a.field.kind);
                self.value((a, &x), (a, &default), treatment, depth);
            }
            (_, Some(b), None, Some(y)) if self.has_default(b) => {
                let default = default_of(b.schema, b.field.kind);
                self.value((b, &default), (b, &y), treatment, depth);
            }
            (Some(a), _, Some(x), None) => self.only((a, &x), DifferenceKind::Removed),
            (_, Some(b), None, Some(y)) => self.only((b, &y), DifferenceKind::Added),
            _ => {}
        }
    }

    /// Whether a field that is not set equals one that is set to its default.
    fn has_default(&self, entry: &Entry<'_>) -> bool {
        entry.field.cardinality == Cardinality::Implicit || self.rules.equivalent
    }

    /// A value that only one side has.
    fn only(&mut self, (entry, value): Side<'_, 'a>, kind: DifferenceKind) {
        let hide = self.hide;
        let shown = || Shown::value(entry.schema, entry.field, value, hide);
        match kind {
            DifferenceKind::Added => self.report(kind, || Shown::Absent, shown),
            _ => self.report(kind, shown, || Shown::Absent),
        }
    }

    /// Two values of fields that stand for each other.
    fn value(&mut self, (a, x): Side<'_, 'a>, (b, y): Side<'_, 'a>, treatment: Treatment<'w>, depth: u32) {
        if !self.budget.take(1) {
            return;
        }
        let hide = self.hide;
        match (x, y) {
            (Value::Message(pa), Value::Message(pb)) => {
                let typed = |entry: &Entry<'a>| {
                    let message = typed::message_of(entry.schema, entry.field.kind)?;
                    Some(Typed { schema: entry.schema, message })
                };
                match typed(a).zip(typed(b)) {
                    Some((a, b)) => self.message(a.with(pa), b.with(pb), treatment.within, depth + 1),
                    None => {
                        if joined(pa) != joined(pb) {
                            self.report(
                                DifferenceKind::Changed,
                                || Shown::raw_message(&joined(pa)),
                                || Shown::raw_message(&joined(pb)),
                            );
                        }
                    }
                }
            }
            (Value::Bits(p), Value::Bits(q))
                if numbers_equal((a, *p), (b, *q), treatment) || self.stands_for((a, x), (b, y)) => {}
            (Value::Bytes(p), Value::Bytes(q)) if p == q || self.stands_for((a, x), (b, y)) => {}
            (Value::Bytes(p), Value::Bytes(q)) if a.field.kind == Kind::Bytes && b.field.kind == Kind::Bytes => {
                self.opaque(p, q, depth, false);
            }
            _ => {
                let kind = match std::mem::discriminant(x) == std::mem::discriminant(y) {
                    true => DifferenceKind::Changed,
                    false => DifferenceKind::Type,
                };
                let recorded = || Shown::value(a.schema, a.field, x, hide);
                self.report(kind, recorded, || Shown::value(b.schema, b.field, y, hide));
            }
        }
    }

    /// Whether the replayed value is the one that the live server gave instead of the recorded one.
    fn stands_for(&self, (a, x): Side<'_, 'a>, (b, y): Side<'_, 'a>) -> bool {
        if self.mapped.values.is_empty() {
            return false;
        }
        let plain = |entry: &Entry<'_>, value: &Value<'a>| match value {
            Value::Bits(bits) => Some(typed::integer(entry.field.kind, *bits).to_string().into_bytes()),
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            Value::Message(_) => None,
        };
        plain(a, x).zip(plain(b, y)).is_some_and(|(x, y)| self.mapped.allows(&x, &y))
    }

    /// The elements of two lists, in their order.
    fn list(&mut self, a: Option<&Entry<'a>>, b: Option<&Entry<'a>>, treatment: Treatment<'w>, depth: u32) {
        let values = |entry: Option<&'_ Entry<'a>>| entry.map(|entry| entry.values.clone()).unwrap_or_default();
        let (xs, ys) = (values(a), values(b));
        let (Some(a), Some(b)) = (a.or(b), b.or(a)) else { return };
        if self.probing > 0 {
            // Which elements belong together does not matter for whether the lists are equal.
            self.differs |= xs.len() != ys.len();
            for (i, (x, y)) in xs.iter().zip(&ys).enumerate() {
                if self.is_done() {
                    return;
                }
                self.at_element(Key::Index(i), |walk| walk.value((a, x), (b, y), treatment, depth));
            }
            return;
        }
        let digests_a: Vec<u64> = xs.iter().map(|x| self.digest((a, x), b, treatment, depth)).collect();
        let digests_b: Vec<u64> = ys.iter().map(|y| self.digest((b, y), a, treatment, depth)).collect();
        for aligned in align(&digests_a, &digests_b) {
            if self.budget.is_spent() {
                return;
            }
            match aligned {
                Aligned::Pair(i, j) => {
                    if let (Some(x), Some(y)) = (xs.get(i), ys.get(j)) {
                        self.at_element(Key::Index(i), |walk| walk.value((a, x), (b, y), treatment, depth));
                    }
                }
                Aligned::First(i) => {
                    if let Some(x) = xs.get(i) {
                        self.at_element(Key::Index(i), |walk| walk.only((a, x), DifferenceKind::Removed));
                    }
                }
                Aligned::Second(j) => {
                    if let Some(y) = ys.get(j) {
                        self.at_element(Key::Index(j), |walk| walk.only((b, y), DifferenceKind::Added));
                    }
                }
            }
        }
    }

    /// The elements of two lists, whatever their order.
    fn set(&mut self, a: Option<&Entry<'a>>, b: Option<&Entry<'a>>, treatment: Treatment<'w>, depth: u32) {
        let values = |entry: Option<&'_ Entry<'a>>| entry.map(|entry| entry.values.clone()).unwrap_or_default();
        let (xs, ys) = (values(a), values(b));
        let (Some(a), Some(b)) = (a.or(b), b.or(a)) else { return };
        let mut groups: HashMap<u64, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for (i, x) in xs.iter().enumerate() {
            groups.entry(self.digest((a, x), b, treatment, depth)).or_default().0.push(i);
        }
        for (j, y) in ys.iter().enumerate() {
            groups.entry(self.digest((b, y), a, treatment, depth)).or_default().1.push(j);
        }
        let mut taken_a = vec![false; xs.len()];
        let mut taken_b = vec![false; ys.len()];
        let mut pairs = 0;
        for (is, js) in groups.values() {
            let mut equal = |walk: &mut Self, i: usize, j: usize| {
                pairs += 1;
                let (Some(x), Some(y)) = (xs.get(i), ys.get(j)) else { return false };
                pairs <= MAX_SET_PAIRS && !walk.probe(|walk| walk.value((a, x), (b, y), treatment, depth))
            };
            for (i, j) in matching(is, js, self.rules.tolerates, &mut |i, j| equal(self, i, j)) {
                if let (Some(i), Some(j)) = (taken_a.get_mut(i), taken_b.get_mut(j)) {
                    (*i, *j) = (true, true);
                }
            }
        }
        for (i, x) in xs.iter().enumerate().filter(|(i, _)| taken_a.get(*i) == Some(&false)) {
            self.at_element(Key::Index(i), |walk| walk.only((a, x), DifferenceKind::Removed));
        }
        for (j, y) in ys.iter().enumerate().filter(|(j, _)| taken_b.get(*j) == Some(&false)) {
            self.at_element(Key::Index(j), |walk| walk.only((b, y), DifferenceKind::Added));
        }
    }

    /// The elements of two lists, matched by the values of some of their fields.
    fn keyed(
        &mut self,
        a: Option<&Entry<'a>>,
        b: Option<&Entry<'a>>,
        key: &[KeyField],
        treatment: Treatment<'w>,
        depth: u32,
    ) {
        let values = |entry: Option<&'_ Entry<'a>>| entry.map(|entry| entry.values.clone()).unwrap_or_default();
        let (xs, ys) = (values(a), values(b));
        let (Some(a), Some(b)) = (a.or(b), b.or(a)) else { return };
        let mut others: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (j, y) in ys.iter().enumerate().rev() {
            others.entry(self.key_of((b, y), key)).or_default().push(j);
        }
        let mut taken = vec![false; ys.len()];
        for (i, x) in xs.iter().enumerate() {
            let name = self.key_of((a, x), key);
            let j = others.get_mut(&name).and_then(Vec::pop);
            let key = self.element_key(name, i);
            match j.and_then(|j| Some((j, ys.get(j)?))) {
                Some((j, y)) => {
                    if let Some(taken) = taken.get_mut(j) {
                        *taken = true;
                    }
                    self.at_element(key, |walk| walk.value((a, x), (b, y), treatment, depth));
                }
                None => self.at_element(key, |walk| walk.only((a, x), DifferenceKind::Removed)),
            }
        }
        for (j, y) in ys.iter().enumerate().filter(|(j, _)| taken.get(*j) == Some(&false)) {
            let name = self.key_of((b, y), key);
            let key = self.element_key(name, j);
            self.at_element(key, |walk| walk.only((b, y), DifferenceKind::Added));
        }
    }

    /// What an element is called in paths: by its key, unless that is a secret or very long.
    fn element_key(&self, name: Box<str>, index: usize) -> Key {
        match name.len() > MAX_KEY_TEXT || name.contains(HIDDEN_KEY) {
            true => Key::Index(index),
            false => Key::Text(name),
        }
    }

    /// The fields by which an element of a list is matched, as text: `sku="a",region=3`.
    fn key_of(&mut self, (entry, value): Side<'_, 'a>, key: &[KeyField]) -> Box<str> {
        let parts: Vec<String> = key
            .iter()
            .map(|path| {
                let value = self.key_value(entry, value, path);
                format!("{}={value}", path.join("."))
            })
            .collect();
        parts.join(",").into()
    }

    fn key_value(&mut self, entry: &Entry<'a>, value: &Value<'a>, path: &[Box<str>]) -> String {
        let (mut schema, mut field, mut value) = (entry.schema, entry.field, value.clone());
        let mut redacted = false;
        for name in path {
            let Value::Message(parts) = &value else { return String::new() };
            let Some(message) = typed::message_of(schema, field.kind) else { return String::new() };
            let typed = Typed { schema, message };
            let Some(level) = Level::read(typed, typed, parts, &mut self.budget) else { return String::new() };
            let Some(inner) = message.fields.iter().find(|field| *field.name == **name || *field.json_name == **name)
            else {
                return String::new();
            };
            redacted |= inner.redact;
            let entry = level.entries.into_iter().find(|entry| entry.field.number == inner.number);
            let found = entry.and_then(|entry| Some((entry.schema, entry.values.last().cloned()?)));
            let (of, inner_value) = found.unwrap_or((schema, default_of(schema, inner.kind)));
            (schema, field, value) = (of, inner, inner_value);
        }
        let text = match &value {
            Value::Bits(bits) => typed::integer(field.kind, *bits).to_string(),
            Value::Bytes(bytes) => {
                let mut text = Vec::new();
                crate::json::write_bytes_lossy(&mut text, bytes);
                String::from_utf8_lossy(&text).into_owned()
            }
            Value::Message(parts) => format!("{:?}", joined(parts)),
        };
        if redacted && self.hide { format!("{HIDDEN_KEY}{text}") } else { text }
    }

    /// The entries of two maps, by their keys.
    fn map(&mut self, a: Option<&Entry<'a>>, b: Option<&Entry<'a>>, treatment: Treatment<'w>, depth: u32) {
        let (xs, ys) = (map_entries(a, &mut self.budget), map_entries(b, &mut self.budget));
        let (mut left, mut right) = (xs.iter().peekable(), ys.iter().peekable());
        loop {
            if self.is_done() {
                return;
            }
            let (x, y) = match (left.peek(), right.peek()) {
                (Some(x), Some(y)) if x.0 == y.0 => (left.next(), right.next()),
                (Some(x), Some(y)) if x.0 > y.0 => (None, right.next()),
                (Some(_), _) => (left.next(), None),
                (None, Some(_)) => (None, right.next()),
                (None, None) => return,
            };
            let Some((key, entry)) = x.or(y) else { return };
            let hide = self.hide;
            let name = entry.key_text(key);
            let key = if name.len() > MAX_KEY_TEXT { Key::Text("…".into()) } else { Key::Text(name) };
            self.at_element(key, |walk| match (x, y) {
                (Some((_, x)), Some((_, y))) => {
                    walk.value((&x.entry, &x.value), (&y.entry, &y.value), treatment, depth);
                }
                (Some((_, only)), None) => walk.report(DifferenceKind::Removed, || only.shown(hide), || Shown::Absent),
                (None, Some((_, only))) => walk.report(DifferenceKind::Added, || Shown::Absent, || only.shown(hide)),
                (None, None) => {}
            });
        }
    }
}

/// Longer keys of elements are not written into paths.
const MAX_KEY_TEXT: usize = 256;

/// Begins a key that is a secret.
const HIDDEN_KEY: char = '\u{0}';

/// The key of a map's entry, for comparing and ordering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MapKey<'a> {
    Number(i128),
    Text(&'a [u8]),
}

/// The value of a map's entry.
struct MapValue<'a> {
    /// The field `value` of the entry's type.
    entry: Entry<'a>,
    value: Value<'a>,
}

impl<'a> MapValue<'a> {
    fn key_text(&self, key: &MapKey<'a>) -> Box<str> {
        match key {
            MapKey::Number(number) => number.to_string().into(),
            MapKey::Text(text) => {
                let mut out = Vec::new();
                crate::json::write_bytes_lossy(&mut out, text);
                String::from_utf8_lossy(&out).into()
            }
        }
    }

    fn shown(&self, hide: bool) -> Shown {
        Shown::value(self.entry.schema, self.entry.field, &self.value, hide)
    }
}

/// The entries of a map by their keys; of entries with the same key the last counts.
fn map_entries<'a>(entry: Option<&Entry<'a>>, budget: &mut Budget) -> Vec<(MapKey<'a>, MapValue<'a>)> {
    let Some(entry) = entry else { return Vec::new() };
    let schema = entry.schema;
    let Some(message) = typed::message_of(schema, entry.field.kind) else { return Vec::new() };
    let (Some(key_field), Some(value_field)) = (message.field(1), message.field(2)) else { return Vec::new() };
    let typed = Typed { schema, message };
    let mut all = Vec::with_capacity(entry.values.len());
    for value in &entry.values {
        let Value::Message(parts) = value else { continue };
        let Some(level) = Level::read(typed, typed, parts, budget) else { break };
        let find = |number| level.entries.iter().find(|entry| entry.field.number == number);
        let key = match find(1).and_then(|entry| entry.values.last()) {
            Some(Value::Bits(bits)) => MapKey::Number(typed::integer(key_field.kind, *bits)),
            Some(Value::Bytes(text)) => MapKey::Text(text),
            _ if key_field.kind == Kind::String => MapKey::Text(&[]),
            _ => MapKey::Number(0),
        };
        let value = find(2).and_then(|entry| entry.values.last().cloned());
        let value = value.unwrap_or_else(|| default_of(schema, value_field.kind));
        let entry = Entry { schema, field: value_field, values: SmallVec::new() };
        all.push((key, MapValue { entry, value }));
    }
    // A stable sort keeps the last of equal keys last.
    all.sort_by_key(|(key, _)| *key);
    let mut last: Vec<(MapKey<'a>, MapValue<'a>)> = Vec::with_capacity(all.len());
    for item in all {
        match last.last_mut() {
            Some(before) if before.0 == item.0 => *before = item,
            _ => last.push(item),
        }
    }
    last
}

/// Matches as many of `is` with `js` as possible. Where equality is transitive, the first equal one is as good as any other;
/// where it is not, an element gives way to another one if it can (Kuhn's algorithm).
fn matching(
    is: &[usize],
    js: &[usize],
    tolerant: bool,
    equal: &mut dyn FnMut(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut of: Vec<Option<usize>> = vec![None; js.len()];
    for (at, &i) in is.iter().enumerate() {
        match tolerant {
            false => {
                let free = (0..js.len()).find(|&slot| of[slot].is_none() && js.get(slot).is_some_and(|&j| equal(i, j)));
                if let Some(slot) = free {
                    of[slot] = Some(at);
                }
            }
            true => {
                let mut seen = vec![false; js.len()];
                place(at, is, js, &mut of, &mut seen, equal);
            }
        }
    }
    let pairs = of.iter().zip(js).filter_map(|(at, &j)| Some((*is.get((*at)?)?, j)));
    pairs.collect()
}

/// Finds a place for element `at`; others may have to move. Without recursion: the way of moves may be long.
fn place(
    at: usize,
    is: &[usize],
    js: &[usize],
    of: &mut [Option<usize>],
    seen: &mut [bool],
    equal: &mut dyn FnMut(usize, usize) -> bool,
) {
    // Breadth first; where each slot was reached from.
    let mut from: Vec<Option<usize>> = vec![None; js.len()];
    let mut open = std::collections::VecDeque::from([(at, None)]);
    while let Some((element, slot_before)) = open.pop_front() {
        for slot in 0..js.len() {
            let (Some(&i), Some(&j)) = (is.get(element), js.get(slot)) else { continue };
            if seen[slot] || !equal(i, j) {
                continue;
            }
            seen[slot] = true;
            from[slot] = slot_before;
            let Some(other) = of[slot] else {
                // Everybody on the way moves one slot on.
                let mut slot = slot;
                while let Some(before) = from[slot] {
                    of[slot] = of[before];
                    slot = before;
                }
                of[slot] = Some(at);
                return;
            };
            open.push_back((other, Some(slot)));
        }
    }
}

fn too_deep(len: usize) -> Shown {
    Shown::text(&format!("{len} bytes, nested too deeply"))
}

fn hidden_text(entry: Option<&Entry<'_>>) -> Shown {
    match entry {
        Some(entry) => Shown::Hidden { len: entry.values.iter().map(Value::len).sum() },
        None => Shown::Absent,
    }
}

/// A member of a oneof: `{"card":"4111"}`.
fn member(entry: &Entry<'_>, hide: bool) -> Shown {
    let Some(value) = entry.values.last() else { return Shown::Absent };
    match Shown::value(entry.schema, entry.field, value, hide) {
        Shown::Json(text) => Shown::Json(format!("{{\"{}\":{text}}}", entry.field.name).into()),
        Shown::Cut { text, len } => Shown::Cut { text: format!("{{\"{}\":{text}", entry.field.name).into(), len },
        other => other,
    }
}

/// Whether two numbers are equal: by what they mean, whatever their types.
fn numbers_equal((a, p): (&Entry<'_>, u64), (b, q): (&Entry<'_>, u64), treatment: Treatment<'_>) -> bool {
    match (float(a.field.kind, p), float(b.field.kind, q)) {
        (Some(p), Some(q)) => {
            p == q || p.is_nan() && q.is_nan() || treatment.float.is_some_and(|tolerance| tolerance.allows(p, q))
        }
        (None, None) => typed::integer(a.field.kind, p) == typed::integer(b.field.kind, q),
        _ => false,
    }
}

/// A floating-point number.
pub(super) fn float(kind: Kind, bits: u64) -> Option<f64> {
    match kind {
        Kind::Float => Some(f64::from(f32::from_bits(bits as u32))),
        Kind::Double => Some(f64::from_bits(bits)),
        _ => None,
    }
}

/// Seconds and nanoseconds of a `Timestamp` or `Duration`, as nanoseconds.
fn nanos(parts: &[&[u8]]) -> i128 {
    let (mut seconds, mut nanos) = (0, 0);
    for field in parts.iter().flat_map(|part| Fields::new(part)).flatten() {
        match (field.number, field.value) {
            (1, crate::protobuf::wire::Value::Varint(bits)) => seconds = bits as i64,
            (2, crate::protobuf::wire::Value::Varint(bits)) => nanos = bits as i32,
            _ => {}
        }
    }
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

/// The paths of a `FieldMask`, each once.
fn paths<'a>(parts: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut paths: Vec<&[u8]> = parts
        .iter()
        .flat_map(|part| Fields::new(part))
        .flatten()
        .filter_map(|field| match (field.number, field.value) {
            (1, crate::protobuf::wire::Value::Bytes(path)) => Some(path),
            _ => None,
        })
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Type URL and value of an `Any`.
pub(super) fn any_parts<'a>(parts: &[&'a [u8]]) -> (&'a [u8], &'a [u8]) {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in parts.iter().flat_map(|part| Fields::new(part)).flatten() {
        match (field.number, field.value) {
            (1, crate::protobuf::wire::Value::Bytes(bytes)) => url = bytes,
            (2, crate::protobuf::wire::Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (url, value)
}

/// The full name of the type in a type URL.
pub(super) fn type_name(url: &[u8]) -> Option<&str> {
    std::str::from_utf8(url.rsplit(|&byte| byte == b'/').next()?).ok()
}

/// A message type of a schema.
pub(super) fn typed(schema: &Schema, ix: crate::schema::MessageIx) -> Option<Typed<'_>> {
    Some(Typed { schema, message: schema.messages.get(ix.0 as usize)? })
}
