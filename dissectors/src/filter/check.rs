//! From the shape of a filter to a program: fields are looked up, literals get the types of what they are compared with,
//! and a comparison that cannot be is an error.

use hashbrown::HashMap;
use memchr::memmem::Finder;
use regex::bytes::RegexBuilder;
use rpcshark_captures::Direction;

use super::Target;
use super::ast::{
    Base, Compare, Expr, In, Op, Operand as AstOperand, Quantifier, Quoted, SetItem, SliceEnd, Step, Text,
};
use super::body::{BodyPath, Miss, MissCause, Part, Reach, field_names, resolve};
use super::error::{FilterError, Span};
use super::fields::{FieldSpec, Get, HeaderName, begins_like_field, field, fields};
use super::literal::{Constant, Literal, constant, mask};
use super::program::{Node, Operand, Predicate, Source, Test, Transform, Variant};
use super::suggest::nearest;
use super::value::Type;
use crate::schema::{MessageIx, Schema};

/// Regular expressions of one filter: each may take [`MAX_REGEX`] bytes of memory.
const MAX_REGEXES: usize = 64;

/// Bytes that a compiled regular expression may take.
const MAX_REGEX: usize = 1 << 20;

/// How deep groups of a regular expression may be nested.
const MAX_REGEX_NESTING: u32 = 100;

/// The functions.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    ("len", "Number of bytes of text or bytes"),
    ("count", "Number of values"),
    ("lower", "Text in lower case"),
    ("upper", "Text in upper case"),
    ("string", "Value as text, as columns show it"),
];

pub(super) struct Checker<'s> {
    schema: &'s Schema,
    source: &'s str,
    target: Target,
    tests: Vec<Test>,
    regexes: usize,
}

/// A field of a filter, looked up.
pub(super) struct Field {
    origin: Origin,
    transforms: Vec<Transform>,
    counted: bool,
    span: Span,
    /// As the filter writes it.
    name: String,
}

/// Where the values of a field come from, and their types.
enum Origin {
    /// One type whatever the call.
    One(Source, Type),
    /// By the type of the message.
    Body(Direction, Vec<(MessageIx, BodyPath, Type)>),
}

/// One side of a comparison.
enum Side<'e> {
    Field(Field),
    Literal(Literal<'e>, &'e Span),
}

type Result<T> = std::result::Result<T, FilterError>;

impl<'s> Checker<'s> {
    pub(super) const fn new(schema: &'s Schema, source: &'s str, target: Target) -> Self {
        Self { schema, source, target, tests: Vec::new(), regexes: 0 }
    }

    /// The program of an expression and its tests.
    pub(super) fn check(mut self, expr: &Expr) -> Result<(Node, Vec<Test>)> {
        let node = self.expr(expr)?;
        Ok((node, self.tests))
    }

    /// The field that `operand` is, to be shown as a column.
    pub(super) fn column(mut self, operand: &AstOperand) -> Result<(Operand, Option<Type>)> {
        match self.side(operand, false)? {
            Side::Field(field) => {
                let ty = field.only_type();
                Ok((field.with(&mut |_| Ok(Predicate::Exists))?, ty))
            }
            Side::Literal(_, span) => Err(self.no_field(span)),
        }
    }

    /// What the values of the field are that `operand` is: one type, or one for each message type that has it.
    pub(super) fn types(mut self, operand: &AstOperand) -> Vec<Type> {
        match self.side(operand, false) {
            Ok(Side::Field(field)) => field.types().collect(),
            _ => Vec::new(),
        }
    }

    fn expr(&mut self, expr: &Expr) -> Result<Node> {
        Ok(match expr {
            Expr::Or(all) => Node::Or(self.all(all)?),
            Expr::And(all) => Node::And(self.all(all)?),
            Expr::Not(expr) => Node::Not(Box::new(self.expr(expr)?)),
            Expr::Text(text) => {
                let part = text.text.to_lowercase();
                self.test(Test::Text(Finder::new(part.as_bytes()).into_owned()))
            }
            Expr::Bare(operand) => self.bare(operand)?,
            Expr::Compare(compare) => self.compare(compare)?,
            Expr::In(set) => self.set(set)?,
        })
    }

    /// Operands of `and` and `or`, those that take the least work first: the answer is the same in any order.
    fn all(&mut self, exprs: &[Expr]) -> Result<Vec<Node>> {
        let mut nodes = exprs.iter().map(|expr| self.expr(expr)).collect::<Result<Vec<Node>>>()?;
        nodes.sort_by_cached_key(|node| node.cost(&self.tests));
        Ok(nodes)
    }

    fn test(&mut self, test: Test) -> Node {
        self.tests.push(test);
        Node::Test(self.tests.len() - 1)
    }

    fn bare(&mut self, operand: &AstOperand) -> Result<Node> {
        let masked = operand.mask.is_some();
        let field = match self.side(operand, false)? {
            Side::Field(field) => field,
            Side::Literal(_, span) => return Err(self.no_field(span)),
        };
        let predicate = if masked { Predicate::NonZero } else { Predicate::Exists };
        let operand = field.with(&mut |_| Ok(predicate.clone()))?;
        Ok(self.test(Test::Field { quantifier: false, operand }))
    }

    fn compare(&mut self, compare: &Compare) -> Result<Node> {
        let Compare { quantifier, op, .. } = compare;
        let left = self.side(&compare.left, false)?;
        let right = self.side(&compare.right, matches!(left, Side::Field(_)))?;
        // As since Wireshark 4.0: `!=` means that all differ.
        let all = match quantifier {
            Some(quantifier) => *quantifier == Quantifier::All,
            None => matches!(op, Op::Ne | Op::AllEq),
        };
        match (left, right) {
            (Side::Field(left), Side::Field(right)) => self.pair(all, left, compare, right),
            (Side::Field(field), Side::Literal(literal, span)) => {
                self.against(all, field, *op, &compare.op_span, &literal, span)
            }
            (Side::Literal(literal, span), Side::Field(field)) => {
                let Some(op) = mirrored(*op) else {
                    let message = format!("the field stands on the left of {}", op.text());
                    return Err(FilterError::new(compare.op_span.clone(), message));
                };
                self.against(all, field, op, &compare.op_span, &literal, span)
            }
            (Side::Literal(..), Side::Literal(..)) => Err(self.no_field(&compare.left.span)),
        }
    }

    fn against(
        &mut self,
        all: bool,
        field: Field,
        op: Op,
        op_span: &Span,
        literal: &Literal<'_>,
        span: &Span,
    ) -> Result<Node> {
        let name = field.name.clone();
        let operand = field.with(&mut |ty| self.predicate(&name, ty, op, op_span, literal, span))?;
        Ok(self.test(Test::Field { quantifier: all, operand }))
    }

    /// What values of type `ty` are compared with.
    fn predicate(
        &mut self,
        name: &str,
        ty: Type,
        op: Op,
        op_span: &Span,
        literal: &Literal<'_>,
        span: &Span,
    ) -> Result<Predicate> {
        let cannot = |what: &str| Err(FilterError::new(op_span.clone(), format!("{name} {what}")));
        match (op, ty) {
            (_, Type::Label) => cannot("has no value; it is there or not"),
            (Op::Contains | Op::Matches, ty) if !ty.is_bytes() => {
                cannot(&format!("is {}; {} is for text and bytes (string({name}) is text)", described(ty), op.text()))
            }
            (Op::Contains, Type::Word(_)) => {
                let part = literal_bytes(literal).to_vec();
                Ok(Predicate::Contains(Box::new(Finder::new(&part).into_owned())))
            }
            (Op::Contains, _) => match constant(self.schema, ty, literal, span)? {
                Constant::Value(value) => {
                    let part = value.as_bytes().unwrap_or_default();
                    Ok(Predicate::Contains(Box::new(Finder::new(part).into_owned())))
                }
                Constant::Net(..) => cannot("has no parts"),
            },
            (Op::Matches, _) => self.regex(literal, span),
            (Op::Gt | Op::Lt | Op::Ge | Op::Le, Type::Bool | Type::Word(_)) => {
                cannot(&format!("is {}; its values have no order", described(ty)))
            }
            _ => {
                let constant = constant(self.schema, ty, literal, span)?;
                if matches!(constant, Constant::Net(..)) && matches!(op, Op::Gt | Op::Lt | Op::Ge | Op::Le) {
                    return Err(FilterError::new(op_span.clone(), "a network can be compared with == and != only"));
                }
                Ok(Predicate::Compare(op, constant))
            }
        }
    }

    fn regex(&mut self, literal: &Literal<'_>, span: &Span) -> Result<Predicate> {
        self.regexes += 1;
        if self.regexes > MAX_REGEXES {
            let message = format!("more than {MAX_REGEXES} regular expressions in one filter");
            return Err(FilterError::new(span.clone(), message));
        }
        let pattern = std::str::from_utf8(literal_bytes(literal))
            .map_err(|_| FilterError::new(span.clone(), "the regular expression is not UTF-8"))?;
        let regex = RegexBuilder::new(pattern)
            .case_insensitive(true)
            .size_limit(MAX_REGEX)
            .dfa_size_limit(MAX_REGEX)
            .nest_limit(MAX_REGEX_NESTING)
            .build();
        regex.map(|regex| Predicate::Matches(Box::new(regex))).map_err(|error| {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            FilterError::new(span.clone(), format!("not a regular expression: {why}"))
        })
    }

    fn set(&mut self, set: &In) -> Result<Node> {
        let field = match self.side(&set.operand, false)? {
            Side::Field(field) => field,
            Side::Literal(_, span) => return Err(self.no_field(span)),
        };
        let name = field.name.clone();
        let operand = field.with(&mut |ty| {
            if ty == Type::Label {
                let message = format!("{name} has no value; it is there or not");
                return Err(FilterError::new(set.span.clone(), message));
            }
            let items = set.items.iter().map(|item| match item {
                SetItem::One(item) => Ok((self.element(ty, item)?, None)),
                SetItem::Range(low, _) if matches!(ty, Type::Bool | Type::Word(_)) => {
                    let message = format!("{name} is {}; its values have no order", described(ty));
                    Err(FilterError::new(low.span.clone(), message))
                }
                SetItem::Range(low, high) => {
                    let range = (self.element(ty, low)?, self.element(ty, high)?);
                    let (Constant::Value(first), Constant::Value(last)) = &range else {
                        return Err(FilterError::new(low.span.clone(), "a network is not the end of a range"));
                    };
                    if first.order(last).is_none_or(std::cmp::Ordering::is_gt) {
                        let span = low.span.start..high.span.end;
                        return Err(FilterError::new(span, "the range ends before it begins"));
                    }
                    Ok((range.0, Some(range.1)))
                }
            });
            Ok(Predicate::In(items.collect::<Result<_>>()?))
        })?;
        let node = self.test(Test::Field { quantifier: set.quantifier == Some(Quantifier::All), operand });
        // As in Wireshark, `not in` is the negation of `in`.
        Ok(if set.negated { Node::Not(Box::new(node)) } else { node })
    }

    fn element(&self, ty: Type, item: &AstOperand) -> Result<Constant> {
        match literal_of(item) {
            Some((literal, span)) => constant(self.schema, ty, &literal, span),
            None => Err(FilterError::new(item.span.clone(), "a set holds values only")),
        }
    }

    fn pair(&mut self, all: bool, left: Field, compare: &Compare, right: Field) -> Result<Node> {
        let span = compare.left.span.start..compare.right.span.end;
        let compares = left.types().any(|a| right.types().any(|b| a.compares_with(b)));
        if !compares || compare.op == Op::Matches {
            let types = |field: &Field| field.types().next().map_or("", described).to_owned();
            let message = match compare.op {
                Op::Matches => "the right side of matches is a regular expression in quotes".to_owned(),
                _ => format!("{} is {}, {} is {}", left.name, types(&left), right.name, types(&right)),
            };
            return Err(FilterError::new(span, message));
        }
        let op = compare.op;
        let unordered = |ty: Type| matches!(ty, Type::Bool | Type::Word(_));
        let orders = matches!(op, Op::Gt | Op::Lt | Op::Ge | Op::Le);
        if orders && left.types().chain(right.types()).all(unordered)
            || op == Op::Contains && !left.types().any(Type::is_bytes)
        {
            let message = format!("{} and {} cannot be compared with {}", left.name, right.name, op.text());
            return Err(FilterError::new(span, message));
        }
        if self.target == Target::Calls && left.is_of_frames() != right.is_of_frames() {
            let message = format!(
                "{} is of frames and {} of calls: only a filter of frames can compare them",
                if left.is_of_frames() { &left.name } else { &right.name },
                if left.is_of_frames() { &right.name } else { &left.name }
            );
            return Err(FilterError::new(span, message));
        }
        let exists = &mut |_| Ok(Predicate::Exists);
        let (left, right) = (left.with(exists)?, right.with(exists)?);
        Ok(self.test(Test::Pair { quantifier: all, left, op, right }))
    }

    /// What an operand is. `after_field`: it is on the right of a field, where a word without points is a value.
    fn side<'e>(&mut self, operand: &'e AstOperand, after_field: bool) -> Result<Side<'e>> {
        let base = match &operand.base {
            Base::Word(word, steps) => {
                let is_value = after_field && !word.text.contains('.') && steps.is_empty();
                let slices = &operand.slices;
                match is_value {
                    true => None,
                    // In a path `[5]` may be the key of a map.
                    false => match self.with_key(word, steps, slices) {
                        Some(field) => return self.transformed(field, operand, 1).map(Side::Field),
                        None => self.lookup(word, steps)?,
                    },
                }
            }
            Base::Quoted(_) => None,
            Base::Function(name, arguments) => Some(self.function(name, arguments, &operand.span)?),
        };
        match base {
            Some(field) => self.transformed(field, operand, 0).map(Side::Field),
            None => match literal_of(operand) {
                Some((literal, span)) => Ok(Side::Literal(literal, span)),
                None => Err(self.no_field(&operand.span)),
            },
        }
    }

    /// A field with its slices, from the one numbered `skip` on, and its mask.
    fn transformed(&self, mut field: Field, operand: &AstOperand, skip: usize) -> Result<Field> {
        for slices in operand.slices.iter().skip(skip) {
            let transform = Transform::Slices(slices.parts.clone());
            field.apply(
                transform,
                &slices.span,
                |ty| ty.is_bytes().then_some(Type::Bytes),
                "only text and bytes have slices",
            )?;
        }
        if let Some(text) = &operand.mask {
            let Some(mask) = mask(&text.text) else {
                return Err(FilterError::new(text.span.clone(), format!("{} is not a mask", text.text)));
            };
            let masked = |ty: Type| ty.is_whole().then_some(Type::Flags);
            field.apply(Transform::Mask(mask), &text.span, masked, "a mask is for whole numbers")?;
        }
        field.span = operand.span.clone();
        Ok(field)
    }

    fn function(&mut self, name: &Text, arguments: &[AstOperand], span: &Span) -> Result<Field> {
        let Some((function, _)) = FUNCTIONS.iter().find(|(function, _)| *function == name.text) else {
            let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            let message = format!("no function {}; there are {}", name.text, names.join(", "));
            let near = nearest(&name.text, names.into_iter());
            return Err(FilterError::new(name.span.clone(), message).suggest(near));
        };
        let [argument] = arguments else {
            return Err(FilterError::new(span.clone(), format!("{function} takes one field")));
        };
        let mut field = match self.side(argument, false)? {
            Side::Field(field) => field,
            Side::Literal(_, span) => return Err(FilterError::new(span.clone(), format!("{function} takes a field"))),
        };
        let of_text = |ty: Type| ty.is_bytes().then_some(Type::Text);
        match *function {
            "len" => {
                field.apply(
                    Transform::Len,
                    span,
                    |ty| ty.is_bytes().then_some(Type::Unsigned),
                    "len is for text and bytes",
                )?;
            }
            "lower" => field.apply(Transform::Lower, span, of_text, "lower is for text")?,
            "upper" => field.apply(Transform::Upper, span, of_text, "upper is for text")?,
            "string" => {
                let text = |ty: Type| (ty != Type::Label).then_some(Type::Text);
                field.apply(Transform::Text, span, text, "a label has no text")?;
            }
            _ if field.counted => return Err(FilterError::new(span.clone(), "a count cannot be counted")),
            _ => field.counted = true,
        }
        field.name = format!("{function}({})", field.name);
        Ok(field)
    }

    /// The field of a path that ends in `[5]`, if the number is the key of a map there.
    fn with_key(&mut self, word: &Text, steps: &[Step], slices: &[super::ast::Slices]) -> Option<Field> {
        let first = slices.first()?;
        let [super::ast::Slice { start, end: SliceEnd::Length(1) }] = first.parts[..] else { return None };
        let key = Step::Key(Text { text: start.to_string(), span: first.span.clone() });
        let steps: Vec<Step> = steps.iter().cloned().chain([key]).collect();
        self.lookup(word, &steps).ok().flatten()
    }

    /// The field that a word with its steps names; `None` if it is not a field.
    pub(super) fn lookup(&mut self, word: &Text, steps: &[Step]) -> Result<Option<Field>> {
        let Some((spec, rest)) = field(&word.text) else {
            return match word.text.contains('.') && begins_like_field(&word.text) {
                true => Err(self.no_field(&word.span)),
                false => Ok(None),
            };
        };
        let end = steps.last().map_or(word.span.end, |step| match step {
            // The bracket after a key.
            Step::Key(key) => key.span.end + 1,
            Step::Name(name) => name.span.end,
        });
        let span = word.span.start..end.min(self.source.len());
        let parts = Parts::of(word, rest, steps);
        let origin = match spec.get {
            Get::Request => self.body(spec, Direction::ToServer, word, &parts)?,
            Get::Response => self.body(spec, Direction::ToClient, word, &parts)?,
            Get::AnyField => self.any_field(word, rest, &parts)?,
            _ if !steps.is_empty() => {
                return Err(FilterError::new(
                    span,
                    format!("{} has no keys: only map fields of messages have", word.text),
                ));
            }
            Get::AnyMessage => {
                Origin::One(Source::AnyMessage(Reach::of(self.schema, self.message(word, rest)?)), Type::Label)
            }
            Get::Header(headers) => {
                let rest = if rest.is_empty() { word.text.rsplit('.').next().unwrap_or_default() } else { rest };
                let name = HeaderName::new(headers, rest, spec.ty);
                let ty = if name.is_binary() { Type::Bytes } else { spec.ty };
                Origin::One(Source::Header(name), ty)
            }
            Get::Call(get) => Origin::One(Source::Call(get), spec.ty),
            Get::Frame(get) => Origin::One(Source::Frame(get), spec.ty),
            Get::Ends(get) => Origin::One(Source::Ends(get), spec.ty),
            Get::Either(call, frame) => Origin::One(Source::Either(call, frame), spec.ty),
            Get::Message(get) => Origin::One(Source::Message(get), spec.ty),
            Get::PacketLength => Origin::One(Source::PacketLength, spec.ty),
        };
        let name = self.source.get(span.clone()).unwrap_or(&word.text).to_owned();
        Ok(Some(Field { origin, transforms: Vec::new(), counted: false, span, name }))
    }

    /// The path in every type that requests (or responses) have.
    fn body(&self, spec: &FieldSpec, direction: Direction, word: &Text, parts: &Parts<'_>) -> Result<Origin> {
        if self.schema.services.is_empty() {
            let message = format!("{} needs a schema: give one with --proto or --protoset", word.text);
            return Err(FilterError::new(word.span.clone(), message));
        }
        parts.are_whole()?;
        let mut roots: Vec<MessageIx> = root_types(self.schema, direction).collect();
        roots.sort_unstable();
        roots.dedup();
        let mut found = Vec::new();
        let mut misses = Vec::new();
        for root in roots {
            match resolve(self.schema, root, &parts.parts) {
                Ok(path) => found.push((root, path.ty, path)),
                Err(miss) => misses.push(miss),
            }
        }
        if found.is_empty() {
            let what = if direction == Direction::ToServer { "request" } else { "response" };
            return Err(self.missed(spec.family().unwrap_or_default(), what, parts, &misses));
        }
        Ok(Origin::Body(direction, found.into_iter().map(|(root, ty, path)| (root, path, ty)).collect()))
    }

    /// What is wrong with a path that fits no type: where it fits longest counts.
    fn missed(&self, family: &str, what: &str, parts: &Parts<'_>, misses: &[Miss]) -> FilterError {
        let Some(longest) = misses.iter().map(|miss| miss.part).max() else {
            return FilterError::new(parts.span(0), format!("the schema has no type of a {what}"));
        };
        let span = parts.span(longest);
        let text = self.source.get(span.clone()).unwrap_or_default();
        let here: Vec<&Miss> = misses.iter().filter(|miss| miss.part == longest).collect();
        let of = |miss: &Miss| self.schema.messages.get(miss.message.0 as usize).map_or("", |message| &*message.name);
        let message = match here.first().map(|miss| miss.cause) {
            Some(MissCause::NotAMessage) => format!("{text} is not a field: what precedes it is not a message"),
            Some(MissCause::NotAMap) => "what precedes [ is not a map".to_owned(),
            Some(MissCause::WrongKey) => format!("{text} is not a key of the map"),
            Some(MissCause::TooLong) => "the path is deeper than messages can be nested".to_owned(),
            Some(MissCause::NoField) | None => match here[..] {
                [only] if longest > 0 => format!("no field {text} in {}", of(only)),
                _ if longest == 0 => format!("no field {family}{text}: no {what} has a field of this name"),
                _ => format!("no field {text}"),
            },
        };
        let names = || here.iter().flat_map(|miss| field_names(self.schema, miss.message));
        let near = nearest(text, names()).map(str::to_owned);
        let incomplete = span.end >= self.source.len() && names().any(|name| name.starts_with(text));
        FilterError::new(span, message).suggest(near).incomplete(incomplete)
    }

    /// A path in the messages of a type that is named in full: the longest name that is a type counts.
    fn any_field(&self, word: &Text, rest: &str, parts: &Parts<'_>) -> Result<Origin> {
        self.need_messages(word)?;
        parts.are_whole()?;
        let ends = rest.char_indices().filter(|&(_, c)| c == '.').map(|(at, _)| at);
        let types = ends.filter_map(|end| Some((end, self.schema.message(rest.get(..end)?)?)));
        let found = types.max_by_key(|&(end, _)| end);
        // Extensions have a full name of their own.
        let Some((end, target)) = found else {
            if let Some((target, path)) = self.extension(rest) {
                let ty = path.ty;
                return Ok(Origin::One(Source::AnyField(Reach::of(self.schema, target), path), ty));
            }
            let names = self.schema.messages.iter().map(|message| &*message.name);
            let wanted = rest.rsplit_once('.').map_or(rest, |(message, _)| message);
            let near = nearest(wanted, names.clone()).map(|name| format!("pbf.{name}"));
            let incomplete = word.span.end >= self.source.len() && names.clone().any(|name| name.starts_with(rest));
            let message = format!("no message type in {}", word.text);
            return Err(FilterError::new(word.span.clone(), message).suggest(near).incomplete(incomplete));
        };
        let skipped = rest.get(..end).map_or(0, |name| name.split('.').count());
        let path = match resolve(self.schema, target, parts.parts.get(skipped..).unwrap_or_default()) {
            Ok(path) => path,
            Err(miss) => {
                let miss = Miss { part: miss.part + skipped, ..miss };
                return Err(self.missed("pbf.", "message", parts, &[miss]));
            }
        };
        let ty = path.ty;
        Ok(Origin::One(Source::AnyField(Reach::of(self.schema, target), path), ty))
    }

    /// The extension of a message that has this full name.
    fn extension(&self, name: &str) -> Option<(MessageIx, BodyPath)> {
        let messages = self.schema.messages.iter().zip(0..);
        let (_, at) =
            messages.into_iter().find(|(message, _)| message.fields.iter().any(|field| &*field.name == name))?;
        Some((MessageIx(at), resolve(self.schema, MessageIx(at), &[Part::Name(name)]).ok()?))
    }

    fn message(&self, word: &Text, rest: &str) -> Result<MessageIx> {
        self.need_messages(word)?;
        self.schema.message(rest).ok_or_else(|| {
            let names = self.schema.messages.iter().map(|message| &*message.name);
            let near = nearest(rest, names.clone()).map(|name| format!("pbm.{name}"));
            let incomplete = word.span.end >= self.source.len() && names.clone().any(|name| name.starts_with(rest));
            FilterError::new(word.span.clone(), format!("no message type {rest}")).suggest(near).incomplete(incomplete)
        })
    }

    fn need_messages(&self, word: &Text) -> Result<()> {
        let is_own = |name: &str| !name.starts_with("google.protobuf.") && !name.starts_with("google.rpc.");
        match self.schema.messages.iter().any(|message| is_own(&message.name)) {
            true => Ok(()),
            false => {
                let message = format!("{} needs a schema: give one with --proto or --protoset", word.text);
                Err(FilterError::new(word.span.clone(), message))
            }
        }
    }

    /// The error that the word at `span` is not a field, with the nearest field.
    fn no_field(&self, span: &Span) -> FilterError {
        let text = self.source.get(span.clone()).unwrap_or_default();
        if !text.starts_with(|c: char| c.is_alphabetic()) {
            return FilterError::new(span.clone(), format!("{text} is a value; one side of a comparison is a field"));
        }
        let names = fields().filter(|spec| spec.family().is_none()).map(|spec| spec.name);
        let near = nearest(text, names.clone());
        let typed = |name: &str| name.starts_with(text) && name.len() > text.len();
        let incomplete = span.end >= self.source.len() && fields().any(|spec| typed(spec.name));
        let hint = match near.is_none() && !incomplete && text.contains('.') && begins_like_field(text) {
            true => "; text to look for stands in quotes",
            false => "",
        };
        let family = fields()
            .filter_map(FieldSpec::family)
            .find(|family| family.trim_end_matches('.') == text.trim_end_matches('.'));
        let message = match family {
            Some(family) => format!("the name after {family} is missing"),
            None => format!("no field {text}{hint}"),
        };
        FilterError::new(span.clone(), message).suggest(near).incomplete(incomplete)
    }
}

/// The parts of a path, with their places in the filter.
struct Parts<'p> {
    parts: Vec<Part<'p>>,
    spans: Vec<Span>,
}

impl<'p> Parts<'p> {
    /// The parts of `rest`, the end of `word`, and of the steps after it.
    fn of(word: &Text, rest: &'p str, steps: &'p [Step]) -> Self {
        let mut all = Self { parts: Vec::new(), spans: Vec::new() };
        if !rest.is_empty() {
            all.names(rest, word.span.end - rest.len());
        }
        for step in steps {
            match step {
                Step::Key(key) => {
                    all.parts.push(Part::Key(&key.text));
                    all.spans.push(key.span.clone());
                }
                Step::Name(name) => all.names(&name.text, name.span.start),
            }
        }
        all
    }

    fn names(&mut self, names: &'p str, start: usize) {
        let mut at = start;
        for name in names.split('.') {
            self.parts.push(Part::Name(name));
            self.spans.push(at..at + name.len());
            at += name.len() + 1;
        }
    }

    fn span(&self, part: usize) -> Span {
        self.spans.get(part).cloned().unwrap_or_default()
    }

    /// That no name is empty.
    fn are_whole(&self) -> Result<()> {
        let empty = self.parts.iter().position(|part| matches!(part, Part::Name("")));
        match empty {
            Some(at) => {
                let last = at + 1 == self.parts.len();
                Err(FilterError::new(self.span(at), "the name of a field is missing").incomplete(last))
            }
            None => Ok(()),
        }
    }
}

impl Field {
    fn types(&self) -> impl Iterator<Item = Type> + Clone {
        let counted = self.counted.then_some(Type::Unsigned);
        let (one, body) = match &self.origin {
            Origin::One(_, ty) => (Some(*ty), None),
            Origin::Body(_, types) => (None, Some(types)),
        };
        let own = one.into_iter().chain(body.into_iter().flatten().map(|(_, _, ty)| *ty));
        let take = if counted.is_some() { 0 } else { usize::MAX };
        counted.into_iter().chain(own.take(take))
    }

    const fn is_of_frames(&self) -> bool {
        match &self.origin {
            Origin::One(source, _) => source.is_of_frames(),
            Origin::Body(..) => false,
        }
    }

    /// Adds a transform; types for which `change` gives none are left out, and if none is left, `wrong` says why.
    fn apply(
        &mut self,
        transform: Transform,
        span: &Span,
        change: impl Fn(Type) -> Option<Type>,
        wrong: &str,
    ) -> Result<()> {
        if self.counted {
            return Err(FilterError::new(span.clone(), "a count is a number"));
        }
        let before = self.types().next();
        let fits = match &mut self.origin {
            Origin::One(_, ty) => change(*ty).map(|changed| *ty = changed).is_some(),
            Origin::Body(_, types) => {
                types.retain_mut(|(_, _, ty)| change(*ty).map(|changed| *ty = changed).is_some());
                !types.is_empty()
            }
        };
        if !fits {
            let is = before.map_or("nothing", described);
            return Err(FilterError::new(span.clone(), format!("{wrong}; {} is {is}", self.name)));
        }
        self.transforms.push(transform);
        Ok(())
    }

    /// The operand, with what `predicate` gives for each type. Message types for which it gives an error are left out,
    /// unless it does for all.
    pub(super) fn with(self, predicate: &mut dyn FnMut(Type) -> Result<Predicate>) -> Result<Operand> {
        let Self { origin, transforms, counted, .. } = self;
        let counted_type = |ty| if counted { Type::Unsigned } else { ty };
        match origin {
            Origin::One(source, ty) => {
                let predicate = predicate(counted_type(ty))?;
                Ok(Operand { source, transforms, counted, variant: Variant { ty, predicate } })
            }
            Origin::Body(direction, types) => {
                let mut roots = HashMap::new();
                let mut first_error = None;
                let mut made: Vec<(Type, Predicate)> = Vec::new();
                for (root, path, ty) in types {
                    // A method of hundreds has the same field: what it is compared with is made once.
                    let known = made.iter().find(|(of, _)| *of == ty).map(|(_, predicate)| Ok(predicate.clone()));
                    match known.unwrap_or_else(|| predicate(counted_type(ty))) {
                        Ok(predicate) => {
                            made.push((ty, predicate.clone()));
                            roots.insert(root, (path, Variant { ty, predicate }));
                        }
                        Err(error) => first_error = first_error.or(Some(error)),
                    }
                }
                match (first_error, roots.is_empty()) {
                    (Some(error), true) => Err(error),
                    _ => {
                        // For messages of which not even the type is known.
                        let predicate = made.first().map_or(Predicate::Exists, |(_, predicate)| predicate.clone());
                        let variant = Variant { ty: Type::Label, predicate };
                        Ok(Operand { source: Source::Body(direction, roots), transforms, counted, variant })
                    }
                }
            }
        }
    }

    /// The type of the values, if there is only one.
    pub(super) fn only_type(&self) -> Option<Type> {
        let mut types = self.types();
        let first = types.next()?;
        types.all(|ty| ty == first).then_some(first)
    }
}

/// The message types of all methods, in one direction.
pub(super) fn root_types(schema: &Schema, direction: Direction) -> impl Iterator<Item = MessageIx> {
    let methods = schema.services.iter().flat_map(|service| &service.methods);
    methods.map(move |method| match direction {
        Direction::ToServer => method.input,
        Direction::ToClient => method.output,
    })
}

/// The same relation with its sides exchanged.
const fn mirrored(op: Op) -> Option<Op> {
    Some(match op {
        Op::Gt => Op::Lt,
        Op::Lt => Op::Gt,
        Op::Ge => Op::Le,
        Op::Le => Op::Ge,
        Op::Eq | Op::Ne | Op::AllEq | Op::AnyNe => op,
        Op::Contains | Op::Matches => return None,
    })
}

/// The operand as a literal, if it is only that.
fn literal_of(operand: &AstOperand) -> Option<(Literal<'_>, &Span)> {
    if !operand.slices.is_empty() || operand.mask.is_some() {
        return None;
    }
    match &operand.base {
        Base::Word(Text { text, span }, steps) if steps.is_empty() => Some((Literal::Plain(text), span)),
        Base::Quoted(Quoted { bytes, span }) => Some((Literal::Quoted(bytes), span)),
        _ => None,
    }
}

fn literal_bytes<'l>(literal: &'l Literal<'_>) -> &'l [u8] {
    match literal {
        Literal::Plain(text) => text.as_bytes(),
        Literal::Quoted(bytes) => bytes,
    }
}

/// A type in a sentence: `rpc.no is a whole number`.
const fn described(ty: Type) -> &'static str {
    ty.noun()
}
