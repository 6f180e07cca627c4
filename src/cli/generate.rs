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
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    output.buffer().extend_from_slice(unfilled(&String::from_utf8_lossy(&text)).as_bytes());
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A page whose words are not hyphenated, and whose columns, examples and exit statuses keep their lines: what is copied from it
/// is as it was written.
fn unfilled(page: &str) -> String {
    const EXTRA: &str = ".SH EXTRA\n";
    let mut text = String::with_capacity(page.len() + 32);
    for line in page.split_inclusive('\n') {
        let opens = text.ends_with(EXTRA);
        if opens {
            text += ".nf\n";
        }
        if line.starts_with(".SH") && text.contains(EXTRA) && !opens {
            text += ".fi\n";
        }
        text += line;
        if line.starts_with(".TH") {
            text += ".nh\n";
        }
    }
    if text.contains(EXTRA) && !text.contains("\n.fi\n") {
        text += ".fi\n";
    }
    text
}
