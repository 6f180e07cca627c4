//! Where output goes: results to standard output, everything else to standard error; and the exit status.

use std::io::{self, IsTerminal, Stderr, Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rpcshark_captures::file;
use rpcshark_dissectors::filter::FilterError;
use rpcshark_dissectors::json::{Drain, drain_to};
use rpcshark_dissectors::print::Escaped;

use super::paint::ShownCall;
use crate::config::ConfigError;
use crate::load::Progress;
use crate::messages;
use crate::output_file::OutputError;
use crate::report::ReportError;
use crate::signals::INTERRUPTED;

/// Exit status: nothing matched, with `--exit-code`.
pub(super) const NOTHING: u8 = 1;

/// Exit status: what was compared differs.
pub(super) const DIFFERENT: u8 = 1;

/// Exit status: the command line, a filter, a rule or a named schema file is wrong.
pub(super) const USAGE: u8 = 2;

/// Exit status: a file could not be opened or is not a capture file.
pub(super) const CANNOT_OPEN: u8 = 3;

/// Exit status: a file was read only in part.
pub(super) const IN_PART: u8 = 4;

/// Exit status: refused for safety.
pub(super) const REFUSED: u8 = 5;

/// Why a command cannot continue.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A filter or the name of a field is wrong.
    #[error("{0}")]
    Filter(FilterError),
    /// The configuration file is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Schema files are wrong, as has been said.
    #[error("no schema")]
    Schema,
    /// A signal came before anything was read.
    #[error("interrupted")]
    Interrupted,
    /// A capture cannot be read.
    #[error("{0}")]
    Capture(#[from] file::Error),
    /// The terminal cannot be used.
    #[error("{0:#}")]
    Terminal(anyhow::Error),
    /// The file to be written cannot be opened.
    #[error(transparent)]
    OutputFile(#[from] OutputError),
    /// It cannot be written to.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Rules are wrong, or a report cannot be written.
    #[error("{0}")]
    Report(#[from] ReportError),
    /// Refused for safety.
    #[error("{0}")]
    Refused(String),
    /// Standard output cannot be written to.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Problem {
    /// Says what is wrong on standard error, and gives the exit status.
    pub(super) fn tell(self) -> ExitCode {
        match &self {
            // Whoever read the output has seen enough.
            Self::Output(error)
            | Self::Write { source: error, .. }
            | Self::Report(ReportError::Write { source: error, .. })
                if error.kind() == io::ErrorKind::BrokenPipe =>
            {
                return ExitCode::SUCCESS;
            }
            Self::Schema | Self::Interrupted => {}
            Self::Filter(error) => {
                complain(&error.text());
                repeat(&error.place());
            }
            Self::OutputFile(error @ OutputError::System { source, .. }) => complain(&format!("{error}: {source}")),
            _ => complain(&self.to_string()),
        }
        ExitCode::from(match self {
            Self::Report(ReportError::Write { .. }) => CANNOT_OPEN,
            Self::Report(_)
            | Self::Usage(_)
            | Self::Filter(_)
            | Self::Config(_)
            | Self::Schema
            | Self::OutputFile(OutputError::Terminal) => USAGE,
            Self::Refused(_) | Self::OutputFile(OutputError::Held(_) | OutputError::Symlink { .. }) => REFUSED,
            Self::Write { .. } | Self::OutputFile(OutputError::System { .. }) => CANNOT_OPEN,
            Self::Capture(_) | Self::Output(_) | Self::Terminal(_) => CANNOT_OPEN,
            Self::Interrupted => INTERRUPTED,
        })
    }
}

/// Says that something is wrong, in one line on standard error.
pub(super) fn complain(text: &str) {
    let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
    let text = Escaped(text.as_bytes());
    // Nothing can be done when not even standard error can be written to.
    messages::print(&format!("error: {text}"), || {
        drop(writeln!(anstream::stderr(), "{style}error:{style:#} {text}"));
    });
}

/// Says something worth knowing, in one line on standard error.
pub(super) fn remark(text: &str) {
    let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Yellow.into()));
    let text = Escaped(text.as_bytes());
    messages::print(&format!("note: {text}"), || {
        drop(writeln!(anstream::stderr(), "{style}note:{style:#} {text}"));
    });
}

/// Says on standard error what says itself how bad it is.
pub(super) fn repeat(text: &str) {
    let text = lines(text);
    messages::print(&text, || drop(writeln!(anstream::stderr(), "{text}")));
}

/// Several lines of text without anything else that a terminal would obey. Whoever puts untrusted names into such a text writes
/// out the line feeds in them.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| Escaped(line.as_bytes()).to_string()).collect::<Vec<_>>().join("\n")
}

/// Columns of the terminal that standard output goes to; `None` if it does not go to one.
pub(super) fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
    // Some terminals do not tell their size.
    size.filter(|&columns| columns > 0).or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
}

/// Standard output, written to in large pieces, or line by line where somebody may be waiting.
pub(super) struct Output {
    out: Stdout,
    buffer: Vec<u8>,
}

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 16;

impl Output {
    pub(super) fn new() -> Self {
        Self { out: io::stdout(), buffer: Vec::new() }
    }

    /// What is appended here is written sooner or later.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes if much has been gathered.
    pub(super) fn checkpoint(&mut self) -> io::Result<()> {
        if self.buffer.len() < GATHERED { Ok(()) } else { self.flush() }
    }

    /// Writes what has been gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        self.out.flush()
    }

    /// Lets `write` append text of any size to the buffer, which is written out as it fills.
    pub(super) fn draining(&mut self, write: impl FnOnce(&mut Vec<u8>, Drain<'_>)) -> io::Result<()> {
        let mut result = Ok(());
        let out = &mut self.out;
        write(&mut self.buffer, &mut |buffer| {
            drain_to(buffer, |text| {
                // Nothing more is written after what could not be.
                if result.is_ok() {
                    result = out.write_all(text);
                }
            });
        });
        result?;
        self.checkpoint()
    }

    /// The same for the text of a call in full, painted by `painter`. The buffer is empty before and after.
    pub(super) fn painting(
        &mut self,
        painter: Option<ShownCall>,
        write: impl FnOnce(&mut Vec<u8>, Drain<'_>),
    ) -> io::Result<()> {
        let Some(mut painter) = painter else { return self.draining(write) };
        let out = &mut self.out;
        let mut result = Ok(());
        let mut paint = |text: &[u8]| {
            if result.is_ok() {
                result = out.write_all(painter.paint(&String::from_utf8_lossy(text)).as_bytes());
            }
        };
        write(&mut self.buffer, &mut |buffer| {
            // Whole lines, as far as there are any; a long value is cut after a character.
            let lines = buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let cut = match lines {
                0 => buffer.iter().rposition(u8::is_ascii).unwrap_or(0),
                lines => lines,
            };
            paint(buffer.get(..cut).unwrap_or_default());
            buffer.drain(..cut);
        });
        paint(&self.buffer);
        self.buffer.clear();
        result
    }
}

/// A progress bar on standard error, shown when reading takes longer than half a second and somebody is there to see it.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    started: Instant,
    shown: bool,
}

/// A read that is shorter than this needs no bar.
const BAR_AFTER: Duration = Duration::from_millis(500);

impl Bar {
    pub(super) fn new(quiet: bool) -> Self {
        let stderr: Stderr = io::stderr();
        let bar = (!quiet && stderr.is_terminal()).then(ProgressBar::hidden);
        Self { bar, started: Instant::now(), shown: false }
    }

    pub(super) fn at(&mut self, progress: Progress) {
        let Some(bar) = &self.bar else { return };
        if !self.shown && self.started.elapsed() >= BAR_AFTER {
            self.shown = true;
            let template = "{bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        if self.shown {
            bar.set_length(progress.size.unwrap_or(progress.read));
            bar.set_position(progress.read);
        }
    }

    pub(super) fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
