//! `rpcshark fields`: every field that filters and columns can name.

use std::process::ExitCode;

use clap::Args;
use rpcshark_dissectors::filter::fields;
use rpcshark_dissectors::json::Writer;
use rpcshark_dissectors::rows::{Connections, Methods, ProblemsTable, Table};

use super::output::{Output, Problem, USAGE, complain};

/// List every field of filters and every column of tables, with its type, what has it, and a line of help
///
/// Fields of calls, frames and messages are for -Y, -e, --columns and --sort of calls and frames; those of methods, problems
/// and connections are the columns of these tables. Fields of messages follow the schema: rpc.request.items.sku,
/// pbf.shop.v1.Item.sku.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark fields
  rpcshark fields http2
  rpcshark fields methods
  rpcshark calls capture.pcapng -Y 'rpc.status != OK' --sort -rpc.duration --limit 10")]
pub(super) struct FieldsArgs {
    /// Only fields whose name or help contains this; methods, problems or connections: the columns of that table
    #[arg(value_name = "TEXT")]
    text: Option<String>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A field or a column, as it is listed.
struct Row {
    name: &'static str,
    ty: &'static str,
    scope: &'static str,
    help: &'static str,
}

/// The columns of a table.
fn columns<T: Table>() -> impl Iterator<Item = Row> {
    T::FIELDS.iter().map(|field| Row { name: field.name, ty: field.ty.name(), scope: T::NAME, help: field.help })
}

/// Everything that filters, columns and orders can name.
fn all() -> impl Iterator<Item = Row> {
    let of_filters =
        fields().map(|spec| Row { name: spec.name, ty: spec.type_name(), scope: spec.scope().name(), help: spec.help });
    of_filters.chain(columns::<Methods>()).chain(columns::<ProblemsTable>()).chain(columns::<Connections>())
}

pub(super) fn run(args: &FieldsArgs) -> Result<ExitCode, Problem> {
    let text = args.text.as_deref().unwrap_or_default().to_lowercase();
    let mut chosen: Vec<Row> = all().filter(|row| row.scope == text).collect();
    if chosen.is_empty() {
        chosen = all().filter(|row| row.name.contains(&text) || row.help.to_lowercase().contains(&text)).collect();
    }
    if chosen.is_empty() {
        complain(&format!("no field has {text} in its name or help"));
        return Ok(ExitCode::from(USAGE));
    }
    let mut output = Output::new();
    let width = |of: fn(&Row) -> &'static str| chosen.iter().map(|row| of(row).len()).max().unwrap_or(0);
    let [names, types, scopes] = [width(|row| row.name), width(|row| row.ty), width(|row| row.scope)];
    for Row { name, ty, scope, help } in &chosen {
        let out = output.buffer();
        match args.json {
            true => {
                let mut json = Writer::new(out);
                json.begin_object();
                json.key("version").unsigned(1);
                json.key("name").string(name);
                json.key("type").string(ty);
                json.key("scope").string(scope);
                json.key("help").string(help);
                json.end_object();
                out.push(b'\n');
            }
            false => {
                let line = format!("{name:<names$}  {ty:<types$}  {scope:<scopes$}  {help}\n");
                out.extend_from_slice(line.as_bytes());
            }
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
