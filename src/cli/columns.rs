//! The form of a listing's rows: text, JSON, or chosen fields as in tshark.

use std::collections::HashMap;
use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use rpcshark_dissectors::filter::{Cell, Column, FilterScratch, FrameCells, Target, fields};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{CallRef, FrameRef};
use rpcshark_dissectors::view::{CallView, FrameView, Viewer};

use super::output::Problem;
use crate::load::PacketLengths;

/// What a row is made of.
#[derive(Debug, Args)]
pub(super) struct ColumnArgs {
    /// Form of the output: fields prints those chosen with -e, json is --json
    #[arg(short = 'T', value_name = "FORM", value_enum)]
    form: Option<Form>,

    /// With -T fields: a field to print; may be given several times
    #[arg(short = 'e', value_name = "FIELD", value_parser = FieldName, hide_possible_values = true)]
    field: Vec<String>,

    /// With -T fields: header=y, separator=, (or /t, /s), occurrence=f|l|a, aggregator=;, quote=d|s|n, escape=y|n, bom=y|n
    #[arg(short = 'E', value_name = "OPTION=VALUE")]
    option: Vec<String>,

    /// Columns of the text listing, by the names of fields: rpc.no,rpc.method,rpc.duration
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', conflicts_with_all = ["form", "field"], value_parser = FieldName, hide_possible_values = true)]
    columns: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
    /// The fields chosen with -e
    Fields,
}

/// Any name of a field; shells complete those that are known.
#[derive(Clone, Debug)]
pub(super) struct FieldName;

impl TypedValueParser for FieldName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        // Names with keys, functions and paths are not in the list: they are checked once the schema is known.
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = fields().map(|spec| spec.family().unwrap_or(spec.name));
        Some(Box::new(names.map(PossibleValue::new)))
    }
}

/// The rows of a listing, as they were asked for.
pub(super) enum Rows {
    /// Lines for people, in the columns of the listing.
    Text,
    /// JSON.
    Json,
    /// Fields.
    Fields(FieldRows),
}

/// Rows of chosen fields.
pub(super) struct FieldRows {
    columns: Vec<Column>,
    form: RowForm,
    /// What is known of the frames of calls that are not shown yet.
    cells: HashMap<CallRef, FrameCells>,
}

/// How rows of fields are written.
#[derive(Clone, Debug)]
enum RowForm {
    /// As tshark writes them.
    Separated(Separated),
    /// In columns for people.
    Aligned,
}

/// tshark's options of `-T fields`, with their defaults.
#[derive(Clone, Debug)]
struct Separated {
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

impl ColumnArgs {
    /// Whether a form or columns are chosen.
    pub(super) const fn is_given(&self) -> bool {
        self.form.is_some() || !self.field.is_empty() || !self.columns.is_empty()
    }

    /// The rows that are asked for; `json`: whether `--json` was given.
    pub(super) fn rows(&self, json: bool, schema: &Schema, target: Target) -> Result<Rows, Problem> {
        let usage = |text: &str| Err(Problem::Usage(text.to_owned()));
        let form = match self.form {
            None if !self.field.is_empty() => Some(Form::Fields),
            form => form,
        };
        if form != Some(Form::Fields) && (!self.field.is_empty() || !self.option.is_empty()) {
            return usage("-e and -E belong to -T fields");
        }
        let (names, form) = match form {
            Some(Form::Fields) if json => return usage("--json and -T fields exclude each other"),
            Some(Form::Fields) if self.field.is_empty() => return usage("-T fields needs a field: -e rpc.no"),
            Some(Form::Fields) => (&self.field, RowForm::Separated(Separated::parse(&self.option)?)),
            Some(Form::Text) if json => return usage("--json and -T text exclude each other"),
            Some(Form::Json) => return Ok(Rows::Json),
            _ if json && !self.columns.is_empty() => return usage("--columns is for text"),
            _ if json => return Ok(Rows::Json),
            _ if self.columns.is_empty() => return Ok(Rows::Text),
            _ => (&self.columns, RowForm::Aligned),
        };
        let columns = names.iter().map(|name| Column::compile(name, schema, target).map_err(Problem::Filter));
        Ok(Rows::Fields(FieldRows { columns: columns.collect::<Result<_, _>>()?, form, cells: HashMap::new() }))
    }
}

impl Separated {
    fn parse(options: &[String]) -> Result<Self, Problem> {
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
                c if rpcshark_dissectors::print::is_dangerous(c) => out.extend(c.escape_default()),
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

impl Rows {
    /// Whether message bodies are read.
    pub(super) fn reads_bodies(&self) -> bool {
        match self {
            Self::Text => false,
            Self::Json => true,
            Self::Fields(rows) => rows.columns.iter().any(Column::reads_bodies),
        }
    }

    /// Of calls: whether their frames are needed.
    pub(super) fn needs_frames(&self) -> bool {
        matches!(self, Self::Fields(rows) if rows.columns.iter().any(Column::is_of_frames))
    }

    /// Of frames: whether their calls are needed as they are when they have ended.
    pub(super) fn needs_calls(&self) -> bool {
        matches!(self, Self::Fields(rows) if rows.columns.iter().any(Column::needs_call))
    }

    /// Whether the lengths of packets are needed.
    pub(super) fn needs_packet_lengths(&self) -> bool {
        matches!(self, Self::Fields(rows) if rows.columns.iter().any(Column::needs_packet_lengths))
    }

    /// Takes note of frames, where the rows of their calls show something of them.
    pub(super) fn observe(&mut self, viewer: Viewer<'_>, frames: &[FrameRef], lengths: &PacketLengths) {
        let Self::Fields(rows) = self else { return };
        if !rows.columns.iter().any(Column::is_of_frames) {
            return;
        }
        for frame in frames {
            let frame = viewer.frame(frame);
            if let Some(call) = frame.call() {
                let cells = rows.cells.entry(call).or_default();
                cells.observe(&rows.columns, frame, Some(&|packet| lengths.of(packet)));
            }
        }
    }

    /// Frees what is known of the frames of calls that were shown.
    pub(super) fn forget(&mut self, calls: &[CallRef]) {
        if let Self::Fields(rows) = self {
            calls.iter().for_each(|call| drop(rows.cells.remove(call)));
        }
    }
}

impl FieldRows {
    /// The line above the rows, if there is one.
    pub(super) fn heading(&self) -> Option<String> {
        let names: Vec<&str> = self.columns.iter().map(Column::name).collect();
        match &self.form {
            RowForm::Aligned => Some(aligned(&self.columns, names.iter().map(|name| (*name).to_owned()))),
            RowForm::Separated(form) => {
                let bom = if form.bom { "\u{feff}" } else { "" };
                match form.header {
                    true => Some(format!("{bom}{}\n", names.join(&form.separator))),
                    false => form.bom.then(|| bom.to_owned()),
                }
            }
        }
    }

    /// Whether the heading is for people.
    pub(super) const fn is_aligned(&self) -> bool {
        matches!(self.form, RowForm::Aligned)
    }

    /// Appends the row of a call.
    pub(super) fn write_call(&self, call: &CallView<'_>, scratch: &mut FilterScratch, out: &mut Vec<u8>) {
        let frames = self.cells.get(&call.at());
        let columns = self.columns.iter().enumerate();
        let cells = columns.map(|(at, column)| column.call(call, frames.map(|cells| (cells, at)), scratch));
        self.write(cells, out);
    }

    /// Appends the row of a frame.
    pub(super) fn write_frame<'a>(
        &self,
        frame: FrameView<'a>,
        call: Option<&CallView<'a>>,
        lengths: &PacketLengths,
        scratch: &mut FilterScratch,
        out: &mut Vec<u8>,
    ) {
        let lengths = |packet| lengths.of(packet);
        let cells = self.columns.iter().map(|column| column.frame(frame, call, Some(&lengths), scratch));
        self.write(cells, out);
    }

    fn write(&self, cells: impl Iterator<Item = Cell>, out: &mut Vec<u8>) {
        let line = match &self.form {
            RowForm::Aligned => aligned(&self.columns, cells.map(|cell| cell.text())),
            RowForm::Separated(form) => {
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

/// Cells in columns as wide as their values mostly are.
fn aligned(columns: &[Column], cells: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        let (width, right) = width(column);
        match right {
            true => line.extend([format!("{cell:>width$}"), "  ".to_owned()]),
            false => line.extend([format!("{cell:<width$}"), "  ".to_owned()]),
        }
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// How wide a column is, and whether it is aligned on the right.
fn width(column: &Column) -> (usize, bool) {
    use rpcshark_dissectors::filter::Type;
    let (width, right) = match column.ty() {
        Some(Type::Unsigned | Type::Signed | Type::Float) => (8, true),
        Some(Type::Duration) => (14, true),
        Some(Type::Time) => (30, false),
        Some(Type::Text) => (28, false),
        Some(Type::Enum(_)) => (18, false),
        Some(Type::Address) => (15, false),
        _ => (10, false),
    };
    (width.max(column.name().chars().count()), right)
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
