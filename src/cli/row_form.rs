//! How rows of fields are written: as tshark writes them, or in aligned columns.

use rpcshark_dissectors::filter::{Cell, Type};
use rpcshark_dissectors::print::is_dangerous;

use super::output::Problem;

/// How rows of fields are written.
#[derive(Clone, Debug)]
pub(super) enum RowForm {
    /// As tshark writes them.
    Separated(Separated),
    /// In columns for people.
    Aligned,
}

/// tshark's options of `-T fields`, with their defaults.
#[derive(Clone, Debug)]
pub(super) struct Separated {
    bom: bool,
    header: bool,
    separator: String,
    occurrence: Occurrence,
    aggregator: String,
    quote: Option<char>,
    escape: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurrence {
    First,
    Last,
    All,
}

/// A column, as rows are laid out.
#[derive(Clone, Debug)]
pub(super) struct ColumnShape {
    name: String,
    /// How wide it is at least, in characters.
    width: usize,
    /// Whether values are aligned on the right.
    right: bool,
}

impl ColumnShape {
    /// A column as wide as values of its type mostly are.
    pub(super) fn new(name: &str, ty: Option<Type>) -> Self {
        let (width, right) = match ty {
            Some(Type::Unsigned | Type::Signed | Type::Float) => (8, true),
            Some(Type::Duration) => (14, true),
            Some(Type::Time) => (30, false),
            Some(Type::Text) => (28, false),
            Some(Type::Enum(_)) => (18, false),
            Some(Type::Address) => (15, false),
            _ => (10, false),
        };
        Self { name: name.to_owned(), width: width.max(name.chars().count()), right }
    }

    /// The same column, as wide as its name and these values.
    pub(super) fn fitting(self, values: impl Iterator<Item = usize>) -> Self {
        let width = values.chain([self.name.chars().count()]).max().unwrap_or(0);
        Self { width, ..self }
    }
}

impl RowForm {
    /// The line above the rows, if there is one.
    pub(super) fn heading(&self, columns: &[ColumnShape]) -> Option<String> {
        let names = || columns.iter().map(|column| column.name.clone());
        match self {
            Self::Aligned => Some(aligned(columns, names())),
            Self::Separated(form) => {
                let bom = if form.bom { "\u{feff}" } else { "" };
                match form.header {
                    true => Some(format!("{bom}{}\n", names().collect::<Vec<_>>().join(&form.separator))),
                    false => form.bom.then(|| bom.to_owned()),
                }
            }
        }
    }

    /// Whether the heading is for people.
    pub(super) const fn is_aligned(&self) -> bool {
        matches!(self, Self::Aligned)
    }

    /// Appends a row.
    pub(super) fn write(&self, columns: &[ColumnShape], cells: impl Iterator<Item = Cell>, out: &mut Vec<u8>) {
        let line = match self {
            Self::Aligned => aligned(columns, cells.map(|cell| cell.text())),
            Self::Separated(form) => {
                let mut line = String::new();
                for (index, cell) in cells.enumerate() {
                    if index > 0 {
                        line.push_str(&form.separator);
                    }
                    form.write_cell(&cell, &mut line);
                }
                line.push('\n');
                line
            }
        };
        out.extend_from_slice(line.as_bytes());
    }
}

impl Separated {
    /// Reads the options of `-E`.
    pub(super) fn parse(options: &[String]) -> Result<Self, Problem> {
        let mut form = Self {
            bom: false,
            header: false,
            separator: "\t".to_owned(),
            occurrence: Occurrence::All,
            aggregator: ",".to_owned(),
            quote: None,
            escape: true,
        };
        for option in options {
            form.set(option).ok_or_else(|| {
                Problem::Usage(format!(
                    "{option} is not an option of -E: there are bom, header and escape (y or n), separator (a character, /t \
                     or /s), occurrence (f, l or a), aggregator (a character or /s) and quote (d, s or n)"
                ))
            })?;
        }
        Ok(form)
    }

    fn set(&mut self, option: &str) -> Option<()> {
        let (name, value) = option.split_once('=')?;
        let switch = || match value {
            "y" => Some(true),
            "n" => Some(false),
            _ => None,
        };
        let character = || match value {
            "/t" => Some("\t".to_owned()),
            "/s" => Some(" ".to_owned()),
            _ => (value.chars().count() == 1).then(|| value.to_owned()),
        };
        match name {
            "bom" => self.bom = switch()?,
            "header" => self.header = switch()?,
            "escape" => self.escape = switch()?,
            "separator" => self.separator = character()?,
            "aggregator" => self.aggregator = character()?,
            "occurrence" => {
                self.occurrence = match value {
                    "f" => Occurrence::First,
                    "l" => Occurrence::Last,
                    "a" => Occurrence::All,
                    _ => return None,
                }
            }
            "quote" => {
                self.quote = match value {
                    "d" => Some('"'),
                    "s" => Some('\''),
                    "n" => None,
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn write_value(&self, value: &[u8], out: &mut String) {
        for c in String::from_utf8_lossy(value).chars() {
            match c {
                // As CSV has it; tshark doubles double quotes, too.
                c if Some(c) == self.quote => out.extend([c, c]),
                '\n' if self.escape => out.push_str("\\n"),
                '\r' if self.escape => out.push_str("\\r"),
                '\t' if self.escape => out.push_str("\\t"),
                // Nothing in a capture reaches a terminal that it would obey.
                c if is_dangerous(c) => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
    }

    fn write_cell(&self, cell: &Cell, out: &mut String) {
        let values: &[Vec<u8>] = match self.occurrence {
            Occurrence::All => &cell.values,
            Occurrence::First => cell.values.get(..1).unwrap_or_default(),
            Occurrence::Last => cell.values.get(cell.values.len().saturating_sub(1)..).unwrap_or_default(),
        };
        if values.is_empty() {
            return;
        }
        out.extend(self.quote);
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.aggregator);
            }
            self.write_value(value, out);
        }
        out.extend(self.quote);
    }
}

/// Cells in columns.
fn aligned(columns: &[ColumnShape], cells: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (&ColumnShape { width, right, .. }, cell) in columns.iter().zip(cells) {
        match right {
            true => line.extend([format!("{cell:>width$}"), "  ".to_owned()]),
            false => line.extend([format!("{cell:<width$}"), "  ".to_owned()]),
        }
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: &[&str]) -> Cell {
        Cell { values: values.iter().map(|value| value.as_bytes().to_vec()).collect() }
    }

    fn written(options: &[&str], values: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let form = Separated::parse(&options).expect("options");
        let mut out = String::new();
        form.write_cell(&cell(values), &mut out);
        out
    }

    #[test]
    fn cells_are_written_as_tshark_writes_them() {
        assert_eq!(written(&[], &["a", "b"]), "a,b");
        assert_eq!(written(&["occurrence=f"], &["a", "b"]), "a");
        assert_eq!(written(&["occurrence=l"], &["a", "b"]), "b");
        assert_eq!(written(&["aggregator=;"], &["a", "b"]), "a;b");
        assert_eq!(written(&["aggregator=/s"], &["a", "b"]), "a b");
        assert_eq!(written(&["quote=d"], &["a\"b"]), "\"a\"\"b\"");
        assert_eq!(written(&["quote=d"], &[]), "");
        assert_eq!(written(&["quote=s", "separator=/t"], &["a"]), "'a'");
        assert_eq!(written(&[], &["a\tb\x1b\n"]), "a\\tb\\u{1b}\\n");
    }

    #[test]
    fn wrong_options_are_refused() {
        for option in ["header", "header=x", "separator=", "separator=ab", "occurrence=z", "quote=x", "colour=y"] {
            assert!(Separated::parse(&[option.to_owned()]).is_err(), "{option}");
        }
    }
}
