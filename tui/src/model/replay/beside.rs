//! A recorded call beside the replayed one: their fields in rows, each beside the one that it is compared with.
//!
//! The rows are for the eye. What counts as a difference is decided by `rpcshark_dissectors::compare`: a row that is not the same
//! on both sides, without a difference there, is one that the rules ignore.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rpcshark_captures::Direction;
use rpcshark_dissectors::compare::{Aligned, Comparison, Difference, DifferenceKind, MessageNumbers, Shown, align};
use rpcshark_dissectors::print::{header_text, size_text, status_text, value_text};
use rpcshark_dissectors::protobuf::tree::{Node, NodeName};
use rpcshark_dissectors::schema::{Cardinality, Schema};
use rpcshark_dissectors::view::{CallView, HeadersView, Known, MessageView, Scratch};

use crate::model::lines::{method_name, outcome_role};
use crate::text::safe;
use crate::theme::{Role, Signs};
use crate::widget::{Part, Parts};

/// A recorded call beside the replayed one.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The number of the recorded call.
    pub no: u32,
    /// Its method; safe to draw.
    pub method: String,
    /// The rows.
    pub rows: Vec<BesideRow>,
    /// How many of the rows differ.
    pub differences: usize,
    /// How many rows differ in a way that the rules ignore.
    pub ignored: usize,
    /// Differences that are not among the rows.
    pub more: u64,
    /// Why there is nothing to compare, or what became of the call; safe to draw.
    pub why: Option<String>,
}

/// A row: a field of the recorded call, and the one of the replayed call that it is compared with.
#[derive(Clone, Debug, Default)]
pub struct BesideRow {
    /// How deep it lies.
    pub depth: u16,
    /// What it is called.
    pub name: Parts,
    /// Its value on each side; `None` where that side does not have it.
    pub values: [Option<Parts>; 2],
    /// Whether it differs.
    pub mark: Mark,
    /// Rules that would ignore it: the most general one first.
    pub rules: Vec<String>,
    /// Where it is, as the report says it; safe to draw.
    pub path: String,
}

/// Whether a row differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// It does not.
    #[default]
    Same,
    /// It begins a part of the call.
    Part,
    /// It does.
    Differs,
    /// It does, and the rules ignore that.
    Ignored,
    /// It is part of the request, and was edited.
    Edited,
}

/// Rows of one call: beyond, nobody finds anything in them.
const MAX_ROWS: usize = 5_000;

/// Nodes of one message.
const MAX_NODES: usize = 5_000;

/// Messages that are shown field by field.
const MAX_MESSAGES: usize = 200;

/// Characters of a value.
const MAX_VALUE: usize = 512;

/// Nesting of fields that is followed.
const MAX_DEPTH: u16 = 100;

/// Puts two calls beside each other. `edited`: the request was edited, so that its messages are shown, too.
pub fn beside(
    recorded: &CallView<'_>,
    replayed: Option<&CallView<'_>>,
    comparison: &Comparison,
    edited: bool,
    signs: &Signs,
) -> Beside {
    let path = recorded.path();
    let method = path.value().map(|path| path.trim_start_matches('/').to_owned()).unwrap_or_default();
    let mut builder = Builder { comparison, method, signs, rows: Vec::new(), found: BTreeSet::new(), cut: false };
    builder.status(recorded, replayed);
    if let Some(replayed) = replayed {
        let calls = (recorded, replayed);
        if edited {
            builder.messages(calls, Direction::ToServer);
        }
        let headers = calls.0.response_headers().zip(calls.1.response_headers());
        builder.headers("Response headers", "metadata", headers);
        builder.messages(calls, Direction::ToClient);
        builder.headers("Trailers", "trailers", calls.0.trailers().zip(calls.1.trailers()));
        builder.rest();
    }
    let count = |mark| builder.rows.iter().filter(|row| row.mark == mark).count();
    Beside {
        no: recorded.no(),
        method: method_name(recorded).unwrap_or_default(),
        differences: count(Mark::Differs),
        ignored: count(Mark::Ignored),
        more: comparison.more,
        why: comparison.why.as_ref().map(|why| safe(why.as_bytes())),
        rows: builder.rows,
    }
}

struct Builder<'b> {
    comparison: &'b Comparison,
    method: String,
    signs: &'b Signs,
    rows: Vec<BesideRow>,
    /// The differences that a row shows.
    found: BTreeSet<usize>,
    /// There are more rows than are kept.
    cut: bool,
}

/// Where rows are: the beginning of their paths, and which messages.
#[derive(Clone, Copy)]
struct At<'a> {
    root: &'a str,
    message: Option<MessageNumbers>,
}

/// A field of one side, as it is shown.
struct Item<'t, 'a> {
    /// What it is called, without an index or a key.
    base: String,
    /// The index or key, in brackets; empty where it is not in a list.
    element: String,
    value: Option<Parts>,
    /// It is a member of a oneof.
    is_member: bool,
    children: Vec<&'t Node<'a>>,
    digest: u64,
    hidden: bool,
}

impl Builder<'_> {
    fn push(&mut self, row: BesideRow) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        } else if !self.cut {
            self.cut = true;
            let name = vec![Part::quiet("there are more fields than can be shown")];
            self.rows.push(BesideRow { name, mark: Mark::Part, ..BesideRow::default() });
        }
    }

    /// A row that begins a part of the call.
    fn part(&mut self, name: Parts, values: [Option<Parts>; 2]) {
        self.push(BesideRow { name, values, mark: Mark::Part, ..BesideRow::default() });
    }

    /// Rules that would ignore a place: the field wherever it is, and the place in this method.
    fn rules(&self, place: &str, field: Option<&str>) -> Vec<String> {
        let here = match self.method.is_empty() {
            true => place.to_owned(),
            false => format!("{}.{place}", self.method),
        };
        match field {
            Some(field) => vec![field.to_owned(), here],
            None if self.method.is_empty() => vec![here],
            None => vec![place.to_owned(), here],
        }
    }

    fn status(&mut self, recorded: &CallView<'_>, replayed: Option<&CallView<'_>>) {
        let side = |call: &CallView<'_>| {
            let text = status_text(call).replace('✗', self.signs.error);
            vec![Part::new(text, outcome_role(call.outcome()))]
        };
        let values = [Some(side(recorded)), replayed.map(side)];
        self.part(vec![Part::text("Status")], values);
        self.listed("status");
    }

    /// The differences below a root that no row shows, as they were found.
    fn listed(&mut self, root: &str) {
        for (index, difference) in self.comparison.differences.iter().enumerate() {
            if is_below(&difference.place, root) && self.found.insert(index) {
                self.difference(difference);
            }
        }
    }

    /// What is left.
    fn rest(&mut self) {
        let left = self.comparison.differences.len() > self.found.len();
        if left {
            self.part(vec![Part::text("Other differences")], [None, None]);
        }
        for (index, difference) in self.comparison.differences.iter().enumerate() {
            if self.found.insert(index) {
                self.difference(difference);
            }
        }
    }

    fn difference(&mut self, difference: &Difference) {
        let value = |shown: &Shown| {
            let role = if matches!(shown, Shown::Hidden { .. }) { Role::Hidden } else { Role::Value };
            shown.as_text().map(|text| vec![Part::new(cut(&safe(text.as_bytes())), role)])
        };
        let path = safe(difference.path.as_bytes());
        let name = path.split_once('.').map_or(path.as_str(), |(_, rest)| rest).to_owned();
        let rules = self.rules(&difference.place, difference.field.as_deref());
        self.push(BesideRow {
            depth: 1,
            name: vec![Part::new(name, Role::Name)],
            values: [value(&difference.recorded), value(&difference.replayed)],
            mark: Mark::Differs,
            rules,
            path,
        });
    }

    fn headers(&mut self, title: &str, root: &str, headers: Option<(HeadersView<'_>, HeadersView<'_>)>) {
        let Some((recorded, replayed)) = headers else { return self.listed(root) };
        let fields = |headers: HeadersView<'_>| -> Vec<(String, String, bool)> {
            let field = |field: rpcshark_dissectors::view::HeaderView<'_>| {
                let (name, value) = header_text(field);
                (name, value, matches!(field.value(), Known::Hidden { .. }))
            };
            headers
                .fields()
                .map(field)
                .filter(|(name, ..)| !name.starts_with(':') && !name.starts_with("grpc-"))
                .collect()
        };
        let sides = [fields(recorded), fields(replayed)];
        self.part(vec![Part::new(self.signs.down, Role::ToClient), Part::text(format!(" {title}"))], [None, None]);
        let mut names: Vec<&str> = Vec::new();
        for (name, ..) in sides.iter().flatten() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        for name in names {
            let value = |side: &[(String, String, bool)]| {
                let values: Vec<_> = side.iter().filter(|(known, ..)| known == name).collect();
                let hidden = values.iter().any(|(.., hidden)| *hidden);
                let text: Vec<&str> = values.iter().map(|(_, value, _)| value.as_str()).collect();
                let role = if hidden { Role::Hidden } else { Role::Value };
                (!values.is_empty()).then(|| vec![Part::new(cut(&text.join(", ")), role)])
            };
            let values = [value(&sides[0]), value(&sides[1])];
            let path = format!("{root}.{name}");
            let at = At { root, message: None };
            let differs = values[0] != values[1];
            let (mark, rules) = self.mark(at, &path, &path, differs, false);
            self.push(BesideRow { depth: 1, name: vec![Part::new(name, Role::Name)], values, mark, rules, path });
        }
        self.listed(root);
    }

    /// Whether a row differs, and the rules that would ignore that. `place`: its path without indices and keys; `differs`: what is
    /// shown of both sides does; `is_member`: it is a member of a oneof.
    fn mark(&mut self, at: At<'_>, path: &str, place: &str, differs: bool, is_member: bool) -> (Mark, Vec<String>) {
        if at.root == "request" {
            return (if differs { Mark::Edited } else { Mark::Same }, Vec::new());
        }
        let comparison = self.comparison;
        let mut mark = if differs { Mark::Ignored } else { Mark::Same };
        let mut rules = Vec::new();
        for (index, difference) in comparison.differences.iter().enumerate() {
            if at.message.is_some() && difference.message != at.message {
                continue;
            }
            let is_switch =
                is_member && difference.kind == DifferenceKind::Switched && parent(place) == parent(&difference.place);
            // A hidden value that differs looks the same.
            if *difference.path == *path || differs && (is_below(place, &difference.place) || is_switch) {
                mark = Mark::Differs;
                self.found.insert(index);
                if rules.is_empty() {
                    rules = self.rules(&difference.place, difference.field.as_deref());
                }
            } else if mark == Mark::Ignored && is_below(&difference.place, place) {
                // What is shown of it is that of a field in it, which has a row of its own.
                mark = Mark::Same;
            }
        }
        (mark, rules)
    }

    fn messages(&mut self, calls: (&CallView<'_>, &CallView<'_>), direction: Direction) {
        let root = if direction == Direction::ToServer { "request" } else { "response" };
        let in_time =
            |call: &CallView<'_>| call.messages(direction).filter(|message| !message.is_late()).count() as u64;
        let counts = (in_time(calls.0), in_time(calls.1));
        for (shown, numbers) in self.pairs(root, counts).into_iter().enumerate() {
            if shown >= MAX_MESSAGES || self.cut {
                let left = (counts.0.max(counts.1)).saturating_sub(shown as u64);
                let name = vec![Part::quiet(format!("{left} more messages are not shown"))];
                self.part(name, [None, None]);
                break;
            }
            self.message(calls, direction, root, numbers);
        }
        self.listed(root);
    }

    /// Which messages are beside each other: as they were compared, or else by their numbers.
    fn pairs(&self, root: &str, counts: (u64, u64)) -> Vec<MessageNumbers> {
        let mut pairs: Vec<MessageNumbers> = Vec::new();
        let of_root = self.comparison.differences.iter().filter(|difference| difference.place.starts_with(root));
        for numbers in of_root.filter_map(|difference| difference.message) {
            if !pairs.contains(&numbers) && pairs.len() < MAX_MESSAGES {
                pairs.push(numbers);
            }
        }
        // What is not named is the same on both sides; when both have as many left, they follow in order.
        let named = |side: fn(&MessageNumbers) -> Option<u64>, count: u64| -> Vec<u64> {
            let known: BTreeSet<u64> = pairs.iter().filter_map(side).collect();
            (1..=count).filter(|no| !known.contains(no)).take(MAX_MESSAGES + 1).collect()
        };
        let left = named(|numbers| numbers.recorded, counts.0);
        let right = named(|numbers| numbers.replayed, counts.1);
        let longest = left.len().max(right.len());
        pairs.extend(
            (0..longest).map(|at| MessageNumbers { recorded: left.get(at).copied(), replayed: right.get(at).copied() }),
        );
        pairs.sort_by_key(|numbers| (numbers.either(), numbers.recorded.is_none()));
        pairs
    }

    fn message(
        &mut self,
        calls: (&CallView<'_>, &CallView<'_>),
        direction: Direction,
        root: &str,
        numbers: MessageNumbers,
    ) {
        let sides = [nth(calls.0, direction, numbers.recorded), nth(calls.1, direction, numbers.replayed)];
        let title = |side: &Option<MessageView<'_>>| {
            let message = (*side)?;
            let name =
                message.type_name().value().map(|name| format!("{}  ", safe(name.as_bytes()))).unwrap_or_default();
            Some(vec![Part::quiet(format!("{name}{}", size_text(u64::from(message.length()))))])
        };
        let (sign, role) = match direction {
            Direction::ToServer => (self.signs.up, Role::ToServer),
            Direction::ToClient => (self.signs.down, Role::ToClient),
        };
        let no = match (numbers.recorded, numbers.replayed) {
            (Some(old), Some(new)) if old != new => format!(" Message {old} (now {new})"),
            (Some(no), _) | (None, Some(no)) => format!(" Message {no}"),
            (None, None) => String::new(),
        };
        let mut values = [title(&sides[0]), title(&sides[1])];
        let is_alone = values.iter().any(Option::is_none);
        let at = At { root, message: Some(numbers) };
        let (mark, rules) = self.mark(at, root, root, is_alone, false);
        // The call ended before this message came, and was compared as far as it came.
        let is_compared = !is_alone || mark == Mark::Differs || root == "request";
        if let Some(value) = values.iter_mut().find(|value| value.is_none()).filter(|_| !is_compared) {
            *value = Some(vec![Part::quiet("not compared")]);
        }
        let mark = if mark == Mark::Same || !is_compared { Mark::Part } else { mark };
        self.push(BesideRow {
            depth: 0,
            name: vec![Part::new(sign, role), Part::text(no)],
            values,
            mark,
            rules,
            path: root.to_owned(),
        });
        if !is_compared {
            return;
        }
        let mut scratch = [Scratch::default(), Scratch::default()];
        let [first, second] = &mut scratch;
        let [left, right] = sides;
        let bodies = [left.map(|message| message.body(first)), right.map(|message| message.body(second))];
        let faults = bodies.each_ref().map(|body| {
            let fault = body.as_ref()?.fault()?;
            Some(vec![Part::new(safe(fault.text.as_bytes()), Role::Warning)])
        });
        if faults.iter().any(Option::is_some) {
            return self.push(BesideRow { depth: 1, values: faults, ..BesideRow::default() });
        }
        let trees =
            bodies.each_ref().map(|body| body.as_ref().and_then(|body| body.tree(MAX_NODES)).unwrap_or_default());
        let schema = calls.0.schema();
        let [left, right] = trees.each_ref().map(|nodes| items(schema, &nodes.iter().collect::<Vec<_>>()));
        self.fields(schema, at, (root, root), [left, right], 1);
    }

    /// The fields of a message on both sides. `path` and `place`: of what they are in.
    fn fields(
        &mut self,
        schema: &Schema,
        at: At<'_>,
        (path, place): (&str, &str),
        sides: [Vec<Item<'_, '_>>; 2],
        depth: u16,
    ) {
        let mut names: Vec<String> = Vec::new();
        for item in sides.iter().flatten() {
            if !names.contains(&item.base) {
                names.push(item.base.clone());
            }
        }
        for name in names {
            let [left, right] =
                sides.each_ref().map(|side| side.iter().filter(|item| item.base == name).collect::<Vec<_>>());
            for pair in paired(&left, &right) {
                let Some(item) = pair.0.or(pair.1) else { continue };
                let place = format!("{place}.{name}");
                let path = format!("{path}.{name}{}", item.element);
                let values = [pair.0, pair.1].map(|item| item.map(|item| item.value.clone().unwrap_or_default()));
                let differs = values[0] != values[1];
                let is_hidden = pair.0.or(pair.1).is_some_and(|item| item.hidden);
                let is_member = item.is_member;
                let (mark, rules) = self.mark(at, &path, &place, differs, is_member);
                let role = if is_hidden { Role::Hidden } else { Role::Name };
                let shown = safe(format!("{name}{}", item.element).as_bytes());
                let path_shown = safe(path.as_bytes());
                self.push(BesideRow {
                    depth,
                    name: vec![Part::new(shown, role)],
                    values,
                    mark,
                    rules,
                    path: path_shown,
                });
                if depth < MAX_DEPTH && !self.cut {
                    let children =
                        [pair.0, pair.1].map(|item| item.map(|item| items(schema, &item.children)).unwrap_or_default());
                    self.fields(schema, at, (&path, &place), children, depth + 1);
                }
            }
        }
    }
}

/// Whether `place` is `above`, or in it.
fn is_below(place: &str, above: &str) -> bool {
    place.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The place that a place is in.
fn parent(place: &str) -> &str {
    place.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// The message with this number, from 1.
fn nth<'a>(call: &CallView<'a>, direction: Direction, no: Option<u64>) -> Option<MessageView<'a>> {
    let index = usize::try_from(no?.checked_sub(1)?).ok()?;
    call.messages(direction).filter(|message| !message.is_late()).nth(index)
}

type Pair<'i, 't, 'a> = (Option<&'i Item<'t, 'a>>, Option<&'i Item<'t, 'a>>);

/// The items of a field that belong together: a map's by their keys, a list's where they are equal, and the others in order.
fn paired<'i, 't, 'a>(left: &[&'i Item<'t, 'a>], right: &[&'i Item<'t, 'a>]) -> Vec<Pair<'i, 't, 'a>> {
    let is_keyed = |item: &&&Item<'_, '_>| item.element.starts_with("[\"");
    if left.iter().chain(right).any(|item| is_keyed(&item)) {
        let find = |side: &[&'i Item<'t, 'a>], key: &str| side.iter().find(|item| item.element == key).copied();
        let mut pairs: Vec<Pair<'i, 't, 'a>> =
            left.iter().map(|&item| (Some(item), find(right, &item.element))).collect();
        pairs.extend(right.iter().filter(|item| find(left, &item.element).is_none()).map(|&item| (None, Some(item))));
        return pairs;
    }
    let digests = |side: &[&Item<'_, '_>]| side.iter().map(|item| item.digest).collect::<Vec<u64>>();
    let pair = |aligned| match aligned {
        Aligned::Pair(i, j) => (left.get(i).copied(), right.get(j).copied()),
        Aligned::First(i) => (left.get(i).copied(), None),
        Aligned::Second(j) => (None, right.get(j).copied()),
    };
    align(&digests(left), &digests(right)).into_iter().map(pair).collect()
}

/// The fields of a message as they are shown. Elements of lists have their indices, those of maps their keys.
fn items<'t, 'a>(schema: &Schema, nodes: &[&'t Node<'a>]) -> Vec<Item<'t, 'a>> {
    let mut items: Vec<Item<'t, 'a>> = Vec::new();
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for &node in nodes {
        let base = match node.name {
            NodeName::Field(name) if name.contains('.') => format!("[{name}]"),
            NodeName::Field(name) => name.to_owned(),
            NodeName::Element(_) => String::new(),
            NodeName::Unknown => node.number.map_or_else(|| "?".to_owned(), |number| number.to_string()),
            NodeName::More(count) => format!("({count} more)"),
        };
        let cardinality = node.field.map(|field| field.cardinality);
        let packed = node.children.iter().any(|child| matches!(child.name, NodeName::Element(_)));
        if packed {
            for child in &node.children {
                let index = seen.entry(base.clone()).or_default();
                let element = format!("[{index}]");
                *index += 1;
                items.push(item(schema, child, base.clone(), element));
            }
            continue;
        }
        let element = match cardinality {
            Some(Cardinality::Map) => {
                let key = node.children.iter().find(|child| child.number == Some(1));
                let key = key.and_then(|key| value_text(schema, key)).unwrap_or_else(|| "\"\"".to_owned());
                format!("[\"{}\"]", key.trim_matches('"'))
            }
            Some(Cardinality::Repeated) => {
                let index = seen.entry(base.clone()).or_default();
                *index += 1;
                format!("[{}]", *index - 1)
            }
            _ => String::new(),
        };
        if cardinality == Some(Cardinality::Map) {
            let value = node.children.iter().find(|child| child.number == Some(2));
            let mut made = item(schema, value.unwrap_or(node), base, element);
            made.digest = digest(schema, node, 0);
            items.push(made);
            continue;
        }
        items.push(item(schema, node, base, element));
    }
    items
}

fn item<'t, 'a>(schema: &Schema, node: &'t Node<'a>, base: String, element: String) -> Item<'t, 'a> {
    let hidden = matches!(node.value, Known::Hidden { .. });
    let value = match value_text(schema, node) {
        Some(text) => Some(vec![Part::new(cut(&text), if hidden { Role::Hidden } else { Role::Value })]),
        None => Some(vec![Part::quiet(safe(node.type_name.as_bytes()))]),
    };
    Item {
        base,
        element,
        value,
        is_member: node.field.is_some_and(|field| field.oneof.is_some()),
        children: node.children.iter().collect(),
        digest: digest(schema, node, 0),
        hidden,
    }
}

/// Equal for fields that are shown alike.
fn digest(schema: &Schema, node: &Node<'_>, depth: u16) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.number.hash(&mut hasher);
    value_text(schema, node).hash(&mut hasher);
    if depth < MAX_DEPTH {
        for child in &node.children {
            digest(schema, child, depth + 1).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// The beginning of a long value.
fn cut(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
