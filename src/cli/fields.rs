//! `rpcshark fields`: every field that filters and columns can name.

use std::process::ExitCode;

use clap::Args;
use rpcshark_dissectors::filter::fields;
use rpcshark_dissectors::json::Writer;

use super::output::{Output, Problem, USAGE, complain};

/// Every field of filters and columns, with its type and a line of help.
///
/// Fields of messages follow the schema: rpc.request.items.sku, pbf.shop.v1.Item.sku.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark fields
  rpcshark fields http2
  rpcshark calls capture.pcapng -Y 'rpc.status != OK' --sort -rpc.duration --limit 10")]
pub(super) struct FieldsArgs {
    /// Only fields whose name or help contains this
    #[arg(value_name = "TEXT")]
    text: Option<String>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &FieldsArgs) -> Result<ExitCode, Problem> {
    let text = args.text.as_deref().unwrap_or_default().to_lowercase();
    let chosen = || fields().filter(|spec| spec.name.contains(&text) || spec.help.to_lowercase().contains(&text));
    if chosen().next().is_none() {
        complain(&format!("no field has {text} in its name or help"));
        return Ok(ExitCode::from(USAGE));
    }
    let mut output = Output::new();
    let name_width = chosen().map(|spec| spec.name.len()).max().unwrap_or(0);
    for spec in chosen() {
        let out = output.buffer();
        match args.json {
            true => {
                let mut json = Writer::new(out);
                json.begin_object();
                json.key("version").unsigned(1);
                json.key("name").string(spec.name);
                json.key("type").string(spec.type_name());
                json.key("scope").string(spec.scope().name());
                json.key("help").string(spec.help);
                json.end_object();
                out.push(b'\n');
            }
            false => {
                let line = format!(
                    "{:<name_width$}  {:<9}  {:<11}  {}\n",
                    spec.name,
                    spec.type_name(),
                    spec.scope().name(),
                    spec.help
                );
                out.extend_from_slice(line.as_bytes());
            }
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
