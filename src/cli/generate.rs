//! `rpcshark completions` and `rpcshark man`: made from the command line's own description.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output::{Output, Problem};

/// Completions for a shell.
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

pub(super) fn man() -> Result<ExitCode, Problem> {
    let mut output = Output::new();
    clap_mangen::Man::new(Cli::command()).render(output.buffer())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
