//! `rpcshark record`: what is recorded is written to a file, printed, or shown in the terminal UI.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use clap::{Args, Parser};

use super::input::SchemaArgs;
use super::output::{CANNOT_OPEN, Problem, complain};
use super::{Cli, tui};
use crate::record::{self, BackgroundWriter, Live, RecordArgs, Tap};
use crate::signals::{INTERRUPTED, Stop};

/// Relay the traffic between clients and a server, and record it.
///
/// Bytes are passed on unchanged. Ctrl-C completes the file; SIGKILL loses the last 20 ms.
#[derive(Debug, Args)]
pub(super) struct RecordCommand {
    #[command(flatten)]
    record: RecordArgs,

    /// Show calls in the terminal UI as they are recorded; leaving it ends the recording
    #[arg(long, requires = "write", conflicts_with_all = ["live", "restore"])]
    tui: bool,

    #[command(flatten)]
    schema: SchemaArgs,
}

pub(super) fn run(command: RecordCommand) -> Result<ExitCode, Problem> {
    if command.tui {
        return run_with_screen(command);
    }
    if command.schema.is_given() {
        return Err(Problem::Usage("schemas are for --tui: without it, record does not decode messages".to_owned()));
    }
    Ok(finished(record_and_print(command.record)))
}

/// The exit status; an error is reported.
fn finished(ended: anyhow::Result<ExitCode>) -> ExitCode {
    ended.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(CANNOT_OPEN)
    })
}

/// Records; with `--live` calls are printed as they end, where the recording itself does not go.
fn record_and_print(args: RecordArgs) -> anyhow::Result<ExitCode> {
    let to_stdout = args.write.as_deref() == Some(Path::new("-"));
    let tap: Option<Box<dyn Tap>> = match args.live {
        true => {
            let screen: Box<dyn Write + Send> = match to_stdout {
                true => Box::new(std::io::stderr()),
                false => Box::new(std::io::stdout()),
            };
            Some(Box::new(Live::new(Box::new(BackgroundWriter::new(screen)?))))
        }
        false => None,
    };
    record::run(args, tap)
}

/// Records on a thread of its own, and shows the growing file in the terminal UI. The recording ends with the UI.
fn run_with_screen(command: RecordCommand) -> Result<ExitCode, Problem> {
    let Some(path) = command.record.write.clone().filter(|path| path != Path::new("-")) else {
        return Err(Problem::Usage("--tui shows the file that is recorded: name one with -w FILE".to_owned()));
    };
    // As if the user had opened the file: `rpcshark --tui --follow FILE`.
    let arguments: [OsString; 3] = ["rpcshark".into(), "--tui".into(), "--follow".into()];
    let arguments = arguments.into_iter().chain(command.schema.arguments()).chain(["--".into(), path.into()]);
    let cli = Cli::try_parse_from(arguments).map_err(|error| Problem::Usage(error.to_string()))?;
    // What is wrong with a schema is reported before anything is recorded.
    cli.calls.input.load_schema()?;

    let (started, start) = channel::<Arc<Stop>>();
    let args = command.record;
    let recording = thread::Builder::new()
        .name("record".to_owned())
        .spawn(move || finished(record::run_and_report(args, None, move |stop| drop(started.send(Arc::clone(stop))))));
    let recording = recording.map_err(|error| Problem::Terminal(error.into()))?;
    let shown = start.recv().ok().map(|stop| {
        let shown = tui::run(&cli.calls, &cli.ui);
        stop.raise();
        shown
    });
    let recorded = recording.join().unwrap_or_else(|_| ExitCode::from(CANNOT_OPEN));
    match shown {
        // A recording always ends by being stopped.
        Some(shown) if recorded == ExitCode::from(INTERRUPTED) => shown,
        _ => Ok(recorded),
    }
}
