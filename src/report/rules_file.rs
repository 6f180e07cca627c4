//! Rules in a TOML file.
//!
//! ```toml
//! ignore = ["shop.Order.created", "trailers.x-served-by"]
//! unordered = ["shop.Order.tags"]
//! equivalent = true
//!
//! [key]
//! "shop.Order.items" = "sku"
//! [float]
//! "shop.Item.price" = "0.1%"
//! [time-within]
//! "**" = "5s"
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rpcshark_dissectors::compare::{RuleError, Rules};
use serde::Deserialize;
use toml::Spanned;

/// The file as TOML has it. Rules are checked afterwards, each at its own place.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    ignore: Vec<Spanned<String>>,
    unordered: Vec<Spanned<String>>,
    equivalent: bool,
    key: Table,
    float: Table,
    time_within: Table,
}

/// Places and what holds there, in the order of the file.
type Table = std::collections::BTreeMap<Spanned<String>, Spanned<String>>;

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesFileError {
    /// It cannot be read.
    #[error("the rules in {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its text is wrong.
    #[error("{}:{line}:{column}: {cause}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong there.
        cause: String,
    },
}

/// Bytes of a file of rules: far more than anybody writes, so that a file named by mistake is not read whole.
const MAX_SIZE: u64 = 1 << 20;

/// Reads the rules in a file.
pub(super) fn read(path: &Path) -> Result<Rules, RulesFileError> {
    let unreadable = |source| RulesFileError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(unreadable(io::Error::other(format!("it is larger than {MAX_SIZE} bytes"))));
    }
    parse(&text).map_err(|(at, cause)| {
        let before = text.get(..at).unwrap_or(&text);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        RulesFileError::Wrong { path: path.to_owned(), line, column, cause }
    })
}

/// The rules that `text` holds, or where it is wrong and what is.
fn parse(text: &str) -> Result<Rules, (usize, String)> {
    let file: Text = toml::from_str(text).map_err(|error| {
        let cause = error.message().lines().collect::<Vec<_>>().join("; ");
        (error.span().map_or(0, |span| span.start), cause)
    })?;
    let mut rules = Rules::default();
    rules.set_equivalent(file.equivalent);
    for place in &file.ignore {
        rules.ignore(place.get_ref()).map_err(|error| at(text, place.span(), &error.span, &error))?;
    }
    for place in &file.unordered {
        rules.unordered(place.get_ref()).map_err(|error| at(text, place.span(), &error.span, &error))?;
    }
    type Add = fn(&mut Rules, &str, &str) -> Result<(), RuleError>;
    let tables: [(Table, Add); 3] =
        [(file.key, Rules::key_fields), (file.float, Rules::float_at), (file.time_within, Rules::time_within_at)];
    for (table, add) in tables {
        let mut table: Vec<_> = table.into_iter().collect();
        // Of several rules about a place the last one counts.
        table.sort_by_key(|(place, _)| place.span().start);
        for (place, value) in table {
            add(&mut rules, place.get_ref(), value.get_ref()).map_err(|error| match error.value_span() {
                Some(span) => at(text, value.span(), &span, &error),
                None => at(text, place.span(), &error.span, &error),
            })?;
        }
    }
    Ok(rules)
}

/// The place in the file of an error at `within` of the string at `span`.
fn at(text: &str, span: Range<usize>, within: &Range<usize>, error: &RuleError) -> (usize, String) {
    let quoted = text.get(span.start..).is_some_and(|rest| rest.starts_with(['"', '\'']));
    // With escapes in the string the place may be a little off; it stays within the string.
    ((span.start + usize::from(quoted) + within.start).min(span.end), error.cause.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> (String, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.toml");
        std::fs::write(&path, text).unwrap();
        match read(&path).unwrap_err() {
            RulesFileError::Wrong { line, column, cause, .. } => (format!("{line}:{column}"), cause),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn rules_are_read_and_what_is_wrong_is_reported_with_its_place() {
        let all = "ignore = [\"shop.Order.created\", 'trailers.x']\nunordered = []\nequivalent = true\n\
                   [key]\n\"shop.Order.items\" = \"sku\"\n[float]\n\"**\" = \"0.1%\"\n[time-within]\n\"shop.**\" = \"5s\"\n";
        assert!(!parse(all).unwrap().is_empty());
        assert!(parse("").unwrap().is_empty());
        for (text, place, cause) in [
            ("ignore = [\"a.b\",\n  \"a..b\"]", "2:6", "a name is missing"),
            ("ignore = \"a.b\"", "1:10", "invalid type: string"),
            ("ignored = []", "1:1", "unknown field `ignored`"),
            ("[key]\n\"a.b\" = \"\"", "2:10", "the name of a field is missing"),
            ("[float]\n\"a.b\" = \"much\"", "2:10", "a tolerance is a number"),
            ("[time-within]\n\n'shop.Orders/Get' = \"5s\"", "3:14", "a path is missing after the method"),
        ] {
            let (got, said) = wrong(text);
            assert!(said.starts_with(cause), "{text}: {said}");
            assert_eq!(got, place, "{text}: {said}");
        }
    }
}
