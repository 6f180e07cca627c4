//! The shape of a filter, before fields and types are looked up.

use super::error::Span;

/// An expression that is true, false or unknown.
///
/// `and` and `or` take any number of operands, so that a long chain is not a deep tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    /// A field, slice or function that stands alone: whether it is there (with a mask: whether a bit is set).
    Bare(Operand),
    Compare(Compare),
    In(In),
    /// Text that stands alone.
    Text(Text),
}

/// `left op right`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compare {
    pub(super) quantifier: Option<Quantifier>,
    pub(super) left: Operand,
    pub(super) op: Op,
    pub(super) op_span: Span,
    pub(super) right: Operand,
}

/// `operand in {…}` or `operand not in {…}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct In {
    pub(super) quantifier: Option<Quantifier>,
    pub(super) operand: Operand,
    pub(super) negated: bool,
    pub(super) items: Vec<SetItem>,
    pub(super) span: Span,
}

/// One element of a set.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SetItem {
    One(Operand),
    /// `low..high`, both included.
    Range(Operand, Operand),
}

/// Which of a field's values must meet a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// A relation between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Contains,
    Matches,
    /// `===`
    AllEq,
    /// `!==`
    AnyNe,
}

impl Op {
    /// As it is written in messages.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Gt => ">",
            Self::Lt => "<",
            Self::Ge => ">=",
            Self::Le => "<=",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::AllEq => "===",
            Self::AnyNe => "!==",
        }
    }
}

/// A field, a literal or a function, with what follows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub(super) base: Base,
    /// `[…]` after it: slices of the value.
    pub(super) slices: Vec<Slices>,
    /// `& mask`
    pub(super) mask: Option<Text>,
    pub(super) span: Span,
}

/// What an operand begins with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    /// A word that may name a field, with map keys and further steps after it.
    Word(Text, Vec<Step>),
    /// Text or bytes in quotes.
    Quoted(Quoted),
    /// `name(operand, …)`
    Function(Text, Vec<Operand>),
}

/// A step of a path after the first word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// `["key"]` or `[true]`; also `[5]` if another step follows it.
    Key(Text),
    /// `.name` or `.name.name`
    Name(Text),
}

/// A piece of the filter's text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Span,
}

/// What is between quotes, escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    pub(super) bytes: Vec<u8>,
    pub(super) span: Span,
}

/// What is between one pair of brackets: parts that are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slices {
    pub(super) parts: Vec<Slice>,
    pub(super) span: Span,
}

/// A part of a value. Negative offsets count from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: i64,
    pub(super) end: SliceEnd,
}

/// Where a slice ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SliceEnd {
    /// After this many bytes.
    Length(u64),
    /// With the byte at this offset.
    Inclusive(i64),
    /// With the last byte.
    Open,
}
