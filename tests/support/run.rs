//! Runs the binary and reads what it prints.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What one run printed and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit status; `None` where a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What was run, for messages.
    pub(crate) line: String,
}

/// The command for the binary with nothing of the user's surroundings in it.
pub(crate) fn rpcshark() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcshark"));
    // The project's own directory as the home has no configuration file.
    command.env_remove("RPCSHARK_CONFIG").env_remove("XDG_CONFIG_HOME").env("HOME", env!("CARGO_MANIFEST_DIR"));
    command.env("NO_COLOR", "1").env("TZ", "UTC").env("LC_ALL", "C").env("COLUMNS", "120").stdin(Stdio::null());
    command
}

/// Runs the binary with these arguments.
pub(crate) fn run<S: AsRef<str>>(arguments: &[S]) -> Run {
    run_in(Path::new("."), arguments)
}

/// Runs the binary with these arguments in this directory.
pub(crate) fn run_in<S: AsRef<str>>(directory: &Path, arguments: &[S]) -> Run {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let output = rpcshark().current_dir(directory).args(&arguments).output().expect("the binary starts");
    finished(&arguments, output)
}

/// Runs the binary and writes `input` to its standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = rpcshark()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    std::thread::scope(|scope| {
        // A reader that stops early closes the pipe; what it printed then tells.
        scope.spawn(move || stdin.write_all(input).ok());
        finished(arguments, child.wait_with_output().expect("the binary ends"))
    })
}

fn finished(arguments: &[&str], output: std::process::Output) -> Run {
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        line: format!("rpcshark {}", arguments.join(" ")),
    }
}

impl Run {
    /// The JSON values on standard output, one a line.
    pub(crate) fn values(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error} in {line}", self.line)))
            .collect()
    }

    /// The same, where the run must have ended with status 0.
    pub(crate) fn done(&self) -> Vec<Value> {
        assert_eq!(self.status, Some(0), "{}: standard error: {}", self.line, self.stderr);
        self.values()
    }
}

/// Text that names a path, for a command line.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("the path is UTF-8").to_owned()
}
