//! `rpcshark show`: calls in full.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use rpcshark_dissectors::filter::{FilterScratch, Target};
use rpcshark_dissectors::print::{Printer, status_text};
use rpcshark_dissectors::view::Viewer;

use super::InputArgs;
use super::columns::{ColumnArgs, Rows};
use super::filter::FilterArgs;
use super::input::TimeArgs;
use super::order::OrderArgs;
use super::output::{Output, Problem};
use super::paint::{self, ShownCall};
use super::selected::{Selected, Wanted};
use crate::load::{Inputs, PacketLengths};

/// Show calls in full: metadata, messages as trees, status
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark show capture.pcapng 12 --proto protos/
  rpcshark show capture.pcapng 3-7 12 --proto protos/ --bytes --all-headers
  rpcshark show capture.pcapng -Y 'rpc.status == NOT_FOUND' --proto protos/
  rpcshark show capture.pcapng -Y 'rpc.method == GetOrder' --sort -rpc.duration --limit 3
  rpcshark show capture.pcapng all --json --proto protos/")]
pub(super) struct ShowArgs {
    /// A capture, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Which calls, by the numbers that `calls` shows: 12, 3-7, or all
    #[arg(required_unless_present = "filter", value_name = "NO")]
    no: Vec<CallNumbers>,

    #[command(flatten)]
    filter: FilterArgs,

    /// Show the bytes of each field
    #[arg(long)]
    bytes: bool,

    /// Show whole values; without it, values of kilobytes are shortened, with their length
    #[arg(long)]
    full: bool,

    /// Print one JSON object per call, as `calls --json` does, with field trees
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    columns: ColumnArgs,

    #[command(flatten)]
    order: OrderArgs,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// Calls chosen by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallNumbers {
    All,
    /// From the first to the last, both included.
    Range(u32, u32),
}

impl FromStr for CallNumbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err("write the number of a call (12), a range (3-7) or all".to_owned()),
        };
        match text.split_once('-') {
            None if text == "all" => Ok(Self::All),
            None => number(text).map(|no| Self::Range(no, no)),
            Some((first, last)) => match (number(first)?, number(last)?) {
                (first, last) if first > last => {
                    Err(format!("the range ends before it begins; did you mean {last}-{first}?"))
                }
                (first, last) => Ok(Self::Range(first, last)),
            },
        }
    }
}

impl CallNumbers {
    /// The numbers among those of `count` calls, and the first number that no call has.
    pub(super) fn among(self, count: u32) -> (RangeInclusive<u32>, Option<u32>) {
        match self {
            Self::All => (1..=count, None),
            Self::Range(first, last) => {
                (first..=last.min(count), (last > count).then_some(first.max(count.saturating_add(1))))
            }
        }
    }
}

pub(super) fn run(args: ShowArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let paint = input.talk.color.decide();
    let schema = input.load_schema()?;
    let mut rows = args.columns.rows(args.json, &schema, Target::Calls)?;
    let order = args.order.compile(&schema, Target::Calls, false)?;
    let (frames, packet_lengths) = (rows.needs_frames(), rows.needs_packet_lengths());
    let mut see = |viewer: Viewer<'_>, frames: &[_], lengths: &PacketLengths| rows.observe(viewer, frames, lengths);
    let wanted = Wanted { bodies: true, packet_lengths, frames: frames.then_some(&mut see) };
    let inputs = Inputs::Paths(vec![args.file.clone()]);
    let mut selected = Selected::load(input, inputs, &args.filter, schema, wanted)?;
    let store = selected.store();
    let count = u32::try_from(store.calls().len()).unwrap_or(u32::MAX);
    let mut missing = None;
    let mut shown = Vec::new();
    for numbers in &args.no {
        let (range, beyond) = numbers.among(count);
        shown.extend(range.filter_map(|no| store.call_by_no(no)));
        missing = missing.or(beyond);
    }
    if args.no.is_empty() {
        shown.extend_from_slice(store.calls());
    }
    selected.choose(shown);
    let calls = std::mem::take(&mut selected.calls);
    selected.calls = order.sort_calls(selected.viewer(), calls);
    write(&args, &selected, &rows, paint)?;
    let status = selected.report(input);
    match missing {
        Some(no) => {
            let file = args.file.display();
            let calls = if count == 1 { "1 call".to_owned() } else { format!("{count} calls") };
            Err(Problem::Usage(format!("there is no call {no} in {file}, which has {calls}")))
        }
        None => Ok(status),
    }
}

/// Writes the selected calls.
fn write(args: &ShowArgs, selected: &Selected, rows: &Rows, paint: bool) -> Result<(), Problem> {
    let printer = Printer { full: args.full, ..selected.printer() };
    let times = args.time.asked(selected.loaded.first);
    let mut output = Output::new();
    let mut scratch = FilterScratch::default();
    if let Rows::Fields(rows) = rows
        && let Some(heading) = rows.heading()
    {
        let heading = if paint && rows.is_aligned() { paint::heading(&heading) } else { heading };
        output.buffer().extend_from_slice(heading.as_bytes());
    }
    for (index, &at) in selected.calls.iter().enumerate() {
        let call = printer.viewer.call(at);
        match rows {
            Rows::Json => output.draining(|buffer, drain| printer.write_call_json(&call, true, buffer, drain))?,
            Rows::Fields(rows) => rows.write_call(&call, &mut scratch, output.buffer()),
            Rows::Text => {
                let between = if index > 0 { "\n" } else { "" };
                output.buffer().extend_from_slice(between.as_bytes());
                output.flush()?;
                let painter = paint.then(|| ShownCall::new(status_text(&call)));
                output.painting(painter, |buffer, drain| {
                    printer.write_call_in_full(&call, args.bytes, times.as_ref(), buffer, drain);
                })?;
            }
        }
        output.checkpoint()?;
    }
    Ok(output.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_chosen_by_number_by_range_and_all_at_once() {
        let parse = |text: &str| text.parse::<CallNumbers>();
        assert_eq!(parse("12"), Ok(CallNumbers::Range(12, 12)));
        assert_eq!(parse("3-7"), Ok(CallNumbers::Range(3, 7)));
        assert_eq!(parse("all"), Ok(CallNumbers::All));
        for wrong in ["", "0", "-1", "3-", "-", "a", "1-0", "4294967296"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse("7-3"), Err("the range ends before it begins; did you mean 3-7?".to_owned()));
        assert_eq!(CallNumbers::Range(3, 7).among(7), (3..=7, None));
        assert_eq!(CallNumbers::Range(3, 7).among(5), (3..=5, Some(6)));
        for (numbers, missing) in [(CallNumbers::Range(3, 7), Some(3)), (CallNumbers::All, None)] {
            let (range, beyond) = numbers.among(0);
            assert!(range.is_empty() && beyond == missing, "{numbers:?}");
        }
    }
}
