//! `rpcshark completions` and `rpcshark man`: made from the command line's own description.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output::{Output, Problem};

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Problem> {
    let mut output = Output::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rpcshark", output.buffer());
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Print a manual page, in roff
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark man > rpcshark.1
  rpcshark man calls > rpcshark-calls.1")]
pub(super) struct ManArgs {
    /// The command; without it, the page of rpcshark itself
    command: Option<String>,
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode, Problem> {
    let mut cli = Cli::command();
    // Names of pages and options that are valid everywhere are filled in when a command line is built.
    cli.build();
    let page = match &args.command {
        None => cli,
        Some(name) => match cli.find_subcommand(name) {
            Some(command) => command.clone(),
            None => return Err(Problem::Usage(format!("there is no command {name}"))),
        },
    };
    let mut output = Output::new();
    clap_mangen::Man::new(page).render(output.buffer())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
