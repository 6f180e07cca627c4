//! The command line: one file a command. What a user types and what comes out is described in `docs/cli.md`.

mod call;
mod calls;
mod columns;
mod connections;
mod diff;
mod export;
mod fields;
mod filter;
mod follow;
mod frame_rows;
mod frames;
mod generate;
mod input;
mod memory;
mod methods;
mod order;
mod output;
mod paint;
mod problems;
mod record;
mod remarks;
mod replay;
mod replay_run;
mod row_form;
mod schema;
mod selected;
mod serve;
mod shares;
mod show;
mod summary;
mod tables;
mod tui;
mod why;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use rpcshark_dissectors::print::Escaped;

use crate::load;
pub(crate) use input::FileBodies;
use input::InputArgs;
use output::Problem;
use paint::Color;

/// Reads captures and shows the RPCs in them: gRPC and ttrpc, over TCP, Unix sockets and vsock.
#[derive(Debug, Parser)]
#[command(name = "rpcshark", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(subcommand_negates_reqs = true)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    calls: calls::CallsArgs,

    #[command(flatten)]
    ui: tui::UiArgs,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark calls capture.pcapng --proto protos/
  rpcshark show capture.pcapng 12 --proto protos/ --bytes
  tcpdump -i any -U --immediate-mode -w - port 50051 | rpcshark calls - --proto protos/";

/// Stands below `--help`, and in the manual page.
const EXAMPLES_AND_STATUS: &str = "\
Examples:
  rpcshark calls capture.pcapng --proto protos/
      the calls in a capture, with messages decoded by every .proto below protos/
  rpcshark show capture.pcapng 12 --proto protos/ --bytes
      call 12 in full, each field with its bytes
  tcpdump -i any -U --immediate-mode -w - port 50051 | rpcshark calls - --proto protos/
      calls as they end
  strace -f -ttt -yy -xx -s 8388608 -e 'trace=network,read,write,readv,writev,close,sendfile,splice,clone,?clone3,?fork,?vfork,execve,dup,?dup2,dup3,fcntl' \\
      -o trace -p PID; rpcshark calls trace
      calls over Unix sockets, which no packet capture sees
  rpcshark record --listen 127.0.0.1:5000 --to 127.0.0.1:50051 -w out.pcapng
      stands between client and server and records
  rpcshark replay out.pcapng --to localhost:50051 --proto protos/ --plan
      what would be sent to another server; without --plan it is, and the answers are compared

Exit status:
  0  done
  1  differences (diff, replay), or nothing matched (with --exit-code)
  2  the command line, a filter or a named schema file is wrong
  3  a file could not be opened or is not a capture file; a server could not be reached
  4  a file was read only in part: the rest is still shown, and the damaged place is reported; a replay was cut short
  5  refused for safety (record --swap, replay)
  130  interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    Calls(calls::CallsArgs),
    Frames(frames::FramesArgs),
    Show(show::ShowArgs),
    Follow(follow::FollowArgs),
    Methods(methods::MethodsArgs),
    Export(export::ExportArgs),
    Connections(connections::ConnectionsArgs),
    Problems(problems::ProblemsArgs),
    Summary(summary::SummaryArgs),
    Schema(schema::SchemaCommand),
    Fields(fields::FieldsArgs),
    Record(Box<record::RecordCommand>),
    Diff(Box<diff::DiffArgs>),
    Call(Box<call::CallArgs>),
    Replay(Box<replay::ReplayArgs>),
    Serve(Box<serve::ServeArgs>),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// How much is printed on standard error.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Talk {
    /// Say more on standard error
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// Say less on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// When output is coloured
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_default_value = true, global = true)]
    pub(crate) color: Color,
}

/// Runs the program. Its exit status: 0 done; 2 the command line, a filter or a named schema file is wrong; 3 a file could
/// not be opened or is not a capture file; 4 a file was read only in part; 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A mistyped command is parsed as a file, and its options as those of `calls`.
            let first = std::env::args_os().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
            match first.and_then(|first| mistyped(Path::new(&first))).filter(|_| error.use_stderr()) {
                Some(problem) => return problem.tell(),
                None => with_written_out_arguments(error).exit(),
            }
        }
    };
    // The main thread of a recorder waits for signals, and that of the terminal UI for keys.
    let waits = match &cli.command {
        Some(command) => matches!(command, Command::Record(_)),
        None => cli.ui.is_wanted(&cli.calls),
    };
    if !waits {
        load::work_along();
    }
    let done = match (cli.command, cli.calls) {
        (Some(Command::Calls(args)), _) => calls::run(args),
        (Some(Command::Frames(args)), _) => frames::run(args),
        (Some(Command::Show(args)), _) => show::run(args),
        (Some(Command::Follow(args)), _) => follow::run(args),
        (Some(Command::Methods(args)), _) => methods::run(args),
        (Some(Command::Export(args)), _) => export::run(args),
        (Some(Command::Problems(args)), _) => problems::run(args),
        (Some(Command::Summary(args)), _) => summary::run(args),
        (Some(Command::Schema(args)), _) => schema::run(args),
        (Some(Command::Connections(args)), _) => connections::run(args),
        (Some(Command::Diff(args)), _) => diff::run(*args),
        (Some(Command::Call(args)), _) => call::run(*args),
        (Some(Command::Fields(args)), _) => fields::run(&args),
        (Some(Command::Replay(args)), _) => replay::run(*args),
        (Some(Command::Serve(args)), _) => serve::run(*args),
        (Some(Command::Completions(args)), _) => generate::completions(&args),
        (Some(Command::Man(args)), _) => generate::man(&args),
        (Some(Command::Record(command)), _) => record::run(*command),
        (None, _) if cli.ui.print_config => print_config(),
        (None, args) => match args.files.first().and_then(|first| mistyped(first)) {
            Some(problem) => Err(problem),
            None if cli.ui.is_wanted(&args) => tui::run(&args, &cli.ui),
            None => calls::run(args),
        },
    };
    done.unwrap_or_else(Problem::tell)
}

/// `--print-config`.
fn print_config() -> Result<ExitCode, Problem> {
    let mut output = output::Output::new();
    output.buffer().extend_from_slice(crate::config::Config::template().as_bytes());
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The same error about the same arguments, but with every control, bidirectional and invisible character in them written out.
/// The parser of the command line repeats arguments as they are, among its own colours.
fn with_written_out_arguments(error: clap::Error) -> clap::Error {
    let written_out = |argument: OsString| match argument.to_str() {
        Some(text) => Escaped(text.as_bytes()).to_string().into(),
        // The parser does not repeat what is not UTF-8.
        None => argument,
    };
    // An argument is as wrong as before when it is written out; if not, the error remains, without colours and in one line.
    match Cli::try_parse_from(std::env::args_os().map(written_out)) {
        Err(same) if same.kind() == error.kind() => same,
        _ if error.use_stderr() => Cli::command().error(error.kind(), Escaped(error.render().to_string().as_bytes())),
        _ => error,
    }
}

/// The problem with a file that does not exist and whose name is close to a command's.
fn mistyped(file: &Path) -> Option<Problem> {
    let name = file.to_str().filter(|_| !file.exists())?;
    let cli = Cli::command();
    let names = || cli.get_subcommands().map(clap::Command::get_name);
    if names().any(|command| command == name) {
        return None;
    }
    let close = names().min_by_key(|command| distance(command, name)).filter(|command| distance(command, name) <= 2);
    let meant = close.or_else(|| names().find(|command| is_short_for(name, command)))?;
    Some(Problem::Usage(format!("there is no command and no file {name}; did you mean the command {meant}?")))
}

/// Whether `name` is `command` with letters left out: `conns` is short for `connections`.
fn is_short_for(name: &str, command: &str) -> bool {
    let mut letters = command.bytes();
    name.len() >= 3
        && name.get(..1) == command.get(..1)
        && name.bytes().all(|wanted| letters.any(|letter| letter == wanted))
}

/// How many letters must be changed, put in or taken out to make `a` of `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, a) in (1..).zip(a.bytes()) {
        let mut before = above;
        let mut diagonal = std::mem::replace(&mut row[0], above);
        for (cell, b) in row.iter_mut().skip(1).zip(b.bytes()) {
            let cost = diagonal + usize::from(a != b);
            diagonal = *cell;
            *cell = cost.min(*cell + 1).min(before + 1);
            before = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_was_mistyped_is_guessed() {
        assert_eq!(distance("calls", "cals"), 1);
        assert_eq!(distance("show", "shwo"), 2);
        assert_eq!(distance("frames", ""), 6);
        for (name, command) in
            [("conections", "connections"), ("conns", "connections"), ("conn", "connections"), ("cals", "calls")]
        {
            let problem = mistyped(Path::new(name)).map(|problem| problem.to_string());
            assert!(problem.is_some_and(|problem| problem.ends_with(&format!("the command {command}?"))), "{name}");
        }
        assert!(mistyped(Path::new("capture.pcap")).is_none());
        assert!(mistyped(Path::new("/")).is_none());
        assert!(mistyped(Path::new("calls")).is_none());
    }
}
