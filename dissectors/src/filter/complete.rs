//! What may follow at a place in a filter that somebody is typing.

use super::Target;
use super::body::{Part, field_names, resolve};
use super::check::{Checker, FUNCTIONS, root_types};
use super::error::Span;
use super::fields::{FieldSpec, fields};
use super::lexer::{Kind, Token, tokens};
use super::parser::parse_field;
use super::value::Type;
use crate::schema::{MessageIx, Schema};
use rpcshark_captures::Direction;

/// What may be at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// What a candidate takes the place of.
    pub range: Span,
    /// What may be there.
    pub candidates: Vec<Candidate>,
    /// The field that a value is compared with, if a value may be there, and what has been typed of the value.
    pub value_of: Option<(String, String)>,
}

/// Something that may be at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The text. Of a family of fields, what their names begin with.
    pub text: String,
    /// One line of help; of an enumeration's name its number.
    pub help: String,
    /// The field's type; empty for values.
    pub ty: &'static str,
}

/// Candidates that are offered at once.
const MAX_CANDIDATES: usize = 500;

/// What may be in `source` at the byte offset `cursor`, where the word before it ends.
pub fn complete(source: &str, cursor: usize, schema: &Schema) -> Completion {
    let before = source.get(..cursor).unwrap_or(source);
    let Ok(tokens) = tokens(before) else { return in_quotes(source, before) };
    let words = tokens.get(..tokens.len().saturating_sub(1)).unwrap_or_default();
    let (range, typed, before_word) = match words.split_last() {
        Some((Token { kind: Kind::Word(word), span, .. }, rest)) if span.end == before.len() => {
            (span.clone(), word.as_str(), rest)
        }
        _ => (before.len()..before.len(), "", words),
    };
    let field = field_of_value(source, before_word);
    let mut candidates = match field {
        Some(field) => values(field, schema, typed),
        None => names(schema, typed),
    };
    candidates.truncate(MAX_CANDIDATES);
    Completion { range, candidates, value_of: field.map(|field| (field.to_owned(), typed.to_owned())) }
}

/// A value that begins with a quotation mark and is not complete.
fn in_quotes(source: &str, before: &str) -> Completion {
    let Some(quote) = before.rfind('"') else { return Completion::default() };
    let (before_quote, typed) = before.split_at(quote);
    let Ok(tokens) = tokens(before_quote) else { return Completion::default() };
    let words = tokens.get(..tokens.len().saturating_sub(1)).unwrap_or_default();
    let field = field_of_value(source, words);
    let value_of = field.map(|field| (field.to_owned(), typed.trim_start_matches('"').to_owned()));
    Completion { range: quote..before.len(), candidates: Vec::new(), value_of }
}

/// The text of the field that a value is compared with, if a value follows `tokens`.
fn field_of_value<'s>(source: &'s str, tokens: &[Token]) -> Option<&'s str> {
    let operator = match &tokens.last()?.kind {
        Kind::Op(_) => tokens.len() - 1,
        Kind::OpenBrace | Kind::Comma | Kind::Range => tokens.iter().rposition(|token| token.kind == Kind::In)?,
        _ => return None,
    };
    let left = tokens.get(..operator)?;
    // The operand begins after the last logical operator or parenthesis that is not its own.
    let begin =
        left.iter().rposition(|token| matches!(token.kind, Kind::And | Kind::Or | Kind::Not | Kind::Quantifier(_)));
    let operand = left.get(begin.map_or(0, |at| at + 1)..)?;
    let opening = operand.iter().take_while(|token| token.kind == Kind::OpenParen).count();
    let operand = operand.get(opening..)?;
    source.get(operand.first()?.span.start..operand.last()?.span.end)
}

/// The values that a field can have, as far as they have names.
fn values(field: &str, schema: &Schema, typed: &str) -> Vec<Candidate> {
    let Ok(operand) = parse_field(field) else { return Vec::new() };
    let mut candidates = Vec::new();
    for ty in Checker::new(schema, field, Target::Frames).types(&operand) {
        let mut add = |text: &str, help: String| {
            let begins = text.get(..typed.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(typed));
            let candidate = Candidate { text: text.to_owned(), help, ty: "" };
            if begins && !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        };
        match ty {
            Type::Bool => ["true", "false"].iter().for_each(|word| add(word, String::new())),
            Type::Word(words) => words.iter().for_each(|word| add(word, String::new())),
            Type::Enum(names) => names.all(schema).iter().for_each(|(number, name)| add(name, number.to_string())),
            _ => {}
        }
    }
    candidates
}

/// The fields and functions whose names begin with `typed`.
fn names(schema: &Schema, typed: &str) -> Vec<Candidate> {
    for (family, direction) in [("rpc.request.", Direction::ToServer), ("rpc.response.", Direction::ToClient)] {
        if let Some(rest) = typed.strip_prefix(family) {
            let roots = root_types(schema, direction).collect();
            let fixed = fields().filter(|spec| spec.family().is_none() && spec.name.starts_with(typed));
            let mut candidates: Vec<Candidate> = fixed.map(of_field).collect();
            candidates.extend(paths(schema, roots, family, rest));
            return candidates;
        }
    }
    for family in ["pbf.", "pbm."] {
        if let Some(rest) = typed.strip_prefix(family) {
            return messages(schema, family, rest);
        }
    }
    let mut candidates: Vec<Candidate> =
        fields().filter(|spec| beginning(spec).starts_with(typed)).map(of_field).collect();
    candidates.extend(FUNCTIONS.iter().filter(|(name, _)| name.starts_with(typed)).map(|(name, help)| Candidate {
        text: format!("{name}("),
        help: (*help).to_owned(),
        ty: "function",
    }));
    candidates
}

fn beginning(spec: &FieldSpec) -> &'static str {
    spec.family().unwrap_or(spec.name)
}

fn of_field(spec: &FieldSpec) -> Candidate {
    Candidate { text: beginning(spec).to_owned(), help: spec.help.to_owned(), ty: spec.type_name() }
}

/// The fields that may follow in a path below one of `roots`.
fn paths(schema: &Schema, mut roots: Vec<MessageIx>, family: &str, rest: &str) -> Vec<Candidate> {
    roots.sort_unstable();
    roots.dedup();
    let (parents, typed) = rest.rsplit_once('.').map_or(("", rest), |(parents, typed)| (parents, typed));
    let parts: Vec<Part<'_>> =
        if parents.is_empty() { Vec::new() } else { parents.split('.').map(Part::Name).collect() };
    let prefix = if parents.is_empty() { family.to_owned() } else { format!("{family}{parents}.") };
    let mut candidates: Vec<Candidate> = Vec::new();
    for root in roots {
        let owner = if parts.is_empty() {
            Some(root)
        } else {
            resolve(schema, root, &parts).ok().and_then(|path| path.message())
        };
        let Some(owner) = owner else { continue };
        for name in field_names(schema, owner).filter(|name| name.starts_with(typed) && !name.contains('.')) {
            let full: Vec<Part<'_>> = parts.iter().copied().chain([Part::Name(name)]).collect();
            let Ok(path) = resolve(schema, root, &full) else { continue };
            let text = format!("{prefix}{name}");
            if candidates.iter().all(|known| known.text != text) {
                let help =
                    schema.messages.get(owner.0 as usize).map_or(String::new(), |message| message.name.to_string());
                candidates.push(Candidate { text, help, ty: path.ty.name() });
            }
        }
    }
    candidates.sort_by(|a, b| a.text.cmp(&b.text));
    candidates
}

/// The message types whose names begin with `typed`; after the name of one, its fields.
fn messages(schema: &Schema, family: &'static str, typed: &str) -> Vec<Candidate> {
    let own = schema.messages.iter().filter(|message| !message.map_entry && message.name.starts_with(typed));
    let mut candidates: Vec<Candidate> = own
        .map(|message| Candidate { text: format!("{family}{}", message.name), help: String::new(), ty: "message" })
        .collect();
    if family == "pbf."
        && let Some((message, _)) = typed.rsplit_once('.')
        && let Some(at) = schema.message(message)
    {
        candidates.extend(paths(
            schema,
            vec![at],
            &format!("pbf.{message}."),
            typed.get(message.len() + 1..).unwrap_or_default(),
        ));
    }
    candidates.sort_by(|a, b| a.text.cmp(&b.text));
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    fn texts(source: &str) -> Vec<String> {
        let schema = compile(
            r#"
            syntax = "proto3"; package t;
            enum State { NONE = 0; OPEN = 1; }
            message Item { string sku = 1; State state = 2; }
            message Order { int32 id = 1; repeated Item items = 2; }
            service S { rpc Get(Order) returns (Item); }
            "#,
        );
        complete(source, source.len(), &schema).candidates.into_iter().map(|candidate| candidate.text).collect()
    }

    #[test]
    fn fields_functions_and_values_are_offered() {
        assert_eq!(texts("rpc.sta"), ["rpc.start", "rpc.stalled", "rpc.status", "rpc.status_message"]);
        assert_eq!(texts("len"), ["len("]);
        assert_eq!(texts("rpc.status == UNA"), ["UNAVAILABLE", "UNAUTHENTICATED"]);
        assert_eq!(texts("rpc.no == 5 && (rpc.outcome in {ok, re"), ["reset"]);
        assert_eq!(texts("rpc.request."), ["rpc.request.count", "rpc.request.id", "rpc.request.items"]);
        assert_eq!(texts("rpc.request.items.s"), ["rpc.request.items.sku", "rpc.request.items.state"]);
        assert_eq!(texts("rpc.request.items.state == "), ["NONE", "OPEN"]);
        assert_eq!(texts("pbf.t.It"), ["pbf.t.Item"]);
        assert_eq!(texts("pbf.t.Item.sk"), ["pbf.t.Item.sku"]);
        assert_eq!(texts("http2.headers.pa"), ["http2.headers.path"]);
        assert!(texts("rpc.metadata.x").is_empty());
        assert!(texts("\"in quotes").is_empty());
    }

    #[test]
    fn what_is_completed_is_the_word_before_the_cursor() {
        let schema = Schema::builtin();
        assert_eq!(complete("a && rpc.sta == 1", 12, &schema).range, 5..12);
        assert_eq!(complete("rpc.no ", 7, &schema).range, 7..7);
        // Not the boundary of a character.
        assert_eq!(complete("ü", 1, &schema), complete("ü", 2, &schema));
    }
}
