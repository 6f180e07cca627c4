//! The command line: one file a command. What a user types and what comes out is described in `docs/cli.md`.

mod calls;
mod connections;
mod frames;
mod generate;
mod input;
mod output;
mod show;
mod why;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::record::{self, RecordArgs};
use input::InputArgs;
use output::Problem;

/// Reads captures and shows the RPCs in them.
#[derive(Debug, Parser)]
#[command(name = "rpcshark", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    calls: Option<calls::CallsArgs>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One line a call
    Calls(calls::CallsArgs),
    /// One line an HTTP/2 or ttrpc frame
    Frames(frames::FramesArgs),
    /// Calls in full: metadata, messages as trees, with --bytes the bytes beside them
    Show(show::ShowArgs),
    /// One line a connection: protocol, ends, calls, errors, bytes, what is missing
    Connections(connections::ConnectionsArgs),
    /// Stand between a client and a server and record what they say
    Record(RecordArgs),
    /// Completions for a shell
    Completions(generate::CompletionsArgs),
    /// The manual page, in roff
    Man,
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
        (Some(Command::Man), _) => generate::man(),
        (Some(Command::Record(args)), _) => {
            return record::run(args, None).unwrap_or_else(|error| {
                output::complain(&format!("{error:#}"));
                ExitCode::from(output::CANNOT_OPEN)
            });
        }
        (None, None) => return ExitCode::from(output::USAGE),
    };
    done.unwrap_or_else(Problem::tell)
}
