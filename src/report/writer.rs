//! A report being written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rpcshark_dissectors::compare::Noise;
use rpcshark_dissectors::print::Line;

use super::args::{Format, Output, ReportArgs, ReportError};
use super::call::CallReport;
use super::html::HtmlForm;
use super::json::JsonForm;
use super::junit::{JUnitForm, Target};
use super::progress::Progress;
use super::summary::Summary;
use super::text::TextForm;

/// A report in all forms that were asked for.
pub(crate) struct Report {
    forms: Vec<(PathBuf, Box<dyn Form>)>,
    summary: Summary,
    progress: Progress,
    shows_sides: bool,
}

/// What a report is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The command: `replay` or `diff`.
    pub(crate) command: &'static str,
    /// The recording.
    pub(crate) recorded: String,
    /// What it is compared with: a server or another recording.
    pub(crate) replayed: String,
}

/// A form of the report.
pub(super) trait Form: Send {
    /// Adds a call.
    fn call(&mut self, call: &CallReport) -> io::Result<()>;

    /// Writes what is left.
    fn finish(self: Box<Self>, summary: &mut Summary) -> io::Result<()>;
}

impl Report {
    /// Opens the files of a report. `calls`: how many will be compared. `push` writes a line of text to standard output's form,
    /// with or without colours; other text has none.
    pub(crate) fn begin(
        args: &ReportArgs,
        subject: &Subject,
        calls: u64,
        quiet: bool,
        push: fn(&Line, &mut Vec<u8>),
    ) -> Result<Self, ReportError> {
        let mut forms: Vec<(PathBuf, Box<dyn Form>)> = Vec::new();
        for wanted in args.outputs()? {
            let path = wanted.file.clone().unwrap_or_else(|| "standard output".into());
            let failed = |source| ReportError::Write { path: path.clone(), source };
            let form = begin(wanted.format, wanted.file.as_deref(), subject, push).map_err(failed)?;
            forms.push((path, form));
        }
        let shows_sides = args.outputs()?.iter().any(|output| output.format == Format::Html);
        Ok(Self { forms, summary: Summary::default(), progress: Progress::new(calls, quiet), shows_sides })
    }

    /// Opens one file of a report and nothing else, so that nothing is written to the terminal.
    pub(crate) fn begin_file(output: &Output, subject: &Subject) -> Result<Self, ReportError> {
        let path = output.file.clone().unwrap_or_default();
        let failed = |source| ReportError::Write { path: path.clone(), source };
        let form = begin(output.format, Some(&path), subject, plain).map_err(failed)?;
        let shows_sides = output.format == Format::Html;
        Ok(Self {
            forms: vec![(path, form)],
            summary: Summary::default(),
            progress: Progress::new(0, true),
            shows_sides,
        })
    }

    /// Whether [`CallReport::sides`] are shown.
    pub(crate) const fn shows_sides(&self) -> bool {
        self.shows_sides
    }

    /// Adds a call.
    pub(crate) fn call(&mut self, call: &CallReport) -> Result<(), ReportError> {
        self.summary.add(call);
        self.progress.at(&self.summary);
        for (path, form) in &mut self.forms {
            form.call(call).map_err(|source| ReportError::Write { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// Takes over what was learned to be noise.
    pub(crate) fn learned(&mut self, noise: &Noise) {
        self.summary.learned(noise);
    }

    /// Adds a remark to the report.
    pub(crate) fn remark(&mut self, text: String) {
        self.summary.remarks.push(text);
    }

    /// Says something on standard error without disturbing the line of progress there. False where there is none.
    pub(crate) fn say(&self, text: &str) -> bool {
        self.progress.say(text);
        self.progress.is_shown()
    }

    /// Writes what is left, and gives the calls together.
    pub(crate) fn finish(mut self) -> Result<Summary, ReportError> {
        self.progress.done();
        for (path, form) in self.forms {
            form.finish(&mut self.summary).map_err(|source| ReportError::Write { path, source })?;
        }
        Ok(self.summary)
    }
}

fn begin(
    format: Format,
    file: Option<&Path>,
    subject: &Subject,
    push: fn(&Line, &mut Vec<u8>),
) -> io::Result<Box<dyn Form>> {
    let out = |file: Option<&Path>| -> io::Result<Box<dyn Write + Send>> {
        Ok(match file {
            Some(path) => Box::new(BufWriter::new(File::create(path)?)),
            None => Box::new(io::stdout()),
        })
    };
    Ok(match (format, file) {
        (Format::Text, None) => Box::new(TextForm::begin(out(None)?, push)),
        (Format::Text, Some(_)) => Box::new(TextForm::begin(out(file)?, plain)),
        (Format::Json, _) => Box::new(JsonForm::begin(out(file)?, subject)?),
        (Format::Html, _) => Box::new(HtmlForm::begin(out(file)?, subject)),
        (Format::Junit, Some(path)) => {
            let file = File::create(path)?;
            // In a pipe or device one cannot go back.
            let target = match file.metadata()?.is_file() {
                true => Target::File(file, Vec::new()),
                false => Target::Other(Box::new(file), Vec::new()),
            };
            Box::new(JUnitForm::begin(target, subject)?)
        }
        (Format::Junit, None) => Box::new(JUnitForm::begin(Target::Other(out(None)?, Vec::new()), subject)?),
    })
}

/// A line without colours.
fn plain(line: &Line, out: &mut Vec<u8>) {
    out.extend_from_slice(line.text().as_bytes());
    out.push(b'\n');
}
