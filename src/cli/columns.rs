//! The form of a listing's rows: text, JSON, or chosen fields as in tshark.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use rpcshark_dissectors::filter::{Cell, Column, FilterScratch, FrameCells, Target, fields};
use rpcshark_dissectors::rows::Table;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{CallRef, FrameRef};
use rpcshark_dissectors::view::{CallView, FrameView, Viewer};

use super::output::Problem;
use super::row_form::{ColumnShape, RowForm, Separated};
use crate::load::PacketLengths;

/// The names that the columns of a listing can have, for completion.
pub(super) trait FieldNames: Clone + Debug + Send + Sync + 'static {
    fn names() -> Vec<&'static str>;
}

/// The columns of calls and frames: every field of filters.
#[derive(Clone, Debug)]
pub(super) struct FilterFields;

impl FieldNames for FilterFields {
    fn names() -> Vec<&'static str> {
        fields().map(|spec| spec.family().unwrap_or(spec.name)).collect()
    }
}

impl<T: Table + Clone + Debug + Send + Sync> FieldNames for T {
    fn names() -> Vec<&'static str> {
        T::FIELDS.iter().map(|field| field.name).collect()
    }
}

/// What a row is made of.
#[derive(Debug, Args)]
pub(super) struct ColumnArgs<N: FieldNames = FilterFields> {
    /// Form of the output: fields prints those chosen with -e, json is --json
    #[arg(short = 'T', value_name = "FORM", value_enum)]
    form: Option<Form>,

    /// With -T fields: a field to print (see rpcshark fields); may be given several times
    #[arg(short = 'e', value_name = "FIELD", value_parser = FieldName::<N>::new(), hide_possible_values = true)]
    field: Vec<String>,

    /// With -T fields: header=y, separator=, (or /t, /s), occurrence=f|l|a, aggregator=;, quote=d|s|n, escape=y|n, bom=y|n
    #[arg(short = 'E', value_name = "OPTION=VALUE")]
    option: Vec<String>,

    /// Columns of the text listing, by the names of fields, separated by commas (see rpcshark fields)
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', conflicts_with_all = ["form", "field"], value_parser = FieldName::<N>::new(), hide_possible_values = true)]
    columns: Vec<String>,

    #[arg(skip)]
    names: PhantomData<N>,
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
pub(super) struct FieldName<N = FilterFields>(PhantomData<N>);

impl<N> FieldName<N> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<N: FieldNames> TypedValueParser for FieldName<N> {
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
        Some(Box::new(N::names().into_iter().map(PossibleValue::new)))
    }
}

/// The form of rows, as it was asked for.
pub(super) enum ChosenForm<'a> {
    /// Lines for people, in the columns of the listing.
    Text,
    /// JSON.
    Json,
    /// Fields: their names, and how they are written.
    Fields(&'a [String], RowForm),
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
    shapes: Vec<ColumnShape>,
    form: RowForm,
    /// What is known of the frames of calls that are not shown yet.
    cells: HashMap<CallRef, FrameCells>,
}

impl<N: FieldNames> ColumnArgs<N> {
    /// Whether a form or columns are chosen.
    pub(super) const fn is_given(&self) -> bool {
        self.form.is_some() || !self.field.is_empty() || !self.columns.is_empty()
    }

    /// The form that is asked for; `json`: whether `--json` was given.
    pub(super) fn form(&self, json: bool) -> Result<ChosenForm<'_>, Problem> {
        let usage = |text: &str| Err(Problem::Usage(text.to_owned()));
        let form = match self.form {
            None if !self.field.is_empty() => Some(Form::Fields),
            form => form,
        };
        if form != Some(Form::Fields) && (!self.field.is_empty() || !self.option.is_empty()) {
            return usage("-e and -E belong to -T fields");
        }
        match form {
            Some(Form::Fields) if json => usage("--json and -T fields exclude each other"),
            Some(Form::Fields) if self.field.is_empty() => {
                usage(&format!("-T fields needs a field: -e {}", N::names().first().unwrap_or(&"rpc.no")))
            }
            Some(Form::Fields) => {
                Ok(ChosenForm::Fields(&self.field, RowForm::Separated(Separated::parse(&self.option)?)))
            }
            Some(Form::Text) if json => usage("--json and -T text exclude each other"),
            Some(Form::Json) => Ok(ChosenForm::Json),
            _ if json && !self.columns.is_empty() => usage("--columns is for text"),
            _ if json => Ok(ChosenForm::Json),
            _ if self.columns.is_empty() => Ok(ChosenForm::Text),
            _ => Ok(ChosenForm::Fields(&self.columns, RowForm::Aligned)),
        }
    }
}

impl ColumnArgs {
    /// The rows of calls or frames that are asked for; `json`: whether `--json` was given.
    pub(super) fn rows(&self, json: bool, schema: &Schema, target: Target) -> Result<Rows, Problem> {
        let (names, form) = match self.form(json)? {
            ChosenForm::Text => return Ok(Rows::Text),
            ChosenForm::Json => return Ok(Rows::Json),
            ChosenForm::Fields(names, form) => (names, form),
        };
        let columns = names.iter().map(|name| Column::compile(name, schema, target).map_err(Problem::Filter));
        let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
        let shapes = columns.iter().map(|column| ColumnShape::new(column.name(), column.ty())).collect();
        Ok(Rows::Fields(FieldRows { columns, shapes, form, cells: HashMap::new() }))
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
        self.form.heading(&self.shapes)
    }

    /// Whether the heading is for people.
    pub(super) const fn is_aligned(&self) -> bool {
        self.form.is_aligned()
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
        self.form.write(&self.shapes, cells, out);
    }
}
