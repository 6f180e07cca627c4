//! How far a comparison has come, on standard error.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::summary::Summary;

/// A line on standard error that is renewed, where that is a terminal.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `calls`: how many there will be.
    pub(super) fn new(calls: u64, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self { bar: None };
        }
        let bar = ProgressBar::with_draw_target(Some(calls), ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos} of {len} calls  {elapsed}  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar: Some(bar) }
    }

    pub(super) fn at(&self, summary: &Summary) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(summary.calls());
        let line = summary.line();
        bar.set_message(line.split_once(": ").map(|(_, counts)| counts.to_owned()).unwrap_or_default());
    }

    /// Writes a line above it.
    pub(super) fn say(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.println(text);
        }
    }

    pub(super) fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
