//! The columns of `problems`: one row per kind.

use super::column::{RowField, Table, Values, duration, number, one, optional, text};
use crate::Severity;
use crate::filter::{Item, Names, Type, Value};
use crate::statistics::{Place, Problem};
use crate::view::Viewer;

/// The table of problems.
#[derive(Clone, Copy, Debug)]
pub struct ProblemsTable;

/// A kind of problem in the table.
#[derive(Clone, Copy)]
pub struct ProblemRow<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// What names the files of packets.
    pub viewer: Viewer<'a>,
}

impl Table for ProblemsTable {
    const NAME: &'static str = "problems";
    const FIELDS: &'static [RowField<Get>] = FIELDS;
    type Row<'a> = ProblemRow<'a>;
    type Get = Get;

    fn values(get: Get, row: &ProblemRow<'_>) -> Values {
        get(row)
    }
}

/// How values of a row are obtained.
pub(super) type Get = for<'a> fn(&ProblemRow<'a>) -> Values;

const fn field(name: &'static str, ty: Type, help: &'static str, get: Get) -> RowField<Get> {
    RowField::new(name, ty, help, get)
}

/// Severities by number, so that they are sorted by weight.
const SEVERITY: Type = Type::Enum(Names::Fixed(&[(0, "info"), (1, "warning"), (2, "error")]));

const FIELDS: &[RowField<Get>] = &[
    field("kind", Type::Text, "Kind of the problem: hpack-unknown", |row| text(row.problem.kind)),
    field("severity", SEVERITY, "The worst severity", |row| {
        number(match row.problem.severity {
            Severity::Info => 0_u64,
            Severity::Warning => 1,
            Severity::Error => 2,
        })
    }),
    field("count", Type::Unsigned, "How many there are", |row| number(row.problem.count)),
    field("title", Type::Text, "What it is", |row| text(row.problem.title())),
    field("meaning", Type::Text, "What it means", |row| text(row.problem.meaning())),
    field("help", Type::Text, "What helps", |row| text(row.problem.help())),
    field("calls", Type::Unsigned, "Calls that have it", |row| number(row.problem.calls)),
    field(
        "connections",
        Type::Unsigned,
        "Connections that have it",
        |row| number(row.problem.connections.len() as u64),
    ),
    field("bytes", Type::Unsigned, "Bytes that it is about", |row| {
        optional(row.problem.bytes.map(|bytes| Value::Int(bytes.into())))
    }),
    field("longest", Type::Duration, "How long the longest took", |row| optional(row.problem.longest_ns.map(duration)))
        .json("longest_ns"),
    field("call", Type::Unsigned, "Calls of the first places", |row| each(row, |place| Some(number_of(place.call?))))
        .json("places.call"),
    field("connection", Type::Unsigned, "Connections of the first places", |row| {
        each(row, |place| Some(number_of(place.connection?)))
    })
    .json("places.connection"),
    field("packet", Type::Unsigned, "Packets of the first places", |row| {
        each(row, |place| Some(Value::Int(place.packet?.number().into())))
    })
    .json("places.packet"),
    field("file", Type::Text, "Files of these packets", |row| {
        let files = row.problem.places.iter().filter_map(|place| row.viewer.file_name(place.packet?.file()));
        files.map(|file| Item::Value(Value::owned(file.to_owned()))).collect()
    })
    .json("places.file"),
    field("text", Type::Text, "Texts of the first places", |row| {
        each(row, |place| Some(Value::owned(place.text.clone())).filter(|_| !place.text.is_empty()))
    })
    .json("places.text"),
];

fn number_of(number: u32) -> Value<'static> {
    Value::Int(number.into())
}

/// A value of each of the first places that has it.
fn each(row: &ProblemRow<'_>, value: fn(&Place) -> Option<Value<'static>>) -> Values {
    row.problem.places.iter().filter_map(value).flat_map(one).collect()
}
