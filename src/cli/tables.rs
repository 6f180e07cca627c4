//! The forms of a table: its rows as text, as JSON or as chosen columns, sorted and limited.

use std::fmt::Debug;
use std::io;

use clap::Args;
use rpcshark_dissectors::rows::{RowColumn, Table};
use rpcshark_dissectors::schema::Schema;

use super::columns::{ChosenForm, ColumnArgs, FieldNames};
use super::order::OrderArgs;
use super::output::{Output, Problem};
use super::paint;
use super::row_form::{ColumnShape, RowForm};

/// How a table is printed.
#[derive(Debug, Args)]
pub(super) struct TableArgs<T: Table + FieldNames> {
    #[command(flatten)]
    columns: ColumnArgs<T>,

    #[command(flatten)]
    order: OrderArgs<T>,
}

/// How a table is printed, with the columns looked up.
pub(super) struct TableForm<T: Table> {
    rows: TableRows<T>,
    by: Option<(RowColumn<T>, bool)>,
    limit: usize,
}

/// What rows are made of.
enum TableRows<T: Table> {
    Text,
    Json,
    Columns(Vec<RowColumn<T>>, RowForm),
}

impl<T: Table + FieldNames> TableArgs<T> {
    /// Looks the columns up; `json`: whether `--json` was given.
    pub(super) fn compile(&self, json: bool) -> Result<TableForm<T>, Problem> {
        let find = |name: &str| RowColumn::find(name).map_err(Problem::Usage);
        let rows = match self.columns.form(json)? {
            ChosenForm::Text => TableRows::Text,
            ChosenForm::Json => TableRows::Json,
            ChosenForm::Fields(names, form) => {
                TableRows::Columns(names.iter().map(|name| find(name)).collect::<Result<_, _>>()?, form)
            }
        };
        let by = match self.order.by() {
            Some((name, descending)) => Some((find(name)?, descending)),
            None => None,
        };
        Ok(TableForm { rows, by, limit: self.order.limit() })
    }
}

impl<T: Table> TableForm<T> {
    /// Whether rows are text in the columns of the table.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.rows, TableRows::Text)
    }

    /// Whether rows are JSON.
    pub(super) const fn is_json(&self) -> bool {
        matches!(self.rows, TableRows::Json)
    }

    /// Sorts rows and drops those beyond the limit. Rows that are equal keep their order.
    pub(super) fn arrange<'a>(&self, mut rows: Vec<T::Row<'a>>) -> Vec<T::Row<'a>> {
        if let Some((column, descending)) = &self.by {
            let mut keyed: Vec<_> = rows.into_iter().map(|row| (column.sort_key(&row), row)).collect();
            keyed.sort_by(|(a, _), (b, _)| a.compare(b, *descending));
            rows = keyed.into_iter().map(|(_, row)| row).collect();
        }
        rows.truncate(self.limit);
        rows
    }

    /// Writes rows as the chosen columns, if columns were chosen.
    pub(super) fn write_columns(
        &self,
        rows: &[T::Row<'_>],
        schema: &Schema,
        paint: bool,
        output: &mut Output,
    ) -> io::Result<()> {
        let TableRows::Columns(columns, form) = &self.rows else { return Ok(()) };
        let shapes = columns.iter().map(|column| ColumnShape::new(column.name(), Some(column.ty())));
        // All rows are known: columns are as wide as their values.
        let fitted = |(shape, column): (ColumnShape, &RowColumn<T>)| match form.is_aligned() {
            true => shape.fitting(rows.iter().map(|row| column.cell(row, schema).text().chars().count())),
            false => shape,
        };
        let shapes: Vec<ColumnShape> = shapes.zip(columns).map(fitted).collect();
        let has_heading = !rows.is_empty() || !form.is_aligned();
        if let Some(heading) = form.heading(&shapes).filter(|_| has_heading) {
            let heading = if paint && form.is_aligned() { paint::heading(&heading) } else { heading };
            output.buffer().extend_from_slice(heading.as_bytes());
        }
        for row in rows {
            form.write(&shapes, columns.iter().map(|column| column.cell(row, schema)), output.buffer());
            output.checkpoint()?;
        }
        Ok(())
    }
}
