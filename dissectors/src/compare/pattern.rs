//! Which places of a call a rule is about.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

use super::difference::{Key, Root, Step};

/// Text in which `*` stands for any characters, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// The glob that `text` is.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether it matches all of `text`.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where the last `*` is, and what it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (pattern.get(p), text.get(t)) {
                (Some(b'*'), _) => {
                    star = Some((p, t));
                    p += 1;
                }
                (Some(wanted), Some(byte)) if wanted == byte => (p, t) = (p + 1, t + 1),
                (None, None) => return true,
                (_, Some(_)) => {
                    let Some((at, taken)) = &mut star else { return false };
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                (Some(_), None) => return false,
            }
        }
    }
}

/// Places of a call, as a rule names them: `shop.Order.created`, `shop.Orders/Get.response.items.price`, `status.message`,
/// `trailers.x-served-by`. `*` stands for one step or for a part of one, `**` for any number of steps. A step with an index or a
/// key (`items[2]`, `labels["a"]`) matches only that element, without one every element.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Service and method, if it names them.
    method: Option<(Glob, Glob)>,
    steps: Vec<StepPattern>,
}

#[derive(Clone, Debug)]
enum StepPattern {
    /// `**`
    Any,
    One {
        name: Glob,
        /// The key as text: an index, or a map's key without quotes.
        key: Option<Box<str>>,
    },
}

/// What is wrong with a pattern, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    pub(super) cause: Cow<'static, str>,
    pub(super) span: Range<usize>,
}

/// How long a pattern may be. Nobody writes longer ones by hand.
const MAX_PATTERN: usize = 4096;

/// How many steps a pattern may have: more than messages can be nested.
const MAX_STEPS: usize = 256;

impl Pattern {
    /// Every place.
    pub(super) fn everything() -> Self {
        Self { method: None, steps: vec![StepPattern::Any] }
    }

    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let wrong = |cause: &'static str, span: Range<usize>| Err(PatternError { cause: cause.into(), span });
        if text.is_empty() {
            return wrong("a place is missing", 0..0);
        }
        if text.len() > MAX_PATTERN {
            return wrong("the pattern is too long", 0..text.len());
        }
        let slash = text.find('/').filter(|&slash| !text[..slash].contains('['));
        let Some(slash) = slash else {
            return Ok(Self { method: None, steps: steps(text, 0)? });
        };
        let service = &text[..slash];
        if service.is_empty() {
            return wrong("a service is missing before the /", 0..1);
        }
        let behind = &text[slash + 1..];
        let Some((method, path)) = behind.split_once('.') else {
            return wrong(
                "a path is missing after the method, as in Service/Method.response.field",
                slash + 1..text.len(),
            );
        };
        if method.is_empty() {
            return wrong("a method is missing behind the /", slash..slash + 1);
        }
        let at = slash + 2 + method.len();
        let steps = steps(path, at)?;
        let root_is_known = match steps.first() {
            Some(StepPattern::One { name, key: None }) => Root::ALL.iter().any(|root| name.matches(root.name())),
            Some(StepPattern::One { .. }) | None => false,
            Some(StepPattern::Any) => true,
        };
        if !root_is_known {
            let end = at + path.find(['.', '[']).unwrap_or(path.len());
            return wrong("behind the method stands one of response, request, status, metadata and trailers", at..end);
        }
        Ok(Self { method: Some((Glob::new(service), Glob::new(method))), steps })
    }

    /// Whether it can match anything in a call of this method.
    pub(super) fn is_about(&self, service: &str, method: &str) -> bool {
        self.method.as_ref().is_none_or(|(of, name)| of.matches(service) && name.matches(method))
    }

    /// Whether any of its steps names an element of a list or map.
    pub(super) fn names_elements(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, StepPattern::One { key: Some(_), .. }))
    }

    /// Whether it matches the place that `steps` lead to. Whether it is about the method has been checked.
    pub(super) fn matches(&self, root: Root, steps: &[Step<'_>]) -> bool {
        // Most patterns are ruled out by their last step.
        if let (Some(StepPattern::One { name, .. }), Some(last)) = (self.steps.last(), steps.last())
            && !last.name.contains('.')
            && !Item::of(last).is_named(name)
        {
            return false;
        }
        let mut items: SmallVec<[Item<'_>; 16]> = SmallVec::new();
        items.push(Item { name: root.name(), alias: None, key: None });
        items.extend(steps.iter().flat_map(Item::all_of));
        if matches(&self.steps, &items) {
            return true;
        }
        if self.method.is_some() {
            return false;
        }
        // `package.Message.field`: from the type of any message on the way.
        steps.iter().enumerate().any(|(at, step)| {
            let Some(field) = step.field else { return false };
            items.clear();
            items.extend(field.full_name.split('.').map(|name| Item { name, alias: None, key: None }));
            if let (Some(last), false) = (items.last_mut(), field.name == field.full_name) {
                *last = Item::of(step);
            }
            items.extend(steps.iter().skip(at + 1).flat_map(Item::all_of));
            matches(&self.steps, &items)
        })
    }
}

/// A step of a place, as patterns see it.
#[derive(Clone, Copy)]
struct Item<'i> {
    name: &'i str,
    /// Another name that it goes by: the one in JSON.
    alias: Option<&'i str>,
    key: Option<&'i Key>,
}

impl<'i> Item<'i> {
    fn of(step: &'i Step<'_>) -> Self {
        let alias = step.field.map(|field| &*field.json_name);
        Self { name: &step.name, alias, key: step.key.as_ref() }
    }

    /// The items of a step: the name of a header field may have dots.
    fn all_of(step: &'i Step<'_>) -> impl Iterator<Item = Self> {
        let whole = Self::of(step);
        let split = step.field.is_none() && step.name.contains('.');
        let parts = split.then(|| step.name.split('.').map(|name| Self { name, alias: None, key: None }));
        parts.into_iter().flatten().chain((!split).then_some(whole))
    }

    fn is_named(&self, name: &Glob) -> bool {
        name.matches(self.name) || self.alias.is_some_and(|alias| name.matches(alias))
    }
}

fn matches(pattern: &[StepPattern], items: &[Item<'_>]) -> bool {
    let (mut p, mut i) = (0, 0);
    let mut any: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), items.get(i)) {
            (Some(StepPattern::Any), _) => {
                any = Some((p, i));
                p += 1;
            }
            (Some(StepPattern::One { name, key }), Some(item))
                if item.is_named(name) && key.as_ref().is_none_or(|key| item.key.is_some_and(|own| own.is(key))) =>
            {
                (p, i) = (p + 1, i + 1);
            }
            (None, None) => return true,
            (_, Some(_)) => {
                let Some((at, taken)) = &mut any else { return false };
                *taken += 1;
                (p, i) = (*at + 1, *taken);
            }
            (Some(_), None) => return false,
        }
    }
}

/// The steps that `text` names; `from`: where it is in the whole pattern.
fn steps(text: &str, from: usize) -> Result<Vec<StepPattern>, PatternError> {
    let mut steps = Vec::new();
    let mut at = 0;
    loop {
        let (step, end) = step(text, at, from)?;
        steps.push(step);
        match text.as_bytes().get(end) {
            _ if steps.len() > MAX_STEPS => {
                return Err(PatternError { cause: "the pattern has too many steps".into(), span: from..from + end });
            }
            None => return Ok(steps),
            Some(_) => at = end + 1,
        }
    }
}

/// The step that begins at `at`, and where it ends: at a dot or at the end of the text.
fn step(text: &str, at: usize, from: usize) -> Result<(StepPattern, usize), PatternError> {
    let wrong = |cause: &'static str, at: usize, end: usize| {
        Err(PatternError { cause: cause.into(), span: from + at..from + end })
    };
    let rest = text.get(at..).unwrap_or_default();
    // The name of an extension is in brackets.
    let name = match rest.strip_prefix('[') {
        Some(extension) => match extension.find(']') {
            Some(end) => &rest[..end + 2],
            None => return wrong("a ] is missing", at, text.len()),
        },
        None => &rest[..rest.find(['.', '[']).unwrap_or(rest.len())],
    };
    let mut end = at + name.len();
    let behind = text.get(end..).unwrap_or_default();
    let mut key = None;
    if let Some(inside) = behind.strip_prefix('[') {
        let (text, length) = match quoted(inside) {
            Some((key, length)) if inside[length..].starts_with(']') => (key, length),
            Some(_) => return wrong("a ] is missing", end, text.len()),
            None => match inside.find(']') {
                Some(length) => (inside[..length].to_owned(), length),
                None => return wrong("a ] is missing", end, text.len()),
            },
        };
        key = Some(text.into_boxed_str()).filter(|key| !matches!(&**key, "" | "*"));
        end += length + 2;
    }
    match (name, &key) {
        ("", _) => wrong("a name is missing", at, end.max(at + 1).min(text.len().max(at))),
        ("**", None) => Ok((StepPattern::Any, end)),
        _ if text.as_bytes().get(end).is_some_and(|&byte| byte != b'.') => wrong("a dot is missing", end, end + 1),
        _ => Ok((StepPattern::One { name: Glob::new(name), key }, end)),
    }
}

/// The text that `text` begins with in quotes, and its length with them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut characters = text.char_indices();
    characters.next().filter(|(_, quote)| *quote == '"')?;
    let mut key = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((key, at + 1)),
            '\\' => key.push(characters.next()?.1),
            _ => key.push(character),
        }
    }
    None
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (glob, text, expected) in [
            ("Get*", "GetOrder", true),
            ("Get*", "Get", true),
            ("*Order", "GetOrder", true),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("Get", "GetOrder", false),
            ("", "x", false),
            ("**", "anything", true),
        ] {
            assert_eq!(Glob::new(glob).matches(text), expected, "{glob} {text}");
        }
    }

    /// The place `response.order.items[2].price` of a `shop.Reply`, and `trailers.x.y`.
    #[test]
    fn patterns_name_places_by_path_and_by_type() {
        let schema = compile(
            "syntax = \"proto3\"; package shop; message Reply { Order order = 1; } message Order { repeated Item items = 1; } \
             message Item { double unit_price = 1; }",
        );
        let field = |message: &str| schema[schema.message(message).unwrap()].field(1).unwrap();
        let step = |field, key| Step { key, ..Step::of(field) };
        let steps = [
            step(field("shop.Reply"), None),
            step(field("shop.Order"), Some(Key::Index(2))),
            step(field("shop.Item"), None),
        ];
        let matching = |text: &str| {
            let pattern = Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.cause));
            pattern.is_about("shop.Orders", "Get") && pattern.matches(Root::Response, &steps)
        };
        for text in [
            "shop.Item.unit_price",
            "shop.Item.unitPrice",
            "shop.Item.unit_*",
            "shop.Item.*",
            "shop.*.unit_price",
            "**.unit_price",
            "**",
            "shop.Order.items.unit_price",
            "shop.Order.items[2].unit_price",
            "shop.Reply.**.unit_price",
            "response.order.items.unit_price",
            "response.order.items[*].unit_price",
            "response.**",
            "response.**.items.**",
            "shop.Orders/Get.response.order.items.unit_price",
            "shop.*/G*.response.**",
            "*/*.*.order.items.unit_price",
        ] {
            assert!(matching(text), "{text}");
        }
        for text in [
            "shop.Item",
            "unit_price",
            "Item.unit_price",
            "shop.Item.price",
            "shop.Order.items",
            "shop.Order.items[1].unit_price",
            "request.**",
            "response.order.items",
            "shop.Orders/Put.response.**",
            "shop.Orders/Get.request.**",
            "*",
        ] {
            assert!(!matching(text), "{text}");
        }
        let header = [Step::named("x.y")];
        for (text, expected) in [("trailers.x.y", true), ("trailers.*.y", true), ("metadata.x.y", false)] {
            assert_eq!(Pattern::parse(text).unwrap().matches(Root::Trailers, &header), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_reported_with_its_place() {
        for (text, cause, span) in [
            ("", "a place is missing", 0..0),
            ("a..b", "a name is missing", 2..3),
            ("a.", "a name is missing", 2..2),
            ("a.b[2", "a ] is missing", 3..5),
            ("a.b[\"x\"", "a ] is missing", 3..7),
            ("a[1]b", "a dot is missing", 4..5),
            ("/Get.response.x", "a service is missing", 0..1),
            ("shop.Orders/Get", "a path is missing after the method", 12..15),
            ("shop.Orders/.x", "a method is missing", 11..12),
            ("shop.Orders/Get.created", "behind the method stands one of response", 16..23),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.cause.starts_with(cause), "{text}: {}", error.cause);
            assert_eq!(error.span, span, "{text}");
        }
    }
}
