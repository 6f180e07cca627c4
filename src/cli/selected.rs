//! A capture that was read to its end, and those of its calls that a filter selects: what tables are made of.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;

use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::print::Printer;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::statistics::TimeSpan;
use rpcshark_dissectors::store::{CallRef, FrameRef, Keep, Store};
use rpcshark_dissectors::view::Viewer;

use super::InputArgs;
use super::filter::{FilterArgs, Sieve};
use super::input::{Viewing, tell_files};
use super::output::{Bar, Problem};
use super::remarks::report;
use super::why::tell_why_none;
use crate::load::{Inputs, Loaded, PacketLengths};

/// A capture and the calls that a table is made of.
pub(super) struct Selected {
    pub(super) loaded: Loaded,
    viewing: Viewing,
    sieve: Sieve,
    /// The calls that the filter selects, in the order of their numbers.
    pub(super) calls: Vec<CallRef>,
}

/// What a table needs besides the calls.
#[derive(Default)]
pub(super) struct Wanted<'f> {
    /// The bodies of messages.
    pub(super) bodies: bool,
    /// The lengths of packets.
    pub(super) packet_lengths: bool,
    /// Every frame, as it is read.
    pub(super) frames: Option<&'f mut SeeFrames<'f>>,
}

/// What looks at the frames of a batch.
pub(super) type SeeFrames<'f> = dyn FnMut(Viewer<'_>, &[FrameRef], &PacketLengths) + 'f;

impl Selected {
    /// Reads `inputs` and selects all calls that match.
    pub(super) fn read(
        input: &InputArgs,
        inputs: Inputs,
        filter: &FilterArgs,
        schema: Arc<Schema>,
        wanted: Wanted<'_>,
    ) -> Result<Self, Problem> {
        let mut selected = Self::load(input, inputs, filter, schema, wanted)?;
        selected.choose(selected.loaded.store.calls().to_vec());
        Ok(selected)
    }

    /// Reads `inputs`; no calls are selected yet.
    pub(super) fn load(
        input: &InputArgs,
        inputs: Inputs,
        filter: &FilterArgs,
        schema: Arc<Schema>,
        wanted: Wanted<'_>,
    ) -> Result<Self, Problem> {
        let mut sieve = filter.compile(&schema, Target::Calls)?;
        let needs = sieve.needs();
        let mut see = wanted.frames;
        let frames = needs.frames || see.is_some();
        let keep = Keep { frames, bodies: wanted.bodies || needs.bodies, ..Keep::default() };
        let loader =
            input.open(inputs, false, keep)?.with_packet_lengths(wanted.packet_lengths || needs.packet_lengths);
        let mut viewing = Viewing::new(input, schema, loader.files(), loader.sources())?;
        let mut bar = Bar::new(input.talk.quiet);
        let lengths = loader.packet_lengths();
        let loaded = match frames {
            true => loader.run(|store, committed, progress| {
                bar.at(progress);
                let viewer = viewing.viewer(store);
                sieve.observe(viewer, &committed.frames, &lengths);
                if let Some(see) = &mut see {
                    see(viewer, &committed.frames, &lengths);
                }
                ControlFlow::Continue(())
            })?,
            false => loader.start().join(|progress| bar.at(progress))?,
        };
        bar.done();
        viewing.names = loaded.names.clone();
        Ok(Self { loaded, viewing, sieve, calls: Vec::new() })
    }

    /// Selects those of `calls` that match.
    pub(super) fn choose(&mut self, calls: Vec<CallRef>) {
        self.calls = self.sieve.choose(self.viewing.viewer(&self.loaded.store), calls);
    }

    /// The schema that messages are read by.
    pub(super) fn schema(&self) -> &Schema {
        &self.viewing.schema
    }

    pub(super) fn store(&self) -> &Store {
        &self.loaded.store
    }

    pub(super) fn printer(&self) -> Printer<'_> {
        Printer { decimals: self.loaded.decimals, ..self.viewing.printer(&self.loaded.store) }
    }

    pub(super) fn viewer(&self) -> Viewer<'_> {
        self.viewing.viewer(&self.loaded.store)
    }

    /// The time that the capture covers; no time where it has none.
    pub(super) fn span(&self) -> TimeSpan {
        let none = TimeSpan { first: Default::default(), last: Default::default() };
        self.known_span().unwrap_or(none)
    }

    /// The time that the capture covers, where it has times.
    pub(super) fn known_span(&self) -> Option<TimeSpan> {
        TimeSpan::of(self.viewer(), self.loaded.first)
    }

    /// Prints on standard error what is worth knowing, and gives the exit status.
    pub(super) fn report(self, input: &InputArgs) -> ExitCode {
        if self.store().call_count() == 0 {
            tell_why_none(&self.loaded, input);
        }
        self.sieve.report("calls", input.talk);
        if !self.sieve.hides_all() {
            report(&self.loaded, &self.calls, &self.viewing.schema, input);
        }
        let code = self.sieve.status(tell_files(&self.loaded, input.talk));
        // The program ends: the system takes all memory back at once, which going through every call would only delay.
        std::mem::forget(self.loaded);
        code
    }
}
