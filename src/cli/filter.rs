//! `-Y`: which calls and frames are shown, and the message about those that are not.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::Args;
use rayon::prelude::*;
use rpcshark_dissectors::filter::{Filter, FilterScratch, FrameTally, Needs, Target, Truth};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::{CallRef, FrameRef};
use rpcshark_dissectors::view::Viewer;

use super::Talk;
use super::input::Viewing;
use super::output::{Bar, NOTHING, Problem, remark};
use crate::load::{Loaded, Loader, PacketLengths};

/// Which rows are shown.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Show only what matches: 'rpc.status != OK && rpc.duration > 100ms' (see rpcshark fields)
    #[arg(short = 'Y', long, value_name = "EXPR")]
    filter: Option<String>,

    /// Exit with status 1 if nothing matches
    #[arg(long)]
    exit_code: bool,
}

impl FilterArgs {
    /// The filter as it was given; empty without one.
    pub(super) fn text(&self) -> &str {
        self.filter.as_deref().unwrap_or_default()
    }

    /// Compiles the filter; without one everything matches.
    pub(super) fn compile(&self, schema: &Schema, target: Target) -> Result<Sieve, Problem> {
        let filter = match &self.filter {
            Some(text) => {
                let filter = Filter::compile(text, schema, target).map_err(Problem::Filter)?;
                (!filter.is_empty()).then_some(filter)
            }
            None => None,
        };
        Ok(Sieve { filter, exit_code: self.exit_code, tallies: HashMap::new(), counts: Counts::default() })
    }

    /// Whether a filter is given.
    pub(super) const fn is_given(&self) -> bool {
        self.filter.is_some()
    }
}

/// A filter at work, and what has come of it.
pub(super) struct Sieve {
    filter: Option<Filter>,
    exit_code: bool,
    /// What is known of the frames of calls that are not shown yet.
    tallies: HashMap<CallRef, FrameTally>,
    counts: Counts,
}

/// How many rows there were.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    shown: u64,
    hidden: u64,
    unknown: u64,
}

/// Calls that one thread looks at at a time.
const SHARE: usize = 1024;

impl Sieve {
    /// What the filter needs.
    pub(super) fn needs(&self) -> Needs {
        self.filter.as_ref().map(Filter::needs).unwrap_or_default()
    }

    /// Reads a capture to its end, and takes note of its frames where the filter needs them.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read.
    pub(super) fn read(&mut self, loader: Loader, viewing: &Viewing, quiet: bool) -> Result<Loaded, Problem> {
        let mut bar = Bar::new(quiet);
        let lengths = loader.packet_lengths();
        let loaded = match self.needs().frames {
            true => loader.run(|store, committed, progress| {
                bar.at(progress);
                self.observe(viewing.viewer(store), &committed.frames, &lengths);
                ControlFlow::Continue(())
            })?,
            false => loader.start().join(|progress| bar.at(progress))?,
        };
        bar.done();
        Ok(loaded)
    }

    /// Takes note of frames, where the filter needs those of calls.
    pub(super) fn observe(&mut self, viewer: Viewer<'_>, frames: &[FrameRef], lengths: &PacketLengths) {
        let Some(filter) = self.filter.as_ref().filter(|filter| filter.needs().frames) else { return };
        for frame in frames {
            let frame = viewer.frame(frame);
            if let Some(call) = frame.call() {
                let tally = self.tallies.entry(call).or_default();
                filter.observe(frame, Some(&|packet| lengths.of(packet)), tally);
            }
        }
    }

    /// Those of `calls` that match.
    pub(super) fn choose(&mut self, viewer: Viewer<'_>, calls: Vec<CallRef>) -> Vec<CallRef> {
        let Some(filter) = &self.filter else {
            self.counts.shown += calls.len() as u64;
            return calls;
        };
        let tallies = &self.tallies;
        let shares = calls.par_chunks(SHARE).map_init(FilterScratch::default, |scratch, share| {
            let mut counts = Counts::default();
            let mut chosen = Vec::new();
            for &at in share {
                match filter.call(&viewer.call(at), tallies.get(&at), scratch) {
                    Truth::True => chosen.push(at),
                    Truth::False => counts.hidden += 1,
                    Truth::Unknown => counts.unknown += 1,
                }
            }
            (counts, chosen)
        });
        let shares: Vec<(Counts, Vec<CallRef>)> = shares.collect();
        let mut all = Vec::new();
        for (counts, chosen) in shares {
            self.counts.hidden += counts.hidden;
            self.counts.unknown += counts.unknown;
            self.counts.shown += chosen.len() as u64;
            all.extend(chosen);
        }
        for at in &calls {
            self.tallies.remove(at);
        }
        all
    }

    /// Whether a frame matches; `of`: where its call is looked at as it is when it has ended.
    pub(super) fn is_shown(
        &mut self,
        viewer: Viewer<'_>,
        frame: &FrameRef,
        of: Option<(Viewer<'_>, CallRef)>,
        lengths: &PacketLengths,
        scratch: &mut FilterScratch,
    ) -> bool {
        let truth = match &self.filter {
            Some(filter) => {
                let call = of.map(|(viewer, at)| viewer.call(at));
                filter.frame(viewer.frame(frame), call.as_ref(), Some(&|packet| lengths.of(packet)), scratch)
            }
            None => Truth::True,
        };
        match truth {
            Truth::True => self.counts.shown += 1,
            Truth::False => self.counts.hidden += 1,
            Truth::Unknown => self.counts.unknown += 1,
        }
        truth == Truth::True
    }

    /// Whether the filter hides all there is.
    pub(super) const fn hides_all(&self) -> bool {
        let Counts { shown, hidden, unknown } = self.counts;
        shown == 0 && hidden + unknown > 0
    }

    /// Prints on standard error what the filter hides, where that matters; `rows`: what is filtered, in the plural.
    pub(super) fn report(&self, rows: &str, talk: Talk) {
        let Counts { shown, hidden, unknown } = self.counts;
        if self.filter.is_none() || talk.quiet {
            return;
        }
        if shown == 0 && hidden + unknown > 0 {
            remark(&match hidden + unknown {
                1 => format!("the filter hides the only one of the {rows}"),
                all => format!("the filter hides all {all} {rows}"),
            });
        }
        if unknown > 0 {
            let rows = if unknown == 1 { rows.trim_end_matches('s') } else { rows };
            remark(&format!(
                "{unknown} {rows} left out: whether the filter matches depends on what the capture does not hold or \
                 what is hidden"
            ));
        }
    }

    /// The exit status: `status`, or [`NOTHING`] with `--exit-code` where nothing was shown and nothing else is wrong.
    pub(super) fn status(&self, status: ExitCode) -> ExitCode {
        match self.exit_code && self.counts.shown == 0 && status == ExitCode::SUCCESS {
            true => ExitCode::from(NOTHING),
            false => status,
        }
    }
}
