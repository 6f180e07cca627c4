//! The command line: one file a command. What a user types and what comes out is described in `docs/cli.md`.

mod calls;
mod connections;
mod frames;
mod generate;
mod input;
mod output;
mod show;
mod why;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::record::{self, Live, RecordArgs, Tap};
use input::InputArgs;
use output::Problem;

/// Reads captures and shows the RPCs in them: gRPC and ttrpc, over TCP, Unix sockets and vsock.
#[derive(Debug, Parser)]
#[command(name = "rpcshark", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    calls: Option<calls::CallsArgs>,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark calls capture.pcapng --proto protos/
  rpcshark show capture.pcapng 12 --proto protos/ --bytes
  tcpdump -i any -U -w - port 50051 | rpcshark calls - --proto protos/";

/// Stands below `--help`, and in the manual page.
const EXAMPLES_AND_STATUS: &str = "\
Examples:
  rpcshark calls capture.pcapng --proto protos/
      the calls in a capture, with messages decoded by every .proto below protos/
  rpcshark show capture.pcapng 12 --proto protos/ --bytes
      call 12 in full, each field with its bytes
  tcpdump -i any -U -w - port 50051 | rpcshark calls - --proto protos/
      calls as they end
  strace -f -ttt -yy -xx -s 8388608 -e trace=network,read,write,readv,writev,close,shutdown \\
      -o trace -p PID; rpcshark calls trace
      calls over Unix sockets, which no packet capture sees
  rpcshark record --listen 127.0.0.1:5000 --to 127.0.0.1:50051 -w out.pcapng
      stands between client and server and records

Exit status:
  0  done
  2  the command line or a named schema file is wrong
  3  a file could not be opened or is no capture
  4  a file was read only in part: what there was is shown, and where it broke is said
  5  refused for safety (record --swap)
  130  interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    Calls(calls::CallsArgs),
    Frames(frames::FramesArgs),
    Show(show::ShowArgs),
    Connections(connections::ConnectionsArgs),
    Record(RecordArgs),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Talk {
    /// Say more on standard error
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// Say less on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Runs the program. Its exit status: 0 done; 2 the command line, a filter or a named schema file is wrong; 3 a file could
/// not be opened or is no capture; 4 a file was read only in part; 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.command, cli.calls) {
        (Some(Command::Calls(args)), _) | (None, Some(args)) => calls::run(args),
        (Some(Command::Frames(args)), _) => frames::run(args),
        (Some(Command::Show(args)), _) => show::run(args),
        (Some(Command::Connections(args)), _) => connections::run(args),
        (Some(Command::Completions(args)), _) => generate::completions(&args),
        (Some(Command::Man(args)), _) => generate::man(&args),
        (Some(Command::Record(args)), _) => {
            return record_and_tell(args).unwrap_or_else(|error| {
                output::complain(&format!("{error:#}"));
                ExitCode::from(output::CANNOT_OPEN)
            });
        }
        (None, None) => return ExitCode::from(output::USAGE),
    };
    done.unwrap_or_else(Problem::tell)
}

/// Records; with `--live` calls are printed as they end, where the recording itself does not go.
fn record_and_tell(args: RecordArgs) -> anyhow::Result<ExitCode> {
    let to_stdout = args.write.as_deref() == Some(Path::new("-"));
    let tap: Option<Box<dyn Tap>> = args.live.then(|| -> Box<dyn Tap> {
        match to_stdout {
            true => Box::new(Live::new(Box::new(std::io::stderr()))),
            false => Box::new(Live::new(Box::new(std::io::stdout()))),
        }
    });
    record::run(args, tap)
}
