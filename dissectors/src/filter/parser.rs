//! From tokens to the shape of a filter: a Pratt parser over the operators of `wireshark-filter(4)`.
//!
//! | binds | operators |
//! | --- | --- |
//! | loosest | `or`, <code>&#124;&#124;</code> |
//! | | `and`, `&&` |
//! | | `not`, `!` |
//! | | relations, which may be chained: `1ms < rpc.duration < 1s` means both |
//! | tightest | `&` with a mask, `[…]` |

use super::ast::{Base, Compare, Expr, In, Operand, Quantifier, Quoted, SetItem, Slice, SliceEnd, Slices, Step, Text};
use super::error::{FilterError, Span};
use super::fields::begins_like_field;
use super::lexer::{Kind, Token, is_begin_of_operator, tokens};
use super::literal::is_unit;

/// The longest filter, in bytes. Filters are typed or made by programs from a few hundred values; this bounds what
/// parsing and checking cost.
pub const MAX_LENGTH: usize = 64 * 1024;

/// How deep parentheses, `not` and functions may be nested: parsing and evaluating recurse as deep.
pub const MAX_NESTING: usize = 64;

/// The shape of the filter `source`; `None` if there is nothing but white space, which matches everything.
pub(super) fn parse(source: &str) -> Result<Option<Expr>, FilterError> {
    if source.len() > MAX_LENGTH {
        let message = format!("the filter has {} bytes; at most {MAX_LENGTH} are possible", source.len());
        return Err(FilterError::new(0..0, message));
    }
    let mut parser = Parser { source, tokens: tokens(source)?, at: 0, depth: 0 };
    if parser.peek().kind == Kind::End {
        return Ok(None);
    }
    let expr = parser.expr(Binding::Or)?;
    match parser.peek().kind {
        Kind::End => Ok(Some(expr)),
        _ => Err(parser.unexpected()),
    }
}

/// The field `source`, with keys, slices and functions, and nothing else.
pub(super) fn parse_field(source: &str) -> Result<Operand, FilterError> {
    if source.len() > MAX_LENGTH {
        return Err(FilterError::new(0..0, "the name of the field is too long"));
    }
    let mut parser = Parser { source, tokens: tokens(source)?, at: 0, depth: 0 };
    let operand = parser.operand()?;
    match parser.peek().kind {
        Kind::End => Ok(operand),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

/// How tightly a logical operator binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Or,
    And,
    Not,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    /// The next token; the end is never passed.
    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn accept(&mut self, kind: &Kind) -> bool {
        let accepted = self.peek().kind == *kind;
        if accepted {
            self.advance();
        }
        accepted
    }

    fn expect(&mut self, kind: &Kind, text: &str) -> Result<Span, FilterError> {
        if self.peek().kind == *kind {
            return Ok(self.advance().span);
        }
        let at = self.peek().span.clone();
        Err(match self.peek().kind {
            Kind::End => FilterError::new(at, format!("expected {text} before the end")).incomplete(true),
            _ => FilterError::new(at.clone(), format!("expected {text}, found {}", self.text(&at)))
                .incomplete(self.is_typed_operator()),
        })
    }

    /// Whether somebody who types may be in the middle of an operator.
    fn is_typed_operator(&self) -> bool {
        let token = self.peek();
        token.span.end == self.source.len() && is_begin_of_operator(self.text(&token.span))
    }

    fn text(&self, span: &Span) -> &str {
        self.source.get(span.clone()).unwrap_or_default()
    }

    /// What is wrong where the next token cannot stand.
    fn unexpected(&self) -> FilterError {
        let token = self.peek();
        let text = self.text(&token.span);
        match token.kind {
            Kind::End => FilterError::new(token.span.clone(), "the filter ends too soon").incomplete(true),
            Kind::Word(_) if matches!(text, "AND" | "OR" | "NOT") => {
                let lower = text.to_ascii_lowercase();
                FilterError::new(token.span.clone(), format!("unexpected {text}")).suggest(Some(lower))
            }
            Kind::Word(_) | Kind::Quoted(_) => {
                let message = format!("expected && or || before {text}");
                FilterError::new(token.span.clone(), message).incomplete(self.is_typed_operator())
            }
            _ => FilterError::new(token.span.clone(), format!("unexpected {text}")),
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, FilterError>) -> Result<T, FilterError> {
        if self.depth == MAX_NESTING {
            let message = format!("nested more than {MAX_NESTING} levels deep");
            return Err(FilterError::new(self.peek().span.clone(), message));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// An expression whose operators bind at least as tightly as `least`.
    fn expr(&mut self, least: Binding) -> Result<Expr, FilterError> {
        let mut left = self.not()?;
        loop {
            let binding = match self.peek().kind {
                Kind::Or => Binding::Or,
                Kind::And => Binding::And,
                _ => return Ok(left),
            };
            if binding < least {
                return Ok(left);
            }
            self.advance();
            // What binds tighter than this operator belongs to its right operand; equal ones are joined in a list.
            let right = match binding {
                Binding::Or => self.expr(Binding::And)?,
                _ => self.expr(Binding::Not)?,
            };
            left = match (binding, left) {
                (Binding::Or, Expr::Or(mut all)) => {
                    all.push(right);
                    Expr::Or(all)
                }
                (Binding::Or, left) => Expr::Or(vec![left, right]),
                (_, Expr::And(mut all)) => {
                    all.push(right);
                    Expr::And(all)
                }
                (_, left) => Expr::And(vec![left, right]),
            };
        }
    }

    fn not(&mut self) -> Result<Expr, FilterError> {
        if self.peek().kind != Kind::Not {
            return self.primary();
        }
        self.nested(|parser| {
            parser.advance();
            parser.not().map(|expr| Expr::Not(Box::new(expr)))
        })
    }

    fn primary(&mut self) -> Result<Expr, FilterError> {
        match &self.peek().kind {
            Kind::OpenParen => self.nested(|parser| {
                parser.advance();
                let expr = parser.expr(Binding::Or)?;
                parser.expect(&Kind::CloseParen, ")")?;
                // A chain in parentheses is an operand of its own: `(a or b)` is not joined with what stands outside.
                Ok(match expr {
                    expr @ (Expr::Or(_) | Expr::And(_)) => Expr::And(vec![expr]),
                    expr => expr,
                })
            }),
            Kind::Quantifier(quantifier) => {
                let quantifier = *quantifier;
                self.advance();
                let left = self.operand()?;
                self.relation(Some(quantifier), left)
            }
            Kind::Word(_) | Kind::Quoted(_) => {
                if let Some(text) = self.phrase() {
                    return Ok(Expr::Text(text));
                }
                let left = self.operand()?;
                match self.peek().kind {
                    Kind::Op(_) | Kind::In => self.relation(None, left),
                    Kind::Not if self.peek_second().kind == Kind::In => self.relation(None, left),
                    _ => Ok(bare(left)),
                }
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Words that stand together without any operator are text to look for. A single word that is a field is a field, and
    /// so is a dotted word that begins like one.
    fn phrase(&mut self) -> Option<Text> {
        let begin = self.at;
        let Kind::Word(first) = &self.peek().kind else { return None };
        let is_text = |word: &str| !(word.contains('.') && begins_like_field(word));
        if !is_text(first) {
            return None;
        }
        let end = self.tokens[begin..]
            .iter()
            .position(|token| !matches!(&token.kind, Kind::Word(word) if is_text(word)))
            .map_or(self.tokens.len(), |count| begin + count);
        // One word may be the left side of something.
        let ends = matches!(self.tokens[end].kind, Kind::End | Kind::And | Kind::Or | Kind::CloseParen);
        if !ends || end == begin + 1 && begins_like_field(first) {
            return None;
        }
        let span = self.tokens[begin].span.start..self.tokens[end - 1].span.end;
        self.at = end;
        Some(Text { text: self.text(&span).to_owned(), span })
    }

    /// `left op right`, chained: `left op middle op right` means that both hold.
    fn relation(&mut self, quantifier: Option<Quantifier>, left: Operand) -> Result<Expr, FilterError> {
        let mut left = left;
        let mut all = Vec::new();
        loop {
            match self.peek().kind {
                Kind::Op(op) => {
                    let op_span = self.advance().span;
                    let right = self.operand()?;
                    let next = right.clone();
                    all.push(Expr::Compare(Compare { quantifier, left, op, op_span, right }));
                    left = next;
                }
                Kind::In | Kind::Not if all.is_empty() => {
                    let negated = self.accept(&Kind::Not);
                    let start = self.peek().span.start;
                    self.expect(&Kind::In, "in")?;
                    let items = self.set()?;
                    let span = start..self.tokens[self.at - 1].span.end;
                    return Ok(Expr::In(In { quantifier, operand: left, negated, items, span }));
                }
                _ if all.is_empty() => return Err(self.expected_relation()),
                _ => break,
            }
        }
        match all.len() {
            1 => all.pop().ok_or_else(|| self.unexpected()),
            _ => Ok(Expr::And(vec![Expr::And(all)])),
        }
    }

    fn expected_relation(&self) -> FilterError {
        let token = self.peek();
        let message = "any and all must precede a comparison: all tcp.port > 1024";
        FilterError::new(token.span.clone(), message).incomplete(token.kind == Kind::End)
    }

    /// `{1, 5..9, "a"}`
    fn set(&mut self) -> Result<Vec<SetItem>, FilterError> {
        self.expect(&Kind::OpenBrace, "{")?;
        let mut items = Vec::new();
        loop {
            let low = self.operand()?;
            items.push(match self.accept(&Kind::Range) {
                true => SetItem::Range(low, self.operand()?),
                false => SetItem::One(low),
            });
            if !self.accept(&Kind::Comma) {
                self.expect(&Kind::CloseBrace, ", or }")?;
                return Ok(items);
            }
        }
    }

    /// A field, literal or function, with slices and a mask.
    fn operand(&mut self) -> Result<Operand, FilterError> {
        let token = self.advance();
        let start = token.span.start;
        let base = match token.kind {
            Kind::Word(word) if self.peek().kind == Kind::OpenParen && !self.peek().spaced => {
                let name = Text { text: word, span: token.span };
                self.nested(|parser| parser.arguments().map(|arguments| Base::Function(name, arguments)))?
            }
            Kind::Word(word) => Base::Word(self.with_unit(Text { text: word, span: token.span }), Vec::new()),
            Kind::Quoted(bytes) => Base::Quoted(Quoted { bytes, span: token.span }),
            _ => {
                self.at -= usize::from(token.kind != Kind::End);
                return Err(match token.kind {
                    Kind::End => FilterError::new(token.span, "the filter ends too soon").incomplete(true),
                    _ => FilterError::new(
                        token.span.clone(),
                        format!("expected a field or a value, found {}", self.text(&token.span)),
                    ),
                });
            }
        };
        let mut operand = Operand { base, slices: Vec::new(), mask: None, span: start..start };
        while self.peek().kind == Kind::OpenBracket {
            self.bracket(&mut operand)?;
        }
        if self.accept(&Kind::Ampersand) {
            operand.mask = Some(match self.advance() {
                Token { kind: Kind::Word(text), span, .. } => Text { text, span },
                token => {
                    let message = "expected a mask behind &: http2.flags & 0x1";
                    return Err(FilterError::new(token.span, message).incomplete(token.kind == Kind::End));
                }
            });
        }
        operand.span = start..self.tokens[self.at - 1].span.end;
        Ok(operand)
    }

    /// A number may have its unit after a space (`4 MiB`), and a date its time of day.
    fn with_unit(&mut self, mut text: Text) -> Text {
        let Kind::Word(next) = &self.peek().kind else { return text };
        let is_number = text.text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let is_date = text.text.len() == 10 && text.text.bytes().filter(|&b| b == b'-').count() == 2;
        let is_time = next.contains(':') && next.starts_with(|c: char| c.is_ascii_digit());
        if is_number && is_unit(next) || is_date && is_time {
            text.span.end = self.advance().span.end;
            text.text = self.text(&text.span).split_whitespace().collect::<Vec<_>>().join(" ");
        }
        text
    }

    fn arguments(&mut self) -> Result<Vec<Operand>, FilterError> {
        self.expect(&Kind::OpenParen, "(")?;
        let mut arguments = Vec::new();
        if self.accept(&Kind::CloseParen) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.operand()?);
            if !self.accept(&Kind::Comma) {
                self.expect(&Kind::CloseParen, ", or )")?;
                return Ok(arguments);
            }
        }
    }

    /// What is in brackets after an operand: a map key, or slices. `[5].name` is a key, `[5]` a slice (the checker
    /// makes a key of it where the field is a map).
    fn bracket(&mut self, operand: &mut Operand) -> Result<(), FilterError> {
        let open = self.advance().span;
        let key = match &self.peek().kind {
            Kind::Quoted(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Kind::Word(word) if matches!(&**word, "true" | "false") => Some(word.clone()),
            _ => None,
        };
        if let Some(text) = key {
            let span = self.advance().span;
            let key = Text { text, span };
            self.expect(&Kind::CloseBracket, "]")?;
            let Base::Word(_, steps) = &mut operand.base else {
                return Err(FilterError::new(key.span, "only a map field has keys"));
            };
            steps.push(Step::Key(key));
            self.steps_behind(operand);
            return Ok(());
        }
        let inside = self.peek().span.start;
        while !matches!(self.peek().kind, Kind::CloseBracket | Kind::End) {
            self.advance();
        }
        let text_span = inside..self.peek().span.start.max(inside);
        let end = self.expect(&Kind::CloseBracket, "]")?.end;
        let text = self.text(&text_span).trim().to_owned();
        let behind = self.peek();
        let is_key = !behind.spaced && matches!(&behind.kind, Kind::Word(word) if word.starts_with('.'));
        match &mut operand.base {
            Base::Word(_, steps) if is_key => {
                steps.push(Step::Key(Text { text, span: text_span }));
                self.steps_behind(operand);
            }
            _ => operand.slices.push(Slices { parts: slices(&text, &text_span)?, span: open.start..end }),
        }
        Ok(())
    }

    /// `.name.name` directly after a bracket.
    fn steps_behind(&mut self, operand: &mut Operand) {
        let Base::Word(_, steps) = &mut operand.base else { return };
        let token = &self.tokens[self.at];
        if let (false, Kind::Word(word)) = (token.spaced, &token.kind)
            && word.len() > 1
            && let Some(name) = word.strip_prefix('.')
        {
            steps.push(Step::Name(Text { text: name.to_owned(), span: token.span.start + 1..token.span.end }));
            self.at += 1;
        }
    }
}

/// What an operand that stands alone says.
fn bare(operand: Operand) -> Expr {
    match operand.base {
        Base::Quoted(Quoted { bytes, span }) if operand.slices.is_empty() && operand.mask.is_none() => {
            Expr::Text(Text { text: String::from_utf8_lossy(&bytes).into_owned(), span })
        }
        _ => Expr::Bare(operand),
    }
}

/// The slices in `text`, which is between brackets: `i:j`, `i-j`, `i`, `:j`, `i:`, joined by commas.
fn slices(text: &str, span: &Span) -> Result<Vec<Slice>, FilterError> {
    let wrong = || {
        let message = "expected a slice: [offset:length], [first-last], [offset], [:length] or [offset:]";
        FilterError::new(span.clone(), message).incomplete(text.is_empty())
    };
    text.split(',').map(|part| slice(part.trim()).ok_or_else(wrong)).collect()
}

fn slice(part: &str) -> Option<Slice> {
    if let Some((start, length)) = part.split_once(':') {
        let start = if start.is_empty() { 0 } else { start.trim().parse().ok()? };
        let end = match length.trim() {
            "" if part == ":" => return None,
            "" => SliceEnd::Open,
            length => SliceEnd::Length(length.parse().ok().filter(|&length| length > 0)?),
        };
        return Some(Slice { start, end });
    }
    // The sign of a negative offset is not the one between two offsets.
    let dash = part.char_indices().skip(1).find(|&(_, c)| c == '-').map(|(at, _)| at);
    match dash.map(|at| part.split_at(at)) {
        Some((first, last)) => {
            let start: i64 = first.trim().parse().ok()?;
            let last: i64 = last.get(1..)?.trim().parse().ok()?;
            let ordered = start.signum() != last.signum() && (start < 0 || last < 0) || start <= last;
            ordered.then_some(Slice { start, end: SliceEnd::Inclusive(last) })
        }
        None => Some(Slice { start: part.parse().ok()?, end: SliceEnd::Length(1) }),
    }
}
